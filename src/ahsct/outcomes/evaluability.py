"""Whether a patient's follow-up is long enough for a change of disability to be confirmed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.definitions import DisabilityRule
from ahsct.outcomes.disability import baselines
from ahsct.outcomes.disability_visits import (
    MeasuredVisits,
    RelapseArrays,
    first_days,
    measured_visits,
    relapse_arrays,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
_SPAN = 1 << 32  # more than any two days differ
_FAR = 1 << 40


def derive_evaluability(
    visits: pl.DataFrame, rule: DisabilityRule, *, relapses: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return until when a change in each patient could have been confirmed.

    Parameters
    ----------
    visits, rule, relapses
        As for `derive_disability`.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `direction`, `baseline_day`, `last_visit_day`, `confirmable_until_day` (the last visit after the
        first baseline that could be an onset and has a later visit that could confirm it) and `is_evaluable` (there is
        one); one row per patient of `visits` and direction, by patient, worsening first. What becomes of a baseline
        that moves is not looked at.

    Raises
    ------
    TableError
        As `derive_disability`.

    Examples
    --------
    Confirmed after 84 days (77 at the earliest): a change on day 100 could still be, one on day 150 could not.

    >>> from ahsct.definitions import DisabilityRule, ThresholdStep
    >>> visits = pl.DataFrame({"patient_id": ["a"] * 4 + ["b"] * 2, "visit_day": [0, 100, 150, 200, 0, 50],
    ...                        "edss": [2.0] * 6})
    >>> step = (ThresholdStep(from_value=0, change=1.0),)
    >>> rule = DisabilityRule(measure="edss", worsening_threshold=step, improvement_threshold=step)
    >>> derive_evaluability(visits, rule).select("patient_id", "confirmable_until_day", "is_evaluable").rows()[::2]
    [('a', 100, True), ('b', None, False)]
    """
    measured = measured_visits(visits, rule, function="derive_evaluability")
    over = relapse_arrays(relapses, measured.patients, rule, function="derive_evaluability")
    first = baselines(visits, rule, relapses=relapses).drop("baseline_value", "row")
    frame = measured.frame.select("patient_id", "visit_day")
    parts = []
    for direction in ("worsening", "improvement"):
        confirmable = frame.filter(pl.Series(_can_be_confirmed(measured, over, rule, direction)))
        own = first.filter(direction=direction)
        parts.append(
            own.join(confirmable, on="patient_id", how="left", maintain_order="left_right")
            .group_by("patient_id", maintain_order=True)
            .agg(
                pl.first("direction", "baseline_day"),
                pl.col("visit_day")
                .filter(pl.col("visit_day") > pl.col("baseline_day"))
                .max()
                .alias("confirmable_until_day"),
            )
        )
    last = frame.group_by("patient_id").agg(pl.col("visit_day").max().alias("last_visit_day"))
    return (
        pl.concat(parts)
        .join(last, on="patient_id", how="left", maintain_order="left")
        .select(
            "patient_id",
            "direction",
            "baseline_day",
            "last_visit_day",
            "confirmable_until_day",
            pl.col("confirmable_until_day").is_not_null().alias("is_evaluable"),
        )
        .sort("patient_id", pl.col("direction") == "improvement")
    )


def _can_be_confirmed(
    measured: MeasuredVisits, relapses: RelapseArrays, rule: DisabilityRule, direction: str
) -> Flags:
    """Tell for each visit whether it could be an onset that a later visit confirms."""
    starts = measured.starts
    who = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    day = measured.frame["visit_day"].to_numpy()
    since, until = _distances(who, day, relapses)
    may_confirm = measured.frame["can_confirm"].to_numpy() & _is_far(
        since, until, rule.relapse_to_confirmation_days
    )
    key = who * _SPAN + day
    confirming = key[may_confirm]
    found = np.zeros(len(day), dtype=np.bool_)
    for period, (early, late) in rule.periods_of(direction):
        earliest = max(int(np.ceil(period - early)), 1)
        latest = int(np.floor(min(period + late, _SPAN // 4)))
        place = np.searchsorted(confirming, key + earliest)
        reached = confirming[np.minimum(place, len(confirming) - 1)] if len(confirming) else key - 1
        found |= (place < len(confirming)) & (reached <= key + latest)
    may_be_onset = _is_far(since, until, rule.relapse_to_event_days)
    return found & may_be_onset & (day >= first_days(measured, rule)[who])


def _is_far(since: Ints, until: Ints, distance: tuple[int, int]) -> Flags:
    return (since >= distance[0]) & (until >= distance[1])


def _distances(who: Ints, day: Ints, relapses: RelapseArrays) -> tuple[Ints, Ints]:
    """Return days since the last relapse was over, and until the next one begins, at each visit."""
    starts, onset, over = relapses
    if not len(onset):
        far = np.full(len(day), _FAR)
        return far, far.copy()
    patient = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    key = patient * _SPAN + onset
    latest = np.maximum.accumulate(patient * _SPAN + over)  # of this patient's relapses so far
    at = who * _SPAN + day
    before = np.searchsorted(key, at, side="right") - 1
    has_before = (before >= 0) & (patient[np.maximum(before, 0)] == who)
    since = np.where(has_before, np.maximum(at - latest[np.maximum(before, 0)], 0), _FAR)
    after = np.searchsorted(key, at, side="left")
    has_after = (after < len(key)) & (patient[np.minimum(after, len(key) - 1)] == who)
    until = np.where(has_after, onset[np.minimum(after, len(key) - 1)] - day, _FAR)
    return since, until
