"""The whole chain on small studies: what they lack is said, and order and origin of days do not matter."""

from dataclasses import fields
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ahsct.definitions import load_definition, vary
from ahsct.outcomes import Outcomes, derive_outcomes
from ahsct.outcomes.mri_around import with_mri_activity
from ahsct.tables import Study, make_study
from ahsct.vocabulary import SCHEMAS

ATKINS = load_definition("atkins2016")


def check_schemas(outcomes: Outcomes) -> None:
    for field in fields(outcomes):
        assert getattr(outcomes, field.name).schema == SCHEMAS[field.name], field.name


def visits_only(**more: pl.DataFrame) -> Study:
    return make_study(
        "visits only",
        data_kind="simulated",
        patients=pl.DataFrame({"patient_id": ["a", "b"]}),
        visits=pl.DataFrame(
            {"patient_id": ["a", "a", "b"], "visit_day": [-60, 300, 20], "edss": [3.0, 3.0, 4.0]}
        ),
        **more,
    )


def test_visits_alone_give_reasons_and_no_zero() -> None:
    outcomes = derive_outcomes(visits_only(), ATKINS)
    check_schemas(outcomes)
    assert outcomes.time_to_event.is_empty()
    assert outcomes.patient_values.is_empty()
    assert outcomes.not_evaluable["patient_id"].null_count() == outcomes.not_evaluable.height
    said = set(outcomes.not_evaluable["endpoint"].to_list())
    assert {e.id for e in ATKINS.endpoints} | {"overall_survival", "relapses", "mri", "toxicity"} <= said
    assert outcomes.flow.select("step", "n").rows()[0] == ("enrolled", 2)
    assert "infused" not in outcomes.flow["step"].to_list()


def test_each_missing_table_is_named_once_for_everybody() -> None:
    outcomes = derive_outcomes(
        visits_only(
            transplants=pl.DataFrame({"patient_id": ["a", "b"], "infusion_day": [0, 0]}),
            follow_up=pl.DataFrame(
                {"patient_id": ["a", "b"], "last_contact_day": [900, 800], "vital_status": ["alive", "alive"]}
            ),
        ),
        ATKINS,
    )
    check_schemas(outcomes)
    rows = outcomes.not_evaluable.select("patient_id", "endpoint", "reason").rows()
    assert (None, "relapse_free_survival", "the study has no table of relapses") in rows
    assert (None, "mri_activity_free_survival", "the study has no table of scans (mri)") in rows
    assert ("b", "progression_free_survival", "no baseline edss") in rows  # first visit on day 20
    assert outcomes.recurrent.is_empty()
    evaluable = outcomes.time_to_event.filter("is_evaluable")
    assert set(evaluable["endpoint"].to_list()) == {
        "activity_free_survival",  # its component edss_worsening alone
        "progression_free_survival",
        "overall_survival",
        "treatment_related_mortality",
    }
    flow = {
        (step, left): reason
        for step, left, reason in outcomes.flow.select("step", "n_left_out", "reason").rows()
    }
    assert (
        flow["analysed: relapse_free_survival (everyone_counted)", 2]
        == "the study has no table of relapses: 2"
    )


@pytest.mark.parametrize("n", [0, 1])
def test_nobody_and_one_patient(build: Any, n: int) -> None:
    study = build.study(patients=pl.DataFrame({"patient_id": ["a"][:n]}, schema={"patient_id": pl.String}))
    outcomes = derive_outcomes(study, ATKINS)
    check_schemas(outcomes)
    assert outcomes.time_to_event.filter(pl.col("endpoint") == "overall_survival").height == n


def test_patient_flow(build: Any) -> None:
    study = build.study(
        patients=build.rows(
            "patient_id not_infused_reason",
            ("a", None),
            ("b", None),
            ("c", "collection failed"),
            ("d", "withdrew"),
            ("e", None),
        ),
        transplants=build.rows(
            "patient_id mobilisation_start_day apheresis_day infusion_day",
            ("a", -40, -30, 0),
            ("b", None, None, 0),  # infused, so passed the steps before
            ("c", -40, None, None),
            ("e", -40, -30, 0),
        ),
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            ("a", 900, "alive", None, None),
            ("b", 60, "dead", 60, "treatment-related"),
        ),
    )
    set_aside = pl.DataFrame({"patient_id": ["z"], "n_problems": [2], "rules": ["wrong_type"]})
    study = Study(study_id="x", tables=study.tables, set_aside=set_aside)
    flow = derive_outcomes(study, ATKINS).flow.select("step", "n", "n_left_out", "reason").rows()
    assert flow[:7] == [
        ("checked", 5, 1, "set aside by the check of the tables: wrong_type"),
        ("enrolled", 5, 0, ""),
        ("mobilised", 4, 1, "withdrew: 1"),
        ("collected", 3, 1, "collection failed: 1"),
        ("conditioned", 3, 0, ""),
        ("infused", 3, 0, ""),
        ("with follow-up", 2, 1, "no follow_up row: 1"),
    ]
    analysed = {step: (n, left, reason) for step, n, left, reason in flow[7:]}
    unknown = "no follow_up row: vital status and last contact are unknown: 1"
    assert analysed["analysed: relapse_free_survival (as_published)"] == (
        1,
        2,
        f"left out as published (treatment death): 1; {unknown}",
    )
    assert analysed["analysed: relapse_free_survival (everyone_counted)"] == (2, 1, unknown)


def test_relapses_as_a_counting_process(build: Any) -> None:
    study = build.study(
        relapses=build.rows("patient_id onset_day", ("a", 300), ("a", -100), ("a", 100), ("a", 2000)),
    )
    rows = (
        derive_outcomes(study, ATKINS)
        .recurrent.select("start_day", "stop_day", "is_event", "event_number")
        .rows()
    )
    # the last relapse falls on the last contact: nothing is left after it
    assert rows == [(0, 100, True, 1), (100, 300, True, 2), (300, 2000, True, 3)]


AROUND = {
    # days of scans without activity, days of active scans, what is around an event on day 500
    "active on the edge of the window": ((), (590,), "present"),
    "active just outside, nothing else": ((), (591,), "not_assessed"),
    "negative in the window": ((410,), (), "none"),
    "negative on both sides": ((300, 700), (), "none"),
    "active after, too late to place": ((300,), (700,), "not_assessed"),
    "negative before only": ((300,), (), "not_assessed"),
    "negative after only": ((700,), (), "not_assessed"),
    "one of each in the window": ((450,), (560,), "present"),
    "no scan": ((), (), "not_assessed"),
}


@pytest.mark.parametrize("case", AROUND)
def test_mri_activity_around_an_event(build: Any, case: str) -> None:
    negative, active, expected = AROUND[case]
    scans = pl.DataFrame(
        {
            "patient_id": "a",
            "scan_day": [*negative, *active],
            "is_counted": True,
            "status": ["negative"] * len(negative) + ["active"] * len(active),
        },
        schema={"patient_id": pl.String, "scan_day": pl.Int64, "is_counted": pl.Boolean, "status": pl.String},
    )
    events = build.events(build.worsening("a", 500, 400), build.event("a", "relapse", 500))
    filled = with_mri_activity(events, scans)
    assert filled["mri_activity"].to_list() == [expected, None]


def random_study(draw: Any, shift: int = 0, order: list[str] | None = None) -> Study:
    ids = order or list(draw)
    days = {p: [d + shift for d in draw[p]["visits"]] for p in ids}
    frame = {
        "patients": pl.DataFrame({"patient_id": ids}),
        "visits": pl.DataFrame(
            {
                "patient_id": [p for p in ids for _ in days[p]],
                "visit_day": [d for p in ids for d in days[p]],
                "edss": [3.0 for p in ids for _ in days[p]],
            }
        ),
        "relapses": pl.DataFrame(
            {
                "patient_id": [p for p in ids for _ in draw[p]["relapses"]],
                "onset_day": [d + shift for p in ids for d in draw[p]["relapses"]],
            },
            schema={"patient_id": pl.String, "onset_day": pl.Int64},
        ),
        "mri": pl.DataFrame(
            {
                "patient_id": [p for p in ids for _ in draw[p]["scans"]],
                "scan_day": [d + shift for p in ids for d, _ in draw[p]["scans"]],
                "gd_n": [n for p in ids for _, n in draw[p]["scans"]],
                "new_t2_n": [0 for p in ids for _ in draw[p]["scans"]],
            },
            schema={"patient_id": pl.String, "scan_day": pl.Int64, "gd_n": pl.Int64, "new_t2_n": pl.Int64},
        ),
        "transplants": pl.DataFrame(
            {
                "patient_id": ids,
                "mobilisation_start_day": [shift - 40 for _ in ids],
                "infusion_day": [shift for _ in ids],
            }
        ),
        "follow_up": pl.DataFrame(
            {
                "patient_id": ids,
                "last_contact_day": [draw[p]["last"] + shift for p in ids],
                "vital_status": ["dead" if draw[p]["dead"] else "alive" for p in ids],
                "death_day": [draw[p]["last"] + shift if draw[p]["dead"] else None for p in ids],
            },
            schema_overrides={"death_day": pl.Int64},
        ),
    }
    return make_study("random", data_kind="simulated", **frame)


PATIENT = st.fixed_dictionaries(
    {
        "visits": st.sets(st.integers(-100, 1500), min_size=1, max_size=6),
        "relapses": st.sets(st.integers(-300, 1500), max_size=3),
        "scans": st.sets(st.integers(-100, 1500), max_size=5).flatmap(
            lambda days: st.tuples(
                *[st.tuples(st.just(d), st.sampled_from([0, 0, 1, None])) for d in sorted(days)]
            )
        ),
        "last": st.integers(1500, 2000),
        "dead": st.booleans(),
    }
)
PATIENTS = st.dictionaries(st.sampled_from("abcdef"), PATIENT, min_size=1, max_size=4)


@settings(max_examples=12, deadline=None)
@given(PATIENTS, st.integers(-4000, 4000), st.data())
def test_order_of_patients_and_origin_of_days_do_not_matter(draw: Any, shift: int, data: Any) -> None:
    order = data.draw(st.permutations(list(draw)))
    first = derive_outcomes(random_study(draw), ATKINS)
    again = derive_outcomes(random_study(draw, shift, list(order)), ATKINS)
    for name in ("time_to_event", "recurrent", "patient_values", "flow"):
        one, two = getattr(first, name), getattr(again, name)
        assert_frame_equal(one.sort(one.columns), two.sort(two.columns), check_exact=True)


@settings(max_examples=12, deadline=None)
@given(PATIENTS)
def test_what_holds_for_every_row(draw: Any) -> None:
    table = derive_outcomes(random_study(draw), vary(ATKINS, rebaseline={})).time_to_event
    assert (table["time_day"] >= table["entry_day"]).all()
    assert (table["left_day"] <= table["time_day"]).all()
    events = table.filter("is_event")
    assert (events["right_day"] == events["time_day"]).all()
    assert events["cause"].null_count() == 0
    rest = table.filter(~pl.col("is_event"))
    assert rest["right_day"].null_count() == rest.height
    assert rest["censor_reason"].null_count() == 0
    # the composite comes no later than any of its components
    keys = ["patient_id", "endpoint", "estimand", "population"]
    composite = table.filter((pl.col("component") == "composite") & pl.col("is_event"))
    parts = table.filter((pl.col("component") != "composite") & pl.col("is_event"))
    both = parts.join(composite, on=keys, suffix="_composite")
    assert both.height == parts.filter("is_evaluable").join(composite, on=keys, how="semi").height
    assert (both["time_day_composite"] <= both["time_day"]).all()


def test_early_relapses_that_do_not_count_are_reported(build: Any) -> None:
    study = build.study(
        visits=build.visits(("a", 90), ("a", 500)),
        relapses=build.rows("patient_id onset_day", ("a", 0), ("a", 89), ("a", 90)),
    )
    window = {"target_day": 91, "window_days": [61, 152], "early_events": "report_apart"}
    definition = build.definition("relapse", clinical=window)
    outcomes = derive_outcomes(study, definition)
    early = outcomes.patient_values.filter(pl.col("topic") == "early_events")
    assert early.select("term", "day").rows() == [("relapse", 0), ("relapse", 89)]
    composite = outcomes.time_to_event.filter(
        (pl.col("endpoint") == "e") & (pl.col("component") == "composite")
    )
    assert composite["time_day"].to_list() == [90]


def test_the_study_is_not_changed_and_the_result_is_the_same_again(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", ("b",), ("a",)),
        relapses=build.rows("patient_id onset_day", ("b", 50), ("a", 20)),
    )
    before = study.content_hash
    one, two = derive_outcomes(study, ATKINS), derive_outcomes(study, ATKINS)
    assert type(study)(study_id="x", tables=study.tables).content_hash == before
    for field in fields(one):
        assert getattr(one, field.name).equals(getattr(two, field.name), null_equal=True)
    survival = one.time_to_event.filter(pl.col("endpoint") == "overall_survival")
    assert survival["patient_id"].to_list() == ["b", "a"]  # the order of `patients`
