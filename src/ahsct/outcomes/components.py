"""One component of an endpoint in each patient: its first event, and until when it was assessed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from ahsct.definitions import ComponentSpec, Definition, Endpoint
from ahsct.outcomes.assessments import (
    CONTINUOUS,
    Context,
    disability_of,
    needs_rebaseline,
    rebaseline_column,
    window_of,
)


class Component(NamedTuple):
    """`patients` (one row each), the `days` on which it was assessed, and what the whole study lacks."""

    patients: pl.DataFrame
    days: pl.DataFrame
    study_lacks: str | None


def follow_component(
    context: Context,
    events: pl.DataFrame,
    candidates: pl.DataFrame | None,
    name: str,
    endpoint: Endpoint,
) -> Component:
    """Return a component's first event and its follow-up in each patient with a time zero.

    Returns
    -------
    Component
        `patients` has `patient_id`, `event_day`, `left_day`, `event_id`, `entry_day` (start of risk),
        `until_day` (last day of assessment without too long a gap), `has_gap`, `is_unconfirmed`,
        `censor_left_day` (known to be free of it only up to here), `lacking` (why not evaluable, from
        `due_day` on; missing: from the start), `never_starts` (risk starts at a re-baseline that never
        came); all days from time zero.
    """
    definition = context.definition
    component = definition.components[name]
    days, lacking, study_lacks = context.assessments[name]
    window = window_of(component, definition)
    zero = pl.col("time_zero_day")
    people = context.timeline.drop_nulls("time_zero_day").select(
        "patient_id",
        "time_zero_day",
        (pl.col("death_day") - zero).alias("death_day"),
        (pl.col("last_contact_day") - zero).alias("last_contact_day"),
        (pl.col(rebaseline_column(component)) - zero).alias("rebaseline_day"),
    )
    is_delayed = window is not None and window.risk_starts == "rebaseline"
    entry = pl.max_horizontal("rebaseline_day", 0) if is_delayed else pl.lit(0, dtype=pl.Int64)
    people = people.with_columns(entry.fill_null(0).alias("entry_day"))

    first = _first_events(events, people, component, definition)
    kept = days.filter("is_scheduled") if endpoint.missing.scheduled_only else days
    chain = _unbroken(kept, people, endpoint)
    known_until = pl.coalesce("death_day", "last_contact_day")
    until = known_until if component.kind in CONTINUOUS else pl.col("chain_day")
    table = people
    for part in (first, chain, lacking.rename({"reason": "lacking"})):
        table = table.join(part, on="patient_id", how="left", maintain_order="left")
    table = table.with_columns(until.alias("until_day"), pl.col("has_gap").fill_null(False))
    table = _with_unconfirmed(table, candidates, component, definition)
    covers = endpoint.missing.covers_days or 0
    never_starts = is_delayed and needs_rebaseline(component, definition)
    return Component(
        table.select(
            "patient_id",
            "event_day",
            pl.when(pl.col("event_day").is_not_null())
            .then(pl.max_horizontal("left_day", "entry_day"))
            .alias("left_day"),
            "event_id",
            "entry_day",
            "until_day",
            "has_gap",
            "is_unconfirmed",
            "censor_left_day",
            "lacking",
            pl.when(pl.col("since") == "follow_up")
            .then(covers)
            .when(pl.col("since") == "rebaseline")
            .then(_last_rebaseline_day(component, definition))
            .cast(pl.Int64)
            .alias("due_day"),
            (pl.lit(never_starts) & pl.col("rebaseline_day").is_null()).alias("never_starts"),
        ),
        days,
        study_lacks,
    )


def _last_rebaseline_day(component: ComponentSpec, definition: Definition) -> int | None:
    """Return the day by which the re-baseline of a component must have come."""
    window = window_of(component, definition) or definition.rebaseline.clinical
    return None if window is None else window.window_days[1]


def _first_events(
    events: pl.DataFrame, people: pl.DataFrame, component: ComponentSpec, definition: Definition
) -> pl.DataFrame:
    if component.kind == "death":
        return people.select(
            "patient_id",
            pl.col("death_day").alias("event_day"),
            pl.col("death_day").alias("left_day"),
            pl.lit(None, dtype=pl.String).alias("event_id"),
        )
    since = (
        _of_component(events, component, definition)
        .join(
            people.select("patient_id", "time_zero_day", "rebaseline_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .with_columns(pl.col("day", "left_day") - pl.col("time_zero_day"))
        .filter(pl.col("day") >= 0)
    )
    window = window_of(component, definition)
    if window is not None and window.early_events != "count":
        # without a re-baseline nobody knows what is early
        since = since.filter((pl.col("day") >= pl.col("rebaseline_day")).fill_null(False))
    left = pl.col("day") if component.kind == "relapse" else pl.max_horizontal("left_day", 0)
    return (
        since.sort("patient_id", "day", "event_id")
        .unique("patient_id", keep="first", maintain_order=True)
        .select("patient_id", pl.col("day").alias("event_day"), left.alias("left_day"), "event_id")
    )


def _of_component(events: pl.DataFrame, component: ComponentSpec, definition: Definition) -> pl.DataFrame:
    if component.kind != "disability":
        return events.filter(pl.col("kind") == component.kind)
    assert component.measure is not None
    combined = definition.combined_rule(component.measure)
    is_sum = combined is not None and combined.confirmed_by == "same_measure"
    measures = combined.measures if combined is not None and is_sum else (component.measure,)
    found = events.filter(
        (pl.col("kind") == "disability")
        & pl.col("measure").is_in(list(measures))
        & (pl.col("direction") == component.direction)
    )
    # a worsening that is neither, or not known to be either, has no such label
    return found if component.label is None else found.filter(pl.col("label").eq_missing(component.label))


def _unbroken(days: pl.DataFrame, people: pl.DataFrame, endpoint: Endpoint) -> pl.DataFrame:
    """Return the last day of each patient's assessments before the first gap that is too long."""
    limit = None if endpoint.missing.rule == "interval" else endpoint.missing.max_gap_days
    chain = days.join(
        people.select("patient_id", "entry_day"), on="patient_id", how="inner", maintain_order="left"
    ).filter(pl.col("day") >= pl.col("entry_day"))
    if limit is None:  # no gap is too long: the same, without looking at each
        return chain.group_by("patient_id", maintain_order=True).agg(
            pl.col("day").max().alias("chain_day"), pl.lit(False).alias("has_gap")
        )
    before = pl.coalesce(pl.col("day").shift(1).over("patient_id"), "entry_day")
    too_long = pl.col("day") - before > (math.inf if limit is None else limit)
    broken = too_long.cast(pl.Int64).cum_sum().over("patient_id") > 0
    return (
        chain.with_columns(broken.alias("_broken"))
        .group_by("patient_id", maintain_order=True)
        .agg(
            # a first assessment that comes too late leaves only the start of risk
            pl.coalesce(pl.col("day").filter(~pl.col("_broken")).max(), pl.col("entry_day").first()).alias(
                "chain_day"
            ),
            pl.col("_broken").any().alias("has_gap"),
        )
    )


def _with_unconfirmed(
    table: pl.DataFrame, candidates: pl.DataFrame | None, component: ComponentSpec, definition: Definition
) -> pl.DataFrame:
    """Apply what the disability rule says of a change that follow-up was too short to confirm.

    A label (PIRA, RAW) needs the confirmation: where unconfirmed changes count as events, one without a label
    ends the follow-up of a labelled component before its onset, because nobody knows what it would have been.
    """
    no_day = pl.lit(None, dtype=pl.Int64).alias("censor_left_day")
    if candidates is None or component.kind != "disability":
        return table.with_columns(no_day, pl.lit(False).alias("is_unconfirmed"))
    rule = disability_of(component, definition)
    is_possible = (
        pl.lit(True)
        if component.label is None
        else pl.col("label").fill_null(component.label) == component.label
    )
    pending = _first_events(
        candidates.filter((pl.col("rejected_because") == "follow_up_too_short") & is_possible),
        table,
        replace(component, label=None),
        definition,
    ).select(
        "patient_id",
        pl.col("event_day").alias("_day"),
        pl.col("left_day").alias("_left"),
        pl.col("event_id").alias("_id"),
    )
    labels = candidates.select(pl.col("event_id").alias("_id"), "label")
    pending = pending.join(labels, on="_id", how="left", maintain_order="left")
    table = table.join(pending, on="patient_id", how="left", maintain_order="left")
    is_pending = pl.col("_day").is_not_null() & pl.col("event_day").is_null()
    is_named = (
        pl.lit(True) if component.label is None else (pl.col("label") == component.label).fill_null(False)
    )
    is_dead = pl.col("death_day").is_not_null()
    alive, dead = rule.unconfirmed_at_end, rule.death_before_confirmation
    would_count = is_pending & (is_dead & (dead == "event") | ~is_dead & (alive == "event"))
    counts = would_count & is_named
    cut = is_pending & (is_dead & (dead == "censor") | ~is_dead & (alive == "censor_before_onset"))
    cut |= would_count & ~is_named
    open_interval = is_pending & ~is_dead & (alive == "interval")
    return table.with_columns(
        pl.when(counts).then("_day").otherwise("event_day").alias("event_day"),
        pl.when(counts).then("_left").otherwise("left_day").alias("left_day"),
        pl.when(counts).then("_id").otherwise("event_id").alias("event_id"),
        pl.when(cut).then(pl.min_horizontal("_left", "until_day")).otherwise("until_day").alias("until_day"),
        pl.when(open_interval).then("_left").alias("censor_left_day"),
        cut.alias("is_unconfirmed"),
    )
