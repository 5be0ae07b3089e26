"""The search for confirmed changes once more: slow, readable, with exact fractions and no shared code.

Written from the words of `DisabilityRule` and `derive_disability` alone. One patient at a time; every question is
answered by looking at the whole history again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

OTHER = {"worsening": "improvement", "improvement": "worsening"}


@dataclass
class Visit:
    day: int
    score: Fraction
    row: int
    can_confirm: bool = True
    is_screening: bool = False
    reference: Fraction | None = None


@dataclass
class Relapse:
    onset: int
    end: int | None = None


@dataclass
class Found:
    outcome: str  # "event" or why it was rejected
    direction: str
    baseline: Visit
    carried: Visit  # the visit whose score the baseline has
    left: Visit
    onset: Visit
    confirmed: Visit | None
    sustained_days: int
    to_end: bool
    label: str | None = None
    reached: dict[int, tuple[Visit, Visit | None]] = field(default_factory=dict)


def exact(number: float) -> Fraction:
    return Fraction(str(number))


class Patient:
    """One patient's history under one rule: what can be said of a visit without searching."""

    def __init__(self, rule, visits, relapses, *, zero, mobilisation, rebaseline, function):
        self.rule, self.relapses, self.function = rule, relapses, function
        self.visits = sorted(visits, key=lambda v: v.day)
        self.zero, self.mobilisation, self.rebaseline = zero, mobilisation, rebaseline
        self.sign = 1 if rule.greater_is_worse else -1

    def since(self, day, *, onset_only=False):
        past = [r for r in self.relapses if r.onset <= day]
        if not past:
            return math.inf
        if onset_only or self.rule.relapse_distance_from == "onset":
            return min(day - r.onset for r in past)
        return min(max(day - self.over(r), 0) for r in past)

    def over(self, relapse):
        if self.rule.relapse_distance_from == "onset" or relapse.end is None:
            return relapse.onset
        return max(relapse.onset, relapse.end)

    def until(self, day):
        return min((r.onset - day for r in self.relapses if r.onset >= day), default=math.inf)

    def far(self, visit, distance):
        return self.since(visit.day) >= distance[0] and self.until(visit.day) >= distance[1]

    def rise(self, visit, score):
        """How much worse than the score (negative: better)."""
        return (visit.score - score) * self.sign

    def threshold(self, reference, way):
        if self.function is not None:
            return exact(float(self.function(float(reference))))
        table = self.rule.worsening_threshold if way == "worsening" else self.rule.improvement_threshold
        step = [s for s in table if exact(s.from_value) <= reference][-1]
        if step.unit == "points":
            return exact(step.change)
        part = exact(step.change) * reference
        return part if step.at_most is None else min(part, exact(step.at_most))

    def looked_up(self, visit):
        return visit.score if self.rule.threshold_column is None else visit.reference

    def changed(self, visit, score, reference, way):
        size = self.rise(visit, score) * (1 if way == "worsening" else -1)
        return size > 0 and size >= self.threshold(reference, way)

    def changed_from(self, visit, other, way):
        return self.changed(visit, other.score, self.looked_up(other), way)

    def is_extremum(self, visit):
        mode, place = self.rule.skip_local_extrema, self.visits.index(visit)
        if mode == "none" or place in (0, len(self.visits) - 1):
            return False
        if place >= 2 and self.visits[place - 2].score == visit.score:
            return False
        neighbours = self.visits[place - 1], self.visits[place + 1]
        if mode == "all":
            rises = [self.rise(v, visit.score) for v in neighbours]
            return min(rises) > 0 or max(rises) < 0
        return any(all(self.changed_from(v, visit, way) for v in neighbours) for way in OTHER)

    def settled(self, visit):
        return self.far(visit, self.rule.relapse_to_baseline_days) and not self.is_extremum(visit)

    def first_baseline(self, direction):
        rule, visits = self.rule, self.visits
        which = getattr(rule, f"{direction}_baseline_visit")
        if rule.not_before_day is not None and self.zero is None:
            return None
        if which == "first":
            pool = visits
        elif which == "screening":
            pool = [v for v in visits if v.is_screening][::-1]
        elif which == "rebaseline":
            pool = [v for v in visits if self.rebaseline is not None and v.day >= self.rebaseline]
            if not any(v.day == self.rebaseline for v in pool):
                pool = []
        else:
            limit = self.zero
            if which == "last_before_mobilisation" and self.mobilisation is not None:
                limit = self.mobilisation
            pool = [v for v in visits if limit is not None and v.day <= limit][::-1]
        return next((v for v in pool if self.settled(v)), None)

    def in_window(self, onset, visit, period):
        early, late = period[1]
        return period[0] - early <= visit.day - onset.day <= period[0] + late

    def in_any(self, onset, visit, way):
        return any(self.in_window(onset, visit, p) for p in self.rule.periods_of(way))

    def confirming(self, visit):
        return visit.can_confirm and self.far(visit, self.rule.relapse_to_confirmation_days)

    def between(self, onset, visit):
        if self.rule.confirming_visits == "confirming_only":
            return [visit]
        return [v for v in self.visits if onset.day < v.day <= visit.day]

    def holds(self, visit, onset, base, way):
        up = 1 if way == "worsening" else -1
        if self.rule.confirmed_by == "at_or_above_event":
            return up * self.rise(visit, onset.score) >= 0
        if self.rule.confirmed_by == "monotonic":
            path = [v for v in self.visits if onset.day <= v.day <= visit.day]
            return all(up * self.rise(b, a.score) >= 0 for a, b in pairwise(path))
        return self.changed(visit, *base, way)

    def all_hold(self, onset, visit, base, way):
        return all(self.holds(v, onset, base, way) for v in self.between(onset, visit))

    def judge(self, onset, base, way):
        """Return the outcome and the confirming visit."""
        rule = self.rule
        if rule.not_before_day is not None and onset.day < self.zero + rule.not_before_day:
            return "before_start", None
        if not self.far(onset, rule.relapse_to_event_days):
            return "near_relapse", None
        later = [v for v in self.visits if v.day > onset.day]
        windows = [v for v in later if self.in_any(onset, v, way)]
        decider = next((v for v in windows if self.confirming(v)), None)
        closes = max(period + late for period, (_, late) in rule.periods_of(way))
        closes = closes if closes == math.inf else math.floor(closes)  # the last whole day
        if decider is not None:
            return ("event", decider) if self.all_hold(onset, decider, base, way) else ("reverted", None)
        within = [v for v in later if v.day - onset.day <= closes]
        if rule.confirming_visits == "every" and not all(self.holds(v, onset, base, way) for v in within):
            return "reverted", None
        if self.visits[-1].day - onset.day < closes:
            return "follow_up_too_short", None
        return ("near_relapse", None) if any(v.can_confirm for v in windows) else ("unconfirmed", None)

    def small_change_confirmed(self, onset, score):
        """The visit that confirms that the score differs in the same direction, or None."""
        rule, side = self.rule, self.rise(onset, score)
        way = "worsening" if side > 0 else "improvement"
        too_early = rule.not_before_day is not None and onset.day < self.zero + rule.not_before_day
        if too_early or not self.far(onset, rule.relapse_to_event_days):
            return None
        decider = next(
            (v for v in self.visits if v.day > onset.day and self.in_any(onset, v, way) and self.confirming(v)), None
        )  # fmt: skip
        if decider and all(self.rise(v, score) * side > 0 for v in self.between(onset, decider)):
            return decider
        return None

    def lasts_until(self, start, base, way):
        """The last visit of the unbroken run of changed visits after `start`."""
        last = start
        for v in self.visits:
            if v.day > start.day:
                if not self.changed(v, *base, way):
                    return last
                last = v
        return last

    def is_sustained(self, onset, confirmed, base, way):
        last = self.lasts_until(confirmed or onset, base, way)
        days = self.rule.sustained_days_of(way)
        if self.rule.confirming_visits == "confirming_only":
            due = [v for v in self.visits if v.day >= onset.day and v.day - onset.day >= days]
            return self.changed(due[0] if due else self.visits[-1], *base, way)
        failed = [v for v in self.visits if v.day > last.day]
        return not failed or failed[0].day - onset.day >= days

    def persists(self, onset, way):
        rule = self.rule
        back = OTHER[way]
        if not rule.persistence_days:
            return True
        for start in self.visits:
            if 0 < start.day - onset.day <= rule.persistence_days:
                late = [v for v in self.visits
                        if v.day > start.day and v.day - start.day >= rule.persistence_confirmation_days]  # fmt: skip
                path = [v for v in self.visits if late and start.day <= v.day <= late[0].day]
                if path and all(self.changed_from(v, onset, back) for v in path):
                    return False
        return True

    def preceding(self, baseline, onset, confirmed, way):
        rule = self.rule
        before = [v for v in self.visits if v.day < onset.day]
        if rule.pira_preceding_visit == "baseline":
            return baseline
        if rule.pira_preceding_visit == "last":
            return before[-1]
        path = [onset, *(self.between(onset, confirmed) if confirmed else [])]
        good = [v for v in before[1:]
                if all(self.changed_from(x, v, way) for x in path) and not self.is_extremum(v)]  # fmt: skip
        return good[-1] if good else before[0]

    def is_quiet(self, preceding, onset, confirmation):
        rule = self.rule
        spans = [
            [preceding - rule.pira_around_preceding_days[0], preceding + rule.pira_around_preceding_days[1]],
            [onset - rule.pira_around_event_days[0], onset + rule.pira_around_event_days[1]],
            [confirmation - rule.pira_around_confirmation_days[0], confirmation + rule.pira_around_confirmation_days[1]],
        ]  # fmt: skip
        if rule.pira_joined in ("event_confirmation", "all"):
            spans[1:] = [[spans[1][0], spans[2][1]]]
        if rule.pira_joined in ("preceding_event", "all"):
            spans[:2] = [[spans[0][0], spans[1][1]]]
        return not any(low < high and low <= r.onset <= high for low, high in spans for r in self.relapses)

    def reached(self, baseline, onset, confirmed, last, base, way):
        """Return {period: (earliest visit, earliest relapse-free visit)} and the label."""
        before = self.preceding(baseline, onset, confirmed, way).day
        pool = [v for v in self.visits if confirmed and confirmed.day <= v.day <= last.day and self.confirming(v)
                and self.in_any(onset, v, way) and self.all_hold(onset, v, base, way)]  # fmt: skip
        good = [v for v in pool if self.is_quiet(before, onset.day, v.day)]
        found = {}
        for period in self.rule.periods_of(way):
            hits = [v for v in pool if self.in_window(onset, v, period)]
            free = [v for v in good if self.in_window(onset, v, period)]
            if hits:
                found[period[0]] = (hits[0], free[0] if free else None)
        if way == "improvement":
            return found, None
        early, late = self.rule.raw_window_days
        is_raw = any(onset.day - early <= r.onset <= onset.day + late for r in self.relapses)
        is_pira = bool(good) if confirmed else self.is_quiet(before, onset.day, onset.day)
        return found, "RAW" if is_raw else "PIRA" if is_pira else "undefined"


def search(
    rule, visits, relapses, directions, *, zero=0, mobilisation=None, rebaseline=None, imputes=False, function=None
):  # fmt: skip
    """Return (first baseline or None, what was found), searching these directions from one baseline."""
    p = Patient(
        rule, visits, relapses, zero=zero, mobilisation=mobilisation, rebaseline=rebaseline, function=function
    )
    visits = p.visits
    first = p.first_baseline(directions[0])
    found = []
    if first is None:
        return None, found
    scheme = getattr(rule, f"{directions[0]}_baseline_scheme")
    moving = {"roving_up": ["worsening"], "roving_down": ["improvement"],
              "roving": ["worsening", "improvement"]}.get(scheme, [])  # fmt: skip
    below = {"none": [], "any": list(OTHER)}.get(
        rule.sub_threshold_rebaseline, [rule.sub_threshold_rebaseline]
    )
    by_relapse = "recovered" if scheme == "after_relapse" else rule.relapse_rebaseline
    goal = {"all": math.inf, "first": 1, "nth": rule.event_number}[rule.events]

    def n_events(way):
        ways = list(OTHER) if rule.event_kind == "either" else [way]
        return sum(f.outcome in ("event", "earlier_event") and f.direction in ways for f in found)

    def is_over(way):
        return n_events(way) >= goal

    base = carried = first
    closed = {}  # way -> the visit up to which the plateau of an event is not looked at, and whether it must end
    position = base.day  # the search goes on after this day
    while True:
        rest = [v for v in visits if v.day > position]
        if not rest or all(is_over(way) for way in directions):
            return first, found
        visit = rest[0]
        score = carried.score
        ref = score if rule.threshold_column is None else base.reference
        start = (score, ref)
        ways = [way for way in OTHER if p.changed(visit, *start, way)]
        takes_on = p.far(visit, rule.relapse_to_event_days) and (
            bool(ways) or (bool(below) and visit.score != score)
        )
        coming = min((r.onset for r in relapses if r.onset > base.day), default=None)
        target = None
        after = visit.day
        limit = None if coming is None else coming + rule.relapse_evaluation_days
        is_past = by_relapse.startswith("next_visit") and limit is not None and limit < visit.day
        if is_past and (by_relapse == "next_visit" or takes_on):
            over = max_over(p, coming)
            target = ("move", next((v for v in visits if v.day >= base.day and v.day >= over), None))
        else:
            for way in OTHER:
                held = closed.get(way)
                if held and visit.day > held[0] and (not held[1] or way not in ways):
                    del closed[way]
            for way in ways:
                wanted = way in directions and not is_over(way)
                if way in closed or not (wanted or way in moving or rule.search == "together"):
                    continue
                outcome, confirmed = p.judge(visit, start, way)
                if (imputes and way == "worsening" and visit is visits[-1]
                        and outcome in ("unconfirmed", "follow_up_too_short")
                        and visit.day - visits[0].day <= rule.impute_within_days):  # fmt: skip
                    outcome = "event"
                if outcome == "event" and not p.is_sustained(visit, confirmed, start, way):
                    outcome = "not_sustained"
                if outcome == "event" and not p.persists(visit, way):
                    outcome = "not_persistent"
                last = p.lasts_until(confirmed or visit, start, way)
                reached, label = p.reached(base, visit, confirmed, last, start, way)
                if outcome == "event" and way == "worsening" and rule.event_kind in ("PIRA", "RAW"):
                    outcome = "event" if label == rule.event_kind else "other_kind"
                is_valid = outcome == "event"
                resume = resume_at(rule, visit, confirmed, reached, way)
                if wanted:
                    negatives = [v for v in visits if base.day < v.day < visit.day]
                    negatives = [v for v in negatives if not p.changed(v, *start, way)]
                    if outcome == "event":
                        for f in found:
                            same = f.onset is visit and (f.direction == way or rule.search == "together")
                            if same and f.outcome in ("event", "earlier_event"):
                                f.outcome = "superseded"
                        if goal < math.inf and n_events(way) + 1 < goal:
                            outcome = "earlier_event"
                    found.append(
                        Found(outcome, way, base, carried, (negatives or [base])[-1], visit, confirmed,
                              last.day - visit.day, last is visits[-1], label if outcome in ("event", "earlier_event",
                              "other_kind") else None, reached if outcome == "event" else {})
                    )  # fmt: skip
                if confirmed is not None and way in moving:
                    target = ("move", resume)
                elif is_valid or (outcome == "other_kind" and rule.plateau == "one_event"):
                    closed[way] = (resume.day, rule.plateau == "one_event")
                    if rule.search == "together" and is_valid:
                        after = resume.day
            side = "worsening" if p.rise(visit, score) > 0 else "improvement"
            if target is None and visit.score != score and takes_on and side in moving and side in below:
                confirmed = p.small_change_confirmed(visit, score)
                if confirmed is not None:
                    target = ("move", visit if rule.proceed_from == "event" else confirmed)
            if target is None and by_relapse == "recovered":
                unsettled = p.since(base.day) < rule.relapse_recovery_days
                relapsed = any(base.day < r.onset <= visit.day for r in relapses)
                if (
                    (unsettled or relapsed)
                    and p.since(visit.day) >= rule.relapse_recovery_days
                    and p.settled(visit)
                ):
                    target = ("move", visit)
            if by_relapse == "next_visit_if_changed" and takes_on and coming is not None:
                now = base if target is None else target[1]
                then = next((v for v in visits if v.day > (after if target is None else now.day)), None)
                if coming > now.day and then is not None and limit < then.day:
                    over = max_over(p, coming)
                    target = ("move", next((v for v in visits if v.day >= over), None))
        position = after
        if target is not None:
            place = target[1]
            place = next((v for v in visits if place and v.day >= place.day and p.settled(v)), None)
            if place is None:
                return first, found
            base = place
            if rule.baseline_may_improve or p.rise(base, score) >= 0:
                carried = base
            closed, position = {}, base.day


def max_over(p, onset):
    """The day on which the relapse with this onset counts as over (the earliest of several)."""
    return min(p.over(r) for r in p.relapses if r.onset == onset)


def resume_at(rule, visit, confirmed, reached, way):
    if rule.proceed_from == "event" or confirmed is None:
        return visit
    if rule.proceed_from == "first_period":
        for period, _ in rule.periods_of(way):
            if period in reached:
                return reached[period][0]
    return confirmed
