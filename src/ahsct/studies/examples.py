"""Where the example studies lie, and how to load one."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import polars as pl

from ahsct.errors import RequestError, did_you_mean
from ahsct.tables import Study, read_study


def list_examples() -> list[str]:
    """Return the ids of the shipped example studies."""
    return sorted(
        entry.name
        for entry in Path(str(files("ahsct.studies"))).iterdir()
        if (entry / "study.toml").is_file()
    )


def example_folder(id: str) -> Path:
    """Return the folder of a shipped example study.

    Raises
    ------
    RequestError
        There is no such example.
    """
    if id not in list_examples():
        raise RequestError(
            f"No example study {id!r}; known are {list_examples()}.{did_you_mean(id, list_examples())}"
        )
    return Path(str(files("ahsct.studies"))) / id


def load_example(id: str = "atkins2016") -> Study:
    """Return a shipped example study, read like any other."""
    return read_study(example_folder(id))


def published_numbers(id: str = "atkins2016") -> pl.DataFrame:
    """Return what was published about an example study, one row per number with its source."""
    return pl.read_csv(example_folder(id) / "published.csv", infer_schema=False)
