"""The visits of one measure as the arrays that the search for confirmed changes needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.definitions import DisabilityRule
from ahsct.errors import TableError
from ahsct.vocabulary import require_columns

SCALE = 1_000_000  # scores are held in millionths, so that decimal thresholds are exact
_NO_DAY = -(1 << 40)
_SPAN = 1 << 32  # more than any two days differ
_LIMIT = 1_000_000  # no score and no day lies beyond (2,700 years)
_CONTEXT = ("time_zero_day", "mobilisation_start_day", "rebaseline_day")
# the score, and what the threshold is looked up at where that is another column
_SCORES = ("value", "reference")

Direction = Literal["worsening", "improvement"]
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
# where each patient's relapses start, their onsets, and the days on which they are over
RelapseArrays = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]
Threshold = Callable[[npt.NDArray[np.float64]], npt.ArrayLike]


@dataclass(frozen=True, kw_only=True)
class MeasuredVisits:
    """Visits with the measure, by patient and day, one per patient and day.

    `frame` has `patient_id`, `visit_day`, `value`, `row`, `can_confirm`, `is_screening`. Patient p has the
    rows `starts[p]:starts[p + 1]`; `context` holds one day per patient (`_NO_DAY` = none). `frame` also has
    `reference` where the threshold is looked up at another column, and `need` (the change that counts from each
    visit, in millionths) where a function says so.
    """

    frame: pl.DataFrame
    starts: npt.NDArray[np.int64]
    context: dict[str, npt.NDArray[np.int64]]

    @cached_property
    def patients(self) -> pl.Series:
        """The patients with a measured visit, in order."""
        return self.frame["patient_id"].gather(self.starts[:-1])

    def scaled(self, name: str) -> npt.NDArray[np.int64]:
        """Return the scores (or references) in millionths."""
        return _scaled(self.frame[name].to_numpy())

    def blocks(
        self, relapses: RelapseArrays, n_visits: int
    ) -> Iterator[tuple[MeasuredVisits, RelapseArrays]]:
        """Yield the patients, with their relapses, in blocks of about so many visits: memory is used again."""
        relapse_starts, onset, over = relapses
        last = len(self.starts) - 1
        p = 0
        while p < last or p == 0:
            goal = self.starts[p] + n_visits
            q = min(max(int(np.searchsorted(self.starts, goal, side="right")) - 1, p + 1), last)
            a, b = self.starts[p], self.starts[q]
            r, r_end = relapse_starts[p], relapse_starts[q]
            yield (
                MeasuredVisits(
                    frame=self.frame[a:b],
                    starts=self.starts[p : q + 1] - a,
                    context={name: days[p:q] for name, days in self.context.items()},
                ),
                (relapse_starts[p : q + 1] - r, onset[r:r_end], over[r:r_end]),
            )
            p = max(q, 1)


def visits_key(rule: DisabilityRule) -> tuple[object, ...]:
    """Return what of a rule decides on its measured visits: rules that agree in it may share them."""
    baselines = {rule.worsening_baseline_visit, rule.improvement_baseline_visit}
    needs = frozenset(baselines & {"screening", "rebaseline"})
    return rule.column, rule.threshold_column, rule.greater_is_worse, rule.same_day, needs


def sign_of(rule: DisabilityRule) -> int:
    """Return +1 where a greater score is worse, -1 where a smaller one is (correct answers)."""
    return 1 if rule.greater_is_worse else -1


def measured_visits(
    visits: pl.DataFrame, rule: DisabilityRule, *, function: str, threshold: Threshold | None = None
) -> MeasuredVisits:
    """Return the visits at which the rule's measure (and its threshold column) was taken.

    Raises
    ------
    TableError
        A needed column is missing; a patient or day is missing; a score or day is not finite or absurdly
        large; a patient has several such visits on a day under `same_day = "error"`; a context column
        has several values within a patient.
    """
    needed = ["patient_id", "visit_day", rule.column]
    needed += [] if rule.threshold_column is None else [rule.threshold_column]
    choices = (rule.worsening_baseline_visit, rule.improvement_baseline_visit)
    needed += ["visit_type"] if "screening" in choices else []
    needed += ["rebaseline_day"] if "rebaseline" in choices else []
    require_columns(function, "visits", visits, needed)
    has = visits.columns
    own = [rule.column] if rule.threshold_column is None else [rule.column, rule.threshold_column]
    looked_up = rule.threshold_column is not None
    frame = visits.select(
        pl.col("patient_id").cast(pl.String),
        _days("visits", visits, "visit_day"),
        *(pl.col(c).cast(pl.Float64).alias(name) for c, name in zip(own, _SCORES, strict=False)),
        (
            pl.col("row").cast(pl.Int64) if "row" in has else pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
        ).alias("row"),
        (pl.col("can_confirm").fill_null(True) if "can_confirm" in has else pl.lit(True)).alias(
            "can_confirm"
        ),
        # a visit of unknown kind is no screening visit
        (pl.col("visit_type").eq_missing("screening") if "visit_type" in has else pl.lit(False)).alias(
            "is_screening"
        ),
        *(_days("visits", visits, name) for name in _CONTEXT if name in has),
    )
    taken = pl.all_horizontal(pl.col(_SCORES[: len(own)]).is_not_nan().fill_null(False))
    if not frame.select(taken.all()).item():  # the measure was not taken
        frame = frame.filter(taken)
    _refuse(
        frame,
        {
            f"`visits.{name}` must not be missing": pl.col(name).is_null()
            for name in ("patient_id", "visit_day")
        }
        | {
            f"`visits.{c}` must lie within ±{_LIMIT}": ~pl.col(name).is_between(-_LIMIT, _LIMIT)
            for c, name in (*zip(own, _SCORES, strict=False), ("visit_day", "visit_day"))
        },
    )
    frame, starts = _one_per_day(frame, rule)
    if threshold is not None:
        needs = _needs(threshold, frame["reference" if looked_up else "value"].to_numpy())
        frame = frame.with_columns(pl.Series("need", needs))
    return MeasuredVisits(
        frame=frame,
        starts=starts,
        context={name: _per_patient(frame, name, starts) for name in _CONTEXT if name in has},
    )


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    scaled = values * SCALE
    return np.rint(scaled, out=scaled).astype(np.int64)


def _needs(threshold: Threshold, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return what a function says counts as a change from each value."""
    distinct, place = np.unique(values, return_inverse=True)
    changes = np.asarray(threshold(distinct.copy()), dtype=np.float64)
    if changes.shape != distinct.shape:
        raise TableError(
            f"the threshold function must give one change per value: it got {len(distinct)} values and returned an "
            f"array of shape {changes.shape}. For a function of one number use numpy.vectorize."
        )
    is_wrong = ~(np.isfinite(changes) & (changes >= 0))
    if is_wrong.any():
        raise TableError(
            f"the threshold function must give changes of 0 or more; for {distinct[is_wrong][0]:g} it gave "
            f"{changes[is_wrong][0]:g}."
        )
    return _scaled(changes)[place]


def may_be_imputed(measured: MeasuredVisits, rule: DisabilityRule) -> npt.NDArray[np.bool_]:
    """Tell for each patient whether an unconfirmed worsening at the last visit counts.

    The draw is the SHA-256 of seed and patient id, read as a number from 0 to 1: it depends on nothing else.
    """
    n_patients = len(measured.starts) - 1
    if rule.impute_probability in (0, 1):
        return np.full(n_patients, bool(rule.impute_probability))
    draws = (
        int.from_bytes(hashlib.sha256(f"{rule.impute_seed}/{patient}".encode()).digest()[:8]) / 2**64
        for patient in measured.patients
    )
    return np.fromiter((draw < rule.impute_probability for draw in draws), dtype=np.bool_, count=n_patients)


def may_be_baseline(
    measured: MeasuredVisits, rule: DisabilityRule, direction: Direction
) -> npt.NDArray[np.bool_]:
    """Tell for each visit whether the rule allows it as the first baseline of a direction.

    A patient whose time zero is needed and missing has none.
    """
    frame, starts, context = measured.frame, measured.starts, measured.context
    n_patients = len(starts) - 1
    lengths = np.diff(starts)
    day = frame["visit_day"].to_numpy()
    which = getattr(rule, f"{direction}_baseline_visit")
    zero = context.get("time_zero_day", np.zeros(n_patients, dtype=np.int64))
    allowed = np.ones(len(frame), dtype=np.bool_)
    if rule.not_before_day is not None:
        allowed &= np.repeat(zero != _NO_DAY, lengths)
    if which == "screening":
        allowed &= frame["is_screening"].to_numpy()
    elif which in ("last_before_mobilisation", "last_before_time_zero"):
        limit = zero
        if which == "last_before_mobilisation" and "mobilisation_start_day" in context:
            mobilised = context["mobilisation_start_day"]
            limit = np.where(mobilised != _NO_DAY, mobilised, zero)
        allowed &= day <= np.repeat(limit, lengths)
    elif which == "rebaseline":
        target = np.repeat(context["rebaseline_day"], lengths)
        is_there = np.zeros(n_patients, dtype=np.bool_)
        is_there[np.repeat(np.arange(n_patients), lengths)[day == target]] = True
        allowed &= np.repeat(is_there, lengths) & (day >= target)
    return allowed


def first_days(measured: MeasuredVisits, rule: DisabilityRule) -> npt.NDArray[np.int64]:
    """Return per patient the first day on which an onset counts."""
    n_patients = len(measured.starts) - 1
    if rule.not_before_day is None:
        return np.full(n_patients, _NO_DAY, dtype=np.int64)
    zero = measured.context.get("time_zero_day", np.zeros(n_patients, dtype=np.int64))
    return zero + rule.not_before_day


def relapse_arrays(
    relapses: pl.DataFrame | None, patients: pl.Series, rule: DisabilityRule, *, function: str
) -> RelapseArrays:
    """Return where each patient's relapses start, their onsets, and the days on which they are over.

    Raises
    ------
    TableError
        A needed column is missing, or a relapse has no patient or no onset.
    """
    if relapses is None:
        none = np.empty(0, dtype=np.int64)
        return np.zeros(len(patients) + 1, dtype=np.int64), none, none.copy()
    require_columns(function, "relapses", relapses, ["patient_id", "onset_day"])
    has_end = rule.relapse_distance_from == "end" and "end_day" in relapses.columns
    onset = _days("relapses", relapses, "onset_day")
    # a relapse without an end, or with one before its onset, counts from the onset
    over = pl.max_horizontal(onset, _days("relapses", relapses, "end_day")) if has_end else onset
    frame = relapses.select(
        pl.col("patient_id").cast(pl.String),
        onset,
        over.alias("over_day"),
        (pl.col("row") if "row" in relapses.columns else pl.int_range(1, pl.len() + 1)).alias("row"),
    )
    _refuse(
        frame,
        {
            f"`relapses.{name}` must not be missing": pl.col(name).is_null()
            for name in ("patient_id", "onset_day")
        }
        | {
            f"`relapses.onset_day` must lie within ±{_LIMIT}": ~pl.col("onset_day").is_between(
                -_LIMIT, _LIMIT
            )
        },
    )
    # each run of rows of one patient is looked up once
    begins = _starts(frame["patient_id"])
    known = pl.DataFrame({"patient_id": patients, "p": np.arange(len(patients), dtype=np.int64)})
    runs = frame.select(pl.col("patient_id").gather(begins[:-1]))
    place = runs.join(known, on="patient_id", how="left", maintain_order="left")["p"].fill_null(-1).to_numpy()
    onsets, overs = frame["onset_day"].to_numpy(), frame["over_day"].to_numpy()
    lengths = np.diff(begins)
    falls = (frame["onset_day"][1:] < frame["onset_day"][:-1]).to_numpy().copy()
    falls[begins[1:-1] - 1] = False  # from one patient to the next
    if has_end or falls.any() or (np.diff(place, prepend=-1) <= 0).any():
        who = np.repeat(place, lengths)
        order = np.lexsort((overs, who * _SPAN + onsets))
        order = order[who[order] >= 0]
        onsets, overs = onsets[order], overs[order]
        counts = np.bincount(who[order], minlength=len(patients))
    else:
        counts = np.zeros(len(patients), dtype=np.int64)
        counts[place] = lengths
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), onsets, overs


def _days(table: str, frame: pl.DataFrame, name: str) -> pl.Expr:
    """Return a column of whole days.

    Raises
    ------
    TableError
        It holds something else: dates are made into days on reading.
    """
    kind = frame[name].dtype
    is_whole = kind.is_integer() or kind == pl.Null
    if kind.is_float():
        is_whole = frame.select((pl.col(name) == pl.col(name).round()).all()).item()
    if not is_whole:
        raise TableError(
            f"`{table}.{name}` must hold whole days, and is {kind}. Count dates in days from one day on first: "
            "read_study and make_study do."
        )
    return pl.col(name).cast(pl.Int64)


def _refuse(frame: pl.DataFrame, wrong: dict[str, pl.Expr]) -> None:
    """Raise a TableError that says what is wrong, counts the rows and names the first."""
    flags = frame.select(is_wrong.any().alias(what) for what, is_wrong in wrong.items()).row(0)
    for (what, is_wrong), is_found in zip(wrong.items(), flags, strict=True):
        if is_found:
            rows = frame.filter(is_wrong)["row"].to_list()
            raise TableError(
                f"{what}; {len(rows)} of {len(frame)} rows do not comply, the first is row {min(rows)}."
            )


def _one_per_day(frame: pl.DataFrame, rule: DisabilityRule) -> tuple[pl.DataFrame, npt.NDArray[np.int64]]:
    """Return the visits by patient and day, one for each, and where patients start; sorts only where needed."""
    key = ["patient_id", "visit_day"]
    starts = _starts(frame["patient_id"])
    if _is_in_order(frame, starts):
        return frame, starts
    frame = frame.sort(*key, "row")
    again = (pl.col("patient_id") == pl.col("patient_id").shift(1)) & (
        pl.col("visit_day") == pl.col("visit_day").shift(1)
    )
    repeats = frame.filter(again)["row"]
    if len(repeats) and rule.same_day == "error":
        raise TableError(
            f"{len(repeats)} of {len(frame)} visits with {rule.column} fall on a day on which the patient already "
            f"has one, the first is row {min(repeats.to_list())}. Correct the table, or choose "
            'same_day = "last_row" or "worst" in the rule.'
        )
    if len(repeats) and rule.same_day == "worst":
        frame = frame.sort(
            *key, sign_of(rule) * pl.col("value"), "can_confirm", -pl.col("row"), maintain_order=True
        )
    if len(repeats):
        frame = frame.unique(key, keep="last", maintain_order=True)
    return frame, _starts(frame["patient_id"])


def _is_in_order(frame: pl.DataFrame, starts: npt.NDArray[np.int64]) -> bool:
    """Tell whether each patient has one run of rows, patients are in order, and days rise strictly."""
    if not frame["patient_id"].gather(starts[:-1]).is_sorted():  # neighbours differ: no patient comes twice
        return False
    day = frame["visit_day"]
    falls = (day[1:] <= day[:-1]).to_numpy().copy()
    falls[starts[1:-1] - 1] = False  # from one patient to the next
    return not falls.any()


def _starts(patient_id: pl.Series) -> npt.NDArray[np.int64]:
    if not len(patient_id):
        return np.zeros(1, dtype=np.int64)
    is_new = (patient_id[1:] != patient_id[:-1]).to_numpy()
    return np.concatenate([[0], np.flatnonzero(is_new) + 1, [len(patient_id)]]).astype(np.int64)


def _per_patient(frame: pl.DataFrame, name: str, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the one value of a context column per patient; a missing value is `_NO_DAY`."""
    values: npt.NDArray[Any] = frame[name].fill_null(_NO_DAY).to_numpy()
    found = values[starts[:-1]]
    differs = values != np.repeat(found, np.diff(starts))
    if differs.any():
        rows = frame["row"].filter(pl.Series(differs)).to_list()
        raise TableError(
            f"`visits.{name}` must have one value per patient; {len(rows)} rows differ from their patient's first, "
            f"the first is row {min(rows)}."
        )
    return found
