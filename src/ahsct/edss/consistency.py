"""Examinations that contradict themselves, and courses that move without a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass

import polars as pl

from ahsct.edss.grades import (
    CODINGS,
    MISSING,
    SYSTEMS,
    Coding,
    Grades,
    ambulation_scores,
    used_grades,
)
from ahsct.edss.profile import EdssProfile, load_profile
from ahsct.edss.score import score
from ahsct.errors import TableError
from ahsct.vocabulary import require_columns

FINDINGS = {
    "row": pl.Int64(),
    "patient_id": pl.String(),
    "visit_day": pl.Int64(),
    "finding": pl.String(),
    "severity": pl.String(),
    "message": pl.String(),
}
_SHORT_COURSE_DAYS = 92  # a change of walking in so short a time is worth a look, not an error
# metres that go with an ambulation score of 0 to 15
_RANGES_M = {0: (500.0, math.inf), 1: (500.0, math.inf), 2: (300.0, 499.9), 3: (200.0, 299.9), 4: (100.0, 199.9), 5: (0.0, 99.9),
             6: (50.0, math.inf), 7: (120.0, math.inf), 8: (0.0, 49.9), 9: (5.0, 119.9),
             **dict.fromkeys(range(10, 16), (0.0, 4.9))}  # fmt: skip
_COLUMNS = (*SYSTEMS, "ambulation")


@dataclass(frozen=True)
class _Check:
    finding: str
    severity: str
    when: pl.Expr
    message: str  # {0}, {1} stand for `values`
    values: tuple[str, ...] = ()


def find_inconsistencies(
    frame: pl.DataFrame,
    *,
    ambulation_coding: Coding | None = None,
    grades: Grades = "raw",
    profile: str | EdssProfile = "neurostatus",
) -> pl.DataFrame:
    """Return every contradiction within an examination, and between two examinations of a patient.

    Parameters
    ----------
    frame
        One row per examination: the functional systems and `ambulation` (absent ones are taken as missing),
        `edss` as recorded (optional), `patient_id` and `visit_day` (optional; without them no course is
        looked at), `row` (optional).
    ambulation_coding, grades, profile
        As for `edss.score`.

    Returns
    -------
    pl.DataFrame
        `row` (as given, else 1 for the first), `patient_id`, `visit_day`, `finding`, `severity` (error: one
        of the values must be wrong; warning: worth a look), `message`; by row, then finding. Findings:
        `off_scale`, `step_differs` (recorded and derived step), `walking_contradicts_step` (where grades are
        missing), `other_coding_fits` (the step agrees with the other ambulation coding), `step_below_grade`,
        `grade_6_walking_freely`, `restricted_without_motor_signs`, `restricted_with_grades_1`,
        `distance_contradicts_walking` (with a column `distance_m` [m]), `step_moved_without_grades`, `step_moved_against_grades`, `walking_jumped`.

    Raises
    ------
    TableError, RequestError
        As `edss.score`.

    Examples
    --------
    EDSS 4.0 is recorded; one grade 3 alone gives 3.0:

    >>> exam = dict.fromkeys(SYSTEMS, [0]) | {"fs_pyramidal": [3], "ambulation": [0], "edss": [4.0]}
    >>> find_inconsistencies(pl.DataFrame(exam), ambulation_coding="0-16").select("finding", "message").row(0)
    ('step_differs', 'EDSS 4.0 is recorded, the grades and walking give 3.0.')
    """
    version = load_profile(profile)
    table = _examinations(frame, ambulation_coding, grades, version)
    found = [_rows(table, check) for check in _within(ambulation_coding)]
    if {"patient_id", "visit_day"} <= set(frame.columns):
        course = _beside_the_visit_before(table)
        found += [_rows(course, check) for check in _between()]
    return pl.concat(found).sort("row", "finding", maintain_order=True)


def _examinations(
    frame: pl.DataFrame, coding: Coding | None, grades: Grades, profile: EdssProfile
) -> pl.DataFrame:
    """Return the grades as used, the walking in 0 to 16, the recorded and the derived step."""
    absent = [pl.lit(None, pl.Int64).alias(name) for name in _COLUMNS if name not in frame.columns]
    whole = frame.with_columns(absent)
    scored = score(whole, ambulation_coding=coding, grades=grades, profile=profile)
    used = used_grades(whole, grades=grades, function="find_inconsistencies")
    walking = ambulation_scores(whole, coding=coding, function="find_inconsistencies")
    has = frame.columns
    if "edss" in has and not frame["edss"].dtype.is_numeric() and frame["edss"].dtype != pl.Null:
        raise TableError(f"find_inconsistencies: `edss` must be a number, not {frame['edss'].dtype}.")
    other = next(choice for choice in CODINGS if choice != coding)
    return pl.DataFrame(
        {
            "row": frame["row"].cast(pl.Int64) if "row" in has else range(1, frame.height + 1),
            "patient_id": frame["patient_id"].cast(pl.String) if "patient_id" in has else pl.Series([None], dtype=pl.String).new_from_index(0, frame.height),
            "visit_day": frame["visit_day"].cast(pl.Int64) if "visit_day" in has else pl.Series([None], dtype=pl.Int64).new_from_index(0, frame.height),
            **{name: pl.Series(values).cast(pl.Int64).replace(MISSING, None) for name, values in used.items()},
            "walking": pl.Series(walking).cast(pl.Int64).replace(MISSING, None),
            "edss": frame["edss"].cast(pl.Float64) if "edss" in has else pl.Series([None], dtype=pl.Float64).new_from_index(0, frame.height),
            "step": scored["step"],
            "other_step": _step_in_other_coding(whole, other, grades, profile),
            "distance_m": frame["distance_m"].cast(pl.Float64, strict=False) if "distance_m" in has else pl.Series([None], dtype=pl.Float64).new_from_index(0, frame.height),
        }
    ).with_columns(pl.max_horizontal(*SYSTEMS).alias("highest"), **_distances(coding, profile))  # fmt: skip


def _distances(coding: Coding | None, profile: EdssProfile) -> dict[str, pl.Expr]:
    """Return from what to what [m] the ambulation score lets the distance be."""
    ranges = dict(_RANGES_M)
    if profile.walking == "kurtzke":
        ranges |= {6: (0.0, math.inf), 9: (5.0, math.inf)}
    if coding == "0-13":  # 5 also stands for aid on one or both sides, 6 (8 of 16) for aid on both
        ranges |= {5: (0.0, math.inf), 8: (0.0, ranges[9][1])}
    return {
        name: pl.col("walking").replace_strict(
            {score: limits[end] for score, limits in ranges.items()}, default=None, return_dtype=pl.Float64
        )
        for end, name in enumerate(("shortest", "longest"))
    }


def _step_in_other_coding(frame: pl.DataFrame, other: str, grades: Grades, profile: EdssProfile) -> pl.Series:
    """Return the step that the same numbers would give in the other coding, where it has them."""
    limit = 16 if other == "0-16" else 13
    number = pl.col("ambulation").cast(pl.Float64, strict=False)
    reachable = frame.with_columns(pl.when(number <= limit).then("ambulation").alias("ambulation"))
    coding: Coding = "0-16" if other == "0-16" else "0-13"
    return score(reachable, ambulation_coding=coding, grades=grades, profile=profile)["step"]


def _within(coding: Coding | None) -> list[_Check]:
    edss, step, walking, highest = pl.col("edss"), pl.col("step"), pl.col("walking"), pl.col("highest")
    on_scale = edss.is_between(0, 10) & (edss * 2 == (edss * 2).round()) & (edss != 0.5)
    # what walking alone leaves open where grades are missing
    low = pl.when(walking == 1).then(2.0).when(walking == 2).then(4.5).otherwise(0.0)
    fits_walking = pl.when(walking <= 2).then(edss.is_between(low, 5.0))
    motor = pl.max_horizontal("fs_pyramidal", "fs_cerebellar")
    other = "0-13" if coding == "0-16" else "0-16"
    differs = edss.is_not_null() & step.is_not_null() & (edss != step) & on_scale
    fits_other = differs & (pl.col("other_step") == edss) & (walking >= 3)
    return [
        _Check("off_scale", "error", edss.is_not_null() & ~on_scale.fill_null(False),
               "EDSS {0} does not exist: the scale has 0, 1.0, 1.5 and so on to 10.", ("edss",)),
        _Check("step_differs", "error", differs,
               "EDSS {0} is recorded, the grades and walking give {1}.", ("edss", "step")),
        _Check("other_coding_fits", "warning", fits_other,
               f"EDSS {{0}} is what this ambulation score means in the coding {other}: is the declared coding wrong?",
               ("edss",)),
        _Check("walking_contradicts_step", "error", step.is_null() & on_scale & ~fits_walking,
               "EDSS {0} cannot go with ambulation {1} (0 to 16), whatever the grades.", ("edss", "walking")),
        _Check("step_below_grade", "warning", (edss < highest) & on_scale,
               "EDSS {0} is below the highest grade used, {1}.", ("edss", "highest")),
        _Check("grade_6_walking_freely", "warning", (highest >= 6) & (walking <= 2),
               "A grade of 6 with free walking (ambulation {0}).", ("walking",)),
        _Check("restricted_without_motor_signs", "warning", (walking >= 1) & (walking <= 15) & (motor < 2),
               "Walking is restricted (ambulation {0}) although pyramidal and cerebellar grades are below 2.",
               ("walking",)),
        _Check("restricted_with_grades_1", "warning", (walking >= 1) & (walking <= 15) & (highest <= 1),
               "Walking is restricted although no grade is above 1: the step {0} rests on walking alone.", ("step",)),
        _Check("distance_contradicts_walking", "error",
               (pl.col("distance_m") < pl.col("shortest")) | (pl.col("distance_m") > pl.col("longest")),
               "A distance of {0} m cannot go with ambulation {1} (0 to 16).", ("distance_m", "walking")),
    ]  # fmt: skip


def _between() -> list[_Check]:
    change = pl.col("edss") - pl.col("edss_before")
    parts = [*SYSTEMS, "walking"]
    known = pl.all_horizontal(
        *(pl.col(name).is_not_null() & pl.col(f"{name}_before").is_not_null() for name in parts)
    )
    same = pl.all_horizontal(*(pl.col(name) == pl.col(f"{name}_before") for name in parts))
    rose = pl.any_horizontal(*(pl.col(name) > pl.col(f"{name}_before") for name in parts))
    fell = pl.any_horizontal(*(pl.col(name) < pl.col(f"{name}_before") for name in parts))
    against = known & ~same & ((change > 0) & ~rose | (change < 0) & ~fell)
    days = pl.col("visit_day") - pl.col("visit_day_before")
    jumped = ((pl.col("walking_before") >= 10) & (pl.col("walking") <= 2)) & (days <= _SHORT_COURSE_DAYS)
    return [
        _Check("step_moved_without_grades", "warning", known & same & (change.abs() >= 1.0),
               "EDSS moved from {0} to {1}, but no grade and no walking changed since the visit before.",
               ("edss_before", "edss")),
        _Check("step_moved_against_grades", "warning", against,
               "EDSS moved from {0} to {1}, but the grades and walking only moved the other way.",
               ("edss_before", "edss")),
        _Check("walking_jumped", "warning", jumped,
               f"From a wheelchair (ambulation {{0}}) to free walking ({{1}}) within {_SHORT_COURSE_DAYS} days.",
               ("walking_before", "walking")),
    ]  # fmt: skip


def _beside_the_visit_before(table: pl.DataFrame) -> pl.DataFrame:
    """Return each examination beside the one before it of the same patient, by day."""
    require_columns("find_inconsistencies", "examinations", table, ["patient_id", "visit_day"])
    names = [*SYSTEMS, "walking", "edss", "visit_day"]
    ordered = table.drop_nulls(["patient_id", "visit_day"]).sort(
        "patient_id", "visit_day", "row", maintain_order=True
    )
    return ordered.with_columns(
        pl.col(name).shift(1).over("patient_id").alias(f"{name}_before") for name in names
    )


def _rows(table: pl.DataFrame, check: _Check) -> pl.DataFrame:
    hit = table.filter(check.when.fill_null(False))
    message = (
        pl.format(check.message.replace("{0}", "{}").replace("{1}", "{}"), *check.values)
        if check.values
        else pl.lit(check.message)
    )
    return hit.select(
        "row",
        "patient_id",
        "visit_day",
        pl.lit(check.finding).alias("finding"),
        pl.lit(check.severity).alias("severity"),
        message.alias("message"),
    ).cast(FINDINGS)  # type: ignore[arg-type]
