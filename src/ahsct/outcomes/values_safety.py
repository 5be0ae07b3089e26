"""Follow-up, deaths, toxicity and work."""

from __future__ import annotations

import polars as pl

from ahsct.outcomes.values_table import Values, lacking_in, lacking_in_study, rows_of
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR

SEVERITIES = ("none", "mild", "moderate", "severe", "life-threatening", "fatal")
NOT_STATED = "not stated"
TOXICITY_UNTIL_DAY = 100
_PERIOD = "mobilisation to day 100"


def follow_up_values(people: pl.DataFrame) -> Values:
    """Return the last contact (the day of death in those who died), years from the infusion, vital status."""
    last = pl.coalesce("death_day", "last_contact_day")
    known = people.filter(pl.col("has_follow_up") & last.is_not_null())
    without = people.filter(~(pl.col("has_follow_up") & last.is_not_null()))
    return Values(
        [
            rows_of(
                known,
                "follow_up",
                "last_contact",
                "after",
                day=last - pl.col("time_zero_day"),
                value=pl.when("is_dead").then(pl.lit("dead")).otherwise(pl.lit("alive")),
                number=(last - pl.col("start_day")) / DAYS_PER_YEAR,
            )
        ],
        [lacking_in(without, "follow_up", "no follow_up row, or no day of last contact")],
    )


def death_values(people: pl.DataFrame) -> Values:
    """Return each death: its day, the class of its cause as adjudicated, days from the infusion."""
    return Values(
        [
            rows_of(
                people.filter("is_dead"),
                "death",
                "death",
                "after",
                day=pl.col("death_day") - pl.col("time_zero_day"),
                value=pl.col("death_class"),
                number=pl.col("death_day") - pl.col("start_day"),
            )
        ],
        [],
    )


def toxicity_values(study: Study, people: pl.DataFrame) -> Values:
    """Return the worst severity of each infused patient, overall and by organ class.

    Events count that start between the start of mobilisation and day 100 after the infusion, both days
    included. "not stated": the patient has events, and none of them has a severity. "none": the study
    has the table and the patient no event in it. An event without a day cannot be placed; such a patient
    is listed as not evaluable as well.
    """
    if "adverse_events" not in study.tables:
        return lacking_in_study("toxicity", "the study has no table of adverse events")
    infused = people.filter("is_infused")
    events = study.table("adverse_events", ["patient_id", "start_day", "severity", "soc"]).join(
        infused.select("patient_id", "arm", "before_day", "infusion_day"),
        on="patient_id",
        how="inner",
        maintain_order="left",
    )
    undated = events.filter(pl.col("start_day").is_null()).unique("patient_id", maintain_order=True)
    rank = pl.col("severity").replace_strict(
        list(SEVERITIES), list(range(len(SEVERITIES))), default=None, return_dtype=pl.Int64
    )
    counted = events.filter(
        pl.col("start_day").is_between(pl.col("before_day"), pl.col("infusion_day") + TOXICITY_UNTIL_DAY)
    ).with_columns(rank.alias("_rank"), pl.col("soc").fill_null(NOT_STATED))
    worst = counted.group_by("patient_id", maintain_order=True).agg(
        pl.col("_rank").max(), pl.lit(True).alias("_any")
    )
    by_organ = counted.group_by("patient_id", "arm", "soc", maintain_order=True).agg(pl.col("_rank").max())
    everyone = infused.select("patient_id", "arm").join(
        worst, on="patient_id", how="left", maintain_order="left"
    )
    evaluable = everyone.filter(
        pl.col("_any").is_not_null() | ~pl.col("patient_id").is_in(undated["patient_id"].to_list())
    )
    return Values(
        [
            rows_of(
                evaluable,
                "toxicity",
                "worst_severity",
                _PERIOD,
                value=pl.when(pl.col("_any").is_null()).then(pl.lit("none")).otherwise(_in_words()),
            ),
            rows_of(
                by_organ.sort("patient_id", "soc"),
                "toxicity_organ",
                pl.col("soc"),
                _PERIOD,
                value=_in_words(),
            ),
        ],
        [lacking_in(undated, "toxicity", "an adverse event without a day of start")],
    )


def _in_words() -> pl.Expr:
    return pl.col("_rank").replace_strict(
        list(range(len(SEVERITIES))), list(SEVERITIES), default=NOT_STATED, return_dtype=pl.String
    )


def work_values(study: Study, people: pl.DataFrame) -> Values:
    """Return who is off disability insurance and employed at the last assessment.

    Asked of those on disability insurance at the last assessment up to the infusion: our reading of the
    denominator, marked `inferred`. A patient without a later assessment of both is not evaluable.
    """
    if "employment" not in study.tables:
        return lacking_in_study("work", "the study has no table of employment")
    table = (
        study.table("employment", ["patient_id", "assessment_day", "status", "disability_pension", "row"])
        .drop_nulls("assessment_day")
        .join(
            people.select("patient_id", "arm", "start_day", "time_zero_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .sort("patient_id", "assessment_day", "row")
    )
    is_before = pl.col("assessment_day") <= pl.col("start_day")
    known = pl.col("disability_pension").is_not_null()
    insured = (
        table.filter(is_before & known)
        .unique("patient_id", keep="last", maintain_order=True)
        .filter("disability_pension")
        .select("patient_id", "arm")
    )
    last = (
        table.filter(~is_before & known & pl.col("status").is_not_null())
        .unique("patient_id", keep="last", maintain_order=True)
        .select("patient_id", "assessment_day", "time_zero_day", "disability_pension", "status")
    )
    both = insured.join(last, on="patient_id", how="left", maintain_order="left")
    is_back = ~pl.col("disability_pension") & (pl.col("status") == "employed")
    return Values(
        [
            rows_of(
                both.drop_nulls("status"),
                "work",
                "off_disability_and_working",
                "last",
                day=pl.col("assessment_day") - pl.col("time_zero_day"),
                value=pl.when(is_back).then(pl.lit("yes")).otherwise(pl.lit("no")),
                mark="inferred",
            )
        ],
        [
            lacking_in(
                both.filter(pl.col("status").is_null()),
                "work",
                "on disability insurance at baseline, and no later assessment",
            )
        ],
    )
