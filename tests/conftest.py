"""Settings of all tests: property tests draw the same examples every time and know no deadline."""

from hypothesis import settings

settings.register_profile("ahsct", deadline=None, derandomize=True)
settings.load_profile("ahsct")
