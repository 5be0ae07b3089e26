"""Rates before and after in the same patients, with what selection alone would have done beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._repeated_counts import CORRELATIONS, fit_gee, fit_poisson_normal
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates.regression_to_the_mean import regression_to_the_mean
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

METHODS = ("conditional", "gee", "mixed")
COLUMNS = ("n_before", "years_before", "n_after", "years_after")
_MOST_LOG = 500.0
_FEWEST = 3  # patients for an error that rests on the spread between patients


def before_after_rates(
    counts: pl.DataFrame,
    *,
    methods: Sequence[str] = METHODS,
    correlation: str = "independence",
    conf_level: float = 0.95,
    with_p_value: bool = False,
    n_window: str | None = None,
    window_years: float | None = None,
) -> pl.DataFrame:
    r"""Return the ratio of the rates after to before within patients, and the size of regression to the mean.

    Parameters
    ----------
    counts
        One row per patient: `n_before`, `years_before`, `n_after`, `years_after` (events and years at risk), and
        `patient_id` where known.
    methods
        "conditional": exact, given each patient's total $t_i$; a patient's own rate drops out, and the events
        after are binomial with odds $\rho\, E_{i,after} / E_{i,before}$. It holds where a patient's counts are
        Poisson. "gee": log-linear estimating equations with a sandwich error over patients, which asks nothing of
        the counts' spread; t interval with n - 1 degrees of freedom. "mixed": Poisson given a normal log level of
        the patient (adaptive quadrature, 25 nodes); Wald interval, observed information.
    correlation
        Working correlation of "gee", "independence" (the ratio is that of the pooled rates) or "exchangeable".
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add two-sided p-values of equal rates: exact, t and Wald.
    n_window, window_years
        Column with the events in the last `window_years` before, by which patients were let in, for
        `regression_to_the_mean`; when missing the whole time before.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: a "rate_ratio" per method (`term` "after / before") and that of regression to the mean,
        which is what the same patients would have shown without treatment; the ratio has to be read against it.
        `n_events` counts after. Patients without time at risk on one side are left out and counted in
        `n_not_evaluable`. Where nobody has an event on one side, or there are fewer than three patients, only the
        conditional method has limits, and the notes say so. A method that finds no answer has a row without one.

    Raises
    ------
    TableError
        A column is missing, a count is not whole or negative, a time is negative or missing, events were seen in no
        time, or a patient stands twice.
    RequestError
        A method or the correlation is unknown.

    References
    ----------
    Cox and Lewis (1966), The Statistical Analysis of Series of Events, chapter 9 (conditioning). Liang and Zeger
    (1986), doi:10.1093/biomet/73.1.13. R: geepack::geeglm 1.3.9; lme4::glmer(nAGQ = 25) 1.1.31.

    Examples
    --------
    Each watched for as long before as after; by hand 3 / 12, and the limits of 3 in 15 turned into odds:

    >>> frame = pl.DataFrame({"n_before": [6, 2, 4], "years_before": [3.0, 1.0, 2.0],
    ...                       "n_after": [1, 0, 2], "years_after": [3.0, 1.0, 2.0]})
    >>> rows = before_after_rates(frame, methods=["conditional"])
    >>> rows.select("term", pl.col("estimate", "lower", "upper").round(4)).row(0)
    ('after / before', 0.25, 0.0453, 0.9264)
    """
    require_conf_level(conf_level)
    for method in methods:
        if method not in METHODS:
            raise RequestError(f"methods must be of {', '.join(METHODS)}; found {method!r}.")
    if correlation not in CORRELATIONS:
        raise RequestError(f"correlation must be one of {', '.join(CORRELATIONS)}; found {correlation!r}.")
    kept = watched_on_both_sides("before_after_rates", counts)
    x, before_years, y, after_years = (kept[name].cast(pl.Float64).to_numpy() for name in COLUMNS)
    common: dict[str, Any] = {
        "statistic": "rate_ratio",
        "unit": "ratio",
        "unit_of_analysis": "patient_year",
        "term": "after / before",
        "n": kept.height,
        "n_not_evaluable": counts.height - kept.height,
        "n_events": int(y.sum()),
        "person_years": float(np.sort(before_years).sum() + np.sort(after_years).sum()),
    }
    rows = []
    for method in methods:
        if method == "conditional":
            found = _conditional(x, y, after_years / before_years if kept.height else y, conf_level)
        else:
            found = _modelled(method, x, before_years, y, after_years, correlation, conf_level)
        if not with_p_value:
            found["p_value"] = None
        rows.append(result(**common, **found))
    expected = regression_to_the_mean(
        x,
        before_years,
        n_window=None if n_window is None else kept[n_window].to_numpy(),
        window_years=window_years,
        conf_level=conf_level,
    )
    return pl.concat([results_frame(rows), expected])


def watched_on_both_sides(function: str, counts: pl.DataFrame) -> pl.DataFrame:
    """Return the patients watched before and after, or say which row is wrong."""
    require_columns(function, "counts", counts, COLUMNS)
    numbered = counts.with_row_index("_row", offset=1)
    if "patient_id" in counts.columns:
        again = numbered.filter(~pl.col("patient_id").is_first_distinct())
        if again.height:
            raise TableError(
                f"{function} counts each patient once; {again.height} of {counts.height} rows repeat a patient, the "
                f"first is row {again['_row'][0]} of `counts`."
            )
    for events, years in (COLUMNS[:2], COLUMNS[2:]):
        count, time = pl.col(events).cast(pl.Float64), pl.col(years).cast(pl.Float64)
        for name, is_right, needed in (
            (events, count.is_finite() & (count >= 0) & (count == count.floor()), "a whole number >= 0"),
            (years, time.is_finite() & (time >= 0), "a time >= 0"),
            (events, (time > 0) | (count == 0), "0 where there is no time at risk"),
        ):
            wrong = numbered.filter(~is_right.fill_null(False))
            if wrong.height:
                raise TableError(
                    f"`counts.{name}` must be {needed}; {wrong.height} of {counts.height} rows are not, the first is "
                    f"row {wrong['_row'][0]} ({wrong[name][0]})."
                )
    return counts.filter((pl.col("years_before") > 0) & (pl.col("years_after") > 0))


def _conditional(x: Floats, y: Floats, exposure_ratio: Floats, conf_level: float) -> dict[str, Any]:
    """Return the exact answer given each patient's total: the sum after is a sum of binomials."""
    from scipy.optimize import brentq

    name = "exact, conditional on each patient's total"
    total, seen = int((x + y).sum()), int(y.sum())
    if total == 0:
        note = "no event before or after: nothing is known of the ratio" if x.size else "no patient with both"
        return {"method": name, "note": note, "p_value": None}
    totals = x + y

    def expected(log_ratio: float) -> float:
        return float((totals / (1 + np.exp(-log_ratio) / exposure_ratio)).sum())

    def solve(function: Any) -> float:
        low, high = -1.0, 1.0
        while function(low) > 0:
            low *= 2
        while function(high) < 0:
            high *= 2
        return float(brentq(function, low, high, xtol=1e-14, rtol=1e-14))

    centre = solve(lambda at: expected(at) - min(max(seen, 0.5), total - 0.5))
    outcomes, weights = _sum_of_binomials(totals, exposure_ratio * np.exp(centre))
    log_weight = np.log(weights)

    def probabilities(log_ratio: float) -> Floats:
        terms = log_weight + outcomes * (log_ratio - centre)
        terms = np.exp(terms - terms.max())
        return np.asarray(terms / terms.sum())

    tail = (1 - conf_level) / 2
    at_least, at_most = outcomes >= seen, outcomes <= seen
    lower = 0.0 if seen == 0 else math.exp(solve(lambda at: probabilities(at)[at_least].sum() - tail))
    upper = None if seen == total else math.exp(solve(lambda at: tail - probabilities(at)[at_most].sum()))
    null = probabilities(0.0)
    return {
        "estimate": 0.0 if seen == 0 else None if seen == total else math.exp(centre),
        "lower": lower,
        "upper": upper,
        "conf_level": conf_level,
        "p_value": min(float(null[null <= null[outcomes == seen] * (1 + 1e-7)].sum()), 1.0),
        "method": name,
        "note": "no event before: the ratio has no upper limit" if seen == total else None,
    }


def _sum_of_binomials(totals: Floats, odds: Floats) -> tuple[Counts, Floats]:
    """Return the outcomes of the sum of independent binomials with these odds, and their probabilities.

    Patients of equal odds make one binomial. Outcomes of probability below 1e-300 at either end are left out.
    """
    from scipy.special import gammaln

    first, found = 0, np.ones(1)
    distinct, whose = np.unique(odds, return_inverse=True)
    for n, odd in zip(np.bincount(whose, totals), distinct, strict=True):
        k = np.arange(n + 1)
        log_terms = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + k * np.log(odd) - n * np.log1p(odd)
        least, part = _possible(np.exp(log_terms))
        more, found = _possible(np.convolve(found, part))
        first += least + more
    return first + np.arange(found.size), found


def _possible(probabilities: Floats) -> tuple[int, Floats]:
    """Return the first outcome with a probability that counts, and those from there to the last."""
    where = np.flatnonzero(probabilities > 1e-300)
    return int(where[0]), probabilities[where[0] : where[-1] + 1]


def _modelled(
    method: str,
    x: Floats,
    before_years: Floats,
    y: Floats,
    after_years: Floats,
    correlation: str,
    conf_level: float,
) -> dict[str, Any]:
    names = {
        "gee": f"GEE, log-linear, {correlation}; sandwich error over patients, t with n - 1 df",
        "mixed": "Poisson with normal log level of the patient, 25 nodes; Wald, observed information",
    }
    n, pooled = x.size, {"method": names[method], "p_value": None}
    if n < _FEWEST or not x.any() or not y.any():
        why = (
            f"fewer than {_FEWEST} patients"
            if n < _FEWEST
            else "no event " + ("after" if x.any() else "before" if y.any() else "before or after")
        )
        estimate = 0.0 if x.any() and not y.any() else None
        return {**pooled, "estimate": estimate, "note": f"no limits by this method: {why}"}
    counts, offset = np.concatenate([x, y]), np.log(np.concatenate([before_years, after_years]))
    is_after = np.repeat([0.0, 1.0], n)
    matrix, patient = np.column_stack([np.ones(2 * n), is_after]), np.tile(np.arange(n), 2)
    note, df = None, None
    try:
        if method == "gee":
            from scipy.special import stdtr, stdtrit

            gee = fit_gee(counts, matrix, offset, patient, correlation=correlation)
            b, error, df = float(gee.coefficients[1]), math.sqrt(max(gee.covariance[1, 1], 0.0)), n - 1.0
            if error < 1e-8:
                why = "every patient shows the same ratio, so that the sandwich error is 0"
                return {**pooled, "estimate": math.exp(b), "note": f"no limits by this method: {why}"}
            half = float(stdtrit(df, (1 + conf_level) / 2)) * error
            p_value = float(2 * stdtr(df, -abs(b) / error))
            if correlation != "independence":
                note = f"correlation within patients {gee.correlation:.3g}"
        else:
            mixed = fit_poisson_normal(counts, matrix, offset, patient)
            b, error = float(mixed.coefficients[1]), math.sqrt(mixed.covariance[1, 1])
            half = float(ndtri((1 + conf_level) / 2)) * error
            p_value = math.erfc(abs(b) / error / math.sqrt(2))
            note = f"standard deviation of the patients' log rates {mixed.patient_sd:.3g}"
    except RequestError as failed:
        return {**pooled, "note": f"not estimated by this method: {failed}"}
    if b + half > _MOST_LOG:
        return {
            **pooled,
            "estimate": math.exp(b),
            "note": "no limits by this method: they lie beyond any number",
        }
    return {
        "estimate": math.exp(b),
        "std_error": math.exp(b) * error,
        "lower": math.exp(b - half),
        "upper": math.exp(b + half),
        "conf_level": conf_level,
        "df": df,
        "p_value": p_value,
        "method": names[method],
        "note": note,
    }
