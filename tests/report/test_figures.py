"""Every figure: drawn, readable as XML, the same bytes twice, and its text alternative holds the numbers."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest

from ahsct.report import figures
from ahsct.report.figures import Drawing
from ahsct.tables import make_study
from ahsct.vocabulary import CURVE, EVENTS, FLOW, PATIENT_VALUES, RESULTS, conform, empty, from_rows

DRAWS: dict[str, Callable[..., Drawing | None]] = {
    "flow": lambda c: figures.draw_flow(c.flow, data_kind=c.study.data_kind),
    "curve": lambda c: figures.draw_curve(c.curves, results=c.results, data_kind=c.study.data_kind),
    "components": lambda c: figures.draw_components(c.curves, data_kind=c.study.data_kind),
    "deaths of treatment": lambda c: figures.draw_incidence(
        c.curves, endpoint="treatment_related_mortality", data_kind=c.study.data_kind
    ),
    "engrafted": lambda c: figures.draw_incidence(
        c.curves, endpoint="neutrophil_engraftment", unit="days", until=30, data_kind=c.study.data_kind
    ),
    "estimates": lambda c: figures.draw_estimates(
        c.results.filter(pl.col("statistic") == "survival_probability"), data_kind=c.study.data_kind
    ),
    "swimmer": lambda c: figures.draw_swimmer(c.study, c.events),
    "edss_courses": lambda c: figures.draw_edss_courses(
        c.study, c.events, c.confirmations, patient_values=c.patient_values
    ),
    "edss_heat_map": lambda c: figures.draw_edss_heat_map(c.study),
    "edss_transitions": lambda c: figures.draw_edss_transitions(c.study, c.patient_values),
    "relapses": lambda c: figures.draw_relapses_before_after(
        c.patient_values, c.results, data_kind=c.study.data_kind
    ),
    "mri": lambda c: figures.draw_mri(c.study, c.events, c.patient_values),
    "brain_volume": lambda c: figures.draw_brain_volume(
        c.patient_values, c.results, norms=NORMS, data_kind=c.study.data_kind
    ),
    "engraftment": lambda c: figures.draw_engraftment(c.study),
    "worst_severity": lambda c: figures.draw_worst_severity(
        c.patient_values, c.results, data_kind=c.study.data_kind
    ),
    "toxicity": lambda c: figures.draw_toxicity(c.patient_values, data_kind=c.study.data_kind),
    "deaths": lambda c: figures.draw_deaths(c.study, c.patient_values),
    "work": lambda c: figures.draw_work(c.patient_values, c.results, data_kind=c.study.data_kind),
    "improved": lambda c: figures.draw_improved_and_alive(c.results, data_kind=c.study.data_kind),
}
NORMS = {
    "sloping": pl.DataFrame({"age_years": [45.0, 55.0], "mean_pct_per_year": [-0.15, -0.3]}),
    "flat": pl.DataFrame({"age_years": [None], "mean_pct_per_year": [-0.27]}, schema_overrides={"age_years": pl.Float64}),
    "of the old": pl.DataFrame({"age_years": [80.0, 90.0], "mean_pct_per_year": [-0.6, -0.9]}),
}  # fmt: skip
COURSES = {"swimmer", "edss_courses", "edss_heat_map", "relapses", "brain_volume", "engraftment", "deaths"}
# what the text alternative must say; each number counted by hand from tests/report/conftest.py
SAYS = {
    "flow": ["Collected: 24 patients; left out: 1 (stem cells could not be collected)"],
    "curve": ["69.6 % (47.1–86.8 Clopper-Pearson; 46.6–84.2 log(-log))", "66.7 % (44.7–84.4", "23 at 0 y", "24 at 0 y"],
    "components": ["No relapse: 100.0 % at 3 years, 0 events, 23 at risk", "No EDSS worsening: 65.2 % at 3 years, 8 events"],
    "deaths of treatment": ["treatment-related: 4.2 %", "other death: 0.0 %", "At risk (all causes): 24 at 0 y, 23 at 1 y"],
    "engrafted": ["engrafted: 100.0 % at 30 days", "death: 0.0 % at 30 days"],
    "estimates": ["everyone counted; log(-log): 66.7 % (44.3–81.7)"],
    "swimmer": ["24 patients", "Relapse: 1 in 1 patient.", "EDSS worsening: 8 in 8 patients.", "New DMT: 1 in 1", "Death: 1", "Followed on: 23"],
    "edss_courses": ["24 of 24 patients", "EDSS worsening: 8", "EDSS improvement: 8", "confirmed: 16", "P01 3,"],
    "edss_heat_map": ["24 patients", "lower in 8, the same in 8, higher in 8"],
    "edss_transitions": ["Year 1, of 24:", "dead 1, not seen 0"],
    "relapses": ["167 relapses in 140 patient-years, 1.19 a year (95 % two-sided 1.02–1.39)", "0.0000–0.0206; 95 % one-sided at most 0.0167"],
    "mri": ["on 40 scans", "After: 0 of", "23 early scans left out"],
    "brain_volume": ["−3.30 % (−4.10 to −2.50)", "−0.23 % a year (−0.41 to −0.05)", "Norm sloping (ages 45–55): −0.30 to −0.15 %", "flat (one value for all ages): −0.27"],
    "engraftment": ["Neutrophils: lowest median 0.0095", "on day 6 (24 patients)", "Platelets"],
    "worst_severity": ["mild: 15 of 24", "moderate: 7 of 24", "fatal: 1 of 24", "not stated: 1 of 24"],
    "toxicity": ["Infections: 15 mild, 7 moderate, 1 fatal, 1 not stated."],
    "deaths": ["1 death in 24 patients: day 22, treatment-related."],
    "work": ["7 of 19", "36.8 % (16.3–61.6)"],
    "improved": ["Year 3: 33.0 % (15.0–53.0), n = 24."],
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn(cohort) -> dict[str, Drawing]:
    return {name: draw(cohort) for name, draw in DRAWS.items()}


@pytest.mark.parametrize("name", DRAWS)
def test_svg_stands_alone(drawn, name):
    svg = drawn[name].svg
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    assert root.get("viewBox").startswith("0 0 450 ")
    assert root.get("width") is None
    assert root.get("aria-label") == drawn[name].alt
    assert not re.search(r"<(script|style|image|metadata|foreignObject)", svg)
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', svg))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", svg))
    assert set(re.findall(r"https?://[^\s\"<]+", svg)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert len(svg) < 250_000


@pytest.mark.parametrize("name", DRAWS)
def test_text_alternative_holds_the_numbers(drawn, name):
    said = drawn[name].alt.replace("\u00a0", " ")
    for words in SAYS[name]:
        assert words in said


def test_words_can_be_selected(drawn):
    words = [text.text for text in ET.fromstring(drawn["flow"].svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"Collected", "n = 24", "Infused"} <= set(words)


def test_words_stand_where_the_axes_end_up(cohort):
    """The labels of the survival axis, 210 pt high: 0 % at its foot, 100 % at 1 / 1.02 of it."""
    svg = figures.draw_curve(cohort.curves, results=cohort.results, milestone_years=None).svg
    y = {
        text.text: float(text.get("y"))
        for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
        if text.text in ("0 %", "100 %")
    }
    assert y["0 %"] - y["100 %"] == pytest.approx(210 / 1.02, abs=0.02)


@pytest.mark.parametrize("name", DRAWS)
def test_invented_courses_are_called_so(drawn, name):
    drawing = drawn[name]
    assert "reconstructed from published totals" in drawing.caption
    assert ("invented courses" in drawing.caption) == (name in COURSES)
    assert drawing.alt.startswith("Invented courses.") == (name in COURSES)


def test_ids_are_unique_on_a_page_of_all(drawn):
    ids = re.findall(r' id="([^"]+)"', "".join(drawing.svg for drawing in drawn.values()))
    assert ids
    assert len(ids) == len(set(ids))


def test_every_reference_has_its_target(drawn):
    for drawing in drawn.values():
        ids = set(re.findall(r' id="([^"]+)"', drawing.svg))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', drawing.svg)) <= ids


@pytest.mark.parametrize("name", ["curve", "swimmer", "engraftment", "edss_heat_map"])
def test_same_bytes_twice(drawn, cohort, name):
    assert DRAWS[name](cohort).svg == drawn[name].svg


def test_readers_settings_have_no_influence(drawn, cohort):
    import matplotlib

    with matplotlib.rc_context({"font.size": 30.0, "axes.facecolor": "red", "svg.hashsalt": None}):
        assert DRAWS["curve"](cohort).svg == drawn["curve"].svg
        assert matplotlib.rcParams["font.size"] == 30.0


def test_observed_patients_bear_no_note(cohort):
    study = replace(cohort.study, data_kind="observed")
    drawing = figures.draw_swimmer(study, cohort.events)
    assert "invented" not in drawing.caption + drawing.alt


def test_nothing_to_draw_is_none():
    study = make_study(
        "bare", data_kind="observed", patients=pl.DataFrame({"patient_id": ["a"]}),
        visits=pl.DataFrame({"patient_id": ["a"], "visit_day": [0], "edss": [3.0]}),
    )  # fmt: skip
    values, results, curves, events = empty(PATIENT_VALUES), empty(RESULTS), empty(CURVE), empty(EVENTS)
    assert figures.draw_flow(empty(FLOW)) is None
    assert figures.draw_curve(curves, results=results) is None
    assert figures.draw_components(curves) is None
    assert figures.draw_incidence(curves, endpoint="treatment_related_mortality") is None
    assert figures.draw_estimates(results) is None
    assert figures.draw_swimmer(study, events) is None
    assert figures.draw_edss_courses(study, events, pl.DataFrame()) is None
    assert figures.draw_edss_heat_map(study) is None
    assert figures.draw_edss_transitions(study, values) is None
    assert figures.draw_relapses_before_after(values, results) is None
    assert figures.draw_mri(study, events, values) is None
    assert figures.draw_brain_volume(values, results) is None
    assert figures.draw_engraftment(study) is None
    assert figures.draw_worst_severity(values, results) is None
    assert figures.draw_toxicity(values) is None
    assert figures.draw_deaths(study, values) is None
    assert figures.draw_work(values, results) is None
    assert figures.draw_improved_and_alive(results) is None


def test_curve_of_one_patient_censored_at_once():
    row = {
        "study_id": "s", "endpoint": "activity_free_survival", "component": "composite", "definition": "d",
        "estimand": "e", "population": "infused", "arm": "all", "time_years": 0.0, "n_at_risk": 1, "n_events": 0,
        "n_censored": 1, "estimate": 1.0, "std_error": 0.0, "conf_level": 0.95, "method": "m",
    }  # fmt: skip
    drawing = figures.draw_curve(from_rows([row], CURVE))
    assert drawing.data["n_at_risk"].to_list()[0] == 1
    assert "100.0" in drawing.alt


def test_a_milestone_after_the_last_follow_up_is_not_estimable():
    label = {"endpoint": "activity_free_survival", "component": "composite", "estimand": "e", "arm": "all"}
    row = label | {
        "study_id": "s", "definition": "d", "population": "infused", "time_years": 0.0, "n_at_risk": 1,
        "n_events": 0, "n_censored": 1, "estimate": 1.0, "std_error": 0.0, "conf_level": 0.95, "method": "m",
    }  # fmt: skip
    late = label | {"statistic": "survival_probability", "time_years": 3.0, "estimate": None}
    results = from_rows([late], RESULTS)
    drawing = figures.draw_curve(from_rows([row], CURVE), results=results, milestone_years=3.0)
    assert "at 3 years not estimable" in drawing.alt


def test_curve_that_falls_to_zero_has_no_further_risk():
    rows = [
        {
            "study_id": "s", "endpoint": "activity_free_survival", "component": "composite", "definition": "d",
            "estimand": "e", "population": "infused", "arm": "all", "time_years": float(t), "n_at_risk": 3 - t,
            "n_events": 1, "n_censored": 0, "estimate": (2 - t) / 3, "std_error": 0.0, "conf_level": 0.95, "method": "m",
        }
        for t in range(3)
    ]  # fmt: skip
    drawing = figures.draw_curve(from_rows(rows, CURVE), milestone_years=1.0)
    # at 1 year: two of three were left just before; one event before it, and the curve is down to 1/3 there
    at_one = drawing.data.row(2, named=True)
    assert (at_one["time_years"], at_one["n_at_risk"], at_one["n_events"]) == (1.0, 2, 1)
    assert at_one["estimate"] == pytest.approx(1 / 3)
    assert "33.3" in drawing.alt


def test_arms_are_drawn_apart(cohort):
    both = pl.concat([cohort.curves.with_columns(arm=pl.lit(arm)) for arm in ("aHSCT", "<b>DMT</b> & $x$")])
    drawing = figures.draw_curve(both)
    assert drawing.data["curve"].n_unique() == 4
    assert "<b>" in drawing.alt
    assert "<b>" not in drawing.svg


@pytest.mark.parametrize("n", [1, 2, 45, 70])
def test_other_sizes_draw_without_a_warning(cohort_of, n):
    cohort = cohort_of(n)
    for name, draw in DRAWS.items():
        drawing = draw(cohort)
        if n == 1 and name in {"components", "brain_volume"}:  # the only patient died before any scan
            assert drawing is None
            continue
        assert drawing is not None, name
        assert len(drawing.svg) < 400_000, name
    if n > 60:
        assert f"A sample of 60 of {n} patients" in DRAWS["swimmer"](cohort).caption
        assert f"A sample of 24 of {n} patients" in DRAWS["edss_courses"](cohort).caption
        assert DRAWS["edss_heat_map"](cohort).data.columns == ["from_years", "edss", "n_patients"]


def test_nobody_worse_and_nobody_dead(cohort_of):
    cohort = cohort_of(3, data_kind="observed", n_worse=0, n_dead=0)
    assert "0 deaths in 3 patients" in DRAWS["deaths"](cohort).alt
    assert "100.0" in figures.draw_curve(cohort.curves).alt


def test_milestone_shows_the_step_without_results(cohort):
    drawing = figures.draw_curve(cohort.curves)
    assert "at 3 years 65.2" in drawing.alt.replace("\u00a0", " ")


def test_a_long_curve_stays_a_small_drawing():
    n = 20_000
    rows = pl.DataFrame(
        {
            "study_id": "s", "endpoint": "activity_free_survival", "component": "composite", "definition": "d",
            "estimand": "e", "population": "infused", "arm": "all", "time_years": [10 * (i + 1) / n for i in range(n)],
            "n_at_risk": range(n, 0, -1), "n_events": 1, "n_censored": 0, "std_error": 0.0, "conf_level": 0.95,
            "estimate": [1 - (i + 1) / n for i in range(n)], "method": "m",
        }
    )  # fmt: skip
    drawing = figures.draw_curve(conform(rows, CURVE), milestone_years=5.0)
    assert len(drawing.svg) < 150_000
    # the 8,000th event is at 4 years: 7,999 just before it, and 12,001 still at risk
    at_four = drawing.data.filter(pl.col("time_years") == 4.0).row(0, named=True)
    assert (at_four["n_at_risk"], at_four["n_events"]) == (12_001, 7_999)
    assert "50.0" in drawing.alt
