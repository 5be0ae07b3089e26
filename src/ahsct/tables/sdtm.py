"""What every SDTM source needs before a mapping: supplementary qualifiers as columns, the latest date seen."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.errors import SourceError

LAST_SEEN = "LASTSEEN"
_NOT_SEEN = ("BRTHDTC",)  # dates that are no contact


def prepare_sdtm(sources: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the domains with their supplementary qualifiers as columns, and the table LASTSEEN.

    A qualifier is joined by USUBJID and, where IDVAR names one, by that variable. Its column is named
    after QNAM; a parent's column of that name is kept and the qualifier left out.

    Raises
    ------
    SourceError
        A SUPP-- table lacks its columns, or gives one record two values of one qualifier.
    """
    domains = {name.upper(): _upper(frame) for name, frame in sources.items()}
    plain = {name: frame for name, frame in domains.items() if not name.startswith("SUPP")}
    for name, supp in domains.items():
        parent = name.removeprefix("SUPP")
        if name.startswith("SUPP") and parent in plain:
            plain[parent] = _with_qualifiers(name, plain[parent], supp)
    if "DM" in plain and "USUBJID" in plain["DM"].columns:
        plain[LAST_SEEN] = _last_seen(plain)
    return plain


def _upper(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.rename({name: name.upper() for name in frame.columns})


def _with_qualifiers(name: str, parent: pl.DataFrame, supp: pl.DataFrame) -> pl.DataFrame:
    needed = ("USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QVAL")
    absent = [column for column in needed if column not in supp.columns]
    if absent:
        raise SourceError(
            f"{name} lacks {', '.join(absent)}; supplementary qualifiers need {', '.join(needed)}."
        )
    supp = supp.with_columns(pl.col(column).cast(pl.String).str.strip_chars() for column in needed)
    for idvar in supp["IDVAR"].unique().sort().to_list():
        rows = supp.filter(pl.col("IDVAR").eq_missing(pl.lit(idvar)))
        keys = ["USUBJID"] if not idvar else ["USUBJID", "_id"]
        if idvar and idvar not in parent.columns:
            raise SourceError(f"{name} refers to {idvar}, which its parent lacks.")
        rows = rows.with_columns(_as_key(pl.col("IDVARVAL")).alias("_id"))
        repeated = rows.filter(pl.struct(*keys, "QNAM").is_duplicated())
        if repeated.height:
            raise SourceError(
                f"{name} gives one record {repeated['QNAM'][0]} more than once ({repeated.height} rows)."
            )
        wide = rows.pivot(on="QNAM", index=keys, values="QVAL", maintain_order=True)
        wide = wide.drop(
            [column for column in wide.columns if column in parent.columns and column not in keys]
        )
        left = parent.with_columns(_as_key(pl.col(idvar).cast(pl.String)).alias("_id")) if idvar else parent
        parent = left.join(wide, on=keys, how="left", maintain_order="left")
        parent = parent.drop("_id", strict=False)
    return parent


def _as_key(value: pl.Expr) -> pl.Expr:
    """Return a sequence number as text without decimals: 1, "1" and "1.0" are the same."""
    return value.str.strip_chars().str.strip_suffix(".0")


def _last_seen(domains: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return each subject's latest whole date and latest study day in any domain."""
    dates, days = [], []
    for frame in domains.values():
        if "USUBJID" not in frame.columns:
            continue
        for column in frame.columns:
            if column.endswith("DTC") and column not in _NOT_SEEN:
                text = pl.col(column).cast(pl.String).str.extract(r"^(\d{4}-\d{2}-\d{2})", 1)
                dates.append(frame.select("USUBJID", text.alias("LSTDTC")))
            elif column.endswith("DY"):
                days.append(
                    frame.select("USUBJID", pl.col(column).cast(pl.Float64, strict=False).alias("LSTDY"))
                )
    subjects = domains["DM"].select("USUBJID").unique(maintain_order=True)
    for parts, name in ((dates, "LSTDTC"), (days, "LSTDY")):
        if parts:
            latest = pl.concat(parts).group_by("USUBJID", maintain_order=True).agg(pl.col(name).max())
            subjects = subjects.join(latest, on="USUBJID", how="left", maintain_order="left")
    return subjects
