"""Files that lie, are cut short, are too large, or hold what a spreadsheet would run: a clear error, nothing written."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import polars as pl
import pyreadstat
import pytest
from tests.workbook import workbook
from typer.testing import CliRunner

from ahsct import find_problems, load_example, read_study
from ahsct.cli.main import app
from ahsct.errors import AhsctError, SourceError
from ahsct.tables.source_files import read_source_files
from ahsct.tables.spreadsheet import spreadsheet_csv


def transport(path: Path, rows: int = 3) -> bytes:
    frame = pl.DataFrame({"USUBJID": [str(i) for i in range(rows)], "AVAL": [float(i) for i in range(rows)]})
    pyreadstat.write_xport(frame, str(path), table_name="DM", file_format_version=5)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("dm.xpt", lambda data: data[:805], "cut short"),
        ("dm.xpt", lambda data: data[:800], "ends before its first row"),
        ("dm.xpt", lambda data: b"PK\x03\x04" + data[4:], "no SAS transport file"),
        ("dm.xpt", lambda data: b"", "no SAS transport file"),
        ("dm.sas7bdat", lambda data: data, "no SAS data file"),
        ("dm.parquet", lambda data: data, "cannot be read as Parquet"),
        ("dm.xlsx", lambda data: data, "no .xlsx file"),
        ("dm.json", lambda data: data, "no valid JSON|not UTF-8"),
        ("dm.csv", lambda data: data, "zero bytes"),
    ],
)
def test_a_file_that_is_not_what_its_ending_says(tmp_path: Path, name: str, spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    data = transport(tmp_path / "good.xpt")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(spoil(data))
    with pytest.raises(SourceError, match=said):
        read_source_files(tmp_path / "in")


def test_a_device_is_no_source() -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        read_source_files(Path("/dev/null"))


def test_a_zip_file_that_is_no_workbook(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as packed:
        packed.writestr("word/document.xml", b"x")
    with pytest.raises(SourceError, match=r"zip file but no \.xlsx"):
        read_source_files(tmp_path / "other.xlsx")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a,b\n1\n", "differ in their number of cells"),
        (b"a,b\n1,2,3\n", "differ in their number of cells|number of cells"),
        (b'a,b\n"1,2\n', "quote is not closed|number of cells"),
        (b"a;a\n1;2\n", "2 columns named 'a'"),
        ((",".join(f"c{i}" for i in range(10_000)) + "\n").encode(), "10,000 columns"),
        (b"", "is empty"),
        (b'a;b\n"' + b"x" * 300_000 + b'";1\n', "a cell of more than 131,072 letters"),
    ],
)
def test_spoilt_spreadsheets(data: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        spreadsheet_csv("x.csv", data)


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (
            b"\xef\xbb\xbfid;edss;day\r\n1;3,5;31.12.2010\r\n2;4;01.02.2011\r\n",
            [("1", "3.5", "2010-12-31"), ("2", "4", "2011-02-01")],
        ),
        ("id\tname\n1\tOrléans\n".encode("cp1252"), [("1", "Orléans")]),
        ("id;name\n1;Zoë\n".encode("utf-16"), [("1", "Zoë")]),
        (b'sep=;\nid;t\n1;"a;b"\n', [("1", "a;b")]),
        (b'id,edss\n1,"3,5"\n', [("1", "3,5")]),  # where commas separate, a decimal comma is not guessed
        (b"id,d\n1,12/31/2010\n2,01/02/2011\n", [("1", "2010-12-31"), ("2", "2011-01-02")]),
    ],
)
def test_dialects_by_hand(data: bytes, rows: list[tuple[str, ...]]) -> None:
    frame, _ = spreadsheet_csv("x.csv", data)
    assert frame.rows() == rows


def test_excel_sheets_are_tables(tmp_path: Path) -> None:
    workbook(
        tmp_path / "clinic.xlsx",
        {
            "patients": [["patient_id"], ["1"]],
            "visits": [["patient_id", "visit_day", "edss"], ["1", 0, 3.5], ["1", 90, 4]],
        },
    )
    study = read_study(tmp_path / "clinic.xlsx", kind="spreadsheet")
    assert study.table("visits", ["patient_id", "visit_day", "edss"]).rows() == [
        ("1", 0, 3.5),
        ("1", 90, 4.0),
    ]


def clinic(folder: Path) -> Path:
    folder.mkdir()
    (folder / "patients.csv").write_text("patient_id;arm\n=1+1;@SUM(A1)\n", encoding="utf-8")
    (folder / "visits.csv").write_text(
        "patient_id;visit_day;edss\n=1+1;0;3,5\n=1+1;90;drei\n", encoding="utf-8"
    )
    return folder


def test_convert_keeps_what_it_cannot_read_and_never_overwrites(tmp_path: Path) -> None:
    source, out = clinic(tmp_path / "clinic"), tmp_path / "study"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    run = CliRunner().invoke
    done = run(
        app,
        [
            "convert",
            str(source),
            "--as",
            "spreadsheet",
            "--out",
            str(out),
            "--log",
            str(tmp_path / "log.csv"),
        ],
    )
    assert done.exit_code == 0, done.output
    assert "the check finds 1 error," in done.output
    assert "drei" in (out / "visits.csv").read_text(encoding="utf-8")  # kept, for the check to name
    # a log opened in a spreadsheet runs nothing
    assert not any(
        cell.startswith(("=", "@")) for cell in (tmp_path / "log.csv").read_text(encoding="utf-8").split(",")
    )
    (out / "mine.txt").write_text("keep me", encoding="utf-8")
    (out / ".ahsct").unlink(missing_ok=True)
    for options in (["--out", str(out)], []):
        again = run(app, ["convert", str(source), "--as", "spreadsheet", *options])
        assert again.exit_code == 1
    assert (out / "mine.txt").exists()
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"clinic", "study", "log.csv"}


def test_check_reads_other_sources(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(clinic(tmp_path / "clinic")), "--as", "spreadsheet"])
    assert done.exit_code == 1
    assert "wrong_type: 1 in visits.edss" in done.output
    assert "=1+1" not in done.output  # row numbers, never patients


def test_names_inside_a_file_choose_no_path(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.json").write_text(
        '{"datasetJSONVersion": "1.1.0", "itemGroupOID": "a", "records": 0, "name": "../../evil", "label": "x", "columns": [], "rows": []}',
        encoding="utf-8",
    )
    with pytest.raises(AhsctError):
        read_study(tmp_path / "in", kind="spreadsheet")
    assert {path.name for path in tmp_path.iterdir()} == {"in"}


@pytest.mark.parametrize(
    "address",
    ["mysql://ann:hunter2@host/db", "POSTGRESQL+psycopg://ann:hunter2@host/db", "https://ann:hunter2@host/x"],
)
def test_addresses_of_other_kinds_are_refused_without_being_repeated(address: str) -> None:
    for arguments in (
        ["check", address],
        ["convert", address, "--as", "sdtm", "--out", "x"],
        ["eligibility", address],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code != 0
        assert "hunter2" not in done.output + str(done.exception)


def test_no_message_of_a_spoilt_table_quotes_a_patient(tmp_path: Path) -> None:
    (tmp_path / "exam.csv").write_bytes(b"patient_id,edss\nSMITH-1966,1\nJONES-1970,2,3,4\n")
    (tmp_path / "facts.csv").write_bytes(b"patient_id,edss\nSMITH-1966,JONES-1970\n")
    for arguments in (
        ["edss", "score", str(tmp_path / "exam.csv"), "--ambulation-coding", "0-16"],
        [
            "eligibility",
            str(Path(load_example.__code__.co_filename).parent / "atkins2016"),
            "--facts",
            str(tmp_path / "facts.csv"),
        ],
    ):
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code != 0
        assert "SMITH" not in done.output + str(done.exception)
        assert "JONES" not in done.output + str(done.exception)


def test_a_view_that_cannot_convert_does_not_quote_the_value(tmp_path: Path) -> None:
    import duckdb

    connection = duckdb.connect(str(tmp_path / "s.duckdb"))
    connection.execute("CREATE TABLE t AS SELECT 'SMITH-1966' AS id")
    connection.execute("CREATE VIEW patients AS SELECT CAST(id AS INTEGER) AS patient_id FROM t")
    connection.close()
    with pytest.raises(SourceError) as raised:
        read_study(tmp_path / "s.duckdb")
    assert "ConversionException" in str(raised.value)
    assert "SMITH" not in str(raised.value)


def test_convert_into_duckdb_and_a_log_that_is_there_stops_it_first(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    pl.DataFrame({"USUBJID": ["1"], "SEX": ["F"], "SITEID": ["=1+1"]}).write_csv(source / "dm.csv")
    (tmp_path / "log.csv").write_text("mine\n", encoding="utf-8")
    common = ["convert", str(source), "--as", "sdtm", "--log", str(tmp_path / "log.csv")]
    done = CliRunner().invoke(app, [*common, "--out", str(tmp_path / "study")])
    assert done.exit_code != 0
    assert not (tmp_path / "study").exists()
    assert (tmp_path / "log.csv").read_text(encoding="utf-8") == "mine\n"
    done = CliRunner().invoke(
        app, [*common, "--out", str(tmp_path / "study.duckdb"), "--format", "duckdb", "--force"]
    )
    assert done.exit_code == 0, done.output
    assert read_study(tmp_path / "study.duckdb").table("patients", ["sex"])["sex"].to_list() == ["F"]
    done = CliRunner().invoke(app, ["convert", str(source), "--as", "sdtm", "--out", str(tmp_path / "study")])
    assert "1 texts begin like a formula" in done.output


def test_dates_that_cannot_be_told_apart_stay_and_are_refused_where_they_are_dates(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "patients.csv").write_text("patient_id;site\n1;01/02/2003\n", encoding="utf-8")
    (source / "visits.csv").write_text(
        "patient_id;visit_date;edss\n1;01.02.2010;3,5\n1;03.04.2010;4\n", encoding="utf-8"
    )
    study = read_study(source, kind="spreadsheet")
    wrong = find_problems(study).filter(pl.col("severity") == "error")
    assert wrong.filter(pl.col("rule") == "wrong_type").select("column", "value").rows() == [
        ("visit_date", "01.02.2010"),
        ("visit_date", "03.04.2010"),
    ]
    assert "visits.csv: `visit_date`: dates that cannot be told apart" in " ".join(study.problems["message"])
    # a note that looks like a date is no reason to refuse a table
    assert study.table("patients", ["site"])["site"].to_list() == ["01/02/2003"]
    mapping = {
        "schema": 1, "id": "m", "title": "m", "seen": "source",
        "tables": [
            {"table": "patients", "source": "patients", "columns": {"patient_id": "patient_id"}},
            {"table": "visits", "source": "visits", "columns": {
                "patient_id": "patient_id", "edss": "edss", "visit_date": {"value": "visit_date", "date": "%d.%m.%Y"}}},
        ],
    }  # fmt: skip
    dates = read_study(source, mapping=mapping).table("visits", ["visit_date"])["visit_date"]
    assert dates.cast(pl.String).to_list() == ["2010-02-01", "2010-04-03"]
    # some with the day first, others with the month: one format reads only the ones it fits
    (source / "visits.csv").write_text(
        "patient_id;visit_date\n1;13.02.2010\n1;02.13.2010\n", encoding="utf-8"
    )
    mixed = read_study(source, mapping=mapping | {"tables": [mapping["tables"][0], {
        "table": "visits", "source": "visits", "columns": {
            "patient_id": "patient_id", "visit_date": {"value": "visit_date", "date": "%d.%m.%Y"}}}]})  # fmt: skip
    assert find_problems(mixed).filter(pl.col("column") == "visit_date")["value"].to_list() == ["02.13.2010"]


def test_a_list_of_numbers_is_no_decimal_number(tmp_path: Path) -> None:
    frame, done = spreadsheet_csv("x.csv", b"patient_id;fs_affected;edss\n1,5;1,3;3,5\n2,5;2,4;4,0\n")
    assert frame.rows() == [("1,5", "1,3", "3.5"), ("2,5", "2,4", "4.0")]
    assert done == ["separated by semicolons", "`edss`: decimal commas"]


@pytest.mark.parametrize(
    "address",
    [
        "host=db.clinic password=hunter2 dbname=ms",
        "postgresql:ann:hunter2@host/db",
        "jdbc:postgresql://host/db?password=hunter2",
        "md:ms?motherduck_token=hunter2",
        "duckdb:md:ms?motherduck_token=hunter2",
        "duckdb:postgresql:ann:hunter2@host",
        "ann:hunter2@host/db",
        "//ann:hunter2@host/db",
        "Server=host;Uid=ann;Pwd=hunter2;",
    ],
)
@pytest.mark.parametrize("command", ["check", "analyse", "eligibility", "course", "convert", "multiverse"])
def test_addresses_in_other_forms_are_refused_without_being_repeated(command: str, address: str) -> None:
    more = {"convert": ["--as", "sdtm", "--out", "x"], "multiverse": ["--out", "x"], "course": ["1"]}
    done = CliRunner().invoke(app, [command, address, *more.get(command, [])])
    assert done.exit_code != 0
    said = done.output + str(done.exception)
    assert "hunter2" not in said
    assert "looks like the address of a database" in said or command == "course"


def test_a_folder_whose_name_looks_like_an_address_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "user=ann@host"
    folder.mkdir()
    (folder / "patients.csv").write_text("patient_id\n1\n", encoding="utf-8")
    assert read_study(folder).table("patients").height == 1


def test_no_message_quotes_an_identifier_in_a_wrong_place(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "open.csv").write_bytes(b'patient_id,sex\n"SMITH JOHN,F')
    (tmp_path / "in2").mkdir()
    (tmp_path / "in2" / "patients.csv").write_bytes(b"SMITH JOHN;1966-05-04\n")
    registry = tmp_path / "registry"
    registry.mkdir()
    (registry / "patients.csv").write_bytes(b"patient_id,sex\n1,SMITH JOHN\n2,X\n")
    (registry / "visits.csv").write_bytes(b"patient_id,visit_date,edss\nSMITH JOHN,2010-01-01,3\n12,SMITH JOHN,11\n")  # fmt: skip
    for arguments in (
        ["check", str(tmp_path / "in"), "--as", "sdtm"],
        ["check", str(tmp_path / "in2")],
        ["check", str(registry), "--as", "registry"],
        ["check", str(registry)],
        ["analyse", str(registry)],
        ["convert", str(registry), "--as", "registry", "--out", str(tmp_path / "out"), "--log", str(tmp_path / "log.csv")],
    ):  # fmt: skip
        done = CliRunner().invoke(app, arguments)
        said = done.output + str(done.exception)
        assert "SMITH" not in said, arguments
    assert "code not in the list, kept, 1 times ((an identifier))" in said
    assert "code not in the list, kept, 1 times (X)" in said  # other values are shown, to be put right
    with pytest.raises(SourceError, match="look for a quote that is not closed") as raised:
        read_study(tmp_path / "in", kind="sdtm")
    assert raised.value.__cause__ is None


def test_convert_never_replaces_its_source_nor_what_was_changed_by_hand(tmp_path: Path) -> None:
    source, out = clinic(tmp_path / "clinic"), tmp_path / "study"
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    run = CliRunner().invoke
    common = ["convert", str(source), "--as", "spreadsheet", "--out"]
    for place in (source, source / "made", tmp_path):
        done = run(app, [*common, str(place), "--force"])
        assert done.exit_code == 1
        assert "the source" in str(done.exception)
    assert run(app, [*common, str(out)]).exit_code == 0
    done = run(app, [*common, str(out)])  # not even one that nobody changed
    assert done.exit_code == 1
    assert "exists. Name another folder, or give --force" in str(done.exception)
    (out / "visits.csv").write_text("corrected by hand", encoding="utf-8")
    done = run(app, [*common, str(out)])
    assert done.exit_code == 1
    assert (out / "visits.csv").read_text(encoding="utf-8") == "corrected by hand"
    assert run(app, [*common, str(out), "--force"]).exit_code == 0
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before


def test_a_report_never_replaces_the_study(tmp_path: Path, three: Path) -> None:
    before = {path.name: path.read_bytes() for path in three.iterdir()}
    for command in (["analyse"], ["multiverse"], ["eligibility"]):
        for place in (three, tmp_path):
            done = CliRunner().invoke(app, [*command, str(three), "--out", str(place), "--force"])
            assert done.exit_code == 1
            assert "is never replaced" in str(done.exception), command
    assert {path.name: path.read_bytes() for path in three.iterdir()} == before


_LIMITED = """
import resource, sys
from ahsct.cli.main import main
sys.argv = ["ahsct", *sys.argv[1:]]
import polars, duckdb, typer
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
main()
"""


@pytest.mark.parametrize("file_format", ["csv", "parquet", "duckdb"])
def test_a_full_disk_is_told(file_format: str, tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    ids = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(3000)]
    pl.DataFrame({"patient_id": ids}).write_csv(source / "patients.csv")
    arguments = ["convert", str(source), "--as", "spreadsheet", "--out", str(tmp_path / "out"), "--format", file_format]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", _LIMITED, *arguments], capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "Make room" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def dataset(columns: list[dict[str, object]], rows: list[list[object]], **more: object) -> str:
    head = {"datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.DM", "records": len(rows), "name": "DM", "label": "x"}  # fmt: skip
    full = [{"itemOID": "IT", "label": "x", "dataType": "string"} | column for column in columns]
    return json.dumps(head | {"columns": full, "rows": rows} | more)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (dataset([{"name": ["A"]}], []), "of column 1 must be texts"),
        (dataset([{"name": "A", "dataType": ["string"]}], []), "of column 1 must be texts"),
        (dataset([{"name": "A", "label": None}], []), "of column 1 must be texts"),
        (dataset([{"name": "A"}], [], name=["DM"]), "`name` must be a text"),
        (dataset([{"name": "A", "dataType": "integer"}], [[1], [2**63]]), "more than 64 bits in row 2"),
        (dataset([{"name": "SEX"}, {"name": "sex"}], [["F", "M"]]), "'SEX' and 'sex', which differ only in case"),
    ],
)  # fmt: skip
def test_dataset_json_that_is_none(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "dm.json").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        read_study(tmp_path / "dm.json", kind="sdtm")


def test_a_line_of_ndjson_may_hold_other_line_ends(tmp_path: Path) -> None:
    head = json.loads(dataset([{"name": "USUBJID"}, {"name": "SITEID"}], [["1", "x"]]))
    rows = head.pop("rows")
    rows[0][1] = "a\u2028b\x85c"
    lines = [json.dumps(part, ensure_ascii=False) for part in (head, *rows)]
    (tmp_path / "dm.ndjson").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
    assert read_source_files(tmp_path / "dm.ndjson").tables["DM"]["SITEID"].to_list() == ["a\u2028b\x85c"]


@pytest.mark.parametrize("kind", ["sdtm", "spreadsheet", "registry"])
def test_columns_that_differ_only_in_case(kind: str, tmp_path: Path) -> None:
    for name in ("dm", "patients"):
        (tmp_path / f"{name}.csv").write_text("USUBJID,patient_id,SEX,sex\n1,1,F,M\n", encoding="utf-8")
    with pytest.raises(SourceError, match="'SEX' and 'sex', which differ only in case"):
        read_study(tmp_path, kind=kind)


@pytest.mark.parametrize("name", ["patients.csv", "patients.parquet", "dm.xpt", "dm.json", "a.xlsx"])
def test_a_pointer_in_place_of_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", encoding="utf-8")  # fmt: skip
    with pytest.raises(SourceError, match="git lfs pull"):
        read_study(tmp_path, kind="sdtm")


def test_a_name_in_a_list_of_codes_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("patient_id,sex\n1,SMITH JOHN\n2,fem\n3,Femal\n", encoding="utf-8")
    (tmp_path / "visits.csv").write_text("patient_id,visit_day,edss\n1,0,2\n", encoding="utf-8")
    said = find_problems(read_study(tmp_path)).filter(pl.col("rule") == "not_in_list")["message"].to_list()
    assert len(said) == 3
    assert not any("SMITH" in message for message in said)
    assert "a text of 10 characters" in " ".join(said)
    assert "'fem'" in " ".join(said)
