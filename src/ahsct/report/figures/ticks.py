"""Ticks, labels and names of axes as plain text, which costs less than matplotlib's own ticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ahsct.report.style import INK, SMALL, SOFT

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
    words = plot.get_xaxis_transform() + _moved(plot, 0, -6 if is_ticked else -4)
    for place, label in zip(at, labels, strict=True):
        plot.text(
            place, 0, label, transform=words, fontsize=SMALL, color=INK, ha="center", va="top",
            rotation=90 if is_upright else 0,
        )  # fmt: skip
    if name:
        below = plot.transAxes + _moved(plot, 0, -22)
        plot.text(0.5, 0, name, transform=below, fontsize=SMALL, color=INK, ha="center", va="top")


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
    words = plot.get_yaxis_transform() + _moved(plot, -6 if is_ticked else -4, 0)
    for place, label in zip(at, labels, strict=True):
        plot.text(
            0, place, label, transform=words, fontsize=SMALL, color=INK, ha="right", va="center_baseline"
        )
    if name:
        beside = plot.transAxes + _moved(plot, -room, 0)
        plot.text(
            0, 0.5, name, transform=beside, fontsize=SMALL, color=INK, ha="center", va="center", rotation=90
        )


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


def _moved(plot: Axes, right: float, up: float) -> Transform:
    from matplotlib.transforms import ScaledTranslation

    figure = plot.get_figure(root=True)
    assert figure is not None
    return ScaledTranslation(right / 72, up / 72, figure.dpi_scale_trans)
