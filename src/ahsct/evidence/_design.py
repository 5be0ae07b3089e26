"""What every synthesis needs first: arrays of numbers that are whole, finite and enough, and a design matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ahsct.errors import RequestError, TableError

Floats = npt.NDArray[np.float64]


def floats(value: Any) -> Floats:
    """Return an array of 64-bit numbers."""
    return np.asarray(value, dtype=np.float64)


def numbers(name: str, values: Any) -> Floats:
    """Return a vector of finite numbers, or raise a TableError naming the first that is none.

    Examples
    --------
    >>> numbers("y", [1, 2.5]).tolist()
    [1.0, 2.5]
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise TableError(f"`{name}` must hold one number per study; found shape {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise TableError(
            f"`{name}` must be finite; {bad.size} of {array.size} are not, the first is study {bad[0] + 1}."
        )
    return array


def effects(y: Any, v: Any) -> tuple[Floats, Floats]:
    """Return estimates and sampling variances as vectors of equal length, variances above 0."""
    y, v = numbers("y", y), numbers("v", v)
    if y.size != v.size:
        raise TableError(f"`y` and `v` must be equally long; found {y.size} and {v.size}.")
    bad = np.flatnonzero(v <= 0)
    if bad.size:
        raise TableError(
            f"`v` holds sampling variances, which must be above 0; study {bad[0] + 1} has {v[bad[0]]:g}."
        )
    return y, v


def counts(events: Any, total: Any) -> tuple[Floats, Floats]:
    """Return numbers of events and of patients as vectors; 0 <= events <= patients, whole."""
    x, n = numbers("events", events), numbers("n", total)
    if x.size != n.size:
        raise TableError(f"`events` and `n` must be equally long; found {x.size} and {n.size}.")
    bad = np.flatnonzero((x < 0) | (n < 1) | (x > n) | (x % 1 != 0) | (n % 1 != 0))
    if bad.size:
        i = bad[0]
        raise TableError(
            f"Each study needs whole numbers 0 <= events <= n, n >= 1; study {i + 1} has {x[i]:g} of {n[i]:g}."
        )
    return x, n


def design(x: Any | None, k: int) -> Floats:
    """Return the design matrix: a column of ones where no moderator is given.

    Raises
    ------
    TableError
        It has another number of rows than there are studies, a value is not finite, its columns depend on each
        other, or it has as many columns as there are studies.
    """
    matrix = np.ones((k, 1)) if x is None else np.asarray(x, dtype=np.float64)
    if matrix.ndim == 1:
        matrix = np.column_stack([np.ones(len(matrix)), matrix])
    if matrix.shape[0] != k or not np.isfinite(matrix).all():
        raise TableError(f"`x` needs one row of finite numbers for each of {k} studies.")
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        raise TableError(
            "The columns of `x` depend on each other; a moderator that is the same in all studies has no effect."
        )
    return matrix


def require_studies(k: int, least: int, what: str) -> None:
    """Raise a RequestError where there are fewer than `least` studies."""
    if k < least:
        raise RequestError(f"{what} needs at least {least} studies; there are {k}.")
