"""Adverse events: R on data that ship with survival, counts by hand, odd tables."""

from pathlib import Path

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import adverse_event_rates, worst_grades
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
PATIENTS = pl.read_csv(
    REFERENCE / "adverse_events_patients.csv", schema_overrides={"is_dead": pl.String}
).with_columns(pl.col("is_dead") == "TRUE")
EVENTS = pl.read_csv(REFERENCE / "adverse_events_events.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "adverse_events.csv", infer_schema_length=None)
TIMES = {"myeloid": (60, 365), "mgus2": (60, 150), "cgd": (100, 300)}

PEOPLE = pl.DataFrame(
    {"patient_id": ["a", "b", "c", "d"], "arm": ["x", "x", "x", "y"], "end_day": [100, 100, 40, 100]}
)
SMALL = pl.DataFrame(
    {
        "patient_id": ["a", "a", "b", "b", "c", "d"],
        "term": ["sepsis", "sepsis", "rash", "fever", "sepsis", "odd"],
        "soc": ["Infections", "Infections", "Skin", None, "Infections", None],
        "start_day": [10, 50, -3, None, 41, 7],
        "severity": ["mild", "severe", "mild", "mild", "fatal", None],
        "grade": [1, 3, 1, 1, 5, None],
    }
)


@pytest.mark.parametrize("name", TIMES)
def test_agrees_with_r(name: str) -> None:
    rows = adverse_event_rates(
        EVENTS.filter(pl.col("set") == name).drop("arm"),
        PATIENTS.filter(pl.col("set") == name),
        at_years=[day / 365.25 for day in TIMES[name]],
    )
    assert rows.schema == RESULTS
    for r in R_ROWS.filter(pl.col("set") == name).iter_rows(named=True):
        found = rows.filter(
            (pl.col("arm") == r["arm"])
            & (pl.col("term") == r["term"])
            & (pl.col("statistic") == r["statistic"])
        )
        if r["day"] is not None:
            found = found.filter(
                ((pl.col("time_years") * 365.25 - r["day"]).abs() < 1e-6)
                & pl.col("method").str.starts_with("Aalen")
            )
        row = found.row(0, named=True)
        assert row["estimate"] == pytest.approx(r["estimate"], rel=1e-10, abs=1e-14), r
        if r["statistic"] != "cumulative_incidence" or r["estimate"] > 0:
            assert row["lower"] == pytest.approx(r["lower"], rel=1e-9), r
            assert row["upper"] == pytest.approx(r["upper"], rel=1e-9), r
        if r["std_error"] is not None:
            # R prints 0 where the incidence is 0
            assert (row["std_error"] or 0.0) == pytest.approx(r["std_error"], rel=1e-9, abs=1e-14), r


def test_small_table_by_hand() -> None:
    rows = adverse_event_rates(SMALL, PEOPLE)
    notes = (
        rows.filter(statistic="rate")
        .group_by("arm")
        .agg(pl.col("note").unique())
        .sort("arm")["note"]
        .to_list()
    )
    assert notes == [["3 events outside the time at risk or undated (1) not counted"], [None]]
    terms = [
        "any",
        "Infections",
        "Infections: sepsis",
        "organ class not stated",
        "organ class not stated: odd",
    ]
    assert rows["term"].unique(maintain_order=True).to_list() == terms
    sepsis = rows.filter((pl.col("term") == "Infections: sepsis") & (pl.col("arm") == "x"))
    assert sepsis["n_events"].to_list() == [1, 1]
    # by hand: first event of a on day 10, b to day 100, c to day 40
    assert sepsis["person_years"][1] == pytest.approx(150 / 365.25, rel=1e-12)
    assert sepsis["estimate"].to_list() == pytest.approx([1 / 3, 100 * 365.25 / 150])
    nothing = rows.filter((pl.col("term") == "Infections: sepsis") & (pl.col("arm") == "y"))
    assert nothing["estimate"].to_list() == [0, 0]
    assert nothing["upper"].to_list() == pytest.approx([0.975, 100 * 3.688879454 / (100 / 365.25)], rel=1e-9)


def test_worst_grades_by_hand() -> None:
    for scale, worst in (("severity", "severe"), ("grade", "3")):
        rows = worst_grades(SMALL, PEOPLE, scale=scale)
        assert rows.schema == RESULTS
        any_x = rows.filter((pl.col("component") == "any") & (pl.col("arm") == "x"))
        assert any_x.filter(pl.col("n_events") > 0).select("term", "n_events").rows() == [
            ("none", 2),
            (worst, 1),
        ]
        any_y = rows.filter((pl.col("component") == "any") & (pl.col("arm") == "y"))
        assert any_y.filter(pl.col("n_events") > 0)["term"].to_list() == ["not stated"]
        sums = rows.group_by("component", "arm").agg(pl.col("n_events").sum(), pl.col("n").first())
        assert (sums["n_events"] == sums["n"]).all()


def test_grades_of_unknown_beside_known_are_counted() -> None:
    events = pl.concat(
        [SMALL, SMALL.filter(pl.col("start_day") == 10).with_columns(severity=pl.lit(None, pl.String))]
    )
    row = worst_grades(events, PEOPLE).row(0, named=True)
    assert "1 with further events of unknown grade" in row["note"]


@pytest.mark.parametrize("name", ["pbcseq", "bladder1", "epil"])
def test_worst_grades_agree_with_r(name: str) -> None:
    """Grades seen in one arm or term only have rows of zeros in the others; some grades are unknown."""
    people, events, expected = (
        pl.read_csv(REFERENCE / f"worst_grades{part}.csv", infer_schema_length=None).filter(set=name)
        for part in ("_patients", "_events", "")
    )
    rows = worst_grades(events, people, scale="grade").with_columns(
        pl.col("component").str.split(": ").list.last()
    )
    joined = expected.join(
        rows.select("arm", "component", "n", "n_events", "estimate", "lower", "upper", grade="term"),
        left_on=["arm", "term", "grade"],
        right_on=["arm", "component", "grade"],
        how="inner",
    )
    assert joined.height == expected.height > 0
    for number in ("n", "n_events", "estimate", "lower", "upper"):
        assert joined[f"{number}_right"].to_list() == pytest.approx(
            joined[number].to_list(), rel=1e-10, abs=1e-14
        )


def test_degenerate_tables() -> None:
    for function in (adverse_event_rates, worst_grades):
        (nobody,) = function(SMALL.clear(), PEOPLE.clear()).iter_rows(named=True)
        assert (nobody["estimate"], nobody["n"]) == (None, 0)
        assert nobody["note"] == "nobody at risk; `patients` has no row"
        late = function(SMALL, PEOPLE, from_day=101)
        assert late.select("arm", "n", "estimate").rows() == [("x", 0, None), ("y", 0, None)]
        assert late["note"][0].startswith(
            "nobody at risk; 3 patients not followed to day 101 left out; 5 events"
        )
        # one arm is followed so long, the other does not vanish beside it
        partly = function(
            SMALL, PEOPLE.with_columns(end_day=pl.col("end_day") + 100 * (pl.col("arm") == "y")), from_day=101
        )
        assert partly.filter(arm="x").height == 1
        assert partly.filter(arm="y")["n"].to_list()[0] == 1
    quiet = adverse_event_rates(SMALL.clear(), PEOPLE, at_years=[0.1])
    assert quiet["term"].unique().to_list() == ["any"]
    assert set(quiet["estimate"]) == {0.0}
    assert "deaths unknown" in quiet["note"][0]
    at_once = adverse_event_rates(
        SMALL.filter(pl.col("start_day") == 7), PEOPLE.filter(pl.col("arm") == "y"), from_day=7
    )
    proportion, rate = at_once.filter(pl.col("term") == "any").iter_rows(named=True)
    assert (proportion["estimate"], rate["estimate"]) == (1, None)
    assert "no time at risk" in rate["note"]
    early = adverse_event_rates(SMALL, PEOPLE, from_day=50)
    left_out = early.filter(arm="x")["note"]
    assert left_out.str.starts_with("1 patients not followed to day 50 left out; 4 events").all()
    one = worst_grades(*(frame.filter(pl.col("patient_id") == "d") for frame in (SMALL, PEOPLE)))
    assert one.filter(pl.col("term") == "not stated")["estimate"].to_list() == [1.0] * 3


def test_refusals() -> None:
    with pytest.raises(TableError, match="belong to nobody"):
        adverse_event_rates(SMALL, PEOPLE.head(2))
    with pytest.raises(TableError, match="each patient once"):
        adverse_event_rates(SMALL, pl.concat([PEOPLE, PEOPLE.head(1)]))
    with pytest.raises(TableError, match="each patient once with an `end_day`"):
        adverse_event_rates(SMALL, PEOPLE.with_columns(end_day=pl.lit(None, pl.Int64)))
    with pytest.raises(TableError, match="needs a `term` of each event; 6 rows"):
        adverse_event_rates(SMALL.with_columns(term=pl.lit(None, pl.String)), PEOPLE)
    with pytest.raises(TableError, match="found awful"):
        worst_grades(SMALL.with_columns(severity=pl.lit("awful")), PEOPLE)
    with pytest.raises(TableError, match="Grades of several scales"):
        worst_grades(
            SMALL.with_columns(scale=pl.Series(["CTCAE 4.03", "CTCAE 5.0"] * 3)), PEOPLE, scale="grade"
        )
    with pytest.raises(RequestError, match="scale must be one of"):
        worst_grades(SMALL, PEOPLE, scale="ctcae")
