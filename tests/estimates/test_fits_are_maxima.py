"""Iterative fits end at the highest top, in whatever units: against plain grids, on data sets where a search once failed."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import chi2

from ahsct.estimates._cox_likelihood import partial_likelihood
from ahsct.estimates._risk_sets import risk_sets
from ahsct.estimates.accelerated_failure import DISTRIBUTIONS, accelerated_failure
from ahsct.estimates.interval_regression import interval_regression
from ahsct.estimates.mixed_model import linear_mixed_model
from ahsct.evidence.glmm import binomial_normal
from ahsct.evidence.heterogeneity import tau2_interval
from ahsct.evidence.random_effects import fit_random_effects


def dense_deviance(theta: tuple[float, float], y: np.ndarray, X: np.ndarray, code: np.ndarray) -> float:
    """Return the restricted deviance, residual variance profiled out, of independent random columns X."""
    V = np.eye(y.size) + (code[:, None] == code) * ((X * np.square(theta)) @ X.T)
    W = np.linalg.inv(V)
    information = X.T @ W @ X
    residual = y - X @ np.linalg.solve(information, X.T @ W @ y)
    freedom = y.size - X.shape[1]
    logs = np.linalg.slogdet(V).logabsdet + np.linalg.slogdet(information).logabsdet
    return float(freedom * np.log(residual @ W @ residual) + logs)


@pytest.mark.parametrize("seed", [26, 31, 34, 36, 61, 79])
def test_no_other_pair_of_standard_deviations_is_more_likely(seed: int) -> None:
    # one of the two is 0 or nearly: the search, begun with both alike, once ended on the wrong side of the boundary
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(8), rng.integers(1, 5, 8))
    t = rng.choice([0, 0.5, 1, 2, 3, 5], code.size)
    y = rng.normal(size=8)[code] * t * rng.choice([0.1, 1])
    y = y + rng.normal(size=code.size) * rng.choice([0.05, 1])
    X = np.column_stack([np.ones(code.size), t])
    fit = linear_mixed_model(y, X, code, Z=X, is_correlated=False)
    found = np.sqrt(np.diag(fit.random_covariance) / fit.residual_variance)
    sizes = (0.0, *np.geomspace(1e-2, 1e2, 25))
    others = [dense_deviance((a, b), y, X, code) for a in sizes for b in sizes]
    assert dense_deviance((found[0], found[1]), y, X, code) <= min(others) + 1e-7


@pytest.mark.parametrize("method", ["REML", "ML", "PM"])
@pytest.mark.parametrize("power", [-20, 20])
def test_variance_between_studies_does_not_depend_on_the_unit(method: str, power: int) -> None:
    y, v, unit = np.array([0.1, 0.9, -0.4, 1.6]), np.array([0.1, 0.3, 0.05, 0.4]), 2.0**power
    plain, other = (fit_random_effects(y * u, v * u**2, tau2=method) for u in (1.0, unit))
    assert other.tau2 / unit**2 == pytest.approx(plain.tau2, rel=1e-9)
    assert np.array(tau2_interval(other)) / unit**2 == pytest.approx(np.array(tau2_interval(plain)), rel=1e-9)


@pytest.fixture
def seen_at_visits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    time = np.exp(5 + 0.4 * x + 0.5 * np.log(rng.exponential(size=40)))
    left = np.floor(time / 90) * 90
    return np.minimum(left, 450), np.where(left > 400, np.inf, left + 90), x


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(("size", "zero"), [(1e-6, 0), (1e6, 0), (1, 2010)])
def test_time_ratios_do_not_depend_on_the_covariates_unit_or_zero(
    seen_at_visits: tuple[np.ndarray, ...], distribution: str, size: float, zero: float
) -> None:
    left, right, x = seen_at_visits
    plain = accelerated_failure(left, right, x, distribution=distribution)
    other = accelerated_failure(left, right, x * size + zero, distribution=distribution)
    assert other.loglik == pytest.approx(plain.loglik, abs=1e-8)
    assert other.coefficients[1] * size == pytest.approx(plain.coefficients[1], rel=1e-7)
    assert other.covariance[1, 1] * size**2 == pytest.approx(plain.covariance[1, 1], rel=1e-7)
    assert other.coefficients[0] + zero * other.coefficients[1] == pytest.approx(plain.coefficients[0])


def test_profile_limits_of_interval_hazards_do_not_depend_on_the_unit(
    seen_at_visits: tuple[np.ndarray, ...],
) -> None:
    left, right, x = seen_at_visits
    found = []
    for size in (1.0, 50.0, 1 / 50):
        frame = pl.DataFrame({"patient_id": [str(i) for i in range(40)], "time_day": left, "left_day": left, "x": x * size,
            "right_day": [float(r) if np.isfinite(r) else None for r in right], "is_event": np.isfinite(right)})  # fmt: skip
        row = interval_regression(frame, terms=["x"]).row(0, named=True)
        found.append([np.log(row[name]) * size for name in ("estimate", "lower", "upper")])
    assert found[1] == pytest.approx(found[0], rel=1e-7)
    assert found[2] == pytest.approx(found[0], rel=1e-7)


def test_profile_limit_where_it_needs_a_wide_spread_of_the_studies() -> None:
    # two events in 262 patients: the lower limit lies where the best tau is 8, once looked for up to 5 only
    events, n = np.array([0.0, 1.0, 0.0, 0.0, 1.0]), np.array([31.0, 20.0, 111.0, 90.0, 10.0])
    fit = binomial_normal(events, n, interval="profile")
    z = np.linspace(-9, 9, 2001)
    weight = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])

    def loglik(mean: float, tau: float) -> float:
        eta = mean + tau * z
        each = np.exp(events[:, None] * eta - n[:, None] * np.logaddexp(0, eta)) @ weight
        return float(np.log(each).sum())

    for limit in (fit.lower[0], fit.upper[0]):
        best = max(loglik(limit, tau) for tau in np.linspace(0, 20, 401))
        assert 2 * (fit.log_likelihood - best) == pytest.approx(chi2.ppf(0.95, 1), abs=0.03)


def test_strata_far_apart_in_risk_cost_no_digits() -> None:
    # a stratum of hazards exp(-50) after one of hazards 1: together they give the sum of what each gives alone
    rng = np.random.default_rng(1)
    time, is_event = rng.permutation(24) + 1.0, rng.random(24) < 0.7
    stratum = np.repeat([0, 1], 12)
    far = np.repeat([0.0, -50.0], 12)
    x = np.column_stack([rng.normal(size=24), far])
    beta = np.array([0.4, 1.0])

    def parts(rows: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        sets = risk_sets(time[rows], is_event[rows], stratum=stratum[rows])
        value, score, information = partial_likelihood(x[rows][sets.order], sets, beta)
        return value, score[:1], information[:1, :1]

    both, one, other = (parts(rows) for rows in (stratum >= 0, stratum == 0, stratum == 1))
    for whole, first, second in zip(both, one, other, strict=True):
        assert whole == pytest.approx(first + second, rel=1e-10)
