"""The same patients watched again without treatment, simulated from the study's own spread of rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ahsct.chunks import random_stream
from ahsct.errors import RequestError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates.before_after import COLUMNS, watched_on_both_sides
from ahsct.estimates.regression_to_the_mean import checked_counts, not_fitted, rates_words
from ahsct.estimates.rows import result, results_frame

_DRAWS = 1_000_000  # at a time


def simulate_without_treatment(
    counts: pl.DataFrame,
    *,
    n_window: str | None = None,
    window_years: float | None = None,
    n_simulations: int = 10_000,
    seed: int = 1,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Simulate the ratio of rates, after to before, of these patients had nothing been done to them.

    Mean m and dispersion $\phi$ of the patients' rates are those of `regression_to_the_mean` (likelihood given
    selection). A patient with $x_i$ events in $E_i$ years then has a rate from the gamma distribution of shape
    $1/\phi + x_i$ and rate $1/(\phi m) + E_i$, and events in the years after from Poisson at that rate. Each simulated
    study gives one ratio of pooled rates; chance and regression to the mean are both in their spread, ageing is not.
    Pooled rates weigh patients by time, so that the mean differs from `regression_to_the_mean` where the years after are
    not in proportion to those before; the note gives the exact mean of both.

    Parameters
    ----------
    counts, n_window, window_years
        As for `before_after_rates`.
    n_simulations, seed
        Number of simulated studies, at least 100; patients are sorted by their counts and times, so that their order does
        not matter.
    conf_level
        Of the prediction interval (quantiles of the simulated ratios), between 0 and 1.

    Returns
    -------
    pl.DataFrame
        One row of schema RESULTS, statistic "rate_ratio", `term` "without treatment, simulated", `mark` assumed:
        `estimate` the mean ratio, `std_error` their standard deviation, limits that prediction interval (parameters
        taken as known), `mc_error` that of the estimate. The note gives the observed ratio, in how many simulated
        studies it was as low, and the exact mean. With fewer than three patients, no event before, or nobody above the fewest, there is no
        estimate and a note.

    Raises
    ------
    TableError
        As for `before_after_rates` and `regression_to_the_mean`.
    RequestError
        Too few simulations, or the level is unknown.

    References
    ----------
    Efron and Morris (1973), doi:10.1080/01621459.1973.10481350 (a patient's rate given the own count and all others').

    Examples
    --------
    >>> frame = pl.DataFrame({"n_before": [6, 2, 4, 3], "years_before": [3.0, 1.0, 2.0, 2.0],
    ...                       "n_after": [0, 0, 0, 0], "years_after": [5.0, 4.0, 6.0, 5.0]})
    >>> row = simulate_without_treatment(frame, n_simulations=2000).row(0, named=True)
    >>> row["note"].split("; ")[0]
    'observed 0, as low in 0 of 2000 simulated studies'
    """
    require_conf_level(conf_level)
    if n_simulations < 100:
        raise RequestError(f"n_simulations must be at least 100; found {n_simulations}.")
    kept = watched_on_both_sides("simulate_without_treatment", counts).sort(*COLUMNS)
    x, before, y, after = (kept[name].cast(pl.Float64).to_numpy() for name in COLUMNS)
    window = None if n_window is None else kept[n_window].to_numpy()
    common: dict[str, Any] = {
        "statistic": "rate_ratio",
        "unit": "ratio",
        "unit_of_analysis": "patient_year",
        "term": "without treatment, simulated",
        "n": kept.height,
        "n_not_evaluable": counts.height - kept.height,
        "n_events": int(y.sum()),
        "person_years": float(before.sum() + after.sum()),
        "mark": "assumed",
        "method": f"gamma-Poisson given each patient's own count, {n_simulations} studies, seed {seed}; prediction interval",
    }
    counts_before = checked_counts(x, before, window, window_years)
    why = not_fitted(counts_before)
    if why:
        return results_frame([result(**common, note=f"not simulated: {why}")])
    at = counts_before.fit()
    events = np.zeros(n_simulations)
    block = max(1, _DRAWS // n_simulations)
    for number, first in enumerate(range(0, kept.height, block)):
        chance = random_stream(seed, stream="without treatment", patient=number)
        some, size = slice(first, first + block), (x[first : first + block].size, n_simulations)
        rates: Floats | float = at.mean
        if at.scale > 0:
            shape, spread = at.mean / at.scale + x[some], 1 / (1 / at.scale + before[some])
            rates = chance.gamma(shape[:, None], spread[:, None], size)
        events += chance.poisson(rates * after[some, None], size).sum(axis=0)
    scale = before.sum() / x.sum() / after.sum()
    ratios: Floats = events * scale
    observed = float(y.sum()) * scale
    exact = float((after * (at.mean + at.scale * x) / (1 + at.scale * before)).sum()) * scale
    tail = (1 - conf_level) / 2
    lower, upper = np.quantile(ratios, [tail, 1 - tail])
    n_as_low = int((ratios <= observed * (1 + 1e-12)).sum())
    return results_frame(
        [
            result(
                **common,
                estimate=ratios.mean(),
                std_error=ratios.std(ddof=1),
                lower=lower,
                upper=upper,
                conf_level=conf_level,
                mc_error=ratios.std(ddof=1) / n_simulations**0.5,
                note=f"observed {observed:.3g}, as low in {n_as_low} of {n_simulations} simulated studies; exact mean "
                f"{exact:.3g}, and {counts_before.ratio(at):.3g} had each been watched as long after as before (regression "
                f"to the mean alone: the rest is who was watched for longer); {rates_words(at)}; ageing and the natural "
                "decline are not in it",
            )
        ]
    )
