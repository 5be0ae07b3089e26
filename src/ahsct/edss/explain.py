"""Which rule gave the step, in words."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.edss.grades import SYSTEMS, Coding, Grades, ambulation_scores, used_grades
from ahsct.edss.profile import EdssProfile, load_profile
from ahsct.edss.score import RULES, score

_WALKS = {
    3: "walks 200 to 299 m without aid",
    4: "walks 100 to 199 m without aid",
    5: "walks less than 100 m without aid",
    6: "walks 50 m or more with aid on one side",
    7: "walks 120 m or more with aid on both sides",
    8: "walks less than 50 m with aid on one side",
    9: "walks 5 to 119 m with aid on both sides",
    10: "uses a wheelchair without help",
    11: "uses a wheelchair with help",
    12: "is in bed or chair for most of the day",
    13: "is in bed for much of the day",
    14: "is bedridden and can communicate",
    15: "is bedridden and cannot communicate",
    16: "died of MS",
}
# levels of the shorter coding that stand for several ways of walking
_SHORT = {
    5: "walks less than 100 m without aid, 50 m or more with aid on one side, or 120 m or more with aid on both",
    6: "walks less than 50 m with aid on one side, or 5 to 119 m with aid on both",
}
_KURTZKE = {6: "walks with aid on one side", 9: "walks with aid on both sides"}
_KURTZKE_SHORT = {
    5: "walks less than 100 m without aid, or with aid on one side",
    6: "walks with aid on both sides",
}


def explain(
    row: Mapping[str, object],
    *,
    ambulation_coding: Coding | None = None,
    grades: Grades = "raw",
    profile: str | EdssProfile = "neurostatus",
) -> str:
    """Say in words which rule gave the step of one examination.

    Parameters
    ----------
    row
        The seven functional systems and `ambulation` by name, as in `score`.
    ambulation_coding, grades, profile
        As for `score`.

    Examples
    --------
    >>> row = dict.fromkeys(SYSTEMS, 0) | {"fs_pyramidal": 4, "fs_visual": 3, "ambulation": 1}
    >>> explain(row, ambulation_coding="0-16")
    'EDSS 4.5: one grade 4 beside other grades 2 or 3, or walking 300 to 499 m. Grades: visual 2 (raw 3), pyramidal 4; ambulation 1.'
    """
    version = load_profile(profile)
    frame = pl.DataFrame({name: [row.get(name)] for name in (*SYSTEMS, "ambulation")}, strict=False)
    scored = score(frame, ambulation_coding=ambulation_coding, grades=grades, profile=version)
    walking = int(ambulation_scores(frame, coding=ambulation_coding, function="edss.explain")[0])
    used = used_grades(frame, grades=grades, function="edss.explain")
    step, rule, lacking = scored.select("step", "rule", "why_not_scored").row(0)
    if step is None:
        return f"No EDSS: {lacking}."
    said = []
    for name, values in used.items():
        grade, raw = int(values[0]), row.get(name)
        if grade < 0:
            said.append(f"{_system(name)} missing")
        elif grade > 0 or str(raw) not in ("0", "0.0"):
            was = "" if str(raw) in (str(grade), f"{grade}.0") else f" (raw {raw})"
            said.append(f"{_system(name)} {grade}{was}")
    listing = ", ".join(said) or "all 0"
    if rule == RULES[1]:
        why = f"the patient {_walk(walking, ambulation_coding, version)}"
    else:
        why = _reason(RULES.index(rule), version)
    is_ignored = version.cerebral_grade_1 == "ignored" and int(used["fs_cerebral"][0]) == 1
    note = " Cerebral grade 1 is ignored." if is_ignored else ""
    return f"EDSS {step:.1f}: {why}. Grades: {listing}; ambulation {row.get('ambulation')}.{note}"


def _walk(walking: int, coding: Coding | None, profile: EdssProfile) -> str:
    """Return how the patient walks, as far as the coding and the version tell it."""
    is_kurtzke = profile.walking == "kurtzke"
    words = dict(_WALKS) | (_KURTZKE if is_kurtzke else {})
    if coding == "0-13":
        short = _KURTZKE_SHORT if is_kurtzke else _SHORT
        words |= {at: short[level] for level, at in ((5, 5), (6, 8))}
    return words[walking]


def _system(name: str) -> str:
    return name.removeprefix("fs_").replace("_", "/")


def _reason(rule: int, profile: EdssProfile) -> str:
    """Return a rule of the decision table in words, as the profile has it."""
    three = "" if profile.one_grade_4_with_three_grade_3 == "4.5" else ", or one with three grades 3"
    others = "2 or 3" if profile.one_grade_4_with_grade_2 == "4.5" else "3"
    return {
        2: f"a grade above 4, two grades 4{three}, or six grades 3",
        3: f"one grade 4 beside other grades {others}, or walking 300 to 499 m",
        4: f"one grade 4, the others {'0 or 1' if profile.one_grade_4_with_grade_2 == '4.5' else '0 to 2'}",
        5: "walks 300 to 499 m without aid",
        6: "five grades 3",
        7: "three or four grades 3, two with a grade 2, one with three grades 2, or six grades 2",
        8: "two grades 3, one with one or two grades 2, or five grades 2",
        9: "one grade 3, or three or four grades 2",
        10: "two grades 2",
        11: "one grade 2, or walking restricted to 500 m or more",
        12: "two or more grades 1",
        13: "one grade 1",
        14: "every grade is 0",
    }[rule]
