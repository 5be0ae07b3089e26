"""The peer's arguments as a rule, and its recorded events (tests/peers/run_msprog.py, seeds 1 to 80, 8 patients each)."""

import doctest
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.peers.msprog_compare import check

from ahsct.definitions import ThresholdStep
from ahsct.errors import DefinitionError
from ahsct.outcomes import derive_disability, disability_rule_from_msprog

RECORDED = Path(__file__).parent / "msprog_1_0_7.jsonl.gz"


def test_events_are_those_recorded_from_the_peer() -> None:
    check(RECORDED, at_least=640)


def test_the_defaults_of_the_peer() -> None:
    rule = disability_rule_from_msprog(outcome="EDSS", data=None, subj_col="id", value_col="EDSS", verbose=2)
    assert (rule.measure, rule.events, rule.event_kind) == ("edss", "first", "worsening")
    assert (rule.worsening_baseline_scheme, rule.confirmation_periods_days) == ("fixed", (84,))
    assert rule.confirmation_tolerance_days == (7, 730.5)
    assert (rule.relapse_to_baseline_days, rule.relapse_to_confirmation_days) == ((30, 0), (30, 0))
    assert rule.pira_around_event_days == rule.pira_around_confirmation_days == (90, 30)
    assert rule.same_day == "last_row"
    assert [(s.from_value, s.change) for s in rule.worsening_threshold] == [(0, 1.5), (0.5, 1.0), (5.5, 0.5)]


# the published definitions as settings of the peer: our notes on its semantics, section 6
@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ({"prec": (0, None), "event": (None, 30), "conf": (30, 30)}, ("baseline", (0, 0), (0, 30), (30, 30), "preceding_event")),
        ({"prec": (0, 0), "event": (90, None), "conf": (None, 0)}, ("baseline", (0, 0), (90, 0), (0, 0), "event_confirmation")),
        ({"prec": (0, None), "event": (None, None), "conf": (None, 0)}, ("baseline", (0, 0), (0, 0), (0, 0), "all")),
        ({"prec_type": "last", "prec": (0, None), "event": (None, 0), "conf": (30, 0)}, ("last", (0, 0), (0, 0), (30, 0), "preceding_event")),
    ],
)  # fmt: skip
def test_relapse_free_intervals(windows: dict[str, Any], expected: tuple[Any, ...]) -> None:
    before = dict(windows)
    rule = disability_rule_from_msprog(outcome="edss", event="firstPIRA", relapse_indep=windows)
    assert expected == (
        rule.pira_preceding_visit,
        rule.pira_around_preceding_days,
        rule.pira_around_event_days,
        rule.pira_around_confirmation_days,
        rule.pira_joined,
    )
    assert windows == before  # defect 11: the caller's dictionary stays as it is


def test_thresholds_become_tables() -> None:
    def table(**arguments: Any) -> list[tuple[float, float, str]]:
        rule = disability_rule_from_msprog(**arguments)
        assert rule.worsening_threshold == rule.improvement_threshold
        return [(s.from_value, s.change, s.unit) for s in rule.worsening_threshold]

    assert table(outcome="edss", delta_fun=lambda b: 1.0 if b < 6 else 0.5) == [
        (0, 1.0, "points"),
        (6, 0.5, "points"),
    ]
    own = {"outcome": "custom", "worsening": "decrease", "value_col": "pegs"}
    assert table(delta_fun=lambda b, outcome: b / 10, **own) == [(0, 0.1, "fraction")]
    assert table(delta_fun=lambda b: 3, **own) == [(0, 3.0, "points")]
    rule = disability_rule_from_msprog(delta_fun=lambda b: 3, **own)
    assert (rule.column, rule.greater_is_worse) == ("pegs", False)
    assert disability_rule_from_msprog(outcome="sdmt").worsening_threshold == (
        ThresholdStep(from_value=0, change=0.2, unit="fraction", at_most=4),
    )


def test_periods_and_distances() -> None:
    rule = disability_rule_from_msprog(
        outcome="t25fw", conf_days=[84, 168.9], conf_tol_days={84: 14, 168.9: [31, float("inf")]},
        relapse_to_bl=[30.5, 10], relapse_assoc=45.5, impute_last_visit=90,
    )  # fmt: skip
    assert rule.periods_of("worsening") == ((84, (14, 14)), (168, (31, float("inf"))))
    assert rule.relapse_to_baseline_days == (31, 10)  # 31 whole days are the first that reach 30.5
    assert rule.raw_window_days == (45, 0)
    assert (rule.impute_probability, rule.impute_within_days) == (1, 90)
    assert rule.proceed_from == "confirmation"
    backwards = disability_rule_from_msprog(outcome="edss", conf_days=[168, 84])
    assert backwards.proceed_from == "first_period"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"outcome": "edss", "relaps_rebl": True}, r"no argument 'relaps_rebl'. Did you mean 'relapse_rebl'"),
        ({}, r"outcome = None is none of"),
        ({"outcome": "edss", "event": "firstcdw"}, r"event = 'firstcdw' .* Did you mean 'firstCDW'"),
        ({"outcome": "t25fw", "delta_fun": lambda b: max(0.2 * b, 1)}, r"delta_fun for t25fw .* threshold=numpy"),
        ({"outcome": "custom", "value_col": "x"}, r"needs value_col .* worsening"),
        ({"outcome": "custom", "value_col": "x", "worsening": "increase"}, r"needs delta_fun"),
        ({"outcome": "edss", "conf_days": [84, 84.5]}, r"each period once"),
        ({"outcome": "edss", "conf_days": [84], "conf_tol_days": {90: 7}}, r"conf_tol_days has no entry for the period 84"),
        ({"outcome": "edss", "relapse_indep": {"prec": (0, 0), "event": (90, None), "conf": (30, 0)}}, r"None joins two intervals"),
        ({"outcome": "edss", "relapse_indep": {"event": (90, 0)}}, r"no entry 'prec'"),
        ({"outcome": "edss", "relapse_to_bl": [1, 2, 3]}, r"relapse_to_bl"),
        ({"outcome": "edss", "impute_last_visit": -1}, r"impute_last_visit"),
    ],
)  # fmt: skip
def test_what_has_no_equivalent_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        disability_rule_from_msprog(**arguments)


def test_a_threshold_that_no_table_holds_goes_to_the_search() -> None:
    import numpy as np

    # 20 % and at least 1 s: from 4.0 s a change of 1.0 counts, of 0.8 (20 %) does not
    visits = pl.DataFrame({"patient_id": ["a"] * 6, "visit_day": [0, 90, 180, 270, 360, 450],
                           "t25fw_s": [4.0, 4.8, 4.8, 5.0, 5.0, 5.0]})  # fmt: skip
    rule = disability_rule_from_msprog(outcome="t25fw")
    found = derive_disability(visits, None, rule=rule, threshold=np.vectorize(lambda b: max(0.2 * b, 1.0)))
    assert found.events["day"].to_list() == [270]
    assert derive_disability(visits, None, rule=rule).events["day"].to_list() == [90]


def test_the_how_to_does_what_it_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "from-msprog.md"
    failed, n = doctest.testfile(str(page), module_relative=False)
    assert (failed, n) == (0, 8)
