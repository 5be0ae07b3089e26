"""Events seen at visits: against R (interval::icfit), by hand, and as properties."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import TableError
from ahsct.estimates import kaplan_meier, milestone, turnbull
from ahsct.estimates.turnbull import _extrapolated, npmle

REFERENCE = Path(__file__).parents[1] / "reference"


def observations(name: str) -> tuple[np.ndarray, np.ndarray]:
    with (REFERENCE / name).open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(line for line in handle if not line.startswith("#")))
    left = np.array([float(row["left"]) for row in rows])
    return left, np.array([float(row["right"] or "inf") for row in rows])


def test_masses_agree_with_icfit() -> None:
    """R 4.2.2, interval 1.1-1.0: icfit(Surv(left, R, type = "interval2") ~ 1, epsilon = 1e-10, maxit = 1e5)."""
    fit = npmle(*observations("turnbull.csv"))
    assert fit.upper.tolist() == [0.5, 1, 1.5, 2, 3, 4, 5, np.inf]
    r = [
        0.15,
        0.1,
        0.0333333333333333,
        0.0333333333333333,
        0.116666666666667,
        0.0833333333333333,
        0.0833333333333333,
        0.4,
    ]
    assert fit.mass[0] == pytest.approx(r, abs=1e-6)
    assert fit.gap <= 1e-8


def test_overlapping_intervals_by_hand() -> None:
    """(0, 2], (1, 3], after 3: maximal intersections (1, 2] and after 3; the likelihood p^2 (1 - p) has p = 2/3."""
    fit = npmle(np.array([0.0, 1, 3]), np.array([2.0, 3, np.inf]))
    assert fit.upper.tolist() == [2, np.inf]
    assert fit.mass[0] == pytest.approx([2 / 3, 1 / 3], abs=1e-7)


def test_touching_intervals_do_not_meet_and_exact_times_do() -> None:
    assert npmle(np.array([0.0, 1]), np.array([1.0, 2])).upper.tolist() == [1, 2]
    assert npmle(np.array([0.0, 1]), np.array([1.0, 1])).upper.tolist() == [1]


def frame(left: list[float], right: list[float | None]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "time_day": [a if b is None else b for a, b in zip(left, right, strict=True)],
            "is_event": [r is not None for r in right],
            "left_day": left,
            "right_day": right,
        },
        schema_overrides={"right_day": pl.Float64, "left_day": pl.Float64, "time_day": pl.Float64},
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2000), st.booleans()), min_size=1, max_size=25))
def test_exact_times_give_kaplan_meier(times: list[tuple[int, bool]]) -> None:
    rows = frame([float(t) for t, _ in times], [float(t) if e else None for t, e in times])
    ours, exact = turnbull(rows, n_resamples=0), kaplan_meier(rows)
    at = exact.filter(pl.col("n_events") > 0)
    found = ours.join(at.select("time_years", pl.col("estimate").alias("km")), on="time_years", how="inner")
    assert found.height == at.height
    assert np.allclose(found["estimate"], found["km"], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.booleans()), min_size=1, max_size=20),
    st.randoms(),
)
def test_curves_fall_stay_in_range_and_forget_the_order(
    seen: list[tuple[int, int, bool]], random: object
) -> None:
    rows = frame([100.0 * a for a, _, _ in seen], [100.0 * (a + b) if e else None for a, b, e in seen])
    curve = turnbull(rows, n_resamples=0)
    estimate = curve["estimate"].to_numpy()
    assert estimate[0] == 1.0
    assert np.all(np.diff(estimate) <= 1e-12)
    assert estimate.min() >= 0
    again = turnbull(rows.sample(fraction=1.0, shuffle=True, seed=3), n_resamples=0)["estimate"].to_numpy()
    assert np.allclose(estimate, again, atol=1e-5)
    assert curve["n_events"].sum() + curve["n_censored"].sum() == len(seen)


def test_the_bootstrap_interval_holds_the_estimate_and_repeats() -> None:
    rows = frame([0.0, 90, 180, 270] * 6, [90.0, 180, 270, None] * 6)
    row = milestone(turnbull(rows), at_years=0.5).row(0, named=True)
    assert row["statistic"] == "survival_probability"
    assert row["estimate"] == pytest.approx(0.5, abs=1e-6)  # 12 of 24 detected by day 182.6
    # binomial standard error sqrt(0.25 / 24) = 0.102; 400 resamples know it to about 4 %
    assert row["std_error"] == pytest.approx(0.102, abs=0.015)
    assert row["lower"] < 0.5 < row["upper"]
    assert milestone(turnbull(rows), at_years=0.5).row(0, named=True) == row
    assert milestone(turnbull(rows, seed=2), at_years=0.5).row(0, named=True)["std_error"] != row["std_error"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"left_day": 500.0}, "not after right_day"),
        ({"left_day": None}, "left_day"),
        ({"entry_day": 30}, "delayed entry"),
        ({"cause": "competing_death"}, "aalen_johansen"),
    ],
)
def test_what_it_cannot_take_is_refused(change: dict[str, object], word: str) -> None:
    rows = frame([0.0], [100.0]).with_columns(pl.lit(value).alias(name) for name, value in change.items())
    with pytest.raises(TableError, match=word):
        turnbull(rows)


def test_no_patients_no_curve() -> None:
    assert turnbull(frame([], [])).is_empty()


def test_steps_that_do_not_turn_are_followed_without_overflow() -> None:
    """Two steps of equal length (1/8, then 1/8) leave nothing to extrapolate: the second is the answer."""
    zero, one, two = (np.array([[0.5 + step, 0.5 - step]]) for step in (0.0, 0.125, 0.25))
    assert _extrapolated(zero, one, two).tolist() == [[0.75, 0.25]]
