"""The endpoints of the definition: curves, milestones, medians, and how many ever had the event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl

from ahsct.definitions import Definition, Estimand
from ahsct.estimates.arms import Arm
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.milestones import milestone
from ahsct.estimates.quantiles import median_time
from ahsct.estimates.rows import results_frame
from ahsct.outcomes.intercurrent import handled_as
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, empty

_SOON_AFTER_DAYS = 91  # a visit due at the milestone that came up to a quarter late
_COMPOSITE = "composite"
NOT_AN_ESTIMAND = "as published, not an estimand"  # the note on deaths left out
ANY_EVENT = "any_event"  # the term of an incidence that takes all causes together that do not compete
_KEY = ("arm", "endpoint", "estimand", "component")


class _Group(NamedTuple):
    """One endpoint, estimand and component in one arm: its evaluable patients and its curve."""

    arm: Arm
    rows: pl.DataFrame
    curve: pl.DataFrame
    estimand: Estimand
    n_not_evaluable: int
    n_unwatched: int


def endpoint_rows(arms: list[Arm], definition: Definition) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Return RESULTS and CURVE of every endpoint of the definition, the primary one first.

    Milestones (the primary one first), then the medians of the composites, then the proportions that
    ever had the event, and of each composite the proportions in which each cause came first. Where an estimand lets events compete, the curves are cumulative incidences.
    """
    groups = {key: group for arm in arms for key, group in _groups(arm, definition)}
    curves = pl.concat([empty(CURVE), *(group.curve for group in groups.values())])
    composites = curves.filter(pl.col("component") == _COMPOSITE)
    ever = [_ever(group) for group in groups.values()]
    first = [_first_causes(key, group, definition) for key, group in groups.items()]
    any_event = pl.concat([empty(CURVE), *_any_event_curves(groups, definition)])
    return [
        _milestones(curves, any_event, groups, definition),
        _medians(composites, groups),
        *ever,
        *first,
    ], [curves]


def milestone_days(definition: Definition) -> list[int]:
    """Return the milestones, the primary one first."""
    primary = definition.primary_milestone_days
    return [primary, *(day for day in sorted(set(definition.milestones_days)) if day != primary)]


def _groups(arm: Arm, definition: Definition) -> Iterator[tuple[tuple[str, ...], _Group]]:
    primary = definition.endpoint(definition.primary_endpoint)
    parts = arm.time_to_event.partition_by(*_KEY, as_dict=True, maintain_order=True)
    for endpoint in [primary, *(one for one in definition.endpoints if one.id != primary.id)]:
        for id in endpoint.estimands:
            for component in (_COMPOSITE, *dict.fromkeys(endpoint.components)):
                key = (arm.name, endpoint.id, id, component)
                asked = parts.get(key)
                rows = None if asked is None else asked.filter("is_evaluable")
                if asked is None or rows is None or rows.is_empty():
                    continue
                estimand = definition.estimand(id)
                own = endpoint.components if component == _COMPOSITE else (component,)
                curve = _curve(rows, own, estimand, definition)
                others = [parts[(*key[:3], one)] for one in endpoint.components if (*key[:3], one) in parts]
                n_unwatched = _unwatched(rows, others) if component == _COMPOSITE and others else 0
                yield key, _Group(arm, rows, curve, estimand, asked.height - rows.height, n_unwatched)


def _unwatched(rows: pl.DataFrame, components: Sequence[pl.DataFrame]) -> int:
    """Count the events, deaths apart, in patients whose last assessment of another component lay before them.

    Such a patient without an event would have been censored at that assessment.
    """
    last = pl.concat(components).group_by("patient_id").agg(pl.col("time_day").min().alias("_watched_until"))
    events = rows.filter(pl.col("is_event") & ~pl.col("cause").str.ends_with("death").fill_null(False))
    found = events.join(last, on="patient_id", how="inner")
    return found.filter(pl.col("_watched_until") < pl.col("time_day")).height


def _curve(
    rows: pl.DataFrame, components: Sequence[str], estimand: Estimand, definition: Definition
) -> pl.DataFrame:
    if competing := handled_as(estimand, "competing"):
        # each component and each competing event has a curve, also where nobody had it: zero seen is a result
        causes = dict.fromkeys([*components, *(f"competing_{event}" for event in competing)])
        return aalen_johansen(rows, causes=list(causes), conf_level=definition.conf_level)
    return kaplan_meier(rows, interval=definition.interval, conf_level=definition.conf_level)


def _any_event_curves(
    groups: Mapping[tuple[str, ...], _Group], definition: Definition
) -> Iterator[pl.DataFrame]:
    """Yield the cumulative incidences of composites with the causes that do not compete taken as one.

    They are curves of their own: beside those of the single causes each event would be counted twice.
    """
    for key, group in groups.items():
        competing = [f"competing_{event}" for event in handled_as(group.estimand, "competing")]
        n_own = len(definition.endpoint(key[1]).components) + len(handled_as(group.estimand, "event"))
        if key[-1] != _COMPOSITE or not competing or n_own == 1:
            continue
        is_any = pl.col("is_event") & ~pl.col("cause").is_in(competing).fill_null(False)
        rows = group.rows.with_columns(
            pl.when(is_any).then(pl.lit(ANY_EVENT)).otherwise("cause").alias("cause")
        )
        yield aalen_johansen(rows, causes=[ANY_EVENT, *competing], conf_level=definition.conf_level)


def _milestones(
    curves: pl.DataFrame,
    any_event: pl.DataFrame,
    groups: Mapping[tuple[str, ...], _Group],
    definition: Definition,
) -> pl.DataFrame:
    by_group: dict[tuple[str, ...], list[dict[str, Any]]] = {key: [] for key in groups}
    for day in milestone_days(definition):
        years = day / DAYS_PER_YEAR
        together = milestone(any_event, at_years=years).filter(pl.col("term") == ANY_EVENT)
        for row in pl.concat([together, milestone(curves, at_years=years)]).iter_rows(named=True):
            key = tuple(row[name] for name in _KEY)
            time = groups[key].rows.filter("is_event")["time_day"]
            soon = int(((time > day) & (time <= day + _SOON_AFTER_DAYS)).sum())
            note = f"{soon} first detected up to {_SOON_AFTER_DAYS} days after the milestone"
            if n := groups[key].n_unwatched:
                note += (
                    f"; {n} of all {groups[key].rows['is_event'].sum()} events came after the last assessment of "
                    "another component, where patients without an event were censored: biased towards more events"
                )
            by_group[key].append(_labelled(row, groups[key], note))
    return results_frame(row for rows in by_group.values() for row in rows)


def _medians(composites: pl.DataFrame, groups: Mapping[tuple[str, ...], _Group]) -> pl.DataFrame:
    return results_frame(
        _labelled(row, groups[tuple(row[name] for name in _KEY)])
        for row in median_time(composites).iter_rows(named=True)
    )


def _ever(group: _Group) -> pl.DataFrame:
    first = group.rows.row(0, named=True)
    proportion = group.arm.proportion(
        int(group.rows["is_event"].sum()),
        group.rows.height,
        statistic="n_with_event",
        **{name: first[name] for name in ("endpoint", "component", "estimand", "population")},
    )
    return results_frame(
        _labelled(row, group, "ever, over unequal follow-up") for row in proportion.iter_rows(named=True)
    )


def _first_causes(key: tuple[str, ...], group: _Group, definition: Definition) -> pl.DataFrame:
    """Return in how many patients each cause of a composite came first; nothing where only one is possible."""
    _, endpoint, _, component = key
    counted = [*handled_as(group.estimand, "event")]
    counted += [f"competing_{event}" for event in handled_as(group.estimand, "competing")]
    causes = dict.fromkeys([*definition.endpoint(endpoint).components, *counted])
    if component != _COMPOSITE or len(causes) == 1:
        return results_frame([])
    events = group.rows.filter("is_event")
    rows = []
    for cause in causes:
        own = events.filter(pl.col("cause") == cause)
        n_unsure = own.filter(~pl.col("cause_is_certain")).height
        note = "the first event, over unequal follow-up"
        if n_unsure:
            note += (
                f"; in {n_unsure} another cause may have come first (same day, or an overlapping interval)"
            )
        first = group.rows.row(0, named=True)
        proportion = group.arm.proportion(
            own.height,
            group.rows.height,
            statistic="n_first_event",
            term=cause,
            **{name: first[name] for name in ("endpoint", "component", "estimand", "population")},
        )
        rows += [_labelled(row, group, note) for row in proportion.iter_rows(named=True)]
    return results_frame(rows)


def _labelled(row: Mapping[str, Any], group: _Group, note: str | None = None) -> dict[str, Any]:
    """Return the row with its notes joined and the number of those who could not be evaluated."""
    warning = None if group.estimand.is_estimand else NOT_AN_ESTIMAND
    notes = [text for text in (row["note"], warning, note) if text]
    return {**row, "n_not_evaluable": group.n_not_evaluable, "note": "; ".join(notes) or None}
