"""The ambulation score from what was seen: aid and distance."""

from __future__ import annotations

import polars as pl

from ahsct.edss.profile import EdssProfile, load_profile
from ahsct.errors import TableError
from ahsct.vocabulary import require_columns

AIDS = ("none", "one_side", "both_sides", "wheelchair", "wheelchair_with_help")


def ambulation_from_walking(
    frame: pl.DataFrame, *, profile: str | EdssProfile = "neurostatus"
) -> pl.DataFrame:
    """Return the frame with `ambulation` (0 to 16) from aid and distance.

    Parameters
    ----------
    frame
        `walking_aid` (none, one_side, both_sides, wheelchair, wheelchair_with_help) and `distance_m` [m,
        >= 0; infinite = unrestricted], one row per examination. Missing values give a missing score.
    profile
        Its `walking`: "neurostatus" splits one-sided aid at 50 m and two-sided aid at 120 m; "kurtzke" gives
        6 (EDSS 6.0) for one side and 9 (EDSS 6.5) for both, whatever the distance from 5 m on.

    Returns
    -------
    pl.DataFrame
        The frame with `ambulation`. Without aid: unrestricted 0; 500 m or more 1; 300 to 499 m 2; 200 to
        299 m 3; 100 to 199 m 4; less 5. Under 5 m, whatever the aid, 10 (wheelchair).

    Raises
    ------
    TableError
        A column is missing; an unknown aid; a negative distance; `ambulation` is there already.

    Examples
    --------
    >>> seen = pl.DataFrame({"walking_aid": ["none", "one_side", "both_sides"], "distance_m": [250.0, 40.0, 130.0]})
    >>> ambulation_from_walking(seen)["ambulation"].to_list()
    [3, 8, 7]
    """
    rule = load_profile(profile).walking
    require_columns("ambulation_from_walking", "examinations", frame, ["walking_aid", "distance_m"])
    if "ambulation" in frame.columns:
        raise TableError("ambulation_from_walking: the frame has `ambulation` already; drop it, or score it.")
    aid, distance = pl.col("walking_aid"), pl.col("distance_m").cast(pl.Float64)
    numbered = frame.with_row_index("_row", offset=1)
    unknown = numbered.filter(aid.is_not_null() & ~aid.is_in(AIDS))
    if unknown.height:
        row, value = unknown.select("_row", "walking_aid").row(0)
        raise TableError(
            f"`walking_aid` must be one of {', '.join(AIDS)}; {unknown.height} of {frame.height} rows are not, "
            f"the first is row {row} ({value})."
        )
    negative = numbered.filter((distance < 0) | distance.is_nan())
    if negative.height:
        row, metres = negative.select("_row", "distance_m").row(0)
        raise TableError(
            f"`distance_m` must be 0 or more; {negative.height} of {frame.height} rows are not, "
            f"the first is row {row} ({metres})."
        )
    far_one, far_both = (50, 120) if rule == "neurostatus" else (0, float("inf"))
    score = (
        pl.when(aid == "wheelchair")
        .then(10)
        .when(aid == "wheelchair_with_help")
        .then(11)
        .when(distance < 5)
        .then(10)
        .when(aid == "one_side")
        .then(pl.when(distance >= far_one).then(6).when(distance.is_not_null()).then(8))
        .when(aid == "both_sides")
        .then(
            pl.when((distance >= far_both) & (rule == "neurostatus"))
            .then(7)
            .when(distance.is_not_null())
            .then(9)
        )
        .when(aid == "none")
        .then(
            pl.when(distance.is_infinite())
            .then(0)
            .when(distance >= 500)
            .then(1)
            .when(distance >= 300)
            .then(2)
            .when(distance >= 200)
            .then(3)
            .when(distance >= 100)
            .then(4)
            .when(distance.is_not_null())
            .then(5)
        )
    )
    return frame.with_columns(score.cast(pl.Int64).alias("ambulation"))
