"""When a curve reaches a given probability: the median and other quantiles of the time to event."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError
from ahsct.estimates._curve import Curve, curves
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.rows import results_frame


def median_time(curve: pl.DataFrame) -> pl.DataFrame:
    """Return the time at which a curve reaches one half: `quantile_time` at 0.5, statistic "median_time".

    For a cumulative incidence it is the time by which half of all patients had the event.

    Parameters
    ----------
    curve
        Schema CURVE, whole.

    Returns
    -------
    pl.DataFrame
        As from `quantile_time`.

    Raises
    ------
    RequestError
        The curve counts recurrent events.
    TableError
        The times of a curve do not rise from 0: rows are missing or doubled.

    References
    ----------
    Brookmeyer and Crowley (1982), doi:10.2307/2530286.

    Examples
    --------
    Three patients, events after 1 and 2 years: the curve falls to 2/3 and 1/3, below one half at 2:

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [365.25, 730.5, 1095.75], "is_event": [True, True, False]})
    >>> median_time(kaplan_meier(frame)).select("estimate", "lower", "upper", "note").row(0)
    (2.0, 1.0, None, 'upper limit not reached')
    """
    return quantile_time(curve, probability=0.5)


def quantile_time(curve: pl.DataFrame, *, probability: float) -> pl.DataFrame:
    """Return the time by which a share of patients had the event, with the interval of Brookmeyer and Crowley.

    The limits are the first times at which the curve's pointwise limits reach the same probability. Where a curve is
    flat at it, the middle of the flat part counts, as in R.

    Parameters
    ----------
    curve
        Schema CURVE, whole.
    probability
        Of having had the event, between 0 and 1: 0.25 asks when survival falls to 0.75.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per curve, statistic "quantile_time" [years], for 0.5 "median_time"; missing with the
        note "not reached" where the curve stays on its side. Never extrapolated.

    Raises
    ------
    RequestError
        The probability does not lie between 0 and 1, or the curve counts recurrent events.
    TableError
        The times of a curve do not rise from 0: rows are missing or doubled.

    References
    ----------
    Brookmeyer and Crowley (1982), doi:10.2307/2530286. R: quantile(survfit(...), probability), survival 3.5.3; where
    a pointwise limit rises again in the tail R's quantile takes a later time, R's print the first one, as here.

    Examples
    --------
    The curve falls to 3/4, 1/2 and 1/4 at 1, 2 and 3 years and stays there up to the last censoring:

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [365.25, 730.5, 1095.75, 1461.0], "is_event": [True, True, True, False]})
    >>> quantile_time(kaplan_meier(frame), probability=0.75)["estimate"].item()  # flat at 1/4 from year 3 to 4
    3.5
    """
    if not 0 < probability < 1:
        raise RequestError(f"probability must lie between 0 and 1; found {probability!r}.")
    return results_frame(_row(one, probability) for one in curves(curve))


def _row(one: Curve, probability: float) -> dict[str, Any]:
    if one.estimator == "mean cumulative function":
        raise RequestError("A mean number of events has no quantile of time; use mean_count.")
    if one.cause is None:
        levels = (1 - one.estimate, 1 - one.lower, 1 - one.upper)
    else:
        levels = (one.estimate, one.upper, one.lower)
    estimate, lower, upper = (_first_time(one.time, level, probability) for level in levels)
    note = "not reached" if estimate is None else "upper limit not reached" if upper is None else None
    which = "" if probability == 0.5 else f"quantile {probability:g}, "
    return one.row(
        statistic="median_time" if probability == 0.5 else "quantile_time",
        unit="years",
        estimate=estimate,
        lower=lower,
        upper=upper,
        n_events=one.n_events.sum(),
        n_censored=one.n_censored.sum(),
        method=f"{one.estimator}, {which}Brookmeyer-Crowley, {one.interval}",
        note=note,
    )


def _first_time(time: Floats, fallen: Floats, target: float) -> float | None:
    """Return when a level, running from 0 towards 1, reaches the target; in the middle where it rests there."""
    tolerance = float(np.sqrt(np.finfo(np.float64).eps))
    known = ~np.isnan(fallen)
    level = np.maximum.accumulate(np.concatenate(([0.0], fallen[known])))
    times = np.concatenate(([0.0], time[known]))
    reached = int(np.searchsorted(level, target - tolerance))
    if reached == level.size:
        return None
    left = int(np.searchsorted(level, target + tolerance, side="right"))
    if left == reached:
        return float(times[reached])
    end = times[left] if left < level.size else time[-1]
    return float((times[reached] + end) / 2)
