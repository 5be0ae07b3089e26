"""Is each fit of the mixed model the highest top of its likelihood? Against a generic optimiser from many starts.

Made-up data of 19 patients with 3 to 6 visits at unequal times; the true covariance of one, two or three random
coefficients is full, singular or zero; restricted and full likelihood by turns. The other side is written anew,
with the covariance of each patient as a dense matrix, and searched by BFGS on the Cholesky factor from 12 starts.
`--small` takes 3 to 9 patients with 1 to 5 visits and heavy tails instead, where a likelihood often has several
tops. Prints one row per number of random coefficients: docs/statistics/longitudinal.md; asserts nothing. A row is printed anew every
100 data sets.

Run `python benchmarks/mixed_model_maxima.py [data sets [coefficients]] [--small]` (20, all; the page says how many it shows).
"""

import sys
import time

import numpy as np
from scipy.optimize import minimize

from ahsct.errors import TableError
from ahsct.estimates.mixed_model import linear_mixed_model

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def made_up(seed: int, q: int) -> Data:
    """Return y, X, patient and Z of one data set of 19 patients."""
    rng = np.random.default_rng([19, q, seed])
    n_visits = rng.integers(3, 7, 19)
    code = np.repeat(np.arange(19), n_visits)
    days = np.array([0, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7])
    t = np.concatenate([np.sort(rng.choice(days, n, replace=False)) for n in n_visits])
    t = t + (rng.uniform(0, 0.1, t.size) if seed % 2 else 0)
    if q == 3 and seed % 4 >= 2:
        X = np.column_stack([np.ones_like(t), t, t**2])
    elif q == 3 or seed % 3 == 0:
        X = np.column_stack([np.ones_like(t), np.minimum(t, 2.5), np.maximum(t - 2.5, 0)])
    else:
        X = np.column_stack([np.ones_like(t), t])
    Z = [np.ones((t.size, 1)), X[:, [0, -1]], X][q - 1]
    rank = (q, max(q - 1 - int(rng.integers(2)), 0), 0)[seed % 5 % 3]
    spread = rng.normal(size=(q, q)) * 10 ** rng.uniform(-1.3, 0.7, q)[:, None]
    own = rng.normal(size=(19, rank)) @ spread[:, :rank].T
    y = X @ np.array([0, -0.9, -0.2])[: X.shape[1]] + np.sum(Z * own[code], axis=1)
    return y + rng.normal(0, 0.5, t.size), X, code, Z


def made_up_small(seed: int, q: int) -> Data:
    """Return y, X, patient and Z of 3 to 9 patients with values that lie far out."""
    rng = np.random.default_rng([9, q, seed])
    n_groups = rng.integers(3, 10)
    code = np.repeat(np.arange(n_groups), rng.integers(1, 6, n_groups))
    t = rng.choice([0, 0.5, 1, 2, 3, 5], code.size)
    X = np.column_stack([np.ones_like(t), t])
    if q == 3:
        X = np.column_stack([np.ones_like(t), np.minimum(t, 2.0), np.maximum(t - 2.0, 0)])
    Z = X[:, :q]
    own = rng.standard_t(2, size=(n_groups, q)) * 10 ** rng.uniform(-1, 1, q)
    y = np.sum(Z * own[code], axis=1) + rng.standard_t(2, size=code.size) * rng.choice([0.05, 1])
    return y, X, code, Z


class Dense:
    """The deviance by the Cholesky factor of the random covariance over the residual variance, patient by patient."""

    def __init__(self, data: Data, *, is_restricted: bool) -> None:
        y, X, code, Z = data
        size = np.bincount(code)
        place = np.arange(code.size) - (np.cumsum(size) - size)[code]
        self.Z = np.zeros((size.size, size.max(), Z.shape[1]))
        self.Xy = np.zeros((size.size, size.max(), X.shape[1] + 1))  # missing rows: zeros, with variance 1
        # orthogonal columns, so that the generic optimiser is not held up by their sizes
        self.root = np.linalg.cholesky(Z.T @ Z / len(Z))
        self.Z[code, place] = Z @ np.linalg.inv(self.root.T)
        self.Xy[code, place] = np.column_stack([X, y])
        self.n, self.p, self.q = y.size, X.shape[1], Z.shape[1]
        self.is_restricted = is_restricted

    def of_covariance(self, G: np.ndarray) -> float:
        """Return the deviance at a covariance in the units of Z."""
        G = self.root.T @ G @ self.root
        values, vectors = np.linalg.eigh((G + G.T) / 2)
        return self._at(vectors * np.sqrt(np.maximum(values, 0)))[0]

    def of_entries(self, entries: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the deviance at the entries of the lower triangle, and its gradient."""
        L = np.zeros((self.q, self.q))
        L[np.tril_indices(self.q)] = entries
        value, slope = self._at(L)
        return value, (2 * slope @ L)[np.tril_indices(self.q)]

    def _at(self, root: np.ndarray) -> tuple[float, np.ndarray]:
        loaded = self.Z @ root
        V = np.eye(self.Z.shape[1]) + loaded @ loaded.transpose(0, 2, 1)
        WXy = np.linalg.solve(V, self.Xy)
        cross = np.einsum("gnp,gns->ps", self.Xy, WXy)
        C, xy = np.linalg.inv(cross[:-1, :-1]), cross[:-1, -1]
        freedom = self.n - self.p if self.is_restricted else self.n
        variance = (cross[-1, -1] - xy @ C @ xy) / freedom
        value = np.linalg.slogdet(V).logabsdet.sum() + freedom * (1 + np.log(2 * np.pi * variance))
        turned = self.Z.transpose(0, 2, 1)
        u = (turned @ (WXy @ np.append(-C @ xy, 1.0))[..., None])[..., 0]
        slope = (turned @ np.linalg.solve(V, self.Z)).sum(axis=0) - u.T @ u / variance
        if self.is_restricted:
            T = turned @ WXy[..., :-1]
            slope -= np.einsum("gqp,ps,grs->qr", T, C, T)
            value -= np.linalg.slogdet(C).logabsdet
        return float(value), slope

    def least(self, rng: np.random.Generator, n_starts: int = 12) -> float:
        """Return the smallest deviance that BFGS finds from random starts."""
        places = np.tril_indices(self.q)
        best = None
        for again in range(n_starts + 1):
            start = (rng.normal(size=(self.q, self.q)) * 10 ** rng.uniform(-1.5, 1.5, self.q)[:, None])[
                places
            ]
            start = best.x if again == n_starts else start  # the best once more, with a fresh Hessian
            found = minimize(self.of_entries, start, jac=True, method="BFGS", options={"gtol": 1e-8})
            best = found if best is None or found.fun < best.fun else best
        return float(best.fun)


def main() -> None:
    """Print one row per number of random coefficients."""
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    n_sets = numbers[0] if numbers else 20
    make = made_up_small if "--small" in sys.argv else made_up
    print(
        "| random coefficients | data sets | singular | ours above the other, most | more than 1e-6 | other above ours by more | ours, ms |"
    )
    print("|---|---|---|---|---|---|---|")
    np.seterr(all="ignore")
    for q in numbers[1:] or (1, 2, 3):
        excess, n_singular, spent = [], 0, 0.0
        for seed in range(n_sets):
            data = make(seed, q)
            y, X, code, Z = data
            is_restricted = seed % 2 == 0
            begin = time.process_time()
            try:
                fit = linear_mixed_model(y, X, code, Z=Z, reml=is_restricted)
            except TableError:  # refused in words: too few rows, or an exact line
                continue
            spent += time.process_time() - begin
            n_singular += fit.is_boundary
            dense = Dense(data, is_restricted=is_restricted)
            ours = dense.of_covariance(fit.random_covariance / fit.residual_variance)
            excess.append(ours - dense.least(np.random.default_rng(seed)))
            if excess[-1] > 1e-6:
                print(f"<!-- {q} coefficients, seed {seed}: above by {excess[-1]:.3g} -->", flush=True)
            if (seed + 1) % 100 == 0 or seed + 1 == n_sets:
                show(q, np.array(excess), n_singular, spent)


def show(q: int, above: np.ndarray, n_singular: int, spent: float) -> None:
    """Print what was found so far."""
    cells = f"{above.max():.1e} | {np.sum(above > 1e-6)} | {np.sum(above < -1e-6)}"
    print(f"| {q} | {above.size} | {n_singular} | {cells} | {1e3 * spent / above.size:.0f} |", flush=True)


if __name__ == "__main__":
    main()
