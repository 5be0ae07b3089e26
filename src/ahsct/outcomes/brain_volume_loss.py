"""Loss of brain volume since the re-baseline, as an event (NEDA-4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl

from ahsct.definitions import (
    BrainVolumeLossRule,
    RebaselineWindow,
    healthy_at,
    healthy_limit,
    load_norm,
    rule_hash,
)
from ahsct.outcomes.ages import AGE_COLUMNS, ages_on
from ahsct.outcomes.rebaseline import pick_rebaseline
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR, EVENTS, conform, empty

_ROUNDING = 1e-9  # a loss of exactly the limit is no event, also where it comes out as 0.4000000000000001
_VOLUMES = pl.Schema(
    {
        "patient_id": pl.String(),
        "day": pl.Int64(),
        "rebaseline_day": pl.Int64(),
        "is_comparable": pl.Boolean(),
        "loss": pl.Float64(),
        "limit": pl.Float64(),
        "is_loss": pl.Boolean(),
        "row": pl.Int64(),
        "rebaseline_row": pl.Int64(),
    }
)


class Volume(NamedTuple):
    """One volume: `ratio` to the volume on the patient's `root`; two volumes compare when they share it."""

    root: Any
    ratio: float
    row: int | None


def judge_volumes(
    study: Study, timeline: pl.DataFrame, *, rule: BrainVolumeLossRule, window: RebaselineWindow
) -> pl.DataFrame:
    """Return each volume from the re-baseline on, with its loss since then and whether that is an event.

    The re-baseline volume is picked by the window of the MRI re-baseline among the days with a volume; a
    scan that a percentage refers to is a volume too, whether or not it has a row. Percentages are followed
    from reference to reference (compounded, never added). Volumes that share no reference scan, and
    volumes in ml by different software, cannot be compared.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `day` and `rebaseline_day` [days from time zero], `is_comparable`, `loss` [percent, or
        percent per year, losses positive] beside its `limit`, `is_loss` (missing: not judged, because it is
        not comparable, comes too early, or lies outside the ages of the norm; on the re-baseline day:
        false), `row`, `rebaseline_row`; sorted by patient and day. Patients without a re-baseline volume
        have no row.

    Examples
    --------
    From -2.0 % on day 180 to -2.6 % on day 545, both since day -30, volume falls from 98.0 to 97.4: by 0.612 %
    in 365 days, which is more than 0.4 % a year. From -30 on it would be 2.6 %, most of it the early drop:

    >>> from ahsct.tables import make_study
    >>> study = make_study("s", data_kind="simulated", patients=pl.DataFrame({"patient_id": ["a"]}),
    ...     visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0]}),
    ...     brain_volume=pl.DataFrame({"patient_id": ["a"] * 2, "scan_day": [180, 545], "measure": ["PBVC"] * 2,
    ...                                "value": [-2.0, -2.6], "reference_scan_day": [-30, -30]}))
    >>> judged = judge_volumes(study, pl.DataFrame({"patient_id": ["a"], "time_zero_day": [0]}),
    ...     rule=BrainVolumeLossRule(max_loss_pct_per_year=0.4),
    ...     window=RebaselineWindow(target_day=183, window_days=(122, 274)))
    >>> judged.select("day", pl.col("loss").round(3), "limit", "is_loss").rows()
    [(180, None, None, False), (545, 0.613, 0.4, True)]
    """
    people = timeline.drop_nulls("time_zero_day").select("patient_id", "time_zero_day")
    table = (
        study.table(
            "brain_volume",
            ["patient_id", "scan_day", "measure", "value", "reference_scan_day", "software", "row"],
        )
        .filter(pl.col("measure") == rule.measure)  # a row without a measure is no such volume
        .drop_nulls(["scan_day", "value"])
        .join(people, on="patient_id", how="inner", maintain_order="left")
        .sort("patient_id", "scan_day", "row")
    )
    born = study.table("patients", ["patient_id", *AGE_COLUMNS]).unique(
        "patient_id", keep="first", maintain_order=True
    )
    ages = people.join(born, on="patient_id", how="left", maintain_order="left").select(
        "patient_id", "time_zero_day", pl.coalesce(ages_on(pl.col("time_zero_day"))).alias("age")
    )
    volumes = {
        patient: _volumes(own, rule)
        for (patient,), own in table.partition_by("patient_id", as_dict=True, maintain_order=True).items()
    }
    days = pl.DataFrame(
        [(patient, day) for patient, own in volumes.items() for day in own],
        schema={"patient_id": pl.String(), "day": pl.Int64()},
        orient="row",
    )
    picked = pick_rebaseline(
        days.join(people, on="patient_id", how="inner", maintain_order="left").with_columns(
            pl.col("day") - pl.col("time_zero_day")
        ),
        window=replace(window, if_missing="not_evaluable"),
    ).join(ages, on="patient_id", how="inner", maintain_order="left")
    norm = None if rule.norm is None else load_norm(rule.norm)
    rows = [
        row
        for patient, first, zero, age in picked.select(
            "patient_id", "day", "time_zero_day", "age"
        ).iter_rows()
        for row in _judged(patient, first, zero, age, volumes[patient], rule, norm)
    ]
    return pl.DataFrame(rows, schema=_VOLUMES, orient="row").sort("patient_id", "day")


def loss_events(volumes: pl.DataFrame, *, rule: BrainVolumeLossRule, timeline: pl.DataFrame) -> pl.DataFrame:
    """Return the losses among judged volumes (schema EVENTS), on the study's axis of days.

    `left_day` is the last volume before that was judged without a loss, else the re-baseline; `value_after`
    is the loss [percent, or percent per year, losses positive].
    """
    if volumes.is_empty():
        return empty(EVENTS)
    negative = pl.when(~pl.col("is_loss")).then("day")
    found = (
        volumes.with_columns(negative.forward_fill().shift(1).over("patient_id").alias("left_day"))
        .filter("is_loss")
        .join(
            timeline.select("patient_id", "time_zero_day"),
            on="patient_id",
            how="inner",
            maintain_order="left",
        )
        .with_columns(pl.col("day", "left_day", "rebaseline_day") + pl.col("time_zero_day"))
    )
    sources = (("row", "volume"), ("rebaseline_row", "rebaseline"))
    events = found.select(
        "patient_id",
        pl.format(
            "{}/brain_volume_loss/{}", "patient_id", pl.int_range(1, pl.len() + 1).over("patient_id")
        ).alias("event_id"),
        pl.lit("brain_volume_loss").alias("kind"),
        pl.lit(rule.measure).alias("measure"),
        pl.lit("worsening").alias("direction"),
        "day",
        "left_day",
        pl.col("rebaseline_day").alias("baseline_day"),
        pl.col("loss").alias("value_after"),
        pl.concat_list(pl.format(f"brain_volume:{{}}:{role}", name) for name, role in sources)
        .list.drop_nulls()
        .alias("sources"),
        pl.lit(rule_hash(rule)).alias("rule_hash"),
    )
    return conform(events, EVENTS)


def _volumes(own: pl.DataFrame, rule: BrainVolumeLossRule) -> dict[int, Volume]:
    """Return the volumes of one patient by day, on the study's axis."""
    found: dict[int, Volume] = {}
    for row in own.iter_rows(named=True):
        day, value = row["scan_day"], row["value"]
        if rule.measure != "PBVC":
            found[day] = Volume(("ml", row["software"]), value, row["row"])
            continue
        reference = row["reference_scan_day"]
        if value == 0 and (reference is None or reference == day):
            found[day] = Volume(day, 1.0, row["row"])
        elif reference is None or reference >= day:
            found[day] = Volume(("unknown", day), 1.0, row["row"])
        else:
            before = found.setdefault(reference, Volume(reference, 1.0, None))
            found[day] = Volume(before.root, before.ratio * (1 + value / 100), row["row"])
    return found


def _judged(
    patient: str,
    first: int,
    zero: int,
    age: float | None,
    volumes: dict[int, Volume],
    rule: BrainVolumeLossRule,
    norm: pl.DataFrame | None,
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of one patient; `first` is the re-baseline, in days from time zero, `age` that on time zero."""
    start = volumes[first + zero]
    for day in sorted(day - zero for day in volumes if day - zero >= first):
        volume = volumes[day + zero]
        is_comparable = volume.root == start.root and start.ratio > 0
        years = (day - first) / DAYS_PER_YEAR
        loss = limit = is_loss = None
        if day == first:
            is_loss = False
        elif is_comparable:
            total = 100 * (1 - volume.ratio / start.ratio)
            loss = total if rule.criterion == "fixed" else total / years
            limit = _limit(rule, norm, None if age is None else age + (first + day) / 2 / DAYS_PER_YEAR)
            if limit is not None and day - first >= rule.min_interval_days:
                is_loss = loss > limit + _ROUNDING
        yield patient, day, first, is_comparable, loss, limit, is_loss, volume.row, start.row


def _limit(rule: BrainVolumeLossRule, norm: pl.DataFrame | None, age: float | None) -> float | None:
    """Return the greatest loss that is no event, positive; None where the norm says nothing of this age."""
    if norm is None:
        return rule.max_loss_pct if rule.criterion == "fixed" else rule.max_loss_pct_per_year
    if age is None and norm["age_years"].null_count() == 0:
        return None
    healthy = healthy_at(norm, 0.0 if age is None else age)
    limit = None if healthy is None else healthy_limit(healthy)
    return None if limit is None else -limit
