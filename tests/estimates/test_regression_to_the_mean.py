"""Regression to the mean: closed forms, and a trial of selected patients simulated without treatment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import TableError
from ahsct.estimates.regression_to_the_mean import regression_to_the_mean


def test_zero_truncated_poisson_by_hand() -> None:
    """Counts 1, 2, 1, 2 vary less than Poisson: phi = 0, and r solves r = 1 - exp(-1.5 r)."""
    r = 0.5
    for _ in range(200):
        r = 1 - np.exp(-1.5 * r)
    row = regression_to_the_mean([1, 2, 1, 2], [1.0] * 4).row(0, named=True)
    assert row["estimate"] == pytest.approx(r, abs=2e-5)
    assert row["mark"] == "assumed"
    assert row["lower"] < row["estimate"] < row["upper"]
    assert "1 or more" in row["note"]


def test_no_selection_no_regression() -> None:
    """The fewest is 0 and times are equal: the score equation of m makes the ratio exactly 1."""
    row = regression_to_the_mean([0, 1, 1, 2, 6, 9], [2.0] * 6).row(0, named=True)
    assert row["estimate"] == pytest.approx(1, abs=1e-5)


def test_selected_in_a_window_and_then_watched_without_treatment() -> None:
    """Truth from a simulated population: rates gamma, let in for 2 or more relapses in the last 2 of 5 years."""
    rng = np.random.default_rng(7)
    rate = rng.gamma(1 / 0.8, 0.8 * 0.7, size=10_000)
    early, late = rng.poisson(rate * 3), rng.poisson(rate * 2)
    let_in = late >= 2
    before = (early + late)[let_in]
    truth = 5 * rate[let_in].sum() / before.sum()
    again = rng.poisson(rate[let_in] * 5).sum() / before.sum()
    row = regression_to_the_mean(
        before, np.full(before.size, 5.0), n_window=late[let_in], window_years=2.0
    ).row(0, named=True)
    assert truth < 0.95  # the selection does something
    assert row["estimate"] == pytest.approx(truth, abs=4 * row["std_error"])
    assert row["estimate"] == pytest.approx(again, abs=0.02)
    assert row["std_error"] < 0.02


def test_interval_covers() -> None:
    """Of 60 small trials about 95 % hold the population's ratio; fewer than 50 has p < 1e-3."""
    phi, m, years = 0.6, 1.0, 3.0
    p0 = (1 + phi * m * years) ** (-1 / phi)
    truth = 1 - p0 / (1 + phi * m * years)  # E[rate | X >= 1] over E[X / years | X >= 1]
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(60):
        counts = rng.poisson(rng.gamma(1 / phi, phi * m, size=400) * years)
        counts = counts[counts >= 1][:40]
        row = regression_to_the_mean(counts, np.full(counts.size, years)).row(0, named=True)
        held += row["lower"] <= truth <= row["upper"]
    assert held >= 50


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_does_not_matter(seed: int) -> None:
    counts = np.array([3, 5, 9, 4, 12, 7, 3, 6])
    years = np.array([2.0, 4.5, 6.0, 3.3, 8.0, 5.1, 1.5, 7.0])
    order = np.random.default_rng(seed).permutation(8)
    assert regression_to_the_mean(counts, years).equals(regression_to_the_mean(counts[order], years[order]))


def test_too_little_to_say() -> None:
    for counts, years in (([], []), ([4], [2.0]), ([0, 0, 0], [1.0, 2.0, 3.0])):
        row = regression_to_the_mean(counts, years).row(0, named=True)
        assert row["estimate"] is None
        assert row["note"].startswith("not estimated")
        assert row["n"] == len(counts)


def test_refusals() -> None:
    with pytest.raises(TableError, match="must be > 0; 1 are not"):
        regression_to_the_mean([1, 2, 3], [1.0, 0.0, 2.0])
    with pytest.raises(TableError, match="whole numbers"):
        regression_to_the_mean([1, 2.5, 3], [1.0, 1.0, 2.0])
    with pytest.raises(TableError, match="more relapses in the window"):
        regression_to_the_mean([1, 2, 3], [1.0, 1.0, 2.0], n_window=[2, 2, 2], window_years=2.0)
