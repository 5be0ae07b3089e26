"""Deaths on the time from mobilisation to the end of follow-up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key
from ahsct.report.figures.rows import largest, topic
from ahsct.report.figures.ticks import mark_x
from ahsct.report.figures.time_axis import breaks
from ahsct.report.figures.wording import listed, plural
from ahsct.report.figures.words import write
from ahsct.report.style import GREY, INK, PURPLE, SKY, SOFT, VERMILION, WIDTH
from ahsct.vocabulary import DAYS_PER_YEAR

if TYPE_CHECKING:
    from ahsct.tables import Study

_CAUSES = (
    Mark(word="treatment-related", marker="o", color=VERMILION),
    Mark(word="ms", marker="s", color=PURPLE),
    Mark(word="other", marker="^", color=SKY),
    Mark(word="unknown", marker="D", color=INK, is_filled=False),
)
_LEFT, _RIGHT, _SPLIT, _GAP = 10.0, 14.0, 210.0, 14.0
_EARLY, _MOST = 100, 300


def draw_deaths(study: Study, patient_values: pl.DataFrame) -> Drawing | None:
    """Draw the deaths by day from infusion: left to day 100, right later; below, the starts of mobilisation and last contacts.

    Parameters
    ----------
    study
        Its `transplants` give the days of mobilisation.
    patient_values
        Schema PATIENT_VALUES: topic death (`number` = days from infusion, `value` = class of the
        cause) and topic follow_up.

    Returns
    -------
    Drawing or None
        None when nobody was followed. A study without a death is drawn, and says so.
    """
    followed = topic(patient_values, "follow_up", "last_contact").filter(pl.col("number").is_not_null())
    if followed.is_empty():
        return None
    deaths = (
        topic(patient_values, "death", "death")
        .filter(pl.col("number").is_not_null())
        .select("patient_id", cause=pl.col("value").str.replace("_", "-").fill_null("unknown"), day="number")
        .sort("day", "patient_id")
    )
    mobilised = (
        study.table("transplants", ["mobilisation_start_day", "infusion_day"])
        .drop_nulls()
        .select((pl.col("mobilisation_start_day") - pl.col("infusion_day")).alias("day"))["day"]
    )
    alive = followed.filter(pl.col("value") != "dead")["number"] * DAYS_PER_YEAR
    end = max(
        largest(followed["number"]) * DAYS_PER_YEAR,
        largest(deaths["day"]),
        2.0 * _EARLY,
    )
    first = min([-30.0, *(float(day) for day in mobilised)])
    used = [mark for mark in _CAUSES if mark.word in set(deaths["cause"])]
    heights = _heights(deaths["day"].to_list())
    with canvas(190) as figure:
        area = sheet(figure)
        draw_key(area, used, top=6)
        if deaths.is_empty():
            write(area, 8, 14, f"No death in {plural(followed.height, 'patient')}")
        for is_early, left, width in (
            (True, _LEFT, _SPLIT),
            (False, _LEFT + _SPLIT + _GAP, WIDTH - _LEFT - _SPLIT - _GAP - _RIGHT),
        ):
            plot = axes(figure, left=left, top=40, width=width, height=100)
            for mark in used:
                here = [
                    (day, height)
                    for day, cause, height in zip(deaths["day"], deaths["cause"], heights, strict=True)
                    if cause == mark.word and (day <= _EARLY) == is_early
                ]
                places, above = [day for day, _ in here], [height for _, height in here]
                plot.scatter(places, above, s=42, zorder=3, clip_on=False, **mark.look)
            rug = mobilised if is_early else alive.filter(alive > _EARLY)
            if rug.len() <= _MOST:
                plot.scatter(rug.to_list(), [0.09] * rug.len(), marker="|", s=60, color=GREY, linewidths=0.9)
            plot.set_ylim(0, 1.05)
            plot.spines["left"].set_visible(False)
            if is_early:
                plot.set_xlim(first * 1.04, _EARLY)
                plot.axvline(0, color=SOFT, linewidth=1)
                mark_x(
                    plot,
                    [day for day in (-90, -60, -30, 0, 30, 60, 100) if day >= first],
                    name="Days from infusion",
                )
            else:
                plot.set_xlim(_EARLY, end * 1.02)
                at = [t for t in breaks(end / DAYS_PER_YEAR, room=width) if t * DAYS_PER_YEAR > _EARLY]
                mark_x(
                    plot, [t * DAYS_PER_YEAR for t in at], [f"{t:g}" for t in at], name="Years from infusion"
                )
        sentences = [f"day {day:.0f}, {cause}" for _, cause, day in deaths.iter_rows()]
        return finish(
            figure,
            title="Deaths, from mobilisation on",
            alt=f"{plural(deaths.height, 'death')} in {plural(followed.height, 'patient')}"
            + (f": {listed(sentences)}." if sentences else "."),
            caption="Left: from mobilisation to day 100, the ticks below are the starts of mobilisation; right: later, on "
            "another scale, the ticks below are the last contacts of those alive. Cause as adjudicated by the study."
            + (
                ""
                if max(mobilised.len(), alive.len()) <= _MOST
                else f" Ticks are left out beyond {_MOST} patients."
            ),
            data=deaths,
            data_kind=study.data_kind,
            is_course=True,
        )


def _heights(days: list[float]) -> list[float]:
    """Stack marks of deaths that lie close together."""
    heights: list[float] = []
    for i, day in enumerate(days):
        near = sum(abs(day - other) < (8 if day <= _EARLY else 90) for other in days[max(0, i - 5) : i])
        heights.append(0.35 + 0.12 * near)
    return heights
