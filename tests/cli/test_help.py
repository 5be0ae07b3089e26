"""`ahsct --help` imports nothing heavy; exit codes are as promised."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("polars", "numpy", "numba", "scipy", "matplotlib", "duckdb", "pyreadstat")


def ahsct(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ahsct.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["analyse", "--help"], ["definitions", "--help"], ["evidence", "--help"], ["--version"]],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from ahsct.cli.main import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as leave:\n    assert leave.code in (0, None)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")


@pytest.mark.parametrize("command", ["demo", "check", "analyse", "multiverse", "course", "definitions"])
def test_every_command_has_help(command: str) -> None:
    done = ahsct(command, "--help")
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["check"], ["analyse", "--nope"], []])
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    done = ahsct(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["check", "no-such-folder"], "no-such-folder"),
        (["analyse", "no-such-folder"], "no-such-folder"),
        (["analyse", ".", "--definition", "atkins2015"], "Did you mean 'atkins2016'"),
        (["definitions", "show", "atkins2015"], "Did you mean 'atkins2016'"),
        (["multiverse", ".", "--grid", "pira"], "neither a shipped grid"),
    ],
)
def test_a_faulty_request_is_1_with_one_message(arguments: list[str], word: str, tmp_path: Path) -> None:
    done = ahsct(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_our_fault_is_3_and_debug_shows_where() -> None:
    program = (
        "import sys\nfrom ahsct.cli import main\nimport ahsct.definitions as d\n"
        "def broken(): raise ZeroDivisionError('boom')\n"
        "d.list_definitions = broken\n"
        "sys.argv = ['ahsct', *sys.argv[1:]]\nmain()\n"
    )
    for flags, traceback in (([], False), (["--debug"], True)):
        done = subprocess.run(
            [sys.executable, "-c", program, *flags, "definitions", "list"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (1 if traceback else 3)
        assert ("Traceback" in done.stderr) is traceback
        assert "boom" in done.stderr


def test_definitions_list_and_show() -> None:
    listed = ahsct("definitions", "list")
    assert listed.returncode == 0
    assert "atkins2016" in listed.stdout
    shown = ahsct("definitions", "show", "atkins2016")
    assert "interval = log-log" in shown.stdout
    assert "disability.edss   [assumed:" in shown.stdout
    assert "sha256 = " in shown.stdout


def test_a_panic_of_a_library_is_our_fault_in_one_line() -> None:
    # a library written in Rust raises its PanicException past `except Exception`
    program = (
        "import sys\n"
        "from ahsct.cli import main as entry\n"
        "module = sys.modules['ahsct.cli.main']\n"
        "PanicException = type('PanicException', (BaseException,), {})\n"
        "def panics(): raise PanicException('out of range')\n"
        "module.app = panics\n"
        "entry()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("Unexpected PanicException: out of range. This is our fault")
    assert "Traceback" not in done.stderr
