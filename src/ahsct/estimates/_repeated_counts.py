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
_MOST_LOG = 300.0  # of a mean on the way to the maximum: no estimate lies there


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
    sandwich. The correlation is searched from 0 to the next value that its own coefficients reproduce: repeated steps
    need not get there.

    Raises
    ------
    RequestError
        No correlation between -1 / (size - 1) and 1 reproduces itself, or the equations have no solution on the way.
    """
    from scipy.optimize import brentq

    equations = _Equations(y, matrix, offset, patient)
    beta = log_linear(y, matrix, offset=offset).coefficients
    if correlation == "independence" or not equations.n_pairs:
        return equations.answer(beta, 0.0)

    def excess(alpha: float) -> float:
        nonlocal beta
        beta = equations.solve(beta, alpha)
        return equations.moments(beta)[1] - alpha

    near, at_near = 0.0, excess(0.0)
    if abs(at_near) < 1e-13:
        return equations.answer(beta, 0.0)
    end = 1.0 if at_near > 0 else -1 / (int(equations.sizes.max()) - 1)
    for share in (*np.linspace(0.05, 0.95, 19), 0.98, 0.99, 0.999, 0.9999):
        far = end * float(share)
        at_far = excess(far)
        if at_far * at_near <= 0:
            root = far if at_far == 0 else brentq(excess, near, far, xtol=1e-14, rtol=1e-14)
            return equations.answer(equations.solve(beta, float(root)), float(root))
        near, at_near = far, at_far
    raise RequestError(
        f"The estimating equations have no solution: the correlation within patients runs to {end:.3g}."
    )


class _Equations:
    """The estimating equations of counts of patients, all of a patient equally correlated."""

    def __init__(self, y: Floats, matrix: Floats, offset: Floats, patient: Counts) -> None:
        self.y, self.matrix, self.offset = y, matrix, offset
        _, self.codes = np.unique(patient, return_inverse=True)
        self.sizes = np.bincount(self.codes)
        self.n_pairs = int((self.sizes * (self.sizes - 1) // 2).sum())

    def moments(self, beta: Floats) -> tuple[float, float]:
        """Return scale and correlation of the Pearson residuals."""
        residual = self._residuals(beta)[1]
        scale = float(residual @ residual) / residual.size
        products = (np.bincount(self.codes, residual) ** 2 - np.bincount(self.codes, residual**2)).sum() / 2
        return scale, float(products) / self.n_pairs / scale if self.n_pairs and scale > 0 else 0.0

    def solve(self, beta: Floats, alpha: float) -> Floats:
        """Return the coefficients at a known correlation, by Newton steps; one that leads away from 0 is halved."""
        scores, bread = self._scores(beta, alpha)
        for _ in range(_MAX_STEPS):
            score = scores.sum(axis=0)
            try:
                step = -np.linalg.solve(self._slope(beta, alpha), score)
                size = float(score @ np.linalg.solve(bread, score))
            except np.linalg.LinAlgError:
                break
            if np.abs(step).max() <= 1e-12 * (1 + np.abs(beta).max()):
                return beta
            step /= max(1.0, float(np.abs(step).max()) / 2)
            for _ in range(40):
                scores, ahead = self._scores(beta + step, alpha)
                rest = scores.sum(axis=0)
                # so near that only rounding stands against a step, it is taken
                if float(rest @ np.linalg.solve(bread, rest)) < size or np.abs(step).max() < 1e-9:
                    break
                step = step / 2
            beta, bread = beta + step, ahead
        raise RequestError(f"The estimating equations have no solution at a correlation of {alpha:.3g}.")

    def answer(self, beta: Floats, alpha: float) -> Gee:
        """Return the coefficients with their sandwich covariance."""
        scores, bread = self._scores(beta, alpha)
        try:
            inverse = np.linalg.inv(bread)
        except np.linalg.LinAlgError as error:
            raise RequestError("The estimating equations have no finite solution.") from error
        return Gee(beta, inverse @ (scores.T @ scores) @ inverse, self.moments(beta)[0], alpha)

    def _residuals(self, beta: Floats) -> tuple[Floats, Floats]:
        root = np.exp((self.matrix @ beta + self.offset) / 2)
        return root, (self.y - root**2) / root

    def _scores(self, beta: Floats, alpha: float) -> tuple[Floats, Floats]:
        """Return each patient's score and the bread."""
        root, residual = self._residuals(beta)
        weighted = self.matrix * root[:, None]
        own = weighted * self._weigh(residual, alpha)[:, None]
        return self._by_patient(own), weighted.T @ self._weigh(weighted, alpha)

    def _slope(self, beta: Floats, alpha: float) -> Floats:
        """Return the derivative of the sum of scores by the coefficients."""
        root, residual = self._residuals(beta)
        weighted = self.matrix * root[:, None]
        fall = self.matrix * ((self.y + root**2) / (2 * root))[:, None]
        by_root = (weighted * (self._weigh(residual, alpha) / 2)[:, None]).T @ self.matrix
        return np.asarray(by_root - weighted.T @ self._weigh(fall, alpha))

    def _weigh(self, values: Floats, alpha: float) -> Floats:
        """Return the values of each patient times the inverse of (1 - alpha) I + alpha J."""
        shrunk = alpha / (1 + (self.sizes - 1) * alpha)
        share = shrunk * self._by_patient(values).T
        return np.asarray((values - share.T[self.codes]) / (1 - alpha))

    def _by_patient(self, values: Floats) -> Floats:
        if values.ndim == 1:
            return np.asarray(np.bincount(self.codes, values), dtype=np.float64)
        return np.column_stack([np.bincount(self.codes, column) for column in values.T])


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
        information, slope = curvature(at), loss(at)[1]
        if not (np.isfinite(information).all() and np.isfinite(slope).all()):
            raise RequestError("The Poisson model with a patient's own level did not converge.")
        step = np.linalg.lstsq(information, slope, rcond=None)[0]
        at = at - step
        if np.abs(step).max() < 1e-10:
            break
    else:
        raise RequestError("The Poisson model with a patient's own level did not converge.")
    information = curvature(at)
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        raise RequestError("The Poisson model with a patient's own level has no maximum that could be found.")
    covariance = np.asarray(np.linalg.inv(information)[:-1, :-1], dtype=np.float64)
    return PoissonNormal(at[:-1], float(np.exp(at[-1])), -loss(at)[0], covariance)


def _marginal(
    parameters: Floats, y: Floats, matrix: Floats, offset: Floats, codes: Counts
) -> tuple[float, Floats]:
    """Return the log likelihood and its gradient at (coefficients, log standard deviation)."""
    from scipy.special import gammaln

    eta = np.clip(matrix @ parameters[:-1] + offset, -_MOST_LOG, _MOST_LOG)
    sd = float(np.exp(min(parameters[-1], 10.0)))
    total, level = np.bincount(codes, y), np.bincount(codes, np.exp(eta))
    mode = np.zeros(total.size)
    for _ in range(100):  # of sd u total - level exp(sd u) - u^2 / 2, which is concave
        rise = level * np.exp(np.minimum(sd * mode, _MOST_LOG))
        step = (sd * (total - rise) - mode) / (sd**2 * rise + 1)
        mode = mode + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-13:
            break
    width = 1 / np.sqrt(sd**2 * level * np.exp(np.minimum(sd * mode, _MOST_LOG)) + 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    u = mode[:, None] + width[:, None] * nodes
    growth = np.exp(np.minimum(sd * u, _MOST_LOG))
    rise = level[:, None] * growth
    log_terms = sd * u * total[:, None] - rise - u**2 / 2 + nodes**2 / 2 + np.log(weights)
    largest = log_terms.max(axis=1, keepdims=True)
    terms = np.exp(log_terms - largest)
    sums = terms.sum(axis=1)
    integral = np.log(sums) + largest[:, 0] + np.log(width) - np.log(2 * np.pi) / 2
    likelihood = float((y * eta - gammaln(y + 1)).sum() + integral.sum())
    share = terms / sums[:, None]
    expected = np.exp(eta) * (share * growth).sum(axis=1)[codes]
    by_sd = float((share * u * (total[:, None] - rise)).sum()) * sd
    return likelihood, np.append(matrix.T @ (y - expected), by_sd)
