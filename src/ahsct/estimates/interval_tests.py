"""Do arms differ where events are only seen at visits: log-rank and Wilcoxon scores, permuted."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.special import chdtrc

from ahsct.chunks import random_stream
from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups, require_no_competing_event
from ahsct.estimates._interval_npmle import intersections
from ahsct.estimates._risk_table import Counts, Floats
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.turnbull import bounds, npmle
from ahsct.vocabulary import require_columns

SCORES = {
    "sun": "log-rank scores of Sun",
    "finkelstein": "log-rank scores of Finkelstein",
    "wilcoxon": "Wilcoxon (Peto) scores",
}


def interval_scores(left: Floats, right: Floats, *, scores: str = "sun") -> Floats:
    r"""Return each patient's score under the pooled estimate; early events score high. They add up to 0.

    With S the pooled estimate and $c = (A(l) - A(r)) / (S(l) - S(r))$: Finkelstein $A = S \log S$; Sun $A = -S H$ with
    $H = \sum p_j / S_{j-1}$, which for exact times gives the usual log-rank scores; Wilcoxon $A = S (S - 1)$, that
    is $c = S(l) + S(r) - 1$.

    Raises
    ------
    RequestError
        The scores are unknown.

    References
    ----------
    Finkelstein (1986), doi:10.2307/2530698; Sun (1996), doi:10.1002/(SICI)1097-0258(19960715)15:13<1387::AID-SIM268>3.0.CO;2-R;
    Fay and Shaw (2010), doi:10.18637/jss.v036.i02. R: interval::ictest (scores "logrank1" = Sun, "logrank2" =
    Finkelstein, "wmw"), interval 1.1.1.0.

    Examples
    --------
    Exact times, nobody censored: 1 - 1/3, 1 - 1/3 - 1/2, 1 - 1/3 - 1/2 - 1:

    >>> interval_scores(np.array([1.0, 2, 3]), np.array([1.0, 2, 3])).round(4).tolist()
    [0.6667, 0.1667, -0.8333]
    """
    if scores not in SCORES:
        raise RequestError(
            f"No scores {scores!r}; known are {', '.join(SCORES)}.{did_you_mean(scores, SCORES)}"
        )
    fit, places = npmle(left, right), intersections(left, right)
    survival = np.clip(np.concatenate(([1.0], 1 - np.cumsum(fit.mass[:-1]), [0.0])), 0.0, 1.0)
    if scores == "sun":
        share = np.divide(fit.mass, survival[:-1], out=np.zeros(fit.mass.size), where=survival[:-1] > 0)
        a = -survival * np.concatenate(([0.0], np.cumsum(share)))
    elif scores == "finkelstein":
        a = survival * np.log(np.where(survival > 0, survival, 1.0))
    else:
        a = survival * (survival - 1)
    low, high = places.first, places.last + 1
    return np.asarray((a[low] - a[high]) / (survival[low] - survival[high]))


def interval_log_rank(
    time_to_event: pl.DataFrame, *, scores: str = "sun", n_permutations: int = 0, seed: int = 1
) -> pl.DataFrame:
    r"""Test whether arms have the same distribution of event times, events being known to lie in (left, right].

    With u the sums of scores by arm, $u' V^- u$ and $V = s^2 (\mathrm{diag}(n_g) - n_g n_g' / n)$, $s^2$ the variance of
    all scores (divisor n - 1): the variance under permutation of the arms. It holds where the visits do not depend on
    the arm; where one arm was seen more often, the test may find just that.

    Parameters
    ----------
    time_to_event
        As for `turnbull`, with two or more arms (column `arm`).
    scores
        "sun" (for exact times the log-rank test), "finkelstein" (score test of proportional hazards) or "wilcoxon".
    n_permutations, seed
        Above 0: the p value counts random permutations (Philox streams), with its Monte-Carlo error in `mc_error`.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, one row per endpoint: statistic "interval_log_rank_test" or "interval_wilcoxon_test", unit
        "chi-squared". Where nothing can be compared the estimate is missing and the note says why.

    Raises
    ------
    TableError
        As for `turnbull`, or there is no column `arm`.
    RequestError
        The scores are unknown.

    References
    ----------
    Fay and Shaw (2010), doi:10.18637/jss.v036.i02. R: interval::ictest, interval 1.1.

    Examples
    --------
    Scores 1/2, 1/2, -1/4, -3/4 with variance 3/8; sums 1 and -1 over two patients each:

    >>> frame = pl.DataFrame({"arm": list("AABB"), "time_day": [90, 90, 180, 180], "is_event": [True, True, True, False],
    ...                       "left_day": [0, 0, 90, 180], "right_day": [90, 90, 180, None]})
    >>> interval_log_rank(frame, scores="wilcoxon")["estimate"].round(4).to_list()
    [2.6667]
    """
    require_columns("interval_log_rank", "time_to_event", time_to_event, ("arm", "left_day", "right_day"))
    if scores not in SCORES:
        raise RequestError(
            f"No scores {scores!r}; known are {', '.join(SCORES)}.{did_you_mean(scores, SCORES)}"
        )
    rows: list[dict[str, Any]] = []
    for group in groups("interval_log_rank", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        require_no_competing_event("interval_log_rank", group.rows)
        if group.entry is not None:
            raise TableError(
                "interval_log_rank takes no delayed entry; start risk at time zero, or use log_rank."
            )
        rows += group.told([_row(group, scores, n_permutations, seed)])
    return results_frame(rows)


def _row(group: Group, scores: str, n_permutations: int, seed: int) -> dict[str, Any]:
    left, right = bounds(group.rows, "interval_log_rank")
    _, arms = np.unique(group.rows["arm"].to_numpy(), return_inverse=True)
    n_arms = int(arms.max(initial=-1)) + 1
    columns: dict[str, Any] = {
        **group.labels,
        "statistic": f"interval_{'wilcoxon' if scores == 'wilcoxon' else 'log_rank'}_test",
        "unit": "chi-squared",
        "n": left.size,
        "n_events": int(np.isfinite(right).sum()),
        "method": f"interval-censored, {SCORES[scores]}, permutation variance",
    }
    if n_arms == 0:
        return result(**columns)
    if n_arms < 2:
        return result(**columns, note="one arm only: nothing to compare")
    c = interval_scores(left, right, scores=scores)
    if np.ptp(c) < 1e-9:
        return result(**columns, note="all patients have the same score: no order of events to compare")
    found = _quadratic(c, arms, n_arms)
    columns |= {"estimate": found, "df": n_arms - 1}
    if n_permutations <= 0:
        return result(**columns, p_value=float(chdtrc(n_arms - 1, found)))
    generator = random_stream(seed, stream="interval log-rank permutation", patient=0)
    as_extreme = sum(
        _quadratic(c, generator.permutation(arms), n_arms) >= found * (1 - 1e-12)
        for _ in range(n_permutations)
    )
    p = (as_extreme + 1) / (n_permutations + 1)
    columns["method"] += f", {n_permutations} random permutations (seed {seed})"
    return result(**columns, p_value=p, mc_error=float(np.sqrt(p * (1 - p) / n_permutations)))


def _quadratic(c: Floats, arms: Counts, n_arms: int) -> float:
    sums = np.bincount(arms, c - c.mean(), minlength=n_arms)
    sizes = np.bincount(arms, minlength=n_arms)
    # with the generalised inverse of diag(n) - n n' / n the form is a sum over arms
    return float((sums**2 / sizes).sum() / c.var(ddof=1))
