"""Our events are those of pymsprog 1.0.7, on thousands of made-up patients and every option; run by `make test-peers`."""

import subprocess
from pathlib import Path

import pytest
from tests.peers.msprog_compare import check

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PYTHON = ROOT / ".venv-peers" / "bin" / "python"


def run_peer(out: Path, first_seed: int, n_cases: int, n_patients: int) -> Path:
    """Run the peer on some cases."""
    command = [
        str(PYTHON),
        str(HERE / "run_msprog.py"),
        str(out),
        *map(str, (first_seed, n_cases, n_patients)),
    ]
    subprocess.run(command, check=True, cwd=HERE)
    return out


@pytest.mark.parametrize("block", range(16))
def test_events_are_the_peers(block: int, tmp_path: Path) -> None:
    check(run_peer(tmp_path / "found.jsonl.gz", 10_000 + 100 * block, 50, 10), at_least=500)


def test_the_recorded_events_are_still_the_peers(tmp_path: Path) -> None:
    recorded = ROOT / "tests" / "outcomes" / "msprog_1_0_7.jsonl.gz"
    assert run_peer(tmp_path / "again.jsonl.gz", 1, 80, 8).read_bytes() == recorded.read_bytes()
