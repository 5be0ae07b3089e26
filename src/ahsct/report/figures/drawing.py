"""A figure as the report holds it: SVG, text alternative, caption and the numbers behind it."""

from __future__ import annotations

import hashlib
import html
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from ahsct.report.style import RC, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
def canvas(height: float) -> Iterator[Figure]:
    """Yield an empty figure `WIDTH` wide and `height` high [pt] in the house style.

    The reader's own matplotlib settings have no influence, and are back in place afterwards.
    """
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)  # type: ignore[arg-type]
        yield Figure(figsize=(WIDTH / 72, height / 72))


def axes(figure: Figure, *, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes without ticks, at a place given in points from the upper left corner."""
    full = figure.get_figheight() * 72
    plot = figure.add_axes((left / WIDTH, 1 - (top + height) / full, width / WIDTH, height / full))
    plot.set_xticks([])
    plot.set_yticks([])
    return plot


def sheet(figure: Figure) -> Axes:
    """Return invisible axes over the whole figure, in points from the upper left corner."""
    full = figure.get_figheight() * 72
    area = figure.add_axes((0, 0, 1, 1))
    area.set_xlim(0, WIDTH)
    area.set_ylim(full, 0)
    area.axis("off")
    return area


def finish(
    figure: Figure,
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
            figure.text(
                0.5, 0.5, INVENTED, rotation=10 if flat else 24, fontsize=30 if flat else 38, ha="center", va="center",
                color="black", alpha=0.10, zorder=99,
            )  # fmt: skip
            alt = f"{INVENTED.capitalize()}. {alt}"
        caption = f"{caption} {_NOTES[is_course]}"
    elif data_kind == "simulated":
        caption = f"{caption} The patients are simulated."
    alt = _printable(alt)
    return Drawing(
        title=_printable(title), svg=_svg(figure, alt), alt=alt, caption=_printable(caption), data=data
    )


def _svg(figure: Figure, alt: str) -> str:
    buffer = io.StringIO()
    with warnings.catch_warnings():  # a name in a script that the typeface lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0].replace("\n", " ")), svg)
    svg = re.sub(r"\n\s*", "\n", svg)
    # Several drawings stand on one page: ids nobody refers to go, the others get a name of their own.
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    own = "f" + hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r' id="([^"]+)"', lambda id: f' id="{own}-{id[1]}"' if id[1] in referred else "", svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{own}-", svg)
    opening = f'<svg role="img" aria-label="{html.escape(alt)}" stroke-linejoin="round" stroke-linecap="butt"'
    return svg.replace("<svg", opening, 1).strip() + "\n"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
