"""The visit or scan from which activity after the transplant is counted."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import RebaselineWindow
from ahsct.vocabulary import require_columns

_PICKED = pl.Schema({"patient_id": pl.String(), "day": pl.Int64()})


def pick_rebaseline(days: pl.DataFrame, *, window: RebaselineWindow) -> pl.DataFrame:
    """Return each patient's re-baseline day; a patient without an assessment in the window has no row.

    Parameters
    ----------
    days
        One row per assessment: `patient_id`, `day` [days from time zero]; a missing day is no assessment.
    window
        Target, window (both ends belong to it) and which assessment in it to pick. Of two that are
        equally close to the target the earlier is taken.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `day` [days from time zero], sorted by patient.

    Examples
    --------
    Days 81 and 101 are both ten days from the target; the earlier is taken:

    >>> days = pl.DataFrame({"patient_id": ["a", "a", "a"], "day": [30, 101, 81]})
    >>> pick_rebaseline(days, window=RebaselineWindow(target_day=91, window_days=(61, 152)))["day"].to_list()
    [81]
    """
    require_columns("pick_rebaseline", "days", days, ["patient_id", "day"])
    distance = {
        "closest": (pl.col("day") - window.target_day).abs(),
        "first": pl.col("day"),
        "last": -pl.col("day"),
    }[window.pick]
    earliest, latest = window.window_days
    return (
        days.filter(pl.col("day").is_between(earliest, latest))  # a missing day lies in no window
        .select("patient_id", pl.col("day").cast(pl.Int64), distance.alias("_distance"))
        .sort("patient_id", "_distance", "day")
        .unique("patient_id", keep="first", maintain_order=True)
        .select(_PICKED.names())
    )
