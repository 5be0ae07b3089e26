"""One bar per patient: how long followed, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key, key_height
from ahsct.report.figures.marks import (
    DEATH,
    IMPROVEMENT,
    MRI_ACTIVITY,
    ONGOING,
    OTHER,
    RELAPSE,
    RESTART,
    SECOND,
    WORSENING,
    with_mark,
)
from ahsct.report.figures.sample import evenly, sample_sentence
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO, breaks, years_from_zero, zero_days
from ahsct.report.figures.wording import plural, short
from ahsct.report.style import PALE, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

_MARKS = (RELAPSE, MRI_ACTIVITY, WORSENING, IMPROVEMENT, OTHER, RESTART, SECOND, DEATH, ONGOING)
_LEFT, _RIGHT, _ROW, _MOST = 66.0, 16.0, 13.0, 60


def draw_swimmer(study: Study, events: pl.DataFrame, *, time_zero: str = "infusion") -> Drawing | None:
    """Draw follow-up, events, restarts, further transplants and deaths of each patient.

    Parameters
    ----------
    study
        Its `follow_up`, `transplants` and `treatments`. Patients without time zero or last contact
        are left out (counted in the caption).
    events
        Schema EVENTS; those before time zero are not drawn.
    time_zero
        Kind of day 0, as in the definition.

    Returns
    -------
    Drawing or None
        None when nobody has both days. `data`: one row per mark, with `years` from time zero.
    """
    zero = zero_days(study, time_zero)
    follow_up = study.table("follow_up", ["patient_id", "last_contact_day", "vital_status", "death_day"])
    bars = years_from_zero(
        follow_up.with_columns(pl.coalesce("death_day", "last_contact_day").alias("end_day")), "end_day", zero
    )
    bars = bars.filter(pl.col("years") >= 0).sort("years", "patient_id", descending=[True, False])
    if bars.is_empty():
        return None
    marks = _marks(study, events, bars, zero)
    shown = evenly(bars, _MOST).with_row_index("place")
    drawn = marks.join(shown.select("patient_id", "place"), on="patient_id", maintain_order="left")
    used = [mark for mark in _MARKS if mark.word in set(drawn["mark"])]
    end = float(bars["years"][0]) or 0.25
    top = 6 + key_height(used) + 6
    height = shown.height * _ROW + 4
    with canvas(top + height + 40) as figure:
        draw_key(sheet(figure), used, top=4)
        plot = axes(figure, left=_LEFT, top=top, width=WIDTH - _LEFT - _RIGHT, height=height)
        places = shown["place"].to_list()
        plot.barh(places, shown["years"].to_list(), height=0.62, color=PALE, linewidth=0)
        for mark in used:
            _scatter(plot, drawn.filter(pl.col("mark") == mark.word), mark)
        plot.set_ylim(shown.height - 0.4, -0.6)
        mark_y(plot, places, [short(name) for name in shown["patient_id"]], is_ticked=False)
        plot.set_xlim(-0.02 * end, end * 1.03)
        at = breaks(end, room=WIDTH - _LEFT - _RIGHT)
        mark_x(plot, at, name=f"Years from {TIME_ZERO[time_zero]}")
        plot.spines["left"].set_visible(False)
        n_missing = study.table("patients", ["patient_id"]).height - bars.height
        return finish(
            figure,
            title=f"Each patient's course from {TIME_ZERO[time_zero]}",
            alt=f"{plural(bars.height, 'patient')}, followed for {bars['years'][-1]:.1f} to {end:.1f} years. "
            + " ".join(_count(mark, marks) for mark in _MARKS if mark.word in set(marks["mark"])),
            caption="One bar per patient, longest follow-up first; an arrow head: alive at the last contact."
            + sample_sentence(shown.height, bars.height, "length of follow-up")
            + (f" Not drawn for want of a day 0 or a last contact: {n_missing}." if n_missing else ""),
            data=drawn.select("patient_id", "mark", "years"),
            data_kind=study.data_kind,
            is_course=True,
        )


def _marks(study: Study, events: pl.DataFrame, bars: pl.DataFrame, zero: pl.DataFrame) -> pl.DataFrame:
    columns = ["patient_id", "mark", "years"]
    transplants = study.table("transplants", ["patient_id", "infusion_day"])
    treatments = study.table("treatments", ["patient_id", "kind", "start_day"])
    ends = pl.when(pl.col("vital_status") == "dead").then(pl.lit(DEATH.word)).otherwise(pl.lit(ONGOING.word))
    first = transplants.group_by("patient_id").agg(pl.col("infusion_day").min().alias("first_day"))
    further = transplants.join(first, on="patient_id").filter(pl.col("infusion_day") > pl.col("first_day"))
    parts = [
        years_from_zero(with_mark(events), "day", zero),
        years_from_zero(
            treatments.filter(pl.col("kind") == "dmt").with_columns(mark=pl.lit(RESTART.word)),
            "start_day",
            zero,
        ).filter(pl.col("years") > 0),
        years_from_zero(further.with_columns(mark=pl.lit(SECOND.word)), "infusion_day", zero),
        bars.with_columns(ends.alias("mark")),
    ]
    return (
        pl.concat(part.select(columns) for part in parts)
        .filter(pl.col("years") >= 0)
        .join(bars.select("patient_id"), on="patient_id", how="semi")
        .sort("patient_id", "years", "mark")
    )


def _scatter(plot: Axes, rows: pl.DataFrame, mark: Mark) -> None:
    plot.scatter(rows["years"].to_list(), rows["place"].to_list(), s=30, zorder=3, clip_on=False, **mark.look)


def _count(mark: Mark, marks: pl.DataFrame) -> str:
    rows = marks.filter(pl.col("mark") == mark.word)
    return f"{mark.word[:1].upper()}{mark.word[1:]}: {rows.height:,} in {plural(rows['patient_id'].n_unique(), 'patient')}."
