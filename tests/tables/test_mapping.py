"""Mappings: each conversion by hand, what is counted, and what a slip in a mapping says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ahsct import read_study
from ahsct.errors import DefinitionError, SourceError
from ahsct.tables.mapped import apply_mapping
from ahsct.tables.mapping import load_mapping


def mapping(*tables: dict[str, Any], drop: list[dict[str, str]] | None = None) -> Any:
    return load_mapping(
        {
            "schema": 1,
            "id": "test",
            "title": "test",
            "seen": "source",
            "tables": list(tables),
            "drop": drop or [],
        }
    )


def one(column: Any, **source: list[Any]) -> tuple[list[Any], list[tuple[Any, ...]]]:
    """Map one column of table X to visits.rater and return its values and the log without 'not mapped'."""
    mapped = apply_mapping(
        {"X": pl.DataFrame(source)},
        mapping({"table": "visits", "source": "x", "columns": {"rater": column}}),
    )
    log = mapped.log.filter(~pl.col("what").str.contains("not mapped")).select("what", "n", "detail")
    return mapped.tables["visits"]["rater"].to_list(), log.rows()


def test_expressions_codes_units_days_and_missing() -> None:
    assert one("LOWER(a) || '!'", A=["X", None]) == (["x!", None], [])
    assert one({"value": "a", "times": 60.0}, A=["1.5", "2"]) == ([90.0, 120.0], [])
    assert one({"value": "a", "day": "sdtm"}, A=[-1.0, 1.0, 0.0, None]) == (
        [-1, 0, 0, None],
        [("day 0 in days that have none", 1, None)],
    )
    assert one({"value": "a", "missing": ["99"]}, A=[3.5, 99.0]) == (
        [3.5, None],
        [("coded as missing", 1, "99")],
    )
    codes = {"1": "yes", "two": "no"}
    assert one({"value": "a", "codes": codes}, A=["1", " TWO ", "3", None]) == (
        ["yes", "no", "3", None],
        [("code not in the list, kept", 1, "3")],
    )
    assert one({"value": "a", "codes": codes, "other": "missing"}, A=["1", "3", "3"])[1] == [
        ("code not in the list, left missing", 2, "3")
    ]


@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        ("missing", [None, None, "2003-05-06", "soon"]),
        ("first", ["2003-01-01", "2004-02-01", "2003-05-06", "soon"]),
        ("middle", ["2003-07-01", "2004-02-15", "2003-05-06", "soon"]),
        ("last", ["2003-12-31", "2004-02-29", "2003-05-06", "soon"]),
    ],
)
def test_partial_dates_are_left_or_completed_and_flagged(partial: str, expected: list[str | None]) -> None:
    source = pl.DataFrame({"D": ["2003", "2004-02", "2003-05-06T10:11", "soon"]})
    mapped = apply_mapping(
        {"X": source},
        mapping(
            {
                "table": "visits",
                "source": "X",
                "columns": {"visit_date": {"value": "D", "date": "iso", "partial": partial}},
            }
        ),
    )
    visits = mapped.tables["visits"]
    assert visits["visit_date"].to_list() == expected
    if partial == "missing":
        assert visits.columns == ["visit_date"]
    else:
        assert visits["visit_date_imputed"].to_list() == ["M", "D", None, None]
    assert mapped.log["n"].to_list() == [2]


def test_tests_in_rows_become_columns_and_parts_lie_side_by_side() -> None:
    qs = pl.DataFrame(
        {"ID": ["a", "a", "a", "b"], "DY": [1, 1, 85, 1], "T": ["EDSS", "PYR", "EDSS", "EDSS"], "V": ["2.0", "1", "3.0", "9"],
         "STAT": [None, None, None, "NOT DONE"]}
    )  # fmt: skip
    ft = pl.DataFrame({"ID": ["a", "a", "c"], "DY": [1, 1, 1], "V": [5.0, 7.0, 6.0]})
    keys = {"patient_id": "ID", "visit_day": {"value": "DY", "day": "sdtm"}}
    grouped = {"group_by": ["patient_id", "visit_day"], "merge_on": ["patient_id", "visit_day"]}
    made = apply_mapping(
        {"QS": qs, "FT": ft, "ZZ": pl.DataFrame({"x": [1, 2]})},
        mapping(
            {"table": "visits", "source": "QS", **grouped,
             "columns": keys | {"edss": {"value": "V", "where": "T = 'EDSS'"}, "fs_pyramidal": {"value": "V", "where": "T = 'PYR'"}}},
            {"table": "visits", "source": "FT", **grouped, "columns": keys | {"t25fw_s": {"value": "V", "pick": "mean"}}},
            drop=[{"source": "QS", "where": "STAT = 'NOT DONE'", "why": "not done"}],
        ),
    )  # fmt: skip
    assert made.tables["visits"].rows() == [
        ("a", 0, "2.0", "1", 6.0),
        ("a", 84, "3.0", None, None),
        ("c", 0, None, None, 6.0),
    ]
    assert made.log.rows() == [
        ("QS", None, "rows dropped", 1, "not done"),
        ("ZZ", None, "table not mapped", 2, "2 rows"),
    ]


def test_a_slip_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"visits has no column 'eds'. Did you mean 'edss'"):
        mapping({"table": "visits", "source": "X", "columns": {"eds": "A"}})
    with pytest.raises(DefinitionError, match="no table 'visit' of ours"):
        mapping({"table": "visit", "source": "X", "columns": {"edss": "A"}})
    with pytest.raises(
        SourceError, match=r"expression for x to visits.rater cannot be run on x: there is no column 'B'"
    ):
        one("B", A=["1"])


@pytest.mark.parametrize(
    "hostile", ["A; DROP TABLE X", "(SELECT 1)", "read_csv('/etc/hostname')", "A FROM X", "A, B"]
)
def test_an_expression_can_only_be_an_expression(hostile: str) -> None:
    with pytest.raises(SourceError, match="cannot be run"):
        one(hostile, A=["secret"])


def test_a_study_through_a_mapping_file(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "people.csv").write_text("id;kurs;spare\n1;schubförmig;x\n", encoding="utf-8")
    (tmp_path / "src" / "checks.csv").write_text("id;day;score\n1;0;2,5\n1;90;3\n", encoding="utf-8")
    (tmp_path / "map.toml").write_text(
        """
schema = 1
id = "own"
title = "a clinic's own export"
seen = "source"
[[tables]]
table = "patients"
source = "people"
columns = { patient_id = "id", ms_course = { value = "kurs", codes = { "schubförmig" = "RRMS" } } }
[[tables]]
table = "visits"
source = "checks"
columns = { patient_id = "id", visit_day = "day", edss = "score" }
""",
        encoding="utf-8",
    )
    study = read_study(tmp_path / "src", mapping=tmp_path / "map.toml")
    assert study.table("visits", ["patient_id", "visit_day", "edss"]).rows() == [
        ("1", 0, 2.5),
        ("1", 90, 3.0),
    ]
    assert study.table("patients", ["ms_course"]).rows() == [("RRMS",)]
    messages = study.problems["message"].to_list()
    assert any("people.spare: column not mapped, 1 times" in message for message in messages)
    assert set(study.problems["severity"]) == {"warning"}


def test_what_a_group_cannot_hold_is_counted() -> None:
    # two EDSS at one visit, another test that no column asks for, one row without a time, two scores from two tables
    qs = pl.DataFrame(
        {"ID": ["a", "a", "a", "a", "b"], "DY": [1, 1, 1, None, 1], "QSTESTCD": ["EDSS", "EDSS", "MOOD", "EDSS", "EDSS"], "V": [2.0, 3.0, 9.0, 4.0, 5.0]}
    )  # fmt: skip
    rs = pl.DataFrame({"ID": ["b"], "DY": [1], "V": [5.5]})
    keys = {"patient_id": "ID", "visit_day": "DY"}
    grouped = {
        "group_by": ["patient_id", "visit_day"],
        "merge_on": ["patient_id", "visit_day"],
        "needs_one_of": ["visit_day"],
    }
    made = apply_mapping(
        {"QS": qs, "RS": rs},
        mapping(
            {"table": "visits", "source": "QS", **grouped, "columns": keys | {"edss": {"value": "V", "where": "QSTESTCD = 'EDSS'"}}},
            {"table": "visits", "source": "RS", **grouped, "columns": keys | {"edss": "V"}},
        ),
    )  # fmt: skip
    assert made.tables["visits"].rows() == [("a", 1, 2.0), ("b", 1, 5.0)]
    assert made.log.rows() == [
        ("QS", None, "rows dropped without visit_day", 1, "for visits"),
        ("QS", "edss", "several different values, the first taken", 1, "rows of visits"),
        ("RS", "edss", "differs from the value of another table, left out", 1, "rows of visits"),
        ("QS", None, "rows not mapped", 1, "QSTESTCD: MOOD 1"),
    ]


def test_rows_that_no_table_takes_are_counted() -> None:
    source = pl.DataFrame({"ID": ["a", "b", "c"], "T": ["RELAPSE", "WORSENING", None]})
    columns = {"patient_id": "ID"}
    made = apply_mapping(
        {"CE": source},
        mapping({"table": "relapses", "source": "CE", "where": "T = 'RELAPSE'", "columns": columns}),
    )
    assert made.tables["relapses"].height == 1
    assert made.log.rows() == [("CE", None, "rows not mapped", 2, None)]


def test_what_is_no_number_and_no_date_stays_for_the_check() -> None:
    assert one({"value": "a", "times": 60.0}, A=["1.5", "fast"])[0] == ["90.0", "fast"]
    assert one({"value": "a", "day": "sdtm"}, A=["1", "3.5", "soon"])[0] == ["0", "3.5", "soon"]
    dates = ["2003-05-06T10:11", "2003-05-06 00:00:00", "2003-05-06Z?", "2003-05-061"]
    assert one({"value": "a", "date": "iso"}, A=dates)[0] == ["2003-05-06", "2003-05-06", *dates[2:]]


@pytest.mark.parametrize("expression", ["CAST(A AS BIGINT)", "A + 1", "CAST(A AS DATE)"])
def test_no_message_quotes_a_value(expression: str) -> None:
    for column in (expression, {"value": "1", "where": "A"}):
        with pytest.raises(SourceError) as raised:
            one(column, A=["SMITH-1966", "JONES-1970"])
        assert "SMITH" not in str(raised.value)
        assert raised.value.__cause__ is None


def picked(pick: str, rows: pl.DataFrame) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Gather column v by patient and day; return the rows in the order of their keys, and the log."""
    columns = {"patient_id": "p", "visit_day": "d", "t25fw_s": {"value": "v", "pick": pick}}
    made = apply_mapping(
        {"X": rows}, mapping({"table": "visits", "source": "x", "group_by": ["patient_id", "visit_day"], "columns": columns})
    )  # fmt: skip
    return made.tables["visits"].sort("patient_id", "visit_day").rows(), made.log.rows()


@pytest.mark.parametrize(
    ("pick", "wanted"),
    [("first", [3.0, 5.0, None, 7.0]), ("last", [4.0, 5.0, None, 7.0]), ("min", [3.0, 5.0, None, 7.0]), ("max", [4.0, 5.0, None, 7.0]),
     ("mean", [3.5, 5.0, None, 7.0]), ("sum", [7.0, 5.0, None, 7.0])],
)  # fmt: skip
def test_sorted_rows_are_gathered_as_others(pick: str, wanted: list[float | None]) -> None:
    rows = pl.DataFrame(
        {
            "P": ["a", "a", "a", "a", "b", "b"],
            "D": [1, 1, 2, 2, 0, 1],
            "V": [3.0, 4.0, None, 5.0, None, 7.0],
        }
    )
    values, log = picked(pick, rows)
    assert values == [("a", 1, wanted[0]), ("a", 2, wanted[1]), ("b", 0, wanted[2]), ("b", 1, wanted[3])]
    mixed, mixed_log = picked(pick, rows[[4, 0, 2, 5, 1, 3]])  # keys fall, so that one comes back
    assert (mixed, mixed_log) == (values, log)
    said = [row[2] for row in log]
    assert said == ([f"several different values, the {pick} taken"] if pick in ("first", "last") else [])


def test_one_row_for_each_key_is_left_as_it_is() -> None:
    rows = pl.DataFrame({"P": ["a", "a", "b"], "D": [1, 2, 1], "V": [3.0, None, 5.0]})
    assert picked("sum", rows) == ([("a", 1, 3.0), ("a", 2, None), ("b", 1, 5.0)], [])


def test_conditions_on_many_rows_hold_as_on_few() -> None:
    few = pl.DataFrame(
        {
            "P": ["a", "b", "a"],
            "D": [1, 1, 2],
            "T": ["x", None, "y"],
            "C": ["k", "k", "K"],
            "V": [1.0, 2.0, 3.0],
        }
    )
    columns = {
        "patient_id": "p", "visit_day": "d", "t25fw_s": {"value": "v", "where": "T = 'x' OR T IS NULL"},
        "sdmt": {"value": "v", "where": "UPPER(c) = 'K' AND T = 'y'"}, "rater": "LOWER(c) || T",
    }  # fmt: skip
    made = mapping({"table": "visits", "source": "x", "columns": columns, "where": "V < 3.5"})
    one_by_one = apply_mapping({"X": few}, made).tables["visits"]
    many = apply_mapping({"X": pl.concat([few] * 5000)}, made).tables["visits"]
    in_runs = pl.concat([few[i] for i in range(3) for _ in range(5000)])
    runs = apply_mapping({"X": in_runs}, made).tables["visits"]
    assert runs.equals(pl.concat([one_by_one[i] for i in range(3) for _ in range(5000)]))
    assert many.height == 15_000
    assert many.equals(pl.concat([one_by_one] * 5000))
    assert one_by_one["sdmt"].to_list() == [None, None, 3.0]
