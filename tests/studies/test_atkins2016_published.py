"""Every published number has a source, and what is asserted names the result that answers to it."""

import csv
import re

import polars as pl
import pytest

from ahsct.studies import example_folder, published_numbers
from ahsct.studies.atkins2016.courses import COURSES
from ahsct.vocabulary import RESULTS


def read(name: str) -> list[dict[str, str]]:
    with (example_folder("atkins2016") / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


PUBLISHED = read("published")
MATCHES = read("matches")
ANSWERS = {"estimate": "estimate_num", "lower": "ci_low", "upper": "ci_high", "n": "n", "n_events": "events"}


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['endpoint']} {row['estimate']}")
def test_published_number_has_a_source_and_was_read(row: dict[str, str]) -> None:
    assert row["study_id"] == "atkins2016"
    assert row["reproduced"] in ("asserted", "shown", "not reproducible")
    assert row["source_url"] or row["source_title"]
    assert row["quote_locator"]
    assert row["verified"] == "yes", "no number from memory"
    if row["estimate_num"]:
        assert float(row["estimate"]) == float(row["estimate_num"])
    if row["reproduced"] == "not reproducible":
        assert row["notes"], "says why"


def test_versions_that_disagree_stand_side_by_side() -> None:
    scans = {(row["estimate"], row["n"]) for row in PUBLISHED if "on follow-up scans" in row["endpoint"]}
    assert scans == {("0", "314"), ("1", "327")}


def test_asserted_rows_are_those_with_a_match() -> None:
    matched = {int(row["published_row"]) for row in MATCHES}
    asserted = {k for k, row in enumerate(PUBLISHED, 1) if row["reproduced"] == "asserted"}
    assert matched == asserted
    assert len(asserted) == 27


@pytest.mark.parametrize("match", MATCHES, ids=lambda row: f"{row['published_row']} {row['which']}")
def test_match_points_to_a_printed_number_and_a_column_of_the_results(match: dict[str, str]) -> None:
    printed = PUBLISHED[int(match["published_row"]) - 1][ANSWERS[match["which"]]]
    assert float(printed) == round(float(printed), int(match["decimals"])), "no more digits than printed"
    assert match["which"] in RESULTS
    assert set(match) - {"published_row", "which", "scale", "decimals"} <= set(RESULTS)
    assert match["endpoint"]
    assert match["statistic"]
    assert match["scale"] in ("1", "100")


def test_published_numbers_come_once_per_selector() -> None:
    frame = published_numbers()
    assert frame.height == len(MATCHES) + sum(row["reproduced"] != "asserted" for row in PUBLISHED)
    assert frame.select(pl.exclude(r"^our_.*$")).unique().height == len(PUBLISHED)
    assert frame["our_which"].null_count() == sum(row["reproduced"] != "asserted" for row in PUBLISHED)
    assert frame["endpoint"].unique(maintain_order=True).to_list() == list(
        dict.fromkeys(row["endpoint"] for row in PUBLISHED)
    )


def test_nothing_of_the_workplace_stands_in_the_data() -> None:
    text = (example_folder("atkins2016") / "published.csv").read_text(encoding="utf-8")
    assert not re.search(r"\b(seed|audit|memory)\b", text)


def test_courses_are_in_the_order_of_infusion() -> None:
    assert [course.infusion for course in COURSES] == sorted(course.infusion for course in COURSES)
