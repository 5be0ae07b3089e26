"""The validation tables of docs/statistics hold what was compared, and nothing that falls short."""

import math
from pathlib import Path

import polars as pl
import pytest

PAGES = Path(__file__).parents[2] / "docs" / "statistics"
FAMILIES = ["proportions", "rates", "safety", "comparison"]


def rows(page: str, what: str) -> list[list[str]]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    body = text.split(f"<!-- {what}: begin -->")[1].split(f"<!-- {what}: end -->")[0]
    return [
        [cell.strip() for cell in line.strip("| ").split(" | ")] for line in body.strip().splitlines()[2:]
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_difference_is_within_its_tolerance(family: str) -> None:
    found = rows(family, "validation")
    assert len(found) >= 8
    for quantity, _, n, _, _, difference, required in found:
        assert int(n) > 0
        assert float(difference) <= float(required), quantity


@pytest.mark.parametrize("family", FAMILIES)
def test_at_least_three_data_sets(family: str) -> None:
    sets = {name for row in rows(family, "validation") for name in row[1].split(", ")}
    assert len(sets) >= 3


@pytest.mark.parametrize(("family", "kind"), [("proportions", "proportion"), ("rates", "rate")])
def test_coverage_is_that_of_the_committed_table(family: str, kind: str) -> None:
    table = pl.read_csv(PAGES / "zero_event_coverage.csv").filter(pl.col("kind") == kind)
    for method, sided, dispersion, least, truth in rows(family, "coverage"):
        own = table.filter(
            (pl.col("method") == method)
            & (pl.col("sided") == sided)
            & (pl.col("dispersion") == float(dispersion))
        )
        assert own["coverage"].min() == pytest.approx(float(least), abs=5.1e-4)
        assert float(truth) in own.filter(pl.col("coverage") == pl.col("coverage").min())["truth"].to_list()


def test_coverage_of_selection_is_that_of_the_committed_table() -> None:
    table = pl.read_csv(PAGES / "selection_coverage.csv")
    printed = [[float(cell) for cell in row] for row in rows("rates", "selection")]
    assert len(printed) == table.height == 8
    for own, row in zip(table.rows(), printed, strict=True):
        assert row == pytest.approx(own, abs=5.1e-4)
    # limits that hold their level, 3 standard errors of 300 studies below it at worst
    assert table["coverage"].min() > 0.95 - 3 * (0.95 * 0.05 / 300) ** 0.5


def test_one_number_of_the_coverage_table_by_hand() -> None:
    """0.002 a year in 48 years: Garwood holds the truth for 0 and 1 event."""
    row = pl.read_csv(PAGES / "zero_event_coverage.csv").filter(
        (pl.col("kind") == "rate")
        & (pl.col("method") == "garwood")
        & (pl.col("sided") == "two")
        & (pl.col("dispersion") == 0)
        & (pl.col("truth") == 0.002)
        & (pl.col("size") == 48.0)
    )
    # mean 0.096; lower limits: 0.0253 for 1 event, 0.2422 for 2
    assert row["coverage"].item() == pytest.approx(math.exp(-0.096) * (1 + 0.096), abs=5e-5)
