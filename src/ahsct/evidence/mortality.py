"""Question 1: how many die of the transplant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
from scipy.special import expit

from ahsct.errors import RequestError, did_you_mean
from ahsct.evidence.answers import (
    POOL_COLUMNS,
    Answer,
    Line,
    Panel,
    Sheet,
    join_results,
    left_out_sheet,
    panel_of,
    percent,
    pool_row,
    with_limits,
)
from ahsct.evidence.entries import Entry, collect
from ahsct.evidence.glmm import binomial_normal
from ahsct.evidence.pooling import PROPORTION_METHODS, Pool, Settings, pool
from ahsct.evidence.read import Evidence, has_memory, seen_results, seen_studies

RULES = ("recorded", "cy_atg_intermediate", "cy_atg_low")
_ERAS = (("to 2010", 0, 2010), ("2011 to 2018", 2011, 2018), ("from 2019", 2019, 9999))
_CENTRE_YEAR = 2015
_WARNINGS = {
    "logit": "misses the truth far too often with rare events",
    "freeman-tukey": "misses the truth far too often with rare events",
    "arcsine": "not measured with rare events",
}


def mortality(evidence: Evidence, settings: Settings, *, rule: str = "recorded") -> Answer:
    """Answer with the pool without overlap, by regimen, era and type of MS, beside the published meta-analyses."""
    entries = collect(evidence, "transplant_death", kind="proportion", stratum="")
    overall = pool(entries, evidence.overlaps, measure="proportion", settings=settings)
    average = pool(
        entries, evidence.overlaps, measure="proportion", settings=replace(settings, method="beta-binomial")
    )
    crude = (overall.n_events or 0) / overall.n
    groups = _groups(evidence, entries, settings, rule)
    slope = _trend(overall.selection.chosen, settings)
    published = [line for entry in entries if (line := _published(evidence, entry))]
    rows = [pool_row("All series", overall), *(pool_row(name, one) for name, one in groups)]
    low, high = average.lower, average.upper
    sentences = (
        f"Of {overall.n} patients in {overall.k} series without overlap {overall.n_events} died of the treatment, "
        f"{percent(crude, 2)} of all; the typical series has {with_limits(overall.estimate, overall.lower, overall.upper, decimals=2)} "
        f"and the average series {with_limits(average.estimate, low, high, decimals=2)}, because a few small series lost many.",
        f"A new centre cannot be promised either number: the risk in a new series may lie anywhere from "
        f"{percent(overall.prediction[0], 2)} to {percent(overall.prediction[1], 1)}, and in these reports regimen, era, centre "
        "and type of MS change together, so that no line below is an effect of its own."
        if overall.prediction
        else "The series are too few to say what a new one would see.",
    )
    return Answer(
        number=1, title="Mortality from the transplant", question="How many patients die of the treatment, and where fewer?",
        sentences=sentences,
        panels=(
            panel_of(overall, id="mortality", title="Deaths from the treatment, series without overlap", others=False,
                     caption="Squares: each series with its exact interval, sized by its patients; diamond: the pool."),
            Panel(id="mortality-published", title="The pool beside the published meta-analyses", unit="percent",
                  lines=(*_our_lines(overall, average, crude), *published),
                  caption="The published ones pool series that contain each other's patients, with other methods and other years."),
            _volume(evidence),
        ),
        scatters=(),
        sheets=(
            Sheet(id="mortality-groups", caption=f"By regimen (rule: {rule}), year of publication and type of MS", columns=POOL_COLUMNS, rows=tuple(rows)),
            _differences(evidence, overall, average, crude),
            _by_method(entries, evidence, settings),
            _without_each(overall, settings),
            left_out_sheet(overall, "mortality-left-out"),
        ),
        results=join_results([
            overall.rows(endpoint="transplant_death"),
            *(one.rows(endpoint="transplant_death", subgroup=name) for name, one in groups),
        ]),
        notes=(slope, "Deaths within 100 days and over the whole follow-up are taken together, as reported: most series do not tell them apart."),
    )  # fmt: skip


def intensity_classes(evidence: Evidence, rule: str) -> Mapping[str, str | None]:
    """Return the class of intensity of each study by a named rule; recalled regimens have none.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> evidence = read_evidence()
    >>> [intensity_classes(evidence, rule)["burt2021"] for rule in ("recorded", "cy_atg_low")]
    ['intermediate', 'low']
    """
    if rule not in RULES:
        raise RequestError(f"No rule {rule!r}; known are {', '.join(RULES)}.{did_you_mean(rule, RULES)}")
    seen = seen_studies(evidence)
    if rule == "recorded":
        return dict(seen.select("study_id", "intensity").iter_rows())
    table = {
        row["regimen_family"]: row["intensity"]
        for row in evidence.intensity_rules.filter(pl.col("rule") == rule).iter_rows(named=True)
    }
    seen = seen.with_columns(
        pl.when(has_memory("regimen")).then(None).otherwise(pl.col("regimen_family")).alias("family")
    )
    return {id: table.get(family or "") for id, family in seen.select("study_id", "family").iter_rows()}


def _groups(
    evidence: Evidence, entries: list[Entry], settings: Settings, rule: str
) -> list[tuple[str, Pool]]:
    classes = intensity_classes(evidence, rule)
    years = dict(seen_studies(evidence).select("study_id", "year").iter_rows())
    share = progressive_share(evidence)

    def within(name: str, keep: Callable[[Entry], bool]) -> tuple[str, Pool]:
        return name, pool(
            [one for one in entries if keep(one)], evidence.overlaps, measure="proportion", settings=settings
        )

    found = [within(f"Regimen: {level}", lambda one, level=level: classes.get(one.study_id) == level)  # type: ignore[misc]
             for level in ("high", "intermediate", "low", "mixed")]  # fmt: skip
    found += [
        within(f"Published {name}", lambda one, a=a, b=b: a <= (years.get(one.study_id) or -1) <= b)  # type: ignore[misc]
        for name, a, b in _ERAS
    ]
    found += [
        within("Relapsing MS only", lambda one: share.get(one.study_id) == 0),
        within("At least half progressive", lambda one: (share.get(one.study_id) or 0) >= 0.5),
    ]
    return found


def progressive_share(evidence: Evidence) -> dict[str, float]:
    """Return each study's share of patients with progressive MS, where the counts of types cover its patients.

    Examples
    --------
    >>> from ahsct.evidence.read import read_evidence
    >>> share = progressive_share(read_evidence())
    >>> share["atkins2016"], share["halt2017"]
    (0.5, 0.0)
    """
    found = {}
    for row in seen_studies(evidence).iter_rows(named=True):
        progressive = sum(row[name] or 0 for name in ("n_spms", "n_ppms", "n_progressive"))
        total = (row["n_rrms"] or 0) + progressive + (row["n_other"] or 0)
        size = row["n_transplanted"] or row["n_analysed"]
        if row["n_progressive"] and row["n_rrms"] is None and size:
            found[row["study_id"]] = row["n_progressive"] / size
        elif total and size and total >= 0.9 * size:
            found[row["study_id"]] = progressive / total
    return found


def _by_method(entries: list[Entry], evidence: Evidence, settings: Settings) -> Sheet:
    """Return the same series pooled by every method, each with its warning."""
    rows = []
    for method in PROPORTION_METHODS:
        one = pool(
            entries, evidence.overlaps, measure="proportion", settings=replace(settings, method=method)
        )
        value = with_limits(one.estimate, one.lower, one.upper, decimals=2)
        rows.append(
            (
                method,
                value,
                one.method,
                _WARNINGS.get(method, ""),
            )
        )
    return Sheet(
        id="mortality-methods",
        caption="The same series by other methods",
        columns=("Method", "Pooled (95 %)", "In words", "Warning"),
        rows=tuple(rows),
    )


def _without_each(overall: Pool, settings: Settings) -> Sheet:
    """Return the binomial-normal pool without each series in turn."""
    chosen = overall.selection.chosen
    rows = []
    for left in chosen if len(chosen) > 2 else ():
        rest = [one for one in chosen if one is not left]
        fit = binomial_normal(
            [one.events or 0 for one in rest], [one.n or 0 for one in rest], conf_level=settings.conf_level
        )
        values = [float(expit(value)) for value in (fit.mean, fit.lower[0], fit.upper[0])]
        rows.append(
            (left.label, f"{left.events} of {left.n}", with_limits(*values, decimals=2), f"{fit.tau2:.2f}")
        )
    return Sheet(id="mortality-without-each", caption="The typical series without each in turn (binomial-normal model)",
                 columns=("Without", "Its deaths", "Pooled (95 %)", "Variance between"), rows=tuple(rows))  # fmt: skip


def _trend(chosen: tuple[Entry, ...], settings: Settings) -> str:
    """Return what the year of publication says, by the binomial-normal model with one moderator."""
    if len(chosen) < 4:
        return "Too few series for a trend over the years."
    years = np.array([entry.year - _CENTRE_YEAR for entry in chosen], dtype=np.float64)
    fit = binomial_normal(
        [entry.events or 0 for entry in chosen], [entry.n or 0 for entry in chosen],
        x=np.column_stack([np.ones(years.size), years / 10]), conf_level=settings.conf_level,
    )  # fmt: skip
    times = np.exp([fit.coefficients[1], fit.lower[1], fit.upper[1]])
    at = [
        float(expit(fit.coefficients[0] + fit.coefficients[1] * (year - _CENTRE_YEAR) / 10))
        for year in (2005, 2020)
    ]
    return (
        f"Over ten years of publication the odds of dying of the treatment change by a factor of {times[0]:.2f} ({times[1]:.2f} to "
        f"{times[2]:.2f}): {percent(at[0], 2)} in a typical series of 2005, {percent(at[1], 2)} in one of 2020 (binomial-normal "
        "meta-regression, t; the year of publication stands for the years of transplantation, which most reports do not give)."
    )


def _published(evidence: Evidence, entry: Entry) -> Line | None:
    design = evidence.study(entry.study_id)["design"]
    if design != "meta_analysis" or entry.estimate is None:
        return None
    return Line(label=entry.label, estimate=entry.estimate, lower=entry.lower, upper=entry.upper, role="published",
                conf_level=entry.conf_level, counts=f"n = {entry.n}" if entry.n else "", note=entry.reason)  # fmt: skip


def _our_lines(overall: Pool, average: Pool, crude: float) -> list[Line]:
    counts = f"{overall.n_events} of {overall.n}"
    return [
        Line(label="Typical series (binomial-normal)", estimate=overall.estimate, lower=overall.lower, upper=overall.upper, role="pool", counts=counts),
        Line(label="Average series (beta-binomial)", estimate=average.estimate, lower=average.lower, upper=average.upper, role="pool", counts=counts),
        Line(label="All patients as one", estimate=crude, lower=None, upper=None, role="shown", counts=counts,
             note="no interval: the series differ too much to be one"),
    ]  # fmt: skip


def _volume(evidence: Evidence) -> Panel:
    """Return the relative risks of death by the number of transplants a centre has done, from one registry report."""
    entries = collect(evidence, "death", kind="contrast", stratum="volume=under_5")
    entries += collect(evidence, "death", kind="contrast", stratum="volume=5_15")
    return Panel(
        id="mortality-volume", title="Death by the centre's experience, against centres with more than 15 transplants", unit="ratio",
        lines=tuple(Line(label=f"{one.label}: {one.subgroup}", estimate=one.estimate, lower=one.lower, upper=one.upper, role="shown", note=one.reason) for one in entries),
        caption="Relative risk of death in a registry report on all autoimmune diseases, within one report and not pooled. No series of "
        "MS alone gives deaths by volume.",
    )  # fmt: skip


def _differences(evidence: Evidence, overall: Pool, average: Pool, crude: float) -> Sheet:
    """Return the published meta-analyses beside ours, each with the reasons why it differs."""
    new = sum(entry.n or 0 for entry in overall.selection.chosen if entry.year >= 2019)
    reasons = {
        "sormani2017": "15 studies of 1995 to 2016, so none of the series reported later; whether cohorts that contain each other are both in it is not in the text read",
        "ge2019": "18 studies; gives 3.13 % for high-intensity regimens and 1.93 % before 2006: its mix of regimens and years is another",
        "zhang2020": "27 studies, later ones among them; no interval is in the text read",
    }
    rows = [
        ("This page, typical series", with_limits(overall.estimate, overall.lower, overall.upper, decimals=2), f"{overall.n}",
         f"{overall.k} series without overlap; {new} patients are from reports of 2019 and later; "
         "binomial-normal model without correction: the median over series"),
        ("This page, average series", with_limits(average.estimate, average.lower, average.upper, decimals=2), f"{overall.n}",
         "the same series; beta-binomial model: the mean over series, in which a small series weighs nearly as much as a large one"),
        ("This page, all patients as one", percent(crude, 2), f"{overall.n}", "the same series; large recent ones dominate"),
    ]  # fmt: skip
    for row in (
        seen_results(evidence)
        .filter(pl.col("outcome") == "transplant_death", pl.col("stratum").is_null())
        .iter_rows(named=True)
    ):
        if row["study_id"] in reasons:
            low, high = row["lower"], row["upper"]
            text = with_limits(
                row["estimate"] / 100,
                None if low is None else low / 100,
                None if high is None else high / 100,
                decimals=2,
            )
            rows.append(
                (
                    str(evidence.study(row["study_id"])["citation"]),
                    text,
                    "" if row["n"] is None else f"{row['n']}",
                    reasons[row["study_id"]],
                )
            )
    return Sheet(id="mortality-side-by-side", caption="Side by side with the published meta-analyses, and why they differ",
                 columns=("Source", "Treatment deaths (95 %)", "Patients", "What differs"), rows=tuple(rows))  # fmt: skip
