"""Intervals and tests of single coefficients of Cox's model from its profile likelihood."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, chdtri

from ahsct.estimates.cox_regression import CoxRegression, maximise

_FAR = 60.0  # standard deviations of a covariate: a hazard ratio of 1e26 is none


class Profile(NamedTuple):
    """Limits of one coefficient, missing where the likelihood never falls far enough, and the p-value of 0."""

    lower: float | None
    upper: float | None
    p_value: float


def profile(fit: CoxRegression, coefficient: int, *, conf_level: float = 0.95) -> Profile:
    r"""Return where twice the drop of the profile likelihood reaches the chi-squared quantile.

    $$\{b : 2 (\ell(\hat\beta) - \max_{\beta_j = b} \ell(\beta)) \le \chi^2_{1, 1 - \alpha}\}$$

    With Firth's penalty the penalised likelihood stands for the likelihood, its information always of all
    coefficients.

    References
    ----------
    Venzon and Moolgavkar (1988), doi:10.2307/2347496; Heinze and Schemper (2001),
    doi:10.1111/j.0006-341X.2001.00114.x.

    Examples
    --------
    An arm without events has an upper limit and no lower one; by hand (4r+4)(4r+3)(4r+2) = 24 exp(3.841/2) at
    r = 0.633, and p belongs to 2 log(8 * 7 * 6 / (4 * 3 * 2)):

    >>> from ahsct.estimates.cox_regression import cox_regression
    >>> arm = [[1], [1], [1], [1], [0], [0], [0], [0]]
    >>> fit = cox_regression([9, 9, 9, 9, 2, 3, 5, 9], [0, 0, 0, 0, 1, 1, 1, 0], arm)
    >>> found = profile(fit, 0)
    >>> found.lower, round(float(np.exp(found.upper)), 3), round(found.p_value, 3)
    (None, 0.633, 0.022)
    """
    top = fit.likelihood.value - _constant(fit)
    free = np.arange(fit.scale.size) != coefficient
    centre = fit.coefficients * fit.scale
    target = top - float(chdtri(1, 1 - conf_level)) / 2
    width = np.sqrt(fit.covariance[coefficient, coefficient]) * fit.scale[coefficient]
    width = float(width) if np.isfinite(width) else 1.0

    def drop(b: float) -> float:
        start = centre.copy()
        start[coefficient] = b
        return maximise(fit.likelihood_at, start, free, is_penalised=fit.is_penalised)[1].value

    def limit(direction: int) -> float | None:
        from scipy.optimize import brentq  # slow to import, and rarely needed

        if fit.is_diverging[coefficient] and np.sign(centre[coefficient]) == direction:
            return None
        inner, pace = float(centre[coefficient]), width
        outer = inner + direction * pace
        while drop(outer) >= target:
            if abs(outer) > _FAR:
                return None
            pace *= 1.5
            inner, outer = outer, outer + direction * pace
        root = brentq(lambda b: drop(b) - target, inner, outer, xtol=1e-11, rtol=1e-12)
        return float(root / fit.scale[coefficient])

    p_value = float(chdtrc(1, max(2 * (top - drop(0.0)), 0.0)))
    return Profile(limit(-1), limit(1), p_value)


def _constant(fit: CoxRegression) -> float:
    """Return what the penalty changes between units and standard deviations of the covariates."""
    return float(np.log(fit.scale).sum()) if fit.is_penalised else 0.0
