"""The search for confirmed changes, patient by patient, in whole numbers; compiled with numba.

Scores arrive multiplied by `SCALE` and turned so that greater is worse (`bad`); days are whole days.
This file imports nothing of ours, and every function called here lives here (see `ahsct.kernels`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt

SCALE = 1_000_000  # scores and changes are held in millionths: decimal thresholds are exact
FAR = 1 << 40  # days: no relapse, no limit

# what became of a candidate
EVENT, UNCONFIRMED, NOT_SUSTAINED, NEAR_RELAPSE, REVERTED, BEFORE_START, FOLLOW_UP_TOO_SHORT = range(7)
# relation of a worsening to relapses
NO_LABEL, RAW, PIRA, UNDEFINED = range(4)
# what confirms
THRESHOLD, AT_OR_ABOVE_EVENT, MONOTONIC = range(3)
# columns of a record
PATIENT, DIRECTION, BASELINE, LEFT, ONSET, CONFIRMED, LAST, OUTCOME, LABEL, N_COLUMNS = range(10)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a helper; it is cached as part of the kernel that calls it."""
    helper: F = numba.njit(function)
    return helper


class Steps(NamedTuple):
    """A threshold table: from this (unturned, scaled) baseline on, this change."""

    start: Ints
    change: Ints
    is_fraction: Flags


class Rule(NamedTuple):
    """What the search needs of a rule; distances and windows in days (before, after)."""

    sign: int  # +1: a greater score is worse; -1: a smaller one
    find_worse: bool  # which directions are reported
    find_better: bool
    moves_after_worse: bool  # which confirmed changes move the baseline
    moves_after_better: bool
    moves_after_relapse: bool
    recovery: int
    picks_last: bool  # of the visits that may be the first baseline
    first_only: bool
    criterion: int
    every: bool  # every visit from onset to confirmation must meet the criterion
    sustained: int
    baseline_before: int
    baseline_after: int
    event_before: int
    event_after: int
    confirmation_before: int
    confirmation_after: int
    raw_before: int
    raw_after: int
    pira_event_before: int
    pira_event_after: int
    pira_confirmation_before: int
    pira_confirmation_after: int


class Visits(NamedTuple):
    """The visits of all patients, or of one, by patient and day."""

    day: Ints
    bad: Ints
    can_confirm: Flags
    may_be_baseline: Flags
    after_onset: Ints  # days since the onset of the last relapse on or before the visit, or FAR
    after_relapse: Ints  # the same, from the day on which the relapse counts as over
    before_relapse: Ints  # days to the next relapse on or after the visit, or FAR


@compiled
def _measure_distances(
    day: Ints, onset: Ints, over: Ints, after_onset: Ints, after_relapse: Ints, before_relapse: Ints
) -> None:
    """Fill the distances of one patient's visits to his relapses (sorted by onset)."""
    k = 0
    latest_over = -FAR
    for i in range(len(day)):
        while k < len(onset) and onset[k] <= day[i]:
            latest_over = max(latest_over, over[k])
            k += 1
        after_onset[i] = day[i] - onset[k - 1] if k > 0 else FAR
        after_relapse[i] = max(day[i] - latest_over, 0) if k > 0 else FAR
        before_relapse[i] = onset[k] - day[i] if k < len(onset) else FAR
        if k > 0 and onset[k - 1] == day[i]:
            before_relapse[i] = 0


@compiled
def _needed(steps: Steps, baseline: int) -> int:
    """Smallest change that counts from this (unturned) baseline; never less than one millionth."""
    row = 0
    for k in range(len(steps.start)):
        if steps.start[k] <= baseline:
            row = k
    change = steps.change[row]
    if steps.is_fraction[row]:
        change = -((-baseline * change) // SCALE)  # rounded up: exactly 20 % counts
    return int(max(change, 1))


@compiled
def _is_far(visits: Visits, i: int, before: int, after: int) -> bool:
    return bool(visits.after_relapse[i] >= before and visits.before_relapse[i] >= after)


@compiled
def _first_baseline(visits: Visits, rule: Rule) -> int:
    """Return the first (or last) visit that may be the baseline and is far from relapses, or -1."""
    found = -1
    for i in range(len(visits.day)):
        if visits.may_be_baseline[i] and _is_far(visits, i, rule.baseline_before, rule.baseline_after):
            found = i
            if not rule.picks_last:
                break
    return found


@compiled
def _does_hold(visits: Visits, rule: Rule, b: int, c: int, j: int, d: int, need: int) -> bool:
    """Tell whether visit j confirms the change in direction d seen at visit c from baseline b."""
    if rule.criterion == AT_OR_ABOVE_EVENT:
        return bool(d * (visits.bad[j] - visits.bad[c]) >= 0)
    if rule.criterion == MONOTONIC:
        return bool(d * (visits.bad[j] - visits.bad[j - 1]) >= 0)
    return bool(d * (visits.bad[j] - visits.bad[b]) >= need)


@compiled
def _is_in_window(gap: int, low: Ints, high: Ints) -> bool:
    for p in range(len(low)):
        if low[p] <= gap <= high[p]:
            return True
    return False


@compiled
def _may_confirm(visits: Visits, rule: Rule, j: int) -> bool:
    return visits.can_confirm[j] and _is_far(visits, j, rule.confirmation_before, rule.confirmation_after)


@compiled
def _confirm(
    visits: Visits, rule: Rule, b: int, c: int, d: int, need: int, start: int, low: Ints, high: Ints
) -> tuple[int, int]:
    """Return what became of the candidate at visit c, and the visit that confirmed it (or -1).

    The earliest visit that lies in a window and may confirm decides.
    """
    day = visits.day
    if day[c] < start:
        return BEFORE_START, -1
    if not _is_far(visits, c, rule.event_before, rule.event_after):
        return NEAR_RELAPSE, -1
    closes = high.max()
    is_blocked = False
    for j in range(c + 1, len(day)):
        gap = day[j] - day[c]
        if gap > closes:
            break
        holds = _does_hold(visits, rule, b, c, j, d, need)
        if rule.every and not holds:
            return REVERTED, -1
        if _is_in_window(gap, low, high):
            if _may_confirm(visits, rule, j):
                return (EVENT, j) if holds else (REVERTED, -1)
            if visits.can_confirm[j]:
                is_blocked = True
    if day[-1] - day[c] < closes:
        return FOLLOW_UP_TOO_SHORT, -1
    return (NEAR_RELAPSE, -1) if is_blocked else (UNCONFIRMED, -1)


@compiled
def _run_end(visits: Visits, b: int, c: int, d: int, need: int) -> int:
    """Return the last visit up to which, from visit c on, the change from baseline b is met."""
    last = c
    while last + 1 < len(visits.day) and d * (visits.bad[last + 1] - visits.bad[b]) >= need:
        last += 1
    return last


@compiled
def _is_sustained(visits: Visits, rule: Rule, b: int, c: int, f: int, last: int, d: int, need: int) -> bool:
    """Tell whether a change confirmed at visit f lasts; one that lasts to the last visit always does."""
    day = visits.day
    if rule.every:
        return last == len(day) - 1 or day[last + 1] - day[c] >= rule.sustained
    k = f
    while k + 1 < len(day) and day[k] - day[c] < rule.sustained:
        k += 1
    return bool(d * (visits.bad[k] - visits.bad[b]) >= need)


@compiled
def _is_clean(visits: Visits, i: int, before: int, after: int) -> bool:
    """Tell whether no relapse began in the closed window around visit i; (0, 0) asks for nothing."""
    return (before == 0 and after == 0) or (
        visits.after_onset[i] > before and visits.before_relapse[i] > after
    )


@compiled
def _reach(
    visits: Visits,
    rule: Rule,
    b: int,
    c: int,
    f: int,
    last: int,
    d: int,
    need: int,
    low: Ints,
    high: Ints,
    reached: Ints,
    is_clean: Flags,
) -> int:
    """Fill the earliest confirming visit of each period; return the relation to relapses."""
    reached[:] = -1
    is_clean[:] = False
    is_clean_onset = _is_clean(visits, c, rule.pira_event_before, rule.pira_event_after)
    is_pira = False
    for j in range(f, last + 1):
        holds = _does_hold(visits, rule, b, c, j, d, need)
        if rule.every and not holds:
            break
        gap = visits.day[j] - visits.day[c]
        if not holds or not _is_in_window(gap, low, high) or not _may_confirm(visits, rule, j):
            continue
        clean = is_clean_onset and _is_clean(
            visits, j, rule.pira_confirmation_before, rule.pira_confirmation_after
        )
        is_pira = is_pira or clean
        for p in range(len(low)):
            if reached[p] < 0 and low[p] <= gap <= high[p]:
                reached[p] = j
                is_clean[p] = clean
    if d < 0:
        return NO_LABEL
    if visits.after_onset[c] <= rule.raw_before or visits.before_relapse[c] <= rule.raw_after:
        return RAW
    return PIRA if is_pira else UNDEFINED


@compiled
def _search_patient(
    visits: Visits,
    rule: Rule,
    worse: Steps,
    better: Steps,
    start: int,
    low: Ints,
    high: Ints,
    found: Ints,
    reached: Ints,
    is_clean: Flags,
) -> tuple[int, int]:
    """Search one patient's visits; return the number of records written and the first baseline (or -1)."""
    n, day, bad = len(visits.day), visits.day, visits.bad
    n_found = 0
    find_worse, find_better = rule.find_worse, rule.find_better
    b = first = _first_baseline(visits, rule)
    if b < 0:
        return 0, -1
    need_worse = _needed(worse, rule.sign * bad[b])
    need_better = _needed(better, rule.sign * bad[b])
    # after an event that leaves the baseline where it is, the change must end before it can begin anew
    ready_worse, ready_better = True, True
    held_worse, held_better = -1, -1
    i = b
    while i + 1 < n and (find_worse or find_better):
        i += 1
        change = bad[i] - bad[b]
        d = 1 if change >= need_worse else (-1 if -change >= need_better else 0)
        if d != 1 and i > held_worse:
            ready_worse = True
        if d != -1 and i > held_better:
            ready_better = True
        is_wanted = find_worse if d == 1 else find_better
        moves = rule.moves_after_worse if d == 1 else rule.moves_after_better
        moved = -1
        if d != 0 and (ready_worse if d == 1 else ready_better) and (is_wanted or moves):
            need = need_worse if d == 1 else need_better
            outcome, f = _confirm(visits, rule, b, i, d, need, start, low, high)
            last = _run_end(visits, b, f if f >= 0 else i, d, need)
            if outcome == EVENT and not _is_sustained(visits, rule, b, i, f, last, d, need):
                outcome = NOT_SUSTAINED
            if is_wanted:
                record = found[n_found]
                left = i - 1
                while d * (bad[left] - bad[b]) >= need:  # ends at the baseline, whose change is 0
                    left -= 1
                record[DIRECTION], record[BASELINE], record[LEFT], record[ONSET] = d, b, left, i
                record[CONFIRMED], record[LAST], record[OUTCOME], record[LABEL] = f, last, outcome, NO_LABEL
                if outcome == EVENT:
                    record[LABEL] = _reach(
                        visits, rule, b, i, f, last, d, need, low, high, reached[n_found], is_clean[n_found]
                    )
                    if rule.first_only and d == 1:
                        find_worse = False
                    elif rule.first_only:
                        find_better = False
                n_found += 1
            if f >= 0 and moves:
                moved = f
            elif outcome == EVENT and d == 1:
                ready_worse, held_worse = False, f
            elif outcome == EVENT:
                ready_better, held_better = False, f
        if (
            rule.moves_after_relapse
            and (visits.after_relapse[b] < rule.recovery or day[i] - visits.after_onset[i] > day[b])
            and visits.after_relapse[i] >= rule.recovery
            and _is_far(visits, i, rule.baseline_before, rule.baseline_after)
        ):
            moved = i
        if moved >= 0:
            while moved < n and not _is_far(visits, moved, rule.baseline_before, rule.baseline_after):
                moved += 1
            if moved >= n:
                break
            b = i = moved
            need_worse = _needed(worse, rule.sign * bad[b])
            need_better = _needed(better, rule.sign * bad[b])
            ready_worse, ready_better = True, True
            held_worse, held_better = -1, -1
    return n_found, first


def search(
    starts: Ints,
    day: Ints,
    bad: Ints,
    can_confirm: Flags,
    may_be_baseline: Flags,
    relapse_starts: Ints,
    onset: Ints,
    over: Ints,
    start: Ints,
    rule: Rule,
    worse: Steps,
    better: Steps,
    low: Ints,
    high: Ints,
) -> Any:
    """Search all patients.

    Parameters
    ----------
    starts, relapse_starts
        Patient p has the visits `starts[p]:starts[p + 1]`, the relapses likewise.
    day, bad, can_confirm, may_be_baseline
        One item per visit; days rise strictly within a patient.
    onset, over
        Day of onset of each relapse (rising within a patient), and day from which it counts as over.
    start
        Per patient, the first day on which an onset counts.
    low, high
        Per confirmation period, its window in days from onset (closed).

    Returns
    -------
    tuple
        Records (one row per candidate, columns above, visits by their place in `day`, -1 = none);
        the visit that reached each period (-1 = none; only for events) and whether no relapse lies in
        its windows; per patient the place of the baseline from which the search began (-1 = none).
    """
    n_visits, n_periods = len(day), len(low)
    found = np.empty((n_visits, N_COLUMNS), dtype=np.int64)  # pages never written cost nothing
    reached = np.empty((n_visits, n_periods), dtype=np.int64)
    is_clean = np.empty((n_visits, n_periods), dtype=np.bool_)
    longest = 0
    for p in range(len(starts) - 1):
        longest = max(longest, starts[p + 1] - starts[p])
    after_onset = np.empty(longest, dtype=np.int64)
    after_relapse = np.empty(longest, dtype=np.int64)
    before_relapse = np.empty(longest, dtype=np.int64)
    baseline = np.empty(len(starts) - 1, dtype=np.int64)
    n_found = 0
    for p in range(len(starts) - 1):
        a, z = starts[p], starts[p + 1]
        r, s = relapse_starts[p], relapse_starts[p + 1]
        _measure_distances(day[a:z], onset[r:s], over[r:s], after_onset, after_relapse, before_relapse)
        visits = Visits(
            day[a:z],
            bad[a:z],
            can_confirm[a:z],
            may_be_baseline[a:z],
            after_onset[: z - a],
            after_relapse[: z - a],
            before_relapse[: z - a],
        )
        n_new, b = _search_patient(
            visits,
            rule,
            worse,
            better,
            start[p],
            low,
            high,
            found[n_found:],
            reached[n_found:],
            is_clean[n_found:],
        )
        baseline[p] = a + b if b >= 0 else -1
        for k in range(n_found, n_found + n_new):
            found[k, PATIENT] = p
            for column in (BASELINE, LEFT, ONSET, LAST):
                found[k, column] += a
            if found[k, CONFIRMED] >= 0:
                found[k, CONFIRMED] += a
            if found[k, OUTCOME] == EVENT:
                for q in range(n_periods):
                    if reached[k, q] >= 0:
                        reached[k, q] += a
        n_found += n_new
    return found[:n_found].copy(), reached[:n_found].copy(), is_clean[:n_found].copy(), baseline
