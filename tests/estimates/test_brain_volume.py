"""Brain volume after the transplant: models against R, slopes and norms by hand."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct.definitions import BrainVolumeRule, healthy_at, list_norms, load_norm
from ahsct.estimates.brain_volume import brain_volume_change, fit_exponential
from ahsct.estimates.healthy_ageing import late_slopes, longest_followed_beside_norms
from ahsct.vocabulary import PATIENT_VALUES, RESULTS, empty, from_rows

REFERENCE = Path(__file__).parent.parent / "reference"
RULE = BrainVolumeRule(
    norms=("healthy_siena_2018", "de_stefano_2016", "healthy_cross_sectional_2017"), longest_followed_n=2
)


def scans(patient: str, points: dict[int, float], age: float | None = None) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = [
        {
            "patient_id": patient,
            "arm": "all",
            "topic": "brain_volume",
            "term": "pct_change",
            "period": "after",
            "day": day,
            "number": value,
        }
        for day, value in points.items()
    ]
    if age is not None:
        rows.append(
            {
                "patient_id": patient,
                "arm": "all",
                "topic": "baseline",
                "term": "age_years",
                "period": "baseline",
                "number": age,
            }
        )
    return rows


def test_broken_line_agrees_with_lme4() -> None:
    """Unbalanced data of the mixed model's reference: y ~ pmin(t, 2.5) + pmax(t - 2.5, 0) + (1 | group)."""
    lines = (REFERENCE / "mixed_model.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    expected = {row["name"]: float(row["value"]) for row in rows if row["case"] == "unbalanced_intercept"}
    points = pl.read_csv(REFERENCE / "mixed_model_unbalanced.csv")
    frame = from_rows(
        [
            row
            for one in points.iter_rows(named=True)
            for row in scans(one["group"], {round(one["t"] * 146_100): one["y"]})
        ],
        PATIENT_VALUES,
    )
    # times stretched 400-fold, so that hundredths of a year are whole days (1461)
    rule = BrainVolumeRule(break_years=1000, sensitivity_breaks_years=(400.0,))
    result = brain_volume_change(frame, rule=rule)
    assert result.schema == RESULTS
    early, late = (result.row(place, named=True) for place in (2, 3))
    assert (early["component"], early["term"], late["term"]) == ("break 1000 y", "early_change", "late_slope")
    assert early["estimate"] == pytest.approx(2.5 * expected["estimate_2"], rel=1e-6)
    assert early["std_error"] == pytest.approx(2.5 * expected["se_2"], rel=1e-6)
    assert early["df"] == pytest.approx(expected["df_2"], rel=1e-6)
    assert late["estimate"] * 400 == pytest.approx(expected["estimate_3"], rel=1e-6)
    assert late["std_error"] * 400 == pytest.approx(expected["se_3"], rel=1e-6)
    # qt(0.975, 73.34874601) = 1.992837496 in R
    assert late["upper"] - late["estimate"] == pytest.approx(1.992837496 * late["std_error"], rel=1e-7)
    assert result["component"].to_list() == [
        *["break 1000 y, own slopes"] * 2,
        *["break 1000 y"] * 2,
        *["break 400 y, own slopes"] * 2,
        *["exponential"] * 3,
    ]
    assert result["n"].to_list() == [17] * 9


def test_exponential_agrees_with_gauss_newton_in_r() -> None:
    lines = (REFERENCE / "mixed_model.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    expected = {row["name"]: float(row["value"]) for row in rows if row["case"] == "exponential"}
    points = pl.read_csv(REFERENCE / "mixed_model_unbalanced.csv")
    fit, log_tau = fit_exponential(points["t"].to_numpy(), points["y"].to_numpy(), points["group"].to_numpy())
    assert log_tau == pytest.approx(expected["log_tau"], rel=1e-6)
    for place in (1, 2, 3, 4):
        weight = np.eye(4)[place - 1] / (fit.coefficients[1] if place == 4 else 1)
        estimate, std_error, df = fit.contrast(weight)
        assert estimate == pytest.approx(expected[f"estimate_{place}"], rel=1e-6, abs=1e-7)
        assert std_error == pytest.approx(expected[f"se_{place}"], rel=1e-6)
        assert df == pytest.approx(expected[f"df_{place}"], rel=1e-5)


def test_early_drop_never_enters_the_late_slope() -> None:
    """Everybody loses 3 % at once and 0.2 % a year from the break on; noise sums to zero in each patient."""
    noise = {0: 0.02, 457: -0.02, 914: 0.03, 1279: -0.03, 1644: -0.03, 2009: 0.03}
    rows = []
    for number, shift in enumerate((-0.5, 0.0, 0.7)):
        sign = (-1) ** number
        points = {
            day: shift + sign * e - 3 * min(day / 913.125, 1) - 0.2 * max(day / 365.25 - 2.5, 0)
            for day, e in noise.items()
        }
        rows += scans(f"p{number}", points)
    late = (
        brain_volume_change(from_rows(rows, PATIENT_VALUES), rule=BrainVolumeRule())
        .filter((pl.col("component") == "break 2.5 y") & (pl.col("term") == "late_slope"))
        .row(0, named=True)
    )
    assert late["lower"] < -0.2 < late["upper"]
    assert late["estimate"] == pytest.approx(-0.2, abs=0.02)
    assert late["upper"] < -0.15  # baseline to last over 5.5 years would give -0.65


def test_patients_with_slopes_of_their_own_widen_the_interval_of_the_late_slope() -> None:
    """Ten patients lose from 0.0 to 0.9 % a year after the break, so their mean is known no better than from ten numbers."""
    rows = []
    for number in range(10):
        sign = (-1) ** number
        points = {
            day: -3 * min(day / 913.125, 1)
            - 0.1 * number * max(day / 365.25 - 2.5, 0)
            + sign * 0.05 * (-1) ** (day // 365)
            for day in range(0, 3000, 365)
        }
        rows += scans(f"p{number}", points)
    found = brain_volume_change(from_rows(rows, PATIENT_VALUES), rule=BrainVolumeRule()).filter(
        pl.col("term") == "late_slope"
    )
    shared, own = (
        found.filter(pl.col("component") == name).row(0, named=True)
        for name in ("break 2.5 y", "break 2.5 y, own slopes")
    )
    assert own["estimate"] == pytest.approx(-0.45, abs=0.01)
    # the standard deviation of 0.0 to 0.9 is 0.3028, and t with 9 degrees of freedom 2.262
    assert own["std_error"] == pytest.approx(0.3028 / 10**0.5, rel=0.05)
    assert own["df"] == pytest.approx(9, abs=0.5)
    assert own["upper"] - own["lower"] > 2 * (shared["upper"] - shared["lower"])


def test_too_few_late_scans_for_slopes_of_patients_own_are_said() -> None:
    """Five patients, two of them with two scans after the break: early slopes are their own, the late one is common."""
    rng = np.random.default_rng(8)
    rows = []
    for number in range(5):
        days = [0, 200, 400, 700, 1000, *([1300, 1700] if number < 2 else [])]
        slope = -3 + 0.4 * number
        points = {day: slope * min(day / 913.125, 1) + float(rng.normal(0, 0.1)) for day in days}
        rows += scans(f"p{number}", points)
    found = brain_volume_change(from_rows(rows, PATIENT_VALUES), rule=BrainVolumeRule())
    late = found.filter((pl.col("component") == "break 2.5 y, own slopes") & (pl.col("term") == "late_slope"))
    row = late.row(0, named=True)
    assert row["method"] == "linear mixed model (REML, random intercept and early slope, Kenward-Roger df)"
    assert (
        "the late slope is taken as common, for only 2 of 5 patients have two or more scan times"
        in row["note"]
    )
    assert row["lower"] < row["estimate"] < row["upper"]


@pytest.mark.parametrize("n_patients", [0, 1])
def test_nobody_or_one_patient(n_patients: int) -> None:
    rows = scans("a", {0: 0.0, 400: -2.0, 1000: -3.1, 1400: -3.0, 1800: -3.3}, age=40)[: 6 * n_patients]
    frame = from_rows(rows, PATIENT_VALUES)
    result = brain_volume_change(frame, rule=RULE)
    assert result.schema == RESULTS
    assert result["estimate"].null_count() == result.height
    assert result.height == (0 if n_patients == 0 else 15)
    assert all(note.startswith("not estimated: ") for note in result["note"])
    assert longest_followed_beside_norms(empty(PATIENT_VALUES), rule=RULE).equals(empty(RESULTS))


def test_norms_at_published_ages_only() -> None:
    assert set(RULE.norms) <= set(list_norms())
    siena = load_norm("healthy_siena_2018")
    assert healthy_at(siena, 45) == {"mean": -0.15, "sd": None, "p95": -0.52}
    assert healthy_at(siena, 75) == {"mean": -0.61, "sd": None, "p95": -1.45}
    at_60 = healthy_at(siena, 60)
    assert at_60 is not None
    assert at_60["mean"] == pytest.approx(-0.38)
    assert at_60["p95"] == pytest.approx(-0.91)
    assert healthy_at(siena, 44.99) is None
    assert healthy_at(siena, 75.01) is None
    cross = load_norm("healthy_cross_sectional_2017")
    at_52 = healthy_at(cross, 52.5)
    assert at_52 is not None
    assert at_52["mean"] == pytest.approx(-0.36)
    assert at_52["p95"] is None
    assert healthy_at(load_norm("de_stefano_2016"), 20) == {"mean": -0.27, "sd": 0.15, "p95": None}
    for id in list_norms():
        assert load_norm(id)["mean_pct_per_year"].max() < 0
        assert load_norm(id)["source"].null_count() == 0


def test_longest_followed_by_hand() -> None:
    """Slopes -0.2 (age 50 in the middle), -0.9 (age 47); the third is shorter, the fourth has 2 late scans."""
    year = 365.25
    late = [round(years * year) for years in (3, 4, 5)]
    rows = [
        *scans("slow", {0: 0.0, late[0]: -3.0, late[1]: -3.2, late[2]: -3.4}, age=46.0),
        *scans("fast", {0: 0.0, late[0]: -3.0, late[1]: -3.9, late[2]: -4.8}, age=43.0),
        *scans("short", {0: 0.0, 1000: -3.0, 1100: -3.1, 1200: -3.1}, age=60.0),
        *scans("sparse", {0: 0.0, 300: -2.0, 1400: -3.0, 1800: -3.1}, age=60.0),
    ]
    frame = from_rows(rows, PATIENT_VALUES)
    slopes = late_slopes(frame, break_years=2.5)
    assert slopes["patient_id"].to_list() == ["fast", "slow", "sparse", "short"]
    assert slopes["slope_pct_per_year"][0] == pytest.approx(-0.9, rel=1e-3)
    assert slopes["slope_pct_per_year"][2] is None
    assert slopes["age_years"][1] == pytest.approx(50.0, abs=0.01)

    result = longest_followed_beside_norms(frame, rule=RULE)
    siena, siena_difference, stefano, _, cross, cross_difference = result.iter_rows(named=True)
    # 95th percentiles: -0.645 at 50, -0.57 at 47, so slow is inside and fast is not
    assert (siena["n_events"], siena["n"], siena["n_not_evaluable"]) == (1, 2, 0)
    assert (siena["lower"], siena["upper"]) == pytest.approx((0.0126, 0.9874), abs=1e-4)  # exact 1 of 2
    # mean of (-0.2 + 0.225) and (-0.9 + 0.18)
    assert siena_difference["estimate"] == pytest.approx(-0.3475, abs=1e-3)
    # 0.27 +- 0.294 holds 0.2 and not 0.9
    assert (stefano["n_events"], stefano["n"]) == (1, 2)
    assert cross["estimate"] is None
    assert "no published spread" in cross["note"]
    assert cross_difference["estimate"] is not None
    assert "chosen by length of follow-up" in siena["note"]

    old = longest_followed_beside_norms(
        from_rows(
            [*scans("old", {0: 0.0, late[0]: -3.0, late[1]: -3.2, late[2]: -3.4}, age=74.0)], PATIENT_VALUES
        ),
        rule=RULE,
    ).row(0, named=True)
    assert (old["n"], old["n_not_evaluable"], old["estimate"]) == (0, 1, None)


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for number in range(6):
        points = {day: -3 * min(day / 900, 1) + float(rng.normal(0, 0.3)) for day in range(0, 3000, 300)}
        rows += scans(f"p{number}", points, age=45.0 + number)
    frame = from_rows(rows, PATIENT_VALUES)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=5)
    for function in (brain_volume_change, longest_followed_beside_norms):
        assert function(frame, rule=RULE).equals(function(shuffled, rule=RULE))
