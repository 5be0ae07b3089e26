"""Write the validation tables of proportions, rates, safety and comparison: ours, R, difference.

Reads the values that the scripts in tests/reference made with R, computes the same with ahsct, and puts the table
between the marks of each page. Run from the root of the repository:

    .venv/bin/python -m docs.statistics.validation
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from tests.estimates.comparison_data import AT, COVARIATES, MAIC_MEANS, SETS, package_values, patients

from ahsct import estimates as est
from ahsct.estimates._repeated_counts import fit_gee, fit_poisson_normal
from ahsct.estimates.negative_binomial import fit_negative_binomial

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "tests" / "reference"
PAGES = Path(__file__).parent
COVERAGE = {"proportions": "proportion", "rates": "rate"}
YEAR = 365.25


class Pair(NamedTuple):
    """One number, ours and R's; `required` is the relative tolerance that the design asks."""

    quantity: str
    data: str
    ours: float
    r: float
    required: float

    @property
    def difference(self) -> float:
        """Relative difference; absolute where R's number is below 1e-6, where it is rounding around 0."""
        gap = abs(self.ours - self.r)
        return gap / abs(self.r) if abs(self.r) > 1e-6 else gap


def read(name: str, **options: Any) -> pl.DataFrame:
    """Return one table of R's values."""
    return pl.read_csv(REFERENCE / f"{name}.csv", infer_schema_length=None, **options)


def pairs(
    quantity: str, data: str, ours: dict[str, Any], r: dict[str, Any], required: float
) -> Iterator[Pair]:
    """Yield a pair for each of R's numbers (by name of the column in `ours`)."""
    for name, value in r.items():
        if value is not None and math.isfinite(value):
            yield Pair(quantity, data, float(ours[name]), float(value), required)


def proportions() -> Iterator[Pair]:
    """Intervals of a proportion, of two, and of pairs."""
    for row in read("proportions").iter_rows(named=True):
        method, *ends = row["method"].split(" ")
        frame = est.exact_proportion(
            row["n_events"], row["n"], method=method, sided=row["sided"], conf_level=row["conf_level"],
            ends=(*ends, "closed")[0],
        )  # fmt: skip
        limits = {name: row[name] for name in ("lower", "upper")}
        yield from pairs(f"{row['method']} limits", row["set"], frame.row(0, named=True), limits, 1e-10)
    for row in read("proportion_comparisons", null_values="NA").iter_rows(named=True):
        cells, level = [row[name] for name in "abcd"], row["conf_level"]
        if row["statistic"].startswith("paired"):
            frame = est.mcnemar(*cells[:3], conf_level=level)
        else:
            function = (
                est.proportion_ratio if row["statistic"].endswith("ratio") else est.proportion_difference
            )
            frame = function(*cells, method=row["method"], conf_level=level, with_p_value=True)
        found = frame.filter(pl.col("statistic") == row["statistic"]).row(0, named=True)
        numbers = {name: row[name] for name in ("estimate", "lower", "upper", "p_value")}
        what = row["statistic"].replace("_", " ")
        yield from pairs(f"{what}, {row['method']}", row["set"], found, numbers, 1e-10)


def rates() -> Iterator[Pair]:
    """Rates, their ratio, regression, and before against after."""
    for row in read("rates", null_values="Inf").iter_rows(named=True):
        options = {name: row[name] for name in ("method", "sided", "conf_level")}
        frame = est.exact_rate(row["n_events"], row["person_years"], **options)
        limits = {name: row[name] for name in ("lower", "upper")}
        yield from pairs(f"rate, {row['method']}", row["set"], frame.row(0, named=True), limits, 1e-10)
    for row in read("rate_ratios", null_values="Inf").iter_rows(named=True):
        totals = [
            row[n] for n in ("n_events", "person_years", "n_events_reference", "person_years_reference")
        ]
        exact = est.rate_ratio(*totals, with_p_value=True).row(0, named=True)
        numbers = {name: row[name] for name in ("estimate", "lower", "upper", "p_value")}
        yield from pairs("rate ratio, exact conditional", row["set"], exact, numbers, 1e-10)
        mid = est.rate_ratio(*totals, method="mid-p").row(0, named=True)
        limits = {name: row[f"mid_{name}"] for name in ("lower", "upper")}
        yield from pairs("rate ratio, mid-P", row["set"], mid, limits, 1e-10)
    yield from negative_binomial()
    yield from before_after()
    yield from censoring()


def negative_binomial() -> Iterator[Pair]:
    """Negative binomial regression: coefficients, three standard errors, profile limits."""
    data, expected = read("negative_binomial_data"), read("negative_binomial")
    covariates = ["x1", "x2", "x3"]
    for (name,), r in expected.partition_by("set", as_dict=True, maintain_order=True).items():
        own = data.filter(pl.col("set") == name)
        matrix = np.column_stack([np.ones(own.height), own.select(covariates).to_numpy()])
        fit = fit_negative_binomial(own["number"], own["exposure_years"], matrix)
        rows = est.negative_binomial_rates(own, covariates=covariates)
        for at, row in enumerate(r.iter_rows(named=True)):
            ours = {
                "coef": fit.coefficients[at],
                "dispersion": fit.dispersion,
                "lower": math.log(rows["lower"][at]),
                "upper": math.log(rows["upper"][at]),
                **{kind: math.sqrt(fit.covariance[kind][at, at]) for kind in fit.covariance},
            }
            for kind, what in (
                ("coef", "coefficient"), ("dispersion", "dispersion"), ("lower", "profile limit"),
                ("upper", "profile limit"), ("expected", "expected error"), ("observed", "observed error"),
                ("robust", "robust error"),
            ):  # fmt: skip
                yield from pairs(f"negative binomial, {what}", str(name), ours, {kind: row[kind]}, 1e-6)


def before_after() -> Iterator[Pair]:
    """Before and after within patients."""
    data = read("before_after_data")
    for row in read("before_after").iter_rows(named=True):
        own = data.filter(pl.col("set") == row["set"])
        kept = own.filter(pl.col("years_after") > 0)
        y = np.concatenate([kept["n_before"], kept["n_after"]]).astype(float)
        offset = np.log(np.concatenate([kept["years_before"], kept["years_after"]]))
        matrix = np.column_stack([np.ones(y.size), np.repeat([0.0, 1.0], kept.height)])
        patient = np.tile(np.arange(kept.height), 2)
        if row["method"] == "conditional":
            found = est.before_after_rates(own, methods=["conditional"], with_p_value=True).row(0, named=True)
            numbers = {name: row[name] for name in ("lower", "upper", "p_value")}
            yield from pairs("after / before, exact given totals", row["set"], found, numbers, 1e-10)
            continue
        if row["method"] == "mixed":
            what, fit = "mixed Poisson", fit_poisson_normal(y, matrix, offset, patient)
        else:
            what = f"GEE {row['method']}"
            fit = fit_gee(y, matrix, offset, patient, correlation=row["method"])
        ours = {"log_ratio": fit.coefficients[1], "std_error": math.sqrt(fit.covariance[1, 1])}
        numbers = {name: row[name] for name in ours}
        yield from pairs(f"after / before, {what}", row["set"], ours, numbers, 1e-6)


def censoring() -> Iterator[Pair]:
    """Inverse probability of censoring."""
    data = read(
        "informative_censoring_data",
        schema_overrides={"is_event": pl.String, "is_censored": pl.String, "x2": pl.Float64},
    ).with_columns(pl.col("is_event", "is_censored") == "TRUE")
    for row in read("informative_censoring").iter_rows(named=True):
        own = data.filter(pl.col("set") == row["set"])
        for largest, error in ((None, "estimated"), (1e9, "known")):
            curve = est.censoring_weighted_survival(own, covariates=["x1", "x2"], largest_weight=largest)
            at = est.milestone(curve, at_years=row["time"] / YEAR).row(0, named=True)
            numbers = {"estimate": row["estimate"]}
            yield from pairs("censoring weights, survival", row["set"], at, numbers, 1e-6)
            what = f"censoring weights, error ({error} weights)"
            yield from pairs(what, row["set"], at, {"std_error": row[error]}, 1e-6)


def safety() -> Iterator[Pair]:
    """Adverse events and Mantel-Haenszel."""
    people = read("adverse_events_patients", schema_overrides={"is_dead": pl.String}).with_columns(
        pl.col("is_dead") == "TRUE"
    )
    events, expected = read("adverse_events_events"), read("adverse_events")
    for (name,), own in people.partition_by("set", as_dict=True, maintain_order=True).items():
        r = expected.filter(pl.col("set") == name)
        days = r["day"].drop_nulls().unique().sort().to_list()
        rows = est.adverse_event_rates(
            events.filter(pl.col("set") == name).drop("arm"), own, at_years=[day / YEAR for day in days]
        ).filter((pl.col("statistic") != "cumulative_incidence") | pl.col("method").str.starts_with("Aalen"))
        for row in r.iter_rows(named=True):
            found = rows.filter(
                (pl.col("arm") == row["arm"])
                & (pl.col("term") == row["term"])
                & (pl.col("statistic") == row["statistic"])
            )
            if row["day"] is not None:
                found = found.filter((pl.col("time_years") * YEAR - row["day"]).abs() < 1e-6)
            numbers = {key: row[key] for key in ("estimate", "std_error", "lower", "upper")}
            what = row["statistic"].replace("_", " ")
            yield from pairs(f"first event, {what}", str(name), found.row(0, named=True), numbers, 1e-10)
    yield from grades()
    strata = read("mantel_haenszel_strata")
    names = {
        "RD": "risk_difference",
        "RR": "risk_ratio",
        "OR": "odds_ratio",
        "IRD": "rate_difference",
        "IRR": "rate_ratio",
    }
    for row in read("mantel_haenszel", null_values="NA").iter_rows(named=True):
        own, measure = strata.filter(pl.col("set") == row["set"]), names[row["measure"]]
        if measure.startswith("rate"):
            own = own.rename({"n": "person_years", "n_reference": "person_years_reference"})
        found = est.mantel_haenszel(own, measure=measure, with_p_value=True).row(0, named=True)
        ours = {"estimate": found["estimate"], "se": found["std_error"], "p": found["p_value"]}
        if measure.endswith("ratio"):
            ours |= {"estimate": math.log(found["estimate"]), "se": found["std_error"] / found["estimate"]}
        numbers = {key: row[key] for key in ours}
        yield from pairs(f"Mantel-Haenszel {measure.replace('_', ' ')}", row["set"], ours, numbers, 1e-10)


def grades() -> Iterator[Pair]:
    """Worst grade of each patient."""
    people, events = read("worst_grades_patients"), read("worst_grades_events")
    for (name,), r in read("worst_grades").partition_by("set", as_dict=True, maintain_order=True).items():
        own = pl.col("set") == name
        rows = est.worst_grades(events.filter(own), people.filter(own), scale="grade")
        for row in r.iter_rows(named=True):
            found = rows.filter(
                (pl.col("arm") == row["arm"])
                & (pl.col("component").str.split(": ").list.last() == row["term"])
                & (pl.col("term") == str(row["grade"]))
            )
            numbers = {key: row[key] for key in ("n_events", "n", "estimate", "lower", "upper")}
            yield from pairs("worst grade, proportion", str(name), found.row(0, named=True), numbers, 1e-10)


def comparison() -> Iterator[Pair]:
    """Weights, balance, weighted and matched survival."""
    data, rows = read("comparison_data"), read("comparison").with_columns(pl.col("term").cast(pl.String))
    covariates = ["x1", "x2", "x3"]
    for (name,), own in data.partition_by("set", as_dict=True, maintain_order=True).items():
        table = own.select(
            pl.col("id").cast(pl.String).alias("patient_id"), (pl.col("treated") == 1).alias("is_treated"),
            *covariates, pl.col("time").alias("time_day"), (pl.col("event") == 1).alias("is_event"),
        )  # fmt: skip
        own_rows = rows.filter(pl.col("set") == name)
        r = {(what, group, term): value for _, what, group, term, value in own_rows.iter_rows()}
        days = sorted({int(term) for what, _, term in r if what == "ate survival"})
        kinds: dict[str, Any] = {
            kind: est.propensity_weights(table, covariates=covariates, estimand=kind)
            for kind in ("ate", "att", "overlap")
        }
        kinds["maic"] = est.maic_weights(
            table.filter("is_treated"), means=dict(zip(covariates, MAIC_MEANS[str(name)], strict=True))
        )
        for kind, weights in kinds.items():
            label = kind if kind == "overlap" else kind.upper()
            compared = table.join(weights.patients, on="patient_id", how="semi")
            curve = est.weighted_kaplan_meier(compared, weights)
            for group, size in est.effective_sample_size(weights).select("arm", "estimate").rows():
                value = {"size": r[(f"{kind} ess", group, None)]}
                yield from pairs(f"{label}: effective sample size", str(name), {"size": size}, value, 1e-6)
            for day in days:
                for row in est.milestone(curve, at_years=day / YEAR).iter_rows(named=True):
                    numbers = {
                        "estimate": r[(f"{kind} survival", row["arm"], str(day))],
                        "std_error": r[(f"{kind} estimated", row["arm"], str(day))],
                    }
                    yield from pairs(f"{label}: survival and its error", str(name), row, numbers, 1e-6)
                if kind in ("ate", "att", "overlap"):
                    found = est.weighted_survival_difference(table, weights, at_years=day / YEAR).row(
                        0, named=True
                    )
                    numbers = {
                        "estimate": r[(f"{kind} difference", None, str(day))],
                        "std_error": r[(f"{kind} difference_error", None, str(day))],
                    }
                    yield from pairs(f"{label}: difference and its error", str(name), found, numbers, 1e-6)


def packages() -> Iterator[Pair]:
    """Weights, balance and MAIC by WeightIt, cobalt and maicplus; E-values by EValue."""
    for name in SETS:
        for kind in ("ate", "att", "overlap"):
            weights = est.propensity_weights(patients(name), covariates=COVARIATES, estimand=kind)
            label = kind if kind == "overlap" else kind.upper()
            sizes = dict(est.effective_sample_size(weights).select("arm", "estimate").rows())
            for group, size in sizes.items():
                own = dict(weights.patients.filter(group=group).select("patient_id", "weight").rows())
                r = package_values(name, f"{kind} weight", group)
                yield from pairs(f"{label}: weights (WeightIt)", name, own, r, 1e-10)
                r = package_values(name, f"{kind} ess", group)
                yield from pairs(f"{label}: effective sample size (cobalt)", name, {"": size}, r, 1e-10)
            for (component,), rows in (
                est.covariate_balance(weights).partition_by("component", as_dict=True).items()
            ):
                prefix = f"{kind} " if component == "weighted" else ""
                found, r = (
                    dict(rows.select("term", "estimate").rows()),
                    package_values(name, f"{prefix}smd", str(component)),
                )
                yield from pairs("standardised mean differences (cobalt)", name, found, r, 1e-10)
            seen = patients(name).filter("is_event")
            weights = est.propensity_weights(seen, covariates=COVARIATES, estimand=kind)
            for day in AT[name]:
                row = est.weighted_survival_difference(seen, weights, at_years=day / YEAR).row(0, named=True)
                r = {
                    "estimate": package_values(name, f"{kind} difference")[str(day)],
                    "std_error": package_values(name, f"{kind} difference_error")[str(day)],
                }
                yield from pairs(
                    f"{label}: uncensored difference, M-estimation (WeightIt)", name, row, r, 1e-6
                )
        means = dict(zip(COVARIATES, MAIC_MEANS[name], strict=True))
        maic = est.maic_weights(patients(name).filter("is_treated"), means=means)
        size = est.effective_sample_size(maic)["estimate"].item()
        r = package_values(name, "maic ess")
        yield from pairs("MAIC: effective sample size (maicplus)", name, {"": size}, r, 1e-6)
        total = maic.patients["weight"].sum()
        own = {patient: w / total for patient, w in maic.patients.select("patient_id", "weight").rows()}
        yield from pairs("MAIC: weights (maicplus)", name, own, package_values(name, "maic share"), 1e-6)
    for row in read("e_value").iter_rows(named=True):
        is_common = str(row["common"]).upper() == "TRUE"
        limits = {end: row[end] for end in ("lower", "upper")}
        rows = est.e_value(row["estimate"], **limits, measure=row["measure"], is_common=is_common)
        ours = dict(zip(("estimate", "limit"), rows["estimate"], strict=True))
        r = package_values(row["name"], "E common" if is_common else "E rare", row["measure"])
        yield from pairs("E-value (EValue)", row["name"].split()[0], ours, r, 1e-10)


def matching() -> Iterator[Pair]:
    """Survival of matched pairs, which are the same pairs as in R."""
    data, expected = read("matching_data"), read("matching", schema_overrides={"caliper": pl.Float64})
    covariates = [f"x{i}" for i in range(1, 6)]
    for (name, caliper), r in expected.partition_by(
        "set", "caliper", as_dict=True, maintain_order=True
    ).items():
        table = data.filter(pl.col("set") == name).select(
            pl.col("id").cast(pl.String).alias("patient_id"), (pl.col("treated") == 1).alias("is_treated"),
            *covariates, pl.col("time").alias("time_day"), (pl.col("event") == 1).alias("is_event"),
        )  # fmt: skip
        width = None if math.isinf(float(str(caliper))) else float(str(caliper))
        weights = est.match_patients(table, covariates=covariates, caliper=width).weights
        curve = est.weighted_kaplan_meier(table.join(weights.patients, on="patient_id", how="semi"), weights)
        for row in r.iter_rows(named=True):
            found = est.milestone(curve, at_years=row["time"] / YEAR).filter(pl.col("arm") == row["group"])
            numbers = {"estimate": row["survival"], "std_error": row["std_error"]}
            yield from pairs(
                "matched pairs: survival and its error", str(name), found.row(0, named=True), numbers, 1e-6
            )


FAMILIES = {
    "proportions": proportions,
    "rates": rates,
    "safety": safety,
    "comparison": lambda: chain(comparison(), matching(), packages()),
}


def table(family: str) -> str:
    """Return the validation table of a family in Markdown; the example is the pair that differs most."""
    found = list(FAMILIES[family]())
    lines = [
        "| quantity | data sets | numbers compared | example: ours | R | largest difference | required |",
        "|---|---|---|---|---|---|---|",
    ]
    for quantity in dict.fromkeys(pair.quantity for pair in found):
        own = [pair for pair in found if pair.quantity == quantity]
        worst = max(own, key=lambda pair: pair.difference)
        if not worst.difference <= worst.required:
            raise SystemExit(f"{quantity}: {worst}")
        sets = ", ".join(dict.fromkeys(pair.data for pair in own))
        lines.append(
            f"| {quantity} | {sets} | {len(own)} | {worst.ours:.10g} | {worst.r:.10g} | {worst.difference:.1e} | "
            f"{worst.required:.0e} |"
        )
    return "\n".join(lines)


def coverage(kind: str) -> str:
    """Return the least coverage of each interval with 24 patients, from the committed table."""
    found = pl.read_csv(PAGES / "zero_event_coverage.csv").filter(pl.col("kind") == kind)
    least = found.group_by("method", "sided", "dispersion", maintain_order=True).agg(
        pl.col("coverage").min().alias("least"), pl.col("truth").sort_by("coverage").first().alias("at")
    )
    lines = ["| method | sided | dispersion | least coverage | at a true value of |", "|---|---|---|---|---|"]
    lines += [
        f"| {method} | {sided} | {dispersion:g} | {value:.3f} | {at:g} |"
        for method, sided, dispersion, value, at in least.iter_rows()
    ]
    return "\n".join(lines)


def put(page: str, what: str, text: str) -> str:
    """Return the page with the text between its marks."""
    begin, end = (f"<!-- {what}: {word} -->" for word in ("begin", "end"))
    head, rest = page.split(begin)
    return f"{head}{begin}\n{text}\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Write the tables of all pages."""
    for family in FAMILIES:
        path = PAGES / f"{family}.md"
        page = put(path.read_text(encoding="utf-8"), "validation", table(family))
        if family in COVERAGE:
            page = put(page, "coverage", coverage(COVERAGE[family]))
        path.write_text(page, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
