"""Separation: the likelihood of Cox's model that is left once the separated coefficients are infinite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._cox_likelihood import Likelihood, Polynomial
from ahsct.estimates._risk_sets import RiskSets
from ahsct.estimates._risk_table import Counts, Floats

_RANK = 1e-9  # of the widest difference between patients who are still compared


class Block(NamedTuple):
    """Those still compared at one time, the first `n_events` of the `rows` having an event; Efron's `fraction`s."""

    rows: Counts
    n_events: int
    fraction: Floats


class Limit(NamedTuple):
    """What the likelihood tends to: at each time only the patients of the `blocks` are still compared.

    `x` has the fixed coefficient's covariate first, if there is one, then the combinations given by the columns of
    `basis`, which are all that the limit still depends on. The likelihood rises with `direction`, which is 0 where
    it has a top, and with each coefficient `towards` plus or minus infinity; 0 where that has no end, or where both
    are as good.
    """

    direction: Floats
    towards: Floats
    x: Floats
    basis: Floats
    blocks: tuple[Block, ...]
    is_exact: bool

    def likelihood(self, beta: Floats) -> Likelihood:
        """Return the limit at coefficients of `x`; it has a top, as nothing is separated any more."""
        size = self.x.shape[1]
        value, score, information = 0.0, np.zeros(size), np.zeros((size, size))
        for block in self.blocks:
            centre = self.x[block.rows[0]]  # what all have in common would cost digits
            x = self.x[block.rows] - centre
            eta = x @ beta
            shift = float(eta.max())
            risk = np.exp(np.maximum(eta - shift, -300.0))
            of = _exact_block if self.is_exact and block.n_events > 1 else _block
            log_sum, mean, covariance = of(x, risk, block)
            value += float(eta[: block.n_events].sum()) - log_sum - block.n_events * shift
            score += x[: block.n_events].sum(axis=0) - mean
            information += covariance
        return Likelihood(value, score, (information + information.T) / 2)


def _block(x: Floats, risk: Floats, block: Block) -> tuple[float, Floats, Floats]:
    """Return the logarithm of the product of the sums over one block, its gradient and second derivative."""
    weight = np.tile(risk, (block.n_events, 1))
    weight[:, : block.n_events] *= 1 - block.fraction[:, None]
    total = weight.sum(axis=1)
    weight /= total[:, None]
    mean = weight @ x
    covariance = (x * weight.sum(axis=0)[:, None]).T @ x - mean.T @ mean
    return float(np.log(total).sum()), mean.sum(axis=0), covariance


def _exact_block(x: Floats, risk: Floats, block: Block) -> tuple[float, Floats, Floats]:
    sets = Polynomial(block.n_events, x.shape[1])
    sets.multiply(x, risk)
    e = sets.e[block.n_events]
    mean = sets.gradient[block.n_events] / e
    return float(np.log(e)), mean, sets.second[block.n_events] / e - np.outer(mean, mean)


def limit_of(x: Floats, sets: RiskSets, *, is_exact: bool, fixed: int | None = None) -> Limit:
    r"""Return what the likelihood tends to along the coefficients that it rises with, itself if it has a top.

    The likelihood never falls along a direction $\delta$ exactly if, at each time, the patients with the event have
    the largest $x'\delta$ at risk; all the same one, unless ties are exact. Far along the directions that order as
    many pairs strictly as can be, patients below the threshold of a time count no more, and with exact ties those
    above it are certain: a likelihood of the same kind, of smaller risk sets, whose top is the supremum sought.

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

    References
    ----------
    Geyer (2009), Likelihood inference in exponential families and directions of recession,
    doi:10.1214/08-EJS349.
    """
    delta, towards = _rising_direction(x, sets, is_exact, fixed)
    along = x @ delta
    blocks = []
    for event in _blocks(sets):
        dead, others = _apart(sets, event)
        if is_exact and others.size and along[dead].min() - along[others].max() < 0.5:
            threshold = (along[dead].min() + along[others].max()) / 2
        elif is_exact:
            continue  # the events are certain
        else:
            threshold = along[dead].mean()
        chosen, left = (rows[np.abs(along[rows] - threshold) < 0.5] for rows in (dead, others))
        rows = np.concatenate((chosen, left))
        if rows.size > 1:
            fraction = np.zeros(chosen.size) if is_exact else sets.fraction[event : sets.tie_to[event]]
            blocks.append(Block(rows, int(chosen.size), fraction))
    free = np.arange(x.shape[1]) != (-1 if fixed is None else fixed)
    differences = [x[block.rows[1:]][:, free] - x[block.rows[0]][free] for block in blocks]
    _, width, axes = np.linalg.svd(
        np.vstack([np.zeros((1, int(free.sum()))), *differences]), full_matrices=False
    )
    basis = np.zeros((x.shape[1], int((width > _RANK * width.max(initial=1.0)).sum())))
    basis[free] = axes[: basis.shape[1]].T
    columns = x @ basis if fixed is None else np.column_stack((x[:, fixed], x @ basis))
    return Limit(delta, towards, columns, basis, tuple(blocks), is_exact)


def _rising_direction(x: Floats, sets: RiskSets, is_exact: bool, fixed: int | None) -> tuple[Floats, Floats]:
    """Return coefficients that order all pairs that can be ordered at once, by 1 or more (zeros if there are none).

    And the sign of each coefficient, 0 where it may have either.

    A linear programme in the coefficients, a threshold per block of ties, and a gap, at most 1, per inequality:
    events lie above the threshold of their time, the others at risk below; if ties are not exact, events lie on it.
    """
    from scipy.optimize import linprog  # slow to import, and rarely needed
    from scipy.sparse import coo_array, hstack, identity

    blocks = _blocks(sets)
    # each gap <= above @ beta + threshold[plus] - threshold[minus]
    above: list[Floats] = []
    plus, minus = [], []
    earlier = np.zeros(0, np.int64)
    for number, event in enumerate(blocks):
        dead, others = _apart(sets, event)
        # without delayed entry a risk set holds the one before it, whose threshold stands for its patients
        if (
            sets.entry_order is None
            and number
            and sets.risk_from[event] == sets.risk_from[blocks[number - 1]]
        ):
            new = others[others >= sets.risk_to[blocks[number - 1]]]
            others = np.concatenate((new, earlier))
            above.append(np.zeros((1, x.shape[1])))
            plus.append(np.array([number]))
            minus.append(np.array([number - 1]))
        if not is_exact:
            others = np.concatenate((others, dead))
        above += [x[dead], -x[others]]
        plus += [np.full(dead.size, -1), np.full(others.size, number)]
        minus += [np.full(dead.size, number), np.full(others.size, -1)]
        earlier = dead
    beta = np.vstack(above)
    signs = []
    for of, sign in ((np.concatenate(plus), -1.0), (np.concatenate(minus), 1.0)):
        where = np.flatnonzero(of >= 0)
        signs.append(
            coo_array((np.full(where.size, sign), (where, of[where])), shape=(beta.shape[0], len(blocks)))
        )
    limits = hstack((coo_array(-beta), signs[0] + signs[1], identity(beta.shape[0])), format="csr")
    n_free = x.shape[1] + len(blocks)
    bounds: list[tuple[int | None, int | None]] = [(None, None)] * n_free + [(0, 1)] * beta.shape[0]
    if fixed is not None:
        bounds[fixed] = (0, 0)

    def lowest(cost: Floats, within: Sequence[tuple[int | None, int | None]]) -> Floats:
        found = linprog(cost, A_ub=limits, b_ub=np.zeros(beta.shape[0]), bounds=within, method="highs")
        if found.x is None or not found.success:
            raise RequestError(
                f"Separated events could not be told from others ({found.message}); leave a covariate out, or use "
                "penalty='firth'."
            )
        return np.asarray(found.x[: x.shape[1]])

    delta = lowest(np.concatenate((np.zeros(n_free), np.full(beta.shape[0], -1.0))), bounds)
    size = np.abs(delta).max()
    towards = np.where(np.abs(delta) > 1e-6 * max(size, 1.0), np.sign(delta), 0.0)
    for k in np.flatnonzero(towards):
        cost = np.zeros(n_free + beta.shape[0])
        cost[k] = towards[k]
        back = lowest(cost, [(-1, 1)] * x.shape[1] + bounds[x.shape[1] : n_free] + [(0, 0)] * beta.shape[0])[
            k
        ]
        if back * towards[k] < -1e-6:
            towards[k] = 0.0
    return (delta if towards.any() or size > 1e-6 else np.zeros(delta.size)), towards


def _blocks(sets: RiskSets) -> list[int]:
    return [int(event) for event in np.unique(sets.tie_from)]


def _apart(sets: RiskSets, event: int) -> tuple[Counts, Counts]:
    """Return the rows with an event at the time of `event`, and the others at risk."""
    dead = sets.row[event : sets.tie_to[event]]
    return dead, np.setdiff1d(sets.members(event), dead, assume_unique=True)
