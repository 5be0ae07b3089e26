"""CSV as spreadsheets save it: separators, decimal commas, encodings, day-first dates."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from functools import cache

import polars as pl

from ahsct.errors import SourceError
from ahsct.vocabulary import INPUT_TABLES
from ahsct.vocabulary import columns as columns_of

MOST_COLUMNS = 5_000
_SEPARATORS = (";", "\t", ",")
_DECIMAL_COMMA = r"^-?\d+(,\d+)?$"
_NA = re.compile(r"(?<=[;\t,\n])NA(?=[;\t,\r\n]|\Z)")
_DAY_MONTH_YEAR = r"^(\d{1,2})([./-])(\d{1,2})[./-](\d{4})$"


def spreadsheet_csv(name: str, data: bytes) -> tuple[pl.DataFrame, list[str]]:
    """Return every column as text with decimal points and ISO dates, and what was done to get there.

    The separator is the one of ; tab , that gives every row the same number of cells. Text that is not
    UTF-8 is read as Windows-1252. A column is taken as decimal commas when commas do not separate and all
    its values are numbers so (never one of our columns of texts); as dates with day (or month) first when its
    values leave no doubt: others stay as they are and are noted. In a file that quotes its texts, NA outside quotes
    is R's mark of a missing value.

    Raises
    ------
    SourceError
        No text, no separator that fits, rows of different lengths, or duplicate columns.
    """
    text, done = _decoded(name, data)
    text, n_missing = _without_na(text)
    if n_missing:
        done.append(f"{n_missing} cells NA outside quotes, taken as missing")
    frame, separator = _parsed(name, text)
    if separator != ",":
        done.append(f"separated by {'tabs' if separator == chr(9) else 'semicolons'}")
    return plain_columns(frame, done, decimal_comma=separator != ",")


def _decoded(name: str, data: bytes) -> tuple[str, list[str]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16"), ["decoded from UTF-16"]
    if b"\0" in data:
        raise SourceError(f"{name} is no text file (it holds zero bytes). Save the table as CSV.")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise SourceError(f"{name} is empty. Give at least a header row, or leave the file out.")
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError:
        # five bytes have no meaning there; latin-1 gives them one
        try:
            return data.decode("cp1252"), ["decoded from Windows-1252 (not UTF-8)"]
        except UnicodeDecodeError:
            return data.decode("latin-1"), ["decoded from Latin-1 (not UTF-8)"]


def _without_na(text: str) -> tuple[str, int]:
    """Return the text without NA outside quotes, where quotes tell it from a text "NA", and how many there were."""
    if not text.startswith('"'):
        return text, 0
    parts, found = text.split('"'), 0  # every second part stands outside quotes
    for i in range(0, len(parts), 2):
        if "NA" in parts[i]:
            parts[i], n = _NA.subn("", parts[i])
            found += n
    return '"'.join(parts), found


def _parsed(name: str, text: str) -> tuple[pl.DataFrame, str]:
    first = text.partition("\n")[0]
    marked = re.match(r"^sep=(.)\r?$", first)
    if marked:
        text = text.partition("\n")[2]
        first = text.partition("\n")[0]
    choices = [marked.group(1)] if marked else [mark for mark in _SEPARATORS if mark in first] or [","]
    failures = []
    for separator in choices:
        try:
            frame = pl.read_csv(
                io.BytesIO(text.replace("\r\n", "\n").replace("\r", "\n").encode()),
                separator=separator,
                infer_schema=False,
                has_header=False,
                truncate_ragged_lines=False,
            )
        except pl.exceptions.PolarsError:  # its message quotes the text, which may identify a person
            failures.append("look for a quote that is not closed")
            continue
        header = ["" if cell is None else cell.strip() for cell in frame.row(0)]
        try:
            differs = _first_uneven_row(text, separator, len(header))
        except csv.Error:
            failures.append(
                f"a cell of more than {csv.field_size_limit():,} letters, or a quote that is not closed"
            )
            continue
        if differs is not None:
            failures.append(f"row {differs} has another number of cells than the {len(header)} of the header")
            continue
        refuse_headers(name, header)
        return frame[1:].rename(dict(zip(frame.columns, header, strict=True))), separator
    raise SourceError(
        f"{name} cannot be read as CSV: its rows differ in their number of cells, or a quote is not closed "
        f"({failures[0] if failures else 'no separator fits'}). Save it again as CSV."
    )


def _first_uneven_row(text: str, separator: str, n_cells: int) -> int | None:
    """Return the first data row (1 = the first) with another number of cells than the header; blank rows pass."""
    if '"' not in text:  # no cell holds a separator or a line end: they can be counted
        lines = pl.Series(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
        differs = (lines.str.count_matches(separator, literal=True) != n_cells - 1) & (lines != "")
        return differs.arg_max() if differs.any() else None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    for row, cells in enumerate(reader):
        if len(cells) not in (0, n_cells):
            return row
    return None


def refuse_headers(name: str, header: list[str]) -> None:
    """Refuse more columns than a table may have, and two of one name."""
    if len(header) > MOST_COLUMNS:
        raise SourceError(
            f"{name} has {len(header):,} columns, more than {MOST_COLUMNS:,}. Keep those you need."
        )
    twice = [column for column, n in Counter(header).items() if n > 1]
    if twice:
        raise SourceError(
            f"{name} has {header.count(twice[0])} columns named {twice[0]!r}. Keep one, rename the others."
        )


def plain_columns(
    frame: pl.DataFrame, done: list[str], *, decimal_comma: bool
) -> tuple[pl.DataFrame, list[str]]:
    """Return text with decimal points and ISO dates; `done` gets a line for each column that was changed."""
    columns = []
    for column in frame:
        text = column.cast(pl.String).str.strip_chars()
        given = text.filter(text.is_not_null() & (text != ""))
        if decimal_comma and column.name not in _texts() and _has_decimal_commas(given):
            done.append(f"`{column.name}`: decimal commas")
            is_number = text.str.contains(_DECIMAL_COMMA).fill_null(False)
            pointed = text.str.replace(",", ".", literal=True)
            columns.append(
                pl.select(pl.when(is_number).then(pointed).otherwise(text)).to_series().alias(column.name)
            )
        elif given.len() and given.str.contains(_DAY_MONTH_YEAR).all():
            columns.append(_iso_dates(text, done))
        else:
            columns.append(column.cast(pl.String))
    return pl.DataFrame(columns), done


@cache
def _texts() -> frozenset[str]:
    """Return the names that are texts in our tables: "1,3" is a list there, and an id is no number."""
    known = [(name, column.type) for table in INPUT_TABLES for name, column in columns_of(table).items()]
    return frozenset(name for name, type in known if type == "text") - {
        name for name, type in known if type != "text"
    }


def _has_decimal_commas(given: pl.Series) -> bool:
    """Tell whether commas are decimal ones: every value with a comma is such a number, and most values are numbers."""
    has_comma, is_number = given.str.contains(",", literal=True), given.str.contains(_DECIMAL_COMMA)
    return (
        bool(has_comma.any()) and bool((is_number | ~has_comma).all()) and 2 * is_number.sum() >= len(given)
    )


def _iso_dates(text: pl.Series, done: list[str]) -> pl.Series:
    """Return dates with day or month first as ISO dates, where the column itself tells which it is."""
    first = text.str.extract(_DAY_MONTH_YEAR, 1).cast(pl.Int64)
    second = text.str.extract(_DAY_MONTH_YEAR, 3).cast(pl.Int64)
    year = text.str.extract(_DAY_MONTH_YEAR, 4)
    day_first, month_first = bool((first > 12).any()), bool((second > 12).any())
    if day_first == month_first:
        why = "every number is 12 or less" if not day_first else "some have the day first, others the month"
        done.append(
            f"`{text.name}`: dates that cannot be told apart as day-month or month-day ({why}), kept as they are; "
            'save them as YYYY-MM-DD, or name their format in a mapping (date = "%d.%m.%Y")'
        )
        return text
    day, month = (first, second) if day_first else (second, first)
    done.append(f"`{text.name}`: dates with the {'day' if day_first else 'month'} first")
    padded = pl.DataFrame(
        {"y": year, "m": month.cast(pl.String).str.zfill(2), "d": day.cast(pl.String).str.zfill(2)}
    )
    return padded.select(pl.format("{}-{}-{}", "y", "m", "d")).to_series().alias(text.name)
