"""A forest plot: every group of patients with its interval, the pool as a diamond, where a new study would lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from ahsct.evidence.answers import Line, Panel
from ahsct.report.figures.drawing import Drawing, canvas, finish, sheet
from ahsct.report.figures.wording import NO_BREAK, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREEN, GREY, INK, PALE, PURPLE, SMALL, SOFT, VERMILION, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEFT, _RIGHT = 14.0, 16.0
_ROW = 15.0
_COLORS = {
    "pooled in": BLUE,
    "shown": SOFT,
    "memory": GREY,
    "published": PURPLE,
    "pool": VERMILION,
    "prediction": VERMILION,
    "own": GREEN,
}
_ENDS = {"published": "published pool", "memory": "recalled, never pooled", "shown": "shown, not pooled"}


def draw_forest(panel: Panel) -> Drawing | None:
    """Draw a panel of the evidence, its lines one below the other, each with its words above its interval.

    Filled squares entered the pool, sized by their weight; hollow marks are only shown; grey ones are recalled. The diamond
    is the pool, the thin double line where the true value of a new study would lie. An arrow says that an interval goes on.

    Returns
    -------
    Drawing or None
        None when no line has a number.

    Examples
    --------
    >>> draw_forest(Panel(id="none", title="none", unit="percent", lines=(), caption="")) is None
    True
    """
    lines = [line for line in panel.lines if line.estimate is not None or line.lower is not None]
    if not lines:
        return None
    low, high, at, place = _axis(panel, lines)
    texts = [wrapped(_words(line, panel.unit), WIDTH - _LEFT - _RIGHT, SMALL) for line in lines]
    height = sum(_ROW * len(text) + 18 for text in texts) + 34
    wide = WIDTH - _LEFT - _RIGHT
    with canvas(height) as figure:
        area = sheet(figure)
        for value, word in at:
            x = _LEFT + wide * place(value)
            area.plot([x, x], [4, height - 24], color=PALE, linewidth=0.8, zorder=0)
            write(area, x, height - 13, word, anchor="middle", color=SOFT)
        if panel.unit == "ratio":
            x = _LEFT + wide * place(1.0)
            area.plot([x, x], [4, height - 24], color=SOFT, linewidth=0.8, zorder=0, dashes=(4, 3))
        y = 6.0
        for line, text in zip(lines, texts, strict=True):
            is_grey = line.role == "memory"
            for part in text:
                write(area, _LEFT, y + 6, part, color=SOFT if is_grey else INK, has_halo=True,
                      weight="bold" if line.role in ("pool", "own") else "normal")  # fmt: skip
                y += _ROW
            _mark(
                area, line, y + 5, lambda value: _LEFT + wide * place(min(max(value, low), high)), low, high
            )
            y += 18
        area.plot([_LEFT, _LEFT + wide], [height - 24] * 2, color=GREY, linewidth=0.8)
        return finish(
            figure,
            title=panel.title,
            alt="; ".join(_words(line, panel.unit) for line in lines) + ".",
            caption=panel.caption,
            data=pl.DataFrame(
                [(line.label, line.role, line.counts, line.estimate, line.lower, line.upper, line.conf_level, line.note) for line in lines],
                schema={"label": pl.String, "role": pl.String, "counts": pl.String, "estimate": pl.Float64, "lower": pl.Float64,
                        "upper": pl.Float64, "conf_level": pl.Float64, "note": pl.String}, orient="row",
            ),
            data_kind="observed",
        )  # fmt: skip


def _mark(area: Axes, line: Line, y: float, x: Callable[[float], float], low: float, high: float) -> None:
    color = _COLORS[line.role]
    if (
        line.role == "pool"
        and line.lower is not None
        and line.upper is not None
        and line.estimate is not None
    ):
        a, b, middle = x(line.lower), x(line.upper), x(line.estimate)
        area.fill([a, middle, b, middle], [y, y - 6, y, y + 6], color=color, linewidth=0)
    elif line.lower is not None and line.upper is not None:
        a, b = x(line.lower), x(line.upper)
        if line.role == "prediction":
            for off in (-1.5, 1.5):
                area.plot([a, b], [y + off] * 2, color=color, linewidth=0.9)
        else:
            area.plot(
                [a, b],
                [y, y],
                color=color,
                linewidth=1.6,
                solid_capstyle="butt",
                linestyle=(0, (2, 2)) if line.role == "memory" else "-",
            )
    for value, end, marker in ((line.lower, low, "<"), (line.upper, high, ">")):
        if value is not None and (value < low if marker == "<" else value > high):
            area.scatter([x(end)], [y], marker=marker, s=26, color=color, zorder=3)
    if line.estimate is not None and line.role != "pool" and low <= line.estimate <= high:
        is_in = line.role in ("pooled in", "own")
        size = 16 + 90 * math.sqrt(line.weight) if line.role == "pooled in" else 40
        area.scatter(
            [x(line.estimate)], [y], marker="D" if line.role == "published" else "s" if is_in else "o", s=size,
            facecolors=color if is_in else "white", edgecolors=color, linewidths=1.3, zorder=3,
        )  # fmt: skip


def _axis(
    panel: Panel, lines: list[Line]
) -> tuple[float, float, list[tuple[float, str]], Callable[[float], float]]:
    """Return the range, the ticks with their words, and where a value lies between 0 and 1."""
    if panel.unit == "ratio":
        low, high = 0.02, 20.0
        ticks = [(value, f"{value:g}") for value in (0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0)]
        return low, high, ticks, lambda value: math.log(value / low) / math.log(high / low)
    numbers = [
        value for line in lines for value in (line.estimate, line.lower, line.upper) if value is not None
    ]
    if panel.unit == "percent":
        # rare events would all lie at the left edge
        estimates = sorted(line.estimate for line in lines if line.estimate is not None)
        most = estimates[-1] if estimates else 1.0
        high = 1.0 if most > 0.25 else 0.25
        steps = (0.0, 0.25, 0.5, 0.75, 1.0) if high == 1.0 else (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
        return 0.0, high, [(step, f"{100 * step:g}{NO_BREAK}%") for step in steps], lambda value: value / high
    low, high = math.floor(2 * min(*numbers, 0.0)) / 2, math.ceil(2 * max(*numbers, 0.0)) / 2
    n = max(1, round(2 * (high - low)))
    step = 0.5 if n <= 6 else 1.0
    ticks = [
        (high - step * i, f"{high - step * i:g}".replace("-", "−"))
        for i in range(int((high - low) / step + 1e-9) + 1)
    ]
    return low, high, ticks, lambda value: (value - low) / (high - low)


def _words(line: Line, unit: str) -> str:
    """Return what stands above an interval: label, value with limits, counts, and what the mark means."""
    scale, decimals, sign = (
        (100, 1, f"{NO_BREAK}%") if unit == "percent" else (1, 2, "" if unit == "ratio" else f"{NO_BREAK}%")
    )
    between = " to " if unit.startswith("percent ") else "–"
    limits = ""
    if line.lower is not None and line.upper is not None:
        decimals = 2 if unit == "percent" and line.upper < 0.05 else decimals
        limits = f"{scale * line.lower:.{decimals}f}{between}{scale * line.upper:.{decimals}f}"
    if line.estimate is None:
        value = f"{limits}{sign}"
    else:
        value = f"{scale * line.estimate:.{decimals}f}{sign}" + (f" ({limits})" if limits else "")
    if line.conf_level is not None and abs(line.conf_level - 0.95) > 1e-9 and limits:
        value += f", a {100 * line.conf_level:g}{NO_BREAK}% interval"
    parts = [
        f"{line.label}: {value.replace('-', '−')}",  # the value alone: names keep their hyphens
        line.counts,
        _ENDS.get(line.role, ""),
    ]
    return "; ".join(part for part in parts if part)
