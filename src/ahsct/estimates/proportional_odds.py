"""Ordered outcomes between arms: the cumulative logit model with one odds ratio for all cuts, and its test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._values import arms_of, repeated_values
from ahsct.estimates.rows import result, results_frame

Array = npt.NDArray[np.float64]

# signs that the likelihood has no maximum: a log odds over one SD of its column so far out, or information so small
_FAR, _FLAT = 15.0, 1e-6


@dataclass(frozen=True, kw_only=True)
class CumulativeLogit:
    """Thresholds (K - 1) and log odds ratios; `covariance` is that of both, inverse observed information."""

    thresholds: Array
    coefficients: Array
    covariance: Array
    log_likelihood: float
    n: float
    is_finite: bool  # false where the likelihood grows without end


def cumulative_logit(
    category: npt.ArrayLike,
    X: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    free: Sequence[int] = (),
) -> CumulativeLogit:
    r"""Fit logit P(Y <= j) = theta_j - x'b by maximum likelihood.

    Parameters
    ----------
    category
        Of each row, whole numbers 0 to K - 1 in order, all of them seen.
    X
        Columns (n x p) without an intercept.
    weights
        How often each row was seen; once when missing.
    free
        Columns with a coefficient of their own for each threshold, to test proportionality; their K - 1
        coefficients stand after those of the other columns.

    References
    ----------
    McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x. R: clm(y ~ x, nominal = ~ free), ordinal 2022.11.16.

    Examples
    --------
    Two categories make a logistic regression: 1 of 4 against 3 of 4, log odds ratio log(9):

    >>> fit = cumulative_logit([0, 0, 0, 1, 0, 1, 1, 1], np.repeat([0.0, 1.0], 4)[:, None])
    >>> round(float(np.exp(fit.coefficients[0])), 6)
    9.0
    """
    code, X_ = np.asarray(category, dtype=int), np.asarray(X, dtype=float)
    w = np.ones(code.size) if weights is None else np.asarray(weights, dtype=float)
    cuts = int(code.max())
    shared = [k for k in range(X_.shape[1]) if k not in free]
    columns = X_ - np.average(X_, axis=0, weights=w)  # centred: thresholds are those of a mean patient
    size = np.sqrt(np.average(columns**2, axis=0, weights=w))
    size[size == 0] = 1.0
    columns = columns / size
    design = np.zeros((cuts, code.size, cuts + len(shared) + cuts * len(free)))
    for j in range(cuts):
        design[j, :, j] = 1
        design[j, :, cuts : cuts + len(shared)] = -columns[:, shared]
        for place, k in enumerate(free):
            design[j, :, cuts + len(shared) + place * cuts + j] = -columns[:, k]
    share = np.cumsum(np.bincount(code, weights=w))[:-1] / w.sum()
    start = np.concatenate([np.log(share / (1 - share)), np.zeros(design.shape[2] - cuts)])
    found, log_likelihood, hessian = _maximise(design, code, w, start)
    back = np.diag(1 / np.concatenate([np.ones(cuts), size[shared], np.repeat(size[list(free)], cuts)]))
    slopes = back[cuts:, cuts:] @ found[cuts:]
    centre = np.average(X_, axis=0, weights=w)
    turn = back.copy()
    turn[:cuts, cuts : cuts + len(shared)] = np.outer(np.ones(cuts), centre[shared] / size[shared])
    for place, k in enumerate(free):
        at = cuts + len(shared) + place * cuts
        turn[:cuts, at : at + cuts] = np.eye(cuts) * centre[k] / size[k]
    covariance = np.linalg.pinv(-hessian, rcond=1e-13, hermitian=True)
    information = np.linalg.eigvalsh(-hessian)
    is_finite = bool(
        np.abs(found[cuts:]).max(initial=0.0) < _FAR and information[0] > _FLAT * information[-1]
    )
    return CumulativeLogit(
        thresholds=turn[:cuts] @ found,
        coefficients=slopes,
        covariance=turn @ covariance @ turn.T,
        log_likelihood=log_likelihood,
        n=float(w.sum()),
        is_finite=is_finite,
    )


def proportional_odds(
    values: pl.DataFrame,
    *,
    reference_arm: str | None = None,
    covariates: Sequence[str] = (),
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return the common odds ratio of a higher category for each arm, and the test that it is common.

    Parameters
    ----------
    values
        One row per patient: `patient_id`, `arm`, `number` [the category, higher = further up], covariates; a row
        without number or covariate is not evaluable and counted.
    reference_arm
        The first by name when missing.
    covariates
        Names of columns with numbers.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: "odds_ratio" (Wald interval and p on the log scale) for each arm but the reference,
        then "proportionality_test": likelihood ratio against arms with an odds ratio for each cut. Where the
        likelihood has no maximum (separation), or an arm has no known category, there is no estimate and a note.

    Raises
    ------
    TableError
        A column is missing, a number is not finite, a patient stands twice, or nobody is in the reference arm.
    RequestError
        The level does not lie between 0 and 1.

    References
    ----------
    McCullagh (1980), doi:10.1111/j.2517-6161.1980.tb01109.x. R: clm(category ~ arm), ordinal 2022.11.16.

    Examples
    --------
    One arm of two categories, 1 of 4 against 3 of 4 in the higher one:

    >>> values = pl.DataFrame({"patient_id": [str(i) for i in range(8)], "arm": ["a"] * 4 + ["b"] * 4,
    ...                        "number": [0, 0, 0, 1, 0, 1, 1, 1]})
    >>> proportional_odds(values)["estimate"].round(6).to_list()
    [9.0, None]
    """
    frame, left_out = repeated_values("proportional_odds", values, needed=["number", *covariates])
    require_conf_level(conf_level)
    if frame["patient_id"].is_duplicated().any():
        raise TableError("proportional_odds needs one row per patient; a patient stands in `values` twice.")
    arms = arms_of(pl.concat([frame, left_out]), reference_arm)
    levels, code = np.unique(frame["number"].to_numpy(), return_inverse=True)
    n_in = {arm: int((frame["arm"] == arm).sum()) for arm in arms}
    common: dict[str, Any] = {"n_not_evaluable": left_out.height, "unit": "ratio"}
    method = "proportional odds model (cumulative logit), Wald"
    odds = [
        result(
            statistic="odds_ratio",
            n=n_in[arm] + n_in[arms[0]],
            method=method,
            arm=arm,
            reference_arm=arms[0],
            term="higher category",
            **common,
        )
        for arm in arms[1:]
    ]
    test = result(
        statistic="proportionality_test",
        n=frame.height,
        method="likelihood ratio, arms proportional or not",
        **common,
    ) | {"unit": "chi-squared"}
    arm = frame["arm"].to_numpy()
    seen = [a for a in arms if n_in[a]]
    X = np.column_stack(
        [(arm == a).astype(float) for a in seen[1:]]
        + [frame[name].to_numpy().astype(float) for name in covariates]
        or [np.zeros((frame.height, 0))]
    )
    why = _why_not(arms, seen, levels, X)
    if why is None:
        fit = cumulative_logit(code, X)
        if not fit.is_finite:
            why = "the likelihood has no maximum: categories and arms or covariates are separated"
    if why is not None:
        return results_frame([{**row, "note": f"not estimated: {why}"} for row in (*odds, test)])
    for row in odds:
        if row["arm"] not in seen:
            row["note"] = f"not estimated: {_no_value([row['arm']])}"
            continue
        place = levels.size - 2 + seen.index(row["arm"])
        row |= _odds_ratio(fit, place, conf_level) | {"note": f"{levels.size} categories"}
    return results_frame([*odds, {**test, **_proportionality(fit, code, X, len(seen) - 1)}])


def _no_value(arms: list[str]) -> str:
    return f"no category is known in arm {', '.join(arms)}"


def _why_not(arms: list[str], seen: list[str], levels: npt.NDArray[Any], X: Array) -> str | None:
    if len(arms) < 2:
        return "a comparison needs two arms"
    if arms[0] not in seen or len(seen) < 2:
        return _no_value([arm for arm in arms if arm not in seen])
    if levels.size < 2:
        return "all values are equal"
    if np.linalg.matrix_rank(np.column_stack([np.ones(len(X)), X])) < X.shape[1] + 1:
        return "a covariate depends on the arms or on other covariates"
    return None


def _odds_ratio(fit: CumulativeLogit, place: int, conf_level: float) -> dict[str, Any]:
    from scipy.special import ndtr, ndtri

    log_odds = float(fit.coefficients[place - fit.thresholds.size])
    error = float(np.sqrt(fit.covariance[place, place]))
    half = float(ndtri((1 + conf_level) / 2)) * error
    return {
        "estimate": float(np.exp(log_odds)),
        "std_error": float(np.exp(log_odds)) * error,
        "lower": float(np.exp(log_odds - half)),
        "upper": float(np.exp(log_odds + half)),
        "conf_level": conf_level,
        "p_value": 2 * float(ndtr(-abs(log_odds) / error)),
    }


def _proportionality(
    fit: CumulativeLogit, code: npt.NDArray[np.intp], X: Array, n_contrasts: int
) -> dict[str, Any]:
    from scipy.special import chdtrc

    cuts = fit.thresholds.size
    if cuts < 2:
        return {"note": "not applicable: two categories have one cut"}
    free = cumulative_logit(code, X, free=range(n_contrasts))
    statistic = max(0.0, 2 * (free.log_likelihood - fit.log_likelihood))
    df = n_contrasts * (cuts - 1)
    note = None
    if not free.is_finite:
        note = "an arm has no patient in a category: the odds ratio of a cut is infinite, the chi-squared law rough"
    return {"estimate": statistic, "df": float(df), "p_value": float(chdtrc(df, statistic)), "note": note}


def _maximise(
    design: Array, code: npt.NDArray[np.intp], w: Array, start: Array
) -> tuple[Array, float, Array]:
    """Newton-Raphson, steps halved until the likelihood grows and every probability is positive."""
    at = start
    height, gradient, hessian = _likelihood(design, code, w, at)
    for _ in range(200):
        step = -np.linalg.pinv(hessian, rcond=1e-14, hermitian=True) @ gradient
        new = None
        for _ in range(60):
            new = _likelihood(design, code, w, at + step)
            if new[0] >= height - 1e-13 * abs(height):
                break
            step = step / 2
        else:
            break
        at = at + step
        height, gradient, hessian = new
        if np.abs(step).max() < 1e-12 * max(1.0, float(np.abs(at).max())) or np.abs(at).max() > 2 * _FAR:
            break
    return at, height, hessian


def _likelihood(design: Array, code: npt.NDArray[np.intp], w: Array, at: Array) -> tuple[float, Array, Array]:
    from scipy.special import expit

    cuts = design.shape[0]
    rows = np.arange(code.size)
    is_top, is_bottom = code == cuts, code == 0
    Du = np.where(is_top[:, None], 0.0, design[np.minimum(code, cuts - 1), rows])
    Dl = np.where(is_bottom[:, None], 0.0, design[np.maximum(code - 1, 0), rows])
    u, lo = np.where(is_top, np.inf, Du @ at), np.where(is_bottom, -np.inf, Dl @ at)
    Fu, Fl = expit(u), expit(lo)
    # the smaller tail keeps its digits
    p = np.where(lo > 0, expit(-lo) - expit(-u), Fu - Fl)
    if not (p > 0).all():
        return -np.inf, np.zeros(at.size), -np.eye(at.size)
    fu, fl = Fu * expit(-u), Fl * expit(-lo)
    g = (fu[:, None] * Du - fl[:, None] * Dl) / p[:, None]
    du, dl = fu * (1 - 2 * Fu) / p, fl * (1 - 2 * Fl) / p
    hessian = (Du.T * (w * du)) @ Du - (Dl.T * (w * dl)) @ Dl - (g.T * w) @ g
    return float(w @ np.log(p)), g.T @ w, hessian
