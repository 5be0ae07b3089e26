"""How survival at a time differs between arms: on a chosen scale, and by an exact small-sample interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.special import ndtri

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._comparisons import against_reference, one_sided_error, two_sided
from ahsct.estimates._curve import ROUNDING, Curve, curves, n_after
from ahsct.estimates.beta_product import bounds
from ahsct.estimates.melding import melded
from ahsct.estimates.milestones import require_years
from ahsct.estimates.rows import results_frame


class Scale(NamedTuple):
    """A transformation of survival, its derivative, and what the difference on it is called once turned back."""

    statistic: str
    unit: str
    transform: Callable[[float], float]
    derivative: Callable[[float], float]
    melded: str


SCALES: Mapping[str, Scale] = {
    "identity": Scale("survival_difference", "probability", lambda p: p, lambda p: 1.0, "difference"),
    "log": Scale("survival_ratio", "ratio", math.log, lambda p: 1 / p, "ratio"),
    "cloglog": Scale(
        "cumulative_hazard_ratio",
        "ratio",
        lambda p: math.log(-math.log(p)),
        lambda p: 1 / (p * math.log(p)),
        "cumulative_hazard_ratio",
    ),
    "logit": Scale(
        "survival_odds_ratio",
        "ratio",
        lambda p: math.log(p / (1 - p)),
        lambda p: 1 / (p * (1 - p)),
        "odds_ratio",
    ),
}


def milestone_difference(
    curve: pl.DataFrame, *, at_years: float, reference_arm: str, scale: str = "identity"
) -> pl.DataFrame:
    r"""Return how survival at a time differs from the reference arm's, with the normal and the exact interval.

    On the scale g the statistic is $z = (g(\hat S_1) - g(\hat S_0)) / \sqrt{g'(\hat S_1)^2 se_1^2 + g'(\hat S_0)^2
    se_0^2}$ with Greenwood's errors; the estimate and its limits are turned back from logarithms.

    Parameters
    ----------
    curve
        Schema CURVE, from `kaplan_meier`, of two or more arms.
    at_years
        Years from time zero, >= 0.
    reference_arm
        The arm to compare with.
    scale
        "identity": difference of the probabilities; "log": their ratio; "cloglog": ratio of the cumulative hazards
        log(S), which is the hazard ratio if hazards are proportional; "logit": ratio of the odds.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, for each other arm two rows of the same statistic: with the normal interval on the scale, and
        with the exact one ("beta product, melded", see `melding`), whose p-value without censoring is that of
        Fisher's exact test. Where an estimate is 0 or 1 the normal row of all scales but identity is missing and
        says so; on the identity scale its error is then that of the other arm alone, and the note says that too.
        `std_error` is that on the scale. With delayed entry there is no exact row's interval.

    Raises
    ------
    RequestError
        The time is negative, the scale or the arm unknown, or a curve is not of Kaplan and Meier.

    References
    ----------
    Klein, Logan, Harhoff and Andersen (2007), doi:10.1002/sim.2864; Fay, Proschan and Brittain (2015),
    doi:10.1111/biom.12231.

    Examples
    --------
    16 of 24 against 8 of 24 free of events at 3 years:

    >>> from ahsct.estimates import kaplan_meier
    >>> frame = pl.DataFrame({"time_day": [300] * 8 + [1500] * 16 + [300] * 16 + [1500] * 8,
    ...                       "is_event": [True] * 8 + [False] * 16 + [True] * 16 + [False] * 8,
    ...                       "arm": ["HSCT"] * 24 + ["control"] * 24})
    >>> rows = milestone_difference(kaplan_meier(frame), at_years=3, reference_arm="control")
    >>> rows.select("method", pl.col("estimate", "lower", "upper", "p_value").round(3)).rows()
    [('Kaplan-Meier, identity', 0.333, 0.067, 0.6, 0.014), ('beta product, melded', 0.333, 0.01, 0.599, 0.042)]
    """
    require_years("at_years", at_years)
    if scale not in SCALES:
        raise RequestError(f"No scale {scale!r}; known are {', '.join(SCALES)}.{did_you_mean(scale, SCALES)}")
    rows = []
    for one, reference in against_reference(curves(curve), reference_arm):
        if one.estimator != "Kaplan-Meier":
            raise RequestError(f"milestone_difference needs Kaplan-Meier curves; found a {one.estimator!r}.")
        rows += _compare(one, reference, at_years, scale)
    return results_frame(rows)


def _compare(one: Curve, reference: Curve, at_years: float, name: str) -> list[dict[str, Any]]:
    scale = SCALES[name]
    pair = (one, reference)
    upto = [curve.upto(at_years) for curve in pair]
    columns: dict[str, Any] = {
        "reference_arm": reference.labels["arm"],
        "statistic": scale.statistic,
        "unit": scale.unit,
        "time_years": at_years,
        "n": one.n + reference.n,
        "n_events": sum(int(curve.n_events[:rows].sum()) for curve, rows in zip(pair, upto, strict=True)),
        "n_censored": sum(int(curve.n_censored[:rows].sum()) for curve, rows in zip(pair, upto, strict=True)),
        "n_at_risk": sum(n_after(curve, rows) for curve, rows in zip(pair, upto, strict=True)),
    }
    ended = [curve for curve in pair if curve.is_beyond(at_years)]
    if ended:
        note = "; ".join(
            f"{curve.labels['arm']}: follow-up ends at {curve.time[-1]:.4g} years" for curve in ended
        )
        return [one.row(**columns, method=f"Kaplan-Meier, {name}", note=note)]
    p = [float(curve.estimate[rows - 1]) for curve, rows in zip(pair, upto, strict=True)]
    errors = [float(curve.std_error[rows - 1]) for curve, rows in zip(pair, upto, strict=True)]
    normal, estimate = _normal(scale, name, p, errors, one.conf_level)
    exact: dict[str, Any] = {"method": "beta product, melded", "estimate": estimate}
    is_late = any(curve.has_delayed_entry for curve in pair)
    if "std_error" in normal:
        by_arm = {str(curve.labels["arm"]): error for curve, error in zip(pair, errors, strict=True)}
        see = "with delayed entry there is no exact interval" if is_late else "read the exact row"
        normal["note"] = one_sided_error(by_arm, see)
    if is_late:
        exact["note"] = "no exact interval with delayed entry"
    else:
        own, other = (_bounds(curve, at_years, rows) for curve, rows in zip(pair, upto, strict=True))
        exact |= melded(own, other, scale=scale.melded, conf_level=one.conf_level)._asdict()
        notes = ["the arms' estimates have no ratio"] if estimate is None else []
        notes += ["no upper limit"] if exact["upper"] is None else []
        exact["note"] = "; ".join(notes) or None
    return [one.row(**columns, **normal), one.row(**columns, **exact)]


def _normal(
    scale: Scale, name: str, p: list[float], errors: list[float], conf_level: float
) -> tuple[dict[str, Any], float | None]:
    """Return the columns of the normal interval, and the estimate."""
    columns: dict[str, Any] = {"method": f"Kaplan-Meier, {name}"}
    if name == "identity":
        estimate, error = p[0] - p[1], math.hypot(*errors)
    elif all(0 < value < 1 for value in p):
        estimate = scale.transform(p[0]) - scale.transform(p[1])
        error = math.hypot(*(scale.derivative(value) * se for value, se in zip(p, errors, strict=True)))
    else:
        known = _ratio_at_the_ends(name, p)
        return columns | {
            "estimate": known,
            "note": "no error on this scale where an estimate is 0 or 1",
        }, known
    if error == 0:
        note = "both estimates are 0 or 1: no error can be estimated"
        return columns | {"estimate": estimate, "note": note}, estimate
    half = float(ndtri(1 - (1 - conf_level) / 2)) * error
    back = float if name == "identity" else math.exp
    columns |= {"estimate": back(estimate), "std_error": error, "p_value": two_sided(estimate, error)}
    return columns | {"lower": back(estimate - half), "upper": back(estimate + half)}, back(estimate)


def _ratio_at_the_ends(name: str, p: list[float]) -> float | None:
    """Return the ratio where an estimate is 0 or 1 and the ratio still exists."""
    if name == "log":
        return p[0] / p[1] if p[1] > 0 else None
    if name == "logit":
        return p[0] / (1 - p[0]) / (p[1] / (1 - p[1])) if p[0] < 1 and 0 < p[1] < 1 else None
    return math.log(p[0]) / math.log(p[1]) if p[0] > 0 and 0 < p[1] < 1 else None


def _bounds(curve: Curve, at_years: float, rows: int) -> Any:
    """Return the beta product distributions; patients censored at the very time are known to be free up to it."""
    before = int(np.searchsorted(curve.time, at_years * (1 - ROUNDING)))
    known = n_after(curve, rows) + int(curve.n_censored[before:rows].sum())
    return bounds(curve.n_at_risk[:rows], curve.n_events[:rows], known)
