"""Kernels compile, are cached under the user's folder, and work where nothing can be written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ahsct
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


HELPER = "def add(a, b):\n    return a + {}\n\n\ndef total(a, b):\n    return add(a, b)\n"
CALL = "from ahsct import demo_kernel\nfrom ahsct.kernels import kernel\nprint(kernel(demo_kernel.total)(2, 3))\n"


def install(site: Path, helper: str) -> None:
    """Put a copy of the package, with one more kernel, where a fresh process finds it first."""
    if not site.exists():
        shutil.copytree(
            Path(ahsct.__file__).parent, site / "ahsct", ignore=shutil.ignore_patterns("__pycache__", "*.csv")
        )
    (site / "ahsct" / "demo_kernel.py").write_text(HELPER.format(helper))


def call(site: Path, script: str = CALL, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean | {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd=site,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX cache folders")
def test_an_edited_helper_changes_the_kernel_and_the_name_of_its_cache(tmp_path: Path) -> None:
    site, cache = tmp_path / "site", tmp_path / "cache"
    install(site, "b")
    assert call(site, XDG_CACHE_HOME=str(cache)) == "5"
    (before,) = (cache / "ahsct").iterdir()
    install(site, "2 * b")  # `total` itself, the function that numba looks at, stays as it is
    assert call(site, XDG_CACHE_HOME=str(cache)) == "8"
    names = {folder.name for folder in (cache / "ahsct").iterdir()}
    assert len(names) == 2
    assert before.name in names


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_read_only_install_without_a_home_works_and_stays_as_it_is(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install(site, "b")
    files = sorted(site.rglob("*"))
    before = [(path, path.stat().st_mtime_ns) for path in files]
    for path in [*files, site]:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        assert call(site) == "5"
    finally:
        for path in [site, *files]:
            path.chmod(path.stat().st_mode | 0o200)
    assert [(path, path.stat().st_mtime_ns) for path in sorted(site.rglob("*"))] == before
