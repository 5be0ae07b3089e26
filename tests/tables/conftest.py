"""The good study of three patients (`three/`), whole or spoilt in one place."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from ahsct import find_problems, read_study
from ahsct.tables import Study

THREE = Path(__file__).parent / "three"


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A copy of the good study."""
    return Path(shutil.copytree(THREE, tmp_path / "three"))


@pytest.fixture
def spoil(three: Path) -> Callable[[str, str, str], Path]:
    """Change one place of one file; the place must be there exactly once, "" means the end."""

    def change(file: str, old: str, new: str) -> Path:
        text = (three / file).read_text(encoding="utf-8")
        if old:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
            text = text.replace(old, new)
        else:
            text += new
        (three / file).write_text(text, encoding="utf-8", newline="")
        return three

    return change


@pytest.fixture
def read_sdtm(tmp_path: Path) -> Callable[..., tuple[Study, str]]:
    """Read domains, given as columns, as CSV: the study and all that was said; refused where an error is found."""

    def read(*, refused: str | None = None, **domains: dict[str, list[object]]) -> tuple[Study, str]:
        for name, columns in domains.items():
            pl.DataFrame(columns).write_csv(tmp_path / f"{name}.csv")
        study = read_study(tmp_path, kind="sdtm")
        errors = find_problems(study).filter(pl.col("severity") == "error")["message"].to_list()
        if refused is None:
            assert errors == []
        else:
            assert any(refused in message for message in errors), errors
        return study, " ".join(study.problems["message"])

    return read


@pytest.fixture(autouse=True)
def inputs_stay_as_they_are(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], None]]:
    """Call with a folder once it is spoilt: its bytes must be the same when the test ends."""
    watched: dict[Path, dict[str, str]] = {}

    def watch(folder: Path) -> None:
        watched[folder] = hashes(folder)

    yield watch
    for folder, before in watched.items():
        assert hashes(folder) == before


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file()
    }
