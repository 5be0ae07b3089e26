"""One question under many definitions (a package of this name, because `ahsct.multiverse` is the function)."""

from ahsct.multiverses.answers import multiverse
from ahsct.multiverses.spread import one_each, share_spread
from ahsct.multiverses.turning import count_crossing, turning_points
from ahsct.multiverses.whole import Multiverse, derive_multiverse

__all__ = [
    "Multiverse",
    "count_crossing",
    "derive_multiverse",
    "multiverse",
    "one_each",
    "share_spread",
    "turning_points",
]
