"""Mean event-free time up to a horizon, and how two arms differ in it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError
from ahsct.estimates._comparisons import against_reference, two_sided
from ahsct.estimates._curve import Curve, curves, n_after
from ahsct.estimates.milestones import require_years
from ahsct.estimates.rows import results_frame


def restricted_mean(curve: pl.DataFrame, *, horizon_years: float) -> pl.DataFrame:
    r"""Return the mean event-free time up to a horizon: the area under the curve.

    The variance is $\sum_{t_i \le \tau} (\int_{t_i}^{\tau} \hat S)^2 d_i / (n_i (n_i - d_i))$ (Greenwood).

    Parameters
    ----------
    curve
        Schema CURVE, from `kaplan_meier`.
    horizon_years
        Horizon [years], > 0; chosen before looking at the data.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per curve, statistic "restricted_mean" [years], `time_years` the horizon, with
        its normal interval; missing where follow-up ends before the horizon.

    Raises
    ------
    RequestError
        The horizon is not above 0, or the curve is a cumulative incidence.

    References
    ----------
    R: print(survfit(...), rmean = horizon), survival 3.5.3; survRM2 1.0.4.

    Examples
    --------
    Three patients, events at 1 and 2 years; by hand 1 + 2/3 + 1/3:

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [365.25, 730.5, 1461.0], "is_event": [True, True, False]})
    >>> round(restricted_mean(kaplan_meier(frame), horizon_years=3)["estimate"].item(), 12)
    2.0
    """
    _require_horizon(horizon_years)
    return results_frame(_restricted_mean(one, horizon_years) for one in curves(curve))


def restricted_mean_difference(
    curve: pl.DataFrame, *, horizon_years: float, reference_arm: str
) -> pl.DataFrame:
    r"""Return how each arm's restricted mean differs from the reference arm's: difference and ratio.

    The error of the difference is $\sqrt{se_1^2 + se_0^2}$; that of the log ratio
    $\sqrt{(se_1 / \mu_1)^2 + (se_0 / \mu_0)^2}$.

    Parameters
    ----------
    curve
        Schema CURVE, from `kaplan_meier`, of two or more arms.
    horizon_years
        Horizon [years], > 0, at most the shorter follow-up of the arms; chosen before looking at the data.
    reference_arm
        The arm to subtract and to divide by.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, for each other arm "restricted_mean_difference" [years] and "restricted_mean_ratio" (whose
        `std_error` is that of the logarithm) with normal intervals and p-values; missing, with a note, where an
        arm's follow-up ends before the horizon.

    Raises
    ------
    RequestError
        The horizon is not above 0, an arm is unknown, or a curve is not of Kaplan and Meier.

    References
    ----------
    Uno et al. (2014), doi:10.1200/JCO.2014.55.2208. R: survRM2 1.0.4 rmst2(time, status, arm, tau).

    Examples
    --------
    Means up to year 3 of 2 and of 3 years (nobody had an event there):

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [365.25, 730.5, 1461.0, 1461.0, 1461.0], "arm": list("XXXYY"),
    ...                       "is_event": [True, True, False, False, False]})
    >>> rows = restricted_mean_difference(kaplan_meier(frame), horizon_years=3, reference_arm="X")
    >>> rows.select("statistic", pl.col("estimate").round(12)).rows()
    [('restricted_mean_difference', 1.0), ('restricted_mean_ratio', 1.5)]
    """
    _require_horizon(horizon_years)
    rows = []
    for one, reference in against_reference(curves(curve), reference_arm):
        rows += _difference(one, reference, horizon_years)
    return results_frame(rows)


def _restricted_mean(one: Curve, horizon: float) -> dict[str, Any]:
    if one.estimator not in ("Kaplan-Meier", "reverse Kaplan-Meier"):
        what = f"the cumulative incidence of {one.cause!r}" if one.cause else f"a {one.estimator!r}"
        raise RequestError(f"restricted_mean needs a Kaplan-Meier curve; this one is {what}.")
    rows = one.upto(horizon)
    columns: dict[str, Any] = {
        "statistic": "restricted_mean",
        "unit": "years",
        "time_years": horizon,
        "n_events": one.n_events[:rows].sum(),
        "n_censored": one.n_censored[:rows].sum(),
        "n_at_risk": n_after(one, rows),
        "method": f"area under {one.estimator}, normal",
    }
    if one.is_beyond(horizon):
        note = f"follow-up ends at {one.time[-1]:.4g} years, before the horizon"
        return one.row(**columns, note=note)
    widths = np.diff(np.append(one.time[:rows], max(horizon, one.time[rows - 1])))
    areas = one.estimate[:rows] * widths
    ahead = np.cumsum(areas[::-1])[::-1]
    n, d = one.n_at_risk[:rows] * 1.0, one.n_events[:rows]
    rest = np.where(n > d, n - d, np.inf)
    estimate = float(areas.sum())
    std_error = math.sqrt(float((ahead**2 * d / np.maximum(n, 1) / rest).sum()))
    half = float(ndtri(1 - (1 - one.conf_level) / 2)) * std_error
    return one.row(
        **columns,
        estimate=estimate,
        std_error=std_error,
        lower=max(estimate - half, 0.0),
        upper=min(estimate + half, horizon),
    )


def _difference(one: Curve, reference: Curve, horizon: float) -> list[dict[str, Any]]:
    own, other = _restricted_mean(one, horizon), _restricted_mean(reference, horizon)
    columns: dict[str, Any] = {
        "reference_arm": reference.labels["arm"],
        "time_years": horizon,
        **{name: own[name] + other[name] for name in ("n", "n_events", "n_censored", "n_at_risk")},
    }
    method = f"area under {one.estimator}, normal"
    if own.get("note") or other.get("note"):
        note = "; ".join(f"{row['arm']}: {row['note']}" for row in (own, other) if row.get("note"))
        return [
            one.row(**columns, statistic=f"restricted_mean_{what}", unit=unit, method=method, note=note)
            for what, unit in (("difference", "years"), ("ratio", "ratio"))
        ]
    z = float(ndtri(1 - (1 - one.conf_level) / 2))
    difference = own["estimate"] - other["estimate"]
    error = math.hypot(own["std_error"], other["std_error"])
    # a mean is never 0: at time 0 everybody is free of events, unless all had theirs then
    log_ratio, log_error = None, 0.0
    if own["estimate"] > 0 and other["estimate"] > 0:
        log_ratio = math.log(own["estimate"] / other["estimate"])
        log_error = math.hypot(own["std_error"] / own["estimate"], other["std_error"] / other["estimate"])
    rows = [
        one.row(
            **columns,
            statistic="restricted_mean_difference",
            unit="years",
            method=method,
            estimate=difference,
            std_error=error,
            lower=difference - z * error,
            upper=difference + z * error,
            p_value=two_sided(difference, error),
            note=None
            if error > 0
            else "no event before the horizon in either arm: no error can be estimated",
        )
    ]
    ratio: dict[str, Any] = {"note": "an arm's mean is 0"}
    if log_ratio is not None:
        limits = {"lower": math.exp(log_ratio - z * log_error), "upper": math.exp(log_ratio + z * log_error)}
        ratio = {"estimate": math.exp(log_ratio), "std_error": log_error, **limits, "note": rows[0]["note"]}
        ratio["p_value"] = two_sided(log_ratio, log_error)
    rows.append(
        one.row(**columns, statistic="restricted_mean_ratio", unit="ratio", method=f"{method}, log", **ratio)
    )
    return rows


def _require_horizon(horizon_years: float) -> None:
    require_years("horizon_years", horizon_years)
    if horizon_years == 0:
        raise RequestError("horizon_years must be > 0; found 0.")
