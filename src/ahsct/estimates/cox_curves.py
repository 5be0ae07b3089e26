"""Survival curves that a Cox model predicts for given covariates."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._cox_likelihood import at_events
from ahsct.estimates._groups import curve_frame
from ahsct.estimates._intervals import pointwise, require_conf_level, require_interval
from ahsct.estimates._risk_table import Floats, RiskTable, risk_table
from ahsct.estimates.cox import CoxFit
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns


def predicted_curves(
    fit: CoxFit, profiles: pl.DataFrame, *, interval: str = "log-log", conf_level: float = 0.95
) -> pl.DataFrame:
    r"""Return the curve of a patient with given covariates, in each stratum.

    $$\hat S(t \mid x) = \exp\Big(-e^{x'\hat\beta} \sum_{t_e \le t} \frac{1}{S_e}\Big), \quad
      \mathrm{var}(\hat\Lambda) = e^{2x'\hat\beta} \Big(\sum \frac{1}{S_e^2} + q' \hat V q\Big), \quad
      q = \sum \frac{\bar x_e - x}{S_e}$$

    with $S_e$ the relative hazards summed over the risk set (by Efron within ties) and $\hat V$ the covariance of
    the coefficients, robust where the fit's is.

    Parameters
    ----------
    fit
        From `fit_cox`.
    profiles
        One row per curve with a column per term of the fit.
    interval, conf_level
        As in `kaplan_meier`.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, method "Cox prediction": for each profile and stratum a row at time 0 and at each time at
        which a patient of the stratum entered or left; the counts are those of the stratum. `subgroup` says which
        covariates. With covariates that change in time it is the curve of somebody who kept these values.

    Raises
    ------
    TableError
        A term is missing in `profiles`, or a level was not in the data.
    RequestError
        Ties are exact, or a coefficient has no finite estimate.

    References
    ----------
    Tsiatis (1981), doi:10.1214/aos/1176345329. R: survfit(coxph(...), newdata), survival 3.5.3.

    Examples
    --------
    Without an effect of the covariate the curve is exp(-Nelson-Aalen): events of 1 among 4 and 1 among 2:

    >>> from ahsct.estimates import fit_cox
    >>> frame = pl.DataFrame({"patient_id": list("abcd"), "time_day": [1, 2, 3, 4], "arm": ["X", "X", "Y", "Y"],
    ...                       "is_event": [False, True, True, False]})
    >>> curve = predicted_curves(fit_cox(frame, penalty="firth"), pl.DataFrame({"arm": ["Y"]}))
    >>> curve["subgroup"][0], curve["n_at_risk"].to_list()
    ('arm=Y', [4, 4, 3, 2, 1])
    """
    require_interval(interval)
    require_conf_level(conf_level)
    if fit.regression.ties == "exact" or fit.regression.is_diverging.any():
        raise RequestError("Predicted curves need finite estimates and ties='efron' or 'breslow'.")
    x = _profile_columns(fit, profiles)
    names = [", ".join(f"{term}={row[term]}" for term in fit.terms) for row in profiles.rows(named=True)]
    arms = profiles["arm"].to_list() if "arm" in fit.terms else [None] * len(names)
    blocks = []
    for name, arm, values in zip(names, arms, x, strict=True):
        for code, stratum in enumerate(fit.strata):
            table = _stratum_table(fit, code)
            hazard, variance = _cumulative_hazard(fit, values, code, table.time)
            survival = np.exp(-hazard)
            std_error = survival * np.sqrt(variance)
            lower, upper = pointwise(survival, std_error, interval=interval, conf_level=conf_level)
            labels: dict[str, Any] = dict(fit.labels) | ({} if arm is None else {"arm": str(arm)})
            blocks.append(
                {
                    **labels,
                    "arm": labels.get("arm") or "",
                    "subgroup": "; ".join(filter(None, (name, stratum))),
                    "time_years": table.time / DAYS_PER_YEAR,
                    "n_at_risk": table.n_at_risk,
                    "n_events": table.n_events[0],
                    "n_censored": table.n_censored,
                    "estimate": survival,
                    "std_error": std_error,
                    "lower": lower,
                    "upper": upper,
                    "conf_level": conf_level,
                    "method": f"Cox prediction, {fit.regression.ties} ties, {interval}",
                }
            )
    return curve_frame(blocks)


def _cumulative_hazard(fit: CoxFit, values: Floats, stratum: int, time: Floats) -> tuple[Floats, Floats]:
    """Return the cumulative hazard of one profile and its variance at these times."""
    regression = fit.regression
    sets = regression.sets
    at = at_events(regression.x, sets, regression.coefficients)
    x = values - regression.centre
    risk = float(np.exp(x @ regression.coefficients))
    chosen = np.flatnonzero(sets.stratum == stratum)[::-1]  # in order of time
    upto = np.searchsorted(sets.time[chosen], time * (1 + 1e-9), side="right")
    inverse = 1 / at.total[chosen]

    def summed(increments: Floats) -> Floats:
        start = np.zeros((1, *increments.shape[1:]))
        return np.asarray(np.concatenate((start, np.cumsum(increments, axis=0)))[upto])

    q = summed((at.mean[chosen] - x) * inverse[:, None])
    explained = ((q @ regression.variance) * q).sum(axis=1)
    return risk * summed(inverse), risk**2 * (summed(inverse**2) + explained)


def _stratum_table(fit: CoxFit, stratum: int) -> RiskTable:
    """Count the patients of one stratum, each once, from the first entry to the last time."""
    rows = fit.frame.filter(pl.Series(fit.stratum == stratum))
    if "patient_id" in rows.columns:
        rows = rows.group_by("patient_id", maintain_order=True).agg(
            pl.col("_entry").min(), pl.col("time_day").max(), pl.col("is_event").any()
        )
    return risk_table(
        rows["time_day"].to_numpy(), rows["is_event"].to_numpy(), entry=rows["_entry"].to_numpy()
    )


def _profile_columns(fit: CoxFit, profiles: pl.DataFrame) -> Floats:
    require_columns("predicted_curves", "profiles", profiles, fit.terms)
    parts = []
    for column in fit.columns:
        series = profiles[column.term]
        if series.null_count():
            raise TableError(f"`profiles.{column.term}` is missing in {series.null_count()} rows.")
        if column.level is None:
            parts.append(series.cast(pl.Float64).to_numpy())
            continue
        known = {each.level for each in fit.columns if each.term == column.term} | {column.reference}
        if unknown := sorted(set(series.cast(pl.String).to_list()) - {name for name in known if name}):
            raise TableError(f"`profiles.{column.term}`: level {unknown[0]!r} was not in the data.")
        parts.append((series.cast(pl.String) == column.level).cast(pl.Float64).to_numpy())
    return np.stack(parts, axis=1)
