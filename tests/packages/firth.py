"""Firth's penalised Cox model beside coxphf: coefficients, errors, profile limits and p, likelihood ratio."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.packages.pairs import Pair, pair, read, shared, values

from ahsct.estimates.cox_profile import profile
from ahsct.estimates.cox_regression import cox_regression

R = "coxphf"


def compared() -> Iterator[Pair]:
    """Yield the comparisons; coxphf takes ties by Breslow's formula."""
    r = read("firth")
    for (name,), rows in (
        shared("cox_data").partition_by("data_set", as_dict=True, maintain_order=True).items()
    ):
        entry = rows["entry"].to_numpy().astype(float)
        fit = cox_regression(
            rows["time"],
            rows["event"],
            rows.select("x1", "x2", "x3").to_numpy(),
            entry=np.where(entry > 0, entry, -np.inf),
            ties="breslow",
            firth=True,
        )
        limits = [profile(fit, j) for j in range(3)]
        label = f"{name} (delayed entry)" if entry.any() else str(name)
        for quantity, what, ours in (
            ("coefficients", "coefficient", fit.coefficients),
            ("standard errors", "std_error", np.sqrt(np.diag(fit.covariance))),
            ("lower profile limits", "lower", [one.lower for one in limits]),
            ("upper profile limits", "upper", [one.upper for one in limits]),
            ("p of the profile likelihood", "p", [one.p_value for one in limits]),
            ("likelihood ratio", "likelihood_ratio", 2 * (fit.likelihood.value - fit.null.value)),
        ):
            theirs = values(r, data_set=name, what=what)
            yield pair(f"Firth: {quantity}", R, label, ours, theirs, 1e-6)
