"""Regression and tests for events seen at visits: against R, by hand, degenerate input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import chi2

from ahsct.errors import RequestError, TableError
from ahsct.estimates.accelerated_failure import DISTRIBUTIONS, accelerated_failure
from ahsct.estimates.interval_hazards import interval_hazards
from ahsct.estimates.interval_regression import interval_regression
from ahsct.estimates.interval_tests import SCORES, interval_log_rank, interval_scores
from ahsct.estimates.turnbull import npmle, survival_at
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(
    REFERENCE / "interval_data.csv", schema_overrides={"right": pl.Float64, "left": pl.Float64}
)
R_ROWS = pl.read_csv(REFERENCE / "interval_censored.csv", infer_schema_length=None)
NAMES = ["p06", "pbcseq", "cav"]


def arrays(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = DATA.filter(pl.col("data_set") == name)
    return rows["left"].to_numpy(), rows["right"].to_numpy(), rows.select("x1", "x2").to_numpy().astype(float)


def r(name: str, what: str) -> np.ndarray:
    found = R_ROWS.filter((pl.col("data_set") == name) & (pl.col("what") == what))
    assert found.height, (name, what)
    return found["value"].to_numpy()


def table(left: object, right: object, arm: object) -> pl.DataFrame:
    low, high = np.asarray(left, float), np.asarray(right, float)
    return pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(low.size)],
            "arm": [str(one) for one in np.asarray(arm)],
            "left_day": low,
            "right_day": [None if np.isinf(one) else one for one in high],
            "time_day": np.where(np.isinf(high), low, high),
            "is_event": np.isfinite(high),
        },
        schema_overrides={"right_day": pl.Float64},
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_maximum_over_all_distributions(name: str) -> None:
    left, right, _ = arrays(name)
    fit = npmle(left, right)
    assert fit.gap < 1e-10
    assert fit.loglik == pytest.approx(r(name, "npmle_loglik")[0], rel=1e-10)
    at = R_ROWS.filter((pl.col("data_set") == name) & (pl.col("what") == "npmle_survival"))
    np.testing.assert_allclose(survival_at(fit, at["at"].cast(float).to_numpy()), at["value"], atol=1e-9)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("name", [*NAMES, "pbcseq_exact"])
def test_parametric_regression_agrees_with_survreg(name: str, distribution: str) -> None:
    fit = accelerated_failure(*arrays(name), distribution=distribution)
    np.testing.assert_allclose(fit.coefficients, r(name, f"{distribution}_coef"), rtol=1e-6)
    np.testing.assert_allclose(fit.scale, r(name, f"{distribution}_scale")[0], rtol=1e-6)
    np.testing.assert_allclose(fit.loglik, r(name, f"{distribution}_loglik")[0], rtol=1e-9)
    expected = r(name, f"{distribution}_var").reshape(fit.covariance.shape)
    np.testing.assert_allclose(fit.covariance, expected, rtol=1e-6, atol=1e-6 * expected.max())


@pytest.mark.parametrize("name", NAMES)
def test_proportional_hazards_with_a_free_baseline(name: str) -> None:
    fit = interval_hazards(*arrays(name))
    np.testing.assert_allclose(fit.coefficients, r(name, "ph_coef"), rtol=1e-6)
    np.testing.assert_allclose(fit.covariance.ravel(), r(name, "ph_var"), rtol=1e-6)
    np.testing.assert_allclose(fit.loglik, r(name, "ph_loglik")[0], rtol=1e-10)


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("name", NAMES)
def test_score_tests(name: str, scores: str) -> None:
    left, right, x = arrays(name)
    row = interval_log_rank(table(left, right, x[:, 0]), scores=scores).row(0, named=True)
    assert row["estimate"] == pytest.approx(r(name, f"score_{scores}")[0], rel=1e-7)
    assert row["p_value"] == pytest.approx(chi2.sf(row["estimate"], 1))


def test_public_case_p06() -> None:
    """interval::ictest(scores = "logrank1", method = "pclt") and survreg of the public cases, p06."""
    left, right, x = arrays("p06")
    row = interval_log_rank(table(left, right, x[:, 0])).row(0, named=True)
    assert row["estimate"] == pytest.approx(3.76597650489638**2, rel=1e-8)
    assert row["p_value"] == pytest.approx(0.000165899393526292, rel=1e-6)
    fit = accelerated_failure(left, right, x[:, :1])
    np.testing.assert_allclose(fit.coefficients, [1.03320986170725, 1.57432344656139], rtol=1e-7)
    assert fit.scale == pytest.approx(1.17636408621453, rel=1e-6)
    assert fit.loglik == pytest.approx(-100.660364475754, rel=1e-10)


def test_the_profile_interval_is_where_the_likelihood_falls() -> None:
    left, right, x = arrays("p06")
    row = interval_regression(table(left, right, x[:, 0].astype(int))).row(0, named=True)
    assert (row["arm"], row["reference_arm"], row["statistic"]) == ("1", "0", "hazard_ratio")
    fit = interval_hazards(left, right, x[:, :1])
    for limit in (row["lower"], row["upper"]):
        fall = 2 * (fit.loglik - fit.likelihood(np.log([limit]))[0])
        assert fall == pytest.approx(3.841458820694124, rel=1e-7)


def test_the_score_is_the_derivative_of_the_profile() -> None:
    fit = interval_hazards(*arrays("pbcseq"))
    beta, step = fit.coefficients + 0.1, 1e-5
    moved = [beta + step * e for e in np.eye(2)], [beta - step * e for e in np.eye(2)]
    value, score, _ = zip(*(fit.likelihood(one) for side in moved for one in side), strict=True)
    np.testing.assert_allclose(
        (np.array(value[:2]) - value[2:]) / (2 * step), fit.likelihood(beta)[1], rtol=1e-5
    )
    np.testing.assert_allclose(
        (np.array(score[2:]) - score[:2]) / (2 * step), fit.likelihood(beta)[2], rtol=1e-4
    )


def test_weibull_rows() -> None:
    left, right, x = arrays("p06")
    rows = interval_regression(table(left, right, x[:, 0].astype(int)), model="weibull")
    assert rows.schema == RESULTS
    assert rows["statistic"].to_list() == ["hazard_ratio", "time_ratio", "shape", "likelihood_ratio_test"]
    fit = accelerated_failure(left, right, x[:, :1])
    assert rows["estimate"][1] == pytest.approx(np.exp(fit.coefficients[1]))
    assert rows["estimate"][0] == pytest.approx(np.exp(-fit.coefficients[1] / fit.scale))
    # the delta method by differences: -b / sigma along (b, log sigma)
    slope = np.array([-1, fit.coefficients[1]]) / fit.scale
    assert rows["std_error"][0] == pytest.approx(np.sqrt(slope @ fit.covariance[1:, 1:] @ slope))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.booleans()), min_size=4, max_size=25))
def test_scores_add_up_to_zero(seen: list[tuple[int, int, bool]]) -> None:
    left = np.array([30.0 * a for a, _, _ in seen])
    right = np.array([30.0 * (a + b) if e else np.inf for a, b, e in seen])
    for scores in SCORES:
        c = interval_scores(left, right, scores=scores)
        assert np.isfinite(c).all()
        assert c.sum() == pytest.approx(0, abs=1e-6)


def test_random_permutations_agree_with_the_approximation() -> None:
    left, right, x = arrays("pbcseq")
    rows = table(left, right, x[:, 0])
    approximate, counted = interval_log_rank(rows), interval_log_rank(rows, n_permutations=400)
    assert counted["p_value"][0] == pytest.approx(approximate["p_value"][0], abs=4 * counted["mc_error"][0])
    assert interval_log_rank(rows, n_permutations=400).equals(counted)
    assert not interval_log_rank(rows, n_permutations=400, seed=2).equals(counted)


INF = np.inf


@pytest.mark.parametrize("model", ["proportional_hazards", "weibull", "exponential", "lognormal"])
@pytest.mark.parametrize(
    ("left", "right", "word"),
    [
        ([0, 0, 5, 5], [INF] * 4, "none of 4 patients had an event"),
        ([0, 0, 5, 5], [5, 5, INF, INF], "no maximum"),  # every event in one arm
    ],
)
def test_what_cannot_be_fitted_has_a_row_that_says_so(
    left: list[float], right: list[float], word: str, model: str
) -> None:
    row = interval_regression(table(left, right, [0, 0, 1, 1]), model=model).row(0, named=True)
    assert row["estimate"] is None
    assert word in row["note"]


def test_degenerate_tests_have_a_note() -> None:
    one_arm = interval_log_rank(table([0, 0], [5, INF], [1, 1])).row(0, named=True)
    assert "one arm only" in one_arm["note"]
    one_place = interval_log_rank(table([0, 0], [5, 5], [0, 1])).row(0, named=True)
    assert "same score" in one_place["note"]
    for model in ("proportional_hazards", "weibull"):
        row = interval_regression(table([0, 0, 0], [5, 5, 5], [0, 1, 1]), model=model).row(0, named=True)
        assert row["estimate"] is None
        assert row["note"]


def test_singular_designs_and_wrong_words_are_refused() -> None:
    left, right, x = arrays("p06")
    with pytest.raises(TableError, match="depend on each other"):
        interval_hazards(left, right, np.column_stack((x[:, 0], 2 * x[:, 0])))
    with pytest.raises(TableError, match="depend on each other"):
        accelerated_failure(left, right, np.ones((left.size, 1)))
    with pytest.raises(TableError, match="above 0"):
        accelerated_failure([0.0, 1], [0.0, 2], np.empty((2, 0)))
    rows = table(left, right, x[:, 0])
    with pytest.raises(RequestError, match="Did you mean 'weibull'"):
        interval_regression(rows, model="weibul")
    with pytest.raises(RequestError, match="Did you mean 'wilcoxon'"):
        interval_log_rank(rows, scores="wilcox")
    with pytest.raises(TableError, match="age"):
        interval_regression(rows, terms=["age"])
    few = pl.DataFrame({"patient_id": ["p0"], "age": [40]})
    with pytest.raises(TableError, match="59 of 60 patients"):
        interval_regression(rows, few, terms=["age"])
    with pytest.raises(TableError, match="delayed entry"):
        interval_regression(rows.with_columns(pl.lit(1).alias("entry_day")))


@pytest.mark.parametrize("last", [10, 40_000, 10**9])
def test_times_far_apart_in_two_cells_are_fitted_by_hand(last: float) -> None:
    """2 of 8 by day 1, 4 more by the last day: both distributions can give 3/4 and 1/4, which settles both parameters."""
    left, right = [0.0] * 2 + [1.0] * 4 + [last] * 2, [1.0] * 2 + [last] * 4 + [np.inf] * 2
    for distribution, quantile in (
        ("weibull", lambda p: np.log(-np.log(p))),
        ("lognormal", lambda p: -ndtri(p)),
    ):
        fit = accelerated_failure(left, right, np.empty((8, 0)), distribution=distribution)
        scale = np.log(last) / (quantile(0.25) - quantile(0.75))
        assert fit.scale == pytest.approx(scale, rel=1e-8)
        assert fit.coefficients[0] == pytest.approx(-scale * quantile(0.75), rel=1e-8)


def test_a_fit_of_times_far_apart_is_at_the_top_of_the_likelihood() -> None:
    left = np.array([0.0, 3, 5, 16243, 0, 34462, 0])
    right = np.array([5.0, 7, 7, 30088, 39714, 39787, 1])
    is_b = np.array([0.0, 0, 1, 1, 0, 0, 1])
    fit = accelerated_failure(left, right, is_b, distribution="weibull")

    def loglik(intercept: float, slope: float, log_scale: float) -> float:
        shape, size = np.exp(-log_scale), np.exp(intercept + slope * is_b)
        return float(np.log(np.exp(-((left / size) ** shape)) - np.exp(-((right / size) ** shape))).sum())

    top = [*fit.coefficients, np.log(fit.scale)]
    assert fit.loglik == pytest.approx(loglik(*top), rel=1e-9)
    for k in range(3):
        for step in (-0.05, 0.05):
            assert loglik(*(value + step * (i == k) for i, value in enumerate(top))) < fit.loglik


@pytest.mark.parametrize("model", ["weibull", "lognormal"])
def test_events_seen_at_one_visit_only_have_no_scale(model: str) -> None:
    """Everybody seen on day 441: the later the start of the two intervals is told from it, the likelier, without end."""
    frame = pl.DataFrame(
        {
            "arm": list("BBBABABA"),
            "time_day": 441,
            "left_day": [441, 441, 441, 136, 141, 441, 441, 441],
            "right_day": [None, None, None, 441, 441, None, None, None],
            "is_event": [False] * 3 + [True] * 2 + [False] * 3,
        }
    )
    row = interval_regression(frame, model=model).row(0, named=True)
    assert (row["estimate"], row["std_error"], row["upper"]) == (None, None, None)
    assert "no maximum" in row["note"]
