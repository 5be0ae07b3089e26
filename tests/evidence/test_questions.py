"""The seven questions: what the shipped evidence answers, with numbers counted by hand from its rows."""

import re
from pathlib import Path

import polars as pl
import pytest

from ahsct.errors import RequestError, SourceError
from ahsct.estimates.rows import result, results_frame
from ahsct.evidence import QUESTIONS, Answer, Settings, answer, collect, pool, read_evidence, read_results
from ahsct.evidence.mortality import intensity_classes, progressive_share
from ahsct.vocabulary import RESULTS

EVIDENCE = read_evidence()
ANSWERS = {number: answer(EVIDENCE, number) for number in QUESTIONS}


@pytest.mark.parametrize("number", QUESTIONS)
def test_each_has_two_sentences_a_forest_and_a_table(number: int) -> None:
    found = ANSWERS[number]
    assert len(found.sentences) == 2
    assert all(sentence.endswith(".") and len(sentence) > 60 for sentence in found.sentences)
    assert "None" not in " ".join(found.sentences)
    assert "nan" not in " ".join(found.sentences).split()
    assert any(line.estimate is not None for panel in found.panels for line in panel.lines)
    assert any(sheet.rows for sheet in found.sheets)
    assert found.results.schema == RESULTS
    for sheet in found.sheets:
        assert all(len(row) == len(sheet.columns) for row in sheet.rows), sheet.id


def sheet(found: Answer, id: str) -> list[tuple[str, ...]]:
    return next(list(one.rows) for one in found.sheets if one.id == id)


def test_mortality_is_the_sum_of_its_series() -> None:
    # by hand from the table: 1/24 0/24 1/507 3/210 0/174 0/617 0/14 3/41 0/418 0/14 0/10 2/35 1/26 0/21 0/24
    row = ANSWERS[1].results.filter(pl.col("statistic") == "pooled_proportion").row(0, named=True)
    assert (row["n_events"], row["n"]) == (11, 2159)
    rows = sheet(ANSWERS[1], "mortality-side-by-side")
    assert [line[0].split(",")[0] for line in rows] == [
        "This page", "This page", "This page", "Sormani MP et al", "Ge F et al", "Zhang P",
    ]  # fmt: skip
    assert rows[3][1] == "2.10 % (1.30 to 3.40)"
    assert all(line[3] for line in rows), "each says what differs"
    assert "0 of 1035" in [line[2] for line in sheet(ANSWERS[1], "mortality-groups")]


def test_the_class_of_a_regimen_is_a_switch() -> None:
    other = answer(EVIDENCE, 1, rule="cy_atg_low")
    assert sheet(other, "mortality-groups") != sheet(ANSWERS[1], "mortality-groups")
    classes = intensity_classes(EVIDENCE, "cy_atg_intermediate")
    assert (classes["burt2021"], classes["ruiz2019"], classes["atkins2016"]) == (
        "intermediate",
        "low",
        "high",
    )
    assert classes["burt2003"] is None, "its regimen is recalled"
    assert intensity_classes(EVIDENCE, "recorded")["fassas2011"] is None
    with pytest.raises(RequestError, match="Did you mean 'recorded'"):
        answer(EVIDENCE, 1, rule="recordet")


def test_case_mix_is_counted_from_the_types() -> None:
    share = progressive_share(EVIDENCE)
    assert share["muraro2017"] == pytest.approx(218 / 281)
    assert share["ruiz2019"] == pytest.approx((228 + 130) / 617)
    assert "hamerschlak2010" not in share, "33 of 41 known: not covered"


def test_a_percentage_without_its_interval_is_shown_and_not_pooled() -> None:
    five = pool(
        collect(EVIDENCE, "activity_free", kind="survival", at_years=5.0),
        EVIDENCE.overlaps,
        measure="survival",
    )
    assert [one.study_id for one in five.selection.chosen] == ["halt2017", "silfverberg2024"]
    reasons = {one.key: reason for one, reason in five.selection.left_out}
    assert "no interval" in reasons["burman2014/4"]
    assert "no interval" in reasons["atkins2016/3"]
    assert {line.role for panel in ANSWERS[2].panels for line in panel.lines} >= {
        "pooled in",
        "shown",
        "pool",
        "published",
    }


def test_one_study_is_not_called_a_pool() -> None:
    three = pool(
        collect(EVIDENCE, "activity_free", kind="survival", at_years=3.0),
        EVIDENCE.overlaps,
        measure="survival",
    )
    assert (three.k, three.estimate, three.prediction) == (1, pytest.approx(0.696), None)
    assert three.method.startswith("one study, nothing pooled")
    halt = pool(
        collect(EVIDENCE, "relapse_free", kind="survival", at_years=5.0),
        EVIDENCE.overlaps,
        measure="survival",
    )
    assert "90 %" in " ".join(halt.warnings), "its interval is one of 90 percent"


def test_shape_over_time_of_the_swedish_cohort() -> None:
    # by hand: -log 0.73 / 5 = 0.0629, (log 0.73 - log 0.65) / 5 = 0.0232; 1 - exp(-) = 6.1 and 2.3 percent
    (row,) = [line for line in sheet(ANSWERS[2], "shape") if line[0].startswith("Silfverberg")]
    assert row[2:4] == ("0 to 5: 6.1 %", "5 to 10: 2.3 %")
    assert row[5] == "falls"


def test_randomised_matched_and_unadjusted_are_pooled_apart() -> None:
    roles = {panel.id: {line.label for line in panel.lines} for panel in ANSWERS[6].panels}
    assert any("MIST" in label for label in roles["drugs-progression-randomised"])
    assert not any("MIST" in label for label in roles["drugs-progression-matched"])
    assert not any(
        "Boffa G et al, Eur" in label
        for id, labels in roles.items()
        if "unadjusted" not in id
        for label in labels
    )
    row = (
        ANSWERS[6]
        .results.filter((pl.col("subgroup") == "randomised") & (pl.col("endpoint") == "progression"))
        .row(0, named=True)
    )
    assert (row["estimate"], row["lower"], row["upper"]) == (0.07, 0.02, 0.24)
    assert "BEAT-MS" in " ".join(line[0] for line in sheet(ANSWERS[6], "drugs-trials"))


def test_within_study_contrast_of_regimens_by_hand() -> None:
    # log(-log 0.81) - log(-log 0.71) = -0.486; exp = 0.615
    (row,) = [line for line in sheet(ANSWERS[4], "intensity-within") if "5 years" in line[0]]
    assert row[1].startswith("0.62 (")
    assert all(0 <= point.x <= 1 for point in ANSWERS[4].scatters[0].points)


def test_brain_volume_is_shown_and_not_pooled() -> None:
    assert ANSWERS[5].results.is_empty()
    sums = {
        line[0].split(" ")[0]: line[3] for line in sheet(ANSWERS[5], "brain-volume") if "derived" in line[2]
    }
    assert sums == {"Atkins": "-3.30 %", "Nash": "-1.70 %", "Samijn": "-3.62 %"}


def own_results(**more: object) -> pl.DataFrame:
    row = {
        "study_id": "mine", "data_kind": "observed", "endpoint": "activity_free_survival", "component": "composite",
        "arm": "all", "time_years": 1826 / 365.25, "estimate": 0.8, "lower": 0.6, "upper": 0.92, "conf_level": 0.95, **more,
    }  # fmt: skip
    death = result(statistic="proportion", unit="probability", n=30, method="m", study_id="mine", data_kind="observed",
                   endpoint="treatment_related_mortality", arm="all", estimate=3 / 30, n_events=3, lower=0.02, upper=0.27)  # fmt: skip
    return results_frame(
        [result(statistic="survival_probability", unit="probability", n=30, method="m", **row), death]
    )  # type: ignore[arg-type]


def test_a_new_study_is_placed_and_enters_no_pool(tmp_path: Path) -> None:
    own_results().write_csv(tmp_path / "results.csv")
    found = answer(EVIDENCE, 7, results=read_results(tmp_path / "results.csv"))
    rows = sheet(found, "new-study")
    assert [row[0] for row in rows] == ["Free of disease activity at 5 years", "Deaths from the treatment"]
    assert "within the prediction interval" in rows[0][4]
    deaths = re.search(r"probability (0\.\d+)", rows[1][4])
    assert deaths is not None
    assert 0 < float(deaths[1]) < 0.3
    assert set(found.results.filter(pl.col("statistic") == "pooled_proportion")["n"]) == {2159}
    assert all(panel.lines[0].role == "own" for panel in found.panels)


def test_the_2016_trial_as_new_is_not_in_the_pool_it_is_held_against() -> None:
    row = ANSWERS[7].results.filter(pl.col("statistic") == "pooled_proportion").row(0, named=True)
    assert (row["n_events"], row["n"]) == (10, 2135)


def test_invented_numbers_and_other_files_are_refused(tmp_path: Path) -> None:
    marked = own_results().with_columns(pl.lit("illustration").alias("mark"))
    with pytest.raises(RequestError, match="nothing that the evidence can place"):
        answer(EVIDENCE, 7, results=marked)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="no column 'study_id'"):
        read_results(tmp_path / "other.csv")
    with pytest.raises(SourceError, match="cannot be read"):
        read_results(tmp_path / "none.csv")
    with pytest.raises(RequestError, match="question 7"):
        answer(EVIDENCE, 1, results=own_results())
    with pytest.raises(RequestError, match="No question 8"):
        answer(EVIDENCE, 8)


@pytest.mark.parametrize("method", ["beta-binomial", "logit", "freeman-tukey", "arcsine"])
def test_other_methods_run_on_request_with_their_warning(method: str) -> None:
    deaths = collect(EVIDENCE, "transplant_death", kind="proportion")
    found = pool(deaths, EVIDENCE.overlaps, measure="proportion", settings=Settings(method=method))
    assert found.lower is not None
    assert found.lower <= found.estimate <= found.upper  # type: ignore[operator]
    assert bool(found.warnings) == (method != "beta-binomial")
    with pytest.raises(RequestError, match="Did you mean 'glmm'"):
        Settings(method="glm")


def test_no_event_in_any_group_gives_the_exact_bound() -> None:
    low = [
        one
        for one in collect(EVIDENCE, "transplant_death", kind="proportion")
        if one.study_id in ("ruiz2019", "melnichenko2022")
    ]
    found = pool(low, EVIDENCE.overlaps, measure="proportion")
    assert (found.n_events, found.n, found.estimate, found.lower) == (0, 1035, 0.0, 0.0)
    assert found.upper == pytest.approx(1 - 0.025 ** (1 / 1035), rel=1e-9)
