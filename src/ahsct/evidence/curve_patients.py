"""Patients behind a printed survival curve and its numbers at risk."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ahsct.errors import TableError
from ahsct.evidence._design import Floats, floats


def reconstruct_patients(
    times: Any, survival: Any, *, risk_times: Any, n_at_risk: Any, n_events: int | None = None
) -> pl.DataFrame:
    """Return patients whose Kaplan-Meier curve follows published coordinates and numbers at risk.

    Censorings are spread evenly over each interval between two printed numbers at risk, as many as make the next number
    come out; after the last one so many as the total of events, where it is known, asks for.

    Parameters
    ----------
    times, survival
        Coordinates of the curve, from (0, 1) on: times rising, survival falling (a digitiser's small rises are cut).
    risk_times, n_at_risk
        The table below the curve; the first time is 0.
    n_events
        The total of events, where it is printed.

    Returns
    -------
    pl.DataFrame
        `time_years`, `is_event`, one row per patient, sorted. Their single courses are invented; only the curve is the
        published one: see `reconstruction_error`.

    References
    ----------
    Guyot, Ades, Ouwens and Welton (2012), doi:10.1186/1471-2288-12-9.

    Examples
    --------
    Four patients, events at 1 and 3, nobody censored before 4:

    >>> patients = reconstruct_patients([0, 1, 3, 4], [1, 0.75, 0.5, 0.5], risk_times=[0, 2], n_at_risk=[4, 3])
    >>> patients.rows()
    [(1.0, True), (3.0, True), (4.0, False), (4.0, False)]
    """
    t, s, at, risk = _curve(times, survival, risk_times, n_at_risk)
    starts = [int(np.searchsorted(t, time, side="left")) for time in at]
    ends = [*starts[1:], t.size]
    events, censored = np.zeros(t.size, dtype=np.int64), np.zeros(t.size, dtype=np.int64)
    last_s, rate = 1.0, 0.0
    n = int(risk[0])
    for i, (first, last) in enumerate(zip(starts, ends, strict=True)):
        span = slice(first, last)
        is_final = i == len(starts) - 1
        if is_final and n_events is None:
            lost = min(n, round(rate * (t[-1] - at[i])))  # as fast as before the last printed number
        elif is_final and n_events is not None:
            left_over = n_events - int(events.sum())
            lost = _fitted(t, s, span, n, last_s, most=n, n_events=left_over, n_left=None)
        else:
            wanted = int(risk[i + 1])
            lost = _fitted(t, s, span, n, last_s, most=n - min(wanted, n), n_events=None, n_left=wanted)
        d, c, n, last_s = _walk(t, s, span, n, last_s, lost)
        events[span], censored[span] = d, c
        passed = (at[i + 1] if not is_final else t[-1]) - at[0]
        rate = float(censored.sum() / passed) if passed > 0 else 0.0
    rows = [(float(t[k]), True) for k in range(t.size) for _ in range(events[k])]
    middle = np.append((t[:-1] + t[1:]) / 2, t[-1])
    rows += [(float(middle[k]), False) for k in range(t.size) for _ in range(censored[k])]
    rows += [(float(t[-1]), False)] * n
    return pl.DataFrame(rows, schema={"time_years": pl.Float64, "is_event": pl.Boolean}, orient="row").sort(
        "time_years", "is_event", descending=[False, True]
    )


def reconstruction_error(patients: pl.DataFrame, times: Any, survival: Any) -> float:
    """Return the largest distance between the curve of reconstructed patients and the published coordinates.

    Examples
    --------
    >>> patients = reconstruct_patients([0, 1, 3, 4], [1, 0.75, 0.5, 0.5], risk_times=[0, 2], n_at_risk=[4, 3])
    >>> reconstruction_error(patients, [0, 1, 3, 4], [1, 0.75, 0.5, 0.5])
    0.0
    """
    t, is_event = patients["time_years"].to_numpy(), patients["is_event"].to_numpy()
    distinct = np.unique(t[is_event])
    at_risk = t.size - np.searchsorted(t, distinct, side="left")
    dead = np.searchsorted(t[is_event], distinct, side="right") - np.searchsorted(
        t[is_event], distinct, side="left"
    )
    steps = np.append(1.0, np.cumprod(1 - dead / at_risk))
    ours = steps[np.searchsorted(distinct, floats(times), side="right")]
    return float(np.max(np.abs(ours - floats(survival))))


def _curve(
    times: Any, survival: Any, risk_times: Any, n_at_risk: Any
) -> tuple[Floats, Floats, Floats, Floats]:
    t, s, at, risk = floats(times), floats(survival), floats(risk_times), floats(n_at_risk)
    if t.size < 2 or t.size != s.size or np.any(np.diff(t) < 0) or np.any((s < 0) | (s > 1)):
        raise TableError(
            "`times` must rise and `survival` lie in 0 to 1, equally many of each, two at least."
        )
    if (
        at.size == 0
        or at.size != risk.size
        or at[0] != 0
        or np.any(np.diff(at) <= 0)
        or np.any(np.diff(risk) > 0)
    ):
        raise TableError("`risk_times` must begin at 0 and rise, `n_at_risk` not rise, equally many of each.")
    if at[-1] > t[-1]:
        raise TableError("The last of `risk_times` lies beyond the curve.")
    return t, np.minimum.accumulate(s), at, risk


def _walk(t: Floats, s: Floats, span: slice, n: int, last_s: float, lost: int) -> tuple[Any, Any, int, float]:
    """Return events and censorings at each coordinate of an interval, those left, and the curve reached."""
    points = np.arange(span.start, span.stop)
    events, censored = np.zeros(points.size, dtype=np.int64), np.zeros(points.size, dtype=np.int64)
    if points.size:
        edges = np.append(t[span], t[min(span.stop, t.size - 1)])
        places = edges[0] + (np.arange(lost) + 0.5) / max(lost, 1) * (edges[-1] - edges[0])
        at = np.clip(np.searchsorted(edges[:-1], places, side="right") - 1, 0, points.size - 1)
        censored = np.bincount(at, minlength=points.size)
    for i, k in enumerate(points):
        d = round(n * (1 - s[k] / last_s)) if last_s > 0 and n > 0 else 0
        events[i] = min(d, n)
        if events[i]:
            last_s *= 1 - events[i] / n
        n -= int(events[i])
        censored[i] = min(int(censored[i]), n)
        n -= int(censored[i])
    return events, censored, n, last_s


def _fitted(
    t: Floats, s: Floats, span: slice, n: int, last_s: float, *, most: int, n_events: int | None, n_left: int | None
) -> int:  # fmt: skip
    """Return how many censorings miss the printed number least and, among those, follow the curve best."""
    end = float(s[span.stop - 1]) if span.stop > span.start else last_s

    def key(lost: int) -> tuple[int, float, int]:
        events, _, left, reached = _walk(t, s, span, n, last_s, lost)
        miss = abs(int(events.sum()) - n_events) if n_events is not None else abs(left - (n_left or 0))
        return miss, abs(reached - end), lost

    return min(range(most + 1), key=key)
