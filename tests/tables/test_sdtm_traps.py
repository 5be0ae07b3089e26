"""What pooled trial data hold: rows without a time, several attempts, domains that meet, qualifiers without a record."""

from __future__ import annotations

import re
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

import polars as pl
import pytest

from ahsct import find_problems, read_study
from ahsct.tables import Study
from ahsct.tables.mapping import load_mapping, mapping_text

DM = {"USUBJID": ["1", "2"], "SEX": ["F", "M"], "RFSTDTC": ["2004-01-01", "2004-02-01"], "ARM": ["A", "B"]}


def read(folder: Path, **domains: dict[str, list[object]]) -> tuple[Study, str]:
    """Read domains as CSV; return the study and all messages."""
    for name, columns in ({"dm": DM} | domains).items():
        pl.DataFrame(columns).write_csv(folder / f"{name}.csv")
    study = read_study(folder, kind="sdtm")
    return study, " ".join(study.problems["message"])


def ft(**columns: list[object]) -> dict[str, list[object]]:
    n = len(columns["USUBJID"])
    return {"FTTEST": ["T25FW1-Time to Complete 25-Foot Walk"] * n, "FTCAT": ["T25FW"] * n} | columns


def test_rows_without_any_time_are_dropped_and_counted(tmp_path: Path) -> None:
    study, said = read(
        tmp_path, ft=ft(USUBJID=["1", "1", "2", "2"], FTDY=[1, None, None, 8], FTSTRESN=[5.0, 6.0, 7.0, 8.0])
    )
    # study day 1 is our day 0; the two rows without a day are no visit, nor one visit together
    assert study.table("visits", ["patient_id", "visit_day", "t25fw_s"]).rows() == [
        ("1", 0, 5.0),
        ("2", 7, 8.0),
    ]
    assert "FT: rows dropped without visit_date or visit_day, 2 times (for visits)" in said
    errors = find_problems(study).filter(pl.col("severity") == "error")["message"].to_list()
    assert errors == ["`visits` needs a column `edss` (Expanded disability status scale). Add it."]
    # the last contact is the later of the latest date and the latest study day: day 8 from 1 February
    assert [str(day) for day in study.table("follow_up", ["last_contact_date"])["last_contact_date"]] == [
        "2004-01-01",
        "2004-02-08",
    ]


def test_attempts_are_averaged_and_the_unable_are_counted_apart(tmp_path: Path) -> None:
    study, said = read(
        tmp_path,
        ft=ft(USUBJID=["1"] * 5, FTDY=[1, 1, 90, 180, 180], FTSTRESN=[5.0, 7.0, None, None, 9.0],
              FTSTAT=[None, None, "NOT DONE", "NOT DONE", None], FTREASND=[None, None, "UNABLE TO WALK", "FORGOTTEN", None]),
    )  # fmt: skip
    assert study.table("visits", ["visit_day", "t25fw_s"]).rows() == [(0, 6.0), (179, 9.0)]
    assert "rows dropped, 1 times (not done because the patient was unable" in said
    assert "rows dropped, 1 times (not done)" in said


def test_domains_meet_in_one_visit_though_one_has_dates_and_the_other_days(tmp_path: Path) -> None:
    qs = {"USUBJID": ["1", "2"], "QSCAT": ["EDSS"] * 2, "QSTESTCD": ["EDSS0101"] * 2, "QSTEST": ["EDSS01-Expanded Disability Score"] * 2,
          "QSDTC": ["2004-01-01", "2004-01-31"], "QSSTRESN": [3.0, 4.0]}  # fmt: skip
    study, _ = read(tmp_path, qs=qs, ft=ft(USUBJID=["1", "2"], FTDY=[1, -1], FTSTRESN=[5.0, 6.0]))
    assert study.table("visits", ["patient_id", "visit_day", "edss", "t25fw_s"]).rows() == [
        ("1", 0, 3.0, 5.0),
        ("2", -1, 4.0, 6.0),
    ]


def test_qualifiers_find_their_record_or_are_counted(tmp_path: Path) -> None:
    ae = {
        "USUBJID": ["1", "1", "2"],
        "AESEQ": [1, 2, 1],
        "AESPID": ["x", "y", "z"],
        "AETERM": ["a", "b", "c"],
        "AESTDY": [1, 2, 3],
    }
    supp = {"USUBJID": ["1", "1", "2", "2", "1"], "RDOMAIN": ["AE"] * 5, "IDVAR": ["AESEQ", "AESPID", "AESEQ", "AESEQ", "AESEQ"],
            "IDVARVAL": ["1", "y", "1", "9", "1"], "QNAM": ["AESCALE", "AESCALE", "AESCALE", "AESCALE", "AETERM"], "QVAL": ["CTCAE 5.0"] * 5}  # fmt: skip
    study, said = read(tmp_path, ae=ae, suppae=supp, suppcm={"USUBJID": ["1"], "QNAM": ["X"], "QVAL": ["y"]})
    # one by sequence number, one by the sponsor's id; record 9 is not there, and AETERM is the parent's own
    assert study.table("adverse_events", ["scale"])["scale"].to_list() == ["CTCAE 5.0"] * 3
    assert "SUPPAE: table not mapped, 2 times" in said
    assert "SUPPCM: table not mapped, 1 times" in said


def test_drugs_without_a_category_are_told_apart_by_name(tmp_path: Path) -> None:
    study, _ = read(
        tmp_path,
        ex={"USUBJID": ["1", "2"], "EXTRT": ["OCRELIZUMAB", "BUSULFAN"], "EXSTDY": [1, 1]},
        cm={"USUBJID": ["1", "1", "2"], "CMTRT": ["Tysabri", "PARACETAMOL", "x"], "CMDECOD": ["NATALIZUMAB", None, "INTERFERON BETA-1A"],
            "CMCAT": [None, None, "PRIOR MS THERAPY"], "CMSTDY": [-90, 1, -900]},
    )  # fmt: skip
    assert study.table("treatments", ["drug", "kind"]).rows() == [
        ("OCRELIZUMAB", "dmt"),
        ("BUSULFAN", "conditioning"),
        ("NATALIZUMAB", "dmt"),
        ("PARACETAMOL", "supportive"),
        ("INTERFERON BETA-1A", "dmt"),
    ]


def test_several_dispositions_and_relations_are_named(tmp_path: Path) -> None:
    study, said = read(
        tmp_path,
        ds={"USUBJID": ["1", "1", "2"], "DSCAT": ["DISPOSITION EVENT"] * 3, "DSDECOD": ["SCREENED", "COMPLETED", "WITHDRAWAL BY SUBJECT"],
            "DSTERM": ["x"] * 3, "DSSTDTC": ["2004-01-01", "2006-01-01", "2005-01-01"]},
        relrec={"USUBJID": ["1"], "RDOMAIN": ["CE"], "IDVAR": ["CESEQ"], "IDVARVAL": ["1"], "RELID": ["A"]},
    )  # fmt: skip
    assert (
        study.table("follow_up", ["end_of_study_reason", "last_contact_date"])
        .sort("end_of_study_reason")
        .rows()[0][0]
        == "COMPLETED"
    )
    assert "several different values, the last taken, 1 times" in said
    assert "relrec: table not mapped, 1 times" in said.casefold()


# the names of the columns of the public test data pharmaversesdtm 1.5.0.9001 (July 2026), by domain (file); no values of theirs
PHARMAVERSE = {
    "dm": "STUDYID DOMAIN USUBJID SUBJID RFSTDTC RFENDTC RFXSTDTC RFXENDTC RFICDTC RFPENDTC DTHDTC DTHFL SITEID BRTHDTC AGE AGEU SEX RACE ETHNIC ARMCD ARM ACTARMCD ACTARM COUNTRY DMDTC DMDY ARMNRS ACTARMUD",
    "ae": "STUDYID DOMAIN USUBJID AESEQ AESPID AETERM AELLT AELLTCD AEDECOD AEPTCD AEHLT AEHLTCD AEHLGT AEHLGTCD AEBODSYS AEBDSYCD AESOC AESOCCD AESEV AESER AEACN AEREL AEOUT AESCAN AESCONG AESDISAB AESDTH AESHOSP AESLIFE AESOD AEDTC AESTDTC AEENDTC AESTDY AEENDY",
    "ds": "STUDYID DOMAIN USUBJID DSSEQ DSSPID DSTERM DSDECOD DSCAT VISITNUM VISIT DSDTC DSSTDTC DSSTDY",
    "ex": "STUDYID DOMAIN USUBJID EXSEQ EXTRT EXDOSE EXDOSU EXDOSFRM EXDOSFRQ EXROUTE VISITNUM VISIT VISITDY EXSTDTC EXENDTC EXSTDY EXENDY",
    "cm": "STUDYID DOMAIN USUBJID CMSEQ CMSPID CMTRT CMDECOD CMINDC CMCLAS CMDOSE CMDOSU CMDOSFRQ CMROUTE VISITNUM VISIT VISITDY CMDTC CMSTDTC CMENDTC CMSTDY CMENDY CMENRTPT",
    "mh": "STUDYID DOMAIN USUBJID MHSEQ MHSPID MHTERM MHLLT MHDECOD MHHLT MHHLGT MHCAT MHBODSYS MHSEV VISITNUM VISIT VISITDY MHDTC MHSTDTC MHDY MHENDTC MHPRESP MHOCCUR MHSTRTPT MHENRTPT MHSTTPT MHENTPT MHENRF MHSTAT",
    "lb": "STUDYID DOMAIN USUBJID LBSEQ LBTESTCD LBTEST LBCAT LBORRES LBORRESU LBORNRLO LBORNRHI LBSTRESC LBSTRESN LBSTRESU LBSTNRLO LBSTNRHI LBNRIND LBBLFL VISITNUM VISIT VISITDY LBDTC LBDY",
    "qs": "STUDYID USUBJID DOMAIN VISIT VISITNUM VISITDY QSBLFL QSDTC QSDY QSCAT QSTEST QSTESTCD QSORRES QSORRESU QSSTRESC QSSTRESN QSSTRESU QSSEQ",  # qs_metabolic
    "rs": "STUDYID DOMAIN USUBJID RSSEQ RSLNKGRP RSTESTCD RSTEST RSCAT RSORRES RSSTRESC RSSTAT RSREASND RSEVAL RSEVALID RSACPTFL VISITNUM VISIT RSDTC RSDY",  # rs_onco
    "ce": "STUDYID DOMAIN USUBJID CESEQ CELNKID CELNKGRP CETERM CEDECOD CELAT CELOC CECAT CESCAT CEPRESP CEOCCUR CESEV CEREL CEOUT EPOCH CEDTC CESTDTC CEENDTC CEDUR CETPT CETPTNUM CETPTREF CERFTDTC CEEVINTX CESTAT CEREASND",  # ce_vaccine
    "face": "STUDYID DOMAIN USUBJID FASEQ FALNKGRP FALAT FALNKID FALOC FATESTCD FATEST FAOBJ FACAT FASCAT FAEVAL FAORRES FAORRESU EPOCH FADTC FADY FATPT FATPTNUM FATPTREF FARFTDTC FAEVLINT FAEVINTX FASTAT FAREASND FASTRESC FASTRESN FASTRESU",  # face_vaccine
    "nv": "STUDYID DOMAIN USUBJID NVSEQ NVLNKID NVTESTCD NVTEST NVCAT NVLOC NVMETHOD NVNAM NVORRES NVORRESU NVSTRESC NVSTRESN NVSTRESU VISITNUM VISIT NVDTC NVDY NVLOBXFL",  # nv_neuro
    "ag": "STUDYID DOMAIN USUBJID AGSEQ AGTRT AGCAT AGDOSE AGDOSEU AGROUTE AGLNKID VISITNUM VISIT AGSTDTC",  # ag_neuro
    "sv": "STUDYID DOMAIN USUBJID VISITNUM VISIT VISITDY SVSTDTC SVENDTC",
    "suppdm": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG QEVAL",
    "suppae": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG QEVAL",
    "suppds": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG",
    "suppnv": "STUDYID RDOMAIN USUBJID IDVAR IDVARVAL QNAM QLABEL QVAL QORIG QEVAL",  # suppnv_neuro
    "suppface": "STUDYID USUBJID RDOMAIN IDVAR IDVARVAL QNAM QVAL QLABEL QORIG",  # suppface_vaccine
}  # fmt: skip


def test_the_columns_of_public_test_data_are_read_and_the_rest_is_listed(tmp_path: Path) -> None:
    values = {"SEX": "F", "AGE": "30", "AGEU": "YEARS", "AGEU ": "", "QNAM": "SAFETY", "QVAL": "Y", "IDVAR": "", "IDVARVAL": "", "LBTESTCD": "NEUT",
              "LBSTRESN": "2.5", "LBSTRESU": "10^9/L", "DTHFL": "", "CEOCCUR": "", "AESER": "N", "AESEV": "MILD", "EXDOSE": "54", "CMDOSE": "1",
              "LBSTNRLO": "1.5", "LBSTNRHI": "8", "DTHDTC": "", "MHCAT": "PRIMARY DIAGNOSIS", "MHDECOD": "RRMS", "CEDECOD": "Relapse", "USUBJID": "01-1"}  # fmt: skip
    for name, text in PHARMAVERSE.items():
        row = {}
        for column in text.split():
            default = (
                "2012-08-05"
                if column.endswith("DTC")
                else "3"
                if column.endswith(("DY", "SEQ", "NUM"))
                else "x"
            )
            row[column] = [values.get(column, "MILD" if column.endswith("SEV") else default)]
        pl.DataFrame(row).write_csv(tmp_path / f"{name}.csv")
    study = read_study(tmp_path, kind="sdtm")
    assert set(study.tables) >= {"patients", "treatments", "labs", "adverse_events", "relapses", "follow_up"}
    assert study.table("labs", ["test", "value", "unit"]).rows() == [("neutrophils", 2.5, "10^9/L")]
    assert study.table("adverse_events", ["severity", "grade", "serious"]).rows() == [("mild", None, False)]
    assert study.table("patients", ["ms_course", "age_at_index_years"]).rows() == [("RRMS", 30.0)]
    # every column is either used, a key that needs no word, or listed
    said = " ".join(study.problems["message"])
    assert study.table("patients", ["race", "safety"]).rows() == [("x", True)]
    for listed in ("AE.AELLT", "CM.CMINDC", "LB.LBORRES", "FA: rows not mapped", "NV: rows not mapped", "QS: rows not mapped",
                   "RS: rows not mapped", "AG: read for the contrast of related scans, 1 times", "SV: read for the times of examinations"):  # fmt: skip
        assert listed.casefold() in said.casefold(), listed
    mapping = load_mapping("sdtm")
    names = set(re.findall(r"[A-Z][A-Z0-9]+", mapping_text("sdtm")))
    for domain, text in PHARMAVERSE.items():
        whole = {"face": "FA"}.get(domain, domain.upper())
        is_whole = f"{whole}: table not mapped" in said or f"{whole}: read for" in said
        if is_whole or domain.startswith("supp"):
            continue
        for column in text.split():
            is_key = column in names or any(fnmatch(column, form) for form in mapping.not_reported)
            is_blank = values.get(column) == ""
            assert is_key or is_blank or f"{whole}.{column}: column not mapped, 1 times" in said, column


def test_parts_of_a_domain_are_one(tmp_path: Path) -> None:
    edss = {"USUBJID": ["1"], "QSSEQ": [1], "QSCAT": ["EDSS"], "QSTESTCD": ["EDSS0101"], "QSTEST": ["EDSS01-Expanded Disability Score"],
            "QSSTRESN": [3.5], "QSDY": [1]}  # fmt: skip
    kfss = edss | {"QSSEQ": [2], "QSCAT": ["KFSS"], "QSTESTCD": ["KFSS101"], "QSTEST": ["KFSS1-Pyramidal Functions"], "QSSTRESN": [2.0]}  # fmt: skip
    face = {"USUBJID": ["1"], "FASEQ": [1], "FATESTCD": ["NUMRLPS"], "FAEVLINT": ["-P1Y"], "FASTRESN": [2.0]}
    supp = {"USUBJID": ["1"], "RDOMAIN": ["QS"], "IDVAR": ["QSSEQ"], "IDVARVAL": ["2"], "QNAM": ["RATER"], "QVAL": ["R1"]}  # fmt: skip
    study, said = read(tmp_path, qsedss=edss, qskfss=kfss, suppqskfss=supp, face=face)
    visits = study.table("visits", ["visit_day", "edss", "fs_pyramidal", "rater"])
    assert visits.rows() == [(0, 3.5, 2, "R1")]
    assert study.table("patients", ["n_relapses_12m"])["n_relapses_12m"][0] == 2
    assert "not mapped" not in said


def test_na_outside_quotes_is_missing_as_r_writes_it(tmp_path: Path) -> None:
    (tmp_path / "dm.csv").write_text(
        '"USUBJID","SEX","AGE","RACE","DTHDTC"\n"1","F",NA,"NA",NA\n"2",NA,40,"A,NA,B","2004-05-06"\n'
    )
    study = read_study(tmp_path, kind="sdtm")
    people = study.table("patients", ["patient_id", "sex", "age_at_index_years", "race"])
    assert people.rows() == [("1", "F", None, "NA"), ("2", None, 40.0, "A,NA,B")]
    assert "dm.csv: 3 cells NA outside quotes, taken as missing." in study.problems["message"].to_list()
    (tmp_path / "dm.csv").write_text(
        "USUBJID,SEX,RACE\n1,F,NA\n"
    )  # without quotes nothing tells it from a text
    assert read_study(tmp_path, kind="sdtm").table("patients", ["race"])["race"].to_list() == ["NA"]


@pytest.mark.parametrize("version", [5, 8])
def test_both_versions_of_transport_files(tmp_path: Path, version: int) -> None:
    import pyreadstat

    frame = pl.DataFrame(
        {
            "USUBJID": ["1", "2"],
            "SEX": ["F", None],
            "AGE": [30.0, None],
            "RFSTDTC": ["2004-01-01", "2004-02-01"],
        }
    )
    pyreadstat.write_xport(frame, str(tmp_path / "dm.xpt"), table_name="DM", file_format_version=version)
    patients = read_study(tmp_path, kind="sdtm").table(
        "patients", ["patient_id", "sex", "age_at_index_years"]
    )
    assert patients.rows() == [("1", "F", 30.0), ("2", None, None)]


def test_units_of_laboratory_values(tmp_path: Path) -> None:
    units = ["10^9/L", "GI/L", "10^3/uL", "g/dL", "mg/dL", "furlong"]
    tests = ["NEUT", "NEUT", "PLAT", "HGB", "CREAT", "ALT"]
    lb = {"USUBJID": ["1"] * 6, "LBTESTCD": tests, "LBSTRESN": [2.5, 2.5, 150.0, 12.0, 0.9, 30.0], "LBSTRESU": units, "LBSTNRLO": [1.5, 1.5, 140.0, 11.5, None, None],
          "LBDY": [1, 2, 3, 4, 5, 6]}  # fmt: skip
    study, said = read(tmp_path, lb=lb)
    # 12 g/dl are 120 g/l; thousands per microlitre are 10^9 per litre; an unknown unit stays, for the check to refuse
    assert study.table("labs", ["value", "unit", "lower_limit"]).rows()[:5] == [
        (2.5, "10^9/L", 1.5), (2.5, "10^9/L", 1.5), (150.0, "10^9/L", 140.0), (120.0, "g/L", 115.0), (0.9, "mg/dl", None),
    ]  # fmt: skip
    assert "code not in the list, kept, 1 times (furlong)" in said
    assert (
        find_problems(study)
        .filter(pl.col("message").str.contains("furlong|labs.unit") & (pl.col("severity") == "error"))
        .height
    )


def test_a_month_of_birth_keeps_its_year(tmp_path: Path) -> None:
    dm = DM | {"USUBJID": ["1", "2"], "BRTHDTC": ["1970-05", "1966"]}
    study, said = read(tmp_path, dm=dm)
    born = study.table("patients", ["birth_year", "birth_date"])
    assert [(year, str(day)) for year, day in born.rows()] == [(1970, "1970-05-15"), (1966, "1966-07-01")]
    assert study.tables["patients"]["birth_date_imputed"].to_list() == ["D", "M"]
    assert "DM.birth_date: partial date, completed to the middle day, 2 times" in said


def test_an_age_is_in_years_or_named(tmp_path: Path) -> None:
    dm = {"USUBJID": list("12345"), "AGE": ["30.5", "390", "none", "12", None], "AGEU": ["YEARS", "MONTHS", None, "FORTNIGHTS", "YEARS"], "RFSTDTC": ["2004-01-01"] * 5}  # fmt: skip
    study, said = read(tmp_path, dm=dm)
    assert study.table("patients", ["age_at_index_years"])["age_at_index_years"].to_list() == [
        30.5,
        32.5,
        None,
        None,
        None,
    ]
    assert "found 'none'" in said
    assert "found '12 in an unknown unit: FORTNIGHTS'" in said


def test_columns_of_any_type_are_read_as_the_standard_has_them(tmp_path: Path) -> None:
    # Parquet: a flag as true and false, dates as dates, a blank for nothing, a column without any value
    pl.DataFrame(
        {"USUBJID": [1, 2], "SEX": ["F", "M"], "RFSTDTC": [date(2004, 1, 1), date(2004, 2, 1)], "ARM": ["A", " "], "DTHDTC": ["", None], "ARMNRS": [None, None]},
        schema_overrides={"ARMNRS": pl.Null},
    ).write_parquet(tmp_path / "dm.parquet")  # fmt: skip
    pl.DataFrame(
        {"USUBJID": ["1", "2"], "CETERM": ["MS RELAPSE"] * 2, "CESTDTC": ["2004-06-01"] * 2, "CECONTRT": [True, False], "CEOCCUR": [True, True]}
    ).write_parquet(tmp_path / "ce.parquet")  # fmt: skip
    study = read_study(tmp_path, kind="sdtm")
    assert study.table("relapses", ["patient_id", "onset_day", "steroid_treated"]).rows() == [("1", 152, True), ("2", 121, False)]  # fmt: skip
    people = study.table("follow_up", ["patient_id", "vital_status"])
    assert people.rows() == [("1", "alive"), ("2", "alive")]  # a blank date of death is none
