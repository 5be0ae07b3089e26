"""Hierarchical composites: every patient of one arm against every patient of the other, death first.

A pair is decided by the first outcome on which the two differ. What is decided by death is never
outweighed by a better score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import DefinitionError, TableError
from ahsct.estimates._groups import of_kinds
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._values import arms_of, require_two_arms
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

Array = npt.NDArray[np.float64]

_BLOCK = 4_000_000  # pairs compared at a time


@dataclass(frozen=True, kw_only=True)
class Level:
    """One outcome of the hierarchy.

    kind "time": columns `<name>_day` and `<name>_is_event`; the later event is better, and a patient without
    one beats an event seen while (or when) the patient was still followed. kind "number": column `<name>`;
    a difference decides when it is larger than `margin`, and a missing value decides nothing.

    Raises
    ------
    DefinitionError
        The margin is negative, or a time has a margin or is better when earlier.

    Examples
    --------
    >>> Level(name="death", kind="time").columns
    ('death_day', 'death_is_event')
    """

    name: str
    kind: Literal["time", "number"]
    better: Literal["higher", "lower"] = "higher"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise DefinitionError(f"level {self.name!r}: margin must be >= 0, not {self.margin!r}.")
        if self.kind == "time" and (self.better != "higher" or self.margin):
            raise DefinitionError(f"level {self.name!r}: a time is better when later, and has no margin.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads."""
        return (f"{self.name}_day", f"{self.name}_is_event") if self.kind == "time" else (self.name,)


def win_statistics(
    outcomes: pl.DataFrame,
    levels: Sequence[Level],
    *,
    reference_arm: str | None = None,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return win ratio, win odds and net benefit of each arm against the reference, and what decided.

    With w and l the shares of pairs won and lost: win ratio w / l, net benefit w - l, win odds
    (1 + w - l) / (1 - w + l). Strata are compared within themselves and pooled with weights m n / (m + n).

    Parameters
    ----------
    outcomes
        One row per patient: `patient_id`, `arm`, where there are strata `stratum`, and the columns of the
        levels.
    levels
        In order of weight, death first.
    reference_arm
        The first by name when missing.
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS for each arm: "win_ratio", "win_odds" (intervals on the log scale), "net_benefit" (on
        the scale of atanh, so that it agrees with the win odds), "finkelstein_schoenfeld" (z with the
        permutation variance) and, for each level and the ties, "pairs_won", "pairs_lost", "pairs_tied".

    Raises
    ------
    TableError
        A column is missing, a patient stands twice, an arm, a stratum or a time is not stated, or nobody is in the
        reference arm.
    RequestError
        There is one arm only, or the level does not lie between 0 and 1.
    DefinitionError
        There is no level.

    Notes
    -----
    Variances are those of two-sample U statistics from the patients' own shares (Bebu and Lachin 2016, first
    order, sums of squares over m - 1 and n - 1; for one uncensored outcome this is DeLong's).

    References
    ----------
    Pocock et al. (2012), doi:10.1093/eurheartj/ehr352. Bebu and Lachin (2016), doi:10.1093/biostatistics/kxv032.
    Dong et al. (2018), doi:10.1080/10543406.2017.1397007 (strata). Brunner et al. (2021), doi:10.1002/sim.8967
    (win odds). Finkelstein and Schoenfeld (1999), doi:10.1002/(SICI)1097-0258(19990615)18:11<1341::AID-SIM129>3.0.CO;2-7.

    Examples
    --------
    Two patients an arm. The treated died on day 5 and was censored on day 9 with score 3; the controls died
    on day 7 and were censored on day 9 with score 1. Pairs: lost by death, lost by death, won by death, won by
    score.

    >>> outcomes = pl.DataFrame({"patient_id": list("abcd"), "arm": ["b", "b", "a", "a"], "death_day": [5, 9, 7, 9],
    ...                          "death_is_event": [True, False, True, False], "score": [None, 3.0, None, 1.0]})
    >>> rows = win_statistics(outcomes, [Level(name="death", kind="time"), Level(name="score", kind="number")])
    >>> rows.filter(pl.col("statistic").str.starts_with("pairs")).select("statistic", "term", "estimate").rows()
    [('pairs_won', 'death', 0.25), ('pairs_lost', 'death', 0.5), ('pairs_won', 'score', 0.25),
     ('pairs_lost', 'score', 0.0), ('pairs_tied', 'all levels', 0.0)]
    >>> rows.filter(statistic="win_ratio")["estimate"][0]
    1.0
    """
    if not levels:
        raise DefinitionError("win_statistics needs one or more levels.")
    needed = ["patient_id", "arm", *(column for level in levels for column in level.columns)]
    require_columns("win_statistics", "outcomes", outcomes, needed)
    kinds: dict[str, Any] = {"arm": pl.String}
    for level in levels:
        kinds |= dict(zip(level.columns, (pl.Float64, pl.Boolean), strict=False))
    outcomes = of_kinds("outcomes", outcomes, kinds)
    require_conf_level(conf_level)
    if outcomes["patient_id"].is_duplicated().any():
        raise TableError("win_statistics needs one row per patient; a patient stands in `outcomes` twice.")
    for column in ("arm", *(c for level in levels if level.kind == "time" for c in level.columns)):
        if outcomes[column].null_count():
            raise TableError(
                f"`outcomes.{column}` must be stated; {outcomes[column].null_count()} of {outcomes.height} rows are missing."
            )
    frame = outcomes if "stratum" in outcomes.columns else outcomes.with_columns(stratum=pl.lit("all"))
    if frame["stratum"].null_count():
        raise TableError("`outcomes.stratum` must be stated for every patient.")
    arms = arms_of(frame, reference_arm)
    if frame.height:
        require_two_arms("win_statistics", arms)
    rows: list[dict[str, Any]] = []
    for arm in arms[1:]:
        pair = frame.filter(pl.col("arm").is_in([arm, arms[0]])).sort("stratum", "patient_id")
        for row in _compare(pair, levels, arm, conf_level):
            rows.append(row | {"arm": arm, "reference_arm": arms[0], "n": pair.height})
    return results_frame(rows)


@dataclass(frozen=True, kw_only=True)
class _Stratum:
    """Shares of pairs won and lost by level (levels x 2), their covariance, and the score test's parts."""

    weight: float
    shares: Array
    covariance: Array | None
    score: float
    score_variance: float


def _compare(
    pair: pl.DataFrame, levels: Sequence[Level], arm: str, conf_level: float
) -> Iterator[dict[str, Any]]:
    strata, n_apart = [], 0
    for _, rows in sorted(pair.partition_by("stratum", as_dict=True).items(), key=str):
        is_treated = (rows["arm"] == arm).to_numpy()
        if is_treated.all() or not is_treated.any():
            n_apart += rows.height
        else:
            strata.append(_stratum(rows, levels, is_treated))
    notes = [f"{n_apart} patients in strata with one arm only are compared with nobody"] if n_apart else []
    if len(strata) > 1:
        notes.append(f"{len(strata)} strata")
    total = sum(s.weight for s in strata)
    if not total:
        yield _row("win_ratio", "ratio", None, note="not estimated: " + "; ".join(notes))
        return
    shares = np.sum([s.weight * s.shares for s in strata], axis=0) / total
    covariance = None
    if all(s.covariance is not None for s in strata):
        covariance = (
            np.sum([s.weight**2 * s.covariance for s in strata if s.covariance is not None], axis=0)
            / total**2
        )
    else:
        notes.append("no standard error: an arm has a single patient in a stratum")
    won, lost = (float(share) for share in shares.sum(axis=0))
    note = "; ".join(notes) or None
    yield _ratio(won, lost, covariance, conf_level, note)
    yield from _benefit(won, lost, covariance, conf_level, note)
    yield _score_test(strata, note)
    for level, (w, lo) in zip(levels, shares, strict=True):
        yield _row("pairs_won", "probability", float(w), term=level.name)
        yield _row("pairs_lost", "probability", float(lo), term=level.name)
    tied = max(0.0, 1 - won - lost)
    yield _row("pairs_tied", "probability", tied if tied > 1e-12 else 0.0, term="all levels")


def _stratum(rows: pl.DataFrame, levels: Sequence[Level], is_treated: npt.NDArray[np.bool_]) -> _Stratum:
    columns = [_columns(rows, level) for level in levels]
    treated, control = np.flatnonzero(is_treated), np.flatnonzero(~is_treated)
    m, n, both = treated.size, control.size, rows.height
    own, other, shares = np.zeros((m, 2)), np.zeros((n, 2)), np.zeros((len(levels), 2))
    for block in _blocks(m, n):
        for k, decided in enumerate(_decide(columns, levels, treated[block], control)):
            for side, sign in enumerate((1, -1)):
                hit = decided == sign
                own[block, side] += hit.sum(axis=1)
                other[:, side] += hit.sum(axis=0)
                shares[k, side] += float(hit.sum())
    scores = np.zeros(both)
    everybody = np.arange(both)
    for block in _blocks(both, both):
        for decided in _decide(columns, levels, everybody[block], everybody):
            scores[block] += decided.sum(axis=1)
    covariance = None
    if m > 1 and n > 1:
        covariance = np.cov(own / n, rowvar=False) / m + np.cov(other / m, rowvar=False) / n
    return _Stratum(
        weight=m * n / both,
        shares=shares / (m * n),
        covariance=covariance,
        score=float(scores[is_treated].sum()),
        score_variance=m * n / (both * (both - 1)) * float(scores @ scores),
    )


def _columns(rows: pl.DataFrame, level: Level) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return values, higher being better, and event flags (of numbers: that they are known)."""
    if level.kind == "time":
        return rows[level.columns[0]].to_numpy().astype(float), rows[level.columns[1]].to_numpy().astype(bool)
    value = rows[level.name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return (-value if level.better == "lower" else value), ~np.isnan(value)


def _decide(
    columns: Sequence[tuple[Array, npt.NDArray[np.bool_]]],
    levels: Sequence[Level],
    mine: npt.NDArray[np.intp],
    theirs: npt.NDArray[np.intp],
) -> Iterator[npt.NDArray[np.int8]]:
    """Yield for each level +1, -1 or 0 for the pairs that earlier levels left open."""
    is_open = np.ones((mine.size, theirs.size), dtype=bool)
    for level, (value, flag) in zip(levels, columns, strict=True):
        a, b = value[mine][:, None], value[theirs][None, :]
        fa, fb = flag[mine][:, None], flag[theirs][None, :]
        if level.kind == "time":
            won = fb & ((a > b) | ((a == b) & ~fa))
            lost = fa & ((b > a) | ((a == b) & ~fb))
        else:
            won, lost = fa & fb & (a - b > level.margin), fa & fb & (b - a > level.margin)
        yield (won & is_open).astype(np.int8) - (lost & is_open).astype(np.int8)
        is_open &= ~(won | lost)


def _blocks(m: int, n: int) -> Iterator[slice]:
    rows = max(1, _BLOCK // n)
    for start in range(0, m, rows):
        yield slice(start, min(start + rows, m))


def _ratio(
    won: float, lost: float, covariance: Array | None, conf_level: float, note: str | None
) -> dict[str, Any]:
    if won == 0 or lost == 0:
        word = (
            "no pair was decided"
            if won == lost
            else "the ratio is 0"
            if won == 0
            else "the ratio is infinite"
        )
        why = f"{word}: no standard error on the log scale; see the net benefit"
        return _row(
            "win_ratio", "ratio", 0.0 if won < lost else None, note="; ".join(filter(None, (why, note)))
        )
    slope = np.array([1 / won, -1 / lost])
    error = None if covariance is None else float(np.sqrt(slope @ covariance @ slope))
    return _on_scale(
        "win_ratio", "ratio", won / lost, np.log(won / lost), error, np.exp, won / lost, conf_level, note
    )


def _benefit(
    won: float, lost: float, covariance: Array | None, conf_level: float, note: str | None
) -> Iterator[dict[str, Any]]:
    benefit = won - lost
    slope = np.array([1.0, -1.0])
    plain = None if covariance is None else float(np.sqrt(max(0.0, slope @ covariance @ slope)))
    if abs(benefit) >= 1 - 1e-12 or plain == 0:
        why = (
            "all pairs were decided alike: no standard error"
            if benefit
            else "no pair was decided: no standard error"
        )
        why = "; ".join(filter(None, (why, note)))
        odds = None if benefit > 0 else 0.0 if benefit < 0 else 1.0
        yield _row("win_odds", "ratio", odds, note=why)
        yield _row("net_benefit", "probability", float(round(benefit, 12)), note=why)
        return
    odds = (1 + benefit) / (1 - benefit)
    error = None if plain is None else plain * 2 / (1 - benefit**2)
    at = float(np.log(odds))
    yield _on_scale("win_odds", "ratio", odds, at, error, np.exp, odds, conf_level, note)
    yield _on_scale(
        "net_benefit",
        "probability",
        benefit,
        at,
        error,
        lambda x: np.tanh(x / 2),
        (1 - benefit**2) / 2,
        conf_level,
        note,
    )


def _on_scale(
    statistic: str,
    unit: str,
    estimate: float,
    at: float,
    error: float | None,
    back: Any,
    slope: float,
    conf_level: float,
    note: str | None,
) -> dict[str, Any]:
    """Return a row whose interval and test are normal on the scale of `at`."""
    from scipy.special import ndtr, ndtri

    if error is None or error == 0:
        return _row(statistic, unit, estimate, note=note)
    half = float(ndtri((1 + conf_level) / 2)) * error
    return _row(
        statistic,
        unit,
        estimate,
        std_error=error * slope,
        lower=float(back(at - half)),
        upper=float(back(at + half)),
        conf_level=conf_level,
        p_value=2 * float(ndtr(-abs(at) / error)),
        note=note,
    )


def _score_test(strata: Sequence[_Stratum], note: str | None) -> dict[str, Any]:
    from scipy.special import ndtr

    variance = sum(s.score_variance for s in strata)
    row = _row(
        "finkelstein_schoenfeld", "z", None, method="Finkelstein-Schoenfeld test, permutation variance"
    )
    if variance == 0:
        return row | {"p_value": 1.0, "note": "no pair was decided"}
    z = float(sum(s.score for s in strata)) / float(np.sqrt(variance))
    return row | {"estimate": z, "p_value": 2 * float(ndtr(-abs(z))), "note": note}


def _row(statistic: str, unit: str, estimate: float | None, **columns: Any) -> dict[str, Any]:
    return result(
        **{
            "statistic": statistic,
            "unit": unit,
            "n": None,
            "estimate": estimate,
            "method": "pairwise comparison, U-statistic variance (Bebu-Lachin)",
            **columns,
        }
    )
