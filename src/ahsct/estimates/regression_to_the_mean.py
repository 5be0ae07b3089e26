"""How much of a fall in the relapse rate would have come without treatment, from selection alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates._intervals import require_conf_level
from ahsct.estimates._risk_table import Floats
from ahsct.estimates._selected_counts import Rates, SelectedCounts
from ahsct.estimates.rows import result, results_frame

_FEWEST = 3  # patients
_METHOD = "gamma-Poisson, likelihood given selection; posterior means"


def regression_to_the_mean(
    n_before: npt.ArrayLike,
    years_before: npt.ArrayLike,
    *,
    n_window: npt.ArrayLike | None = None,
    window_years: float | None = None,
    conf_level: float = 0.95,
) -> pl.DataFrame:
    r"""Estimate the rate ratio, after to before, that would have come without treatment: regression to the mean.

    A patient's own rate is gamma distributed with mean m and shape 1/phi; relapses are Poisson given
    it. Patients were let in because they had at least c relapses in a window before treatment; c is
    taken to be the fewest that any of them had. m and phi maximise the likelihood given that
    selection, prod_i NB(x_i; m E_i, phi) / P(W_i >= c). Whatever the selection on what had
    happened, a patient's expected rate given x_i is m (1 + phi x_i) / (1 + phi m E_i), so that the
    same time watched again without treatment would be expected to bring

    $$\text{ratio} = \sum_i E_i \frac{m (1 + \phi x_i)}{1 + \phi m E_i} \Big/ \sum_i x_i$$

    times the relapses. Ageing and the natural fall of the rate with time are not in it, and neither
    is selection by anything but the count. Limits are those of the profile likelihood of that ratio
    (t quantile with n - 1 degrees of freedom), m and phi free, so that they hold at the bounds too: phi = 0 (rates alike), and m = 0 as phi
    grows (logarithmic series).

    Where nobody has more than c relapses the likelihood has no maximum (it rises as m falls to 0).
    There is no estimate then, and the upper limit is exact: the largest ratio, over all m and phi, at
    which nobody having more has probability (1 - `conf_level`) / 2. Where c is 0 nothing is known of
    a selection, and the ratio is 1 whatever the counts: it has no limits.

    Parameters
    ----------
    n_before, years_before
        Relapses and years watched before treatment, one per patient (years > 0).
    n_window, window_years
        Relapses in the last `window_years` before treatment, by which patients were let in. When
        missing the window is the whole time before.

    Returns
    -------
    pl.DataFrame
        One row of RESULTS, `statistic` rate_ratio, `mark` assumed; no `std_error`. With fewer than three
        patients, or without any relapse, there is no estimate and a note.

    Raises
    ------
    TableError
        Lengths differ, a count is negative or not whole, or a time is not above 0.
    RequestError
        The level does not lie between 0 and 1.

    References
    ----------
    Efron and Morris (1973), doi:10.1080/01621459.1973.10481350 (shrinkage to the population mean).

    Examples
    --------
    Counts as from a geometric distribution (m = 1, phi = 1, one year each) of which the zeros were
    never let in: by hand the ratio is 1 - P(0) / (1 + phi m) = 1 - (1/2) / 2 = 0.75.

    >>> counts = np.repeat(np.arange(1, 11), 2 ** np.arange(9, -1, -1))
    >>> row = regression_to_the_mean(counts, np.ones(counts.size)).row(0, named=True)
    >>> abs(row["estimate"] - 0.75) < 0.01
    True
    """
    require_conf_level(conf_level)
    counts = checked_counts(n_before, years_before, n_window, window_years)
    found = _ratio(counts, window_years, conf_level)
    row = result(
        endpoint="relapses",
        term="regression_to_the_mean",
        statistic="rate_ratio",
        unit="ratio",
        mark="assumed",
        n=counts.x.size,
        n_events=int(counts.x.sum()),
        person_years=float(np.sort(counts.years).sum()),
        **found,
    )
    return results_frame([row])


def _ratio(counts: SelectedCounts, window_years: float | None, conf_level: float) -> dict[str, Any]:
    why = not_fitted(counts)
    where = "the whole time before" if window_years is None else f"the last {window_years:g} years before"
    if counts.all_at_fewest and counts.x.size >= _FEWEST:
        return {
            "lower": 0.0,
            "upper": counts.upper_limit_at_fewest(conf_level),
            "conf_level": conf_level,
            "method": f"{_METHOD}; exact upper limit",
            "note": f"not estimated: {why}; upper limit of after / before without any treatment, if patients were let "
            f"in for {counts.fewest:g} or more relapses in {where} (the fewest found, an assumption)",
        }
    if why:
        return {"method": _METHOD, "note": f"not estimated: {why}"}
    if counts.fewest == 0:
        note = (
            f"1 because a patient was let in without any relapse in {where}: the counts then show no selection, and no error "
            "can be given; selection by anything else is not in it"
        )
        return {"estimate": 1.0, "method": _METHOD, "note": note}
    at = counts.fit()
    lower, upper = counts.limits(at, conf_level)
    return {
        "estimate": counts.ratio(at),
        "lower": lower,
        "upper": upper,
        "conf_level": conf_level,
        "df": counts.x.size - 1.0,
        "method": f"{_METHOD}; profile likelihood, t with n - 1 df",
        "note": f"expected after / before without any treatment, if patients were let in for {counts.fewest:g} or more "
        f"relapses in {where} (the fewest found, an assumption); {rates_words(at)}; ageing and the natural decline are not in it",
    }


def not_fitted(counts: SelectedCounts) -> str | None:
    """Return why the spread of rates between the patients cannot be estimated, or None."""
    if counts.x.size < _FEWEST:
        return "fewer than three patients, so the spread of rates between patients is unknown"
    if not counts.x.any():
        return "no relapse before treatment, so the spread of rates between patients is unknown"
    if counts.all_at_fewest:
        return f"nobody has more than the {counts.fewest:g} for which all were let in, which any low rate explains"
    return None


def rates_words(at: Rates) -> str:
    """Return the rate and its dispersion in words."""
    if at.mean == 0:
        return "mean rate in all such patients near 0, dispersion between them without bound (logarithmic series)"
    return f"rate {at.mean:.3g} a year in all such patients, dispersion between them {at.scale / at.mean:.2g}"


def checked_counts(
    n_before: npt.ArrayLike,
    years_before: npt.ArrayLike,
    n_window: npt.ArrayLike | None,
    window_years: float | None,
) -> SelectedCounts:
    """Return counts and years with the selection that they imply, in a fixed order of patients."""
    x, years = np.asarray(n_before, dtype=float), np.asarray(years_before, dtype=float)
    if (n_window is None) != (window_years is None):
        raise TableError("regression_to_the_mean needs `n_window` and `window_years` together, or neither.")
    if window_years is not None and not 0 < window_years < np.inf:
        raise TableError(
            f"regression_to_the_mean: `window_years` must be a time > 0; found {window_years!r}."
        )
    counts = x if n_window is None else np.asarray(n_window, dtype=float)
    window = years if window_years is None else np.minimum(years, window_years)
    if not x.shape == years.shape == counts.shape or x.ndim != 1:
        raise TableError(
            f"regression_to_the_mean needs one count and one time per patient; shapes are {x.shape}, "
            f"{years.shape} and {counts.shape}."
        )
    if not all((_is_whole(some)).all() for some in (x, counts)):
        raise TableError("regression_to_the_mean: counts of relapses must be whole numbers >= 0.")
    wrong = ~((years > 0) & np.isfinite(years))
    if wrong.any():
        raise TableError(f"regression_to_the_mean: years before must be > 0; {int(wrong.sum())} are not.")
    if (counts > x).any():
        raise TableError(
            f"regression_to_the_mean: {int((counts > x).sum())} patients have more relapses in the window than "
            "in the whole time before."
        )
    order = np.lexsort((counts, years, x))
    fewest = float(counts.min()) if counts.size else 0.0
    return SelectedCounts(x=x[order], years=years[order], window=window[order], fewest=fewest)


def _is_whole(counts: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts)))
