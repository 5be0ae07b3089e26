"""Intercurrent events: both kinds of death apart, and what is done where one cannot be placed in time."""

from typing import Any

import polars as pl
import pytest

from ahsct.estimates import aalen_johansen, kaplan_meier, milestone
from ahsct.outcomes import derive_time_to_event
from ahsct.vocabulary import TIME_TO_EVENT

IDS = list("abcdefgh")


def study(build: Any, **tables: pl.DataFrame) -> Any:
    """Eight patients seen on days 200 to 1000; their courses and transplants are said in `ROWS`."""
    made = {
        "patients": pl.DataFrame({"patient_id": IDS}),
        "visits": build.visits(*[(p, day) for p in IDS for day in (200, 600, 1000)], baseline="".join(IDS)),
        "treatments": build.rows(
            "patient_id kind drug start_day end_day drug_class",
            ("a", "dmt", "again", 300, None, None),
            ("b", "dmt", "before", None, -100, None),  # no start, but over before the infusion
            ("c", "dmt", "unknown", None, None, None),  # may be a restart
            ("d", "dmt", "rescue", None, 500, "rescue"),  # a rescue on a day that is not known
            ("e", "dmt", "goes on", -400, None, None),
            ("f", "conditioning", "busulfan", None, None, None),
        ),
        "transplants": build.rows(
            "patient_id mobilisation_start_day conditioning_start_day infusion_day",
            *[(p, -40, -7, 0) for p in IDS],
            ("g", None, 500, None),  # a second one, infused on a day that is not known
            ("h", -50, None, None),  # an attempt before the first
        ),
    } | tables
    return build.study(**made)


def composite(study: Any, definition: Any, events: pl.DataFrame) -> pl.DataFrame:
    table = derive_time_to_event(study, events, endpoint="e", definition=definition)
    assert table.schema == TIME_TO_EVENT
    return table.filter((pl.col("component") == "composite") & (pl.col("estimand") == "x"))


COURSE = "a course of treatment without a day of start: it may be a restart"
RESCUE = "a course of rescue treatment without a day of start"
SECOND = "a further transplant without a day of infusion"
UNPLACED = {"dmt_restart": {"c": COURSE}, "rescue": {"d": RESCUE}, "second_transplant": {"g": SECOND}}


@pytest.mark.parametrize("event", UNPLACED)
@pytest.mark.parametrize("handling", ["event", "competing", "censor", "exclude"])
def test_what_cannot_be_placed_is_not_evaluable_where_it_matters(
    build: Any, event: str, handling: str
) -> None:
    definition = build.definition("edss_worsening", **{event: handling})
    table = composite(study(build), definition, build.events())
    left = dict(table.filter(~pl.col("is_evaluable")).select("patient_id", "censor_reason").iter_rows())
    assert left == UNPLACED[event]


def test_where_it_is_ignored_everybody_stays(build: Any) -> None:
    table = composite(study(build), build.definition("edss_worsening"), build.events())
    assert table["is_evaluable"].all()
    assert table["time_day"].to_list() == [1000] * 8


def test_with_and_without_an_event_alike(build: Any) -> None:
    """c and e relapse on day 100. Nobody knows whether c's course began before; a's did on day 300, too late."""
    events = build.events(*[build.event(p, "relapse", 100) for p in "ace"])
    for handling in ("event", "censor", "competing"):
        table = composite(study(build), build.definition("relapse", dmt_restart=handling), events)
        found = {
            row[0]: row[1:] for row in table.select("patient_id", "is_evaluable", "time_day").iter_rows()
        }
        assert found["c"][0] is False
        assert found["a"] == found["e"] == (True, 100)


def test_a_death_after_a_course_without_a_day_does_not_place_it(build: Any) -> None:
    follow_up = build.rows(
        "patient_id last_contact_day vital_status death_day cause_class",
        *[(p, 1000, "alive", None, None) for p in IDS if p != "c"],
        ("c", 60, "dead", 60, "ms"),
    )
    made = study(build, follow_up=follow_up)
    restart = composite(made, build.definition("edss_worsening", dmt_restart="event"), build.events())
    assert restart.filter(pl.col("patient_id") == "c")["is_evaluable"].item() is False
    ignored = composite(made, build.definition("edss_worsening"), build.events())
    assert ignored.filter(pl.col("patient_id") == "c").select("is_event", "cause").row(0) == (
        True,
        "other_death",
    )


DEATHS = {"b": (50, "treatment-related"), "c": (400, "ms"), "d": (500, None)}


def deaths(build: Any) -> Any:
    """a relapses on day 300; b, c, d die on days 50, 400, 500; e to h stay free to day 1000."""
    return study(
        build,
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            *[(p, day, "dead", day, why) for p, (day, why) in DEATHS.items()],
            *[(p, 1000, "alive", None, None) for p in IDS if p not in DEATHS],
        ),
    )


def relapse(build: Any) -> pl.DataFrame:
    return build.events(build.event("a", "relapse", 300))


@pytest.mark.parametrize(
    ("treatment", "other", "causes"),
    [
        ("event", "event", ["relapse", "treatment_death", "other_death", "other_death"]),
        ("event", "competing", ["relapse", "treatment_death", "competing_other_death", "competing_other_death"]),
        ("competing", "event", ["relapse", "competing_treatment_death", "other_death", "other_death"]),
        ("censor", "event", ["relapse", None, "other_death", "other_death"]),
        ("event", "censor", ["relapse", "treatment_death", None, None]),
    ],
)  # fmt: skip
def test_deaths_from_the_treatment_and_from_other_causes_apart(
    build: Any, treatment: str, other: str, causes: list[str | None]
) -> None:
    definition = build.definition("relapse", treatment_death=treatment, other_death=other)
    table = composite(deaths(build), definition, relapse(build))
    assert table["cause"].to_list() == causes + [None] * 4
    assert table["time_day"].to_list() == [300, 50, 400, 500, 1000, 1000, 1000, 1000]
    assert table["is_evaluable"].all()
    assert table["cause_is_certain"].all()


def test_each_kind_of_death_has_its_own_incidence(build: Any) -> None:
    """Of eight: one death from the treatment, then one relapse, then two other deaths: 1/8, 1/8 and 2/8."""
    definition = build.definition("relapse", treatment_death="competing", other_death="competing")
    curve = aalen_johansen(composite(deaths(build), definition, relapse(build)))
    found = {row["term"]: row["estimate"] for row in milestone(curve, at_years=2).iter_rows(named=True)}
    assert found == pytest.approx(
        {"relapse": 1 / 8, "competing_treatment_death": 1 / 8, "competing_other_death": 2 / 8}
    )


def test_hypothetical_and_composite_by_hand(build: Any) -> None:
    """All deaths events: 4 of 8 free. All censored: b leaves before the relapse, so 6/7."""
    both = {"treatment_death": "event", "other_death": "event"}
    table = composite(deaths(build), build.definition("relapse", **both), relapse(build))
    assert kaplan_meier(table)["estimate"][-1] == pytest.approx(4 / 8)
    censored = build.definition("relapse", **dict.fromkeys(both, "censor"))
    table = composite(deaths(build), censored, relapse(build))
    assert kaplan_meier(table)["estimate"][-1] == pytest.approx(6 / 7)


def test_death_as_a_component_and_as_an_event_is_one_cause(build: Any) -> None:
    definition = build.definition("relapse", "death")
    table = derive_time_to_event(deaths(build), relapse(build), endpoint="e", definition=definition)
    own = table.filter(pl.col("component") == "composite")
    assert own["cause"].to_list()[:4] == ["relapse", "death", "death", "death"]
    assert own["cause_is_certain"].all()
    component = table.filter(pl.col("component") == "death")
    assert component["is_event"].to_list() == [False, True, True, True, False, False, False, False]
