"""The figure that drawings are made on; apart, because it loads matplotlib."""

from __future__ import annotations

from matplotlib.figure import Figure

from ahsct.report.figures.words import Word


class Board(Figure):
    """A figure measured in points that keeps its words apart from its shapes."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width / 72, height / 72), dpi=72)
        self.words: list[Word] = []
