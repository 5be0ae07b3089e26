"""Several measures of disability read as one (EDSS-plus): whether any was worse at a visit."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ahsct.definitions import CombinedRule, Definition, DisabilityRule, ThresholdStep
from ahsct.outcomes.disability import baselines
from ahsct.outcomes.disability_visits import measured_visits
from ahsct.outcomes.thresholds import meets_change

_KEY = ["patient_id", "visit_day"]
_OF_PATIENT = ("time_zero_day", "mobilisation_start_day", "rebaseline_day", "death_day")


def as_one_rule(combined: CombinedRule, definition: Definition) -> DisabilityRule:
    """Return the rule by which the combined measure (0: none is worse, 1: any is) has worsened.

    It is that of the first measure but for the threshold: all agree in the rest where one may confirm
    another. There it counts from the day that `combined_visits` gives as `rebaseline_day`.
    """
    step = (ThresholdStep(from_value=0, change=1.0),)
    first = definition.disability_rule(combined.measures[0])
    if combined.confirmed_by == "any_measure":
        first = replace(first, worsening_baseline_visit="rebaseline", improvement_baseline_visit="rebaseline")
    return replace(
        first,
        measure=combined.id,  # type: ignore[arg-type]
        custom_column=None,
        custom_worsens=None,
        threshold_column=None,
        worsening_threshold=step,
        improvement_threshold=step,
    )


def combined_visits(
    visits: pl.DataFrame, relapses: pl.DataFrame | None, *, rule: CombinedRule, definition: Definition
) -> pl.DataFrame:
    """Return one row per patient and day with any of the measures: their combination under its id.

    The combination is 1 where any measure is worse than its baseline by its own threshold, 0 where all of
    them (or, with `assessed_when = "any_measured"`, any) were taken and none is, and missing otherwise.
    Up to its baseline a measure is not worse. Where all must be measured, all share the baseline visit: one
    at which all were; else counting starts at the earliest of their baselines. That day is the combination's
    `rebaseline_day`. The tests of one visit must stand on one day. Under "same_measure" the events come from
    the measures' own rules, and 0 only says that the visit was an assessment.

    Parameters
    ----------
    visits, relapses
        As for `derive_disability`; a measure without a column was never taken.
    """
    taken = [name for name in rule.measures if definition.disability_rule(name).column in visits.columns]
    parts = {
        name: measured_visits(
            visits, definition.disability_rule(name), function="combined_visits"
        ).frame.with_columns(pl.col("value").alias(name))
        for name in taken
    }
    none = pl.DataFrame(schema=dict.fromkeys([*_KEY, "row", "can_confirm"], pl.Int64()))
    days = pl.concat([none] if not parts else [part.select(none.columns) for part in parts.values()])
    table = (
        days.group_by(*_KEY, maintain_order=True)
        .agg(pl.col("row").min(), pl.col("can_confirm").all())
        .sort(_KEY)
        .cast({"patient_id": pl.String})
        .join(_visit_types(visits), on=_KEY, how="left", maintain_order="left")
    )
    for name, part in parts.items():
        table = table.join(part.select(*_KEY, name), on=_KEY, how="left", maintain_order="left")
    context = [name for name in _OF_PATIENT if name in visits.columns]
    own = visits.select("patient_id", *context).unique("patient_id", maintain_order=True)
    table = table.join(own, on="patient_id", how="left", maintain_order="left")

    is_missing = [pl.col(name).is_null() if name in taken else pl.lit(True) for name in rule.measures]
    needs_all = rule.assessed_when == "all_measured"
    if rule.confirmed_by == "any_measure":
        common = table.filter(~pl.any_horizontal(is_missing)) if needs_all else table
        table, flags = _with_flags(table, common, taken, relapses, definition)
        starts = [pl.col(f"_day_{name}") for name in taken] or [pl.lit(None, dtype=pl.Int64)]
        table = table.with_columns(pl.min_horizontal(starts).alias("rebaseline_day"))
        context = [*(name for name in context if name != "rebaseline_day"), "rebaseline_day"]
        is_missing = [
            pl.col(flags[name]).is_null() if name in flags else pl.lit(True) for name in rule.measures
        ]
        is_worse = pl.any_horizontal([pl.col(flag) for flag in flags.values()] or [pl.lit(False)])
    else:
        is_worse = pl.lit(False)
    is_known = ~(pl.any_horizontal(is_missing) if needs_all else pl.all_horizontal(is_missing))
    return table.with_columns(
        pl.when(is_worse.fill_null(False)).then(1.0).when(is_known).then(0.0).alias(rule.id)
    ).select(*_KEY, "row", "can_confirm", "visit_type", *context, rule.id)


def _visit_types(visits: pl.DataFrame) -> pl.DataFrame:
    """Return what kind of visit each day was: the one that says most where it has several rows."""
    kind = pl.col("visit_type") if "visit_type" in visits.columns else pl.lit(None, dtype=pl.String)
    known = kind.fill_null("scheduled").alias("visit_type")
    places = {"screening": 0, "scheduled": 1, "unscheduled": 2, "relapse": 3}
    return (
        visits.select(pl.col("patient_id").cast(pl.String), "visit_day", known)
        .sort(*_KEY, pl.col("visit_type").replace_strict(places, default=1, return_dtype=pl.Int64))
        .unique(_KEY, keep="first", maintain_order=True)
    )


def _with_flags(
    table: pl.DataFrame,
    common: pl.DataFrame,
    measures: list[str],
    relapses: pl.DataFrame | None,
    definition: Definition,
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Add for each measure whether it is worse than its baseline at each visit, missing where that is unknown."""
    for name in measures:
        rule = definition.disability_rule(name)
        found = (
            baselines(common, rule, relapses=relapses)
            .filter((pl.col("direction") == "worsening") & pl.col("baseline_day").is_not_null())
            .select(
                "patient_id",
                pl.col("baseline_day").alias(f"_day_{name}"),
                pl.col("baseline_value").alias(f"_baseline_{name}"),
            )
        )
        table = table.join(found, on="patient_id", how="left", maintain_order="left")
        is_worse = meets_change(name, f"_baseline_{name}", rule=rule, direction="worsening")
        table = table.with_columns(
            pl.when(pl.col(name).is_null() | pl.col(f"_day_{name}").is_null())
            .then(None)
            .when(pl.col("visit_day") <= pl.col(f"_day_{name}"))
            .then(False)
            .otherwise(is_worse)
            .alias(f"_worse_{name}")
        )
    return table, {name: f"_worse_{name}" for name in measures}
