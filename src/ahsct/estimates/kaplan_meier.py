"""Kaplan-Meier curves."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import CURVE, empty


def kaplan_meier(
    time_to_event: pl.DataFrame, *, interval: str = "log-log", conf_level: float = 0.95
) -> pl.DataFrame:
    """Return one curve per endpoint, component, estimand and arm (schema CURVE)."""
    return empty(CURVE)


def reverse_kaplan_meier(
    time_to_event: pl.DataFrame, *, interval: str = "log-log", conf_level: float = 0.95
) -> pl.DataFrame:
    """Return the curve of follow-up: censorings are events, events censor (schema CURVE)."""
    return empty(CURVE)
