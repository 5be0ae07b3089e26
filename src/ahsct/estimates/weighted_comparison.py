"""Survival of weighted or matched groups, and its difference at a time."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError
from ahsct.estimates._comparisons import one_sided_error, two_sided
from ahsct.estimates._groups import Group, curve_frame, groups, require_no_competing_event
from ahsct.estimates._intervals import require_conf_level, require_interval
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates._weighted_survival import (
    Estimation,
    WeightedProductLimit,
    weighted_block,
    weighted_product_limit,
)
from ahsct.estimates.patient_weights import COMPARATOR, TREATED, PatientWeights
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.target_trial import TargetTrial, with_target_trial
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns


def weighted_kaplan_meier(
    time_to_event: pl.DataFrame,
    weights: PatientWeights,
    *,
    interval: str = "log-log",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Return the Kaplan-Meier curve of each group under its weights, the estimation of the weights taken in.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT, as for `kaplan_meier`, with `patient_id`; one endpoint, component, estimand and
        population. Patients of the weights without a row (or not evaluable) count in none of the curves.
    weights
        From `propensity_weights`, `match_patients` or `maic_weights`.
    interval, conf_level
        As for `kaplan_meier`.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, `arm` "treated" and "comparator". Counts are of patients, not of weights. The standard error is
        the infinitesimal jackknife over patients (over pairs when matched), which treats neither the patients' weights
        as numbers of patients nor estimated weights as known. `milestone` reads the curve; no exact interval exists.
        `method` says that there was no randomisation.

    Raises
    ------
    TableError
        As for `kaplan_meier`, the rows hold several endpoints, or a patient has no weight.
    RequestError
        The interval or the level is unknown.

    References
    ----------
    R: survfit(..., weights, robust = TRUE), survival 3.5.3, for known weights; the part of the estimated weights from
    the stacked estimating equations (Lunceford and Davidian 2004, doi:10.1002/sim.1903).

    Examples
    --------
    By hand the treated weigh 2, 2 and 4 and the first dies: 6/8 survive.

    >>> from ahsct.estimates.propensity import propensity_weights
    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "is_man": [1, 1, 1, 1, 0, 0, 0, 0],
    ...                       "is_treated": [True, True, False, False, True, False, False, False]})
    >>> times = frame.select("patient_id", pl.Series("time_day", [300, 900, 800, 200, 900, 100, 900, 900]),
    ...                      pl.Series("is_event", [True, False, True, True, False, True, False, False]))
    >>> curve = weighted_kaplan_meier(times, propensity_weights(frame, covariates=["is_man"]))
    >>> curve.filter(pl.col("arm") == "treated")["estimate"].round(3).to_list()
    [1.0, 0.75, 0.75]
    """
    require_interval(interval)
    require_conf_level(conf_level)
    labels, fits = _fits("weighted_kaplan_meier", time_to_event, weights)
    return curve_frame(
        {
            **labels,
            "arm": name,
            **weighted_block(fit, interval, conf_level),
            "method": f"weighted Kaplan-Meier, {weights.name}, no randomisation, infinitesimal jackknife, {interval}",
        }
        for name, fit in fits.items()
    )


def weighted_survival_difference(
    time_to_event: pl.DataFrame,
    weights: PatientWeights,
    *,
    at_years: float,
    trial: TargetTrial | None = None,
    conf_level: float = 0.95,
    with_p_value: bool = False,
) -> pl.DataFrame:
    """Return the difference of the weighted survival of the two groups at a time, treated minus comparator.

    The standard error adds each patient's influence on both curves, also by way of the weights' coefficients, before
    squaring.

    Parameters
    ----------
    time_to_event, weights
        As for `weighted_kaplan_meier`, with patients of both groups.
    at_years
        The time, >= 0.
    trial
        The trial that the comparison stands in for; missing: none is stated, and the rows say so.
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add the two-sided p-value of no difference (normal).

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: statistic "survival_difference", normal interval; missing with a note where the follow-up of a
        group ends before, or nobody had an event so that there is no error. Its note says that there was no
        randomisation and what the trial leaves open, and below it stands the checklist (see `with_target_trial`).

    Raises
    ------
    TableError
        As for `weighted_kaplan_meier`.
    RequestError
        There is one group only, the time is negative, or the level is unknown.

    References
    ----------
    Lunceford and Davidian (2004), doi:10.1002/sim.1903. Hernan and Robins (2016), doi:10.1093/aje/kwv254.

    Examples
    --------
    By hand the treated weigh 2, 2 and 4 and the first dies within 2 years: 6/8 survive. The comparator weigh 2, 2, 4/3,
    4/3 and 4/3 and the first three die: 1/3 survive.

    >>> from ahsct.estimates.propensity import propensity_weights
    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "is_man": [1, 1, 1, 1, 0, 0, 0, 0],
    ...                       "is_treated": [True, True, False, False, True, False, False, False]})
    >>> times = frame.select("patient_id", pl.Series("time_day", [300, 900, 700, 200, 900, 100, 900, 900]),
    ...                      pl.Series("is_event", [True, False, True, True, False, True, False, False]))
    >>> weights = propensity_weights(frame, covariates=["is_man"])
    >>> rows = weighted_survival_difference(times, weights, at_years=2)
    >>> round(rows["estimate"][0], 3), rows["note"][0]
    (0.417, '0.75 treated, 0.3333 comparator; no randomisation; no target trial stated')
    >>> rows["statistic"].value_counts(sort=True).row(0)
    ('target_trial', 9)
    """
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    if not at_years >= 0:
        raise RequestError(f"at_years must be a number of years >= 0; found {at_years!r}.")
    labels, fits = _fits("weighted_survival_difference", time_to_event, weights)
    if set(fits) != {TREATED, COMPARATOR}:
        raise RequestError(f"weighted_survival_difference needs rows of two groups; there are {len(fits)}.")
    day = at_years * DAYS_PER_YEAR * (1 + 1e-9)
    at = {name: np.array([np.searchsorted(fit.time, day, side="right") - 1]) for name, fit in fits.items()}
    survival = {name: float(fit.estimate[at[name][0]]) for name, fit in fits.items()}
    ended = [name for name, fit in fits.items() if day > fit.time[-1] * (1 + 2e-9) and fit.estimate[-1] > 0]
    n_events = {name: int(fit.n_events[: at[name][0] + 1].sum()) for name, fit in fits.items()}
    influences = {name: fit.influence(at[name]) for name, fit in fits.items()}
    errors = {name: _norm(influence) for name, influence in influences.items()}
    error = _norm(influences[TREATED] - influences[COMPARATOR])
    estimate = survival[TREATED] - survival[COMPARATOR]
    note = f"{survival[TREATED]:.4g} treated, {survival[COMPARATOR]:.4g} comparator"
    columns: dict[str, float | None] = {"estimate": estimate, "std_error": error}
    if ended:
        columns, note = {}, f"follow-up of {' and '.join(ended)} ends before: not extrapolated"
    elif error == 0:
        columns, note = {"estimate": estimate}, f"{note}; no influence on either curve, so no error"
    else:
        see = "with weights there is no exact interval; milestone_difference has one without them"
        note = "; ".join(filter(None, (note, one_sided_error(errors, see))))
        columns |= {"lower": max(estimate - z * error, -1.0), "upper": min(estimate + z * error, 1.0)}
        if with_p_value:
            columns["p_value"] = two_sided(estimate, error)
    row = result(
        **labels,
        arm=TREATED,
        reference_arm=COMPARATOR,
        statistic="survival_difference",
        unit="probability",
        time_years=at_years,
        conf_level=conf_level,
        n=sum(int(fit.n_at_risk[0]) for fit in fits.values()),
        n_events=sum(n_events.values()),
        method=f"weighted Kaplan-Meier, {weights.name}, infinitesimal jackknife, normal",
        note=note,
        **columns,
    )
    return with_target_trial(results_frame([row]), trial)


def _norm(influence: Floats) -> float:
    """Return the root of the sum of squares, 0 where only rounding is left."""
    found = float(np.sqrt((influence**2).sum()))
    return found if found > 1e-12 else 0.0


def _fits(
    function: str, time_to_event: pl.DataFrame, weights: PatientWeights
) -> tuple[dict[str, str | None], dict[str, WeightedProductLimit]]:
    """Return the labels that the rows share, and the weighted curve of each group."""
    require_columns(function, "time_to_event", time_to_event, ("patient_id",))
    rows = time_to_event.drop("arm", strict=False)
    found = list(groups(function, rows))
    if len(found) != 1:
        raise TableError(
            f"{function} needs rows of one endpoint, component, estimand and population; found {len(found)} kinds."
        )
    group = found[0]
    require_no_competing_event(function, group.rows)
    known = weights.patients.with_row_index("_patient")
    joined = group.rows.join(known, on="patient_id", how="left", maintain_order="left")
    n_unknown = joined["weight"].null_count()
    if n_unknown:
        raise TableError(
            f"{function}: {n_unknown} of {joined.height} patients of `time_to_event` have no weight. Leave out those "
            "who are not compared, so that it shows."
        )
    fits = {
        name: _fit(joined, name, group, weights)
        for name in (TREATED, COMPARATOR)
        if (joined["group"] == name).any()
    }
    return {name: value for name, value in group.labels.items() if name != "arm"}, fits


def _fit(joined: pl.DataFrame, name: str, group: Group, weights: PatientWeights) -> WeightedProductLimit:
    is_in = (joined["group"] == name).to_numpy()
    own = joined.filter(is_in)
    patient: Counts = own["_patient"].cast(pl.Int64).to_numpy()
    ones = np.ones(own.height, dtype=bool)
    start: Floats = np.zeros(own.height) if group.entry is None else np.maximum(group.entry[is_in], 0)
    cluster, n_clusters = patient, weights.patients.height
    if "pair" in weights.patients.columns:
        pairs = weights.patients["pair"].to_numpy()
        cluster, n_clusters = pairs[patient], int(pairs.max()) + 1
    return weighted_product_limit(
        start,
        own["time_day"].cast(pl.Float64).to_numpy(),
        own["is_event"].to_numpy(),
        own["weight"].to_numpy(),
        cluster,
        ends=ones,
        n_patients=n_clusters,
        estimation=Estimation(weights.slope[patient], weights.influence) if weights.slope.shape[1] else None,
    )
