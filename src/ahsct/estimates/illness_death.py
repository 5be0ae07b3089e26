"""The panel illness-death model: an event that visits find, death to the day, before or after it, seen or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import Group, groups
from ahsct.estimates._intervals import pointwise, require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.panel_fit import PanelMarkov, fit_panel_markov
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.turnbull import bounds
from ahsct.vocabulary import require_columns

FREE, EVENT, DEAD, ALIVE = "free", "event", "dead", "alive"
_WAYS = ((FREE, EVENT), (FREE, DEAD), (EVENT, DEAD))


def illness_death(
    time_to_event: pl.DataFrame,
    survival: pl.DataFrame,
    *,
    at_years: Sequence[float],
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Cumulative incidence of a visit-detected event, those included that death hid.

    Constant intensities free -> event, free -> dead, event -> dead, from `fit_panel_markov`; with $s = q_{01} + q_{02}$,

    $$F_1(t) = \frac{q_{01}}{s} (1 - e^{-st})$$

    A patient who dies some time after the last visit may have had the event unseen: the likelihood weighs that by how
    fast those with the event die, where `competing_npmle` can only bound it.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT of one component: `left_day` (last visit without the event), `right_day` (the visit that
        found it; exact where equal to `left_day`). A row whose `cause` is "competing_..." had no event.
    survival
        Schema TIME_TO_EVENT of overall survival from the same time zero: `patient_id`, `time_day`, `is_event`. Those
        alive after the event count as much as those who died after it; without them its mortality would be far too high.
    at_years
        Times wanted, > 0.
    conf_level
        Two-sided; delta method on the log(-log F) scale.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: "cumulative_incidence" (`term` "event") and the three "transition_intensity", per endpoint and
        arm. Where the intensities cannot be told apart there is one row whose note says why: with few deaths after the
        event seen, for one.

    Raises
    ------
    TableError
        A column is missing, an interval is empty, or entry is delayed.
    RequestError
        A time is not above 0.

    References
    ----------
    Joly, Commenges, Helmer and Letenneur (2002), doi:10.1093/biostatistics/3.3.433 (the model); see `fit_panel_markov`.

    Examples
    --------
    Of the intensities 0.5158 and 0.1155 by hand 0.5158 / 0.6313 (1 - exp(-0.6313)) = 0.3825:

    >>> frame = pl.DataFrame({"patient_id": list("abcdef"), "left_day": [0, 180, 360, 360, 180, 360], "right_day": [180, 360, None, None, None, None],
    ...     "time_day": [180, 360, 400, 400, 300, 400], "is_event": [True, True, False, False, False, False], "cause": None})
    >>> survival = pl.DataFrame({"patient_id": list("abcdef"), "time_day": [500, 900, 400, 400, 300, 400],
    ...                          "is_event": [True, False, False, False, True, False]})
    >>> illness_death(frame, survival, at_years=[1]).select("term", pl.col("estimate").round(4)).rows()[:3]
    [('event', 0.3825), ('free -> event', 0.5158), ('free -> dead', 0.1155)]
    """
    require_conf_level(conf_level)
    if not at_years or not all(0 < year < np.inf for year in at_years):
        raise RequestError(f"at_years must be one or more times > 0; found {list(at_years)}.")
    needed = ("patient_id", "left_day", "right_day", "cause")
    require_columns("illness_death", "time_to_event", time_to_event, needed)
    require_columns("illness_death", "survival", survival, ("patient_id", "time_day", "is_event"))
    rows: list[dict[str, Any]] = []
    for group in groups("illness_death", time_to_event):
        if group.entry is not None:
            raise TableError("illness_death takes no delayed entry; start risk at time zero.")
        rows += _rows(group, survival, at_years, conf_level)
    return results_frame(rows)


def illness_death_observations(rows: pl.DataFrame, survival: pl.DataFrame) -> pl.DataFrame:
    """Return what was seen of each patient when (`patient_id`, `day`, `state`), for `fit_panel_markov`.

    Free on day 0 and at the last visit without the event, the event at the visit that found it, then dead on the day or
    alive (where no event was found: with or without one) on the last day.

    Raises
    ------
    TableError
        A patient has no row of survival, or several.
    """
    left, right = bounds(rows, "illness_death")
    again = survival.height - survival["patient_id"].n_unique()
    lived = dict(survival.select("patient_id", pl.struct("time_day", "is_event")).rows())
    lacking = [patient for patient in rows["patient_id"] if patient not in lived]
    if lacking or again:
        raise TableError(
            f"illness_death needs one row of `survival` per patient; {len(lacking)} of {rows.height} have none, {again} "
            "rows repeat one."
        )
    seen: list[tuple[Any, float, str]] = []
    competing = rows["cause"].cast(pl.String).str.starts_with("competing_").fill_null(False)
    found = (rows["is_event"] & ~competing).to_list()
    for patient, is_found, low, high in zip(rows["patient_id"].to_list(), found, left, right, strict=True):
        last, died = float(lived[patient]["time_day"]), bool(lived[patient]["is_event"])
        days: dict[float, str] = {0.0: FREE}
        if low > 0 and not (is_found and low == high):
            days[float(low)] = FREE
        if is_found:
            days[float(high)] = EVENT
        if died:  # on the day of a visit death came after it
            days = {one: state for one, state in days.items() if one < last} | {last: DEAD}
        elif last > max(days):
            days[last] = EVENT if is_found else ALIVE  # nobody leaves the event but by death
        seen += [(patient, one, state) for one, state in days.items()]
    return pl.DataFrame(
        seen,
        schema={"patient_id": rows.schema["patient_id"], "day": pl.Float64, "state": pl.String},
        orient="row",
    )


def incidence_of_event(fit: PanelMarkov, years: float) -> tuple[float, float]:
    """Return the cumulative incidence of the event and its standard error by the delta method."""
    a, b = (float(rate) for rate in np.exp(fit.log_rates[:2]))
    s = a + b
    gone = -np.expm1(-s * years)
    late = a / s * years * (1 - gone)
    slope = np.array([a * (b / s**2 * gone + late), b * (-a / s**2 * gone + late)])
    return a / s * gone, float(np.sqrt(slope @ fit.covariance[:2, :2] @ slope))


def _rows(
    group: Group, survival: pl.DataFrame, at_years: Sequence[float], conf_level: float
) -> list[dict[str, Any]]:
    columns: dict[str, Any] = {
        **group.labels,
        "n": group.rows.height,
        "method": "panel illness-death model, constant intensities, death exact",
        "conf_level": conf_level,
    }
    try:
        fit = fit_panel_markov(
            illness_death_observations(group.rows, survival), states=(FREE, EVENT, DEAD), transitions=_WAYS, death=DEAD, alive=ALIVE
        )  # fmt: skip
    except TableError as problem:
        if not str(problem).startswith("The data cannot tell"):
            raise
        row: dict[str, Any] = {"statistic": "cumulative_incidence", "unit": "probability", "term": EVENT}
        return [result(**columns, **row, time_years=years, note=str(problem)) for years in at_years]
    rows = []
    for years in at_years:
        value, error = incidence_of_event(fit, years)
        lower, upper = _limits(value, error, conf_level)
        rows.append(
            result(
                **columns, statistic="cumulative_incidence", unit="probability", term=EVENT, time_years=years,
                estimate=value, std_error=error, lower=lower, upper=upper,
            )
        )  # fmt: skip
    for (start, end), log_rate, variance in zip(_WAYS, fit.log_rates, np.diag(fit.covariance), strict=True):
        error = float(np.sqrt(variance))
        half = _normal(conf_level) * error
        rows.append(
            result(
                **columns, statistic="transition_intensity", unit="per patient-year", unit_of_analysis="patient_year",
                term=f"{start} -> {end}", estimate=float(np.exp(log_rate)), std_error=error,
                lower=float(np.exp(log_rate - half)), upper=float(np.exp(log_rate + half)),
            )
        )  # fmt: skip
    return rows


def _limits(value: float, error: float, conf_level: float) -> tuple[float, float]:
    one: Floats = np.array([value])
    lower, upper = pointwise(one, np.array([error]), interval="log-log", conf_level=conf_level)
    return float(lower[0]), float(upper[0])


def _normal(conf_level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(1 - (1 - conf_level) / 2))
