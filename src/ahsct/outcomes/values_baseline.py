"""Who the patients were, whether they met the entry criteria, and what they were given."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition
from ahsct.outcomes.ages import AGE_COLUMNS, ages_on
from ahsct.outcomes.values_table import Values, lacking_in, rows_of
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR

_NUMBERS = ("age_years", "edss", "disease_duration_years", "prior_dmt_n")


def baseline_values(study: Study, people: pl.DataFrame) -> Values:
    """Return age, EDSS, disease duration, earlier treatments, sex, course and centre at baseline."""
    table = _at_baseline(study, people)
    rows, lacking = [], []
    for term in _NUMBERS:
        known = table.drop_nulls(term)
        mark = "age_mark" if term == "age_years" else None
        rows.append(
            rows_of(
                known, "baseline", term, "baseline", number=pl.col(term), mark=pl.col(mark) if mark else None
            )
        )
        lacking.append(lacking_in(table.filter(pl.col(term).is_null()), "baseline", f"no {term}"))
    for term in ("sex", "ms_course", "site"):
        rows.append(rows_of(table.drop_nulls(term), "baseline", term, "baseline", value=pl.col(term)))
    return Values(rows, lacking)


def entry_criteria_values(study: Study, people: pl.DataFrame, definition: Definition) -> Values:
    """Return each stated entry criterion as met, not met or unknown, with what was found.

    Age is compared in completed years, so that 50.7 years meets "up to 50".
    """
    criteria = definition.entry_criteria
    if criteria is None:
        return Values([], [])
    table = _at_baseline(study, people)
    ranges = {
        "age": (pl.col("age_years").floor(), criteria.age_min_years, criteria.age_max_years, "age_years"),
        "edss": (pl.col("edss"), criteria.edss_min, criteria.edss_max, "edss"),
        "prior_dmt": (pl.col("prior_dmt_n"), criteria.prior_dmt_min_n, None, "prior_dmt_n"),
    }
    rows = []
    for term, (found, low, high, column) in ranges.items():
        if low is None and high is None:
            continue
        is_met = pl.lit(True)
        if low is not None:
            is_met = is_met & (found >= low)
        if high is not None:
            is_met = is_met & (found <= high)
        rows.append(_criterion(table, term, is_met, pl.col(column).is_null(), pl.col(column)))
    if criteria.ms_courses:
        is_met = pl.col("ms_course").is_in(list(criteria.ms_courses))
        rows.append(_criterion(table, "ms_course", is_met, pl.col("ms_course").is_null(), None))
    return Values(rows, [])


def _criterion(
    table: pl.DataFrame, term: str, is_met: pl.Expr, is_unknown: pl.Expr, number: pl.Expr | None
) -> pl.DataFrame:
    value = (
        pl.when(is_unknown)
        .then(pl.lit("unknown"))
        .when(is_met)
        .then(pl.lit("met"))
        .otherwise(pl.lit("not met"))
    )
    return rows_of(table, "entry_criteria", term, "baseline", value=value, number=number)


def _at_baseline(study: Study, people: pl.DataFrame) -> pl.DataFrame:
    told = study.table(
        "patients",
        [
            "patient_id",
            "sex",
            "ms_course",
            "site",
            *AGE_COLUMNS,
            "disease_onset_day",
            "edss_at_index",
            "prior_dmt_n",
        ],
    ).unique("patient_id", keep="first", maintain_order=True)
    zero = pl.col("time_zero_day")
    table = (
        people.join(told, on="patient_id", how="left", maintain_order="left")
        .join(_last_edss(study, people), on="patient_id", how="left", maintain_order="left")
        .join(_earlier_drugs(study, people), on="patient_id", how="left", maintain_order="left")
    )
    exact_age, rough_age = ages_on(zero)
    n_drugs = (
        pl.col("_n_drugs").fill_null(0) if "treatments" in study.tables else pl.lit(None, dtype=pl.Int64)
    )
    return table.with_columns(
        pl.coalesce(exact_age, rough_age).alias("age_years"),
        pl.when(exact_age.is_null() & rough_age.is_not_null()).then(pl.lit("inferred")).alias("age_mark"),
        pl.coalesce("_edss", "edss_at_index").alias("edss"),
        ((zero - pl.col("disease_onset_day")) / DAYS_PER_YEAR).alias("disease_duration_years"),
        pl.coalesce("prior_dmt_n", n_drugs).alias("prior_dmt_n"),
    )


def _last_edss(study: Study, people: pl.DataFrame) -> pl.DataFrame:
    """Return the last EDSS up to the start of mobilisation, else up to time zero."""
    return (
        study.table("visits", ["patient_id", "visit_day", "edss", "row"])
        .drop_nulls(["visit_day", "edss"])
        .join(
            people.select("patient_id", "before_day", "time_zero_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .filter(pl.col("visit_day") <= pl.max_horizontal("before_day", "time_zero_day"))
        .with_columns((pl.col("visit_day") <= pl.col("before_day")).alias("_is_before"))
        .sort("patient_id", "_is_before", "visit_day", "row")
        .unique("patient_id", keep="last", maintain_order=True)
        .select("patient_id", pl.col("edss").alias("_edss"))
    )


def _earlier_drugs(study: Study, people: pl.DataFrame) -> pl.DataFrame:
    """Return how many different disease-modifying drugs were begun before mobilisation."""
    return (
        study.table("treatments", ["patient_id", "kind", "drug", "start_day"])
        .filter(pl.col("kind") == "dmt")
        .join(people.select("patient_id", "before_day"), on="patient_id", how="inner", maintain_order="left")
        .filter(pl.col("start_day") < pl.col("before_day"))  # a course without a day cannot be placed
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("drug").n_unique().cast(pl.Int64).alias("_n_drugs"))
    )


def treatment_values(study: Study, people: pl.DataFrame) -> Values:
    """Return each course of treatment by kind with dose, unit and route, and how the graft was treated."""
    arms = people.select("patient_id", "arm", "time_zero_day")
    courses = study.table(
        "treatments", ["patient_id", "kind", "drug", "start_day", "dose", "unit", "route"]
    ).join(arms, on="patient_id", how="inner", maintain_order="left")
    grafts = (
        study.table("transplants", ["patient_id", "infusion_day", "cd34_selected"])
        .drop_nulls("infusion_day")
        .join(arms, on="patient_id", how="inner", maintain_order="left")
        .drop_nulls("cd34_selected")
    )
    selected = (
        pl.when("cd34_selected").then(pl.lit("graft: CD34-selected")).otherwise(pl.lit("graft: unselected"))
    )
    return Values(
        [
            rows_of(
                courses,
                "treatment",
                pl.col("drug"),
                pl.col("kind"),
                day=pl.col("start_day") - pl.col("time_zero_day"),
                value=pl.concat_str("unit", "route", separator=", ", ignore_nulls=True).replace("", None),
                number=pl.col("dose"),
            ),
            rows_of(
                grafts, "treatment", selected, "graft", day=pl.col("infusion_day") - pl.col("time_zero_day")
            ),
        ],
        [],
    )
