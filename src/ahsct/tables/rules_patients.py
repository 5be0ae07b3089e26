"""Rules on patients across tables: known to one table only, without visits, arms that cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.tables.problems import Rule, broken_rows, join_problems, one_problem


def patient_problems(views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return patients in one table only, and arms with different kinds of time zero."""
    if "patients" not in views:
        return join_problems([])
    found = [broken_rows(table, view, [_unknown(table)]) for table, view in views.items()]
    found.append(_without_rows(views))
    found.append(_arms(views["patients"]))
    return join_problems(found)


def _unknown(table: str) -> Rule:
    return Rule(
        name="unknown_patient", column="patient_id",
        when=pl.col("patient").is_null() & pl.col("patient_id").is_not_null(), value=pl.lit(None, pl.String),
        message=f"`{table}.patient_id` is not in `patients`. Add the patient there, or correct the id.",
    )  # fmt: skip


def _without_rows(views: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return patients without a visit, and infused patients without follow-up."""
    patients = views["patients"]
    n = patients.height

    def has_row(table: str) -> pl.Expr:
        numbers = views[table]["patient"].unique() if table in views else pl.Series([], dtype=pl.UInt32)
        return pl.col("patient").is_in(numbers.implode())

    if n == 0:
        return join_problems([])
    rules = [
        Rule(
            name="no_follow_up", column="patient_id", severity="warning", value=pl.lit(None, pl.String),
            when=pl.col("patient.infusion_day").is_not_null() & ~has_row("follow_up"),
            message="An infused patient without a row in `follow_up`: survival and censoring are not known. Add the row.",
        ),
    ]  # fmt: skip
    if "visits" in views:
        rules.append(Rule(
            name="no_visits", column="patient_id", severity="warning", value=pl.lit(None, pl.String),
            when=pl.col("patient").is_not_null() & ~has_row("visits"),
            message="A patient without any visit: disability cannot be evaluated. Add the visits if there were any.",
        ))  # fmt: skip
    return broken_rows("patients", patients, rules)


def _arms(patients: pl.DataFrame) -> pl.DataFrame:
    kinds = patients["time_zero_kind"].drop_nulls().unique().sort().to_list()
    found = []
    if len(kinds) > 1:
        found.append(one_problem(
            "patients", "time_zero_kinds_differ",
            f"`patients.time_zero_kind` mixes {', '.join(kinds)}: patients followed from different events cannot be "
            "compared. Use one kind, or a definition that says as_treated_not_comparable; any other will refuse.",
            severity="warning", column="time_zero_kind", value=", ".join(kinds),
        ))  # fmt: skip
    n_without = patients["arm"].null_count()
    if 0 < n_without < patients.height:
        rule = Rule(
            name="arm_missing", column="arm", when=pl.col("arm").is_null(), severity="warning",
            message="`patients.arm` is missing here and given for others. Fill it in: this patient belongs to no arm.",
        )  # fmt: skip
        found.append(broken_rows("patients", patients, [rule]))
    return join_problems(found)
