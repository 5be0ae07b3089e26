"""A proportion with its interval, by name of the method."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.special import bdtr, bdtrc, betaincinv, ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.rows import result, results_frame

SIDES = ("two", "upper", "lower")
ENDS = ("closed", "posterior")


def exact_proportion(
    n_events: int,
    n: int,
    *,
    method: str = "clopper-pearson",
    sided: str = "two",
    conf_level: float = 0.95,
    ends: str = "closed",
) -> pl.DataFrame:
    """Return a proportion with its interval.

    Parameters
    ----------
    n_events, n
        Patients with the event, of all patients.
    method
        "clopper-pearson" (exact, conservative), "blaker" (exact, within Clopper-Pearson; two-sided only),
        "wilson" (score, without continuity correction), "jeffreys" (equal-tailed) or "mid-p" (half the
        observed probability on each side; limit 0 at no event and 1 at all).
    sided
        "two"; "upper" or "lower" give one bound at the full level, the other end is 0 or 1.
    conf_level
        Between 0 and 1.
    ends
        Convention of "jeffreys" where there is no event or nothing else: "closed" puts the limit at 0 or 1
        (Brown, Cai and DasGupta), "posterior" at the quantile of the posterior, which lies inside. The other
        limit is the same. Either is named in `method`.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "proportion".

    Raises
    ------
    TableError
        There is no patient, more events than patients, or a count is not whole.
    RequestError
        The method, the side, the level or the convention is unknown, or Blaker's interval is asked on one side.

    References
    ----------
    Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404. Wilson (1927), doi:10.1080/01621459.1927.10502953.
    Brown, Cai and DasGupta (2001), doi:10.1214/ss/1009213286. Blaker (2000), doi:10.2307/3315916.

    Examples
    --------
    One treatment death in 24 patients, 4.2 percent (0.1 to 21.1):

    >>> exact_proportion(1, 24).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.0417, 0.0011, 0.2112)
    """
    require_share(n_events, n)
    if method not in LIMITS:
        raise RequestError(
            f"No method {method!r} for a proportion; known are {', '.join(LIMITS)}.{did_you_mean(method, LIMITS)}"
        )
    if ends not in ENDS:
        raise RequestError(f"ends must be one of {', '.join(ENDS)}; found {ends!r}.")
    if method == "blaker" and sided != "two":
        raise RequestError(f"Blaker's interval has two sides; for sided={sided!r} take 'clopper-pearson'.")
    tail = tail_probability(sided, conf_level)
    name, limits = LIMITS[method]
    lower, upper = limits(n_events, n, tail)
    if method == "jeffreys":
        name = f"{name}, {ends} ends"
        lower, upper = (lower, upper) if ends == "closed" else _jeffreys_quantiles(n_events, n, tail)
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


def require_whole(**counts: float) -> None:
    """Raise a TableError where a count is not a whole number: half a patient would be cut off without a word."""
    for name, count in counts.items():
        if not math.isfinite(count) or count != math.floor(count):
            raise TableError(f"`{name}` must be a whole number; found {count}.")


def require_share(n_events: int, n: int) -> None:
    """Raise a TableError where there is no patient, or the events are not among whole numbers from 0 to n."""
    require_whole(n_events=n_events, n=n)
    if n < 1 or not 0 <= n_events <= n:
        raise TableError(f"A proportion needs 0 <= n_events <= n and n >= 1; found {n_events} of {n}.")


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


def two_sided_binomial(x: int, total: int, probability: float) -> float:
    """Return the exact two-sided p-value: the sum of the probabilities of all outcomes no likelier than x.

    Examples
    --------
    By hand 2 (1 + 10) / 2^10:

    >>> round(two_sided_binomial(9, 10, 0.5), 6)
    0.021484
    """
    if total == 0:
        return 1.0
    log_odds = math.log(probability) - math.log1p(-probability)

    def log_weight(k: int) -> float:
        return k * log_odds - math.lgamma(k + 1) - math.lgamma(total - k + 1)

    bound = log_weight(x) + 1e-7  # R's relative tolerance for equal probabilities
    mode = min(total, int((total + 1) * probability))
    if log_weight(mode) <= bound:
        return 1.0
    if x < mode:
        far = next((k for k in range(mode, total + 1) if log_weight(k) <= bound), total + 1)
        return float(
            bdtr(x, total, probability) + (bdtrc(far - 1, total, probability) if far <= total else 0.0)
        )
    near = next((k for k in range(mode, -1, -1) if log_weight(k) <= bound), -1)
    return float(bdtrc(x - 1, total, probability) + (bdtr(near, total, probability) if near >= 0 else 0.0))


def _wilson(x: int, n: int, tail: float) -> tuple[float, float]:
    z, p = float(ndtri(1 - tail)), x / n
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2) ** 0.5
    lower, upper = (centre - half) / (1 + z**2 / n), (centre + half) / (1 + z**2 / n)
    return 0.0 if x == 0 else lower, 1.0 if x == n else upper


def _jeffreys(x: int, n: int, tail: float) -> tuple[float, float]:
    lower, upper = _jeffreys_quantiles(x, n, tail)
    return 0.0 if x == 0 else lower, 1.0 if x == n else upper


def _jeffreys_quantiles(x: int, n: int, tail: float) -> tuple[float, float]:
    a, b = x + 0.5, n - x + 0.5
    return float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))


def _mid_p(x: int, n: int, tail: float) -> tuple[float, float]:
    from scipy.optimize import brentq  # slow to import, and rarely needed

    def below(p: float) -> float:
        """P(X < x) + P(X = x) / 2."""
        return float((bdtr(x, n, p) + (bdtr(x - 1, n, p) if x else 0.0)) / 2)

    upper = 1.0 if x == n else float(brentq(lambda p: below(p) - tail, 0.0, 1.0, xtol=1e-15, rtol=1e-14))
    lower = 0.0 if x == 0 else float(brentq(lambda p: below(p) - 1 + tail, 0.0, 1.0, xtol=1e-15, rtol=1e-14))
    return lower, upper


def _blaker(x: int, n: int, tail: float) -> tuple[float, float]:
    return _blaker_lower(x, n, 2 * tail), 1 - _blaker_lower(n - x, n, 2 * tail)


def _blaker_lower(x: int, n: int, alpha: float) -> float:
    """Return the least p that Blaker's test does not refuse.

    Below x/n the acceptability of p is P(X >= x) + P(X <= k), k being the last outcome whose lower tail is no
    likelier than P(X >= x). It jumps up where k steps on; in between it is 1 - P(k < X < x), which falls and then
    rises, so that a step is crossed at its start or once, on the way up. The search starts at the limit of
    Clopper and Pearson, which lies below.
    """
    from scipy.optimize import brentq

    if x == 0:
        return 0.0

    def upper_tail(p: float) -> float:
        return float(bdtrc(x - 1, n, p))

    start = clopper_pearson(x, n, alpha / 2)[0]
    first = int((bdtr(np.arange(x), n, start) <= upper_tail(start)).sum()) - 1

    def lower_tail(p: float, k: int) -> float:
        return float(bdtr(k, n, p)) if k >= 0 else 0.0

    def excess(p: float, k: int) -> float:
        return upper_tail(p) + lower_tail(p, k) - alpha

    def balance(p: float, k: int) -> float:
        return lower_tail(p, k) - upper_tail(p)

    def root(function: Callable[[float, int], float], k: int, low: float, high: float) -> float:
        return float(brentq(function, low, high, args=(k,), xtol=1e-16, rtol=1e-14))

    for k in range(first, x):
        if excess(start, k) > 0:
            return start
        end = root(balance, k + 1, start, 1.0) if k + 1 < x else x / n
        if excess(end, k) > 0:
            return root(excess, k, start, end)
        start = end
    return start


LIMITS: dict[str, tuple[str, Callable[[int, int, float], tuple[float, float]]]] = {
    "clopper-pearson": ("Clopper-Pearson", clopper_pearson),
    "wilson": ("Wilson", _wilson),
    "jeffreys": ("Jeffreys", _jeffreys),
    "mid-p": ("mid-P", _mid_p),
    "blaker": ("Blaker", _blaker),
}
