"""The one door to numba: per-patient sequential logic, compiled once and kept for the user.

A kernel and every function that it calls live in one `*_kernel.py` that imports nothing of ours,
because numba's cache looks only at the file of the decorated function. They are plain functions until
`kernel` compiles them: for a small study calling them as they are is quicker than loading numba. The cache lies in
the user's cache folder under a name that holds a hash of the package's own sources; where that
folder cannot be written there is no cache and no error.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function, with those of its file that it calls, on its first call, or fetch it from the user's cache.

    The plain Python function stays at `.py_func`: it is the test oracle. It runs without the interpreter's
    lock, so threads share a machine's cores.
    """
    import numba
    from numba.extending import register_jitable

    for helper in _helpers(function):
        register_jitable(helper)
    config: Any = numba.config
    njit: Any = numba.njit

    folder = _cache_folder()
    if folder is None:
        return njit(function, nogil=True)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(folder)  # read by numba while it decorates, and only then
    try:
        return njit(function, cache=True, nogil=True)
    except RuntimeError:  # numba found no place to cache
        return njit(function, nogil=True)
    finally:
        config.CACHE_DIR = before


def as_kernel_array(values: Any, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return a contiguous, writable array without nulls: one compiled signature per kernel.

    Raises
    ------
    ValueError
        `values` is a Polars series that holds nulls: say first what missing means.
    """
    if hasattr(values, "null_count") and values.null_count():
        raise ValueError(f"{values.null_count()} missing values reached a kernel; fill or filter them first")
    array = np.ascontiguousarray(np.asarray(values), dtype=dtype)
    return array if array.flags.writeable else array.copy()


def _helpers(function: Callable[..., Any]) -> set[Any]:
    """Return the functions of its own file that a function calls, and those that they call."""
    found: set[Any] = set()
    waiting: list[Any] = [function]
    while waiting:
        code = waiting.pop()
        for name in code.__code__.co_names:
            helper = code.__globals__.get(name)
            if (
                isinstance(helper, FunctionType)
                and helper.__module__ == function.__module__
                and helper not in found
            ):
                found.add(helper)
                waiting.append(helper)
    return found - {function}


@cache
def _cache_folder() -> Path | None:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or (
            str(Path(os.environ["HOME"]) / ".cache") if os.environ.get("HOME") else None
        )
    if not base:
        return None
    folder = Path(base) / "ahsct" / _sources_hash()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return None
    return folder


@cache
def _sources_hash() -> str:
    """Hash of every kernel source of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*_kernel.py")):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
