"""States over time: is an improvement there, and still there; how much brain volume is left."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition, DisabilityRule
from ahsct.errors import DefinitionError
from ahsct.outcomes.assessments import Context
from ahsct.outcomes.thresholds import meets_change
from ahsct.outcomes.values_table import Values, lacking_in, lacking_in_study, rows_of
from ahsct.tables import Study


def sustained_change_values(context: Context, people: pl.DataFrame, events: pl.DataFrame) -> Values:
    """Return who has a confirmed change that is there at the milestone's visit and at every later one.

    The milestone's visit is the one nearest `at_day` in the window (of two equally near the earlier).
    A patient who died before it is a "no", because nobody is improved after death; one who is alive
    without a visit there, or has no baseline, is not evaluable.
    """
    wanted = context.definition.sustained_change
    if wanted is None:
        return Values([], [])
    term = f"{wanted.measure}_{wanted.direction}"
    rule = context.definition.disability_rule(wanted.measure)
    if rule.column not in context.visits.columns:
        return lacking_in_study("sustained_change", f"the study's visits have no {rule.column}")
    states = _states(context.visits, events, rule, wanted.direction)
    early, late = wanted.window_days
    near = pl.col("day").is_between(wanted.at_day - early, wanted.at_day + late)
    at_milestone = (
        states.filter(near)
        .with_columns((pl.col("day") - wanted.at_day).abs().alias("_distance"))
        .sort("patient_id", "_distance", "day")
        .unique("patient_id", keep="first", maintain_order=True)
        .select("patient_id", pl.col("day").alias("_milestone_day"))
    )
    kept = (
        states.join(at_milestone, on="patient_id", how="inner", maintain_order="left")
        .filter(pl.col("day") >= pl.col("_milestone_day"))
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col("is_changed").all().alias("_is_kept"))
    )
    table = people.join(at_milestone, on="patient_id", how="left", maintain_order="left").join(
        kept, on="patient_id", how="left", maintain_order="left"
    )
    died_before = (pl.col("death_day") - pl.col("time_zero_day") <= wanted.at_day + late).fill_null(False)
    value = (
        pl.when(pl.col("_is_kept").is_not_null())
        .then(pl.when("_is_kept").then(pl.lit("yes")).otherwise(pl.lit("no")))
        .when(died_before)
        .then(pl.lit("no"))
        .otherwise(pl.lit("not evaluable"))
    )
    table = table.with_columns(value.alias("_value"))
    return Values(
        [
            rows_of(
                table, "sustained_change", term, "after", day=pl.col("_milestone_day"), value=pl.col("_value")
            )
        ],
        [
            lacking_in(
                table.filter(pl.col("_value") == "not evaluable"),
                "sustained_change",
                f"no {rule.column} from day {wanted.at_day - early} to {wanted.at_day + late}",
            )
        ],
    )


def edss_state_values(context: Context, people: pl.DataFrame, events: pl.DataFrame) -> Values:
    """Return, for each visit after time zero, whether a confirmed improvement of the EDSS is there."""
    try:
        rule = context.definition.disability_rule("edss")
    except DefinitionError:
        return Values([], [])
    states = _states(context.visits, events, rule, "improvement").join(
        people.select("patient_id", "arm"), on="patient_id", how="inner", maintain_order="left"
    )
    number = pl.col("is_changed").cast(pl.Int64)
    return Values([rows_of(states, "edss_state", "improved", "after", day=pl.col("day"), number=number)], [])


def _states(visits: pl.DataFrame, events: pl.DataFrame, rule: DisabilityRule, direction: str) -> pl.DataFrame:
    """Return each visit after time zero and whether the last confirmed change up to it still holds there."""
    if rule.column not in visits.columns:
        return pl.DataFrame(schema={"patient_id": pl.String(), "day": pl.Int64(), "is_changed": pl.Boolean()})
    changes = events.filter(
        (pl.col("kind") == "disability")
        & (pl.col("measure") == rule.measure)
        & (pl.col("direction") == direction)
    ).select("patient_id", pl.col("day").alias("visit_day"), "value_before")
    return (
        visits.drop_nulls(rule.column)
        .filter(pl.col("visit_day") > pl.col("time_zero_day"))
        .sort("visit_day", maintain_order=True)
        .join_asof(
            changes.sort("visit_day", maintain_order=True),
            on="visit_day",
            by="patient_id",
            strategy="backward",
            check_sortedness=False,
        )
        .with_columns(
            meets_change(rule.column, "value_before", rule=rule, direction=direction)
            .fill_null(False)  # no confirmed change yet
            .alias("is_changed"),
            (pl.col("visit_day") - pl.col("time_zero_day")).alias("day"),
        )
        .select("patient_id", "day", "is_changed")
        .sort("patient_id", "day", maintain_order=True)
    )


def brain_volume_values(study: Study, people: pl.DataFrame, definition: Definition) -> Values:
    """Return the percent change of brain volume since the baseline scan, one row per scan.

    Percentages since one common reference scan are taken as they are; percentages since the scan before
    (a chain) are compounded, never added; any other mixture of references is not evaluable. Volumes in
    ml are compared with the last scan up to the start of mobilisation.
    """
    rule = definition.brain_volume
    if rule is None:
        return Values([], [])
    if "brain_volume" not in study.tables:
        return lacking_in_study("brain_volume", "the study has no table of brain volumes")
    scans = (
        study.table(
            "brain_volume", ["patient_id", "scan_day", "measure", "value", "reference_scan_day", "row"]
        )
        .filter(pl.col("measure") == rule.measure)  # a row without a measure is no such scan
        .drop_nulls(["scan_day", "value"])
        .join(
            people.select("patient_id", "arm", "before_day", "time_zero_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .sort("patient_id", "scan_day", "row")
    )
    scans = _since_reference(scans) if rule.measure == "PBVC" else _since_baseline(scans)
    known = scans.drop_nulls("_change")
    unknown = scans.filter(pl.col("_change").is_null()).unique("patient_id", maintain_order=True)
    reason = (
        "percent changes of brain volume whose reference scans are missing or mixed"
        if rule.measure == "PBVC"
        else "no brain volume up to the start of mobilisation"
    )
    return Values(
        [
            rows_of(
                known,
                "brain_volume",
                "pct_change",
                "after",
                day=pl.col("scan_day") - pl.col("time_zero_day"),
                number=pl.col("_change"),
            )
        ],
        [lacking_in(unknown, "brain_volume", reason)],
    )


def _since_baseline(scans: pl.DataFrame) -> pl.DataFrame:
    baseline = (
        scans.filter(pl.col("scan_day") <= pl.col("before_day"))
        .unique("patient_id", keep="last", maintain_order=True)
        .select("patient_id", pl.col("value").alias("_baseline"))
    )
    return scans.join(baseline, on="patient_id", how="left", maintain_order="left").with_columns(
        (100 * (pl.col("value") / pl.col("_baseline") - 1)).alias("_change")
    )


def _since_reference(scans: pl.DataFrame) -> pl.DataFrame:
    is_reference_itself = (pl.col("reference_scan_day") == pl.col("scan_day")).fill_null(
        pl.col("value") == 0
    ) & (pl.col("value") == 0)
    reference = pl.when(~is_reference_itself).then("reference_scan_day")
    previous = pl.col("scan_day").shift(1).over("patient_id")
    is_missing = (~is_reference_itself & pl.col("reference_scan_day").is_null()).any().over("patient_id")
    is_common = (reference.min() == reference.max()).over("patient_id").fill_null(True)
    is_chain = (
        (is_reference_itself | previous.is_null() | (pl.col("reference_scan_day") == previous))
        .fill_null(False)
        .all()
        .over("patient_id")
    )
    compounded = 100 * ((1 + pl.col("value") / 100).cum_prod().over("patient_id") - 1)
    return scans.with_columns(
        pl.when(is_missing)
        .then(None)
        .when(is_common)
        .then("value")
        .when(is_chain)
        .then(compounded)
        .alias("_change")
    )
