"""The multiverse answers each point exactly as that definition alone would."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from tests.multiverses.toy import toy_grid

from ahsct import load_example, make_study, multiverse
from ahsct.definitions import DisabilityRule, Grid, load_grid
from ahsct.estimates import kaplan_meier, milestone
from ahsct.outcomes import derive_outcomes, many, shared_tables
from ahsct.vocabulary import DAYS_PER_YEAR

NUMBERS = [
    "estimate",
    "std_error",
    "lower",
    "upper",
    "n",
    "n_events",
    "n_at_risk",
    "n_censored",
    "n_not_evaluable",
    "method",
]


@pytest.fixture(scope="module")
def trial():
    return load_example("atkins2016")


def alone(study, grid: Grid, number: int) -> list[tuple]:
    """Answer one point the long way: every outcome, its curve, its milestones."""
    point = next(grid.points(number - 1, number))
    table = derive_outcomes(study, point.definition).time_to_event.filter(
        (pl.col("endpoint") == grid.endpoint)
        & (pl.col("component") == "composite")
        & (pl.col("estimand") == point.estimand)
    )
    found = []
    for arm in table["arm"].unique().sort():
        asked = table.filter(pl.col("arm") == arm)
        fit = asked.filter("is_evaluable")
        curve = kaplan_meier(fit, interval=point.definition.interval, conf_level=point.definition.conf_level)
        for day in grid.milestones_days:
            rows = milestone(curve, at_years=day / DAYS_PER_YEAR).with_columns(
                n_not_evaluable=pl.lit(asked.height - fit.height, dtype=pl.Int64)
            )
            found += rows.select(NUMBERS).rows()
    return found


def test_each_point_is_what_its_definition_alone_gives(trial) -> None:
    grid = load_grid("activity_free_survival")
    found = multiverse(trial, grid)
    assert found["point"].unique().sort().to_list() == list(range(1, len(grid.combinations) + 1))
    rng = np.random.Generator(np.random.Philox(20261125))
    for number in [1, *rng.choice(len(grid.combinations), 4, replace=False) + 1]:
        assert found.filter(pl.col("point") == number).select(NUMBERS).rows() == alone(
            trial, grid, int(number)
        )


def test_answers_do_not_depend_on_what_is_stacked_or_shared(trial, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = load_grid("activity_free_survival")
    questions = [
        many.Question(point.definition, grid.endpoint, point.estimand) for point in grid.points(0, 27)
    ]
    lots = dict(many.settle_many(trial, questions))
    monkeypatch.setattr(shared_tables, "MOST_BYTES", 0)
    few = dict(many.settle_many(trial, questions, rows_at_once=50))
    assert len(few) == len(lots) == len(questions)
    assert all(rows.equals(lots[place]) for place, rows in few.items())


def test_answers_do_not_depend_on_the_number_of_workers(trial) -> None:
    assert multiverse(trial, toy_grid(), workers=2).equals(multiverse(trial, toy_grid()))


def test_every_field_of_a_disability_rule_is_known_to_be_read_before_in_or_after_the_search() -> None:
    names = {field.name for field in dataclasses.fields(DisabilityRule)}
    parts = (many.PREPARES, many.SEARCHES, many.SETTLES)
    assert names == frozenset().union(*parts), "say in outcomes/many.py where a new field is read"
    assert sum(map(len, parts)) == len(names)


def test_answers_that_leave_deaths_out_say_that_they_are_no_estimand(trial) -> None:
    found = multiverse(trial, "activity_free_survival")
    says_so = found["note"].str.contains("as published, not an estimand").fill_null(False)
    assert says_so.to_list() == (found["estimand"] == "as_published").to_list()


def test_nobody_of_the_population_is_said_in_words(trial) -> None:
    untreated = make_study(
        "untreated", data_kind="simulated", **{name: trial.table(name) for name in ("patients", "visits")}
    )
    notes = set(multiverse(untreated, toy_grid())["note"])
    assert notes == {
        "nobody can be evaluated: no patient of the population (infused) has a day zero and is counted"
    }
