"""The search for confirmed changes, patient by patient, in whole numbers; compiled with numba where patients are many.

Scores arrive multiplied by `SCALE` and turned so that greater is worse (`bad`); days are whole days.
This file imports nothing of ours, and every function called here lives here (see `ahsct.kernels`).
Rules, visits and records are arrays of whole numbers whose items are named below: compiled functions
take one array much faster than twenty arguments.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SCALE = 1_000_000  # scores and changes are held in millionths: decimal thresholds are exact
FAR = 1 << 40  # days: no relapse, no limit

# items of a rule (distances and windows in days, before and after)
(
    SIGN,  # +1: a greater score is worse; -1: a smaller one
    FIND_WORSE,  # which directions are reported
    FIND_BETTER,
    MOVES_AFTER_WORSE,  # which confirmed changes move the baseline
    MOVES_AFTER_BETTER,
    MOVES_AFTER_RELAPSE,
    RECOVERY,
    PICKS_LAST,  # of the visits that may be the first baseline
    FIRST_ONLY,
    CRITERION,
    EVERY,  # every visit from onset to confirmation must meet the criterion
    SUSTAINED,
    BASELINE_BEFORE,
    BASELINE_AFTER,
    EVENT_BEFORE,
    EVENT_AFTER,
    CONFIRMATION_BEFORE,
    CONFIRMATION_AFTER,
    RAW_BEFORE,
    RAW_AFTER,
    PIRA_EVENT_BEFORE,
    PIRA_EVENT_AFTER,
    PIRA_CONFIRMATION_BEFORE,
    PIRA_CONFIRMATION_AFTER,
    N_SETTINGS,
) = range(25)
THRESHOLD, AT_OR_ABOVE_EVENT, MONOTONIC = range(3)  # the criteria of confirmation

# columns of a threshold table: from this (unturned) baseline on, this change, in points or as a fraction
FROM, CHANGE, IS_FRACTION = range(3)

# columns of one patient's visits
(
    DAY,
    BAD,
    CAN_CONFIRM,
    MAY_CONFIRM,  # can, and is far enough from relapses
    MAY_BE_FIRST,  # the first baseline, far enough from relapses
    MAY_BE_MOVED,  # a moved baseline: far enough from relapses
    MAY_BE_ONSET,
    AFTER_ONSET,  # days since the onset of the last relapse on or before the visit, or FAR
    AFTER_RELAPSE,  # the same, from the day on which the relapse counts as over
    BEFORE_RELAPSE,  # days to the next relapse on or after the visit, or FAR
    N_FACTS,
) = range(11)

# columns of a record, what became of the candidate, and how a worsening relates to relapses
PATIENT, DIRECTION, BASELINE, LEFT, ONSET, CONFIRMED, LAST, OUTCOME, LABEL, N_COLUMNS = range(10)
EVENT, UNCONFIRMED, NOT_SUSTAINED, NEAR_RELAPSE, REVERTED, BEFORE_START, FOLLOW_UP_TOO_SHORT = range(7)
NO_LABEL, RAW, PIRA, UNDEFINED = range(4)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def fill_visits(
    visits: Ints,
    a: int,
    day: Ints,
    bad: Ints,
    can_confirm: Flags,
    may_be_baseline: Flags,
    r: int,
    r_end: int,
    onset: Ints,
    over: Ints,
    rule: Ints,
) -> None:
    """Fill the visits of one patient, whose rows begin at `a`; his relapses (by onset) are `r` to `r_end`."""
    k = r
    latest_over = -FAR
    for i in range(len(visits)):
        today = day[a + i]
        while k < r_end and onset[k] <= today:
            latest_over = max(latest_over, over[k])
            k += 1
        after_onset = today - onset[k - 1] if k > r else FAR
        after = max(today - latest_over, 0) if k > r else FAR
        before = 0 if after_onset == 0 else (onset[k] - today if k < r_end else FAR)
        is_settled = after >= rule[BASELINE_BEFORE] and before >= rule[BASELINE_AFTER]
        visits[i, DAY] = today
        visits[i, BAD] = bad[a + i]
        visits[i, CAN_CONFIRM] = can_confirm[a + i]
        visits[i, MAY_CONFIRM] = (
            can_confirm[a + i] and after >= rule[CONFIRMATION_BEFORE] and before >= rule[CONFIRMATION_AFTER]
        )
        visits[i, MAY_BE_FIRST] = may_be_baseline[a + i] and is_settled
        visits[i, MAY_BE_MOVED] = is_settled
        visits[i, MAY_BE_ONSET] = after >= rule[EVENT_BEFORE] and before >= rule[EVENT_AFTER]
        visits[i, AFTER_ONSET] = after_onset
        visits[i, AFTER_RELAPSE] = after
        visits[i, BEFORE_RELAPSE] = before


def first_baseline(visits: Ints, rule: Ints) -> int:
    """Return the first (or last) visit that may be the first baseline, or -1."""
    found = -1
    for i in range(len(visits)):
        if visits[i, MAY_BE_FIRST]:
            found = i
            if not rule[PICKS_LAST]:
                break
    return found


def needed_change(steps: Ints, baseline: int) -> int:
    """Return the smallest change that counts from this (unturned) baseline; never less than a millionth."""
    row = 0
    for k in range(len(steps)):
        if steps[k, FROM] <= baseline:
            row = k
    change = steps[row, CHANGE]
    if steps[row, IS_FRACTION]:
        change = -((-baseline * change) // SCALE)  # rounded up: exactly 20 % counts
    return int(max(change, 1))


def does_hold(visits: Ints, criterion: int, b: int, c: int, j: int, d: int, need: int) -> bool:
    """Tell whether visit j confirms the change in direction d seen at visit c from baseline b."""
    if criterion == AT_OR_ABOVE_EVENT:
        return bool(d * (visits[j, BAD] - visits[c, BAD]) >= 0)
    if criterion == MONOTONIC:
        return bool(d * (visits[j, BAD] - visits[j - 1, BAD]) >= 0)
    return bool(d * (visits[j, BAD] - visits[b, BAD]) >= need)


def is_in_window(gap: int, windows: Ints) -> bool:
    """Tell whether a visit so many days after the onset lies in the window of any period."""
    for p in range(len(windows)):
        if windows[p, 0] <= gap <= windows[p, 1]:
            return True
    return False


def judge(
    visits: Ints, rule: Ints, windows: Ints, start: int, b: int, c: int, d: int, need: int
) -> tuple[int, int]:
    """Return what became of the candidate at visit c, and the visit that confirmed it (or -1).

    The earliest visit that lies in a window and may confirm decides.
    """
    if visits[c, DAY] < start:
        return BEFORE_START, -1
    if not visits[c, MAY_BE_ONSET]:
        return NEAR_RELAPSE, -1
    closes = windows[0, 1]
    for p in range(1, len(windows)):
        closes = max(closes, windows[p, 1])
    is_blocked = False
    for j in range(c + 1, len(visits)):
        gap = visits[j, DAY] - visits[c, DAY]
        if gap > closes:
            break
        holds = does_hold(visits, rule[CRITERION], b, c, j, d, need)
        if rule[EVERY] and not holds:
            return REVERTED, -1
        if visits[j, CAN_CONFIRM] and is_in_window(gap, windows):
            if visits[j, MAY_CONFIRM]:
                return (EVENT, j) if holds else (REVERTED, -1)
            is_blocked = True
    if visits[len(visits) - 1, DAY] - visits[c, DAY] < closes:
        return FOLLOW_UP_TOO_SHORT, -1
    return (NEAR_RELAPSE, -1) if is_blocked else (UNCONFIRMED, -1)


def end_of_run(visits: Ints, b: int, c: int, d: int, need: int) -> int:
    """Return the last visit up to which, from visit c on, the change from baseline b is met."""
    last = c
    while last + 1 < len(visits) and d * (visits[last + 1, BAD] - visits[b, BAD]) >= need:
        last += 1
    return last


def is_sustained(visits: Ints, rule: Ints, b: int, c: int, f: int, last: int, d: int, need: int) -> bool:
    """Tell whether a change confirmed at visit f lasts; one that lasts to the last visit always does."""
    if rule[EVERY]:
        return bool(last == len(visits) - 1 or visits[last + 1, DAY] - visits[c, DAY] >= rule[SUSTAINED])
    k = f
    while k + 1 < len(visits) and visits[k, DAY] - visits[c, DAY] < rule[SUSTAINED]:
        k += 1
    return bool(d * (visits[k, BAD] - visits[b, BAD]) >= need)


def is_quiet(visits: Ints, i: int, before: int, after: int) -> bool:
    """Tell whether no relapse began in the closed window around visit i; (0, 0) asks for nothing."""
    asks_nothing = before == 0 and after == 0
    return bool(asks_nothing or (visits[i, AFTER_ONSET] > before and visits[i, BEFORE_RELAPSE] > after))


def fill_periods(
    visits: Ints,
    rule: Ints,
    windows: Ints,
    b: int,
    c: int,
    f: int,
    last: int,
    d: int,
    need: int,
    k: int,
    reached: Ints,
    is_clean: Flags,
) -> int:
    """Fill the earliest confirming visit of each period of record k; return the relation to relapses."""
    for p in range(len(windows)):
        reached[k, p] = -1
        is_clean[k, p] = False
    is_quiet_onset = is_quiet(visits, c, rule[PIRA_EVENT_BEFORE], rule[PIRA_EVENT_AFTER])
    is_pira = False
    for j in range(f, last + 1):
        holds = does_hold(visits, rule[CRITERION], b, c, j, d, need)
        if rule[EVERY] and not holds:
            break
        gap = visits[j, DAY] - visits[c, DAY]
        if not (holds and visits[j, MAY_CONFIRM] and is_in_window(gap, windows)):
            continue
        clean = is_quiet_onset and is_quiet(
            visits, j, rule[PIRA_CONFIRMATION_BEFORE], rule[PIRA_CONFIRMATION_AFTER]
        )
        is_pira = is_pira or clean
        for p in range(len(windows)):
            if reached[k, p] < 0 and windows[p, 0] <= gap <= windows[p, 1]:
                reached[k, p] = j
                is_clean[k, p] = clean
    if d < 0:
        return NO_LABEL
    if visits[c, AFTER_ONSET] <= rule[RAW_BEFORE] or visits[c, BEFORE_RELAPSE] <= rule[RAW_AFTER]:
        return RAW
    return PIRA if is_pira else UNDEFINED


def search_patient(
    visits: Ints,
    rule: Ints,
    worse: Ints,
    better: Ints,
    windows: Ints,
    start: int,
    first: int,
    n_found: int,
    found: Ints,
    reached: Ints,
    is_clean: Flags,
) -> int:
    """Search one patient's visits from the first baseline on; return how many records there are now."""
    find_worse, find_better = rule[FIND_WORSE], rule[FIND_BETTER]
    b = first
    need_worse = needed_change(worse, rule[SIGN] * visits[b, BAD])
    need_better = needed_change(better, rule[SIGN] * visits[b, BAD])
    # after an event that leaves the baseline where it is, the change must end before it can begin anew
    ready_worse, ready_better = True, True
    held_worse, held_better = -1, -1
    i = b
    while i + 1 < len(visits) and (find_worse or find_better):
        i += 1
        change = visits[i, BAD] - visits[b, BAD]
        d = 1 if change >= need_worse else (-1 if -change >= need_better else 0)
        if d != 1 and i > held_worse:
            ready_worse = True
        if d != -1 and i > held_better:
            ready_better = True
        is_wanted = find_worse if d == 1 else find_better
        moves = rule[MOVES_AFTER_WORSE] if d == 1 else rule[MOVES_AFTER_BETTER]
        moved = -1
        if d != 0 and (ready_worse if d == 1 else ready_better) and (is_wanted or moves):
            need = need_worse if d == 1 else need_better
            outcome, f = judge(visits, rule, windows, start, b, i, d, need)
            last = end_of_run(visits, b, f if f >= 0 else i, d, need)
            if outcome == EVENT and not is_sustained(visits, rule, b, i, f, last, d, need):
                outcome = NOT_SUSTAINED
            if is_wanted:
                left = i - 1
                while d * (visits[left, BAD] - visits[b, BAD]) >= need:  # ends at the baseline: no change
                    left -= 1
                label = NO_LABEL
                if outcome == EVENT:
                    label = fill_periods(
                        visits, rule, windows, b, i, f, last, d, need, n_found, reached, is_clean
                    )
                    if rule[FIRST_ONLY] and d == 1:
                        find_worse = 0
                    elif rule[FIRST_ONLY]:
                        find_better = 0
                found[n_found, DIRECTION] = d
                found[n_found, BASELINE] = b
                found[n_found, LEFT] = left
                found[n_found, ONSET] = i
                found[n_found, CONFIRMED] = f
                found[n_found, LAST] = last
                found[n_found, OUTCOME] = outcome
                found[n_found, LABEL] = label
                n_found += 1
            if f >= 0 and moves:
                moved = f
            elif outcome == EVENT and d == 1:
                ready_worse, held_worse = False, f
            elif outcome == EVENT:
                ready_better, held_better = False, f
        if (
            rule[MOVES_AFTER_RELAPSE]
            and visits[i, MAY_BE_MOVED]
            and visits[i, AFTER_RELAPSE] >= rule[RECOVERY]
            and (
                visits[b, AFTER_RELAPSE] < rule[RECOVERY]
                or visits[i, DAY] - visits[i, AFTER_ONSET] > visits[b, DAY]
            )
        ):
            moved = i
        if moved >= 0:
            while moved < len(visits) and not visits[moved, MAY_BE_MOVED]:
                moved += 1
            if moved == len(visits):
                break
            b = i = moved
            need_worse = needed_change(worse, rule[SIGN] * visits[b, BAD])
            need_better = needed_change(better, rule[SIGN] * visits[b, BAD])
            ready_worse, ready_better = True, True
            held_worse, held_better = -1, -1
    return n_found


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
    rule: Ints,
    worse: Ints,
    better: Ints,
    windows: Ints,
    facts: Ints,
    found: Ints,
    reached: Ints,
    is_clean: Flags,
    baseline: Ints,
) -> int:
    """Search all patients; return the number of records.

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
    rule, worse, better
        Items of the rule, and its threshold tables, as named above.
    windows
        Per confirmation period, first and last day after the onset.
    facts
        Room for the longest patient's visits, `N_FACTS` columns.
    found, reached, is_clean
        Filled, with room for one record per visit: records (columns as named above; visits by their
        place in `day`, -1 = none); for events, the visit that reached each period (-1 = none), and
        whether no relapse lies in its windows.
    baseline
        Filled, per patient: the place of the first baseline (-1 = none).
    """
    n_found = 0
    for p in range(len(starts) - 1):
        a = starts[p]
        visits = facts[: starts[p + 1] - a]
        fill_visits(
            visits, a, day, bad, can_confirm, may_be_baseline,
            relapse_starts[p], relapse_starts[p + 1], onset, over, rule,
        )  # fmt: skip
        b = first_baseline(visits, rule)
        baseline[p] = a + b if b >= 0 else -1
        if b < 0:
            continue
        n_before = n_found
        n_found = search_patient(
            visits, rule, worse, better, windows, start[p], b, n_found, found, reached, is_clean
        )
        for k in range(n_before, n_found):
            found[k, PATIENT] = p
            found[k, BASELINE] += a
            found[k, LEFT] += a
            found[k, ONSET] += a
            found[k, LAST] += a
            if found[k, CONFIRMED] >= 0:
                found[k, CONFIRMED] += a
            if found[k, OUTCOME] == EVENT:
                for q in range(len(windows)):
                    if reached[k, q] >= 0:
                        reached[k, q] += a
    return n_found
