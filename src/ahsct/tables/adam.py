"""Our tables and outcomes in ADaM's shape: the only place where CNSR and study days without day 0 are made."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from ahsct.tables.study import Study
from ahsct.vocabulary import DAYS_PER_YEAR, SCHEMAS

_CODES = {
    "activity_free_survival": "MSAFS", "progression_free_survival": "PFS", "relapse_free_survival": "RFS",
    "mri_activity_free_survival": "MRIFS", "neda3": "NEDA3", "neda4": "NEDA4", "overall_survival": "OS",
}  # fmt: skip


def study_day(day: pl.Expr) -> pl.Expr:
    """Return ADaM's relative day, which has no day 0: the reference day is day 1, the day before it day -1.

    Examples
    --------
    >>> pl.DataFrame({"day": [-1, 0, 1]}).select(study_day(pl.col("day")))["day"].to_list()
    [-1, 1, 2]
    """
    return pl.when(day >= 0).then(day + 1).otherwise(day)


def adsl(study: Study, *, age_groups: Sequence[int] = (30, 40, 50)) -> pl.DataFrame:
    """Return one row per patient; flags are Y or N, and blank where the study does not say.

    Parameters
    ----------
    study
        A checked study.
    age_groups
        The ages [years] at which a new group of `AGEGR1` begins.

    Returns
    -------
    pl.DataFrame
        `TRTSDT` and `TRTEDT` are the first and the last graft infusion, missing in patients without one.
    """
    patients = study.table("patients", list(SCHEMAS["patients"]))
    first = study.table("transplants", ["patient_id", "infusion_date", "infusion_day"]).group_by(
        "patient_id", maintain_order=True
    ).agg(
        pl.col("infusion_date", "infusion_day").min(), pl.col("infusion_date", "infusion_day").max().name.prefix("last_")
    )  # fmt: skip
    ends = study.table("follow_up", list(SCHEMAS["follow_up"]))
    table = patients.join(first, on="patient_id", how="left", maintain_order="left").join(
        ends, on="patient_id", how="left", maintain_order="left"
    )
    age = pl.coalesce("age_at_index_years", -pl.col("birth_day") / DAYS_PER_YEAR).floor()
    is_dead = pl.col("vital_status") == "dead"
    return table.select(
        pl.lit(study.study_id).alias("STUDYID"),
        pl.col("patient_id").alias("USUBJID"),
        pl.col("patient_id").alias("SUBJID"),
        pl.col("site").alias("SITEID"),
        age.alias("AGE"),
        pl.lit("YEARS").alias("AGEU"),
        _age_group(age, age_groups),
        pl.col("sex").alias("SEX"),
        pl.col("race").alias("RACE"),
        pl.col("country").alias("COUNTRY"),
        pl.col("arm").alias("TRT01P"),
        pl.col("arm").alias("TRT01A"),
        date_of("infusion").alias("TRTSDT"),
        date_of("last_infusion").alias("TRTEDT"),
        date_of("randomisation").alias("RANDDT"),
        pl.when(is_dead).then(pl.lit("Y")).alias("DTHFL"),
        date_of("death").alias("DTHDT"),
        pl.coalesce("death_cause", "cause_class").alias("DTHCAUS"),
        pl.min_horizontal(date_of("last_contact"), date_of("death")).alias("LSTALVDT"),
        pl.when(pl.col("end_of_study_reason").str.to_uppercase() == "COMPLETED")
        .then(pl.lit("COMPLETED"))
        .when(pl.col("end_of_study_reason").is_not_null())
        .then(pl.lit("DISCONTINUED"))
        .alias("EOSSTT"),
        pl.when(pl.col("end_of_study_reason").str.to_uppercase() != "COMPLETED")
        .then("end_of_study_reason")
        .alias("DCSREAS"),
        *(
            flag_of(name).alias(flag)
            for name, flag in (("itt", "ITTFL"), ("safety", "SAFFL"), ("per_protocol", "PPROTFL"))
        ),
    )


def _age_group(age: pl.Expr, starts: Sequence[int]) -> pl.Expr:
    """Return the group of an age in words.

    Examples
    --------
    >>> pl.DataFrame({"age": [29.0, 30.0, 49.0, 50.0]}).select(_age_group(pl.col("age"), (30, 50)))["AGEGR1"].to_list()
    ['<30', '30-49', '30-49', '>=50']
    """
    between = [f"{start}-{end - 1}" for start, end in pairwise(starts)]
    below = zip(starts, [f"<{starts[0]}", *between], strict=True)
    groups = [pl.when(age < end).then(pl.lit(label)) for end, label in below]
    last = pl.when(age >= starts[-1]).then(pl.lit(f">={starts[-1]}"))
    return pl.coalesce(*groups, last).alias("AGEGR1")


def adtte(
    study: Study, time_to_event: pl.DataFrame, *, zero_days: pl.DataFrame, events: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return one row per patient, endpoint, component and estimand.

    Parameters
    ----------
    study
        A checked study.
    time_to_event
        Schema TIME_TO_EVENT; those who cannot be evaluated are left out (they are in the results' counts).
    zero_days
        `patient_id`, `time_zero_day` (from the index date): where each patient's time starts.
    events
        Schema EVENTS: where the events come from (`SRCDOM`, `SRCSEQ`, `SRCVAR`); without it those are missing.

    Returns
    -------
    pl.DataFrame
        `AVAL` = ADT - STARTDT + 1 [days; the first day counts as 1]; `CNSR` 0 = event, 1, 2 … = the censoring
        reasons in order of appearance, named in `CNSDTDSC`. `ADY` counts from the first infusion (day 0 of the
        study without one), as in ADQS and ADAE. Dates are missing in a study that has only days. `SRCDOM` is
        our table and `SRCSEQ` its row (first = 1) in which the event showed, `SRCVAR` the measure; missing for
        censored times and for deaths, which no row of EVENTS describes.
    """
    kept = time_to_event.filter("is_evaluable")
    groups = kept.select("endpoint", "component", "estimand").unique(maintain_order=True)
    codes = _param_codes(groups)
    reasons = (
        kept.filter(~pl.col("is_event"))["censor_reason"].drop_nulls().unique(maintain_order=True).to_list()
    )
    strata = study.table("patients", ["patient_id", "strata"])
    start = pl.col("index_date") + pl.duration(days=pl.col("time_zero_day"))
    return (
        kept.join(codes, on=["endpoint", "component", "estimand"], how="left", maintain_order="left")
        .join(zero_days, on="patient_id", how="left", maintain_order="left")
        .join(reference_days(study).drop("arm"), on="patient_id", how="left", maintain_order="left")
        .join(strata, on="patient_id", how="left", maintain_order="left")
        .join(_event_sources(events), on="event_id", how="left", maintain_order="left")
        .select(
            pl.lit(study.study_id).alias("STUDYID"),
            pl.col("patient_id").alias("USUBJID"),
            pl.col("arm").alias("TRTP"),
            pl.col("arm").alias("TRTA"),
            pl.col("strata").alias("STRATAR"),
            "PARAMCD",
            "PARAM",
            pl.col("estimand").alias("ESTIMAND"),
            (pl.col("time_day") + 1).cast(pl.Float64).alias("AVAL"),
            pl.lit("DAYS").alias("AVALU"),
            start.alias("STARTDT"),
            (start + pl.duration(days=pl.col("time_day"))).alias("ADT"),
            study_day(pl.col("time_zero_day") + pl.col("time_day") - pl.col("reference_day"))
            .cast(pl.Float64)
            .alias("ADY"),
            pl.when("is_event")
            .then(0)
            .otherwise(
                pl.col("censor_reason").replace_strict(
                    reasons, range(1, len(reasons) + 1), default=len(reasons) + 1, return_dtype=pl.Int64
                )
            )
            .cast(pl.Float64)
            .alias("CNSR"),
            pl.when("is_event")
            .then(pl.coalesce("cause", "component"))
            .otherwise("censor_reason")
            .alias("EVNTDESC"),
            pl.when(~pl.col("is_event")).then("censor_reason").alias("CNSDTDSC"),
            *(pl.when("is_event").then(name).alias(name) for name in ("SRCDOM", "SRCVAR", "SRCSEQ")),
        )
        .sort("PARAMCD", "USUBJID", maintain_order=True)
    )


def _event_sources(events: pl.DataFrame | None) -> pl.DataFrame:
    """Return the table, the measure and the row in which each event showed: its onset, else its first source."""
    rows = []
    for id, measure, sources in (
        [] if events is None else events.select("event_id", "measure", "sources").iter_rows()
    ):
        parts = [source.split(":") for source in sources or []]
        shown = next((part for part in parts if part[2] == "onset"), parts[0] if parts else None)
        if shown is not None:
            rows.append((id, shown[0].upper(), None if measure is None else measure.upper(), float(shown[1])))
    names = {"event_id": pl.String(), "SRCDOM": pl.String(), "SRCVAR": pl.String(), "SRCSEQ": pl.Float64()}
    return pl.DataFrame(rows, schema=names, orient="row").unique("event_id", maintain_order=True)


def reference_days(study: Study) -> pl.DataFrame:
    """Return `arm`, `index_date` and `reference_day`, from which relative days count: the first infusion, day 0 for those without one."""
    first = study.table("transplants", ["patient_id", "infusion_day"]).group_by("patient_id").agg(
        pl.col("infusion_day").min()
    )  # fmt: skip
    return (
        study.table("patients", ["patient_id", "arm", "index_date"])
        .join(first, on="patient_id", how="left", maintain_order="left")
        .select("patient_id", "arm", "index_date", pl.col("infusion_day").fill_null(0).alias("reference_day"))
    )


def adae(study: Study) -> pl.DataFrame:
    """Return one row per adverse event; a grade only where the study has one, never from a severity.

    `TRTEMFL` is Y from the first day of mobilisation (else of the infusion) on; `AOCCFL` marks each patient's first
    such event: the earliest start, of several on one day the first row.
    """
    events = study.table("adverse_events", list(SCHEMAS["adverse_events"]))
    first = study.table("transplants", ["patient_id", "mobilisation_start_day", "infusion_day"]).group_by("patient_id").agg(
        pl.col("mobilisation_start_day").min(), pl.col("infusion_day").min()
    )  # fmt: skip
    zero = pl.col("reference_day")
    start_of_treatment = pl.coalesce("mobilisation_start_day", "infusion_day")
    events = events.join(reference_days(study), on="patient_id", how="left", maintain_order="left")
    events = events.join(first, on="patient_id", how="left", maintain_order="left").with_row_index("number")
    is_emergent = (pl.col("start_day") >= start_of_treatment).fill_null(False)
    emergent = pl.col("start_day").filter(is_emergent)
    first_number = pl.col("number").filter(is_emergent).sort_by(emergent, maintain_order=True).first()
    is_first = pl.col("number") == first_number.over("patient_id")
    return events.select(
        pl.lit(study.study_id).alias("STUDYID"),
        pl.col("patient_id").alias("USUBJID"),
        pl.col("arm").alias("TRTA"),
        pl.col("term").alias("AETERM"),
        pl.col("pt").alias("AEDECOD"),
        pl.col("soc").alias("AEBODSYS"),
        pl.col("severity").str.to_uppercase().alias("AESEV"),
        pl.col("grade").cast(pl.String).alias("AETOXGR"),
        pl.col("grade").cast(pl.String).alias("ATOXGR"),
        pl.col("scale").alias("ASCALE"),
        date_of("start").alias("ASTDT"),
        date_of("end").alias("AENDT"),
        study_day(pl.col("start_day") - zero).cast(pl.Float64).alias("ASTDY"),
        study_day(pl.col("end_day") - zero).cast(pl.Float64).alias("AENDY"),
        pl.when(is_emergent).then(pl.lit("Y")).alias("TRTEMFL"),
        pl.when(is_first).then(pl.lit("Y")).alias("AOCCFL"),
        pl.col("related_to").alias("AREL"),
        flag_of("serious").alias("AESER"),
        pl.col("outcome").alias("AEOUT"),
    )


def date_of(name: str) -> pl.Expr:
    """Return a date; where only its day is known, counted from the index date."""
    return pl.coalesce(f"{name}_date", pl.col("index_date") + pl.duration(days=pl.col(f"{name}_day")))


def flag_of(name: str) -> pl.Expr:
    """Return Y or N; missing stays blank, which is not N."""
    return pl.col(name).replace_strict({True: "Y", False: "N"}, default=None, return_dtype=pl.String)


def _param_codes(groups: pl.DataFrame) -> pl.DataFrame:
    """Return a code of at most eight characters and a text for each endpoint, component and estimand."""
    estimands = groups["estimand"].unique(maintain_order=True).to_list()
    used: set[str] = set()
    rows = []
    for endpoint, component, estimand in groups.iter_rows():
        stem = _CODES.get(endpoint, "TTE") if component == "composite" else "TTE"
        code = f"{stem}{estimands.index(estimand) + 1}"
        number = 0
        while code in used or stem == "TTE":
            number += 1
            code = f"TTE{number:03d}"
            if code not in used:
                break
        used.add(code)
        rows.append(
            (endpoint, component, estimand, code, f"{endpoint}: {component} ({estimand})".replace("_", " "))
        )
    names = ["endpoint", "component", "estimand", "PARAMCD", "PARAM"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
