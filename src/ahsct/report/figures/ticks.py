"""Ticks, labels and names of axes as plain text, which costs less than matplotlib's own ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ahsct.report.figures.words import write
from ahsct.report.style import SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform


def mark_x(
    plot: Axes,
    at: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    *,
    name: str = "",
    is_ticked: bool = True,
    is_upright: bool = False,
) -> None:
    """Label the horizontal axis below the plot; call it when the limits are set.

    Parameters
    ----------
    plot
        Axes in their final limits.
    at, labels
        Places and words; where missing: about seven round numbers.
    name
        What the axis shows, with its unit.
    is_ticked
        Draw a small tick at each place.
    is_upright
        Words run upwards.
    """
    at, labels = _round(plot.get_xlim(), at, labels)
    if is_ticked:
        _draw_ticks(plot, at, [0.0] * len(at), marker=3, transform=plot.get_xaxis_transform())
    below = -6.0 if is_ticked else -4.0
    for place, label in zip(at, labels, strict=True):
        write(
            plot, place, 0, label, transform=plot.get_xaxis_transform(), shift=(0, below),
            anchor="end" if is_upright else "middle", align="middle" if is_upright else "top",
            turn=90 if is_upright else 0,
        )  # fmt: skip
    if name:
        write(plot, 0.5, 0, name, transform=plot.transAxes, shift=(0, -22), anchor="middle", align="top")


def mark_y(
    plot: Axes,
    at: Sequence[float] | None = None,
    labels: Sequence[str] | None = None,
    *,
    name: str = "",
    is_ticked: bool = True,
    room: float = 36,
) -> None:
    """Label the vertical axis at the left, as `mark_x`; its `name` stands `room` [pt] from the plot."""
    at, labels = _round(plot.get_ylim(), at, labels)
    if is_ticked:
        _draw_ticks(plot, [0.0] * len(at), at, marker=0, transform=plot.get_yaxis_transform())
    beside = -6.0 if is_ticked else -4.0
    for place, label in zip(at, labels, strict=True):
        write(plot, 0, place, label, transform=plot.get_yaxis_transform(), shift=(beside, 0), anchor="end")
    if name:
        write(plot, 0, 0.5, name, transform=plot.transAxes, shift=(-room, 0), anchor="middle", turn=90)


def _round(
    limits: tuple[float, float], at: Sequence[float] | None, labels: Sequence[str] | None
) -> tuple[Sequence[float], Sequence[str]]:
    if at is None:
        from matplotlib.ticker import MaxNLocator

        low, high = sorted(limits)
        at = [
            float(place)
            for place in MaxNLocator(nbins=7, steps=[1, 2, 5, 10]).tick_values(low, high)
            if low <= place <= high
        ]
    return at, [f"{place:g}".replace("-", "−") for place in at] if labels is None else labels


def _draw_ticks(
    plot: Axes, x: Sequence[float], y: Sequence[float], *, marker: int, transform: Transform
) -> None:
    from matplotlib.lines import Line2D

    ticks = Line2D(x, y, markersize=3.5, linestyle="none", color=SOFT, markeredgewidth=0.8)
    ticks.set_marker(marker)  # type: ignore[arg-type]
    ticks.set_transform(transform)
    ticks.set_clip_on(False)
    plot.add_artist(ticks).set_clip_path(None)
