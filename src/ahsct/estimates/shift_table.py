"""Shift tables: from which category patients moved into which, with nobody left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates.proportions import clopper_pearson
from ahsct.estimates.rows import result, results_frame
from ahsct.vocabulary import require_columns

_MISSING = "missing"


def shift_table(values: pl.DataFrame, *, conf_level: float = 0.95) -> pl.DataFrame:
    """Return the share of each later category within each earlier one, and the test of equal margins.

    Parameters
    ----------
    values
        One row per patient: `patient_id`, `before`, `after` (numbers or words); what is missing is a
        category of its own.
    conf_level
        Of the exact intervals, two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: "shift" for every pair of categories, term `<before> to <after>`, n those with that
        category before, with the Clopper-Pearson interval; then "marginal_homogeneity": Stuart and Maxwell's
        chi-squared of those with both values.

    Raises
    ------
    TableError
        A column is missing, or a patient stands twice.
    RequestError
        The level does not lie between 0 and 1.

    References
    ----------
    Maxwell (1970), doi:10.1192/bjp.116.535.651. R: coin::mh_test(table), coin 1.4.2.

    Examples
    --------
    Two started low, two high, of whom one has no later value:

    >>> values = pl.DataFrame({"patient_id": list("abcd"), "before": ["low", "low", "high", "high"],
    ...                        "after": ["low", "high", "low", None]})
    >>> rows = shift_table(values)
    >>> rows.filter(statistic="shift").select("term", "n_events", "n").rows()
    [('high to high', 0, 2), ('high to low', 1, 2), ('high to missing', 1, 2), ('low to high', 1, 2),
     ('low to low', 1, 2), ('low to missing', 0, 2)]
    """
    require_columns("shift_table", "values", values, ["patient_id", "before", "after"])
    require_conf_level(conf_level)
    if values["patient_id"].is_duplicated().any():
        raise TableError("shift_table needs one row per patient; a patient stands in `values` twice.")
    before, after = values["before"].to_list(), values["after"].to_list()
    known = sorted({value for value in (*before, *after) if value is not None})
    place: dict[Any, int] = {value: k for k, value in enumerate([*known, None])}
    counts = np.zeros((len(place), len(place)), dtype=int)
    for a, b in zip(before, after, strict=True):
        counts[place[a], place[b]] += 1
    names = [f"{value:g}" if isinstance(value, float) else str(value) for value in known] + [_MISSING]
    has = [*range(len(known)), *([len(known)] if counts[-1].any() else [])]
    to = [*range(len(known)), *([len(known)] if counts[:, -1].any() else [])]
    rows = [
        _share(f"{names[a]} to {names[b]}", int(counts[a, b]), int(counts[a].sum()), conf_level)
        for a in has
        for b in to
    ]
    return results_frame([*rows, _margins(counts[:-1, :-1], values.height)])


def _share(term: str, x: int, n: int, conf_level: float) -> dict[str, Any]:
    row = result(statistic="shift", unit="probability", term=term, n=n, n_events=x, method="Clopper-Pearson")
    if n == 0:
        return row | {"method": "none", "note": "nobody had this category before"}
    lower, upper = clopper_pearson(x, n, (1 - conf_level) / 2)
    return row | {"estimate": x / n, "lower": lower, "upper": upper, "conf_level": conf_level}


def _margins(counts: npt.NDArray[np.int_], n_all: int) -> dict[str, Any]:
    """Stuart-Maxwell: differences of the margins, their null covariance from the cells off the diagonal."""
    from scipy.special import chdtrc

    n = int(counts.sum())
    row = result(
        statistic="marginal_homogeneity",
        unit="chi-squared",
        n=n,
        n_not_evaluable=n_all - n,
        method="Stuart-Maxwell",
    )
    moved = counts - np.diag(np.diag(counts))
    if not moved.any():
        return row | {"p_value": 1.0 if n else None, "note": "nobody with both values changed category"}
    difference = moved.sum(axis=1) - moved.sum(axis=0)
    covariance = np.diag(moved.sum(axis=1) + moved.sum(axis=0)) - moved - moved.T
    df = int(np.linalg.matrix_rank(covariance))
    statistic = float(difference @ np.linalg.pinv(covariance.astype(float), hermitian=True) @ difference)
    return row | {"estimate": statistic, "df": float(df), "p_value": float(chdtrc(df, statistic))}
