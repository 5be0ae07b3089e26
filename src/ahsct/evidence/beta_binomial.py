r"""Beta-binomial pooling of proportions, with the likelihood as a product that is exact also without overdispersion.

$$P(x) \propto \prod_{j<x}(\mu + j\varphi) \prod_{j<n-x}(1 - \mu + j\varphi) \Big/ \prod_{j<n}(1 + j\varphi),\quad
\varphi = 1/(a + b) \ge 0$$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import expit, logit, stdtrit
from scipy.stats import norm

from ahsct.errors import RequestError
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence._design import Floats, counts, require_studies


@dataclass(frozen=True, kw_only=True)
class BetaBinomialFit:
    """The fit; `logit_mean` with its standard error and limits; `phi` is 1 / (a + b), `rho` = phi / (1 + phi)."""

    logit_mean: float
    std_error: float
    lower: float
    upper: float
    conf_level: float
    df: int | None
    phi: float
    log_likelihood: float
    k: int

    @property
    def mean(self) -> float:
        """The pooled proportion."""
        return float(expit(self.logit_mean))

    @property
    def rho(self) -> float:
        """Correlation of two patients of one study."""
        return self.phi / (1 + self.phi)


def beta_binomial(events: Any, n: Any, *, interval: str = "t", conf_level: float = 0.95) -> BetaBinomialFit:
    """Pool proportions whose true values follow a beta distribution, by maximum likelihood.

    Parameters
    ----------
    interval
        "t" with k - 1 degrees of freedom, or "z", on the logit scale.

    Raises
    ------
    RequestError
        No study, or no patient outside of the event, has an event: the mean is then at the end of the scale.

    References
    ----------
    Griffiths (1973), doi:10.2307/2529131. R: the same likelihood by lbeta and optim (tests/reference/meta_counts.R).

    Examples
    --------
    >>> fit = beta_binomial([2, 2, 2], [20, 20, 20])
    >>> round(fit.mean, 6), fit.phi
    (0.1, 0.0)
    """
    x, total = counts(events, n)
    require_studies(x.size, 2, "The beta-binomial model")
    if x.sum() == 0 or np.all(x == total):
        raise RequestError("The beta-binomial model needs an event and a patient without one.")
    if interval not in ("t", "z"):
        raise RequestError(f"No interval {interval!r}; known are t, z.")
    model = _Products(x, total)
    mu, phi = model.maximise()
    _, _, hessian = model.derivatives(mu, phi)
    slope = mu * (1 - mu)
    information = -hessian
    variance = (1 / information[0, 0] if phi == 0 else np.linalg.inv(information)[0, 0]) / slope**2
    error = float(np.sqrt(variance))
    df = x.size - 1 if interval == "t" else None
    tail = 1 - (1 - require_conf_level(conf_level)) / 2
    crit = float(stdtrit(df, tail)) if df else float(norm.ppf(tail))
    centre = float(logit(mu))
    return BetaBinomialFit(
        logit_mean=centre, std_error=error, lower=centre - crit * error, upper=centre + crit * error,
        conf_level=conf_level, df=df, phi=phi, log_likelihood=model.derivatives(mu, phi)[0], k=x.size,
    )  # fmt: skip


class _Products:
    """Sums over the factors of the likelihood: how many studies have each factor is counted once."""

    def __init__(self, x: Floats, n: Floats) -> None:
        j = np.arange(int(n.max()), dtype=np.float64)
        self.j = j
        self.yes = (x[:, None] > j).sum(axis=0).astype(np.float64)
        self.no = ((n - x)[:, None] > j).sum(axis=0).astype(np.float64)
        self.all = (n[:, None] > j).sum(axis=0).astype(np.float64)

    def derivatives(self, mu: float, phi: float) -> tuple[float, Floats, Floats]:
        """Return log-likelihood, score and Hessian in (mu, phi)."""
        j, yes, no, every = self.j, self.yes, self.no, self.all
        a, b, c = mu + j * phi, 1 - mu + j * phi, 1 + j * phi
        value = float(yes @ np.log(a) + no @ np.log(b) - every @ np.log(c))
        score = np.array([yes @ (1 / a) - no @ (1 / b), yes @ (j / a) + no @ (j / b) - every @ (j / c)])
        mm = -(yes @ (1 / a**2)) - no @ (1 / b**2)
        mp = -(yes @ (j / a**2)) + no @ (j / b**2)
        pp = -(yes @ (j**2 / a**2)) - no @ (j**2 / b**2) + every @ (j**2 / c**2)
        return value, score, np.array([[mm, mp], [mp, pp]])

    def mean_at(self, phi: float) -> float:
        """Return the best mean for a given phi: the score falls through 0 once."""
        return float(
            brentq(lambda mu: self.derivatives(mu, phi)[1][0], 1e-12, 1 - 1e-12, xtol=1e-16, rtol=1e-14)
        )

    def maximise(self) -> tuple[float, float]:
        """Return mean and phi at the maximum, phi 0 included."""

        def loss(log_phi: float) -> float:
            phi = float(np.exp(log_phi))
            return -self.derivatives(self.mean_at(phi), phi)[0]

        found = minimize_scalar(loss, bounds=(-16, 4), method="bounded", options={"xatol": 1e-6})
        phi = float(np.exp(found.x))
        mu = self.mean_at(phi)
        flat = self.mean_at(0.0)
        if -found.fun <= self.derivatives(flat, 0.0)[0] + 1e-10:
            return flat, 0.0
        for _ in range(50):
            _, score, hessian = self.derivatives(mu, phi)
            step = np.linalg.solve(-hessian, score)
            mu, phi = mu + step[0], phi + step[1]
            if np.max(np.abs(step)) < 1e-15:
                break
        return float(mu), float(phi)
