"""The panel illness-death model: a simulated truth, by hand, and what it adds to the two bounds."""

import numpy as np
import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates.competing_npmle import competing_npmle
from ahsct.estimates.illness_death import (
    ALIVE,
    DEAD,
    EVENT,
    FREE,
    illness_death,
    illness_death_observations,
    incidence_of_event,
)
from ahsct.estimates.panel_fit import fit_panel_markov, transition_probabilities
from ahsct.vocabulary import RESULTS


def simulated(n: int, q01: float, q02: float, q12: float, seed: int = 3) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Yearly visits to year 6; days in hundredths of years times 365.25."""
    rng, rows = np.random.Generator(np.random.Philox(seed)), []
    for i in range(n):
        ill, dead = rng.exponential(1 / q01), rng.exponential(1 / q02)
        if ill < dead:
            dead = ill + rng.exponential(1 / q12)
        visits = [t for t in range(1, 7) if t < dead]
        found = [t for t in visits if t >= ill and ill < dead]
        before = [t for t in visits if t < ill]
        left = before[-1] if before else 0
        death = dead if dead < 6.5 else None
        if found:
            row = (left, found[0], found[0], True, "progression")
        elif death is not None:
            row = (left, None, death, True, "competing_death")
        else:
            row = (left, None, 6.5, False, None)
        rows.append((f"p{i}", *row, death))
    frame = pl.DataFrame(
        rows, schema=["patient_id", "left_day", "right_day", "time_day", "is_event", "cause", "death_day"], orient="row",
        schema_overrides=dict.fromkeys(("left_day", "right_day", "time_day", "death_day"), pl.Float64),
    )  # fmt: skip
    frame = frame.with_columns(pl.col("left_day", "right_day", "time_day", "death_day") * 365.25)
    survival = frame.select(
        "patient_id",
        time_day=pl.col("death_day").fill_null(6.5 * 365.25),
        is_event=pl.col("death_day").is_not_null(),
    )
    return frame.drop("death_day"), survival


def test_recovers_the_truth_between_the_bounds() -> None:
    q01, q02, q12 = 0.15, 0.03, 0.5
    rows, survival = simulated(1500, q01, q02, q12)
    found = illness_death(rows, survival, at_years=[3])
    assert found.schema == RESULTS
    truth = q01 / (q01 + q02) * (1 - np.exp(-3 * (q01 + q02)))
    first = found.row(0, named=True)
    assert abs(first["estimate"] - truth) < 4 * first["std_error"]
    assert first["lower"] < truth < first["upper"]
    for row, rate in zip(found[1:].iter_rows(named=True), (q01, q02, q12), strict=True):
        assert abs(np.log(row["estimate"] / rate)) < 4 * row["std_error"]
    bounds = [
        competing_npmle(rows.head(300), at_years=[3], unseen=unseen)["estimate"][0]
        for unseen in ("none", "all")
    ]
    few = illness_death(rows.head(300), survival, at_years=[3])["estimate"][0]
    assert bounds[0] < few < bounds[1]


def test_the_incidence_is_that_of_the_matrix() -> None:
    rows, survival = simulated(200, 0.2, 0.05, 0.3)
    fit = fit_panel_markov(
        illness_death_observations(rows.with_row_index("_row"), survival), states=[FREE, EVENT, DEAD], death=DEAD, alive=ALIVE,
        transitions=[(FREE, EVENT), (FREE, DEAD), (EVENT, DEAD)],
    )  # fmt: skip
    # ever in the event by t: make the event a state without way out, and add up what went through it
    a, b = np.exp(fit.log_rates[:2])
    steps = np.linspace(0, 4, 40_001)
    free = np.array([transition_probabilities(fit, t)[0][0, 0] for t in (1.0, 4.0)])
    np.testing.assert_allclose(free, np.exp(-(a + b) * np.array([1.0, 4.0])), rtol=1e-10)
    value, error = incidence_of_event(fit, 4.0)
    assert value == pytest.approx(np.trapezoid(a * np.exp(-(a + b) * steps), steps), rel=1e-8)
    moved, step = [], 1e-5
    for k in range(2):
        up = fit.log_rates.copy()
        up[k] += step
        x, y = np.exp(up[:2])
        moved.append((x / (x + y) * (1 - np.exp(-4 * (x + y))) - value) / step)
    assert error == pytest.approx(np.sqrt(np.array(moved) @ fit.covariance[:2, :2] @ moved), rel=1e-4)


def test_what_is_seen_of_each_patient() -> None:
    rows = pl.DataFrame(
        {"patient_id": list("abcd"), "left_day": [100, 100, 200, 0], "right_day": [200, None, None, 50],
         "is_event": [True, True, False, True], "cause": ["progression", "competing_death", None, "progression"]}
    ).with_row_index("_row", offset=1)  # fmt: skip
    survival = pl.DataFrame(
        {"patient_id": list("abcd"), "time_day": [300, 150, 900, 800], "is_event": [True, True, False, False]}
    )
    assert illness_death_observations(rows, survival).rows() == [
        ("a", 0, FREE), ("a", 100, FREE), ("a", 200, EVENT), ("a", 300, DEAD),
        ("b", 0, FREE), ("b", 100, FREE), ("b", 150, DEAD),
        ("c", 0, FREE), ("c", 200, FREE), ("c", 900, ALIVE),
        ("d", 0, FREE), ("d", 50, EVENT), ("d", 800, EVENT),
    ]  # fmt: skip
    with pytest.raises(TableError, match="1 of 4 have none"):
        illness_death_observations(rows, survival.head(3))


def test_refusals() -> None:
    nobody_died, survival = simulated(40, 0.2, 1e-9, 1e-9)
    row = illness_death(nobody_died, survival, at_years=[1]).row(0, named=True)
    assert row["estimate"] is None
    assert "cannot tell" in row["note"]
    with pytest.raises(RequestError, match="at_years"):
        illness_death(nobody_died, survival, at_years=[0])
    with pytest.raises(TableError, match="delayed entry"):
        illness_death(nobody_died.with_columns(entry_day=pl.lit(5)), survival, at_years=[1])
