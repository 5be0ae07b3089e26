"""Rubin's rules against mice; imputation after dropout against rbmi's conditional mean and its limit in plain R."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates.imputation import ASSUMPTIONS, imputed_difference, tipping_point
from ahsct.estimates.repeated_measures import visit_means
from ahsct.estimates.rubin import pool

RUBIN = [case for case in reference.values("missing_data") if case.startswith("rubin")]


@pytest.mark.parametrize("case", RUBIN)
def test_pooling_agrees_with_mice(case: str) -> None:
    expected = reference.values("missing_data")[case]
    m = sum(name.startswith("q_") for name in expected)
    pooled = pool(
        [expected[f"q_{k}"] for k in range(1, m + 1)],
        [expected[f"se_{k}"] for k in range(1, m + 1)],
        complete_df=expected["complete_df"],
    )
    assert pooled.estimate == pytest.approx(expected["estimate"], rel=1e-10)
    assert pooled.std_error**2 == pytest.approx(expected["variance"], rel=1e-10)
    assert pooled.df == pytest.approx(expected["df"], rel=1e-10)
    assert pooled.missing_information == pytest.approx(expected["fmi"], rel=1e-10)


def test_pooling_at_the_edges() -> None:
    same = pool([2, 2, 2], [1, 1, 1], complete_df=20)
    assert (same.std_error, same.missing_information > 0, same.mc_error) == (1.0, True, 0.0)
    assert same.df == pytest.approx(21 / 23 * 20)
    assert math.isinf(pool([2, 2], [1, 1]).df)
    assert pool([1, 3], [0, 0]).missing_information == 1.0
    assert pool([1, 1], [0, 0]).std_error == 0.0
    with pytest.raises(TableError, match="two or more imputations"):
        pool([1], [1])


def long(name: str) -> pl.DataFrame:
    d = reference.data(name)
    frame = pl.DataFrame(d).with_columns(pl.col(pl.Float64).fill_nan(None))
    return frame.unpivot(
        [name for name in frame.columns if name.startswith("v")],
        index=["group", "arm", "baseline"],
        variable_name="visit",
        value_name="number",
    ).select(
        patient_id="group",
        arm=pl.format("arm {}", pl.col("arm").cast(int)),
        visit=pl.col("visit").str.slice(1).cast(float),
        number="number",
        baseline="baseline",
    )


class Still:
    """A stream without noise: parameters at the middle of their posterior, values at their mean."""

    def standard_normal(self, size: object) -> np.ndarray:
        return np.zeros(size)  # type: ignore[call-overload]

    def chisquare(self, df: float) -> float:
        return df


def conditional_mean(name: str, assumption: str) -> float:
    """What the imputations of `imputed_difference` vary around."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ahsct.estimates.imputation.random_stream", lambda *_, **__: Still())
        rows = imputed_difference(
            long(name), unit="x", assumption=assumption, covariates=["baseline"], n_imputations=2
        )
    return float(rows["estimate"][0])


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
@pytest.mark.parametrize("name", ["chick_dropout", "orthodont_dropout", "bodyweight_dropout"])
def test_conditional_mean_agrees_with_rbmi(name: str, assumption: str) -> None:
    expected = reference.values("rbmi")[name]
    assert conditional_mean(name, assumption) == pytest.approx(expected[assumption], rel=1e-8)
    # rbmi's default is the restricted likelihood: other variances, the same regressions
    assert expected[f"reml_{assumption}"] == pytest.approx(expected[assumption], rel=1e-8)


@pytest.mark.parametrize("assumption", ASSUMPTIONS)
@pytest.mark.parametrize("name", ["chick_dropout", "orthodont_dropout"])
def test_estimates_approach_their_limit(name: str, assumption: str) -> None:
    """Within 4 Monte-Carlo errors of the expectation under the least-squares regressions by visit."""
    expected = reference.values("missing_data")[name]
    row = imputed_difference(
        long(name), unit="x", assumption=assumption, covariates=["baseline"], n_imputations=160, seed=11
    ).row(0, named=True)
    assert row["estimate"] == pytest.approx(expected[assumption], abs=4 * row["mc_error"])
    assert 4 * row["mc_error"] < 0.25 * row["std_error"]
    if assumption == "missing_at_random":
        assert row["std_error"] == pytest.approx(expected["mice_se"], rel=0.06)
        assert row["df"] == pytest.approx(expected["mice_df"], rel=0.08)
    assert row["mark"] == "assumed"


def test_values_missing_in_between_are_missing_at_random() -> None:
    """Close to the MMRM of the same data, which needs no imputation (gaps and dropouts)."""
    d = reference.data("orthodont_gaps")
    values = pl.DataFrame(
        {
            "patient_id": d["group"],
            "arm": [f"arm {a:g}" for a in d["arm"]],
            "visit": d["visit"],
            "number": d["y"],
        }
    )
    row = imputed_difference(values, unit="mm", n_imputations=60).row(0, named=True)
    mmrm = (
        visit_means(values, unit="mm").filter(statistic="mean_difference", term="visit 14").row(0, named=True)
    )
    assert row["estimate"] == pytest.approx(mmrm["estimate"], abs=4 * row["mc_error"] + 0.05)
    assert row["std_error"] == pytest.approx(mmrm["std_error"], rel=0.1)


def test_complete_data_are_analysed_as_they_are() -> None:
    d = reference.data("orthodont")
    values = pl.DataFrame(
        {"patient_id": d["group"], "arm": [f"arm {a:g}" for a in d["arm"]], "visit": d["t"], "number": d["y"]}
    )
    row = imputed_difference(values, unit="mm", n_imputations=2).row(0, named=True)
    boys, girls = (d["y"][(d["t"] == 14) & (d["arm"] == k)] for k in (0, 1))
    assert row["estimate"] == pytest.approx(girls.mean() - boys.mean(), rel=1e-12)
    assert row["mc_error"] == pytest.approx(0, abs=1e-12)
    assert "0 of 27 values imputed" in row["note"]


def test_tipping_point_moves_with_delta() -> None:
    values = long("chick_dropout")
    rows = tipping_point(
        values, [0, -40, -80, -160], unit="g", covariates=["baseline"], n_imputations=50, alpha=0.05
    )
    table = rows.filter(statistic="mean_difference")
    assert table["term"].to_list() == [
        "visit 3",
        "visit 3, delta -40",
        "visit 3, delta -80",
        "visit 3, delta -160",
    ]
    # the share of imputed values in the treated arm times delta, the noise being the same
    n_treated = values.filter(pl.col("arm") == "arm 1")["patient_id"].n_unique()
    assert table["estimate"].is_sorted(descending=True)
    assert 0 < (table["estimate"][0] - table["estimate"][1]) / 40 < 6 / n_treated
    p, tip = table["p_value"].to_list(), rows.filter(statistic="tipping_point").row(0, named=True)
    first = next(k for k, value in enumerate(p) if value >= 0.05)
    assert tip["estimate"] == [0, -40, -80, -160][first]
    none = tipping_point(values, [0, 1], unit="g", covariates=["baseline"], n_imputations=20)
    assert "stays below 0.05" in none.filter(statistic="tipping_point")["note"][0]


def test_seed_and_order_of_rows() -> None:
    values = long("orthodont_dropout")
    settings = {"unit": "mm", "covariates": ["baseline"], "n_imputations": 10}
    first = imputed_difference(values, **settings)
    assert imputed_difference(values.reverse(), **settings).equals(first)
    assert not imputed_difference(values, seed=2, **settings)["estimate"].equals(first["estimate"])


def test_degenerate_input_and_refusals() -> None:
    values = long("orthodont_dropout")
    few = values.filter(pl.col("patient_id").is_in(["M01", "F01", "F02"]))
    rows = imputed_difference(few, unit="mm", n_imputations=5)
    assert rows["estimate"][0] is None
    assert "too few" in rows["note"][0]
    nobody = values.with_columns(number=pl.when(pl.col("visit") < 3).then("number"))
    assert "reached by 0 patients" in imputed_difference(nobody, unit="mm", n_imputations=5)["note"][0]
    with pytest.raises(RequestError, match="Did you mean 'jump_to_reference'"):
        imputed_difference(values, unit="mm", assumption="jump_to_references")
    with pytest.raises(RequestError, match="n_imputations"):
        imputed_difference(values, unit="mm", n_imputations=1)
    with pytest.raises(RequestError, match="No visit 9; there are 1, 2, 3"):
        imputed_difference(values, unit="mm", visit=9)
    with pytest.raises(TableError, match="one row per patient and `visit`; 162 of 162 rows"):
        imputed_difference(pl.concat([values, values]), unit="mm")
    without = values.with_columns(baseline=pl.when(pl.col("patient_id") != "M01").then("baseline"))
    with pytest.raises(TableError, match="1 patients have no value, or several, of covariate 'baseline'"):
        imputed_difference(without, unit="mm", covariates=["baseline"])


def test_values_on_a_line_are_refused_and_equal_ones_too() -> None:
    values = long("orthodont_dropout")
    on_a_line = values.with_columns(number=pl.when(pl.col("number").is_not_null()).then("visit"))
    assert "lie exactly on a line" in imputed_difference(on_a_line, unit="mm", n_imputations=5)["note"][0]
