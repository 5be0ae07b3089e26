"""The beta product interval: Clopper and Pearson without censoring, R's bpcp with it, its own definition."""

from fractions import Fraction
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.estimates.beta_product import beta_product
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.estimates.proportions import clopper_pearson

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "curve_data.csv", infer_schema_length=None)
BPCP = pl.read_csv(REFERENCE / "beta_product.csv", infer_schema_length=None)


def interval(time: list[float], is_event: list[bool], at: float) -> tuple[float, float]:
    curve = product_limit(time, is_event)
    rows = int(np.searchsorted(curve.time, at, side="right"))
    return beta_product(curve.n_at_risk[:rows], curve.n_events[:rows], int(np.sum(np.array(time) > at)))


@pytest.mark.parametrize("data_set", ["aml", "ovarian", "veteran", "lung"])
def test_two_moments_agree_with_bpcp(data_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands for the distribution above 5,000 at risk; bpcp takes the lowest limit of all times so far."""
    monkeypatch.setattr("ahsct.estimates.beta_product.MOST_EXACT", 0)
    rows = DATA.filter(pl.col("data_set") == data_set)
    expected = BPCP.filter(pl.col("data_set") == data_set)
    assert expected.height == 12
    times, events = rows["time"].to_list(), (rows["cause"] > 0).to_list()
    distinct = sorted(set(times))
    middles = [(a + b) / 2 for a, b in pairwise(distinct)]
    for time, lower, upper in expected.select("time", "lower", "upper").rows():
        sofar = [interval(times, events, t) for t in middles if t < time] + [interval(times, events, time)]
        lowest = (min(pair[0] for pair in sofar), min(pair[1] for pair in sofar))
        assert lowest == pytest.approx((lower, upper), rel=1e-10), time


def test_agrees_with_a_million_draws_of_bpcp() -> None:
    """Whose own error at these quantiles is below 0.0005."""
    rows = DATA.filter(pl.col("data_set") == "ovarian")
    expected = BPCP.filter(pl.col("data_set") == "ovarian")
    for time, lower, upper in expected.select("time", "mc_lower", "mc_upper").rows():
        ours = interval(rows["time"].to_list(), (rows["cause"] > 0).to_list(), time)
        assert ours == pytest.approx((lower, upper), abs=6e-4), time


@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=30),
    at=st.integers(0, 12),
)
def test_limits_are_quantiles_of_the_product_in_whole_fractions(
    rows: list[tuple[int, bool]], at: int
) -> None:
    r"""P(W <= w) = sum of w^r times the product of s / (s - r) over the other rates s, in exact fractions."""
    curve = product_limit([float(day) for day, _ in rows], [event for _, event in rows])
    upto = int(np.searchsorted(curve.time, at + 0.5))
    n, d = curve.n_at_risk[:upto], curve.n_events[:upto]
    after = sum(day > at for day, _ in rows)
    rates = [int(m) - j for m, events in zip(n, d, strict=True) for j in range(int(events))]
    lower, upper = beta_product(n, d, after)
    for limit, steps, probability in ((lower, [*rates, after], 0.025), (upper, rates, 0.975)):
        if not 0 < limit < 1:
            continue
        w = Fraction(limit)
        total = Fraction(0)
        for r in steps:
            total += w**r * prod((Fraction(s, s - r) for s in steps if s != r), start=Fraction(1))
        assert float(total) == pytest.approx(probability, rel=1e-9)


def test_many_patients_and_few_at_the_end() -> None:
    # 5,000 exactly and by moments: as narrow as both are, they agree where many are at risk
    n = np.arange(5000, 4500, -1)
    exact = beta_product(n, np.ones(500, int), 4000)
    moments = beta_product(n + 1, np.ones(500, int), 4001)
    assert exact == pytest.approx(moments, abs=5e-5)
    lower, upper = beta_product(np.array([5000, 40, 3]), np.array([1, 1, 1]), 2)
    assert 0 < lower < 2 / 3 * 39 / 40 < upper < 1


@given(n=st.integers(1, 60), share=st.floats(0, 1), ties=st.booleans())
def test_without_censoring_it_is_clopper_pearson(n: int, share: float, ties: bool) -> None:
    events = round(n * share)
    time = [1.0 if ties else 1.0 + i for i in range(events)] + [1000.0] * (n - events)
    ours = interval(time, [True] * n, 500.0)
    assert ours == pytest.approx(clopper_pearson(n - events, n, 0.025), rel=1e-9, abs=1e-12)


@given(
    rows=st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40),
    at=st.integers(0, 14),
)
def test_holds_the_estimate_and_only_falls(rows: list[tuple[int, bool]], at: int) -> None:
    time, event = [float(day) for day, _ in rows], [e for _, e in rows]
    curve = product_limit(time, event)
    before, now = interval(time, event, at - 0.5), interval(time, event, at + 0.5)
    estimate = curve.estimate[curve.time <= at + 0.5][-1]
    assert 0 <= now[0] <= estimate + 1e-12
    assert estimate - 1e-12 <= now[1] <= 1
    assert now[0] <= before[0] + 1e-12
    assert now[1] <= before[1] + 1e-12


def test_nobody_left_and_no_event() -> None:
    assert interval([1, 2, 3], [False] * 3, 5) == (0.0, 1.0)
    # by hand: one patient seen event-free, 0.025 to 1
    assert interval([9], [False], 5) == pytest.approx((0.025, 1.0), rel=1e-12)
