"""Speed of the search for confirmed changes: patients per second, with and without the tables around it.

Run: python benchmarks/disability.py [patients ...]. About 20 visits and 4 relapses per patient over 8 years.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import polars as pl

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.outcomes import disability
from ahsct.outcomes.disability_visits import measured_visits, relapse_arrays

EDSS = tuple(ThresholdStep(from_value=b, change=c) for b, c in ((0, 1.5), (1.0, 1.0), (5.5, 0.5)))
RULE = DisabilityRule(
    measure="edss",
    worsening_threshold=EDSS,
    improvement_threshold=EDSS,
    worsening_baseline_scheme="roving",
    improvement_baseline_scheme="roving",
    confirmation_periods_days=(84, 168),
    confirmation_tolerance_days=(7, 730.5),
    same_day="last_row",
)


def registry(n_patients: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return made-up visits and relapses, sorted by patient and day."""
    rng = np.random.Generator(np.random.Philox(1))
    n_visits, n_relapses = rng.poisson(20, n_patients) + 1, rng.poisson(4, n_patients)
    names = pl.Series("patient_id", [f"P{k:07}" for k in range(n_patients)])

    def rows(counts: np.ndarray) -> tuple[pl.Series, np.ndarray]:
        who = np.repeat(np.arange(n_patients), counts)
        return names.gather(who), np.sort(rng.integers(0, 2922, len(who)) + who * 4000) - who * 4000

    who, day = rows(n_visits)
    steps = np.cumsum(rng.choice([-1, 0, 0, 0, 1], len(who)))
    visits = pl.DataFrame(
        {"patient_id": who, "visit_day": day, "edss": np.abs((steps + 6) % 24 - 12) / 2.0 + 1.0}
    )
    who, day = rows(n_relapses)
    return visits.unique(["patient_id", "visit_day"], maintain_order=True), pl.DataFrame(
        {"patient_id": who, "onset_day": day}
    )


def cpu_seconds(work, repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def main(sizes: list[int]) -> None:
    begin = time.perf_counter()
    disability.derive_disability(*registry(3), rule=RULE)
    print(
        f"first call (imports done, kernel from the cache or compiled): {time.perf_counter() - begin:.2f} s"
    )
    print(
        f"{'patients':>9} {'visits':>10} {'events':>9} {'search s':>9} {'patients/s':>11} {'whole call s':>12} {'peak MB':>8}"
    )
    for n in sizes:
        visits, relapses = registry(n)
        measured = measured_visits(visits, RULE, function="benchmark")
        over = relapse_arrays(relapses, measured.patients, RULE, function="benchmark")
        search = cpu_seconds(
            lambda m=measured, o=over: disability.search_visits(m, o, RULE, disability.DIRECTIONS)
        )
        begin = time.perf_counter()
        found = disability.derive_disability(visits, relapses, rule=RULE)
        whole = time.perf_counter() - begin
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{n:9} {len(visits):10} {len(found.events):9} {search:9.3f} {n / search:11.0f} {whole:12.2f} {peak:8.0f}"
        )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [5_000, 50_000, 500_000])
