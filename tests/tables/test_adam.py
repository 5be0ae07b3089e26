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
from ahsct.tables.adam import LABELS, adae, adqs, adsl, adtte, write_adam
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
        "ADTTE": adtte(study, outcomes.time_to_event, zero_days=zero),
        "ADQS": adqs(study),
        "ADAE": adae(study),
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


def test_transport_files_hold_labels_dates_and_the_same_values(
    datasets: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    folder = write_adam(datasets, tmp_path / "adam")
    frame, meta = pyreadstat.read_xport(str(folder / "adtte.xpt"), output_format="polars")
    assert meta.table_name == "ADTTE"
    assert meta.column_names_to_labels["CNSR"] == LABELS["CNSR"]
    assert all(len(label) <= 40 for label in LABELS.values())
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
         "is_evaluable": [True], "is_event": [True], "time_day": [120], "censor_reason": [None], "cause": ["death"]},
        schema_overrides={"censor_reason": pl.String},
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
