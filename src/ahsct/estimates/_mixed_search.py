"""The smallest deviance of the mixed model, which may have several minima, some of them singular.

Newton steps from several starts at once, then the conditions of a minimum under "the covariance has no negative
eigenvalue": where they fail, the search goes on. The triangle L alone would hide that failure, for at a zero of
its diagonal the deviance is flat in L whatever the data say.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from ahsct.chunks import random_stream
from ahsct.errors import TableError
from ahsct.estimates._mixed_likelihood import Sums, derivatives, lower, profile

Array = npt.NDArray[np.float64]

_MOST_STEPS = 200
_N_LOOKED_AT = 200  # places, of which a few become starts
_N_LOWEST = 6  # starts: the lowest of all ...
_N_SIZES = 8  # ... and the lowest of each eighth of the places, by size of the covariance
_MOST_AT_ONCE = 20_000  # groups times places
_FURTHEST = 1e6  # standard deviations over the residual's
_ROUNDING = 1e-9  # of a deviance
_SIZES = 10.0 ** np.arange(-6, 4, 0.5)  # of a covariance that is added
_ZERO = 1e-7  # a standard deviation over the residual's that is taken as 0


def minimise_deviance(sums: Sums) -> Array:
    """Return the free entries of the lower triangle at the smallest deviance, singular or not.

    Raises
    ------
    TableError
        No place that was found fulfils the conditions of a minimum.
    """
    theta = _lowest_end(sums, _starts(sums))
    for _ in range(_MOST_STEPS):
        lower_still = _still_lower(sums, theta)
        if lower_still is None:
            break
        theta = _lowest_end(sums, lower_still[None])
    at = derivatives(sums, theta)
    values, vectors = np.linalg.eigh(at.curvature)
    gain = (vectors.T @ at.gradient) ** 2 / np.maximum(np.abs(values), 1e-8 * np.abs(values).max())
    if not gain.sum() < 1e-4:
        raise TableError(
            "linear_mixed_model: the likelihood has not reached its maximum; some group's values lie almost exactly on "
            "the fitted lines, or a random coefficient is hardly seen in the data."
        )
    return theta


def triangle(sums: Sums, covariance: Array) -> Array:
    """Return the free entries of L with L L' = covariance (one or several), singular or not."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    L = np.linalg.qr(root.swapaxes(-1, -2)).R.swapaxes(-1, -2)
    return np.asarray(L[..., *sums.places])


@cache
def _directions(q: int, is_correlated: bool) -> Array:
    """Return covariances of all sizes (standard deviations 0.01 to 100) in all directions."""
    rng = random_stream(1, stream="starts of mixed models", patient=q)
    turned = np.linalg.qr(rng.normal(size=(_N_LOOKED_AT, q, q))).Q if is_correlated else np.eye(q)
    variances = 10 ** rng.uniform(-4, 4, (_N_LOOKED_AT, 1, q))
    return np.asarray((turned * variances) @ turned.swapaxes(-1, -2))


def _starts(sums: Sums) -> Array:
    """Return low places: of all, and of each size, lest a valley be missed."""
    covariances = _directions(sums.q, sums.is_correlated)
    places = triangle(sums, covariances)
    parts = np.array_split(places, -(-len(places) * sums.n_groups // _MOST_AT_ONCE))
    heights = np.concatenate([profile(sums, part)[0] for part in parts if len(part)])
    by_size = np.array_split(np.argsort(np.trace(covariances, axis1=1, axis2=2)), _N_SIZES)
    chosen = {
        *np.argsort(heights)[:_N_LOWEST].tolist(),
        *(int(one[heights[one].argmin()]) for one in by_size),
    }
    # with thousands of groups there is one valley, and the lowest place lies in it
    most = max(1, _MOST_AT_ONCE // sums.n_groups)
    return places[sorted(chosen, key=lambda place: float(heights[place]))[:most]]


def _lowest_end(sums: Sums, starts: Array) -> Array:
    """Return the lowest of the places where damped Newton steps from each row of `starts` end."""
    ends = starts.copy()
    left, before = np.arange(len(starts)), np.full(len(starts), np.inf)
    for _ in range(_MOST_STEPS):
        theta = ends[left]
        at = derivatives(sums, theta)
        values, vectors = np.linalg.eigh(at.curvature)
        along = (at.gradient[:, None, :] @ vectors)[:, 0]
        # where the deviance is curved downwards the same step leads down; what has neither curve nor slope stays
        sizes = np.maximum(np.abs(values), 1e-14 * np.abs(values).max(axis=1, keepdims=True) + 1e-300)
        is_flat = (sizes <= 1e-8 * sizes.max(axis=1, keepdims=True)) & (along**2 <= 1e-11 * sizes)
        # never exactly to zero, where the deviance may have a saddle
        most = 0.7 * np.maximum(1.0, np.abs(theta).max(axis=1, keepdims=True))
        move = np.where(is_flat, 0.0, np.clip(along / sizes, -most, most))
        step = -(vectors @ move[..., None])[..., 0]
        slope = np.sum(at.gradient * step, axis=1)
        # so near that the deviance itself is rounding: Newton's step is better than any comparison of deviances
        is_near = ((values > 0) | is_flat).all(axis=1) & (-slope < 1e-7)
        step *= np.where(is_near, 1.0, _shares(sums, theta, step, at.deviance, slope))[:, None]
        ends[left] = theta + step
        longest = np.abs(step).max(axis=1)
        small = np.where(is_near, 1e-9, 1e-13) * np.maximum(1.0, np.abs(ends[left]).max(axis=1))
        # Newton's steps gain ever less; when they no longer do, what is left is rounding
        is_done = (longest <= small) | (is_near & (-slope > before[left] / 2))
        # of those that are near a minimum only the lowest is of use
        is_done |= is_near & (at.deviance > at.deviance[is_near].min(initial=np.inf))
        before[left] = np.where(is_near, -slope, np.inf)
        left = left[~is_done]
        if not left.size:
            break
    ends = np.where(np.abs(ends) < _ZERO, 0.0, ends)
    return np.asarray(ends[int(profile(sums, ends)[0].argmin())])


def _shares(sums: Sums, theta: Array, step: Array, deviance: Array, slope: Array) -> Array:
    """Return the share of each step that lowers the deviance in proportion to its slope (a mirror image does not)."""
    share, left = np.ones(len(theta)), np.arange(len(theta))
    while left.size:
        there = theta[left] + share[left, None] * step[left]
        is_far = np.abs(there).max(axis=1) > _FURTHEST
        heights = profile(sums, np.where(is_far[:, None], theta[left], there))[0]
        wanted = deviance[left] + 1e-4 * share[left] * slope[left] + _ROUNDING
        left = left[is_far | ~(heights <= wanted)]
        share[left] /= 2
        left = left[share[left] * np.abs(step[left]).max(axis=1) > 1e-14]
    return share


def _still_lower(sums: Sums, theta: Array) -> Array | None:
    """Return a lower place where `theta` does not fulfil the conditions of a minimum, else None.

    The derivative by the covariance must have no negative eigenvalue (no direction in which groups would rather
    differ more), the second derivative by L neither.
    """
    at, around = derivatives(sums, theta), []
    values, vectors = np.linalg.eigh(at.curvature)
    if values[0] < 0:
        moves = np.sqrt(_SIZES)[:, None] * vectors[:, 0]
        around += [theta + moves, theta - moves]
    values, vectors = np.linalg.eigh(at.slope if sums.is_correlated else np.diag(np.diag(at.slope)))
    if values[0] < 0:
        L = lower(sums, theta)
        more = _SIZES[:, None, None] * np.outer(vectors[:, 0], vectors[:, 0])
        around.append(triangle(sums, L @ L.T + more))
    if not around:
        return None
    places = np.concatenate(around)
    heights = profile(sums, places)[0]
    best = int(heights.argmin())
    return np.asarray(places[best]) if heights[best] < at.deviance - _ROUNDING else None
