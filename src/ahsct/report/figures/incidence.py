"""Cumulative incidence with competing risks."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.risk_table import (
    Block,
    counts_at,
    draw_risk_table,
    risk_sentence,
    risk_table_height,
)
from ahsct.report.figures.rows import largest
from ahsct.report.figures.steps import FEW_AT_RISK, curves_in, draw_steps, value_at
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import breaks
from ahsct.report.figures.wording import percent, spoken
from ahsct.report.figures.words import write
from ahsct.report.style import INK, LINES, WIDTH
from ahsct.vocabulary import DAYS_PER_YEAR

_LEFT, _RIGHT, _PLOT = 68.0, 14.0, 190.0
_TOPS = {0.05: 5, 0.1: 5, 0.2: 4, 0.3: 3, 0.5: 5, 1.0: 4}  # ends of the vertical axis, steps of its labels


def draw_incidence(
    curves: pl.DataFrame,
    *,
    endpoint: str,
    population: str | None = None,
    unit: str = "years",
    until: float | None = None,
    time_zero: str = "infusion",
    data_kind: str = "observed",
) -> Drawing | None:
    """Draw the cumulative incidence of each cause of an endpoint (one arm; the first where several).

    Parameters
    ----------
    curves
        Schema CURVE with `cause`.
    population
        The one to draw (the first in `curves` where missing).
    unit
        years or days, of the axis and of `until`.
    until
        Last time drawn (where missing: the last time in the curve).

    Returns
    -------
    Drawing or None
        None when there is no such curve.

    Examples
    --------
    >>> from ahsct.vocabulary import CURVE, empty
    >>> draw_incidence(empty(CURVE), endpoint="treatment_related_mortality") is None
    True
    """
    rows = curves.filter(
        (pl.col("endpoint") == endpoint) & pl.col("cause").is_not_null() & pl.col("subgroup").is_null()
    )
    if rows.is_empty():
        return None
    population = population or str(rows["population"][0])
    rows = rows.filter(pl.col("population") == population)
    if rows.is_empty():
        return None
    n_arms = rows["arm"].n_unique()
    rows = rows.filter(pl.col("arm") == rows["arm"][0])
    causes = curves_in(rows, ("cause",))[: len(LINES)]
    per_year = DAYS_PER_YEAR if unit == "days" else 1.0
    end = until or max(largest(rows["time_years"]) * per_year, 0.25)
    highest = float(rows.select(pl.max_horizontal("estimate", "upper").max()).item() or 0)
    ceiling = next((top for top in _TOPS if highest <= top), 1.0)
    n = int(largest(rows["n_at_risk"]))
    steps = (1.0, 2.0, 5.0, 7.0, 14.0, 30.0, 100.0, 365.0) if unit == "days" else None
    at = breaks(end, room=WIDTH - _LEFT - _RIGHT, label=max(24, 6.5 * len(str(n)) + 8), steps=steps)
    at_years = [t / per_year for t in at]
    top = 6 + 16 * len(causes) + 8
    tables = [(spoken(cause), counts_at(line, at_years)) for (cause,), line in causes]
    # A competing event takes a patient out of the risk set, which is the same for every cause.
    blocks = [
        Block(label="all causes", color=INK, counts=tables[0][1], rows=("At risk", "Censored")),
        *(
            Block(label=word, color=color, counts=counts, rows=("Events",))
            for (word, counts), (color, _) in zip(tables, LINES, strict=False)
        ),
    ]
    finals = [(spoken(cause), value_at(line, end / per_year, 0.0), line) for (cause,), line in causes]
    table_top = top + _PLOT + 46
    with canvas(table_top + risk_table_height(blocks)) as figure:
        area = sheet(figure)
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
        for i, ((color, dash), (word, height, line)) in enumerate(zip(LINES, finals, strict=False)):
            area.plot([6, 30], [12 + 16 * i] * 2, color=color, linestyle=dash, linewidth=2)
            write(area, 36, 12 + 16 * i, f"{word}: {percent(height)} at {end:.3g} {unit}",
                weight="bold")  # fmt: skip
            draw_steps(
                plot, line, start=0.0, color=color, dash=dash, per_year=per_year, is_filled=dash == "-"
            )
        plot.set_xlim(0, end * 1.02)
        plot.set_ylim(0, ceiling * 1.03)
        heights = [ceiling * i / _TOPS[ceiling] for i in range(_TOPS[ceiling] + 1)]
        mark_y(plot, heights, [f"{100 * height:g} %" for height in heights])
        mark_x(plot, at, name=f"{unit.capitalize()} from {time_zero}")
        scale = (WIDTH - _LEFT - _RIGHT) / (end * 1.02)
        draw_risk_table(area, blocks, top=table_top, x=[_LEFT + t * scale for t in at])
        shown_to = "" if ceiling == 1 else f" The vertical axis ends at {100 * ceiling:g} %."
        level = rows["conf_level"][0]
        return finish(
            figure,
            title=f"{spoken(endpoint).capitalize()}, cumulative incidence from {time_zero} ({population})",
            alt=" ".join(f"{word}: {percent(height)} at {end:.3g} {unit}." for word, height, _ in finals)
            + " "
            + risk_sentence("all causes", tables[0][1]),
            caption=f"{rows['method'][0]}; shading or thin lines: {100 * level:g} % interval (none where its limits are undefined); small "
            f"ticks: censored; grey where fewer than {FEW_AT_RISK} are at risk. A competing event leaves the risk set; the "
            f"curve is never 1 minus Kaplan–Meier.{shown_to}"
            + (f" First of {n_arms} arms." if n_arms > 1 else ""),
            data=pl.concat(
                counts.select(
                    pl.lit(word).alias("cause"),
                    pl.all(),
                    pl.Series("estimate", [value_at(line, t, 0.0) for t in at_years]),
                )
                for (word, counts), (_, line) in zip(tables, causes, strict=True)
            ),
            data_kind=data_kind,
        )
