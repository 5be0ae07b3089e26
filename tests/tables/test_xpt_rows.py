"""SAS transport files that lost rows, and such that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from ahsct.errors import SourceError
from ahsct.tables.source_files import read_source_files
from ahsct.tables.xpt_rows import cut_short

# one row is 1 + 149 + 8 bytes: of the cuts at whole records none falls between two rows but the first
FRAME = pl.DataFrame({"USUBJID": list("abc"), "TXT": ["x" * 149, "y", "z"], "AVAL": [1.0, 2.0, 3.0]})


def written(path: Path, version: int, frame: pl.DataFrame = FRAME, **options: object) -> bytes:
    pyreadstat.write_xport(frame, str(path), table_name="DM", file_format_version=version, **options)
    return path.read_bytes()


def first_row(data: bytes) -> int:
    return data.find(b"HEADER RECORD*******OBS") + 80


@pytest.mark.parametrize("version", [5, 8])
def test_every_cut_at_a_whole_record_is_seen(version: int, tmp_path: Path) -> None:
    data = written(tmp_path / "dm.xpt", version)
    assert cut_short(tmp_path / "dm.xpt") is None
    start = first_row(data)
    # 474 bytes of rows are padded to 480; cuts leave 80, 160, 240, 320 or 400 bytes
    assert len(data) - start == 480
    for kept in range(80, 480, 80):
        (tmp_path / "dm.xpt").write_bytes(data[: start + kept])
        with pytest.raises(SourceError, match=r"is cut short: it (ends inside row|announces 3 rows)"):
            read_source_files(tmp_path / "dm.xpt")


def test_a_cut_between_rows_is_seen_where_the_file_says_how_many_there_are(tmp_path: Path) -> None:
    frame = pl.DataFrame({"USUBJID": list("abcdef"), "TXT": ["x" * 72] * 6})  # rows of 73 bytes, padded
    frame = frame.with_columns(pl.lit("1234567").alias("LONG"))  # 80 bytes: each record is a row
    for version, said in ((8, "announces 6 rows and holds 4"), (5, None)):
        data = written(tmp_path / "dm.xpt", version, frame)
        (tmp_path / "dm.xpt").write_bytes(data[:-160])
        assert (cut_short(tmp_path / "dm.xpt") or "None").endswith(str(said))


@pytest.mark.parametrize("version", [5, 8])
def test_whole_files_pass(version: int, tmp_path: Path) -> None:
    long = {"column_labels": ["a label of more than forty letters, " * 2] * 3} if version == 8 else {}
    for rows in (0, 1, 3):
        written(tmp_path / "dm.xpt", version, FRAME[:rows], **long)
        assert cut_short(tmp_path / "dm.xpt") is None
    narrow = pl.DataFrame({"A": ["x"] * 7, "B": ["y"] * 7})  # two bytes a row: the padding could be rows
    written(tmp_path / "dm.xpt", version, narrow)
    assert cut_short(tmp_path / "dm.xpt") is None
    wide = pl.DataFrame({f"C{i}": [float(i)] for i in range(300)})
    written(tmp_path / "dm.xpt", version, wide)
    assert cut_short(tmp_path / "dm.xpt") is None
    written(tmp_path / "dm.xpt", version)
    (tmp_path / "dm.xpt").write_bytes((tmp_path / "dm.xpt").read_bytes()[:800])
    assert cut_short(tmp_path / "dm.xpt") == "it ends before its first row"


@pytest.mark.parametrize(
    ("byte", "text", "said"),
    [
        (b"\xe9", "Orléans", "decoded from Windows-1252 (not UTF-8)"),
        (b"\x80", "Orl€ans", "decoded from Windows-1252 (not UTF-8)"),
        (b"\x81", "Orl\x81ans", "decoded from Latin-1 (not UTF-8)"),
    ],
)
def test_the_encoding_is_named(byte: bytes, text: str, said: str, tmp_path: Path) -> None:
    data = written(tmp_path / "dm.xpt", 5, pl.DataFrame({"USUBJID": ["a"], "SITEID": ["Orl~ans"]}))
    (tmp_path / "dm.xpt").write_bytes(data.replace(b"Orl~ans", b"Orl" + byte + b"ans"))
    found = read_source_files(tmp_path / "dm.xpt")
    assert found.tables["DM"]["SITEID"].to_list() == [text]
    assert found.notes == [("dm.xpt", said)]
