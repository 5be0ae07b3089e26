"""The non-parametric maximum of events found at visits, beside R's icenReg and interval in one run; prints ratios.

Run `python benchmarks/interval_censored.py`; R and its packages are left out, with a word, where absent. All read the same
rows: exponential times, visits about twice a year for each patient on own days, follow-up of 4 to 8 years. Seconds are
of CPU, ours on one thread. Their calls are at their defaults; the log-likelihood that each reached stands beside, as
the distance below ours. Each call gets 100 seconds.
"""

import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy loads

import numpy as np

from ahsct.estimates.turnbull import npmle

CPU_SECONDS = 100
R = """
d <- read.csv(commandArgs(TRUE)[1]); d$right <- as.numeric(d$right)
if (!requireNamespace("%s", quietly = TRUE)) { cat("absent"); quit() }
suppressMessages(library(%s)); s <- system.time(value <- %s)
cat(s[["user.self"]] + s[["sys.self"]], sprintf("%%.12g", value))
"""
CALLS = {
    "icenReg": "ic_np(cbind(d$left, d$right))$llk",
    "interval": "{ f <- icfit(d$left, d$right); sum(log(f$A %*% f$pf)) }",
}


def patients(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return left and right days of n patients; right is infinite where the event was not found."""
    rng = np.random.Generator(np.random.Philox(n))
    visits = np.cumsum(rng.gamma(4, 365.25 / 8, size=(n, 20)), axis=1)
    visits = np.where(visits < rng.uniform(4, 8, size=(n, 1)) * 365.25, visits, np.inf)
    event = rng.exponential(5 * 365.25, size=(n, 1))
    after = np.sum(visits < event, axis=1)
    days = np.column_stack((np.zeros(n), visits, np.full(n, np.inf)))
    left = days[np.arange(n), np.minimum(after, np.isfinite(visits).sum(axis=1))]
    return left, days[np.arange(n), after + 1]


def main() -> None:
    rscript = shutil.which("Rscript")
    if rscript is None:
        print("R is absent: ours alone")
    for n in (100, 1_000, 10_000):
        left, right = patients(n)
        seconds = []
        for _ in range(3):
            start = time.process_time()
            fit = npmle(left, right)
            seconds.append(time.process_time() - start)
        ours = min(seconds)
        print(f"{n:>7,} patients, {fit.mass.size:,} places")
        print(
            f"    {ours:9.3f} s              ours, {fit.loglik:.6f}, Kuhn-Tucker conditions met to {max(fit.gap, 0):.0e}"
        )
        if rscript is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            body = "\n".join(f"{a!r},{b!r}" for a, b in zip(left.tolist(), right.tolist(), strict=True))
            path.write_text(f"left,right\n{body}\n", encoding="utf-8")
            for package, call in CALLS.items():
                ran = subprocess.run(
                    [rscript, "-e", R % (package, package, call), str(path)],
                    capture_output=True,
                    text=True,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS,) * 2),
                )
                name = call.removeprefix("{ f <- ").split("(")[0]
                if ran.stdout == "absent":
                    print(f"    R's {package} is absent")
                elif ran.returncode:
                    print(f"    stopped after {CPU_SECONDS} s   {package}::{name}")
                else:
                    spent, reached = (float(one) for one in ran.stdout.split())
                    below = f"log-likelihood {fit.loglik - reached:.1e} below ours"
                    print(f"    {spent:9.3f} s {spent / ours:8.1f} x  {package}::{name}, {below}")


if __name__ == "__main__":
    main()
