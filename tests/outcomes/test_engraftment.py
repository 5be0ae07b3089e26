"""Engraftment days of hand-made courses of counts; day 0 is the infusion."""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import load_definition
from ahsct.outcomes.engraftment import derive_engraftment
from ahsct.outcomes.timeline import derive_timeline
from ahsct.vocabulary import TIME_TO_EVENT

ATKINS = load_definition("atkins2016")


def counts(test: str, first_day: int, *values: float | None, unit: str = "10^9/L") -> pl.DataFrame:
    """One count a day; a missing value is a day without a count."""
    days = [first_day + place for place in range(len(values))]
    return pl.DataFrame(
        {"patient_id": "a", "sample_day": days, "test": test, "value": values, "unit": unit}
    ).drop_nulls("value")


def given(*days: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient_id": ["a"] * len(days), "transfusion_day": days, "product": ["platelets"] * len(days)},
        schema={"patient_id": pl.String, "transfusion_day": pl.Int64, "product": pl.String},
    )


def engraft(study: Any, endpoint: str = "neutrophil_engraftment") -> tuple[Any, ...]:
    table, origins = derive_engraftment(study, derive_timeline(study, ATKINS), ATKINS)
    assert table.schema == TIME_TO_EVENT
    row = table.filter(pl.col("endpoint") == endpoint).row(0, named=True)
    origin = origins.filter(pl.col("endpoint") == endpoint)["origin"].to_list()
    if not row["is_evaluable"]:
        return (None, row["censor_reason"], origin)
    return (row["time_day"], row["cause"], origin)


BY_COUNTS = ["derived from daily counts"]
NEUTROPHILS = {
    # falls below 0.5 on day 2, reaches 0.5 on days 6, 7, 8
    "first of three days": ((2.0, 1.0, 0.4, 0.1, 0.1, 0.3, 0.5, 0.9, 2.0), (6, "engrafted", BY_COUNTS)),
    # the days 0 to 2 before the fall are no engraftment
    "days before the fall": ((2.0, 1.0, 0.6, 0.4, 0.1, 0.1), (5, None, [])),
    # 0.6, 0.7, then 0.4: the run starts again on day 5
    "two days are too few": ((0.4, 0.1, 0.6, 0.7, 0.4, 0.5, 0.6, 0.7), (5, "engrafted", BY_COUNTS)),
    # no count on day 3: days 2, 4, 5 are not consecutive; 4, 5, 6 are
    "a day without a count": ((0.4, 0.1, 0.6, None, 0.7, 0.8, 0.9), (4, "engrafted", BY_COUNTS)),
    "never below": ((2.0, 1.0, 0.9, 1.5), (None, "neutrophils never seen below 0.5 x 10^9/L", [])),
    "never three in a row": (
        (0.4, None, 0.6, None, 0.7, 0.8, None, 0.9),
        (None, "no 3 consecutive days with a count of neutrophils after it fell", []),
    ),
    "still low at the last count": ((0.4, 0.1, 0.1, 0.1, 0.2), (4, None, [])),
}


@pytest.mark.parametrize("course", NEUTROPHILS)
def test_neutrophils(build: Any, course: str) -> None:
    values, expected = NEUTROPHILS[course]
    assert engraft(build.study(labs=counts("neutrophils", 0, *values))) == expected


def test_the_lowest_count_of_a_day_decides(build: Any) -> None:
    again = counts("neutrophils", 3, 0.3)  # a second sample on day 3
    labs = pl.concat([counts("neutrophils", 0, 0.1, 0.1, 0.5, 0.6, 0.7, 0.8, 0.9), again])
    assert engraft(build.study(labs=labs)) == (4, "engrafted", BY_COUNTS)


def test_counts_before_the_infusion_and_in_other_units_do_not_count(build: Any) -> None:
    before = counts("neutrophils", -6, 0.1, 0.1, 0.6, 0.7, 0.8, 0.9)
    assert engraft(build.study(labs=before))[1] == "no counts of neutrophils and no recorded day"
    labs = counts("neutrophils", 0, 100, 100, 600, 700, 800, unit="cells/uL")
    assert engraft(build.study(labs=labs))[1] == "no counts of neutrophils and no recorded day"


LOW_THEN_RISING = (
    60,
    15,
    10,
    10,
    12,
    20,
    25,
    30,
    35,
    40,
    45,
    50,
    55,
    60,
    65,
    70,
)  # days 0 to 15, >= 20 from day 5
PLATELETS = {
    "no transfusion": ((), 5),
    # a transfusion on day 2: days 2 + 7 = 9 still has it within its 7 days before; day 10 does not
    "seven days free": ((2,), 10),
    # red cells apart, a transfusion on day 4 bars days 4 to 11; day 12 is free
    "later transfusion": ((2, 4), 12),
    # day 5 is free before, but a transfusion on day 7 falls on the three days 5, 6, 7
    "transfusion on the days": ((7,), None),
    # before the infusion: day -2 bars days up to 5
    "before the infusion": ((-2,), 6),
}


@pytest.mark.parametrize("case", PLATELETS)
def test_platelets_need_seven_days_without_transfusion(build: Any, case: str) -> None:
    days, expected = PLATELETS[case]
    study = build.study(labs=counts("platelets", 0, *LOW_THEN_RISING), transfusions=given(*days))
    found = engraft(study, "platelet_engraftment")
    # the runs of three days end with day 15, so a bar up to day 14 leaves none: censored at the last count
    assert found == ((expected, "engrafted", BY_COUNTS) if expected else (15, None, []))


def test_platelets_without_transfusions_table_are_not_evaluable(build: Any) -> None:
    study = build.study(labs=counts("platelets", 0, *LOW_THEN_RISING))
    assert (
        engraft(study, "platelet_engraftment")[1]
        == "the study has no table of transfusions, and no recorded day"
    )


def test_a_transfusion_shows_that_platelets_were_low(build: Any) -> None:
    study = build.study(labs=counts("platelets", 0, *[30] * 16), transfusions=given(1))
    assert engraft(study, "platelet_engraftment")[:2] == (9, "engrafted")  # day 1 bars days up to 8
    never = build.study(labs=counts("platelets", 0, *[30] * 16), transfusions=given())
    assert engraft(never, "platelet_engraftment")[1] == "platelets never seen below 20 x 10^9/L"


def test_the_recorded_day_is_taken_only_without_counts(build: Any) -> None:
    grafts = build.rows("patient_id infusion_day neutrophil_engraftment_day", ("a", 3, 14))
    recorded = build.study(transplants=grafts)
    assert engraft(recorded) == (11, "engrafted", ["as recorded by the centre"])
    counted = build.study(transplants=grafts, labs=counts("neutrophils", 3, 0.1, 0.1, 0.5, 0.6, 0.7))
    assert engraft(counted) == (2, "engrafted", BY_COUNTS)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (4, (4, "death", [])),
        (7, (7, "death", [])),  # last count on day 4: no three days fit in between
        (8, (4, None, [])),  # engraftment on days 5, 6, 7 would have gone unseen
    ],
)
def test_death_competes_while_counts_were_taken(build: Any, day: int, expected: Any) -> None:
    study = build.study(
        labs=counts("neutrophils", 0, 0.1, 0.1, 0.1, 0.1, 0.1), follow_up=build.died("a", day)
    )
    assert engraft(study) == expected


def test_counts_after_a_second_infusion_belong_to_it(build: Any) -> None:
    grafts = build.rows("patient_id infusion_day", ("a", 0), ("a", 20))
    labs = pl.concat([counts("neutrophils", 0, *[0.1] * 20), counts("neutrophils", 20, 0.1, 0.6, 0.7, 0.8)])
    assert engraft(build.study(transplants=grafts, labs=labs)) == (19, None, [])
