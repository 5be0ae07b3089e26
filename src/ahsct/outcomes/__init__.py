"""What happened to each patient."""

from ahsct.outcomes.activity import derive_mri_activity, derive_relapses
from ahsct.outcomes.derive import Outcomes, derive_outcomes
from ahsct.outcomes.disability import Disability, derive_disabilities, derive_disability
from ahsct.outcomes.edss_panel import derive_edss_panel, edss_bands
from ahsct.outcomes.evaluability import derive_evaluability
from ahsct.outcomes.from_msprog import disability_rule_from_msprog
from ahsct.outcomes.stays import Stays, derive_stays
from ahsct.outcomes.time_to_event import derive_time_to_event

__all__ = [
    "Disability",
    "Outcomes",
    "Stays",
    "derive_disabilities",
    "derive_disability",
    "derive_edss_panel",
    "derive_evaluability",
    "derive_mri_activity",
    "derive_outcomes",
    "derive_relapses",
    "derive_stays",
    "derive_time_to_event",
    "disability_rule_from_msprog",
    "edss_bands",
]
