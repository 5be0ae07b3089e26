"""Separation: the likelihood of Cox's model that is left once the separated coefficients are infinite."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, hstack, vstack

from ahsct.errors import RequestError
from ahsct.estimates._risk_sets import RiskSets
from ahsct.estimates._risk_table import Counts, Floats

_TIED = 1e-7  # of a coefficient of 1 per standard deviation: the linear programme's tolerance
_MOST = 50_000_000


class Separation(NamedTuple):
    """Which coefficients are infinite, and what the likelihood still depends on.

    The likelihood rises with `direction` (zeros where it has a top), and with each coefficient `towards` plus or
    minus infinity; 0 where that has no end, or where both are as good. Far out it compares only patients of one
    `level` (for each sorted row), and depends only on the combinations of covariates in the columns of `basis`.
    """

    direction: Floats
    towards: Floats
    basis: Floats
    level: Counts


def separation(x: Floats, sets: RiskSets, *, is_exact: bool, fixed: int | None = None) -> Separation:
    r"""Find the directions along which the likelihood rises without end.

    It never falls along $\delta$ exactly if, at each time, the patients with the event have the largest $x'\delta$
    at risk; all the same one, unless ties are exact. Let $\delta$ order as many pairs strictly as can be. Far along
    it a patient counts only beside those with an event and the same $x'\delta$: what is left is the likelihood with
    these values as strata, whose top is the supremum sought.

    Parameters
    ----------
    x
        Covariates of the sorted rows, per standard deviation.
    sets
        Who was at risk.
    is_exact
        Whether ties are exact.
    fixed
        A coefficient that is held: the directions leave it alone.

    Raises
    ------
    RequestError
        Delayed entry and too many events for a comparison of all pairs.

    References
    ----------
    Geyer (2009), Likelihood inference in exponential families and directions of recession,
    doi:10.1214/08-EJS349.
    """
    row, block, is_event = _at_risk(sets)
    first = sets.row[np.unique(sets.tie_from)]  # one event of each block
    nested = _nested(sets)
    if is_exact:
        above = _with_thresholds(x, row, block, is_event, nested)
    else:  # the events of a time are its threshold
        sign = np.where(is_event, 1.0, -1.0)[:, None]
        pairs = sign * (x[row] - x[first[block]])
        above = csr_array(np.vstack((pairs, -pairs[is_event], x[first[nested]] - x[first[nested - 1]])))
    free = np.arange(x.shape[1]) != (-1 if fixed is None else fixed)
    delta, gap = _order(above, x, free)
    tied = gap[: row.size] < _TIED
    if not is_exact:
        tied |= is_event
    total = np.zeros((first.size, x.shape[1]))
    np.add.at(total, block[tied], x[row[tied]])
    mean = total / np.maximum(np.bincount(block[tied], minlength=first.size), 1)[:, None]
    differences = (x[row[tied]] - mean[block[tied]])[:, free]
    width, axes = np.linalg.eigh(differences.T @ differences)
    axes = axes[:, width > 1e-12 * width.max(initial=1.0)]
    basis = np.zeros((x.shape[1], axes.shape[1]))
    basis[free] = axes
    delta -= basis @ (basis.T @ delta)  # where the programme stopped a little short of a tie
    along = x @ delta
    order = np.argsort(along, kind="stable")
    level = np.zeros(along.size, np.int64)
    level[order] = np.cumsum(np.diff(along[order], prepend=along[order[0]]) > _TIED / 100)
    towards = np.zeros(delta.size) if fixed is not None else _towards(above, x, delta)
    least = gap[gap >= _TIED].min(initial=1.0)
    return Separation(delta / least, towards, basis, level)


def _at_risk(sets: RiskSets) -> tuple[Counts, Counts, npt.NDArray[np.bool_]]:
    """Return pairs of a row and a block of ties at which it was at risk, and whether it had an event there.

    Without delayed entry a row stands only at the first block, and events at the next one too: that the thresholds
    never fall (see `_nested`) says the rest.
    """
    start = np.unique(sets.tie_from)
    width = sets.tie_to[start] - start
    block = np.repeat(np.arange(start.size), width)
    dead = sets.row
    if sets.entry_order is None:
        rows = np.arange(sets.events_from.size)
        begins = np.searchsorted(sets.risk_to[start], rows, side="right")
        is_seen = begins < start.size
        is_seen[is_seen] = sets.risk_from[start][begins[is_seen]] <= rows[is_seen]
        is_seen[dead] = False
        others, at = rows[is_seen], begins[is_seen]
        goes_on = np.isin(block + 1, _nested(sets))
        others, at = np.concatenate((others, dead[goes_on])), np.concatenate((at, block[goes_on] + 1))
    else:
        if (sets.events_to - sets.events_from).sum() > _MOST:
            raise RequestError(
                "Events are separated and, with delayed entry, the pairs to compare too many: leave out the covariate "
                "that separates, or use penalty='firth'."
            )
        members = [
            np.setdiff1d(sets.members(int(k)), dead[k : sets.tie_to[k]], assume_unique=True) for k in start
        ]
        others = np.concatenate(members)
        at = np.repeat(np.arange(start.size), [m.size for m in members])
    is_event = np.concatenate((np.ones(dead.size, bool), np.zeros(others.size, bool)))
    return np.concatenate((dead, others)), np.concatenate((block, at)), is_event


def _nested(sets: RiskSets) -> Counts:
    """Return the blocks of ties whose risk set holds the one before it, without delayed entry."""
    start = np.unique(sets.tie_from)
    if sets.entry_order is not None:
        return start[:0]
    return np.flatnonzero(np.diff(sets.risk_from[start]) == 0) + 1


def _with_thresholds(
    x: Floats, row: Counts, block: Counts, is_event: npt.NDArray[np.bool_], nested: Counts
) -> csr_array:
    """Return the inequalities in the coefficients and a threshold per block: events above it, others below."""
    sign = np.where(is_event, 1.0, -1.0)
    n_blocks = int(block.max()) + 1
    own = csr_array((-sign, (np.arange(row.size), block)), shape=(row.size, n_blocks))
    chain = csr_array(
        (
            np.repeat([1.0, -1.0], nested.size),
            (np.tile(np.arange(nested.size), 2), np.concatenate((nested, nested - 1))),
        ),
        shape=(nested.size, n_blocks),
    )
    of_x = np.concatenate((sign[:, None] * x[row], np.zeros((nested.size, x.shape[1]))))
    return csr_array(hstack((csr_array(of_x), vstack((own, chain)))))


def _order(above: csr_array, x: Floats, free: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return coefficients with `above` times them nowhere negative, and positive wherever it can be; and that product.

    Each linear programme makes some inequality strict that was not yet; the sum of all answers is strict in each.
    """
    total, gap = np.zeros(above.shape[1]), np.zeros(above.shape[0])
    while True:
        found = _highest(above, (gap < _TIED).astype(np.float64) @ above, x, free)
        gained = above @ found
        if not (gained[gap < _TIED] >= _TIED).any():
            return total[: x.shape[1]], gap
        total, gap = total + found, gap + np.maximum(gained, 0.0)


def _towards(above: csr_array, x: Floats, delta: Floats) -> Floats:
    """Return the sign of each coefficient along all directions, 0 where both occur."""
    towards = np.where(np.abs(delta) >= _TIED, np.sign(delta), 0.0)
    for k in np.flatnonzero(towards):
        back = np.zeros(above.shape[1])
        back[k] = -towards[k]
        if _highest(above, back, x, np.ones(delta.size, dtype=bool)) @ back >= _TIED:
            towards[k] = 0.0
    return towards


def _highest(above: csr_array, gain: Floats, x: Floats, free: npt.NDArray[np.bool_]) -> Floats:
    """Return what has the largest gain among coefficients from -1 to 1, the free ones, with nothing out of order."""
    from scipy.optimize import linprog  # slow to import, and rarely needed

    largest = float(np.abs(x).sum(axis=1).max()) + 1.0  # no threshold need lie further out
    bounds = [(-1.0, 1.0) if one else (0.0, 0.0) for one in free]
    bounds += [(-largest, largest)] * (above.shape[1] - free.size)
    ordered: Any = -above  # sparse, which linprog takes
    found = linprog(-gain, A_ub=ordered, b_ub=np.zeros(above.shape[0]), bounds=bounds, method="highs")
    if found.x is None or not found.success:
        raise RequestError(
            f"Separated events could not be told from others ({found.message}); leave a covariate out, or use "
            "penalty='firth'."
        )
    return np.asarray(found.x)
