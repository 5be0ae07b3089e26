"""What a curve says at a time, its median and its restricted mean: the trial, R, properties, degenerate input."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import (
    aalen_johansen,
    kaplan_meier,
    median_time,
    milestone,
    restricted_mean,
    reverse_kaplan_meier,
)
from ahsct.estimates._intervals import INTERVALS, pointwise
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, RESULTS, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "curve_data.csv", infer_schema_length=None)
R_SUMMARY = pl.read_csv(REFERENCE / "kaplan_meier_summary.csv", infer_schema_length=None)
CASES = {case["id"]: case for case in json.loads((REFERENCE / "public_cases_curves.json").read_text())}


def table(rows: list[tuple[float, bool]]) -> pl.DataFrame:
    return pl.DataFrame(
        {"time_day": [row[0] for row in rows], "is_event": [row[1] for row in rows]},
        schema_overrides={"time_day": pl.Float64},
    )


def reference(data_set: str) -> pl.DataFrame:
    rows = DATA.filter(pl.col("data_set") == data_set)
    return rows.select(
        pl.col("time").alias("time_day"),
        (pl.col("cause") > 0).alias("is_event"),
        pl.col("entry").alias("entry_day"),
    )


def trial(n: int) -> pl.DataFrame:
    """Seven progressions by year 3 and 16 patients free of them; with n = 24 the death counts as well."""
    return table([(100.0 * (i + 1), True) for i in range(n - 16)] + [(1500.0 + i, False) for i in range(16)])


@pytest.mark.parametrize(
    ("n", "printed", "exact"),
    [(23, (69.57, 46.56, 84.17), (47.1, 86.8)), (24, (66.67, 44.3, 81.7), (44.7, 84.4))],
)
def test_the_trial_at_three_years(n: int, printed: tuple[float, ...], exact: tuple[float, ...]) -> None:
    rows = milestone(kaplan_meier(trial(n)), at_years=1096 / DAYS_PER_YEAR)
    assert rows.schema == RESULTS
    first, second = rows.rows(named=True)
    assert (first["method"], second["method"]) == ("Clopper-Pearson", "Kaplan-Meier, log-log")
    assert f"only {n - 16} events" in first["note"]
    assert [100 * first[name] for name in ("lower", "upper")] == pytest.approx(exact, abs=0.05)
    values = [100 * second[name] for name in ("estimate", "lower", "upper")]
    assert values == pytest.approx(printed, abs=0.005 if n == 23 else 0.05)
    for row in (first, second):
        assert (row["n"], row["n_events"], row["n_at_risk"], row["n_censored"]) == (n, n - 16, 16, 0)
        assert (row["statistic"], row["unit"]) == ("survival_probability", "probability")


def test_with_many_events_and_at_risk_the_curve_comes_first() -> None:
    rows = milestone(kaplan_meier(reference("lung")), at_years=0.5)
    assert rows["method"].to_list() == ["Kaplan-Meier, log-log", "beta product"]
    assert rows["note"].to_list() == [None, None]


def test_beta_product_at_a_milestone_agrees_with_a_million_draws_of_bpcp() -> None:
    expected = pl.read_csv(REFERENCE / "beta_product.csv", infer_schema_length=None)
    seen = 0
    for data_set, time, *limits in expected.drop("lower", "upper").drop_nulls().rows():
        rows = milestone(kaplan_meier(reference(data_set)), at_years=time / DAYS_PER_YEAR)
        exact = rows.filter(pl.col("method").str.starts_with("beta"))
        seen += exact.height
        if exact.height:
            assert exact.select("lower", "upper").row(0) == pytest.approx(limits, abs=6e-4)
    assert seen > 6


def test_patients_censored_at_the_milestone_are_known_to_be_free_up_to_it() -> None:
    rows = milestone(
        kaplan_meier(table([(100, True)] * 4 + [(1096, False)] * 20)), at_years=1096 / DAYS_PER_YEAR
    )
    exact = rows.row(0, named=True)
    assert exact["method"] == "Clopper-Pearson"
    assert [round(exact[name], 4) for name in ("estimate", "lower", "upper")] == [0.8333, 0.6262, 0.9526]
    assert (exact["n_events"], exact["n_censored"], exact["n_at_risk"]) == (4, 20, 0)


def test_no_event_and_only_events_put_the_exact_row_first() -> None:
    for event, estimate, limits in ((False, 1.0, (0.8576, 1.0)), (True, 0.0, (0.0, 0.1424))):
        day = 100.0 if event else 2000.0
        rows = milestone(kaplan_meier(table([(day, event)] * 24)), at_years=2)
        first, second = rows.rows(named=True)
        assert first["estimate"] == estimate
        assert (first["lower"], first["upper"]) == pytest.approx(limits, abs=2e-4)
        assert f"the estimate is {estimate:g}" in first["note"]
        assert second["lower"] is None
        assert second["note"] == f"no log-log limits where the estimate is {estimate:g}"


def test_nothing_is_extrapolated() -> None:
    curve = kaplan_meier(table([(100, True), (200, False)]))
    row = milestone(curve, at_years=1).row(0, named=True)
    assert (row["estimate"], row["lower"], row["upper"], row["n_at_risk"]) == (None, None, None, 0)
    assert row["note"] == "follow-up ends at 0.5476 years: not extrapolated"
    assert milestone(curve, at_years=200 / DAYS_PER_YEAR)["estimate"].to_list() == [0.5, 0.5]
    everybody_had_it = kaplan_meier(table([(100, True), (200, True)]))
    assert milestone(everybody_had_it, at_years=9)["estimate"].to_list() == [0.0, 0.0]


def test_delayed_entry_has_no_exact_interval() -> None:
    rows = milestone(kaplan_meier(reference("heart_after_transplant")), at_years=1)
    assert rows["method"].to_list()[0] == "Kaplan-Meier, log-log, delayed entry"
    second = rows.row(1, named=True)
    assert (second["lower"], second["note"]) == (None, "no exact interval with delayed entry")
    assert rows["n"].to_list() == [69, 69]
    stay = reference("heart_after_transplant")
    still = ((stay["time_day"] > DAYS_PER_YEAR) & (stay["entry_day"] <= DAYS_PER_YEAR)).sum()
    assert rows["n_at_risk"].to_list() == [still, still]


def competing(last: float = 900.0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "time_day": [20.0, 300.0, 400.0] + [last] * 21,
            "is_event": [True] * 3 + [False] * 21,
            "cause": ["treatment_related", "other", "other"] + [None] * 21,
        }
    )


def test_cumulative_incidence_has_a_row_per_cause_and_the_exact_one() -> None:
    rows = milestone(aalen_johansen(competing()), at_years=100 / DAYS_PER_YEAR)
    assert rows["term"].to_list() == ["other", "other", "treatment_related", "treatment_related"]
    death = rows.filter(pl.col("term") == "treatment_related").row(0, named=True)
    assert (death["method"], death["statistic"]) == ("Clopper-Pearson", "cumulative_incidence")
    values = [round(100 * death[name], 1) for name in ("estimate", "lower", "upper")]
    assert values == [4.2, 0.1, 21.1]
    assert (death["n"], death["n_events"], death["n_at_risk"]) == (24, 1, 23)
    none_yet = rows.filter(pl.col("term") == "other").row(0, named=True)
    assert (none_yet["estimate"], none_yet["lower"]) == (0.0, 0.0)
    assert none_yet["upper"] == pytest.approx(1 - 0.025 ** (1 / 24), rel=1e-12)


def test_cumulative_incidence_after_censoring_says_that_no_exact_interval_exists() -> None:
    frame = competing().with_columns(pl.Series("time_day", [20.0, 300.0, 400.0, 350.0] + [900.0] * 20))
    rows = milestone(aalen_johansen(frame), at_years=2).filter(pl.col("term") == "other")
    assert rows["lower"].null_count() == 1
    assert rows.row(1, named=True)["note"] == "no exact interval: 1 of 24 censored before"
    assert rows.row(0, named=True)["lower"] < rows.row(0, named=True)["estimate"]


def test_no_event_of_a_cause_after_censoring_still_has_an_upper_limit() -> None:
    frame = pl.DataFrame(
        {
            "time_day": [30.0, 100.0] + [900.0] * 20,
            "is_event": [True] + [False] * 21,
            "cause": ["other"] + [None] * 21,
        }
    )
    rows = milestone(aalen_johansen(frame, causes=["treatment_related"]), at_years=1)
    assert rows["term"].to_list() == ["treatment_related"] * 2 + ["other"] * 2
    first = rows.row(0, named=True)
    assert first["method"] == "beta product, competing events censored"
    # 20 patients seen without the event
    assert (first["estimate"], first["lower"]) == (0, 0)
    assert first["upper"] == pytest.approx(1 - 0.025 ** (1 / 20), rel=1e-12)
    assert rows["lower"][1] is None


def test_counts_of_competing_causes_with_delayed_entry() -> None:
    frame = pl.DataFrame(
        {
            "time_day": [50, 200, 300, 350],
            "entry_day": [0, 0, 100, 0],
            "is_event": [True, True, False, True],
            "cause": ["death", "relapse", None, "death"],
        }
    )
    rows = milestone(aalen_johansen(frame), at_years=150 / DAYS_PER_YEAR).filter(
        pl.col("method").str.starts_with("Aalen")
    )
    assert rows.select("term", "n", "n_events", "n_at_risk").rows() == [
        ("death", 4, 1, 3),
        ("relapse", 4, 0, 3),
    ]
    # at the end everybody has left by an event: nothing more can happen, so nothing is extrapolated
    late = milestone(aalen_johansen(frame), at_years=2).filter(pl.col("method").str.starts_with("Aalen"))
    assert late["n_at_risk"].to_list() == [0, 0]
    assert late["estimate"].sum() == pytest.approx(1, rel=1e-12)


def test_the_interval_is_named_also_with_delayed_entry() -> None:
    curve = kaplan_meier(table([(9, False), (8, False)]).with_columns(pl.Series("entry_day", [0, 3])))
    assert (
        milestone(curve, at_years=0.01).row(0, named=True)["note"]
        == "no log-log limits where the estimate is 1"
    )
    assert median_time(curve)["method"].item() == "Kaplan-Meier, Brookmeyer-Crowley, log-log"


def test_a_reverse_curve_says_what_it_is() -> None:
    rows = milestone(reverse_kaplan_meier(trial(23)), at_years=1)
    assert set(rows["statistic"]) == {"follow_up_probability"}


def test_a_curve_with_rows_missing_or_doubled_is_refused() -> None:
    curve = kaplan_meier(trial(23))
    for spoilt in (curve[1:], pl.concat([curve, curve])):
        with pytest.raises(TableError, match="whole and once"):
            milestone(spoilt, at_years=3)
    both = pl.concat([curve, kaplan_meier(trial(23), conf_level=0.9)])
    assert milestone(both, at_years=3)["conf_level"].to_list() == [0.95, 0.95, 0.9, 0.9]


def test_public_case_ovarian() -> None:
    case = CASES["p02_km"]["expected"]
    data = pl.read_csv(REFERENCE / "p02_km.csv")
    frame = data.select(
        pl.col("futime").alias("time_day"),
        (pl.col("fustat") == 1).alias("is_event"),
        pl.col("rx").cast(pl.String).alias("arm"),
    )
    pooled = frame.drop("arm")
    for interval, key in (("plain", "plain"), ("log", "log"), ("log-log", "loglog")):
        curve = kaplan_meier(pooled, interval=interval)
        for i, day in enumerate((200, 400, 600)):
            row = milestone(curve, at_years=day / DAYS_PER_YEAR).filter(pl.col("std_error").is_not_null())
            assert row["estimate"].item() == pytest.approx(case["surv"][i], rel=1e-10)
            assert row["std_error"].item() == pytest.approx(case["se"][i], rel=1e-10)
            assert row.select("lower", "upper").row(0) == pytest.approx(case[key][i], rel=1e-10)
    median = median_time(kaplan_meier(pooled)).row(0, named=True)
    assert median["estimate"] * DAYS_PER_YEAR == pytest.approx(case["median"], rel=1e-12)
    assert median["lower"] * DAYS_PER_YEAR == pytest.approx(case["median_lower"], rel=1e-12)
    assert (median["upper"], median["note"]) == (None, "upper limit not reached")
    # survRM2: difference of the arms, 2 minus 1
    arms = restricted_mean(kaplan_meier(frame), horizon_years=600 / DAYS_PER_YEAR)
    mean = {arm: DAYS_PER_YEAR * value for arm, value in arms.select("arm", "estimate").rows()}
    error = {arm: DAYS_PER_YEAR * value for arm, value in arms.select("arm", "std_error").rows()}
    difference, half = mean["2"] - mean["1"], 1.959963984540054 * np.hypot(error["1"], error["2"])
    assert [difference, difference - half, difference + half] == pytest.approx(
        case["rmst_diff"][:3], rel=1e-10
    )


@pytest.mark.parametrize(
    "row", R_SUMMARY.rows(named=True), ids=lambda row: f"{row['data_set']}-{row['interval']}"
)
def test_median_and_restricted_mean_agree_with_r(row: dict[str, object]) -> None:
    curve = kaplan_meier(
        reference(str(row["data_set"])), interval=str(row["interval"]).replace("arcsin", "arcsine")
    )
    median = median_time(curve).row(0, named=True)
    for ours, theirs in (("estimate", "median"), ("lower", "median_lower"), ("upper", "median_upper")):
        if row[theirs] is None:
            assert median[ours] is None
        else:
            assert median[ours] * DAYS_PER_YEAR == pytest.approx(row[theirs], rel=1e-10), ours
    mean = restricted_mean(curve, horizon_years=float(str(row["horizon"])) / DAYS_PER_YEAR).row(0, named=True)
    assert mean["estimate"] * DAYS_PER_YEAR == pytest.approx(row["rmean"], rel=1e-10)
    assert mean["std_error"] * DAYS_PER_YEAR == pytest.approx(row["rmean_se"], rel=1e-10)


def test_median_of_a_curve_that_rests_at_one_half_is_the_middle() -> None:
    # R 4.2.2: quantile(survfit(Surv(c(1,2,3,4), c(1,1,1,1)) ~ 1), .5) = 2.5; with c(1,1,0,0): (2 + 4) / 2 = 3
    for events, middle in (([True] * 4, 2.5), ([True, True, False, False], 3.0)):
        curve = kaplan_meier(table([(day, event) for day, event in zip((1, 2, 3, 4), events, strict=True)]))
        assert median_time(curve)["estimate"].item() * DAYS_PER_YEAR == pytest.approx(middle, rel=1e-12)


def test_median_not_reached_and_median_follow_up() -> None:
    frame = table([(100, True)] + [(1000.0 + 100 * i, False) for i in range(9)])
    row = median_time(kaplan_meier(frame)).row(0, named=True)
    assert (row["estimate"], row["upper"], row["note"]) == (None, None, "not reached")
    # 9 of 10 have a lower limit of 0.4730 from day 100 on
    assert row["lower"] * DAYS_PER_YEAR == pytest.approx(100)
    follow_up = median_time(reverse_kaplan_meier(frame)).row(0, named=True)
    assert follow_up["estimate"] * DAYS_PER_YEAR == pytest.approx(1400)
    assert follow_up["method"] == "reverse Kaplan-Meier, Brookmeyer-Crowley, log-log"


def test_median_time_of_a_cumulative_incidence() -> None:
    frame = pl.DataFrame(
        {"time_day": [5, 9, 10, 11, 12, 14], "is_event": [True] * 6, "cause": ["death"] + ["engrafted"] * 5}
    )
    rows = median_time(aalen_johansen(frame))
    assert rows["term"].to_list() == ["death", "engrafted"]
    assert rows["estimate"][0] is None
    # after days 10 and 11 two and three of six have engrafted: flat at one half until day 12
    assert rows["estimate"][1] * DAYS_PER_YEAR == pytest.approx(11.5)


def test_restricted_mean_by_hand_and_beyond_follow_up() -> None:
    curve = kaplan_meier(table([(365.25, True), (730.5, True), (1461.0, False)]))
    row = restricted_mean(curve, horizon_years=3).row(0, named=True)
    # area 1 + 2/3 + 1/3; areas ahead of the events 1 and 1/3: 1^2 / (3 2) + (1/3)^2 / (2 1)
    assert row["estimate"] == pytest.approx(2, rel=1e-12)
    assert row["std_error"] == pytest.approx((1 / 6 + 1 / 18) ** 0.5, rel=1e-12)
    beyond = restricted_mean(curve, horizon_years=5).row(0, named=True)
    assert (beyond["estimate"], beyond["note"]) == (None, "follow-up ends at 4 years, before the horizon")


def test_impossible_requests_are_refused() -> None:
    curve = kaplan_meier(trial(23))
    for years in (-1, float("nan"), float("inf")):
        with pytest.raises(RequestError, match="at_years must be"):
            milestone(curve, at_years=years)
    with pytest.raises(RequestError, match="horizon_years must be > 0"):
        restricted_mean(curve, horizon_years=0)
    with pytest.raises(RequestError, match="cumulative incidence of 'other'"):
        restricted_mean(aalen_johansen(competing()), horizon_years=1)


def test_an_empty_curve_gives_no_row() -> None:
    for frame in (
        milestone(empty(CURVE), at_years=1),
        median_time(empty(CURVE)),
        restricted_mean(empty(CURVE), horizon_years=1),
    ):
        assert frame.schema == RESULTS
        assert frame.height == 0


@given(
    rows=st.lists(st.tuples(st.integers(0, 2000), st.booleans()), min_size=1, max_size=40),
    years=st.floats(0, 6),
)
def test_counts_add_up_and_limits_hold_the_estimate(rows: list[tuple[int, bool]], years: float) -> None:
    curve = kaplan_meier(table([(float(day), event) for day, event in rows]))
    for row in milestone(curve, at_years=years).rows(named=True):
        assert row["n_events"] + row["n_censored"] + row["n_at_risk"] == row["n"] == len(rows)
        if row["lower"] is not None:
            assert 0 <= row["lower"] <= row["estimate"] + 1e-12
            assert row["estimate"] - 1e-12 <= row["upper"] <= 1
        else:
            assert row["note"]
    for row in median_time(curve).rows(named=True):
        assert row["estimate"] is not None or row["note"]


@pytest.mark.parametrize("interval", INTERVALS)
def test_no_limits_of_the_estimate_alone_where_nothing_varied(interval: str) -> None:
    """R's plain and log intervals of a survival of 1 reach from 1 to 1."""
    curve = kaplan_meier(pl.DataFrame({"time_day": [900] * 6, "is_event": [False] * 6}), interval=interval)
    exact, normal = milestone(curve, at_years=2).rows(named=True)
    assert (exact["lower"], exact["upper"]) == (pytest.approx(0.025 ** (1 / 6)), 1.0)
    assert (normal["estimate"], normal["std_error"], normal["lower"], normal["upper"]) == (
        1.0, None, None, None,
    )  # fmt: skip
    assert normal["note"] == f"no {interval} limits where the estimate is 1"


@pytest.mark.parametrize("interval", INTERVALS)
def test_limits_next_to_0_and_1_stay_between_them(interval: str) -> None:
    p = np.array([1e-300, 1e-100, 1e-16, 0.5, 1 - 1e-8, 1 - 1.2e-16])
    for std_error in (1e-320, 1e-17, 1e-9, 0.1, 10.0, 1e200):
        lower, upper = pointwise(p, np.full(p.size, std_error), interval=interval, conf_level=0.95)
        assert np.all((lower >= 0) & (lower <= p * (1 + 1e-12)) & (p <= upper * (1 + 1e-12)) & (upper <= 1))


def test_an_incidence_of_everybody_is_1() -> None:
    """49 events in turn add up to 1 + 2e-16."""
    frame = pl.DataFrame({"time_day": range(1, 50), "is_event": True, "cause": "relapse"})
    last = aalen_johansen(frame).tail(1)
    assert last.select("estimate", "std_error").row(0) == (1.0, 0.0)
    exact = milestone(aalen_johansen(frame), at_years=49 / DAYS_PER_YEAR).row(0, named=True)
    assert exact["note"] == "small-sample interval first: the estimate is 1"
