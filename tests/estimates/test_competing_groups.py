"""Arms and covariates where causes compete: against cmprsk, by hand, degenerate input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from ahsct.errors import RequestError, TableError
from ahsct.estimates.cause_specific import cause_specific_hazards
from ahsct.estimates.fine_gray import fine_gray, subdistribution
from ahsct.estimates.gray_test import gray_test
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "competing_groups_data.csv", infer_schema_length=None)
R_ROWS = pl.read_csv(REFERENCE / "competing_groups.csv", infer_schema_length=None)
NAMES = {0: None, 1: "relapse", 2: "death"}


def rows(name: str) -> pl.DataFrame:
    return DATA.filter(pl.col("data_set") == name)


def table(data: pl.DataFrame) -> pl.DataFrame:
    return data.select(
        patient_id=pl.int_range(pl.len()).cast(pl.String),
        arm=pl.col("group").cast(pl.String),
        time_day="time",
        is_event=pl.col("cause") > 0,
        cause=pl.col("cause").replace_strict(NAMES, return_dtype=pl.String),
        x1="x1",
        x2="x2",
        stratum="stratum",
    )


def r(name: str, what: str, cause: int) -> np.ndarray:
    is_one = (pl.col("data_set") == name) & (pl.col("what") == what) & (pl.col("cause") == cause)
    found = R_ROWS.filter(is_one)["value"].to_numpy()
    assert found.size
    return found


@pytest.mark.parametrize("name", ["melanoma", "mgus2", "pbc", "tiny"])
@pytest.mark.parametrize(
    ("what", "options"),
    [("gray", {}), ("gray_rho1", {"rho": 1}), ("gray_stratified", {"strata": ["stratum"]})],
)
def test_gray_agrees_with_cuminc(name: str, what: str, options: dict[str, object]) -> None:
    if (name, what) == ("tiny", "gray_stratified"):
        return
    found = gray_test(table(rows(name)), **options)  # type: ignore[arg-type]
    assert found.schema == RESULTS
    for cause in (1, 2):
        row = found.row(by_predicate=pl.col("term") == NAMES[cause], named=True)
        assert row["estimate"] == pytest.approx(r(name, what, cause)[0], rel=1e-10)
        assert row["df"] == rows(name)["group"].n_unique() - 1
        assert row["p_value"] == pytest.approx(chi2.sf(row["estimate"], row["df"]))


@pytest.mark.parametrize("cause", [1, 2])
@pytest.mark.parametrize("name", ["melanoma", "mgus2", "pbc"])
def test_fine_gray_agrees_with_crr(name: str, cause: int) -> None:
    data = rows(name)
    kind = np.where(data["cause"] == 0, 0, np.where(data["cause"] == cause, 1, 2))
    fit = subdistribution(data["time"].to_numpy(), kind, data.select("x1", "x2").to_numpy())
    np.testing.assert_allclose(fit.coefficients, r(name, "crr_coef", cause), rtol=1e-8)
    np.testing.assert_allclose(fit.covariance.ravel(), r(name, "crr_var", cause), rtol=1e-8)
    assert fit.loglik == pytest.approx(r(name, "crr_loglik", cause)[0], rel=1e-10)


@pytest.mark.parametrize("name", ["melanoma", "mgus2", "pbc"])
def test_cause_specific_hazards_agree_with_coxph(name: str) -> None:
    found = cause_specific_hazards(
        table(rows(name)).drop("x1", "x2"),
        table(rows(name)).select("patient_id", "x1", "x2"),
        terms=["x1", "x2"],
    ).filter(pl.col("statistic") == "hazard_ratio")
    for cause in (1, 2):
        own = found.filter(pl.col("method").str.starts_with(f"{NAMES[cause]}: "))
        np.testing.assert_allclose(own["estimate"].log(), r(name, "cox_coef", cause), rtol=1e-6)
        np.testing.assert_allclose(own["std_error"] ** 2, r(name, "cox_var", cause)[[0, 3]], rtol=1e-6)
        assert own["n_events"][0] == (rows(name)["cause"] == cause).sum()


def test_fine_gray_by_hand() -> None:
    # risk sets 3 + 3r, 2 + 3r, 2 + 2r (those dead later are at risk all the while): 3 r^2 - 3 r - 4 = 0
    fit = subdistribution([1, 2, 3, 4, 5, 6], [1, 1, 1, 2, 2, 0], [[0], [1], [1], [0], [1], [0]])
    assert np.exp(fit.coefficients[0]) == pytest.approx((3 + np.sqrt(57)) / 6)


def test_one_cause_and_nobody_censored_gives_cox_with_the_robust_error() -> None:
    data = rows("pbc").filter(pl.col("cause") == 1)
    found = subdistribution(data["time"].to_numpy(), data["cause"].to_numpy(), data["x2"].to_numpy())
    x, time = data["x2"].to_numpy(), data["time"].to_numpy()
    beta = found.coefficients[0]
    risk = np.exp(beta * x)
    mean = np.array([(risk * x)[time >= t].sum() / risk[time >= t].sum() for t in time])
    assert (x - mean).sum() == pytest.approx(0, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(0, 1)), min_size=2, max_size=20))
def test_gray_has_a_number_or_a_reason(seen: list[tuple[int, int, int]]) -> None:
    data = pl.DataFrame(seen, schema=["time", "cause", "group"], orient="row").with_columns(
        x1=0.0, x2=0.0, stratum=0
    )
    for row in gray_test(table(data)).iter_rows(named=True):
        assert (row["estimate"] is None) == (row["note"] is not None)
        assert row["estimate"] is None or row["estimate"] >= 0


def test_the_order_of_patients_does_not_matter() -> None:
    data = table(rows("melanoma"))
    mixed = data.sample(fraction=1, shuffle=True, seed=4)
    for one in (gray_test, lambda frame: fine_gray(frame, cause="relapse", terms=["x1", "x2"])):
        np.testing.assert_allclose(one(mixed)["estimate"], one(data)["estimate"], rtol=1e-9)


def test_rows_and_notes() -> None:
    data = table(rows("melanoma"))
    row = fine_gray(data, cause="relapse").row(0, named=True)
    assert (row["arm"], row["reference_arm"]) == ("1", "0")
    assert row["lower"] == pytest.approx(row["estimate"] * np.exp(-1.959963984540054 * row["std_error"]))
    none_in_one_arm = data.filter((pl.col("arm") == "0") | (pl.col("cause") != "relapse").fill_null(True))
    row = fine_gray(none_in_one_arm, cause="relapse").row(0, named=True)
    assert row["estimate"] is None
    assert "no maximum" in row["note"]
    assert "one arm only" in gray_test(data.with_columns(arm=pl.lit("a")))["note"][0]
    with pytest.raises(RequestError, match="Did you mean 'relapse'"):
        fine_gray(data, cause="relaps")
    lost = data.with_columns(cause=pl.when(pl.col("cause") == "death").then(None).otherwise("cause"))
    with pytest.raises(TableError, match="cause_specific_hazards needs a cause"):
        cause_specific_hazards(lost)
    with pytest.raises(TableError, match="delayed entry"):
        gray_test(data.with_columns(entry_day=pl.lit(1.0)))
    with pytest.raises(TableError, match="depend on each other"):
        subdistribution([1, 2, 3], [1, 2, 0], [[1], [1], [1]])
    with pytest.raises(TableError, match="none of 2"):
        subdistribution([1, 2], [2, 0], [[0], [1]])
