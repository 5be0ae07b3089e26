"""Brain volume after the transplant: an early change, then a late slope, beside healthy ageing.

Baseline to last is never annualised: the early loss (oedema, inflammation, drugs) would be spread
over the years that follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.definitions import BrainVolumeRule
from ahsct.errors import TableError
from ahsct.estimates._linear_tests import t_interval, with_note
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.slopes import SINGULAR
from ahsct.vocabulary import DAYS_PER_YEAR, require_columns

Array = npt.NDArray[Any]

_METHOD = "linear mixed model (REML, random intercept, Satterthwaite df)"
_SAME_SLOPES = "every patient's slopes are taken for the same: the interval is too narrow if they differ"
_FEWEST = 3  # patients whose own scans show a slope, below which slopes of patients' own are not fitted


def brain_volume_change(
    patient_values: pl.DataFrame, *, rule: BrainVolumeRule, conf_level: float = 0.95
) -> pl.DataFrame:
    r"""Estimate early change and late slope of brain volume under each break, and with an exponential drop.

    The broken line is y = b0 + b1 min(t, c) + b2 max(t - c, 0) + u + e with c the break, t years from
    time zero (scans before it count as time zero) and u a patient's random intercept. The early
    change is b1 c, the late slope b2. The exponential is y = b0 + A (1 - exp(-t / tau)) + s t + u + e;
    its early change is A, and the errors carry that tau was estimated.

    The headline (component "break c y, own slopes") gives each patient an intercept, an early and a late slope
    of their own, freely correlated, with Kenward-Roger degrees of freedom. A random intercept alone (component
    "break c y", kept for the first break beside it) takes every patient's slopes for the same: where they
    differ, its interval is far too narrow (docs, Longitudinal measures). So it is for the exponential. Where
    fewer than three patients have two or more scan times on one side of the break, the slope of that side is
    taken as common, and the note says so.

    Parameters
    ----------
    patient_values
        Rows of topic `brain_volume`: `patient_id`, `day`, `number` [percent since the baseline scan].
    rule
        The break and its sensitivity values, in years.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS; `term` is early_change [percent], late_slope [percent per year] or, for the
        exponential, time_constant [years]; `component` the model. What cannot be estimated has no
        estimate and a note. Without scans there is no row. Patients' own late slopes: `late_slopes`.

    References
    ----------
    Gauss-Newton steps on tau, each a linear mixed model: Lindstrom and Bates (1990), doi:10.2307/2532087.
    """
    scans = scan_table(patient_values)
    if scans.is_empty():
        return results_frame([])
    others = [b for b in rule.sensitivity_breaks_years if b != rule.break_years]
    rows = [
        *broken_line(scans, rule.break_years, conf_level),
        *broken_line(scans, rule.break_years, conf_level, own_slopes=False),
        *(row for c in others for row in broken_line(scans, c, conf_level)),
    ]
    return results_frame([*rows, *_exponential(scans, conf_level)])


def scan_table(patient_values: pl.DataFrame) -> pl.DataFrame:
    """Return the scans as `patient_id`, `years`, `number`, sorted; one without day or value is left out."""
    require_columns(
        "brain_volume", "patient_values", patient_values, ["patient_id", "topic", "day", "number"]
    )
    return (
        patient_values.filter(
            (pl.col("topic") == "brain_volume") & pl.col("day").is_not_null() & pl.col("number").is_not_null()
        )
        .select("patient_id", (pl.col("day").clip(0) / DAYS_PER_YEAR).alias("years"), "number")
        .sort(["patient_id", "years", "number"])
    )


def broken_line(
    scans: pl.DataFrame, break_years: float, conf_level: float, *, own_slopes: bool = True
) -> list[dict[str, Any]]:
    """Return the rows of early change and late slope for one break; scans as `scan_table` returns them."""
    t = scans["years"].to_numpy()
    X = np.column_stack([np.ones_like(t), np.minimum(t, break_years), np.maximum(t - break_years, 0)])
    component = f"break {break_years:g} y" + (", own slopes" if own_slopes else "")
    own, caveat = _own(scans, break_years) if own_slopes else ([], _SAME_SLOPES)
    method = _METHOD
    if own_slopes:
        names = "random intercept" + (f" and {own[0]} slope" if len(own) == 1 else "")
        names += ", early and late slope" if len(own) == 2 else ""
        method = f"linear mixed model (REML, {names}, Kenward-Roger df)"
    df_method = "kenward-roger" if own_slopes else "satterthwaite"
    Z = X[:, [0, *(place for place, name in ((1, "early"), (2, "late")) if name in own)]]
    weights = {"early_change": (0.0, break_years, 0.0), "late_slope": (0.0, 0.0, 1.0)}
    try:
        fit = linear_mixed_model(scans["number"].to_numpy(), X, scans["patient_id"].to_numpy(), Z=Z)
        contrasts = {term: fit.contrast(weight, df_method=df_method) for term, weight in weights.items()}
    except TableError as error:
        return [_no_row(scans, component, term, str(error)) | {"method": method} for term in weights]
    note = f"{_fit_note(fit, own)}; {caveat}" if caveat else _fit_note(fit, own)
    return [
        _row(scans, component, term, contrast, conf_level, note=note) | {"method": method}
        for term, contrast in contrasts.items()
    ]


def _own(scans: pl.DataFrame, break_years: float) -> tuple[list[str], str]:
    """Return on which sides of the break patients get slopes of their own, and what to say of the others."""
    own, common = [], []
    for name, is_there in (
        ("early", pl.col("years") <= break_years),
        ("late", pl.col("years") >= break_years),
    ):
        times = scans.filter(is_there).group_by("patient_id").agg(pl.col("years").n_unique())
        n = times.filter(pl.col("years") >= 2).height
        if n >= _FEWEST:
            own.append(name)
        else:
            common.append(
                f"the {name} slope is taken as common, for only {n} of {scans['patient_id'].n_unique()} patients have "
                f"two or more scan times on that side of the break: the interval is too narrow if patients differ"
            )
    return own, "; ".join(common)


def _exponential(scans: pl.DataFrame, conf_level: float) -> list[dict[str, Any]]:
    terms = ("early_change", "late_slope", "time_constant")
    try:
        fit, log_tau = fit_exponential(
            scans["years"].to_numpy(), scans["number"].to_numpy(), scans["patient_id"].to_numpy()
        )
    except TableError as error:
        return [_no_row(scans, "exponential", term, str(error)) for term in terms]
    note = f"time constant {np.exp(log_tau):.3g} y; {_fit_note(fit)}; {_SAME_SLOPES}"
    rows = [
        _row(scans, "exponential", term, fit.contrast(np.eye(4)[place]), conf_level, note=note)
        for place, term in enumerate(terms[:2], start=1)
    ]
    _, std_error, df = fit.contrast([0, 0, 0, 1 / fit.coefficients[1]])
    row = _row(scans, "exponential", "time_constant", (log_tau, std_error, df), conf_level, note=note)
    for name in ("estimate", "lower", "upper"):
        row[name] = float(np.exp(row[name]))
    row["std_error"] = row["estimate"] * std_error
    return [*rows, {**row, "method": f"{_METHOD}; interval on the log scale"}]


def fit_exponential(years: Array, y: Array, patient: Array) -> tuple[MixedModel, float]:
    """Fit y = b0 + A (1 - exp(-t / tau)) + s t + patient + error by restricted likelihood.

    Returns
    -------
    tuple
        The linearised model at the solution, with coefficients b0, A, s and a fourth that is 0 and
        whose error over A is that of log tau; and log tau.

    Raises
    ------
    TableError
        The model cannot be fitted, or the scans do not determine the time constant.
    """
    code = np.unique(patient, return_inverse=True)[1]
    counts = np.bincount(code)

    def within(column: Array) -> Array:
        return column - (np.bincount(code, weights=column) / counts)[code]

    def left_over(tau: float) -> float:
        X = np.column_stack([within(1 - np.exp(-years / tau)), within(years)])
        residual = within(y) - X @ np.linalg.lstsq(X, within(y), rcond=None)[0]
        return float(residual @ residual)

    longest = float(years.max())
    unknown = TableError("the scans do not determine the time constant of an exponential early change.")
    if longest <= 0:
        raise unknown
    grid = np.geomspace(longest / 100, longest, 60)
    bounds = np.log(grid[0]), np.log(2 * grid[-1])
    log_tau, before = float(np.log(min(grid, key=left_over))), None
    for _ in range(50):
        decay = np.exp(-years / np.exp(log_tau))
        X = np.column_stack([np.ones_like(years), 1 - decay, years, -decay * years / np.exp(log_tau)])
        fit = linear_mixed_model(y, X, patient)
        # Gauss-Newton wants this step; the secant through the last two steps finds where it is 0
        wanted = float(fit.coefficients[3] / fit.coefficients[1])
        if abs(wanted) < 1e-9:
            return fit, log_tau
        step = wanted if before is None else -wanted * (log_tau - before[0]) / (wanted - before[1])
        before = log_tau, wanted
        log_tau += float(np.clip(step, -0.5, 0.5))
        if not (np.isfinite(log_tau) and bounds[0] <= log_tau <= bounds[1]):
            break
    raise unknown


def _row(
    scans: pl.DataFrame,
    component: str,
    term: str,
    contrast: tuple[float, float, float],
    conf_level: float,
    *,
    note: str,
) -> dict[str, Any]:
    interval = t_interval(*contrast, conf_level)
    del interval["p_value"]  # a slope of 0 is not the question
    note = f"{scans.height} scans; {note}"
    return _no_row(scans, component, term, "") | {**interval, **with_note(interval, note)}


def _no_row(scans: pl.DataFrame, component: str, term: str, why: str) -> dict[str, Any]:
    return result(
        statistic="mixed_model",
        unit=_UNITS[term],
        n=scans["patient_id"].n_unique(),
        method=_METHOD,
        endpoint="brain_volume",
        component=component,
        term=term,
        population="with brain scans",
        note=f"not estimated: {why}",
    )


def _fit_note(fit: MixedModel, own: Sequence[str] = ()) -> str:
    covariance = fit.random_covariance
    slopes = "".join(
        f", of {name} slopes {np.sqrt(covariance[place, place]):.3g} a year"
        for place, name in enumerate(own, start=1)
    )
    note = (
        f"SD between patients {np.sqrt(covariance[0, 0]):.3g}{slopes}, "
        f"within {np.sqrt(fit.residual_variance):.3g} percent"
    )
    if fit.is_boundary and not own:
        return f"{note}; the SD between patients is estimated as 0"
    return f"{note}; {SINGULAR}" if fit.is_boundary else note


_UNITS = {"early_change": "percent", "late_slope": "percent per year", "time_constant": "years"}
