"""One pool: the groups without overlap, their model, the range over other possible sets, and what was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit

from ahsct.errors import RequestError, did_you_mean
from ahsct.estimates.proportions import clopper_pearson
from ahsct.estimates.rows import result, results_frame
from ahsct.evidence.bayes import bayes_random_effects
from ahsct.evidence.beta_binomial import beta_binomial
from ahsct.evidence.effect_sizes import back_to_proportion, proportion_effects
from ahsct.evidence.entries import Entry
from ahsct.evidence.glmm import binomial_normal
from ahsct.evidence.heterogeneity import tau2_interval
from ahsct.evidence.overlap import Selection, require_no_overlap, select
from ahsct.evidence.random_effects import (
    PREDICTION,
    TAU2,
    TESTS,
    Fit,
    fit_random_effects,
    prediction_interval,
    quantile,
)

MEASURES = ("proportion", "survival", "ratio")
PROPORTION_METHODS = ("glmm", "beta-binomial", "logit", "arcsine", "freeman-tukey")
BAYES_SCALE = 0.5
BAYES = f"Bayesian random effects, half-normal prior of scale {BAYES_SCALE} for the standard deviation between studies"
_FEW = 4
_METHOD_WORDS = {
    "glmm": "binomial-normal model, maximum likelihood, 150 quadrature nodes; t with k - 1",
    "beta-binomial": "beta-binomial model, maximum likelihood; t with k - 1",
}
_UNMEASURED = "{method} with {tau2} was asked for: how often its interval holds the truth with rare events was not measured here"
_UNSAFE = (
    "{method} with {tau2} was asked for: with rare events its interval misses the truth far too often. In 10,000 simulated "
    "meta-analyses at a true 1.5 % the 95 % interval of logit + 1/2 covered 53 %, that of Freeman-Tukey 30 %, that of the "
    "binomial-normal model 92 % (benchmarks/evidence_coverage.py)"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How pools are made; the defaults are those of the pages.

    `method` for proportions; `tau2`, `test` for estimates with standard errors; `prediction` names the convention.
    """

    method: str = "glmm"
    tau2: str = "REML"
    test: str = "hartung-knapp-safe"
    prediction: str = "k-1"
    conf_level: float = 0.95
    release: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is not known, before anything is pooled."""
        for what, given, known in (
            ("method", self.method, PROPORTION_METHODS),
            ("method of tau2", self.tau2, TAU2),
            ("test", self.test, TESTS),
            ("prediction interval", self.prediction, PREDICTION),
        ):
            if given not in known:
                raise RequestError(
                    f"No {what} {given!r}; known are {', '.join(known)}.{did_you_mean(given, known)}"
                )


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A pooled number on its natural scale (probability or ratio).

    `estimate` is None where nothing can be pooled. With one group its own number is given, and `method` says so.
    `bayes` is the posterior median with its 95 % limits under a half-normal prior (scale 0.5) of the variance between
    studies, given for up to 4 estimates, where the t interval says little; `profile` holds the limits of the profile
    likelihood of the binomial-normal model. `prediction` is where the true value of a new study would lie; `alternatives` the lowest and highest pooled value
    over other sets without overlap that hold at least 95 % of the patients.
    """

    measure: str
    selection: Selection
    method: str
    estimate: float | None
    lower: float | None
    upper: float | None
    conf_level: float
    df: int | None
    prediction: tuple[float, float] | None
    prediction_convention: str
    tau2: float | None
    tau2_limits: tuple[float, float] | None
    i2: float | None
    n: int
    n_events: int | None
    bayes: tuple[float, float, float] | None
    profile: tuple[float, float] | None
    alternatives: tuple[float, float] | None
    warnings: tuple[str, ...]

    @property
    def k(self) -> int:
        """Number of groups pooled."""
        return len(self.selection.chosen)

    def rows(
        self, *, endpoint: str, time_years: float | None = None, subgroup: str | None = None
    ) -> pl.DataFrame:
        """Return the pool as rows of schema RESULTS: the pooled number, its prediction interval and tau²."""
        if self.estimate is None:
            return results_frame([])
        common: dict[str, Any] = {
            "study_id": "evidence", "data_kind": "observed", "endpoint": endpoint, "arm": "aHSCT", "subgroup": subgroup,
            "time_years": time_years, "n": self.n, "n_events": self.n_events, "population": f"{self.k} groups without overlap",
            "definition": "as published, definitions differ", "conf_level": self.conf_level,
        }  # fmt: skip
        unit = "ratio" if self.measure == "ratio" else "probability"
        rows = [
            result(
                statistic=f"pooled_{self.measure}", unit=unit, method=self.method, estimate=self.estimate,
                lower=self.lower, upper=self.upper, df=self.df, note="; ".join(self.warnings) or None, **common,
            )
        ]  # fmt: skip
        if self.prediction is not None:
            rows.append(
                result(statistic="prediction_interval", unit=unit, estimate=self.estimate, lower=self.prediction[0],
                       upper=self.prediction[1], method=f"prediction interval, {self.prediction_convention}", **common)
            )  # fmt: skip
        if self.profile is not None:
            rows.append(
                result(statistic=f"pooled_{self.measure}", unit=unit, estimate=self.estimate, lower=self.profile[0],
                       upper=self.profile[1], method="binomial-normal model; profile likelihood", **common)
            )  # fmt: skip
        if self.bayes is not None:
            middle, least, most = self.bayes
            rows.append(
                result(
                    statistic=f"pooled_{self.measure}",
                    unit=unit,
                    estimate=middle,
                    lower=least,
                    upper=most,
                    method=BAYES,
                    **common,
                )
            )
        if self.tau2 is not None:
            low, high = self.tau2_limits or (None, None)
            scale = {"proportion": "logit", "survival": "log(-log)", "ratio": "log"}[self.measure]
            rows.append(
                result(statistic="tau2", unit="", estimate=self.tau2, lower=low, upper=high,
                       method=f"variance between studies on the {scale} scale{'; Q-profile' if low is not None else ''}", **common)
            )  # fmt: skip
        return results_frame(rows)


def pool(
    entries: Sequence[Entry], overlaps: pl.DataFrame, *, measure: str, settings: Settings | None = None
) -> Pool:
    """Pool the groups of `entries` that do not overlap.

    Parameters
    ----------
    entries
        From `collect`, all of one kind.
    overlaps
        Schema `evidence_overlaps`.
    measure
        "proportion", "survival" (pooled as log(-log S)) or "ratio" (pooled as logs, contrasts).

    Raises
    ------
    RequestError
        The measure or a setting is unknown, or a released pair cannot be released.

    Examples
    --------
    >>> from ahsct.evidence.entries import collect
    >>> from ahsct.evidence.read import read_evidence
    >>> evidence = read_evidence()
    >>> deaths = pool(collect(evidence, "transplant_death", kind="proportion"), evidence.overlaps, measure="proportion")
    >>> deaths.k, deaths.n_events, deaths.n
    (15, 11, 2159)
    """
    if measure not in MEASURES:
        raise RequestError(
            f"No measure {measure!r}; known are {', '.join(MEASURES)}.{did_you_mean(measure, MEASURES)}"
        )
    settings = settings or Settings()
    chosen = select(entries, overlaps, release=settings.release, contrasts=measure == "ratio")
    require_no_overlap(chosen.chosen, overlaps, released=chosen.released)
    _require_seen(chosen.chosen)
    numbers = _numbers(chosen.chosen, measure, settings)
    others = [
        value
        for one in chosen.alternatives
        if (value := _numbers(one, measure, settings)["estimate"]) is not None
    ]
    warnings = numbers.pop("warnings")
    profile = None
    if measure == "proportion" and settings.method == "glmm" and numbers["tau2"] is not None:
        limits = binomial_normal(
            [entry.events or 0 for entry in chosen.chosen], [entry.n or 0 for entry in chosen.chosen],
            interval="profile", conf_level=settings.conf_level,
        )  # fmt: skip
        profile = (float(expit(limits.lower[0])), float(expit(limits.upper[0])))
    if chosen.released:
        pairs = "; ".join(f"{a} with {b}" for a, b in chosen.released)
        warnings = [*warnings, f"overlaps taken as none on request: {pairs}"]
    if not chosen.is_complete:
        warnings = [
            *warnings,
            f"more than {len(chosen.alternatives)} other sets: the range is over the heaviest",
        ]
    return Pool(
        measure=measure, selection=chosen, conf_level=settings.conf_level,
        prediction_convention={"k-1": "t with k - 1", "k-2": "t with k - 2", "normal": "normal"}[settings.prediction],
        profile=profile, alternatives=(min(others), max(others)) if others else None, warnings=tuple(warnings), **numbers,
    )  # fmt: skip


def own_interval(entry: Entry, *, conf_level: float = 0.95) -> tuple[float | None, float | None]:
    """Return the limits of one entry: exact for counts, else those printed."""
    if entry.events is not None and entry.n:
        return clopper_pearson(entry.events, entry.n, (1 - conf_level) / 2)
    return entry.lower, entry.upper


def _require_seen(entries: Sequence[Entry]) -> None:
    """Raise where a recalled row came this far: it must never enter a pool."""
    for entry in entries:
        if entry.verified == "memory" or not entry.is_pooled:
            raise RequestError(f"{entry.key} is recalled or only shown, and cannot enter a pool.")


def _numbers(entries: Sequence[Entry], measure: str, settings: Settings) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(
        ("estimate", "lower", "upper", "df", "prediction", "tau2", "tau2_limits", "i2", "n_events", "bayes")
    )
    empty |= {"method": "nothing to pool", "n": int(sum(entry.weight for entry in entries)), "warnings": []}
    if not entries:
        return empty
    if measure == "proportion":
        empty["n_events"] = sum(entry.events or 0 for entry in entries)
    if len(entries) == 1:
        return empty | _one(entries[0], settings)
    if measure == "proportion":
        return empty | _proportion(entries, settings)
    y, se = zip(*(_on_scale(entry) for entry in entries), strict=True)
    fit = fit_random_effects(
        y, np.square(se), tau2=settings.tau2, test=settings.test, conf_level=settings.conf_level
    )
    back: Callable[[Any], float] = (
        (lambda value: float(np.exp(-np.exp(value))))
        if measure == "survival"
        else (lambda value: float(np.exp(value)))
    )
    scale = "log(-log S)" if measure == "survival" else "log ratio"
    found = empty | _normal(
        fit, settings, back, f"random effects on {scale}, {settings.tau2}, {settings.test}"
    )
    if len(entries) <= _FEW:
        posterior = bayes_random_effects(y, np.square(se), tau_scale=BAYES_SCALE)
        low, high = sorted(back(limit) for limit in posterior.interval(settings.conf_level))
        found["bayes"] = (back(posterior.quantile(0.5)), low, high)
    return found


def _one(entry: Entry, settings: Settings) -> dict[str, Any]:
    lower, upper = own_interval(entry, conf_level=settings.conf_level)
    exact = entry.events is not None
    words = "one study, nothing pooled; " + ("Clopper-Pearson" if exact else "interval as published")
    level = entry.conf_level or settings.conf_level
    warnings = (
        []
        if exact or abs(level - settings.conf_level) < 1e-9
        else [f"the printed interval is one of {100 * level:g} %"]
    )
    return {"estimate": entry.estimate, "lower": lower, "upper": upper, "method": words, "warnings": warnings}


def _on_scale(entry: Entry) -> tuple[float, float]:
    if entry.y is not None and entry.se is not None:
        return entry.y, entry.se
    if entry.events is None or not entry.n or entry.events in (0, entry.n):
        raise RequestError(
            f"{entry.key} is at the end of the scale and has no standard error there; pool it as counts."
        )
    s = entry.events / entry.n
    return float(np.log(-np.log(s))), float(np.sqrt((1 - s) / (s * entry.n)) / -np.log(s))


def _proportion(entries: Sequence[Entry], settings: Settings) -> dict[str, Any]:
    events = [entry.events or 0 for entry in entries]
    total = [entry.n or 0 for entry in entries]
    warnings: list[str] = []
    if settings.method in ("glmm", "beta-binomial") and sum(events) == 0:
        lower, upper = clopper_pearson(0, sum(total), (1 - settings.conf_level) / 2)
        return {"estimate": 0.0, "lower": lower, "upper": upper, "method": "no event in any group: Clopper-Pearson of the sum",
                "warnings": ["the groups are taken as one: without an event nothing can be said of their differences"]}  # fmt: skip
    if settings.method == "glmm":
        fit = binomial_normal(events, total, conf_level=settings.conf_level)
        df = {"k-1": len(entries) - 1, "k-2": len(entries) - 2, "normal": None}[settings.prediction]
        prediction = None
        if df is None or df > 0:
            half = quantile(1 - (1 - settings.conf_level) / 2, df) * float(
                np.sqrt(fit.covariance[0, 0] + fit.tau2)
            )
            prediction = (float(expit(fit.mean - half)), float(expit(fit.mean + half)))
        return {"estimate": float(expit(fit.mean)), "lower": float(expit(fit.lower[0])), "upper": float(expit(fit.upper[0])),
                "df": fit.df, "tau2": fit.tau2, "prediction": prediction, "method": _METHOD_WORDS["glmm"], "warnings": warnings}  # fmt: skip
    if settings.method == "beta-binomial":
        beta = beta_binomial(events, total, conf_level=settings.conf_level)
        return {"estimate": beta.mean, "lower": float(expit(beta.lower)), "upper": float(expit(beta.upper)), "df": beta.df,
                "method": _METHOD_WORDS["beta-binomial"], "warnings": warnings}  # fmt: skip
    y, v = proportion_effects(events, total, scale=settings.method)
    normal = fit_random_effects(y, v, tau2=settings.tau2, test=settings.test, conf_level=settings.conf_level)
    words = f"{settings.method} scale{' with 1/2 added where needed' if settings.method == 'logit' else ''}, {settings.tau2}, {settings.test}"
    found = _normal(
        normal,
        settings,
        lambda value: float(back_to_proportion(value, scale=settings.method, n=total)),
        words,
    )
    if sum(events) / sum(total) < 0.05:
        text = _UNMEASURED if settings.method == "arcsine" else _UNSAFE
        found["warnings"] = [*found["warnings"], text.format(method=settings.method, tau2=settings.tau2)]
    return found


def _normal(fit: Fit, settings: Settings, back: Callable[[Any], float], method: str) -> dict[str, Any]:
    lower, upper = sorted((back(fit.lower[0]), back(fit.upper[0])))
    prediction = None
    if settings.prediction != "k-2" or fit.k > 2:
        low, high = sorted(back(limit) for limit in prediction_interval(fit, convention=settings.prediction))
        prediction = (low, high)
    warnings = []
    if fit.df is not None and fit.k <= _FEW:
        warnings.append(
            f"{fit.k} groups: t with {fit.df} degree{'' if fit.df == 1 else 's'} of freedom makes the interval wide, as it should be"
        )
    return {"estimate": back(fit.mean), "lower": lower, "upper": upper, "df": fit.df, "tau2": fit.tau2,
            "tau2_limits": tau2_interval(fit), "i2": fit.i2, "prediction": prediction, "method": method, "warnings": warnings}  # fmt: skip


def names_of(entries: Iterable[Entry]) -> str:
    """Return the labels of entries, joined."""
    return "; ".join(
        f"{entry.label}{'' if entry.subgroup == 'all' else ', ' + entry.subgroup}" for entry in entries
    )
