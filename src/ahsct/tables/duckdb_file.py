"""Reads and writes a study as a DuckDB file: tables of our names, and `study` with key and value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.errors import SourceError
from ahsct.vocabulary import INPUT_TABLES

_ROWS_AT_ONCE = 100_000
# Column types that come over as they are; every other one is read as text.
_TYPES: Mapping[str, pl.DataType] = {
    "TINYINT": pl.Int64(), "SMALLINT": pl.Int64(), "INTEGER": pl.Int64(), "BIGINT": pl.Int64(),
    "UTINYINT": pl.Int64(), "USMALLINT": pl.Int64(), "UINTEGER": pl.Int64(),
    "FLOAT": pl.Float64(), "DOUBLE": pl.Float64(),
    "BOOLEAN": pl.Boolean(), "DATE": pl.Date(), "TIMESTAMP": pl.Datetime("us"), "VARCHAR": pl.String(),
}  # fmt: skip


def duckdb_tables(
    path: Path, wanted: Sequence[str] = ()
) -> tuple[dict[str, str], dict[str, pl.DataFrame], dict[str, int | None]]:
    """Return what the table `study` says, our tables (or those wanted, in any case), and all others with their rows.

    Rows of a view are not counted.

    The file is opened read-only and cannot reach any other file.

    Raises
    ------
    SourceError
        It is no DuckDB file, is in use, or a table cannot be read.
    """
    import duckdb

    try:
        connection = duckdb.connect(
            str(path),
            read_only=True,
            config={"enable_external_access": "false", "lock_configuration": "true"},
        )
    except duckdb.Error as error:
        raise SourceError(f"{path} cannot be opened as a DuckDB file: {_first_line(error)}") from error
    try:
        names = [
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY ALL"
            ).fetchall()
        ]
        about: dict[str, str] = {}
        if "study" in names:
            about = {
                key: value
                for key, value in connection.execute('SELECT "key", "value" FROM "study"').fetchall()
            }
        folded = {name.casefold() for name in wanted}
        chosen = [name for name in names if name.casefold() in folded] if wanted else INPUT_TABLES
        tables = {name: _table(connection, name) for name in chosen if name in names}
        counts = dict(
            connection.execute(
                "SELECT table_name, estimated_size FROM duckdb_tables() WHERE schema_name = 'main'"
            ).fetchall()
        )
        others = {name: counts.get(name) for name in names if name not in (*chosen, *tables, "study")}
    except (duckdb.Error, ValueError, OverflowError) as error:
        # a view that converts what it cannot quotes the value
        reason = (
            _first_line(error)
            if isinstance(error, (duckdb.CatalogException, duckdb.BinderException))
            else type(error).__name__
        )
        raise SourceError(
            f"A table of {path} cannot be read: {reason}. `study` needs the columns key and value."
        ) from None
    finally:
        connection.close()
    return about, tables, others


def _table(connection: Any, name: str) -> pl.DataFrame:
    """Return one table in its stored order, fetched in parts as plain values."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'main' AND table_name = ? ORDER BY ordinal_position", [name],
    ).fetchall()  # fmt: skip
    schema = {column: _TYPES.get(kind, pl.String()) for column, kind in columns}
    chosen = ", ".join(_as_read(column, kind) for column, kind in columns)
    rows = connection.execute(f"SELECT {chosen} FROM {_quoted(name)}")
    parts = [pl.DataFrame(schema=schema)]
    while part := rows.fetchmany(_ROWS_AT_ONCE):
        parts.append(pl.DataFrame(part, schema=schema, orient="row"))
    return pl.concat(parts)


def _as_read(column: str, kind: str) -> str:
    """Return a column as it is read; a time with a zone as text in UTC, on whichever machine."""
    if kind in _TYPES:
        return _quoted(column)
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"CAST({_quoted(column)} AT TIME ZONE 'UTC' AS VARCHAR) || '+00'"
    return f"CAST({_quoted(column)} AS VARCHAR)"


def write_duckdb(
    path: Path, about: Mapping[str, str], tables: Mapping[str, pl.DataFrame], work: Path
) -> None:
    """Write a new DuckDB file; `work` is a folder for files in between."""
    import duckdb

    connection = duckdb.connect(str(path))
    try:
        connection.execute('CREATE TABLE "study" ("key" VARCHAR, "value" VARCHAR)')
        connection.executemany('INSERT INTO "study" VALUES (?, ?)', [list(item) for item in about.items()])
        for name, frame in tables.items():
            between = work / f"{name}.parquet"
            frame.write_parquet(between)
            connection.execute(
                f"CREATE TABLE {_quoted(name)} AS SELECT * FROM read_parquet(?)", [str(between)]
            )
            between.unlink()
    except BaseException:
        connection.close()
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)  # its journal, beside it
        raise
    finally:
        connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
