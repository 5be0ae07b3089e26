"""Intercurrent events: what happened to a patient that changes what the endpoint means."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import INTERCURRENT_EVENTS, Estimand
from ahsct.tables import Study

DEATHS = ("treatment_death", "other_death")


def intercurrent_days(study: Study, timeline: pl.DataFrame) -> pl.DataFrame:
    """Return the first day of each intercurrent event after time zero, missing where there was none.

    A death whose cause is not adjudicated as treatment-related is `other_death`. `dmt_restart` is the
    first course of kind `dmt` that starts after time zero, `rescue` the first course of class `rescue`
    (which is no restart), `second_transplant` the first infusion after the patient's first.

    Returns
    -------
    pl.DataFrame
        `patient_id` and one column per intercurrent event [days from time zero], for patients with a
        time zero, in the order of the timeline.
    """
    people = timeline.drop_nulls("time_zero_day")
    courses = (
        study.table("treatments", ["patient_id", "kind", "drug_class", "start_day"])
        .join(
            people.select("patient_id", "time_zero_day"), on="patient_id", how="inner", maintain_order="left"
        )
        .with_columns(
            (pl.col("start_day") - pl.col("time_zero_day")).alias("_day"),
            (pl.col("drug_class") == "rescue").fill_null(False).alias("_is_rescue"),
        )
        .filter(pl.col("_day") > 0)  # a course without a day of start cannot be placed
    )
    is_dmt = (pl.col("kind") == "dmt").fill_null(False) & ~pl.col("_is_rescue")
    starts = courses.group_by("patient_id", maintain_order=True).agg(
        pl.col("_day").filter(is_dmt).min().alias("dmt_restart"),
        pl.col("_day").filter("_is_rescue").min().alias("rescue"),
    )
    since_zero = {
        name: pl.col(name) - pl.col("time_zero_day") for name in ("death_day", "second_infusion_day")
    }
    is_treatment = pl.col("death_class") == "treatment-related"
    return people.join(starts, on="patient_id", how="left", maintain_order="left").select(
        "patient_id",
        pl.when(is_treatment).then(since_zero["death_day"]).alias("treatment_death"),
        pl.when(~is_treatment).then(since_zero["death_day"]).alias("other_death"),
        "dmt_restart",
        pl.when(since_zero["second_infusion_day"] > 0)
        .then(since_zero["second_infusion_day"])
        .alias("second_transplant"),
        "rescue",
    )


def unplaced_events(study: Study, timeline: pl.DataFrame) -> pl.DataFrame:
    """Return in whom an intercurrent event cannot be placed, because a row that may be one has no day.

    A course without a start may be a restart (or a rescue, by its class), unless it ended by time zero. A
    transplant without an infusion day may be a second one, unless what is known of it came before the
    first infusion (an earlier attempt).

    Returns
    -------
    pl.DataFrame
        `patient_id` and, for the events that it may be, `unplaced_<event>` (why), for patients with a
        time zero, in the order of the timeline.
    """
    people = timeline.drop_nulls("time_zero_day").select("patient_id", "time_zero_day", "infusion_day")
    courses = (
        study.table("treatments", ["patient_id", "kind", "drug_class", "start_day", "end_day"])
        .filter(pl.col("start_day").is_null())
        .join(people, on="patient_id", how="inner", maintain_order="left")
        .filter((pl.col("end_day") > pl.col("time_zero_day")).fill_null(True))
    )
    is_rescue = (pl.col("drug_class") == "rescue").fill_null(False)
    days = ["mobilisation_start_day", "apheresis_day", "conditioning_start_day"]
    grafts = (
        study.table("transplants", ["patient_id", "infusion_day", *days])
        .filter(pl.col("infusion_day").is_null())
        .drop("infusion_day")
        .join(people.drop_nulls("infusion_day"), on="patient_id", how="inner", maintain_order="left")
        .filter((pl.max_horizontal(days) > pl.col("infusion_day")).fill_null(True))
    )
    found = {
        "dmt_restart": (
            courses.filter((pl.col("kind") == "dmt").fill_null(True) & ~is_rescue),
            "a course of treatment without a day of start: it may be a restart",
        ),
        "rescue": (
            courses.filter(is_rescue),
            "a course of rescue treatment without a day of start",
        ),
        "second_transplant": (grafts, "a further transplant without a day of infusion"),
    }
    return people.select(
        "patient_id",
        *(
            pl.when(pl.col("patient_id").is_in(rows["patient_id"].unique().to_list()))
            .then(pl.lit(reason))
            .alias(f"unplaced_{event}")
            for event, (rows, reason) in found.items()
        ),
    )


def why_unplaced(estimand: Estimand) -> pl.Expr:
    """Say why an intercurrent event that matters to an estimand cannot be placed, else missing."""
    events = ("dmt_restart", "rescue", "second_transplant")
    matter = [f"unplaced_{event}" for event in events if estimand.handling(event).handling != "ignore"]
    return pl.coalesce(*matter, pl.lit(None, dtype=pl.String))


def handled_as(estimand: Estimand, handling: str) -> list[str]:
    """Return the intercurrent events that an estimand handles in this way."""
    return [event for event in INTERCURRENT_EVENTS if estimand.handling(event).handling == handling]


def unknown_events(study: Study, estimand: Estimand) -> str | None:
    """Return why an intercurrent event that matters here cannot be known, or None."""
    if "treatments" not in study.tables:
        for event in ("dmt_restart", "rescue"):
            if estimand.handling(event).handling != "ignore":
                return f"the study has no table of treatments: {event} is unknown"
    return None
