"""Rows of the evidence as words: each published number with its interval, counts, definition, mark and source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ahsct.evidence.read import MEMORY, Evidence

_TIMES = {
    "landmark": "at {t} years", "about": "at about {t} years", "median_follow_up": "median follow-up {t} years",
    "mean_follow_up": "mean follow-up {t} years", "up_to": "up to {t} years", "last_follow_up": "last follow-up",
    "whole_follow_up": "whole follow-up", "follow_up_column": "follow-up {t} years", "peri_transplant": "around the transplant",
    "before": "before the transplant", "window": "over a window", "pooled": "pooled over times", "not_stated": "time not stated",
}  # fmt: skip
_OUTCOMES = {
    "activity_free": "free of disease activity", "activity_failure": "disease activity", "progression_free": "free of progression",
    "mri_free": "free of MRI activity", "relapse_free": "free of relapse", "transplant_death": "death from the treatment",
    "edss": "EDSS", "edss_change": "EDSS change", "edss_slope": "EDSS slope", "mri_activity": "MRI activity",
}  # fmt: skip


def evidence_rows(evidence: Evidence) -> list[dict[str, Any]]:
    """Return one mapping of texts per result, in the order of the data; `mark` says how far it was seen.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> row = evidence_rows(read_evidence())[0]
    >>> row["value"], row["interval"], row["counts"], row["mark"]
    ('69.6 %', '46.6 to 84.2 (95 %, log-log)', '7 of 23 with an event (derived)', 'seen')
    """
    names = dict(evidence.studies.select("study_id", "citation").iter_rows())
    rules = dict(evidence.definitions.select("definition", "rule").iter_rows())
    return [
        {
            "id": row["result_id"], "study_id": row["study_id"], "study": names.get(row["study_id"], row["study_id"]),
            "outcome": _OUTCOMES.get(row["outcome"], row["outcome"].replace("_", " ")), "endpoint": row["endpoint"],
            "group": _group(row), "time": time_words(row), "value": value_words(row), "number": row["estimate"],
            "interval": interval_words(row), "counts": counts_words(row), "effect": effect_words(row),
            "definition": rules.get(row["definition"] or "", ""), "mark": mark_of(row), "source": row["source_title"] or "",
            "url": row["source_url"] or "", "locator": row["locator"] or "", "note": row["note"] or "",
        }
        for row in evidence.results.iter_rows(named=True)
    ]  # fmt: skip


def study_rows(evidence: Evidence) -> list[tuple[str, ...]]:
    """Return one row of texts per study; recalled cells carry the word."""
    return [
        (
            row["citation"], f"{row['year'] or ''}", row["design"].replace("_", " "), study_value(row, "n_transplanted"), _types(row),
            study_value(row, "regimen"), "" if row["followup_years"] is None else f"{row['followup_years']:g} y {row['followup_stat'] or ''}".strip(),
            study_value(row, "tr_deaths"), "recalled" if row["verified"] == MEMORY else "partly recalled" if row["memory_fields"] else "seen",
        )
        for row in evidence.studies.iter_rows(named=True)
    ]  # fmt: skip


def study_value(row: Mapping[str, Any], name: str) -> str:
    """Return a cell of a study, with the word where it is recalled."""
    if row[name] is None:
        return ""
    fields = (row["memory_fields"] or "").split(";")
    recalled = row["verified"] == MEMORY or name in fields or "all" in fields
    return f"{row[name]}{' (recalled)' if recalled else ''}"


def mark_of(row: Mapping[str, Any]) -> str:
    """Return "seen", "seen once" (could not be read again), "recalled" or "yours"."""
    if row["origin"] != "shipped":
        return "yours"
    return {"not re-checked": "seen once", MEMORY: "recalled"}.get(row["verified"], "seen")


def time_words(row: Mapping[str, Any]) -> str:
    """Return what the time of a row is."""
    words = _TIMES.get(row["time_kind"], "")
    return words.format(t="" if row["time_years"] is None else f"{row['time_years']:g}").replace(
        "at 1 years", "at 1 year"
    )


def value_words(row: Mapping[str, Any]) -> str:
    """Return the printed number with its unit."""
    if row["estimate"] is None:
        return row["printed"] or ""
    unit = row["unit"] or ""
    number = f"{row['estimate']:g}".replace("-", "−")
    return (
        f"{number} %{unit.removeprefix('percent').replace('/', ' a ')}"
        if unit.startswith("percent")
        else f"{number} {unit}".strip()
    )


def interval_words(row: Mapping[str, Any]) -> str:
    """Return the printed interval with its level and method; one limit stands alone."""
    low, high = row["lower"], row["upper"]
    if low is None and high is None:
        return "" if row["std_error"] is None else f"standard error {row['std_error']:g}"
    ends = (
        f"{low:g} to {high:g}"
        if None not in (low, high)
        else f"from {low:g}"
        if high is None
        else f"to {high:g}"
    )
    level = "" if row["conf_level"] is None else f"{100 * row['conf_level']:g} %, "
    return (
        f"{ends} ({level}{row['interval_method'] or 'method not stated'})".replace(
            "(95 %, not stated)", "(95 %, method not stated)"
        )
        .replace("-0", "−0")
        .replace("-1", "−1")
        .replace("-2", "−2")
    )


def counts_words(row: Mapping[str, Any]) -> str:
    """Return the counts, what they count and where they come from."""
    if row["n_events"] is None:
        return "" if row["n"] is None else f"n = {row['n']} {row['n_kind'] or ''}".strip()
    what = " with an event" if row["count_of"] == "complement" else ""
    mark = "" if row["count_mark"] in (None, "printed") else f" ({row['count_mark']})"
    return (
        f"{row['n_events']} of {row['n']}{what}{mark}" if row["n"] is not None else f"{row['n_events']}{mark}"
    )


def effect_words(row: Mapping[str, Any]) -> str:
    """Return the contrast with its comparator."""
    parts = []
    if row["effect"] is not None:
        limits = (
            "" if row["effect_lower"] is None else f" ({row['effect_lower']:g} to {row['effect_upper']:g})"
        )
        parts.append(f"{row['effect_measure'] or 'effect'} {row['effect']:g}{limits}")
    if row["comparator"]:
        parts.append(
            f"against {row['comparator']}"
            + (f": {row['comparator_estimate']}" if row["comparator_estimate"] else "")
        )
    if row["p_value"]:
        parts.append(f"p {row['p_value']}" if row["p_value"][0] in "<>" else f"p = {row['p_value']}")
    return "; ".join(parts)


def _group(row: Mapping[str, Any]) -> str:
    arm = "" if row["arm"] == "aHSCT" else row["arm"]
    return ", ".join(part for part in (row["subgroup"] if row["subgroup"] != "all" else "all", arm) if part)


def _types(row: Mapping[str, Any]) -> str:
    names = {
        "n_rrms": "RR",
        "n_spms": "SP",
        "n_ppms": "PP",
        "n_progressive": "progressive",
        "n_other": "other",
    }
    return ", ".join(f"{row[name]} {word}" for name, word in names.items() if row[name])
