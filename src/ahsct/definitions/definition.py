"""A whole definition: everything that turns a study's tables into one stated answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from ahsct.definitions.components import (
    BRAIN_VOLUME_LOSS,
    BrainVolumeLossRule,
    CombinedRule,
    ComponentSpec,
    check_combined,
    component_names,
    is_reported,
)
from ahsct.definitions.composite import Endpoint, Estimand
from ahsct.definitions.disability_rule import DisabilityRule
from ahsct.definitions.norms import list_norms
from ahsct.definitions.rules import (
    MriRule,
    Rebaseline,
    RelapseRule,
    plain,
    strictly,
)
from ahsct.errors import DefinitionError, did_you_mean
from ahsct.files import json_hash


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a definition comes from, and what of it was read."""

    citation: str
    seen: Literal["full text", "abstract", "registry", "second-hand", "recalled"]
    doi: str | None = None
    url: str | None = None
    locator: str | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A field (dotted path) that the source does not give: assumed, inferred or recalled from memory."""

    field: str
    mark: Literal["assumed", "inferred", "memory"]
    note: str


@dataclass(frozen=True, kw_only=True)
class TimeZero:
    """The day from which time is counted, one kind for all arms unless said otherwise."""

    kind: Literal["randomisation", "treatment_decision", "mobilisation_start", "infusion", "comparator_start"]
    comparability: Literal["same_kind", "as_treated_not_comparable"] = "same_kind"


@dataclass(frozen=True, kw_only=True)
class EntryCriteria:
    """Entry criteria, printed and checked for every patient; a missing one was not stated."""

    age_min_years: float | None = None
    age_max_years: float | None = None
    edss_min: float | None = None
    edss_max: float | None = None
    prior_dmt_min_n: int | None = None
    ms_courses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, unit in (("age", "_years"), ("edss", "")):
            low, high = getattr(self, f"{name}_min{unit}"), getattr(self, f"{name}_max{unit}")
            if low is not None and high is not None and low > high:
                raise DefinitionError(
                    f"entry_criteria: {name}_min{unit} {low:g} is above {name}_max{unit} {high:g}."
                )


@dataclass(frozen=True, kw_only=True)
class SustainedChangeRule:
    """An improvement that is confirmed, present at a milestone and at every later visit.

    The milestone's visit is the one nearest `at_day` within `window_days` (before, after).
    """

    measure: str
    direction: Literal["improvement", "worsening"]
    at_day: int
    window_days: tuple[int, int] = (91, 91)


@dataclass(frozen=True, kw_only=True)
class EngraftmentRule:
    """EBMT: first of so many consecutive days at or above a level, neutrophils after the nadir.

    Platelets also need `platelet_transfusion_free_days` without a platelet transfusion before.
    """

    neutrophils_e9_per_l: float = 0.5
    neutrophil_days_n: int = 3
    platelets_e9_per_l: float = 20.0
    platelet_days_n: int = 3
    platelet_transfusion_free_days: int = 7


@dataclass(frozen=True, kw_only=True)
class TreatmentDeathRule:
    """Treatment-related mortality: adjudicated cause, beside any death by a stated day."""

    any_death_by_day: int = 100


@dataclass(frozen=True, kw_only=True)
class BrainVolumeRule:
    """Early loss and late slope of brain volume: a line with a break; norms never extrapolated."""

    measure: Literal["PBVC", "NBV", "GMV", "WMV", "BPF"] = "PBVC"
    break_years: float = 2.5
    sensitivity_breaks_years: tuple[float, ...] = (1.0, 1.5, 2.0, 3.0)
    norms: tuple[str, ...] = ()
    longest_followed_n: int | None = None

    def __post_init__(self) -> None:
        if min((self.break_years, *self.sensitivity_breaks_years)) <= 0:
            raise DefinitionError("brain_volume: breaks are years after time zero and must be above 0.")
        for norm in self.norms:
            if norm not in list_norms():
                raise DefinitionError(
                    f"brain_volume: no norm {norm!r}; known are {', '.join(list_norms())}."
                    f"{did_you_mean(norm, list_norms())}"
                )


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One published (or a user's own) way to answer a trial's question.

    Times are whole days from `time_zero`; `milestones_days` are whole days (1096 = 3 years).
    """

    schema: Literal[1]
    id: str
    title: str
    question: str
    source: Source
    time_zero: TimeZero
    relapses: RelapseRule
    mri: MriRule
    disability: tuple[DisabilityRule, ...]
    estimands: tuple[Estimand, ...]
    endpoints: tuple[Endpoint, ...]
    primary_endpoint: str
    primary_milestone_days: int
    milestones_days: tuple[int, ...]
    interval: Literal["log-log", "log", "plain", "logit", "arcsine"] = "log-log"
    conf_level: float = 0.95
    rebaseline: Rebaseline = field(default_factory=Rebaseline)
    entry_criteria: EntryCriteria | None = None
    sustained_change: SustainedChangeRule | None = None
    engraftment: EngraftmentRule = field(default_factory=EngraftmentRule)
    treatment_death: TreatmentDeathRule = field(default_factory=TreatmentDeathRule)
    brain_volume: BrainVolumeRule | None = None
    brain_volume_loss: BrainVolumeLossRule | None = None
    combined: tuple[CombinedRule, ...] = ()
    marks: tuple[Mark, ...] = ()

    def __post_init__(self) -> None:
        ids = [endpoint.id for endpoint in self.endpoints]
        if self.primary_endpoint not in ids:
            raise DefinitionError(
                f"primary_endpoint {self.primary_endpoint!r} is none of the endpoints {ids}."
                f"{did_you_mean(self.primary_endpoint, ids)}"
            )
        if len(set(ids)) < len(ids):
            raise DefinitionError(f"an endpoint is named twice: {ids}.")
        measures: list[str] = [rule.measure for rule in self.disability]
        if len(set(measures)) < len(measures):
            raise DefinitionError(f"two disability rules have the same measure: {measures}.")
        if not 0 < self.conf_level < 1:
            raise DefinitionError(f"conf_level must lie between 0 and 1, not {self.conf_level}.")
        if min((self.primary_milestone_days, *self.milestones_days)) <= 0:
            raise DefinitionError("primary_milestone_days and milestones_days must be days above 0.")
        for rule in self.disability:
            visits = (rule.worsening_baseline_visit, rule.improvement_baseline_visit)
            if "rebaseline" in visits and self.rebaseline.clinical is None:
                raise DefinitionError(
                    f"disability rule {rule.measure!r} takes its baseline at the re-baseline, but there is no "
                    "[rebaseline.clinical]. Add it, or choose another baseline visit."
                )
        check_combined(self.combined, {rule.measure: rule for rule in self.disability})
        if self.brain_volume_loss is not None and self.rebaseline.mri is None:
            raise DefinitionError(
                "brain_volume_loss counts from the re-baseline alone, but there is no [rebaseline.mri]. Add it."
            )
        known = self.components
        for endpoint in self.endpoints:
            self._check_estimands(endpoint)
            for component in endpoint.components:
                if component not in known:
                    hint = "" if component != BRAIN_VOLUME_LOSS else " It needs a [brain_volume_loss] rule."
                    raise DefinitionError(
                        f"endpoint {endpoint.id!r} has component {component!r}; known are {sorted(known)}."
                        f"{did_you_mean(component, known)}{hint}"
                    )

                self._check_reported(endpoint, known[component])

    def _check_reported(self, endpoint: Endpoint, component: ComponentSpec) -> None:
        if component.measure is None:
            return
        combined = self.combined_rule(component.measure)
        for measure in combined.measures if combined else (component.measure,):
            rule = self.disability_rule(measure)
            if not is_reported(component, rule):
                raise DefinitionError(
                    f"endpoint {endpoint.id!r} has component {component.name!r}, but the disability rule "
                    f"{measure!r} reports events = {rule.events!r} of event_kind = {rule.event_kind!r}, which may "
                    'leave it out. Use events = "all", or the event_kind of the component.'
                )

    def _check_estimands(self, endpoint: Endpoint) -> None:
        found = [self.estimand(id) for id in endpoint.estimands]
        if any(not e.is_estimand for e in found) and not any(e.counts_everyone for e in found):
            raise DefinitionError(
                f"endpoint {endpoint.id!r} leaves deaths out as published; add an estimand that counts everyone "
                "(treatment_death and other_death: composite, event)."
            )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of all fields."""
        return json_hash(plain(self))

    @cached_property
    def components(self) -> dict[str, ComponentSpec]:
        """Every component that an endpoint of this definition may name."""
        return component_names(
            self.disability, self.combined, has_volume_rule=self.brain_volume_loss is not None
        )

    def combined_rule(self, id: str) -> CombinedRule | None:
        """Return the combined rule of this id, or None where it names a single measure."""
        return next((rule for rule in self.combined if rule.id == id), None)

    def endpoint(self, id: str) -> Endpoint:
        """Return one endpoint by its id."""
        for endpoint in self.endpoints:
            if endpoint.id == id:
                return endpoint
        ids = [endpoint.id for endpoint in self.endpoints]
        raise DefinitionError(f"{self.id} has no endpoint {id!r}, only {ids}.{did_you_mean(id, ids)}")

    def estimand(self, id: str) -> Estimand:
        """Return one estimand by its id."""
        for estimand in self.estimands:
            if estimand.id == id:
                return estimand
        ids = [estimand.id for estimand in self.estimands]
        raise DefinitionError(f"{self.id} has no estimand {id!r}, only {ids}.{did_you_mean(id, ids)}")

    def disability_rule(self, measure: str = "edss") -> DisabilityRule:
        """Return the disability rule of one measure."""
        for rule in self.disability:
            if rule.measure == measure:
                return rule
        measures = [rule.measure for rule in self.disability]
        raise DefinitionError(f"{self.id} has no disability rule for {measure!r}, only {measures}.")

    def mark_of(self, field: str) -> Mark | None:
        """Return the mark on a field (dotted path), or on the block that holds it."""
        for mark in self.marks:
            if field == mark.field or field.startswith(mark.field + "."):
                return mark
        return None


strictly(
    Source,
    Mark,
    TimeZero,
    EntryCriteria,
    SustainedChangeRule,
    EngraftmentRule,
    TreatmentDeathRule,
    BrainVolumeRule,
    Definition,
)
