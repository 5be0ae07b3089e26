"""Coverage of 95 % intervals of early change and late slope of brain volume, by random part of the mixed model.

Scans at 0, 0.5, 1, 1.5, 2, 3, 4 ... 9 years; each patient's last at 3 to 9 years, 15 % of the others missed. Truth: -3 %
by 2.5 years, then -0.2 % a year; the SD of patients' late slopes is 0, half the mean or equal to it, that of their early
changes 0 or 1 %. Every scan has an error of 0.25 %, the reference scan too, from which all changes of a patient are
counted. Beside coverage in percent: median width. Prints the table of docs/statistics/longitudinal.md; asserts nothing.

Run `python benchmarks/brain_volume_coverage.py [patients [trials [SD of late slopes [SD of early changes]]]]`
(19 and 9 patients, 100 trials, every SD). A row is printed anew every 500 trials.
"""

import sys

import numpy as np
import polars as pl

from ahsct.chunks import random_stream
from ahsct.estimates.brain_volume import broken_line, scan_table

TRUTH = {"early_change": -3.0, "late_slope": -0.2}
VISITS = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9])


def trial(repetition: int, n_patients: int, slope_sd: float, early_sd: float) -> pl.DataFrame:
    """Return the scans of one made-up trial, as topic `brain_volume` of PATIENT_VALUES."""
    rng = random_stream(2016, stream=f"brain volume {n_patients}", patient=repetition)
    last = rng.integers(5, VISITS.size, n_patients)  # the place of the last scan
    places = np.arange(VISITS.size)
    seen = (places <= last[:, None]) & (rng.random((n_patients, VISITS.size)) < 0.85)
    seen |= (places == 0) | (places == last[:, None])
    early, late = np.minimum(VISITS, 2.5), np.maximum(VISITS - 2.5, 0)
    drop = TRUTH["early_change"] + early_sd * rng.normal(size=(n_patients, 1))
    slope = TRUTH["late_slope"] + slope_sd * rng.normal(size=(n_patients, 1))
    y = drop * early / 2.5 + slope * late + rng.normal(0, 0.25, seen.shape)
    patient, visit = np.nonzero(seen)
    return pl.DataFrame(
        {
            "patient_id": [f"{one:02}" for one in patient],
            "topic": "brain_volume",
            "day": np.rint(VISITS[visit] * 365.25).astype(int),
            "number": (y - y[:, :1])[patient, visit],
        }
    )


def coverage(n_patients: int, trials: int, slope_sd: float, early_sd: float) -> None:
    """Print the row of one truth."""
    held: dict[tuple[str, bool], list[bool]] = {(term, own): [] for own in (True, False) for term in TRUTH}
    widths: dict[tuple[str, bool], list[float]] = {key: [] for key in held}
    n_none, n_singular = 0, 0
    for repetition in range(1, trials + 1):
        scans = scan_table(trial(repetition, n_patients, slope_sd, early_sd))
        for own in (True, False):
            for row in broken_line(scans, 2.5, 0.95, own_slopes=own):
                if row.get("lower") is None:
                    n_none += 1
                    continue
                key = (row["term"], own)
                held[key].append(row["lower"] <= TRUTH[row["term"]] <= row["upper"])
                widths[key].append(row["upper"] - row["lower"])
                n_singular += own and row["term"] == "late_slope" and "singular" in row["note"]
        if repetition == trials or repetition % 500 == 0:
            cells = " | ".join(f"{100 * np.mean(held[k]):.1f} ({np.median(widths[k]):.2f})" for k in held)
            share = 100 * n_singular / repetition
            print(f"| {n_patients} | {early_sd:g} | {slope_sd:g} | {cells} | {share:.0f} | {n_none} | {repetition} |", flush=True)  # fmt: skip


def main() -> None:
    """Print one row per truth."""
    given = sys.argv[1:]
    trials = int(given[1]) if len(given) > 1 else 100
    print("| patients | SD early | SD late | own slopes: early | late | intercept: early | late | singular, % | no interval | trials |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for n_patients in [int(given[0])] if given else [19, 9]:
        for early_sd in [float(given[3])] if len(given) > 3 else [0.0, 1.0]:
            for slope_sd in [float(given[2])] if len(given) > 2 else [0.0, 0.1, 0.2]:
                coverage(n_patients, trials, slope_sd, early_sd)


if __name__ == "__main__":
    main()
