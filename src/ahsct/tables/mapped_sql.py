"""The SQL expressions of a mapping over the columns of one table."""

from __future__ import annotations

import polars as pl

from ahsct.errors import SourceError, did_you_mean
from ahsct.tables.mapping import Mapping, TableMap

_MANY_ROWS = 10_000
# the different rows of some columns of one frame, and which of them each row is; None where they are many
Kinds = dict[tuple[str, ...], tuple[pl.DataFrame, pl.Series] | None]


def evaluate(frame: pl.DataFrame, expression: str, where: str, source: str, kinds: Kinds) -> pl.Series:
    """Return a SQL expression over the columns of one table (matched without regard to case).

    Where the columns hold few different values (the names of tests), each combination is looked at once;
    `kinds` keeps them for the next expression over the same columns of this frame.
    """
    try:
        parsed = pl.sql_expr(expression)
        renamed = _in_asked_case(frame, parsed)
        is_plain = len(renamed.columns) == 1 and expression.casefold() == renamed.columns[0].casefold()
        found = None if is_plain or renamed.height < _MANY_ROWS else _kinds_of(renamed, kinds)
        if found is None:
            values = renamed.select(parsed.alias("value")).to_series()
        else:
            few, kind = found
            values = few.with_columns(parsed.alias("_value"))["_value"].gather(kind).alias("value")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        # other messages quote values, which may identify a person
        can_quote = (
            pl.exceptions.ColumnNotFoundError,
            pl.exceptions.SQLSyntaxError,
            pl.exceptions.SQLInterfaceError,
        )
        text = str(error).strip().splitlines()[0][:160]
        reason = text if isinstance(error, can_quote) else f"its values do not fit ({type(error).__name__})"
        known = ", ".join(frame.columns[:20])
        raise SourceError(
            f"The mapping's expression for {where} cannot be run on {source}: {reason}. Its columns: {known}."
        ) from None
    return values if len(values) == frame.height else values.new_from_index(0, frame.height)


def condition(frame: pl.DataFrame, expression: str, where: str, source: str, kinds: Kinds) -> pl.Series:
    """Return which rows a SQL condition takes; unknown is not taken."""
    hit = evaluate(frame, expression, where, source, kinds)
    if hit.dtype not in (pl.Boolean, pl.Null):
        raise SourceError(
            f"The mapping's condition for {where} on {source} must be true or false, not {hit.dtype}."
        )
    return hit.cast(pl.Boolean).fill_null(False)


def look_at_conditions(frame: pl.DataFrame, part: TableMap, kinds: Kinds) -> None:
    """Find the kinds of row that all conditions of a map's columns tell apart, in one go."""
    if frame.height < _MANY_ROWS:
        return
    asked: set[str] = set()
    for name in part.columns:
        try:
            asked |= columns_of(part.column(name).where or "NULL", frame)
        except pl.exceptions.PolarsError:
            return  # it is named where it is run
    if asked:
        _kinds_of(frame.select(sorted(asked)), kinds)


def _kinds_of(columns: pl.DataFrame, kinds: Kinds) -> tuple[pl.DataFrame, pl.Series] | None:
    """Return the different rows of some columns and which of them each row is; None where they are many."""
    names = tuple(columns.columns)
    for known, found in kinds.items():
        if found is not None and set(names) <= set(known):
            return found
    if names not in kinds:
        # sorted by test, rows repeat: the first of each run tells as much
        differs = pl.any_horizontal(pl.all().ne_missing(pl.all().shift(1)))
        is_new = columns.select(differs | (pl.int_range(pl.len()) == 0)).to_series()
        run = is_new.cum_sum() - 1
        firsts = columns.filter(is_new) if 2 * run[-1] < columns.height else columns
        few = firsts.unique(maintain_order=True).with_row_index("_kind")
        kinds[names] = None
        if 10 * few.height < columns.height:
            joined = firsts.join(few, on=names, how="left", nulls_equal=True, maintain_order="left")
            kind = joined["_kind"]
            kinds[names] = (few, kind if firsts is columns else kind.gather(run))
    return kinds[names]


def _in_asked_case(frame: pl.DataFrame, parsed: pl.Expr) -> pl.DataFrame:
    by_fold = {name.casefold(): name for name in frame.columns}
    asked = dict.fromkeys(parsed.meta.root_names())
    absent = [name for name in asked if name.casefold() not in by_fold]
    if absent:
        raise pl.exceptions.ColumnNotFoundError(
            f"there is no column {absent[0]!r}{did_you_mean(absent[0], frame.columns)}"
        )
    return frame.select(pl.col(by_fold[name.casefold()]).alias(name) for name in asked) if asked else frame


def columns_of(expression: str, frame: pl.DataFrame) -> set[str]:
    """Return the columns of a frame that an expression names."""
    by_fold = {name.casefold(): name for name in frame.columns}
    return {
        by_fold[name.casefold()]
        for name in pl.sql_expr(expression).meta.root_names()
        if name.casefold() in by_fold
    }


def columns_used(part: TableMap, frame: pl.DataFrame) -> set[str]:
    """Return the columns of a frame that a map needs."""
    return set().union(*(columns_of(text, frame) for text in expressions(part)))


def expressions(part: TableMap) -> list[str]:
    """Return every expression of a map."""
    texts = [part.where, *part.order_by]
    for name in part.columns:
        column = part.column(name)
        texts += [column.value, column.where, column.unit, *column.not_before, *column.not_after]
    return [text for text in texts if text]


def expressions_aside(mapping: Mapping) -> list[tuple[str, str]]:
    """Return the expressions that make no column of ours, with the source table of each."""
    drop = [(rule.source.casefold(), rule.where) for rule in mapping.drop]
    derive = [(new.source.casefold(), new.value) for new in mapping.derive]
    tell = [
        (said.source.casefold(), text) for said in mapping.tell for text in (said.where, said.listed) if text
    ]
    return drop + derive + tell
