"""Numbers, intervals and times as a reader sees them: percent appears here and nowhere earlier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SPACE = "\u00a0"  # no line break between a number and its unit
MARK_WORDS = {
    "inferred": "inferred: our reading",
    "assumed": "assumed",
    "illustration": "illustration",
    "memory": "recalled from memory",
}
_DECIMALS = {
    "years": 1,
    "percent": 1,
    "percent per year": 2,
    "days": 0,
    "months": 0,
    "EDSS": 1,
    "patients": 0,
}


def percent(value: float) -> str:
    """Return a probability in percent with one decimal.

    A value that would round to 0 or 100 without being it is printed as a bound.

    Examples
    --------
    >>> [percent(value).replace(SPACE, " ") for value in (16 / 23, 0.0, 0.00008, 0.9999)]
    ['69.6 %', '0.0 %', '<0.1 %', '>99.9 %']
    """
    return f"{_percent_digits(value)}{SPACE}%"


def number(value: float, unit: str) -> str:
    """Return a number with the digits that suit its unit, and a real minus sign.

    Examples
    --------
    >>> [number(value, unit) for value, unit in ((-0.23, "percent per year"), (0.0206083, "per patient-year"))]
    ['−0.23', '0.0206']
    """
    if unit == "probability":
        return _percent_digits(value)
    if unit in _DECIMALS:
        text = f"{value:.{_DECIMALS[unit]}f}"
        if _DECIMALS[unit] == 0 and value != round(value):
            text = f"{value:.1f}"
    elif value == round(value) and abs(value) < 1e15:
        text = f"{value:.0f}"
    else:
        text = _three_digits(value)
    return _signed(text)


def quantity(value: float | None, unit: str) -> str:
    """Return a number with its unit; a missing one reads "not estimable"."""
    if value is None:
        return "not estimable"
    if unit == "probability":
        return percent(value)
    if unit in ("", "ratio", "EDSS", "date"):
        return number(value, unit)
    if unit.startswith("percent"):
        return f"{number(value, unit)}{SPACE}%{unit.removeprefix('percent')}"
    return f"{number(value, unit)} {unit}"


def interval(row: Mapping[str, Any]) -> str:
    """Return the interval of one row of results, with its level; one-sided bounds say so.

    Examples
    --------
    >>> row = {"lower": None, "upper": 0.0167, "conf_level": 0.95, "sided": "upper", "unit": "per patient-year"}
    >>> interval(row).replace(SPACE, " ")
    'at most 0.0167 (one-sided 95 %)'
    """
    level, lower, upper, unit = row["conf_level"], row["lower"], row["upper"], row["unit"]
    if level is None and lower is None and upper is None:
        return ""
    sign = f"{SPACE}%" if unit == "probability" else ""
    name = f"{100 * level:g}{SPACE}%" if level is not None else "level not stated"
    if row["sided"] == "upper":
        return f"at most {number(upper, unit)}{sign} (one-sided {name})" if upper is not None else ""
    if row["sided"] == "lower":
        return f"at least {number(lower, unit)}{sign} (one-sided {name})" if lower is not None else ""
    if lower is None and upper is None:
        return "no interval can be given"
    if lower is None or upper is None:
        low = "not reached" if lower is None else number(lower, unit)
        high = "no upper limit" if upper is None else number(upper, unit)
        return f"{low} to {high}{sign} ({name})"
    dash = " to " if lower < 0 or upper < 0 else "–"
    return f"{number(lower, unit)}{dash}{number(upper, unit)}{sign} ({name})"


def time_words(years: float) -> str:
    """Return a time from time zero in years, or in days where it is no round number of years.

    Examples
    --------
    >>> [time_words(days / 365.25) for days in (1096, 365, 100, 183)]
    ['3 years', '1 year', '100 days', '0.5 years']
    """
    rounded = round(years, 1)
    if rounded > 0 and abs(years - rounded) < 0.005:
        return "1 year" if rounded == 1 else f"{rounded:g} years"
    return f"{years * 365.25:.0f} days"


def out_of(count: int | None, total: int | None) -> str:
    """Return "7 of 23", or what of it is known."""
    if count is None:
        return "" if total is None else f"n = {total:,}".replace(",", SPACE)
    return str(count) if total is None else f"{count} of {total}"


def share_of(count: int, total: int) -> str:
    """Return "7 of 23 (30.4 %)"; nobody out of nobody has no percentage."""
    return f"{count} of {total} ({percent(count / total)})" if total else f"{count} of 0"


def p_value(value: float) -> str:
    """Return a p value to three decimals, or "<0.001"."""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def and_list(items: list[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def _percent_digits(value: float) -> str:
    if 0 < value < 0.0005:
        return "<0.1"
    if 0.9995 < value < 1:
        return ">99.9"
    return _signed(f"{100 * value:.1f}")


def _three_digits(value: float) -> str:
    text = f"{value:.3g}"
    return f"{value:.6f}".rstrip("0") if "e" in text and 1e-6 <= abs(value) < 1 else text


def _signed(text: str) -> str:
    return text.replace("-", "−") if float(text) != 0 else text.lstrip("-")
