"""A source's tables through a mapping: ours, and a log of what was dropped, completed or left unmapped."""

from __future__ import annotations

from collections.abc import Mapping as Tables
from dataclasses import dataclass
from fnmatch import fnmatch

import polars as pl

from ahsct.errors import SourceError, did_you_mean
from ahsct.tables.mapping import ColumnMap, DropRule, Mapping, TableMap, TellRule
from ahsct.tables.partial_dates import complete_dates
from ahsct.tables.redcap import prepare_redcap
from ahsct.tables.sdtm import LAST_SEEN, prepare_sdtm
from ahsct.tables.units import UNREAD, in_our_unit

LOG = {
    "source": pl.String(),
    "column": pl.String(),
    "what": pl.String(),
    "n": pl.Int64(),
    "detail": pl.String(),
}
_MANY_ROWS, _MANY_KINDS = 10_000, 12
_PICKS = {
    "first": pl.Expr.first, "last": pl.Expr.last, "min": pl.Expr.min, "max": pl.Expr.max, "mean": pl.Expr.mean,
    "sum": pl.Expr.sum,
}  # fmt: skip
_FLAG = " "  # stands between a date and its flag while rows are gathered, so that they stay together


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
        own = {(new.source.casefold(), new.column) for new in mapping.derive}
        absent = {
            key: [name for name in _absent(frame, asked.get(key, set())) if (key, name) not in own]
            for key, frame in tables.items()
        }
        tables = {
            key: frame.with_columns(pl.lit(None, pl.String).alias(name) for name in absent[key])
            for key, frame in tables.items()
        }
    for rule in mapping.drop:
        key = rule.source.casefold()
        if key in tables:
            hit = _condition(tables[key], rule.where, f"drop ({rule.why})", rule.source)
            log.add(rule.source, None, "rows dropped", int(hit.sum()), rule.why)
            dropped, tables[key] = tables[key].filter(hit), tables[key].filter(~hit)
            if rule.everywhere is not None and dropped.height:
                tables = _drop_everywhere(tables, dropped, rule, names, log)
    for new in mapping.derive:
        key = new.source.casefold()
        if key in tables:
            values = _evaluate(tables[key], new.value, f"derive {new.column}", new.source)
            tables[key] = tables[key].with_columns(values.alias(new.column))
    for said in mapping.tell:
        key = said.source.casefold()
        if key in tables:
            hit = _condition(tables[key], said.where, f"tell ({said.why})", said.source)
            log.add(said.source, None, said.why, int(hit.sum()), _listed(tables[key].filter(hit), said))
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
        if part.fallback and part.table in made:
            log.add(
                part.source,
                None,
                f"rows left out, because {part.table} has rows from elsewhere",
                frame.height,
            )
            continue
        made[part.table] = _beside(made[part.table], frame, part, log) if part.table in made else frame
    for table, (source, n) in empty.items():
        if table not in made:
            log.add(source, None, f"no row for {table}, which is taken as not recorded", n)
    for source, text in _asides(mapping):
        if source in used:
            used[source] |= _roots(text, tables[source])
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
        *_asides(mapping),
        *((part.source, text) for part in mapping.tables for text in _expressions(part)),
    ):
        try:
            names = pl.sql_expr(text).meta.root_names()
        except pl.exceptions.PolarsError:
            continue  # it is named where it is run
        asked.setdefault(source.casefold(), set()).update(names)
    return asked


def _asides(mapping: Mapping) -> list[tuple[str, str]]:
    """Return the expressions that make no column, with the source table of each."""
    drop = [(rule.source.casefold(), rule.where) for rule in mapping.drop]
    tell = [
        (said.source.casefold(), text) for said in mapping.tell for text in (said.where, said.listed) if text
    ]
    derive = [(new.source.casefold(), new.value) for new in mapping.derive]
    return drop + derive + tell


def _drop_everywhere(
    tables: dict[str, pl.DataFrame], dropped: pl.DataFrame, rule: DropRule, names: Tables[str, str], log: _Log
) -> dict[str, pl.DataFrame]:
    """Return all tables without the rows that bear, in one column, a value of the rows that are dropped."""
    column = rule.everywhere or ""
    where = f"drop ({rule.why})"
    gone = _evaluate(dropped, column, where, rule.source).cast(pl.String).drop_nulls().unique()
    kept = dict(tables)
    for key, frame in tables.items():
        if column.casefold() not in {name.casefold() for name in frame.columns}:
            continue
        values = _evaluate(frame, column, where, names[key]).cast(pl.String)
        is_gone = values.is_in(gone.implode()).fill_null(False)
        kept[key] = frame.filter(~is_gone)
        if key != LAST_SEEN.casefold():
            log.add(names[key], None, "rows dropped", int(is_gone.sum()), rule.why)
    return kept


def _listed(rows: pl.DataFrame, said: TellRule) -> str | None:
    """Return the most frequent values of what a rule lists, with their counts."""
    if said.listed is None or rows.is_empty():
        return None
    values = _evaluate(rows, said.listed, f"tell ({said.why})", said.source).cast(pl.String)
    values = values.alias("value")
    counts = values.value_counts(name="n").sort("n", "value", descending=[True, False]).head(_MANY_KINDS)
    return ", ".join(f"{'none' if value is None else value} {n}" for value, n in counts.iter_rows())


def _absent(frame: pl.DataFrame, asked: set[str]) -> list[str]:
    has = {name.casefold() for name in frame.columns}
    return [name for name in sorted(asked) if name.casefold() not in has]


def _expressions(part: TableMap) -> list[str]:
    texts = [part.where, *part.order_by]
    for name in part.columns:
        column = part.column(name)
        texts += [column.value, column.where, column.unit, *column.not_before, *column.not_after]
    return [text for text in texts if text]


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
    taken = pl.Series([True]).new_from_index(0, frame.height)
    if part.where is not None:
        taken = _condition(frame, part.where, where, part.source)
        frame = frame.filter(taken)
    if part.order_by:
        keys = [
            _evaluate(frame, text, where, part.source).alias(f"{i}") for i, text in enumerate(part.order_by)
        ]
        place = (
            pl.DataFrame(keys).with_row_index("_place").sort([key.name for key in keys], maintain_order=True)
        )
        frame, taken_at = frame[place["_place"]], taken.arg_true()[place["_place"]]
    else:
        taken_at = taken.arg_true()
    mine = pl.Series([False]).new_from_index(0, frame.height)
    is_partial = False
    made: dict[str, pl.Series] = {}
    flags: dict[str, pl.Series] = {}
    for name in part.columns:
        column = part.column(name)
        values = _evaluate(frame, column.value, f"{where}.{name}", part.source)
        if column.where is not None:
            hit = _condition(frame, column.where, f"{where}.{name}", part.source)
            mine, is_partial = mine | hit, True
            values = pl.select(pl.when(hit).then(values)).to_series()
        is_key = name in (*part.group_by, *part.merge_on)
        if values.null_count() == len(values) and not is_key and _roots(column.value, frame) <= set(absent):
            continue  # the source has nothing of it
        if column.unit is not None:
            unit = _evaluate(frame, column.unit, f"{where}.{name}", part.source)
            values, met = in_our_unit(values, unit, column.units)
            for text, n in met.items():
                log.add(part.source, name, *_said_of_unit(text, column, n))
        bounds = [
            [_evaluate(frame, text, f"{where}.{name}", part.source).cast(pl.String) for text in texts]
            for texts in (column.not_before, column.not_after)
        ]
        made[name], flag = _converted(values, column, bounds, part.source, name, log)
        if column.imputed is not None:
            flag = pl.select(pl.when(made[name].is_not_null()).then(pl.lit(column.imputed))).to_series()
        if flag is not None:
            flags[f"{name}_imputed"] = flag
    _prefer_days(made, flags)
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
    table = _summable(_with_flags(table), part, log)
    picked, differs = [], []
    for name in table.columns:
        if name not in part.group_by:
            origin = name.removesuffix("_imputed")
            pick = part.column(origin).pick if origin in part.columns else "first"
            picked.append(_picked(table, name, pick))
            if pick in ("first", "last") and name == origin:
                differs.append((pl.col(name).min() != pl.col(name).max()).alias(f"differs {name}"))
    grouped = table.group_by(*part.group_by, maintain_order=True).agg(*picked, *differs)
    grouped = _without_flags(grouped, list(flags))
    for name in [name for name in grouped.columns if name.startswith("differs ")]:
        origin = name.removeprefix("differs ")
        what = f"several different values, the {part.column(origin).pick} taken"
        log.add(part.source, origin, what, int(grouped[name].fill_null(False).sum()), f"rows of {part.table}")
    return grouped.select(pl.exclude("^differs .*$")), taken


def _picked(table: pl.DataFrame, name: str, pick: str) -> pl.Expr:
    """Return the value of a group; a number in an unknown unit stands for the whole, so that the check refuses it."""
    values = pl.col(name).drop_nulls()
    if pick in ("first", "last") or table.schema[name] != pl.String:
        return _PICKS[pick](values).alias(name)
    if not table[name].str.contains(UNREAD, literal=True).any():
        return _PICKS[pick](values).alias(name)
    is_unread = values.str.contains(UNREAD, literal=True)
    number = _PICKS[pick](values.cast(pl.Float64, strict=False)).cast(pl.String)
    return pl.when(is_unread.any()).then(values.filter(is_unread).first()).otherwise(number).alias(name)


def _said_of_unit(unit: str, column: ColumnMap, n: int) -> tuple[str, int, str | None]:
    """Return what the log says of numbers in a unit that is not ours."""
    ours = next((name for name, factor in column.units.items() if factor == 1.0), "ours")
    if not unit:
        return f"no unit given, taken as {ours}", n, None
    factor = {name.casefold(): factor for name, factor in column.units.items()}.get(unit.casefold())
    if factor is None:
        return "unknown unit, kept for the check to refuse", n, unit
    return f"converted into {ours}", n, f"{unit}, times {factor:g}"


def _prefer_days(made: dict[str, pl.Series], flags: dict[str, pl.Series]) -> None:
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
        pl.when(pl.col(flag).is_not_null())
        .then(pl.col(flag.removesuffix("_imputed")).cast(pl.String) + _FLAG + pl.col(flag))
        .otherwise(pl.col(flag.removesuffix("_imputed")).cast(pl.String))
        .alias(flag.removesuffix("_imputed"))
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


def _summable(table: pl.DataFrame, part: TableMap, log: _Log) -> pl.DataFrame:
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
            if name.endswith("_imputed"):
                continue
            n = joined.select((pl.col(name) != pl.col(f"{name}_second")).fill_null(False).sum()).item()
            what = "differs from the value of another table, left out"
            log.add(part.source, name, what, n, f"rows of {part.table}")
    values = [name for name in both if not name.endswith("_imputed")]
    flags = [
        name for name in joined.columns
        if name.endswith("_imputed") and name.removesuffix("_imputed") in values
    ]  # fmt: skip
    # a flag stays with its date
    own = {name: pl.col(name) if name in first.columns else pl.lit(None, pl.String) for name in flags}
    new = {
        name: pl.col(f"{name}_second" if name in both else name)
        if name in second.columns
        else pl.lit(None, pl.String)
        for name in flags
    }
    return joined.with_columns(
        *(pl.coalesce(name, f"{name}_second").alias(name) for name in values),
        *(
            pl.when(pl.col(name.removesuffix("_imputed")).is_not_null())
            .then(own[name])
            .otherwise(new[name])
            .alias(name)
            for name in flags
        ),
    ).drop(f"{name}_second" for name in both)


def _as_text(frame: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Return a frame in which columns that the other types otherwise are text."""
    return frame.with_columns(
        pl.col(name).cast(pl.String)
        for name in frame.columns
        if name in other.columns and frame.schema[name] != other.schema[name]
    )


def _evaluate(frame: pl.DataFrame, expression: str, where: str, source: str) -> pl.Series:
    """Return a SQL expression over the columns of one table (matched without regard to case).

    Where the columns hold few different values (the names of tests), each combination is looked at once.
    """
    try:
        parsed = pl.sql_expr(expression)
        renamed = _in_asked_case(frame, parsed)
        is_plain = len(renamed.columns) == 1 and expression.casefold() == renamed.columns[0].casefold()
        few = renamed if is_plain or renamed.height < _MANY_ROWS else renamed.unique(maintain_order=True)
        if 10 * few.height < renamed.height:
            keys = renamed.columns
            answers = few.with_columns(parsed.alias("_value"))
            joined = renamed.join(answers, on=keys, how="left", nulls_equal=True, maintain_order="left")
            values = joined["_value"].alias("value")
        else:
            values = renamed.select(parsed.alias("value")).to_series()
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


def _condition(frame: pl.DataFrame, expression: str, where: str, source: str) -> pl.Series:
    """Return which rows a SQL condition takes; unknown is not taken."""
    hit = _evaluate(frame, expression, where, source)
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
    values: pl.Series, column: ColumnMap, bounds: list[list[pl.Series]], source: str, name: str, log: _Log
) -> tuple[pl.Series, pl.Series | None]:
    """Return values in our codes and units, and a flag where dates were completed."""
    needs_text = column.missing or column.codes or column.date is not None or values.dtype == pl.String
    if values.null_count() == len(values) or not (needs_text or column.day == "sdtm" or column.times != 1.0):
        return values, None
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
        return _dated(text, column, bounds, source, name, log)
    if column.day == "sdtm":
        number = values.cast(pl.Float64, strict=False)
        day = pl.select(pl.when(number > 0).then(number - 1).otherwise(number)).to_series()
        log.add(source, name, "day 0 in days that have none", int((number == 0).fill_null(False).sum()))
        whole = pl.select(pl.when(day == day.round()).then(day)).to_series().cast(pl.Int64)
        return _with_unread(whole, text), None
    if column.times != 1.0:
        return _with_unread(values.cast(pl.Float64, strict=False) * column.times, text), None
    return (text if values.dtype == pl.String else values), None


def _with_unread(numbers: pl.Series, text: pl.Series) -> pl.Series:
    """Return numbers; what is none stays as it is, for the check to name."""
    if (numbers.is_null() & text.is_not_null()).any():
        return pl.select(pl.coalesce(numbers.cast(pl.String), text)).to_series()
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
    text: pl.Series, column: ColumnMap, bounds: list[list[pl.Series]], source: str, name: str, log: _Log
) -> tuple[pl.Series, pl.Series | None]:
    """Return ISO dates as text; what is no date stays as it is, for the check to name."""
    if column.date != "iso":
        parsed = text.str.to_date(column.date or "", strict=False).dt.strftime("%Y-%m-%d")
        return pl.select(pl.coalesce(parsed, text)).to_series(), None
    made = complete_dates(text, column.partial, not_before=bounds[0], not_after=bounds[1])
    if column.partial == "missing":
        log.add(source, name, "partial date, left missing", made.n_partial)
    else:
        log.add(source, name, f"partial date, completed to the {column.partial} day", made.n_partial)
        log.add(source, name, "completed date, moved to stay in order with other dates", made.n_moved)
    return made.dates, made.flags
