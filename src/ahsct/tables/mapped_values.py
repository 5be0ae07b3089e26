"""Values of a source in our codes, units, days and dates, and the log of what that took."""

from __future__ import annotations

import polars as pl

from ahsct.tables.mapping import ColumnMap
from ahsct.tables.partial_dates import complete_dates
from ahsct.tables.units import in_our_unit

LOG = {
    "source": pl.String(),
    "column": pl.String(),
    "what": pl.String(),
    "n": pl.Int64(),
    "detail": pl.String(),
}
Bounds = tuple[
    list[pl.Series], list[pl.Series]
]  # dates that a completed one may not lie before, and not after


class Log:
    """Rows of what happened to a source: each with how many times."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str | None, str, int, str | None]] = []

    def add(self, source: str, column: str | None, what: str, n: int, detail: str | None = None) -> None:
        """Add a row, unless it happened no time."""
        if n:
            self.rows.append((source, column, what, n, detail))


def converted(
    values: pl.Series, column: ColumnMap, bounds: Bounds, source: str, name: str, log: Log
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
        return _dated(text, column, bounds, source, name, log)
    if column.day == "sdtm":
        return _with_unread(_our_day(values.cast(pl.Float64, strict=False), source, name, log), text), None
    if column.times != 1.0:
        return _with_unread(values.cast(pl.Float64, strict=False) * column.times, text), None
    return (text if values.dtype == pl.String else values), None


def _number_converted(values: pl.Series, column: ColumnMap, source: str, name: str, log: Log) -> pl.Series:
    """Return numbers in our units and days, without a detour by way of text."""
    if column.missing:
        codes = pl.Series(column.missing).cast(pl.Float64, strict=False).drop_nulls()
        is_code = values.is_in(codes.to_list()).fill_null(False)
        log.add(source, name, "coded as missing", int(is_code.sum()), ", ".join(column.missing))
        values = values.set(is_code, None)
    if column.day == "sdtm":
        return _with_unread(_our_day(values.cast(pl.Float64), source, name, log), values)
    return values if column.times == 1.0 else values.cast(pl.Float64) * column.times


def _our_day(number: pl.Series, source: str, name: str, log: Log) -> pl.Series:
    """Return whole study days as ours, with day 0; what is no whole day is missing."""
    day = pl.select(pl.when(number > 0).then(number - 1).otherwise(number)).to_series()
    log.add(source, name, "day 0 in days that have none", int((number == 0).fill_null(False).sum()))
    return pl.select(pl.when(day == day.round()).then(day)).to_series().cast(pl.Int64)


def _with_unread(numbers: pl.Series, text: pl.Series) -> pl.Series:
    """Return numbers; what is none stays as it is, for the check to name."""
    if (numbers.is_null() & text.is_not_null()).any():
        return pl.select(pl.coalesce(numbers.cast(pl.String), text.cast(pl.String))).to_series()
    return numbers


def _decoded(text: pl.Series, column: ColumnMap, source: str, name: str, log: Log) -> pl.Series:
    codes = {code.strip().casefold(): meaning for code, meaning in column.codes.items()}
    folded = text.str.to_lowercase()
    found = folded.replace_strict(codes, default=None, return_dtype=pl.String)
    outside = text.filter(found.is_null() & text.is_not_null())
    what = "code not in the list, left missing" if column.other == "missing" else "code not in the list, kept"
    for value, n in outside.value_counts(sort=True).head(20).iter_rows():
        log.add(source, name, what, n, value)
    return found if column.other == "missing" else pl.select(pl.coalesce(found, text)).to_series()


def _dated(
    text: pl.Series, column: ColumnMap, bounds: Bounds, source: str, name: str, log: Log
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


def with_units(
    values: pl.Series, unit: pl.Series, column: ColumnMap, source: str, name: str, log: Log
) -> pl.Series:
    """Return numbers in our unit; the log says from which, and which is not known."""
    values, met = in_our_unit(values, unit, column.units)
    factors = {known.casefold(): factor for known, factor in column.units.items()}
    ours = next((known for known, factor in column.units.items() if factor == 1.0), "ours")
    for text, n in met.items():
        factor = factors.get(text.casefold())
        if not text:
            log.add(source, name, f"no unit given, taken as {ours}", n)
        elif factor is None:
            log.add(source, name, "unknown unit, kept for the check to refuse", n, text)
        else:
            log.add(source, name, f"converted into {ours}", n, f"{text}, times {factor:g}")
    return values
