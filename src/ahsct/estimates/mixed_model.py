"""Linear mixed model with one grouping factor: REML, exact standard errors, Satterthwaite degrees of freedom.

The covariance of a group is V = s2 (I + Z L L' Z') with L lower triangular and s2 the residual
variance, as in lme4. All that the likelihood and its derivatives need of a group are the small
products Z'Z, Z'X and Z'y, so that the work grows with the number of groups and not with its square.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError

Array = npt.NDArray[np.float64]

_ROUNDING = 1e4 * float(np.finfo(float).eps)  # relative size below which a residual is rounding only
_BOUNDARY = 1e-9  # smallest eigenvalue of the scaled random covariance (over s2) that is not taken as 0


@dataclass(frozen=True, kw_only=True)
class MixedModel:
    """A fitted model. Coefficients have the unit of y over that of their column of X.

    `covariance` is that of the coefficients (p x p), `random_covariance` that of the random
    coefficients between groups (q x q), `log_likelihood` the restricted one.
    """

    coefficients: Array
    covariance: Array
    random_covariance: Array
    residual_variance: float
    log_likelihood: float
    n: int
    n_groups: int
    is_boundary: bool  # a random coefficient has no variance, or two are in line
    gradient: Array  # of `covariance`, by variance parameter (m x p x p)
    parameter_covariance: Array  # of the variance parameters (m x m)

    def contrast(self, weights: npt.ArrayLike) -> tuple[float, float, float]:
        """Return estimate, standard error and Satterthwaite degrees of freedom of `weights` @ coefficients.

        df = 2 v^2 / (g' A g): v the variance of the contrast, g its gradient in the variance
        parameters, A their asymptotic covariance (Satterthwaite 1946; lmerTest).
        """
        weight = np.asarray(weights, dtype=float)
        variance = float(weight @ self.covariance @ weight)
        gradient = np.einsum("p,mpq,q->m", weight, self.gradient, weight)
        spread = float(gradient @ self.parameter_covariance @ gradient)
        return float(weight @ self.coefficients), float(np.sqrt(variance)), 2 * variance**2 / spread


def linear_mixed_model(
    y: npt.ArrayLike, X: npt.ArrayLike, group: npt.ArrayLike, *, Z: npt.ArrayLike | None = None
) -> MixedModel:
    r"""Fit y = X b + Z u + e by restricted maximum likelihood, u independent between groups.

    Parameters
    ----------
    y
        One value per row (n).
    X
        Columns of the fixed coefficients (n x p), the intercept among them.
    group
        The group (patient) of each row (n).
    Z
        Columns of the random coefficients (n x q), freely correlated; a random intercept when
        missing. For a random intercept and slope: a column of ones beside the times.

    Raises
    ------
    TableError
        A value is missing, the columns of X depend on each other, there are fewer than two groups
        or no group has two rows, or the values lie exactly on the fitted lines, so that no residual
        variance can be estimated.

    References
    ----------
    Bates et al. (2015), doi:10.18637/jss.v067.i01 (parametrisation); Kuznetsova et al. (2017),
    doi:10.18637/jss.v082.i13 (degrees of freedom).
    R: lmer(y ~ X - 1 + (Z - 1 | group), REML = TRUE), lme4 1.1.31, lmerTest 3.1.3.

    Examples
    --------
    Balanced groups, so that the answer is that of the analysis of variance: group means 2, 4, 9 of
    two values each, mean squares 26 between and 2 within; the grand mean 5 has variance 26 / 6.

    >>> fit = linear_mixed_model([1, 3, 3, 5, 8, 10], np.ones((6, 1)), ["a", "a", "b", "b", "c", "c"])
    >>> estimate, std_error, df = fit.contrast([1])
    >>> round(estimate, 6), round(std_error**2, 6), round(df, 6), round(fit.residual_variance, 6)
    (5.0, 4.333333, 2.0, 2.0)
    """
    sums = _sum_up(y, X, group, Z)
    theta = _minimise(sums)
    at = _derivatives(sums, theta)
    back = np.linalg.inv(sums.r) * sums.y_scale
    covariance = back @ at.covariance @ back.T
    parameters = np.linalg.eigh(at.hessian)
    positive = parameters.eigenvalues > 1e-8 * parameters.eigenvalues.max()
    vectors = parameters.eigenvectors[:, positive]
    loading = _lower(theta, sums.q)
    size = sums.y_scale / sums.z_scale
    random = at.variance * (loading @ loading.T)
    return MixedModel(
        coefficients=sums.fitted + back @ at.coefficients,
        covariance=covariance,
        random_covariance=random * np.outer(size, size),
        residual_variance=at.variance * sums.y_scale**2,
        log_likelihood=-0.5 * at.deviance
        - (sums.n - sums.p) * math.log(sums.y_scale)
        - float(np.log(np.abs(np.diag(sums.r))).sum()),
        n=sums.n,
        n_groups=sums.n_groups,
        is_boundary=bool(np.linalg.eigvalsh(loading @ loading.T)[0] < _BOUNDARY),
        gradient=back @ at.covariance_gradient @ back.T,
        parameter_covariance=2 * (vectors / parameters.eigenvalues[positive]) @ vectors.T,
    )


@dataclass(frozen=True, kw_only=True)
class _Sums:
    """What the likelihood needs of the data, X made orthonormal, y its scaled least-squares residual.

    That leaves the restricted likelihood as it is, and rounding independent of units and offsets.
    """

    n: int
    p: int
    q: int
    n_groups: int
    zz: Array  # groups x q x q
    zx: Array  # groups x q x p
    zy: Array  # groups x q
    yy: float
    y_scale: float
    z_scale: Array
    r: Array  # X = orthonormal @ r
    fitted: Array  # least-squares coefficients


def _sum_up(y: npt.ArrayLike, X: npt.ArrayLike, group: npt.ArrayLike, Z: npt.ArrayLike | None) -> _Sums:
    y_, X_, group_ = np.asarray(y, dtype=float), np.asarray(X, dtype=float), np.asarray(group)
    Z_ = np.ones((y_.size, 1)) if Z is None else np.asarray(Z, dtype=float)
    n, p, q = y_.size, X_.shape[1], Z_.shape[1]
    if not (np.isfinite(y_).all() and np.isfinite(X_).all() and np.isfinite(Z_).all()):
        raise TableError("linear_mixed_model needs finite numbers in y, X and Z; leave incomplete rows out.")
    if n <= p or np.linalg.matrix_rank(X_) < p:
        raise TableError(
            f"linear_mixed_model cannot tell {p} coefficients apart in {n} rows: columns of X depend on "
            "each other or rows are too few."
        )
    names, code = np.unique(group_, return_inverse=True)
    if names.size < 2 or names.size == n:
        raise TableError(
            "linear_mixed_model needs two or more groups, one of them with two or more rows; "
            f"{n} rows in {names.size} groups were given."
        )
    order = np.argsort(code, kind="stable")
    y_, X_, Z_ = y_[order], X_[order], Z_[order]
    orthonormal, r = np.linalg.qr(X_)
    projected = orthonormal.T @ y_
    residual = y_ - orthonormal @ projected
    residual -= orthonormal @ (orthonormal.T @ residual)  # once more, for the last digits
    y_scale = float(np.sqrt(np.mean(residual**2)))
    z_scale = np.sqrt(np.mean(Z_**2, axis=0))
    starts = np.searchsorted(code[order], np.arange(names.size))
    z = Z_ / z_scale
    zz = np.add.reduceat(z[:, :, None] * z[:, None, :], starts)
    zx = np.add.reduceat(z[:, :, None] * orthonormal[:, None, :], starts)
    if y_scale <= _ROUNDING * float(np.sqrt(np.mean(y_**2))) or _is_exact(
        residual / y_scale, orthonormal, z, zz, zx, starts
    ):
        raise TableError(
            "linear_mixed_model: the values lie exactly on the fitted lines; without residual variation "
            "there is no standard error."
        )
    return _Sums(
        n=n,
        p=p,
        q=q,
        n_groups=names.size,
        zz=zz,
        zx=zx,
        zy=np.add.reduceat(z * (residual / y_scale)[:, None], starts),
        yy=float(n),
        y_scale=y_scale,
        z_scale=z_scale,
        r=r,
        fitted=np.linalg.solve(r, projected),
    )


def _is_exact(y: Array, X: Array, z: Array, zz: Array, zx: Array, starts: npt.NDArray[np.intp]) -> bool:
    """Return True when coefficients of each group's own leave nothing of y but rounding."""
    inverse = np.linalg.pinv(zz, rcond=1e-12, hermitian=True)
    code = np.repeat(np.arange(starts.size), np.diff(np.append(starts, y.size)))
    own = np.einsum("gqr,gr->gq", inverse, np.add.reduceat(z * y[:, None], starts))
    y_within = y - np.einsum("nq,nq->n", z, own[code])
    X_within = X - np.einsum("nq,nqp->np", z, np.einsum("gqr,grp->gqp", inverse, zx)[code])
    left = y_within - X_within @ np.linalg.lstsq(X_within, y_within, rcond=1e-10)[0]
    return bool(np.sqrt(np.mean(left**2)) < 1e-8)


@dataclass(frozen=True, kw_only=True)
class _At:
    """The restricted deviance at one place, the residual variance profiled out, and its derivatives.

    Parameters are the entries of the lower triangle, then the residual variance.
    """

    deviance: float
    variance: float
    coefficients: Array
    covariance: Array
    covariance_gradient: Array
    gradient: Array
    hessian: Array


def _lower(theta: Array, q: int) -> Array:
    loading = np.zeros((q, q))
    loading[np.tril_indices(q)] = theta
    return loading


def _profile(sums: _Sums, theta: Array) -> tuple[float, float, Array, Array, Array]:
    """Return deviance, residual variance, coefficients, inverse of X'WX (W over s2) and L M^-1 L'."""
    loading = _lower(theta, sums.q)
    inner = np.eye(sums.q) + loading.T @ sums.zz @ loading
    middle = loading @ np.linalg.inv(inner) @ loading.T
    weighted = np.matmul(middle, sums.zx)
    xx = np.eye(sums.p) - np.einsum("gqp,gqs->ps", sums.zx, weighted)
    xy = -np.einsum("gqp,gq->p", weighted, sums.zy)
    yy = sums.yy - float(np.einsum("gq,gqr,gr->", sums.zy, middle, sums.zy))
    inverse = np.linalg.inv(xx)
    coefficients = inverse @ xy
    freedom = sums.n - sums.p
    variance = (yy - float(xy @ coefficients)) / freedom
    deviance = (
        float(np.linalg.slogdet(inner).logabsdet.sum())
        + float(np.linalg.slogdet(xx).logabsdet)
        + freedom * (1 + math.log(2 * math.pi * variance))
    )
    return deviance, variance, coefficients, inverse, middle


def _derivatives(sums: _Sums, theta: Array) -> _At:
    """Return the deviance with exact first and second derivatives (P = W - W X C X'W as in REML texts)."""
    deviance, variance, coefficients, inverse, middle = _profile(sums, theta)
    covariance = variance * inverse
    reach = np.eye(sums.q) - np.matmul(sums.zz, middle)
    S = np.matmul(reach, sums.zz) / variance  # Z'WZ
    T = np.matmul(reach, sums.zx) / variance  # Z'WX
    u = np.einsum("gqr,gr->gq", reach, sums.zy - sums.zx @ coefficients) / variance  # Z'W(y - Xb)
    units = np.zeros((theta.size, sums.q, sums.q))
    units[np.arange(theta.size), *np.tril_indices(sums.q)] = 1
    loading = _lower(theta, sums.q)
    first = units @ loading.T + loading @ units.transpose(0, 2, 1)  # of L L'
    second = np.einsum("kia,lja->klij", units, units)
    second = second + second.transpose(1, 0, 2, 3)

    TC = T @ covariance
    # derivatives of the deviance in L L': tr(P Z . Z') - y'P Z . Z'P y
    slope = S.sum(axis=0) - np.einsum("gqp,grp->qr", TC, T) - np.einsum("gq,gr->qr", u, u)
    quadratic = variance * np.einsum("gq,kqr,gr->k", u, first, u)
    SG = S[:, None] @ first  # groups x parameters x q x q
    GT = first @ T[:, None]  # groups x parameters x q x p
    Gu = np.einsum("kqr,gr->gkq", first, u)
    K = np.einsum("gqp,gkqs->kps", T, GT)
    CK = covariance @ K
    products = variance**2 * (
        np.einsum("gkqr,glrq->kl", SG, SG)
        - 2 * np.einsum("gkqp,glqp->kl", GT, S[:, None] @ (GT @ covariance))
        + np.einsum("kps,lsp->kl", CK, CK)
    )
    Tu = np.einsum("gqp,gkq->kp", T, Gu)
    sandwich = variance**2 * (
        np.einsum("gkq,glq->kl", Gu, (S[:, None] @ Gu[..., None])[..., 0]) - Tu @ covariance @ Tu.T
    )
    m = theta.size
    hessian = np.empty((m + 1, m + 1))
    hessian[:m, :m] = variance * np.einsum("qr,klrq->kl", slope, second) - products + 2 * sandwich
    hessian[:m, m] = hessian[m, :m] = quadratic / variance
    hessian[m, m] = (sums.n - sums.p) / variance**2
    return _At(
        deviance=deviance,
        variance=variance,
        coefficients=coefficients,
        covariance=covariance,
        covariance_gradient=np.concatenate(
            [variance * covariance @ K @ covariance, covariance[None] / variance]
        ),
        gradient=variance * np.einsum("qr,krq->k", slope, first),
        hessian=(hessian + hessian.T) / 2,
    )


def _minimise(sums: _Sums) -> Array:
    """Return the lower triangle at the smallest deviance: starts on a grid, descent, then Newton steps."""
    from scipy.optimize import minimize

    rows, columns = np.tril_indices(sums.q)
    diagonal = (rows == columns).astype(float)
    starts = [size * diagonal for size in np.geomspace(1e-3, 1e3, 13)]
    best = min(starts, key=lambda start: _profile(sums, start)[0])

    def objective(theta: Array) -> tuple[float, Array]:
        at = _derivatives(sums, theta)
        return at.deviance, at.gradient

    theta = np.asarray(minimize(objective, best, jac=True, method="L-BFGS-B", options={"maxiter": 20}).x)
    for _ in range(50):
        at = _derivatives(sums, theta)
        cross = at.hessian[:-1, -1]
        curvature = at.hessian[:-1, :-1] - np.outer(cross, cross) / at.hessian[-1, -1]
        values, vectors = np.linalg.eigh(curvature)
        # uphill or flat directions are left alone: there the descent above has the last word
        keep = values > 1e-8 * max(float(values.max()), 0.0)
        step = -vectors[:, keep] @ ((vectors[:, keep].T @ at.gradient) / values[keep])
        while step.any() and _profile(sums, theta + step)[0] > at.deviance + 1e-9:
            step = step / 2
            if np.abs(step).max() < 1e-14:
                break
        theta = theta + step
        if np.abs(step).max() <= 1e-13 * max(1.0, float(np.abs(theta).max())):
            break
    return np.where(np.abs(theta) < 1e-7, 0.0, theta)
