"""Do the hazard ratios of a Cox model change with time? The score test, per term and of all together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.special import chdtrc

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._cox_likelihood import at_events, weighted_information
from ahsct.estimates._risk_table import Floats, distinct_times
from ahsct.estimates.cox import CoxFit
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.estimates.rows import result, results_frame

TRANSFORMS = ("km", "rank", "identity", "log")


def proportional_hazards_test(fit: CoxFit, *, transform: str = "km") -> pl.DataFrame:
    r"""Test whether $\beta(t) = \beta + \theta g(t)$ has $\theta = 0$, by the score at the fitted $\beta$.

    $$U = \sum_e g(t_e)(x_e - \bar x_e), \quad
      I = \begin{pmatrix} \sum_e V_e & \sum_e g V_e \\ \sum_e g V_e & \sum_e g^2 V_e \end{pmatrix}$$

    with $V_e$ the covariance of the covariates over the risk set: the statistic is $U'(I^{-1})_{\theta\theta} U$. It
    is no correlation of residuals with time, as survival before version 3 and lifelines take.

    Parameters
    ----------
    fit
        From `fit_cox`, with Efron's or Breslow's ties.
    transform
        g: "km" (one less the Kaplan-Meier estimate of all patients just before t), "rank" (of the time among all
        times), "identity" or "log".

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "proportional_hazards_test": a row per term, all levels of a text together, and
        one of all terms, `term` "all"; `estimate` is chi-squared.

    Raises
    ------
    RequestError
        The transform is unknown or impossible (log of 0), ties are exact, or a coefficient has no finite estimate.

    References
    ----------
    Grambsch and Therneau (1994), doi:10.1093/biomet/81.3.515. R: cox.zph(fit, transform), survival 3.5.3.

    Examples
    --------
    As cox.zph gives it for six events in turn, 1.553385:

    >>> from ahsct.estimates import fit_cox
    >>> frame = pl.DataFrame({"patient_id": list("abcdef"), "time_day": [1, 2, 3, 4, 5, 6],
    ...                       "is_event": [True] * 6, "arm": ["X", "Y", "X", "Y", "Y", "X"]})
    >>> rows = proportional_hazards_test(fit_cox(frame), transform="identity")
    >>> rows.select("term", "df", pl.col("estimate").round(4)).rows()
    [('arm', 1.0, 1.5534), ('all', 1.0, 1.5534)]
    """
    regression = fit.regression
    if transform not in TRANSFORMS:
        raise RequestError(
            f"No transform {transform!r}; known are {', '.join(TRANSFORMS)}.{did_you_mean(transform, TRANSFORMS)}"
        )
    if regression.ties == "exact":
        raise RequestError("The proportional-hazards test needs ties='efron' or 'breslow'.")
    if regression.is_diverging.any():
        raise RequestError(
            "The proportional-hazards test needs finite estimates; here the events are separated (see the notes of "
            "`cox`). Leave the covariate out, or fit with penalty='firth'."
        )
    sets = regression.sets
    g = _transform(fit, transform)
    at = at_events(regression.x, sets, regression.coefficients)
    size = len(fit.columns)
    score = g @ (regression.x[sets.row] - at.mean)
    blocks = [weighted_information(regression.x, sets, at, g**power) for power in (0, 1, 2)]
    information = np.block([[blocks[0], blocks[1]], [blocks[1], blocks[2]]])

    rows: list[dict[str, Any]] = []
    for term in (*dict.fromkeys(column.term for column in fit.columns), "all"):
        chosen = [k for k, column in enumerate(fit.columns) if term in (column.term, "all")]
        kept = [*range(size), *(size + k for k in chosen)]
        u = np.concatenate((np.zeros(size), score[chosen]))
        columns: dict[str, Any] = {"df": len(chosen), "n_events": sets.row.size, "term": term}
        matrix = information[np.ix_(kept, kept)]
        if np.linalg.cond(matrix / np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)) + 1e-300)) < 1e12:
            value = max(float(u @ np.linalg.solve(matrix, u)), 0.0)
            columns |= {"estimate": value, "p_value": float(chdtrc(len(chosen), value))}
        else:
            columns["note"] = "too few event times to tell a change of the hazard ratio"
        method = f"score test, {transform} of time, {fit.method}"
        rows.append(
            result(
                **fit.labels,
                statistic="proportional_hazards_test",
                unit="chi-squared",
                n=fit.n,
                method=method,
                **columns,
            )
        )
    return results_frame(rows)


def _transform(fit: CoxFit, transform: str) -> Floats:
    """Return g at each event, less its mean: the test does not change, but loses fewer digits."""
    sets = fit.regression.sets
    time = fit.frame["time_day"].to_numpy().astype(np.float64)
    if transform == "km":
        curve = product_limit(time, fit.frame["is_event"].to_numpy(), fit.frame["_entry"].to_numpy())
        before = np.searchsorted(curve.time, sets.time)
        g = 1 - np.concatenate(([1.0], curve.estimate))[before]
    elif transform == "rank":
        distinct, code = distinct_times(time)
        ordered = np.sort(distinct[code])
        low, high = sets.time * (1 - 1e-9), sets.time * (1 + 1e-9)
        g = (np.searchsorted(ordered, low) + np.searchsorted(ordered, high, "right") + 1) / 2
    elif transform == "log":
        if sets.time.min() <= 0:
            raise RequestError("The log of time needs every event after day 0; use another transform.")
        g = np.log(sets.time)
    else:
        g = sets.time
    return np.asarray(g - g.mean())
