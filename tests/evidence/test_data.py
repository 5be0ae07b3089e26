"""The evidence as data: every number has a source, contradictions are found, the 2016 trial is read and not copied."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ahsct.errors import RequestError, SourceError, StudyError
from ahsct.evidence import answer, find_evidence_problems, read_evidence, recover_counts, write_template
from ahsct.evidence.read import seen_results, seen_studies
from ahsct.studies import published_numbers
from ahsct.vocabulary import SCHEMAS

EVIDENCE = read_evidence()
PUBLISHED = published_numbers("atkins2016").unique(
    ["endpoint", "time_y", "estimate", "unit"], maintain_order=True
)


def test_there_are_56_studies_and_every_number_has_a_source_or_the_mark() -> None:
    assert EVIDENCE.studies.height == 56
    assert EVIDENCE.results.height == 264
    for frame in (EVIDENCE.studies, EVIDENCE.results):
        bare = frame.filter(
            (pl.col("verified") != "memory")
            & pl.col("source_url").is_null()
            & pl.col("source_title").is_null()
        )
        assert bare.is_empty()
    numbers = EVIDENCE.results.filter(pl.col("verified") != "memory")
    assert numbers["locator"].null_count() == 0
    # six recalled results, and the recalled treatment deaths of the trial against mitoxantrone
    assert EVIDENCE.results.filter(pl.col("verified") == "memory")["study_id"].value_counts().sort("study_id").rows() == [
        ("astims2015", 1), ("fassas2011", 2), ("mancardi2012", 1), ("muraro2017", 3),
    ]  # fmt: skip
    assert EVIDENCE.results.filter(pl.col("verified") == "not re-checked").height == 24 + 1


def test_the_shipped_evidence_has_no_error_and_each_warning_is_recorded() -> None:
    problems = find_evidence_problems(EVIDENCE)
    assert problems.filter(pl.col("severity") == "error").is_empty()
    assert problems.height == 5
    assert problems["message"].str.contains("Known: inconsistency").all()
    assert EVIDENCE.inconsistencies.height == 18


def test_the_2016_trial_is_read_from_its_published_numbers() -> None:
    ours = EVIDENCE.results.filter(pl.col("study_id") == "atkins2016")
    assert ours.height == 24
    theirs = {(row["endpoint"], row["unit"], row["estimate_num"]) for row in PUBLISHED.iter_rows(named=True)}
    for row in ours.iter_rows(named=True):
        assert any(
            row["endpoint"] == endpoint
            and row["unit"] == unit
            and (number is None or float(number) == row["estimate"])
            for endpoint, unit, number in theirs
        ), row["result_id"]
    shipped = (Path(__file__).parents[2] / "src/ahsct/evidence/data/results.csv").read_text(encoding="utf-8")
    assert "\natkins2016/" not in shipped


def test_derived_counts_are_those_that_the_printed_interval_allows() -> None:
    rows = EVIDENCE.results.filter((pl.col("count_mark") == "derived") & pl.col("lower").is_not_null())
    assert rows["result_id"].to_list() == ["atkins2016/1"]
    row = rows.row(0, named=True)
    found = recover_counts(
        row["estimate"],
        row["lower"],
        row["upper"],
        interval=row["interval_method"],
        conf_level=row["conf_level"],
    )
    assert [(one.n, one.n_events) for one in found] == [(row["n"], row["n_events"])]


@pytest.mark.parametrize(
    ("endpoint", "column"),
    [
        ("patients transplanted", "n_transplanted"), ("RRMS", "n_rrms"), ("SPMS", "n_spms"), ("age", "age"),
        ("EDSS before", "edss"), ("disease duration", "duration_years"), ("follow-up", "followup_years"),
    ],
)  # fmt: skip
def test_the_study_row_of_2016_agrees_with_its_published_numbers(endpoint: str, column: str) -> None:
    printed = float(PUBLISHED.filter(pl.col("endpoint") == endpoint)["estimate_num"][0])
    assert EVIDENCE.study("atkins2016")[column] == printed


SPOILT = [
    ("results", "burt2009/1", {"n_events": 19}, "count_against_percent"),
    ("results", "halt2017/1", {"lower": 70.0}, "interval_around_estimate"),
    ("results", "halt2017/1", {"conf_level": None}, "no_level"),
    ("results", "halt2017/1", {"upper": 95.0}, "interval_off_centre"),
    ("results", "halt2017/1", {"interval_method": None}, "no_interval_method"),
    ("results", "halt2017/1", {"n": 40}, "denominator_above_study"),
    ("results", "halt2017/1", {"source_url": None, "source_title": None}, "no_source"),
    ("results", "halt2017/1", {"locator": None}, "no_locator"),
    ("results", "halt2017/1", {"unit": "procent"}, "not_in_list"),
    ("results", "halt2017/1", {"time_years": None}, "landmark_without_time"),
    ("results", "halt2017/1", {"definition": "none"}, "unknown_definition"),
    ("results", "halt2017/1", {"study_id": "halt"}, "unknown_study"),
    ("results", "halt2017/1", {"result_id": "halt2017/2"}, "double_id"),
    ("results", "halt2017/1", {"estimate": 690.0, "upper": None, "lower": None}, "percent_range"),
    ("results", "burt2009/1", {"n_events": 30}, "more_events_than_patients"),
    ("results", "burt2009/1", {"count_of": None}, "count_without_meaning"),
    ("results", "mist2019/1", {"effect": 0.5}, "interval_around_effect"),
    ("results", "mist2019/1", {"effect": 0.2}, "interval_off_centre"),
    ("results", "burt2009/1", {"unit": None}, "unit_missing"),
    ("studies", "halt2017", {"tr_deaths": 25}, "more_deaths_than_patients"),
    ("studies", "halt2017", {"n_spms": 9}, "types_exceed_patients"),
    ("studies", "atkins2016", {"first_transplant": 2012}, "years_order"),
    ("studies", "atkins2016", {"year": 2008}, "years_order"),
    ("studies", "atkins2016", {"year": 216}, "below_minimum"),
    ("overlaps", None, {"study_b": "nobody"}, "unknown_study"),
    ("overlaps", None, {"relation": "maybe"}, "not_in_list"),
]


@pytest.mark.parametrize(
    ("table", "id", "change", "rule"), SPOILT, ids=[f"{row[0]}-{row[3]}-{i}" for i, row in enumerate(SPOILT)]
)
def test_a_spoilt_row_is_found(table: str, id: str | None, change: dict[str, object], rule: str) -> None:
    frame: pl.DataFrame = getattr(EVIDENCE, table)
    key = {"results": "result_id", "studies": "study_id", "overlaps": "study_a"}[table]
    hit = pl.col(key) == id if id else pl.int_range(pl.len()) == 0
    spoilt = frame.with_columns(
        pl.when(hit).then(pl.lit(value, dtype=frame.schema[name])).otherwise(pl.col(name)).alias(name)
        for name, value in change.items()
    )
    problems = find_evidence_problems(replace(EVIDENCE, **{table: spoilt}))
    assert rule in problems["rule"].to_list()
    new = problems.filter(pl.col("rule") == rule)
    assert new.filter(pl.col("table") == f"evidence_{table}").height >= 1


def test_recalled_cells_are_emptied_for_pools() -> None:
    seen = {row["study_id"]: row for row in seen_studies(EVIDENCE).iter_rows(named=True)}
    assert seen["astims2015"]["n_transplanted"] is None
    assert seen["halt2017"]["other_deaths"] is None
    assert seen["bowen2012"]["n_transplanted"] is None
    assert seen["fassas2011"]["intensity"] is None
    assert seen["atkins2016"]["n_transplanted"] == 24
    assert "memory" not in seen_results(EVIDENCE)["verified"].to_list()


def own_folder(tmp_path: Path, **changes: str) -> Path:
    """A user's folder with one study and one result; `changes` go into the result."""
    folder = tmp_path / "mine"
    write_template(folder)
    study = {"study_id": "mine2026", "citation": "Mine 2026", "year": "2026", "design": "single_arm", "ms_only": "yes",
             "n_transplanted": "40", "source_title": "our table", "verified": "yes"}  # fmt: skip
    result = {
        "result_id": "mine2026/1", "study_id": "mine2026", "subgroup": "all", "arm": "aHSCT", "endpoint": "treatment death",
        "outcome": "transplant_death", "kind": "proportion", "time_kind": "whole_follow_up", "estimate": "2.5", "unit": "percent",
        "n": "40", "n_kind": "treated", "n_events": "1", "count_of": "estimate", "complete_follow_up": "yes",
        "source_title": "our table", "locator": "row 3", "verified": "yes",
    } | changes  # fmt: skip
    for name, row in (("studies", study), ("results", result)):
        known = list(SCHEMAS[f"evidence_{name}"])
        extra = [key for key in row if key not in known]
        line = ",".join(row.get(column, "") for column in [*known, *extra])
        (folder / f"{name}.csv").write_text(",".join([*known, *extra]) + "\n" + line + "\n", encoding="utf-8")
    return folder


def test_a_users_own_rows_enter_the_pool(tmp_path: Path) -> None:
    evidence = read_evidence(own_folder(tmp_path))
    assert "overlap_not_stated" in find_evidence_problems(evidence)["rule"].to_list()
    assert find_evidence_problems(evidence).filter(pl.col("severity") == "error").is_empty()
    row = answer(evidence, 1).results.row(0, named=True)
    assert (row["n_events"], row["n"]) == (12, 2199)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"source_title": ""}, "no_source"),
        ({"estimate": "two"}, "not_a_number"),
        ({"colour": "red"}, "unknown_column"),
        ({"n_events": "3"}, "count_against_percent"),
    ],
)
def test_a_users_bad_row_is_refused(tmp_path: Path, changes: dict[str, str], rule: str) -> None:
    evidence = read_evidence(own_folder(tmp_path, **changes))
    found = find_evidence_problems(evidence).filter(pl.col("severity") == "error")
    assert rule in found["rule"].to_list()
    assert found.height <= 2
    with pytest.raises(StudyError, match="ahsct evidence check"):
        answer(evidence, 1)


def test_folders_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no folder"):
        read_evidence(tmp_path / "none")
    with pytest.raises(SourceError, match="holds none of"):
        read_evidence(tmp_path)
    write_template(tmp_path / "new")
    assert read_evidence(tmp_path / "new").results.height == EVIDENCE.results.height
    with pytest.raises(RequestError, match="exists"):
        write_template(tmp_path / "new")
    with pytest.raises(RequestError, match="Did you mean 'halt2017'"):
        EVIDENCE.study("halt2016")


def test_a_row_without_a_source_may_be_kept_as_recalled(tmp_path: Path) -> None:
    evidence = read_evidence(own_folder(tmp_path, source_title="", locator="", verified="memory"))
    assert find_evidence_problems(evidence).filter(pl.col("severity") == "error").is_empty()
    row = answer(evidence, 1).results.row(0, named=True)
    assert (row["n_events"], row["n"]) == (11, 2159)
