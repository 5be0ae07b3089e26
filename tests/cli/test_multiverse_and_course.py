"""The commands `multiverse` and `course` on the 2016 trial."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import ahsct.studies.atkins2016
from ahsct.cli.main import app
from ahsct.errors import RequestError

TRIAL = str(Path(ahsct.studies.atkins2016.__file__).parent)


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_multiverse_prints_what_its_page_says(tmp_path: Path) -> None:
    done = run("multiverse", TRIAL, "--grid", "worsening_kalincik2015", "--out", str(tmp_path / "page"))
    assert done.exit_code == 0, done.output
    assert "Under 48 definitions: what the software does" in done.output
    assert "48 of 48 definitions give an estimate, from 69.6 % to 69.6 %" in done.output
    assert "not divided: all definitions give the same answer" in done.output
    assert (tmp_path / "page" / "index.html").is_file()


def test_course_prints_the_patient_and_writes_the_picture(tmp_path: Path) -> None:
    out = tmp_path / "P06.svg"
    done = run("course", TRIAL, "P06", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "1. worsening on day 543: 5.5 against 4.5" in done.output
    assert out.read_text(encoding="utf-8").startswith("<?xml")


def test_a_patient_that_is_not_there(tmp_path: Path) -> None:
    done = run("course", TRIAL, "P99")
    assert isinstance(done.exception, RequestError)
    assert "no patient 'P99'" in str(done.exception)


@pytest.mark.parametrize(
    "command", [["analyse", TRIAL], ["multiverse", TRIAL], ["demo"], ["evidence", "page"]]
)
def test_a_folder_that_is_not_ours_is_refused_before_any_work(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "theirs.txt").write_text("keep", encoding="utf-8")
    done = run(*command, "--out", str(tmp_path))
    assert isinstance(done.exception, RequestError)
    assert "not written by ahsct" in str(done.exception)
    assert "importing" not in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.txt"]


def test_course_refuses_another_kind_of_picture_before_it_prints(tmp_path: Path) -> None:
    done = run("course", TRIAL, "P06", "--out", str(tmp_path / "P06.pdf"))
    assert isinstance(done.exception, RequestError)
    assert done.output == ""


def test_eligibility_of_a_study_without_patients(tmp_path: Path) -> None:
    for name in ("patients", "visits"):
        head = (Path(TRIAL) / f"{name}.csv").read_text(encoding="utf-8").splitlines()[0]
        (tmp_path / f"{name}.csv").write_text(f"{head}\n", encoding="utf-8")
    done = run("eligibility", str(tmp_path))
    assert isinstance(done.exception, RequestError)
    assert "no patient" in str(done.exception)


def test_an_examination_without_grades_says_what_was_not_checked(tmp_path: Path) -> None:
    file = tmp_path / "exams.csv"
    file.write_text("patient_id,visit_day,ambulation,edss\na,0,0,2.0\n", encoding="utf-8")
    done = run("edss", "check", str(file), "--ambulation-coding", "0-16")
    assert "not checked, for there is no such column: fs_visual, fs_brainstem" in done.output
    assert "1 examination, 0 errors, 0 warnings" in done.output


def test_days_written_as_decimals_are_whole_numbers(tmp_path: Path) -> None:
    file = tmp_path / "exams.csv"
    file.write_text("patient_id,visit_day,ambulation,edss\na,90.0,0,2.0\na,,0,2.0\n", encoding="utf-8")
    assert run("edss", "check", str(file), "--ambulation-coding", "0-16").exit_code == 0
    file.write_text("patient_id,visit_day,ambulation,edss\na,90.0,0,2.0\na,90.5,0,2.0\n", encoding="utf-8")
    done = run("edss", "check", str(file), "--ambulation-coding", "0-16")
    assert "`visit_day` must be a number; 1 of 2 rows are not, the first is row 2" in str(done.exception)
