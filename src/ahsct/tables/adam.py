"""Our tables and outcomes in ADaM's shape: the only place where CNSR and study days without day 0 are made."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

import polars as pl

from ahsct.errors import RequestError
from ahsct.files import new_folder
from ahsct.tables.dataset_json import write_dataset_json
from ahsct.tables.study import Study
from ahsct.vocabulary import SCHEMAS, columns

LONGEST_TEXT_BYTES = 200  # of transport files, version 5
LABELS = {
    "STUDYID": "Study Identifier", "USUBJID": "Unique Subject Identifier", "SUBJID": "Subject Identifier", "SITEID": "Study Site Identifier",
    "AGE": "Age", "AGEU": "Age Units", "SEX": "Sex", "COUNTRY": "Country", "TRT01P": "Planned Treatment for Period 01",
    "TRT01A": "Actual Treatment for Period 01", "TRTSDT": "Date of First Exposure (graft infusion)", "RANDDT": "Date of Randomization",
    "DTHFL": "Subject Death Flag", "DTHDT": "Date of Death", "DTHCAUS": "Cause of Death", "LSTALVDT": "Date Last Known Alive",
    "ITTFL": "Intent-To-Treat Population Flag", "SAFFL": "Safety Population Flag", "PPROTFL": "Per-Protocol Population Flag",
    "PARAMCD": "Parameter Code", "PARAM": "Parameter", "AVAL": "Analysis Value", "AVALU": "Analysis Value Unit",
    "STARTDT": "Time to Event Origin Date", "ADT": "Analysis Date", "ADY": "Analysis Relative Day", "CNSR": "Censor (0 = event)",
    "EVNTDESC": "Event or Censoring Description", "CNSDTDSC": "Censor Date Description", "TRTP": "Planned Treatment", "TRTA": "Actual Treatment",
    "ESTIMAND": "Estimand", "BASE": "Baseline Value", "CHG": "Change from Baseline", "PCHG": "Percent Change from Baseline",
    "ABLFL": "Baseline Record Flag", "AVISIT": "Analysis Visit", "AETERM": "Reported Term for the Adverse Event",
    "AEDECOD": "Dictionary-Derived Term", "AEBODSYS": "Body System or Organ Class", "AESEV": "Severity", "ATOXGR": "Analysis Toxicity Grade",
    "ASCALE": "Grading Scale", "ASTDT": "Analysis Start Date", "AENDT": "Analysis End Date", "ASTDY": "Analysis Start Relative Day",
    "AENDY": "Analysis End Relative Day", "TRTEMFL": "Treatment Emergent Analysis Flag", "AREL": "Analysis Causality", "AESER": "Serious Event",
    "AEOUT": "Outcome of Adverse Event", "EOSSTT": "End of Study Status", "DCSREAS": "Reason for Discontinuation from Study",
}  # fmt: skip
_NAMES = {
    "ADSL": "Subject-Level Analysis Dataset", "ADTTE": "Time-to-Event Analysis Dataset", "ADQS": "Scales and Functional Tests Analysis",
    "ADAE": "Adverse Event Analysis Dataset",
}  # fmt: skip
_CODES = {
    "activity_free_survival": "MSAFS", "progression_free_survival": "PFS", "relapse_free_survival": "RFS",
    "mri_activity_free_survival": "MRIFS", "neda3": "NEDA3", "neda4": "NEDA4", "overall_survival": "OS",
}  # fmt: skip
_MEASURES = {
    "edss": "EDSS",
    "t25fw_s": "T25FW",
    "nhpt_dom_s": "NHPTDOM",
    "nhpt_nondom_s": "NHPTNON",
    "sdmt": "SDMT",
    "pasat3": "PASAT3",
}


def study_day(day: pl.Expr) -> pl.Expr:
    """Return ADaM's relative day, which has no day 0: the reference day is day 1, the day before it day -1.

    Examples
    --------
    >>> pl.DataFrame({"day": [-1, 0, 1]}).select(study_day(pl.col("day")))["day"].to_list()
    [-1, 1, 2]
    """
    return pl.when(day >= 0).then(day + 1).otherwise(day)


def adsl(study: Study) -> pl.DataFrame:
    """Return one row per patient; flags are Y or N, and blank where the study does not say."""
    patients = study.table("patients", list(SCHEMAS["patients"]))
    first = study.table("transplants", ["patient_id", "infusion_date", "infusion_day"]).group_by(
        "patient_id", maintain_order=True
    ).agg(pl.col("infusion_date").min(), pl.col("infusion_day").min())  # fmt: skip
    ends = study.table("follow_up", list(SCHEMAS["follow_up"]))
    table = patients.join(first, on="patient_id", how="left", maintain_order="left").join(
        ends, on="patient_id", how="left", maintain_order="left"
    )
    is_dead = pl.col("vital_status") == "dead"
    return table.select(
        pl.lit(study.study_id).alias("STUDYID"),
        pl.col("patient_id").alias("USUBJID"),
        pl.col("patient_id").alias("SUBJID"),
        pl.col("site").alias("SITEID"),
        pl.coalesce("age_at_index_years", -pl.col("birth_day") / 365.25).floor().alias("AGE"),
        pl.lit("YEARS").alias("AGEU"),
        pl.col("sex").alias("SEX"),
        pl.col("country").alias("COUNTRY"),
        pl.col("arm").alias("TRT01P"),
        pl.col("arm").alias("TRT01A"),
        _date("infusion").alias("TRTSDT"),
        _date("randomisation").alias("RANDDT"),
        pl.when(is_dead).then(pl.lit("Y")).alias("DTHFL"),
        _date("death").alias("DTHDT"),
        pl.coalesce("death_cause", "cause_class").alias("DTHCAUS"),
        pl.min_horizontal(_date("last_contact"), _date("death")).alias("LSTALVDT"),
        pl.when(pl.col("end_of_study_reason").str.to_uppercase() == "COMPLETED")
        .then(pl.lit("COMPLETED"))
        .when(pl.col("end_of_study_reason").is_not_null())
        .then(pl.lit("DISCONTINUED"))
        .alias("EOSSTT"),
        pl.when(pl.col("end_of_study_reason").str.to_uppercase() != "COMPLETED")
        .then("end_of_study_reason")
        .alias("DCSREAS"),
        *(
            _flag(name).alias(flag)
            for name, flag in (("itt", "ITTFL"), ("safety", "SAFFL"), ("per_protocol", "PPROTFL"))
        ),
    )


def adtte(study: Study, time_to_event: pl.DataFrame, *, zero_days: pl.DataFrame) -> pl.DataFrame:
    """Return one row per patient, endpoint, component and estimand.

    Parameters
    ----------
    study
        A checked study.
    time_to_event
        Schema TIME_TO_EVENT; those who cannot be evaluated are left out (they are in the results' counts).
    zero_days
        `patient_id`, `time_zero_day` (from the index date): where each patient's time starts.

    Returns
    -------
    pl.DataFrame
        `AVAL` = ADT - STARTDT + 1 [days; the first day counts as 1]; `CNSR` 0 = event, 1, 2 … = the censoring
        reasons in order of appearance, named in `CNSDTDSC`. `ADY` counts from the first infusion (day 0 of the
        study without one), as in ADQS and ADAE. Dates are missing in a study that has only days.
    """
    kept = time_to_event.filter("is_evaluable")
    groups = kept.select("endpoint", "component", "estimand").unique(maintain_order=True)
    codes = _param_codes(groups)
    reasons = (
        kept.filter(~pl.col("is_event"))["censor_reason"].drop_nulls().unique(maintain_order=True).to_list()
    )
    start = pl.col("index_date") + pl.duration(days=pl.col("time_zero_day"))
    return (
        kept.join(codes, on=["endpoint", "component", "estimand"], how="left", maintain_order="left")
        .join(zero_days, on="patient_id", how="left", maintain_order="left")
        .join(_reference_days(study), on="patient_id", how="left", maintain_order="left")
        .select(
            pl.lit(study.study_id).alias("STUDYID"),
            pl.col("patient_id").alias("USUBJID"),
            pl.col("arm").alias("TRTP"),
            pl.col("arm").alias("TRTA"),
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
        )
        .sort("PARAMCD", "USUBJID", maintain_order=True)
    )


def adqs(study: Study) -> pl.DataFrame:
    """Return one row per visit and measure; the baseline is the last value on or before the infusion (day 0 without one)."""
    visits = study.table("visits", list(SCHEMAS["visits"]))
    visits = visits.join(_reference_days(study), on="patient_id", how="left", maintain_order="left")
    zero = pl.col("reference_day")
    parts = []
    for name, code in _MEASURES.items():
        rows = visits.filter(pl.col(name).is_not_null()).sort("patient_id", "visit_day", maintain_order=True)
        number = pl.int_range(pl.len())  # of two values of one day, one is the baseline
        rows = rows.with_columns(number.alias("number")).with_columns(
            pl.col("number").filter(pl.col("visit_day") <= zero).max().over("patient_id").alias("last")
        )
        is_baseline = (pl.col("number") == pl.col("last")).fill_null(False)
        is_after = pl.col("number") > pl.col("last")
        base = pl.col(name).filter(is_baseline).first().over("patient_id")
        column = columns("visits")[name]
        parts.append(
            rows.select(
                pl.lit(study.study_id).alias("STUDYID"),
                pl.col("patient_id").alias("USUBJID"),
                pl.lit(code).alias("PARAMCD"),
                pl.lit(f"{column.label} ({column.unit})").alias("PARAM"),
                pl.col(name).cast(pl.Float64).alias("AVAL"),
                base.cast(pl.Float64).alias("BASE"),
                pl.when(is_after).then(pl.col(name) - base).alias("CHG"),
                pl.when(is_after & (base != 0)).then(100 * (pl.col(name) - base) / base).alias("PCHG"),
                pl.when(is_baseline).then(pl.lit("Y")).alias("ABLFL"),
                pl.col("visit_type").alias("AVISIT"),
                _date("visit").alias("ADT"),
                study_day(pl.col("visit_day") - zero).cast(pl.Float64).alias("ADY"),
            )
        )
    return pl.concat(parts)


def _reference_days(study: Study) -> pl.DataFrame:
    """Return `index_date` and `reference_day`, from which relative days count: the first infusion, day 0 for those without one."""
    first = study.table("transplants", ["patient_id", "infusion_day"]).group_by("patient_id").agg(
        pl.col("infusion_day").min()
    )  # fmt: skip
    return (
        study.table("patients", ["patient_id", "index_date"])
        .join(first, on="patient_id", how="left", maintain_order="left")
        .select("patient_id", "index_date", pl.col("infusion_day").fill_null(0).alias("reference_day"))
    )


def adae(study: Study) -> pl.DataFrame:
    """Return one row per adverse event; a grade only where the study has one, never from a severity."""
    events = study.table("adverse_events", list(SCHEMAS["adverse_events"]))
    first = study.table("transplants", ["patient_id", "mobilisation_start_day", "infusion_day"]).group_by("patient_id").agg(
        pl.col("mobilisation_start_day").min(), pl.col("infusion_day").min()
    )  # fmt: skip
    zero = pl.col("reference_day")
    start_of_treatment = pl.coalesce("mobilisation_start_day", "infusion_day")
    events = events.join(_reference_days(study), on="patient_id", how="left", maintain_order="left")
    return events.join(first, on="patient_id", how="left", maintain_order="left").select(
        pl.lit(study.study_id).alias("STUDYID"),
        pl.col("patient_id").alias("USUBJID"),
        pl.col("term").alias("AETERM"),
        pl.col("pt").alias("AEDECOD"),
        pl.col("soc").alias("AEBODSYS"),
        pl.col("severity").str.to_uppercase().alias("AESEV"),
        pl.col("grade").cast(pl.String).alias("ATOXGR"),
        pl.col("scale").alias("ASCALE"),
        _date("start").alias("ASTDT"),
        _date("end").alias("AENDT"),
        study_day(pl.col("start_day") - zero).cast(pl.Float64).alias("ASTDY"),
        study_day(pl.col("end_day") - zero).cast(pl.Float64).alias("AENDY"),
        pl.when(pl.col("start_day") >= start_of_treatment).then(pl.lit("Y")).alias("TRTEMFL"),
        pl.col("related_to").alias("AREL"),
        _flag("serious").alias("AESER"),
        pl.col("outcome").alias("AEOUT"),
    )


def _date(name: str) -> pl.Expr:
    """Return a date; where only its day is known, counted from the index date."""
    return pl.coalesce(f"{name}_date", pl.col("index_date") + pl.duration(days=pl.col(f"{name}_day")))


def _flag(name: str) -> pl.Expr:
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


def write_adam(
    datasets: dict[str, pl.DataFrame],
    out: str | Path,
    *,
    file_format: Literal["xpt", "json", "ndjson"] = "xpt",
    force: bool = False,
) -> Path:
    """Write data sets as SAS transport files (version 5) or Dataset-JSON 1.1, with labels.

    Raises
    ------
    RequestError
        An unknown format, a name over 8 characters, a text over 200 bytes in a transport file, or `out` exists.
    """
    if file_format not in ("xpt", "json", "ndjson"):
        raise RequestError(f"file_format must be xpt, json or ndjson, not {file_format!r}.")
    for name, frame in datasets.items():
        _refuse_too_long(name, frame, file_format)
    with new_folder(out, force=force) as folder:
        for name, frame in datasets.items():
            path = folder / f"{name.lower()}.{file_format}"
            label = _NAMES.get(name, name)
            if file_format == "xpt":
                _write_xpt(name, frame, path, label)
            else:
                study_id = str(frame["STUDYID"][0]) if frame.height else name
                write_dataset_json(
                    frame,
                    path,
                    name=name,
                    label=label,
                    labels=LABELS,
                    study_id=study_id,
                    created="1970-01-01T00:00:00",
                )
    return Path(out)


def _refuse_too_long(name: str, frame: pl.DataFrame, file_format: str) -> None:
    long = [column for column in frame.columns if len(column) > 8]
    if long:
        raise RequestError(f"{name}: the name {long[0]} has more than 8 characters.")
    if file_format != "xpt":
        return
    for column, dtype in frame.schema.items():
        if dtype == pl.String:
            longest = frame[column].str.len_bytes().max()
            if isinstance(longest, int) and longest > LONGEST_TEXT_BYTES:
                raise RequestError(
                    f"{name}.{column} holds a text of {longest} bytes; transport files take {LONGEST_TEXT_BYTES}. "
                    "Write Dataset-JSON (json) instead."
                )


def _write_xpt(name: str, frame: pl.DataFrame, path: Path, label: str) -> None:
    import pyreadstat

    days = [column for column, dtype in frame.schema.items() if dtype == pl.Date]
    # SAS counts days from 1960
    numeric = frame.with_columns(
        (pl.col(column) - pl.lit(date(1960, 1, 1))).dt.total_days().cast(pl.Float64) for column in days
    )
    pyreadstat.write_xport(
        numeric,
        str(path),
        file_label=label,
        table_name=name,
        file_format_version=5,
        column_labels=[LABELS.get(column, column)[:40] for column in frame.columns],
        variable_format=dict.fromkeys(days, "DATE9."),
    )
