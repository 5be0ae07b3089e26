"""Gives raw tables their types and row numbers; each value that has no such type is a problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from ahsct.tables.days import add_days
from ahsct.tables.problems import Rule, join_problems, one_problem, problems_of
from ahsct.vocabulary import INPUT_TABLES, SCHEMAS, Column, columns, empty

_WHOLE = ("integer", "count", "day")
_FLAGS = {
    "true": True,
    "false": False,
    "yes": True,
    "no": False,
    "y": True,
    "n": False,
    "1": True,
    "0": False,
}
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}$"
_LARGEST_WHOLE = 2.0**53  # above it a float no longer holds every whole number
_NEEDED = {
    "text": "text",
    "number": "a finite number with a decimal point",
    "integer": "a whole number",
    "count": "a whole number",
    "day": "a whole number of days",
    "date": "an ISO 8601 date, YYYY-MM-DD",
    "flag": "true, false, yes, no, Y, N, 1 or 0",
}


@dataclass(frozen=True)
class _Typed:
    """A column with its type; `failed` marks values that have none, `is_wrong` a whole column."""

    values: pl.Series
    failed: pl.Series | None = None
    n_nan: int = 0
    is_wrong: bool = False


def type_tables(raw: Mapping[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Return typed tables in the vocabulary's order, and the problems met on the way.

    Each table gets `row` (first = 1) and the day twin of each date. Columns that the vocabulary
    does not know are kept as text. A cell that is empty or blank, and a NaN, is missing.
    """
    typed = {}
    found = []
    for name in INPUT_TABLES:
        if name in raw:
            typed[name], problems = _type_table(name, raw[name])
            found.append(problems)
    typed, problems = add_days(typed)
    typed = {name: frame.select(pl.exclude("row"), "row") for name, frame in typed.items()}
    return typed, join_problems([*found, problems])


def _type_table(name: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    if frame.width == 0:
        frame = empty(SCHEMAS[name])
    known = columns(name)
    row = pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True).alias("row")
    found = []
    if "row" in frame.columns:
        if not frame["row"].cast(pl.Int64, strict=False).equals(row):
            found.append(
                one_problem(
                    name, "row_renumbered", f"`{name}.row` is numbered anew on reading: first data row = 1. "
                    "Rename the column to keep its values.", severity="warning", column="row",
                )
            )  # fmt: skip
        frame = frame.drop("row")
    series = []
    failures = []
    for raw in frame:
        column = known.get(raw.name)
        if column is None:
            series.append(_as_text(raw).values)
            continue
        typed = _type_column(raw, column)
        series.append(typed.values)
        if typed.is_wrong:
            message = f"`{name}.{raw.name}` must hold {_NEEDED[column.type]}; the column holds {raw.dtype}. Store it so."
            found.append(one_problem(name, "wrong_type", message, column=raw.name))
        if typed.n_nan:
            message = (
                f"`{name}.{raw.name}` holds {typed.n_nan} NaN, taken as missing. Leave missing cells empty."
            )
            found.append(
                one_problem(
                    name, "nan_is_missing", message, severity="warning", column=raw.name, value=typed.n_nan
                )
            )
        if typed.failed is not None:
            failures.append((raw, typed.failed, column))
    typed_frame = pl.DataFrame([*series, row])
    ids = typed_frame.select(c for c in ("row", "patient_id") if c in typed_frame.columns)
    for raw, failed, column in failures:
        rows = ids.with_columns(raw.alias("_raw")).filter(failed)
        found.append(_failures(name, rows, column, has_iso=typed_frame[raw.name].null_count() < raw.len()))
    return typed_frame, join_problems(found)


def _failures(table: str, rows: pl.DataFrame, column: Column, *, has_iso: bool) -> pl.DataFrame:
    """Return one problem per value that could not be read as the column's type."""
    where = f"`{table}.{column.name}`"
    plain = f"{where} must be {_NEEDED[column.type]}, found '{{value}}'."
    empty_cell = " An empty cell means missing; correct the value."
    if column.type != "date":
        kinds = [("wrong_type", pl.lit(True), plain + empty_cell)]
    else:
        text = pl.col("_raw").cast(pl.String).str.strip_chars()
        other_format = text.str.contains(r"^\d{1,4}[-/. ]\w{1,3}[-/. ]\d{1,4}$")
        kinds = [
            ("impossible_date", text.str.contains(_ISO_DATE), f"{where}: there is no day '{{value}}'. Correct the date."),
            ("partial_date", text.str.contains(r"^\d{4}(-\d{2})?$"),
             f"{where} must be {_NEEDED['date']}, found only '{{value}}'. Partial dates are never completed here: "
             "give the whole date, or leave the cell empty."),
            ("mixed_date_formats", other_format & pl.lit(has_iso),
             f"{where} mixes date formats: '{{value}}' beside ISO 8601 dates. Write every date as YYYY-MM-DD."),
            ("wrong_type", pl.lit(True), plain + empty_cell),
        ]  # fmt: skip
    found = []
    for rule, is_kind, message in kinds:
        of_kind = rows.filter(is_kind)
        rows = rows.filter(~is_kind)
        value = pl.col("_raw")
        found.append(
            problems_of(
                table,
                of_kind,
                Rule(name=rule, column=column.name, when=is_kind, message=message, value=value),
            )
        )
    return join_problems(found)


def _type_column(raw: pl.Series, column: Column) -> _Typed:
    if raw.dtype == pl.Null:
        return _Typed(raw.cast(column.dtype))
    if isinstance(raw.dtype, (pl.Categorical, pl.Enum)):
        raw = raw.cast(pl.String)
    if column.type == "text":
        return _as_text(raw, is_id=column.name == "patient_id")
    if column.type == "number":
        return _as_number(raw)
    if column.type in _WHOLE:
        return _as_whole(raw)
    if column.type == "date":
        return _as_date(raw)
    return _as_flag(raw)


def _as_text(raw: pl.Series, *, is_id: bool = False) -> _Typed:
    """Text as it stands; blank is missing. An id that is a float is refused: 1.0 would not be 1."""
    if raw.dtype.is_nested() or raw.dtype in (pl.Binary, pl.Object) or (is_id and raw.dtype.is_float()):
        return _wrong(raw, pl.String())
    return _Typed(blank_is_missing(raw.cast(pl.String)))


def blank_is_missing(text: pl.Series) -> pl.Series:
    """Return text in which cells that are empty, or hold nothing but blanks, are missing.

    Examples
    --------
    >>> blank_is_missing(pl.Series(["a ", "", "  ", None])).to_list()
    ['a ', None, None, None]
    """
    # Empty text, and text that begins with a blank, sorts before "!": few cells, and cheap to find.
    suspect = text < "!"
    if suspect.any():
        text = text.set(suspect.fill_null(False) & (text.str.strip_chars() == "").fill_null(False), None)
    return text


def _as_number(raw: pl.Series) -> _Typed:
    if raw.dtype == pl.String:
        text = _stripped(raw)
        return _checked_number(text, text.cast(pl.Float64, strict=False))
    if raw.dtype.is_numeric():
        return _checked_number(raw, raw.cast(pl.Float64))
    return _wrong(raw, pl.Float64())


def _checked_number(raw: pl.Series, values: pl.Series) -> _Typed:
    """NaN becomes missing and is counted; an infinite or unreadable number is a failure."""
    is_nan = values.is_nan()
    n_nan = int(is_nan.sum())
    if n_nan:
        values = values.set(is_nan.fill_null(False), None)
        raw = raw.set(is_nan.fill_null(False), None)
    is_infinite = values.is_infinite()
    if is_infinite.any():
        values = values.set(is_infinite.fill_null(False), None)
    return _Typed(values, _failed(raw, values), n_nan)


def _as_whole(raw: pl.Series) -> _Typed:
    """Whole numbers; 3.0 is one, because many programs write whole columns with gaps as floats."""
    if raw.dtype.is_integer():
        values = raw.cast(pl.Int64, strict=False)
        return _Typed(values, _failed(raw, values))
    number = _as_number(raw)
    if number.is_wrong:
        return _wrong(raw, pl.Int64())
    values = number.values
    is_whole = (values == values.round()) & (values.abs() < _LARGEST_WHOLE)
    whole = values.set((~is_whole).fill_null(False), None).cast(pl.Int64)
    failed = (~is_whole).fill_null(False)
    if number.failed is not None:
        failed = failed | number.failed
    return _Typed(whole, failed if failed.any() else None, number.n_nan)


def _as_date(raw: pl.Series) -> _Typed:
    if raw.dtype == pl.Date:
        return _Typed(raw)
    if raw.dtype == pl.Datetime:  # midnight is a date; any other time of day is not
        is_midnight = raw.dt.time() == pl.Series([0]).cast(pl.Time)
        values = raw.dt.date().set((~is_midnight).fill_null(False), None)
        return _Typed(values, _failed(raw, values))
    if raw.dtype == pl.String:
        text = _stripped(raw)
        is_iso = text.str.contains(_ISO_DATE).fill_null(False)
        values = text.set(~is_iso, None).str.to_date("%Y-%m-%d", strict=False)
        return _Typed(values, _failed(text, values))
    return _wrong(raw, pl.Date())


def _as_flag(raw: pl.Series) -> _Typed:
    if raw.dtype == pl.Boolean:
        return _Typed(raw)
    if raw.dtype == pl.String:
        text = _stripped(raw)
    elif raw.dtype.is_numeric():
        text = _as_whole(raw).values.cast(pl.String)
        text = text.set((text.is_null() & raw.is_not_null()).fill_null(False), "not a flag")
        if raw.dtype.is_float():
            text = text.set(raw.is_nan().fill_null(False), None)
    else:
        return _wrong(raw, pl.Boolean())
    values = text.str.to_lowercase().replace_strict(_FLAGS, default=None, return_dtype=pl.Boolean)
    n_nan = int(raw.is_nan().sum()) if raw.dtype.is_float() else 0
    return _Typed(values, _failed(text, values), n_nan)


def _wrong(raw: pl.Series, dtype: pl.DataType) -> _Typed:
    return _Typed(pl.Series(raw.name, [None] * raw.len(), dtype=dtype), is_wrong=True)


def _stripped(raw: pl.Series) -> pl.Series:
    """Text without surrounding blanks, missing where nothing is left."""
    text = raw.str.strip_chars()
    return text.set((text == "").fill_null(False), None)


def _failed(raw: pl.Series, values: pl.Series) -> pl.Series | None:
    if values.null_count() == raw.null_count():
        return None
    return values.is_null() & raw.is_not_null()
