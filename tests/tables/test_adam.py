"""ADaM's shape: the sign of CNSR, days without day 0, labels and names of transport files, and Dataset-JSON."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from ahsct import check, derive_outcomes, load_definition, load_example, make_study
from ahsct.definitions import list_definitions
from ahsct.errors import RequestError, SourceError
from ahsct.tables import Study
from ahsct.tables.adam import adae, adsl, adtte
from ahsct.tables.adam_files import LABELS, write_adam
from ahsct.tables.adam_findings import adlb, adqs
from ahsct.tables.dataset_json import read_dataset_json
from ahsct.tables.source_files import read_source_files


@pytest.fixture(scope="module")
def study() -> Study:
    return check(load_example("atkins2016"))


@pytest.fixture(scope="module")
def datasets(study: Study) -> dict[str, pl.DataFrame]:
    outcomes = derive_outcomes(study, load_definition("atkins2016"))
    zero = study.table("transplants", ["patient_id", "infusion_day"]).rename(
        {"infusion_day": "time_zero_day"}
    )
    return {
        "ADSL": adsl(study),
        "ADTTE": adtte(study, outcomes.time_to_event, zero_days=zero, events=outcomes.events),
        "ADQS": adqs(study),
        "ADAE": adae(study),
        "ADLB": adlb(study),
    }


def test_events_have_cnsr_0_and_the_published_counts(datasets: dict[str, pl.DataFrame]) -> None:
    main = datasets["ADTTE"].filter(pl.col("PARAMCD") == "MSAFS1")
    assert (main.height, main.filter(pl.col("CNSR") == 0).height) == (
        23,
        8,
    )  # as published: 8 in all, 7 by 3 years
    assert main.filter((pl.col("CNSR") == 0) & (pl.col("AVAL") <= 1097)).height == 7
    every = datasets["ADTTE"].filter(pl.col("PARAMCD") == "MSAFS2")
    assert (every.height, every.filter(pl.col("CNSR") == 0).height) == (24, 9)
    assert main.filter(pl.col("CNSR") > 0)["CNSDTDSC"].null_count() == 0
    # the first day counts as 1
    dates = datasets["ADTTE"].select((pl.col("ADT") - pl.col("STARTDT")).dt.total_days() + 1 - pl.col("AVAL"))
    assert (dates.to_series() == 0).all()
    assert datasets["ADTTE"].select("PARAMCD", "PARAM").unique()["PARAMCD"].is_duplicated().sum() == 0


def test_baseline_change_and_days_without_day_0(study: Study, datasets: dict[str, pl.DataFrame]) -> None:
    qs = datasets["ADQS"].filter(pl.col("PARAMCD") == "EDSS")
    assert 0 not in qs["ADY"].to_list()
    baseline = qs.filter(pl.col("ABLFL") == "Y")
    assert baseline["USUBJID"].is_duplicated().sum() == 0
    assert (baseline["AVAL"] == baseline["BASE"]).all()
    assert baseline["CHG"].null_count() == baseline.height
    assert (qs.drop_nulls("CHG")["CHG"] == qs.drop_nulls("CHG")["AVAL"] - qs.drop_nulls("CHG")["BASE"]).all()


def test_subjects_and_events(datasets: dict[str, pl.DataFrame]) -> None:
    assert datasets["ADSL"].height == 24
    assert datasets["ADSL"]["DTHFL"].to_list().count("Y") == 1
    assert datasets["ADSL"]["ITTFL"].null_count() == 24  # not stated is not N
    assert datasets["ADAE"]["ATOXGR"].null_count() == datasets["ADAE"].height  # a severity is no grade


def test_ages_fall_into_groups_and_the_last_infusion_ends_exposure() -> None:
    made = check(
        make_study(
            "s", data_kind="simulated",
            patients=pl.DataFrame({"patient_id": ["a", "b", "c"], "index_date": [date(2010, 1, 1)] * 3, "age_at_index_years": [29.9, 30.0, None],
                                   "race": ["ASIAN", None, "WHITE"], "strata": ["x", None, None]}),
            visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0], "edss": [2.0]}),
            transplants=pl.DataFrame({"patient_id": ["a", "a", "b"], "transplant_number": [1, 2, 1], "infusion_day": [0, 400, 10]}),
        )
    )  # fmt: skip
    people = adsl(made)
    assert people["AGEGR1"].to_list() == ["<30", "30-39", None]
    assert adsl(made, age_groups=(18, 30))["AGEGR1"].to_list() == ["18-29", ">=30", None]
    assert people["RACE"].to_list() == ["ASIAN", None, "WHITE"]
    assert people.select("TRTSDT", "TRTEDT").rows() == [
        (date(2010, 1, 1), date(2011, 2, 5)), (date(2010, 1, 11), date(2010, 1, 11)), (None, None),
    ]  # fmt: skip


def test_events_name_the_row_in_which_they_showed(study: Study, datasets: dict[str, pl.DataFrame]) -> None:
    rows = datasets["ADTTE"].filter((pl.col("CNSR") == 0) & pl.col("SRCDOM").is_not_null())
    assert rows.height > 0
    visits = study.table("visits", ["patient_id", "row", "visit_date"])
    shown = rows.filter(SRCDOM="VISITS").join(
        visits.with_columns(SRCSEQ=pl.col("row").cast(pl.Float64)), left_on=["USUBJID", "SRCSEQ"], right_on=["patient_id", "SRCSEQ"]
    )  # fmt: skip
    assert shown.height == rows.filter(SRCDOM="VISITS").height
    assert (shown["ADT"] == shown["visit_date"]).all()  # an event is dated on the visit at which it showed
    assert (
        datasets["ADTTE"].filter(pl.col("CNSR") > 0)["SRCDOM"].null_count()
        == datasets["ADTTE"].filter(pl.col("CNSR") > 0).height
    )


def test_of_two_values_of_one_day_the_later_row_is_analysed() -> None:
    made = make_study(
        "s", data_kind="simulated",
        patients=pl.DataFrame({"patient_id": ["a"], "index_date": [date(2010, 1, 1)]}),
        visits=pl.DataFrame({"patient_id": ["a"] * 3, "visit_day": [0, 0, 90], "edss": [2.0, 3.0, 4.0]}),
    )  # fmt: skip
    rows = adqs(made).select("AVAL", "ABLFL", "ANL01FL", "CHG").rows()
    assert rows == [(2.0, None, None, None), (3.0, "Y", "Y", None), (4.0, None, "Y", 1.0)]


def labs(**columns: list[object]) -> Study:
    """One patient, mobilised on day -20, infused on day 0, with these laboratory values."""
    n = len(columns["sample_day"])
    rows = {"patient_id": ["a"] * n, "test": ["neutrophils"] * n, "unit": ["10^9/L"] * n} | columns
    return check(
        make_study(
            "s", data_kind="simulated",
            patients=pl.DataFrame({"patient_id": ["a"], "index_date": [date(2010, 1, 1)], "arm": ["x"]}),
            visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0], "edss": [2.0]}),
            transplants=pl.DataFrame({"patient_id": ["a"], "mobilisation_start_day": [-20], "infusion_day": [0]}),
            labs=pl.DataFrame(rows, strict=False),
        )
    )  # fmt: skip


def test_laboratory_values_change_from_before_mobilisation() -> None:
    # 4.0 before mobilisation is the baseline, not the 0.1 on the day of infusion
    made = adlb(labs(
        sample_day=[-30, -20, 0, 12, 13], value=[5.0, 4.0, 0.1, 1.0, 8.0], lower_limit=[1.8] * 5, upper_limit=[7.5, 7.5, 7.5, 7.5, 7.5],
        ctcae_grade=[None, 0, 4, 2, 0],
    ))  # fmt: skip
    assert made.select("ADY", "ABLFL", "BASE", "CHG", "PCHG").rows() == [
        (-30.0, None, 4.0, None, None), (-20.0, "Y", 4.0, None, None), (1.0, None, 4.0, -3.9, -97.5), (13.0, None, 4.0, -3.0, -75.0), (14.0, None, 4.0, 4.0, 100.0),
    ]  # fmt: skip
    assert made.select("ANRIND", "BNRIND", "SHIFT1", "ATOXGR", "BTOXGR").rows() == [
        ("NORMAL", "NORMAL", None, None, "0"), ("NORMAL", "NORMAL", None, "0", "0"), ("LOW", "NORMAL", "NORMAL to LOW", "4", "0"),
        ("LOW", "NORMAL", "NORMAL to LOW", "2", "0"), ("HIGH", "NORMAL", "NORMAL to HIGH", "0", "0"),
    ]  # fmt: skip
    assert made["ANL01FL"].to_list() == ["Y"] * 5  # the check allows one value a day
    assert made["PARAM"].unique().to_list() == ["Neutrophils (10^9/L)"]
    assert made["TRTA"].unique().to_list() == ["x"]


def test_a_test_in_two_units_is_two_parameters_and_other_tests_have_no_baseline() -> None:
    made = adlb(labs(
        sample_day=[-30, 5, -29, 6, -30, 5], value=[90.0, 80.0, 1.0, 0.9, 3.0, 4.0], test=["creatinine"] * 4 + ["other"] * 2,
        unit=["umol/L", "umol/L", "mg/dl", "mg/dl", "other", "other"], specimen=["serum"] * 4 + [None, None],
    ))  # fmt: skip
    assert made.select("PARAMCD", "PARAM", "BASE", "CHG").unique(maintain_order=True).rows() == [
        ("CREAT", "Creatinine (mg/dl, serum)", 1.0, None), ("CREAT", "Creatinine (mg/dl, serum)", 1.0, -0.09999999999999998),
        ("CREAT2", "Creatinine (umol/L, serum)", 90.0, None), ("CREAT2", "Creatinine (umol/L, serum)", 90.0, -10.0),
        ("OTHER", "Other test (other)", None, None),
    ]  # fmt: skip
    assert made.filter(PARAMCD="OTHER").height == 2


def test_a_limit_on_one_side_says_nothing_of_the_other() -> None:
    made = adlb(labs(sample_day=[1, 2, 3, 4], value=[1.0, 2.0, 2.0, 9.0], lower_limit=[1.8, 1.8, None, None], upper_limit=[None, None, None, 7.5]))  # fmt: skip
    assert made["ANRIND"].to_list() == ["LOW", None, None, "HIGH"]


def test_the_first_event_under_treatment_is_flagged_once() -> None:
    made = check(
        make_study(
            "s", data_kind="simulated",
            patients=pl.DataFrame({"patient_id": ["a", "b"], "index_date": [date(2010, 1, 1)] * 2}),
            visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0], "edss": [2.0]}),
            transplants=pl.DataFrame({"patient_id": ["a"], "mobilisation_start_day": [-20], "infusion_day": [0]}),
            adverse_events=pl.DataFrame({"patient_id": ["a", "a", "a", "a", "b"], "term": list("vwxyz"), "start_day": [5, -21, -20, -20, 3],
                                         "scale": ["CTCAE 5.0"] * 5, "grade": [2, 1, 3, 1, 1], "severity": ["moderate", "mild", "severe", "mild", "mild"]}),
        )
    )  # fmt: skip
    rows = adae(made).select("AETERM", "TRTEMFL", "AOCCFL", "AETOXGR", "ATOXGR").rows()
    assert rows == [
        ("v", "Y", None, "2", "2"), ("w", None, None, "1", "1"), ("x", "Y", "Y", "3", "3"), ("y", "Y", None, "1", "1"), ("z", None, None, "1", "1"),
    ]  # fmt: skip


def test_transport_files_hold_labels_dates_and_the_same_values(
    datasets: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    folder = write_adam(datasets, tmp_path / "adam")
    frame, meta = pyreadstat.read_xport(str(folder / "adtte.xpt"), output_format="polars")
    assert meta.table_name == "ADTTE"
    assert meta.column_names_to_labels["CNSR"] == LABELS["CNSR"]
    for name, table in datasets.items():
        back, meta = pyreadstat.read_xport(str(folder / f"{name.lower()}.xpt"), output_format="polars")
        assert back.shape == table.shape
        for column in table.columns:
            assert len(column) <= 8, column
            # as it stands: no label is cut to its first 40 characters
            assert meta.column_names_to_labels[column] == LABELS[column], column
            given = table[column].fill_null("") if table.schema[column] == pl.String else table[column]
            assert back[column].to_list() == given.to_list(), column
    assert frame["ADT"].to_list() == datasets["ADTTE"]["ADT"].to_list()
    assert frame["CNSR"].to_list() == datasets["ADTTE"]["CNSR"].to_list()
    with pytest.raises(RequestError, match=r"ADAE\.AETERM holds a text of 300 bytes"):
        write_adam({"ADAE": datasets["ADAE"].with_columns(AETERM=pl.lit("x" * 300))}, tmp_path / "long")
    assert not (tmp_path / "long").exists()


@pytest.mark.parametrize("file_format", ["json", "ndjson"])
def test_dataset_json_reads_back(datasets: dict[str, pl.DataFrame], tmp_path: Path, file_format: str) -> None:
    folder = write_adam(datasets, tmp_path / "adam", file_format=file_format)  # type: ignore[arg-type]
    back = read_source_files(folder).tables
    for name, frame in datasets.items():
        assert back[name].equals(frame.with_columns(pl.col(pl.Date).cast(pl.String))), name


GOOD = {
    "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.DM", "records": 2, "name": "DM", "label": "Demographics",
    "columns": [
        {"itemOID": "IT.A", "name": "A", "label": "a", "dataType": "string"},
        {"itemOID": "IT.N", "name": "N", "label": "n", "dataType": "decimal"},
        {"itemOID": "IT.D", "name": "D", "label": "d", "dataType": "date"},
    ],
    "rows": [["x", "1.5", "2020-01-02"], [None, 2, None]],
}  # fmt: skip


def test_dataset_json_is_validated(tmp_path: Path) -> None:
    def read(content: object, name: str = "dm.json") -> pl.DataFrame:
        (tmp_path / name).write_text(
            content if isinstance(content, str) else json.dumps(content), encoding="utf-8"
        )
        return read_dataset_json(tmp_path / name)["DM"]

    assert read(GOOD).rows() == [("x", 1.5, "2020-01-02"), (None, 2.0, None)]
    head = {key: value for key, value in GOOD.items() if key != "rows"}
    lines = "\n".join(json.dumps(part) for part in [head, *GOOD["rows"]])  # type: ignore[misc]
    assert read(lines, "dm.ndjson").equals(read(GOOD))
    columns = GOOD["columns"]
    assert isinstance(columns, list)
    for spoilt, said in [
        ('{"rows": [', "no valid JSON"),
        ("[]", "one object"),
        (GOOD | {"datasetJSONVersion": "1.0.0"}, "only 1.1"),
        ({key: value for key, value in GOOD.items() if key != "columns"}, "lacks columns"),
        (GOOD | {"records": 3}, "announces 3 records and holds 2"),
        (GOOD | {"rows": [["x"], ["y"]]}, "row 1 does not have 3 values"),
        (GOOD | {"rows": [["x", "1.5", None], [1, 2, None]]}, "`A` must be of type string; row 2"),
        (GOOD | {"columns": [columns[0]] * 3}, "names the column A twice"),
        (GOOD | {"columns": [columns[0] | {"dataType": "blob"}, *columns[1:]]}, "unknown dataType 'blob'"),
        (GOOD | {"columns": [{"name": "A"}, *columns[1:]]}, "column 1 lacks itemOID"),
    ]:
        with pytest.raises(SourceError, match=said):
            read(spoilt)


def test_dates_are_sas_days(tmp_path: Path) -> None:
    frame = pl.DataFrame({"STUDYID": ["s"], "ADT": [date(1960, 1, 2)]})
    folder = write_adam({"ADX": frame}, tmp_path / "x")
    raw, _ = pyreadstat.read_xport(
        str(folder / "adx.xpt"), output_format="polars", disable_datetime_conversion=True
    )
    assert raw["ADT"].to_list() == [1.0]


def test_one_reference_day_in_every_data_set_and_one_baseline() -> None:
    # infused on day 20; time counts from the mobilisation on day 0; two visits on day 10, one on day 120
    made = check(
        make_study(
            "one", data_kind="simulated",
            patients=pl.DataFrame({"patient_id": ["a"], "index_date": [date(2010, 1, 1)]}),
            visits=pl.DataFrame({"patient_id": ["a"] * 3, "visit_day": [-5, 10, 120], "edss": [2.0, 3.0, 4.5]}),
            transplants=pl.DataFrame({"patient_id": ["a"], "mobilisation_start_day": [0], "infusion_day": [20]}),
            adverse_events=pl.DataFrame({"patient_id": ["a"], "term": ["fever"], "start_day": [120], "scale": ["not stated"], "severity": ["mild"]}),
            follow_up=pl.DataFrame({"patient_id": ["a"], "last_contact_day": [400], "vital_status": ["dead"], "death_day": [400],
                                    "end_of_study_reason": ["DEATH"]}),
        )
    )  # fmt: skip
    time = pl.DataFrame(
        {"patient_id": ["a"], "arm": ["x"], "endpoint": ["overall_survival"], "component": ["composite"], "estimand": ["e"],
         "is_evaluable": [True], "is_event": [True], "time_day": [120], "censor_reason": [None], "cause": ["death"], "event_id": [None]},
        schema_overrides={"censor_reason": pl.String, "event_id": pl.String},
    )  # fmt: skip
    row = adtte(made, time, zero_days=pl.DataFrame({"patient_id": ["a"], "time_zero_day": [0]})).row(
        0, named=True
    )
    # the same day in all three: day 120 is 100 days after the infusion, the 101st day
    assert (row["ADY"], row["AVAL"], str(row["ADT"])) == (101, 121, "2010-05-01")
    assert adqs(made)["ADY"].to_list() == [-25, -10, 101]
    assert adae(made)["ASTDY"].to_list() == [101]
    assert adqs(made).select("ABLFL", "BASE", "CHG").rows() == [
        (None, 3.0, None),
        ("Y", 3.0, None),
        (None, 3.0, 1.5),
    ]
    end = adsl(made).row(0, named=True)
    assert (end["EOSSTT"], end["DCSREAS"], str(end["LSTALVDT"])) == ("DISCONTINUED", "DEATH", "2011-02-05")


@pytest.mark.parametrize("id", list_definitions())
def test_codes_are_unique_and_short_under_every_definition(study: Study, id: str) -> None:
    times = derive_outcomes(study, load_definition(id)).time_to_event
    zero = study.table("patients", ["patient_id"]).with_columns(time_zero_day=pl.lit(0))
    made = adtte(study, times, zero_days=zero)
    pairs = made.select("PARAMCD", "PARAM").unique()
    assert pairs["PARAMCD"].is_duplicated().sum() == pairs["PARAM"].is_duplicated().sum() == 0
    assert pairs["PARAMCD"].str.contains(r"^[A-Z][A-Z0-9]{0,7}$").all()
    texts = made.select(pl.col(pl.String).str.len_bytes().max())
    assert all(value is None or value <= 200 for value in texts.row(0))
