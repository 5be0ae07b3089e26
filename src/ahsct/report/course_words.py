"""What is said of one patient's course, in figures and on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from ahsct.outcomes.course import Course

_REASONS = {
    "unconfirmed": "no visit in the confirmation window",
    "not_sustained": "confirmed, but it did not last",
    "near_relapse": "too near a relapse",
    "reverted": "a visit up to the confirmation no longer shows it",
    "before_start": "before counting starts",
    "follow_up_too_short": "followed too short to confirm",
    "not_persistent": "confirmed, but a confirmed change back followed",
    "other_kind": "confirmed, but not of the kind that the rule asks for",
    "earlier_event": "confirmed, but not the event that the rule asks for by number",
    "superseded": "a relapse took the search back, and this onset was found again from a later baseline",
    "not_evaluable": "not evaluable",
}


def score(value: float) -> str:
    """Return a score with one decimal, or as many as it has.

    Examples
    --------
    >>> score(4.0), score(5.25)
    ('4.0', '5.25')
    """
    return f"{value:.1f}" if abs(value * 10 - round(value * 10)) < 1e-9 else f"{value:g}"


def day_words(day: int) -> str:
    """Return a day with a real minus sign.

    Examples
    --------
    >>> day_words(-60)
    'day −60'
    """
    return f"day {day}".replace("-", "−")


def reason_words(reason: str) -> str:
    """Return why a change became no event."""
    return _REASONS.get(reason, reason.replace("_", " "))


def change_words(course: Course, row: dict[str, Any]) -> str:
    """Return what was made of one change, with every number that decides it."""
    sign = "+" if row["value_after"] >= row["value_before"] else "−"
    size = score(abs(row["value_after"] - row["value_before"]))
    text = (
        f"{row['direction']} on {day_words(row['onset_day'])}: {score(row['value_after'])} against {score(row['value_before'])} "
        f"({day_words(row['baseline_day'])}), {sign}{size} where {score(row['needed'])} counts"
    )
    if row["rejected_because"] is not None:
        return f"{text}; rejected: {reason_words(row['rejected_because'])}"
    reached = course.confirmations.filter(pl.col("number") == row["number"])
    days = ", ".join(
        f"{day_words(one['day'])} ({one['period_days']} d: {score(one['value'])})"
        for one in reached.iter_rows(named=True)
    )
    text += f"; confirmed on {days or 'no visit (imputed)'}"
    if row["is_sustained_to_end"]:
        text += ", held to the last visit"
    elif row["last_day"] is not None:
        text += f", held to {day_words(row['last_day'])}"
    later = reached.filter(~pl.col("is_relapse_free"))["relapse_free_day"].drop_nulls().unique().sort()
    if row["label"] == "PIRA" and later.len():
        text += f", without a relapse near it on {', '.join(day_words(day) for day in later)}"
    label = {"undefined": "neither RAW nor PIRA"}.get(row["label"] or "", row["label"])
    return f"{text}; {label}" if label else text
