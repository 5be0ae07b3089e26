"""The committed tables are those that the script places."""

import tomllib

import polars as pl
import pytest

from ahsct.errors import RequestError
from ahsct.studies import example_folder, list_examples
from ahsct.studies.atkins2016.reconstruct import build, write
from ahsct.vocabulary import INPUT_TABLES, SCHEMAS, conform

FOLDER = example_folder("atkins2016")
TABLES = build()


@pytest.mark.parametrize("name", INPUT_TABLES)
def test_committed_table_is_what_the_script_places(name: str) -> None:
    committed = pl.read_csv(FOLDER / f"{name}.csv", schema_overrides=SCHEMAS[name])
    assert committed.columns == TABLES[name].columns
    assert committed.equals(TABLES[name], null_equal=True)


@pytest.mark.parametrize("name", INPUT_TABLES)
def test_columns_are_those_of_the_vocabulary(name: str) -> None:
    table = TABLES[name]
    assert conform(table, SCHEMAS[name]).select(table.columns).schema == table.schema
    assert not any(column.endswith("_day") for column in table.columns)


def test_written_files_have_the_committed_bytes(tmp_path) -> None:
    write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.csv" for name in INPUT_TABLES)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (FOLDER / path.name).read_bytes()


def test_study_says_that_it_is_reconstructed() -> None:
    about = tomllib.loads((FOLDER / "study.toml").read_text(encoding="utf-8"))
    assert about["study_id"] == "atkins2016"
    assert about["data_kind"] == "reconstructed"


def test_unknown_example_names_the_known_ones() -> None:
    assert list_examples() == ["atkins2016"]
    with pytest.raises(RequestError, match="Did you mean 'atkins2016'"):
        example_folder("atkins2106")
