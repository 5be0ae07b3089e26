"""Writes a study as CSV, Parquet or DuckDB; reading it back gives the same tables."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from ahsct.errors import RequestError, did_you_mean
from ahsct.files import new_file, new_folder
from ahsct.tables.duckdb_file import write_duckdb
from ahsct.tables.study import Study

FILE_FORMATS = ("csv", "parquet", "duckdb")


def write_study(study: Study, out: str | Path, *, file_format: str = "csv", force: bool = False) -> Path:
    """Write a study where `read_study` can read it, and return the place.

    Parameters
    ----------
    study
        Any study. `row` is not written: it counts the rows of a file.
    out
        A folder ("csv", "parquet": `study.toml` and one file per table) or a file ("duckdb").
    file_format
        "csv", "parquet" or "duckdb".
    force
        Replace what stands at `out` even when ahsct did not write it.

    Raises
    ------
    RequestError
        An unknown format, or `out` exists and is not ours.
    """
    if file_format not in FILE_FORMATS:
        raise RequestError(
            f"No file format {file_format!r}; known are {', '.join(FILE_FORMATS)}."
            f"{did_you_mean(file_format, FILE_FORMATS)}"
        )
    about = {"study_id": study.study_id, "data_kind": study.data_kind, "title": study.title}
    tables = {name: frame.drop("row", strict=False) for name, frame in study.tables.items()}
    if file_format == "duckdb":
        with new_file(out, force=force) as place, tempfile.TemporaryDirectory() as work:
            place.unlink()  # DuckDB makes its file itself and refuses an empty one
            write_duckdb(place, about, tables, Path(work))
        return Path(out)
    with new_folder(out, force=force) as folder:
        lines = [f"{key} = {_toml_text(value)}\n" for key, value in about.items() if value]
        (folder / "study.toml").write_text("".join(lines), encoding="utf-8")
        for name, frame in tables.items():
            if file_format == "csv":
                frame.write_csv(folder / f"{name}.csv")
            else:
                frame.write_parquet(folder / f"{name}.parquet")
    return Path(out)


def _toml_text(value: str) -> str:
    """Return a TOML basic string; JSON's escapes are TOML's, but for the delete character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
