"""MMRM against mmrm, nlme::gls and an independent plain-R computation of both kinds of degrees of freedom."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates.repeated_measures import RepeatedMeasures, repeated_measures, visit_means

KINDS = {"un": "unstructured", "us": "unstructured", "ar1": "ar1", "cs": "compound_symmetry"}
SETS = {
    "orthodont": "orthodont",
    "orthodont_gaps": "orthodont_gaps",
    "chick": "chick",
    "sleep": "sleep_visits",
    "orthodont_empty": "orthodont_empty",
}


def cell_columns(d: dict[str, np.ndarray]) -> np.ndarray:
    """Columns in R's order for factor(arm):factor(visit): arms run fastest."""
    arm = d.get("arm", np.zeros_like(d["visit"]))
    columns = [(arm == a) & (d["visit"] == v) for v in np.unique(d["visit"]) for a in np.unique(arm)]
    if "baseline" in d:
        columns += [d["baseline"] * (d["visit"] == v) for v in np.unique(d["visit"])]
    return np.column_stack([column for column in columns if column.any()]).astype(float)


def data(name: str) -> dict[str, np.ndarray]:
    d = reference.data(SETS[name])
    if "t" in d:
        d["visit"] = d["t"]
    return d


def fit_case(case: str) -> RepeatedMeasures:
    name, kind = case.rsplit("_", 1)
    d = data(name)
    order = np.random.default_rng(0).permutation(d["y"].size)  # rows may come in any order
    columns = cell_columns(d)[order]
    return repeated_measures(
        d["y"][order], columns, d["group"][order], d["visit"][order], covariance=KINDS[kind]
    )


@pytest.mark.parametrize("case", list(reference.values("repeated_measures")))
def test_agrees_with_gls_and_plain_r(case: str) -> None:
    expected = reference.values("repeated_measures")[case]
    fit = fit_case(case)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    assert fit.log_likelihood == pytest.approx(expected["gls_log_likelihood"], rel=1e-6)
    size = fit.visit_covariance.shape[0]
    for i in range(size):
        for j in range(i + 1):
            assert fit.visit_covariance[i, j] == pytest.approx(expected[f"v_{i + 1}_{j + 1}"], rel=1e-6)
    p = fit.coefficients.size
    assert sum(name.startswith("kr_df_") for name in expected) == p
    for k, weights in enumerate(np.eye(p), start=1):
        estimate, std_error, df = fit.contrast(weights, df_method="satterthwaite")
        _, kr_std_error, kr_df = fit.contrast(weights)
        assert estimate == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
        assert std_error == pytest.approx(expected[f"se_{k}"], rel=1e-6)
        assert df == pytest.approx(expected[f"df_{k}"], rel=1e-6)
        assert kr_std_error == pytest.approx(expected[f"kr_se_{k}"], rel=1e-6)
        assert kr_df == pytest.approx(expected[f"kr_df_{k}"], rel=1e-6)


def equal_cells(p: int) -> np.ndarray:
    """Contrasts: every coefficient equals the first."""
    return np.column_stack([-np.ones(p - 1), np.eye(p - 1)])


@pytest.mark.parametrize("case", list(reference.values("mmrm")))
def test_agrees_with_mmrm(case: str) -> None:
    expected = reference.values("mmrm")[case]
    fit = fit_case(case)
    assert fit.log_likelihood == pytest.approx(expected["log_likelihood"], rel=1e-10)
    size = fit.visit_covariance.shape[0]
    for i in range(size):
        for j in range(i + 1):
            assert fit.visit_covariance[i, j] == pytest.approx(expected[f"v_{i + 1}_{j + 1}"], rel=1e-6)
    p = fit.coefficients.size
    assert sum(name.startswith("kr_df_") for name in expected) == p
    for k, weights in enumerate(np.eye(p), start=1):
        estimate, std_error, df = fit.contrast(weights, df_method="satterthwaite")
        _, kr_std_error, kr_df = fit.contrast(weights, df_method="kenward-roger-observed")
        found = (estimate, std_error, df, kr_std_error, kr_df)
        names = ("estimate", "se", "df", "kr_se", "kr_df")
        assert found == pytest.approx([expected[f"{name}_{k}"] for name in names], rel=1e-6)
    for method, name in (("satterthwaite", "f"), ("kenward-roger-observed", "kr_f")):
        test = fit.f_test(equal_cells(p), df_method=method)
        assert test.statistic == pytest.approx(expected[f"{name}_statistic"], rel=1e-6)
        assert test.df_denominator == pytest.approx(expected[f"{name}_denominator"], rel=1e-6)


@pytest.mark.parametrize("kind", ["us", "cs"])
def test_expected_and_observed_information_agree_without_missing_values(kind: str) -> None:
    fit = fit_case(f"orthodont_{kind}")
    gaps = fit_case(f"orthodont_gaps_{kind}")
    for weights in np.eye(8):
        expected = fit.contrast(weights, df_method="kenward-roger")
        assert fit.contrast(weights, df_method="kenward-roger-observed") == pytest.approx(expected, rel=1e-9)
    ratios = [
        gaps.contrast(w, df_method="kenward-roger-observed")[2] / gaps.contrast(w)[2] for w in np.eye(8)
    ]
    assert 1e-4 < np.abs(np.array(ratios) - 1).max() < 0.1


def test_observed_information_is_named_in_the_method() -> None:
    rows = visit_means(table("orthodont_gaps"), unit="mm", df_method="kenward-roger-observed")
    assert rows["method"][0].endswith("Kenward-Roger (observed information) df)")
    r = reference.values("mmrm")["orthodont_gaps_us"]
    first = rows.filter(statistic="mean", arm="arm 0", term="visit 8").row(0, named=True)
    assert (first["std_error"], first["df"]) == pytest.approx((r["kr_se_1"], r["kr_df_1"]), rel=1e-6)


def test_mmrm_default_adjustment_depends_on_its_parameters() -> None:
    """Its vcov "Kenward-Roger" has second derivatives in log-Cholesky parameters; ours are V_kl (none)."""
    gaps = []
    for case, r in reference.values("mmrm").items():
        if case.endswith("_us"):
            gaps += [r[f"krfull_se_{name[6:]}"] / r[name] - 1 for name in r if name.startswith("kr_se_")]
    assert 0.05 < np.abs(gaps).max() < 0.1


def table(name: str) -> pl.DataFrame:
    d = data(name)
    frame = pl.DataFrame({"patient_id": d["group"], "visit": d["visit"], "number": d["y"]})
    return frame.with_columns(pl.Series("arm", [f"arm {a:g}" for a in d["arm"]])) if "arm" in d else frame


@pytest.mark.parametrize("kind", ["un", "ar1", "cs"])
def test_means_by_visit_are_the_coefficients(kind: str) -> None:
    expected = reference.values("repeated_measures")[f"orthodont_gaps_{kind}"]
    rows = visit_means(table("orthodont_gaps"), unit="mm", covariance=KINDS[kind])
    means = rows.filter(statistic="mean").sort("term", maintain_order=True)
    assert means["term"].unique(maintain_order=True).to_list() == [
        "visit 10",
        "visit 12",
        "visit 14",
        "visit 8",
    ]
    for row in means.iter_rows(named=True):
        k = 1 + int(row["arm"] == "arm 1") + 2 * [8, 10, 12, 14].index(int(row["term"].split()[1]))
        assert row["estimate"] == pytest.approx(expected[f"estimate_{k}"], rel=1e-6)
        assert row["std_error"] == pytest.approx(expected[f"kr_se_{k}"], rel=1e-6)
        assert row["df"] == pytest.approx(expected[f"kr_df_{k}"], rel=1e-6)
    difference = rows.filter(statistic="mean_difference", term="visit 14").row(0, named=True)
    assert difference["estimate"] == pytest.approx(expected["estimate_8"] - expected["estimate_7"], rel=1e-6)
    assert (difference["arm"], difference["reference_arm"]) == ("arm 1", "arm 0")
    assert difference["p_value"] is not None
    assert rows.filter(statistic="mean")["p_value"].null_count() == 8


def test_complete_data_of_two_visits_are_t_tests() -> None:
    """Balanced and unstructured: the difference at a visit is the two-sample t test with pooled variance."""
    rng = np.random.default_rng(2)
    number = rng.normal(size=(12, 2))
    values = pl.DataFrame(
        {
            "patient_id": np.repeat(np.arange(12), 2).astype(str),
            "arm": np.repeat(["a", "b"], 12),
            "visit": np.tile([1, 2], 12),
            "number": number.ravel(),
        }
    )
    for df_method in ("kenward-roger", "satterthwaite"):
        row = visit_means(values, unit="x", df_method=df_method).row(-1, named=True)
        a, b = number[:6, 1], number[6:, 1]
        pooled = (a.var(ddof=1) + b.var(ddof=1)) / 2
        assert row["estimate"] == pytest.approx(b.mean() - a.mean(), rel=1e-10)
        assert row["std_error"] == pytest.approx(np.sqrt(pooled * 2 / 6), rel=1e-8)
        assert row["df"] == pytest.approx(10, rel=1e-8)


def test_covariate_means_are_at_the_patients_mean() -> None:
    d = reference.data("chick")
    values = table("chick").with_columns(baseline=pl.Series(d["baseline"]) + 7.0)
    rows = visit_means(values, unit="100 g", covariates=["baseline"])
    expected = reference.values("repeated_measures")["chick_un"]
    first = rows.row(0, named=True)
    assert first["estimate"] == pytest.approx(expected["estimate_1"], rel=1e-6)
    assert "mean of baseline" in first["note"]


def test_empty_cells_and_degenerate_input() -> None:
    values = table("orthodont").filter((pl.col("visit") != 14) | (pl.col("arm") == "arm 0"))
    rows = visit_means(values, unit="mm")
    empty = rows.filter(arm="arm 1", term="visit 14")
    assert empty["estimate"].null_count() == empty.height == 2
    assert "no value at this visit in arm arm 1" in empty["note"][0]
    assert rows["estimate"].null_count() == 2
    one = values.filter(pl.col("patient_id") == "M01")
    assert visit_means(one, unit="mm")["note"][0].startswith("not estimated: repeated_measures cannot tell")
    two = values.filter(pl.col("patient_id").is_in(["M01", "M02", "M03"]))
    assert "becomes singular" in visit_means(two, unit="mm")["note"][0]
    one_visit_each = values.filter(
        pl.col("visit") == 8 + 2 * (pl.col("patient_id").str.slice(1).cast(int) % 2)
    )
    assert "nobody was at 8.0 and 10.0" in visit_means(one_visit_each, unit="mm")["note"][0]
    equal = values.with_columns(number=pl.lit(3.0))
    assert "exactly on the fitted means" in visit_means(equal, unit="mm")["note"][0]
    assert visit_means(values.clear(), unit="mm").height == 0


def test_refusals() -> None:
    values = table("orthodont")
    with pytest.raises(RequestError, match="Did you mean 'unstructured'"):
        visit_means(values, unit="mm", covariance="unstructred")
    d = data("orthodont")
    X = np.ones((8, 1))
    with pytest.raises(TableError, match="4 rows repeat a visit"):
        repeated_measures(np.arange(8.0), X, list("aabbccdd"), [1] * 8)
    with pytest.raises(TableError, match="finite"):
        repeated_measures(d["y"] * np.nan, np.ones((d["y"].size, 1)), d["group"], d["visit"])


def test_a_covariance_on_its_boundary_is_refused() -> None:
    """The likelihood of three sparse patients is largest where compound symmetry is singular."""
    values = pl.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c", "c", "c"],
            "visit": [0.0, 1, 2, 0, 1, 2],
            "number": [3.0, 0, 3, 0, 2, 3],
        }
    )
    rows = visit_means(values, unit="x", covariance="compound_symmetry")
    assert rows["estimate"].null_count() == 3
    assert "compound symmetry: it becomes singular" in rows["note"][0]
