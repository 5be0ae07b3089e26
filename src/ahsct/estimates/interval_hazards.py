"""Proportional hazards for events between two visits, the baseline left free: the core of `interval_regression`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._interval_npmle import IntervalLikelihood, intersections, maximise
from ahsct.estimates._newton import Likelihood, Maximum, newton_maximum
from ahsct.estimates._risk_table import Floats


class IntervalHazards(NamedTuple):
    """Log hazard ratios with the inverse of the profile information, and the baseline's hazard at `upper`.

    `likelihood` is the profile: log-likelihood, score and information of the coefficients, the baseline at its best.
    """

    coefficients: Floats
    covariance: Floats
    loglik: float
    null_loglik: float
    upper: Floats
    hazard: Floats
    likelihood: Likelihood


def interval_hazards(left: npt.ArrayLike, right: npt.ArrayLike, x: npt.ArrayLike) -> IntervalHazards:
    r"""Maximise $\prod_i S_0(l_i)^{r_i} - S_0(r_i)^{r_i}$, $r_i = \exp(x_i'\beta)$, over $\beta$ and every baseline.

    For given $\beta$ the log-likelihood is concave in the cumulative baseline hazard, which can rise only at Turnbull's
    maximal intersections. The information is that of the profile likelihood where the increments in use stay the
    same. An exact time counts as the place where the hazard jumps: the grouped-time model, not Cox's partial
    likelihood.

    Parameters
    ----------
    left, right
        As for `npmle`.
    x
        Covariates, shape (n, p), p >= 1.

    Raises
    ------
    TableError
        There is no event, a group has none (its hazard ratio would be 0 or infinite), or the covariates depend on
        each other.

    References
    ----------
    Finkelstein (1986), doi:10.2307/2530698. Profile information: Murphy and van der Vaart (2000),
    doi:10.1080/01621459.2000.10474219.

    Examples
    --------
    One visit: 4 of 8 and 6 of 8 had the event before it; by hand log(1/4) / log(1/2) = 2:

    >>> left, right = [0] * 4 + [1] * 4 + [0] * 6 + [1] * 2, [1] * 4 + [np.inf] * 4 + [1] * 6 + [np.inf] * 2
    >>> fit = interval_hazards(left, right, np.repeat([[0], [1]], 8, axis=0))
    >>> float(np.exp(fit.coefficients[0]).round(6))
    2.0
    """
    low, high = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    columns = np.asarray(x, dtype=np.float64).reshape(low.size, -1)
    if not np.isfinite(high).any():
        raise TableError(
            f"interval_hazards: none of {low.size} patients had an event; nothing can be compared."
        )
    centred = columns - columns.mean(axis=0)
    if np.linalg.matrix_rank(centred) < columns.shape[1]:
        raise TableError(
            f"interval_hazards: the {columns.shape[1]} covariates are constant or depend on each other in {low.size} "
            "patients; leave one out."
        )
    spread = centred.std(axis=0)
    scaled = centred / spread
    places = intersections(low, high)
    if places.upper.size < 2:
        raise TableError(
            "interval_hazards: all intervals share one place; whatever the hazard ratio, the likelihood is the same."
        )
    profile = _Profile(scaled, places.first, places.last + 1, places.upper.size)

    def likelihood(beta: Floats) -> tuple[float, Floats, Floats]:
        value, score, information = profile(beta * spread)
        return value, score * spread, information * np.outer(spread, spread)

    null = np.zeros(columns.shape[1])
    found: Maximum = newton_maximum("interval_hazards", profile, null, tolerance=1e-8)
    coefficients = found.estimate / spread
    with np.errstate(over="ignore"):  # covariates far from zero: the baseline is that of nobody
        hazard = profile.hazard(found.estimate) * np.exp(-float(columns.mean(axis=0) @ coefficients))
    return IntervalHazards(
        coefficients,
        found.covariance / np.outer(spread, spread),
        found.loglik,
        profile(null)[0],
        places.upper,
        hazard,
        likelihood,
    )


class _Profile:
    """The profile likelihood of the coefficients."""

    def __init__(self, x: Floats, a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], m: int) -> None:
        self.x, self.a, self.b, self.m = x, a, b, m

    def hazard(self, beta: Floats) -> Floats:
        """Return the cumulative baseline hazard at nodes 1 ... m - 1 that suits the coefficients best."""
        return np.asarray(maximise(self._given(beta)).hazard[0])

    def __call__(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Return log-likelihood, score and information."""
        given = self._given(beta)
        fit = maximise(given)
        nodes = np.concatenate(([0.0], fit.hazard[0], [np.inf]))
        low = given.risk * nodes[self.a]
        gap = np.minimum(given.risk * nodes[self.b] - low, 700.0)
        q = 1 / np.expm1(gap)
        curve = q * (1 + q)
        by_log_risk = -low + q * gap
        bend = -low + q * gap - curve * gap**2
        score = self.x.T @ by_log_risk
        information = -(self.x * bend[:, None]).T @ self.x
        # the increments in use: the others stay at zero
        step = np.diff(nodes[:-1])
        pull = np.cumsum(given.gradient(fit.hazard)[0][0, ::-1])[::-1] / self.a.size
        in_use = np.flatnonzero((step > 1e-9) & (pull > -1e-5))
        cross = np.zeros((self.m + 1, self.x.shape[1]))
        np.add.at(cross, self.a, -self.x * (given.risk * (1 + q - curve * gap))[:, None])
        np.add.at(cross, self.b, self.x * (given.risk * (q - curve * gap))[:, None])
        square = np.zeros((self.m + 1, self.m + 1))
        weight = given.risk**2 * curve
        np.add.at(square, (self.a, self.a), weight)
        np.add.at(square, (self.b, self.b), weight)
        np.add.at(square, (self.a, self.b), -weight)
        np.add.at(square, (self.b, self.a), -weight)
        inner = slice(1, self.m)
        tails = np.cumsum(square[inner, inner][::-1, ::-1], axis=0).cumsum(axis=1)[::-1, ::-1]
        tails = tails[np.ix_(in_use, in_use)]
        cross = -np.cumsum(cross[inner][::-1], axis=0)[::-1][in_use]
        information -= cross.T @ np.linalg.lstsq(tails, cross, rcond=None)[0]
        return float(fit.loglik[0]), score, (information + information.T) / 2

    def _given(self, beta: Floats) -> IntervalLikelihood:
        risk = np.exp(np.clip(self.x @ beta, -30, 30))
        return IntervalLikelihood(m=self.m, a=self.a, b=self.b, weight=np.ones(risk.size), risk=risk)
