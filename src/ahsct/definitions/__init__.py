"""Definitions are data: frozen dataclasses, loaded strictly from TOML files with a source."""

from ahsct.definitions.components import (
    BRAIN_VOLUME_LOSS,
    BrainVolumeLossRule,
    CombinedRule,
    ComponentSpec,
)
from ahsct.definitions.composite import (
    INTERCURRENT_EVENTS,
    Endpoint,
    Estimand,
    Handling,
    MissingAssessments,
)
from ahsct.definitions.definition import (
    BrainVolumeRule,
    Definition,
    EngraftmentRule,
    EntryCriteria,
    Mark,
    Source,
    SustainedChangeRule,
    TimeZero,
    TreatmentDeathRule,
)
from ahsct.definitions.disability_rule import DisabilityRule, ThresholdStep
from ahsct.definitions.load import definition_text, list_definitions, load_definition, vary
from ahsct.definitions.norms import healthy_at, healthy_limit, list_norms, load_norm
from ahsct.definitions.rules import (
    MriRule,
    Rebaseline,
    RebaselineWindow,
    RelapseRule,
    rule_hash,
)

__all__ = [
    "BRAIN_VOLUME_LOSS",
    "INTERCURRENT_EVENTS",
    "BrainVolumeLossRule",
    "BrainVolumeRule",
    "CombinedRule",
    "ComponentSpec",
    "Definition",
    "DisabilityRule",
    "Endpoint",
    "EngraftmentRule",
    "EntryCriteria",
    "Estimand",
    "Handling",
    "Mark",
    "MissingAssessments",
    "MriRule",
    "Rebaseline",
    "RebaselineWindow",
    "RelapseRule",
    "Source",
    "SustainedChangeRule",
    "ThresholdStep",
    "TimeZero",
    "TreatmentDeathRule",
    "definition_text",
    "healthy_at",
    "healthy_limit",
    "list_definitions",
    "list_norms",
    "load_definition",
    "load_norm",
    "rule_hash",
    "vary",
]
