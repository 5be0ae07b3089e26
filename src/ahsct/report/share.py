"""What may leave the centre: small counts hidden, and the numbers that would give them away.

A count of 1 to 4 is hidden, and so is a row whose complement (n minus events) is 1 to 4, whose
number of patients differs by 1 to 4 from all infused patients (the difference would tell how many
were left out), or which would complete a list of counts that adds up to a known total.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from ahsct.report.csv_safe import quote_formulas
from ahsct.vocabulary import RESULTS

SMALL = "<5"
_MONTHS_PER_YEAR = 12
_DAYS_PER_MONTH = 365.25 / 12
_SHORT_DAYS = 6 * _DAYS_PER_MONTH  # below, rounding to a month may move the number by more than a twelfth
_COUNTS = ("n", "n_events", "n_at_risk", "n_censored", "n_not_evaluable")
_NUMBERS = ("estimate", "std_error", "lower", "upper", "df", "p_value", "person_years", "mc_error")
_SMALL_NUMBER = re.compile(r"\b[1-4]\b")
_HIDDEN_NOTE = "note left out: it may hold a small count"


def is_small(count: int | None) -> bool:
    """Return True for 1 to 4; zero may be shown."""
    return count is not None and 0 < count < 5


def count_text(count: int, *, share: bool) -> str:
    """Return a count, or "<5" where it may not be shown."""
    return SMALL if share and is_small(count) else str(count)


def without_small_counts(text: str, *, share: bool) -> str:
    """Return a text in which no number of 1 to 4 stands when it is shared.

    Examples
    --------
    >>> without_small_counts("left out: treatment_death: 1", share=True)
    'left out: treatment_death: <5'
    """
    return _SMALL_NUMBER.sub(SMALL, text) if share else text


def mask_results(results: pl.DataFrame) -> pl.DataFrame:
    """Return RESULTS with one more column, `hidden` (why, or ""), its numbers missing there.

    Durations are rounded to whole months, dates to the month; days that make up less than half a year are hidden,
    because a month would be another number (engraftment after 11 days would be "0 days").
    """
    rows = [dict(row) for row in results.iter_rows(named=True)]
    reasons = [_why_hidden(row, _all_infused(rows, row["arm"])) for row in rows]
    _close_lists(rows, reasons)
    masked = [_mask(row, reason) for row, reason in zip(rows, reasons, strict=True)]
    frame = pl.DataFrame({name: [row[name] for row in masked] for name in RESULTS}, schema=RESULTS)
    return frame.with_columns(pl.Series("hidden", [row["hidden"] for row in masked], dtype=pl.String))


def masked_csv(masked: pl.DataFrame) -> pl.DataFrame:
    """Return masked results as they are written: "<5" or "hidden" stands in the hidden cells."""
    is_hidden = pl.col("hidden") != ""
    return quote_formulas(
        masked.with_columns(
            pl.when(is_hidden & (pl.lit(name) == "n_events") & (pl.col("hidden") == SMALL))
            .then(pl.lit(SMALL))
            .when(is_hidden & pl.col(name).is_null())
            .then(pl.lit("hidden"))
            .otherwise(pl.col(name).cast(pl.String))
            .alias(name)
            for name in ("n", "n_events", "estimate", "lower", "upper")
        )
    )


def printed_steps(counts: Iterable[int]) -> list[int | None]:
    """Return the numbers of a patient flow that may stand beside each other, None for the others.

    Examples
    --------
    >>> printed_steps([30, 24, 23, 23, 12])
    [30, 24, None, None, 12]
    """
    shown: list[int] = []
    printed: list[int | None] = []
    for count in counts:
        may = not is_small(count) and not any(is_small(abs(count - other)) for other in shown)
        printed.append(count if may else None)
        if may:
            shown.append(count)
    return printed


def _all_infused(rows: list[dict[str, Any]], arm: str) -> int | None:
    counts = [
        row["n"]
        for row in rows
        if row["arm"] == arm and row["population"] == "infused" and row["unit_of_analysis"] == "patient"
    ]
    return max(counts, default=None)


def _why_hidden(row: Mapping[str, Any], n_infused: int | None) -> str:
    events, n = row["n_events"], row["n"]
    if row["statistic"] in ("minimum", "maximum"):
        return "hidden: the value of a single patient"
    if row["statistic"] == "count" and row["estimate"] is not None and events is None:
        events = int(row["estimate"])
    if is_small(events) or (row["statistic"] == "count" and is_small(n)):
        return SMALL
    if row["unit_of_analysis"] != "patient":
        return ""
    if is_small(n) or (events is not None and is_small(n - events)):
        return "hidden: the complement is under 5"
    if n_infused is not None and is_small(abs(n_infused - n)):
        return "hidden: it would tell a count under 5 by difference"
    if row["unit"] == "days" and row["estimate"] is not None and row["estimate"] < _SHORT_DAYS:
        return "hidden: too short to be rounded to months"
    return ""


def _close_lists(rows: list[dict[str, Any]], reasons: list[str]) -> None:
    """Hide further rows of a list of counts until the hidden ones cannot be found by subtraction."""
    lists: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(rows):
        term = row["term"] or ""
        if ": " in term and row["statistic"] in ("count", "proportion"):
            key = (row["endpoint"], term.split(": ")[0], row["statistic"], row["population"], row["arm"])
            lists.setdefault(key, []).append(place)
    for places in lists.values():
        counts = {place: rows[place]["n_events"] or int(rows[place]["estimate"] or 0) for place in places}
        hidden = {place for place in places if reasons[place]}
        while hidden and (len(hidden) < 2 or sum(counts[place] for place in hidden) < 5):
            left = [place for place in places if place not in hidden and counts[place] > 0]
            if not left:
                break
            next_place = min(left, key=lambda place: (counts[place], place))
            reasons[next_place] = "hidden: it would tell a count under 5 by subtraction"
            hidden.add(next_place)


def _mask(row: dict[str, Any], reason: str) -> dict[str, Any]:
    masked = dict(row, hidden=reason)
    if row["statistic"] == "date":
        masked["note"] = (row["note"] or "")[:7]
    elif row["note"] and (reason or _SMALL_NUMBER.search(row["note"])):
        masked["note"] = _HIDDEN_NOTE
    for name in _COUNTS:
        if reason or is_small(row[name]):
            masked[name] = None
    if reason:
        return masked | dict.fromkeys(_NUMBERS)
    return masked | {
        name: _in_months(row[name], row["unit"])
        for name in ("estimate", "lower", "upper")
        if row["statistic"] not in ("person_years", "mixed_model")
    }


def _in_months(value: float | None, unit: str) -> float | None:
    if value is None or unit not in ("days", "years"):
        return value
    if unit == "days":
        return round(value / _DAYS_PER_MONTH) * _DAYS_PER_MONTH
    return round(value * _MONTHS_PER_YEAR) / _MONTHS_PER_YEAR
