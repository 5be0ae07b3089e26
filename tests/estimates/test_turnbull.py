"""Events seen at visits: against R (interval::icfit), by hand, and as properties."""

import csv
import itertools
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import TableError
from ahsct.estimates import _interval_places, kaplan_meier, milestone, turnbull
from ahsct.estimates._interval_npmle import IntervalLikelihood, intersections, maximise
from ahsct.estimates.turnbull import likelihood_ratio_limits, npmle, survival_at
from ahsct.vocabulary import DAYS_PER_YEAR

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
    assert fit.mass == pytest.approx(r, abs=1e-6)
    assert fit.gap <= 1e-8


def test_overlapping_intervals_by_hand() -> None:
    """(0, 2], (1, 3], after 3: maximal intersections (1, 2] and after 3; the likelihood p^2 (1 - p) has p = 2/3."""
    fit = npmle(np.array([0.0, 1, 3]), np.array([2.0, 3, np.inf]))
    assert fit.upper.tolist() == [2, np.inf]
    assert fit.mass == pytest.approx([2 / 3, 1 / 3], abs=1e-7)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_places_taken_in_one_by_one_give_the_maximum_over_all(seed: int) -> None:
    """300 patients with visits on days of their own, some events exact: against one fit of all places."""
    rng = np.random.default_rng(seed)
    event = rng.weibull(1.3, 300) * 5
    visits = np.cumsum(rng.uniform(0.2, 0.9, (300, 14)), axis=1)
    n_before = np.sum(visits < event[:, None], axis=1)
    ends = np.column_stack([np.zeros(300), visits, np.full(300, np.inf)])
    left, right = ends[np.arange(300), n_before], ends[np.arange(300), n_before + 1]
    exact = (rng.random(300) < 0.2) & (event < 6)
    left, right = np.where(exact, event, left), np.where(exact, event, right)
    fit = npmle(left, right)
    assert fit.mass.size > 100  # otherwise all places are taken at once
    assert fit.gap <= 1e-10
    whole = maximise(IntervalLikelihood.of(intersections(left, right)))
    assert fit.loglik == pytest.approx(float(whole.loglik[0]), abs=1e-8)
    survival = 1 - np.cumsum(fit.mass)[:-1]
    has_mass = np.cumsum(fit.mass)[:-1] > 0
    assert survival[has_mass] == pytest.approx(np.exp(-whole.hazard[0])[has_mass], abs=1e-5)


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
    ours, exact = turnbull(rows, at_years=[0]), kaplan_meier(rows)
    at = exact.filter(pl.col("n_events") > 0)
    found = ours.join(at.select("time_years", pl.col("estimate").alias("km")), on="time_years", how="inner")
    assert found.height == at.height
    assert np.allclose(found["estimate"], found["km"], atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.booleans()), min_size=1, max_size=20),
    st.randoms(),
)
def test_curves_fall_stay_in_range_and_forget_the_order(
    seen: list[tuple[int, int, bool]], random: object
) -> None:
    rows = frame([100.0 * a for a, _, _ in seen], [100.0 * (a + b) if e else None for a, b, e in seen])
    curve = turnbull(rows, at_years=[0])
    estimate = curve["estimate"].to_numpy()
    assert estimate[0] == 1.0
    assert np.all(np.diff(estimate) <= 1e-12)
    assert estimate.min() >= 0
    again = turnbull(rows.sample(fraction=1.0, shuffle=True, seed=3), at_years=[0])["estimate"].to_numpy()
    assert np.allclose(estimate, again, atol=1e-9)
    assert curve["n_events"].sum() + curve["n_censored"].sum() == len(seen)


def test_limits_of_disjoint_intervals_are_those_of_a_binomial() -> None:
    # 12 of 24 detected by day 180: the root of 2 (l(1/2) - l(s)) = 3.841459 with l = 12 log s + 12 log(1 - s)
    rows = frame([0.0, 90, 180, 270] * 6, [90.0, 180, 270, None] * 6)
    half = 180 / DAYS_PER_YEAR  # half a day later those seen at days 180 and 270 might be among the events
    row = milestone(turnbull(rows, at_years=[half]), at_years=half).row(0, named=True)
    assert row["statistic"] == "survival_probability"
    assert row["estimate"] == pytest.approx(0.5, abs=1e-9)
    for limit in (row["lower"], row["upper"]):
        deviance = 24 * np.log(0.5) - 12 * np.log(limit) - 12 * np.log(1 - limit)
        assert 2 * deviance == pytest.approx(3.841458820694124, rel=1e-8)
    assert row["lower"] < 0.5 < row["upper"]
    assert row["std_error"] is None
    assert row["note"] is None
    later = milestone(turnbull(rows, at_years=[half]), at_years=0.5).row(0, named=True)
    assert "at_years" in later["note"]


def test_limits_where_nobody_and_where_everybody_had_the_event() -> None:
    at, limit = np.array([2.0]), np.exp(-3.841458820694124 / 48)
    lower, upper = likelihood_ratio_limits(np.full(24, 3.0), np.full(24, np.inf), at)
    assert lower == pytest.approx([limit], rel=1e-9)
    assert upper == pytest.approx([1.0])
    lower, upper = likelihood_ratio_limits(np.full(24, 0.5), np.full(24, 1.5), at)
    assert upper == pytest.approx([1 - limit], rel=1e-8)
    assert lower == pytest.approx([0.0])


def brute_limits(left: list[float], right: list[float], at: float) -> list[float]:
    """Limits by a general optimiser over masses on a grid of places, for a few observations."""
    from scipy.optimize import brentq, minimize

    ends = sorted({0.0, at, *left, *(r for r in right if np.isfinite(r))})
    places = [*itertools.pairwise(ends), (ends[-1], np.inf)]
    inside = np.array(
        [[r >= b and lo <= a for a, b in places] for lo, r in zip(left, right, strict=True)], float
    )
    before = np.array([b <= at for _, b in places])

    def top(share: float | None) -> float:
        constraints = [{"type": "eq", "fun": lambda p: p.sum() - 1}]
        start = np.full(len(places), 1 / len(places))
        if share is not None:
            constraints.append({"type": "eq", "fun": lambda p: p[~before].sum() - share})
            start = np.where(before, (1 - share) / before.sum(), share / (~before).sum())
        fit = minimize(
            lambda p: -np.log(np.maximum(inside @ p, 1e-12)).sum(),
            start,
            method="SLSQP",
            bounds=[(0, 1)] * len(places),
            constraints=constraints,
            options={"ftol": 1e-14, "maxiter": 500},
        )
        return -float(fit.fun)

    best = top(None)
    deviance = lambda s: 2 * (best - top(s)) - 3.841458820694124  # noqa: E731
    inner = survival_at(npmle(np.array(left), np.array(right)), np.array([at]))[0]
    return [brentq(deviance, 1e-6, inner), brentq(deviance, inner, 1 - 1e-6)]


def test_limits_agree_with_a_general_optimiser() -> None:
    left, right = [0.0, 0, 1, 2, 2, 4, 5, 3, 1], [2.0, 1, 3, 5, 6, np.inf, np.inf, np.inf, 4]
    lower, upper = likelihood_ratio_limits(np.array(left), np.array(right), np.array([2.5]))
    assert [lower[0], upper[0]] == pytest.approx(brute_limits(left, right, 2.5), abs=2e-5)


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6), st.booleans()), min_size=1, max_size=30))
def test_the_optimum_is_checked_and_limits_hold_it(seen: list[tuple[int, int, bool]]) -> None:
    rows = frame([30.0 * a for a, _, _ in seen], [30.0 * (a + b) if e else None for a, b, e in seen])
    left, right = (rows[name].fill_null(np.inf).to_numpy() for name in ("left_day", "right_day"))
    fit = npmle(left, right)
    assert fit.gap <= 1e-8
    assert fit.mass.sum() == pytest.approx(1)
    curve = turnbull(rows)
    assert (curve["lower"] <= curve["estimate"] + 1e-9).all()
    assert (curve["upper"] >= curve["estimate"] - 1e-9).all()
    assert (np.diff(curve["lower"]) <= 1e-9).all()
    assert (np.diff(curve["upper"]) <= 1e-9).all()


@pytest.mark.parametrize(
    ("left", "right"),
    [([0.0], [None]), ([0.0], [100.0]), ([0.0], [0.0]), ([50.0], [50.0]), ([50.0] * 3, [None] * 3)],
)
def test_degenerate_input_has_numbers_and_limits(left: list[float], right: list[float | None]) -> None:
    curve = turnbull(frame(left, right), at_years=[0.1])
    row = milestone(curve, at_years=0.1).row(0, named=True)
    if row["estimate"] is None:  # nobody was followed so long
        assert "not extrapolated" in row["note"]
    else:
        assert 0 <= row["lower"] <= row["estimate"] <= row["upper"] <= 1


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


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=60)
)
def test_adding_places_as_needed_finds_the_same_maximum(seen: list[tuple[int, int, int]]) -> None:
    left = np.array([float(a) for a, _, _ in seen])
    right = np.array([float(a + b) if kind else np.inf for a, b, kind in seen])
    at = np.array([7.0, 20.0])
    at_once, limits = npmle(left, right), likelihood_ratio_limits(left, right, at)
    with mock.patch.object(_interval_places, "FEW_PLACES", 0):
        in_rounds, limits_in_rounds = npmle(left, right), likelihood_ratio_limits(left, right, at)
    for one, other in zip(limits, limits_in_rounds, strict=True):
        assert other == pytest.approx(one, abs=1e-7)
    assert in_rounds.loglik == pytest.approx(at_once.loglik, rel=1e-12, abs=1e-9)
    assert in_rounds.gap <= 1e-8
    assert in_rounds.mass.sum() == pytest.approx(1)
    assert in_rounds.upper.tolist() == at_once.upper.tolist()


def test_many_places_by_hand() -> None:
    """1,000 patients seen at days 2k, the event in every second one's next two days: each mass is that of Kaplan and Meier."""
    k = np.arange(1000.0)
    fit = npmle(2 * k, np.where(k % 2 == 0, 2 * k + 2, np.inf))
    kaplan_meier = np.cumprod(np.where(k % 2 == 0, 1 - 1 / (1000 - k), 1.0))
    assert fit.upper.size == 501
    assert survival_at(fit, 2 * k + 2) == pytest.approx(kaplan_meier, abs=1e-9)


def test_no_patients_no_curve() -> None:
    assert turnbull(frame([], [])).is_empty()


def test_a_sample_whose_newton_system_cancels_to_zero() -> None:
    """One of the 3,000 samples of benchmarks/coverage_interval_censored.py; its extreme hazards are 38 powers of ten apart."""
    left, right = np.loadtxt(REFERENCE / "turnbull_singular.csv", delimiter=",", comments="#")
    lower, upper = likelihood_ratio_limits(left, right, np.array([1095.75]))
    estimate = survival_at(npmle(left, right), np.array([1095.75]))
    assert 0 < lower[0] < estimate[0] < upper[0] < 1
