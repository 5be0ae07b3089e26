"""The restricted (or full) likelihood of the mixed model from small sums per group, with exact derivatives."""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    is_correlated: bool  # the random coefficients, among each other
    is_restricted: bool  # likelihood

    @property
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
    return Sums(
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
        is_correlated=is_correlated,
        is_restricted=is_restricted,
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
class At:
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


def lower(sums: Sums, theta: Array) -> Array:
    """Return the lower triangle L."""
    loading = np.zeros((sums.q, sums.q))
    loading[sums.places] = theta
    return loading


def profile(sums: Sums, theta: Array) -> tuple[float, float, Array, Array, Array]:
    """Return deviance, residual variance, coefficients, inverse of X'WX (W over s2) and L M^-1 L'."""
    loading = lower(sums, theta)
    inner = np.eye(sums.q) + loading.T @ sums.zz @ loading
    middle = loading @ np.linalg.inv(inner) @ loading.T
    weighted = np.matmul(middle, sums.zx)
    xx = np.eye(sums.p) - np.einsum("gqp,gqs->ps", sums.zx, weighted)
    xy = -np.einsum("gqp,gq->p", weighted, sums.zy)
    yy = sums.yy - float(np.einsum("gq,gqr,gr->", sums.zy, middle, sums.zy))
    inverse = np.linalg.inv(xx)
    coefficients = inverse @ xy
    variance = (yy - float(xy @ coefficients)) / sums.freedom
    deviance = float(np.linalg.slogdet(inner).logabsdet.sum()) + sums.freedom * (
        1 + math.log(2 * math.pi * variance)
    )
    if sums.is_restricted:
        deviance += float(np.linalg.slogdet(xx).logabsdet)
    return deviance, variance, coefficients, inverse, middle


def derivatives(sums: Sums, theta: Array) -> At:
    """Return the deviance with exact first and second derivatives (P = W - W X C X'W as in REML texts)."""
    deviance, variance, coefficients, inverse, middle = profile(sums, theta)
    covariance = variance * inverse
    reach = np.eye(sums.q) - np.matmul(sums.zz, middle)
    S = np.matmul(reach, sums.zz) / variance  # Z'WZ
    T = np.matmul(reach, sums.zx) / variance  # Z'WX
    u = np.einsum("gqr,gr->gq", reach, sums.zy - sums.zx @ coefficients) / variance  # Z'W(y - Xb)
    units = np.zeros((theta.size, sums.q, sums.q))
    units[np.arange(theta.size), *sums.places] = 1
    loading = lower(sums, theta)
    first = units @ loading.T + loading @ units.transpose(0, 2, 1)  # of L L'
    second = np.einsum("kia,lja->klij", units, units)
    second = second + second.transpose(1, 0, 2, 3)

    TC = T @ covariance
    # derivatives of the deviance in L L': tr(P Z . Z') - y'P Z . Z'P y
    slope = S.sum(axis=0) - np.einsum("gq,gr->qr", u, u)
    if sums.is_restricted:
        slope = slope - np.einsum("gqp,grp->qr", TC, T)
    quadratic = variance * np.einsum("gq,kqr,gr->k", u, first, u)
    SG = S[:, None] @ first  # groups x parameters x q x q
    GT = first @ T[:, None]  # groups x parameters x q x p
    Gu = np.einsum("kqr,gr->gkq", first, u)
    K = np.einsum("gqp,gkqs->kps", T, GT)
    CK = covariance @ K
    products = np.einsum("gkqr,glrq->kl", SG, SG)
    if sums.is_restricted:
        products = (
            products
            - 2 * np.einsum("gkqp,glqp->kl", GT, S[:, None] @ (GT @ covariance))
            + np.einsum("kps,lsp->kl", CK, CK)
        )
    products = variance**2 * products
    Tu = np.einsum("gqp,gkq->kp", T, Gu)
    sandwich = variance**2 * (
        np.einsum("gkq,glq->kl", Gu, (S[:, None] @ Gu[..., None])[..., 0]) - Tu @ covariance @ Tu.T
    )
    m = theta.size
    hessian = np.empty((m + 1, m + 1))
    hessian[:m, :m] = variance * np.einsum("qr,klrq->kl", slope, second) - products + 2 * sandwich
    hessian[:m, m] = hessian[m, :m] = quadratic / variance
    hessian[m, m] = sums.freedom / variance**2
    return At(
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


def minimise_deviance(sums: Sums) -> Array:
    """Return the lower triangle at the smallest deviance, which may have several minima, some on the boundary.

    Damped Newton steps from the lowest valleys of a grid.
    """
    ends = [_descend(sums, start) for start in _valleys(sums)]
    return min(ends, key=lambda theta: profile(sums, theta)[0])


def _valleys(sums: Sums) -> list[Array]:
    """Return a few low places of a grid of standard deviations and correlations."""
    rows, columns = sums.places
    m = int((rows == columns).sum())
    if m != 2:  # one, or a grid that would grow too large: all standard deviations alike
        alike = [size * (rows == columns) for size in np.geomspace(1e-3, 1e3, 13)]
        return [min(alike, key=lambda start: profile(sums, start)[0])]
    sizes = np.geomspace(1e-3, 1e3, 7)
    axes = [sizes] * m + [np.array([-0.9, 0.0, 0.9])] * (rows.size - m)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    starts = np.empty(grid.shape)
    starts[..., rows == columns] = grid[..., :m]
    if rows.size > m:  # L of correlation r: r and sqrt(1 - r^2) times the second standard deviation
        r = grid[..., 2]
        starts[..., 1], starts[..., 2] = r * grid[..., 1], np.sqrt(1 - r**2) * grid[..., 1]
    heights = np.apply_along_axis(lambda start: profile(sums, start)[0], -1, starts)
    # the lowest for each size of each standard deviation: valleys narrower than the grid lie between them
    lowest = set()
    for axis in range(m):
        flat = np.moveaxis(np.arange(heights.size).reshape(heights.shape), axis, 0).reshape(len(sizes), -1)
        lowest |= {int(places[heights.ravel()[places].argmin()]) for places in flat}
    order = sorted(lowest, key=lambda place: float(heights.ravel()[place]))[:_MOST_STARTS]
    return list(starts.reshape(heights.size, -1)[order])


def _descend(sums: Sums, theta: Array) -> Array:
    """Return where damped Newton steps from `theta` end."""
    for _ in range(_MOST_STEPS):
        at = derivatives(sums, theta)
        cross = at.hessian[:-1, -1]
        curvature = at.hessian[:-1, :-1] - np.outer(cross, cross) / at.hessian[-1, -1]
        values, vectors = np.linalg.eigh(curvature)
        # where the deviance is curved downwards, the same step leads down; flat directions are left alone
        sizes = np.abs(values)
        keep = sizes > 1e-8 * sizes.max()
        step = -vectors[:, keep] @ ((vectors[:, keep].T @ at.gradient) / sizes[keep])
        # never exactly to zero, where the deviance may have a saddle
        longest, allowed = float(np.abs(step).max()), 0.7 * max(1.0, float(np.abs(theta).max()))
        step = step * min(1.0, allowed / longest) if longest > 0 else step
        # a step must lower the deviance in proportion to its slope: theta and its mirror image have the same
        slope = float(at.gradient @ step)
        # so near that the deviance itself is rounding: Newton's step is better than any comparison of deviances
        is_near = bool((values[keep] > 0).all()) and -slope < 1e-7
        while (
            not is_near and step.any() and profile(sums, theta + step)[0] > at.deviance + 1e-4 * slope + 1e-9
        ):
            step, slope = step / 2, slope / 2
            if np.abs(step).max() < 1e-14:
                break
        theta = theta + step
        if np.abs(step).max() <= (1e-9 if is_near else 1e-13) * max(1.0, float(np.abs(theta).max())):
            lower_still = _off_the_saddle(sums, theta)
            if lower_still is None:
                return np.where(np.abs(theta) < 1e-7, 0.0, theta)
            theta = lower_still
    if not np.abs(at.gradient).max() <= 1e-4:
        raise TableError(
            f"linear_mixed_model: the likelihood has not reached its maximum after {_MOST_STEPS} steps."
        )
    return np.where(np.abs(theta) < 1e-7, 0.0, theta)


def _off_the_saddle(sums: Sums, theta: Array) -> Array | None:
    """Return a lower place where the deviance is curved downwards at `theta`, else None.

    At a standard deviation of 0 the slope is 0 whatever the data, so that a search can end there although the
    deviance falls on both sides.
    """
    theta = np.where(np.abs(theta) < 1e-7, 0.0, theta)
    at = derivatives(sums, theta)
    cross = at.hessian[:-1, -1]
    values, vectors = np.linalg.eigh(at.hessian[:-1, :-1] - np.outer(cross, cross) / at.hessian[-1, -1])
    if values[0] >= -1e-8 * max(float(np.abs(values).max()), 1e-8):
        return None
    sizes = np.geomspace(1e-4, 1e2, 13)
    around = [theta + sign * size * vectors[:, 0] for size in sizes for sign in (-1.0, 1.0)]
    best = min(around, key=lambda one: profile(sums, one)[0])
    return best if profile(sums, best)[0] < at.deviance - 1e-9 else None


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
