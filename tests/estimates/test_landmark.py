"""Landmark analysis: by hand, against R's subset of the heart data, and refusals of immortal time."""

import math
from pathlib import Path

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import cox, kaplan_meier, landmark
from ahsct.vocabulary import FLOW, TIME_TO_EVENT, conform, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)

outcomes = pl.DataFrame(
    {
        "patient_id": list("abcdef"),
        "time_day": [90, 400, 500, 180, 181, 700],
        "is_event": [True, True, False, False, True, True],
        "entry_day": [0, 0, 100, 0, 0, 200],
        "population": "all",
    }
)
states = pl.DataFrame(
    {
        "patient_id": ["b", "b", "c", "e", "f"],
        "day": [100, 170, 300, 180, 10],
        "group": ["once", "twice", "once", "once", "once"],
    }
)


def test_by_hand() -> None:
    found = landmark(outcomes, states, at_day=180, before="never")
    assert found.time_to_event.columns == [*outcomes.columns, "arm"]
    assert found.time_to_event.drop("population").rows() == [
        ("b", 220, True, 0, "twice"),
        ("c", 320, False, 0, "never"),
        ("e", 1, True, 0, "once"),
        ("f", 520, True, 20, "once"),
    ]
    assert found.flow.schema == FLOW
    assert found.flow.select("n", "n_left_out", "population").rows() == [(5, 1, "all"), (4, 1, "all")]
    assert kaplan_meier(found.time_to_event)["arm"].unique().sort().to_list() == ["never", "once", "twice"]


def test_transplanted_against_not_yet_in_the_heart_data() -> None:
    # R: s <- subset(jasa, futime > 30); coxph(Surv(futime - 30, fustat) ~ I(!is.na(wait.time) & wait.time <= 30), s)
    # of one row per patient made from `heart`; coefficient by survival 3.5.3, control(eps = 1e-12)
    rows = DATA.filter(pl.col("data_set") == "heart").with_columns(
        pl.col("id").cast(pl.String).alias("patient_id")
    )
    frame = rows.group_by("patient_id", maintain_order=True).agg(
        pl.col("time").max().alias("time_day"), (pl.col("event") == 1).any().alias("is_event")
    )
    transplants = rows.filter(pl.col("x3") == 1).select(
        "patient_id", pl.col("entry").alias("day"), pl.lit("yes").alias("group")
    )
    found = landmark(frame, transplants, at_day=30, before="no")
    assert found.time_to_event.height == 79
    row = cox(found.time_to_event, references={"arm": "no"}).row(0, named=True)

    assert math.log(row["estimate"]) == pytest.approx(0.052815924766764083, rel=1e-8)


def test_a_group_without_its_day_is_refused() -> None:
    with pytest.raises(TableError, match="immortal time"):
        landmark(outcomes, states.drop("day"), at_day=180, before="never")
    with pytest.raises(TableError, match=r"1 of 4 patients at risk on day 180 have no group known by then"):
        landmark(outcomes, states, at_day=180)
    with pytest.raises(TableError, match=r"`states.day` is missing in 1 of 5"):
        landmark(
            outcomes, states.with_columns(pl.Series("day", [100, None, 300, 180, 10])), at_day=180, before="x"
        )
    with pytest.raises(TableError, match="two groups on one day"):
        landmark(outcomes, states.with_columns(pl.lit(100).alias("day")), at_day=180, before="never")
    with pytest.raises(RequestError, match="> 0"):
        landmark(outcomes, states, at_day=0, before="never")


def test_nobody_left_and_no_table() -> None:
    found = landmark(outcomes, states, at_day=9000, before="never")
    assert found.time_to_event.height == 0
    assert found.flow["n_left_out"].to_list() == [4, 2]
    found = landmark(empty(TIME_TO_EVENT), states, at_day=10)
    assert conform(found.time_to_event, TIME_TO_EVENT).equals(empty(TIME_TO_EVENT))
    assert found.flow.equals(empty(FLOW))
