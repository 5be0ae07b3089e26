"""What is read from the answers: shares of the spread and turning points, worked by hand."""

import math

import polars as pl
import pytest
from tests.multiverses.toy import survival_at, toy_answers, toy_grid

from ahsct.definitions import Excluded
from ahsct.errors import RequestError
from ahsct.multiverses import count_crossing, one_each, share_spread, turning_points


def test_shares_of_two_by_two_by_hand() -> None:
    # z = 0 0 / 1 3: mean 1, variance 3/2; row means 0 and 2 (variance 1), column means 1/2 and 3/2 (1/4);
    # within columns 1/4 and 9/4 (mean 5/4), within rows 0 and 1 (mean 1/2)
    shares = share_spread(toy_answers([survival_at(z) for z in (0, 0, 1, 3)]), toy_grid())
    assert shares["main_share"].to_list() == pytest.approx([2 / 3, 1 / 6], rel=1e-10)
    assert shares["total_share"].to_list() == pytest.approx([5 / 6, 1 / 3], rel=1e-10)
    assert shares["lowest"].to_list() == pytest.approx([survival_at(2), survival_at(1.5)], rel=1e-10)
    assert shares["highest"].to_list() == pytest.approx([survival_at(0), survival_at(0.5)], rel=1e-10)
    assert shares["note"].null_count() == 2


def test_without_interaction_main_is_total_and_they_add_up_to_one() -> None:
    shares = share_spread(toy_answers([survival_at(z) for z in (-1, 0, 1, 2)]), toy_grid())
    assert shares["main_share"].to_list() == pytest.approx(shares["total_share"].to_list(), rel=1e-10)
    assert sum(shares["main_share"]) == pytest.approx(1, rel=1e-10)
    assert shares["main_share"].to_list() == pytest.approx([4 / 5, 1 / 5], rel=1e-10)


def test_an_estimate_of_one_or_zero_is_moved_by_half_an_event() -> None:
    # among 10: 0.95 and 0.05
    z_high, z_low = math.log(-math.log(0.95)), math.log(-math.log(0.05))
    moved = share_spread(toy_answers([1.0, 1.0, 0.0, 0.0]), toy_grid())
    assert moved["main_share"].to_list() == pytest.approx([1, 0])
    assert moved["highest"][0] == pytest.approx(survival_at(z_high), rel=1e-10)
    assert moved["lowest"][0] == pytest.approx(survival_at(z_low), rel=1e-10)


@pytest.mark.parametrize(
    ("estimates", "changes", "why"),
    [
        ([0.5, 0.5, 0.5, 0.5], {}, "all definitions give the same answer"),
        ([0.5, None, 0.6, 0.5], {}, "1 of 4 definitions give no estimate"),
        (
            [0.5, 0.4, 0.6, 0.5],
            {"excluded": (Excluded(choices={"confirmed": "w48", "lesions": "two"}, because="none"),)},
            "1 combinations are excluded: only a full grid can be divided",
        ),
    ],
)
def test_what_cannot_be_divided_says_why(estimates: list, changes: dict, why: str) -> None:
    shares = share_spread(toy_answers(estimates), toy_grid(**changes))
    assert shares["note"].unique().to_list() == [why]
    assert shares["main_share"].null_count() == 2


def test_a_single_change_that_crosses_hides_the_pairs_that_hold_it() -> None:
    # the base 0.6 (0.5 to 0.7): 48 weeks alone lies below, two lesions alone does not
    found = turning_points(toy_answers([0.6, 0.65, 0.4, 0.45]), toy_grid())
    assert found.select("n_changed", "changed", "side", "point").rows() == [
        (1, "Confirmed after: 48 weeks", "below", 3)
    ]


def test_a_pair_is_named_where_neither_alone_crosses() -> None:
    found = turning_points(toy_answers([0.6, 0.65, 0.55, 0.75]), toy_grid())
    assert found.select("n_changed", "changed", "side", "line").rows() == [
        (2, "Confirmed after: 48 weeks; Lesions: two", "above", "the interval of the base")
    ]


def test_a_threshold_counts_from_the_side_of_the_base() -> None:
    answers = toy_answers([0.6, 0.55, 0.45, 0.4])
    found = turning_points(answers, toy_grid(), threshold=0.5)
    assert found.select("point", "side", "line").rows() == [(3, "below", "50 %")]
    assert count_crossing(answers, toy_grid(), threshold=0.5).select("n_below", "n_above").row(0) == (2, 0)
    found = turning_points(answers, toy_grid(), threshold=0.7)
    assert found.is_empty()  # the base lies below 70 %, nothing above
    with pytest.raises(RequestError, match="between 0 and 1"):
        turning_points(answers, toy_grid(), threshold=60)


def test_without_a_base_answer_there_is_no_line() -> None:
    answers = toy_answers([None, 0.5, 0.5, 0.9])
    assert turning_points(answers, toy_grid()).is_empty()
    assert count_crossing(answers, toy_grid())["line"].to_list() == [None]


def test_the_exact_interval_stands_in_where_the_definitions_own_has_no_limits() -> None:
    own = toy_answers([1.0, 0.5, 0.5, 0.5]).with_columns(
        pl.when(pl.col("estimate") == 1).then(None).otherwise("lower").alias("lower"),
        pl.when(pl.col("estimate") == 1).then(None).otherwise("upper").alias("upper"),
    )
    exact = toy_answers([1.0, 0.5, 0.5, 0.5], half=0.3).with_columns(
        pl.lit("Clopper-Pearson").alias("method")
    )
    chosen = one_each(pl.concat([exact, own])).sort("point")
    assert chosen["method"].to_list() == ["Clopper-Pearson", *["Kaplan-Meier, log-log"] * 3]
