"""Mixed model for repeated measures (MMRM): means by arm and visit, from everybody with at least one value.

No patient is given an own coefficient: the visits' covariance is modelled as it is. Under values missing at
random the means are those that complete follow-up would have shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates import _linear_tests as tests
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._linear_tests import DF_NAMES, FTest, Precision, require_df_method, t_interval, with_note
from ahsct.estimates._repeated_likelihood import STRUCTURES, Pattern, maximise
from ahsct.estimates._values import arms_of, repeated_values
from ahsct.estimates.rows import result, results_frame

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RepeatedMeasures:
    """A fitted model: coefficients of X, covariance between visits (T x T), restricted log-likelihood."""

    coefficients: Array
    covariance: Array
    visit_covariance: Array
    log_likelihood: float
    n: int
    n_patients: int
    satterthwaite: Precision
    kenward_roger: Precision
    kenward_roger_observed: Precision

    def contrast(
        self, weights: npt.ArrayLike, *, df_method: str = "kenward-roger"
    ) -> tuple[float, float, float]:
        """Return estimate, standard error and degrees of freedom of `weights` @ coefficients."""
        return tests.contrast(self.coefficients, self._precision(df_method), weights)

    def f_test(self, weights: npt.ArrayLike, *, df_method: str = "kenward-roger") -> FTest:
        """Test that the rows of `weights` (r x p) @ coefficients are all zero."""
        return tests.f_test(self.coefficients, self._precision(df_method), weights, df_method=df_method)

    def _precision(self, df_method: str) -> Precision:
        found: Precision = getattr(self, require_df_method(df_method, DF_NAMES).replace("-", "_"))
        return found


def repeated_measures(
    y: npt.ArrayLike,
    X: npt.ArrayLike,
    patient: npt.ArrayLike,
    visit: npt.ArrayLike,
    *,
    covariance: str = "unstructured",
) -> RepeatedMeasures:
    r"""Fit y = X b + e by restricted likelihood, the errors of a patient's visits having covariance V.

    Parameters
    ----------
    y, X
        Values (n) and columns of the coefficients (n x p).
    patient, visit
        Of each row; visits in their order (`ar1` counts steps between distinct visits).
    covariance
        "unstructured", "ar1" or "compound_symmetry", the same for all patients.

    Notes
    -----
    Satterthwaite's df use the observed information of the variance parameters; Kenward and Roger's the
    expected one, in the parameters V_kl (unstructured), variance within and common covariance (compound
    symmetry) or variance and correlation (ar1, with the second derivatives of V). "kenward-roger-observed"
    takes the observed information there too, as mmrm does; without missing values V_kl have both the same.

    Raises
    ------
    TableError
        A value is missing, a patient has two rows at one visit, columns of X depend on each other, two
        visits were never seen in one patient (unstructured), or the data do not determine V.

    References
    ----------
    Kenward and Roger (1997), doi:10.2307/2533558. R: gls(y ~ X - 1, correlation = corSymm(form = ~ visit |
    patient), weights = varIdent(form = ~ 1 | visit)), nlme 3.1.162.

    Examples
    --------
    Two visits, all seen: the mean change is that of the paired t test, changes 1, 2, 6, df = 2:

    >>> fit = repeated_measures([0, 1, 0, 2, 1, 7], np.kron(np.ones((3, 1)), np.eye(2)), list("aabbcc"), [1, 2] * 3)
    >>> estimate, std_error, df = fit.contrast([-1, 1])
    >>> round(estimate, 6), round(std_error**2, 6), round(df, 6)
    (3.0, 2.333333, 2.0)
    """
    y_, X_ = np.asarray(y, dtype=float), np.asarray(X, dtype=float)
    n, p = X_.shape
    if covariance not in STRUCTURES:
        raise RequestError(
            f"No covariance {covariance!r}; known are {', '.join(STRUCTURES)}.{did_you_mean(covariance, STRUCTURES)}"
        )
    if not (np.isfinite(y_).all() and np.isfinite(X_).all()):
        raise TableError("repeated_measures needs finite numbers in y and X; leave incomplete rows out.")
    if n <= p or np.linalg.matrix_rank(X_) < p:
        raise TableError(
            f"repeated_measures cannot tell {p} coefficients apart in {n} rows: columns of X depend on each "
            "other or rows are too few."
        )
    patients, patient_code = np.unique(np.asarray(patient), return_inverse=True)
    visits, visit_code = np.unique(np.asarray(visit), return_inverse=True)
    orthonormal, r = np.linalg.qr(X_)
    projected = orthonormal.T @ y_
    residual = y_ - orthonormal @ projected
    scale = float(np.sqrt(np.mean(residual**2)))
    if scale <= 1e-12 * float(np.sqrt(np.mean(y_**2))):
        raise TableError(
            "repeated_measures: the values lie exactly on the fitted means; no error can be estimated."
        )
    seen = np.zeros((patients.size, visits.size), dtype=bool)
    seen[patient_code, visit_code] = True
    if seen.sum() < n:
        raise TableError(f"repeated_measures: {n - int(seen.sum())} rows repeat a visit of a patient.")
    if covariance == "unstructured":
        _require_pairs(seen, visits)
    wide = np.zeros((patients.size, visits.size, p + 1))
    wide[patient_code, visit_code] = np.column_stack([orthonormal, residual / scale])
    fit = maximise(_patterns(seen, wide), visits.size, p, n, structure=covariance)
    back = np.asarray(np.linalg.inv(r) * scale, dtype=np.float64)
    return RepeatedMeasures(
        coefficients=np.linalg.solve(r, projected) + back @ fit.coefficients,
        covariance=back @ fit.satterthwaite.plain @ back.T,
        visit_covariance=fit.V * scale**2,
        log_likelihood=-0.5 * fit.deviance
        - (n - p) * math.log(scale)
        - float(np.log(np.abs(np.diag(r))).sum()),
        n=n,
        n_patients=patients.size,
        satterthwaite=tests.transformed(fit.satterthwaite, back),
        kenward_roger=tests.transformed(fit.kenward_roger, back),
        kenward_roger_observed=tests.transformed(fit.kenward_roger_observed, back),
    )


def visit_means(
    values: pl.DataFrame,
    *,
    unit: str,
    covariance: str = "unstructured",
    covariates: Sequence[str] = (),
    df_method: str = "kenward-roger",
    reference_arm: str | None = None,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return the least-squares mean of each arm at each visit, and the differences between arms.

    One coefficient for each arm and visit, and one for each covariate and visit; means are given at the
    covariates' mean over patients.

    Parameters
    ----------
    values
        `patient_id`, `visit` [number in the order of visits, or years], `number`, where there are arms `arm`,
        and the covariates (the same at all visits of a patient, as the baseline value); one row per patient and
        visit. A row without visit, number or covariate is left out and counted.
    unit
        Of `number`.
    covariance
        "unstructured", "ar1" or "compound_symmetry", the same in all arms.
    covariates
        Names of columns.
    df_method
        "kenward-roger", "satterthwaite" or "kenward-roger-observed" (see `repeated_measures`).
    reference_arm
        Differences are against it; the first by name when missing.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: statistic "mean", term `visit <v>`, for each arm, then "mean_difference" with
        `reference_arm`. A cell without values has no estimate and a note; so has everything where the model
        cannot be fitted.

    Raises
    ------
    TableError
        A column or a patient is missing, a number is not finite, no visit is stated, or a patient stands in two arms
        or has two rows at one visit, or nobody is in the reference arm.
    RequestError
        A choice or the level is unknown.

    References
    ----------
    See `repeated_measures`.

    Examples
    --------
    Three patients an arm, all at both visits: each visit is a t test. At the first the means are 2 and 4, the
    variances 1 and 4, the error of the difference sqrt((1 + 4) / 3); at the second 2 and 6, 1 and 1, sqrt(2 / 3):

    >>> values = pl.DataFrame({"patient_id": list("abcdef") * 2, "arm": (["A"] * 3 + ["B"] * 3) * 2,
    ...                        "visit": [1] * 6 + [2] * 6, "number": [1.0, 2, 3, 2, 4, 6, 1, 3, 2, 5, 6, 7]})
    >>> rows = visit_means(values, unit="points").filter(statistic="mean_difference")
    >>> rows.select("term", pl.col("estimate", "std_error", "df").round(4)).rows()
    [('visit 1', 2.0, 1.291, 4.0), ('visit 2', 4.0, 0.8165, 4.0)]
    """
    frame, left_out = repeated_values(
        "visit_means", values, needed=["visit", "number", *covariates], time="visit"
    )
    require_conf_level(conf_level)
    if covariance not in STRUCTURES:
        raise RequestError(
            f"No covariance {covariance!r}; known are {', '.join(STRUCTURES)}.{did_you_mean(covariance, STRUCTURES)}"
        )
    method = (
        f"MMRM (REML, {STRUCTURES[covariance][0]}, {DF_NAMES[require_df_method(df_method, DF_NAMES)]} df)"
    )
    everybody = pl.concat([frame, left_out])
    arms, visits = (
        arms_of(everybody, reference_arm),
        sorted(everybody["visit"].drop_nulls().unique().to_list()),
    )
    if everybody.height and not visits:
        raise TableError(f"visit_means: `values.visit` is missing in all {everybody.height} rows.")
    cells = [(arm, visit) for arm in arms for visit in visits]
    n_in = {
        key: rows["patient_id"].n_unique()
        for key, rows in frame.partition_by(["arm", "visit"], as_dict=True).items()
    }
    filled = [cell for cell in cells if cell in n_in]
    arm, visit = frame["arm"].to_numpy(), frame["visit"].to_numpy()
    X = [((arm == a) & (visit == v)).astype(float) for a, v in filled]
    for name in covariates:
        centre = frame.unique("patient_id", keep="first", maintain_order=True)[name].mean()
        centred = frame[name].to_numpy().astype(float) - centre
        X += [centred * (visit == v) for v in visits if (visit == v).any()]
    fit, note = None, f"{frame.height} values of {frame['patient_id'].n_unique()} patients"
    if left_out.height:
        note += f"; {left_out.height} rows without visit, number or covariate left out"
    if covariates:
        note += f"; at the patients' mean of {', '.join(covariates)}"
    try:
        if X:
            fit = repeated_measures(
                frame["number"].to_numpy(),
                np.column_stack(X),
                frame["patient_id"].to_numpy(),
                visit,
                covariance=covariance,
            )
    except TableError as error:
        note = f"not estimated: {error}; {note}"

    def row(of: Sequence[tuple[str, Any]], signs: Sequence[float]) -> dict[str, Any]:
        estimate: dict[str, Any] = {}
        empty = [a for a, v in of if (a, v) not in n_in]
        if empty:
            estimate = {"note": f"not estimated: no value at this visit in arm {', '.join(empty)}"}
        elif fit is not None:
            weights = np.zeros(len(X))
            for cell, sign in zip(of, signs, strict=True):
                weights[filled.index(cell)] = sign
            try:
                estimate = t_interval(*fit.contrast(weights, df_method=df_method), conf_level)
            except TableError as error:
                estimate = {"note": f"not estimated: {error}"}
        if len(of) == 1:
            estimate.pop("p_value", None)  # that a mean is zero is no question
        return result(
            statistic="mean" if len(of) == 1 else "mean_difference",
            unit=unit,
            n=sum(n_in.get(cell, 0) for cell in of),
            method=method,
            arm=of[0][0],
            reference_arm=of[1][0] if len(of) == 2 else None,
            term=f"visit {of[0][1]:g}",
            **with_note(estimate, note),
        )

    rows = [row([cell], [1]) for cell in cells]
    rows += [row([(a, v), (arms[0], v)], [1, -1]) for a in arms[1:] for v in visits]
    return results_frame(rows)


def _patterns(seen: npt.NDArray[np.bool_], wide: Array) -> list[Pattern]:
    kinds, code = np.unique(seen, axis=0, return_inverse=True)
    found = []
    for number, kind in enumerate(kinds):
        block = wide[code.reshape(-1) == number][:, kind]
        n, v, columns = block.shape
        flat = block.reshape(n, v * columns)
        found.append(
            Pattern(
                visits=np.flatnonzero(kind),
                n_patients=n,
                products=(flat.T @ flat).reshape(v, columns, v, columns),
            )
        )
    return found


def _require_pairs(seen: npt.NDArray[np.bool_], visits: npt.NDArray[Any]) -> None:
    together = seen.astype(int).T @ seen.astype(int)
    apart = np.argwhere(np.tril(together == 0))
    if apart.size:
        first, second = visits[apart[0][1]], visits[apart[0][0]]
        raise TableError(
            f"an unstructured covariance needs patients seen at both of any two visits; nobody was at {first} "
            f"and {second} ({len(apart)} such pairs). Take ar1 or compound_symmetry."
        )
