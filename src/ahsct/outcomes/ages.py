"""A patient's age on a day."""

from __future__ import annotations

import polars as pl

from ahsct.vocabulary import DAYS_PER_YEAR

AGE_COLUMNS = ("birth_day", "birth_year", "age_at_index_years", "index_date")


def ages_on(day: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    """Return the exact age on a day of the study's axis, and the rough one (from the year of birth alone).

    The frame has `AGE_COLUMNS` of `patients`; an age that these do not give is missing. The rough age is
    right up to one year.

    Examples
    --------
    >>> born = pl.DataFrame({"birth_day": [-14610], "birth_year": [None], "age_at_index_years": [None],
    ...                      "index_date": [None]}, schema_overrides={"index_date": pl.Date})
    >>> born.select(ages_on(pl.lit(1461))[0].alias("age"))["age"].item()
    44.0
    """
    exact = pl.coalesce(
        (day - pl.col("birth_day")) / DAYS_PER_YEAR, pl.col("age_at_index_years") + day / DAYS_PER_YEAR
    )
    rough = (pl.col("index_date").dt.year() - pl.col("birth_year")) + day / DAYS_PER_YEAR
    return exact, rough
