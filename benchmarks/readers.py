"""Time and memory of every reader; a transport file of 500,000 rows beside the library that reads it."""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat

N = 500_000


def measured(code: str, *arguments: str) -> tuple[float, float]:
    """Run code in a process of its own; return wall seconds of the work and peak memory in MB."""
    text = f"import sys, time\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], check=True, capture_output=True, text=True
    )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return float(done.stdout.split()[-1]), max(peak, before) / 1024


def main() -> None:
    rng = np.random.Generator(np.random.Philox(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects = [f"S{i:06d}" for i in range(N // 20)]
        dm = pl.DataFrame({"USUBJID": subjects, "SEX": ["F"] * len(subjects)})
        qs = pl.DataFrame(
            {
                "USUBJID": np.repeat(subjects, 20),
                "QSCAT": ["EDSS"] * N,
                "QSTESTCD": ["EDSS0101"] * N,
                "QSTEST": ["EDSS01-Expanded Disability Score"] * N,
                "QSDY": np.tile(np.arange(20) * 90.0 + 1, N // 20),
                "QSSTRESN": rng.integers(2, 14, N) / 2,
            }
        )
        for kind in ("xpt", "csv", "parquet"):
            place = folder / kind
            place.mkdir()
            for table, frame in (("DM", dm), ("QS", qs)):
                path = place / f"{table.lower()}.{kind}"
                if kind == "xpt":
                    pyreadstat.write_xport(frame, str(path), table_name=table, file_format_version=5)
                elif kind == "csv":
                    frame.write_csv(path)
                else:
                    frame.write_parquet(path)
            ours, peak = measured(
                "from ahsct import read_study; read_study(sys.argv[1], kind='sdtm')", str(place)
            )
            line = f"  SDTM from {kind:8} {N:,} rows   {ours:6.2f} s   {peak:6.0f} MB"
            if kind == "xpt":
                bare, _ = measured(
                    "import pyreadstat; pyreadstat.read_xport(sys.argv[1], output_format='polars')",
                    str(place / "qs.xpt"),
                )
                line += f"   the library alone {bare:.2f} s: ratio {ours / bare:.2f}"
            print(line)
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ahsct.cli.main", "--version"], check=True, capture_output=True)
        print(f"  (starting a process: {time.perf_counter() - start:.2f} s)")


if __name__ == "__main__":
    main()
