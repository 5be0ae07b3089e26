"""The validation tables of docs/statistics: competing.md, states.md, interval_censored.md (ours, R, difference).

Run `python benchmarks/validation_states.py` to print them from the committed CSV files of tests/reference, with `--write`
to put them into the pages.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ahsct.estimates import (
    aalen_johansen,
    cause_specific_hazards,
    fit_panel_markov,
    gray_test,
    interval_log_rank,
    state_occupation,
    transition_probabilities,
)
from ahsct.estimates.accelerated_failure import DISTRIBUTIONS, accelerated_failure
from ahsct.estimates.competing_npmle import Observed, incidence_at
from ahsct.estimates.fine_gray import subdistribution
from ahsct.estimates.interval_hazards import interval_hazards
from ahsct.estimates.interval_tests import SCORES
from ahsct.estimates.turnbull import npmle, survival_at
from ahsct.vocabulary import DAYS_PER_YEAR

ROOT = Path(__file__).parents[1]
REFERENCE, PAGES = ROOT / "tests" / "reference", ROOT / "docs" / "statistics"
BEGIN, END = "<!-- validation -->", "<!-- end of validation -->"
Compared = tuple[str, str, object, object]


def csv(name: str) -> pl.DataFrame:
    return pl.read_csv(REFERENCE / f"{name}.csv", infer_schema_length=None)


def pick(table: pl.DataFrame, **columns: object) -> np.ndarray:
    return (
        table.filter(*(pl.col(name) == value for name, value in columns.items()))["value"]
        .cast(float)
        .to_numpy()
    )


def at_days(curve: pl.DataFrame, cause: str, days: pl.Series) -> pl.DataFrame:
    block = curve.filter(pl.col("cause") == cause)
    return block[
        (np.searchsorted(block["time_years"].to_numpy() * DAYS_PER_YEAR, days.to_numpy() + 1e-6) - 1).tolist()
    ]


def competing() -> Iterator[Compared]:
    data, r = csv("curve_data"), csv("competing")
    for name in r["data_set"].unique(maintain_order=True):
        z = data.filter(pl.col("data_set") == name)
        frame = z.select(
            time_day="time", is_event=pl.col("cause") > 0, cause=pl.format("{}", "cause"), entry_day="entry"
        )
        jackknife, aalen = aalen_johansen(frame), aalen_johansen(frame, variance="aalen")
        for cause in ("1", "2"):
            wanted = r.filter((pl.col("data_set") == name) & (pl.col("cause") == int(cause)))
            own = at_days(jackknife, cause, wanted["time"])
            label = f"{name}, cause {cause}" + (" (delayed entry)" if z["entry"].max() > 0 else "")
            yield "Aalen-Johansen (survfit)", label, own["estimate"], wanted["estimate"]
            yield "its jackknife error", label, own["std_error"], wanted["std_error_ij"]
            if wanted["var_cuminc"].null_count() < wanted.height:
                own = at_days(aalen, cause, wanted["time"])
                yield (
                    "Aalen variance (cuminc)",
                    label,
                    own["std_error"] ** 2,
                    wanted["var_cuminc"].cast(float),
                )
    data, r = csv("competing_groups_data"), csv("competing_groups")
    for name in r["data_set"].unique(maintain_order=True):
        z = data.filter(pl.col("data_set") == name)
        frame = z.select(
            "x1", "x2", patient_id=pl.int_range(pl.len()).cast(str), arm=pl.format("{}", "group"), stratum="stratum",
            time_day="time", is_event=pl.col("cause") > 0, cause=pl.format("{}", "cause"),
        )  # fmt: skip
        for what, options in (
            ("gray", {}),
            ("gray_rho1", {"rho": 1}),
            ("gray_stratified", {"strata": ["stratum"]}),
        ):
            theirs = pick(r, data_set=name, what=what)
            if theirs.size:
                yield (
                    f"{what.replace('_', ', ')} (cuminc)",
                    name,
                    gray_test(frame, **options)["estimate"],
                    theirs,
                )
        if name == "tiny":
            continue
        for cause in (1, 2):
            kind = np.where(z["cause"] == 0, 0, np.where(z["cause"] == cause, 1, 2))
            fit = subdistribution(z["time"].to_numpy(), kind, z.select("x1", "x2").to_numpy())
            label = f"{name}, cause {cause}"
            yield (
                "Fine-Gray (crr)",
                label,
                fit.coefficients,
                pick(r, data_set=name, what="crr_coef", cause=cause),
            )
            yield (
                "its covariance",
                label,
                fit.covariance.ravel(),
                pick(r, data_set=name, what="crr_var", cause=cause),
            )
            found = cause_specific_hazards(frame, terms=["x1", "x2"]).filter(
                pl.col("method").str.starts_with(f"{cause}: ") & (pl.col("statistic") == "hazard_ratio")
            )
            yield (
                "cause-specific (coxph)",
                label,
                found["estimate"].log(),
                pick(r, data_set=name, what="cox_coef", cause=cause),
            )
    data, r = csv("competing_npmle_data"), csv("competing_npmle")
    for name in r["data_set"].unique(maintain_order=True):
        z = data.filter(pl.col("data_set") == name)
        seen = Observed(*(z[field].cast(float).to_numpy() for field in Observed._fields))
        for k, what in enumerate(("event", "death")):
            wanted = r.filter((pl.col("data_set") == name) & (pl.col("what") == what))
            ours, _, _ = incidence_at(seen, wanted["at"].to_numpy(), quantile=None)
            yield "event at visits, death exact (plain R)", f"{name}, {what}", ours[k], wanted["value"]


def states() -> Iterator[Compared]:
    data, r = csv("states_data"), csv("states")
    for name in ("myeloid", "myeloid_late", "abortion"):
        z = data.filter(pl.col("data_set") == name).select(
            patient_id=pl.col("id").cast(str), from_state="from", to_state=pl.when(pl.col("to") != "cens").then("to"),
            start_day="start", stop_day="stop",
        )  # fmt: skip
        wanted = r.filter(pl.col("data_set") == name)
        names = wanted["state"].unique(maintain_order=True).to_list()
        curves = {
            v: state_occupation(z, states=names, initial=names[0], variance=v)
            for v in ("infinitesimal_jackknife", "greenwood")
        }
        for state in names:
            own = wanted.filter(pl.col("state") == state)
            label = f"{name}, {state}" + ("" if name == "myeloid" else " (delayed entry)")
            found = {v: at_days(curve, state, own["time"]) for v, curve in curves.items()}
            yield "probability (survfit, etm)", label, found["greenwood"]["estimate"], own["estimate"]
            yield (
                "jackknife error (survfit)",
                label,
                found["infinitesimal_jackknife"]["std_error"],
                own["std_error_ij"],
            )
            yield (
                "Greenwood variance (etm)",
                label,
                found["greenwood"]["std_error"] ** 2,
                own["var_etm"].cast(float),
            )
    data, r = csv("panel_data"), csv("panel_markov")
    for name in ("cav", "psor", "pbcseq"):
        z = data.filter(pl.col("data_set") == name).select(
            patient_id=pl.col("id").cast(str),
            day=pl.col("years") * DAYS_PER_YEAR,
            state=pl.col("state").cast(str),
        )
        ways = [
            tuple(one.split())
            for one in r.filter((pl.col("data_set") == name) & (pl.col("what") == "transition"))["at"]
        ]
        fit = fit_panel_markov(
            z,
            states=list("1234"),
            transitions=ways,
            death=None if name == "psor" else "4",
            alive="99" if name == "pbcseq" else None,
        )
        yield "log intensities (msm)", name, fit.log_rates, pick(r, data_set=name, what="log_rate")
        yield "their covariance", name, fit.covariance.ravel(), pick(r, data_set=name, what="covariance")
        yield "-2 log-likelihood", name, -2 * fit.loglik, pick(r, data_set=name, what="minus2loglik")
        yield (
            "transition probabilities at 5 years",
            name,
            transition_probabilities(fit, 5)[0].ravel(),
            pick(r, data_set=name, what="p5"),
        )


def interval_censored() -> Iterator[Compared]:
    data, r = csv("interval_data"), csv("interval_censored")
    for name in data["data_set"].unique(maintain_order=True):
        z = data.filter(pl.col("data_set") == name)
        left, right = (z[column].cast(float).to_numpy() for column in ("left", "right"))
        x = z.select("x1", "x2").to_numpy().astype(float)
        if name != "pbcseq_exact":
            fit = npmle(left, right)
            wanted = r.filter((pl.col("data_set") == name) & (pl.col("what") == "npmle_survival"))
            yield (
                "survival, non-parametric (plain R, KKT 1e-10)",
                name,
                survival_at(fit, wanted["at"].cast(float).to_numpy()),
                wanted["value"],
            )
            yield "its log-likelihood", name, fit.loglik, pick(r, data_set=name, what="npmle_loglik")
            frame = pl.DataFrame(
                {"arm": [f"{one:g}" for one in x[:, 0]], "left_day": left, "right_day": [None if np.isinf(one) else one for one in right],
                 "time_day": np.where(np.isinf(right), left, right), "is_event": np.isfinite(right)}
            )  # fmt: skip
            for scores in SCORES:
                yield (
                    f"score test, {scores} (plain R)",
                    name,
                    interval_log_rank(frame, scores=scores)["estimate"],
                    pick(r, data_set=name, what=f"score_{scores}"),
                )
            free = interval_hazards(left, right, x)
            yield (
                "proportional hazards, free baseline (plain R)",
                name,
                free.coefficients,
                pick(r, data_set=name, what="ph_coef"),
            )
            yield "its covariance", name, free.covariance.ravel(), pick(r, data_set=name, what="ph_var")
        for one in DISTRIBUTIONS:
            fitted = accelerated_failure(left, right, x, distribution=one)
            yield f"{one} (survreg)", name, fitted.coefficients, pick(r, data_set=name, what=f"{one}_coef")
            yield "its covariance", name, fitted.covariance.ravel(), pick(r, data_set=name, what=f"{one}_var")


def table(compared: Iterator[Compared]) -> list[str]:
    lines = [
        "| quantity | data set | values | ours (last) | R (last) | largest difference, relative to the largest value |"
    ]
    lines.append("|---|---|---|---|---|---|")
    for quantity, data_set, ours, theirs in compared:
        a, b = (np.atleast_1d(np.asarray(one, dtype=float)) for one in (ours, theirs))
        gap = np.nanmax(np.abs(a - b)) / max(np.nanmax(np.abs(b)), 1e-300)
        lines.append(f"| {quantity} | {data_set} | {a.size} | {a[-1]:.10g} | {b[-1]:.10g} | {gap:.1e} |")
    return lines


def main() -> None:
    for page, compared in (
        ("competing", competing()),
        ("states", states()),
        ("interval_censored", interval_censored()),
    ):
        lines = table(compared)
        if "--write" in sys.argv:
            path = PAGES / f"{page}.md"
            head, rest = path.read_text(encoding="utf-8").split(BEGIN)
            path.write_text(
                f"{head}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{rest.split(END)[1]}", encoding="utf-8"
            )
        print(page, *lines, sep="\n")


if __name__ == "__main__":
    main()
