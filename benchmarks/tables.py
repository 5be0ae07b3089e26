"""2,000,000 visits of 100,000 patients, from Parquet to a checked study: seconds and peak memory.

Run as `python benchmarks/tables.py`; each repeat is a fresh process. Targets: under 1 s, under 1 GB
(on two free cores; CPU seconds tell what a loaded machine hides).
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from ahsct.tables import check, read_study

N_PATIENTS, N_VISITS, REPEATS = 100_000, 20, 5


def write_parquet(folder: Path, *, with_dates: bool) -> None:
    rng = np.random.Generator(np.random.Philox(7))
    n = N_PATIENTS * N_VISITS
    patient = np.repeat(np.arange(N_PATIENTS), N_VISITS)
    day = np.tile(np.arange(N_VISITS) * 90, N_PATIENTS) + rng.integers(-10, 11, n)
    ids = pl.Series([f"P{i:07d}" for i in range(N_PATIENTS)])
    index = pl.Series(rng.integers(11_000, 15_000, N_PATIENTS))
    patients = pl.DataFrame({"patient_id": ids})
    visits = pl.DataFrame({
        "patient_id": ids.gather(patient),
        "visit_day": day,
        "edss": rng.integers(2, 20, n) / 2,
        "visit_type": pl.Series(["scheduled", "unscheduled", "relapse"]).gather(rng.integers(0, 3, n)),
        "rater": pl.Series(["R1", "R2", "R3", "R4"]).gather(rng.integers(0, 4, n)),
    })  # fmt: skip
    if with_dates:
        patients = patients.with_columns(index.cast(pl.Int32).cast(pl.Date).alias("index_date"))
        dates = (index.gather(patient) + visits["visit_day"]).cast(pl.Int32).cast(pl.Date)
        visits = visits.with_columns(dates.alias("visit_day")).rename({"visit_day": "visit_date"})
    patients.write_parquet(folder / "patients.parquet")
    visits.write_parquet(folder / "visits.parquet")


def measure(folder: str) -> None:
    start, cpu_start = time.perf_counter(), time.process_time()
    study = check(read_study(folder))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(study.table("visits").height, seconds, cpu, rss_mb)


def main() -> None:
    for with_dates in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            write_parquet(Path(folder), with_dates=with_dates)
            runs = []
            for _ in range(REPEATS):
                command = [sys.executable, __file__, folder]
                out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
                runs.append(tuple(float(value) for value in out[1:]))
        axis = "visit_date" if with_dates else "visit_day"
        seconds, cpu, rss = zip(*runs, strict=True)
        print(
            f"{N_PATIENTS * N_VISITS} visits by {axis}: best {min(seconds):.2f} s, worst {max(seconds):.2f} s, "
            f"CPU {min(cpu):.2f} s, "
            f"peak {max(rss):.0f} MB"
        )


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
