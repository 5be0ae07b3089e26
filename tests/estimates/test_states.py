"""Probabilities of states over time: against survfit and etm, by hand, properties, impossible input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates._state_occupation import Sojourns, occupation
from ahsct.estimates.competing import cumulative_incidence
from ahsct.estimates.states import occupation_at, state_occupation
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "states_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "states.csv", infer_schema_length=None)


def stays(name: str) -> pl.DataFrame:
    return DATA.filter(pl.col("data_set") == name).select(
        patient_id=pl.col("id").cast(pl.String),
        from_state="from",
        to_state=pl.when(pl.col("to") != "cens").then("to"),
        start_day="start",
        stop_day="stop",
    )


def states_of(name: str) -> list[str]:
    return R_ROWS.filter(pl.col("data_set") == name)["state"].unique(maintain_order=True).to_list()


def at(curve: pl.DataFrame, state: str, days: pl.Series) -> pl.DataFrame:
    block = curve.filter(pl.col("cause") == state)
    rows = np.searchsorted(block["time_years"].to_numpy() * DAYS_PER_YEAR, days.to_numpy() + 1e-6) - 1
    return block[rows.tolist()]


@pytest.mark.parametrize("name", ["myeloid", "myeloid_late", "abortion"])
@pytest.mark.parametrize("variance", ["infinitesimal_jackknife", "greenwood"])
def test_agrees_with_survfit_and_etm(name: str, variance: str) -> None:
    states = states_of(name)
    curve = state_occupation(stays(name), states=states, initial=states[0], variance=variance)
    assert curve.schema == CURVE
    for state in states:
        r = R_ROWS.filter((pl.col("data_set") == name) & (pl.col("state") == state))
        ours = at(curve, state, r["time"])
        np.testing.assert_allclose(ours["estimate"], r["estimate"], rtol=1e-10, atol=1e-14)
        if variance == "greenwood":
            np.testing.assert_allclose(ours["std_error"] ** 2, r["var_etm"], rtol=1e-10, atol=1e-18)
        else:
            np.testing.assert_allclose(ours["std_error"], r["std_error_ij"], rtol=1e-10, atol=1e-12)


def arrays(name: str, states: list[str]) -> Sojourns:
    rows = stays(name)
    code = {state: k for k, state in enumerate(states)}
    patients = {one: k for k, one in enumerate(rows["patient_id"].unique(maintain_order=True))}
    return Sojourns(
        rows["start_day"].to_numpy(),
        rows["stop_day"].to_numpy(),
        np.array([code[one] for one in rows["from_state"]]),
        np.array([-1 if one is None else code[one] for one in rows["to_state"]]),
        np.array([patients[one] for one in rows["patient_id"]]),
    )


def test_two_initial_states_agree_with_survfit_which_holds_their_shares_fixed() -> None:
    states = states_of("sir.cont")
    sojourns = arrays("sir.cont", states)
    at_start = sojourns.start <= 0
    shares = np.bincount(sojourns.origin[at_start], minlength=3) / at_start.sum()
    found = occupation(sojourns, n_states=3, initial=shares, variance="infinitesimal_jackknife")
    for k, state in enumerate(states):
        r = R_ROWS.filter((pl.col("data_set") == "sir.cont") & (pl.col("state") == state))
        rows = np.searchsorted(found.time, r["time"].to_numpy() + 1e-6) - 1
        np.testing.assert_allclose(found.probability[k, rows], r["estimate"], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(found.std_error[k, rows], r["std_error_ij"], rtol=1e-10, atol=1e-12)
    # with the shares estimated, the first standard error is that of a proportion
    free = occupation(sojourns, n_states=3, initial=None, variance="infinitesimal_jackknife")
    expected = np.sqrt(shares[0] * (1 - shares[0]) / at_start.sum())
    assert free.std_error[0, 0] == pytest.approx(expected, rel=1e-12)
    greenwood = occupation(sojourns, n_states=3, initial=None, variance="greenwood")
    assert greenwood.std_error[0, 0] == pytest.approx(expected, rel=1e-12)


def weighted(sojourns: Sojourns, weight: np.ndarray, k: int) -> np.ndarray:
    """The plain formula with patients' weights, at the end."""
    each = weight[sojourns.patient]
    first = np.bincount(sojourns.origin[sojourns.start <= 0], each[sojourns.start <= 0], minlength=k)
    p = first / first.sum()
    for u in np.unique(sojourns.stop):
        a = np.eye(k)
        for h in range(k):
            n = each[
                (sojourns.origin == h) & ((sojourns.start < u) | (sojourns.start <= 0)) & (sojourns.stop >= u)
            ].sum()
            for j in range(k):
                d = each[(sojourns.origin == h) & (sojourns.target == j) & (sojourns.stop == u)].sum()
                if d:
                    a[h, j] += d / n
                    a[h, h] -= d / n
        p = p @ a
    return p


def test_the_jackknife_is_the_derivative_by_weight() -> None:
    rng = np.random.default_rng(5)
    rows = []
    for patient in range(25):
        day, state = 0.0, int(rng.integers(0, 2))
        for _ in range(3):
            stop = day + float(rng.integers(1, 6))
            target = int(rng.choice([-1, *[one for one in range(3) if one != state]]))
            rows.append((day, stop, state, target, patient))
            if target in (-1, 2):
                break
            day, state = stop, target
    sojourns = Sojourns(*(np.array(one) for one in zip(*rows, strict=True)))
    found = occupation(sojourns, n_states=3, initial=None, variance="infinitesimal_jackknife")
    h, influence = 1e-5, []
    for patient in range(25):
        up, down = np.ones(25), np.ones(25)
        up[patient], down[patient] = 1 + h, 1 - h
        influence.append((weighted(sojourns, up, 3) - weighted(sojourns, down, 3)) / (2 * h))
    np.testing.assert_allclose(
        found.std_error[:, -1], np.sqrt(np.square(influence).sum(axis=0)), rtol=1e-7, atol=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=25))
def test_competing_risks_are_a_special_case(rows: list[tuple[int, int]]) -> None:
    n = len(rows)
    time, cause = np.array([one[0] for one in rows]), np.array([one[1] for one in rows])
    sojourns = Sojourns(np.zeros(n), time, np.zeros(n, int), np.where(cause > 0, cause, -1), np.arange(n))
    incidence = cumulative_incidence(time, cause, n_causes=2)
    for variance in ("infinitesimal_jackknife", "greenwood"):  # with one state to leave they are the same
        found = occupation(sojourns, n_states=3, initial=np.array([1.0, 0, 0]), variance=variance)
        np.testing.assert_allclose(found.probability[1:], incidence.estimate, atol=1e-12)
        np.testing.assert_allclose(found.std_error[1:], incidence.std_error, atol=1e-7)
        np.testing.assert_allclose(found.probability.sum(axis=0), 1, atol=1e-12)


def table(rows: list[tuple[str, str, str | None, float, float]]) -> pl.DataFrame:
    return pl.DataFrame(
        rows,
        schema={"patient_id": pl.String, "from_state": pl.String, "to_state": pl.String, "start_day": pl.Float64,
                "stop_day": pl.Float64},
        orient="row",
    )  # fmt: skip


def test_by_hand_with_a_way_back() -> None:
    # a: well, ill on day 2, well on day 4, to day 6; b: well, dead on day 3; day 2: 1/2 ill; day 3: the other half dead
    curve = state_occupation(
        table(
            [
                ("a", "well", "ill", 0, 2),
                ("a", "ill", "well", 2, 4),
                ("a", "well", None, 4, 6),
                ("b", "well", "dead", 0, 3),
            ]
        ),
        states=["well", "ill", "dead"],
    )
    ends = curve.pivot("cause", index="time_years", values="estimate").drop("time_years").rows()
    assert ends == [(1, 0, 0), (0.5, 0.5, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0, 0.5)]
    risk = curve.filter(pl.col("cause") == "well")["n_at_risk"].to_list()
    assert risk == [2, 2, 1, 0, 1]


def test_a_milestone_has_limits_also_where_nobody_is_in_the_state() -> None:
    curve = state_occupation(
        table([(f"p{i}", "well", "ill" if i < 3 else None, 0, 100.0 + i) for i in range(12)]),
        states=["well", "ill", "dead"],
    )
    rows = occupation_at(curve, at_years=0.28)
    assert rows.schema == RESULTS
    well, ill, dead = rows.iter_rows(named=True)
    assert (well["n"], well["n_at_risk"], ill["n_events"]) == (12, 9, 3)
    assert well["lower"] < 0.75 < well["upper"]
    assert dead["upper"] == pytest.approx(1 - 0.025 ** (1 / 9))
    assert "none of the 9" in dead["note"]
    beyond = occupation_at(curve, at_years=2)
    assert beyond["estimate"].null_count() == 3
    assert beyond["note"].str.contains("not extrapolated").all()


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([("b", "well", "ill", 0, 5), ("a", "well", "ill", 5, 5)], "end after it starts"),
        ([("a", "well", "ill", 0, 5), ("a", "ill", None, 3, 9)], "one state at a time"),
        ([("a", "well", "well", 0, 5)], "another state"),
        ([("a", None, "ill", 0, 5)], "from_state"),
        ([("a", "well", "ill", 3, 5)], "at risk on day 0"),
        ([("a", "well", "ill", -3, -1)], "stop_day"),
    ],
)
def test_impossible_stays_are_refused(
    rows: list[tuple[str, str, str | None, float, float]], word: str
) -> None:
    with pytest.raises(TableError, match=word):
        state_occupation(table(rows), states=["well", "ill"])


def test_wrong_words_are_refused() -> None:
    with pytest.raises(RequestError, match="Did you mean 'well'"):
        state_occupation(table([("a", "wel", None, 0, 5)]), states=["well", "ill"])
    with pytest.raises(RequestError, match="Did you mean 'greenwood'"):
        state_occupation(table([("a", "well", None, 0, 5)]), states=["well"], variance="grenwood")


@pytest.mark.parametrize("stop", [0.0, 5.0])
def test_one_patient(stop: float) -> None:
    for target in ("ill", None):
        curve = state_occupation(table([("a", "well", target, 0, stop)]), states=["well", "ill"])
        assert not any(curve.select(pl.col(pl.Float64).is_nan().any()).row(0))
        assert curve.filter(pl.col("cause") == "ill")["estimate"][-1] == float(target is not None)
    assert state_occupation(table([]), states=["well"]).is_empty()


def test_rounding_is_no_probability() -> None:
    """Sums of thirds and sevenths that end a hair beside 0 or 1 have no error and, at a time, exact limits."""
    stays = pl.DataFrame(
        {
            "patient_id": [f"p{i}" for i in range(7)],
            "from_state": "well",
            "to_state": ["ill", "dead", "lost"] * 2 + ["ill"],
            "start_day": [0] * 7,
            "stop_day": [10, 10, 10, 20, 20, 20, 30],
        }
    )
    onwards = stays.with_columns(
        from_state="to_state",
        to_state=pl.lit("dead"),
        start_day="stop_day",
        stop_day=40 + pl.int_range(pl.len()),
    ).filter(pl.col("from_state") != "dead")
    curve = state_occupation(pl.concat([stays, onwards]), states=["well", "ill", "lost", "dead"])
    last = curve.filter(pl.col("time_years") == curve["time_years"].max()).sort("cause")
    assert last["estimate"].to_list() == [1.0, 0.0, 0.0, 0.0]
    assert last["std_error"].to_list() == [0.0] * 4
    assert last["upper"].null_count() == 4
    for row in occupation_at(curve, at_years=1).rows(named=True):
        assert row["std_error"] is None
        assert row["upper"] - row["lower"] == pytest.approx(1 - 0.025 ** (1 / 7), rel=1e-9)
