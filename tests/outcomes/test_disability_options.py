"""The further options of a disability rule on hand-made patients; the arithmetic stands beside each."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.outcomes.test_disability import FIFTH, RULE, better, course, find, reasons, relapsed, steps, worse

from ahsct.definitions import DisabilityRule, ThresholdStep, load_definition, rule_hash, vary
from ahsct.errors import DefinitionError, TableError
from ahsct.outcomes.disability import baselines, derive_disability
from ahsct.outcomes.thresholds import meets_change

ROVING = replace(RULE, worsening_baseline_scheme="roving", improvement_baseline_scheme="roving")
LEAST = (ThresholdStep(from_value=0, change=0.2, unit="fraction", at_most=4),)


# Measures and thresholds --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "is_event"),
    [(50, 46, True), (50, 47, False), (15, 12, True), (15, 13, False), (20, 16, True), (21, 17, True), (21, 18, False)],
)  # fmt: skip
def test_the_smaller_of_points_and_a_fraction(before: float, after: float, is_event: bool) -> None:
    # SDMT: 4 points from 20 on, 20 % below: from 15 it is 3
    rule = replace(RULE, measure="sdmt", worsening_threshold=LEAST, improvement_threshold=LEAST)
    found = find(course({0: before, 90: after, 180: after}, measure="sdmt"), rule=rule)
    assert bool(worse(found)) == is_event
    table = pl.DataFrame({"sdmt": [float(after)], "before": [float(before)]})
    met = table.select(meets_change("sdmt", "before", rule=rule, direction="worsening")).item()
    assert met == is_event


def test_an_own_measure_may_get_worse_either_way() -> None:
    rule = replace(
        RULE, measure="custom", custom_column="pegs", custom_worsens="down", worsening_threshold=steps((0, 2)),
        improvement_threshold=steps((0, 3)),
    )  # fmt: skip
    visits = course({0: 9.0, 90: 7.0, 180: 7.0, 300: 12.0, 400: 12.0}, measure="pegs")
    found = find(visits, rule=rule)
    assert found.events.select("measure", "direction", "day").rows() == [
        ("custom", "worsening", 90),
        ("custom", "improvement", 300),
    ]
    found = find(visits, rule=replace(rule, custom_worsens="up"))
    assert (worse(found), better(found)) == ([300], [])  # 9 -> 7 improves by 2, under 3


def test_a_threshold_may_be_a_function() -> None:
    visits = course({0: 4.0, 90: 5.0, 180: 5.0, 300: 6.0, 400: 6.0})
    found = derive_disability(visits, None, rule=RULE, threshold=lambda values: np.full(len(values), 2.0))
    assert found.events["day"].to_list() == [300]
    assert found.events["rule_hash"][0].startswith(rule_hash(RULE) + "+")
    with pytest.raises(TableError, match=r"one change per value: it got 3 values .* numpy\.vectorize"):
        derive_disability(visits, None, rule=RULE, threshold=lambda values: 1.0)
    with pytest.raises(TableError, match="0 or more; for 4 it gave -1"):
        derive_disability(visits, None, rule=RULE, threshold=lambda values: values - 5)


def test_the_threshold_may_be_looked_up_in_another_column() -> None:
    # the part of the EDSS independent of relapses rises by 0.5, from a real EDSS of 5.5: that counts
    visits = course({0: 4.0, 90: 4.5, 180: 4.5}, measure="edss", whole=[5.5, 6.0, 6.0])
    assert worse(find(visits)) == []
    assert worse(find(visits, threshold_column="whole")) == [90]
    visits = visits.with_columns(whole=pl.Series([5.5, None, 6.0]))
    assert worse(find(visits, threshold_column="whole")) == []  # day 90 is no visit: 180 is unconfirmed
    with pytest.raises(TableError, match="needs column 'other'"):
        find(visits, threshold_column="other")


# Where a baseline moves ---------------------------------------------------------------------


def test_proceeding_from_the_event() -> None:
    scores = {0: 2.0, 100: 3.0, 190: 4.0, 280: 4.0, 400: 5.0, 490: 5.0}
    # 2 -> 3 on day 100, confirmed on day 190 by 4.0: from there only 5.0 is worse; from day 100 (3.0) 4.0 is too
    assert worse(find(scores, rule=ROVING), "baseline_day", "day") == [(0, 100), (190, 400)]
    found = find(scores, rule=ROVING, proceed_from="event")
    assert worse(found, "baseline_day", "day") == [(0, 100), (100, 190), (190, 400)]


def test_proceeding_from_the_first_period_listed() -> None:
    scores = {0: 2.0, 100: 3.0, 184: 3.0, 268: 3.5, 360: 4.0, 450: 4.0, 540: 4.5, 800: 4.5}
    both = {"confirmation_periods_days": (168, 84)}
    # confirmed on day 184 (84 days) and 268 (168 days): from 3.0 the 4.0 of day 360 is worse, from 3.5 the 4.5
    assert worse(find(scores, rule=ROVING, **both), "baseline_day", "day") == [(0, 100), (184, 360)]
    found = find(scores, rule=ROVING, proceed_from="first_period", **both)
    assert worse(found, "baseline_day", "day") == [(0, 100), (268, 540)]


def test_confirmed_changes_below_the_threshold_move_a_roving_baseline() -> None:
    scores = {0: 3.0, 100: 2.5, 190: 2.5, 300: 3.5, 400: 3.5}  # -0.5, then +1.0 from 2.5 (+0.5 from 3.0)
    assert worse(find(scores, rule=ROVING)) == []
    for below in ("any", "improvement"):
        found = find(scores, rule=ROVING, sub_threshold_rebaseline=below)
        assert worse(found, "baseline_day", "day") == [(190, 300)]
        assert better(found) == []  # it is no event
    assert worse(find(scores, rule=ROVING, sub_threshold_rebaseline="worsening")) == []
    once = {0: 3.0, 100: 2.5, 190: 3.0, 300: 3.5, 400: 3.5}  # not confirmed
    assert worse(find(once, rule=ROVING, sub_threshold_rebaseline="any")) == []


def test_a_baseline_that_may_not_improve() -> None:
    scores = {0: 4.0, 100: 3.0, 190: 3.0, 300: 4.0, 400: 4.0, 500: 5.0, 600: 5.0}
    assert worse(find(scores, rule=ROVING), "baseline_day", "day", "value_before") == [
        (190, 300, 3.0),
        (400, 500, 4.0),
    ]
    found = find(scores, rule=ROVING, baseline_may_improve=False)
    # the baseline moves to day 190 but keeps 4.0, the score of day 0; 3.0 on day 190 itself is untouched
    assert worse(found, "baseline_day", "day", "value_before") == [(190, 500, 4.0)]
    assert found.events.filter(direction="worsening")["sources"][0].to_list() == [
        "visits:3:baseline", "visits:1:baseline_value", "visits:6:onset", "visits:7:confirmation",
    ]  # fmt: skip


def test_the_threshold_is_looked_up_at_the_value_that_is_kept() -> None:
    # from 5.5, kept at the visit with 4.5, a worsening needs 0.5; from 4.5 it would need 1.0
    scores = {0: 5.5, 100: 4.5, 190: 4.5, 300: 6.0, 390: 6.0}
    found = find(scores, rule=ROVING, baseline_may_improve=False)
    assert worse(found, "baseline_day", "day", "value_before") == [(190, 300, 5.5)]


@pytest.mark.parametrize(
    ("mode", "scores", "baseline"),
    [
        ("none", {0: 3.0, 90: 2.0, 180: 3.0, 270: 3.0}, 90),
        ("strict", {0: 3.0, 90: 2.0, 180: 3.0, 270: 3.0}, 180),  # 2.0 lies 1.0 under both: a dip
        ("strict", {0: 3.0, 90: 2.5, 180: 3.0, 270: 3.0}, 90),  # by 0.5: no strict one
        ("all", {0: 3.0, 90: 2.5, 180: 3.0, 270: 3.0}, 180),
        ("all", {0: 3.0, 90: 2.5, 180: 2.5, 270: 3.0}, 90),  # not under the next
        ("all", {-90: 2.5, 0: 3.0, 90: 2.5, 180: 3.0, 270: 3.0}, 90),  # as two visits before: undulation
    ],
)
def test_a_local_extremum_is_no_baseline(mode: str, scores: dict[int, float], baseline: int) -> None:
    rule = replace(RULE, worsening_baseline_visit="rebaseline", skip_local_extrema=mode)
    found = baselines(course(scores, rebaseline_day=90), rule)
    assert found["baseline_day"][0] == baseline


# Relapses that move the baseline ------------------------------------------------------------


def test_a_relapse_moves_the_baseline_to_the_next_visit() -> None:
    scores = {0: 3.0, 100: 2.5, 200: 3.5, 300: 3.5}  # relapse on day 95; from 2.5 the 3.5 is worse
    assert worse(find(scores, 95, rule=RULE)) == []
    rule = replace(RULE, relapse_rebaseline="next_visit")
    assert worse(find(scores, 95, rule=rule), "baseline_day", "day") == [(100, 200)]
    # no visit differs by 1.0 from the 3.0 of day 0: a search that only changes take on never passes the relapse
    assert worse(find(scores, 95, rule=replace(rule, relapse_rebaseline="next_visit_if_changed"))) == []
    # with another change later it does
    scores |= {400: 4.5, 500: 4.5}
    found = find(scores, 95, rule=replace(rule, relapse_rebaseline="next_visit_if_changed"))
    assert worse(found, "baseline_day", "day") == [(100, 200)]


def test_changes_soon_after_a_relapse_are_compared_with_the_baseline_before_it() -> None:
    scores = {0: 2.0, 100: 2.5, 130: 4.0, 230: 4.0, 330: 4.0}  # relapse on day 95
    rule = replace(RULE, relapse_rebaseline="next_visit")
    assert worse(find(scores, 95, rule=rule), "baseline_day", "day") == [(100, 130)]
    rule = replace(rule, relapse_evaluation_days=90)
    # day 130 is worse than the 2.0 of day 0; then the baseline goes back to day 100, from which it is worse as well:
    # one onset is one event, counted from the later baseline
    found = find(scores, 95, rule=rule)
    assert worse(found, "baseline_day", "day", "label") == [(100, 130, "RAW")]
    assert found.candidates.select("day", "baseline_day", "rejected_because").rows() == [
        (130, 0, "superseded")
    ]


def test_an_onset_found_again_counts_once() -> None:
    scores = {0: 2.0, 100: 2.5, 130: 4.0, 230: 4.0, 330: 4.0, 430: 3.0, 530: 4.0, 630: 4.0}
    rule = replace(
        RULE, relapse_rebaseline="next_visit", relapse_evaluation_days=90, events="nth", event_number=2
    )
    found = find(scores, 95, rule=rule)
    assert worse(found) == [530]  # day 130 was found twice, and is number 1
    assert found.candidates.filter(day=130)["rejected_because"].to_list() == ["superseded", "earlier_event"]


def test_the_next_visit_after_the_end_of_a_relapse() -> None:
    visits = course({0: 3.0, 100: 2.0, 200: 2.5, 300: 3.5, 400: 3.5})
    rule = replace(RULE, relapse_rebaseline="next_visit", relapse_distance_from="end")
    found = derive_disability(visits, relapsed(95, end=[150]), rule=rule)
    assert worse(found, "baseline_day", "day") == [(200, 300)]
    found = derive_disability(visits, relapsed(95, end=[None]), rule=rule)
    assert worse(found, "baseline_day", "day") == [(100, 300)]


def test_recovery_goes_with_a_roving_baseline() -> None:
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 290: 4.5, 400: 3.5, 500: 4.5, 600: 4.5}
    rule = replace(ROVING, relapse_rebaseline="recovered", relapse_recovery_days=90)
    # 2 -> 3, baseline to day 200; relapse on day 280: the first visit 90 days later is day 400 (3.5)
    assert worse(find(scores, 280, rule=rule), "baseline_day", "day") == [(0, 100), (400, 500)]


# What makes it last -------------------------------------------------------------------------


def test_each_period_may_have_its_own_tolerance() -> None:
    rule = replace(
        RULE, confirmation_periods_days=(84, 168), confirmation_tolerances_days=((7, 7), (28, math.inf))
    )
    # windows 77 to 91 and 140 on: day 100 after the onset confirms neither, day 140 the second
    assert worse(find({0: 2.0, 100: 3.0, 200: 3.0}, rule=rule)) == []
    found = find({0: 2.0, 100: 3.0, 200: 3.0, 240: 3.0}, rule=rule)
    assert found.confirmations.select("period_days", "day").rows() == [(168, 240)]


def test_improvement_may_have_its_own_periods_and_duration() -> None:
    rule = replace(RULE, improvement_confirmation_periods_days=(168,), improvement_sustained_days=300)
    down, up = {0: 4.0, 100: 3.0, 200: 3.0}, {0: 2.0, 100: 3.0, 200: 3.0}
    assert worse(find(up, rule=rule)) == [100]
    assert better(find(down, rule=rule)) == []
    found = find(down | {300: 3.0}, rule=rule)
    assert better(found) == [100]
    assert found.confirmations["period_days"].to_list() == [168]
    assert better(find(down | {300: 3.0, 390: 4.0}, rule=rule)) == []  # gone after 290 days
    assert worse(find(up | {300: 3.0, 390: 2.0}, rule=rule)) == [100]


def test_sustained_at_the_end_of_the_period_only() -> None:
    # confirmed on day 300 alone; 60 days after the onset, on day 160, it was gone
    rule = replace(
        RULE, confirming_visits="confirming_only", confirmation_periods_days=(168,), sustained_days=60
    )
    assert reasons(find({0: 2.0, 100: 3.0, 160: 2.0, 300: 3.0}, rule=rule))[0] == (100, "not_sustained")
    assert worse(find({0: 2.0, 100: 3.0, 150: 2.0, 300: 3.0}, rule=rule)) == [100]


def test_persistence() -> None:
    scores = {
        0: 2.0,
        100: 4.0,
        200: 4.0,
        300: 3.0,
        400: 3.0,
    }  # 3.0 is still worse than 2.0, but better than 4.0
    assert worse(find(scores)) == [100]
    found = find(scores, persistence_days=1826)
    assert reasons(found)[0] == (100, "not_persistent")
    assert worse(find(scores, persistence_days=199)) == [100]  # the way back begins 200 days after the onset
    assert reasons(find(scores, persistence_days=200))[0] == (100, "not_persistent")
    assert worse(find(scores, persistence_days=1826, persistence_confirmation_days=101)) == [100]
    scores = {0: 4.0, 100: 2.0, 200: 2.0, 300: 3.0, 400: 3.0}  # the mirror
    assert reasons(find(scores, persistence_days=math.inf))[0] == (100, "not_persistent")


# RAW and PIRA -------------------------------------------------------------------------------

QUIET = replace(
    RULE, raw_window_days=(0, 0), pira_around_event_days=(0, 0), pira_around_confirmation_days=(0, 0)
)


@pytest.mark.parametrize(
    ("changes", "onset", "label"),
    [
        # visits: 0 (baseline), 60, 120 (onset), 240 (confirmation)
        ({}, 100, "PIRA"),  # nothing is asked
        ({}, 0, "PIRA"),
        ({}, 240, "PIRA"),
        ({"pira_around_preceding_days": (0, 30)}, 30, "undefined"),  # the baseline's window: days 0 to 30
        ({"pira_around_preceding_days": (0, 30)}, 31, "PIRA"),
        (
            {"pira_around_preceding_days": (0, 30), "pira_preceding_visit": "last"},
            31,
            "PIRA",
        ),  # days 60 to 90
        ({"pira_around_preceding_days": (0, 30), "pira_preceding_visit": "last"}, 90, "undefined"),
        ({"pira_joined": "preceding_event"}, 1, "undefined"),  # no relapse since the baseline: days 0 to 120
        ({"pira_joined": "preceding_event"}, 121, "PIRA"),
        ({"pira_joined": "preceding_event", "pira_around_event_days": (0, 30)}, 150, "undefined"),
        (
            {"pira_joined": "preceding_event", "pira_preceding_visit": "last"},
            59,
            "PIRA",
        ),  # since the last visit
        ({"pira_joined": "event_confirmation"}, 119, "PIRA"),  # from the onset to the confirmation
        ({"pira_joined": "event_confirmation"}, 180, "undefined"),
        ({"pira_joined": "event_confirmation"}, 241, "PIRA"),
        ({"pira_joined": "all"}, 1, "undefined"),  # from the baseline to the confirmation
        ({"pira_joined": "all"}, 240, "undefined"),
        ({"pira_joined": "all"}, 241, "PIRA"),
    ],
)
def test_relapse_free_intervals(changes: dict[str, Any], onset: int, label: str) -> None:
    assert worse(find({0: 2.0, 60: 2.0, 120: 3.0, 240: 3.0}, onset, rule=QUIET, **changes), "label") == [
        label
    ]


def test_the_last_visit_from_which_the_change_meets_the_threshold() -> None:
    rule = replace(QUIET, pira_joined="preceding_event", pira_preceding_visit="last_delta")
    # onset 4.0 on day 180, confirmed 3.5: from day 120 (3.0) the confirmation differs by 0.5 only, from day 60 by 1.0
    scores = {0: 2.0, 60: 2.5, 120: 3.0, 180: 4.0, 300: 3.5}
    rule = replace(rule, worsening_threshold=steps((0, 1.0)), worsening_baseline_visit="rebaseline")
    visits = course(scores, rebaseline_day=60)
    for relapse, label in ((61, "undefined"), (59, "PIRA")):
        assert worse(find(visits, relapse, rule=rule), "day", "label") == [(180, label)]


def test_a_local_extremum_is_no_visit_from_which_the_change_is_counted() -> None:
    # onset 4.0 on day 180; 3.5 on day 120 is too near, the 2.0 of day 60 a dip: the first visit is left
    scores = {0: 3.0, 60: 2.0, 120: 3.5, 180: 4.0, 300: 4.0}
    rule = replace(QUIET, pira_joined="preceding_event", pira_preceding_visit="last_delta")
    assert worse(find(scores, 30, rule=rule), "day", "label") == [(180, "PIRA")]
    found = find(scores, 30, rule=rule, skip_local_extrema="strict")
    assert worse(found, "day", "label") == [(180, "undefined")]


def test_the_earliest_relapse_free_confirmation_is_told() -> None:
    found = find(
        {0: 2.0, 100: 3.0, 190: 3.0, 400: 3.0}, 200
    )  # a relapse 10 days after the first confirmation
    assert found.events["label"].to_list() == ["PIRA"]
    assert found.confirmations.select("day", "is_relapse_free", "relapse_free_day").rows() == [
        (190, False, 400)
    ]


# What is reported ---------------------------------------------------------------------------

STEPS = {0: 2.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 4.0, 500: 3.0, 600: 3.0, 700: 4.0, 800: 4.0}


def test_the_nth_event() -> None:
    assert worse(find(STEPS, rule=ROVING)) == [100, 300, 700]
    assert worse(find(STEPS, rule=ROVING, events="first")) == [100]
    found = find(STEPS, rule=ROVING, events="nth", event_number=2)
    assert (worse(found), better(found)) == ([300], [])
    assert ("a/edss_worsening/1", 300) in found.events.select("event_id", "day").rows()
    assert [row for row in reasons(found) if row[1] == "earlier_event"] == [
        (100, "earlier_event"),
        (500, "earlier_event"),
    ]
    assert worse(find(STEPS, rule=ROVING, events="nth", event_number=4)) == []


def test_events_of_one_kind_or_of_either_direction() -> None:
    assert find(STEPS, rule=ROVING, event_kind="improvement").events["day"].to_list() == [500]
    found = find(STEPS, rule=ROVING, event_kind="worsening")
    assert found.events["direction"].unique().to_list() == ["worsening"]
    assert worse(found) == [100, 300, 700]  # the improvement still moves the baseline
    down_first = {0: 4.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 4.0}
    found = find(down_first, rule=ROVING, events="first", event_kind="either")
    assert found.events.select("direction", "day").rows() == [("improvement", 100)]
    found = find(down_first, rule=ROVING, events="nth", event_number=2, event_kind="either")
    assert found.events.select("direction", "day").rows() == [("worsening", 300)]


def test_the_first_pira_after_a_relapse_associated_worsening() -> None:
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 300: 4.0, 400: 4.0}  # relapse on day 95
    found = find(scores, 95, rule=ROVING, events="first", event_kind="PIRA")
    assert worse(found, "day", "label") == [(300, "PIRA")]
    assert (100, "other_kind") in reasons(found)
    found = find(scores, 95, rule=ROVING, events="first", event_kind="RAW")
    assert worse(found, "day", "label") == [(100, "RAW")]
    # from the fixed baseline the plateau is the one of the relapse
    assert worse(find(scores, 95, events="first", event_kind="PIRA")) == []


def test_one_search_for_both_directions() -> None:
    # day 100 improves, confirmed on day 300; day 200 is worse; only the confirming visit is looked at
    rule = replace(RULE, confirming_visits="confirming_only", confirmation_periods_days=(168,))
    scores = {0: 4.0, 100: 3.0, 200: 5.0, 300: 3.0, 400: 5.0, 500: 5.0, 600: 5.0}
    assert worse(find(scores, rule=rule)) == [200]
    assert worse(find(scores, rule=rule, search="together")) == [400]
    assert worse(find(scores, rule=rule, search="together", event_kind="worsening")) == [400]
    # from the event on: day 300, before the confirmation, ends the change, and day 400 begins anew
    assert worse(find(scores, rule=rule, search="together", proceed_from="event")) == [200, 400]


def test_a_plateau_may_be_reported_each_time_it_is_confirmed() -> None:
    scores = {0: 2.0, 100: 3.0, 200: 3.0, 300: 3.0, 400: 3.0}
    assert worse(find(scores)) == [100]
    assert worse(find(scores, plateau="repeated"), "day", "confirmed_day") == [(100, 200), (300, 400)]


def test_an_unconfirmed_worsening_at_the_last_visit_may_count() -> None:
    scores = {0: 2.0, 100: 2.0, 200: 3.0}
    assert worse(find(scores)) == []
    found = find(scores, impute_probability=1)
    assert worse(found, "day", "confirmed_day", "label", "left_day") == [(200, None, "PIRA", 100)]
    assert not len(found.confirmations)
    assert worse(find(scores, 150, impute_probability=1), "label") == ["RAW"]
    assert worse(find(scores, impute_probability=1, impute_within_days=199)) == []
    assert worse(find(scores, impute_probability=1, impute_within_days=200)) == [200]
    assert better(find({0: 4.0, 100: 3.0}, impute_probability=1)) == []  # worsening only
    assert worse(
        find({0: 2.0, 100: 3.0, 200: 3.0}, impute_probability=1, confirmation_periods_days=(365,))
    ) == [200]


def test_imputation_depends_on_seed_and_patient_alone() -> None:
    visits = pl.concat([course({0: 2.0, 100: 3.0}, patient=f"p{k:03}") for k in range(400)])
    rule = replace(RULE, impute_probability=0.25, impute_seed=3)
    chosen = derive_disability(visits, None, rule=rule).events["patient_id"].to_list()
    assert 70 <= len(chosen) <= 130  # 100 expected, standard deviation 8.7
    some = visits.filter(pl.col("patient_id") >= "p200").sample(fraction=1, shuffle=True, seed=1)
    again = derive_disability(some, None, rule=rule).events["patient_id"].to_list()
    assert again == [name for name in chosen if name >= "p200"]
    other = derive_disability(visits, None, rule=replace(rule, impute_seed=4)).events["patient_id"].to_list()
    assert other != chosen


# Rules that contradict themselves -----------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measure": "custom"}, "belong to measure"),
        ({"custom_column": "x"}, "belong to measure"),
        ({"confirmation_tolerances_days": ((7, 7), (7, 7))}, "one pair per period: it has 2"),
        ({"improvement_confirmation_periods_days": (84, 84)}, "names a period twice"),
        ({"relapse_evaluation_days": 90}, "needs relapse_rebaseline"),
        (
            {"relapse_rebaseline": "next_visit", "worsening_baseline_scheme": "after_relapse"},
            "the same thing twice",
        ),
        ({"sub_threshold_rebaseline": "any"}, "moves a roving baseline"),
        ({"baseline_may_improve": False}, "needs a baseline that moves"),
        ({"search": "together", "worsening_baseline_scheme": "roving"}, "same baseline visit and scheme"),
        ({"event_kind": "either", "worsening_baseline_visit": "screening"}, "same baseline visit and scheme"),
        ({"pira_joined": "preceding_event"}, r"must be 0, not \(0, 90\)"),
        ({"pira_joined": "event_confirmation"}, r"must be 0, not \(30, 90\)"),
        ({"event_number": 2}, 'needs events = "nth"'),
        ({"impute_probability": 1.5}, "between 0 and 1"),
        ({"persistence_days": -1}, "persistence_days must be 0 or more"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        replace(RULE, **changes)


def test_a_cap_belongs_to_a_fraction() -> None:
    with pytest.raises(DefinitionError, match="caps a fraction"):
        ThresholdStep(from_value=0, change=1, at_most=4)


def test_every_field_can_be_varied_as_a_file_would() -> None:
    rule = load_definition("atkins2016").disability_rule("edss")
    varied = vary(
        rule, worsening_threshold=[{"from": 0, "change": 0.2, "unit": "fraction", "at_most": 4}],
        confirmation_tolerances_days=[[7, math.inf]], improvement_sustained_days=90, impute_probability=0.5,
        pira_around_event_days=[0, 30], pira_joined="preceding_event", events="nth", event_number=2,
    )  # fmt: skip
    assert isinstance(varied, DisabilityRule)
    assert varied.confirmation_tolerances_days == ((7, math.inf),)
    assert FIFTH != varied.worsening_threshold
