"""Time on the horizontal axis: where it starts, where the labels stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ahsct.vocabulary import DAYS_PER_YEAR

if TYPE_CHECKING:
    from ahsct.tables import Study

_DAY_OF = {
    "infusion": ("transplants", "infusion_day"),
    "mobilisation_start": ("transplants", "mobilisation_start_day"),
    "randomisation": ("patients", "randomisation_day"),
    "treatment_decision": ("patients", "treatment_decision_day"),
    "comparator_start": ("patients", "comparator_start_day"),
}
TIME_ZERO = {
    "infusion": "infusion",
    "mobilisation_start": "start of mobilisation",
    "randomisation": "randomisation",
    "treatment_decision": "decision to treat",
    "comparator_start": "start of the comparator",
}


def zero_days(study: Study, time_zero: str = "infusion") -> pl.DataFrame:
    """Return `patient_id` and `zero_day`, the day on the study's axis that the drawing calls 0.

    The earliest such day of each patient; patients without one are left out.
    """
    table, column = _DAY_OF[time_zero]
    return (
        study.table(table, ["patient_id", column])
        .drop_nulls()
        .group_by("patient_id")
        .agg(pl.col(column).min().alias("zero_day"))
        .sort("patient_id")
    )


def years_from_zero(frame: pl.DataFrame, day: str, zero: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of patients in `zero` with a known `day`, and `years` counted from day 0."""
    return (
        frame.join(zero, on="patient_id", how="inner", maintain_order="left")
        .filter(pl.col(day).is_not_null())
        .with_columns(((pl.col(day) - pl.col("zero_day")) / DAYS_PER_YEAR).alias("years"))
    )


def breaks(
    end: float, *, room: float, label: float = 24, steps: tuple[float, ...] | None = None
) -> list[float]:
    """Return evenly spaced labels from 0 to `end` that fit `room` [pt] at `label` [pt] each.

    Examples
    --------
    >>> breaks(12.7, room=370, label=24)
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]
    >>> breaks(12.7, room=370, label=50)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    """
    steps = steps or (0.5, 1, 2, 5, 10, 20, 50)
    step = next((step for step in steps if end / step * label <= room), steps[-1])
    return [float(step * i) for i in range(int(end / step + 1e-9) + 1)]
