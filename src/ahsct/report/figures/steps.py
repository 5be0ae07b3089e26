"""Step curves with their shaded interval, drawn from rows of schema CURVE."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.style import GREY, Dash

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW_AT_RISK = 5
_MOST_STEPS = 500
_MOST_TICKS = 300


def curves_in(curves: pl.DataFrame, by: tuple[str, ...]) -> list[tuple[tuple[str, ...], pl.DataFrame]]:
    """Return the curves of a table with their names, in order of first appearance, each in order of time."""
    return [
        (tuple(str(part) for part in name), rows.sort("time_years", maintain_order=True))
        for name, rows in curves.group_by(*by, maintain_order=True)
    ]


def draw_steps(
    plot: Axes,
    rows: pl.DataFrame,
    *,
    start: float,
    color: str,
    dash: Dash,
    per_year: float = 1.0,
    is_filled: bool = True,
) -> None:
    """Draw one curve from (0, `start`), its interval and its censor ticks; grey once fewer than 5 are at risk.

    `per_year` turns years into the unit of the axis (365.25 for days). Where intervals overlap, those not
    `is_filled` are drawn as two thin lines.
    """
    rows = thinned(rows)
    time = np.concatenate([[0.0], rows["time_years"].to_numpy() * per_year])
    height = np.concatenate([[start], rows["estimate"].to_numpy()])
    enough = np.flatnonzero(rows["n_at_risk"].to_numpy() >= FEW_AT_RISK)
    turn = int(enough[-1]) + 1 if enough.size else 0  # from here on few are at risk
    lower = np.concatenate([[np.nan], rows["lower"].cast(pl.Float64).fill_null(np.nan).to_numpy()])
    upper = np.concatenate([[np.nan], rows["upper"].cast(pl.Float64).fill_null(np.nan).to_numpy()])
    if np.isfinite(lower).any() and is_filled:
        plot.fill_between(time, lower, upper, step="post", color=color, alpha=0.16, linewidth=0)
    elif np.isfinite(lower).any():
        for limit in (lower, upper):
            plot.plot(
                time, limit, drawstyle="steps-post", color=color, linestyle=dash, linewidth=0.8, alpha=0.8
            )
    for part, shade in ((slice(0, turn + 1), color), (slice(turn, None), GREY)):
        if len(time[part]) > 1:
            plot.plot(
                time[part], height[part], drawstyle="steps-post", color=shade, linestyle=dash, linewidth=1.8
            )
    is_censored = np.concatenate([[False], rows["n_censored"].to_numpy() > 0])
    if 0 < is_censored.sum() <= _MOST_TICKS:
        plot.scatter(
            time[is_censored], height[is_censored], marker="|", s=36, color=color, linewidths=1.0, zorder=3
        )


def thinned(rows: pl.DataFrame, most: int = _MOST_STEPS) -> pl.DataFrame:
    """Return at most about `most` rows of a long curve: the last of each short stretch of time."""
    if rows.height <= most:
        return rows
    end = rows["time_years"].max()
    stretch = (rows["time_years"] / end * most).floor().cast(pl.Int64)
    return rows.filter(stretch.shift(-1).fill_null(-1) != stretch)


def value_at(rows: pl.DataFrame, at_years: float, start: float) -> float:
    """Return the height of the step curve at a time."""
    before = rows.filter(pl.col("time_years") <= at_years + 1e-9)
    return float(before["estimate"][-1]) if before.height else start
