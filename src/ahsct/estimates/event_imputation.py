"""Multiple imputation of event times after early censoring: at random, or with the reference arm's hazard.

A patient who leaves early may fare worse than those who stay; how much worse changes the answer is what the
tipping point shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._comparisons import one_sided_error
from ahsct.estimates._groups import groups, require_no_competing_event
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._values import arms_of
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.rubin import pooled_row
from ahsct.vocabulary import DAYS_PER_YEAR

Array = npt.NDArray[np.float64]

EVENT_ASSUMPTIONS = {
    "censored_at_random": "censored at random: the own arm's hazard goes on",
    "jump_to_reference": "jump to reference: after leaving, the reference arm's hazard",
}


def impute_events(
    time_to_event: pl.DataFrame,
    *,
    horizon_day: int,
    assumption: str = "censored_at_random",
    hazard_factor: float = 1.0,
    reasons: Sequence[str] | None = None,
    cut_days: Sequence[float] = (),
    reference_arm: str | None = None,
    n_imputations: int = 100,
    seed: int = 1,
) -> Iterator[pl.DataFrame]:
    r"""Yield the table with an event, or freedom from it up to the horizon, for those censored before it.

    The hazard of an arm is constant between cuts; of each imputation it is drawn from its posterior,
    Gamma(events + 1/2, time at risk) (Jeffreys' prior), and the time after censoring from that hazard.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, one endpoint, everybody at risk from day 0, no competing event.
    horizon_day
        Follow-up is cut here: later days become censored on it.
    assumption
        "censored_at_random" or "jump_to_reference" (in the arms other than the reference).
    hazard_factor
        Multiplies the hazard after censoring in the arms other than the reference (the tipping point's lever).
    reasons
        Values of `censor_reason` that are imputed; all when missing.
    cut_days
        Where the hazard may change.
    reference_arm
        The first by name when missing.
    n_imputations
        How many tables, two or more.
    seed
        The same seed gives a patient the same noise under every assumption and factor.

    Yields
    ------
    pl.DataFrame
        The given columns, patients in a stated order: `time_day` and `is_event` as imputed, `time_day` at most
        the horizon.

    Raises
    ------
    TableError
        There is nobody evaluable or in the reference arm, more than one curve in an arm, delayed entry, a competing
        event, or a piece of the hazard in which nobody of an arm was at risk.
    RequestError
        The horizon or the factor is not positive, the assumption unknown, or there are fewer than two imputations.

    References
    ----------
    Atkinson, Kenward, Clayton and Carpenter (2019), doi:10.1002/pst.1954 (reference-based, events).

    Examples
    --------
    One with the event on day 10, one who left on day 40, one whose event on day 150 lies beyond the horizon: only
    the second day is drawn, after day 40, and is an event unless it is the horizon:

    >>> frame = pl.DataFrame({"patient_id": list("abc"), "arm": ["A"] * 3, "time_day": [10, 40, 150],
    ...                       "is_event": [True, False, True]})
    >>> tables = list(impute_events(frame, horizon_day=100, n_imputations=20))
    >>> {(table["time_day"][0], table["time_day"][2], table["is_event"][2]) for table in tables}
    {(10, 100, False)}
    >>> all(40 < t["time_day"][1] < 100 if t["is_event"][1] else t["time_day"][1] == 100 for t in tables)
    True
    """
    events = _Events.of(time_to_event, horizon_day, reasons, reference_arm)
    _require(assumption, hazard_factor, n_imputations)
    for day, is_event in _imputed(events, assumption, hazard_factor, cut_days, n_imputations, seed):
        yield events.frame.with_columns(time_day=pl.Series(day, dtype=pl.Int64), is_event=pl.Series(is_event))


def imputed_milestone(
    time_to_event: pl.DataFrame,
    *,
    horizon_day: int,
    assumption: str = "censored_at_random",
    hazard_factor: float = 1.0,
    reasons: Sequence[str] | None = None,
    cut_days: Sequence[float] = (),
    reference_arm: str | None = None,
    n_imputations: int = 100,
    conf_level: float = 0.95,
    seed: int = 1,
) -> pl.DataFrame:
    r"""Return the probability of no event up to the horizon by arm, and the differences, pooled over imputations.

    Each imputed data set gives a Kaplan-Meier estimate with Greenwood's error, pooled by Rubin's rules as it is
    (limits are cut at 0 and 1).

    Parameters
    ----------
    time_to_event, horizon_day, assumption, hazard_factor, reasons, cut_days, reference_arm, n_imputations, seed
        As for `impute_events`.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: "survival_probability" of each arm, then "survival_difference" against the reference arm;
        mark "assumed".

    Raises
    ------
    TableError
        As for `impute_events`.
    RequestError
        As for `impute_events`, or the level is unknown.

    References
    ----------
    Rubin (1987), doi:10.1002/9780470316696. Atkinson et al. (2019), doi:10.1002/pst.1954.

    Examples
    --------
    Everybody had the event or was followed to the horizon, so that nothing is imputed: 2 of 4 and 3 of 4 are free, and
    by hand the error of the difference is sqrt(1/16 + 3/64):

    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "arm": ["A"] * 4 + ["B"] * 4,
    ...                       "time_day": [100, 200, 365, 365, 50, 365, 365, 365],
    ...                       "is_event": [True, True, False, False, True, False, False, False]})
    >>> rows = imputed_milestone(frame, horizon_day=365, n_imputations=2)
    >>> rows.select("statistic", "arm", "estimate", pl.col("std_error").round(4)).rows()
    [('survival_probability', 'A', 0.5, 0.25), ('survival_probability', 'B', 0.75, 0.2165),
     ('survival_difference', 'B', 0.25, 0.3307)]
    """
    events = _Events.of(time_to_event, horizon_day, reasons, reference_arm)
    _require(assumption, hazard_factor, n_imputations)
    require_conf_level(conf_level)
    k = len(events.arms)
    p, se = np.zeros((n_imputations, k)), np.zeros((n_imputations, k))
    for number, (day, is_event) in enumerate(
        _imputed(events, assumption, hazard_factor, cut_days, n_imputations, seed)
    ):
        for arm in range(k):
            mine = events.arm == arm
            curve = product_limit(day[mine], is_event[mine])
            p[number, arm], se[number, arm] = curve.estimate[-1], np.nan_to_num(curve.std_error[-1])
    method = "Kaplan-Meier after multiple imputation (piecewise constant hazard), Rubin's rules"
    about = f"{EVENT_ASSUMPTIONS[assumption]}"
    if hazard_factor != 1:
        about += f", multiplied by {hazard_factor:g} in the other arms"

    def row(arms: list[int], statistic: str) -> dict[str, Any]:
        chosen = np.isin(events.arm, arms)
        estimate = p[:, arms[0]] - (p[:, arms[1]] if len(arms) == 2 else 0)
        error = np.sqrt(np.sum(se[:, arms] ** 2, axis=1))
        pooled = pooled_row(
            estimate.tolist(), error.tolist(), complete_df=float("inf"), conf_level=conf_level
        )
        if "lower" in pooled:
            low = -1.0 if len(arms) == 2 else 0.0
            pooled |= {"lower": max(low, pooled["lower"]), "upper": min(1.0, pooled["upper"])}
        if len(arms) == 1:
            pooled.pop("p_value", None)
        else:
            errors = {events.arms[arm]: float(se[:, arm].max() + np.ptp(p[:, arm])) for arm in arms}
            see = "milestone_difference has an exact interval of the times as observed"
            if claim := one_sided_error(errors, see):
                pooled["note"] += f"; {claim}"
        n_imputed = int(np.sum(events.is_open & chosen))
        return result(
            statistic=statistic,
            unit="probability",
            n=int(chosen.sum()),
            n_events=int(np.sum(events.is_event & chosen)),
            time_years=horizon_day / DAYS_PER_YEAR,
            arm=events.arms[arms[0]],
            reference_arm=events.arms[0] if len(arms) == 2 else None,
            method=method,
            mark="assumed",
            **pooled
            | {"note": f"{n_imputed} of {int(chosen.sum())} times imputed; {about}; {pooled['note']}"},
        )

    rows = [row([arm], "survival_probability") for arm in range(k)]
    return results_frame([*rows, *(row([arm, 0], "survival_difference") for arm in range(1, k))])


def event_tipping_point(
    time_to_event: pl.DataFrame, hazard_factors: Sequence[float], *, alpha: float = 0.05, **settings: Any
) -> pl.DataFrame:
    """Return `imputed_milestone`'s differences for each factor, and the first at which p reaches alpha.

    Parameters
    ----------
    time_to_event, settings
        As for `imputed_milestone`. Every factor uses the same random numbers.
    hazard_factors
        In order from the mildest.
    alpha
        The level that p has to reach.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: the differences of each factor (`term`), then for each arm "tipping_point", the first factor
        at which p is no longer below alpha; where there is none no estimate and a note.

    Raises
    ------
    TableError
        As for `imputed_milestone`.
    RequestError
        There is no factor, or as for `imputed_milestone`.

    References
    ----------
    Atkinson et al. (2019), doi:10.1002/pst.1954.

    Examples
    --------
    Two arms of four with nobody lost, 2 and 3 of 4 free: p is 0.45 whatever the factor, and the first one tips it:

    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "arm": ["A"] * 4 + ["B"] * 4,
    ...                       "time_day": [100, 200, 365, 365, 50, 365, 365, 365],
    ...                       "is_event": [True, True, False, False, True, False, False, False]})
    >>> rows = event_tipping_point(frame, [1.0, 2.0], horizon_day=365, n_imputations=2)
    >>> rows.select("statistic", "estimate", pl.col("p_value").round(2)).rows()
    [('survival_difference', 0.25, 0.45), ('survival_difference', 0.25, 0.45), ('tipping_point', 1.0, None)]
    """
    if not hazard_factors:
        raise RequestError("event_tipping_point needs one or more hazard_factors.")
    tables = [
        imputed_milestone(time_to_event, hazard_factor=factor, **settings)
        .filter(pl.col("statistic") == "survival_difference")
        .with_columns(term=pl.lit(f"hazard factor {factor:g}"))
        for factor in hazard_factors
    ]
    rows = []
    for k in range(tables[0].height):
        first = tables[0].row(k, named=True)
        p_values = [table["p_value"][k] for table in tables]
        tipped = [f for f, p in zip(hazard_factors, p_values, strict=True) if p is not None and p >= alpha]
        note = None
        if not tipped:
            note = f"p stays below {alpha:g}, or there is none, up to {hazard_factors[-1]:g}"
        elif tipped[0] == hazard_factors[0]:
            note = f"p is not below {alpha:g} at the first factor already"
        rows.append(
            result(
                **{
                    name: first[name]
                    for name in ("arm", "reference_arm", "n", "method", "mark", "time_years")
                },
                statistic="tipping_point",
                unit="hazard factor",
                estimate=tipped[0] if tipped else None,
                note=note,
            )
        )
    return pl.concat([*tables, results_frame(rows)])


@dataclass(frozen=True, kw_only=True)
class _Events:
    """Times cut at the horizon; `is_open` marks those to be imputed; `arm` is the place in `arms`."""

    frame: pl.DataFrame
    time: Array
    is_event: npt.NDArray[np.bool_]
    is_open: npt.NDArray[np.bool_]
    arm: npt.NDArray[np.intp]
    arms: list[str]
    horizon: int

    @classmethod
    def of(
        cls,
        time_to_event: pl.DataFrame,
        horizon_day: int,
        reasons: Sequence[str] | None,
        reference_arm: str | None,
    ) -> _Events:
        if not horizon_day > 0:
            raise RequestError(f"horizon_day must be positive; found {horizon_day!r}.")
        found = list(groups("impute_events", time_to_event))
        if not found:
            raise TableError("impute_events: `time_to_event` has no evaluable patient.")
        for group in found:
            require_no_competing_event("impute_events", group.rows)
            if group.entry is not None:
                raise TableError("impute_events needs everybody at risk from day 0; there is delayed entry.")
        rows = pl.concat([group.rows for group in found])
        names = [str(group.labels["arm"]) for group in found]
        if len(set(names)) < len(names):
            raise TableError("impute_events takes one endpoint, component and estimand at a time.")
        frame = rows.sort("arm", "patient_id") if "patient_id" in rows.columns else rows
        day = frame["time_day"].to_numpy().astype(float)
        is_late = day > horizon_day
        is_event = frame["is_event"].to_numpy().astype(bool) & ~is_late
        is_open = ~is_event & (day < horizon_day)
        if reasons is not None:
            if "censor_reason" not in frame.columns:
                raise TableError("impute_events: `reasons` need a column `censor_reason`.")
            is_open &= frame["censor_reason"].is_in(list(reasons)).fill_null(False).to_numpy()
        arms = arms_of(frame, reference_arm)
        return cls(
            frame=frame.drop("_row"),
            time=np.minimum(day, horizon_day),
            is_event=is_event,
            is_open=is_open,
            arm=np.array([arms.index(a) for a in frame["arm"]], dtype=np.intp),
            arms=arms,
            horizon=horizon_day,
        )


def _imputed(
    events: _Events,
    assumption: str,
    hazard_factor: float,
    cut_days: Sequence[float],
    n_imputations: int,
    seed: int,
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
    """Yield days and event flags; the noise of a patient is the same under every assumption and factor."""
    edges = np.array([0.0, *sorted(c for c in cut_days if 0 < c < events.horizon), events.horizon])
    counts, risk = _exposure(events, edges)
    for number in range(n_imputations):
        draw = random_stream(seed, stream="imputation_events", patient=number)
        hazards = draw.standard_gamma(counts + 0.5) / risk
        wait = draw.standard_exponential(events.time.size)
        day, is_event = events.time.copy(), events.is_event.copy()
        for i in np.flatnonzero(events.is_open):
            arm = int(events.arm[i])
            own = hazards[0] if assumption == "jump_to_reference" else hazards[arm]
            at = _time_after(events.time[i], wait[i], own * (hazard_factor if arm else 1.0), edges)
            is_event[i] = at <= events.horizon
            day[i] = np.ceil(at) if is_event[i] else events.horizon
        yield day.astype(np.int64), is_event


def _exposure(events: _Events, edges: Array) -> tuple[Array, Array]:
    """Return events and days at risk (arms x pieces); an event on a cut belongs to the piece it ends."""
    inside = np.clip(events.time[:, None] - edges[:-1], 0, np.diff(edges))
    piece = np.clip(np.searchsorted(edges, events.time, side="left") - 1, 0, edges.size - 2)
    counts = np.zeros((len(events.arms), edges.size - 1))
    risk = np.zeros_like(counts)
    for arm in range(len(events.arms)):
        mine = events.arm == arm
        risk[arm] = inside[mine].sum(axis=0)
        counts[arm] = np.bincount(piece[mine & events.is_event], minlength=edges.size - 1)
    if (risk == 0).any():
        arm, place = np.argwhere(risk == 0)[0]
        raise TableError(
            f"nobody of arm {events.arms[arm]!r} was at risk between day {edges[place]:g} and "
            f"{edges[place + 1]:g}: the hazard there is unknown. Use fewer cut_days or an earlier horizon_day."
        )
    return counts, risk


def _time_after(start: float, wait: float, hazard: Array, edges: Array) -> float:
    """Return when the cumulative hazard since `start` reaches `wait`; infinity beyond the last edge.

    Examples
    --------
    Hazard 0.1 up to day 10 and 0.2 up to day 20; from day 5 on 0.5 is used up at day 10, 1 more at day 15:

    >>> _time_after(5.0, 1.5, np.array([0.1, 0.2]), np.array([0.0, 10.0, 20.0]))
    15.0
    """
    for piece, rate in enumerate(hazard):
        begin, end = max(start, float(edges[piece])), float(edges[piece + 1])
        if end <= begin:
            continue
        if wait <= rate * (end - begin):
            return begin + wait / float(rate)
        wait -= float(rate) * (end - begin)
    return float("inf")


def _require(assumption: str, hazard_factor: float, n_imputations: int) -> None:
    if assumption not in EVENT_ASSUMPTIONS:
        raise RequestError(
            f"No assumption {assumption!r}; known are {', '.join(EVENT_ASSUMPTIONS)}."
            f"{did_you_mean(assumption, EVENT_ASSUMPTIONS)}"
        )
    if not (np.isfinite(hazard_factor) and hazard_factor > 0):
        raise RequestError(f"hazard_factor must be a positive number; found {hazard_factor!r}.")
    if n_imputations < 2:
        raise RequestError(f"n_imputations must be 2 or more; found {n_imputations}.")
