"""Confirmed changes of disability on hand-made patients, option by option; the arithmetic stands beside each."""

import math
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from ahsct.definitions import DisabilityRule, ThresholdStep, load_definition, rule_hash
from ahsct.errors import DefinitionError, TableError
from ahsct.outcomes.disability import Disability, baselines, derive_disability
from ahsct.vocabulary import CANDIDATES, CONFIRMATIONS, EVENTS


def steps(*rows: Any) -> tuple[ThresholdStep, ...]:
    return tuple(
        ThresholdStep(from_value=r[0], change=r[1], unit=r[2] if len(r) > 2 else "points") for r in rows
    )


EDSS = steps((0, 1.5), (1.0, 1.0), (5.5, 0.5))
FIFTH = steps((0, 0.2, "fraction"))
RULE = DisabilityRule(
    measure="edss", worsening_threshold=EDSS, improvement_threshold=EDSS, relapse_to_baseline_days=(0, 0),
    relapse_to_confirmation_days=(0, 0),
)  # fmt: skip


def course(
    scores: dict[int, float | None], *, measure: str = "edss", patient: str = "a", **more: Any
) -> pl.DataFrame:
    """One patient's visits: day -> score; further columns are values or lists."""
    return pl.DataFrame(
        {"patient_id": [patient] * len(scores), "visit_day": list(scores), measure: list(scores.values())}
        | {k: v if isinstance(v, list) else [v] * len(scores) for k, v in more.items()},
        schema_overrides={measure: pl.Float64},
    )


def relapsed(*onsets: int, patient: str = "a", end: list[int | None] | None = None) -> pl.DataFrame:
    data = {"patient_id": [patient] * len(onsets), "onset_day": list(onsets)} | (
        {"end_day": end} if end else {}
    )
    return pl.DataFrame(data, schema_overrides={"patient_id": pl.String, "onset_day": pl.Int64})


def find(scores: Any, *onsets: int, rule: DisabilityRule = RULE, **changes: Any) -> Disability:
    visits = scores if isinstance(scores, pl.DataFrame) else course(scores)
    return derive_disability(visits, relapsed(*onsets), rule=replace(rule, **changes))


def worse(found: Disability, *names: str) -> list[Any]:
    rows = found.events.filter(pl.col("direction") == "worsening").select(*(names or ("day",))).rows()
    return [row[0] if len(row) == 1 else row for row in rows]


def better(found: Disability) -> list[int]:
    return found.events.filter(pl.col("direction") == "improvement")["day"].to_list()


def reasons(found: Disability) -> list[tuple[int, str]]:
    return found.candidates.select("day", "rejected_because").rows()


# What an event holds ------------------------------------------------------------------------


def test_an_event_holds_its_days_values_and_sources() -> None:
    visits = course({0: 2.0, 90: 2.5, 180: 3.0, 270: 3.5, 360: 3.0}, row=[11, 12, 13, 14, 15])
    found = find(visits)
    assert found.events.to_dicts() == [{
        "patient_id": "a", "event_id": "a/edss_worsening/1", "kind": "disability", "measure": "edss",
        "direction": "worsening", "day": 180, "left_day": 90, "baseline_day": 0, "value_before": 2.0,
        "value_after": 3.0, "confirmed_day": 270, "sustained_days": 180, "is_sustained_to_end": True,
        "label": "PIRA", "mri_activity": None,
        "sources": ["visits:11:baseline", "visits:13:onset", "visits:14:confirmation"],
        "rule_hash": rule_hash(RULE),
    }]  # fmt: skip
    assert found.confirmations.rows() == [("a", "a/edss_worsening/1", 84, 270, 3.5, 14, True, 270)]
    assert not len(found.candidates)


def test_an_improvement_has_no_relation_to_relapses() -> None:
    found = find({0: 4.0, 100: 3.0, 200: 3.0}, 90)
    assert found.events.select("event_id", "day", "label").rows() == [("a/edss_improvement/1", 100, None)]


def test_event_day_confirmation_dates_the_event_later() -> None:
    found = find({0: 2.0, 90: 2.0, 180: 3.0, 270: 3.0}, event_day="confirmation")
    assert worse(found, "day", "left_day", "confirmed_day") == [(270, 90, 270)]


# Thresholds ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "is_event"),
    [(0, 1.0, False), (0, 1.5, True), (1.0, 1.5, False), (1.0, 2.0, True), (5.0, 5.5, False), (5.0, 6.0, True),
     (5.5, 6.0, True), (6.5, 7.0, True)],
)  # fmt: skip
def test_edss_steps(before: float, after: float, is_event: bool) -> None:
    assert bool(worse(find({0: before, 90: after, 180: after}))) == is_event
    # the same table upwards and downwards, always read at the baseline
    change = after - before
    assert bool(better(find({0: before, 90: before - change, 180: before - change}))) == is_event


def test_the_edss_cut_may_lie_at_six() -> None:
    late_cut = steps((0, 1.5), (1.0, 1.0), (6.0, 0.5))
    assert worse(find({0: 5.5, 90: 6.0, 180: 6.0}, worsening_threshold=late_cut)) == []
    assert worse(find({0: 6.0, 90: 6.5, 180: 6.5}, worsening_threshold=late_cut)) == [90]


def test_worsening_and_improvement_may_differ() -> None:
    rule = replace(RULE, improvement_threshold=steps((0, 0.5)))
    assert better(find({0: 3.0, 90: 2.5, 180: 2.5}, rule=rule)) == [90]
    assert worse(find({0: 3.0, 90: 3.5, 180: 3.5}, rule=rule)) == []


@pytest.mark.parametrize(
    ("before", "after", "is_event"),
    [(5.5, 6.6, True), (5.5, 6.59, False), (10.0, 12.0, True), (0.1, 0.12, True), (4.15, 4.98, True), (7.3, 8.76, True),
     (4.15, 4.97, False), (5.000004, 6.000004, False)],
)  # fmt: skip
def test_exactly_a_fifth_counts(before: float, after: float, is_event: bool) -> None:
    rule = replace(RULE, measure="t25fw_s", worsening_threshold=FIFTH, improvement_threshold=FIFTH)
    found = find(course({0: before, 90: after, 180: after}, measure="t25fw_s"), rule=rule)
    assert bool(worse(found)) == is_event


def test_a_score_of_zero_is_not_worse_than_itself() -> None:
    rule = replace(RULE, measure="t25fw_s", worsening_threshold=FIFTH, improvement_threshold=FIFTH)
    found = find(course({0: 0.0, 90: 0.0, 180: 0.0}, measure="t25fw_s"), rule=rule)
    assert not len(found.events)
    assert not len(found.candidates)


# Confirmation -------------------------------------------------------------------------------


@pytest.mark.parametrize(("gap", "is_event"), [(76, False), (77, True), (84, True), (91, True), (92, False)])
def test_the_confirmation_window_is_closed(gap: int, is_event: bool) -> None:
    # period 84, tolerance (7, 7): days 77 to 91 after the onset
    found = find({0: 2.0, 100: 3.0, 100 + gap: 3.0, 900: 3.0}, confirmation_tolerance_days=(7, 7))
    assert (worse(found) == [100]) == is_event
    if not is_event:
        assert reasons(found)[0] == (100, "unconfirmed")


def test_every_visit_or_only_the_confirming_one() -> None:
    scores = {0: 2.0, 100: 3.0, 140: 2.5, 200: 3.0}  # day 140 breaks the change
    assert reasons(find(scores)) == [(100, "reverted"), (200, "follow_up_too_short")]
    assert worse(find(scores, confirming_visits="confirming_only")) == [100]


def test_only_the_earliest_visit_that_may_confirm_decides() -> None:
    # window of 84 days from day 177 on: day 200 fails, day 300 would do
    scores = {0: 2.0, 100: 3.0, 200: 2.5, 300: 3.0}
    found = find(scores, confirming_visits="confirming_only")
    assert worse(found) == []
    assert reasons(found)[0] == (100, "reverted")


def test_at_or_above_the_event() -> None:
    scores = {0: 2.0, 100: 4.0, 200: 3.0, 300: 3.0}  # 3.0 is still 1.0 above the baseline, not at 4.0
    assert worse(find(scores)) == [100]
    found = find(scores, confirmed_by="at_or_above_event")
    assert reasons(found)[0] == (100, "reverted")
    assert worse(found) == [200]  # from day 200 on, 3.0 is held


def test_monotonic() -> None:
    scores = {0: 2.0, 100: 3.0, 140: 4.0, 200: 3.5}  # above the event, but better than the visit before
    assert worse(find(scores, confirmed_by="at_or_above_event")) == [100]
    found = find(scores, confirmed_by="monotonic")
    assert reasons(found) == [(100, "reverted"), (140, "reverted"), (200, "follow_up_too_short")]
    assert worse(find({0: 2.0, 100: 3.0, 140: 3.5, 200: 3.5}, confirmed_by="monotonic")) == [100]


def test_periods_are_alternatives_and_each_reached_one_is_listed() -> None:
    found = find({0: 2.0, 100: 3.0, 184: 3.0, 230: 3.0, 270: 3.5}, confirmation_periods_days=(168, 84))
    assert worse(found, "day", "confirmed_day") == [(100, 184)]
    assert found.confirmations.select("period_days", "day", "value").rows() == [
        (84, 184, 3.0),
        (168, 270, 3.5),
    ]


def test_a_period_beyond_the_end_of_the_change_is_not_reached() -> None:
    found = find({0: 2.0, 100: 3.0, 184: 3.0, 230: 2.0, 270: 3.5}, confirmation_periods_days=(84, 168))
    assert worse(found, "day", "sustained_days", "is_sustained_to_end") == [(100, 84, False)]
    assert found.confirmations["period_days"].to_list() == [84]


def test_visits_that_may_not_confirm_still_count_otherwise() -> None:
    visits = course({0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0}, can_confirm=[False, False, False, None])
    found = find(visits)
    assert worse(found, "baseline_day", "day", "confirmed_day") == [(0, 100, 280)]


def test_sustained_measures_the_day_of_failure() -> None:
    scores = {0: 2.0, 100: 3.0, 190: 3.0, 300: 2.0}  # fails 200 days after the onset
    assert worse(find(scores, sustained_days=200), "sustained_days") == [90]
    found = find(scores, sustained_days=201)
    assert found.candidates.select("day", "confirmed_day", "rejected_because").row(0) == (
        100,
        190,
        "not_sustained",
    )
    assert reasons(find(scores, sustained_days=math.inf))[0] == (100, "not_sustained")
    assert worse(find({0: 2.0, 100: 3.0, 190: 3.0}, sustained_days=math.inf)) == [100]


def test_sustained_with_confirming_visits_only() -> None:
    rule = replace(RULE, confirming_visits="confirming_only", sustained_days=300)
    assert worse(find({0: 2.0, 100: 3.0, 190: 3.0, 300: 2.0, 400: 3.0}, rule=rule)) == [100]
    # the first visit 300 days or more after the onset decides
    assert reasons(find({0: 2.0, 100: 3.0, 190: 3.0, 300: 3.0, 400: 2.0}, rule=rule))[0] == (
        100,
        "not_sustained",
    )
    # and where follow-up is shorter, the last visit
    assert reasons(find({0: 2.0, 100: 3.0, 190: 3.0, 300: 2.0}, rule=rule))[0] == (100, "not_sustained")


# Why a candidate was rejected ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "tolerance", "expected"),
    [
        ({0: 2.0, 100: 3.0}, (7, 7), "follow_up_too_short"),
        ({0: 2.0, 100: 3.0, 190: 3.0}, (7, 7), None),
        ({0: 2.0, 100: 3.0, 176: 3.0}, (7, 7), "follow_up_too_short"),  # the window (177 to 191) is not over
        ({0: 2.0, 100: 3.0, 192: 3.0}, (7, 7), "unconfirmed"),  # it is, and held no visit
        ({0: 2.0, 100: 3.0, 130: 2.0}, (7, 7), "reverted"),  # known not to last, however short the follow-up
    ],
)
def test_reasons_of_rejection(
    scores: dict[int, float], tolerance: tuple[float, float], expected: str | None
) -> None:
    found = find(scores, confirmation_tolerance_days=tolerance)
    assert (reasons(found)[0] if expected else worse(found)[0]) == ((100, expected) if expected else 100)


def test_a_candidate_at_the_end_tells_the_last_visit_before_it() -> None:
    found = find({0: 2.0, 100: 2.0, 200: 3.0, 250: 3.5})
    columns = ["event_id", "day", "left_day", "sustained_days", "is_sustained_to_end", "rejected_because"]
    assert found.candidates.select(columns).rows() == [
        ("a/edss_worsening/rejected/1", 200, 100, 50, True, "follow_up_too_short"),
        ("a/edss_worsening/rejected/2", 250, 100, 0, True, "follow_up_too_short"),
    ]


def test_onsets_before_the_start_are_no_candidates_but_are_kept() -> None:
    visits = course({-90: 2.0, -10: 3.0, 80: 3.0, 200: 3.0}, time_zero_day=0)
    found = find(visits, not_before_day=1)
    assert reasons(found) == [(-10, "before_start")]
    assert worse(found, "day", "left_day") == [(80, -90)]
    later = visits.with_columns(time_zero_day=pl.lit(85))
    assert worse(find(later, not_before_day=1)) == []  # start on day 86: day 200 is never confirmed


# Distances to relapses, RAW and PIRA --------------------------------------------------------


@pytest.mark.parametrize(("since", "baseline"), [(29, 90), (30, 0), (0, 90)])
def test_a_baseline_too_near_a_relapse_slides_on(since: int, baseline: int) -> None:
    found = find({0: 2.0, 90: 2.0, 180: 3.0, 270: 3.0}, -since, relapse_to_baseline_days=(30, 0))
    assert worse(found, "baseline_day") == [baseline]


@pytest.mark.parametrize(("since", "day"), [(29, 190), (30, 100)])
def test_an_onset_too_near_a_relapse_is_passed_over(since: int, day: int) -> None:
    found = find({0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0}, 100 - since, relapse_to_event_days=(30, 0))
    assert worse(found) == [day]
    assert reasons(found) == ([(100, "near_relapse")] if day == 190 else [])


@pytest.mark.parametrize(("until", "day"), [(9, 190), (10, 100)])
def test_the_distance_to_the_next_relapse(until: int, day: int) -> None:
    assert worse(
        find({0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0}, 100 + until, relapse_to_event_days=(0, 10))
    ) == [day]


@pytest.mark.parametrize(("since", "confirmed"), [(29, 280), (30, 190)])
def test_a_visit_too_near_a_relapse_does_not_confirm(since: int, confirmed: int) -> None:
    rule = replace(RULE, relapse_to_confirmation_days=(30, 0))
    scores = {0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0}
    assert worse(find(scores, 190 - since, rule=rule), "confirmed_day") == [confirmed]
    rule = replace(rule, confirmation_tolerance_days=(7, 7))
    if confirmed == 280:  # no other visit in the window
        assert reasons(find(scores, 190 - since, rule=rule))[0] == (100, "near_relapse")


@pytest.mark.parametrize(
    ("onset", "label"), [(10, "RAW"), (9, "undefined"), (100, "RAW"), (101, "undefined"), (131, "PIRA")]
)
def test_relapse_associated_worsening(onset: int, label: str) -> None:
    # onset of the worsening on day 100; RAW window (90, 0): days 10 to 100; PIRA window (91, 30): days 9 to 130
    found = find(
        {0: 2.0, 100: 3.0, 230: 3.0},
        onset,
        pira_around_event_days=(91, 30),
        pira_around_confirmation_days=(0, 0),
    )
    assert worse(found, "label") == [label]


@pytest.mark.parametrize(
    ("onset", "label"), [(9, "PIRA"), (130, "undefined"), (131, "PIRA"), (219, "PIRA"), (220, "undefined"), (340, "undefined"), (341, "PIRA")]
)  # fmt: skip
def test_progression_independent_of_relapses_is_clean_around_both_visits(onset: int, label: str) -> None:
    # event on day 100: window 10 to 130; confirmation on day 310: window 220 to 340
    found = find({0: 2.0, 100: 3.0, 310: 3.0}, onset)
    assert worse(found, "label") == [label]
    assert found.confirmations["is_relapse_free"].to_list() == [label == "PIRA"]


def test_any_clean_confirmation_makes_it_pira() -> None:
    # the first confirmation (day 190) has a relapse on day 200; the visit on day 400 is clean, as is the onset
    found = find({0: 2.0, 100: 3.0, 190: 3.0, 400: 3.0}, 200, confirmation_periods_days=(84, 270))
    assert worse(found, "label", "confirmed_day") == [("PIRA", 190)]
    assert found.confirmations.select("period_days", "is_relapse_free").rows() == [(84, False), (270, True)]


def test_distances_may_count_from_the_end_of_a_relapse() -> None:
    visits = course({0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0})
    rule = replace(RULE, relapse_to_event_days=(30, 0))
    relapses = relapsed(60, end=[80])  # 40 days after the onset, 20 after the end
    assert worse(derive_disability(visits, relapses, rule=rule)) == [100]
    rule = replace(rule, relapse_distance_from="end")
    assert worse(derive_disability(visits, relapses, rule=rule)) == [190]
    assert worse(derive_disability(visits, relapsed(60, end=[None]), rule=rule)) == [100]


def test_without_a_table_of_relapses_there_is_no_label() -> None:
    found = derive_disability(course({0: 2.0, 100: 3.0, 190: 3.0}), None, rule=RULE)
    assert found.events["label"].to_list() == [None]
    assert found.confirmations["is_relapse_free"].to_list() == [None]


# Baselines ----------------------------------------------------------------------------------


def test_which_visit_is_the_baseline() -> None:
    scores = {-200: 1.0, -100: 2.0, -20: 3.0, 0: 4.0, 100: 4.5, 200: 5.0}
    visits = course(scores, visit_type=["screening", "screening", "scheduled", "scheduled", None, "relapse"],
                    mobilisation_start_day=-50, time_zero_day=0, rebaseline_day=100)  # fmt: skip
    expected = {"first": -200, "screening": -100, "last_before_mobilisation": -100, "last_before_time_zero": 0,
                "rebaseline": 100}  # fmt: skip
    for which, day in expected.items():
        rule = replace(RULE, worsening_baseline_visit=which)
        found = baselines(visits, rule)
        assert found.rows() == [
            ("a", "worsening", day, scores[day], list(scores).index(day) + 1),
            ("a", "improvement", -200, 1.0, 1),
        ]


def test_a_baseline_that_looks_back_slides_back() -> None:
    visits = course({-200: 1.0, -100: 2.0, 0: 4.0}, time_zero_day=0)
    rule = replace(RULE, worsening_baseline_visit="last_before_time_zero", relapse_to_baseline_days=(30, 0))
    found = baselines(visits, rule, relapses=relapsed(-10))
    assert found["baseline_day"].to_list() == [-100, -200]
    assert baselines(visits, rule)["baseline_day"].to_list() == [0, -200]  # no relapses given


def test_without_its_context_a_patient_has_no_baseline_and_no_event() -> None:
    scores = {-20: 3.0, 10: 2.0, 100: 3.0, 200: 3.0}
    rule = replace(RULE, worsening_baseline_visit="last_before_mobilisation", not_before_day=1)
    visits = course(scores, mobilisation_start_day=None, time_zero_day=5)
    assert baselines(visits, rule)["baseline_day"].to_list() == [-20, -20]  # time zero stands in
    visits = course(scores, mobilisation_start_day=0, time_zero_day=None)
    assert baselines(visits, rule)["baseline_day"].to_list() == [None, None]
    assert not len(find(visits, rule=rule).events)
    rule = replace(RULE, worsening_baseline_visit="rebaseline")
    visits = course(scores, rebaseline_day=50)  # no visit on that day
    assert baselines(visits, rule)["baseline_day"].to_list() == [None, -20]
    everyone = pl.concat([course({0: None}, patient="b"), course({0: 1.0}, patient="a")])
    assert baselines(everyone, RULE).select("patient_id", "baseline_day").rows() == [
        ("a", 0),
        ("a", 0),
        ("b", None),
        ("b", None),
    ]


def test_a_fixed_baseline_stays() -> None:
    # +1, then +2 more on the same plateau: one event; it ends on day 400 and begins anew on day 500
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 300: 5.0, 400: 2.0, 500: 3.0, 600: 3.0}
    assert worse(find(scores), "event_id", "day") == [
        ("a/edss_worsening/1", 100),
        ("a/edss_worsening/2", 500),
    ]
    assert worse(find(scores, events="first")) == [100]


def test_roving_up_moves_after_confirmed_worsening() -> None:
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 4.0, 500: 2.0, 600: 2.0, 700: 3.0, 800: 3.0}
    up = {"worsening_baseline_scheme": "roving_up", "improvement_baseline_scheme": "roving_up"}
    # 2 -> 3 on day 100 (baseline moves to day 200), 3 -> 4 on day 300 (to day 400); then 2.0 and 3.0 are improvements
    found = find(scores, **up)
    assert worse(found, "day", "baseline_day") == [(100, 0), (300, 200)]
    assert better(found) == [500]
    # moving both ways: 4 -> 2 moves it to day 600, and 3.0 on day 700 is a worsening from there
    both = {"worsening_baseline_scheme": "roving", "improvement_baseline_scheme": "roving"}
    assert worse(find(scores, **both), "day", "baseline_day") == [(100, 0), (300, 200), (700, 600)]


def test_roving_down_moves_after_confirmed_improvement() -> None:
    scores = {0: 4.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 4.0}
    assert worse(find(scores)) == []
    found = find(scores, worsening_baseline_scheme="roving_down")
    assert worse(found, "day", "baseline_day") == [(300, 200)]
    assert better(found) == [100]


def test_each_direction_may_have_its_own_baseline() -> None:
    visits = course({-300: 6.0, -10: 4.0, 100: 5.0, 200: 5.0}, time_zero_day=0)
    rule = replace(RULE, worsening_baseline_visit="last_before_time_zero")
    found = find(visits, rule=rule)
    assert worse(found, "baseline_day", "day") == [(-10, 100)]
    assert better(found) == [-10]


def test_after_a_relapse_the_baseline_is_taken_anew() -> None:
    scores = {0: 2.0, 100: 4.0, 130: 3.5, 250: 3.0, 400: 3.0, 500: 4.0, 600: 4.0}
    rule = replace(RULE, worsening_baseline_scheme="after_relapse", relapse_recovery_days=90)
    # relapse on day 95: the first visit 90 days later is day 250 (3.0); from there 4.0 on day 500 is worse
    assert worse(find(scores, 95, rule=rule), "day", "baseline_day", "label") == [
        (100, 0, "RAW"),
        (500, 250, "PIRA"),
    ]
    # without recovery the visit on day 100 (4.0) becomes the baseline: nothing later is worse
    assert worse(find(scores, 95, rule=replace(rule, relapse_recovery_days=0))) == [100]


def test_a_moved_baseline_too_near_a_relapse_slides_on() -> None:
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 5.0, 500: 5.0}
    rule = replace(RULE, worsening_baseline_scheme="roving", relapse_to_baseline_days=(30, 0))
    assert worse(find(scores, rule=rule), "day", "baseline_day") == [(100, 0), (300, 200)]
    # relapse on day 180: day 200 is passed over, the baseline becomes day 300 (4.0)
    assert worse(find(scores, 180, rule=rule), "day", "baseline_day") == [(100, 0), (400, 300)]


# Input --------------------------------------------------------------------------------------


def test_several_visits_on_a_day() -> None:
    visits = course({0: 2.0, 100: 3.0, 200: 3.0})
    visits = pl.concat([visits, course({200: 2.0})]).with_columns(row=pl.Series([1, 2, 3, 4]))
    with pytest.raises(TableError, match=r"1 of 4 visits .* the first is row 4.*same_day"):
        find(visits)
    assert worse(find(visits, same_day="last_row")) == []
    assert worse(find(visits, same_day="worst"), "confirmed_day") == [200]


def test_the_worst_score_of_falling_measures_is_the_smallest() -> None:
    rule = replace(
        RULE,
        measure="sdmt",
        worsening_threshold=steps((0, 4)),
        improvement_threshold=steps((0, 4)),
        same_day="worst",
    )
    visits = pl.concat([course({0: 50, 100: 46, 200: 46}, measure="sdmt"), course({200: 60}, measure="sdmt")])
    assert worse(find(visits, rule=rule)) == [100]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            pl.lit(None, dtype=pl.Int64).alias("visit_day"),
            r"`visits.visit_day` must not be missing; 3 of 3 rows",
        ),
        (pl.lit(None, dtype=pl.String).alias("patient_id"), r"`visits.patient_id` must not be missing"),
        (pl.lit(math.inf).alias("edss"), r"`visits.edss` must lie within"),
        (pl.lit(10**12).alias("visit_day"), r"`visits.visit_day` must lie within"),
        (
            pl.col("visit_day").alias("time_zero_day"),
            r"`visits.time_zero_day` must have one value per patient; 2 rows",
        ),
    ],
)
def test_visits_that_cannot_be_used(change: pl.Expr, message: str) -> None:
    with pytest.raises(TableError, match=message):
        find(course({0: 2.0, 100: 3.0, 200: 3.0}).with_columns(change))


def test_missing_columns_and_relapse_days() -> None:
    visits = course({0: 2.0, 100: 3.0})
    with pytest.raises(TableError, match="needs column 'edss'"):
        find(visits.drop("edss"))
    with pytest.raises(TableError, match="needs column 'visit_type'"):
        find(visits, worsening_baseline_visit="screening")
    with pytest.raises(TableError, match="needs column 'rebaseline_day'"):
        find(visits, worsening_baseline_visit="rebaseline")
    relapses = relapsed(1).with_columns(onset_day=pl.lit(None, dtype=pl.Int64))
    with pytest.raises(TableError, match=r"`relapses.onset_day` must not be missing; 1 of 1 rows"):
        derive_disability(visits, relapses, rule=RULE)


def test_visits_without_the_measure_are_no_visits() -> None:
    scores = {0: 2.0, 100: 3.0, 150: None, 190: 3.0, 200: math.nan}
    found = find(course(scores))
    assert worse(found, "day", "sustained_days", "is_sustained_to_end") == [(100, 90, True)]


def test_no_patient_and_one_visit() -> None:
    for visits in (course({}).clear(), course({0: 2.0}), course({0: None})):
        found = find(visits.cast({"patient_id": pl.String, "visit_day": pl.Int64}))
        assert (found.events.schema, found.candidates.schema, found.confirmations.schema) == (
            EVENTS,
            CANDIDATES,
            CONFIRMATIONS,
        )
        assert not len(found.events) + len(found.candidates) + len(found.confirmations)


@pytest.mark.parametrize(
    "changes",
    [
        {"confirmed_by": "monotonic", "confirming_visits": "confirming_only"},
        {"relapse_recovery_days": 30},
        {"relapse_recovery_days": -1, "worsening_baseline_scheme": "after_relapse"},
        {"sustained_days": -1},
        {"raw_window_days": (-1, 0)},
        {"confirmation_tolerance_days": (math.nan, 0)},
        {"confirmation_periods_days": (84, 84)},
    ],
)
def test_rules_that_contradict_themselves_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError):
        replace(RULE, **changes)


def test_the_trial_rule_of_2016() -> None:
    rule = load_definition("atkins2016").disability_rule("edss")
    visits = course(
        {-60: 5.0, 90: 5.0, 365: 6.0, 540: 6.0, 1100: 6.0}, mobilisation_start_day=-40, time_zero_day=0
    )
    assert worse(find(visits, rule=rule), "day", "left_day", "baseline_day", "confirmed_day", "label") == [
        (365, 90, -60, 540, "PIRA")
    ]
