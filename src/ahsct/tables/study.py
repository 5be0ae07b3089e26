"""A study: its tables, what is wrong with them, where they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import polars as pl

from ahsct.errors import TableError, did_you_mean
from ahsct.vocabulary import INPUT_TABLES, PROBLEMS, SCHEMAS, empty

DataKind = Literal["observed", "reconstructed", "simulated"]
DATA_KINDS: tuple[DataKind, ...] = ("observed", "reconstructed", "simulated")
SET_ASIDE = pl.Schema({"patient_id": pl.String(), "n_problems": pl.Int64(), "rules": pl.String()})


@dataclass(frozen=True)
class Study:
    """Tables keyed by `patient_id`, in the order they were read, each with its `row` (first = 1).

    `problems` (schema PROBLEMS) are those found while reading; `find_problems` adds the rest.
    `sources` maps each file read to its SHA-256. `set_aside` lists patients left out by
    `check(set_aside=True)`.
    """

    study_id: str
    tables: Mapping[str, pl.DataFrame]
    data_kind: DataKind = "observed"
    problems: pl.DataFrame = field(default_factory=lambda: empty(PROBLEMS))
    sources: Mapping[str, str] = field(default_factory=dict)
    set_aside: pl.DataFrame = field(default_factory=lambda: empty(SET_ASIDE))
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "tables", MappingProxyType(dict(self.tables)))
        object.__setattr__(self, "sources", MappingProxyType(dict(self.sources)))

    def __reduce__(self) -> tuple[type[Study], tuple[object, ...]]:
        """Travel to a worker as plain dictionaries, because read-only views cannot."""
        parts = (self.study_id, dict(self.tables), self.data_kind, self.problems, dict(self.sources))
        return Study, (*parts, self.set_aside, self.title)

    def has(self, name: str) -> bool:
        """Return True when the study holds this table with at least one row."""
        return name in self.tables and self.tables[name].height > 0

    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return a table; with `columns`, exactly these, absent ones as typed missing values.

        A table that the study lacks comes back without rows.

        Raises
        ------
        TableError
            The vocabulary knows no such table or column.
        """
        if name not in INPUT_TABLES:
            raise TableError(
                f"No table {name!r}; known are {', '.join(INPUT_TABLES)}.{did_you_mean(name, INPUT_TABLES)}"
            )
        schema = {**SCHEMAS[name], "row": pl.Int64()}
        frame = self.tables.get(name)
        if frame is None:
            frame = pl.DataFrame(schema=schema)
        if columns is None:
            return frame
        for column in columns:
            if column not in schema:
                raise TableError(f"Table {name!r} has no column {column!r}.{did_you_mean(column, schema)}")
        return frame.select(
            pl.col(column) if column in frame.columns else pl.lit(None, dtype=schema[column]).alias(column)
            for column in columns
        )

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of all tables (names, types, values; rows sorted as read)."""
        digest = hashlib.sha256()
        for name in sorted(self.tables):
            frame = self.tables[name]
            digest.update(f"{name}:{dict(frame.schema)}".encode())
            digest.update(frame.write_csv().encode())
        return digest.hexdigest()


def make_study(study_id: str, /, *, data_kind: DataKind, **tables: pl.DataFrame) -> Study:
    """Return a study from tables in memory: typed, with `row` and the day twins added.

    A value that cannot be cast, an unknown column and the like become problems, as in `read_study`.

    Raises
    ------
    TableError
        An unknown table name or data kind.

    Examples
    --------
    >>> study = make_study(
    ...     "two", data_kind="simulated",
    ...     patients=pl.DataFrame({"patient_id": ["a", "b"]}),
    ...     visits=pl.DataFrame({"patient_id": ["a", "b"], "visit_day": [0, 0], "edss": [3.0, 4.5]}),
    ... )
    >>> study.table("visits", ["patient_id", "edss"]).height
    2
    """
    if data_kind not in DATA_KINDS:
        raise TableError(f"data_kind must be one of {DATA_KINDS}, not {data_kind!r}.")
    for name in tables:
        if name not in INPUT_TABLES:
            raise TableError(
                f"No table {name!r}; known are {', '.join(INPUT_TABLES)}.{did_you_mean(name, INPUT_TABLES)}"
            )
    from ahsct.tables.typed import type_tables

    typed, problems = type_tables(tables)
    return Study(study_id=study_id, tables=typed, data_kind=data_kind, problems=problems)
