"""Proportions, rates, ratios and pairs beside exactci, rateratio.test and exact2x2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from tests.packages.pairs import Pair, pair, read

from ahsct import estimates as est
from ahsct.estimates.beta_product import bounds
from ahsct.estimates.melding import melded

TOLERANCES = {"melded proportions": 1e-6}  # theirs are roots of integrals


def ours(what: str, a: float, b: float, c: float | None, d: float | None) -> Any:
    """Return our numbers for one row of the table."""
    kind, method = what.split(", ")
    if kind == "proportion":
        return est.exact_proportion(int(a), int(b), method=method).select("lower", "upper").row(0)
    if kind == "rate":
        return est.exact_rate(int(a), b, method=method).select("lower", "upper").row(0)
    if kind == "paired odds ratio":
        found = est.mcnemar(int(a), int(b), int(c or 0)).filter(statistic="paired_odds_ratio")
        return found.select("lower", "upper", "p_value").row(0)
    assert c is not None
    assert d is not None
    if kind == "rate ratio":
        if method == "p by minlike":
            return est.rate_ratio(int(a), b, int(c), d, with_p_value=True)["p_value"].to_list()
        return est.rate_ratio(int(a), b, int(c), d, method=method).select("lower", "upper").row(0)
    own, reference = (
        bounds(np.array([n]), np.array([n - x]), x) for x, n in ((int(a), int(b)), (int(c), int(d)))
    )
    scale = {"oddsratio": "odds_ratio", "p and Fisher's": "difference"}.get(method, method)
    found = melded(own, reference, scale=scale)
    return [found.p_value] if method == "p and Fisher's" else found


def compared() -> Iterator[Pair]:
    """Yield the comparisons, a row of counts each."""
    table = read("counts").with_columns(pl.col("a", "b", "c", "d", "value").cast(pl.Float64))
    for (package, what, name, *counts), rows in table.partition_by(
        "package", "what", "data_set", "a", "b", "c", "d", as_dict=True, maintain_order=True
    ).items():
        found = [np.nan if one is None else one for one in ours(str(what), *counts)]  # type: ignore[arg-type]
        theirs = rows["value"].fill_null(np.nan).to_numpy()
        required = TOLERANCES.get(str(what).split(", ")[0], 1e-10)
        yield pair(str(what), str(package), str(name), found, theirs, required)
