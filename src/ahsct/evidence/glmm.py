r"""Counts without a correction: binomial-normal and Poisson-normal models by adaptive Gauss-Hermite quadrature.

$$x_i \sim \text{Bin}(n_i, \text{expit}(\eta_i))\ \text{or}\ \text{Poisson}(t_i e^{\eta_i}),\quad
\eta_i \sim N(\mu, \tau^2)$$

The normal is integrated with nodes placed around each study's own mode. First and second derivatives of the
log-likelihood are posterior means and covariances over the same nodes (Louis 1982), so that Newton's method ends at
machine precision. At $\tau = 0$ the slope in $\tau$ is 0 whatever the data: a fit there is compared with the best one
above 0 by its likelihood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, stdtr, stdtrit
from scipy.stats import chi2, norm

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence._design import Floats, counts, design, floats, numbers, require_studies

INTERVALS = ("t", "z", "profile")
_STARTS = (0.05, 0.3, 0.7, 1.3, 2.5)
_MAX_STEPS = 100
_MOST_TAU = 300.0
_FLAT = 1e-7  # tau below it is 0: the likelihood differs by less than rounding


@dataclass(frozen=True, kw_only=True)
class CountFit:
    """A fitted count model; coefficients on the logit or log scale.

    `covariance` is the inverse of the observed information of coefficients and tau together (of the coefficients alone
    at tau 0), as lme4's. `log_likelihood` leaves out what does not depend on the parameters.
    """

    family: str
    events: Floats
    total: Floats
    x: Floats
    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    df: int | None
    interval: str
    conf_level: float
    tau2: float
    log_likelihood: float

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.events.size

    @property
    def mean(self) -> float:
        """The first coefficient."""
        return float(self.coefficients[0])


def binomial_normal(
    events: Any, n: Any, *, x: Any | None = None, interval: str = "t", conf_level: float = 0.95, nodes: int = 150
) -> CountFit:  # fmt: skip
    """Pool proportions by the binomial-normal model: no correction, no study without events left out.

    Parameters
    ----------
    events, n
        Patients with the event, of all patients, per study.
    x
        Moderators with their column of ones; None: the mean alone.
    interval
        "t" with k - p degrees of freedom, "z", or "profile" (of the likelihood; the mean alone only), which is the one
        that stays sensible when hardly any study has an event.
    nodes
        Of the quadrature; 150 leave an error below 1e-9, 60 one of 1e-6 where studies differ much, 7 (the usual default
        elsewhere) one in the fourth digit.

    Returns
    -------
    CountFit
        Where no study has an event (or all have only events) the mean is at the end of the scale: the coefficient is
        minus (plus) infinity, its standard error infinite, and only the profile interval says anything.

    References
    ----------
    Stijnen, Hamza and Ozdemir (2010), doi:10.1002/sim.4040. Louis (1982), doi:10.1111/j.2517-6161.1982.tb01203.x.
    R: metafor 3.8.1, rma.glmm(measure = "PLO", xi, ni, nAGQ = 60).

    Examples
    --------
    Equal proportions differ by chance alone: the pool is 6 of 60, and there is no variance between studies.

    >>> fit = binomial_normal([2, 2, 2], [20, 20, 20])
    >>> round(float(expit(fit.mean)), 6), fit.tau2
    (0.1, 0.0)
    """
    events, total = counts(events, n)
    return _fit("binomial", events, total, x, interval, conf_level, nodes)


def poisson_normal(
    events: Any, person_years: Any, *, x: Any | None = None, interval: str = "t", conf_level: float = 0.95, nodes: int = 150
) -> CountFit:  # fmt: skip
    """Pool rates by the Poisson-normal model; as `binomial_normal`, on the log scale.

    References
    ----------
    R: metafor 3.8.1, rma.glmm(measure = "IRLN", xi, ti, nAGQ = 60).

    Examples
    --------
    >>> fit = poisson_normal([3, 3, 3], [10.0, 10.0, 10.0])
    >>> round(float(np.exp(fit.mean)), 6), fit.tau2
    (0.3, 0.0)
    """
    events, years = numbers("events", events), numbers("person_years", person_years)
    if events.size != years.size or np.any(events < 0) or np.any(events % 1) or np.any(years <= 0):
        raise RequestError("Each study needs a whole number of events and person-years above 0.")
    return _fit("poisson", events, years, x, interval, conf_level, nodes)


def _fit(
    family: str, events: Floats, total: Floats, x: Any, interval: str, conf_level: float, nodes: int
) -> CountFit:
    if interval not in INTERVALS:
        raise RequestError(
            f"No interval {interval!r}; known are {', '.join(INTERVALS)}.{did_you_mean(interval, INTERVALS)}"
        )
    matrix = design(x, events.size)
    k, p = matrix.shape
    require_studies(k, p + 1 if interval == "t" else p, "This model")
    model = _Model(family, events, total, matrix, nodes)
    at_end = model.end()
    if at_end:
        beta, tau, covariance = np.array([at_end * np.inf]), 0.0, np.array([[np.inf]])
        log_likelihood = 0.0
    else:
        beta, tau, log_likelihood = model.maximise()
        covariance = model.covariance(beta, tau)
    error = np.sqrt(np.diag(covariance))
    df = k - p if interval == "t" else None
    tail = 1 - (1 - require_conf_level(conf_level)) / 2
    crit = float(stdtrit(df, tail)) if df else float(norm.ppf(tail))
    with np.errstate(invalid="ignore"):
        lower, upper = beta - crit * error, beta + crit * error
        statistic = -np.abs(beta / error)
    if at_end:
        lower, upper, statistic = np.array([-np.inf]), np.array([np.inf]), np.array([0.0])
    if interval == "profile":
        if p > 1:
            raise RequestError("A profile interval is given for the mean alone; leave `x` out.")
        low, high = _profile_limits(model, beta[0], log_likelihood, conf_level)
        lower, upper = np.array([low]), np.array([high])
    return CountFit(
        family=family, events=events, total=total, x=matrix, coefficients=beta, covariance=covariance,
        std_errors=error, lower=lower, upper=upper,
        p_values=2 * (stdtr(df, statistic) if df else norm.cdf(statistic)),
        df=df, interval=interval, conf_level=conf_level, tau2=tau**2, log_likelihood=log_likelihood,
    )  # fmt: skip


@cache
def _hermite(nodes: int) -> tuple[Floats, Floats]:
    at, weight = np.polynomial.hermite.hermgauss(nodes)
    return at, np.log(weight) + at**2


@dataclass(frozen=True)
class _Model:
    family: str
    events: Floats
    total: Floats
    x: Floats
    nodes: int

    def end(self) -> int:
        """Return -1 or 1 where the likelihood of the mean rises to the end of the scale, else 0."""
        if self.x.shape[1] > 1 or not np.all(self.x == self.x[0]):
            return 0
        if self.events.sum() == 0:
            return -1
        return 1 if self.family == "binomial" and np.all(self.events == self.total) else 0

    def _terms(self, eta: Floats) -> tuple[Floats, Floats, Floats]:
        """Return log-likelihood, first and second derivative in eta; the first axis is the study."""
        shape = (-1, *([1] * (eta.ndim - 1)))
        events, total = self.events.reshape(shape), self.total.reshape(shape)
        if self.family == "binomial":
            p = expit(eta)
            return events * eta - total * np.logaddexp(0, eta), events - total * p, -total * p * (1 - p)
        rate = total * np.exp(eta)
        return events * eta - rate, events - rate, -rate

    def likelihood(self, beta: Floats, tau: float) -> tuple[float, Floats, Floats]:
        """Return log-likelihood, score and Hessian in (beta, tau)."""
        fixed = self.x @ beta
        p = beta.size
        if tau < _FLAT:
            value, first, second = self._terms(fixed)
            hessian = np.zeros((p + 1, p + 1))
            hessian[:p, :p] = self.x.T @ (second[:, None] * self.x)
            hessian[p, p] = float(np.sum(second + first**2))
            return float(value.sum()), np.append(self.x.T @ first, 0.0), hessian
        z, log_weight = self._placed(fixed, tau)
        value, first, second = self._terms(fixed[:, None] + tau * z)
        log_joint = value - 0.5 * z**2 + log_weight
        peak = log_joint.max(axis=1)
        mass = np.exp(log_joint - peak[:, None])
        norm_constant = mass.sum(axis=1)
        share = mass / norm_constant[:, None]
        log_likelihood = float(np.sum(peak + np.log(norm_constant)) - 0.5 * np.log(2 * np.pi) * z.shape[0])
        # complete-data score of study i at a node: first * (x_i, z)
        sz = first * z
        mean_first, mean_sz = (share * first).sum(axis=1), (share * sz).sum(axis=1)
        score = np.append(self.x.T @ mean_first, mean_sz.sum())
        bb = (share * (second + first**2)).sum(axis=1) - mean_first**2
        bt = (share * (second * z + first * sz)).sum(axis=1) - mean_first * mean_sz
        tt = float(np.sum((share * (second * z**2 + sz**2)).sum(axis=1) - mean_sz**2))
        hessian = np.empty((p + 1, p + 1))
        hessian[:p, :p] = self.x.T @ (bb[:, None] * self.x)
        hessian[:p, p] = hessian[p, :p] = self.x.T @ bt
        hessian[p, p] = tt
        return log_likelihood, score, hessian

    def _placed(self, fixed: Floats, tau: float) -> tuple[Floats, Floats]:
        """Return nodes around each study's mode and the log of their weights."""
        own = self._own()
        weight = tau**2 * -self._terms(own)[2]
        z = (own - fixed) / tau * weight / (1 + weight)  # between the study's own value and the mean
        for _ in range(_MAX_STEPS):
            _, first, second = self._terms(fixed + tau * z)
            step = (tau * first - z) / (1 - tau**2 * second)
            z = z + np.clip(step, -4, 4)
            if np.max(np.abs(step)) < 1e-9:
                break
        scale = 1 / np.sqrt(1 - tau**2 * self._terms(fixed + tau * z)[2])
        at, log_weight = _hermite(self.nodes)
        return z[:, None] + np.sqrt(2) * scale[:, None] * at, log_weight + np.log(np.sqrt(2) * scale)[:, None]

    def _own(self) -> Floats:
        """Return each study's own value of eta, drawn off the end of the scale by half an event."""
        if self.family == "binomial":
            return np.log((self.events + 0.5) / (self.total - self.events + 0.5))
        return np.log((self.events + 0.5) / self.total)

    def start(self) -> Floats:
        """Return coefficients near those of the model without variance between studies."""
        y, weight = self._own(), self.events + 0.5
        root = np.sqrt(weight)
        return floats(np.linalg.lstsq(root[:, None] * self.x, root * y, rcond=None)[0])

    def at_tau(self, tau: float, beta: Floats) -> tuple[Floats, float]:
        """Return the best coefficients for a given tau, and their log-likelihood."""
        p = beta.size
        value, score, hessian = self.likelihood(beta, tau)
        for _ in range(_MAX_STEPS):
            step = floats(np.linalg.solve(-hessian[:p, :p] + 1e-12 * np.eye(p), score[:p]))
            beta, value, score, hessian, moved = self._step(beta, tau, step, 0.0, value)
            if moved < 1e-11:
                break
        return beta, value

    def maximise(self) -> tuple[Floats, float, float]:
        """Return coefficients, tau and log-likelihood at the maximum, tau 0 included."""
        beta0, flat = self.at_tau(0.0, self.start())
        best = (beta0, 0.0, flat)
        start_beta, start_tau, start_value = beta0, 0.0, -np.inf
        beta = beta0
        for tau in _STARTS:
            beta, value = self.at_tau(tau, beta)
            if value > start_value:
                start_beta, start_tau, start_value = beta, tau, value
        beta, tau = start_beta, start_tau
        value, score, hessian = self.likelihood(beta, tau)
        for _ in range(_MAX_STEPS):
            values, vectors = np.linalg.eigh(-hessian)
            step = vectors @ ((vectors.T @ score) / np.maximum(np.abs(values), 1e-8))
            if tau + step[-1] < 0:
                step = step * (0.8 * tau / -step[-1])
            beta, tau, value, score, hessian, moved = self._step_both(beta, tau, step, value)
            if moved < 1e-12 or tau < _FLAT:
                break
        if tau >= _FLAT and value > best[2] + 1e-12:
            return beta, tau, value
        return best

    def _step(
        self, beta: Floats, tau: float, step: Floats, step_tau: float, value: float
    ) -> tuple[Floats, float, Floats, Floats, float]:
        moved = self._step_both(beta, tau, np.append(step, step_tau), value)
        return moved[0], moved[2], moved[3], moved[4], moved[5]

    def _step_both(
        self, beta: Floats, tau: float, step: Floats, value: float
    ) -> tuple[Floats, float, float, Floats, Floats, float]:
        """Take the step, halved until the likelihood does not fall."""
        for _ in range(40):
            new_beta, new_tau = beta + step[:-1], tau + step[-1]
            found, score, hessian = self.likelihood(new_beta, new_tau)
            if found >= value - 1e-11 * (1 + abs(value)):
                break
            step = step / 2
        return new_beta, float(new_tau), found, score, hessian, float(np.max(np.abs(step)))

    def covariance(self, beta: Floats, tau: float) -> Floats:
        _, _, hessian = self.likelihood(beta, tau)
        p = beta.size
        if tau < _FLAT:
            return floats(np.linalg.inv(-hessian[:p, :p]))
        return floats(np.linalg.inv(-hessian)[:p, :p])

    def profile(self, mu: float) -> float:
        """Return the log-likelihood of a mean at its best tau."""
        from scipy.optimize import minimize_scalar

        beta = np.array([mu])

        def value_at(tau: float) -> float:
            with np.errstate(over="ignore", invalid="ignore"):  # of derivatives at far nodes, not used here
                return self.likelihood(beta, tau)[0]

        grid = [0.0, 0.3, 1.0, 2.5, 5.0]
        found = [value_at(tau) for tau in grid]
        while (
            found[-1] >= max(found) and grid[-1] < _MOST_TAU
        ):  # a mean far off needs a wide spread of the studies
            grid.append(2 * grid[-1])
            found.append(value_at(grid[-1]))
        i = int(np.argmax(found))
        low, high = grid[max(0, i - 1)], grid[min(len(grid) - 1, i + 1)]
        inside = minimize_scalar(
            lambda tau: -value_at(tau), bounds=(low, high), method="bounded", options={"xatol": 1e-5}
        )  # fmt: skip
        return max(found[i], -float(inside.fun))


def _profile_limits(model: _Model, mu: float, best: float, conf_level: float) -> tuple[float, float]:
    """Return where the profile log-likelihood has fallen by half the chi-squared quantile."""
    drop = float(chi2.ppf(conf_level, 1)) / 2
    fall: Callable[[float], float] = lambda at: best - model.profile(at) - drop  # noqa: E731
    middle = mu if np.isfinite(mu) else float(model.start()[0])
    if not np.isfinite(mu):
        middle -= 3.0 * np.sign(-mu)
        while fall(middle) > 0:
            middle += np.sign(mu)
    low = -np.inf if mu == -np.inf else _limit(fall, middle, -1.0)
    high = np.inf if mu == np.inf else _limit(fall, middle, 1.0)
    return low, high


def _limit(fall: Callable[[float], float], middle: float, direction: float) -> float:
    reach = 0.5
    while fall(middle + direction * reach) < 0:
        reach *= 1.6
        if reach > 40:
            return float(direction * np.inf)
    return float(brentq(fall, middle, middle + direction * reach, xtol=1e-7))
