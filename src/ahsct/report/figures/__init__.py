"""Figures: SVG drawings with a text alternative and the numbers behind them; they compute nothing."""

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
from ahsct.report.figures.every import PER_PATIENT, draw_figures
from ahsct.report.figures.flow import draw_flow
from ahsct.report.figures.improved import draw_improved_and_alive
from ahsct.report.figures.incidence import draw_incidence
from ahsct.report.figures.mri import draw_mri
from ahsct.report.figures.relapses import draw_relapses_before_after
from ahsct.report.figures.swimmer import draw_swimmer
from ahsct.report.figures.toxicity import draw_toxicity, draw_worst_severity
from ahsct.report.figures.work import draw_work

__all__ = [
    "PER_PATIENT",
    "Drawing",
    "draw_brain_volume",
    "draw_components",
    "draw_curve",
    "draw_deaths",
    "draw_edss_courses",
    "draw_edss_heat_map",
    "draw_edss_transitions",
    "draw_engraftment",
    "draw_estimates",
    "draw_figures",
    "draw_flow",
    "draw_improved_and_alive",
    "draw_incidence",
    "draw_mri",
    "draw_relapses_before_after",
    "draw_swimmer",
    "draw_toxicity",
    "draw_work",
    "draw_worst_severity",
]
