"""DuckDB and PostgreSQL as sources: our names, or a mapping; addresses never stand in a message."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from tests.postgres_server import NO_POSTGRES, has_postgres, postgres_server

from ahsct import check, find_problems, load_example, read_study, write_study
from ahsct.errors import AhsctError, SourceError

MAPPING: dict[str, Any] = {
    "schema": 1, "id": "clinic", "title": "clinic", "seen": "source",
    "tables": [
        {"table": "patients", "source": "Persons", "columns": {"patient_id": "CAST(no AS VARCHAR)"}},
        {"table": "visits", "source": "scores", "columns": {"patient_id": "CAST(no AS VARCHAR)", "visit_date": "day", "edss": "value"}},
    ],
}  # fmt: skip


def test_duckdb_through_a_mapping(tmp_path: Path) -> None:
    file = tmp_path / "clinic.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE persons AS SELECT 7 AS no")
        connection.execute("CREATE VIEW scores AS SELECT 7 AS no, DATE '2020-02-03' AS day, 2.5 AS value")
    study = read_study(f"duckdb:{file}", mapping=MAPPING)
    assert study.study_id == "clinic"
    assert [str(v) for v in study.table("visits", ["patient_id", "visit_date", "edss"]).row(0)] == [
        "7",
        "2020-02-03",
        "2.5",
    ]
    with pytest.raises(SourceError, match="holds none of the tables that are wanted"):
        read_study(
            f"duckdb:{file}", mapping=MAPPING | {"tables": [MAPPING["tables"][0] | {"source": "others"}]}
        )
    with pytest.raises(SourceError, match="There is no file"):
        read_study("duckdb:nowhere.duckdb", mapping=MAPPING)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_duckdb_times_with_a_zone_are_the_same_on_every_machine(
    zone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    file = tmp_path / "clinic.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE patients AS SELECT 'a' AS patient_id, DATE 'infinity' AS birth_date")
        connection.execute(
            "CREATE TABLE visits AS SELECT 'a' AS patient_id, TIMESTAMPTZ '2010-03-01 00:30+02' AS visit_date"
        )
    wrong = find_problems(read_study(file)).filter(pl.col("row").is_not_null())
    assert wrong.filter(pl.col("column") == "visit_date")["value"].to_list() == ["2010-02-28 22:30:00+00"]
    # the largest date of Python stands for infinity; it is none
    assert "9999-12-31" in wrong.filter(pl.col("column") == "birth_date")["value"].to_list()
    monkeypatch.undo()
    time.tzset()


def test_duckdb_with_our_names(tmp_path: Path) -> None:
    study = check(load_example("atkins2016"))
    write_study(study, tmp_path / "s.duckdb", file_format="duckdb")
    back = read_study(f"duckdb:{tmp_path / 's.duckdb'}")
    assert back.tables["visits"].equals(study.tables["visits"])


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not has_postgres():
        pytest.skip(NO_POSTGRES)
    with postgres_server() as address:
        yield address


def _fill(address: str, statements: list[str], frames: dict[str, pl.DataFrame] | None = None) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(address) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        for name, frame in (frames or {}).items():
            cursor.adbc_ingest(name, frame.to_arrow(), mode="replace")
        connection.commit()


def test_postgres_with_our_names_gives_the_same_tables(server: str) -> None:
    study = check(load_example("atkins2016"))
    _fill(server, [], {name: frame.drop("row") for name, frame in study.tables.items()})
    back = read_study(server)
    for name, frame in study.tables.items():
        keys = [column for column in frame.columns if column != "row"]
        assert back.tables[name].select(keys).sort(keys).equals(frame.select(keys).sort(keys)), name


def test_postgres_through_a_mapping_with_views_and_odd_types(server: str) -> None:
    _fill(
        server,
        [
            'DROP TABLE IF EXISTS "Persons" CASCADE',
            'CREATE TABLE "Persons" (no integer, birth timestamp)',
            "INSERT INTO \"Persons\" VALUES (7, '1980-01-02 10:00')",
            "CREATE OR REPLACE VIEW scores AS SELECT 7 AS no, DATE '2020-02-03' AS day, 2.5::numeric(4,1) AS value",
        ],
    )
    study = read_study(server, mapping=MAPPING)
    assert [str(v) for v in study.table("visits", ["patient_id", "visit_date", "edss"]).row(0)] == [
        "7",
        "2020-02-03",
        "2.5",
    ]
    assert study.study_id == "postgresql"


def test_postgres_dates_that_no_calendar_has_are_named(server: str) -> None:
    _fill(
        server,
        [
            "DROP SCHEMA IF EXISTS odd CASCADE",
            "CREATE SCHEMA odd",
            "CREATE TABLE odd.patients (patient_id text, birth_date date)",
            "INSERT INTO odd.patients VALUES ('a', '1980-01-02'), ('b', 'infinity'), ('c', '0044-03-15 BC')",
            "CREATE TABLE odd.visits (patient_id text, visit_date timestamp, edss real)",
            "INSERT INTO odd.visits VALUES ('a', '-infinity', 2), ('a', '2010-02-03', 2.5)",
        ],
    )
    study = read_study(server + "?options=-c%20search_path%3Dodd")
    wrong = find_problems(study).filter(pl.col("rule") == "wrong_type")
    assert wrong.select("column", "row", "value").rows() == [
        ("birth_date", 2, "infinity"),
        ("birth_date", 3, "0044-03-15 BC"),
        ("visit_date", 1, "-infinity"),
    ]
    assert study.table("patients")["birth_date"].cast(pl.String).to_list() == ["1980-01-02", None, None]
    assert study.table("visits")["visit_date"].cast(pl.String).to_list() == [None, "2010-02-03"]


def test_postgres_times_with_a_zone_say_which_days_they_became(server: str) -> None:
    _fill(
        server,
        [
            "DROP SCHEMA IF EXISTS zoned CASCADE",
            "CREATE SCHEMA zoned",
            "CREATE TABLE zoned.patients AS SELECT 'a' AS patient_id",
            "CREATE TABLE zoned.visits AS SELECT 'a' AS patient_id, timestamptz '2010-03-01 00:30+02' AS visit_date, 2.5::real AS edss",
        ],
    )
    for zone, day in (("UTC", "2010-02-28"), ("Europe/Helsinki", "2010-03-01")):
        study = read_study(server + f"?options=-c%20search_path%3Dzoned%20-c%20timezone%3D{zone}")
        assert study.table("visits")["visit_date"].cast(pl.String).to_list() == [day]
        assert f"(visit_date) are given as days of the zone {zone}; for another" in " ".join(
            study.problems["message"]
        )


def test_postgres_reads_materialised_views_the_first_of_the_path_and_says_what_it_leaves(server: str) -> None:
    _fill(
        server,
        [
            "DROP SCHEMA IF EXISTS zz_first CASCADE",
            "DROP SCHEMA IF EXISTS aa_second CASCADE",
            "CREATE SCHEMA zz_first",
            "CREATE SCHEMA aa_second",
            "CREATE MATERIALIZED VIEW zz_first.patients AS SELECT 'first' AS patient_id",
            "CREATE TABLE aa_second.patients AS SELECT 'second' AS patient_id",
            "CREATE MATERIALIZED VIEW zz_first.visits AS SELECT 'first' AS patient_id, date '2010-01-01' AS visit_date, 2 AS edss",
            "CREATE TABLE zz_first.billing AS SELECT generate_series(1, 7) AS n",
            "CREATE VIEW zz_first.today AS SELECT 1 AS n",
        ],
    )
    study = read_study(server + "?options=-c%20search_path%3Dzz_first,aa_second")
    assert study.table("patients")["patient_id"].to_list() == ["first"]
    assert study.table("visits")["edss"].to_list() == [2.0]
    left = study.problems.filter(pl.col("rule") == "table_not_read")["message"].to_list()
    assert left == ["billing: table not read, 7 rows.", "today: table not read, rows not counted."]


def test_duckdb_says_which_tables_a_mapping_leaves(tmp_path: Path) -> None:
    file = tmp_path / "clinic.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("CREATE TABLE persons AS SELECT 7 AS no")
        connection.execute("CREATE TABLE visits AS SELECT unnest([1, 2, 3]) AS n")
        connection.execute("CREATE VIEW today AS SELECT 1 AS n")
    study = read_study(f"duckdb:{file}", mapping=MAPPING)
    left = study.problems.filter(pl.col("rule") == "table_not_read")["message"].to_list()
    assert left == ["today: table not read, rows not counted.", "visits: table not read, 3 rows."]


def test_no_message_holds_the_address(server: str) -> None:
    wrong = server.replace("s3cret", "other-pass")
    for address in (wrong, server.replace("/postgres", "/nowhere"), "postgresql://u:hidden@127.0.0.1:1/x"):
        with pytest.raises(AhsctError) as caught:
            read_study(address)
        text = str(caught.value)
        assert caught.value.__cause__ is None
        assert not any(secret in text for secret in ("s3cret", "other-pass", "hidden", "127.0.0.1", "tester"))
