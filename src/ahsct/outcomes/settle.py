"""When observation of an endpoint ended in each patient, why, and how sure that is."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Endpoint, Estimand
from ahsct.outcomes.assessments import CONTINUOUS
from ahsct.outcomes.components import Component
from ahsct.outcomes.intercurrent import DEATHS, handled_as


def settle_end(
    people: pl.DataFrame,
    parts: dict[str, Component],
    estimand: Estimand,
    endpoint: Endpoint,
    unknown: str | None,
    *,
    is_composite: bool,
) -> pl.DataFrame:
    """Settle one endpoint or one component: when it ended, why, and how sure that is."""
    gap = None if endpoint.missing.rule == "interval" else endpoint.missing.max_gap_days
    wide = people
    for place, part in enumerate(parts.values()):
        named = part.patients.rename(
            {name: f"{name}_{place}" for name in part.patients.columns if name != "patient_id"}
        )
        wide = wide.join(named, on="patient_id", how="left", maintain_order="left")
    places = range(len(parts))
    labels = dict(enumerate(parts))

    # what can end the observation, in order of precedence on the same day
    ends = [(labels[p], pl.col(f"event_day_{p}")) for p in places]
    as_event = [(event, pl.col(event)) for event in handled_as(estimand, "event")]
    if is_composite:
        ends += as_event
    ends += [(f"competing_{event}", pl.col(event)) for event in handled_as(estimand, "competing")]
    censors = [
        (f"censored at {event} ({estimand.handling(event).strategy})", pl.col(event))
        for event in handled_as(estimand, "censor")
    ]
    if not is_composite:
        censors += [
            (f"censored at {event} (an event of the composite)", day)
            for event, day in as_event
            if not (event in DEATHS and "death" in parts)
        ]

    # an intercurrent event that counts or competes is known from time zero on: with a late start of risk
    # those who had it early would leave, or stand alone in the risk set where they have no re-baseline
    known_early = is_composite and bool(as_event or handled_as(estimand, "competing"))
    entry_day = pl.lit(0) if known_early else pl.max_horizontal(f"entry_day_{p}" for p in places).fill_null(0)
    wide = wide.with_columns(
        pl.min_horizontal(day for _, day in ends).alias("_end"),
        (pl.min_horizontal(day for _, day in censors) if censors else pl.lit(None, dtype=pl.Int64)).alias(
            "_stop"
        ),
        entry_day.cast(pl.Int64).alias("entry_day"),
        pl.coalesce(
            pl.lit(unknown, dtype=pl.String), *(_lacking(p, starts_at_zero=known_early) for p in places)
        ).alias("_lacking"),
    ).with_columns(
        pl.min_horizontal(pl.col(f"until_day_{p}").fill_null(pl.col("entry_day")) for p in places).alias(
            "_complete"
        )
    )
    wide = wide.with_columns(_horizon(parts, endpoint).alias("_horizon"))
    wide = wide.with_columns(
        (
            pl.col("_end").is_not_null()
            & (pl.col("_stop").is_null() | (pl.col("_end") <= pl.col("_stop")))
            & (pl.lit(True) if gap is None else pl.col("_end") <= pl.col("_complete") + gap)
            & (pl.lit(True) if endpoint.missing.covers_days is None else pl.col("_end") <= pl.col("_horizon"))
            & (pl.lit(unknown is None))
        ).alias("_counts")
    )
    counts = pl.col("_counts")
    at_censoring = pl.min_horizontal("_horizon", "_stop")
    wide = wide.with_columns(pl.when(counts).then("_end").otherwise(at_censoring).alias("time_day"))

    # the interval that holds the event
    lefts = []
    for place, (component, part) in enumerate(parts.items()):
        if component in CONTINUOUS:
            continue
        wide = _with_last_assessed(wide, part.days, place)
        own, left = pl.col(f"event_day_{place}"), pl.col(f"left_day_{place}")
        seen = pl.col(f"_seen_{place}").fill_null(pl.col("entry_day"))
        lefts.append(pl.when(own == pl.col("_end")).then(left).otherwise(pl.min_horizontal(left, seen)))
    left_of_event = pl.min_horizontal(*lefts, "_end") if lefts else pl.col("_end")
    overrides = [pl.col(f"censor_left_day_{p}") for p in places]
    left_of_censored = pl.min_horizontal("time_day", "_complete", *overrides)
    entry = pl.col("entry_day")
    wide = wide.with_columns(
        pl.max_horizontal(pl.when(counts).then(left_of_event).otherwise(left_of_censored), entry).alias(
            "_left"
        )
    )

    cause = pl.coalesce(pl.when(day == pl.col("_end")).then(pl.lit(label)) for label, day in ends)
    tied = _distinct_causes(ends) > 1
    overlapping = [
        (pl.col(f"event_day_{p}") > pl.col("_end")) & (pl.col(f"left_day_{p}") < pl.col("_end"))
        for p in places
    ]
    is_uncertain = pl.any_horizontal(tied, *overlapping).fill_null(False)

    # who cannot be evaluated, and why observation ended without an event
    late = pl.when((entry > 0) & (pl.col("time_day") <= entry)).then(
        pl.lit("event or end of follow-up before the start of risk")
    )
    # with and without an event alike, else only events would be left; a death that counts is known all the same
    is_known_death = counts & (pl.col("_end") == pl.col("death_day")).fill_null(False)
    # where an intercurrent event cannot be placed, nobody knows whether it came before
    missing = pl.coalesce(
        "_unplaced",
        pl.when(~is_known_death | pl.lit(unknown is not None)).then("_lacking"),
        _only_dead_left(pl.coalesce("_unplaced", "_lacking").is_not_null()),
    )
    gap_reasons: list[pl.Expr] = [
        pl.when(
            pl.col(f"has_gap_{p}").fill_null(False) & (pl.col(f"until_day_{p}") == pl.col("_complete"))
        ).then(pl.lit(f"a gap of more than {gap} days in {labels[p]}"))
        for p in places
        if gap is not None
    ]
    reasons_out: list[pl.Expr] = [missing, late]
    if endpoint.missing.rule == "not_evaluable":
        reasons_out += [pl.when(~counts).then(reason) for reason in gap_reasons]
    not_evaluable = pl.coalesce(reasons_out)
    censor_reason = pl.coalesce(
        not_evaluable,
        *(pl.when(~counts).then(reason) for reason in _censor_reasons(censors, gap_reasons, labels)),
    )
    return (
        wide.with_columns(not_evaluable.alias("_not_evaluable"), censor_reason.alias("censor_reason"))
        .with_columns(pl.col("_not_evaluable").is_null().alias("is_evaluable"))
        .with_columns((counts & pl.col("is_evaluable")).alias("is_event"))
        .with_columns(
            pl.when("is_event").then(cause).alias("cause"),
            (~pl.col("is_event") | ~is_uncertain).alias("cause_is_certain"),
            pl.when("is_event")
            .then("_left")
            .otherwise(pl.min_horizontal("_left", "time_day"))
            .alias("left_day"),
            pl.when("is_event").then("_end").alias("right_day"),
            pl.when("is_event")
            .then(
                pl.coalesce(
                    pl.when(pl.col(f"event_day_{p}") == pl.col("_end")).then(f"event_id_{p}") for p in places
                )
            )
            .alias("event_id"),
        )
        .with_columns(
            pl.when(
                pl.col("is_evaluable") & (~pl.col("is_event") | (pl.col("left_day") < pl.col("right_day")))
            )
            .then("left_day")
            .alias("last_negative_day"),
        )
    )


def _lacking(place: int, *, starts_at_zero: bool) -> pl.Expr:
    """Say why a component cannot be evaluated; who was lost before its assessment was due stays until then."""
    known_until = pl.coalesce("death_day", "last_contact_day")
    is_due = (known_until > pl.col(f"due_day_{place}")).fill_null(True)
    never_starts = pl.lit(False) if starts_at_zero else pl.col(f"never_starts_{place}").fill_null(False)
    return pl.when(is_due | never_starts).then(f"lacking_{place}")


def _only_dead_left(is_unfit: pl.Expr) -> pl.Expr:
    """Say where nobody alive of an arm can be evaluated: counting the dead alone would show certain failure."""
    is_alive = ~pl.col("is_dead")
    arm = ["arm", "stack"]
    nobody = is_alive.any().over(arm) & ~(is_alive & ~is_unfit).any().over(arm)
    return pl.when(nobody).then(
        pl.lit("nobody alive of this arm can be evaluated: only patients with an event would be left")
    )


def _horizon(parts: dict[str, Component], endpoint: Endpoint) -> pl.Expr:
    """Return the day up to which the patient's assessments speak: for those with and without an event alike."""
    covers = endpoint.missing.covers_days
    if covers is None:
        return pl.col("_complete")
    ends = []
    for place, component in enumerate(parts):
        until = pl.col(f"until_day_{place}").fill_null(pl.col("entry_day"))
        if component in CONTINUOUS:
            ends.append(pl.max_horizontal(until, "death_day"))
            continue
        # a gap that is too long, or a change left unconfirmed, ends what the assessment speaks for
        ends_there = pl.col(f"has_gap_{place}").fill_null(False) | pl.col(
            f"is_unconfirmed_{place}"
        ).fill_null(False)
        ends.append(pl.when(ends_there).then(until).otherwise(until + covers))
    known = pl.max_horizontal("last_contact_day", "death_day", "_complete")
    return pl.min_horizontal(*ends, known)


def _with_last_assessed(wide: pl.DataFrame, days: pl.DataFrame, place: int) -> pl.DataFrame:
    """Add the last day, up to the end, on which the component at this place was assessed."""
    seen = (
        days.join(wide.select("patient_id", "_end"), on="patient_id", how="inner", maintain_order="left")
        .filter(pl.col("day") <= pl.col("_end"))
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("day").max().alias(f"_seen_{place}"))
    )
    return wide.join(seen, on="patient_id", how="left", maintain_order="left")


def _distinct_causes(ends: list[tuple[str, pl.Expr]]) -> pl.Expr:
    """Count the distinct causes detected on the day of the end."""
    by_label: dict[str, list[pl.Expr]] = {}
    for label, day in ends:
        name = label.removeprefix("competing_")
        by_label.setdefault("death" if name in DEATHS else name, []).append(day)
    return pl.sum_horizontal(
        pl.any_horizontal((day == pl.col("_end")).fill_null(False) for day in days).cast(pl.Int64)
        for days in by_label.values()
    )


def _censor_reasons(
    censors: list[tuple[str, pl.Expr]], gap_reasons: list[pl.Expr], labels: dict[int, str]
) -> list[pl.Expr]:
    """Say why observation ended without an event, the most telling reason first."""
    is_at_stop = pl.col("_stop") <= pl.col("_horizon")
    reasons: list[pl.Expr] = [
        pl.when(is_at_stop & (day == pl.col("_stop"))).then(pl.lit(reason)) for reason, day in censors
    ]
    reasons += gap_reasons
    deaths = [(reason, day) for reason, day in censors if "death" in reason]
    reasons += [pl.when(day == pl.col("_stop")).then(pl.lit(reason)) for reason, day in deaths]
    reasons += [
        pl.when((pl.col(f"until_day_{p}") == pl.col("_complete")) & pl.col(f"is_unconfirmed_{p}")).then(
            pl.lit(f"unconfirmed {label} at the end of follow-up")
        )
        for p, label in labels.items()
    ]
    reasons.append(pl.when(pl.col("_horizon") >= pl.col("last_contact_day")).then(pl.lit("end of follow-up")))
    reasons += [
        pl.when(pl.col(f"until_day_{p}") == pl.col("_complete")).then(pl.lit(f"last assessment of {label}"))
        for p, label in labels.items()
    ]
    return reasons
