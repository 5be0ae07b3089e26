"""Cumulative incidence where one cause is only seen at visits and the other, death, is known to the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._groups import Group, groups
from ahsct.estimates._interval_npmle import intersections
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._mixture_npmle import maximise_mixture
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.competing import require_causes
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

UNSEEN = {
    "none": "no unseen event before a death",
    "all": "every death after an unseen event",
}
_GAP = 1e-8


class Observed(NamedTuple):
    """Per patient: the event lies in (left, right] (right infinite: not seen), or death on day `death` (infinite: none).

    Who was lost without either was free of the event at `left` and alive at `last`.
    """

    left: Floats
    right: Floats
    death: Floats
    last: Floats


def competing_npmle(
    time_to_event: pl.DataFrame,
    *,
    at_years: Sequence[float],
    death: str = "competing_death",
    unseen: str = "none",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Non-parametric maximum likelihood of both cumulative incidences.

    An event seen first at a visit adds $\log (F_1(r) - F_1(l))$, a death $\log \Delta F_2(d)$, a patient lost to sight
    $\log (1 - F_1(l) - F_2(c))$ with l the last visit without the event and c the last day alive. Maximised over all
    pairs of sub-distributions; the Kuhn-Tucker conditions are checked.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT of an estimand under which deaths compete: `left_day`, `right_day`, `time_day` (of a death:
        its day; without an event: the last day alive), `cause`.
    at_years
        Times wanted, > 0.
    death
        The cause whose day is exact; every other cause is the event.
    unseen
        "none": had there been an event between the last visit and a death, it would have been known; "all": there was
        one before every death that followed the last visit. The truth lies between the two; a model of what follows
        the event (`panel_markov` with three states) can say where.
    conf_level
        Two-sided; likelihood-ratio limits (see `likelihood_ratio_limits`).

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: statistic "cumulative_incidence" per time, for the event (`term` "event") and for the death. A
        time beyond all follow-up has a note instead of a number.

    Raises
    ------
    TableError
        A column is missing, an event has no cause, an interval is empty, or entry is delayed.
    RequestError
        A word or time cannot be.

    References
    ----------
    Hudgens, Satten and Longini (2001), doi:10.1111/j.0006-341X.2001.00074.x.

    Examples
    --------
    Of four, one progressed by the visit on day 100, one died on day 150; by hand 1/4 and 1/4 at half a year:

    >>> frame = pl.DataFrame({"time_day": [100, 150, 400, 400], "left_day": [0, 150, 400, 400], "is_event": [True, True, False, False],
    ...     "right_day": [100, 150, None, None], "cause": ["progression", "competing_death", None, None]})
    >>> competing_npmle(frame, at_years=[0.5]).select("term", pl.col("estimate").round(6)).rows()
    [('event', 0.25), ('competing_death', 0.25)]
    """
    quantile = float(chdtri(1, 1 - require_conf_level(conf_level)))
    if unseen not in UNSEEN:
        raise RequestError(
            f"No {unseen!r} for `unseen`; known are {', '.join(UNSEEN)}.{did_you_mean(unseen, UNSEEN)}"
        )
    if not at_years or not all(0 < year < np.inf for year in at_years):
        raise RequestError(f"at_years must be one or more times > 0; found {list(at_years)}.")
    require_columns("competing_npmle", "time_to_event", time_to_event, ("left_day", "right_day", "cause"))
    rows = []
    for group in groups("competing_npmle", time_to_event):
        require_causes("competing_npmle", group.rows)
        if group.entry is not None:
            raise TableError("competing_npmle takes no delayed entry; start risk at time zero.")
        rows += _rows(group, at_years, death, unseen, quantile, conf_level)
    return results_frame(rows)


def incidence_at(
    observed: Observed, at: Floats, *, quantile: float | None = 3.841458820694124
) -> tuple[Floats, Floats, float]:
    """Return both cumulative incidences at each time, their limits, and how far the optimum is missed.

    Estimates have shape (2, times), limits (2, times, 2). Without a quantile of chi-squared there are no limits (0 and 1).
    """
    inside, cause, upper, weight = _places(observed, None)
    fit = maximise_mixture(inside, weight)
    # inside a place the mass stands at its end; for the limits it may lie on either side of the time
    estimate = np.array(
        [[fit.mass[(cause == k) & (upper <= time)].sum() for time in at] for k in range(2)]
    ).clip(0, 1)
    limits = np.tile([0.0, 1.0], (2, len(at), 1))
    for i, time in enumerate(at if quantile is not None else []):
        inside, cause, upper, weight = _places(observed, float(time))
        for k in range(2):
            chosen, own = (cause == k) & (upper <= time), float(estimate[k, i])
            for side, end in enumerate((0.0, 1.0)):
                limits[k, i, side] = _limit(inside, weight, chosen, own, fit.loglik, quantile or 0.0, end)
    return estimate, limits, fit.gap


def _places(observed: Observed, at: float | None) -> tuple[Floats, npt.NDArray[np.int64], Floats, Floats]:
    """Return which place each distinct observation holds, each place's cause and end, and the observations' counts."""
    is_death = np.isfinite(observed.death)
    alive = ~is_death
    cut = np.array([] if at is None else [at])
    found = intersections(observed.left[alive], observed.right[alive], cut)
    # the last place of the event reaches beyond all follow-up: it stands for whatever comes later
    own_upper = found.upper
    days = np.unique(np.concatenate((observed.death[is_death], cut)))
    inside = np.zeros((observed.left.size, own_upper.size + days.size))
    numbers = np.arange(own_upper.size)
    inside[np.flatnonzero(alive)[:, None], numbers] = (numbers >= found.first[:, None]) & (
        numbers <= found.last[:, None]
    )
    deaths = inside[:, own_upper.size :]
    deaths[is_death] = observed.death[is_death][:, None] == days
    lost = alive & np.isinf(observed.right)
    deaths[lost] = days > observed.last[lost][:, None]
    rows, counts = np.unique(inside, axis=0, return_counts=True)
    cause = np.repeat([0, 1], [own_upper.size, days.size])
    return rows, cause, np.concatenate((own_upper, days)), counts.astype(np.float64)


def _limit(
    inside: Floats,
    weight: Floats,
    chosen: npt.NDArray[np.bool_],
    estimate: float,
    top: float,
    quantile: float,
    end: float,
) -> float:
    """Return the share towards `end` at which twice the log-likelihood lies `quantile` lower; `end` where none does."""
    sign = 1.0 if end else -1.0

    def fall(share: float) -> tuple[float, float]:
        fit = maximise_mixture(inside, weight, fixed=chosen, share=share, optimum=1e-11)
        return 2 * (top - fit.loglik), -2 * fit.slope

    edge = 1 - 1e-9 if end else 1e-9
    if abs(end - estimate) < 1e-7 or fall(edge)[0] < quantile:
        return end
    n = float(weight.sum())
    half = np.sqrt(quantile * (n * estimate * (1 - estimate) + quantile / 4))
    near, far = estimate, edge
    now = float(np.clip((n * estimate + quantile / 2 + sign * half) / (n + quantile), 1e-8, 1 - 1e-8))
    for _ in range(60):
        deviance, slope = fall(now)
        root = np.sqrt(max(deviance, 1e-14))
        if abs(root - np.sqrt(quantile)) < 1e-8:
            break
        near, far = (near, now) if root > np.sqrt(quantile) else (now, far)
        new = now + 2 * root * (np.sqrt(quantile) - root) / slope if slope * sign > 0 else np.inf
        now = new if min(near, far) < new < max(near, far) else (near + far) / 2
    return now


def _observed(rows: pl.DataFrame, death: str, unseen: str) -> Observed:
    wrong = rows.filter(
        pl.col("left_day").is_null() | (pl.col("right_day") < pl.col("left_day")).fill_null(False)
    )
    if wrong.height:
        raise TableError(
            f"competing_npmle needs left_day, not after right_day; {wrong.height} of {rows.height} rows have not, the "
            f"first is row {wrong['_row'][0]} of `time_to_event`."
        )
    day = pl.col("time_day").cast(pl.Float64)
    is_death = (pl.col("is_event") & (pl.col("cause") == death)).fill_null(False)
    # with "all", a death after the last visit is an event between the two
    is_exact = is_death if unseen == "none" else is_death & (pl.col("left_day") >= pl.col("time_day"))
    right = pl.when(is_death).then(day).when("is_event").then(pl.col("right_day").cast(pl.Float64))
    frame = rows.select(
        left=pl.col("left_day").cast(pl.Float64),
        right=right.fill_null(np.inf),
        death=pl.when(is_exact).then(day).otherwise(np.inf),
        last=day,
    )
    return Observed(*(frame[name].to_numpy().copy() for name in Observed._fields))


def _rows(
    group: Group, at_years: Sequence[float], death: str, unseen: str, quantile: float, conf_level: float
) -> list[dict[str, Any]]:
    observed = _observed(group.rows, death, unseen)
    last = max(float(observed.last.max()), float(observed.left.max()))
    at = np.array([years * DAYS_PER_YEAR for years in at_years])
    is_beyond = at > last * (1 + 1e-9)
    estimate, limits, gap = incidence_at(observed, at[~is_beyond], quantile=quantile)
    is_event = np.isfinite(observed.right) & np.isinf(observed.death)
    seen = (int(is_event.sum()), int(np.isfinite(observed.death).sum()))
    method = f"interval-censored competing risks ({UNSEEN[unseen]}), likelihood ratio"
    if gap > _GAP:
        method += f", optimum reached to {gap:.1g} only"
    rows = []
    for years, late, place in zip(at_years, is_beyond, np.cumsum(~is_beyond) - 1, strict=True):
        for k, term in enumerate(("event", death)):
            columns: dict[str, Any] = {
                **group.labels,
                "statistic": "cumulative_incidence",
                "unit": "probability",
                "term": term,
                "time_years": years,
                "n": group.rows.height,
                "n_events": seen[k],
                "conf_level": conf_level,
                "method": method,
            }
            if late:
                note = f"follow-up ends at {last / DAYS_PER_YEAR:.4g} years: not extrapolated"
                rows.append(result(**columns, note=note))
            else:
                lower, upper = limits[k, place]
                rows.append(result(**columns, estimate=estimate[k, place], lower=lower, upper=upper))
    return rows
