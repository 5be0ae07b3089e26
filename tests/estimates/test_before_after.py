"""Before and after within patients: R on data that ship with it, hand calculations, empty sides."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import before_after_rates, rate_ratio, simulate_without_treatment
from ahsct.estimates._repeated_counts import fit_gee, fit_poisson_normal
from ahsct.estimates.before_after import METHODS
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "before_after_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "before_after.csv", infer_schema_length=None)
SETS = ["seizure", "cgd", "bladder"]


def expected(name: str, method: str) -> dict[str, float]:
    return R_ROWS.filter((pl.col("set") == name) & (pl.col("method") == method)).row(0, named=True)


def long(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    data = DATA.filter((pl.col("set") == name) & (pl.col("years_after") > 0))
    count = np.concatenate([data["n_before"].to_numpy(), data["n_after"].to_numpy()]).astype(float)
    offset = np.log(np.concatenate([data["years_before"].to_numpy(), data["years_after"].to_numpy()]))
    matrix = np.column_stack([np.ones(2 * data.height), np.repeat([0.0, 1.0], data.height)])
    return count, matrix, offset, np.tile(np.arange(data.height), 2)


@pytest.mark.parametrize("name", [*SETS, "none_after", "none_before"])
def test_conditional_agrees_with_r(name: str) -> None:
    r = expected(name, "conditional")
    row = before_after_rates(
        DATA.filter(pl.col("set") == name), methods=["conditional"], with_p_value=True
    ).row(0, named=True)
    if r["log_ratio"] is not None:
        assert math.log(row["estimate"]) == pytest.approx(r["log_ratio"], rel=1e-9)
    else:
        assert row["estimate"] == (0 if name == "none_after" else None)
    for limit in ("lower", "upper"):
        assert row[limit] == (None if r[limit] is None else pytest.approx(r[limit], rel=1e-10, abs=1e-14))
    assert row["p_value"] == pytest.approx(r["p_value"], rel=1e-9)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("correlation", ["independence", "exchangeable"])
def test_gee_agrees_with_r(name: str, correlation: str) -> None:
    r, gee = expected(name, correlation), fit_gee(*long(name), correlation=correlation)
    assert gee.coefficients[1] == pytest.approx(r["log_ratio"], rel=1e-6)
    assert math.sqrt(gee.covariance[1, 1]) == pytest.approx(r["std_error"], rel=1e-6)
    extra = gee.scale if correlation == "independence" else gee.correlation
    assert extra == pytest.approx(r["extra"], rel=1e-6)
    row = before_after_rates(
        DATA.filter(pl.col("set") == name), methods=["gee"], correlation=correlation
    ).row(0, named=True)
    assert row["estimate"] == pytest.approx(math.exp(r["log_ratio"]), rel=1e-6)
    assert row["std_error"] / row["estimate"] == pytest.approx(r["std_error"], rel=1e-6)
    assert row["df"] == row["n"] - 1


@pytest.mark.parametrize("name", SETS)
def test_mixed_poisson_agrees_with_r(name: str) -> None:
    r, fit = expected(name, "mixed"), fit_poisson_normal(*long(name))
    # R's minimiser ends near 1e-8 absolute, which is 2e-7 of the smallest coefficient
    assert fit.coefficients[1] == pytest.approx(r["log_ratio"], rel=1e-6)
    assert fit.patient_sd == pytest.approx(r["extra"], rel=1e-6)
    assert math.sqrt(fit.covariance[1, 1]) == pytest.approx(r["std_error"], rel=1e-6)


def test_regression_to_the_mean_stands_beside() -> None:
    rows = before_after_rates(DATA.filter(pl.col("set") == "bladder"))
    assert rows.schema == RESULTS
    assert rows["term"].to_list() == ["after / before"] * 3 + ["regression_to_the_mean"]
    n, n_left = rows.row(0, named=True)["n"], rows.row(0, named=True)["n_not_evaluable"]
    assert (n, n + n_left) == (rows["n"][3], DATA.filter(pl.col("set") == "bladder").height)
    assert n_left > 0
    assert rows["mark"][3] == "assumed"


@settings(max_examples=20)
@given(
    counts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=8),
    ratio=st.floats(0.2, 5),
)
def test_equal_ratios_of_time_give_the_pooled_answer(counts: list[tuple[int, int]], ratio: float) -> None:
    """Where everybody's times have one ratio, the sum of binomials is one binomial: `rate_ratio`."""
    frame = pl.DataFrame(counts, schema=["n_before", "n_after"], orient="row").with_columns(
        years_before=pl.lit(2.0), years_after=pl.lit(2.0 * ratio)
    )
    row = before_after_rates(frame, methods=["conditional"]).row(0, named=True)
    before, after, n = frame["n_before"].sum(), frame["n_after"].sum(), frame.height
    if before + after:
        pooled = rate_ratio(after, 2 * ratio * n, before, 2.0 * n).row(0, named=True)
        for name in ("estimate", "lower", "upper"):
            assert row[name] == (None if pooled[name] is None else pytest.approx(pooled[name], rel=1e-9))


def test_nothing_after() -> None:
    frame = DATA.filter(pl.col("set") == "none_after")
    conditional, gee, mixed, _ = before_after_rates(frame, with_p_value=True).iter_rows(named=True)
    assert (conditional["estimate"], conditional["lower"]) == (0, 0)
    # by hand: the upper limit makes no event after this likely: product of 1 / (1 + rho r)^t is 0.025
    rho = conditional["upper"]
    assert math.prod((1 + rho * r) ** -t for r, t in ((2.5, 3), (2, 7), (2, 2))) == pytest.approx(
        0.025, rel=1e-9
    )
    for row in (gee, mixed):
        assert (row["estimate"], row["upper"], row["p_value"]) == (0, None, None)
        assert "no event after" in row["note"]


def test_too_little_to_say() -> None:
    schema = {
        "n_before": pl.Int64,
        "years_before": pl.Float64,
        "n_after": pl.Int64,
        "years_after": pl.Float64,
    }
    for counts in (
        [],
        [(3, 2.0, 1, 1.0)],
        [(0, 1.0, 0, 1.0)] * 4,
        [(3, 2.0, 0, 0.0)],
        [(0, 1.0, 2, 1.0)] * 3,
    ):
        rows = before_after_rates(pl.DataFrame(counts, schema=schema, orient="row"), with_p_value=True)
        assert rows.height == 4
        for row in rows.iter_rows(named=True):
            assert row["estimate"] is not None or row["note"]
            assert row["upper"] is not None or row["note"]


def test_patients_all_alike_have_no_sandwich_error() -> None:
    frame = pl.DataFrame({"n_before": [4] * 5, "years_before": 2.0, "n_after": [1] * 5, "years_after": 1.0})
    row = before_after_rates(frame, methods=["gee"]).row(0, named=True)
    assert (row["estimate"], row["upper"]) == (pytest.approx(0.5), None)
    assert "same ratio" in row["note"]


def test_patients_who_differ_no_more_than_chance() -> None:
    counts = np.array([2.0, 2, 2, 2, 1, 1, 1, 1])
    matrix = np.column_stack([np.ones(8), np.repeat([0.0, 1.0], 4)])
    fit = fit_poisson_normal(counts, matrix, np.zeros(8), np.tile(np.arange(4), 2))
    assert fit.patient_sd == 0
    # by hand: 8 and 4 events
    assert fit.coefficients[1] == pytest.approx(math.log(0.5), rel=1e-10)
    assert fit.covariance[1, 1] == pytest.approx(1 / 8 + 1 / 4, rel=1e-9)
    assert fit.log_likelihood == pytest.approx(4 * (math.log(2) - 2 - 1), rel=1e-9)


def test_exchangeable_where_repeated_steps_run_away() -> None:
    """Undamped steps overflow here; the answer solves both equations: scores of 0, and a correlation that returns."""
    frame = pl.DataFrame(
        {
            "n_before": [1, 7, 3, 0, 1, 0, 0, 7, 3, 1],
            "years_before": [1.5, 0.4, 2, 1.5, 1, 1.9, 0.8, 0.5, 2.3, 1.4],
            "n_after": [0, 1, 0, 0, 0, 0, 0, 1, 0, 0],
            "years_after": [0.8, 1.2, 0.1, 1.1, 0.3, 1.8, 0.5, 2.8, 1.1, 2.4],
        }
    )
    y = np.concatenate([frame["n_before"], frame["n_after"]]).astype(float)
    time = np.concatenate([frame["years_before"], frame["years_after"]])
    matrix = np.column_stack([np.ones(20), np.repeat([0.0, 1.0], 10)])
    gee = fit_gee(y, matrix, np.log(time), np.tile(np.arange(10), 2), correlation="exchangeable")
    mean = np.exp(matrix @ gee.coefficients) * time
    residual = ((y - mean) / np.sqrt(mean)).reshape(2, 10)
    scale = (residual**2).mean()
    assert gee.correlation == pytest.approx(residual.prod(axis=0).mean() / scale, rel=1e-8)
    inverse = np.linalg.inv([[1, gee.correlation], [gee.correlation, 1]])
    scores = np.einsum("tp,ts,sp->tp", np.sqrt(mean).reshape(2, 10), inverse, residual)
    assert np.abs(scores.sum(axis=1)).max() < 1e-8
    row = before_after_rates(frame, methods=["gee"], correlation="exchangeable").row(0, named=True)
    assert row["estimate"] == pytest.approx(math.exp(gee.coefficients[1]))
    assert row["note"] == f"correlation within patients {gee.correlation:.3g}"


def test_a_method_without_an_answer_leaves_the_others() -> None:
    """Correlation within patients runs off to 1 in these counts; the exact answer stays."""
    frame = pl.DataFrame(
        {"n_before": [0, 3, 2, 5], "years_before": [3.0, 3.0, 1.0, 1.0],
         "n_after": [0, 1, 0, 2], "years_after": [1.5, 0.5, 1.0, 0.5]}
    )  # fmt: skip
    rows = before_after_rates(frame, correlation="exchangeable", with_p_value=True)
    gee = rows.row(1, named=True)
    assert (gee["estimate"], gee["lower"], gee["p_value"]) == (None, None, None)
    assert gee["note"].startswith("not estimated by this method: The estimating equations have no solution")
    assert rows["estimate"][0] is not None


def test_times_that_differ_by_powers_of_ten() -> None:
    """Somebody seen for 1e-12 years: pooled, 7 in 2 years before (and that moment) against 1 in 3 years after."""
    frame = pl.DataFrame(
        {"n_before": [1, 4, 2], "years_before": [1e-12, 1.0, 1.0], "n_after": [0, 0, 1], "years_after": 1.0}
    )
    _, gee, mixed, _ = before_after_rates(frame).iter_rows(named=True)
    assert gee["estimate"] == pytest.approx(1 / 3 / (7 / 2), rel=1e-9)
    assert mixed["estimate"] is not None or mixed["note"]
    for shorter in ({"years_before": pl.lit(1e-12)}, {"years_after": pl.lit(1e-12)}):
        gee = before_after_rates(frame.with_columns(**shorter), methods=["gee"]).row(0, named=True)
        before = frame.with_columns(**shorter).sum().row(0, named=True)
        pooled = 1 / before["years_after"] / (7 / before["years_before"])
        assert gee["estimate"] == pytest.approx(pooled, rel=1e-9)


def test_hundreds_of_thousands_of_events() -> None:
    """Three patients, times not in one ratio: the sum is normal to a part in 1e4, and no array of all pairs is made."""
    frame = pl.DataFrame(
        {"n_before": [30_000, 50_000, 20_000], "years_before": [1.0, 2.0, 3.0],
         "n_after": [15_100, 24_900, 10_000], "years_after": [1.0, 1.9, 2.7]}
    )  # fmt: skip
    row = before_after_rates(frame, methods=["conditional"]).row(0, named=True)
    b, total = math.log(row["estimate"]), (frame["n_before"] + frame["n_after"]).to_numpy()
    share = 1 / (1 + np.exp(-b) * (frame["years_before"] / frame["years_after"]).to_numpy())
    assert float(total @ share) == pytest.approx(50_000, rel=1e-12)
    half = 1.959964 / math.sqrt(float(total @ (share * (1 - share))))
    assert math.log(row["lower"]) == pytest.approx(b - half, abs=0.02 * half)
    assert math.log(row["upper"]) == pytest.approx(b + half, abs=0.02 * half)


def test_each_patient_stands_once() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": ["a", "b", "a"],
            "n_before": [3, 2, 3],
            "years_before": 2.0,
            "n_after": [0, 1, 0],
            "years_after": 2.0,
        }
    )
    for function in (before_after_rates, simulate_without_treatment):
        with pytest.raises(TableError, match=r"1 of 3 rows repeat a patient, the first is row 3"):
            function(frame)


def test_refusals() -> None:
    frame = pl.DataFrame({"n_before": [1], "years_before": [1.0], "n_after": [1], "years_after": [0.0]})
    with pytest.raises(TableError, match=r"must be 0 where there is no time at risk"):
        before_after_rates(frame)
    with pytest.raises(TableError, match="a time >= 0"):
        before_after_rates(frame.with_columns(years_after=pl.lit(-1.0)))
    with pytest.raises(TableError, match="a whole number"):
        before_after_rates(frame.with_columns(n_before=pl.lit(0.5), years_after=pl.lit(1.0)))
    with pytest.raises(RequestError, match=", ".join(METHODS)):
        before_after_rates(frame, methods=["glm"])
    with pytest.raises(RequestError, match="correlation must be one of"):
        before_after_rates(frame, correlation="ar1")
