"""How the topics of PATIENT_VALUES are handed on: rows, and what is lacking for them."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl


class Values(NamedTuple):
    """Frames with columns of PATIENT_VALUES, and of NOT_EVALUABLE (`endpoint` = the topic)."""

    rows: list[pl.DataFrame]
    lacking: list[pl.DataFrame]


def rows_of(
    frame: pl.DataFrame,
    topic: str,
    term: str | pl.Expr,
    period: str | pl.Expr,
    *,
    day: pl.Expr | None = None,
    value: pl.Expr | None = None,
    number: pl.Expr | None = None,
    exposure_years: pl.Expr | None = None,
    mark: str | pl.Expr | None = None,
) -> pl.DataFrame:
    """Return one row of a topic per row of `frame`, which has `patient_id` and `arm`."""
    none = pl.lit(None)
    return frame.select(
        "patient_id",
        "arm",
        pl.lit(topic).alias("topic"),
        (pl.lit(term) if isinstance(term, str) else term).alias("term"),
        (pl.lit(period) if isinstance(period, str) else period).alias("period"),
        (none if day is None else day).cast(pl.Int64).alias("day"),
        (none if value is None else value).cast(pl.String).alias("value"),
        (none if number is None else number).cast(pl.Float64).alias("number"),
        (none if exposure_years is None else exposure_years).cast(pl.Float64).alias("exposure_years"),
        (pl.lit(mark, dtype=pl.String) if mark is None or isinstance(mark, str) else mark).alias("mark"),
    )


def lacking_in(frame: pl.DataFrame, topic: str, reason: str | pl.Expr) -> pl.DataFrame:
    """Return one NOT_EVALUABLE row per row of `frame`."""
    return frame.select(
        "patient_id",
        pl.lit(topic).alias("endpoint"),
        (pl.lit(reason) if isinstance(reason, str) else reason).alias("reason"),
    )


def lacking_in_study(topic: str, reason: str) -> Values:
    """Return that nobody can be evaluated for a topic, and why."""
    return Values(
        [],
        [
            pl.DataFrame(
                {"patient_id": [None], "endpoint": [topic], "reason": [reason]},
                schema={"patient_id": pl.String(), "endpoint": pl.String(), "reason": pl.String()},
            )
        ],
    )
