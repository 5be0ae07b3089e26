"""Multiple imputation of values missing after dropout: at random, or as in the reference arm; tipping point.

The assumption about those who left is part of the estimand: it is named, printed and varied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._multivariate_draws import drawn_given, draws, last_seen
from ahsct.estimates._values import arms_of, repeated_values, require_two_arms
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.rubin import pooled_row

Array = npt.NDArray[np.float64]

ASSUMPTIONS = {
    "missing_at_random": "missing at random: as those of the same arm who stayed, with the same history",
    "jump_to_reference": "jump to reference: from dropout on the mean is the reference arm's",
    "copy_reference": "copy reference: as if in the reference arm from the start",
    "copy_increments": "copy increments in reference: the mean moves as the reference arm's from dropout on",
}


def imputed_difference(
    values: pl.DataFrame,
    *,
    unit: str,
    visit: float | None = None,
    assumption: str = "missing_at_random",
    delta: float = 0.0,
    covariates: Sequence[str] = (),
    reference_arm: str | None = None,
    n_imputations: int = 100,
    conf_level: float = 0.95,
    seed: int = 1,
) -> pl.DataFrame:
    r"""Return the difference between arms at a visit after multiple imputation, pooled by Rubin's rules.

    Each imputed data set is analysed by least squares on arm and covariates.

    Parameters
    ----------
    values
        `patient_id`, `arm`, `visit` [number], `number` and the covariates, one row per patient and visit;
        a missing number, or no row, is a missing value. Every patient needs the covariates.
    visit
        Where the arms are compared; the last when missing.
    assumption
        About values after a patient's last one: "missing_at_random", "jump_to_reference", "copy_reference" or
        "copy_increments". Values missing in between are always taken as missing at random.
    covariates
        Names of columns with numbers.
    delta
        Added to every imputed value after dropout in the arms other than the reference.
    unit
        Of `number`, as "percent".
    reference_arm
        The first by name when missing.
    n_imputations
        Two or more; `mc_error` says whether they are enough.
    conf_level
        Two-sided, between 0 and 1.
    seed
        The same seed gives the same noise under every assumption and delta.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "mean_difference", a row for each arm but the reference; mark "assumed". Without
        enough patients for the imputation's regressions no estimate and a note.

    Raises
    ------
    TableError
        A column is missing, a number is not finite, a patient stands in two arms, has two rows at one visit, or no or
        several values of a covariate, or nobody is in the reference arm.
    RequestError
        There is one arm only, or a visit, assumption, delta, level or number of imputations is not possible.

    Notes
    -----
    The covariance of visits is the same in all arms, as are the covariates' coefficients. Rubin's variance
    under reference-based assumptions keeps the information lost to missing values about as it would be under
    missing at random (Cro et al. 2019, doi:10.1111/rssa.12423); it is larger than the variance over repeated
    trials.

    References
    ----------
    Carpenter, Roger and Kenward (2013), doi:10.1080/10543406.2013.834911. Barnard and Rubin (1999),
    doi:10.1093/biomet/86.4.948.

    Examples
    --------
    Nobody is missing: means 2 and 4, pooled variance (2 + 8) / 4, standard error sqrt(2.5 x 2 / 3) = 1.291. Barnard
    and Rubin's df are those of complete data times (df + 1) / (df + 3), 4 x 5 / 7:

    >>> values = pl.DataFrame({"patient_id": list("abcdef"), "arm": ["A"] * 3 + ["B"] * 3, "visit": [1] * 6,
    ...                        "number": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0]})
    >>> rows = imputed_difference(values, unit="points")
    >>> rows.select(pl.col("estimate", "std_error", "df").round(3)).row(0)
    (2.0, 1.291, 2.857)
    """
    data = wide_data("imputed_difference", values, covariates, reference_arm)
    require_assumption(assumption)
    require_conf_level(conf_level)
    place = _place(data, visit)
    require_two_arms("imputed_difference", data.arms)
    row = _common(data, place, unit, assumption, delta)
    if not np.isfinite(delta):
        raise RequestError(f"delta must be a finite number; found {delta!r}.")
    try:
        fits = [
            _least_squares(y[:, place], data.X)
            for y in imputed(data, assumption=assumption, delta=delta, n_imputations=n_imputations, seed=seed)
        ]
    except TableError as error:
        return results_frame(row(arm, note=f"not estimated: {error}") for arm in data.arms[1:])
    rows = []
    for k, arm in enumerate(data.arms[1:], start=1):
        pooled = pooled_row(
            [b[k] for b, _ in fits],
            [se[k] for _, se in fits],
            complete_df=data.X.shape[0] - data.X.shape[1],
            conf_level=conf_level,
        )
        rows.append(row(arm, **pooled))
    return results_frame(rows)


def tipping_point(
    values: pl.DataFrame, deltas: Sequence[float], *, unit: str, alpha: float = 0.05, **settings: Any
) -> pl.DataFrame:
    """Return `imputed_difference` for each delta, and the first delta at which p is no longer below alpha.

    Parameters
    ----------
    values, settings
        As for `imputed_difference`. Every delta uses the same random numbers.
    deltas
        In order from the mildest.
    unit
        Of `number` and of the deltas.
    alpha
        The level that p has to reach.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: the rows of each delta (term `visit <v>, delta <d>`), then for each arm
        "tipping_point" in the unit of the values; where no delta tips it there is no estimate and a note.

    Raises
    ------
    TableError
        As for `imputed_difference`.
    RequestError
        There is no delta, or as for `imputed_difference`.

    References
    ----------
    Carpenter, Roger and Kenward (2013), doi:10.1080/10543406.2013.834911.

    Examples
    --------
    Means 2 and 4 with the error 1.291 of `imputed_difference`'s example: t = 1.549 on 2.857 df, p = 0.22. Nobody is
    missing, so that no delta moves it, and the first is the tipping point:

    >>> values = pl.DataFrame({"patient_id": list("abcdef"), "arm": ["A"] * 3 + ["B"] * 3, "visit": [1] * 6,
    ...                        "number": [1.0, 2.0, 3.0, 2.0, 4.0, 6.0]})
    >>> rows = tipping_point(values, [0.0, -1.0], unit="points")
    >>> rows.select("statistic", pl.col("estimate", "p_value").round(2)).rows()
    [('mean_difference', 2.0, 0.22), ('mean_difference', 2.0, 0.22), ('tipping_point', 0.0, None)]
    """
    if not deltas:
        raise RequestError("tipping_point needs one or more deltas.")
    tables = [imputed_difference(values, unit=unit, delta=delta, **settings) for delta in deltas]
    rows = []
    for k in range(tables[0].height):
        first = tables[0].row(k, named=True)
        p_values = [table["p_value"][k] for table in tables]
        tipped = [d for d, p in zip(deltas, p_values, strict=True) if p is not None and p >= alpha]
        note = None
        if None in p_values:
            note = first["note"]
        elif not tipped:
            note = f"p stays below {alpha:g} at every delta tried, up to {deltas[-1]:g}"
        elif tipped[0] == deltas[0]:
            note = f"p is not below {alpha:g} at the first delta already"
        rows.append(
            result(
                **{name: first[name] for name in ("arm", "reference_arm", "n", "method", "mark")},
                statistic="tipping_point",
                unit=unit,
                term=f"of {len(deltas)} deltas from {deltas[0]:g} to {deltas[-1]:g}",
                estimate=tipped[0] if tipped else None,
                note=note,
            )
        )
    return pl.concat([*tables, results_frame(rows)])


@dataclass(frozen=True, kw_only=True)
class WideData:
    """Patients x visits; columns of X are 1, the arms but the reference, the covariates."""

    y: Array
    X: Array
    arm: npt.NDArray[np.intp]  # place in `arms`, 0 the reference
    arms: list[str]
    visits: list[float]


def wide_data(
    function: str, values: pl.DataFrame, covariates: Sequence[str], reference_arm: str | None
) -> WideData:
    """Return the table as arrays, patients in the order of their names.

    Raises
    ------
    TableError
        A patient has two rows at a visit, or lacks a covariate, or has two values of it.
    """
    frame, _ = repeated_values(
        function, values, needed=["visit", "number", *covariates], time="visit", keep_missing=True
    )
    if frame["visit"].null_count():
        raise TableError(
            f"{function}: `values.visit` must be stated; {frame['visit'].null_count()} rows are missing."
        )
    arms = arms_of(frame, reference_arm)
    patients = frame.group_by("patient_id", maintain_order=True).agg(
        pl.col("arm").first(),
        *(pl.col(name).drop_nulls().first() for name in covariates),
        *(pl.col(name).drop_nulls().n_unique().alias(f"_{name}") for name in covariates),
    )
    for name in covariates:
        odd = patients.filter(pl.col(f"_{name}") != 1).height
        if odd:
            raise TableError(f"{function}: {odd} patients have no value, or several, of covariate {name!r}.")
    visits = sorted(frame["visit"].unique().to_list())
    row = {patient: k for k, patient in enumerate(patients["patient_id"])}
    column = {visit: k for k, visit in enumerate(visits)}
    y = np.full((len(row), len(visits)), np.nan)
    for patient, visit, number in frame.select("patient_id", "visit", "number").iter_rows():
        if number is not None:
            y[row[patient], column[visit]] = number
    arm = np.array([arms.index(a) for a in patients["arm"]], dtype=np.intp)
    X = [np.ones(arm.size), *((arm == k).astype(float) for k in range(1, len(arms)))]
    X += [patients[name].to_numpy().astype(float) for name in covariates]
    return WideData(y=y, X=np.column_stack(X), arm=arm, arms=arms, visits=visits)


def imputed(
    data: WideData, *, assumption: str, delta: float = 0.0, n_imputations: int, seed: int
) -> Iterator[Array]:
    """Yield complete patients x visits arrays.

    The same seed gives the same noise under every assumption and delta.
    """
    if n_imputations < 2:
        raise RequestError(f"n_imputations must be 2 or more; found {n_imputations}.")
    last = last_seen(data.y)
    chain = random_stream(seed, stream="imputation_parameters", patient=0)
    reference_X = data.X.copy()
    reference_X[:, 1 : len(data.arms)] = 0
    for number, (at, filled) in enumerate(draws(data.y, data.X, chain, n_draws=n_imputations)):
        noise = random_stream(seed, stream="imputation_values", patient=number).standard_normal(data.y.shape)
        own, reference = data.X @ at.coefficients, reference_X @ at.coefficients
        complete = filled.copy()
        for place in np.unique(last[last < data.y.shape[1] - 1]):
            rows, known = np.flatnonzero(last == place), np.arange(data.y.shape[1]) <= place
            mean = mean_after(own[rows], reference[rows], int(place), assumption)
            drawn = drawn_given(mean, at.covariance, known, filled[rows], noise[np.ix_(rows, ~known)])
            complete[np.ix_(rows, ~known)] = drawn + np.where(data.arm[rows] > 0, delta, 0.0)[:, None]
        yield complete


def mean_after(own: Array, reference: Array, last: int, assumption: str) -> Array:
    """Return the means of all visits (last axis) from which patients last seen at place `last` are imputed.

    Examples
    --------
    Own arm 1, 2, 3, reference 10, 20, 40, last seen at the first visit:

    >>> own, reference = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 40.0])
    >>> {name: mean_after(own, reference, 0, name).tolist() for name in ASSUMPTIONS}
    {'missing_at_random': [1.0, 2.0, 3.0], 'jump_to_reference': [1.0, 20.0, 40.0],
     'copy_reference': [10.0, 20.0, 40.0], 'copy_increments': [1.0, 11.0, 31.0]}
    """
    if assumption == "missing_at_random":
        return own
    if assumption == "copy_reference" or last < 0:
        return reference
    after = reference[..., last + 1 :]
    if assumption == "copy_increments":
        after = own[..., [last]] + after - reference[..., [last]]
    return np.concatenate([own[..., : last + 1], after], axis=-1)


def require_assumption(assumption: str) -> None:
    """Raise a RequestError where the assumption is unknown."""
    if assumption not in ASSUMPTIONS:
        raise RequestError(
            f"No assumption {assumption!r}; known are {', '.join(ASSUMPTIONS)}."
            f"{did_you_mean(assumption, ASSUMPTIONS)}"
        )


def _place(data: WideData, visit: float | None) -> int:
    if not data.visits:
        raise TableError("imputed_difference: `values` has no row.")
    if visit is not None and visit not in data.visits:
        raise RequestError(f"No visit {visit:g}; there are {', '.join(f'{v:g}' for v in data.visits)}.")
    return len(data.visits) - 1 if visit is None else data.visits.index(visit)


def _common(data: WideData, place: int, unit: str, assumption: str, delta: float) -> Any:
    missing = np.isnan(data.y[:, place])
    term = f"visit {data.visits[place]:g}" + (f", delta {delta:g}" if delta else "")

    def row(arm: str, **columns: Any) -> dict[str, Any]:
        both = (data.arm == data.arms.index(arm)) | (data.arm == 0)
        about = (
            f"{int((missing & both).sum())} of {int(both.sum())} values imputed; {ASSUMPTIONS[assumption]}"
        )
        note = "; ".join([about, *([columns.pop("note")] if "note" in columns else [])])
        return result(
            statistic="mean_difference",
            unit=unit,
            term=term,
            arm=arm,
            reference_arm=data.arms[0],
            n=int(both.sum()),
            method="multiple imputation (normal, sequential by visit), least squares, Rubin, Barnard-Rubin df",
            mark="assumed",
            note=note,
            **columns,
        )

    return row


def _least_squares(y: Array, X: Array) -> tuple[Array, Array]:
    inverse = np.linalg.inv(X.T @ X)
    b = inverse @ X.T @ y
    left = y - X @ b
    variance = float(left @ left) / (y.size - X.shape[1])
    return b, np.sqrt(variance * np.diag(inverse))
