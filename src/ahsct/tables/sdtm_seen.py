"""The last day on which a subject of an SDTM source was seen, from what happened, never from what was planned."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

# what a subject's own record says of contacts; a date of birth is none
_OF_SUBJECT = ("RFSTDTC", "RFENDTC", "RFXSTDTC", "RFXENDTC", "RFICDTC", "RFPENDTC", "DTHDTC", "DMDTC", "DMDY")
_OWN_TIMES = ("DTC", "STDTC", "ENDTC", "DY", "STDY", "ENDY")
_DEAD = ("DEAD", "DECEASED", "DIED", "DEATH")
_NOT_SEEN = ("DD", "RELREC", "TA", "TE", "TV", "TI", "TS", "TX", "LASTSEEN")


def last_seen(domains: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return each subject's latest whole date in any domain; the latest study day where there is no date to count from.

    Only a domain's own times count (--DTC, --STDTC, --ENDTC, --DY, --STDY, --ENDY), so no planned day (VISITDY), and
    only rows that took place: neither NOT DONE (--STAT) nor without occurrence (--OCCUR is N). Details of a death (DD)
    and a survival status DEAD are no contact. No contact lies after the death that DM or DS date; a later one is
    brought back to it, which SEENLATE says.

    Returns
    -------
    pl.DataFrame
        `USUBJID`, `LSTDTC`, `LSTDY`, `SEENLATE` ("Y" or missing); the first two only where a source has them.
    """
    dates, days = [], []
    for name, frame in domains.items():
        if "USUBJID" not in frame.columns or name.startswith("SUPP") or name in _NOT_SEEN:
            continue
        seen = frame.filter(took_place(frame))
        for column in seen.columns:
            # two letters of the domain, then a known ending; what a subject's record says is named
            if column not in _OF_SUBJECT if name == "DM" else column[2:] not in _OWN_TIMES:
                continue
            if column.endswith("DTC"):
                dates.append(seen.select("USUBJID", whole_date(column).alias("LSTDTC")))
            else:
                number = pl.col(column).cast(pl.Float64, strict=False)
                days.append(seen.select("USUBJID", number.alias("LSTDY")))
    subjects = domains["DM"].select("USUBJID").unique(maintain_order=True)
    for parts, column in ((dates, "LSTDTC"), (days, "LSTDY")):
        if parts:
            latest = pl.concat(parts).group_by("USUBJID", maintain_order=True).agg(pl.col(column).max())
            subjects = subjects.join(latest, on="USUBJID", how="left", maintain_order="left")
    if {"LSTDTC", "LSTDY"} <= set(subjects.columns) and "RFSTDTC" in domains["DM"].columns:
        # the two may come from different rows: one date of the two, so that they cannot contradict each other
        start = domains["DM"].select("USUBJID", whole_date("RFSTDTC").alias("_start")).unique("USUBJID")
        offset = pl.when(pl.col("LSTDY") > 0).then(pl.col("LSTDY") - 1).otherwise("LSTDY").cast(pl.Int64)
        by_day = pl.col("_start") + pl.duration(days=offset)
        subjects = (
            subjects.join(start, on="USUBJID", how="left", maintain_order="left")
            .with_columns(
                pl.max_horizontal("LSTDTC", by_day).alias("LSTDTC"),
                pl.when(pl.col("_start").is_null()).then("LSTDY").alias("LSTDY"),
            )
            .drop("_start")
        )
    return _not_after_death(subjects, _deaths(domains))


def whole_date(column: str) -> pl.Expr:
    """Return the whole dates of an ISO 8601 column; partial ones are missing."""
    text = pl.col(column).cast(pl.String).str.extract(r"^(\d{4}-\d{2}-\d{2})", 1)
    return text.str.to_date("%Y-%m-%d", strict=False)


def took_place(frame: pl.DataFrame) -> pl.Expr:
    """Return which rows of a domain are of something that happened: done (--STAT), occurred (--OCCUR), not found dead."""
    conditions = [pl.lit(True)]
    for column in frame.columns:
        text = pl.col(column).cast(pl.String).str.strip_chars().str.to_uppercase()
        if len(column) == 6 and column.endswith("STAT"):
            conditions.append((text != "NOT DONE").fill_null(True))
        if len(column) == 7 and column.endswith("OCCUR"):
            conditions.append(~text.is_in(["N", "NO"]).fill_null(False))
    results = [name for name in ("SSSTRESC", "SSORRES") if name in frame.columns]
    if "SSTESTCD" in frame.columns and results:
        said = [pl.col(name).cast(pl.String).str.strip_chars().str.to_uppercase() for name in results]
        is_dead = pl.any_horizontal(text.is_in(_DEAD).fill_null(False) for text in said)
        conditions.append(~((pl.col("SSTESTCD") == "SURVSTAT") & is_dead).fill_null(False))
    return pl.all_horizontal(conditions)


def _deaths(domains: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the first date and study day of death of each subject who has one in DM or DS."""
    people = domains["DM"]
    parts = [(people, "DTHDTC", "DTHDY")]
    if {"USUBJID", "DSDECOD"} <= set(domains.get("DS", pl.DataFrame()).columns):
        is_death = pl.col("DSDECOD").str.to_uppercase() == "DEATH"
        parts.append((domains["DS"].filter(is_death), "DSSTDTC", "DSSTDY"))
    return (
        pl.concat(
            frame.select(
                "USUBJID",
                (whole_date(date) if date in frame.columns else pl.lit(None, pl.Date)).alias("_death"),
                (pl.col(day).cast(pl.Float64, strict=False) if day in frame.columns else pl.lit(None, pl.Float64)).alias("_death_day"),
            )
            for frame, date, day in parts
        )
        .group_by("USUBJID", maintain_order=True)
        .agg(pl.col("_death", "_death_day").min())
    )  # fmt: skip


def _not_after_death(subjects: pl.DataFrame, deaths: pl.DataFrame) -> pl.DataFrame:
    """Bring a contact after the death back to it, and say so."""
    joined = subjects.join(deaths, on="USUBJID", how="left", maintain_order="left")
    is_late = pl.lit(False)
    brought = []
    for column, death in (("LSTDTC", "_death"), ("LSTDY", "_death_day")):
        if column in subjects.columns:
            beyond = (pl.col(column) > pl.col(death)).fill_null(False)
            is_late |= beyond
            brought.append(pl.when(beyond).then(death).otherwise(column).alias(column))
    late = pl.when(is_late).then(pl.lit("Y")).alias("SEENLATE")
    return joined.with_columns(*brought, late).drop("_death", "_death_day").cast({pl.Date: pl.String})
