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
    MOVES_BELOW_WORSE,  # which confirmed changes below the threshold move it too
    MOVES_BELOW_BETTER,
    MOVES_BELOW,  # whether any does
    RELAPSE_MOVES,
    RECOVERY,
    EVALUATION,
    NEVER_BETTER,
    EXTREMA,
    OWN_REFERENCE,  # the threshold is looked up at the score itself
    PICKS_LAST,  # of the visits that may be the first baseline
    PROCEED,
    CRITERION,
    EVERY,  # every visit from onset to confirmation must meet the criterion
    SUSTAINED_WORSE,
    SUSTAINED_BETTER,
    PERSISTENCE,
    PERSISTENCE_CONFIRMATION,
    BASELINE_BEFORE,
    BASELINE_AFTER,
    EVENT_BEFORE,
    EVENT_AFTER,
    CONFIRMATION_BEFORE,
    CONFIRMATION_AFTER,
    RAW_BEFORE,
    RAW_AFTER,
    PIRA_PRECEDING_BEFORE,
    PIRA_PRECEDING_AFTER,
    PIRA_EVENT_BEFORE,
    PIRA_EVENT_AFTER,
    PIRA_CONFIRMATION_BEFORE,
    PIRA_CONFIRMATION_AFTER,
    PRECEDING,
    JOINS_PRECEDING,
    JOINS_CONFIRMATION,
    WANTED_NUMBER,  # 0: all events; k: only that of number k
    KIND,
    TOGETHER,
    REPEATED,
    IMPUTE_WITHIN,
    N_SETTINGS,
) = range(45)
THRESHOLD, AT_OR_ABOVE_EVENT, MONOTONIC = range(3)  # the criteria of confirmation
NO_MOVE, RECOVERED, NEXT_VISIT, NEXT_VISIT_IF_CHANGED = range(4)  # what a relapse does to the baseline
NO_EXTREMA, STRICT_EXTREMA, ALL_EXTREMA = range(3)  # which visits may not be a baseline
FROM_CONFIRMATION, FROM_EVENT, FROM_FIRST_PERIOD = range(3)  # where the search proceeds from
FROM_BASELINE, FROM_LAST, FROM_LAST_DELTA = range(3)  # which visit precedes an event
EACH_DIRECTION, EITHER, ONLY_WORSENING, ONLY_IMPROVEMENT, ONLY_PIRA, ONLY_RAW = range(6)

# columns of a threshold table: from this (unturned) reference on, this change, in points or as a fraction
FROM, CHANGE, IS_FRACTION, AT_MOST = range(4)

# columns of one patient's visits
(
    DAY,
    BAD,
    REFERENCE,  # the (unturned) value looked up in the threshold table
    NEED,  # the change that counts from here where the caller worked it out, else -1
    CAN_CONFIRM,
    MAY_CONFIRM,  # can, and is far enough from relapses
    MAY_BE_FIRST,  # the first baseline: allowed, far enough from relapses, no forbidden extremum
    MAY_BE_MOVED,  # a moved baseline: far enough from relapses, no forbidden extremum
    MAY_BE_ONSET,
    AFTER_ONSET,  # days since the onset of the last relapse on or before the visit, or FAR
    AFTER_RELAPSE,  # the same, from the day on which the relapse counts as over
    BEFORE_RELAPSE,  # days to the next relapse on or after the visit, or FAR
    IS_EXTREMUM,
    N_FACTS,
) = range(14)

# columns of a record, what became of the candidate, and how a worsening relates to relapses
PATIENT, DIRECTION, BASELINE, VALUE, LEFT, ONSET, CONFIRMED, LAST, OUTCOME, LABEL, N_COLUMNS = range(11)
(
    EVENT,
    UNCONFIRMED,
    NOT_SUSTAINED,
    NEAR_RELAPSE,
    REVERTED,
    BEFORE_START,
    FOLLOW_UP_TOO_SHORT,
    NOT_PERSISTENT,
    OTHER_KIND,
    EARLIER_EVENT,
    SUPERSEDED,
) = range(11)
NO_LABEL, RAW, PIRA, UNDEFINED = range(4)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def needed_change(steps: Ints, reference: int) -> int:
    """Return the smallest change that counts from this (unturned) reference; never less than a millionth."""
    row = 0
    for k in range(len(steps)):
        if steps[k, FROM] <= reference:
            row = k
    change = steps[row, CHANGE]
    if steps[row, IS_FRACTION]:
        change = -((-reference * change) // SCALE)  # rounded up: exactly 20 % counts
        change = min(change, steps[row, AT_MOST])
    return int(max(change, 1))


def need_at(visits: Ints, steps: Ints, i: int) -> int:
    """Return the smallest change that counts from visit i."""
    if visits[i, NEED] >= 0:
        return int(max(visits[i, NEED], 1))
    return needed_change(steps, visits[i, REFERENCE])


def is_extremum(visits: Ints, rule: Ints, worse: Ints, better: Ints, i: int) -> bool:
    """Tell whether both neighbours of visit i differ from it in the same direction, by as much as the rule says."""
    if i == 0 or i + 1 >= len(visits):
        return False
    if i >= 2 and visits[i, BAD] == visits[i - 2, BAD]:
        return False
    before, after = visits[i - 1, BAD] - visits[i, BAD], visits[i + 1, BAD] - visits[i, BAD]
    up = down = 1
    if rule[EXTREMA] == STRICT_EXTREMA:
        up, down = need_at(visits, worse, i), need_at(visits, better, i)
    return bool(min(before, after) >= up or min(-before, -after) >= down)


def fill_visits(
    visits: Ints,
    a: int,
    day: Ints,
    bad: Ints,
    reference: Ints,
    need: Ints,
    can_confirm: Flags,
    may_be_baseline: Flags,
    r: int,
    r_end: int,
    onset: Ints,
    over: Ints,
    rule: Ints,
    worse: Ints,
    better: Ints,
) -> None:
    """Fill the visits of one patient, whose rows begin at `a`; his relapses (by onset) are `r` to `r_end`."""
    baseline_before, baseline_after = rule[BASELINE_BEFORE], rule[BASELINE_AFTER]
    event_before, event_after = rule[EVENT_BEFORE], rule[EVENT_AFTER]
    confirmation_before, confirmation_after = rule[CONFIRMATION_BEFORE], rule[CONFIRMATION_AFTER]
    sign, has_reference, has_need = rule[SIGN], len(reference) > 0, len(need) > 0
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
        is_settled = after >= baseline_before and before >= baseline_after
        visits[i, DAY] = today
        visits[i, BAD] = bad[a + i]
        visits[i, REFERENCE] = reference[a + i] if has_reference else sign * bad[a + i]
        visits[i, NEED] = need[a + i] if has_need else -1
        visits[i, CAN_CONFIRM] = can_confirm[a + i]
        visits[i, MAY_CONFIRM] = (
            can_confirm[a + i] and after >= confirmation_before and before >= confirmation_after
        )
        visits[i, MAY_BE_FIRST] = may_be_baseline[a + i] and is_settled
        visits[i, MAY_BE_MOVED] = is_settled
        visits[i, MAY_BE_ONSET] = after >= event_before and before >= event_after
        visits[i, AFTER_ONSET] = after_onset
        visits[i, AFTER_RELAPSE] = after
        visits[i, BEFORE_RELAPSE] = before
        visits[i, IS_EXTREMUM] = False
    if rule[EXTREMA] != NO_EXTREMA:
        for i in range(len(visits)):
            if is_extremum(visits, rule, worse, better, i):
                visits[i, IS_EXTREMUM] = True
                visits[i, MAY_BE_FIRST] = False
                visits[i, MAY_BE_MOVED] = False


def first_baseline(visits: Ints, rule: Ints) -> int:
    """Return the first (or last) visit that may be the first baseline, or -1."""
    found = -1
    for i in range(len(visits)):
        if visits[i, MAY_BE_FIRST]:
            found = i
            if not rule[PICKS_LAST]:
                break
    return found


def does_hold(visits: Ints, criterion: int, base: int, c: int, j: int, d: int, need: int) -> bool:
    """Tell whether visit j confirms the change in direction d from `base` seen at visit c."""
    if criterion == AT_OR_ABOVE_EVENT:
        return bool(d * (visits[j, BAD] - visits[c, BAD]) >= 0)
    if criterion == MONOTONIC:
        return bool(d * (visits[j, BAD] - visits[j - 1, BAD]) >= 0)
    return bool(d * (visits[j, BAD] - base) >= need)


def is_in_window(gap: int, windows: Ints) -> bool:
    """Tell whether a visit so many days after the onset lies in the window of any period."""
    for p in range(len(windows)):
        if windows[p, 0] <= gap <= windows[p, 1]:
            return True
    return False


def judge(
    visits: Ints, rule: Ints, windows: Ints, start: int, base: int, c: int, d: int, need: int
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
        holds = does_hold(visits, rule[CRITERION], base, c, j, d, need)
        if rule[EVERY] and not holds:
            return REVERTED, -1
        if visits[j, CAN_CONFIRM] and is_in_window(gap, windows):
            if visits[j, MAY_CONFIRM]:
                return (EVENT, j) if holds else (REVERTED, -1)
            is_blocked = True
    if visits[len(visits) - 1, DAY] - visits[c, DAY] < closes:
        return FOLLOW_UP_TOO_SHORT, -1
    return (NEAR_RELAPSE, -1) if is_blocked else (UNCONFIRMED, -1)


def confirmed_difference(visits: Ints, rule: Ints, windows: Ints, start: int, base: int, c: int) -> int:
    """Return the visit that confirms that the score differs from `base` as at visit c, by however little, or -1."""
    if visits[c, DAY] < start or not visits[c, MAY_BE_ONSET]:
        return -1
    d = 1 if visits[c, BAD] > base else -1
    for j in range(c + 1, len(visits)):
        holds = d * (visits[j, BAD] - base) > 0
        if rule[EVERY] and not holds:
            return -1
        if visits[j, MAY_CONFIRM] and is_in_window(visits[j, DAY] - visits[c, DAY], windows):
            return j if holds else -1
    return -1


def end_of_run(visits: Ints, base: int, c: int, d: int, need: int) -> int:
    """Return the last visit up to which, from visit c on, the change from `base` is met."""
    last = c
    while last + 1 < len(visits) and d * (visits[last + 1, BAD] - base) >= need:
        last += 1
    return last


def is_sustained(visits: Ints, rule: Ints, base: int, c: int, last: int, d: int, need: int) -> bool:
    """Tell whether a confirmed change lasts; one that lasts to the last visit always does."""
    days = rule[SUSTAINED_WORSE] if d > 0 else rule[SUSTAINED_BETTER]
    if rule[EVERY]:
        return bool(last == len(visits) - 1 or visits[last + 1, DAY] - visits[c, DAY] >= days)
    k = c
    while k + 1 < len(visits) and visits[k, DAY] - visits[c, DAY] < days:
        k += 1
    return bool(d * (visits[k, BAD] - base) >= need)


def does_persist(visits: Ints, rule: Ints, back: Ints, c: int, d: int) -> bool:
    """Tell whether no confirmed change back from the event's score, by its threshold, begins soon enough."""
    if rule[PERSISTENCE] == 0:
        return True
    need = need_at(visits, back, c)
    for x in range(c + 1, len(visits)):
        if visits[x, DAY] - visits[c, DAY] > rule[PERSISTENCE]:
            return True
        for j in range(x, len(visits)):
            if d * (visits[c, BAD] - visits[j, BAD]) < need:
                break
            if j > x and visits[j, DAY] - visits[x, DAY] >= rule[PERSISTENCE_CONFIRMATION]:
                return False
    return True


def begins_relapse(onset: Ints, r: int, r_end: int, low: int, high: int) -> bool:
    """Tell whether a relapse began from day `low` to `high`; a span of no length asks for nothing."""
    if high <= low:
        return False
    for k in range(r, r_end):
        if low <= onset[k] <= high:
            return True
    return False


def is_quiet(
    rule: Ints, onset: Ints, r: int, r_end: int, preceding: int, event: int, confirmation: int
) -> bool:
    """Tell whether no relapse began in the windows around three days, joined as the rule says."""
    low = preceding - rule[PIRA_PRECEDING_BEFORE]
    if not rule[JOINS_PRECEDING]:
        if begins_relapse(onset, r, r_end, low, preceding + rule[PIRA_PRECEDING_AFTER]):
            return False
        low = event - rule[PIRA_EVENT_BEFORE]
    if not rule[JOINS_CONFIRMATION]:
        if begins_relapse(onset, r, r_end, low, event + rule[PIRA_EVENT_AFTER]):
            return False
        low = confirmation - rule[PIRA_CONFIRMATION_BEFORE]
    return not begins_relapse(onset, r, r_end, low, confirmation + rule[PIRA_CONFIRMATION_AFTER])


def last_delta(visits: Ints, rule: Ints, steps: Ints, c: int, f: int, d: int) -> int:
    """Return the last visit from which onset c and its confirmation f (or -1) are a threshold change, else the first."""
    for k in range(c - 1, 0, -1):
        if visits[k, IS_EXTREMUM]:
            continue
        need = need_at(visits, steps, k)
        holds = d * (visits[c, BAD] - visits[k, BAD]) >= need
        for j in range(c + 1 if rule[EVERY] else max(f, c + 1), f + 1):
            holds = holds and d * (visits[j, BAD] - visits[k, BAD]) >= need
        if holds:
            return k
    return 0


def fill_periods(
    visits: Ints,
    rule: Ints,
    windows: Ints,
    onset: Ints,
    r: int,
    r_end: int,
    preceding: int,
    base: int,
    c: int,
    f: int,
    last: int,
    d: int,
    need: int,
    reached: Ints,
    clean: Ints,
) -> int:
    """Fill the earliest confirming visit of each period, and the earliest without a relapse in its windows.

    Returns how a worsening relates to relapses. One imputed at the last visit has no confirmation (f = -1).
    """
    reached[:] = -1
    clean[:] = -1
    before, event = visits[preceding, DAY], visits[c, DAY]
    is_pira = f < 0 and is_quiet(rule, onset, r, r_end, before, event, event)
    for j in range(f if f >= 0 else len(visits), last + 1):
        holds = does_hold(visits, rule[CRITERION], base, c, j, d, need)
        if rule[EVERY] and not holds:
            break
        gap = visits[j, DAY] - event
        if not (holds and visits[j, MAY_CONFIRM] and is_in_window(gap, windows)):
            continue
        quiet = is_quiet(rule, onset, r, r_end, before, event, visits[j, DAY])
        is_pira = is_pira or quiet
        for p in range(len(windows)):
            if windows[p, 0] <= gap <= windows[p, 1]:
                if reached[p] < 0:
                    reached[p] = j
                if quiet and clean[p] < 0:
                    clean[p] = j
    if d < 0:
        return NO_LABEL
    if visits[c, AFTER_ONSET] <= rule[RAW_BEFORE] or visits[c, BEFORE_RELAPSE] <= rule[RAW_AFTER]:
        return RAW
    return PIRA if is_pira else UNDEFINED


def resume_at(rule: Ints, c: int, f: int, reached: Ints) -> int:
    """Return the visit from which the search goes on after a change at visit c that visit f confirmed (or -1)."""
    if rule[PROCEED] == FROM_EVENT or f < 0:
        return c
    if rule[PROCEED] == FROM_FIRST_PERIOD:
        for p in range(len(reached)):
            if reached[p] >= 0:
                return int(reached[p])
    return f


def settled_visit(visits: Ints, i: int) -> int:
    """Return the first visit from i on to which the baseline may move."""
    while i < len(visits) and not visits[i, MAY_BE_MOVED]:
        i += 1
    return i


def first_visit_from(visits: Ints, i: int, day: int) -> int:
    """Return the first visit from i on that lies on or after a day."""
    while i < len(visits) and visits[i, DAY] < day:
        i += 1
    return i


def supersede(found: Ints, n_before: int, n_found: int, rule: Ints, c: int, d: int) -> int:
    """Mark an event found before at the same onset; return how many there were."""
    n = 0
    for k in range(n_before, min(n_found, len(found))):
        is_event = found[k, OUTCOME] == EVENT or found[k, OUTCOME] == EARLIER_EVENT
        if is_event and found[k, ONSET] == c and (rule[TOGETHER] or found[k, DIRECTION] == d):
            found[k, OUTCOME] = SUPERSEDED
            n += 1
    return n


def search_patient(
    visits: Ints,
    onset: Ints,
    over: Ints,
    r: int,
    r_end: int,
    rule: Ints,
    worse: Ints,
    better: Ints,
    windows_worse: Ints,
    windows_better: Ints,
    start: int,
    imputes: bool,
    first: int,
    n_found: int,
    found: Ints,
    reached: Ints,
    clean: Ints,
    spare: Ints,
) -> int:
    """Search one patient's visits from the first baseline on; return how many records there are now."""
    n_before = n_found
    n_visits = len(visits)
    find_worse, find_better = rule[FIND_WORSE], rule[FIND_BETTER]
    n_worse, n_better = 0, 0  # events found
    jumps = rule[RELAPSE_MOVES] == NEXT_VISIT or rule[RELAPSE_MOVES] == NEXT_VISIT_IF_CHANGED
    k = r  # the next relapse after the baseline
    b = value = first  # the baseline, and the visit whose score it has
    base = visits[value, BAD]
    need_worse, need_better = need_at(visits, worse, b), need_at(visits, better, b)
    # after an event that leaves the baseline where it is, the change must end before it can begin anew
    ready_worse, ready_better = True, True
    held_worse, held_better = -1, -1
    i = b + 1
    while i < n_visits and (find_worse or find_better):
        change = visits[i, BAD] - base
        d = 1 if change >= need_worse else (-1 if -change >= need_better else 0)
        # a changed visit: one that takes the search on to itself
        is_changed = visits[i, MAY_BE_ONSET] and (d != 0 or (rule[MOVES_BELOW] and change != 0))
        following = i + 1
        moved = -1
        has_crossed = False
        if jumps:
            while k < r_end and onset[k] <= visits[b, DAY]:
                k += 1
            has_crossed = (
                k < r_end
                and onset[k] + rule[EVALUATION] < visits[i, DAY]
                and (rule[RELAPSE_MOVES] == NEXT_VISIT or is_changed)
            )
        if has_crossed:
            moved = first_visit_from(visits, b, over[k])
        else:
            if d != 1 and i > held_worse:
                ready_worse = True
            if d != -1 and i > held_better:
                ready_better = True
            is_wanted = find_worse if d == 1 else find_better
            moves = rule[MOVES_AFTER_WORSE] if d == 1 else rule[MOVES_AFTER_BETTER]
            is_ready = (ready_worse and i > held_worse) if d == 1 else (ready_better and i > held_better)
            if d != 0 and is_ready and (is_wanted or moves or rule[TOGETHER]):
                steps, back = (worse, better) if d == 1 else (better, worse)
                windows = windows_worse if d == 1 else windows_better
                need = need_worse if d == 1 else need_better
                outcome, f = judge(visits, rule, windows, start, base, i, d, need)
                if (
                    imputes
                    and d == 1
                    and i == n_visits - 1
                    and (outcome == UNCONFIRMED or outcome == FOLLOW_UP_TOO_SHORT)
                    and visits[i, DAY] - visits[0, DAY] <= rule[IMPUTE_WITHIN]
                ):
                    outcome = EVENT
                last = end_of_run(visits, base, f if f >= 0 else i, d, need)
                if outcome == EVENT and not is_sustained(visits, rule, base, i, last, d, need):
                    outcome = NOT_SUSTAINED
                if outcome == EVENT and not does_persist(visits, rule, back, i, d):
                    outcome = NOT_PERSISTENT
                has_room = n_found < len(found)
                to_reach = reached[n_found] if has_room else spare[0]
                to_clean = clean[n_found] if has_room else spare[1]
                label = NO_LABEL
                resume = f if f >= 0 else i
                if outcome == EVENT or (f >= 0 and rule[PROCEED] == FROM_FIRST_PERIOD):
                    preceding = b
                    if rule[PRECEDING] == FROM_LAST:
                        preceding = i - 1
                    elif rule[PRECEDING] == FROM_LAST_DELTA:
                        preceding = last_delta(visits, rule, steps, i, f, d)
                    label = fill_periods(
                        visits, rule, windows, onset, r, r_end, preceding, base, i, f, last, d, need,
                        to_reach, to_clean,
                    )  # fmt: skip
                    if outcome != EVENT:
                        label = NO_LABEL
                if f >= 0:
                    resume = resume_at(rule, i, f, to_reach)
                is_other = (rule[KIND] == ONLY_PIRA and label != PIRA) or (
                    rule[KIND] == ONLY_RAW and label != RAW
                )
                if outcome == EVENT and d == 1 and is_other:
                    outcome = OTHER_KIND
                is_confirmed = outcome == EVENT
                if outcome == EVENT and is_wanted:
                    n_again = supersede(found, n_before, n_found, rule, i, d) if jumps else 0
                    if d == 1 or rule[KIND] == EITHER:
                        n_worse += 1 - n_again
                        n_events = n_worse
                    else:
                        n_better += 1 - n_again
                        n_events = n_better
                    if n_events < rule[WANTED_NUMBER]:
                        outcome = EARLIER_EVENT
                    elif rule[WANTED_NUMBER]:
                        if d == 1 or rule[KIND] == EITHER:
                            find_worse = 0
                        if d == -1 or rule[KIND] == EITHER:
                            find_better = 0
                if is_wanted:
                    left = i - 1
                    while left > b and d * (visits[left, BAD] - base) >= need:
                        left -= 1
                    if has_room:
                        found[n_found, DIRECTION] = d
                        found[n_found, BASELINE] = b
                        found[n_found, VALUE] = value
                        found[n_found, LEFT] = left
                        found[n_found, ONSET] = i
                        found[n_found, CONFIRMED] = f
                        found[n_found, LAST] = last
                        found[n_found, OUTCOME] = outcome
                        found[n_found, LABEL] = label
                    n_found += 1
                if f >= 0 and moves:
                    moved = resume
                elif is_confirmed or (outcome == OTHER_KIND and not rule[REPEATED]):
                    if d == 1:
                        ready_worse, held_worse = bool(rule[REPEATED]), resume
                    else:
                        ready_better, held_better = bool(rule[REPEATED]), resume
                    if rule[TOGETHER] and is_confirmed:
                        following = resume + 1
            is_moving = rule[MOVES_BELOW_WORSE] if change > 0 else rule[MOVES_BELOW_BETTER]
            if moved < 0 and is_moving and change != 0 and is_changed:
                f = confirmed_difference(
                    visits, rule, windows_worse if change > 0 else windows_better, start, base, i
                )
                if f >= 0:
                    moved = i if rule[PROCEED] == FROM_EVENT else f
            if (
                moved < 0
                and rule[RELAPSE_MOVES] == RECOVERED
                and visits[i, MAY_BE_MOVED]
                and visits[i, AFTER_RELAPSE] >= rule[RECOVERY]
                and (
                    visits[b, AFTER_RELAPSE] < rule[RECOVERY]
                    or visits[i, DAY] - visits[i, AFTER_ONSET] > visits[b, DAY]
                )
            ):
                moved = i
            if jumps and is_changed and rule[RELAPSE_MOVES] == NEXT_VISIT_IF_CHANGED and k < r_end:
                # the search has gone on past the relapse, though no changed visit may follow
                now = moved if moved >= 0 else b
                then = moved + 1 if moved >= 0 else following
                if (
                    onset[k] > visits[now, DAY]
                    and then < n_visits
                    and onset[k] + rule[EVALUATION] < visits[then, DAY]
                ):
                    moved = first_visit_from(visits, now, over[k])
        i = following
        if moved >= 0:
            moved = settled_visit(visits, moved)
            if moved >= n_visits:
                break
            b = moved
            if not (rule[NEVER_BETTER] and base > visits[b, BAD]):
                value = b
            base = visits[value, BAD]
            reference = value if rule[OWN_REFERENCE] else b
            need_worse, need_better = need_at(visits, worse, reference), need_at(visits, better, reference)
            ready_worse, ready_better = True, True
            held_worse, held_better = -1, -1
            i = b + 1
    return n_found


def search(
    starts: Ints,
    day: Ints,
    bad: Ints,
    reference: Ints,
    need: Ints,
    can_confirm: Flags,
    may_be_baseline: Flags,
    relapse_starts: Ints,
    onset: Ints,
    over: Ints,
    start: Ints,
    imputes: Flags,
    rule: Ints,
    worse: Ints,
    better: Ints,
    windows_worse: Ints,
    windows_better: Ints,
    facts: Ints,
    found: Ints,
    reached: Ints,
    clean: Ints,
    baseline: Ints,
) -> int:
    """Search all patients; return the number of records.

    Parameters
    ----------
    starts, relapse_starts
        Patient p has the visits `starts[p]:starts[p + 1]`, the relapses likewise.
    day, bad, reference, need, can_confirm, may_be_baseline
        One item per visit; days rise strictly within a patient. `reference` (looked up in the tables)
        and `need` (the change that counts from the visit) may be empty.
    onset, over
        Day of onset of each relapse (rising within a patient), and day from which it counts as over.
    start, imputes
        Per patient, the first day on which an onset counts, and whether a worsening first seen at the last
        visit counts.
    rule, worse, better
        Items of the rule, and its threshold tables, as named above.
    windows_worse, windows_better
        Per confirmation period of a direction, first and last day after the onset.
    facts
        Room for the longest patient's visits, `N_FACTS` columns.
    found, reached, clean
        Filled, as far as there is room (one row per visit suffices unless `RELAPSE_MOVES` takes the
        search back): records (columns as named above; visits by their place in `day`, -1 = none); for events, the
        visit that reached each period, and the first that did with no relapse in its windows (-1 = none).
    baseline
        Filled, per patient: the place of the first baseline (-1 = none).
    """
    n_found = 0
    spare = np.empty((2, reached.shape[1]), dtype=np.int64)
    for p in range(len(starts) - 1):
        a = starts[p]
        visits = facts[: starts[p + 1] - a]
        r, r_end = relapse_starts[p], relapse_starts[p + 1]
        fill_visits(
            visits, a, day, bad, reference, need, can_confirm, may_be_baseline,
            r, r_end, onset, over, rule, worse, better,
        )  # fmt: skip
        b = first_baseline(visits, rule)
        baseline[p] = a + b if b >= 0 else -1
        if b < 0:
            continue
        n_before = n_found
        n_found = search_patient(
            visits, onset, over, r, r_end, rule, worse, better, windows_worse, windows_better,
            start[p], imputes[p], b, n_found, found, reached, clean, spare,
        )  # fmt: skip
        for k in range(n_before, min(n_found, len(found))):
            found[k, PATIENT] = p
            found[k, BASELINE] += a
            found[k, VALUE] += a
            found[k, LEFT] += a
            found[k, ONSET] += a
            found[k, LAST] += a
            if found[k, CONFIRMED] >= 0:
                found[k, CONFIRMED] += a
            if found[k, OUTCOME] == EVENT:
                for q in range(reached.shape[1]):
                    if reached[k, q] >= 0:
                        reached[k, q] += a
                    if clean[k, q] >= 0:
                        clean[k, q] += a
    return n_found
