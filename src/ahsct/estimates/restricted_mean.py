"""Mean event-free time up to a horizon, and how two arms differ in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError
from ahsct.estimates._comparisons import against_reference, one_sided_error, two_sided
from ahsct.estimates._curve import ROUNDING, Curve, curves, n_after
from ahsct.estimates.milestones import exact_limits, require_years
from ahsct.estimates.rows import results_frame

_RECOVERED = "limits recovered by arm"


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
        its normal interval; missing where follow-up ends before the horizon. Where the curve does not vary no error
        can be estimated and the note says so. If that is for want of events before the horizon, the limits are the
        horizon and the horizon times the exact lower limit of survival there (`milestone`), as the mean is at least
        that product; with delayed entry, or where all had their event at once, there are none.

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

    None of three had an event in 3 years: at least 3 times 0.025^(1/3), the limit of Clopper and Pearson:

    >>> nobody = frame.with_columns(time_day=1461.0, is_event=False)
    >>> row = restricted_mean(kaplan_meier(nobody), horizon_years=3)
    >>> row.select("estimate", "std_error", pl.col("lower").round(4), "upper").row(0)
    (3.0, None, 0.8772, 3.0)
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
        arm's follow-up ends before the horizon. Where an arm has no event before it, the normal error is that of the
        other arm alone: the note says so, and two more rows take the arms' own limits (of `restricted_mean`) together
        as $\hat\Delta - \sqrt{(\hat\mu_1 - l_1)^2 + (u_0 - \hat\mu_0)^2}$ and
        $\hat\Delta + \sqrt{(u_1 - \hat\mu_1)^2 + (\hat\mu_0 - l_0)^2}$, for the ratio on logarithms.

    Raises
    ------
    RequestError
        The horizon is not above 0, an arm is unknown, or a curve is not of Kaplan and Meier.

    References
    ----------
    Uno et al. (2014), doi:10.1200/JCO.2014.55.2208. R: survRM2 1.0.4 rmst2(time, status, arm, tau). Zou and Donner
    (2008), doi:10.1002/sim.3095 (limits of a difference from those of its parts).

    Examples
    --------
    Means up to year 3 of 2 years with the error sqrt(2 / 9) and of 3 years (nobody of two had an event there, so that
    its lower limit is 3 sqrt(0.025)): 1 - 1.96 sqrt(2 / 9), and 1 - sqrt((3 - 3 sqrt(0.025))^2 + 1.96^2 (2 / 9)):

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [365.25, 730.5, 1461.0, 1461.0, 1461.0], "arm": list("XXXYY"),
    ...                       "is_event": [True, True, False, False, False]})
    >>> rows = restricted_mean_difference(kaplan_meier(frame), horizon_years=3, reference_arm="X")
    >>> rows.select("statistic", pl.col("estimate", "lower").round(4)).rows()
    [('restricted_mean_difference', 1.0, 0.0761), ('restricted_mean_ratio', 1.5, 0.9451),
     ('restricted_mean_difference', 1.0, -1.6894), ('restricted_mean_ratio', 1.5, 0.224)]
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
    ahead = np.cumsum(areas[::-1])[::-1] / horizon  # as a share, so that no unit of time overflows
    n, d = one.n_at_risk[:rows] * 1.0, one.n_events[:rows]
    rest = np.where(n > d, n - d, np.inf)
    columns["estimate"] = estimate = float(areas.sum())
    std_error = horizon * math.sqrt(float((ahead**2 * d / np.maximum(n, 1) / rest).sum()))
    if std_error == 0:
        return one.row(**columns | _without_error(one, horizon, rows))
    half = float(ndtri(1 - (1 - one.conf_level) / 2)) * std_error
    limits = {"lower": max(estimate - half, 0.0), "upper": min(estimate + half, horizon)}
    return one.row(**columns, std_error=std_error, **limits)


def _without_error(one: Curve, horizon: float, rows: int) -> dict[str, Any]:
    """Return the columns of a mean whose curve does not vary: it stays at 1, or falls to 0 at once."""
    if one.n_events[:rows][one.time[:rows] < horizon * (1 - ROUNDING)].any():
        return {"note": "all had the event at once: no error can be estimated"}
    note = "no event before the horizon: no error can be estimated"
    exact = exact_limits(one, horizon, rows)
    if exact.get("lower") is None:
        return {"note": f"{note}; {exact['note']}"}
    return {
        "lower": horizon * exact["lower"],
        "upper": horizon,
        "method": f"area under {one.estimator}, {exact['method']} at the horizon",
        "note": f"{note}; the lower limit is the horizon times that of survival there",
    }


def _difference(one: Curve, reference: Curve, horizon: float) -> list[dict[str, Any]]:
    pair = (_restricted_mean(one, horizon), _restricted_mean(reference, horizon))
    own, other = pair
    columns: dict[str, Any] = {
        "reference_arm": reference.labels["arm"],
        "time_years": horizon,
        **{name: own[name] + other[name] for name in ("n", "n_events", "n_censored", "n_at_risk")},
    }

    def rows(how: str, difference: dict[str, Any], ratio: dict[str, Any]) -> list[dict[str, Any]]:
        method = f"area under {one.estimator}, {how}"
        both = {"unit": "ratio", "statistic": "restricted_mean_ratio", "method": f"{method}, log"}
        first = {"unit": "years", "statistic": "restricted_mean_difference", "method": method}
        return [one.row(**columns | first | difference), one.row(**columns | both | ratio)]

    if own.get("estimate") is None or other.get("estimate") is None:
        ended = "; ".join(f"{row['arm']}: {row['note']}" for row in pair if row.get("estimate") is None)
        return rows("normal", {"note": ended}, {"note": ended})
    means = [row["estimate"] for row in pair]
    errors = [row.get("std_error") or 0.0 for row in pair]
    difference = means[0] - means[1]
    # a mean is never 0: at time 0 everybody is free of events, unless all had theirs then
    has_ratio = min(means) > 0
    is_recovered = has_ratio and not all(errors) and all(row.get("lower") is not None for row in pair)
    see = f"read the rows {_RECOVERED!r}" if is_recovered else "milestone_difference has exact intervals"
    note = one_sided_error({row["arm"]: error for row, error in zip(pair, errors, strict=True)}, see)
    if not any(errors):
        note = "; ".join(f"{row['arm']}: {row['note'].split('; ')[0]}" for row in pair)
    z = float(ndtri(1 - (1 - one.conf_level) / 2))
    ratio: dict[str, Any] = {"note": "an arm's mean is 0"}
    if has_ratio:
        relative = math.hypot(*(error / mean for error, mean in zip(errors, means, strict=True)))
        ratio = _normal(math.log(means[0] / means[1]), relative, z, math.exp) | {"note": note}
    found = rows("normal", _normal(difference, math.hypot(*errors), z, float) | {"note": note}, ratio)
    if is_recovered:
        logs = [math.log(mean) for mean in means]
        distances = [_distances(row, z) for row in pair]
        log_distances = [_log_distances(row, z) for row in pair]
        found += rows(
            _RECOVERED,
            {"estimate": difference, **_recovered(difference, distances, float)},
            {"estimate": means[0] / means[1], **_recovered(logs[0] - logs[1], log_distances, math.exp)},
        )
    return found


def _normal(estimate: float, error: float, z: float, back: Callable[[float], float]) -> dict[str, Any]:
    """Return the columns of a normal interval, turned back from the scale of the error; without one no limits."""
    if error == 0:
        return {"estimate": back(estimate)}
    limits = {"lower": back(estimate - z * error), "upper": back(estimate + z * error)}
    return {"estimate": back(estimate), "std_error": error, **limits, "p_value": two_sided(estimate, error)}


def _distances(row: Mapping[str, Any], z: float) -> tuple[float, float]:
    """Return how far an arm's mean lies from its lower and its upper limit."""
    if row.get("std_error"):
        return z * row["std_error"], z * row["std_error"]
    return row["estimate"] - row["lower"], row["upper"] - row["estimate"]


def _log_distances(row: Mapping[str, Any], z: float) -> tuple[float, float]:
    """Return the distances of `_distances` on the scale of logarithms."""
    if row.get("std_error"):
        return z * row["std_error"] / row["estimate"], z * row["std_error"] / row["estimate"]
    return math.log(row["estimate"] / row["lower"]), math.log(row["upper"] / row["estimate"])


def _recovered(
    difference: float, distances: Sequence[tuple[float, float]], back: Callable[[float], float]
) -> dict[str, float]:
    """Return the limits of a difference from those of the two arms (Zou and Donner)."""
    (low, high), (low_reference, high_reference) = distances
    lower, upper = math.hypot(low, high_reference), math.hypot(high, low_reference)
    return {"lower": back(difference - lower), "upper": back(difference + upper)}


def _require_horizon(horizon_years: float) -> None:
    require_years("horizon_years", horizon_years)
    if horizon_years == 0:
        raise RequestError("horizon_years must be > 0; found 0.")
