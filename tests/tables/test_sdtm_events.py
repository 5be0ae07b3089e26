"""SDTM: what is a relapse, its partial dates, its treatment by relation, and the counts before the study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from ahsct import find_problems

Read = Callable[..., Any]
BASE: dict[str, dict[str, list[Any]]] = {
    "dm": {"USUBJID": ["1", "2"], "SEX": ["F", "M"], "RFSTDTC": ["2010-02-20"] * 2, "ARM": ["A"] * 2},
    "qs": {"USUBJID": ["1", "1", "2"], "QSCAT": ["EDSS"] * 3, "QSTESTCD": ["EDSS0101"] * 3, "QSTEST": ["EDSS01-Expanded Disability Score"] * 3,
           "QSDTC": ["2010-02-20", "2014-03-10", "2010-02-20"], "QSSTRESN": [3.0] * 3},
}  # fmt: skip


def events(*terms: str, **more: list[Any]) -> dict[str, list[Any]]:
    n = len(terms)
    return {"USUBJID": ["1"] * n, "CESEQ": list(range(1, n + 1)), "CETERM": list(terms), "CESTDTC": [f"2011-{i + 1:02}-01" for i in range(n)]} | more  # fmt: skip


def onsets(study: Any) -> list[str]:
    return [str(day) for day in study.table("relapses", ["onset_date"])["onset_date"]]


def test_a_relapse_is_a_relapse_by_its_whole_name(read_sdtm: Read) -> None:
    terms = ("MS RELAPSE", "PSEUDO-RELAPSE", "COPD EXACERBATION", "Multiple Sclerosis Relapse", "RELAPSE", "Suspected relapse",
             "Exacerbation of multiple sclerosis", "EXACERBATION", "MS WORSENING", "RELAPSE", "Relapse #2", "MS-relapse")  # fmt: skip
    coded = [None, None, "CHRONIC OBSTRUCTIVE PULMONARY DISEASE EXACERBATION", *[None] * 9]
    study, said = read_sdtm(
        **BASE, ce=events(*terms, CEDECOD=coded, CESTAT=[None] * 9 + ["NOT DONE", None, None])
    )
    assert [day[5:7] for day in onsets(study)] == ["01", "04", "05", "07", "11", "12"]
    told = "CE: looks like a relapse but is named otherwise, not taken as one, 4 times (none 3, chronic obstructive pulmonary disease exacerbation 1)"
    assert told in said
    assert "suspected" not in said.casefold()  # the words of an investigator stay out of the log
    assert "CE: rows dropped, 1 times (not done)" in said


def test_a_bare_exacerbation_is_one_in_the_category_of_relapses(read_sdtm: Read) -> None:
    study, _ = read_sdtm(**BASE, ce=events("Exacerbation", "Exacerbation", CECAT=["MS RELAPSE", "ASTHMA"]))
    assert onsets(study) == ["2011-01-01"]


def test_a_relapse_asked_for_and_not_answered_is_none(read_sdtm: Read) -> None:
    ce = events("RELAPSE", "RELAPSE", CEPRESP=["Y", "Y"], CEOCCUR=[None, "Y"]) | {
        "CESTDTC": [None, "2011-02-01"]
    }
    study, said = read_sdtm(**BASE, ce=ce)
    assert onsets(study) == ["2011-02-01"]
    assert "CE: rows dropped, 1 times (asked for, not answered)" in said


def test_partial_dates_are_completed_flagged_and_kept_in_order(read_sdtm: Read) -> None:
    ce = events(*["RELAPSE"] * 4) | {
        "CESTDTC": ["2011-05", "2012", "2014-03", "2013-04-05T10:30"], "CEENDTC": ["2011-05-10", "2012-09", None, "2013-04"],
    }  # fmt: skip
    study, said = read_sdtm(**BASE, ce=ce)
    relapses = study.tables["relapses"].select(
        pl.col("onset_date", "end_date").cast(pl.String), "onset_date_imputed", "end_date_imputed"
    )
    assert relapses.rows() == [
        ("2011-05-10", "2011-05-10", "D", None),  # the 15th would lie after the end
        ("2012-07-01", "2012-09-30", "M", "D"),
        ("2014-03-10", None, "D", None),  # nor after the last contact
        ("2013-04-05", "2013-04-30", None, "D"),
    ]
    assert "CE.onset_date: partial date, completed to the middle day, 3 times" in said
    assert "CE.onset_date: completed date, moved to stay in order with other dates, 2 times" in said


@pytest.mark.parametrize(("date", "n"), [("2010-02", 1), ("2010", 1), ("2010-03", 0), ("2011", 0), ("2010-02-21", 0)])  # fmt: skip
def test_a_period_that_holds_day_0_is_named(read_sdtm: Read, date: str, n: int) -> None:
    study, _ = read_sdtm(**BASE, ce=events("RELAPSE") | {"CESTDTC": [date]})
    rows = find_problems(study).filter(pl.col("rule") == "completed_across_day_0")
    assert rows.height == n
    assert set(rows["severity"]) <= {"warning"}


def test_a_study_day_is_better_than_a_completed_date(read_sdtm: Read) -> None:
    study, _ = read_sdtm(**BASE, ce=events("RELAPSE") | {"CESTDTC": ["2011-05"], "CESTDY": [450]})
    assert study.table("relapses", ["onset_day", "onset_date"]).rows() == [(449, None)]


def test_adverse_events_and_history_with_partial_dates_do_not_refuse_the_study(read_sdtm: Read) -> None:
    ae = {"USUBJID": ["1", "1"], "AETERM": ["fever", "rash"], "AESTDTC": ["2011-03", "2011"], "AEENDTC": ["2011-03", "2012-01-05"]}  # fmt: skip
    mh = {"USUBJID": ["1", "1"], "MHCAT": ["PRIMARY DIAGNOSIS", "FIRST SYMPTOM"], "MHTERM": ["RRMS", "x"], "MHSTDTC": ["2005-03", "2005"]}  # fmt: skip
    study, _ = read_sdtm(**BASE, ae=ae, mh=mh)
    days = (
        study.table("adverse_events", ["start_date", "end_date"])
        .with_columns(pl.all().cast(pl.String))
        .rows()
    )
    assert days == [("2011-03-15", "2011-03-31"), ("2011-07-01", "2012-01-05")]
    # 1 July 2005 would lie after the diagnosis, which is taken as the middle of March
    patient = (
        study.table("patients", ["disease_onset_date", "diagnosis_date"])
        .with_columns(pl.all().cast(pl.String))
        .row(0)
    )
    assert patient == ("2005-03-15", "2005-03-15")


def test_counts_before_the_study_by_interval_or_its_words(read_sdtm: Read) -> None:
    fa = {"USUBJID": ["1", "1", "2", "2", "2", "2"], "FAOBJ": ["MS RELAPSE"] * 6, "FATESTCD": ["NUMRLPS"] * 6, "FAEVLINT": ["-P12M", *[None] * 5],
          "FAEVINTX": [None, "24 MONTHS PRIOR TO SCREENING", "Past year", "LAST 2 YEARS", "LIFETIME", "BETWEEN 12 AND 24 MONTHS"], "FASTRESN": [1.0, 3.0, 2.0, 4.0, 9.0, 2.0]}  # fmt: skip
    study, said = read_sdtm(**BASE, fa=fa)
    assert study.table("patients", ["n_relapses_12m", "n_relapses_24m"]).rows() == [(1, 3), (2, 4)]
    assert (
        "neither 12 nor 24 months before, not taken, 2 times (BETWEEN 12 AND 24 MONTHS 1, LIFETIME 1)" in said
    )


def test_relations_tie_a_relapse_to_steroids_and_hospital(read_sdtm: Read) -> None:
    ce = events("RELAPSE", "RELAPSE", "RELAPSE", CECONTRT=[None, None, "N"], CELNKID=["a", "b", "c"])
    cm = {"USUBJID": ["1", "1"], "CMSEQ": [7, 8], "CMTRT": ["METHYLPREDNISOLONE", "IBUPROFEN"], "CMCLAS": [None, "ANTIINFLAMMATORY PRODUCTS, NON-STEROIDS"], "CMSTDTC": ["2011-01-02"] * 2}  # fmt: skip
    ho = {"USUBJID": ["1"], "HOSEQ": [1], "HOTERM": ["HOSPITALIZATION"], "HOLNKID": ["c"], "HOSTDTC": ["2011-03-02"]}  # fmt: skip
    relrec = {"USUBJID": ["1", "1", "1", "1", None, None, "2"], "RDOMAIN": ["CE", "CM", "CE", "CM", "CE", "HO", "AE"],
              "IDVAR": ["CESEQ", "CMSEQ", "CESEQ", "CMSEQ", "CELNKID", "HOLNKID", "AESEQ"], "IDVARVAL": ["1", "7", "2", "8", None, None, "1"],
              "RELID": ["R1", "R1", "R2", "R2", "H", "H", "Z"]}  # fmt: skip
    study, said = read_sdtm(**BASE, ce=ce, cm=cm, ho=ho, relrec=relrec)
    # the second is related to a pain killer only; nothing says that it had no steroids
    assert study.table("relapses", ["steroid_treated", "hospitalised"]).rows() == [(True, None), (None, None), (False, True)]  # fmt: skip
    assert "CE: steroids by a related medication, 1 times" in said
    assert "RELREC: table not mapped, 3 times" in said  # what was not followed: R2 and Z


def test_an_equal_link_ties_where_no_relation_is_given(read_sdtm: Read) -> None:
    cm = {"USUBJID": ["1", "2"], "CMTRT": ["PREDNISONE"] * 2, "CMLNKID": ["r1", "r2"], "CMSTDTC": ["2011-01-02"] * 2}  # fmt: skip
    study, _ = read_sdtm(**BASE, ce=events("RELAPSE", "RELAPSE", CELNKID=["r1", "r2"]), cm=cm)
    # r2 of another subject is none of his
    assert study.table("relapses", ["steroid_treated"])["steroid_treated"].to_list() == [True, None]


def test_milestones_give_relapses_only_where_no_event_does(read_sdtm: Read) -> None:
    sm = {"USUBJID": ["1", "1"], "MIDSTYPE": ["MS RELAPSE", "FIRST DOSE"], "MIDS": ["RELAPSE 1", "DOSE 1"], "SMSTDTC": ["2011-01-03", "2010-02-20"]}  # fmt: skip
    study, _ = read_sdtm(**BASE, sm=sm)
    assert onsets(study) == ["2011-01-03"]
    study, said = read_sdtm(**BASE, sm=sm, ce=events("RELAPSE"))
    assert onsets(study) == ["2011-01-01"]
    assert "SM: rows left out, because relapses has rows from elsewhere, 1 times" in said


def test_the_course_is_the_last_that_had_begun_and_the_reported_term_counts(read_sdtm: Read) -> None:
    mh = {"USUBJID": ["1", "1", "1", "2"], "MHCAT": ["DIAGNOSIS"] * 4, "MHTERM": ["SPMS", "RRMS", "PPMS", "RRMS"],
          "MHDECOD": [None, None, None, "Multiple sclerosis"], "MHSTDTC": ["2008-05-01", "2001-05-01", "2012-01-01", "2003-01-01"]}  # fmt: skip
    study, _ = read_sdtm(**BASE, mh=mh)
    patients = study.table("patients", ["ms_course", "diagnosis_date"]).with_columns(pl.col("diagnosis_date").cast(pl.String))  # fmt: skip
    # of two courses before day 0 the later; PPMS began after it; the date of the diagnosis is the first
    assert patients.rows() == [("SPMS", "2001-05-01"), ("RRMS", "2003-01-01")]


def test_disease_duration_from_supplementary_qualifiers(read_sdtm: Read) -> None:
    mh = {"USUBJID": ["1", "2"], "MHSEQ": [1, 1], "MHCAT": ["DIAGNOSIS", "FIRST SYMPTOM"], "MHTERM": ["RRMS", "numbness"]}  # fmt: skip
    supp = {"USUBJID": ["1", "2"], "RDOMAIN": ["MH"] * 2, "IDVAR": ["MHSEQ"] * 2, "IDVARVAL": ["1", "1"], "QNAM": ["YRSDIAG", "STSTUDMO"], "QVAL": ["8", "-30"]}  # fmt: skip
    study, said = read_sdtm(**BASE, mh=mh, suppmh=supp)
    # 8 years of 365.25 days; 30 months are two and a half years, 913.125 days
    assert study.table("patients", ["diagnosis_day", "disease_onset_day"]).rows() == [
        (-2922, None),
        (None, -913),
    ]
    assert study.tables["patients"]["diagnosis_day_imputed"].to_list() == ["M", None]
    assert "reckoned from its distance to the study, where no date is given, 2 times" in said
