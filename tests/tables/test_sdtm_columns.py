"""Every column of the vocabulary goes through the SDTM shape and comes back; what does not is listed here."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ahsct import make_study, read_study
from ahsct.tables.sdtm_export import sdtm_shape
from ahsct.vocabulary import INPUT_TABLES, Column, columns

INDEX = date(2010, 3, 14)
# reckoned anew from the visits and scans
LOST = {("follow_up", name) for name in ("last_edss_date", "last_edss_day", "last_mri_date", "last_mri_day")}
WORDS = {
    "country": "CAN",
    "route": "oral",
    "unit": "mg",
    "scale": "CTCAE 5.0",
    "test": "neutrophils",
    "vital_status": "dead",
}


def cell(name: str, column: Column, place: int) -> Any:
    if name == "patient_id":
        return "p1"
    if name.endswith("_date"):
        is_history = name in ("birth_date", "disease_onset_date", "diagnosis_date")
        return INDEX if name == "index_date" else INDEX + timedelta(days=place - 1000 * is_history)
    if name in WORDS:
        return WORDS[name]
    if column.codes:
        return column.codes[0]
    if column.type == "flag":
        return True
    if column.type == "text":
        return f"text {place}"
    return 1970 if name == "birth_year" else 1


def study() -> Any:
    tables = {}
    for table in INPUT_TABLES:
        cells = {
            name: [cell(name, column, place)]
            for place, (name, column) in enumerate(columns(table).items())
            if not name.endswith("_day")
        }
        tables[table] = pl.DataFrame(cells)
    return make_study("all", data_kind="simulated", **tables)


@pytest.mark.parametrize("generation", ["QS", "RS"])
def test_every_column_comes_back(tmp_path: Path, generation: Any) -> None:
    whole = study()
    for name, frame in sdtm_shape(whole, generation=generation).items():
        assert all(len(column) <= 8 for column in frame.columns), name
        frame.write_csv(tmp_path / f"{name}.csv")
    read = read_study(tmp_path, kind="sdtm")
    for table in INPUT_TABLES:
        for name in columns(table):
            if name.endswith("_day"):
                continue
            before = whole.table(table, [name])[name].to_list()
            after = read.table(table, [name])[name].to_list()
            assert (before == after) is ((table, name) not in LOST), (table, name, before, after)
    said = [text for text in read.problems["message"] if "taken as" in text or "not mapped" in text]
    assert said == []
