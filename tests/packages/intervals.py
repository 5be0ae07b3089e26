"""Events found at visits beside interval (icfit, ictest) and icenReg (ic_np, ic_sp, ic_par)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from tests.packages.pairs import Pair, pair, read, shared, values

from ahsct.estimates import interval_log_rank, interval_regression
from ahsct.estimates.accelerated_failure import accelerated_failure
from ahsct.estimates.interval_hazards import interval_hazards
from ahsct.estimates.turnbull import npmle, survival_at

SCORES = {"sun": "logrank1", "finkelstein": "logrank2", "wilcoxon": "wmw"}
DISTRIBUTIONS = {"weibull": "weibull", "exponential": "exponential", "lognormal": "lnorm"}
LABELS = {
    "pbcseq_exact": "pbcseq (some exact)",
    "mice": "mice (seen once)",
    "diabetes": "diabetes (ties, exact)",
}


def frame(rows: pl.DataFrame, arm: pl.Series) -> pl.DataFrame:
    """Return the table that our tests take."""
    right = pl.when(pl.col("right").is_finite()).then("right")
    return rows.select(
        arm=arm.cast(str), left_day="left", right_day=right, time_day=pl.min_horizontal("right", pl.col("left") + 1),
        is_event=pl.col("right").is_finite(),
    )  # fmt: skip


def hazard_ratios(rows: pl.DataFrame, p: int) -> pl.DataFrame:
    """Return the logarithms of our Weibull hazard ratios and their errors."""
    patients = pl.int_range(pl.len()).cast(pl.String)
    outcomes = frame(rows, rows["x1"]).drop("arm").with_columns(patient_id=patients)
    terms = ["x1", "x2"][:p]
    covariates = rows.select(*terms, patient_id=patients)
    found = interval_regression(outcomes, covariates, terms=terms, model="weibull").filter(
        statistic="hazard_ratio"
    )
    return found.select("std_error", log_ratio=pl.col("estimate").log())


def compared() -> Iterator[Pair]:
    """Yield the comparisons."""
    numbers = pl.col("left", "right", "x1", "x2").cast(pl.Float64)
    data = pl.concat(
        [shared("interval_data").with_columns(numbers), read("intervals_data").with_columns(numbers)]
    )
    r = read("intervals")
    for name in r["data_set"].unique(maintain_order=True):
        if name == "p06_small":
            continue
        rows, label = data.filter(pl.col("data_set") == name), LABELS.get(name, name)
        left, right = rows["left"].to_numpy(), rows["right"].to_numpy()
        x = rows.select("x1", "x2").to_numpy()
        x = x if x[:, 1].std() > 0 else x[:, :1]
        fit = npmle(left, right)
        for package, call in (("interval", "icfit"), ("icenReg", "ic_np")):
            own = r.filter(package=package, data_set=name, what="survival")
            at = own["at"].cast(pl.Float64).to_numpy()
            # EM stops where no place gains more than 1e-10 (cav 1e-7): a probability is right to about its root
            yield pair(
                f"survival, non-parametric ({call})", package, label, survival_at(fit, at), own["value"].cast(pl.Float64), 1e-6, is_absolute=True,
            )  # fmt: skip
            theirs = values(r, package=package, data_set=name, what="loglik")
            yield pair(f"its log-likelihood ({call})", package, label, fit.loglik, theirs, 1e-9)
        thirds = (pl.Series(np.arange(1, rows.height + 1)) % 3).alias("arm")
        for ours, theirs in SCORES.items():
            for groups, arm in (("two", rows["x1"]), ("three", thirds)):
                found = interval_log_rank(frame(rows, arm), scores=ours).select("estimate", "p_value").row(0)
                wanted = values(r, data_set=name, what=f"{groups}_{theirs}")
                yield pair(
                    f"score test, {groups} arms, {ours} (ictest)", "interval", label, found, wanted, 1e-6
                )
        hazards = interval_hazards(left, right, x)
        theirs = values(r, data_set=name, what="ph_loglik")
        yield pair(
            "proportional hazards, free baseline: log-likelihood (ic_sp)",
            "icenReg",
            label,
            hazards.loglik,
            theirs,
            1e-9,
        )
        if (theirs := values(r, data_set=name, what="ph_coefficient")).size:
            yield pair("its coefficients", "icenReg", label, hazards.coefficients, theirs, 1e-6)
            nearby = values(r, data_set=name, what="ph_nearby")
            theirs = values(r, data_set=name, what="ph_loglik_nearby")
            yield pair(
                "its profile likelihood elsewhere",
                "icenReg",
                label,
                hazards.likelihood(nearby)[0],
                theirs,
                1e-9,
            )
        for ours, theirs in DISTRIBUTIONS.items():
            if not (wanted := values(r, data_set=name, what=f"{theirs}_loglik")).size:
                continue
            aft = accelerated_failure(left, right, x, distribution=ours)
            yield pair(f"{ours}: log-likelihood (ic_par)", "icenReg", label, aft.loglik, wanted, 1e-9)
            wanted = values(r, data_set=name, what=f"{theirs}_coefficient")
            yield pair(
                f"{ours}: coefficients",
                "icenReg",
                label,
                aft.coefficients[1:],
                wanted,
                1e-5,
                is_absolute=True,
            )
            wanted = values(r, data_set=name, what=f"{theirs}_std_error")
            errors = np.sqrt(np.diag(aft.covariance))[1 : aft.coefficients.size]
            # theirs are by numerical differences; beside survreg ours agree to 1e-12
            yield pair(f"{ours}: standard errors", "icenReg", label, errors, wanted, 1e-3)
            if ours == "weibull":
                ratios = hazard_ratios(rows, x.shape[1])
                for column, what, required, is_absolute in (
                    ("log_ratio", "weibull_log_hazard_ratio", 1e-5, True),
                    ("std_error", "weibull_log_hazard_ratio_error", 1e-3, False),
                ):
                    wanted = values(r, data_set=name, what=what)
                    words = f"weibull as proportional hazards: {column.replace('_', ' ')}"
                    yield pair(
                        words, "icenReg", label, ratios[column], wanted, required, is_absolute=is_absolute
                    )
    rows = data.filter(data_set="p06").group_by("x1", maintain_order=True).head(9)
    for ours, theirs in SCORES.items():
        found = interval_log_rank(frame(rows, rows["x1"]), scores=ours, n_permutations=20_000, seed=1)
        p = values(r, data_set="p06_small", what=theirs)
        # four standard errors of the share among the permutations drawn
        required = 4 * float(np.sqrt(p[0] * (1 - p[0]) / 20_000))
        label = "9 + 9 of p06"
        yield pair(
            f"permutation p, {ours} (ictest, all permutations)",
            "interval",
            label,
            found["p_value"],
            p,
            required,
            is_absolute=True,
        )
