"""Simulated studies without treatment: closed form, order of patients, no selection, too little to say."""

import numpy as np
import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import before_after_rates, simulate_without_treatment
from ahsct.estimates.regression_to_the_mean import regression_to_the_mean
from ahsct.vocabulary import RESULTS


def study(n: int = 40, seed: int = 5) -> pl.DataFrame:
    """Patients let in for a relapse, then watched without treatment."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.25, 0.8, 400)
    before = rng.poisson(2 * rate)
    rate, before = rate[before > 0][:n], before[before > 0][:n]
    return pl.DataFrame(
        {"n_before": before, "years_before": 2.0, "n_after": rng.poisson(2 * rate), "years_after": 2.0}
    )


def test_mean_is_the_closed_form() -> None:
    """Watched as long after as before, the expected ratio is that of `regression_to_the_mean`."""
    frame = study()
    row = simulate_without_treatment(frame, n_simulations=20_000).row(0, named=True)
    closed = regression_to_the_mean(frame["n_before"], frame["years_before"])["estimate"].item()
    assert row["estimate"] == pytest.approx(closed, abs=4 * row["mc_error"])
    assert row["mc_error"] < 0.002
    assert row["lower"] < closed < row["upper"]
    assert (
        f"exact mean {closed:.3g}, and {closed:.3g} had each been watched as long after as before"
        in row["note"]
    )
    assert simulate_without_treatment(frame).schema == RESULTS


def test_exact_mean_where_years_after_differ() -> None:
    """Counts 1, 2, 1, 4 in 1, 1, 2, 2 years; whatever rates are fitted, the note's mean is that of the simulation."""
    frame = pl.DataFrame(
        {
            "n_before": [1, 2, 1, 4],
            "years_before": [1.0, 1.0, 2.0, 2.0],
            "n_after": 0,
            "years_after": [1.0, 1.0, 1.0, 9.0],
        }
    )
    row = simulate_without_treatment(frame, n_simulations=20_000).row(0, named=True)
    exact = float(row["note"].split("exact mean ")[1].split(",")[0])
    assert row["estimate"] == pytest.approx(exact, abs=4 * row["mc_error"] + 0.005)
    alone = regression_to_the_mean(frame["n_before"], frame["years_before"])["estimate"].item()
    assert f"and {alone:.3g} had each" in row["note"]
    assert abs(exact - alone) > 0.01


def test_rates_alike_are_drawn_as_poisson() -> None:
    """Counts 1, 2, 1, 2 in a year: phi = 0, r = 1 - exp(-1.5 r) (here 0.5828) times the mean; ratio's variance by hand."""
    frame = pl.DataFrame(
        {
            "n_before": [1, 2, 1, 2],
            "years_before": 1.0,
            "n_after": [0] * 4,
            "years_after": [1.0, 2.0, 1.0, 2.0],
        }
    )
    row = simulate_without_treatment(frame, n_simulations=20_000).row(0, named=True)
    rate = 1.5 * 0.582811645
    # Poisson with mean 6 times the rate, over 6 and times 4 / 6
    assert row["estimate"] == pytest.approx(rate * 4 / 6, abs=4 * row["mc_error"])
    assert row["std_error"] == pytest.approx((6 * rate) ** 0.5 * 4 / 36, rel=0.03)


def test_untreated_studies_lie_inside_about_as_often_as_stated() -> None:
    """Of 20 untreated studies about 19 lie within the 95 % prediction; fewer than 15 has p < 1e-3."""
    held = 0
    for seed in range(20):
        frame = study(seed=seed)
        row = simulate_without_treatment(frame, n_simulations=500).row(0, named=True)
        observed = frame["n_after"].sum() / frame["n_before"].sum()
        held += row["lower"] <= observed <= row["upper"]
    assert 15 <= held


def test_order_of_patients_does_not_matter() -> None:
    frame = study(12)
    assert simulate_without_treatment(frame).equals(simulate_without_treatment(frame.reverse()))
    other = simulate_without_treatment(frame, seed=2)["estimate"].item()
    assert other != simulate_without_treatment(frame)["estimate"].item()


def test_a_window_of_selection_is_used() -> None:
    frame = study().with_columns(n_window=pl.min_horizontal("n_before", pl.lit(1)))
    windowed = simulate_without_treatment(frame, n_window="n_window", window_years=1.0)
    assert windowed["estimate"].item() != simulate_without_treatment(frame)["estimate"].item()


def test_too_little_to_say_and_refusals() -> None:
    frame = study()
    for few in (frame.clear(), frame.head(2), frame.with_columns(n_before=pl.lit(0))):
        row = simulate_without_treatment(few).row(0, named=True)
        assert row["estimate"] is None
        assert row["note"].startswith("not simulated")
    # all at the fewest: any low rate explains them, so that none can be drawn from
    for_all = simulate_without_treatment(frame.with_columns(n_before=pl.lit(1))).row(0, named=True)
    assert (for_all["estimate"], for_all["lower"], for_all["upper"]) == (None, None, None)
    assert for_all["note"].startswith("not simulated: nobody has more than the 1")
    gone = frame.with_columns(years_after=pl.lit(0.0), n_after=pl.lit(0))
    assert simulate_without_treatment(gone)["n_not_evaluable"].item() == frame.height
    with pytest.raises(RequestError, match="at least 100"):
        simulate_without_treatment(frame, n_simulations=10)
    with pytest.raises(TableError, match="a time >= 0"):
        before_after_rates(frame.with_columns(years_after=pl.lit(-1.0)))
