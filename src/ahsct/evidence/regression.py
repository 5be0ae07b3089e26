"""Meta-regression, with p values from permuting the moderators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from math import factorial, prod
from typing import Any

import numpy as np

from ahsct.errors import RequestError
from ahsct.evidence._design import Floats, effects
from ahsct.evidence.random_effects import Fit, fit_random_effects

_MOST_EXACT = 50_000
_EQUAL = (
    1e-9  # statistics nearer than this (relative) count as equal, so that the order of sums does not decide
)


def meta_regression(
    y: Any, v: Any, moderators: Any, *, tau2: str = "REML", test: str = "hartung-knapp", conf_level: float = 0.95
) -> Fit:  # fmt: skip
    """Regress the estimates on moderators (one column each; a column of ones is put before them).

    Examples
    --------
    >>> fit = meta_regression([0.0, 1.0, 2.0, 3.0], [0.1] * 4, [0, 1, 2, 3], test="z")
    >>> fit.coefficients.round(6).tolist()
    [0.0, 1.0]
    """
    y, v = effects(y, v)
    matrix = np.asarray(moderators, dtype=np.float64).reshape(y.size, -1)
    return fit_random_effects(
        y, v, x=np.column_stack([np.ones(y.size), matrix]), tau2=tau2, test=test, conf_level=conf_level
    )


def permutation_p_values(fit: Fit, *, n_permutations: int = 1000, seed: int = 1) -> tuple[Floats, str]:
    """Return a p value for each coefficient from permuting the rows of the moderators, and how it was made.

    All distinct permutations are gone through where they are at most 50,000; else so many drawn at random, with
    the observed order among them. The statistic is the coefficient over its standard error, two-sided. For the mean
    alone the signs of the estimates are flipped instead.

    References
    ----------
    Higgins and Thompson (2004), doi:10.1002/sim.1752. R: metafor 3.8.1, permutest(exact = TRUE).

    Examples
    --------
    Four studies in a row: 2 of the 24 orders are as extreme as the one seen:

    >>> fit = meta_regression([0.0, 1.1, 2.0, 3.2], [0.1] * 4, [0, 1, 2, 3])
    >>> p, how = permutation_p_values(fit)
    >>> round(float(p[1]), 4), how
    (0.0833, 'all 24 permutations')
    """
    seen = _statistics(fit.y, fit)
    draws, how = _arrangements(fit, n_permutations, seed)
    as_extreme = np.zeros(seen.size)
    n = 0
    for y, x in draws:
        found = np.abs(_statistics(y, fit, x))
        as_extreme += found >= np.abs(seen) * (1 - _EQUAL)
        n += 1
    return as_extreme / n, how


def _statistics(y: Floats, fit: Fit, x: Floats | None = None) -> Floats:
    if x is None:
        x = fit.x
    refit = fit_random_effects(y, fit.v, x=x, tau2=fit.tau2_method, test=fit.test, conf_level=fit.conf_level)
    with np.errstate(divide="ignore"):
        return refit.coefficients / refit.std_errors


def _arrangements(fit: Fit, n_permutations: int, seed: int) -> tuple[Iterator[tuple[Floats, Floats]], str]:
    if n_permutations < 20:
        raise RequestError(f"n_permutations must be at least 20; found {n_permutations}.")
    k = fit.k
    rng = np.random.Generator(np.random.Philox(seed))
    if fit.x.shape[1] == 1 and np.all(fit.x == 1):
        if 2**k <= _MOST_EXACT:
            signs = (1 - 2 * ((np.arange(2**k)[:, None] >> np.arange(k)) & 1)).astype(np.float64)
            return ((sign * fit.y, fit.x) for sign in signs), f"all {2**k} sign changes"
        return (
            (fit.y if i == 0 else rng.choice([-1.0, 1.0], k) * fit.y, fit.x) for i in range(n_permutations)
        ), f"{n_permutations} random sign changes, seed {seed}"
    rows = [tuple(row) for row in fit.x.tolist()]
    multiplicities = Counter(rows)
    distinct = factorial(k) // prod(factorial(count) for count in multiplicities.values())
    if distinct <= _MOST_EXACT:
        orders = _distinct_orders(multiplicities, k)
        return ((fit.y, np.array(order)) for order in orders), f"all {distinct} permutations"
    return (
        (fit.y, fit.x if i == 0 else fit.x[rng.permutation(k)]) for i in range(n_permutations)
    ), f"{n_permutations} random permutations, seed {seed}"


def _distinct_orders(counts: Counter[tuple[float, ...]], k: int) -> Iterator[list[tuple[float, ...]]]:
    """Yield every distinct order of the rows of the moderators."""
    if all(count == 1 for count in counts.values()):
        yield from (list(order) for order in permutations(counts))
        return
    left = dict(counts)
    order: list[tuple[float, ...]] = []

    def place() -> Iterator[list[tuple[float, ...]]]:
        if len(order) == k:
            yield list(order)
            return
        for row in left:
            if left[row]:
                left[row] -= 1
                order.append(row)
                yield from place()
                order.pop()
                left[row] += 1

    yield from place()
