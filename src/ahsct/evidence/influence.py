"""How much each study matters: the pool without it, and what leaving it out does."""

from __future__ import annotations

import numpy as np
import polars as pl

from ahsct.evidence._design import require_studies
from ahsct.evidence.random_effects import Fit, fit_random_effects

INFLUENCE = pl.Schema(
    {
        "study": pl.Int64(),  # place in the arrays given, from 0
        "estimate": pl.Float64(),  # pooled mean without the study, with its limits
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "tau2": pl.Float64(),
        "q": pl.Float64(),
        "rstudent": pl.Float64(),
        "dffits": pl.Float64(),
        "cook_distance": pl.Float64(),
        "covariance_ratio": pl.Float64(),
        "hat": pl.Float64(),
        "weight": pl.Float64(),
    }
)


def leave_one_out(fit: Fit) -> pl.DataFrame:
    """Return the pool without each study in turn, and the usual measures of influence.

    Returns
    -------
    pl.DataFrame
        One row per study, schema `INFLUENCE`: the mean without it and its limits, tau² and Q without it, its externally
        standardised residual, how far the mean moves in standard errors (DFFITS), Cook's distance, the ratio of the
        variances of the mean, the hat value, and the weight as a share of 1.

    References
    ----------
    Viechtbauer and Cheung (2010), doi:10.1002/jrsm.11. R: metafor 3.8.1, leave1out and influence.

    Examples
    --------
    >>> fit = fit_random_effects([0.0, 0.0, 3.0], [1.0, 1.0, 1.0], tau2="fixed", test="z")
    >>> leave_one_out(fit)["estimate"].to_list()
    [1.5, 1.5, 0.0]
    """
    require_studies(fit.k, 3, "Leaving studies out")
    everyone = np.arange(fit.k)
    w = 1 / (fit.v + fit.tau2)
    hat = np.diag(fit.x @ np.linalg.inv(fit.x.T @ (w[:, None] * fit.x)) @ fit.x.T) * w
    rows = []
    for i in range(fit.k):
        keep = everyone != i
        rest = fit_random_effects(
            fit.y[keep], fit.v[keep], x=fit.x[keep], tau2=fit.tau2_method, test=fit.test, conf_level=fit.conf_level
        )  # fmt: skip
        scale = _scale(rest)
        without = float(fit.x[i] @ rest.coefficients)
        variance = float(fit.x[i] @ rest.covariance @ fit.x[i])
        moved = fit.coefficients - rest.coefficients
        rows.append(
            (
                i, rest.mean, rest.lower[0], rest.upper[0], rest.tau2, rest.q,
                (fit.y[i] - without) / np.sqrt((fit.v[i] + rest.tau2) * scale + variance),
                (float(fit.x[i] @ fit.coefficients) - without) / np.sqrt(scale * hat[i] * (rest.tau2 + fit.v[i])),
                float(moved @ np.linalg.solve(fit.covariance, moved)),
                np.linalg.det(rest.covariance) / np.linalg.det(fit.covariance),
                hat[i], fit.weights[i],
            )
        )  # fmt: skip
    return pl.DataFrame(
        [tuple(float(value) if place else value for place, value in enumerate(row)) for row in rows],
        schema=INFLUENCE,
        orient="row",
    )


def _scale(fit: Fit) -> float:
    if fit.df is None:
        return 1.0
    w = 1 / (fit.v + fit.tau2)
    scale = float(np.sum(w * (fit.y - fit.x @ fit.coefficients) ** 2) / fit.df)
    return max(1.0, scale) if fit.test == "hartung-knapp-safe" else scale
