"""The course as stays in states: the shipped example, and patients built by hand."""

from dataclasses import replace

import polars as pl
import pytest

from ahsct.definitions import load_definition
from ahsct.errors import RequestError
from ahsct.outcomes import derive_outcomes
from ahsct.outcomes.stays import STAY_STATES, _stays, derive_stays
from ahsct.studies import load_example
from ahsct.vocabulary import TRANSITIONS


def test_the_example_study() -> None:
    study, definition = load_example(), load_definition("atkins2016")
    course = derive_stays(study, derive_outcomes(study, definition), definition)
    assert course.transitions.schema == TRANSITIONS
    assert course.states == STAY_STATES
    assert course.not_evaluable.is_empty()
    moves = dict(
        course.transitions.group_by("to_state").len().select("to_state", pl.col("len").cast(int)).rows()
    )
    assert moves["engrafted"] == 24
    assert moves["dead"] == 1
    # everybody leaves sight once, or dies
    assert moves[None] == 23


def person(**days: object) -> dict[str, object]:
    base = {"patient_id": "p", "arm": "all", "_offset": 0, "_last": 1500, "_dead": None, "_evaluable": True,
            "_day": 1400, "_active": False, "_reason": None, "_counted": True, "_engrafted": 11, "_restart": None}  # fmt: skip
    return {**base, **days}


def moves(**days: object) -> list[tuple[str, str | None, int, int]]:
    return [
        (one["from_state"], one["to_state"], one["start_day"], one["stop_day"])
        for one in _stays(person(**days))
    ]


T, E, A, R, D = STAY_STATES


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ({}, [(T, E, 0, 11), (E, None, 11, 1400)]),
        ({"_active": True, "_day": 400}, [(T, E, 0, 11), (E, A, 11, 400), (A, None, 400, 1500)]),
        (
            {"_active": True, "_day": 400, "_restart": 500, "_dead": 900, "_last": 900},
            [(T, E, 0, 11), (E, A, 11, 400), (A, R, 400, 500), (R, D, 500, 900)],
        ),
        # activity after the restart is no state of its own
        ({"_active": True, "_day": 400, "_restart": 300}, [(T, E, 0, 11), (E, R, 11, 300), (R, None, 300, 1500)]),
        # activity and restart on one day: the later state
        ({"_active": True, "_day": 400, "_restart": 400}, [(T, E, 0, 11), (E, R, 11, 400), (R, None, 400, 1500)]),
        # dead before engraftment; dead within the gap; dead long after the last complete assessment
        ({"_engrafted": None, "_dead": 8, "_last": 8, "_day": 8}, [(T, D, 0, 8)]),
        ({"_dead": 1450, "_last": 1450, "_day": 1450}, [(T, E, 0, 11), (E, D, 11, 1450)]),
        ({"_dead": 2900, "_last": 2900, "_day": 1400}, [(T, E, 0, 11), (E, None, 11, 1400)]),
        # time zero 20 days before the infusion
        ({"_offset": -20, "_active": True, "_day": 420}, [(T, E, 0, 11), (E, A, 11, 400), (A, None, 400, 1500)]),
    ],
)  # fmt: skip
def test_each_patient_moves_forward(days: dict[str, object], expected: list[object]) -> None:
    assert moves(**days) == expected


def test_without_an_estimand_that_counts_deaths_it_is_refused() -> None:
    study, definition = load_example(), load_definition("atkins2016")
    outcomes = derive_outcomes(study, definition)
    own = definition.estimand("everyone_counted")
    competing = replace(own.handling("other_death"), strategy="while_alive", handling="competing")
    estimand = replace(own, treatment_death=competing, other_death=competing)
    endpoints = tuple(replace(one, estimands=(own.id,)) for one in definition.endpoints)
    changed = replace(definition, estimands=(estimand,), endpoints=endpoints, marks=())
    with pytest.raises(RequestError, match="every death is an event"):
        derive_stays(study, outcomes, changed)
