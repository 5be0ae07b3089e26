"""What a Markov model of states seen at visits says: intensities, sojourn times, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError
from ahsct.estimates._groups import LABELS
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._markov_chain import reachable
from ahsct.estimates.panel_fit import PanelMarkov, fit_panel_markov, transition_probabilities
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns


def panel_markov(
    observations: pl.DataFrame,
    *,
    states: Sequence[str],
    transitions: Sequence[tuple[str, str]],
    death: str | None = None,
    alive: str | None = None,
    at_years: Sequence[float] = (),
    conf_level: float = 0.95,
) -> pl.DataFrame:
    """Fit the model by arm, and return its intensities and what they say about the states over time.

    Parameters
    ----------
    observations, states, transitions, death, alive
        As for `fit_panel_markov`; with a column `arm` each arm has its own model.
    at_years
        Times for the probability of each state, from each state.
    conf_level
        Two-sided; Wald intervals of logarithms (probabilities: of the logit), by the Hessian.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS. `term` is "from -> to": "transition_intensity" (per patient-year); "sojourn_time" (mean years in
        a state, `term` the state); "transition_probability" at each of `at_years`. `std_error` is that of the log for
        the first two. Where an arm's model cannot be fitted it has one row, whose note says why.

    Raises
    ------
    TableError
        As for `fit_panel_markov`.
    RequestError
        As for `fit_panel_markov`; a time is not above 0, or the level is unknown.

    References
    ----------
    See `fit_panel_markov`.

    Examples
    --------
    Four well at the start, half of them ill at a visit a year later. By hand the intensity is log 2 = 0.6931 a year,
    a stay lasts 1 / log 2 = 1.4427 years, and after two years 1/4 are still well:

    >>> frame = pl.DataFrame({"patient_id": list("aabbccdd"), "day": [0.0, 365.25] * 4,
    ...                       "state": ["well", "ill", "well", "ill", "well", "well", "well", "well"]})
    >>> rows = panel_markov(frame, states=["well", "ill"], transitions=[("well", "ill")], at_years=[2.0])
    >>> rows.select("term", pl.col("estimate").round(4)).rows()
    [('well -> ill', 0.6931), ('well', 1.4427), ('well -> well', 0.25), ('well -> ill', 0.75)]
    """
    require_conf_level(conf_level)
    if wrong := [year for year in at_years if not 0 < year < np.inf]:
        raise RequestError(f"at_years must be > 0 and finite; found {wrong[0]!r}.")
    require_columns("panel_markov", "observations", observations, ("patient_id", "day", "state"))
    by = [name for name in LABELS if name in observations.columns]
    parts = observations.partition_by(by, maintain_order=True) if by else [observations]
    rows: list[dict[str, Any]] = []
    for part in parts:
        labels = {name: part[name][0] for name in by} if part.height else {}
        try:
            fit = fit_panel_markov(part, states=states, transitions=transitions, death=death, alive=alive)
        except TableError as problem:
            if not str(problem).startswith("The data cannot tell"):
                raise
            rows.append(
                result(
                    **labels,
                    statistic="transition_intensity",
                    unit="per patient-year",
                    n=part["patient_id"].n_unique(),
                    method="panel Markov model",
                    note=str(problem),
                )
            )
            continue
        rows += _rows(fit, death, at_years, conf_level)
    return results_frame(rows)


def _rows(
    fit: PanelMarkov, death: str | None, at_years: Sequence[float], conf_level: float
) -> list[dict[str, Any]]:
    z = float(ndtri(1 - (1 - conf_level) / 2))
    common: dict[str, Any] = {
        **fit.labels,
        "n": fit.n,
        "conf_level": conf_level,
        "method": "panel Markov model, constant intensities"
        + (", death exact" if death else "")
        + ", Wald by the Hessian",
    }

    def on_log(log_value: float, error: float) -> dict[str, Any]:
        low, high = np.exp(log_value - z * error), np.exp(log_value + z * error)
        return {
            "estimate": float(np.exp(log_value)),
            "std_error": error,
            "lower": float(low),
            "upper": float(high),
        }

    rows = []
    errors = np.sqrt(np.diag(fit.covariance))
    for a, b, log_rate, error in zip(fit.origin, fit.target, fit.log_rates, errors, strict=True):
        rows.append(
            result(
                **common,
                **on_log(float(log_rate), float(error)),
                statistic="transition_intensity",
                unit="per patient-year",
                unit_of_analysis="patient_year",
                term=f"{fit.states[a]} -> {fit.states[b]}",
            )
        )
    rates = np.exp(fit.log_rates)
    for state in sorted(set(fit.origin.tolist())):
        share = np.where(fit.origin == state, rates, 0.0)
        total = float(share.sum())
        slope = share / total
        error = float(np.sqrt(slope @ fit.covariance @ slope))
        rows.append(
            result(
                **common,
                **on_log(-float(np.log(total)), error),
                statistic="sojourn_time",
                unit="years",
                term=fit.states[state],
            )
        )
    for years in at_years:
        probability, error_of = transition_probabilities(fit, years)
        ways = reachable(fit.origin, fit.target, len(fit.states))
        for a, b in zip(*np.nonzero(ways), strict=True):
            value, error = float(probability[a, b]), float(error_of[a, b])
            if a not in fit.origin:
                continue
            half = z * error / (value * (1 - value)) if 0 < value < 1 else np.nan
            logit = np.log(value / (1 - value)) if 0 < value < 1 else np.nan
            has_limits = np.isfinite(half)
            rows.append(
                result(
                    **common,
                    statistic="transition_probability",
                    unit="probability",
                    term=f"{fit.states[a]} -> {fit.states[b]}",
                    time_years=years,
                    estimate=value,
                    std_error=error,
                    lower=float(1 / (1 + np.exp(half - logit))) if has_limits else None,
                    upper=float(1 / (1 + np.exp(-half - logit))) if has_limits else None,
                    note=None if has_limits else f"no logit limits where the estimate is {value:g}",
                )
            )
    return rows
