"""Generalised linear models by Fisher scoring: logistic, Poisson and negative binomial with a known dispersion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._risk_table import Floats
from ahsct.vocabulary import require_columns

_MAX_STEPS = 100
_MOST_CHANGE = 20.0  # of a linear predictor in one step: beyond it a mean may overflow


class Glm(NamedTuple):
    """Coefficients, fitted means, inverse of the expected information, log likelihood (less what y alone makes)."""

    coefficients: Floats
    means: Floats
    covariance: Floats
    log_likelihood: float


def design(
    function: str, table: str, frame: pl.DataFrame, covariates: Sequence[str], *, intercept: bool = True
) -> Floats:
    """Return the design matrix of these columns, a constant first, or say what is wrong with them.

    Raises
    ------
    TableError
        A column is missing, no number or not known for everybody.
    RequestError
        A column is the same for everybody or follows from the others.
    """
    require_columns(function, table, frame, covariates)
    columns = [np.ones(frame.height)] if intercept else []
    for name in covariates:
        kind = frame[name].dtype
        if not (kind.is_numeric() or kind == pl.Boolean):
            raise TableError(
                f"{function} needs numbers or true/false in `{table}.{name}`, which is {kind}: make one column per "
                "category but one."
            )
        values = frame[name].cast(pl.Float64)
        n_unknown = int((~values.is_finite().fill_null(False)).sum())
        if n_unknown:
            raise TableError(
                f"{function} needs `{table}.{name}` of everybody; {n_unknown} of {frame.height} rows lack it."
            )
        columns.append(values.to_numpy())
    matrix = np.column_stack(columns) if columns else np.empty((frame.height, 0))
    require_full_rank(function, matrix, covariates)
    return matrix


def require_full_rank(function: str, matrix: Floats, covariates: Sequence[str]) -> None:
    """Refuse columns of which one follows from the others."""
    scale = np.maximum(np.abs(matrix).max(axis=0, initial=0.0), 1e-300)
    if matrix.shape[1] and np.linalg.matrix_rank(matrix / scale) < matrix.shape[1]:
        raise RequestError(
            f"{function} cannot tell the effects of {', '.join(covariates) or 'a constant'} apart in {len(matrix)} "
            "rows: a column is constant, or follows from the others, or there are too few patients."
        )


def logistic(
    y: Floats, matrix: Floats, *, weights: Floats | None = None, offset: Floats | float = 0.0
) -> Glm:
    """Fit P(y = 1) = expit(matrix @ coefficients + offset) by maximum likelihood.

    Raises
    ------
    RequestError
        The columns separate the two outcomes: no estimate is finite.
    """
    sign = np.where(y == 1, 1.0, -1.0)
    if separating_direction(matrix, sign) is not None:
        raise RequestError(
            "Logistic regression has no finite estimate: the columns separate the two outcomes completely or almost "
            "(as where a category holds one outcome only). Merge categories or leave the column out."
        )

    def moments(eta: Floats) -> _Moments:
        mean = 1 / (1 + np.exp(-eta))
        return _Moments(mean, mean * (1 - mean), mean * (1 - mean), y * eta - np.logaddexp(0, eta))

    return _scoring(y, matrix, np.ones(y.size) if weights is None else weights, offset, moments, None)


def log_linear(
    y: Floats,
    matrix: Floats,
    *,
    offset: Floats | float = 0.0,
    dispersion: float = 0.0,
    start: Floats | None = None,
) -> Glm:
    """Fit E(y) = exp(matrix @ coefficients + offset), the variance being mean + dispersion * mean^2.

    That the estimate is finite has to be known before (`separating_direction`).
    """

    def moments(eta: Floats) -> _Moments:
        mean = np.exp(np.clip(eta, -700, 700))
        if dispersion == 0:
            return _Moments(mean, mean, mean, y * eta - mean)
        log_likelihood = y * eta - (y + 1 / dispersion) * np.log1p(dispersion * mean)
        # far from a top scoring by the expected information circles around it; this one is never below 0 either
        observed = mean * (1 + dispersion * y) / (1 + dispersion * mean) ** 2
        return _Moments(mean, mean, mean + dispersion * mean**2, log_likelihood, observed)

    if start is None and matrix.shape[1]:
        weight = np.sqrt(y + 0.1)
        near = np.linalg.lstsq(matrix * weight[:, None], (np.log(y + 0.1) - offset) * weight, rcond=None)[0]
        start = np.asarray(near, dtype=np.float64)
    return _scoring(y, matrix, np.ones(y.size), offset, moments, start)


def separating_direction(matrix: Floats, sign: Floats) -> Floats | None:
    """Return a direction along which the likelihood never falls, if there is one: no estimate is finite then.

    `sign` is +1 where the linear predictor may rise without loss, -1 where it may fall, 0 where it has to stay.
    """
    from scipy.optimize import linprog

    free = sign != 0
    matrix = matrix / np.maximum(np.abs(matrix).max(axis=0, initial=0.0), 1e-300)
    rising, fixed = matrix[free] * sign[free, None], matrix[~free]
    found = linprog(
        -rising.sum(axis=0),
        A_ub=-rising if rising.size else None,
        b_ub=np.zeros(len(rising)) if rising.size else None,
        A_eq=fixed if fixed.size else None,
        b_eq=np.zeros(len(fixed)) if fixed.size else None,
        bounds=(-1, 1),
    )
    return np.asarray(found.x) if found.status == 0 and float(found.fun or 0) < -1e-7 else None


class _Moments(NamedTuple):
    mean: Floats
    slope: Floats
    variance: Floats
    log_likelihood: Floats
    observed: Floats | None = None


def _scoring(
    y: Floats,
    matrix: Floats,
    weights: Floats,
    offset: Floats | float,
    moments: Callable[[Floats], _Moments],
    start: Floats | None,
) -> Glm:
    # orthogonal columns: calendar years beside a constant would cost half of the digits
    basis, triangle = np.linalg.qr(matrix)
    beta = np.zeros(matrix.shape[1]) if start is None else triangle @ start
    now = moments(basis @ beta + offset)
    for _ in range(_MAX_STEPS):
        curvature = now.slope**2 / now.variance if now.observed is None else now.observed
        information = (basis * (weights * curvature)[:, None]).T @ basis
        score = basis.T @ (weights * (y - now.mean) * now.slope / now.variance)
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            raise RequestError("A regression cannot be fitted: counts and times differ too widely.") from None
        step /= max(1.0, float(np.abs(basis @ step).max(initial=0.0)) / _MOST_CHANGE)
        value = float(weights @ now.log_likelihood)
        for _ in range(30):
            ahead = moments(basis @ (beta + step) + offset)
            if float(weights @ ahead.log_likelihood) >= value - 1e-12 * (1 + abs(value)):
                break
            step = step / 2
        beta, now = beta + step, ahead
        if np.abs(step).max(initial=0.0) <= 1e-11 * (1 + np.abs(beta).max(initial=0.0)):
            break
    else:
        raise RequestError(
            f"A regression did not converge in {_MAX_STEPS} steps; its columns may be nearly the same."
        )
    information = (basis * (weights * now.slope**2 / now.variance)[:, None]).T @ basis
    back = np.linalg.inv(triangle)
    covariance = np.asarray(back @ np.linalg.inv(information) @ back.T, dtype=np.float64)
    return Glm(back @ beta, now.mean, covariance, float(weights @ now.log_likelihood))
