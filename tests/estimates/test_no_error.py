"""Where nothing varied, no error can be estimated: no row may claim limits of no width, or a p of the other arm alone."""

import math
from collections.abc import Callable

import polars as pl
import pytest

from ahsct import estimates as est


def patients(events: list[int], *, day: int) -> pl.DataFrame:
    n = len(events)
    return pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(n)],
            "time_day": [day] * n,
            "is_event": [bool(e) for e in events],
        }
    )


def test_a_weighted_group_without_events_has_no_error() -> None:
    """3 of 12 comparators against none of 12 treated: the error is that of the 3 alone, and the note says so."""
    frame = patients([1, 0] * 3 + [0] * 18, day=400).with_columns(is_treated=pl.int_range(24) % 2 == 1)
    weights = est.propensity_weights(frame, covariates=[])
    row = est.weighted_survival_difference(frame, weights, at_years=400 / 365.25).row(0, named=True)
    assert row["std_error"] == pytest.approx(math.sqrt(0.75 * 0.25 / 12), rel=1e-12)
    assert "no error can be estimated in treated" in row["note"]
    both = frame.with_columns(is_event=pl.col("is_event") | (pl.int_range(24) == 1))
    row = est.weighted_survival_difference(both, weights, at_years=400 / 365.25).row(0, named=True)
    assert "no error" not in row["note"]


ALL_AT_ONCE = pl.DataFrame(
    {
        "patient_id": [f"p{i}" for i in range(12)],
        "time_day": [10] * 12,
        "start_day": [0] * 12,
        "stop_day": [10] * 12,
        "event_number": [1] * 12,
        "is_event": [True] * 12,
        "arm": ["A", "B"] * 6,
    }
)
ROBUST: dict[str, Callable[[], pl.DataFrame]] = {
    "fine_gray": lambda: est.fine_gray(ALL_AT_ONCE.with_columns(cause=pl.lit("relapse")), cause="relapse"),
    "cox": lambda: est.cox(ALL_AT_ONCE, cluster="patient_id"),
    **{
        model: lambda model=model: est.recurrent_ratios(ALL_AT_ONCE, model=model)  # type: ignore[misc]
        for model in ("andersen-gill", "pwp-total", "pwp-gap")
    },
}


@pytest.mark.parametrize("name", ROBUST)
def test_all_events_at_once_leave_a_ratio_no_robust_error(name: str) -> None:
    rows = ROBUST[name]()
    row = rows.row(0, named=True)
    assert row["estimate"] == pytest.approx(1, rel=1e-12)
    assert (row["std_error"], row["lower"], row["upper"], row["p_value"]) == (None,) * 4
    assert "robust error is 0" in row["note"]
    for test in rows.filter(statistic="wald_test").rows(named=True):
        assert (test["p_value"], test["note"]) == (None, "the robust covariance has not full rank: no test")


@pytest.mark.parametrize("interval", ["log", "plain"])
def test_equally_many_events_leave_a_mean_count_no_error(interval: str) -> None:
    """All at once, or one each at different times: the influences cancel."""
    apart = pl.DataFrame(
        {
            "patient_id": ["a", "a", "b", "b"],
            "start_day": [0, 1, 0, 2],
            "stop_day": [1, 3, 2, 3],
            "is_event": [True, False] * 2,
        }
    )
    for frame, day in ((ALL_AT_ONCE, 10), (apart, 2), (apart.with_columns(is_event=False), 2)):
        curve = est.mean_cumulative_function(frame, interval=interval)
        for row in est.mean_count(curve, at_years=day / 365.25).rows(named=True):
            assert row["estimate"] == float(frame["is_event"].any())
            assert (row["std_error"], row["lower"], row["upper"]) == (None, None, None)
            assert "no error can be estimated" in row["note"]
    between = est.mean_count(est.mean_cumulative_function(apart, interval=interval), at_years=1 / 365.25)
    assert between["std_error"].item() ** 2 == pytest.approx(2 / 16)  # (1 - 1/2)^2 / 2^2 twice
    assert between["note"].item() is None


def test_rounding_is_no_error_of_a_mean_count() -> None:
    """Seven patients with five events each, at different times: the variance cancels to 1e-16, not to 0."""
    days = [[10 * k + i for k in range(1, 6)] for i in range(7)]
    rows = [
        (f"p{i}", start, stop, stop < 100)
        for i, events in enumerate(days)
        for start, stop in zip([0, *events], [*events, 100], strict=True)
    ]
    frame = pl.DataFrame(rows, schema=["patient_id", "start_day", "stop_day", "is_event"], orient="row")
    row = est.mean_count(est.mean_cumulative_function(frame), at_years=100 / 365.25).row(0, named=True)
    assert row["estimate"] == pytest.approx(5, rel=1e-12)
    assert (row["std_error"], row["lower"]) == (None, None)
