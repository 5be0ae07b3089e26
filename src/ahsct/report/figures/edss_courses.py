"""Each patient's EDSS over time, with events and confirmations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ahsct.report.figures.drawing import Drawing, canvas, finish, sheet
from ahsct.report.figures.key import draw_key, key_height
from ahsct.report.figures.marks import (
    CONFIRMED,
    DEATH,
    IMPROVEMENT,
    MRI_ACTIVITY,
    OTHER,
    RELAPSE,
    WORSENING,
    with_mark,
)
from ahsct.report.figures.rows import largest, smallest
from ahsct.report.figures.sample import evenly, sample_sentence
from ahsct.report.figures.time_axis import TIME_ZERO, breaks, years_from_zero, zero_days
from ahsct.report.figures.wording import short
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREY, PALE, SOFT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.tables import Study

_MARKS = (RELAPSE, MRI_ACTIVITY, WORSENING, IMPROVEMENT, OTHER, CONFIRMED, DEATH)
_COLUMNS, _MOST, _SAMPLE = 3, 30, 24
_LEFT, _GAP, _PANEL, _STEP = 24.0, 14.0, 66.0, 98.0
_PANEL_WIDTH = (WIDTH - _LEFT - 4 - _GAP * (_COLUMNS - 1)) / _COLUMNS


def draw_edss_courses(
    study: Study,
    events: pl.DataFrame,
    confirmations: pl.DataFrame,
    *,
    patient_values: pl.DataFrame | None = None,
    time_zero: str = "infusion",
) -> Drawing | None:
    """Draw one small panel of EDSS steps per patient (a sample of 24 when there are more than 30).

    Parameters
    ----------
    study
        Its `visits` (a missing EDSS is no visit here), `transplants`, `follow_up`.
    events, confirmations
        Schemas EVENTS and CONFIRMATIONS; confirmations of EDSS events are drawn as rings.
    patient_values
        Schema PATIENT_VALUES: gives the baseline EDSS (topic baseline), drawn as a dashed line.
    time_zero
        Kind of day 0, as in the definition.

    Returns
    -------
    Drawing or None
        None when no patient with a day 0 has an EDSS. `data`: the visits drawn.
    """
    zero = zero_days(study, time_zero)
    visits = years_from_zero(study.table("visits", ["patient_id", "visit_day", "edss"]), "visit_day", zero)
    visits = visits.filter(pl.col("edss").is_not_null()).sort("patient_id", "years", maintain_order=True)
    if visits.is_empty():
        return None
    patients = visits.select("patient_id").unique().sort("patient_id")
    shown = patients if patients.height <= _MOST else evenly(patients, _SAMPLE)
    steps = visits.join(shown, on="patient_id", how="semi", maintain_order="left")
    marks = _marks(study, events, confirmations, steps, zero)
    used = [mark for mark in _MARKS if mark.word in set(marks["mark"])]
    baseline = _baseline(patient_values)
    is_sampled = shown.height < patients.height
    n_panels = shown.height + is_sampled
    first = min(0.0, max(smallest(steps["years"]), -2.0))
    last = max(largest(steps["years"]), 0.25)
    top = 6 + key_height(used) + 16
    height = top + -(-n_panels // _COLUMNS) * _STEP + 16
    with canvas(height) as figure:
        area = sheet(figure)
        draw_key(area, used, top=4)
        by_patient = {str(name[0]): rows for name, rows in steps.group_by("patient_id", maintain_order=True)}
        of_mark: dict[str, list[tuple[float, float]]] = {mark.word: [] for mark in used}
        rows_of = {
            str(name[0]): rows.to_dicts() for name, rows in marks.group_by("patient_id", maintain_order=True)
        }
        panels: list[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = [
            (name, rows["years"].to_numpy(), rows["edss"].to_numpy()) for name, rows in by_patient.items()
        ]
        if is_sampled:
            median = (
                visits.with_columns((pl.col("years") * 2).floor() / 2)
                .group_by("years")
                .agg(pl.median("edss"))
                .sort("years")
            )
            panels.append(
                (f"median of {patients.height:,}", median["years"].to_numpy(), median["edss"].to_numpy())
            )
        for i, (name, years, edss) in enumerate(panels):
            x0 = _LEFT + (i % _COLUMNS) * (_PANEL_WIDTH + _GAP)
            y0 = top + (i // _COLUMNS) * _STEP
            x = x0 + (np.clip(years, first, last) - first) / (last - first) * _PANEL_WIDTH
            _frame(area, x0, y0, short(name, 20), first, last, is_first=i % _COLUMNS == 0)
            if name in baseline:
                level = y0 + _PANEL * (1 - baseline[name] / 10)
                area.plot(
                    [x0, x0 + _PANEL_WIDTH], [level, level], color=SOFT, linewidth=0.7, linestyle=(0, (3, 2))
                )
            inside = years >= first
            area.plot(
                x[inside],
                y0 + _PANEL * (1 - edss[inside] / 10),
                drawstyle="steps-post",
                color=BLUE,
                linewidth=1.3,
            )
            for row in rows_of.get(name, []):
                if first <= row["years"] <= last:
                    of_mark[row["mark"]].append(
                        (
                            x0 + (row["years"] - first) / (last - first) * _PANEL_WIDTH,
                            y0 + _PANEL * (1 - row["edss"] / 10),
                        )
                    )
        for mark in used:
            if of_mark[mark.word]:
                xs, ys = zip(*of_mark[mark.word], strict=True)
                area.scatter(xs, ys, s=20, zorder=4 + (mark is CONFIRMED), **mark.look)
        counts = {mark.word: marks.filter(pl.col("mark") == mark.word).height for mark in used}
        return finish(
            figure,
            title=f"EDSS of each patient, from {TIME_ZERO[time_zero]}",
            alt=f"EDSS of {shown.height} of {patients.height:,} patients, {steps.height:,} visits. "
            + "; ".join(f"{word}: {n}" for word, n in counts.items())
            + f". Last EDSS: {_last(steps)}.",
            caption=f"Steps: EDSS (0 to 10) at the visits; upright: {TIME_ZERO[time_zero]}; dashed: baseline EDSS; years below. "
            f"Visits more than 2 years before are not drawn.{sample_sentence(shown.height, patients.height, 'their number')}"
            + (" Last panel: median per half year of those seen." if is_sampled else ""),
            data=steps.select("patient_id", "years", "edss"),
            data_kind=study.data_kind,
            is_course=True,
        )


def _marks(
    study: Study, events: pl.DataFrame, confirmations: pl.DataFrame, steps: pl.DataFrame, zero: pl.DataFrame
) -> pl.DataFrame:
    """Return patient_id, mark, years, and the EDSS at which the mark stands (the last seen by then)."""
    edss = events.filter((pl.col("kind") == "disability") & (pl.col("measure") == "edss")).select(
        "patient_id", "event_id"
    )
    rings = confirmations.join(edss, on=["patient_id", "event_id"], how="semi", maintain_order="left")
    deaths = study.table("follow_up", ["patient_id", "death_day"]).rename({"death_day": "day"})
    rows = pl.concat(
        years_from_zero(frame.select("patient_id", "mark", "day"), "day", zero)
        for frame in (
            with_mark(events),
            rings.with_columns(mark=pl.lit(CONFIRMED.word)),
            deaths.with_columns(mark=pl.lit(DEATH.word)),
        )
    )
    rows = rows.join(steps.select("patient_id").unique(), on="patient_id", how="semi", maintain_order="left")
    found = rows.sort("years", "patient_id").join_asof(
        steps.select("patient_id", "years", "edss").sort("years", "patient_id"),
        on="years", by="patient_id", strategy="backward", check_sortedness=False,
    )  # fmt: skip
    return found.with_columns(pl.col("edss").fill_null(0.0)).sort("patient_id", "years", "mark")


def _baseline(patient_values: pl.DataFrame | None) -> dict[str, float]:
    if patient_values is None:
        return {}
    rows = patient_values.filter(
        (pl.col("topic") == "baseline") & (pl.col("term") == "edss") & pl.col("number").is_not_null()
    )
    return dict(zip(rows["patient_id"], rows["number"], strict=True))


def _frame(area: Axes, x: float, y: float, name: str, first: float, last: float, *, is_first: bool) -> None:
    area.plot([x, x, x + _PANEL_WIDTH], [y, y + _PANEL, y + _PANEL], color=GREY, linewidth=0.7)
    write(area, x, y - 6, name)
    zero = x + (0 - first) / (last - first) * _PANEL_WIDTH
    area.plot([zero, zero], [y, y + _PANEL], color=PALE, linewidth=1.2, zorder=0)
    for t in breaks(last, room=_PANEL_WIDTH, label=26):
        place = x + (t - first) / (last - first) * _PANEL_WIDTH
        write(area, place, y + _PANEL + 8, f"{t:g}", color=SOFT, anchor="middle")
    if is_first:
        for level in (0, 5, 10):
            write(area, x - 4, y + _PANEL * (1 - level / 10), f"{level}", color=SOFT, anchor="end")  # fmt: skip


def _last(steps: pl.DataFrame) -> str:
    last = steps.group_by("patient_id", maintain_order=True).agg(pl.last("edss"))
    return ", ".join(f"{name} {edss:g}" for name, edss in last.iter_rows())
