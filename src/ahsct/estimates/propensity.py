"""Weights that make two groups alike in what was measured: propensity scores and their balance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._glm import Glm, design, logistic
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.patient_weights import COMPARATOR, TREATED, PatientWeights
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

ESTIMANDS = {"ate": "ATE weights", "att": "ATT weights", "overlap": "overlap weights"}


def propensity_weights(
    patients: pl.DataFrame, *, covariates: Sequence[str], treatment: str = "is_treated", estimand: str = "ate"
) -> PatientWeights:
    r"""Return weights from a logistic propensity score $e(x)$ = P(treated | x).

    Parameters
    ----------
    patients
        One row per patient: `patient_id`, the treatment (true/false) and the covariates as known at time zero
        (numbers or true/false, of everybody).
    covariates
        What enters the score, linearly; squares and products are columns of their own.
    treatment
        Name of the column.
    estimand
        "ate": 1/e and 1/(1 - e), for everybody; "att": 1 and e/(1 - e), for patients like those treated; "overlap":
        1 - e and e, for those who could have had either, which balances the means of all covariates exactly.

    Returns
    -------
    PatientWeights
        In the order of `patients`; `propensity` stands in its table.

    Raises
    ------
    TableError
        A column is missing or not known for everybody, or a patient stands twice.
    RequestError
        The estimand is unknown, a group is empty, or the covariates separate the groups (no overlap).

    References
    ----------
    Rosenbaum and Rubin (1983), doi:10.1093/biomet/70.1.41. Li, Morgan and Zaslavsky (2018),
    doi:10.1080/01621459.2016.1260466.

    Examples
    --------
    Of the men half are treated, of the women one in four; by hand 1/e is 2 and 4:

    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "is_man": [1, 1, 1, 1, 0, 0, 0, 0],
    ...                       "is_treated": [True, True, False, False, True, False, False, False]})
    >>> weights = propensity_weights(frame, covariates=["is_man"])
    >>> weights.patients.filter(pl.col("group") == "treated")["weight"].round(6).to_list()
    [2.0, 2.0, 4.0]
    """
    if estimand not in ESTIMANDS:
        raise RequestError(f"estimand must be one of {', '.join(ESTIMANDS)}; found {estimand!r}.")
    is_treated, matrix, fit = fit_propensity("propensity_weights", patients, covariates, treatment)
    e = fit.means
    weight, by_logit = {
        "ate": (np.where(is_treated, 1 / e, 1 / (1 - e)), np.where(is_treated, -(1 - e) / e, e / (1 - e))),
        "att": (np.where(is_treated, 1.0, e / (1 - e)), np.where(is_treated, 0.0, e / (1 - e))),
        "overlap": (np.where(is_treated, 1 - e, e), np.where(is_treated, -e * (1 - e), e * (1 - e))),
    }[estimand]
    return PatientWeights(
        name=ESTIMANDS[estimand],
        patients=patients.select(
            "patient_id",
            pl.when(pl.col(treatment).cast(pl.Boolean))
            .then(pl.lit(TREATED))
            .otherwise(pl.lit(COMPARATOR))
            .alias("group"),
            pl.Series("weight", weight),
            pl.Series("propensity", e),
        ),
        covariates=tuple(covariates),
        matrix=matrix[:, 1:],
        slope=by_logit[:, None] * matrix,
        influence=((is_treated - e)[:, None] * matrix) @ fit.covariance,
    )


def covariate_balance(weights: PatientWeights) -> pl.DataFrame:
    r"""Return how far the groups differ in each covariate, without and with the weights.

    The standardised mean difference is $(\bar x_1 - \bar x_0) / \sqrt{(s_1^2 + s_0^2) / 2}$, treated minus comparator,
    with the unweighted variances (divisor n - 1) in both. Values within 0.1 are commonly called balanced; the number
    says nothing of what was not measured.

    Parameters
    ----------
    weights
        From `propensity_weights` or `match_patients`.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "standardised_mean_difference": per covariate (`term`) a row with `component`
        "unweighted" and one with "weighted". Missing, with a note, where a group has one patient or both have no
        spread.

    Raises
    ------
    RequestError
        The weights bring one group to published means: see `maic_balance`.

    References
    ----------
    Austin and Stuart (2015), doi:10.1002/sim.6607.

    Examples
    --------
    2 of 3 treated are men and 2 of 5 others; the variances are 1/3 and 3/10: by hand (2/3 - 2/5) / sqrt(19/60). With
    overlap weights the means are equal:

    >>> frame = pl.DataFrame({"patient_id": list("abcdefgh"), "is_man": [1, 1, 1, 1, 0, 0, 0, 0],
    ...                       "is_treated": [True, True, False, False, True, False, False, False]})
    >>> rows = covariate_balance(propensity_weights(frame, covariates=["is_man"], estimand="overlap"))
    >>> rows.select("component", pl.col("estimate").round(3).abs()).rows()
    [('unweighted', 0.474), ('weighted', 0.0)]
    """
    groups = dict(weights.groups())
    if set(groups) != {TREATED, COMPARATOR}:
        raise RequestError(
            "covariate_balance compares two groups; these weights bring one group to published means."
        )
    weight = weights.patients["weight"].to_numpy()
    rows = []
    for name, x in zip(weights.covariates, weights.matrix.T, strict=True):
        own = [x[groups[group]] for group in (TREATED, COMPARATOR)]
        spread = float(np.mean([np.var(part, ddof=1) if part.size > 1 else np.nan for part in own])) ** 0.5
        for component in ("unweighted", "weighted"):
            w = np.ones(weight.size) if component == "unweighted" else weight
            means = [
                float(np.average(x[groups[group]], weights=w[groups[group]]))
                for group in (TREATED, COMPARATOR)
            ]
            is_known = spread > 0
            rows.append(
                result(
                    statistic="standardised_mean_difference",
                    unit="standard deviations",
                    component=component,
                    term=name,
                    n=x.size,
                    estimate=(means[0] - means[1]) / spread if is_known else None,
                    method=f"{weights.name}; unweighted standard deviations",
                    note=f"means {means[0]:.4g} and {means[1]:.4g}"
                    + ("" if is_known else "; no spread in a group to measure by"),
                )
            )
    return results_frame(rows)


def fit_propensity(
    function: str, patients: pl.DataFrame, covariates: Sequence[str], treatment: str
) -> tuple[Floats, Floats, Glm]:
    """Return who was treated (1, 0), the design matrix and the logistic fit, or say what stands against it."""
    require_columns(function, "patients", patients, ("patient_id", treatment))
    if patients["patient_id"].is_duplicated().any() or patients["patient_id"].null_count():
        raise TableError(f"{function} needs each patient once, with an id, in `patients`.")
    if patients[treatment].null_count() or not set(patients[treatment].unique().to_list()) <= {True, False}:
        raise TableError(f"{function} needs true or false in `patients.{treatment}` of everybody.")
    is_treated = patients[treatment].cast(pl.Float64).to_numpy()
    n_treated = int(is_treated.sum())
    if n_treated in (0, patients.height):
        raise RequestError(
            f"{function} compares two groups; {n_treated} of {patients.height} patients are treated."
        )
    matrix = design(function, "patients", patients, covariates)
    return is_treated, matrix, logistic(is_treated, matrix)
