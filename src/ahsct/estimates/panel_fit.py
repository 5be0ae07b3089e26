"""Markov model of states that are only seen at visits, death being known to the day: the core of `panel_markov`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._groups import LABELS
from ahsct.estimates._markov_chain import reachable, transition_rows
from ahsct.estimates._newton import newton_maximum
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates.milestones import require_years
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

_NEEDED = ("patient_id", "day", "state")
_FARTHEST = 7.0  # log units from intensities as if each move had been seen at once: a thousandfold


@dataclass(frozen=True, kw_only=True)
class PanelMarkov:
    """A fitted model: `log_rates` per year of the transitions `origin` to `target` (numbers of `states`)."""

    labels: Mapping[str, Any]
    states: tuple[str, ...]
    origin: Counts
    target: Counts
    log_rates: Floats
    covariance: Floats
    loglik: float
    n: int
    n_intervals: int

    def intensity(self) -> Floats:
        """Return the matrix Q per year."""
        q = np.zeros((len(self.states),) * 2)
        q[self.origin, self.target] = np.exp(self.log_rates)
        return q - np.diag(q.sum(axis=1))


def fit_panel_markov(
    observations: pl.DataFrame,
    *,
    states: Sequence[str],
    transitions: Sequence[tuple[str, str]],
    death: str | None = None,
    alive: str | None = None,
) -> PanelMarkov:
    r"""Fit constant intensities $q_{rs}$ to states seen at visits.

    A visit in state s, a time t after one in r, adds $\log P_{rs}(t)$ with $P(t) = e^{Qt}$; a death at t adds
    $\log \sum_{k} P_{rk}(t)\, q_{k, \mathrm{death}}$, because it is known to the day while the state just before is not; a
    last contact, alive in a state not known, adds $\log \sum_{k \ne \mathrm{death}} P_{rk}(t)$. Maximised over the log
    intensities by Newton's method with exact derivatives; the covariance is the inverse Hessian.

    Visits must not depend on the state (a visit made because of a relapse tells of the state).

    Parameters
    ----------
    observations
        `patient_id`, `day` and `state`, in any order; the patients of one endpoint and arm.
    states
        All states.
    transitions
        Pairs of states between which a patient can move at once; two states visited in turn may lie further apart.
    death
        The state whose day is exact; no way out of it.
    alive
        The word in `state` for "alive, state not known"; only as a patient's last observation.

    Returns
    -------
    PanelMarkov
        Log intensities per year of the m transitions with their covariance (m x m), and the log-likelihood.

    Raises
    ------
    TableError
        A column or value is missing, two observations of a patient fall on one day, somebody is seen after death or
        moves where no chain of transitions leads, or the data cannot tell the intensities apart (the transitions at
        fault are named).
    RequestError
        A state is unknown, or no transition is given.

    References
    ----------
    Kalbfleisch and Lawless (1985), doi:10.1080/01621459.1985.10478195; Jackson (2011), doi:10.18637/jss.v038.i08.
    R: msm(state ~ years, id, qmatrix = ..., deathexact = ...), msm 1.7.

    Examples
    --------
    Four well at the start; half of them ill at a visit a year later. By hand q = log 2 a year:

    >>> frame = pl.DataFrame({"patient_id": list("aabbccdd"), "day": [0.0, 365.25] * 4,
    ...                       "state": ["well", "ill", "well", "ill", "well", "well", "well", "well"]})
    >>> fit = fit_panel_markov(frame, states=["well", "ill"], transitions=[("well", "ill")])
    >>> float(np.exp(fit.log_rates[0]).round(6))
    0.693147
    """
    origin, target = _transitions(states, transitions, death)
    data = _data(observations, states, origin, target, death, alive)
    start = _crude(data, origin, target)
    likelihood = _Likelihood(
        data, origin, target, len(states), None if death is None else states.index(death)
    )
    names = [f"{states[a]} -> {states[b]}" for a, b in zip(origin, target, strict=True)]
    try:
        found = newton_maximum("fit_panel_markov", likelihood, start, tolerance=1e-9, farthest=_FARTHEST)
    except TableError as problem:
        raise TableError(_not_identifiable(likelihood, start, names)) from problem
    labels = {name: observations[name][0] for name in LABELS if name in observations.columns}
    return PanelMarkov(
        labels={**dict.fromkeys(LABELS[:-1], ""), "subgroup": None, **labels},
        states=tuple(states),
        origin=origin,
        target=target,
        log_rates=found.estimate,
        covariance=found.covariance,
        loglik=found.loglik,
        n=observations["patient_id"].n_unique(),
        n_intervals=data.gap.size,
    )


def transition_probabilities(fit: PanelMarkov, years: float) -> tuple[Floats, Floats]:
    r"""Return the matrix $P(t) = e^{Qt}$ and its standard errors by the delta method.

    Parameters
    ----------
    fit
        From `fit_panel_markov`, k states.
    years
        The time t, >= 0.

    Returns
    -------
    tuple
        P (k x k; row: the state at the start, column: the state at t), and the errors (k x k).

    Raises
    ------
    RequestError
        The time is negative, not finite, or too long for these intensities to be computed.

    References
    ----------
    Kalbfleisch and Lawless (1985), doi:10.1080/01621459.1985.10478195. R: pmatrix.msm(fit, t), msm 1.7.

    Examples
    --------
    Of two well at the start one is ill a year later: half a year's stay well each, 1/4 after two:

    >>> frame = pl.DataFrame({"patient_id": list("aabb"), "day": [0.0, 365.25] * 2, "state": ["well", "ill", "well", "well"]})
    >>> fit = fit_panel_markov(frame, states=["well", "ill"], transitions=[("well", "ill")])
    >>> transition_probabilities(fit, 2)[0].round(6).tolist()
    [[0.25, 0.75], [0.0, 1.0]]
    """
    require_years("years", years)
    k = len(fit.states)
    found = transition_rows(fit.log_rates, fit.origin, fit.target, k, np.arange(k), np.full(k, float(years)))
    if found is None:  # a fitted model has measurable intensities; only the years can be too many
        raise RequestError(f"{years:g} years are too many for these intensities.")
    square = np.einsum("nak,ab,nbk->nk", found.first, fit.covariance, found.first)
    return found.value, np.sqrt(np.maximum(square, 0))


class _Data:
    """Distinct intervals: from a state over a gap (years) to a state, to death, or to "alive", with their counts."""

    def __init__(self, state: Counts, gap: Floats, end: Counts, is_alive: Counts) -> None:
        rows, weight = np.unique(np.column_stack((state, gap, end, is_alive)), axis=0, return_counts=True)
        self.state, self.end = rows[:, 0].astype(np.int64), rows[:, 2].astype(np.int64)
        self.gap, self.weight = rows[:, 1].astype(np.float64), weight.astype(np.float64)
        self.is_alive = rows[:, 3] > 0


class _Likelihood:
    """Log-likelihood, score and information in the log intensities."""

    def __init__(self, data: _Data, origin: Counts, target: Counts, k: int, death: int | None) -> None:
        self.data, self.origin, self.target, self.k, self.death = data, origin, target, k, death

    def __call__(self, log_rates: Floats) -> tuple[float, Floats, Floats]:
        data, p = self.data, log_rates.size
        rows = transition_rows(log_rates, self.origin, self.target, self.k, data.state, data.gap)
        if rows is None:
            return -np.inf, np.zeros(p), np.eye(p)
        # what each interval's end picks from its row of P, and how that depends on the intensities
        pick = np.zeros((data.gap.size, self.k))
        pick[np.arange(data.gap.size), np.maximum(data.end, 0)] = 1.0
        by_rate = np.zeros((data.gap.size, p, self.k))
        if self.death is not None:
            others = np.arange(self.k) != self.death
            pick[data.is_alive] = others
            dying = (data.end == self.death) & ~data.is_alive
            into = np.flatnonzero(self.target == self.death)
            hazard = np.zeros(self.k)
            hazard[self.origin[into]] = np.exp(log_rates[into])
            pick[dying] = hazard
            for a in into:
                by_rate[dying, a, self.origin[a]] = np.exp(log_rates[a])
        else:
            pick[data.is_alive] = 1.0
        value = (rows.value * pick).sum(axis=1)
        first = np.einsum("nak,nk->na", rows.first, pick) + np.einsum("nk,nak->na", rows.value, by_rate)
        cross = np.einsum("nak,nbk->nab", rows.first, by_rate)
        second = np.einsum("nabk,nk->nab", rows.second, pick) + cross + cross.transpose(0, 2, 1)
        own = np.einsum("nk,nak->na", rows.value, by_rate)  # the hazard of death is its own derivative
        second[:, np.arange(p), np.arange(p)] += own
        safe = np.maximum(value, 1e-300)
        score = first / safe[:, None]
        bend = second / safe[:, None, None] - score[:, :, None] * score[:, None, :]
        with np.errstate(divide="ignore"):
            loglik = float(data.weight @ np.log(value))
        return loglik, data.weight @ score, -np.einsum("n,nab->ab", data.weight, bend)


def _transitions(
    states: Sequence[str], transitions: Sequence[tuple[str, str]], death: str | None
) -> tuple[Counts, Counts]:
    if not transitions or len(set(transitions)) < len(transitions):
        raise RequestError(
            f"`transitions` must be one or more different pairs of states; found {list(transitions)}."
        )
    for name in (*(state for pair in transitions for state in pair), *([death] if death else [])):
        if name not in states:
            raise RequestError(
                f"State {name!r} is not among `states` ({', '.join(states)}).{did_you_mean(name, states)}"
            )
    if death in [a for a, _ in transitions] or any(a == b for a, b in transitions):
        raise RequestError("A transition leads from one state to another, and none leads out of death.")
    places = {state: i for i, state in enumerate(states)}
    return np.array([places[a] for a, _ in transitions]), np.array([places[b] for _, b in transitions])


def _data(
    observations: pl.DataFrame,
    states: Sequence[str],
    origin: Counts,
    target: Counts,
    death: str | None,
    alive: str | None,
) -> _Data:
    require_columns("fit_panel_markov", "observations", observations, _NEEDED)
    frame = observations.with_row_index("_row", offset=1)
    for name in _NEEDED:
        wrong = frame.filter(pl.col(name).is_null())
        if wrong.height:
            raise TableError(
                f"`observations.{name}` is missing in {wrong.height} of {frame.height} rows, the first is row "
                f"{wrong['_row'][0]}."
            )
    for name in sorted(set(frame["state"]) - {*states, *([alive] if alive else [])}):
        raise RequestError(
            f"State {name!r} is not among `states` ({', '.join(states)}).{did_you_mean(name, states)}"
        )
    frame = frame.sort("patient_id", "day", maintain_order=True).with_columns(
        pl.col("day", "state", "patient_id").shift(1).name.prefix("_")
    )
    pairs = frame.filter(pl.col("patient_id") == pl.col("_patient_id"))
    for is_wrong, words in (
        (pairs["day"] <= pairs["_day"], "fall on the day of another of the same patient"),
        (pairs["_state"] == (death or ""), "come after death"),
        (pairs["_state"] == (alive or ""), f"come after {alive!r}, which may only be a patient's last"),
    ):
        if is_wrong.any():
            raise TableError(
                f"{is_wrong.sum()} of {frame.height} observations {words}, the first is row "
                f"{pairs.filter(is_wrong)['_row'][0]}."
            )
    places = {state: i for i, state in enumerate(states)}
    is_alive = (pairs["state"] == (alive or "")).to_numpy()
    start = np.array([places[one] for one in pairs["_state"]], dtype=np.int64)
    end = np.array([places.get(one, -1) for one in pairs["state"]], dtype=np.int64)
    ways = reachable(origin, target, len(states))
    impossible = ~is_alive & ~ways[start, np.maximum(end, 0)]
    if impossible.any():
        first = pairs.filter(pl.Series(impossible)).row(0, named=True)
        raise TableError(
            f"{impossible.sum()} of {pairs.height} moves follow no chain of `transitions`, the first ({first['_state']} to "
            f"{first['state']}) ends in row {first['_row']}. Add the transition, or look at these visits."
        )
    if not pairs.height:
        raise TableError("The data cannot tell the intensities apart: no patient was seen twice.")
    gap = (pairs["day"] - pairs["_day"]).to_numpy().astype(np.float64) / DAYS_PER_YEAR
    return _Data(start, gap, end, is_alive.astype(np.int64))


def _crude(data: _Data, origin: Counts, target: Counts) -> Floats:
    """Return log intensities as if each move had been seen at once."""
    rates = []
    for a, b in zip(origin, target, strict=True):
        moves = data.weight[(data.state == a) & (data.end == b)].sum()
        years = (data.weight * data.gap)[data.state == a].sum()
        rates.append((moves + 0.5) / max(years, float(data.gap.mean())))
    return np.log(rates)


def _not_identifiable(likelihood: _Likelihood, start: Floats, names: Sequence[str]) -> str:
    """Name the transitions whose intensities the likelihood leaves open near where the search would end."""
    now = start.copy()
    for _ in range(20):
        value, score, information = likelihood(now)
        eigen, vectors = np.linalg.eigh(information)
        step = vectors @ (
            (vectors.T @ score) / np.maximum(np.abs(eigen), 1e-4 * max(np.abs(eigen).max(), 1e-12))
        )
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if not np.isfinite(value) or np.abs(now + step - start).max() > _FARTHEST:
            break
        now = now + step
    _, _, information = likelihood(now)
    eigen, vectors = np.linalg.eigh(information)
    weak = eigen < 1e-5 * max(float(eigen.max()), 1e-12)
    share = (vectors[:, weak] ** 2).sum(axis=1) if weak.any() else np.abs(now - start) / _FARTHEST
    at_fault = [name for name, part in zip(names, share, strict=True) if part > 0.2] or list(names)
    return (
        f"The data cannot tell these intensities apart, or drive them to 0 or infinity: {', '.join(at_fault)}. Leave "
        "transitions out, join states, or follow patients longer."
    )
