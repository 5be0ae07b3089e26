"""Neutrophils and platelets around the infusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.rows import largest
from ahsct.report.figures.sample import evenly, sample_sentence
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import zero_days
from ahsct.report.figures.wording import plural
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREY, SOFT, VERMILION, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

_LEFT, _RIGHT, _PLOT, _STEP, _MOST = 50.0, 14.0, 140.0, 196.0, 60
_FROM, _TO = -7, 30
_PANELS = (("neutrophils", 0.5, 0.01), ("platelets", 20.0, 1.0))  # threshold and floor [10^9/L]


def draw_engraftment(study: Study) -> Drawing | None:
    """Draw neutrophils and platelets from 7 days before to 30 days after infusion.

    Parameters
    ----------
    study
        Its `labs` (only rows in 10^9/L) and `transplants`. Values of 0 stand at the floor of the
        logarithmic axis.

    Returns
    -------
    Drawing or None
        None when there is no such value. `data`: per test and day the quartiles and the number of
        patients.
    """
    zero = zero_days(study)
    labs = study.table("labs", ["patient_id", "sample_day", "test", "value", "unit"])
    labs = (
        labs.filter(
            (pl.col("unit") == "10^9/L") & pl.col("value").is_not_null() & pl.col("sample_day").is_not_null()
        )
        .join(zero, on="patient_id", how="inner", maintain_order="left")
        .with_columns((pl.col("sample_day") - pl.col("zero_day")).alias("day"))
        .filter(pl.col("day").is_between(_FROM, _TO))
    )
    panels = [
        (name, threshold, floor, rows)
        for name, threshold, floor in _PANELS
        if (rows := labs.filter(pl.col("test") == name).sort("patient_id", "day", maintain_order=True)).height
    ]
    if not panels:
        return None
    patients = labs.select("patient_id").unique().sort("patient_id")
    shown = evenly(patients, _MOST)
    quartiles = [(name, _quartiles(rows)) for name, _, _, rows in panels]
    with canvas(len(panels) * _STEP + 4) as figure:
        area = sheet(figure)
        for i, ((name, threshold, floor, rows), (_, summary)) in enumerate(
            zip(panels, quartiles, strict=True)
        ):
            top = 22 + i * _STEP
            write(area, 8, top - 12, f"{name.capitalize()}, 10⁹/L", weight="bold")
            plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=_PLOT)
            _panel(
                plot,
                rows.join(shown, on="patient_id", how="semi", maintain_order="left"),
                summary,
                threshold,
                floor,
            )
        return finish(
            figure,
            title="Neutrophils and platelets around infusion",
            alt=" ".join(_sentence(name, summary) for name, summary in quartiles),
            caption="Grey: patients; line and band: median and quartiles of those measured that day; dashed: "
            "thresholds of engraftment, 0.5 and 20 × 10⁹/L; logarithmic axis, its floor holds all lower values."
            + sample_sentence(shown.height, patients.height, "their number"),
            data=pl.concat(
                summary.select(pl.lit(name).alias("test"), pl.all()) for name, summary in quartiles
            ),
            data_kind=study.data_kind,
            is_course=True,
        )


def _quartiles(rows: pl.DataFrame) -> pl.DataFrame:
    return (
        rows.group_by("day")
        .agg(
            pl.col("patient_id").n_unique().cast(pl.Int64).alias("n_patients"),
            pl.col("value").quantile(0.25, "linear").alias("quartile_1"),
            pl.col("value").median().alias("median"),
            pl.col("value").quantile(0.75, "linear").alias("quartile_3"),
        )
        .sort("day")
    )


def _panel(plot: Axes, rows: pl.DataFrame, summary: pl.DataFrame, threshold: float, floor: float) -> None:
    from matplotlib.collections import LineCollection

    courses = [
        np.column_stack([part["day"].to_numpy(), np.maximum(part["value"].to_numpy(), floor)])
        for _, part in rows.group_by("patient_id", maintain_order=True)
    ]
    plot.set_yscale("log")
    plot.set_yticks([])
    plot.set_yticks([], minor=True)
    plot.add_collection(LineCollection(courses, colors=GREY, linewidths=0.5, alpha=0.6))
    day = summary["day"].to_numpy()
    low, middle, high = (
        np.maximum(summary[name].to_numpy(), floor) for name in ("quartile_1", "median", "quartile_3")
    )
    plot.fill_between(day, low, high, color=BLUE, alpha=0.22, linewidth=0)
    plot.plot(day, middle, color=BLUE, linewidth=2)
    plot.axhline(threshold, color=VERMILION, linewidth=1.1, linestyle=(0, (4, 2)))
    plot.axvline(0, color=SOFT, linewidth=0.8, zorder=0)
    plot.set_xlim(_FROM, _TO)
    plot.set_ylim(floor * 0.9, max(largest(rows["value"]), threshold * 4) * 1.2)
    powers = [
        10.0**power for power in range(-2, 5) if plot.get_ylim()[0] <= 10.0**power <= plot.get_ylim()[1]
    ]
    mark_y(plot, [*powers, threshold], [*(f"{power:g}" for power in powers), f"{threshold:g}"])
    mark_x(plot, range(_FROM, _TO + 1, 7), name="Days from infusion")


def _sentence(name: str, summary: pl.DataFrame) -> str:
    lowest = summary.row(int(summary["median"].arg_min() or 0), named=True)
    last = summary.row(-1, named=True)
    return (
        f"{name.capitalize()}: lowest median {lowest['median']:.3g} on day {lowest['day']} "
        f"({plural(lowest['n_patients'], 'patient')}); median {last['median']:.3g} on day {last['day']} "
        f"({plural(last['n_patients'], 'patient')})."
    )
