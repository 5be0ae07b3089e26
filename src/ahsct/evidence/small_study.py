"""Do small studies say something else than large ones? Few studies rarely answer it."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.stats import kendalltau

from ahsct.estimates.rows import result, results_frame
from ahsct.evidence._design import effects, require_studies
from ahsct.evidence.random_effects import fit_random_effects


def egger_test(y: Any, v: Any, *, tau2: str = "REML", test: str = "z") -> pl.DataFrame:
    """Regress the estimates on their standard errors, in the random-effects model.

    Returns
    -------
    pl.DataFrame
        Two rows of schema RESULTS, statistic "egger": term "slope" (0 where small and large studies agree) and "limit"
        (the mean of a study without sampling error).

    References
    ----------
    Egger, Davey Smith, Schneider and Minder (1997), doi:10.1136/bmj.315.7109.629. R: metafor 3.8.1, regtest.

    Examples
    --------
    Estimates that do not depend on their precision have slope 0:

    >>> egger_test([1.0, 1.0, 1.0, 1.0], [0.1, 0.2, 0.3, 0.4])["estimate"].round(6).abs().to_list()
    [0.0, 1.0]
    """
    y, v = effects(y, v)
    require_studies(y.size, 3, "The regression on standard errors")
    fit = fit_random_effects(y, v, x=np.column_stack([np.ones(y.size), np.sqrt(v)]), tau2=tau2, test=test)
    rows = [
        result(
            statistic="egger", unit="", term=term, estimate=fit.coefficients[i], std_error=fit.std_errors[i],
            lower=fit.lower[i], upper=fit.upper[i], conf_level=fit.conf_level, df=fit.df, p_value=fit.p_values[i],
            n=None, method=f"random-effects regression on the standard error, {tau2}, {test}",
            note=f"{y.size} studies; with fewer than 10 the test says little" if y.size < 10 else f"{y.size} studies",
        )
        for i, term in ((1, "slope"), (0, "limit"))
    ]  # fmt: skip
    return results_frame(rows)


def rank_test(y: Any, v: Any) -> pl.DataFrame:
    """Kendall's rank correlation between the standardised estimates and their variances (exact p where no ties).

    References
    ----------
    Begg and Mazumdar (1994), doi:10.2307/2533446. R: metafor 3.8.1, ranktest.

    Examples
    --------
    >>> rank_test([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])["estimate"].item()
    1.0
    """
    y, v = effects(y, v)
    require_studies(y.size, 3, "The rank test")
    pooled = float(np.sum(y / v) / np.sum(1 / v))
    centred = (y - pooled) / np.sqrt(v - 1 / np.sum(1 / v))
    tied = np.unique(centred).size < y.size or np.unique(v).size < y.size
    found = kendalltau(centred, v, method="asymptotic" if tied else "exact")
    return results_frame(
        [
            result(
                statistic="rank_correlation",
                unit="",
                estimate=found.statistic,
                p_value=found.pvalue,
                n=None,
                method=f"Kendall's tau, {'normal approximation' if tied else 'exact'}",
                note=f"{y.size} studies",
            )
        ]
    )
