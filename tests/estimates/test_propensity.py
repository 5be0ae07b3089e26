"""Propensity weights, their balance and weighted survival: R, exact balance, degenerate groups."""

import numpy as np
import polars as pl
import pytest
from tests.estimates.comparison_data import AT, COVARIATES, SETS, YEAR, patients, r_values

from ahsct.errors import RequestError, TableError
from ahsct.estimates import (
    covariate_balance,
    effective_sample_size,
    kaplan_meier,
    milestone,
    propensity_weights,
    weighted_kaplan_meier,
    weighted_survival_difference,
)
from ahsct.estimates.patient_weights import PatientWeights
from ahsct.vocabulary import CURVE, RESULTS

ESTIMANDS = ["ate", "att", "overlap"]


def known(weights: PatientWeights) -> PatientWeights:
    """The same weights, taken as known."""
    nothing = np.empty((weights.patients.height, 0))
    return PatientWeights(**{**vars(weights), "slope": nothing, "influence": nothing})


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weights_and_balance_agree_with_r(name: str, estimand: str) -> None:
    weights = propensity_weights(patients(name), covariates=COVARIATES, estimand=estimand)
    sizes = effective_sample_size(weights)
    assert sizes.schema == RESULTS
    for group, size in sizes.select("arm", "estimate").rows():
        assert size == pytest.approx(r_values(name, f"{estimand} ess", group).popitem()[1], rel=1e-8)
    rows = covariate_balance(weights)
    assert rows.schema == RESULTS
    for component, what in (("unweighted", "smd"), ("weighted", f"{estimand} smd")):
        found = dict(rows.filter(pl.col("component") == component).select("term", "estimate").rows())
        # R's weighted differences under overlap weights are rounding around 0
        assert found == pytest.approx(r_values(name, what, component), rel=1e-7, abs=1e-9)
    if estimand == "overlap":
        assert rows.filter(pl.col("component") == "weighted")["estimate"].abs().max() < 1e-10


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("estimand", ESTIMANDS)
def test_weighted_curves_agree_with_r(name: str, estimand: str) -> None:
    table = patients(name)
    weights = propensity_weights(table, covariates=COVARIATES, estimand=estimand)
    curve = weighted_kaplan_meier(table, weights)
    assert curve.schema == CURVE
    taken_as_known = weighted_kaplan_meier(table, known(weights))
    for day in AT[name]:
        for frame, error in ((curve, "estimated"), (taken_as_known, "known")):
            for row in milestone(frame, at_years=day / YEAR).iter_rows(named=True):
                expected = {
                    what: r_values(name, f"{estimand} {what}", row["arm"])[str(day)]
                    for what in ("survival", error)
                }
                assert row["estimate"] == pytest.approx(expected["survival"], rel=1e-8)
                assert row["std_error"] == pytest.approx(expected[error], rel=1e-6)
        row = weighted_survival_difference(table, weights, at_years=day / YEAR, with_p_value=True).row(
            0, named=True
        )
        difference = r_values(name, f"{estimand} difference")[str(day)]
        error = r_values(name, f"{estimand} difference_error")[str(day)]
        assert row["estimate"] == pytest.approx(difference, rel=1e-7, abs=1e-10)
        assert row["std_error"] == pytest.approx(error, rel=1e-6)
        assert row["upper"] == pytest.approx(difference + 1.959963984540054 * error, rel=1e-6)
        assert row["reference_arm"] == "comparator"


def test_counts_are_of_patients() -> None:
    table = patients("veteran")
    curve = weighted_kaplan_meier(table, propensity_weights(table, covariates=["x1"]))
    treated = curve.filter(pl.col("arm") == "treated")
    plain = kaplan_meier(table.filter("is_treated"))
    for column in ("n_at_risk", "n_events", "n_censored"):
        assert treated[column].to_list() == plain[column].to_list()


def test_delayed_entry_and_order_of_rows() -> None:
    table = patients("veteran").with_columns(entry_day=(pl.col("time_day") / 2).floor())
    weights = propensity_weights(table, covariates=COVARIATES)
    one = weighted_kaplan_meier(table, weights)
    other = weighted_kaplan_meier(table.sort("time_day", descending=True), weights)
    for column in ("time_years", "n_at_risk", "estimate", "std_error"):
        assert one[column].to_list() == pytest.approx(other[column].to_list(), rel=1e-12)


def small(treated: list[bool], x: list[float]) -> pl.DataFrame:
    return pl.DataFrame({"patient_id": [str(i) for i in range(len(x))], "is_treated": treated, "x": x})


def test_degenerate_groups() -> None:
    with pytest.raises(RequestError, match="0 of 2 patients are treated"):
        propensity_weights(small([False, False], [1, 2]), covariates=["x"])
    with pytest.raises(RequestError, match="separate"):
        propensity_weights(small([True, True, False, False], [1, 2, 3, 4]), covariates=["x"])
    with pytest.raises(RequestError, match="0 of 0 patients"):
        propensity_weights(small([], []), covariates=[])
    with pytest.raises(RequestError, match="cannot tell the effects"):
        propensity_weights(small([True, False, True], [1, 1, 1]), covariates=["x"])
    one_each = propensity_weights(small([True, False], [1, 2]), covariates=[])
    rows = effective_sample_size(one_each)
    assert rows["estimate"].to_list() == [1, 1]
    assert covariate_balance(one_each).height == 0


def test_one_patient_in_a_group_has_no_spread_and_no_error() -> None:
    table = small([True, False, False, False], [2, 1, 3, 2]).with_columns(
        time_day=pl.Series([100, 100, 100, 100]), is_event=pl.lit(False)
    )
    weights = propensity_weights(table, covariates=["x"])
    assert covariate_balance(weights)["estimate"].to_list() == [None, None]
    row = weighted_survival_difference(table, weights, at_years=0.1, with_p_value=True).row(0, named=True)
    assert (row["estimate"], row["upper"], row["p_value"]) == (0, None, None)
    assert "no error" in row["note"]
    late = weighted_survival_difference(table, weights, at_years=1).row(0, named=True)
    assert (late["estimate"], late["note"][:12]) == (None, "follow-up of")


def test_all_have_the_event_at_once() -> None:
    table = small([True, True, False, False], [1, 3, 2, 3]).with_columns(
        time_day=pl.Series([0, 0, 0, 0]), is_event=pl.lit(True)
    )
    curve = weighted_kaplan_meier(table, propensity_weights(table, covariates=["x"]))
    assert curve["estimate"].to_list() == [0, 0]
    assert curve["std_error"].to_list() == [0, 0]


def test_refusals() -> None:
    table = patients("veteran")
    weights = propensity_weights(table, covariates=COVARIATES)
    with pytest.raises(TableError, match="1 of 138 patients of `time_to_event` have no weight"):
        weighted_kaplan_meier(
            pl.concat([table, table.head(1).with_columns(patient_id=pl.lit("new"))]), weights
        )
    with pytest.raises(TableError, match="found 2 kinds"):
        weighted_kaplan_meier(pl.concat([table.with_columns(endpoint=pl.lit(e)) for e in "ab"]), weights)
    with pytest.raises(TableError, match="competing events"):
        weighted_kaplan_meier(table.with_columns(cause=pl.lit("competing_death")), weights)
    with pytest.raises(RequestError, match="estimand must be one of"):
        propensity_weights(table, covariates=[], estimand="atc")
    with pytest.raises(TableError, match="each patient once"):
        propensity_weights(pl.concat([table, table]), covariates=COVARIATES)
    with pytest.raises(TableError, match="true or false"):
        propensity_weights(table.with_columns(is_treated=pl.lit(None, pl.Boolean)), covariates=COVARIATES)
    with pytest.raises(TableError, match="2 of 137 rows lack it"):
        propensity_weights(
            table.with_columns(x1=pl.when(pl.int_range(pl.len()) < 2).then(None).otherwise("x1")),
            covariates=["x1"],
        )
