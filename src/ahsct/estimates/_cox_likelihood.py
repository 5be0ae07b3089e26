"""The partial likelihood of Cox's model with its derivatives, by Efron, Breslow or exactly, and with Firth's penalty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._risk_sets import RiskSets
from ahsct.estimates._risk_table import Floats


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
    """Return exp(x beta), with a constant taken off where it would overflow, and never 0."""
    eta = x @ beta
    shifted = eta - max(float(eta.max(initial=0.0)) - 300.0, 0.0)
    return np.asarray(np.exp(np.maximum(shifted, -300.0)))


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
        inverse = np.asarray(np.linalg.inv(information), dtype=np.float64)
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

    The sum over sets is the elementary symmetric polynomial $e_d$ of the relative hazards; a single event is the
    case d = 1, where it is their sum.

    Raises
    ------
    RequestError
        The number of sets is too large for the computer's numbers.
    """
    width = sets.tie_to - sets.tie_from
    at = at_events(x, sets, beta)
    alone = (width == 1).astype(np.float64)
    value = float(np.log((at.risk[sets.row] / at.total)[width == 1]).sum())
    score = alone @ (x[sets.row] - at.mean)
    information = weighted_information(x, sets, at, alone)
    for block, log_sum, mean, second in _tied_blocks(x, sets, beta):
        dead = sets.row[block : sets.tie_to[block]]
        value += float((x[dead] @ beta).sum()) - log_sum
        score += x[dead].sum(axis=0) - mean
        information += second - np.outer(mean, mean)
    return Likelihood(value, score, (information + information.T) / 2)


def _tied_blocks(x: Floats, sets: RiskSets, beta: Floats) -> Iterator[tuple[int, float, Floats, Floats]]:
    """Yield the first event of each block of ties with log e_d, its gradient and the second derivative of e_d over e_d.

    Without delayed entry risk sets only grow along the sorted rows, so that each row is multiplied in once.
    """
    eta = x @ beta
    blocks = [int(block) for block in np.unique(sets.tie_from) if sets.tie_to[block] - block > 1]
    polynomial, begun, upto = None, -1, 0
    for block in blocks:
        first, last = int(sets.risk_from[block]), int(sets.risk_to[block])
        if polynomial is None or sets.entry_order is not None or first != begun:
            same = [other for other in blocks if sets.risk_from[other] == first]
            degree = max(int(sets.tie_to[other]) - other for other in same)
            shift = float(eta[first : int(sets.risk_to[same[-1]])].max())
            polynomial, begun, upto = Polynomial(degree, x.shape[1]), first, first
        rows = np.arange(upto, last) if sets.entry_order is None else sets.members(block)
        polynomial.multiply(x[rows], np.exp(np.maximum(eta[rows] - shift, -300.0)))
        upto = last
        d = int(sets.tie_to[block]) - block
        n = last - first if sets.entry_order is None else rows.size
        if d == n:
            continue  # there is but one set of all
        e = polynomial.e[d]
        if not (np.isfinite(polynomial.second[d]).all() and e > 0):
            raise RequestError(
                f"{d} events at one time among {n} rows are too many for exact ties; use ties='efron'."
            )
        yield block, float(np.log(e)) + d * shift, polynomial.gradient[d] / e, polynomial.second[d] / e


class Polynomial:
    """The product of (1 + z r_i) up to a power of z, with its first and second derivatives by the coefficients."""

    def __init__(self, degree: int, size: int) -> None:
        self.e = np.zeros(degree + 1)
        self.e[0] = 1.0
        self.gradient = np.zeros((degree + 1, size))
        self.second = np.zeros((degree + 1, size, size))

    def multiply(self, x: Floats, risk: Floats) -> None:
        """Multiply factors in, one per row."""
        with np.errstate(over="ignore", invalid="ignore"):
            for row, r in zip(x, risk, strict=True):
                cross = self.gradient[:-1, :, None] * row
                square = self.e[:-1, None, None] * np.outer(row, row)
                self.second[1:] += r * (self.second[:-1] + cross + cross.transpose(0, 2, 1) + square)
                self.gradient[1:] += r * (self.gradient[:-1] + self.e[:-1, None] * row)
                self.e[1:] += r * self.e[:-1]
