"""The grid in the how-to is one."""

import re
from pathlib import Path

from ahsct.definitions import load_grid

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "multiverse.md"


def test_the_grid_of_the_how_to_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    points = list(load_grid(tmp_path / "mine.toml").points())
    assert [tuple(point.choices.values()) for point in points] == [
        ("weeks_24", "one"), ("weeks_24", "two"), ("weeks_12", "one"), ("weeks_12", "two"),
    ]  # fmt: skip
