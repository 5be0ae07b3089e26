"""Exact intervals of a proportion."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import RESULTS, empty


def exact_proportion(
    n_events: int, n: int, *, method: str = "clopper-pearson", conf_level: float = 0.95
) -> pl.DataFrame:
    """Return a proportion with its interval (schema RESULTS)."""
    return empty(RESULTS)
