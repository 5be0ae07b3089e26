"""Prevalence of "improved and alive" over time."""

from __future__ import annotations

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish
from ahsct.report.figures.rows import result_rows
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import breaks
from ahsct.report.figures.wording import percent_interval
from ahsct.report.figures.words import write
from ahsct.report.style import GREEN, SOFT, WIDTH

_LEFT, _RIGHT, _PLOT = 50.0, 14.0, 180.0


def draw_improved_and_alive(
    results: pl.DataFrame, *, time_zero: str = "infusion", data_kind: str = "observed"
) -> Drawing | None:
    """Draw the `prevalence` rows of endpoint improved_and_alive with their intervals (first arm).

    None is returned when there is none. `data`: the rows drawn.
    """
    rows = [
        row
        for row in result_rows(results, "improved_and_alive", statistic="prevalence")
        if row["estimate"] is not None and row["time_years"] is not None
    ]
    if not rows:
        return None
    rows = sorted((row for row in rows if row["arm"] == rows[0]["arm"]), key=lambda row: row["time_years"])
    end = max(row["time_years"] for row in rows)
    with canvas(_PLOT + 58) as figure:
        plot = axes(figure, left=_LEFT, top=16, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
        time = [row["time_years"] for row in rows]
        plot.plot(
            time, [row["estimate"] for row in rows], color=GREEN, linewidth=1.2, marker="v", markersize=6
        )
        known = [row for row in rows if row["lower"] is not None and row["upper"] is not None]
        plot.vlines(
            [row["time_years"] for row in known], [row["lower"] for row in known], [row["upper"] for row in known],
            color=GREEN, linewidth=1.6,
        )  # fmt: skip
        plot.set_ylim(0, 1.02)
        plot.set_xlim(0, end * 1.05)
        mark_y(plot, [0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        at = breaks(end, room=WIDTH - _LEFT - _RIGHT)
        mark_x(plot, at, name=f"Years from {time_zero}")
        if len(rows) <= 8:
            for row in rows:
                write(
                    plot, row["time_years"], 1.0, f"n={row['n']}", anchor="middle", align="bottom", shift=(0, 2),
                    color=SOFT,
                )  # fmt: skip
        level = rows[0]["conf_level"]
        return finish(
            figure,
            title=f"Improved and alive, from {time_zero}",
            alt=" ".join(
                f"Year {row['time_years']:g}: {percent_interval(row)}, n = {row['n']}." for row in rows
            ),
            caption=f"Share improved and alive at each time; uprights: {f'{100 * level:g} % ' if level else ''}interval, "
            f"{rows[0]['method']}. The times share patients: the intervals are not independent.",
            data=pl.DataFrame(rows, infer_schema_length=None).select(
                "time_years", "estimate", "lower", "upper", "n"
            ),
            data_kind=data_kind,
        )
