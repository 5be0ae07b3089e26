"""Mean slopes by arm: the same numbers as lme4's, as rows of results."""

from __future__ import annotations

import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates._linear_tests import t_interval, with_note
from ahsct.estimates.slopes import mean_slope


def orthodont() -> pl.DataFrame:
    d = reference.data("orthodont")
    arm = ["girls" if a else "boys" for a in d["arm"]]
    return pl.DataFrame({"patient_id": d["group"], "arm": arm, "years": d["t"], "number": d["y"]})


@pytest.mark.parametrize("random", ["slope", "intercept"])
def test_agrees_with_lme4_and_pbkrtest(random: str) -> None:
    """lmer(distance ~ Sex * age): coefficients 1 and 3 are the boys' line, 2 and 4 the differences."""
    expected = reference.values("mixed_models")[f"orthodont_{random}"]
    rows = mean_slope(orthodont(), unit="mm", random_effects=random, reference_arm="boys")
    assert rows.select("arm", "reference_arm", "term").rows() == [
        ("boys", None, "level_at_zero"),
        ("boys", None, "slope"),
        ("girls", None, "level_at_zero"),
        ("girls", None, "slope"),
        ("girls", "boys", "difference_level_at_zero"),
        ("girls", "boys", "difference_slope"),
    ]
    for place, k in ((0, 1), (1, 3), (4, 2), (5, 4)):
        row = rows.row(place, named=True)
        assert row["estimate"] == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
        assert row["std_error"] == pytest.approx(expected[f"kr_se_{k}"], rel=1e-6)
        assert row["df"] == pytest.approx(expected[f"kr_df_{k}"], rel=1e-6)
    assert rows["n"].to_list() == [16, 16, 11, 11, 27, 27]
    assert rows["unit"].to_list()[:2] == ["mm", "mm per year"]
    satterthwaite = mean_slope(orthodont(), unit="mm", random_effects=random, df_method="satterthwaite")
    assert satterthwaite.filter(arm="boys", term="slope")["df"][0] == pytest.approx(
        expected["df_3"], rel=1e-6
    )


def test_degenerate_input() -> None:
    one = pl.DataFrame({"patient_id": ["a"] * 3, "years": [0.0, 1, 2], "number": [1.0, 2, 2]})
    assert "two or more groups" in mean_slope(one, unit="x")["note"][0]
    one_visit_each = pl.DataFrame({"patient_id": list("abc"), "years": [0.0, 1, 2], "number": [1.0, 2, 2]})
    rows = mean_slope(one_visit_each, unit="x")
    assert rows["estimate"].null_count() == rows.height == 2
    assert "one of them with two or more rows" in rows["note"][0]
    assert mean_slope(one.clear(), unit="x").height == 0
    boundary = reference.data("../mixed_model_boundary")
    singular = pl.DataFrame(
        {"patient_id": boundary["group"], "years": boundary["t"], "number": boundary["y"]}
    )
    rows = mean_slope(singular, unit="x", random_effects="intercept")
    assert "singular fit" in rows["note"][0]
    assert rows.filter(term="slope")["df"][0] == pytest.approx(
        5, rel=1e-8
    )  # pbkrtest keeps the variance at 0
    rows = mean_slope(singular, unit="x", random_effects="intercept", df_method="satterthwaite")
    assert rows.filter(term="slope")["df"][0] == pytest.approx(7, rel=1e-8)  # least squares, n - p


def test_refusals() -> None:
    with pytest.raises(TableError, match="reference arm 'men'"):
        mean_slope(orthodont(), unit="mm", reference_arm="men")
    two_arms = orthodont().with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("girls")).otherwise("arm").alias("arm")
    )
    with pytest.raises(TableError, match="1 patients stand in more than one arm"):
        mean_slope(two_arms, unit="mm")
    with pytest.raises(RequestError, match="conf_level"):
        mean_slope(orthodont(), unit="mm", conf_level=95)


def test_less_than_one_degree_of_freedom_gives_no_interval() -> None:
    row = t_interval(1.0, 0.5, 0.2, 0.95)
    assert "lower" not in row
    assert "fewer than one degree of freedom" in with_note(row, "more")["note"]
    assert with_note(row, "more")["note"].endswith("; more")
