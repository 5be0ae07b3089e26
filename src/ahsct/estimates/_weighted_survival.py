"""Product-limit curve of weighted patients, with the influence of each on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.estimates._intervals import pointwise
from ahsct.estimates._risk_table import Counts, Floats, distinct_times
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
    merged, which = distinct_times(
        np.concatenate([stop, start]) * 1.0
    )  # times that differ by rounding are one
    stop, start = merged[which[: stop.size]], merged[which[stop.size :]]
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

    rows = _Rows(
        begins, last, weight, is_event * jump[last - 1] - path[last] + path[begins], patient, n_patients
    )

    def influence(columns: Counts) -> Floats:
        return _influence(rows, path, estimate, columns, estimation)

    # between events no influence changes
    changes = np.flatnonzero(n_events > 0)
    if np.bincount(patient, minlength=1).max() <= 1:
        square = _squares_of_single_rows(rows, path, estimate, estimation)[changes]
    else:
        width = max(1, _BLOCK // max(stop.size, 1))
        blocks = (changes[first : first + width] for first in range(0, changes.size, width))
        square = np.concatenate([np.empty(0), *((influence(block) ** 2).sum(axis=0) for block in blocks)])
    std_error = np.sqrt(np.append(0.0, np.maximum(square, 0)))[
        np.searchsorted(changes, np.arange(moments.size), side="right")
    ]
    return WeightedProductLimit(
        moments,
        counted,
        n_events,
        np.rint(ending(ends & ~is_event, ones)).astype(int),
        estimate,
        std_error,
        influence,
    )


class _Rows(NamedTuple):
    """Rows by the moments between which they are at risk; `at_end` is the derivative (over -S) once they have ended."""

    begins: Counts
    last: Counts
    weight: Floats
    at_end: Floats
    patient: Counts
    n_patients: int


def _influence(
    rows: _Rows, path: Floats, estimate: Floats, columns: Counts, estimation: Estimation | None
) -> Floats:
    """Return each patient's influence at these positions in time, in memory of patients times positions."""
    from scipy.sparse import csr_array

    now = columns + 1
    has_ended = rows.last[:, None] <= now
    lost = path[now] - path[np.minimum(rows.begins[:, None], now)]
    slope = -estimate[columns] * np.where(has_ended, rows.at_end[:, None], -lost)
    size = rows.patient.size
    own = csr_array((rows.weight, (rows.patient, np.arange(size))), shape=(rows.n_patients, size))
    found = np.asarray(own @ slope)
    if estimation is not None:
        found += estimation.influence @ (estimation.slope.T @ slope)
    return found


def _squares_of_single_rows(
    rows: _Rows, path: Floats, estimate: Floats, estimation: Estimation | None
) -> Floats:
    """Return the sum of squared influences at every moment by running sums, where each patient has one row.

    While at risk a row's derivative (over S) is H(t) - H(begin), H being the path; afterwards it stays.
    """
    end = path.size

    def ended(values: Floats) -> Floats:
        return np.asarray(np.cumsum(np.bincount(rows.last, values, end))[1:], dtype=np.float64)

    def at_risk(values: Floats) -> Floats:
        change = np.bincount(rows.begins, values, end + 1) - np.bincount(rows.last, values, end + 1)
        return np.asarray(np.cumsum(change)[1:end], dtype=np.float64)

    def total(values: Floats, power: int) -> Floats:
        """Sum of values times the derivative (over S) to this power, over everybody."""
        sign, now, before = (-1) ** power, path[1:], path[rows.begins]
        done = sign * ended(values * rows.at_end**power)
        if power == 1:
            return np.asarray(done + now * at_risk(values) - at_risk(values * before))
        going = now**2 * at_risk(values) - 2 * now * at_risk(values * before) + at_risk(values * before**2)
        return np.asarray(done + going)

    square = total(rows.weight**2, 2)
    if estimation is not None:
        own = estimation.influence[rows.patient]
        by_slope = np.column_stack([total(column, 1) for column in estimation.slope.T])
        by_influence = np.column_stack([total(rows.weight * column, 1) for column in own.T])
        spread = estimation.influence.T @ estimation.influence
        square = (
            square + 2 * (by_slope * by_influence).sum(axis=1) + ((by_slope @ spread) * by_slope).sum(axis=1)
        )
    return np.asarray(estimate**2 * square)


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
