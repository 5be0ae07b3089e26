"""The README's Python runs and gives the trial's headline; its commands exist."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_ten_lines_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out
    assert "0.695652" in printed
    assert "0.666667" in printed
    assert (tmp_path / "my-report" / "index.html").is_file()


def test_files_and_commands_named_exist() -> None:
    root = Path(__file__).parents[1]
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (root / link).exists(), link
    from ahsct.cli.main import app

    named = {words.split()[1] for words in re.findall(r"\| `(ahsct [^`]+)`", README)}
    known = {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }
    known |= {group.name for group in app.registered_groups if group.name}
    assert named == known
