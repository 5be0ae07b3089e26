"""Numbers and names as they stand in figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

NO_BREAK = "\u00a0"


def percent(share: float, decimals: int = 1) -> str:
    """Return a share as percent.

    Examples
    --------
    >>> percent(16 / 23).replace(NO_BREAK, " ")
    '69.6 %'
    """
    return f"{100 * share:.{decimals}f}{NO_BREAK}%"


def percent_interval(row: Mapping[str, Any]) -> str:
    """Return "69.6 % (46.6–84.2)" from a row with `estimate`, `lower`, `upper`; limits may be missing."""
    if row["estimate"] is None:
        return "not estimable"
    limits = limits_of(row, scale=100, decimals=1)
    return percent(row["estimate"]) + (f" ({limits})" if limits else "")


def limits_of(row: Mapping[str, Any], *, scale: float = 1, decimals: int = 2) -> str:
    """Return "46.6–84.2", "at most 1.2", "at least 3.4" or "" from a row's `lower` and `upper`.

    Examples
    --------
    >>> limits_of({"lower": -0.5, "upper": 0.25})
    '-0.50 to 0.25'
    >>> limits_of({"lower": None, "upper": 0.0167}, decimals=4)
    'at most 0.0167'
    """
    lower, upper = row["lower"], row["upper"]
    sided = row.get("sided") or "two"
    if upper is not None and (lower is None or sided == "upper"):
        return f"at most {scale * upper:.{decimals}f}"
    if lower is not None and (upper is None or sided == "lower"):
        return f"at least {scale * lower:.{decimals}f}"
    if lower is None:
        return ""
    between = " to " if lower < 0 else "–"
    return f"{scale * lower:.{decimals}f}{between}{scale * upper:.{decimals}f}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """Return "1 patient", "2 patients".

    Examples
    --------
    >>> plural(1, "patient"), plural(2000, "patient"), plural(2, "relapse of one", "relapses of one")
    ('1 patient', '2,000 patients', '2 relapses of one')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def spoken(name: str) -> str:
    """Return an identifier as words.

    Examples
    --------
    >>> spoken("edss_worsening"), spoken("mri_activity")
    ('EDSS worsening', 'MRI activity')
    >>> spoken("activity_free_survival"), spoken("treatment_related_mortality")
    ('activity-free survival', 'treatment-related mortality')
    """
    hyphened = name.replace("_free_survival", "-free_survival").replace(
        "treatment_related", "treatment-related"
    )
    words = hyphened.replace("_", " ").split(" ")
    return " ".join(
        word.upper() if word in {"edss", "mri", "dmt", "pira", "raw", "sdmt"} else word for word in words
    )


def short(name: str, most: int = 9) -> str:
    """Return a name cut to `most` letters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Return the lines of a text that fit a width [pt] at a type size; DejaVu Sans is 0.58 em wide.

    Examples
    --------
    >>> wrapped("Kaplan-Meier, log-log", width=80, size=10)
    ['Kaplan-Meier,', 'log-log']
    """
    return textwrap.wrap(text, max(8, int(width / (0.58 * size))), break_on_hyphens=False) or [""]


def listed(items: Sequence[str], most: int = 30) -> str:
    """Return items joined by semicolons, at most so many, with the number left out."""
    if len(items) <= most:
        return "; ".join(items)
    return "; ".join(items[:most]) + f"; and {len(items) - most:,} more"
