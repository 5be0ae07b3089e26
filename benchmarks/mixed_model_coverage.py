"""Coverage of 95 % intervals of a mixed model's slope with 19 patients (and 8), by method of degrees of freedom.

The design is that of brain volume after a transplant: visits at 0, 0.5, 1, 2, 3 ... 6 years that patients
miss at random, and follow-up of unequal length. Truth: SD between patients 1, of slopes 0.25 (or 0) a year,
within 0.4. In brackets the median width. Prints the table of docs/statistics/longitudinal.md; asserts nothing.

Run `python benchmarks/mixed_model_coverage.py [repetitions]` (200; the page shows 1000).
"""

import sys

import numpy as np
from scipy.special import ndtri, stdtrit

from ahsct.chunks import random_stream
from ahsct.errors import TableError
from ahsct.estimates.mixed_model import linear_mixed_model

VISITS = np.array([0, 0.5, 1, 2, 3, 4, 5, 6])
SLOPE = -0.3


def one(repetition: int, n_patients: int, slope_sd: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = random_stream(2016, stream=f"coverage {n_patients} {slope_sd}", patient=repetition)
    last = rng.integers(1, VISITS.size, n_patients)  # the place of the last visit
    seen = (np.arange(VISITS.size) <= last[:, None]) & (rng.random((n_patients, VISITS.size)) < 0.85)
    seen[:, 0] = True
    patient, visit = np.nonzero(seen)
    t = VISITS[visit]
    own = rng.normal(0, 1, n_patients)[patient] + (SLOPE + rng.normal(0, slope_sd, n_patients)[patient]) * t
    return own + rng.normal(0, 0.4, t.size), t, patient


def coverage(repetitions: int, n_patients: int, slope_sd: float, random: str) -> str:
    covered, widths = np.zeros(3), [[], [], []]
    n, n_boundary = 0, 0
    for repetition in range(repetitions):
        y, t, patient = one(repetition, n_patients, slope_sd)
        X = np.column_stack([np.ones_like(t), t])
        try:
            fit = linear_mixed_model(y, X, patient, Z=X if random == "slope" else None)
        except TableError:
            continue
        n += 1
        n_boundary += fit.is_boundary
        for k, method in enumerate(("normal", "satterthwaite", "kenward-roger")):
            estimate, std_error, df = fit.contrast(
                [0, 1], df_method="satterthwaite" if method == "normal" else method
            )
            half = std_error * float(ndtri(0.975) if method == "normal" else stdtrit(df, 0.975))
            covered[k] += abs(estimate - SLOPE) <= half
            widths[k].append(2 * half)
    shares = " | ".join(
        f"{100 * c / n:.1f} ({np.median(w):.2f})" for c, w in zip(covered, widths, strict=True)
    )
    return f"| {n_patients} | {slope_sd:g} | {random} | {shares} | {100 * n_boundary / n:.0f} | {n} |"


def main() -> None:
    """Print one row per design."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(
        "| patients | SD of slopes | random | normal | Satterthwaite | Kenward-Roger | singular, % | fits |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n_patients in (19, 8):
        for slope_sd in (0.25, 0.0):
            for random in ("slope", "intercept"):
                print(coverage(repetitions, n_patients, slope_sd, random), flush=True)


if __name__ == "__main__":
    main()
