"""Two slopes with a break between them, known or estimated: the early loss of brain volume, and the late one.

Shortly after the transplant brain volume falls for reasons other than lost tissue (pseudo-atrophy:
inflammation and water leave); only the slope after the break speaks of the disease.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import RequestError, TableError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._linear_tests import DF_NAMES, require_df_method, t_interval, with_note
from ahsct.estimates._values import repeated_values
from ahsct.estimates.mixed_model import MixedModel, linear_mixed_model
from ahsct.estimates.rows import result, results_frame
from ahsct.estimates.slopes import fit_note, random_columns, random_effects_name

Array = npt.NDArray[np.float64]

_GRID = 40  # places where the likelihood of a break is looked at before it is refined


def broken_stick(
    values: pl.DataFrame,
    *,
    unit: str,
    break_years: float | None = None,
    random_effects: str = "intercept",
    df_method: str = "kenward-roger",
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Return the slopes before and after a break, their difference and, where it is estimated, the break.

    y = a + b_1 t + d max(t - c, 0) + random part + e; the slopes are b_1 and b_1 + d. An unknown break c is
    the one of largest likelihood (full likelihood: restricted ones of different X cannot be compared); its
    interval holds every c whose deviance lies within the chi-squared quantile (1 df) of the smallest. The
    slopes are then those of the restricted fit at that break; their errors come from the fit with one column
    more, -d 1(t > c), so that they carry that the break was estimated.

    Parameters
    ----------
    values
        `patient_id`, `years`, `number`, one row per patient and time; a row without time or number is left out
        and counted.
    unit
        Of `number`.
    break_years
        The known break; missing: estimated, between the second and the last but one distinct time.
    random_effects
        "intercept", "slope" or "uncorrelated_slope".
    df_method
        "kenward-roger" or "satterthwaite".
    conf_level
        Two-sided, between 0 and 1.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS, statistic "broken_stick": terms slope_before, slope_after, slope_change and, where
        estimated, break. What cannot be estimated has no estimate and a note.

    Raises
    ------
    TableError
        A column or a patient is missing, a number is not finite, or a patient has two rows at one time.
    RequestError
        The break is not finite, or a choice is unknown.

    References
    ----------
    Muggeo (2003), doi:10.1002/sim.1545 (the extra column).
    R: lmer(number ~ years + pmax(years - c, 0) + (1 | patient_id)), over c by optimize; see
    tests/reference/longitudinal/broken_stick.R.

    Examples
    --------
    Two patients on parallel lines that break at year 1, slopes -2 and -0.5, values off by a hundredth:

    >>> t = [0.0, 0.5, 1.0, 2.0, 3.0]
    >>> line = [-2 * min(x, 1) - 0.5 * max(x - 1, 0) for x in t]
    >>> off = [0.01, -0.01, 0.01, -0.01, 0.01]
    >>> values = pl.DataFrame({"patient_id": ["a"] * 5 + ["b"] * 5, "years": t * 2,
    ...                        "number": [y + e for y, e in zip(line, off)] + [5 + y - e for y, e in zip(line, off)]})
    >>> rows = broken_stick(values, unit="percent", break_years=1.0)
    >>> rows.select("term", pl.col("estimate").round(3)).rows()
    [('slope_before', -2.0), ('slope_after', -0.5), ('slope_change', 1.5)]
    """
    frame, left_out = repeated_values("broken_stick", values, needed=["years", "number"], time="years")
    require_conf_level(conf_level)
    if break_years is not None and not np.isfinite(break_years):
        raise RequestError(f"break_years must be a finite number; found {break_years!r}.")
    data = _Data(
        y=frame["number"].to_numpy().astype(float),
        t=frame["years"].to_numpy().astype(float),
        group=frame["patient_id"].to_numpy(),
        random_effects=random_effects,
    )
    method = f"linear mixed model with a break (REML, {random_effects_name(random_effects)}, {DF_NAMES[require_df_method(df_method)]} df)"
    terms = ("slope_before", "slope_after", "slope_change", *(("break",) if break_years is None else ()))
    common: dict[str, Any] = {
        "statistic": "broken_stick",
        "n": frame["patient_id"].n_unique(),
        "method": method,
    }
    about = f"; {left_out.height} rows without time or number left out" if left_out.height else ""
    try:
        rows = _slopes(data, break_years, df_method, conf_level)
    except TableError as error:
        rows = [{"note": f"not estimated: {error}"} for _ in terms]
    for term, row in zip(terms, rows, strict=True):
        row["term"], row["unit"] = term, "years" if term == "break" else f"{unit} per year"
        row["note"] += about
    return results_frame(result(**{**common, **row}) for row in rows)


@dataclass(frozen=True, kw_only=True)
class _Data:
    y: Array
    t: Array
    group: npt.NDArray[Any]
    random_effects: str

    def columns(self, at: float) -> Array:
        return np.column_stack([np.ones_like(self.t), self.t, np.maximum(self.t - at, 0)])

    def fit(self, X: Array, *, reml: bool = True) -> MixedModel:
        return linear_mixed_model(
            self.y,
            X,
            self.group,
            Z=random_columns(self.t, self.random_effects),
            is_correlated=self.random_effects != "uncorrelated_slope",
            reml=reml,
        )

    def deviance(self, at: float) -> float:
        return -2 * float(self.fit(self.columns(at), reml=False).log_likelihood)


def _slopes(
    data: _Data, break_years: float | None, df_method: str, conf_level: float
) -> list[dict[str, Any]]:
    weights = ([0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0])
    if break_years is not None:
        fit = data.fit(data.columns(break_years))
        note = f"break at {break_years:g} years, taken as known; {fit_note(fit)}"
        return [
            with_note(t_interval(*fit.contrast(w, df_method=df_method), conf_level), note) for w in weights
        ]
    at, lower, upper, edge = profiled_break(data.deviance, data.t, conf_level)
    if np.unique(data.t[data.t > at]).size < 2:  # its error has to be told from the slope after it
        raise TableError(
            f"the likelihood of a break has its maximum at {at:.3g} years, the end of the range; one distinct time "
            "after it tells no slope and break. State the break, or take a mixed model without one."
        )
    fit = data.fit(data.columns(at))
    extra = data.fit(np.column_stack([data.columns(at), -fit.coefficients[2] * (data.t > at)]))
    note = f"break estimated, {at:.3g} years; errors carry it; {fit_note(fit)}"
    if np.isin(at, data.t):
        note += "; the break falls on a visit, where the likelihood has a kink: errors are approximate"
    rows = []
    for w in weights:
        std_error, df = extra.contrast([*w, 0.0], df_method=df_method)[1:]
        estimate = float(np.dot(w, fit.coefficients))
        rows.append(with_note(t_interval(estimate, std_error, df, conf_level), note))
    rows.append(
        {
            "estimate": at,
            "lower": lower,
            "upper": upper,
            "conf_level": conf_level,
            "method": "full likelihood; profile-likelihood interval (hull)",
            "note": edge,
        }
    )
    return rows


def profiled_break(
    deviance: Callable[[float], float], t: Array, conf_level: float
) -> tuple[float, float | None, float | None, str]:
    """Return the break of smallest deviance, its profile interval, and a note on the range looked at.

    A limit is missing where the deviance stays within the quantile up to the end of the range.

    Raises
    ------
    TableError
        There are fewer than four distinct times.
    """
    from scipy.optimize import brentq, minimize_scalar
    from scipy.special import chdtri

    times = np.unique(t)
    if times.size < 4:
        raise TableError(f"an estimated break needs four or more distinct times; found {times.size}.")
    # dense where visits are: a break between two visits that are close moves few values
    ranks = np.linspace(1, times.size - 2, _GRID)
    grid = np.interp(ranks, np.arange(times.size), times)
    if times.size <= _GRID:
        grid = np.union1d(grid, times[1:-1])
    heights = np.array([deviance(at) for at in grid])
    place = int(heights.argmin())
    at, least = float(grid[place]), float(heights[place])
    for left, right in ((place - 1, place), (place, place + 1)):
        if 0 <= left and right < grid.size:  # each side alone: the deviance may have a kink at a time
            found = minimize_scalar(
                deviance, bounds=(grid[left], grid[right]), method="bounded", options={"xatol": 1e-9}
            )
            if found.fun < least:
                at, least = float(found.x), float(found.fun)
    place = int(np.searchsorted(grid, at))
    if place == grid.size or grid[place] != at:
        grid, heights = np.insert(grid, place, at), np.insert(heights, place, least)
    limit = least + float(chdtri(1, 1 - conf_level))
    inside = np.flatnonzero(heights <= limit)

    def crossing(a: int, b: int) -> float:
        return float(brentq(lambda c: deviance(c) - limit, grid[a], grid[b], xtol=1e-10))

    first, last = int(inside[0]), int(inside[-1])
    lower = None if first == 0 else crossing(first - 1, first)
    upper = None if last == grid.size - 1 else crossing(last, last + 1)
    note = (
        f"looked for between {times[1]:.3g} and {times[-2]:.3g} years (second and last but one distinct time)"
    )
    open_ends = [name for name, end in (("lower", lower), ("upper", upper)) if end is None]
    if open_ends:
        note += f"; no {' and no '.join(open_ends)} limit: the data allow a break up to the end of that range"
    return at, lower, upper, note
