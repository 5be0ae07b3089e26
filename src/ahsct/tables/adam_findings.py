"""Examinations (ADQS) and laboratory values (ADLB) in ADaM's basic data structure: baseline, change, flags."""

from __future__ import annotations

import polars as pl

from ahsct.tables.adam import date_of, reference_days, study_day
from ahsct.tables.study import Study
from ahsct.vocabulary import SCHEMAS, columns

_MEASURES = {
    "edss": "EDSS", "t25fw_s": "T25FW", "nhpt_dom_s": "NHPTDOM", "nhpt_nondom_s": "NHPTNON", "sdmt": "SDMT", "pasat3": "PASAT3",
}  # fmt: skip
_TESTS = {
    "neutrophils": ("NEUT", "Neutrophils"), "platelets": ("PLAT", "Platelets"), "leukocytes": ("WBC", "Leukocytes"),
    "lymphocytes": ("LYM", "Lymphocytes"), "haemoglobin": ("HGB", "Haemoglobin"), "monocytes": ("MONO", "Monocytes"),
    "eosinophils": ("EOS", "Eosinophils"), "cd4": ("CD4", "CD4 cells"), "cd8": ("CD8", "CD8 cells"), "cd19": ("CD19", "CD19 cells"),
    "cd3": ("CD3", "CD3 cells"), "cd34": ("CD34", "CD34 cells"), "nk": ("NK", "Natural killer cells"),
    "alt": ("ALT", "Alanine aminotransferase"), "ast": ("AST", "Aspartate aminotransferase"), "bilirubin": ("BILI", "Bilirubin"),
    "creatinine": ("CREAT", "Creatinine"), "nfl": ("NFL", "Neurofilament light chain"), "other": ("OTHER", "Other test"),
}  # fmt: skip


def adqs(study: Study) -> pl.DataFrame:
    """Return one row per visit and measure; the baseline is the last value on or before the infusion (day 0 without one).

    `ANL01FL` is Y for the record of each day that is analysed: the last of those of one day.
    """
    visits = study.table("visits", list(SCHEMAS["visits"]))
    visits = visits.join(reference_days(study), on="patient_id", how="left", maintain_order="left")
    parts = []
    for name, code in _MEASURES.items():
        column = columns("visits")[name]
        rows = visits.filter(pl.col(name).is_not_null()).with_columns(
            pl.lit(code).alias("PARAMCD"),
            pl.lit(f"{column.label} ({column.unit})").alias("PARAM"),
            pl.lit(column.unit).alias("AVALU"),
            pl.col(name).cast(pl.Float64).alias("AVAL"),
            pl.col("visit_day").alias("day"),
            pl.col("reference_day").alias("baseline_until"),
        )
        parts.append(_with_changes(rows))
    return pl.concat(parts).select(
        *_identifiers(study),
        "BASE",
        "CHG",
        "PCHG",
        "ABLFL",
        "ANL01FL",
        pl.col("visit_type").alias("AVISIT"),
        *_times("visit"),
    )


def adlb(study: Study) -> pl.DataFrame:
    """Return one row per laboratory value; the baseline is the last value before the bone marrow is treated.

    That is on or before the first day of mobilisation (else of conditioning, of the infusion; day 0 without any):
    on the day of infusion counts are those of the conditioning. A test in several units or specimens has a code for
    each, because values of different units cannot be subtracted; "other" tests are not known to be one, and have no
    baseline. `ANRIND` is LOW or HIGH outside the limits that are given and NORMAL only between two; `SHIFT1` goes
    from its baseline to it. `ATOXGR` is the grade as recorded, never one computed here.
    """
    labs = study.table("labs", list(SCHEMAS["labs"])).with_columns(pl.col("specimen").fill_null(""))
    starts = ("mobilisation_start_day", "conditioning_start_day", "infusion_day")
    first = (
        study.table("transplants", ["patient_id", *starts]).group_by("patient_id").agg(pl.col(starts).min())
    )
    value, lower, upper = pl.col("value"), pl.col("lower_limit"), pl.col("upper_limit")
    rows = (
        labs.join(reference_days(study), on="patient_id", how="left", maintain_order="left")
        .join(first, on="patient_id", how="left", maintain_order="left")
        .join(_lab_parameters(labs), on=["test", "unit", "specimen"], how="left", maintain_order="left")
        .with_columns(
            pl.col("unit").alias("AVALU"),
            value.alias("AVAL"),
            pl.col("sample_day").alias("day"),
            pl.when(pl.col("test") != "other").then(pl.coalesce(*starts, 0)).alias("baseline_until"),
            pl.when(value < lower)
            .then(pl.lit("LOW"))
            .when(value > upper)
            .then(pl.lit("HIGH"))
            .when((value >= lower) & (value <= upper))
            .then(pl.lit("NORMAL"))
            .alias("ANRIND"),
            pl.col("ctcae_grade").cast(pl.String).alias("ATOXGR"),
        )
    )
    rows = _with_changes(rows)
    at_baseline = pl.col("ABLFL") == "Y"
    return (
        rows.with_columns(
            pl.col(name).filter(at_baseline).first().over("patient_id", "PARAMCD").alias(base)
            for name, base in (("ANRIND", "BNRIND"), ("ATOXGR", "BTOXGR"))
        )
        .with_columns(pl.when(pl.col("CHG").is_not_null()).then(pl.format("{} to {}", "BNRIND", "ANRIND")).alias("SHIFT1"))
        .select(
            *_identifiers(study), "BASE", "CHG", "PCHG", "ABLFL", "ANL01FL", lower.alias("ANRLO"), upper.alias("ANRHI"), "ANRIND", "BNRIND",
            "SHIFT1", "ATOXGR", "BTOXGR", pl.col("specimen").replace("", None).str.to_uppercase().alias("LBSPEC"), *_times("sample"),
        )
    )  # fmt: skip


def _lab_parameters(labs: pl.DataFrame) -> pl.DataFrame:
    """Return a code of at most eight characters and a text for each test, unit and specimen."""
    rows, used = [], dict.fromkeys(_TESTS, 0)
    for test, unit, specimen in labs.select("test", "unit", "specimen").unique().sort(pl.all()).iter_rows():
        code, text = _TESTS[test]
        used[test] += 1
        number = str(used[test]) if used[test] > 1 else ""
        detail = f"{unit}, {specimen}" if specimen else unit
        rows.append((test, unit, specimen, code[: 8 - len(number)] + number, f"{text} ({detail})"))
    names = ["test", "unit", "specimen", "PARAMCD", "PARAM"]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")


def _with_changes(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows ordered by patient, parameter and day, with the baseline, the changes after it and the flags.

    Needs `patient_id`, `PARAMCD`, `day`, `AVAL` and `baseline_until`: the last day of a baseline, missing where none can be.
    """
    keys = ["patient_id", "PARAMCD"]
    rows = rows.sort("PARAMCD", "patient_id", "day", maintain_order=True).with_row_index("number")
    number = pl.col("number")  # of two values of one day, the later one counts
    rows = rows.with_columns(
        number.filter(pl.col("day") <= pl.col("baseline_until")).max().over(keys).alias("last"),
        (number == number.max().over(*keys, "day")).alias("is_analysed"),
    )
    is_baseline = (number == pl.col("last")).fill_null(False)
    rows = rows.with_columns(pl.col("AVAL").filter(is_baseline).first().over(keys).alias("BASE"))
    is_after, change = number > pl.col("last"), pl.col("AVAL") - pl.col("BASE")
    return rows.with_columns(
        pl.when(is_after).then(change).alias("CHG"),
        pl.when(is_after & (pl.col("BASE") != 0)).then(100 * change / pl.col("BASE")).alias("PCHG"),
        pl.when(is_baseline).then(pl.lit("Y")).alias("ABLFL"),
        pl.when("is_analysed").then(pl.lit("Y")).alias("ANL01FL"),
    )


def _identifiers(study: Study) -> list[pl.Expr | str]:
    return [
        pl.lit(study.study_id).alias("STUDYID"), pl.col("patient_id").alias("USUBJID"), pl.col("arm").alias("TRTP"), pl.col("arm").alias("TRTA"),
        "PARAMCD", "PARAM", "AVAL", "AVALU",
    ]  # fmt: skip


def _times(stem: str) -> list[pl.Expr]:
    day = study_day(pl.col(f"{stem}_day") - pl.col("reference_day"))
    return [date_of(stem).alias("ADT"), day.cast(pl.Float64).alias("ADY")]
