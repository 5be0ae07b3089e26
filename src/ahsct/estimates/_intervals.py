"""Pointwise intervals of a probability by transformation, as in R's `survfit(conf.type = ...)`."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._risk_table import Floats

INTERVALS = ("log-log", "log", "plain", "logit", "arcsine")
_ROUNDING = 1e-11


def pointwise(
    estimate: Floats, std_error: Floats, *, interval: str, conf_level: float
) -> tuple[Floats, Floats]:
    """Return lower and upper limits; NaN where the transformation has none.

    The transformations are undefined at 0, and all but plain and log at 1; there the exact interval has to
    answer. Plain and log limits are cut at 0 and 1.

    Raises
    ------
    RequestError
        The interval is unknown or the level does not lie between 0 and 1.

    Examples
    --------
    16 of 23 free of activity at 3 years:

    >>> p = np.array([16 / 23])
    >>> lower, upper = pointwise(p, np.sqrt(p * (1 - p) / 23), interval="log-log", conf_level=0.95)
    >>> lower.round(4).tolist(), upper.round(4).tolist()
    ([0.4656], [0.8417])
    """
    require_interval(interval)
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # far limits become 0 and 1
        p = np.where(estimate > 0, estimate, np.nan)
        log_error = std_error / p
        if interval == "plain":
            return np.maximum(p - z * std_error, 0), np.minimum(p + z * std_error, 1)
        if interval == "log":
            return p * np.exp(-z * log_error), np.minimum(p * np.exp(z * log_error), 1)
        p = np.where(p < 1, p, np.nan)
        if interval == "log-log":
            half = z * log_error / np.log(p)
            return np.exp(np.log(p) * np.exp(-half)), np.exp(np.log(p) * np.exp(half))
        if interval == "logit":
            half, centre = z * log_error / (1 - p), np.log(p / (1 - p))
            return 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))
        half, centre = 0.5 * z * log_error * np.sqrt(p / (1 - p)), np.arcsin(np.sqrt(p))
        return np.sin(np.maximum(centre - half, 0)) ** 2, np.sin(np.minimum(centre + half, np.pi / 2)) ** 2


def settled(probability: Floats, std_error: Floats) -> tuple[Floats, Floats]:
    """Return probabilities that a sum left within rounding of 0 or 1 as 0 and 1, their small errors as 0.

    Examples
    --------
    >>> settled(np.array([1 + 2e-16, 0.5]), np.array([3e-9, 0.1]))
    (array([1. , 0.5]), array([0. , 0.1]))
    """
    ends = np.round(probability)
    is_end = np.abs(probability - ends) < _ROUNDING
    return np.where(is_end, ends, probability), np.where(is_end & (std_error < 1e-6), 0.0, std_error)


def require_interval(interval: str) -> None:
    """Raise a RequestError where the interval is unknown."""
    if interval not in INTERVALS:
        raise RequestError(
            f"No interval {interval!r}; known are {', '.join(INTERVALS)}.{did_you_mean(interval, INTERVALS)}"
        )


def require_conf_level(conf_level: float) -> float:
    """Return the level, or raise a RequestError where it does not lie between 0 and 1."""
    if not 0 < conf_level < 1:
        raise RequestError(f"conf_level must lie between 0 and 1, as 0.95; found {conf_level!r}.")
    return conf_level
