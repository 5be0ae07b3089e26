"""Intervals and tests of single coefficients of Cox's model from its profile likelihood."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, chdtri

from ahsct.errors import RequestError
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.cox_regression import CoxRegression, maximise

_FAR = 60.0  # standard deviations of a covariate: a hazard ratio of 1e26 is none
_TOO_FAR = 10.0  # where the likelihood need not be computable
_SETTLED = 1e-6  # the last step to a top, in standard deviations of a covariate, or its gain
_LEVEL = 1e-3  # the slope where the likelihood only rises towards a bound, or rounding ends the climb
_OFF = 1e-4  # of the log likelihood at a limit


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
    target = top - float(chdtri(1, 1 - conf_level)) / 2
    likelihood, place, around = fit.likelihood_at, coefficient, fit.coefficients * fit.scale
    towards, middle = float(fit.towards[coefficient]), float(around[coefficient])
    width = float(np.sqrt(fit.covariance[coefficient, coefficient]) * fit.scale[coefficient])
    if fit.is_diverging[coefficient]:
        middle, width = 0.0, 1.0
    if fit.is_diverging[coefficient] and towards == 0:  # as likely wherever it is
        return Profile(None, None, 1.0)
    if fit.is_diverging.any():  # others may diverge whatever this one is
        left = fit.limit(coefficient)
        likelihood, place = left.likelihood_at, 0
        around = np.zeros(left.separation.basis.shape[1] + 1)
    free = np.arange(around.size) != place
    known: dict[float, tuple[Floats, float]] = {}
    if not fit.is_diverging.any():
        known[middle] = around, top

    def drop(b: float) -> float:
        if b in known:
            return known[b][1]
        for start in _starts(b, known, free):
            found, here, step = maximise(likelihood, start, free, is_penalised=fit.is_penalised)
            slope = np.abs(here.score[free])
            if step <= _SETTLED or (slope.max() <= _LEVEL and slope.sum() * min(step, 1.0) <= _SETTLED):
                known[b] = found, here.value
                return here.value
        if abs(b) < _TOO_FAR:
            raise _not_computable()
        return np.nan

    def walk(b: float, direction: float, *, to_above: bool) -> float | None:
        pace, height = width, drop(b)
        while (height >= target) != to_above:
            if b * direction > _FAR or np.isnan(height):
                return None
            b, pace = b + direction * pace, pace * 1.5
            height = drop(b)
        return None if np.isnan(height) else b

    def limit(direction: float) -> float | None:
        from scipy.optimize import brentq  # slow to import, and rarely needed

        if direction == towards:
            return None
        inner = walk(middle, towards, to_above=True)
        if inner is None:  # the limit lies further out than can be computed: beyond all that was
            return max((b for b in known if b * towards >= 0), key=abs) / float(fit.scale[coefficient])
        outer = walk(inner, direction, to_above=False)
        if outer is None:
            return None
        root = float(brentq(lambda b: drop(b) - target, inner, outer, xtol=1e-11, rtol=1e-12))
        if not abs(drop(root) - target) < _OFF:
            raise _not_computable()
        return root / float(fit.scale[coefficient])

    p_value = float(chdtrc(1, max(2 * (top - drop(0.0)), 0.0)))
    return Profile(limit(-1), limit(1), p_value)


def _starts(
    b: float, known: Mapping[float, tuple[Floats, float]], free: npt.NDArray[np.bool_]
) -> Iterator[Floats]:
    """Yield places to climb from with one coefficient held at b.

    Between two tops the likelihood, being concave, is nowhere below the lower one; beyond them the line through the
    last two is followed. From a top far away with only b changed there may be nothing left to climb by.
    """
    near = sorted(known, key=lambda one: abs(one - b))
    below, above = [one for one in near if one < b][:1], [one for one in near if one > b][:1]
    ends = below + above if below and above else near[:2]
    if len(ends) == 2:
        first, second = (known[one][0] for one in ends)
        share = (b - ends[0]) / (ends[1] - ends[0])
        yield np.where(free, first + share * (second - first), b)
    for one in near[:1]:
        yield np.where(free, known[one][0], b)
    yield np.where(free, 0.0, b)


def _not_computable() -> RequestError:
    return RequestError(
        "The likelihood cannot be computed so far from its top: a covariate with values far from all others, "
        "or events nearly separated. Use interval='wald', or leave the covariate out."
    )


def _constant(fit: CoxRegression) -> float:
    """Return what the penalty changes between units and standard deviations of the covariates."""
    return float(np.log(fit.scale).sum()) if fit.is_penalised else 0.0
