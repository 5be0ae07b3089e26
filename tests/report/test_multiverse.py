"""The page of a multiverse: what it shows, what it says of invented patients, what it never says."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.multiverses.toy import toy_answers, toy_grid
from tests.outcomes.test_course import one_patient, roving

from ahsct import analyse, load_example
from ahsct.errors import RequestError
from ahsct.multiverses import (
    Multiverse,
    count_crossing,
    derive_multiverse,
    one_each,
    share_spread,
    turning_points,
)
from ahsct.outcomes.course import derive_course
from ahsct.report import multiverse_section, write_multiverse, write_report
from ahsct.report.figures.course import draw_course
from ahsct.report.figures.specification import draw_specification


def toy(estimates: list[float | None], data_kind: str = "observed", **changes) -> Multiverse:
    answers, grid = toy_answers(estimates), toy_grid(**changes)
    return Multiverse(
        study_id="toy",
        data_kind=data_kind,
        study_hash="0" * 64,
        grid=grid,
        answers=answers,
        spread=share_spread(answers, grid),
        turning=turning_points(answers, grid),
        crossing=count_crossing(answers, grid),
    )


@pytest.fixture(scope="module")
def found() -> Multiverse:
    return derive_multiverse(load_example("atkins2016"), "activity_free_survival", threshold=0.68)


def test_the_curve_is_sorted_and_its_numbers_stand_behind_it() -> None:
    answers = one_each(toy_answers([0.6, 0.4, 0.7, 0.5]))
    drawing = draw_specification(answers, toy_grid(), title="T", band=(0.5, 0.7))
    assert drawing is not None
    assert drawing.data["point"].to_list() == [2, 4, 1, 3]
    assert drawing.data["estimate"].to_list() == [0.4, 0.5, 0.6, 0.7]
    assert drawing.alt.replace("\u00a0", " ").startswith(
        "4 definitions in order of their estimates, from 40.0 % to 70.0 %. The base: 60.0 % (50.0–70.0)."
    )
    for words in ("Confirmed after", "24 weeks", "48 weeks", "Lesions", "the base"):
        assert f">{words}</text>" in drawing.svg
    assert "no probability" in drawing.caption


def test_each_choice_is_drawn_under_the_answers_that_made_it() -> None:
    # one bar per run of neighbours: sorted 2 4 1 3, so 48 weeks (3, 4) stands apart and two lesions (2, 4) together
    answers = one_each(toy_answers([0.6, 0.4, 0.7, 0.5]))
    drawing = draw_specification(answers, toy_grid(), title="T")
    assert drawing is not None
    chosen = {
        (name, choice): [row[name] == choice for row in drawing.data.iter_rows(named=True)]
        for name, choice in (("confirmed", "w48"), ("lesions", "two"))
    }
    assert chosen["confirmed", "w48"] == [False, True, False, True]
    assert chosen["lesions", "two"] == [True, True, False, False]


def test_shipped_definitions_are_marked() -> None:
    answers = one_each(toy_answers([0.6, 0.4, 0.7, 0.5])).with_columns(
        pl.when(pl.col("point") == 3).then(pl.lit("msbase")).alias("published")
    )
    drawing = draw_specification(answers, toy_grid(), title="T")
    assert drawing is not None
    assert ">msbase</text>" in drawing.svg
    assert "Shipped definitions: msbase: 70.0" in drawing.alt.replace("\u00a0", " ")


def test_definitions_without_an_estimate_are_counted() -> None:
    drawing = draw_specification(one_each(toy_answers([0.6, None, 0.7, None])), toy_grid(), title="T")
    assert drawing is not None
    assert "2 definitions give no estimate" in drawing.caption
    assert draw_specification(one_each(toy_answers([None] * 4)), toy_grid(), title="T") is None


def test_invented_patients_show_what_the_software_does(found: Multiverse, tmp_path: Path) -> None:
    page = (write_multiverse(found, tmp_path / "page") / "index.html").read_text(encoding="utf-8")
    assert '<h1 id="page-title">What the software does</h1>' in page
    assert "it allows no conclusion about the trial" in page
    assert "Invented courses" in page
    section = multiverse_section(found)
    assert section.title == "Under 162 definitions: what the software does"


def test_real_patients_get_the_title_of_the_question(tmp_path: Path) -> None:
    page = (write_multiverse(toy([0.6, 0.65, 0.4, 0.45]), tmp_path / "page") / "index.html").read_text(
        "utf-8"
    )
    assert '<h1 id="page-title">Two by two</h1>' in page
    assert "What the software does" not in page
    assert "They are not a sample" in page


def test_the_page_gives_no_p_value_and_averages_no_interval(found: Multiverse) -> None:
    section = multiverse_section(found)
    assert "no p value follows" in section.text[0]
    assert "nothing is averaged over them" in section.text[0]
    assert found.answers["p_value"].null_count() == found.answers.height
    text = " ".join(cell for table in section.tables for row in table.rows for cell in row)
    assert not re.search(r"\bp\s*[<=]", text)


def test_files_beside_the_page(found: Multiverse, tmp_path: Path) -> None:
    folder = write_multiverse(found, tmp_path / "page")
    answers = pl.read_csv(folder / "answers.csv")
    assert answers.height == found.answers.height == 2 * 162
    assert set(found.grid.base_choices) < set(answers.columns)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["grid"] == "activity_free_survival"
    assert provenance["definitions"] == 162
    page = (folder / "index.html").read_text(encoding="utf-8")
    for name in re.findall(r'href="([^"#:]+)"', page):
        assert (folder / name).is_file(), name
    assert not re.search(r'(src|href)="(https?:)?//', page)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(RequestError, match="not written by ahsct"):
        write_multiverse(found, tmp_path / "other")


def test_two_pages_are_the_same_bytes(tmp_path: Path) -> None:
    one = (write_multiverse(toy([0.6, 0.65, 0.4, 0.45]), tmp_path / "a") / "index.html").read_bytes()
    assert (write_multiverse(toy([0.6, 0.65, 0.4, 0.45]), tmp_path / "b") / "index.html").read_bytes() == one


@pytest.mark.parametrize(
    ("estimates", "words"),
    [
        ([0.6, 0.65, 0.55, 0.6], "None of the estimates lies beyond the interval of the base"),
        ([0.6, 0.65, 0.4, 0.45], "2 of the estimates lie beyond the interval of the base (2 below)"),
        ([None, None, None, None], "no definition gives an estimate"),
        ([0.6, None, 0.55, 0.6], "3 of 4 definitions give an estimate"),
    ],
)
def test_what_the_page_says(estimates: list, words: str) -> None:
    assert words in " ".join(multiverse_section(toy(estimates)).text)


def test_a_spread_that_cannot_be_divided_says_why() -> None:
    tables = {table.id: table for table in multiverse_section(toy([0.6, None, 0.55, 0.6])).tables}
    assert tables["multiverse-shares"].rows == (("all", "not divided: 1 of 4 definitions give no estimate"),)


def test_the_choices_are_listed_with_their_fields_and_marks(found: Multiverse) -> None:
    table = {table.id: table for table in multiverse_section(found).tables}["multiverse-choices"]
    assert len(table.rows) == sum(len(one.choices) for one in found.grid.dimensions)
    assert any("mri.min_lesions_n = 2" in row[2] for row in table.rows)
    assert [key for key, _ in table.notes] == ["a", "b"]
    assert all(text.startswith("assumed: ") for _, text in table.notes)


# words that stand outside their drawing
OUTSIDE = """[...document.querySelectorAll('.drawing svg')].flatMap(svg => {
             const box = svg.getBoundingClientRect();
             return [...svg.querySelectorAll('text')].filter(word => {
               const own = word.getBoundingClientRect();
               return own.left < box.left - 1 || own.right > box.right + 1;
             }).map(word => word.textContent);
           })"""


@pytest.fixture(scope="module")
def analysis():
    return analyse(load_example("atkins2016"))


def test_the_report_has_a_section_of_it(analysis, found: Multiverse, tmp_path: Path) -> None:
    folder = write_report(analysis, tmp_path / "report", multiverse=found)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<a href="#multiverse">Under 162 definitions: what the software does</a>' in page
    assert "beside those of the 162 definitions in the last section" in page
    for name in ("answers.csv", "tables/multiverse-shares.csv", "figures/multiverse.csv"):
        assert (folder / name).is_file()
        assert f'href="{name}"' in page


def test_a_shared_report_shows_none_of_it(analysis, found: Multiverse, tmp_path: Path) -> None:
    folder = write_report(analysis, tmp_path / "report", multiverse=found, share=True)
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert 'id="multiverse"' in page
    assert not (folder / "answers.csv").exists()
    assert not list(folder.rglob("multiverse*"))
    section = page[page.index('<section id="multiverse"') :]
    assert "Left out of this shared version" in section[: section.index("</section>")]
    assert "62.5" not in section[: section.index("</section>")]


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_from_disk_without_sideways_scrolling(
    found: Multiverse, tmp_path: Path, chromium: Any, width: int
) -> None:
    folder = write_multiverse(found, tmp_path / "page")
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
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    # no word of the drawing lies outside it
    outside = page.evaluate(OUTSIDE)
    assert outside == []
    page.close()


@pytest.mark.browser
def test_no_word_of_a_course_lies_outside_its_drawing(tmp_path: Path, chromium: Any) -> None:
    drawing = draw_course(derive_course(one_patient(relapses=[-200, 430]), "a", roving()))
    (tmp_path / "a.html").write_text(f'<div class="drawing">{drawing.svg}</div>', encoding="utf-8")
    page = chromium.new_page(viewport={"width": 720, "height": 900})
    page.goto((tmp_path / "a.html").as_uri())
    assert page.evaluate(OUTSIDE) == []
    page.close()
