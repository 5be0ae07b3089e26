"""The restricted likelihood of repeated measures whose visits share one covariance matrix, with exact derivatives.

Patients seen at the same visits form a pattern. All that the likelihood needs of a pattern are the sums of
products of its columns between visits, so that the work does not grow with the number of patients.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._linear_tests import Precision, kenward_roger

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """V and its first and second derivatives by the parameters (T x T, m x T x T, m x m x T x T or None)."""

    V: Array
    first: Array
    second: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """Patients seen at the same visits; `products` sums x_ia x_jb over them, x the columns of X and then y."""

    visits: npt.NDArray[np.intp]
    n_patients: int
    products: Array  # visits x (p + 1) x visits x (p + 1)


def unstructured(parameters: Array, n_visits: int) -> Shape:
    """Every variance and covariance is a parameter."""
    rows, columns = np.tril_indices(n_visits)
    V = np.zeros((n_visits, n_visits))
    V[rows, columns] = V[columns, rows] = parameters
    first = np.zeros((rows.size, n_visits, n_visits))
    first[np.arange(rows.size), rows, columns] = first[np.arange(rows.size), columns, rows] = 1
    return Shape(V=V, first=first)


def compound_symmetry(parameters: Array, n_visits: int) -> Shape:
    """Variance within plus a common covariance (which may be negative)."""
    first = np.stack([np.eye(n_visits), np.ones((n_visits, n_visits))])
    return Shape(V=np.tensordot(parameters, first, 1), first=first)


def ar1(parameters: Array, n_visits: int) -> Shape:
    """Variance s2 and correlation rho^k between visits k apart in their order."""
    s2, rho = parameters
    lag = np.abs(np.subtract.outer(np.arange(n_visits), np.arange(n_visits))).astype(float)
    V = rho**lag
    d = lag * rho ** np.maximum(lag - 1, 0)
    dd = lag * (lag - 1) * rho ** np.maximum(lag - 2, 0)
    return Shape(
        V=s2 * V,
        first=np.stack([V, s2 * d]),
        second=np.array([[np.zeros_like(V), d], [d, s2 * dd]]),
    )


STRUCTURES: dict[str, tuple[str, Callable[[Array, int], Shape]]] = {
    "unstructured": ("unstructured covariance", unstructured),
    "ar1": ("AR(1) covariance", ar1),
    "compound_symmetry": ("compound symmetry", compound_symmetry),
}


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The solution in the units of the patterns."""

    deviance: float
    coefficients: Array
    V: Array
    satterthwaite: Precision
    kenward_roger: Precision
    kenward_roger_observed: Precision


def maximise(patterns: list[Pattern], n_visits: int, p: int, n: int, *, structure: str) -> Fit:
    """Return the fit of largest restricted likelihood.

    Fisher scoring until the deviance is curved upwards, then Newton steps; both halved until V is positive
    definite and the deviance falls.

    Raises
    ------
    TableError
        V becomes singular: the data do not determine the covariance.
    """
    try:
        return _maximise(patterns, n_visits, p, n, structure)
    except np.linalg.LinAlgError as error:
        raise _singular(structure) from error


def _maximise(patterns: list[Pattern], n_visits: int, p: int, n: int, structure: str) -> Fit:
    build = STRUCTURES[structure][1]
    parameters = _start(patterns, n_visits, structure)
    now = _deviance(patterns, build(parameters, n_visits), p, n)
    if now is None:
        raise _singular(structure)
    for _ in range(200):
        at = _derivatives(patterns, build(parameters, n_visits), p)
        step = _step(at.hessian, at.gradient)
        if step is None:
            step = -np.linalg.pinv(at.expected, rcond=1e-13, hermitian=True) @ at.gradient
        for _ in range(60):
            new = _deviance(patterns, build(parameters + step, n_visits), p, n)
            if new is not None and new <= now + 1e-10:
                break
            step = step / 2
        else:
            break
        parameters, now = parameters + step, new
        if np.abs(step).max() <= 1e-12 * np.abs(parameters).max():
            break
    shape = build(parameters, n_visits)
    ends = np.linalg.eigvalsh(shape.V)[[0, -1]]
    at = _derivatives(patterns, shape, p)
    newton = _step(at.hessian, at.gradient)
    if ends[0] < 1e-8 * ends[1] or newton is None:
        raise _singular(structure)
    if not np.abs(at.gradient * parameters).max() <= 1e-3:
        raise TableError(f"the likelihood of an {structure} covariance has not reached its maximum.")
    observed = np.asarray(2 * np.linalg.inv(at.hessian), dtype=np.float64)
    adjustment = (at.covariance, at.first, at.second, at.traces, at.curvature)
    return Fit(
        deviance=now,
        coefficients=at.coefficients,
        V=shape.V,
        satterthwaite=Precision(
            covariance=at.covariance,
            plain=at.covariance,
            gradient=at.covariance @ at.first @ at.covariance,
            parameter_covariance=observed,
        ),
        kenward_roger=kenward_roger(*adjustment),
        kenward_roger_observed=kenward_roger(*adjustment, parameter_covariance=observed),
    )


@dataclass(frozen=True, kw_only=True)
class _At:
    coefficients: Array
    covariance: Array
    first: Array  # X'W V_k W X
    second: Array  # X'W V_k W V_l W X
    curvature: Array | None  # X'W V_kl W X
    traces: Array  # tr(W V_k W V_l)
    gradient: Array  # of the deviance, as are:
    expected: Array
    hessian: Array


def _singular(structure: str) -> TableError:
    advice = "" if structure == "compound_symmetry" else " Take a simpler one (ar1, compound_symmetry)."
    return TableError(
        f"the data do not determine the {STRUCTURES[structure][0]}: it becomes singular, for want of patients "
        f"or because visits repeat each other.{advice}"
    )


def _solve(patterns: list[Pattern], V: Array, p: int) -> tuple[Array, float, list[Array]] | None:
    """Return the sums [X y]'W[X y], log|V| over patients and the inverses W; None where V is not definite."""
    total, log_det, inverses = np.zeros((p + 1, p + 1)), 0.0, []
    for pattern in patterns:
        try:
            root = np.linalg.cholesky(V[np.ix_(pattern.visits, pattern.visits)])
        except np.linalg.LinAlgError:
            return None
        half = np.linalg.inv(root)
        W = half.T @ half
        inverses.append(W)
        log_det += 2 * pattern.n_patients * float(np.log(np.diag(root)).sum())
        total += np.einsum("ij,iajb->ab", W, pattern.products)
    return total, log_det, inverses


def _deviance(patterns: list[Pattern], shape: Shape, p: int, n: int) -> float | None:
    solved = _solve(patterns, shape.V, p)
    if solved is None:
        return None
    total, log_det, _ = solved
    try:
        b = np.linalg.solve(total[:p, :p], total[:p, p])
    except np.linalg.LinAlgError:
        return None
    return (
        log_det
        + float(np.linalg.slogdet(total[:p, :p]).logabsdet)
        + float(total[p, p] - total[:p, p] @ b)
        + (n - p) * math.log(2 * math.pi)
    )


def _derivatives(patterns: list[Pattern], shape: Shape, p: int) -> _At:
    """Return derivatives of the deviance; W = V^-1, r = y - Xb, as in `_mixed_likelihood`."""
    solved = _solve(patterns, shape.V, p)
    assert solved is not None
    total, _, inverses = solved
    C = np.asarray(np.linalg.inv(total[:p, :p]), dtype=np.float64)
    b = C @ total[:p, p]
    r = np.append(-b, 1.0)
    m = shape.first.shape[0]
    first, second = np.zeros((m, p + 1, p + 1)), np.zeros((m, m, p + 1, p + 1))
    curved = None if shape.second is None else np.zeros((m, m, p + 1, p + 1))
    trace, traces, curved_traces = np.zeros(m), np.zeros((m, m)), np.zeros((m, m))
    for pattern, W in zip(patterns, inverses, strict=True):
        seen = np.ix_(pattern.visits, pattern.visits)
        WV = W @ np.stack([V[seen] for V in shape.first])
        flat = pattern.products.transpose(0, 2, 1, 3).reshape(W.size, -1)
        first += ((WV @ W).reshape(m, -1) @ flat).reshape(m, p + 1, p + 1)
        both = WV[:, None] @ WV[None] @ W
        second += (both.reshape(m * m, -1) @ flat).reshape(m, m, p + 1, p + 1)
        trace += pattern.n_patients * np.einsum("kii->k", WV)
        traces += pattern.n_patients * np.einsum("kij,lji->kl", WV, WV)
        if curved is not None and shape.second is not None:
            WVV = W @ shape.second[:, :, pattern.visits[:, None], pattern.visits[None, :]]
            curved += ((WVV @ W).reshape(m * m, -1) @ flat).reshape(m, m, p + 1, p + 1)
            curved_traces += pattern.n_patients * np.einsum("klii->kl", WVV)
    XX, Xr = first[:, :p, :p], first[:, :p] @ r
    CX = C @ XX
    expected = (
        traces - 2 * np.einsum("ps,klsp->kl", C, second[:, :, :p, :p]) + np.einsum("kps,lsp->kl", CX, CX)
    )
    hessian = -expected + 2 * (np.einsum("a,klab,b->kl", r, second, r) - Xr @ C @ Xr.T)
    curvature = None
    if curved is not None:
        curvature = curved[:, :, :p, :p]
        hessian += curved_traces - np.einsum("ps,klsp->kl", C, curvature)
        hessian -= np.einsum("a,klab,b->kl", r, curved, r)
    return _At(
        coefficients=b,
        covariance=C,
        first=XX,
        second=second[:, :, :p, :p],
        curvature=curvature,
        traces=traces,
        gradient=trace - np.einsum("kpp->k", CX) - np.einsum("a,kab,b->k", r, first, r),
        expected=(expected + expected.T) / 2,
        hessian=(hessian + hessian.T) / 2,
    )


def _step(hessian: Array, gradient: Array) -> Array | None:
    """Return the Newton step where the deviance is curved upwards, else None."""
    size = np.sqrt(np.abs(np.diag(hessian)))
    if not (size > 0).all():
        return None
    values, vectors = np.linalg.eigh(hessian / np.outer(size, size))
    if values[0] <= 1e-10 * values[-1]:
        return None
    return np.asarray(-(vectors / values) @ (vectors.T @ (gradient / size)) / size)


def _start(patterns: list[Pattern], n_visits: int, structure: str) -> Array:
    """Return moments of the least-squares residuals (y of the patterns is one), with equal correlations."""
    squares, counts = np.zeros((n_visits, n_visits)), np.zeros((n_visits, n_visits))
    for pattern in patterns:
        seen = np.ix_(pattern.visits, pattern.visits)
        squares[seen] += pattern.products[:, -1, :, -1]
        counts[seen] += pattern.n_patients
    pairs = squares / np.maximum(counts, 1)
    variances = np.maximum(np.diag(pairs), 1e-3 * float(np.diag(pairs).mean()))
    off = ~np.eye(n_visits, dtype=bool) & (counts > 0)
    correlation = (pairs / np.sqrt(np.outer(variances, variances)))[off]
    rho = float(np.clip(correlation.mean(), 0.05, 0.9)) if correlation.size else 0.5
    if structure == "ar1":
        return np.array([variances.mean(), rho])
    if structure == "compound_symmetry":
        return float(variances.mean()) * np.array([1 - rho, rho])
    V = np.sqrt(np.outer(variances, variances)) * (rho + (1 - rho) * np.eye(n_visits))
    return np.asarray(V[np.tril_indices(n_visits)])
