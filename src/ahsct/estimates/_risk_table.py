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
    entries = None if entry is None else np.maximum(np.asarray(entry), 0)
    is_late = np.zeros(0, bool) if entries is None else entries > 0
    late = times[:0] if entries is None else entries[is_late]
    distinct, code = distinct_times(np.concatenate((np.zeros(1, times.dtype), times, late)))
    position, width = code[1 : times.size + 1], distinct.size
    counts = np.bincount(position + width * causes, minlength=width * (n_causes + 1)).reshape(-1, width)
    n_gone = np.cumsum(counts.sum(axis=0)) - counts.sum(axis=0)
    if entries is None or late.size == 0:
        return RiskTable(distinct * 1.0, times.size - n_gone, counts[1:], counts[0], position, None)
    entry_position = np.full(times.size, -1)
    entry_position[is_late] = code[times.size + 1 :]
    if np.any(wrong := entry_position >= position):
        first = int(wrong.argmax())
        raise TableError(
            f"Each time must lie after its entry; {wrong.sum()} of {wrong.size} do not, the first is row "
            f"{first + 1} (entry {entries[first]:g}, time {times[first]:g})."
        )
    n_entered = np.cumsum(np.bincount(entry_position + 1, minlength=width + 1))[:width]
    return RiskTable(distinct * 1.0, n_entered - n_gone, counts[1:], counts[0], position, entry_position)


def distinct_times(times: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Counts]:
    """Return the distinct times in order, and for each time which of them it is.

    Times that differ only by rounding are one, as in R's `aeqSurv`: neighbours whose gap is at most 1.5e-8 of the
    mean distinct time. R also merges below an absolute gap of 1.5e-8; that is left out, so that the unit of time
    does not matter.

    Examples
    --------
    >>> distinct_times(np.array([0.4, 0.3, 0.1 + 0.2]))
    (array([0.3, 0.4]), array([1, 0, 0]))
    """
    if np.issubdtype(times.dtype, np.integer):
        least = int(times.min(initial=0))
        if int(times.max(initial=0)) - least <= 4 * times.size + 1000:  # whole days: counted without sorting
            is_seen = np.bincount(times - least) > 0
            return np.flatnonzero(is_seen).astype(times.dtype) + least, (np.cumsum(is_seen) - 1)[
                times - least
            ]
    order = np.argsort(times)
    ordered = times[order]
    first = np.flatnonzero(np.concatenate((np.ones(min(times.size, 1), bool), np.diff(ordered) > 0)))
    if first.size > 1 and not np.issubdtype(times.dtype, np.integer):
        starts = ordered[first]
        first = first[np.concatenate(([True], np.diff(starts) > _ROUNDING * np.abs(starts).mean()))]
    code = np.empty(times.size, np.int64)
    code[order] = np.repeat(np.arange(first.size), np.diff(np.append(first, times.size)))
    return ordered[first], code


def _require_times(times: npt.NDArray[Any]) -> None:
    wrong = ~(np.isfinite(times) & (times >= 0))
    if wrong.any():
        first = int(wrong.argmax())
        raise TableError(
            f"Times must be finite and >= 0; {wrong.sum()} of {wrong.size} are not, the first is row {first + 1} "
            f"({times[first]})."
        )
