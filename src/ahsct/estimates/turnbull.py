"""Event-free survival when an event is only known to lie between two visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from scipy.special import chdtri

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import Group, curve_frame, groups, require_no_competing_event
from ahsct.estimates._interval_npmle import intersections
from ahsct.estimates._interval_places import Rows, maximise_held, maximise_places
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

_GAP = 1e-8  # the optimum is accepted when no place could gain more than this share of the total weight
_MOST_LIMITS = 25  # rows of a curve that get limits of their own


class Npmle(NamedTuple):
    """Masses on the maximal intersections (lower, upper] (upper infinite: never seen), and how good they are.

    `gap` is the largest excess of a place's gradient over the total weight, as a share of it: 0 at the optimum.
    """

    lower: Floats
    upper: Floats
    mass: Floats
    loglik: float
    gap: float


def npmle(left: Floats, right: Floats) -> Npmle:
    r"""Non-parametric maximum likelihood for events in (left, right]; left = right is exact, infinity censored.

    Maximises $\sum_i \log \sum_{j \in (l_i, r_i]} p_j$ over Turnbull's maximal intersections by an interior-point
    method; where there are many, over a few of them, to which those are added where mass would raise the likelihood
    (few carry any in the end). The Kuhn-Tucker conditions, $\sum_{i \ni j} 1 / P_i \le n$ at every place and equality where there is
    mass, are checked afterwards: `gap`.

    Examples
    --------
    Two visits, by hand: 1 of 4 in (0, 1], 1 in (1, 2], 2 after 2:

    >>> fit = npmle(np.array([0.0, 1, 2, 2]), np.array([1.0, 2, np.inf, np.inf]))
    >>> fit.mass.round(9).tolist(), fit.gap < 1e-8
    ([0.25, 0.25, 0.5], True)
    """
    places = intersections(left, right)
    found = maximise_places(Rows.of(places))
    mass = np.zeros(places.upper.size)
    mass[found.used] = found.mass / found.mass.sum()
    return Npmle(places.lower, places.upper, mass, found.loglik, float(found.gradient.max() - 1))


def likelihood_ratio_limits(
    left: Floats, right: Floats, at: Floats, *, conf_level: float = 0.95
) -> tuple[Floats, Floats]:
    r"""Return the limits of the survival probability at each time: those that the likelihood ratio does not reject.

    $$\{s : 2 (\ell(\hat S) - \max_{S(t) = s} \ell(S)) \le \chi^2_{1, 1 - \alpha}\}$$

    The limits exist also where the estimate is 0 or 1, and need no standard error. With visits on a common
    schedule the statistic is chi-square in large samples; with visits scattered over a continuum its limit is
    smaller, so that the interval errs to the wide side (Banerjee and Wellner 2001).

    Parameters
    ----------
    left, right
        As for `npmle`.
    at
        Times, >= 0; at time 0 both limits are 1, unless an event fell on it.

    Examples
    --------
    Nobody of 24 had the event in the first 3 years; by hand exp(-3.841459 / 48):

    >>> lower, upper = likelihood_ratio_limits(np.full(24, 3.0), np.full(24, np.inf), np.array([2.0]))
    >>> lower.round(6).tolist(), upper.tolist()
    ([0.923088], [1.0])
    """
    quantile = float(chdtri(1, 1 - require_conf_level(conf_level)))
    lower, upper = np.ones(at.size), np.ones(at.size)
    for k in np.flatnonzero((at > 0) | np.any(right == 0)):
        places = intersections(left, right, at[k : k + 1])
        node = int(np.searchsorted(places.upper, at[k], side="right"))
        lower[k], upper[k] = _limits(Rows.of(places), node, quantile)
    return lower, upper


def turnbull(
    time_to_event: pl.DataFrame, *, conf_level: float = 0.95, at_years: Sequence[float] = ()
) -> pl.DataFrame:
    """Event-free survival from the intervals in which events happened, not from the days they were found.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT; `left_day` and `right_day` are needed: the event lies in (left, right], exact where
        they are equal, censored where `right_day` is missing. Curves and rows are told apart as in
        `kaplan_meier`.
    conf_level
        Two-sided, between 0 and 1; the limits are those of the likelihood ratio (`likelihood_ratio_limits`).
    at_years
        Times that get a row and limits of their own, as a milestone needs them. Where it is given no other row has
        limits; otherwise up to 25 rows have them, spread over the curve, and a row between two of them takes the
        wider limit of each, which holds because survival only falls.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, a row at time 0, one at each place where the estimate can fall, and those asked for. Inside an
        interval of the estimate the fall is not determined: it is placed at the interval's right end. `n_at_risk`
        counts the patients known to be event-free before the interval, `n_events` those whose event ends in it.
        There is no standard error: `std_error` is missing.

    Raises
    ------
    TableError
        A column or `left_day` is missing, an interval is empty, entry is delayed, or deaths compete.
    RequestError
        A time is negative or the level not between 0 and 1.

    References
    ----------
    Turnbull (1976), doi:10.1111/j.2517-6161.1976.tb01597.x. Likelihood ratio: Banerjee and Wellner (2001),
    doi:10.1214/aos/1015345959. R: interval::icfit, interval 1.1.1.0.

    Examples
    --------
    Three patients in intervals that do not overlap: a third each:

    >>> frame = pl.DataFrame({"time_day": [100, 200, 300], "is_event": [True, True, False],
    ...                       "left_day": [0, 100, 300], "right_day": [100, 200, None]})
    >>> turnbull(frame)["estimate"].round(6).to_list()
    [1.0, 0.666667, 0.333333, 0.333333]
    """
    require_conf_level(conf_level)
    if wrong := [year for year in at_years if not 0 <= year < np.inf]:
        raise RequestError(f"at_years must be >= 0 and finite; found {wrong[0]!r}.")
    require_columns("turnbull", "time_to_event", time_to_event, ("left_day", "right_day"))
    blocks = []
    for group in groups("turnbull", time_to_event):
        require_no_competing_event("turnbull", group.rows)
        if group.entry is not None:
            raise TableError("turnbull takes no delayed entry; use kaplan_meier, or start risk at time zero.")
        blocks.append(_block(group, conf_level, [year * DAYS_PER_YEAR for year in at_years]))
    return curve_frame(blocks)


def bounds(rows: pl.DataFrame, function: str = "turnbull") -> tuple[Floats, Floats]:
    """Return left and right as arrays (right infinite where censored), or raise a TableError that names the row."""
    wrong = rows.filter(
        (pl.col("left_day").is_null()) | (pl.col("right_day") < pl.col("left_day")).fill_null(False)
    )
    if wrong.height:
        raise TableError(
            f"{function} needs left_day, not after right_day; {wrong.height} of {rows.height} rows have not, "
            f"the first is row {wrong['_row'][0]} of `time_to_event`."
        )
    both = rows.select(
        pl.col("left_day").cast(pl.Float64), pl.col("right_day").cast(pl.Float64).fill_null(np.inf)
    )
    return both["left_day"].to_numpy().copy(), both["right_day"].to_numpy().copy()


def _block(group: Group, conf_level: float, at: Sequence[float]) -> dict[str, object]:
    left, right = bounds(group.rows)
    fit = npmle(left, right)
    censored = np.isinf(right)
    own = np.concatenate((fit.upper[np.isfinite(fit.upper)], [0.0, left.max(initial=0.0)]))
    ends = np.unique(np.concatenate((own, at)))
    rows = np.searchsorted(ends, at) if at else _spread(ends.size)
    limits = np.full((2, ends.size), np.nan)
    limits[:, rows] = likelihood_ratio_limits(left, right, ends[rows], conf_level=conf_level)
    if not at:
        between = np.arange(ends.size)
        limits = np.stack(
            (
                limits[0, rows[np.searchsorted(rows, between)]],
                limits[1, rows[np.searchsorted(rows, between, side="right") - 1]],
            )
        )
    not_reached = "" if fit.gap <= _GAP else f", optimum reached to {fit.gap:.1g} only"
    return {
        **group.labels,
        "time_years": ends / DAYS_PER_YEAR,
        "n_at_risk": np.array([np.sum(right > end) for end in np.concatenate(([0.0], ends[:-1]))]),
        "n_events": _counts(right[~censored], ends),
        "n_censored": _counts(left[censored], ends),
        "estimate": survival_at(fit, ends),
        "std_error": np.full(ends.size, np.nan),
        "lower": limits[0],
        "upper": limits[1],
        "conf_level": conf_level,
        "method": f"Turnbull, interval-censored{not_reached}, likelihood ratio",
    }


def survival_at(fit: Npmle, at: Floats) -> Floats:
    """Return the probability of no event up to each time; a mass counts from its interval's right end."""
    survival = np.concatenate(([1.0], 1 - np.cumsum(fit.mass)))
    return np.clip(survival[np.searchsorted(fit.upper, at, side="right")], 0.0, 1.0)


def _limits(rows: Rows, node: int, quantile: float) -> tuple[float, float]:
    """Return lower and upper limit of the survival probability at a node: Newton on the root of the deviance."""
    best = maximise_places(rows)
    estimate, top = float(best.mass[best.used >= node].sum() / best.mass.sum()), best.loglik
    n = float(rows.weight.sum())
    extreme = np.array([60.0, 1e-12])  # hazards beyond which there is only probability 0 or 1
    if np.any(rows.last < node) and np.any(rows.first >= node):
        sides = np.arange(2)  # a sure event before and one after: neither probability is possible
    else:
        furthest, _ = maximise_held(rows, node, extreme, at_once=True)
        sides = np.flatnonzero(2 * (top - furthest) > quantile)
    # log hazards: brackets from the estimate outwards, and the score limits of a proportion to start from
    near = np.full(2, np.log(-np.log(min(max(estimate, 1e-12), 1 - 1e-12))))[sides]
    far = np.log(extreme)[sides]
    half = np.sqrt(quantile * (n * estimate * (1 - estimate) + quantile / 4))
    start = (n * estimate + quantile / 2 + np.array([-half, half])) / (n + quantile)
    now = np.log(-np.log(np.clip(start, 1e-10, 1 - 1e-10)))[sides]
    for _ in range(50 if sides.size else 0):
        loglik, pull = maximise_held(rows, node, np.exp(now))
        deviance = np.maximum(2 * (top - loglik), 1e-12)
        miss = np.sqrt(deviance) - np.sqrt(quantile)
        if np.all(np.abs(miss) < 1e-9):
            break
        slope = -pull * np.exp(now) / np.sqrt(deviance)
        far, near = np.where(miss > 0, now, far), np.where(miss > 0, near, now)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = now - miss / slope
        is_inside = (newton > np.minimum(near, far)) & (newton < np.maximum(near, far))
        now = np.where(is_inside, newton, (near + far) / 2)
    limits = np.array([0.0, 1.0])
    limits[sides] = np.exp(-np.exp(now))
    return float(limits[0]), float(limits[1])


def _spread(size: int) -> Counts:
    """Return up to 25 row numbers from first to last."""
    return np.unique(np.linspace(0, size - 1, min(size, _MOST_LIMITS)).round().astype(np.int64))


def _counts(days: Floats, ends: Floats) -> Counts:
    """Return how many days lie in each (previous end, end]; later ones count at the last."""
    place = np.minimum(np.searchsorted(ends, days, side="left"), ends.size - 1)
    return np.bincount(place, minlength=ends.size)
