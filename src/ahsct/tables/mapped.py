"""A source's tables through a mapping: ours, and a log of what was dropped, completed or left unmapped."""

from __future__ import annotations

from collections.abc import Mapping as Tables
from dataclasses import dataclass
from fnmatch import fnmatch

import polars as pl

from ahsct.tables.mapped_gather import beside, gathered, prefer_days
from ahsct.tables.mapped_rules import apply_rules
from ahsct.tables.mapped_sql import (
    Kinds,
    columns_of,
    columns_used,
    condition,
    evaluate,
    expressions,
    expressions_aside,
    look_at_conditions,
)
from ahsct.tables.mapped_values import LOG, Log, converted, with_units
from ahsct.tables.mapping import Mapping, TableMap
from ahsct.tables.redcap import prepare_redcap
from ahsct.tables.sdtm import prepare_sdtm

_MANY_KINDS = 12


@dataclass(frozen=True)
class Mapped:
    """`tables`: ours, untyped; `log`: what was dropped, completed, outside a code list, or not mapped."""

    tables: dict[str, pl.DataFrame]
    log: pl.DataFrame


def apply_mapping(sources: Tables[str, pl.DataFrame], mapping: Mapping) -> Mapped:
    """Return our tables from a source's, as a mapping says.

    Source tables and columns are matched without regard to case. A map whose source table is absent is
    skipped; columns of a present table that an expression needs must be there.

    Parameters
    ----------
    sources
        The source's tables by name, columns as text or as the format types them.
    mapping
        Which become which.

    Returns
    -------
    Mapped
        Untyped tables in the order of the mapping, and the log. Nothing is dropped but what a `drop` rule
        names; a code outside a list stays as it is (and the check refuses it) unless the mapping says otherwise.

    Raises
    ------
    SourceError
        An expression cannot be run: table, column and reason are named, never a value.
    """
    log = Log()
    if mapping.prepare != "none":
        sources = {"sdtm": prepare_sdtm, "redcap": prepare_redcap}[mapping.prepare](sources)
    tables = {name.casefold(): frame for name, frame in sources.items()}
    names = {name.casefold(): name for name in sources}
    absent: dict[str, list[str]] = {}
    if mapping.absent_columns == "missing":
        asked = _asked(mapping)
        own = {(new.source.casefold(), new.column) for new in mapping.derive}
        absent = {
            key: [name for name in _absent(frame, asked.get(key, set())) if (key, name) not in own]
            for key, frame in tables.items()
        }
        tables = {
            key: frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent[key])
            for key, frame in tables.items()
        }
    tables = apply_rules(tables, mapping, names, log)
    made: dict[str, pl.DataFrame] = {}
    used: dict[str, set[str]] = {}
    taken: dict[str, pl.Series] = {}
    empty: dict[str, tuple[str, int]] = {}
    for part in mapping.tables:
        key = part.source.casefold()
        if key not in tables:
            continue
        frame, mine = _one_map(tables[key], part, log, absent.get(key, []))
        taken[key] = taken[key] | mine if key in taken else mine
        used.setdefault(key, set()).update(columns_used(part, tables[key]))
        if part.where is not None and frame.is_empty():
            # rows of another kind say nothing of this one: unknown, not none
            empty.setdefault(part.table, (part.source, tables[key].height))
            continue
        if part.fallback and part.table in made:
            log.add(
                part.source,
                None,
                f"rows left out, because {part.table} has rows from elsewhere",
                frame.height,
            )
            continue
        made[part.table] = beside(made[part.table], frame, part, log) if part.table in made else frame
    for table, (source, n) in empty.items():
        if table not in made:
            log.add(source, None, f"no row for {table}, which is taken as not recorded", n)
    for source, text in expressions_aside(mapping):
        if source in used:
            used[source] |= columns_of(text, tables[source])
    for new in mapping.derive:
        used.get(new.source.casefold(), set()).add(new.column)
    for key, frame in tables.items():
        if key not in used and any(said.source.casefold() == key for said in mapping.tell):
            continue  # no table of ours, but read: the log says for what
        if key not in used:
            log.add(names[key], None, "table not mapped", max(frame.height, 1), f"{frame.height} rows")
            continue
        left = frame.filter(~taken[key])
        log.add(names[key], None, "rows not mapped", left.height, _by_test(left))
        for column in frame.columns:
            is_expected = any(fnmatch(column.casefold(), form.casefold()) for form in mapping.not_reported)
            if column not in used[key] and not is_expected:
                n = frame.height - frame[column].null_count()
                log.add(names[key], column, "column not mapped", n)
    return Mapped(made, pl.DataFrame(log.rows, schema=LOG, orient="row"))


def _asked(mapping: Mapping) -> dict[str, set[str]]:
    """Return the columns that the expressions of a mapping name, by source table."""
    asked: dict[str, set[str]] = {}
    for source, text in (
        *expressions_aside(mapping),
        *((part.source, text) for part in mapping.tables for text in expressions(part)),
    ):
        try:
            names = pl.sql_expr(text).meta.root_names()
        except pl.exceptions.PolarsError:
            continue  # it is named where it is run
        asked.setdefault(source.casefold(), set()).update(names)
    return asked


def _absent(frame: pl.DataFrame, asked: set[str]) -> list[str]:
    has = {name.casefold() for name in frame.columns}
    return [name for name in sorted(asked) if name.casefold() not in has]


def _by_test(rows: pl.DataFrame) -> str | None:
    """Return how many rows each test or category has, the most frequent first; None where nothing tells them apart."""
    kinds = [name for ending in ("TESTCD", "CAT") for name in rows.columns if name.upper().endswith(ending)]
    if not kinds or rows.is_empty():
        return None
    counts = rows[kinds[0]].value_counts(sort=True).head(_MANY_KINDS)
    listed = ", ".join(f"{'none' if value is None else value} {n}" for value, n in counts.iter_rows())
    return f"{kinds[0]}: {listed}"


def _one_map(
    frame: pl.DataFrame, part: TableMap, log: Log, absent: list[str]
) -> tuple[pl.DataFrame, pl.Series]:
    """Return our rows, and which rows of the source they came from."""
    where = f"{part.source} to {part.table}"
    kinds: Kinds = {}
    taken = pl.Series([True]).new_from_index(0, frame.height)
    if part.where is not None:
        taken = condition(frame, part.where, where, part.source, kinds)
        if not taken.all():
            frame, kinds = frame.filter(taken), {}
    if part.order_by:
        keys = [
            evaluate(frame, text, where, part.source, {}).alias(f"{i}")
            for i, text in enumerate(part.order_by)
        ]
        place = (
            pl.DataFrame(keys).with_row_index("_place").sort([key.name for key in keys], maintain_order=True)
        )
        frame, kinds, taken_at = frame[place["_place"]], {}, taken.arg_true()[place["_place"]]
    else:
        taken_at = taken.arg_true()
    look_at_conditions(frame, part, kinds)
    mine = pl.Series([False]).new_from_index(0, frame.height)
    is_partial = False
    made: dict[str, pl.Series] = {}
    flags: dict[str, pl.Series] = {}
    for name in part.columns:
        column = part.column(name)
        values = evaluate(frame, column.value, f"{where}.{name}", part.source, kinds)
        if column.where is not None:
            hit = condition(frame, column.where, f"{where}.{name}", part.source, kinds)
            mine, is_partial = mine | hit, True
            values = pl.select(pl.when(hit).then(values)).to_series()
        is_key = name in (*part.group_by, *part.merge_on)
        if (
            values.null_count() == len(values)
            and not is_key
            and columns_of(column.value, frame) <= set(absent)
        ):
            continue  # the source has nothing of it
        if column.unit is not None:
            unit = evaluate(frame, column.unit, f"{where}.{name}", part.source, kinds)
            values = with_units(values, unit, column, part.source, name, log)
        before, after = (
            [evaluate(frame, text, f"{where}.{name}", part.source, {}).cast(pl.String) for text in texts]
            for texts in (column.not_before, column.not_after)
        )
        made[name], flag = converted(values, column, (before, after), part.source, name, log)
        if column.imputed is not None:
            flag = pl.select(pl.when(made[name].is_not_null()).then(pl.lit(column.imputed))).to_series()
        if flag is not None:
            flags[f"{name}_imputed"] = flag
    prefer_days(made, flags)
    table = pl.DataFrame([values.alias(name) for name, values in (made | flags).items()])
    if is_partial and part.group_by:  # a test in rows that no column asks for
        taken = taken.scatter(taken_at, mine)
    if part.needs_one_of:
        asked = [name for name in part.needs_one_of if name in table.columns]
        is_timed = (
            table.select(pl.any_horizontal(pl.col(asked).is_not_null())).to_series()
            if asked
            else pl.Series([False]).new_from_index(0, table.height)
        )
        what = f"rows dropped without {' or '.join(part.needs_one_of)}"
        log.add(part.source, None, what, int((~is_timed).sum()), f"for {part.table}")
        table = table.filter(is_timed)
    if not part.group_by:
        return table, taken
    return gathered(table, part, log), taken
