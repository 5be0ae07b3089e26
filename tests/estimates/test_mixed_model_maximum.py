"""The fitted variances are those of the largest likelihood: against a plain grid over dense matrices, on many data sets."""

import numpy as np
import pytest

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
