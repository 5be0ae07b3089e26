"""One endpoint under many definitions of one study: what they share is made once.

Patients of several definitions are stacked, each under a number of his own, and settled in one go by the
same functions that settle one definition. Definitions are stacked only where everything that those
functions read of a definition is equal; what differs (events, baselines, scans) is data by then.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from ahsct.definitions import Definition, DisabilityRule
from ahsct.outcomes import disability_kernel as k
from ahsct.outcomes.activity import derive_relapses, mri_events
from ahsct.outcomes.assessments import CONTINUOUS, Assessment, Context, derive_context, disability_of
from ahsct.outcomes.derive import all_events
from ahsct.outcomes.disability_search import FEW_VISITS, runs_of, search_visits
from ahsct.outcomes.disability_tables import candidate_records
from ahsct.outcomes.disability_visits import measured_visits, relapse_arrays
from ahsct.outcomes.shared_tables import SharedTables
from ahsct.outcomes.time_to_event import settle_endpoint
from ahsct.tables import Study
from ahsct.vocabulary import CANDIDATES, EVENTS, conform, empty

ROWS_AT_ONCE = 100_000  # patients times definitions in one stack
# stacked patients are numbers, which join much faster than names
_EVENTS = pl.Schema({**EVENTS, "patient_id": pl.Int64()})
_CANDIDATES = pl.Schema({**CANDIDATES, "patient_id": pl.Int64()})

# fields of a definition that are data, or of no concern, once its days, events and assessments are there;
# what else is read of those that are left out here stands in `_stacks_by`
_IS_DATA = frozenset({"time_zero", "relapses", "mri", "disability", "estimands", "endpoints", "marks"})
# fields of a disability rule that are read when the visits are prepared, in the search, and after it
PREPARES = frozenset(
    {
        "measure",
        "custom_column",
        "custom_worsens",
        "threshold_column",
        "worsening_baseline_visit",
        "improvement_baseline_visit",
        "relapse_distance_from",
        "not_before_day",
        "same_day",
    }
)
SETTLES = frozenset({"unconfirmed_at_end", "death_before_confirmation"})
SEARCHES = frozenset(
    {
        "worsening_threshold",
        "improvement_threshold",
        "worsening_baseline_scheme",
        "improvement_baseline_scheme",
        "relapse_rebaseline",
        "relapse_recovery_days",
        "relapse_evaluation_days",
        "baseline_may_improve",
        "sub_threshold_rebaseline",
        "skip_local_extrema",
        "proceed_from",
        "confirmation_periods_days",
        "confirmation_tolerance_days",
        "confirmation_tolerances_days",
        "improvement_confirmation_periods_days",
        "improvement_confirmation_tolerances_days",
        "confirmed_by",
        "confirming_visits",
        "sustained_days",
        "improvement_sustained_days",
        "persistence_days",
        "persistence_confirmation_days",
        "relapse_to_baseline_days",
        "relapse_to_event_days",
        "relapse_to_confirmation_days",
        "raw_window_days",
        "pira_around_preceding_days",
        "pira_preceding_visit",
        "pira_around_event_days",
        "pira_around_confirmation_days",
        "pira_joined",
        "events",
        "event_number",
        "event_kind",
        "search",
        "plateau",
        "impute_probability",
        "impute_within_days",
        "impute_seed",
        "event_day",
    }
)


class Question(NamedTuple):
    """One definition, and the endpoint and estimand of it that are asked for."""

    definition: Definition
    endpoint: str
    estimand: str


def settle_many(
    study: Study, questions: Sequence[Question], *, rows_at_once: int = ROWS_AT_ONCE
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield each question's place and its composite rows, as `derive_time_to_event` but for `event_id`.

    Questions come in an order that shares most; memory does not grow with their number. Events are not
    numbered here as they are alone, so that the column is left out.

    Raises
    ------
    DefinitionError, TableError
        As `derive_outcomes`.
    """
    memory = SharedTables(study)
    groups: dict[Hashable, dict[Definition, list[int]]] = {}
    for place, question in enumerate(questions):
        same = groups.setdefault(_stacks_by(question), {})
        same.setdefault(question.definition, []).append(place)
    n_patients = max(1, study.table("patients").height)
    searches = {(_days_of(one.definition), one.definition.disability) for one in questions}
    n_visits = study.table("visits").height * len(searches)
    size = max(1, rows_at_once // n_patients)
    for group in groups.values():
        definitions = list(group.items())
        for start in range(0, len(definitions), size):
            batch = definitions[start : start + size]
            yield from _settle_batch(study, batch, questions, memory, is_compiled=n_visits > FEW_VISITS)


def _stacks_by(question: Question) -> Hashable:
    """Return all that may be read of a question once its events and assessments are there."""
    definition = question.definition
    endpoint = definition.endpoint(question.endpoint)
    return (
        _fields_but(definition, _IS_DATA),
        definition.mri.reference,
        *(_fields_but(rule, SEARCHES) for rule in definition.disability),
        endpoint,
        *(definition.estimand(id) for id in dict.fromkeys((*endpoint.estimands, question.estimand))),
    )


def _fields_but(rule: Any, left_out: frozenset[str]) -> Hashable:
    if rule is None:
        return None
    return tuple(getattr(rule, one.name) for one in fields(rule) if one.name not in left_out)


def _days_of(definition: Definition) -> Hashable:
    """Return what of a definition makes its timeline (as in `derive_context`)."""
    return definition.time_zero, definition.rebaseline, *(rule.measure for rule in definition.disability[:1])


@dataclass(frozen=True)
class _Slice:
    """One definition's part of a stack, and the places of the questions that it answers by their estimand."""

    places: Mapping[str, list[int]]
    endpoint: str
    context: Context


def _settle_batch(
    study: Study,
    batch: list[tuple[Definition, list[int]]],
    questions: Sequence[Question],
    memory: SharedTables,
    *,
    is_compiled: bool,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Settle definitions that stack, apart where the study lacks something for some of them."""
    by_lack: dict[Hashable, list[_Slice]] = {}
    for definition, asked in batch:
        places: dict[str, list[int]] = {}
        for place in asked:
            places.setdefault(questions[place].estimand, []).append(place)
        endpoint = definition.endpoint(questions[asked[0]].endpoint)
        alone = replace(definition, endpoints=(endpoint,), primary_endpoint=endpoint.id)
        context = derive_context(study, alone, memory=memory)
        if all(_is_known(component, alone) for component in endpoint.components):
            lacks = tuple(one.study_lacks for one in context.assessments.values())
            by_lack.setdefault(lacks, []).append(_Slice(places, endpoint.id, context))
            continue
        events, _, candidates = all_events(context)
        rows, _ = settle_endpoint(context, events, candidates, endpoint=endpoint.id, only=list(places))
        for estimand, own in places.items():
            table = rows.filter(pl.col("estimand") == estimand).drop("event_id")
            yield from ((place, table) for place in own)
    for slices in by_lack.values():
        yield from _settle_stack(slices, memory, is_compiled=is_compiled)


def _is_known(component: str, definition: Definition) -> bool:
    """Whether the events of a component are found here; others are derived whole, definition by definition."""
    spec = definition.components[component]
    is_single = spec.measure is not None and definition.combined_rule(spec.measure) is None
    return spec.kind in (*CONTINUOUS, "mri_activity") or is_single


def _settle_stack(
    slices: list[_Slice], memory: SharedTables, *, is_compiled: bool
) -> Iterator[tuple[int, pl.DataFrame]]:
    endpoint, context = slices[0].endpoint, slices[0].context
    components = dict.fromkeys(context.definition.endpoint(endpoint).components)
    parts = [one.context.assessments for one in slices]
    not_stacked = cast("pl.DataFrame", _NotStacked())

    def stacked(frames: list[pl.DataFrame]) -> pl.DataFrame:
        return memory.stacked([memory.numbered(frame) for frame in frames])

    together = Context(
        study=_StackedStudy(
            **{one.name: getattr(context.study, one.name) for one in fields(Study)},
            memory=memory,
            n_slices=len(slices),
        ),
        definition=context.definition,
        timeline=stacked([one.context.timeline for one in slices]).with_columns(
            (pl.col("patient_id") // len(memory.names)).alias("stack")
        ),
        visits=not_stacked,
        relapses=not_stacked,
        scans=not_stacked,
        assessments={
            name: Assessment(
                stacked([part[name].days for part in parts]),
                stacked([part[name].lacking for part in parts]),
                parts[0][name].study_lacks,
            )
            for name in components
        },
    )
    found = [_events_of(name, slices, memory, is_compiled=is_compiled) for name in components]
    events = pl.concat([empty(_EVENTS), *(events for events, _ in found)])
    candidates = pl.concat([empty(_CANDIDATES), *(rejected for _, rejected in found)])
    estimands = list(dict.fromkeys(id for one in slices for id in one.places))
    rows, _ = settle_endpoint(together, events, candidates, endpoint=endpoint, only=estimands)
    for id in estimands:
        own = rows.filter(pl.col("estimand") == id).drop("event_id")
        number = own["patient_id"].cast(pl.Int64)
        own = own.with_columns(memory.names.gather(number % len(memory.names)).alias("patient_id"))
        cuts = np.searchsorted(number.to_numpy(), np.arange(len(slices) + 1) * len(memory.names))
        for one, (start, stop) in zip(slices, pairwise(cuts), strict=True):
            table = own.slice(int(start), int(stop - start))
            yield from ((place, table) for place in one.places.get(id, ()))


class _NotStacked:
    """Stands where a stack has no table, so that reading one is an error and no wrong number."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"settling reads `{name}` of a table that is not stacked")


@dataclass(frozen=True)
class _StackedStudy(Study):
    """A study whose tables come back stacked, when they are asked for."""

    memory: SharedTables | None = None
    n_slices: int = 1

    def table(self, name: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
        assert self.memory is not None
        return self.memory.stacked([self.memory.numbered(super().table(name, columns))] * self.n_slices)


def _events_of(
    component: str, slices: list[_Slice], memory: SharedTables, *, is_compiled: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the events of a component in all slices, and the changes that follow-up was too short to confirm."""
    none = empty(_EVENTS), empty(_CANDIDATES)
    kind = slices[0].context.definition.components[component].kind
    if kind == "death":
        return none
    if kind in ("relapse", "mri_activity"):
        events = [memory.numbered(_activity(kind, one.context, memory)) for one in slices]
        return memory.stacked(events), none[1]
    by_visits: dict[Hashable, list[int]] = {}
    for number, one in enumerate(slices):
        rule = _rule_of(component, one.context.definition)
        if rule.column in one.context.visits.columns:
            key = (_days_of(one.context.definition), _fields_but(rule, SEARCHES | SETTLES), rule.event_day)
            by_visits.setdefault(key, []).append(number)
    parts = [
        _changes(
            component,
            [(number, slices[number].context) for number in numbers],
            memory,
            is_compiled=is_compiled,
        )
        for numbers in by_visits.values()
    ]
    return pl.concat([none[0], *(one for one, _ in parts)]), pl.concat([none[1], *(one for _, one in parts)])


def _rule_of(component: str, definition: Definition) -> DisabilityRule:
    return disability_of(definition.components[component], definition)


def _activity(kind: str, context: Context, memory: SharedTables) -> pl.DataFrame:
    definition, days = context.definition, _days_of(context.definition)
    if kind == "relapse":
        return memory.once(
            ("relapse events", days, definition.relapses),
            lambda: derive_relapses(context.relapses, rule=definition.relapses),
        )
    return memory.once(
        ("scan events", days, definition.mri), lambda: mri_events(context.scans, rule=definition.mri)
    )


def _changes(
    component: str, contexts: list[tuple[int, Context]], memory: SharedTables, *, is_compiled: bool
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Search the same visits under one rule after the other; tell of all findings in one table."""
    context = contexts[0][1]
    first, direction = (
        _rule_of(component, context.definition),
        context.definition.components[component].direction,
    )
    sign = 1 if direction == "worsening" else -1
    days = (
        context.definition.time_zero,
        context.definition.rebaseline,
        context.definition.disability[0].measure,
    )
    prepared = (days, _fields_but(first, SEARCHES | SETTLES))
    measured = memory.once(
        ("measured", prepared), lambda: measured_visits(context.visits, first, function="settle_many")
    )
    over = memory.once(
        ("over", prepared),
        lambda: relapse_arrays(context.known_relapses, measured.patients, first, function="settle_many"),
    )
    found = []
    for _, one in contexts:
        rule = _rule_of(component, one.definition)

        def search(rule: DisabilityRule = rule) -> Any:
            runs = [run for run in runs_of(rule) if direction in run]  # none where only the other is reported
            parts = [
                search_visits(measured, over, rule, run, is_compiled=is_compiled).records for run in runs
            ]
            rows = np.concatenate([np.empty((0, k.N_COLUMNS), dtype=np.int64), *parts])
            is_wanted = (rows[:, k.DIRECTION] == sign) & np.isin(
                rows[:, k.OUTCOME], (k.EVENT, k.FOLLOW_UP_TOO_SHORT)
            )
            return rows[is_wanted]

        found.append(memory.once(("search", direction, days, _fields_but(rule, SETTLES)), search))
    visits = memory.numbered(measured.frame)
    records = candidate_records(
        np.concatenate(found),
        replace(measured, frame=visits),
        first,
        has_relapses=context.known_relapses is not None,
        hash="",
    )
    slices = np.repeat([number for number, _ in contexts], [len(rows) for rows in found])
    records = memory.moved(records, slices)
    is_event = pl.col("rejected_because").is_null()
    return conform(records.filter(is_event), _EVENTS), conform(records.filter(~is_event), _CANDIDATES)
