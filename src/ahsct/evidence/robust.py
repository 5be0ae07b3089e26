"""Several results per study: standard errors that hold whatever the correlation within a study."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from ahsct.errors import RequestError, did_you_mean
from ahsct.evidence._design import Floats, floats, require_studies
from ahsct.evidence.random_effects import Fit

VARIANCES = ("CR2", "CR1")


def robust_fit(fit: Fit, cluster: Any, *, variance: str = "CR2") -> tuple[Fit, Floats]:
    r"""Return the fit with cluster-robust standard errors, limits and p values, and the degrees of freedom.

    Parameters
    ----------
    fit
        From `fit_random_effects`; its weights stay.
    cluster
        The study that each estimate belongs to.
    variance
        "CR2": bias-reduced, with Satterthwaite degrees of freedom, the choice for few studies. "CR1": the sandwich
        times m / (m - p), with m - p degrees of freedom (m studies).

    References
    ----------
    Hedges, Tipton and Johnson (2010), doi:10.1002/jrsm.5. Pustejovsky and Tipton (2018),
    doi:10.1080/07350015.2016.1247004. R: metafor 3.8.1 robust(adjust = TRUE); clubSandwich 0.5.8
    coef_test(vcov = "CR2", test = "Satterthwaite").

    Examples
    --------
    One result per study and equal variances: CR2 is the usual standard error of a mean.

    >>> from ahsct.evidence.random_effects import fit_random_effects
    >>> fit = fit_random_effects([1.0, 2.0, 3.0], [1.0] * 3, tau2="fixed", test="z")
    >>> robust, df = robust_fit(fit, ["a", "b", "c"])
    >>> round(float(robust.std_errors[0]), 6), df.round(6).tolist()
    (0.57735, [2.0])
    """
    if variance not in VARIANCES:
        raise RequestError(
            f"No variance {variance!r}; known are {', '.join(VARIANCES)}.{did_you_mean(variance, VARIANCES)}"
        )
    names = list(cluster)
    if len(names) != fit.k:
        raise RequestError(f"`cluster` needs one name for each of {fit.k} estimates; found {len(names)}.")
    groups = [np.flatnonzero([name == one for name in names]) for one in dict.fromkeys(names)]
    m, p = len(groups), fit.x.shape[1]
    require_studies(m, p + 1, "Robust standard errors")
    w = 1 / (fit.v + fit.tau2)
    bread = floats(np.linalg.inv(fit.x.T @ (w[:, None] * fit.x)))
    residual = fit.y - fit.x @ fit.coefficients
    # rows of `a[j]` give the contribution of study j's residuals to the coefficients
    if variance == "CR1":
        a = [floats(bread @ (fit.x[g].T * w[g])) for g in groups]
    else:
        a = [floats(bread @ (fit.x[g].T * w[g]) @ _adjustment(fit, g, w, bread)) for g in groups]
    shares = floats([a_j @ residual[g] for a_j, g in zip(a, groups, strict=True)])
    covariance = shares.T @ shares
    if variance == "CR1":
        covariance, df = covariance * (m / (m - p)), np.full(p, float(m - p))
    else:
        df = _satterthwaite(fit, groups, a, w, bread)
    error = np.sqrt(np.diag(covariance))
    crit = stdtrit(df, 1 - (1 - fit.conf_level) / 2)
    robust = replace(
        fit, covariance=covariance, std_errors=error, lower=fit.coefficients - crit * error,
        upper=fit.coefficients + crit * error, p_values=2 * stdtr(df, -np.abs(fit.coefficients / error)),
        test=f"robust {variance}", df=None,
    )  # fmt: skip
    return robust, df


def _adjustment(fit: Fit, g: Any, w: Floats, bread: Floats) -> Floats:
    """Return the matrix that makes the sandwich unbiased where the working variances v + tau² hold."""
    root = 1 / np.sqrt(w[g])
    b = np.diag(1 / w[g]) - fit.x[g] @ bread @ fit.x[g].T
    values, vectors = np.linalg.eigh(root[:, None] * b * root)
    kept = np.where(values > 1e-12 * max(1.0, float(values.max())), values, np.inf)
    return floats(root[:, None] * (vectors / np.sqrt(kept) @ vectors.T) * root)


def _satterthwaite(fit: Fit, groups: list[Any], a: list[Floats], w: Floats, bread: Floats) -> Floats:
    """Return the degrees of freedom of each coefficient under the working variances."""
    k, p = fit.x.shape
    rest = np.eye(k) - fit.x @ bread @ (fit.x.T * w)  # residuals = rest @ errors
    df = np.empty(p)
    for c in range(p):
        rows = np.array([a_j[c] @ rest[g] for a_j, g in zip(a, groups, strict=True)])
        products = rows / w @ rows.T
        df[c] = np.trace(products) ** 2 / np.sum(products**2)
    return df
