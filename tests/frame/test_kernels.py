"""Kernels compile, are cached under the user's folder, and work where nothing can be written."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct.kernels import as_kernel_array, kernel

SCRIPT = """
from ahsct.kernels import kernel
def add(a, b):
    return a + b
print(kernel(add)(2, 3))
"""


def run(environment: dict[str, str], cwd: Path) -> str:
    script = cwd / "one_kernel.py"
    script.write_text(SCRIPT)
    clean = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, str(script)],
        env=clean | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_kernel_computes_and_keeps_its_plain_function() -> None:
    def double(x: float) -> float:
        return 2 * x

    compiled = kernel(double)
    assert compiled(2.5) == 5.0
    assert compiled.py_func is double


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX cache folders")
def test_the_cache_lies_in_the_users_folder(tmp_path: Path) -> None:
    assert run({"XDG_CACHE_HOME": str(tmp_path / "cache")}, tmp_path) == "5"
    assert list((tmp_path / "cache" / "ahsct").rglob("*.nbi"))


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX cache folders")
def test_without_a_home_or_a_writable_cache_there_is_no_error(tmp_path: Path) -> None:
    assert run({}, tmp_path) == "5"
    (tmp_path / "file").write_text("not a folder")
    assert run({"XDG_CACHE_HOME": str(tmp_path / "file")}, tmp_path) == "5"


def test_kernel_arrays_are_contiguous_writable_and_without_nulls() -> None:
    values = as_kernel_array(pl.Series([1, 2, 3]), np.int64)
    assert values.flags.c_contiguous
    assert values.flags.writeable
    with pytest.raises(ValueError, match="1 missing"):
        as_kernel_array(pl.Series([1, None]), np.int64)
