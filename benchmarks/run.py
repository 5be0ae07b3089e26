"""Prints the project's benchmarks; asserts nothing. Run with `make bench`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent


def process(command: list[str], runs: int, cwd: str) -> None:
    """Time a whole process: wall and CPU seconds, minimum and median of several runs."""
    walls, cpus = [], []
    for _ in range(runs):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    middle = runs // 2
    print(
        f"  {' '.join(Path(part).name if index == 0 else part for index, part in enumerate(command)):40}"
        f" wall {min(walls):.2f} / {sorted(walls)[middle]:.2f} s, CPU {min(cpus):.2f} / {sorted(cpus)[middle]:.2f} s (min / median of {runs})"
    )


def step(name: str, function: Callable[[], object]) -> object:
    """Time one call in this process."""
    start = time.perf_counter()
    value = function()
    print(f"  {name:40} {time.perf_counter() - start:.2f} s")
    return value


def main() -> None:
    """Run everything."""
    ahsct = str(Path(sys.executable).parent / "ahsct")
    print(f"{os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        print("whole processes")
        process([ahsct, "--help"], 5, folder)
        process([ahsct, "demo"], 4, folder)
    print("analyse, 10,000 patients and 200,000 visits (first call compiles or loads kernels)")
    sys.path.insert(0, str(HERE))
    from ahsct import analyse
    from cohort import cohort

    study = step("make the cohort", lambda: cohort(10_000))
    step("analyse, first", lambda: analyse(study, "atkins2016"))
    step("analyse, second", lambda: analyse(study, "atkins2016"))
    for script in sorted(HERE.glob("*.py")):
        if script.name not in ("run.py", "cohort.py", "reader_shapes.py"):
            print(script.stem)
            subprocess.run([sys.executable, str(script)], check=True)
    print(f"peak memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
