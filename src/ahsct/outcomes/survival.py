"""Overall survival and treatment-related mortality, made for every study."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition
from ahsct.vocabulary import TIME_TO_EVENT, conform

AS_OBSERVED = "as_observed"


def derive_survival(timeline: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return overall survival and treatment-related mortality (schema TIME_TO_EVENT).

    Overall survival counts from the infusion, with the class of the cause (`treatment_related`, `ms`,
    `other`, `unknown`). Treatment-related mortality counts from the infusion in all infused and from
    the start of mobilisation in all mobilised; every other death (`other_death`, causes without an
    adjudicated class included) competes with it. A patient without follow-up, or dead on a day that is
    not known, is not evaluable.
    """
    cause = pl.col("death_class").str.replace("-", "_", literal=True)
    related = (
        pl.when(pl.col("death_class") == "treatment-related")
        .then(pl.lit("treatment_related"))
        .otherwise(pl.lit("other_death"))
    )
    infused = timeline.filter("is_infused").with_columns(pl.col("infusion_day").alias("_start"))
    mobilised = timeline.filter("is_mobilised").with_columns(pl.col("mobilisation_start_day").alias("_start"))
    return pl.concat(
        [
            _deaths(infused, "overall_survival", "infused", cause, definition),
            _deaths(infused, "treatment_related_mortality", "infused", related, definition),
            _deaths(mobilised, "treatment_related_mortality", "mobilised", related, definition),
        ]
    )


def _deaths(
    people: pl.DataFrame, endpoint: str, population: str, cause: pl.Expr, definition: Definition
) -> pl.DataFrame:
    start = pl.col("_start")
    reason = pl.coalesce(
        pl.when(start.is_null()).then(pl.lit("the day of mobilisation is missing")),
        pl.when(~pl.col("has_follow_up")).then(pl.lit("no follow_up row: vital status is unknown")),
        pl.when(pl.col("is_dead") & pl.col("death_day").is_null()).then(
            pl.lit("dead, but the day of death is missing")
        ),
        pl.when(pl.col("last_contact_day").is_null()).then(pl.lit("the day of last contact is missing")),
    )
    is_event = reason.is_null() & pl.col("is_dead")
    day = pl.coalesce("death_day", "last_contact_day") - start
    day = pl.when(reason.is_null()).then(day).otherwise(0)
    return conform(
        people.select(
            "patient_id",
            "arm",
            pl.lit(endpoint).alias("endpoint"),
            pl.lit("composite").alias("component"),
            pl.lit(definition.id).alias("definition"),
            pl.lit(AS_OBSERVED).alias("estimand"),
            pl.lit(population).alias("population"),
            pl.lit(0).alias("entry_day"),
            day.alias("left_day"),
            pl.when(is_event).then(day).alias("right_day"),
            day.alias("time_day"),
            is_event.alias("is_event"),
            pl.when(is_event).then(cause).alias("cause"),
            pl.lit(True).alias("cause_is_certain"),
            pl.when(reason.is_null() & ~is_event).then(day).alias("last_negative_day"),
            (pl.col("death_day") - start).alias("death_day"),
            reason.is_null().alias("is_evaluable"),
            pl.coalesce(reason, pl.when(~is_event).then(pl.lit("end of follow-up"))).alias("censor_reason"),
        ),
        TIME_TO_EVENT,
    )
