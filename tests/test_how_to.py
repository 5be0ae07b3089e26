"""The Python of every how-to page runs, in an empty folder."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[1] / "src" / "ahsct" / "studies" / "atkins2016"
PAGES = sorted((Path(__file__).parents[1] / "docs" / "how-to").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    if not blocks:
        assert "```" in page.read_text(encoding="utf-8"), "a how-to page shows at least a command"
        return
    shutil.copytree(
        EXAMPLE,
        tmp_path / "my-study",
        ignore=shutil.ignore_patterns("*.py", "__pycache__", "published.csv", "matches.csv"),
    )
    script = tmp_path / "page.py"
    shown = [block for block in blocks if ">>>" in block]
    if shown:  # with its answers: a doctest
        assert len(shown) == len(blocks), "a page shows Python with or without answers"
        runner = "import doctest, pathlib, sys; sys.exit(doctest.testfile('page.txt', module_relative=False).failed)"
        (tmp_path / "page.txt").write_text("\n\n".join(shown), encoding="utf-8")
        script.write_text(runner, encoding="utf-8")
    else:
        script.write_text("\n".join(blocks), encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_mapping_of_the_page_is_one() -> None:
    from ahsct.tables.mapping import load_mapping

    text = next(page for page in PAGES if page.stem == "read-other-sources").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    import tomllib

    assert load_mapping(tomllib.loads(block)).id == "clinic"
