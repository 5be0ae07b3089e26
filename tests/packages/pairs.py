"""Numbers of ours beside those of R packages: what the tests of this folder and the tables of docs/statistics read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

REFERENCE = Path(__file__).parents[1] / "reference"


class Pair(NamedTuple):
    """Values of ours and of a package; `required` is the tolerance: relative, or absolute where `is_absolute`."""

    quantity: str
    package: str
    data_set: str
    ours: np.ndarray
    r: np.ndarray
    required: float
    is_absolute: bool = False

    def gaps(self) -> np.ndarray:
        """Differences, relative to R's number (absolute below 1e-6, where it is rounding around 0)."""
        is_one_missing = np.isnan(self.ours) != np.isnan(self.r)
        is_same = (self.ours == self.r) | (np.isnan(self.ours) & np.isnan(self.r))
        size = np.where((np.abs(self.r) > 1e-6) & (not self.is_absolute), np.abs(self.r), 1.0)
        with np.errstate(invalid="ignore"):
            gaps = np.where(is_same, 0.0, np.abs(self.ours - self.r) / size)
        return np.where(is_one_missing | np.isnan(gaps), np.inf, gaps)

    @property
    def difference(self) -> float:
        """Largest difference."""
        return float(self.gaps().max())


def pair(
    quantity: str,
    package: str,
    data_set: str,
    ours: Any,
    r: Any,
    required: float,
    *,
    is_absolute: bool = False,
) -> Pair:
    """Return a pair; missing numbers must be missing on both sides."""
    a, b = (np.atleast_1d(np.array(one, dtype=np.float64)) for one in (ours, r))
    if a.shape != b.shape or not a.size:
        raise ValueError(f"{quantity}, {data_set}: {a.shape} values beside {b.shape}")
    return Pair(quantity, package, data_set, a, b, required, is_absolute)


def read(name: str) -> pl.DataFrame:
    """Return a table of `tests/reference/packages`."""
    return pl.read_csv(REFERENCE / "packages" / f"{name}.csv", infer_schema_length=None, null_values="NA")


def shared(name: str) -> pl.DataFrame:
    """Return a data set of `tests/reference` that other scripts use too."""
    return pl.read_csv(REFERENCE / f"{name}.csv", infer_schema_length=None)


def values(table: pl.DataFrame, **columns: object) -> np.ndarray:
    """Return the numbers of the rows with these entries, in their order."""
    rows = table.filter(*(pl.col(name) == value for name, value in columns.items()))
    return rows["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()
