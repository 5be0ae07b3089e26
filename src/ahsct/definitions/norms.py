"""Age norms of brain volume loss, one CSV per source under `norms/`; never extrapolated."""

from __future__ import annotations

from importlib.resources import files

import polars as pl

from ahsct.errors import DefinitionError, did_you_mean


def list_norms() -> list[str]:
    """Return the ids of the shipped norms."""
    folder = files("ahsct.definitions") / "norms"
    return sorted(
        entry.name.removesuffix(".csv") for entry in folder.iterdir() if entry.name.endswith(".csv")
    )


def load_norm(id: str) -> pl.DataFrame:
    """Return one norm: rows of `age_years`, `mean_pct_per_year` (losses are negative), and limits.

    Raises
    ------
    DefinitionError
        There is no such norm.
    """
    if id not in list_norms():
        raise DefinitionError(f"No norm {id!r}; known are {list_norms()}.{did_you_mean(id, list_norms())}")
    return pl.read_csv((files("ahsct.definitions") / "norms" / f"{id}.csv").read_bytes())
