"""Values of a source in our codes, units, days and dates, and the log of what that took."""

from __future__ import annotations

import polars as pl

from ahsct.tables.mapping import ColumnMap

LOG = {
    "source": pl.String(),
    "column": pl.String(),
    "what": pl.String(),
    "n": pl.Int64(),
    "detail": pl.String(),
}
_PARTIAL = {
    "first": ("-01-01", "-01"),
    "middle": ("-07-01", "-15"),
    "last": ("-12-31", None),  # the last day of the month is computed
}


class Log:
    """Rows of what happened to a source: each with how many times."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str | None, str, int, str | None]] = []

    def add(self, source: str, column: str | None, what: str, n: int, detail: str | None = None) -> None:
        """Add a row, unless it happened no time."""
        if n:
            self.rows.append((source, column, what, n, detail))


def converted(
    values: pl.Series, column: ColumnMap, source: str, name: str, log: Log
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
    text: pl.Series, column: ColumnMap, source: str, name: str, log: Log
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
