"""Two small arms compared through the distributions behind their beta product intervals (melding)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ahsct.errors import RequestError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.beta_product import Product


class Scale(NamedTuple):
    """How survival p compares with q, and the p whose comparison with q has a given value."""

    compare: Callable[[float, float], float]
    inverse: Callable[[Floats, float], Floats]


SCALES: Mapping[str, Scale] = {
    "difference": Scale(lambda p, q: p - q, lambda q, value: q + value),
    "ratio": Scale(lambda p, q: p / q, lambda q, value: q * value),
    "odds_ratio": Scale(
        lambda p, q: p / (1 - p) * (1 - q) / q, lambda q, value: q * value / (1 - q + q * value)
    ),
    "cumulative_hazard_ratio": Scale(lambda p, q: np.log(p) / np.log(q), lambda q, value: q**value),
}
_NODES = 256


class Melded(NamedTuple):
    """Limits of a comparison, infinite or missing ones as None, and the two-sided p-value of no difference."""

    lower: float | None
    upper: float | None
    p_value: float


def melded(
    own: tuple[Product, Product],
    reference: tuple[Product, Product],
    *,
    scale: str = "difference",
    conf_level: float = 0.95,
) -> Melded:
    r"""Return the melded interval of a comparison of two survival probabilities.

    With $W_L, W_U$ the variables whose quantiles are an arm's limits (`bounds`), the lower limit of a function g that
    rises in $S_1$ and falls in $S_0$ is the quantile of $g(W_{L1}, W_{U0})$, the upper that of
    $g(W_{U1}, W_{L0})$, and p is twice the smaller of $P(W_{L1} \le W_{U0})$ and $P(W_{U1} \ge W_{L0})$. Without
    censoring p is that of Fisher's exact test (twice the smaller side).

    Parameters
    ----------
    own, reference
        Lower and upper distribution of each arm, from `beta_product.bounds`.
    scale
        "difference", "ratio", "odds_ratio" or "cumulative_hazard_ratio" ($\log S_1 / \log S_0$, which falls in
        $S_1$: its limits come from the other side).
    conf_level
        Two-sided, between 0 and 1.

    References
    ----------
    Fay, Proschan and Brittain (2015), doi:10.1111/biom.12231.

    Examples
    --------
    4 of 10 against 9 of 10 free of events, nobody censored:

    >>> from ahsct.estimates.beta_product import bounds
    >>> arms = [bounds(np.array([10]), np.array([events]), 10 - events) for events in (6, 1)]
    >>> found = melded(*arms)
    >>> round(found.p_value, 6)  # twice the one-sided 0.028638 of Fisher's test
    0.057276
    """
    if scale not in SCALES:
        raise RequestError(f"No scale {scale!r}; known are {', '.join(SCALES)}.")
    tail = (1 - require_conf_level(conf_level)) / 2
    (below, above), (below_reference, above_reference) = own, reference
    inverse = SCALES[scale].inverse
    size = below.n.max(initial=0) + below_reference.n.max(initial=0)
    # Gauss's rule with half as many nodes as patients is exact for a difference
    n_nodes = 64 if scale == "difference" and size <= 120 else _NODES
    pessimistic = _comparison(below, above_reference, n_nodes)
    optimistic = _comparison(above, below_reference, n_nodes)
    not_higher = pessimistic(lambda q: q)
    not_lower = _comparison(below_reference, above, n_nodes)(lambda q: q)
    p_value = min(1.0, 2 * min(not_higher, not_lower))

    def rising(value: float) -> float:
        return pessimistic(lambda q: inverse(q, value))

    def rising_optimistic(value: float) -> float:
        return optimistic(lambda q: inverse(q, value))

    first, last = (below, above_reference), (above, below_reference)
    if scale == "cumulative_hazard_ratio":  # falls as survival rises
        return Melded(
            _limit(lambda value: 1 - rising_optimistic(value), scale, last, tail, tail),
            _limit(lambda value: 1 - rising(value), scale, first, 1 - tail, tail),
            p_value,
        )
    return Melded(
        _limit(rising, scale, first, tail, tail),
        _limit(rising_optimistic, scale, last, 1 - tail, tail),
        p_value,
    )


def _comparison(one: Product, other: Product, n_nodes: int) -> Callable[[Callable[[Floats], Floats]], float]:
    """Return the function that gives P(one <= bound(other)) for a rising bound.

    By Gauss's rule, as the densities are polynomials, between the points where the bound leaves 0 to 1: there the
    integrand has a corner.
    """
    if other.point is not None:
        at = np.array([other.point])
        return lambda bound: one.cdf(float(bound(at)[0]))
    nodes, weights = _gauss(n_nodes)
    first, last = other.quantile(1e-15), other.quantile(1 - 1e-15)

    def probability(bound: Callable[[Floats], Floats]) -> float:
        edges = np.unique([first, *(c for c in _crossings(bound) if first < c < last), last])
        total = 0.0
        for low, high in pairwise(edges):
            q = low + (high - low) * (nodes + 1) / 2
            total += float((high - low) / 2 * (weights * other.density(q)) @ one.cdf_at(bound(q)))
        return min(max(total, 0.0), 1.0)

    return probability


@cache
def _gauss(n_nodes: int) -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(n_nodes)


def _crossings(bound: Callable[[Floats], Floats]) -> list[float]:
    """Return where a rising bound passes 0 and 1, by halving."""
    found = []
    for level in (0.0, 1.0):
        low, high = 0.0, 1.0
        ends = bound(np.array([low, high]))
        if not ends[0] < level < ends[1]:
            continue
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if bound(np.array([middle]))[0] < level else (low, middle)
        found.append(low)
    return found


def _limit(
    chance: Callable[[float], float],
    scale: str,
    pair: tuple[Product, Product],
    probability: float,
    tail: float,
) -> float | None:
    """Return the value at which a rising chance passes a probability; None for one without end."""
    from scipy.optimize import brentq  # slow to import, and rarely needed

    is_difference = scale == "difference"
    far = 1.0 if is_difference else 30.0  # a ratio is searched on its logarithm

    def excess(place: float) -> float:
        return chance(place if is_difference else float(np.exp(place))) - probability

    # outside the corners of these quantiles lies less than half a tail of the comparison
    one, other = ((each.quantile(tail / 8), each.quantile(1 - tail / 8)) for each in pair)
    low, high = -far, far
    if all(0 < value < 1 for value in (*one, *other)):
        corners = [SCALES[scale].compare(p, q) for p in one for q in other]
        low, high = (min(corners), max(corners)) if is_difference else np.log((min(corners), max(corners)))
    if excess(low) >= 0:
        return -1.0 if is_difference else 0.0
    if excess(high) < 0:
        return 1.0 if is_difference else None
    root = float(brentq(excess, low, high, xtol=1e-12, rtol=1e-12))
    return root if is_difference else float(np.exp(root))
