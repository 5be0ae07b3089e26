"""Write the validation tables of the longitudinal, ordinal, hierarchical and missing-data pages: ours, R, difference.

Reads the values that the scripts in tests/reference/longitudinal made with R, computes the same with ahsct, and puts
the table between the marks of each page. Run from the root of the repository:

    .venv/bin/python -m docs.statistics.validation_longitudinal
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from tests import longitudinal_reference as reference
from tests.estimates import (
    test_broken_stick,
    test_event_imputation,
    test_hierarchical,
    test_imputation,
    test_mixed_model_tests,
    test_paired_change,
    test_proportional_odds,
    test_repeated_measures,
)

from ahsct.estimates.broken_stick import broken_stick
from ahsct.estimates.event_imputation import imputed_milestone
from ahsct.estimates.hierarchical import win_statistics
from ahsct.estimates.imputation import ASSUMPTIONS, imputed_difference
from ahsct.estimates.paired_change import paired_change
from ahsct.estimates.proportional_odds import cumulative_logit
from ahsct.estimates.rubin import pool
from ahsct.estimates.shift_table import shift_table

PAGES = Path(__file__).parent
_DESIGN = re.compile(
    "_(slope|uncorrelated|intercept|known|estimated|un|us|ar1|cs|factor|pieces|strata|age|bmi)$"
)
BEGIN, END = "<!-- validation: begin -->", "<!-- validation: end -->"


class Pair(NamedTuple):
    """One number, ours and R's; `required` is the tolerance: relative, or absolute where `mc` is true."""

    quantity: str
    data: str
    ours: float
    r: float
    required: float
    mc: bool = False

    @property
    def difference(self) -> float:
        """Relative difference; absolute for numbers below 1e-6 and for simulated ones."""
        gap = abs(self.ours - self.r)
        return gap if self.mc or abs(self.r) < 1e-6 else gap / abs(self.r)


def mixed() -> Iterator[Pair]:
    """Mixed models, broken sticks and repeated measures."""
    for case, r in reference.values("mixed_models").items():
        fit, tested = test_mixed_model_tests.fit_case(case)
        yield from _coefficients(fit, r, case, "mixed model")
        for prefix, method in (("f_satterthwaite", "satterthwaite"), ("f_kr", "kenward-roger")):
            if prefix in r:
                test = fit.f_test(tested, df_method=method)
                yield Pair(f"mixed model: F, {method}", case, test.statistic, r[prefix], 1e-6)
                yield Pair(
                    f"mixed model: df of F, {method}", case, test.df_denominator, r[f"{prefix}_df"], 1e-6
                )
    for case, r in reference.values("broken_stick").items():
        name, random, at = test_broken_stick.CASES[case]
        rows = broken_stick(test_broken_stick.table(name), unit="", break_years=at, random_effects=random)
        for k in range(3):
            for column, short in (("estimate", "estimate"), ("std_error", "se"), ("df", "df")):
                yield Pair(
                    f"broken stick: slopes, {column}", case, rows[column][k], r[f"{short}_{k + 1}"], 1e-6
                )
        if at is None:
            yield Pair("broken stick: break", case, rows["estimate"][3], r["break"], 1e-6)
            for end in ("lower", "upper"):
                if end in r:
                    yield Pair("broken stick: profile limits of the break", case, rows[end][3], r[end], 1e-6)
    for case, r in reference.values("segmented").items():
        if case == "bodyweight":  # there segmented stops at a smaller maximum (tests)
            continue
        name = test_broken_stick.SEGMENTED[case]
        at = test_broken_stick.rows_of(name, "intercept", None)["estimate"][3]
        full = test_broken_stick.full_likelihood_fit(name, at)
        ours = {
            "break": at,
            "before": full.coefficients[1],
            "change": full.coefficients[2],
            "log_likelihood": full.log_likelihood,
        }
        for quantity, number in ours.items():
            what = "break" if quantity == "break" else "slopes and log-likelihood, full likelihood"
            yield Pair(f"broken stick: {what} (segmented)", case, float(number), r[quantity], 1e-6)
    for case, r in reference.values("repeated_measures").items():
        yield from _coefficients(test_repeated_measures.fit_case(case), r, case, "MMRM (gls, plain R)")
    for case, r in reference.values("mmrm").items():
        yield from _mmrm(case, r)


def _mmrm(case: str, r: dict[str, float]) -> Iterator[Pair]:
    fit = test_repeated_measures.fit_case(case)
    observed = "kenward-roger-observed"
    yield from _coefficients(fit, r, case, "MMRM (mmrm)", kenward_roger=observed)
    size = fit.visit_covariance.shape[0]
    for i, j in zip(*np.tril_indices(size), strict=True):
        ours = float(fit.visit_covariance[i, j])
        yield Pair("MMRM (mmrm): covariance of visits", case, ours, r[f"v_{i + 1}_{j + 1}"], 1e-6)
    contrasts = test_repeated_measures.equal_cells(fit.coefficients.size)
    for method, prefix, name in (
        ("satterthwaite", "f", "Satterthwaite"),
        (observed, "kr_f", "Kenward-Roger"),
    ):
        test = fit.f_test(contrasts, df_method=method)
        yield Pair(f"MMRM (mmrm): F, {name}", case, test.statistic, r[f"{prefix}_statistic"], 1e-6)
        yield Pair(
            f"MMRM (mmrm): df of F, {name}", case, test.df_denominator, r[f"{prefix}_denominator"], 1e-6
        )


def _coefficients(
    fit: Any, r: dict[str, float], case: str, model: str, *, kenward_roger: str = "kenward-roger"
) -> Iterator[Pair]:
    yield Pair(f"{model}: restricted log-likelihood", case, fit.log_likelihood, r["log_likelihood"], 1e-10)
    for k, weights in enumerate(np.eye(fit.coefficients.size), start=1):
        estimate, std_error, df = fit.contrast(weights, df_method="satterthwaite")
        _, kr_error, kr_df = fit.contrast(weights, df_method=kenward_roger)
        for name, ours, short in (
            ("coefficients", estimate, "estimate"),
            ("standard errors", std_error, "se"),
            ("Satterthwaite df", df, "df"),
            ("Kenward-Roger standard errors", kr_error, "kr_se"),
            ("Kenward-Roger df", kr_df, "kr_df"),
        ):
            yield Pair(f"{model}: {name}", case, ours, r[f"{short}_{k}"], 1e-6)


def ordinal() -> Iterator[Pair]:
    """Paired change, proportional odds, margins of shift tables."""
    for case, r in reference.values("paired_change").items():
        for zeros in ("pratt", "wilcoxon"):
            rows = paired_change(test_paired_change.table(case), unit="", zeros=zeros)
            p = rows.filter(statistic="signed_rank_sum")["p_value"][0]
            yield Pair(f"signed rank, {zeros}: exact p", case, p, r[f"p_{zeros}"], 1e-10)
        mean = rows.filter(statistic="mean_change").row(0, named=True)
        yield Pair("permutation test of the mean: exact p", case, mean["p_value"], r["p_permutation"], 1e-10)
        for end in ("lower", "upper"):
            if end in r:
                yield Pair("its inversion (limits)", case, mean[end], r[end], 1e-10)
        sign = rows.filter(statistic="win_ratio")["p_value"][0]
        yield Pair("sign test: exact p", case, sign, r["p_sign"], 1e-10)
    for case, terms in test_proportional_odds.TERMS.items():
        r, d = reference.values("proportional_odds")[case], reference.data(case)
        X = np.column_stack([d[term] for term in terms])
        fit = cumulative_logit(d["category"], X, weights=d["freq"])
        yield Pair("proportional odds: log-likelihood", case, fit.log_likelihood, r["log_likelihood"], 1e-10)
        for k, value in enumerate(fit.coefficients, start=1):
            yield Pair("proportional odds: log odds ratios", case, value, r[f"estimate_{k}"], 1e-6)
        for k, value in enumerate(np.sqrt(np.diag(fit.covariance)), start=1):
            yield Pair("proportional odds: standard errors", case, value, r[f"se_{k}"], 1e-6)
        for k in range(len(terms)):
            if f"free_log_likelihood_{k + 1}" in r:
                free = cumulative_logit(d["category"], X, weights=d["freq"], free=[k]).log_likelihood
                yield Pair(
                    "log-likelihood without proportionality",
                    case,
                    free,
                    r[f"free_log_likelihood_{k + 1}"],
                    1e-10,
                )
    for case in ("edss", "wine"):
        r = reference.values("proportional_odds")[f"margins_{case}"]
        test = shift_table(test_paired_change.table(case)).row(-1, named=True)
        yield Pair("Stuart-Maxwell: chi-squared", case, test["estimate"], r["statistic"], 1e-10)
        yield Pair("Stuart-Maxwell: p", case, test["p_value"], r["p"], 1e-10)


def hierarchical() -> Iterator[Pair]:
    """Win statistics."""
    for case, r in reference.values("hierarchical").items():
        name = case.split("_")[0]
        table = test_hierarchical.table(name, strata=case.endswith("strata"))
        row = {
            x["statistic"]: x
            for x in win_statistics(table, test_hierarchical.LEVELS[name]).iter_rows(named=True)
        }
        for statistic in ("win_ratio", "win_odds", "net_benefit"):
            yield Pair(statistic.replace("_", " "), case, row[statistic]["estimate"], r[statistic], 1e-10)
        ratio = row["win_ratio"]
        yield Pair(
            "standard error of the log win ratio",
            case,
            ratio["std_error"] / ratio["estimate"],
            r["se_log_win_ratio"],
            1e-10,
        )
        yield Pair(
            "standard error of the net benefit",
            case,
            row["net_benefit"]["std_error"],
            r["se_net_benefit"],
            1e-10,
        )
        yield Pair("Finkelstein-Schoenfeld z", case, row["finkelstein_schoenfeld"]["estimate"], r["z"], 1e-10)
    packages = {"wins": "WINS", "buyse": "BuyseTest", "wr": "WR"}
    for case in reference.values("win_packages"):
        ours = test_hierarchical.numbers_of_packages(case)
        for name, value in test_hierarchical.compared_with_packages(case).items():
            package, rest = name.split("_", 1)
            what = "estimates and shares of pairs"
            if rest.startswith("se_"):
                what = "standard errors, squares over m - 1"
            elif rest == "z":
                what = "z by the permutation variance"
            yield Pair(f"{packages[package]}: {what}", case.split("_")[0], ours[name], value, 1e-10)


def missing() -> Iterator[Pair]:
    """Rubin's rules; imputations against their limit (4 Monte-Carlo errors, absolute)."""
    for case in test_imputation.RUBIN:
        r = reference.values("missing_data")[case]
        m = sum(name.startswith("q_") for name in r)
        q, se = ([r[f"{name}_{k}"] for k in range(1, m + 1)] for name in ("q", "se"))
        pooled = pool(q, se, complete_df=r["complete_df"])
        for name, ours, short in (
            ("estimate", pooled.estimate, "estimate"),
            ("variance", pooled.std_error**2, "variance"),
            ("Barnard-Rubin df", pooled.df, "df"),
            ("fraction of missing information", pooled.missing_information, "fmi"),
        ):
            yield Pair(f"Rubin: {name}", case.removeprefix("rubin_"), ours, r[short], 1e-10)
    for case in ("chick_dropout", "orthodont_dropout"):
        for assumption in ASSUMPTIONS:
            row = imputed_difference(
                test_imputation.long(case),
                unit="",
                assumption=assumption,
                covariates=["baseline"],
                n_imputations=1000,
            ).row(0, named=True)
            limit = reference.values("missing_data")[case][assumption]
            yield Pair(
                f"{assumption}, 1,000 imputations", case, row["estimate"], limit, 4 * row["mc_error"], mc=True
            )
    for case, r in reference.values("rbmi").items():
        for assumption in ASSUMPTIONS:
            ours = test_imputation.conditional_mean(case, assumption)
            yield Pair(f"{assumption}, conditional mean (rbmi)", case, ours, r[assumption], 1e-6)
    for case, r in reference.values("event_imputation").items():
        name, settings = test_event_imputation.CASES[case]
        for assumption in ("censored_at_random", "jump_to_reference"):
            rows = imputed_milestone(
                test_event_imputation.table(name), assumption=assumption, n_imputations=1000, **settings
            ).filter(pl.col("statistic") == "survival_probability")
            for arm in (0, 1):
                yield Pair(
                    f"events, {assumption}, 1,000 imputations", case, rows["estimate"][arm],
                    r[f"{assumption}_{arm}"], 4 * rows["mc_error"][arm], mc=True,
                )  # fmt: skip


FAMILIES: dict[str, Callable[[], Iterator[Pair]]] = {
    "longitudinal": mixed,
    "ordinal": ordinal,
    "hierarchical": hierarchical,
    "missing_data": missing,
}


def table(family: str) -> str:
    """Return the validation table of a family in Markdown; the example is the pair nearest its tolerance."""
    found = list(FAMILIES[family]())
    lines = [
        "| quantity | data sets | numbers compared | example: ours | R | largest difference | required |",
        "|---|---|---|---|---|---|---|",
    ]
    for quantity in dict.fromkeys(pair.quantity for pair in found):
        own = [pair for pair in found if pair.quantity == quantity]
        worst = max(own, key=lambda pair: pair.difference / pair.required)
        if not worst.difference <= worst.required:
            raise SystemExit(f"{quantity}: {worst}")
        sets = ", ".join(dict.fromkeys(_DESIGN.sub("", pair.data).replace("_", " ") for pair in own))
        required = f"{worst.required:.1e} absolute" if worst.mc else f"{worst.required:.0e}"
        lines.append(
            f"| {quantity} | {sets} | {len(own)} | {worst.ours:.10g} | {worst.r:.10g} | {worst.difference:.1e} | "
            f"{required} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Write all tables."""
    for family in FAMILIES:
        page = PAGES / f"{family}.md"
        head, rest = page.read_text(encoding="utf-8").split(BEGIN)
        page.write_text(f"{head}{BEGIN}\n{table(family)}\n{END}{rest.split(END)[1]}", encoding="utf-8")
        print(page.name)


if __name__ == "__main__":
    main()
