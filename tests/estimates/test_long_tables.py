"""Tables of repeated values: a row that stands twice is refused, an arm or a visit without a value is named, not lost."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import broken_stick, imputed_difference, mean_slope, proportional_odds, visit_means

VALUES = pl.DataFrame(
    {
        "patient_id": ["a", "a", "b", "b", "c", "c", "d", "d"],
        "arm": ["x"] * 6 + ["y"] * 2,
        "years": [0.0, 1.0] * 4,
        "number": [0.0, 1.0, 0.0, 2.0, 1.0, 7.0, None, None],
    }
).with_columns(visit=pl.col("years"))

Estimate = Callable[..., pl.DataFrame]


@pytest.mark.parametrize("estimate", [mean_slope, broken_stick, visit_means, imputed_difference])
def test_two_rows_at_one_time_are_refused(estimate: Estimate) -> None:
    again = pl.concat([VALUES, VALUES[1:2].with_columns(number=pl.lit(1.5))])
    with pytest.raises(
        TableError, match=r"2 of 9 rows of `values` share theirs, the first is row 2\. Keep one"
    ):
        estimate(again, unit="percent")


@pytest.mark.parametrize("estimate", [mean_slope, broken_stick, visit_means])
def test_a_row_without_a_number_is_no_second_one(estimate: Estimate) -> None:
    again = pl.concat([VALUES, VALUES[1:2].with_columns(number=pl.lit(None, pl.Float64))])
    assert estimate(again, unit="percent")["note"].str.contains("3 rows without").all()


@pytest.mark.parametrize(("estimate", "n_rows"), [(mean_slope, 6), (visit_means, 6)])
def test_an_arm_without_values_is_named(estimate: Estimate, n_rows: int) -> None:
    settings = (
        {"random_effects": "intercept"} if estimate is mean_slope else {"covariance": "compound_symmetry"}
    )
    rows = estimate(VALUES, unit="percent", **settings)
    assert rows.height == n_rows
    empty = rows.filter(pl.col("arm") == "y")
    assert empty["estimate"].null_count() == empty.height == 4
    assert empty["note"].str.contains("not estimated: no .* in arm y").all()
    alone = estimate(VALUES.filter(pl.col("arm") == "x"), unit="percent", **settings)
    kept = ["estimate", "std_error", "df", "n"]
    assert rows.filter(pl.col("arm") == "x").select(kept).equals(alone.select(kept))


@pytest.mark.parametrize("estimate", [mean_slope, visit_means, broken_stick])
def test_no_value_at_all_has_a_note(estimate: Estimate) -> None:
    rows = estimate(VALUES.with_columns(number=pl.lit(None, pl.Float64)), unit="percent")
    assert rows.height > 0
    assert rows["note"].str.contains("not estimated").all()
    assert rows["note"].str.contains("8 rows without").all()


def test_no_visit_at_all_is_refused() -> None:
    with pytest.raises(TableError, match=r"`values\.visit` is missing in all 8 rows"):
        visit_means(VALUES.with_columns(visit=pl.lit(None, pl.Float64)), unit="percent")


def test_one_arm_is_no_comparison() -> None:
    with pytest.raises(RequestError, match="imputed_difference compares arms; found one only: x"):
        imputed_difference(VALUES.filter(pl.col("arm") == "x"), unit="percent")


def test_an_arm_without_a_category_is_named() -> None:
    one_each = VALUES.with_columns(
        patient_id=pl.col("patient_id") + pl.col("years").cast(pl.String)
    ).with_columns(
        arm=pl.Series(["p", "q", "p", "q", "p", "q", "y", "y"]),
        number=pl.Series([0, 1, 0, 2, 1, 0, None, None]),
    )
    rows = proportional_odds(one_each)
    assert rows["arm"].to_list() == ["q", "y", ""]
    assert rows["note"][1] == "not estimated: no category is known in arm y"
    without = proportional_odds(one_each.filter(pl.col("arm") != "y"))
    assert rows["estimate"][0] == without["estimate"][0]
    assert rows["df"][2] == without["df"][1] == 1
    against = proportional_odds(one_each, reference_arm="y")
    assert against["note"].to_list() == ["not estimated: no category is known in arm y"] * 3
