"""Loss of brain volume since the re-baseline, patient by patient; the arithmetic stands beside each.

The re-baseline volume is the one nearest day 183 in days 122 to 274. The limit is 0.4 % per year unless told,
volumes less than 365 days after the re-baseline say nothing, and two are needed after it.
"""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import BrainVolumeLossRule, vary
from ahsct.errors import DefinitionError
from ahsct.outcomes import derive_outcomes
from ahsct.vocabulary import EVENTS

WINDOW = {"target_day": 183, "window_days": [122, 274]}
Scan = tuple[int, float, int | None]  # day, PBVC [%], reference

PATIENTS: dict[str, list[Scan]] = {
    # 0.30 % in 365 days is 0.3002 a year; 1.0 % in 730 days is 0.5003 a year: an event
    "a": [(180, 0.0, 180), (545, -0.30, 180), (910, -1.0, 180)],
    # one reference before the transplant: 100 (1 - 97.8 / 98) = 0.204 % since day 180, 0.408 % in two years.
    # From before the transplant it would be 2.2 % and an event: the early drop is not counted
    "b": [(-30, 0.0, -30), (180, -2.0, -30), (545, -2.2, -30), (910, -2.4, -30)],
    # a chain, each since the one before: 0.5 % in 365 days is 0.5003 a year
    "c": [(-30, 0.0, None), (180, -2.0, -30), (545, -0.5, 180), (910, 0.0, 545)],
    # one volume after the re-baseline
    "d": [(180, 0.0, 180), (545, -3.0, 180)],
    # none in the window
    "e": [(60, 0.0, 60), (545, -3.0, 60), (910, -3.0, 60)],
    # 0.5 % in 120 days would be 1.52 a year, but 120 days are too short; then 0.3002 and 0.2502 a year
    "f": [(180, 0.0, 180), (300, -0.5, 180), (545, -0.3, 180), (910, -0.5, 180)],
    # 1.6 % in 1461 days = 4 years: 0.4 a year, the limit itself, which is no event
    "g": [(180, 0.0, 180), (910, -0.5, 180), (1641, -1.6, 180)],
    # the re-baseline scan has no row of its own, later ones refer to it
    "h": [(545, -0.1, 180), (910, -2.0, 180)],
}


def study(build: Any, scanned: dict[str, list[Scan]] = PATIENTS, **more: Any) -> Any:
    volumes = build.rows(
        "patient_id scan_day measure value reference_scan_day",
        *[(p, day, "PBVC", value, ref) for p, scans in scanned.items() for day, value, ref in scans],
    )
    tables = {"patients": pl.DataFrame({"patient_id": list(scanned)}), "brain_volume": volumes} | more
    return build.study(**tables)


def definition(build: Any, *components: str, window: Any = None, **rule: Any) -> Any:
    return vary(
        build.definition("relapse"),
        rebaseline={"mri": window or WINDOW},
        brain_volume_loss=rule or {"max_loss_pct_per_year": 0.4},
        endpoints__e__components=list(components or ("brain_volume_loss",)),
    )


def rows(study: Any, definition: Any) -> dict[str, tuple[Any, ...]]:
    table = derive_outcomes(study, definition).time_to_event.filter(
        (pl.col("endpoint") == "e") & (pl.col("component") == "composite")
    )
    return {
        row["patient_id"]: (row["left_day"], row["time_day"], row["is_event"])
        if row["is_evaluable"]
        else row["censor_reason"]
        for row in table.iter_rows(named=True)
    }  # type: ignore[return-value]


TOO_FEW = "fewer than 2 comparable brain volumes after the re-baseline"


def test_annualised_loss_since_the_rebaseline(build: Any) -> None:
    assert rows(study(build), definition(build)) == {
        "a": (545, 910, True),
        "b": (910, 910, False),
        "c": (180, 545, True),
        "d": TOO_FEW,
        "e": "no re-baseline brain volume from day 122 to 274",
        "f": (910, 910, False),
        "g": (1641, 1641, False),
        "h": (545, 910, True),
    }


def test_events_carry_their_loss_and_where_it_was_read(build: Any) -> None:
    outcomes = derive_outcomes(study(build), definition(build))
    events = outcomes.events.filter(pl.col("kind") == "brain_volume_loss")
    assert events.schema == EVENTS
    assert events.select("event_id", "day", "left_day", "baseline_day").rows() == [
        ("a/brain_volume_loss/1", 910, 545, 180),
        ("c/brain_volume_loss/1", 545, 180, 180),
        # d's loss is seen, though one volume is not enough to evaluate the patient
        ("d/brain_volume_loss/1", 545, 180, 180),
        ("h/brain_volume_loss/1", 910, 545, 180),
    ]
    assert events["value_after"].round(4).to_list()[:2] == [0.5003, 0.5003]
    assert events["sources"].to_list()[0] == ["brain_volume:3:volume", "brain_volume:1:rebaseline"]
    assert events["sources"].to_list()[3] == ["brain_volume:25:volume"]  # the re-baseline scan has no row


def test_a_shorter_interval_may_be_asked_for(build: Any) -> None:
    found = rows(study(build), definition(build, max_loss_pct_per_year=0.4, min_interval_days=90))
    assert found["f"] == (180, 300, True)  # 0.5 % in 120 days


def test_the_whole_loss_against_a_fixed_limit(build: Any) -> None:
    # a loses 1.0 %, the limit itself; g 1.6 %, h 2.0 %; c 0.5 %
    found = rows(study(build), definition(build, criterion="fixed", max_loss_pct=1.0))
    assert {p: found[p] for p in "abcfgh"} == {
        "a": (910, 910, False),
        "b": (910, 910, False),
        "c": (910, 910, False),
        "f": (910, 910, False),
        "g": (910, 1641, True),
        "h": (545, 910, True),
    }


def test_a_norm_moves_the_limit_with_age_and_is_never_extrapolated(build: Any) -> None:
    """Siena norm, 95th percentile: 0.52 % a year at 45, 0.77 at 55, linear between.

    Each loses 0.60 % in 365 days (0.6004 a year) and 1.2 % in 730. The middle of the first interval lies on day
    362.5, 0.99 years after time zero. y is 44.1 on day 0, so 45.09 there: limit 0.5223, an event. m is 50.0, so
    50.99: limit 0.6698, none; on day 545, in the middle of the second interval, 51.49: 0.6823, none. k is 47.1, so
    48.09: limit 0.5973, an event (at the end of the interval, 48.59, the limit would be 0.6098). o is 30, outside of
    the published ages; u has no known age.
    """
    loses = [(180, 0.0, 180), (545, -0.6, 180), (910, -1.2, 180)]
    made = study(
        build,
        {"y": loses, "m": loses, "k": loses, "o": loses, "u": loses},
        patients=pl.DataFrame(
            {"patient_id": list("ymkou"), "age_at_index_years": [44.1, 50.0, 47.1, 30.0, None]}
        ),
    )
    norm = definition(build, criterion="age_norm", norm="healthy_siena_2018")
    outside = "no comparable brain volume 365 days or more after the re-baseline at an age within the norm"
    assert rows(made, norm) == {
        "y": (180, 545, True),
        "m": (910, 910, False),
        "k": (180, 545, True),
        "o": outside,
        "u": outside,
    }


def test_volumes_in_ml_compare_within_one_software(build: Any) -> None:
    volumes = build.rows(
        "patient_id scan_day measure value software",
        *[("a", day, "NBV", v, "SIENAX") for day, v in ((180, 1500.0), (545, 1497.0), (910, 1480.0))],
        *[("b", day, "NBV", v, s) for day, v, s in ((180, 1500.0, "SIENAX"), (545, 1400.0, "x"), (910, 1400.0, "x"))],
    )  # fmt: skip
    made = build.study(patients=build.rows("patient_id", ("a",), ("b",)), brain_volume=volumes)
    # a: 3 of 1500 ml = 0.2 % in a year, 20 of 1500 = 1.333 % in two
    assert rows(made, definition(build, measure="NBV", max_loss_pct_per_year=0.4)) == {
        "a": (545, 910, True),
        "b": TOO_FEW,
    }


def test_percentages_without_a_common_reference_are_not_compared(build: Any) -> None:
    """The re-baseline refers to day -30, the later two to a scan of day 10 that refers to nothing."""
    apart = [(-30, 0.0, None), (180, -1.0, -30), (545, -2.0, 10), (910, -3.0, 10)]
    unknown = [(180, -1.0, None), (545, -2.0, None), (910, -2.5, None)]
    fine = PATIENTS["a"]
    found = rows(study(build, {"a": fine, "p": apart, "q": unknown}), definition(build))
    assert found == {"a": (545, 910, True), "p": TOO_FEW, "q": TOO_FEW}


def test_a_volume_that_cannot_be_judged_is_no_assessment(build: Any) -> None:
    """The volume of day 1200 refers to nothing, so the patient is known to be free of loss up to day 910 only."""
    stops = [(180, 0.0, 180), (545, -0.1, 180), (910, -0.2, 180), (1200, -0.3, None)]
    assert rows(study(build, {"a": stops}), definition(build)) == {"a": (910, 910, False)}


def test_in_neda4_a_patient_with_too_few_volumes_leaves_with_and_without_an_event(build: Any) -> None:
    """Of a, b, d, f: relapses in b (day 300) and d (day 300); d has one volume. x died on day 60 and stays."""
    made = study(
        build,
        {p: PATIENTS[p] for p in "abdf"} | {"x": [(-30, 0.0, None)]},
        relapses=build.rows("patient_id onset_day", ("b", 300), ("d", 300)),
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            *[(p, 2000, "alive", None, None) for p in "abdf"],
            ("x", 60, "dead", 60, "treatment-related"),
        ),
    )
    assert rows(made, definition(build, "relapse", "brain_volume_loss")) == {
        "a": (545, 910, True),
        "b": (180, 300, True),
        "d": TOO_FEW,
        "f": (910, 910, False),
        "x": (0, 60, True),
    }


def test_risk_may_start_at_the_rebaseline_volume(build: Any) -> None:
    late = definition(build, window=WINDOW | {"risk_starts": "rebaseline"})
    table = derive_outcomes(study(build), late).time_to_event.filter(
        (pl.col("component") == "brain_volume_loss") & (pl.col("patient_id") == "c")
    )
    assert table.select("entry_day", "left_day", "time_day", "is_event").row(0) == (180, 180, 545, True)


def test_without_a_table_nobody_is_free_of_loss(build: Any) -> None:
    made = build.study(patients=build.rows("patient_id", ("a",), ("b",)))
    table = derive_outcomes(made, definition(build)).not_evaluable.filter(pl.col("endpoint") == "e")
    assert table.select("patient_id", "reason").rows() == [
        (None, "the study has no table of brain volumes (brain_volume)")
    ]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "takes max_loss_pct_per_year"),
        ({"max_loss_pct_per_year": 0.4, "max_loss_pct": 1.0}, "no other limit"),
        ({"criterion": "age_norm", "norm": "healthy_siena_2019"}, "Did you mean"),
        ({"criterion": "age_norm", "norm": "healthy_cross_sectional_2017"}, "no published spread"),
        ({"max_loss_pct_per_year": -0.4}, "without a sign"),
        ({"max_loss_pct_per_year": 0.4, "min_volumes_n": 0}, "1 or more"),
    ],
)
def test_contradictory_rules_are_refused(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(DefinitionError, match=words):
        BrainVolumeLossRule(**rule)


def test_loss_needs_a_rebaseline(build: Any) -> None:
    with pytest.raises(DefinitionError, match=r"no \[rebaseline.mri\]"):
        vary(build.definition("relapse"), brain_volume_loss={"max_loss_pct_per_year": 0.4})
    with pytest.raises(DefinitionError, match=r"needs a \[brain_volume_loss\] rule"):
        build.definition("brain_volume_loss")
