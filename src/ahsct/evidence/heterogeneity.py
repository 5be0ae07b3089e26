"""How much studies differ: Q, I², H², and an interval of the variance between them."""

from __future__ import annotations

from collections.abc import Callable

from scipy.optimize import brentq
from scipy.stats import chi2

from ahsct.errors import RequestError
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence.random_effects import Fit, _projection, exact_unit


def tau2_interval(fit: Fit, *, conf_level: float = 0.95) -> tuple[float, float]:
    r"""Return the Q-profile interval of the variance between studies.

    The limits are where the generalised $Q(\tau^2) = y^\top P(\tau^2) y$ meets the quantiles of its chi-squared
    distribution with k - p degrees of freedom; where it lies below a quantile already at 0, that limit is 0.

    References
    ----------
    Viechtbauer (2007), doi:10.1002/sim.2514. R: metafor 3.8.1, confint(rma(...)).

    Examples
    --------
    Two studies 4 apart with variance 1: Q(t) = 8 / (1 + t), which equals 5.0239 at 0.5924:

    >>> from ahsct.evidence.random_effects import fit_random_effects
    >>> low, high = tau2_interval(fit_random_effects([0.0, 4.0], [1.0, 1.0], test="z"))
    >>> round(low, 4), round(high)
    (0.5924, 8145)
    """
    if fit.q_df < 1:
        raise RequestError("An interval of the variance between studies needs at least two studies.")
    tail = (1 - require_conf_level(conf_level)) / 2

    unit = exact_unit(fit.v)
    y, v = fit.y / unit, fit.v / unit**2

    def excess(t: float, level: float) -> float:
        return float(y @ _projection(v, fit.x, t) @ y) - float(chi2.ppf(level, fit.q_df))

    low, high = (_crossing(excess, level, float(v.max())) for level in (1 - tail, tail))
    return unit**2 * low, unit**2 * high


def _crossing(excess: Callable[[float, float], float], level: float, high: float) -> float:
    if excess(0.0, level) <= 0:
        return 0.0
    while excess(high, level) > 0:
        high *= 4
    return float(brentq(excess, 0.0, high, args=(level,), xtol=1e-14, rtol=1e-14, maxiter=500))
