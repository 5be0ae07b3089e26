"""Seconds for win statistics of 2,000 against 2,000 patients, every pair compared.

Run `python benchmarks/hierarchical.py`.
"""

import time

import numpy as np
import polars as pl

from ahsct.estimates.hierarchical import Level, win_statistics


def main() -> None:
    """Compare death, then EDSS."""
    rng = np.random.default_rng(6)
    n = 4000
    outcomes = pl.DataFrame(
        {
            "patient_id": [str(i) for i in range(n)],
            "arm": ["a", "b"] * (n // 2),
            "death_day": rng.integers(1, 3000, n),
            "death_is_event": rng.random(n) < 0.2,
            "edss": rng.integers(0, 20, n) / 2,
        }
    )
    start = time.perf_counter()
    win_statistics(
        outcomes, [Level(name="death", kind="time"), Level(name="edss", kind="number", better="lower")]
    )
    print(
        f"  2,000 x 2,000, with the permutation variance (4,000 x 4,000): {time.perf_counter() - start:.2f} s"
    )


if __name__ == "__main__":
    main()
