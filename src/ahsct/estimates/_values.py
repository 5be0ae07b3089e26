"""From a long table of repeated values to arrays: one check and one order for every longitudinal estimate."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.vocabulary import require_columns


def repeated_values(
    function: str,
    values: pl.DataFrame,
    *,
    needed: Sequence[str],
    time: str | None = None,
    keep_missing: bool = False,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return rows with `patient_id`, `arm` and the `needed` columns in a stated order, and the rows left out.

    A row with a missing needed value is left out (kept with `keep_missing`). Without a column `arm` everybody
    is in the arm "all". At each `time` a patient has one row only: a value that stands twice would count as two.

    Raises
    ------
    TableError
        A column is missing, a patient is missing, a number is not finite, a patient stands in two arms or has
        two rows at one `time`.
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
    is_left_out = pl.lit(False) if keep_missing else pl.any_horizontal(pl.col(*needed).is_null())
    columns = ["patient_id", "arm", *needed]
    whole, left_out = (
        frame.filter(which).sort(["patient_id", *needed], nulls_last=True)
        for which in (~is_left_out, is_left_out)
    )
    if time is not None:
        twice = whole.filter(pl.col(time).is_not_null() & pl.struct("patient_id", time).is_duplicated()).sort(
            "_row"
        )
        if twice.height:
            raise TableError(
                f"{function} needs one row per patient and `{time}`; {twice.height} of {frame.height} rows of "
                f"`values` share theirs, the first is row {twice['_row'][0]}. Keep one, or their mean."
            )
    return whole.select(columns), left_out.select(columns)


def arms_of(frame: pl.DataFrame, reference_arm: str | None) -> list[str]:
    """Return the arms, the reference (the first by name when not stated) first.

    Rows left out count: an arm without a value has to be named, not lost.

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


def require_two_arms(function: str, arms: Sequence[str]) -> None:
    """Raise a RequestError where there is nothing to compare."""
    if len(arms) < 2:
        raise RequestError(f"{function} compares arms; found one only: {', '.join(arms)}.")


def _refuse(frame: pl.DataFrame, is_wrong: pl.Expr, column: str, needed: str) -> None:
    wrong = frame.filter(is_wrong.fill_null(False))
    if wrong.height:
        raise TableError(
            f"`values.{column}` must be {needed}; {wrong.height} of {frame.height} rows are not, "
            f"the first is row {wrong['_row'][0]}."
        )
