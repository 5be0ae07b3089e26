"""Words in a drawing, as SVG text: they can be selected, and the reader's browser sets them.

matplotlib draws the shapes only: its own text costs a layout per word, and as outlines it makes up
most of a file. Room is reckoned for DejaVu Sans, a wide face; the faces behind it are no wider.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

from ahsct.report.style import FACES, INK, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

    from ahsct.report.figures.board import Board

# How far the baseline lies below the place given [em of DejaVu Sans]: capitals are 0.73 em high
_FALL = {"middle": 0.365, "top": 0.76, "bottom": -0.24, "baseline": 0.0}


class Word(NamedTuple):
    """A line of text: where it stands, how far its baseline lies below [pt], its turn and its look."""

    text: str
    at: tuple[float, float]
    transform: Transform
    shift: tuple[float, float]
    fall: float
    turn: float
    look: str


def write(
    plot: Axes,
    x: float,
    y: float,
    text: str,
    *,
    anchor: Literal["start", "middle", "end"] = "start",
    align: Literal["middle", "top", "bottom", "baseline"] = "middle",
    weight: str = "normal",
    color: str = INK,
    size: float = SMALL,
    opacity: float = 1.0,
    turn: float = 0.0,
    shift: tuple[float, float] = (0.0, 0.0),
    transform: Transform | None = None,
    has_halo: bool = False,
) -> None:
    """Write a line of text over the drawing.

    Parameters
    ----------
    plot
        Axes on a `Board`; their limits may still change.
    x, y
        Place, in the coordinates of the axes or of `transform`.
    anchor, align
        Which point of the text stands there.
    turn
        Degrees to the left, about that point.
    shift
        Points to the right and upwards, away from that place.
    has_halo
        White around the letters, where they stand over lines.
    """
    look = "" if anchor == "start" else f' text-anchor="{anchor}"'
    look += "" if color == INK else f' fill="{color}"'
    look += "" if weight == "normal" else f' font-weight="{weight}"'
    look += "" if size == SMALL else f' font-size="{size:g}"'
    look += "" if opacity == 1 else f' opacity="{opacity:g}"'
    look += ' stroke="white" stroke-width="3" paint-order="stroke"' if has_halo else ""
    place = transform or plot.transData
    board = cast("Board", plot.get_figure(root=True))
    board.words.append(Word(text, (x, y), place, shift, _FALL[align] * size, turn, look))


def words_of(board: Board) -> str:
    """Return the `<text>` elements of a board, to stand before the `</svg>` of its shapes."""
    high = board.get_figheight() * 72
    lines = []
    for word in board.words:
        x, y = word.transform.transform(word.at)
        x, y = x + word.shift[0], high - y - word.shift[1]
        if word.turn:
            place = f'y="{word.fall:.4g}" transform="translate({x:.2f} {y:.2f}) rotate({-word.turn:g})"'
        else:
            place = f'x="{x:.2f}" y="{y + word.fall:.2f}"'
        lines.append(f"<text {place}{word.look}>{html.escape(word.text, quote=False)}</text>\n")
    faces = html.escape(FACES)
    return f'<g font-family="{faces}" font-size="{SMALL:g}" fill="{INK}">\n{"".join(lines)}</g>\n'
