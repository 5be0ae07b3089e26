"""Rows of ours gathered from several rows of a source, and parts of a table put below or beside each other."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ahsct.tables.mapped_values import Log
from ahsct.tables.mapping import TableMap
from ahsct.tables.sdtm import LAST_SEEN
from ahsct.tables.units import UNREAD

_FLAG = " "  # stands between a date and its flag while rows are gathered, so that they stay together


def _sum_of_known(values: pl.Expr) -> pl.Expr:
    return pl.when(values.len() > 0).then(values.sum())  # nothing known is not none


_PICKS: dict[str, Callable[[pl.Expr], pl.Expr]] = {
    "first": pl.Expr.first, "last": pl.Expr.last, "min": pl.Expr.min, "max": pl.Expr.max, "mean": pl.Expr.mean,
    "sum": _sum_of_known,
}  # fmt: skip


def gathered(table: pl.DataFrame, part: TableMap, log: Log) -> pl.DataFrame:
    """Return one row for each combination of `group_by`, the other columns picked; the log counts what differed."""
    flags = [name for name in table.columns if name.endswith("_imputed")]
    table = _summable(_with_flags(table), part, log)
    run = _runs(table, list(part.group_by))
    if run is not None and run.n_unique() == table.height:
        return _without_flags(table, flags)  # one row each: nothing to pick
    picked, differs = [], []
    for name in table.columns:
        if name in part.group_by:
            continue
        pick = part.column(name).pick
        if table[name].null_count() == table.height:
            picked.append(pl.col(name).first())
            continue
        picked.append(_picked(table, name, pick))
        if pick in ("first", "last"):
            differs.append((pl.col(name).min() != pl.col(name).max()).alias(f"differs {name}"))
    if run is None:
        grouped = table.group_by(*part.group_by, maintain_order=True).agg(*picked, *differs)
    else:
        rows = table.with_columns(run.set_sorted().alias("_run")).group_by("_run", maintain_order=True)
        grouped = rows.agg(pl.col(part.group_by).first(), *picked, *differs).drop("_run")
    for name in grouped.columns[len(table.columns) :]:
        origin = name.removeprefix("differs ")
        what = f"several different values, the {part.column(origin).pick} taken"
        log.add(part.source, origin, what, int(grouped[name].fill_null(False).sum()), f"rows of {part.table}")
    return _without_flags(grouped.select(table.columns), flags)


def _picked(table: pl.DataFrame, name: str, pick: str) -> pl.Expr:
    """Return the value of a group; a number in an unknown unit stands for the whole, so that the check refuses it."""
    values = pl.col(name).drop_nulls()
    is_text = pick not in ("first", "last") and table.schema[name] == pl.String
    if not is_text or not table[name].str.contains(UNREAD, literal=True).any():
        return _PICKS[pick](values).alias(name)
    is_unread = values.str.contains(UNREAD, literal=True)
    number = _PICKS[pick](values.cast(pl.Float64, strict=False)).cast(pl.String)
    return pl.when(is_unread.any()).then(values.filter(is_unread).first()).otherwise(number).alias(name)


def prefer_days(made: dict[str, pl.Series], flags: dict[str, pl.Series]) -> None:
    """Take back a completed date where the row gives the study day."""
    for flagged in list(flags):
        name = flagged.removesuffix("_imputed")
        day = made.get(f"{name.removesuffix('_date')}_day")
        if day is None or not name.endswith("_date"):
            continue
        is_known = day.is_not_null() & flags[flagged].is_not_null()
        made[name] = made[name].set(is_known, None)
        flags[flagged] = flags[flagged].set(is_known, None)


def _with_flags(table: pl.DataFrame) -> pl.DataFrame:
    """Return dates with their flag in one text, so that the same row gives both."""
    flags = [name for name in table.columns if name.endswith("_imputed")]
    both = [
        pl.concat_str(
            pl.col(flag.removesuffix("_imputed")).cast(pl.String),
            pl.coalesce(_FLAG + pl.col(flag), pl.lit("")),
        )
        for flag in flags
    ]
    return table.with_columns(both).drop(flags)


def _without_flags(table: pl.DataFrame, flags: list[str]) -> pl.DataFrame:
    """Return dates and flags apart again."""
    for flag in flags:
        parts = pl.col(flag.removesuffix("_imputed")).str.splitn(_FLAG, 2)
        table = table.with_columns(
            parts.struct.field("field_0").alias(flag.removesuffix("_imputed")),
            parts.struct.field("field_1").alias(flag),
        )
    return table


def _runs(table: pl.DataFrame, keys: list[str]) -> pl.Series | None:
    """Return the number of the run of equal keys of each row; None where keys fall, so that one may come back.

    Most sources are sorted, and gathering run by run takes a tenth of the time.
    """
    is_same = pl.Series([True]).new_from_index(0, table.height)
    is_later = ~is_same
    for key in keys:
        before = table[key].shift(1)
        is_later |= (is_same & (table[key] > before)).fill_null(False)
        is_same &= table[key].eq_missing(before)
    if not (is_same | is_later).slice(1).all():
        return None
    return (~is_same).cum_sum()


def _summable(table: pl.DataFrame, part: TableMap, log: Log) -> pl.DataFrame:
    """Return numbers that came as text as numbers, where they are averaged, added or compared."""
    made = []
    for name in part.columns:
        pick = part.column(name).pick
        if name not in table.columns or table.schema[name] != pl.String or pick in ("first", "last"):
            continue
        number = table[name].cast(pl.Float64, strict=False)
        if table[name].str.contains(UNREAD, literal=True).any():
            continue  # a mean without them would be a wrong number
        n_words = int((number.is_null() & table[name].is_not_null()).sum())
        if pick in ("min", "max") and n_words:
            continue  # dates and words have an order of their own
        log.add(part.source, name, f"no number, left out of the {pick}", n_words)
        made.append(number.alias(name))
    return table.with_columns(made)


def beside(first: pl.DataFrame, second: pl.DataFrame, part: TableMap, log: Log) -> pl.DataFrame:
    """Return two parts of a table below each other, or side by side where they share keys."""
    keys = list(part.merge_on)
    if not keys:
        return pl.concat([_as_text(first, second), _as_text(second, first)], how="diagonal")
    first, second = _as_text(first, second), _as_text(second, first)
    joined = first.join(
        second,
        on=keys,
        how="full",
        coalesce=True,
        nulls_equal=True,
        suffix="_second",
        maintain_order="left_right",
    )
    both = [name for name in second.columns if f"{name}_second" in joined.columns]
    if part.source != LAST_SEEN:  # which only fills what nothing else said
        for name in both:
            if name.endswith("_imputed"):
                continue
            n = joined.select((pl.col(name) != pl.col(f"{name}_second")).fill_null(False).sum()).item()
            what = "differs from the value of another table, left out"
            log.add(part.source, name, what, n, f"rows of {part.table}")
    values = [name for name in both if not name.endswith("_imputed")]
    flags = [
        name for name in joined.columns if name.removesuffix("_imputed") in values and name not in values
    ]
    nothing = pl.lit(None, pl.String)
    chosen = []
    for name in [name for name in flags if not name.endswith("_second")]:  # a flag stays with its date
        own = pl.col(name) if name in first.columns else nothing
        other = pl.col(f"{name}_second" if name in both else name) if name in second.columns else nothing
        is_first = pl.col(name.removesuffix("_imputed")).is_not_null()
        chosen.append(pl.when(is_first).then(own).otherwise(other).alias(name))
    return joined.with_columns(
        *(pl.coalesce(name, f"{name}_second").alias(name) for name in values), *chosen
    ).drop(f"{name}_second" for name in both)


def _as_text(frame: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return a frame in which columns that the other types otherwise are text."""
    return frame.with_columns(
        pl.col(name).cast(pl.String)
        for name in frame.columns
        if name in other.columns and frame.schema[name] != other.schema[name]
    )
