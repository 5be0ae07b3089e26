"""Coverage of the limits of regression to the mean, for small groups let in for their relapses.

Patients are drawn until `n` have at least `fewest` relapses in 2 years; the truth is what those patients have to expect,
given their counts, when watched as long again. Where all have the fewest, the exact upper limit is asked to hold it.
Writes docs/statistics/selection_coverage.csv and its table in docs/statistics/rates.md:

    .venv/bin/python -m benchmarks.selection_coverage [studies of each kind]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
from docs.statistics.validation import put

from ahsct.estimates.regression_to_the_mean import regression_to_the_mean

PAGES = Path(__file__).parents[1] / "docs" / "statistics"
YEARS = 2.0
# patients, mean rate a year, dispersion, fewest relapses
KINDS = (
    (24, 1.0, 0.6, 1),
    (24, 1.0, 0.05, 1),
    (24, 0.5, 1.0, 1),
    (24, 0.2, 1.0, 1),
    (24, 0.05, 0.5, 1),
    (24, 1.0, 0.5, 2),
    (24, 0.6, 3.0, 1),
    (12, 1.0, 0.6, 1),
)


def study(n: int, mean: float, dispersion: float, fewest: int, chance: np.random.Generator) -> np.ndarray:
    """Return the counts of the first n patients let in."""
    counts = np.empty(0)
    while counts.size < n:
        drawn = chance.poisson(chance.gamma(1 / dispersion, dispersion * mean * YEARS, 20 * n))
        counts = np.concatenate([counts, drawn[drawn >= fewest]])
    return counts[:n]


def main() -> None:
    """Draw the studies of each kind and count how often the limits hold."""
    n_studies = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    rows = []
    for number, (n, mean, dispersion, fewest) in enumerate(KINDS):
        chance = np.random.Generator(np.random.Philox(number))
        held = alone = 0
        for _ in range(n_studies):
            counts = study(n, mean, dispersion, fewest, chance)
            scale = dispersion * mean
            truth = (YEARS * (mean + scale * counts) / (1 + scale * YEARS)).sum() / counts.sum()
            row = regression_to_the_mean(counts, np.full(n, YEARS)).row(0, named=True)
            held += row["lower"] <= truth <= row["upper"]
            alone += row["estimate"] is None
        rows.append((n, mean, dispersion, fewest, n_studies, held / n_studies, alone))
        print(rows[-1], flush=True)
    names = ("n", "rate", "dispersion", "fewest", "studies", "coverage", "no_estimate")
    pl.DataFrame(rows, schema=names, orient="row").write_csv(PAGES / "selection_coverage.csv")
    lines = [
        "| patients | rate a year | dispersion | let in for | studies | coverage | of them without estimate |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {n} | {m:g} | {phi:g} | {c} | {k} | {held:.3f} | {none} |" for n, m, phi, c, k, held, none in rows
    ]
    page = PAGES / "rates.md"
    page.write_text(put(page.read_text(encoding="utf-8"), "selection", "\n".join(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
