"""What every SDTM source needs before a mapping: supplementary qualifiers as columns, the latest date seen."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.errors import SourceError
from ahsct.tables.sdtm_relations import with_relations
from ahsct.tables.sdtm_seen import last_seen, whole_date
from ahsct.tables.sdtm_subjects import with_subject_dates
from ahsct.tables.sdtm_visits import with_one_place, with_visit_times

LAST_SEEN = "LASTSEEN"
_NUMBERS = (
    "SEQ",
    "DY",
    "STRESN",
    "DOSE",
    "NRLO",
    "NRHI",
    "NUM",
    "AGE",
)  # the numeric variables of the standard
_MEETING = (("QS", "RS", "FT"), ("NV", "MO"))  # domains whose rows meet in one visit, or one scan


def prepare_sdtm(sources: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the domains with their supplementary qualifiers as columns, and the table LASTSEEN.

    Parts of one domain (FACE of FA, QSKF of QS) are first put together, and so are their SUPP--.
    A qualifier is joined by USUBJID and, where IDVAR names one, by that variable. Its column is named
    after QNAM. Qualifiers without their record, or whose name the parent has already, stay behind in the
    SUPP-- table. Examinations without a time take that of their visit (`with_visit_times`). Where one of the domains
    that meet in a visit (or a scan) gives a date or a study day that another lacks, it is completed from RFSTDTC, so
    that they meet. Relations (RELREC, --LNKID) and dates of the subject become columns (`with_relations`,
    `with_subject_dates`), and each row of a scan gets its place (`with_one_place`).

    Raises
    ------
    SourceError
        A SUPP-- table lacks its columns, or gives one record two values of one qualifier.
    """
    domains = _whole_domains({name.upper(): _upper(frame) for name, frame in sources.items()})
    plain = {name: frame for name, frame in domains.items() if not name.startswith("SUPP")}
    for name, supp in domains.items():
        parent = name.removeprefix("SUPP")
        if name.startswith("SUPP") and parent in plain:
            plain[parent], behind = _with_qualifiers(name, plain[parent], supp)
            if behind.height:
                plain[name] = behind
        elif name.startswith("SUPP"):
            plain[name] = supp
    plain = with_visit_times(plain)
    if "DM" in plain and {"USUBJID", "RFSTDTC"} <= set(plain["DM"].columns):
        for meeting in _MEETING:
            plain |= _same_time(plain, [name for name in meeting if name in plain])
    if "DM" in plain and "USUBJID" in plain["DM"].columns:
        plain[LAST_SEEN] = last_seen(plain)
    return with_subject_dates(with_relations(with_one_place(plain)))


def _upper(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a domain with names in capitals, what the standard has as text as text, and nothing where it is blank."""
    renamed = frame.rename({name: name.upper() for name in frame.columns})
    # a column without any value, or of flags, may come in any type
    texts = [
        name for name, dtype in renamed.schema.items() if dtype != pl.String and not _is_number(name, dtype)
    ]
    renamed = renamed.with_columns(pl.col(texts).cast(pl.String))
    made = []
    for text in renamed.select(pl.col(pl.String)):
        is_suspect = text < "!"  # begins with a blank, or is empty
        if is_suspect.any():
            made.append(text.set(is_suspect.fill_null(False) & (text.str.strip_chars() == ""), None))
    return renamed.with_columns(made)


def _is_number(name: str, dtype: pl.DataType) -> bool:
    return dtype.is_numeric() and name.endswith(_NUMBERS)


def _whole_domains(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return tables with the parts of a domain below each other: QSKF and QSEDSS are QS, FACE is FA; so are their SUPP--."""
    parts: dict[str, list[pl.DataFrame]] = {}
    for name, frame in tables.items():
        is_supp = name.startswith("SUPP")
        code = name.removeprefix("SUPP")[:2]
        is_part = len(name) > 6 if is_supp else f"{code}SEQ" in frame.columns
        whole = ("SUPP" if is_supp else "") + code
        parts.setdefault(whole if is_part else name, []).append(frame)
    return {name: pl.concat(frames, how="diagonal_relaxed") for name, frames in parts.items()}


def _with_qualifiers(
    name: str, parent: pl.DataFrame, supp: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the parent with its qualifiers, and the rows that found no place in it."""
    needed = ("USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QVAL")
    absent = [column for column in needed if column not in supp.columns]
    if absent:
        raise SourceError(
            f"{name} lacks {', '.join(absent)}; supplementary qualifiers need {', '.join(needed)}."
        )
    supp = supp.with_columns(
        pl.col(column).cast(pl.String).str.strip_chars().fill_null("") for column in needed
    )
    own = set(parent.columns)
    behind = [supp.filter(pl.col("QNAM").is_in(own))]
    supp = supp.filter(~pl.col("QNAM").is_in(own)).with_columns(pl.col("QVAL").replace("", None))
    for idvar in supp["IDVAR"].unique().sort().to_list():
        rows = supp.filter(pl.col("IDVAR") == idvar)
        keys = ["USUBJID"] if not idvar else ["USUBJID", "_id"]
        for variable in ("USUBJID", *([idvar] if idvar else [])):
            if variable not in parent.columns:
                raise SourceError(f"{name} refers to {variable}, which its parent lacks.")
        rows = rows.with_columns(_as_key(pl.col("IDVARVAL")).alias("_id"))
        repeated = rows.filter(pl.struct(*keys, "QNAM").is_duplicated())
        if repeated.height:
            raise SourceError(
                f"{name} gives one record {repeated['QNAM'][0]} more than once ({repeated.height} rows)."
            )
        wide = rows.pivot(on="QNAM", index=keys, values="QVAL", maintain_order=True)
        left = parent.with_columns(_as_key(pl.col(idvar).cast(pl.String)).alias("_id")) if idvar else parent
        behind.append(rows.join(left, on=keys, how="anti", maintain_order="left").drop("_id"))
        parent = left.join(wide, on=keys, how="left", maintain_order="left", suffix="_more")
        # one qualifier may be tied to some records by one variable and to others by another
        again = [column for column in wide.columns if f"{column}_more" in parent.columns]
        parent = parent.with_columns(pl.coalesce(column, f"{column}_more").alias(column) for column in again)
        parent = parent.drop("_id", *(f"{column}_more" for column in again), strict=False)
    return parent, pl.concat(behind)


def _same_time(domains: Mapping[str, pl.DataFrame], names: list[str]) -> dict[str, pl.DataFrame]:
    """Return domains whose dates and study days complete each other, where some have what others lack."""
    start = domains["DM"].select("USUBJID", whole_date("RFSTDTC").alias("_start")).unique("USUBJID")
    known = {f"{name}{kind}": False for name in names for kind in ("DTC", "DY")}
    for name in names:
        for kind in ("DTC", "DY"):
            column = f"{name}{kind}"
            known[column] = column in domains[name].columns and domains[name][column].null_count() == 0
    has = {kind: any(_some(domains[name], f"{name}{kind}") for name in names) for kind in ("DTC", "DY")}
    made = {}
    for name in names:
        frame, date, day = domains[name], f"{name}DTC", f"{name}DY"
        wanted = [c for c, kind in ((date, "DTC"), (day, "DY")) if has[kind] and not known[c]]
        if not wanted or "USUBJID" not in frame.columns:
            continue
        frame = frame.with_columns(
            pl.lit(None, dtype).alias(c)
            for c, dtype in ((date, pl.String()), (day, pl.Float64()))
            if c in wanted and c not in frame.columns
        ).join(start, on="USUBJID", how="left", maintain_order="left")
        if day in wanted:
            after = (
                (whole_date(date) - pl.col("_start")).dt.total_days()
                if date in frame.columns
                else pl.lit(None)
            )
            frame = frame.with_columns(
                pl.coalesce(
                    pl.col(day).cast(pl.Float64, strict=False),
                    pl.when(after >= 0).then(after + 1).otherwise(after),
                )
            )
        if date in wanted and day in frame.columns:
            number = pl.col(day).cast(pl.Float64, strict=False)
            days = pl.when(number > 0).then(number - 1).otherwise(number).cast(pl.Int64)
            then = (pl.col("_start") + pl.duration(days=days)).cast(pl.String)
            frame = frame.with_columns(pl.coalesce(pl.col(date).cast(pl.String), then).alias(date))
        made[name] = frame.drop("_start")
    return made


def _some(frame: pl.DataFrame, column: str) -> bool:
    return column in frame.columns and frame[column].null_count() < frame.height


def _as_key(value: pl.Expr) -> pl.Expr:
    """Return a sequence number as text without decimals: 1, "1" and "1.0" are the same."""
    return value.str.strip_chars().str.strip_suffix(".0")
