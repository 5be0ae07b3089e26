"""Newton's method for a concave log-likelihood, with step halving and a refusal where there is no maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ahsct.errors import TableError
from ahsct.estimates._risk_table import Floats

Likelihood = Callable[[Floats], tuple[float, Floats, Floats]]
"""Parameters to log-likelihood, score and information (minus the second derivative)."""

_MAX_STEPS = 100
_FARTHEST = 40.0  # log units: beyond, a likelihood that still rises is taken to rise for ever


class Maximum(NamedTuple):
    """Where the likelihood is highest, with the inverse of the information there."""

    estimate: Floats
    covariance: Floats
    loglik: float


def newton_maximum(
    function: str,
    likelihood: Likelihood,
    start: Floats,
    *,
    tolerance: float = 1e-10,
    farthest: float = _FARTHEST,
) -> Maximum:
    """Return the maximum; the Newton decrement there is below `tolerance` squared, or cannot be made smaller.

    A parameter that moves further than `farthest` from the start is taken to move for ever.

    Raises
    ------
    TableError
        The likelihood keeps rising towards infinite parameters (a group without events, for one), or does not
        depend on some combination of the parameters.
    """
    now = start = np.asarray(start, dtype=np.float64)
    value, score, information = likelihood(now)
    if not _is_finite((value, score, information)):
        raise TableError(
            f"{function}: the likelihood cannot be computed where the search starts: the times or the covariates span more "
            "than a computer's numbers. Use other units, or leave out what lies far from all others."
        )
    for _ in range(_MAX_STEPS):
        step = _direction(score, information)
        decrement = float(score @ step)
        if decrement < tolerance**2 or np.abs(now - start).max(initial=0) > farthest:
            break
        found = _uphill(likelihood, now, step, value, decrement)
        if found is None:
            break
        now, (value, score, information) = found
    eigen = np.linalg.eigvalsh(information) if now.size else np.ones(1)
    # a small decrement, or only rounding left: the likelihood could not rise by more than this
    settled = float(score @ _direction(score, information)) < 1e-8
    if (
        eigen.min() <= 1e-11 * max(eigen.max(), 1.0)
        or not settled
        or np.abs(now - start).max(initial=0) > farthest
    ):
        raise no_maximum(function)
    covariance: Floats = np.linalg.inv(information).astype(np.float64)
    return Maximum(now, covariance, value)


def no_maximum(function: str) -> TableError:
    """Return the error of a likelihood that has no maximum at finite values."""
    return TableError(
        f"{function}: the likelihood has no maximum at finite values, or does not tell some parameters apart. "
        "Look for a group without events (or with nothing but events), covariates that repeat each other, or "
        "states that nobody was seen in."
    )


def profile_limits(
    function: str, likelihood: Likelihood, maximum: Maximum, k: int, quantile: float
) -> tuple[float, float]:
    """Return the values of parameter k at which twice the log-likelihood, the others at their best, lies `quantile` lower.

    Raises
    ------
    TableError
        As for `newton_maximum`.
    """
    others = np.delete(np.arange(maximum.estimate.size), k)
    std_error = float(np.sqrt(maximum.covariance[k, k]))

    def fall(value: float, start: Floats) -> tuple[float, float, Floats]:
        def rest(part: Floats) -> tuple[float, Floats, Floats]:
            loglik, score, information = likelihood(np.insert(part, k, value))
            return loglik, score[others], information[np.ix_(others, others)]

        best = newton_maximum(function, rest, start) if others.size else Maximum(start, np.empty((0, 0)), 0.0)
        whole = np.insert(best.estimate, k, value)
        loglik, score, _ = likelihood(whole)
        return 2 * (maximum.loglik - loglik), -2 * score[k], best.estimate

    limits = []
    for sign in (-1.0, 1.0):
        value = float(maximum.estimate[k]) + sign * np.sqrt(quantile) * std_error
        near, far, start = float(maximum.estimate[k]), np.inf * sign, maximum.estimate[others]
        for _ in range(60):
            deviance, slope, start = fall(value, start)
            if abs(deviance - quantile) < 1e-9 * quantile:
                break
            near, far = (near, value) if deviance > quantile else (value, far)
            root = np.sqrt(max(deviance, 1e-300))
            step = 2 * root * (np.sqrt(quantile) - root) / slope if slope * sign > 0 else np.inf
            new = value + step
            is_between = min(near, far) < new < max(near, far)
            value = new if is_between else (near + far) / 2 if np.isfinite(far) else value + sign * std_error
            if abs(value) > _FARTHEST:
                value = sign * np.inf
                break
        else:
            if abs(deviance - quantile) > 1e-5 * quantile:
                raise TableError(
                    f"{function}: the search for a limit of the profile likelihood has not ended (twice the fall is "
                    f"{deviance:.4g} at {value:.4g}, wanted is {quantile:.4g})."
                )
        limits.append(float(value))
    return limits[0], limits[1]


def _uphill(
    likelihood: Likelihood, now: Floats, step: Floats, value: float, decrement: float
) -> tuple[Floats, tuple[float, Floats, Floats]] | None:
    """Return the first of ever shorter steps that raises the likelihood; None where rounding allows none."""
    length = 1.0
    while length > 1e-10:
        with np.errstate(all="ignore"):
            there = likelihood(now + length * step)
        if _is_finite(there) and there[0] >= value + 1e-4 * length * decrement:
            return now + length * step, there
        length /= 2
    return None


def _is_finite(found: tuple[float, Floats, Floats]) -> bool:
    return all(bool(np.isfinite(part).all()) for part in found)


def _direction(score: Floats, information: Floats) -> Floats:
    """Return an uphill step: Newton's, with eigenvalues kept away from zero where the likelihood is not concave."""
    if not score.size:
        return score
    eigen, vectors = np.linalg.eigh((information + information.T) / 2)
    floor = 1e-10 * max(float(np.abs(eigen).max()), 1e-300)
    step = vectors @ ((vectors.T @ score) / np.maximum(np.abs(eigen), floor))
    longest = np.abs(step).max()
    return np.asarray(step * min(1.0, 2.0 / max(longest, 1e-300)))
