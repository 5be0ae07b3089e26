"""Every error that ahsct raises on purpose: what was needed, what was found, where, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


class AhsctError(Exception):
    """The data or the request is at fault; the message says what, where and what to do."""


class SourceError(AhsctError):
    """A file or database cannot be read as a study."""


class TableError(AhsctError):
    """A table given to a function lacks a column, or a value is impossible."""


class DefinitionError(AhsctError):
    """A definition file or rule is not valid."""


class RequestError(AhsctError):
    """The request itself cannot be carried out (an unknown name, an existing output folder)."""


class StudyError(AhsctError):
    """A study has problems of severity "error"; `problems` holds them all (schema PROBLEMS)."""

    problems: pl.DataFrame

    def __init__(self, message: str, problems: pl.DataFrame) -> None:
        super().__init__(message)
        self.problems = problems


def is_panic(error: BaseException) -> bool:
    """Tell whether a library written in Rust gave up; its PanicException is no `Exception`."""
    return type(error).__name__ == "PanicException"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that looks most like `word`, or None.

    Examples
    --------
    >>> nearest("pateint_id", ["patient_id", "edss"])
    'patient_id'
    """
    names = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return names[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" with the nearest known word, or an empty string."""
    best = nearest(word, known)
    return f" Did you mean {best!r}?" if best else ""
