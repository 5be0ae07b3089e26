"""Ten million examinations scored; twenty visits of 100,000 patients checked for contradictions."""

import time

import numpy as np
import polars as pl

from ahsct.edss import find_inconsistencies, score
from ahsct.edss.grades import SYSTEMS


def examinations(n: int) -> pl.DataFrame:
    """Return random grades, low ones more often."""
    rng = np.random.Generator(np.random.Philox(1))
    grades = {
        name: np.minimum(rng.geometric(0.5, n) - 1, highest).astype(np.int64)
        for name, (highest, _) in SYSTEMS.items()
    }
    return pl.DataFrame(grades | {"ambulation": rng.integers(0, 17, n)})


def main() -> None:
    frame = examinations(10_000_000)
    start = time.perf_counter()
    score(frame, ambulation_coding="0-16")
    print(f"  edss.score, 10,000,000 examinations        {time.perf_counter() - start:.2f} s")
    n = 2_000_000
    course = frame.head(n).with_columns(
        pl.Series("patient_id", np.arange(n) // 20).cast(pl.String),
        pl.Series("visit_day", np.arange(n) % 20 * 90),
        pl.lit(3.0).alias("edss"),
    )
    start = time.perf_counter()
    find_inconsistencies(course, ambulation_coding="0-16")
    print(f"  edss.find_inconsistencies, 2,000,000       {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    main()
