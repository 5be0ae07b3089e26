"""The maximum of a likelihood of event times known by intervals, over all distributions: an interior-point method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.estimates._risk_table import Counts, Floats

_MAX_STEPS = 200
OPTIMUM = 1e-13  # complementarity, per unit of weight
_FAR = 1 - 1e-2  # share of the way to the boundary that a step may go


class Intersections(NamedTuple):
    """Maximal intersections of the observed intervals: where they lie, and which each observation holds.

    An observation holds intersections `first` to `last`; `lower` and `upper` bound them (left open, unless equal).
    """

    lower: Floats
    upper: Floats
    first: Counts
    last: Counts


def intersections(left: Floats, right: Floats, cuts: Floats | None = None) -> Intersections:
    """Return the only places where the likelihood wants mass: a left end followed directly by a right end.

    Times are ranked; an end at rank k sorts as 2k and "just after it" as 2k + 1, so that (1, 2] and (2, 3] do
    not meet while an exact time meets the interval that ends there. `cuts` are times at which the distribution will
    be held fixed: the places on their two sides are kept apart.
    """
    cuts = np.empty(0) if cuts is None else cuts
    n, more = left.size, np.repeat(np.inf, cuts.size)
    times, ranks = np.unique(np.concatenate((left, right, cuts, [0.0, np.inf])), return_inverse=True)
    starts, ends = 2 * ranks[:n], 2 * ranks[n : 2 * n]
    starts = np.where(left == right, starts, starts + 1)
    at_cuts = 2 * ranks[2 * n : 2 * n + cuts.size]
    # a cut closes what lies before it and opens what lies after it; something must lie on either side
    outer = np.zeros(0, np.int64) if not more.size else np.array([2 * ranks[-2]])
    far = np.zeros(0, np.int64) if not more.size else np.array([2 * ranks[-1]])
    keys = np.concatenate((starts, at_cuts + 1, outer, ends, at_cuts, far))
    is_end = np.repeat([False, True], keys.size // 2)
    order = np.lexsort((is_end, keys))
    keys, is_end = keys[order], is_end[order]
    innermost = np.flatnonzero(~is_end[:-1] & is_end[1:])
    return Intersections(
        times[keys[innermost] // 2],
        times[keys[innermost + 1] // 2],
        np.searchsorted(keys[innermost], starts, side="left"),
        np.searchsorted(keys[innermost + 1], ends, side="right") - 1,
    )


@dataclass(frozen=True, kw_only=True)
class IntervalLikelihood:
    r"""Log-likelihood of cumulative hazards at the intersections' ends, $\sum_i w_i \log(e^{-r_i \Lambda_{a_i}} - e^{-r_i \Lambda_{b_i}})$.

    Node 0 has $\Lambda = 0$, node m has infinity; `a`, `b` are the observations' nodes and `risk` their relative
    hazards (1 without covariates). Concave in $\Lambda$, with a Hessian that couples only the two ends of an
    observation.
    """

    m: int
    a: Counts
    b: Counts
    weight: Floats
    risk: Floats

    @classmethod
    def of(cls, places: Intersections, risk: Floats | None = None) -> IntervalLikelihood:
        """Return the likelihood; observations alike count once, with a weight."""
        each = np.ones(places.first.size) if risk is None else risk
        rows = np.column_stack((places.first, places.last + 1, each))
        unique, counts = np.unique(rows, axis=0, return_counts=True)
        a, b = unique[:, 0].astype(np.int64), unique[:, 1].astype(np.int64)
        weight, relative = counts.astype(np.float64), unique[:, 2].astype(np.float64)
        return cls(m=places.upper.size, a=a, b=b, weight=weight, risk=relative)

    def value(self, hazard: Floats) -> Floats:
        """Return the log-likelihood of each row of hazards at nodes 1 ... m - 1."""
        low, gap = self._ends(hazard)
        with np.errstate(divide="ignore"):
            return np.asarray((self.weight * (np.log(-np.expm1(-gap)) - low)).sum(axis=1))

    def gradient(self, hazard: Floats) -> tuple[Floats, Floats]:
        """Return the gradient by node, and the curvature $w r^2 q (1 + q)$ of each observation's gap."""
        _, gap = self._ends(hazard)
        q = 1 / np.expm1(np.minimum(gap, 700.0))  # nothing where the gap is infinite
        pull = self.weight * self.risk
        slope: Floats = np.zeros((len(hazard), self.m + 1))
        for row, share in zip(slope, q, strict=True):
            row += np.bincount(self.b, pull * share, minlength=self.m + 1)
            row -= np.bincount(self.a, pull * (1 + share), minlength=self.m + 1)
        return slope[:, 1 : self.m], self.weight * self.risk**2 * q * (1 + q)

    def _ends(self, hazard: Floats) -> tuple[Floats, Floats]:
        nodes = np.concatenate(
            (np.zeros((len(hazard), 1)), hazard, np.full((len(hazard), 1), np.inf)), axis=1
        )
        low = self.risk * nodes[:, self.a]
        return low, self.risk * nodes[:, self.b] - low


class Fit(NamedTuple):
    """Cumulative hazards at nodes 1 ... m - 1 (a row per problem) and their log-likelihood.

    `pull` is the derivative of the log-likelihood by the hazard of each node, the constraints' answer included: zero
    at free nodes, the profile's slope at a fixed one. `left_over` is the complementarity that remained.
    """

    hazard: Floats
    loglik: Floats
    pull: Floats
    left_over: Floats


def maximise(
    likelihood: IntervalLikelihood,
    *,
    fixed: Counts | None = None,
    at: Floats | None = None,
    optimum: float = OPTIMUM,
) -> Fit:
    """Return the maximum under rising hazards; row k also holds node `fixed[k]` (1 ... m - 1) at hazard `at[k]`.

    A primal-dual interior-point method: Newton steps on the likelihood with a barrier for each increment, all
    problems in one sparse system.
    """
    m, size = likelihood.m, likelihood.m - 1
    n_problems = 1 if fixed is None else fixed.size
    total = likelihood.weight.sum()
    start = -np.log1p(-np.arange(1, m) / m)
    hazard = np.tile(start, (n_problems, 1))
    if fixed is not None and at is not None:
        hazard = start * (at / start[fixed - 1])[:, None]
    if size == 0:
        return Fit(hazard, likelihood.value(hazard), hazard, np.zeros(n_problems))
    is_free = np.ones((n_problems, size), bool)
    if fixed is not None:
        is_free[np.arange(n_problems), fixed - 1] = False
    system = _System(likelihood, is_free)
    step = np.diff(hazard, axis=1, prepend=0.0)
    dual = total / m / step
    length = np.full((n_problems, 1), 0.5)
    for _ in range(_MAX_STEPS):
        slope, curvature = likelihood.gradient(hazard)
        left_over = (dual * step).sum(axis=1) / total
        pull = slope + _differences(dual)
        scale = np.maximum(np.abs(slope).max(axis=1), total)
        unmet = np.abs(np.where(is_free, pull, 0.0)).max(axis=1) / scale
        if left_over.max() < optimum and unmet.max() < 10 * optimum:
            break
        # the further the last step could go, the less it needs centring
        centre = np.clip((1 - length[:, 0]) ** 2, 0.01, 0.2) * left_over * total / size
        barrier = np.maximum(centre, 1e-17 * total)[:, None] / step
        move = system.solve(curvature, dual / step, np.where(is_free, slope + _differences(barrier), 0.0))
        by_step = np.diff(move, axis=1, prepend=0.0)
        by_dual = barrier - dual - dual / step * by_step
        length = np.minimum(_reach(step, by_step), _reach(dual, by_dual))[:, None]
        hazard = hazard + length * move
        dual = dual + length * by_dual
        step = step + length * by_step  # on its own: differences of hazards would lose small steps
    return Fit(hazard, likelihood.value(hazard), pull, left_over)


class _System:
    """The sparse Newton system of all problems; its pattern is made once."""

    def __init__(self, likelihood: IntervalLikelihood, is_free: npt.NDArray[np.bool_]) -> None:
        n_problems, size = is_free.shape
        self.is_free, self.shape = is_free, is_free.shape
        inner = (likelihood.a > 0) & (likelihood.b < likelihood.m)
        self.inner, self.a, self.b = inner, likelihood.a, likelihood.b
        a, b = likelihood.a[inner] - 1, likelihood.b[inner] - 1
        nodes, chain = np.arange(size), np.arange(size - 1)
        rows = np.concatenate((nodes, a, b, chain, chain + 1))
        columns = np.concatenate((nodes, b, a, chain + 1, chain))
        offset = size * np.arange(n_problems)[:, None]
        rows, columns = (offset + rows).ravel(), (offset + columns).ravel()
        keep = is_free.ravel()
        self.is_kept = (keep[rows] & keep[columns]) | (rows == columns)
        order = columns * (n_problems * size) + rows
        self.keys, self.slot = np.unique(order, return_inverse=True)
        self.indices = self.keys % (n_problems * size)
        self.diagonal = np.flatnonzero(self.keys // (n_problems * size) == self.indices)
        ends = np.searchsorted(self.keys // (n_problems * size), np.arange(n_problems * size + 1))
        self.starts = ends

    def solve(self, curvature: Floats, ratio: Floats, right: Floats) -> Floats:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        n_problems, size = self.shape
        diagonal = ratio.copy()
        diagonal[:, :-1] += ratio[:, 1:]
        for row, curve in zip(diagonal, curvature, strict=True):
            ends = np.bincount(self.a, curve, minlength=size + 2) + np.bincount(
                self.b, curve, minlength=size + 2
            )
            row += ends[1 : size + 1]
        diagonal = np.where(self.is_free, diagonal, 1.0)
        edge, chain = -curvature[:, self.inner], -ratio[:, 1:]
        values = np.concatenate((diagonal, edge, edge, chain, chain), axis=1).ravel()
        data: Floats = np.bincount(
            self.slot, np.where(self.is_kept, values, 0.0), minlength=self.keys.size
        ).astype(np.float64)
        for ridge in (0.0, 1e-12, 1e-8, 1e-4):
            if ridge:  # entries many powers of ten apart can cancel to a pivot of zero
                data[self.diagonal] *= 1 + ridge
            matrix = csc_array((data, self.indices, self.starts), shape=(n_problems * size,) * 2)
            try:
                factors = splu(
                    matrix,
                    permc_spec="MMD_AT_PLUS_A",
                    diag_pivot_thresh=0.0,
                    options={"SymmetricMode": True},
                )
            except RuntimeError:
                continue
            solution: Floats = np.asarray(factors.solve(right.ravel()), dtype=np.float64)
            if np.isfinite(solution).all():
                return solution.reshape(self.shape)
        return np.zeros(self.shape)


def _differences(value: Floats) -> Floats:
    """Return the transposed difference: value[k] - value[k + 1], the last as it is."""
    result = value.copy()
    result[:, :-1] -= value[:, 1:]
    return result


def _reach(value: Floats, change: Floats) -> Floats:
    """Return the step length that leaves every value above a hundredth of itself or so; at most 1."""
    with np.errstate(divide="ignore"):
        furthest = np.where(change < 0, -value / change, np.inf).min(axis=1)
    return np.asarray(np.minimum(1.0, _FAR * furthest))
