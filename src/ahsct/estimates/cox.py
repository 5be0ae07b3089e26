"""Cox's proportional hazards model from tables: hazard ratios with their intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import chdtrc, ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._design import Column, codes, design
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups, require_no_competing_event
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.counting_process import split_at_changes
from ahsct.estimates.cox_profile import profile
from ahsct.estimates.cox_regression import CoxRegression, SingularDesign, cox_regression
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import DAYS_PER_YEAR

INTERVALS = ("wald", "profile")
NO_COMPARISON = "no event while patients who differ were at risk in one stratum: nothing to compare"
FEW_CLUSTERS = 20
LARGEST_LOG = 700.0  # a computer's numbers end at exp(709)
ROUNDING_OF_ROBUST = 1e-7  # of the model's error: what rounding leaves of a robust error of 0
NO_ROBUST_ERROR = (
    "the robust error is 0, as no cluster of patients departs from the model: no error can be estimated"
)


@dataclass(frozen=True, kw_only=True)
class CoxFit:
    """A fitted model: what its rows are called, the regression, and the rows that it was fitted to (in days).

    `frame` has one row per interval of constant covariates; `strata` names the strata, whose numbers stand in
    `stratum`.
    """

    labels: Mapping[str, Any]
    columns: tuple[Column, ...]
    terms: tuple[str, ...]
    regression: CoxRegression
    frame: pl.DataFrame
    x: Floats
    stratum: np.ndarray
    strata: tuple[str, ...]
    n: int
    model: str = "Cox"

    @property
    def method(self) -> str:
        """How the coefficients were estimated, in words."""
        penalty = ", Firth" if self.regression.is_penalised else ""
        return f"{self.model}, {self.regression.ties} ties{penalty}" + (
            ", stratified" if len(self.strata) > 1 else ""
        )


def cox(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    strata: Sequence[str] = (),
    ties: str = "efron",
    penalty: str | None = None,
    cluster: str | None = None,
    interval: str = "wald",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return hazard ratios: $\lambda(t \mid x) = \lambda_0(t) \exp(x'\beta)$.

    Parameters
    ----------
    time_to_event
        One row per patient and endpoint (schema TIME_TO_EVENT): `patient_id`, `time_day`, `is_event`; `entry_day`
        delays the start of risk. Rows with `is_evaluable` false are left out. Each endpoint, definition, estimand
        and population is fitted by itself.
    covariates
        `patient_id` and what `terms`, `strata` and `cluster` name beside `arm`. With a column `from_day` a value
        counts after that day until the patient's next row (time-dependent covariates); without it one row per
        patient, of values known at the start of risk.
    terms
        Numbers and flags enter as they are, texts as one indicator per level against the reference.
    references
        The reference level of a text; else the first in alphabetical order.
    strata
        Columns whose combinations have baseline hazards of their own.
    ties
        "efron", "breslow" or "exact" (discrete likelihood).
    penalty
        "firth" for an arm without events; then `interval="profile"` is the one to read.
    cluster
        Column of patients that belong together (site, pair): robust standard errors. "patient_id" gives the
        robust errors of Lin and Wei.
    interval
        "wald", or "profile" for the profile likelihood with the likelihood-ratio p-value.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS. A row of statistic "hazard_ratio" per coefficient, named by `term` (for the arm by `arm` and
        `reference_arm`), whose `std_error` is that of the logarithm. Then the tests of all coefficients together,
        `estimate` being chi-squared: "likelihood_ratio_test", "score_test" and "wald_test"; with robust errors only
        the last (missing, with a note, where the robust covariance has not full rank), with a penalty only the first. Where the likelihood rises towards 0 or infinity (an arm without
        events, separation) estimate, error and Wald limits are missing, the note says so, and the profile interval
        still gives its one limit. Without any event, or none while patients who differ were at risk together (each
        alone in a stratum, for one), or where nobody can be evaluated, there is one row that says so.

    Raises
    ------
    TableError
        A column is absent, a value missing, a patient unknown in `covariates`, or events compete.
    RequestError
        A covariate is constant, or constant or a combination of others where others tell patients apart, or a word is
        unknown.

    References
    ----------
    See `cox_regression`. R: coxph(Surv(entry, time, event) ~ x + strata(s), ties, cluster), survival 3.5.3.

    Examples
    --------
    X, Y and X, of whom the first two have the event in turn: r / ((2 + r) (1 + r)) is largest at r = sqrt(2):

    >>> frame = pl.DataFrame({"patient_id": ["a", "b", "c"], "time_day": [100, 200, 300],
    ...                       "is_event": [True, True, False], "arm": ["X", "Y", "X"]})
    >>> rows = cox(frame)
    >>> rows.select("statistic", "arm", "reference_arm", pl.col("estimate").round(3)).row(0)
    ('hazard_ratio', 'Y', 'X', 1.414)
    """
    _require_words(interval, penalty, cluster)
    require_conf_level(conf_level)
    rows: list[dict[str, Any]] = []
    for group in groups("cox", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        if not group.rows["is_event"].any():
            note = f"no event in {group.rows.height} patients: no information on a hazard ratio"
            rows += group.told([_empty_row(group, note if group.rows.height else None, ties)])
            continue
        try:
            fit = _fit(
                group, covariates, terms=terms, references=references, strata=strata, ties=ties, penalty=penalty,
                cluster=cluster,
            )  # fmt: skip
        except SingularDesign:
            frame = _with_covariates(group, covariates, [*terms, *strata])
            if has_comparison(frame, strata, terms):
                raise
            rows += group.told([_empty_row(group, NO_COMPARISON, ties)])
            continue
        rows += group.told(hazard_ratio_rows(fit, interval=interval, conf_level=conf_level))
    return results_frame(rows)


def fit_cox(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    strata: Sequence[str] = (),
    ties: str = "efron",
    penalty: str | None = None,
    cluster: str | None = None,
) -> CoxFit:
    """Fit one model and keep it, for `proportional_hazards_test` and `predicted_curves`.

    Parameters
    ----------
    time_to_event
        As for `cox`, the patients of one endpoint, definition, estimand and population.
    covariates, terms, references, strata, ties, penalty, cluster
        As for `cox`.

    Returns
    -------
    CoxFit
        `regression` (coefficients, covariance, likelihood: see `cox_regression`), and in `columns` the names of the
        coefficients.

    Raises
    ------
    TableError
        The table holds no or more than one of them, or no event; or as for `cox`.
    RequestError
        As for `cox`.

    References
    ----------
    See `cox_regression`. R: coxph(Surv(entry, time, event) ~ x + strata(s), ties, cluster), survival 3.5.3.

    Examples
    --------
    X, Y and X, of whom the first two have the event in turn: r / ((2 + r) (1 + r)) is largest at r = sqrt(2):

    >>> frame = pl.DataFrame({"patient_id": ["a", "b", "c"], "time_day": [100, 200, 300],
    ...                       "is_event": [True, True, False], "arm": ["X", "Y", "X"]})
    >>> round(math.exp(fit_cox(frame).regression.coefficients[0]), 6)
    1.414214
    """
    _require_words("wald", penalty, cluster)
    found = list(groups("fit_cox", time_to_event, apart=ALL_BUT_ARM))
    if len(found) != 1:
        raise TableError(
            f"fit_cox needs the patients of one endpoint, definition, estimand and population; found {len(found)}. "
            "Filter `time_to_event`."
        )
    return _fit(
        found[0], covariates, terms=terms, references=references, strata=strata, ties=ties, penalty=penalty,
        cluster=cluster,
    )  # fmt: skip


def hazard_ratio_rows(
    fit: CoxFit, *, interval: str, conf_level: float, statistic: str = "hazard_ratio"
) -> list[dict[str, Any]]:
    """Return rows for `results_frame`: a ratio per coefficient, then the tests of all together."""
    regression = fit.regression
    z = float(ndtri(1 - (1 - conf_level) / 2))
    error = "robust" if regression.robust is not None else "model"
    method = (
        f"{fit.method}, {'profile likelihood' if interval == 'profile' else 'Wald'}, {error} error of the log"
    )
    rows = []
    for k, column in enumerate(fit.columns):
        beta = float(regression.coefficients[k])
        columns: dict[str, Any] = {"lower": None, "upper": None, "p_value": None}
        if regression.is_diverging[k]:
            columns["note"] = _diverging(regression.towards[k])
        else:
            std_error = math.sqrt(regression.variance[k, k])
            columns["estimate"] = ratio_of(beta)
            if std_error <= ROUNDING_OF_ROBUST * math.sqrt(regression.covariance[k, k]):
                columns["note"] = NO_ROBUST_ERROR
            else:
                columns["std_error"] = std_error
                columns |= {"lower": ratio_of(beta - z * std_error), "upper": ratio_of(beta + z * std_error)}
                columns["p_value"] = float(chdtrc(1, (beta / std_error) ** 2))
        if interval == "profile":
            found = profile(regression, k, conf_level=conf_level)
            columns |= {
                "lower": ratio_of(found.lower),
                "upper": ratio_of(found.upper),
                "p_value": found.p_value,
            }
        if not regression.is_diverging[k] and abs(beta) > LARGEST_LOG:
            columns |= {"estimate": None, "lower": None, "upper": None}
            columns["note"] = "; ".join(filter(None, (beyond_numbers(beta), columns.get("note"))))
        if (
            "std_error" in columns
            and regression.n_clusters is not None
            and regression.n_clusters < FEW_CLUSTERS
        ):
            few = f"robust error from {regression.n_clusters} clusters: with so few it tends to be too small"
            columns["note"] = "; ".join(filter(None, (columns.get("note"), few)))
        row = {"statistic": statistic, "unit": "ratio", "method": method, "conf_level": conf_level}
        rows.append(_row(fit, **row, **_named(column), **columns))
    return rows + _tests(fit)


def _fit(
    group: Group,
    covariates: pl.DataFrame | None,
    *,
    terms: Sequence[str],
    references: Mapping[str, str] | None,
    strata: Sequence[str],
    ties: str,
    penalty: str | None,
    cluster: str | None,
) -> CoxFit:
    require_no_competing_event("cox", group.rows)
    frame = _with_covariates(group, covariates, [*terms, *strata, *([cluster] if cluster else [])])
    made = design("cox", frame, terms, references)
    stratum, names = codes(frame, strata) if strata else (np.zeros(frame.height, np.int64), [""])
    try:
        regression = cox_regression(
            frame["time_day"].to_numpy(),
            frame["is_event"].to_numpy(),
            made.x,
            entry=frame["_entry"].to_numpy(),
            stratum=stratum,
            cluster=None if cluster is None else codes(frame, [cluster])[0],
            ties=ties,
            firth=penalty == "firth",
        )
    except SingularDesign as problem:
        raise SingularDesign(problem.column, problem.why, repr(made.columns[problem.column].label)) from None
    return CoxFit(
        labels=group.labels,
        columns=made.columns,
        terms=tuple(terms),
        regression=regression,
        frame=frame,
        x=made.x,
        stratum=stratum,
        strata=tuple(names),
        n=group.rows.height,
    )


def _with_covariates(group: Group, covariates: pl.DataFrame | None, names: Sequence[str]) -> pl.DataFrame:
    """Return intervals of constant covariates, `_entry` being minus infinity from the start on."""
    of_table = ("patient_id", "arm")
    wanted = [name for name in dict.fromkeys(names) if name not in of_table]
    if covariates is not None and wanted:
        frame = split_at_changes(group.rows, covariates, columns=wanted)
    elif "entry_day" in group.rows.columns:
        frame = group.rows
    else:
        frame = group.rows.with_columns(pl.lit(None, dtype=pl.Float64).alias("entry_day"))
    entry = pl.col("entry_day").cast(pl.Float64)
    return frame.with_columns(pl.when(entry > 0).then(entry).otherwise(-math.inf).alias("_entry"))


def has_comparison(frame: pl.DataFrame, strata: Sequence[str], terms: Sequence[str]) -> bool:
    """Say whether at some event two patients of different covariates were at risk in its stratum.

    A term that is the same in the whole table is no such case: it is a fault of the request.
    """
    if any(frame[term].n_unique() < 2 for term in terms):
        return True
    for _, rows in frame.with_columns(_all=pl.lit(0)).partition_by(*strata, "_all", as_dict=True).items():
        for time in rows.filter("is_event")["time_day"].unique():
            at_risk = rows.filter((pl.col("_entry") < time) & (pl.col("time_day") >= time))
            if at_risk.select(terms).n_unique() > 1:
                return True
    return False


def _tests(fit: CoxFit) -> list[dict[str, Any]]:
    regression = fit.regression
    df = len(fit.columns)
    found: list[tuple[str, float | None]] = []
    if regression.robust is None:
        found.append(("likelihood_ratio", 2 * (regression.likelihood.value - regression.null.value)))
        if not regression.is_penalised:
            null = regression.null
            found.append(("score", float(null.score @ np.linalg.solve(null.information, null.score))))
    if not regression.is_penalised and not regression.is_diverging.any():
        beta = regression.coefficients
        # a covariance is compared with the model's, or rounding would pass for one
        size = np.sqrt(np.diag(regression.covariance))
        tolerance = ROUNDING_OF_ROBUST**2
        rank = np.linalg.matrix_rank(regression.variance / np.outer(size, size), tolerance, hermitian=True)
        is_full = rank == df
        value = float(beta @ np.linalg.solve(regression.variance, beta)) if is_full else None
        if is_full or regression.robust is not None:
            found.append(("wald", value))
    method = f"{fit.method}, all coefficients" + (", robust" if regression.robust is not None else "")
    rows = []
    for name, value in found:
        columns: dict[str, Any] = {"note": "the robust covariance has not full rank: no test"}
        if value is not None:
            columns = {"estimate": max(value, 0.0), "p_value": float(chdtrc(df, max(value, 0.0)))}
        named = {"statistic": f"{name}_test", "unit": "chi-squared", "method": method, "df": df}
        rows.append(_row(fit, **named, **columns))
    return rows


def _row(fit: CoxFit, **columns: Any) -> dict[str, Any]:
    start = np.maximum(fit.frame["_entry"].to_numpy(), 0.0)
    days = float((fit.frame["time_day"].to_numpy() - start).sum())
    return result(
        **fit.labels,
        n=fit.n,
        n_events=fit.regression.sets.row.size,
        person_years=days / DAYS_PER_YEAR,
        **columns,
    )


def _named(column: Column) -> dict[str, str | None]:
    if column.term == "arm" and column.level is not None:
        return {"arm": column.level, "reference_arm": column.reference}
    return {"term": column.label}


def _empty_row(group: Group, note: str | None, ties: str) -> dict[str, Any]:
    method = f"Cox, {ties} ties"
    n = group.rows.height
    columns: dict[str, Any] = dict(group.labels) | {"n_events": group.rows["is_event"].sum(), "note": note}
    return result(statistic="hazard_ratio", unit="ratio", n=n, method=method, **columns)


def _diverging(towards: float) -> str:
    if towards == 0:
        return (
            "the likelihood does not depend on it once other hazard ratios are 0 or infinite (separation): no "
            "estimate; leave a covariate out, or see penalty='firth'"
        )
    way = "infinity" if towards > 0 else "0"
    return (
        f"the likelihood rises towards a hazard ratio of {way} (separation): no finite estimate; see the profile "
        "interval, or penalty='firth'"
    )


def ratio_of(log: float | None) -> float | None:
    """Return exp of a logarithm; None for none, and where a computer's numbers end."""
    return None if log is None or log > LARGEST_LOG else math.exp(log)


def beyond_numbers(log: float) -> str:
    """Say why there is no ratio where its logarithm is further from 0 than a computer's numbers go."""
    return (
        f"the ratio per unit of the covariate is exp({log:.4g}), beyond a computer's numbers: no estimate; give the "
        "covariate in a smaller unit"
    )


def _require_words(interval: str, penalty: str | None, cluster: str | None) -> None:
    if interval not in INTERVALS:
        raise RequestError(
            f"No interval {interval!r} of a hazard ratio; known are {', '.join(INTERVALS)}."
            f"{did_you_mean(interval, INTERVALS)}"
        )
    if penalty not in (None, "firth"):
        raise RequestError(f"No penalty {penalty!r}; known is 'firth'.")
    if penalty and cluster:
        raise RequestError("Firth's penalty knows no clusters: its errors come from the profile likelihood.")
    if interval == "profile" and cluster:
        raise RequestError("A profile likelihood knows no clusters; use interval='wald' with `cluster`.")
