"""Cumulative incidence: by hand, against survfit and cuminc, properties, impossible input."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import aalen_johansen
from ahsct.estimates.competing import cumulative_incidence
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, TIME_TO_EVENT, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "curve_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "competing.csv", infer_schema_length=None)
CASES = {case["id"]: case for case in json.loads((REFERENCE / "public_cases_curves.json").read_text())}
NAMES = {0: None, 1: "relapse", 2: "death"}

patients = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=30)


def table(time: list[float], cause: list[int], entry: list[float] | None = None) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"time_day": time, "is_event": [c > 0 for c in cause], "cause": [NAMES[c] for c in cause]},
        schema_overrides={"cause": pl.String},
    )
    return frame if entry is None else frame.with_columns(pl.Series("entry_day", entry))


def reference(data_set: str) -> pl.DataFrame:
    rows = DATA.filter(pl.col("data_set") == data_set)
    return table(*(rows[name].to_list() for name in ("time", "cause", "entry")))


def at(curve: pl.DataFrame, cause: int, days: list[float]) -> pl.DataFrame:
    block = curve.filter(pl.col("cause") == NAMES[cause])
    rows = np.searchsorted(block["time_years"].to_numpy() * DAYS_PER_YEAR, np.array(days) + 1e-6) - 1
    return block[rows.tolist()]


def test_by_hand() -> None:
    # day 1: relapse, 1 of 5; day 2: death, 1 of 4; day 3: both, of 3 -> 1/5; 1/5; S(3-) = 3/5, each + 1/5
    curve = cumulative_incidence([1, 2, 3, 3, 3], [1, 2, 1, 2, 0], n_causes=2)
    np.testing.assert_allclose(curve.estimate, [[0, 1 / 5, 1 / 5, 2 / 5], [0, 0, 1 / 5, 2 / 5]], rtol=1e-14)


def test_variances_by_hand_without_censoring() -> None:
    # one distinct event time per patient, nobody censored: the influence of a patient on F is (1{event} - F) / n
    curve = cumulative_incidence([1, 2, 3, 4, 5], [1, 2, 1, 2, 1], n_causes=2)
    f = np.array([[0, 1, 1, 2, 2, 3], [0, 0, 1, 1, 2, 2]]) / 5
    np.testing.assert_allclose(curve.std_error, np.sqrt(f * (1 - f) / 5), rtol=1e-12)


@pytest.mark.parametrize("data_set", ["melanoma", "melanoma_delayed", "mgus2", "pbc"])
def test_infinitesimal_jackknife_agrees_with_r(data_set: str) -> None:
    curve = aalen_johansen(reference(data_set))
    for cause in (1, 2):
        expected = R_ROWS.filter((pl.col("data_set") == data_set) & (pl.col("cause") == cause))
        ours = at(curve, cause, expected["time"].to_list())
        assert expected.height == 60
        np.testing.assert_allclose(ours["estimate"], expected["estimate"], rtol=1e-10)
        np.testing.assert_allclose(ours["std_error"], expected["std_error_ij"], rtol=1e-10)
        for limit in ("lower", "upper"):
            known = expected[limit].is_not_null()
            assert ours[limit].is_not_null().to_list() == known.to_list()
            np.testing.assert_allclose(ours[limit].filter(known), expected[limit].drop_nulls(), rtol=1e-10)


@pytest.mark.parametrize("data_set", ["melanoma", "mgus2", "pbc"])
def test_aalen_variance_agrees_with_cuminc(data_set: str) -> None:
    curve = aalen_johansen(reference(data_set), variance="aalen")
    for cause in (1, 2):
        expected = R_ROWS.filter((pl.col("data_set") == data_set) & (pl.col("cause") == cause))
        ours = at(curve, cause, expected["time"].to_list())
        np.testing.assert_allclose(ours["std_error"] ** 2, expected["var_cuminc"], rtol=1e-10, atol=1e-18)


def test_public_case_melanoma() -> None:
    case = CASES["p05_competing"]
    data = pl.read_csv(REFERENCE / "p05_competing.csv", infer_schema_length=None)
    frame = table(data["time"].to_list(), [{1: 1, 2: 0, 3: 2}[status] for status in data["status"]])
    frame = frame.with_columns(data["ulcer"].cast(pl.String).alias("arm"))
    days = [1000.0, 2000.0, 3000.0]
    by_ulcer = aalen_johansen(frame, variance="aalen")
    for label, est, var in zip(*(case["expected"][key] for key in ("rows", "est", "var")), strict=True):
        arm, cause = label.split()
        ours = at(by_ulcer.filter(pl.col("arm") == arm), int(cause), days)
        np.testing.assert_allclose(ours["estimate"], est, rtol=1e-10)
        np.testing.assert_allclose(ours["std_error"] ** 2, var, rtol=1e-10)
    pooled = at(aalen_johansen(frame.drop("arm")), 1, days)
    np.testing.assert_allclose(pooled["estimate"], case["expected"]["pooled_cif"], rtol=1e-10)
    np.testing.assert_allclose(pooled["std_error"], case["expected"]["pooled_ij_se"], rtol=1e-10)


def leave_weight(time: list[float], cause: list[int], entry: list[float], i: int, step: float) -> np.ndarray:
    """Incidence of cause 1 with the weight of patient i changed, by the plain formula."""
    t, c, e = np.array(time, float), np.array(cause), np.array(entry, float)
    w = np.ones(t.size)
    w[i] += step
    survival, total, out = 1.0, 0.0, []
    for u in np.unique(np.concatenate(([0.0], t, e))):
        n = w[(t >= u) & ((e < u) | (e == 0))].sum()
        own, any_cause = w[(t == u) & (c == 1)].sum(), w[(t == u) & (c > 0)].sum()
        if any_cause:
            total += survival * own / n
            survival *= 1 - any_cause / n
        out.append(total)
    return np.array(out)


@given(rows=patients, delays=st.lists(st.integers(0, 9), min_size=30, max_size=30))
def test_jackknife_is_the_derivative_by_weight(rows: list[tuple[int, int]], delays: list[int]) -> None:
    time, cause = [row[0] for row in rows], [row[1] for row in rows]
    entry = [float(max(0, day - delay)) for day, delay in zip(time, delays, strict=False)]
    entry = [0.0 if start == day else start for start, day in zip(entry, time, strict=True)]
    h = 1e-5
    influence = [
        (leave_weight(time, cause, entry, i, h) - leave_weight(time, cause, entry, i, -h)) / (2 * h)
        for i in range(len(time))
    ]
    curve = cumulative_incidence(time, cause, n_causes=2, entry=entry)
    np.testing.assert_allclose(curve.std_error[0], np.sqrt(np.sum(np.square(influence), axis=0)), atol=1e-7)


@given(rows=patients, variance=st.sampled_from(["infinitesimal_jackknife", "aalen"]))
def test_incidences_add_up_to_one_minus_survival(rows: list[tuple[int, int]], variance: str) -> None:
    time, cause = [row[0] for row in rows], [row[1] for row in rows]
    curve = cumulative_incidence(time, cause, n_causes=2, variance=variance)
    survival = product_limit(time, np.array(cause) > 0).estimate
    np.testing.assert_allclose(curve.estimate.sum(axis=0), 1 - survival, atol=1e-12)
    assert np.isfinite(curve.std_error).all()
    assert (np.diff(curve.estimate, axis=1) >= 0).all()


@given(rows=patients)
def test_one_cause_gives_kaplan_meier(rows: list[tuple[int, int]]) -> None:
    time, event = [row[0] for row in rows], [min(row[1], 1) for row in rows]
    curve, survival = cumulative_incidence(time, event, n_causes=1), product_limit(time, event)
    np.testing.assert_allclose(curve.estimate[0], 1 - survival.estimate, atol=1e-12)
    # for a single cause the infinitesimal jackknife of the product-limit estimate is Greenwood's
    np.testing.assert_allclose(curve.std_error[0], survival.std_error, atol=1e-7)


@given(rows=patients, seed=st.integers(0, 2**31), unit=st.sampled_from([1e-9, 7.0]))
def test_order_and_unit_do_not_matter(rows: list[tuple[int, int]], seed: int, unit: float) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    plain = cumulative_incidence([row[0] for row in rows], [row[1] for row in rows], n_causes=2)
    other = cumulative_incidence([rows[i][0] * unit for i in order], [rows[i][1] for i in order], n_causes=2)
    assert plain.estimate.tolist() == other.estimate.tolist()
    np.testing.assert_allclose(plain.std_error, other.std_error, rtol=1e-12)


def test_standard_errors_stay_exact_in_the_tail() -> None:
    # nobody censored: the exact answer is sqrt(F (1 - F) / n), down to the last of 20,000 patients
    n = 20_000
    cause = np.where(np.arange(n) % 3 == 0, 2, 1)
    curve = cumulative_incidence(np.arange(1, n + 1), cause, n_causes=2)
    np.testing.assert_allclose(curve.std_error**2, curve.estimate * (1 - curve.estimate) / n, rtol=1e-7)


def test_every_arm_has_a_curve_for_every_cause_of_its_endpoint() -> None:
    frame = table([3, 5, 6, 9], [1, 0, 2, 0]).with_columns(pl.Series("arm", ["a", "a", "b", "b"]))
    curve = aalen_johansen(frame)
    assert curve.schema == CURVE
    blocks = curve.select("arm", "cause").unique(maintain_order=True).rows()
    assert blocks == [("a", "death"), ("a", "relapse"), ("b", "death"), ("b", "relapse")]
    zero = curve.filter((pl.col("arm") == "a") & (pl.col("cause") == "death"))
    assert zero.select(pl.col("estimate", "std_error").max()).row(0) == (0, 0)
    assert zero["lower"].null_count() == zero.height


def test_causes_that_nobody_had_get_a_curve_of_zeros_where_asked_for() -> None:
    frame = table([1, 2, 3, 4], [1, 2, 1, 0])
    seen, asked = aalen_johansen(frame), aalen_johansen(frame, causes=["relapse", "unheard of"])
    assert asked["cause"].unique(maintain_order=True).to_list() == ["relapse", "unheard of", "death"]
    for cause in ("relapse", "death"):
        assert asked.filter(pl.col("cause") == cause).equals(seen.filter(pl.col("cause") == cause))
    assert asked.filter(pl.col("cause") == "unheard of")["estimate"].max() == 0


@pytest.mark.parametrize(
    ("time", "cause"),
    [([4], [1]), ([4], [0]), ([0], [1]), ([0], [0]), ([4] * 3, [1, 2, 1]), ([4] * 3, [1] * 3)],
)
@pytest.mark.parametrize("variance", ["infinitesimal_jackknife", "aalen"])
def test_degenerate_input_gives_numbers_or_missing(
    time: list[float], cause: list[int], variance: str
) -> None:
    curve = aalen_johansen(table(time, cause), variance=variance, causes=["relapse", "death"])
    assert not any(curve.select(pl.col(pl.Float64).is_nan().any()).row(0))
    last = curve.group_by("cause", maintain_order=True).agg(pl.col("estimate").last())["estimate"].to_list()
    assert last == pytest.approx([cause.count(1) / len(cause), cause.count(2) / len(cause)])


def test_nothing_to_report_gives_the_empty_schema() -> None:
    assert aalen_johansen(empty(TIME_TO_EVENT)).equals(empty(CURVE))
    with pytest.raises(RequestError, match="no event in 2 patients"):
        aalen_johansen(table([1, 2], [0, 0]))


def test_impossible_input_is_refused() -> None:
    with pytest.raises(TableError, match="1 of 2 events have none, the first is row 2"):
        aalen_johansen(pl.DataFrame({"time_day": [1, 2], "is_event": [True, True], "cause": ["death", None]}))
    with pytest.raises(RequestError, match="Did you mean 'aalen'"):
        aalen_johansen(table([1, 2], [1, 0]), variance="allen")
