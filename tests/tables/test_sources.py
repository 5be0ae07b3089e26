"""Files that are no study, files that cannot be read, and good studies of odd sizes and forms."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import pytest

from ahsct.errors import DefinitionError, RequestError, SourceError, StudyError
from ahsct.tables import check, find_problems, make_study, read_study, write_study

HEADER_PATIENTS = b"patient_id,index_date\n"
HEADER_VISITS = b"patient_id,visit_date,edss\n"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"

# file, bytes, words of the message
UNREADABLE = [
    ("visits.csv", b"", "visits.csv is empty"),
    ("visits.csv", b" \n\n", "visits.csv is empty"),
    ("visits.csv", "patient_id,visit_date,edss,rater\nP1,2004-01-01,3,Zoë\n".encode("latin-1"), r"byte 51 \(0xeb, line 2\)"),
    ("visits.csv", "patient_id,visit_date,edss\n".encode("utf-16"), "UTF-16"),
    ("visits.csv", b"patient_id,visit_date\0edss\n", "byte 21 is zero"),
    ("visits.csv", b"patient_id;visit_date;edss\nP1;2004-01-01;3,0\n", "semicolons"),
    ("visits.csv", b"patient_id\tvisit_date\tedss\nP1\t2004-01-01\t3\n", "tabs"),
    ("visits.csv", b"patient_id,visit_date,edss\nP1,2004-01-01,3\nP1,2004-02-01\n", "first is row 2 with 2"),
    ("visits.csv", b"patient_id,visit_date,edss\nP1,2004-01-01,3,0\n", "first is row 1 with 4"),
    ("visits.csv", b'patient_id,visit_date,edss\n"P1",2004-01-01,3\n"P1",2004-02-01\n', "first is row 2 with 2"),
    ("visits.csv", b'patient_id,visit_date,edss\n"P1,2004-01-01,3\n', "quote that is not closed"),
    ("visits.csv", b"patient_id,visit_date,edss\rP1,2004-01-01,3\r", "old Mac line ends"),
    ("visits.csv", LFS, "git lfs pull"),
    ("visits.parquet", LFS, "git lfs pull"),
    ("visits.parquet", b"PAR1 not really", "cannot be read as Parquet"),
    ("visits.parquet", b"", "cannot be read as Parquet"),
    ("study.toml", b"study_id = \n", "no valid TOML"),
    ("study.toml", b'studyid = "x"\n', "Did you mean 'study_id'"),
    ("study.toml", b"study_id = 5\n", "must be text"),
    ("study.toml", b'data_kind = "simulate"\n', "Did you mean 'simulated'"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "data", "words"), UNREADABLE, ids=lambda value: repr(value)[:40])
def test_unreadable_file_is_named(
    file: str, data: bytes, words: str, three: Path, inputs_stay_as_they_are: Callable[[Path], None]
) -> None:
    if file == "visits.parquet":
        (three / "visits.csv").unlink()
    (three / file).write_bytes(data)
    inputs_stay_as_they_are(three)
    with pytest.raises(SourceError, match=words) as raised:
        read_study(three)
    assert file in str(raised.value)


def test_places_that_are_no_study(tmp_path: Path, three: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_study(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="is no study: it needs patients and visits"):
        read_study(tmp_path / "empty")
    with pytest.raises(SourceError, match="single file"):
        read_study(three / "visits.csv")
    with pytest.raises(SourceError, match="cannot be opened as a DuckDB file"):
        read_study(three / "visits.csv", kind="duckdb")
    with pytest.raises(SourceError, match="needs a DuckDB file"):
        read_study(three, kind="duckdb")
    with pytest.raises(RequestError, match="Did you mean 'parquet'"):
        read_study(three, kind="parket")
    with pytest.raises(DefinitionError, match="unknown key 'visits'"):
        read_study(three, mapping={"visits": {}})
    (three / "visits.csv").unlink()
    os.symlink("visits.csv", three / "visits.csv")
    with pytest.raises(SourceError, match="symbolic links"):
        read_study(three)
    (three / "visits.csv").unlink()
    (three / "visits.csv").mkdir()
    with pytest.raises(SourceError, match="directory"):
        read_study(three)


def test_two_files_of_one_table_are_not_chosen_from(three: Path) -> None:
    pl.DataFrame({"patient_id": ["P1"]}).write_parquet(three / "visits.parquet")
    with pytest.raises(SourceError, match=r"visits.csv and visits.parquet"):
        read_study(three)
    assert read_study(three, kind="csv").table("visits").height == 7


def test_missing_required_table(three: Path) -> None:
    (three / "visits.csv").rename(three / "vist.csv")
    problems = find_problems(read_study(three))
    errors = problems.filter(pl.col("severity") == "error")
    assert errors.select("table", "rule").rows() == [
        ("visits", "missing_table"),
        ("visits", "misspelt_table"),
    ]
    assert errors["message"][1] == "`vist.csv` is no table; did you mean `visits` (.csv or .parquet)? Rename or convert it."  # fmt: skip


def test_other_files_are_left_alone_unless_they_look_like_a_table(three: Path) -> None:
    for name in ("published.csv", "README.md", "matches.csv", "notes.txt", "events.csv"):
        (three / name).write_text("a,b\n1,2\n")
    assert find_problems(read_study(three)).is_empty()
    (three / "visit.csv").write_text("a,b\n1,2\n")
    assert find_problems(read_study(three)).select("table", "rule", "severity").rows() == [
        ("visits", "misspelt_table", "warning")
    ]


def test_byte_order_mark_and_windows_line_ends_change_nothing(three: Path) -> None:
    plain = read_study(three)
    text = (three / "visits.csv").read_bytes()
    (three / "visits.csv").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
    assert read_study(three).content_hash == plain.content_hash


def test_blank_lines_count_as_rows_and_are_told(three: Path) -> None:
    text = (three / "visits.csv").read_text().splitlines(keepends=True)
    (three / "visits.csv").write_text("".join([*text[:2], "\n", *text[2:]]).replace(",3.5,", ",0.5,"))
    problems = find_problems(read_study(three))
    assert problems.filter(pl.col("rule") == "edss_off_scale")["row"].to_list() == [3]
    assert 2 in problems.filter(pl.col("rule") == "missing_value")["row"].to_list()


def test_no_patient_one_patient_no_event(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_bytes(HEADER_PATIENTS)
    (tmp_path / "visits.csv").write_bytes(HEADER_VISITS)
    study = check(read_study(tmp_path))
    assert find_problems(study).is_empty()
    assert study.table("visits", ["visit_day", "edss"]).schema == {"visit_day": pl.Int64, "edss": pl.Float64}
    (tmp_path / "patients.csv").write_bytes(HEADER_PATIENTS + b"P1,2004-01-10")
    (tmp_path / "visits.csv").write_bytes(HEADER_VISITS + b"P1,2004-01-11,3")
    (tmp_path / "relapses.csv").write_bytes(b"patient_id,onset_date\n")
    study = check(read_study(tmp_path))
    assert find_problems(study).is_empty()
    assert study.table("visits", ["visit_day", "edss", "row"]).rows() == [(1, 3.0, 1)]
    assert not study.has("relapses")


def test_days_only(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("patient_id\nP1\n")
    (tmp_path / "visits.csv").write_text("patient_id,visit_day,edss\nP1,-30,3\nP1,90.0,3.5\n")
    study = check(read_study(tmp_path))
    assert find_problems(study).is_empty()
    assert study.table("visits")["visit_day"].to_list() == [-30, 90]


def test_day_and_date_must_agree(spoil: Callable[[str, str, str], Path]) -> None:
    folder = spoil("relapses.csv", "", "")
    (folder / "relapses.csv").write_text(
        "patient_id,onset_date,onset_day\nP1,2003-12-31,-10\nP1,2003-11-30,-40\n"
    )
    problems = find_problems(read_study(folder))
    # P1's day 0 is 2004-01-10: 2003-12-31 is day -10, 2003-11-30 is day -41.
    assert problems.select("row", "column", "value", "rule").rows() == [
        (2, "onset_day", "-40", "day_and_date_disagree")
    ]


def test_index_date_is_derived_in_the_stated_order_and_told() -> None:
    study = make_study(
        "x",
        data_kind="simulated",
        patients=pl.DataFrame({
            "patient_id": ["a", "b", "c", "d", "e"],
            "randomisation_date": ["2001-01-01", "2002-02-02", None, None, None],
        }),
        transplants=pl.DataFrame({
            "patient_id": ["a", "a"],
            "infusion_date": ["2006-06-06", "2003-03-03"],
            "conditioning_regimen": ["BU", "BU"],
        }),
        visits=pl.DataFrame({
            "patient_id": ["a", "b", "c", "c", "d", "e"],
            "visit_date": ["2003-03-04", "2002-02-01", "2005-05-06", "2005-05-05", None, "2005-01-01"],
            "visit_day": [None, None, None, None, 7, None],
            "edss": [3.0] * 6,
        }),
        relapses=pl.DataFrame({"patient_id": ["e"], "onset_day": [5]}),
    )  # fmt: skip
    index = study.table("patients")["index_date"].cast(pl.String).to_list()
    assert index == ["2003-03-03", "2002-02-02", "2005-05-05", None, None]
    assert study.table("visits")["visit_day"].to_list() == [1, -1, 1, 0, 7, None]
    problems = find_problems(study)
    warning = problems.filter(pl.col("rule") == "index_date_derived")
    assert warning["value"].to_list() == [
        "transplants.infusion_date: 1; patients.randomisation_date: 1; visits.visit_date: 1"
    ]
    # e has a day counted from an unknown day 0, so that no day 0 may be invented for its dates.
    assert problems.filter(pl.col("rule") == "no_day").select("table", "row", "column").rows() == [
        ("visits", 6, "visit_date")
    ]


def test_parquet_keeps_types_and_refuses_wrong_ones(three: Path) -> None:
    plain = read_study(three)
    for path in three.glob("*.csv"):
        pl.read_csv(path, try_parse_dates=True).write_parquet(path.with_suffix(".parquet"))
        path.unlink()
    study = check(read_study(three))
    assert find_problems(study).is_empty()
    for name, frame in plain.tables.items():
        assert study.tables[name].equals(frame), name
    pl.read_parquet(three / "visits.parquet").with_columns(edss=pl.lit([1.0])).write_parquet(
        three / "visits.parquet"
    )
    wrong = find_problems(read_study(three)).filter(pl.col("rule") == "wrong_type")
    assert wrong.select("table", "row", "column").rows() == [("visits", None, "edss")]


def test_float_ids_and_times_of_day_are_refused() -> None:
    study = make_study(
        "x",
        data_kind="observed",
        patients=pl.DataFrame({"patient_id": [1.0]}),
        visits=pl.DataFrame(
            {"patient_id": [1], "visit_date": ["2004-01-01 10:30:00"], "edss": [3]}
        ).with_columns(pl.col("visit_date").str.to_datetime()),
    )
    wrong = find_problems(study).filter(pl.col("rule") == "wrong_type")
    assert wrong.select("table", "row", "column").rows() == [
        ("patients", None, "patient_id"),
        ("visits", 1, "visit_date"),
    ]


def test_duckdb_reads_like_the_folder_and_reaches_no_file(three: Path, tmp_path: Path) -> None:
    plain = read_study(three)
    file = tmp_path / "three.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE study (key VARCHAR, value VARCHAR)")
        connection.execute("INSERT INTO study VALUES ('study_id', 'three'), ('data_kind', 'simulated')")
        for path in three.glob("*.csv"):
            connection.execute(f"CREATE TABLE {path.stem} AS SELECT * FROM read_csv(?)", [str(path)])
        connection.execute("CREATE TABLE patient AS SELECT 1 AS a")
    before = file.read_bytes()
    study = check(read_study(file))
    assert file.read_bytes() == before
    assert (study.study_id, study.data_kind) == ("three", "simulated")
    for name, frame in plain.tables.items():
        assert study.tables[name].equals(frame), name
    assert find_problems(study)["rule"].to_list() == ["misspelt_table"]
    with duckdb.connect(str(file)) as connection:
        connection.execute("DROP TABLE visits")
        connection.execute(f"CREATE VIEW visits AS SELECT * FROM read_csv('{three / 'visits.csv'}')")
    with pytest.raises(SourceError, match="cannot be read"):
        read_study(file)


@pytest.mark.parametrize("file_format", ["csv", "parquet", "duckdb"])
def test_round_trip_is_exact(file_format: str, three: Path, tmp_path: Path) -> None:
    visits = (three / "visits.csv").read_text().splitlines()
    rows = [visits[0] + ",comment", *(f'{line},"said ""no"", é 😀; a,b"' for line in visits[1:])]
    (three / "visits.csv").write_text("\n".join(rows).replace("6.1", "0.1"), encoding="utf-8")
    (three / "study.toml").write_text('study_id = "a \\"b\\" é😀"\ntitle = "x\\ty"\n', encoding="utf-8")
    study = read_study(three)
    out = write_study(study, tmp_path / "out", file_format=file_format)
    again = read_study(out)
    assert again.content_hash == study.content_hash
    assert (again.study_id, again.data_kind, again.title) == (study.study_id, study.data_kind, study.title)
    for name, frame in study.tables.items():
        assert again.tables[name].equals(frame), name
    assert find_problems(again).equals(find_problems(study))
    if file_format == "duckdb":
        with pytest.raises(RequestError, match="exists"):
            write_study(study, out, file_format=file_format)
    assert write_study(study, out, file_format=file_format, force=True) == out


def test_unknown_format_is_refused(three: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Did you mean 'parquet'"):
        write_study(read_study(three), tmp_path / "out", file_format="parque")
    assert not (tmp_path / "out").exists()


def test_set_aside_leaves_out_whole_patients_and_says_so(spoil: Callable[[str, str, str], Path]) -> None:
    folder = spoil("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,0.5")
    study = check(read_study(folder), set_aside=True)
    assert study.set_aside.rows() == [("P1", 1, "edss_off_scale")]
    for name, frame in study.tables.items():
        assert "P1" not in frame["patient_id"].to_list(), name
    assert study.table("visits")["row"].to_list() == [4, 5, 6, 7]
    assert find_problems(study).filter(pl.col("severity") == "error").is_empty()
    shutil.copy(folder / "visits.csv", folder / "v")
    (folder / "visits.csv").write_text((folder / "v").read_text().replace("edss", "edds"))
    with pytest.raises(StudyError, match="name no patient"):
        check(read_study(folder), set_aside=True)


def test_quoted_line_ends_are_one_row_and_stray_ones_are_refused(three: Path) -> None:
    text = (three / "visits.csv").read_text()
    (three / "visits.csv").write_text(text.replace(",R2,,", ',"R\n2",,'))
    assert read_study(three).table("visits")["rater"].to_list()[2:3] == ["R\n2"]
    (three / "visits.csv").write_bytes(text.replace(",R2,,", ',"R2"\r,,').encode())
    with pytest.raises(SourceError, match=r"visits\.csv"):
        read_study(three)
