"""Mappings: which columns of a source become which of ours, as data that users copy and edit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ahsct.definitions.load import build_strictly
from ahsct.definitions.rules import strictly
from ahsct.definitions.shipped import shipped_ids, toml_data, toml_text
from ahsct.errors import DefinitionError, did_you_mean
from ahsct.tables.partial_dates import Partial
from ahsct.vocabulary import INPUT_TABLES, columns

_SHIPPED = {"package": "ahsct.tables", "folder": "mappings", "what": "mapping"}
Pick = Literal["first", "last", "min", "max", "mean", "sum"]


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """How one of our columns is made from a source's row.

    `value`: a SQL expression over the source's columns (no subqueries, no files). `codes`: what its values mean,
    matched without regard to case and blanks; a value outside the list stays as it is and the check refuses it,
    unless `other = "missing"`. `missing`: values that mean "not known". `times`: factor into our unit. `day`:
    "sdtm" turns study days without a day 0 into ours. `date`: a strptime format, "iso" for ISO 8601; `partial`:
    what becomes of "2003" or "2003-05": left missing, or completed (and flagged in `<column>_imputed`: M = month
    and day, D = day), but not where the row gives the day twin; a completed date keeps, inside its period, to
    `not_before` and `not_after` (expressions that give dates). `imputed`: the flag of a column that is always made
    from something less precise. `unit`: an expression that gives the unit of a number, `units`: the factors into ours;
    a number with another unit is kept as text, and the check refuses it. In a grouped table: `where` keeps only
    some rows for this column, `pick` chooses among them.
    """

    value: str
    codes: dict[str, str] = field(default_factory=dict)
    other: Literal["keep", "missing"] = "keep"
    missing: tuple[str, ...] = ()
    times: float = 1.0
    day: Literal["as_is", "sdtm"] = "as_is"
    date: str | None = None
    partial: Partial = "missing"
    not_before: tuple[str, ...] = ()
    not_after: tuple[str, ...] = ()
    imputed: Literal["D", "M"] | None = None
    unit: str | None = None
    units: dict[str, float] = field(default_factory=dict)
    where: str | None = None
    pick: Pick = "first"


@dataclass(frozen=True, kw_only=True)
class TableMap:
    """One source table that feeds one of ours.

    `where` that takes no row makes no table: rows of another kind say nothing of this one (unknown, not none).
    Without `group_by` each row gives a row. With it (names of our columns) the rows are gathered: one row for
    each combination, the other columns picked from its rows. Several maps of one table are put below each
    other, or, with `merge_on`, beside each other: values that are there already stay (others are counted).
    `needs_one_of`: columns of which one must be known, such as a visit's date and day; other rows are dropped
    and counted, because a value without a time is none of a course. `order_by`: expressions by which the source's
    rows are sorted first, so that "first" and "last" mean something. `fallback`: used only where no earlier map made
    the table, because its rows say the same again; else they are counted.
    """

    table: str
    source: str
    columns: dict[str, str | ColumnMap]
    where: str | None = None
    group_by: tuple[str, ...] = ()
    merge_on: tuple[str, ...] = ()
    needs_one_of: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    fallback: bool = False

    def __post_init__(self) -> None:
        if self.table not in INPUT_TABLES:
            raise DefinitionError(f"no table {self.table!r} of ours.{did_you_mean(self.table, INPUT_TABLES)}")
        known = columns(self.table)
        for name in (*self.columns, *self.group_by, *self.merge_on, *self.needs_one_of):
            if name not in known:
                raise DefinitionError(f"{self.table} has no column {name!r}.{did_you_mean(name, known)}")
        for name in (*self.group_by, *self.merge_on, *self.needs_one_of):
            if name not in self.columns:
                raise DefinitionError(
                    f"{self.table}: group_by, merge_on and needs_one_of name {name!r}, which is not mapped."
                )

    def column(self, name: str) -> ColumnMap:
        """Return how a column is made; a bare expression stands for a map with nothing else."""
        found = self.columns[name]
        return ColumnMap(value=found) if isinstance(found, str) else found


@dataclass(frozen=True, kw_only=True)
class DropRule:
    """Rows of a source that are no observations; they are counted and the reason is kept.

    `everywhere` names a column, such as the patient's id: what stands there in these rows is dropped from every table
    that has the column.
    """

    source: str
    where: str
    why: str
    everywhere: str | None = None


@dataclass(frozen=True, kw_only=True)
class DeriveRule:
    """A further column of a source table, made once from its others and used by several expressions."""

    source: str
    column: str
    value: str


@dataclass(frozen=True, kw_only=True)
class TellRule:
    """Rows that are read, but in a way that a reader must know; they are counted, and the values of `listed` named."""

    source: str
    where: str
    why: str
    listed: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A whole mapping.

    `seen` says where the source's names come from; recalled ones must be checked. `absent_columns`: whether a
    column that a present table lacks is an error, or missing throughout (standards leave many columns optional).
    `prepare`: "sdtm" first joins supplementary qualifiers (SUPP--) to their parents as columns and adds the table
    LASTSEEN (USUBJID, LSTDTC, LSTDY): the latest date and study day in any domain; "redcap" splits a flat export
    into one table per instrument of its data dictionary. `not_reported`: columns that
    no mapping needs (keys, sequence numbers; "*" stands for any letters): they are left out of the log. `derive`
    and then `tell` come after `drop`: further columns, and what must be said of rows that are read.
    """

    schema: Literal[1]
    id: str
    title: str
    seen: Literal["source", "recalled"]
    tables: tuple[TableMap, ...]
    drop: tuple[DropRule, ...] = ()
    derive: tuple[DeriveRule, ...] = ()
    tell: tuple[TellRule, ...] = ()
    absent_columns: Literal["error", "missing"] = "error"
    prepare: Literal["none", "sdtm", "redcap"] = "none"
    not_reported: tuple[str, ...] = ()
    note: str | None = None

    def __post_init__(self) -> None:
        if not self.tables:
            raise DefinitionError("a mapping needs one or more tables.")


strictly(ColumnMap, TableMap, DropRule, DeriveRule, TellRule, Mapping)


def list_mappings() -> list[str]:
    """Return the ids of the shipped mappings."""
    return shipped_ids(_SHIPPED["package"], _SHIPPED["folder"])


def load_mapping(id_or_file: str | Path | dict[str, Any] | Mapping) -> Mapping:
    """Return a shipped mapping by its id, or a user's own from a TOML file or as the same keys in a dict.

    Raises
    ------
    DefinitionError
        Neither a shipped id nor a readable file; an unknown key, table or column: the nearest name is given.
    """
    if isinstance(id_or_file, Mapping):
        return id_or_file
    if isinstance(id_or_file, dict):
        return build_strictly(Mapping, id_or_file, "mapping")
    data, name = toml_data(id_or_file, **_SHIPPED)
    return build_strictly(Mapping, data, name)


def mapping_text(id_or_file: str | Path) -> str:
    """Return the TOML text behind a mapping, to save and change."""
    return toml_text(id_or_file, **_SHIPPED)[0]
