"""Regression for events seen at visits: the table-level door to `accelerated_failure` and `interval_hazards`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import chdtrc, chdtri, ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._design import Column, Design, design
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups, require_no_competing_event
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._newton import Maximum, profile_limits
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.accelerated_failure import accelerated_failure
from ahsct.estimates.interval_hazards import interval_hazards
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.turnbull import bounds
from ahsct.vocabulary import require_columns

MODELS = {
    "proportional_hazards": "proportional hazards, non-parametric baseline",
    "weibull": "Weibull",
    "exponential": "exponential",
    "lognormal": "log-normal",
}

_LARGEST_LOG = 700.0  # where a computer's number ends


def interval_regression(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    model: str = "proportional_hazards",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Compare arms, or regress on covariates, where the event is known to lie in (left, right].

    Parameters
    ----------
    time_to_event
        As for `turnbull`; one model per endpoint, component, definition, estimand and population.
    covariates
        One row per `patient_id` with the terms that `time_to_event` has not.
    terms, references
        Columns; a text becomes an indicator of each level against the reference (else the first in the alphabet).
    model
        "proportional_hazards" leaves the baseline free (profile likelihood-ratio intervals); "weibull",
        "exponential" and "lognormal" are parametric (Wald intervals of logarithms).
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: per coefficient "hazard_ratio" (proportional hazards, Weibull, exponential) and "time_ratio"
        (the parametric models: above 1 = later events); `std_error` is that of the log. Then "shape" (Weibull:
        $1/\sigma$) or "scale" (log-normal), and the likelihood-ratio test of all coefficients. Where the model
        cannot be fitted the estimate is missing and the note says why.

    Raises
    ------
    TableError
        As for `turnbull`; a covariate is missing or a patient has no row of them.
    RequestError
        The model, a term or a reference is unknown.

    References
    ----------
    R: survreg(Surv(left, right, type = "interval2") ~ x), survival 3.5.3. Weibull hazard ratio
    $\exp(-\beta / \sigma)$ by the delta method.

    Examples
    --------
    One visit; 4 of 8 and 6 of 8 had the event before it, so that the hazards are log 2 and log 4:

    >>> frame = pl.DataFrame({"arm": ["A"] * 8 + ["B"] * 8, "time_day": 30, "left_day": [0] * 4 + [30] * 4 + [0] * 6 + [30] * 2,
    ...     "right_day": [30] * 4 + [None] * 4 + [30] * 6 + [None] * 2, "is_event": [True] * 4 + [False] * 4 + [True] * 6 + [False] * 2})
    >>> interval_regression(frame)["estimate"].round(4).to_list()[0]
    2.0
    """
    if model not in MODELS:
        raise RequestError(f"No model {model!r}; known are {', '.join(MODELS)}.{did_you_mean(model, MODELS)}")
    require_conf_level(conf_level)
    require_columns("interval_regression", "time_to_event", time_to_event, ("left_day", "right_day"))
    rows: list[dict[str, Any]] = []
    for group in groups("interval_regression", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        if group.rows.is_empty():
            columns: dict[str, Any] = {"unit": "ratio", "n": 0}
            columns["method"] = f"interval-censored, {MODELS[model]}"
            rows += group.told([result(**group.labels, statistic=_statistic(model), **columns)])
            continue
        require_no_competing_event("interval_regression", group.rows)
        if group.entry is not None:
            raise TableError(
                "interval_regression takes no delayed entry; start risk at time zero, or use cox."
            )
        frame = with_covariates("interval_regression", group.rows, covariates, terms)
        made = design("interval_regression", frame, terms, references)
        rows += group.told(_rows(group, made, model, conf_level))
    return results_frame(rows)


def with_covariates(
    function: str, rows: pl.DataFrame, covariates: pl.DataFrame | None, terms: Sequence[str]
) -> pl.DataFrame:
    """Return the rows with the terms that they lack, taken from `covariates` by patient.

    Raises
    ------
    TableError
        A term stands nowhere, a patient has no or several rows of covariates.
    """
    lacking = [term for term in terms if term not in rows.columns]
    if not lacking:
        return rows
    if covariates is None:
        raise TableError(
            f"{function} needs column {lacking[0]!r}, which `time_to_event` has not; give it in `covariates`."
        )
    require_columns(function, "covariates", covariates, ("patient_id", *lacking))
    again = covariates.height - covariates["patient_id"].n_unique()
    if again:
        raise TableError(
            f"`covariates` needs one row per patient; {again} of {covariates.height} rows repeat one."
        )
    joined = rows.join(
        covariates.select("patient_id", *lacking, pl.lit(True).alias("_known")),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    unknown = joined.filter(pl.col("_known").is_null()).height
    if unknown:
        raise TableError(
            f"`covariates`: {unknown} of {rows.height} patients of `time_to_event` have no row. Nobody is left out "
            "silently: filter these patients or give their values."
        )
    return joined


def _rows(group: Group, made: Design, model: str, conf_level: float) -> list[dict[str, Any]]:
    left, right = bounds(group.rows, "interval_regression")
    common: dict[str, Any] = {
        **group.labels,
        "n": left.size,
        "n_events": int(np.isfinite(right).sum()),
        "conf_level": conf_level,
    }
    try:
        if model == "proportional_hazards":
            return _free_baseline(left, right, made, common)
        return _parametric(left, right, made, common, model)
    except TableError as problem:
        common |= {
            "statistic": _statistic(model),
            "unit": "ratio",
            "method": f"interval-censored, {MODELS[model]}",
        }
        return [result(**common, **named_column(column), note=str(problem)) for column in made.columns]


def _statistic(model: str) -> str:
    """Return the statistic that a model gives first."""
    return "time_ratio" if model == "lognormal" else "hazard_ratio"


def _free_baseline(left: Floats, right: Floats, made: Design, common: dict[str, Any]) -> list[dict[str, Any]]:
    fit = interval_hazards(left, right, made.x)
    method = f"interval-censored, {MODELS['proportional_hazards']}"
    size = made.x.std(axis=0)  # limits are looked for per standard deviation, whatever the covariate's unit
    top = Maximum(fit.coefficients * size, fit.covariance * np.outer(size, size), fit.loglik)

    def likelihood(beta: Floats) -> tuple[float, Floats, Floats]:
        value, score, information = fit.likelihood(beta / size)
        return value, score / size, information / np.outer(size, size)

    quantile = float(chdtri(1, 1 - common["conf_level"]))
    rows = []
    for k, column in enumerate(made.columns):
        lower, upper = (
            limit / size[k] for limit in profile_limits("interval_hazards", likelihood, top, k, quantile)
        )
        rows.append(
            result(
                **common,
                **named_column(column),
                statistic="hazard_ratio",
                unit="ratio",
                estimate=math.exp(fit.coefficients[k]),
                std_error=math.sqrt(fit.covariance[k, k]),
                lower=math.exp(lower),
                upper=math.exp(upper) if upper < _LARGEST_LOG else None,
                p_value=_wald(fit.coefficients[k], fit.covariance[k, k]),
                method=f"{method}, profile likelihood, error of the log, Wald p",
                note=None if upper < _LARGEST_LOG else "no upper limit: the likelihood does not fall enough",
            )
        )
    return [*rows, _test(common, method, fit.loglik - fit.null_loglik, len(made.columns))]


def _parametric(
    left: Floats, right: Floats, made: Design, common: dict[str, Any], model: str
) -> list[dict[str, Any]]:
    fit = accelerated_failure(left, right, made.x, distribution=model)
    null = accelerated_failure(left, right, np.empty((left.size, 0)), distribution=model)
    method = f"interval-censored, {MODELS[model]}"
    z = float(ndtri(1 - (1 - common["conf_level"]) / 2))
    last = fit.covariance.shape[0] - 1
    rows = []
    for k, column in enumerate(made.columns, start=1):
        beta, variance = float(fit.coefficients[k]), float(fit.covariance[k, k])
        ratios = [("time_ratio", beta, variance)]
        if model == "exponential":
            ratios.insert(0, ("hazard_ratio", -beta, variance))
        if model == "weibull":  # -beta / sigma, by the delta method in (beta, log sigma)
            slope = np.array([-1.0, beta]) / fit.scale
            part = fit.covariance[np.ix_([k, last], [k, last])]
            ratios.insert(0, ("hazard_ratio", -beta / fit.scale, float(slope @ part @ slope)))
        for statistic, log_ratio, square in ratios:
            rows.append(
                result(
                    **common,
                    **named_column(column),
                    statistic=statistic,
                    unit="ratio",
                    **_wald_ratio(log_ratio, math.sqrt(square), z),
                    p_value=_wald(log_ratio, square),
                    method=f"{method}, Wald, error of the log",
                )
            )
    if model != "exponential":
        name, log_value = (
            ("shape", -math.log(fit.scale)) if model == "weibull" else ("scale", math.log(fit.scale))
        )
        error = math.sqrt(fit.covariance[last, last])
        rows.append(
            result(
                **common,
                statistic=name,
                unit="1" if name == "shape" else "log time",
                **_wald_ratio(log_value, error, z),
                method=f"{method}, Wald, error of the log",
            )
        )
    return [*rows, _test(common, method, fit.loglik - null.loglik, len(made.columns))]


def _test(common: Mapping[str, Any], method: str, gain: float, df: int) -> dict[str, Any]:
    value = max(2 * gain, 0.0)
    labels = {name: value for name, value in common.items() if name != "conf_level"}
    return result(
        **labels,
        statistic="likelihood_ratio_test",
        unit="chi-squared",
        estimate=value,
        df=df,
        p_value=float(chdtrc(df, value)),
        method=f"{method}, all coefficients",
    )


def _wald_ratio(log_ratio: float, error: float, z: float) -> dict[str, Any]:
    """Return estimate, error and limits; what a computer's number cannot hold is missing, with a note."""
    logs = {"estimate": log_ratio, "lower": log_ratio - z * error, "upper": log_ratio + z * error}
    found: dict[str, Any] = {name: math.exp(log) for name, log in logs.items() if log < _LARGEST_LOG}
    beyond = [name for name in logs if name not in found]
    note = f"{' and '.join(beyond)} beyond 1e300" if beyond else None
    return {**found, "std_error": error, "note": note}


def _wald(value: float, variance: float) -> float:
    return float(chdtrc(1, value**2 / variance))


def named_column(column: Column) -> dict[str, Any]:
    """Return how a column of the design is called in a row of results."""
    if column.term == "arm" and column.level is not None:
        return {"arm": column.level, "reference_arm": column.reference}
    return {"term": column.label}
