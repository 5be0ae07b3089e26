"""A disability rule in words: every field of it stands in a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.report.formats import and_list
from ahsct.report.words import words

_BASELINES = {
    "first": "the first visit",
    "screening": "the screening visit",
    "last_before_mobilisation": "the last visit before mobilisation",
    "last_before_time_zero": "the last visit before time zero",
    "rebaseline": "the re-baseline visit",
}
_RELAPSE_REBASELINES = {
    "none": "",
    "recovered": " A relapse moves it to each first visit after the time for recovery.",
    "next_visit": " A relapse moves it to the first visit on or after the relapse, once the search passes that "
    "relapse by more than {days} days.",
    "next_visit_if_changed": " A relapse moves it to the first visit on or after the relapse, once a changed visit "
    "takes the search past that relapse by more than {days} days.",
}
_EXTREMA = {
    "none": "",
    "strict": " A visit that differs from both neighbours by the threshold, in the same direction, is no baseline.",
    "all": " A visit that is better or worse than both neighbours is no baseline.",
}
_PROCEED = {
    "confirmation": "the earliest confirmation",
    "event": "the event",
    "first_period": "the earliest confirmation of the first period listed",
}
_CONFIRMED_BY = {
    "threshold": "meets the threshold",
    "at_or_above_event": "is at or beyond the value of the event",
    "monotonic": "is at or beyond the value of the visit before",
}
_PRECEDING = {
    "baseline": "the baseline visit",
    "last": "the last visit before the onset",
    "last_delta": "the last visit from which the change meets the threshold",
}
_JOINED = {
    "none": "",
    "preceding_event": " The windows of the visit before and of the onset are joined.",
    "event_confirmation": " The windows of the onset and of the confirmation are joined.",
    "all": " The three windows are joined.",
}
_KINDS = {
    "each_direction": "of each direction",
    "either": "of either direction",
    "worsening": "of worsening",
    "improvement": "of improvement",
    "PIRA": "that are PIRA",
    "RAW": "that are RAW",
}
_UNCONFIRMED = {
    "censor_before_onset": "ends the follow-up of that measure before its onset",
    "censor_at_last_visit": "ends the follow-up of that measure at the last visit",
    "event": "counts as an event",
    "interval": "is taken as an event that may lie beyond the last visit",
}
_DEATH_BEFORE = {
    "event": "confirms it",
    "death_only": "counts as a death only",
    "censor": "ends the follow-up of that measure",
}
_SAME_DAY = {
    "error": "are refused as an error",
    "last_row": "are settled by the last row",
    "worst": "are settled by the worst value",
}


def disability_sentences(rule: DisabilityRule) -> Iterator[tuple[str, str]]:
    """Yield each sentence with the names of the fields it puts into words.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> next(disability_sentences(load_definition("atkins2016").disability_rule("edss")))[0]
    'Worsening: a change of at least 1 where the baseline is from 0 to under 5.5, at least 0.5 where the baseline is
    from 5.5 on.'
    """
    looked_up = f" (looked up by {words(rule.threshold_column)})" if rule.threshold_column else ""
    custom = f" {rule.custom_column} worsens as it goes {rule.custom_worsens}." if rule.custom_column else ""
    yield (
        f"Worsening: {_thresholds(rule.worsening_threshold)}{looked_up}.{custom}",
        "measure worsening_threshold threshold_column custom_column custom_worsens",
    )
    yield f"Improvement: {_thresholds(rule.improvement_threshold)}{looked_up}.", "improvement_threshold"
    yield from _baseline_sentences(rule)
    yield from _confirmation_sentences(rule)
    yield from _relapse_sentences(rule)
    yield from _report_sentences(rule)


def _baseline_sentences(rule: DisabilityRule) -> Iterator[tuple[str, str]]:
    for direction in ("worsening", "improvement"):
        visit = _BASELINES[getattr(rule, f"{direction}_baseline_visit")]
        scheme = words(getattr(rule, f"{direction}_baseline_scheme"))
        yield (
            f"Baseline of {direction}: {visit} ({scheme}).",
            f"{direction}_baseline_visit {direction}_baseline_scheme",
        )
    below = rule.sub_threshold_rebaseline
    kinds = "change" if below == "any" else below
    yield (
        f"A baseline that moves goes to {_PROCEED[rule.proceed_from]}."
        + _RELAPSE_REBASELINES[rule.relapse_rebaseline].format(days=rule.relapse_evaluation_days)
        + ("" if below == "none" else f" A confirmed {kinds} below the threshold moves it too.")
        + (
            ""
            if rule.baseline_may_improve
            else " A moved baseline keeps the value of the one before where it is better."
        )
        + _EXTREMA[rule.skip_local_extrema],
        "proceed_from relapse_rebaseline relapse_evaluation_days sub_threshold_rebaseline baseline_may_improve "
        "skip_local_extrema",
    )
    yield (
        f"After a relapse {rule.relapse_recovery_days} days are allowed for recovery."
        if rule.relapse_recovery_days
        else "No time for recovery after a relapse is set.",
        "relapse_recovery_days",
    )
    yield (
        f"Distances after a relapse count from its {'last day' if rule.relapse_distance_from == 'end' else 'onset'}.",
        "relapse_distance_from",
    )


def _confirmation_sentences(rule: DisabilityRule) -> Iterator[tuple[str, str]]:
    improvement = (
        f" Improvement: after {_periods(rule, 'improvement')}."
        if rule.periods_of("improvement") != rule.periods_of("worsening")
        else ""
    )
    yield (
        f"Confirmed after {_periods(rule, 'worsening')} by a visit that {_CONFIRMED_BY[rule.confirmed_by]}; "
        + (
            "every visit between must hold too."
            if rule.confirming_visits == "every"
            else "visits between may differ."
        )
        + improvement,
        "confirmation_periods_days confirmation_tolerance_days confirmation_tolerances_days confirmed_by "
        "confirming_visits improvement_confirmation_periods_days improvement_confirmation_tolerances_days",
    )
    own = rule.improvement_sustained_days
    yield (
        _sustained("It", rule.sustained_days)
        + ("" if own is None else f" {_sustained('An improvement', own)}"),
        "sustained_days improvement_sustained_days",
    )
    if rule.persistence_days:
        span = (
            "to the end of follow-up"
            if math.isinf(rule.persistence_days)
            else f"for {rule.persistence_days:g} days"
        )
        persists = (
            f"It must persist {span}: no change back from the event's value by the threshold, confirmed "
            f"after {rule.persistence_confirmation_days} days."
        )
    else:
        persists = "It need not persist."
    yield persists, "persistence_days persistence_confirmation_days"


def _periods(rule: DisabilityRule, direction: str) -> str:
    """Return the periods in words, each with its tolerance where these differ."""
    periods = rule.periods_of(direction)
    spans = [_tolerance(pair) for _, pair in periods]
    if len(set(spans)) == 1:
        days = [f"{period}" for period, _ in periods]
        return f"{and_list(days).replace(' and ', ' or ')} days ({spans[0]})"
    named = [f"{period} days ({span})" for (period, _), span in zip(periods, spans, strict=True)]
    return and_list(named).replace(" and ", " or ")


def _tolerance(pair: tuple[float, float]) -> str:
    early, late = pair
    return f"from {early:g} days early to {'any time later' if math.isinf(late) else f'{late:g} days late'}"


def _sustained(what: str, days: float) -> str:
    if math.isinf(days):
        return f"{what} must hold to the last visit."
    if days:
        return f"{what} must hold for at least {days:g} days."
    return f"After its confirmation {what[0].lower()}{what[1:]} need not hold any longer."


def _relapse_sentences(rule: DisabilityRule) -> Iterator[tuple[str, str]]:
    for name in ("baseline", "event", "confirmation"):
        before, after = getattr(rule, f"relapse_to_{name}_days")
        yield (
            f"The {name} visit lies at least {before} days after a relapse and {after} days before the next."
            if before or after
            else f"The {name} visit may lie at any distance from a relapse.",
            f"relapse_to_{name}_days",
        )
    yield (
        f"Relapse-associated (RAW): onset from {rule.raw_window_days[1]} days before to {rule.raw_window_days[0]} "
        "days after a relapse.",
        "raw_window_days",
    )
    windows = [
        (rule.pira_around_event_days, "the onset"),
        (rule.pira_around_confirmation_days, "the confirmation"),
    ]
    if any(rule.pira_around_preceding_days) or rule.pira_joined in ("preceding_event", "all"):
        windows.insert(0, (rule.pira_around_preceding_days, _PRECEDING[rule.pira_preceding_visit]))
    around = ", nor ".join(
        f"from {before} days before to {after} days after {what}" for (before, after), what in windows
    )
    yield (
        f"Independent of relapse activity (PIRA): no relapse {around}.{_JOINED[rule.pira_joined]}",
        "pira_around_event_days pira_around_confirmation_days pira_around_preceding_days pira_preceding_visit "
        "pira_joined",
    )


def _report_sentences(rule: DisabilityRule) -> Iterator[tuple[str, str]]:
    which = {
        "first": "The first event",
        "all": "All events",
        "nth": f"The event of number {rule.event_number}",
    }[rule.events]
    number = "are" if rule.events == "all" else "is"
    kind = _KINDS[rule.event_kind].replace("are", number)
    yield (
        f"{which} {kind} {number} reported; the day of an event is that of its {rule.event_day}. "
        + (
            "A change in one direction does not hold up the search for the other; "
            if rule.search == "apart"
            else f"One search serves both directions and goes on from {_PROCEED[rule.proceed_from]}; "
        )
        + (
            "where the baseline stays, one plateau is one event."
            if rule.plateau == "one_event"
            else "where the baseline stays, a plateau is reported as often as it is confirmed."
        ),
        "events event_number event_kind event_day search plateau",
    )
    within = (
        ""
        if math.isinf(rule.impute_within_days)
        else f" within {rule.impute_within_days:g} days of the first"
    )
    yield (
        f"A worsening first seen at the last visit{within} counts unconfirmed with probability "
        f"{rule.impute_probability:g} (seed {rule.impute_seed})."
        if rule.impute_probability
        else "No unconfirmed change is imputed.",
        "impute_probability impute_within_days impute_seed",
    )
    yield (
        "There is no earliest day for an event."
        if rule.not_before_day is None
        else f"Events count from day {rule.not_before_day} on.",
        "not_before_day",
    )
    yield (
        f"A change not yet confirmed at the end {_UNCONFIRMED[rule.unconfirmed_at_end]}; a death before confirmation "
        f"{_DEATH_BEFORE[rule.death_before_confirmation]}.",
        "unconfirmed_at_end death_before_confirmation",
    )
    yield f"Two visits on the same day {_SAME_DAY[rule.same_day]}.", "same_day"


def _thresholds(steps: tuple[ThresholdStep, ...]) -> str:
    parts = []
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        change = f"{100 * step.change:g} %" if step.unit == "fraction" else f"{step.change:g}"
        cap = "" if step.at_most is None else f" (never more than {step.at_most:g})"
        reach = (
            f"from {step.from_value:g} on"
            if following is None
            else f"from {step.from_value:g} to under {following.from_value:g}"
        )
        parts.append(f"at least {change}{cap} where the baseline is {reach}")
    return "a change of " + ", ".join(parts)
