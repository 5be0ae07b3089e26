"""Age norms of brain volume loss, one CSV per source under `norms/`; never extrapolated."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import polars as pl

from ahsct.errors import DefinitionError, did_you_mean


def list_norms() -> list[str]:
    """Return the ids of the shipped norms."""
    folder = files("ahsct.definitions") / "norms"
    return sorted(
        entry.name.removesuffix(".csv") for entry in folder.iterdir() if entry.name.endswith(".csv")
    )


def load_norm(id: str) -> pl.DataFrame:
    """Return one norm: rows of `age_years`, `mean_pct_per_year` (losses are negative), and limits.

    Raises
    ------
    DefinitionError
        There is no such norm.
    """
    if id not in list_norms():
        raise DefinitionError(f"No norm {id!r}; known are {list_norms()}.{did_you_mean(id, list_norms())}")
    return pl.read_csv((files("ahsct.definitions") / "norms" / f"{id}.csv").read_bytes())


def healthy_at(norm: pl.DataFrame, age_years: float) -> dict[str, float | None] | None:
    """Return a norm at an age: `mean`, `sd`, `p95` [percent per year, losses negative].

    Straight lines between the published ages; outside of them None. A norm with one row without an
    age holds for all ages.

    Examples
    --------
    >>> healthy_at(load_norm("healthy_siena_2018"), 55.0)
    {'mean': -0.3, 'sd': None, 'p95': -0.77}
    >>> healthy_at(load_norm("healthy_siena_2018"), 44.9) is None
    True
    """
    if norm["age_years"].null_count():
        row = norm.row(0, named=True)
        return {name: row[f"{name}_pct_per_year"] for name in ("mean", "sd", "p95")}
    ages = norm["age_years"].to_numpy().astype(float)
    if not ages.min() <= age_years <= ages.max():
        return None
    return {
        name: None
        if norm[f"{name}_pct_per_year"].null_count()
        else float(np.interp(age_years, ages, norm[f"{name}_pct_per_year"].to_numpy().astype(float)))
        for name in ("mean", "sd", "p95")
    }


def healthy_limit(healthy: dict[str, float | None]) -> float | None:
    """Return the greatest loss that is still healthy [percent per year, negative]; None without a spread.

    It is the mean less 1.96 standard deviations or, where a percentile was published instead, the 95th.

    Examples
    --------
    >>> healthy_limit({"mean": -0.3, "sd": None, "p95": -0.77})
    -0.77
    >>> round(healthy_limit({"mean": -0.27, "sd": 0.15, "p95": None}), 3)
    -0.564
    """
    if healthy["mean"] is not None and healthy["sd"] is not None:
        return healthy["mean"] - 1.96 * healthy["sd"]
    return healthy["p95"]
