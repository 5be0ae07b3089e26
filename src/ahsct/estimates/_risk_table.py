"""Counts of patients at risk, events and censorings at each distinct time: what every curve starts from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

_ROUNDING = float(np.sqrt(np.finfo(np.float64).eps))


class RiskTable(NamedTuple):
    """One column per distinct time of an event, a censoring or an entry, and one for time 0.

    `n_at_risk` counts just before the time, `n_events` has a row per cause. `position` and `entry_position`
    say, for each patient, in which column the time at risk ends and begins (-1 = from the start).
    """

    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    position: Counts
    entry_position: Counts | None


def risk_table(
    time: npt.ArrayLike, cause: npt.ArrayLike, *, n_causes: int = 1, entry: npt.ArrayLike | None = None
) -> RiskTable:
    """Count patients at risk, events by cause and censorings at each distinct time.

    Parameters
    ----------
    time
        End of the time at risk, >= 0, any unit.
    cause
        0 (or False) for a censoring, 1 ... `n_causes` (or True) for an event.
    entry
        Start of the time at risk; a patient is at risk at t where entry < t <= time. At or before 0 means from
        the start, so that an event at time 0 counts.

    Raises
    ------
    TableError
        A time is negative, not finite or not after its entry.
    """
    times, causes = np.asarray(time), np.asarray(cause, dtype=np.int64)
    _require_times(times)
    if entry is None:
        (times,) = merge_near_ties(times)
        entries = None
    else:
        times, entries = merge_near_ties(times, np.maximum(np.asarray(entry), 0))
        entries = None if not np.any(entries > 0) else entries
    if entries is not None and np.any(late := (entries >= times) & (entries > 0)):
        raise TableError(
            f"Each time must lie after its entry; {late.sum()} of {late.size} do not, the first is row "
            f"{late.argmax() + 1} (entry {entries[late.argmax()]:g}, time {times[late.argmax()]:g})."
        )

    moments = [np.zeros(1, times.dtype), times] + ([] if entries is None else [entries[entries > 0]])
    distinct, inverse = np.unique(np.concatenate(moments), return_inverse=True)
    position, width = inverse[1 : times.size + 1], distinct.size
    counts = np.bincount(position + width * causes, minlength=width * (n_causes + 1)).reshape(-1, width)
    n_gone = np.cumsum(counts.sum(axis=0)) - counts.sum(axis=0)
    if entries is None:
        return RiskTable(distinct * 1.0, times.size - n_gone, counts[1:], counts[0], position, None)
    entry_position = np.full(times.size, -1)
    entry_position[entries > 0] = inverse[times.size + 1 :]
    n_entered = np.cumsum(np.bincount(entry_position + 1, minlength=width + 1))[:width]
    return RiskTable(distinct * 1.0, n_entered - n_gone, counts[1:], counts[0], position, entry_position)


def merge_near_ties(*arrays: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """Merge times that differ only by rounding, over all arrays together, as R's `aeqSurv` does.

    Neighbours count as one time where their gap is at most 1.5e-8 of the mean distinct time. R also merges
    below an absolute gap of 1.5e-8; that is left out, so that the unit of time does not matter.

    Examples
    --------
    >>> merge_near_ties(np.array([0.3, 0.1 + 0.2, 0.4]))
    (array([0.3, 0.3, 0.4]),)
    """
    if all(np.issubdtype(array.dtype, np.integer) for array in arrays):
        return arrays
    distinct = np.unique(np.concatenate(arrays))
    is_tied = np.diff(distinct) <= _ROUNDING * np.abs(distinct).mean() if distinct.size else np.zeros(0, bool)
    if not is_tied.any():
        return arrays
    cuts = distinct[np.concatenate(([True], ~is_tied))]
    return tuple(cuts[np.searchsorted(cuts, array, side="right") - 1] for array in arrays)


def _require_times(times: npt.NDArray[Any]) -> None:
    wrong = ~(np.isfinite(times) & (times >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        raise TableError(
            f"Times must be finite and >= 0; {wrong.sum()} of {wrong.size} are not, the first is row {first + 1} "
            f"({times[first]})."
        )
