"""Reads a study from a folder of CSV or Parquet files, or from a DuckDB file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.errors import SourceError
from ahsct.tables.study import Study
from ahsct.tables.typed import type_tables
from ahsct.vocabulary import INPUT_TABLES


def read_study(source: str | Path, *, kind: str = "auto", mapping: Any = None) -> Study:
    """Return the study that a folder holds (`study.toml`, and one CSV or Parquet file per table)."""
    folder = Path(source)
    if not folder.is_dir():
        raise SourceError(f"{source} is not a folder.")
    about: dict[str, Any] = {}
    if (folder / "study.toml").is_file():
        about = tomllib.loads((folder / "study.toml").read_text(encoding="utf-8"))
    raw = {
        name: pl.read_csv(folder / f"{name}.csv", infer_schema=False)
        for name in INPUT_TABLES
        if (folder / f"{name}.csv").is_file()
    }
    tables, problems = type_tables(raw)
    return Study(
        study_id=about.get("study_id", folder.name),
        tables=tables,
        data_kind=about.get("data_kind", "observed"),
        problems=problems,
    )
