"""Excel workbooks written by hand: dates, errors, formulas, and files that would fill the memory."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from ahsct import find_problems, read_study
from ahsct.cli.main import app
from ahsct.errors import SourceError
from ahsct.tables import xlsx_file
from ahsct.tables.source_files import read_source_files

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    # style 1 is a date
    "xl/styles.xml": f'<styleSheet xmlns="{_MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills><borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
}  # fmt: skip


def book(path: Path, sheets: dict[str, list[str]]) -> Path:
    """Write a workbook; each row is the text of its cells: "A=text", "A:date=40238" or a cell's own XML."""
    listed = "".join(f'<sheet name="{name}" sheetId="{i}" r:id="s{i}"/>' for i, name in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="s{i}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    parts = _PARTS | {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships">{related}<Relationship Id="st" Type="{_OFFICE}/styles" Target="styles.xml"/></Relationships>',
    }
    for i, rows in enumerate(sheets.values(), 1):
        body = "".join(f'<row r="{r}">{_cells(r, row)}</row>' for r, row in enumerate(rows, 1))
        parts[f"xl/worksheets/sheet{i}.xml"] = (
            f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
        )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in parts.items():
            packed.writestr(name, text)
    return path


def _cells(row: int, cells: str) -> str:
    if cells.startswith("<"):
        return cells
    made = ""
    for column, cell in zip("ABCDEFGH", cells.split("|"), strict=False):
        style, _, value = cell.rpartition("!")
        if style == "date":
            made += f'<c r="{column}{row}" s="1"><v>{value}</v></c>'
        elif value.replace(".", "").isdigit():
            made += f'<c r="{column}{row}"><v>{value}</v></c>'
        elif value:
            made += f'<c r="{column}{row}" t="inlineStr"><is><t>{value}</t></is></c>'
    return made


def test_cells_with_dates_are_dates(tmp_path: Path) -> None:
    # Excel counts days from 1899-12-30: 40238 is 2010-03-01; a half is noon
    book(
        tmp_path / "clinic.xlsx",
        {
            "patients": ["patient_id|index_date|birth_date", "p1|date!40238|17.06.1975"],
            "visits": [
                "patient_id|visit_date|edss",
                "p1|date!40238|4",
                "p1|date!40329|3.5",
                "p1|date!40330.5|3",
            ],
        },
    )
    study = read_study(tmp_path / "clinic.xlsx", kind="spreadsheet")
    assert study.table("visits", ["visit_date", "visit_day"]).with_columns(
        pl.col("visit_date").cast(pl.String)
    ).rows() == [("2010-03-01", 0), ("2010-05-31", 91), (None, None)]
    wrong = find_problems(study).filter(pl.col("severity") == "error")
    # a time of day is no day: it is named, not cut off
    assert wrong.select("column", "row", "value", "rule").rows()[0] == (
        "visit_date", 3, "2010-06-01 12:00:00", "wrong_type",
    )  # fmt: skip


def test_errors_and_formulas_without_a_value_are_named_not_missing(tmp_path: Path) -> None:
    book(
        tmp_path / "clinic.xlsx",
        {
            "patients": ["patient_id|arm", "p1|HSCT"],
            "visits": [
                "patient_id|visit_day|edss|sdmt",
                "p1|0|4|50",
                '<c r="A3" t="inlineStr"><is><t>p1</t></is></c><c r="B3"><v>90</v></c><c r="C3" t="e"><v>#VALUE!</v></c><c r="D3"><f>D2*2</f><v></v></c>',
                '<c r="A4" t="inlineStr"><is><t>p1</t></is></c><c r="B4"><f>B3+90</f><v>180</v></c><c r="C4"><f>C2/2</f></c><c r="D4" t="str"><f>IF(1,"")</f><v></v></c>',
            ],
        },
    )  # fmt: skip
    study = read_study(tmp_path / "clinic.xlsx", kind="spreadsheet")
    assert study.table("visits", ["visit_day"])["visit_day"].to_list() == [0, 90, 180]
    wrong = find_problems(study).filter(pl.col("rule") == "wrong_type")
    assert wrong.select("row", "column", "value").sort("row", "column").rows() == [
        (2, "edss", "#VALUE!"),
        (2, "sdmt", "formula without a saved value"),
        (3, "edss", "formula without a saved value"),
    ]
    said = " ".join(study.problems["message"])
    assert "1 cells hold an error such as #VALUE!" in said
    assert "2 cells hold a formula without a saved value" in said


def test_a_table_that_begins_elsewhere_is_mended_in_its_place(tmp_path: Path) -> None:
    rows = ["", "", '<c r="C3" t="inlineStr"><is><t>a</t></is></c>', '<c r="C4" t="e"><v>#N/A</v></c>']
    book(tmp_path / "x.xlsx", {"s": rows})
    assert "#N/A" in read_source_files(tmp_path / "x.xlsx").tables["s"].to_series(0).to_list()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("XFD1048576", "spans 1,048,576 rows and 16,384 columns"),
        ("AZ999999", "spans 999,999 rows and 52 columns"),
        ("G9999999", "spans 9,999,999 rows and 7 columns"),
    ],
)
def test_one_cell_far_away_is_refused_before_it_fills_the_memory(
    cell: str, said: str, tmp_path: Path
) -> None:
    book(tmp_path / "far.xlsx", {"patients": ["patient_id", f'<c r="{cell}"><v>1</v></c>']})
    assert (tmp_path / "far.xlsx").stat().st_size < 3000
    with pytest.raises(SourceError, match=said):
        read_source_files(tmp_path / "far.xlsx")


@pytest.mark.parametrize("cell", ["Z2", "AB300", "B1048576"])
def test_cells_that_are_not_far_enough_to_matter(cell: str, tmp_path: Path) -> None:
    book(tmp_path / "near.xlsx", {"patients": ["patient_id", f'<c r="{cell}"><v>1</v></c>']})
    assert set(read_source_files(tmp_path / "near.xlsx").tables) == {"patients"}


def lying(path: Path, content: bytes, says: int) -> Path:
    """Write a zip file whose directory announces fewer bytes than a part unpacks to, with a sum that fits them."""
    name = b"xl/workbook.xml"
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    sums = struct.pack("<LLL", zlib.crc32(content[:says]), len(packed), says)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sums + struct.pack("<HH", len(name), 0) + name  # fmt: skip
    entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sums + struct.pack("<HHHHHLL", len(name), 0, 0, 0, 0, 0, 0) + name  # fmt: skip
    at = len(local) + len(packed)
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), at, 0)
    path.write_bytes(local + packed + entry + end)
    return path


def test_a_directory_that_announces_too_little_is_not_believed(tmp_path: Path) -> None:
    path = lying(tmp_path / "lie.xlsx", b"0" * 5_000_000, 10)
    with zipfile.ZipFile(path) as packed:
        assert packed.infolist()[0].file_size == 10
    with pytest.raises(SourceError, match="more bytes than it announces"):
        read_source_files(path)


def test_a_bomb_is_refused_by_what_it_announces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xlsx_file, "LARGEST_UNPACKED_BYTES", 1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/workbook.xml", b"0" * 5_000_000)
    assert (tmp_path / "bomb.xlsx").stat().st_size < 20_000
    with pytest.raises(SourceError, match="unpacks to 5,000,000 bytes"):
        read_source_files(tmp_path / "bomb.xlsx")


def test_a_long_text_in_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # kept once, it would be copied into 1,000 cells: 30 MB from a few kB
    cells = [f'<c r="A{r}" t="s"><v>{0 if r == 1 else 1}</v></c>' for r in range(1, 1001)]
    path = book(tmp_path / "text.xlsx", {"Notes": cells})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as packed:
        texts = f"<si><t>a</t></si><si><t>{'x' * 30_000}</t></si>"
        packed.writestr("xl/sharedStrings.xml", f'<sst xmlns="{_MAIN}">{texts}</sst>')
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(xlsx_file, "LARGEST_UNPACKED_BYTES", 40_000_000)
    assert set(read_source_files(path).tables) == {"Notes"}
    monkeypatch.setattr(xlsx_file, "LARGEST_UNPACKED_BYTES", 20_000_000)
    with pytest.raises(SourceError, match=r"texts of 29,9\d\d,\d\d\d bytes in all its cells|texts of 30,0"):
        read_source_files(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 100, "old .xls or a workbook with a password"),
        (b"PK\x03\x04 cut short", "is cut short"),
    ],
)
def test_what_is_no_workbook(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    with pytest.raises(SourceError, match=said):
        read_source_files(tmp_path / "a.xlsx")


def test_no_cell_is_cut_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = b'<row><c r="A1" t="e"><v>#REF!</v></c><x:c r="B1"><x:f>1</x:f></x:c><c><v>2</v></c></row>' * 3
    for size in (1, 7, 40, 10_000):
        parts = list(xlsx_file._cells(sheet[i : i + size] for i in range(0, len(sheet), size)))
        assert b"".join(parts) == sheet
        found = xlsx_file._looked_at("x", parts, True)
        assert (found.n_errors, found.n_formulas) == (3, 3)
        mended = b"".join(map(xlsx_file._with_texts, parts))
        assert mended.count(b't="str"') == 6
        assert b'<x:c r="B1" t="str"><x:f>1</x:f><x:v>formula without a saved value</x:v></x:c>' in mended


def test_a_sheet_that_is_no_table_of_ours_is_listed(tmp_path: Path) -> None:
    book(
        tmp_path / "c.xlsx", {"patients": ["patient_id", "p1"], "Notes": ["x", "hello", "you"], "Old": ["x"]}
    )
    left = read_study(tmp_path / "c.xlsx", kind="spreadsheet").problems["message"].to_list()
    assert left == ["Notes: table not read, 2 rows.", "Old: table not read, 0 rows."]
    done = CliRunner().invoke(app, ["check", str(tmp_path / "c.xlsx"), "--as", "spreadsheet"])
    assert all(message in done.output for message in left)
