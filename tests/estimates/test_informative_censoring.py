"""Censoring that tells of the outcome: bounds by hand, weights against R, degenerate input, refusals."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import (
    censoring_bounds,
    censoring_weighted_survival,
    censoring_weights,
    kaplan_meier,
    milestone,
    restricted_mean,
)
from ahsct.estimates._weighted_survival import Estimation, weighted_product_limit
from ahsct.vocabulary import CURVE, RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(
    REFERENCE / "informative_censoring_data.csv",
    infer_schema_length=None,
    schema_overrides={"is_event": pl.String, "is_censored": pl.String, "x2": pl.Float64},
).with_columns(pl.col("is_event", "is_censored") == "TRUE")
R_ROWS = pl.read_csv(REFERENCE / "informative_censoring.csv", infer_schema_length=None)
SETS = ["pbcseq", "jasa", "mgus2"]
YEAR = 365.25


@pytest.mark.parametrize("name", SETS)
def test_agrees_with_r(name: str) -> None:
    data, expected = DATA.filter(pl.col("set") == name), R_ROWS.filter(pl.col("set") == name)
    weight = censoring_weights(data, covariates=["x1", "x2"])["weight"]
    assert weight.sum() == pytest.approx(expected["weights"][0], rel=1e-8)
    assert weight.max() == pytest.approx(expected["largest"][0], rel=1e-8)
    curve = censoring_weighted_survival(data, covariates=["x1", "x2"])
    assert curve.schema == CURVE
    for row in expected.iter_rows(named=True):
        at = milestone(curve, at_years=row["time"] / YEAR)
        assert at.height == 1  # no exact interval from counts that the weights did not make
        assert at["estimate"].item() == pytest.approx(row["estimate"], rel=1e-8)
        assert at["std_error"].item() == pytest.approx(row["estimated"], rel=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_error_with_known_weights_agrees_with_survfit(name: str) -> None:
    data, expected = DATA.filter(pl.col("set") == name), R_ROWS.filter(pl.col("set") == name)
    curve = censoring_weighted_survival(data, covariates=["x1", "x2"], largest_weight=1e9)
    assert "0 of" in curve["method"][0]
    for row in expected.iter_rows(named=True):
        at = milestone(curve, at_years=row["time"] / YEAR)
        assert at["std_error"].item() == pytest.approx(row["known"], rel=1e-8)


def test_weights_of_one_give_kaplan_meier() -> None:
    """Nobody censored for the reason: the curve is Kaplan-Meier's, its robust error is Greenwood's without censoring."""
    frame = pl.DataFrame({"patient_id": list("abcd"), "time_day": [200, 400, 600, 800], "is_event": True})
    periods = frame.rename({"time_day": "stop_day"}).with_columns(
        start_day=pl.lit(0), is_censored=pl.lit(False)
    )
    ours, plain = censoring_weighted_survival(periods, covariates=[]), kaplan_meier(frame)
    assert ours["estimate"].to_list() == pytest.approx(plain["estimate"].to_list(), rel=1e-12)
    assert ours["std_error"].to_list() == pytest.approx(plain["std_error"].to_list(), rel=1e-12, abs=1e-15)
    for column in ("n_at_risk", "n_events", "n_censored"):
        assert ours[column].to_list() == plain[column].to_list()


@pytest.mark.parametrize("entry", [0.0, 1 / 3])
@pytest.mark.parametrize("is_estimated", [False, True])
def test_split_rows_change_nothing(entry: float, is_estimated: bool) -> None:
    """One row per patient goes by running sums, two rows by the influences themselves."""
    rng = np.random.default_rng(3)
    stop, weight, is_event = rng.integers(2, 30, 40) * 1.0, rng.uniform(0.5, 3, 40), rng.random(40) < 0.6
    patient, ones = np.arange(40), np.ones(40, bool)
    slope, influence = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) / 40
    whole = weighted_product_limit(
        stop * entry, stop, is_event, weight, patient, ends=ones, n_patients=40,
        estimation=Estimation(slope, influence) if is_estimated else None,
    )  # fmt: skip
    split = weighted_product_limit(
        np.concatenate([stop * entry, stop / 2]),
        np.concatenate([stop / 2, stop]),
        np.concatenate([~ones, is_event]),
        np.tile(weight, 2),
        np.tile(patient, 2),
        ends=np.concatenate([~ones, ones]),
        n_patients=40,
        estimation=Estimation(np.tile(slope, (2, 1)), influence) if is_estimated else None,
    )
    for one, other in zip(whole[:-1], split[:-1], strict=True):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-12)
    columns = np.arange(whole.time.size)
    assert np.sqrt((whole.influence(columns) ** 2).sum(axis=0)) == pytest.approx(
        whole.std_error, rel=1e-9, abs=1e-12
    )


def test_bounds_by_hand() -> None:
    frame = pl.DataFrame(
        {
            "time_day": [100, 300, 500, 700, 2000],
            "is_event": [True, False, False, True, False],
            "censor_reason": [
                None,
                "censored at dmt_restart",
                "end of follow-up",
                None,
                "censored at dmt_restart",
            ],
        }
    )
    rows = censoring_bounds(frame, at_years=3)
    assert rows.schema == RESULTS
    plain = rows.filter(pl.col("method").str.starts_with("Kaplan"))
    assert plain["estimate"].to_list() == pytest.approx([4 / 5 / 2, 4 / 5 * 3 / 4 / 2, 4 / 5 * 2 / 3])
    assert plain["mark"].to_list() == [None, "assumed", "assumed"]
    assert all(note.endswith("2 of 5 censored for dmt_restart") for note in rows["note"])


def test_bounds_count_by_arm() -> None:
    frame = pl.DataFrame(
        {
            "arm": ["x", "x", "y"],
            "time_day": [100, 300, 500],
            "is_event": [True, False, False],
            "cause": ["relapse", None, None],
            "censor_reason": [None, "censored at dmt_restart", "end of follow-up"],
        }
    )
    rows = censoring_bounds(frame, at_years=1)
    notes = (
        rows.with_columns(pl.col("note").str.split("; ").list.last())
        .group_by("arm")
        .agg(pl.col("note").unique())
    )
    assert sorted(notes.rows()) == [
        ("x", ["1 of 2 censored for dmt_restart"]),
        ("y", ["0 of 1 censored for dmt_restart"]),
    ]


def test_bounds_without_such_patients_and_without_patients() -> None:
    frame = pl.DataFrame({"time_day": [100, 300], "is_event": [True, False], "censor_reason": [None, "end"]})
    rows = censoring_bounds(frame, at_years=0.5)
    assert rows.group_by("term").agg(pl.col("estimate").first())["estimate"].to_list() == [0.5] * 3
    assert censoring_bounds(frame.clear(), at_years=0.5).height == 0
    one = censoring_bounds(frame.head(1), at_years=0.5)
    assert set(one["estimate"]) == {0.0}
    with pytest.raises(TableError, match="censor_reason"):
        censoring_bounds(frame.drop("censor_reason"), at_years=1)


def test_restricted_mean_of_weighted_patients_is_refused() -> None:
    curve = censoring_weighted_survival(DATA.filter(pl.col("set") == "jasa"), covariates=["x1"])
    with pytest.raises(RequestError, match="needs a Kaplan-Meier curve; this one is"):
        restricted_mean(curve, horizon_years=0.1)


def test_degenerate_periods() -> None:
    one = pl.DataFrame(
        {"patient_id": ["a"], "start_day": [0], "stop_day": [90], "is_event": [False], "is_censored": [True]}
    )
    with pytest.raises(RequestError, match="nobody is left"):
        censoring_weights(one, covariates=[])
    quiet = one.with_columns(is_censored=pl.lit(False))
    assert censoring_weighted_survival(quiet, covariates=[])["estimate"].to_list() == [1.0, 1.0]
    with pytest.raises(TableError, match="at least one patient"):
        censoring_weights(one.clear(), covariates=[])
    separated = pl.concat([one, quiet.with_columns(patient_id=pl.lit("b"))]).with_columns(
        x=pl.Series([1.0, 0.0])
    )
    with pytest.raises(RequestError, match="separate"):
        censoring_weights(separated, covariates=["x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stop_day": [0, 180]}, "0 <= start_day < stop_day"),
        ({"start_day": [0, 100]}, "without a gap"),
        ({"is_event": [True, False]}, "last period"),
        ({"is_event": [False, True], "is_censored": [False, True]}, "not both"),
        ({"is_event": [False, None]}, "every column known"),
    ],
)
def test_refusals(changes: dict[str, list[object]], message: str) -> None:
    frame = pl.DataFrame(
        {
            "patient_id": ["a", "a"],
            "start_day": [0, 90],
            "stop_day": [90, 180],
            "is_event": [False, True],
            "is_censored": [False, False],
        }
        | changes
    )
    with pytest.raises(TableError, match=message):
        censoring_weights(frame, covariates=[])


def test_other_refusals() -> None:
    data = DATA.filter(pl.col("set") == "jasa")
    with pytest.raises(RequestError, match="largest_weight must be at least 1"):
        censoring_weighted_survival(data, covariates=["x1"], largest_weight=0.5)
    with pytest.raises(TableError, match="one curve; arm"):
        censoring_weights(data.with_columns(arm=pl.col("patient_id").cast(pl.String)), covariates=["x1"])
