"""The components of a composite endpoint, one small curve each."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.risk_table import counts_at
from ahsct.report.figures.rows import largest
from ahsct.report.figures.steps import FEW_AT_RISK, curves_in, draw_steps, value_at
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import breaks
from ahsct.report.figures.wording import percent, spoken
from ahsct.report.figures.words import write
from ahsct.report.style import LINES, SOFT, WIDTH

_LEFT, _RIGHT, _PLOT, _STEP = 68.0, 14.0, 92.0, 146.0
WITHOUT = {
    "relapse": "No relapse",
    "mri_activity": "No MRI activity",
    "edss_worsening": "No EDSS worsening",
    "edss_pira": "No EDSS worsening apart from relapses (PIRA)",
    "edss_raw": "No relapse-associated EDSS worsening (RAW)",
    "brain_volume_loss": "No loss of brain volume",
    "death": "Alive",
    "composite": "None of them",
}


def draw_components(
    curves: pl.DataFrame,
    *,
    endpoint: str = "activity_free_survival",
    estimand: str | None = None,
    milestone_years: float = 3.0,
    time_zero: str = "infusion",
    data_kind: str = "observed",
) -> Drawing | None:
    """Draw each component's curve of one endpoint in a panel of its own, with the numbers at risk.

    `estimand` is the one to draw (the first in `curves` where missing). None is returned when the
    endpoint has no component curve.

    Examples
    --------
    >>> from ahsct.vocabulary import CURVE, empty
    >>> draw_components(empty(CURVE)) is None
    True
    """
    rows = curves.filter(
        (pl.col("endpoint") == endpoint)
        & (pl.col("component") != "composite")
        & pl.col("subgroup").is_null()
        & pl.col("cause").is_null()
    )
    if rows.is_empty():
        return None
    estimand = estimand or str(rows["estimand"][0])
    rows = rows.filter(pl.col("estimand") == estimand)
    panels = curves_in(rows, ("component",))
    if not panels:
        return None
    end = max(largest(rows["time_years"]), 0.25)
    widest = int(largest(rows["n_at_risk"]))
    at = breaks(end, room=WIDTH - _LEFT - _RIGHT, label=max(24, 6.5 * len(str(widest)) + 8))
    data, sentences = [], []
    with canvas(len(panels) * _STEP + 12) as figure:
        area = sheet(figure)
        for i, ((component,), panel) in enumerate(panels):
            top = 20 + i * _STEP
            plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
            plot.axvline(milestone_years, color=SOFT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
            word = WITHOUT.get(component, f"No {spoken(component)}")
            heights = []
            for (color, dash), ((arm,), line) in zip(LINES, curves_in(panel, ("arm",)), strict=False):
                draw_steps(plot, line, start=1.0, color=color, dash=dash)
                counts = counts_at(line, at)
                height = value_at(line, milestone_years, 1.0)
                heights.append(percent(height))
                data.append(
                    counts.select(
                        pl.lit(component).alias("component"),
                        pl.lit(arm).alias("arm"),
                        pl.all(),
                        pl.Series("estimate", [value_at(line, t, 1.0) for t in at]),
                    )
                )
                sentences.append(
                    f"{word}: {percent(height)} at {milestone_years:.3g} years, {line['n_events'].sum()} events, "
                    f"{counts['n_at_risk'][0]} at risk at the start."
                )
            plot.set_xlim(0, end * 1.02)
            plot.set_ylim(0, 1.06)
            mark_y(plot, [0, 0.5, 1], ["0 %", "50 %", "100 %"])
            mark_x(plot, at)
            write(area, _LEFT + 6, top - 6, f"{word}: {' and '.join(heights)} at {milestone_years:.3g} years", weight="bold")  # fmt: skip
            y = top + _PLOT + 25
            scale = (WIDTH - _LEFT - _RIGHT) / (end * 1.02)
            write(area, 4, y, "At risk", color=SOFT)
            for t, n in zip(at, data[-1]["n_at_risk"], strict=True):
                write(area, _LEFT + t * scale, y, f"{n}", anchor="middle")
        method, level = rows["method"][0], rows["conf_level"][0]
        return finish(
            figure,
            title=f"{spoken(endpoint).capitalize()} by component, from {time_zero}",
            alt=" ".join(sentences),
            caption=f"{method}, each component alone ({spoken(estimand)}); years from {time_zero} on the horizontal "
            f"axis; shading: {100 * level:g} % interval (none where its limits are undefined); small ticks: censored; "
            f"grey where fewer than {FEW_AT_RISK} are at risk; at risk just before each time"
            + (" (last arm drawn)." if rows["arm"].n_unique() > 1 else "."),
            data=pl.concat(data),
            data_kind=data_kind,
        )
