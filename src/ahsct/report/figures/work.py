"""Work: those on disability insurance at baseline, and where they were last seen."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.drawing import Drawing, canvas, finish, sheet
from ahsct.report.figures.rows import result_rows, topic
from ahsct.report.figures.wording import limits_of, percent, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, PALE, SMALL, SOFT, WIDTH

_LEFT, _ROOM = 8.0, WIDTH - 16.0


def draw_work(
    patient_values: pl.DataFrame, results: pl.DataFrame | None = None, *, data_kind: str = "observed"
) -> Drawing | None:
    """Draw the patients on disability insurance at baseline, and how many were off it and working at last.

    Parameters
    ----------
    patient_values
        Schema PATIENT_VALUES, topic work, term off_disability_and_working: yes or no.
    results
        Schema RESULTS: the proportion with its exact interval and its mark.

    Returns
    -------
    Drawing or None
        None when nobody was on disability insurance at baseline.
    """
    rows = topic(patient_values, "work", "off_disability_and_working").filter(
        pl.col("value").is_in(["yes", "no"])
    )
    if rows.is_empty():
        return None
    n, back = rows.height, rows.filter(pl.col("value") == "yes").height
    found = result_rows(results, "work", term="off_disability_and_working") if results is not None else []
    interval = f" ({limits_of(found[0], scale=100, decimals=1)})" if found and limits_of(found[0]) else ""
    words = f"{back:,} of {n:,} off disability insurance and working: {percent(back / n)}{interval}"
    lines = wrapped(words, _ROOM, SMALL)
    with canvas(112 + 14 * len(lines)) as figure:
        area = sheet(figure)
        write(area, _LEFT, 12, f"Baseline: {n:,} on disability insurance")
        area.barh(32, _ROOM, left=_LEFT, height=20, color=PALE, edgecolor=SOFT, linewidth=0.7)
        y = 62.0
        for line in lines:
            write(area, _LEFT, y, line, weight="bold")
            y += 14
        area.barh(y + 6, _ROOM * back / n, left=_LEFT, height=20, color=BLUE, edgecolor=SOFT, linewidth=0.7)
        area.barh(
            y + 6, _ROOM * (n - back) / n, left=_LEFT + _ROOM * back / n, height=20, color=PALE, edgecolor=SOFT,
            linewidth=0.7,
        )  # fmt: skip
        write(area, _LEFT + _ROOM, y + 28, f"{n - back:,} not", anchor="end")
        mark = f" The denominator is {found[0]['mark']}." if found and found[0]["mark"] else ""
        return finish(
            figure,
            title="Work, of those on disability insurance at baseline",
            alt=f"{words}.",
            caption=f"At the last assessment of each patient{'; exact interval' if interval else ''}.{mark}",
            data=pl.DataFrame({"off_disability_and_working": ["yes", "no"], "n_patients": [back, n - back]}),
            data_kind=data_kind,
        )
