"""Time at risk cut where a covariate changes, so that nobody counts under a value before having it."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ahsct.errors import TableError
from ahsct.vocabulary import require_columns


def split_at_changes(
    time_to_event: pl.DataFrame, covariates: pl.DataFrame, *, columns: Sequence[str]
) -> pl.DataFrame:
    """Return each patient's time at risk in intervals (entry, time] of constant covariates.

    Parameters
    ----------
    time_to_event
        `patient_id`, `time_day`, `is_event`, perhaps `entry_day`; one row per patient.
    covariates
        `patient_id` and the columns. Without `from_day` one row per patient: values known at the start of risk.
        With `from_day` one row per change: a value counts after that day until the next row's day, so that a
        change on the day of the event does not explain the event.
    columns
        The covariates to carry.

    Returns
    -------
    pl.DataFrame
        The rows of `time_to_event`, in their order, each in one or more intervals with `entry_day` [days;
        missing = from the start], `time_day`, `is_event` (true at most in the last) and the covariates.

    Raises
    ------
    TableError
        A column is absent, a patient has no row, two rows from the same day, or no value at the start of risk
        (to take the later one would be immortal time).

    Examples
    --------
    Second-line treatment from day 50 on; the event on day 80 belongs to it, the first 50 days do not:

    >>> patients = pl.DataFrame({"patient_id": ["a"], "time_day": [80], "is_event": [True]})
    >>> line = pl.DataFrame({"patient_id": ["a", "a"], "from_day": [0, 50], "line": [1, 2]})
    >>> split_at_changes(patients, line, columns=["line"]).rows()
    [('a', None, 50, False, 1), ('a', 50.0, 80, True, 2)]
    """
    require_columns("cox", "time_to_event", time_to_event, ["patient_id"])
    changes = "from_day" in covariates.columns
    require_columns("cox", "covariates", covariates, ["patient_id", *columns])
    frame = time_to_event
    if "entry_day" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias("entry_day"))
    # at or before day 0 means from the start, as everywhere
    frame = frame.with_columns(pl.when(pl.col("entry_day") > 0).then("entry_day").alias("entry_day"))
    if not changes:
        return _tidy(_joined("cox", frame, covariates, columns), columns)
    again = covariates.filter(~pl.struct("patient_id", "from_day").is_first_distinct())
    if again.height:
        raise TableError(
            f"`covariates` needs one row per patient_id and from_day; {again.height} of {covariates.height} rows "
            "repeat one."
        )
    frame = frame.drop([name for name in columns if name in frame.columns]).with_row_index("_index")
    values = covariates.select("patient_id", "from_day", *columns).sort("patient_id", "from_day")
    values = values.with_columns(pl.col("from_day").shift(-1).over("patient_id").alias("_until"))
    joined = frame.join(values, on="patient_id", how="left", maintain_order="left_right")
    start = pl.col("entry_day").fill_null(0)
    first = joined.group_by("_index").agg(
        ((pl.col("from_day") <= start).fill_null(False)).any().alias("_known")
    )
    _require_known(
        first.filter(~pl.col("_known")).height, frame.height, "has no value from the start of risk on"
    )
    joined = joined.filter(
        (pl.col("_until").is_null() | (pl.col("_until") > start))
        & ((pl.col("from_day") <= start) | (pl.col("from_day") < pl.col("time_day")))
    )
    is_last = pl.col("_until").is_null() | (pl.col("_until") >= pl.col("time_day"))
    joined = joined.with_columns(
        (pl.col("is_event") & is_last).alias("is_event"),
        pl.when(is_last).then("time_day").otherwise("_until").alias("time_day"),
        pl.when(pl.col("from_day") > start).then("from_day").otherwise("entry_day").alias("entry_day"),
    )
    return _tidy(joined, columns)


def known_at_start(
    function: str, rows: pl.DataFrame, covariates: pl.DataFrame | None, names: Sequence[str]
) -> pl.DataFrame:
    """Return the rows, in their order, with the named covariates of their patients (`arm` is there already).

    Raises
    ------
    TableError
        A column is absent, a patient has no row or two, a value is missing, or values change in time.
    """
    wanted = [name for name in names if name not in ("arm", "patient_id")]
    frame = rows
    if wanted and covariates is not None:
        if "from_day" in covariates.columns:
            raise TableError(f"{function} takes values known at the start of risk: no column 'from_day'.")
        frame = _joined(function, rows, covariates, wanted)
    require_columns(function, "covariates", frame, names)
    for name in names:
        if frame[name].null_count():
            raise TableError(
                f"{function}: covariate {name!r} is missing in {frame[name].null_count()} of {frame.height} rows."
            )
    return frame


def _joined(
    function: str, rows: pl.DataFrame, covariates: pl.DataFrame, columns: Sequence[str]
) -> pl.DataFrame:
    require_columns(function, "rows of patients", rows, ["patient_id"])
    require_columns(function, "covariates", covariates, ["patient_id", *columns])
    again = covariates.filter(~pl.col("patient_id").is_first_distinct())
    if again.height:
        raise TableError(
            f"`covariates` needs one row per patient_id; {again.height} of {covariates.height} rows repeat one."
            " Values that change need the column 'from_day'."
        )
    frame = rows.drop([name for name in columns if name in rows.columns])
    known = covariates.select("patient_id", *columns, pl.lit(True).alias("_known"))
    joined = frame.join(known, on="patient_id", how="left", maintain_order="left")
    lacking = joined.filter(pl.col("_known").is_null())["patient_id"].n_unique()
    _require_known(lacking, joined["patient_id"].n_unique(), "has no row")
    return joined.drop("_known")


def _tidy(joined: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    kept = ("patient_id", "entry_day", "time_day", "is_event")
    others = [
        name
        for name in joined.columns
        if name not in (*kept, *columns, "_index", "_known", "_until", "from_day", "_row")
    ]
    return joined.select(*kept, *columns, *others)


def _require_known(n_lacking: int, n: int, what: str) -> None:
    if n_lacking:
        raise TableError(
            f"`covariates`: {n_lacking} of {n} patients of `time_to_event` {what}. Nobody is left out silently: filter "
            "these patients, give their values, or start their time at risk where the value is known."
        )
