"""Counts from printed intervals, patients from printed curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.evidence.curve_patients import reconstruct_patients, reconstruction_error
from ahsct.evidence.recover import recover_counts, recover_effective


def test_the_2016_trial_has_one_answer_among_60() -> None:
    # statistics reference, section 1: scanning every n from 10 to 60, 7 events of 23 is the only match
    found = recover_counts(69.6, 46.6, 84.2, interval="log-log", largest=60)
    assert [(one.n, one.n_events, one.n_after) for one in found] == [(23, 7, 16)]


def test_the_answer_is_a_set_and_may_be_empty() -> None:
    assert recover_counts(69.6, 46.6, 84.2, interval="plain") == []
    assert recover_counts(69.6, 46.6, 84.3, interval="log-log") == [], "one digit off"
    # whole percentages leave many
    assert len(recover_counts(83, 76, 88, interval="log-log", decimals=0)) > 1


def test_halt_progression_is_21_of_23_and_its_event_free_survival_only_effective() -> None:
    # evidence table: 91.3 (74.7-97.2), 90 % limits
    found = recover_counts(91.3, 74.7, 97.2, interval="log-log", conf_level=0.90, largest=60)
    assert (23, 2) in [(one.n, one.n_events) for one in found]
    assert recover_counts(69.2, 50.2, 82.1, interval="log-log", conf_level=0.90, largest=24) == []
    n, _ = recover_effective(69.2, 50.2, 82.1, interval="log-log", conf_level=0.90)
    assert n == pytest.approx(22.7, abs=0.05)


@given(
    n=st.integers(5, 60),
    share=st.floats(0.15, 0.85),
    method=st.sampled_from(["log-log", "log", "plain", "wilson"]),
)
def test_what_was_printed_comes_back(n: int, share: float, method: str) -> None:
    from ahsct.evidence.recover import _limits

    events = min(n - 1, max(1, round(n * share)))
    low, high = _limits(n - events, n, method, 0.95)
    printed = [round(100 * value, 1) for value in ((n - events) / n, low, high)]
    assert (n, events) in [
        (one.n, one.n_events) for one in recover_counts(*printed, interval=method, largest=60)
    ]


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(RequestError, match="Did you mean 'wilson'"):
        recover_counts(50, 40, 60, interval="wilsn")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_patients_from_a_curve_read_to_three_digits(seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    n = 150
    event, censoring = rng.exponential(6, n), rng.uniform(2, 9, n)
    t, is_event = np.minimum(event, censoring), event <= censoring
    order = np.argsort(t)
    t, is_event = t[order], is_event[order]
    at_risk = n - np.arange(n)
    survival = np.cumprod(np.where(is_event, 1 - 1 / at_risk, 1))
    grid = np.append(0, t[is_event])
    read = np.round(np.append(1, survival[is_event]), 3)
    risk_times = np.arange(0, 9, 2.0)
    risk_times = risk_times[risk_times <= grid[-1]]
    numbers = [int((t >= time).sum()) for time in risk_times]
    patients = reconstruct_patients(
        grid, read, risk_times=risk_times, n_at_risk=numbers, n_events=int(is_event.sum())
    )
    assert patients.height == n
    assert abs(int(patients["is_event"].sum()) - int(is_event.sum())) <= 1
    # close up to the last printed number at risk; beyond it one patient is several percent
    sure = grid <= risk_times[-1]
    assert reconstruction_error(patients, grid[sure], read[sure]) < 0.01
    assert reconstruction_error(patients, grid, read) < 0.03
    # the rate, which the curve does not show, comes back too
    rate = patients["is_event"].sum() / patients["time_years"].sum()
    assert rate == pytest.approx(is_event.sum() / t.sum(), rel=0.05)


def test_impossible_curves_are_refused() -> None:
    with pytest.raises(TableError, match="must rise"):
        reconstruct_patients([1, 0], [1, 1], risk_times=[0], n_at_risk=[3])
    with pytest.raises(TableError, match="begin at 0"):
        reconstruct_patients([0, 1], [1, 0.5], risk_times=[1], n_at_risk=[3])
    with pytest.raises(TableError, match="beyond the curve"):
        reconstruct_patients([0, 1], [1, 0.5], risk_times=[0, 2], n_at_risk=[3, 1])
