"""Which of the places of an interval-censored sample carry mass: a maximum over thousands of places from a few."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from ahsct.estimates._interval_npmle import OPTIMUM, IntervalLikelihood, maximise
from ahsct.estimates._risk_table import Counts, Floats

_FEW = 60  # places that are all kept
_FIRST_STEPS = 15
_LOOSE = 1e-6  # complementarity of the first round
_NO_GAIN = 1e-10  # gradient above 1 of a place that is not added any more


class Maximum(NamedTuple):
    """Survival at nodes 0 ... m, log-likelihood, and the gradient of each place (1 where there is mass, else at most 1)."""

    survival: Floats
    loglik: float
    gradient: Floats


def maximum(likelihood: IntervalLikelihood) -> Maximum:
    r"""Return the maximum without covariates, the places taken in as the Kuhn-Tucker conditions ask for them.

    The maximum has mass at few places (about 200 of 4,000). It is found on a guess of them, the gradient
    $\sum_{i \ni j} w_i / (n P_i)$ is looked at in all places, the highest above 1 between two kept ones joins, and so
    on until there is none: the conditions of the maximum over all places. Groeneboom, Jongbloed and Wellner (2008),
    doi:10.1111/j.1467-9469.2007.00588.x, call it support reduction.
    """
    kept = np.arange(likelihood.m) if likelihood.m <= _FEW else _guess(likelihood)
    nodes = np.arange(likelihood.m + 1)
    optimum = OPTIMUM if kept.size == likelihood.m else _LOOSE
    while True:
        fit = maximise(_only(likelihood, kept), optimum=optimum)
        survival = np.concatenate(([1.0], np.exp(-fit.hazard[0]), [0.0]))[np.searchsorted(kept, nodes)]
        inside = survival[likelihood.a] - survival[likelihood.b]
        share = likelihood.weight / inside / likelihood.weight.sum()
        gained, lost = (np.bincount(ends, share, likelihood.m + 1) for ends in (likelihood.a, likelihood.b))
        gradient: Floats = np.cumsum(gained - lost, dtype=np.float64)[:-1]
        stretch = np.searchsorted(kept, nodes[:-1])
        by_height = np.lexsort((gradient, stretch))
        highest = by_height[np.flatnonzero(np.diff(stretch[by_height], append=-1))]
        wanted = highest[gradient[highest] > 1 + max(100 * optimum, _NO_GAIN)]
        more = np.union1d(kept, wanted)
        if more.size == kept.size and optimum == OPTIMUM:
            return Maximum(survival, float(fit.loglik[0]), gradient)
        kept, optimum = more, OPTIMUM


def _only(likelihood: IntervalLikelihood, kept: Counts) -> IntervalLikelihood:
    """Return the likelihood with mass at the kept places alone; observations then alike count once."""
    if kept.size == likelihood.m:
        return likelihood
    a, b = np.searchsorted(kept, likelihood.a), np.searchsorted(kept, likelihood.b)
    keys, place = np.unique(a * (kept.size + 1) + b, return_inverse=True)
    a, b = np.divmod(keys, kept.size + 1)
    weight = np.bincount(place, likelihood.weight).astype(np.float64)
    return IntervalLikelihood(m=kept.size, a=a, b=b, weight=weight, risk=np.ones(keys.size))


def _guess(likelihood: IntervalLikelihood) -> Counts:
    """Return places with mass after a few steps of the iterative convex minorant, at least one for each observation.

    A step is an isotonic regression of Newton's, the curvature's diagonal taken alone: Jongbloed (1998),
    doi:10.1080/10618600.1998.10474778.
    """
    m = likelihood.m
    hazard = -np.log1p(-np.arange(1, m) / m)[None]
    value, target = likelihood.value(hazard)[0], hazard
    for _ in range(_FIRST_STEPS):
        slope, curvature = likelihood.gradient(hazard)
        ends = np.concatenate((likelihood.a, likelihood.b))
        weight = np.bincount(ends, np.tile(curvature[0], 2), minlength=m + 1)[1:m]
        target = np.maximum(isotonic_regression(hazard[0] + slope[0] / weight, weights=weight).x, 0.0)[None]
        for share in 0.5 ** np.arange(10):
            there = hazard + share * (target - hazard)
            with np.errstate(invalid="ignore"):
                height = likelihood.value(there)[0]
            if height > value:
                hazard, value = there, height
                break
    kept = np.union1d(np.flatnonzero(np.diff(target[0], prepend=0.0) > 0), m - 1)
    is_missed = np.searchsorted(kept, likelihood.a) == np.searchsorted(kept, likelihood.b)
    return np.union1d(kept, likelihood.a[is_missed])
