"""Patients as numbers: text ids are looked up once per run of equal ids, whole numbers do the rest."""

from __future__ import annotations

import polars as pl


def patient_numbers(ids: pl.Series, known: pl.Series) -> pl.Series:
    """Return the place of each id in `known` (distinct ids), missing where it is not there.

    Rows of one patient usually follow each other, so that few lookups serve many rows; the result
    does not depend on it.

    Examples
    --------
    >>> patient_numbers(pl.Series(["b", "b", "x", "a"]), pl.Series(["a", "b"])).to_list()
    [1, 1, None, 0]
    """
    ids = ids.rename("patient_id")
    if ids.is_empty():
        return pl.Series("patient_id", [], dtype=pl.UInt32)
    is_first = ids.ne_missing(ids.shift(1))
    is_first[0] = True
    places = known.rename("patient_id").to_frame().with_row_index("place")
    found = ids.filter(is_first).to_frame().join(places, on="patient_id", how="left", maintain_order="left")
    return found["place"].gather(is_first.cum_sum() - 1)


def by_number(values: pl.Series, numbers: pl.Series) -> pl.Series:
    """Return for each number the value at that place; missing for a missing number."""
    return values.gather(numbers)
