"""Mean cumulative functions beside reda, restricted means beside survRM2."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from tests.packages.pairs import Pair, pair, read, shared, values

from ahsct.estimates import (
    kaplan_meier,
    mean_cumulative_function,
    restricted_mean,
    restricted_mean_difference,
)
from ahsct.vocabulary import DAYS_PER_YEAR

LABELS = {"cgd_late": "cgd (delayed entry)", "valveSeats": "valveSeats (ties)", "bladder2": "bladder2 (ties)"}
COUNTS = (
    ("estimate", "plain", "estimate", ""),
    ("std_error", "plain", "std_error", ", robust error"),
    ("plain_lower", "plain", "lower", ", plain limits"),
    ("plain_upper", "plain", "upper", ", plain limits"),
    ("log_lower", "log", "lower", ", log limits"),
    ("log_upper", "log", "upper", ", log limits"),
)


def mean_counts(r: pl.DataFrame) -> Iterator[Pair]:
    """Yield mean cumulative functions of each arm."""
    for (name, arm), rows in (
        read("means_data").partition_by("data_set", "arm", as_dict=True, maintain_order=True).items()
    ):
        recurrent = rows.select(
            patient_id=pl.col("id").cast(str),
            start_day="start",
            stop_day="stop",
            is_event=pl.col("event") == 1,
        )
        curves = {way: mean_cumulative_function(recurrent, interval=way) for way in ("plain", "log")}
        for what, way, column, words in COUNTS:
            own = r.filter(package="reda", data_set=name, arm=str(arm), what=what)
            curve = curves[way]
            days = curve["time_years"].to_numpy() * DAYS_PER_YEAR
            at = np.searchsorted(days, own["at"].to_numpy() * (1 + 1e-9), side="right") - 1
            label = LABELS.get(str(name), str(name))
            theirs = own["value"].cast(pl.Float64)
            # plain limits are cut at 0 here
            theirs = theirs.clip(0) if what == "plain_lower" else theirs
            yield pair(
                f"mean cumulative function{words}", "reda", label, curve[at.tolist()][column], theirs, 1e-10
            )


def restricted_means(r: pl.DataFrame) -> Iterator[Pair]:
    """Yield restricted means of the arms, their difference and ratio."""
    data = shared("cox_data")
    for name, group in {
        "veteran": "x1",
        "lung": "x2",
        "rats": "x1",
        "aml": "x1",
        "ovarian_empty_arm": "x2",
    }.items():
        rows = data.filter(data_set=name)
        curves = kaplan_meier(
            rows.select(
                time_day="time", is_event=pl.col("event") == 1, arm=pl.col(group).cast(pl.Int64).cast(str)
            )
        )
        wanted = r.filter(package="survRM2", data_set=name)
        for tau in wanted["at"].unique(maintain_order=True):
            years, label = tau / DAYS_PER_YEAR, f"{name}, {tau:g} days"
            for arm in ("1", "0"):
                found = restricted_mean(curves.filter(arm=arm), horizon_years=years)
                ours = (
                    np.array(found.select("estimate", "std_error", "lower", "upper").row(0)) * DAYS_PER_YEAR
                )
                theirs = values(wanted, at=tau, arm=arm, what="rmst").copy()
                theirs[2:] = np.clip(theirs[2:], 0, tau)  # limits within what is possible
                yield pair("restricted mean of an arm, error, limits", "survRM2", label, ours, theirs, 1e-10)
            found = restricted_mean_difference(curves, horizon_years=years, reference_arm="0")
            ours = found.select("estimate", "lower", "upper", "p_value").to_numpy().astype(float)
            ours[0, :3] *= DAYS_PER_YEAR
            for row, what in enumerate(("difference", "ratio")):
                theirs = values(wanted, at=tau, arm="both", what=what)
                yield pair(f"restricted means, {what}, limits, p", "survRM2", label, ours[row], theirs, 1e-10)


def compared() -> Iterator[Pair]:
    """Yield the comparisons."""
    r = read("means").with_columns(pl.col("at").cast(pl.Float64))
    yield from mean_counts(r)
    yield from restricted_means(r)
