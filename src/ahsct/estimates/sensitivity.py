"""How the primary number moves with what a definition had to choose: unconfirmed changes, and visit times."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ahsct.definitions import INTERCURRENT_EVENTS, Definition, vary
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.milestones import milestone
from ahsct.estimates.rows import stamp
from ahsct.estimates.visit_times import interval_censored_milestone
from ahsct.outcomes import Outcomes, derive_time_to_event
from ahsct.tables import Study
from ahsct.vocabulary import DAYS_PER_YEAR, RESULTS, empty

_RULES = ("censor_before_onset", "censor_at_last_visit", "event")


def sensitivity_rows(study: Study, outcomes: Outcomes, definition: Definition) -> pl.DataFrame:
    """Return the primary milestone under each rule for unconfirmed changes, as detected and interval-censored.

    Statistic "sensitivity_survival_probability"; `term` names the rule. The definition's own rule as detected is not repeated: it is the headline.
    Estimands under which events compete are left out.
    """
    own = _own_rule(definition)
    base = _primary(outcomes.time_to_event, definition)
    if base.is_empty():
        return empty(RESULTS)
    interval_censored = _each_curve(interval_censored_milestone, base, definition)
    parts = [_labelled(interval_censored, own or "as defined")]
    # the rules differ only in what they make of changes that follow-up was too short to confirm
    any_unconfirmed = (outcomes.candidates["rejected_because"] == "follow_up_too_short").any()
    for rule in _RULES if own else ():
        if rule == own:
            continue
        table = _primary(_under(rule, study, outcomes, definition), definition) if any_unconfirmed else base
        is_same = table.equals(base)
        detected = _each_curve(_as_detected, table, definition)
        seen_at_visits = (
            interval_censored if is_same else _each_curve(interval_censored_milestone, table, definition)
        )
        parts += [_labelled(rows, rule) for rows in (detected, seen_at_visits)]
    return pl.concat(parts)


def _own_rule(definition: Definition) -> str | None:
    """Return the rule for unconfirmed changes, where the primary endpoint counts changes of disability."""
    rules = set()
    for name in definition.endpoint(definition.primary_endpoint).components:
        component = definition.components[name]
        if component.measure is None or component.direction != "worsening":
            continue
        combined = definition.combined_rule(component.measure)
        measures = combined.measures if combined else (component.measure,)
        rules |= {definition.disability_rule(measure).unconfirmed_at_end for measure in measures}
    return rules.pop() if len(rules) == 1 else None


def _under(rule: str, study: Study, outcomes: Outcomes, definition: Definition) -> pl.DataFrame:
    changes = {f"disability.{one.measure}.unconfirmed_at_end": rule for one in definition.disability}
    return derive_time_to_event(
        study,
        outcomes.events,
        endpoint=definition.primary_endpoint,
        definition=vary(definition, **changes),
        candidates=outcomes.candidates,
    )


def _primary(time_to_event: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return the composite rows of the primary endpoint under estimands without competing events."""
    endpoint = definition.endpoint(definition.primary_endpoint)
    estimands = [
        id
        for id in endpoint.estimands
        if all(
            definition.estimand(id).handling(event).handling != "competing" for event in INTERCURRENT_EVENTS
        )
    ]
    return time_to_event.filter(
        (pl.col("endpoint") == endpoint.id)
        & (pl.col("component") == "composite")
        & pl.col("estimand").is_in(estimands)
    )


def _each_curve(
    estimate: Callable[[pl.DataFrame, Definition], pl.DataFrame], table: pl.DataFrame, definition: Definition
) -> pl.DataFrame:
    parts = [empty(RESULTS)]
    for id in definition.endpoint(definition.primary_endpoint).estimands:
        for arm in table["arm"].unique().sort():
            asked = table.filter((pl.col("estimand") == id) & (pl.col("arm") == arm))
            group = asked.filter("is_evaluable")
            if group.height:
                parts.append(stamp(estimate(group, definition), n_not_evaluable=asked.height - group.height))
    return pl.concat(parts)


def _as_detected(group: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    curve = kaplan_meier(group, interval=definition.interval, conf_level=definition.conf_level)
    return milestone(curve, at_years=definition.primary_milestone_days / DAYS_PER_YEAR)


def _labelled(rows: pl.DataFrame, rule: str) -> pl.DataFrame:
    return stamp(rows, statistic="sensitivity_survival_probability", term=rule.replace("_", " "))
