"""The key of a drawing: a mark and its word, set in lines above the plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ahsct.report.figures.words import write
from ahsct.report.style import SMALL, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_HEIGHT = 15.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A marker (matplotlib's letter) of a colour, filled or hollow, and what it means."""

    word: str
    marker: str
    color: str
    is_filled: bool = True

    @property
    def look(self) -> dict[str, Any]:
        """Arguments for `scatter`."""
        if self.marker in "x+|_":
            return {"marker": self.marker, "color": self.color, "linewidths": 1.4}
        face = self.color if self.is_filled else "white"
        return {"marker": self.marker, "facecolors": face, "edgecolors": self.color, "linewidths": 1.1}


def places(marks: Sequence[Mark], left: float) -> list[tuple[float, int]]:
    """Return (x, line) of each mark so that the words do not run out of the drawing."""
    found: list[tuple[float, int]] = []
    x, line = left, 0
    for mark in marks:
        width = 14 + 0.60 * SMALL * len(mark.word) + 12
        if x + width > WIDTH and x > left:
            x, line = left, line + 1
        found.append((x, line))
        x += width
    return found


def key_height(marks: Sequence[Mark], left: float = 8) -> float:
    """Return the height [pt] that the key needs."""
    return (places(marks, left)[-1][1] + 1) * LINE_HEIGHT if marks else 0.0


def draw_key(area: Axes, marks: Sequence[Mark], *, top: float, left: float = 8) -> None:
    """Draw the key on a sheet (axes in points from the upper left corner)."""
    for mark, (x, line) in zip(marks, places(marks, left), strict=True):
        y = top + line * LINE_HEIGHT + LINE_HEIGHT / 2
        area.scatter([x + 5], [y], s=34, **mark.look)
        write(area, x + 14, y, mark.word)
