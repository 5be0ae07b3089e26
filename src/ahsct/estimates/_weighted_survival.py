"""Product-limit curve of weighted patients, with the influence of each on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.estimates._intervals import pointwise
from ahsct.estimates._risk_table import Counts, Floats, merge_near_ties
from ahsct.vocabulary import DAYS_PER_YEAR

Bools = npt.NDArray[np.bool_]
_BLOCK = 4_000_000  # numbers held at once for the influences


class Estimation(NamedTuple):
    """How the weights came out of the data.

    `slope` of each row's weight by each coefficient, and `influence` of each patient on each coefficient.
    """

    slope: Floats
    influence: Floats


class WeightedProductLimit(NamedTuple):
    """The curve, one item per distinct time; counts are of patients, not of weights.

    `influence` gives, for these positions in time, each patient's influence on the curve (rows: patients).
    """

    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    estimate: Floats
    std_error: Floats
    influence: Callable[[Counts], Floats]


def weighted_product_limit(
    start: Floats,
    stop: Floats,
    is_event: Bools,
    weight: Floats,
    patient: Counts,
    *,
    ends: Bools,
    n_patients: int,
    estimation: Estimation | None = None,
) -> WeightedProductLimit:
    r"""Return the weighted Kaplan-Meier curve with its infinitesimal-jackknife standard error.

    Rows are at risk at t where start < t <= stop (from 0 on where start is 0); `ends` marks those that end the
    follow-up of their patient. With weighted counts $N_j$ at risk and hazards $h_j$ the derivative of the curve by a
    row's weight is

    $$D_r(t) = -S(t) \Big(\frac{1\{r \text{ has the event at } j \le t\}}{N_j (1 - h_j)}
               - \sum_{j \le t} \frac{Y_r(j) h_j}{N_j (1 - h_j)}\Big),$$

    a patient's influence the sum of $w_r D_r$ over the own rows, and the variance the sum of its squares. With
    `estimation` the influence by way of the weights' coefficients is added.
    """
    stop, start = merge_near_ties(stop, start)
    moments = np.unique(np.concatenate([[0.0], stop[is_event | ends]]))
    begins = np.searchsorted(moments, start, side="right")  # first moment at risk
    begins[start <= 0] = 0
    last = np.searchsorted(moments, stop, side="right")  # first moment no longer at risk

    def at_risk(weights: Floats) -> Floats:
        change = np.bincount(begins, weights, moments.size + 1) - np.bincount(last, weights, moments.size + 1)
        return np.asarray(np.cumsum(change)[:-1], dtype=np.float64)

    def ending(which: Bools, weights: Floats) -> Floats:
        return np.asarray(np.bincount(last[which] - 1, weights[which], moments.size), dtype=np.float64)

    ones = np.ones(stop.size)
    total, events = at_risk(weight), ending(is_event, weight)
    counted, n_events = np.rint(at_risk(ones)).astype(int), np.rint(ending(is_event, ones)).astype(int)
    everybody = n_events == counted
    hazard = np.where(everybody & (n_events > 0), 1.0, events / np.where(counted > 0, total, 1.0))
    estimate = np.cumprod(1 - hazard)
    # once the curve is 0 nothing depends on what went before
    jump = np.where(hazard < 1, 1 / np.where((counted > 0) & (hazard < 1), total * (1 - hazard), 1.0), 0.0)
    path = np.concatenate([[0.0], np.cumsum(hazard * jump)])

    def influence(columns: Counts) -> Floats:
        upto = np.minimum(last[:, None], columns + 1)
        lost = path[upto] - path[np.minimum(begins[:, None], upto)]
        has_had = is_event[:, None] & (last[:, None] <= columns + 1)
        slope = -estimate[columns] * (has_had * jump[last - 1][:, None] - lost)
        found = np.zeros((n_patients, columns.size))
        np.add.at(found, patient, weight[:, None] * slope)
        if estimation is not None:
            found += estimation.influence @ (estimation.slope.T @ slope)
        return found

    square = np.zeros(moments.size)
    width = max(1, _BLOCK // max(stop.size, 1))
    for first in range(0, moments.size, width):
        columns = np.arange(first, min(first + width, moments.size))
        square[columns] = (influence(columns) ** 2).sum(axis=0)
    return WeightedProductLimit(
        moments,
        counted,
        n_events,
        np.rint(ending(ends & ~is_event, ones)).astype(int),
        estimate,
        np.sqrt(square),
        influence,
    )


def weighted_block(curve: WeightedProductLimit, interval: str, conf_level: float) -> dict[str, Any]:
    """Return the columns of CURVE that the curve itself gives."""
    lower, upper = pointwise(curve.estimate, curve.std_error, interval=interval, conf_level=conf_level)
    return {
        "time_years": curve.time / DAYS_PER_YEAR,
        "n_at_risk": curve.n_at_risk,
        "n_events": curve.n_events,
        "n_censored": curve.n_censored,
        "estimate": curve.estimate,
        "std_error": curve.std_error,
        "lower": lower,
        "upper": upper,
        "conf_level": conf_level,
    }
