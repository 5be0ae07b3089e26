"""Every per-patient value that the estimates and the report need, topic by topic."""

from __future__ import annotations

import polars as pl

from ahsct.outcomes.assessments import Context
from ahsct.outcomes.values_activity import early_event_values, mri_values, relapse_values
from ahsct.outcomes.values_baseline import baseline_values, entry_criteria_values, treatment_values
from ahsct.outcomes.values_course import brain_volume_values, edss_state_values, sustained_change_values
from ahsct.outcomes.values_safety import death_values, follow_up_values, toxicity_values, work_values
from ahsct.outcomes.values_table import Values
from ahsct.vocabulary import NOT_EVALUABLE, PATIENT_VALUES, conform, empty

TOPICS = (
    "baseline",
    "entry_criteria",
    "treatment",
    "follow_up",
    "relapses",
    "mri",
    "toxicity",
    "work",
    "sustained_change",
    "edss_state",
    "brain_volume",
)


def derive_patient_values(
    context: Context, events: pl.DataFrame, origins: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return PATIENT_VALUES for everybody with a time zero, and NOT_EVALUABLE for what is lacking.

    Periods "before" end at the start of mobilisation (at the infusion, or time zero, where that is
    missing); periods "after" begin at the infusion (at time zero in those never infused). `day` counts
    from time zero. The rows stand by topic in the order of the contract, then as the patients do.
    """
    study, definition = context.study, context.definition
    people = context.timeline.drop_nulls("time_zero_day").with_columns(
        pl.coalesce("infusion_day", "time_zero_day").alias("start_day")
    )
    people = people.with_columns(pl.coalesce("mobilisation_start_day", "start_day").alias("before_day"))
    parts: list[Values] = [
        baseline_values(study, people),
        entry_criteria_values(study, people, definition),
        treatment_values(study, people),
        follow_up_values(people),
        relapse_values(context, people),
        mri_values(context, people),
        early_event_values(context, people, events),
        toxicity_values(study, people),
        death_values(people),
        work_values(study, people),
        sustained_change_values(context, people, events),
        edss_state_values(context, people, events),
        brain_volume_values(study, people, definition),
        Values(
            [
                origins.join(people, on="patient_id", how="inner", maintain_order="left").select(
                    "patient_id",
                    "arm",
                    pl.lit("engraftment").alias("topic"),
                    pl.col("endpoint").alias("term"),
                    pl.lit("after").alias("period"),
                    (pl.col("day") + pl.col("infusion_day") - pl.col("time_zero_day")).alias("day"),
                    pl.col("origin").alias("value"),
                    pl.col("day").alias("number"),
                )
            ],
            [],
        ),
    ]
    values = [conform(frame, PATIENT_VALUES) for part in parts for frame in part.rows]
    lacking = [conform(frame, NOT_EVALUABLE) for part in parts for frame in part.lacking]
    not_evaluable = pl.concat([empty(NOT_EVALUABLE), *lacking]).with_columns(
        pl.lit(definition.id).alias("definition")
    )
    return pl.concat([empty(PATIENT_VALUES), *values]), not_evaluable
