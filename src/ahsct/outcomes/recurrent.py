"""Relapses as a counting process."""

from __future__ import annotations

import polars as pl

from ahsct.outcomes.assessments import Context
from ahsct.vocabulary import RECURRENT, conform, empty


def derive_recurrent(context: Context, events: pl.DataFrame) -> pl.DataFrame:
    """Return each patient's relapses from time zero to the last contact (schema RECURRENT).

    Intervals follow one another; the last one ends without an event at the last contact or death and is
    left out when a relapse falls on that day. A relapse on the day of time zero has an interval of no
    length. Patients in whom relapses cannot be evaluated have no row.
    """
    assessment = context.assessments["relapse"]
    if assessment.study_lacks is not None:
        return empty(RECURRENT)
    people = (
        context.timeline.drop_nulls("time_zero_day")
        .join(assessment.lacking, on="patient_id", how="anti", maintain_order="left")
        .select(
            "patient_id",
            "arm",
            "time_zero_day",
            (pl.coalesce("death_day", "last_contact_day") - pl.col("time_zero_day")).alias("_end"),
        )
    )
    relapses = (
        events.filter(pl.col("kind") == "relapse")
        .join(people, on="patient_id", how="inner", maintain_order="left")
        .select("patient_id", "arm", (pl.col("day") - pl.col("time_zero_day")).alias("stop_day"), "_end")
        .filter((pl.col("stop_day") >= 0) & (pl.col("stop_day") <= pl.col("_end")))
        .with_columns(pl.lit(True).alias("is_event"))
    )
    ends = people.select(
        "patient_id", "arm", pl.col("_end").alias("stop_day"), "_end", pl.lit(False).alias("is_event")
    )
    table = pl.concat([relapses, ends]).sort(
        "patient_id", "stop_day", "is_event", descending=[False, False, True], maintain_order=True
    )
    table = table.with_columns(
        pl.col("stop_day").shift(1).over("patient_id").fill_null(0).alias("start_day"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("patient_id").alias("event_number"),
        pl.lit("relapse").alias("endpoint"),
    )
    return conform(table.filter(pl.col("is_event") | (pl.col("stop_day") > pl.col("start_day"))), RECURRENT)
