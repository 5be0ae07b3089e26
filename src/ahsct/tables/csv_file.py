"""Reads one CSV file as text, after looking at its bytes: encoding, header, and as many cells in every row."""

from __future__ import annotations

import csv
import io
from collections import Counter

import polars as pl

from ahsct.errors import SourceError
from ahsct.tables.problems import join_problems, one_problem

LFS_POINTER = b"version https://git-lfs"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


def csv_table(table: str, name: str, data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return every column as text, and the problems of the header.

    Parameters
    ----------
    table
        Name of the table, for the problems.
    name
        Name of the file, for messages.
    data
        Its bytes: UTF-8 with or without byte-order mark, comma-separated, first row the header.

    Raises
    ------
    SourceError
        The file is empty, not UTF-8, not text, not comma-separated, or its rows differ in length.
    """
    text = _decoded(name, data)
    header, n_rows, rows_differ = _shape(name, text)
    if len(header) == 1 and ";" in header[0]:
        raise SourceError(
            f"{name} seems to be separated by semicolons. Save it separated by commas, with decimal points, "
            "or read it as kind 'spreadsheet'."
        )
    if len(header) == 1 and "\t" in header[0]:
        raise SourceError(f"{name} seems to be separated by tabs. Save it separated by commas.")
    if rows_differ:
        n, line, cells = rows_differ
        raise SourceError(
            f"{name} has {len(header)} columns, but {n} of its rows have another number of cells; the first is row "
            f"{line} with {cells}. Correct the row (a comma inside a text needs quotes around the text)."
        )
    try:
        frame = pl.read_csv(io.BytesIO(text.encode()), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SourceError(
            f"{name} cannot be read as CSV; look for a quote that is not closed. Save it again as CSV."
        ) from error
    if frame.height != n_rows:  # two parsers disagree: better to refuse than to guess
        raise SourceError(
            f"{name} reads as {frame.height} or as {n_rows} rows; look for stray quotes or line ends inside texts. "
            "Save it again as CSV."
        )
    found = []
    for column, n in Counter(header).items():
        if n > 1:
            message = f"`{table}` has {n} columns named `{column}`; only the first is read. Keep one, rename the others."
            found.append(one_problem(table, "duplicate_column", message, column=column, value=n))
    firsts = {column: place for place, column in reversed(list(enumerate(header)))}
    frame = pl.DataFrame([frame.to_series(place).alias(column) for column, place in sorted(
        firsts.items(), key=lambda item: item[1])])  # fmt: skip
    return frame, join_problems(found)


def _decoded(name: str, data: bytes) -> str:
    if data.startswith(LFS_POINTER):
        raise SourceError(f"{name} is a Git LFS pointer, not the file itself. Run `git lfs pull` first.")
    if data.startswith(_UTF16):
        raise SourceError(f"{name} is encoded as UTF-16 (byte 0). Save it as CSV UTF-8.")
    zero = data.find(b"\0")
    if zero >= 0:
        raise SourceError(f"{name} is no text file (byte {zero} is zero). Save the table as CSV UTF-8.")
    data = data.removeprefix(_BOM)
    if not data.strip():
        raise SourceError(f"{name} is empty. Give at least a header row, or leave the file out.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError(
            f"{name} is not UTF-8: byte {error.start} (0x{data[error.start]:02x}, line {line}) is not valid. "
            "Save it as CSV UTF-8."
        ) from error
    if "\r" in text and "\n" not in text:
        raise SourceError(f"{name} uses old Mac line ends (carriage returns only). Save it as CSV UTF-8.")
    return text


def _shape(name: str, text: str) -> tuple[list[str], int, tuple[int, int, int] | None]:
    """Return header, number of rows and, where rows differ from it, how many, the first and its cells.

    A blank line counts as a row of missing values, as it does for Polars.
    """
    if '"' not in text:  # then every comma separates: counting them all at once is much faster
        header, _, body = text.partition("\n")
        cells = header.rstrip("\r").split(",")
        lines = pl.Series(body.removesuffix("\n").split("\n") if body else [], dtype=pl.String)
        counts = lines.str.count_matches(",", literal=True) + 1
        is_blank = lines.str.strip_chars_end("\r") == ""
        places = ((counts != len(cells)) & ~is_blank).arg_true()
        first = int(places[0]) if places.len() else 0
        differ = (places.len(), first + 1, int(counts[first])) if places.len() else None
        return cells, lines.len(), differ
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        cells = next(reader)
        lengths = [len(found) for found in reader]
    except csv.Error as error:
        raise SourceError(
            f"{name} cannot be read as CSV: {error}. Look for a quote that is not closed."
        ) from error
    wrong = [(row, n) for row, n in enumerate(lengths, 1) if n not in (0, len(cells))]
    return cells, len(lengths), (len(wrong), *wrong[0]) if wrong else None
