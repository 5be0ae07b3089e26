"""The course as picture and as text says what the tables say."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tests.outcomes.test_course import one_patient, roving

from ahsct import load_example, plot_course
from ahsct.errors import RequestError
from ahsct.outcomes.course import derive_course
from ahsct.outcomes.disability_tables import REASONS
from ahsct.report import course_text
from ahsct.report.course_words import reason_words
from ahsct.report.figures.course import draw_course


@pytest.fixture(scope="module")
def course():
    return derive_course(one_patient(relapses=[-200, 430]), "a", roving())


def test_the_picture_names_every_change(course) -> None:
    drawing = draw_course(course)
    assert drawing.data.height == 4
    assert "12 visits of a, 2 relapses, 3 events and 1 rejected change" in drawing.alt
    assert "2: worsening on day 455: 4.5 against 3.0 (day 275), +1.5 where 1.0 counts" in drawing.alt
    assert "confirmed on day 548 (84 d: 4.0), day 640 (168 d: 4.0), held to day 731; RAW" in drawing.alt
    assert "rejected: a visit up to the confirmation no longer shows it" in drawing.alt
    assert drawing.svg.startswith('<svg role="img"')
    for number in range(1, 5):
        assert re.search(rf"<text[^>]*>{number}</text>", drawing.svg)


def test_the_words_name_the_later_visit_on_which_pira_rests() -> None:
    text = course_text(derive_course(one_patient(relapses=[-200, 560]), "a", roving()))
    assert "without a relapse near it on day 731; PIRA" in " ".join(text.split())


def test_every_reason_of_the_search_has_words() -> None:
    for reason in REASONS[1:]:
        assert reason is not None
        assert reason_words(reason) != reason.replace("_", " ") or reason == "unconfirmed"


def test_two_drawings_are_the_same_bytes(course) -> None:
    assert draw_course(course).svg == draw_course(course).svg


def test_the_text_shows_each_visit_beside_what_it_is_compared_with(course) -> None:
    text = course_text(course)
    lines = text.splitlines()
    rows = [line.split() for line in lines if re.match(r" +-?\d+ +\d\.\d( |$)", line)]
    assert [row[:2] for row in rows] == [
        [str(day), f"{value:.1f}"] for day, value in course.visits.select("day", "value").rows()
    ]
    by_day = {row[0]: " ".join(row[2:]) for row in rows}
    assert by_day["-60"] == "baseline"
    assert by_day["183"] == "4.0 4.0 improvement 1"
    assert by_day["275"] == "4.0 4.0 confirms 1, baseline"
    assert by_day["731"] == "4.0 4.0 worsening 3 (rejected)"
    assert "may be confirmed from day 525 to day 719" in text
    assert "PIRA asks for no relapse from day 365 to day 485" in text
    assert lines[-1] == "Relapses: day −200, day 430."


def test_the_chart_puts_each_visit_on_its_level(course) -> None:
    chart = [line for line in course_text(course).splitlines() if re.match(r" *\d\.\d \|", line)]
    levels = {line.split("|")[0].strip(): line.split("|")[1] for line in chart}
    assert list(levels) == ["5.0", "4.5", "4.0", "3.5", "3.0"]
    assert "w" in levels["5.0"]  # rejected
    assert "W" in levels["4.5"]
    assert levels["3.0"].count("I") == 2
    assert max(map(len, course_text(course).splitlines())) <= 78


def test_invented_courses_say_so_in_picture_and_text() -> None:
    study = load_example("atkins2016")
    drawing = plot_course(study, "P06")
    assert "invented courses" in drawing.caption
    assert "invented courses" in drawing.svg.lower()
    assert "invented courses" in course_text(derive_course(study, "P06", roving()))


def test_a_file_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "P06.svg"
    drawing = plot_course(load_example("atkins2016"), "P06", out=out)
    text = out.read_text(encoding="utf-8")
    assert text.startswith('<?xml version="1.0"')
    assert 'xmlns="http://www.w3.org/2000/svg"' in text
    assert 'href="http' not in text
    assert drawing.data["onset_day"].to_list() == [543]
    with pytest.raises(RequestError, match="exists"):
        plot_course(load_example("atkins2016"), "P06", out=out)
    with pytest.raises(RequestError, match=r"should end in \.svg"):
        plot_course(load_example("atkins2016"), "P06", out=tmp_path / "P06.png")


def test_a_patient_without_a_change_is_drawn() -> None:
    # no change reaches 9 points
    high = [{"from": 0, "change": 9.0}]
    definition = roving(**{f"disability.edss.{one}_threshold": high for one in ("worsening", "improvement")})
    quiet = derive_course(one_patient(), "a", definition)
    assert quiet.changes.is_empty()
    assert "0 events and 0 rejected changes" in draw_course(quiet).alt
    assert "No visit differs from the baseline by the threshold." in course_text(quiet)
    assert "Relapses: none recorded." in course_text(quiet)


def test_the_picture_on_its_own_explains_its_lines(tmp_path: Path) -> None:
    drawing = plot_course(load_example("atkins2016"), "P06", out=tmp_path / "P06.svg")
    svg = (tmp_path / "P06.svg").read_text(encoding="utf-8")
    said = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))
    assert f"{drawing.title}. {drawing.caption}" in said
    ElementTree.fromstring(svg)
    assert "Key: o visit" in course_text(derive_course(one_patient(relapses=[]), "a", roving()))
