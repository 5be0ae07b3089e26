"""Dates of the subject beside the rows of SDTM domains whose meaning depends on them."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.tables.sdtm_seen import took_place, whole_date

_INFUSION = "infusion|transplantation"


def with_subject_dates(domains: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return domains with further columns: LSTDTC, RFSTDTC, DIAGDTC and DAYSTOHCT.

    LSTDTC (the last contact) in DM, DS and CE, RFSTDTC and DIAGDTC (the diagnosis as MH gives it) in MH. DAYSTOHCT in
    EX and CM: days from the start of a drug to the subject's next stem cell infusion in PR, on or after it.
    """
    made = dict(domains)
    if "DM" in made and "LSTDTC" in made.get("LASTSEEN", pl.DataFrame()).columns:
        seen = made["LASTSEEN"].select("USUBJID", "LSTDTC")
        for name in ("DM", "DS", "CE"):
            made = _joined(made, name, seen)
    if "DM" in made and {"USUBJID", "RFSTDTC"} <= set(made["DM"].columns):
        made = _joined(made, "MH", made["DM"].select("USUBJID", "RFSTDTC"))
    history = made.get("MH", pl.DataFrame())
    if {"USUBJID", "MHCAT", "MHSTDTC"} <= set(history.columns):
        is_diagnosis = pl.col("MHCAT").str.to_uppercase().is_in(["PRIMARY DIAGNOSIS", "DIAGNOSIS"])
        dates = history.filter(is_diagnosis).group_by("USUBJID", maintain_order=True)
        made = _joined(made, "MH", dates.agg(pl.col("MHSTDTC").drop_nulls().min().alias("DIAGDTC")))
    for name in ("EX", "CM"):
        made = _with_days_to_infusion(made, name)
    return made


def _joined(domains: dict[str, pl.DataFrame], name: str, facts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    frame = domains.get(name)
    if frame is None or "USUBJID" not in frame.columns:
        return domains
    facts = facts.drop([c for c in facts.columns if c in frame.columns and c != "USUBJID"])
    facts = facts.unique("USUBJID", maintain_order=True)
    return domains | {name: frame.join(facts, on="USUBJID", how="left", maintain_order="left")}


def _with_days_to_infusion(domains: dict[str, pl.DataFrame], name: str) -> dict[str, pl.DataFrame]:
    frame, procedures = domains.get(name), domains.get("PR", pl.DataFrame())
    has_subjects = frame is not None and "USUBJID" in frame.columns
    if frame is None or not has_subjects or not {"USUBJID", "PRTRT", "PRCAT"} <= set(procedures.columns):
        return domains
    is_infusion = pl.col("PRCAT").str.to_uppercase().str.contains("TRANSPLANT") & pl.col(
        "PRTRT"
    ).str.to_lowercase().str.contains(_INFUSION)
    infusions = procedures.filter(is_infusion & took_place(procedures))
    between = []
    for ending in ("DTC", "DY"):
        start, infused = f"{name}ST{ending}", f"PRST{ending}"
        if start not in frame.columns or infused not in infusions.columns:
            continue
        first, second = (
            whole_date(column) if ending == "DTC" else _without_gap(column) for column in (start, infused)
        )
        days = (
            (pl.col("_infused") - pl.col("_start"))
            if ending == "DY"
            else (pl.col("_infused") - pl.col("_start")).dt.total_days()
        )
        rows = frame.select(pl.int_range(pl.len()).alias("_at"), "USUBJID", first.alias("_start"))
        pairs = rows.join(infusions.select("USUBJID", second.alias("_infused")), on="USUBJID", how="inner")
        pairs = pairs.select("_at", days.cast(pl.Float64).alias("_days")).filter(pl.col("_days") >= 0)
        nearest = pairs.group_by("_at").agg(pl.col("_days").min())
        between.append(rows.join(nearest, on="_at", how="left", maintain_order="left")["_days"])
    if not between:
        return domains
    return domains | {name: frame.with_columns(pl.coalesce(between).alias("DAYSTOHCT"))}  # fmt: skip


def _without_gap(column: str) -> pl.Expr:
    """Return study days as days that can be subtracted: there is none between -1 and 1."""
    number = pl.col(column).cast(pl.Float64, strict=False)
    return pl.when(number > 0).then(number - 1).otherwise(number)
