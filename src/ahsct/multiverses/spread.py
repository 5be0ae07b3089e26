"""How much of the spread of the answers each choice makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.definitions import Grid

SPREAD = pl.Schema(
    {
        "arm": pl.String(),
        "time_years": pl.Float64(),
        "dimension": pl.String(),
        "main_share": pl.Float64(),
        "total_share": pl.Float64(),
        "lowest": pl.Float64(),
        "highest": pl.Float64(),
        "n_points": pl.Int64(),
        "note": pl.String(),
    }
)
_SAME = 1e-12  # a variance of cloglog values below is rounding


def one_each(answers: pl.DataFrame) -> pl.DataFrame:
    """Return one row per point, arm and milestone: with the definition's interval, else the exact one.

    The definition's interval has no limits where the estimate is 0 or 1.
    """
    has_limits = pl.col("lower").is_not_null() & pl.col("upper").is_not_null()
    is_own = pl.col("method").str.starts_with("Kaplan-Meier")
    place = pl.when(is_own & has_limits).then(0).when(has_limits).then(1).when(is_own).then(2).otherwise(3)
    key = ["point", "arm", "time_years"]
    return (
        answers.with_columns(place.alias("_place"))
        .sort(*key, "_place", maintain_order=True)
        .unique(key, keep="first", maintain_order=True)
        .drop("_place")
    )


def share_spread(answers: pl.DataFrame, grid: Grid) -> pl.DataFrame:
    r"""Return each dimension's main and total share of the variance of the answers over a full grid.

    With $z = \log(-\log \hat S)$ over all combinations, each counted once,

    $$M_j = \mathrm{Var}(E[z \mid j]) / \mathrm{Var}(z), \quad T_j = E[\mathrm{Var}(z \mid \text{all but } j)] / \mathrm{Var}(z).$$

    Main shares add up to at most 1; what they lack comes from choices that matter only together, which the
    total shares count for each that takes part. An estimate of 0 or 1 is moved by half an event,
    $1/(2n)$. The variance describes this grid, whose definitions are no sample.

    Parameters
    ----------
    answers
        From `multiverse`.
    grid
        The grid that was asked.

    Returns
    -------
    pl.DataFrame
        Schema SPREAD, by arm and milestone in the order of the dimensions. `lowest` and `highest` are the
        means over the other dimensions under the choice of lowest and of highest mean, back from the cloglog
        scale. Shares are missing, and the note says why, where combinations are excluded or have no estimate,
        or all answers are equal.

    References
    ----------
    Saltelli et al. (2010), doi:10.1016/j.cpc.2009.09.018, the indices; here by summation over the whole grid.

    Examples
    --------
    >>> from ahsct import load_example, multiverse
    >>> from ahsct.definitions import load_grid
    >>> grid = load_grid("activity_free_survival")
    >>> shares = share_spread(multiverse(load_example("atkins2016"), grid), grid)
    >>> shares["main_share"].sum() <= 1
    True
    """
    rows: list[dict[str, Any]] = []
    own = one_each(answers)
    for (arm, years), group in own.filter(pl.col("time_years").is_not_null()).group_by(
        "arm", "time_years", maintain_order=True
    ):
        n_without = len(grid.combinations) - group["estimate"].drop_nulls().len()
        why = (
            f"{len(grid.excluded)} combinations are excluded: only a full grid can be divided"
            if not grid.is_full
            else f"{n_without} of {len(grid.combinations)} definitions give no estimate"
            if n_without
            else None
        )
        z = None if why else _on_grid(group, grid)
        variance = 0.0 if z is None else float(z.var())
        if z is not None and variance < _SAME:
            why = "all definitions give the same answer"
        for axis, dimension in enumerate(grid.dimensions):
            row: dict[str, Any] = {
                "arm": arm,
                "time_years": years,
                "dimension": dimension.id,
                "n_points": group.height,
            }
            if z is not None:
                others = tuple(one for one in range(z.ndim) if one != axis)
                means = z.mean(axis=others)
                # a greater z is a lower probability of being free of the event
                row |= {"lowest": _probability(means.max()), "highest": _probability(means.min())}
                if not why:
                    row |= {
                        "main_share": _share(float(means.var()), variance),
                        "total_share": _share(float(z.var(axis=axis).mean()), variance),
                    }
            rows.append({"note": why, **row})
    return pl.DataFrame(rows, schema=SPREAD)


def cloglog(estimate: npt.ArrayLike, n: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return log(-log S); an S of 0 or 1 is moved by half an event among n.

    Examples
    --------
    >>> cloglog([np.exp(-1), 1.0], [10, 10]).round(3).tolist()
    [0.0, -2.97]
    """
    s, n = np.asarray(estimate, dtype=np.float64), np.asarray(n, dtype=np.float64)
    s = np.where(s >= 1, 1 - 0.5 / n, np.where(s <= 0, 0.5 / n, s))
    return np.asarray(np.log(-np.log(s)), dtype=np.float64)


def _on_grid(group: pl.DataFrame, grid: Grid) -> npt.NDArray[np.float64]:
    """Return the answers as an array with one axis per dimension (points are numbered in that order)."""
    group = group.sort("point")
    return cloglog(group["estimate"], group["n"]).reshape([len(one.choices) for one in grid.dimensions])


def _share(part: float, whole: float) -> float:
    return 0.0 if part < _SAME * whole else part / whole


def _probability(z: float) -> float:
    return float(np.exp(-np.exp(z)))
