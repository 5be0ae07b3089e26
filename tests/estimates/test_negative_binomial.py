"""Negative binomial rates: R's glm.nb on data that ship with MASS, the Poisson boundary, refusals."""

import math
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize
from scipy.stats import nbinom

from ahsct.errors import RequestError, TableError
from ahsct.estimates import negative_binomial_rates
from ahsct.estimates.negative_binomial import _dispersion_score, fit_negative_binomial
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "negative_binomial_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "negative_binomial.csv", infer_schema_length=None)
COVARIATES = ["x1", "x2", "x3"]
SETS = ["quine", "epil", "ships", "Insurance"]


@pytest.mark.parametrize("name", SETS)
def test_agrees_with_r(name: str) -> None:
    data, expected = DATA.filter(pl.col("set") == name), R_ROWS.filter(pl.col("set") == name)
    matrix = np.column_stack([np.ones(data.height), data.select(COVARIATES).to_numpy()])
    fit = fit_negative_binomial(data["number"], data["exposure_years"], matrix)
    assert fit.coefficients == pytest.approx(expected["coef"].to_numpy(), rel=1e-6)
    assert fit.dispersion == pytest.approx(expected["dispersion"][0], rel=1e-6)
    assert fit.log_dispersion_error is not None
    assert fit.dispersion * fit.log_dispersion_error == pytest.approx(
        expected["dispersion_error"][0], rel=1e-6
    )
    assert fit.log_likelihood == pytest.approx(expected["loglik"][0], rel=1e-10)
    for kind in ("expected", "observed", "robust"):
        assert np.sqrt(np.diag(fit.covariance[kind])) == pytest.approx(expected[kind].to_numpy(), rel=1e-6)


def test_public_case() -> None:
    """Case p07_rates of the public reference cases: MASS 7.3.58.2, glm.nb(days ~ sex + eth + lrn)."""
    data = DATA.filter(pl.col("set") == "quine")
    matrix = np.column_stack([np.ones(data.height), data.select(COVARIATES).to_numpy()])
    fit = fit_negative_binomial(data["number"], data["exposure_years"], matrix)
    coefficients = [2.92502303749741, 0.222475697384115, -0.566947356734766, 0.0688388499619956]
    errors = [0.156579886437998, 0.161159379315083, 0.158770655807323, 0.162069405526331]
    assert fit.coefficients == pytest.approx(coefficients, rel=1e-6)
    assert np.sqrt(np.diag(fit.covariance["expected"])) == pytest.approx(errors, rel=1e-6)
    assert 1 / fit.dispersion == pytest.approx(1.1731960923383, rel=1e-6)
    assert 2 * fit.log_likelihood == pytest.approx(-1104.67480683242, rel=1e-10)


@pytest.mark.parametrize("dispersion", ["1e-9", "1e-7", "1e-4", "4e-4", "6e-4", "1.1e-3", "0.1", "3"])
def test_slope_of_the_likelihood_by_the_dispersion(dispersion: str) -> None:
    """Against the same sum with 50 digits, on both sides of the switch to the series."""
    counts, means = (0, 1, 3, 7), ("0.5", "1", "0.9", "2")
    with localcontext(prec=50):
        phi, exact = Decimal(dispersion), Decimal(0)
        for y, mean in zip(counts, map(Decimal, means), strict=True):
            t = phi * mean
            exact += sum(j / (1 + phi * j) for j in range(y)) + ((1 + t).ln() - t / (1 + t)) / phi**2
            exact -= y * mean / (1 + t)
    ours = _dispersion_score(np.array(counts, float), np.array(means, float), float(dispersion))
    assert ours == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("name", SETS)
def test_rows_agree_with_r(name: str) -> None:
    data, expected = DATA.filter(pl.col("set") == name), R_ROWS.filter(pl.col("set") == name)
    rows = negative_binomial_rates(data, covariates=COVARIATES)
    assert rows.schema == RESULTS
    assert rows["statistic"].to_list() == ["rate", "rate_ratio", "rate_ratio", "rate_ratio", "dispersion"]
    assert np.log(rows["lower"][:4].to_numpy()) == pytest.approx(expected["lower"].to_numpy(), rel=1e-6)
    assert np.log(rows["upper"][:4].to_numpy()) == pytest.approx(expected["upper"].to_numpy(), rel=1e-6)
    error = rows["std_error"][:4].to_numpy() / rows["estimate"][:4].to_numpy()
    assert error == pytest.approx(expected["expected"].to_numpy(), rel=1e-6)
    assert "expected information" in rows["method"][0]


def test_wald_interval_and_p_value_by_hand() -> None:
    data = DATA.filter(pl.col("set") == "epil")
    row = negative_binomial_rates(
        data, covariates=COVARIATES, std_error="observed", interval="wald", with_p_value=True
    ).row(1, named=True)
    b, error = -0.33139495920852852, 0.19625382109875614
    assert row["upper"] == pytest.approx(math.exp(b + 1.959963984540054 * error), rel=1e-6)
    assert row["p_value"] == pytest.approx(math.erfc(-b / error / math.sqrt(2)), rel=1e-6)
    assert "Wald" in row["method"]
    assert "observed information" in row["method"]


def test_no_more_than_poisson() -> None:
    """By hand: 6 events in 4 years; the Poisson error of the log is 1 / sqrt(6)."""
    frame = pl.DataFrame({"number": [1, 2, 1, 2], "exposure_years": [1.0] * 4})
    rate, dispersion = negative_binomial_rates(frame).iter_rows(named=True)
    assert rate["estimate"] == pytest.approx(1.5, rel=1e-12)
    assert rate["std_error"] == pytest.approx(1.5 / math.sqrt(6), rel=1e-10)
    z, (lower, upper) = 1.959963984540054, (4 * rate["lower"], 4 * rate["upper"])
    assert 2 * (6 * math.log(6 / lower) - 6 + lower) == pytest.approx(z**2, rel=1e-9)
    # about the larger mean the counts do vary more than Poisson, so that the profile reaches farther
    assert 2 * (6 * math.log(6 / upper) - 6 + upper) > z**2
    wald = negative_binomial_rates(frame, interval="wald")["upper"][0]
    assert wald == pytest.approx(1.5 * math.exp(1.959963984540054 / math.sqrt(6)), rel=1e-10)
    assert (dispersion["estimate"], dispersion["lower"], dispersion["std_error"]) == (0, 0, None)
    assert dispersion["upper"] > 0
    assert "no more than Poisson" in dispersion["note"]


def test_one_patient_with_events() -> None:
    rate, dispersion = negative_binomial_rates(
        pl.DataFrame({"number": [3], "exposure_years": [2.0]})
    ).iter_rows(named=True)
    assert rate["estimate"] == pytest.approx(1.5)
    assert dispersion["estimate"] == 0


def test_no_dispersion_is_refused_at_a_high_level() -> None:
    row = negative_binomial_rates(
        pl.DataFrame({"number": [3], "exposure_years": [2.0]}), conf_level=1 - 1e-9, interval="wald"
    ).row(1, named=True)
    assert (row["lower"], row["upper"]) == (0, None)
    assert row["note"].endswith("no upper limit")


def test_a_patient_alone_in_a_group_has_no_sandwich_error() -> None:
    """By hand: the rate of group 0 is that patient's, 4 in 1.56 years; the residual is 0, and so would be the error."""
    frame = pl.DataFrame(
        {
            "number": [1, 4, 0, 1, 0, 1, 3],
            "exposure_years": [1.57, 1.56, 1.84, 2.26, 1.8, 2.66, 1.4],
            "x": [1, 0, *[1] * 5],
        }
    )
    for interval in ("wald", "profile"):
        rows = negative_binomial_rates(
            frame, covariates=["x"], std_error="robust", interval=interval, with_p_value=True
        )
        assert rows["estimate"][0] == pytest.approx(4 / 1.56, rel=1e-9)
        assert rows["std_error"].to_list()[:2] == [None, None]
        assert rows["p_value"].null_count() == 3
        assert all("no robust error" in note for note in rows["note"][:2])
        assert rows["lower"].is_null().to_list()[:2] == [interval == "wald"] * 2
    # group 1 as its own intercept: its error rests on six patients and stands, that of group 0 does not
    turned = negative_binomial_rates(
        frame.with_columns(zero=1 - pl.col("x")), covariates=["zero"], std_error="robust"
    )
    assert turned["std_error"].is_null().to_list()[:2] == [False, True]
    alike = negative_binomial_rates(frame.with_columns(number=2, exposure_years=1.0), std_error="robust")
    assert (alike["std_error"][0], alike["estimate"][0]) == (None, pytest.approx(2))


def test_refusals() -> None:
    frame = pl.DataFrame(
        {"number": [1, 0, 2], "exposure_years": [1.0, 2.0, 1.0], "arm": [1, 0, 1], "one": [1, 1, 1]}
    )
    with pytest.raises(TableError, match="at least one patient"):
        negative_binomial_rates(frame.clear())
    with pytest.raises(RequestError, match="without any event"):
        negative_binomial_rates(frame.with_columns(number=pl.lit(0)))
    with pytest.raises(RequestError, match="a group without any event"):
        negative_binomial_rates(frame, covariates=["arm"])
    with pytest.raises(RequestError, match="a column is constant"):
        negative_binomial_rates(frame, covariates=["one"])
    with pytest.raises(TableError, match=r"row 2 \(0.0\)"):
        negative_binomial_rates(frame.with_columns(exposure_years=pl.Series([1.0, 0.0, 1.0])))
    with pytest.raises(TableError, match="whole numbers"):
        negative_binomial_rates(frame.with_columns(number=pl.Series([1.0, 0.5, 1.0])))
    with pytest.raises(TableError, match="which is String"):
        negative_binomial_rates(frame.with_columns(pl.col("arm").cast(pl.String)), covariates=["arm"])
    with pytest.raises(RequestError, match="std_error must be one of"):
        negative_binomial_rates(frame, std_error="hc3")


def test_profile_limits_of_counts_that_vary_widely_are_found() -> None:
    counts = pl.DataFrame(
        {
            "number": [3, 3, 1, 0, 0, 0, 0, 1, 8, 8, 6, 5, 4, 3],
            "exposure_years": [
                0.35,
                0.72,
                0.25,
                0.99,
                0.42,
                0.16,
                0.68,
                0.98,
                0.49,
                1.0,
                0.55,
                0.48,
                0.67,
                1.05,
            ],
            "x": [-0.3, 1.6, -0.4, -0.7, 0.2, 1.0, 0.2, -0.6, -1.3, -1.4, 0.5, 1.0, -0.2, -1.1],
        }
    )
    row = negative_binomial_rates(counts, covariates=["x"]).filter(term="x").row(0, named=True)
    y, years, x = (counts[name].to_numpy().astype(float) for name in counts.columns)

    def loss(at: np.ndarray, slope: float) -> float:
        mean, phi = years * np.exp(at[0] + slope * x), np.exp(at[1])
        return -float(nbinom.logpmf(y, 1 / phi, 1 / (1 + phi * mean)).sum())

    def lowest(log_ratio: float) -> float:
        return float(minimize(loss, [1.0, 0.0], args=(log_ratio,), method="Nelder-Mead").fun)

    top = lowest(np.log(row["estimate"]))
    for limit in ("lower", "upper"):
        assert 2 * (lowest(np.log(row[limit])) - top) == pytest.approx(3.841459, abs=1e-4)
