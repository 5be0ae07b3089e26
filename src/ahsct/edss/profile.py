"""How published versions of the EDSS differ, as named switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ahsct.errors import RequestError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class EdssProfile:
    """One version of the EDSS.

    `cerebral_grade_1` "ignored": mood or mild fatigue alone does not count (Kurtzke's note; some
    protocols drop fatigue). `one_grade_4_with_grade_2`: the step of a single grade 4 beside grades 2
    at most. `one_grade_4_with_three_grade_3`: the step of a single grade 4 beside three or more grades 3.
    `walking`: how aid and distance become an ambulation score; "neurostatus" splits one-sided aid at
    50 m and two-sided at 120 m, "kurtzke" gives 6.0 for one side and 6.5 for both.
    """

    name: str
    cerebral_grade_1: Literal["counts", "ignored"] = "counts"
    one_grade_4_with_grade_2: Literal["4.5", "4.0"] = "4.5"
    one_grade_4_with_three_grade_3: Literal["5.0", "4.5"] = "5.0"
    walking: Literal["neurostatus", "kurtzke"] = "neurostatus"


PROFILES = {
    profile.name: profile
    for profile in (
        EdssProfile(name="neurostatus"),
        EdssProfile(name="kurtzke", cerebral_grade_1="ignored", walking="kurtzke"),
        EdssProfile(
            name="lenient",
            cerebral_grade_1="ignored",
            one_grade_4_with_grade_2="4.0",
            one_grade_4_with_three_grade_3="4.5",
        ),
    )
}


def load_profile(name_or_profile: str | EdssProfile) -> EdssProfile:
    """Return a profile by its name; a profile is returned as it is.

    Raises
    ------
    RequestError
        There is no profile of that name.

    Examples
    --------
    >>> load_profile("neurostatus").one_grade_4_with_grade_2
    '4.5'
    """
    if isinstance(name_or_profile, EdssProfile):
        return name_or_profile
    if name_or_profile not in PROFILES:
        raise RequestError(
            f"No EDSS profile {name_or_profile!r}; known are {', '.join(PROFILES)}."
            f"{did_you_mean(name_or_profile, PROFILES)}"
        )
    return PROFILES[name_or_profile]
