"""The decision table against a second, independently written one, over the whole grid; codings, suffixes, gaps."""

from functools import cache
from itertools import product

import numpy as np
import polars as pl
import pytest

from ahsct.edss import PROFILES, EdssProfile, explain, score
from ahsct.edss.grades import SYSTEMS
from ahsct.errors import RequestError, TableError

NAMES = list(SYSTEMS)
RAW = [range(highest + 1) for highest, _ in SYSTEMS.values()]


@cache
def by_words(grades: tuple[int, ...], walking: int, four_and_twos: float, four_and_threes: float) -> float:
    """Return the step as the scale's own wording builds it up: grades sorted, worst first, one case after another."""
    at_least = {
        4: 5.5,
        5: 6.0,
        6: 6.0,
        7: 6.0,
        8: 6.5,
        9: 6.5,
        10: 7.0,
        11: 7.5,
        12: 8.0,
        13: 8.5,
        14: 9.0,
        15: 9.5,
        16: 10.0,
    }
    if walking in at_least:
        return at_least[walking]
    if walking == 3:
        return 5.0
    ordered = sorted(grades, reverse=True)
    worst, rest = ordered[0], ordered[1:]
    second = rest[0]
    if worst == 0:
        step = 0.0
    elif worst == 1:
        step = 1.0 if second == 0 else 1.5
    elif worst == 2:
        n = sum(grade == 2 for grade in ordered)
        step = {1: 2.0, 2: 2.5, 3: 3.0, 4: 3.0, 5: 3.5}.get(n, 4.0)
    elif worst == 3:
        threes, twos = sum(g == 3 for g in ordered), sum(g == 2 for g in ordered)
        if threes == 1:
            step = 3.0 if twos == 0 else 3.5 if twos <= 2 else 4.0
        elif threes == 2:
            step = 3.5 if twos == 0 else 4.0
        else:
            step = 4.0 if threes <= 4 else 4.5 if threes == 5 else 5.0
    elif worst == 4:
        if second == 4:
            step = 5.0
        elif second == 3:
            step = 4.5 if sum(g == 3 for g in rest) <= 2 else four_and_threes
        elif second == 2:
            step = four_and_twos
        else:
            step = 4.0
    else:
        step = 5.0
    if walking == 1:
        step = max(step, 2.0)
    if walking == 2:
        step = max(step, 4.5)
    return step


@pytest.mark.parametrize("profile", list(PROFILES))
def test_the_whole_grid_agrees_with_the_second_table(profile: str) -> None:
    version = PROFILES[profile]
    grid = np.stack(np.meshgrid(*RAW, range(3), indexing="ij"), axis=-1).reshape(-1, 8).astype(np.int8)
    assert len(grid) == 1_555_848
    frame = pl.DataFrame({name: grid[:, i] for i, name in enumerate([*NAMES, "ambulation"])})
    steps = score(frame, ambulation_coding="0-16", profile=version)["step"].to_numpy()
    # one row for each pattern of used grades: converted by the published table, order does not matter
    used = grid[:, :7].copy()
    used[:, 0] = np.array([0, 1, 2, 2, 3, 3, 4])[grid[:, 0]]
    used[:, 5] = np.array([0, 1, 2, 3, 3, 4, 5])[grid[:, 5]]
    if version.cerebral_grade_1 == "ignored":
        used[used[:, 6] == 1, 6] = 0
    used.sort(axis=1)
    code = used.astype(np.int64) @ 7 ** np.arange(7) * 3 + grid[:, 7]
    patterns, where, place = np.unique(code, return_index=True, return_inverse=True)
    options = float(version.one_grade_4_with_grade_2), float(version.one_grade_4_with_three_grade_3)
    expected = np.array([by_words(tuple(used[i].tolist()), int(grid[i, 7]), *options) for i in where])
    np.testing.assert_array_equal(steps, expected[place])
    if profile == "neurostatus":
        # grades 0-5 or 0-6 of which seven are drawn, in any order
        assert len(patterns) > 3000


@pytest.mark.parametrize("walking", range(3, 17))
def test_walking_alone_decides_from_score_3_on_even_without_grades(walking: int) -> None:
    frame = pl.DataFrame({name: [None, 2] for name in NAMES} | {"ambulation": [walking] * 2})
    expected = by_words((2,) * 7, walking, 4.5, 5.0)
    assert score(frame, ambulation_coding="0-16")["step"].to_list() == [expected] * 2


def test_codings_give_the_same_number_another_meaning() -> None:
    frame = pl.DataFrame(dict.fromkeys(NAMES, [0] * 14) | {"ambulation": list(range(14))})
    short = score(frame, ambulation_coding="0-13")["step"].to_list()
    assert short == [0.0, 2.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5, 10.0]
    long = score(frame, ambulation_coding="0-16")["step"].to_list()
    assert long[:10] == [0.0, 2.0, 4.5, 5.0, 5.5, 6.0, 6.0, 6.0, 6.5, 6.5]


def test_the_coding_must_be_declared() -> None:
    frame = pl.DataFrame({key: [0] for key in NAMES} | {"ambulation": [6]})
    with pytest.raises(RequestError, match="declare how `ambulation` is coded"):
        score(frame)
    with pytest.raises(
        TableError, match=r"`ambulation` must be a whole number from 0 to 13; 1 of 1 rows .* row 1 \(14\)"
    ):
        score(frame.with_columns(ambulation=14), ambulation_coding="0-13")


def test_raw_and_converted_grades() -> None:
    raw = pl.DataFrame(dict.fromkeys(NAMES, [0] * 7) | {"ambulation": [0] * 7}).with_columns(
        fs_visual=pl.Series(range(7)), fs_bowel_bladder=pl.Series(range(7))
    )
    converted = raw.with_columns(
        fs_visual=pl.Series([0, 1, 2, 2, 3, 3, 4]), fs_bowel_bladder=pl.Series([0, 1, 2, 3, 3, 4, 5])
    )
    steps = score(raw, ambulation_coding="0-16")["step"].to_list()
    assert steps == score(converted, ambulation_coding="0-16", grades="converted")["step"].to_list()
    assert steps == [0.0, 1.5, 2.5, 3.5, 3.5, 4.5, 5.0]
    with pytest.raises(TableError, match="`fs_visual` must be a whole number from 0 to 4"):
        score(raw, ambulation_coding="0-16", grades="converted")


def test_suffixes_and_text_are_read_and_kept() -> None:
    frame = pl.DataFrame(
        {key: ["0", " 0 "] for key in NAMES}
        | {"fs_cerebellar": ["2X", "2"], "fs_visual": ["3 V", "3"], "ambulation": ["0", "0"]}
    )
    scored = score(frame, ambulation_coding="0-16")
    assert scored["step"].to_list() == [2.5, 2.5]
    assert scored["fs_cerebellar"].to_list() == ["2X", "2"]
    with pytest.raises(TableError, match=r"`fs_visual` .* row 2 \(2.5\)"):
        score(frame.with_columns(fs_visual=pl.Series(["2", "2.5"])), ambulation_coding="0-16")


def test_missing_grades_leave_no_step_and_say_why() -> None:
    frame = pl.DataFrame({key: [1, 1] for key in NAMES} | {"ambulation": [0, None]}).with_columns(
        fs_sensory=pl.Series([None, 1], dtype=pl.Int64)
    )
    scored = score(frame, ambulation_coding="0-16")
    assert scored["step"].to_list() == [None, None]
    assert scored["why_not_scored"].to_list() == [
        "a functional system is missing",
        "the ambulation score is missing",
    ]


def test_never_falls_when_pyramidal_visual_or_walking_rises() -> None:
    rng = np.random.Generator(np.random.Philox(7))
    grades = {name: rng.integers(0, min(highest, 4), 20_000) for name, (highest, _) in SYSTEMS.items()}
    frame = pl.DataFrame(grades | {"ambulation": rng.integers(0, 2, 20_000)})
    before = score(frame, ambulation_coding="0-16")["step"]
    for name in ("fs_pyramidal", "fs_visual", "ambulation"):
        after = score(frame.with_columns(pl.col(name) + 1), ambulation_coding="0-16")["step"]
        assert (after >= before).all()


def test_every_switch_changes_only_its_own_case() -> None:
    base = PROFILES["neurostatus"]
    rows = [[4, 2, 0, 0, 0, 0, 0], [4, 3, 3, 3, 0, 0, 0], [2, 0, 0, 0, 0, 0, 1]]
    order = [
        "fs_pyramidal",
        "fs_cerebellar",
        "fs_brainstem",
        "fs_sensory",
        "fs_visual",
        "fs_bowel_bladder",
        "fs_cerebral",
    ]
    frame = pl.DataFrame(rows, schema=order, orient="row").with_columns(ambulation=0)

    def steps(profile: EdssProfile) -> list[float]:
        return score(frame, ambulation_coding="0-16", profile=profile)["step"].to_list()

    assert steps(base) == [4.5, 5.0, 2.0]
    assert steps(EdssProfile(name="x", one_grade_4_with_grade_2="4.0")) == [4.0, 5.0, 2.0]
    assert steps(EdssProfile(name="x", one_grade_4_with_three_grade_3="4.5")) == [4.5, 4.5, 2.0]
    only_cerebral = pl.DataFrame(
        {key: [0, 0] for key in order} | {"fs_cerebral": [1, 2], "ambulation": [0, 0]}
    )
    ignored = EdssProfile(name="x", cerebral_grade_1="ignored")
    assert score(only_cerebral, ambulation_coding="0-16", profile=ignored)["step"].to_list() == [0.0, 2.0]


def test_explain_names_the_rule_for_every_pattern_it_is_asked_of() -> None:
    said = set()
    for grades in product(range(5), repeat=2):
        for walking in (0, 1, 2, 6):
            row = dict.fromkeys(NAMES, 0) | {
                "fs_pyramidal": grades[0],
                "fs_sensory": grades[1],
                "ambulation": walking,
            }
            text = explain(row, ambulation_coding="0-16")
            step = score(pl.DataFrame({k: [v] for k, v in row.items()}), ambulation_coding="0-16")["step"][0]
            assert text.startswith(f"EDSS {step:.1f}: ")
            said.add(text.split(": ")[1].split(". Grades")[0])
    assert len(said) >= 10
    assert (
        explain({"ambulation": None}, ambulation_coding="0-16") == "No EDSS: the ambulation score is missing."
    )


@pytest.mark.parametrize(
    ("value", "shown"), [("1.5", " (1.5)."), ("99", " (99)."), ("SMITH", "."), ("19660504A", ".")]
)
def test_a_grade_that_is_none_is_shown_when_it_is_a_number(value: str, shown: str) -> None:
    frame = pl.DataFrame({name: ["0", value] for name in (*SYSTEMS, "ambulation")})
    with pytest.raises(TableError) as raised:
        score(frame, ambulation_coding="0-16")
    assert str(raised.value).endswith(f"the first is row 2{shown}")
