"""Builds rows of RESULTS: neutral values where an estimate knows nothing of the study, no NaN, exact schema."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from ahsct.errors import TableError, did_you_mean
from ahsct.vocabulary import RESULTS, from_rows

_NEUTRAL: Mapping[str, str] = {
    "study_id": "",
    "data_kind": "",
    "endpoint": "",
    "definition": "",
    "definition_hash": "",
    "estimand": "as_observed",
    "population": "",
    "arm": "",
    "unit_of_analysis": "patient",
    "sided": "two",
}


def result(*, statistic: str, unit: str, n: int | None, method: str, **columns: Any) -> dict[str, Any]:
    """Return one row for `results_frame`; what is left out gets its neutral value or is missing.

    Parameters
    ----------
    statistic, unit, n, method
        What no row may lack; `n` is None only where an estimate was made from totals and nobody said how many
        patients stand behind them.
    columns
        Any other column of RESULTS; numpy numbers are taken as well as Python's.

    Raises
    ------
    TableError
        A column is unknown.
    ValueError
        A number is NaN: an estimate that does not exist is None, with a `note` that says why.

    Examples
    --------
    >>> row = result(statistic="proportion", unit="probability", n=24, method="Wilson", estimate=1 / 24)
    >>> row["estimand"], row["sided"], row["unit_of_analysis"]
    ('as_observed', 'two', 'patient')
    """
    row = {**_NEUTRAL, "statistic": statistic, "unit": unit, "n": n, "method": method, **columns}
    return {name: _plain(name, value) for name, value in row.items()}


def results_frame(rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the rows as a table of schema RESULTS, in the order given.

    Examples
    --------
    >>> results_frame([]).height
    0
    """
    return from_rows(rows, RESULTS)


def stamp(results: pl.DataFrame, **columns: Any) -> pl.DataFrame:
    """Return the results with these columns set to one value in every row (a study's name, its kind of data ...).

    Raises
    ------
    TableError
        A column is unknown.

    Examples
    --------
    >>> rows = results_frame([result(statistic="count", unit="patients", n=24, method="count")])
    >>> stamp(rows, study_id="atkins2016", data_kind="reconstructed")["study_id"].to_list()
    ['atkins2016']
    """
    for name in columns:
        _require_known(name)
    return results.with_columns(
        pl.lit(value, dtype=RESULTS[name]).alias(name) for name, value in columns.items()
    )


def _plain(name: str, value: Any) -> Any:
    _require_known(name)
    if value is None:
        return None
    if RESULTS[name] == pl.Float64:
        value = float(value)
        if math.isnan(value):
            raise ValueError(f"`{name}` is NaN; give None and a note that says why there is no number")
        return value
    return int(value) if RESULTS[name] == pl.Int64 else value


def _require_known(name: str) -> None:
    if name not in RESULTS:
        raise TableError(f"RESULTS has no column {name!r}.{did_you_mean(name, RESULTS)}")
