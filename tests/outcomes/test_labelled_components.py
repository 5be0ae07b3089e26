"""PIRA and RAW as components: six patients from EDSS 3.0 on day -60, counted by hand.

A worsening is 4.0, first seen on day 400 and confirmed on day 600 (168 days or more). It is RAW up to 90 days
after a relapse, and PIRA without a relapse from 90 days before to 30 days after onset and confirmation.
"""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import vary
from ahsct.errors import DefinitionError
from ahsct.outcomes import derive_outcomes
from ahsct.vocabulary import TIME_TO_EVENT

COURSES = {
    "a": {200: 3.0, 400: 4.0, 600: 4.0, 800: 4.0},  # PIRA on 400
    "b": {200: 3.0, 400: 4.0, 600: 4.0, 800: 4.0},  # relapse on 350: RAW on 400
    "c": {200: 3.0, 400: 3.0, 600: 3.0, 800: 3.0},  # stable
    "d": {200: 3.0, 400: 4.0, 600: 4.0, 800: 4.0},  # relapse on 420, 20 days after: neither
    "e": {200: 3.0, 400: 3.0, 600: 3.0, 800: 4.0},  # too late to be confirmed
    "f": {200: 3.0, 400: 4.0, 600: 4.0, 800: 3.0, 1000: 4.0, 1200: 4.0},  # RAW on 400 (relapse 350), PIRA on 1000
}  # fmt: skip
RELAPSES = {"b": 350, "d": 420, "f": 350}


def study(build: Any, **tables: pl.DataFrame) -> Any:
    made = {
        "patients": pl.DataFrame({"patient_id": list(COURSES)}),
        "visits": build.visits(
            *[(p, day, edss) for p, course in COURSES.items() for day, edss in course.items()],
            baseline="".join(COURSES),
        ),
        "relapses": pl.DataFrame(
            {"patient_id": list(RELAPSES), "onset_day": list(RELAPSES.values())},
            schema={"patient_id": pl.String, "onset_day": pl.Int64},
        ),
    } | tables
    return build.study(**made)


def rows(study: Any, definition: Any, component: str = "composite") -> dict[str, tuple[Any, ...]]:
    table = derive_outcomes(study, definition).time_to_event
    assert table.schema == TIME_TO_EVENT
    own = table.filter((pl.col("endpoint") == "e") & (pl.col("component") == component))
    names = ("left_day", "time_day", "is_event", "cause")
    return {row["patient_id"]: tuple(row[name] for name in names) for row in own.iter_rows(named=True)}


FREE = {
    "c": (800, 800, False, None),
    "e": (600, 600, False, None),  # a change left unconfirmed ends the follow-up before its onset
}
WORSE = (200, 400, True)
EXPECTED = {
    "edss_worsening": {p: (*WORSE, "edss_worsening") for p in "abdf"} | FREE,
    "edss_pira": {
        "a": (*WORSE, "edss_pira"),
        "b": (800, 800, False, None),
        "d": (800, 800, False, None),
        "f": (800, 1000, True, "edss_pira"),
    } | FREE,
    "edss_raw": {
        "a": (800, 800, False, None),
        "b": (*WORSE, "edss_raw"),
        "d": (800, 800, False, None),
        "f": (*WORSE, "edss_raw"),
    } | FREE,
}  # fmt: skip


@pytest.mark.parametrize("component", EXPECTED)
def test_each_label_counts_its_own_first_event(build: Any, component: str) -> None:
    assert rows(study(build), build.definition(component)) == EXPECTED[component]


def test_the_composite_of_both_says_which_came_first(build: Any) -> None:
    definition = build.definition("edss_pira", "edss_raw")
    found = rows(study(build), definition)
    assert {p: found[p][3] for p in "abcdef"} == {
        "a": "edss_pira", "b": "edss_raw", "c": None, "d": None, "e": None, "f": "edss_raw",
    }  # fmt: skip
    assert rows(study(build), definition, "edss_pira")["f"] == (800, 1000, True, "edss_pira")


def test_an_unconfirmed_change_without_a_label_is_never_counted_as_pira(build: Any) -> None:
    counted = {"disability__edss__unconfirmed_at_end": "event"}
    worsening = rows(study(build), vary(build.definition("edss_worsening"), **counted))
    assert worsening["e"] == (600, 800, True, "edss_worsening")
    pira = rows(study(build), vary(build.definition("edss_pira"), **counted))
    assert pira["e"] == (600, 600, False, None)


def test_without_a_table_of_relapses_nobody_can_be_told_apart(build: Any) -> None:
    whole = study(build)
    tables = {name: table for name, table in whole.tables.items() if name != "relapses"}
    lacking = type(whole)(study_id="x", tables=tables, data_kind="simulated")
    table = derive_outcomes(lacking, build.definition("edss_pira")).not_evaluable
    assert table.filter(pl.col("endpoint") == "e").select("patient_id", "reason").rows() == [
        (None, "the study has no table of relapses: PIRA cannot be told from other worsening")
    ]
    assert rows(lacking, build.definition("edss_worsening"))["a"] == (*WORSE, "edss_worsening")


def test_a_relapse_without_a_day_leaves_the_label_unknown(build: Any) -> None:
    undated = pl.DataFrame(
        {"patient_id": ["a", "b"], "onset_day": [None, 350]},
        schema={"patient_id": pl.String, "onset_day": pl.Int64},
    )
    made = study(build, relapses=undated)
    table = derive_outcomes(made, build.definition("edss_pira")).time_to_event.filter(
        (pl.col("endpoint") == "e") & (pl.col("component") == "composite") & (pl.col("patient_id") == "a")
    )
    assert table.select("is_evaluable", "is_event", "censor_reason").row(0) == (
        False, False, "a relapse without a day",
    )  # fmt: skip
    assert rows(made, build.definition("edss_worsening"))["a"] == (*WORSE, "edss_worsening")


@pytest.mark.parametrize(
    ("component", "events", "kind"),
    [
        ("edss_pira", "first", "worsening"),
        ("edss_pira", "all", "RAW"),
        ("edss_raw", "first", "each_direction"),
        ("edss_worsening", "all", "PIRA"),
        ("edss_worsening", "first", "either"),
        ("edss_improvement", "all", "worsening"),
    ],
)
def test_a_rule_that_may_hide_the_component_is_refused(
    build: Any, component: str, events: str, kind: str
) -> None:
    with pytest.raises(DefinitionError, match=f"{component!r}, but the disability rule 'edss' reports"):
        vary(
            build.definition(component),
            disability__edss__events=events,
            disability__edss__event_kind=kind,
        )
