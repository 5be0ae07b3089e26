"""Fine and Gray's regression of the subdistribution hazard."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc, ndtri

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._design import design
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._newton import newton_maximum
from ahsct.estimates._risk_table import Counts, Floats, distinct_times
from ahsct.estimates.competing import require_causes
from ahsct.estimates.cox import LARGEST_LOG, NO_ROBUST_ERROR, ROUNDING_OF_ROBUST, beyond_numbers, ratio_of
from ahsct.estimates.interval_regression import named_column, with_covariates
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns


class Subdistribution(NamedTuple):
    """Log subdistribution hazard ratios, their sandwich covariance, the model's and the log pseudo-likelihood."""

    coefficients: Floats
    covariance: Floats
    model_covariance: Floats
    loglik: float


def fine_gray(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    cause: str,
    terms: Sequence[str] = ("arm",),
    references: Mapping[str, str] | None = None,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Regress the cumulative incidence of one cause, where causes compete.

    $-\log(1 - F_1(t \mid x)) = \Lambda_0(t) \exp(x'\beta)$: the ratios say how covariates move the cumulative
    incidence, not how they act on the cause (for that, `cause_specific_hazards`).

    Parameters
    ----------
    time_to_event
        As for `aalen_johansen`.
    covariates, terms, references
        As for `interval_regression`.
    cause
        The cause of interest; every other event competes.
    conf_level
        Two-sided, between 0 and 1; Wald intervals of logarithms.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per coefficient: statistic "subdistribution_hazard_ratio"; `std_error` is that of the
        log, from the sandwich that knows that the censoring distribution was estimated. Where nothing can be
        fitted the estimate is missing and the note says why; so are error and limits where the sandwich is 0.

    Raises
    ------
    TableError
        As for `aalen_johansen` and `interval_regression`; entry is delayed.
    RequestError
        No patient had the cause anywhere, a term or a reference is unknown.

    References
    ----------
    Fine and Gray (1999), doi:10.1080/01621459.1999.10474144. R: crr(time, cause, x), cmprsk 2.2.11.

    Examples
    --------
    Those dead on days 4 and 5 stay at risk of relapse; the score is zero at (3 + sqrt(57)) / 6:

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4, 5, 6], "is_event": [True] * 5 + [False], "arm": list("ABBABA"),
    ...                       "cause": ["relapse", "relapse", "relapse", "death", "death", None]})
    >>> fine_gray(frame, cause="relapse").select("arm", "reference_arm", pl.col("estimate").round(3)).row(0)
    ('B', 'A', 1.758)
    """
    require_conf_level(conf_level)
    require_columns("fine_gray", "time_to_event", time_to_event, ("cause",))
    found = list(groups("fine_gray", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False))
    for group in found:
        require_causes("fine_gray", group.rows)
        if group.entry is not None:
            raise TableError("fine_gray takes no delayed entry; start risk at time zero.")
    known = sorted({name for group in found for name in group.rows.filter(pl.col("is_event"))["cause"]})
    if known and cause not in known:
        raise RequestError(
            f"fine_gray: nobody had the cause {cause!r}; seen are {', '.join(known)}.{did_you_mean(cause, known)}"
        )
    rows: list[dict[str, Any]] = []
    for group in found:
        rows += group.told(_rows(group, covariates, cause, terms, references, conf_level))
    return results_frame(rows)


def subdistribution(time: npt.ArrayLike, cause: npt.ArrayLike, x: npt.ArrayLike) -> Subdistribution:
    r"""Fit the model from arrays: cause 1 is of interest, 2 competes, 0 is a censoring; O(n log n) in patients.

    Who had another event at $T_i$ stays in the risk sets after it with weight $G(t-) / G(T_i-)$, G the Kaplan-Meier
    estimate of not being censored. The covariance is $I^{-1} \sum_i (\eta_i + \psi_i)(\eta_i + \psi_i)' I^{-1}$, with
    $\eta_i$ the score of a patient and $\psi_i$ what the patient adds through G. Ties as by Breslow.

    Raises
    ------
    TableError
        There is no event of cause 1, an arm has none, or the covariates depend on each other.
    """
    _, times = distinct_times(np.asarray(time))  # their order is all that counts
    kind = np.asarray(cause, dtype=np.int64)
    columns = np.asarray(x, dtype=np.float64).reshape(times.size, -1)
    if not np.any(kind == 1):
        raise TableError(f"fine_gray: none of {times.size} patients had the event; nothing can be fitted.")
    centred = columns - columns.mean(axis=0)
    if np.linalg.matrix_rank(centred) < columns.shape[1]:
        raise TableError(
            f"fine_gray: the {columns.shape[1]} covariates are constant or depend on each other in {times.size} "
            "patients; leave one out."
        )
    spread = centred.std(axis=0)
    sets = _RiskSets(times, kind, centred / spread)
    found = newton_maximum("fine_gray", sets.likelihood, np.zeros(columns.shape[1]))
    scores = sets.scores(found.estimate)
    scale = np.outer(spread, spread)
    sandwich = found.covariance @ scores.T @ scores @ found.covariance
    return Subdistribution(found.estimate / spread, sandwich / scale, found.covariance / scale, found.loglik)


class _RiskSets:
    """Sums over those at risk of cause 1 at each distinct time, the weighted ones after another event included."""

    def __init__(self, times: npt.NDArray[Any], kind: Counts, x: Floats) -> None:
        self.x, self.kind = x, kind
        distinct, self.place = np.unique(times, return_inverse=True)
        self.width = distinct.size
        self.n_own = self._sum((kind == 1) * 1.0)
        self.n_censored = self._sum((kind == 0) * 1.0)
        self.n_at_risk = self._at_risk(np.ones(kind.size))
        # the probability of not being censored before each time
        kept = np.cumprod(1 - self.n_censored / self.n_at_risk)
        self.kept = np.concatenate(([1.0], kept[:-1]))
        self.again = np.where(kind == 2, 1 / self.kept[self.place], 0.0)

    def likelihood(self, beta: Floats) -> tuple[float, Floats, Floats]:
        """Return log pseudo-likelihood, score and information."""
        risk, total, mean = self._means(beta)
        hazard = self.n_own / total
        own = self.kind == 1
        value = float((self.x @ beta)[own].sum() - (self.n_own * np.log(total)).sum())
        score = self.x[own].sum(axis=0) - self.n_own @ mean
        each = risk * (np.cumsum(hazard)[self.place] + self.again * _after(hazard * self.kept)[self.place])
        information = (self.x * each[:, None]).T @ self.x - (mean * self.n_own[:, None]).T @ mean
        return value, score, (information + information.T) / 2

    def scores(self, beta: Floats) -> Floats:
        """Return each patient's contribution to the score, that through the censoring distribution included."""
        risk, total, mean = self._means(beta)
        hazard = (self.n_own / total)[:, None]
        place, x = self.place, self.x
        own = np.where((self.kind == 1)[:, None], x - mean[place], 0.0)
        passed, passed_mean = np.cumsum(hazard, axis=0), np.cumsum(mean * hazard, axis=0)
        kept = hazard * self.kept[:, None]
        ahead, ahead_mean = _after(kept), _after(mean * kept)
        eta = own - risk[:, None] * (x * passed[place] - passed_mean[place])
        eta -= (risk * self.again)[:, None] * (x * ahead[place] - ahead_mean[place])
        weight, weighted = self._gone(risk * self.again), self._gone(x * (risk * self.again)[:, None])
        q = weighted * (ahead + kept) - weight[:, None] * (ahead_mean + mean * kept)
        by_censoring = q / self.n_at_risk[:, None]
        psi = -np.cumsum(by_censoring * (self.n_censored / self.n_at_risk)[:, None], axis=0)[place]
        psi += np.where((self.kind == 0)[:, None], by_censoring[place], 0.0)
        return np.asarray(eta + psi)

    def _means(self, beta: Floats) -> tuple[Floats, Floats, Floats]:
        risk = np.exp(np.clip(self.x @ beta, -300, 300))
        with_x = self.x * risk[:, None]
        total = self._at_risk(risk) + self.kept * self._gone(risk * self.again)
        sums = self._at_risk(with_x) + self.kept[:, None] * self._gone(with_x * self.again[:, None])
        return risk, total, sums / total[:, None]

    def _sum(self, value: Floats) -> Floats:
        total = np.zeros((self.width, *value.shape[1:]))
        np.add.at(total, self.place, value)
        return total

    def _at_risk(self, value: Floats) -> Floats:
        return np.asarray(np.cumsum(self._sum(value)[::-1], axis=0)[::-1])

    def _gone(self, value: Floats) -> Floats:
        """Return the sum over those whose time came before."""
        total = self._sum(value)
        return np.asarray(np.cumsum(total, axis=0) - total)


def _after(value: Floats) -> Floats:
    """Return the sum of what comes after each time."""
    return np.asarray(np.cumsum(value[::-1], axis=0)[::-1] - value)


def _rows(
    group: Group,
    covariates: pl.DataFrame | None,
    cause: str,
    terms: Sequence[str],
    references: Mapping[str, str] | None,
    conf_level: float,
) -> list[dict[str, Any]]:
    columns: dict[str, Any] = {
        **group.labels,
        "statistic": "subdistribution_hazard_ratio",
        "unit": "ratio",
        "n": group.rows.height,
        "method": f"Fine-Gray ({cause}), Breslow ties, Wald, sandwich error of the log",
    }
    if group.rows.is_empty():
        return [result(**columns)]
    frame = with_covariates("fine_gray", group.rows, covariates, terms)
    made = design("fine_gray", frame, terms, references)
    is_own = (frame["cause"] == cause).fill_null(False).to_numpy()
    kind = np.where(~frame["is_event"].to_numpy(), 0, np.where(is_own, 1, 2))
    columns["n_events"] = int((kind == 1).sum())
    try:
        fit = subdistribution(frame["time_day"].to_numpy(), kind, made.x)
    except TableError as problem:
        return [result(**columns, **named_column(column), note=str(problem)) for column in made.columns]
    z = float(ndtri(1 - (1 - conf_level) / 2))
    rows = []
    for k, column in enumerate(made.columns):
        beta, error = float(fit.coefficients[k]), math.sqrt(fit.covariance[k, k])
        named = {**columns, **named_column(column), "estimate": ratio_of(beta), "conf_level": conf_level}
        if abs(beta) > LARGEST_LOG:
            rows.append(result(**named | {"estimate": None}, std_error=error, note=beyond_numbers(beta)))
            continue
        if error <= ROUNDING_OF_ROBUST * math.sqrt(fit.model_covariance[k, k]):
            rows.append(result(**named, note=NO_ROBUST_ERROR))
            continue
        rows.append(
            result(
                **named,
                std_error=error,
                lower=ratio_of(beta - z * error),
                upper=ratio_of(beta + z * error),
                p_value=float(chdtrc(1, (beta / error) ** 2)),
            )
        )
    return rows
