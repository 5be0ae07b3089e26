"""Partial ISO 8601 dates ("2003", "2003-05"): left missing, or completed inside their period and flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Partial = Literal["missing", "first", "middle", "last"]
_DAY = r"^(\d{4}-\d{2}-\d{2})(?:[T ][\d:.,+Z-]*)?$"
_YEAR = r"^(\d{4})(?:---\d{2}|-+)?$"  # "2003---15" gives a day of an unknown month: its year is known
_MONTH = r"^(\d{4}-\d{2})-?$"


@dataclass(frozen=True)
class Completed:
    """`dates`: ISO dates as text, what is none as it was; `flags`: M (month and day) or D (day); how many were moved."""

    dates: pl.Series
    flags: pl.Series | None
    n_partial: int
    n_moved: int


def complete_dates(
    text: pl.Series,
    partial: Partial,
    *,
    not_before: Sequence[pl.Series] = (),
    not_after: Sequence[pl.Series] = (),
) -> Completed:
    """Return dates with partial ones completed, and which they are.

    Parameters
    ----------
    text
        ISO 8601 dates, whole (with or without a time) or partial.
    partial
        "missing", or the day of the period that is taken: its first, its middle (the 15th; 1 July), its last.
    not_before, not_after
        Other dates of the same rows, partial ones completed in the same way. A completed date is moved so that it
        lies neither before the former nor after the latter, as far as its own period allows.

    Returns
    -------
    Completed
        A date that no period leaves room for stays inside its period, for the check to name.

    Examples
    --------
    >>> start, end = pl.Series(["2004-05", "2003", "2004-05-06T10:11"]), pl.Series(["2004-05-10", None, "2004-05-07"])
    >>> made = complete_dates(start, "middle", not_after=[end])
    >>> made.dates.to_list(), made.flags.to_list()
    (['2004-05-10', '2003-07-01', '2004-05-06'], ['D', 'M', None])
    """
    whole, year, month = text.str.extract(_DAY), text.str.extract(_YEAR), text.str.extract(_MONTH)
    is_partial = year.is_not_null() | month.is_not_null()
    n = int(is_partial.sum())
    if not n:
        return Completed(pl.select(pl.coalesce(whole, text)).to_series(), None, 0, 0)
    if partial == "missing":
        kept = pl.select(pl.coalesce(whole, pl.when(~is_partial).then(text))).to_series()
        return Completed(kept, None, n, 0)
    first, last, taken = _day(text, "first"), _day(text, "last"), _day(text, partial)
    moved = taken
    for bound in not_before:
        low = _day(bound, partial)
        is_inside = (low <= last) & (low > first)
        moved = pl.select(pl.when(is_inside).then(pl.max_horizontal(moved, low)).otherwise(moved)).to_series()
    for bound in not_after:
        high = _day(bound, partial)
        is_inside = (high >= first) & (high < last)
        moved = pl.select(
            pl.when(is_inside).then(pl.min_horizontal(moved, high)).otherwise(moved)
        ).to_series()
    completed = moved.dt.strftime("%Y-%m-%d")
    dates = pl.select(pl.coalesce(whole, pl.when(is_partial).then(completed), text)).to_series()
    flags = pl.select(
        pl.when(completed.is_null()).then(None).when(year.is_not_null()).then(pl.lit("M")).when(month.is_not_null()).then(pl.lit("D"))
    ).to_series()  # fmt: skip
    return Completed(dates, flags, n, int((is_partial & (moved != taken)).sum()))


def _day(text: pl.Series, which: Partial) -> pl.Series:
    """Return whole dates as they are, and the first, middle or last day of partial ones."""
    whole, year, month = text.str.extract(_DAY), text.str.extract(_YEAR), text.str.extract(_MONTH)
    in_year, in_month = {"first": ("-01-01", "-01"), "middle": ("-07-01", "-15"), "last": ("-12-31", "-01")}[
        which
    ]
    days = pl.select(pl.coalesce(whole, year + in_year, month + in_month)).to_series()
    dates = days.str.to_date("%Y-%m-%d", strict=False)
    if which != "last":
        return dates
    return pl.select(pl.when(month.is_not_null()).then(dates.dt.month_end()).otherwise(dates)).to_series()
