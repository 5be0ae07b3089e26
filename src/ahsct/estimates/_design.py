"""From a covariate table to columns of numbers: what a regression is fitted to, and what its rows are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._risk_table import Floats
from ahsct.vocabulary import require_columns


class Column(NamedTuple):
    """One column of the design: a number, or (with `level` and `reference`) the indicator of a level."""

    term: str
    level: str | None = None
    reference: str | None = None

    @property
    def label(self) -> str:
        """How the column is called in results."""
        return self.term if self.level is None else f"{self.term}: {self.level} against {self.reference}"


class Design(NamedTuple):
    """Covariates as numbers, shape (rows, columns), and what each column is."""

    x: Floats
    columns: tuple[Column, ...]


def design(
    function: str, frame: pl.DataFrame, terms: Sequence[str], references: Mapping[str, str] | None = None
) -> Design:
    """Return one column per number or flag, and one per level but the reference of each text.

    Parameters
    ----------
    function
        Named in errors.
    frame
        One row per row of the design.
    terms
        Its columns to use, in order.
    references
        The reference level of a text; else the first in alphabetical order.

    Raises
    ------
    TableError
        A column is absent or holds missing values.
    RequestError
        No term is given, one is given twice, a reference is unknown, or a text has one level only.

    Examples
    --------
    >>> frame = pl.DataFrame({"age": [30, 40, 50], "arm": ["A", "B", "A"]})
    >>> made = design("cox", frame, ["age", "arm"], {"arm": "B"})
    >>> made.x.tolist(), [column.label for column in made.columns]
    ([[30.0, 1.0], [40.0, 0.0], [50.0, 1.0]], ['age', 'arm: A against B'])
    """
    if not terms or len(set(terms)) < len(terms):
        raise RequestError(f"{function} needs one or more different terms; found {list(terms)}.")
    require_columns(function, "covariates", frame, terms)
    for name in references or {}:
        if name not in terms:
            raise RequestError(
                f"A reference is given for {name!r}, which is none of the terms {list(terms)}."
            )
    parts: list[Floats] = []
    columns: list[Column] = []
    for term in terms:
        series = frame[term]
        if series.dtype.is_float():
            series = series.fill_nan(None)
        if series.null_count():
            first = int(series.is_null().arg_max() or 0)
            raise TableError(
                f"{function}: covariate {term!r} is missing in {series.null_count()} of {frame.height} rows, the "
                f"first is row {first + 1}. Nothing is left out silently: filter these patients or impute."
            )
        if series.dtype.is_numeric() or series.dtype == pl.Boolean:
            parts.append(series.cast(pl.Float64).to_numpy())
            columns.append(Column(term))
            continue
        levels = sorted(series.cast(pl.String).unique().to_list())
        reference = (references or {}).get(term, levels[0] if levels else "")
        if reference not in levels:
            raise RequestError(f"{term!r} has no level {reference!r}; it has {', '.join(map(repr, levels))}.")
        if len(levels) < 2:
            raise RequestError(f"{term!r} has the one level {reference!r}: there is nothing to compare.")
        for level in levels:
            if level != reference:
                parts.append((series.cast(pl.String) == level).cast(pl.Float64).to_numpy())
                columns.append(Column(term, level, reference))
    return Design(np.stack(parts, axis=1), tuple(columns))


def codes(frame: pl.DataFrame, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return a whole number for each combination of the columns, and the name of each combination, sorted.

    Examples
    --------
    >>> codes(pl.DataFrame({"site": ["b", "a", "b"], "sex": ["f", "f", "f"]}), ["site", "sex"])
    (array([1, 0, 1]), ['site=a, sex=f', 'site=b, sex=f'])
    """
    distinct = frame.select(names).unique().sort(names).with_row_index("_code")
    joined = frame.select(names).join(
        distinct, on=list(names), how="left", nulls_equal=True, maintain_order="left"
    )
    labels = [
        ", ".join(f"{name}={value}" for name, value in zip(names, row[1:], strict=True))
        for row in distinct.rows()
    ]
    return joined["_code"].to_numpy().astype(np.int64), labels
