"""Mantel-Haenszel: metafor and mantelhaen.test, empty cells, refusals."""

import math
from pathlib import Path

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import mantel_haenszel
from ahsct.estimates.stratified import MEASURES
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
STRATA = pl.read_csv(REFERENCE / "mantel_haenszel_strata.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "mantel_haenszel.csv", infer_schema_length=None, null_values="NA")
NAMES = dict(zip(("RD", "RR", "OR", "IRD", "IRR"), MEASURES, strict=True))
YEARS = {"n": "person_years", "n_reference": "person_years_reference"}


@pytest.mark.parametrize("row", R_ROWS.to_dicts(), ids=lambda row: f"{row['set']}-{row['measure']}")
def test_agrees_with_r(row: dict[str, object]) -> None:
    strata, measure = STRATA.filter(pl.col("set") == row["set"]), NAMES[str(row["measure"])]
    if measure.startswith("rate"):
        strata = strata.rename(YEARS)
    ours = mantel_haenszel(strata, measure=measure, with_p_value=True).row(0, named=True)
    estimate, error, z = ours["estimate"], ours["std_error"], 1.959963984540054
    if measure.endswith("ratio"):
        error, estimate = error / estimate, math.log(estimate)
        assert math.log(ours["upper"]) == pytest.approx(estimate + z * error, rel=1e-10)
    else:
        assert ours["lower"] == pytest.approx(estimate - z * error, rel=1e-10)
    assert estimate == pytest.approx(row["estimate"], rel=1e-10)
    assert error == pytest.approx(row["se"], rel=1e-10)
    if row["p"] is not None:
        assert ours["p_value"] == pytest.approx(row["p"], rel=1e-10)


def frame(*cells: tuple[int, int, int, int]) -> pl.DataFrame:
    return pl.DataFrame(cells, schema=["n_events", "n", "n_events_reference", "n_reference"], orient="row")


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    "strata",
    [(), ((0, 5, 0, 5),), ((5, 5, 5, 5),), ((0, 5, 2, 5),), ((2, 5, 0, 5),), ((1, 1, 0, 0),), ((0, 0, 0, 0),), ((1, 1, 0, 1),)],
)  # fmt: skip
def test_degenerate_tables_have_an_answer_or_a_note(
    measure: str, strata: tuple[tuple[int, int, int, int], ...]
) -> None:
    table = pl.DataFrame(
        strata,
        schema={name: pl.Int64 for name in ("n_events", "n", "n_events_reference", "n_reference")},
        orient="row",
    )
    rows = mantel_haenszel(
        table.rename(YEARS) if measure.startswith("rate") else table, measure=measure, with_p_value=True
    )
    assert rows.schema == RESULTS
    row = rows.row(0, named=True)
    assert row["note"] or None not in (row["estimate"], row["lower"], row["upper"])


def test_notes_say_what_is_missing() -> None:
    row = mantel_haenszel(frame((2, 5, 0, 5), (1, 4, 0, 0)), measure="risk_ratio").row(0, named=True)
    assert row["note"].startswith("1 of 2 strata hold one group only")
    assert "no event in the reference" in row["note"]
    assert (row["n"], row["estimate"]) == (10, None)


def test_refusals() -> None:
    with pytest.raises(RequestError, match="Did you mean 'risk_ratio'"):
        mantel_haenszel(frame((1, 2, 1, 2)), measure="risk-ratio")
    with pytest.raises(TableError, match=r"row 2 \(3, 2\)"):
        mantel_haenszel(frame((1, 2, 1, 2), (3, 2, 1, 2)))
    with pytest.raises(TableError, match="no event without time"):
        mantel_haenszel(frame((1, 0, 1, 2)).rename(YEARS), measure="rate_ratio")
    with pytest.raises(TableError, match="person_years"):
        mantel_haenszel(frame((1, 2, 1, 2)), measure="rate_ratio")


@pytest.mark.parametrize("measure", ["risk_difference", "rate_difference"])
def test_a_group_without_events_gives_a_difference_no_error(measure: str) -> None:
    """3 of 12 against 0 of 12: the variance is that of 3 of 12 alone, and the note says so."""
    size = (
        ("n", "n_reference") if measure == "risk_difference" else ("person_years", "person_years_reference")
    )
    counts = {"n_events": [3], size[0]: [12], "n_events_reference": [0], size[1]: [12]}
    row = mantel_haenszel(pl.DataFrame(counts), measure=measure).row(0, named=True)
    alone = 3 * 9 / 12**3 if measure == "risk_difference" else 3 / 12**2
    assert row["std_error"] ** 2 == pytest.approx(alone, rel=1e-12)
    assert "no error can be estimated in the reference" in row["note"]
    both = mantel_haenszel(pl.DataFrame(counts | {"n_events_reference": [1]}), measure=measure)
    assert both["note"].item() is None
