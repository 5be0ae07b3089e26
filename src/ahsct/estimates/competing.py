"""Cumulative incidence with competing risks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from ahsct.errors import RequestError, TableError, did_you_mean
from ahsct.estimates._groups import Group, curve_frame, groups
from ahsct.estimates._intervals import pointwise, require_conf_level, settled
from ahsct.estimates._risk_table import Counts, Floats, RiskTable, risk_table
from ahsct.vocabulary import DAYS_PER_YEAR

VARIANCES = {"infinitesimal_jackknife": "infinitesimal jackknife", "aalen": "Aalen variance"}


class CumulativeIncidence(NamedTuple):
    """The curves as arrays: `n_events`, `estimate` and `std_error` have one row per cause."""

    time: Floats
    n_at_risk: Counts
    n_events: Counts
    n_censored: Counts
    estimate: Floats
    std_error: Floats


def cumulative_incidence(
    time: npt.ArrayLike,
    cause: npt.ArrayLike,
    *,
    n_causes: int,
    entry: npt.ArrayLike | None = None,
    variance: str = "infinitesimal_jackknife",
) -> CumulativeIncidence:
    """Aalen-Johansen estimate from arrays, in O(n log n): the core of `aalen_johansen`.

    Parameters
    ----------
    time
        Time of the event or of the censoring, >= 0, any unit.
    cause
        0 for a censoring, 1 ... `n_causes` for an event of that cause.
    entry
        Start of the time at risk (delayed entry): at risk at t where entry < t <= time.
    variance
        "infinitesimal_jackknife" or "aalen".

    Examples
    --------
    >>> curve = cumulative_incidence([1, 2, 3, 4], [1, 2, 0, 1], n_causes=2)
    >>> curve.estimate.tolist()
    [[0.0, 0.25, 0.25, 0.25, 0.75], [0.0, 0.0, 0.25, 0.25, 0.25]]
    """
    if variance not in VARIANCES:
        raise RequestError(
            f"No variance {variance!r}; known are {', '.join(VARIANCES)}.{did_you_mean(variance, VARIANCES)}"
        )
    codes = np.asarray(cause, dtype=np.int64)
    table = risk_table(time, codes, n_causes=n_causes, entry=entry)
    n = np.maximum(table.n_at_risk, 1)
    survival = np.cumprod(1 - table.n_events.sum(axis=0) / n)
    before = np.concatenate(([1.0], survival[:-1]))
    estimate = np.cumsum(before * table.n_events / n, axis=1)
    square = (
        _infinitesimal_jackknife(table, codes, before, estimate)
        if variance == "infinitesimal_jackknife"
        else _aalen(table, before, survival, estimate)
    )
    # where nothing has happened yet the sums cancel to rounding, not to zero
    estimate, std_error = settled(estimate, np.sqrt(np.where(estimate > 0, np.maximum(square, 0), 0)))
    return CumulativeIncidence(
        table.time, table.n_at_risk, table.n_events, table.n_censored, estimate, std_error
    )


def aalen_johansen(
    time_to_event: pl.DataFrame,
    *,
    variance: str = "infinitesimal_jackknife",
    conf_level: float = 0.95,
    causes: Sequence[str] = (),
) -> pl.DataFrame:
    r"""Cumulative incidence of each cause where the causes compete.

    $$\hat F_k(t) = \sum_{t_i \le t} \hat S(t_i-)\, d_{ki} / n_i$$

    Parameters
    ----------
    time_to_event
        As for `kaplan_meier`; rows with an event need a `cause`.
    variance
        "infinitesimal_jackknife" (as R's survfit) or "aalen" (as cmprsk's cuminc, with its correction for
        ties); `method` names it.
    conf_level
        Two-sided, between 0 and 1; the interval is on the log(-log F) scale, as in R.
    causes
        Causes that get a curve even where nobody had them (of zeros, so that a milestone gives the upper limit);
        they come first. Every cause seen in the endpoint follows, sorted, in each of its curves.

    Returns
    -------
    pl.DataFrame
        Schema CURVE, one block per cause: `estimate` is the cumulative incidence, `n_events` counts events of
        the block's cause, `n_censored` censorings only. Limits are missing where the estimate is 0 or 1.

    Raises
    ------
    TableError
        As for `kaplan_meier`, or an event has no cause.
    RequestError
        The variance or the level is unknown, or there is no event and `causes` names none.

    References
    ----------
    Aalen and Johansen (1978), Scand J Stat 5:141-150. Variances: Therneau, survival 3.5.3, survfit of
    Surv(time, factor(cause)); Gray, cmprsk 2.2.11, cuminc.

    Examples
    --------
    Four patients; by hand 1/4 + 1/2 and 1/4:

    >>> frame = pl.DataFrame({"time_day": [1, 2, 3, 4], "is_event": [True, True, False, True],
    ...                       "cause": ["engrafted", "death", None, "engrafted"]})
    >>> curve = aalen_johansen(frame)
    >>> curve.filter(pl.col("cause") == "engrafted")["estimate"].to_list()
    [0.0, 0.25, 0.25, 0.25, 0.75]
    """
    require_conf_level(conf_level)
    if "cause" not in time_to_event.columns:
        time_to_event = time_to_event.with_columns(pl.lit(None, dtype=pl.String).alias("cause"))
    parts = list(groups("aalen_johansen", time_to_event))
    for part in parts:
        require_causes("aalen_johansen", part.rows)
        if not _causes_of(part, parts, first=causes):
            raise RequestError(
                f"aalen_johansen: no event in {part.rows.height} patients, so that no cause has a curve. Name the "
                "causes, as causes=['relapse', 'competing_death']: each gets a curve of zeros, and a milestone its "
                "upper limit."
            )
    return curve_frame(
        block
        for part in parts
        for block in _blocks(part, _causes_of(part, parts, first=causes), variance, conf_level)
    )


def _blocks(group: Group, causes: Sequence[str], variance: str, conf_level: float) -> list[dict[str, object]]:
    codes = {cause: number for number, cause in enumerate(causes, start=1)}
    events = zip(group.rows["cause"].to_list(), group.rows["is_event"].to_list(), strict=True)
    curve = cumulative_incidence(
        group.rows["time_day"].to_numpy(),
        [codes[cause] if is_event else 0 for cause, is_event in events],
        n_causes=len(causes),
        entry=group.entry,
        variance=variance,
    )
    lower, upper = pointwise(curve.estimate, curve.std_error, interval="log-log", conf_level=conf_level)
    return [
        {
            **group.labels,
            "cause": name,
            "time_years": curve.time / DAYS_PER_YEAR,
            "n_at_risk": curve.n_at_risk,
            "n_events": curve.n_events[row],
            "n_censored": curve.n_censored,
            "estimate": curve.estimate[row],
            "std_error": curve.std_error[row],
            "lower": lower[row],
            "upper": upper[row],
            "conf_level": conf_level,
            "method": f"Aalen-Johansen, {VARIANCES[variance]}, log-log"
            + (", delayed entry" if group.entry is not None else ""),
        }
        for row, name in enumerate(causes)
    ]


def _infinitesimal_jackknife(table: RiskTable, codes: Counts, before: Floats, estimate: Floats) -> Floats:
    r"""Return, per cause and time, the sum over patients of the squared influence on the cumulative incidence.

    With $dh_{ki}(j) = (1\{i \text{ has event } k \text{ at } j\} - Y_i(j) h_{kj}) / n_j$, $dh_i$ its sum over the
    causes and $A_i(t) = \sum_{j \le t} dh_i(j) / (1 - h_j)$, the influence of patient i on $F_k(t)$ is
    $\sum_{j \le t} S(j-) dh_{ki}(j) - \sum_{j \le t} (F_k(t) - F_k(j))\, dA_i(j)$. This is
    $D_i(t) + (F_k(\infty) - F_k(t)) A_i(t)$, whose square sums over patients by running sums. (Measured from the
    end of the curve, not from its start, because differences of large sums would cancel in the tail.)
    """
    n = np.maximum(table.n_at_risk, 1) * 1.0
    d = table.n_events.sum(axis=0)
    rest = np.where(n > d, n - d, np.inf)  # once S = 0 nothing depends on what went before
    cohort = _Cohort.of(table, codes)
    is_event = cohort.code > 0
    a = cohort.influence(np.cumsum(d / n / rest), is_event / rest[cohort.position])
    a_squared = cohort.sum_of_products(a, a)
    squares = np.empty_like(estimate)
    for k, incidence in enumerate(estimate):
        ahead = incidence[-1] - incidence
        jump = np.where(cohort.code == k + 1, (before / n)[cohort.position], 0.0)
        path = np.cumsum((before * table.n_events[k] / n - ahead * d / rest) / n)
        own = cohort.influence(path, jump - is_event * (ahead / rest)[cohort.position])
        squares[k] = (
            cohort.sum_of_products(own, own)
            + 2 * ahead * cohort.sum_of_products(own, a)
            + ahead**2 * a_squared
        )
    return squares


class _Influence(NamedTuple):
    """Influences over time: minus `path` less its value `at_start` while at risk, then `at_end` for good.

    `of_starts` is the sum of `at_start` over those at risk just after each time (delayed entry only).
    """

    path: Floats
    at_start: Floats
    at_end: Floats
    of_starts: Floats | None


class _Cohort(NamedTuple):
    """Patients by end of risk: one item each with delayed entry, otherwise one per time and code.

    `n_after` are at risk just after each time.
    """

    code: Counts
    position: Counts
    weight: Floats
    start: Counts | None
    n_after: Floats

    @classmethod
    def of(cls, table: RiskTable, codes: Counts) -> _Cohort:
        if table.entry_position is not None:
            width = table.time.size
            entered = np.cumsum(np.bincount(table.entry_position + 1, minlength=width + 1))[1:]
            ended = np.cumsum(np.bincount(table.position, minlength=width))
            n_after = (entered - ended).astype(np.float64)
            return cls(codes, table.position, np.ones(codes.size), table.entry_position, n_after)
        counts = np.vstack((table.n_censored, table.n_events)).astype(np.float64)
        code, position = np.nonzero(counts)
        n_after = table.n_at_risk - counts.sum(axis=0)
        return cls(code, position, counts[code, position], None, n_after)

    def influence(self, path: Floats, jump: Floats) -> _Influence:
        start = np.zeros(1) if self.start is None else np.where(self.start < 0, 0.0, path[self.start])
        of_starts = None if self.start is None else self._at_risk(start)
        return _Influence(path, start, jump - path[self.position] + start, of_starts)

    def sum_of_products(self, x: _Influence, y: _Influence) -> Floats:
        """Return the sum over all patients of the product of two influences, after each time."""
        gone = self._running(self.position, x.at_end * y.at_end)
        still = self.n_after * x.path * y.path
        if x.of_starts is not None and y.of_starts is not None:
            still += self._at_risk(x.at_start * y.at_start) - x.path * y.of_starts - y.path * x.of_starts
        return gone + still

    def _at_risk(self, value: Floats) -> Floats:
        """Return the sum of a value over those who are at risk just after each time, with delayed entry."""
        assert self.start is not None
        entered = np.bincount(self.start + 1, value, minlength=self.n_after.size + 1)
        return np.cumsum(entered)[1:] - self._running(self.position, value)

    def _running(self, position: Counts, value: Floats) -> Floats:
        return np.cumsum(np.bincount(position, self.weight * value, minlength=self.n_after.size))


def _aalen(table: RiskTable, before: Floats, survival: Floats, estimate: Floats) -> Floats:
    """Return the delta-method variance with the hypergeometric correction for ties of `cuminc`."""
    n = np.maximum(table.n_at_risk, 1) * 1.0
    d = table.n_events * 1.0
    step = before**2 * d / n**2 * np.where(d > 1, 1 - (d - 1) / np.maximum(n - 1, 1), 1)
    inverse = np.divide(1.0, survival, out=np.zeros_like(survival), where=survival > 0)
    squares = np.empty_like(estimate)
    for k, incidence in enumerate(estimate):
        ahead = incidence[-1] - incidence
        own = (np.arange(len(d)) == k)[:, None]
        at_end = own - ahead * inverse
        squares[k] = (
            np.cumsum((step * at_end**2).sum(axis=0))
            + 2 * ahead * np.cumsum((step * at_end * inverse).sum(axis=0))
            + ahead**2 * np.cumsum((step * inverse**2).sum(axis=0))
        )
    return squares


def _causes_of(group: Group, all_groups: Sequence[Group], *, first: Sequence[str]) -> list[str]:
    """Return the causes of the group's endpoint: an arm where nobody had one gets a curve of zeros for it."""
    endpoint = ("study_id", "endpoint", "component", "definition", "estimand", "population")
    same = [other for other in all_groups if all(other.labels[x] == group.labels[x] for x in endpoint)]
    seen = {cause for other in same for cause in other.rows.filter(pl.col("is_event"))["cause"]}
    return [*dict.fromkeys(first), *sorted(seen - set(first))]


def require_causes(function: str, rows: pl.DataFrame) -> None:
    """Raise a TableError where an event has no cause."""
    wrong = rows.filter(pl.col("is_event") & pl.col("cause").is_null())
    if wrong.height:
        raise TableError(
            f"{function} needs a cause for each event; {wrong.height} of {rows['is_event'].sum()} events have "
            f"none, the first is row {wrong['_row'][0]} of `time_to_event`."
        )
