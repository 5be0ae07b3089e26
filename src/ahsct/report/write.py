"""Writes the report folder of an analysis."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ahsct.analysis import Analysis
from ahsct.files import new_folder


def write_report(
    analysis: Analysis,
    out: str | Path,
    *,
    published: pl.DataFrame | None = None,
    share: bool = False,
    force: bool = False,
) -> Path:
    """Write `index.html` and the tables behind it into the folder `out`."""
    with new_folder(out, force=force) as folder:
        analysis.estimates.results.write_csv(folder / "results.csv")
    return Path(out)
