"""The partial likelihood of Cox's model with its derivatives, by Efron, Breslow or exactly, and with Firth's penalty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._risk_sets import RiskSets
from ahsct.estimates._risk_table import Counts, Floats


class Likelihood(NamedTuple):
    """Log-likelihood, its gradient and minus its second derivative; with Firth's penalty the first two hold it."""

    value: float
    score: Floats
    information: Floats


class AtEvents(NamedTuple):
    """At one vector of coefficients: relative hazards of the sorted rows; sums and mean covariates over risk sets."""

    risk: Floats
    total: Floats
    mean: Floats


def at_events(x: Floats, sets: RiskSets, beta: Floats) -> AtEvents:
    """Return relative hazards and what they give at each event; `x` holds the covariates of the sorted rows."""
    risk = relative_hazard(x, beta)
    total = sets.at_risk(risk)
    return AtEvents(risk, total, sets.at_risk(risk[:, None] * x) / total[:, None])


def relative_hazard(x: Floats, beta: Floats) -> Floats:
    """Return exp(x beta), with a constant taken off where it would overflow."""
    eta = x @ beta
    return np.asarray(np.exp(eta - max(float(eta.max(initial=0.0)) - 300.0, 0.0)))


def weighted_information(x: Floats, sets: RiskSets, at: AtEvents, weight: Floats | float = 1.0) -> Floats:
    """Return the sum over events of weight times the covariance of the covariates in the risk set."""
    ones = np.broadcast_to(np.asarray(weight, dtype=np.float64), at.total.shape)
    hazard = at.risk * sets.over_events(ones / at.total)
    information = (x * hazard[:, None]).T @ x - (at.mean * ones[:, None]).T @ at.mean
    return np.asarray((information + information.T) / 2)


def partial_likelihood(x: Floats, sets: RiskSets, beta: Floats, *, firth: bool = False) -> Likelihood:
    r"""Return Efron's or Breslow's likelihood (the risk sets know which).

    $$\ell = \sum_e x_e'\beta - \log S_e, \quad U = \sum_e x_e - \bar x_e, \quad I = \sum_e \mathrm{cov}_e(x)$$

    Firth's penalty adds $\tfrac12 \log |I|$ to $\ell$ and $\tfrac12 \mathrm{tr}(I^{-1} \partial I / \partial
    \beta_r)$ to U, the derivative being the third central moment over each risk set.
    """
    at = at_events(x, sets, beta)
    value = float(np.log(at.risk[sets.row] / at.total).sum())
    score = (x[sets.row] - at.mean).sum(axis=0)
    information = weighted_information(x, sets, at)
    if firth:
        sign, log_det = np.linalg.slogdet(information)
        if sign <= 0:
            return Likelihood(-np.inf, score, information)
        inverse = np.linalg.inv(information)
        value += log_det / 2
        score = score + _trace_of_derivative(x, sets, at, inverse) / 2
    return Likelihood(value, score, information)


def _trace_of_derivative(x: Floats, sets: RiskSets, at: AtEvents, inverse: Floats) -> Floats:
    """Return, for each coefficient, the trace of inverse times the derivative of the information."""
    hazard = at.risk * sets.over_events(1 / at.total)
    mean_hazard = at.risk[:, None] * sets.over_events(at.mean / at.total[:, None])
    turned = x @ inverse
    square = (turned * x).sum(axis=1)  # x' V x for each row
    mean_turned = at.mean @ inverse
    mean_square = (mean_turned * at.mean).sum(axis=1)
    third = (hazard * square) @ x
    third -= square @ mean_hazard + 2 * ((turned * mean_hazard).sum(axis=1) @ x)
    return np.asarray(third + 2 * mean_square @ at.mean)


def exact_likelihood(x: Floats, sets: RiskSets, beta: Floats) -> Likelihood:
    r"""Return the exact (discrete) likelihood: at each time the d patients with an event among all sets of d at risk.

    The sum over sets is an elementary symmetric polynomial $e_d$ of the relative hazards, and is carried with its
    two derivatives from patient to patient, as a product of the polynomials $1 + z \exp(x_i' \beta)$.

    Raises
    ------
    RequestError
        The number of sets is too large for the computer's numbers.
    """
    eta = x @ beta
    value, score, information = 0.0, np.zeros(beta.size), np.zeros((beta.size, beta.size))
    for block in np.unique(sets.tie_from):
        dead = sets.row[block : sets.tie_to[block]]
        members = _members(sets, int(block))
        shift = eta[members].max()
        log_sum, mean, second = _symmetric(x[members], np.exp(eta[members] - shift), dead.size)
        value += float((eta[dead] - shift).sum()) - log_sum
        score += x[dead].sum(axis=0) - mean
        information += second - np.outer(mean, mean)
    return Likelihood(value, score, (information + information.T) / 2)


def _members(sets: RiskSets, event: int) -> Counts:
    members = np.arange(sets.risk_from[event], sets.risk_to[event])
    if sets.entry_order is None:
        return members
    late = sets.entry_order[sets.late_from[event] : sets.late_to[event]]
    return np.setdiff1d(members, late, assume_unique=True)


def _symmetric(x: Floats, risk: Floats, d: int) -> tuple[float, Floats, Floats]:
    """Return the log of e_d, its gradient and its second derivative, the last two divided by e_d."""
    p = x.shape[1]
    if d == 1:
        weights = risk / risk.sum()
        return float(np.log(risk.sum())), weights @ x, (x * weights[:, None]).T @ x
    if d == risk.size:
        total = x.sum(axis=0)
        return float(np.log(risk).sum()), total, np.outer(total, total)
    e, gradient, second = np.zeros(d + 1), np.zeros((d + 1, p)), np.zeros((d + 1, p, p))
    e[0] = 1.0
    for row, r in zip(x, risk, strict=True):
        cross = gradient[:-1, :, None] * row
        second[1:] += r * (
            second[:-1] + cross + cross.transpose(0, 2, 1) + e[:-1, None, None] * np.outer(row, row)
        )
        gradient[1:] += r * (gradient[:-1] + e[:-1, None] * row)
        e[1:] += r * e[:-1]
    if not (np.isfinite(e[d]) and e[d] > 0):
        raise RequestError(
            f"{d} events at one time among {risk.size} at risk are too many for exact ties; use ties='efron'."
        )
    return float(np.log(e[d])), gradient[d] / e[d], second[d] / e[d]
