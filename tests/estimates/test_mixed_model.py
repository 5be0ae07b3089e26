"""The mixed model against lme4, lmerTest and hand calculation."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import TableError
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model

REFERENCE = Path(__file__).parent.parent / "reference"


def reference(case: str) -> dict[str, float]:
    lines = (REFERENCE / "mixed_model.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["name"]: float(row["value"]) for row in rows if row["case"] == case}


def data(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = list(csv.DictReader((REFERENCE / f"mixed_model_{name}.csv").read_text().splitlines()))
    return (
        np.array([float(row["y"]) for row in rows]),
        np.array([float(row["t"]) for row in rows]),
        np.array([row["group"] for row in rows]),
    )


def line(t: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones_like(t), t])


def broken_line(t: np.ndarray) -> np.ndarray:
    return np.column_stack([np.ones_like(t), np.minimum(t, 2.5), np.maximum(t - 2.5, 0)])


CASES = {
    "sleepstudy_slope": ("sleepstudy", line, line),
    "sleepstudy_intercept": ("sleepstudy", line, None),
    "unbalanced_intercept": ("unbalanced", broken_line, None),
    "unbalanced_slope": ("unbalanced", line, line),
    "boundary": ("boundary", line, None),
}


def fit_case(case: str) -> MixedModel:
    name, fixed, random = CASES[case]
    y, t, group = data(name)
    return linear_mixed_model(y, fixed(t), group, Z=None if random is None else random(t))


@pytest.mark.parametrize("case", CASES)
def test_agrees_with_lme4_and_lmertest(case: str) -> None:
    expected = reference(case)
    fit = fit_case(case)
    p = fit.coefficients.size
    assert len([name for name in expected if name.startswith("estimate_")]) == p
    for k in range(p):
        estimate, std_error, df = fit.contrast(np.eye(p)[k])
        assert estimate == pytest.approx(expected[f"estimate_{k + 1}"], rel=1e-6)
        assert std_error == pytest.approx(expected[f"se_{k + 1}"], rel=1e-6)
        assert df == pytest.approx(expected[f"df_{k + 1}"], rel=1e-6)
    q = fit.random_covariance.shape[0]
    for i in range(q):
        for j in range(i + 1):
            assert fit.random_covariance[i, j] == pytest.approx(
                expected[f"g_{i + 1}{j + 1}"], rel=1e-6, abs=1e-12
            )
    assert fit.residual_variance == pytest.approx(expected["residual_variance"], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    assert fit.is_boundary == (case == "boundary")


def test_public_case_sleepstudy() -> None:
    """Values as published with the case: lme4 1.1.31, lmerTest 3.1.3."""
    fit = fit_case("sleepstudy_slope")
    assert [fit.contrast(w)[0] for w in np.eye(2)] == pytest.approx([251.405104848486, 10.467285959596])
    assert [fit.contrast(w)[1] for w in np.eye(2)] == pytest.approx([6.82455577627583, 1.54578893242985])
    # Kenward-Roger gives exactly 17 in this balanced design, and so does an exact Satterthwaite
    assert [fit.contrast(w)[2] for w in np.eye(2)] == pytest.approx([17.0, 17.0], rel=1e-8)


def test_boundary_is_least_squares() -> None:
    """Without variance between groups everything is that of ordinary least squares, df = n - p."""
    y, t, _ = data("boundary")
    fit = fit_case("boundary")
    X = line(t)
    beta = np.linalg.solve(X.T @ X, X.T @ y)
    s2 = ((y - X @ beta) ** 2).sum() / (y.size - 2)
    assert fit.random_covariance[0, 0] == 0
    assert fit.coefficients == pytest.approx(beta, rel=1e-10)
    assert fit.covariance == pytest.approx(s2 * np.linalg.inv(X.T @ X), rel=1e-10)
    assert fit.contrast([0, 1])[2] == pytest.approx(7, rel=1e-10)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scale=st.sampled_from([1e-3, 1.0, 365.25]),
    offset=st.sampled_from([0.0, 1500.0]),
)
def test_order_and_units_do_not_matter(seed: int, scale: float, offset: float) -> None:
    y, t, group = data("unbalanced")
    before = linear_mixed_model(y, line(t), group, Z=line(t))
    order = np.random.default_rng(seed).permutation(y.size)
    after = linear_mixed_model(
        offset + y[order] * 10, line(t[order] * scale), group[order], Z=line(t[order] * scale)
    )
    for k, factor in ((0, 10.0), (1, 10.0 / scale)):
        a, b = before.contrast(np.eye(2)[k]), after.contrast(np.eye(2)[k])
        assert b[0] - (offset if k == 0 else 0) == pytest.approx(a[0] * factor, rel=1e-7)
        assert b[1] == pytest.approx(a[1] * factor, rel=1e-7)
        assert b[2] == pytest.approx(a[2], rel=1e-6)


def test_likelihood_is_the_dense_one() -> None:
    """The restricted likelihood written out with full matrices, at the fitted variances."""
    y, t, group = data("unbalanced")
    fit = fit_case("unbalanced_slope")
    X, Z = line(t), line(t)
    V = (Z @ fit.random_covariance @ Z.T) * (group[:, None] == group) + fit.residual_variance * np.eye(y.size)
    W = np.linalg.inv(V)
    xx = X.T @ W @ X
    beta = np.linalg.solve(xx, X.T @ W @ y)
    r = y - X @ beta
    value = -0.5 * (
        np.linalg.slogdet(V)[1] + np.linalg.slogdet(xx)[1] + r @ W @ r + (y.size - 2) * np.log(2 * np.pi)
    )
    assert fit.log_likelihood == pytest.approx(value, rel=1e-10)
    assert fit.coefficients == pytest.approx(beta, rel=1e-8)
    assert fit.covariance == pytest.approx(np.linalg.inv(xx), rel=1e-8)


def test_refusals() -> None:
    t = np.array([0.0, 1.0, 2.0, 0.0, 1.0, 2.0])
    group = ["a"] * 3 + ["b"] * 3
    y = np.array([1.0, 2.0, 4.0, 2.0, 2.0, 5.0])
    with pytest.raises(TableError, match="two or more groups"):
        linear_mixed_model(y, line(t), ["a"] * 6)
    with pytest.raises(TableError, match="two or more groups"):
        linear_mixed_model(y, line(t), list("abcdef"))
    with pytest.raises(TableError, match="cannot tell 3 coefficients apart"):
        linear_mixed_model(y, np.column_stack([line(t), 2 * t]), group)
    with pytest.raises(TableError, match="finite"):
        linear_mixed_model([*y[:5], np.nan], line(t), group)
    with pytest.raises(TableError, match="exactly on the fitted lines"):
        linear_mixed_model(3 - 0.2 * t + np.repeat([0.0, 1.0], 3), line(t), group)
