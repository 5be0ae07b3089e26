"""What a curve says at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError
from ahsct.estimates._curve import ROUNDING, Curve, curves, n_after
from ahsct.estimates.beta_product import beta_product
from ahsct.estimates.proportions import clopper_pearson
from ahsct.estimates.rows import results_frame

# below these the exact interval is the one to read first (DESIGN, Estimates)
FEW_EVENTS = 10
FEW_AT_RISK = 10

_STATISTIC = {
    "Kaplan-Meier": "survival_probability",
    "reverse Kaplan-Meier": "follow_up_probability",
    "Aalen-Johansen": "cumulative_incidence",
    "Turnbull": "survival_probability",
    "Cox prediction": "survival_probability",
    "weighted Kaplan-Meier": "survival_probability",
}
_COUNTS_SAY_LITTLE = (
    "Turnbull",
    "weighted Kaplan-Meier",
    "Cox prediction",
)  # no exact interval follows from numbers at risk


def milestone(curve: pl.DataFrame, *, at_years: float) -> pl.DataFrame:
    """Return the estimate at a time, with the curve's interval and with the exact one.

    Parameters
    ----------
    curve
        Schema CURVE, whole (every row and every cause) as `kaplan_meier` or `aalen_johansen` made it.
    at_years
        Years from time zero, >= 0; events at that very time count. Days are turned into years by / 365.25.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS. For each Kaplan-Meier curve two rows of statistic "survival_probability": with the
        curve's interval, and with the exact one (beta product confidence procedure, which without censoring
        before the milestone is that of Clopper and Pearson and so named). For each cause of an Aalen-Johansen
        curve (`term`) a row of statistic "cumulative_incidence", and the interval of Clopper and Pearson where
        nobody was censored before; where somebody was and the cause has no event yet, an upper limit that counts
        competing events as censored and so errs upwards. The exact row comes first, and its note says why, where the estimate is 0 or
        1, or where there are fewer than 10 events or fewer than 10 patients at risk. At 0 and 1 the other row has
        neither error nor limits, whatever the curve's interval.

        `n_events` and `n_censored` count up to and including the milestone, `n_at_risk` those still at risk
        after it; without delayed entry and competing events the three add up to `n`. After the last follow-up
        the estimate is missing and the note says so. With delayed entry there is no exact interval.

    Raises
    ------
    RequestError
        The time is negative or not finite, or the curve counts recurrent events.
    TableError
        The times of a curve do not rise from 0: rows are missing or doubled.

    References
    ----------
    Fay, Brittain and Proschan (2013), doi:10.1093/biostatistics/kxt016. Clopper and Pearson (1934),
    doi:10.1093/biomet/26.4.404.

    Examples
    --------
    16 of 23 free of activity at 3 years, everybody followed so long, by hand 16/23:

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [300] * 7 + [1500] * 16, "is_event": [True] * 7 + [False] * 16})
    >>> rows = milestone(kaplan_meier(frame), at_years=3)
    >>> rows.select("method", pl.col("estimate", "lower", "upper").round(3)).rows()
    [('Clopper-Pearson', 0.696, 0.471, 0.868), ('Kaplan-Meier, log-log', 0.696, 0.466, 0.842)]
    """
    require_years("at_years", at_years)
    return results_frame(row for one in curves(curve) for row in _milestone(one, at_years))


def _milestone(one: Curve, at_years: float) -> list[dict[str, Any]]:
    if one.estimator not in _STATISTIC:
        raise RequestError(
            f"milestone reads curves of {', '.join(_STATISTIC)}; this one is a {one.estimator!r}, for which mean_count "
            "is there."
        )
    rows = one.upto(at_years)
    columns: dict[str, Any] = {
        "statistic": _STATISTIC[one.estimator],
        "unit": "probability",
        "time_years": at_years,
        "n_events": one.n_events[:rows].sum(),
        "n_censored": one.n_censored[:rows].sum(),
        "n_at_risk": n_after(one, rows),
    }
    if one.is_beyond(at_years):
        note = f"follow-up ends at {one.time[-1]:.4g} years: not extrapolated"
        return [one.row(**columns, note=note)]
    columns["estimate"] = float(one.estimate[rows - 1])
    numbers = {name: _or_none(getattr(one, name)[rows - 1]) for name in ("std_error", "lower", "upper")}
    # where nothing has varied an error of 0, and the plain and log limits 1 to 1 of the curve, would be false certainty
    pointwise = one.row(**columns, **({} if numbers["std_error"] == 0 else numbers))
    if one.estimator == "Turnbull":  # no exact interval is known where event times are not
        if pointwise.get("lower") is None:
            pointwise["note"] = "no limits at this time: give it to turnbull as at_years"
        elif one.time[rows - 1] < at_years * (1 - ROUNDING):
            pointwise["note"] = (
                f"limits of {one.time[rows - 1]:.4g} years: give turnbull the time as at_years"
            )
        return [pointwise]
    if pointwise.get("lower") is None:
        pointwise["note"] = f"no {one.interval} limits where the estimate is {columns['estimate']:g}"
    if one.estimator in _COUNTS_SAY_LITTLE:
        return [pointwise]
    exact = one.row(**columns, **exact_limits(one, at_years, rows))
    if exact.get("lower") is None:
        return [pointwise, exact]
    if why := _why_exact_first(columns):
        exact["note"] = f"small-sample interval first: {why}"
        return [exact, pointwise]
    return [pointwise, exact]


def exact_limits(one: Curve, at_years: float, rows: int) -> dict[str, Any]:
    """Return `lower`, `upper` and `method` of the exact interval at a time, or `method` and a `note` where none is known.

    `rows` is how many rows of the curve lie at or before the time.
    """
    n_before = int(np.searchsorted(one.time, at_years * (1 - ROUNDING)))
    n_censored_before = int(one.n_censored[:n_before].sum())
    name = "Clopper-Pearson" if n_censored_before == 0 else "beta product"
    if one.has_delayed_entry:
        return {"method": name, "note": "no exact interval with delayed entry"}
    if n_censored_before == 0:
        x = int(one.n_events[:rows].sum())
        lower, upper = clopper_pearson(x if one.cause else one.n - x, one.n, (1 - one.conf_level) / 2)
        return {"method": name, "lower": lower, "upper": upper}
    # those censored at the milestone itself are known to be event-free up to it
    known = n_after(one, rows) + int(one.n_censored[n_before:rows].sum())
    if one.cause is not None:
        if known and not one.n_events[:rows].any():
            # the beta product interval without an event; an incidence lies below 1 - exp(-cumulative hazard)
            upper = 1 - ((1 - one.conf_level) / 2) ** (1 / known)
            return {"method": "beta product, competing events censored", "lower": 0.0, "upper": upper}
        note = f"no exact interval: {n_censored_before} of {one.n} censored before"
        return {"method": "Clopper-Pearson", "note": note}
    lower, upper = beta_product(one.n_at_risk[:rows], one.n_events[:rows], known, conf_level=one.conf_level)
    return {"method": name, "lower": lower, "upper": upper}


def _why_exact_first(columns: dict[str, Any]) -> str | None:
    if columns["estimate"] in (0.0, 1.0):
        return f"the estimate is {columns['estimate']:g}"
    few = [
        f"{columns[name]} {words}"
        for name, least, words in (
            ("n_events", FEW_EVENTS, "events"),
            ("n_at_risk", FEW_AT_RISK, "at risk"),
        )
        if columns[name] < least
    ]
    return "only " + " and ".join(few) if few else None


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def require_years(name: str, years: float) -> None:
    """Raise a RequestError where this is no number of years."""
    if not 0 <= years < math.inf:
        raise RequestError(f"{name} must be a number of years >= 0; found {years!r}.")
