"""From the baseline EDSS to the EDSS at years 1, 3, 5 and the last: counts in bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.cells import draw_cells
from ahsct.report.figures.drawing import Drawing, axes, canvas, finish
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO, years_from_zero, zero_days
from ahsct.report.figures.words import write
from ahsct.report.style import INK, SOFT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

BANDS = ("0–1.5", "2–3.5", "4–5.5", "6–6.5", "7–9.5")
_STARTS = (0.0, 2.0, 4.0, 6.0, 7.0)
_AFTER = (*BANDS, "dead", "not seen")
_WINDOW = 0.5
_LEFT, _CELL = 52.0, 22.0


def draw_edss_transitions(
    study: Study,
    patient_values: pl.DataFrame,
    *,
    at_years: tuple[float, ...] = (1.0, 3.0, 5.0),
    time_zero: str = "infusion",
) -> Drawing | None:
    """Draw how many patients of each band of baseline EDSS are in which band later.

    Parameters
    ----------
    study
        Its `visits` (the one nearest to the time, at most half a year away) and `follow_up`.
    patient_values
        Schema PATIENT_VALUES: its baseline EDSS gives the rows.
    at_years
        Times [years from time zero]; the last visit of each patient follows.

    Returns
    -------
    Drawing or None
        None when nobody has a baseline EDSS and a day 0. `data`: one row per cell with patients.
    """
    zero = zero_days(study, time_zero)
    base = (
        patient_values.filter(
            (pl.col("topic") == "baseline") & (pl.col("term") == "edss") & pl.col("number").is_not_null()
        )
        .select("patient_id", before="number")
        .join(zero, on="patient_id", how="semi")
        .sort("patient_id")
    )
    if base.is_empty():
        return None
    visits = years_from_zero(study.table("visits", ["patient_id", "visit_day", "edss"]), "visit_day", zero)
    visits = visits.filter(pl.col("edss").is_not_null() & (pl.col("years") > 0)).sort("patient_id", "years")
    deaths = years_from_zero(study.table("follow_up", ["patient_id", "death_day"]), "death_day", zero)
    states = [
        (f"year {t:g}", _states(base, _nearest(visits, t), deaths.filter(pl.col("years") <= t)))
        for t in at_years
    ]
    last = visits.group_by("patient_id", maintain_order=True).agg(pl.last("edss"))
    states.append(("last seen", _states(base, last, deaths)))
    size, step = len(BANDS) * _CELL, len(BANDS) * _CELL + 80
    with canvas(-(-len(states) // 2) * step) as figure:
        for i, (name, cells) in enumerate(states):
            plot = axes(
                figure,
                left=_LEFT + (i % 2) * (WIDTH - 4) / 2,
                top=24 + (i // 2) * step,
                width=len(_AFTER) * _CELL,
                height=size,
            )
            _matrix(plot, name, cells, is_left=i % 2 == 0)
        data = pl.concat(
            cells.filter(pl.col("n_patients") > 0).select(pl.lit(name).alias("time"), pl.all())
            for name, cells in states
        )
        return finish(
            figure,
            title=f"EDSS at baseline and later, from {TIME_ZERO[time_zero]}",
            alt=" ".join(_sentence(name, cells, base.height) for name, cells in states),
            caption=f"Rows: EDSS at baseline; columns: EDSS at the visit nearest to the time (at most half a year away), "
            f"or at the last visit; counts of {base.height:,} patients. On the framed diagonal the band did not change.",
            data=data,
            data_kind=study.data_kind,
        )


def _nearest(visits: pl.DataFrame, at_years: float) -> pl.DataFrame:
    return (
        visits.with_columns((pl.col("years") - at_years).abs().alias("away"))
        .filter(pl.col("away") <= _WINDOW)
        .sort("patient_id", "away", "years")
        .group_by("patient_id", maintain_order=True)
        .agg(pl.first("edss"))
    )


def _band(column: str) -> pl.Expr:
    return sum((pl.col(column) >= start).cast(pl.Int64) for start in _STARTS) - 1  # type: ignore[return-value]


def _states(base: pl.DataFrame, later: pl.DataFrame, dead: pl.DataFrame) -> pl.DataFrame:
    """Return all cells: `before`, `after` (indices) and `n_patients`."""
    placed = (
        base.join(later, on="patient_id", how="left", maintain_order="left")
        .join(
            dead.select("patient_id", is_dead=pl.lit(True)),
            on="patient_id",
            how="left",
            maintain_order="left",
        )
        .select(
            _band("before").alias("row"),
            pl.when(pl.col("is_dead").fill_null(False) | (pl.col("edss") >= 10))
            .then(len(BANDS))
            .when(pl.col("edss").is_null())
            .then(len(BANDS) + 1)
            .otherwise(_band("edss"))
            .alias("column"),
        )
    )
    grid = np.zeros((len(BANDS), len(_AFTER)), dtype=int)
    np.add.at(grid, (placed["row"].to_numpy(), placed["column"].to_numpy()), 1)
    return pl.DataFrame(
        {
            "before": [band for band in BANDS for _ in _AFTER],
            "after": [band for _ in BANDS for band in _AFTER],
            "n_patients": grid.ravel(),
        }
    )


def _matrix(plot: Axes, name: str, cells: pl.DataFrame, *, is_left: bool) -> None:
    from matplotlib.patches import Rectangle

    grid = cells["n_patients"].to_numpy().reshape(len(BANDS), len(_AFTER))
    most = max(int(grid.max()), 1)
    draw_cells(plot, grid, colors="Blues", high=most * 1.3)
    for row in range(len(BANDS)):
        plot.add_patch(Rectangle((row, row), 1, 1, fill=False, edgecolor=SOFT, linewidth=1.1))
        for column in range(len(_AFTER)):
            if n := grid[row, column]:
                write(plot, column + 0.5, row + 0.5, f"{n}", anchor="middle",
                    color="white" if n > 0.75 * most else INK)  # fmt: skip
    mark_x(plot, [i + 0.5 for i in range(len(_AFTER))], _AFTER, is_ticked=False, is_upright=True)
    mark_y(
        plot,
        [i + 0.5 for i in range(len(BANDS))],
        BANDS,
        is_ticked=False,
        room=44,
        name="EDSS at baseline" * is_left,
    )
    write(plot, 0, -0.4, name, weight="bold", align="baseline")
    for spine in plot.spines.values():
        spine.set_visible(False)


def _sentence(name: str, cells: pl.DataFrame, n: int) -> str:
    place = {band: i for i, band in enumerate(BANDS)}
    counts = {"lower": 0, "the same": 0, "higher": 0, "dead": 0, "not seen": 0}
    for before, after, n_patients in cells.iter_rows():
        if after in place:
            moved = place[after] - place[before]
            counts["lower" if moved < 0 else "higher" if moved > 0 else "the same"] += n_patients
        else:
            counts[after] += n_patients
    return (
        f"{name.capitalize()}, of {n:,}: EDSS band "
        + ", ".join(f"{word} {k}" for word, k in counts.items())
        + "."
    )
