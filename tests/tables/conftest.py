"""The good study of three patients (`three/`), whole or spoilt in one place."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
