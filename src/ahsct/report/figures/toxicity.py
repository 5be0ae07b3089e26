"""Harm: the worst severity of each patient, and by organ class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.cells import draw_cells
from ahsct.report.figures.drawing import Drawing, axes, canvas, finish, sheet
from ahsct.report.figures.rows import result_rows, topic
from ahsct.report.figures.ticks import mark_y
from ahsct.report.figures.wording import limits_of, percent, short
from ahsct.report.figures.words import write
from ahsct.report.style import SEVERITIES, SMALL, SOFT, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHADES = ("#F2F2F2", "#FEE0B6", "#FDB863", "#E08214", "#B35806", "#4D2200", "white")
_ROW, _LEFT, _COLUMN = 22.0, 104.0, 44.0


def draw_worst_severity(
    patient_values: pl.DataFrame, results: pl.DataFrame | None = None, *, data_kind: str = "observed"
) -> Drawing | None:
    """Draw how many patients had which worst severity from mobilisation to day 100.

    Parameters
    ----------
    patient_values
        Schema PATIENT_VALUES, topic toxicity, term worst_severity.
    results
        Schema RESULTS: its proportions give the intervals.

    Returns
    -------
    Drawing or None
        None when no patient has a worst severity.
    """
    rows = topic(patient_values, "toxicity", "worst_severity").filter(pl.col("value").is_not_null())
    if rows.is_empty():
        return None
    counts = dict(rows.group_by("value").len().iter_rows())
    total = rows.height
    limits = {severity: _limits(results, severity) for severity in SEVERITIES}
    with canvas(len(SEVERITIES) * _ROW + 12) as figure:
        area = sheet(figure)
        room = WIDTH - _LEFT - 190
        for i, (severity, shade) in enumerate(zip(SEVERITIES, _SHADES, strict=True)):
            y, n = 6 + i * _ROW + _ROW / 2, counts.get(severity, 0)
            write(area, _LEFT - 6, y, severity, anchor="end")
            area.barh(
                y, room * n / total, left=_LEFT, height=14, color=shade, edgecolor=SOFT, linewidth=0.7 if n else 0,
                hatch="////" if severity == "not stated" else "",
            )  # fmt: skip
            words = f"{n:,}/{total:,}, {percent(n / total)}" + (
                f" ({limits[severity]})" if n and limits[severity] else ""
            )
            write(area, _LEFT + room * n / total + 6, y, words)
        return finish(
            figure,
            title="Worst severity of each patient, mobilisation to day 100",
            alt=", ".join(f"{severity}: {counts.get(severity, 0)} of {total}" for severity in SEVERITIES)
            + ".",
            caption="Patients by their worst adverse event; in brackets "
            + (
                "the exact interval in percent"
                if any(limits.values())
                else "nothing: no interval was estimated"
            )
            + ". Severity as the study states it; a grade is never inferred from it.",
            data=pl.DataFrame(
                {
                    "severity": SEVERITIES,
                    "n_patients": [counts.get(severity, 0) for severity in SEVERITIES],
                    "of": total,
                }
            ),
            data_kind=data_kind,
        )


def _limits(results: pl.DataFrame | None, severity: str) -> str:
    if results is None:
        return ""
    found = result_rows(results, "toxicity", term=f"worst_severity: {severity}", statistic="proportion")
    return limits_of(found[0], scale=100, decimals=1) if found else ""


def draw_toxicity(patient_values: pl.DataFrame, *, data_kind: str = "observed") -> Drawing | None:
    """Draw patients by organ class and worst severity in it, mobilisation to day 100.

    None is returned when no patient has an organ class (topic toxicity_organ of PATIENT_VALUES).
    """
    rows = topic(patient_values, "toxicity_organ").filter(pl.col("value").is_not_null())
    if rows.is_empty():
        return None
    used = [severity for severity in SEVERITIES[1:] if severity in set(rows["value"])]
    organs = rows.group_by("term").len("n").sort("n", "term", descending=[True, False])["term"].to_list()
    grid = np.zeros((len(organs), len(used)), dtype=int)
    place = {organ: i for i, organ in enumerate(organs)}
    severity_place = {severity: i for i, severity in enumerate(used)}
    for organ, severity in rows.select("term", "value").iter_rows():
        if severity in severity_place:
            grid[place[organ], severity_place[severity]] += 1
    top = 66.0
    # the whole name where it fits beside the columns and the turned words above them
    letters = min(
        max(len(organ) for organ in organs), int((WIDTH - len(used) * _COLUMN - 40) / (0.58 * SMALL))
    )
    left = max(172.0, 0.58 * SMALL * letters + 10)
    with canvas(top + len(organs) * _ROW + 8) as figure:
        plot = axes(figure, left=left, top=top, width=len(used) * _COLUMN, height=len(organs) * _ROW)
        _grid(plot, grid)
        mark_y(
            plot,
            [i + 0.5 for i in range(len(organs))],
            [short(organ.capitalize(), max(letters, 27)) for organ in organs],
            is_ticked=False,
        )
        for i, severity in enumerate(used):
            write(plot, i + 0.5, 0, severity, align="baseline", turn=30, shift=(0, 4))
        return finish(
            figure,
            title="Patients by organ class and worst severity, mobilisation to day 100",
            alt=" ".join(
                f"{organ.capitalize()}: "
                + ", ".join(f"{n} {s}" for n, s in zip(line, used, strict=True) if n)
                + "."
                for organ, line in zip(organs, grid, strict=True)
            ),
            caption="Number of patients whose worst event of the organ class had this severity; a patient counts once "
            "in a row. Severity as the study states it.",
            data=pl.DataFrame({"organ_class": organs} | {s: grid[:, i] for i, s in enumerate(used)}),
            data_kind=data_kind,
        )


def _grid(plot: Axes, grid: np.ndarray) -> None:
    most = max(int(grid.max()), 1)
    draw_cells(plot, grid, colors="Oranges", high=most * 1.3)
    for (row, column), n in np.ndenumerate(grid):
        write(plot, column + 0.5, row + 0.5, f"{n:,}" if n else "·", anchor="middle")  # fmt: skip
    for spine in plot.spines.values():
        spine.set_visible(False)
