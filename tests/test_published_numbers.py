"""The 2016 trial through the whole pipeline gives its published numbers back, to the last printed digit."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from ahsct.analysis import Analysis, analyse
from ahsct.definitions import load_definition, vary
from ahsct.outcomes import derive_outcomes
from ahsct.studies import example_folder, load_example
from ahsct.tables import check, find_problems

ANSWERS = {"estimate": "estimate_num", "lower": "ci_low", "upper": "ci_high", "n": "n", "n_events": "events"}
SELECTORS = ("endpoint", "component", "estimand", "population", "term", "statistic")


def read(name: str) -> list[dict[str, str]]:
    with (example_folder("atkins2016") / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def asserted() -> Iterator[tuple[str, dict[str, str], list[dict[str, str]]]]:
    """Each asserted number with its matches that must agree in one and the same row of the results."""
    matches = read("matches")
    for place, published in enumerate(read("published"), 1):
        groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for match in matches:
            if int(match["published_row"]) == place:
                key = tuple(match[name] for name in (*SELECTORS, "time_years"))
                groups.setdefault(key, []).append(match)
        for group in groups.values():
            yield (
                f"{place} {published['endpoint']} {group[0]['term'] or group[0]['statistic']}",
                published,
                group,
            )


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(load_example("atkins2016"), "atkins2016")


def test_the_example_has_no_error() -> None:
    assert find_problems(load_example("atkins2016")).filter(pl.col("severity") == "error").is_empty()


@pytest.mark.parametrize(("published", "matches"), [pytest.param(p, m, id=name) for name, p, m in asserted()])
def test_published_number(
    analysis: Analysis, published: dict[str, str], matches: list[dict[str, str]]
) -> None:
    rows = analysis.estimates.results
    for name in SELECTORS:
        if wanted := matches[0][name]:
            rows = rows.filter(pl.col(name) == wanted)  # missing is not the wanted one
    if at := matches[0]["time_years"]:
        rows = rows.filter((pl.col("time_years") - float(at)).abs() < 0.005)
    assert rows.height, "the results hold no such row"

    def agrees(row: dict[str, float | None], match: dict[str, str]) -> bool:
        ours = row[match["which"]]
        printed = float(published[ANSWERS[match["which"]]])
        half_unit = 0.5 * 10 ** -int(match["decimals"]) + 1e-9
        return ours is not None and abs(ours * float(match["scale"]) - printed) <= half_unit

    columns = [match["which"] for match in matches]
    assert any(all(agrees(row, match) for match in matches) for row in rows.to_dicts()), rows.select(
        "method", *columns
    )


def only(analysis: Analysis, **wanted: str) -> pl.DataFrame:
    return analysis.estimates.results.filter(*(pl.col(name) == value for name, value in wanted.items()))


def test_follow_up_range_and_total(analysis: Analysis) -> None:
    years = analysis.outcomes.patient_values.filter(
        pl.col("topic") == "follow_up", pl.col("term") == "last_contact"
    )
    alive = years.filter(pl.col("value") == "alive")["number"]
    assert (alive.len(), f"{alive.min():.1f}", f"{alive.max():.1f}") == (23, "3.9", "12.7")
    (total,) = only(analysis, endpoint="follow_up", term="total")["estimate"].to_list()
    assert total == pytest.approx(179.0, abs=0.02)


def test_relapse_rates_before_and_after(analysis: Analysis) -> None:
    before = only(analysis, endpoint="relapses", term="before", statistic="rate").row(0, named=True)
    assert before["person_years"] == pytest.approx(140.0, abs=0.02)
    # exact Poisson limits of 167 in 140.0: R poisson.test gives 1.019 and 1.388
    assert (before["lower"], before["upper"]) == pytest.approx((1.019, 1.388), abs=5e-4)
    after = only(analysis, endpoint="relapses", term="after", statistic="rate")
    assert {row["sided"]: round(row["upper"], 4) for row in after.to_dicts()} == {
        "two": 0.0206,
        "upper": 0.0167,
    }


def test_first_and_last_infusion(analysis: Analysis) -> None:
    for term, month in (("infusion_first", "2001-10"), ("infusion_last", "2009-12")):
        (note,) = only(analysis, endpoint="baseline", term=term)["note"].to_list()
        assert note.startswith(month)


@pytest.mark.parametrize(
    ("estimand", "percent"),
    [
        ("as_published", {(69.6, 46.6, 84.2), (69.6, 47.1, 86.8)}),
        ("everyone_counted", {(66.7, 44.3, 81.7), (66.7, 44.7, 84.4)}),
    ],
)
def test_activity_free_survival_both_ways_with_both_intervals(
    analysis: Analysis, estimand: str, percent: set[tuple[float, float, float]]
) -> None:
    rows = only(
        analysis, endpoint="activity_free_survival", component="composite", estimand=estimand,
        statistic="survival_probability",
    ).filter((pl.col("time_years") - 3).abs() < 0.005)  # fmt: skip
    found = {tuple(round(100 * row[k], 1) for k in ("estimate", "lower", "upper")) for row in rows.to_dicts()}
    assert found == percent
    assert set(rows["n_at_risk"]) == {16}


def reference() -> dict[str, float]:
    """Values of tests/reference/atkins2016.R, computed by lme4 and survival from the committed tables."""
    path = Path(__file__).parent / "reference" / "atkins2016.csv"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {row["quantity"]: float(row["value"]) for row in csv.DictReader(lines)}


def test_survival_agrees_with_r(analysis: Analysis) -> None:
    rows = only(analysis, endpoint="activity_free_survival", component="composite", estimand="as_published")
    rows = rows.filter(
        (pl.col("time_years") - 3).abs() < 0.005, pl.col("method").str.contains("log-log", literal=True)
    )
    values = reference()
    wanted = [values[f"survival_3y{name}"] for name in ("", "_lower", "_upper")]
    assert rows.select("estimate", "lower", "upper").row(0) == pytest.approx(wanted, rel=1e-10)


def test_mixed_model_agrees_with_lme4(analysis: Analysis) -> None:
    values = reference()
    n_scans = analysis.outcomes.patient_values.filter(pl.col("topic") == "brain_volume").height
    for term in ("early_change", "late_slope"):
        row = only(analysis, endpoint="brain_volume", component="break 2.5 y", term=term).row(0, named=True)
        assert row["estimate"] == pytest.approx(values[f"{term} {n_scans}"], rel=1e-6)
        assert row["std_error"] == pytest.approx(values[f"{term}_std_error {n_scans}"], rel=1e-6)


@pytest.mark.parametrize("cut", [5.5, 6.0])
@pytest.mark.parametrize("period", [84, 168, 336])
def test_8_progress_and_8_improve_under_every_rule(period: int, cut: float) -> None:
    definition = load_definition("atkins2016")
    threshold = [{"from_value": 0, "change": 1.5}, {"from_value": 0.5, "change": 1.0}]
    threshold.append({"from_value": cut, "change": 0.5})
    rule = vary(
        definition.disability_rule("edss"),
        confirmation_periods_days=[period],
        worsening_threshold=threshold,
        improvement_threshold=threshold,
    )
    outcomes = derive_outcomes(check(load_example("atkins2016")), replace(definition, disability=(rule,)))
    events = outcomes.events.filter(pl.col("kind") == "disability")
    counts = dict(events.group_by("direction").agg(pl.col("patient_id").n_unique()).iter_rows())
    assert counts == {"worsening": 8, "improvement": 8}
    assert events.height == 16, "one change each"
