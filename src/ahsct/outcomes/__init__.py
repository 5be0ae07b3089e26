"""What happened to each patient."""

from ahsct.outcomes.activity import derive_mri_activity, derive_relapses
from ahsct.outcomes.derive import Outcomes, derive_outcomes
from ahsct.outcomes.disability import Disability, derive_disabilities, derive_disability
from ahsct.outcomes.evaluability import derive_evaluability
from ahsct.outcomes.from_msprog import disability_rule_from_msprog
from ahsct.outcomes.time_to_event import derive_time_to_event

__all__ = [
    "Disability",
    "Outcomes",
    "derive_disabilities",
    "derive_disability",
    "derive_evaluability",
    "derive_mri_activity",
    "derive_outcomes",
    "derive_relapses",
    "derive_time_to_event",
    "disability_rule_from_msprog",
]
