"""How fast a measure changes: the mean slope by arm from a linear mixed model."""

from __future__ import annotations

from collections.abc import Mapping
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
        `patient_id`, `years` [from time zero], `number` and, where there are arms, `arm`; one row per patient
        and time. A row without time or number is left out and counted in the note.
    unit
        Of `number`, as "percent".
    random_effects
        "intercept", "slope" (intercept and slope, correlated) or "uncorrelated_slope".
    df_method
        "kenward-roger" or "satterthwaite".
    reference_arm
        Differences are against it; the first by name when missing.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "mixed_model": terms `level_at_zero` and `slope` of each arm, then the
        differences, with `reference_arm`. What cannot be estimated has no estimate and a note, an arm without
        values too; a singular fit (a variance of zero, or a correlation of 1) says so.

    Raises
    ------
    TableError
        A column or a patient is missing, a number is not finite, a patient stands in two arms or has two rows
        at one time, or nobody is in the reference arm.
    RequestError
        A choice or the level is unknown.

    References
    ----------
    Kenward and Roger (1997), doi:10.2307/2533558.
    R: lmer(number ~ 0 + arm + arm:years + (years | patient_id)), lmerTest, pbkrtest.

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
    frame, left_out = repeated_values("mean_slope", values, needed=["years", "number"], time="years")
    arms = arms_of(pl.concat([frame, left_out]), reference_arm)
    method = (
        f"linear mixed model (REML, {random_effects_name(random_effects)}, "
        f"{DF_NAMES[require_df_method(df_method)]} df)"
    )
    require_conf_level(conf_level)
    units = {"level_at_zero": unit, "slope": f"{unit} per year"}
    n_by_arm = {arm: frame.filter(pl.col("arm") == arm)["patient_id"].n_unique() for arm in arms}
    seen = [arm for arm in arms if n_by_arm[arm]]
    t = frame["years"].to_numpy()
    indicators = np.column_stack([(frame["arm"] == arm).to_numpy().astype(float) for arm in seen] or [t])
    X = np.column_stack([indicators, indicators * t[:, None]])
    fit, note = None, ""
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
        note = f"not estimated: {error}"
    if left_out.height:
        note = f"{note}; {left_out.height} rows without time or number left out"

    def row(term: str, signs: Mapping[str, float]) -> dict[str, Any]:
        if empty := [arm for arm in signs if arm not in seen]:
            return {"note": f"not estimated: no row with time and number in arm {', '.join(empty)}"}
        if fit is None:
            return {}
        weights = np.zeros(2 * len(seen))
        for arm, sign in signs.items():
            weights[list(units).index(term) * len(seen) + seen.index(arm)] = sign
        try:
            return t_interval(*fit.contrast(weights, df_method=df_method), conf_level)
        except TableError as error:
            return {"note": f"not estimated: {error}"}

    rows = []
    for arm in arms:
        for term, of in units.items():
            rows.append(row(term, {arm: 1}) | {"arm": arm, "term": term, "unit": of, "n": n_by_arm[arm]})
    for arm in arms[1:]:
        for term, of in units.items():
            rows.append(row(term, {arm: 1, arms[0]: -1}) | {"arm": arm, "reference_arm": arms[0]})
            rows[-1] |= {"term": f"difference_{term}", "unit": of, "n": n_by_arm[arm] + n_by_arm[arms[0]]}
    return results_frame(
        result(**{"statistic": "mixed_model", "method": method, **with_note(columns, note)})
        for columns in rows
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
