"""Weights, balance, MAIC and E-values beside the R packages made for them (pairs of MatchIt: test_matching)."""

import polars as pl
import pytest
from tests.estimates.comparison_data import (
    AT,
    COVARIATES,
    MAIC_MEANS,
    PACKAGES,
    REFERENCE,
    SETS,
    YEAR,
    package_values,
    patients,
)

from ahsct.estimates import (
    covariate_balance,
    e_value,
    effective_sample_size,
    maic_weights,
    propensity_weights,
    weighted_survival_difference,
)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("estimand", ["ate", "att", "overlap"])
def test_weights_agree_with_weightit_and_balance_with_cobalt(name: str, estimand: str) -> None:
    weights = propensity_weights(patients(name), covariates=COVARIATES, estimand=estimand)
    sizes = dict(effective_sample_size(weights).select("arm", "estimate").rows())
    for group, size in sizes.items():
        own = dict(weights.patients.filter(group=group).select("patient_id", "weight").rows())
        r = package_values(name, f"{estimand} weight", group)
        assert {patient: own[patient] for patient in r} == pytest.approx(r, rel=1e-10)
        assert len(r) > 5
        assert size == pytest.approx(package_values(name, f"{estimand} ess", group)[""], rel=1e-10)
    rows = covariate_balance(weights)
    for component, prefix in (("unweighted", ""), ("weighted", f"{estimand} ")):
        found = dict(rows.filter(component=component).select("term", "estimate").rows())
        # under overlap weights both are rounding around 0
        assert found == pytest.approx(package_values(name, f"{prefix}smd", component), rel=1e-10, abs=1e-12)
        table = package_values(name, f"{prefix}bal.tab", component)
        assert {term: found[term] for term in table} == pytest.approx(table, rel=1e-10, abs=1e-12)
        assert table


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("estimand", ["ate", "att", "overlap"])
def test_errors_with_estimated_weights_agree_with_m_estimation(name: str, estimand: str) -> None:
    """Of patients with the event only: nobody is censored, and survival is a proportion."""
    table = patients(name).filter("is_event")
    weights = propensity_weights(table, covariates=COVARIATES, estimand=estimand)
    for day in AT[name]:
        row = weighted_survival_difference(table, weights, at_years=day / YEAR).row(0, named=True)
        difference = package_values(name, f"{estimand} difference")[str(day)]
        assert row["estimate"] == pytest.approx(difference, rel=1e-10)
        error = package_values(name, f"{estimand} difference_error")[str(day)]
        assert row["std_error"] == pytest.approx(error, rel=1e-8)


@pytest.mark.parametrize("name", SETS)
def test_maic_agrees_with_maicplus(name: str) -> None:
    means = dict(zip(COVARIATES, MAIC_MEANS[name], strict=True))
    weights = maic_weights(patients(name).filter("is_treated"), means=means)
    assert effective_sample_size(weights)["estimate"].item() == pytest.approx(
        package_values(name, "maic ess")[""], rel=1e-6
    )
    share = weights.patients.select("patient_id", pl.col("weight") / pl.col("weight").sum())
    r = package_values(name, "maic share")
    assert {patient: x for patient, x in share.rows() if patient in r} == pytest.approx(r, rel=1e-6)
    assert len(r) > 5


@pytest.mark.parametrize("row", pl.read_csv(REFERENCE / "e_value.csv").to_dicts(), ids=str)
def test_e_values_agree_with_evalue(row: dict[str, object]) -> None:
    is_common = str(row["common"]).upper() == "TRUE"
    found = e_value(
        float(str(row["estimate"])), lower=float(str(row["lower"])), upper=float(str(row["upper"])),
        measure=str(row["measure"]), is_common=is_common,
    )  # fmt: skip
    r = package_values(str(row["name"]), "E common" if is_common else "E rare", str(row["measure"]))
    assert found["estimate"].to_list() == pytest.approx([r["estimate"], r["limit"]], rel=1e-10)


def test_every_number_of_the_packages_is_compared() -> None:
    kinds = {what.split()[-1] for what in PACKAGES["what"].unique()}
    assert kinds == {
        "weight",
        "ess",
        "smd",
        "bal.tab",
        "share",
        "common",
        "rare",
        "difference",
        "difference_error",
    }
