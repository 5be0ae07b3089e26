"""NEDA-4 in seven patients whose components were last assessed on different days; the arithmetic stands beside each.

Visits on days 200 to 1000, scans on 180 (re-baseline), 365, 730, 1095, brain volumes on 180, 545, 910 (the first
is the re-baseline), contact to day 2000.
"""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import vary
from ahsct.outcomes import derive_time_to_event

IDS = list("abcdefg")
COMPONENTS = ["relapse", "mri_activity", "edss_worsening", "brain_volume_loss"]
WINDOW = {"target_day": 183, "window_days": [122, 274]}


def study(build: Any) -> Any:
    return build.study(
        patients=pl.DataFrame({"patient_id": IDS}),
        visits=build.visits(*[(p, day) for p in IDS for day in range(200, 1001, 200)], baseline="".join(IDS)),
        mri=build.scans(*[(p, day) for p in IDS if p != "g" for day in (180, 365, 730, 1095)]),
        brain_volume=build.rows(
            "patient_id scan_day measure value reference_scan_day",
            *[(p, day, "PBVC", 0.0, 180) for p in IDS for day in (180, 545, 910)],
        ),
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            ("b", 1200, "dead", 1200, "other"),
            *[(p, 2000, "alive", None, None) for p in IDS if p != "b"],
        ),
    )


def events(build: Any) -> pl.DataFrame:
    return build.events(
        build.event("c", "mri_activity", 730, 365),
        build.worsening("c", 800, 600),
        build.event("d", "relapse", 500),
        build.event("e", "brain_volume_loss", 910, 545),
        build.event("f", "relapse", 600),
        build.worsening("f", 600, 400),
        build.event("g", "relapse", 500),
    )


def rows(build: Any, **missing: Any) -> dict[str, tuple[Any, ...]]:
    definition = vary(
        build.definition("relapse"),
        rebaseline={"mri": WINDOW},
        brain_volume_loss={"max_loss_pct_per_year": 0.4},
        endpoints__e__components=COMPONENTS,
        endpoints__e__missing=missing,
    )
    table = derive_time_to_event(study(build), events(build), endpoint="e", definition=definition)
    names = ("left_day", "right_day", "time_day", "cause", "cause_is_certain", "censor_reason")
    return {
        row["patient_id"]: tuple(row[name] for name in names)
        for row in table.filter(pl.col("component") == "composite").iter_rows(named=True)
    }


EXPECTED = {
    # nothing: the earliest last assessment is the volume of day 910
    "a": (910, None, 910, None, True, "last assessment of brain_volume_loss"),
    # dies on day 1200, last seen free on days 1000 (visit), 1095 (scan), 910 (volume)
    "b": (910, 1200, 1200, "other_death", True, None),
    # lesion found on 730, none on 365; visit of 600, volume of 545. The worsening in (600, 800] may have come first
    "c": (365, 730, 730, "mri_activity", False, None),
    # relapse on 500: scan of 365, visit of 400, re-baseline volume of 180
    "d": (180, 500, 500, "relapse", True, None),
    # loss in (545, 910]: scan of 730, visit of 800
    "e": (545, 910, 910, "brain_volume_loss", True, None),
    # relapse and worsening on one day: the first in the order of the definition, and not certain; scan of 365
    "f": (365, 600, 600, "relapse", False, None),
}


def test_the_interval_and_the_cause_of_each(build: Any) -> None:
    found = rows(build)
    assert {p: found[p] for p in EXPECTED} == EXPECTED
    # never scanned: a relapse alone is no answer to what is free of lesions too
    assert found["g"][3:] == (None, True, "no re-baseline scan from day 122 to 274")


@pytest.mark.parametrize(
    ("missing", "a", "e"),
    [
        # gaps of 365 days (scans, volumes) are allowed
        ({"rule": "censor_at_last_complete", "max_gap_days": 365}, 910, 910),
        # they are too long: the first is that from the volume of day 180, whose component is complete to there
        ({"rule": "censor_at_last_complete", "max_gap_days": 364}, 180, None),
        ({"rule": "interval", "max_gap_days": 364}, 910, 910),
        # each assessment speaks for 400 days: 910 + 400 comes before 1000 + 400, 1095 + 400 and the last contact
        ({"rule": "censor_at_last_complete", "covers_days": 400}, 1310, 910),
    ],
)
def test_each_rule_for_what_was_not_assessed(
    build: Any, missing: dict[str, Any], a: int, e: int | None
) -> None:
    found = rows(build, **missing)
    assert (found["a"][2], found["a"][1]) == (a, None)
    assert found["e"][1] == e


def test_a_patient_with_too_long_a_gap_may_leave(build: Any) -> None:
    found = rows(build, rule="not_evaluable", max_gap_days=364)
    assert found["a"][5] == "a gap of more than 364 days in brain_volume_loss"
    assert found["a"][1] is None
