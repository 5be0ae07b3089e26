"""The Aalen-Johansen estimate from arrays, for any states: the core of `state_occupation`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._intervals import settled
from ahsct.estimates._risk_table import Counts, Floats, distinct_times


class Occupation(NamedTuple):
    """Per state (rows) and time (columns): probability, standard error, and the counts behind them.

    `n_at_risk` is in the state just before the time, `n_entered` comes into it from another state, `n_censored` is lost
    from it.
    """

    time: Floats
    probability: Floats
    std_error: Floats
    n_at_risk: Counts
    n_entered: Counts
    n_censored: Counts


class Sojourns(NamedTuple):
    """One item per stay in a state: in `origin` over (start, stop], then in `target` (-1: lost from sight).

    `patient` numbers patients from 0; a start at or before 0 means from the start.
    """

    start: npt.NDArray[Any]
    stop: npt.NDArray[Any]
    origin: Counts
    target: Counts
    patient: Counts


def occupation(
    sojourns: Sojourns, *, n_states: int, initial: Floats | None, variance: str, after: float = 0.0
) -> Occupation:
    r"""Return $\hat p(t) = \hat p(s) \prod_{s < u \le t} (I + \Delta \hat A(u))$, with $\Delta A_{hj} = d_{hj} / Y_h$.

    Parameters
    ----------
    sojourns
        As above; those of one patient must not overlap.
    initial
        p(s): probabilities of the states at the start; None = the shares of those at risk at the start, whose
        variance then counts too.
    variance
        "infinitesimal_jackknife": the sum over patients of squared influences, right also where the future depends on
        the past; "greenwood": multinomial increments carried through the product, which assumes Markov.
    after
        s: transitions up to it do not count.

    Raises
    ------
    TableError
        A stay ends before it starts, or two stays of a patient overlap.
    """
    times, entries = np.asarray(sojourns.stop), np.maximum(np.asarray(sojourns.start), 0)
    origin, target, patient = (np.asarray(one, dtype=np.int64) for one in sojourns[2:])
    is_late = entries > 0
    moments = np.concatenate((np.zeros(1), times, entries[is_late]))
    distinct, code = distinct_times(moments)
    stop_at, start_at = code[1 : times.size + 1], np.full(times.size, -1)
    start_at[is_late] = code[times.size + 1 :]
    _require_stays(start_at, stop_at, patient, sojourns)
    width, k = distinct.size, n_states
    moves = np.zeros((width, k, k), np.int64)
    moved = target >= 0
    np.add.at(moves, (stop_at[moved], origin[moved], target[moved]), 1)
    lost, ended, begun = (np.zeros((width + 1, k), np.int64) for _ in range(3))
    np.add.at(lost, (stop_at[~moved], origin[~moved]), 1)
    np.add.at(ended, (stop_at, origin), 1)
    np.add.at(begun, (start_at + 1, origin), 1)
    at_risk = np.cumsum(begun[:width], axis=0) - np.cumsum(ended, axis=0)[:width] + ended[:width]
    first = int(np.searchsorted(distinct, after, side="right")) if after > 0 else 0

    shares = at_risk[first] / max(int(at_risk[first].sum()), 1) if initial is None else initial
    influence = _Influence(start_at, stop_at, origin, target, patient, k) if variance != "greenwood" else None
    square = np.zeros((k, k))
    if initial is None:
        present = (start_at < first) & (stop_at >= first)
        total = max(int(present.sum()), 1)
        if influence is not None:
            influence.begin(present, shares, total)
        square = (np.diag(shares) - np.outer(shares, shares)) / total
    probability, variances = np.empty((width, k)), np.empty((width, k))
    p = shares.astype(np.float64)
    for u in range(width):
        if u >= first and moves[u].any():
            n = np.maximum(at_risk[u], 1)
            hazard = moves[u] / n[:, None]
            hazard[np.arange(k), np.arange(k)] -= hazard.sum(axis=1)
            step = np.eye(k) + hazard
            if influence is not None:
                influence.step(u, step, hazard, p / n)
            else:
                square = step.T @ square @ step
                for h in np.flatnonzero(moves[u].any(axis=1)):
                    share = moves[u, h] / n[h]
                    spread = np.diag(share) - np.outer(share, share)
                    change = np.eye(k) - np.eye(k)[h]  # one patient goes from h to each state
                    square += p[h] ** 2 / n[h] * change.T @ spread @ change
            p = p @ step
        probability[u] = p
        variances[u] = influence.square() if influence is not None else np.diag(square)
    keep = slice(max(first - 1, 0), None)
    probability, errors = settled(probability, np.sqrt(np.maximum(variances, 0)))
    return Occupation(
        distinct[keep] * 1.0,
        probability[keep].T,
        errors[keep].T,
        at_risk[keep].T,
        moves.sum(axis=1)[keep].T,
        lost[:width][keep].T,
    )


class _Influence:
    """Each patient's influence on the probabilities of the states."""

    def __init__(
        self, start_at: Counts, stop_at: Counts, origin: Counts, target: Counts, patient: Counts, k: int
    ) -> None:
        self.value = np.zeros((int(patient.max(initial=-1)) + 1, k))
        self.start_at, self.stop_at, self.origin, self.target, self.patient = (
            start_at, stop_at, origin, target, patient,
        )  # fmt: skip

    def begin(self, present: npt.NDArray[np.bool_], shares: Floats, total: int) -> None:
        """Count the influence of those present at the start on the shares of the states."""
        who = self.patient[present]
        self.value[who] -= shares / total
        self.value[who, self.origin[present]] += 1 / total

    def step(self, u: int, step: Floats, hazard: Floats, weight: Floats) -> None:
        """Carry all influences through one time, and add what those at risk there have on the hazards."""
        self.value = self.value @ step
        present = (self.start_at < u) & (self.stop_at >= u) & (hazard[self.origin, self.origin] < 0)
        who, state = self.patient[present], self.origin[present]
        self.value[who] -= weight[state][:, None] * hazard[state]
        moved = present & (self.stop_at == u) & (self.target >= 0)
        who, state = self.patient[moved], self.origin[moved]
        self.value[who, self.target[moved]] += weight[state]
        self.value[who, state] -= weight[state]

    def square(self) -> Floats:
        """Return the sum of squares by state."""
        return np.asarray((self.value**2).sum(axis=0))


def _require_stays(start_at: Counts, stop_at: Counts, patient: Counts, sojourns: Sojourns) -> None:
    wrong = start_at >= stop_at
    if wrong.any():
        first = int(wrong.argmax())
        raise TableError(
            f"A stay in a state must end after it starts; {wrong.sum()} of {wrong.size} do not, the first is row "
            f"{first + 1} ({sojourns.start[first]:g} to {sojourns.stop[first]:g})."
        )
    order = np.lexsort((stop_at, patient))
    same = patient[order][1:] == patient[order][:-1]
    overlap = same & (np.maximum(start_at[order][1:], 0) < stop_at[order][:-1])
    if overlap.any():
        first = int(order[1:][overlap][0])
        raise TableError(
            f"A patient is in one state at a time; {overlap.sum()} of {wrong.size} stays start before the patient's "
            f"stay before has ended, the first is row {first + 1}."
        )
