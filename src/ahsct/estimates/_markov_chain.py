"""Transition probabilities of a Markov process with their first and second derivatives, by uniformisation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

from ahsct.estimates._risk_table import Counts, Floats

_MOST_JUMPS = (
    4000.0  # expected jumps of the uniformised chain over the longest gap; beyond, the rates are absurd
)


class Rows(NamedTuple):
    """Rows of P(t), one per (state, gap): value (n, k), by log intensity (n, p, k), and twice (n, p, p, k)."""

    value: Floats
    first: Floats
    second: Floats


def transition_rows(
    log_rates: Floats, origin: Counts, target: Counts, n_states: int, state: Counts, gap: Floats
) -> Rows | None:
    r"""Return row `state` of $P(t) = e^{Qt}$ for each gap t; None where the intensities are beyond all measure.

    With $\lambda$ above every exit rate and $R = I + Q / \lambda$, $P(t) = \sum_k e^{-\lambda t} (\lambda t)^k / k!\, R^k$: all
    terms are positive, and the powers and their derivatives are made once for all gaps.

    Parameters
    ----------
    log_rates
        Log intensities of the allowed transitions `origin` to `target`.

    Examples
    --------
    >>> found = transition_rows(np.array([np.log(2.0)]), np.array([0]), np.array([1]), 2, np.array([0]), np.array([0.5]))
    >>> found.value.round(6).tolist()
    [[0.367879, 0.632121]]
    """
    rates = np.exp(np.minimum(log_rates, 700.0))
    p, k = rates.size, n_states
    exits = np.bincount(origin, rates, minlength=k)
    rate = float(exits.max(initial=0.0)) * 1.01 or 1.0
    longest = rate * float(gap.max(initial=0.0))
    if not np.isfinite(rate) or longest > _MOST_JUMPS:
        return None
    n_terms = int(np.ceil(longest + 9 * np.sqrt(longest + 1) + 20))
    jumps = np.eye(k)
    np.add.at(jumps, (origin, target), rates / rate)
    np.add.at(jumps, (origin, origin), -rates / rate)
    times = np.arange(n_terms)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_weight = times * np.log(rate * gap) - rate * gap - gammaln(times + 1)
    weight = np.where(rate * gap > 0, np.exp(log_weight), times == 0)
    powers = _powers(jumps, rates / rate, origin, target, n_terms)
    total, by_one, by_two = np.zeros((gap.size, k)), np.zeros((gap.size, p, k)), np.zeros((gap.size, p, p, k))
    for s in np.unique(state):
        here = np.flatnonzero(state == s)
        share = weight[:, here].T
        for result, power in zip((total, by_one, by_two), powers, strict=True):
            flat = power[..., s, :].reshape(n_terms, -1)
            result[here] = (share @ flat).reshape(here.size, *result.shape[1:])
    return Rows(total, by_one, by_two)


def _powers(
    jumps: Floats, share: Floats, origin: Counts, target: Counts, n_terms: int
) -> tuple[Floats, Floats, Floats]:
    """Return all powers of R and their derivatives by log rate: R depends on it through q_a (e_ij - e_ii) / rate."""
    p, k = share.size, len(jumps)
    values = np.empty((n_terms, k, k))
    firsts, seconds = np.empty((n_terms, p, k, k)), np.empty((n_terms, p, p, k, k))
    change = np.zeros((p, k))
    change[np.arange(p), target] += share
    change[np.arange(p), origin] -= share
    value, first, second = np.eye(k), np.zeros((p, k, k)), np.zeros((p, p, k, k))
    own = np.arange(p)
    for term in range(n_terms):
        values[term], firsts[term], seconds[term] = value, first, second
        moved = value[:, origin].T[:, :, None] * change[:, None, :]
        cross = first[:, :, origin].transpose(2, 0, 1)[..., None] * change[:, None, None, :]
        second = second @ jumps + cross + cross.transpose(1, 0, 2, 3)
        second[own, own] += moved
        first = first @ jumps + moved
        value = value @ jumps
    return values, firsts, seconds


def reachable(origin: Counts, target: Counts, n_states: int) -> npt.NDArray[np.bool_]:
    """Return which state can be reached from which, itself included.

    Examples
    --------
    >>> reachable(np.array([0, 1]), np.array([1, 2]), 3).tolist()
    [[True, True, True], [False, True, True], [False, False, True]]
    """
    ways = np.eye(n_states, dtype=bool)
    ways[origin, target] = True
    for _ in range(n_states):
        ways = (ways.astype(np.int64) @ ways.astype(np.int64)) > 0
    return ways
