"""The specification curve: every answer of a multiverse in order, above the choices that made it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key, key_height
from ahsct.report.figures.ticks import mark_y
from ahsct.report.figures.wording import percent, percent_interval, plural, short
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, INK, PALE, SKY, SMALL, SOFT, VERMILION, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.definitions import Grid

_LEFT, _RIGHT, _CURVE, _ROW = 172.0, 8.0, 150.0, 14.0
_NAME = SMALL  # type size of the names of shipped definitions
_LETTERS = 26  # of a choice's label
_BASE = Mark(word="the base", marker="D", color=VERMILION)
_PUBLISHED = Mark(word="choices of a shipped definition", marker="v", color=INK)


def draw_specification(
    answers: pl.DataFrame,
    grid: Grid,
    *,
    title: str,
    data_kind: str = "observed",
    band: tuple[float, float] | None = None,
) -> Drawing | None:
    """Draw the estimates of one arm at one milestone, sorted, each with its interval, above its choices.

    Parameters
    ----------
    answers
        One row per point: `point`, `published`, a column per dimension, `estimate`, `lower`, `upper`, `n`,
        `n_events`, `method`. Rows without an estimate are counted, not drawn.
    grid
        The grid that was asked: its dimensions and the words of its choices.
    band
        The interval of the base's answer, shaded.

    Returns
    -------
    Drawing or None
        None when no definition gives an estimate. `data`: the rows, from the lowest estimate to the highest.
    """
    drawn = answers.filter(pl.col("estimate").is_not_null()).sort("estimate", "point")
    if drawn.is_empty():
        return None
    n = drawn.height
    estimate = drawn["estimate"].to_numpy()
    is_base = (drawn["point"] == 1).to_numpy()
    published = drawn["published"].is_not_null().to_numpy()
    marks = [mark for mark, found in ((_BASE, is_base.any()), (_PUBLISHED, published.any())) if found]
    top = 10 + key_height(marks)
    names = _names(drawn)
    top += 7 + 13 * (max(lane for _, _, lane in names) + 1) if names else 0
    rows = sum(len(one.choices) + 1.35 for one in grid.dimensions)
    height = top + _CURVE + 14 + rows * _ROW + 8
    wide = WIDTH - _LEFT - _RIGHT
    with canvas(height) as figure:
        area = sheet(figure)
        draw_key(area, marks, top=4)
        plot = axes(figure, left=_LEFT, top=top, width=wide, height=_CURVE)
        _draw_curve(plot, drawn, band)
        if is_base.any():
            x = np.flatnonzero(is_base) + 0.5
            plot.scatter(x, estimate[is_base], s=34, zorder=5, clip_on=False, **_BASE.look)
        if published.any():  # above the curve, where they hide nothing
            x, high = np.flatnonzero(published) + 0.5, plot.get_ylim()[1]
            plot.vlines(x, estimate[published], high, color=INK, linewidth=0.7, zorder=4)
            plot.scatter(x, np.full(len(x), high), s=28, zorder=5, clip_on=False, **_PUBLISHED.look)
        for name, middle, lane in names:
            write(area, middle, top - 11 - 13 * lane, name, anchor="middle", size=_NAME, color=SOFT)
        y = top + _CURVE + 14
        for dimension in grid.dimensions:
            write(area, 8, y + 0.55 * _ROW, dimension.label, weight="bold")
            y += _ROW * 1.1
            for choice in dimension.choices:
                write(area, 14, y + _ROW / 2, short(choice.label, _LETTERS))
                area.plot([_LEFT, WIDTH - _RIGHT], [y + _ROW / 2] * 2, color=PALE, linewidth=0.6, zorder=0)
                _draw_chosen(area, (drawn[dimension.id] == choice.id).to_list(), y, wide)
                y += _ROW
            y += _ROW * 0.25
        base = drawn.filter(pl.col("point") == 1).to_dicts()
        n_without = answers.height - n
        shipped = "; ".join(
            f"{row['published']}: {percent_interval(row)}"
            for row in drawn.filter(pl.col("published").is_not_null()).iter_rows(named=True)
        )
        return finish(
            figure,
            title=title,
            alt=f"{plural(n, 'definition')} in order of their estimates, from {percent(estimate[0])} to {percent(estimate[-1])}. "
            + (f"The base: {percent_interval(base[0])}. " if base else "")
            + (f"Shipped definitions: {shipped}. " if shipped else "")
            + "Below: which choices each makes.",
            caption="Points: estimates in order; upright lines: their intervals, by each definition's method (the exact one where "
            "that has none)."
            + (" Shaded: the interval of the base." if band else "")
            + (" Shipped definitions stand where they make the same choices; in what the grid does not vary they may differ." if published.any() else "")
            + (f" {plural(n_without, 'definition gives', 'definitions give')} no estimate." if n_without else "")
            + " The definitions are choices, not a sample: how many of them lie somewhere is no probability.",
            data=drawn.select(
                "point", *(one.id for one in grid.dimensions), "published", "estimate", "lower", "upper", "conf_level",
                "method", "n", "n_events", "n_not_evaluable",
            ),
            data_kind=data_kind,
        )  # fmt: skip


def _names(drawn: pl.DataFrame) -> list[tuple[str, float, int]]:
    """Return the shipped definitions' names, where each stands, and in which line above the curve, so that none overlap."""
    wide = WIDTH - _LEFT - _RIGHT
    found: list[tuple[str, float, int]] = []
    ends: list[float] = []  # of each line
    for place, ids in enumerate(drawn["published"]):
        if ids is None:
            continue
        name = short(ids, 34)
        half = 0.3 * _NAME * len(name)
        middle = min(_LEFT + (place + 0.5) / drawn.height * wide, WIDTH - half)
        lane = next((lane for lane, end in enumerate(ends) if middle - half > end + 4), len(ends))
        ends[lane : lane + 1] = [middle + half]
        found.append((name, middle, lane))
    return found


def _draw_curve(plot: Axes, drawn: pl.DataFrame, band: tuple[float, float] | None) -> None:
    n = drawn.height
    x = np.arange(n) + 0.5
    estimate = drawn["estimate"].to_numpy()
    lower = drawn["lower"].to_numpy()
    upper = drawn["upper"].to_numpy()
    known = np.isfinite(lower) & np.isfinite(upper)
    low = float(np.nanmin(np.where(known, lower, estimate)))
    high = float(np.nanmax(np.where(known, upper, estimate)))
    plot.set_xlim(0, n)
    plot.set_ylim(max(0.0, np.floor(low * 10 - 0.2) / 10), min(1.0, np.ceil(high * 10 + 0.2) / 10))
    if band is not None:
        plot.axhspan(*band, color=PALE, alpha=0.55, linewidth=0)
    pitch = (WIDTH - _LEFT - _RIGHT) / n  # too narrow for gaps, the lines run together to a band
    thick = min(0.55 * pitch, 2.5) if pitch > 3 else pitch + 0.05
    plot.vlines(
        x[known],
        lower[known],
        upper[known],
        color=SKY,
        linewidth=thick,
        zorder=1,
        capstyle="butt",
        alpha=0.75,
    )
    plot.scatter(x, estimate, s=float(np.clip(900 / n, 3, 22)), color=BLUE, linewidths=0, zorder=3)
    step = 0.2 if plot.get_ylim()[1] - plot.get_ylim()[0] > 0.55 else 0.1
    levels = [
        float(level)
        for level in np.arange(0, 1 + step / 2, step)
        if plot.get_ylim()[0] - 1e-9 <= level <= plot.get_ylim()[1] + 1e-9
    ]
    mark_y(plot, levels, [f"{100 * level:.0f} %" for level in levels])


def _draw_chosen(area: Axes, chosen: Sequence[bool], y: float, wide: float) -> None:
    """Draw where a choice was made: neighbours run together."""
    n, place = len(chosen), 0
    bars = []
    for is_chosen, run in groupby(chosen):
        length = sum(1 for _ in run)
        if is_chosen:
            bars.append((_LEFT + wide * place / n, max(wide * length / n - (0.15 if n > 60 else 1.0), 0.4)))
        place += length
    area.broken_barh(bars, (y + 2, _ROW - 4), facecolors=BLUE, linewidth=0)
