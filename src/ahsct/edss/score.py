"""From functional systems and walking to the EDSS step: one decision table."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.edss.grades import MISSING, SYSTEMS, Bytes, Coding, Grades, ambulation_scores, used_grades
from ahsct.edss.profile import EdssProfile, load_profile

# Steps given by walking alone, from the ambulation score 3 on
_BY_WALKING = {
    3: 5.0, 4: 5.5, 5: 6.0, 6: 6.0, 7: 6.0, 8: 6.5, 9: 6.5, 10: 7.0, 11: 7.5, 12: 8.0, 13: 8.5, 14: 9.0, 15: 9.5, 16: 10.0,
}  # fmt: skip
RULES = (
    "not scored",
    "walking",
    "5.0 by grades",
    "4.5 by one grade 4",
    "4.0 by one grade 4",
    "4.5 by walking 300 to 499 m",
    "4.5 by five grades 3",
    "4.0 by grades 2 and 3",
    "3.5 by grades 2 and 3",
    "3.0 by grades 2 and 3",
    "2.5 by two grades 2",
    "2.0 by one grade 2 or restricted walking",
    "1.5 by grades 1",
    "1.0 by one grade 1",
    "0 by grades",
)
_N_LEVELS, _BASE = 17, 8  # ambulation scores; a count of up to seven systems
_WEIGHTS = np.array(
    [0, 1, _BASE, _BASE**2, _BASE**3, _BASE**4, _BASE**4, 0], dtype=np.int32
)  # the last: missing


def decide(
    n1: int, n2: int, n3: int, n4: int, n_above_4: int, ambulation: int, profile: EdssProfile
) -> tuple[float, int]:
    """Return the step and the number of the rule that gave it; the first rule that applies.

    `n1` to `n4` count the grades that are exactly 1 to 4, `n_above_4` those above.
    """
    if ambulation in _BY_WALKING:
        return _BY_WALKING[ambulation], 1
    if n_above_4 or n4 >= 2 or (n4 == 0 and n3 >= 6):
        return 5.0, 2
    if n4 == 1:
        if n3 >= 3:
            return (5.0, 2) if profile.one_grade_4_with_three_grade_3 == "5.0" else (4.5, 3)
        has_others = n3 >= 1 or (n2 >= 1 and profile.one_grade_4_with_grade_2 == "4.5")
        return (4.5, 3) if has_others or ambulation == 2 else (4.0, 4)
    if ambulation == 2:
        return 4.5, 5
    if n3 == 5:
        return 4.5, 6
    if n3 >= 3 or (n3 == 2 and n2 >= 1) or (n3 == 1 and n2 >= 3) or (n3 == 0 and n2 >= 6):
        return 4.0, 7
    if n3 == 2 or (n3 == 1 and n2 >= 1) or n2 == 5:
        return 3.5, 8
    if n3 == 1 or n2 >= 3:
        return 3.0, 9
    if n2 == 2:
        return 2.5, 10
    if n2 == 1 or ambulation == 1:
        return 2.0, 11
    return (1.5, 12) if n1 >= 2 else (1.0, 13) if n1 == 1 else (0.0, 14)


def score(
    frame: pl.DataFrame,
    *,
    ambulation_coding: Coding | None = None,
    grades: Grades = "raw",
    profile: str | EdssProfile = "neurostatus",
) -> pl.DataFrame:
    """Return examinations with the EDSS step that their grades give.

    Parameters
    ----------
    frame
        One row per examination: `fs_visual`, `fs_brainstem`, `fs_pyramidal`, `fs_cerebellar`, `fs_sensory`,
        `fs_bowel_bladder`, `fs_cerebral` (whole grades; text with a suffix such as "2X" is read as its grade)
        and `ambulation`.
    ambulation_coding
        "0-16" or "0-13"; must be declared, because the codings use the same numbers for other things.
    grades
        Whether visual and bowel/bladder grades are "raw" (0 to 6) or already "converted".
    profile
        The version of the EDSS: a name of `PROFILES`, or an `EdssProfile`.

    Returns
    -------
    pl.DataFrame
        The frame as it was, with `step` (missing where grades or walking that decide are missing), `rule`
        (which rule of the decision table gave it) and `why_not_scored`.

    Raises
    ------
    TableError
        A column is missing, or a grade lies outside its range.
    RequestError
        The coding of `ambulation` is not declared; an unknown profile.

    References
    ----------
    Kurtzke (1983), doi:10.1212/wnl.33.11.1444; grades and walking as in Neurostatus-EDSS.

    Examples
    --------
    Pyramidal 3 and sensory 2, walking freely: one grade 3 with one grade 2 gives 3.5.

    >>> grades = dict.fromkeys(SYSTEMS, [0]) | {"fs_pyramidal": [3], "fs_sensory": [2], "ambulation": [0]}
    >>> score(pl.DataFrame(grades), ambulation_coding="0-16").select("step", "rule").row(0)
    (3.5, '3.5 by grades 2 and 3')
    """
    version = load_profile(profile)
    used = used_grades(frame, grades=grades, function="edss.score")
    walking = ambulation_scores(frame, coding=ambulation_coding, function="edss.score")
    steps, rules = score_arrays(used, walking, version)
    lacks_grade = np.zeros(len(walking), dtype=np.bool_)
    for values in used.values():
        lacks_grade |= values == MISSING
    lacks_grade &= walking < 3
    step = pl.Series("step", steps, nan_to_null=True)
    return frame.with_columns(
        step,
        pl.Series("rule", RULES, dtype=pl.String).gather(pl.Series(rules)).alias("rule"),
        pl.select(
            pl.when(pl.Series(walking == MISSING))
            .then(pl.lit("the ambulation score is missing"))
            .when(pl.Series(lacks_grade))
            .then(pl.lit("a functional system is missing"))
        )
        .to_series()
        .alias("why_not_scored"),
    )


def score_arrays(
    used: dict[str, Bytes], walking: Bytes, profile: EdssProfile
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return step (NaN = not scored) and rule number of each examination, from converted grades."""
    key = np.zeros(len(walking), dtype=np.int32)
    lacks = walking == MISSING
    for name in SYSTEMS:
        grade = used[name]
        lacks |= (grade == MISSING) & (walking < 3)
        if name == "fs_cerebral" and profile.cerebral_grade_1 == "ignored":
            grade = np.where(grade == 1, 0, grade).astype(np.int8)
        key += _WEIGHTS[grade]
    key += np.maximum(walking, 0).astype(np.int32) * np.int32(_BASE**5)
    steps, rules = _table(profile)
    return np.where(lacks, np.nan, steps[key]), np.where(lacks, 0, rules[key]).astype(np.int64)


@cache
def _table(profile: EdssProfile) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int8]]:
    """Return the decision table, by the counts of each grade and the ambulation score."""
    size = _N_LEVELS * _BASE**5
    steps, rules = np.full(size, np.nan), np.zeros(size, dtype=np.int8)
    counts = [
        (a, b, c, d, e)
        for a in range(8)
        for b in range(8 - a)
        for c in range(8 - a - b)
        for d in range(8 - a - b - c)
        for e in range(8 - a - b - c - d)
    ]
    weights = [_BASE**power for power in range(5)]
    for walking in range(_N_LEVELS):
        for n in counts:
            key = sum(count * weight for count, weight in zip(n, weights, strict=True)) + walking * _BASE**5
            steps[key], rules[key] = decide(*n, walking, profile)
    return steps, rules
