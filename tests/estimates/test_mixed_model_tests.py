"""Kenward-Roger and Satterthwaite tests of mixed models against pbkrtest and lmerTest, on data that ship with R."""

from __future__ import annotations

import numpy as np
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates._linear_tests import Precision, contrast
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model


def fit_case(case: str) -> tuple[MixedModel, np.ndarray]:
    """Return the fit and the contrasts of its F test."""
    name, random = case.rsplit("_", 1)
    if name == "sleepstudy" and random == "missing":
        name, random = "sleepstudy_missing", "slope"
    if name in ("sleepstudy", "boundary"):
        d = reference.data(f"../mixed_model_{name}")
    else:
        d = reference.data(name)
    one, t = np.ones_like(d["t"]), d["t"]
    if name == "orthodont":
        X, tested = np.column_stack([one, d["arm"], t, d["arm"] * t]), [[0, 1, 0, 0], [0, 0, 0, 1]]
    elif name == "bodyweight":
        X = np.column_stack([one, d["diet2"], d["diet3"], t, d["diet2"] * t, d["diet3"] * t])
        tested = [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]]
    elif name == "cake":
        X, tested = np.column_stack([one, d["rb"], d["rc"], t]), [[0, 1, 0, 0], [0, 0, 1, 0]]
    else:
        X, tested = np.column_stack([one, t]), [[1, 0], [0, 1]]
    Z = None if random == "intercept" else np.column_stack([one, t])
    fit = linear_mixed_model(d["y"], X, d["group"], Z=Z, is_correlated=random != "uncorrelated")
    return fit, np.array(tested, dtype=float)


CASES = list(reference.values("mixed_models"))


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_lmertest_and_pbkrtest(case: str) -> None:
    expected = reference.values("mixed_models")[case]
    fit, tested = fit_case(case)
    p = fit.coefficients.size
    assert sum(name.startswith("kr_df_") for name in expected) == p
    for k, weights in enumerate(np.eye(p), start=1):
        estimate, std_error, df = fit.contrast(weights)
        _, kr_std_error, kr_df = fit.contrast(weights, df_method="kenward-roger")
        assert estimate == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
        assert std_error == pytest.approx(expected[f"se_{k}"], rel=1e-6)
        assert df == pytest.approx(expected[f"df_{k}"], rel=1e-6)
        assert kr_std_error == pytest.approx(expected[f"kr_se_{k}"], rel=1e-6)
        assert kr_df == pytest.approx(expected[f"kr_df_{k}"], rel=1e-6)
    assert fit.residual_variance == pytest.approx(expected["residual_variance"], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    if "f_kr" not in expected:
        assert case == "boundary_intercept"
        return
    for prefix, method in (("f_satterthwaite", "satterthwaite"), ("f_kr", "kenward-roger")):
        test = fit.f_test(tested, df_method=method)
        assert test.statistic == pytest.approx(expected[prefix], rel=1e-6)
        assert test.df_denominator == pytest.approx(expected[f"{prefix}_df"], rel=1e-6)
        assert test.p_value == pytest.approx(expected[f"{prefix}_p"], rel=1e-5)


def test_public_case_p09() -> None:
    """The case's Kenward-Roger numbers and variances, at its tolerance of 1e-4 (lme4 1.1.31, pbkrtest 0.5.2)."""
    fit, _ = fit_case("sleepstudy_slope")
    errors = [fit.contrast(w, df_method="kenward-roger")[1:] for w in np.eye(2)]
    assert [error for error, _ in errors] == pytest.approx([6.82455577627581, 1.54578893242985], rel=1e-4)
    assert [df for _, df in errors] == pytest.approx([16.9999999999996, 16.9999999999999], rel=1e-4)
    variances = [*np.diag(fit.random_covariance), fit.random_covariance[1, 0], fit.residual_variance]
    expected = [612.089748274669, 35.0716623442135, 9.60433547475486, 654.941040681969]
    assert variances == pytest.approx(expected, rel=1e-4)


def test_f_of_one_row_is_the_square_of_t() -> None:
    fit, _ = fit_case("bodyweight_slope")
    for method in ("satterthwaite", "kenward-roger"):
        estimate, std_error, df = fit.contrast(np.eye(6)[4], df_method=method)
        test = fit.f_test([np.eye(6)[4]], df_method=method)
        assert test.statistic == pytest.approx((estimate / std_error) ** 2, rel=1e-12)
        assert test.df_denominator == pytest.approx(df, rel=1e-9)


def test_full_likelihood_is_the_dense_one() -> None:
    d = reference.data("orthodont")
    X = np.column_stack([np.ones_like(d["t"]), d["t"]])
    fit = linear_mixed_model(d["y"], X, d["group"], Z=X, reml=False)
    V = (X @ fit.random_covariance @ X.T) * (d["group"][:, None] == d["group"])
    V += fit.residual_variance * np.eye(d["t"].size)
    r = d["y"] - X @ fit.coefficients
    dense = -0.5 * (np.linalg.slogdet(V)[1] + r @ np.linalg.solve(V, r) + r.size * np.log(2 * np.pi))
    assert fit.log_likelihood == pytest.approx(dense, rel=1e-12)
    # at the maximum: any other variances are less likely
    for factor in (0.9, 1.1):
        W = V + (factor - 1) * (X @ fit.random_covariance @ X.T) * (d["group"][:, None] == d["group"])
        b = np.linalg.solve(X.T @ np.linalg.solve(W, X), X.T @ np.linalg.solve(W, d["y"]))
        e = d["y"] - X @ b
        assert (
            -0.5 * (np.linalg.slogdet(W)[1] + e @ np.linalg.solve(W, e) + r.size * np.log(2 * np.pi)) < dense
        )


def test_refusals() -> None:
    fit, tested = fit_case("cake_intercept")
    with pytest.raises(RequestError, match="Did you mean 'kenward-roger'"):
        fit.contrast(np.eye(4)[0], df_method="kenward-rogers")
    with pytest.raises(TableError, match="4 weights"):
        fit.contrast([1, 0])
    with pytest.raises(TableError, match="independent rows"):
        fit.f_test([tested[0], 2 * tested[0]])
    d = reference.data("cake")
    full = linear_mixed_model(d["y"], np.ones((d["y"].size, 1)), d["group"], reml=False)
    with pytest.raises(RequestError, match="restricted"):
        full.contrast([1], df_method="kenward-roger")


def test_an_adjustment_that_leaves_no_variance_is_refused() -> None:
    """With very few patients the Kenward-Roger covariance need not be positive."""
    one = np.ones((1, 1))
    precision = Precision(covariance=-one, plain=one, gradient=np.ones((1, 1, 1)), parameter_covariance=one)
    with pytest.raises(TableError, match="too few patients"):
        contrast(np.ones(1), precision, [1])
