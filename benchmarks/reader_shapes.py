"""The same visits in every form that a reader takes, for `readers.py`."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pyreadstat

from ahsct import Study, make_study
from ahsct.tables import write_study
from ahsct.tables.dataset_json import write_dataset_json
from ahsct.tables.redcap import redcap_shape
from ahsct.tables.registry_export import registry_shape

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.postgres_server import NO_POSTGRES, has_postgres, postgres_server
from tests.workbook import workbook

N = 500_000
START = date(2010, 1, 1)
_FILES = "from pathlib import Path\nfiles = sorted(p for p in Path(sys.argv[1]).iterdir() if p.suffix not in ('', '.toml'))"
_EACH = "frames = [{read} for path in files]"


@dataclass(frozen=True)
class Shape:
    """A source: `label`, `place`, `kind`; the library alone as imports and work. Without a place it is skipped, and the label says why."""

    label: str
    place: str = ""
    kind: str = ""
    library: str = ""
    bare: tuple[str, str] | None = None


def _alone(imports: str, read: str) -> tuple[str, str]:
    return f"{imports}\n{_FILES}", _EACH.format(read=read)


_SAS = _alone("import polars, pyreadstat", "pyreadstat.{function}(str(path), output_format='polars')")
_CSV = _alone("import polars", "polars.read_csv(path, infer_schema=False)")
_PARQUET = _alone("import polars", "polars.read_parquet(path)")
_JSON = _alone("import json", "json.loads(path.read_text())")
_NDJSON = _alone("import json", "[json.loads(line) for line in path.open()]")
_DUCKDB = (
    "import duckdb, polars",
    "c = duckdb.connect(sys.argv[1], read_only=True)\nframes = [polars.DataFrame(c.execute(f'SELECT * FROM {t}').fetchnumpy()) for t in ('patients', 'visits')]",
)
_POSTGRES = (
    "from adbc_driver_postgresql import dbapi\nimport polars",
    "c = dbapi.connect(sys.argv[1]).cursor()\n"
    "for t in ('patients', 'visits'):\n    c.execute(f'SELECT * FROM {t}')\n    frame = polars.from_arrow(c.fetch_arrow_table())",
)
_XLSX = (
    "import fastexcel, polars",
    "b = fastexcel.read_excel(sys.argv[1])\nframes = [b.load_sheet(s, dtypes='string').to_polars() for s in b.sheet_names]",
)


def shapes(folder: Path) -> Iterator[Shape]:
    """Write one form after another below a folder and yield it; what cannot be made here is yielded without a place."""
    subjects = [f"S{i:06d}" for i in range(N // 20)]
    dm = pl.DataFrame({"USUBJID": subjects, "SEX": ["F"] * len(subjects)})
    qs = pl.DataFrame(
        {
            "USUBJID": np.repeat(subjects, 20),
            "QSCAT": ["EDSS"] * N,
            "QSTESTCD": ["EDSS0101"] * N,
            "QSTEST": ["EDSS01-Expanded Disability Score"] * N,
            "QSDY": np.tile(np.arange(20) * 90.0 + 1, N // 20),
            "QSSTRESN": np.random.Generator(np.random.Philox(1)).integers(2, 14, N) / 2,
        }
    )
    yield from _sdtm(folder, {"dm": dm, "qs": qs})
    study = make_study(
        "b",
        data_kind="simulated",
        patients=dm.select(patient_id="USUBJID", sex="SEX", index_date=pl.lit(START)),
        visits=qs.select(
            patient_id="USUBJID", visit_date=START + pl.duration(days=pl.col("QSDY")), edss="QSSTRESN"
        ),
    )
    yield from _ours(folder, study)
    yield from _others(folder, study)


def _made(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place


def _sdtm(folder: Path, domains: dict[str, pl.DataFrame]) -> Iterator[Shape]:
    place = _made(folder, "xpt")
    for name, frame in domains.items():
        pyreadstat.write_xport(
            frame, str(place / f"{name}.xpt"), table_name=name.upper(), file_format_version=5
        )
    yield Shape(
        "SDTM, XPT", str(place), "sdtm", "pyreadstat", (_SAS[0], _SAS[1].format(function="read_xport"))
    )
    for ending, write, library, bare in (
        ("csv", pl.DataFrame.write_csv, "polars", _CSV), ("parquet", pl.DataFrame.write_parquet, "polars", _PARQUET),
    ):  # fmt: skip
        place = _made(folder, ending)
        for name, frame in domains.items():
            write(frame, place / f"{name}.{ending}")
        yield Shape(
            f"SDTM, {ending.upper() if ending == 'csv' else 'Parquet'}", str(place), "sdtm", library, bare
        )
    has_haven = (
        shutil.which("Rscript")
        and not subprocess.run(["Rscript", "-e", "library(haven)"], capture_output=True).returncode
    )
    if has_haven:
        place = _made(folder, "sas7bdat")
        for name in domains:
            source, to = folder / "csv" / f"{name}.csv", place / f"{name}.sas7bdat"
            subprocess.run(
                ["Rscript", "-e", f"haven::write_sas(read.csv({str(source)!r}), {str(to)!r})"],
                check=True,
                capture_output=True,
            )
        bare = (_SAS[0], _SAS[1].format(function="read_sas7bdat"))
        yield Shape("SDTM, SAS7BDAT", str(place), "sdtm", "pyreadstat", bare)
    else:
        yield Shape("SAS7BDAT is skipped: its writer, R's haven, is not installed (Debian: r-cran-haven)")
    for ending, bare in (("json", _JSON), ("ndjson", _NDJSON)):
        place = _made(folder, ending)
        for name, frame in domains.items():
            write_dataset_json(
                frame, place / f"{name}.{ending}", name=name.upper(), label=name, labels={}, study_id="b", created="2020-01-01T00:00:00"
            )  # fmt: skip
        yield Shape(f"SDTM, Dataset-JSON ({ending})", str(place), "sdtm", "json", bare)


def _ours(folder: Path, study: Study) -> Iterator[Shape]:
    for file_format, library, bare in (("csv", "polars", _CSV), ("parquet", "polars", _PARQUET), ("duckdb", "duckdb", _DUCKDB)):  # fmt: skip
        place = write_study(study, folder / f"ours_{file_format}", file_format=file_format)
        yield Shape(f"our tables, {file_format}", str(place), "auto", library, bare)
    if not has_postgres():
        yield Shape(f"PostgreSQL is skipped: {NO_POSTGRES}")
        return
    from adbc_driver_postgresql import dbapi

    with postgres_server() as address:
        with dbapi.connect(address) as connection, connection.cursor() as cursor:
            for name, frame in study.tables.items():
                cursor.adbc_ingest(name, frame.drop("row").to_arrow(), mode="replace")
            connection.commit()
        yield Shape("our tables, PostgreSQL", address, "auto", "adbc", _POSTGRES)


def _others(folder: Path, study: Study) -> Iterator[Shape]:
    plain = {name: frame.drop("row", "visit_day", strict=False) for name, frame in study.tables.items()}
    place = folder / "study.xlsx"
    workbook(
        place,
        {
            name: [frame.columns, *frame.with_columns(pl.col(pl.Date).cast(pl.String)).iter_rows()]
            for name, frame in plain.items()
        },
    )
    yield Shape("spreadsheet, .xlsx", str(place), "spreadsheet", "fastexcel", _XLSX)
    visits = plain["visits"]
    forms = {
        "registration": plain["patients"].select("patient_id", "sex"),
        "treatment": plain["patients"].select("patient_id", date_of_hct="index_date"),
        "followup": visits.select("patient_id", "edss", date_of_edss="visit_date", date_of_assessment="visit_date", survival_status=pl.lit("alive")),
    }  # fmt: skip
    for kind, frames in (("spreadsheet", plain), ("redcap", redcap_shape(study.tables)), ("registry", registry_shape(study)), ("ebmt", forms)):  # fmt: skip
        place = _made(folder, kind)
        for name, frame in frames.items():
            frame.write_csv(place / f"{name}.csv", separator=";" if kind == "spreadsheet" else ",")
        bare = None if kind == "spreadsheet" else _CSV
        yield Shape(f"{kind}, CSV", str(place), kind, "polars", bare)
