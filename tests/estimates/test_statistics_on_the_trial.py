"""The pages' snippets on the reconstructed trial of 2016: from an analysis to adverse events and to before against after."""

import pytest

from ahsct import analyse, load_example
from ahsct.analysis import Analysis
from ahsct.estimates import (
    adverse_event_rates,
    before_after_rates,
    censoring_bounds,
    simulate_without_treatment,
    worst_grades,
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(load_example("atkins2016"), "atkins2016")


def test_adverse_events_of_the_trial(analysis: Analysis) -> None:
    alive = analysis.outcomes.time_to_event.filter(endpoint="overall_survival")
    people = alive.select("patient_id", "arm", end_day="time_day", is_dead="is_event")
    events = analysis.study.tables["adverse_events"]
    anything = adverse_event_rates(events, people, at_years=[100 / 365.25]).filter(term="any")
    assert anything["n_events"].to_list() == [24] * anything.height
    worst = dict(worst_grades(events, people).filter(component="any").select("term", "n_events").rows())
    # published: 14 mild, 8 moderate, one death
    assert (worst["mild"], worst["moderate"], worst["fatal"], worst["not stated"]) == (14, 8, 1, 1)


def test_relapses_before_and_after_in_the_trial(analysis: Analysis) -> None:
    relapses = analysis.outcomes.patient_values.filter(topic="relapses")
    before = relapses.filter(period="before").select(
        "patient_id", n_before="number", years_before="exposure_years"
    )
    after = relapses.filter(period="after").select(
        "patient_id", n_after="number", years_after="exposure_years"
    )
    counts = before.join(after, on="patient_id")
    conditional, gee, _, selection = before_after_rates(counts).iter_rows(named=True)
    assert (conditional["n"], conditional["estimate"], conditional["lower"]) == (24, 0, 0)
    # below the 0.0175 of the pooled totals: at their own rates the patients would have had more events after than at the pooled one
    assert 0.01 < conditional["upper"] < 0.0175
    assert gee["upper"] is None
    assert 0.8 < selection["estimate"] < 1
    simulated = simulate_without_treatment(counts).row(0, named=True)
    assert "as low in 0 of 10000" in simulated["note"]
    assert simulated["lower"] > conditional["upper"]


def test_bounds_of_the_trial_are_the_estimate_where_nobody_was_censored_so(analysis: Analysis) -> None:
    times = analysis.outcomes.time_to_event.filter(
        endpoint="activity_free_survival", component="composite", estimand="as_published"
    )
    rows = censoring_bounds(times, at_years=3)
    assert set(rows["estimate"].round(4)) == {0.6957}
    assert rows["note"].str.ends_with("0 of 23 censored for dmt_restart").all()
