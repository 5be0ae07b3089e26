"""Counts of the same patient in several periods: estimating equations, and a Poisson model with a patient's own level."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._glm import log_linear
from ahsct.estimates._risk_table import Counts, Floats

CORRELATIONS = ("independence", "exchangeable")
_NODES = 25
_MAX_STEPS = 200


class Gee(NamedTuple):
    """Coefficients, sandwich covariance, scale and correlation within patients."""

    coefficients: Floats
    covariance: Floats
    scale: float
    correlation: float


def fit_gee(y: Floats, matrix: Floats, offset: Floats, patient: Counts, *, correlation: str) -> Gee:
    """Solve the estimating equations of log-linear counts, the variance in proportion to the mean.

    Scale and correlation are moments without a correction for the number of coefficients, as in R's geepack: the mean
    squared Pearson residual, and the mean product of two of a patient, over the scale. The covariance is the plain
    sandwich.
    """
    start = log_linear(y, matrix, offset=offset)
    beta, members = start.coefficients, [np.flatnonzero(patient == one) for one in np.unique(patient)]
    scale = alpha = 0.0
    for _ in range(_MAX_STEPS):
        mean = np.exp(matrix @ beta + offset)
        residual = (y - mean) / np.sqrt(mean)
        scale = float(residual @ residual) / y.size
        if correlation == "exchangeable":
            products = [np.triu(np.outer(residual[rows], residual[rows]), 1).sum() for rows in members]
            pairs = sum(rows.size * (rows.size - 1) // 2 for rows in members)
            alpha = float(np.sum(products)) / pairs / scale if pairs and scale > 0 else 0.0
        bread, meat = np.zeros((beta.size, beta.size)), np.zeros((beta.size, beta.size))
        score = np.zeros(beta.size)
        for rows in members:
            inverse = _inverse_exchangeable(rows.size, alpha)
            weighted = (matrix[rows] * np.sqrt(mean[rows])[:, None]).T @ inverse
            bread += weighted @ (matrix[rows] * np.sqrt(mean[rows])[:, None])
            own = weighted @ residual[rows]
            score += own
            meat += np.outer(own, own)
        step = np.linalg.solve(bread, score)
        if np.abs(step).max() <= 1e-12 * (1 + np.abs(beta).max()):
            inverse_bread = np.linalg.inv(bread)
            return Gee(beta, inverse_bread @ meat @ inverse_bread, scale, alpha)
        beta = beta + step
    raise RequestError(f"The estimating equations did not converge in {_MAX_STEPS} steps.")


class PoissonNormal(NamedTuple):
    """Coefficients, standard deviation of the patients' log levels, log likelihood, covariance of the coefficients."""

    coefficients: Floats
    patient_sd: float
    log_likelihood: float
    covariance: Floats


def fit_poisson_normal(y: Floats, matrix: Floats, offset: Floats, patient: Counts) -> PoissonNormal:
    """Fit counts that are Poisson given a normal log level of the patient, by adaptive Gauss-Hermite quadrature.

    25 nodes; the covariance is that of the observed information of coefficients and the log standard deviation
    together. Where patients differ no more than chance the standard deviation is 0 and the fit is Poisson.
    """
    from scipy.optimize import minimize

    poisson = log_linear(y, matrix, offset=offset)
    _, codes = np.unique(patient, return_inverse=True)
    total, mean = np.bincount(codes, y), np.bincount(codes, poisson.means)
    if ((total - mean) ** 2 - mean).sum() <= 0:
        likelihood, _ = _marginal(np.append(poisson.coefficients, -np.inf), y, matrix, offset, codes)
        return PoissonNormal(poisson.coefficients, 0.0, likelihood, poisson.covariance)

    def loss(parameters: Floats) -> tuple[float, Floats]:
        likelihood, gradient = _marginal(parameters, y, matrix, offset, codes)
        return -likelihood, -gradient

    def curvature(at: Floats) -> Floats:
        steps = 1e-5 * np.eye(at.size)
        rows = np.array([(loss(at + step)[1] - loss(at - step)[1]) / 2e-5 for step in steps])
        return np.asarray((rows + rows.T) / 2)

    start = np.append(poisson.coefficients, np.log(0.5))
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 500})
    at = np.asarray(found.x)
    for _ in range(20):
        step = np.linalg.lstsq(curvature(at), loss(at)[1], rcond=None)[0]
        at = at - step
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise RequestError("The Poisson model with a patient's own level did not converge.")
    covariance = np.asarray(np.linalg.inv(curvature(at))[:-1, :-1], dtype=np.float64)
    return PoissonNormal(at[:-1], float(np.exp(at[-1])), -loss(at)[0], covariance)


def _marginal(
    parameters: Floats, y: Floats, matrix: Floats, offset: Floats, codes: Counts
) -> tuple[float, Floats]:
    """Return the log likelihood and its gradient at (coefficients, log standard deviation)."""
    from scipy.special import gammaln

    eta, sd = matrix @ parameters[:-1] + offset, float(np.exp(parameters[-1]))
    total, level = np.bincount(codes, y), np.bincount(codes, np.exp(eta))
    mode = np.zeros(total.size)
    for _ in range(100):  # of sd u total - level exp(sd u) - u^2 / 2, which is concave
        rise = level * np.exp(sd * mode)
        step = (sd * (total - rise) - mode) / (sd**2 * rise + 1)
        mode = mode + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-13:
            break
    width = 1 / np.sqrt(sd**2 * level * np.exp(sd * mode) + 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    u = mode[:, None] + width[:, None] * nodes
    rise = level[:, None] * np.exp(sd * u)
    log_terms = sd * u * total[:, None] - rise - u**2 / 2 + nodes**2 / 2 + np.log(weights)
    largest = log_terms.max(axis=1, keepdims=True)
    terms = np.exp(log_terms - largest)
    sums = terms.sum(axis=1)
    integral = np.log(sums) + largest[:, 0] + np.log(width) - np.log(2 * np.pi) / 2
    likelihood = float((y * eta - gammaln(y + 1)).sum() + integral.sum())
    share = terms / sums[:, None]
    expected = np.exp(eta) * (share * np.exp(sd * u)).sum(axis=1)[codes]
    by_sd = float((share * u * (total[:, None] - rise)).sum()) * sd
    return likelihood, np.append(matrix.T @ (y - expected), by_sd)


def _inverse_exchangeable(size: int, alpha: float) -> Floats:
    """Return the inverse of (1 - alpha) I + alpha J."""
    identity = np.eye(size)
    return np.asarray((identity - alpha / (1 + (size - 1) * alpha)) / (1 - alpha) if alpha else identity)
