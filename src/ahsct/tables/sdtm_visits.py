"""What the rows of one SDTM visit or scan tell each other: its time, and the place that was imaged."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.tables.sdtm_seen import took_place

_EXAMINATIONS = ("QS", "RS", "FT", "NV", "MO", "LB", "SS")
_SCANS = ("NV", "MO")


def with_visit_times(domains: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return examinations that bear neither a whole date nor a study day with those of their visit in SV.

    A visit is found by USUBJID and VISITNUM, took place, starts on one day only, and agrees with what an examination's
    partial date says; the column SVTIME says "Y" where its time was taken.
    """
    made = dict(domains)
    visits = made.get("SV")
    if visits is None or not {"USUBJID", "VISITNUM"} <= set(visits.columns):
        return made
    times = [name for name in ("SVSTDTC", "SVSTDY") if name in visits.columns]
    if not times:
        return made
    number = pl.col("VISITNUM").cast(pl.Float64, strict=False).alias("_visit")
    known = (
        visits.filter(took_place(visits))
        .select("USUBJID", number, *(pl.col(name).cast(pl.String).alias(f"_{name}") for name in times))
        .drop_nulls("_visit")
        .unique(maintain_order=True)
    )
    known = known.filter(~pl.struct("USUBJID", "_visit").is_duplicated())
    for name in _EXAMINATIONS:
        frame = made.get(name)
        if frame is None or not {"USUBJID", "VISITNUM"} <= set(frame.columns):
            continue
        own = [column for column in (f"{name}DTC", f"{name}DY") if column in frame.columns]
        date, day = (pl.col(c) if c in own else pl.lit(None) for c in (f"{name}DTC", f"{name}DY"))
        said = date.cast(pl.String).str.strip_chars().replace("", None)
        is_whole = said.str.contains(r"^\d{4}-\d{2}-\d{2}").fill_null(False)
        is_timed = is_whole | day.cast(pl.Float64, strict=False).is_not_null()
        if own and frame.select(is_timed.all()).item():
            continue
        frame = frame.with_columns(number).join(
            known, on=["USUBJID", "_visit"], how="left", maintain_order="left"
        )
        # a date known in part must agree with that of the visit
        agrees = said.is_null() | (pl.col("_SVSTDTC").str.starts_with(said) if "SVSTDTC" in times else False)
        is_found = pl.any_horizontal(pl.col([f"_{time}" for time in times]).is_not_null())
        found = ~is_timed & is_found & agrees.fill_null(False)
        taken = [
            pl.when(found).then(f"_SVST{ending}").otherwise(pl.col(f"{name}{ending}").cast(pl.String) if f"{name}{ending}" in own else None)
            .alias(f"{name}{ending}")
            for ending in ("DTC", "DY") if f"SVST{ending}" in times
        ]  # fmt: skip
        frame = frame.with_columns(*taken, pl.when(found).then(pl.lit("Y")).alias("SVTIME"))
        made[name] = frame.drop("_visit", *(f"_{time}" for time in times))
    return made


def with_one_place(domains: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return scans in which a row without a location has that of the other rows of the scan, if it is one only.

    Rows of one subject on one day are one scan; lesions counted at two sites stay two rows of it.
    """
    made = dict(domains)
    for name in _SCANS:
        frame, place = made.get(name), f"{name}LOC"
        if frame is None or not {"USUBJID", place} <= set(frame.columns):
            continue
        scan = [
            "USUBJID",
            *(
                pl.col(c).cast(pl.String).str.slice(0, 10)
                for c in (f"{name}DTC", f"{name}DY")
                if c in frame.columns
            ),
        ]
        text = pl.col(place).cast(pl.String).str.strip_chars().replace("", None)
        alone = pl.when(text.drop_nulls().n_unique().over(scan) == 1).then(
            text.drop_nulls().first().over(scan)
        )
        made[name] = frame.with_columns(pl.coalesce(text, alone).alias(place))
    return made
