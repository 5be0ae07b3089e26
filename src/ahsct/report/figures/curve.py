"""Event-free survival, both ways of counting, with the extended risk table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from ahsct.report.figures.wording import limits_of, percent, spoken, wrapped
from ahsct.report.style import LINES, SMALL, SOFT, WIDTH

_LEFT, _RIGHT, _PLOT = 68.0, 14.0, 210.0


def draw_curve(
    curves: pl.DataFrame,
    *,
    endpoint: str = "activity_free_survival",
    component: str = "composite",
    results: pl.DataFrame | None = None,
    milestone_years: float | None = 3.0,
    labels: Mapping[str, str] | None = None,
    title: str | None = None,
    time_zero: str = "infusion",
    data_kind: str = "observed",
) -> Drawing | None:
    """Draw the Kaplan-Meier curves of an endpoint, one per arm and estimand (at most four).

    Parameters
    ----------
    curves
        Schema CURVE; rows of a subgroup or of a single cause are not drawn here.
    results
        Schema RESULTS: its `survival_probability` rows at the milestone are printed beside the
        curve's name, in their order; without them the height of the step is.
    milestone_years
        Time of the vertical marker.
    labels
        Words for each estimand.
    time_zero
        In words, for title and axis.

    Returns
    -------
    Drawing or None
        None when there is no such curve. `data` holds the counts of the risk table with the
        height of the curve there.

    Examples
    --------
    >>> from ahsct.vocabulary import CURVE, empty
    >>> draw_curve(empty(CURVE)) is None
    True
    """
    rows = curves.filter(
        (pl.col("endpoint") == endpoint)
        & (pl.col("component") == component)
        & pl.col("subgroup").is_null()
        & pl.col("cause").is_null()
    )
    found = curves_in(rows, ("arm", "estimand"))
    if not found:
        return None
    shown = found[: len(LINES)]
    several_arms = rows["arm"].n_unique() > 1
    names = [
        (labels or {}).get(estimand, spoken(estimand)) + (f", {arm}" if several_arms else "")
        for (arm, estimand), _ in shown
    ]
    end = max(largest(rows["time_years"]), 0.25)
    values = [_value(line, milestone_years, results, endpoint, component) for line in shown]
    keys = [
        [
            *((text, "normal") for text in wrapped(name, WIDTH - 46, SMALL)),
            *((text, "bold") for text in wrapped(value, WIDTH - 46, SMALL * 1.1)),
        ]
        for name, value in zip(names, values, strict=True)
    ]
    top = 6 + sum(14 * len(lines) + 4 for lines in keys) + 6
    widest = max(int(largest(line["n_at_risk"])) for _, line in shown)
    at = breaks(end, room=WIDTH - _LEFT - _RIGHT, label=max(24, 6.5 * len(str(widest)) + 8))
    tables = [counts_at(line, at) for _, line in shown]
    blocks = [
        Block(label=_heading(name), color=color, counts=counts)
        for name, (color, _), counts in zip(names, LINES, tables, strict=False)
    ]
    table_top = top + _PLOT + 46
    with canvas(table_top + risk_table_height(blocks)) as figure:
        area = sheet(figure)
        y = 12.0
        for (color, dash), lines in zip(LINES, keys, strict=False):
            area.plot([6, 30], [y, y], color=color, linestyle=dash, linewidth=2)
            for text, weight in lines:
                area.text(36, y, text, fontsize=SMALL, fontweight=weight, va="center_baseline")
                y += 14
            y += 4
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
        if milestone_years is not None and milestone_years <= end:
            plot.axvline(milestone_years, color=SOFT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
        for (color, dash), (_, line) in zip(LINES, shown, strict=False):
            draw_steps(plot, line, start=1.0, color=color, dash=dash, is_filled=dash == "-")
        plot.set_xlim(0, end * 1.02)
        plot.set_ylim(0, 1.02)
        mark_y(plot, [0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        mark_x(plot, at, name=f"Years from {time_zero}")
        scale = (WIDTH - _LEFT - _RIGHT) / (end * 1.02)
        draw_risk_table(area, blocks, top=table_top, x=[_LEFT + t * scale for t in at])
        return finish(
            figure,
            title=title or f"{spoken(endpoint).capitalize()} from {time_zero}",
            alt=" ".join(
                [f"{name} {value}." for name, value in zip(names, values, strict=True)]
                + [risk_sentence(name, counts) for name, counts in zip(names, tables, strict=True)]
            ),
            caption=_caption(shown[0][1], len(found) - len(shown), milestone_years),
            data=pl.concat(
                counts.select(
                    pl.lit(name).alias("curve"),
                    pl.all(),
                    pl.Series("estimate", [value_at(line, t, 1.0) for t in at]),
                )
                for name, counts, (_, line) in zip(names, tables, shown, strict=True)
            ),
            data_kind=data_kind,
        )


def _value(
    line: tuple[tuple[str, ...], pl.DataFrame],
    milestone: float | None,
    results: pl.DataFrame | None,
    endpoint: str,
    component: str,
) -> str:
    (arm, estimand), rows = line
    if milestone is None:
        last = rows.row(-1, named=True)
        return f"{percent(last['estimate'])} at {last['time_years']:.1f} years"
    found: list[dict[str, Any]] = []
    if results is not None:
        found = results.filter(
            (pl.col("endpoint") == endpoint)
            & (pl.col("component").fill_null("composite") == component)
            & (pl.col("statistic") == "survival_probability")
            & (pl.col("estimand") == estimand)
            & (pl.col("arm") == arm)
            & pl.col("subgroup").is_null()
            & ((pl.col("time_years") - milestone).abs() < 0.02)
        ).to_dicts()
    if found and found[0]["estimate"] is None:
        return f"at {milestone:.3g} years not estimable"
    value = percent(found[0]["estimate"] if found else value_at(rows, milestone, 1.0))
    limits = "; ".join(f"{limits_of(row, scale=100, decimals=1)} {row['method']}" for row in found)
    return f"at {milestone:.3g} years {value}" + (f" ({limits})" if limits else "")


def _heading(name: str) -> str:
    """Return the part of a label before its explanation, for the risk table."""
    return wrapped(name.split(":")[0], WIDTH - 20, SMALL * 1.15)[0]


def _caption(rows: pl.DataFrame, n_left_out: int, milestone: float | None) -> str:
    method, level = rows["method"][0], rows["conf_level"][0]
    parts = [
        f"{method}; shading or thin lines: {100 * level:g} % interval (none where its limits are undefined)."
        if level
        else f"{method}.",
        "Small ticks: censored.",
        f"Drawn grey where fewer than {FEW_AT_RISK} are at risk.",
        "Below: at risk just before each time; censored and with event until then.",
    ]
    if milestone is not None:
        parts.append(f"Dotted upright: {milestone:.3g} years.")
    if n_left_out:
        parts.append(f"{n_left_out} further curves are in the tables only.")
    return " ".join(parts)
