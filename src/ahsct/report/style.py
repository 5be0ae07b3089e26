"""How every figure looks: one palette, one size, one typeface.

Colours are those of Okabe and Ito (2008), told apart with any kind of colour vision; a dash or a
marker always says the same as the colour. Lengths are in points of a drawing 450 wide: shown at
720 CSS pixels its smallest type is 12.6 pt, on a telephone 390 wide 8.4 pixels.
"""

from __future__ import annotations

from typing import Any

WIDTH = 450.0
FACES = "'DejaVu Sans', 'Bitstream Vera Sans', Verdana, Geneva, sans-serif"
SMALL = 10.5

INK = "#222222"
SOFT = "#595959"
GREY = "#9A9A9A"
PALE = "#DDDDDD"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"

Dash = str | tuple[float, tuple[float, ...]]
LINES: tuple[tuple[str, Dash], ...] = (
    (BLUE, "-"),
    (VERMILION, (0.0, (5.0, 2.0))),
    (GREEN, (0.0, (1.5, 1.5))),
    (PURPLE, (0.0, (7.0, 2.0, 1.5, 2.0))),
)

SEVERITIES = ("none", "mild", "moderate", "severe", "life-threatening", "fatal", "not stated")

# of the shapes alone: words are not matplotlib's (see `figures.words`)
RC: dict[str, Any] = {
    "axes.facecolor": "none",
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.8,
    "svg.hashsalt": "ahsct",
    "path.simplify": False,
}
