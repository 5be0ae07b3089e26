"""Published rule sets applied to patients: met, not met, unknown; HCT-CI with its versions."""

from ahsct.eligibility.assess import Eligibility, assess_eligibility
from ahsct.eligibility.facts import derive_facts
from ahsct.eligibility.hct_ci import hct_ci
from ahsct.eligibility.told import read_patient
from ahsct.eligibility.views import disagreements, nearest_misses, rule_flow

__all__ = [
    "Eligibility",
    "assess_eligibility",
    "derive_facts",
    "disagreements",
    "hct_ci",
    "nearest_misses",
    "read_patient",
    "rule_flow",
]
