"""Kaplan-Meier curves: by hand, against R, properties, impossible input."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import kaplan_meier, reverse_kaplan_meier
from ahsct.estimates.kaplan_meier import product_limit
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, TIME_TO_EVENT, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "curve_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "kaplan_meier.csv", infer_schema_length=None)

patients = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40)


def table(rows: list[tuple[float, bool]], **columns: object) -> pl.DataFrame:
    return pl.DataFrame(
        {"time_day": [row[0] for row in rows], "is_event": [row[1] for row in rows]}
    ).with_columns(pl.lit(value).alias(name) for name, value in columns.items())


def reference(data_set: str) -> pl.DataFrame:
    rows = DATA.filter(pl.col("data_set") == data_set)
    return rows.select(
        pl.col("time").alias("time_day"),
        (pl.col("cause") > 0).alias("is_event"),
        pl.col("entry").alias("entry_day"),
    )


def test_by_hand() -> None:
    # deaths at 1 (1 of 6), 6 (2 of 4, one censored at 1), 9 (1 of 1); censored at 1 and 8
    curve = product_limit([9, 1, 1, 6, 6, 8], [True, True, False, True, True, False])
    expected = [Fraction(1), Fraction(5, 6), Fraction(5, 12), Fraction(5, 12), Fraction(0)]
    assert curve.time.tolist() == [0, 1, 6, 8, 9]
    assert curve.n_at_risk.tolist() == [6, 6, 4, 2, 1]
    assert curve.n_events.tolist() == [0, 1, 2, 0, 1]
    assert curve.n_censored.tolist() == [0, 1, 0, 1, 0]
    np.testing.assert_allclose(curve.estimate, [float(x) for x in expected], rtol=1e-15)
    # Greenwood at 6: (5/12)^2 (1/30 + 2/8)
    assert curve.std_error[2] == pytest.approx(5 / 12 * (1 / 30 + 1 / 4) ** 0.5, rel=1e-14)
    assert curve.std_error[0] == curve.std_error[4] == 0


def test_delayed_entry_by_hand() -> None:
    # at risk: day 2 {A, B}, day 4 {B, C}, day 6 {C, D}; C enters on day 2 and so misses that day's event
    curve = product_limit([2, 4, 6, 7], [1, 1, 1, 0], entry=[0, 0, 2, 5])
    assert curve.time.tolist() == [0, 2, 4, 5, 6, 7]
    assert curve.n_at_risk.tolist() == [2, 2, 2, 1, 2, 1]
    np.testing.assert_allclose(curve.estimate, [1, 1 / 2, 1 / 4, 1 / 4, 1 / 8, 1 / 8], rtol=1e-15)


def test_entry_at_or_before_the_start_delays_nothing() -> None:
    rows = table([(0, True), (5, False), (7, True)])
    late = kaplan_meier(rows.with_columns(pl.Series("entry_day", [0, -30, 0])))
    assert late.equals(kaplan_meier(rows))
    assert late["n_at_risk"][0] == 3


@pytest.mark.parametrize(
    ("data_set", "interval"), R_ROWS.select("data_set", "interval").unique(maintain_order=True).rows()
)
def test_agrees_with_r(data_set: str, interval: str) -> None:
    ours = kaplan_meier(reference(data_set), interval=interval.replace("arcsin", "arcsine"))
    expected = R_ROWS.filter((pl.col("data_set") == data_set) & (pl.col("interval") == interval))
    assert expected.height >= 2
    nearest = [int(np.argmin(np.abs(ours["time_years"] * DAYS_PER_YEAR - t))) for t in expected["time"]]
    ours = ours[nearest]
    np.testing.assert_allclose(ours["time_years"] * DAYS_PER_YEAR, expected["time"], rtol=1e-8)
    for count in ("n_at_risk", "n_events", "n_censored"):
        assert ours[count].to_list() == expected[count].to_list(), count
    np.testing.assert_allclose(ours["estimate"], expected["estimate"], rtol=1e-10)
    r_error = expected["std_error"].fill_nan(0)  # R has NaN where the estimate is 0
    np.testing.assert_allclose(ours["std_error"], r_error.fill_null(0), rtol=1e-10)
    for limit in ("lower", "upper"):
        theirs = expected[limit].cast(pl.Float64).fill_nan(None)
        assert ours[limit].is_null().to_list() == theirs.is_null().to_list(), limit
        np.testing.assert_allclose(ours[limit].drop_nulls(), theirs.drop_nulls(), rtol=1e-10, atol=1e-15)


def test_the_headline_of_the_trial() -> None:
    seven_of = {
        n: kaplan_meier(table([(300 + k, True) for k in range(n - 16)] + [(2000, False)] * 16))
        for n in (23, 24)
    }
    for n, printed in ((23, (69.57, 46.56, 84.17)), (24, (66.67, 44.3, 81.7))):
        row = seven_of[n].filter(pl.col("n_events") > 0).row(-1, named=True)
        for value, digits in zip((row["estimate"], row["lower"], row["upper"]), printed, strict=True):
            assert 100 * value == pytest.approx(digits, abs=0.005 if n == 23 else 0.05)


def test_reverse_swaps_events_and_censorings() -> None:
    rows = [(3, True), (5, False), (5, True), (8, False)]
    swapped = kaplan_meier(table([(day, not event) for day, event in rows]))
    reverse = reverse_kaplan_meier(table(rows))
    assert reverse["method"].unique().to_list() == ["reverse Kaplan-Meier, log-log"]
    assert reverse.drop("method").equals(swapped.drop("method"))


def test_groups_keep_their_order_and_labels() -> None:
    frame = pl.concat(
        [table([(5, True), (9, False)], arm="b", study_id="s"), table([(7, True)], arm="a", study_id="s")]
    )
    curve = kaplan_meier(frame)
    assert curve.schema == CURVE
    assert curve.select("study_id", "arm").unique(maintain_order=True).rows() == [("s", "b"), ("s", "a")]
    assert curve["endpoint"].unique().to_list() == [""]
    assert curve.group_by("arm", maintain_order=True).agg(pl.col("n_at_risk").first()).rows() == [
        ("b", 2),
        ("a", 1),
    ]


def test_rows_that_are_not_evaluable_are_left_out() -> None:
    frame = pl.DataFrame(
        {"time_day": [5, None, 9], "is_event": [True, None, False], "is_evaluable": [True, False, None]}
    )
    assert kaplan_meier(frame)["n_at_risk"][0] == 2


@pytest.mark.parametrize("rows", [[(0, False)], [(0, True)], [(4, True)] * 3, [(4, False)] * 3, [(4, True)]])
def test_degenerate_input_gives_numbers_or_missing(rows: list[tuple[float, bool]]) -> None:
    for interval in ("log-log", "log", "plain", "logit", "arcsine"):
        curve = kaplan_meier(table(rows), interval=interval)
        assert curve.select(pl.col(pl.Float64).is_nan().any()).row(0) == (False,) * 6
        assert curve["estimate"][-1] == (0 if rows[0][1] else 1)
        assert curve["std_error"].to_list() == [0.0] * curve.height


def test_empty_input_gives_the_empty_schema() -> None:
    assert kaplan_meier(empty(TIME_TO_EVENT)).equals(empty(CURVE))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"time": [1], "is_event": [True]}), "needs column 'time_day'.*'time'"),
        (
            pl.DataFrame({"time_day": [1, -2], "is_event": [True, True]}),
            r"1 of 2 rows are not, the first is row 2 \(-2\)",
        ),
        (pl.DataFrame({"time_day": [1.0, float("nan")], "is_event": [True, True]}), "row 2"),
        (pl.DataFrame({"time_day": [1, None], "is_event": [True, True]}), r"row 2 \(missing\)"),
        (pl.DataFrame({"time_day": [1, 2], "is_event": [None, True]}), "is_event.*row 1"),
        (
            pl.DataFrame({"time_day": [5, 6], "is_event": [True, True], "entry_day": [5, 0]}),
            "after its entry.*row 1",
        ),
        (
            pl.DataFrame({"time_day": [5, 6], "is_event": [True, True], "cause": ["competing_death", None]}),
            "1 of 2 rows.*Use aalen_johansen",
        ),
        (
            pl.DataFrame(
                {"time_day": [5, 6, 7], "is_event": [True, True, True], "patient_id": ["a", "b", "a"]}
            ),
            "1 of 3 rows repeat a patient, the first is row 3",
        ),
    ],
)
def test_impossible_input_is_refused(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(TableError, match=message):
        kaplan_meier(frame)


def test_unknown_requests_are_refused() -> None:
    with pytest.raises(RequestError, match="Did you mean 'log-log'"):
        kaplan_meier(table([(1, True)]), interval="loglog")
    with pytest.raises(RequestError, match="between 0 and 1"):
        kaplan_meier(table([(1, True)]), conf_level=95)


@given(rows=patients, seed=st.integers(0, 2**31))
def test_order_of_patients_does_not_matter(rows: list[tuple[int, bool]], seed: int) -> None:
    shuffled = [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    assert kaplan_meier(table(rows)).equals(kaplan_meier(table(shuffled)))


@given(rows=patients, unit=st.sampled_from([1e-9, 1 / 365.25, 7.0, 1e6]))
def test_unit_of_time_does_not_matter(rows: list[tuple[int, bool]], unit: float) -> None:
    days = product_limit([day for day, _ in rows], [event for _, event in rows])
    other = product_limit([day * unit for day, _ in rows], [event for _, event in rows])
    assert days.estimate.tolist() == other.estimate.tolist()
    assert days.std_error.tolist() == other.std_error.tolist()


@given(rows=patients, interval=st.sampled_from(["log-log", "log", "plain", "logit", "arcsine"]))
def test_curves_fall_within_their_limits_and_between_0_and_1(
    rows: list[tuple[int, bool]], interval: str
) -> None:
    curve = kaplan_meier(table(rows), interval=interval)
    assert (curve["estimate"].diff().drop_nulls() <= 0).all()
    assert curve["estimate"].is_between(0, 1).all()
    inside = curve.drop_nulls("lower")
    assert (inside["lower"] <= inside["estimate"] + 1e-12).all()
    assert (inside["upper"] >= inside["estimate"] - 1e-12).all()
    assert inside["lower"].is_between(0, 1).all()
    assert inside["upper"].is_between(0, 1).all()


@given(days=st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_without_censoring_it_is_the_plain_proportion(days: list[int]) -> None:
    curve = product_limit(days, [True] * len(days))
    plain = [np.mean([day > t for day in days]) for t in curve.time]
    np.testing.assert_allclose(curve.estimate, plain, atol=1e-12)
    np.testing.assert_allclose(
        curve.std_error**2, np.multiply(plain, 1 - np.array(plain)) / len(days), atol=1e-12
    )


@given(rows=patients, noise=st.lists(st.integers(-3, 3), min_size=40, max_size=40))
def test_rounding_does_not_split_ties(rows: list[tuple[int, bool]], noise: list[int]) -> None:
    events = [event for _, event in rows]
    exact = product_limit([1.0 + day for day, _ in rows], events)
    noisy = product_limit(
        [(1.0 + row[0]) * (1 + 1e-15 * k) for row, k in zip(rows, noise, strict=False)], events
    )
    assert exact.estimate.tolist() == noisy.estimate.tolist()
