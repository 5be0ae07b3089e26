"""The tables of a report that come from patients' rows: counted, listed, never estimated."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.analysis import Analysis
from ahsct.report.formats import MARK_WORDS, number, share_of
from ahsct.report.share import count_text, printed_steps, without_small_counts
from ahsct.report.tables import Row, Table, estimate_text, text_table
from ahsct.report.words import endpoint_label, population_words, words

_SEVERITIES = ("mild", "moderate", "severe", "life-threatening", "fatal", "not stated")
_LISTS = {"ms_course": "Course", "sex": "Sex"}
_CODES = {"sex: F": "female", "sex: M": "male", "sex: U": "not stated"}
_BASELINE = {
    "age_years": "Age, years",
    "edss": "EDSS",
    "disease_duration_years": "Disease duration from the first symptom, years",
    "prior_dmt_n": "Earlier disease-modifying treatments",
    "site": "Centres",
    "infusion_first": "First infusion",
    "infusion_last": "Last infusion",
}


def flow_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return the patient flow; when shared, numbers that would reveal a small count are hidden."""
    rows = []
    for (arm,), steps in analysis.outcomes.flow.group_by("arm", maintain_order=True):
        counts = steps["n"].to_list()
        printed = printed_steps(counts) if share else counts
        for row, count in zip(steps.iter_rows(named=True), printed, strict=True):
            rows.append(
                (
                    words(row["step"]).capitalize(),
                    str(arm),
                    population_words(row["population"]),
                    "hidden" if count is None else str(count),
                    count_text(row["n_left_out"], share=share),
                    without_small_counts(words(row["reason"]), share=share),
                )
            )
    if len({row[1] for row in rows}) == 1:
        rows = [(row[0], "", *row[2:]) for row in rows]
    return text_table(
        "flow",
        "Patient flow, counted from the tables",
        ("Step", "Arm", "Population", "Patients", "Left out", "Why"),
        rows,
    )


def baseline_table(analysis: Analysis, rows: Sequence[Row]) -> Table | None:
    """Return the baseline characteristics: medians with their ranges, counts with their denominators."""
    has_arms = len({row["arm"] for row in rows}) > 1
    printed = []
    for row in (row for row in rows if row["statistic"] not in ("minimum", "maximum")):
        term, subject = row["term"] or "", (row["term"] or "").split(": ")
        name = _BASELINE.get(term) or (
            f"{_LISTS.get(subject[0], words(subject[0]).capitalize())}: {_CODES.get(term, subject[-1])}"
            if len(subject) > 1
            else words(term)
        )
        if row["statistic"] == "date":
            value = row["note"] or ""
        elif row.get("hidden"):
            value = row["hidden"]
        elif row["statistic"] == "count" and ": " in term and row["estimate"] is not None:
            value = share_of(int(row["estimate"]), row["n"])
        elif row["statistic"] == "median":
            unit = row["unit"]
            value = "" if row["estimate"] is None else f"median {number(row['estimate'], unit)}"
        else:
            value = estimate_text(row)
        printed.append(
            (
                name,
                row["arm"] if has_arms else "",
                value,
                _range(analysis, rows, row) if row["statistic"] == "median" else "",
                f"{row['n']}" if row["statistic"] == "median" and row["n"] is not None else "",
                MARK_WORDS.get(row["mark"] or "", ""),
            )
        )
    return text_table(
        "baseline",
        "Patients at baseline",
        ("Characteristic", "Arm", "Value", "Range", "Patients with a value", "Note"),
        printed,
    )


def _range(analysis: Analysis, rows: Sequence[Row], row: Row) -> str:
    """Return the smallest and the largest value, from their own rows of results."""
    if analysis.study.data_kind == "reconstructed":
        return "not published"
    ends = [
        other
        for statistic in ("minimum", "maximum")
        for other in rows
        if (other["statistic"], other["term"], other["arm"]) == (statistic, row["term"], row["arm"])
    ]
    if any(end.get("hidden") for end in ends):
        return "hidden"
    return "–".join(number(end["estimate"], end["unit"]) for end in ends if end["estimate"] is not None)


def evaluability_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return what could not be evaluated, in how many patients, and why."""
    counted = (
        analysis.outcomes.not_evaluable.group_by("endpoint", "reason", maintain_order=True)
        .agg(
            patients=pl.col("patient_id").drop_nulls().n_unique(),
            is_everybody=pl.col("patient_id").is_null().any(),
        )
        .iter_rows(named=True)
    )
    rows = [
        (
            endpoint_label(analysis.definition, row["endpoint"]),
            "nobody can be evaluated" if row["is_everybody"] else count_text(row["patients"], share=share),
            without_small_counts(row["reason"], share=share),
        )
        for row in counted
    ]
    return text_table(
        "not-evaluable",
        "Outcomes that could not be evaluated, in whom, and why",
        ("Outcome", "Patients not evaluable", "Why"),
        rows,
    )


def scans_left_out_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return the early scans that the re-baseline rule leaves out, one row each; never when shared."""
    if share:
        return None
    rows = [
        (
            row["patient_id"],
            "" if row["day"] is None else str(row["day"]),
            "not counted" if row["number"] is None else f"{row['number']:.0f}",
            MARK_WORDS.get(row["mark"] or "", ""),
        )
        for row in analysis.outcomes.patient_values.filter(pl.col("topic") == "mri_left_out").iter_rows(
            named=True
        )
    ]
    return text_table(
        "scans-left-out",
        f"The {len(rows)} scans after infusion that the re-baseline rule does not count",
        ("Patient", "Day from time zero", "Lesions on it", "Note"),
        rows,
        is_grid=True,
        is_folded=len(rows) > 30,
    )


def organ_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return the number of patients by organ class and worst severity."""
    values = analysis.outcomes.patient_values.filter(pl.col("topic") == "toxicity_organ")
    counts = values.group_by("term", "value", maintain_order=True).agg(n=pl.col("patient_id").n_unique())
    by_cell = {(row["term"], row["value"] or "not stated"): row["n"] for row in counts.iter_rows(named=True)}
    rows = [
        (organ, *(count_text(by_cell.get((organ, severity), 0), share=share) for severity in _SEVERITIES))
        for organ in sorted({organ for organ, _ in by_cell})
    ]
    return text_table(
        "organ-toxicity",
        "Patients by organ class and worst severity, from mobilisation to day 100",
        ("Organ class", *(severity.capitalize() for severity in _SEVERITIES)),
        rows,
        is_grid=True,
    )


def deaths_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return each death with its day and the class of its cause; never when shared."""
    if share:
        return None
    rows = [
        (
            row["patient_id"],
            "" if row["number"] is None else f"{row['number']:.0f}",
            words(row["value"] or "not stated"),
            MARK_WORDS.get(row["mark"] or "", ""),
        )
        for row in analysis.outcomes.patient_values.filter(pl.col("topic") == "death").iter_rows(named=True)
    ]
    return text_table(
        "deaths", "Deaths", ("Patient", "Days from infusion", "Cause", "Note"), rows, is_grid=True
    )


def disability_events_table(analysis: Analysis, *, share: bool) -> Table | None:
    """Return each confirmed worsening with its relation to relapses and MRI; never when shared."""
    if share:
        return None
    events = analysis.outcomes.events.filter(
        (pl.col("kind") == "disability") & (pl.col("direction") == "worsening")
    )
    rows = [
        (
            row["patient_id"],
            row["measure"].upper() if row["measure"] == "edss" else words(row["measure"]),
            str(row["day"]),
            f"{row['value_before']:g} → {row['value_after']:g}"
            if row["value_before"] is not None and row["value_after"] is not None
            else "",
            "" if row["confirmed_day"] is None else str(row["confirmed_day"]),
            row["label"] or "not labelled",
            words(row["mri_activity"] or "not assessed"),
        )
        for row in events.iter_rows(named=True)
    ]
    return text_table(
        "worsenings",
        "Every confirmed worsening, its relation to relapses (RAW, PIRA) and the MRI activity around it",
        ("Patient", "Measure", "Day", "From → to", "Confirmed on day", "Relation", "MRI activity"),
        rows,
        is_grid=True,
    )
