"""Where exact ties meet separation: the likelihood that is left once the separated coefficients are infinite."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._cox_likelihood import Likelihood, Polynomial
from ahsct.estimates._risk_sets import RiskSets
from ahsct.estimates._risk_table import Counts, Floats

_RANK = 1e-9  # of the widest difference between patients who are still compared


class Limit(NamedTuple):
    """What the likelihood tends to: at each time only the patients of the `blocks` are still compared.

    The first item of a block holds its rows, the second how many of them, the first, have the event. `x` has the
    fixed coefficient's covariate first, if there is one, then the combinations given by the columns of `basis`,
    which are all that the limit still depends on. The likelihood rises with `direction`, which is 0 where it has a top.
    """

    direction: Floats
    x: Floats
    basis: Floats
    blocks: tuple[tuple[Counts, int], ...]

    def likelihood(self, beta: Floats) -> Likelihood:
        """Return the limit at coefficients of `x`; it has a top, as nothing is separated any more."""
        size = self.x.shape[1]
        value, score, information = 0.0, np.zeros(size), np.zeros((size, size))
        for rows, n_events in self.blocks:
            x = self.x[rows]
            eta = x @ beta
            shift = float(eta.max())
            risk = np.exp(np.maximum(eta - shift, -300.0))
            if n_events == 1:
                e = risk.sum()
                mean = risk @ x / e
                covariance = ((x - mean) * risk[:, None]).T @ (x - mean) / e
            else:
                sets = Polynomial(n_events, size)
                sets.multiply(x - x[0], risk)  # from one of them: what all have in common would cost digits
                e = sets.e[n_events]
                mean = sets.gradient[n_events] / e
                covariance = sets.second[n_events] / e - np.outer(mean, mean)
                mean = mean + n_events * x[0]
            value += float(eta[:n_events].sum() - np.log(e)) - n_events * shift
            score += x[:n_events].sum(axis=0) - mean
            information += covariance
        return Likelihood(value, score, (information + information.T) / 2)


def limit_of_exact(x: Floats, sets: RiskSets, *, fixed: int | None = None) -> Limit:
    r"""Return what the exact likelihood tends to along the coefficients that it rises with, itself if it has a top.

    The likelihood never falls along a direction $\delta$ exactly if, at each time, no patient without the event has
    a larger $x'\delta$ than one with it. Far along the directions that order as many pairs strictly as can be, the
    sets of those with the event hold all patients above the threshold, none below, and a choice among those on it:
    an exact likelihood again, of smaller risk sets, whose top is the supremum sought.

    Parameters
    ----------
    x
        Covariates of the sorted rows, per standard deviation.
    sets
        Who was at risk.
    fixed
        A coefficient that is held: the directions leave it alone.

    References
    ----------
    Geyer (2009), Likelihood inference in exponential families and directions of recession,
    doi:10.1214/08-EJS349.
    """
    delta = _rising_direction(x, sets, fixed)
    along = x @ delta
    blocks = []
    for event in _blocks(sets):
        dead, others = _apart(sets, event)
        if not others.size or along[dead].min() - along[others].max() > 0.5:
            continue  # the events are certain
        threshold = (along[dead].min() + along[others].max()) / 2
        chosen, left = (rows[np.abs(along[rows] - threshold) < 0.5] for rows in (dead, others))
        blocks.append((np.concatenate((chosen, left)), int(chosen.size)))
    free = np.arange(x.shape[1]) != (-1 if fixed is None else fixed)
    differences = [x[rows[1:]][:, free] - x[rows[0]][free] for rows, _ in blocks]
    _, width, axes = np.linalg.svd(
        np.vstack([np.zeros((1, int(free.sum()))), *differences]), full_matrices=False
    )
    basis = np.zeros((x.shape[1], int((width > _RANK * width.max(initial=1.0)).sum())))
    basis[free] = axes[: basis.shape[1]].T
    columns = x @ basis if fixed is None else np.column_stack((x[:, fixed], x @ basis))
    return Limit(delta, columns, basis, tuple(blocks))


def _rising_direction(x: Floats, sets: RiskSets, fixed: int | None) -> Floats:
    """Return coefficients that order all pairs that can be ordered at once, by 1 or more; zeros if there are none.

    A linear programme in the coefficients, a threshold per block of ties, and a gap, at most 1, per inequality:
    events lie above the threshold of their time, the others at risk below.
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
    bounds = [(None, None)] * n_free + [(0, 1)] * beta.shape[0]
    if fixed is not None:
        bounds[fixed] = (0, 0)
    cost = np.concatenate((np.zeros(n_free), np.full(beta.shape[0], -1.0)))
    found = linprog(cost, A_ub=limits, b_ub=np.zeros(beta.shape[0]), bounds=bounds, method="highs")
    if found.x is None or not found.success:
        raise RequestError(
            f"Separation under exact ties could not be resolved ({found.message}); use ties='efron'."
        )
    delta = np.asarray(found.x[: x.shape[1]])
    return delta if np.abs(delta).max() > 1e-6 else np.zeros(delta.size)


def _blocks(sets: RiskSets) -> list[int]:
    return [int(event) for event in np.unique(sets.tie_from)]


def _apart(sets: RiskSets, event: int) -> tuple[Counts, Counts]:
    """Return the rows with an event at the time of `event`, and the others at risk."""
    dead = sets.row[event : sets.tie_to[event]]
    return dead, np.setdiff1d(sets.members(event), dead, assume_unique=True)
