"""Rates that differ between patients more than Poisson: negative binomial regression with time at risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import gammaln, ndtri

from ahsct.errors import RequestError, TableError
from ahsct.estimates._glm import Glm, design, log_linear, separating_direction
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

STANDARD_ERRORS = {
    "expected": "expected information",
    "observed": "observed information",
    "robust": "robust (sandwich, HC0)",
}
_MOST_DISPERSION = 1e6
_NO_SANDWICH = (
    "no robust error: a patient alone in a group is fitted exactly (or all of a group are), which the sandwich takes for "
    "certainty"
)


class NegativeBinomial(NamedTuple):
    """Coefficients on the log scale, dispersion (1 / theta), log likelihood, covariances by name, error of the log dispersion."""

    coefficients: Floats
    dispersion: float
    log_likelihood: float
    covariance: dict[str, Floats]
    log_dispersion_error: float | None


def fit_negative_binomial(
    counts: npt.ArrayLike, years: npt.ArrayLike, matrix: npt.ArrayLike
) -> NegativeBinomial:
    r"""Fit counts with mean $\mu_i = E_i \exp(x_i \beta)$ and variance $\mu_i + \phi \mu_i^2$ by maximum likelihood.

    The core of `negative_binomial_rates`, from arrays. Where the counts vary no more than Poisson the likelihood is
    largest at $\phi = 0$, and that fit is returned.

    Examples
    --------
    One year each; the mean of the counts is the rate, here 2 a year:

    >>> fit = fit_negative_binomial([0, 0, 1, 3, 6], [1.0] * 5, np.ones((5, 1)))
    >>> round(float(np.exp(fit.coefficients[0])), 10), fit.dispersion > 0
    (2.0, True)
    """
    y, x = np.asarray(counts, dtype=np.float64), np.asarray(matrix, dtype=np.float64)
    offset = np.log(np.asarray(years, dtype=np.float64))
    fit, dispersion = _profile(y, x, offset)
    mean, variance = fit.means, fit.means + dispersion * fit.means**2
    observed = (x * (mean * (1 + dispersion * y) / (1 + dispersion * mean) ** 2)[:, None]).T @ x
    error = None
    if dispersion > 0:
        # beta and phi together, on the log scale of phi, by differences of the analytic score
        step = 1e-5
        mixed = -(x.T @ (mean * (y - mean) / (1 + dispersion * mean) ** 2)) * dispersion
        curvature = [
            _dispersion_score(y, mean, dispersion * np.exp(s)) * dispersion * np.exp(s) for s in (-step, step)
        ]
        joint = np.block(
            [
                [observed, -mixed[:, None]],
                [-mixed[None], np.array([[(curvature[0] - curvature[1]) / (2 * step)]])],
            ]
        )
        inverse = np.linalg.inv(joint)
        observed_covariance, error = inverse[:-1, :-1], float(np.sqrt(max(inverse[-1, -1], 0.0)))
    else:
        observed_covariance = np.linalg.inv(observed)
    scores = x * ((y - mean) * mean / variance)[:, None]
    covariance = {
        "expected": fit.covariance,
        "observed": observed_covariance,
        "robust": fit.covariance @ (scores.T @ scores) @ fit.covariance,
    }
    return NegativeBinomial(
        fit.coefficients, dispersion, _log_likelihood(y, fit, dispersion), covariance, error
    )


def negative_binomial_rates(
    counts: pl.DataFrame,
    *,
    covariates: Sequence[str] = (),
    count: str = "number",
    years: str = "exposure_years",
    std_error: str = "expected",
    interval: str = "profile",
    conf_level: float = 0.95,
    with_p_value: bool = False,
) -> pl.DataFrame:
    r"""Return the rate, the rate ratio of each covariate and the dispersion between patients, by maximum likelihood.

    Counts have mean $\mu_i = E_i \exp(\beta_0 + x_i \beta)$ and variance $\mu_i + \phi \mu_i^2$ (NB2); $\phi$ is
    $1/\theta$ of R.

    Parameters
    ----------
    counts
        One row per patient: the count, the years at risk (> 0) and the covariates (numbers or true/false; one
        column per category but one).
    covariates, count, years
        Names of the columns.
    std_error
        "expected" (information with the dispersion at its estimate: what R's glm.nb prints), "observed" (of
        coefficients and dispersion together: what statsmodels prints) or "robust" (sandwich, HC0; missing, with a note,
        where a patient is alone in a group, whom it would take for certain). `method` names it.
    interval
        "profile" (profile likelihood, the dispersion estimated anew at each value) or "wald" (log scale, with the
        standard error named).
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add the two-sided Wald p-values of ratios of 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: "rate" (all covariates 0), a "rate_ratio" per covariate (`term`; per unit), "dispersion"
        (profile limits, 0 where Poisson is not refused; standard error from the observed information; 0 with a note
        where the counts vary no more than Poisson).
        `std_error` is that of the ratio, estimate times the error of its logarithm.

    Raises
    ------
    TableError
        A column is missing, a count is not whole or negative, a time is not above 0, or there is no patient.
    RequestError
        There is no event (or none in a group that a covariate sets apart), covariates cannot be told apart, or a
        choice is unknown.

    References
    ----------
    Lawless (1987), doi:10.2307/3314912. R: MASS::glm.nb(count ~ x + offset(log(years))), 7.3.58.2.

    Examples
    --------
    Ten events in five patients of one year each: the rate is 2:

    >>> frame = pl.DataFrame({"number": [0, 0, 1, 3, 6], "exposure_years": [1.0, 1.0, 1.0, 1.0, 1.0]})
    >>> negative_binomial_rates(frame).select("statistic", pl.col("estimate", "lower", "upper").round(3)).rows()
    [('rate', 2.0, 0.535, 14.606), ('dispersion', 1.304, 0.0, 9.984)]
    """
    y, at_risk, matrix = _checked(counts, covariates, count, years, std_error, interval, conf_level)
    offset = np.log(at_risk)
    fit = fit_negative_binomial(y, at_risk, matrix)
    errors = np.sqrt(np.maximum(np.diag(fit.covariance[std_error]), 0))
    has_error = _has_sandwich_error(fit, y, at_risk, matrix) if std_error == "robust" else errors > 0
    z = float(ndtri(1 - (1 - conf_level) / 2))
    common: dict[str, Any] = {
        "n": y.size,
        "n_events": int(y.sum()),
        "person_years": float(np.sort(at_risk).sum()),
    }
    shape = "profile likelihood" if interval == "profile" else "Wald on the log scale"
    rows = []
    for position, name in enumerate([None, *covariates]):
        b, error = float(fit.coefficients[position]), float(errors[position]) if has_error[position] else None
        limits: tuple[float, float] | None = None
        if interval == "profile":
            limits = _profile_limits(fit, y, matrix, offset, position, z)
        elif error is not None:
            limits = b - z * error, b + z * error
        has_p = name and with_p_value and error is not None
        rows.append(
            result(
                statistic="rate_ratio" if name else "rate",
                unit="ratio" if name else "per patient-year",
                unit_of_analysis="patient_year",
                term=name,
                estimate=np.exp(b),
                std_error=None if error is None else np.exp(b) * error,
                lower=None if limits is None else np.exp(limits[0]),
                upper=None if limits is None else np.exp(limits[1]),
                conf_level=conf_level,
                p_value=math.erfc(abs(b) / error / math.sqrt(2)) if has_p and error else None,
                note=_NO_SANDWICH if error is None else None,
                method=f"negative binomial, {shape}; standard error: {STANDARD_ERRORS[std_error]}",
                **common,
            )
        )
    lower_dispersion, upper_dispersion = _dispersion_limits(fit, y, matrix, offset, z)
    notes = [] if fit.dispersion else ["the counts vary no more than Poisson: dispersion at its bound 0"]
    if upper_dispersion is None:
        notes.append("the counts refuse no dispersion, however large: no upper limit")
    rows.append(
        result(
            statistic="dispersion",
            unit="variance of the rate between patients over its squared mean",
            estimate=fit.dispersion,
            std_error=fit.log_dispersion_error and fit.log_dispersion_error * fit.dispersion,
            lower=lower_dispersion,
            upper=upper_dispersion,
            conf_level=conf_level,
            method="negative binomial, profile likelihood; standard error: observed information",
            note="; ".join(notes) or None,
            **common,
        )
    )
    return results_frame(rows)


def _has_sandwich_error(
    fit: NegativeBinomial, y: Floats, years: Floats, matrix: Floats
) -> npt.NDArray[np.bool_]:
    """Return for each coefficient whether its sandwich holds the chance of every patient who moves it.

    It does not where a patient is fitted exactly whatever the count (leverage 1), as in a group of one, and where all who
    move the coefficient happen to be fitted exactly.
    """
    mean = years * np.exp(matrix @ fit.coefficients)
    influence = matrix @ fit.covariance["expected"]
    weight = mean / (1 + fit.dispersion * mean)
    alone = weight * (influence * matrix).sum(axis=1) > 1 - 1e-8
    errors = np.sqrt(np.diag(fit.covariance["expected"]))
    is_moved = (np.abs(influence[alone]) * np.sqrt(weight[alone])[:, None] > 1e-8 * errors).any(axis=0)
    return np.asarray(~is_moved & (np.diag(fit.covariance["robust"]) > 1e-16 * errors**2))


def _checked(
    counts: pl.DataFrame,
    covariates: Sequence[str],
    count: str,
    years: str,
    std_error: str,
    interval: str,
    conf_level: float,
) -> tuple[Floats, Floats, Floats]:
    function = "negative_binomial_rates"
    require_conf_level(conf_level)
    for given, known, name in (
        (std_error, tuple(STANDARD_ERRORS), "std_error"),
        (interval, ("profile", "wald"), "interval"),
    ):
        if given not in known:
            raise RequestError(f"{name} must be one of {', '.join(known)}; found {given!r}.")
    y, at_risk = counts_and_years(function, counts, count, years)
    matrix = design(function, "counts", counts, covariates)
    require_finite_rates(function, y, matrix)
    return y, at_risk, matrix


def counts_and_years(function: str, counts: pl.DataFrame, count: str, years: str) -> tuple[Floats, Floats]:
    """Return whole counts >= 0 and times > 0 of at least one patient, or say which row is wrong."""
    require_columns(function, "counts", counts, (count, years))
    if counts.is_empty():
        raise TableError(f"{function} needs at least one patient; `counts` has no row.")
    whole = pl.col(count).cast(pl.Float64)
    for name, is_right, needed in (
        (count, whole.is_finite() & (whole >= 0) & (whole == whole.floor()), "whole numbers >= 0"),
        (years, pl.col(years).cast(pl.Float64).is_finite() & (pl.col(years) > 0), "years > 0"),
    ):
        wrong = counts.with_row_index("_row", offset=1).filter(~is_right.fill_null(False))
        if wrong.height:
            raise TableError(
                f"{function} needs {needed} in `counts.{name}`; {wrong.height} of {counts.height} rows are not, the "
                f"first is row {wrong['_row'][0]} ({wrong[name][0]}). Leave patients without time at risk out."
            )
    return counts[count].cast(pl.Float64).to_numpy(), counts[years].cast(pl.Float64).to_numpy()


def require_finite_rates(function: str, y: Floats, matrix: Floats) -> None:
    """Refuse counts whose likelihood has no finite maximum: no event, or none in a group set apart."""
    if not y.any():
        raise RequestError(
            f"{function} cannot model {y.size} patients without any event: exact_rate gives a bound."
        )
    if separating_direction(matrix, np.where(y == 0, -1.0, 0.0)) is not None:
        raise RequestError(
            f"{function} has no finite estimate: a covariate sets apart a group without any event. rate_ratio gives "
            "the exact interval of two groups."
        )


def _profile(y: Floats, x: Floats, offset: Floats) -> tuple[Glm, float]:
    """Return the fit at the dispersion that maximises the likelihood, and the dispersion."""
    from scipy.optimize import brentq

    poisson = log_linear(y, x, offset=offset)
    if _dispersion_score(y, poisson.means, 0.0) <= 0:
        return poisson, 0.0
    start = poisson.coefficients

    def score(log_dispersion: float) -> float:
        nonlocal start
        fit = log_linear(y, x, offset=offset, dispersion=float(np.exp(log_dispersion)), start=start)
        start = fit.coefficients
        return _dispersion_score(y, fit.means, float(np.exp(log_dispersion)))

    low = high = 0.0
    while score(low) < 0:
        low -= 2
    while score(high) > 0:
        high += 2
        if np.exp(high) > _MOST_DISPERSION:
            raise RequestError("The dispersion of the negative binomial has no finite estimate.")
    dispersion = float(np.exp(brentq(score, low, high, xtol=1e-12, rtol=1e-13)))
    return log_linear(y, x, offset=offset, dispersion=dispersion, start=start), dispersion


def _dispersion_score(y: Floats, mean: Floats, dispersion: float) -> float:
    """Return the derivative of the log likelihood by the dispersion."""
    if dispersion == 0:
        return float(((y - mean) ** 2 - y).sum() / 2)
    rising = np.arange(int(y.max()))
    below = np.concatenate([[0.0], np.cumsum(rising / (1 + dispersion * rising))])[y.astype(int)]
    t = dispersion * mean
    # log(1 + t) - t / (1 + t), by its series where the two nearly cancel
    rest = np.where(
        t < 1e-3, t**2 * (1 / 2 - t * (2 / 3 - t * (3 / 4 - t * 4 / 5))), np.log1p(t) - t / (1 + t)
    )
    return float((below + rest / dispersion**2 - y * mean / (1 + t)).sum())


def _log_likelihood(y: Floats, fit: Glm, dispersion: float) -> float:
    rising = np.concatenate([[0.0], np.cumsum(np.log1p(dispersion * np.arange(y.max())))])
    return float(fit.log_likelihood + (rising[y.astype(int)] - gammaln(y + 1)).sum())


def _profile_limits(
    fit: NegativeBinomial, y: Floats, x: Floats, offset: Floats, position: int, z: float
) -> tuple[float, float]:
    """Return the values of a coefficient at which twice the loss of log likelihood is z squared."""
    from scipy.optimize import brentq

    others = np.delete(x, position, axis=1)
    centre = float(fit.coefficients[position])
    step = z * float(np.sqrt(fit.covariance["expected"][position, position]))

    def excess(value: float) -> float:
        restricted, dispersion = _profile(y, others, offset + x[:, position] * value)
        return 2 * (fit.log_likelihood - _log_likelihood(y, restricted, dispersion)) - z**2

    def limit(sign: int) -> float:
        far = centre + sign * step
        while excess(far) < 0:
            far += sign * step
        return float(brentq(excess, centre, far, xtol=1e-12, rtol=1e-13))

    return limit(-1), limit(1)


def _dispersion_limits(
    fit: NegativeBinomial, y: Floats, x: Floats, offset: Floats, z: float
) -> tuple[float, float | None]:
    from scipy.optimize import brentq

    def excess(dispersion: float) -> float:
        restricted = log_linear(y, x, offset=offset, dispersion=dispersion)
        return 2 * (fit.log_likelihood - _log_likelihood(y, restricted, dispersion)) - z**2

    def root(low: float, high: float) -> float:
        return float(np.exp(brentq(lambda at: excess(float(np.exp(at))), low, high, xtol=1e-12, rtol=1e-13)))

    start = float(np.log(fit.dispersion)) if fit.dispersion else -20.0
    low, high = start - 1, max(start, -3.0) + 1
    while excess(float(np.exp(high))) < 0:
        high += 1
        if high > np.log(_MOST_DISPERSION):
            return 0.0, None
    if excess(0.0) <= 0:
        return 0.0, root(start, high)
    while excess(float(np.exp(low))) < 0:
        low -= 1
    return root(low, start), root(start, high)
