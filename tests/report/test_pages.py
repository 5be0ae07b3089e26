"""The report folder of a small analysis made by hand: what it says, what it hides, what it never does."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ahsct.analysis import Analysis
from ahsct.definitions import load_definition
from ahsct.errors import RequestError
from ahsct.estimates import Estimates
from ahsct.outcomes import Outcomes
from ahsct.report import write_report
from ahsct.report.check_r import check_script
from ahsct.report.pictures import PLACES
from ahsct.tables import Study
from ahsct.vocabulary import (
    CANDIDATES,
    CONFIRMATIONS,
    CURVE,
    EVENTS,
    FLOW,
    NOT_EVALUABLE,
    PATIENT_VALUES,
    RECURRENT,
    RESULTS,
    TIME_TO_EVENT,
    empty,
    from_rows,
)

DEFINITION = load_definition("atkins2016")
ARM = "aHSCT"
THREE_YEARS = 1096 / 365.25


def result(endpoint: str, statistic: str, estimate: float | None, n: int, **columns: Any) -> dict[str, Any]:
    return {
        "study_id": "small",
        "data_kind": "reconstructed",
        "endpoint": endpoint,
        "definition": DEFINITION.id,
        "definition_hash": DEFINITION.hash,
        "estimand": "as_observed",
        "population": "infused",
        "arm": ARM,
        "statistic": statistic,
        "unit": "probability",
        "unit_of_analysis": "patient",
        "estimate": estimate,
        "conf_level": 0.95,
        "sided": "two",
        "n": n,
        "method": "Clopper-Pearson",
    } | columns


def headline(
    estimand: str, n: int, n_events: int, *intervals: tuple[float, float, str]
) -> list[dict[str, Any]]:
    # the limits are those of R (survfit log-log; binom.test) as in the reference on statistics
    return [
        result(
            "activity_free_survival", "survival_probability", 1 - n_events / n, n, component="composite",
            estimand=estimand, time_years=THREE_YEARS, n_events=n_events, n_at_risk=16, n_censored=0,
            lower=lower, upper=upper, method=method,
        )
        for lower, upper, method in intervals
    ]  # fmt: skip


ROWS = [
    *headline("as_published", 23, 7, (0.4656, 0.8417, "log(-log), Greenwood"), (0.4708, 0.8679, "Clopper-Pearson")),
    *headline("everyone_counted", 24, 8, (0.4426, 0.8168, "log(-log), Greenwood"), (0.4468, 0.8437, "Clopper-Pearson")),
    result("baseline", "median", 34.0, 24, term="age_years", unit="years", conf_level=None),
    result("baseline", "minimum", 21.0, 24, term="age_years", unit="years", conf_level=None),
    result("baseline", "maximum", 47.0, 24, term="age_years", unit="years", conf_level=None),
    result("baseline", "count", 12.0, 24, term="ms_course: RRMS", unit="patients", conf_level=None),
    result("baseline", "date", None, 24, term="infusion_first", unit="date", note="2001-10-12", conf_level=None),
    result("relapses", "rate", 167 / 140, 24, term="before", unit="per patient-year", lower=1.0188, upper=1.3881,
           n_events=167, person_years=140.0, method="exact Poisson", unit_of_analysis="patient_year"),
    result("relapses", "rate", 0.0, 24, term="after", unit="per patient-year", lower=0.0, upper=0.0206083,
           n_events=0, person_years=179.0, method="exact Poisson", unit_of_analysis="patient_year"),
    result("relapses", "rate", 0.0, 24, term="after", unit="per patient-year", upper=0.0167359, sided="upper",
           n_events=0, person_years=179.0, method="exact Poisson", unit_of_analysis="patient_year"),
    result("mri", "proportion", 0.0, 314, term="after", unit_of_analysis="scan", lower=0.0, upper=0.0117, n_events=0,
           method="Clopper-Pearson; scans treated as independent"),
    result("mri", "proportion", 0.0, 23, term="after", population="survivors", lower=0.0, upper=0.1482, n_events=0),
    result("treatment_related_mortality", "proportion", 1 / 24, 24, term="crude", lower=0.00105, upper=0.2112,
           n_events=1),
    result("toxicity", "proportion", 14 / 24, 24, term="worst_severity: mild", n_events=14, lower=0.3664, upper=0.7789,
           mark="illustration"),
    result("toxicity", "proportion", 8 / 24, 24, term="worst_severity: moderate", n_events=8, lower=0.1563,
           upper=0.5532),
    result("toxicity", "proportion", 1 / 24, 24, term="worst_severity: fatal", n_events=1, lower=0.00105, upper=0.2112),
    result("toxicity", "proportion", 1 / 24, 24, term="worst_severity: not stated", n_events=1, lower=0.00105,
           upper=0.2112),
    result("brain_volume", "mixed_model", -3.3, 19, term="early_change", unit="percent", lower=-3.9, upper=-2.7,
           population="with brain scans", method="mixed model"),
    result("something_new", "proportion", 0.5, 24, n_events=12, lower=0.2912, upper=0.7088),
]  # fmt: skip


def time_to_event() -> pl.DataFrame:
    """24 patients: 7 events before 3 years, one death on day 60, the others followed for 2,000 days or more."""
    rows = []
    for estimand in ("as_published", "everyone_counted"):
        for number in range(24):
            died = number == 23
            if died and estimand == "as_published":
                continue
            is_event = number < 7 or died
            day = 60 if died else 150 + 100 * number if is_event else 2000 + number
            rows.append(
                {
                    "patient_id": f"P{number + 1:02}", "arm": ARM, "endpoint": "activity_free_survival",
                    "component": "composite", "definition": DEFINITION.id, "estimand": estimand,
                    "population": "infused", "entry_day": 0, "left_day": day - 60, "right_day": day if is_event else None,
                    "time_day": day, "is_event": is_event, "cause_is_certain": True, "is_evaluable": True,
                    "cause": "death" if died else "edss_worsening" if is_event else None,
                }
            )  # fmt: skip
    return from_rows(rows, TIME_TO_EVENT)


def analysis_of(**changes: Any) -> Analysis:
    study = Study(
        study_id=changes.get("study_id", "small"),
        tables={},
        data_kind=changes.get("data_kind", "reconstructed"),
        sources={"folder/patients.csv": "0" * 64},
        set_aside=pl.DataFrame({"patient_id": ["P99"], "n_problems": [2], "rules": ["dates_out_of_order"]}),
    )
    steps = (("enrolled", 26, 0), ("mobilised", 25, 1), ("infused", 24, 1))
    outcomes = Outcomes(
        events=changes.get("events", empty(EVENTS)),
        confirmations=empty(CONFIRMATIONS),
        candidates=empty(CANDIDATES),
        time_to_event=time_to_event(),
        recurrent=empty(RECURRENT),
        patient_values=from_rows(
            [
                {"patient_id": "P07", "arm": ARM, "topic": "mri_left_out", "term": "scan", "period": "early",
                 "day": 34, "number": 1.0, "mark": "inferred"},
                {"patient_id": "P24", "arm": ARM, "topic": "death", "term": "death", "period": "after", "day": 60,
                 "number": 60.0, "value": "treatment-related"},
                {"patient_id": "P24", "arm": ARM, "topic": "toxicity_organ", "term": "Hepatobiliary disorders",
                 "period": "mobilisation to day 100", "value": "fatal"},
            ],
            PATIENT_VALUES,
        ),
        not_evaluable=from_rows(
            [
                {"endpoint": "work", "definition": DEFINITION.id, "reason": "the study has no table employment"},
                {"patient_id": "P03", "endpoint": "sustained_change", "definition": DEFINITION.id,
                 "reason": "no visit near day 1096"},
            ],
            NOT_EVALUABLE,
        ),
        flow=from_rows(
            [
                {"step": step, "population": step, "arm": ARM, "n": n, "n_left_out": left, "reason": f"withdrew: {left}" if left else ""}
                for step, n, left in steps
            ],
            FLOW,
        ),
    )  # fmt: skip
    return Analysis(
        study=study,
        definition=changes.get("definition", DEFINITION),
        outcomes=outcomes,
        estimates=Estimates(results=from_rows(changes.get("rows", ROWS), RESULTS), curves=empty(CURVE)),
        provenance={"cutoff": None},
    )


def published() -> pl.DataFrame:
    own = {
        "endpoint": "MS activity-free survival",
        "estimate": "69.6",
        "estimate_num": "69.6",
        "unit": "percent",
        "ci_low": "46.6",
        "ci_high": "84.2",
        "time_y": "3",
        "source_title": "abstract",
        "reproduced": "asserted",
    }
    ours = {
        "our_endpoint": "activity_free_survival",
        "our_component": "composite",
        "our_estimand": "as_published",
        "our_statistic": "survival_probability",
        "our_time_years": "3",
        "our_scale": "100",
        "our_decimals": "1",
    }
    deaths = {
        "endpoint": "deaths",
        "estimate": "2",
        "estimate_num": "2",
        "unit": "patients",
        "reproduced": "asserted",
        "our_endpoint": "treatment_related_mortality",
        "our_term": "crude",
        "our_which": "n_events",
    }
    ranges = {
        "endpoint": "age range",
        "estimate": "24–45",
        "reproduced": "not reproducible",
        "notes": "only the range is printed",
    }
    lines = [
        *(own | ours | {"our_which": which} for which in ("estimate", "lower", "upper")),
        deaths,
        ranges,
    ]  # fmt: skip
    return pl.DataFrame(
        [{name: line.get(name) for name in own | ours | deaths | ranges | {"notes": ""}} for line in lines]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(analysis_of(), tmp_path_factory.mktemp("page") / "report", published=published())


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return visible(folder)


def visible(folder: Path) -> str:
    """Return the words of the page: no tags, no style, single spaces."""
    page = (folder / "index.html").read_text(encoding="utf-8")
    bare = re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    return " ".join(bare.replace("\u00a0", " ").split())


@pytest.mark.parametrize(
    "said",
    [
        "an estimated 69.6 % reached 3 years free of any event; the data are compatible with 46.6 % to 84.2 % (95 % interval).",
        "46.6–84.2 % (95 %)", "47.1–86.8 % (95 %)", "66.7 %", "44.3–81.7 % (95 %)", "44.7–84.4 % (95 %)",
        "7 of 23 had an event; 16 still at risk at 3 years", "8 of 24 had an event", "not an estimand",
        "There is no control group", "median 34.0", "not published", "12 of 24 (50.0 %)", "2001-10-12",
        "0–0.0206", "at most 0.0167 (one-sided 95 %)", "scans treated as independent", "4.2 %", "0.1–21.1 % (95 %)",
        "−3.3 %", "−3.9 to −2.7", "the study has no table employment", "Other results", "50.0 %", "Something new",
        "patients are reconstructed from published totals and are not real people", "Invented courses",
        "No p value is given", "Patients set aside because their rows hold errors: 1.", "P07",
    ],
)  # fmt: skip
def test_the_page_says(text: str, said: str) -> None:
    assert said in text


def test_published_numbers_stand_beside_ours_with_a_verdict(folder: Path) -> None:
    table = pl.read_csv(folder / "tables" / "published.csv", infer_schema=False)
    assert table["Verdict"].to_list() == ["agrees", "differs", "not reproducible"]
    assert table["This analysis"][0] == "69.6, lower limit 46.6, upper limit 84.2"
    assert table["Reason, remark"][2] == "only the range is printed"
    assert table["Source"].to_list() == ["[1]", "", ""]


def test_a_number_off_by_one_in_its_last_digit_differs(tmp_path: Path) -> None:
    wrong = published().with_columns(ci_high=pl.when(pl.col("ci_high").is_not_null()).then(pl.lit("84.3")))
    out = write_report(analysis_of(), tmp_path / "report", published=wrong)
    assert pl.read_csv(out / "tables" / "published.csv", infer_schema=False)["Verdict"][0] == "differs"


def test_every_row_of_results_stands_on_the_page(folder: Path) -> None:
    cells = " ".join(path.read_text(encoding="utf-8") for path in (folder / "tables").glob("*.csv"))
    for row in ROWS:
        if (
            row["method"]
            and row["conf_level"]
            and row["estimate"] is not None
            and row["unit"] == "probability"
        ):
            assert f"{100 * row['estimate']:.1f}" in cells
    assert (folder / "tables" / "other.csv").is_file()


def test_exact_interval_comes_first_where_its_row_comes_first(tmp_path: Path) -> None:
    turned = [ROWS[1], ROWS[0], *ROWS[2:]]
    said = visible(write_report(analysis_of(rows=turned), tmp_path / "report"))
    assert said.index("47.1–86.8 %") < said.index("46.6–84.2 %")


def test_names_from_the_data_are_escaped(tmp_path: Path) -> None:
    spiteful = "<script>alert(1)</script>"
    rows = [dict(row, arm=spiteful if place % 2 else "b&b") for place, row in enumerate(ROWS)]
    out = write_report(analysis_of(study_id=spiteful, rows=rows), tmp_path / "report")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "b&amp;b" in page


def test_observed_patients_carry_no_banner_and_show_ranges(tmp_path: Path) -> None:
    said = visible(write_report(analysis_of(data_kind="observed"), tmp_path / "report"))
    assert "invented" not in said.casefold()
    assert "21.0–47.0" in said


def test_an_empty_analysis_says_so_and_shows_no_zero(tmp_path: Path) -> None:
    said = visible(write_report(analysis_of(rows=[]), tmp_path / "report"))
    assert "could not be estimated from these tables" in said
    assert "0.0 %" not in said


def test_files_of_the_folder(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        ".ahsct", "index.html", "results.csv", "events.csv", "time_to_event.csv", "not_evaluable.csv", "set_aside.csv",
        "provenance.json", "check.R", "tables", "figures",
    }  # fmt: skip
    assert pl.read_csv(folder / "results.csv", schema=RESULTS).equals(from_rows(ROWS, RESULTS))


def test_links_lead_to_files_of_the_folder(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r'href="([^"]+)"', page) if not target.startswith("data:")]
    ids = set(re.findall(r'\bid="([^"]+)"', page))
    assert len(targets) > 20
    for target in targets:
        assert target[1:] in ids if target.startswith("#") else (folder / target).is_file(), target
    assert len(ids) == len(re.findall(r'\bid="', page))


def test_two_runs_write_the_same_bytes_but_for_the_date(folder: Path, tmp_path: Path) -> None:
    again = write_report(analysis_of(), tmp_path / "report", published=published())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "provenance.json":
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path.name
    first, second = (json.loads((out / "provenance.json").read_text()) for out in (folder, again))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first.pop("created"))
    second.pop("created")
    assert first == second
    assert first["definition_sha256"] == DEFINITION.hash
    assert first["sources_sha256"] == {"patients.csv": "0" * 64}


def test_the_date_can_be_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1466467200")
    out = write_report(analysis_of(), tmp_path / "report")
    assert json.loads((out / "provenance.json").read_text())["created"] == "2016-06-21T00:00:00Z"


def test_a_foreign_folder_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match="not written by ahsct"):
        write_report(analysis_of(), tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_formulas_in_texts_are_quoted_and_numbers_stay_numbers(tmp_path: Path) -> None:
    rows = [dict(ROWS[0], note="=HYPERLINK(1)", arm="@SUM"), dict(ROWS[-2], note="-2+3")]
    out = write_report(analysis_of(rows=rows), tmp_path / "report")
    written = pl.read_csv(out / "results.csv", schema=RESULTS)
    assert written["note"].to_list() == ["'=HYPERLINK(1)", "'-2+3"]
    assert written["arm"][0] == "'@SUM"
    assert written["estimate"][1] == -3.3


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(
        analysis_of(), tmp_path_factory.mktemp("page") / "shared", share=True, published=published()
    )


def test_a_shared_report_holds_no_patient(shared: Path) -> None:
    assert not {"events.csv", "time_to_event.csv", "check.R", "not_evaluable.csv", "set_aside.csv"} & {
        path.name for path in shared.iterdir()
    }
    assert "left out of this shared version" in visible(shared)
    for path in (path for path in shared.rglob("*") if path.is_file()):
        assert not re.search(r"\bP\d\d\b", path.read_text(encoding="utf-8")), path.name


def test_a_shared_report_hides_small_counts_and_what_reveals_them(shared: Path) -> None:
    rows = pl.read_csv(shared / "results.csv", infer_schema=False)
    deaths = rows.row(by_predicate=pl.col("endpoint") == "treatment_related_mortality", named=True)
    assert (deaths["n_events"], deaths["estimate"], deaths["lower"]) == ("<5", "hidden", "hidden")
    # 24 - 14 - 8 = 2 would give fatal and not stated away, one each
    moderate = rows.row(by_predicate=pl.col("term") == "worst_severity: moderate", named=True)
    assert moderate["estimate"] == "hidden"
    flow = (shared / "tables" / "flow.csv").read_text(encoding="utf-8")
    assert "withdrew: <5" in flow
    assert ",25," not in flow  # 26 and 25 beside each other would tell it
    # 24 infused and 23 analysed would give the one death away
    assert rows.filter(pl.col("estimand") == "as_published")["n"].to_list() == ["hidden", "hidden"]
    assert rows.filter(pl.col("population") == "survivors")["n"].to_list() == ["hidden"]
    everyone = rows.filter(pl.col("estimand") == "everyone_counted")
    assert everyone["n_events"].to_list() == ["8", "8"]


def test_a_shared_report_says_less_on_the_page(shared: Path) -> None:
    said = visible(shared)
    assert "66.7 %" in said
    assert "2001-10 " in said
    # "16 of 23" is said by the definition, about what was published
    ours = said.split("Published beside reproduced")[0].replace("16 of 23", "")
    for hidden in ("4.2 %", "69.6 %", "2001-10-12", "1 of 24", "23", "8.3 %"):
        assert hidden not in ours, hidden


@pytest.mark.r
def test_check_r_prints_the_same_headline(folder: Path) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed: check.R was not run")
    done = subprocess.run(["Rscript", "check.R"], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "as_published, aHSCT, n = 23, events by day 1096: 7",
        "  69.6 % (46.6-84.2), Kaplan-Meier, log(-log)",
        "  69.6 % (47.1-86.8), Clopper-Pearson",
        "everyone_counted, aHSCT, n = 24, events by day 1096: 8",
        "  66.7 % (44.3-81.7), Kaplan-Meier, log(-log)",
        "  66.7 % (44.7-84.4), Clopper-Pearson",
    ]


@pytest.mark.r
@pytest.mark.parametrize(
    ("id", "days", "said"),
    [
        ("atkins2016", (400, 500, 600), ["  follow-up ends before that day"]),
        (
            "mist2019",
            (400, 1100, 1200),
            ["  33.3 %, cumulative incidence of competing_death (Aalen-Johansen)"],
        ),
    ],
)
def test_check_r_where_follow_up_is_short_and_where_deaths_compete(
    tmp_path: Path, id: str, days: tuple[int, ...], said: list[str]
) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed: check.R was not run")
    definition = load_definition(id)
    estimand = "while_alive" if id == "mist2019" else "everyone_counted"
    rows = [
        {
            "patient_id": str(day), "arm": "all", "endpoint": definition.primary_endpoint, "component": "composite",
            "definition": id, "estimand": estimand, "population": "infused", "entry_day": 0, "left_day": day,
            "time_day": day, "is_event": day == 400, "cause": "competing_death" if day == 400 else None,
            "cause_is_certain": True, "is_evaluable": True,
        }
        for day in days
    ]  # fmt: skip
    from_rows(rows, TIME_TO_EVENT).write_csv(tmp_path / "time_to_event.csv")
    (tmp_path / "check.R").write_text(check_script(definition))
    done = subprocess.run(["Rscript", "check.R"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == said


@pytest.fixture(scope="module")
def full_folder(cohort: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a made-up cohort that has something for every figure."""
    analysis = analysis_of()
    outcomes = replace(
        analysis.outcomes,
        events=cohort.events,
        confirmations=cohort.confirmations,
        patient_values=cohort.patient_values,
        flow=cohort.flow,
    )
    analysis = replace(
        analysis,
        study=cohort.study,
        outcomes=outcomes,
        estimates=Estimates(results=cohort.results, curves=cohort.curves),
    )
    return write_report(analysis, tmp_path_factory.mktemp("page") / "full")


def test_every_figure_stands_on_the_page_with_its_numbers(full_folder: Path) -> None:
    page = (full_folder / "index.html").read_text(encoding="utf-8")
    placed = {name for names in PLACES.values() for name in names}
    placed -= {"platelet_engraftment"}  # the cohort has no such curve
    assert {path.stem for path in (full_folder / "figures").iterdir()} == placed
    assert page.count("<figure>") == page.count('<svg role="img" aria-label=') == len(placed)


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_opens_from_disk_alone_quietly_and_without_sideways_scrolling(
    full_folder: Path, chromium: Any, width: int
) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844})
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto((full_folder / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert len(requests) == len([url for url in requests if url.startswith("data:")]) + 1
    assert messages == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.locator("main").count() == 1
    assert page.locator("html").get_attribute("lang") == "en"
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    page.close()


def test_a_changed_definition_changes_the_page(tmp_path: Path) -> None:
    shorter = replace(DEFINITION, primary_milestone_days=731)
    said = visible(write_report(analysis_of(definition=shorter), tmp_path / "report"))
    assert "MS-activity-free survival at 2 years could not be estimated" in said
