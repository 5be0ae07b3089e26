"""Proportional odds against ordinal::clm, with its test of proportionality; shift tables against coin."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import TableError
from ahsct.estimates.proportional_odds import cumulative_logit, proportional_odds
from ahsct.estimates.shift_table import shift_table

TERMS = {
    "wine": ["warm", "contact"],
    "housing": ["medium", "high", "apartment", "atrium", "terrace", "contact"],
    "soup": ["test"],
}


@pytest.mark.parametrize("case", TERMS)
def test_agrees_with_clm(case: str) -> None:
    expected = reference.values("proportional_odds")[case]
    d = reference.data(case)
    X = np.column_stack([d[term] for term in TERMS[case]])
    fit = cumulative_logit(d["category"], X, weights=d["freq"])
    assert fit.is_finite
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    for k, value in enumerate(fit.thresholds, start=1):
        assert value == pytest.approx(expected[f"threshold_{k}"], rel=1e-6)
    for k, value in enumerate(fit.coefficients, start=1):
        assert value == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
    for k, value in enumerate(np.sqrt(np.diag(fit.covariance)), start=1):
        assert value == pytest.approx(expected[f"se_{k}"], rel=1e-6)
    n_free = 0
    for k in range(len(TERMS[case])):
        if f"free_log_likelihood_{k + 1}" in expected:
            n_free += 1
            free = cumulative_logit(d["category"], X, weights=d["freq"], free=[k])
            assert free.log_likelihood == pytest.approx(expected[f"free_log_likelihood_{k + 1}"], rel=1e-10)
    assert n_free == {"wine": 1, "housing": 6, "soup": 1}[case]


def wine(arm: str) -> pl.DataFrame:
    d = reference.data("wine")
    other = "contact" if arm == "warm" else "warm"
    return pl.DataFrame(
        {
            "patient_id": np.arange(72).astype(str),
            "arm": np.where(d[arm] == 1, "treated", "control"),
            "number": d["category"],
            other: d[other],
        }
    )


def test_rows_are_those_of_clm() -> None:
    expected = reference.values("proportional_odds")["wine"]
    odds, test = proportional_odds(wine("contact"), covariates=["warm"]).rows(named=True)
    assert odds["estimate"] == pytest.approx(np.exp(expected["estimate_2"]), rel=1e-6)
    assert odds["std_error"] / odds["estimate"] == pytest.approx(expected["se_6"], rel=1e-6)
    assert odds["lower"] == pytest.approx(
        np.exp(expected["estimate_2"] - 1.959963984540054 * expected["se_6"])
    )
    statistic = 2 * (expected["free_log_likelihood_2"] - expected["log_likelihood"])
    assert test["estimate"] == pytest.approx(statistic, rel=1e-6)
    assert (test["df"], test["note"]) == (3.0, None)


def test_an_empty_cell_is_noted() -> None:
    """No warm wine is in the lowest category: that cut has no finite odds ratio, the common one has."""
    odds, test = proportional_odds(wine("warm"), covariates=["contact"]).rows(named=True)
    assert odds["estimate"] == pytest.approx(
        np.exp(reference.values("proportional_odds")["wine"]["estimate_1"]), rel=1e-6
    )
    assert test["p_value"] is not None
    assert "no patient in a category" in test["note"]


def test_degenerate_input() -> None:
    base = pl.DataFrame({"patient_id": list("abcd"), "arm": ["x", "x", "y", "y"], "number": [1.0, 1, 1, 1]})
    assert "all values are equal" in proportional_odds(base)["note"][0]
    separated = base.with_columns(number=pl.Series([1.0, 2, 3, 4]))
    assert "separated" in proportional_odds(separated)["note"][0]
    assert proportional_odds(separated)["estimate"].null_count() == 2
    one_sided = base.with_columns(
        number=pl.Series([1.0, 1, 1, 2])
    )  # nobody of the first arm in the upper one
    assert proportional_odds(one_sided)["estimate"].null_count() == 2
    assert "two arms" in proportional_odds(base.with_columns(arm=pl.lit("x")))["note"][0]
    copied = base.with_columns(number=pl.Series([1.0, 2, 1, 3]), z=pl.Series([0.0, 0, 1, 1]))
    assert "depends on the arms" in proportional_odds(copied, covariates=["z"])["note"][0]
    with pytest.raises(TableError, match="one row per patient"):
        proportional_odds(pl.concat([base, base]))


@pytest.mark.parametrize("case", ["edss", "wine", "anorexia"])
def test_margins_agree_with_coin(case: str) -> None:
    expected = reference.values("proportional_odds")[f"margins_{case}"]
    d = reference.data(f"paired_{case}")
    if case == "anorexia":
        d = {
            name: np.digitize(column, [80, 85, 90], right=True).astype(float)
            for name, column in d.items()
            if name != "group"
        }
    values = pl.DataFrame(
        {"patient_id": np.arange(d["before"].size).astype(str), "before": d["before"], "after": d["after"]}
    )
    rows = shift_table(values)
    test = rows.filter(statistic="marginal_homogeneity").row(0, named=True)
    assert test["estimate"] == pytest.approx(expected["statistic"], rel=1e-10)
    assert test["p_value"] == pytest.approx(expected["p"], rel=1e-10)
    cells = rows.filter(statistic="shift")
    assert cells["n_events"].sum() == values.height
    assert cells.filter(pl.col("n") > 0).group_by("n").len().height > 0


def test_shift_table_counts_the_missing_and_degenerate_tables() -> None:
    values = pl.DataFrame({"patient_id": list("abc"), "before": [1.0, None, 1.0], "after": [1.0, 2.0, None]})
    rows = shift_table(values)
    assert rows.filter(pl.col("n_events") > 0)["term"].to_list() == ["1 to 1", "1 to missing", "missing to 2"]
    assert "nobody had this category before" in rows.filter(term="2 to 1")["note"][0]
    assert "nobody with both values changed" in rows["note"][-1]
    assert rows.filter(statistic="marginal_homogeneity")["n_not_evaluable"][0] == 2
