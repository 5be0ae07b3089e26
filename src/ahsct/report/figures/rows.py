"""Finds rows of RESULTS and PATIENT_VALUES."""

from __future__ import annotations

from typing import Any

import polars as pl


def result_rows(results: pl.DataFrame, endpoint: str, **where: str | float | None) -> list[dict[str, Any]]:
    """Return the rows of an endpoint, in their order, whose other columns equal `where` (None: missing).

    Examples
    --------
    >>> results = pl.DataFrame({"endpoint": ["relapses", "relapses"], "term": ["before", "after"]})
    >>> result_rows(results, "relapses", term="after")
    [{'endpoint': 'relapses', 'term': 'after'}]
    """
    rows = results.filter(pl.col("endpoint") == endpoint)
    for column, value in where.items():
        rows = rows.filter(pl.col(column).is_null() if value is None else pl.col(column) == value)
    return rows.to_dicts()


def topic(
    patient_values: pl.DataFrame, name: str, term: str | None = None, period: str | None = None
) -> pl.DataFrame:
    """Return the rows of a topic, of one term and period where given."""
    rows = patient_values.filter(pl.col("topic") == name)
    if term is not None:
        rows = rows.filter(pl.col("term") == term)
    if period is not None:
        rows = rows.filter(pl.col("period") == period)
    return rows


def largest(column: pl.Series) -> float:
    """Return the largest value of a column, at least 0, missing ones left out.

    Examples
    --------
    >>> largest(pl.Series([1, None, 3])), largest(pl.Series([], dtype=pl.Float64))
    (3.0, 0.0)
    """
    return float(column.drop_nulls().to_numpy().max(initial=0))


def smallest(column: pl.Series) -> float:
    """Return the smallest value of a column, at most 0, missing ones left out."""
    return float(column.drop_nulls().to_numpy().min(initial=0))
