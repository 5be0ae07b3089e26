"""How many events a patient has had on average by each time: the mean cumulative function of recurrent events."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._curve import ROUNDING
from ahsct.estimates._groups import LABELS, curve_frame
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Counts, Floats, distinct_times
from ahsct.estimates.recurrent_rows import recurrent_groups
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, conform

INTERVALS = ("log", "plain")
_ROUNDING_OF_ERROR = 3e-7  # of the estimate: what rounding leaves of a standard error of 0


class MeanCumulative(NamedTuple):
    """The function as arrays, one item per distinct time; `n_ended` counts patients whose follow-up ends there."""

    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_ended: Counts
    estimate: Floats
    std_error: Floats


def mean_cumulative(
    patient: npt.ArrayLike, entry: npt.ArrayLike, stop: npt.ArrayLike, is_event: npt.ArrayLike
) -> MeanCumulative:
    r"""Mean cumulative function with its robust variance from arrays, in O(n log n).

    $$\hat M(t) = \sum_{s \le t} \frac{dN(s)}{Y(s)}, \quad
      \widehat{var}(t) = \sum_i \Big(\sum_{s \le t} \frac{dN_i(s) - Y_i(s)\, d\hat M(s)}{Y(s)}\Big)^2$$

    Parameters
    ----------
    patient
        Whole numbers; a patient's rows follow one another in order of time.
    entry, stop
        At risk at t where entry < t <= stop; an entry of minus infinity means from the very start.
    is_event
        Whether the row ends with an event.

    References
    ----------
    Nelson (1988); Lawless and Nadeau (1995), doi:10.1080/00401706.1995.10484300.
    R: survfit(Surv(start, stop, event) ~ 1, id, cluster, robust = TRUE), cumhaz and std.chaz, survival 3.5.3.

    Examples
    --------
    Two patients, followed to 4 and 2; events at 1 and 3 of the first: 1/2, then 1 more of 1. The variance at 1 is
    (1/4)^2 + (-1/4)^2:

    >>> found = mean_cumulative([0, 0, 0, 1], [-np.inf, 1, 3, -np.inf], [1, 3, 4, 2], [1, 1, 0, 0])
    >>> found.time.tolist(), found.estimate.tolist(), (found.std_error**2).round(12).tolist()
    ([0.0, 1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 0.5, 1.5, 1.5], [0.0, 0.125, 0.125, 0.125, 0.125])
    """
    person, entries = np.asarray(patient, dtype=np.int64), np.asarray(entry, dtype=np.float64)
    stops, events = np.asarray(stop), np.asarray(is_event, dtype=np.int64)
    is_late = np.isfinite(entries)
    time, code = distinct_times(np.concatenate((np.zeros(1), stops, entries[is_late])))
    width = time.size
    end, since = code[1 : stops.size + 1], np.full(stops.size, -1)
    since[is_late] = code[stops.size + 1 :]
    at_risk = since < end  # not in an interval of no length after an event of the same day

    def over_time(weights: Floats) -> Floats:
        """Return at each time the sum of the weights of the rows at risk."""
        came = np.bincount(since[at_risk] + 1, weights[at_risk], minlength=width + 1)[:width]
        went = np.bincount(end[at_risk], weights[at_risk], minlength=width)
        return np.asarray(np.cumsum(came - np.concatenate(([0.0], went[:-1]))))

    n = np.round(over_time(np.ones(stops.size))).astype(np.int64)
    d = np.bincount(end, events, minlength=width).astype(np.int64)
    safe = np.maximum(n, 1)
    increment = d / safe
    compensator = np.concatenate(([0.0], np.cumsum(increment / safe)))  # before each time, and after the last

    # one row per patient and time: events of one patient on one day count together
    is_first = np.concatenate(([True], np.diff(person) != 0))
    new = is_first | (end != np.concatenate(([-1], end[:-1])))
    row = np.flatnonzero(new)
    m = np.add.reduceat(events, row) if row.size else events[:0]
    last, start, who = end[row], since[row], person[row]
    gain = m / safe[last] - (compensator[last + 1] - compensator[start + 1])
    total = np.concatenate(([0.0], np.cumsum(gain)))
    first_row = np.maximum.accumulate(np.where(is_first[row], np.arange(row.size), 0))
    before = total[:-1] - total[first_row]  # what the patient's earlier rows add up to
    # a patient's sum at the end of a row is `before` less the compensator since the row began
    just_before = before - (compensator[last] - compensator[start + 1])
    held = np.zeros(stops.size)
    held[row] = before + compensator[start + 1]
    sum_at_risk = over_time(held) - compensator[:-1] * n
    square = np.bincount(last, m * m, minlength=width) - 2 * increment * d + n * increment**2
    cross = np.bincount(last, m * just_before, minlength=width) - increment * sum_at_risk
    variance = np.cumsum(square / safe**2 + 2 * cross / safe)
    leaves = np.concatenate((np.diff(who) != 0, np.ones(min(who.size, 1), bool)))
    n_ended = np.bincount(last[leaves], minlength=width)
    estimate, std_error = np.cumsum(increment), np.sqrt(np.maximum(variance, 0.0))
    std_error = np.where(std_error > _ROUNDING_OF_ERROR * estimate, std_error, 0.0)
    return MeanCumulative(time * 1.0, n, d, n_ended, estimate, std_error)


def mean_cumulative_function(
    recurrent: pl.DataFrame, *, interval: str = "log", conf_level: float = 0.95
) -> pl.DataFrame:
    r"""Return the mean number of events per patient by each time, with robust errors.

    It takes no model: it is the mean number had nobody left before, where leaving tells nothing of later events. A
    death ends the counting without ending the question: with deaths read it as "while alive and observed".

    Parameters
    ----------
    recurrent
        Schema RECURRENT; `patient_id`, `start_day`, `stop_day`, `is_event` are needed. One curve per endpoint and arm.
    interval
        "log" ($\hat M \exp(\pm z\, se / \hat M)$) or "plain".
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema CURVE; `estimate` counts events and may pass 1. `n_censored` counts patients whose follow-up ends at
        the time, with or without an event, so that it sums to the number of patients. Limits are missing where the
        error is 0: before the first event, and where all patients had equally many.

    Raises
    ------
    TableError
        A column is absent, a value is missing, or intervals of a patient overlap.
    RequestError
        The interval or the level is unknown.

    References
    ----------
    See `mean_cumulative`.

    Examples
    --------
    One event, after 100 days, in two patients, of whom one is followed 200 and one 400 days:

    >>> frame = pl.DataFrame({"patient_id": ["a", "a", "b"], "start_day": [0, 100, 0],
    ...                       "stop_day": [100, 400, 200], "is_event": [True, False, False]})
    >>> mean_cumulative_function(frame).select("n_at_risk", "n_events", "estimate").rows()
    [(2, 0, 0.0), (2, 1, 0.5), (2, 0, 0.5), (1, 0, 0.5)]
    """
    if interval not in INTERVALS:
        raise RequestError(
            f"No interval {interval!r}; known are {', '.join(INTERVALS)}.{did_you_mean(interval, INTERVALS)}"
        )
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    blocks = []
    for labels, rows in recurrent_groups("mean_cumulative_function", recurrent, apart=LABELS):
        person = rows["patient_id"].rank("dense").to_numpy().astype(np.int64)
        found = mean_cumulative(
            person, rows["_entry"].to_numpy(), rows["stop_day"].to_numpy(), rows["is_event"].to_numpy()
        )
        known = np.where(found.std_error > 0, found.estimate, np.nan)
        half = z * found.std_error
        ratio = np.exp(half / known)
        limits = (known / ratio, known * ratio)
        if interval == "plain":
            limits = (np.maximum(known - half, 0), known + half)
        blocks.append(
            {
                **labels,
                "time_years": found.time / DAYS_PER_YEAR,
                "n_at_risk": found.n_at_risk,
                "n_events": found.n_events,
                "n_censored": found.n_ended,
                "estimate": found.estimate,
                "std_error": found.std_error,
                "lower": limits[0],
                "upper": limits[1],
                "conf_level": conf_level,
                "method": f"mean cumulative function, robust, {interval}",
            }
        )
    return curve_frame(blocks)


def mean_count(curve: pl.DataFrame, *, at_years: float) -> pl.DataFrame:
    """Return the mean number of events per patient by a time, from each curve.

    Parameters
    ----------
    curve
        Schema CURVE, whole, as `mean_cumulative_function` made it.
    at_years
        Years from time zero, >= 0; events at that very time count.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per curve, statistic "mean_cumulative_count"; missing, with a note, after the last
        follow-up. Where no event was seen, or all patients had equally many, error and limits do not exist and the
        note says so.

    Raises
    ------
    RequestError
        The time is negative or the curve is no mean cumulative function.

    References
    ----------
    Lawless and Nadeau (1995), doi:10.1080/00401706.1995.10484300.

    Examples
    --------
    One event, after 100 days, in two patients who are both followed:

    >>> frame = pl.DataFrame({"patient_id": ["a", "a", "b"], "start_day": [0, 100, 0],
    ...                       "stop_day": [100, 800, 800], "is_event": [True, False, False]})
    >>> mean_count(mean_cumulative_function(frame), at_years=1).select("estimate", "n", "n_at_risk").row(0)
    (0.5, 2, 2)
    """
    if not 0 <= at_years < math.inf:
        raise RequestError(f"at_years must be a number of years >= 0; found {at_years!r}.")
    rows = []
    for one in conform(curve, CURVE).partition_by(*LABELS, "method", "conf_level", maintain_order=True):
        time, last = one["time_years"].to_numpy(), one.row(0, named=True)
        if not last["method"].startswith("mean cumulative function"):
            raise RequestError(f"mean_count needs a mean cumulative function; found {last['method']!r}.")
        if time[0] != 0 or np.any(np.diff(time) <= 0):
            raise TableError(
                "A curve needs a row at time 0 and rising times after it. Give each curve whole."
            )
        upto = int(np.searchsorted(time, at_years * (1 + ROUNDING), side="right"))
        now = one.row(upto - 1, named=True)
        columns: dict[str, Any] = {name: last[name] for name in (*LABELS, "method", "conf_level")}
        columns |= {
            "time_years": at_years,
            "n": one["n_censored"].sum(),
            "n_events": one["n_events"][:upto].sum(),
            "n_at_risk": one["n_at_risk"][upto] if upto < one.height else 0,
        }
        if at_years > time[-1] * (1 + ROUNDING):
            columns["note"] = f"follow-up ends at {time[-1]:.4g} years: not extrapolated"
        else:
            columns |= {name: now[name] for name in ("estimate", "std_error", "lower", "upper")}
            if now["std_error"] == 0:
                why = "all had equally many events" if now["estimate"] else "no event yet"
                columns["note"] = f"{why}: no error can be estimated; the exact interval of the rate answers"
                columns["std_error"] = None
        rows.append(result(statistic="mean_cumulative_count", unit="events per patient", **columns))
    return results_frame(rows)
