"""All estimates of a study under one definition."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ahsct.definitions import Definition
from ahsct.outcomes import Outcomes
from ahsct.tables import Study
from ahsct.vocabulary import CURVE, RESULTS, empty


@dataclass(frozen=True)
class Estimates:
    """`results` (schema RESULTS) and `curves` (schema CURVE)."""

    results: pl.DataFrame
    curves: pl.DataFrame


def estimate_outcomes(study: Study, outcomes: Outcomes, definition: Definition) -> Estimates:
    """Return every estimate that the outcomes allow."""
    return Estimates(results=empty(RESULTS), curves=empty(CURVE))
