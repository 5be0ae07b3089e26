"""Separated events: supremum, profile limits and p against the likelihood written out set by set."""

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize
from scipy.special import chdtrc, chdtri, logsumexp

from ahsct.errors import AhsctError
from ahsct.estimates import cox
from ahsct.estimates.cox_profile import profile
from ahsct.estimates.cox_regression import CoxRegression, cox_regression, maximise

TIES = ["exact", "efron", "breslow"]
CHOICES = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def choices(
    time: np.ndarray, event: np.ndarray, x: np.ndarray, entry: np.ndarray, stratum: np.ndarray, ties: str
) -> CHOICES:
    """Return what was seen and what might have been, as sums of covariates, with the logarithm of a weight each."""
    found = []
    for s in np.unique(stratum):
        for at in np.unique(time[(stratum == s) & event]):
            risk = np.flatnonzero((stratum == s) & (time >= at) & (entry < at))
            dead = np.flatnonzero((stratum == s) & (time == at) & event)
            if ties == "exact":
                sums = np.array([x[list(some)].sum(axis=0) for some in combinations(risk, dead.size)])
                found.append((x[dead].sum(axis=0), sums, np.zeros(sums.shape[0])))
                continue
            for number in range(dead.size):
                weight = np.where(np.isin(risk, dead), 1 - number / dead.size * (ties == "efron"), 1.0)
                found.append((x[dead].mean(axis=0), x[risk], np.log(weight)))
    return found


def log_likelihood(beta: np.ndarray, sets: CHOICES) -> tuple[float, np.ndarray]:
    value, slope = 0.0, np.zeros(beta.size)
    for seen, possible, weight in sets:
        total = logsumexp(possible @ beta + weight)
        value += float(seen @ beta - total)
        slope += seen - np.exp(possible @ beta + weight - total) @ possible
    return value, slope


def highest(sets: CHOICES, size: int, at: dict[int, float]) -> float:
    """Return the highest value that a general optimiser finds with some coefficients held."""
    free = [k for k in range(size) if k not in at]

    def downwards(some: np.ndarray) -> tuple[float, np.ndarray]:
        beta = np.zeros(size)
        beta[free], beta[list(at)] = some, list(at.values())
        value, slope = log_likelihood(beta, sets)
        return -value, -slope[free]

    signs = (-1.0) ** np.arange(len(free))
    ends = [
        minimize(downwards, start * signs, jac=True, method="BFGS", options={"gtol": 1e-10}).fun
        for start in (0.0, 1.0, -1.0, 6.0, -6.0)
    ]
    return -float(min(ends))


def separated(seed: int, ties: str) -> tuple[CoxRegression, CHOICES]:
    """Return a fit whose coefficients diverge, some or all, with ties, and with delayed entry and strata at times."""
    rng = np.random.default_rng(seed)
    while True:
        n, size = int(rng.integers(6, 11)), int(rng.integers(2, 4))
        x = np.column_stack((rng.integers(0, 2, (n, size - 1)), rng.integers(0, 4, n))).astype(float)
        time, event = rng.integers(2, 5, n).astype(float), rng.random(n) < 0.6
        entry = np.where(rng.random(n) < 0.3 * (seed % 3 == 1), 1.0, -np.inf)
        stratum = rng.integers(0, 2, n) if seed % 4 == 2 else np.zeros(n, int)
        try:
            fit = cox_regression(time, event, x, entry=entry, stratum=stratum, ties=ties)
        except AhsctError:  # nothing to compare
            continue
        if fit.is_diverging.any():
            return fit, choices(time, event, x, entry, stratum, ties)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(4))
def test_the_supremum_is_reached_along_the_direction_and_nothing_is_higher(seed: int, ties: str) -> None:
    fit, sets = separated(seed, ties)
    limit = fit.limit(None)
    basis, direction = limit.separation.basis, limit.separation.direction
    size = basis.shape[1]
    within = basis @ maximise(limit.likelihood_at, np.zeros(size), np.ones(size, dtype=bool))[0]
    far = log_likelihood((within + 100 * direction) / fit.scale, sets)[0]
    assert fit.likelihood.value == pytest.approx(far, abs=1e-9)
    assert fit.likelihood.value >= highest(sets, fit.scale.size, {}) - 1e-9
    kept = ~fit.is_diverging
    np.testing.assert_allclose(fit.coefficients[kept], (within / fit.scale)[kept], rtol=1e-9)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("seed", range(4))
def test_profile_limits_and_p_are_those_of_the_sets_written_out(seed: int, ties: str) -> None:
    fit, sets = separated(seed, ties)
    size, top = fit.scale.size, fit.likelihood.value
    for k in range(size):
        found = profile(fit, k)
        at_zero = 2 * (top - highest(sets, size, {k: 0.0}))
        assert found.p_value == pytest.approx(chdtrc(1, max(at_zero, 0.0)), abs=2e-4)
        for sign, limit in ((-1, found.lower), (1, found.upper)):
            beta = sign * 30.0 if limit is None else limit
            drop = 2 * (top - highest(sets, size, {k: beta}))
            if limit is None:
                assert drop < chdtri(1, 0.05)
            else:
                assert drop == pytest.approx(chdtri(1, 0.05), abs=1e-3)


def test_without_ties_exact_is_efron_also_under_separation() -> None:
    rng = np.random.default_rng(5)
    time = rng.permutation(30) + 1
    arm = np.arange(30) % 2
    frame = pl.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(30)],
            "time_day": time,
            "is_event": (arm == 0) & (time < 28),
            "arm": "X",
        }
    )
    covariates = frame.select("patient_id", treated=pl.Series(arm), age=pl.Series(rng.normal(40, 8, 30)))
    one, other = (
        cox(frame, covariates, terms=["treated", "age"], ties=ties, interval="profile")
        for ties in ("exact", "efron")
    )
    for column in ("estimate", "lower", "upper", "p_value"):
        assert one[column].is_null().equals(other[column].is_null())
        np.testing.assert_allclose(one[column].drop_nulls(), other[column].drop_nulls(), rtol=2e-5)


def test_a_coefficient_that_is_left_without_information_says_so() -> None:
    # the event at day 1 is certain once the first covariate counts without bound; the second differs only there
    frame = pl.DataFrame(
        {"patient_id": ["a", "b", "c"], "time_day": [1, 2, 2], "is_event": [True, True, True]}
    )
    x = pl.DataFrame({"patient_id": ["a", "b", "c"], "u": [1, 0, 0], "v": [0, 1, 0]})
    rows = cox(frame.with_columns(arm=pl.lit("X")), x, terms=["u", "v"], ties="exact", interval="profile")
    assert rows["estimate"][:2].is_null().all()
    assert rows["lower"][1] is None
    assert rows["upper"][1] is None
    assert rows.filter(pl.col("statistic") == "likelihood_ratio_test")["estimate"][0] == pytest.approx(
        2 * np.log(3)
    )


def test_with_delayed_entry_an_arm_that_meets_the_reference_at_no_event_is_not_determined() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": [f"p{k}" for k in range(11)],
            "time_day": [509.8, 9.9, 1.1, 275.2, 815, 336.8, 377.7, 1408.4, 3028.9, 1643.2, 0.6],
            "entry_day": [367.0, 0, 0, 0, 724, 0, 0, 804, 0, 976, 0],
            "is_event": [True, False, True, False, False, True, False, True, True, False, False],
            "arm": list("ABCBBCCCBCC"),
        }
    )
    x = frame.select("patient_id", x=pl.Series([2.5, 2.5, 1, 1, 1, 2.5, 0, 1, 0, 1, 2.5]))
    rows = cox(frame, x, terms=["arm", "x"], interval="profile").filter(pl.col("statistic") == "hazard_ratio")
    assert rows["note"][0] is not None
    assert "towards a hazard ratio of 0" in rows["note"][0]
    assert rows["note"][1] is not None
    assert "does not depend on it" in rows["note"][1]
    assert rows["p_value"][1] == 1.0
    assert rows["upper"].is_null().to_list() == [False, True, False]
    assert rows["lower"].is_null().to_list() == [True, True, False]


# all have the event, in turn; x and y together nearly tell who comes first
NEARLY = np.array([[0, -0.117], [0, 0.682], [0, -0.008], [1, 1.142]])
# one covariate more than events
FEW_EVENTS = np.array(
    [
        [2.47, -0.32, 0, 0.24],
        [-1.67, -0.52, 0, 0.56],
        [0.43, 1.65, 1, -0.83],
        [-0.85, -1.62, 0, 1.08],
        [-1.39, 0.78, 0, 0.75],
        [-0.84, -0.21, 0, 0.24],
        [-2.79, -0.16, 0, -1.05],
        [1.19, -0.06, 0, -0.71],
        [0.5, -0.42, 0, -0.31],
    ]
)


@pytest.mark.parametrize(
    ("time", "event", "x", "entry"),
    [
        ([8, 9, 3, 7], [1, 1, 1, 1], NEARLY, [-np.inf] * 4),
        (
            [1, 7, 2, 6, 5, 7, 5, 3, 1],
            [0, 0, 1, 0, 0, 0, 0, 1, 1],
            FEW_EVENTS,
            [-np.inf, -np.inf, 0, -np.inf, 2, 5, -np.inf, -np.inf, 0],
        ),
    ],
)
def test_where_events_are_nearly_separated_profile_limits_are_where_the_likelihood_has_fallen(
    time: list[float], event: list[int], x: np.ndarray, entry: list[float]
) -> None:
    fit = cox_regression(time, event, x, entry=entry, ties="breslow")
    assert not fit.is_diverging.any()
    arrays = np.asarray(time), np.asarray(event, dtype=bool), (x - x.mean(axis=0)) / x.std(axis=0)
    sets = choices(*arrays, np.asarray(entry), np.zeros(len(time)), "breslow")
    target = fit.likelihood.value - chdtri(1, 0.05) / 2
    for k, scale in enumerate(x.std(axis=0)):
        found = profile(fit, k)
        for sign, limit in ((-1, found.lower), (1, found.upper)):
            if limit is None:  # 60 standard deviations away the likelihood is still as high
                assert highest(sets, x.shape[1], {k: sign * 60.0}) > target - 1e-3
            else:
                assert highest(sets, x.shape[1], {k: limit * scale}) == pytest.approx(target, abs=1e-3)
        assert (found.p_value < 0.05) == (0 < (found.lower or -np.inf) or 0 > (found.upper or np.inf))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_beside_an_empty_arm_robust_errors_are_those_without_it(ties: str) -> None:
    rng = np.random.default_rng(3)
    n = 24
    arm, age = rng.random(n) < 0.3, rng.normal(size=n)
    time = rng.integers(1, 12, n).astype(float)
    event = (rng.random(n) < 0.7) & ~arm
    entry = np.where(rng.random(n) < 0.5, np.floor(rng.random(n) * time), -np.inf)
    cluster = rng.integers(0, 6, n)
    both = cox_regression(time, event, np.column_stack((arm, age)), entry=entry, cluster=cluster, ties=ties)
    some = ~arm
    alone = cox_regression(
        time[some], event[some], age[some, None], entry=entry[some], cluster=cluster[some], ties=ties
    )
    assert both.is_diverging.tolist() == [True, False]
    assert both.robust is not None
    assert alone.robust is not None
    assert both.robust[1, 1] == pytest.approx(alone.robust[0, 0], rel=1e-7)


def test_with_delayed_entry_robust_errors_of_a_separated_arm_are_missing() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": list("abcdefg"),
            "arm": list("XYXYYXY"),
            "entry_day": [1015, 382, 151, 719, 822, 743, 481],
            "time_day": [1442, 430, 171, 905, 1001, 1167, 964],
            "is_event": [False, False, True, True, True, True, True],
        }
    )
    row = cox(frame, cluster="patient_id").row(0, named=True)
    assert "towards a hazard ratio of infinity" in row["note"]
    assert row["std_error"] is None
