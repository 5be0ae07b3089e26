"""Competing risks, states and visit-detected events beside R in one run, where R is present; prints ratios.

Run `python benchmarks/states.py`, with `--r` to time R's survival, cmprsk and msm beside. Times are CPU seconds of this
process (all threads), because a shared machine makes wall time noise; R's are user + system. Curves and tests that the
Python libraries have too are in survival.py.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import polars as pl

from ahsct.estimates import fit_panel_markov, state_occupation
from ahsct.estimates.competing import cumulative_incidence
from ahsct.estimates.fine_gray import subdistribution
from ahsct.estimates.gray_test import gray_statistic
from ahsct.estimates.interval_hazards import interval_hazards
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.estimates.turnbull import likelihood_ratio_limits, npmle

N = 1_000_000
R = """
suppressMessages({library(survival); library(cmprsk); library(msm)}); set.seed(1)
seconds <- function(what, x) cat(what, sum(system.time(x)[c(1, 2)]), "\n", sep = "|")
n <- 1e4; t <- rexp(n); e <- sample(0:2, n, TRUE); g <- sample(0:1, n, TRUE); x <- matrix(rnorm(2 * n), n)
seconds("gray", cuminc(t, e, g)); seconds("fine_gray", crr(t, e, x))
m <- 1000; life <- rexp(m, 0.1); visits <- seq(0.5, 12, 0.5); l <- pmax(0, floor(life / 0.5) * 0.5); r <- ifelse(l >= 12, NA, l + 0.5)
seconds("npmle", survfit(Surv(pmin(l, 12), r, type = "interval2") ~ 1))
q <- rbind(c(0, 1, 0, 1), c(1, 0, 1, 1), c(0, 1, 0, 1), 0)
seconds("msm", msm(state ~ years, PTNUM, data = cav, qmatrix = q * 0.1, gen.inits = TRUE, deathexact = 4, method = "BFGS", control = list(fnscale = 4000)))
"""


def cpu(work: Callable[[], object], repeats: int = 2) -> float:
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def visits(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Events found at visits every half year with a month's jitter, followed 2 to 12 years."""
    event, end = rng.exponential(10, n), rng.uniform(2, 12, n)
    left, right = np.zeros(n), np.full(n, np.inf)
    for i in range(n):
        days = np.round(
            (np.arange(0.5, end[i], 0.5) + rng.uniform(-0.08, 0.08, len(np.arange(0.5, end[i], 0.5))))
            * 365.25
        )
        k = int(np.searchsorted(days, event[i] * 365.25))
        left[i] = days[k - 1] if k else 0.0
        right[i] = days[k] if k < days.size else np.inf
    return left, right


def panel(rng: np.random.Generator, n: int) -> pl.DataFrame:
    """EDSS in four bands at yearly visits of n patients, death exact."""
    rows = []
    for patient in range(n):
        state, now, visit, end = 0, 0.0, 0.0, rng.uniform(3, 12)
        while visit < end and state < 3:
            rows.append((str(patient), visit * 365.25, str(state)))
            while True:
                rates = np.array([[0, 0.2, 0, 0.01], [0.1, 0, 0.2, 0.02], [0, 0.1, 0, 0.08]][state])
                stay = rng.exponential(1 / rates.sum())
                if now + stay > visit + 1:
                    break
                now += stay
                state = int(rng.choice(4, p=rates / rates.sum()))
                if state == 3:
                    break
            if state == 3:
                rows.append((str(patient), now * 365.25, "3"))
            visit, now = visit + 1, max(now, visit + 1)
    return pl.DataFrame(rows, schema=["patient_id", "day", "state"], orient="row")


def main() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    years, cause = rng.exponential(size=N), rng.integers(0, 3, size=N)
    days = np.ceil(365.25 * years).astype(np.int64)
    entry = years * rng.uniform(0, 0.5, size=N)
    few = slice(0, 10_000)
    arm, x = rng.integers(0, 2, 10_000), rng.normal(size=(10_000, 2))
    seen = {n: visits(rng, n) for n in (24, 200, 1000, 5000)}
    edss = panel(rng, 500)
    ways = [("0", "1"), ("1", "0"), ("1", "2"), ("2", "1"), ("0", "3"), ("1", "3"), ("2", "3")]
    stays = pl.DataFrame(
        {"patient_id": [str(i) for i in range(2000)], "from_state": "a", "to_state": [["b", "c", None][i % 3] for i in range(2000)],
         "start_day": 0, "stop_day": days[:2000]}
    )  # fmt: skip
    jobs: dict[str, tuple[str, Callable[[], object]]] = {
        "Kaplan-Meier, 1,000,000, delayed entry": ("", lambda: product_limit(years, cause > 0, entry)),
        "Aalen-Johansen, Aalen variance, 1,000,000, continuous": ("", lambda: cumulative_incidence(years, cause, n_causes=2, variance="aalen")),
        "Aalen-Johansen, jackknife, 1,000,000, delayed entry": ("", lambda: cumulative_incidence(years, cause, n_causes=2, entry=entry)),
        "Gray's test, 10,000": ("gray", lambda: gray_statistic(years[few], cause[few], arm, n_arms=2)),
        "Fine-Gray, 10,000 x 2": ("fine_gray", lambda: subdistribution(years[few], cause[few], x)),
        "states, 2,000 patients, jackknife": ("", lambda: state_occupation(stays, states=["a", "b", "c"])),
        **{f"interval-censored maximum, {n:,}": ("npmle" if n == 1000 else "", lambda n=n: npmle(*seen[n])) for n in seen},
        "its limits at one time, 24": ("", lambda: likelihood_ratio_limits(*seen[24], np.array([1096.0]))),
        "its limits at one time, 1,000": ("", lambda: likelihood_ratio_limits(*seen[1000], np.array([1096.0]))),
        "proportional hazards, free baseline, 200 x 2": ("", lambda: interval_hazards(*seen[200], x[:200])),
        "panel Markov, 500 patients, 4 states": ("msm", lambda: fit_panel_markov(edss, states=list("0123"), transitions=ways, death="3")),
    }  # fmt: skip
    theirs: dict[str, float] = {}
    if "--r" in sys.argv and (r := shutil.which("Rscript")):
        output = subprocess.run([r, "-e", R], check=True, capture_output=True, text=True).stdout
        theirs = {
            line.split("|")[0]: float(line.split("|")[1]) for line in output.splitlines() if "|" in line
        }
    print("CPU seconds, best of 2; R's beside (msm: its own data cav, 622 patients); ratio")
    for name, (key, work) in jobs.items():
        ours = cpu(work)
        beside = f"{theirs[key]:8.2f} {theirs[key] / max(ours, 1e-3):7.0f} x" if key in theirs else " " * 18
        print(f"{ours:8.3f} {beside}  {name}", flush=True)


if __name__ == "__main__":
    main()
