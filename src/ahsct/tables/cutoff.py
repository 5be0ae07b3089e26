"""A data cut-off: the study as it stood on a day."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from ahsct.errors import RequestError
from ahsct.tables.days import date_stems
from ahsct.tables.numbers import by_number, patient_numbers
from ahsct.tables.study import Study
from ahsct.vocabulary import from_rows

LEFT_OUT = pl.Schema({"table": pl.String(), "n_left_out": pl.Int64()})

# The day that decides whether a row had happened; of a transplant any day may have.
_DECIDES = {
    "visits": "visit_day", "relapses": "onset_day", "mri": "scan_day", "brain_volume": "scan_day",
    "treatments": "start_day", "labs": "sample_day", "transfusions": "transfusion_day",
    "adverse_events": "start_day", "employment": "assessment_day",
}  # fmt: skip
_TRANSPLANT_STEPS = ("mobilisation_start_day", "apheresis_day", "conditioning_start_day", "infusion_day")
_ENTRY = ("index_day", "consent_day", "randomisation_day", "treatment_decision_day", "comparator_start_day")
# What a day after the cut-off makes unknown besides itself: table -> day -> columns.
_KNOWN_SINCE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "relapses": {"end_day": ("recovery",)},
    "treatments": {"end_day": ("reason_stopped",)},
    "adverse_events": {"end_day": ("outcome",)},
    "transplants": {
        "apheresis_day": ("cd34_collected_e6_kg", "cd34_selected"),
        "conditioning_start_day": ("conditioning_regimen", "intensity", "atg_product", "atg_dose_mg_kg"),
        "infusion_day": ("cd34_infused_e6_kg", "viability_pct", "dmso_ml", "icu", "graft_failure"),
    },
}


def cut_off(study: Study, date: str) -> tuple[Study, pl.DataFrame]:
    """Return the study as known on a day, and how many rows of each table that leaves out.

    Rows dated after the day are left out, and patients who entered after it altogether. Later dates
    in rows that stay (the end of a relapse, a death) become missing, with what depends on them: who
    died later is alive, last contact is the cut-off at the latest, and an event that had not yet turned
    fatal loses its severity.

    Parameters
    ----------
    study
        A checked study; every patient needs an index date.
    date
        ISO 8601, YYYY-MM-DD; the last day that counts.

    Returns
    -------
    tuple of Study and pl.DataFrame
        The frame has `table` and `n_left_out`, one row per table of the study, in its order.

    Raises
    ------
    RequestError
        Not a date, one before the first patient entered, or patients without an index date (a study with
        days only).

    Examples
    --------
    >>> from ahsct.tables import make_study
    >>> study = make_study(
    ...     "one", data_kind="simulated",
    ...     patients=pl.DataFrame({"patient_id": ["a"], "index_date": ["2005-01-01"]}),
    ...     visits=pl.DataFrame({"patient_id": ["a", "a"], "visit_day": [0, 366], "edss": [3.0, 3.5]}),
    ... )
    >>> cut_off(study, "2005-12-31")[1].rows()
    [('patients', 0), ('visits', 1)]
    """
    last = _parsed(date)
    index = _index_dates(study)
    known = index["patient_id"]
    limits = index.select(limit=(pl.lit(last) - pl.col("index_date")).dt.total_days())["limit"]
    tables = {name: _with_limit(frame, known, limits) for name, frame in study.tables.items()}
    entered = _entered(tables, known)
    if known.len() and not entered.any():
        raise RequestError(
            f"None of the {known.len()} patients had entered by the cut-off of {date}. Name a later day."
        )
    died_later = _died_later(tables, known)
    cut = {}
    for name, frame in tables.items():
        is_in = by_number(entered, frame["_patient"])
        is_late = by_number(died_later, frame["_patient"])
        frame = frame.with_columns(is_in.alias("_entered"), is_late.alias("_died_later"))
        cut[name] = _cut(name, frame.filter(_had_happened(name, frame.columns)), last).select(
            study.tables[name].columns
        )
    counts = from_rows(
        [{"table": name, "n_left_out": study.tables[name].height - frame.height} for name, frame in cut.items()],
        LEFT_OUT,
    )  # fmt: skip
    return replace(study, tables=cut), counts


def _parsed(date: str) -> datetime.date:
    try:  # strptime alone also reads 2010-1-1, fromisoformat alone also 20100101 and 2010-W01-1
        last = datetime.datetime.strptime(date, "%Y-%m-%d").date()
    except (ValueError, TypeError):
        last = None
    if last is None or last.isoformat() != date:
        raise RequestError(f"The cut-off must be an ISO date, YYYY-MM-DD, found {date!r}.")
    return last


def _index_dates(study: Study) -> pl.DataFrame:
    patients = study.table("patients", ["patient_id", "index_date"])
    n_without = patients["index_date"].null_count()
    if n_without:
        raise RequestError(
            f"A cut-off needs dates: {n_without} of {patients.height} patients have no index date, only days. "
            "Give patients.index_date, or analyse without a cut-off."
        )
    return patients.group_by("patient_id", maintain_order=True).agg(pl.col("index_date").min())


def _with_limit(frame: pl.DataFrame, known: pl.Series, limits: pl.Series) -> pl.DataFrame:
    """Add `_patient` and `_limit`, the cut-off as a day of that patient."""
    numbers = patient_numbers(frame["patient_id"], known)
    return frame.with_columns(numbers.alias("_patient"), by_number(limits, numbers).alias("_limit"))


def _entered(tables: Mapping[str, pl.DataFrame], known: pl.Series) -> pl.Series:
    """Return for each patient whether any entry (consent, randomisation, mobilisation …) had happened."""
    firsts = []
    for name, steps in (("patients", _ENTRY), ("transplants", _TRANSPLANT_STEPS)):
        frame = tables.get(name)
        days = [step for step in steps if frame is not None and step in frame.columns]
        if frame is not None and days:
            happened = pl.any_horizontal(pl.col(days) <= pl.col("_limit")).fill_null(False)
            firsts.append(frame.filter(happened)["_patient"])
    numbers = pl.int_range(0, known.len(), dtype=pl.UInt32, eager=True)
    return numbers.is_in(pl.concat(firsts).drop_nulls().unique().implode())


def _died_later(tables: Mapping[str, pl.DataFrame], known: pl.Series) -> pl.Series:
    numbers = pl.int_range(0, known.len(), dtype=pl.UInt32, eager=True)
    frame = tables.get("follow_up")
    if frame is None or "death_day" not in frame.columns:
        return pl.repeat(False, known.len(), dtype=pl.Boolean, eager=True)
    late = frame.filter((pl.col("death_day") > pl.col("_limit")).fill_null(False))["_patient"]
    return numbers.is_in(late.unique().implode())


def _had_happened(name: str, present: list[str]) -> pl.Expr:
    """Return what is true for rows to keep; without a deciding day nothing says that a row is later."""
    is_in = pl.col("_entered").fill_null(True)
    if name in _DECIDES and _DECIDES[name] in present:
        return is_in & (pl.col(_DECIDES[name]) <= pl.col("_limit")).fill_null(True)
    if name == "transplants":
        steps = [step for step in _TRANSPLANT_STEPS if step in present]
        if steps:
            return is_in & (pl.min_horizontal(steps) <= pl.col("_limit")).fill_null(True)
    return is_in


def _cut(name: str, frame: pl.DataFrame, last: datetime.date) -> pl.DataFrame:
    """Unset what lies after the cut-off in rows that stay."""
    present = frame.columns
    limit = pl.col("_limit")
    later = pl.col("_died_later").fill_null(False)
    changes: dict[str, pl.Expr] = {}
    for stem in date_stems(name):
        day, date = f"{stem}_day", f"{stem}_date"
        # The index date stays: it is the origin of every day. Last contact is shortened, not unset.
        if day not in present or stem == "index" or (name == "follow_up" and stem == "last_contact"):
            continue
        is_late = (pl.col(day) > limit).fill_null(False)
        for column in (day, date, *_KNOWN_SINCE.get(name, {}).get(day, ())):
            if column in present:
                changes[column] = pl.when(~is_late).then(pl.col(column)).alias(column)
    if name == "adverse_events":
        is_fatal = pl.any_horizontal(
            pl.col(column) == word
            for column, word in (("severity", "fatal"), ("outcome", "fatal"), ("grade", 5)) if column in present
        ) if {"severity", "outcome", "grade"} & set(present) else pl.lit(False)  # fmt: skip
        is_undone = is_fatal.fill_null(False) & later
        for column in ("severity", "grade", "outcome"):
            if column in present:
                changes[column] = pl.when(~is_undone).then(changes.get(column, pl.col(column))).alias(column)
    if name == "follow_up":
        changes |= _follow_up(present, later, last)
    return frame.with_columns(changes.values())


def _follow_up(present: list[str], later: pl.Expr, last: datetime.date) -> dict[str, pl.Expr]:
    limit = pl.col("_limit")
    changes = {}
    if "vital_status" in present:
        changes["vital_status"] = (
            pl.when(later).then(pl.lit("alive")).otherwise("vital_status").alias("vital_status")
        )
    for column in ("death_cause", "cause_class"):
        if column in present:
            changes[column] = pl.when(~later).then(pl.col(column)).alias(column)
    if "last_contact_day" in present:
        contact = pl.col("last_contact_day")
        is_late = (contact > limit).fill_null(later)  # who died later was alive on the day
        changes["last_contact_day"] = (
            pl.when(is_late).then(limit).otherwise(contact).alias("last_contact_day")
        )
        if "last_contact_date" in present:
            shorter = pl.lit(last)
            changes["last_contact_date"] = (
                pl.when(is_late).then(shorter).otherwise("last_contact_date").alias("last_contact_date")
            )
        if "end_of_study_reason" in present:
            changes["end_of_study_reason"] = (
                pl.when(~is_late).then(pl.col("end_of_study_reason")).alias("end_of_study_reason")
            )
    return changes
