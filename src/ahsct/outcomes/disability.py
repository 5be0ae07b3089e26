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


def baselines(
    visits: pl.DataFrame, rule: DisabilityRule, *, relapses: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the baseline from which each patient's search begins, per direction."""
    known = visits.filter(pl.col("visit_day") <= pl.col("time_zero_day")).drop_nulls(rule.measure)
    last = known.sort("patient_id", "visit_day").unique("patient_id", keep="last", maintain_order=True)
    rows = last.select(
        "patient_id",
        pl.col("visit_day").alias("baseline_day"),
        pl.col(rule.measure).cast(pl.Float64).alias("baseline_value"),
        "row",
    )
    directions = pl.DataFrame({"direction": ["worsening", "improvement"]})
    return rows.join(directions, how="cross", maintain_order="left")
