"""The restricted (or full) likelihood of the mixed model from small sums per group, with exact derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._linear_tests import Precision, kenward_roger

Array = npt.NDArray[np.float64]

_MOST_STEPS = 200
_MOST_STARTS = 8
_ROUNDING = 1e4 * float(np.finfo(float).eps)  # relative size below which a residual is rounding only


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What the likelihood needs of the data, X made orthonormal, y its scaled least-squares residual.

    That leaves the restricted likelihood as it is, and rounding independent of units and offsets. So does Z made
    orthogonal where the random coefficients are freely correlated; else each of its columns is scaled.
    """

    n: int
    p: int
    q: int
    n_groups: int
    zz: Array  # groups x q x q
    zxy: Array  # groups x q x (p + 1), y last
    xyxy: Array  # (p + 1) x (p + 1)
    y_scale: float
    z_root: Array  # Z = orthogonal @ z_root, lower triangular
    r: Array  # X = orthonormal @ r
    fitted: Array  # least-squares coefficients
    is_correlated: bool  # the random coefficients, among each other
    is_restricted: bool  # likelihood

    @property
    def zx(self) -> Array:
        """Z'X, groups x q x p."""
        return self.zxy[..., :-1]

    @property
    def zy(self) -> Array:
        """Z'y, groups x q."""
        return self.zxy[..., -1]

    @cached_property
    def places(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """Rows and columns of the free entries of the lower triangle."""
        rows, columns = np.tril_indices(self.q)
        return (rows, columns) if self.is_correlated else (rows[rows == columns], rows[rows == columns])

    @property
    def freedom(self) -> int:
        """What the sum of squares is divided by."""
        return self.n - self.p if self.is_restricted else self.n


def sum_up(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    group: npt.ArrayLike,
    Z: npt.ArrayLike | None,
    *,
    is_correlated: bool,
    is_restricted: bool,
) -> Sums:
    """Check the data and reduce them to sums per group; raises TableError as `linear_mixed_model` says."""
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
    starts = np.searchsorted(code[order], np.arange(names.size))
    z, z_root = _orthogonal(Z_, is_correlated)
    zz = np.add.reduceat(z[:, :, None] * z[:, None, :], starts)
    zx = np.add.reduceat(z[:, :, None] * orthonormal[:, None, :], starts)
    if y_scale <= _ROUNDING * float(np.sqrt(np.mean(y_**2))) or _is_exact(
        residual / y_scale, orthonormal, z, zz, zx, starts
    ):
        raise TableError(
            "linear_mixed_model: the values lie exactly on the fitted lines; without residual variation "
            "there is no standard error."
        )
    return Sums(
        n=n,
        p=p,
        q=q,
        n_groups=names.size,
        zz=zz,
        zxy=np.concatenate(
            [zx, np.add.reduceat(z * (residual / y_scale)[:, None], starts)[..., None]], axis=-1
        ),
        xyxy=np.diag([1.0] * p + [float(n)]),
        y_scale=y_scale,
        z_root=z_root,
        r=r,
        fitted=np.linalg.solve(r, projected),
        is_correlated=is_correlated,
        is_restricted=is_restricted,
    )


def _orthogonal(Z: Array, is_correlated: bool) -> tuple[Array, Array]:
    """Return Z as orthogonal columns of mean square 1 (as scaled ones) and the lower triangle that leads back."""
    scale = np.sqrt(np.mean(Z**2, axis=0))
    if not scale.all() or np.linalg.matrix_rank(Z / scale) < Z.shape[1]:
        raise TableError(
            f"linear_mixed_model cannot tell {Z.shape[1]} random coefficients apart: columns of Z are zero or "
            "depend on each other."
        )
    if not is_correlated:
        return Z / scale, np.diag(scale)
    turned, upper = np.linalg.qr((Z / scale)[:, ::-1])
    size = np.sqrt(len(Z))
    return turned[:, ::-1] * size, upper[::-1, ::-1] * scale / size


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
class At:
    """The restricted deviance at one place (or several), the residual variance profiled out, and its derivatives.

    Parameters are the free entries of the lower triangle L, then the residual variance. `slope` is the derivative
    by the scaled covariance L L' (q x q), which is wanted without negative eigenvalues at a minimum.
    """

    deviance: Array
    variance: Array
    coefficients: Array
    covariance: Array
    covariance_gradient: Array
    slope: Array
    gradient: Array
    hessian: Array

    @property
    def curvature(self) -> Array:
        """Second derivatives by L alone, the residual variance following."""
        cross = self.hessian[..., :-1, -1]
        own = self.hessian[..., -1:, -1:]
        return self.hessian[..., :-1, :-1] - cross[..., :, None] * cross[..., None, :] / own


def lower(sums: Sums, theta: Array) -> Array:
    """Return the lower triangle L (one for each place)."""
    loading = np.zeros((*theta.shape[:-1], sums.q, sums.q))
    loading[..., *sums.places] = theta
    return loading


def profile(sums: Sums, theta: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return deviance, residual variance, coefficients, inverse of X'WX (W over s2) and L M^-1 L'.

    Several places (rows of `theta`) are looked at together.
    """
    loading = lower(sums, theta)[..., None, :, :]
    turned = loading.swapaxes(-1, -2)
    inner = np.eye(sums.q) + turned @ sums.zz @ loading
    inverse_inner = np.linalg.inv(inner)
    seen = turned @ sums.zxy
    solved = inverse_inner @ seen
    # twice the product less the form itself: errors of the inverse count only squared, where residuals are small
    taken = 2 * _sum(seen, solved) - _sum(solved, inner @ solved)
    left = sums.xyxy - (taken + taken.swapaxes(-1, -2)) / 2
    xx, xy = left[..., :-1, :-1], left[..., :-1, -1]
    inverse: Array = np.asarray(np.linalg.inv(xx), dtype=np.float64)
    coefficients = (inverse @ xy[..., None])[..., 0]
    fitted = (xx @ coefficients[..., None])[..., 0]
    variance = (left[..., -1, -1] - np.sum((2 * xy - fitted) * coefficients, axis=-1)) / sums.freedom
    deviance = np.linalg.slogdet(inner).logabsdet.sum(axis=-1) + sums.freedom * (
        1 + np.log(2 * math.pi * variance)
    )
    if sums.is_restricted:
        deviance = deviance + np.linalg.slogdet(xx).logabsdet
    return deviance, variance, coefficients, inverse, loading @ inverse_inner @ turned


def _sum(one: Array, other: Array) -> Array:
    """Return the sum over groups of one' other."""
    rows = one.shape[-3] * one.shape[-2]
    flat = [part.reshape(*part.shape[:-3], rows, part.shape[-1]) for part in (one, other)]
    return flat[0].swapaxes(-1, -2) @ flat[1]


def derivatives(sums: Sums, theta: Array) -> At:
    """Return the deviance with exact first and second derivatives (P = W - W X C X'W as in REML texts)."""
    deviance, variance, coefficients, inverse, middle = profile(sums, theta)
    s2 = variance[..., None, None]
    covariance = s2 * inverse
    reach = np.eye(sums.q) - sums.zz @ middle
    S = reach @ sums.zz / s2[..., None]  # Z'WZ
    T = reach @ sums.zx / s2[..., None]  # Z'WX
    missed = sums.zy - (sums.zx @ coefficients[..., None, :, None])[..., 0]
    u = (reach @ missed[..., None])[..., 0] / s2  # Z'W(y - Xb)
    m = theta.shape[-1]
    units = np.zeros((m, sums.q, sums.q))
    units[np.arange(m), *sums.places] = 1
    loading = lower(sums, theta)[..., None, :, :]
    first = units @ loading.swapaxes(-1, -2) + loading @ units.transpose(0, 2, 1)  # of L L'
    second = np.einsum("kia,lja->klij", units, units)
    second = second + second.transpose(1, 0, 2, 3)

    TC = T @ covariance[..., None, :, :]
    # derivatives of the deviance in L L': tr(P Z . Z') - y'P Z . Z'P y
    slope = S.sum(axis=-3) - u.swapaxes(-1, -2) @ u
    if sums.is_restricted:
        slope = slope - np.einsum("...gqp,...grp->...qr", TC, T)
    each = first[..., None, :, :, :]
    SG = S[..., None, :, :] @ each  # groups x parameters x q x q
    GT = each @ T[..., None, :, :]  # groups x parameters x q x p
    Gu = (each @ u[..., None, :, None])[..., 0]
    quadratic = variance[..., None] * np.einsum("...gq,...gkq->...k", u, Gu)
    K = np.einsum("...gqp,...gkqs->...kps", T, GT)
    CK = covariance[..., None, :, :] @ K
    products = np.einsum("...gkqr,...glrq->...kl", SG, SG)
    if sums.is_restricted:
        products = (
            products
            - 2 * np.einsum("...gkqp,...glqp->...kl", GT, S[..., None, :, :] @ (each @ TC[..., None, :, :]))
            + np.einsum("...kps,...lsp->...kl", CK, CK)
        )
    Tu = np.einsum("...gqp,...gkq->...kp", T, Gu)
    sandwich = np.einsum("...gkq,...glq->...kl", Gu, Gu @ S) - Tu @ covariance @ Tu.swapaxes(-1, -2)
    hessian = np.empty((*theta.shape[:-1], m + 1, m + 1))
    hessian[..., :m, :m] = s2 * np.einsum("...qr,klrq->...kl", slope, second) + s2**2 * (
        2 * sandwich - products
    )
    hessian[..., :m, m] = hessian[..., m, :m] = quadratic / variance[..., None]
    hessian[..., m, m] = sums.freedom / variance**2
    return At(
        deviance=deviance,
        variance=variance,
        coefficients=coefficients,
        covariance=covariance,
        covariance_gradient=np.concatenate(
            [
                s2[..., None] * covariance[..., None, :, :] @ K @ covariance[..., None, :, :],
                (covariance / s2)[..., None, :, :],
            ],
            axis=-3,
        ),
        slope=s2 * slope,
        gradient=variance[..., None] * np.einsum("...qr,...krq->...k", slope, first),
        hessian=(hessian + hessian.swapaxes(-1, -2)) / 2,
    )


def kenward_roger_of(sums: Sums, theta: Array) -> Precision:
    """Return what Kenward and Roger's adjustment needs, in the units of `sums`.

    Parameters are the free entries of the random covariance, then the residual variance: V is linear in
    them, so that its second derivatives are zero. Only products of the small matrices of a group occur,
    with M = L (I + L'Z'Z L)^-1 L' and W Z = Z K, K = (I - M Z'Z) / s2.
    """
    _, s2, _, inverse, M = profile(sums, theta)
    K = (np.eye(sums.q) - M @ sums.zz) / s2
    Kt = K.transpose(0, 2, 1)
    S = sums.zz @ K  # Z'WZ
    T = Kt @ sums.zx  # Z'WX
    rows, columns = sums.places
    E = np.zeros((rows.size, sums.q, sums.q))
    E[np.arange(rows.size), rows, columns] = E[np.arange(rows.size), columns, rows] = 1
    ET = E @ T[:, None]  # groups x parameters x q x p
    XM = sums.zx.transpose(0, 2, 1) @ M
    XW2X = (np.linalg.inv(inverse) / s2 - (XM @ T).sum(axis=0)) / s2
    XW3X = (XW2X - (XM @ Kt @ T).sum(axis=0)) / s2
    m, p = rows.size, sums.p
    first = np.empty((m + 1, p, p))  # X'W V_k W X
    first[:m], first[m] = np.einsum("gqp,gkqs->kps", T, ET), XW2X
    second = np.empty((m + 1, m + 1, p, p))  # X'W V_k W V_l W X
    second[:m, :m] = np.einsum("gkqp,glqs->klps", ET, S[:, None] @ ET)
    second[:m, m] = np.einsum("gkqp,gqs->kps", ET, Kt @ T)
    second[m, :m] = second[:m, m].transpose(0, 2, 1)
    second[m, m] = XW3X
    traces = np.empty((m + 1, m + 1))
    ES = E @ S[:, None]
    traces[:m, :m] = np.einsum("gkqr,glrq->kl", ES, ES)
    traces[:m, m] = traces[m, :m] = np.einsum("kqr,grq->k", E, Kt @ sums.zz @ K)
    MZ = M @ sums.zz
    traces[m, m] = (sums.n - 2 * np.einsum("gqq->", MZ) + np.einsum("gqr,grq->", MZ, MZ)) / s2**2
    return kenward_roger(s2 * inverse, first, second, traces)
