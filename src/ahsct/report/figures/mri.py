"""Enhancing lesions on the scans before, and activity on the scans after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.rows import largest, topic
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO, breaks, years_from_zero, zero_days
from ahsct.report.figures.wording import plural
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREY, PALE, SMALL, VERMILION, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

_LEFT, _RIGHT, _PLOT = 50.0, 14.0, 130.0
_TOP_BIN = 20


def draw_mri(
    study: Study,
    events: pl.DataFrame,
    patient_values: pl.DataFrame | None = None,
    *,
    time_zero: str = "infusion",
) -> Drawing | None:
    """Draw the scans before by their enhancing lesions (zeros too), and those after by year and activity.

    Parameters
    ----------
    study
        Its `mri` and `transplants`: before = up to mobilisation (to infusion where that is missing);
        a scan without a count of enhancing lesions is left out of the upper part, counted in the caption.
    events
        Schema EVENTS: an `mri_activity` event on the day of a scan makes it active.
    patient_values
        Schema PATIENT_VALUES: scans of topic mri_left_out (days from time zero) are drawn apart.

    Returns
    -------
    Drawing or None
        None when there is no scan before or after.
    """
    zero = zero_days(study, time_zero)
    scans = study.table("mri", ["patient_id", "scan_day", "gd_n"])
    first = (
        study.table("transplants", ["patient_id", "mobilisation_start_day", "infusion_day"])
        .group_by("patient_id", maintain_order=True)
        .agg(pl.min("mobilisation_start_day"), pl.min("infusion_day"))
    )
    scans = scans.join(first, on="patient_id", how="inner", maintain_order="left").filter(
        pl.col("scan_day").is_not_null()
    )
    before = scans.filter(pl.col("scan_day") <= pl.coalesce("mobilisation_start_day", "infusion_day"))
    after = years_from_zero(scans.filter(pl.col("scan_day") > pl.col("infusion_day")), "scan_day", zero)
    if before.is_empty() and after.is_empty():
        return None
    between = scans.height - before.height - scans.filter(pl.col("scan_day") > pl.col("infusion_day")).height
    known = before.filter(pl.col("gd_n").is_not_null())
    bars = _after(after, events, patient_values)
    with canvas(2 * _PLOT + 142) as figure:
        area = sheet(figure)
        width = WIDTH - _LEFT - _RIGHT
        n_lesions = int(known["gd_n"].sum())
        before_line = f"Before: {plural(n_lesions, 'enhancing lesion')} on {plural(known.height, 'scan')}"
        write(area, 8, 12, before_line, weight="bold")
        top = axes(figure, left=_LEFT, top=26, width=width, height=_PLOT)
        _histogram(top, known["gd_n"].to_numpy())
        active, left_out = int(bars["active"].sum()), int(bars["left_out"].sum())
        counted = int(bars["without_activity"].sum()) + active
        after_line = f"After: {active:,} of {plural(counted, 'scan')} active" + (
            f"; {left_out:,} early scans left out" if left_out else ""
        )
        y = 26 + _PLOT + 54
        write(area, 8, y, after_line, weight="bold")
        _legend(area, y + 16, has_left_out=left_out > 0)
        bottom = axes(figure, left=_LEFT, top=y + 28, width=width, height=_PLOT - 14)
        _bars(bottom, bars, f"Years from {TIME_ZERO[time_zero]}")
        counts = known.group_by("gd_n").len().sort("gd_n")
        return finish(
            figure,
            title="MRI before and after treatment",
            alt=f"{before_line}: "
            + ", ".join(f"{lesions} on {n}" for lesions, n in counts.iter_rows())
            + f". {after_line}; "
            + ", ".join(
                f"year {year}: {without + act + out} scans, {act} active"
                for year, without, act, out in bars.iter_rows()
            )
            + ".",
            caption="Upper: scans up to mobilisation by number of gadolinium-enhancing lesions, scans without any "
            f"included{f' ({_TOP_BIN} and more in the last bar)' if (known['gd_n'] >= _TOP_BIN).any() else ''}"
            f"{f'; {before.height - known.height} without a count are left out' if before.height > known.height else ''}. "
            "Lower: scans in each year after infusion; active by the definition's rule."
            + (
                f" In neither part: {plural(between, 'scan')} between mobilisation and infusion."
                if between
                else ""
            ),
            data=pl.concat(
                [
                    counts.select(
                        pl.lit("before").alias("part"),
                        pl.format("{} lesions", "gd_n").alias("group"),
                        pl.col("len").cast(pl.Int64).alias("n_scans"),
                    ),
                    bars.unpivot(index="year", variable_name="what", value_name="n_scans").select(
                        pl.lit("after").alias("part"),
                        pl.format("year {}, {}", "year", pl.col("what").str.replace_all("_", " ")).alias(
                            "group"
                        ),
                        pl.col("n_scans").cast(pl.Int64),
                    ),
                ]
            ),
            data_kind=study.data_kind,
        )


def _after(after: pl.DataFrame, events: pl.DataFrame, patient_values: pl.DataFrame | None) -> pl.DataFrame:
    """Return the scans of each year: without activity, active, left out."""
    is_active = events.filter(pl.col("kind") == "mri_activity").select(
        "patient_id", scan_day="day", is_active=pl.lit(True)
    )
    marked = after.join(
        is_active.unique(), on=["patient_id", "scan_day"], how="left", maintain_order="left"
    ).with_columns((pl.col("scan_day") - pl.col("zero_day")).alias("day"))
    left_out = (
        topic(patient_values, "mri_left_out").select("patient_id", "day", is_left_out=pl.lit(True)).unique()
        if patient_values is not None
        else pl.DataFrame(schema={"patient_id": pl.String, "day": pl.Int64, "is_left_out": pl.Boolean})
    )
    marked = marked.join(left_out, on=["patient_id", "day"], how="left", maintain_order="left").with_columns(
        pl.col("is_active", "is_left_out").fill_null(False),
        (pl.col("years").floor().cast(pl.Int64) + 1).alias("year"),
    )
    out, active = pl.col("is_left_out"), pl.col("is_active")
    return (
        marked.group_by("year")
        .agg(
            (~out & ~active).sum().cast(pl.Int64).alias("without_activity"),
            (~out & active).sum().cast(pl.Int64).alias("active"),
            out.sum().cast(pl.Int64).alias("left_out"),
        )
        .sort("year")
    )


def _histogram(plot: Axes, lesions: np.ndarray) -> None:
    counts = np.bincount(np.minimum(lesions, _TOP_BIN).astype(int), minlength=6)
    plot.bar(range(len(counts)), counts, width=0.8, color=BLUE, linewidth=0)
    for i, n in enumerate(counts):
        if n:
            write(plot, i, n, f"{n:,}", anchor="middle", align="bottom", shift=(0, 2))
    plot.set_ylim(0, max(counts.max(), 1) * 1.18)
    step = 1 if len(counts) <= 12 else 2
    at = list(range(0, len(counts), step))
    mark_x(plot, at, [f"{i}+" if i == _TOP_BIN else f"{i}" for i in at], name="Enhancing lesions on the scan")
    mark_y(plot, name="Scans")


def _bars(plot: Axes, bars: pl.DataFrame, label: str) -> None:
    if bars.is_empty():
        plot.axis("off")
        write(plot, 0.5, 0.5, "no scan after infusion", anchor="middle", transform=plot.transAxes)
        return
    middle = bars["year"].to_numpy() - 0.5
    base = np.zeros(bars.height)
    for column, color, hatch in (
        ("without_activity", PALE, ""),
        ("active", VERMILION, ""),
        ("left_out", "white", "////"),
    ):
        height = bars[column].to_numpy()
        plot.bar(
            middle, height, bottom=base, width=0.84, color=color, hatch=hatch, edgecolor=GREY, linewidth=0.5
        )
        base = base + height
    end = int(largest(bars["year"]))
    at = breaks(end, room=WIDTH - _LEFT - _RIGHT)
    plot.set_xlim(0, end)
    plot.set_ylim(0, max(base.max(), 1) * 1.06)
    mark_x(plot, at, name=label)
    mark_y(plot, name="Scans")


def _legend(area: Axes, y: float, *, has_left_out: bool) -> None:
    from matplotlib.patches import Rectangle

    entries = [("without activity", PALE, ""), ("active", VERMILION, "")]
    if has_left_out:
        entries.append(("before the re-baseline", "white", "////"))
    x = _LEFT
    for word, color, hatch in entries:
        area.add_patch(
            Rectangle((x, y - 4), 10, 8, facecolor=color, hatch=hatch, edgecolor=GREY, linewidth=0.5)
        )
        write(area, x + 14, y, word)
        x += 14 + 0.6 * SMALL * len(word) + 14
