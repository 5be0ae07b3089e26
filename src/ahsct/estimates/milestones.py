"""What a curve says at a time, at a quantile, and on average up to a horizon."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import RESULTS, empty


def milestone(curve: pl.DataFrame, *, at_years: float) -> pl.DataFrame:
    """Return the estimate at a time, with its interval and with the exact one (schema RESULTS)."""
    return empty(RESULTS)


def median_time(curve: pl.DataFrame) -> pl.DataFrame:
    """Return the median with its interval (schema RESULTS)."""
    return empty(RESULTS)


def restricted_mean(curve: pl.DataFrame, *, horizon_years: float) -> pl.DataFrame:
    """Return the mean time up to a horizon (schema RESULTS)."""
    return empty(RESULTS)
