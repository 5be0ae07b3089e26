"""Published numbers beside ours: which row of the results answers to each, and whether it agrees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

COMPARED = pl.Schema(
    {
        "published_row": pl.Int64(),  # place in the rows given, from 0
        "which": pl.String(),
        "printed": pl.Float64(),
        "ours": pl.Float64(),
        "decimals": pl.Int64(),
        "agrees": pl.Boolean(),
        "result_row": pl.Int64(),  # place in the results, from 0; missing = the results hold no such row
    }
)
_SELECTORS = ("endpoint", "component", "estimand", "population", "term", "statistic")
_PRINTED = {"estimate": "estimate_num", "lower": "ci_low", "upper": "ci_high", "n": "n", "n_events": "events"}


def compare_published(published: pl.DataFrame, results: pl.DataFrame) -> pl.DataFrame:
    """Return one row per published number that one of ours answers to.

    Parameters
    ----------
    published
        As `published_numbers` returns it: printed numbers and the selectors `our_*`.
    results
        Schema RESULTS.

    Returns
    -------
    pl.DataFrame
        `published_row`, `which` column of the results was compared, the `printed` number, `ours` in
        printed units, the printed `decimals`, whether it `agrees` to half a unit of the last printed
        digit, and the `result_row` it was read from.
    """
    rows = results.to_dicts()
    compared = []
    for place, line in enumerate(published.iter_rows(named=True)):
        if not line.get("our_endpoint"):
            continue
        found = next((index for index, row in enumerate(rows) if answers(line, row)), None)
        printed, ours = printed_number(line), None if found is None else our_number(line, rows[found])
        agrees = found is not None and agrees_with(line, rows[found])
        compared.append(
            (place, line["our_which"], printed, ours, int(line.get("our_decimals") or 0), agrees, found)
        )
    return pl.DataFrame(compared, schema=COMPARED, orient="row")


def clear_published(results: pl.DataFrame, published: pl.DataFrame) -> pl.DataFrame:
    """Return the results with the mark `illustration` taken off rows that give an asserted published number back.

    Such a row is cleared only when every number of it that was published agrees.
    """
    asserted = published.with_row_index("published_row").filter(pl.col("reproduced") == "asserted")[
        "published_row"
    ]
    compared = compare_published(published, results).filter(pl.col("published_row").is_in(asserted.to_list()))
    agreeing = (
        compared.drop_nulls("result_row")
        .group_by("result_row")
        .agg(pl.col("agrees").all())
        .filter("agrees")["result_row"]
    )
    return results.with_columns(
        pl.when((pl.col("mark") == "illustration") & pl.int_range(pl.len()).is_in(agreeing.to_list()))
        .then(None)
        .otherwise(pl.col("mark"))
        .alias("mark")
    )


def answers(line: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return True when a row of the results is one that a published line selects (an empty selector takes any)."""
    for name in _SELECTORS:
        wanted = line.get(f"our_{name}")
        if wanted and row[name] != wanted:
            return False
    method, at = line.get("our_method"), line.get("our_time_years")
    if method and method not in row["method"]:
        return False
    return not at or (row["time_years"] is not None and abs(row["time_years"] - float(at)) < 0.005)


def printed_number(line: Mapping[str, Any]) -> float | None:
    """Return the number that was printed."""
    text = line.get(_PRINTED[line["our_which"]])
    return float(text) if text else None


def our_number(line: Mapping[str, Any], row: Mapping[str, Any]) -> float | None:
    """Return our number in the units of the printed one."""
    value = row[line["our_which"]]
    return None if value is None else float(value) * float(line.get("our_scale") or 1)


def agrees_with(line: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return True when our number equals the printed one to half a unit of its last digit."""
    printed, ours = printed_number(line), our_number(line, row)
    if printed is None or ours is None:
        return False
    return abs(ours - printed) <= 0.5 * 10.0 ** -int(line.get("our_decimals") or 0) + 1e-9
