"""Two arms at a time beside bpcp: melded beta products, and the tests on three scales."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from unittest import mock

import polars as pl
from tests.packages.pairs import Pair, pair, read, shared, values

from ahsct.estimates import kaplan_meier, milestone_difference
from ahsct.vocabulary import DAYS_PER_YEAR

R = "bpcp"
GROUPS = {"aml": "x1", "veteran": "x1", "lung": "x2", "rats": "x2", "ovarian_empty_arm": "x2"}
SCALES = {"identity": "difference", "log": "ratio", "logit": "oddsratio", "cloglog": None}


def compared() -> Iterator[Pair]:
    """Yield the comparisons: with two moments for an arm's distribution as bpcp, and exactly beside its draws."""
    data, r = shared("cox_data"), read("melding")
    for name, group in GROUPS.items():
        rows = data.filter(pl.col("data_set") == name)
        curves = kaplan_meier(
            rows.select(
                time_day="time", is_event=pl.col("event") == 1, arm=pl.col(group).cast(pl.Int64).cast(str)
            )
        )
        wanted = r.filter(pl.col("data_set") == name)
        for day, (scale, kind) in product(wanted["time"].unique(maintain_order=True), SCALES.items()):
            label, at = f"{name}, day {day:g}", {"data_set": name, "time": day}
            way = {"at_years": day / DAYS_PER_YEAR, "reference_arm": "0", "scale": scale}
            exact = milestone_difference(curves, **way)
            with mock.patch("ahsct.estimates.beta_product.MOST_EXACT", 0):
                moments = milestone_difference(curves, **way)
            if scale != "logit":
                z = exact["estimate"][0] if scale == "identity" else exact["estimate"].log()[0]
                theirs = values(wanted, **at, what=f"fixtdiff_{scale}") ** 2
                ours = (z / exact["std_error"][0]) ** 2
                yield pair(f"difference at a time, {scale}: chi-squared", R, label, ours, theirs, 1e-10)
            if kind is None:
                continue
            ours = moments.select("estimate", "lower", "upper", "p_value").row(1)
            # its limits are roots of integrals: 1e-6
            theirs = values(wanted, **at, what=kind)
            yield pair(f"melded beta products by two moments, {kind}", R, label, ours, theirs, 1e-6)
            drawn = values(wanted, **at, what=f"draws_{kind}")
            if drawn.size:
                ours = exact.select("lower", "upper", "p_value").row(1)
                gap = [1.0, 1.0, 1.0] if kind == "difference" else [*drawn[:2], 1.0]
                yield pair(
                    f"melded beta products, {kind}, beside a million draws", R, label,
                    [a / b for a, b in zip(ours, gap, strict=True)], drawn / gap, 0.005, is_absolute=True,
                )  # fmt: skip
