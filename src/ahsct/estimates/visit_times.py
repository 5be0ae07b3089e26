"""What treating the day of detection as the day of the event changed, for every endpoint that visits detect."""

from __future__ import annotations

from typing import Any

import polars as pl

from ahsct.definitions import Definition
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.milestones import milestone
from ahsct.estimates.rows import result, results_frame, stamp
from ahsct.estimates.turnbull import turnbull
from ahsct.vocabulary import DAYS_PER_YEAR, RESULTS, empty

_DETECTED = "detected_survival_probability"
_INTERVAL = "interval_censored_survival_probability"
_CHANGE = "interval_censored_minus_detected"


def visit_time_rows(time_to_event: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return each endpoint at the primary milestone with exact days of detection, and interval-censored.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, of the definition.
    definition
        Its endpoints, interval and primary milestone.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS; per endpoint (composite), estimand and arm: "detected_survival_probability"
        (Kaplan-Meier, as `milestone` gives it), "interval_censored_survival_probability" (Turnbull, likelihood
        ratio) and "interval_censored_minus_detected" (no interval: both come from the same patients). Endpoints
        whose every event is known to the day have no rows. Where events compete the first two are not probabilities
        of survival: left out, as `competing_npmle` answers there. With a late start of risk the second is
        missing, with a note.
    """
    years = definition.primary_milestone_days / DAYS_PER_YEAR
    parts = [empty(RESULTS)]
    composites = time_to_event.filter(pl.col("component") == "composite")
    for endpoint in definition.endpoints:
        for id in endpoint.estimands:
            own = composites.filter((pl.col("endpoint") == endpoint.id) & (pl.col("estimand") == id))
            for arm in own["arm"].unique().sort():
                asked = own.filter(pl.col("arm") == arm)
                group = asked.filter("is_evaluable")
                if is_visit_detected(group):
                    rows = _three(group, definition, years)
                    parts.append(stamp(rows, n_not_evaluable=asked.height - group.height))
    return pl.concat(parts)


def is_visit_detected(group: pl.DataFrame) -> bool:
    """Return whether some event is only known to lie in an interval, and none competes."""
    events = group.filter("is_event")
    competes = events["cause"].str.starts_with("competing_").any()
    return bool((events["left_day"] < events["right_day"]).any()) and not competes


def interval_censored_milestone(group: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return the primary milestone of one endpoint and arm, interval-censored; a note where that cannot be."""
    years = definition.primary_milestone_days / DAYS_PER_YEAR
    if not (group["entry_day"] > 0).any():
        curve = turnbull(group, conf_level=definition.conf_level, at_years=[years])
        return milestone(curve, at_years=years)
    labels = ("endpoint", "component", "definition", "estimand", "population", "arm")
    row = result(
        **group.select(labels).row(0, named=True),
        statistic="survival_probability",
        unit="probability",
        n=group.height,
        time_years=years,
        method="Turnbull, interval-censored",
        note="risk starts late; no interval-censored estimate with delayed entry",
    )
    return results_frame([row])


def _three(group: pl.DataFrame, definition: Definition, years: float) -> pl.DataFrame:
    curve = kaplan_meier(group, interval=definition.interval, conf_level=definition.conf_level)
    detected = milestone(curve, at_years=years)
    censored = interval_censored_milestone(group, definition)
    first, second = detected.row(0, named=True), censored.row(0, named=True)
    both = first["estimate"] is not None and second["estimate"] is not None
    change: dict[str, Any] = {
        **{key: first[key] for key in RESULTS if key not in ("lower", "upper", "conf_level", "std_error")},
        "statistic": _CHANGE,
        "estimate": round(second["estimate"] - first["estimate"], 9) + 0.0 if both else None,
        "method": "interval-censored less as detected",
        "note": "no interval: both come from the same patients"
        if both
        else "one of the two is missing; see its note",
    }
    return pl.concat(
        [stamp(detected, statistic=_DETECTED), stamp(censored, statistic=_INTERVAL), results_frame([change])]
    )
