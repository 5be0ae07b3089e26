r"""The normal-normal model of a meta-analysis: fixed and random effects, with or without moderators.

$$y_i = x_i^\top\beta + u_i + e_i,\quad u_i \sim N(0, \tau^2),\quad e_i \sim N(0, v_i)$$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit
from scipy.stats import chi2, norm

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.evidence._design import Floats, design, effects, floats, require_studies

TAU2 = ("fixed", "DL", "PM", "REML", "ML")
TESTS = ("z", "hartung-knapp", "hartung-knapp-safe")
PREDICTION = ("k-1", "k-2", "normal")
_MAX_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted model.

    Attributes
    ----------
    coefficients, std_errors, lower, upper, p_values
        One per column of `x`; limits at `conf_level`.
    covariance
        Of the coefficients, as the standard errors use it.
    df
        Degrees of freedom of the t distribution; None where the normal one was used.
    tau2
        Variance between the studies.
    q, q_df, q_p
        Test of heterogeneity with fixed weights.
    i2, h2
        I² as a share of 1, and H².
    """

    y: Floats
    v: Floats
    x: Floats
    tau2_method: str
    test: str
    conf_level: float
    coefficients: Floats
    covariance: Floats
    std_errors: Floats
    lower: Floats
    upper: Floats
    p_values: Floats
    df: int | None
    tau2: float
    q: float
    q_df: int
    q_p: float
    i2: float
    h2: float

    @property
    def k(self) -> int:
        """Number of studies."""
        return self.y.size

    @property
    def mean(self) -> float:
        """The first coefficient: the pooled mean where there is no moderator."""
        return float(self.coefficients[0])

    @property
    def weights(self) -> Floats:
        """Weights of the studies, which sum to 1."""
        w = 1 / (self.v + self.tau2)
        return floats(w / w.sum())


def fit_random_effects(
    y: Any,
    v: Any,
    *,
    x: Any | None = None,
    tau2: str = "REML",
    test: str = "hartung-knapp-safe",
    conf_level: float = 0.95,
) -> Fit:
    r"""Fit the normal-normal model.

    Parameters
    ----------
    y, v
        One estimate per study on a scale where it is about normal, and its sampling variance.
    x
        Moderators, with the column of ones where one is meant; None: the mean alone.
    tau2
        "fixed" (no variance between studies), "DL" (DerSimonian-Laird), "PM" (Paule-Mandel), "REML" or "ML".
    test
        "z": normal limits. "hartung-knapp": t with k - p degrees of freedom and a variance scaled by the weighted
        residuals. "hartung-knapp-safe": the same, the scale never below 1, so that the interval is not narrower than
        it would be without (the ad-hoc safeguard). With one study, or fixed effects, "z" is used and named.

    Raises
    ------
    TableError
        A variance is not above 0, or lengths differ.
    RequestError
        A method or test is unknown.

    References
    ----------
    DerSimonian and Laird (1986), doi:10.1016/0197-2456(86)90046-2. Paule and Mandel (1982), doi:10.6028/jres.087.022.
    Hartung and Knapp (2001), doi:10.1002/sim.791. Jackson, Law, Rücker and Schwarzer (2017), doi:10.1002/sim.7411.
    R: metafor 3.8.1, rma(yi, vi, method = , test = "knha" or "adhoc", control = list(threshold = 1e-12)).

    Examples
    --------
    Two studies of equal weight: their mean, and DL from Q = 4 with one degree of freedom, (4 - 1) / 1:

    >>> fit = fit_random_effects([0.0, 2.8284271247461903], [1.0, 1.0], tau2="DL", test="z")
    >>> round(fit.mean, 6), round(fit.q, 6), round(fit.tau2, 6)
    (1.414214, 4.0, 3.0)
    """
    y, v = effects(y, v)
    x = design(x, y.size)
    if tau2 not in TAU2:
        raise RequestError(f"No method {tau2!r}; known are {', '.join(TAU2)}.{did_you_mean(tau2, TAU2)}")
    if test not in TESTS:
        raise RequestError(f"No test {test!r}; known are {', '.join(TESTS)}.{did_you_mean(test, TESTS)}")
    k, p = x.shape
    if k <= p:
        if k > 1 or p > 1:
            require_studies(k, p + 1, "A model with moderators")
        tau2, test = "fixed", "z"
    if tau2 == "fixed":
        test = "z"
    fixed = _projection(v, x, 0.0)
    q, q_df = float(y @ fixed @ y), k - p
    between = 0.0 if tau2 == "fixed" else _tau2(tau2, y, v, x, fixed, q)
    w = 1 / (v + between)
    inverse = floats(np.linalg.inv(x.T @ (w[:, None] * x)))
    beta = inverse @ (x.T @ (w * y))
    scale, df = 1.0, None
    if test != "z":
        residual = y - x @ beta
        scale, df = float(np.sum(w * residual**2) / (k - p)), k - p
        if test == "hartung-knapp-safe":
            scale = max(1.0, scale)
    covariance = inverse * scale
    error = np.sqrt(np.diag(covariance))
    crit = quantile(1 - (1 - require_conf_level(conf_level)) / 2, df)
    typical = (k - p) / np.trace(fixed) if k > p else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = -np.abs(beta / error)
    return Fit(
        y=y, v=v, x=x, tau2_method=tau2, test=test, conf_level=conf_level, coefficients=beta, covariance=covariance,
        std_errors=error, lower=beta - crit * error, upper=beta + crit * error,
        p_values=2 * (stdtr(df, statistic) if df else norm.cdf(statistic)), df=df, tau2=between,
        q=q, q_df=q_df, q_p=float(chi2.sf(q, q_df)) if q_df else 1.0,
        i2=_i2(tau2, between, typical, q, q_df), h2=_h2(tau2, between, typical, q, q_df),
    )  # fmt: skip


def prediction_interval(fit: Fit, *, convention: str = "k-1") -> tuple[float, float]:
    r"""Return where the true value of a new study of the same kind would lie: $\hat\mu \pm c\sqrt{se^2 + \tau^2}$.

    Parameters
    ----------
    convention
        Which quantile c is: "k-1", t with k - 1 degrees of freedom (as metafor for a Hartung-Knapp fit); "k-2"
        (Higgins, Thompson and Spiegelhalter); "normal" (as metafor for a z fit).

    Raises
    ------
    RequestError
        The convention is unknown, the model has moderators, or there are too few studies for it.

    References
    ----------
    Higgins, Thompson and Spiegelhalter (2009), doi:10.1111/j.1467-985X.2008.00552.x. R: metafor predict.rma.

    Examples
    --------
    >>> fit = fit_random_effects([0.0, 1.0, 2.0], [1.0, 1.0, 1.0], tau2="fixed", test="z")
    >>> [round(limit, 4) for limit in prediction_interval(fit, convention="normal")]
    [-0.1316, 2.1316]
    """
    if convention not in PREDICTION:
        raise RequestError(
            f"No convention {convention!r}; known are {', '.join(PREDICTION)}.{did_you_mean(convention, PREDICTION)}"
        )
    if fit.x.shape[1] > 1:
        raise RequestError("A prediction interval is for a model without moderators.")
    df = {"k-1": fit.k - 1, "k-2": fit.k - 2, "normal": None}[convention]
    if df is not None:
        require_studies(fit.k, 2 if convention == "k-1" else 3, f"A prediction interval by {convention}")
    half = quantile(1 - (1 - fit.conf_level) / 2, df) * float(np.sqrt(fit.covariance[0, 0] + fit.tau2))
    return fit.mean - half, fit.mean + half


def quantile(level: float, df: int | None) -> float:
    """Return a quantile of the t distribution, or of the normal one where `df` is None."""
    return float(stdtrit(df, level)) if df else float(norm.ppf(level))


def _projection(v: Floats, x: Floats, tau2: float) -> Floats:
    w = 1 / (v + tau2)
    wx = w[:, None] * x
    return np.diag(w) - wx @ np.linalg.solve(x.T @ wx, wx.T)


def _tau2(method: str, y: Floats, v: Floats, x: Floats, fixed: Floats, q: float) -> float:
    k, p = x.shape
    if method == "DL":
        return max(0.0, float((q - (k - p)) / np.trace(fixed)))
    unit = exact_unit(v)
    y, v = y / unit, v / unit**2
    if method == "PM":
        return unit**2 * _root(lambda t: float(y @ _projection(v, x, t) @ y) - (k - p), y, v)
    return unit**2 * _likelihood_tau2(method, y, v, x)


def exact_unit(v: Floats) -> float:
    """Return a power of two near the smallest standard error: in it tolerances mean the same whatever y is measured in."""
    return float(2.0 ** np.round(np.log2(v.min()) / 2))


def _root(score: Any, y: Floats, v: Floats) -> float:
    """Return where a falling function of tau² crosses 0; 0 where it is not above 0 there."""
    if score(0.0) <= 0:
        return 0.0
    high = float(np.ptp(y) ** 2 + v.max())
    while score(high) > 0:
        high *= 4
    return float(brentq(score, 0.0, high, xtol=1e-15, rtol=4 * np.finfo(float).eps, maxiter=500))


def _likelihood_tau2(method: str, y: Floats, v: Floats, x: Floats) -> float:
    """Return the tau² of greatest (restricted) likelihood by Fisher scoring from the best of a few starts."""

    def log_likelihood(t: float) -> float:
        w = 1 / (v + t)
        information = x.T @ (w[:, None] * x)
        value = np.log(w).sum() - float(y @ _projection(v, x, t) @ y)
        return float(value - (np.linalg.slogdet(information)[1] if method == "REML" else 0.0)) / 2

    spread = float(np.var(y)) + float(v.min())
    starts = [0.0, *(spread * factor for factor in (0.01, 0.1, 0.5, 1.0, 2.0))]
    t = max(starts, key=log_likelihood)
    for _ in range(_MAX_STEPS):
        w = 1 / (v + t)
        projection = _projection(v, x, t)
        py = projection @ y
        trace, square = (
            (float(np.trace(projection)), float(np.sum(projection * projection)))
            if method == "REML"
            else (float(w.sum()), float(np.sum(w * w)))
        )
        step = (float(py @ py) - trace) / square
        if t == 0 and step <= 0:
            return 0.0
        new = max(0.0, t + step)
        for _ in range(60):
            if log_likelihood(new) >= log_likelihood(t) - 1e-12:
                break
            new = (new + t) / 2
        if abs(new - t) <= 1e-14 * (1 + t):
            return new
        t = new
    if abs(step) > 1e-8 * (1 + t):
        raise TableError(
            f"{method}: the variance between the studies has not settled after {_MAX_STEPS} steps (last step {step:.2g} "
            f"at {t:.6g}, in units of about the smallest sampling variance); take PM or DL."
        )
    return t


def _i2(method: str, tau2: float, typical: float, q: float, df: int) -> float:
    if df == 0:
        return 0.0
    if method == "fixed":
        return max(0.0, (q - df) / q) if q > 0 else 0.0
    return float(tau2 / (tau2 + typical))


def _h2(method: str, tau2: float, typical: float, q: float, df: int) -> float:
    if df == 0:
        return 1.0
    return float(q / df if method == "fixed" else tau2 / typical + 1)
