"""Until when a change could have been confirmed: by hand, and against the search itself."""

import random
from dataclasses import replace

import polars as pl
import pytest
from tests.outcomes.test_disability import RULE, course, relapsed
from tests.outcomes.test_disability_oracle import random_patient, random_rule, tables_of

from ahsct.outcomes import derive_disability, derive_evaluability


@pytest.mark.parametrize(
    ("changes", "relapses", "until"),
    [
        ({}, (), 200),  # visits 0, 100, 200, 290: day 290 lies 90 days after day 200
        ({"confirmation_periods_days": (168,)}, (), 100),  # 161 to 190 days later: day 290 after day 100
        ({"confirmation_periods_days": (168,), "confirmation_tolerance_days": (0, 10)}, (), None),
        ({"relapse_to_confirmation_days": (30, 0)}, (280,), 100),  # day 290 does not confirm, day 200 does
        ({"relapse_to_event_days": (30, 0)}, (190,), 100),
        ({"relapse_to_event_days": (0, 20)}, (215,), 100),
        ({"not_before_day": 150}, (), 200),
        ({"not_before_day": 250}, (), None),
    ],
)
def test_by_hand(changes: dict, relapses: tuple, until: int | None) -> None:
    visits = course({0: 2.0, 100: 2.0, 200: 2.0, 290: 2.0}, time_zero_day=0)
    found = derive_evaluability(visits, replace(RULE, **changes), relapses=relapsed(*relapses))
    assert found["confirmable_until_day"].to_list() == [until, until]
    assert found["is_evaluable"].to_list() == [until is not None] * 2
    assert found["last_visit_day"].to_list() == [290, 290]


def test_without_visits_or_baseline_there_is_no_day() -> None:
    visits = pl.concat([course({0: None}, patient="b"), course({0: 2.0}, patient="a")])
    found = derive_evaluability(visits, RULE)
    assert found.select("patient_id", "baseline_day", "last_visit_day", "is_evaluable").rows() == [
        ("a", 0, 0, False), ("a", 0, 0, False), ("b", None, None, False), ("b", None, None, False)
    ]  # fmt: skip


def test_no_event_begins_later() -> None:
    n_events = n_last = 0
    for seed in range(60):
        r = random.Random(seed)
        rule = replace(random_rule(r), impute_probability=0, event_day="onset", threshold_column=None)
        visits, relapses = tables_of(rule, [random_patient(r, rule, f"p{k}") for k in range(20)])
        events = derive_disability(visits, relapses, rule=rule).events
        until = derive_evaluability(visits, rule, relapses=relapses)
        both = events.join(until, on=["patient_id", "direction"], how="left")
        assert (both["day"] <= both["confirmable_until_day"]).all()
        assert both["is_evaluable"].all()
        n_events += len(both)
        n_last += (both["day"] == both["confirmable_until_day"]).sum()
    assert n_events > 250
    assert n_last > 20  # the limit is reached: it is not simply late
