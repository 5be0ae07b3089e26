"""Neutrophil and platelet engraftment by the rule of the EBMT, from daily counts."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition
from ahsct.outcomes.survival import AS_OBSERVED
from ahsct.tables import Study
from ahsct.vocabulary import TIME_TO_EVENT, conform

BY_COUNTS = "derived from daily counts"
BY_CENTRE = "as recorded by the centre"
_CELLS = {"neutrophil": "neutrophils", "platelet": "platelets"}


def derive_engraftment(
    study: Study, timeline: pl.DataFrame, definition: Definition
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return time to engraftment (schema TIME_TO_EVENT), and where each engraftment day comes from.

    Engraftment is the first of so many consecutive days with a count at or above the level, each day
    with a value (the lowest of the day decides), after the count had fallen below the level on or after
    the day of infusion. Platelets also need no platelet transfusion on so many days before the first of
    these days, nor on them; a transfusion shows like a low count that there was something to recover
    from. Without counts, the day recorded by the centre is taken. Death competes. Without engraftment a
    patient is censored at the last count before a second infusion.

    Not evaluable, with the reason: counts that never fell, counts that are not daily, platelets without
    a table of transfusions, neither counts nor a recorded day. A death later than so many days after the
    last count competes no more: engraftment may have gone before it unseen.

    Returns
    -------
    tuple of pl.DataFrame
        The rows, by endpoint and patient in the timeline's order; and `patient_id`, `endpoint`, `day`
        [days from infusion], `origin` for each engraftment.

    References
    ----------
    EBMT data collection: neutrophils 0.5 x 10^9/L on the first of 3 consecutive days; platelets
    20 x 10^9/L on the first of 3 consecutive days, 7 days without transfusion.
    """
    rows, origins = [], []
    for name in _CELLS:
        found = _engrafted(study, timeline, definition, name)
        rule = definition.engraftment
        n_days = rule.neutrophil_days_n if name == "neutrophil" else rule.platelet_days_n
        table = _rows(found, definition, f"{name}_engraftment", n_days)
        engrafted = table.filter(pl.col("cause") == "engrafted").select("patient_id")
        rows.append(table)
        origins.append(
            found.join(engrafted, on="patient_id", how="semi", maintain_order="left").select(
                "patient_id", pl.lit(f"{name}_engraftment").alias("endpoint"), "day", "origin"
            )
        )
    return pl.concat(rows), pl.concat(origins)


def _engrafted(study: Study, timeline: pl.DataFrame, definition: Definition, name: str) -> pl.DataFrame:
    """Return each infused patient's engraftment day, its origin, the last count, and what is lacking."""
    recorded = f"{name}_engraftment_day"
    centre = (
        study.table("transplants", ["patient_id", "infusion_day", recorded])
        .drop_nulls("infusion_day")
        .sort("patient_id", "infusion_day")
        .unique("patient_id", keep="first", maintain_order=True)
        .select("patient_id", (pl.col(recorded) - pl.col("infusion_day")).alias("_recorded"))
    )
    people = timeline.filter("is_infused")
    counts = _daily(study, people, _CELLS[name])
    rule = definition.engraftment
    if name == "neutrophil":
        level, n_days = rule.neutrophils_e9_per_l, rule.neutrophil_days_n
        lows = counts.filter(pl.col("value") < level)
        barred = counts.select("patient_id", "day").clear()
    else:
        level, n_days = rule.platelets_e9_per_l, rule.platelet_days_n
        given = _transfusion_days(study, people)
        low_counts = counts.filter(pl.col("value") < level).select("patient_id", "day")
        lows = pl.concat([low_counts, given.filter(pl.col("day") >= 0)])
        # the first of the days may not come so soon after a transfusion, and none may fall on the days
        offsets = pl.DataFrame({"_offset": range(-(n_days - 1), rule.platelet_transfusion_free_days + 1)})
        barred = (
            given.join(offsets, how="cross")
            .select("patient_id", (pl.col("day") + pl.col("_offset")).alias("day"))
            .unique()
        )
    fell = lows.group_by("patient_id").agg(pl.col("day").min().alias("_fell"))
    runs = _runs(counts, n_days).join(fell, on="patient_id", how="left", maintain_order="left")
    after = runs.filter((pl.col("day") > pl.col("_fell")).fill_null(False))
    first = (
        after.filter(pl.col("_lowest") >= level)
        .join(barred, on=["patient_id", "day"], how="anti", maintain_order="left")
        .group_by("patient_id")
        .agg(pl.col("day").min().alias("_derived"))
    )
    last = counts.group_by("patient_id").agg(pl.col("day").max().alias("last_count_day"))
    since = runs.filter((pl.col("day") >= pl.col("_fell")).fill_null(False))
    is_daily = since.select("patient_id", pl.lit(True).alias("_is_daily")).unique()
    table = people
    for part in (centre, fell, first, last, is_daily):
        table = table.join(part, on="patient_id", how="left", maintain_order="left")
    lacks_transfusions = name == "platelet" and "transfusions" not in study.tables
    has_counts = pl.col("last_count_day").is_not_null() & (not lacks_transfusions)
    lacking = pl.coalesce(
        pl.when(~has_counts & pl.col("last_count_day").is_not_null()).then(
            pl.lit("the study has no table of transfusions, and no recorded day")
        ),
        pl.when(~has_counts).then(pl.lit(f"no counts of {_CELLS[name]} and no recorded day")),
        pl.when(pl.col("_fell").is_null()).then(
            pl.lit(f"{_CELLS[name]} never seen below {level:g} x 10^9/L")
        ),
        pl.when(pl.col("_is_daily").is_null()).then(
            pl.lit(f"no {n_days} consecutive days with a count of {_CELLS[name]} after it fell")
        ),
    )
    derived = pl.when(has_counts).then("_derived")
    recorded_day = pl.when(~has_counts).then("_recorded")
    return table.with_columns(
        pl.coalesce(derived, recorded_day).alias("day"),
        pl.when(derived.is_not_null())
        .then(pl.lit(BY_COUNTS))
        .when(recorded_day.is_not_null())
        .then(pl.lit(BY_CENTRE))
        .alias("origin"),
        pl.when(pl.coalesce(derived, recorded_day).is_null()).then(lacking).alias("lacking"),
    )


def _daily(study: Study, people: pl.DataFrame, test: str) -> pl.DataFrame:
    """Return the lowest count of each day from the infusion to a second one, in 10^9/L."""
    return (
        study.table("labs", ["patient_id", "sample_day", "test", "value", "unit"])
        # a row without test, unit, value or day is no count of this kind
        .filter((pl.col("test") == test) & (pl.col("unit") == "10^9/L"))
        .drop_nulls(["sample_day", "value"])
        .join(
            people.select("patient_id", "infusion_day", "second_infusion_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .filter(
            (pl.col("sample_day") >= pl.col("infusion_day"))
            & (
                pl.col("second_infusion_day").is_null()
                | (pl.col("sample_day") < pl.col("second_infusion_day"))
            )
        )
        .group_by("patient_id", (pl.col("sample_day") - pl.col("infusion_day")).alias("day"))
        .agg(pl.col("value").min())
        .sort("patient_id", "day")
    )


def _transfusion_days(study: Study, people: pl.DataFrame) -> pl.DataFrame:
    return (
        study.table("transfusions", ["patient_id", "transfusion_day", "product"])
        .filter(pl.col("product") == "platelets")  # a row without a product is no platelet transfusion
        .join(
            people.select("patient_id", "infusion_day"), on="patient_id", how="inner", maintain_order="left"
        )
        .select("patient_id", (pl.col("transfusion_day") - pl.col("infusion_day")).alias("day"))
        .drop_nulls("day")
        .unique()
        .sort("patient_id", "day")
    )


def _runs(counts: pl.DataFrame, n_days: int) -> pl.DataFrame:
    """Return each day that begins `n_days` consecutive days with a value, and their lowest value."""
    last = pl.col("day").shift(-(n_days - 1)).over("patient_id")
    lowest = pl.min_horizontal(pl.col("value").shift(-step).over("patient_id") for step in range(n_days))
    return (
        counts.with_columns(last.alias("_last"), lowest.alias("_lowest"))
        .filter(pl.col("_last") - pl.col("day") == n_days - 1)
        .select("patient_id", "day", "_lowest")
    )


def _rows(found: pl.DataFrame, definition: Definition, endpoint: str, n_days: int) -> pl.DataFrame:
    death = pl.col("death_day") - pl.col("infusion_day")
    is_engrafted = pl.col("day").is_not_null() & (death.is_null() | (pl.col("day") <= death))
    # so soon after the last count that no engraftment could have shown in between
    dies_first = ~is_engrafted & (death <= pl.col("last_count_day") + n_days).fill_null(False)
    unknown = pl.when(~is_engrafted & ~dies_first).then("lacking")
    day = pl.when(is_engrafted).then("day").when(dies_first).then(death).otherwise("last_count_day")
    day = pl.when(unknown.is_null()).then(day).otherwise(0)
    is_event = (is_engrafted | dies_first) & unknown.is_null()
    return conform(
        found.select(
            "patient_id",
            "arm",
            pl.lit(endpoint).alias("endpoint"),
            pl.lit("composite").alias("component"),
            pl.lit(definition.id).alias("definition"),
            pl.lit(AS_OBSERVED).alias("estimand"),
            pl.lit("infused").alias("population"),
            pl.lit(0).alias("entry_day"),
            day.alias("left_day"),
            pl.when(is_event).then(day).alias("right_day"),
            day.alias("time_day"),
            is_event.alias("is_event"),
            pl.when(is_event & is_engrafted)
            .then(pl.lit("engrafted"))
            .when(is_event)
            .then(pl.lit("death"))
            .alias("cause"),
            pl.lit(True).alias("cause_is_certain"),
            pl.when(unknown.is_null() & ~is_event).then(day).alias("last_negative_day"),
            death.alias("death_day"),
            unknown.is_null().alias("is_evaluable"),
            pl.coalesce(unknown, pl.when(~is_event).then(pl.lit("last count"))).alias("censor_reason"),
        ),
        TIME_TO_EVENT,
    )
