"""TOML files that ship with the package, by their ids, and users' own files of the same form."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from ahsct.errors import DefinitionError, did_you_mean


def shipped_ids(package: str, folder: str) -> list[str]:
    """Return the ids of the TOML files in a folder of a package.

    Examples
    --------
    >>> "atkins2016" in shipped_ids("ahsct.definitions", "endpoints")
    True
    """
    entries = (files(package) / folder).iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def toml_text(id_or_file: str | Path, *, package: str, folder: str, what: str) -> tuple[str, str]:
    """Return the text and the name of a shipped file (by its id) or of a user's file.

    Raises
    ------
    DefinitionError
        Neither a shipped id (`what` names their kind, the nearest is given) nor a readable file.
    """
    known = shipped_ids(package, folder)
    if str(id_or_file) in known:
        name = f"{id_or_file}.toml"
        return (files(package) / folder / name).read_text(encoding="utf-8"), name
    path = Path(id_or_file)
    if not path.is_file():
        raise DefinitionError(
            f"{str(id_or_file)!r} is neither a shipped {what} ({', '.join(known)}) nor a file."
            f"{did_you_mean(str(id_or_file), known)}"
        )
    try:
        return path.read_text(encoding="utf-8"), path.name
    except (OSError, UnicodeDecodeError) as error:
        raise DefinitionError(f"{path.name} cannot be read as UTF-8 text: {error}.") from error


def toml_data(id_or_file: str | Path, *, package: str, folder: str, what: str) -> tuple[dict[str, Any], str]:
    """Return the content and the name of a shipped file or of a user's file.

    Raises
    ------
    DefinitionError
        As `toml_text`; or the text is no valid TOML.
    """
    text, name = toml_text(id_or_file, package=package, folder=folder, what=what)
    try:
        return tomllib.loads(text), name
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{name} is not valid TOML: {error}.") from error
