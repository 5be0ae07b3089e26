"""Who was at risk at each event, for regression: sums over risk sets and over the events a patient was at risk for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ahsct.errors import TableError
from ahsct.estimates._risk_table import Counts, Floats, distinct_times


@dataclass(frozen=True, kw_only=True)
class RiskSets:
    """Rows sorted by stratum and then by falling time, and one item per event in the same order.

    The events of one stratum at one time are a block of ties. Event number l of a block of d has `fraction`
    l / d (Efron) or 0 (Breslow): the part of the block that it no longer counts as at risk.

    `order` sorts the rows as given. For each event: its `row` in the sorted order, its `time`, its `stratum`, the
    range of rows [`risk_from`, `risk_to`) under observation at that time or later, the range of `entry_order`
    [`late_from`, `late_to`) that had not yet entered, and the range [`tie_from`, `tie_to`) of its block. For each
    sorted row: the range of events [`events_from`, `events_to`) for which it was at risk.
    """

    order: Counts
    row: Counts
    time: Floats
    stratum: Counts
    fraction: Floats
    risk_from: Counts
    risk_to: Counts
    entry_order: Counts | None
    late_from: Counts
    late_to: Counts
    tie_from: Counts
    tie_to: Counts
    events_from: Counts
    events_to: Counts

    def at_risk(self, values: Floats) -> Floats:
        """Return, for each event, the sum over its risk set of values given for each sorted row."""
        # begun anew in each stratum: what a stratum before it adds and loses again would cost digits
        total = _restarting(values, np.unique(self.risk_from))[self.risk_to - 1]
        if self.entry_order is not None:
            sums = _prefix(values[self.entry_order])
            total -= sums[self.late_to] - sums[self.late_from]
        return total - _columns(self.fraction, values) * self._over_ties(values[self.row])

    def members(self, event: int) -> Counts:
        """Return the sorted rows at risk at one event."""
        rows = np.arange(self.risk_from[event], self.risk_to[event])
        if self.entry_order is None:
            return rows
        return np.setdiff1d(
            rows, self.entry_order[self.late_from[event] : self.late_to[event]], assume_unique=True
        )

    def _over_ties(self, values: Floats) -> Floats:
        """Return, for each event, the sum over its block of ties."""
        starts, block = np.unique(self.tie_from, return_inverse=True)
        sums = np.add.reduceat(values, starts) if starts.size else values
        return np.asarray(sums[block], dtype=np.float64)

    def over_events(self, values: Floats) -> Floats:
        """Return, for each sorted row, the sum of values given for each event over the events it was at risk for."""
        # summed from the first event on, whose hazard is the smallest: no digits are lost without delayed entry
        if self.entry_order is None:  # nor with strata
            ends = np.unique(values.shape[0] - self.events_to[self.events_from < self.events_to])
            sums = _restarting(values[::-1], ends)[::-1]
            some = self.events_from < self.events_to
            total = np.zeros((some.size, *values.shape[1:]))
            total[some] = sums[self.events_from[some]]
        else:
            sums = _prefix(values[::-1])[::-1]
            total = sums[self.events_from] - sums[self.events_to]
        total[self.row] -= self._over_ties(_columns(self.fraction, values) * values)
        return total


def risk_sets(
    time: npt.ArrayLike,
    is_event: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    stratum: npt.ArrayLike | None = None,
    ties: str = "efron",
) -> RiskSets:
    """Sort rows and find every risk set, in O(n log n).

    A row is at risk at t where entry < t <= time; an entry of minus infinity means from the very start. Times
    that differ only by rounding are merged.

    Raises
    ------
    TableError
        A time is not finite or not after its entry.
    """
    times = np.asarray(time, dtype=np.float64)
    events = np.asarray(is_event, dtype=bool)
    _require_finite(times)
    entries = np.full(times.size, -np.inf) if entry is None else np.asarray(entry, dtype=np.float64)
    is_late = np.isfinite(entries)
    distinct, codes = distinct_times(np.concatenate((times, entries[is_late])))
    code, since = codes[: times.size], np.full(times.size, -1)  # at risk after the distinct time `since`
    since[is_late] = codes[times.size :]
    _require_after(times, entries, since >= code)
    strata = np.zeros(times.size, np.int64) if stratum is None else np.asarray(stratum, dtype=np.int64)
    width = distinct.size + 1
    # falling time within a stratum becomes one rising whole number
    key = strata * width + (width - 1 - code)
    order = np.argsort(key, kind="stable")
    key, events = key[order], events[order]
    row = np.flatnonzero(events)
    event_key = key[row]
    first = strata[order][row] * width  # no key of the stratum lies below
    tie_from, tie_to = np.searchsorted(event_key, event_key), np.searchsorted(event_key, event_key, "right")
    index = np.arange(row.size)
    fraction = (index - tie_from) / (tie_to - tie_from) if ties == "efron" else np.zeros(row.size)

    none = np.zeros(row.size, np.int64)
    entry_order, late_from, late_to = None, none, none
    stratum_end = (strata[order] + 1) * width
    events_to = np.searchsorted(event_key, stratum_end)
    if is_late.any():
        entry_key = strata[order] * width + (width - 2 - since[order])
        entry_order = np.argsort(entry_key, kind="stable")
        late_from = np.searchsorted(entry_key[entry_order], first)
        late_to = np.searchsorted(entry_key[entry_order], event_key)
        events_to = np.searchsorted(event_key, entry_key, side="right")
    return RiskSets(
        order=order,
        row=row,
        time=distinct[code[order][row]],
        stratum=strata[order][row],
        fraction=fraction,
        risk_from=np.searchsorted(key, first),
        risk_to=np.searchsorted(key, event_key, side="right"),
        entry_order=entry_order,
        late_from=late_from,
        late_to=late_to,
        tie_from=tie_from,
        tie_to=tie_to,
        events_from=np.searchsorted(event_key, key),
        events_to=events_to,
    )


def _prefix(values: Floats) -> Floats:
    sums = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=sums[1:])
    return sums


def _restarting(values: Floats, starts: Counts) -> Floats:
    """Return sums up to and with each item, begun anew at each of `starts`; of no meaning before the first."""
    sums = values.astype(np.float64)
    for start, end in zip(starts, [*starts[1:], values.shape[0]], strict=True):
        np.cumsum(sums[start:end], axis=0, out=sums[start:end])
    return sums


def _columns(weights: Floats, values: Floats) -> Floats:
    return weights.reshape(-1, *(1,) * (values.ndim - 1))


def _require_finite(times: Floats) -> None:
    wrong = ~np.isfinite(times)
    if wrong.any():
        first = int(wrong.argmax())
        raise TableError(
            f"Times must be finite; {wrong.sum()} of {wrong.size} are not, the first is row {first + 1} "
            f"({times[first]})."
        )


def _require_after(times: Floats, entries: Floats, wrong: npt.NDArray[np.bool_]) -> None:
    if wrong.any():
        first = int(wrong.argmax())
        raise TableError(
            f"Each time must lie after its entry; {wrong.sum()} of {wrong.size} do not, the first is row "
            f"{first + 1} (entry {entries[first]:g}, time {times[first]:g})."
        )
