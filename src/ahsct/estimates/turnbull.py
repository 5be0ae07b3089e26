"""Event-free survival when an event is only known to lie between two visits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import TableError
from ahsct.estimates._groups import Group, curve_frame, groups, require_no_competing_event
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

_GAP = 1e-8  # the optimum is accepted when no support interval could gain more than this share of the total weight
_RESAMPLE_GAP = 1e-4  # enough for the bootstrap's percentiles
_MAX_STEPS = 100_000


class Npmle(NamedTuple):
    """Masses (a row per set of weights) on the maximal intersections that end at `upper` (infinity: never seen)."""

    upper: Floats
    mass: Floats
    gap: float


def npmle(left: Floats, right: Floats, weights: Floats | None = None, *, gap: float = _GAP) -> Npmle:
    """Non-parametric maximum likelihood for events in (left, right]; left = right is exact, infinity censored.

    Expectation-maximisation over Turnbull's maximal intersections, each pair of steps extrapolated (SQUAREM),
    until the Kuhn-Tucker conditions hold: no intersection's gradient exceeds the total weight by more than `gap`
    of it. `weights` (one row per fit, one column per observation) are counts, as in a bootstrap.

    Examples
    --------
    Two visits, by hand: 1 of 4 in (0, 1], 1 in (1, 2], 2 after 2:

    >>> fit = npmle(np.array([0.0, 1, 2, 2]), np.array([1.0, 2, np.inf, np.inf]))
    >>> fit.mass.round(6).tolist()
    [[0.25, 0.25, 0.5]]
    """
    from scipy.sparse import csr_array

    weights = np.ones((1, left.size)) if weights is None else weights
    upper, first, last = _intersections(left, right)
    n, m = left.size, upper.size
    inside = csr_array(
        (np.repeat([1.0, -1.0], n), (np.tile(np.arange(n), 2), np.concatenate((first, last + 1)))),
        shape=(n, m + 1),
    )

    def gradient(mass: Floats, weights: Floats) -> Floats:
        cumulated = np.zeros((len(mass), m + 1))
        np.cumsum(mass, axis=1, out=cumulated[:, 1:])
        share = weights / np.maximum(cumulated[:, last + 1] - cumulated[:, first], 1e-300)
        gained = np.cumsum(share @ inside, axis=1)[:, :-1]
        return np.asarray(gained / weights.sum(axis=1, keepdims=True))

    mass = np.full((len(weights), m), 1 / m)
    gaps = np.full(len(weights), np.inf)
    open_ = np.arange(len(weights))
    for _ in range(_MAX_STEPS):
        now, counts = mass[open_], weights[open_]
        g = gradient(now, counts)
        gaps[open_] = g.max(axis=1) - 1
        going = gaps[open_] > gap
        if not going.any():
            break
        open_, now, counts = open_[going], now[going], counts[going]
        one = now * g[going]
        mass[open_] = _extrapolated(now, one, one * gradient(one, counts))
    return Npmle(upper, mass / mass.sum(axis=1, keepdims=True), float(gaps.max()))


def turnbull(
    time_to_event: pl.DataFrame, *, conf_level: float = 0.95, n_resamples: int = 400, seed: int = 1
) -> pl.DataFrame:
    """Event-free survival from the intervals in which events happened, not from the days they were found.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT; `left_day` and `right_day` are needed: the event lies in (left, right], exact where
        they are equal, censored where `right_day` is missing. Curves and rows are told apart as in
        `kaplan_meier`.
    conf_level
        Two-sided, between 0 and 1; the interval is the bootstrap's percentile interval over patients.
    n_resamples, seed
        Resamples of the bootstrap, and its seed; 0 resamples give no interval.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, a row at time 0 and one at each place where the estimate can fall. Inside an interval of the
        estimate the fall is not determined: it is placed at the interval's right end. `n_at_risk` counts the
        patients known to be event-free before the interval, `n_events` those whose event ends in it.

    Raises
    ------
    TableError
        A column or `left_day` is missing, an interval is empty, entry is delayed, or deaths compete.

    References
    ----------
    Turnbull (1976), doi:10.1111/j.2517-6161.1976.tb01597.x; Varadhan and Roland (2008) for the extrapolation,
    doi:10.1111/j.1467-9469.2007.00585.x. R: interval::icfit, interval 1.1.1.0.

    Examples
    --------
    >>> frame = pl.DataFrame({"time_day": [100, 200, 300], "is_event": [True, True, False],
    ...                       "left_day": [0, 100, 300], "right_day": [100, 200, None]})
    >>> turnbull(frame, n_resamples=0)["estimate"].round(6).to_list()
    [1.0, 0.666667, 0.333333, 0.333333]
    """
    require_conf_level(conf_level)
    require_columns("turnbull", "time_to_event", time_to_event, ("left_day", "right_day"))
    blocks = []
    for group in groups("turnbull", time_to_event):
        require_no_competing_event("turnbull", group.rows)
        if group.entry is not None:
            raise TableError("turnbull takes no delayed entry; use kaplan_meier, or start risk at time zero.")
        blocks.append(_block(group, conf_level, n_resamples, seed))
    return curve_frame(blocks)


def _block(group: Group, conf_level: float, n_resamples: int, seed: int) -> dict[str, object]:
    left, right = _bounds(group.rows)
    fit = npmle(left, right)
    censored = np.isinf(right)
    ends = np.unique(np.concatenate((fit.upper[np.isfinite(fit.upper)], [0.0, left.max(initial=0.0)])))
    estimate = _survival(fit, ends)[0]
    draws = np.empty((0, ends.size))
    if n_resamples:
        draws = _survival(
            npmle(left, right, _resamples(left.size, n_resamples, seed), gap=_RESAMPLE_GAP), ends
        )
    limits = np.full((2, ends.size), np.nan)
    if len(draws):
        limits = np.quantile(draws, [(1 - conf_level) / 2, 1 - (1 - conf_level) / 2], axis=0)
    how = f"bootstrap percentile ({n_resamples} resamples, seed {seed})" if n_resamples else "no interval"
    not_reached = "" if fit.gap <= _GAP else f", optimum reached to {fit.gap:.1g} only"
    return {
        **group.labels,
        "time_years": ends / DAYS_PER_YEAR,
        "n_at_risk": np.array([np.sum(right > end) for end in np.concatenate(([0.0], ends[:-1]))]),
        "n_events": _counts(right[~censored], ends),
        "n_censored": _counts(left[censored], ends),
        "estimate": estimate,
        "std_error": draws.std(axis=0, ddof=1) if len(draws) > 1 else np.zeros(ends.size),
        "lower": limits[0],
        "upper": limits[1],
        "conf_level": conf_level,
        "method": f"Turnbull, interval-censored{not_reached}, {how}",
    }


def _bounds(rows: pl.DataFrame) -> tuple[Floats, Floats]:
    wrong = rows.filter(
        (pl.col("left_day").is_null()) | (pl.col("right_day") < pl.col("left_day")).fill_null(False)
    )
    if wrong.height:
        raise TableError(
            f"turnbull needs left_day, not after right_day; {wrong.height} of {rows.height} rows have not, "
            f"the first is row {wrong['_row'][0]} of `time_to_event`."
        )
    bounds = rows.select(
        pl.col("left_day").cast(pl.Float64), pl.col("right_day").cast(pl.Float64).fill_null(np.inf)
    ).sort("left_day", "right_day")  # so that the bootstrap does not depend on the order of patients
    return bounds["left_day"].to_numpy().copy(), bounds["right_day"].to_numpy().copy()


def _intersections(left: Floats, right: Floats) -> tuple[Floats, Counts, Counts]:
    """Return where the maximal intersections end, and the first and last of them inside each observation.

    Times are ranked; an end at rank k sorts as 2k and "just after it" as 2k + 1, so that (1, 2] and (2, 3] do
    not meet while an exact time meets the interval that ends there.
    """
    times, ranks = np.unique(np.concatenate((left, right)), return_inverse=True)
    starts, ends = 2 * ranks[: left.size], 2 * ranks[left.size :]
    starts = np.where(left == right, starts, starts + 1)
    keys = np.concatenate((starts, ends))
    is_end = np.repeat([False, True], left.size)
    order = np.lexsort((is_end, keys))
    keys, is_end = keys[order], is_end[order]
    innermost = np.flatnonzero(~is_end[:-1] & is_end[1:])
    first = np.searchsorted(keys[innermost], starts, side="left")
    last = np.searchsorted(keys[innermost + 1], ends, side="right") - 1
    return times[keys[innermost + 1] // 2], first, last


def _extrapolated(zero: Floats, one: Floats, two: Floats) -> Floats:
    """Return a longer step along two steps of the algorithm, or the second step where that leaves the simplex."""
    r, v = one - zero, two - 2 * one + zero
    # where the steps no longer turn (length next to nothing) the square of alpha must stay finite
    length = np.sqrt((v * v).sum(axis=1, keepdims=True))
    alpha = np.minimum(-np.sqrt((r * r).sum(axis=1, keepdims=True)) / np.maximum(length, 1e-100), -1.0)
    far = zero - 2 * alpha * r + alpha**2 * v
    # a mass that is exactly zero could never grow again
    is_inside = (
        (length > 0) & (far.min(axis=1, keepdims=True) > 0) & np.isfinite(far).all(axis=1, keepdims=True)
    )
    far = np.where(is_inside, far, two)
    return np.asarray(far / far.sum(axis=1, keepdims=True))


def _survival(fit: Npmle, at: Floats) -> Floats:
    """Return the probability of no event up to each time; a mass counts from its interval's right end."""
    cumulated = np.concatenate((np.zeros((len(fit.mass), 1)), np.cumsum(fit.mass, axis=1)), axis=1)
    return np.clip(1 - cumulated[:, np.searchsorted(fit.upper, at, side="right")], 0.0, 1.0)


def _counts(days: Floats, ends: Floats) -> Counts:
    """Return how many days lie in each (previous end, end]; later ones count at the last."""
    place = np.minimum(np.searchsorted(ends, days, side="left"), ends.size - 1)
    return np.bincount(place, minlength=ends.size)


def _resamples(n: int, n_resamples: int, seed: int) -> Floats:
    generator = random_stream(seed, stream="turnbull bootstrap", patient=0)
    drawn = generator.integers(0, n, (n_resamples, n))
    return np.asarray([np.bincount(one, minlength=n) for one in drawn], dtype=np.float64)
