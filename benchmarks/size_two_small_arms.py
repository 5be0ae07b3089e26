"""How often two-sample tests at 5 % reject when two arms of 12 or 24 patients do not differ, by simulation.

Run `python benchmarks/size_two_small_arms.py`, or with `--write` to put the table into docs/statistics/survival.md.
Exponential times of median 3 years, follow-up uniform between 1 and 5 years in both arms; read at 2 years.
"""

import sys

import numpy as np

from ahsct.estimates import permutation
from ahsct.estimates.beta_product import Product, bounds
from ahsct.estimates.kaplan_meier import ProductLimit, product_limit
from ahsct.estimates.log_rank import log_rank_test
from ahsct.estimates.melding import melded
from coverage_survival import PAGE, write

N_TRIALS, AT = 2_000, 2.0


def read_off(curve: ProductLimit) -> tuple[float, float, tuple[Product, Product]]:
    rows = int(np.searchsorted(curve.time, AT, side="right"))
    after = int(curve.n_at_risk[rows]) if rows < curve.time.size else 0
    exact = bounds(curve.n_at_risk[:rows], curve.n_events[:rows], after)
    return float(curve.estimate[rows - 1]), float(curve.std_error[rows - 1]), exact


def main() -> None:
    lines = ["| patients per arm | test | rejects at 5 % |", "|---|---|---|"]
    permutation.MOST_EXACT = 1000  # drawn in every trial: counting takes a second at 24 and 24
    for n in (12, 24):
        rng = np.random.Generator(np.random.Philox(n))
        arm = np.arange(2 * n) < n
        rejected = np.zeros(4)
        for _ in range(N_TRIALS):
            life, end = rng.exponential(3 / np.log(2), 2 * n), rng.uniform(1, 5, 2 * n)
            time, event = np.minimum(life, end), life <= end
            arms = [read_off(product_limit(time[one], event[one])) for one in (arm, ~arm)]
            (p1, e1, one), (p0, e0, other) = arms
            z = (p1 - p0) / np.hypot(e1, e0) if e1 + e0 > 0 else 0.0
            plain = log_rank_test(time, event, ~arm * 1).p_value
            rejected += (
                plain is not None and plain < 0.05,
                permutation.permutation_test(time, event, arm, n_draws=2000).p_value < 0.05,
                abs(z) > 1.959964,
                melded(one, other).p_value < 0.05,
            )
        names = (
            "log-rank",
            "permutation log-rank",
            "difference at 2 years, normal",
            "difference at 2 years, melded",
        )
        for name, count in zip(names, rejected, strict=True):
            lines.append(f"| {n} | {name} | {100 * count / N_TRIALS:.1f} % |")
        print(*lines[-4:], sep="\n", flush=True)
    if "--write" in sys.argv:
        write(PAGE, "size", lines)


if __name__ == "__main__":
    main()
