"""The search for confirmed changes once more: slow, readable, with exact fractions and no shared code.

Written from the words of `derive_disability` alone. One patient, one direction at a time; every question is
answered by looking at the whole history again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise


@dataclass
class Visit:
    day: int
    score: Fraction
    row: int
    can_confirm: bool = True
    is_screening: bool = False


@dataclass
class Relapse:
    onset: int
    end: int | None = None


@dataclass
class Found:
    outcome: str  # "event" or why it was rejected
    baseline: Visit
    left: Visit
    onset: Visit
    confirmed: Visit | None
    sustained_days: int
    to_end: bool
    label: str | None = None
    reached: dict[int, tuple[Visit, bool]] = field(default_factory=dict)


def exact(number: float) -> Fraction:
    return Fraction(str(number))


def search(rule, visits, relapses, direction, *, zero=0, mobilisation=None, rebaseline=None):
    """Return (first baseline or None, what was found in this direction)."""
    visits = sorted(visits, key=lambda v: v.day)
    higher_is_worse = rule.measure != "sdmt"

    def since(day, *, onset_only=False):
        past = [r for r in relapses if r.onset <= day]
        if not past:
            return math.inf
        if onset_only or rule.relapse_distance_from == "onset":
            return min(day - r.onset for r in past)
        over = [max(r.onset, r.onset if r.end is None else r.end) for r in past]
        return min(max(day - last, 0) for last in over)

    def until(day):
        return min((r.onset - day for r in relapses if r.onset >= day), default=math.inf)

    def far(visit, distance):
        return since(visit.day) >= distance[0] and until(visit.day) >= distance[1]

    def clean(visit, window):
        if tuple(window) == (0, 0):
            return True
        return not any(visit.day - window[0] <= r.onset <= visit.day + window[1] for r in relapses)

    def rise(visit, base):
        """How much worse than the baseline (negative: better)."""
        return (visit.score - base.score) * (1 if higher_is_worse else -1)

    def threshold(base, way):
        table = rule.worsening_threshold if way == "worsening" else rule.improvement_threshold
        step = [s for s in table if exact(s.from_value) <= base.score][-1]
        return exact(step.change) * (base.score if step.unit == "fraction" else 1)

    def changed(visit, base, way):
        size = rise(visit, base) if way == "worsening" else -rise(visit, base)
        return size > 0 and size >= threshold(base, way)

    def at_least(a, b, way):
        return rise(a, b) >= 0 if way == "worsening" else rise(a, b) <= 0

    def first_baseline():
        which = getattr(rule, f"{direction}_baseline_visit")
        if rule.not_before_day is not None and zero is None:
            return None
        if which == "first":
            pool = visits
        elif which == "screening":
            pool = [v for v in visits if v.is_screening][::-1]
        elif which == "rebaseline":
            pool = [v for v in visits if rebaseline is not None and v.day >= rebaseline]
            if not any(v.day == rebaseline for v in pool):
                pool = []
        else:
            limit = zero
            if which == "last_before_mobilisation" and mobilisation is not None:
                limit = mobilisation
            pool = [v for v in visits if limit is not None and v.day <= limit][::-1]
        return next((v for v in pool if far(v, rule.relapse_to_baseline_days)), None)

    def in_window(onset, visit, period):
        early, late = rule.confirmation_tolerance_days
        return period - early <= visit.day - onset.day <= period + late

    def confirming(visit):
        return visit.can_confirm and far(visit, rule.relapse_to_confirmation_days)

    def holds(visit, onset, base, way):
        if rule.confirmed_by == "at_or_above_event":
            return at_least(visit, onset, way)
        if rule.confirmed_by == "monotonic":
            path = [v for v in visits if onset.day <= v.day <= visit.day]
            return all(at_least(b, a, way) for a, b in pairwise(path))
        return changed(visit, base, way)

    def all_hold(onset, visit, base, way):
        path = [v for v in visits if onset.day < v.day <= visit.day]
        if rule.confirming_visits == "confirming_only":
            path = [visit]
        return all(holds(v, onset, base, way) for v in path)

    def judge(onset, base, way):
        """Return the outcome and the confirming visit."""
        if rule.not_before_day is not None and onset.day < zero + rule.not_before_day:
            return "before_start", None
        if not far(onset, rule.relapse_to_event_days):
            return "near_relapse", None
        later = [v for v in visits if v.day > onset.day]
        windows = [v for v in later if any(in_window(onset, v, p) for p in rule.confirmation_periods_days)]
        decider = next((v for v in windows if confirming(v)), None)
        closes = max(rule.confirmation_periods_days) + rule.confirmation_tolerance_days[1]
        if decider is not None:
            return ("event", decider) if all_hold(onset, decider, base, way) else ("reverted", None)
        within = [v for v in later if v.day - onset.day <= closes]
        if rule.confirming_visits == "every" and not all(holds(v, onset, base, way) for v in within):
            return "reverted", None
        if visits[-1].day - onset.day < closes:
            return "follow_up_too_short", None
        return ("near_relapse", None) if any(v.can_confirm for v in windows) else ("unconfirmed", None)

    def lasts_until(start, base, way):
        """The last visit of the unbroken run of changed visits after `start`."""
        last = start
        for v in visits:
            if v.day > start.day:
                if not changed(v, base, way):
                    return last
                last = v
        return last

    def is_sustained(onset, confirmed, base, way):
        last = lasts_until(confirmed, base, way)
        if rule.confirming_visits == "confirming_only":
            due = [v for v in visits if v.day >= confirmed.day and v.day - onset.day >= rule.sustained_days]
            return changed(due[0] if due else visits[-1], base, way)
        failed = [v for v in visits if v.day > last.day]
        return not failed or failed[0].day - onset.day >= rule.sustained_days

    base = first = first_baseline()
    found = []
    if base is None:
        return None, found
    scheme = getattr(rule, f"{direction}_baseline_scheme")
    moving = {"roving_up": ["worsening"], "roving_down": ["improvement"],
              "roving": ["worsening", "improvement"]}.get(scheme, [])  # fmt: skip
    closed = {}  # way -> the confirming visit of the event whose plateau may still go on
    position = base.day
    while True:
        rest = [v for v in visits if v.day > position]
        if not rest:
            return first, found
        visit = rest[0]
        position = visit.day
        if rule.events == "first" and any(f.outcome == "event" for f in found):
            return first, found
        for way in ("worsening", "improvement"):
            if way in closed and visit.day > closed[way].day and not changed(visit, base, way):
                del closed[way]
        new_base = None
        for way in ("worsening", "improvement"):
            if not changed(visit, base, way) or way in closed or (way != direction and way not in moving):
                continue
            outcome, confirmed = judge(visit, base, way)
            if outcome == "event" and not is_sustained(visit, confirmed, base, way):
                outcome = "not_sustained"
            if way == direction:
                last = lasts_until(confirmed or visit, base, way)
                negatives = [v for v in visits if base.day <= v.day < visit.day and not changed(v, base, way)]
                item = Found(outcome, base, negatives[-1], visit, confirmed, last.day - visit.day,
                             last is visits[-1])  # fmt: skip
                if outcome == "event":
                    pool = [v for v in visits if confirmed.day <= v.day <= last.day and confirming(v)
                            and all_hold(visit, v, base, way)]  # fmt: skip
                    if rule.confirming_visits == "every":
                        pool = [v for v in pool if all_hold(visit, v, base, way)]
                    quiet = clean(visit, rule.pira_around_event_days)
                    good = [quiet and clean(v, rule.pira_around_confirmation_days) for v in pool]
                    for period in rule.confirmation_periods_days:
                        hits = [(v, ok) for v, ok in zip(pool, good, strict=True)
                                if in_window(visit, v, period)]  # fmt: skip
                        if hits:
                            item.reached[period] = hits[0]
                    windowed = [ok for v, ok in zip(pool, good, strict=True)
                                if any(in_window(visit, v, p) for p in rule.confirmation_periods_days)]  # fmt: skip
                    if way == "worsening":
                        before, after = rule.raw_window_days
                        is_raw = any(visit.day - before <= r.onset <= visit.day + after for r in relapses)
                        item.label = "RAW" if is_raw else "PIRA" if any(windowed) else "undefined"
                found.append(item)
            if confirmed is not None and way in moving:
                new_base = next(
                    (v for v in visits if v.day >= confirmed.day and far(v, rule.relapse_to_baseline_days)),
                    "none",
                )
            elif outcome == "event":
                closed[way] = confirmed
        if scheme == "after_relapse":
            unsettled = since(base.day) < rule.relapse_recovery_days
            relapsed = any(base.day < r.onset <= visit.day for r in relapses)
            if (
                (unsettled or relapsed)
                and since(visit.day) >= rule.relapse_recovery_days
                and far(visit, rule.relapse_to_baseline_days)
            ):
                new_base = visit
        if new_base == "none":
            return first, found
        if new_base is not None:
            base, closed, position = new_base, {}, new_base.day
