"""CSV files that a spreadsheet opens without running anything."""

from __future__ import annotations

from pathlib import Path

import polars as pl

_FORMULA_START = r"^[=+\-@\t\r\n]"


def quote_formulas(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with an apostrophe before each text that a spreadsheet would run as a formula.

    Lists become texts joined by "; ". Numbers, dates and flags stay as they are.

    Examples
    --------
    >>> quote_formulas(pl.DataFrame({"arm": ["=1+1", "aHSCT"], "change": [-1.0, 2.0]})).rows()
    [("'=1+1", -1.0), ('aHSCT', 2.0)]
    """
    texts = [
        pl.col(name).list.join("; ") if isinstance(dtype, pl.List) else pl.col(name)
        for name, dtype in frame.schema.items()
        if dtype == pl.String or dtype == pl.List(pl.String)
    ]
    is_formula = [text.str.contains(_FORMULA_START) for text in texts]
    return frame.with_columns(
        pl.when(found).then(pl.lit("'") + text).otherwise(text).name.keep()
        for text, found in zip(texts, is_formula, strict=True)
    )


def write_safe_csv(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV in UTF-8, formulas quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    quote_formulas(frame).write_csv(path)
