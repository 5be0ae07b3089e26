"""One headline estimate under every way of counting and every interval, as dots and lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ahsct.report.figures.drawing import Drawing, canvas, finish, sheet
from ahsct.report.figures.wording import percent_interval, spoken, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import GREY, LINES, PALE, SMALL, SOFT, WIDTH

_LEFT, _RIGHT = 14.0, 20.0
_MARKERS = "osD^"


def draw_estimates(
    results: pl.DataFrame,
    *,
    labels: Mapping[str, str] | None = None,
    title: str = "The headline under other choices",
    data_kind: str = "observed",
) -> Drawing | None:
    """Draw the given rows of RESULTS (probabilities) one below the other, each with its interval and method.

    Parameters
    ----------
    results
        Schema RESULTS; the rows to draw, in order. Rows without an estimate are left out.
    labels
        Words for each estimand; rows of the same estimand share colour and marker.

    Returns
    -------
    Drawing or None
        None when no row has an estimate. `data`: the rows drawn.

    Examples
    --------
    >>> from ahsct.vocabulary import RESULTS, empty
    >>> draw_estimates(empty(RESULTS)) is None
    True
    """
    rows = results.filter(pl.col("estimate").is_not_null())
    if rows.is_empty():
        return None
    entries = [(row, _words(row, labels or {})) for row in rows.to_dicts()]
    estimands = list(dict.fromkeys(row["estimand"] for row, _ in entries))
    wide = WIDTH - _LEFT - _RIGHT
    height = sum(14 * len(lines) + 20 for _, lines in entries) + 40
    with canvas(height) as figure:
        area = sheet(figure)
        y = 6.0
        for level in (0.0, 0.25, 0.5, 0.75, 1.0):
            x = _LEFT + level * wide
            area.plot([x, x], [y, height - 26], color=PALE, linewidth=0.8, zorder=0)
            write(area, x, height - 14, f"{100 * level:g} %", anchor="middle", color=SOFT)
        for row, lines in entries:
            i = estimands.index(row["estimand"]) % len(LINES)
            for line in lines:
                write(area, _LEFT, y + 7, line, has_halo=True)
                y += 14
            y += 9
            low, high = row["lower"], row["upper"]
            if low is not None or high is not None:
                area.plot(
                    [_LEFT + wide * (0 if low is None else low), _LEFT + wide * (1 if high is None else high)], [y, y],
                    color=LINES[i][0], linewidth=2, solid_capstyle="butt",
                )  # fmt: skip
            area.scatter(
                [_LEFT + wide * row["estimate"]], [y], marker=_MARKERS[i], s=40, color=LINES[i][0], zorder=3
            )
            y += 11
        area.plot([_LEFT, _LEFT + wide], [height - 26] * 2, color=GREY, linewidth=0.8)
        return finish(
            figure,
            title=title,
            alt=" ".join(f"{' '.join(lines)}." for _, lines in entries),
            caption="Dot: estimate; line: its interval by the method named. These are choices, not a sample: they are not "
            "averaged.",
            data=rows.select(
                "estimand",
                "population",
                "time_years",
                "estimate",
                "lower",
                "upper",
                "conf_level",
                "method",
                "n",
            ),
            data_kind=data_kind,
        )


def _words(row: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    name = labels.get(row["estimand"], spoken(row["estimand"]))
    return wrapped(f"{name}; {row['method']}: {percent_interval(row)}", WIDTH - _LEFT - _RIGHT, SMALL)
