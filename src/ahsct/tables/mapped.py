"""A source's tables through a mapping: ours, and a log of what was dropped, completed or left unmapped."""

from __future__ import annotations

from collections.abc import Mapping as Tables
from dataclasses import dataclass
from fnmatch import fnmatch

import polars as pl

from ahsct.errors import SourceError, did_you_mean
from ahsct.tables.mapping import ColumnMap, Mapping, TableMap
from ahsct.tables.redcap import prepare_redcap
from ahsct.tables.sdtm import LAST_SEEN, prepare_sdtm

LOG = {
    "source": pl.String(),
    "column": pl.String(),
    "what": pl.String(),
    "n": pl.Int64(),
    "detail": pl.String(),
}
_MANY_ROWS, _MANY_KINDS = 10_000, 12
# the different rows of some columns of one frame, and which of them each row is; None where they are many
_Kinds = dict[tuple[str, ...], tuple[pl.DataFrame, pl.Series] | None]
_PICKS = {
    "first": pl.Expr.first, "last": pl.Expr.last, "min": pl.Expr.min, "max": pl.Expr.max, "mean": pl.Expr.mean,
    "sum": pl.Expr.sum,
}  # fmt: skip
_PARTIAL = {
    "first": ("-01-01", "-01"),
    "middle": ("-07-01", "-15"),
    "last": ("-12-31", None),  # the last day of the month is computed
}


@dataclass(frozen=True)
class Mapped:
    """`tables`: ours, untyped; `log`: what was dropped, completed, outside a code list, or not mapped."""

    tables: dict[str, pl.DataFrame]
    log: pl.DataFrame


class _Log:
    def __init__(self) -> None:
        self.rows: list[tuple[str, str | None, str, int, str | None]] = []

    def add(self, source: str, column: str | None, what: str, n: int, detail: str | None = None) -> None:
        if n:
            self.rows.append((source, column, what, n, detail))


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
    log = _Log()
    if mapping.prepare != "none":
        sources = {"sdtm": prepare_sdtm, "redcap": prepare_redcap}[mapping.prepare](sources)
    tables = {name.casefold(): frame for name, frame in sources.items()}
    names = {name.casefold(): name for name in sources}
    absent: dict[str, list[str]] = {}
    if mapping.absent_columns == "missing":
        asked = _asked(mapping)
        absent = {key: _absent(frame, asked.get(key, set())) for key, frame in tables.items()}
        tables = {
            key: frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent[key])
            for key, frame in tables.items()
        }
    for rule in mapping.drop:
        key = rule.source.casefold()
        if key in tables:
            hit = _condition(tables[key], rule.where, f"drop ({rule.why})", rule.source, {})
            log.add(rule.source, None, "rows dropped", int(hit.sum()), rule.why)
            tables[key] = tables[key].filter(~hit)
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
        used.setdefault(key, set()).update(_columns_used(part, tables[key]))
        if part.where is not None and frame.is_empty():
            # rows of another kind say nothing of this one: unknown, not none
            empty.setdefault(part.table, (part.source, tables[key].height))
            continue
        made[part.table] = _beside(made[part.table], frame, part, log) if part.table in made else frame
    for table, (source, n) in empty.items():
        if table not in made:
            log.add(source, None, f"no row for {table}, which is taken as not recorded", n)
    for rule in mapping.drop:
        if rule.source.casefold() in used:
            frame = tables[rule.source.casefold()]
            used[rule.source.casefold()] |= _roots(rule.where, frame)
    for key, frame in tables.items():
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
        *((rule.source, rule.where) for rule in mapping.drop),
        *((part.source, text) for part in mapping.tables for text in _expressions(part)),
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


def _expressions(part: TableMap) -> list[str]:
    texts = [part.where] if part.where else []
    for name in part.columns:
        column = part.column(name)
        texts += [column.value, *([column.where] if column.where else [])]
    return texts


def _by_test(rows: pl.DataFrame) -> str | None:
    """Return how many rows each test or category has, the most frequent first; None where nothing tells them apart."""
    kinds = [name for ending in ("TESTCD", "CAT") for name in rows.columns if name.upper().endswith(ending)]
    if not kinds or rows.is_empty():
        return None
    counts = rows[kinds[0]].value_counts(sort=True).head(_MANY_KINDS)
    listed = ", ".join(f"{'none' if value is None else value} {n}" for value, n in counts.iter_rows())
    return f"{kinds[0]}: {listed}"


def _one_map(
    frame: pl.DataFrame, part: TableMap, log: _Log, absent: list[str]
) -> tuple[pl.DataFrame, pl.Series]:
    """Return our rows, and which rows of the source they came from."""
    where = f"{part.source} to {part.table}"
    kinds: _Kinds = {}
    taken = pl.Series([True]).new_from_index(0, frame.height)
    if part.where is not None:
        taken = _condition(frame, part.where, where, part.source, kinds)
        if not taken.all():
            frame, kinds = frame.filter(taken), {}
    if frame.height >= _MANY_ROWS:
        _look_at_conditions(frame, part, kinds)
    mine = pl.Series([False]).new_from_index(0, frame.height)
    is_partial = False
    made: dict[str, pl.Series] = {}
    flags: dict[str, pl.Series] = {}
    for name in part.columns:
        column = part.column(name)
        values = _evaluate(frame, column.value, f"{where}.{name}", part.source, kinds)
        if column.where is not None:
            hit = _condition(frame, column.where, f"{where}.{name}", part.source, kinds)
            mine, is_partial = mine | hit, True
            values = pl.select(pl.when(hit).then(values)).to_series()
        is_key = name in (*part.group_by, *part.merge_on)
        if values.null_count() == len(values) and not is_key and _roots(column.value, frame) <= set(absent):
            continue  # the source has nothing of it
        made[name], flag = _converted(values, column, part.source, name, log)
        if flag is not None:
            flags[f"{name}_imputed"] = flag
    table = pl.DataFrame([values.alias(name) for name, values in (made | flags).items()])
    if is_partial and part.group_by:  # a test in rows that no column asks for
        taken = taken.scatter(taken.arg_true(), mine)
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
    table = _summable(table, part, log)
    run = _runs(table, list(part.group_by))
    if run is not None and run.n_unique() == table.height:
        return table, taken  # one row each: nothing to pick
    picked, differs = [], []
    for name in table.columns:
        if name in part.group_by:
            continue
        origin = name.removesuffix("_imputed")
        pick = part.column(origin).pick if origin in part.columns else "first"
        if table[name].null_count() == table.height:
            picked.append(pl.col(name).first())
            continue
        picked.append(_PICKS[pick](pl.col(name).drop_nulls()).alias(name))
        if pick in ("first", "last") and name == origin:
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
    return grouped.select(table.columns), taken


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


def _summable(table: pl.DataFrame, part: TableMap, log: _Log) -> pl.DataFrame:
    """Return numbers that came as text as numbers, where they are averaged, added or compared."""
    made = []
    for name in part.columns:
        pick = part.column(name).pick
        if name not in table.columns or table.schema[name] != pl.String or pick in ("first", "last"):
            continue
        number = table[name].cast(pl.Float64, strict=False)
        n_words = int((number.is_null() & table[name].is_not_null()).sum())
        if pick in ("min", "max") and n_words:
            continue  # dates and words have an order of their own
        log.add(part.source, name, f"no number, left out of the {pick}", n_words)
        made.append(number.alias(name))
    return table.with_columns(made)


def _beside(first: pl.DataFrame, second: pl.DataFrame, part: TableMap, log: _Log) -> pl.DataFrame:
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
            n = joined.select((pl.col(name) != pl.col(f"{name}_second")).fill_null(False).sum()).item()
            what = "differs from the value of another table, left out"
            log.add(part.source, name, what, n, f"rows of {part.table}")
    return joined.with_columns(pl.coalesce(name, f"{name}_second").alias(name) for name in both).drop(
        f"{name}_second" for name in both
    )


def _as_text(frame: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return a frame in which columns that the other types otherwise are text."""
    return frame.with_columns(
        pl.col(name).cast(pl.String)
        for name in frame.columns
        if name in other.columns and frame.schema[name] != other.schema[name]
    )


def _evaluate(frame: pl.DataFrame, expression: str, where: str, source: str, kinds: _Kinds) -> pl.Series:
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


def _look_at_conditions(frame: pl.DataFrame, part: TableMap, kinds: _Kinds) -> None:
    """Find the kinds of row that all conditions of a map's columns tell apart, in one go."""
    asked: set[str] = set()
    for name in part.columns:
        try:
            asked |= _roots(part.column(name).where or "NULL", frame)
        except pl.exceptions.PolarsError:
            return  # it is named where it is run
    if asked:
        _kinds_of(frame.select(sorted(asked)), kinds)


def _kinds_of(columns: pl.DataFrame, kinds: _Kinds) -> tuple[pl.DataFrame, pl.Series] | None:
    """Return the different rows of some columns and which of them each row is; None where they are many."""
    names = tuple(columns.columns)
    for known, found in kinds.items():
        if found is not None and set(names) <= set(known):
            return found
    if names not in kinds:
        few = columns.unique(maintain_order=True).with_row_index("_kind")
        is_few = 10 * few.height < columns.height
        joined = (
            columns.join(few, on=names, how="left", nulls_equal=True, maintain_order="left")
            if is_few
            else few
        )
        kinds[names] = (few, joined["_kind"]) if is_few else None
    return kinds[names]


def _condition(frame: pl.DataFrame, expression: str, where: str, source: str, kinds: _Kinds) -> pl.Series:
    """Return which rows a SQL condition takes; unknown is not taken."""
    hit = _evaluate(frame, expression, where, source, kinds)
    if hit.dtype not in (pl.Boolean, pl.Null):
        raise SourceError(
            f"The mapping's condition for {where} on {source} must be true or false, not {hit.dtype}."
        )
    return hit.cast(pl.Boolean).fill_null(False)


def _in_asked_case(frame: pl.DataFrame, parsed: pl.Expr) -> pl.DataFrame:
    by_fold = {name.casefold(): name for name in frame.columns}
    asked = dict.fromkeys(parsed.meta.root_names())
    absent = [name for name in asked if name.casefold() not in by_fold]
    if absent:
        raise pl.exceptions.ColumnNotFoundError(
            f"there is no column {absent[0]!r}{did_you_mean(absent[0], frame.columns)}"
        )
    return frame.select(pl.col(by_fold[name.casefold()]).alias(name) for name in asked) if asked else frame


def _roots(expression: str, frame: pl.DataFrame) -> set[str]:
    by_fold = {name.casefold(): name for name in frame.columns}
    return {
        by_fold[name.casefold()]
        for name in pl.sql_expr(expression).meta.root_names()
        if name.casefold() in by_fold
    }


def _columns_used(part: TableMap, frame: pl.DataFrame) -> set[str]:
    return set().union(*(_roots(text, frame) for text in _expressions(part)))


def _converted(
    values: pl.Series, column: ColumnMap, source: str, name: str, log: _Log
) -> tuple[pl.Series, pl.Series | None]:
    """Return values in our codes and units, and a flag where dates were completed."""
    if values.null_count() == len(values):
        return values, None
    if values.dtype.is_numeric() and not column.codes and column.date is None:
        return _number_converted(values, column, source, name, log), None
    text = values.cast(pl.String).str.strip_chars()
    text = text.set(text == "", None)
    if column.missing:
        is_code = text.is_in(list(column.missing)) | text.str.strip_suffix(".0").is_in(list(column.missing))
        log.add(
            source, name, "coded as missing", int(is_code.fill_null(False).sum()), ", ".join(column.missing)
        )
        values, text = values.set(is_code.fill_null(False), None), text.set(is_code.fill_null(False), None)
    if column.codes:
        return _decoded(text, column, source, name, log), None
    if column.date is not None:
        return _dated(text, column, source, name, log)
    if column.day == "sdtm":
        return _with_unread(_our_day(values.cast(pl.Float64, strict=False), source, name, log), text), None
    if column.times != 1.0:
        return _with_unread(values.cast(pl.Float64, strict=False) * column.times, text), None
    return (text if values.dtype == pl.String else values), None


def _number_converted(values: pl.Series, column: ColumnMap, source: str, name: str, log: _Log) -> pl.Series:
    """Return numbers in our units and days, without a detour by way of text."""
    if column.missing:
        codes = pl.Series(column.missing).cast(pl.Float64, strict=False).drop_nulls()
        is_code = values.is_in(codes.to_list()).fill_null(False)
        log.add(source, name, "coded as missing", int(is_code.sum()), ", ".join(column.missing))
        values = values.set(is_code, None)
    if column.day == "sdtm":
        return _with_unread(_our_day(values.cast(pl.Float64), source, name, log), values)
    return values if column.times == 1.0 else values.cast(pl.Float64) * column.times


def _our_day(number: pl.Series, source: str, name: str, log: _Log) -> pl.Series:
    """Return whole study days as ours, with day 0; what is no whole day is missing."""
    day = pl.select(pl.when(number > 0).then(number - 1).otherwise(number)).to_series()
    log.add(source, name, "day 0 in days that have none", int((number == 0).fill_null(False).sum()))
    return pl.select(pl.when(day == day.round()).then(day)).to_series().cast(pl.Int64)


def _with_unread(numbers: pl.Series, text: pl.Series) -> pl.Series:
    """Return numbers; what is none stays as it is, for the check to name."""
    if (numbers.is_null() & text.is_not_null()).any():
        return pl.select(pl.coalesce(numbers.cast(pl.String), text.cast(pl.String))).to_series()
    return numbers


def _decoded(text: pl.Series, column: ColumnMap, source: str, name: str, log: _Log) -> pl.Series:
    codes = {code.strip().casefold(): meaning for code, meaning in column.codes.items()}
    folded = text.str.to_lowercase()
    found = folded.replace_strict(codes, default=None, return_dtype=pl.String)
    outside = text.filter(found.is_null() & text.is_not_null())
    what = "code not in the list, left missing" if column.other == "missing" else "code not in the list, kept"
    for value, n in outside.value_counts(sort=True).head(20).iter_rows():
        log.add(source, name, what, n, value)
    return found if column.other == "missing" else pl.select(pl.coalesce(found, text)).to_series()


def _dated(
    text: pl.Series, column: ColumnMap, source: str, name: str, log: _Log
) -> tuple[pl.Series, pl.Series | None]:
    """Return ISO dates as text; what is no date stays as it is, for the check to name."""
    if column.date != "iso":
        parsed = text.str.to_date(column.date or "", strict=False).dt.strftime("%Y-%m-%d")
        return pl.select(pl.coalesce(parsed, text)).to_series(), None
    day = text.str.extract(r"^(\d{4}-\d{2}-\d{2})(?:[T ][\d:.,+Z-]*)?$", 1)
    is_year, is_month = text.str.contains(r"^\d{4}$"), text.str.contains(r"^\d{4}-\d{2}$")
    is_partial = (is_year | is_month).fill_null(False)
    if column.partial == "missing":
        log.add(source, name, "partial date, left missing", int(is_partial.sum()))
        kept = pl.select(pl.coalesce(day, pl.when(~is_partial).then(text))).to_series()
        return kept, None
    after_year, after_month = _PARTIAL[column.partial]
    month_day = (
        text + after_month
        if after_month is not None
        else (text + "-01").str.to_date("%Y-%m-%d", strict=False).dt.month_end().dt.strftime("%Y-%m-%d")
    )
    completed = pl.select(
        pl.coalesce(
            day, pl.when(is_year).then(text + after_year).when(is_month).then(month_day).otherwise(text)
        )
    ).to_series()
    flag = pl.select(pl.when(is_year).then(pl.lit("M")).when(is_month).then(pl.lit("D"))).to_series()
    log.add(source, name, f"partial date, completed to the {column.partial} day", int(is_partial.sum()))
    return completed, flag if is_partial.any() else None
