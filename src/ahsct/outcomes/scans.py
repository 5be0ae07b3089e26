"""What an MRI rule sees on each scan."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import MriRule
from ahsct.vocabulary import require_columns

_LESIONS = {"gd": "gd_n", "new_t2": "new_t2_n", "enlarging_t2": "enlarging_t2_n"}


def read_scans(mri: pl.DataFrame, *, rule: MriRule) -> pl.DataFrame:
    """Return one row per patient and scan day: what the rule sees on it.

    A missing count is not zero: where a kind of lesion that the rule asks for was not counted, the scan
    is active only if the other kinds suffice, and is never negative. Where a registry gives a category,
    the lowest count decides activity and the highest one absence. Scans of one day (brain and spine) are
    read together.

    With `reference = "rebaseline"` and the context column, a new or enlarging T2 lesion counts only where
    its reference scan lies on or after the re-baseline scan. A missing reference means the patient's
    previous scan, as readers do. No new lesion since an older reference is none since the re-baseline;
    some since an older one leave the scan not assessed, except on the re-baseline scan itself, where only
    gadolinium counts.

    Parameters
    ----------
    mri
        `patient_id`, `scan_day`, the counts with their `_min`/`_max` twins, `reference_scan_day`, `row`;
        optional context, one value per patient: `time_zero_day` (absent = 0), `rebaseline_scan_day`
        (column absent: no re-baseline is used; value missing: this patient has none and no scan counts).

    Returns
    -------
    pl.DataFrame
        `patient_id`, `scan_day`, `time_zero_day`, `is_counted` (on or after re-baseline and
        `not_before_day`, and after time zero), `status` (active, negative, not_assessed) and `lesions_min`
        under the rule, `status_as_read` and `lesions_as_read` by the reader's counts alone, `is_read`
        (any of the kinds was counted), `gd_n`, `rows`, `reference_rows`; sorted by patient and day.
    """
    require_columns("read_scans", "mri", mri, ["patient_id", "scan_day"])
    uses_rebaseline = rule.reference == "rebaseline" and "rebaseline_scan_day" in mri.columns
    counts = [f"{column}{twin}" for column in _LESIONS.values() for twin in ("", "_min", "_max")]
    scans = with_defaults(
        mri,
        {"time_zero_day": 0, "rebaseline_scan_day": None, "reference_scan_day": None, "row": None}
        | dict.fromkeys(counts),
    ).drop_nulls("scan_day")
    scans = _with_reference(scans.sort("patient_id", "scan_day", "row"))
    first_day = pl.col("rebaseline_scan_day") if uses_rebaseline else pl.lit(None, dtype=pl.Int64)
    scans = scans.with_columns(
        *(_bounds(kind, first_day if kind != "gd" and uses_rebaseline else None) for kind in rule.lesions)
    ).unnest(*rule.lesions)
    since_zero = pl.col("scan_day") - pl.col("time_zero_day")
    not_before = 1 if rule.not_before_day is None else rule.not_before_day
    is_counted = since_zero >= not_before
    if uses_rebaseline:
        is_counted &= pl.col("scan_day") >= pl.col("rebaseline_scan_day")
    low, high, as_read_low, as_read_high = (
        [pl.col(f"{kind}_{bound}") for kind in rule.lesions]
        for bound in ("low", "high", "read_low", "read_high")
    )
    by_scan = scans.with_columns(
        _total(low, skip_missing=True).alias("lesions_min"),
        _total(high, skip_missing=False).alias("_max"),
        _total(as_read_low, skip_missing=True).alias("lesions_as_read"),
        _total(as_read_high, skip_missing=False).alias("_read_max"),
        pl.any_horizontal(value.is_not_null() for value in as_read_low).alias("_any"),
        pl.coalesce("gd_n", pl.when(pl.col("gd_n_min") == pl.col("gd_n_max")).then("gd_n_min")).alias("gd_n"),
        is_counted.fill_null(False).alias("is_counted"),
    )
    by_day = by_scan.group_by("patient_id", "scan_day", maintain_order=True).agg(
        pl.col("time_zero_day", "is_counted").first(),
        pl.col("lesions_min", "lesions_as_read").sum(),
        *(
            pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name)
            for name in ("_max", "_read_max")
        ),
        pl.col("_any").any(),
        pl.when(pl.col("gd_n").count() > 0).then(pl.col("gd_n").sum()).alias("gd_n"),
        pl.col("row").drop_nulls().alias("rows"),
        pl.col("_reference_row").drop_nulls().unique(maintain_order=True).alias("reference_rows"),
    )
    return by_day.with_columns(
        _status("lesions_min", "_max", rule.min_lesions_n).alias("status"),
        _status("lesions_as_read", "_read_max", rule.min_lesions_n).alias("status_as_read"),
    ).select(
        "patient_id",
        "scan_day",
        "time_zero_day",
        "is_counted",
        "status",
        "lesions_min",
        "status_as_read",
        "lesions_as_read",
        pl.col("_any").alias("is_read"),
        "gd_n",
        "rows",
        "reference_rows",
    )


def _with_reference(scans: pl.DataFrame) -> pl.DataFrame:
    """Add each scan's reference scan (stated, else the patient's previous one) and where it stands."""
    days = (
        scans.select("patient_id", "scan_day", "row")
        .unique(["patient_id", "scan_day"], keep="first", maintain_order=True)
        .with_columns(pl.col("scan_day").shift(1).over("patient_id").alias("_previous"))
    )
    rows = days.select(
        "patient_id", pl.col("scan_day").alias("_reference_day"), pl.col("row").alias("_reference_row")
    )
    return (
        scans.join(days.drop("row"), on=["patient_id", "scan_day"], how="left", maintain_order="left")
        .with_columns(pl.coalesce("reference_scan_day", "_previous").alias("_reference_day"))
        .join(rows, on=["patient_id", "_reference_day"], how="left", maintain_order="left")
    )


def _bounds(kind: str, rebaseline: pl.Expr | None) -> pl.Expr:
    """Lowest and highest number of lesions of one kind, as read and as the rule counts them."""
    name = _LESIONS[kind]
    read_low = pl.coalesce(name, f"{name}_min")
    read_high = pl.coalesce(name, f"{name}_max")
    low, high = read_low, read_high
    if rebaseline is not None:
        is_later = (pl.col("_reference_day") >= rebaseline).fill_null(False)
        none_since = read_high == 0
        low = pl.when(is_later).then(read_low).when(none_since).then(0)
        high = pl.when(is_later).then(read_high).when(none_since).then(0)
        on_rebaseline = pl.col("scan_day") == rebaseline
        low = pl.when(on_rebaseline).then(0).otherwise(low)
        high = pl.when(on_rebaseline).then(0).otherwise(high)
    return pl.struct(
        low.alias(f"{kind}_low"),
        high.alias(f"{kind}_high"),
        read_low.alias(f"{kind}_read_low"),
        read_high.alias(f"{kind}_read_high"),
    ).alias(kind)


def _total(values: list[pl.Expr], *, skip_missing: bool) -> pl.Expr:
    return pl.sum_horizontal(values, ignore_nulls=skip_missing)


def _status(low: str, high: str, least: int) -> pl.Expr:
    return (
        pl.when(pl.col(low) >= least)
        .then(pl.lit("active"))
        .when(pl.col(high) < least)
        .then(pl.lit("negative"))
        .otherwise(pl.lit("not_assessed"))
    )


def with_defaults(frame: pl.DataFrame, defaults: dict[str, int | None]) -> pl.DataFrame:
    """Return the frame with absent columns added: whole numbers, or flags where the name says so."""
    return frame.with_columns(
        pl.lit(value, dtype=pl.Boolean if name.startswith("confirmed") else pl.Int64).alias(name)
        for name, value in defaults.items()
        if name not in frame.columns
    )
