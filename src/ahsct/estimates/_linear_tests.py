"""Tests of fixed coefficients whose covariance was estimated: Satterthwaite and Kenward-Roger, as lmerTest and pbkrtest.

Shared by the mixed model and the model for repeated measures.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ahsct.errors import RequestError, TableError, did_you_mean

Array = npt.NDArray[np.float64]

DF_METHODS = ("kenward-roger", "satterthwaite")
DF_NAMES = {
    "kenward-roger": "Kenward-Roger",
    "satterthwaite": "Satterthwaite",
    "kenward-roger-observed": "Kenward-Roger (observed information)",
}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How well coefficients are known.

    `covariance` is the one printed, `plain` that at the estimated variances (the same without Kenward and
    Roger's adjustment), `gradient` the derivatives of `plain` by the m variance parameters (m x p x p) and
    `parameter_covariance` the covariance of those (m x m): inverse observed information for Satterthwaite,
    inverse expected information for Kenward and Roger where nothing else is said.
    """

    covariance: Array
    plain: Array
    gradient: Array
    parameter_covariance: Array


@dataclass(frozen=True, kw_only=True)
class FTest:
    """A test that several contrasts are zero."""

    statistic: float
    df_numerator: int
    df_denominator: float
    p_value: float


def require_df_method(df_method: str, known: Collection[str] = DF_METHODS) -> str:
    """Return the method, or raise a RequestError where it is unknown."""
    if df_method not in known:
        raise RequestError(
            f"No df_method {df_method!r}; known are {', '.join(known)}.{did_you_mean(df_method, known)}"
        )
    return df_method


def kenward_roger(
    covariance: Array,
    first: Array,
    second: Array,
    traces: Array,
    curvature: Array | None = None,
    *,
    parameter_covariance: Array | None = None,
) -> Precision:
    r"""Return Kenward and Roger's precision.

    $$\hat\Phi_A = \hat\Phi + 2 \hat\Phi \Big\{\sum_{k,l} W_{kl} (Q_{kl} - P_k \hat\Phi P_l - R_{kl} / 4)\Big\} \hat\Phi,
    \quad W = 2 \big[\operatorname{tr}(V_k V^{-1} V_l V^{-1}) - 2 \operatorname{tr}(\Phi Q_{kl})
    + \operatorname{tr}(\Phi P_k \Phi P_l)\big]^{-1}$$

    Parameters
    ----------
    covariance
        Phi = (X'V^-1 X)^-1 (p x p).
    first, second, traces
        X'V^-1 V_k V^-1 X (m x p x p; this is -P_k), Q_kl = X'V^-1 V_k V^-1 V_l V^-1 X (m x m x p x p) and
        tr(V_k V^-1 V_l V^-1) (m x m), with V_k the derivative of V by parameter k.
    curvature
        R_kl = X'V^-1 V_kl V^-1 X with the second derivatives; missing where V is linear in its parameters.
    parameter_covariance
        W, where not that formula's (the inverse of the expected information).

    References
    ----------
    Kenward and Roger (1997), doi:10.2307/2533558. R: vcovAdj, pbkrtest 0.5.2.
    """
    CK = covariance @ first
    half_information = (
        traces - 2 * np.einsum("ps,klsp->kl", covariance, second) + np.einsum("kps,lsp->kl", CK, CK)
    )
    W = parameter_covariance
    if W is None:
        W = 2 * np.linalg.pinv((half_information + half_information.T) / 2, rcond=1e-12, hermitian=True)
    turned = second if curvature is None else second - curvature / 4
    middle = np.einsum("kl,klps->ps", W, turned) - np.einsum("kl,kpr,lrs->ps", W, first, CK)
    return Precision(
        covariance=covariance + covariance @ (middle + middle.T) @ covariance,
        plain=covariance,
        gradient=covariance @ first @ covariance,
        parameter_covariance=W,
    )


def transformed(precision: Precision, back: Array) -> Precision:
    """Return the precision of `back` @ coefficients."""
    return Precision(
        covariance=back @ precision.covariance @ back.T,
        plain=back @ precision.plain @ back.T,
        gradient=back @ precision.gradient @ back.T,
        parameter_covariance=precision.parameter_covariance,
    )


def contrast(coefficients: Array, precision: Precision, weights: npt.ArrayLike) -> tuple[float, float, float]:
    """Return estimate, standard error and degrees of freedom of `weights` @ coefficients.

    df = 2 v^2 / (g' A g): v the plain variance of the contrast, g its gradient in the variance parameters, A
    the covariance of those. Kenward and Roger's df of one contrast is the same expression.
    """
    weight = np.asarray(weights, dtype=float)
    if weight.shape != coefficients.shape:
        raise TableError(f"A contrast needs {coefficients.size} weights; found shape {weight.shape}.")
    variance = float(weight @ precision.covariance @ weight)
    if not variance > 0:
        raise TableError(
            "the Kenward-Roger adjustment leaves no variance: too few patients for it. Take satterthwaite, and "
            "read its interval with care."
        )
    return float(weight @ coefficients), float(np.sqrt(variance)), _freedom(precision, weight)


def f_test(coefficients: Array, precision: Precision, weights: npt.ArrayLike, *, df_method: str) -> FTest:
    """Test that the rows of `weights` (q x p) @ coefficients are all zero.

    Satterthwaite: the q independent contrasts of the eigenvectors, their df combined (Fai and Cornelius 1996,
    doi:10.1080/00949659608811740; lmerTest `contestMD`). Kenward-Roger: scaled F with df from two moments.

    Raises
    ------
    TableError
        The rows depend on each other.
    """
    from scipy.special import fdtrc

    L = np.atleast_2d(np.asarray(weights, dtype=float))
    q = L.shape[0]
    if L.shape[1] != coefficients.size or np.linalg.matrix_rank(L) < q:
        raise TableError(
            f"An F test needs independent rows of {coefficients.size} weights; found shape {L.shape}."
        )
    value = L @ coefficients
    if df_method == "satterthwaite":
        d, vectors = np.linalg.eigh(L @ precision.covariance @ L.T)
        rows = vectors.T @ L
        statistic = float(np.mean((rows @ coefficients) ** 2 / d))
        denominator = _combine(np.array([_freedom(precision, row) for row in rows]))
    else:
        scale, denominator = _scaled_f(precision, L)
        statistic = scale * float(value @ np.linalg.solve(L @ precision.covariance @ L.T, value)) / q
    return FTest(
        statistic=statistic,
        df_numerator=q,
        df_denominator=denominator,
        p_value=float(fdtrc(q, denominator, statistic)),
    )


def _freedom(precision: Precision, weight: Array) -> float:
    gradient = np.einsum("p,mpq,q->m", weight, precision.gradient, weight)
    spread = float(gradient @ precision.parameter_covariance @ gradient)
    return 2 * float(weight @ precision.plain @ weight) ** 2 / spread if spread > 0 else float("inf")


def _combine(freedoms: Array) -> float:
    if np.ptp(freedoms) < 1e-8:
        return float(freedoms.mean())
    if freedoms.min() <= 2:
        return 2.0
    total = float(np.sum(freedoms / (freedoms - 2)))
    return 2 * total / (total - freedoms.size)


def _scaled_f(precision: Precision, L: Array) -> tuple[float, float]:
    """Return Kenward and Roger's scale of F and its denominator df (their section 2 and appendix A.1)."""
    q = L.shape[0]
    theta = L.T @ np.linalg.solve(L @ precision.plain @ L.T, L)
    u = theta @ precision.gradient
    traces = np.einsum("kpp->k", u)
    A1 = float(traces @ precision.parameter_covariance @ traces)
    A2 = float(np.sum(precision.parameter_covariance * np.einsum("kps,lsp->kl", u, u)))
    if A2 <= 0:
        return 1.0, float("inf")
    B = (A1 + 6 * A2) / (2 * q)
    g = ((q + 1) * A1 - (q + 4) * A2) / ((q + 2) * A2)
    below = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / below, (q - g) / below, (q + 2 - g) / below
    mean_part = _ratio(1 - A2 / q, 1 - c2 * B)
    df = 4 + (q + 2) / (mean_part**2 * (1 + c1 * B) / (1 - c3 * B) - 1)
    return (1.0 if abs(df - 2) < 1e-2 else df * (1 - A2 / q) / (df - 2)), df


def _ratio(above: float, below: float) -> float:
    """Return above / below; 1 where both vanish together (their limit), as pbkrtest takes it."""
    return 1.0 if abs(above) < 1e-14 and abs(below) < 1e-14 else above / below


def with_note(row: dict[str, Any], note: str) -> dict[str, Any]:
    """Return the row with the note after the one it has."""
    return {**row, "note": f"{row['note']}; {note}" if row.get("note") else note}


def t_interval(estimate: float, std_error: float, df: float, conf_level: float) -> dict[str, Any]:
    """Return the columns of a row of RESULTS for a t interval and its two-sided p value.

    With fewer than one degree of freedom the error is hardly known: no limits, and a `note`.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    if np.isinf(df):
        quantile, p = float(ndtri((1 + conf_level) / 2)), 2 * float(ndtr(-abs(estimate / std_error)))
    else:
        quantile = float(stdtrit(df, (1 + conf_level) / 2))
        p = 2 * float(stdtr(df, -abs(estimate / std_error)))
    if df < 1:
        note = "no interval: fewer than one degree of freedom"
        return {"estimate": estimate, "std_error": std_error, "df": df, "p_value": p, "note": note}
    return {
        "estimate": estimate,
        "std_error": std_error,
        "lower": estimate - quantile * std_error,
        "upper": estimate + quantile * std_error,
        "conf_level": conf_level,
        "df": None if np.isinf(df) else df,
        "p_value": p,
    }
