"""Periods for the censoring weights: cuts, last known values, the whole way to a curve, odd input."""

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import censoring_periods, censoring_weighted_survival

TIMES = pl.DataFrame(
    {
        "patient_id": ["b", "a", "c", "d"],
        "time_day": [91, 250, 10, 300],
        "is_event": [True, False, False, False],
        "censor_reason": [None, "censored at dmt_restart", "end of follow-up", "end of follow-up"],
    }
)
KNOWN = pl.DataFrame(
    {
        "patient_id": ["a", "a", "a", "b", "c", "d", "d"],
        "day": [0, 91, 91, -40, 0, 0, 182],
        "edss": [2.0, 3.0, 3.5, 4.0, None, 5.0, 6.0],
        "is_woman": [True, None, None, False, True, True, None],
    }
)


def test_cuts_and_last_known_values_by_hand() -> None:
    rows = censoring_periods(TIMES, KNOWN)
    assert rows.select(
        "patient_id", "start_day", "stop_day", "is_event", "is_censored", "edss", "is_woman"
    ).rows() == [
        ("a", 0, 91, False, False, 2.0, True),
        ("a", 91, 182, False, False, 3.5, True),
        ("a", 182, 250, False, True, 3.5, True),
        ("b", 0, 91, True, False, 4.0, False),
        ("c", 0, 10, False, False, None, True),
        ("d", 0, 91, False, False, 5.0, True),
        ("d", 91, 182, False, False, 5.0, True),
        ("d", 182, 273, False, False, 6.0, True),
        ("d", 273, 300, False, False, 6.0, True),
    ]
    assert rows["start_years"][1] == pytest.approx(91 / 365.25)


def test_the_whole_way() -> None:
    curve = censoring_weighted_survival(censoring_periods(TIMES, KNOWN), covariates=["start_years"])
    # by hand: of 4 patients one is gone at 10, one of three has the event on day 91
    assert curve["estimate"].to_list() == pytest.approx([1, 1, 2 / 3, 2 / 3, 2 / 3])
    with pytest.raises(RequestError, match="cannot tell the effects of is_woman apart in 8 rows"):
        # the only man has the event in his only period
        censoring_weighted_survival(censoring_periods(TIMES, KNOWN), covariates=["is_woman"])
    with pytest.raises(TableError, match="1 of 9 rows lack it"):
        censoring_weighted_survival(censoring_periods(TIMES, KNOWN), covariates=["edss"])


def test_delayed_entry() -> None:
    rows = censoring_periods(TIMES.head(2).with_columns(entry_day=pl.Series([50, -20])), KNOWN)
    assert rows.select("patient_id", "start_day", "stop_day").rows() == [
        ("a", 0, 91), ("a", 91, 182), ("a", 182, 250), ("b", 50, 91),
    ]  # fmt: skip


def test_odd_input() -> None:
    assert censoring_periods(TIMES.clear(), KNOWN).height == 0
    assert censoring_periods(TIMES, KNOWN.clear())["edss"].null_count() == 9
    with pytest.raises(TableError, match="1 of 4 patients have no time at risk"):
        censoring_periods(TIMES.with_columns(time_day=pl.Series([91, 250, 0, 300])), KNOWN)
    with pytest.raises(TableError, match="named is_event"):
        censoring_periods(TIMES, KNOWN.with_columns(is_event=pl.lit(True)))
    with pytest.raises(TableError, match="found 4"):
        censoring_periods(TIMES.with_columns(arm=pl.col("patient_id")), KNOWN)
    with pytest.raises(RequestError, match="every_days"):
        censoring_periods(TIMES, KNOWN, every_days=0)
