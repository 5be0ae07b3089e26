"""Whether there was MRI activity around a change of disability."""

from __future__ import annotations

import polars as pl

WINDOW_DAYS = 90


def with_mri_activity(events: pl.DataFrame, scans: pl.DataFrame) -> pl.DataFrame:
    """Fill `mri_activity` of disability events.

    `present`: a scan that is active under the MRI rule lies within 90 days of the event (both ends
    included). `none`: no such scan, and one without activity lies in that window, or the last readable
    scan before it and the first after it surround it and the later one, which sees what is new since the
    earlier, shows none. `not_assessed` otherwise. Only scans that the MRI rule
    counts are looked at (`scans` as `read_scans` gives them).
    """
    scans = scans.filter(pl.col("is_counted") & (pl.col("status") != "not_assessed")).select(
        "patient_id", pl.col("scan_day").alias("_scan"), (pl.col("status") == "active").alias("_active")
    )
    changes = events.filter(pl.col("kind") == "disability").select("event_id", "patient_id", "day")
    pairs = changes.join(scans, on="patient_id", how="inner", maintain_order="left")
    distance = pl.col("_scan") - pl.col("day")
    near = distance.abs() <= WINDOW_DAYS
    is_next = distance > 0
    around = pairs.group_by("event_id", maintain_order=True).agg(
        (near & pl.col("_active")).any().alias("_present"),
        near.any().alias("_near"),
        (distance <= 0).any().alias("_before"),
        (~pl.col("_active"))
        .filter(is_next)
        .sort_by(pl.col("_scan").filter(is_next))
        .first()
        .alias("_next_is_free"),
    )
    state = (
        pl.when(pl.col("_present").fill_null(False))
        .then(pl.lit("present"))
        .when((pl.col("_near") | (pl.col("_before") & pl.col("_next_is_free"))).fill_null(False))
        .then(pl.lit("none"))
        .otherwise(pl.lit("not_assessed"))
    )
    filled = events.join(around, on="event_id", how="left", maintain_order="left").with_columns(
        pl.when(pl.col("kind") == "disability").then(state).otherwise("mri_activity").alias("mri_activity")
    )
    return filled.select(events.columns)
