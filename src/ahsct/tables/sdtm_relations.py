"""SDTM relations followed: a relapse to its steroids and hospital stay, a scan to its contrast agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from ahsct.tables.sdtm_seen import took_place

# not every word with "steroid": non-steroidal drugs are none
_STEROID = (
    r"prednis|medrol|dexamethason|betamethason|cortison|corticotro|\bacth\b|corticosteroid|glucocortico|"
    r"(^|iv |oral |pulse )steroids?\b"
)
_CONTRAST = r"gado|\bgd\b|contrast|dotarem|clariscan|magnevist|omniscan|prohance|multihance|eovist|primovist"
_HOSPITAL = "hospital|inpatient|in-patient"


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """Rows of `domain` that are related to rows of `other` whose texts hold `words`, and not `but`, are marked in `mark`."""

    domain: str
    other: str
    texts: tuple[str, ...]
    words: str
    mark: str
    but: str = "^$"


_TIES = (
    _Tie(domain="CE", other="CM", texts=("CMDECOD", "CMTRT", "CMCLAS"), words=_STEROID, mark="RELSTER"),
    _Tie(domain="CE", other="EX", texts=("EXTRT",), words=_STEROID, mark="RELSTER"),
    _Tie(
        domain="CE",
        other="HO",
        texts=("HODECOD", "HOTERM"),
        words=_HOSPITAL,
        mark="RELHOSP",
        but="out-?patient",
    ),
    _Tie(domain="NV", other="AG", texts=("AGDECOD", "AGTRT", "AGCAT"), words=_CONTRAST, mark="RELGD"),
    _Tie(domain="MO", other="AG", texts=("AGDECOD", "AGTRT", "AGCAT"), words=_CONTRAST, mark="RELGD"),
)


def with_relations(domains: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return CE with RELSTER and RELHOSP, NV and MO with RELGD, and RELREC with only what was not followed.

    A row is marked "Y" where it is related to a steroid (CM, EX), a hospital stay (HO) or a contrast agent (AG) that
    took place, "N" where every related one did not, and is left missing where nothing is related: no relation does
    not say that there was no treatment. Relations are those of RELREC, between records (USUBJID is given) or whole
    data sets (it is not); without RELREC an equal --LNKID of one subject ties.
    """
    made = dict(domains)
    relations = made.get("RELREC")
    followed: list[pl.DataFrame] = []
    for tie in _TIES:
        frame, other = made.get(tie.domain), made.get(tie.other)
        if frame is None or other is None or not {"USUBJID"} <= set(frame.columns) & set(other.columns):
            continue
        texts = [name for name in tie.texts if name in other.columns]
        if not texts:
            continue
        is_meant = pl.any_horizontal(
            pl.col(name).cast(pl.String).str.to_lowercase().str.contains(tie.words).fill_null(False)
            & ~pl.col(name).cast(pl.String).str.to_lowercase().str.contains(tie.but).fill_null(False)
            for name in texts
        )
        marked = other.with_columns(took_place(other).alias("_given")).filter(is_meant)
        pairs = _pairs(tie.domain, frame, tie.other, marked, relations)
        if pairs.is_empty():
            continue
        followed.append(pairs.select("USUBJID", "RELID"))
        marks = pairs.group_by("_at").agg(pl.col("_given").any())
        word = pl.when("_given").then(pl.lit("Y")).otherwise(pl.lit("N")).alias(tie.mark)
        rows = pl.DataFrame({"_at": range(frame.height)}, schema={"_at": pl.Int64})
        found = rows.join(marks.select("_at", word), on="_at", how="left", maintain_order="left")[tie.mark]
        before = frame[tie.mark] if tie.mark in frame.columns else None
        made[tie.domain] = frame.with_columns(found if before is None else _either(before, found))
    if relations is not None:
        left = _not_followed(relations, followed)
        made = {name: frame for name, frame in made.items() if name != "RELREC"}
        if left.height:
            made["RELREC"] = left
    return made


def _pairs(
    name: str, frame: pl.DataFrame, other_name: str, other: pl.DataFrame, relations: pl.DataFrame | None
) -> pl.DataFrame:
    """Return which row of the first (`_at`) is related to which of the second (`_given`), by which relation."""
    rows = pl.int_range(pl.len(), dtype=pl.Int64).alias("_at")
    first = _members(frame.select(pl.all(), rows), name, "_at", relations)
    second = _members(other, other_name, "_given", relations)
    return first.join(second, on=["USUBJID", "RELID", "_value"], how="inner")


def _members(frame: pl.DataFrame, domain: str, kept: str, relations: pl.DataFrame | None) -> pl.DataFrame:
    """Return the rows of a domain that relations name, with the value that ties them ("" for single records)."""
    subject = pl.col("USUBJID").cast(pl.String)
    if relations is None:
        link = f"{domain}LNKID"
        if link not in frame.columns:
            return _no_members(frame, kept)
        return frame.select(
            subject, _key(link).alias("_value"), pl.lit("LNKID").alias("RELID"), kept
        ).drop_nulls("_value")
    parts = [_no_members(frame, kept)]
    for variable, named in _of(relations, domain).group_by("IDVAR", maintain_order=True):
        column = str(variable[0]).upper()
        if column not in frame.columns:
            continue
        rows = frame.select(subject, _key(column).alias("_value"), kept).drop_nulls("_value")
        single = named.filter(pl.col("USUBJID").is_not_null()).select(
            "USUBJID", _key("IDVARVAL").alias("_value"), "RELID"
        )
        whole = named.filter(pl.col("USUBJID").is_null()).select("RELID")
        order = ["USUBJID", "_value", "RELID", kept]
        tied = rows.join(single, on=["USUBJID", "_value"], how="inner").select(order)
        parts += [tied.with_columns(pl.lit("").alias("_value")), rows.join(whole, how="cross").select(order)]
    return pl.concat(parts)


def _no_members(frame: pl.DataFrame, kept: str) -> pl.DataFrame:
    text = [pl.lit(None, pl.String).alias(name) for name in ("USUBJID", "_value", "RELID")]
    return frame.clear().select(*text, kept).clear()


def _key(column: str) -> pl.Expr:
    """Return a number or name as text without decimals, missing where it is blank."""
    return pl.col(column).cast(pl.String).str.strip_chars().str.strip_suffix(".0").replace("", None)


def _of(relations: pl.DataFrame, domain: str) -> pl.DataFrame:
    """Return the relations of one domain: of single records, or (without USUBJID) of a variable of the whole data set."""
    needed = ("RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL", "RELID")
    whole = relations.select(
        (pl.col(c).cast(pl.String).str.strip_chars().replace("", None) if c in relations.columns else pl.lit(None, pl.String)).alias(c)
        for c in needed
    )  # fmt: skip
    is_mine = pl.col("RDOMAIN").str.to_uppercase() == domain
    return whole.filter(is_mine & pl.col("IDVAR").is_not_null() & pl.col("RELID").is_not_null())


def _either(before: pl.Series, found: pl.Series) -> pl.Series:
    return pl.select(
        pl.when((before == "Y").fill_null(False)).then(before).otherwise(pl.coalesce(found, before)).alias(before.name)
    ).to_series()  # fmt: skip


def _not_followed(relations: pl.DataFrame, followed: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the relations that tied nothing of ours: of one subject, or of whole data sets."""
    if not followed or not {"USUBJID", "RELID"} <= set(relations.columns):
        return relations
    used = pl.concat(followed).unique()
    subject = pl.col("USUBJID").cast(pl.String).str.strip_chars().replace("", None)
    relation = pl.col("RELID").cast(pl.String).str.strip_chars()
    keys = relations.select(
        pl.int_range(pl.len()).alias("_at"), subject.alias("USUBJID"), relation.alias("RELID")
    )
    of_subject = keys.join(used, on=["USUBJID", "RELID"], how="semi")
    of_all = keys.filter(pl.col("USUBJID").is_null()).join(
        used.select("RELID").unique(), on="RELID", how="semi"
    )
    gone = pl.concat([of_subject, of_all])["_at"]
    return relations.with_row_index("_at").filter(~pl.col("_at").is_in(gone.implode())).drop("_at")
