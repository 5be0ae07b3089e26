"""Relapses and MRI activity as events."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import MriRule, RelapseRule
from ahsct.vocabulary import EVENTS, empty


def derive_relapses(relapses: pl.DataFrame, *, rule: RelapseRule) -> pl.DataFrame:
    """Return the relapses that count (schema EVENTS)."""
    return empty(EVENTS)


def derive_mri_activity(mri: pl.DataFrame, *, rule: MriRule) -> pl.DataFrame:
    """Return the active scans (schema EVENTS)."""
    return empty(EVENTS)
