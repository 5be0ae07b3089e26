"""A module imports only from stages above it in the list (function-level imports included)."""

import ast
from pathlib import Path

import pytest

STAGES = [
    "errors", "files", "kernels", "chunks", "vocabulary", "definitions", "edss", "tables", "imaging", "studies",
    "outcomes", "eligibility", "estimates", "evidence", "analysis", "multiverses", "selection", "simulate",
    "trial_design", "benefit_risk", "report", "app", "cli",
]  # fmt: skip
ROOT = Path(__file__).parents[1] / "src" / "ahsct"
MODULES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def stage_of(module: str) -> str:
    """`ahsct.tables.read` belongs to stage `tables`."""
    return module.split(".")[1]


def imported(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the stage"
            if node.module == "ahsct":
                found += [f"ahsct.{alias.name}" for alias in node.names if alias.name != "__version__"]
            elif node.module:
                found.append(node.module)
    return [name for name in found if name.startswith("ahsct.")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_module_imports_only_from_earlier_stages(path: Path) -> None:
    own = path.relative_to(ROOT).with_suffix("").parts[0]
    assert own in STAGES, f"{own} has no place in the list of stages"
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        assert STAGES.index(stage_of(name)) <= STAGES.index(own), f"{own} imports {name}"


def test_a_later_stage_would_be_seen() -> None:
    tree = ast.parse("def f():\n    from ahsct.report import write_report\n")
    assert [stage_of(name) for name in imported(tree)] == ["report"]
