"""The commands `multiverse` and `course` on the 2016 trial."""

from pathlib import Path

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
