"""Regression to the mean: closed forms, and a trial of selected patients simulated without treatment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import nbinom, poisson

from ahsct.errors import RequestError, TableError
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
    """The fewest is 0: the score equation of m makes the ratio 1 whatever the data, so that there is nothing to limit."""
    for counts, years in (
        ([0, 1, 1, 2, 6, 9], [2.0] * 6),
        ([0] * 12 + [1] * 12, [1.0] * 24),
        ([0, 1, 4], [1.0, 2.0, 9.0]),
    ):
        row = regression_to_the_mean(counts, years).row(0, named=True)
        assert (row["estimate"], row["std_error"], row["lower"], row["upper"]) == (1, None, None, None)
        assert "without any relapse in the whole time before" in row["note"]


def test_nobody_above_the_fewest_has_an_upper_limit_only() -> None:
    """24 patients with one relapse in 2 years, let in for one. By hand, Poisson with mean r in that time: the chance of
    one given at least one is r / (exp(r) - 1), to the power of 24 it is 0.025 at 0.29992; the ratio is r."""
    row = regression_to_the_mean([1] * 24, [2.0] * 24).row(0, named=True)
    limit = brentq(lambda r: 24 * np.log(r / np.expm1(r)) - np.log(0.025), 0.01, 1)
    assert limit == pytest.approx(0.29992, abs=5e-6)
    assert (row["estimate"], row["lower"]) == (None, 0)
    assert row["upper"] == pytest.approx(limit, rel=1e-6)
    assert row["note"].startswith("not estimated: nobody has more than the 1 for which all were let in")
    # two relapses, both in the last 2 of 5 years: exp(-3 m) times P(2 relapses in 2 years given 2 or more)
    row = regression_to_the_mean([2] * 10, [5.0] * 10, n_window=[2] * 10, window_years=2.0).row(0, named=True)
    limit = brentq(
        lambda m: 10 * (np.log(poisson.pmf(2, 2 * m) / poisson.sf(1, 2 * m)) - 3 * m) - np.log(0.025), 1e-3, 2
    )
    assert row["upper"] == pytest.approx(5 * limit / 2, rel=1e-6)


def test_counts_of_a_logarithmic_series() -> None:
    """Spread beyond any gamma: in the limit P(x) = -q^x / (x log(1 - q)), whose mean is the observed one; the ratio is q."""
    counts = [1] * 20 + [2, 2, 5, 9]
    q = brentq(lambda q: -q / ((1 - q) * np.log1p(-q)) - np.mean(counts), 0.01, 0.99)
    row = regression_to_the_mean(counts, [2.0] * 24).row(0, named=True)
    assert row["estimate"] == pytest.approx(q, rel=1e-6)
    assert row["lower"] < q < row["upper"]
    assert "logarithmic series" in row["note"]


@pytest.mark.parametrize(
    ("counts", "years"),
    [
        ([1, 2, 1, 2], [1.0] * 4),  # phi = 0
        ([1] * 20 + [2, 2, 5, 9], [2.0] * 24),  # m = 0
        ([3, 5, 9, 4, 12, 7, 3, 6], [2.0, 4.5, 6.0, 3.3, 8.0, 5.1, 1.5, 7.0]),
        ([2, 2, 2, 2, 2, 3], [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]),
    ],
)
def test_limits_are_the_ends_of_a_likelihood_region(counts: list[int], years: list[float]) -> None:
    """Everything again on a grid of (m, phi), by scipy's distributions: the region's least and largest ratio."""
    pairs, times = np.unique([counts, years], axis=1, return_counts=True)
    x, t, often = (each[:, None, None] for each in (*pairs, times))
    fewest, n = min(counts), len(counts)
    m = np.exp(np.linspace(np.log(1e-6), np.log(30), 600))[None, :, None]
    phi = np.exp(np.linspace(np.log(1e-5), np.log(1e6), 200))[None, None, :]
    shape, p = np.broadcast_arrays(1 / phi, 1 / (1 + phi * m * t))
    likelihood = (often * (nbinom.logpmf(x, shape, p) - nbinom.logsf(fewest - 1, shape, p))).sum(axis=0)
    ratios = (often * t * m * (1 + phi * x) / (1 + phi * m * t)).sum(axis=0) / sum(counts)
    inside = ratios[2 * (likelihood.max() - likelihood) <= stdtrit(n - 1, 0.975) ** 2]
    row = regression_to_the_mean(counts, years).row(0, named=True)
    assert row["lower"] == pytest.approx(inside.min(), rel=0.03)
    assert row["upper"] == pytest.approx(inside.max(), rel=0.03)
    assert row["std_error"] is None


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
        before, np.full(before.size, 5.0), n_window=late[let_in], window_years=2.0, conf_level=0.9999
    ).row(0, named=True)
    assert truth < 0.95  # the selection does something
    assert row["lower"] < truth < row["upper"]
    assert row["upper"] - row["lower"] < 0.08
    assert row["estimate"] == pytest.approx(again, abs=0.02)


def test_interval_covers() -> None:
    """Of 40 small trials about 95 % hold what these patients had to expect; fewer than 33 has p < 1e-3."""
    phi, m, years = 0.6, 1.0, 3.0
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(40):
        counts = rng.poisson(rng.gamma(1 / phi, phi * m, size=400) * years)
        counts = counts[counts >= 1][:24]
        truth = (years * m * (1 + phi * counts) / (1 + phi * m * years)).sum() / counts.sum()
        row = regression_to_the_mean(counts, np.full(counts.size, years)).row(0, named=True)
        held += row["lower"] <= truth <= row["upper"]
    assert 33 <= held


@settings(max_examples=5, deadline=None)
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
    with pytest.raises(TableError, match="whole numbers"):
        regression_to_the_mean([1, np.inf, 3], [1.0, 1.0, 2.0])
    with pytest.raises(TableError, match="whole numbers"):
        regression_to_the_mean([1, 2, 3], [1.0, 1.0, 2.0], n_window=[0.5, 1, 1], window_years=2.0)
    with pytest.raises(TableError, match="`window_years` must be a time > 0; found 0"):
        regression_to_the_mean([1, 2, 3], [1.0, 1.0, 2.0], n_window=[1, 1, 1], window_years=0)
    with pytest.raises(RequestError, match=r"conf_level must lie between 0 and 1, as 0.95; found 1.5"):
        regression_to_the_mean([1, 2, 3], [1.0, 1.0, 2.0], conf_level=1.5)
