"""Synthesis against R (metafor, lme4, clubSandwich, integrate), by hand, and by its properties."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from ahsct.errors import RequestError, TableError
from ahsct.evidence.bayes import bayes_random_effects
from ahsct.evidence.beta_binomial import beta_binomial
from ahsct.evidence.effect_sizes import (
    back_to_proportion,
    effective_size,
    proportion_effects,
    rate_effects,
    ratio_effects,
    survival_effect,
)
from ahsct.evidence.glmm import binomial_normal, poisson_normal
from ahsct.evidence.heterogeneity import tau2_interval
from ahsct.evidence.influence import leave_one_out
from ahsct.evidence.random_effects import Fit, fit_random_effects, prediction_interval
from ahsct.evidence.regression import meta_regression, permutation_p_values
from ahsct.evidence.robust import robust_fit
from ahsct.evidence.small_study import egger_test, rank_test

REFERENCE = Path(__file__).parents[1] / "reference"
BCG = pl.read_csv(REFERENCE / "p10_meta.csv")
R_EFFECTS = pl.read_csv(REFERENCE / "meta_effects.csv", infer_schema_length=None)
R_NORMAL = pl.read_csv(REFERENCE / "meta_normal.csv", infer_schema_length=None)
R_INFLUENCE = pl.read_csv(REFERENCE / "meta_influence.csv", infer_schema_length=None)
R_COUNTS = pl.read_csv(REFERENCE / "meta_counts.csv")
R_BAYES = pl.read_csv(REFERENCE / "meta_bayes.csv")
DEATHS = ([1, 0, 3, 3, 8, 2, 1], [24, 24, 41, 210, 281, 35, 26])
COUNTS = {
    "deaths": DEATHS,
    "bcg_control": (BCG["cpos"].to_list(), (BCG["cpos"] + BCG["cneg"]).to_list()),
    "equal": ([2, 5, 3, 4], [20, 40, 30, 50]),
    "rare": ([0, 0, 1, 0, 0, 6, 0, 0], [24, 21, 507, 617, 174, 281, 14, 258]),
    "improved": ([8, 41, 80, 17], [23, 82, 149, 21]),
    "mixed": ([9, 18, 16, 3, 30], [14, 23, 22, 52, 50]),
}


def risk_ratios() -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d = (BCG[name].to_numpy().astype(float) for name in ("tpos", "tneg", "cpos", "cneg"))
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


SETS = {
    "bcg": (*risk_ratios(), BCG["ablat"].to_numpy().astype(float), [1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9]),
    "deaths": (*proportion_effects(*DEATHS), np.array([2016.0, 2017, 2010, 2021, 2017, 2011, 2003]), [1, 2, 3, 4, 4, 5, 5]),
    "equal": (np.array([0.30, 0.32, 0.28, 0.31, 0.29]), np.array([0.04, 0.09, 0.05, 0.02, 0.06]), np.array([1.0, 2, 3, 4, 6]), [1, 1, 2, 3, 4]),
    "five": (np.array([-2.66, -1.31, -0.69, -0.6, 0.4]), np.array([0.40, 0.36, 0.06, 0.065, 0.146]), np.array([1.0, 0, 0, 0, 1]), [1, 2, 2, 3, 4]),
}  # fmt: skip
METHODS = {"EE": "fixed", "DL": "DL", "PM": "PM", "REML": "REML", "ML": "ML"}
TESTS = {"z": "z", "knha": "hartung-knapp", "adhoc": "hartung-knapp-safe"}
CLOSED = ("EE", "DL")


def fitted(name: str, method: str, test: str, x: np.ndarray | None = None) -> Fit:
    y, v, _, _ = SETS[name]
    return fit_random_effects(y, v, x=x, tau2=METHODS[method], test=TESTS[test])


def numbers_of(fit: Fit, convention: str) -> dict[str, float]:
    found = {
        "mean": fit.mean, "se": fit.std_errors[0], "lower": fit.lower[0], "upper": fit.upper[0], "p": fit.p_values[0],
        "tau2": fit.tau2, "q": fit.q, "q_p": fit.q_p, "i2": fit.i2, "h2": fit.h2,
    }  # fmt: skip
    if fit.tau2_method != "fixed":
        found["pi_lower"], found["pi_upper"] = prediction_interval(fit, convention=convention)
    return found


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("method", METHODS)
def test_pools_agree_with_metafor(name: str, method: str) -> None:
    rows = R_NORMAL.filter((pl.col("set") == name) & (pl.col("tau2") == method))
    n = 0
    moderators = np.column_stack([np.ones(len(SETS[name][0])), SETS[name][2]])
    for test in rows["test"].unique():
        if test == "robust":
            continue
        ours = numbers_of(fitted(name, method, test), "normal" if test == "z" else "k-1")
        regression = fitted(name, method, test, moderators)
        for i in (0, 1):
            ours |= {
                f"reg_beta_{i + 1}": regression.coefficients[i],
                f"reg_se_{i + 1}": regression.std_errors[i],
                f"reg_pval_{i + 1}": regression.p_values[i],
            }
        ours["reg_tau2"] = regression.tau2
        for row in rows.filter(pl.col("test") == test).iter_rows(named=True):
            if row["what"] in ours:
                # p values of many standard deviations, and R's tau² at the edge (it halves its steps towards 0)
                tolerance = {"rel": 1e-10, "abs": 1e-13} if method in CLOSED else {"rel": 1e-6, "abs": 1e-10}
                assert ours[row["what"]] == pytest.approx(row["value"], **tolerance), row
                n += 1
    assert n == (17 if method == "EE" else 57)


@pytest.mark.parametrize("name", SETS)
def test_tau2_interval_small_study_tests_and_robust_errors_agree(name: str) -> None:
    y, v, x, cluster = SETS[name]
    r = dict(
        R_NORMAL.filter((pl.col("set") == name) & (pl.col("tau2") == "REML")).select("what", "value").rows()
    )
    fit = fitted(name, "REML", "z")
    assert tau2_interval(fit) == pytest.approx((r["qp_lower"], r["qp_upper"]), rel=1e-6, abs=1e-9)
    egger = egger_test(y, v)
    assert egger["estimate"][0] == pytest.approx(r["egger_slope"], rel=1e-6)
    assert egger["p_value"][0] == pytest.approx(r["egger_p"], rel=1e-6)
    rank = rank_test(y, v).row(0, named=True)
    assert (rank["estimate"], rank["p_value"]) == pytest.approx((r["kendall"], r["kendall_p"]), rel=1e-8)
    robust, _ = robust_fit(fit, cluster, variance="CR1")
    assert (robust.std_errors[0], robust.p_values[0]) == pytest.approx((r["cr1_se"], r["cr1_p"]), rel=1e-6)
    robust, df = robust_fit(fit, cluster)
    assert (robust.std_errors[0], df[0], robust.p_values[0]) == pytest.approx(
        (r["cr2_se"], r["cr2_df"], r["cr2_p"]), rel=1e-6
    )
    if "reg_cr2_se_1" in r:
        robust, df = robust_fit(fitted(name, "REML", "z", np.column_stack([np.ones(y.size), x])), cluster)
        for i in (0, 1):
            assert robust.std_errors[i] == pytest.approx(r[f"reg_cr2_se_{i + 1}"], rel=1e-6)
            assert df[i] == pytest.approx(r[f"reg_cr2_df_{i + 1}"], rel=1e-6)


@pytest.mark.parametrize("name", ["deaths", "equal", "five"])
def test_permutation_p_values_agree(name: str) -> None:
    y, v, x, _ = SETS[name]
    r = dict(
        R_NORMAL.filter((pl.col("set") == name) & (pl.col("tau2") == "DL")).select("what", "value").rows()
    )
    p, how = permutation_p_values(meta_regression(y, v, x, tau2="DL"))
    assert p == pytest.approx([r["perm_p_1"], r["perm_p_2"]], rel=1e-10)
    assert how.startswith("all ")


def test_random_permutations_keep_the_seed_and_the_observed_order() -> None:
    y, v, x, _ = SETS["bcg"]
    fit = meta_regression(y, v, x, tau2="DL")
    first, how = permutation_p_values(fit, n_permutations=200)
    assert how == "200 random permutations, seed 1"
    assert np.array_equal(first, permutation_p_values(fit, n_permutations=200)[0])
    assert first.min() >= 1 / 200
    with pytest.raises(RequestError, match="at least 20"):
        permutation_p_values(fit, n_permutations=3)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("test", ["z", "knha"])
def test_influence_agrees(name: str, test: str) -> None:
    ours = leave_one_out(fitted(name, "DL", test))
    theirs = R_INFLUENCE.filter((pl.col("set") == name) & (pl.col("test") == test))
    assert ours.height == theirs.height > 4
    for column in ours.columns:
        assert ours[column].to_list() == pytest.approx(theirs[column].to_list(), rel=1e-9, abs=1e-12), column


@pytest.mark.parametrize(
    ("measure", "scale"), [("PLO", "logit"), ("PAS", "arcsine"), ("PFT", "freeman-tukey")]
)
def test_effect_sizes_agree(measure: str, scale: str) -> None:
    r = R_EFFECTS.filter(pl.col("measure") == measure)
    y, v = proportion_effects(*DEATHS, scale=scale)
    assert y.tolist() == pytest.approx(r["y"].to_list(), rel=1e-12, abs=1e-15)
    assert v.tolist() == pytest.approx(r["v"].to_list(), rel=1e-12)
    pooled = fit_random_effects(y, v, tau2="DL", test="z").mean
    assert float(back_to_proportion(pooled, scale=scale, n=DEATHS[1])) == pytest.approx(
        float(r["pooled"][0]), rel=1e-10
    )
    rates = R_EFFECTS.filter(pl.col("measure") == "IRLN")
    y, v = rate_effects(*DEATHS)
    assert y.tolist() == pytest.approx(rates["y"].to_list(), rel=1e-12)
    assert v.tolist() == pytest.approx(rates["v"].to_list(), rel=1e-12)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(("family", "fit"), [("PLO", binomial_normal), ("IRLN", poisson_normal)])
def test_count_models_agree_with_rma_glmm(name: str, family: str, fit: object) -> None:
    r = dict(
        R_COUNTS.filter((pl.col("set") == name) & (pl.col("family") == family)).select("what", "value").rows()
    )
    if not r:
        assert (name, family) == ("bcg_control", "IRLN")
        return
    ours = fit(*COUNTS[name])  # type: ignore[operator]
    assert ours.mean == pytest.approx(r["mean"], rel=1e-6)
    assert ours.tau2 == pytest.approx(r["tau2"], rel=1e-6, abs=1e-9)
    assert ours.std_errors[0] == pytest.approx(r["se"], rel=1e-6)
    assert ours.std_errors[0] == pytest.approx(r["se_glmer"], rel=2e-4)
    assert ours.log_likelihood == pytest.approx(
        r["log_likelihood"], rel=1e-9
    )  # against integrate, not quadrature


def test_both_kinds_of_boundary_and_interior_are_in_the_count_sets() -> None:
    glmm = R_COUNTS.filter((pl.col("family") == "PLO") & (pl.col("what") == "tau2"))
    zero = glmm["value"] < 1e-9
    assert zero.sum() >= 2
    assert (~zero).sum() >= 3


def test_profile_interval_agrees() -> None:
    r = dict(
        R_COUNTS.filter(pl.col("set") == "deaths", pl.col("family") == "PLO").select("what", "value").rows()
    )
    ours = binomial_normal(*DEATHS, interval="profile")
    assert (ours.lower[0], ours.upper[0]) == pytest.approx((r["profile_lower"], r["profile_upper"]), abs=2e-6)


def test_no_event_anywhere_gives_a_bound_not_a_number() -> None:
    fit = binomial_normal([0, 0], [30, 40], interval="profile")
    assert fit.mean == -np.inf
    # without variance between studies 0 of 70 has the profile bound 1 - exp(-3.841/2/70); variance can only widen it
    assert expit(fit.upper[0]) >= (1 - np.exp(-3.841458821 / 2 / 70)) * (1 - 1e-6)
    assert fit.lower[0] == -np.inf
    assert binomial_normal([30, 40], [30, 40], interval="profile").lower[0] == pytest.approx(
        -fit.upper[0], abs=1e-6
    )


@pytest.mark.parametrize("name", ["rare", "improved", "mixed"])
def test_beta_binomial_agrees(name: str) -> None:
    r = dict(
        R_COUNTS.filter((pl.col("set") == name) & (pl.col("family") == "BB")).select("what", "value").rows()
    )
    ours = beta_binomial(*COUNTS[name])
    assert (ours.logit_mean, ours.phi, ours.std_error) == pytest.approx(
        (r["mean"], r["phi"], r["se"]), rel=1e-6
    )


def test_beta_binomial_without_overdispersion_is_binomial() -> None:
    ours = beta_binomial(*DEATHS)
    assert ours.phi == 0
    assert ours.mean == pytest.approx(18 / 641, rel=1e-12)
    assert ours.std_error == pytest.approx(binomial_normal(*DEATHS).std_errors[0], rel=1e-9)


@pytest.mark.parametrize("name", ["bcg", "five", "two"])
@pytest.mark.parametrize("prior", ["flat", "normal"])
def test_bayes_agrees_with_integrate(name: str, prior: str) -> None:
    y, v = SETS[name][:2] if name != "two" else (np.array([-0.486, -1.309]), np.array([0.206, 0.106]))
    posterior = bayes_random_effects(y, v, tau_scale=0.5, mean_prior=None if prior == "flat" else (0.0, 1.0))
    ours = {
        "mean": posterior.mean, "sd": posterior.sd, "tau_mean": posterior.tau_mean,
        **dict(zip(("lower", "upper"), posterior.interval(), strict=True)),
        **dict(zip(("new_lower", "new_upper"), posterior.interval(new_study=True), strict=True)),
    }  # fmt: skip
    r = R_BAYES.filter((pl.col("set") == name) & (pl.col("prior") == prior))
    assert r.height == 7
    for what, value in r.select("what", "value").iter_rows():
        assert ours[what] == pytest.approx(value, rel=1e-8), what


def test_public_case() -> None:
    # p10_meta of the public reference cases, to its tolerance
    y, v = risk_ratios()
    reml, knapp = (fit_random_effects(y, v, test=test) for test in ("z", "hartung-knapp"))
    assert (reml.mean, reml.std_errors[0], reml.tau2) == pytest.approx(
        (-0.71453234215814, 0.179781516105207, 0.313243258136486), rel=1e-4
    )
    assert (knapp.lower[0], knapp.upper[0]) == pytest.approx(
        (-1.10844371368555, -0.320620970630728), rel=1e-4
    )
    assert prediction_interval(reml, convention="normal") == pytest.approx(
        (-1.8666922179029, 0.437627533586617), rel=1e-4
    )
    # the case was made with R's default root tolerance, off by 1.9e-4 at the lower limit: with tol = 1e-14 metafor gives ours
    assert tau2_interval(reml) == pytest.approx((0.119695312816638, 1.11148626221544), rel=2e-4)


def test_prediction_by_k_minus_2_is_wider() -> None:
    fit = fitted("bcg", "REML", "knha")
    assert prediction_interval(fit, convention="k-2")[0] < prediction_interval(fit)[0]
    with pytest.raises(RequestError, match="at least 3 studies"):
        prediction_interval(fit_random_effects([0.0, 1.0], [1.0, 1.0]), convention="k-2")


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(0.05, 2)), min_size=3, max_size=8),
    st.floats(0.2, 5),
    st.floats(-2, 2),
)
def test_scale_and_shift_pass_through(
    studies: list[tuple[float, float]], factor: float, shift: float
) -> None:
    y, v = (np.array(column) for column in zip(*studies, strict=True))
    for method in ("DL", "PM", "REML", "ML"):
        fit = fit_random_effects(y, v, tau2=method)
        moved = fit_random_effects(factor * y + shift, factor**2 * v, tau2=method)
        assert moved.mean == pytest.approx(factor * fit.mean + shift, rel=1e-5, abs=1e-5)
        assert fit.lower[0] <= fit.mean <= fit.upper[0]
        unsafe = fit_random_effects(y, v, tau2=method, test="hartung-knapp")
        assert fit.std_errors[0] >= unsafe.std_errors[0] - 1e-12


@settings(max_examples=10)
@given(st.permutations(range(6)))
def test_order_of_studies_does_not_matter(order: list[int]) -> None:
    x, n = (np.array(column)[:6] for column in COUNTS["rare"])
    assert binomial_normal(x[order], n[order]).mean == pytest.approx(binomial_normal(x, n).mean, rel=1e-7)


def test_survival_effects_come_back_from_their_intervals() -> None:
    # 16 of 23 by each method; Greenwood's standard error of log(-log S) by hand
    s = 16 / 23
    se = np.sqrt(7 / (23 * 16)) / abs(np.log(s))
    plain, log = se * s * abs(np.log(s)), se * abs(np.log(s))
    z = 1.959963984540054
    for method, low, high in (
        ("log-log", s ** np.exp(z * se), s ** np.exp(-z * se)),
        ("log", s * np.exp(-z * log), s * np.exp(z * log)),
        ("plain", s - z * plain, s + z * plain),
    ):
        y, error = survival_effect(s, low, high, interval=method, conf_level=0.95)
        assert (y, error) == pytest.approx((np.log(-np.log(s)), se), rel=1e-10), method
        assert effective_size(s, error) == pytest.approx(23, rel=1e-9)
    with pytest.raises(RequestError, match="not stated"):
        survival_effect(0.5, 0.4, 0.6, interval="not stated", conf_level=0.95)
    with pytest.raises(RequestError, match="lie within"):
        survival_effect(0.5, 0.6, 0.7, interval="plain", conf_level=0.95)
    y, v = ratio_effects([0.07], [0.02], [0.24])
    assert (y[0], v[0] ** 0.5) == pytest.approx((np.log(0.07), np.log(12) / (2 * z)))


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(TableError, match="study 2"):
        fit_random_effects([1.0, 2.0], [1.0, 0.0])
    with pytest.raises(TableError, match="equally long"):
        fit_random_effects([1.0], [1.0, 2.0])
    with pytest.raises(TableError, match="3 of 2"):
        binomial_normal([1, 3], [2, 2])
    with pytest.raises(RequestError, match="Did you mean 'REML'"):
        fit_random_effects([1.0, 2.0], [1.0, 1.0], tau2="RELM")
    with pytest.raises(TableError, match="depend on each other"):
        meta_regression([1.0, 2.0, 3.0], [1.0] * 3, [2, 2, 2])
    with pytest.raises(RequestError, match="needs an event"):
        beta_binomial([0, 0], [10, 10])
    with pytest.raises(RequestError, match="mean_prior"):
        bayes_random_effects([1.0], [1.0], tau_scale=0.5)
