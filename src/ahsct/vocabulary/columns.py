"""Reads the vocabulary's CSV files and turns them into Polars schemas."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from ahsct.errors import TableError, did_you_mean

INPUT_TABLES = (
    "patients",
    "visits",
    "relapses",
    "mri",
    "brain_volume",
    "transplants",
    "treatments",
    "labs",
    "transfusions",
    "adverse_events",
    "employment",
    "follow_up",
)
_DERIVED_TABLES = (
    "events",
    "candidates",
    "confirmations",
    "time_to_event",
    "recurrent",
    "transitions",
    "not_evaluable",
    "patient_values",
    "curve",
    "results",
    "flow",
    "problems",
    "evidence_studies",
    "evidence_results",
    "evidence_overlaps",
)
_DTYPES: Mapping[str, pl.DataType] = {
    "text": pl.String(),
    "number": pl.Float64(),
    "integer": pl.Int64(),
    "count": pl.Int64(),
    "day": pl.Int64(),
    "date": pl.Date(),
    "flag": pl.Boolean(),
    "list": pl.List(pl.String()),
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: `is_required` is "yes", "no" or "either" (the date or its day twin)."""

    name: str
    type: str
    unit: str
    minimum: float | None
    maximum: float | None
    codes: tuple[str, ...]
    is_required: str
    label: str
    adam: str

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type."""
        return _DTYPES[self.type]


@cache
def columns(table: str) -> Mapping[str, Column]:
    """Return the columns of one table by name, in order.

    Raises
    ------
    TableError
        There is no such table.

    Examples
    --------
    >>> columns("visits")["edss"].maximum
    10.0
    """
    known = (*INPUT_TABLES, *_DERIVED_TABLES)
    if table not in known:
        raise TableError(f"No table {table!r}; known are {', '.join(known)}.{did_you_mean(table, known)}")
    text = (files("ahsct.vocabulary") / "tables" / f"{table}.csv").read_text(encoding="utf-8")
    return {
        row["name"]: Column(
            name=row["name"],
            type=row["type"],
            unit=row["unit"],
            minimum=float(row["minimum"]) if row["minimum"] else None,
            maximum=float(row["maximum"]) if row["maximum"] else None,
            codes=tuple(row["codes"].split(";")) if row["codes"] else (),
            is_required=row["is_required"] or "no",
            label=row["label"],
            adam=row["adam"],
        )
        for row in csv.DictReader(text.splitlines())
    }


def _schema(table: str) -> pl.Schema:
    return pl.Schema({name: column.dtype for name, column in columns(table).items()})


SCHEMAS: Mapping[str, pl.Schema] = {table: _schema(table) for table in (*INPUT_TABLES, *_DERIVED_TABLES)}


def empty(schema: pl.Schema) -> pl.DataFrame:
    """Return a table of this schema without rows."""
    return pl.DataFrame(schema=schema)


def from_rows(rows: Iterable[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Return a table of this schema from mappings; a key left out is missing, an unknown key an error."""
    rows = list(rows)
    for row in rows:
        unknown = sorted(row.keys() - schema.keys())
        if unknown:
            raise TableError(f"Unknown column {unknown[0]!r}.{did_you_mean(unknown[0], schema)}")
    return pl.DataFrame(
        {name: [row.get(name) for row in rows] for name in schema}, schema=schema, strict=True
    )


def conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """Return the frame with exactly the schema's columns, order and types; absent columns are missing."""
    if frame.schema == schema:
        return frame
    return frame.select(
        (pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype)).alias(name)
        for name, dtype in schema.items()
    )


def require_columns(function: str, argument: str, frame: pl.DataFrame, needed: Sequence[str]) -> None:
    """Raise a TableError that names the first column of `needed` that `frame` lacks."""
    for name in needed:
        if name not in frame.columns:
            raise TableError(
                f"{function} needs column {name!r} in `{argument}`, which has {frame.columns}."
                f"{did_you_mean(name, frame.columns)}"
            )
