"""One patient's course as a picture and as plain text."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from textwrap import wrap

import numpy as np
import polars as pl

from ahsct.definitions import Definition, load_definition
from ahsct.errors import RequestError
from ahsct.files import new_file
from ahsct.outcomes.course import Course, derive_course
from ahsct.report.course_words import change_words, day_words, score
from ahsct.report.figures import Drawing
from ahsct.report.figures.course import draw_course
from ahsct.report.figures.time_axis import TIME_ZERO
from ahsct.report.figures.wording import spoken, wrapped
from ahsct.report.style import FACES, SOFT
from ahsct.tables import Study, check

_WIDE = 78
_MOST_LEVELS = 21
_VIEW = re.compile(r'viewBox="0 0 ([\d.]+) ([\d.]+)"')
_KEY = (
    "Key: o visit; W, I onset of a worsening, an improvement; w, i one that was rejected; C visit that confirms; "
    "- baseline of worsening. Below the line: 0 time zero, R relapse, r days on which an onset is relapse-associated."
)
_INVENTED = "The patients are reconstructed from published totals: invented courses, not real people."


def plot_course(
    study: Study,
    patient: str,
    definition: str | Path | Definition = "atkins2016",
    *,
    measure: str | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Drawing:
    """Draw one patient's scores with baselines, relapses, and what was made of every change.

    Parameters
    ----------
    study
        A study; it is checked here.
    patient
        A `patient_id`.
    definition
        The id of a shipped definition, a TOML file, or a definition.
    measure
        That of a disability rule of the definition; missing: its first.
    out
        An SVG file to write.
    force
        Replace the file.

    Returns
    -------
    Drawing
        `svg`, `alt` (the same in words), `caption`, and `data`, the changes numbered as drawn.

    Raises
    ------
    RequestError
        No such patient, no time zero, no visit with the measure; or the file exists.

    Examples
    --------
    >>> from ahsct import load_example
    >>> drawing = plot_course(load_example("atkins2016"), "P06")
    >>> drawing.data.select("direction", "onset_day", "confirmed_day", "label").rows()
    [('worsening', 543, 734, 'PIRA')]
    """
    drawing = draw_course(course_of(study, patient, definition, measure=measure))
    if out is not None:
        if Path(out).suffix.lower() != ".svg":
            raise RequestError(f"{out} should end in .svg; that is what is written.")
        with new_file(out, force=force) as path:
            path.write_text(standalone(drawing), encoding="utf-8")
    return drawing


def course_of(
    study: Study, patient: str, definition: str | Path | Definition, *, measure: str | None = None
) -> Course:
    """Return the course behind the picture and the text."""
    return derive_course(check(study), patient, load_definition(definition), measure=measure)


def standalone(drawing: Drawing) -> str:
    """Return the SVG as a file of its own, on white."""
    head, _, rest = drawing.svg.partition(">")
    if "xmlns=" not in head:
        head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    words, rest = (
        _below(f"{drawing.title}. {drawing.caption}", head),
        rest.removesuffix("</svg>\n").removesuffix("</svg>"),
    )
    head = _VIEW.sub(
        lambda found: f'viewBox="0 0 {found[1]} {float(found[2]) + 12 * len(words) + 8:g}"', head
    )
    caption = "".join(f"{line}\n" for line in words)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head} style="background: white">{rest}{caption}</svg>\n'


def _below(caption: str, head: str) -> list[str]:
    """Return the lines of a caption as SVG text below the drawing: a file on its own has no page to explain it."""
    found = _VIEW.search(head)
    if found is None:
        return []
    top = float(found[2])
    return [
        f'<text x="8" y="{top + 12 * (place + 1):g}" font-family="{escape(FACES)}" font-size="8.5" fill="{SOFT}">{escape(line, quote=False)}</text>'
        for place, line in enumerate(wrapped(caption, float(found[1]) - 16, 8.5))
    ]


def course_text(course: Course) -> str:
    """Return the course as plain text: a chart with its key, the visits with what they were compared with, every change."""
    measure = spoken(course.rule.column)
    lines = [
        f"{course.patient_id} of {course.study_id}: {measure}, definition {course.definition.id}",
        *([_INVENTED] if course.data_kind == "reconstructed" else []),
        *_wrapped(
            f"Days from {TIME_ZERO[course.definition.time_zero.kind]}."
            + "".join(
                f" {name.replace('_', ' ').capitalize()}: {day_words(day)}."
                for name, day in course.days.items()
            )
        ),
        "",
        *_chart(course),
        "",
        *_wrapped(_KEY, indent=5),
        "",
        *_visit_lines(course, measure),
        "",
    ]
    if course.changes.is_empty():
        lines.append("No visit differs from the baseline by the threshold.")
    for row in course.changes.iter_rows(named=True):
        lines += _wrapped(f"{row['number']}. {change_words(course, row)}", indent=3)
        lines += [f"   {line}" for line in _window_lines(course, row["number"])]
    onsets = course.relapses["day"].to_list()
    lines += ["", *_wrapped(f"Relapses: {', '.join(day_words(day) for day in onsets) or 'none recorded'}.")]
    return "\n".join(lines)


def _wrapped(text: str, *, indent: int = 0) -> list[str]:
    return wrap(text, _WIDE, subsequent_indent=" " * indent, break_on_hyphens=False)


def _chart(course: Course) -> list[str]:
    days, values = course.visits["day"].to_list(), course.visits["value"].to_list()
    first, last = min(days), max([*days, *course.days.values()])
    levels = _levels(course)
    wide = _WIDE - 7

    def column(day: float) -> int:
        share: float = (day - first) / max(last - first, 1)
        return round(share * (wide - 1))

    def level(value: float) -> int:
        return min(range(len(levels)), key=lambda place: abs(levels[place] - value))

    grid = [[" "] * wide for _ in levels]
    for start, stop, value in _baseline_spans(course):
        for place in range(column(start), column(stop) + 1):
            grid[level(value)][place] = "-"
    marks = [(day, value, "o") for day, value in zip(days, values, strict=True)]
    marks += [(one["day"], one["value"], "C") for one in course.confirmations.iter_rows(named=True)]
    for row in course.changes.iter_rows(named=True):
        letter = row["direction"][0]
        marks.append(
            (
                row["onset_day"],
                row["value_after"],
                letter.upper() if row["rejected_because"] is None else letter,
            )
        )
    for day, value, letter in marks:
        grid[level(value)][column(day)] = letter
    below = [" "] * wide
    for start, stop in course.raw.iter_rows():
        for place in range(max(column(start), 0), min(column(stop), wide - 1) + 1):
            below[place] = "r"
    for day in course.relapses["day"]:
        if first <= day <= last:
            below[column(day)] = "R"
    axis = ["-"] * wide
    if first <= 0 <= last:
        axis[column(0)] = "0"
    lines = [f"{score(value):>5} |{''.join(row).rstrip()}" for value, row in zip(levels, grid, strict=True)]
    ends = f"{day_words(first)}{' ' * max(1, wide - len(day_words(first)) - len(day_words(last)))}{day_words(last)}"
    return [
        *lines,
        f"      +{''.join(axis)}",
        f"      {' '}{''.join(below).rstrip()}".rstrip(),
        f"       {ends}",
    ]


def _levels(course: Course) -> list[float]:
    """Return the levels of the chart, the highest first: half steps of EDSS, else at most 21 even ones."""
    values = [*course.visits["value"], *course.baselines["value"]]
    low, high = min(values), max(values)
    if course.rule.measure == "edss":
        return [float(one) for one in np.arange(high, low - 0.25, -0.5)]
    return [float(one) for one in np.linspace(high, low, min(_MOST_LEVELS, 2 + int(high - low)))]


def _baseline_spans(course: Course) -> list[tuple[int, int, float]]:
    rows = course.baselines.filter(pl.col("direction") == "worsening").to_dicts()
    ends = [*(row["seen_day"] for row in rows[1:]), course.visits["day"].max()][: len(rows)]
    return [
        (row["baseline_day"] if place == 0 else row["seen_day"], end, row["value"])
        for place, (row, end) in enumerate(zip(rows, ends, strict=True))
    ]


def _visit_lines(course: Course, measure: str) -> list[str]:
    """Return one line per visit: its score, the baselines that it is compared with, what it did."""
    lines = [f"{'day':>7} {measure:>7} {'worse from':>11} {'better from':>12}"]
    changes = course.changes.to_dicts()
    reached = set(course.confirmations.select("day", "number").iter_rows())
    now: dict[str, float] = {}
    for day, value in course.visits.select("day", "value").iter_rows():
        moved = course.baselines.filter(pl.col("seen_day") == day).to_dicts()
        # a baseline that becomes known at this visit but lies before it is what the visit is compared with
        now |= {row["direction"]: row["value"] for row in moved if row["baseline_day"] != day}
        told = [
            f"{row['direction']} {row['number']}{'' if row['rejected_because'] is None else ' (rejected)'}"
            for row in changes
            if row["onset_day"] == day
        ]
        told += [f"confirms {number}" for at, number in sorted(reached) if at == day]
        here = course.baselines.filter(pl.col("baseline_day") == day)["direction"].unique(maintain_order=True)
        if len(here):
            told.append("baseline" if len(here) == 2 else f"baseline of {here[0]}")
        worse, better = (score(now[one]) if one in now else "" for one in ("worsening", "improvement"))
        lines.append(f"{day:>7} {score(value):>7} {worse:>11} {better:>12}  {', '.join(told)}".rstrip())
        now |= {row["direction"]: row["value"] for row in moved}
    return lines


def _window_lines(course: Course, number: int) -> list[str]:
    lines = []
    own = course.windows.filter(pl.col("number") == number).sort(
        "kind", "first_day", descending=[True, False]
    )
    for row in own.iter_rows(named=True):
        end = "the end" if np.isinf(row["last_day"]) else day_words(int(row["last_day"]))
        what = "may be confirmed" if row["kind"] == "confirmation" else "PIRA asks for no relapse"
        lines.append(f"{what} from {day_words(int(row['first_day']))} to {end}")
    return list(dict.fromkeys(lines))
