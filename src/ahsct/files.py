"""Files: built beside their place and swapped in; never overwritten unasked; hashed."""

from __future__ import annotations

import errno
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

# a marker file with the hash of every other: this folder was written by ahsct, and as long as nobody changed it, it
# may be replaced by it
_OURS = ".ahsct"
_DATED = "provenance.json"  # the only file with a date: without its hash the same input gives the same bytes
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def require_free_folder(out: str | Path, *, force: bool = False) -> Path:
    """Return the full path of a folder that may be written or replaced; a command asks before it works for long.

    Raises
    ------
    RequestError
        As `new_folder`.
    """
    out = Path(out)
    target = out.resolve()
    if target.is_dir() and any(target.iterdir()) and not force:
        marker = target / _OURS
        if not marker.is_file():
            raise RequestError(
                f"{out} exists and was not written by ahsct. Name another folder, or give --force to replace it."
            )
        changed = sorted(_contents(target).items() ^ _written(marker).items())
        if changed:
            raise RequestError(
                f"{out} was changed since ahsct wrote it (first {changed[0][0]}). Name another folder, or give --force to "
                "replace it."
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
        work.chmod(0o755 & ~_umask())
        with _full_disk_is_told(out):
            yield work
            lines = [f"{digest}  {name}\n" for name, digest in sorted(_contents(work).items())]
            (work / _OURS).write_text("".join(["written by ahsct\n", *lines]), encoding="utf-8")
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
        with _full_disk_is_told(out):
            yield work
        work.chmod(0o644 & ~_umask())
        work.replace(out)
    finally:
        work.unlink(missing_ok=True)


def require_apart(out: str | Path, source: str | Path, *, may_lie_inside: bool = True) -> None:
    """Refuse to write where the data are that are read, or around them: they would be replaced by what is made of them.

    Raises
    ------
    RequestError
        `out` is the source or holds it; or it lies inside and may not.
    """
    text = str(source).removeprefix("duckdb:")
    if "://" in text:
        return
    one, two = Path(out).resolve(), Path(text).resolve()
    if one == two or one in two.parents:
        raise RequestError(
            f"{out} is the source, or holds it, and is never replaced. Name a place beside it."
        )
    if two in one.parents and not may_lie_inside:
        raise RequestError(f"{out} lies in the source. Name a place beside it.")


@contextmanager
def _full_disk_is_told(out: str | Path) -> Iterator[None]:
    """Turn what the system says of a full disk into an error of the request; other errors stay what they are."""
    try:
        yield
    except Exception as error:
        reasons = [os.strerror(number) for number in _NO_ROOM]
        said = next((reason for reason in reasons if reason in str(error)), None)
        if said is None:
            raise
        raise RequestError(f"{out} cannot be written: {said}. Make room, or name another place.") from error


def _contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a folder, by its name in it; a link is no file of ours."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = "link"
        elif path.is_file() and name != _OURS:
            found[name] = "dated" if name == _DATED else file_hash(path)
    return found


def _written(marker: Path) -> dict[str, str]:
    """Return what a marker says that ahsct wrote; one that cannot be read says nothing."""
    lines = marker.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


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
