"""Two groups compared within strata (centre, disease course): Mantel-Haenszel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

MEASURES = {
    "risk_difference": "Mantel-Haenszel, Sato variance",
    "risk_ratio": "Mantel-Haenszel, Greenland-Robins variance",
    "odds_ratio": "Mantel-Haenszel, Robins-Breslow-Greenland variance",
    "rate_difference": "Mantel-Haenszel, Greenland-Robins variance",
    "rate_ratio": "Mantel-Haenszel, Greenland-Robins variance",
}
_COUNTS = ("n_events", "n", "n_events_reference", "n_reference")
_RATES = ("n_events", "person_years", "n_events_reference", "person_years_reference")


def mantel_haenszel(
    strata: pl.DataFrame,
    *,
    measure: str = "risk_difference",
    conf_level: float = 0.95,
    with_p_value: bool = False,
) -> pl.DataFrame:
    r"""Return the common difference or ratio of two groups over strata.

    With $a_i$ of $n_{1i}$ and $b_i$ of $n_{0i}$ patients, $N_i = n_{1i} + n_{0i}$, the risk difference is
    $\sum_i (a_i n_{0i} - b_i n_{1i}) / N_i \,/ \sum_i n_{1i} n_{0i} / N_i$, the risk ratio
    $\sum_i a_i n_{0i} / N_i \,/ \sum_i b_i n_{1i} / N_i$, the odds ratio
    $\sum_i a_i (n_{0i} - b_i) / N_i \,/ \sum_i b_i (n_{1i} - a_i) / N_i$; rates take years for patients.

    Parameters
    ----------
    strata
        One row per stratum: `n_events`, `n`, `n_events_reference`, `n_reference`; for rates `person_years` and
        `person_years_reference` in place of `n` and `n_reference`.
    measure
        "risk_difference" (variance of Sato), "risk_ratio" (Greenland and Robins), "odds_ratio" (Robins, Breslow and
        Greenland), "rate_difference" or "rate_ratio" (Greenland and Robins). Ratios have their interval on the log
        scale.
    conf_level
        Two-sided, between 0 and 1.
    with_p_value
        Add the p-value of Cochran, Mantel and Haenszel (without continuity correction); for rates its Poisson form.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS. Strata with one group only say nothing and are counted in the note. Where a group
        has no event in any stratum a ratio has no limits: 0 or missing, with a note; those of a difference are of the
        other group alone, and the note says so.

    Raises
    ------
    TableError
        A column is missing, or counts contradict each other.
    RequestError
        The measure or the level is unknown.

    References
    ----------
    Mantel and Haenszel (1959), doi:10.1093/jnci/22.4.719. Greenland and Robins (1985), doi:10.2307/2530643.
    Robins, Breslow and Greenland (1986), doi:10.2307/2531052. Sato, Greenland and Robins (1989), Biometrics 45:1323.
    R: metafor::rma.mh 3.8.1, stats::mantelhaen.test.

    Examples
    --------
    Two centres with a difference of 0.2 each; by hand the error is sqrt(-0.2 + 1.95) / 10:

    >>> frame = pl.DataFrame({"n_events": [4, 3], "n": [10, 10], "n_events_reference": [2, 1], "n_reference": [10, 10]})
    >>> mantel_haenszel(frame).select(pl.col("estimate", "lower", "upper").round(4)).row(0)
    (0.2, -0.0593, 0.4593)
    """
    if measure not in MEASURES:
        raise RequestError(
            f"No measure {measure!r}; known are {', '.join(MEASURES)}.{did_you_mean(measure, MEASURES)}"
        )
    z = float(ndtri(1 - (1 - require_conf_level(conf_level)) / 2))
    is_rate = measure.startswith("rate")
    a, n, b, m = _checked(strata, _RATES if is_rate else _COUNTS)
    both = (n > 0) & (m > 0)
    n_left = int((~both).sum())
    a, n, b, m = a[both], n[both], b[both], m[both]
    total = n + m
    notes = [f"{n_left} of {strata.height} strata hold one group only and say nothing"] if n_left else []
    found: dict[str, Any] = {}
    if both.any():
        found, why = (_difference if measure.endswith("difference") else _ratio)(measure, a, n, b, m, z)
        notes += [why] if why else []
        if with_p_value:
            found["p_value"] = _p_value(a, n, b, m, is_rate)
    else:
        notes.append("no stratum holds both groups: nothing is known")
    size = {"person_years": float(total.sum()), "n": None} if is_rate else {"n": int(total.sum())}
    row = result(
        statistic=measure,
        unit="ratio" if measure.endswith("ratio") else "per patient-year" if is_rate else "probability",
        unit_of_analysis="patient_year" if is_rate else "patient",
        conf_level=conf_level,
        n_events=int(a.sum()),
        method=MEASURES[measure],
        note="; ".join(notes) or None,
        **size,
        **found,
    )
    return results_frame([row])


def _difference(
    measure: str, a: Floats, n: Floats, b: Floats, m: Floats, z: float
) -> tuple[dict[str, Any], str | None]:
    total = n + m
    weight = float((n * m / total).sum())
    estimate = float(((a * m - b * n) / total).sum()) / weight
    if measure == "rate_difference":
        square = float(((n * m / total) ** 2 * (a / n**2 + b / m**2)).sum())
    else:
        p = (n**2 * b - m**2 * a + n * m * (m - n) / 2) / total**2
        q = (a * (m - b) + b * (n - a)) / (2 * total)
        square = estimate * float(p.sum()) + float(q.sum())
    error = math.sqrt(max(square, 0.0)) / weight
    if error == 0:
        return {"estimate": estimate}, "everybody or nobody has an event: no limits by this method"
    found = {
        "estimate": estimate,
        "std_error": error,
        "lower": estimate - z * error,
        "upper": estimate + z * error,
    }
    if measure == "risk_difference":
        found |= {"lower": max(found["lower"], -1.0), "upper": min(found["upper"], 1.0)}
    is_known = {"the group": _varies(measure, a, n), "the reference": _varies(measure, b, m)}
    where = [name for name, varies in is_known.items() if not varies]
    if len(where) != 1:
        return found, None
    return found, (
        f"no error can be estimated in {where[0]} (no event, or nothing but events): the limits are of the other group "
        "alone and claim too much; the p-value of with_p_value does not, and within a stratum exact methods answer"
    )


def _varies(measure: str, events: Floats, size: Floats) -> bool:
    """Say whether a group's events give it an error of its own."""
    return bool(
        np.any(events > 0) if measure == "rate_difference" else np.any((events > 0) & (events < size))
    )


def _ratio(
    measure: str, a: Floats, n: Floats, b: Floats, m: Floats, z: float
) -> tuple[dict[str, Any], str | None]:
    total = n + m
    if measure == "odds_ratio":
        r, s = a * (m - b) / total, b * (n - a) / total
    else:
        r, s = a * m / total, b * n / total
    upper, lower = float(r.sum()), float(s.sum())
    if upper == 0 or lower == 0:
        where = "either group" if upper == lower else "the group" if upper == 0 else "the reference"
        what = "no event (or nothing but events) in" if measure == "odds_ratio" else "no event in"
        return {"estimate": 0.0 if lower else None}, f"{what} {where}: no limits by this method"
    if measure == "odds_ratio":
        p, q = (a + m - b) / total, (b + n - a) / total
        square = float((p * r).sum()) / (2 * upper**2) + float((q * s).sum()) / (2 * lower**2)
        square += float((p * s + q * r).sum()) / (2 * upper * lower)
    elif measure == "rate_ratio":
        square = float(((a + b) * n * m / total**2).sum()) / (upper * lower)
    else:
        square = float((((a + b) * n * m - a * b * total) / total**2).sum()) / (upper * lower)
    estimate, error = upper / lower, math.sqrt(max(square, 0.0))
    if error < 1e-12:
        return {"estimate": estimate}, "everybody has an event: no limits by this method"
    return {
        "estimate": estimate,
        "std_error": estimate * error,
        "lower": estimate * math.exp(-z * error),
        "upper": estimate * math.exp(z * error),
    }, None


def _p_value(a: Floats, n: Floats, b: Floats, m: Floats, is_rate: bool) -> float:
    total, events = n + m, a + b
    gap = float((a - n * events / total).sum())
    if is_rate:
        square = float((n * m * events / total**2).sum())
    else:
        square = float((n * m * events * (total - events) / (total**2 * np.maximum(total - 1, 1))).sum())
    return math.erfc(abs(gap) / math.sqrt(2 * square)) if square > 0 else 1.0


def _checked(strata: pl.DataFrame, names: tuple[str, ...]) -> tuple[Floats, ...]:
    require_columns("mantel_haenszel", "strata", strata, names)
    is_rate = names == _RATES
    numbered = strata.with_row_index("_row", offset=1)
    for events, size in (names[:2], names[2:]):
        count, whole = pl.col(events), pl.col(events) == pl.col(events).floor()
        possible = (pl.col(size) > 0) | (count == 0) if is_rate else (count <= pl.col(size))
        is_right = (
            count.is_finite()
            & pl.col(size).is_finite()
            & (count >= 0)
            & whole
            & (pl.col(size) >= 0)
            & possible
        )
        wrong = numbered.filter(~is_right.fill_null(False))
        if wrong.height:
            limit = "no event without time" if is_rate else f"at most `{size}`"
            raise TableError(
                f"`strata.{events}` must be whole, >= 0 and {limit}; {wrong.height} of {strata.height} rows are not, "
                f"the first is row {wrong['_row'][0]} ({wrong[events][0]}, {wrong[size][0]})."
            )
    return tuple(strata[name].cast(pl.Float64).to_numpy() for name in names)
