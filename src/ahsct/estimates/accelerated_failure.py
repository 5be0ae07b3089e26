"""Parametric regression of event times that lie between two visits: the core of `interval_regression`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._newton import newton_maximum, no_maximum
from ahsct.estimates._risk_table import Floats

_NO_INFORMATION = (
    100.0  # of the error of a coefficient per standard deviation of its covariate, or of the log scale
)
DISTRIBUTIONS = ("weibull", "exponential", "lognormal")


class AcceleratedFailure(NamedTuple):
    r"""Intercept and coefficients of log time, the scale $\sigma$, the covariance of (coefficients, log scale), fit."""

    coefficients: Floats
    scale: float
    covariance: Floats
    loglik: float


def accelerated_failure(
    left: npt.ArrayLike, right: npt.ArrayLike, x: npt.ArrayLike, *, distribution: str = "weibull"
) -> AcceleratedFailure:
    r"""Fit $\log T = \beta_0 + x'\beta + \sigma W$ to events in (left, right].

    W follows the smallest-extreme-value distribution (Weibull times; exponential with $\sigma = 1$) or the normal
    (log-normal times). An event adds $\log(S(left) - S(right))$; where left = right, the log density of the time; where
    right is infinite, $\log S(left)$.

    Parameters
    ----------
    left, right
        Days or any unit, 0 <= left <= right; an exact time must be above 0.
    x
        Covariates without the intercept, shape (n, p), p may be 0.
    distribution
        "weibull", "exponential" or "lognormal".

    Raises
    ------
    TableError
        There is no maximum: no event, a group without events, a singular design, all events in one interval or seen
        at one visit.
    RequestError
        The distribution is unknown.

    References
    ----------
    R: survreg(Surv(left, right, type = "interval2") ~ x, dist = ...), survival 3.5.3 (left 0 given as NA).

    Examples
    --------
    2 of 4 exponential events by day 1, the others later; by hand the hazard is log 2:

    >>> fit = accelerated_failure([0, 0, 1, 1], [1, 1, np.inf, np.inf], np.empty((4, 0)), distribution="exponential")
    >>> float(np.exp(-fit.coefficients[0]).round(9))
    0.693147181
    """
    if distribution not in DISTRIBUTIONS:
        raise RequestError(
            f"No distribution {distribution!r}; known are {', '.join(DISTRIBUTIONS)}."
            f"{did_you_mean(distribution, DISTRIBUTIONS)}"
        )
    low, high = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if np.any((low == high) & (low <= 0)):
        raise TableError(
            f"accelerated_failure needs exact times above 0; {np.sum((low == high) & (low <= 0))} of {low.size} are at "
            "0, where the log of time does not exist."
        )
    if not np.isfinite(high).any():
        raise TableError(
            f"accelerated_failure: none of {low.size} patients had an event; nothing can be fitted."
        )
    columns = np.asarray(x, dtype=np.float64).reshape(low.size, -1)
    # the search, and what it takes for no maximum, must not depend on the covariates' units or zero
    centre = columns.mean(axis=0)
    spread = (columns - centre).std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(centre), spread, 1.0)
    design = np.column_stack((np.ones(low.size), (columns - centre) / spread))
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise TableError(
            f"accelerated_failure: the {design.shape[1]} columns of the design (with the intercept) depend on each "
            f"other in {low.size} patients; leave one out."
        )
    unit = float(np.median(np.where(np.isfinite(high), (low + np.minimum(high, 1e300)) / 2, low))) or 1.0
    data = _Data.of(low / unit, high / unit, design, distribution)
    has_scale = distribution != "exponential"
    start = np.zeros(design.shape[1] + has_scale)
    found = newton_maximum("accelerated_failure", data.likelihood, start)
    # a likelihood that rises towards a scale of 0 or infinite times is soon so flat that the search takes it for a top
    if np.diag(found.covariance).max() > _NO_INFORMATION**2:
        raise no_maximum("accelerated_failure")
    p = design.shape[1]
    back = np.eye(start.size)
    back[1:p, 1:p] = np.diag(1 / spread)
    back[0, 1:p] = -centre / spread
    coefficients = (back @ found.estimate)[:p]
    coefficients[0] += np.log(unit)
    scale = float(np.exp(found.estimate[p])) if has_scale else 1.0
    # a density is per unit of time
    loglik = found.loglik - np.log(unit) * data.is_exact.sum()
    return AcceleratedFailure(coefficients, scale, back @ found.covariance @ back.T, float(loglik))


class _Data(NamedTuple):
    """Log times and the design; `is_exact` marks times known to the day."""

    low: Floats
    high: Floats
    is_exact: npt.NDArray[np.bool_]
    design: Floats
    is_normal: bool
    has_scale: bool

    @classmethod
    def of(cls, low: Floats, high: Floats, design: Floats, distribution: str) -> _Data:
        with np.errstate(divide="ignore"):
            logs = np.log(low), np.log(high)
        return cls(*logs, low == high, design, distribution == "lognormal", distribution != "exponential")

    def likelihood(self, parameters: Floats) -> tuple[float, Floats, Floats]:
        """Return log-likelihood, score and information in (coefficients, log scale)."""
        p = self.design.shape[1]
        sigma = np.exp(parameters[p]) if self.has_scale else 1.0
        centre = self.design @ parameters[:p]
        low, high = (self.low - centre) / sigma, (self.high - centre) / sigma
        first, second, cross, value, d_low, d_high = self._terms(low, high)
        value = np.where(self.is_exact, value - np.log(sigma) - self.low, value)
        # each end of an interval is z = (log t - x b) / sigma, with derivatives -x / sigma and -z
        gradient, information = np.zeros(parameters.size), np.zeros((parameters.size, parameters.size))
        ends = []
        for z, slope in ((low, d_low), (high, d_high)):
            z = np.where(np.isfinite(z), z, 0.0)  # nothing depends on an end at 0 or infinity
            jacobian = np.column_stack((-self.design / sigma, *([-z] if self.has_scale else [])))
            ends.append(jacobian)
            gradient += jacobian.T @ slope
            if self.has_scale:
                bend = np.column_stack((self.design / sigma, z)) * slope[:, None]
                information[p] -= bend.sum(axis=0)
                information[:p, p] -= bend[:, :p].sum(axis=0)
        if self.has_scale:
            gradient[p] -= self.is_exact.sum()
        for (one, other), weight in (((0, 0), first), ((1, 1), second), ((0, 1), cross), ((1, 0), cross)):
            information -= ends[one].T @ (ends[other] * weight[:, None])
        return float(value.sum()), gradient, information

    def _terms(self, low: Floats, high: Floats) -> tuple[Floats, ...]:
        """Return second derivatives (low, high, cross), the value and first derivatives by both ends, per patient."""
        with np.errstate(all="ignore"):
            log_p, by_low, by_high = self._between(low, high)
            slope_low, slope_high = (
                self._log_density(np.where(np.isfinite(z), z, 0.0))[1] for z in (low, high)
            )
            d_low, d_high = -by_low, by_high
            first, second = -slope_low * by_low - d_low**2, slope_high * by_high - d_high**2
            cross = -d_low * d_high
        exact = self.is_exact
        log_f, g, h = self._log_density(np.where(exact, low, 0.0))
        zero = np.zeros_like(g)
        return (
            np.where(exact, h, first),
            np.where(exact, zero, second),
            np.where(exact, zero, cross),
            np.where(exact, log_f, log_p),
            np.where(exact, g, d_low),
            np.where(exact, zero, d_high),
        )

    def _between(self, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the log probability of an interval, and the density at both its ends over that probability.

        All are taken from the log of the larger of two tails, which survives where the probability itself underflows.
        """
        if self.is_normal:
            from_left = low + high < 0
            near = np.where(from_left, log_ndtr(high), log_ndtr(-low))
            apart = np.where(from_left, log_ndtr(low), log_ndtr(-high)) - near
            log_low, log_high = (-(z**2) / 2 - np.log(2 * np.pi) / 2 - near for z in (low, high))
        else:
            near = -np.exp(np.minimum(low, 700.0))
            apart = np.where(high == np.inf, -np.inf, -np.exp(np.minimum(high, 700.0)) - near)
            log_low, log_high = low, np.where(high == np.inf, -np.inf, high + apart)
        share = np.log(-np.expm1(apart))
        return near + share, np.exp(log_low - share), np.exp(log_high - share)

    def _log_density(self, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the log density with its first and second derivative."""
        if self.is_normal:
            return -(z**2) / 2 - np.log(2 * np.pi) / 2, -z, np.full_like(z, -1.0)
        e = np.exp(np.minimum(z, 700.0))
        return z - e, 1 - e, -e
