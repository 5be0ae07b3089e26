"""Composite endpoints under every estimand of a definition."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition
from ahsct.tables import Study
from ahsct.vocabulary import TIME_TO_EVENT, empty


def derive_time_to_event(
    study: Study, events: pl.DataFrame, *, endpoint: str, definition: Definition
) -> pl.DataFrame:
    """Return one row per patient, component and estimand, and one for the composite."""
    return empty(TIME_TO_EVENT)
