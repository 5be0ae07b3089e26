"""Addresses of databases: which are read, and which are refused before their password can stand in a message."""

from __future__ import annotations

import re
from pathlib import Path

from ahsct.errors import SourceError

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")  # two letters or more: "C:" is a drive
_PARAMETER = re.compile(
    r"(?i)\b(?:host|hostaddr|port|dbname|database|user|uid|password|passwd|pwd|token|sslmode|service)\s*="
)
_HOST = re.compile(r"@[^/\\]*")


def refuse_other_address(source: str | Path) -> None:
    """Refuse what looks like an address of another database, or one in another form; nothing of it is repeated.

    Files and folders that exist are never refused, whatever their names are.

    Raises
    ------
    SourceError
        It is no path, no `duckdb:FILE`, and no `postgresql://…`.

    Examples
    --------
    >>> refuse_other_address("my-study")
    >>> refuse_other_address("host=h password=x")
    Traceback (most recent call last):
    ahsct.errors.SourceError: The source looks like the address of a database in a form that is not read. ...
    """
    text = str(source)
    if text.startswith(("postgresql://", "postgres://")):
        return
    text = text.removeprefix("duckdb:")
    try:
        if Path(text).exists():
            return
    except (OSError, ValueError):
        pass
    if "://" in text or _SCHEME.search(text) or _PARAMETER.search(text) or _HOST.search(text):
        raise SourceError(
            "The source looks like the address of a database in a form that is not read. "
            "Write postgresql://USER@HOST/DATABASE, duckdb:FILE, or the name of a file or folder that exists."
        )
