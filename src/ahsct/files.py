"""Files: built beside their place and swapped in; never overwritten unasked; hashed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ahsct.errors import RequestError

_OURS = ".ahsct"  # a marker file: this folder was written by ahsct and may be replaced by it


def require_free_folder(out: str | Path, *, force: bool = False) -> Path:
    """Return the full path of a folder that may be written or replaced; a command asks before it works for long.

    Raises
    ------
    RequestError
        As `new_folder`.
    """
    out = Path(out)
    target = out.resolve()
    if target.is_dir() and any(target.iterdir()) and not (force or (target / _OURS).is_file()):
        raise RequestError(
            f"{out} exists and was not written by ahsct. Name another folder, or give --force to replace it."
        )
    if target.exists() and not target.is_dir():
        raise RequestError(f"{out} is a file; a folder is needed. Name another place.")
    if target in (Path.cwd().resolve(), Path.home().resolve(), Path(target.anchor)):
        raise RequestError(
            f"{out} is the current, home or root folder and is never replaced. Name another folder."
        )
    return target


def require_free_file(out: str | Path, *, force: bool = False) -> None:
    """Refuse a file that exists, or whose folder does not, as `new_file` would."""
    out = Path(out)
    if out.is_dir():
        raise RequestError(f"{out} is a folder; a file is needed. Name another place.")
    if out.exists() and not force:
        raise RequestError(f"{out} exists. Name another file, or give --force to replace it.")
    if not out.resolve().parent.is_dir():
        raise RequestError(f"{out} cannot be written: there is no folder {out.parent}. Name another place.")


@contextmanager
def new_folder(out: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `out`; when the block ends well it becomes `out`.

    A failed block leaves what was there before. An existing folder is replaced only when it is
    empty, was written by ahsct, or `force` is given.

    Raises
    ------
    RequestError
        `out` exists and is not ours, or its parent does not exist or cannot be written.
    """
    target = require_free_folder(out, force=force)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror}. Name another place.") from error
    try:
        (work / _OURS).write_text("written by ahsct\n", encoding="utf-8")
        work.chmod(0o755 & ~_umask())
        yield work
        old = None
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            target.rename(old / "was")
        try:
            work.rename(target)
        except OSError:
            if old is not None:
                (old / "was").rename(target)
            raise
        if old is not None:
            shutil.rmtree(old)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def new_file(out: str | Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a path beside `out`; when the block ends well the file there becomes `out`.

    Raises
    ------
    RequestError
        `out` exists and `force` is not given, or the place cannot be written.
    """
    out = Path(out)
    require_free_file(out, force=force)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.resolve().parent)
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror}. Name another place.") from error
    os.close(handle)
    work = Path(name)
    try:
        yield work
        work.chmod(0o644 & ~_umask())
        work.replace(out)
    finally:
        work.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def json_hash(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON (sorted keys, no spaces, UTF-8).

    Examples
    --------
    >>> json_hash({"b": 1, "a": 2}) == json_hash({"a": 2, "b": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
