r"""Bayesian random effects without sampling: $\mu$ integrates in closed form, $\tau$ by quadrature.

$$y_i \sim N(\mu, v_i + \tau^2),\quad \tau \sim \text{half-normal}(s),\quad \mu \sim N(m, u^2)\ \text{or flat}$$
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from ahsct.errors import RequestError
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence._design import Floats, effects

_PANELS, _ORDER = 160, 12
_REACH = 9.0  # times the prior's scale: the half-normal beyond it holds 2e-19


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """The posterior as a mixture over tau: at each node its weight, and the normal of the mean given it.

    `mean`, `sd` of the mean; `tau_mean`; the quantile methods integrate over tau.
    """

    tau: Floats
    weight: Floats
    centre: Floats
    spread: Floats

    @property
    def mean(self) -> float:
        """Posterior mean of the mean effect."""
        return float(self.weight @ self.centre)

    @property
    def sd(self) -> float:
        """Posterior standard deviation of the mean effect."""
        return float(np.sqrt(self.weight @ (self.spread**2 + self.centre**2) - self.mean**2))

    @property
    def tau_mean(self) -> float:
        """Posterior mean of tau."""
        return float(self.weight @ self.tau)

    def below(self, value: float, *, new_study: bool = False) -> float:
        """Return the probability that the mean (or a new study's true value) lies below `value`."""
        spread = np.sqrt(self.spread**2 + (self.tau**2 if new_study else 0.0))
        return float(self.weight @ ndtr((value - self.centre) / spread))

    def quantile(self, level: float, *, new_study: bool = False) -> float:
        """Return a quantile of the mean, or of a new study's true value."""
        reach = 40 * float(np.max(np.sqrt(self.spread**2 + self.tau**2)))
        low, high = float(self.centre.min()) - reach, float(self.centre.max()) + reach
        return float(
            brentq(
                lambda value: self.below(value, new_study=new_study) - level,
                low,
                high,
                xtol=1e-13,
                rtol=1e-14,
            )
        )

    def interval(self, conf_level: float = 0.95, *, new_study: bool = False) -> tuple[float, float]:
        """Return the equal-tailed credible interval of the mean, or of a new study's true value."""
        tail = (1 - require_conf_level(conf_level)) / 2
        return self.quantile(tail, new_study=new_study), self.quantile(1 - tail, new_study=new_study)


def bayes_random_effects(
    y: Any, v: Any, *, tau_scale: float, mean_prior: Sequence[float] | None = None
) -> Posterior:
    """Return the posterior of the mean and of tau.

    Parameters
    ----------
    y, v
        Estimates and sampling variances.
    tau_scale
        Scale of the half-normal prior of tau: its median is 0.674 times that. 0.5 is common for log odds and log
        hazard ratios; state it with the result.
    mean_prior
        Mean and standard deviation of a normal prior of the mean; None: flat.

    References
    ----------
    Röver (2020), doi:10.18637/jss.v093.i06; checked against R's `integrate` (tests/reference/meta_bayes.R).

    Examples
    --------
    With tau held near 0 by its prior, the mean is that of fixed effects:

    >>> posterior = bayes_random_effects([0.0, 2.0], [1.0, 1.0], tau_scale=1e-6)
    >>> round(posterior.mean, 6), round(posterior.sd, 6)
    (1.0, 0.707107)
    """
    y, v = effects(y, v)
    if tau_scale <= 0:
        raise RequestError(f"tau_scale must be above 0; found {tau_scale}.")
    if y.size < 2 and mean_prior is None:
        raise RequestError("One study says nothing about tau: give `mean_prior`, or add studies.")
    tau, measure = _nodes(tau_scale)
    w = 1 / (v + tau[:, None] ** 2)
    precision, moment = w.sum(axis=1), (w * y).sum(axis=1)
    log_density = 0.5 * np.log(w).sum(axis=1) - 0.5 * (w * y**2).sum(axis=1)
    if mean_prior is not None:
        centre0, sd0 = mean_prior
        precision, moment = precision + 1 / sd0**2, moment + centre0 / sd0**2
        log_density = log_density - 0.5 * centre0**2 / sd0**2
    log_density += 0.5 * moment**2 / precision - 0.5 * np.log(precision) - 0.5 * (tau / tau_scale) ** 2
    weight = measure * np.exp(log_density - log_density.max())
    return Posterior(
        tau=tau, weight=weight / weight.sum(), centre=moment / precision, spread=1 / np.sqrt(precision)
    )


def _nodes(scale: float) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes on panels that widen away from 0."""
    at, weight = np.polynomial.legendre.leggauss(_ORDER)
    edges = _REACH * scale * np.linspace(0, 1, _PANELS + 1) ** 2
    half = np.diff(edges) / 2
    nodes = edges[:-1, None] + half[:, None] * (at + 1)
    return nodes.ravel(), (half[:, None] * weight).ravel()
