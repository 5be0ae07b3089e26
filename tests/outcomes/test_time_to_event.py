"""Composite endpoints of hand-made patients; the arithmetic stands beside each."""

from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ahsct.definitions import vary
from ahsct.errors import DefinitionError
from ahsct.estimates import kaplan_meier
from ahsct.outcomes import derive_outcomes, derive_time_to_event
from ahsct.vocabulary import CANDIDATES, TIME_TO_EVENT, from_rows

ALL = ("relapse", "mri_activity", "edss_worsening")


def settle(study: Any, definition: Any, events: pl.DataFrame, **more: Any) -> dict[str, dict[str, Any]]:
    """The rows of the first patient under estimand `x`, by component."""
    table = derive_time_to_event(study, events, endpoint="e", definition=definition, **more)
    assert table.schema == TIME_TO_EVENT
    return {row["component"]: row for row in table.filter(pl.col("estimand") == "x").iter_rows(named=True)}


def interval(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["left_day"], row["right_day"], row["time_day"], row["is_event"], row["cause"]


def test_without_an_event_follow_up_ends_at_the_earliest_last_assessment(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 500), ("a", 1200)), mri=build.scans(("a", 91), ("a", 1000)))
    found = settle(study, build.definition(*ALL), build.events())
    assert interval(found["relapse"]) == (2000, None, 2000, False, None)  # known up to the last contact
    assert interval(found["mri_activity"]) == (1000, None, 1000, False, None)
    assert interval(found["edss_worsening"]) == (1200, None, 1200, False, None)
    assert interval(found["composite"]) == (1000, None, 1000, False, None)
    assert found["composite"]["censor_reason"] == "last assessment of mri_activity"
    assert found["relapse"]["censor_reason"] == "end of follow-up"
    assert found["composite"]["last_negative_day"] == 1000


def test_an_exact_event_opens_an_interval_in_the_composite(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 500), ("a", 1200)), mri=build.scans(("a", 91), ("a", 1000)))
    found = settle(study, build.definition(*ALL), build.events(build.event("a", "relapse", 800)))
    assert interval(found["relapse"]) == (800, 800, 800, True, "relapse")
    # last seen negative before day 800: the scan of day 91, the visit of day 500; the earlier is 91
    assert interval(found["composite"]) == (91, 800, 800, True, "relapse")
    assert found["composite"]["cause_is_certain"]
    assert found["composite"]["event_id"] == "a/relapse/800"


def test_an_event_counts_after_the_last_assessment_of_another_component(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 500)), mri=build.scans(("a", 91)))
    events = build.events(build.event("a", "relapse", 800))
    assert interval(settle(study, build.definition(*ALL), events)["composite"]) == (
        91,
        800,
        800,
        True,
        "relapse",
    )


@pytest.mark.parametrize(
    ("max_gap", "expected"),
    [
        (500, (91, 591, 591, True, "relapse")),  # 591 - 91 = 500 days without a scan: just allowed
        (499, (91, None, 91, False, None)),
    ],
)
def test_too_long_a_gap_before_the_event_ends_follow_up_there(
    build: Any, max_gap: int, expected: Any
) -> None:
    study = build.study(visits=build.visits(("a", 250), ("a", 500)), mri=build.scans(("a", 91)))
    definition = build.definition(*ALL, missing={"rule": "censor_at_last_complete", "max_gap_days": max_gap})
    events = build.events(build.event("a", "relapse", 591))
    assert interval(settle(study, definition, events)["composite"]) == expected


def test_a_gap_between_assessments_ends_follow_up(build: Any) -> None:
    # scans on 91, 300, 900: 600 days without one
    study = build.study(
        visits=build.visits(("a", 400), ("a", 800)), mri=build.scans(("a", 91), ("a", 300), ("a", 900))
    )
    kinds = {
        "censor_at_last_complete": (300, True, "a gap of more than 450 days in mri_activity"),
        "not_evaluable": (300, False, "a gap of more than 450 days in mri_activity"),
        "interval": (800, True, "last assessment of edss_worsening"),
    }
    for rule, expected in kinds.items():
        definition = build.definition(*ALL, missing={"rule": rule, "max_gap_days": 450})
        row = settle(study, definition, build.events())["composite"]
        assert (row["time_day"], row["is_evaluable"], row["censor_reason"]) == expected, rule


def test_an_unscheduled_visit_may_find_an_event_without_lengthening_follow_up(build: Any) -> None:
    """a: scheduled visits on days 200 and 600, one for a relapse on 700; b the same, worse from 700 on."""
    visits = build.visits(
        *[(p, day, edss) for p, last in (("a", 3.0), ("b", 4.0)) for day, edss in ((200, 3.0), (600, 3.0), (700, last))],
        baseline="ab",
    ).with_columns(visit_type=pl.when(pl.col("visit_day") == 700).then(pl.lit("relapse")).otherwise(pl.lit("scheduled")))  # fmt: skip
    study = build.study(patients=build.rows("patient_id", ("a",), ("b",)), visits=visits)
    events = build.events(build.worsening("b", 700, 600))
    for scheduled_only, time in ((False, 700), (True, 600)):
        definition = build.definition(
            "edss_worsening", missing={"rule": "censor_at_last_complete", "scheduled_only": scheduled_only}
        )
        table = derive_time_to_event(study, events, endpoint="e", definition=definition).filter(
            pl.col("component") == "composite"
        )
        assert table.select("time_day", "is_event").rows() == [(time, False), (700, True)]


def test_imputation_is_refused(build: Any) -> None:
    definition = build.definition("relapse", missing={"rule": "impute"})
    with pytest.raises(DefinitionError, match="not imputed"):
        derive_time_to_event(build.study(), build.events(), endpoint="e", definition=definition)


def test_a_death_after_the_last_visit_lies_between_that_visit_and_the_death(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 700)), follow_up=build.died("a", 760))
    found = settle(study, build.definition("edss_worsening"), build.events())
    assert interval(found["composite"]) == (700, 760, 760, True, "treatment_death")
    assert found["composite"]["death_day"] == 760
    # the component alone saw no event, and its follow-up ended at the visit
    assert interval(found["edss_worsening"]) == (700, None, 700, False, None)


def test_with_relapses_alone_a_death_is_exact(build: Any) -> None:
    study = build.study(follow_up=build.died("a", 760))
    assert interval(settle(study, build.definition("relapse"), build.events())["composite"]) == (
        760,
        760,
        760,
        True,
        "treatment_death",
    )


def test_a_death_before_any_assessment_is_counted(build: Any) -> None:
    study = build.study(follow_up=build.died("a", 60))
    row = settle(study, build.definition(*ALL), build.events())["composite"]
    # without a table of scans nobody can be evaluated, not even the dead
    assert not row["is_evaluable"]
    study = build.study(follow_up=build.died("a", 60), mri=build.scans(("a", -60)))
    row = settle(study, build.definition(*ALL), build.events())["composite"]
    assert interval(row) == (0, 60, 60, True, "treatment_death")
    assert row["is_evaluable"]


def test_two_causes_on_one_day_are_no_certain_cause(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 200), ("a", 400)), mri=build.scans(("a", 100), ("a", 400)))
    events = build.events(build.event("a", "mri_activity", 400, 100), build.worsening("a", 400, 200))
    row = settle(study, build.definition(*ALL), events)["composite"]
    assert interval(row) == (100, 400, 400, True, "mri_activity")  # the first in the definition's order
    assert not row["cause_is_certain"]


def test_overlapping_intervals_are_no_certain_cause(build: Any) -> None:
    study = build.study(
        visits=build.visits(("a", 200), ("a", 400)), mri=build.scans(("a", 100), ("a", 350), ("a", 500))
    )
    worse = build.worsening("a", 400, 200)
    overlapping = build.events(
        build.event("a", "mri_activity", 500, 350), worse
    )  # (350, 500] began before 400
    row = settle(study, build.definition(*ALL), overlapping)["composite"]
    assert interval(row) == (200, 400, 400, True, "edss_worsening")
    assert not row["cause_is_certain"]
    later = build.events(build.event("a", "mri_activity", 500, 400), worse)  # (400, 500] does not
    assert settle(study, build.definition(*ALL), later)["composite"]["cause_is_certain"]


def test_a_baseline_visit_before_time_zero_does_not_open_the_interval_before_it(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 100)))
    row = settle(study, build.definition("edss_worsening"), build.events(build.worsening("a", 100, -60)))
    assert interval(row["composite"]) == (0, 100, 100, True, "edss_worsening")


DEATH_ON_700 = {
    # handling: time, event, cause, reason
    "event": (700, True, "other_death", None),
    "competing": (700, True, "competing_other_death", None),
    "censor": (600, False, None, "censored at other_death (hypothetical)"),
}


@pytest.mark.parametrize("handling", DEATH_ON_700)
def test_each_handling_of_a_death(build: Any, handling: str) -> None:
    study = build.study(visits=build.visits(("a", 600)), follow_up=build.died("a", 700, "ms"))
    definition = build.definition("edss_worsening", other_death=handling)
    row = settle(study, definition, build.events())["composite"]
    found = (row["time_day"], row["is_event"], row["cause"], row["censor_reason"])
    assert found == DEATH_ON_700[handling]
    # an event before the death stays what it is
    early = settle(study, definition, build.events(build.worsening("a", 600, 0)))["composite"]
    assert interval(early) == (0, 600, 600, True, "edss_worsening")


def test_exclusion_leaves_no_row_and_the_companion_counts_everyone(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 600)), follow_up=build.died("a", 700))
    definition = build.definition("edss_worsening", treatment_death="exclude")
    table = derive_time_to_event(study, build.events(), endpoint="e", definition=definition)
    assert table["estimand"].unique().to_list() == ["all"]
    assert table.filter(pl.col("component") == "composite")["cause"].to_list() == ["treatment_death"]
    other = build.study(visits=build.visits(("a", 600)), follow_up=build.died("a", 700, "other"))
    assert settle(other, definition, build.events())["composite"]["cause"] == "other_death"


RESTART_ON_300 = {
    "event": (300, True, "dmt_restart"),
    "ignore": (800, False, None),
    "competing": (300, True, "competing_dmt_restart"),
    "censor": (300, False, None),
}


@pytest.mark.parametrize("handling", RESTART_ON_300)
def test_each_handling_of_a_restarted_drug(build: Any, handling: str) -> None:
    study = build.study(
        visits=build.visits(("a", 200), ("a", 800)),
        treatments=build.rows(
            "patient_id kind drug start_day drug_class",
            ("a", "dmt", "before", -400, None),
            ("a", "dmt", "on the day", 0, None),
            ("a", "conditioning", "busulfan", 5, None),
            ("a", "dmt", "again", 300, None),
        ),
    )
    definition = build.definition("edss_worsening", dmt_restart=handling)
    row = settle(study, definition, build.events())["composite"]
    assert (row["time_day"], row["is_event"], row["cause"]) == RESTART_ON_300[handling]
    after = settle(study, definition, build.events(build.worsening("a", 800, 200)))["composite"]
    assert after["cause"] == ("edss_worsening" if handling == "ignore" else RESTART_ON_300[handling][2])


def test_rescue_is_no_restart_and_a_second_infusion_is_a_second_transplant(build: Any) -> None:
    study = build.study(
        visits=build.visits(("a", 800)),
        treatments=build.rows(
            "patient_id kind drug start_day drug_class", ("a", "dmt", "rituximab", 300, "rescue")
        ),
        transplants=build.rows("patient_id infusion_day", ("a", 0), ("a", 500)),
    )
    for event, day in {"dmt_restart": 800, "rescue": 300, "second_transplant": 500}.items():
        definition = build.definition("edss_worsening", **{event: "event"})
        row = settle(study, definition, build.events())["composite"]
        assert (row["time_day"], row["is_event"]) == (day, event != "dmt_restart")


def test_handling_that_needs_a_missing_table_makes_nobody_evaluable(build: Any) -> None:
    full = build.study(visits=build.visits(("a", 800)))
    tables = {name: table for name, table in full.tables.items() if name != "treatments"}
    study = build.study(**{name: table.drop("row") for name, table in tables.items()})
    lacking = type(full)(study_id="x", tables=tables)
    definition = build.definition("edss_worsening", rescue="censor")
    row = settle(lacking, definition, build.events())["composite"]
    assert not row["is_evaluable"]
    assert "no table of treatments" in row["censor_reason"]
    assert settle(study, definition, build.events())["composite"]["is_evaluable"]


def candidate(build: Any, day: int, left: int, because: str = "follow_up_too_short") -> pl.DataFrame:
    return from_rows([build.worsening("a", day, left) | {"rejected_because": because}], CANDIDATES)


UNCONFIRMED = {
    # rule: left, right, time, event
    "censor_before_onset": (600, None, 600, False),
    "censor_at_last_visit": (800, None, 800, False),
    "event": (600, 800, 800, True),
    "interval": (600, None, 800, False),
}


@pytest.mark.parametrize("rule", UNCONFIRMED)
def test_each_rule_for_a_change_unconfirmed_at_the_end(build: Any, rule: str) -> None:
    study = build.study(visits=build.visits(("a", 600), ("a", 800, 5.0)))
    definition = vary(build.definition("edss_worsening"), disability__edss__unconfirmed_at_end=rule)
    row = settle(study, definition, build.events(), candidates=candidate(build, 800, 600))["composite"]
    assert interval(row)[:4] == UNCONFIRMED[rule]
    if rule == "censor_before_onset":
        assert row["censor_reason"] == "unconfirmed edss_worsening at the end of follow-up"
    # a change that could have been confirmed and was not is no event under any rule
    rejected = candidate(build, 800, 600, "unconfirmed")
    row = settle(study, definition, build.events(), candidates=rejected)["composite"]
    assert interval(row)[:4] == (800, None, 800, False)


DIED_UNCONFIRMED = {
    "event": (600, 800, 800, "edss_worsening"),
    "death_only": (800, 850, 850, "treatment_death"),
    "censor": (600, 850, 850, "treatment_death"),
}


@pytest.mark.parametrize("rule", DIED_UNCONFIRMED)
def test_each_rule_for_a_death_before_confirmation(build: Any, rule: str) -> None:
    study = build.study(visits=build.visits(("a", 600), ("a", 800, 5.0)), follow_up=build.died("a", 850))
    definition = vary(build.definition("edss_worsening"), disability__edss__death_before_confirmation=rule)
    found = settle(study, definition, build.events(), candidates=candidate(build, 800, 600))
    left, right, time, cause = DIED_UNCONFIRMED[rule]
    row = found["composite"]
    assert (row["right_day"], row["time_day"], row["cause"]) == (right, time, cause)
    if rule == "event":
        assert row["left_day"] == left
    if rule == "censor":
        assert found["edss_worsening"]["time_day"] == 600


WINDOW = {"target_day": 91, "window_days": [61, 152], "if_missing": "not_evaluable"}


def test_no_scan_in_the_rebaseline_window_is_not_evaluable(build: Any) -> None:
    study = build.study(mri=build.scans(("a", 60), ("a", 400)))
    row = settle(study, build.definition("mri_activity", window=WINDOW), build.events())["composite"]
    assert (row["is_evaluable"], row["censor_reason"]) == (
        False,
        "nobody has a re-baseline scan from day 61 to 152",
    )
    two = build.study(
        patients=build.rows("patient_id", ("a",), ("b",)), mri=build.scans(("a", 60), ("a", 400), ("b", 100))
    )
    definition = build.definition("mri_activity", window=WINDOW)
    table = derive_time_to_event(two, build.events(), endpoint="e", definition=definition)
    reasons = table.filter(pl.col("component") == "composite").select("patient_id", "censor_reason").rows()
    assert reasons == [
        ("a", "no re-baseline scan from day 61 to 152"),
        ("b", "last assessment of mri_activity"),
    ]


def test_delayed_entry_starts_at_the_rebaseline_scan(build: Any) -> None:
    study = build.study(mri=build.scans(("a", 100), ("a", 400)))
    late = WINDOW | {"risk_starts": "rebaseline"}
    censoring = {"treatment_death": "censor", "other_death": "censor"}
    definition = build.definition("mri_activity", window=late, **censoring)
    row = settle(study, definition, build.events())["composite"]
    assert (row["entry_day"], row["time_day"], row["is_evaluable"]) == (100, 400, True)
    died = build.study(mri=build.scans(("a", 100)), follow_up=build.died("a", 100))
    row = settle(died, definition, build.events())["composite"]
    assert (row["is_evaluable"], row["censor_reason"]) == (
        False,
        "event or end of follow-up before the start of risk",
    )


@pytest.mark.parametrize(
    ("handling", "cause"), [("event", "treatment_death"), ("competing", "competing_treatment_death")]
)
def test_a_death_before_a_late_start_of_risk_is_one_among_all(build: Any, handling: str, cause: str) -> None:
    """Of a (dies on day 30, no re-baseline) and b to d (scans on days 100 and 400): 3 of 4 are free at day 400."""
    ids = ("a", "b", "c", "d")
    alive = [(p, 500, "alive", None, None) for p in ids[1:]]
    study = build.study(
        patients=pl.DataFrame({"patient_id": ids}),
        mri=build.scans(*[(p, day) for p in ids[1:] for day in (100, 400)]),
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            ("a", 30, "dead", 30, "treatment-related"),
            *alive,
        ),
    )
    late = WINDOW | {"risk_starts": "rebaseline"}
    definition = build.definition("mri_activity", window=late, treatment_death=handling, other_death=handling)
    table = derive_time_to_event(study, build.events(), endpoint="e", definition=definition)
    composite = table.filter(pl.col("component") == "composite")
    assert composite.select("entry_day", "time_day", "is_event", "cause", "is_evaluable").rows() == [
        (0, 30, True, cause, True),
        *[(0, 400, False, None, True)] * 3,
    ]
    component = table.filter(pl.col("component") == "mri_activity")
    assert component["entry_day"].to_list() == [0, 100, 100, 100]
    if handling == "event":
        assert kaplan_meier(composite)["estimate"].to_list() == [1.0, 0.75, 0.75]


@pytest.mark.parametrize(("early", "time"), [("ignore", 700), ("report_apart", 700), ("count", 40)])
def test_relapses_before_the_clinical_rebaseline(build: Any, early: str, time: int) -> None:
    study = build.study(visits=build.visits(("a", 90), ("a", 500)))
    definition = build.definition("relapse", clinical=WINDOW | {"early_events": early})
    events = build.events(build.event("a", "relapse", 40), build.event("a", "relapse", 700))
    assert settle(study, definition, events)["composite"]["time_day"] == time


def test_missing_tables_are_never_zero_events(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 500)))  # no table of scans
    events = build.events(build.event("a", "relapse", 100))
    row = settle(study, build.definition(*ALL), events)["composite"]
    # counting the relapse alone would leave only patients with an event
    assert (row["is_evaluable"], row["is_event"]) == (False, False)
    assert row["censor_reason"] == "the study has no table of scans (mri)"


def test_unknown_vital_status_is_not_evaluable(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", ("a",), ("b",)),
        follow_up=build.rows("patient_id last_contact_day vital_status", ("b", 900, "alive")),
    )
    table = derive_time_to_event(
        study, build.events(), endpoint="e", definition=build.definition("relapse")
    ).filter(pl.col("component") == "composite")
    assert table["is_evaluable"].to_list() == [False, True]
    assert table["censor_reason"][0] == "no follow_up row: vital status and last contact are unknown"


def test_a_relapse_without_a_day_is_not_evaluable(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", ("a",), ("b",)),
        relapses=pl.DataFrame(
            {"patient_id": ["a"], "onset_day": [None]},
            schema={"patient_id": pl.String, "onset_day": pl.Int64},
        ),
    )
    table = derive_time_to_event(
        study, build.events(), endpoint="e", definition=build.definition("relapse")
    ).filter(pl.col("component") == "composite")
    assert table.select("is_evaluable", "censor_reason").rows()[0] == (False, "a relapse without a day")


def test_days_count_from_the_definitions_time_zero(build: Any) -> None:
    study = build.study(visits=build.visits(("a", 500)))
    events = build.events(build.worsening("a", 500, 100))
    from_infusion = settle(study, build.definition("edss_worsening"), events)["composite"]
    mobilised = vary(build.definition("edss_worsening"), time_zero={"kind": "mobilisation_start"})
    from_mobilisation = settle(study, mobilised, events)["composite"]
    assert from_mobilisation["time_day"] - from_infusion["time_day"] == 40  # mobilised on day -40
    assert from_mobilisation["left_day"] - from_infusion["left_day"] == 40


def test_arms_with_different_clocks_are_refused(build: Any) -> None:
    study = build.study(
        patients=build.rows(
            "patient_id arm time_zero_kind randomisation_day comparator_start_day",
            ("a", "aHSCT", "infusion", None, None),
            ("b", "DMT", "comparator_start", None, 7),
        ),
        transplants=build.rows("patient_id infusion_day", ("a", 0)),
    )
    definition = build.definition("relapse", population="enrolled")
    with pytest.raises(DefinitionError, match="DMT: comparator_start"):
        derive_time_to_event(study, build.events(), endpoint="e", definition=definition)
    own = vary(definition, time_zero={"kind": "infusion", "comparability": "as_treated_not_comparable"})
    table = derive_time_to_event(study, build.events(), endpoint="e", definition=own)
    composite = table.filter(pl.col("component") == "composite")
    assert composite.select("arm", "time_day").rows() == [("aHSCT", 2000), ("DMT", 1993)]


def test_empty_studies_give_typed_tables(build: Any) -> None:
    nobody = build.study(patients=pl.DataFrame(schema={"patient_id": pl.String}))
    table = derive_time_to_event(nobody, build.events(), endpoint="e", definition=build.definition(*ALL))
    assert table.is_empty()
    assert_frame_equal(table, pl.DataFrame(schema=TIME_TO_EVENT))


EARLY = {"target_day": 91, "window_days": [61, 152], "pick": "first", "if_missing": "not_evaluable"}


@pytest.mark.parametrize("reference", ["any", "rebaseline"])
@pytest.mark.parametrize("early_events", ["ignore", "report_apart", "count"])
def test_an_early_active_scan_is_an_event_only_where_early_events_count(
    build, reference: str, early_events: str
) -> None:
    window = EARLY | {"early_events": early_events, "risk_starts": "index"}
    definition = vary(
        build.definition("mri_activity", window=window),
        mri={"lesions": ["gd", "new_t2"], "reference": reference},
    )
    # active on day 30, clean on the re-baseline scan of day 91 and on day 1000
    scans = build.rows(
        "patient_id scan_day gd_n new_t2_n", ("a", 30, 1, 0), ("a", 91, 0, 0), ("a", 1000, 0, 0)
    )
    table = derive_outcomes(build.study(mri=scans), definition).time_to_event
    row = table.filter(pl.col("endpoint") == "e", pl.col("component") == "composite").row(0, named=True)
    expected = (30, True) if early_events == "count" else (1000, False)
    assert (row["time_day"], row["is_event"]) == expected


def test_early_relapses_that_count_do_so_also_in_who_was_lost_before_the_rebaseline(build) -> None:
    window = EARLY | {"early_events": "count", "risk_starts": "rebaseline"}
    study = build.study(
        patients=build.rows("patient_id", ("a",), ("b",)),
        visits=build.visits(("a", 91), ("a", 1000), ("b", 40), baseline="ab"),
        relapses=build.rows("patient_id onset_day", ("a", 50), ("b", 50)),
        # b is lost on day 100, before the visit (up to day 152) was due
        follow_up=build.rows(
            "patient_id last_contact_day vital_status", ("a", 1000, "alive"), ("b", 100, "alive")
        ),
    )
    table = derive_outcomes(study, build.definition("relapse", clinical=window)).time_to_event
    rows = table.filter(pl.col("endpoint") == "e", pl.col("component") == "composite")
    assert rows.select("time_day", "is_event").rows() == [(50, True), (50, True)]
