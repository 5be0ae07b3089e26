"""Rows of RECURRENT made ready: one group per comparison, intervals checked, the first open towards time zero."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._groups import LABELS, of_kinds
from ahsct.vocabulary import RECURRENT, require_columns

_NEEDED = ("patient_id", "start_day", "stop_day", "is_event")
_KINDS = {name: kind for name, kind in RECURRENT.items() if name != "patient_id"} | dict.fromkeys(
    LABELS, pl.String
)


def recurrent_groups(
    function: str, recurrent: pl.DataFrame, *, apart: Sequence[str]
) -> Iterator[tuple[Mapping[str, Any], pl.DataFrame]]:
    """Yield the labels and the rows of each group, sorted by patient and time, with a column `_entry`.

    A row is at risk at t where `_entry` < t <= `stop_day`. `_entry` is `start_day`, and minus infinity in a patient's
    first interval where that starts at or before day 0: so an event on day 0 counts, and counts once.

    Raises
    ------
    TableError
        A column is absent or of another type, or a value missing, an interval ends before it starts, or two of a patient overlap.
    """
    require_columns(function, "recurrent", recurrent, _NEEDED)
    frame = of_kinds("recurrent", recurrent, _KINDS).with_row_index("_row", offset=1)
    for name in _NEEDED:
        _refuse(frame, pl.col(name).is_null(), f"`{name}` is missing")
    _refuse(frame, pl.col("stop_day") < pl.col("start_day"), "an interval ends before it starts")
    frame = frame.with_columns(pl.lit("").alias(name) for name in LABELS[:-1] if name not in frame.columns)
    labels = [name for name in apart if name in frame.columns]
    for key, rows in frame.partition_by(labels, maintain_order=True, as_dict=True).items():
        ordered = rows.sort("patient_id", "start_day", "stop_day", maintain_order=True)
        before = pl.col("stop_day").shift(1).over("patient_id")
        _refuse(ordered, pl.col("start_day") < before, "an interval overlaps the patient's one before")
        is_open = before.is_null() & (pl.col("start_day") <= 0)
        entry = pl.when(is_open).then(-math.inf).otherwise(pl.col("start_day").cast(pl.Float64))
        yield dict(zip(labels, key, strict=True)), ordered.with_columns(entry.alias("_entry"))


def _refuse(frame: pl.DataFrame, is_wrong: pl.Expr, what: str) -> None:
    wrong = frame.filter(is_wrong.fill_null(False))
    if wrong.height:
        raise TableError(
            f"`recurrent`: {what} in {wrong.height} of {frame.height} rows, the first is row {wrong.sort('_row')['_row'][0]}."
        )
