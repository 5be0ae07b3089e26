"""EDSS as colour: patient by time, or for many patients the share at each step by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.cells import draw_cells
from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.rows import largest
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO, breaks, years_from_zero, zero_days
from ahsct.report.figures.wording import plural, short
from ahsct.report.figures.words import write
from ahsct.report.style import SOFT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

_LEFT, _RIGHT, _ROW, _MOST = 66.0, 16.0, 13.0, 60
_BACK = -1.0  # years before time zero that are drawn


def draw_edss_heat_map(study: Study, *, time_zero: str = "infusion") -> Drawing | None:
    """Draw the last EDSS of each patient in each half year (yearly beyond 20 years).

    With more than 60 patients the rows are EDSS steps and the colour is the share of the patients
    seen in that period. None is returned when no patient with a day 0 has an EDSS.
    """
    zero = zero_days(study, time_zero)
    visits = years_from_zero(study.table("visits", ["patient_id", "visit_day", "edss"]), "visit_day", zero)
    visits = visits.filter(pl.col("edss").is_not_null() & (pl.col("years") >= _BACK))
    if visits.is_empty():
        return None
    last_year = largest(visits["years"])
    width = 0.5 if last_year <= 20 else 1.0
    cells = (
        visits.sort("patient_id", "years", maintain_order=True)
        .with_columns(((pl.col("years") - _BACK) / width).floor().cast(pl.Int64).alias("period"))
        .group_by("patient_id", "period", maintain_order=True)
        .agg(pl.last("edss"))
    )
    n_periods = int(largest(cells["period"])) + 1
    edges = _BACK + width * np.arange(n_periods + 1)
    n_patients = cells["patient_id"].n_unique()
    is_shared = n_patients > _MOST
    if is_shared:
        grid, names, high = *_shares(cells, n_periods), 1.0
    else:
        grid, names, high = *_patients(cells, n_periods), 10.0
    top, height = 40.0, len(names) * _ROW
    with canvas(top + height + 40) as figure:
        _scale(axes(figure, left=_LEFT, top=10, width=160, height=9), high)
        write(sheet(figure), _LEFT + 170, 15, "share of those seen" if is_shared else "EDSS")
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=height)
        draw_cells(plot, grid, colors="viridis_r", high=high, x=edges, gap=0.4)
        plot.axvline(0, color=SOFT, linewidth=1.2)
        mark_y(plot, [i + 0.5 for i in range(len(names))], names, is_ticked=False)
        at = breaks(edges[-1], room=WIDTH - _LEFT - _RIGHT)
        mark_x(plot, at, name=f"Years from {TIME_ZERO[time_zero]}")
        first = cells.group_by("patient_id", maintain_order=True).agg(
            pl.first("edss").alias("first"), pl.last("edss").alias("last")
        )
        data = cells.with_columns((_BACK + width * pl.col("period")).alias("from_years")).select(
            "patient_id", "from_years", "edss"
        )
        if is_shared:
            data = data.group_by("from_years", "edss").len("n_patients").sort("from_years", "edss")
        return finish(
            figure,
            title=f"EDSS over time from {TIME_ZERO[time_zero]}",
            alt=f"EDSS of {plural(n_patients, 'patient')} in periods of {width:g} years. First to last seen: "
            f"lower in {first.filter(pl.col('last') < pl.col('first')).height}, the same in "
            f"{first.filter(pl.col('last') == pl.col('first')).height}, higher in "
            f"{first.filter(pl.col('last') > pl.col('first')).height}.",
            caption=f"Last EDSS in each period of {width:g} years; white: no visit in it; upright: "
            f"{TIME_ZERO[time_zero]}. "
            + (
                f"Each column: share of the patients seen, of {n_patients:,}."
                if is_shared
                else "Rows by first EDSS drawn."
            ),
            data=data,
            data_kind=study.data_kind,
            is_course=not is_shared,
        )


def _patients(cells: pl.DataFrame, n_periods: int) -> tuple[np.ndarray, list[str]]:
    order = (
        cells.group_by("patient_id", maintain_order=True)
        .agg(pl.first("edss").alias("first"), pl.last("edss").alias("last"))
        .sort("first", "last", "patient_id")
        .with_row_index("place")
    )
    placed = cells.join(order, on="patient_id", maintain_order="left")
    grid = np.full((order.height, n_periods), np.nan)
    grid[placed["place"].to_numpy(), placed["period"].to_numpy()] = placed["edss"].to_numpy()
    return grid, [short(name) for name in order["patient_id"]]


def _shares(cells: pl.DataFrame, n_periods: int) -> tuple[np.ndarray, list[str]]:
    steps = [i / 2 for i in range(21)]
    grid = np.zeros((len(steps), n_periods))
    np.add.at(grid, ((cells["edss"].to_numpy() * 2).round().astype(int), cells["period"].to_numpy()), 1.0)
    seen = grid.sum(axis=0)
    return np.divide(grid, seen, out=np.full_like(grid, np.nan), where=seen > 0), [
        f"{step:g}" for step in steps
    ]


def _scale(plot: Axes, high: float) -> None:
    edges = np.linspace(0, high, 21)
    draw_cells(plot, edges[None, :-1], colors="viridis_r", high=high, x=edges, gap=0)
    ticks = [0, high / 2, high]
    labels = [f"{100 * t:g} %" for t in ticks] if high == 1 else [f"{t:g}" for t in ticks]
    mark_x(plot, ticks, labels, is_ticked=False)
    for spine in plot.spines.values():
        spine.set_visible(False)
