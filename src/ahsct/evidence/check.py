"""Checks the evidence: counts against percentages, intervals around estimates, denominators within the study."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from ahsct.evidence.read import MEMORY, TABLES, Evidence
from ahsct.tables.problems import Rule, Severity, broken_rows, in_order, join_problems
from ahsct.tables.rules_values import value_problems
from ahsct.vocabulary import PROBLEMS, SCHEMAS, from_rows

_SCALES: dict[str, Callable[[float], float]] = {
    "log-log": lambda s: math.log(-math.log(s)),
    "log": math.log,
    "plain": lambda s: s,
}


def find_evidence_problems(evidence: Evidence) -> pl.DataFrame:
    """Return every problem of the evidence; what is known and recorded is a warning that names its record.

    Returns
    -------
    pl.DataFrame
        Schema PROBLEMS; the tables are called `evidence_studies`, `evidence_results`, `evidence_overlaps`.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> problems = find_evidence_problems(read_evidence())
    >>> problems.filter(pl.col("severity") == "error").height
    0
    """
    frames = {"studies": evidence.studies, "results": evidence.results, "overlaps": evidence.overlaps}
    found = [evidence.problems]
    for name in TABLES:
        table = f"evidence_{name}"
        for origin in frames[name]["origin"].unique(maintain_order=True):
            part = frames[name].filter(pl.col("origin") == origin)
            found.append(value_problems(table, part, list(SCHEMAS[table])))
            found.append(broken_rows(table, part, _RULES[name]))
    found.append(_keys(evidence))
    found.append(_numbers(evidence))
    return in_order(join_problems(found))


_DOUBTS = ("interval_off_centre", "one_limit")  # what a source may print: a warning
_NO_SOURCE = Rule(
    name="no_source", column="source_title",
    when=pl.col("verified").ne_missing(MEMORY) & pl.col("source_url").is_null() & pl.col("source_title").is_null(),
    message="a row without a source is refused: give `source_url` or `source_title`, with `locator`, or mark it `memory` (then it is shown and never pooled).",
)  # fmt: skip


def _order(low: str, high: str, message: str, name: str) -> Rule:
    return Rule(name=name, column=low, when=pl.col(low) > pl.col(high), message=message)


_RULES: dict[str, Sequence[Rule]] = {
    "studies": [
        _NO_SOURCE,
        _order("first_transplant", "last_transplant", "The first transplant comes after the last. Correct the years.", "years_order"),
        _order("last_transplant", "year", "The last transplant comes after the publication. Correct the years.", "years_order"),
        _order("tr_deaths", "n_transplanted", "More treatment deaths than transplants. Correct the counts.", "more_deaths_than_patients"),
        Rule(
            name="types_exceed_patients", column="n_rrms",
            when=pl.sum_horizontal("n_rrms", "n_spms", "n_ppms", "n_progressive", "n_other")
            > pl.max_horizontal("n_transplanted", "n_analysed", pl.when(pl.col("design") == "rct").then(pl.col("n_rrms"))),
            message="The types of MS add up to more than the patients. Correct the counts.",
        ),
    ],
    "results": [
        _NO_SOURCE,
        Rule(name="no_locator", column="locator", when=pl.col("verified").ne_missing(MEMORY) & pl.col("locator").is_null(),
             message="`locator` says where in the source the number stands. Fill it in."),
        _order("lower", "estimate", "The lower limit lies above the estimate. Correct the numbers.", "interval_around_estimate"),
        _order("estimate", "upper", "The upper limit lies below the estimate. Correct the numbers.", "interval_around_estimate"),
        _order("effect_lower", "effect", "The lower limit lies above the effect. Correct the numbers.", "interval_around_effect"),
        _order("effect", "effect_upper", "The upper limit lies below the effect. Correct the numbers.", "interval_around_effect"),
        _order("n_events", "n", "More patients counted than there are. Correct `n_events` or `n`.", "more_events_than_patients"),
        Rule(name="no_level", column="conf_level", when=pl.col("lower").is_not_null() & pl.col("conf_level").is_null(),
             message="An interval needs its level: `conf_level`, as 0.95."),
        Rule(name="no_interval_method", column="interval_method", when=pl.col("lower").is_not_null() & pl.col("interval_method").is_null(),
             message="An interval needs its method: `interval_method`, or `not stated`."),
        Rule(name="percent_range", column="estimate", when=(pl.col("unit") == "percent") & ~pl.col("estimate").is_between(0, 100),
             message="A share of patients lies between 0 and 100 percent, found {value}. Correct the value or its unit."),
        Rule(name="count_without_meaning", column="count_of", when=pl.col("n_events").is_not_null() & pl.col("count_of").is_null(),
             message="`count_of` says whether `n_events` counts the estimate or its complement."),
        Rule(name="ratio_not_positive", column="effect", when=pl.col("effect_measure").str.ends_with("ratio") & (pl.col("effect") <= 0),
             message="A ratio is above 0, found {value}. Correct it."),
        Rule(name="estimate_missing", column="estimate",
             when=pl.col("estimate").is_null() & pl.col("printed").is_null() & pl.col("effect").is_null() & (pl.col("kind") != "design") & (pl.col("kind") != "contrast"),
             message="A row needs a number: `estimate`, `effect`, or `printed` where it is none."),
        Rule(name="unit_missing", column="unit", when=pl.col("estimate").is_not_null() & pl.col("unit").is_null(),
             message="A number needs its unit."),
        Rule(name="landmark_without_time", column="time_years", when=(pl.col("time_kind") == "landmark") & pl.col("time_years").is_null(),
             message="A landmark needs its time in years."),
    ],
    "overlaps": [
        Rule(name="overlap_with_itself", column="study_b", when=pl.col("study_a") == pl.col("study_b"),
             message="A study overlaps itself by definition. Name the other one."),
    ],
}  # fmt: skip


def _keys(evidence: Evidence) -> pl.DataFrame:
    """Return ids that are double or unknown."""
    rows: list[dict[str, Any]] = []
    known = set(evidence.studies["study_id"].drop_nulls())
    definitions = set(evidence.definitions["definition"])
    pairs: set[frozenset[str]] = set()

    def add(table: str, row: Any, column: str, value: str, rule: str, message: str) -> None:
        rows.append({"table": f"evidence_{table}", "row": row, "column": column, "value": value, "rule": rule,
                     "severity": "error", "message": message})  # fmt: skip

    for table, frame, column in (
        ("studies", evidence.studies, "study_id"),
        ("results", evidence.results, "result_id"),
    ):
        seen: set[str] = set()
        for row, value in frame.select("row", column).iter_rows():
            if value in seen:
                add(
                    table,
                    row,
                    column,
                    value,
                    "double_id",
                    f"`{column}` {value!r} stands twice. Give each row its own.",
                )
            seen.add(value)
    for row, study, definition in evidence.results.select("row", "study_id", "definition").iter_rows():
        if study is not None and study not in known:
            add(
                "results",
                row,
                "study_id",
                study,
                "unknown_study",
                f"No study {study!r} in `studies`. Add its row there.",
            )
        if definition and definition not in definitions:
            add(
                "results",
                row,
                "definition",
                definition,
                "unknown_definition",
                f"No definition {definition!r}. Leave it empty and describe it in `note`.",
            )
    for row, a, b in evidence.overlaps.select("row", "study_a", "study_b").iter_rows():
        for name in (a, b):
            if name is not None and name not in known:
                add(
                    "overlaps",
                    row,
                    "study_a",
                    name,
                    "unknown_study",
                    f"No study {name!r} in `studies`. Add its row there.",
                )
        if frozenset((a, b)) in pairs:
            add(
                "overlaps",
                row,
                "study_b",
                f"{a}, {b}",
                "double_overlap",
                f"The overlap of {a} and {b} stands twice. Keep one.",
            )
        pairs.add(frozenset((a, b)))
    named = {name for pair in pairs for name in pair}
    for row, study, origin in evidence.studies.select("row", "study_id", "origin").iter_rows():
        if origin != "shipped" and study not in named:
            message = (
                f"No row of `overlaps` names {study!r}: it is taken to share no patient with any other study. List a cohort that may hold "
                "the same patients, as unknown where you cannot say."
            )
            add("studies", row, "study_id", study, "overlap_not_stated", message)
            rows[-1]["severity"] = "warning"
    return from_rows(rows, PROBLEMS)


def _numbers(evidence: Evidence) -> pl.DataFrame:
    """Return rows whose numbers contradict each other; a recorded contradiction is a warning."""
    recorded = {
        (id, row["rule"]): row["inconsistency"]
        for row in evidence.inconsistencies.iter_rows(named=True)
        for id in row["result_ids"].split(";")
        if id
    }
    sizes = {
        id: max((value for value in (a, b) if value is not None), default=None)
        for id, a, b in evidence.studies.select("study_id", "n_transplanted", "n_analysed").iter_rows()
    }
    rows = []
    for row in evidence.results.iter_rows(named=True):
        for rule, column, message in _contradictions(row, sizes.get(row["study_id"])):
            number = recorded.get((row["result_id"], rule))
            severity: Severity = "warning" if number or rule in _DOUBTS else "error"
            note = f" Known: inconsistency {number}." if number else ""
            rows.append({
                "table": "evidence_results", "row": row["row"], "column": column, "value": row["result_id"], "rule": rule,
                "severity": severity, "message": f"{row['result_id']}: {message}{note}",
            })  # fmt: skip
    return from_rows(rows, PROBLEMS)


def _contradictions(row: dict[str, Any], size: int | None) -> list[tuple[str, str, str]]:
    found = []
    if row["unit"] == "percent" and None not in (row["estimate"], row["n"], row["n_events"]) and row["n"]:
        share = 100 * row["n_events"] / row["n"]
        share = 100 - share if row["count_of"] == "complement" else share
        if abs(share - row["estimate"]) > half_digit(row["estimate"]) * 1.0001:
            found.append(("count_against_percent", "n_events",
                          f"{row['n_events']} of {row['n']} is {share:.2f} %, printed is {row['estimate']:g} %."))  # fmt: skip
    if (row["lower"] is None) != (row["upper"] is None):
        found.append(("one_limit", "upper", "only one limit of the interval is given."))
    if (
        size is not None
        and row["n"] is not None
        and row["n_kind"] not in ("scans", "planned", None)
        and row["n"] > size
    ):
        found.append(
            (
                "denominator_above_study",
                "n",
                f"the denominator {row['n']} exceeds the study's {size} patients.",
            )
        )
    if (row["effect_measure"] or "") in ("hazard ratio", "rate ratio", "relative risk"):
        found += _off_centre(row, row["effect"], row["effect_lower"], row["effect_upper"], math.log, "effect")
    scale = _SCALES.get(row["interval_method"] or "")
    if (
        scale is not None
        and row["unit"] == "percent"
        and None not in (row["estimate"], row["lower"], row["upper"])
    ):
        found += _off_centre(
            row, row["estimate"], row["lower"], row["upper"], lambda s: scale(s / 100), "interval_method"
        )
    return found


def _off_centre(
    row: dict[str, Any], estimate: float | None, lower: float | None, upper: float | None, scale: Callable[[float], float],
    column: str,
) -> list[tuple[str, str, str]]:  # fmt: skip
    """Return a problem where no unrounded numbers could give an interval that is symmetric on the scale."""
    if estimate is None or lower is None or upper is None:
        return []

    def ends(value: float) -> tuple[float, float]:
        half = half_digit(value)
        a, b = sorted(
            (
                scale(max(value - half, 1e-9)),
                scale(value + half if column == "effect" else min(value + half, 100 - 1e-9)),
            )
        )
        return a, b

    (low, high), (l0, l1), (u0, u1) = ends(estimate), ends(lower), ends(upper)
    if (l0 + u0) / 2 <= high and low <= (l1 + u1) / 2:
        return []
    what = "a ratio" if column == "effect" else f"a {row['interval_method']} interval"
    return [
        (
            "interval_off_centre",
            column,
            f"{estimate:g} ({lower:g} to {upper:g}) is not centred as {what} would be.",
        )
    ]


def half_digit(value: float) -> float:
    """Return half a unit of the last digit that a number shows, three decimals at most.

    Examples
    --------
    >>> half_digit(69.6), half_digit(73.0)
    (0.05, 0.5)
    """
    for decimals in range(4):
        if math.isclose(round(value, decimals), value, abs_tol=1e-12):
            return float(0.5 * 10**-decimals)
    return 0.0005
