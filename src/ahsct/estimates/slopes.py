"""How fast a measure changes: the mean slope by arm from a linear mixed model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._linear_tests import DF_NAMES, require_df_method, t_interval, with_note
from ahsct.estimates._values import arms_of, repeated_values
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model
from ahsct.estimates.rows import result, results_frame

Array = npt.NDArray[np.float64]

RANDOM_EFFECTS = {
    "intercept": "random intercept",
    "slope": "random intercept and slope",
    "uncorrelated_slope": "random intercept and slope, uncorrelated",
}
SINGULAR = "singular fit: a variance between patients is estimated as 0, or their coefficients are in line"


def mean_slope(
    values: pl.DataFrame,
    *,
    unit: str,
    random_effects: str = "slope",
    df_method: str = "kenward-roger",
    reference_arm: str | None = None,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return level at time zero and slope per year by arm, and the differences between arms.

    y = a_arm + b_arm t + u_0 + u_1 t + e, by restricted likelihood; the patients' own (u_0, u_1) have one
    covariance in all arms.

    Parameters
    ----------
    values
        `patient_id`, `years` [from time zero], `number` and, where there are arms, `arm`. A row without time
        or number is left out and counted in the note.
    unit
        Of `number`, as "percent".
    random_effects
        "intercept", "slope" (intercept and slope, correlated) or "uncorrelated_slope".
    df_method
        "kenward-roger" or "satterthwaite".
    reference_arm
        Differences are against it; the first by name when missing.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "mixed_model": terms `level_at_zero` and `slope` of each arm, then the
        differences, with `reference_arm`. What cannot be estimated has no estimate and a note; a singular
        fit (a variance of zero, or a correlation of 1) says so.

    Examples
    --------
    Three patients, two visits a year apart, changes 1, 2 and 6: the mean slope is 3 with the standard error
    of a mean of three, sqrt(7 / 3):

    >>> values = pl.DataFrame({"patient_id": ["a", "a", "b", "b", "c", "c"], "years": [0.0, 1.0] * 3,
    ...                        "number": [0.0, 1.0, 0.0, 2.0, 1.0, 7.0]})
    >>> rows = mean_slope(values, unit="percent", random_effects="intercept")
    >>> rows.filter(term="slope").select(pl.col("estimate", "std_error", "df").round(4)).row(0)
    (3.0, 1.5275, 2.0)
    """
    frame, n_left_out = repeated_values("mean_slope", values, needed=["years", "number"])
    arms = arms_of(frame, reference_arm)
    method = (
        f"linear mixed model (REML, {random_effects_name(random_effects)}, "
        f"{DF_NAMES[require_df_method(df_method)]} df)"
    )
    require_conf_level(conf_level)
    units = {"level_at_zero": unit, "slope": f"{unit} per year"}
    n_by_arm = {arm: frame.filter(pl.col("arm") == arm)["patient_id"].n_unique() for arm in arms}
    t = frame["years"].to_numpy()
    indicators = np.column_stack([(frame["arm"] == arm).to_numpy().astype(float) for arm in arms] or [t])
    X = np.column_stack([indicators, indicators * t[:, None]])
    try:
        fit = linear_mixed_model(
            frame["number"].to_numpy(),
            X,
            frame["patient_id"].to_numpy(),
            Z=random_columns(t, random_effects),
            is_correlated=random_effects != "uncorrelated_slope",
        )
        note = fit_note(fit)
    except TableError as error:
        fit, note = None, f"not estimated: {error}"
    if n_left_out:
        note = f"{note}; {n_left_out} rows without time or number left out"
    rows = []
    for place, arm in enumerate(arms):
        for which, term in enumerate(units):
            weights = np.zeros(2 * len(arms))
            weights[which * len(arms) + place] = 1
            rows.append(_row(fit, weights, df_method, conf_level))
            rows[-1] |= {"arm": arm, "term": term, "unit": units[term], "n": n_by_arm[arm]}
    for place, arm in enumerate(arms[1:], start=1):
        for which, term in enumerate(units):
            weights = np.zeros(2 * len(arms))
            weights[which * len(arms) + place], weights[which * len(arms)] = 1, -1
            rows.append(_row(fit, weights, df_method, conf_level))
            rows[-1] |= {"arm": arm, "reference_arm": arms[0], "term": f"difference_{term}"}
            rows[-1] |= {"unit": units[term], "n": n_by_arm[arm] + n_by_arm[arms[0]]}
    return results_frame(
        result(**{"statistic": "mixed_model", "method": method, **with_note(row, note)}) for row in rows
    )


def random_effects_name(random_effects: str) -> str:
    """Return the words for the random effects, or raise a RequestError where they are unknown."""
    if random_effects not in RANDOM_EFFECTS:
        raise RequestError(
            f"No random_effects {random_effects!r}; known are {', '.join(RANDOM_EFFECTS)}."
            f"{did_you_mean(random_effects, RANDOM_EFFECTS)}"
        )
    return RANDOM_EFFECTS[random_effects]


def random_columns(t: Array, random_effects: str) -> Array:
    """Return the columns Z of the random coefficients."""
    one = np.ones_like(t)
    return one[:, None] if random_effects == "intercept" else np.column_stack([one, t])


def fit_note(fit: MixedModel) -> str:
    """Return size and standard deviations of a fit, and that it is singular where it is."""
    deviations = ", ".join(f"{np.sqrt(v):.3g}" for v in np.diag(fit.random_covariance))
    note = f"{fit.n} values; SD between patients {deviations}, within {np.sqrt(fit.residual_variance):.3g}"
    if fit.is_boundary:
        note += f"; {SINGULAR}"
    return note


def _row(fit: MixedModel | None, weights: Array, df_method: str, conf_level: float) -> dict[str, Any]:
    if fit is None:
        return {}
    try:
        return t_interval(*fit.contrast(weights, df_method=df_method), conf_level)
    except TableError as error:
        return {"note": f"not estimated: {error}"}
