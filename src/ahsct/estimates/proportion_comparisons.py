"""Two proportions: their difference and ratio in two groups, and before against after in the same patients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.proportions import (
    LIMITS,
    clopper_pearson,
    require_share,
    require_whole,
    two_sided_binomial,
)
from ahsct.estimates.rows import result, results_frame

DIFFERENCES = {
    "miettinen-nurminen": "score, Miettinen-Nurminen (N/(N-1))",
    "mee": "score, Mee",
    "newcombe": "Newcombe (Wilson limits squared and added)",
}
RATIOS = {
    "miettinen-nurminen": "score, Miettinen-Nurminen (N/(N-1))",
    "koopman": "score, Koopman",
}


def proportion_difference(
    n_events: int,
    n: int,
    n_events_reference: int,
    n_reference: int,
    *,
    method: str = "miettinen-nurminen",
    conf_level: float = 0.95,
    with_p_value: bool = False,
) -> pl.DataFrame:
    r"""Return the difference of two independent proportions with its interval.

    The score interval holds every $\delta$ with

    $$\frac{|\hat p_1 - \hat p_0 - \delta|}
           {\sqrt{c\,(\tilde p_1 (1 - \tilde p_1) / n_1 + \tilde p_0 (1 - \tilde p_0) / n_0)}} \le z,$$

    $\tilde p_1 = \tilde p_0 + \delta$ having the largest likelihood of all such pairs; c = N / (N - 1) for
    "miettinen-nurminen", 1 for "mee".

    Parameters
    ----------
    n_events, n
        Patients with the event, of all patients of the group.
    n_events_reference, n_reference
        The same in the reference group, whose proportion is taken off.
    method
        "miettinen-nurminen", "mee" or "newcombe" (method 10 of Newcombe, without continuity correction).
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add the two-sided p-value of equal proportions by the same score statistic; none for "newcombe".

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "proportion_difference"; `n` counts both groups, `n_events` the first.

    Raises
    ------
    TableError
        A group is empty, has more events than patients, or a count is not whole.
    RequestError
        The method or the level is unknown.

    References
    ----------
    Miettinen and Nurminen (1985), doi:10.1002/sim.4780040211. Mee (1984), Biometrics 40:1175-1176.
    Newcombe (1998), doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    Examples
    --------
    56 of 70 against 48 of 80, an example of Newcombe's, who prints 0.0528 to 0.3382:

    >>> proportion_difference(56, 70, 48, 80).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.2, 0.0528, 0.3382)
    """
    z = _checked((n_events, n), (n_events_reference, n_reference), method, DIFFERENCES, conf_level)
    first, reference = n_events / n, n_events_reference / n_reference
    estimate, p_value = first - reference, None
    if method == "newcombe":
        tail = (1 - conf_level) / 2
        (low, high), (low_reference, high_reference) = (
            LIMITS["wilson"][1](*pair, tail) for pair in ((n_events, n), (n_events_reference, n_reference))
        )
        lower = estimate - math.hypot(first - low, high_reference - reference)
        upper = estimate + math.hypot(high - first, reference - low_reference)
    else:
        factor = _factor(method, n + n_reference)

        def error(difference: float) -> float:
            p = _restricted(n_events, n, n_events_reference, n_reference, difference)
            p1 = p + difference
            return math.sqrt(max(factor * (p1 * (1 - p1) / n + p * (1 - p) / n_reference), 0.0))

        lower = _root(lambda at: estimate - at - z * error(at), estimate, -1.0)
        upper = _root(lambda at: estimate - at + z * error(at), estimate, 1.0)
        p_value = _two_sided(estimate, error(0.0))
    row = result(
        statistic="proportion_difference",
        unit="probability",
        estimate=estimate,
        lower=max(lower, -1.0),
        upper=min(upper, 1.0),
        conf_level=conf_level,
        p_value=p_value if with_p_value else None,
        n=n + n_reference,
        n_events=n_events,
        method=DIFFERENCES[method],
        note=_group_note(n_events, n, n_events_reference, n_reference),
    )
    return results_frame([row])


def proportion_ratio(
    n_events: int,
    n: int,
    n_events_reference: int,
    n_reference: int,
    *,
    method: str = "miettinen-nurminen",
    conf_level: float = 0.95,
    with_p_value: bool = False,
) -> pl.DataFrame:
    r"""Return the ratio of two independent proportions (relative risk) with its score interval.

    The interval holds every $\varphi$ with

    $$\frac{|\hat p_1 - \varphi \hat p_0|}
           {\sqrt{c\,(\tilde p_1 (1 - \tilde p_1) / n_1 + \varphi^2 \tilde p_0 (1 - \tilde p_0) / n_0)}} \le z,$$

    $\tilde p_1 = \varphi \tilde p_0$ having the largest likelihood of all such pairs; c = N / (N - 1) for
    "miettinen-nurminen", 1 for "koopman".

    Parameters
    ----------
    n_events, n, n_events_reference, n_reference, conf_level, with_p_value
        As for `proportion_difference`.
    method
        "miettinen-nurminen" or "koopman".

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "proportion_ratio". Without an event in the reference, estimate and upper
        limit are missing; without any event, all three are.

    Raises
    ------
    TableError
        A group is empty, or has more events than patients.
    RequestError
        The method or the level is unknown.

    References
    ----------
    Miettinen and Nurminen (1985), doi:10.1002/sim.4780040211. Koopman (1984), doi:10.2307/2531405.

    Examples
    --------
    8 of 24 against 16 of 24, by hand the ratio 1/2:

    >>> proportion_ratio(8, 24, 16, 24).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.5, 0.2552, 0.9094)
    """
    z = _checked((n_events, n), (n_events_reference, n_reference), method, RATIOS, conf_level)
    first, reference = n_events / n, n_events_reference / n_reference
    total, factor = n + n_reference, _factor(method, n + n_reference)

    def error(ratio: float) -> float:
        half = (n * ratio + n_events + n_reference + n_events_reference * ratio) / 2
        events = n_events + n_events_reference
        p = events / (half + math.sqrt(max(half**2 - total * ratio * events, 0.0)))
        p1 = min(ratio * p, 1.0)
        return math.sqrt(factor * (p1 * (1 - p1) / n + ratio**2 * p * (1 - p) / n_reference))

    def gap(log_ratio: float, sign: int) -> float:
        ratio = math.exp(log_ratio)
        return first - ratio * reference + sign * z * error(ratio)

    lower = math.exp(_falling_root(lambda at: gap(at, -1))) if n_events else 0.0
    upper = math.exp(_falling_root(lambda at: gap(at, 1))) if n_events_reference else None
    notes = [_group_note(n_events, n, n_events_reference, n_reference)]
    if not n_events_reference:
        why = "no event in the reference: the ratio has no upper limit"
        notes.append(why if n_events else "no event in either group: nothing is known of the ratio")
    row = result(
        statistic="proportion_ratio",
        unit="ratio",
        estimate=first / reference if n_events_reference else None,
        lower=lower if n_events or n_events_reference else None,
        upper=upper,
        conf_level=conf_level,
        p_value=_two_sided(first - reference, error(1.0)) if with_p_value else None,
        n=total,
        n_events=n_events,
        method=RATIOS[method],
        note="; ".join(notes),
    )
    return results_frame([row])


def mcnemar(n_first_only: int, n_second_only: int, n: int, *, conf_level: float = 0.95) -> pl.DataFrame:
    r"""Compare two yes-or-no results of the same patients, such as active before and active after.

    Given that a patient changed, the direction is binomial: the exact test of McNemar asks whether it is a fair
    coin, and the limits of Clopper and Pearson turn into those of the odds ratio b / c. The interval of the
    difference (b - c) / n is the score interval of Tango.

    Parameters
    ----------
    n_first_only, n_second_only
        Patients with "yes" at the first occasion alone (b), and at the second alone (c).
    n
        All pairs, those that did not change included.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Two rows of schema RESULTS: "paired_difference" (first minus second) and "paired_odds_ratio" with the
        exact two-sided p-value; `n_events` counts those who changed. Where nobody is "yes" at the second
        occasion alone the odds ratio and its upper limit are missing; where nobody changed its lower limit too.

    Raises
    ------
    TableError
        There is no pair, more changes than pairs, or a count is not whole.

    References
    ----------
    McNemar (1947), doi:10.1007/BF02295996. Tango (1998), Stat Med 17:891-908.
    R: binom.test(b, b + c).

    Examples
    --------
    Of 23 patients 9 were active before and not after, 1 the other way; by hand p = 2 (1 + 10) / 2^10:

    >>> rows = mcnemar(9, 1, 23)
    >>> rows.select("statistic", pl.col("estimate", "lower", "upper", "p_value").round(4)).rows()
    [('paired_difference', 0.3478, 0.0927, 0.5661, None), ('paired_odds_ratio', 9.0, 1.2471, 394.4791, 0.0215)]
    """
    require_conf_level(conf_level)
    b, c, changed = n_first_only, n_second_only, n_first_only + n_second_only
    require_whole(n_first_only=b, n_second_only=c, n=n)
    if n < 1 or b < 0 or c < 0 or changed > n:
        raise TableError(
            f"Pairs need counts >= 0, and n >= 1 at least as large as those who changed; found {b} and {c} of {n}."
        )
    z = float(ndtri(1 - (1 - conf_level) / 2))
    estimate = (b - c) / n

    def error(difference: float) -> float:
        """Return the score standard error, p being the most likely c / n at this difference."""
        half = (b + c - (2 * n - b + c) * difference) / 2
        inner = max(half**2 + 2 * n * c * difference * (1 - difference), 0.0)
        p = (half + math.sqrt(inner)) / (2 * n)
        return math.sqrt(max((2 * p + difference * (1 - difference)) / n, 0.0))

    lower = _root(lambda at: estimate - at - z * error(at), estimate, -1.0)
    upper = _root(lambda at: estimate - at + z * error(at), estimate, 1.0)
    common: dict[str, Any] = {"conf_level": conf_level, "n": n, "n_events": changed}
    low, high = clopper_pearson(b, changed, (1 - conf_level) / 2) if changed else (0.0, 1.0)
    note = None
    if not c:
        note = "nobody changed" if not b else "nobody is 'yes' at the second occasion alone: no upper limit"
    rows = [
        result(
            statistic="paired_difference",
            unit="probability",
            estimate=estimate,
            lower=lower,
            upper=upper,
            method="score, Tango",
            **common,
        ),
        result(
            statistic="paired_odds_ratio",
            unit="ratio",
            estimate=b / c if c else None,
            lower=low / (1 - low) if changed else None,
            upper=high / (1 - high) if c else None,
            p_value=two_sided_binomial(b, changed, 0.5),
            method="exact McNemar (conditional)",
            note=note,
            **common,
        ),
    ]
    return results_frame(rows)


def _restricted(x: int, n: int, y: int, m: int, difference: float) -> float:
    """Return the most likely proportion of the reference, that of the group being larger by the difference."""
    from scipy.optimize import brentq

    low, high = max(0.0, -difference), min(1.0, 1.0 - difference)

    def slope(p: float) -> float:
        """Return the derivative of the log likelihood, which falls with p, squeezed into -1 ... 1."""
        p1 = p + difference
        up = _over(x, p1) + _over(y, p)
        down = _over(n - x, 1 - p1) + _over(m - y, 1 - p)
        if math.isinf(up) or math.isinf(down):
            return 0.0 if up == down else math.copysign(1.0, up - down)
        return (up - down) / (1 + up + down)

    if slope(low) <= 0:
        return low
    return high if slope(high) >= 0 else float(brentq(slope, low, high, xtol=1e-16, rtol=1e-14))


def _over(count: int, p: float) -> float:
    return 0.0 if count == 0 else count / p if p > 0 else math.inf


def _root(function: Callable[[float], float], start: float, end: float) -> float:
    """Return where the function changes sign on the way from the estimate (not itself a root) to the far end."""
    from scipy.optimize import brentq

    # at the estimate itself the error may be 0 (no event in either group) although it is not beside it
    near = start + 1e-10 * (end - start)
    return start if start == end else float(brentq(function, near, end, xtol=1e-15, rtol=1e-14))


def _falling_root(function: Callable[[float], float]) -> float:
    """Return the root of a function that falls from positive to negative, searched in widening steps."""
    from scipy.optimize import brentq

    low, high = -1.0, 1.0
    while function(low) < 0:
        low *= 2
    while function(high) > 0:
        high *= 2
    return float(brentq(function, low, high, xtol=1e-15, rtol=1e-14))


def _factor(method: str, total: int) -> float:
    return total / (total - 1) if method == "miettinen-nurminen" else 1.0


def _two_sided(difference: float, error: float) -> float:
    """Return the two-sided p-value of a score statistic; 1 where both proportions are 0, or both 1."""
    return math.erfc(abs(difference) / error / math.sqrt(2)) if error > 0 else 1.0


def _group_note(x: int, n: int, y: int, m: int) -> str:
    return f"{int(x)} of {int(n)} against {int(y)} of {int(m)}"


def _checked(
    group: tuple[int, int], reference: tuple[int, int], method: str, known: dict[str, str], conf_level: float
) -> float:
    """Return the normal quantile of the level, or say what is wrong."""
    for x, n in (group, reference):
        require_share(x, n)
    if method not in known:
        raise RequestError(
            f"No method {method!r} for two proportions; known are {', '.join(known)}.{did_you_mean(method, known)}"
        )
    return float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
