"""Questions 4 and 5: whether intensity matters, and what it costs the brain."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from ahsct.evidence.answers import (
    Answer,
    Line,
    Panel,
    Point,
    Scatter,
    Sheet,
    join_results,
    panel_of,
    percent,
    pool_text,
    ratio,
)
from ahsct.evidence.entries import Entry, collect
from ahsct.evidence.mortality import intensity_classes, progressive_share
from ahsct.evidence.pooling import Settings, pool
from ahsct.evidence.read import MEMORY, Evidence, seen_results

_Z95 = 1.959963984540054
_BRAIN = {"busulfan_atg": "busulfan + Cy + ATG", "beam_atg": "BEAM + ATG", "tbi": "TBI + Cy + ATG"}


def intensity(evidence: Evidence, settings: Settings, *, rule: str = "recorded") -> Answer:
    """Answer question 4: contrasts within studies first, then the comparison between studies with its confounding."""
    within = within_study_contrasts(evidence)
    pooled = pool(within, evidence.overlaps, measure="ratio", settings=settings)
    scatter = _case_mix(evidence, rule)
    named = "; ".join(f"{ratio(one.estimate, one.lower, one.upper)} in {one.label}" for one in within)
    first = (
        f"Within cohorts failure under BEAM + ATG against other regimens has the hazard ratio {named}; together {pool_text(pooled)}{_reverse(evidence)}."
        if within
        else "No cohort compares regimens with an interval."
    )
    second = (
        f"No randomised comparison of intensities is in the texts read, and case mix alone makes a wide gap ({_gap(evidence)}), so that "
        "neither comparison shows what a patient would gain from a stronger regimen or lose by a weaker one."
    )
    panel = panel_of(pooled, id="intensity-within", title="Failure under BEAM + ATG against other regimens, within a cohort", unit="ratio",
                     caption="Hazard ratios below 1 favour BEAM + ATG. Sweden's is derived from the two percentages and their intervals.")  # fmt: skip
    return Answer(
        number=4, title="Does intensity matter?", question="Does a more intense regimen give a better result?",
        sentences=(first, second), panels=(panel,), scatters=(scatter,),
        sheets=(_within_sheet(evidence, within), _case_mix_sheet(scatter)),
        results=join_results([pooled.rows(endpoint="activity_failure", subgroup="BEAM + ATG against others, within cohorts")]),
        notes=("NCT05482542 compares two regimens in a randomised trial; no result has been published in the texts read.",),
    )  # fmt: skip


def within_study_contrasts(evidence: Evidence) -> list[Entry]:
    """Return failure under BEAM + ATG against other regimens of the same cohort, as log hazard ratios.

    A printed hazard ratio is taken as it is; where a cohort prints two percentages with intervals, the difference of
    their log(-log S) is the log ratio of the cumulative hazards.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> [(one.study_id, round(one.estimate, 2)) for one in within_study_contrasts(read_evidence())]
    [('boffa2021', 0.27), ('silfverberg2024', 0.62)]
    """
    found = [
        one
        for one in collect(evidence, "activity_failure", kind="contrast", stratum="ms_type=rrms")
        if one.comparison == "within_study"
    ]
    for at in (2.0, 3.0, 5.0):
        beam = {
            one.study_id: one
            for one in collect(
                evidence, "activity_free", kind="survival", at_years=at, stratum="regimen=beam"
            )
        }
        other = {
            one.study_id: one
            for one in collect(evidence, "activity_free", kind="survival", at_years=at, stratum="regimen=cy")
        }
        for id in beam.keys() & other.keys():
            a, b = beam[id], other[id]
            if None in (a.y, a.se, b.y, b.se) or not (a.is_pooled and b.is_pooled):
                continue
            y, se = (a.y or 0) - (b.y or 0), math.hypot(a.se or 0, b.se or 0)
            found.append(replace(
                a, key=f"{a.key} against {b.key}", subgroup=f"{a.subgroup} against {b.subgroup}, {at:g} years", strata=frozenset(),
                weight=a.weight + b.weight, estimate=math.exp(y), lower=math.exp(y - _Z95 * se), upper=math.exp(y + _Z95 * se),
                y=y, se=se, comparison="within_study", conf_level=0.95, events=None, n=None,
            ))  # fmt: skip
    return found


def _within_sheet(evidence: Evidence, within: list[Entry]) -> Sheet:
    rows = [
        (f"{one.label}, {one.subgroup}", ratio(one.estimate, one.lower, one.upper), "pooled")
        for one in within
    ]
    for row in (
        seen_results(evidence)
        .filter(
            pl.col("comparison") == "within_study",
            pl.col("stratum").str.starts_with("regimen=").fill_null(False),
        )
        .iter_rows(named=True)
    ):
        value = "" if row["estimate"] is None else f"{row['estimate']:g} {row['unit'] or ''}".strip()
        against = f" against {row['comparator_estimate']}" if row["comparator_estimate"] else ""
        p = f"p {'' if row['p_value'].startswith('<') else '= '}{row['p_value']}" if row["p_value"] else ""
        rows.append(
            (
                f"{evidence.study(row['study_id'])['citation']}, {row['subgroup']}: {row['endpoint']}",
                "; ".join(part for part in (f"{value}{against}", p) if part),
                "shown",
            )
        )
    return Sheet(
        id="intensity-within",
        caption="Every comparison of regimens within a cohort",
        columns=("Comparison", "Value", "Use"),
        rows=tuple(rows),
    )


def _reverse(evidence: Evidence) -> str:
    """Return the comparison that points the other way, which prints no interval."""
    rows = {row["subgroup"]: row for row in _rows_of(evidence, "hamerschlak2010", "activity_free")}
    beam, cy = rows.get("BEAM/hATG"), rows.get("Cy/rATG")
    if beam is None or cy is None:
        return ""
    return f"; in Brazil the order was the reverse, without an interval ({beam['estimate']:g} against {cy['estimate']:g} % free of events, p = {beam['p_value']})"


def _gap(evidence: Evidence) -> str:
    """Return what the type of MS alone does under one class of regimens."""
    rows = {row["subgroup"]: row for row in _rows_of(evidence, "burt2021", "progression_free")}
    a, b = rows.get("RRMS"), rows.get("SPMS")
    if a is None or b is None:
        return "see the figure"
    return (
        f"in one report {a['estimate']:g} % of relapsing and {b['estimate']:g} % of secondary progressive patients are free of progression at "
        f"{a['time_years']:g} years"
    )


def _rows_of(evidence: Evidence, study_id: str, outcome: str) -> list[dict[str, Any]]:
    return (
        seen_results(evidence)
        .filter((pl.col("study_id") == study_id) & (pl.col("outcome") == outcome))
        .to_dicts()
    )


def _case_mix(evidence: Evidence, rule: str) -> Scatter:
    """Return each group's share of progressive MS against its share free of progression, by class of intensity."""
    share, classes = progressive_share(evidence), intensity_classes(evidence, rule)
    points = []
    for at in (3.0, 4.0, 5.0):
        for entry in collect(evidence, "progression_free", kind="survival", at_years=at):
            mix = _mix(entry, share)
            if (
                mix is None
                or entry.estimate is None
                or entry.verified == MEMORY
                or entry.reason.startswith("a meta")
            ):
                continue
            points.append(Point(label=f"{entry.label}, {entry.subgroup}, {at:g} y", x=mix, y=entry.estimate, size=entry.weight,
                                group=classes.get(entry.study_id) or "not stated", is_solid=entry.is_pooled))  # fmt: skip
    return Scatter(
        id="intensity-case-mix", title="Free of progression against the share of progressive MS", x_name="patients with progressive MS",
        y_name="free of progression", points=tuple(points),
        caption=f"Each dot a group of patients at 3 to 5 years, by class of intensity (rule: {rule}); filled: with a printed interval. Cohorts that overlap are "
        "drawn together, for nothing is pooled here. Most classes hold few groups, at shares of progressive MS of their own: case mix and intensity cannot be told apart.",
    )  # fmt: skip


def _mix(entry: Entry, share: Mapping[str, float]) -> float | None:
    if entry.subgroup == "all":
        return share.get(entry.study_id)
    if entry.types <= {"rrms", "relapsing"}:
        return 0.0
    return 1.0 if entry.types <= {"spms", "ppms", "progressive"} else None


def _case_mix_sheet(scatter: Scatter) -> Sheet:
    rows = [
        (point.label, percent(point.x, 0), percent(point.y), point.group)
        for point in sorted(scatter.points, key=lambda p: (p.x, p.label))
    ]
    return Sheet(id="intensity-between", caption="Between studies, in order of the share of progressive MS",
                 columns=("Group", "Progressive MS", "Free of progression", "Intensity"), rows=tuple(rows))  # fmt: skip


def brain_volume(evidence: Evidence) -> Answer:
    """Answer question 5: early loss against later slope by regimen; shown, not pooled, for the windows differ."""
    studies = {row["study_id"]: row for row in evidence.studies.iter_rows(named=True)}
    rows = (
        seen_results(evidence)
        .filter(pl.col("outcome").is_in(["brain_volume", "brain_volume_rate"]) & pl.col("stratum").is_null())
        .to_dicts()
    )
    early = [row for row in rows if row["outcome"] == "brain_volume"]
    late = [row for row in rows if row["outcome"] == "brain_volume_rate"]
    sums = _by_two_and_a_half(rows)
    lost = "; ".join(
        f"{abs(value):.1f} % ({_regimen(studies[id])})"
        for id, value in sorted(sums.items(), key=lambda one: one[1])
    )
    slopes = "; ".join(
        f"{abs(row['estimate']):.2f} % a year ({_regimen(studies[row['study_id']])})" for row in late
    )
    first = f"By about 2.5 years the brain has lost {lost}, added up from yearly numbers where no sum is printed; afterwards {slopes}."
    second = (
        "Three series of 14 to 24 patients with other baselines, scanners and windows are not a comparison of regimens: the early "
        "loss also follows the injury from before (T1 lesion volume in one, enhancement in another), and two of the three print no standard error."
    )
    return Answer(
        number=5, title="Brain volume", question="How much brain volume is lost early and later, by regimen?", sentences=(first, second),
        panels=(
            Panel(id="brain-early", title="Change of brain volume in the early years", unit="percent change",
                  lines=tuple(_brain_line(row, studies) for row in early), caption="As printed, each over its own window; the line is 1.96 standard errors, where one is printed. Not pooled."),
            Panel(id="brain-late", title="Change of brain volume afterwards", unit="percent a year",
                  lines=tuple(_brain_line(row, studies) for row in late), caption="As printed; 1.96 standard errors where one is printed. Not pooled."),
        ),
        scatters=(),
        sheets=(Sheet(id="brain-volume", caption="As printed, with the sum by 2.5 years",
                      columns=("Study", "Regimen", "What", "Change", "Standard error", "Patients"),
                      rows=tuple(_brain_row(row, studies) for row in (*early, *late)) + tuple(
                          (str(studies[id]["citation"]), _regimen(studies[id]), "sum by 2.5 years (derived)", f"{value:.2f} %", "", "") for id, value in sums.items())),),
        results=join_results([]),
        notes=("The norms of healthy ageing that a patient's scans are compared with, and their sources, are in definitions/norms/.",),
    )  # fmt: skip


def _by_two_and_a_half(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the change by 2.5 years: printed, or added up from years and a later slope."""
    found: dict[str, float] = {}
    for row in rows:
        if row["outcome"] == "brain_volume" and row["time_kind"] == "about" and row["time_years"] == 2.5:
            found[row["study_id"]] = row["estimate"]
    slopes = {row["study_id"]: row["estimate"] for row in rows if row["outcome"] == "brain_volume_rate"}
    years: dict[str, dict[float, float]] = {}
    for row in rows:
        if row["outcome"] == "brain_volume" and row["time_kind"] == "landmark":
            years.setdefault(row["study_id"], {})[row["time_years"]] = row["estimate"]
    for id, known in years.items():
        if id in found or 1.0 not in known:
            continue
        if 2.0 in known and 3.0 in known:
            found[id] = known[1.0] + known[2.0] + 0.5 * known[3.0]
        elif id in slopes:
            found[id] = known[1.0] + 1.5 * slopes[id]
    return found


def _regimen(study: Mapping[str, Any]) -> str:
    return _BRAIN.get(study["regimen_family"] or "", study["regimen"] or "")


def _brain_line(row: Mapping[str, Any], studies: Mapping[str, Mapping[str, Any]]) -> Line:
    study, se = studies[row["study_id"]], row["std_error"]
    half = None if se is None else _Z95 * se
    when = {
        "landmark": f"year {row['time_years']:g}" if row["time_years"] else "",
        "about": f"to about {row['time_years']} years",
    }.get(row["time_kind"], "afterwards")
    return Line(label=f"{study['citation']}: {_regimen(study)}, {when}", estimate=row["estimate"], role="shown",
                lower=None if half is None else row["estimate"] - half, upper=None if half is None else row["estimate"] + half,
                counts=f"n = {row['n']}" if row["n"] else "")  # fmt: skip


def _brain_row(row: Mapping[str, Any], studies: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    study = studies[row["study_id"]]
    return (str(study["citation"]), _regimen(study), row["definition"] or row["endpoint"] + (f", year {row['time_years']:g}" if row["time_kind"] == "landmark" else ""),
            f"{row['estimate']:g} {row['unit']}", "" if row["std_error"] is None else f"{row['std_error']:g}", f"{row['n'] or ''}")  # fmt: skip
