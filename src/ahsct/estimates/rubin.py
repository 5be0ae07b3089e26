"""Rubin's rules: one answer from several imputed data sets, with Barnard and Rubin's degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._linear_tests import t_interval, with_note


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Estimate, its standard error and df; `missing_information` is the fraction that the missing values took.

    `mc_error` is the standard deviation of the estimate over repeated sets of as many imputations.
    """

    estimate: float
    std_error: float
    df: float
    missing_information: float
    mc_error: float
    n_imputations: int


def pool(estimates: npt.ArrayLike, std_errors: npt.ArrayLike, *, complete_df: float = math.inf) -> Pooled:
    r"""Pool estimates that are normal on the scale given.

    T = W + (1 + 1/m) B; with lambda = (1 + 1/m) B / T the df are those of Barnard and Rubin:
    1 / (1/nu_old + 1/nu_obs), nu_old = (m - 1) / lambda^2,
    nu_obs = (nu_com + 1) / (nu_com + 3) nu_com (1 - lambda).

    Parameters
    ----------
    estimates, std_errors
        One of each per imputed data set (m >= 2).
    complete_df
        Degrees of freedom that complete data would have had.

    Raises
    ------
    TableError
        There are fewer than two imputations, or a number is missing.

    References
    ----------
    Barnard and Rubin (1999), doi:10.1093/biomet/86.4.948. R: mice::pool.scalar(Q, U, n, k), mice 3.15.0.

    Examples
    --------
    Three estimates 1, 2, 3 with variance 1: W = 1, B = 1, T = 1 + 4/3, lambda = 4/7, df = 2 (7/4)^2.

    >>> pooled = pool([1, 2, 3], [1, 1, 1])
    >>> round(pooled.estimate, 6), round(pooled.std_error**2, 6), round(pooled.df, 6)
    (2.0, 2.333333, 6.125)
    """
    q, u = np.asarray(estimates, dtype=float), np.asarray(std_errors, dtype=float) ** 2
    m = q.size
    if m < 2 or u.size != m or not (np.isfinite(q).all() and np.isfinite(u).all()):
        raise TableError(
            f"Pooling needs two or more imputations, each with an estimate and a standard error; found {m}."
        )
    between, within = float(q.var(ddof=1)), float(u.mean())
    added = (1 + 1 / m) * between
    total = within + added
    share = added / total if total > 0 else 0.0
    old = (m - 1) / share**2 if share > 0 else math.inf
    observed = (
        math.inf
        if math.isinf(complete_df)
        else (complete_df + 1) / (complete_df + 3) * complete_df * (1 - share)
    )
    df = min(old, observed) if math.isinf(old) or math.isinf(observed) else old * observed / (old + observed)
    increase = added / within if within > 0 else math.inf if added > 0 else 0.0
    lost = (
        1.0
        if math.isinf(increase)
        else (increase + (0.0 if math.isinf(df) else 2 / (df + 3))) / (increase + 1)
    )
    return Pooled(
        estimate=float(q.mean()),
        std_error=math.sqrt(total),
        df=df,
        missing_information=lost,
        mc_error=math.sqrt(between / m),
        n_imputations=m,
    )


def pooled_row(
    estimates: Sequence[float], std_errors: Sequence[float], *, complete_df: float, conf_level: float
) -> dict[str, Any]:
    """Return the columns of RESULTS for pooled estimates, with the fraction of missing information in words."""
    found = pool(estimates, std_errors, complete_df=complete_df)
    if found.std_error == 0:
        return {"estimate": found.estimate, "note": "no variation: no standard error"}
    row = t_interval(found.estimate, found.std_error, found.df, conf_level)
    note = (
        f"{found.n_imputations} imputations; fraction of missing information {found.missing_information:.2f}"
    )
    return {**with_note(row, note), "mc_error": found.mc_error}
