"""Exact rates and their ratio: the trial's numbers, R, properties, impossible input."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import exact_rate, rate_ratio
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
R_RATES = pl.read_csv(REFERENCE / "rates.csv", infer_schema_length=None, null_values="Inf")
R_RATIOS = pl.read_csv(REFERENCE / "rate_ratios.csv", infer_schema_length=None, null_values="Inf")
CASES = {case["id"]: case for case in json.loads((REFERENCE / "public_cases_curves.json").read_text())}


def limits(frame: pl.DataFrame) -> tuple[float | None, float | None]:
    return frame.select("lower", "upper").row(0)


def test_rates_agree_with_r() -> None:
    assert R_RATES.height == 384
    assert set(R_RATES["set"]) == {"counts of the trial", "warpbreaks", "epil", "ships"}
    for row in R_RATES.iter_rows(named=True):
        options = {name: row[name] for name in ("method", "sided", "conf_level")}
        lower, upper = limits(exact_rate(row["n_events"], row["person_years"], **options))
        assert lower == pytest.approx(row["lower"], rel=1e-10, abs=1e-15), row
        if row["sided"] == "lower":
            assert upper is None
        else:
            assert upper == pytest.approx(row["upper"], rel=1e-10), row


def test_public_case() -> None:
    expected = CASES["p07_rates"]["expected"]
    assert limits(exact_rate(0, 179)) == pytest.approx(expected["zero"], rel=1e-10)
    assert limits(exact_rate(167, 140)) == pytest.approx(expected["many"], rel=1e-10)
    assert limits(rate_ratio(5, 60, 21, 72)) == pytest.approx(expected["ratio"], rel=1e-10)


def test_no_relapse_in_179_years_two_sided_and_one_sided() -> None:
    # by hand: exp(-179 rate) = 0.025 and 0.05
    assert limits(exact_rate(0, 179)) == pytest.approx((0, 0.0206083), abs=5e-8)
    assert limits(exact_rate(0, 179, sided="upper")) == pytest.approx((0, 0.0167), abs=5e-5)


def test_ratios_agree_with_r() -> None:
    for row in R_RATIOS.iter_rows(named=True):
        names = ("n_events", "person_years", "n_events_reference", "person_years_reference")
        ours = rate_ratio(*(row[name] for name in names), with_p_value=True).row(0, named=True)
        assert ours["lower"] == pytest.approx(row["lower"], rel=1e-10, abs=1e-15), row
        assert ours["p_value"] == pytest.approx(row["p_value"], rel=1e-9), row
        if row["n_events_reference"] == 0:
            assert ours["estimate"] is None
            assert ours["upper"] is None
            assert "no upper limit" in ours["note"]
        else:
            assert ours["upper"] == pytest.approx(row["upper"], rel=1e-10), row
            assert ours["estimate"] == pytest.approx(row["estimate"], rel=1e-12), row


def test_mid_p_ratios_agree_with_r() -> None:
    assert R_RATIOS.height == 19
    for row in R_RATIOS.iter_rows(named=True):
        names = ("n_events", "person_years", "n_events_reference", "person_years_reference")
        frame = rate_ratio(*(row[name] for name in names), method="mid-p")
        lower, upper = limits(frame)
        assert lower == pytest.approx(row["mid_lower"], rel=1e-9, abs=1e-15), row
        assert upper == (row["mid_upper"] and pytest.approx(row["mid_upper"], rel=1e-9)), row
        assert frame["method"].item() == "mid-P conditional (binomial)"


def test_per_100_patient_years() -> None:
    one, hundred = (exact_rate(3, 50, per_years=years).row(0, named=True) for years in (1, 100))
    assert hundred["unit"] == "per 100 patient-years"
    for name in ("estimate", "lower", "upper"):
        assert hundred[name] == pytest.approx(100 * one[name], rel=1e-14)


def test_after_against_before_in_the_trial() -> None:
    row = rate_ratio(0, 179, 167, 140).row(0, named=True)
    assert (row["estimate"], row["lower"], row["p_value"]) == (0, 0, None)
    assert row["upper"] == pytest.approx(0.0175, abs=5e-5)


def test_no_event_at_all() -> None:
    row = rate_ratio(0, 10, 0, 20, with_p_value=True).row(0, named=True)
    assert (row["estimate"], row["lower"], row["upper"], row["p_value"]) == (None, 0.0, None, 1.0)


def test_rows_are_complete() -> None:
    frame = exact_rate(167, 140, n=24)
    assert frame.schema == RESULTS
    row = frame.row(0, named=True)
    assert (row["n"], row["n_events"], row["person_years"], row["unit"]) == (
        24,
        167,
        140.0,
        "per patient-year",
    )
    assert exact_rate(167, 140)["n"].item() is None


@given(x=st.integers(0, 300), years=st.floats(0.1, 1e4), factor=st.floats(0.01, 100))
def test_unit_of_time_only_scales(x: int, years: float, factor: float) -> None:
    for method in ("garwood", "mid-p"):
        plain = limits(exact_rate(x, years, method=method))
        scaled = limits(exact_rate(x, years * factor, method=method))
        assert plain == pytest.approx([limit * factor for limit in scaled], rel=1e-9)  # type: ignore[operator]
        assert plain[0] <= x / years <= plain[1]  # type: ignore[operator]


@given(x=st.integers(0, 60), y=st.integers(1, 60), t=st.floats(0.5, 100), u=st.floats(0.5, 100))
def test_swapping_the_periods_inverts_the_ratio(x: int, y: int, t: float, u: float) -> None:
    lower, upper = limits(rate_ratio(x, t, y, u))
    back_lower, back_upper = limits(rate_ratio(y, u, x, t))
    assert 1 / upper == pytest.approx(back_lower, rel=1e-9)  # type: ignore[operator]
    if x:
        assert 1 / lower == pytest.approx(back_upper, rel=1e-9)  # type: ignore[operator]


def test_impossible_requests_are_refused() -> None:
    for years in (0, -1, float("nan"), float("inf")):
        with pytest.raises(TableError, match="time at risk > 0"):
            exact_rate(1, years)
        with pytest.raises(TableError, match="time at risk > 0"):
            rate_ratio(1, 1, 1, years)
    with pytest.raises(TableError, match="found -1"):
        exact_rate(-1, 10)
    with pytest.raises(RequestError, match="Did you mean 'exact'"):
        rate_ratio(1, 1, 1, 1, method="exakt")
    with pytest.raises(RequestError, match="per_years must be a number > 0"):
        exact_rate(1, 1, per_years=0)
    with pytest.raises(RequestError, match="Did you mean 'garwood'"):
        exact_rate(1, 10, method="garwod")
