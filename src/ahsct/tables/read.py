"""Reads a study from a folder of CSV or Parquet files, or from a DuckDB file."""

from __future__ import annotations

import hashlib
import io
import tomllib
from collections.abc import Mapping as Columns
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.errors import RequestError, SourceError, did_you_mean
from ahsct.files import file_hash, json_hash
from ahsct.tables.address import refuse_other_address
from ahsct.tables.csv_file import LFS_POINTER, csv_table
from ahsct.tables.duckdb_file import duckdb_tables
from ahsct.tables.mapped import apply_mapping
from ahsct.tables.mapping import Mapping, list_mappings, load_mapping
from ahsct.tables.postgres import is_postgres, postgres_tables
from ahsct.tables.problems import join_problems, one_problem, without_ids
from ahsct.tables.source_files import SourceTables, read_source_files
from ahsct.tables.study import DATA_KINDS, Study
from ahsct.tables.typed import blank_is_missing, type_tables
from ahsct.vocabulary import INPUT_TABLES

KINDS = ("auto", "csv", "parquet", "duckdb", "spreadsheet")
_MOST_NAMED = 30
_ABOUT = ("study_id", "data_kind", "title")
_TABLE_FILES = (".csv", ".parquet", ".txt", ".tsv", ".xls", ".xlsx", ".ods", ".sas7bdat", ".xpt", ".json")


def read_study(source: str | Path, *, kind: str = "auto", mapping: Any = None) -> Study:
    """Return the study that a folder or a DuckDB file holds.

    Parameters
    ----------
    source
        A folder with one CSV or Parquet file per table, named after it, and optionally `study.toml`
        (`study_id`, `data_kind`, `title`); or a DuckDB file (also as "duckdb:FILE") with tables of these names and
        optionally a table `study` (columns `key` and `value`); or "postgresql://…" with tables or views of these
        names. With a mapping, the tables it names.
    kind
        "csv", "parquet" or "duckdb" read only that; "auto" looks at what is there. "spreadsheet" reads our tables
        from CSV as spreadsheets save it, or from .xlsx sheets. Any other kind is the id of a shipped mapping.
    mapping
        A mapping's id or TOML file (`load_mapping`): the source's files are read as they stand and turned
        into our tables; what was dropped, completed or left unmapped stands in `Study.problems` as warnings.

    Returns
    -------
    Study
        Typed tables with `row` (first data row = 1) and day twins. What could not be typed is
        missing there and stands in `Study.problems`; `check` refuses such a study. Nothing is
        dropped, and the files are only read.

    Raises
    ------
    SourceError
        The source is no study, or a file of it cannot be read.
    RequestError
        An unknown kind.
    DefinitionError
        The mapping does not hold.
    """
    refuse_other_address(source)
    kinds = (*KINDS, *list_mappings())
    if kind not in kinds:
        raise RequestError(f"No kind {kind!r}; known are {', '.join(kinds)}.{did_you_mean(kind, kinds)}")
    if mapping is not None or is_postgres(source) or kind in ("spreadsheet", *list_mappings()):
        foreign = read_foreign(source, kind=kind, mapping=mapping)
        return _study(foreign.about, foreign.place, foreign.tables, [foreign.notes], foreign.hashes)
    path = Path(str(source).removeprefix("duckdb:"))
    kind = "duckdb" if str(source).startswith("duckdb:") else kind
    try:
        if path.is_dir() and kind != "duckdb":
            return _from_folder(path, kind)
        if not path.is_dir():
            with path.open("rb") as handle:
                start = handle.read(12)
            if kind == "duckdb" or (kind == "auto" and start[8:12] == b"DUCK"):
                return _from_duckdb(path)
    except OSError as error:
        place = error.filename or path
        raise SourceError(
            f"{place} cannot be read: {error.strerror}. Check the name and the rights."
        ) from error
    if path.is_dir():
        raise SourceError(f"{path} is a folder; kind 'duckdb' needs a DuckDB file.")
    suffix = path.suffix if path.suffix.lower() in (".csv", ".parquet") else ".csv"
    raise SourceError(
        f"{path} is a single file and no DuckDB file. A study is a folder with {suffix} files named "
        "after their tables (patients, visits …); give the folder."
    )


@dataclass(frozen=True)
class Foreign:
    """A source of another form: its place, what it says of itself, our tables as yet untyped, hashes, notes."""

    place: Path
    about: dict[str, str]
    tables: dict[str, pl.DataFrame]
    hashes: dict[str, str]
    notes: pl.DataFrame


def read_foreign(source: str | Path, *, kind: str, mapping: Any = None) -> Foreign:
    """Return our tables from a source of another form, before any value gets its type.

    Parameters
    ----------
    source, kind, mapping
        As for `read_study`; `kind` is "spreadsheet" or a mapping's id, or a mapping is given.

    Raises
    ------
    SourceError
        Nothing in it can be read or mapped.
    DefinitionError
        The mapping does not hold.
    """
    refuse_other_address(source)
    is_plain = mapping is None and (kind == "spreadsheet" or (is_postgres(source) and kind == "auto"))
    chosen = None if is_plain else load_mapping(mapping or kind)
    place, read = _source_tables(source, chosen)
    _refuse_same_names(read.tables)
    about, hashes = _about_folder(place) if place.is_dir() else (read.about, {})
    found = [_note_problem(name, note) for name, note in read.notes]
    others = dict(read.others)
    if chosen is None:
        tables = {name: frame for name, frame in read.tables.items() if name in INPUT_TABLES}
        others |= {name: frame.height for name, frame in read.tables.items() if name not in tables}
        found += [_misspelt_problem(name, name, tables) for name in others]
        wanted = "patients, visits"
    else:
        full = {name: _without_blanks(frame) for name, frame in read.tables.items()}
        mapped = apply_mapping(full, chosen)
        tables, wanted = mapped.tables, ", ".join(dict.fromkeys(part.source for part in chosen.tables))
        found += [_log_problem(row) for row in mapped.log.iter_rows(named=True)]
        hashes = hashes | {f"mapping {chosen.id}": json_hash(asdict(chosen))}
        if chosen.seen == "recalled":
            message = f"mapping {chosen.id!r} names the source's columns from memory. Check them against your export."
            found.append(one_problem("", "mapping_recalled", message, severity="warning"))
    if not tables:
        raise SourceError(
            f"{place.name} holds none of the tables that are wanted ({wanted}); it holds "
            f"{', '.join(read.tables) or 'none of them'}."
        )
    found += _not_read(others)
    return Foreign(place, about, tables, hashes | read.hashes, without_ids(join_problems(found), tables))


def _source_tables(source: str | Path, mapping: Mapping | None) -> tuple[Path, SourceTables]:
    """Return where a study is named after, and the tables of a database, a file or a folder."""
    if is_postgres(source):
        wanted = INPUT_TABLES if mapping is None else [part.source for part in mapping.tables]
        found = postgres_tables(str(source), wanted)
        return Path("postgresql"), SourceTables(tables=found.tables, notes=found.notes, others=found.others)
    path = Path(str(source).removeprefix("duckdb:"))
    if str(source).startswith("duckdb:"):
        if not path.is_file():
            raise SourceError(f"There is no file {path.name}. Check the name.")
        wanted = [] if mapping is None else [part.source for part in mapping.tables]
        about, tables, others = duckdb_tables(path, wanted)
        return path, SourceTables(tables, {path.name: file_hash(path)}, about=about, others=others)
    return path, read_source_files(path)


def _refuse_same_names(tables: Columns[str, pl.DataFrame]) -> None:
    """Refuse columns that differ only in case: names are matched without regard to it."""
    for table, frame in tables.items():
        seen: dict[str, str] = {}
        for column in frame.columns:
            other = seen.setdefault(column.casefold(), column)
            if other != column:
                raise SourceError(
                    f"{table} has the columns {other!r} and {column!r}, which differ only in case. Keep one, or rename it."
                )


def _without_blanks(frame: pl.DataFrame) -> pl.DataFrame:
    """Return missing values in place of blank texts, so that an expression takes them for such."""
    return frame.with_columns(
        blank_is_missing(frame[name]) for name, dtype in frame.schema.items() if dtype == pl.String
    )


def _not_read(others: Columns[str, int | None]) -> list[pl.DataFrame]:
    """Return a warning for each table that is left aside, with its rows; beyond many only their number."""
    said = []
    for name, n in list(others.items())[:_MOST_NAMED]:
        rows = "rows not counted" if n is None else f"{n:,} rows"
        said.append(f"{name}: table not read, {rows}.")
    if len(others) > _MOST_NAMED:
        said.append(f"{len(others) - _MOST_NAMED} more tables are not read.")
    return [one_problem("", "table_not_read", message, severity="warning") for message in said]


def _note_problem(name: str, note: str) -> pl.DataFrame:
    return one_problem("", "read_as", f"{name}: {note}.", severity="warning", value=note)


def _log_problem(row: dict[str, Any]) -> pl.DataFrame:
    place = row["source"] if row["column"] is None else f"{row['source']}.{row['column']}"
    detail = f" ({row['detail']})" if row["detail"] else ""
    message = f"{place}: {row['what']}, {row['n']} times{detail}."
    value = row["detail"] if row["what"].startswith("code not in the list") else row["n"]
    return one_problem("", "mapping", message, severity="warning", column=row["column"], value=value)


def _from_folder(folder: Path, kind: str) -> Study:
    about, sources = _about_folder(folder)
    suffixes = (".csv", ".parquet") if kind == "auto" else (f".{kind}",)
    files = sorted(folder.iterdir())
    raw, found = {}, []
    for name in INPUT_TABLES:
        own = [path for path in files if path.stem == name and path.suffix in suffixes]
        if len(own) > 1:
            names = " and ".join(path.name for path in own)
            raise SourceError(f"{folder} holds {names}: which one is the table? Keep one, or name the kind.")
        for path in own:
            raw[name], problems, sources[path.name] = _table_file(name, path)
            found.append(problems)
    found.append(_misspelt(files, raw))
    if not raw:
        raise SourceError(
            f"{folder} is no study: it needs patients and visits as {' or '.join(suffixes)} files, and holds "
            f"{len(files)} other entries.{_meant(found)}"
        )
    return _study(about, folder, raw, found, sources)


def _from_duckdb(path: Path) -> Study:
    sources = {path.name: file_hash(path)}
    about, raw, others = duckdb_tables(path)
    if not raw:
        raise SourceError(
            f"{path} is no study: it needs tables patients and visits, and holds {len(others)} others."
        )
    found = [_misspelt_problem(name, name, raw) for name in others]
    return _study(_checked_about(str(path), about), path, raw, found, sources)


def _study(
    about: Columns[str, str], path: Path, raw: Columns[str, pl.DataFrame], found: list[pl.DataFrame],
    sources: Columns[str, str],
) -> Study:  # fmt: skip
    tables, problems = type_tables(raw)
    data_kind = next(known for known in DATA_KINDS if known == about.get("data_kind", "observed"))
    return Study(
        study_id=about.get("study_id", path.resolve().stem),
        tables=tables,
        data_kind=data_kind,
        problems=join_problems([*found, problems]),
        sources=sources,
        title=about.get("title", ""),
    )


def _about_folder(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    path = folder / "study.toml"
    if not path.exists() and not path.is_symlink():
        return {}, {}
    data = path.read_bytes()
    try:
        about = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no valid TOML: {error}. Correct it.") from error
    return _checked_about(str(path), about), {path.name: hashlib.sha256(data).hexdigest()}


def _checked_about(place: str, about: Columns[str, Any]) -> dict[str, str]:
    for key, value in about.items():
        if key not in _ABOUT:
            raise SourceError(
                f"{place}: unknown key {key!r}; known are {', '.join(_ABOUT)}.{did_you_mean(key, _ABOUT)}"
            )
        if not isinstance(value, str):
            raise SourceError(f"{place}: {key} must be text, found {type(value).__name__}.")
    if "data_kind" in about and about["data_kind"] not in DATA_KINDS:
        raise SourceError(
            f"{place}: data_kind must be one of {', '.join(DATA_KINDS)}, found {about['data_kind']!r}."
            f"{did_you_mean(about['data_kind'], DATA_KINDS)}"
        )
    return dict(about)


def _table_file(table: str, path: Path) -> tuple[pl.DataFrame, pl.DataFrame, str]:
    """Return a table as it stands, the problems of its header, and the hash of the file."""
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if path.suffix == ".csv":
        return *csv_table(table, path.name, data), digest
    if data.startswith(LFS_POINTER):
        raise SourceError(f"{path.name} is a Git LFS pointer, not the file itself. Run `git lfs pull` first.")
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as error:
        raise SourceError(
            f"{path.name} cannot be read as Parquet ({len(data)} bytes). Write it again from its source."
        ) from error
    return frame, join_problems([]), digest


def _misspelt(files: list[Path], raw: Columns[str, pl.DataFrame]) -> pl.DataFrame:
    """Return files whose names look like a table's; others (README, published.csv) are none of ours."""
    candidates = [
        path for path in files
        if path.suffix.casefold() in _TABLE_FILES and not path.name.startswith(".") and path.stem not in raw
    ]  # fmt: skip
    return join_problems(_misspelt_problem(path.stem, path.name, raw) for path in candidates)


def _misspelt_problem(stem: str, name: str, raw: Columns[str, pl.DataFrame]) -> pl.DataFrame:
    """Return an error where the table meant is absent, a warning where it is there."""
    meant = get_close_matches(stem.strip().casefold().replace(" ", "_"), INPUT_TABLES, n=1, cutoff=0.8)
    if not meant:
        return join_problems([])
    table = meant[0]
    if table in raw:
        message = f"`{name}` is not read; the table `{table}` is there. Remove or rename it if it is a copy."
        return one_problem(table, "misspelt_table", message, severity="warning", value=name)
    message = f"`{name}` is no table; did you mean `{table}` (.csv or .parquet)? Rename or convert it."
    return one_problem(table, "misspelt_table", message, value=name)


def _meant(found: list[pl.DataFrame]) -> str:
    """Return the advice on misspelt names, where there is any."""
    messages = join_problems(found)["message"].to_list()
    return f" {messages[0]}" if messages else ""
