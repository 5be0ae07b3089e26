"""Each contradiction is found where it was put, and a consistent examination is left in peace."""

import polars as pl
import pytest
from typer.testing import CliRunner

from ahsct.cli.main import app
from ahsct.edss import ambulation_from_walking, explain, find_inconsistencies, score
from ahsct.edss.grades import SYSTEMS
from ahsct.errors import TableError


def exam(**given: object) -> dict[str, object]:
    return dict.fromkeys(SYSTEMS, 0) | {"ambulation": 0} | given


def findings(*rows: dict[str, object], coding: str = "0-16") -> list[tuple[int, str]]:
    frame = pl.DataFrame(list(rows), infer_schema_length=None)
    return find_inconsistencies(frame, ambulation_coding=coding).select("row", "finding").rows()  # type: ignore[arg-type]


CASES = {
    "consistent": (exam(fs_pyramidal=3, edss=3.0), []),
    "no recorded step": (exam(fs_pyramidal=3), []),
    "another step": (exam(fs_pyramidal=3, edss=3.5), ["step_differs"]),
    "no such step": (exam(edss=0.5), ["off_scale"]),
    "between steps": (exam(edss=3.25), ["off_scale"]),
    "walking restricted, step above 5 missing grades": (exam(fs_sensory=None, edss=6.0), ["walking_contradicts_step"]),
    "step possible with missing grades": (exam(fs_sensory=None, edss=4.0), []),
    "walking 300 m needs 4.5": (exam(fs_pyramidal=2, fs_sensory=None, ambulation=2, edss=4.0), ["walking_contradicts_step"]),
    "below a grade": (exam(fs_pyramidal=4, edss=3.0), ["step_below_grade", "step_differs"]),
    "grade 6 walking": (exam(fs_sensory=6, edss=5.0), ["grade_6_walking_freely", "step_below_grade"]),
    "no motor signs": (exam(fs_sensory=3, ambulation=2, edss=4.5), ["restricted_without_motor_signs"]),
    "only grades 1": (
        exam(fs_pyramidal=1, ambulation=1, edss=2.0), ["restricted_with_grades_1", "restricted_without_motor_signs"]
    ),
    "the other coding": (exam(fs_pyramidal=3, ambulation=6, edss=6.5), ["other_coding_fits", "step_differs"]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CASES))
def test_within_one_examination(name: str) -> None:
    row, expected = CASES[name]
    assert [finding for _, finding in findings(row)] == expected


def test_a_course_that_moves_without_or_against_its_grades() -> None:
    def seen(day: int, **given: object) -> dict[str, object]:
        return exam(patient_id="a", visit_day=day, **given)

    rows = (
        seen(0, fs_pyramidal=3, edss=3.0),
        seen(90, fs_pyramidal=3, edss=4.0),  # +1.0, nothing changed
        seen(180, fs_pyramidal=2, edss=4.5),  # up, although pyramidal fell
        seen(270, fs_pyramidal=4, edss=4.0),  # down, although pyramidal rose
    )
    frame = pl.DataFrame(list(rows))
    found = find_inconsistencies(frame, ambulation_coding="0-16").filter(
        pl.col("finding").str.starts_with("step_moved")
    )
    assert found.select("row", "finding").rows() == [
        (2, "step_moved_without_grades"),
        (3, "step_moved_against_grades"),
        (4, "step_moved_against_grades"),
    ]
    # the order of rows does not matter, and another patient's visits are not the visit before
    mixed = pl.concat(
        [
            frame,
            frame.with_columns(patient_id=pl.lit("b"), edss=pl.lit(2.0), fs_pyramidal=pl.lit(2, pl.Int64)),
        ]
    )
    turned = find_inconsistencies(mixed.with_row_index("row", offset=1).reverse(), ambulation_coding="0-16")
    assert turned.filter(pl.col("patient_id") == "b").is_empty()
    assert turned.filter(pl.col("finding").str.starts_with("step_moved")).height == 3


def test_from_the_wheelchair_to_free_walking() -> None:
    rows = [
        exam(patient_id="a", visit_day=day, ambulation=walking, fs_pyramidal=4, edss=step)
        for day, walking, step in [(0, 10, 7.0), (60, 1, 4.0), (400, 10, 7.0), (600, 1, 4.0)]
    ]
    frame = pl.DataFrame(rows)
    found = find_inconsistencies(frame, ambulation_coding="0-16")
    assert found.filter(pl.col("finding") == "walking_jumped")["row"].to_list() == [2]


def test_walking_becomes_a_score_by_each_rule() -> None:
    seen = pl.DataFrame(
        [("none", float("inf")), ("none", 500), ("none", 499), ("none", 300), ("none", 299), ("none", 200), ("none", 199),
         ("none", 100), ("none", 99), ("one_side", 50), ("one_side", 49), ("both_sides", 120), ("both_sides", 119),
         ("both_sides", 4), ("wheelchair", 0), ("wheelchair_with_help", None), ("none", None), (None, 100)],
        schema={"walking_aid": pl.String, "distance_m": pl.Float64}, orient="row", strict=False,
    )  # fmt: skip
    expected = [0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 8, 7, 9, 10, 10, 11, None, None]
    assert ambulation_from_walking(seen)["ambulation"].to_list() == expected
    older = ambulation_from_walking(seen, profile="kurtzke")["ambulation"].to_list()
    assert older[9:13] == [6, 6, 9, 9]
    with pytest.raises(TableError, match=r"the first is row 2 \(stick\)"):
        ambulation_from_walking(pl.DataFrame({"walking_aid": ["none", "stick"], "distance_m": [1.0, 1.0]}))


def test_the_command_line(tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "visits.csv"
    names = ",".join([*SYSTEMS, "ambulation", "edss"])
    file.write_text(
        f"{names}\n0,0,3,2X,0,0,0,0,3.5\n0,0,3,0,0,0,0,0,4.0\n0,0,,0,0,0,0,0,4.0\n", encoding="utf-8"
    )
    out = tmp_path / "scored.csv"
    runner = CliRunner()
    done = runner.invoke(app, ["edss", "score", str(file), "--ambulation-coding", "0-16", "--out", str(out)])
    assert done.exit_code == 0, done.output
    scored = pl.read_csv(out)
    assert scored["step"].to_list() == [3.5, 3.0, None]
    assert scored["fs_cerebellar"].to_list() == ["2X", "0", "0"]
    done = runner.invoke(app, ["edss", "check", str(file), "--ambulation-coding", "0-16"])
    assert done.exit_code == 1
    assert (
        "error step_differs: 1, first row 2. EDSS 4.0 is recorded, the grades and walking give 3.0."
        in done.output
    )


@pytest.mark.parametrize(
    ("coding", "ambulation", "distance", "contradicts"),
    [
        ("0-16", 0, 30.0, True),
        ("0-16", 0, float("inf"), False),
        ("0-16", 3, 250.0, False),
        ("0-16", 3, 300.0, True),
        ("0-16", 6, 40.0, True),
        ("0-16", 9, 130.0, True),
        ("0-13", 5, 130.0, False),  # aid on both sides
        ("0-13", 6, 130.0, True),
        ("0-16", 12, 3.0, False),
        ("0-16", 12, 20.0, True),
    ],
)
def test_a_distance_that_cannot_go_with_the_ambulation_score(
    coding: str, ambulation: int, distance: float, contradicts: bool
) -> None:
    exam = pl.DataFrame(
        {key: [2] for key in SYSTEMS} | {"ambulation": [ambulation], "distance_m": [distance]}
    )
    found = find_inconsistencies(exam, ambulation_coding=coding)["finding"].to_list()  # type: ignore[arg-type]
    assert ("distance_contradicts_walking" in found) is contradicts


def test_in_bed_with_hardly_a_sign_is_worth_a_look() -> None:
    exam = pl.DataFrame({key: [1] for key in SYSTEMS} | {"ambulation": [12], "edss": [8.0]})
    found = find_inconsistencies(exam, ambulation_coding="0-16")["finding"].to_list()
    assert {"restricted_with_grades_1", "restricted_without_motor_signs"} <= set(found)


def test_words_of_levels_that_stand_for_several_ways_of_walking() -> None:
    row = dict.fromkeys(SYSTEMS, 2)
    assert "or 120 m or more with aid on both" in explain(row | {"ambulation": 5}, ambulation_coding="0-13")
    assert "or 5 to 119 m with aid on both" in explain(row | {"ambulation": 6}, ambulation_coding="0-13")
    assert "50 m" not in explain(row | {"ambulation": 6}, ambulation_coding="0-16", profile="kurtzke")
    alone = dict.fromkeys(SYSTEMS, 0) | {"fs_pyramidal": 4, "ambulation": 0}
    assert "the others 0 or 1" in explain(alone, ambulation_coding="0-16")
    assert "the others 0 to 2" in explain(alone, ambulation_coding="0-16", profile="lenient")
    assert "ignored" not in explain(alone, ambulation_coding="0-16", profile="kurtzke")
    cerebral = explain(alone | {"fs_cerebral": 1}, ambulation_coding="0-16", profile="kurtzke")
    assert cerebral.endswith("Cerebral grade 1 is ignored.")


def test_grades_written_as_decimals_are_read() -> None:
    exam = {name: ["1.0"] for name in SYSTEMS} | {"ambulation": ["0.0"]}
    assert score(pl.DataFrame(exam), ambulation_coding="0-16")["step"].to_list() == [1.5]
