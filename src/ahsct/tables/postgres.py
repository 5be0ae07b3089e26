"""Tables and views of a PostgreSQL database, read in one read-only transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ahsct.errors import RequestError, SourceError, is_panic

_CASTS = {
    "smallint": "", "integer": "", "bigint": "", "real": "", "double precision": "", "boolean": "", "date": "", "text": "",
    "character varying": "", "numeric": "::double precision",
    "timestamp without time zone": "::date", "timestamp with time zone": "::date",
}  # fmt: skip
_DATES = ("date", "timestamp without time zone", "timestamp with time zone")
_MOST_COUNTED, _MOST_ROWS = 50, 1_000_000  # tables that are not read, and rows of each, that are counted
_USUAL = "BETWEEN '0001-01-01' AND '9999-12-31'"
# tables, partitioned and foreign ones, views and materialised views, in the order of the search path
_RELATIONS = """
    SELECT n.nspname, c.relname, c.relkind::text, has_table_privilege(c.oid, 'SELECT')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (current_schemas(false)) AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
    ORDER BY array_position(current_schemas(false), n.nspname), c.relname
"""
_COLUMNS = """
    SELECT a.attname, pg_catalog.format_type(a.atttypid, NULL)
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass
class PostgresTables:
    """`tables` by name, `notes` on how columns were read, `others`: rows of each table that is not read (if counted)."""

    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    others: dict[str, int | None] = field(default_factory=dict)


def is_postgres(source: object) -> bool:
    """Tell whether a source is a PostgreSQL address."""
    return str(source).startswith(("postgresql://", "postgres://"))


def postgres_tables(address: str, wanted: Iterable[str]) -> PostgresTables:
    """Return those of the wanted tables or views that the search path shows; the first of two with one name.

    Times with a zone become days of the zone of the connection, which is noted. A date that no calendar has
    (infinity, before Christ) comes as text, for the check to name.

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
    found = PostgresTables()
    name = "list of tables"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            cursor.execute("SET LOCAL datestyle = ISO")
            cursor.execute(_RELATIONS)
            for schema, name, kind, may_read in cursor.fetchall():
                if name.casefold() not in names:
                    if may_read:
                        is_counted = kind in ("r", "p", "m") and len(found.others) < _MOST_COUNTED
                        found.others[name] = _count(cursor, schema, name) if is_counted else None
                elif name not in found.tables:
                    found.tables[name] = _table(cursor, schema, name, found.notes)
    except BaseException as error:
        if not (isinstance(error, Exception) or is_panic(error)):
            raise
        raise SourceError(
            f"The {name} of the PostgreSQL database cannot be read ({type(error).__name__}). Check the rights to read it."
        ) from None
    finally:
        connection.close()
    return found


def _table(cursor: Any, schema: str, name: str, notes: list[tuple[str, str]]) -> pl.DataFrame:
    """Return one table; columns of types that do not come over as they are become numbers, dates or text."""
    cursor.execute(_COLUMNS, (schema, name))
    kinds = dict(cursor.fetchall())
    table = f"{_quoted(schema)}.{_quoted(name)}"
    odd = _odd_dates(cursor, table, [column for column, kind in kinds.items() if kind in _DATES])
    with_zone = [column for column, kind in kinds.items() if kind == _DATES[2]]
    if with_zone:
        cursor.execute("SELECT current_setting('TimeZone')")
        notes.append(
            (
                name,
                f"times with a zone ({', '.join(with_zone)}) are given as days of the zone {cursor.fetchone()[0]}; for another "
                "add ?options=-c%20timezone%3DZONE to the address",
            )
        )
    chosen = ", ".join(
        f"{_as_text(column) if column in odd else _quoted(column) + _CASTS.get(kind, '::text')} AS {_quoted(column)}"
        for column, kind in kinds.items()
    )
    cursor.execute(f"SELECT {chosen} FROM {table}")
    return pl.DataFrame(pl.from_arrow(cursor.fetch_arrow_table()))


def _odd_dates(cursor: Any, table: str, columns: list[str]) -> set[str]:
    """Return the columns that hold a date which no calendar of four-digit years has."""
    if not columns:
        return set()
    asked = ", ".join(f"coalesce(bool_or({_quoted(column)} NOT {_USUAL}), false)" for column in columns)
    cursor.execute(f"SELECT {asked} FROM {table}")
    return {column for column, is_odd in zip(columns, cursor.fetchone(), strict=True) if is_odd}


def _as_text(column: str) -> str:
    """Return days as text, and what is none as the database writes it."""
    name = _quoted(column)
    return f"CASE WHEN {name} {_USUAL} THEN {name}::date::text ELSE {name}::text END"


def _count(cursor: Any, schema: str, name: str) -> int:
    """Return the rows of a table, counted up to a million."""
    cursor.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {_quoted(schema)}.{_quoted(name)} LIMIT {_MOST_ROWS}) AS part"
    )
    return int(cursor.fetchone()[0])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
