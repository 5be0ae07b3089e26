"""Excel workbooks: unpacked and measured before they are read; dates as ISO dates; no cell is lost without a word."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import polars as pl

from ahsct.errors import RequestError, SourceError, is_panic
from ahsct.tables.spreadsheet import plain_columns, refuse_headers

LARGEST_UNPACKED_BYTES = 2_000_000_000
MOST_CELLS = 50_000_000
NO_VALUE = "formula without a saved value"  # what such a cell becomes, for the check to name
_OLD_EXCEL = bytes.fromhex("d0cf11e0a1b11ae1")
_STEP = 1 << 20
_NAME = rb"(?:\w+:)?"
# only these can make a sheet of more than MOST_CELLS: 26 columns of 999,999 rows are fewer
_FAR = re.compile(rb"""r=["'](?:[A-Z]{2}|[A-Z]\d{7})""")
_COLUMN = re.compile(rb"""\sr=["']([A-Z]{1,3})\d""")
_ROW = re.compile(rb"""\sr=["'][A-Z]{1,3}(\d{1,7})["']""")
_SHARED = re.compile(
    rb"<" + _NAME + rb"""c\b[^>]*?\st=["']s["'][^>]*>\s*<""" + _NAME + rb"v\b[^>]*>\s*(\d{1,9})"
)
_TEXT = re.compile(rb"<" + _NAME + rb"si[\s>]")
_ERROR = re.compile(rb"(<" + _NAME + rb"""c\b[^>]*?\st=)(["'])e\2""")
_FORMULA = re.compile(
    rb"<(" + _NAME + rb")c\b([^>]*)>(\s*<" + _NAME + rb"f\b(?:[^>]*/>|[^>]*>[^<]*</" + _NAME + rb"f>))\s*"
    rb"(?:<" + _NAME + rb"v\s*/>|<" + _NAME + rb"v\s*></" + _NAME + rb"v>)?\s*</" + _NAME + rb"c>"
)
_TYPE = re.compile(rb"""\st=(["'])(\w+)\1""")
_CELL = re.compile(rb"<" + _NAME + rb"c[\s>]")
_MIDNIGHT = r"^(\d{4}-\d{2}-\d{2}) 00:00:00(?:\.0+)?$"


@dataclass
class _Found:
    """What a look at the cells of a workbook's sheets gives."""

    n_errors: int = 0
    n_formulas: int = 0
    n_shared: int = 0
    is_far: bool = False


def xlsx_tables(path: Path) -> dict[str, tuple[pl.DataFrame, list[str]]]:
    """Return each sheet of an .xlsx file as text, and what was done to its columns.

    A cell with a date is an ISO date; one with a date and a time of day stays so, for the check to name. Cells
    that hold an error (#VALUE!) keep its name, formulas whose value was never saved say so; both are counted.

    Raises
    ------
    SourceError
        It is no .xlsx file, unpacks to more than `LARGEST_UNPACKED_BYTES` or than it says, spans more than
        `MOST_CELLS`, or a sheet has no header.
    RequestError
        The extra `xlsx` is not installed.
    """
    data, notes = _measured(path)
    try:
        import fastexcel
    except ImportError as error:
        raise RequestError("Reading .xlsx needs the extra `xlsx` (pip install ahsct[xlsx]).") from error
    try:
        book = fastexcel.read_excel(path if data is None else data)
        sheets = {sheet: book.load_sheet(sheet, dtypes="string") for sheet in book.sheet_names}
    except fastexcel.FastExcelError as error:
        raise SourceError(
            f"{path.name} cannot be read as .xlsx ({type(error).__name__}). Save it again."
        ) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise SourceError(f"{path.name} cannot be read as .xlsx. Save it again.") from None
    found = {}
    for sheet, loaded in sheets.items():
        if loaded.total_height == 0 and not loaded.available_columns():
            continue
        frame = loaded.to_polars()
        refuse_headers(f"{path.name}, sheet {sheet}", frame.columns)
        frame = frame.with_columns(pl.col(pl.String).str.replace(_MIDNIGHT, "$1"))
        found[sheet] = plain_columns(frame, [], decimal_comma=False)
        found[sheet][1].extend(notes)
        notes = []
    return found


def _measured(path: Path) -> tuple[bytes | None, list[str]]:
    """Return the workbook with errors and empty formulas as texts (None where it has none), and their counts.

    Every part is unpacked here first, so that one larger than the file's own directory says is never opened.
    """
    with path.open("rb") as handle:
        if handle.read(8) == _OLD_EXCEL:
            raise SourceError(
                f"{path.name} is an old .xls or a workbook with a password, no .xlsx file. Save it as .xlsx without a password."
            )
        try:
            with zipfile.ZipFile(handle) as packed:
                entries = packed.infolist()
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise SourceError(f"{path.name} is no .xlsx file, or is cut short. Save it again.") from error
        size = sum(entry.file_size for entry in entries)
        if size > LARGEST_UNPACKED_BYTES:
            raise SourceError(
                f"{path.name} unpacks to {size:,} bytes, more than {LARGEST_UNPACKED_BYTES:,}. Save its sheets as CSV."
            )
        if not any(entry.filename.startswith("xl/") for entry in entries):
            raise SourceError(f"{path.name} is a zip file but no .xlsx file.")
        n_errors = n_formulas = n_shared = 0
        for entry in entries:
            found = _looked_at(path.name, _cells(_unpacked(path.name, handle, entry)), _is_sheet(entry))
            n_errors, n_formulas = n_errors + found.n_errors, n_formulas + found.n_formulas
            n_shared += found.n_shared
            if found.is_far:
                _refuse_wide_span(path.name, _cells(_unpacked(path.name, handle, entry)))
        _refuse_much_text(path.name, handle, entries, n_shared)
        if not n_errors and not n_formulas:
            return None, []
        mended = io.BytesIO()
        with zipfile.ZipFile(mended, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
            for entry in entries:
                parts: Iterable[bytes] = _unpacked(path.name, handle, entry)
                if _is_sheet(entry):
                    parts = (_with_texts(part) for part in _cells(parts))
                with new.open(entry.filename, "w") as part:
                    part.writelines(parts)
    counts = ((n_errors, "cells hold an error such as #VALUE!"), (n_formulas, f"cells hold a {NO_VALUE}"))
    notes = [f"{n} {what}, kept as such (all sheets together)" for n, what in counts if n]
    return mended.getvalue(), notes


def _is_sheet(entry: zipfile.ZipInfo) -> bool:
    return entry.filename.startswith("xl/worksheets/") and entry.filename.endswith(".xml")


def _unpacked(name: str, handle: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield the bytes of a part as they are, not as many as the directory announces."""
    broken = SourceError(f"{name} is no .xlsx file, or is cut short. Save it again.")
    handle.seek(entry.header_offset)
    head = handle.read(30)
    if len(head) < 30 or not head.startswith(b"PK\x03\x04"):
        raise broken
    lengths = struct.unpack("<HH", head[26:30])
    handle.seek(sum(lengths), io.SEEK_CUR)
    left, n = entry.compress_size, 0
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if entry.compress_type == zipfile.ZIP_DEFLATED else None
    if unpack is None and entry.compress_type != zipfile.ZIP_STORED:
        raise broken
    while left:
        packed = handle.read(min(left, _STEP))
        left -= len(packed)
        if not packed:
            raise broken
        while packed:
            try:
                part = packed if unpack is None else unpack.decompress(packed, _STEP)
            except zlib.error as error:
                raise broken from error
            packed = b"" if unpack is None else unpack.unconsumed_tail
            n += len(part)
            if n > entry.file_size:
                raise SourceError(f"{name} unpacks to more bytes than it announces. Save it again.")
            yield part


def _cells(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes, cut so that no cell lies in two parts."""
    rest = b""
    for part in parts:
        text = rest + part
        prefixed = text.rfind(b"<", 0, max(text.rfind(b":c "), 0))
        if not _CELL.match(text, max(prefixed, 0)):
            prefixed = 0
        cut = max(text.rfind(b"<c "), text.rfind(b"<c>"), prefixed, 0)
        yield text[:cut]
        rest = text[cut:]
    yield rest


def _looked_at(name: str, parts: Iterable[bytes], is_sheet: bool) -> _Found:
    """Unpack a part to its end; of a sheet, count cells that hold no plain value, and look for far ones."""
    found = _Found()
    for part in parts:
        if not is_sheet:
            continue
        # a look for a few bytes is much faster than for a whole cell, and mostly enough
        if b'"e"' in part or b"'e'" in part:
            found.n_errors += len(_ERROR.findall(part))
        if b"f>" in part or b"f/>" in part:
            found.n_formulas += sum(_is_empty(match) for match in _FORMULA.finditer(part))
        found.n_shared += part.count(b't="s"') + part.count(b"t='s'")
        found.is_far = found.is_far or _FAR.search(part) is not None
    return found


def _refuse_wide_span(name: str, parts: Iterable[bytes]) -> None:
    """Refuse a sheet in which a cell stands so far away that what lies between would fill the memory."""
    columns: set[bytes] = set()
    rows: set[bytes] = set()
    for part in parts:
        columns.update(_COLUMN.findall(part))
        rows = {max(rows | set(_ROW.findall(part)), key=int, default=b"0")}
    n_columns, n_rows = max(map(_number, columns), default=0), max(map(int, rows), default=0)
    if n_rows * n_columns > MOST_CELLS:
        raise SourceError(
            f"{name}: a sheet spans {n_rows:,} rows and {n_columns:,} columns, more than {MOST_CELLS:,} cells. "
            "Delete what stands far away from the table, or save the sheet as CSV."
        )


def _refuse_much_text(name: str, handle: BinaryIO, entries: list[zipfile.ZipInfo], n_shared: int) -> None:
    """Refuse a long text that is kept once and stands in many cells, where each would hold a copy of it."""
    kept = [entry for entry in entries if entry.filename == "xl/sharedStrings.xml"]
    if not kept or n_shared * kept[0].file_size <= LARGEST_UNPACKED_BYTES:
        return
    texts = b"".join(_unpacked(name, handle, kept[0]))
    starts = [match.start() for match in _TEXT.finditer(texts)]
    lengths = [end - start for start, end in zip(starts, [*starts[1:], len(texts)], strict=True)]
    size = 0
    for entry in filter(_is_sheet, entries):
        for part in _cells(_unpacked(name, handle, entry)):
            size += sum(lengths[int(i)] for i in _SHARED.findall(part) if int(i) < len(lengths))
    if size > LARGEST_UNPACKED_BYTES:
        raise SourceError(
            f"{name} holds texts of {size:,} bytes in all its cells, more than {LARGEST_UNPACKED_BYTES:,}. Shorten them."
        )


def _number(column: bytes) -> int:
    """Return the number of a column: A is 1, AA is 27."""
    number = 0
    for letter in column:
        number = 26 * number + letter - 64
    return number


def _is_empty(match: re.Match[bytes]) -> bool:
    """Tell whether a formula's value was never saved; a saved empty text is a value."""
    kind = _TYPE.search(match[2])
    has_value = re.search(rb"<" + _NAME + rb"v\b", match[0]) is not None
    return not (has_value and kind is not None and kind[2] == b"str")


def _with_texts(part: bytes) -> bytes:
    """Return cells with errors, and formulas without a saved value, as cells with a text."""

    def said(match: re.Match[bytes]) -> bytes:
        if not _is_empty(match):
            return match[0]
        prefix, attributes = match[1], _TYPE.sub(b"", match[2])
        text = b"<%bv>%b</%bv>" % (prefix, NO_VALUE.encode(), prefix)
        return b'<%bc%b t="str">%b%b</%bc>' % (prefix, attributes, match[3], text, prefix)

    return _FORMULA.sub(said, _ERROR.sub(rb"\1\2str\2", part))
