"""A rate and the ratio of two rates with their intervals, counts being Poisson."""

from __future__ import annotations

import math

import polars as pl
from scipy.special import gammaincinv, pdtr

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.proportions import LIMITS, require_whole, tail_probability, two_sided_binomial
from ahsct.estimates.rows import result, results_frame

METHODS = {"garwood": "Garwood", "mid-p": "mid-P"}
RATIOS = {"exact": "exact conditional (binomial)", "mid-p": "mid-P conditional (binomial)"}


def exact_rate(
    n_events: int,
    person_years: float,
    *,
    method: str = "garwood",
    sided: str = "two",
    conf_level: float = 0.95,
    per_years: float = 1,
    n: int | None = None,
) -> pl.DataFrame:
    """Return a rate per patient-year with its interval, the count being Poisson.

    Parameters
    ----------
    n_events
        Number of events.
    person_years
        Time at risk of all patients together [years], > 0.
    method
        "garwood" (exact, conservative) or "mid-p" (half the observed probability on each side; lower limit 0
        at no event).
    sided
        "two"; "upper" or "lower" give one bound at the full level. The other end of an upper bound is 0, that
        of a lower bound is missing.
    conf_level
        Between 0 and 1.
    per_years
        Patient-years to which the rate refers, as 100; the unit of the row names them.
    n
        Number of patients behind the time at risk, where it is known; it only labels the row.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "rate".

    Raises
    ------
    TableError
        The count is negative or not whole, or there is no time at risk.
    RequestError
        The method, the side or the level is unknown, or `per_years` is not above 0.

    References
    ----------
    Garwood (1936), doi:10.1093/biomet/28.3-4.437. R: poisson.test(n_events, person_years).

    Examples
    --------
    No relapse in 179 patient-years: below 1 in 48 (two-sided), below 1 in 60 (one-sided) patient-years:

    >>> exact_rate(0, 179).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.0, 0.0, 0.0206)
    >>> round(exact_rate(0, 179, sided="upper")["upper"].item(), 4)
    0.0167
    >>> exact_rate(0, 179, per_years=100).select("unit", pl.col("upper").round(2)).row(0)
    ('per 100 patient-years', 2.06)
    """
    _require_count(n_events, person_years)
    if method not in METHODS:
        raise RequestError(
            f"No method {method!r} for a rate; known are {', '.join(METHODS)}.{did_you_mean(method, METHODS)}"
        )
    if not 0 < per_years < math.inf:
        raise RequestError(f"per_years must be a number > 0, as 100; found {per_years!r}.")
    tail = tail_probability(sided, conf_level)
    lower, upper = (_garwood if method == "garwood" else _mid_p)(n_events, tail)
    return results_frame(
        [
            result(
                statistic="rate",
                unit="per patient-year" if per_years == 1 else f"per {per_years:g} patient-years",
                unit_of_analysis="patient_year",
                estimate=n_events / person_years * per_years,
                lower=0.0 if sided == "upper" else lower / person_years * per_years,
                upper=None if sided == "lower" else upper / person_years * per_years,
                conf_level=conf_level,
                sided=sided,
                n=n,
                n_events=n_events,
                person_years=person_years,
                method=METHODS[method],
            )
        ]
    )


def rate_ratio(
    n_events: int,
    person_years: float,
    n_events_reference: int,
    person_years_reference: float,
    *,
    method: str = "exact",
    conf_level: float = 0.95,
    with_p_value: bool = False,
    n: int | None = None,
) -> pl.DataFrame:
    """Return the ratio of two rates with its interval, conditional on the total count.

    Parameters
    ----------
    n_events, person_years
        Count and time at risk [years] in the numerator.
    n_events_reference, person_years_reference
        The same in the denominator.
    method
        "exact" (limits of Clopper and Pearson for the share of the numerator) or "mid-p" (half the observed
        probability on each side).
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add the exact two-sided p-value of equal rates (sum of the outcomes that are no likelier).
    n
        Number of patients behind the time at risk, where it is known; it only labels the row.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "rate_ratio"; `n_events` is the count of the numerator,
        `person_years` the time of both. Without events in the denominator estimate and upper limit are missing
        and the note says so.

    Raises
    ------
    TableError
        A count is negative or not whole, or there is no time at risk.
    RequestError
        The method or the level is unknown.

    References
    ----------
    R: poisson.test(c(x, y), c(time_x, time_y)), stats 4.2.2.

    Examples
    --------
    By hand (5 / 60) / (21 / 72):

    >>> rate_ratio(5, 60, 21, 72).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.2857, 0.0842, 0.7786)
    """
    require_conf_level(conf_level)
    _require_count(n_events, person_years)
    _require_count(n_events_reference, person_years_reference)
    if method not in RATIOS:
        raise RequestError(
            f"No method {method!r} for a ratio of rates; known are {', '.join(RATIOS)}.{did_you_mean(method, RATIOS)}"
        )
    total = n_events + n_events_reference
    share = LIMITS["mid-p" if method == "mid-p" else "clopper-pearson"][1]
    scale = person_years_reference / person_years
    lower, upper = share(n_events, total, (1 - conf_level) / 2) if total else (0.0, 1.0)
    return results_frame(
        [
            result(
                statistic="rate_ratio",
                unit="ratio",
                unit_of_analysis="patient_year",
                estimate=n_events / n_events_reference * scale if n_events_reference else None,
                lower=lower / (1 - lower) * scale,
                upper=upper / (1 - upper) * scale if n_events_reference else None,
                conf_level=conf_level,
                p_value=two_sided_binomial(n_events, total, 1 / (1 + scale)) if with_p_value else None,
                n=n,
                n_events=n_events,
                person_years=person_years + person_years_reference,
                method=RATIOS[method],
                note=None
                if n_events_reference
                else "no event in the reference: the ratio has no upper limit",
            )
        ]
    )


def _garwood(x: int, tail: float) -> tuple[float, float]:
    return float(gammaincinv(x, tail)) if x else 0.0, float(gammaincinv(x + 1, 1 - tail))


def _mid_p(x: int, tail: float) -> tuple[float, float]:
    from scipy.optimize import brentq  # slow to import, and rarely needed

    def below(mean: float) -> float:
        """P(X < x) + P(X = x) / 2."""
        return float((pdtr(x, mean) + (pdtr(x - 1, mean) if x else 0.0)) / 2)

    outer = _garwood(x, tail)[1]
    lower = 0.0 if x == 0 else brentq(lambda mean: below(mean) - 1 + tail, 0.0, outer, xtol=1e-15, rtol=1e-14)
    return float(lower), float(brentq(lambda mean: below(mean) - tail, 0.0, outer, xtol=1e-15, rtol=1e-14))


def _require_count(n_events: int, person_years: float) -> None:
    require_whole(n_events=n_events)
    if n_events < 0:
        raise TableError(f"A count of events must be >= 0; found {n_events}.")
    if not 0 < person_years < math.inf:
        raise TableError(f"A rate needs time at risk > 0 years; found {person_years}.")
