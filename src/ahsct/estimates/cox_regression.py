"""Cox's proportional hazards model fitted to arrays: the core of `cox`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._cox_likelihood import (
    Likelihood,
    at_events,
    exact_likelihood,
    partial_likelihood,
)
from ahsct.estimates._cox_separation import Separation, separation
from ahsct.estimates._risk_sets import RiskSets, risk_sets
from ahsct.estimates._risk_table import Floats

TIES = ("efron", "breslow", "exact")
_MAX_STEPS = 200
_SETTLED = 1e-9  # of a coefficient per standard deviation of its covariate
_UNSETTLED = 1e-6
_FAR = 30.0  # along a direction that orders patients by 1 or more: those below count exp(-30)


class Limit(NamedTuple):
    """The likelihood without the infinite coefficients: at one held coefficient, if any, then those of the basis.

    `x` holds what these coefficients stand before, one row per sorted row of `sets`.
    """

    separation: Separation
    likelihood_at: Callable[[Floats], Likelihood]
    x: Floats
    sets: RiskSets


@dataclass(frozen=True, kw_only=True)
class CoxRegression:
    """A fitted model, one item per coefficient.

    `covariance` is the inverse information, `robust` the sandwich estimate where clusters were given. A
    coefficient `is_diverging` where the likelihood keeps rising towards infinity (separation); its variance is
    NaN, and `towards` says where it goes: -1 or 1, or 0 where the likelihood, once other coefficients are infinite,
    no longer depends on it. Its item of `coefficients` is so far out that nothing changes any more. `limit` makes the
    likelihood that is left then, with one coefficient held or none. `likelihood_at` gives the
    (penalised) likelihood anywhere, its argument being the coefficients times `scale`, per standard deviation of
    a covariate. `x` holds the covariates of the sorted rows, less their `centre`.
    """

    coefficients: Floats
    covariance: Floats
    robust: Floats | None
    is_diverging: npt.NDArray[np.bool_]
    towards: Floats
    likelihood: Likelihood
    null: Likelihood
    likelihood_at: Callable[[Floats], Likelihood]
    limit: Callable[[int | None], Limit]
    scale: Floats
    x: Floats
    centre: Floats
    sets: RiskSets
    ties: str
    is_penalised: bool
    n_clusters: int | None

    @property
    def variance(self) -> Floats:
        """The covariance to report: robust where there is one."""
        return self.covariance if self.robust is None else self.robust


def cox_regression(
    time: npt.ArrayLike,
    is_event: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    stratum: npt.ArrayLike | None = None,
    cluster: npt.ArrayLike | None = None,
    ties: str = "efron",
    firth: bool = False,
) -> CoxRegression:
    r"""Fit $\lambda(t \mid x) = \lambda_0(t) \exp(x'\beta)$ by Newton's method with step halving.

    Parameters
    ----------
    time, is_event, entry
        A row is at risk at t where entry < t <= time; an entry of minus infinity, or none at all, means from the
        start. One patient may have several rows that do not overlap.
    x
        Covariates, shape (rows, coefficients).
    stratum
        Whole numbers: a baseline hazard for each.
    cluster
        Whole numbers: rows that belong together. Gives the robust (sandwich) covariance
        $\sum_c D_c' D_c$ with D the score residuals times the inverse information, summed within clusters.
    ties
        "efron", "breslow" or "exact" (the discrete likelihood, as conditional logistic regression).
    firth
        Adds half the log determinant of the information: finite coefficients also in an arm without events.

    Raises
    ------
    TableError
        A value is not finite, times lie before entries, or there is no event.
    RequestError
        A covariate is constant or a combination of others in every risk set, the word for ties is unknown, or
        exact ties are asked for together with a penalty or clusters.

    References
    ----------
    Cox (1972), doi:10.1111/j.2517-6161.1972.tb00899.x; Efron (1977), doi:10.1080/01621459.1977.10480613;
    Heinze and Schemper (2001), doi:10.1111/j.0006-341X.2001.00114.x; Lin and Wei (1989),
    doi:10.1080/01621459.1989.10478874. R: coxph(..., ties, cluster), survival 3.5.3.

    Examples
    --------
    Events at 1 (x = 1, at risk with 0 and 1) and 2 (x = 0, at risk with 1). The score $1 - 2r/(2r + 1) - r/(1 + r)$
    with $r = e^\beta$ is zero at $r = \sqrt{1/2}$:

    >>> fit = cox_regression([1, 2, 3], [1, 1, 0], [[1], [0], [1]])
    >>> float(np.exp(fit.coefficients[0]).round(6))
    0.707107
    """
    columns = np.asarray(x, dtype=np.float64)
    _require_arguments(columns, ties, firth, cluster)
    sets = risk_sets(time, is_event, entry=entry, stratum=stratum, ties=ties)
    if sets.row.size == 0:
        raise TableError(f"No event in {columns.shape[0]} rows: a hazard ratio has no information.")
    centre = columns.mean(axis=0)
    rows = columns[sets.order] - centre
    spread = rows.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scaled = rows / scale

    def likelihood(beta: Floats) -> Likelihood:
        if ties == "exact":
            return exact_likelihood(scaled, sets, beta)
        return partial_likelihood(scaled, sets, beta, firth=firth)

    def limit(fixed: int | None) -> Limit:
        found = separation(scaled, sets, is_exact=ties == "exact", fixed=fixed)
        level = np.empty_like(found.level)
        level[sets.order] = found.level
        strata = np.column_stack((level, np.zeros_like(level) if stratum is None else stratum))
        within = np.unique(strata, axis=0, return_inverse=True)[1].reshape(-1)
        left = risk_sets(time, is_event, entry=entry, stratum=within, ties=ties)
        held = scaled[:, [] if fixed is None else [fixed]]
        sorted_as_given = np.empty((level.size, held.shape[1] + found.basis.shape[1]))
        sorted_as_given[sets.order] = np.hstack((held, scaled @ found.basis))
        z = sorted_as_given[left.order]
        of = exact_likelihood if ties == "exact" else partial_likelihood
        return Limit(found, lambda beta: of(z, left, beta), z, left)

    start = likelihood(np.zeros(columns.shape[1]))
    everything = np.ones(columns.shape[1], dtype=bool)
    _require_information(start.information)
    beta, end, largest = maximise(likelihood, np.zeros(start.score.size), everything, is_penalised=firth)
    is_diverging, towards = np.zeros(beta.size, dtype=bool), np.zeros(beta.size)
    is_settled = largest <= _UNSETTLED and (
        firth or not vanishing(start.information, end.information, everything).any()
    )
    influence = None
    if is_settled:
        covariance = np.asarray(np.linalg.inv(end.information))
    elif firth:
        raise _no_top(largest)
    else:
        left = limit(None)
        beta, end, is_diverging, towards, covariance, influence = _at_limit(left)
    covariance = covariance / np.outer(scale, scale)
    robust, n_clusters = None, None
    if cluster is not None:
        codes = np.unique(np.asarray(cluster), return_inverse=True)[1]
        n_clusters = int(codes.max(initial=-1)) + 1
        if n_clusters < 2:
            raise RequestError("Robust errors need two or more clusters; all rows are of one.")
        if influence is None:
            order, residuals = sets.order, _score_residuals(rows, sets, beta / scale) @ covariance
        else:  # far out rounding would be all that is left of some risk sets
            order, residuals = left.sets.order, influence / scale
        summed = np.stack([np.bincount(codes[order], column) for column in residuals.T], axis=1)
        robust = np.where(np.isnan(covariance), np.nan, summed.T @ summed)
    return CoxRegression(
        coefficients=beta / scale,
        covariance=covariance,
        robust=robust,
        is_diverging=is_diverging,
        towards=towards,
        likelihood=_in_units(end, scale, firth),
        null=_in_units(start, scale, firth),
        likelihood_at=likelihood,
        limit=limit,
        scale=scale,
        x=rows,
        centre=centre,
        sets=sets,
        ties=ties,
        is_penalised=firth,
        n_clusters=n_clusters,
    )


@np.errstate(divide="ignore", invalid="ignore")  # far out with delayed entry: seen below
def maximise(
    likelihood: Callable[[Floats], Likelihood],
    beta: Floats,
    free: npt.NDArray[np.bool_],
    *,
    is_penalised: bool = False,
) -> tuple[Floats, Likelihood, float]:
    """Climb from `beta` along the `free` coefficients; return where, the likelihood there and the last step's size.

    Ends when no step moves a coefficient by more than a billionth, or when the likelihood no longer rises
    and the information has vanished in some direction (separation, see `vanishing`); the step is infinite where the
    likelihood could not be computed.
    """
    here = likelihood(beta)
    first = here.information
    moved = 0.0
    for _ in range(_MAX_STEPS):
        if not np.isfinite(here.information).all():
            return beta, here, np.inf
        step = np.zeros_like(beta)
        curvature = here.information[np.ix_(free, free)]
        if is_penalised:
            curvature = _curvature(likelihood, beta, free, curvature)
        step[free] = np.linalg.lstsq(curvature, here.score[free], rcond=1e-14)[0]
        moved = float(np.abs(step).max(initial=0.0))
        if moved < _SETTLED:
            break
        if here.score @ step < 1e-6 and vanishing(first, here.information, free).any():
            break
        # far from the top the quadratic may overshoot, to where nothing is finite
        step *= min(1.0, 5.0 / moved)
        there = likelihood(beta + step)
        while moved > 1e-4 and not there.value >= here.value:  # nor where it is no number
            step, moved = step / 2, moved / 2
            there = likelihood(beta + step)
        beta, here = beta + step, there
    return beta, here, moved


def _curvature(
    likelihood: Callable[[Floats], Likelihood], beta: Floats, free: npt.NDArray[np.bool_], information: Floats
) -> Floats:
    """Return minus the second derivative of the penalised likelihood by differences, or the information if uphill."""
    delta = 1e-5
    columns = []
    for k in np.flatnonzero(free):
        shift = np.zeros_like(beta)
        shift[k] = delta
        columns.append((likelihood(beta - shift).score - likelihood(beta + shift).score)[free] / (2 * delta))
    curvature = np.stack(columns, axis=1) if columns else information
    curvature = (curvature + curvature.T) / 2
    is_peak = np.isfinite(curvature).all() and bool(np.all(np.linalg.eigvalsh(curvature) > 0))
    return curvature if is_peak else information


def _at_limit(
    limit: Limit,
) -> tuple[Floats, Likelihood, npt.NDArray[np.bool_], Floats, Floats, Floats]:
    """Return coefficients, supremum, which diverge, whereto, the covariance, and each row's influence on coefficients.

    Under separation or next to it; the rows as the limit's sets sort them.
    """
    basis = limit.separation.basis
    everything = np.ones(basis.shape[1], dtype=bool)
    start = limit.likelihood_at(np.zeros(everything.size))
    free, top, largest = maximise(limit.likelihood_at, np.zeros(everything.size), everything)
    if largest > _UNSETTLED or vanishing(start.information, top.information, everything).any():
        raise _no_top(largest)
    inverse = np.linalg.inv(top.information)
    covariance = basis @ inverse @ basis.T
    influence = _score_residuals(limit.x, limit.sets, free) @ inverse @ basis.T
    is_diverging = np.linalg.norm(basis, axis=1) < 1 - 1e-9
    covariance[is_diverging] = covariance[:, is_diverging] = np.nan
    found = Likelihood(top.value, basis @ top.score, basis @ top.information @ basis.T)
    coefficients = basis @ free + _FAR * limit.separation.direction
    return coefficients, found, is_diverging, limit.separation.towards, covariance, influence


def _no_top(largest: float) -> RequestError:
    return RequestError(
        f"The likelihood has no top that the search could find (last step {largest:.2g} standard deviations "
        "of a covariate); use fewer covariates or other units."
    )


def vanishing(before: Floats, after: Floats, free: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Say which coefficients lie in a direction whose information fell to nothing of what it was.

    Nothing is below a millionth; where one direction has vanished, so have others below a ten-thousandth, which
    vanish at their own pace.
    """
    which = np.ix_(free, free)
    try:
        root = np.linalg.inv(np.linalg.cholesky(before[which]))
    except np.linalg.LinAlgError:  # there was none to begin with
        return free.copy()
    values, vectors = np.linalg.eigh(root @ after[which] @ root.T)
    gone = values < 1e-4 if values.min(initial=1.0) < 1e-6 else np.zeros(values.size, dtype=bool)
    directions = np.abs(root.T @ vectors[:, gone])
    found = np.zeros(free.size, dtype=bool)
    if directions.size:
        found[free] = (directions > 1e-3 * directions.max(axis=0)).any(axis=1)
    return found


def _score_residuals(x: Floats, sets: RiskSets, beta: Floats) -> Floats:
    """Return each sorted row's part of the score: what it had less what was expected over its time at risk."""
    at = at_events(x, sets, beta)
    hazard = sets.over_events(1 / at.total)
    residuals = -at.risk[:, None] * (x * hazard[:, None] - sets.over_events(at.mean / at.total[:, None]))
    # tied events share the mean of their blocks
    sums = np.concatenate((np.zeros((1, x.shape[1])), np.cumsum(at.mean, axis=0)))
    width = (sets.tie_to - sets.tie_from)[:, None]
    residuals[sets.row] += x[sets.row] - (sums[sets.tie_to] - sums[sets.tie_from]) / width
    return np.asarray(residuals)


def _in_units(found: Likelihood, scale: Floats, firth: bool) -> Likelihood:
    value = found.value + (float(np.log(scale).sum()) if firth else 0.0)
    return Likelihood(value, found.score * scale, found.information * np.outer(scale, scale))


def _require_arguments(x: Floats, ties: str, firth: bool, cluster: object) -> None:
    if ties not in TIES:
        raise RequestError(f"No ties {ties!r}; known are {', '.join(TIES)}.{did_you_mean(ties, TIES)}")
    if ties == "exact" and (firth or cluster is not None):
        raise RequestError("Exact ties go neither with Firth's penalty nor with clusters; use ties='efron'.")
    if x.ndim != 2 or x.shape[1] == 0:
        raise TableError(f"Covariates need the shape (rows, coefficients >= 1); found {x.shape}.")
    wrong = ~np.isfinite(x).all(axis=1)
    if wrong.any():
        raise TableError(
            f"Covariates must be finite; {wrong.sum()} of {wrong.size} rows are not, the first is row {wrong.argmax() + 1}."
        )


def _require_information(information: Floats) -> None:
    """Refuse a covariate that is constant, or a combination of others, in every risk set."""
    norm = np.sqrt(np.maximum(np.diag(information), 0))
    dead = np.flatnonzero(norm <= 1e-7 * max(float(norm.max()), 1e-300)) if norm.max() > 1e-6 else [0]
    if len(dead):
        raise SingularDesign(int(dead[0]), "is the same for all at risk at every event")
    values, vectors = np.linalg.eigh(information / np.outer(norm, norm))
    if values[0] < 1e-10:
        last = int(np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3)[-1])
        raise SingularDesign(last, "is a combination of other covariates")


class SingularDesign(RequestError):
    """A covariate adds nothing to the others: `column` counts from 0."""

    def __init__(self, column: int, why: str, name: str | None = None) -> None:
        self.column, self.why = column, why
        super().__init__(f"Covariate {name or column + 1} {why}: leave it out.")
