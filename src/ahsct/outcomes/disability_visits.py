"""The visits of one measure as the arrays that the search for confirmed changes needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.definitions import DisabilityRule
from ahsct.errors import TableError
from ahsct.kernels import as_kernel_array
from ahsct.vocabulary import require_columns

SCALE = 1_000_000  # scores are held in millionths, so that decimal thresholds are exact
_NO_DAY = -(1 << 40)
_LIMIT = 1_000_000  # no score and no day lies beyond (2,700 years)
_CONTEXT = ("time_zero_day", "mobilisation_start_day", "rebaseline_day")

Direction = Literal["worsening", "improvement"]
Threshold = Callable[[npt.NDArray[np.float64]], npt.ArrayLike]


@dataclass(frozen=True, kw_only=True)
class MeasuredVisits:
    """Visits with the measure, by patient and day, one per patient and day.

    `frame` has `patient_id`, `visit_day`, `value`, `row`, `can_confirm`, `is_screening`. Patient p has the
    rows `starts[p]:starts[p + 1]`; `context` holds one day per patient (`_NO_DAY` = none). In millionths:
    `scaled`, the score; `reference`, the value looked up in the threshold table where it is another;
    `need`, the change that counts from each visit where a function says so.
    """

    frame: pl.DataFrame
    starts: npt.NDArray[np.int64]
    scaled: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64] | None
    need: npt.NDArray[np.int64] | None
    context: dict[str, npt.NDArray[np.int64]]

    @property
    def patients(self) -> pl.Series:
        """The patients with a measured visit, in order."""
        return self.frame["patient_id"].gather(self.starts[:-1])


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
    frame = visits.select(
        pl.col("patient_id").cast(pl.String),
        pl.col("visit_day").cast(pl.Int64),
        pl.col(rule.column).cast(pl.Float64).alias("value"),
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
        pl.col(rule.threshold_column or rule.column).cast(pl.Float64).alias("reference"),
        *(pl.col(name).cast(pl.Int64) for name in _CONTEXT if name in has),
    ).filter(
        pl.all_horizontal(pl.col("value", "reference").is_not_nan().fill_null(False))
    )  # the measure was not taken
    for name in ("patient_id", "visit_day"):
        _refuse(frame, pl.col(name).is_null(), f"`visits.{name}` must not be missing")
    _refuse(frame, pl.col("value").abs() > _LIMIT, f"`visits.{rule.column}` must lie within ±{_LIMIT}")
    _refuse(
        frame,
        pl.col("reference").abs() > _LIMIT,
        f"`visits.{rule.threshold_column}` must lie within ±{_LIMIT}",
    )
    _refuse(frame, pl.col("visit_day").abs() > _LIMIT, f"`visits.visit_day` must lie within ±{_LIMIT}")
    frame = _one_per_day(frame, rule)
    starts = _starts(frame["patient_id"])
    reference = None if rule.threshold_column is None else _scaled(frame["reference"].to_numpy())
    return MeasuredVisits(
        frame=frame,
        starts=starts,
        scaled=_scaled(frame["value"].to_numpy()),
        reference=reference,
        need=None if threshold is None else _needs(threshold, frame["reference"].to_numpy()),
        context={name: _per_patient(frame, name, starts) for name in _CONTEXT if name in has},
    )


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(values * SCALE).astype(np.int64)


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
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
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
    onset, end = pl.col("onset_day").cast(pl.Int64), pl.col("end_day").cast(pl.Int64)
    frame = relapses.select(
        pl.col("patient_id").cast(pl.String),
        onset,
        # a relapse without an end, or with one before its onset, counts from the onset
        (pl.max_horizontal(onset, end.fill_null(onset)) if has_end else onset).alias("over_day"),
        (pl.col("row") if "row" in relapses.columns else pl.int_range(1, pl.len() + 1)).alias("row"),
    )
    for name in ("patient_id", "onset_day"):
        _refuse(frame, pl.col(name).is_null(), f"`relapses.{name}` must not be missing")
    _refuse(frame, pl.col("onset_day").abs() > _LIMIT, f"`relapses.onset_day` must lie within ±{_LIMIT}")
    known = pl.DataFrame({"patient_id": patients, "p": np.arange(len(patients), dtype=np.int64)})
    frame = frame.join(known, on="patient_id", how="inner").sort("p", "onset_day", "over_day")
    counts = np.bincount(frame["p"].to_numpy(), minlength=len(patients))
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return starts, as_kernel_array(frame["onset_day"], np.int64), as_kernel_array(frame["over_day"], np.int64)


def _refuse(frame: pl.DataFrame, is_wrong: pl.Expr, what: str) -> None:
    """Raise a TableError that counts the rows that are wrong and names the first."""
    rows = frame.filter(is_wrong)["row"].to_list()
    if rows:
        raise TableError(
            f"{what}; {len(rows)} of {len(frame)} rows do not comply, the first is row {min(rows)}."
        )


def _one_per_day(frame: pl.DataFrame, rule: DisabilityRule) -> pl.DataFrame:
    """Return the visits by patient and day, one for each; sorts and thins out only where needed."""
    key = ["patient_id", "visit_day"]
    same = pl.col("patient_id") == pl.col("patient_id").shift(1)
    later = pl.col("visit_day") > pl.col("visit_day").shift(1)
    if not frame["patient_id"].is_sorted() or not frame.select((later | ~same).all()).item():
        frame = frame.sort(*key, "row")
    repeats = frame.filter(same & ~later)
    if not len(repeats):
        return frame
    if rule.same_day == "error":
        raise TableError(
            f"{len(repeats)} of {len(frame)} visits with {rule.column} fall on a day on which the patient already "
            f"has one, the first is row {min(repeats['row'].to_list())}. Correct the table, or choose "
            'same_day = "last_row" or "worst" in the rule.'
        )
    if rule.same_day == "worst":
        frame = frame.sort(
            *key, sign_of(rule) * pl.col("value"), "can_confirm", -pl.col("row"), maintain_order=True
        )
    return frame.unique(key, keep="last", maintain_order=True)


def _starts(patient_id: pl.Series) -> npt.NDArray[np.int64]:
    if not len(patient_id):
        return np.zeros(1, dtype=np.int64)
    is_new = (patient_id != patient_id.shift(1)).fill_null(True).to_numpy()
    return np.concatenate([np.flatnonzero(is_new), [len(patient_id)]]).astype(np.int64)


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
