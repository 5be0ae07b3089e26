"""Cox's model from arrays: by hand, against R on six data sets, properties, separation and impossible input."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates.cox_profile import profile
from ahsct.estimates.cox_regression import CoxRegression, cox_regression

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "cox.csv", infer_schema_length=None)
SETS = ["veteran", "lung", "heart", "rats", "aml"]


def fit(
    data_set: str, *, stratified: bool = False, clustered: bool = False, **arguments: object
) -> CoxRegression:
    rows = DATA.filter(pl.col("data_set") == data_set)
    entry = rows["entry"].to_numpy().astype(float)
    return cox_regression(
        rows["time"],
        rows["event"],
        rows.select("x1", "x2", "x3").to_numpy(),
        entry=np.where(entry > 0, entry, -np.inf),
        stratum=rows["stratum"].cast(pl.Int64).to_numpy() if stratified else None,
        cluster=rows["id"].to_numpy() if clustered else None,
        **arguments,  # type: ignore[arg-type]
    )


def expected(data_set: str, model: str, quantity: str) -> np.ndarray:
    found = R.filter(
        (pl.col("data_set") == data_set) & (pl.col("model") == model) & (pl.col("quantity") == quantity)
    )
    assert found.height, (data_set, model, quantity)
    return found["value"].cast(pl.Float64).to_numpy()


@pytest.mark.parametrize("ties", ["efron", "breslow", "exact"])
@pytest.mark.parametrize("data_set", SETS)
def test_agrees_with_coxph(data_set: str, ties: str) -> None:
    ours = fit(data_set, ties=ties)
    for quantity, value in (
        ("coefficient", ours.coefficients),
        ("std_error", np.sqrt(np.diag(ours.covariance))),
        ("loglik", [ours.null.value, ours.likelihood.value]),
        ("score_test", [ours.null.score @ np.linalg.solve(ours.null.information, ours.null.score)]),
    ):
        np.testing.assert_allclose(value, expected(data_set, ties, quantity), rtol=1e-8, err_msg=quantity)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data_set", SETS)
def test_robust_errors_agree_with_coxph(data_set: str, ties: str) -> None:
    ours = fit(data_set, clustered=True, ties=ties)
    np.testing.assert_allclose(
        np.sqrt(np.diag(ours.variance)), expected(data_set, ties, "robust_std_error"), rtol=1e-8
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data_set", ["veteran", "lung", "heart", "rats"])
def test_strata_agree_with_coxph(data_set: str, ties: str) -> None:
    ours = fit(data_set, stratified=True, ties=ties)
    np.testing.assert_allclose(
        ours.coefficients, expected(data_set, ties, "stratified_coefficient"), rtol=1e-7
    )
    np.testing.assert_allclose(
        np.sqrt(np.diag(ours.covariance)), expected(data_set, ties, "stratified_std_error"), rtol=1e-8
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("data_set", ["aml", "ovarian_empty_arm", "veteran", "heart"])
def test_firth_agrees_with_the_penalised_likelihood_in_r(data_set: str, ties: str) -> None:
    ours = fit(data_set, ties=ties, firth=True)
    model = f"firth_{ties}"
    # R's maximum by differences: good to about 1e-8 standard errors
    scale = np.sqrt(np.diag(ours.covariance))
    differences = (ours.coefficients - expected(data_set, model, "coefficient")) / scale
    np.testing.assert_allclose(differences, 0, atol=1e-7)
    np.testing.assert_allclose(scale, expected(data_set, model, "std_error"), rtol=1e-6)
    np.testing.assert_allclose(
        [ours.null.value, ours.likelihood.value], expected(data_set, model, "loglik"), rtol=1e-10
    )
    if data_set in ("aml", "ovarian_empty_arm"):
        found = profile(ours, 0)
        limits = [expected(data_set, model, f"profile_{name}")[0] for name in ("lower", "upper", "p")]
        np.testing.assert_allclose(found, limits, rtol=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow", "exact"])
@pytest.mark.parametrize("data_set", SETS)
def test_profile_limits_agree_with_refitted_models(data_set: str, ties: str) -> None:
    ours = fit(data_set, ties=ties)
    for k in range(3 if ties == "efron" and data_set != "lung" else 1):
        found = profile(ours, k)
        limits = [expected(data_set, ties, f"profile_{name}")[k] for name in ("lower", "upper")]
        np.testing.assert_allclose(found[:2], limits, rtol=1e-6)


def test_ties_by_hand() -> None:
    # two events together among relative hazards r, r, 1, 1 (r = exp(b)): x = 1 and x = 0 fall
    time, event, x = [1, 1, 2, 2], [1, 1, 0, 0], [[1], [0], [1], [0]]
    b = 0.7
    r = np.exp(b)
    by_ties = {
        "breslow": b - 2 * np.log(2 * r + 2),
        "efron": b - np.log(2 * r + 2) - np.log(1.5 * r + 1.5),
        "exact": b - np.log(r * r + 4 * r + 1),
    }
    for ties, value in by_ties.items():
        found = cox_regression(time, event, x, ties=ties)
        at = np.array([b]) * found.scale
        # the covariates are centred: x - 1/2 takes b / 2 from each event and from each relative hazard
        assert found.likelihood_at(at).value == pytest.approx(value, rel=1e-12), ties


def test_rows_of_one_patient_are_the_patient() -> None:
    rows = DATA.filter(pl.col("data_set") == "veteran")
    time = np.repeat(rows["time"].to_numpy().astype(float), 2)
    entry = np.full(time.size, -np.inf)
    entry[1::2] = time[0::2] / 2
    time[0::2] /= 2
    event = np.repeat(rows["event"].to_numpy(), 2)
    event[0::2] = 0
    x = np.repeat(rows.select("x1", "x2").to_numpy(), 2, axis=0)
    cluster = np.repeat(np.arange(rows.height), 2)
    cut = cox_regression(time, event, x, entry=entry, cluster=cluster)
    whole = cox_regression(rows["time"], rows["event"], x[::2], cluster=np.arange(rows.height))
    np.testing.assert_allclose(cut.coefficients, whole.coefficients, rtol=1e-9)
    np.testing.assert_allclose(cut.variance, whole.variance, rtol=1e-9)


@given(seed=st.integers(0, 2**31), unit=st.sampled_from([1e-3, 1 / 365.25, 40.0]))
@settings(max_examples=20)
def test_order_unit_and_shift_do_not_matter(seed: int, unit: float) -> None:
    rows = DATA.filter(pl.col("data_set") == "aml")
    index = np.random.default_rng(seed).permutation(rows.height)
    x = rows.select("x1", "x2").to_numpy().astype(float)
    time, event = rows["time"].to_numpy().astype(float), rows["event"].to_numpy()
    for firth in (False, True):
        plain = cox_regression(time, event, x, firth=firth)
        other = cox_regression(time[index] * unit, event[index], x[index] * [1, 100] + [5, -3], firth=firth)
        np.testing.assert_allclose(other.coefficients * [1, 100], plain.coefficients, rtol=1e-6)
        np.testing.assert_allclose(
            other.likelihood.value - (np.log(100) if firth else 0), plain.likelihood.value, rtol=1e-9
        )


@pytest.mark.parametrize("ties", ["efron", "breslow", "exact"])
def test_an_arm_without_events_diverges_and_says_so(ties: str) -> None:
    found = fit("ovarian_empty_arm", ties=ties)
    assert found.is_diverging.tolist() == [True, False, False]
    assert found.coefficients[0] < 0
    assert np.isnan(found.covariance[0]).all()
    # the others are those of the model without that arm's patients after it can no longer have an event
    assert np.isfinite(found.covariance[1:, 1:]).all()
    low, high, p = profile(found, 0)
    assert low is None
    assert high is not None
    assert 0 < p < 1
    assert np.isfinite(fit("ovarian_empty_arm", ties="efron", firth=True).covariance).all()


def test_events_in_order_of_the_covariate_are_separated() -> None:
    found = cox_regression([1, 2, 3, 4], [1, 1, 1, 1], [[4], [3], [2], [1]])
    assert found.is_diverging.all()
    assert found.likelihood.value == pytest.approx(0, abs=1e-5)
    low, high, _ = profile(found, 0)
    assert low is not None
    assert high is None


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 2], [1, 3], [1, 4], [1, 6]], "Covariate 1 is the same for all at risk"),
        ([[1, 2], [0, 1], [1, 2], [0, 1]], "Covariate 2 is a combination"),
    ],
)
def test_a_singular_design_is_refused(x: list[list[float]], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        cox_regression([1, 2, 3, 4], [1, 1, 1, 0], x)


def test_degenerate_input_is_refused_by_name() -> None:
    with pytest.raises(TableError, match="No event in 2 rows"):
        cox_regression([1, 2], [0, 0], [[1], [0]])
    with pytest.raises(RequestError, match="the same for all at risk"):
        cox_regression([5], [1], [[3]])
    with pytest.raises(TableError, match=r"1 of 2 do not, the first is row 2 \(entry 4, time 2\)"):
        cox_regression([1, 2], [1, 1], [[1], [0]], entry=[0, 4])
    with pytest.raises(TableError, match="1 of 2 rows are not, the first is row 2"):
        cox_regression([1, 2], [1, 1], [[1], [np.nan]])
    with pytest.raises(TableError, match=r"first is row 1 \(inf\)"):
        cox_regression([np.inf, 2], [1, 1], [[1], [2]])
    with pytest.raises(RequestError, match="Did you mean 'efron'"):
        cox_regression([1, 2], [1, 1], [[1], [0]], ties="effron")
    with pytest.raises(RequestError, match="use ties='efron'"):
        cox_regression([1, 2], [1, 1], [[1], [0]], ties="exact", firth=True)


def test_all_events_at_one_time() -> None:
    # Breslow: d of the n at risk; the exact likelihood knows only one set of all patients: no information
    x = [[1], [0], [1], [0], [1]]
    assert cox_regression([3] * 5, [1, 0, 1, 1, 0], x).coefficients.shape == (1,)
    with pytest.raises(RequestError, match="the same for all at risk"):
        cox_regression([3] * 5, [1] * 5, x, ties="exact")


def test_too_many_exact_ties_are_refused() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(RequestError, match="too many for exact ties"):
        cox_regression([1] * 1500, rng.integers(0, 2, 1500), rng.normal(size=(1500, 1)), ties="exact")


def test_times_that_tie_up_to_rounding_are_one_time() -> None:
    x = [[0], [1], [1], [0], [1]]
    plain = cox_regression([0.3, 0.3, 0.7, 0.7, 1.0], [1, 1, 1, 1, 0], x)
    noisy = cox_regression([0.1 + 0.2, 0.3, 0.7, 0.8 - 0.1, 1.0], [1, 1, 1, 1, 0], x)
    assert plain.coefficients.tolist() == noisy.coefficients.tolist()


@pytest.mark.parametrize(
    ("time", "event", "x"),
    [
        ([2, 3, 2], [1, 1, 1], [[1, 20], [1, 21], [0, 22]]),
        ([1, 1, 2, 1], [1, 0, 1, 1], [[1, 21], [1, 21], [0, 22], [1, 20]]),
        ([0, 3, 1, 0], [1, 1, 0, 1], [[1, 22], [0, 21], [1, 21], [0, 22]]),
    ],
)
def test_directions_that_vanish_at_their_own_pace_all_diverge(
    time: list[int], event: list[int], x: list[list[int]]
) -> None:
    found = cox_regression(time, event, x, ties="exact")
    assert found.is_diverging.all()
    assert np.isnan(found.covariance).all()
    for k in range(2):
        assert None in profile(found, k)[:2]
