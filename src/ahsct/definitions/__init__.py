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
from ahsct.definitions.grid import (
    Choice,
    Dimension,
    Excluded,
    Grid,
    GridMark,
    Point,
    Together,
    list_grids,
    load_grid,
    published_at,
)
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
    "Choice",
    "CombinedRule",
    "ComponentSpec",
    "Definition",
    "Dimension",
    "DisabilityRule",
    "Endpoint",
    "EngraftmentRule",
    "EntryCriteria",
    "Estimand",
    "Excluded",
    "Grid",
    "GridMark",
    "Handling",
    "Mark",
    "MissingAssessments",
    "MriRule",
    "Point",
    "Rebaseline",
    "RebaselineWindow",
    "RelapseRule",
    "Source",
    "SustainedChangeRule",
    "ThresholdStep",
    "TimeZero",
    "Together",
    "TreatmentDeathRule",
    "definition_text",
    "healthy_at",
    "healthy_limit",
    "list_definitions",
    "list_grids",
    "list_norms",
    "load_definition",
    "load_grid",
    "load_norm",
    "published_at",
    "rule_hash",
    "vary",
]
