"""The log-rank test by permutation: exact for small arms, by random draws with their error for larger ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import RequestError
from ahsct.estimates._groups import ALL_BUT_ARM, groups, require_no_competing_event
from ahsct.estimates._risk_table import Counts, Floats, risk_table
from ahsct.estimates.log_rank import arms_of
from ahsct.estimates.rows import result, results_frame

MOST_EXACT = 8_000_000  # sums of scores held at a time
_TIE = 1e-9  # sums of scores closer than this are equal


class Permutation(NamedTuple):
    """Events of the first arm less those expected, the two-sided p-value, and its error where it was drawn."""

    score: float
    p_value: float
    mc_error: float | None


def permutation_test(
    time: npt.ArrayLike,
    is_event: npt.ArrayLike,
    is_first_arm: npt.ArrayLike,
    *,
    n_draws: int = 100_000,
    seed: int = 1,
) -> Permutation:
    r"""Test two arms from arrays: the core of `permutation_log_rank`.

    The statistic is the log-rank's $U = \sum_{i \in 1} a_i$, events less expected, as a sum of scores
    $a_i = d_i - \hat\Lambda(t_i)$ with Nelson and Aalen's cumulative hazard of all patients; p is the share of all
    assignments of patients to arms of these sizes with $|U|$ at least as large. (The scores sum to 0, so the mean
    over all assignments is 0.)

    All assignments are counted by halves: with equal scores brought together, the sums of each half of the patients
    are listed by how many they take, and matched. Where the lists would be longer than 8,000,000 sums, random
    assignments are drawn instead.

    References
    ----------
    Peto and Peto (1972), doi:10.2307/2344317; van de Wiel (2001), doi:10.1111/1467-9574.00161 (by halves).
    R: coin 1.4.2 independence_test(score ~ arm, distribution = exact("split-up")) on the same scores.

    Examples
    --------
    Of 2 and 2 patients the first arm's had the first two events. Of 6 assignments this one and its mirror are the most
    extreme:

    >>> found = permutation_test([1, 2, 3, 4], [1, 1, 0, 0], [True, True, False, False])
    >>> round(found.score, 6), round(found.p_value, 6), found.mc_error
    (1.166667, 0.333333, None)
    """
    first = np.asarray(is_first_arm, dtype=bool)
    scores = log_rank_scores(time, is_event)
    size, score = int(first.sum()), float(scores[first].sum())
    if not np.any(np.abs(scores) > _TIE):
        return Permutation(score, 1.0, None)
    values, counts = _distinct(scores)
    halves = _halves(counts, size)
    if halves is None:
        return _drawn(scores, size, score, n_draws, seed)
    sums = [_sums(values[half], counts[half], size) for half in halves]
    extreme = total = 0.0
    for k in range(size + 1):
        (one, weight_one), (other, weight_other) = sums[0][k], sums[1][size - k]
        if one.size == 0 or other.size == 0:
            continue
        total += weight_one.sum() * weight_other.sum()
        extreme += _pairs_beyond(one, weight_one, other, weight_other, abs(score))
    return Permutation(score, min(float(extreme / total), 1.0), None)


def log_rank_scores(time: npt.ArrayLike, is_event: npt.ArrayLike) -> Floats:
    """Return each patient's event less the cumulative hazard up to the patient's time.

    Examples
    --------
    >>> log_rank_scores([1, 2, 3], [1, 1, 0]).round(4).tolist()
    [0.6667, 0.1667, -0.8333]
    """
    table = risk_table(time, is_event)
    hazard = np.cumsum(table.n_events[0] / np.maximum(table.n_at_risk, 1))
    return np.asarray(np.asarray(is_event, dtype=np.float64) - hazard[table.position])


def permutation_log_rank(
    time_to_event: pl.DataFrame, *, reference_arm: str, n_draws: int = 100_000, seed: int = 1
) -> pl.DataFrame:
    """Test whether two arms have equal survival, by permutation of the arms.

    It holds its level at any number of patients, if those who leave do so alike in both arms: with unequal follow-up
    the patients cannot be exchanged, and the ordinary log-rank test is the one to read.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT of two arms, without delayed entry. Each endpoint, definition, estimand and population
        is tested by itself.
    reference_arm
        The arm to compare with.
    n_draws, seed
        Random assignments where there are too many to count: beyond 46 patients if all have different scores, far
        later if many share one (as those censored between the same two events do).

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "permutation_log_rank_test": `estimate` is the other arm's events less those
        expected, `p_value` two-sided; drawn ones carry `mc_error`, the standard error of the p-value, and say so
        in `method`.

    Raises
    ------
    RequestError
        There are not two arms, the reference is none of them, or patients enter late.
    TableError
        A column is absent, a value is missing, or events compete.

    References
    ----------
    See `permutation_test`.

    Examples
    --------
    Scores 3/4, 5/12 and twice -7/12: of the six ways to choose two of four, two have a sum as far from 0 as 7/6:

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4], "is_event": [True, True, False, False],
    ...                       "arm": ["X", "X", "Y", "Y"]})
    >>> permutation_log_rank(frame, reference_arm="Y").select("arm", pl.col("p_value").round(4), "method").row(0)
    ('X', 0.3333, 'log-rank scores, all permutations')
    """
    rows: list[dict[str, Any]] = []
    statistic = "permutation_log_rank_test"
    for group in groups("permutation_log_rank", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        if group.rows.is_empty():
            empty = result(**group.labels, statistic=statistic, unit="events", n=0, method="log-rank scores")
            rows += group.told([empty])
            continue
        require_no_competing_event("permutation_log_rank", group.rows)
        if group.entry is not None:
            raise RequestError("permutation_log_rank knows no delayed entry; use log_rank.")
        arm, names = arms_of("permutation_log_rank", group.rows)
        if len(names) != 2 or reference_arm not in names:
            raise RequestError(
                f"permutation_log_rank compares two arms, one of them reference_arm={reference_arm!r}; found "
                f"{', '.join(map(repr, names))}."
            )
        is_other = arm != names.index(reference_arm)
        event = group.rows["is_event"].to_numpy()
        found = permutation_test(
            group.rows["time_day"].to_numpy(), event, is_other, n_draws=n_draws, seed=seed
        )
        way = "all permutations" if found.mc_error is None else f"{n_draws} random permutations, seed {seed}"
        columns: dict[str, Any] = {
            "arm": names[1 - names.index(reference_arm)],
            "reference_arm": reference_arm,
            "estimate": found.score,
            "p_value": found.p_value,
            "mc_error": found.mc_error,
            "n_events": event.sum(),
            "note": None if event.any() else "no event: all permutations are alike",
        }
        columns |= {"unit": "events", "n": arm.size, "method": f"log-rank scores, {way}"}
        rows += group.told([result(**group.labels, statistic=statistic, **columns)])
    return results_frame(rows)


def _distinct(scores: Floats) -> tuple[Floats, Counts]:
    """Return the distinct scores in order and how many patients have each."""
    ordered = np.sort(scores)
    first = np.flatnonzero(np.concatenate(([True], np.diff(ordered) > _TIE)))
    return ordered[first], np.diff(np.append(first, ordered.size))


def _halves(counts: Counts, size: int) -> tuple[Counts, Counts] | None:
    """Split the distinct scores so that both halves have short lists of sums, or None where they are too long."""
    order = np.argsort(-counts, kind="stable")
    lengths, parts = [1.0, 1.0], ([], [])  # type: tuple[list[float], tuple[list[int], list[int]]]
    for k in order:
        shorter = int(lengths[1] < lengths[0])
        parts[shorter].append(int(k))
        lengths[shorter] *= min(int(counts[k]), size) + 1
    if max(lengths) > MOST_EXACT:
        return None
    return np.array(parts[0], dtype=np.int64), np.array(parts[1], dtype=np.int64)


def _sums(values: Floats, counts: Counts, size: int) -> list[tuple[Floats, Floats]]:
    """Return, for each number of patients up to `size`, the sorted sums of their scores and in how many ways."""
    lists: list[list[Floats]] = [[np.zeros(1)]] + [[] for _ in range(size)]
    ways: list[list[Floats]] = [[np.ones(1)]] + [[] for _ in range(size)]
    sums = [np.concatenate(x) if x else np.zeros(0) for x in lists]
    weights = [np.concatenate(x) if x else np.zeros(0) for x in ways]
    for value, count in zip(values, counts, strict=True):
        choices = [(m, math.comb(int(count), m)) for m in range(min(int(count), size) + 1)]
        new_sums, new_weights = [], []
        for k in range(size + 1):
            taken = [(m, c) for m, c in choices if m <= k and sums[k - m].size]
            if not taken:
                new_sums.append(np.zeros(0))
                new_weights.append(np.zeros(0))
                continue
            new_sums.append(np.concatenate([sums[k - m] + m * value for m, _ in taken]))
            new_weights.append(np.concatenate([weights[k - m] * c for m, c in taken]))
        sums, weights = new_sums, new_weights
    ordered = []
    for one, weight in zip(sums, weights, strict=True):
        order = np.argsort(one)
        ordered.append((one[order], weight[order]))
    return ordered


def _pairs_beyond(
    one: Floats, weight_one: Floats, other: Floats, weight_other: Floats, bound: float
) -> float:
    """Return in how many ways a sum of one list and one of the other pass the bound, either way."""
    upto = np.concatenate(([0.0], np.cumsum(weight_other)))
    high = upto[-1] - upto[np.searchsorted(other, bound - _TIE - one, side="left")]
    low = upto[np.searchsorted(other, -bound + _TIE - one, side="right")]
    return float(weight_one @ np.minimum(high + low, upto[-1]))


def _drawn(scores: Floats, size: int, score: float, n_draws: int, seed: int) -> Permutation:
    """Count random assignments; the observed one counts too, so that p is never 0."""
    rng = random_stream(seed, stream="permutation_log_rank", patient=0)
    beyond = 0
    for start in range(0, n_draws, 2000):
        n = min(2000, n_draws - start)
        keys = rng.random((n, scores.size))
        chosen = np.argpartition(keys, size - 1, axis=1)[:, :size] if size else np.zeros((n, 0), np.int64)
        beyond += int((np.abs(scores[chosen].sum(axis=1)) >= abs(score) - _TIE).sum())
    p = (beyond + 1) / (n_draws + 1)
    return Permutation(score, p, math.sqrt(p * (1 - p) / n_draws))
