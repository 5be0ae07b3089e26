"""How strong something unmeasured would have to be to explain an association away."""

from __future__ import annotations

import math

import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates.rows import result, results_frame

MEASURES = ("risk_ratio", "rate_ratio", "odds_ratio", "hazard_ratio")


def e_value(
    estimate: float,
    *,
    lower: float | None = None,
    upper: float | None = None,
    measure: str = "risk_ratio",
    is_common: bool = False,
) -> pl.DataFrame:
    r"""Return the E-value of a ratio and of its limit nearest to 1.

    The least ratio of risks by which something unmeasured would have to go with both the treatment and the outcome,
    beyond what was adjusted for, to explain the association away: $E = RR + \sqrt{RR (RR - 1)}$, of 1/RR below 1.

    Parameters
    ----------
    estimate, lower, upper
        The ratio, > 0, and its limits where known (a lower limit of 0 or no upper limit is taken as unknown).
    measure
        "risk_ratio", "rate_ratio", "odds_ratio" or "hazard_ratio".
    is_common
        For odds and hazard ratios of outcomes seen in more than about 15 %: turned into approximate risk ratios first,
        $\sqrt{OR}$ and $(1 - 0.5^{\sqrt{HR}}) / (1 - 0.5^{\sqrt{1/HR}})$. Rare ones count as risk ratios.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "e_value", `term` "estimate" and, where limits are given, "limit nearest to 1": 1
        where the interval holds 1.

    Raises
    ------
    TableError
        A number is not above 0, or the limits do not hold the estimate.
    RequestError
        The measure is unknown.

    References
    ----------
    VanderWeele and Ding (2017), doi:10.7326/M16-2607.

    Examples
    --------
    By hand 3.9 + sqrt(3.9 x 2.9) and 1.8 + sqrt(1.8 x 0.8):

    >>> e_value(3.9, lower=1.8, upper=8.7).select("term", pl.col("estimate").round(2)).rows()
    [('estimate', 7.26), ('limit nearest to 1', 3.0)]
    """
    if measure not in MEASURES:
        raise RequestError(
            f"No measure {measure!r}; known are {', '.join(MEASURES)}.{did_you_mean(measure, MEASURES)}"
        )
    if not 0 < estimate < math.inf:
        raise TableError(
            f"An E-value needs a ratio > 0; found {estimate!r}. A ratio of 0 has none: use its limit."
        )
    lower = None if lower == 0 else lower
    upper = None if upper is not None and math.isinf(upper) else upper
    if not (lower is None or 0 < lower <= estimate) or not (upper is None or estimate <= upper):
        raise TableError(
            f"The limits must hold the estimate and be > 0; found {lower!r} to {upper!r} for {estimate!r}."
        )
    values = {"estimate": _of(estimate, measure, is_common)}
    if lower is not None or upper is not None:
        near = lower if estimate >= 1 else upper
        crosses = (lower is None or lower <= 1) if estimate >= 1 else (upper is None or upper >= 1)
        values["limit nearest to 1"] = 1.0 if crosses or near is None else _of(near, measure, is_common)
    rarity = ", outcome common" if is_common and measure in ("odds_ratio", "hazard_ratio") else ""
    return results_frame(
        result(
            statistic="e_value",
            unit="ratio",
            term=term,
            n=None,
            estimate=value,
            method=f"VanderWeele-Ding, {measure.replace('_', ' ')}{rarity}",
            note=None
            if value > 1 or term == "estimate"
            else "the interval holds 1: nothing has to be explained away",
        )
        for term, value in values.items()
    )


def _of(ratio: float, measure: str, is_common: bool) -> float:
    if is_common and measure == "odds_ratio":
        ratio = math.sqrt(ratio)
    if is_common and measure == "hazard_ratio":
        ratio = (1 - 0.5 ** math.sqrt(ratio)) / (1 - 0.5 ** math.sqrt(1 / ratio))
    ratio = max(ratio, 1 / ratio)
    return ratio + math.sqrt(ratio * (ratio - 1))
