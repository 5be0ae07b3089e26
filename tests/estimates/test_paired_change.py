"""Paired ordinal change against coin, exactRankTests and enumeration; ties and zeros."""

from __future__ import annotations

from itertools import product

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm, rankdata
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates.paired_change import paired_change, signed_rank

CASES = list(reference.values("paired_change"))


def table(case: str) -> pl.DataFrame:
    d = reference.data(f"paired_{case}")
    return pl.DataFrame({"patient_id": d["group"], "before": d["before"], "after": d["after"]})


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_coin_and_exact_rank_tests(case: str) -> None:
    expected = reference.values("paired_change")[case]
    for zeros in ("pratt", "wilcoxon"):
        rows = paired_change(table(case), unit="unit", zeros=zeros)
        p = rows.filter(statistic="signed_rank_sum")["p_value"][0]
        assert p == pytest.approx(expected[f"p_{zeros}"], rel=1e-10)
    assert p == pytest.approx(expected["p_wilcox_exact"], rel=1e-10)
    mean = rows.filter(statistic="mean_change").row(0, named=True)
    assert mean["p_value"] == pytest.approx(expected["p_permutation"], rel=1e-10)
    if "lower" in expected:
        assert mean["lower"] == pytest.approx(expected["lower"], rel=1e-10, abs=1e-12)
        assert mean["upper"] == pytest.approx(expected["upper"], rel=1e-10, abs=1e-12)
    assert rows.filter(statistic="win_ratio")["p_value"][0] == pytest.approx(expected["p_sign"], rel=1e-10)


@pytest.mark.parametrize("zeros", ["pratt", "wilcoxon"])
def test_signed_rank_is_the_enumeration(zeros: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        change = rng.integers(-4, 5, 9) / 2
        kept = change if zeros == "pratt" else change[change != 0]
        ranks = rankdata(np.abs(kept))[kept != 0] if kept.size else np.zeros(0)
        observed = ranks[kept[kept != 0] > 0].sum()
        sums = np.array([np.dot(s, ranks) for s in product((0, 1), repeat=ranks.size)])
        centre = ranks.sum() / 2
        assert signed_rank(change, zeros=zeros) == pytest.approx(
            (observed, np.mean(np.abs(sums - centre) >= abs(observed - centre) - 1e-9)), rel=1e-12
        )


def test_interval_inverts_the_test() -> None:
    """A shift inside the interval has p > 0.05, one beyond a limit has not."""
    values = table("edss")
    row = paired_change(values, unit="EDSS").filter(statistic="mean_change").row(0, named=True)
    for shift, is_inside in (
        (row["lower"] - 0.01, False),
        (row["lower"] + 0.01, True),
        (row["upper"] + 0.01, False),
    ):
        shifted = values.with_columns(pl.col("after") - shift)
        p = paired_change(shifted, unit="EDSS").filter(statistic="mean_change")["p_value"][0]
        assert (p > 0.05) == is_inside


def test_win_odds_by_hand() -> None:
    """EDSS: 7 better, 3 worse, 10 the same of 20: share (7 + 5) / 20, its variance by hand."""
    rows = paired_change(table("edss"), unit="EDSS")
    assert rows.filter(statistic="proportion")["n_events"].to_list() == [7, 10, 3]
    share = (7 + 5) / 20
    variance = ((7 + 10 / 4) / 20 - share**2) / 20
    row = rows.filter(statistic="win_odds").row(0, named=True)
    assert row["estimate"] == pytest.approx(1.5)
    half = norm.ppf(0.975) * np.sqrt(variance) / (share * (1 - share))
    assert row["lower"] == pytest.approx(1.5 * np.exp(-half), rel=1e-12)
    ratio = rows.filter(statistic="win_ratio").row(0, named=True)
    assert ratio["estimate"] == pytest.approx(7 / 3)
    other = paired_change(table("edss"), unit="EDSS", better="higher").filter(statistic="win_ratio")
    assert other["estimate"][0] == pytest.approx(3 / 7)
    assert other["upper"][0] == pytest.approx(1 / ratio["lower"])


def test_degenerate_input_has_a_defined_answer() -> None:
    same = pl.DataFrame({"patient_id": list("abc"), "before": [1.0, 2, 3], "after": [1.0, 2, 3]})
    rows = paired_change(same, unit="x")
    assert rows.filter(statistic="signed_rank_sum")["p_value"][0] == 1.0
    assert rows.filter(statistic="mean_change").row(0, named=True)["p_value"] == 1.0
    assert rows.filter(statistic="win_odds")["estimate"][0] == 1.0
    assert "nobody changed" in rows.filter(statistic="win_ratio")["note"][0]
    alike = paired_change(same.with_columns(after=pl.col("before") - 1), unit="x")
    assert alike.filter(statistic="mean_change").row(0, named=True)["std_error"] is None
    one = paired_change(same.head(1).with_columns(after=pl.lit(0.5)), unit="x")
    assert "no interval: 1 changes" in one.filter(statistic="mean_change")["note"][0]
    assert "infinite" in one.filter(statistic="win_odds")["note"][0]
    assert one.filter(statistic="win_ratio")["upper"][0] is None
    assert one.filter(statistic="win_ratio")["lower"][0] == pytest.approx(0.025 / 0.975)
    none = paired_change(same.with_columns(after=pl.lit(None, pl.Float64)), unit="x")
    assert none["note"].to_list() == ["nobody has both values"]
    assert none["n_not_evaluable"].to_list() == [3]


def test_changes_without_a_common_step_are_drawn() -> None:
    rng = np.random.default_rng(4)
    values = pl.DataFrame(
        {"patient_id": [str(i) for i in range(14)], "before": 0.0, "after": rng.normal(0.5, 1, 14)}
    )
    row = paired_change(values, unit="x").filter(statistic="mean_change").row(0, named=True)
    change = values["after"].to_numpy()
    flips = np.array(list(product((-1, 1), repeat=14)))
    exact = np.mean(np.abs(flips @ change) >= abs(change.sum()) - 1e-9)
    assert row["p_value"] == pytest.approx(exact, abs=4 * row["mc_error"])
    assert "seed 1" in row["note"]
    again = paired_change(values.reverse(), unit="x").filter(statistic="mean_change").row(0, named=True)
    assert again == row


def test_refusals() -> None:
    values = table("edss")
    with pytest.raises(RequestError, match="Did you mean 'pratt'"):
        paired_change(values, unit="x", zeros="prat")
    with pytest.raises(TableError, match="one row per patient"):
        paired_change(pl.concat([values, values]), unit="x")
    with pytest.raises(TableError, match="finite"):
        paired_change(values.with_columns(after=pl.lit(np.nan)), unit="x")


def test_equal_changes_leave_the_mean_no_interval() -> None:
    """Eight changes of -1: p is 2 / 2^8, but nothing tells how far another eight would lie from -1."""
    values = pl.DataFrame({"patient_id": list("abcdefgh"), "before": [3.0] * 8, "after": [2.0] * 8})
    row = paired_change(values, unit="EDSS").filter(statistic="mean_change").row(0, named=True)
    assert (row["estimate"], row["std_error"], row["lower"], row["upper"]) == (-1.0, None, None, None)
    assert row["p_value"] == 2 / 2**8
    assert "all 8 changes are equal" in row["note"]
