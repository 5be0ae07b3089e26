"""The maximum of a likelihood of sums of probabilities, over all probabilities: a small dense interior-point method."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.estimates._risk_table import Floats

_MAX_STEPS = 200


class MixtureFit(NamedTuple):
    """Probabilities, log-likelihood, the slope of the profile by the fixed share, and the largest excess gradient."""

    mass: Floats
    loglik: float
    slope: float
    gap: float


def maximise_mixture(
    inside: Floats,
    weight: Floats,
    *,
    fixed: npt.NDArray[np.bool_] | None = None,
    share: float = 0.0,
    optimum: float = 1e-13,
) -> MixtureFit:
    r"""Maximise $\sum_i w_i \log \sum_j a_{ij} p_j$ over $p \ge 0$, $\sum p = 1$; with `fixed`, those places hold `share`.

    Primal-dual Newton steps with the equalities kept; at the optimum the gradient of a place is at most the
    multiplier of its group, and equal to it where there is mass.
    """
    m, total = inside.shape[1], float(weight.sum())
    groups = np.ones((1, m)) if fixed is None else np.vstack((fixed, ~fixed)).astype(np.float64)
    wanted = np.ones(1) if fixed is None else np.array([share, 1 - share])
    mass = groups.T @ (wanted / groups.sum(axis=1))
    dual = total / m / np.maximum(mass, 1e-300) * 1.0
    multiplier = np.full(len(groups), total)
    for _ in range(_MAX_STEPS):
        probability = inside @ mass
        pull = weight / probability
        gradient = inside.T @ pull
        unmet = gradient + dual - groups.T @ multiplier
        left_over = float(dual @ mass) / total
        if left_over < optimum and np.abs(unmet).max() < 1e3 * optimum * max(total, float(gradient.max())):
            break
        centre = max(0.1 * left_over * total / m, 1e-17 * total)
        hessian = inside.T @ (inside * (pull / probability)[:, None]) + np.diag(dual / mass)
        right = gradient + centre / mass - groups.T @ multiplier
        solved = _solve(hessian, np.column_stack((right, groups.T)))
        by_group = groups @ solved[:, 1:]
        change = np.linalg.solve(by_group, groups @ solved[:, 0] - (wanted - groups @ mass))
        move = solved[:, 0] - solved[:, 1:] @ change
        by_dual = centre / mass - dual - dual / mass * move
        length = min(_reach(mass, move), _reach(dual, by_dual))
        mass, dual, multiplier = mass + length * move, dual + length * by_dual, multiplier + length * change
    probability = inside @ mass
    gradient = inside.T @ (weight / probability)
    excess = float((gradient - groups.T @ multiplier).max()) / total
    slope = 0.0 if fixed is None else float(multiplier[0] - multiplier[1])
    return MixtureFit(mass, float(weight @ np.log(probability)), slope, excess)


def _reach(value: Floats, change: Floats) -> float:
    falling = change < 0
    return min(1.0, 0.99 * float((-value[falling] / change[falling]).min(initial=np.inf)))


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Solve by Cholesky after scaling the diagonal to 1: near the optimum its entries lie many powers of ten apart."""
    from scipy.linalg import cho_factor, cho_solve  # slow to import, and rarely needed

    scale = 1 / np.sqrt(np.diag(matrix))
    scaled = matrix * np.outer(scale, scale)
    try:
        factor = cho_factor(scaled, check_finite=False)
    except np.linalg.LinAlgError:
        return np.asarray(scale[:, None] * np.linalg.lstsq(scaled, scale[:, None] * right, rcond=None)[0])
    return np.asarray(scale[:, None] * cho_solve(factor, scale[:, None] * right, check_finite=False))
