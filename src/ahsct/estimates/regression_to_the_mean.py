"""How much of a fall in the relapse rate would have come without treatment, from selection alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import TableError
from ahsct.estimates.rows import result, results_frame

Array = npt.NDArray[np.float64]

_LOG_PHI = np.log([1e-6, 1e2])  # 1e-6 is Poisson for any count of relapses
_METHOD = "gamma-Poisson, likelihood given selection; posterior means; infinitesimal jackknife"


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
    is selection by anything but the count.

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
        One row of RESULTS, `statistic` rate_ratio, `mark` assumed. With fewer than three patients,
        or without any relapse, there is no estimate and a note.

    Raises
    ------
    TableError
        Lengths differ, a count is negative or not whole, or a time is not above 0.

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
    x, years, window_counts, window = checked_counts(n_before, years_before, n_window, window_years)
    common = {
        "endpoint": "relapses",
        "term": "regression_to_the_mean",
        "mark": "assumed",
        "n_events": int(x.sum()),
        "person_years": float(np.sort(years).sum()),
    }
    if x.size < 3 or x.sum() == 0:
        why = "fewer than three patients" if x.size < 3 else "no relapse before treatment"
        row = result(
            statistic="rate_ratio",
            unit="ratio",
            n=x.size,
            method=_METHOD,
            note=f"not estimated: {why}, so the spread of rates between patients is unknown",
            **common,
        )
        return results_frame([row])
    fewest = float(window_counts.min())
    parameters = fit_given_selection(x, years, window, fewest)
    m, phi = np.exp(parameters)
    estimate = float(_expected(parameters, x, years).sum() / x.sum())
    log_se = _log_error(parameters, x, years, window, fewest)
    from scipy.special import stdtrit

    half = float(stdtrit(x.size - 1, (1 + conf_level) / 2)) * log_se
    where = f"the last {window_years:g} years before" if window_years is not None else "the whole time before"
    row = result(
        statistic="rate_ratio",
        unit="ratio",
        n=x.size,
        method=_METHOD,
        estimate=estimate,
        std_error=estimate * log_se,
        lower=estimate * float(np.exp(-half)),
        upper=estimate * float(np.exp(half)),
        conf_level=conf_level,
        df=float(x.size - 1),
        note=(
            f"expected after / before without any treatment, if patients were let in for {fewest:g} or more "
            f"relapses in {where} (the fewest found, an assumption); rate {m:.3g} a year in all such patients, "
            f"dispersion between them {phi:.2g}; ageing and the natural decline are not in it"
        ),
        **common,
    )
    return results_frame([row])


def checked_counts(
    n_before: npt.ArrayLike,
    years_before: npt.ArrayLike,
    n_window: npt.ArrayLike | None,
    window_years: float | None,
) -> tuple[Array, Array, Array, Array]:
    """Return counts, years, window counts and window years in a fixed order of patients."""
    x, years = np.asarray(n_before, dtype=float), np.asarray(years_before, dtype=float)
    if (n_window is None) != (window_years is None):
        raise TableError("regression_to_the_mean needs `n_window` and `window_years` together, or neither.")
    counts = x if n_window is None else np.asarray(n_window, dtype=float)
    window = years if window_years is None else np.minimum(years, window_years)
    if not x.shape == years.shape == counts.shape or x.ndim != 1:
        raise TableError(
            f"regression_to_the_mean needs one count and one time per patient; shapes are {x.shape}, "
            f"{years.shape} and {counts.shape}."
        )
    if x.size and not ((x >= 0).all() and (x == np.floor(x)).all() and (counts >= 0).all()):
        raise TableError("regression_to_the_mean: counts of relapses must be whole numbers >= 0.")
    if x.size and not (years > 0).all():
        raise TableError(
            f"regression_to_the_mean: years before must be > 0; {int((~(years > 0)).sum())} are not."
        )
    if (counts > x).any():
        raise TableError(
            f"regression_to_the_mean: {int((counts > x).sum())} patients have more relapses in the window than "
            "in the whole time before."
        )
    order = np.lexsort((counts, years, x))
    return x[order], years[order], counts[order], window[order]


def _losses(parameters: Array, x: Array, years: Array, window: Array, fewest: float) -> Array:
    """Return each patient's negative log likelihood given selection, at (log m, log phi), up to a constant."""
    from scipy.special import betainc

    m, phi = np.exp(parameters)
    rising = np.concatenate([[0.0], np.cumsum(np.log1p(phi * np.arange(x.max())))])
    mean = m * years
    likelihood = rising[x.astype(int)] + x * np.log(mean) - (x + 1 / phi) * np.log1p(phi * mean)
    if fewest > 0:
        odds = phi * m * window
        likelihood -= np.log(np.maximum(betainc(fewest, 1 / phi, odds / (1 + odds)), 1e-300))
    return np.asarray(-likelihood)


def fit_given_selection(x: Array, years: Array, window: Array, fewest: float) -> Array:
    """Return (log m, log phi) that maximise the likelihood given selection."""
    from scipy.optimize import minimize

    crude = float(np.log(x.sum() / years.sum()))
    bounds = [(crude - 10, crude + 3), (float(_LOG_PHI[0]), float(_LOG_PHI[1]))]

    def loss(parameters: Array) -> float:
        return float(_losses(parameters, x, years, window, fewest).mean())

    fits = [
        minimize(
            loss,
            np.array([crude, log_phi]),
            method="Nelder-Mead",
            bounds=bounds,
            options={"xatol": 1e-9, "fatol": 1e-14, "maxiter": 2000},
        )
        for log_phi in (-3.0, 0.0)
    ]
    return np.asarray(min(fits, key=lambda fit: float(fit.fun)).x)


def _expected(parameters: Array, x: Array, years: Array) -> Array:
    """Return the relapses expected of each patient had the same time been watched again, untreated."""
    m, phi = np.exp(parameters)
    return np.asarray(years * m * (1 + phi * x) / (1 + phi * m * years))


def _log_error(parameters: Array, x: Array, years: Array, window: Array, fewest: float) -> float:
    """Return the standard error of the log ratio from each patient's influence on it.

    A dispersion at its bound is taken as known: there the likelihood has no maximum to move.
    """
    free = np.array([True, bool(np.abs(_LOG_PHI - parameters[1]).min() > 1e-3)])
    steps = 1e-4 * np.eye(2)[free]

    def slope(function: Callable[[Array], Array]) -> Array:
        return np.array(
            [(function(parameters + step) - function(parameters - step)) / 2e-4 for step in steps]
        )

    def score(at: Array) -> Array:
        return np.array(
            [
                (_losses(at + step, x, years, window, fewest) - _losses(at - step, x, years, window, fewest))
                / 2e-4
                for step in steps
            ]
        )

    information = slope(lambda at: score(at).sum(axis=1))
    expected = _expected(parameters, x, years)
    gradient = slope(lambda at: _expected(at, x, years).sum(keepdims=True))[:, 0] / expected.sum()
    influence = (
        expected / expected.sum()
        - x / x.sum()
        - gradient @ np.linalg.pinv((information + information.T) / 2, hermitian=True) @ score(parameters)
    )
    return float(np.sqrt(x.size / (x.size - 1) * (influence @ influence)))
