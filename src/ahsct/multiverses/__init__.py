"""One question under many definitions (a package of this name, because `ahsct.multiverse` is the function)."""

from ahsct.multiverses.answers import multiverse

__all__ = ["multiverse"]
