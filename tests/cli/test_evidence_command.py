"""`ahsct evidence`: what it prints, and its exit codes."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ahsct.cli.main import app
from ahsct.errors import RequestError

RUNNER = CliRunner()


def run(*arguments: str) -> str:
    done = RUNNER.invoke(app, ["evidence", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_list_and_show_mark_what_is_recalled() -> None:
    listed = run("list")
    assert listed.count("numbers") == 56
    assert "bowen2012" in listed
    assert "[recalled]" in next(line for line in listed.splitlines() if line.startswith("netms"))
    shown = run("show", "muraro2017")
    assert "2.8 %; 1 to 4.9" in shown
    assert "recalled" in shown
    assert "no source: recalled" in shown
    assert "overlap: muraro2017 unknown" in shown
    assert "contradiction 6" in run("show", "hamerschlak2010")


def test_check_shows_the_contradictions() -> None:
    printed = run("check")
    assert "0 errors, 5 warnings" in printed
    assert "18 burt2021" not in printed
    assert "1 atkins2016: 69.6 %" in printed


def test_check_fails_on_a_bad_folder(tmp_path: Path) -> None:
    run("template", str(tmp_path / "mine"))
    head = (tmp_path / "mine" / "results.csv").read_text(encoding="utf-8").strip()
    line = ["x/1", "nobody"] + [""] * (len(head.split(",")) - 2)
    (tmp_path / "mine" / "results.csv").write_text(f"{head}\n{','.join(line)}\n", encoding="utf-8")
    done = RUNNER.invoke(app, ["evidence", "check", "--evidence", str(tmp_path / "mine")])
    assert done.exit_code == 1
    assert "no_source" in done.output
    assert "unknown_study" in done.output


@pytest.mark.parametrize("question", ["1", "5", "7"])
def test_pool_prints_sentences_tables_and_captions(question: str) -> None:
    printed = run("pool", "--question", question)
    assert printed.startswith(f"{question}. ")
    assert " | " in printed


def test_pool_prints_what_was_released_and_what_is_left_out() -> None:
    printed = run("pool", "--question", "1", "--release", "mexico426,ruiz2019", "--prediction", "k-2")
    assert "overlaps taken as none on request: mexico426 with ruiz2019" in printed.lower()
    assert "a meta-analysis: contains other series" in printed
    assert "Over other sets without overlap" in printed


def test_the_page_is_written(tmp_path: Path) -> None:
    assert "index.html" in run("pool", "--question", "1", "--out", str(tmp_path / "one"))
    assert (tmp_path / "one" / "index.html").is_file()


@pytest.mark.parametrize("option", ["method", "tau2", "test", "prediction"])
def test_an_unknown_way_of_pooling_is_refused(option: str) -> None:
    done = RUNNER.invoke(app, ["evidence", "pool", "--question", "1", f"--{option}", "k"])
    assert isinstance(done.exception, RequestError)
    assert "known are" in str(done.exception)
