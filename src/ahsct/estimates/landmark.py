"""Groups formed by what happened after time zero, compared from a landmark on: without immortal time."""

from __future__ import annotations

import math
from typing import NamedTuple

import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import ALL_BUT_ARM, groups
from ahsct.vocabulary import FLOW, empty, from_rows, require_columns


class Landmark(NamedTuple):
    """Patients still at risk at the landmark, counted from it, with their group as `arm`; and who was left out."""

    time_to_event: pl.DataFrame
    flow: pl.DataFrame


def landmark(
    time_to_event: pl.DataFrame, states: pl.DataFrame, *, at_day: float, before: str | None = None
) -> Landmark:
    """Return the patients event-free and under observation at the landmark, grouped by what was known by then.

    Responders have lived long enough to respond: to compare them from time zero on gives them time in which they
    could not have died (immortal time). Here a group is what was known on the landmark day; what became known
    later is not looked at, and a group without its day is refused.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, one row per patient and endpoint.
    states
        `patient_id`, `day` [days from time zero] on which the group became known, and `group`; several rows per
        patient where it changes. The last row on or before the landmark counts.
    at_day
        The landmark [days], chosen before looking at the outcomes, > 0.
    before
        The group of patients without a row on or before the landmark ("not yet re-treated"). Without it they are
        refused.

    Returns
    -------
    Landmark
        `time_to_event` in its own columns: `time_day` counts from the landmark, `entry_day` too where patients enter
        later (0 if at or before it), `arm` is the group. `flow` (schema FLOW) counts, for each endpoint,
        those left out: with an event, or no longer followed, on or before the landmark.

    Raises
    ------
    TableError
        A column is absent, a group or its day is missing, a patient has two groups on one day, or a patient at risk
        has no group known by the landmark and `before` is not given.
    RequestError
        The landmark is not above 0.

    References
    ----------
    Anderson, Cain and Gelber (1983), doi:10.1200/JCO.1983.1.11.710.

    Examples
    --------
    Patient b had a relapse on day 100, c only on day 300, after the landmark; a had the event before:

    >>> outcomes = pl.DataFrame({"patient_id": ["a", "b", "c"], "time_day": [90, 400, 500],
    ...                          "is_event": [True, True, False]})
    >>> relapses = pl.DataFrame({"patient_id": ["b", "c"], "day": [100, 300], "group": ["relapse"] * 2})
    >>> found = landmark(outcomes, relapses, at_day=180, before="no relapse")
    >>> found.time_to_event.select("patient_id", "time_day", "is_event", "arm").rows()
    [('b', 220, True, 'relapse'), ('c', 320, False, 'no relapse')]
    >>> found.flow.select("n_left_out", "reason").rows()
    [(1, 'event on or before day 180'), (0, 'followed no longer than day 180')]
    """
    if not 0 < at_day < math.inf:
        raise RequestError(f"at_day must be a number of days > 0; found {at_day!r}.")
    known = _known_by(states, at_day)
    blocks, flow = [], []
    for group in groups("landmark", time_to_event, apart=ALL_BUT_ARM):
        require_columns("landmark", "time_to_event", group.rows, ["patient_id"])
        ended = pl.col("time_day") <= at_day
        had_event = group.rows.filter(ended & pl.col("is_event"))
        gone = group.rows.filter(ended & ~pl.col("is_event"))
        at_risk = group.rows.filter(~ended).drop("arm").join(
            known, on="patient_id", how="left", maintain_order="left"
        )  # fmt: skip
        if before is not None:
            at_risk = at_risk.with_columns(pl.col("arm").fill_null(before))
        unknown = at_risk.filter(pl.col("arm").is_null())
        if unknown.height:
            raise TableError(
                f"landmark: {unknown.height} of {at_risk.height} patients at risk on day {at_day:g} have no group known "
                "by then. What became known later would be immortal time: give `before`, or choose a later landmark."
            )
        entry = (pl.col("entry_day") - at_day).clip(lower_bound=0)
        moved = [(pl.col("time_day") - at_day).alias("time_day")]
        if "entry_day" in at_risk.columns:
            moved.append(entry.alias("entry_day"))
        blocks.append(at_risk.with_columns(moved).select(_columns(time_to_event)))
        step = f"landmark, day {at_day:g}"
        for left_out, reason, n in (
            (had_event, f"event on or before day {at_day:g}", group.rows.height - had_event.height),
            (gone, f"followed no longer than day {at_day:g}", at_risk.height),
        ):
            columns = {"step": step, "population": group.labels.get("population") or "", "arm": ""}
            flow.append({**columns, "n": n, "n_left_out": left_out.height, "reason": reason})
    table = pl.concat(blocks, how="vertical_relaxed") if blocks else time_to_event.clear()
    return Landmark(table, from_rows(flow, FLOW) if flow else empty(FLOW))


def _known_by(states: pl.DataFrame, at_day: float) -> pl.DataFrame:
    """Return each patient's last group on or before the landmark, as `arm`."""
    if "day" not in states.columns:
        raise TableError(
            f"landmark needs column 'day' in `states`, which has {states.columns}: without the day on which a group "
            "became known nobody can tell whether it was known at the landmark (immortal time)."
        )
    require_columns("landmark", "states", states, ["patient_id", "day", "group"])
    for name in ("patient_id", "day", "group"):
        if n := states[name].null_count():
            raise TableError(f"`states.{name}` is missing in {n} of {states.height} rows.")
    frame = states.select("patient_id", "day", pl.col("group").cast(pl.String).alias("arm")).unique(
        maintain_order=True
    )
    again = frame.filter(~pl.struct("patient_id", "day").is_first_distinct())
    if again.height:
        raise TableError(f"`states` gives {again.height} patients two groups on one day.")
    frame = frame.filter(pl.col("day") <= at_day).sort("patient_id", "day")
    return frame.unique("patient_id", keep="last", maintain_order=True).drop("day")


def _columns(time_to_event: pl.DataFrame) -> list[str]:
    return list(dict.fromkeys((*time_to_event.columns, "arm")))
