"""What of the evidence can be pooled: each usable number of one question, or the reason why it is only shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ahsct.errors import RequestError
from ahsct.evidence.effect_sizes import SURVIVAL_INTERVALS, effective_size, survival_effect
from ahsct.evidence.read import Evidence, seen_results, seen_studies

MS_TYPES: Mapping[str, frozenset[str]] = {
    "rrms": frozenset({"rrms"}),
    "relapsing": frozenset({"rrms", "relapsing"}),
    "spms": frozenset({"spms"}),
    "ppms": frozenset({"ppms"}),
    "progressive": frozenset({"spms", "ppms", "progressive"}),
}
_EVERY_TYPE = frozenset({"rrms", "relapsing", "spms", "ppms", "progressive"})
CONTRASTS = ("randomised", "matched", "unadjusted", "within_study")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One number of one group of patients.

    Attributes
    ----------
    key
        The row's `result_id`.
    types
        Which types of MS the group holds (a cohort of one type is of that type); two groups of one cohort without a
        common type do not overlap.
    strata
        Other divisions the group belongs to ("regimen=beam"); groups of one cohort with different values are apart.
    weight
        Patients analysed: the printed denominator, else the patients of that type or all patients of the study.
    effective_n
        Of a time-to-event percentage: how many completely followed patients its standard error is worth.
    estimate, lower, upper
        As probabilities (or ratios), as printed; limits at `conf_level`.
    y, se
        On the pooling scale: log(-log S) of a time-to-event percentage, log of a ratio; missing for counts.
    events, n
        Counts of the estimate where it is a plain proportion.
    is_pooled
        It may enter a pool; else `reason` says why it is only shown.
    """

    key: str
    study_id: str
    label: str
    subgroup: str
    types: frozenset[str]
    strata: frozenset[tuple[str, str]]
    year: int
    weight: float
    effective_n: float | None
    estimate: float | None
    lower: float | None
    upper: float | None
    conf_level: float | None
    y: float | None
    se: float | None
    events: int | None
    n: int | None
    time_years: float | None
    endpoint: str
    definition: str
    comparison: str
    comparator: str
    source: str
    verified: str
    is_pooled: bool
    reason: str
    origin: str


def collect(
    evidence: Evidence,
    outcome: str | tuple[str, ...],
    *,
    kind: str,
    at_years: float | None = None,
    stratum: str | None = None,
    complete: bool = False,
) -> list[Entry]:
    """Return the numbers of one outcome, those that can be pooled and those that can only be shown.

    Parameters
    ----------
    outcome
        One or more outcomes of the vocabulary.
    kind
        "proportion" (counts of a completely followed group), "survival" (time-to-event percentages) or "contrast"
        (ratios against a comparator).
    at_years
        For "survival": the landmark; other times are left out.
    stratum
        Only rows of this stratum ("ms_type=rrms"), or "" for undivided cohorts; None: undivided cohorts and their types
        of MS, never their division by regimen or baseline, which would trade a cohort for its parts.
    complete
        For "proportion": take counts although complete follow-up is not stated, because the share is one of those
        assessed (improvement at the last visit), not a time-to-event percentage.

    Returns
    -------
    list of Entry
        In the order of the data. Rows from memory are among them, never `is_pooled`.
    """
    if kind not in ("proportion", "survival", "contrast"):
        raise RequestError(f"No kind {kind!r}; known are proportion, survival, contrast.")
    outcomes = (outcome,) if isinstance(outcome, str) else outcome
    studies = {row["study_id"]: row for row in seen_studies(evidence).iter_rows(named=True)}
    labels = dict(evidence.studies.select("study_id", "citation").iter_rows())
    usable = set(seen_results(evidence)["result_id"])
    rows = evidence.results.filter(pl.col("outcome").is_in(outcomes) & (pl.col("arm") == "aHSCT"))
    found = []
    for row in rows.iter_rows(named=True):
        own = row["stratum"] or ""
        if row["kind"] == "design" or own not in _wanted(own, stratum):
            continue
        if kind == "survival" and (row["time_kind"] != "landmark" or row["time_years"] != at_years):
            continue
        if (kind == "contrast") != (row["effect"] is not None):
            continue
        if kind != "contrast" and row["kind"] not in (
            ("proportion",) if kind == "proportion" else ("survival",)
        ):
            continue
        found.append(
            _entry(
                row,
                studies[row["study_id"]],
                labels[row["study_id"]],
                kind,
                complete,
                row["result_id"] in usable,
            )
        )
    return found


def _wanted(own: str, stratum: str | None) -> tuple[str, ...]:
    if stratum is not None:
        return (stratum,)
    return ("", own) if own.startswith("ms_type=") else ("",)


def group_types(row: Mapping[str, Any], study: Mapping[str, Any]) -> frozenset[str]:
    """Return which types of MS a row's patients have: by its stratum, else by the counts of the study."""
    stratum = row["stratum"] or ""
    if stratum.startswith("ms_type="):
        return MS_TYPES.get(stratum.removeprefix("ms_type="), _EVERY_TYPE)
    names = ("rrms", "spms", "ppms", "progressive", "other")
    counts = {name: study[f"n_{name}"] for name in names}
    size = study["n_transplanted"] or study["n_analysed"]
    known = sum(value or 0 for value in counts.values())
    if not size or known < size or counts["other"]:
        return _EVERY_TYPE
    return frozenset().union(*(MS_TYPES[name] for name in names[:-1] if counts[name]))


def _entry(
    row: Mapping[str, Any], study: Mapping[str, Any], label: str, kind: str, complete: bool, seen: bool
) -> Entry:
    stratum = row["stratum"] or ""
    strata = (
        frozenset({(stratum.split("=")[0], stratum)})
        if stratum and not stratum.startswith("ms_type=")
        else frozenset()
    )
    common: dict[str, Any] = {
        "key": row["result_id"], "study_id": row["study_id"], "label": label or row["study_id"], "subgroup": row["subgroup"],
        "types": group_types(row, study), "strata": strata, "year": study["year"] or 0, "time_years": row["time_years"],
        "endpoint": row["endpoint"], "definition": row["definition"] or "", "comparison": row["comparison"] or "",
        "comparator": (row["comparator"] or "") if kind == "contrast" else "",
        "source": row["source_url"] or row["source_title"] or "", "verified": row["verified"], "origin": row["origin"],
        "events": None, "n": row["n"], "effective_n": None, "weight": _patients(row, study),
    }  # fmt: skip
    numbers, reason = _numbers(row, kind, complete)
    if not seen:
        reason = "recalled, not seen in a source"
    elif study["design"] == "meta_analysis":
        reason = "a meta-analysis: contains other series"
    elif study["ms_only"] == "no":
        reason = "not multiple sclerosis alone"
    elif "inferred" in (row["note"] or "") and "arm" in (row["note"] or ""):
        reason = "which arm the number belongs to was inferred"
    return Entry(**common | numbers, is_pooled=not reason, reason=reason)


def _patients(row: Mapping[str, Any], study: Mapping[str, Any]) -> float:
    """Return the patients behind a number, or the nearest count that the study gives."""
    stratum = row["stratum"] or ""
    of_type = study.get(f"n_{stratum.removeprefix('ms_type=')}") if stratum.startswith("ms_type=") else None
    return float(row["n"] or of_type or study["n_transplanted"] or study["n_analysed"] or 0)


def _numbers(row: Mapping[str, Any], kind: str, complete: bool) -> tuple[dict[str, Any], str]:
    if kind == "contrast":
        return _contrast(row)
    share = {name: None if row[name] is None else row[name] / 100 for name in ("estimate", "lower", "upper")}
    numbers: dict[str, Any] = {**share, "conf_level": row["conf_level"], "y": None, "se": None}
    if row["unit"] != "percent" or row["estimate"] is None:
        return numbers, "not a share of patients"
    if kind == "proportion":
        return _counts(numbers, row, complete)
    return _survival(numbers, row)


def _counts(numbers: dict[str, Any], row: Mapping[str, Any], complete: bool) -> tuple[dict[str, Any], str]:
    if row["n"] is None or row["n_events"] is None:
        return numbers, "no printed count with its denominator"
    events = row["n_events"] if row["count_of"] == "estimate" else row["n"] - row["n_events"]
    numbers |= {"events": events, "estimate": events / row["n"]}
    if not complete and row["complete_follow_up"] != "yes":
        return numbers, "complete follow-up is not stated"
    return numbers, ""


def _survival(numbers: dict[str, Any], row: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    if row["complete_follow_up"] == "yes" and row["n"] and row["n_events"] is not None:
        return _counts(numbers, row, complete=True)
    if row["lower"] is None or row["upper"] is None:
        return numbers, "no interval is printed, and complete follow-up is not stated"
    if row["interval_method"] not in SURVIVAL_INTERVALS:
        return numbers, "the method of its interval is not stated"
    estimate, lower, upper = (numbers[name] for name in ("estimate", "lower", "upper"))
    try:
        y, se = survival_effect(
            estimate, lower, upper, interval=row["interval_method"], conf_level=row["conf_level"]
        )
    except RequestError as error:
        return numbers, str(error)
    return numbers | {"y": y, "se": se, "effective_n": effective_size(estimate, se)}, ""


def _contrast(row: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    import math

    numbers: dict[str, Any] = {
        "estimate": row["effect"], "lower": row["effect_lower"], "upper": row["effect_upper"], "conf_level": 0.95,
        "y": None, "se": None,
    }  # fmt: skip
    if row["effect_measure"] not in ("hazard ratio", "rate ratio", "relative risk"):
        return numbers, "not a ratio"
    if row["effect_lower"] is None or row["effect_upper"] is None:
        return numbers, "no interval is printed"
    numbers |= {
        "y": math.log(row["effect"]),
        "se": (math.log(row["effect_upper"]) - math.log(row["effect_lower"])) / (2 * 1.959963984540054),
    }
    return numbers, ""
