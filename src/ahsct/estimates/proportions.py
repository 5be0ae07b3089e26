"""Exact intervals of a proportion."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from scipy.special import bdtr, betaincinv, ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.rows import result, results_frame

SIDES = ("two", "upper", "lower")


def exact_proportion(
    n_events: int, n: int, *, method: str = "clopper-pearson", sided: str = "two", conf_level: float = 0.95
) -> pl.DataFrame:
    """Return a proportion with its interval.

    Parameters
    ----------
    n_events, n
        Patients with the event, of all patients.
    method
        "clopper-pearson" (exact, conservative), "wilson" (score, without continuity correction), "jeffreys"
        (equal-tailed, with limit 0 at no event and 1 at all) or "mid-p" (two-sided: half the observed
        probability on each side; limit 0 at no event and 1 at all).
    sided
        "two"; "upper" or "lower" give one bound at the full level, the other end is 0 or 1.
    conf_level
        Between 0 and 1.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "proportion".

    Raises
    ------
    TableError
        There is no patient, or more events than patients.
    RequestError
        The method, the side or the level is unknown.

    References
    ----------
    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404. Wilson (1927), doi:10.1080/01621459.1927.10502953.
    Brown, Cai and DasGupta (2001), doi:10.1214/ss/1009213286.

    Examples
    --------
    One treatment death in 24 patients, 4.2 percent (0.1 to 21.1):

    >>> exact_proportion(1, 24).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.0417, 0.0011, 0.2112)
    """
    if n < 1 or not 0 <= n_events <= n:
        raise TableError(f"A proportion needs 0 <= n_events <= n and n >= 1; found {n_events} of {n}.")
    if method not in LIMITS:
        raise RequestError(
            f"No method {method!r} for a proportion; known are {', '.join(LIMITS)}.{did_you_mean(method, LIMITS)}"
        )
    tail = tail_probability(sided, conf_level)
    name, limits = LIMITS[method]
    lower, upper = limits(n_events, n, tail)
    return results_frame(
        [
            result(
                statistic="proportion",
                unit="probability",
                estimate=n_events / n,
                lower=0.0 if sided == "upper" else lower,
                upper=1.0 if sided == "lower" else upper,
                conf_level=conf_level,
                sided=sided,
                n=n,
                n_events=n_events,
                method=name,
            )
        ]
    )


def tail_probability(sided: str, conf_level: float) -> float:
    """Return the probability beyond each limit, or raise a RequestError."""
    if sided not in SIDES:
        raise RequestError(f"sided must be one of {', '.join(SIDES)}; found {sided!r}.")
    return (1 - require_conf_level(conf_level)) / (2 if sided == "two" else 1)


def clopper_pearson(x: int, n: int, tail: float) -> tuple[float, float]:
    """Return the limits beyond which each side has at most probability `tail`.

    Examples
    --------
    >>> [round(limit, 3) for limit in clopper_pearson(16, 23, 0.025)]
    [0.471, 0.868]
    """
    lower = 0.0 if x == 0 else float(betaincinv(x, n - x + 1, tail))
    return lower, 1.0 if x == n else float(betaincinv(x + 1, n - x, 1 - tail))


def _wilson(x: int, n: int, tail: float) -> tuple[float, float]:
    z, p = float(ndtri(1 - tail)), x / n
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    lower, upper = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return 0.0 if x == 0 else lower, 1.0 if x == n else upper


def _jeffreys(x: int, n: int, tail: float) -> tuple[float, float]:
    lower = 0.0 if x == 0 else float(betaincinv(x + 0.5, n - x + 0.5, tail))
    return lower, 1.0 if x == n else float(betaincinv(x + 0.5, n - x + 0.5, 1 - tail))


def _mid_p(x: int, n: int, tail: float) -> tuple[float, float]:
    from scipy.optimize import brentq  # slow to import, and rarely needed

    def below(p: float) -> float:
        """P(X < x) + P(X = x) / 2."""
        return float((bdtr(x, n, p) + (bdtr(x - 1, n, p) if x else 0.0)) / 2)

    upper = 1.0 if x == n else float(brentq(lambda p: below(p) - tail, 0.0, 1.0, xtol=1e-15, rtol=1e-14))
    lower = 0.0 if x == 0 else float(brentq(lambda p: below(p) - 1 + tail, 0.0, 1.0, xtol=1e-15, rtol=1e-14))
    return lower, upper


LIMITS: dict[str, tuple[str, Callable[[int, int, float], tuple[float, float]]]] = {
    "clopper-pearson": ("Clopper-Pearson", clopper_pearson),
    "wilson": ("Wilson", _wilson),
    "jeffreys": ("Jeffreys", _jeffreys),
    "mid-p": ("mid-P", _mid_p),
}
