"""Gray's test of equal cumulative incidence in arms, where causes compete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc

from ahsct.errors import TableError
from ahsct.estimates._design import codes
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups
from ahsct.estimates._risk_table import Counts, Floats, distinct_times
from ahsct.estimates.competing import require_causes
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns


def gray_test(time_to_event: pl.DataFrame, *, rho: float = 0.0, strata: Sequence[str] = ()) -> pl.DataFrame:
    r"""Compare the cumulative incidence of each cause between arms.

    A log-rank test of the subdistribution hazard: with $R_g = Y_g (1 - F_g(t-)) / S_g(t-)$ the estimated number at risk
    in arm g had nobody been lost to the other causes,

    $$z_g = \sum_t (1 - F(t-))^\rho \big( d_{1g} - d_1 R_g / R \big),$$

    and $z' V^{-1} z$ with V from the influence of each arm's events (`gray_statistic`).

    Parameters
    ----------
    time_to_event
        As for `aalen_johansen`, with two or more arms (column `arm`).
    rho
        Weight: 0 counts all times alike, 1 early times more.
    strata
        Columns; scores and variances add up over them.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per endpoint and cause (`term`): statistic "gray_test", unit "chi-squared". Where
        nothing can be compared the estimate is missing and the note says why; without any event it is one row.

    Raises
    ------
    TableError
        As for `aalen_johansen`, there is no column `arm`, or entry is delayed.

    References
    ----------
    Gray (1988), doi:10.1214/aos/1176350951. R: cuminc(time, cause, arm, strata, rho)$Tests, cmprsk 2.2.11.

    Examples
    --------
    By hand the score of A for relapse is (1 - 3/6) + (1 - 2/5) + (1 - 1/4) = 1.85: B's deaths stay at risk as 3 of 3. The
    chi-squared are those of cmprsk's cuminc:

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4, 5, 6], "is_event": [True] * 5 + [False], "arm": list("ABABAB"),
    ...                       "cause": ["relapse", "death", "relapse", "death", "relapse", None]})
    >>> gray_test(frame).select("term", pl.col("estimate").round(3), "df").rows()
    [('death', 1.971, 1.0), ('relapse', 4.124, 1.0)]
    """
    require_columns("gray_test", "time_to_event", time_to_event, ("arm", "cause", *strata))
    rows = []
    for group in groups("gray_test", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        require_causes("gray_test", group.rows)
        if group.entry is not None:
            raise TableError("gray_test takes no delayed entry; start risk at time zero.")
        names = sorted(set(group.rows.filter(pl.col("is_event"))["cause"].to_list()))
        rows += group.told([_row(group, cause, rho, strata) for cause in names or [None]])
    return results_frame(rows)


def gray_statistic(
    time: npt.ArrayLike, cause: npt.ArrayLike, arm: npt.ArrayLike, *, n_arms: int, rho: float = 0.0
) -> tuple[Floats, Floats]:
    r"""Return the scores of all arms but the last, and their covariance, for cause 1 (2 = any other, 0 = censored).

    With $h_g = Y_g / S_g(t-)$, $a_{ig} = w h_i (\delta_{ig} - h_g / h)$ and $c_{ig}(t) = \sum a_{ig} d_1 / (h (1 - F(t-)))$, an
    event of cause 1 in arm g moves $z_i$ by $a_{ig} + (1 - (1 - F) / S_g)(c_{ig}(\infty) - c_{ig})$ and one of another
    cause by $((1 - F) / S_g)(c_{ig} - c_{ig}(\infty))$, each per unit of $h_g$. Their squares, with the variance of the
    events (those of cause 1 as expected under equality; hypergeometric correction for ties), add up to V.
    """
    distinct, place = distinct_times(np.asarray(time))
    kind, group = np.asarray(cause, dtype=np.int64), np.asarray(arm, dtype=np.int64)
    width = distinct.size
    counts: Floats = np.zeros((3, n_arms, width))
    np.add.at(counts, (kind, group, place), 1.0)
    gone = counts.sum(axis=0)
    at_risk = gone.sum(axis=1, keepdims=True) - np.cumsum(gone, axis=1) + gone
    d1, d2 = counts[1], counts[2]
    divisor = np.maximum(at_risk, 1.0)
    after = np.cumprod(np.where(at_risk > 0, 1 - (d1 + d2) / divisor, 1.0), axis=1)
    before = np.concatenate((np.ones((n_arms, 1)), after[:, :-1]), axis=1)
    own = np.cumsum(before * d1 / divisor, axis=1)
    own_before = own - before * d1 / divisor
    h = np.where(at_risk > 0, at_risk / np.where(before > 0, before, 1.0), 0.0)
    total, all_d1 = h.sum(axis=0), d1.sum(axis=0)
    step = np.divide(all_d1, total, out=np.zeros(width), where=total > 0)
    pooled = np.cumsum(step)
    pooled_before = pooled - step
    weight = np.maximum(1 - pooled_before, 0.0) ** rho if rho else np.ones(width)
    adjusted = h * (1 - own_before)
    expected = all_d1 * adjusted / np.maximum(adjusted.sum(axis=0), 1e-300)
    score = (weight * (d1 - expected)).sum(axis=1)

    share = np.divide(h, total, out=np.zeros_like(h), where=total > 0)
    a = (
        weight * h[:, None] * (np.eye(n_arms)[:, :, None] - share[None])
    )  # moved score, arm of the event, time
    c = np.cumsum(a * step / np.maximum(1 - pooled_before, 1e-300), axis=2)
    rest = c[:, :, -1:] - c
    ratio = np.divide(1 - pooled, after, out=np.zeros_like(after), where=after > 0)
    tied = 1 - np.where(all_d1 > 1, (all_d1 - 1) / np.maximum(total * before - 1, 1e-300), 0.0)
    variance1 = np.where(at_risk > 0, tied * before * step / divisor, 0.0)
    other_tied = 1 - np.where(d2 > 1, (d2 - 1) / np.maximum(at_risk - 1, 1e-300), 0.0)
    variance2 = np.where(after > 0, other_tied * before**2 * d2 / divisor**2, 0.0)
    by_own, by_other = a + (1 - ratio) * rest, -ratio * rest
    covariance = np.einsum("igt,jgt,gt->ij", by_own, by_own, variance1)
    covariance += np.einsum("igt,jgt,gt->ij", by_other, by_other, variance2)
    return score[:-1], covariance[:-1, :-1]


def _row(group: Group, cause: str | None, rho: float, strata: Sequence[str]) -> dict[str, Any]:
    rows = group.rows
    is_own = (
        rows.select((pl.col("cause") == pl.lit(cause, pl.String)).fill_null(False)).to_series().to_numpy()
    )
    kind = np.where(~rows["is_event"].to_numpy(), 0, np.where(is_own, 1, 2))
    arm, names = codes(rows, ["arm"])
    stratum: Counts = codes(rows, strata)[0] if strata else np.zeros(rows.height, np.int64)
    columns: dict[str, Any] = {
        **group.labels,
        "statistic": "gray_test",
        "unit": "chi-squared",
        "term": cause,
        "n": rows.height,
        "n_events": int((kind == 1).sum()),
        "method": f"Gray, rho {rho:g}" + (f", stratified by {', '.join(strata)}" if strata else ""),
    }
    if cause is None:
        return result(**columns, note=f"no event in {rows.height} patients" if rows.height else None)
    if len(names) < 2:
        return result(**columns, note="one arm only: nothing to compare")
    score, covariance = np.zeros(len(names) - 1), np.zeros((len(names) - 1,) * 2)
    for one in np.unique(stratum):
        is_in = stratum == one
        parts = gray_statistic(
            rows["time_day"].to_numpy()[is_in], kind[is_in], arm[is_in], n_arms=len(names), rho=rho
        )
        score, covariance = score + parts[0], covariance + parts[1]
    if np.linalg.matrix_rank(covariance, hermitian=True) < len(score):
        return result(**columns, note="the scores have no variance: nothing to compare")
    value = float(score @ np.linalg.solve(covariance, score))
    return result(**columns, estimate=value, df=len(score), p_value=float(chdtrc(len(score), value)))
