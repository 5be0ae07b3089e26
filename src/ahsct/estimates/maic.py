"""Matching-adjusted indirect comparison: own patients weighted to the published means of another study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._glm import design, separating_direction
from ahsct.estimates.patient_weights import TREATED, PatientWeights
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

_MAX_STEPS = 200


def maic_weights(
    patients: pl.DataFrame, *, means: Mapping[str, float], sds: Mapping[str, float] | None = None
) -> PatientWeights:
    r"""Return weights $w_i = \exp(x_i a)$ under which these patients have the published means (and spreads).

    $a$ minimises $\sum_i \exp((x_i - \bar x_{published}) a)$, a convex function, so that the weighted means meet the
    published ones. The weights add up to the effective sample size, $(\sum w)^2 / \sum w^2$.

    Parameters
    ----------
    patients
        One row per patient with the patient's own data: `patient_id` and the covariates (numbers or true/false).
    means
        Published mean (or proportion) of each covariate.
    sds
        Published standard deviation of some of them (divisor n is assumed): the weighted second moment is met too.

    Returns
    -------
    PatientWeights
        All in group "treated"; `matrix` the covariates. `weighted_kaplan_meier` takes them; the published means count as
        known, so that the other study's own uncertainty has to be added by whoever compares.

    Raises
    ------
    TableError
        A column is missing or not known for everybody, or there is no patient.
    RequestError
        No mean is given, one is not a number, or the published means lie outside what these patients can be weighted
        to.

    References
    ----------
    Signorovitch et al (2010), doi:10.2165/11538370-000000000-00000. Phillippo et al (2016), NICE DSU technical support
    document 18.

    Examples
    --------
    Half of the patients are women, of the published ones three in four; by hand women weigh three times as much:

    >>> frame = pl.DataFrame({"patient_id": list("abcd"), "is_woman": [1, 1, 0, 0]})
    >>> weights = maic_weights(frame, means={"is_woman": 0.75}).patients["weight"]
    >>> (weights / weights[3]).round(6).to_list()
    [3.0, 3.0, 1.0, 1.0]
    """
    sds = dict(sds or {})
    if not means:
        raise RequestError("maic_weights needs the published mean of at least one covariate.")
    wrong = [name for name, value in {**means, **sds}.items() if not np.isfinite(value)]
    wrong += [name for name, value in sds.items() if value < 0 or name not in means]
    if wrong:
        raise RequestError(
            f"maic_weights needs finite means, and sds >= 0 of covariates with a mean: {', '.join(wrong)}."
        )
    require_columns("maic_weights", "patients", patients, ("patient_id", *means))
    if patients.is_empty() or patients["patient_id"].is_duplicated().any():
        raise TableError(
            f"maic_weights needs each patient once in `patients`; there are {patients.height} rows."
        )
    plain = design("maic_weights", "patients", patients, tuple(means), intercept=False)
    names = list(means)
    columns = [plain, *(plain[:, [names.index(name)]] ** 2 for name in sds)]
    targets = [*means.values(), *(means[name] ** 2 + sd**2 for name, sd in sds.items())]
    centred = np.hstack(columns) - np.array(targets)
    scale = np.maximum(np.abs(centred).max(axis=0), 1e-300)
    x = centred / scale
    if separating_direction(x, -np.ones(len(x))) is not None:
        raise RequestError(
            "maic_weights: no weights bring these patients to the published means; at least one of "
            f"{', '.join(names)} lies at or beyond the edge of what was seen here."
        )
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise RequestError(
            "maic_weights: a published mean or spread follows from the others here; leave it out."
        )
    a = np.zeros(x.shape[1])
    for _ in range(_MAX_STEPS):
        weight = np.exp(x @ a)
        step = np.linalg.solve((x * weight[:, None]).T @ x, x.T @ weight)
        while np.exp(x @ (a - step)).sum() > weight.sum() * (1 + 1e-14) and np.abs(step).max() > 1e-15:
            step = step / 2
        a = a - step
        if np.abs(step).max() <= 1e-13 * (1 + np.abs(a).max()):
            break
    else:
        raise RequestError(
            "maic_weights did not converge: the published means lie close to the edge of these patients."
        )
    weight = np.exp(x @ a)
    bread = np.linalg.inv((x * weight[:, None]).T @ x)
    factor = weight.sum() / float((weight**2).sum())
    return PatientWeights(
        name="MAIC weights",
        patients=patients.select(
            "patient_id", pl.lit(TREATED).alias("group"), pl.Series("weight", weight * factor)
        ),
        covariates=tuple(names),
        matrix=plain,
        slope=factor * weight[:, None] * x,
        influence=-(weight[:, None] * x) @ bread,
    )


def maic_balance(weights: PatientWeights, *, means: Mapping[str, float]) -> pl.DataFrame:
    """Return each covariate's mean here, without and with weights, beside the published one.

    Parameters
    ----------
    weights
        From `maic_weights`.
    means
        The published mean of each covariate.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "mean": per covariate (`term`) a row with `component` "unweighted", "weighted" and
        "published".

    Raises
    ------
    RequestError
        A covariate has no published mean.

    References
    ----------
    Signorovitch et al (2010), doi:10.2165/11538370-000000000-00000.

    Examples
    --------
    Half of the patients are women, of the published ones three in four:

    >>> frame = pl.DataFrame({"patient_id": list("abcd"), "is_woman": [1, 1, 0, 0]})
    >>> means = {"is_woman": 0.75}
    >>> maic_balance(maic_weights(frame, means=means), means=means)["estimate"].round(6).to_list()
    [0.5, 0.75, 0.75]
    """
    if unknown := sorted(set(weights.covariates) - set(means)):
        raise RequestError(f"maic_balance needs the published mean of {', '.join(unknown)} too.")
    weight = weights.patients["weight"].to_numpy()
    rows = []
    for name, x in zip(weights.covariates, weights.matrix.T, strict=True):
        found = {"unweighted": x.mean(), "weighted": np.average(x, weights=weight), "published": means[name]}
        rows += [
            result(
                statistic="mean",
                unit="as given",
                component=component,
                term=name,
                n=None if component == "published" else x.size,
                estimate=value,
                method=weights.name,
            )
            for component, value in found.items()
        ]
    return results_frame(rows)
