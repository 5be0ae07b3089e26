"""Question 7: where a new study stands, beside the pool and its prediction interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.special import expit, logit
from scipy.stats import binom, norm

from ahsct.errors import RequestError, SourceError, did_you_mean
from ahsct.evidence.answers import (
    Answer,
    Line,
    Panel,
    Sheet,
    join_results,
    line_of,
    percent,
    pool_lines,
    with_limits,
)
from ahsct.evidence.entries import Entry, collect
from ahsct.evidence.overlap import BLOCKING
from ahsct.evidence.pooling import Pool, Settings, own_interval, pool
from ahsct.evidence.read import Evidence
from ahsct.vocabulary import RESULTS, conform

# endpoint of an analysis -> (outcome of the evidence, how it is counted)
_ENDPOINTS: Mapping[str, tuple[str, str]] = {
    "activity_free_survival": ("activity_free", "survival"),
    "event_free_survival": ("activity_free", "survival"),
    "neda": ("activity_free", "survival"),
    "neda3": ("activity_free", "survival"),
    "progression_free_survival": ("progression_free", "survival"),
    "relapse_free_survival": ("relapse_free", "survival"),
    "mri_free_survival": ("mri_free", "survival"),
    "treatment_related_mortality": ("transplant_death", "proportion"),
}
_TIMES = (2.0, 3.0, 5.0, 10.0)
_NEAR = 0.02  # years: 1096 days are 3 years
EXAMPLE = "atkins2016"


@dataclass(frozen=True, kw_only=True)
class Own:
    """One number of the reader's study."""

    study_id: str
    data_kind: str
    label: str
    outcome: str
    kind: str
    at_years: float | None
    estimate: float
    lower: float | None
    upper: float | None
    conf_level: float | None
    n: int | None
    n_events: int | None


def read_results(path: str | Path) -> pl.DataFrame:
    """Return a `results.csv` that `ahsct analyse` wrote, in the schema RESULTS.

    Raises
    ------
    SourceError
        The file cannot be read, or lacks a column.
    """
    try:
        frame = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(
            f"{path} cannot be read as CSV ({type(error).__name__}). Give the results.csv of a report folder."
        ) from error
    for name in ("study_id", "data_kind", "endpoint", "statistic", "estimate", "n"):
        if name not in frame.columns:
            raise SourceError(
                f"{path} has no column {name!r}.{did_you_mean(name, frame.columns)} Give the results.csv of a report folder."
            )
    return conform(
        frame.with_columns(
            pl.when(pl.col(pl.String) == "").then(None).otherwise(pl.col(pl.String)).name.keep()
        ),
        RESULTS,
    )


def own_numbers(results: pl.DataFrame) -> list[Own]:
    """Return the numbers of a study that the evidence can place: the composite at 2, 3, 5, 10 years, and treatment deaths.

    Rows marked `illustration` are invented and left out. Of several intervals of one number the first is taken, of several
    ways of counting every one.

    Raises
    ------
    RequestError
        There is none.
    """
    found: dict[tuple[Any, ...], Own] = {}
    marked = results.filter(
        (pl.col("mark") != "illustration").fill_null(True) & pl.col("estimate").is_not_null()
    )
    for row in marked.iter_rows(named=True):
        outcome, kind = _ENDPOINTS.get(row["endpoint"], ("", ""))
        at = next(
            (
                time
                for time in _TIMES
                if row["time_years"] is not None and abs(row["time_years"] - time) < _NEAR
            ),
            None,
        )
        is_survival = (
            kind == "survival"
            and row["statistic"] == "survival_probability"
            and at is not None
            and row["component"] in ("composite", None)
        )
        is_death = kind == "proportion" and row["statistic"] == "proportion" and row["n_events"] is not None
        if not (is_survival or is_death):
            continue
        key = (
            row["arm"],
            row["endpoint"],
            row["estimand"],
            row["population"],
            row["term"],
            row["subgroup"],
            at,
        )
        words = [
            row["study_id"] or "this study",
            row["arm"] if row["arm"] not in ("all", "") else "",
            (row["estimand"] or "").replace("_", " "),
            row["subgroup"] or "",
        ]
        found.setdefault(key, Own(
            study_id=row["study_id"] or "", data_kind=row["data_kind"] or "", label=", ".join(word for word in words if word), outcome=outcome, kind=kind,
            at_years=at if is_survival else None, estimate=row["estimate"], lower=row["lower"], upper=row["upper"],
            conf_level=row["conf_level"], n=row["n"], n_events=row["n_events"] if is_death else None,
        ))  # fmt: skip
    if not found:
        raise RequestError(
            "The results hold nothing that the evidence can place: a composite survival probability at 2, 3, 5 or 10 years, "
            "or a proportion of treatment-related deaths."
        )
    return list(found.values())


def new_study(evidence: Evidence, settings: Settings, results: pl.DataFrame | None = None) -> Answer:
    """Answer question 7; without results the 2016 trial stands in, as if it were new."""
    own = own_numbers(results) if results is not None else _example(evidence)
    panels, rows, placed = [], [], []
    for place, one in enumerate(own):
        rest = _rest(evidence, one, settings)
        verdict = _verdict(one, rest)
        placed.append((one, rest, verdict))
        title = _title(one)
        line = Line(label=one.label, estimate=one.estimate, lower=one.lower, upper=one.upper, role="own", conf_level=one.conf_level,
                    counts=f"{one.n_events} of {one.n}" if one.n_events is not None else f"n = {one.n}" if one.n else "")  # fmt: skip
        lines = (
            line,
            *(line_of(entry, is_in=rest.k > 1) for entry in rest.selection.chosen),
            *pool_lines(rest, "The others pooled"),
        )
        panels.append(Panel(id=f"new-{place + 1}", title=title, unit="percent", lines=lines,
                            caption=f"The first line is the new study; it is in no pool. {verdict}"))  # fmt: skip
        rows.append(
            (title, with_limits(one.estimate, one.lower, one.upper), _pooled(rest), _predicted(rest), verdict)
        )
    # the sentences are about the first number that the others can be held against
    first, rest, verdict = next((one for one in placed if one[1].prediction is not None), placed[0])
    kind = {
        "reconstructed": " (patients reconstructed from published totals)",
        "simulated": " (simulated patients)",
    }.get(first.data_kind, "")
    return Answer(
        number=7, title="Where does a new study stand?", question="Is a new study like those before it?",
        sentences=(
            f"{_title(first)}: {first.label}{kind}: {with_limits(first.estimate, first.lower, first.upper)}; the others "
            f"without overlap give {_pooled(rest)}, and a new one is expected within {_predicted(rest)}."
            if rest.prediction is not None
            else f"{_title(first)}: {first.label}{kind}: {with_limits(first.estimate, first.lower, first.upper)}; the others cannot be pooled.",
            f"{verdict} To lie within a prediction interval is weak praise when it is wide, and patients, definitions and follow-up differ as much as treatments do.",
        ),
        panels=tuple(panels), scatters=(),
        sheets=(Sheet(id="new-study", caption="Each number of the study beside the others", columns=("Number", "This study", "The others", "A new study (95 %)", "Reading"), rows=tuple(rows)),),
        results=join_results([one.rows(endpoint=mine.outcome, time_years=mine.at_years) for mine, one, _ in placed]),
        notes=("Give your own: `ahsct evidence pool --question 7 --with results.csv`, with the file of a report folder.",) if results is None else (),
    )  # fmt: skip


def _example(evidence: Evidence) -> list[Own]:
    """Return the 2016 trial's published deaths and its activity-free survival as if it were a new study."""
    found = []
    for outcome, kind, at in (("transplant_death", "proportion", None), ("activity_free", "survival", 3.0)):
        for entry in collect(evidence, outcome, kind=kind, at_years=at):
            if entry.study_id == EXAMPLE and entry.is_pooled and entry.estimate is not None:
                lower, upper = own_interval(entry)
                found.append(Own(
                    study_id=EXAMPLE, data_kind="observed", label=f"{entry.label}, as if new", outcome=outcome, kind=kind, at_years=at,
                    estimate=entry.estimate, lower=lower, upper=upper, conf_level=entry.conf_level, n=entry.n,
                    n_events=entry.events,
                ))  # fmt: skip
    return found


def _rest(evidence: Evidence, one: Own, settings: Settings) -> Pool:
    """Return the pool of everyone else: the study itself and whatever overlaps it stays out."""
    entries = collect(evidence, one.outcome, kind=one.kind, at_years=one.at_years)
    related = {one.study_id}
    for a, b, relation in evidence.overlaps.select("study_a", "study_b", "relation").iter_rows():
        if relation in BLOCKING and one.study_id in (a, b):
            related |= {a, b}
    kept: list[Entry] = [entry for entry in entries if entry.study_id not in related]
    return pool(kept, evidence.overlaps, measure=one.kind, settings=settings)


def _verdict(one: Own, rest: Pool) -> str:
    """Return how the study's number lies to what the others predict for a study of its size."""
    if rest.prediction is None or rest.estimate is None:
        return "Too few others can be pooled to say what a new study would see."
    low, high = rest.prediction
    if one.n_events is not None and one.n:
        p = _count_tail(one.n_events, one.n, rest)
        return (
            f"As many deaths or more in {one.n} patients would be seen with probability {p:.2f} if the study were like the others."
            if p is not None
            else "The others have no spread to compare with."
        )
    if low <= one.estimate <= high:
        return f"It lies within the prediction interval, {percent(low)} to {percent(high)}."
    return f"It lies outside of the prediction interval, {percent(low)} to {percent(high)}."


def _count_tail(events: int, n: int, rest: Pool) -> float | None:
    """Return the probability of as many events or more, over the true value of a new study as the pool predicts it."""
    if rest.estimate is None or rest.tau2 is None or rest.lower is None or not 0 < rest.estimate < 1:
        return None
    se = (logit(rest.estimate) - logit(max(rest.lower, 1e-12))) / _quantile(rest)
    spread = math.sqrt(rest.tau2 + se**2)
    levels = (np.arange(2000) + 0.5) / 2000
    risks = expit(logit(rest.estimate) + spread * norm.ppf(levels))
    return float(np.mean(binom.sf(events - 1, n, risks)))


def _quantile(rest: Pool) -> float:
    from ahsct.evidence.random_effects import quantile

    return quantile(1 - (1 - rest.conf_level) / 2, rest.df)


def _title(one: Own) -> str:
    words = {"activity_free": "free of disease activity", "progression_free": "free of progression", "relapse_free": "free of relapse",
             "mri_free": "free of MRI activity", "transplant_death": "deaths from the treatment"}[one.outcome]  # fmt: skip
    return f"{words[0].upper()}{words[1:]}" + (f" at {one.at_years:g} years" if one.at_years else "")


def _pooled(rest: Pool) -> str:
    return (
        "nothing that can be pooled"
        if rest.estimate is None
        else with_limits(rest.estimate, rest.lower, rest.upper)
    )


def _predicted(rest: Pool) -> str:
    return (
        "no value that can be named"
        if rest.prediction is None
        else f"{100 * rest.prediction[0]:.1f} to {percent(rest.prediction[1])}"
    )
