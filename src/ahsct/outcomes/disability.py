"""Confirmed changes of a measure of disability."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ahsct.definitions import DisabilityRule
from ahsct.vocabulary import CANDIDATES, CONFIRMATIONS, EVENTS, empty


@dataclass(frozen=True)
class Disability:
    """Confirmed events, their confirmations, and the candidates that were rejected, with the reason."""

    events: pl.DataFrame
    confirmations: pl.DataFrame
    candidates: pl.DataFrame


def derive_disability(visits: pl.DataFrame, relapses: pl.DataFrame, *, rule: DisabilityRule) -> Disability:
    """Return confirmed worsenings and improvements of one measure."""
    return Disability(events=empty(EVENTS), confirmations=empty(CONFIRMATIONS), candidates=empty(CANDIDATES))
