"""All outcomes of a study under one definition."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ahsct.definitions import Definition
from ahsct.outcomes.activity import derive_relapses, mri_events
from ahsct.outcomes.assessments import Context, derive_context
from ahsct.outcomes.brain_volume_loss import loss_events
from ahsct.outcomes.combined import as_one_rule
from ahsct.outcomes.disability import derive_disability
from ahsct.outcomes.engraftment import derive_engraftment
from ahsct.outcomes.flow import derive_flow
from ahsct.outcomes.mri_around import with_mri_activity
from ahsct.outcomes.recurrent import derive_recurrent
from ahsct.outcomes.survival import derive_survival
from ahsct.outcomes.time_to_event import settle_endpoint
from ahsct.outcomes.values import TOPICS, derive_patient_values
from ahsct.tables import Study
from ahsct.vocabulary import CANDIDATES, CONFIRMATIONS, EVENTS, NOT_EVALUABLE, conform, empty

BUILT_IN = (
    "overall_survival",
    "treatment_related_mortality",
    "neutrophil_engraftment",
    "platelet_engraftment",
)


@dataclass(frozen=True)
class Outcomes:
    """What happened to each patient: each field a table whose schema bears its name."""

    events: pl.DataFrame
    confirmations: pl.DataFrame
    candidates: pl.DataFrame
    time_to_event: pl.DataFrame
    recurrent: pl.DataFrame
    patient_values: pl.DataFrame
    not_evaluable: pl.DataFrame
    flow: pl.DataFrame


def derive_outcomes(study: Study, definition: Definition) -> Outcomes:
    """Return every outcome that the study's tables allow; what they lack is said in `not_evaluable`.

    `docs/results.md` says which rows stand in each table. Patients keep the order of `patients`, events
    are sorted by patient and day. The study is not changed.

    Raises
    ------
    DefinitionError
        Arms were followed from different kinds of time zero, or the definition asks for something that
        is not offered (imputation).
    TableError
        Two visits of one patient fall on the same day, and the disability rule does not say which counts.
    """
    context = derive_context(study, definition)
    timeline = context.timeline
    events, confirmations, candidates = all_events(context)
    tables, left = [], []
    for endpoint in definition.endpoints:
        rows, gone = settle_endpoint(context, events, candidates, endpoint=endpoint.id)
        tables.append(rows)
        left.append(gone.with_columns(pl.lit(endpoint.id).alias("endpoint")))
    engraftment, origins = derive_engraftment(study, timeline, definition)
    tables += [derive_survival(timeline, definition), engraftment]
    time_to_event = pl.concat(tables)
    without_row = pl.concat(left)
    values, lacking = derive_patient_values(context, events, origins)
    return Outcomes(
        events=events,
        confirmations=confirmations,
        candidates=candidates,
        time_to_event=time_to_event,
        recurrent=derive_recurrent(context, events),
        patient_values=values,
        not_evaluable=_not_evaluable(time_to_event, without_row, lacking, timeline, definition),
        flow=derive_flow(study, timeline, time_to_event, without_row, definition),
    )


def all_events(context: Context) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the events of every rule, and the confirmations and rejected candidates of the disability rules."""
    definition, visits = context.definition, context.visits
    rules = [(rule, visits) for rule in definition.disability]
    rules += [
        (as_one_rule(rule, definition), context.combined[rule.id])
        for rule in definition.combined
        if rule.confirmed_by == "any_measure"
    ]
    found = [
        derive_disability(own, context.known_relapses, rule=rule)
        for rule, own in rules
        if rule.column in own.columns
    ]
    volume_rule = definition.brain_volume_loss
    losses = (
        empty(EVENTS)
        if context.volumes is None or volume_rule is None
        else loss_events(context.volumes, rule=volume_rule, timeline=context.timeline)
    )
    events = pl.concat(
        [
            empty(EVENTS),
            derive_relapses(context.relapses, rule=definition.relapses),
            mri_events(context.scans, rule=definition.mri),
            losses,
            *(part.events for part in found),
        ]
    ).sort("patient_id", "day", "event_id", maintain_order=True)
    return (
        with_mri_activity(events, context.scans),
        pl.concat([empty(CONFIRMATIONS), *(part.confirmations for part in found)]),
        pl.concat([empty(CANDIDATES), *(part.candidates for part in found)]),
    )


def _not_evaluable(
    time_to_event: pl.DataFrame,
    without_row: pl.DataFrame,
    lacking: pl.DataFrame,
    timeline: pl.DataFrame,
    definition: Definition,
) -> pl.DataFrame:
    """Return each patient and endpoint that cannot be evaluated, once for all estimands.

    Where one reason holds for everybody there is one row without a patient. Patients left out as
    published are no such case: they stand in the patient flow.
    """
    composite = time_to_event.filter(pl.col("component") == "composite")
    unfit = composite.filter(~pl.col("is_evaluable")).select(
        "patient_id", "endpoint", pl.col("censor_reason").alias("reason")
    )
    no_zero = without_row.filter(~pl.col("reason").str.starts_with("left out as published")).select(
        "patient_id", "endpoint", "reason"
    )
    each = pl.concat([no_zero, unfit]).unique(maintain_order=True)
    asked = pl.concat(
        [composite.select("patient_id", "endpoint"), without_row.select("patient_id", "endpoint")]
    )
    n_asked = asked.group_by("endpoint").agg(pl.col("patient_id").n_unique().alias("_n_asked"))
    is_everybody = pl.len().over("endpoint", "reason") == pl.col("_n_asked")
    fit = composite.filter("is_evaluable").select("endpoint").unique()
    each = each.join(n_asked, on="endpoint", how="left", maintain_order="left").join(
        fit.with_columns(pl.lit(True).alias("_fit")), on="endpoint", how="left", maintain_order="left"
    )
    each = each.with_columns(
        pl.when(is_everybody & pl.col("_fit").is_null())
        .then(None)
        .otherwise("patient_id")
        .alias("patient_id")
    ).select("patient_id", "endpoint", "reason")
    table = pl.concat([_nobody(asked, timeline, definition), each]).with_columns(
        pl.lit(definition.id).alias("definition")
    )
    return pl.concat([conform(table, NOT_EVALUABLE), lacking]).unique(maintain_order=True)


def _nobody(asked: pl.DataFrame, timeline: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return the endpoints and topics that no patient could be asked about."""
    has_rows = set(asked["endpoint"].to_list())
    missing = [id for id in (*(e.id for e in definition.endpoints), *BUILT_IN) if id not in has_rows]
    reasons = [
        (id, "the study has no patient of the population (none is known to be infused)") for id in missing
    ]
    if timeline["time_zero_day"].is_null().all():
        kind = definition.time_zero.kind.replace("_", " ")
        reasons += [(topic, f"no patient has a day of {kind} (time zero)") for topic in TOPICS]
    return pl.DataFrame(
        {
            "patient_id": [None] * len(reasons),
            "endpoint": [id for id, _ in reasons],
            "reason": [reason for _, reason in reasons],
        },
        schema={"patient_id": pl.String(), "endpoint": pl.String(), "reason": pl.String()},
    )
