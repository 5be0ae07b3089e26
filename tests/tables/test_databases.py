"""DuckDB and PostgreSQL as sources: our names, or a mapping; addresses never stand in a message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from tests.postgres_server import NO_POSTGRES, has_postgres, postgres_server

from ahsct import check, load_example, read_study, write_study
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


def test_no_message_holds_the_address(server: str) -> None:
    wrong = server.replace("s3cret", "other-pass")
    for address in (wrong, server.replace("/postgres", "/nowhere"), "postgresql://u:hidden@127.0.0.1:1/x"):
        with pytest.raises(AhsctError) as caught:
            read_study(address)
        text = str(caught.value)
        assert caught.value.__cause__ is None
        assert not any(secret in text for secret in ("s3cret", "other-pass", "hidden", "127.0.0.1", "tester"))
