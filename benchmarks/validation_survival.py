"""The validation tables of docs/statistics/survival.md and recurrent.md: ours, R's, and the largest difference.

Run `python benchmarks/validation_survival.py` to print them from the committed CSV files of tests/reference, with
`--write` to put them into the pages.
"""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from ahsct.estimates import (
    fit_cox,
    kaplan_meier,
    mean_cumulative_function,
    milestone_difference,
    predicted_curves,
    proportional_hazards_test,
    quantile_time,
    recurrent_ratios,
    restricted_mean_difference,
)
from ahsct.estimates.cox_profile import profile
from ahsct.estimates.cox_regression import CoxRegression, cox_regression
from ahsct.estimates.log_rank import FLEMING_HARRINGTON, log_rank_test
from ahsct.estimates.permutation import permutation_test
from ahsct.vocabulary import DAYS_PER_YEAR
from coverage_survival import write

ROOT = Path(__file__).parents[1]
REFERENCE, PAGES = ROOT / "tests" / "reference", ROOT / "docs" / "statistics"
TERMS = ["x1", "x2", "x3"]
HEAD = ["| quantity | data set | values | ours (first) | R (first) | largest relative difference |", "|---|---|---|---|---|---|"]  # fmt: skip


def read(name: str) -> pl.DataFrame:
    return pl.read_csv(REFERENCE / f"{name}.csv", infer_schema_length=None)


def line(quantity: str, data_set: str, ours: object, theirs: object) -> str:
    a, b = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (ours, theirs))
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    gap = np.abs(a - b) / np.where(b == 0, 1, np.abs(b))
    return f"| {quantity} | {data_set} | {a.size} | {a[0]:.10g} | {b[0]:.10g} | {gap.max():.1e} |"


def kaplan_meier_lines() -> list[str]:
    data, r = read("curve_data"), read("kaplan_meier")
    lines = []
    for data_set in r["data_set"].unique(maintain_order=True):
        rows = data.filter(pl.col("data_set") == data_set)
        frame = rows.select(
            pl.col("time").alias("time_day"), (pl.col("cause") > 0).alias("is_event"), pl.col("entry").alias("entry_day")
        )  # fmt: skip
        ours, theirs = [], []
        for interval in r["interval"].unique(maintain_order=True):
            wanted = r.filter((pl.col("data_set") == data_set) & (pl.col("interval") == interval))
            curve = kaplan_meier(frame, interval=interval.replace("arcsin", "arcsine"))
            days = curve["time_years"].to_numpy() * DAYS_PER_YEAR
            at = [int(np.argmin(np.abs(days - t))) for t in wanted["time"]]
            for name in ("estimate", "lower", "upper"):
                ours.append(curve[at][name].cast(pl.Float64).fill_null(np.nan).to_numpy())
                theirs.append(wanted[name].cast(pl.Float64).fill_null(np.nan).to_numpy())
        name = f"{data_set} (delayed entry)" if rows["entry"].max() > 0 else data_set
        lines.append(
            line("Kaplan-Meier and five intervals", name, np.concatenate(ours), np.concatenate(theirs))
        )
    return lines


def log_rank_lines() -> list[str]:
    data, r = read("cox_data"), read("log_rank")
    lines = []
    for (weight,), rows in r.group_by(["weight"], maintain_order=True):
        for (data_set,), block in rows.group_by(["data_set"], maintain_order=True):
            ours = []
            for group, strata in block.select("group", "strata").rows():
                z = data.filter(pl.col("data_set") == data_set)
                power = [float(x) for x in weight.split("_")[1:]] if weight.startswith("fh") else [0.0, 0.0]
                found = log_rank_test(
                    z["time"],
                    z["event"],
                    z[group].rank("dense").to_numpy() - 1,
                    entry=z["entry"],
                    stratum=z[strata] if strata else None,
                    weight=FLEMING_HARRINGTON if weight.startswith("fh") else weight,
                    rho=power[0],
                    gamma=power[1],
                )
                ours.append(found.chi_squared)
            name = weight.replace("fh_", "Fleming-Harrington ").replace("_", ", ")
            lines.append(line(f"log-rank, {name}", data_set, ours, block["chi_squared"]))
    return lines


def fit(
    data_set: str, *, clustered: bool = False, stratified: bool = False, **arguments: object
) -> CoxRegression:
    rows = read("cox_data").filter(pl.col("data_set") == data_set)
    entry = rows["entry"].to_numpy().astype(float)
    return cox_regression(
        rows["time"],
        rows["event"],
        rows.select(TERMS).to_numpy(),
        entry=np.where(entry > 0, entry, -np.inf),
        stratum=rows["stratum"].cast(pl.Int64).to_numpy() if stratified else None,
        cluster=rows["id"].to_numpy() if clustered else None,
        **arguments,  # type: ignore[arg-type]
    )


def cox_tables(data_set: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = read("cox_data").filter(pl.col("data_set") == data_set)
    number = pl.col("id") if data_set == "heart" else pl.int_range(pl.len())
    rows = rows.with_columns(number.cast(pl.String).alias("patient_id"))
    outcomes = rows.group_by("patient_id", maintain_order=True).agg(
        pl.col("time").max().alias("time_day"), (pl.col("event") == 1).any().alias("is_event")
    )
    covariates = rows.select("patient_id", pl.col("entry").alias("from_day"), *TERMS)
    return outcomes, covariates if data_set == "heart" else covariates.drop("from_day")


def cox_lines() -> list[str]:
    r = read("cox")
    lines = []

    def theirs(data_set: str, model: str, quantity: str) -> np.ndarray:
        wanted = (
            (pl.col("data_set") == data_set) & (pl.col("model") == model) & (pl.col("quantity") == quantity)
        )
        return r.filter(wanted)["value"].cast(pl.Float64).to_numpy()

    for data_set in ("veteran", "lung", "heart", "rats", "aml"):
        name = "heart (time-dependent)" if data_set == "heart" else data_set
        for ties in ("efron", "breslow", "exact"):
            ours = fit(data_set, ties=ties)
            errors = np.sqrt(np.diag(ours.covariance))
            values = np.concatenate((ours.coefficients, errors, [ours.null.value, ours.likelihood.value]))
            expected = [theirs(data_set, ties, q) for q in ("coefficient", "std_error", "loglik")]
            lines.append(
                line(
                    f"Cox, {ties} ties: coefficients, errors, likelihood",
                    name,
                    values,
                    np.concatenate(expected),
                )
            )
            limits = profile(ours, 0)[:2]
            expected = [theirs(data_set, ties, f"profile_{q}")[:1] for q in ("lower", "upper")]
            lines.append(line(f"Cox, {ties} ties: profile limits", name, limits, np.concatenate(expected)))
        robust = np.sqrt(np.diag(fit(data_set, clustered=True).variance))
        lines.append(
            line("Cox, cluster-robust errors", name, robust, theirs(data_set, "efron", "robust_std_error"))
        )
        if data_set != "aml":
            ours = fit(data_set, stratified=True)
            lines.append(
                line(
                    "Cox, stratified",
                    name,
                    ours.coefficients,
                    theirs(data_set, "efron", "stratified_coefficient"),
                )
            )
        model = fit_cox(*cox_tables(data_set), terms=TERMS)
        for transform in ("km", "rank", "identity", "log"):
            found = proportional_hazards_test(model, transform=transform)["estimate"]
            lines.append(
                line(
                    f"proportional-hazards test, {transform}",
                    name,
                    found,
                    theirs(data_set, "efron", f"zph_{transform}"),
                )
            )
        x2, x3 = theirs(data_set, "efron", "profile_x2_x3")
        curve = predicted_curves(model, pl.DataFrame({"x1": [1.0], "x2": [x2], "x3": [x3]}))
        at = [
            int(np.searchsorted(curve["time_years"] * DAYS_PER_YEAR, t * (1 + 1e-9), "right")) - 1
            for t in theirs(data_set, "efron", "curve_time")
        ]
        found = np.concatenate([curve[at][q].to_numpy() for q in ("estimate", "std_error", "lower", "upper")])
        expected = [
            theirs(data_set, "efron", q)
            for q in ("curve_2", "curve_error_2", "curve_lower_2", "curve_upper_2")
        ]
        lines.append(line("predicted curve with interval", name, found, np.concatenate(expected)))
    for data_set in ("aml", "ovarian_empty_arm", "veteran", "heart"):
        for ties in ("efron", "breslow"):
            ours = fit(data_set, ties=ties, firth=True)
            lines.append(
                line(
                    f"Firth, {ties} ties",
                    data_set,
                    ours.coefficients,
                    theirs(data_set, f"firth_{ties}", "coefficient"),
                )
            )
            if data_set in ("aml", "ovarian_empty_arm"):
                expected = [
                    theirs(data_set, f"firth_{ties}", f"profile_{q}") for q in ("lower", "upper", "p")
                ]
                lines.append(
                    line(
                        f"Firth, {ties} ties: profile limits and p",
                        data_set,
                        profile(ours, 0),
                        np.concatenate(expected),
                    )
                )
    return lines


def comparison_lines() -> list[str]:
    data, r = read("cox_data"), read("milestone_differences")
    lines = []
    for data_set, group in (("veteran", "x1"), ("lung", "x2"), ("rats", "x1"), ("aml", "x1")):
        rows = data.filter(pl.col("data_set") == data_set)
        curves = kaplan_meier(
            rows.select(pl.col("time").alias("time_day"), (pl.col("event") == 1).alias("is_event"), pl.col(group).cast(pl.Int64).cast(pl.String).alias("arm"))
        )  # fmt: skip
        wanted = r.filter(pl.col("data_set") == data_set)
        times = wanted.filter(pl.col("time") > 1)["time"].unique().sort().to_list()

        def theirs(quantity: str, wanted: pl.DataFrame = wanted) -> np.ndarray:
            return (
                wanted.filter(pl.col("quantity") == quantity)
                .sort("time")["value"]
                .cast(pl.Float64)
                .to_numpy()
            )

        for scale in ("identity", "log", "cloglog", "logit"):
            found = pl.concat(
                [
                    milestone_difference(curves, at_years=t / DAYS_PER_YEAR, reference_arm="0", scale=scale)[
                        :1
                    ]
                    for t in times
                ]
            )
            turned = found["estimate"] if scale == "identity" else found["estimate"].log()
            ours = np.concatenate([turned, found["std_error"], found["p_value"]])
            expected = np.concatenate([theirs(f"{scale}_{q}") for q in ("estimate", "error", "p")])
            lines.append(line(f"difference at a time, {scale}", data_set, ours, expected))
        found = pl.concat(
            [
                restricted_mean_difference(curves, horizon_years=t / DAYS_PER_YEAR, reference_arm="0")
                for t in times
            ]
        )
        means, ratios = found[::2], found[1::2]
        ours = np.concatenate(
            [
                means["estimate"] * DAYS_PER_YEAR,
                means["std_error"] * DAYS_PER_YEAR,
                ratios["estimate"].log(),
                ratios["std_error"],
            ]
        )
        expected = np.concatenate(
            [theirs(f"rmst_{q}") for q in ("difference", "difference_error", "log_ratio", "log_ratio_error")]
        )
        lines.append(line("restricted mean, difference and ratio", data_set, ours, expected))
        found = pl.concat(
            [quantile_time(curves.filter(pl.col("arm") == arm), probability=0.25) for arm in "01"]
        )
        ours = (
            np.concatenate(
                [found[q].cast(pl.Float64).fill_null(np.nan) for q in ("estimate", "lower", "upper")]
            )
            * DAYS_PER_YEAR
        )
        expected = np.concatenate(
            [np.nan_to_num(theirs(q), nan=np.nan) for q in ("q25", "q25_lower", "q25_upper")]
        )
        lines.append(line("first quartile, Brookmeyer-Crowley", data_set, ours, expected))
        if data_set == "aml":
            for scale, name in (("identity", ""), ("log", "_ratio"), ("cloglog", "_hazard")):
                found = pl.concat(
                    [
                        milestone_difference(
                            curves, at_years=t / DAYS_PER_YEAR, reference_arm="0", scale=scale
                        )[1:]
                        for t in times
                    ]
                )
                expected = np.concatenate([theirs(f"melded{name}_{q}") for q in ("lower", "upper")])
                lines.append(
                    line(
                        f"melded beta product, {scale}",
                        data_set,
                        np.concatenate([found["lower"], found["upper"]]),
                        expected,
                    )
                )
    for data_set, group, n, _, p in read("permutation").rows():
        rows = data.filter(pl.col("data_set") == data_set).group_by(group, maintain_order=True).head(n)
        found = permutation_test(rows["time"], rows["event"], (rows[group] == 1).to_numpy())
        lines.append(line("permutation log-rank, p", data_set, found.p_value, p))
    return lines


def recurrent_lines() -> list[str]:
    data, r, curves = read("recurrent_data"), read("recurrent"), read("mean_cumulative")
    lines = []
    for data_set in data["data_set"].unique(maintain_order=True):
        rows = data.filter(pl.col("data_set") == data_set).with_columns(
            pl.col("id").cast(pl.String).alias("patient_id")
        )
        recurrent = rows.select(
            "patient_id", pl.col("arm").cast(pl.String), pl.col("start").alias("start_day"), pl.col("stop").alias("stop_day"),
            (pl.col("event") == 1).alias("is_event"), pl.col("number").alias("event_number"),
        )  # fmt: skip
        covariates = rows.select("patient_id", "x1", "x2").unique("patient_id", maintain_order=True)
        name = f"{data_set} (gaps)" if data_set == "rhDNase" else data_set
        ours, theirs = [], []
        for arm in ("0", "1"):
            curve = mean_cumulative_function(recurrent.filter(pl.col("arm") == arm))
            wanted = curves.filter((pl.col("data_set") == data_set) & (pl.col("arm") == int(arm)))
            at = [
                int(np.argmin(np.abs(curve["time_years"].to_numpy() * DAYS_PER_YEAR - t)))
                for t in wanted["time"]
            ]
            for column in ("estimate", "std_error"):
                ours.append(curve[at][column].to_numpy())
                theirs.append(wanted[column].cast(pl.Float64).to_numpy())
        lines.append(
            line(
                "mean cumulative function and robust error",
                name,
                np.concatenate(ours),
                np.concatenate(theirs),
            )
        )
        for model, ties in r.select("model", "ties").unique(maintain_order=True).rows():
            found = recurrent_ratios(
                recurrent, covariates, terms=["arm", "x1", "x2"], model=model, ties=ties, up_to_event=None if model == "andersen-gill" else 3
            )  # fmt: skip
            wanted = r.filter(
                (pl.col("data_set") == data_set) & (pl.col("model") == model) & (pl.col("ties") == ties)
            )
            ours_ = np.concatenate([found["estimate"][:3].log(), found["std_error"][:3]])
            lines.append(
                line(
                    f"{model}, {ties} ties: coefficients and robust errors",
                    name,
                    ours_,
                    np.concatenate([wanted["coefficient"], wanted["robust"]]),
                )
            )
    return lines


def main() -> None:
    survival = [*HEAD, *kaplan_meier_lines(), *comparison_lines(), *log_rank_lines(), *cox_lines()]
    recurrent = [*HEAD, *recurrent_lines()]
    for page, lines in (("survival", survival), ("recurrent", recurrent)):
        print(page, *lines, sep="\n")
        if "--write" in sys.argv:
            write(PAGES / f"{page}.md", "validation", lines)


if __name__ == "__main__":
    main()
