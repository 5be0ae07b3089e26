"""EDSS from the examination: functional systems and walking give the step; the rule in words; consistency."""

from ahsct.edss.consistency import find_inconsistencies
from ahsct.edss.explain import explain
from ahsct.edss.profile import PROFILES, EdssProfile, load_profile
from ahsct.edss.score import score
from ahsct.edss.walking import ambulation_from_walking

__all__ = [
    "PROFILES",
    "EdssProfile",
    "ambulation_from_walking",
    "explain",
    "find_inconsistencies",
    "load_profile",
    "score",
]
