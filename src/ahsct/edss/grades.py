"""Functional-system grades and ambulation scores as they arrive: numbers or text, suffixes, two codings."""

from __future__ import annotations

import re
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.vocabulary import require_columns

Bytes = npt.NDArray[np.int8]
Coding = Literal["0-16", "0-13"]
Grades = Literal["raw", "converted"]

MISSING = -1
# highest grade of each functional system, raw and after conversion
SYSTEMS = {
    "fs_visual": (6, 4),
    "fs_brainstem": (5, 5),
    "fs_pyramidal": (6, 6),
    "fs_cerebellar": (5, 5),
    "fs_sensory": (6, 6),
    "fs_bowel_bladder": (6, 5),
    "fs_cerebral": (5, 5),
}
CONVERTED = {"fs_visual": (0, 1, 2, 2, 3, 3, 4), "fs_bowel_bladder": (0, 1, 2, 3, 3, 4, 5)}
# the 17-level score that stands for each level of the shorter coding (0 to 12, 13 = death)
_FROM_SHORT = (0, 1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14, 15, 16)
CODINGS = ("0-16", "0-13")


def used_grades(frame: pl.DataFrame, *, grades: Grades, function: str) -> dict[str, Bytes]:
    """Return the grade of each functional system as the step uses it; -1 where it is missing.

    Text such as "2X" (cerebellar signs hidden by paresis) is read as its grade; the suffix stays in
    the caller's column.

    Raises
    ------
    TableError
        A column is missing, or a grade is no whole number of its range: column and first row are named.
    """
    require_columns(function, "examinations", frame, list(SYSTEMS))
    if grades not in ("raw", "converted"):
        raise RequestError(f'`grades` must be "raw" or "converted", not {grades!r}.')
    found = {}
    for name, (highest_raw, highest_converted) in SYSTEMS.items():
        values = whole_numbers(frame[name], highest_raw if grades == "raw" else highest_converted, function)
        if grades == "raw" and name in CONVERTED:
            table = np.array((*CONVERTED[name], MISSING), dtype=np.int8)  # the last one is what -1 points to
            values = table[values]
        found[name] = values
    return found


def ambulation_scores(frame: pl.DataFrame, *, coding: Coding | None, function: str) -> Bytes:
    """Return the ambulation score in the coding 0 to 16; -1 where it is missing.

    Raises
    ------
    RequestError
        The coding is not declared: the same number means 6.0 in one and 6.5 in the other.
    TableError
        The column is missing, or a score is outside the coding.
    """
    if coding not in CODINGS:
        raise RequestError(
            f'{function}: declare how `ambulation` is coded: ambulation_coding = "0-16" (Neurostatus, 17 levels; '
            '6 means EDSS 6.0) or "0-13" (12 levels, 13 = death; 6 means EDSS 6.5); '
            f"found {coding!r}."
        )
    require_columns(function, "examinations", frame, ["ambulation"])
    values = whole_numbers(frame["ambulation"], 16 if coding == "0-16" else 13, function)
    return values if coding == "0-16" else np.array((*_FROM_SHORT, MISSING), dtype=np.int8)[values]


def whole_numbers(column: pl.Series, highest: int, function: str) -> Bytes:
    """Return a column as whole numbers from 0 to `highest`, -1 for missing."""
    text = column.dtype == pl.String
    if text:
        parts = column.str.strip_chars().str.extract(r"^(\d{1,2})(?:\.0+)?\s*[A-Za-z]?$", 1)
        is_empty = column.str.strip_chars().eq_missing(pl.Series([""], dtype=pl.String)) | column.is_null()
        values = parts.cast(pl.Float64, strict=False)
    elif column.dtype.is_numeric() or column.dtype == pl.Null:
        values = column.cast(pl.Float64)
        is_empty = values.is_null() | values.is_nan().fill_null(True)
    else:
        raise TableError(f"{function}: `{column.name}` must hold grades, not {column.dtype}.")
    is_wrong = ~is_empty & ~(values.is_between(0, highest) & (values == values.round())).fill_null(False)
    if is_wrong.any():
        first = is_wrong.arg_max() or 0
        # what looks like no grade may be a name in a wrong column, and messages travel
        shown = f" ({column[first]})" if re.fullmatch(r"-?[\d.,]{1,6}[A-Za-z]?", str(column[first])) else ""
        raise TableError(
            f"{function}: `{column.name}` must be a whole number from 0 to {highest}; {is_wrong.sum()} of "
            f"{len(column)} rows are not, the first is row {first + 1}{shown}."
        )
    whole: Bytes = (
        pl.select(pl.when(is_empty).then(MISSING).otherwise(values)).to_series().cast(pl.Int8).to_numpy()
    )
    return whole
