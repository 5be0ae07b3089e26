"""A figure as the report holds it: SVG, text alternative, caption and the numbers behind it."""

from __future__ import annotations

import hashlib
import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ahsct.report.figures.words import words_of, write
from ahsct.report.style import RC, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.report.figures.board import Board

INVENTED = "invented courses"
_NOTES = {
    True: f"The patients are reconstructed from published totals: these are {INVENTED}, not real people.",
    False: "The patients are reconstructed from published totals: only the published numbers are the trial's, all else is an illustration.",
}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A finished figure.

    Attributes
    ----------
    title
        What is shown, with its time zero; not part of the SVG.
    svg
        One `<svg>` element for inlining: `viewBox` without width and height, `role="img"` with the
        text alternative as `aria-label`, ids of its own, no external reference, no script.
    alt
        The text alternative; it states the numbers.
    caption
        Methods, counts left out, and what the marks mean.
    data
        The numbers behind the drawing.
    """

    title: str
    svg: str
    alt: str
    caption: str
    data: pl.DataFrame


@contextmanager
def canvas(height: float) -> Iterator[Board]:
    """Yield an empty figure `WIDTH` wide and `height` high [pt] in the house style.

    The reader's own matplotlib settings have no influence, and are back in place afterwards.
    """
    import matplotlib

    from ahsct.report.figures.board import Board

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)  # type: ignore[arg-type]
        yield Board(WIDTH, height)


def axes(figure: Board, *, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes without ticks, at a place given in points from the upper left corner."""
    full = figure.get_figheight() * 72
    plot = figure.add_axes((left / WIDTH, 1 - (top + height) / full, width / WIDTH, height / full))
    plot.set_xticks([])
    plot.set_yticks([])
    return plot


def sheet(figure: Board) -> Axes:
    """Return invisible axes over the whole figure, in points from the upper left corner."""
    full = figure.get_figheight() * 72
    area = figure.add_axes((0, 0, 1, 1))
    area.set_xlim(0, WIDTH)
    area.set_ylim(full, 0)
    area.axis("off")
    return area


def finish(
    figure: Board,
    *,
    title: str,
    alt: str,
    caption: str,
    data: pl.DataFrame,
    data_kind: str,
    is_course: bool = False,
) -> Drawing:
    """Return the drawing; `is_course`: it shows single patients, marked where they are invented."""
    if data_kind == "reconstructed":
        if is_course:
            flat = figure.get_figheight() * 72 < 250
            write(
                figure.axes[0], 0.5, 0.5, INVENTED, transform=figure.transFigure, anchor="middle",
                turn=10 if flat else 24, size=30 if flat else 38, color="black", opacity=0.1,
            )  # fmt: skip
            alt = f"{INVENTED.capitalize()}. {alt}"
        caption = f"{caption} {_NOTES[is_course]}"
    elif data_kind == "simulated":
        caption = f"{caption} The patients are simulated."
    alt = _printable(alt)
    return Drawing(
        title=_printable(title), svg=_svg(figure, alt), alt=alt, caption=_printable(caption), data=data
    )


def _svg(figure: Board, alt: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0].replace("\n", " ")), svg)
    svg = re.sub(r"\n\s*", "\n", svg.replace("</svg>", f"{words_of(figure)}</svg>"))
    # Several drawings stand on one page: ids nobody refers to go, the others get a name of their own.
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    own = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r' id="([^"]+)"', lambda id: f' id="{own}-{id[1]}"' if id[1] in referred else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}-", svg)
    opening = f'<svg role="img" aria-label="{html.escape(alt)}" stroke-linejoin="round" stroke-linecap="butt"'
    return svg.replace("<svg", opening, 1).strip() + "\n"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
