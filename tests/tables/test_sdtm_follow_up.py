"""SDTM: who is dead, when a subject was last seen, and who was never in the study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Read = Callable[..., Any]
DM = {"USUBJID": ["1", "2"], "SEX": ["F", "M"], "RFSTDTC": ["2010-01-01", "2010-01-01"], "ARM": ["A", "A"]}


def edss(*rows: tuple[str, str]) -> dict[str, list[object]]:
    n = len(rows)
    return {
        "USUBJID": [subject for subject, _ in rows], "QSCAT": ["EDSS"] * n, "QSTESTCD": ["EDSS0101"] * n,
        "QSTEST": ["EDSS01-Expanded Disability Score"] * n, "QSDTC": [day for _, day in rows], "QSSTRESN": [3.0] * n,
    }  # fmt: skip


VISITS = edss(("1", "2010-01-01"), ("2", "2010-01-01"))


def people(study: Any) -> list[tuple[Any, ...]]:
    """Return vital status, days of last contact and of death, by patient."""
    columns = ["patient_id", "vital_status", "last_contact_day", "death_day"]
    rows: list[tuple[Any, ...]] = study.table("follow_up", columns).sort("patient_id").rows()
    return rows


def test_alive_then_dead_is_dead_on_the_day_of_the_later_status(read_sdtm: Read) -> None:
    ss = {"USUBJID": ["1", "1", "2"], "SSTESTCD": ["SURVSTAT"] * 3, "SSORRES": ["ALIVE", "DEAD", "ALIVE"],
          "SSDTC": ["2010-06-30", "2011-12-02", "2011-01-01"]}  # fmt: skip
    study, said = read_sdtm(dm=DM, qs=VISITS, ss=ss)
    # from 1 January 2010: 30 June is day 180, 2 December 2011 day 700; DEAD is no contact
    assert people(study) == [("1", "dead", 180, 700), ("2", "alive", 365, None)]
    assert (
        "SS: found dead; the first such date is that of the death where nothing else dates it, 1 times"
        in said
    )


@pytest.mark.parametrize(
    "results",
    [
        {"SSSTRESC": ["ALIVE", "DEAD", "ALIVE"]},  # the standard result alone
        {"SSORRES": ["lives", "Subject passed away", "lives"], "SSSTRESC": ["ALIVE", "DEAD", "ALIVE"]},
        {"SSORRES": ["Alive", "Deceased", "Alive"]},
        {"SSORRES": ["ALIVE", "DEAD", "ALIVE"], "SSSTRESC": [None] * 3},
    ],
)
def test_either_result_tells_of_a_death(read_sdtm: Read, results: dict[str, list[str | None]]) -> None:
    ss = {"USUBJID": ["1", "1", "2"], "SSTESTCD": ["SURVSTAT"] * 3,
          "SSDTC": ["2010-06-30", "2011-12-02", "2011-01-01"]}  # fmt: skip
    study, _ = read_sdtm(dm=DM, qs=VISITS, ss=ss | results)
    assert people(study) == [("1", "dead", 180, 700), ("2", "alive", 365, None)]


def test_a_death_told_by_its_details_or_a_fatal_event_alone_is_a_death(read_sdtm: Read) -> None:
    dd = {"USUBJID": ["1"], "DDTESTCD": ["PRCDTH"], "DDORRES": ["SEPSIS"], "DDDTC": ["2012-01-01"]}
    ae = {"USUBJID": ["2"], "AETERM": ["sepsis"], "AEOUT": ["FATAL"], "AESTDTC": ["2010-02-01"]}
    ss = {"USUBJID": ["1", "2"], "SSTESTCD": ["SURVSTAT"] * 2, "SSORRES": ["ALIVE"] * 2, "SSDTC": ["2010-06-30"] * 2}  # fmt: skip
    study, said = read_sdtm(
        dm=DM, qs=VISITS, dd=dd, ae=ae, ss=ss, refused="death_date` or `death_day` is missing"
    )
    # neither domain dates the death: the check asks for it; the date of collection (DDDTC) is none
    assert people(study) == [("1", "dead", 180, None), ("2", "dead", 180, None)]
    assert "SS.vital_status: differs from the value of another table, left out, 2 times" in said


def test_a_date_of_death_alone_is_a_death(read_sdtm: Read) -> None:
    study, _ = read_sdtm(dm=DM | {"DTHDTC": ["2010-02-01", None]}, qs=VISITS)
    assert people(study)[0] == ("1", "dead", 31, 31)


def test_planned_days_and_examinations_not_done_are_no_contact(read_sdtm: Read) -> None:
    qs = edss(("1", "2010-01-01"), ("1", "2015-01-01"), ("2", "2010-01-01"))
    qs |= {"VISITDY": [1, 1826, 1], "QSSTAT": [None, "NOT DONE", None]}
    ce = {"USUBJID": ["2"], "CETERM": ["MS RELAPSE"], "CEOCCUR": ["N"], "CESTDTC": ["2014-01-01"]}
    study, _ = read_sdtm(dm=DM, qs=qs, ce=ce)
    assert people(study) == [("1", "alive", 0, None), ("2", "alive", 0, None)]


def test_rows_after_the_death_are_no_contact_and_are_said(read_sdtm: Read) -> None:
    dm = DM | {"DTHFL": ["Y", None], "DTHDTC": ["2010-03-01", None]}
    ds = {"USUBJID": ["1"], "DSDECOD": ["STUDY CLOSED"], "DSTERM": ["x"], "DSCAT": ["OTHER EVENT"], "DSSTDTC": ["2013-01-01"]}  # fmt: skip
    study, said = read_sdtm(dm=dm, qs=VISITS, ds=ds)
    assert people(study)[0] == ("1", "dead", 59, 59)
    assert "LASTSEEN: rows dated after the death, the last contact is the day of death, 1 times" in said


def test_partial_dates_of_death_and_contact_stay_beside_what_is_known(read_sdtm: Read) -> None:
    dm = DM | {"DTHFL": ["Y", None], "DTHDTC": ["2010-03", None]}
    qs = edss(("1", "2010-01-01"), ("1", "2010-03-20"), ("2", "2010-01-01"))
    ds = {"USUBJID": ["2"], "DSDECOD": ["LAST CONTACT"], "DSTERM": ["x"], "DSCAT": ["OTHER EVENT"], "DSSTDTC": ["2012"]}  # fmt: skip
    study, said = read_sdtm(dm=dm, qs=qs, ds=ds)
    # a death in March, seen on the 20th: not the 15th but the 20th (day 78); a contact in 2012 is no later than its first day
    assert people(study) == [("1", "dead", 78, 78), ("2", "alive", 730, None)]
    flags = (
        study.tables["follow_up"].sort("patient_id").select("death_date_imputed", "last_contact_date_imputed")
    )
    assert flags.rows() == [("D", None), (None, "M")]
    assert "DM.death_date: completed date, moved to stay in order with other dates, 1 times" in said


def test_screen_failures_are_left_out_everywhere_and_counted(read_sdtm: Read) -> None:
    dm = DM | {"ARM": ["A", "Screen Failure"], "ARMCD": ["A", "Scrnfail"]}
    study, said = read_sdtm(dm=dm, qs=edss(("1", "2010-01-01"), ("2", "2009-12-01"), ("2", "2009-12-15")))
    assert study.table("patients", ["patient_id"])["patient_id"].to_list() == ["1"]
    assert [row[0] for row in people(study)] == ["1"]
    assert study.table("visits", ["patient_id"]).height == 1
    assert "DM: rows dropped, 1 times (screen failure, never in the study)" in said
    assert "qs: rows dropped, 2 times (screen failure, never in the study)" in said.replace("QS:", "qs:")


def test_who_was_never_assigned_is_still_a_patient(read_sdtm: Read) -> None:
    # enrolled, but not assigned to an arm: still a patient
    dm = DM | {"ARM": ["A", "Not Assigned"], "ARMCD": ["A", "NOTASSGN"]}
    ds = {"USUBJID": ["2"], "DSDECOD": ["SCREEN FAILURE"], "DSTERM": ["x"], "DSCAT": ["DISPOSITION EVENT"], "DSSTDTC": ["2009-12-01"]}  # fmt: skip
    study, said = read_sdtm(dm=dm, qs=VISITS, ds=ds)
    assert study.table("patients", ["patient_id"]).height == 2
    assert "DS: screen failure by disposition; kept" in said


def test_a_day_only_source_counts_the_last_contact_in_days(read_sdtm: Read) -> None:
    dm = {"USUBJID": ["1"], "SEX": ["F"], "ARM": ["A"], "DTHFL": ["Y"], "DTHDY": [100.0]}
    qs = {name: values for name, values in edss(("1", "x")).items() if name != "QSDTC"} | {"QSDY": [8]}
    late = {"USUBJID": ["1"], "AETERM": ["x"], "AESTDY": [5], "AEENDY": [120]}
    study, said = read_sdtm(dm=dm, qs=qs, ae=late, refused="after the patient's death")
    assert people(study) == [("1", "dead", 99, 99)]
    assert "the last contact is the day of death, 1 times" in said
