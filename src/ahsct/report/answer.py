"""The first page: the answer with its intervals, what it leaves out, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ahsct.analysis import Analysis
from ahsct.definitions import INTERCURRENT_EVENTS, Definition
from ahsct.report.formats import MARK_WORDS, and_list, interval, percent, time_words
from ahsct.report.share import count_text
from ahsct.report.tables import Row, Table, counts_text, estimate_text, note_parts, text_table
from ahsct.report.words import TIME_ZEROS, endpoint_label, estimand_label, estimand_rows, incidence_words
from ahsct.vocabulary import DAYS_PER_YEAR

_HEADLINES = ("survival_probability", "cumulative_incidence")
_SENSITIVITY = "sensitivity_survival_probability"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One way of counting: the estimate, its intervals (text, method, mark) in order, its counts in words."""

    label: str
    standing: str
    estimate: str
    intervals: tuple[tuple[str, str, str], ...]
    counts: str
    notes: tuple[str, ...]


def headline_rows(rows: Sequence[Row], definition: Definition) -> list[Row]:
    """Return the rows of the primary endpoint at the primary milestone, in the order they came."""
    at = definition.primary_milestone_days / DAYS_PER_YEAR
    return [
        row
        for row in rows
        if row["endpoint"] == definition.primary_endpoint
        and row["component"] in ("composite", None)
        and row["statistic"] in _HEADLINES
        and row["subgroup"] is None
        and row["time_years"] is not None
        and abs(row["time_years"] - at) * DAYS_PER_YEAR < 0.5
    ]


def answers(rows: Sequence[Row], definition: Definition) -> list[Answer]:
    """Return the headline of each way of counting (and arm), its intervals in the order of the rows."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in headline_rows(rows, definition):
        groups.setdefault((row["estimand"], row["arm"], row["statistic"], row["term"]), []).append(row)
    has_arms = len({key[1] for key in groups}) > 1
    return [_answer(group, definition, has_arms) for group in groups.values()]


def _answer(group: list[Row], definition: Definition, has_arms: bool) -> Answer:
    first = group[0]
    label = estimand_label(definition, first["estimand"])
    known = [estimand for estimand in definition.estimands if estimand.id == first["estimand"]]
    at_risk = first["n_at_risk"]
    counts = (
        f"{counts_text(first)} {incidence_words(first['term'], definition)}"
        if not first.get("hidden")
        else counts_text(first)
    )
    if at_risk is not None and not first.get("hidden"):
        counts += f"; {at_risk} still at risk at {time_words(first['time_years'])}"
    return Answer(
        label=f"{label} ({first['arm']})" if has_arms else label,
        standing="not an estimand" if known and not known[0].is_estimand else "",
        estimate=estimate_text(first),
        intervals=tuple(
            (interval(row), row["method"], MARK_WORDS.get(row["mark"] or "", ""))
            for row in group
            if not row.get("hidden")
        ),
        counts=counts,
        notes=tuple(note_parts([{**row, "mark": None} for row in group])),
    )


def answer_sentences(rows: Sequence[Row], definition: Definition) -> list[str]:
    """Return the answer in one plain sentence for each way of counting (and arm)."""
    endpoint = endpoint_label(definition, definition.primary_endpoint)
    at = time_words(definition.primary_milestone_days / DAYS_PER_YEAR)
    shown = [row for row in headline_rows(rows, definition) if not row.get("hidden")]
    firsts: dict[tuple[str, str, str | None], Row] = {}
    for row in shown:
        if row["estimate"] is not None:
            firsts.setdefault((row["estimand"], row["arm"], row["term"]), row)
    if not firsts:
        return [f"{endpoint} at {at} could not be estimated from these tables, or may not be shown."]
    has_arms = len({arm for _, arm, _ in firsts}) > 1
    said = []
    for (estimand, arm, _), row in firsts.items():
        counted = estimand_label(definition, estimand)
        reached = (
            f"reached {at} free of any event"
            if row["statistic"] == "survival_probability"
            else f"{incidence_words(row['term'], definition)} within {at}"
        )
        limits = (
            ""
            if row["lower"] is None or row["upper"] is None
            else f"; the data are compatible with {percent(row['lower'])} to {percent(row['upper'])} "
            f"({100 * row['conf_level']:g} % interval)"
        )
        where = f" in {arm}" if has_arms else ""
        said.append(
            f"{counted[0].upper()}{counted[1:]}. Counted so, an estimated {percent(row['estimate'])}{where} {reached}{limits}."
        )
    return said


def sensitivity_table(rows: Sequence[Row], definition: Definition) -> Table | None:
    """Return how the answer moves with the way of counting, the interval and the reading of time.

    Only rows that stand in the results are shown; nothing is computed for the page.
    """
    own = and_list(sorted({rule.unconfirmed_at_end.replace("_", " ") for rule in definition.disability}))
    varied = [row for row in rows if row["statistic"] == _SENSITIVITY]
    readings: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in (*headline_rows(rows, definition), *varied):
        time = "interval-censored" if "turnbull" in row["method"].casefold() else "as detected"
        rule = row["term"] or own if row["statistic"] != "cumulative_incidence" else own
        readings.setdefault((estimand_label(definition, row["estimand"]), row["arm"], time, rule), []).append(
            row
        )
    # rules that give the same numbers share a line
    printed: dict[tuple[str, ...], list[str]] = {}
    for (way, arm, time, rule), found in readings.items():
        intervals = "; ".join(
            f"{interval(row)}, {row['method']}" if row["lower"] is not None else row["note"] or row["method"]
            for row in found
            if not row.get("hidden")
        )
        printed.setdefault((way, arm, time, estimate_text(found[0]), intervals), []).append(rule)
    has_arms = len({key[1] for key in readings}) > 1
    return text_table(
        "sensitivity",
        "The primary number under each way of counting, reading of time and rule for unconfirmed changes",
        ("Way of counting", "Arm", "Time of events", "Unconfirmed at the end", "Estimate", "Intervals"),
        [
            (way, arm if has_arms else "", time, ", ".join(dict.fromkeys(rules)), estimate, intervals)
            for (way, arm, time, estimate, intervals), rules in printed.items()
        ],
    )


def estimand_table(definition: Definition) -> Table | None:
    """Return the statement of every estimand of the primary endpoint, side by side."""
    columns, rows = estimand_rows(definition)
    return text_table("estimands", "The ways of counting, as ICH E9(R1) asks for them", columns, rows)


def left_out(analysis: Analysis, *, share: bool) -> list[str]:
    """Return what the answer does not cover, from the definition and the tables."""
    definition, outcomes, study = analysis.definition, analysis.outcomes, analysis.study
    endpoint = definition.endpoint(definition.primary_endpoint)
    said = []
    has_comparison = analysis.estimates.results["reference_arm"].null_count() < len(
        analysis.estimates.results
    )
    if not has_comparison:
        said.append(
            "There is no control group: nothing here says what would have happened without the transplant."
        )
    if study.data_kind == "reconstructed":
        said.append(
            "The courses are invented so that their totals match what was published; only the published numbers "
            "carry information about real people."
        )
    elif study.data_kind == "simulated":
        said.append("The patients are simulated: the answer tells about the model, not about people.")
    kinds = study.table("patients", ["time_zero_kind"])["time_zero_kind"].drop_nulls().unique().sort()
    is_own = definition.time_zero.comparability == "as_treated_not_comparable"
    if other := [TIME_ZEROS[kind] for kind in kinds if kind != definition.time_zero.kind and not is_own]:
        said.append(
            f"The study's own time zero is {and_list(other)}; here time is counted from "
            f"{TIME_ZEROS[definition.time_zero.kind]}, and what happened between the two is left out."
        )
    for id in endpoint.estimands:
        estimand = definition.estimand(id)
        events = [
            event
            for event in INTERCURRENT_EVENTS
            if estimand.handling(event).handling in ("exclude", "censor")
        ]
        if events:
            named = and_list([event.replace("_", " ") for event in events])
            said.append(f"Counted “{estimand.label}”, patients are no longer followed after: {named}.")
    of_primary = outcomes.not_evaluable.filter(outcomes.not_evaluable["endpoint"] == endpoint.id)
    n = of_primary["patient_id"].drop_nulls().n_unique()
    if n:
        said.append(
            f"Patients who could not be evaluated for it (reasons below): {count_text(n, share=share)}."
        )
    if study.set_aside.height:
        said.append(
            "Patients set aside because their rows hold errors: "
            f"{count_text(study.set_aside.height, share=share)}."
        )
    said.append(
        "Events are dated by the visit or scan that found them; what happened between visits is not known."
    )
    return said
