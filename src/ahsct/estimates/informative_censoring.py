"""When follow-up ends for a reason that tells of the outcome, such as a restarted drug: bounds and weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._glm import design, logistic, require_full_rank
from ahsct.estimates._groups import LABELS, curve_frame, groups
from ahsct.estimates._intervals import require_conf_level, require_interval
from ahsct.estimates._risk_table import Floats
from ahsct.estimates._weighted_survival import Estimation, weighted_block, weighted_product_limit
from ahsct.estimates.arms import add_note
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.milestones import milestone
from ahsct.estimates.rows import results_frame, stamp
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

_PERIODS = ("patient_id", "start_day", "stop_day", "is_event", "is_censored")


def censoring_bounds(
    time_to_event: pl.DataFrame,
    *,
    reason: str = "dmt_restart",
    at_years: float,
    interval: str = "log-log",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Return how far a milestone can move whatever became of the patients censored for one reason.

    Worst case: each had the event on the day of the censoring. Best case: none had it up to the milestone (or up to
    the own censoring, where that is later). No model stands behind either; the truth under the hypothetical estimand
    lies between them, the uncertainty of sampling apart.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, as for `kaplan_meier`; `censor_reason` says why a patient was censored.
    reason
        Text that the reason of the patients in question contains.
    at_years
        The milestone [years], >= 0.
    interval, conf_level
        As for `kaplan_meier`.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: the rows of `milestone` with `term` "censored for <reason>: as observed", "...: worst case"
        and "...: best case", the two marked assumed; the note counts the patients in question.

    Raises
    ------
    TableError
        As for `kaplan_meier`, or `censor_reason` is missing.

    References
    ----------
    Manski (1990), American Economic Review 80:319-323.

    Examples
    --------
    Of four patients one restarts a drug at 1 year; by hand 3/4 and 3/4 x 2/3 observed:

    >>> frame = pl.DataFrame({"time_day": [200, 365, 800, 1500], "is_event": [True, False, True, False],
    ...                       "censor_reason": [None, "censored at dmt_restart", None, "end of follow-up"]})
    >>> rows = censoring_bounds(frame, at_years=3).filter(pl.col("method").str.starts_with("Kaplan"))
    >>> rows.select(pl.col("term").str.split(": ").list.last(), "estimate").rows()
    [('as observed', 0.375), ('worst case', 0.25), ('best case', 0.5)]
    """
    require_columns(
        "censoring_bounds", "time_to_event", time_to_event, ("time_day", "is_event", "censor_reason")
    )
    is_meant = (~pl.col("is_event") & pl.col("censor_reason").str.contains(reason, literal=True)).fill_null(
        False
    )
    horizon = int(np.ceil(at_years * DAYS_PER_YEAR))
    frames = []
    for group in groups("censoring_bounds", time_to_event):
        observed = group.rows.drop("_row")
        worst = observed.with_columns(is_event=pl.col("is_event") | is_meant)
        if "cause" in observed.columns:
            worst = worst.with_columns(
                cause=pl.when(observed.select(is_meant).to_series()).then(pl.lit(reason)).otherwise("cause")
            )
        best_day = (
            pl.when(is_meant).then(pl.max_horizontal("time_day", pl.lit(horizon))).otherwise("time_day")
        )
        scenarios = {
            "as observed": observed,
            "worst case": worst,
            "best case": observed.with_columns(time_day=best_day),
        }
        told = f"{observed.filter(is_meant).height} of {observed.height} censored for {reason}"
        for name, frame in scenarios.items():
            rows = milestone(kaplan_meier(frame, interval=interval, conf_level=conf_level), at_years=at_years)
            rows = stamp(rows, term=f"censored for {reason}: {name}")
            frames.append(add_note(rows if name == "as observed" else stamp(rows, mark="assumed"), told))
    return pl.concat(frames) if frames else results_frame([])


def censoring_weights(periods: pl.DataFrame, *, covariates: Sequence[str]) -> pl.DataFrame:
    """Return the rows with `weight`: one over the probability of having come so far without being censored.

    The chance of being censored at the end of a period, for those without the event in it, is logistic in the
    covariates of the period, over all periods together. A row's weight is the inverse of the product of the chances of staying in all earlier periods of the
    patient.

    Parameters
    ----------
    periods
        One row per patient and period: `patient_id`, `start_day`, `stop_day` (> start; the periods of a patient
        follow each other without a gap from the first), `is_event` and `is_censored` (the event, or the censoring
        in question, at `stop_day`; only in a patient's last row, never both) and the covariates as known at
        `start_day`.
    covariates
        Columns (numbers or true/false) that drive both the censoring and the event; time enters only where a column
        holds it.

    Returns
    -------
    pl.DataFrame
        The rows sorted by patient and start, with `weight` (1 in first periods, and everywhere where nobody was
        censored).

    Raises
    ------
    TableError
        A column is missing or a row contradicts the above.
    RequestError
        The covariates separate the censored periods from the rest, or cannot be told apart.

    References
    ----------
    Robins and Finkelstein (2000), doi:10.1111/j.0006-341X.2000.00779.x.

    Examples
    --------
    Two of the five periods without an event end censored; by hand 3/5 stay, and second periods weigh 5/3:

    >>> frame = pl.DataFrame({"patient_id": ["a", "b", "c", "c", "d", "d"], "start_day": [0, 0, 0, 90, 0, 90],
    ...                       "stop_day": [90, 90, 90, 180, 90, 180], "is_event": [False] * 5 + [True],
    ...                       "is_censored": [True, True] + [False] * 4})
    >>> censoring_weights(frame, covariates=[])["weight"].round(3).to_list()
    [1.0, 1.0, 1.0, 1.667, 1.0, 1.667]
    """
    return _weigh(periods, covariates)[0]


def censoring_weighted_survival(
    periods: pl.DataFrame,
    *,
    covariates: Sequence[str],
    interval: str = "log-log",
    conf_level: float = 0.95,
    largest_weight: float | None = None,
) -> pl.DataFrame:
    """Return the survival curve had nobody been censored for the reason in question, by inverse-probability weights.

    Right where the covariates hold all that drives both the censoring and the event, the logistic model is right, and
    everybody had a chance of staying. None of the three can be seen in the data: `censoring_bounds` belongs beside.

    Parameters
    ----------
    periods, covariates
        As for `censoring_weights`. Labels of the curve (`study_id`, `endpoint`, ... as in TIME_TO_EVENT) may stand in
        the rows; there has to be one curve.
    interval, conf_level
        As for `kaplan_meier`.
    largest_weight
        Cut larger weights to this; `method` then says how many rows.

    Returns
    -------
    pl.DataFrame
        Schema CURVE; counts are of patients, not of weights; those censored for the reason count in `n_censored`.
        The standard error is the infinitesimal jackknife over patients with the estimation of the weights taken in
        (with cut weights: with the weights taken as known).

    Raises
    ------
    TableError, RequestError
        As for `censoring_weights`; the interval or the level is unknown; `largest_weight` is below 1.

    References
    ----------
    Robins and Finkelstein (2000), doi:10.1111/j.0006-341X.2000.00779.x.

    Examples
    --------
    Two of four are censored after 90 days; the other two stand for all, and one of them has the event:

    >>> frame = pl.DataFrame({"patient_id": ["a", "b", "c", "c", "d", "d"], "start_day": [0, 0, 0, 90, 0, 90],
    ...                       "stop_day": [90, 90, 90, 180, 90, 180], "is_event": [False] * 5 + [True],
    ...                       "is_censored": [True, True] + [False] * 4})
    >>> censoring_weighted_survival(frame, covariates=[])["estimate"].to_list()
    [1.0, 1.0, 0.5]
    """
    require_interval(interval)
    require_conf_level(conf_level)
    if largest_weight is not None and not largest_weight >= 1:
        raise RequestError(
            f"largest_weight must be at least 1, the weight of a first period; found {largest_weight!r}."
        )
    rows, estimation = _weigh(periods, covariates)
    weight, how = rows["weight"].to_numpy(), "weights estimated"
    if largest_weight is not None:
        n_cut = int((weight > largest_weight).sum())
        weight, estimation = np.minimum(weight, largest_weight), None
        how = f"{n_cut} of {rows.height} weights cut to {largest_weight:g} and taken as known"
    is_event = rows["is_event"].to_numpy()
    patient = rows["patient_id"].rle_id().to_numpy().astype(np.int64)
    curve = weighted_product_limit(
        rows["start_day"].cast(pl.Float64).to_numpy(),
        rows["stop_day"].cast(pl.Float64).to_numpy(),
        is_event,
        weight,
        patient,
        ends=np.append(np.diff(patient) > 0, True),
        n_patients=int(patient[-1]) + 1,
        estimation=estimation,
    )
    block: dict[str, Any] = {
        **{name: rows[name][0] for name in LABELS if name in rows.columns},
        **weighted_block(curve, interval, conf_level),
        "method": f"weighted Kaplan-Meier, inverse probability of censoring, {how}, {interval}",
    }
    return curve_frame([{name: "" for name in LABELS[:-1]} | block])


def _weigh(periods: pl.DataFrame, covariates: Sequence[str]) -> tuple[pl.DataFrame, Estimation | None]:
    """Return the rows with their weights, and how the weights follow from the coefficients."""
    rows = _checked(periods)
    matrix = design("censoring_weights", "periods", rows, covariates)
    may_be_censored = ~rows["is_event"].to_numpy()
    y = rows["is_censored"].to_numpy().astype(np.float64)
    if not y.any():
        return rows.with_columns(weight=pl.lit(1.0)), None
    if y[may_be_censored].all():
        raise RequestError(
            "censoring_weights: every period without an event ends censored; nobody is left to weigh."
        )
    require_full_rank("censoring_weights", matrix[may_be_censored], covariates)  # events are left out
    fit = logistic(y[may_be_censored], matrix[may_be_censored])
    chance = 1 / (1 + np.exp(-matrix @ fit.coefficients))
    patient = rows["patient_id"].rle_id().to_numpy().astype(np.int64)
    is_first = np.append(True, np.diff(patient) > 0)

    def over_earlier(values: Floats) -> Floats:
        """Return the sum of the values of the patient's earlier rows."""
        before = np.cumsum(values, axis=0) - values
        return np.asarray(
            before - before[np.maximum.accumulate(np.where(is_first, np.arange(patient.size), 0))]
        )

    weight = np.exp(over_earlier(-np.log1p(-chance)))
    slope = weight[:, None] * over_earlier(chance[:, None] * matrix)
    scores = np.where(may_be_censored, y - chance, 0.0)[:, None] * matrix
    influence = np.zeros((int(patient[-1]) + 1, matrix.shape[1]))
    np.add.at(influence, patient, scores @ fit.covariance)
    return rows.with_columns(weight=pl.Series(weight)), Estimation(slope, influence)


def _checked(periods: pl.DataFrame) -> pl.DataFrame:
    require_columns("censoring_weights", "periods", periods, _PERIODS)
    if periods.is_empty():
        raise TableError("censoring_weights needs at least one patient; `periods` has no row.")
    rows = periods.with_row_index("_row", offset=1).sort("patient_id", "start_day", maintain_order=True)
    start, stop, patient = pl.col("start_day"), pl.col("stop_day"), pl.col("patient_id")
    is_last = (patient != patient.shift(-1)).fill_null(True)
    begins_on = pl.when(patient == patient.shift(1)).then(stop.shift(1)).otherwise(start)
    ended = pl.col("is_event") | pl.col("is_censored")
    for is_right, needed in (
        (
            patient.is_not_null() & start.is_finite() & stop.is_finite() & ended.is_not_null(),
            "every column known",
        ),
        ((start >= 0) & (stop > start), "0 <= start_day < stop_day"),
        (start == begins_on, "periods of a patient that follow each other without a gap"),
        (is_last | ~ended, "the event or the censoring in the patient's last period"),
        (~(pl.col("is_event") & pl.col("is_censored")), "an event or a censoring, not both"),
    ):
        wrong = rows.filter(~is_right.fill_null(False))
        if wrong.height:
            raise TableError(
                f"censoring_weights needs {needed} in `periods`; {wrong.height} of {rows.height} rows differ, the first "
                f"is row {wrong['_row'][0]}."
            )
    several = [name for name in LABELS if name in rows.columns and rows[name].n_unique() > 1]
    if several:
        raise TableError(
            f"`periods` must hold one curve; {', '.join(several)} has several values. Filter them first."
        )
    return rows.drop("_row")
