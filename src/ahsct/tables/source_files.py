"""Every table of a source as it stands: CSV, Excel, Parquet, SAS transport and data files, Dataset-JSON."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.errors import SourceError
from ahsct.tables.csv_file import LFS_POINTER
from ahsct.tables.dataset_json import read_dataset_json
from ahsct.tables.spreadsheet import MOST_COLUMNS, spreadsheet_csv
from ahsct.tables.xlsx_file import xlsx_tables
from ahsct.tables.xpt_rows import cut_short

_XPT_START = (b"HEADER RECORD*******LIBRARY HEADER RECORD", b"HEADER RECORD*******LIBV8   HEADER RECORD")
_XPT_MEMBER = b"HEADER RECORD*******MEMB"
_UNNAMED = "DATASET"  # what the library calls a data set to which nobody gave a name
_SAS_MAGIC = bytes.fromhex("000000000000000000000000c2ea8160b31411cfbd92080009c7318c181f1011")


@dataclass
class SourceTables:
    """`tables` by name, the `hashes` of their files, `notes` on how they were read, what the source says of itself.

    `others`: the rows of each table that was not read, where they were counted.
    """

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    others: dict[str, int | None] = field(default_factory=dict)


def read_source_files(path: Path) -> SourceTables:
    """Return the tables of a file, or of every file of a folder that has a known form.

    A table is named after its file (or sheet, or the data set a file names), without its ending.

    Raises
    ------
    SourceError
        Nothing to read; a file is not what its ending says, is cut short or too large; two tables of one name.
    """
    if not path.exists():
        raise SourceError(f"There is no {path.name}. Check the name.")
    if not (path.is_file() or path.is_dir()):
        raise SourceError(f"{path.name} is neither a file nor a folder. Give one of the two.")
    files = [path] if path.is_file() else sorted(entry for entry in path.iterdir() if entry.is_file())
    known = [
        entry for entry in files if entry.suffix.casefold() in _READERS and not entry.name.startswith(".")
    ]
    if not known:
        raise SourceError(
            f"{path.name} holds no file that can be read ({', '.join(_READERS)}). Name the kind of source, or convert it."
        )
    found = SourceTables()
    for entry in known:
        try:
            data = entry.read_bytes()
            if data.startswith(LFS_POINTER):
                raise SourceError(
                    f"{entry.name} is a Git LFS pointer, not the file itself. Run `git lfs pull` first."
                )
            found.hashes[entry.name] = hashlib.sha256(data).hexdigest()
            read = _READERS[entry.suffix.casefold()](entry)
        except OSError as error:
            raise SourceError(f"{entry.name} cannot be read: {error.strerror}. Check the rights.") from error
        for name, (frame, notes) in read.items():
            if name.casefold() in {known_name.casefold() for known_name in found.tables}:
                raise SourceError(f"{path.name} holds the table {name} twice. Keep one of the files.")
            if frame.width > MOST_COLUMNS:
                raise SourceError(f"{entry.name} has {frame.width:,} columns, more than {MOST_COLUMNS:,}.")
            found.tables[name] = frame
            found.notes += [(entry.name, note) for note in notes]
    return found


Read = dict[str, tuple[pl.DataFrame, list[str]]]


def _csv(path: Path) -> Read:
    return {path.stem: spreadsheet_csv(path.name, path.read_bytes())}


def _parquet(path: Path) -> Read:
    try:
        return {path.stem: (pl.read_parquet(path), [])}
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise SourceError(
            f"{path.name} cannot be read as Parquet. Write it again from its source."
        ) from error


def _xpt(path: Path) -> Read:
    with path.open("rb") as handle:
        start = handle.read(80)
    if not start.startswith(_XPT_START):
        raise SourceError(
            f"{path.name} is no SAS transport file (its first record is another). Export it again."
        )
    size = path.stat().st_size
    if size % 80:
        raise SourceError(
            f"{path.name} is cut short: {size} bytes are no whole records of 80. Copy it again."
        )
    members = _members(path.read_bytes())
    if members != 1:
        raise SourceError(
            f"{path.name} holds {members} data sets, and one can be read. Export each to a file of its own."
        )
    if why := cut_short(path):
        raise SourceError(f"{path.name} is cut short: {why}. Copy it again.")
    return _sas(path, "read_xport")


def _members(data: bytes) -> int:
    """Return how many data sets a transport file holds: their headers begin on whole records."""
    found, at = 0, data.find(_XPT_MEMBER)
    while at >= 0:
        found += at % 80 == 0
        at = data.find(_XPT_MEMBER, at + 1)
    return found


def _sas7bdat(path: Path) -> Read:
    with path.open("rb") as handle:
        start = handle.read(32)
    if start != _SAS_MAGIC:
        raise SourceError(f"{path.name} is no SAS data file (its first bytes are others). Export it again.")
    return _sas(path, "read_sas7bdat")


def _sas(path: Path, reader: str) -> Read:
    import pyreadstat

    more = {"user_missing": True} if reader == "read_sas7bdat" else {}
    try:
        frame, meta, decoded = _in_its_encoding(
            getattr(pyreadstat, reader), path, output_format="polars", **more
        )
    except Exception as error:  # the library raises its own and plain ones
        text = str(error).strip().splitlines()
        raise SourceError(
            f"{path.name} cannot be read as SAS: {text[0][:160] if text else type(error).__name__}."
        ) from error
    notes = []
    for name in meta.missing_user_values:  # .A to .Z and ._ come as letters beside the numbers
        values = frame[name].to_list()
        codes = Counter(value for value in values if isinstance(value, str))
        listed = ", ".join(f".{code} {n}" for code, n in sorted(codes.items()))
        notes.append(f"{name}: missing codes of SAS, taken as missing ({listed})")
        plain = [None if isinstance(value, str) else value for value in values]
        frame = frame.with_columns(pl.Series(name, plain, strict=False))
    numbers = [name for name, dtype in frame.schema.items() if dtype.is_float()]
    # a stored zero must not come back as 5e-79
    frame = frame.with_columns(
        pl.when(pl.col(name).abs() < 1e-70).then(0.0).otherwise(pl.col(name).fill_nan(None)).alias(name)
        for name in numbers
    )
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    frame = frame.with_columns(pl.col(name).replace("", None) for name in texts)
    # a SAS data file is known by its file's name; a transport file names the data set that it holds
    inside = meta.table_name if reader == "read_xport" and meta.table_name != _UNNAMED else None
    return {(inside or path.stem): (frame, decoded + notes)}


def _in_its_encoding(read: Callable[..., Any], path: Path, **options: Any) -> tuple[Any, Any, list[str]]:
    """Return what a reader gives, and how texts that are not UTF-8 were decoded, where a file does not name it."""
    try:
        return *read(str(path), **options), []
    except UnicodeDecodeError:
        pass
    try:
        found = read(str(path), encoding="WINDOWS-1252", **options)
        return *found, ["decoded from Windows-1252 (not UTF-8)"]
    except UnicodeDecodeError:
        raise
    except Exception:  # five bytes have no meaning there; latin-1 gives them one
        return *read(str(path), encoding="LATIN1", **options), ["decoded from Latin-1 (not UTF-8)"]


def _xlsx(path: Path) -> Read:
    return xlsx_tables(path)


def _dataset_json(path: Path) -> Read:
    return {name: (frame, []) for name, frame in read_dataset_json(path).items()}


_READERS: dict[str, Callable[[Path], Read]] = {
    ".csv": _csv,
    ".txt": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".xpt": _xpt,
    ".sas7bdat": _sas7bdat,
    ".xlsx": _xlsx,
    ".json": _dataset_json,
    ".ndjson": _dataset_json,
}
