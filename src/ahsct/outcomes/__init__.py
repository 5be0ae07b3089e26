"""What happened to each patient."""

from ahsct.outcomes.activity import derive_mri_activity, derive_relapses
from ahsct.outcomes.course import Course, derive_course
from ahsct.outcomes.derive import Outcomes, derive_outcomes
from ahsct.outcomes.disability import Disability, derive_disability
from ahsct.outcomes.edss_panel import derive_edss_panel, edss_bands
from ahsct.outcomes.time_to_event import derive_time_to_event

__all__ = [
    "Course",
    "Disability",
    "Outcomes",
    "derive_course",
    "derive_disability",
    "derive_edss_panel",
    "derive_mri_activity",
    "derive_outcomes",
    "derive_relapses",
    "derive_time_to_event",
    "edss_bands",
]
