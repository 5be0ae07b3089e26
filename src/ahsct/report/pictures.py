"""Which figure stands in which section, and which of them may leave the centre."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ahsct.analysis import Analysis
from ahsct.report.figures import Drawing, draw_figures
from ahsct.vocabulary import RESULTS

PLACES: dict[str, tuple[str, ...]] = {
    "sensitivity": ("estimates",),
    "flow": ("flow",),
    "activity": ("curve", "components"),
    "courses": ("swimmer", "edss_courses"),
    "disability": ("edss_heat_map", "edss_transitions"),
    "relapses": ("relapses_before_after",),
    "mri": ("mri",),
    "improvement": ("improved_and_alive",),
    "brain-volume": ("brain_volume",),
    "engraftment": ("engraftment", "neutrophil_engraftment", "platelet_engraftment"),
    "toxicity": ("worst_severity", "toxicity"),
    "deaths": ("treatment_related_mortality", "deaths"),
    "work": ("work",),
}
# drawn from masked results alone: every other figure shows steps, marks or cells of single patients
_SHAREABLE = frozenset({"estimates", "improved_and_alive"})


def draw(analysis: Analysis, results: pl.DataFrame, *, share: bool) -> dict[str, Drawing]:
    """Return the figures by name; `results` are masked when shared, and only their shown rows are drawn."""
    if share:
        shown = results.filter(pl.col("hidden") == "").select(RESULTS.names())
        analysis = replace(analysis, estimates=replace(analysis.estimates, results=shown))
    drawn = draw_figures(analysis, share=share)
    return {
        name: drawing
        for name, drawing in drawn.items()
        if drawing is not None and (name in _SHAREABLE or not share)
    }
