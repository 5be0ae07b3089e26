"""SDTM: which drug is a disease-modifying one, which conditioning, and what is said where only its name tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from ahsct import check, derive_outcomes, load_definition, load_example, read_study
from ahsct.tables.sdtm_export import sdtm_shape

Read = Callable[..., Any]
BASE: dict[str, dict[str, list[Any]]] = {
    "dm": {"USUBJID": ["1"], "SEX": ["F"], "RFSTDTC": ["2010-02-01"], "ARM": ["A"]},
    "qs": {"USUBJID": ["1"], "QSCAT": ["EDSS"], "QSTESTCD": ["EDSS0101"], "QSTEST": ["EDSS01-Expanded Disability Score"],
           "QSDTC": ["2010-02-01"], "QSSTRESN": [3.0]},
    "pr": {"USUBJID": ["1"], "PRTRT": ["STEM CELL INFUSION"], "PRCAT": ["TRANSPLANT"], "PRSTDTC": ["2010-02-01"]},
}  # fmt: skip


def kinds(study: Any) -> dict[str, str]:
    return dict(study.table("treatments", ["drug", "kind"]).rows())


def ex(*rows: tuple[str, str]) -> dict[str, list[Any]]:
    return {"USUBJID": ["1"] * len(rows), "EXTRT": [drug for drug, _ in rows], "EXSTDTC": [day for _, day in rows]}  # fmt: skip


def test_exposure_is_a_dmt_only_by_name(read_sdtm: Read) -> None:
    drugs = ex(("FILGRASTIM", "2010-02-07"), ("PLACEBO", "2010-02-01"), ("OCRELIZUMAB", "2010-03-01"), ("MELPHALAN", "2010-01-30"))  # fmt: skip
    study, said = read_sdtm(**BASE, ex=drugs)
    assert kinds(study) == {"FILGRASTIM": "supportive", "PLACEBO": "supportive", "OCRELIZUMAB": "dmt", "MELPHALAN": "conditioning"}  # fmt: skip
    assert "taken as supportive, 2 times (FILGRASTIM 1, PLACEBO 1)" in said


def test_what_only_sounds_like_a_dmt_is_none(read_sdtm: Read) -> None:
    names = [
        "QUETIAPINE FUMARATE",
        "DIMETHYL FUMARATE",
        "Interferon gamma-1b",
        "PEGINTERFERON BETA-1A",
        "INTERFERON BETA-1B",
    ]
    cm = {"USUBJID": ["1"] * 5, "CMTRT": names, "CMSTDTC": ["2009-01-01"] * 5}
    study, said = read_sdtm(**BASE, cm=cm)
    assert [kind for _, kind in kinds(study).items()] == ["supportive", "dmt", "supportive", "dmt", "dmt"]
    assert "CM: neither disease-modifying nor conditioning by name, taken as supportive, 2 times" in said


def test_a_dose_of_zero_was_not_given(read_sdtm: Read) -> None:
    drugs = ex(("OCRELIZUMAB", "2010-03-01"), ("OCRELIZUMAB", "2010-09-01"), ("PLACEBO", "2010-09-01"))
    study, said = read_sdtm(**BASE, ex=drugs | {"EXDOSE": [300.0, 0.0, 0.0]})
    assert study.table("treatments", ["drug", "start_day"]).rows() == [("OCRELIZUMAB", 28), ("PLACEBO", 212)]
    assert "EX: rows dropped, 1 times (dose 0, not given)" in said


def test_cyclophosphamide_is_told_apart_by_the_days_to_the_infusion(read_sdtm: Read) -> None:
    drugs = ex(("Cyclophosphamide", "2010-01-04"), ("CYCLOPHOSPHAMIDE", "2010-01-27"), ("ALEMTUZUMAB", "2010-01-28"), ("LEMTRADA", "2009-01-01"))  # fmt: skip
    study, said = read_sdtm(**BASE, ex=drugs)
    # 28 days before the infusion, 5 days, 4 days, more than a year
    assert kinds(study) == {"Cyclophosphamide": "mobilisation", "CYCLOPHOSPHAMIDE": "conditioning", "ALEMTUZUMAB": "conditioning", "LEMTRADA": "dmt"}  # fmt: skip
    assert (
        "EX: conditioning or mobilisation by the days to the next infusion; EXCAT would say it, 3 times"
        in said
    )


def test_cyclophosphamide_without_category_and_infusion_is_refused(read_sdtm: Read) -> None:
    base = {name: columns for name, columns in BASE.items() if name != "pr"}
    read_sdtm(
        **base, ex=ex(("CYCLOPHOSPHAMIDE", "2010-01-04")), refused="unknown without a category or an infusion"
    )


def test_a_phase_named_by_the_source_decides(read_sdtm: Read) -> None:
    drugs = ex(("CYCLOPHOSPHAMIDE", "2010-01-27"), ("cyclophosphamide", "2010-01-04"))
    study, _ = read_sdtm(**BASE, ex=drugs | {"EPOCH": ["MOBILIZATION", None], "EXCAT": [None, "CONDITIONING REGIMEN"]})  # fmt: skip
    assert kinds(study) == {"CYCLOPHOSPHAMIDE": "mobilisation", "cyclophosphamide": "conditioning"}


def test_growth_factor_in_the_study_of_2016_changes_no_outcome(tmp_path: Path) -> None:
    study = check(load_example("atkins2016"))
    domains = sdtm_shape(study, generation="QS")
    person = domains["DM"].filter(pl.col("RFSTDTC").is_not_null())["USUBJID"]
    start = pl.col("RFSTDTC").str.to_date().dt.offset_by("6d").cast(pl.String).alias("EXSTDTC")
    added = domains["DM"].filter(pl.col("USUBJID").is_in(person.implode())).select("USUBJID", pl.lit("FILGRASTIM").alias("EXTRT"), start)  # fmt: skip
    plain = domains["EX"].drop("EXSEQ", "EXCAT")
    domains["EX"] = pl.concat([plain, added], how="diagonal_relaxed")
    domains = {name: frame for name, frame in domains.items() if name != "SUPPEX"}
    for name, frame in domains.items():
        frame.write_csv(tmp_path / f"{name}.csv")
    definition = load_definition("neda3")
    columns = ["patient_id", "endpoint", "component", "time_day", "is_event"]
    before, after = (
        derive_outcomes(made, definition).time_to_event.select(columns).sort(columns)
        for made in (study, check(read_study(tmp_path, kind="sdtm")))
    )
    assert after.equals(before)
