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


def label_of(event: str) -> str:
    """Return the cause that an intercurrent event bears when it is an event of the composite."""
    return "death" if event in DEATHS else event


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
