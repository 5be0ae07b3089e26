"""Cumulative incidence with competing risks."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import CURVE, empty


def aalen_johansen(time_to_event: pl.DataFrame, *, conf_level: float = 0.95) -> pl.DataFrame:
    """Return the cumulative incidence of each cause (schema CURVE)."""
    return empty(CURVE)
