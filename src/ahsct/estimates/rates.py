"""Exact intervals of a rate and of a ratio of two rates."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import RESULTS, empty


def exact_rate(
    n_events: int, person_years: float, *, sided: str = "two", conf_level: float = 0.95
) -> pl.DataFrame:
    """Return a rate per patient-year with its interval (schema RESULTS)."""
    return empty(RESULTS)


def rate_ratio(
    n_events: int,
    person_years: float,
    n_events_reference: int,
    person_years_reference: float,
    *,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Return the ratio of two rates with its exact conditional interval (schema RESULTS)."""
    return empty(RESULTS)
