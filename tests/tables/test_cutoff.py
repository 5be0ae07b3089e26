"""A data cut-off, by hand on the good study of three patients."""

from __future__ import annotations

from pathlib import Path

import pytest

from ahsct.errors import RequestError
from ahsct.tables import check, cut_off, find_problems, make_study, read_study


def test_the_study_as_known_on_a_day(three: Path) -> None:
    study = check(read_study(three))
    cut, left_out = cut_off(study, "2004-03-15")
    # Counted in the files: 3 visits, 1 scan, 1 brain volume, 1 adverse event (of P2) and 1 assessment lie later.
    assert left_out.rows() == [
        ("patients", 0), ("visits", 3), ("relapses", 0), ("mri", 1), ("brain_volume", 1), ("transplants", 0),
        ("treatments", 0), ("labs", 0), ("transfusions", 0), ("adverse_events", 1), ("employment", 1), ("follow_up", 0),
    ]  # fmt: skip
    follow_up = cut.table(
        "follow_up", ["patient_id", "last_contact_day", "vital_status", "death_day", "cause_class"]
    )
    # P2 was infused on 2004-02-10 and died on 2004-04-01.
    assert follow_up.rows() == [
        ("P1", 65, "alive", None, None),
        ("P2", 34, "alive", None, None),
        ("P3", 5, "alive", None, None),
    ]
    assert cut.table("follow_up")["last_contact_date"].cast(str).to_list() == ["2004-03-15"] * 3
    assert cut.table("transplants", ["neutrophil_engraftment_day", "discharge_day"]).rows() == [
        (11, 22), (12, None), (None, None),
    ]  # fmt: skip
    assert cut.table("adverse_events", ["patient_id", "end_day", "outcome"]).rows()[1] == ("P3", None, None)
    assert find_problems(cut).is_empty()
    assert cut.table("visits")["row"].to_list() == [1, 4, 5, 6]


def test_who_had_not_entered_is_left_out(three: Path) -> None:
    cut, left_out = cut_off(read_study(three), "2003-11-25")
    # Only P1 had begun mobilisation (2003-11-20); P3's and P2's earlier rows go with them.
    assert cut.table("patients")["patient_id"].to_list() == ["P1"]
    assert left_out.row(0) == ("patients", 2)
    assert cut.table(
        "transplants", ["mobilisation_start_day", "infusion_day", "conditioning_regimen"]
    ).rows() == [(-51, None, None)]
    assert cut.table("patients")["index_date"].cast(str).to_list() == ["2004-01-10"]


def test_a_later_death_makes_an_event_not_yet_fatal(three: Path) -> None:
    cut, _ = cut_off(read_study(three), "2004-03-25")
    rows = cut.table("adverse_events", ["patient_id", "start_day", "severity", "outcome"]).rows()
    assert rows[1] == ("P2", 39, None, None)
    assert cut_off(read_study(three), "2004-04-01")[0].table("adverse_events")["severity"][1] == "fatal"


def test_a_late_day_changes_nothing(three: Path) -> None:
    study = read_study(three)
    cut, left_out = cut_off(study, "2030-01-01")
    assert cut.content_hash == study.content_hash
    assert left_out["n_left_out"].sum() == 0


def test_days_only_or_no_date_is_refused() -> None:
    import polars as pl

    study = make_study(
        "x", data_kind="simulated", patients=pl.DataFrame({"patient_id": ["a"]}),
        visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0], "edss": [2.0]}),
    )  # fmt: skip
    with pytest.raises(RequestError, match="1 of 1 patients have no index date, only days"):
        cut_off(study, "2004-01-01")
    for wrong in ("2004", "01/02/2004", "20040101x", "2004-02-30"):
        with pytest.raises(RequestError, match="ISO date"):
            cut_off(study, wrong)
