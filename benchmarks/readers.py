"""Time and memory of every reader; a transport file of 500,000 rows beside the library that reads it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat

N = 500_000


def measured(code: str, *arguments: str) -> tuple[float, float]:
    """Run code in a process of its own; return wall seconds of the work and its peak memory in MB."""
    text = (
        f"import sys, time\nstart = time.perf_counter()\n{code}\nseconds = time.perf_counter() - start\n"
        # the high-water mark of this process alone; getrusage hands on that of its parent
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(seconds, int(peak.split()[1]) / 1024)"
    )
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments], check=True, capture_output=True, text=True
    )
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def other_shapes(folder: Path, dm: pl.DataFrame, qs: pl.DataFrame) -> Iterator[tuple[str, Path, str]]:
    """Write the same visits in the other forms: label, place, kind. SAS7BDAT has no open writer; PostgreSQL needs a server."""
    from ahsct import make_study
    from ahsct.tables import write_study
    from ahsct.tables.dataset_json import write_dataset_json
    from ahsct.tables.redcap import redcap_shape
    from ahsct.tables.registry_export import registry_shape

    for ending in ("json", "ndjson"):
        place = folder / ending
        place.mkdir()
        for name, frame in (("DM", dm), ("QS", qs)):
            write_dataset_json(
                frame,
                place / f"{name.lower()}.{ending}",
                name=name,
                label=name,
                labels={},
                study_id="b",
                created="2020-01-01T00:00:00",
            )
        yield f"SDTM from {ending}", place, "sdtm"
    start = date(2010, 1, 1)
    study = make_study(
        "b",
        data_kind="simulated",
        patients=dm.select(patient_id="USUBJID", sex="SEX", index_date=pl.lit(start)),
        visits=qs.select(
            patient_id="USUBJID", visit_date=start + pl.duration(days=pl.col("QSDY")), edss="QSSTRESN"
        ),
    )
    for file_format in ("csv", "parquet", "duckdb"):
        yield (
            f"ours, {file_format}",
            write_study(study, folder / f"ours_{file_format}", file_format=file_format),
            "auto",
        )
    for kind, frames in (
        ("redcap", redcap_shape(study.tables)),
        ("registry", registry_shape(study)),
        (
            "spreadsheet",
            {name: frame.drop("row", "visit_day", strict=False) for name, frame in study.tables.items()},
        ),
    ):
        place = folder / kind
        place.mkdir()
        for name, frame in frames.items():
            frame.write_csv(place / f"{name}.csv")
        yield kind, place, kind


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
        for label, place, kind in other_shapes(folder, dm, qs):
            ours, peak = measured(
                "from ahsct import read_study; read_study(sys.argv[1], kind=sys.argv[2])", str(place), kind
            )
            print(f"  {label:18} {N:,} rows   {ours:6.2f} s   {peak:6.0f} MB")
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "ahsct.cli.main", "--version"], check=True, capture_output=True)
        print(f"  (starting a process: {time.perf_counter() - start:.2f} s)")


if __name__ == "__main__":
    main()
