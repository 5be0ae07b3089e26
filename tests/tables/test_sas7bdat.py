"""SAS data files that R's haven wrote (tests/reference/sas7bdat.R): the same study as in CSV and XPT, and the format's traps."""

from __future__ import annotations

import gzip
import math
from datetime import date
from pathlib import Path

import polars as pl
import pyreadstat
import pytest

from ahsct import check, derive_outcomes, load_definition, read_study
from ahsct.errors import SourceError
from ahsct.tables.sdtm_export import sdtm_shape
from ahsct.tables.source_files import SourceTables, read_source_files

HERE = Path(__file__).parent
ODD = ("odd", "empty")


def unpacked(folder: Path, *names: str) -> Path:
    """Write the packed files that were asked for (the study's domains where none was) as .sas7bdat."""
    folder.mkdir(exist_ok=True)
    for packed in sorted((HERE / "sas7bdat").glob("*.gz")):
        name = packed.name.partition(".")[0]
        if name in names or not (names or name in ODD):
            (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return folder


@pytest.fixture
def odd(tmp_path: Path) -> SourceTables:
    return read_source_files(unpacked(tmp_path / "odd", *ODD))


def test_a_study_gives_the_same_outcomes_from_sas_data_files_csv_and_transport_files(tmp_path: Path) -> None:
    written = check(read_study(HERE / "three"))
    domains = sdtm_shape(written)
    about = 'study_id = "three"\ndata_kind = "simulated"\n'
    places = {"sas7bdat": unpacked(tmp_path / "sas7bdat")}
    for kind in ("csv", "xpt"):
        places[kind] = tmp_path / kind
        places[kind].mkdir()
        for name, frame in domains.items():
            path = places[kind] / f"{name.lower()}.{kind}"
            if kind == "csv":
                frame.write_csv(path)
            else:
                pyreadstat.write_xport(frame, str(path), table_name=name, file_format_version=5)
    definition = load_definition("atkins2016")
    wanted = derive_outcomes(written, definition)
    read = {}
    for kind, place in places.items():
        (place / "study.toml").write_text(about, encoding="utf-8")
        read[kind] = check(read_study(place, kind="sdtm"))
        outcomes = derive_outcomes(read[kind], definition)
        assert outcomes.time_to_event.equals(wanted.time_to_event), kind
        assert outcomes.flow.equals(wanted.flow), kind
    for name, frame in read["sas7bdat"].tables.items():
        # what our writer added to the domains since the files were made is not in them
        assert read["xpt"].tables[name].select(frame.columns).equals(frame), name


def test_missing_codes_dates_zeros_blanks_and_letters(odd: SourceTables) -> None:
    frame = odd.tables["odd"]
    assert frame["USUBJID"].to_list() == ["Zoë", "Åsa", "日本", None]
    assert frame["AVAL"].to_list() == [None, None, None, 2.5]
    assert frame.schema["AVAL"] == pl.Float64
    assert odd.notes == [("odd.sas7bdat", "AVAL: missing codes of SAS, taken as missing (.A 1, .Z 1)")]
    zeros = frame["ZERO"].to_list()
    assert zeros == [0.0, -0.1, 0.0, None]
    assert math.copysign(1, zeros[0]) == 1
    assert frame["ADT"].to_list() == [date(1960, 1, 1), date(1959, 12, 31), date(2024, 2, 29), None]
    assert frame["NOTE"].to_list() == ["x" * 300, 'a,b;"c"', None, None]


def test_labels_stand_in_the_file(tmp_path: Path) -> None:
    place = unpacked(tmp_path / "odd", "odd") / "odd.sas7bdat"
    _, meta = pyreadstat.read_sas7bdat(str(place), output_format="polars")
    assert meta.column_names_to_labels["AVAL"] == "Valeur d'analyse à jour"
    assert meta.column_names_to_labels["ADT"] == "Analysis Date"


def test_no_rows(odd: SourceTables) -> None:
    assert odd.tables["empty"].shape == (0, 5)


def test_a_study_without_rows_in_one_domain(tmp_path: Path) -> None:
    place = unpacked(tmp_path / "study")
    (place / "ce.sas7bdat").write_bytes((unpacked(tmp_path / "odd", "empty") / "empty.sas7bdat").read_bytes())
    study = check(read_study(place, kind="sdtm"))
    assert not study.has("relapses")


@pytest.mark.parametrize("kept", [0, 31, 40, 288, 4096, 8192, 12_288, 16_383])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    place = unpacked(tmp_path / "odd", "odd") / "odd.sas7bdat"
    data = place.read_bytes()
    assert len(data) == 16_384
    place.write_bytes(data[:kept])
    said = "is no SAS data file" if kept < 32 else "cannot be read as SAS"
    with pytest.raises(SourceError, match=rf"odd\.sas7bdat {said}"):
        read_source_files(place)


def test_wrong_first_bytes_are_refused(tmp_path: Path) -> None:
    place = unpacked(tmp_path / "odd", "odd") / "odd.sas7bdat"
    data = bytearray(place.read_bytes())
    data[20] ^= 1
    place.write_bytes(bytes(data))
    with pytest.raises(SourceError, match="is no SAS data file"):
        read_source_files(place)


def test_transport_files_of_unnamed_data_sets_bear_their_files_names(tmp_path: Path) -> None:
    frame = pl.DataFrame({"USUBJID": ["1"]})
    for name in ("dm", "qs"):
        pyreadstat.write_xport(frame, str(tmp_path / f"{name}.xpt"), file_format_version=5)
    assert list(read_source_files(tmp_path).tables) == ["dm", "qs"]


def test_a_transport_file_of_two_data_sets_is_refused(tmp_path: Path) -> None:
    for name in ("dm", "qs"):
        pyreadstat.write_xport(
            pl.DataFrame({"USUBJID": ["1"]}), str(tmp_path / f"{name}.xpt"), table_name=name, file_format_version=5
        )  # fmt: skip
    first, second = ((tmp_path / f"{name}.xpt").read_bytes() for name in ("dm", "qs"))
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "both.xpt").write_bytes(
        first + second[second.index(b"HEADER RECORD*******MEMBER") :]
    )
    with pytest.raises(SourceError, match=r"both\.xpt holds 2 data sets"):
        read_source_files(tmp_path / "both")
