"""Grids: how many definitions they hold, what they set, and what is refused."""

from pathlib import Path

import pytest
from tests.multiverses.toy import PERIODS, toy_grid

from ahsct.definitions import (
    Dimension,
    Excluded,
    GridMark,
    Together,
    definition_text,
    list_grids,
    load_definition,
    load_grid,
    published_at,
    vary,
)
from ahsct.errors import DefinitionError

TOML = """
schema = 1
id = "mine"
title = "Mine"
base = "atkins2016"
endpoint = "activity_free_survival"
estimand = "everyone_counted"
milestones_days = [1096]
[source]
citation = "me"
seen = "full text"
[[dimensions]]
id = "scan"
label = "Scan"
[[dimensions.choices]]
id = "one"
label = "one lesion"
set = { "mri.min_lesions_n" = 1 }
[[dimensions.choices]]
id = "two"
label = "two lesions"
set = { "mri.min_lesions_n" = 2 }
"""


def test_the_shipped_grids_have_as_many_definitions_as_their_sources() -> None:
    # Müller 2025: 3 baselines x 3 periods x 2 magnitudes x 5 freedoms at worsening x 4 at confirmation;
    # Kalincik 2015: 3 x 2 x 2 x 4
    sizes = {id: len(load_grid(id).combinations) for id in list_grids()}
    assert sizes == {"activity_free_survival": 162, "pira_muller2025": 360, "worsening_kalincik2015": 48}
    assert [len(one.choices) for one in load_grid("pira_muller2025").dimensions] == [3, 3, 2, 5, 4]


@pytest.mark.parametrize("id", list_grids())
def test_every_point_is_a_definition_of_its_own(id: str) -> None:
    points = list(load_grid(id).points())
    # no relapse from worsening to confirmation implies none in the 30 days after the worsening: 18 pairs are one
    n_implied = 18 if id == "pira_muller2025" else 0
    assert len({(point.definition.hash, point.estimand) for point in points}) == len(points) - n_implied
    assert [point.number for point in points] == list(range(1, len(points) + 1))


def test_the_first_point_is_the_base() -> None:
    grid = load_grid("activity_free_survival")
    first = next(grid.points())
    base = load_definition("atkins2016")
    assert first.choices == grid.base_choices
    for name in ("disability", "mri", "rebaseline", "relapses", "time_zero", "interval"):
        assert getattr(first.definition, name) == getattr(base, name)
    assert first.definition.estimand("as_published") == base.estimand("as_published")


def test_choices_that_meet_may_set_a_field_otherwise() -> None:
    grid = toy_grid(
        together=(Together(choices={"confirmed": ("w48",), "lesions": ("two",)}, set={PERIODS: [400]}),)
    )
    periods = [point.definition.disability_rule("edss").confirmation_periods_days for point in grid.points()]
    assert periods == [(168,), (168,), (336,), (400,)]


def test_pira_windows_that_reach_each_other_are_joined() -> None:
    grid = load_grid("pira_muller2025")
    joined = {
        (
            point.choices["relapse_at_worsening"],
            point.choices["relapse_at_confirmation"],
        ): point.definition.disability_rule("edss").pira_joined
        for point in grid.points()
    }
    assert joined["before_90", "before_30"] == "none"
    assert joined["before_90", "since_worsening"] == "event_confirmation"
    assert joined["since_previous", "before_30"] == "preceding_event"
    assert joined["since_baseline", "since_worsening"] == "all"


def test_an_excluded_combination_is_no_point_but_keeps_the_grid_from_being_full() -> None:
    grid = toy_grid(excluded=(Excluded(choices={"confirmed": "w48", "lesions": "two"}, because="never"),))
    assert len(grid.combinations) == 3
    assert not grid.is_full
    with pytest.raises(DefinitionError, match="it is the base"):
        toy_grid(excluded=(Excluded(choices={"confirmed": "w24"}, because="never"),))


def test_published_definitions_are_found_where_they_make_the_same_choices() -> None:
    grid = load_grid("pira_muller2025")
    points = list(grid.points())
    found = published_at(points, grid)
    (number,) = (number for number, ids in found.items() if "muller2025" in ids)
    assert points[number - 1].choices == {
        "baseline": "pira_relapses_improvements",
        "confirmation": "months_12",
        "magnitude": "worsening",
        "relapse_at_worsening": "since_previous",
        "relapse_at_confirmation": "before_30",
    }


def test_a_definition_that_differs_where_the_grid_varies_is_not_marked() -> None:
    grid = load_grid("activity_free_survival")
    assert published_at(list(grid.points()), grid) == {1: ["atkins2016"]}
    own = vary(load_definition("atkins2016"), mri__min_lesions_n=3)
    assert grid.choices_of(own, "as_published") != grid.choices_of(
        load_definition("atkins2016"), "as_published"
    )
    assert grid.choices_of(load_definition("neda3"), "while_alive") != grid.choices_of(own, "as_published")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TOML)
    grid = load_grid(tmp_path / "mine.toml")
    assert [point.definition.mri.min_lesions_n for point in grid.points()] == [1, 2]
    assert load_grid(grid) is grid


def test_a_base_of_ones_own_stands_beside_the_grid_and_its_place_does_not_matter(tmp_path: Path) -> None:
    text = definition_text("atkins2016").replace('id = "atkins2016"', 'id = "ours"', 1)
    hashes = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ours.toml").write_text(text)
        (tmp_path / name / "mine.toml").write_text(TOML.replace('base = "atkins2016"', 'base = "ours.toml"'))
        grid = load_grid(tmp_path / name / "mine.toml")
        assert grid.definition().id == "ours"
        hashes.add(grid.hash)
    assert len(hashes) == 1


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"mri.min_lesions_n" = 2', '"mri.min_lesion_n" = 2', "scan = two.*Did you mean 'min_lesions_n'"),
        ('"mri.min_lesions_n" = 2', '"mri.min_lesions_n" = 0', "scan = two.*min_lesions_n 1 or more"),
        ('id = "two"\n', 'id = "one"\n', "ids of their own"),
        ('id = "scan"', 'id = "arm"', "results have columns of that name"),
        ("milestones_days = [1096]", "milestones_days = []", "days above 0"),
        ('label = "Scan"', 'label = "Scan"\ncolour = "red"', "unknown key 'dimensions.0.colour'"),
        ('estimand = "everyone_counted"', 'estimand = "everyone"', "Did you mean 'everyone_counted'"),
        ('endpoint = "activity_free_survival"', 'endpoint = "activity"', "has no endpoint 'activity'"),
        ("[source]\n", "[sources]\n", r"\[source\] is missing"),
        ("schema = 1", "schema =", "not valid TOML"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in TOML
    (tmp_path / "mine.toml").write_text(TOML.replace(old, new))
    with pytest.raises(DefinitionError, match=f"(?s){words}"):
        list(load_grid(tmp_path / "mine.toml").points())


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(DefinitionError, match="Did you mean 'pira_muller2025'"):
        load_grid("pira_mueller2025")


def test_a_mark_must_name_something_there_is() -> None:
    with pytest.raises(DefinitionError, match="no dimension 'scans'"):
        toy_grid(marks=(GridMark(of="scans", mark="assumed", note="?"),))
    with pytest.raises(DefinitionError, match="has no choice 'w12'"):
        toy_grid(marks=(GridMark(of="confirmed.w12", mark="assumed", note="?"),))


def test_a_dimension_needs_two_choices() -> None:
    with pytest.raises(DefinitionError, match="two or more choices"):
        Dimension(id="alone", label="Alone", choices=toy_grid().dimensions[0].choices[:1])
