"""The panel illness-death model beside SmoothHazard: the maximum of its own likelihood within constant intensities."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import polars as pl
from tests.packages.pairs import Pair, pair, read, values

from ahsct.estimates.illness_death import ALIVE, DEAD, EVENT, FREE, illness_death_observations
from ahsct.estimates.panel_fit import PanelMarkov, fit_panel_markov
from ahsct.vocabulary import DAYS_PER_YEAR

R = "SmoothHazard"
DATA = read("illness_death_data").with_columns(pl.col("right").cast(pl.Float64))


@cache
def fitted(data_set: str) -> PanelMarkov:
    """Return our fit; with constant intensities, risk that starts at `entry` is time counted from there."""
    rows = DATA.filter(pl.col("data_set") == data_set).with_columns(
        (pl.col("left", "right", "time") - pl.col("entry")) * DAYS_PER_YEAR, patient_id=pl.col("id").cast(str)
    )
    seen = rows.select(
        "patient_id",
        left_day="left",
        right_day="right",
        is_event=pl.col("right").is_not_null(),
        cause=pl.lit(None, pl.String),
        _row=pl.int_range(1, pl.len() + 1),
    )
    survival = rows.select("patient_id", time_day="time", is_event="is_dead")
    return fit_panel_markov(
        illness_death_observations(seen, survival),
        states=(FREE, EVENT, DEAD),
        transitions=((FREE, EVENT), (FREE, DEAD), (EVENT, DEAD)),
        death=DEAD,
        alive=ALIVE,
    )


def compared() -> Iterator[Pair]:
    """Yield the comparisons."""
    r = read("illness_death")
    for name in DATA["data_set"].unique(maintain_order=True):
        fit = fitted(name)
        label = f"{name} (delayed entry)" if name == "paq" else name
        for quantity, what, ours in (
            ("log intensities", "log_rate", fit.log_rates),
            ("their standard errors", "covariance", np.sqrt(np.diag(fit.covariance))),
            ("log-likelihood", "loglik", fit.loglik),
        ):
            theirs = values(r, data_set=name, what=what)
            if what == "covariance":
                theirs = np.sqrt(theirs[::4])
            yield pair(f"illness-death: {quantity}", R, label, ours, theirs, 1e-6)
