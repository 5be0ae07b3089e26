"""The fitted variances are those of the largest likelihood: against a plain grid over dense matrices, on many data sets."""

import numpy as np
import pytest
from scipy.optimize import minimize

from ahsct.estimates.mixed_model import linear_mixed_model


def dense_deviance(theta: float, y: np.ndarray, X: np.ndarray, code: np.ndarray) -> float:
    """Return the restricted deviance from the n x n covariance itself, up to a constant."""
    V = np.eye(y.size) + theta**2 * (code[:, None] == code)
    W = np.linalg.inv(V)
    information = X.T @ W @ X
    residual = y - X @ np.linalg.solve(information, X.T @ W @ y)
    freedom = y.size - X.shape[1]
    logs = (np.linalg.slogdet(V).logabsdet, np.linalg.slogdet(information).logabsdet)
    return float(freedom * np.log(residual @ W @ residual) + sum(logs))


@pytest.mark.parametrize("seed", [0, 19, 30, 47, 68, 70])
def test_no_other_standard_deviation_between_patients_is_more_likely(seed: int) -> None:
    # 19 patients with early and late slopes, as brain volumes: some fits once stopped at the grid's start,
    # where a Newton step leads to its mirror image
    rng = np.random.default_rng(seed)
    code = np.repeat(np.arange(19), rng.integers(4, 9, 19))
    t = rng.uniform(0, 9, code.size)
    y = -0.9 * np.minimum(t, 2.5) - 0.2 * np.maximum(t - 2.5, 0)
    y = y + rng.normal(0, 10 ** rng.uniform(-1.5, 1), 19)[code] + rng.normal(0, 0.3, code.size)
    X = np.column_stack([np.ones_like(t), np.minimum(t, 2.0), np.maximum(t - 2.0, 0)])
    fit = linear_mixed_model(y, X, code)
    found = float(np.sqrt(fit.random_covariance[0, 0] / fit.residual_variance))
    least = dense_deviance(found, y, X, code)
    others = [dense_deviance(theta, y, X, code) for theta in (0.0, *np.geomspace(1e-2, 1e2, 25))]
    assert least <= min(others) + 1e-7


@pytest.mark.parametrize("seed", [50, 54, 56, 59])
def test_no_other_covariance_of_random_slopes_is_more_likely(seed: int) -> None:
    # data on which steps once ended at a zero of the triangle, where the likelihood has a saddle
    rng = np.random.default_rng(seed)
    n_groups = rng.integers(5, 25)
    code = np.repeat(np.arange(n_groups), rng.integers(2, 9, n_groups))
    t = rng.uniform(0, 6, code.size)
    slope_sd, level_sd = rng.choice([0, 0.05, 0.25, 1.0]), 10 ** rng.uniform(-1.5, 1)
    level, slope = rng.normal(0, level_sd, n_groups), -0.3 + rng.normal(0, slope_sd, n_groups)
    y = level[code] + slope[code] * t + rng.normal(0, 0.4, code.size)
    X = np.column_stack([np.ones_like(t), t])

    def deviance(D: np.ndarray) -> float:
        V = np.eye(y.size) + (X @ D @ X.T) * (code[:, None] == code)
        W = np.linalg.inv(V)
        information = X.T @ W @ X
        residual = y - X @ np.linalg.solve(information, X.T @ W @ y)
        logs = np.linalg.slogdet(V).logabsdet + np.linalg.slogdet(information).logabsdet
        return float((y.size - 2) * np.log(residual @ W @ residual) + logs)

    def of_triangle(entries: np.ndarray) -> float:
        L = np.array([[entries[0], 0.0], [entries[1], entries[2]]])
        return deviance(L @ L.T)

    fit = linear_mixed_model(y, X, code, Z=X)
    least = deviance(fit.random_covariance / fit.residual_variance)
    for start in ([level_sd, 0.0, 0.3], [1.0, 0.5, 0.01], [0.3, -0.2, 1.5]):
        other = minimize(
            of_triangle, start, method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 600}
        )
        assert least <= other.fun + 1e-6
