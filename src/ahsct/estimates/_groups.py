"""From TIME_TO_EVENT to one group of patients per curve, and from arrays back to CURVE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._risk_table import Floats
from ahsct.vocabulary import CURVE, conform, empty, require_columns

LABELS = ("study_id", "endpoint", "component", "definition", "estimand", "population", "arm", "subgroup")
ALL_BUT_ARM = tuple(name for name in LABELS if name != "arm")


class Group(NamedTuple):
    """The patients of one curve: labels of the curve, their rows, and the start of risk where it differs."""

    labels: Mapping[str, Any]
    rows: pl.DataFrame
    entry: Floats | None


def groups(function: str, time_to_event: pl.DataFrame, *, apart: Sequence[str] = LABELS) -> Iterator[Group]:
    """Yield the evaluable patients of each curve, in the order in which the curves first appear.

    `apart` names the labels that tell groups apart; with `ALL_BUT_ARM` a group holds the arms to compare.
    Rows whose `is_evaluable` is false are left out; without the column, or where it is missing, a row counts.

    Raises
    ------
    TableError
        A column is missing, a time is missing or negative, it is not known whether there was an event, or a
        patient stands twice in one curve.
    """
    require_columns(function, "time_to_event", time_to_event, ("time_day", "is_event"))
    frame = time_to_event.with_row_index("_row", offset=1)
    if "is_evaluable" in frame.columns:
        frame = frame.filter(pl.col("is_evaluable").fill_null(True))
    _require(frame, pl.col("is_event").is_null(), "is_event", "true or false")
    _require(frame, ~(pl.col("time_day").is_finite() & (pl.col("time_day") >= 0)), "time_day", ">= 0")
    frame = frame.with_columns(pl.lit("").alias(name) for name in LABELS[:-1] if name not in frame.columns)
    labels = [name for name in apart if name in frame.columns]
    for key, rows in frame.partition_by(labels, maintain_order=True, as_dict=True).items():
        _require_one_row_each(rows)
        yield Group(dict(zip(labels, key, strict=True)), rows, _entry(rows))


def curve_frame(blocks: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return blocks (labels and arrays of one curve each) as one table of schema CURVE, NaN as missing."""
    frames = [
        conform(pl.DataFrame(dict(block)).with_columns(pl.col(pl.Float64).fill_nan(None)), CURVE)
        for block in blocks
    ]
    return pl.concat(frames) if frames else empty(CURVE)


def require_no_competing_event(function: str, rows: pl.DataFrame) -> None:
    """Refuse events that compete: treating them as censored would answer another question."""
    if "cause" not in rows.columns:
        return
    n = rows.filter(
        pl.col("is_event") & pl.col("cause").str.starts_with("competing_").fill_null(False)
    ).height
    if n:
        raise TableError(
            f"{function} cannot take competing events: {n} of {rows.height} rows have a cause 'competing_…'. "
            "Use aalen_johansen, or an estimand that counts or censors these events."
        )


def _require_one_row_each(rows: pl.DataFrame) -> None:
    if "patient_id" not in rows.columns:
        return
    again = rows.filter(~pl.col("patient_id").is_first_distinct())
    if again.height:
        raise TableError(
            f"A curve counts each patient once; {again.height} of {rows.height} rows repeat a patient, the first is "
            f"row {again['_row'][0]} of `time_to_event`. Columns that tell curves apart: {', '.join(LABELS)}."
        )


def _entry(rows: pl.DataFrame) -> Floats | None:
    if "entry_day" not in rows.columns:
        return None
    _require(rows, ~(pl.col("entry_day").is_finite()), "entry_day", "a number")
    entry = rows["entry_day"].to_numpy()
    return entry.astype(np.float64) if np.any(entry > 0) else None


def _require(frame: pl.DataFrame, is_wrong: pl.Expr, column: str, needed: str) -> None:
    wrong = frame.filter(is_wrong.fill_null(True))
    if wrong.height:
        row, value = wrong["_row"][0], wrong[column][0]
        raise TableError(
            f"`time_to_event.{column}` must be {needed}; {wrong.height} of {frame.height} rows are not, "
            f"the first is row {row} ({'missing' if value is None else value})."
        )
