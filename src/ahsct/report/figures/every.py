"""All figures of an analysis, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from ahsct.definitions import BrainVolumeRule, list_norms, load_norm
from ahsct.report.figures.brain_volume import draw_brain_volume
from ahsct.report.figures.components import draw_components
from ahsct.report.figures.curve import draw_curve
from ahsct.report.figures.deaths import draw_deaths
from ahsct.report.figures.drawing import Drawing
from ahsct.report.figures.edss_courses import draw_edss_courses
from ahsct.report.figures.edss_heat_map import draw_edss_heat_map
from ahsct.report.figures.edss_transitions import draw_edss_transitions
from ahsct.report.figures.engraftment import draw_engraftment
from ahsct.report.figures.estimates import draw_estimates
from ahsct.report.figures.flow import draw_flow
from ahsct.report.figures.improved import draw_improved_and_alive
from ahsct.report.figures.incidence import draw_incidence
from ahsct.report.figures.mri import draw_mri
from ahsct.report.figures.relapses import draw_relapses_before_after
from ahsct.report.figures.swimmer import draw_swimmer
from ahsct.report.figures.time_axis import TIME_ZERO
from ahsct.report.figures.toxicity import draw_toxicity, draw_worst_severity
from ahsct.report.figures.work import draw_work
from ahsct.vocabulary import DAYS_PER_YEAR

if TYPE_CHECKING:
    from ahsct.analysis import Analysis

PER_PATIENT = frozenset(
    {
        "swimmer",
        "edss_courses",
        "edss_heat_map",
        "relapses_before_after",
        "brain_volume",
        "engraftment",
        "deaths",
    }
)


def draw_figures(analysis: Analysis, *, share: bool = False) -> dict[str, Drawing | None]:
    """Draw every figure of an analysis, in the order of the report.

    Parameters
    ----------
    analysis
        As `analyse` returns it.
    share
        Leave out the figures that show single patients (`PER_PATIENT`).

    Returns
    -------
    dict
        Name to drawing; None where the study has nothing to draw.
    """
    study, outcomes, definition = analysis.study, analysis.outcomes, analysis.definition
    curves, results = analysis.estimates.curves, analysis.estimates.results
    values, kind, zero = outcomes.patient_values, study.data_kind, definition.time_zero.kind
    words = TIME_ZERO[zero]
    labels = {estimand.id: estimand.label for estimand in definition.estimands}
    endpoint = definition.primary_endpoint
    milestone = definition.primary_milestone_days / DAYS_PER_YEAR

    draws: dict[str, Callable[[], Drawing | None]] = {
        "flow": lambda: draw_flow(outcomes.flow, data_kind=kind),
        "curve": lambda: draw_curve(
            curves, endpoint=endpoint, title=f"{definition.endpoint(endpoint).label} from {words}", results=results, milestone_years=milestone, labels=labels, time_zero=words,
            data_kind=kind,
        ),
        "estimates": lambda: draw_estimates(
            _headline(results, endpoint, milestone), labels=labels, data_kind=kind,
            title=f"{definition.endpoint(endpoint).label} at {milestone:.3g} years, every way of counting",
        ),
        "components": lambda: draw_components(
            curves, endpoint=endpoint, milestone_years=milestone, time_zero=words, data_kind=kind
        ),
        "swimmer": lambda: draw_swimmer(study, outcomes.events, time_zero=zero),
        "edss_courses": lambda: draw_edss_courses(
            study, outcomes.events, outcomes.confirmations, patient_values=values, time_zero=zero
        ),
        "edss_heat_map": lambda: draw_edss_heat_map(study, time_zero=zero),
        "edss_transitions": lambda: draw_edss_transitions(study, values, time_zero=zero),
        "improved_and_alive": lambda: draw_improved_and_alive(results, time_zero=words, data_kind=kind),
        "relapses_before_after": lambda: draw_relapses_before_after(values, results, data_kind=kind),
        "mri": lambda: draw_mri(study, outcomes.events, values, time_zero=zero),
        "brain_volume": lambda: _brain_volume(analysis),
        "engraftment": lambda: draw_engraftment(study),
        "neutrophil_engraftment": lambda: draw_incidence(
            curves, endpoint="neutrophil_engraftment", unit="days", until=30, data_kind=kind
        ),
        "platelet_engraftment": lambda: draw_incidence(
            curves, endpoint="platelet_engraftment", unit="days", until=30, data_kind=kind
        ),
        "worst_severity": lambda: draw_worst_severity(values, results, data_kind=kind),
        "toxicity": lambda: draw_toxicity(values, data_kind=kind),
        "treatment_related_mortality": lambda: draw_incidence(
            curves, endpoint="treatment_related_mortality", population="infused", data_kind=kind
        ),
        "deaths": lambda: draw_deaths(study, values),
        "work": lambda: draw_work(values, results, data_kind=kind),
    }  # fmt: skip
    return {name: draw() for name, draw in draws.items() if not (share and name in PER_PATIENT)}


def _headline(results: pl.DataFrame, endpoint: str, milestone: float) -> pl.DataFrame:
    return results.filter(
        (pl.col("endpoint") == endpoint)
        & (pl.col("component").fill_null("composite") == "composite")
        & (pl.col("statistic") == "survival_probability")
        & pl.col("subgroup").is_null()
        & ((pl.col("time_years") - milestone).abs() < 0.01)
    )


def _brain_volume(analysis: Analysis) -> Drawing | None:
    definition, rule = analysis.definition, analysis.definition.brain_volume
    return draw_brain_volume(
        analysis.outcomes.patient_values,
        analysis.estimates.results,
        norms={name: load_norm(name) for name in rule.norms if name in list_norms()} if rule else {},
        break_years=rule.break_years if rule else BrainVolumeRule().break_years,
        time_zero=definition.time_zero.kind,
        data_kind=analysis.study.data_kind,
    )
