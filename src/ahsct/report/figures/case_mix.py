"""Two shares against each other, one dot per group of patients, a marker per class."""

from __future__ import annotations

import math

import polars as pl

from ahsct.evidence.answers import Scatter
from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key, key_height
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.wording import NO_BREAK
from ahsct.report.style import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, WIDTH

_MARKS = {
    "high": Mark(word="high intensity", marker="^", color=PURPLE),
    "intermediate": Mark(word="intermediate", marker="s", color=BLUE),
    "low": Mark(word="low", marker="o", color=GREEN),
    "mixed": Mark(word="mixed", marker="D", color=ORANGE),
    "not stated": Mark(word="not stated", marker="P", color=GREY),
}
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def draw_case_mix(scatter: Scatter) -> Drawing | None:
    """Draw the dots; filled ones have a printed interval, hollow ones none; their size follows the patients.

    Returns
    -------
    Drawing or None
        None without dots.
    """
    if not scatter.points:
        return None
    used = [mark for name, mark in _MARKS.items() if any(point.group == name for point in scatter.points)]
    top = key_height(used) + 10
    with canvas(top + 262) as figure:
        draw_key(sheet(figure), used, top=2)
        plot = axes(figure, left=64, top=top, width=WIDTH - 64 - 24, height=205)
        plot.set_xlim(-0.05, 1.05)
        plot.set_ylim(0, 1.05)
        for level in _TICKS:
            plot.axhline(level, color=PALE, linewidth=0.8, zorder=0)
        for point in scatter.points:
            mark = _MARKS[point.group]
            plot.scatter(
                [point.x], [point.y], marker=mark.marker, s=26 + 4 * math.sqrt(max(point.size, 1.0)),
                facecolors=mark.color if point.is_solid else "white", edgecolors=mark.color, linewidths=1.3, zorder=3,
            )  # fmt: skip
        words = [f"{100 * tick:g}{NO_BREAK}%" for tick in _TICKS]
        mark_x(plot, _TICKS, words, name=scatter.x_name)
        mark_y(plot, _TICKS, words, name=scatter.y_name, room=50)
        return finish(
            figure,
            title=scatter.title,
            alt="; ".join(
                f"{point.label}: {100 * point.x:.0f} % {scatter.x_name}, {100 * point.y:.1f} % {scatter.y_name} ({point.group})"
                for point in scatter.points
            )
            + ".",
            caption=scatter.caption,
            data=pl.DataFrame(
                [(point.label, point.group, point.x, point.y, point.size, point.is_solid) for point in scatter.points],
                schema={"label": pl.String, "intensity": pl.String, scatter.x_name: pl.Float64, scatter.y_name: pl.Float64,
                        "patients": pl.Float64, "has_interval": pl.Boolean}, orient="row",
            ),
            data_kind="observed",
        )  # fmt: skip
