"""From a long table of repeated values to arrays: one check and one order for every longitudinal estimate."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.errors import TableError
from ahsct.vocabulary import require_columns


def repeated_values(
    function: str, values: pl.DataFrame, *, needed: Sequence[str], keep_missing: bool = False
) -> tuple[pl.DataFrame, int]:
    """Return rows with `patient_id`, `arm` and the `needed` columns in a stated order, and how many were left out.

    A row with a missing needed value is left out and counted (kept with `keep_missing`). Without a column
    `arm` everybody is in the arm "all".

    Raises
    ------
    TableError
        A column is missing, a patient is missing, a number is not finite, or a patient stands in two arms.
    """
    require_columns(function, "values", values, ["patient_id", *needed])
    frame = values if "arm" in values.columns else values.with_columns(pl.lit("all").alias("arm"))
    frame = frame.with_row_index("_row", offset=1)
    for name in ("patient_id", "arm"):
        _refuse(frame, pl.col(name).is_null(), name, "stated")
    for name in needed:
        if frame.schema[name].is_float():
            _refuse(frame, ~pl.col(name).is_finite(), name, "a finite number or missing")
    arms = frame.group_by("patient_id").agg(pl.col("arm").n_unique()).filter(pl.col("arm") > 1)
    if arms.height:
        raise TableError(f"{function}: {arms.height} patients stand in more than one arm of `values`.")
    whole = frame if keep_missing else frame.drop_nulls(list(needed))
    return whole.select("patient_id", "arm", *needed).sort(
        ["patient_id", *needed], nulls_last=True
    ), frame.height - whole.height


def arms_of(frame: pl.DataFrame, reference_arm: str | None) -> list[str]:
    """Return the arms, the reference (the first by name when not stated) first.

    Raises
    ------
    TableError
        The reference arm does not occur.
    """
    arms = sorted(frame["arm"].unique().to_list())
    if reference_arm is None:
        return arms
    if reference_arm not in arms:
        raise TableError(
            f"No patient is in the reference arm {reference_arm!r}; there are {', '.join(arms)}."
        )
    return [reference_arm, *(arm for arm in arms if arm != reference_arm)]


def _refuse(frame: pl.DataFrame, is_wrong: pl.Expr, column: str, needed: str) -> None:
    wrong = frame.filter(is_wrong.fill_null(False))
    if wrong.height:
        raise TableError(
            f"`values.{column}` must be {needed}; {wrong.height} of {frame.height} rows are not, "
            f"the first is row {wrong['_row'][0]}."
        )
