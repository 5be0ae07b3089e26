"""Reads the reference values and data sets of `tests/reference/longitudinal/`."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "reference" / "longitudinal"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(line for line in path.read_text().splitlines() if not line.startswith("#")))


@cache
def values(script: str) -> dict[str, dict[str, float]]:
    """Return what one R script wrote: case, name, value ("NA" is left out)."""
    found: dict[str, dict[str, float]] = {}
    for row in rows(FOLDER / f"{script}.csv"):
        if row["value"] != "NA":
            found.setdefault(row["case"], {})[row["name"]] = float(row["value"])
    return found


def data(name: str, *, text: tuple[str, ...] = ("group",)) -> dict[str, np.ndarray]:
    """Return a data set by column; columns in `text` as strings, missing numbers as NaN."""
    table = rows(FOLDER / f"{name}.csv")
    return {
        column: np.array([row[column] for row in table])
        if column in text
        else np.array([float(row[column] or "nan") if row[column] != "NA" else np.nan for row in table])
        for column in table[0]
    }
