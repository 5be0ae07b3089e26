"""States seen at visits: against msm, by hand, what cannot be told apart."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from ahsct.errors import RequestError, TableError
from ahsct.estimates._markov_chain import transition_rows
from ahsct.estimates.panel_fit import PanelMarkov, fit_panel_markov, transition_probabilities
from ahsct.estimates.panel_markov import panel_markov
from ahsct.vocabulary import DAYS_PER_YEAR, RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "panel_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "panel_markov.csv", infer_schema_length=None)
STATES = ["1", "2", "3", "4"]


def observations(name: str) -> pl.DataFrame:
    return DATA.filter(pl.col("data_set") == name).select(
        patient_id=pl.col("id").cast(pl.String),
        day=pl.col("years") * DAYS_PER_YEAR,
        state=pl.col("state").cast(pl.String),
    )


def r(name: str, what: str) -> pl.DataFrame:
    found = R_ROWS.filter((pl.col("data_set") == name) & (pl.col("what") == what))
    assert found.height
    return found


def fitted(name: str) -> PanelMarkov:
    return fit_panel_markov(
        observations(name),
        states=STATES,
        transitions=[tuple(pair.split()) for pair in r(name, "transition")["at"]],  # type: ignore[misc]
        death=None if name == "psor" else "4",
        alive="99" if name == "pbcseq" else None,
    )


@pytest.mark.parametrize("name", ["cav", "psor", "pbcseq"])
def test_agrees_with_msm(name: str) -> None:
    fit = fitted(name)
    assert -2 * fit.loglik == pytest.approx(r(name, "minus2loglik")["value"][0], rel=1e-10)
    np.testing.assert_allclose(fit.log_rates, r(name, "log_rate")["value"], atol=1e-6)
    covariance = r(name, "covariance")["value"].to_numpy()
    np.testing.assert_allclose(fit.covariance.ravel(), covariance, rtol=1e-6, atol=1e-6 * covariance.max())
    found, _ = transition_probabilities(fit, 5)
    np.testing.assert_allclose(found.ravel(), r(name, "p5")["value"], atol=1e-6)


def test_rows_are_those_of_the_model() -> None:
    fit = fitted("psor")
    rows = panel_markov(
        observations("psor"), states=STATES, transitions=[("1", "2"), ("2", "3"), ("3", "4")], at_years=[5]
    )
    assert rows.schema == RESULTS
    rate = rows.row(0, named=True)
    assert (rate["statistic"], rate["term"]) == ("transition_intensity", "1 -> 2")
    assert rate["upper"] == pytest.approx(np.exp(fit.log_rates[0] + 1.959963984540054 * rate["std_error"]))
    sojourn = rows.filter(pl.col("statistic") == "sojourn_time")
    np.testing.assert_allclose(sojourn["estimate"], r("psor", "sojourn")["value"][:3], rtol=1e-6)
    assert sojourn["estimate"][0] == pytest.approx(1 / rate["estimate"])
    chances = rows.filter(pl.col("statistic") == "transition_probability")
    assert (chances["lower"] < chances["estimate"]).all()
    assert chances.filter(pl.col("term").str.starts_with("1 ->"))["estimate"].sum() == pytest.approx(1)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.floats(-6, 2), min_size=4, max_size=4), st.floats(0, 4), st.integers(0, 2))
def test_the_series_is_the_matrix_exponential(log_rates: list[float], gap: float, state: int) -> None:
    origin, target = np.array([0, 1, 1, 0]), np.array([1, 0, 2, 2])

    def whole(theta: np.ndarray) -> np.ndarray:
        q = np.zeros((3, 3))
        q[origin, target] = np.exp(theta)
        return expm((q - np.diag(q.sum(axis=1))) * gap)[state]

    theta = np.array(log_rates)
    found = transition_rows(theta, origin, target, 3, np.array([state]), np.array([gap]))
    assert found is not None
    np.testing.assert_allclose(found.value[0], whole(theta), atol=1e-12)
    step = 1e-4
    for a in range(4):
        up, down = theta + step * np.eye(4)[a], theta - step * np.eye(4)[a]
        np.testing.assert_allclose(found.first[0, a], (whole(up) - whole(down)) / (2 * step), atol=1e-6)


def frame(*patients: list[tuple[float, str]]) -> pl.DataFrame:
    rows = [(f"p{i}", day, state) for i, seen in enumerate(patients) for day, state in seen]
    return pl.DataFrame(
        rows, schema={"patient_id": pl.String, "day": pl.Float64, "state": pl.String}, orient="row"
    )


YEAR = DAYS_PER_YEAR


def test_death_to_the_day_by_hand() -> None:
    # exact deaths and known survival: q = deaths / years at risk, with the Poisson error of the log
    seen = frame(
        [(0, "alive"), (YEAR, "dead")],
        [(0, "alive"), (2 * YEAR, "dead")],
        [(0, "alive"), (3 * YEAR, "alive")],
    )
    fit = fit_panel_markov(seen, states=["alive", "dead"], transitions=[("alive", "dead")], death="dead")
    assert np.exp(fit.log_rates[0]) == pytest.approx(2 / 6)
    assert fit.covariance[0, 0] == pytest.approx(1 / 2)
    # the same deaths seen at visits only
    visits = fit_panel_markov(seen, states=["alive", "dead"], transitions=[("alive", "dead")])
    assert np.exp(visits.log_rates[0]) > 2 / 6


def test_what_the_data_cannot_tell_is_refused_by_name() -> None:
    ways = [("well", "ill"), ("ill", "well"), ("ill", "dead")]
    nobody_ill = frame(*[[(0, "well"), (YEAR, "well")]] * 5)
    rows = panel_markov(nobody_ill, states=["well", "ill", "dead"], transitions=ways, death="dead")
    assert rows["estimate"].null_count() == 1
    assert "cannot tell" in rows["note"][0]
    # seen once from well to ill a long time apart: the rates there and back stay open
    one_way = frame(
        *[[(0, "well"), (YEAR, "ill"), (2 * YEAR, "ill")]] * 3, *[[(0, "well"), (YEAR, "well")]] * 3
    )
    with pytest.raises(TableError, match="ill -> well"):
        fit_panel_markov(one_way, states=["well", "ill"], transitions=[("well", "ill"), ("ill", "well")])
    with pytest.raises(TableError, match="no patient was seen twice"):
        fit_panel_markov(frame([(0, "well")]), states=["well", "ill"], transitions=[("well", "ill")])


def test_each_arm_has_its_own_model() -> None:
    seen = frame(
        *[[(0, "well"), (YEAR, "ill")]] * 2,
        *[[(0, "well"), (YEAR, "well")]] * 3,
        [(0, "well"), (YEAR, "ill")],
    )
    arms = seen.with_columns(
        arm=pl.when(pl.col("patient_id").is_in(["p0", "p2"])).then(pl.lit("A")).otherwise(pl.lit("B"))
    )
    rows = panel_markov(arms, states=["well", "ill"], transitions=[("well", "ill")]).filter(
        pl.col("statistic") == "transition_intensity"
    )
    assert rows["arm"].to_list() == ["A", "B"]
    np.testing.assert_allclose(rows["estimate"], [np.log(2), np.log(2)], rtol=1e-7)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (frame([(0, "well"), (0, "ill")]), "fall on the day"),
        (frame([(0, "dead"), (5, "well")]), "after death"),
        (frame([(0, "alive?"), (5, "well")]), "only be a patient's last"),
        (frame([(0, "ill"), (5, "well")]), "no chain"),
        (frame([(0, None), (5, "well")]), "state` is missing"),  # type: ignore[list-item]
    ],
)
def test_impossible_observations_are_refused(seen: pl.DataFrame, word: str) -> None:
    with pytest.raises(TableError, match=word):
        fit_panel_markov(
            seen, states=["well", "ill", "dead"], transitions=[("well", "ill"), ("ill", "dead")], death="dead", alive="alive?"
        )  # fmt: skip


def test_wrong_words_are_refused() -> None:
    seen = frame([(0, "well"), (5, "il")])
    with pytest.raises(RequestError, match="Did you mean 'ill'"):
        fit_panel_markov(seen, states=["well", "ill"], transitions=[("well", "ill")])
    with pytest.raises(RequestError, match="out of death"):
        fit_panel_markov(seen, states=["well", "ill"], transitions=[("ill", "well")], death="ill")
    with pytest.raises(RequestError, match="different pairs"):
        fit_panel_markov(seen, states=["well", "ill"], transitions=[])


@pytest.mark.parametrize("years", [-1.0, float("nan"), float("inf")])
def test_impossible_times_are_refused(years: float) -> None:
    seen = pl.DataFrame(
        {"patient_id": list("aabb"), "day": [0.0, 365.25] * 2, "state": ["well", "ill", "well", "well"]}
    )
    fit = fit_panel_markov(seen, states=["well", "ill"], transitions=[("well", "ill")])
    with pytest.raises(RequestError, match="years must be a number of years >= 0"):
        transition_probabilities(fit, years)
