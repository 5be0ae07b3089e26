"""Matched pairs and weights to published means: R's MatchIt, equations solved in R, degenerate input."""

import math

import numpy as np
import polars as pl
import pytest
from tests.estimates.comparison_data import (
    AT,
    COVARIATES,
    MAIC_MEANS,
    REFERENCE,
    SETS,
    YEAR,
    patients,
    r_values,
)

from ahsct.errors import RequestError, TableError
from ahsct.estimates import (
    covariate_balance,
    effective_sample_size,
    maic_balance,
    maic_weights,
    match_patients,
    milestone,
    propensity_weights,
    weighted_kaplan_meier,
    weighted_survival_difference,
)
from ahsct.estimates.matching import Matches
from ahsct.vocabulary import RESULTS

PAIRS, MATCHIT = (  # a loop from the definition, and MatchIt
    pl.read_csv(
        REFERENCE / f"{name}.csv",
        comment_prefix="#",
        infer_schema_length=None,
        schema_overrides={"caliper": pl.Float64},
    )
    for name in ("matching_pairs", "matching_packages")
)
R_CURVES = pl.read_csv(
    REFERENCE / "matching.csv", infer_schema_length=None, schema_overrides={"caliper": pl.Float64}
)
MATCHING = pl.read_csv(REFERENCE / "matching_data.csv", infer_schema_length=None).select(
    "set",
    pl.col("id").cast(pl.String).alias("patient_id"),
    (pl.col("treated") == 1).alias("is_treated"),
    pl.col("^x[1-5]$"),
    pl.col("time").alias("time_day"),
    (pl.col("event") == 1).alias("is_event"),
)
FIVE = [f"x{i}" for i in range(1, 6)]


def matched(name: str, caliper: float) -> tuple[pl.DataFrame, Matches]:
    table = MATCHING.filter(pl.col("set") == name)
    options = {} if math.isinf(caliper) else {"caliper": caliper}
    return table, match_patients(table, covariates=FIVE, **{"caliper": None, **options})


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("caliper", [math.inf, 0.2, 0.02])
def test_pairs_agree_with_r(name: str, caliper: float) -> None:
    table, matches = matched(name, caliper)
    found = matches.weights.patients
    treated = found.filter(pl.col("group") == "treated").select("pair", treated="patient_id")
    partner = found.filter(pl.col("group") == "comparator").select("pair", partner="patient_id")
    ours = set(treated.join(partner, on="pair").select("treated", "partner").rows())
    for pairs in (PAIRS, MATCHIT):
        r = pairs.filter((pl.col("set") == name) & (pl.col("caliper") == caliper))
        assert ours == set(r.select(pl.col("treated", "partner").cast(pl.String)).rows())
    flow = matches.flow().row(0, named=True)
    assert (flow["estimate"], flow["n"]) == (len(ours), table["is_treated"].sum())
    assert flow["n"] == len(ours) + matches.unmatched.height
    curve = weighted_kaplan_meier(table.join(found, on="patient_id", how="semi"), matches.weights)
    curves = R_CURVES.filter((pl.col("set") == name) & (pl.col("caliper") == caliper))
    assert curves.height == 6
    for r_row in curves.iter_rows(named=True):
        rows = milestone(curve, at_years=r_row["time"] / YEAR).filter(pl.col("arm") == r_row["group"])
        assert rows["estimate"].item() == pytest.approx(r_row["survival"], rel=1e-10)
        assert rows["std_error"].item() == pytest.approx(r_row["std_error"], rel=1e-9)


def test_matching_brings_the_groups_together() -> None:
    table, matches = matched("gbsg", 0.2)
    before = covariate_balance(propensity_weights(table, covariates=FIVE)).filter(component="unweighted")
    after = covariate_balance(matches.weights).filter(component="weighted")
    assert before["estimate"].abs().max() > 0.4
    assert after["estimate"].abs().max() < 0.1
    table, matches = matched("lalonde", 0.2)
    row = weighted_survival_difference(
        table.join(matches.weights.patients, on="patient_id", how="semi"),
        matches.weights,
        at_years=5000 / YEAR,
    ).row(0, named=True)
    # by hand: pairs are the unit; no censoring before, so the curve is the share beyond
    joined = matches.weights.patients.join(table, on="patient_id").sort(
        "pair", "group", descending=[False, True]
    )
    alive = (joined["time_day"] > 5000).to_numpy().reshape(-1, 2).astype(float)
    difference = alive[:, 0] - alive[:, 1]
    assert row["estimate"] == pytest.approx(difference.mean(), rel=1e-10)
    assert row["std_error"] == pytest.approx(
        np.sqrt(((difference - difference.mean()) ** 2).sum()) / difference.size, rel=1e-10
    )


def test_matching_refusals() -> None:
    table = patients("veteran")
    with pytest.raises(RequestError, match="caliper must be > 0"):
        match_patients(table, covariates=COVARIATES, caliper=0)
    with pytest.raises(RequestError, match="nobody of 4 patients stands within"):
        match_patients(
            pl.DataFrame(
                {"patient_id": list("abcd"), "is_treated": [True, False, True, False], "x": [1.0, 2, 4, 2.5]}
            ),
            covariates=["x"],
            caliper=1e-6,
        )
    one_each = pl.DataFrame({"patient_id": ["a", "b"], "is_treated": [True, False]})
    assert match_patients(one_each, covariates=[]).weights.patients.height == 2


@pytest.mark.parametrize("name", SETS)
def test_maic_agrees_with_r(name: str) -> None:
    table = patients(name).filter("is_treated")
    means = dict(zip(COVARIATES, MAIC_MEANS[name], strict=True))
    weights = maic_weights(table, means=means)
    size = effective_sample_size(weights)["estimate"].item()
    assert size == pytest.approx(r_values(name, "maic ess", "treated").popitem()[1], rel=1e-8)
    assert weights.patients["weight"].sum() == pytest.approx(size, rel=1e-10)
    rows = maic_balance(weights, means=means)
    assert rows.schema == RESULTS
    by_component = rows.partition_by("component", as_dict=True)
    assert by_component[("weighted",)]["estimate"].to_list() == pytest.approx(list(means.values()), rel=1e-10)
    curve = weighted_kaplan_meier(table, weights)
    for day in AT[name]:
        row = milestone(curve, at_years=day / YEAR).row(0, named=True)
        assert row["estimate"] == pytest.approx(
            r_values(name, "maic survival", "treated")[str(day)], rel=1e-8
        )
        assert row["std_error"] == pytest.approx(
            r_values(name, "maic estimated", "treated")[str(day)], rel=1e-6
        )


def test_maic_meets_spreads_too() -> None:
    table = patients("gbsg")
    weights = maic_weights(table, means={"x1": 5.0, "x3": 2.0}, sds={"x1": 0.8})
    w, x = weights.patients["weight"].to_numpy(), table["x1"].to_numpy()
    mean = np.average(x, weights=w)
    assert mean == pytest.approx(5.0, rel=1e-10)
    assert np.sqrt(np.average((x - mean) ** 2, weights=w)) == pytest.approx(0.8, rel=1e-9)


def test_maic_refusals() -> None:
    table = pl.DataFrame(
        {"patient_id": list("abc"), "x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 6.0], "one": [1, 1, 1]}
    )
    for mean in (3.0, 4.0, 0.5):
        with pytest.raises(RequestError, match="at or beyond the edge"):
            maic_weights(table, means={"x": mean})
    with pytest.raises(RequestError, match="cannot tell the effects"):
        maic_weights(table, means={"x": 1.5, "y": 3.0})
    with pytest.raises(RequestError, match="follows from the others"):
        maic_weights(table, means={"one": 1.0})
    with pytest.raises(TableError, match="0 rows"):
        maic_weights(table.clear(), means={"x": 1.0})
    with pytest.raises(RequestError, match="at least one covariate"):
        maic_weights(table, means={})
    with pytest.raises(RequestError, match="sds >= 0 of covariates with a mean: y"):
        maic_weights(table, means={"x": 2.0}, sds={"y": 1.0})
    with pytest.raises(RequestError, match="published mean of x too"):
        maic_balance(maic_weights(table, means={"x": 2.2}), means={})
    with pytest.raises(RequestError, match="compares two groups"):
        covariate_balance(maic_weights(table, means={"x": 2.2}))
