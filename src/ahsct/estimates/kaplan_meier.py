"""Kaplan-Meier curves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.estimates._groups import Group, curve_frame, groups, require_no_competing_event
from ahsct.estimates._intervals import pointwise, require_conf_level, require_interval
from ahsct.estimates._risk_table import Counts, Floats, risk_table
from ahsct.vocabulary import DAYS_PER_YEAR


class ProductLimit(NamedTuple):
    """The curve as arrays, one item per distinct time (see `product_limit`)."""

    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    estimate: Floats
    std_error: Floats


def product_limit(
    time: npt.ArrayLike, is_event: npt.ArrayLike, entry: npt.ArrayLike | None = None
) -> ProductLimit:
    """Kaplan-Meier estimate from arrays, in O(n log n): the core of `kaplan_meier`.

    Parameters
    ----------
    time
        Time of the event or of the censoring, >= 0, any unit.
    is_event
        True for an event, false for a censoring.
    entry
        Start of the time at risk (delayed entry): at risk at t where entry < t <= time.

    Returns
    -------
    ProductLimit
        One item for time 0 and one per later distinct time of an event, a censoring or an entry.

    Raises
    ------
    TableError
        A time is negative, not finite or not after its entry.

    Examples
    --------
    >>> product_limit([9, 1, 1, 6, 6, 8], [1, 1, 0, 1, 1, 0]).estimate.round(4).tolist()
    [1.0, 0.8333, 0.4167, 0.4167, 0.0]
    """
    table = risk_table(time, is_event, entry=entry)
    n, d = table.n_at_risk, table.n_events[0]
    survival = np.cumprod(1 - d / np.maximum(n, 1))
    at_end = (n - d) == 0
    greenwood = np.cumsum(np.where(at_end, 0.0, d / np.where(at_end, 1.0, n * (n - d * 1.0))))
    return ProductLimit(table.time, n, d, table.n_censored, survival, survival * np.sqrt(greenwood))


def kaplan_meier(
    time_to_event: pl.DataFrame, *, interval: str = "log-log", conf_level: float = 0.95
) -> pl.DataFrame:
    r"""Kaplan-Meier estimate of the probability of staying event-free.

    $$\hat S(t) = \prod_{t_i \le t} (1 - d_i / n_i), \quad
      \widehat{se}(t) = \hat S(t) \Big(\sum_{t_i \le t} \frac{d_i}{n_i (n_i - d_i)}\Big)^{1/2}$$

    Parameters
    ----------
    time_to_event
        One row per patient and curve (schema TIME_TO_EVENT): `time_day` [days, >= 0] and `is_event` are needed.
        `entry_day` delays the start of risk (at risk at t where entry < t <= time; at or before day 0 from the
        start). `study_id`, `endpoint`, `component`, `definition`, `estimand`, `population`, `arm`, `subgroup`
        make one curve each. Rows with `is_evaluable` false are left out. At equal times events precede
        censorings; times that differ only by rounding are merged.
    interval
        "log-log", "log", "plain", "logit" or "arcsine": the scale of the pointwise interval.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema CURVE: a row at time 0 and one per later distinct time, in years of 365.25 days; `n_at_risk` just
        before the time. `std_error` is Greenwood's on the survival scale, 0 where the estimate is 1 or 0 (its
        limit there; R gives NaN at 0). Limits are missing where the estimate is 0, and also where it is 1
        except for plain and log, as in R: there the exact interval of `milestone` answers. The curve ends with
        the last time.

    Raises
    ------
    TableError
        A column is missing, a time is missing, negative or not after its entry, a patient stands twice in one
        curve, or events compete (cause "competing_death" …): use `aalen_johansen`.
    RequestError
        The interval or the level is unknown.

    References
    ----------
    Kaplan and Meier (1958), doi:10.1080/01621459.1958.10501452.
    R: survfit(Surv(entry, time, event) ~ 1, conf.type = "log-log"), survival 3.5.3.

    Examples
    --------
    Six patients; by hand 5/6, 5/12, 5/12, 0:

    >>> frame = pl.DataFrame({"time_day": [9, 1, 1, 6, 6, 8],
    ...                       "is_event": [True, True, False, True, True, False]})
    >>> kaplan_meier(frame)["estimate"].round(4).to_list()
    [1.0, 0.8333, 0.4167, 0.4167, 0.0]
    """
    return _curves("kaplan_meier", "Kaplan-Meier", time_to_event, interval, conf_level)


def reverse_kaplan_meier(
    time_to_event: pl.DataFrame, *, interval: str = "log-log", conf_level: float = 0.95
) -> pl.DataFrame:
    """Kaplan-Meier estimate of follow-up: censorings are its events, events censor it.

    The probability of still being followed had nobody had the event; its median is the median follow-up.

    Parameters
    ----------
    time_to_event, interval, conf_level
        As for `kaplan_meier`.

    Returns
    -------
    pl.DataFrame
        Schema CURVE; `method` says reverse, `n_events` counts the censorings, `n_censored` the events.

    Raises
    ------
    TableError
        As for `kaplan_meier`.
    RequestError
        The interval or the level is unknown.

    References
    ----------
    Schemper and Smith (1996), doi:10.1016/0197-2456(96)00075-X.

    Examples
    --------
    One event, then two censorings of the two still followed, by hand 1/2 and 0:

    >>> frame = pl.DataFrame({"time_day": [100, 200, 300], "is_event": [True, False, False]})
    >>> reverse_kaplan_meier(frame)["estimate"].to_list()
    [1.0, 1.0, 0.5, 0.0]
    """
    return _curves("reverse_kaplan_meier", "reverse Kaplan-Meier", time_to_event, interval, conf_level)


def _curves(
    function: str, name: str, time_to_event: pl.DataFrame, interval: str, conf_level: float
) -> pl.DataFrame:
    require_interval(interval)
    require_conf_level(conf_level)
    blocks = []
    for group in groups(function, time_to_event):
        require_no_competing_event(function, group.rows)
        blocks.append(_block(name, group, interval, conf_level))
    return curve_frame(blocks)


def _block(name: str, group: Group, interval: str, conf_level: float) -> dict[str, object]:
    is_event = group.rows["is_event"].to_numpy()
    curve = product_limit(
        group.rows["time_day"].to_numpy(), ~is_event if name.startswith("reverse") else is_event, group.entry
    )
    lower, upper = pointwise(curve.estimate, curve.std_error, interval=interval, conf_level=conf_level)
    return {
        **group.labels,
        **curve._asdict(),
        "time_years": curve.time / DAYS_PER_YEAR,
        "lower": lower,
        "upper": upper,
        "conf_level": conf_level,
        "method": f"{name}, {interval}" + (", delayed entry" if group.entry is not None else ""),
    }
