"""The broken stick against lme4 over the break and segmented: brain volumes, growth, drug concentrations."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates.brain_volume import scan_table
from ahsct.estimates.broken_stick import broken_stick
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model
from ahsct.vocabulary import PATIENT_VALUES, from_rows

CASES = {
    "volume_known": ("../mixed_model_unbalanced", "intercept", 2.5),
    "volume_estimated": ("../mixed_model_unbalanced", "intercept", None),
    "volume_known_slope": ("../mixed_model_unbalanced", "slope", 2.5),
    "bodyweight_estimated": ("bodyweight", "intercept", None),
    "theoph_estimated": ("theoph", "intercept", None),
}


SEGMENTED = {
    "theoph": "theoph",
    "volume": "../mixed_model_unbalanced",
    "loblolly": "loblolly",
    "bodyweight": "bodyweight",
}


def table(name: str) -> pl.DataFrame:
    d = reference.data(name)
    frame = pl.DataFrame({"patient_id": d["group"], "years": d["t"], "number": d["y"]})
    # one made-up patient has two scans at one rounded time, which a table may not: put apart by a hair
    second = pl.col("years").cum_count().over("patient_id", "years") - 1
    return frame.with_columns(pl.col("years") + 1e-12 * second)


@cache
def rows_of(name: str, random: str, break_years: float | None) -> pl.DataFrame:
    return broken_stick(table(name), unit="unit", break_years=break_years, random_effects=random)


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_lme4(case: str) -> None:
    expected = reference.values("broken_stick")[case]
    name, random, break_years = CASES[case]
    rows = rows_of(name, random, break_years)
    for k, row in enumerate(rows.head(3).iter_rows(named=True), start=1):
        assert row["estimate"] == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
        assert row["std_error"] == pytest.approx(expected[f"se_{k}"], rel=1e-6)
        assert row["df"] == pytest.approx(expected[f"df_{k}"], rel=1e-6)
    if break_years is None:
        found = rows.row(3, named=True)
        assert found["term"] == "break"
        assert found["estimate"] == pytest.approx(expected["break"], rel=1e-6)
        for end in ("lower", "upper"):
            assert found[end] == (pytest.approx(expected[end], rel=1e-6) if end in expected else None)
        assert ("no lower" in found["note"]) == ("lower" not in expected)


def full_likelihood_fit(name: str, at: float) -> MixedModel:
    d = reference.data(name)
    X = np.column_stack([np.ones_like(d["t"]), d["t"], np.maximum(d["t"] - at, 0)])
    return linear_mixed_model(d["y"], X, d["group"], reml=False)


@pytest.mark.parametrize("case", [case for case in SEGMENTED if case != "bodyweight"])
def test_break_agrees_with_segmented(case: str) -> None:
    """Its slopes are of the full likelihood."""
    expected = reference.values("segmented")[case]
    at = rows_of(SEGMENTED[case], "intercept", None)["estimate"][3]
    assert at == pytest.approx(expected["break"], rel=1e-6)
    fit = full_likelihood_fit(SEGMENTED[case], at)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    assert fit.coefficients[1] == pytest.approx(expected["before"], rel=1e-6)
    assert fit.coefficients[2] == pytest.approx(expected["change"], rel=1e-6)


def test_the_largest_likelihood_is_found_where_segmented_stops_beside_it() -> None:
    """The best break of the rats falls on a weighing, a kink that Newton steps in the break step over."""
    expected = reference.values("segmented")["bodyweight"]
    at = rows_of("bodyweight", "intercept", None)["estimate"][3]
    assert abs(at - expected["break"]) > 0.5
    ours = full_likelihood_fit("bodyweight", at).log_likelihood
    assert ours > full_likelihood_fit("bodyweight", expected["break"]).log_likelihood + 0.2


def test_a_clear_break_is_found() -> None:
    """Twelve patients, seven scans, slopes -2 and -0.3 broken at 0.8 years, little noise."""
    rng = np.random.default_rng(1)
    t = np.tile([0, 0.25, 0.5, 1, 1.5, 2, 3], 12)
    patient = np.repeat([f"p{i}" for i in range(12)], 7)
    y = -2 * np.minimum(t, 0.8) - 0.3 * np.maximum(t - 0.8, 0)
    y = y + np.repeat(rng.normal(0, 1, 12), 7) + rng.normal(0, 0.05, t.size)
    rows = broken_stick(pl.DataFrame({"patient_id": patient, "years": t, "number": y}), unit="percent")
    for row, truth in zip(rows.iter_rows(named=True), (-2.0, -0.3, 1.7, 0.8), strict=True):
        assert row["lower"] < truth < row["upper"], row["term"]
        assert row["upper"] - row["lower"] < 0.3


def test_degenerate_input_has_a_note() -> None:
    one_patient = table("theoph").filter(pl.col("patient_id") == "1")
    rows = broken_stick(one_patient, unit="unit")
    assert rows["estimate"].to_list() == [None] * 4
    assert "two or more groups" in rows["note"][0]
    few_times = pl.DataFrame({"patient_id": list("aabb"), "years": [0.0, 1] * 2, "number": [0.0, 1, 3, 5]})
    assert "four or more distinct times" in broken_stick(few_times, unit="unit")["note"][0]
    t = [0.0, 1, 2, 3, 4]
    at_the_end = pl.DataFrame(
        {"patient_id": list("aaaaabbbbb"), "years": t * 2, "number": [0.0, 1, 2.1, 3, 9, 1, 2, 2.9, 4, 10.1]}
    )
    assert "has its maximum at 3 years, the end" in broken_stick(at_the_end, unit="unit")["note"][0]
    late = broken_stick(table("theoph"), unit="unit", break_years=99.0)
    assert "depend on each other" in late["note"][0]
    flat = table("theoph").with_columns(number=pl.lit(2.0))
    assert "exactly on the fitted lines" in broken_stick(flat, unit="unit", break_years=1.0)["note"][0]


def test_missing_rows_are_counted_and_wrong_ones_refused() -> None:
    values = table("theoph")
    more = pl.concat(
        [values, pl.DataFrame({"patient_id": ["1"], "years": [3.0], "number": [None]}, values.schema)]
    )
    with_missing = broken_stick(more, unit="unit", break_years=1.0)
    assert with_missing["estimate"].equals(broken_stick(values, unit="unit", break_years=1.0)["estimate"])
    assert with_missing["note"][0].endswith("1 rows without time or number left out")
    with pytest.raises(TableError, match="finite number or missing; 1 of 120"):
        broken_stick(
            values.with_columns(
                pl.when(pl.int_range(pl.len()) == 3).then(np.nan).otherwise("number").alias("number")
            ),
            unit="u",
        )
    with pytest.raises(RequestError, match="random_effects"):
        broken_stick(values, unit="u", random_effects="slopes")
    with pytest.raises(RequestError, match="break_years"):
        broken_stick(values, unit="u", break_years=float("nan"))


def test_brain_scans_go_straight_in() -> None:
    """Four patients whose late slopes are -0.1, -0.2, -0.3 and -0.4: the mean, and an error that knows of it."""
    rows = [
        {"patient_id": f"p{k}", "arm": "all", "topic": "brain_volume", "term": "pct_change", "period": "after",
         "day": day, "number": -min(day / 365.25, 1.0) - 0.1 * (k + 1) * max(day / 365.25 - 1, 0) + 0.01 * (-1) ** j}
        for k in range(4)
        for j, day in enumerate((0, 180, 365, 700, 1100, 1500, 1900))
    ]  # fmt: skip
    scans = scan_table(from_rows(rows, PATIENT_VALUES))
    own, common = (
        broken_stick(scans, unit="percent", break_years=1.0, random_effects=random).filter(term="slope_after")
        for random in ("slope", "intercept")
    )
    assert own["estimate"][0] == pytest.approx(-0.25, abs=0.02)
    # the standard error of a mean of four such slopes is 0.065
    assert own["std_error"][0] > 0.05 > common["std_error"][0]
