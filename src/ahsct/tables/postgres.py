"""Tables and views of a PostgreSQL database, read in one read-only transaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from ahsct.errors import RequestError, SourceError

_CASTS = {
    "smallint": "", "integer": "", "bigint": "", "real": "", "double precision": "", "boolean": "", "date": "", "text": "",
    "character varying": "", "numeric": "::double precision",
    "timestamp without time zone": "::date", "timestamp with time zone": "::date",
}  # fmt: skip


def is_postgres(source: object) -> bool:
    """Tell whether a source is a PostgreSQL address."""
    return str(source).startswith(("postgresql://", "postgres://"))


def postgres_tables(address: str, wanted: Iterable[str]) -> dict[str, pl.DataFrame]:
    """Return those of the wanted tables or views that the search path shows, in the order of the database.

    Parameters
    ----------
    address
        A libpq address. It may hold a password, so it never stands in a message.
    wanted
        Names, matched without regard to case.

    Raises
    ------
    RequestError
        The extra `postgres` is not installed.
    SourceError
        No connection, or a table cannot be read.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise RequestError(
            "Reading PostgreSQL needs the extra `postgres` (pip install ahsct[postgres])."
        ) from error
    names = {name.casefold() for name in wanted}
    try:
        connection = dbapi.connect(address)
    except Exception:  # the driver's message may repeat the address
        raise SourceError(
            "The PostgreSQL database cannot be reached with this address. Check host, port, database, user and password."
        ) from None
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_schema = ANY (current_schemas(false)) ORDER BY table_schema, table_name"
            )
            found: dict[str, pl.DataFrame] = {}
            for schema, name in cursor.fetchall():
                if name.casefold() in names and name not in found:
                    found[name] = _table(cursor, schema, name)
    except Exception as error:
        raise SourceError(
            f"A table of the PostgreSQL database cannot be read ({type(error).__name__}). Check the rights to read it."
        ) from None
    finally:
        connection.close()
    return found


def _table(cursor: Any, schema: str, name: str) -> pl.DataFrame:
    """Return one table; columns of types that do not come over as they are become numbers, dates or text."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position", (schema, name),
    )  # fmt: skip
    chosen = ", ".join(
        f"{_quoted(column)}{_CASTS.get(kind, '::text')} AS {_quoted(column)}"
        for column, kind in cursor.fetchall()
    )
    cursor.execute(f"SELECT {chosen} FROM {_quoted(schema)}.{_quoted(name)}")
    return pl.DataFrame(pl.from_arrow(cursor.fetch_arrow_table()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
