"""The transplant registry's forms: recalled names are said, periods stay periods, the last assessment decides."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ahsct import check, read_study

FORMS = {
    "registration": "patient_id,sex,date_of_birth,centre\n1,2,1980-05,C1\n2,1,1979-01-02,C1\n",
    "autoimmune": "patient_id,ms_subtype,date_of_diagnosis,edss,date_of_edss\n1,Relapsing remitting,2001,4.5,2010-01-02\n2,secondary progressive,2000-03-04,6,2010-01-03\n",
    "treatment": "patient_id,hct_number,date_of_mobilisation,conditioning_regimen,date_of_hct,graft_manipulation\n1,1,2010-02-01,BEAM,2010-03-01,none\n2,1,2010-02-05,Cy/ATG,2010-03-05,CD34 enrichment\n",
    "complications": "patient_id,complication,date_of_onset,date_of_assessment,date_of_previous_assessment,ctcae_grade,ctcae_version\n1,sepsis,,2010-06-09,2010-03-01,3,4.03\n2,rash,2010-04-01,2010-06-13,2010-03-05,,\n",
    "followup": "patient_id,date_of_assessment,survival_status,date_of_death,cause_of_death,edss,date_of_edss\n1,2010-06-09,alive,,,4,2010-06-09\n1,2011-03-01,alive,,,3.5,2011-03-01\n2,2010-06-13,alive,,,6,2010-06-13\n2,2010-09-01,dead,2010-09-01,HCT-related,,\n",
}  # fmt: skip


def test_forms_become_a_study(tmp_path: Path) -> None:
    for name, text in FORMS.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    study = check(read_study(tmp_path, kind="ebmt"))
    assert "from memory. Check them" in " ".join(study.problems["message"])
    people = study.table(
        "patients", ["patient_id", "sex", "ms_course", "birth_date", "diagnosis_date", "index_date"]
    )
    assert [str(value) for value in people.row(0)] == [
        "1",
        "F",
        "RRMS",
        "1980-05-15",
        "2001-07-01",
        "2010-03-01",
    ]
    assert study.tables["patients"]["birth_date_imputed"].to_list() == ["D", None]
    grafts = study.table("transplants", ["conditioning_regimen", "cd34_selected", "infusion_day"])
    assert grafts.rows() == [("BEAM", False, 0), ("CY-ATG", True, 0)]
    # known only to lie between two assessments: both ends are kept
    events = study.table("adverse_events", ["term", "earliest_start_day", "start_day", "grade", "scale"])
    assert events.rows() == [("sepsis", 0, 100, 3, "CTCAE 4.03"), ("rash", 27, 27, None, "not stated")]
    ends = study.table("follow_up", ["last_contact_day", "vital_status", "death_day", "cause_class"])
    assert ends.rows() == [(365, "alive", None, None), (180, "dead", 180, "treatment-related")]
    assert study.table("visits").filter(pl.col("patient_id") == "1")["edss"].to_list() == [4.5, 4.0, 3.5]


def test_beam_is_beam_atg_only_where_the_form_says_so(tmp_path: Path) -> None:
    for name, text in FORMS.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "treatment.csv").write_text(
        "patient_id,hct_number,conditioning_regimen,atg_product,date_of_hct\n"
        "1,1,beam,Rabbit,2010-03-01\n2,1,BEAM,,2010-03-05\n1,2,BEAM/ATG,,2011-03-01\n2,2,BEAM,none,2011-03-01\n",
        encoding="utf-8",
    )
    grafts = read_study(tmp_path, kind="ebmt").table("transplants", ["conditioning_regimen"])
    assert grafts["conditioning_regimen"].to_list() == ["BEAM-ATG", "BEAM", "BEAM-ATG", "BEAM"]


def test_forms_with_typed_columns_are_read_like_text(tmp_path: Path) -> None:
    plain, typed = tmp_path / "plain", tmp_path / "typed"
    plain.mkdir()
    typed.mkdir()
    for name, text in FORMS.items():
        (plain / f"{name}.csv").write_text(text, encoding="utf-8")
        frame = pl.read_csv(text.encode(), try_parse_dates=True).with_columns(pl.col("patient_id").cast(pl.String))  # fmt: skip
        frame.write_parquet(typed / f"{name}.parquet")
    assert pl.read_parquet_schema(typed / "followup.parquet")["date_of_edss"] == pl.Date
    one, two = (read_study(folder, kind="ebmt") for folder in (plain, typed))
    for name, frame in one.tables.items():
        assert two.tables[name].equals(frame), name


def test_a_quoted_empty_cell_is_missing_like_any_other(tmp_path: Path) -> None:
    # programs that quote every text write "" for nothing; the onset is then the assessment, not nothing
    for name, text in FORMS.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "complications.csv").write_text(
        '"patient_id","complication","date_of_onset","date_of_assessment","date_of_previous_assessment"\n'
        '"1","sepsis","","2010-06-09"," "\n',
        encoding="utf-8",
    )
    events = read_study(tmp_path, kind="ebmt").table("adverse_events", ["start_day", "earliest_start_day"])
    assert events.rows() == [(100, None)]
