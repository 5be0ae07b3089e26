"""Spoilt and odd studies through the whole chain: a clear message or the right number, never anything else.

Each study is the hand-counted one (`hand_study.py`) with one thing changed. It goes through the function
behind `ahsct analyse`: read, check, analyse, write. Figures are drawn where they are the point.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from tests.hand_study import Tables, date, hand_study, in_days, renamed, write_hand_study

from ahsct.analysis import Analysis, analyse
from ahsct.cli import study as commands
from ahsct.errors import AhsctError, DefinitionError, RequestError, SourceError, StudyError, TableError
from ahsct.report import write_report
from ahsct.report.answer import left_out
from ahsct.tables import read_study, write_study
from ahsct.vocabulary import RESULTS

THREE = {"p01": 100, "p02": 500, "p03": 900}  # relapses: 3 of 10 by 3 years (day 1096)
EVERYBODY = [f"p{i:02d}" for i in range(1, 11)]
YEARS_3 = 1096 / 365.25


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ahsct.report.write.draw", lambda *_, **__: {})


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Analysis]:
    """The analyses that the command line made."""
    found = []

    def keep(analysis: Analysis, *arguments: Any, **options: Any) -> Path:
        found.append(analysis)
        return write_report(analysis, *arguments, **options)

    monkeypatch.setattr("ahsct.report.write_report", keep)
    return found


# --- studies that must be refused -------------------------------------------------------------------------


def cell(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    return lambda tables: tables[table][row - 1].update(values)


def again(table: str, row: int, **values: object) -> Callable[[Tables], None]:
    return lambda tables: tables[table].append({**tables[table][row - 1], **values})


def without(table: str, column: str) -> Callable[[Tables], None]:
    return lambda tables: [row.pop(column) for row in tables[table]] and None


def with_table(table: str, **row: object) -> Callable[[Tables], None]:
    return lambda tables: tables.update({table: [{"patient_id": "p01", **row}]})


def two_kinds(tables: Tables) -> None:
    for row in tables["patients"][5:]:
        row |= {"arm": "DMT", "time_zero_kind": "comparator_start"}


# what is changed, which error, words of its message
REFUSED = {
    # one of each family of rules
    "column missing": (without("visits", "edss"), StudyError, "needs a column `edss`"),
    "column misspelt": (lambda t: [r.update(edds=r.pop("edss")) for r in t["visits"]], StudyError, "did you mean `edss`"),
    "wrong type": (cell("visits", 9, edss="four"), StudyError, r"visits.edss, row 9 \[wrong_type\]"),
    "mixed dates": (cell("visits", 9, visit_date="31/12/2010"), StudyError, "mixes date formats"),
    "partial date": (cell("visits", 9, visit_date="2010-12"), StudyError, "never completed"),
    "day that is none": (cell("visits", 9, visit_date="2011-02-29"), StudyError, "there is no day '2011-02-29'"),
    "EDSS off the scale": (cell("visits", 9, edss=10.5), StudyError, "must be 0, 1, 1.5, 2"),
    "EDSS 0.5": (cell("visits", 9, edss=0.5), StudyError, "0.5 does not exist"),
    "infinite": (cell("visits", 9, edss="inf"), StudyError, "must be a finite number"),
    "negative count": (cell("mri", 2, gd_n=-1), StudyError, "at least 0"),
    "not in the list": (cell("patients", 2, ms_course="RMS"), StudyError, "must be one of"),
    "required cell": (cell("follow_up", 2, vital_status=""), StudyError, "is required"),
    "implausible unit": (with_table("labs", sample_date=date(5), test="neutrophils", value=3500, unit="10^9/L"), StudyError, "another unit|cells|unit"),
    "severity and grade": (with_table("adverse_events", term="x", start_date=date(1), severity="mild", scale="CTCAE 5.0", grade=4), StudyError, "severity_and_grade_disagree"),
    "out of order": (cell("transplants", 2, infusion_date=date(-20)), StudyError, "days_out_of_order"),
    "before birth": (cell("relapses", 2, onset_date="1960-01-01"), StudyError, "before the patient's birth"),
    "after death": (cell("follow_up", 2, vital_status="dead", death_date=date(400), last_contact_date=date(400), cause_class="other"), StudyError, "after the patient's death"),
    "dead, no date": (cell("follow_up", 2, vital_status="dead"), StudyError, "death_without_date"),
    "patient twice": (again("patients", 3), StudyError, "more than one row with the same patient"),
    "scan twice": (again("mri", 3), StudyError, "more than one row"),
    "unknown patient": (cell("relapses", 2, patient_id="p99"), StudyError, "not in `patients`"),
    "day and date disagree": (lambda t: [r.update(visit_day=3) for r in t["visits"][:1]] + [r.setdefault("visit_day", "") for r in t["visits"]], StudyError, "day_and_date_disagree"),
    "visit twice": (again("visits", 3), TableError, r"1 of 61 visits with edss .* the first is row 61"),
    "two kinds of time zero": (two_kinds, DefinitionError, "as_treated_not_comparable"),
    "a required table missing": (lambda t: t.pop("visits"), StudyError, "needs a table `visits`"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_spoilt_study_is_refused_with_a_reason(name: str, tmp_path: Path) -> None:
    change, error, words = REFUSED[name]
    tables = hand_study(relapses=THREE)
    change(tables)
    folder = write_hand_study(tmp_path / "study", tables)
    before = hashes(folder)
    with pytest.raises(error, match=words) as raised:
        commands.analyse(str(folder), out=tmp_path / "out")
    assert not re.search(r"\bp\d\d\b", str(raised.value)), "messages carry no patients"
    assert not (tmp_path / "out").exists()
    assert hashes(folder) == before


# file, its bytes (None: it is removed), words of the message
UNREADABLE = {
    "no byte": ("visits.csv", b"", "visits.csv is empty"),
    "only blanks": ("visits.csv", b" \n", "visits.csv is empty"),
    "Latin-1": ("patients.csv", "patient_id,site\np01,Orléans\n".encode("latin-1"), "patients.csv is not UTF-8"),
    "UTF-16": ("patients.csv", "patient_id\np01\n".encode("utf-16"), "UTF-16"),
    "semicolons": ("visits.csv", b"patient_id;visit_date;edss\np01;2010-01-01;4,0\n", "semicolons"),
    "ragged": ("visits.csv", b"patient_id,visit_date,edss\np01,2010-01-01,4,0\n", "first is row 1 with 4"),
    "open quote": ("visits.csv", b'patient_id,visit_date,edss\n"p01,2010-01-01,4\n', "quote that is not closed"),
    "not Parquet": ("labs.parquet", b"PAR1", "cannot be read as Parquet"),
    "two tables of one name": ("visits.parquet", b"PAR1", "which one is the table"),
    "bad study.toml": ("study.toml", b"study_id: hand\n", "no valid TOML"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_refused_with_its_name(name: str, tmp_path: Path) -> None:
    file, data, words = UNREADABLE[name]
    folder = write_hand_study(tmp_path / "study", hand_study())
    (folder / file).write_bytes(data)
    before = hashes(folder)
    with pytest.raises(SourceError, match=words):
        commands.analyse(str(folder), out=tmp_path / "out")
    assert hashes(folder) == before


def test_duplicate_headers_are_refused(tmp_path: Path) -> None:
    folder = write_hand_study(tmp_path / "study", hand_study())
    text = (folder / "visits.csv").read_text()
    (folder / "visits.csv").write_text(text.replace("visit_date", "edss", 1))
    with pytest.raises(StudyError, match="2 columns named `edss`"):
        commands.analyse(str(folder))


@pytest.mark.parametrize(("place", "words"), [
    ("nothing", "No such file"), ("empty", "is no study"), ("reports", "is no study"), ("a.txt", "is a single file"),
])  # fmt: skip
def test_a_place_that_is_no_study(place: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "results.csv").write_text("a,b\n1,2\n")
    (tmp_path / "a.txt").write_text("hello")
    for command in (commands.check, commands.analyse):
        with pytest.raises(SourceError, match=words):
            command(str(tmp_path / place))


# --- studies that must be answered ------------------------------------------------------------------------


def found(analysis: Analysis) -> dict[tuple[str, str], tuple[int, int, float | None]]:
    """Return n, events and estimate of the primary number by arm and estimand; the intervals must hold it."""
    rows = analysis.estimates.results.filter(
        (pl.col("endpoint") == "activity_free_survival")
        & (pl.col("component") == "composite")
        & (pl.col("statistic") == "survival_probability")
        & ((pl.col("time_years") - YEARS_3).abs() < 1e-9)
    )
    answers: dict[tuple[str, str], tuple[int, int, float | None]] = {}
    for row in rows.iter_rows(named=True):
        answer = (row["n"], row["n_events"], None if row["estimate"] is None else round(row["estimate"], 6))
        assert answers.setdefault((row["arm"], row["estimand"]), answer) == answer, "both methods agree"
        if row["lower"] is not None:
            assert row["lower"] <= row["estimate"] <= row["upper"]
    return answers


def both(n: int, events: int, estimate: float | None, arm: str = "aHSCT") -> dict[tuple[str, str], Any]:
    return {(arm, estimand): (n, events, estimate) for estimand in ("as_published", "everyone_counted")}


def all_at(day: int) -> dict[str, int]:
    return dict.fromkeys(EVERYBODY, day)


def edss_from(patient: str, day: int, edss: float) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for row in tables["visits"]:
            if row["patient_id"] == patient and str(row["visit_date"]) >= date(day):
                row["edss"] = edss

    return change


def only_tables(*names: str) -> Callable[[Tables], None]:
    return lambda tables: [tables.pop(name) for name in list(tables) if name not in names] and None


def emptied(*names: str) -> Callable[[Tables], None]:
    return lambda tables: tables.update({name: [] for name in names})


def rows_from(table: str, column: str, first: int | None, last: int | None) -> Callable[[Tables], None]:
    """Keep the rows of these days."""

    def change(tables: Tables) -> None:
        low, high = date(first if first is not None else -9999), date(last if last is not None else 9999)
        tables[table] = [row for row in tables[table] if low <= str(row[column]) <= high]

    return change


def two_arms(tables: Tables) -> None:
    for row in tables["patients"][5:]:
        row["arm"] = "DMT"


def randomised(tables: Tables) -> None:
    """The second arm never had a transplant."""
    for row in tables["patients"]:
        row |= {"time_zero_kind": "randomisation", "randomisation_date": date(-60)}
    two_arms(tables)
    for table in ("transplants", "treatments"):
        tables[table] = tables[table][:5]


def blank(table: str, *columns: str) -> Callable[[Tables], None]:
    return lambda tables: [row.update(dict.fromkeys(columns, "")) for row in tables[table]] and None


def second_graft(tables: Tables) -> None:
    tables["transplants"].append({"patient_id": "p05", "infusion_date": date(700)})


def lesion(tables: Tables) -> None:
    tables["mri"][6 * 4 + 3]["gd_n"] = 1  # p05 at day 731


def nothing(tables: Tables) -> None:
    pass


DIED_10 = dict.fromkeys(EVERYBODY, (10, "treatment-related"))
OTHERS = {"p01": (10, "other"), "p02": (20, "ms"), "p03": (30, "unknown")}
# how the study is made, what is changed, n, events and estimate by hand, what else the command line must print
ANSWERED: dict[str, tuple[dict[str, Any], Callable[[Tables], Any], dict[tuple[str, str], Any], str]] = {
    # nobody is censored before day 1096: the share without an event
    "3 of 10": ({"relapses": THREE}, nothing, both(10, 3, 0.7), "95 % CI 34.8 to 93.3"),
    "nobody at all": ({"n": 0}, nothing, {}, "no patient belongs to the population"),
    "one patient": ({"n": 1}, nothing, both(1, 0, 1.0), "95 % CI 2.5 to 100.0"),
    "one patient, one event": ({"n": 1, "relapses": {"p01": 50}}, nothing, both(1, 1, 0.0), "95 % CI 0.0 to 97.5"),
    # Clopper-Pearson of 10 of 10: 0.025 ** 0.1 = 0.6915
    "no events": ({}, nothing, both(10, 0, 1.0), "95 % CI 69.2 to 100.0"),
    "all at once": ({"relapses": all_at(200)}, nothing, both(10, 10, 0.0), "95 % CI 0.0 to 30.8"),
    "all on day 0": ({"relapses": all_at(0)}, nothing, both(10, 10, 0.0), "95 % CI 0.0 to 30.8"),
    "all censored": ({"last": 200}, nothing, both(10, 0, None), "not estimable, follow-up ends earlier"),
    "all lost before the first scan": ({"last": 10}, nothing, {}, "nobody has a re-baseline scan"),
    # a death of the treatment is left out as published, and an event when everyone is counted
    "everyone dead by day 10": ({"died": DIED_10}, nothing, {("aHSCT", "everyone_counted"): (10, 10, 0.0)}, "left out as published (treatment death): 10"),
    # other deaths are censored as published: 1 of 7 relapses later, 6/7; everyone counted: 1 + 3 of 10
    "deaths of other causes": ({"died": OTHERS, "relapses": {"p05": 100}}, nothing, {("aHSCT", "as_published"): (10, 1, round(6 / 7, 6)), ("aHSCT", "everyone_counted"): (10, 4, 0.6)}, ""),
    "worse from day 365, kept": ({"relapses": THREE}, edss_from("p04", 365, 6.0), both(10, 4, 0.6), ""),
    "worse once only": ({"relapses": THREE}, cell("visits", 22, edss=6.0), both(10, 3, 0.7), ""),
    "a lesion on one scan": ({"relapses": THREE}, lesion, both(10, 4, 0.6), ""),
    "two arms": ({"relapses": THREE}, two_arms, both(5, 3, 0.4) | both(5, 0, 1.0, "DMT"), ""),
    "an arm without transplants": ({"relapses": THREE}, randomised, both(5, 3, 0.4), "DMT, as_published: not evaluable; no patient belongs"),
    "an arm missing": ({"relapses": THREE}, cell("patients", 1, arm=""), both(9, 2, round(7 / 9, 6)) | both(1, 1, 0.0, "arm not stated"), ""),
    "an arm called all": ({"relapses": THREE}, lambda t: (cell("patients", 1, arm="")(t), cell("patients", 2, arm="all")(t)), both(8, 1, 0.875) | both(1, 1, 0.0, "all") | both(1, 1, 0.0, "arm not stated"), ""),
    "bare patients": ({"relapses": THREE}, blank("patients", "sex", "birth_date", "ms_course", "disease_onset_date", "diagnosis_date", "site", "arm", "time_zero_kind", "prior_dmt_n"), both(10, 3, 0.7, "all"), ""),
    "a second transplant": ({"relapses": THREE}, second_graft, both(10, 3, 0.7), ""),
    "only patients and visits": ({"relapses": THREE}, only_tables("patients", "visits"), {}, "no patient belongs to the population (infused)"),
    "nobody infused": ({"relapses": THREE}, blank("transplants", "infusion_date"), {}, "no patient belongs to the population (infused)"),
    "no EDSS": ({"relapses": THREE}, blank("visits", "edss"), {}, "at a visit after time zero"),
    "no visit": ({"relapses": THREE}, emptied("visits"), {}, "at a visit after time zero"),
    # where nobody can be evaluated, the three with a relapse alone would give 0 %
    "no EDSS before": ({"relapses": THREE}, rows_from("visits", "visit_date", 0, None), {}, "no baseline edss: 10"),
    "EDSS only before": ({"relapses": THREE}, rows_from("visits", "visit_date", None, 0), {}, "at a visit after time zero"),
    "scans only before": ({"relapses": THREE}, rows_from("mri", "scan_date", None, 0), {}, "nobody has a re-baseline scan"),
    "no scan": ({"relapses": THREE}, emptied("mri"), {}, "nobody has a re-baseline scan"),
    "follow-up without rows": ({"relapses": THREE}, emptied("follow_up"), {}, "no follow_up row"),
    # p10 has no visit before day 0 and no event: 9 are left, with 3 events
    "one without a baseline": ({"relapses": THREE}, lambda t: t["visits"].pop(6 * 9), both(9, 3, round(6 / 9, 6)), "1 more not evaluable"),
    "NaN": ({"relapses": THREE}, cell("visits", 9, edss="NaN"), both(10, 3, 0.7), ""),
}  # fmt: skip


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("name", ANSWERED)
def test_an_odd_study_is_answered_as_by_hand(
    name: str, tmp_path: Path, seen: list[Analysis], capsys: pytest.CaptureFixture[str]
) -> None:
    made, change, expected, words = ANSWERED[name]
    tables = hand_study(**made)
    if not made.get("n", 10):
        tables = {table: [] for table in tables}
    change(tables)
    folder = write_hand_study(tmp_path / "study", tables)
    before = hashes(folder)
    commands.analyse(str(folder), out=tmp_path / "out")
    (analysis,) = seen
    assert found(analysis) == expected
    printed = capsys.readouterr().out
    assert words in printed
    if not expected:
        assert "not evaluable; " in printed
    assert hashes(folder) == before
    nobody_is_dropped(analysis, tables)


def nobody_is_dropped(analysis: Analysis, tables: Tables) -> None:
    """Every row read is in the study, every patient in the flow, at each analysis counted or with a reason."""
    for table, rows in tables.items():
        assert analysis.study.table(table).height == len(rows)
    flow = analysis.outcomes.flow
    enrolled = flow.filter(pl.col("step") == "enrolled")
    assert enrolled["n"].sum() == len(tables["patients"])
    infused = flow.filter((pl.col("population") == "infused") & pl.col("step").str.starts_with("analysed: "))
    n_infused = len({row["patient_id"] for row in tables.get("transplants", []) if row["infusion_date"]})
    for _, rows in infused.group_by("step"):
        assert (rows["n"] + rows["n_left_out"]).sum() == n_infused
        counted = (
            rows["reason"]
            .str.extract_all(r": (\d+)(?:;|$)")
            .list.eval(pl.element().str.extract(r"(\d+);?$").cast(pl.Int64))
        )
        assert counted.list.sum().to_list() == rows["n_left_out"].to_list()


def results_of(analysis: Analysis) -> pl.DataFrame:
    return analysis.estimates.results


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pl.DataFrame]:
    """The folder of the study with 3 events in 10, and its results."""
    from ahsct import analyse

    folder = write_hand_study(tmp_path_factory.mktemp("plain") / "study", hand_study(relapses=THREE))
    return folder, results_of(analyse(read_study(folder)))


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("file_format", ["parquet", "duckdb", "csv", "read only"])
def test_every_kind_of_source_gives_the_same_results(
    file_format: str, plain: tuple[Path, pl.DataFrame], tmp_path: Path, seen: list[Analysis]
) -> None:
    folder, wanted = plain
    source = tmp_path / ("hand.duckdb" if file_format == "duckdb" else "hand")
    if file_format == "read only":
        shutil.copytree(folder, source)
        for path in (*source.iterdir(), source):
            path.chmod(0o555)
    else:
        write_study(read_study(folder), source, file_format=file_format)
    files = [source] if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    before = [path.read_bytes() for path in files]
    commands.analyse(str(source), out=tmp_path / "out")
    assert results_of(seen[0]).equals(wanted)
    assert [path.read_bytes() for path in files] == before
    inside = files if source.is_file() else sorted(path for path in source.iterdir() if path.is_file())
    assert inside == files, "nothing is written beside the tables"
    source.chmod(0o755)


NAMES = {
    "script": "<script>alert('{}')</script>",
    "formula": "=cmd|' /C {}'!A1",
    "unicode": "Пациент-{}-患者-\u202e🙂",
    "slash": "../../{}/a\\b",
    "very long": "{0}" * 600,
    "comma and quote": '{},"x"\n',
    "mathtext": "${}_x^2$ \\frac{{",
}


@pytest.mark.parametrize("kind", NAMES)
def test_strange_ids_change_no_number_and_reach_no_reader_as_code(
    kind: str,
    plain: tuple[Path, pl.DataFrame],
    tmp_path: Path,
    seen: list[Analysis],
    request: pytest.FixtureRequest,
) -> None:
    if kind not in ("mathtext", "unicode"):
        request.getfixturevalue("no_figures")  # drawn once for text that a font or its typesetter may refuse
    tables = renamed(hand_study(relapses=THREE), lambda id: NAMES[kind].format(id).strip("\n") or id)
    folder = write_hand_study(tmp_path / "study", tables)
    commands.analyse(str(folder), out=tmp_path / "out")
    assert results_of(seen[0]).equals(plain[1])
    harmless(tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"study", "out"}


def test_strange_names_of_arms_drugs_and_events(tmp_path: Path, seen: list[Analysis]) -> None:
    tables = hand_study(relapses=THREE)
    for row in tables["patients"]:
        row |= {"arm": "<script>alert(1)</script> $\\x$", "site": "=1+1"}
    for row in tables["treatments"]:
        row["drug"] = '=HYPERLINK("file:///x")<script>alert(2)</script>'
    tables["adverse_events"] = [{
        "patient_id": "p01", "term": "@x", "start_date": date(5), "severity": "severe", "scale": "not stated",
        "soc": "<b>$",
    }]  # fmt: skip
    folder = write_hand_study(tmp_path / "study", tables)
    (folder / "study.toml").write_text(
        'study_id = "=1<script>"\ntitle = "</title><script>alert(3)</script>"\ndata_kind = "simulated"\n'
    )
    commands.analyse(str(folder), out=tmp_path / "out")
    assert found(seen[0]) == both(10, 3, 0.7, "<script>alert(1)</script> $\\x$")
    harmless(tmp_path / "out")


def harmless(out: Path) -> None:
    """No script in the page, no cell that a spreadsheet would run."""
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page.lower()
    assert "<b>$" not in page
    for path in out.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.reader(handle):
                for text in row:
                    assert not re.match(r"[=+@\t\r\n]|-(?![\d.])", text), (path.name, text)


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_figures")
def test_days_only_give_the_same_results(
    plain: tuple[Path, pl.DataFrame], tmp_path: Path, seen: list[Analysis]
) -> None:
    folder = write_hand_study(tmp_path / "study", in_days(hand_study(relapses=THREE)))
    commands.analyse(str(folder), out=tmp_path / "out")
    dates = pl.col("statistic") == "date"  # first and last infusion have no date now
    assert results_of(seen[0]).filter(~dates).equals(plain[1].filter(~dates))
    with pytest.raises(RequestError, match="10 of 10 patients have no index date"):
        commands.analyse(str(folder), cutoff="2012-01-01")


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(("cutoff", "expected"), [
    ("2014-12-31", both(10, 3, 0.7)),
    # day 881: the relapse of day 900 has not happened, the 8 others were last seen at day 731
    ("2012-05-31", both(10, 2, None)),
    ("2009-12-31", {}),  # mobilised, not yet infused
])  # fmt: skip
def test_cutoff(
    cutoff: str, expected: dict[tuple[str, str], Any], plain: tuple[Path, Any], tmp_path: Path,
    seen: list[Analysis], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    commands.analyse(str(plain[0]), cutoff=cutoff, out=tmp_path / "out")
    assert found(seen[0]) == expected
    assert f"Data cut-off: {cutoff}." in capsys.readouterr().out
    cut = seen[0].outcomes.flow.filter(pl.col("step") == "data cut-off")
    source = read_study(plain[0])
    n_rows = {f"rows of {name}": frame.height for name, frame in source.tables.items()}
    assert {row["population"]: row["n"] + row["n_left_out"] for row in cut.to_dicts()} == n_rows


@pytest.mark.parametrize("cutoff", ["", "today", "31.12.2012", "20121231", "2012-W01-1", "2012-1-1", "2012-02-30", "2012-01-01T00:00"])  # fmt: skip
def test_a_cutoff_that_is_no_iso_date(cutoff: str, plain: tuple[Path, Any]) -> None:
    with pytest.raises(RequestError, match="must be an ISO date, YYYY-MM-DD, found"):
        commands.analyse(str(plain[0]), cutoff=cutoff)


def test_a_cutoff_before_everybody_is_refused(plain: tuple[Path, Any]) -> None:
    with pytest.raises(
        RequestError, match="None of the 10 patients had entered by the cut-off of 2001-01-01"
    ):
        commands.analyse(str(plain[0]), cutoff="2001-01-01")


@pytest.mark.usefixtures("no_figures")
def test_set_aside_is_said_everywhere(
    tmp_path: Path, seen: list[Analysis], capsys: pytest.CaptureFixture[str]
) -> None:
    tables = hand_study(relapses=THREE)
    tables["visits"][6]["edss"] = 11  # p02, who relapsed: 2 of 9 are left
    tables["patients"].append(dict(tables["patients"][3]))  # p04 twice: 2 of 8
    folder = write_hand_study(tmp_path / "study", tables)
    with pytest.raises(StudyError, match="--set-aside leaves those patients out"):
        commands.analyse(str(folder))
    commands.analyse(str(folder), set_aside=True, out=tmp_path / "out")
    assert found(seen[0]) == both(8, 2, 0.75)
    assert "Patients set aside for errors: 2." in capsys.readouterr().out
    listed = pl.read_csv(tmp_path / "out" / "set_aside.csv")
    assert listed.select("patient_id", "rules").rows() == [
        ("p02", "edss_off_scale"),
        ("p04", "duplicate_key"),
    ]
    (step,) = seen[0].outcomes.flow.filter(pl.col("step") == "checked").to_dicts()
    assert (step["n"], step["n_left_out"]) == (8, 2)


def test_another_time_zero_than_the_studys_own_is_said(tmp_path: Path) -> None:
    tables = hand_study()
    for row in tables["patients"]:
        row["time_zero_kind"] = "randomisation"
    said = left_out(analyse(read_study(write_hand_study(tmp_path / "study", tables))), share=False)
    assert (
        "The study's own time zero is randomisation; here time is counted from the infusion of the graft"
        in " ".join(said)
    )
    own = left_out(analyse(read_study(write_hand_study(tmp_path / "own", hand_study()))), share=False)
    assert "own time zero" not in " ".join(own)


@pytest.mark.usefixtures("no_figures")
def test_set_aside_of_everybody_and_of_nobody_who_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = hand_study()
    for row in tables["visits"]:
        row["edss"] = 11
    commands.analyse(str(write_hand_study(tmp_path / "all", tables)), set_aside=True, out=tmp_path / "out")
    printed = capsys.readouterr().out
    assert "set aside for errors: 10." in printed
    assert "not evaluable" in printed
    tables = hand_study()
    without("visits", "edss")(tables)
    with pytest.raises(StudyError, match="name no patient who could be set aside"):
        commands.analyse(str(write_hand_study(tmp_path / "none", tables)), set_aside=True)


@pytest.mark.usefixtures("no_figures")
def test_shared_shows_no_small_count_on_the_screen_or_in_the_folder(
    plain: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.analyse(str(plain[0]), share=True, out=tmp_path / "out")
    printed = capsys.readouterr().out
    assert "aHSCT, as_published: hidden: a count under 5" in printed
    assert "70.0" not in printed
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not names & {"events.csv", "time_to_event.csv", "not_evaluable.csv", "check.R"}
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert not re.search(r"\bp\d\d\b", path.read_text(encoding="utf-8")), path.name
    for options in ({"share": True}, {"share": True, "json": True}):
        with pytest.raises(RequestError, match="--share"):
            commands.analyse(str(plain[0]), **options)


def test_json_is_valid_and_has_the_columns_of_results(
    plain: tuple[Path, pl.DataFrame], capsys: pytest.CaptureFixture[str]
) -> None:
    commands.analyse(str(plain[0]), json=True)
    rows = json.loads(capsys.readouterr().out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert len(rows) == plain[1].height
    assert {tuple(row) for row in rows} == {tuple(RESULTS.names())}


@pytest.mark.usefixtures("no_figures")
def test_an_out_that_is_not_ours_is_kept(plain: tuple[Path, Any], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years of work")
    (tmp_path / "file").write_text("x")
    for out, words in (("mine", "was not written by ahsct"), ("file", "is a file")):
        with pytest.raises(RequestError, match=words):
            commands.analyse(str(plain[0]), out=tmp_path / out)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "ten years of work"
    before = hashes(plain[0])
    with pytest.raises(RequestError, match="was not written by ahsct"):
        commands.analyse(str(plain[0]), out=plain[0])  # the study's own folder
    assert hashes(plain[0]) == before
    commands.analyse(str(plain[0]), out=tmp_path / "ours")
    commands.analyse(str(plain[0]), out=tmp_path / "ours")
    commands.analyse(str(plain[0]), out=tmp_path / "mine", force=True)
    assert not (tmp_path / "mine" / "thesis.txt").exists()


def test_twice_the_same_bytes(plain: tuple[Path, Any], tmp_path: Path) -> None:
    for place in ("one", "two"):
        commands.analyse(str(plain[0]), out=tmp_path / place)
    one, two = hashes(tmp_path / "one"), hashes(tmp_path / "two")
    assert one.keys() == two.keys()
    assert {name for name in one if one[name] != two[name]} <= {"provenance.json"}
    about = [json.loads((tmp_path / place / "provenance.json").read_text()) for place in ("one", "two")]
    assert [key for key in about[0] if about[0][key] != about[1][key]] in (["created"], [])


# what is replaced in the shipped file, by what, words of the message
WRONG_DEFINITIONS = [
    ('interval = "log-log"', 'interval = "loglog"', "key 'interval' = 'loglog'"),
    ('title = "', 'titel = "', "unknown key 'titel'"),
    ("primary_milestone_days = 1096", "primary_milestone_days = -5", "must be days above 0"),
    ('components = ["relapse"]', 'components = ["relaps"]', "Did you mean 'relapse'"),
    ("[source]", "[sauce]", r"\[source\] is missing"),
    ("window_days = [61, 152]", "window_days = [152, 61]", "from the earliest to the latest day"),
    ("[31, inf]", "[31, nan]", "nan is no number"),
    ('norms = ["healthy_siena_2018"', 'norms = ["healthy_sienna_2018"', "Did you mean 'healthy_siena_2018'"),
    ("break_years = 2.5", "break_years = 0", "must be above 0"),
    ("age_min_years = 18", "age_min_years = 81", "age_min_years 81 is above age_max_years 50"),
    ('worsening_baseline_visit = "last_before_mobilisation"', 'worsening_baseline_visit = "rebaseline"', "there is no"),
    ('lesions = ["gd", "new_t2"]', "lesions = []", "one or more kinds"),
    ("schema = 1", "schema = ", "not valid TOML"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "words"), WRONG_DEFINITIONS, ids=[new for _, new, _ in WRONG_DEFINITIONS]
)
def test_an_own_definition_with_a_fault(
    old: str, new: str, words: str, plain: tuple[Path, Any], tmp_path: Path
) -> None:
    from ahsct.definitions import definition_text

    text = definition_text("atkins2016")
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DefinitionError, match=words) as raised:
        commands.analyse(str(plain[0]), definition=str(tmp_path / "mine.toml"))
    assert "mine.toml" in str(raised.value)


@pytest.mark.parametrize("definition", ["halt2017", "neda3", "mist2019"])
@pytest.mark.usefixtures("no_figures")
def test_every_shipped_definition_meets_every_odd_study(
    definition: str, plain: tuple[Path, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = write_hand_study(
        tmp_path / "dead", hand_study(3, died=dict.fromkeys(EVERYBODY[:3], (10, "other")))
    )
    bare = hand_study(3)
    only_tables("patients", "visits")(bare)
    for folder in (plain[0], dead, write_hand_study(tmp_path / "bare", bare)):
        commands.analyse(str(folder), definition=definition, out=tmp_path / f"{folder.parent.name}-out")
        assert len(capsys.readouterr().out.splitlines()) >= 2, "an answer, or why there is none"


# --- the command itself -----------------------------------------------------------------------------------


def ahsct(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from ahsct.cli import main; main()", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_on_good_and_spoilt_studies(plain: tuple[Path, Any], tmp_path: Path) -> None:
    tables = hand_study()
    tables["visits"][3]["edss"] = 11
    spoilt = str(write_hand_study(tmp_path / "spoilt", tables))
    good = ahsct("analyse", str(plain[0]))
    assert good.returncode == 0
    assert (
        "aHSCT, everyone_counted: 70.0 % (95 % CI 34.8 to 93.3) (n = 10, 3 events; Clopper-Pearson)"
        in good.stdout
    )
    checked = ahsct("check", spoilt, "--out", str(tmp_path / "problems.csv"))
    assert (checked.returncode, "edss_off_scale" in checked.stdout) == (1, True)
    assert pl.read_csv(tmp_path / "problems.csv")["rule"].to_list() == ["edss_off_scale"]
    for arguments, words in (
        (("analyse", spoilt), "visits.edss, row 4 [edss_off_scale]"),
        (("analyse", str(tmp_path)), "is no study"),
        (("analyse", str(plain[0]), "--cutoff", "1.1.2012"), "ISO date"),
    ):
        done = ahsct(*arguments)
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_the_printed_definition_can_be_changed_and_used(plain: tuple[Path, Any], tmp_path: Path) -> None:
    shown = ahsct("definitions", "show", "atkins2016", "--toml")
    mine = tmp_path / "mine.toml"
    mine.write_text(shown.stdout.replace('same_day = "error"', 'same_day = "worst"'), encoding="utf-8")
    tables = hand_study(relapses=THREE)
    again("visits", 3)(tables)
    folder = write_hand_study(tmp_path / "study", tables)
    done = ahsct("analyse", str(folder), "--definition", str(mine))
    assert (done.returncode, "70.0 %" in done.stdout) == (0, True)


def test_a_duckdb_file_that_is_none_of_ours(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as database:
        database.execute("create table invoices as select 1 as n")
    with pytest.raises(AhsctError, match="is no study: it needs tables patients and visits"):
        commands.analyse(str(tmp_path / "other.duckdb"))
