"""The maximum of `_interval_npmle` where there are many places: over few, adding those where mass would help."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.optimize import isotonic_regression

from ahsct.estimates._interval_npmle import Intersections, IntervalLikelihood, maximise
from ahsct.estimates._risk_table import Counts, Floats

FEW_PLACES = 60  # up to which all take part at once
_FIRST_STEPS = 15
_MOST_ROUNDS = 40  # of adding places before all take part
_NOTHING_TO_GAIN = 1e-11  # share of the total weight that a place may gain


class Rows(NamedTuple):
    """Observations that hold the places `first` to `last` of m, with the number that are alike."""

    first: Counts
    last: Counts
    weight: Floats
    m: int

    @classmethod
    def of(cls, places: Intersections) -> Rows:
        """Return the distinct observations."""
        rows, weight = np.unique(np.column_stack((places.first, places.last)), axis=0, return_counts=True)
        return cls(rows[:, 0], rows[:, 1], weight.astype(np.float64), places.upper.size)

    def likelihood(self, used: Counts | None = None) -> IntervalLikelihood:
        """Return the likelihood with mass at some places alone, or at all; observations then alike count once."""
        used = np.arange(self.m) if used is None else used
        a, b = np.searchsorted(used, self.first), np.searchsorted(used, self.last, side="right")
        keys, place = np.unique(a * (used.size + 1) + b, return_inverse=True)
        a, b = np.divmod(keys, used.size + 1)
        weight = np.bincount(place, self.weight).astype(np.float64)
        return IntervalLikelihood(m=used.size, a=a, b=b, weight=weight, risk=np.ones(keys.size))


class Found(NamedTuple):
    """Masses at the places `used`, log-likelihood, its slope by the fixed hazard, and the places' gradients.

    `gradient` is relative to its bound at the optimum: at most 1 everywhere, and 1 where there is mass.
    """

    used: Counts
    mass: Floats
    loglik: float
    pull: float
    gradient: Floats


def maximise_places(rows: Rows, *, node: int | None = None, at: float = 0.0) -> Found:
    r"""Return the maximum, with `node` under a cumulative hazard of `at` over the first `node` places.

    Few places carry mass in the end. So the maximum is found over some of them, and the Kuhn-Tucker conditions of all
    name those to add: $\sum_{i \ni j} w_i / P_i$ beyond its bound, which is the total weight, or on either side of
    a node that is held fixed the mean of that side's masses.
    """
    m, total = rows.m, rows.weight.sum()
    used = np.arange(m)
    if m > FEW_PLACES:
        used = _guess(rows.likelihood()) if node is None else _cover(rows)
    for rounds in range(_MOST_ROUNDS + 1):
        if rounds == _MOST_ROUNDS:
            used = np.arange(m)
        elif node is not None:
            used = np.union1d(used, [node - 1, node])
        a, b = np.searchsorted(used, rows.first), np.searchsorted(used, rows.last, side="right")
        likelihood = rows.likelihood(used)
        own = 0 if node is None else int(np.searchsorted(used, node))
        if node is None:
            fit = maximise(likelihood)
        else:
            fit = maximise(likelihood, fixed=np.array([own]), at=np.array([at]))
        hazard = np.concatenate(([0.0], fit.hazard[0], [np.inf]))
        mass = np.exp(-hazard[:-1]) * -np.expm1(-np.diff(hazard))
        inside = np.exp(-hazard[a]) * -np.expm1(-(hazard[b] - hazard[a]))
        share = rows.weight / inside / total
        came = np.bincount(rows.first, share, minlength=m + 1)
        went = np.bincount(rows.last + 1, share, minlength=m + 1)
        gradient: Floats = np.cumsum(came - went, dtype=np.float64)[:-1]
        if node is not None:
            for side, part in ((slice(0, own), slice(0, node)), (slice(own, None), slice(node, None))):
                bound = float(mass[side] @ gradient[used[side]] / mass[side].sum())
                gradient[part] /= bound if bound > 0 else 1.0  # nobody's interval reaches that side
        # a gradient below the rest leaves no mass
        mass = np.where(gradient[used] < 1 - 1e-6, 0.0, mass)
        if used.size == m or gradient.max() <= 1 + _NOTHING_TO_GAIN:
            break
        used = _with_better_places(used[mass > 0], gradient)
    pull = 0.0 if node is None else float(fit.pull[0, own - 1])
    return Found(used, mass, float(fit.loglik[0]), pull, gradient)


def maximise_held(rows: Rows, node: int, at: Floats, *, at_once: bool = False) -> tuple[Floats, Floats]:
    """Return the log-likelihoods with a node under each of these hazards, and their slopes by the hazard."""
    if rows.m > FEW_PLACES and not at_once:
        found = [maximise_places(rows, node=node, at=float(hazard)) for hazard in at]
        return np.array([one.loglik for one in found]), np.array([one.pull for one in found])
    fit = maximise(rows.likelihood(), fixed=np.full(at.size, node), at=at, optimum=1e-10)
    return fit.loglik, fit.pull[:, node - 1]


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
        if not (weight > 0).all():  # an observation that is all but certain already
            break
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


def _cover(rows: Rows) -> Counts:
    """Return places to start from: some spread over all, and what it takes for each observation to hold one."""
    chosen, newest = [], -1
    for k in np.argsort(rows.last, kind="stable"):
        if rows.first[k] > newest:
            newest = int(rows.last[k])
            chosen.append(newest)
    return np.unique(np.concatenate((chosen, np.linspace(0, rows.m - 1, 50).astype(np.int64))))


def _with_better_places(used: Counts, gradient: Floats) -> Counts:
    """Return the places in use and, between each two of them, the one where mass would raise the likelihood most."""
    edges = np.concatenate(([-1], used, [gradient.size]))
    best = [
        low + 1 + int(np.argmax(gradient[low + 1 : high]))
        for low, high in pairwise(edges.tolist())
        if high > low + 1
    ]
    more = np.array([place for place in best if gradient[place] > 1 + _NOTHING_TO_GAIN], dtype=np.int64)
    return np.union1d(used, more)
