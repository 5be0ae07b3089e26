"""Kaplan-Meier, log-rank, Aalen-Johansen and Cox beside R and the Python libraries in one run, with ratios and memory.

Run `make bench-peers`, or `python benchmarks/survival.py [--write] [JOB ...]`; what is not there (R, the environment of the
peers) is left out with a message, `--write` puts the tables of all jobs into docs/statistics. All take the same arrays: exponential
times in years, or rounded up to days, two causes and censoring a third each, two arms; for Cox 5 covariates and two rows
per patient. Each call has a process and one thread of its own; seconds are of CPU, best of three (once where one takes
over 5 s), so that other work on the machine counts little. Memory is the highest use above that before the call. A call
over LIMIT_S or LIMIT_GB is tried again with a tenth of the rows.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PEER = HERE.parent / ".venv-bench" / "bin" / "python"
LIMIT_S, LIMIT_GB = 120, 10
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "NUMBA", "NUMEXPR")}
N, N_COX = 1_000_000, 100_000
JOBS = {
    "kaplan_meier_years": "Kaplan–Meier, two arms, continuous times",
    "kaplan_meier_days": "Kaplan–Meier, two arms, whole days",
    "log_rank_years": "log-rank, continuous times",
    "log_rank_days": "log-rank, whole days",
    "aalen_johansen_years": "Aalen–Johansen with errors, continuous times",
    "aalen_johansen_days": "Aalen–Johansen with errors, whole days",
    "cox": "Cox, Efron, 5 covariates",
    "cox_cluster": "the same, cluster-robust errors",
}
PAGES = {"survival": ("kaplan_meier", "log_rank", "cox"), "competing": ("aalen_johansen",)}
Run = dict[str, Any]


def write_data(folder: Path, n: int) -> None:
    """Write the arrays of n rows as raw doubles, which every language reads."""
    rng = np.random.Generator(np.random.Philox(1))
    years, x = rng.exponential(size=n), rng.normal(size=(n, 5))
    arrays = {
        "years": years,
        "days": np.ceil(365.25 * years),
        "cause": rng.integers(0, 3, n),
        "arm": rng.integers(0, 2, n),
        "x": x,
        "time_cox": rng.exponential(size=n) / np.exp(x @ [0.1, 0.2, 0.3, 0, 0]),
        "died": rng.random(n) < 0.7,
        "patient": np.tile(np.arange(n // 2), 2),
    }
    for name, values in arrays.items():
        values.astype(np.float64).tofile(folder / f"{name}.f64")


def ours(job: str, folder: Path) -> Callable[[], Sequence[float]]:
    """Read the data of a job and return the call to measure: estimate (at half a year, in the second arm) and error."""
    from ahsct.estimates._intervals import pointwise
    from ahsct.estimates.competing import cumulative_incidence
    from ahsct.estimates.cox_regression import cox_regression
    from ahsct.estimates.kaplan_meier import product_limit
    from ahsct.estimates.log_rank import log_rank_test

    def read(name: str) -> np.ndarray:
        return np.fromfile(folder / f"{name}.f64")

    if job.startswith("cox"):
        died, x = read("died") == 1, read("x").reshape(-1, 5)
        time, cluster = read("time_cox"), read("patient").astype(int) if job == "cox_cluster" else None

        def cox() -> Sequence[float]:
            fit = cox_regression(time, died, x, cluster=cluster)
            covariance = fit.covariance if fit.robust is None else fit.robust
            return fit.coefficients[0], covariance[0, 0] ** 0.5

        return cox
    kind, _, times = job.rpartition("_")
    time, cause, arm = read(times), read("cause").astype(int), read("arm").astype(int)
    at = 183.0 if times == "days" else 0.5

    def kaplan_meier() -> Sequence[float]:
        for one in (arm == 0, arm == 1):
            curve = product_limit(time[one], cause[one] > 0)
            pointwise(curve.estimate, curve.std_error, interval="log-log", conf_level=0.95)
        row = curve.time.searchsorted(at, side="right") - 1
        return curve.estimate[row], curve.std_error[row]

    def log_rank() -> Sequence[float]:
        return log_rank_test(time, cause > 0, arm).chi_squared or 0.0, float("nan")

    def aalen_johansen() -> Sequence[float]:
        curve = cumulative_incidence(time, cause, n_causes=2)
        pointwise(curve.estimate, curve.std_error, interval="log-log", conf_level=0.95)
        row = curve.time.searchsorted(at, side="right") - 1
        return curve.estimate[0, row], curve.std_error[0, row]

    return {"kaplan_meier": kaplan_meier, "log_rank": log_rank, "aalen_johansen": aalen_johansen}[kind]


def libraries() -> dict[str, list[str]]:
    """Return the command of each library that is present; say which is not."""
    found = {"ahsct": [sys.executable, __file__, "--ours"]}
    if r := shutil.which("Rscript"):
        found |= {
            f"R {name}": [r, str(HERE / "peers" / "survival.R"), name] for name in ("survival", "cmprsk")
        }
    else:
        print("R is not there: left out", flush=True)
    if PEER.exists():
        script = str(HERE / "peers" / "survival_python.py")
        found |= {name: [str(PEER), script, name] for name in ("lifelines", "scikit-survival", "statsmodels")}
    else:
        print(
            "the environment of the Python libraries is not built (make bench-peers builds it): left out",
            flush=True,
        )
    return found


def run(command: list[str], job: str, folder: Path) -> Run | str:
    """Run a job in a process of its own; return what it measured, or why there is nothing."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_GB << 30, LIMIT_GB << 30))

    done = subprocess.run(
        [*command, job, str(folder)],
        capture_output=True,
        text=True,
        preexec_fn=limits,
        env={**os.environ, **ONE_THREAD},
        check=False,
    )
    if done.returncode == 0:
        measured: Run = json.loads(done.stdout.splitlines()[-1])
        return measured
    last = (done.stderr.strip().splitlines() or [""])[-1]
    if "NotImplementedError" in last:
        return last.split(": ", 1)[1]
    if "Memory" in last or "allocate" in last:
        return f"over {LIMIT_GB} GB"
    return f"over {LIMIT_S} s" if done.returncode < 0 else f"fails ({last[:80]})"


def compare(jobs: Sequence[str], root: Path) -> Iterator[tuple[str, str]]:
    """Yield each job with a line of its table: seconds, ratio, memory at two sizes, the numbers found."""
    commands = libraries()

    @cache
    def measured(library: str, job: str, n: int) -> Run | str:
        folder = root / str(n)
        if not folder.exists():
            folder.mkdir()
            write_data(folder, n)
        return run(commands[library], job, folder)

    for job in jobs:
        for library in commands:
            if library == "R cmprsk" and not job.startswith("aalen"):
                continue
            full = n = N_COX if job.startswith("cox") else N
            theirs, why = measured(library, job, n), ""
            while isinstance(theirs, str) and theirs.startswith(("over", "fails")) and n > 1000:
                why, n = f"{n:,}: {theirs}", n // 10
                theirs = measured(library, job, n)
            if isinstance(theirs, str):
                yield job, f"| {JOBS[job]} | {full:,} | {library} | {theirs} | | | | |"
                continue
            own, fewer = measured("ahsct", job, n), measured(library, job, n // 4)
            assert isinstance(own, dict)
            assert isinstance(fewer, dict)
            times = theirs["cpu_s"] / own["cpu_s"]
            ratio = "" if library == "ahsct" else f"{times:.3g}" if times < 1000 else f"{times:,.0f}"
            numbers = [("" if x != x else f"{x:.9g}") for x in theirs["found"]]
            yield (
                job,
                (
                    f"| {JOBS[job]} | {n:,} | {library}{f' ({why})' if why else ''} | {theirs['cpu_s']:.3f} | {ratio} "
                    f"| {fewer['peak_mb']:.0f}, {theirs['peak_mb']:.0f} | {numbers[0]} | {numbers[1]} |"
                ),
            )


HEAD = (
    "| job | rows | library | CPU s | times ours | MB at a quarter of the rows, at all | estimate | error |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


def write_pages(lines: Sequence[tuple[str, str]]) -> None:
    """Put each job's lines into the table of its page."""
    for name, kinds in PAGES.items():
        page = HERE.parent / "docs" / "statistics" / f"{name}.md"
        before, _, rest = page.read_text(encoding="utf-8").partition("<!-- speed -->")
        after = rest.partition("<!-- end of speed -->")[2]
        table = HEAD + "".join(f"{line}\n" for job, line in lines if job.startswith(kinds))
        page.write_text(f"{before}<!-- speed -->\n\n{table}\n<!-- end of speed -->{after}", encoding="utf-8")


def main() -> None:
    if sys.argv[1:2] == ["--ours"]:
        sys.path.insert(0, str(HERE / "peers"))
        from measure import measure

        measure(ours(sys.argv[2], Path(sys.argv[3])))
        return
    jobs = [name for name in sys.argv[1:] if name in JOBS] or list(JOBS)
    lines = []
    print(HEAD, end="")
    with tempfile.TemporaryDirectory() as folder:
        for job, line in compare(jobs, Path(folder)):
            print(line, flush=True)
            lines.append((job, line))
    if "--write" in sys.argv and jobs == list(JOBS):
        write_pages(lines)


if __name__ == "__main__":
    main()
