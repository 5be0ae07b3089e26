"""Kaplan-Meier, log-rank and Cox from arrays beside R's survival in one run, where R is present; prints ratios.

Run `python benchmarks/survival.py`, with `--all` also R's Cox with clusters (minutes). Seconds are of CPU, ours on
one thread, so that other work on the machine counts little. Both draw their own numbers of the same distributions:
exponential times, half of them censored, two arms. "Memory" is the highest use of this process above its start, by
the number of rows.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy loads

import numpy as np

from ahsct.estimates.cox_regression import cox_regression
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.estimates.log_rank import log_rank_test

N, N_COX = 1_000_000, 100_000
R = """
suppressMessages(library(survival)); set.seed(1); n <- 1e6
t <- rexp(n); e <- runif(n) < 0.5; g <- sample(0:1, n, TRUE); day <- ceiling(365.25 * t)
m <- 1e5; x <- matrix(rnorm(5 * m), m); u <- rexp(m) / exp(drop(x %*% c(0.1, 0.2, 0.3, 0, 0))); d <- runif(m) < 0.7; id <- rep(seq_len(m / 2), 2)
cpu <- function(x) sum(system.time(x)[c("user.self", "sys.self")])
once <- function(x) cat(cpu(x), "\n")
seconds <- function(x) { x <- substitute(x); cat(min(sapply(1:2, function(i) cpu(eval(x, globalenv())))), "\n") }
seconds(survfit(Surv(t, e) ~ g)); seconds(survfit(Surv(day, e) ~ g)); seconds(survdiff(Surv(t, e) ~ g)); seconds(survdiff(Surv(day, e) ~ g))
seconds(coxph(Surv(u, d) ~ x))
"""
R_CLUSTER = "once(coxph(Surv(u, d) ~ x, cluster = id))"


def best_of(repeats: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    years, event, arm = rng.exponential(size=N), rng.random(N) < 0.5, rng.integers(0, 2, N)
    days = np.ceil(365.25 * years).astype(np.int64)
    x = rng.normal(size=(N_COX, 5))
    time_cox = rng.exponential(size=N_COX) / np.exp(x @ [0.1, 0.2, 0.3, 0, 0])
    died, patient = rng.random(N_COX) < 0.7, np.tile(np.arange(N_COX // 2), 2)

    def both(times: np.ndarray) -> None:
        for one in (arm == 0, arm == 1):
            product_limit(times[one], event[one])

    jobs: dict[str, Callable[[], object]] = {
        "Kaplan-Meier, two arms, continuous times": lambda: both(years),
        "Kaplan-Meier, two arms, whole days": lambda: both(days),
        "log-rank, continuous times": lambda: log_rank_test(years, event, arm),
        "log-rank, whole days": lambda: log_rank_test(days, event, arm),
        "Cox, 100,000 x 5": lambda: cox_regression(time_cox, died, x),
        "Cox, 100,000 x 5, cluster-robust": lambda: cox_regression(time_cox, died, x, cluster=patient),
    }
    theirs: list[float] = []
    if r := shutil.which("Rscript"):
        output = subprocess.run(
            [r, "-e", R + (R_CLUSTER if "--all" in sys.argv else "")],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        theirs = [float(line) for line in output.split()]
    print(f"{N:,} rows (Cox {N_COX:,}), best of 3, CPU seconds; R's survival beside; ratio")
    for k, (name, work) in enumerate(jobs.items()):
        ours = best_of(3, work)
        beside = f"{theirs[k]:8.2f} {theirs[k] / ours:7.1f} x" if k < len(theirs) else "    not run     "
        print(f"{ours:8.3f} {beside}  {name}", flush=True)
    print("memory above start, MB: Cox with 5 covariates and clusters, at rising numbers of rows")
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in (10_000, 100_000, 1_000_000):
        z = rng.normal(size=(n, 5))
        cox_regression(rng.exponential(size=n), rng.random(n) < 0.5, z, cluster=np.arange(n))
        print(f"{n:>10,} {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024:8.0f}")


if __name__ == "__main__":
    main()
