"""Did the patients' own values change: exact signed-rank and permutation tests with ties and zeros, win odds.

EDSS moves in half steps and often not at all. The usual tables of the signed-rank test assume neither ties
nor zeros; here the null distribution is that of the ranks as they are: each change that is not zero has
either sign with probability one half.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.proportions import clopper_pearson
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

Array = npt.NDArray[np.float64]

ZEROS = {"pratt": "Pratt (zeros are ranked, then left out)", "wilcoxon": "Wilcoxon (zeros left out)"}
_STEPS = (1.0, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001)
_MOST_CELLS = 20_000_000  # of the table of subset sums, above which subsets are drawn instead
_DRAWS = 100_000


def paired_change(
    values: pl.DataFrame,
    *,
    unit: str,
    better: str = "lower",
    zeros: str = "pratt",
    conf_level: float = 0.95,
    seed: int = 1,
) -> pl.DataFrame:
    r"""Return how many changed, the exact tests, the mean change, and the odds of better against worse.

    Parameters
    ----------
    values
        One row per patient: `patient_id`, `before`, `after`; without one of the two a patient is not
        evaluable and counted.
    unit
        Of the values, as "EDSS".
    better
        "lower" or "higher".
    zeros
        "pratt" or "wilcoxon": what the signed-rank test does with patients who did not change.
    conf_level
        Two-sided, between 0 and 1.
    seed
        For the drawn subsets, only where changes have no common step (see Notes).

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, by statistic:
        `proportion` of terms better, unchanged, worse (Clopper-Pearson);
        `signed_rank_sum`: the sum of the ranks of the increases and its exact p value;
        `mean_change`: with the exact p value of the permutation test (signs of all changes flipped) and the
        interval that inverts it, which assumes that changes lie symmetrically about their centre; none where
        all changes are equal;
        `win_odds`: (better + unchanged / 2) / (worse + unchanged / 2), delta method on the log scale;
        `win_ratio`: better / worse with the exact conditional interval, its p value that of the sign test.
        All p values are two-sided: both tails at least as far from the centre.

    Raises
    ------
    TableError
        A column is missing, a patient stands twice, or a value is not finite.
    RequestError
        A word or the level is unknown.

    Notes
    -----
    The interval of the mean rests on subset means: the one-sided permutation p value at a shift s is the
    share of the 2^n subsets of changes whose mean is at most s, the empty subset counted as well (Hartigan
    1969, doi:10.2307/2283456). Sums of subsets are counted exactly where all changes are multiples of one
    step (1, 0.5, 0.25, 0.1, 0.05, 0.01 or 0.001); else 100,000 subsets are drawn and `mc_error` is given.

    References
    ----------
    Pratt (1959), doi:10.2307/2282543. R: coin::wilcoxsign_test(after ~ before, distribution = "exact",
    zero.method = "Pratt"), exactRankTests::perm.test(after, before, paired = TRUE, exact = TRUE).

    Examples
    --------
    Changes -1, -1, -0.5, 0, 0.5: Pratt's ranks of the absolute changes are 4.5, 4.5, 2.5, (1), 2.5. The
    increases sum to 2.5 of 14. Of the 16 signs, sums of at most 2.5 are 0, 2.5 and 2.5: p = 2 x 3 / 16.

    >>> values = pl.DataFrame({"patient_id": list("abcde"), "before": [4.0, 3.0, 2.0, 6.0, 1.0],
    ...                        "after": [3.0, 2.0, 1.5, 6.0, 1.5]})
    >>> rows = paired_change(values, unit="EDSS")
    >>> rows.filter(statistic="signed_rank_sum").select("estimate", "p_value").row(0)
    (2.5, 0.375)
    """
    require_columns("paired_change", "values", values, ["patient_id", "before", "after"])
    require_conf_level(conf_level)
    _require_word("better", better, ("lower", "higher"))
    _require_word("zeros", zeros, ZEROS)
    if values["patient_id"].is_duplicated().any():
        raise TableError("paired_change needs one row per patient; a patient stands in `values` twice.")
    complete = values.drop_nulls(["before", "after"])
    change = (complete["after"].cast(pl.Float64) - complete["before"].cast(pl.Float64)).to_numpy()
    if not np.isfinite(change).all():
        raise TableError("`values.before` and `values.after` must be finite numbers or missing.")
    change = np.sort(np.round(change, 9))  # 4.1 - 4.0 and 2.1 - 2.0 tie
    n, n_left = change.size, values.height - change.size
    common: dict[str, Any] = {"n": n, "n_not_evaluable": n_left, "conf_level": conf_level}
    if n == 0:
        return results_frame(
            [
                result(
                    statistic="mean_change",
                    unit=unit,
                    method="none",
                    note="nobody has both values",
                    **{**common, "conf_level": None},
                )
            ]
        )
    sign = -1 if better == "lower" else 1
    wins, losses = int(np.sum(sign * change > 0)), int(np.sum(sign * change < 0))
    rows = [
        _proportion(term, x, common)
        for term, x in (("better", wins), ("unchanged", n - wins - losses), ("worse", losses))
    ]
    statistic, p_value = signed_rank(change, zeros=zeros)
    rows.append(
        result(
            statistic="signed_rank_sum",
            unit="rank sum",
            estimate=statistic,
            p_value=p_value,
            method=f"signed-rank test, {ZEROS[zeros]}, exact for these ties",
            note=None if wins + losses else "nobody changed: nothing speaks against no change",
            **{**common, "conf_level": None},
        )
    )
    rows.append(_mean_change(change, unit, conf_level, seed) | common)
    rows += [_win_odds(wins, losses, conf_level, common), _win_ratio(wins, losses, conf_level, common)]
    return results_frame(rows)


def signed_rank(change: Array, *, zeros: str) -> tuple[float, float]:
    """Return the sum of the ranks of the increases and the exact two-sided p value.

    The null distribution adds 0 or the rank for every change that is not zero, by convolution of doubled
    (whole) midranks.

    Examples
    --------
    Three increases, no ties: of 8 signs only two are as extreme.

    >>> signed_rank(np.array([1.0, 2.0, 3.0]), zeros="wilcoxon")
    (6.0, 0.25)
    """
    from scipy.stats import rankdata

    kept = change if zeros == "pratt" else change[change != 0]
    doubled = np.round(2 * rankdata(np.abs(kept))).astype(int) if kept.size else np.zeros(0, dtype=int)
    doubled, signs = doubled[kept != 0], np.sign(kept[kept != 0])
    distribution = np.ones(1)
    for rank in doubled:
        longer = np.zeros(distribution.size + rank)
        longer[: distribution.size] += distribution / 2
        longer[rank:] += distribution / 2
        distribution = longer
    observed, total = int(doubled[signs > 0].sum()), int(doubled.sum())
    away = np.abs(2 * np.arange(total + 1) - total)
    return observed / 2, float(min(1.0, distribution[away >= abs(2 * observed - total)].sum()))


def _mean_change(change: Array, unit: str, conf_level: float, seed: int) -> dict[str, Any]:
    """Return the permutation test of the mean and its inversion, from the sums of all subsets of the changes."""
    n, mean = change.size, float(change.mean())
    counted = _subset_sums(change)
    note, mc_error = None, None
    if counted is None:
        draw = random_stream(seed, stream="paired_change", patient=0)
        member = draw.random((_DRAWS, n)) < 0.5
        sizes, sums = member.sum(axis=1), member @ change
        weight = np.full(_DRAWS, 1 / _DRAWS)
        note = f"{_DRAWS} of the 2^{n} subsets drawn, seed {seed}: the changes have no common step"
    else:
        sizes, sums, weight = counted
    # with the signs of a subset flipped the sum of all becomes total - 2 x the subset's sum
    far = np.abs(n * mean - 2 * sums) >= abs(n * mean) - 1e-9
    p_value = float(min(1.0, weight[far].sum()))
    if counted is None:
        p_value = (p_value * _DRAWS + 1) / (_DRAWS + 1)
        mc_error = float(np.sqrt(p_value * (1 - p_value) / _DRAWS))
    some = sizes > 0
    means, share = sums[some] / sizes[some], weight[some]
    order = np.argsort(means, kind="stable")
    means, below = means[order], np.cumsum(share[order])
    empty, tail = float(weight[~some].sum()), (1 - conf_level) / 2
    # p(s) = P(empty) + share of subset means at most s on each side; the interval holds shifts with p > tail
    lower = upper = None
    if 0.5**n >= tail:
        note = f"no interval: {n} changes cannot be significant at this level"
    elif np.ptp(change) == 0:
        note = f"no interval: all {n} changes are equal, so that nothing tells how far the mean may be off"
    else:
        lower = float(means[np.searchsorted(below + empty, tail + 1e-12, side="right")])
        above = np.cumsum(share[order][::-1])
        upper = float(means[::-1][np.searchsorted(above + empty, tail + 1e-12, side="right")])
    return result(
        statistic="mean_change",
        unit=unit,
        n=n,
        estimate=mean,
        std_error=float(change.std(ddof=1) / np.sqrt(n)) if n > 1 and np.ptp(change) > 0 else None,
        lower=lower,
        upper=upper,
        p_value=p_value,
        mc_error=mc_error,
        method="permutation test of signs and its inversion" + (", exact" if counted else ", drawn"),
        note=note,
    )


def _subset_sums(change: Array) -> tuple[Array, Array, Array] | None:
    """Return size, sum and probability of all subsets (by size and sum), None where there is no common step."""
    for step in _STEPS:
        whole = np.round(change / step)
        if np.abs(whole * step - change).max() < 1e-7:
            break
    else:
        return None
    moved = whole.astype(int)
    low, high = int(moved[moved < 0].sum()), int(moved[moved > 0].sum())
    if (change.size + 1) * (high - low + 1) > _MOST_CELLS:
        return None
    table = np.zeros((change.size + 1, high - low + 1))
    table[0, -low] = 1.0
    for c in moved:
        taken = np.zeros_like(table)
        taken[1:] = np.roll(table[:-1], c, axis=1)  # sums stay within low and high: nothing wraps around
        table = (table + taken) / 2
    sizes, columns = np.nonzero(table)
    return sizes.astype(np.float64), (columns + low).astype(np.float64) * step, table[sizes, columns]


def _proportion(term: str, x: int, common: dict[str, Any]) -> dict[str, Any]:
    lower, upper = clopper_pearson(x, common["n"], (1 - common["conf_level"]) / 2)
    return result(
        statistic="proportion",
        unit="probability",
        term=term,
        estimate=x / common["n"],
        lower=lower,
        upper=upper,
        n_events=x,
        method="Clopper-Pearson",
        **common,
    )


def _win_odds(wins: int, losses: int, conf_level: float, common: dict[str, Any]) -> dict[str, Any]:
    from scipy.special import ndtri

    n = common["n"]
    share = (wins + (n - wins - losses) / 2) / n
    row = result(statistic="win_odds", unit="ratio", method="delta method on the log odds", **common)
    if wins == n or losses == n:
        word = "better" if wins == n else "worse"
        return row | {
            "estimate": 0.0 if losses == n else None,
            "conf_level": None,
            "note": f"every patient is {word}: the odds are {'0' if losses == n else 'infinite'}, without a "
            "standard error; the win ratio's exact interval has the limit",
        }
    variance = ((wins + (n - wins - losses) / 4) / n - share**2) / n
    odds, error = share / (1 - share), float(np.sqrt(variance)) / (share * (1 - share))
    z = float(ndtri((1 + conf_level) / 2))
    if variance <= 0:
        return row | {"estimate": odds, "conf_level": None, "note": "nobody changed: no standard error"}
    return row | {
        "estimate": odds,
        "std_error": odds * error,
        "lower": odds * np.exp(-z * error),
        "upper": odds * np.exp(z * error),
    }


def _win_ratio(wins: int, losses: int, conf_level: float, common: dict[str, Any]) -> dict[str, Any]:
    from scipy.special import bdtr

    row = result(statistic="win_ratio", unit="ratio", method="exact conditional (sign test)", **common)
    moved = wins + losses
    if moved == 0:
        return row | {"conf_level": None, "p_value": 1.0, "note": "nobody changed: the ratio is not defined"}
    lower, upper = clopper_pearson(wins, moved, (1 - conf_level) / 2)
    note = None if losses else "nobody is worse: the ratio and its upper limit are infinite"
    return row | {
        "estimate": wins / losses if losses else None,
        "lower": lower / (1 - lower),
        "upper": upper / (1 - upper) if upper < 1 else None,
        "p_value": min(1.0, 2 * float(bdtr(min(wins, losses), moved, 0.5))),
        "note": note,
    }


def _require_word(argument: str, word: str, known: Any) -> None:
    if word not in known:
        raise RequestError(
            f"{argument} must be one of {', '.join(known)}; found {word!r}.{did_you_mean(word, known)}"
        )
