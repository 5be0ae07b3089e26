"""Log-rank tests of two or more arms: stratified, weighted, with delayed entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._design import codes
from ahsct.estimates._groups import ALL_BUT_ARM, Group, groups, require_no_competing_event
from ahsct.estimates._risk_table import Counts, Floats, risk_table
from ahsct.estimates.counting_process import known_at_start
from ahsct.estimates.rows import result, results_frame

# each by its definition: from patients at risk n and events d at each event time to a weight
WEIGHTS: Mapping[str, tuple[str, Callable[[Counts, Counts], npt.NDArray[Any]]]] = {
    "log-rank": ("1", lambda n, d: np.ones(n.size)),
    "gehan-wilcoxon": ("n at risk", lambda n, d: n * 1.0),
    "tarone-ware": ("square root of n at risk", lambda n, d: np.sqrt(n)),
    "peto-peto": ("S(t-), survdiff rho = 1", lambda n, d: _before(1 - d / n)),
    "peto-prentice": ("product of 1 - d / (n + 1) up to t", lambda n, d: np.cumprod(1 - d / (n + 1))),
}
FLEMING_HARRINGTON = "fleming-harrington"


class LogRank(NamedTuple):
    """The test as arrays, one item per arm: `score` is the weighted sum of events less those expected.

    `observed` and `expected` are without weights. Arms that were never at risk at an event carry no information
    and no degree of freedom.
    """

    observed: Counts
    expected: Floats
    score: Floats
    covariance: Floats
    chi_squared: float | None
    df: int
    p_value: float | None


def log_rank_test(
    time: npt.ArrayLike,
    is_event: npt.ArrayLike,
    arm: npt.ArrayLike,
    *,
    entry: npt.ArrayLike | None = None,
    stratum: npt.ArrayLike | None = None,
    weight: str = "log-rank",
    rho: float = 0.0,
    gamma: float = 0.0,
) -> LogRank:
    r"""Test equal hazards from arrays, in O(n log n): the core of `log_rank`.

    $$U_g = \sum_t w_t \Big(d_{gt} - n_{gt} \frac{d_t}{n_t}\Big), \quad
      V_{gh} = \sum_t w_t^2 \frac{d_t (n_t - d_t)}{n_t - 1} \frac{n_{gt}}{n_t}
               \Big(1_{g=h} - \frac{n_{ht}}{n_t}\Big), \quad \chi^2 = U' V^{-} U$$

    Parameters
    ----------
    time, is_event, entry
        As in `product_limit`.
    arm
        Whole numbers 0, 1, ...
    stratum
        Whole numbers; risk sets and weights belong to each stratum.
    weight, rho, gamma
        As in `log_rank`.

    Returns
    -------
    LogRank
        `chi_squared` and `p_value` are None where no event occurred while two arms were at risk.

    Examples
    --------
    Events at 1 (arm 0; 2 and 2 at risk) and 2 (arm 0; 1 and 2 at risk): 2 - 1/2 - 1/3 over 1/4 + 2/9:

    >>> found = log_rank_test([1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    >>> round(float(found.score[0]), 6), round(found.chi_squared, 6)
    (1.166667, 2.882353)
    """
    weigh = _weight(weight, rho, gamma)
    times, events, arms = np.asarray(time), np.asarray(is_event, dtype=bool), np.asarray(arm, dtype=np.int64)
    since = None if entry is None else np.asarray(entry)
    size = int(arms.max(initial=-1)) + 1
    observed = np.bincount(arms[events], minlength=size)
    expected, score, covariance = np.zeros(size), np.zeros(size), np.zeros((size, size))
    for chosen in _strata(stratum, times.size):
        late = None if since is None else since[chosen]
        n_by_arm, d_by_arm = arm_counts(times[chosen], events[chosen], arms[chosen], late, size)
        n, d = n_by_arm.sum(axis=0), d_by_arm.sum(axis=0)
        if d.size == 0:
            continue
        w = weigh(n, d)
        share = n_by_arm / n
        expected += share @ d
        score += (d_by_arm - share * d) @ w
        v = w * w * d * (n - d) / np.maximum(n - 1, 1)
        covariance += np.diag(share @ v) - (share * v) @ share.T
    informative = np.flatnonzero(
        np.diag(covariance) > 1e-12 * max(np.diag(covariance).max(initial=0), 1e-300)
    )
    if informative.size < 2:
        return LogRank(observed, expected, score, covariance, None, max(informative.size - 1, 0), None)
    # a group of arms that never shared a risk set with the others takes a degree of freedom each
    v = covariance[np.ix_(informative, informative)]
    df = int(np.linalg.matrix_rank(v, hermitian=True, tol=1e-9 * np.diag(v).max()))
    if df == 0:
        return LogRank(observed, expected, score, covariance, None, 0, None)
    chi_squared = float(
        score[informative] @ np.linalg.pinv(v, rcond=1e-9, hermitian=True) @ score[informative]
    )
    return LogRank(observed, expected, score, covariance, chi_squared, df, float(chdtrc(df, chi_squared)))


def log_rank(
    time_to_event: pl.DataFrame,
    covariates: pl.DataFrame | None = None,
    *,
    weight: str = "log-rank",
    rho: float = 0.0,
    gamma: float = 0.0,
    strata: Sequence[str] = (),
) -> pl.DataFrame:
    r"""Test whether the arms have equal hazards.

    Parameters
    ----------
    time_to_event
        Schema TIME_TO_EVENT; needs `time_day`, `is_event` and `arm`, `entry_day` delays the start of risk. Each
        endpoint, definition, estimand and population is tested by itself.
    covariates
        `patient_id` and the strata, one row per patient; values known at the start of risk.
    weight
        Of each event time t, with n at risk and d events in the stratum: "log-rank" 1; "gehan-wilcoxon" n;
        "tarone-ware" $\sqrt n$; "peto-peto" $\hat S(t-)$, Kaplan-Meier of all arms just before t, which is survdiff's
        rho = 1; "peto-prentice" $\prod_{s \le t} (1 - d / (n + 1))$; "fleming-harrington"
        $\hat S(t-)^\rho (1 - \hat S(t-))^\gamma$.
    rho, gamma
        Only for "fleming-harrington".
    strata
        Columns whose combinations are compared within.

    Returns
    -------
    pl.DataFrame
        Schema RESULTS: a row "log_rank_test" (`estimate` is chi-squared), and one per arm "expected_events", to
        compare with its `n_events` (without weights). Where no event occurred while two arms were at risk, or nobody
        can be evaluated, the test is missing and the note says so.

    Raises
    ------
    TableError
        A column is absent, a value is missing, or events compete.
    RequestError
        The weight is unknown, or there is only one arm.

    References
    ----------
    Mantel (1966); Gehan (1965), doi:10.1093/biomet/52.1-2.203; Tarone and Ware (1977), doi:10.1093/biomet/64.1.156;
    Peto and Peto (1972), doi:10.2307/2344317; Prentice (1978), doi:10.1093/biomet/65.1.167; Harrington and Fleming
    (1982), doi:10.1093/biomet/69.3.553. R: survdiff(Surv(time, event) ~ arm + strata(s), rho), survival 3.5.3.

    Examples
    --------
    Expected in X 2/4 + 1/3 = 5/6 with variance 1/4 + 2/9: chi-squared (2 - 5/6)^2 / (17/36):

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4], "is_event": [True, True, False, False],
    ...                       "arm": ["X", "X", "Y", "Y"]})
    >>> log_rank(frame).select("statistic", "arm", pl.col("estimate").round(4), "n_events").rows()
    [('log_rank_test', '', 2.8824, 2), ('expected_events', 'X', 0.8333, 2), ('expected_events', 'Y', 1.1667, 0)]
    """
    _weight(weight, rho, gamma)
    definition = _definition(weight, rho, gamma)
    rows: list[dict[str, Any]] = []
    for group in groups("log_rank", time_to_event, apart=ALL_BUT_ARM, refuse_empty=False):
        method = f"log-rank, weight {definition}" + (f", stratified by {', '.join(strata)}" if strata else "")
        if group.rows.is_empty():
            empty = result(**group.labels, statistic="log_rank_test", unit="chi-squared", n=0, method=method)
            rows += group.told([empty])
            continue
        require_no_competing_event("log_rank", group.rows)
        frame = known_at_start("log_rank", group.rows, covariates, strata)
        arm, names = arms_of("log_rank", frame)
        stratum = codes(frame, strata)[0] if strata else None
        found = log_rank_test(
            frame["time_day"].to_numpy(),
            frame["is_event"].to_numpy(),
            arm,
            entry=group.entry,
            stratum=stratum,
            weight=weight,
            rho=rho,
            gamma=gamma,
        )
        test, *expected = _rows(group, names, np.bincount(arm, minlength=len(names)), found, method)
        rows += [*group.told([test]), *expected]
    return results_frame(rows)


def arms_of(function: str, frame: pl.DataFrame) -> tuple[Counts, list[str]]:
    """Return each row's arm as a whole number, and the names of the arms.

    Raises
    ------
    RequestError
        There is one arm only.
    """
    if frame["arm"].null_count():
        raise TableError(
            f"{function}: `arm` is missing in {frame['arm'].null_count()} of {frame.height} rows."
        )
    names = sorted(frame["arm"].unique().to_list())
    if len(names) < 2:
        raise RequestError(f"{function} compares arms; `arm` has the one value {names[0]!r}.")
    return frame["arm"].replace_strict(names, range(len(names)), return_dtype=pl.Int64).to_numpy(), names


def arm_counts(
    time: npt.ArrayLike, is_event: npt.ArrayLike, arm: Counts, entry: npt.ArrayLike | None, n_arms: int
) -> tuple[Counts, Counts]:
    """Return at each event time the patients at risk and the events, one row per arm."""
    table = risk_table(time, is_event, entry=entry)
    width = table.time.size
    events = np.asarray(is_event, dtype=bool)

    def count(column: Counts, arms: Counts, n_columns: int) -> Counts:
        flat = np.bincount(column + n_columns * arms, minlength=n_columns * n_arms)
        return flat.reshape(n_arms, n_columns)

    d = count(table.position[events], arm[events], width)
    gone = count(table.position, arm, width)
    n: Counts = np.bincount(arm, minlength=n_arms)[:, None] - (np.cumsum(gone, axis=1) - gone)
    if table.entry_position is not None:
        n -= np.bincount(arm, minlength=n_arms)[:, None]
        n += np.cumsum(count(table.entry_position + 1, arm, width + 1), axis=1)[:, :width]
    has_event = d.any(axis=0)
    return n[:, has_event], d[:, has_event]


def _rows(
    group: Group, names: Sequence[str], sizes: Counts, found: LogRank, method: str
) -> list[dict[str, Any]]:
    labels = group.labels
    columns: dict[str, Any] = {"method": method, "n": int(sizes.sum()), "n_events": found.observed.sum()}
    if found.chi_squared is None:
        columns["note"] = "no event while patients of two arms were at risk: nothing to compare"
    else:
        columns |= {"estimate": found.chi_squared, "p_value": found.p_value}
    rows = [result(**labels, statistic="log_rank_test", unit="chi-squared", df=found.df, **columns)]
    for name, n, observed, expected in zip(names, sizes, found.observed, found.expected, strict=True):
        columns = {"n": n, "n_events": observed, "estimate": expected, "method": "log-rank, no weights"}
        rows.append(result(**labels, arm=name, statistic="expected_events", unit="events", **columns))
    return rows


def _weight(weight: str, rho: float, gamma: float) -> Callable[[Counts, Counts], npt.NDArray[Any]]:
    if weight != FLEMING_HARRINGTON:
        known = (*WEIGHTS, FLEMING_HARRINGTON)
        if weight not in WEIGHTS:
            raise RequestError(
                f"No weight {weight!r}; known are {', '.join(known)}.{did_you_mean(weight, known)}"
            )
        if rho or gamma:
            raise RequestError(f"rho and gamma belong to {FLEMING_HARRINGTON!r}; found weight {weight!r}.")
        return WEIGHTS[weight][1]
    if not (rho >= 0 and gamma >= 0):
        raise RequestError(f"rho and gamma must be >= 0; found {rho} and {gamma}.")
    return lambda n, d: _before(1 - d / n) ** rho * (1 - _before(1 - d / n)) ** gamma


def _definition(weight: str, rho: float, gamma: float) -> str:
    if weight == FLEMING_HARRINGTON:
        return f"S(t-)^{rho:g} (1 - S(t-))^{gamma:g} (Fleming-Harrington)"
    return f"{WEIGHTS[weight][0]} ({weight})"


def _before(factors: Floats) -> Floats:
    """Return the product of all factors before each."""
    return np.asarray(np.concatenate(([1.0], np.cumprod(factors)[:-1])))


def _strata(stratum: npt.ArrayLike | None, n: int) -> Iterator[Any]:
    """Yield the rows of each stratum."""
    if stratum is None:
        yield slice(None)
        return
    code = np.unique(np.asarray(stratum), return_inverse=True)[1]
    order = np.argsort(code, kind="stable")
    yield from np.split(order, np.cumsum(np.bincount(code))[:-1])
