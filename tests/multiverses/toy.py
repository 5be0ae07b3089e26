"""A grid of two dimensions with two choices each, and its answers as given."""

import math

import polars as pl

from ahsct.definitions import Choice, Dimension, Grid, Source
from ahsct.estimates.rows import result, results_frame

PERIODS = "disability.edss.confirmation_periods_days"


def toy_grid(**changes) -> Grid:
    fields = {
        "schema": 1,
        "id": "toy",
        "title": "Two by two",
        "base": "atkins2016",
        "endpoint": "activity_free_survival",
        "estimand": "everyone_counted",
        "milestones_days": (1096,),
        "source": Source(citation="made up", seen="recalled"),
        "dimensions": (
            Dimension(
                id="confirmed",
                label="Confirmed after",
                choices=(
                    Choice(id="w24", label="24 weeks", set={PERIODS: [168]}),
                    Choice(id="w48", label="48 weeks", set={PERIODS: [336]}),
                ),
            ),
            Dimension(
                id="lesions",
                label="Lesions",
                choices=(
                    Choice(id="one", label="one", set={"mri.min_lesions_n": 1}),
                    Choice(id="two", label="two", set={"mri.min_lesions_n": 2}),
                ),
            ),
        ),
    }
    return Grid(**{**fields, **changes})


def toy_answers(estimates: list[float | None], *, half: float = 0.1, n: int = 10) -> pl.DataFrame:
    """Return answers of the toy grid, in its order, with an interval of ± half around each."""
    grid = toy_grid()
    labels = [
        {"point": place, "published": None, **choices}
        for place, choices in enumerate(grid.combinations, start=1)
    ]
    rows = [
        result(
            statistic="survival_probability", unit="probability", n=n, method="Kaplan-Meier, log-log", arm="a",
            estimate=one, lower=None if one is None else one - half, upper=None if one is None else one + half,
            time_years=3.0, n_events=3, conf_level=0.95, n_not_evaluable=0,
        )
        for one in estimates
    ]  # fmt: skip
    schema = {"point": pl.Int64, "published": pl.String, "confirmed": pl.String, "lesions": pl.String}
    return pl.concat([pl.DataFrame(labels, schema=schema), results_frame(rows)], how="horizontal")


def survival_at(z: float) -> float:
    """Return the probability whose log(-log) is z."""
    return math.exp(-math.exp(z))
