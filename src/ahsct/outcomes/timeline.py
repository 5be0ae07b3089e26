"""One row per patient: the days that everything else is counted from, and how far the patient came."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from ahsct.definitions import Definition, RebaselineWindow
from ahsct.errors import DefinitionError
from ahsct.outcomes.rebaseline import pick_rebaseline
from ahsct.tables import Study

NO_ARM = "all"  # the arm of patients whose study names none
_NOT_STATED = "arm not stated"  # of patients whose study names arms, but not theirs

_KIND_DAY = {
    "randomisation": "randomisation_day",
    "treatment_decision": "treatment_decision_day",
    "comparator_start": "comparator_start_day",
    "mobilisation_start": "mobilisation_start_day",
    "infusion": "infusion_day",
}


def derive_timeline(study: Study, definition: Definition) -> pl.DataFrame:
    """Return each patient's days on the study's own axis (index date = day 0), in the order of `patients`.

    `time_zero_day` is missing where the study holds no day of the definition's kind; later stages
    list such patients as not evaluable. A patient who reached a later step of the treatment counts
    as having passed the earlier ones, whether or not their dates were recorded.

    Raises
    ------
    DefinitionError
        Arms were followed from different kinds of time zero and the definition compares them.
    """
    patients = study.table(
        "patients",
        [
            "patient_id",
            "arm",
            "time_zero_kind",
            "randomisation_day",
            "treatment_decision_day",
            "comparator_start_day",
        ],
    ).unique("patient_id", keep="first", maintain_order=True)
    has_arms = patients["arm"].null_count() < patients.height
    patients = patients.with_columns(pl.col("arm").fill_null(_NOT_STATED if has_arms else NO_ARM))
    _refuse_unlike_arms(patients, definition)
    people = patients
    for part in (_treatment_days(study), _follow_up_days(study)):
        people = people.join(part, on="patient_id", how="left", maintain_order="left")
    steps = ["is_infused", "is_conditioned", "is_collected", "is_mobilised"]
    people = people.with_columns(pl.col(*steps, "has_follow_up", "is_dead").fill_null(False))
    for later, earlier in pairwise(steps):
        people = people.with_columns(pl.col(earlier) | pl.col(later))
    people = people.with_columns(_time_zero(definition))
    return _with_rebaselines(study, people, definition)


def _refuse_unlike_arms(patients: pl.DataFrame, definition: Definition) -> None:
    """Refuse to compare arms whose clocks start at different moments (a missing kind says nothing)."""
    if definition.time_zero.comparability != "same_kind":
        return
    kinds = patients.drop_nulls("time_zero_kind").group_by("arm").agg(pl.col("time_zero_kind").unique())
    found = {arm: sorted(values) for arm, values in kinds.sort("arm").iter_rows()}
    if len({kind for values in found.values() for kind in values}) > 1:
        listing = "; ".join(f"{arm}: {', '.join(values)}" for arm, values in found.items())
        raise DefinitionError(
            f"{definition.id} compares arms that must be followed from the same kind of time zero, but "
            f"patients.time_zero_kind has {listing}. Give every arm the same kind, or set time_zero "
            'comparability = "as_treated_not_comparable", which every result then prints.'
        )


def _time_zero(definition: Definition) -> pl.Expr:
    day = pl.col(_KIND_DAY[definition.time_zero.kind])
    if definition.time_zero.comparability == "as_treated_not_comparable":
        own = pl.coalesce(
            pl.when(pl.col("time_zero_kind") == kind).then(pl.col(column))
            for kind, column in _KIND_DAY.items()
        )
        day = pl.when(pl.col("time_zero_kind").is_null()).then(day).otherwise(own)
    return day.alias("time_zero_day")


def _treatment_days(study: Study) -> pl.DataFrame:
    grafts = study.table(
        "transplants",
        [
            "patient_id",
            "mobilisation_start_day",
            "apheresis_day",
            "cd34_collected_e6_kg",
            "conditioning_start_day",
            "infusion_day",
        ],
    )
    courses = study.table("treatments", ["patient_id", "kind", "start_day"])
    of_kind = {
        kind: courses.filter(pl.col("kind") == kind)  # a missing kind is no such course
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("start_day").min().alias(f"{kind}_day"))
        for kind in ("mobilisation", "conditioning")
    }
    infusions = grafts.drop_nulls("infusion_day").sort("patient_id", "infusion_day")
    by_patient = (
        pl.concat([grafts["patient_id"], *(part["patient_id"] for part in of_kind.values())])
        .unique()
        .sort()
        .to_frame()
    )
    first = grafts.group_by("patient_id", maintain_order=True).agg(
        pl.col("mobilisation_start_day", "conditioning_start_day").min(),
        pl.any_horizontal(pl.col("apheresis_day", "cd34_collected_e6_kg").is_not_null())
        .any()
        .alias("is_collected"),
    )
    infused = infusions.group_by("patient_id", maintain_order=True).agg(
        pl.col("infusion_day").first(),
        pl.col("infusion_day")
        .filter(pl.col("infusion_day") > pl.col("infusion_day").min())
        .min()
        .alias("second_infusion_day"),
    )
    for part in (first, infused, *of_kind.values()):
        by_patient = by_patient.join(part, on="patient_id", how="left", maintain_order="left")
    has_course = {
        kind: by_patient["patient_id"].is_in(part["patient_id"].to_list()) for kind, part in of_kind.items()
    }
    return by_patient.with_columns(
        pl.coalesce("mobilisation_start_day", "mobilisation_day").alias("mobilisation_start_day"),
        pl.coalesce("conditioning_start_day", "conditioning_day").alias("conditioning_start_day"),
    ).select(
        "patient_id",
        "mobilisation_start_day",
        "conditioning_start_day",
        "infusion_day",
        "second_infusion_day",
        (pl.col("mobilisation_start_day").is_not_null() | has_course["mobilisation"]).alias("is_mobilised"),
        pl.col("is_collected").fill_null(False),
        (pl.col("conditioning_start_day").is_not_null() | has_course["conditioning"]).alias("is_conditioned"),
        pl.col("infusion_day").is_not_null().alias("is_infused"),
    )


def _follow_up_days(study: Study) -> pl.DataFrame:
    """Vital status as stated; `death_class` of a death without an adjudicated class is `unknown`."""
    dead = pl.col("vital_status") == "dead"
    return (
        study.table(
            "follow_up", ["patient_id", "last_contact_day", "vital_status", "death_day", "cause_class"]
        )
        .unique("patient_id", keep="first", maintain_order=True)
        .select(
            "patient_id",
            pl.coalesce("last_contact_day", "death_day").alias("last_contact_day"),
            dead.fill_null(False).alias("is_dead"),
            pl.when(dead).then("death_day").alias("death_day"),
            pl.when(dead).then(pl.col("cause_class").fill_null("unknown")).alias("death_class"),
            pl.col("vital_status").is_not_null().alias("has_follow_up"),
        )
    )


def _with_rebaselines(study: Study, people: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    measure = definition.disability[0].column if definition.disability else "edss"
    visits = study.table("visits", ["patient_id", "visit_day", measure]).drop_nulls(measure)
    sources = {
        "rebaseline_day": (definition.rebaseline.clinical, visits.rename({"visit_day": "day"})),
        "rebaseline_scan_day": (
            definition.rebaseline.mri,
            study.table("mri", ["patient_id", "scan_day"]).rename({"scan_day": "day"}),
        ),
    }
    for name, (window, days) in sources.items():
        people = people.join(
            _rebaseline_days(days, people, window, name), on="patient_id", how="left", maintain_order="left"
        )
    return people


def _rebaseline_days(
    days: pl.DataFrame, people: pl.DataFrame, window: RebaselineWindow | None, name: str
) -> pl.DataFrame:
    if window is None:
        return pl.DataFrame(schema={"patient_id": pl.String(), name: pl.Int64()})
    zeros = people.select("patient_id", "time_zero_day").drop_nulls()
    since = days.join(zeros, on="patient_id", how="inner", maintain_order="left").with_columns(
        pl.col("day") - pl.col("time_zero_day")
    )
    picked = zeros.join(
        pick_rebaseline(since, window=window), on="patient_id", how="left", maintain_order="left"
    )
    if window.if_missing == "baseline":  # the last assessment up to time zero, or time zero itself
        before = (
            since.filter(pl.col("day") <= 0)
            .group_by("patient_id", maintain_order=True)
            .agg(pl.col("day").max().alias("_before"))
        )
        picked = picked.join(before, on="patient_id", how="left", maintain_order="left").with_columns(
            pl.coalesce("day", "_before", 0)
        )
    return picked.select("patient_id", (pl.col("day") + pl.col("time_zero_day")).alias(name))
