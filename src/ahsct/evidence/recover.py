"""Counts behind a printed percentage with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates._intervals import pointwise
from ahsct.estimates.proportions import LIMITS
from ahsct.evidence._design import floats
from ahsct.evidence.effect_sizes import effective_size, survival_effect

METHODS = ("log-log", "log", "plain", "logit", "arcsine", "clopper-pearson", "wilson", "jeffreys", "mid-p")


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """Counts that reproduce what is printed, without censoring before the time.

    `n` at risk at the first event, `n_events` until the time, `n_after` still free of it.
    """

    n: int
    n_events: int

    @property
    def n_after(self) -> int:
        """At risk after the last event."""
        return self.n - self.n_events


def recover_counts(
    estimate: float, lower: float, upper: float, *, interval: str, conf_level: float = 0.95, decimals: int = 1, largest: int = 200
) -> list[Recovered]:  # fmt: skip
    """Return every pair of counts that gives the printed percentages to the digit, by size; none where none does.

    Parameters
    ----------
    estimate, lower, upper
        Percentages free of the event, as printed with `decimals` digits.
    interval
        The method of the interval: one of "log-log", "log", "plain", "logit", "arcsine" (Greenwood) or, for a plain
        proportion, "clopper-pearson", "wilson", "jeffreys", "mid-p". Another method gives other counts, or none.
    largest
        The largest number of patients tried.

    Raises
    ------
    RequestError
        The method is unknown.

    Notes
    -----
    It is assumed that nobody was censored before the time. With censoring between the events many pairs fit and none is
    right: then only an effective number can be had (`recover_effective`).

    Examples
    --------
    Activity-free survival of the 2016 trial, 69.6 (46.6 to 84.2): one answer.

    >>> [(found.n, found.n_events, found.n_after) for found in recover_counts(69.6, 46.6, 84.2, interval="log-log")]
    [(23, 7, 16)]
    >>> recover_counts(69.6, 46.6, 84.2, interval="wilson")
    []
    """
    if interval not in METHODS:
        raise RequestError(
            f"No method {interval!r}; known are {', '.join(METHODS)}.{did_you_mean(interval, METHODS)}"
        )
    half = 0.5 * 10.0**-decimals + 1e-9
    found = []
    for n in range(1, largest + 1):
        first = max(0, int(np.ceil(n * (1 - (estimate + half) / 100) - 1e-9)))
        last = min(n, int(np.floor(n * (1 - (estimate - half) / 100) + 1e-9)))
        for events in range(first, last + 1):
            low, high = _limits(n - events, n, interval, conf_level)
            if abs(100 * low - lower) <= half and abs(100 * high - upper) <= half:
                found.append(Recovered(n=n, n_events=events))
    return found


def _limits(free: int, n: int, interval: str, conf_level: float) -> tuple[float, float]:
    if interval in LIMITS:
        return LIMITS[interval][1](free, n, (1 - conf_level) / 2)
    s = floats([free / n])
    low, high = pointwise(s, np.sqrt(s * (1 - s) / n), interval=interval, conf_level=conf_level)
    return float(low[0]), float(high[0])


def recover_effective(
    estimate: float, lower: float, upper: float, *, interval: str, conf_level: float = 0.95
) -> tuple[float, float]:
    """Return the effective number of patients and of events behind a percentage with its interval (log-log, log, plain).

    Patients without censoring who would give the same standard error; not counts, and not whole numbers.

    Examples
    --------
    Five-year event-free survival of HALT-MS, 69.2 (90 percent interval 50.2 to 82.1), of 24:

    >>> n, events = recover_effective(69.2, 50.2, 82.1, interval="log-log", conf_level=0.90)
    >>> round(n, 1), round(events, 1)
    (22.7, 7.0)
    """
    s = estimate / 100
    _, se = survival_effect(s, lower / 100, upper / 100, interval=interval, conf_level=conf_level)
    n = effective_size(s, se)
    return n, n * (1 - s)
