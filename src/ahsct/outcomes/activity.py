"""Relapses and MRI activity as events."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import MriRule, RelapseRule, rule_hash
from ahsct.outcomes.scans import read_scans, with_defaults
from ahsct.vocabulary import EVENTS, conform, require_columns


def derive_relapses(relapses: pl.DataFrame, *, rule: RelapseRule) -> pl.DataFrame:
    """Return the relapses that count (schema EVENTS).

    Onsets nearer than `min_gap_days` to the onset before them belong to the same relapse, which keeps
    its first day, also when that day lies before time zero. With `confirmed_by_examiner` only a stated
    "yes" counts: missing is not confirmed. A relapse without an onset day cannot be placed and is no event.

    Parameters
    ----------
    relapses
        `patient_id`, `onset_day` [days], optionally `confirmed_by_examiner`, `row`, and
        `time_zero_day` [days, one value per patient; absent = 0], from which `not_before_day` counts;
        a patient whose time zero is missing has no event.

    Examples
    --------
    Days 10 and 30 are 20 days apart, so one relapse with a gap of 30 days; day 90 is a second one:

    >>> table = pl.DataFrame({"patient_id": ["a", "a", "a"], "onset_day": [90, 10, 30]})
    >>> derive_relapses(table, rule=RelapseRule(min_gap_days=30))["day"].to_list()
    [10, 90]
    """
    kept = distinct_relapses(relapses, rule=rule).filter(
        pl.col("onset_day") - pl.col("time_zero_day") >= rule.not_before_day
    )
    events = kept.select(
        "patient_id",
        pl.lit("relapse").alias("kind"),
        pl.lit("relapse").alias("measure"),
        pl.col("onset_day").alias("day"),
        pl.col("rows")
        .list.eval(pl.format("relapses:{}:relapse", pl.element()), parallel=False)
        .alias("sources"),
    )
    return _numbered(events, "relapse", rule_hash(rule))


def distinct_relapses(relapses: pl.DataFrame, *, rule: RelapseRule) -> pl.DataFrame:
    """Return one row per relapse of the whole history: patient, onset, time zero, source rows.

    The examiner's confirmation and the least gap are applied, `not_before_day` is not.
    """
    require_columns("derive_relapses", "relapses", relapses, ["patient_id", "onset_day"])
    table = with_defaults(relapses, {"time_zero_day": 0, "row": None, "confirmed_by_examiner": None})
    if rule.confirmed_by_examiner:
        table = table.filter(pl.col("confirmed_by_examiner").fill_null(False))
    table = table.drop_nulls("onset_day").sort("patient_id", "onset_day", "row")
    starts = pl.col("onset_day").diff().over("patient_id").fill_null(rule.min_gap_days) >= rule.min_gap_days
    return (
        table.with_columns(starts.cum_sum().alias("_relapse"))
        .group_by("patient_id", "_relapse", maintain_order=True)
        .agg(
            pl.col("onset_day", "time_zero_day").first(),
            pl.col("row").drop_nulls().alias("rows"),
        )
        .drop("_relapse")
    )


def derive_mri_activity(mri: pl.DataFrame, *, rule: MriRule) -> pl.DataFrame:
    """Return the active scans (schema EVENTS); how each scan is read stands in `read_scans`.

    `left_day` is the last earlier counted scan that shows no activity.

    Examples
    --------
    The re-baseline scan is on day 90. The lesion on day 30 came before it; the one on day 200 is
    counted against day 90:

    >>> mri = pl.DataFrame({
    ...     "patient_id": ["a"] * 3, "scan_day": [30, 90, 200], "new_t2_n": [2, 0, 1], "gd_n": [0, 0, 0],
    ...     "reference_scan_day": [-20, -20, 90], "rebaseline_scan_day": [90] * 3})
    >>> events = derive_mri_activity(mri, rule=MriRule(lesions=("gd", "new_t2")))
    >>> events.select("day", "left_day", "value_after").rows()
    [(200, 90, 1.0)]
    """
    return mri_events(read_scans(mri, rule=rule), rule=rule)


def mri_events(scans: pl.DataFrame, *, rule: MriRule) -> pl.DataFrame:
    """Return the active ones among scans that `read_scans` has read under the same rule."""
    scans = scans.filter("is_counted")
    negative_day = pl.when(pl.col("status") == "negative").then("scan_day")
    left = negative_day.forward_fill().shift(1).over("patient_id")
    events = (
        scans.with_columns(left.alias("left_day"))
        .filter(pl.col("status") == "active")
        .select(
            "patient_id",
            pl.lit("mri_activity").alias("kind"),
            pl.lit("mri").alias("measure"),
            pl.col("scan_day").alias("day"),
            "left_day",
            pl.col("lesions_min").cast(pl.Float64).alias("value_after"),
            pl.concat_list(
                pl.col("rows").list.eval(pl.format("mri:{}:scan", pl.element())),
                pl.col("reference_rows").list.eval(pl.format("mri:{}:reference", pl.element())),
            ).alias("sources"),
        )
    )
    return _numbered(events, "mri_activity", rule_hash(rule))


def _numbered(events: pl.DataFrame, component: str, hash_of_rule: str) -> pl.DataFrame:
    numbered = events.sort("patient_id", "day", maintain_order=True).with_columns(
        pl.format(
            "{}/{}/{}", "patient_id", pl.lit(component), pl.int_range(1, pl.len() + 1).over("patient_id")
        ).alias("event_id"),
        pl.lit("worsening").alias("direction"),
        pl.lit(hash_of_rule).alias("rule_hash"),
    )
    return conform(numbered, EVENTS).sort("patient_id", "day", "event_id", maintain_order=True)
