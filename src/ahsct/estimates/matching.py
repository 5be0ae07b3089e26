"""Pairs of treated and untreated patients with nearly the same propensity score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ahsct.errors import RequestError
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates.patient_weights import COMPARATOR, TREATED, PatientWeights
from ahsct.estimates.propensity import fit_propensity
from ahsct.estimates.rows import result, results_frame


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Who was paired with whom.

    `weights` holds the paired patients at weight 1 and their `pair`, for `covariate_balance`, `weighted_kaplan_meier` and
    `weighted_survival_difference`; `unmatched` those treated for whom nobody stood near enough.
    """

    weights: PatientWeights
    unmatched: pl.DataFrame
    caliper: float | None

    def flow(self) -> pl.DataFrame:
        """Return how many of the treated found a partner, as one row of RESULTS (statistic "count")."""
        n_pairs = self.weights.patients.filter(pl.col("group") == TREATED).height
        n_treated = n_pairs + self.unmatched.height
        how = "no caliper" if self.caliper is None else f"caliper {self.caliper:.4g} on the logit"
        left = (
            "" if n_pairs == n_treated else "; the answer holds for patients like those who found a partner"
        )
        row = result(
            statistic="count",
            unit="pairs",
            n=n_treated,
            estimate=n_pairs,
            method=f"nearest neighbour, largest score first, without replacement, {how}",
            note=f"{self.unmatched.height} of {n_treated} treated found no partner{left}",
        )
        return results_frame([row])


def match_patients(
    patients: pl.DataFrame,
    *,
    covariates: Sequence[str],
    treatment: str = "is_treated",
    caliper: float | None = 0.2,
) -> Matches:
    """Pair each treated patient with the nearest free untreated one on the logit of the propensity score.

    Greedy, one to one, without replacement; the treated with the largest score choose first, and of equals the first
    row. What is estimated is the effect in the treated who found a partner.

    Parameters
    ----------
    patients, covariates, treatment
        As for `propensity_weights`.
    caliper
        Largest distance, in standard deviations of the logit over all patients; None for none.

    Returns
    -------
    Matches
        `weights`, `unmatched` and `flow()`.

    Raises
    ------
    TableError
        As for `propensity_weights`.
    RequestError
        As for `propensity_weights`; the caliper is not above 0; or nobody stands near enough to anybody.

    References
    ----------
    Austin (2011), doi:10.1002/pst.433 (caliper of 0.2). R: MatchIt::matchit(method = "nearest", link = "linear.logit",
    caliper = 0.2, std.caliper = TRUE, m.order = "largest"), 4.5.1.

    Examples
    --------
    40 goes with 39 and 30 with 31; near 75 there is nobody:

    >>> frame = pl.DataFrame({"patient_id": list("abcdef"), "age": [30.0, 40, 50, 31, 39, 75],
    ...                       "is_treated": [True, True, False, False, False, True]})
    >>> matches = match_patients(frame, covariates=["age"], caliper=0.5)
    >>> matches.weights.patients.sort("pair", "group", descending=[False, True])["patient_id"].to_list()
    ['b', 'e', 'a', 'd']
    >>> matches.unmatched["patient_id"].to_list()
    ['f']
    """
    if caliper is not None and not caliper > 0:
        raise RequestError(f"caliper must be > 0 standard deviations, or None; found {caliper!r}.")
    is_treated, matrix, fit = fit_propensity("match_patients", patients, covariates, treatment)
    score = matrix @ fit.coefficients
    width = None if caliper is None else caliper * float(np.std(score, ddof=1))
    partners = _nearest(score, is_treated == 1, width)
    if not partners:
        raise RequestError(
            f"match_patients: nobody of {score.size} patients stands within a caliper of {caliper:g}."
        )
    chosen = np.array(partners, dtype=np.int64)
    pair = np.full(score.size, -1, dtype=np.int64)
    for column in (0, 1):
        pair[chosen[:, column]] = np.arange(chosen.shape[0])
    table = patients.select(
        "patient_id",
        pl.Series("group", np.where(is_treated == 1, TREATED, COMPARATOR)),
        pl.lit(1.0).alias("weight"),
        pl.Series("propensity", fit.means),
        pl.Series("pair", pair),
    )
    is_paired = pair >= 0
    n = int(is_paired.sum())
    return Matches(
        weights=PatientWeights(
            name="matched pairs",
            patients=table.filter(is_paired),
            covariates=tuple(covariates),
            matrix=matrix[is_paired, 1:],
            slope=np.empty((n, 0)),
            influence=np.empty((n, 0)),
        ),
        unmatched=table.filter(~is_paired & (is_treated == 1)).drop("pair", "weight"),
        caliper=width,
    )


def _nearest(score: Floats, is_treated: Counts | np.ndarray, width: float | None) -> list[tuple[int, int]]:
    """Return the positions of treated and partner, in the order in which they were paired."""
    treated, free = np.flatnonzero(is_treated), list(np.flatnonzero(~is_treated))
    pairs = []
    for one in treated[np.argsort(-score[treated], kind="stable")]:
        if not free:
            break
        distance = np.abs(score[free] - score[one])
        nearest = int(distance.argmin())
        if width is None or distance[nearest] <= width:
            pairs.append((int(one), int(free.pop(nearest))))
    return pairs
