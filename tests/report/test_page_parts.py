"""The parts of the page that can be tried alone: words, masks, quoting, comparing with what was published."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.definitions import list_definitions, load_definition, vary
from ahsct.report.answer import answer_sentences
from ahsct.report.check_r import check_script
from ahsct.report.csv_safe import quote_formulas, write_safe_csv
from ahsct.report.formats import SPACE, interval, quantity, time_words
from ahsct.report.methods import methods_text
from ahsct.report.published import published_table
from ahsct.report.share import is_small, mask_results, printed_steps
from ahsct.report.words import estimand_rows
from ahsct.vocabulary import RESULTS, from_rows


def row(**columns: Any) -> dict[str, Any]:
    return {name: None for name in RESULTS} | {
        "study_id": "s", "data_kind": "observed", "endpoint": "toxicity", "definition": "d", "definition_hash": "h",
        "estimand": "as_observed", "population": "infused", "arm": "all", "statistic": "proportion",
        "unit": "probability", "unit_of_analysis": "patient", "sided": "two", "n": 100, "method": "m",
    } | columns  # fmt: skip


def leaves(value: Any, path: str = "") -> list[str]:
    """Return the dotted path of every field of a definition, items named by their id or measure."""
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in leaves(item, f"{path}.{name}".strip("."))]
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], dict) and path != "marks":
        if "id" in value[0] or "measure" in value[0]:
            return [
                leaf for item in value for leaf in leaves(item, f"{path}.{item.get('id') or item['measure']}")
            ]
    return [path]


@pytest.mark.parametrize("id", list_definitions())
def test_methods_text_puts_every_field_into_words(id: str) -> None:
    definition = load_definition(id)
    said = [field for _, statements in methods_text(definition) for s in statements for field in s.fields]
    for leaf in leaves(asdict(definition)):
        assert any(leaf == field or leaf.startswith(f"{field}.") for field in said), leaf


@pytest.mark.parametrize("id", list_definitions())
def test_methods_text_prints_every_mark(id: str) -> None:
    definition = load_definition(id)
    notes = " ".join(s.note for _, statements in methods_text(definition) for s in statements)
    for mark in definition.marks:
        if mark.field.split(".")[0] != "source":
            assert mark.note in notes, mark.field


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("disability__edss__confirmed_by", "monotonic", "is at or beyond the value of the visit before"),
        ("disability__edss__sustained_days", 365, "hold for at least 365 days"),
        ("disability__edss__unconfirmed_at_end", "event", "counts as an event"),
        ("disability__edss__confirmation_periods_days", [84, 168], "after 84 or 168 days"),
        ("mri__min_lesions_n", 2, "at least 2 lesions"),
        ("relapses__confirmed_by_examiner", True, "Only relapses confirmed by an examiner"),
        ("rebaseline__mri__risk_starts", "rebaseline", "delayed entry"),
        ("interval", "arcsine", "arcsine square root"),
        ("time_zero__comparability", "as_treated_not_comparable", "not comparable"),
    ],
)
def test_a_changed_field_changes_its_sentence(field: str, value: Any, said: str) -> None:
    before, after = (
        " ".join(s.text for _, statements in methods_text(definition) for s in statements)
        for definition in (
            load_definition("atkins2016"),
            vary(load_definition("atkins2016"), **{field: value}),
        )
    )
    assert said in after
    assert said not in before or field.endswith("unconfirmed_at_end")
    assert before != after


def test_an_assumption_is_printed_with_its_estimand() -> None:
    definition = vary(
        load_definition("atkins2016"),
        estimands__everyone_counted__rescue={
            "strategy": "hypothetical",
            "handling": "censor",
            "assumption": "rescued patients are like the others",
        },
    )
    columns, rows = estimand_rows(definition)
    assert columns[1:] == tuple(estimand.label.split(":")[0] for estimand in definition.estimands)
    assert (
        "assumption: rescued patients are like the others"
        in dict((r[0], r[2]) for r in rows)["Rescue treatment"]
    )
    assert "Death from the treatment" in [r[0] for r in rows]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"lower": 0.466, "upper": 0.842, "conf_level": 0.95}, "46.6–84.2 % (95 %)"),
        ({"lower": 0.0, "upper": 0.148, "conf_level": 0.9}, "0.0–14.8 % (90 %)"),
        ({"lower": -3.9, "upper": -2.7, "conf_level": 0.95, "unit": "percent"}, "−3.9 to −2.7 (95 %)"),
        ({"lower": 5.1, "upper": None, "conf_level": 0.95, "unit": "years"}, "5.1 to no upper limit (95 %)"),
        ({"conf_level": 0.95}, "no interval can be given"),
        ({}, ""),
        ({"upper": 0.00008, "conf_level": 0.95, "sided": "upper"}, "at most <0.1 % (one-sided 95 %)"),
    ],
)  # fmt: skip
def test_intervals_in_words(columns: dict[str, Any], said: str) -> None:
    assert interval(row(**columns)).replace(SPACE, " ") == said


def test_quantities_in_words() -> None:
    assert quantity(None, "probability") == "not estimable"
    assert quantity(-0.23, "percent per year").replace(SPACE, " ") == "−0.23 % per year"
    assert quantity(6.7, "years") == "6.7 years"
    assert quantity(-0.0, "percent").replace(SPACE, " ") == "0.0 %"
    assert quantity(11.5, "days") == "11.5 days"
    assert time_words(28 / 365.25) == "28 days"


def test_competing_deaths_are_said_as_incidence() -> None:
    definition = load_definition("atkins2016")
    headline = row(
        endpoint="activity_free_survival", component="composite", estimand="everyone_counted", estimate=0.3,
        statistic="cumulative_incidence", time_years=1096 / 365.25, lower=0.2, upper=0.4, conf_level=0.95,
    )  # fmt: skip
    (said,) = answer_sentences([headline], definition)
    assert "an estimated 30.0 % had an event within 3 years" in said.replace(SPACE, " ")
    assert said.replace(SPACE, " ").endswith("compatible with 20.0 % to 40.0 % (95 % interval).")
    died, relapsed = answer_sentences(
        [headline | {"term": "competing_treatment_death"}, headline | {"term": "relapse"}], definition
    )
    assert "30.0 % died of the treatment before any such event within 3 years" in died.replace(SPACE, " ")
    assert "30.0 % had relapse as the first event within 3 years" in relapsed.replace(SPACE, " ")


@given(st.text(max_size=12), st.floats(allow_nan=False, allow_infinity=False))
def test_no_text_of_a_csv_starts_a_formula(text: str, value: float) -> None:
    quoted = quote_formulas(pl.DataFrame({"text": [text], "value": [value], "list": [[text]]}))
    assert quoted["text"][0][:1] not in set("=+-@\t\r\n") - {""}
    assert quoted["list"][0][:1] not in set("=+-@\t\r\n") - {""}
    assert quoted["text"][0].removeprefix("'") == text.removeprefix("'")
    assert quoted["value"][0] == value


def test_csv_keeps_missing_apart_from_text(tmp_path: Path) -> None:
    write_safe_csv(
        pl.DataFrame({"a": [None, "x,y", "-1"], "b": [-1.0, None, 0.1]}), tmp_path / "new" / "t.csv"
    )
    with (tmp_path / "new" / "t.csv").open(newline="") as handle:
        assert list(csv.reader(handle)) == [["a", "b"], ["", "-1.0"], ["x,y", ""], ["'-1", "0.1"]]


@given(st.lists(st.integers(0, 40), max_size=6))
def test_no_small_difference_stands_in_a_shared_flow(counts: list[int]) -> None:
    shown = [count for count in printed_steps(counts) if count is not None]
    assert not any(is_small(count) for count in shown)
    assert not any(is_small(abs(one - other)) for one in shown for other in shown)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6))
def test_no_hidden_count_of_a_list_can_be_found_by_subtraction(counts: list[int]) -> None:
    """What is hidden of a list with a known total is nothing, zero in all, or 5 or more over two cells."""
    n = sum(counts)
    rows = [
        row(term=f"worst_severity: {place}", n=n, n_events=count, estimate=0.1)
        for place, count in enumerate(counts)
    ]
    masked = mask_results(from_rows(rows, RESULTS))
    hidden = [count for count, reason in zip(counts, masked["hidden"], strict=True) if reason]
    for count, reason in zip(counts, masked["hidden"], strict=True):
        assert reason or not (is_small(count) or is_small(n - count))
    if hidden and sum(hidden) < n:
        assert len(hidden) >= 2
        assert sum(hidden) >= 5
    assert masked.filter(pl.col("hidden") != "").select("estimate", "lower", "n", "n_events").null_count().sum_horizontal().sum() == 4 * len(hidden)  # fmt: skip


def test_shared_results_give_months_not_days() -> None:
    masked = mask_results(
        from_rows(
            [
                row(endpoint="follow_up", statistic="median", unit="years", estimate=6.71, n=100),
                row(endpoint="baseline", statistic="date", unit="date", note="2001-10-12"),
                row(endpoint="work", note="2 first detected later", n_events=50, estimate=0.5),
                row(endpoint="mri", unit_of_analysis="scan", n=314, n_events=1, estimate=1 / 314),
            ],
            RESULTS,
        )
    )
    assert masked["estimate"][0] == pytest.approx(81 / 12, abs=1e-12)  # 6.71 years are 80.5 months
    assert masked["note"][1] == "2001-10"
    assert "2 first" not in masked["note"][2]
    assert masked["hidden"].to_list() == ["", "", "", "<5"]


def test_shared_results_hide_days_that_no_month_can_stand_for() -> None:
    rows = [
        row(statistic="median_time", unit="days", estimate=days, n=100, n_events=100)
        for days in (11.5, 200.0)
    ]
    masked = mask_results(from_rows(rows, RESULTS))
    assert masked["hidden"].to_list() == ["hidden: too short to be rounded to months", ""]
    assert masked["estimate"][0] is None
    assert masked["estimate"][1] == pytest.approx(7 * 365.25 / 12, abs=1e-9)  # 200 days are 6.57 months


PUBLISHED = {
    "endpoint": "survival", "estimate": "70", "estimate_num": "70.0", "unit": "percent", "reproduced": "asserted",
    "our_endpoint": "toxicity", "our_which": "estimate", "our_scale": "100", "our_decimals": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(16 / 23, "agrees"), (0.6951, "agrees"), (0.6949, "differs"), (0.7051, "differs"), (None, "differs")],
)
def test_a_published_number_agrees_to_half_its_last_digit(ours: float | None, verdict: str) -> None:
    table = published_table(pl.DataFrame([PUBLISHED]), [row(estimate=ours)])
    assert table is not None
    assert dict(zip(table.columns, table.rows[0], strict=True))["Verdict"] == verdict


def test_both_limits_must_come_from_the_named_interval() -> None:
    line = PUBLISHED | {"ci_low": "46.6", "ci_high": "84.2", "our_decimals": "1", "our_method": "log-log"}
    lines = pl.DataFrame([line | {"our_which": which} for which in ("lower", "upper")])
    exact = row(lower=0.466, upper=0.842, method="Clopper-Pearson")
    transformed = row(lower=0.466, upper=0.868, method="Kaplan-Meier, log-log")
    table = published_table(lines, [exact, transformed])
    assert table is not None
    assert "differs" in table.rows[0]
    table = published_table(lines, [exact, transformed | {"upper": 0.842}])
    assert table is not None
    assert "agrees" in table.rows[0]


def test_a_published_number_without_a_row_of_ours_is_not_found() -> None:
    table = published_table(pl.DataFrame([PUBLISHED]), [row(endpoint="work")])
    assert table is not None
    assert "not found" in table.rows[0]


def test_names_cannot_leave_the_comment_or_the_string_of_the_script() -> None:
    definition = vary(load_definition("atkins2016"), endpoints__activity_free_survival__label='a"\nquit()\n#')
    lines = check_script(definition).splitlines()
    assert not any(line.startswith("quit()") for line in lines)
