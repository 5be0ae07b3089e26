r"""Each study's number on a scale where it is about normal, with its sampling variance."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, ndtri

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence._design import Floats, counts, floats, numbers

PROPORTIONS = ("logit", "arcsine", "freeman-tukey")
SURVIVAL_INTERVALS = ("log-log", "log", "plain")


def proportion_effects(events: Any, n: Any, *, scale: str = "logit") -> tuple[Floats, Floats]:
    r"""Return transformed proportions and their variances.

    Logit: $\log\frac{x}{n-x}$ with $\frac1x + \frac1{n-x}$; where a study has no event or only events, 1/2 is added to
    both of its cells. Arcsine: $\arcsin\sqrt{x/n}$ with $1/(4n)$. Freeman-Tukey:
    $\frac12(\arcsin\sqrt{x/(n+1)} + \arcsin\sqrt{(x+1)/(n+1)})$ with $1/(4n+2)$.

    References
    ----------
    R: metafor 3.8.1, escalc(measure = "PLO", "PAS", "PFT"). Freeman and Tukey (1950), doi:10.1214/aoms/1177729756.

    Examples
    --------
    One of 24: log(1/23), 1 + 1/23:

    >>> y, v = proportion_effects([1], [24])
    >>> y.round(4).tolist(), v.round(4).tolist()
    ([-3.1355], [1.0435])
    """
    x, n = counts(events, n)
    if scale == "logit":
        add = np.where((x == 0) | (x == n), 0.5, 0.0)
        return np.log((x + add) / (n - x + add)), 1 / (x + add) + 1 / (n - x + add)
    if scale == "arcsine":
        return np.arcsin(np.sqrt(x / n)), 1 / (4 * n)
    if scale == "freeman-tukey":
        both = np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))
        return both / 2, 1 / (4 * n + 2)
    raise RequestError(
        f"No scale {scale!r}; known are {', '.join(PROPORTIONS)}.{did_you_mean(scale, PROPORTIONS)}"
    )


def back_to_proportion(value: Any, *, scale: str, n: Any | None = None) -> Floats:
    """Return proportions from the transformed scale; Freeman-Tukey takes the harmonic mean of the sizes `n`.

    Outside the range of a transformation the proportion is 0 or 1.

    References
    ----------
    Miller (1978), doi:10.1080/00031305.1978.10479283; R: metafor transf.ilogit, transf.iarcsin, transf.ipft.hm.

    Examples
    --------
    >>> y, _ = proportion_effects([1, 7], [24, 23], scale="freeman-tukey")
    >>> [float(back_to_proportion(y[i], scale="freeman-tukey", n=[n]).round(10)) for i, n in ((0, 24), (1, 23))]
    [0.0416666667, 0.3043478261]
    """
    value = np.asarray(value, dtype=np.float64)
    if scale == "logit":
        return floats(expit(value))
    if scale == "arcsine":
        return floats(np.sin(np.clip(value, 0, np.pi / 2)) ** 2)
    sizes = numbers("n", n)
    mean = sizes.size / np.sum(1 / sizes)
    ends = np.arcsin(np.sqrt(np.array([0.0, mean]) / (mean + 1))) + np.arcsin(
        np.sqrt(np.array([1.0, mean + 1]) / (mean + 1))
    )
    t = np.clip(value, ends[0] / 2, ends[1] / 2)
    sine = np.sin(2 * t)
    root = np.sqrt(np.maximum(0.0, 1 - (sine + (sine - 1 / sine) / mean) ** 2))
    return floats(0.5 * (1 - np.sign(np.cos(2 * t)) * root))


def rate_effects(events: Any, person_years: Any) -> tuple[Floats, Floats]:
    """Return log rates and their variances 1/events; where a study has no event, 1/2 is added.

    References
    ----------
    R: metafor 3.8.1, escalc(measure = "IRLN").

    Examples
    --------
    >>> y, v = rate_effects([167], [140])
    >>> np.exp(y).round(4).tolist(), v.round(6).tolist()
    ([1.1929], [0.005988])
    """
    x, years = numbers("events", events), numbers("person_years", person_years)
    x = np.where(x == 0, 0.5, x)
    return np.log(x / years), 1 / x


def ratio_effects(ratio: Any, lower: Any, upper: Any, *, conf_level: float = 0.95) -> tuple[Floats, Floats]:
    """Return log hazard or rate ratios with the variance that their intervals imply on the log scale.

    Examples
    --------
    A hazard ratio of 0.50 (0.31 to 0.81):

    >>> y, v = ratio_effects([0.5], [0.31], [0.81])
    >>> y.round(4).tolist(), np.sqrt(v).round(4).tolist()
    ([-0.6931], [0.245])
    """
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    low, high = np.log(numbers("lower", lower)), np.log(numbers("upper", upper))
    return np.log(numbers("ratio", ratio)), ((high - low) / (2 * z)) ** 2


def survival_effect(
    estimate: float, lower: float, upper: float, *, interval: str, conf_level: float
) -> tuple[float, float]:
    r"""Return $\log(-\log S)$ of a time-to-event percentage and its standard error, from its printed interval.

    Log-log limits are symmetric there; a log or plain interval is first turned into the standard error of
    $\log S$ or $S$ and carried over by the delta method.

    Parameters
    ----------
    estimate, lower, upper
        Probabilities strictly between 0 and 1 (an upper limit may be 1 on the log and plain scales only).
    interval
        "log-log", "log" or "plain": the method that made the interval.
    conf_level
        Its level.

    Raises
    ------
    RequestError
        The method is not one of these, or the numbers do not lie in order within 0 and 1.

    Examples
    --------
    16 of 23 at three years, 69.6 (46.6 to 84.2) by log(-log); Greenwood's own value is 0.378:

    >>> y, se = survival_effect(0.696, 0.466, 0.842, interval="log-log", conf_level=0.95)
    >>> round(y, 3), round(se, 3)
    (-1.015, 0.38)
    """
    if interval not in SURVIVAL_INTERVALS:
        raise RequestError(
            f"No standard error can be had from an interval of method {interval!r}; "
            f"known are {', '.join(SURVIVAL_INTERVALS)}."
        )
    if not (0 < lower < estimate < upper <= 1) or (upper == 1 and interval == "log-log"):
        raise RequestError(
            f"An estimate must lie within its limits, between 0 and 1; found {estimate} ({lower} to {upper})."
        )
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    log_s = np.log(estimate)
    if interval == "log-log":
        error = (np.log(-np.log(lower)) - np.log(-np.log(upper))) / (2 * z)
    elif interval == "log":
        error = (np.log(upper) - np.log(lower)) / (2 * z) / abs(log_s)
    else:
        error = (upper - lower) / (2 * z) / (estimate * abs(log_s))
    return float(np.log(-log_s)), float(error)


def effective_size(estimate: float, std_error_cloglog: float) -> float:
    r"""Return the number of completely followed patients that would give this standard error.

    $n = (1 - S) / (S (\log S)^2 se^2)$, from the variance of $\log(-\log S)$ of a proportion.

    Examples
    --------
    Greenwood's standard error of 16/23 gives 23 back:

    >>> s = 16 / 23
    >>> round(effective_size(s, ((1 - s) / (s * np.log(s) ** 2 * 23)) ** 0.5), 6)
    23.0
    """
    return float((1 - estimate) / (estimate * np.log(estimate) ** 2 * std_error_cloglog**2))
