"""Composite endpoints under every estimand of a definition."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.definitions import Definition, Estimand
from ahsct.errors import DefinitionError
from ahsct.outcomes.assessments import Context, derive_context
from ahsct.outcomes.components import follow_component
from ahsct.outcomes.intercurrent import (
    handled_as,
    intercurrent_days,
    unknown_events,
    unplaced_events,
    why_unplaced,
)
from ahsct.outcomes.settle import settle_end
from ahsct.tables import Study
from ahsct.vocabulary import TIME_TO_EVENT, conform, empty

# conditions on columns throughout: Polars 2.1 fails on a long frame that is filtered by a literal
POPULATIONS = {
    "enrolled": pl.col("patient_id").is_not_null(),
    "mobilised": pl.col("is_mobilised"),
    "infused": pl.col("is_infused"),
}
COMPOSITE = "composite"


def derive_time_to_event(
    study: Study,
    events: pl.DataFrame,
    *,
    endpoint: str,
    definition: Definition,
    candidates: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return one row per patient, component and estimand, and one for the composite.

    **What ends observation.** Relapses and deaths are known up to the last contact, scans and visits up
    to the last one that was assessed. A patient without an event is censored at the earliest of these
    days over the components. An event counts also when another component was last assessed before it,
    because patients who fail often leave; with `max_gap_days` it counts only where every other component
    was assessed without a longer gap, else the patient is censored at the last complete day
    (`not_evaluable`: leaves, counted). `interval` knows no gap.

    **Deaths and other intercurrent events** follow the estimand: an event with its own cause
    (`treatment_death`, `other_death`, `dmt_restart`, `second_transplant`, `rescue`), ignored, censored at
    that day, competing (`competing_treatment_death` ...), or excluded (the patient has no row). Where such
    an event matters and has no day, the patient is not evaluable. A death that counts is one also in a patient
    who lacks a component, unless nobody alive of his arm can be evaluated: then nobody of it is. A component's own row censors at what is
    an event of the composite but not of that component, so its counts are those of the component.

    **A late start of risk** (re-baselines with `risk_starts = "rebaseline"`) delays the entry of the
    components. The composite enters late only where no intercurrent event counts or competes: these are
    known from time zero on, and a death before the re-baseline is one.

    **Intervals.** The event lies in (`left_day`, `right_day`]: for a component its last negative
    assessment and its detection; for the composite the earliest last negative day over all components
    and the earliest detection. Relapses and deaths are exact, but a death after the last visit ends an
    interval of the composite that begins at that visit.

    Parameters
    ----------
    study, events
        The study, and its events (schema EVENTS).
    endpoint
        Id of an endpoint of the definition.
    definition
        Its time zero, re-baselines, estimands and rules.
    candidates
        Rejected changes of disability (schema CANDIDATES): those with `follow_up_too_short` are treated
        as `unconfirmed_at_end` and `death_before_confirmation` say. Without them nothing is unconfirmed.

    Returns
    -------
    pl.DataFrame
        Schema TIME_TO_EVENT, days from time zero, by estimand and component in the definition's order
        (composite last), then by patient. Patients without a time zero have no row.

    Raises
    ------
    DefinitionError
        No such endpoint; missing assessments shall be imputed; arms with different kinds of time zero.
    """
    return settle_endpoint(derive_context(study, definition), events, candidates, endpoint=endpoint)[0]


def settle_endpoint(
    context: Context,
    events: pl.DataFrame,
    candidates: pl.DataFrame | None,
    *,
    endpoint: str,
    only: Sequence[str] | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of `derive_time_to_event`, and who left them: patient_id, estimand, reason.

    `only` names estimands of the definition: then their composites alone are settled.
    """
    study, definition, timeline = context.study, context.definition, context.timeline
    chosen = definition.endpoint(endpoint)
    if chosen.missing.rule == "impute":
        raise DefinitionError(
            f"{definition.id}, endpoint {endpoint!r}: missing assessments are not imputed, because the "
            'definition states no rule for it. Use missing rule = "censor_at_last_complete" or "interval".'
        )
    tables = {
        component: follow_component(context, events, candidates, component, chosen)
        for component in dict.fromkeys(chosen.components)
    }
    happened = intercurrent_days(study, timeline).join(
        unplaced_events(study, timeline), on="patient_id", how="left", maintain_order="left"
    )
    rows, gone = [], []
    for id in chosen.estimands if only is None else only:
        estimand = definition.estimand(id)
        population = timeline.filter(POPULATIONS[estimand.population])
        people = population.drop_nulls("time_zero_day").select(
            "patient_id",
            "arm",
            "is_dead",
            pl.col("stack") if "stack" in timeline.columns else pl.lit(0).alias("stack"),
            (pl.col("death_day") - pl.col("time_zero_day")).alias("death_day"),
            (pl.col("last_contact_day") - pl.col("time_zero_day")).alias("last_contact_day"),
        )
        people = people.join(happened, on="patient_id", how="left", maintain_order="left")
        people = people.with_columns(
            _excluded(estimand).alias("_excluded"), why_unplaced(estimand).alias("_unplaced")
        )
        gone += [
            population.filter(pl.col("time_zero_day").is_null()).select(
                "patient_id",
                pl.lit(id).alias("estimand"),
                pl.lit(f"no day of {definition.time_zero.kind.replace('_', ' ')} (time zero)").alias(
                    "reason"
                ),
            ),
            people.select(
                "patient_id", pl.lit(id).alias("estimand"), pl.col("_excluded").alias("reason")
            ).drop_nulls("reason"),
        ]
        people = people.filter(pl.col("_excluded").is_null())
        for component in (*tables, COMPOSITE) if only is None else (COMPOSITE,):
            parts = tables if component == COMPOSITE else {component: tables[component]}
            lacks = [part.study_lacks for part in parts.values()]
            unknown = next(filter(None, [unknown_events(study, estimand), *lacks]), None)
            row = settle_end(people, parts, estimand, chosen, unknown, is_composite=component == COMPOSITE)
            rows.append(
                row.with_columns(
                    pl.lit(chosen.id).alias("endpoint"),
                    pl.lit(component).alias("component"),
                    pl.lit(definition.id).alias("definition"),
                    pl.lit(id).alias("estimand"),
                    pl.lit(estimand.population).alias("population"),
                )
            )
    table = pl.concat([conform(row, TIME_TO_EVENT) for row in rows]) if rows else empty(TIME_TO_EVENT)
    return table, pl.concat(gone)


def _excluded(estimand: Estimand) -> pl.Expr:
    """Say why a patient is left out as published, else missing."""
    reasons = [
        pl.when(pl.col(event).is_not_null()).then(
            pl.lit(f"left out as published ({event.replace('_', ' ')})")
        )
        for event in handled_as(estimand, "exclude")
    ]
    return pl.coalesce(*reasons, pl.lit(None, dtype=pl.String))
