"""Log-rank tests: by hand, against R on five data sets with every weight, properties, degenerate and impossible input."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import log_rank
from ahsct.estimates.log_rank import WEIGHTS, LogRank, log_rank_test
from ahsct.vocabulary import RESULTS, TIME_TO_EVENT, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "log_rank.csv", infer_schema_length=None)


def ours(data_set: str, group: str, strata: str | None, weight: str) -> LogRank:
    rows = DATA.filter(pl.col("data_set") == data_set)
    powers = re.fullmatch(r"fh_([\d.]+)_([\d.]+)", weight)
    arguments = {"weight": weight}
    if powers:
        arguments = {"weight": "fleming-harrington", "rho": float(powers[1]), "gamma": float(powers[2])}
    return log_rank_test(
        rows["time"],
        rows["event"],
        rows[group].rank("dense").to_numpy() - 1,
        entry=rows["entry"],
        stratum=rows[strata] if strata else None,
        **arguments,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("data_set", "group", "strata", "weight", "chi_squared"), R.rows())
def test_agrees_with_r(
    data_set: str, group: str, strata: str | None, weight: str, chi_squared: float
) -> None:
    found = ours(data_set, group, strata, weight)
    assert found.chi_squared == pytest.approx(chi_squared, rel=1e-10)
    assert found.df == (3 if group == "stratum" and data_set == "veteran" else 1)


def test_the_public_case() -> None:
    rows = pl.read_csv(REFERENCE / "p03_logrank.csv")
    frame = rows.select(
        pl.int_range(pl.len()).cast(pl.String).alias("patient_id"),
        pl.col("time").alias("time_day"),
        (pl.col("status") == 1).alias("is_event"),
        pl.col("trt").cast(pl.String).alias("arm"),
        "cell",
    )
    by_cell = frame.with_columns(pl.col("cell").cast(pl.String).alias("arm"))
    cells = frame.select("patient_id", "cell")
    for found, expected in (
        (log_rank(frame), 0.00822734320235077),
        (log_rank(frame, weight="peto-peto"), 0.871209492927177),
        (log_rank(frame, weight="fleming-harrington", rho=1), 0.871209492927177),
        (log_rank(frame, cells, strata=["cell"]), 0.701743346844319),
        (log_rank(by_cell), 25.4037003457854),
    ):
        assert found["estimate"][0] == pytest.approx(expected, rel=1e-10)


def test_by_hand() -> None:
    # t = 1: d 1 of n 4, arm 0 has 2: e 1/2, v 1/4; t = 2: 1 of 3, arm 0 has 1: e 1/3, v 2/9
    found = log_rank_test([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    np.testing.assert_allclose(found.expected, [5 / 6, 7 / 6], rtol=1e-14)
    np.testing.assert_allclose(found.score, [7 / 6, -7 / 6], rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.array([[1, -1], [-1, 1]]) * 17 / 36, rtol=1e-14)
    # ties: t = 1: d 2 of 4, arm 0 has 2: v = 2 * 2 / 3 * 1/4
    assert log_rank_test([1, 1, 2, 2], [1, 1, 0, 0], [0, 0, 1, 1]).covariance[0, 0] == pytest.approx(1 / 3)
    # weights n: 4 (2 - 1) ... at t = 1 and 3 at t = 2
    gehan = log_rank_test([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1], weight="gehan-wilcoxon")
    assert gehan.score[0] == pytest.approx(4 * (1 - 1 / 2) + 3 * (1 - 1 / 3), rel=1e-14)


def test_the_table_names_arms_and_weights() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": list("abcdef"),
            "time_day": [1, 2, 3, 4, 5, 6],
            "is_event": [True, True, False, True, False, False],
            "arm": ["B", "A", "A", "C", "B", "C"],
            "endpoint": "efs",
        }
    )
    rows = log_rank(frame, weight="tarone-ware")
    assert rows.schema == RESULTS
    assert rows["method"][0] == "log-rank, weight square root of n at risk (tarone-ware)"
    assert rows["endpoint"].unique().to_list() == ["efs"]
    assert rows.select("arm", "n", "n_events").rows() == [("", 6, 3), ("A", 2, 1), ("B", 2, 1), ("C", 2, 1)]
    assert rows["df"][0] == 2
    assert rows["estimate"][1:].sum() == pytest.approx(3)
    assert log_rank(empty(TIME_TO_EVENT)).equals(empty(RESULTS))


@pytest.mark.parametrize("weight", [*WEIGHTS, "fleming-harrington"])
def test_nothing_to_compare_is_said(weight: str) -> None:
    base = {"time_day": [5, 6], "arm": ["X", "Y"]}
    for event in ([False, False], [False, True]):
        row = log_rank(pl.DataFrame({**base, "is_event": event}), weight=weight).row(0, named=True)
        assert row["estimate"] is None
        assert row["p_value"] is None
        assert "nothing to compare" in row["note"]
    same_time = pl.DataFrame({"time_day": [5, 5], "arm": ["X", "Y"], "is_event": [True, True]})
    assert "nothing to compare" in log_rank(same_time, weight=weight)["note"][0]


def test_an_arm_that_nobody_compares_with_takes_no_degree_of_freedom() -> None:
    # arm 2 enters after the last event of the others and has its own events alone
    found = log_rank_test(
        [1, 2, 3, 4, 9, 10, 11], [1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 2, 2, 2], entry=[0, 0, 0, 0, 5, 5, 5]
    )
    plain = log_rank_test([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    assert found.df == 1
    assert found.chi_squared == pytest.approx(plain.chi_squared, rel=1e-12)


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        ({"arm": ["X", "X"]}, RequestError, "`arm` has the one value 'X'"),
        ({"arm": ["X", None]}, TableError, "missing in 1 of 2 rows"),
        ({"arm": ["X", "Y"], "cause": ["competing_death", None]}, TableError, "competing events"),
    ],
)
def test_impossible_tables_are_refused(
    frame: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        log_rank(pl.DataFrame({"time_day": [1, 2], "is_event": [True, True], **frame}))


def test_impossible_requests_are_refused() -> None:
    frame = pl.DataFrame(
        {"time_day": [1, 2], "is_event": [True, True], "arm": ["X", "Y"], "patient_id": ["a", "b"]}
    )
    with pytest.raises(RequestError, match="Did you mean 'gehan-wilcoxon'"):
        log_rank(frame, weight="gehan-wilkoxon")
    with pytest.raises(RequestError, match="belong to 'fleming-harrington'"):
        log_rank(frame, rho=1)
    with pytest.raises(RequestError, match=">= 0"):
        log_rank(frame, weight="fleming-harrington", rho=-1)
    with pytest.raises(TableError, match="has no row"):
        log_rank(frame, pl.DataFrame({"patient_id": ["a"], "site": ["s"]}), strata=["site"])
    with pytest.raises(TableError, match="'site' is missing in 1 of 2"):
        log_rank(frame, pl.DataFrame({"patient_id": ["a", "b"], "site": ["s", None]}), strata=["site"])


rows = st.lists(st.tuples(st.integers(1, 9), st.booleans(), st.integers(0, 2)), min_size=2, max_size=40)


@given(rows=rows, seed=st.integers(0, 2**31), weight=st.sampled_from(list(WEIGHTS)))
def test_order_of_patients_and_names_of_arms_do_not_matter(
    rows: list[tuple[int, bool, int]], seed: int, weight: str
) -> None:
    time, event, arm = (np.array(column) for column in zip(*rows, strict=True))
    index = np.random.default_rng(seed).permutation(time.size)
    plain = log_rank_test(time, event, arm, weight=weight)
    other = log_rank_test(time[index] * 7.0, event[index], 2 - arm[index], weight=weight)
    if plain.chi_squared is None:
        assert other.chi_squared is None
        return
    assert other.chi_squared == pytest.approx(plain.chi_squared, rel=1e-8, abs=1e-9)
    assert plain.chi_squared >= 0
    assert plain.score.sum() == pytest.approx(0, abs=1e-9 * max(abs(plain.score).max(), 1))


@given(rows=rows)
def test_equal_strata_add_up(rows: list[tuple[int, bool, int]]) -> None:
    time, event, arm = (np.array(column) for column in zip(*rows, strict=True))
    once = log_rank_test(time, event, arm)
    twice = log_rank_test(
        np.tile(time, 2), np.tile(event, 2), np.tile(arm, 2), stratum=np.repeat([7, 3], time.size)
    )
    np.testing.assert_allclose(twice.score, 2 * once.score, atol=1e-12)
    np.testing.assert_allclose(twice.covariance, 2 * once.covariance, atol=1e-12)
