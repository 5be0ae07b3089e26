"""SDTM: units are converted or refused, two sites of one scan stay two, visits lend their time, agents tell of contrast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Read = Callable[..., Any]
BASE: dict[str, dict[str, list[Any]]] = {
    "dm": {"USUBJID": ["1"], "SEX": ["F"], "RFSTDTC": ["2010-01-01"], "ARM": ["A"]},
    "qs": {"USUBJID": ["1"], "QSCAT": ["EDSS"], "QSTESTCD": ["EDSS0101"], "QSTEST": ["EDSS01-Expanded Disability Score"],
           "QSDTC": ["2010-01-01"], "QSSTRESN": [3.0]},
}  # fmt: skip


def nv(*rows: tuple[str, float], **more: list[Any]) -> dict[str, list[Any]]:
    n = len(rows)
    return {"USUBJID": ["1"] * n, "NVTESTCD": [test for test, _ in rows], "NVSTRESN": [value for _, value in rows], "NVDTC": ["2010-01-01"] * n} | more  # fmt: skip


def ft(test: str, values: list[float], units: list[str | None]) -> dict[str, list[Any]]:
    n = len(values)
    return {"USUBJID": ["1"] * n, "FTTEST": [test] * n, "FTCAT": ["x"] * n, "FTDTC": ["2010-01-01"] * n, "FTSTRESN": values, "FTSTRESU": units}  # fmt: skip


WALK = "T25FW1-Time to Complete 25-Foot Walk"


def test_volumes_and_times_are_converted(read_sdtm: Read) -> None:
    volumes = nv(("T2VOL", 8200.0), ("T1VOL", 1.5), ("NBV", 1500.0), ("BPF", 84.0), ("PBVC", -0.5), NVSTRESU=["mm3", "mL", "cm3", "%", "%"])  # fmt: skip
    study, said = read_sdtm(**BASE, nv=volumes, ft=ft(WALK, [0.1, 8.0], ["min", "SEC"]))
    assert study.table("mri", ["t2_volume_ml", "t1_volume_ml"]).rows() == [(8.2, 1.5)]
    volumes_read = dict(study.table("brain_volume", ["measure", "value"]).rows())
    assert volumes_read == {"NBV": 1500.0, "BPF": pytest.approx(0.84), "PBVC": -0.5}
    # the mean of 6 and 8 seconds
    assert study.table("visits", ["t25fw_s"])["t25fw_s"].to_list() == [7.0]
    assert "NV.t2_volume_ml: converted into mL, 1 times (mm3, times 0.001)" in said
    assert "FT.t25fw_s: converted into s, 1 times (min, times 60)" in said


def test_an_unknown_unit_is_refused_even_in_a_mean(read_sdtm: Read) -> None:
    _, said = read_sdtm(**BASE, nv=nv(("T2VOL", 8.2), NVSTRESU=["furlong"]), refused="found '8.2 in an unknown unit: furlong'")  # fmt: skip
    assert "NV.t2_volume_ml: unknown unit, kept for the check to refuse, 1 times (furlong)" in said
    read_sdtm(**BASE, ft=ft(WALK, [5.0, 6.0], ["s", "steps"]), refused="in an unknown unit: steps")


def test_a_missing_unit_is_taken_as_ours_and_counted(read_sdtm: Read) -> None:
    study, said = read_sdtm(**BASE, ft=ft(WALK, [5.0], [None]))
    assert study.table("visits", ["t25fw_s"])["t25fw_s"].to_list() == [5.0]
    assert "FT.t25fw_s: no unit given, taken as s, 1 times" in said


def test_two_sites_of_one_scan_are_two_rows(read_sdtm: Read) -> None:
    rows = nv(("GDLES", 0.0), ("GDLES", 2.0), ("NEWT2", 1.0), ("NEWT2", 0.0), NVLOC=["BRAIN", "SPINAL CORD", "BRAIN", "SPINAL CORD"])  # fmt: skip
    study, said = read_sdtm(**BASE, nv=rows)
    assert study.table("mri", ["region", "gd_n", "new_t2_n"]).rows() == [("brain", 0, 1), ("spine", 2, 0)]
    assert "several different values" not in said


def test_a_row_without_a_site_belongs_to_the_only_one(read_sdtm: Read) -> None:
    study, _ = read_sdtm(**BASE, nv=nv(("GDLES", 0.0), ("T2VOL", 4.0), NVLOC=["BRAIN", None]))
    assert study.table("mri", ["region", "gd_n", "t2_volume_ml"]).rows() == [("brain", 0, 4.0)]


def test_examinations_without_a_time_take_that_of_their_visit(read_sdtm: Read) -> None:
    qs = {name: values * 3 for name, values in BASE["qs"].items()} | {
        "QSDTC": ["2010-01-01", None, None], "VISITNUM": [1, 2, 3], "QSSTRESN": [3.0, 3.5, 4.0], "VISIT": ["BASELINE", "UNSCHEDULED 1", "MONTH 6"],
    }  # fmt: skip
    sv = {"USUBJID": ["1", "1", "1"], "VISITNUM": [1, 2, 3], "VISITDY": [1, 91, 181], "SVSTDTC": ["2010-01-01", "2010-04-05", "2010-07-01"],
          "SVOCCUR": [None, None, "N"]}  # fmt: skip
    study, said = read_sdtm(dm=BASE["dm"], qs=qs, sv=sv)
    # the third visit did not take place: its score has no time and is dropped; VISITDY is a plan
    assert study.table("visits", ["visit_day", "edss", "visit_type"]).rows() == [(0, 3.0, None), (94, 3.5, "unscheduled")]  # fmt: skip
    assert "QS: without a time of its own, that of its visit in SV is taken, 1 times" in said
    assert "QS: rows dropped without visit_date or visit_day, 1 times (for visits)" in said
    assert study.table("follow_up", ["last_contact_day"])["last_contact_day"].to_list() == [94]


def test_a_partial_date_takes_that_of_its_visit_where_they_agree(read_sdtm: Read) -> None:
    qs = {name: values * 3 for name, values in BASE["qs"].items()} | {
        "QSDTC": ["2010-01-01", "2010-04", "2010-06"], "VISITNUM": [1, 2, 3], "QSSTRESN": [3.0, 3.5, 4.0],
    }  # fmt: skip
    sv = {"USUBJID": ["1"] * 3, "VISITNUM": [1, 2, 3], "SVSTDTC": ["2010-01-01", "2010-04-05", "2010-07-01"]}
    study, said = read_sdtm(dm=BASE["dm"], qs=qs, sv=sv)
    assert study.table("visits", ["visit_day", "edss"]).rows() == [(0, 3.0), (94, 3.5)]
    assert "QS: rows dropped without visit_date or visit_day, 1 times (for visits)" in said


def test_the_agent_tells_of_contrast(read_sdtm: Read) -> None:
    rows = nv(("GDLES", 0.0), ("GDLES", 1.0), ("NEWT2", 1.0), ("NEWT2", 2.0), NVLNKID=["s1", "s2", "s3", "s4"]) | {
        "NVDTC": ["2010-01-01", "2010-06-01", "2010-09-01", "2010-12-01"],
    }  # fmt: skip
    ag = {"USUBJID": ["1"] * 4, "AGTRT": ["GADOBUTROL", "GADOBUTROL", "Gadobutrol", "FLUTEMETAMOL F18"], "AGLNKID": ["s1", "s2", "s3", "s4"],
          "AGOCCUR": ["Y", None, "N", "Y"], "AGSTDTC": ["2010-01-01"] * 4}  # fmt: skip
    study, said = read_sdtm(**BASE, nv=rows, ag=ag)
    assert study.table("mri", ["with_gd"])["with_gd"].to_list() == [True, True, False, None]
    assert "NV: contrast by a related agent, 2 times" in said
