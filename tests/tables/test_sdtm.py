"""SDTM: the 2016 study written in each shape and read back gives identical outcomes; rules learnt from real data."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from ahsct import check, derive_outcomes, find_problems, load_definition, load_example, read_study
from ahsct.errors import SourceError
from ahsct.outcomes import Outcomes
from ahsct.tables import Study
from ahsct.tables.sdtm import prepare_sdtm
from ahsct.tables.sdtm_export import sdtm_shape


@pytest.fixture(scope="module")
def study() -> Study:
    return check(load_example("atkins2016"))


@pytest.fixture(scope="module")
def outcomes(study: Study) -> Outcomes:
    return derive_outcomes(study, load_definition("atkins2016"))


def write_xpt(domains: dict[str, pl.DataFrame], folder: Path) -> Path:
    folder.mkdir()
    (folder / "study.toml").write_text(
        'study_id = "atkins2016"\ndata_kind = "reconstructed"\n', encoding="utf-8"
    )
    for name, frame in domains.items():
        pyreadstat.write_xport(
            frame, str(folder / f"{name.lower()}.xpt"), table_name=name, file_format_version=5
        )
    return folder


@pytest.mark.parametrize(("generation", "days_only"), [("QS", False), ("RS", False), ("QS", True)])
def test_round_trip_through_transport_files(
    study: Study, outcomes: Outcomes, tmp_path: Path, generation: str, days_only: bool
) -> None:
    domains = sdtm_shape(study, generation=generation, days_only=days_only)  # type: ignore[arg-type]
    assert all(len(name) <= 8 for frame in domains.values() for name in frame.columns)
    if days_only:
        assert not any(name.endswith("DTC") for frame in domains.values() for name in frame.columns)
    read = read_study(write_xpt(domains, tmp_path / "sdtm"), kind="sdtm")
    assert find_problems(read).filter(pl.col("severity") == "error").is_empty()
    assert not read.problems["message"].str.contains("not mapped").any()
    back = derive_outcomes(check(read), load_definition("atkins2016"))
    for name in (
        "events",
        "confirmations",
        "time_to_event",
        "recurrent",
        "not_evaluable",
        "flow",
        "patient_values",
    ):
        before, after = getattr(outcomes, name), getattr(back, name)
        # the order of a source's rows is its own, and so are row numbers
        shared = [column for column in before.columns if column not in ("sources", "source_row")]
        before, after = (frame.select(shared).sort(shared) for frame in (before, after))
        if days_only and name == "patient_values":
            # calendar dates of the first and last infusion are gone; the age is stated instead of the birth date
            assert after.filter(pl.col("topic") != "baseline").equals(
                before.filter(pl.col("topic") != "baseline")
            )
        else:
            assert after.equals(before), name


def domain(**columns: list[object]) -> pl.DataFrame:
    return pl.DataFrame(columns)


def source() -> dict[str, pl.DataFrame]:
    """Three subjects as pooled trials have them: long course names, coded missings, rows not done, partial dates."""
    return {
        "dm": domain(USUBJID=["1", "2", "3"], SEX=["F", "M", "UNDIFFERENTIATED"], RFSTDTC=["2004-01-01", None, None],
                     AGE=[30.0, 40.0, 50.0], AGEU=["YEARS"] * 3, ARM=["A", "A", "B"]),
        "mh": domain(USUBJID=["1", "2"], MHCAT=["DIAGNOSIS", "Primary Diagnosis"], MHTERM=["Relapsing-Remitting Multiple Sclerosis", "SPMS"],
                     MHSTDTC=["2001", "2000-05-06"]),
        "qs": domain(USUBJID=["1"] * 6 + ["2"], QSCAT=["EDSS", "EDSS", "KFSS", "KFSS", "EDSS", "OTHER", "EDSS"],
                     QSTESTCD=["EDSS0101", "EDSS0101", "KFSS1X", "KFSS1Y", "EDSS0101", "X", "EDSS0101"],
                     QSTEST=["EDSS01-Expanded Disability Score", "EDSS01-Expanded Disability Score", "KFSS1-Pyramidal Functions",
                             "KFSS1-Visual or Optic Functions", "EDSS01-Expanded Disability Score", "x", "EDSS01-Expanded Disability Score"],
                     QSSTRESN=[3.0, 99.0, 2.0, 1.0, 4.0, 7.0, 2.0], QSDTC=["2004-01-01", "2004-04-01", "2004-01-01", "2004-01-01", "2004-07-01", "2004-01-01", None],
                     QSDY=[1.0, 92.0, 1.0, 1.0, 183.0, 1.0, -1.0], QSSTAT=[None, None, None, None, "NOT DONE", None, None]),
        "ce": domain(USUBJID=["1", "1", "1"], CETERM=["MS RELAPSE", "MS WORSENING", "MS RELAPSE"], CEDECOD=["Multiple sclerosis relapse", "x", "Multiple sclerosis relapse"],
                     CESTDTC=["2004-03-01", "2004-03-02", "2004-05-01"], CESEV=["MILD", None, "SEVERE"], CEOCCUR=[None, None, "N"], CECONTRT=["Y", None, None]),
        "fa": domain(USUBJID=["1", "1"], FATESTCD=["NUMRLPS"] * 2, FAEVLINT=["-P1Y", "-P2Y"], FASTRESN=[2.0, 3.0]),
        "cm": domain(USUBJID=["1"], CMTRT=["Avonex"], CMDECOD=["interferon beta-1a"], CMCAT=["PRIOR MS THERAPY"], CMSTDTC=["2002"], CMENDTC=["2003-02"]),
        "ae": domain(USUBJID=["1"], AETERM=["fever"], AESEV=["MODERATE"], AESTDTC=["2004-02-01"], AESER=["N"]),
        "suppdm": domain(USUBJID=["1"], RDOMAIN=["DM"], IDVAR=[None], IDVARVAL=[None], QNAM=["PRIORDMT"], QVAL=["2"]),
        "zz": domain(USUBJID=["1"], ZZDTC=["2005-06-07"]),
    }  # fmt: skip


def test_rules_learnt_from_pooled_trials(tmp_path: Path) -> None:
    folder = tmp_path / "pool"
    folder.mkdir()
    for name, frame in source().items():
        frame.write_csv(folder / f"{name}.csv")
    study = read_study(folder, kind="sdtm")
    patients = study.table(
        "patients",
        [
            "patient_id",
            "sex",
            "ms_course",
            "diagnosis_date",
            "n_relapses_12m",
            "n_relapses_24m",
            "prior_dmt_n",
        ],
    )
    assert [str(value) for value in patients.row(0)] == ["1", "F", "RRMS", "2001-07-01", "2", "3", "2"]
    assert patients["sex"].to_list() == ["F", "M", "U"]
    # 99 is no score, NOT DONE is no visit, another questionnaire is no EDSS; study day 1 is our day 0, day -1 stays
    visits = study.table("visits", ["patient_id", "visit_day", "edss", "fs_pyramidal", "fs_visual"])
    assert visits.rows() == [("1", 0, 3.0, 2, 1), ("1", 91, None, None, None), ("2", -1, 2.0, None, None)]
    relapses = study.table("relapses", ["onset_day", "severity", "steroid_treated"])
    assert relapses.rows() == [(60, "mild", True)]
    # partial dates are completed and flagged
    assert study.tables["patients"]["diagnosis_date_imputed"].to_list() == ["M", None, None]
    treatments = study.table("treatments", ["kind", "drug", "start_date", "end_date"])
    assert [str(value) for value in treatments.row(0)] == [
        "dmt",
        "interferon beta-1a",
        "2002-01-01",
        "2003-02-28",
    ]
    assert study.tables["treatments"].select("start_date_imputed", "end_date_imputed").row(0) == ("M", "D")
    # a severity never becomes a grade
    assert study.table("adverse_events", ["severity", "scale", "grade"]).row(0) == (
        "moderate",
        "not stated",
        None,
    )
    # the last date in any domain is the last contact
    assert str(study.table("follow_up", ["last_contact_date"]).row(0)[0]) == "2005-06-07"
    messages = " ".join(study.problems["message"])
    for said in ("rows dropped, 1 times (not done)", "coded as missing, 1 times (99)", "partial date, completed to the middle day, 1 times",
                 "partial date, completed to the last day, 1 times", "rows dropped, 1 times (asked for, did not occur)", "zz: table not mapped"):  # fmt: skip
        assert said.casefold() in messages.casefold(), said


def test_a_qualifier_that_cannot_be_placed_is_refused() -> None:
    tables = source()
    with pytest.raises(SourceError, match="SUPPDM refers to AESEQ, which its parent lacks"):
        prepare_sdtm(tables | {"suppdm": tables["suppdm"].with_columns(IDVAR=pl.lit("AESEQ"))})
    with pytest.raises(SourceError, match="gives one record PRIORDMT more than once"):
        prepare_sdtm(tables | {"suppdm": pl.concat([tables["suppdm"]] * 2)})
    with pytest.raises(SourceError, match="SUPPDM lacks QVAL"):
        prepare_sdtm(tables | {"suppdm": tables["suppdm"].drop("QVAL")})


def test_the_order_of_rows_and_rows_that_did_not_happen_change_nothing(
    study: Study, outcomes: Outcomes, tmp_path: Path
) -> None:
    domains = sdtm_shape(study, generation="RS")
    for name in ("RS", "NV", "PR", "CE", "EX", "CM", "SS"):
        if name not in domains:
            continue
        # the same rows once more, years later and not done
        later = [
            pl.lit("2031-01-01").alias(column) for column in domains[name].columns if column.endswith("DTC")
        ]
        sequence = (pl.col(f"{name}SEQ") + 10_000).alias(f"{name}SEQ")
        ghosts = domains[name].with_columns(*later, sequence, pl.lit("NOT DONE").alias(f"{name}STAT"))
        domains[name] = pl.concat([domains[name], ghosts], how="diagonal_relaxed")
    for name, frame in domains.items():
        frame.sample(fraction=1.0, shuffle=True, seed=7).write_csv(tmp_path / f"{name}.csv")
    read = read_study(tmp_path, kind="sdtm")
    assert find_problems(read).filter(pl.col("severity") == "error").is_empty()
    back = derive_outcomes(check(read), load_definition("atkins2016"))
    columns = ["patient_id", "arm", "endpoint", "component", "time_day", "is_event", "left_day", "right_day"]
    before, after = (made.time_to_event.select(columns).sort(columns) for made in (outcomes, back))
    assert after.equals(before)
