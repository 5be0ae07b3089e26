"""Recurrent events: by hand, against R (bladder, chronic granulomatous disease, DNase with gaps), degenerate input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import mean_count, mean_cumulative_function, milestone, recurrent_ratios
from ahsct.estimates.mean_cumulative import mean_cumulative
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, RECURRENT, RESULTS, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "recurrent_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "recurrent.csv", infer_schema_length=None)
R_CURVES = pl.read_csv(REFERENCE / "mean_cumulative.csv", infer_schema_length=None)
MODELS = R.select("data_set", "model", "ties").unique(maintain_order=True).rows()


def tables(data_set: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = DATA.filter(pl.col("data_set") == data_set).with_columns(
        pl.col("id").cast(pl.String).alias("patient_id")
    )
    recurrent = rows.select(
        "patient_id",
        pl.col("arm").cast(pl.String),
        pl.lit("event").alias("endpoint"),
        pl.col("start").alias("start_day"),
        pl.col("stop").alias("stop_day"),
        (pl.col("event") == 1).alias("is_event"),
        pl.col("number").alias("event_number"),
    )
    return recurrent, rows.select("patient_id", "x1", "x2").unique("patient_id", maintain_order=True)


@pytest.mark.parametrize(("data_set", "model", "ties"), MODELS)
def test_ratios_agree_with_coxph(data_set: str, model: str, ties: str) -> None:
    recurrent, covariates = tables(data_set)
    rows = recurrent_ratios(
        recurrent,
        covariates,
        terms=["arm", "x1", "x2"],
        model=model,
        ties=ties,
        up_to_event=None if model == "andersen-gill" else 3,
    )
    assert rows.schema == RESULTS
    theirs = R.filter(
        (pl.col("data_set") == data_set) & (pl.col("model") == model) & (pl.col("ties") == ties)
    )
    np.testing.assert_allclose(np.log(rows["estimate"][:3]), theirs["coefficient"], rtol=1e-7)
    np.testing.assert_allclose(rows["std_error"][:3], theirs["robust"], rtol=1e-8)
    assert rows["statistic"].to_list()[3:] == ["wald_test"]
    assert rows["estimate"][3] == pytest.approx(theirs["wald"][0], rel=1e-7)
    assert rows["n"].unique().to_list() == [recurrent["patient_id"].n_unique()]
    assert (rows["arm"][0], rows["reference_arm"][0]) == ("1", "0")


def test_the_public_case() -> None:
    rows = pl.read_csv(REFERENCE / "p08_recurrent.csv")
    rows = rows.with_columns(pl.col("id").cast(pl.String).alias("patient_id"))
    recurrent = rows.select(
        "patient_id",
        pl.col("rx").cast(pl.String).alias("arm"),
        pl.col("start").alias("start_day"),
        pl.col("stop").alias("stop_day"),
        (pl.col("event") == 1).alias("is_event"),
        pl.col("enum").alias("event_number"),
    )
    covariates = rows.unique("patient_id", maintain_order=True).select("patient_id", "number", "size")
    ag = recurrent_ratios(recurrent, covariates, terms=["arm", "number", "size"])
    expected = [-0.464686952943426, 0.174960381319399, -0.0436602760898212]
    np.testing.assert_allclose(np.log(ag["estimate"][:3]), expected, rtol=1e-6)
    np.testing.assert_allclose(
        ag["std_error"][:3], [0.265560811898887, 0.0630405432006552, 0.0776161126810076], rtol=1e-6
    )
    pwp = recurrent_ratios(recurrent, covariates, terms=["arm", "number"], model="pwp-total")
    np.testing.assert_allclose(
        np.log(pwp["estimate"][:2]), [-0.331443387070893, 0.121346635040701], rtol=1e-6
    )
    np.testing.assert_allclose(pwp["std_error"][:2], [0.204579798759182, 0.0484348300633822], rtol=1e-6)
    curve = mean_cumulative_function(recurrent)
    counts = pl.concat([mean_count(curve, at_years=month / DAYS_PER_YEAR) for month in (12, 24, 36)]).sort(
        "arm", "time_years"
    )
    mean = [0.716828386948646, 1.44677418640664, 1.9332157935383, 0.447373642439432, 0.889836503652293, 1.34810087000489]  # fmt: skip
    error = [0.140584374049915, 0.243820841969931, 0.303714252982351, 0.13477369906503, 0.214051457267071, 0.324644169349064]  # fmt: skip
    np.testing.assert_allclose(counts["estimate"], mean, rtol=1e-10)
    np.testing.assert_allclose(counts["std_error"], error, rtol=1e-10)
    assert counts["n"].to_list() == [47] * 3 + [38] * 3


@pytest.mark.parametrize("data_set", ["bladder2", "cgd", "rhDNase"])
def test_mean_cumulative_function_agrees_with_survfit(data_set: str) -> None:
    recurrent, _ = tables(data_set)
    curves = mean_cumulative_function(recurrent)
    assert curves.schema == CURVE
    for arm in ("0", "1"):
        ours = curves.filter(pl.col("arm") == arm)
        theirs = R_CURVES.filter((pl.col("data_set") == data_set) & (pl.col("arm") == int(arm)))
        days = ours["time_years"] * DAYS_PER_YEAR
        rows = ours[[int((days - t).abs().arg_min() or 0) for t in theirs["time"]]]
        assert rows["n_at_risk"].to_list() == theirs["n_at_risk"].to_list()
        assert rows["n_events"].to_list() == theirs["n_events"].to_list()
        np.testing.assert_allclose(rows["estimate"], theirs["estimate"], rtol=1e-10)
        np.testing.assert_allclose(rows["std_error"], theirs["std_error"], rtol=1e-10, atol=1e-12)


def table(rows: list[tuple[str, int, int, bool]], **columns: object) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["patient_id", "start_day", "stop_day", "is_event"], orient="row")
    number = pl.int_range(1, pl.len() + 1).over("patient_id").alias("event_number")
    return frame.with_columns(number, *(pl.lit(value).alias(name) for name, value in columns.items()))


def test_by_hand() -> None:
    # a: events at 1 and 3, followed to 4; b: event at 3, followed to 3; c: followed to 2
    frame = table(
        [("a", 0, 1, True), ("a", 1, 3, True), ("a", 3, 4, False), ("b", 0, 3, True), ("c", 0, 2, False)]
    )
    curve = mean_cumulative_function(frame, interval="plain")
    assert curve["n_at_risk"].to_list() == [3, 3, 3, 2, 1]
    assert curve["n_events"].to_list() == [0, 1, 0, 2, 0]
    assert curve["n_censored"].to_list() == [0, 0, 1, 1, 1]
    np.testing.assert_allclose(curve["estimate"], [0, 1 / 3, 1 / 3, 4 / 3, 4 / 3], rtol=1e-14)
    # at 1: a (1 - 1/3) / 3 = 2/9, b and c -1/9 each; at 3: a and b add (1 - 1) / 2 = 0
    error = ((2 / 9) ** 2 + 2 * (1 / 9) ** 2) ** 0.5
    np.testing.assert_allclose(curve["std_error"], [0, error, error, error, error], rtol=1e-12)
    assert curve["upper"][1] == pytest.approx(1 / 3 + 1.959963984540054 * error)
    assert curve["lower"][1] == 0


def test_events_on_day_0_count_once_each() -> None:
    frame = table([("a", 0, 0, True), ("a", 0, 9, False), ("b", 0, 9, False)])
    curve = mean_cumulative_function(frame)
    assert curve.select("n_at_risk", "n_events", "estimate").rows() == [(2, 1, 0.5), (2, 0, 0.5)]
    twice = table([("a", 0, 0, True), ("a", 0, 0, True), ("a", 0, 9, False), ("b", 0, 9, False)])
    curve = mean_cumulative_function(twice)
    assert curve.select("n_at_risk", "n_events", "estimate").rows() == [(2, 2, 1.0), (2, 0, 1.0)]
    assert curve["std_error"][1] == pytest.approx(0.5**0.5)  # (2 - 1)/2 and (0 - 1)/2
    with pytest.raises(TableError, match="second event of the same day"):
        recurrent_ratios(twice.with_columns(pl.Series("arm", ["X", "X", "X", "Y"])))


def test_without_repeats_the_first_event_is_cox() -> None:
    from ahsct.estimates import cox

    frame = DATA.filter((pl.col("data_set") == "bladder2") & (pl.col("number") == 1))
    rows = table(
        [(str(i), 0, stop, event == 1) for i, stop, event in frame.select("id", "stop", "event").rows()]
    )
    rows = rows.with_columns(frame["arm"].cast(pl.String))
    outcomes = rows.select("patient_id", "arm", pl.col("stop_day").alias("time_day"), "is_event")
    expected = cox(outcomes, cluster="patient_id")
    for model in ("andersen-gill", "pwp-total", "pwp-gap"):
        found = recurrent_ratios(rows, model=model)
        np.testing.assert_allclose(found["estimate"], expected["estimate"], rtol=1e-10)
        np.testing.assert_allclose(found["std_error"][:1], expected["std_error"][:1], rtol=1e-10)


def test_later_events_left_out_are_counted() -> None:
    recurrent, _ = tables("bladder2")
    rows = recurrent_ratios(recurrent, model="pwp-gap", up_to_event=1)
    n_later = recurrent.filter(pl.col("event_number") > 1)["is_event"].sum()
    assert rows["note"].to_list() == [f"{n_later} later events left out"] * 2


def test_nothing_seen_is_said() -> None:
    frame = table([("a", 0, 400, False), ("b", 0, 300, False)]).with_columns(pl.Series("arm", ["X", "Y"]))
    row = recurrent_ratios(frame).row(0, named=True)
    assert row["estimate"] is None
    assert "no event in 2 patients" in row["note"]
    count = mean_count(mean_cumulative_function(frame), at_years=0.5).row(0, named=True)
    assert (count["estimate"], count["std_error"], count["upper"]) == (0, None, None)
    assert "no event yet: no error" in count["note"]
    late = mean_count(mean_cumulative_function(frame), at_years=3).row(0, named=True)
    assert late["estimate"] is None
    assert "not extrapolated" in late["note"]
    assert mean_cumulative_function(empty(RECURRENT)).equals(empty(CURVE))
    assert recurrent_ratios(empty(RECURRENT)).equals(empty(RESULTS))
    assert mean_count(empty(CURVE), at_years=1).equals(empty(RESULTS))


def test_an_arm_without_events_is_said() -> None:
    frame = table([("a", 0, 40, True), ("a", 40, 60, True), ("b", 0, 90, False)]).with_columns(
        pl.Series("arm", ["X", "X", "Y"])
    )
    row = recurrent_ratios(frame).row(0, named=True)
    assert row["estimate"] is None
    assert "towards a hazard ratio of 0" in row["note"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [("a", 0, 40, True), ("a", 30, 60, False)],
            "overlaps the patient's one before in 1 of 2 rows, .* row 2",
        ),
        ([("a", 50, 40, True)], "ends before it starts in 1 of 1 rows"),
        ([("a", None, 40, True)], "`start_day` is missing in 1 of 1"),
    ],
)
def test_impossible_intervals_are_refused(rows: list[tuple[str, int, int, bool]], message: str) -> None:
    with pytest.raises(TableError, match=message):
        mean_cumulative_function(table(rows))


def test_impossible_requests_are_refused() -> None:
    frame = table([("a", 0, 40, True), ("b", 0, 60, False)]).with_columns(pl.Series("arm", ["X", "Y"]))
    with pytest.raises(RequestError, match="Did you mean 'andersen-gill'"):
        recurrent_ratios(frame, model="anderson-gill")
    with pytest.raises(RequestError, match="a number >= 1"):
        recurrent_ratios(frame, up_to_event=3)
    with pytest.raises(RequestError, match="ties='efron'"):
        recurrent_ratios(frame, ties="exact")
    with pytest.raises(RequestError, match="No interval 'log-log'"):
        mean_cumulative_function(frame, interval="log-log")
    curve = mean_cumulative_function(frame)
    with pytest.raises(RequestError, match="years >= 0"):
        mean_count(curve, at_years=-1)
    with pytest.raises(RequestError, match="mean_count"):
        milestone(curve, at_years=0.1)
    with pytest.raises(RequestError, match="needs a mean cumulative function"):
        mean_count(curve.with_columns(pl.lit("Kaplan-Meier, log").alias("method")), at_years=0.1)
    with pytest.raises(TableError, match="has no row"):
        recurrent_ratios(frame, pl.DataFrame({"patient_id": ["a"], "age": [3]}), terms=["age"])


@given(
    gaps=st.lists(
        st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=4), min_size=1, max_size=12
    )
)
def test_the_variance_is_the_sum_of_squares_over_patients(gaps: list[list[tuple[int, bool]]]) -> None:
    person, entry, stop, event = [], [], [], []
    for i, rows in enumerate(gaps):
        day = -np.inf
        for gap, is_event in rows:
            entry.append(day)
            day = max(day, 0) + gap
            person.append(i), stop.append(day), event.append(is_event)
    found = mean_cumulative(person, entry, stop, event)
    p, a, b, e = (np.array(x) for x in (person, entry, stop, event))
    residual = np.zeros(len(gaps))
    for t, n, mean_step, error in zip(
        found.time, found.n_at_risk, np.diff(found.estimate, prepend=0), found.std_error, strict=True
    ):
        at_risk = (a < t) & (b >= t)
        assert n == at_risk.sum()
        for i in range(len(gaps)):
            mine = p == i
            residual[i] += ((e & (b == t) & mine).sum() - (at_risk & mine).sum() * mean_step) / max(n, 1)
        assert error**2 == pytest.approx((residual**2).sum(), rel=1e-9, abs=1e-14)
