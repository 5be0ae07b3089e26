"""What the search for confirmed changes found, as rows of the tables of events and confirmations."""

from __future__ import annotations

import numpy as np
import polars as pl

from ahsct.definitions import DisabilityRule
from ahsct.outcomes import disability_kernel as k
from ahsct.outcomes.disability_search import Ints
from ahsct.outcomes.disability_visits import DIRECTIONS, MeasuredVisits
from ahsct.vocabulary import CONFIRMATIONS, conform

# in the order of the kernel's numbers
REASONS = (
    None,
    "unconfirmed",
    "not_sustained",
    "near_relapse",
    "reverted",
    "before_start",
    "follow_up_too_short",
    "not_persistent",
    "other_kind",
    "earlier_event",
    "superseded",
)
LABELS = (None, "RAW", "PIRA", "undefined")
_RELAPSE_COLUMNS = {"is_relapse_free": pl.Boolean(), "relapse_free_day": pl.Int64()}


def candidate_records(
    found: Ints,
    measured: MeasuredVisits,
    rule: DisabilityRule,
    *,
    has_relapses: bool,
    hash: str,
) -> pl.DataFrame:
    """Return one row per onset visit that was looked at: the columns of CANDIDATES."""
    day, value = (measured.frame[name].to_numpy() for name in ("visit_day", "value"))
    row = measured.frame["row"]
    patient, direction, baseline, carried, left, onset, confirmed, last, outcome, label = (
        np.ascontiguousarray(found[:, column]) for column in range(k.N_COLUMNS)
    )
    is_confirmed = pl.Series(confirmed >= 0)
    is_last = np.zeros(len(day), dtype=np.bool_)
    is_last[measured.starts[1:] - 1] = True
    confirmed_day = pl.Series(day[confirmed]).set(~is_confirmed, None)
    onset_day = pl.Series(day[onset])
    records = pl.DataFrame(
        {
            "patient_id": measured.patients.gather(patient),
            "kind": pl.Series(["disability"]).new_from_index(0, len(found)),
            "measure": pl.Series([rule.measure]).new_from_index(0, len(found)),
            "direction": pl.Series(DIRECTIONS).gather((direction < 0).astype(np.int64)),
            # a candidate whose confirmation never came is dated by its onset
            "day": confirmed_day.fill_null(onset_day) if rule.event_day == "confirmation" else onset_day,
            "left_day": day[left],
            "baseline_day": day[baseline],
            "value_before": value[carried],
            "value_after": value[onset],
            "confirmed_day": confirmed_day,
            "sustained_days": day[last] - day[onset],
            "is_sustained_to_end": is_last[last],
            "label": pl.Series(LABELS, dtype=pl.String).gather(label if has_relapses else label * 0),
            "rule_hash": pl.Series([hash]).new_from_index(0, len(found)),
            "rejected_because": pl.Series(REASONS, dtype=pl.String).gather(outcome),
            "number": _numbers(found),
            "baseline": row.gather(baseline),
            # a baseline that may not improve keeps the value of an earlier visit
            "baseline_value": row.gather(carried).set(pl.Series(carried == baseline), None),
            "onset": row.gather(onset),
            "confirmation": row.gather(np.maximum(confirmed, 0)).set(~is_confirmed, None),
        }
    )
    is_event = pl.col("rejected_because").is_null()
    return records.with_columns(
        pl.format(
            "{}/{}_{}/{}{}",
            "patient_id",
            "measure",
            "direction",
            pl.when(is_event).then(pl.lit("")).otherwise(pl.lit("rejected/")),
            "number",
        ).alias("event_id"),
        # joined and split again: several times faster than a list of columns
        pl.concat_str(
            (
                pl.format(f"visits:{{}}:{role}", role)
                for role in ("baseline", "baseline_value", "onset", "confirmation")
            ),
            separator=" ",
            ignore_nulls=True,
        )
        .str.split(" ")
        .alias("sources"),
    )


def _numbers(found: Ints) -> pl.Series:
    """Return 1, 2 … for the events of a patient and direction in order of onset, likewise the candidates."""
    group = found[:, k.PATIENT] * 4 + (found[:, k.DIRECTION] < 0) * 2 + (found[:, k.OUTCOME] != k.EVENT)
    order = np.argsort(group, kind="stable")
    is_new = np.diff(group[order], prepend=-1) != 0
    place = np.arange(len(group))
    number = np.empty(len(group), dtype=np.int64)
    number[order] = place - np.maximum.accumulate(np.where(is_new, place, 0)) + 1
    return pl.Series(number)


def confirmation_rows(
    records: pl.DataFrame,
    reached: Ints,
    clean: Ints,
    measured: MeasuredVisits,
    rule: DisabilityRule,
    has_relapses: bool,
) -> pl.DataFrame:
    """Return one row per event and confirmation period reached."""
    is_event = records["rejected_because"].is_null().to_numpy()
    which, period = np.nonzero(is_event[:, None] & (reached >= 0))
    place, free = reached[which, period], clean[which, period]
    frame = measured.frame
    days = np.zeros((2, reached.shape[1]), dtype=np.int64)
    for row, direction in zip(days, DIRECTIONS, strict=True):
        own = [days for days, _ in rule.periods_of(direction)]
        row[: len(own)] = own
    is_better = (records["direction"] == "improvement").to_numpy()[which].astype(np.int64)
    day = frame["visit_day"].to_numpy()
    found = pl.DataFrame(
        {
            "patient_id": records["patient_id"].gather(which),
            "event_id": records["event_id"].gather(which),
            "period_days": days[is_better, period],
            "day": day[place],
            "value": frame["value"].to_numpy()[place],
            "source_row": frame["row"].gather(place),
            "is_relapse_free": free == place,
            "relapse_free_day": pl.Series(day[free]).set(pl.Series(free < 0), None),
        }
    )
    if not has_relapses:
        nothing = (pl.lit(None, dtype=kind).alias(name) for name, kind in _RELAPSE_COLUMNS.items())
        found = found.with_columns(nothing)
    return conform(found, CONFIRMATIONS).sort("patient_id", "event_id", "period_days")
