"""Counts of patients who were let in for at least so many events: gamma-Poisson likelihood given that selection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ahsct.estimates._risk_table import Counts, Floats

_SMALL = 1e-9  # of a rate times the longest time: no different from 0
_LARGE = 1e6
_SHORT_SUM = 1000  # counts up to this have their rising factorial summed, larger ones from the beta function


class Rates(NamedTuple):
    """Mean rate of all such patients, and dispersion times mean (the scale of the gamma distribution); either may be 0."""

    mean: float
    scale: float


@dataclass(frozen=True, kw_only=True)
class SelectedCounts:
    """Counts x in some years, and in a window of them at least `fewest` by which the patients were let in.

    The rate of a patient is gamma with mean m and scale k = phi m, the count Poisson given it. In (m, k) the likelihood
    given selection (`fewest` > 0) is continuous up to both bounds: k = 0 is Poisson, m = 0 the logarithmic series. At
    (0, 0) everybody has just the fewest.
    """

    x: Floats
    years: Floats
    window: Floats
    fewest: float

    @property
    def all_at_fewest(self) -> bool:
        """Whether no count exceeds the fewest: the likelihood then rises without a maximum as both rates fall to 0."""
        return self.fewest > 0 and bool((self.x == self.fewest).all())

    @cached_property
    def _windows(self) -> tuple[Floats, Counts]:
        """The different windows, and which is whose: the chance of selection is the same in equal ones."""
        distinct, whose = np.unique(self.window, return_inverse=True)
        return distinct, whose

    def log_likelihoods(self, at: Rates) -> Floats:
        """Return each patient's log probability of x given selection, less what x alone makes."""
        from scipy.special import betainc, gammaln

        floor = _SMALL / float(self.years.max())
        m, k = max(at.mean, floor), max(at.scale, floor * 1e-3)
        density = _log_density(self.x, self.years, m, k)
        if self.fewest == 0:
            return density
        windows, whose = self._windows
        odds = k * windows
        chance = betainc(self.fewest, m / k, odds / (1 + odds))
        if chance.min() > 1e-290:
            log_chance = np.log(chance)
        else:  # below the smallest number its first term is all of it
            first = _log_density(np.full(windows.size, self.fewest), windows, m, k) - gammaln(self.fewest + 1)
            log_chance = np.where(chance > 1e-290, np.log(np.maximum(chance, 1e-300)), first)
        return np.asarray(density - log_chance[whose])

    def log_likelihood(self, at: Rates) -> float:
        """Return the sum of the patients' log likelihoods."""
        return float(self.log_likelihoods(at).sum())

    def expected(self, at: Rates) -> Floats:
        """Return the events expected of each patient had the same time been watched again, untreated."""
        return np.asarray(self.years * (at.mean + at.scale * self.x) / (1 + at.scale * self.years))

    def ratio(self, at: Rates) -> float:
        """Return the events expected of all, over those seen."""
        return float(self.expected(at).sum() / self.x.sum())

    def fit(self) -> Rates:
        """Return the rates that maximise the likelihood; a bound where the likelihood is as high there."""
        from scipy.optimize import minimize, minimize_scalar

        unit, crude = 1 / float(self.years.max()), float(self.x.sum() / self.years.sum())
        low, high = np.log(_SMALL * unit), np.log(max(_LARGE * unit, 1e3 * crude))

        def loss(mean: float, scale: float) -> float:
            return -self.log_likelihood(Rates(mean, scale)) / self.x.size

        def loss_of_logs(logs: Floats) -> float:
            return loss(*np.exp(logs).tolist())

        starts = [(crude * a, crude * b) for a in (1, 0.2, 0.03) for b in (0.03, 0.2, 1, 5)]
        inside = minimize(
            loss_of_logs,
            np.log(min(starts, key=lambda start: loss(*start))),
            method="Nelder-Mead",
            bounds=[(low, high)] * 2,
            options={"xatol": 1e-6, "fatol": 1e-14, "maxiter": 2000},
        )
        best, least = Rates(*np.exp(inside.x).tolist()), float(inside.fun)
        if 0.01 < best.scale / best.mean < 100:
            return best
        for bound in (lambda one: (one, 0.0), lambda one: (0.0, one)):
            edge = minimize_scalar(
                lambda one, bound=bound: loss(*bound(float(np.exp(one)))),
                bounds=(low, high),
                method="bounded",
                options={"xatol": 1e-8},
            )
            if edge.fun <= least + 1e-11:
                best, least = Rates(*bound(float(np.exp(edge.x)))), float(edge.fun)
        return best

    def limits(self, at: Rates, conf_level: float) -> tuple[float, float]:
        """Return the ratios at which twice the loss of log likelihood is the squared t quantile with n - 1 df."""
        from scipy.special import stdtrit

        most, centre = self.log_likelihood(at), self.ratio(at)
        level = most - float(stdtrit(self.x.size - 1, (1 + conf_level) / 2)) ** 2 / 2
        step = min(1.0, 3 / np.sqrt(self.x.sum()))
        return self._where(level, centre, -step), self._where(level, centre, step)

    def upper_limit_at_fewest(self, conf_level: float) -> float:
        """Return the largest ratio at which nobody above the fewest has the probability of one tail, at any dispersion."""
        from scipy.special import gammaln

        # the probability is 1 at rates of 0
        sure = self.x.size * gammaln(self.fewest + 1) + self.fewest * np.log(self.years / self.window).sum()
        return self._where(float(sure + np.log((1 - conf_level) / 2)), 1e-3 / self.x.size, 1.0)

    def _where(self, level: float, start: float, step: float) -> float:
        """Return the ratio, on the way from one with a higher profile, at which the profile falls to the level."""
        from scipy.optimize import brentq

        near = far = float(np.log(start))
        while self.profile(np.exp(far)) > level:
            near, far, step = far, far + step, 2 * step
        if near == far:
            return start
        return float(np.exp(brentq(lambda log: self.profile(np.exp(log)) - level, near, far, xtol=1e-8)))

    def profile(self, ratio: float) -> float:
        """Return the largest log likelihood of all rates with this ratio.

        The ratio is linear in m, so that k alone is searched, from 0 to where m would be 0.
        """
        from scipy.optimize import brentq, minimize_scalar

        events = ratio * float(self.x.sum())

        def rest(scale: float) -> float:
            return events - float((scale * self.years * self.x / (1 + scale * self.years)).sum())

        def rates(log_scale: float) -> Rates:
            scale = float(np.exp(log_scale))
            return Rates(max(rest(scale), 0.0) / float((self.years / (1 + scale * self.years)).sum()), scale)

        low, high = np.log(_SMALL / self.years.max()), np.log(_LARGE / self.years.min())
        if rest(float(np.exp(high))) < 0:
            high = brentq(lambda log: rest(float(np.exp(log))), low - 40, high, xtol=1e-12)
        ends = [self.log_likelihood(rates(log_scale)) for log_scale in (-np.inf, high)]
        if high <= low:
            return max(ends)
        inner = minimize_scalar(
            lambda log_scale: -self.log_likelihood(rates(log_scale)),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 0.01 / float(np.sqrt(self.x.size))},
        )
        return max(*ends, -float(inner.fun))


def _log_density(x: Floats, years: Floats, m: float, k: float) -> Floats:
    from scipy.special import betaln, gammaln

    if x.max() <= _SHORT_SUM:
        rising = np.concatenate([[0.0], np.cumsum(np.log(m + k * np.arange(x.max())))])[x.astype(int)]
    else:
        some = np.maximum(x, 1)
        rising = np.where(x > 0, gammaln(some) - betaln(m / k, some) + some * np.log(k), 0.0)
    return np.asarray(rising + x * np.log(years) - (x + m / k) * np.log1p(k * years))
