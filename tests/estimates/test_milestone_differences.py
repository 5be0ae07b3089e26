"""Two arms at a time and up to a horizon, and quantiles: against R, by hand, without events, impossible input."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct.errors import RequestError
from ahsct.estimates import (
    kaplan_meier,
    mean_cumulative_function,
    median_time,
    milestone_difference,
    quantile_time,
    restricted_mean,
    restricted_mean_difference,
)
from ahsct.estimates.beta_product import bounds
from ahsct.estimates.melding import melded
from ahsct.vocabulary import CURVE, DAYS_PER_YEAR, RESULTS, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "milestone_differences.csv", infer_schema_length=None)
ARM = {"veteran": "x1", "lung": "x2", "rats": "x1", "aml": "x1"}
TIMES = [
    (x, t)
    for x in ARM
    for t in R.filter((pl.col("data_set") == x) & (pl.col("time") > 1))["time"].unique().sort()
]


def curves(data_set: str) -> pl.DataFrame:
    rows = DATA.filter(pl.col("data_set") == data_set)
    return kaplan_meier(
        rows.select(
            pl.col("time").alias("time_day"),
            (pl.col("event") == 1).alias("is_event"),
            pl.col(ARM[data_set]).cast(pl.Int64).cast(pl.String).alias("arm"),
        )
    )


def r(data_set: str, time: float, quantity: str) -> float:
    rows = R.filter(
        (pl.col("data_set") == data_set) & (pl.col("time") == time) & (pl.col("quantity") == quantity)
    )
    return float(rows["value"].item())


@pytest.mark.parametrize("scale", ["identity", "log", "cloglog", "logit"])
@pytest.mark.parametrize(("data_set", "time"), TIMES)
def test_differences_agree_with_r(data_set: str, time: float, scale: str) -> None:
    rows = milestone_difference(
        curves(data_set), at_years=time / DAYS_PER_YEAR, reference_arm="0", scale=scale
    )
    assert rows.schema == RESULTS
    normal, exact = rows.rows(named=True)
    estimate = normal["estimate"] if scale == "identity" else math.log(normal["estimate"])
    assert estimate == pytest.approx(r(data_set, time, f"{scale}_estimate"), rel=1e-10)
    assert normal["std_error"] == pytest.approx(r(data_set, time, f"{scale}_error"), rel=1e-10)
    assert normal["p_value"] == pytest.approx(r(data_set, time, f"{scale}_p"), rel=1e-9)
    assert exact["estimate"] == normal["estimate"]
    assert exact["lower"] < exact["estimate"] < exact["upper"]
    assert (normal["arm"], normal["reference_arm"]) == ("1", "0")


@pytest.mark.parametrize("time", [20.0, 30.0])
def test_melded_intervals_agree_with_integrals_in_r(time: float) -> None:
    for scale, name in (("identity", ""), ("log", "_ratio"), ("cloglog", "_hazard")):
        exact = milestone_difference(
            curves("aml"), at_years=time / DAYS_PER_YEAR, reference_arm="0", scale=scale
        ).row(1, named=True)
        for limit in ("lower", "upper"):
            assert exact[limit] == pytest.approx(r("aml", time, f"melded{name}_{limit}"), rel=1e-6), (
                scale,
                limit,
            )
        assert exact["p_value"] == pytest.approx(r("aml", time, "melded_p"), rel=1e-6)


@pytest.mark.parametrize("name", R.filter(pl.col("quantity") == "fisher_p")["data_set"].to_list())
def test_without_censoring_the_p_value_is_fishers(name: str) -> None:
    x1, n1, x0, n0 = map(int, name.split())
    arms = [bounds(np.array([n]), np.array([n - x]), x) for x, n in ((x1, n1), (x0, n0))]
    found = melded(*arms)
    assert found.p_value == pytest.approx(r(name, 0, "fisher_p"), rel=1e-9)
    if name == "16 24 8 24":
        assert found[:2] == pytest.approx([r(name, 0, "melded_lower"), r(name, 0, "melded_upper")], rel=1e-9)
    # swapping the arms turns the difference round
    swapped = melded(arms[1], arms[0])
    assert (swapped.lower, swapped.upper) == pytest.approx((-found.upper, -found.lower), abs=1e-9)
    assert swapped.p_value == pytest.approx(found.p_value, rel=1e-9)
    for scale in ("ratio", "odds_ratio", "cumulative_hazard_ratio"):
        there, back = melded(*arms, scale=scale), melded(arms[1], arms[0], scale=scale)
        for one, other in ((there.lower, back.upper), (back.lower, there.upper)):
            assert one == pytest.approx(1 / other if other else 0, rel=1e-6, abs=1e-12), scale


def test_nobody_with_an_event_and_everybody() -> None:
    none, all_ = bounds(np.array([12]), np.array([0]), 12), bounds(np.array([12]), np.array([12]), 0)
    assert melded(none, none) == (
        pytest.approx(-(1 - 0.025 ** (1 / 12))),
        pytest.approx(1 - 0.025 ** (1 / 12)),
        1.0,
    )
    found = melded(none, all_)
    assert found.upper == 1.0
    assert found.lower > 0.5
    assert found.p_value == pytest.approx(2 / math.comb(24, 12), rel=1e-6)
    assert melded(all_, all_).p_value == 1.0
    assert melded(none, none, scale="cumulative_hazard_ratio")[:2] == (0.0, None)
    frame = pl.DataFrame({"time_day": [800] * 4, "is_event": [False] * 4, "arm": list("XXYY")})
    for scale in ("identity", "log", "cloglog", "logit"):
        normal, exact = milestone_difference(
            kaplan_meier(frame), at_years=1, reference_arm="X", scale=scale
        ).rows(named=True)
        assert normal["lower"] is None
        assert "0 or 1" in normal["note"]
        assert exact["p_value"] == 1.0


def test_after_the_follow_up_of_one_arm_nothing_is_said() -> None:
    frame = pl.DataFrame(
        {"time_day": [300, 800, 900, 900], "is_event": [True, False, False, True], "arm": list("XXYY")}
    )
    rows = milestone_difference(kaplan_meier(frame), at_years=2.3, reference_arm="X")
    assert rows.select("estimate", "note").rows() == [(None, "X: follow-up ends at 2.19 years")]
    rows = restricted_mean_difference(kaplan_meier(frame), horizon_years=2.3, reference_arm="X")
    assert rows["estimate"].to_list() == [None, None]
    assert "X: follow-up ends" in rows["note"][0]


def test_delayed_entry_has_no_exact_interval() -> None:
    frame = pl.DataFrame(
        {
            "time_day": [300, 800, 500, 900],
            "is_event": [True, False] * 2,
            "arm": list("XXYY"),
            "entry_day": [0, 9, 0, 0],
        }
    )
    rows = milestone_difference(kaplan_meier(frame), at_years=1.5, reference_arm="Y")
    assert rows["note"].to_list() == [None, "no exact interval with delayed entry"]


@pytest.mark.parametrize(("data_set", "time"), TIMES)
def test_restricted_means_agree_with_r(data_set: str, time: float) -> None:
    difference, ratio = restricted_mean_difference(
        curves(data_set), horizon_years=time / DAYS_PER_YEAR, reference_arm="0"
    ).rows(named=True)
    for name in ("estimate", "std_error"):
        suffix = "" if name == "estimate" else "_error"
        days = r(data_set, time, f"rmst_difference{suffix}")
        assert difference[name] * DAYS_PER_YEAR == pytest.approx(days, rel=1e-9)
    assert math.log(ratio["estimate"]) == pytest.approx(r(data_set, time, "rmst_log_ratio"), rel=1e-9)
    assert ratio["std_error"] == pytest.approx(r(data_set, time, "rmst_log_ratio_error"), rel=1e-9)
    half = 1.959963984540054 * ratio["std_error"]
    assert math.log(ratio["upper"] / ratio["estimate"]) == pytest.approx(half, rel=1e-9)


def test_restricted_mean_of_the_public_case() -> None:
    rows = pl.read_csv(REFERENCE / "p02_km.csv")
    frame = rows.select(
        pl.col("futime").alias("time_day"),
        (pl.col("fustat") == 1).alias("is_event"),
        pl.col("rx").cast(pl.String).alias("arm"),
    )
    found = restricted_mean_difference(
        kaplan_meier(frame), horizon_years=600 / DAYS_PER_YEAR, reference_arm="1"
    )
    expected = [107.367521367521, -15.309990010762, 230.045032745805, 0.086278678130371]  # survRM2 1.0.4
    days = [found[name][0] * DAYS_PER_YEAR for name in ("estimate", "lower", "upper")]
    assert [*days, found["p_value"][0]] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("data_set", list(ARM))
def test_quantiles_agree_with_r(data_set: str) -> None:
    for arm in ("0", "1"):
        one = curves(data_set).filter(pl.col("arm") == arm)
        row = quantile_time(one, probability=0.25).row(0, named=True)
        for ours, theirs in (("estimate", "q25"), ("lower", "q25_lower"), ("upper", "q25_upper")):
            expected = R.filter(
                (pl.col("data_set") == data_set)
                & (pl.col("time") == int(arm))
                & (pl.col("quantity") == theirs)
            )
            value = expected["value"].item()
            if value is None:
                assert row[ours] is None
            else:
                assert row[ours] * DAYS_PER_YEAR == pytest.approx(float(value), rel=1e-10)
        assert row["statistic"] == "quantile_time"
        assert row["method"] == "Kaplan-Meier, quantile 0.25, Brookmeyer-Crowley, log-log"
    assert quantile_time(one, probability=0.5).equals(median_time(one))


def test_impossible_requests_are_refused() -> None:
    pair = curves("aml")
    with pytest.raises(RequestError, match="the arms are '1', '0'"):
        milestone_difference(pair, at_years=0.05, reference_arm="control")
    with pytest.raises(RequestError, match="Did you mean 'cloglog'"):
        milestone_difference(pair, at_years=0.05, reference_arm="0", scale="clog-log")
    with pytest.raises(RequestError, match="needs the curves of arm '1' and of another"):
        restricted_mean_difference(pair.filter(pl.col("arm") == "1"), horizon_years=0.05, reference_arm="1")
    with pytest.raises(RequestError, match="> 0"):
        restricted_mean_difference(pair, horizon_years=0, reference_arm="0")
    with pytest.raises(RequestError, match="between 0 and 1"):
        quantile_time(pair, probability=25)
    with pytest.raises(RequestError, match="No scale 'hazard'"):
        melded(
            bounds(np.array([1]), np.array([1]), 0), bounds(np.array([1]), np.array([1]), 0), scale="hazard"
        )
    counted = mean_cumulative_function(
        pl.DataFrame(
            {
                "patient_id": ["a", "b"],
                "arm": ["0", "1"],
                "start_day": [0, 0],
                "stop_day": [9, 9],
                "is_event": [True, False],
            }
        )
    )
    with pytest.raises(RequestError, match="found a 'mean cumulative function'"):
        milestone_difference(counted, at_years=0.01, reference_arm="0")
    with pytest.raises(RequestError, match="use mean_count"):
        median_time(counted)
    with pytest.raises(RequestError, match="needs a Kaplan-Meier curve"):
        restricted_mean(counted, horizon_years=0.01)
    assert milestone_difference(empty(CURVE), at_years=1, reference_arm="0").equals(empty(RESULTS))


def test_a_ratio_that_does_not_exist_is_said() -> None:
    frame = pl.DataFrame(
        {"time_day": [100] * 3 + [800] * 3, "is_event": [True] * 3 + [False] * 3, "arm": list("XXXYYY")}
    )
    for scale in ("cloglog", "logit"):
        normal, exact = milestone_difference(
            kaplan_meier(frame), at_years=1, reference_arm="X", scale=scale
        ).rows(named=True)
        assert (normal["estimate"], exact["estimate"]) == (None, None)
        assert "no error on this scale" in normal["note"]
        assert "the arms' estimates have no ratio" in exact["note"]
        assert exact["p_value"] == pytest.approx(0.1)  # twice 1 / 20, as Fisher's test


def arms(time_day: list[int], is_event: list[bool]) -> pl.DataFrame:
    half = len(time_day) // 2
    arm = ["control"] * half + ["HSCT"] * half
    return kaplan_meier(pl.DataFrame({"time_day": time_day, "is_event": is_event, "arm": arm}))


def test_an_arm_without_events_has_no_error() -> None:
    """3 of 12 against 0 of 12: the normal rows' error is that of the 3 alone, and each of them says so."""
    curve = arms([200, 400, 600] + [1500] * 21, [True] * 3 + [False] * 21)
    normal, exact = milestone_difference(curve, at_years=3, reference_arm="control").rows(named=True)
    assert normal["p_value"] == pytest.approx(math.erfc(2 / math.sqrt(2)))  # 0.25 over sqrt(0.75 0.25 / 12)
    assert "no error can be estimated in HSCT" in normal["note"]
    assert "exact row" in normal["note"]
    fisher = 2 * math.comb(12, 3) / math.comb(24, 3)
    assert (exact["p_value"], exact["note"]) == (pytest.approx(fisher, rel=1e-6), None)
    rows = restricted_mean_difference(curve, horizon_years=3, reference_arm="control")
    assert rows["statistic"].to_list() == ["restricted_mean_difference", "restricted_mean_ratio"] * 2
    for row in rows.head(2).rows(named=True):
        assert "no error can be estimated in HSCT" in row["note"]
        assert "read the rows 'limits recovered by arm'" in row["note"]
    mean = (200 + 400 + 600) / 12 / DAYS_PER_YEAR + 3 * 9 / 12
    spread = [(t / DAYS_PER_YEAR) ** 2 for t in (200, 400, 600)]
    error = math.sqrt((sum(spread) + 9 * 9 - 12 * mean**2) / 12**2)  # nobody censored: that of a mean
    below, above = 3 - 3 * 0.025 ** (1 / 12), 1.959963984540054 * error
    row = rows.row(2, named=True)
    assert row["lower"] == pytest.approx(3 - mean - math.hypot(below, above), rel=1e-10)
    assert row["upper"] == pytest.approx(3 - mean + above, rel=1e-10)
    assert (row["std_error"], row["p_value"]) == (None, None)
    ratio, relative = rows.row(3, named=True), above / mean
    log_below = -math.log(0.025) / 12
    assert math.log(ratio["lower"] * mean / 3) == pytest.approx(-math.hypot(log_below, relative), rel=1e-10)
    assert math.log(ratio["upper"] * mean / 3) == pytest.approx(relative, rel=1e-10)


def test_two_arms_without_events_have_the_limits_of_each() -> None:
    normal, _, recovered, _ = restricted_mean_difference(
        arms([1500] * 8, [False] * 8), horizon_years=3, reference_arm="control"
    ).rows(named=True)
    assert [normal[name] for name in ("estimate", "std_error", "lower", "upper", "p_value")] == [0.0] + [
        None
    ] * 4
    assert "HSCT: no event before the horizon" in normal["note"]
    reach = 3 - 3 * 0.025**0.25
    assert (recovered["lower"], recovered["upper"]) == (pytest.approx(-reach), pytest.approx(reach))


@pytest.mark.parametrize("day", [0, 10])
def test_all_events_at_once_leave_no_error(day: int) -> None:
    curve = arms([day] * 4, [True] * 4)
    for row in restricted_mean(curve, horizon_years=3).rows(named=True):
        assert row["estimate"] == pytest.approx(day / DAYS_PER_YEAR)
        assert (row["std_error"], row["lower"], row["upper"]) == (None, None, None)
        assert "all had the event at once" in row["note"]
    rows = restricted_mean_difference(curve, horizon_years=3, reference_arm="control")
    assert rows["estimate"].to_list() == [0.0, None if day == 0 else 1.0]
    assert rows.select(pl.col("std_error", "lower", "upper", "p_value").is_null().all()).row(0) == (True,) * 4
    assert "no event" not in rows["note"][0]


def test_restricted_mean_without_an_event() -> None:
    """The mean is at least the horizon times survival there: 3 (0.025)^(1/4)."""
    frame = pl.DataFrame({"time_day": [1500] * 4, "is_event": [False] * 4})
    row = restricted_mean(kaplan_meier(frame), horizon_years=3).row(0, named=True)
    assert (row["estimate"], row["std_error"], row["upper"]) == (3.0, None, 3.0)
    assert row["lower"] == pytest.approx(3 * 0.025**0.25, rel=1e-12)
    assert row["method"] == "area under Kaplan-Meier, Clopper-Pearson at the horizon"
    late = kaplan_meier(frame.with_columns(entry_day=pl.Series([0, 0, 0, 50])))
    row = restricted_mean(late, horizon_years=3).row(0, named=True)
    assert (row["estimate"], row["lower"], row["upper"]) == (3.0, None, None)
    assert "no exact interval with delayed entry" in row["note"]


def test_the_unit_of_time_does_not_matter_to_a_restricted_mean() -> None:
    """Squares of times of 1e200 would be infinite."""
    frame = pl.DataFrame({"time_day": [1.0, 2.0, 3.0, 4.0], "is_event": [True, False, True, False]})
    plain = restricted_mean(kaplan_meier(frame), horizon_years=4 / DAYS_PER_YEAR).row(0, named=True)
    huge = frame.with_columns(pl.col("time_day") * 1e200)
    row = restricted_mean(kaplan_meier(huge), horizon_years=4e200 / DAYS_PER_YEAR).row(0, named=True)
    for name in ("estimate", "std_error", "lower", "upper"):
        assert row[name] == pytest.approx(plain[name] * 1e200, rel=1e-12)
