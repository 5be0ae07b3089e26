"""The patient flow, from enrolment to analysis, as counted from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from ahsct.report.figures.drawing import Drawing, canvas, finish, sheet
from ahsct.report.figures.wording import plural, spoken, wrapped
from ahsct.report.figures.words import write
from ahsct.report.style import PALE, SMALL, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ANALYSED = "analysed"
_LINE, _PAD, _GAP = 14.0, 7.0, 16.0
_MAIN = (6.0, 214.0)  # left edge and width of the boxes down the middle
_STEM, _BRANCH = 20.0, 34.0  # where the line to the analyses runs, and where their boxes begin
_SIDE = (244.0, 200.0)  # and of those who left


@dataclass(frozen=True)
class _Box:
    lines: list[str]
    left_out: list[str]

    @property
    def height(self) -> float:
        return max(len(self.lines), len(self.left_out)) * _LINE + 2 * _PAD


def draw_flow(flow: pl.DataFrame, *, data_kind: str = "observed") -> Drawing | None:
    """Draw one box per row of FLOW, top to bottom, and beside it those left out there with the reason.

    Steps whose name begins with "analysed" branch off the last step before them;
    those of the same counts and reason share a box.

    None is returned when the flow has no row.

    Examples
    --------
    >>> from ahsct.vocabulary import FLOW, from_rows
    >>> steps = from_rows([
    ...     {"step": "enrolled", "population": "enrolled", "arm": "all", "n": 25, "n_left_out": 0, "reason": ""},
    ...     {"step": "infused", "population": "infused", "arm": "all", "n": 24, "n_left_out": 1,
    ...      "reason": "died before"}], FLOW)
    >>> draw_flow(steps).alt
    'Enrolled: 25 patients. Infused: 24 patients; left out: 1 (died before).'
    """
    if flow.is_empty():
        return None
    several_arms = flow["arm"].n_unique() > 1
    rows = flow.to_dicts()
    merged = _merged(rows)
    lefts = [_BRANCH if row["step"].startswith(_ANALYSED) else _MAIN[0] for row in merged]
    boxes = [_box(row, several_arms, left) for row, left in zip(merged, lefts, strict=True)]
    height = sum(box.height + _GAP for box in boxes) + 6
    with canvas(height) as figure:
        area = sheet(figure)
        y = above = 6.0
        trunk = _MAIN[0] + _MAIN[1] / 2
        for i, (box, left) in enumerate(zip(boxes, lefts, strict=True)):
            place = (left, _MAIN[0] + _MAIN[1] - left)
            _draw_box(area, place, y, box.height, box.lines, "white", SOFT)
            if box.left_out:
                _draw_box(area, _SIDE, y, box.height, box.left_out, "#F4F4F4", PALE)
                area.plot(
                    [_MAIN[0] + _MAIN[1], _SIDE[0]], [y + box.height / 2] * 2, color=SOFT, linewidth=0.8
                )
            if left > _MAIN[0]:  # a branch: an analysis is no step after the analysis above it
                area.plot(
                    [_STEM, _STEM, left],
                    [above, y + box.height / 2, y + box.height / 2],
                    color=SOFT,
                    linewidth=0.8,
                )
                above = y + box.height / 2
            else:
                above = y + box.height
                if i + 1 < len(boxes) and lefts[i + 1] == left:
                    area.plot([trunk, trunk], [above, above + _GAP - 3], color=SOFT, linewidth=0.8)
                    area.scatter([trunk], [above + _GAP - 3], marker="v", s=18, color=SOFT, linewidths=0)
            y += box.height + _GAP
        return finish(
            figure,
            title="Patient flow",
            alt=" ".join(_sentence(row, several_arms) for row in rows),
            caption="Counted from the study's tables; at the right those left out at a step, and why.",
            data=flow,
            data_kind=data_kind,
        )


def _merged(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows, those of analyses with the same counts and reason as one."""
    merged: dict[tuple[Any, ...], dict[str, Any]] = {}
    for i, row in enumerate(rows):
        is_analysis = row["step"].startswith(_ANALYSED)
        key = (row["arm"], row["n"], row["n_left_out"], row["reason"]) if is_analysis else (i,)
        if key in merged:
            merged[key]["step"] += ";" + row["step"].removeprefix(_ANALYSED).removeprefix(":")
        else:
            merged[key] = dict(row)
    return list(merged.values())


def _box(row: dict[str, Any], several_arms: bool, left: float) -> _Box:
    name = _name(row, several_arms)
    left_out = row["n_left_out"]
    return _Box(
        lines=[*wrapped(name, _MAIN[0] + _MAIN[1] - left - 2 * _PAD, SMALL), f"n = {row['n']:,}"],
        left_out=wrapped(f"Left out: {left_out:,}. {row['reason'] or ''}", _SIDE[1] - 2 * _PAD, SMALL)
        if left_out
        else [],
    )


def _name(row: dict[str, Any], several_arms: bool) -> str:
    step = spoken(str(row["step"]))
    return step[:1].upper() + step[1:] + (f", {row['arm']}" if several_arms else "")


def _sentence(row: dict[str, Any], several_arms: bool) -> str:
    text = f"{_name(row, several_arms)}: {plural(row['n'], 'patient')}"
    if row["n_left_out"]:
        text += f"; left out: {row['n_left_out']:,}" + (f" ({row['reason']})" if row["reason"] else "")
    return text + "."


def _draw_box(
    area: Axes, place: tuple[float, float], y: float, height: float, lines: list[str], face: str, edge: str
) -> None:
    from matplotlib.patches import Rectangle

    left, width = place
    area.add_patch(Rectangle((left, y), width, height, facecolor=face, edgecolor=edge, linewidth=0.9))
    first = y + height / 2 - (len(lines) - 1) * _LINE / 2
    for i, line in enumerate(lines):
        bold = "bold" if line.startswith("n = ") else "normal"
        write(area, left + _PAD, first + i * _LINE, line, weight=bold)
