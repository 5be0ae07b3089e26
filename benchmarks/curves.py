"""Seconds for curves of 1,000,000 patients from arrays, with standard errors; with R beside where it is present.

Run `python benchmarks/curves.py`, or with `--r` to time R's survfit in the same run (minutes).
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from ahsct.estimates.competing import cumulative_incidence
from ahsct.estimates.kaplan_meier import product_limit

N = 1_000_000
R = """
suppressMessages(library(survival)); set.seed(1); n <- 1e6
t <- rexp(n); e <- sample(0:2, n, TRUE); day <- ceiling(365.25 * t)
seconds <- function(x) cat(deparse(substitute(x))[1], round(system.time(x)[["elapsed"]], 2), "\n")
seconds(survfit(Surv(t, e > 0) ~ 1)); seconds(survfit(Surv(day, e > 0) ~ 1)); seconds(survfit(Surv(day, factor(e)) ~ 1))
"""


def best_of(repeats: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    years, cause = rng.exponential(size=N), rng.integers(0, 3, size=N)
    days = np.ceil(365.25 * years).astype(np.int64)
    entry = years * rng.uniform(0, 0.5, size=N)
    jobs: dict[str, Callable[[], object]] = {
        "Kaplan-Meier, continuous times": lambda: product_limit(years, cause > 0),
        "Kaplan-Meier, whole days": lambda: product_limit(days, cause > 0),
        "Kaplan-Meier, delayed entry": lambda: product_limit(years, cause > 0, entry),
        "Aalen-Johansen with infinitesimal jackknife, continuous": lambda: cumulative_incidence(
            years, cause, n_causes=2
        ),
        "Aalen-Johansen with infinitesimal jackknife, whole days": lambda: cumulative_incidence(
            days, cause, n_causes=2
        ),
        "Aalen-Johansen with infinitesimal jackknife, delayed entry": lambda: cumulative_incidence(
            years, cause, n_causes=2, entry=entry
        ),
        "Aalen-Johansen with Aalen variance, continuous": lambda: cumulative_incidence(
            years, cause, n_causes=2, variance="aalen"
        ),
    }
    print(f"{N:,} patients, best of 3, seconds")
    for name, work in jobs.items():
        print(f"{best_of(3, work):8.3f}  {name}", flush=True)
    if "--r" in sys.argv and (r := shutil.which("Rscript")):
        subprocess.run([r, "-e", R], check=True)


if __name__ == "__main__":
    main()
