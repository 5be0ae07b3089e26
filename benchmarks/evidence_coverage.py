"""Coverage of pooled intervals in 10,000 (with `--n 10000`) simulated meta-analyses of 15 studies, and CPU seconds beside R's metafor.

Run `python benchmarks/evidence_coverage.py [--n 10000] [--r]`; minutes. `--n 0 --r` times only. Seeds are fixed.

Normal-normal: known variances, mean 0.5, tau² 0, 0.05, 0.2. Moderately unequal variances are uniform from 0.05 to 0.25; very
unequal ones are 0.25 times a chi-squared draw cut to 0.009-0.6 (Brockwell and Gordon 2001, doi:10.1002/sim.650). Counts: the sizes of 15 series without overlap in the evidence table,
logit of the true proportion normal with tau 0.5 around the logit of the value named; covered is that value.
"""

import argparse
import shutil
import subprocess
import time
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit
from scipy.stats import chi2

from ahsct.evidence.effect_sizes import back_to_proportion, proportion_effects
from ahsct.evidence.glmm import _Model, binomial_normal
from ahsct.evidence.random_effects import fit_random_effects

SIZES = np.array([24, 24, 507, 210, 174, 617, 14, 41, 418, 14, 10, 35, 26, 21, 24])
R = """
suppressMessages(library(metafor)); set.seed(1); n <- c(24,24,507,210,174,617,14,41,418,14,10,35,26,21,24)
y <- replicate(200, rnorm(15), simplify = FALSE); x <- replicate(20, rbinom(15, n, 0.03), simplify = FALSE)
t <- system.time(for (i in y) rma(i, rep(0.1, 15), test = "knha", control = list(threshold = 1e-12, maxiter = 1000)))[["user.self"]]
cat("  R rma, REML, Hartung-Knapp", 1000 * t / 200, "ms CPU a fit\n")
t <- system.time(for (i in x) suppressWarnings(suppressMessages(rma.glmm(measure = "PLO", xi = i, ni = n, nAGQ = 60))))[["user.self"]]
cat("  R rma.glmm, nAGQ = 60", 1000 * t / 20, "ms CPU a fit\n")
"""


def skewed(rng: np.random.Generator) -> np.ndarray:
    v = np.empty(0)
    while v.size < 15:
        draw = 0.25 * rng.chisquare(1, 40)
        v = np.append(v, draw[(draw > 0.009) & (draw < 0.6)])
    return v[:15]


def normal(n: int, tau2: float, name: str, variances: Callable[[np.random.Generator], np.ndarray]) -> None:
    rng = np.random.Generator(np.random.Philox(key=[1, int(1000 * tau2)]))
    covered = dict.fromkeys(("z", "hartung-knapp", "hartung-knapp-safe"), 0)
    for _ in range(n):
        v = variances(rng)
        y = 0.5 + rng.normal(size=15) * np.sqrt(v + tau2)
        for test in covered:
            fit = fit_random_effects(y, v, test=test)
            covered[test] += bool(fit.lower[0] <= 0.5 <= fit.upper[0])
    words = ", ".join(f"{test} {100 * count / n:.1f} %" for test, count in covered.items())
    print(f"  {name} variances, tau² {tau2:g}: REML with {words}", flush=True)


def counts(n: int, share: float) -> None:
    rng = np.random.Generator(np.random.Philox(key=[2, int(10000 * share)]))
    names = (
        "GLMM, t",
        "GLMM, z",
        "GLMM, profile",
        "logit + 1/2, REML, Hartung-Knapp",
        "Freeman-Tukey, REML, Hartung-Knapp",
    )
    covered, no_event = dict.fromkeys(names, 0), 0
    truth = float(logit(share))
    drop = float(chi2.ppf(0.95, 1)) / 2
    for _ in range(n):
        x = rng.binomial(SIZES, expit(truth + 0.5 * rng.normal(size=SIZES.size)))
        if x.sum() == 0:
            no_event += 1
            continue
        fit = binomial_normal(x, SIZES, interval="t")
        half = fit.std_errors[0] * 1.959963984540054
        covered["GLMM, t"] += bool(fit.lower[0] <= truth <= fit.upper[0])
        covered["GLMM, z"] += bool(abs(fit.mean - truth) <= half)
        model = _Model("binomial", x.astype(float), SIZES.astype(float), np.ones((SIZES.size, 1)), 60)
        covered["GLMM, profile"] += bool(fit.log_likelihood - model.profile(truth) <= drop)
        for name, scale in ((names[3], "logit"), (names[4], "freeman-tukey")):
            y, v = proportion_effects(x, SIZES, scale=scale)
            pool = fit_random_effects(y, v, test="hartung-knapp")
            low, high = (
                float(back_to_proportion(limit[0], scale=scale, n=SIZES))
                for limit in (pool.lower, pool.upper)
            )
            covered[name] += bool(low <= share <= high)
    used = n - no_event
    words = ", ".join(f"{name} {100 * count / used:.1f} %" for name, count in covered.items())
    print(f"  true {100 * share:g} % ({no_event} of {n} without any death left out): {words}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=1_000)
    parser.add_argument("--r", action="store_true")
    options = parser.parse_args()
    if options.n:
        print(f"coverage of nominal 95 % intervals, {options.n} meta-analyses of 15 studies")
        for name, variances in (
            ("moderately unequal", lambda rng: rng.uniform(0.05, 0.25, 15)),
            ("very unequal", skewed),
        ):
            for tau2 in (0.0, 0.05, 0.2):
                normal(options.n, tau2, name, variances)
        for share in (0.005, 0.015, 0.05):
            counts(options.n, share)
    rng = np.random.Generator(np.random.Philox(3))
    y, x = [rng.normal(size=15) for _ in range(200)], [rng.binomial(SIZES, 0.03) for _ in range(200)]
    start = time.process_time()
    for one in y:
        fit_random_effects(one, np.full(15, 0.1))
    middle = time.process_time()
    for one in x:
        binomial_normal(one, SIZES)
    end = time.process_time()
    print(f"  ours, REML, Hartung-Knapp {1000 * (middle - start) / 200:.2f} ms CPU a fit")
    print(f"  ours, binomial-normal, 60 nodes {1000 * (end - middle) / 200:.2f} ms CPU a fit")
    if options.r and (r := shutil.which("Rscript")):
        subprocess.run([r, "-e", R], check=True)


if __name__ == "__main__":
    main()
