"""Coverage of the intervals of a rate and of a proportion with 24 patients, where zero events are likely.

Exact sums over the counts, no simulation. The time at risk is that of the trial of 2016 (179 patient-years) and two
years each (48). With a dispersion the patients' own rates are gamma distributed around the truth, so that the count of
all 24, watched equally long, is negative binomial. Writes docs/statistics/zero_event_coverage.csv.
"""

from __future__ import annotations

from itertools import groupby, product
from pathlib import Path

import numpy as np
import polars as pl
from scipy.special import gammaln

from ahsct.estimates import exact_proportion, exact_rate

OUT = Path(__file__).parents[1] / "docs" / "statistics" / "zero_event_coverage.csv"
RATES = (0.002, 0.005, 0.01, 0.0167, 0.02, 0.05, 0.1)
DISPERSIONS = (0.0, 1.0, 4.0)
PROPORTIONS = (0.003, 0.005, 0.013, 0.02, 0.05, 0.1, 0.2)
CASES = (
    *(("rate", method, sided) for method in ("garwood", "mid-p") for sided in ("two", "upper")),
    *(
        ("proportion", method, "two")
        for method in ("clopper-pearson", "blaker", "wilson", "jeffreys", "mid-p")
    ),
    *(("proportion", method, "upper") for method in ("clopper-pearson", "wilson", "jeffreys", "mid-p")),
)


def counts(mean: float, dispersion: float) -> np.ndarray:
    """Probabilities of 0 ... 199 events of 24 patients together."""
    x = np.arange(200)
    if dispersion == 0:
        return np.exp(x * np.log(mean) - mean - gammaln(x + 1))
    shape, share = 24 / dispersion, 1 / (1 + mean * dispersion / 24)
    log_terms = gammaln(x + shape) - gammaln(shape) - gammaln(x + 1)
    return np.exp(log_terms + shape * np.log(share) + x * np.log1p(-share))


def binomial(n: int, p: float) -> np.ndarray:
    x = np.arange(n + 1)
    log_choose = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    return np.exp(log_choose + x * np.log(p) + (n - x) * np.log1p(-p))


def limits(kind: str, x: int, size: float, method: str, sided: str) -> tuple[float, float]:
    if kind == "rate":
        frame = exact_rate(x, size, method=method, sided=sided)
    else:
        frame = exact_proportion(x, int(size), method=method, sided=sided)
    lower, upper = frame.select("lower", "upper").row(0)
    return lower, np.inf if upper is None else upper


def main() -> None:
    """Print the table and write it."""
    rows = []
    for kind, method, sided in CASES:
        settings = (
            product((48.0, 179.0), DISPERSIONS, RATES)
            if kind == "rate"
            else product((24.0,), (0.0,), PROPORTIONS)
        )
        for (size, dispersion), group in groupby(settings, key=lambda setting: setting[:2]):
            reach = [limits(kind, x, size, method, sided) for x in range(200 if kind == "rate" else 25)]
            for _, _, truth in group:
                chance = counts(truth * size, dispersion) if kind == "rate" else binomial(int(size), truth)
                held = np.array([low <= truth <= high for low, high in reach])
                rows.append(
                    {
                        "kind": kind,
                        "method": method,
                        "sided": sided,
                        "size": size,
                        "dispersion": dispersion,
                        "truth": truth,
                        "zero_events": round(float(chance[0]), 4),
                        "coverage": round(float(chance[held].sum()), 4),
                        "upper_at_zero": round(reach[0][1], 5),
                    }
                )
    table = pl.DataFrame(rows)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    table.write_csv(OUT)
    least = table.group_by("kind", "method", "sided", "dispersion", maintain_order=True).agg(
        pl.col("coverage").min()
    )
    with pl.Config(tbl_rows=-1):
        print(least)
    print(f"  the whole table: {OUT}")


if __name__ == "__main__":
    main()
