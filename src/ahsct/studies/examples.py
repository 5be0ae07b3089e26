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
    """Return what was published about an example study, beside which number of ours answers to it.

    Returns
    -------
    pl.DataFrame
        All columns are text. Those of `published.csv` (one row per number with its source; `reproduced`
        is asserted, shown or not reproducible), and the selectors of RESULTS: `our_endpoint`,
        `our_component`, `our_estimand`, `our_population`, `our_term`, `our_statistic`, `our_time_years`,
        `our_method` (a part of it; missing = any), and what to compare: `our_which` names a column of RESULTS (estimate answers to
        `estimate_num`, lower and upper to `ci_low` and `ci_high`, n and n_events to `n` and `events`),
        times `our_scale`, to `our_decimals` printed digits. A published row comes as often as it has
        selectors, once where it has none.

    Raises
    ------
    RequestError
        There is no such example.

    Examples
    --------
    >>> numbers = published_numbers("atkins2016")
    >>> numbers.filter(pl.col("our_which") == "lower").select("estimate", "ci_low", "our_endpoint").row(0)
    ('69.6', '46.6', 'activity_free_survival')
    """
    folder = example_folder(id)
    published = pl.read_csv(folder / "published.csv", infer_schema=False)
    matches = pl.read_csv(folder / "matches.csv", infer_schema=False)
    return (
        published.with_columns(pl.int_range(1, pl.len() + 1).cast(pl.String).alias("published_row"))
        .join(
            matches.rename(lambda name: name if name == "published_row" else f"our_{name}"),
            on="published_row",
            how="left",
            maintain_order="left_right",
        )
        .drop("published_row")
    )
