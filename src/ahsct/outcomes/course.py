"""One patient's course under a definition: everything needed to check each event by eye."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ahsct.definitions import Definition, DisabilityRule
from ahsct.errors import RequestError, did_you_mean
from ahsct.outcomes.assessments import Context, derive_context
from ahsct.outcomes.disability import derive_disability
from ahsct.tables import Study

_KNOWN_DAYS = (
    "mobilisation_start_day",
    "infusion_day",
    "second_infusion_day",
    "rebaseline_day",
    "death_day",
    "last_contact_day",
)
_FAR = 100_000.0  # farther from any baseline than any threshold
_VISITS = {"day": pl.Int64(), "value": pl.Float64(), "row": pl.Int64()}
_CHANGES = {
    "number": pl.Int64(),
    "direction": pl.String(),
    "onset_day": pl.Int64(),
    "baseline_day": pl.Int64(),
    "value_before": pl.Float64(),
    "value_after": pl.Float64(),
    "needed": pl.Float64(),
    "confirmed_day": pl.Int64(),
    "last_day": pl.Int64(),
    "is_sustained_to_end": pl.Boolean(),
    "label": pl.String(),
    "rejected_because": pl.String(),
}
_CONFIRMATIONS = {
    "number": pl.Int64(),
    "period_days": pl.Int64(),
    "day": pl.Int64(),
    "value": pl.Float64(),
    "is_relapse_free": pl.Boolean(),
    "relapse_free_day": pl.Int64(),
}
_WINDOWS = {"number": pl.Int64(), "kind": pl.String(), "first_day": pl.Float64(), "last_day": pl.Float64()}
_BASELINES = {
    "direction": pl.String(),
    "seen_day": pl.Int64(),
    "baseline_day": pl.Int64(),
    "value": pl.Float64(),
}


@dataclass(frozen=True, kw_only=True)
class Course:
    """One patient's visits, relapses, baselines and changes of one measure, in days from time zero.

    `baselines`: from which day on (`seen_day`, a visit) changes in a direction are counted from which visit.
    `changes`: every onset that was looked at, numbered by day: events (`rejected_because` missing) and
    rejected candidates. `confirmations`: the visit that reached each period of an event. `windows`, by the
    number of the change: the `confirmation` windows (an open end reaches to infinity), and for confirmed
    worsenings those that must be free of relapses for PIRA (a preceding visit of kind `last_delta` is taken
    as the last one). `raw`: the days on which an onset would be relapse-associated. `days`: mobilisation,
    infusion and so on, where known.
    """

    study_id: str
    data_kind: str
    patient_id: str
    definition: Definition
    rule: DisabilityRule
    visits: pl.DataFrame
    relapses: pl.DataFrame
    baselines: pl.DataFrame
    changes: pl.DataFrame
    confirmations: pl.DataFrame
    windows: pl.DataFrame
    raw: pl.DataFrame
    days: dict[str, int]


def derive_course(
    study: Study, patient: str, definition: Definition, *, measure: str | None = None
) -> Course:
    """Return one patient's course under a definition.

    Parameters
    ----------
    measure
        That of a disability rule of the definition; missing: its first.

    Raises
    ------
    RequestError
        The study has no such patient, the patient has no time zero, or the measure was never taken.
    DefinitionError
        The definition has no rule for this measure.
    """
    known = study.table("patients", ["patient_id"])["patient_id"].to_list()
    if patient not in known:
        raise RequestError(
            f"{study.study_id} has no patient {patient!r}; it has {len(known)}, the first is {known[0] if known else '-'!r}."
            f"{did_you_mean(patient, known)}"
        )
    if not definition.disability:
        raise RequestError(f"{definition.id} has no disability rule, so there is no course to draw.")
    rule = definition.disability_rule(measure or definition.disability[0].measure)
    rule = replace(rule, event_day="onset")  # the confirmation is shown beside it
    own = replace(
        study,
        tables={
            name: frame.filter(pl.col("patient_id") == patient) if "patient_id" in frame.columns else frame
            for name, frame in study.tables.items()
        },
    )
    context = derive_context(own, definition)
    person = context.timeline.row(0, named=True)
    zero = person["time_zero_day"]
    if zero is None:
        kind = definition.time_zero.kind.replace("_", " ")
        raise RequestError(f"patient {patient!r} has no day of {kind} (time zero of {definition.id}).")
    if rule.column not in context.visits.columns or context.visits[rule.column].drop_nulls().is_empty():
        raise RequestError(f"patient {patient!r} has no visit with {rule.column}.")
    visits = context.visits.drop_nulls(rule.column).sort("visit_day", "row")
    changes, confirmations = _changes(context, rule, zero)
    onsets = context.relapses["onset_day"].sort().to_list()
    return Course(
        study_id=study.study_id,
        data_kind=study.data_kind,
        patient_id=patient,
        definition=definition,
        rule=rule,
        visits=pl.DataFrame(
            {"day": visits["visit_day"] - zero, "value": visits[rule.column], "row": visits["row"]},
            schema=_VISITS,
        ),
        relapses=_relapses(context, zero),
        baselines=_baselines(context, visits, rule, zero),
        changes=changes,
        confirmations=confirmations,
        windows=pl.DataFrame(
            list(_windows(changes, confirmations, visits["visit_day"] - zero, rule)),
            schema=_WINDOWS,
            orient="row",
        ),
        raw=pl.DataFrame(
            {
                "first_day": [day - zero - rule.raw_window_days[1] for day in onsets],
                "last_day": [day - zero + rule.raw_window_days[0] for day in onsets],
            },
            schema={"first_day": pl.Int64(), "last_day": pl.Int64()},
        ),
        days={
            name.removesuffix("_day"): person[name] - zero
            for name in _KNOWN_DAYS
            if person.get(name) is not None
        },
    )


def needed_change(rule: DisabilityRule, direction: str, reference: float) -> float:
    """Return the smallest change from a reference that counts, as the rule's table says."""
    table = rule.worsening_threshold if direction == "worsening" else rule.improvement_threshold
    step = (
        [one for one in table if one.from_value <= reference][-1]
        if reference >= table[0].from_value
        else table[0]
    )
    if step.unit == "points":
        return step.change
    return min(step.change * reference, float("inf") if step.at_most is None else step.at_most)


def _relapses(context: Context, zero: int) -> pl.DataFrame:
    table = context.relapses
    end = pl.col("end_day") if "end_day" in table.columns else pl.lit(None, dtype=pl.Int64)
    return table.select((pl.col("onset_day") - zero).alias("day"), (end - zero).alias("end_day")).sort("day")


def _changes(context: Context, rule: DisabilityRule, zero: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = derive_disability(context.visits, context.known_relapses, rule=rule)
    events = found.events.with_columns(pl.lit(None, dtype=pl.String).alias("rejected_because"))
    every = pl.concat([events, found.candidates.select(events.columns)]).sort("day", "direction")
    rows, numbers = [], {}
    for number, row in enumerate(every.iter_rows(named=True), start=1):
        numbers[row["event_id"]] = number
        rows.append(
            {
                **{name: row[name] for name in _CHANGES if name in row},
                "number": number,
                "onset_day": row["day"] - zero,
                "baseline_day": row["baseline_day"] - zero,
                "needed": needed_change(rule, row["direction"], row["value_before"]),
                "confirmed_day": None if row["confirmed_day"] is None else row["confirmed_day"] - zero,
                "last_day": None
                if row["sustained_days"] is None
                else row["day"] + row["sustained_days"] - zero,
            }
        )
    reached = [
        {
            **row,
            "number": numbers[row["event_id"]],
            "day": row["day"] - zero,
            "relapse_free_day": None if row["relapse_free_day"] is None else row["relapse_free_day"] - zero,
        }
        for row in found.confirmations.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=_CHANGES), pl.DataFrame(
        [{name: row[name] for name in _CONFIRMATIONS} for row in reached], schema=_CONFIRMATIONS
    ).sort("number", "period_days")


def _windows(
    changes: pl.DataFrame, confirmations: pl.DataFrame, days: pl.Series, rule: DisabilityRule
) -> Iterator[tuple[int, str, float, float]]:
    for row in changes.iter_rows(named=True):
        number, onset = row["number"], row["onset_day"]
        for period, (early, late) in rule.periods_of(row["direction"]):
            yield number, "confirmation", float(max(onset + period - early, onset + 1)), onset + period + late
        if row["direction"] == "worsening" and row["rejected_because"] is None:
            own = confirmations.filter(pl.col("number") == number)
            # a later visit may be the one without a relapse in its window
            confirmed = {*own["day"].to_list(), *own["relapse_free_day"].drop_nulls().to_list()}
            for first, last in _relapse_free(row, sorted(confirmed), days, rule):
                yield number, "PIRA", float(first), float(last)


def _relapse_free(
    row: dict[str, Any], confirmed: list[int], days: pl.Series, rule: DisabilityRule
) -> Iterator[tuple[int, int]]:
    """Yield the closed windows without a relapse that PIRA asks for, around each confirming visit."""
    onset, joined = row["onset_day"], rule.pira_joined
    earlier = days.filter(days < onset)
    preceding = row["baseline_day"] if rule.pira_preceding_visit == "baseline" else earlier[-1]
    (a, b), (c, d), (e, f) = (
        rule.pira_around_preceding_days,
        rule.pira_around_event_days,
        rule.pira_around_confirmation_days,
    )
    if joined in ("preceding_event", "all"):
        start = preceding - a
    else:
        start = onset - c
        if (a, b) != (0, 0):
            yield preceding - a, preceding + b
    for day in confirmed:
        if joined in ("event_confirmation", "all"):
            yield start, day + f
        elif (e, f) != (0, 0):
            yield day - e, day + f
    if joined in ("none", "preceding_event") and (joined != "none" or (c, d) != (0, 0)):
        yield start, onset + d


def _baselines(context: Context, visits: pl.DataFrame, rule: DisabilityRule, zero: int) -> pl.DataFrame:
    """Return from which visit changes are counted, as it was known at each visit.

    The search is asked again with the visits up to each day and one more on the next, at which the score
    is as bad (or good) as can be and which confirms nothing: what it is compared with is the baseline.
    """
    n = visits.height
    rows: list[dict[str, Any]] = []
    worst = _FAR if rule.greater_is_worse else -_FAR
    for direction, value in (("worsening", worst), ("improvement", -worst)):
        parts = []
        for place in range(n):
            upto = visits.head(place + 1)
            probe = (
                upto.tail(1)
                .with_columns(
                    pl.col("visit_day") + 1,
                    pl.lit(value, dtype=pl.Float64).alias(rule.column),
                    pl.lit(False).alias("can_confirm"),
                    pl.lit(None, dtype=pl.String).alias("visit_type")
                    if "visit_type" in visits.columns
                    else pl.lit(None).alias("_"),
                )
                .select(pl.all().exclude("_"))
            )
            if "can_confirm" not in upto.columns:
                upto = upto.with_columns(pl.lit(True).alias("can_confirm"))
            parts.append(
                pl.concat([upto, probe.select(upto.columns)], how="vertical_relaxed").with_columns(
                    pl.lit(f"{place:06}").alias("patient_id")
                )
            )
        relapses = context.known_relapses
        stacked = (
            None
            if relapses is None
            else pl.concat(
                [relapses.with_columns(pl.lit(f"{place:06}").alias("patient_id")) for place in range(n)]
            )
        )
        found = derive_disability(pl.concat(parts), stacked, rule=rule)
        probes = {f"{place:06}": day + 1 for place, day in enumerate(visits["visit_day"])}
        last: tuple[int, float] | None = None
        columns = ["patient_id", "direction", "day", "baseline_day", "value_before"]
        seen = {
            row["patient_id"]: (row["baseline_day"], row["value_before"])
            for row in pl.concat([found.events.select(columns), found.candidates.select(columns)]).iter_rows(
                named=True
            )
            if row["direction"] == direction and row["day"] == probes[row["patient_id"]]
        }
        for place, day in enumerate(visits["visit_day"]):
            now = seen.get(f"{place:06}", last)
            if now is not None and now != last:
                rows.append(
                    {
                        "direction": direction,
                        "seen_day": day - zero,
                        "baseline_day": now[0] - zero,
                        "value": now[1],
                    }
                )
                last = now
    return pl.DataFrame(rows, schema=_BASELINES)
