"""The beta product interval: Clopper and Pearson without censoring, R's bpcp with it, its own definition."""

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
def test_agrees_with_bpcp(data_set: str) -> None:
    rows = DATA.filter(pl.col("data_set") == data_set)
    expected = BPCP.filter(pl.col("data_set") == data_set)
    assert expected.height == 12
    for time, lower, upper in expected.select("time", "lower", "upper").rows():
        ours = interval(rows["time"].to_list(), (rows["cause"] > 0).to_list(), time)
        assert ours == pytest.approx((lower, upper), rel=1e-10), time


def test_two_moments_come_close_to_the_whole_distribution_with_ten_at_risk() -> None:
    """Against bpcp's Monte Carlo, 1e6 draws, whose own error at these quantiles is below 0.0005."""
    time = DATA.filter(pl.col("data_set") == "ovarian")["time"]
    rows = BPCP.filter(pl.col("data_set") == "ovarian")
    n_after = pl.Series([int((time > at).sum()) for at in rows["time"]])
    differences = rows.select(
        lower=pl.col("lower") - pl.col("mc_lower"),
        upper=pl.col("upper") - pl.col("mc_upper"),
        n_after=n_after,
    )
    enough = differences.filter(pl.col("n_after") >= 10)
    assert enough.height == 8
    assert enough.select(pl.max_horizontal(pl.col("lower", "upper").abs().max())).item() < 0.0015
    # and what the docstring says about fewer: the lower limit too high, by up to 0.022 with 3 at risk
    few = differences.filter(pl.col("n_after") < 10)
    assert 0.001 < few["lower"].min() < few["lower"].max() == pytest.approx(0.022, abs=0.001)


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
