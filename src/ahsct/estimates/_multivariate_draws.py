"""Draws of a patient's visits from their joint normal law, given what was seen: parameters and missing values.

Visits follow one another by regression: y_t on the arm, the covariates and the visits before it. Where
patients only drop out, these regressions have independent posteriors that can be drawn outright; values
missing in between are drawn in turn with the parameters (monotone data augmentation).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError

Array = npt.NDArray[np.float64]

_LEAST_FREEDOM = 3  # with fewer a drawn variance has no mean, and neither has what is imputed from it
BURN_IN, THIN = 100, 10  # rounds; only where values are missing in between


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """One draw: visits' means are X @ `coefficients` (p x T), their covariance `covariance` (T x T)."""

    coefficients: Array
    covariance: Array


def draws(y: Array, X: Array, rng: Any, *, n_draws: int) -> Iterator[tuple[Parameters, Array]]:
    """Yield parameters and y with the values missing in between filled in; after dropout y stays NaN.

    Parameters
    ----------
    y
        Patients x visits, NaN where missing.
    X
        Columns of the means (patients x p), the same at all visits.

    Raises
    ------
    TableError
        Too few patients were seen at a visit to fit its regression.

    References
    ----------
    Schafer (1997), doi:10.1201/9780367803025, sections 6.4 and 6.5 (monotone data, independent priors
    proportional to 1 / sigma^2).
    """
    last = last_seen(y)
    between = np.isnan(y) & (np.arange(y.shape[1]) <= last[:, None])
    filled = np.where(between, np.nanmean(np.where(np.isnan(y).all(axis=0), 0.0, y), axis=0), y)
    if not between.any():
        for _ in range(n_draws):
            yield _parameters(filled, X, last, rng), filled
        return
    patterns = _patterns(between, last)
    for step in range(BURN_IN + n_draws * THIN):
        at = _parameters(filled, X, last, rng)
        filled = _fill_between(filled, X @ at.coefficients, at.covariance, patterns, rng)
        if step >= BURN_IN and (step - BURN_IN) % THIN == THIN - 1:
            yield at, filled.copy()


def last_seen(y: Array) -> npt.NDArray[np.intp]:
    """Return the place of each patient's last value, -1 where there is none."""
    seen = ~np.isnan(y)
    return np.where(seen.any(axis=1), y.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1), -1)


def drawn_given(
    means: Array, covariance: Array, known: npt.NDArray[np.bool_], y: Array, noise: Array
) -> Array:
    """Return the unknown visits of patients (rows) who share the known ones: conditional mean + root @ noise."""
    centre, spread = means[:, ~known], covariance[np.ix_(~known, ~known)]
    if known.any():
        across = covariance[np.ix_(known, ~known)]
        weights = np.linalg.pinv(covariance[np.ix_(known, known)], rcond=1e-14, hermitian=True) @ across
        centre = centre + (y[:, known] - means[:, known]) @ weights
        spread = spread - weights.T @ across
    try:
        root = np.linalg.cholesky(spread)
    except np.linalg.LinAlgError:  # singular but for rounding
        values, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(centre + noise @ root.T)


def _parameters(y: Array, X: Array, last: npt.NDArray[np.intp], rng: Any) -> Parameters:
    """Draw the regression of every visit on X and earlier visits, and put them together."""
    p, n_visits = X.shape[1], y.shape[1]
    direct, onto, variances = np.zeros((p, n_visits)), np.zeros((n_visits, n_visits)), np.zeros(n_visits)
    for t in range(n_visits):
        rows = last >= t
        design = np.column_stack([X[rows], y[rows, :t]])
        freedom = int(rows.sum()) - design.shape[1]
        q, r = np.linalg.qr(design)
        if freedom < _LEAST_FREEDOM or np.abs(np.diag(r)).min() < 1e-9 * np.abs(np.diag(r)).max():
            raise TableError(
                f"visit {t + 1} of {n_visits} was reached by {int(rows.sum())} patients, too few (or too much "
                f"alike) for a regression on {X.shape[1]} columns of arms and covariates and {t} earlier visits: three more "
                "than coefficients are needed."
            )
        projected = q.T @ y[rows, t]
        left = y[rows, t] - q @ projected
        if not np.linalg.norm(left) > 1e-9 * np.linalg.norm(y[rows, t]):
            raise TableError(f"the values at visit {t + 1} lie exactly on a line of what came before.")
        variances[t] = float(left @ left) / rng.chisquare(freedom)
        drawn = np.linalg.solve(r, projected + np.sqrt(variances[t]) * rng.standard_normal(design.shape[1]))
        direct[:, t], onto[t, :t] = drawn[:p], drawn[p:]
    total = np.linalg.inv(np.eye(n_visits) - onto)
    return Parameters(coefficients=direct @ total.T, covariance=(total * variances) @ total.T)


def _fill_between(
    y: Array,
    means: Array,
    covariance: Array,
    patterns: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]],
    rng: Any,
) -> Array:
    filled = y.copy()
    for rows, known in patterns:
        reach, noise = slice(0, known.size), rng.standard_normal((rows.size, int((~known).sum())))
        drawn = drawn_given(means[rows, reach], covariance[reach, reach], known, y[rows, reach], noise)
        filled[np.ix_(rows, np.flatnonzero(~known))] = drawn
    return filled


def _patterns(
    between: npt.NDArray[np.bool_], last: npt.NDArray[np.intp]
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]]:
    """Return the patients of each pattern of values missing in between, and what is known up to the last."""
    kinds, code = np.unique(np.column_stack([last, between]), axis=0, return_inverse=True)
    return [
        (np.flatnonzero(code.reshape(-1) == number), ~kind[1 : kind[0] + 2].astype(bool))
        for number, kind in enumerate(kinds)
        if kind[1:].any()
    ]
