"""One patient's course: scores, baselines, relapses, and what was made of every change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ahsct.report.course_words import change_words
from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.key import Mark, draw_key, key_height
from ahsct.report.figures.marks import DEATH, RELAPSE
from ahsct.report.figures.ticks import mark_x, mark_y
from ahsct.report.figures.time_axis import TIME_ZERO
from ahsct.report.figures.wording import plural, spoken, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import BLUE, GREEN, GREY, INK, PALE, PURPLE, SMALL, SOFT, VERMILION, WIDTH
from ahsct.vocabulary import DAYS_PER_YEAR

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ahsct.outcomes.course import Course

_LEFT, _RIGHT, _PLOT, _LANE = 40.0, 10.0, 180.0, 20.0
_VISIT = Mark(word="visit", marker="o", color=BLUE)
_WORSE = Mark(word="worsening", marker="^", color=PURPLE)
_BETTER = Mark(word="improvement", marker="v", color=GREEN)
_WORSE_NOT = Mark(word="worsening, rejected", marker="^", color=PURPLE, is_filled=False)
_BETTER_NOT = Mark(word="improvement, rejected", marker="v", color=GREEN, is_filled=False)
_CONFIRMS = Mark(word="confirming visit", marker="s", color=INK, is_filled=False)
_RING = {**_CONFIRMS.look, "facecolors": "none"}
_DASH = {"worsening": (PURPLE, (0.0, (4.0, 2.0))), "improvement": (GREEN, (0.0, (1.2, 1.6)))}


def draw_course(course: Course) -> Drawing:
    """Draw one patient's scores over time, and below each change that was looked at with its windows.

    Returns
    -------
    Drawing
        `data`: the changes, numbered as in the drawing.
    """
    first, last = _span(course)
    marks = _marks(course)
    top = 8 + key_height(marks)
    changes = course.changes.to_dicts()
    room = WIDTH - 16
    texts = [wrapped(f"{row['number']}: {change_words(course, row)}", room, SMALL) for row in changes]
    height = top + _PLOT + 46 + sum(14 * len(lines) + _LANE + 8 for lines in texts) + 4
    wide = WIDTH - _LEFT - _RIGHT
    with canvas(height) as figure:
        area = sheet(figure)
        draw_key(area, marks, top=4)
        plot = axes(figure, left=_LEFT, top=top, width=wide, height=_PLOT)
        plot.set_xlim(first / DAYS_PER_YEAR, last / DAYS_PER_YEAR)
        _draw_scores(plot, course, changes)
        y = top + _PLOT + 46
        scale = wide / (last - first)
        for row, lines in zip(changes, texts, strict=True):
            for line in lines:
                write(area, 8, y, line)
                y += 14
            _draw_lane(
                area,
                course,
                row,
                y + _LANE / 2 - 6,
                lambda day: _LEFT + (np.clip(day, first, last) - first) * scale,
            )
            y += _LANE + 8
        n_events = course.changes["rejected_because"].null_count()
        measure = spoken(course.rule.column)
        before = course.relapses.filter(pl.col("day") < first).height
        further = f" Not drawn: {plural(before, 'relapse')} before." if before else ""
        return finish(
            figure,
            title=f"{measure} of {course.patient_id} from {TIME_ZERO[course.definition.time_zero.kind]}",
            alt=f"{plural(course.visits.height, 'visit')} of {course.patient_id}, {plural(course.relapses.height, 'relapse')}, "
            f"{plural(n_events, 'event')} and {plural(len(changes) - n_events, 'rejected change')}. "
            + " ".join(f"{row['number']}: {change_words(course, row)}." for row in changes),
            caption=f"{measure} at the visits, by definition {course.definition.id}. Dashed and dotted: the baselines from which worsening and improvement are "
            "counted, from the visit at which they are known. Red bands: an onset there is relapse-associated. Below, for each change "
            "that reached the threshold: grey bar, the days on which a visit may confirm it; green line, the days that "
            f"must be free of relapses for PIRA; upright red, relapses.{further}",
            data=course.changes,
            data_kind=course.data_kind,
            is_course=True,
        )


def _span(course: Course) -> tuple[float, float]:
    days = [
        *course.visits["day"].to_list(),
        *(day for name, day in course.days.items() if name not in ("mobilisation_start",)),
    ]
    first, last = min(days), max(days)
    room = max(30.0, 0.03 * (last - first))
    return first - room, last + room


def _marks(course: Course) -> list[Mark]:
    kinds = set(course.changes.select("direction", pl.col("rejected_because").is_null()).iter_rows())
    found = [_VISIT]
    for mark, kind in (
        (_WORSE, ("worsening", True)),
        (_BETTER, ("improvement", True)),
        (_WORSE_NOT, ("worsening", False)),
        (_BETTER_NOT, ("improvement", False)),
    ):
        found += [mark] if kind in kinds else []
    found += [_CONFIRMS] if course.confirmations.height else []
    found += [RELAPSE] if course.relapses.height else []
    return [*found, DEATH] if "death" in course.days else found


def _draw_scores(plot: Axes, course: Course, changes: list[dict[str, Any]]) -> None:
    first, last = plot.get_xlim()
    day = course.visits["day"].to_numpy() / DAYS_PER_YEAR
    value = course.visits["value"].to_numpy()
    low, high = float(value.min()), float(value.max())
    step = 0.5 if course.rule.measure == "edss" else max((high - low) / 8, 0.1)
    low, high = low - 1.5 * step, high + 3 * step
    plot.set_ylim(low, high)
    for start, stop in course.raw.iter_rows():
        plot.axvspan(start / DAYS_PER_YEAR, stop / DAYS_PER_YEAR, color=VERMILION, alpha=0.13, linewidth=0)
    for down, (name, label) in enumerate((("infusion", "infusion"), ("rebaseline", "re-baseline"))):
        if name in course.days:
            x = course.days[name] / DAYS_PER_YEAR
            plot.axvline(x, color=GREY, linewidth=0.9, zorder=0)
            write(plot, x, high, label, shift=(3, -6 - 13 * down), color=SOFT)
    for direction, (color, dash) in _DASH.items():
        rows = course.baselines.filter(pl.col("direction") == direction).to_dicts()
        for place, row in enumerate(rows):
            start = row["baseline_day"] if place == 0 else row["seen_day"]
            stop = rows[place + 1]["seen_day"] if place + 1 < len(rows) else course.visits["day"][-1]
            shift = -0.04 * step if direction == "improvement" else 0.04 * step
            plot.plot(
                [start / DAYS_PER_YEAR, stop / DAYS_PER_YEAR], [row["value"] + shift] * 2,
                color=color, linewidth=1.6, linestyle=dash, zorder=2,
            )  # fmt: skip
    plot.plot(day, value, color=BLUE, linewidth=0.9, alpha=0.55, zorder=1)
    plot.scatter(day, value, s=18, zorder=3, **_VISIT.look)
    for row in changes:
        mark = _mark(row)
        x, y = row["onset_day"] / DAYS_PER_YEAR, row["value_after"]
        plot.scatter([x], [y], s=52, zorder=5, **mark.look)
        up = 9 if row["direction"] == "worsening" else -9
        write(plot, x, y, str(row["number"]), shift=(0, up), anchor="middle", weight="bold", has_halo=True)
    for row in course.confirmations.iter_rows(named=True):
        plot.scatter([row["day"] / DAYS_PER_YEAR], [row["value"]], s=60, zorder=4, **_RING)
    seen = course.relapses.filter((pl.col("day") / DAYS_PER_YEAR).is_between(first, last))
    if seen.height:
        onsets = seen["day"].to_numpy() / DAYS_PER_YEAR
        plot.vlines(onsets, low, high, color=VERMILION, linewidth=0.8, zorder=1)
        plot.scatter(onsets, np.full(len(onsets), low + 0.5 * step), s=26, zorder=4, **RELAPSE.look)
    if "death" in course.days:
        plot.scatter([course.days["death"] / DAYS_PER_YEAR], [low + 0.5 * step], s=34, zorder=4, **DEATH.look)
    if course.rule.measure == "edss":
        at = [float(one) for one in np.arange(np.ceil(low), high + 0.01, 1.0) if 0 <= one <= 10]
        mark_y(plot, at, [f"{one:g}" for one in at], name=spoken(course.rule.column), room=30)
    else:
        mark_y(plot, name=spoken(course.rule.column), room=34)
    mark_x(plot, name=f"years from {TIME_ZERO[course.definition.time_zero.kind]}")


def _mark(row: dict[str, Any]) -> Mark:
    if row["direction"] == "worsening":
        return _WORSE if row["rejected_because"] is None else _WORSE_NOT
    return _BETTER if row["rejected_because"] is None else _BETTER_NOT


def _draw_lane(area: Axes, course: Course, row: dict[str, Any], y: float, x: Any) -> None:
    """Draw the windows of one change below the scores, on the same time axis."""
    area.plot([_LEFT, WIDTH - _RIGHT], [y, y], color=PALE, linewidth=0.8, zorder=0)
    own = course.windows.filter(pl.col("number") == row["number"])
    for start, stop in (
        own.filter(pl.col("kind") == "confirmation").select("first_day", "last_day").iter_rows()
    ):
        area.broken_barh(
            [(x(start), max(x(stop) - x(start), 0.8))], (y - 4, 8), facecolors=PALE, linewidth=0, zorder=1
        )
    for start, stop in own.filter(pl.col("kind") == "PIRA").select("first_day", "last_day").iter_rows():
        left, right = x(start), x(stop)
        area.plot(
            [left, left, right, right], [y + 4, y + 7, y + 7, y + 4], color=GREEN, linewidth=1.2, zorder=2
        )
    for day in course.relapses["day"]:
        if x(day) > _LEFT:
            area.plot([x(day)] * 2, [y - 6, y + 7], color=VERMILION, linewidth=1.0, zorder=2)
    for one in course.visits["day"]:
        area.plot([x(one)] * 2, [y - 2, y + 2], color=BLUE, linewidth=0.8, zorder=2)
    for confirmed in course.confirmations.filter(pl.col("number") == row["number"])["day"].unique():
        area.scatter([x(confirmed)], [y], s=40, zorder=4, **_RING)
    area.scatter([x(row["onset_day"])], [y], s=40, zorder=5, **_mark(row).look)
