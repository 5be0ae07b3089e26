"""The extended risk table below a curve: at risk, censored, events (KMunicate, doi:10.1136/bmjopen-2019-030215)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from ahsct.report.figures.words import write
from ahsct.report.style import SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROW = 14.0
COLUMNS = {"At risk": "n_at_risk", "Censored": "n_censored", "Events": "n_events"}


@dataclass(frozen=True, kw_only=True)
class Block:
    """The counts of one curve (as `counts_at` returns them), its name and colour, and the rows to print."""

    label: str
    color: str
    counts: pl.DataFrame
    rows: tuple[str, ...] = tuple(COLUMNS)


def counts_at(rows: pl.DataFrame, at_years: Sequence[float]) -> pl.DataFrame:
    """Return the counts just before each time: at risk, and censored and with event until then.

    Parameters
    ----------
    rows
        One curve (schema CURVE), in order of time.
    at_years
        Times [years from time zero].

    Returns
    -------
    pl.DataFrame
        `time_years`, `n_at_risk`, `n_censored`, `n_events`; one row per time.

    Examples
    --------
    >>> rows = pl.DataFrame({"time_years": [1.0, 2.0], "n_at_risk": [3, 2], "n_events": [1, 0],
    ...                      "n_censored": [0, 2]})
    >>> counts_at(rows, [0.0, 1.0, 1.5, 3.0])["n_at_risk"].to_list()
    [3, 3, 2, 0]
    """
    index = np.searchsorted(rows["time_years"].to_numpy(), np.asarray(at_years) - 1e-9, side="left")
    events = np.concatenate([[0], np.cumsum(rows["n_events"].to_numpy())])[index]
    censored = np.concatenate([[0], np.cumsum(rows["n_censored"].to_numpy())])[index]
    at_risk = np.append(rows["n_at_risk"].to_numpy(), 0)[index]
    return pl.DataFrame(
        {"time_years": list(at_years), "n_at_risk": at_risk, "n_censored": censored, "n_events": events}
    )


def risk_table_height(blocks: Sequence[Block]) -> float:
    """Return the height [pt] of a table of these blocks."""
    return sum(len(block.rows) + 1 for block in blocks) * ROW + 8


def draw_risk_table(area: Axes, blocks: Sequence[Block], *, top: float, x: Sequence[float]) -> None:
    """Draw the blocks on a sheet, one below the other, with columns at the places `x` [pt]."""
    y = top + ROW / 2
    for block in blocks:
        write(area, 4, y, block.label, color=block.color, weight="bold")
        y += ROW
        for word in block.rows:
            write(area, 4, y, word, color=SOFT)
            for place, count in zip(x, block.counts[COLUMNS[word]].to_list(), strict=True):
                write(area, place, y, f"{count}", anchor="middle")
            y += ROW


def risk_sentence(label: str, counts: pl.DataFrame) -> str:
    """Return the at-risk row as a sentence."""
    parts = [f"{n} at {t:g} y" for t, n in zip(counts["time_years"], counts["n_at_risk"], strict=True)]
    return f"At risk ({label}): {', '.join(parts)}."
