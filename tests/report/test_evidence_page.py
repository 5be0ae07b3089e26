"""The living page of the evidence: self-contained, the same bytes twice, sorts and filters, readable on a phone."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ahsct.errors import RequestError
from ahsct.evidence import answer, read_evidence
from ahsct.report.evidence_page import write_answer, write_evidence_page
from ahsct.report.evidence_rows import evidence_rows
from ahsct.report.figures.case_mix import draw_case_mix
from ahsct.report.figures.forest import draw_forest

EVIDENCE = read_evidence()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_evidence_page(EVIDENCE, tmp_path_factory.mktemp("page") / "evidence")


@pytest.fixture(scope="module")
def html(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def test_holds_every_number_every_question_and_every_source(html: str) -> None:
    assert html.count("<tr data-outcome=") == EVIDENCE.results.height
    assert all(f'id="question-{number}"' in html for number in range(1, 8))
    for url in EVIDENCE.results["source_url"].drop_nulls().unique():
        assert url.replace("&", "&amp;") in html
    assert html.count('class="recalled"') == 7
    assert 'style="' not in re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)


def test_asks_for_nothing_outside(html: str) -> None:
    assert not re.search(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=\"(?!data:)", html)
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(", html)


def test_twice_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_evidence_page(EVIDENCE, tmp_path / "again")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(names) > 40
    assert names == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    for name in names:
        assert (folder / name).read_bytes() == (again / name).read_bytes(), name


def test_local_links_lead_to_files(folder: Path, html: str) -> None:
    for link in set(re.findall(r'href="((?:tables|figures|evidence)/[^"]+)"', html)):
        assert (folder / link).is_file(), link


def test_one_question_has_its_page(tmp_path: Path) -> None:
    page = write_answer(answer(EVIDENCE, 1), tmp_path / "one")
    text = (page / "index.html").read_text(encoding="utf-8")
    assert "Mortality from the transplant" in text
    assert "data-outcome" not in text
    assert pl.read_csv(page / "results.csv").height > 5
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "note.txt").write_text("x")
    with pytest.raises(RequestError, match="not written by ahsct"):
        write_answer(answer(EVIDENCE, 1), tmp_path / "mine")


def test_figures_say_their_numbers_in_words() -> None:
    found = answer(EVIDENCE, 1)
    drawing = draw_forest(found.panels[0])
    assert drawing is not None
    assert "11 of 2159" in drawing.alt
    assert drawing.data.filter(pl.col("role") == "pooled in").height == 15
    assert 'role="img"' in drawing.svg
    dots = draw_case_mix(answer(EVIDENCE, 4).scatters[0])
    assert dots is not None
    assert "with progressive MS" in dots.alt


def test_a_source_text_cannot_inject_markup(tmp_path: Path) -> None:
    from dataclasses import replace

    spoilt = EVIDENCE.results.with_columns(
        pl.when(pl.col("result_id") == "halt2017/1")
        .then(pl.lit("<script>x()</script>"))
        .otherwise(pl.col("note"))
        .alias("note")
    )
    page = write_evidence_page(replace(EVIDENCE, results=spoilt), tmp_path / "page")
    assert "<script>x()" not in (page / "index.html").read_text(encoding="utf-8")


def test_rows_in_words() -> None:
    rows = {row["id"]: row for row in evidence_rows(EVIDENCE)}
    assert rows["halt2017/1"]["interval"] == "50.2 to 82.1 (90 %, log-log)"
    assert rows["nabizadeh2022/6"]["interval"] == "from 84 (95 %, method not stated)"
    assert rows["mist2019/1"]["effect"] == "hazard ratio 0.07 (0.02 to 0.24); against DMT: 34; p <0.001"
    assert rows["muraro2017/5"]["mark"] == "recalled"
    assert rows["melnichenko2022/1"]["mark"] == "seen once"
    assert rows["silfverberg2024/1"]["time"] == "at 5 years"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed: the page was not opened")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_opens_alone_filters_and_sorts(folder: Path, chromium: Any, width: int) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 844})
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
    assert messages == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    assert page.locator(".evidence tbody tr:visible").count() == 40
    page.fill("#find", "silfverberg NEDA")
    assert page.inner_text("#count") == "4 of 264 numbers."
    page.fill("#find", "")
    page.select_option("#mark", "recalled")
    assert page.locator(".evidence tbody tr:visible").count() == 7
    page.select_option("#mark", "")
    page.click("#all")
    assert page.locator(".evidence tbody tr:visible").count() == 264
    if width > 600:
        page.fill("#find", "silfverberg NEDA")
        page.click(".evidence thead th:nth-child(4) button")
        values = page.locator(".evidence tbody tr:visible td:nth-child(4)").all_inner_texts()
        assert values == ["65 %", "71 %", "73 %", "81 %"]
        page.click(".evidence thead th:nth-child(4) button")
        assert page.locator(".evidence tbody tr:visible td:nth-child(4)").first.inner_text() == "81 %"
    page.close()
