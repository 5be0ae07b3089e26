"""The endpoints of the definition: curves, milestones, medians, and how many ever had the event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

from ahsct.definitions import INTERCURRENT_EVENTS, Definition, Endpoint, Estimand
from ahsct.estimates.arms import Arm, add_note
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.milestones import median_time, milestone
from ahsct.estimates.rows import stamp
from ahsct.vocabulary import DAYS_PER_YEAR

_SOON_AFTER_DAYS = 91  # a visit due at the milestone that came up to a quarter late
_COMPOSITE = "composite"


class _Curve(NamedTuple):
    """One endpoint, component and estimand in one arm: its patients and its curve."""

    rows: pl.DataFrame
    curve: pl.DataFrame
    component: str
    estimand: Estimand
    n_not_evaluable: int


def endpoint_rows(arms: list[Arm], definition: Definition) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Return RESULTS and CURVE of every endpoint of the definition, the primary one first.

    Milestones (the primary one first), then the medians of the composites, then the proportions that
    ever had the event. Where an estimand lets events compete, the curves are cumulative incidences.
    """
    curves = [one for arm in arms for one in _curves(arm, definition)]
    results = [
        *(rows for one in curves for rows in _milestones(one, definition)),
        *(_labelled(median_time(one.curve), one) for one in curves if one.component == _COMPOSITE),
        *(_ever(arm, one) for arm in arms for one in curves if one.rows["arm"][0] == arm.name),
    ]
    return results, [one.curve for one in curves]


def milestone_days(definition: Definition) -> list[int]:
    """Return the milestones, the primary one first."""
    primary = definition.primary_milestone_days
    return [primary, *(day for day in sorted(set(definition.milestones_days)) if day != primary)]


def _curves(arm: Arm, definition: Definition) -> Iterator[_Curve]:
    primary = definition.endpoint(definition.primary_endpoint)
    endpoints = [primary, *(one for one in definition.endpoints if one.id != primary.id)]
    for endpoint in endpoints:
        for id in endpoint.estimands:
            for component in (_COMPOSITE, *dict.fromkeys(endpoint.components)):
                yield from _one(arm, endpoint, definition.estimand(id), component, definition)


def _one(
    arm: Arm, endpoint: Endpoint, estimand: Estimand, component: str, definition: Definition
) -> Iterator[_Curve]:
    asked = arm.time_to_event.filter(
        (pl.col("endpoint") == endpoint.id)
        & (pl.col("estimand") == estimand.id)
        & (pl.col("component") == component)
    )
    rows = asked.filter("is_evaluable")
    if rows.is_empty():
        return
    competes = any(estimand.handling(event).handling == "competing" for event in INTERCURRENT_EVENTS)
    curve = (
        aalen_johansen(rows, conf_level=definition.conf_level)
        if competes
        else kaplan_meier(rows, interval=definition.interval, conf_level=definition.conf_level)
    )
    yield _Curve(rows, curve, component, estimand, asked.height - rows.height)


def _labelled(results: pl.DataFrame, one: _Curve) -> pl.DataFrame:
    results = stamp(results, n_not_evaluable=one.n_not_evaluable)
    return results if one.estimand.is_estimand else add_note(results, "as published, not an estimand")


def _milestones(one: _Curve, definition: Definition) -> Iterator[pl.DataFrame]:
    for day in milestone_days(definition):
        soon = one.rows.filter(
            pl.col("is_event") & (pl.col("time_day") > day) & (pl.col("time_day") <= day + _SOON_AFTER_DAYS)
        ).height
        results = _labelled(milestone(one.curve, at_years=day / DAYS_PER_YEAR), one)
        yield add_note(results, f"{soon} first detected up to {_SOON_AFTER_DAYS} days after the milestone")


def _ever(arm: Arm, one: _Curve) -> pl.DataFrame:
    first = one.rows.row(0, named=True)
    names = ("endpoint", "component", "estimand", "population")
    results = arm.proportion(
        int(one.rows["is_event"].sum()),
        one.rows.height,
        statistic="n_with_event",
        note="ever, over unequal follow-up",
        **{name: first[name] for name in names},
    )
    return _labelled(results, one)
