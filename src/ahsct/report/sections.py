"""The sections of the page: which results, tables and figures stand where, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ahsct.analysis import Analysis
from ahsct.definitions import Definition
from ahsct.report.figures import Drawing
from ahsct.report.formats import time_words
from ahsct.report.milestones import milestone_table
from ahsct.report.pictures import PLACES
from ahsct.report.section_tables import (
    baseline_table,
    deaths_table,
    disability_events_table,
    evaluability_table,
    flow_table,
    organ_table,
    scans_left_out_table,
)
from ahsct.report.tables import Row, Table, estimate_table
from ahsct.report.words import component_words, endpoint_label, estimand_label, words

SHARED = "Left out of this shared version, because it would show single patients."


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page; `missing` says why something that belongs here is not here."""

    id: str
    title: str
    text: tuple[str, ...] = ()
    figures: tuple[tuple[str, Drawing], ...] = ()
    tables: tuple[Table, ...] = ()
    missing: tuple[str, ...] = ()


# section: title, endpoints of RESULTS, what is said first, figures that it may hold
_SECTIONS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("flow", "Patient flow", (), ""),
    ("baseline", "Patients at baseline", ("baseline", "entry_criteria"), ""),
    ("treatment", "Treatment", ("treatment",), ""),
    (
        "follow-up",
        "Follow-up",
        ("follow_up",),
        "Plain medians take the survivors only; the reverse Kaplan–Meier median takes everyone, a death ending "
        "the observation of follow-up.",
    ),
    ("evaluability", "What could not be evaluated", (), "A missing visit, scan or table is never read as “no event”."),
    ("activity", "Staying free of disease activity", (), "Each endpoint is given in every way of counting that the definition names."),
    ("courses", "Each patient's course", (), ""),
    (
        "disability",
        "Disability",
        ("disability",),
        "Relation to relapses: RAW = relapse-associated worsening, PIRA = progression independent of relapse activity.",
    ),
    (
        "relapses",
        "Relapses before and after",
        ("relapses",),
        "Patients come to a transplant after a bad spell, so their rate would fall without any treatment: the size "
        "of that regression to the mean stands beside the ratio, by formula and simulated (there chance is in the "
        "interval too). No p value is given: it would say that the rates differ, not why.",
    ),
    (
        "mri",
        "Magnetic resonance imaging",
        ("mri",),
        "Scans of one patient resemble each other; counting scans treats them as independent and makes the interval "
        "too narrow. The count of patients beside it does not.",
    ),
    (
        "improvement",
        "Improvement",
        ("sustained_change", "improved_and_alive"),
        "A crude proportion ignores that patients were followed for unequal times.",
    ),
    (
        "brain-volume",
        "Brain volume",
        ("brain_volume",),
        "In the first two rows every patient has an early and a late slope of their own. Where slopes are taken as common "
        "(random intercept alone), the interval is too narrow if patients differ; that model stands beside it for "
        "sensitivity. The early loss is not annualised, and norms are not extrapolated beyond their published ages. The "
        "patients followed longest are a selection by follow-up.",
    ),
    ("engraftment", "Engraftment", ("neutrophil_engraftment", "platelet_engraftment"), ""),
    ("toxicity", "Toxicity", ("toxicity",), ""),
    ("deaths", "Deaths", ("treatment_related_mortality", "death_by_day", "overall_survival"), ""),
    ("work", "Work", ("work",), ""),
)  # fmt: skip
_WORDS = {
    "age": "Age",
    "edss": "EDSS",
    "prior_dmt": "Earlier disease-modifying treatment",
    "ms_course": "Course of the disease",
    "plain": "Time followed, plainly",
    "reverse_kaplan_meier": "Time followed, by reverse Kaplan–Meier",
    "total": "Total time followed",
    "before": "Before mobilisation",
    "after": "After infusion",
    "after / before": "Ratio of the rates, after to before",
    "regression_to_the_mean": "Ratio expected from regression to the mean alone, watched as long after as before",
    "without treatment, simulated": "Ratio expected without treatment in the years watched, simulated",
    "off_disability_and_working": "Off disability insurance and working",
    "early_change": "Early change, up to the break",
    "late_slope": "Late slope, after the break",
    "edss_improvement": "Sustained EDSS improvement",
    "edss_worsening": "Confirmed EDSS worsening",
    "crude": "Crude proportion",
}
_SAID = ("mixed_model", "person_years")  # the method and the unit say so
_SCANS = {
    "after": "After, scans that count (from the re-baseline on)",
    "after_all": "After, every scan after infusion",
}


def sections(
    analysis: Analysis, rows: Sequence[Row], figures: Mapping[str, Drawing], *, share: bool
) -> list[Section]:
    """Return the sections in order; each row of RESULTS stands in exactly one of them."""
    own = {endpoint.id for endpoint in analysis.definition.endpoints}
    claimed = own | {name for _, _, names, _ in _SECTIONS for name in names}
    made = []
    for id, title, endpoints, text in _SECTIONS:
        if id == "activity":
            found = [row for row in rows if row["endpoint"] in own]
        else:
            found = [row for row in rows if row["endpoint"] in endpoints]
        tables = [table for table in _tables(id, analysis, found, share=share) if table is not None]
        pictures = figures_of(id, figures)
        if id == "flow" and pictures:
            tables = []  # the boxes say the same, and their numbers stand behind them
        missing = [] if tables or pictures else [_why_empty(analysis, id, endpoints)]
        if share and id == "courses":
            missing = [SHARED]
        made.append(
            Section(
                id=id,
                title=title,
                text=(text,) if text and (tables or pictures) else (),
                figures=pictures,
                tables=tuple(tables),
                missing=tuple(missing),
            )
        )
    others = [row for row in rows if row["endpoint"] not in claimed]
    table = estimate_table("other", "Results of other endpoints", others, row_label)
    return [*made, Section(id="other", title="Other results", tables=(table,))] if table else made


def figures_of(place: str, figures: Mapping[str, Drawing]) -> tuple[tuple[str, Drawing], ...]:
    """Return the figures of one section that were drawn, each with its name."""
    return tuple((name, figures[name]) for name in PLACES.get(place, ()) if name in figures)


def row_label(row: Row) -> str:
    """Return what one row of results is about, in words."""
    endpoint, term, component = row["endpoint"], row["term"], row["component"]
    about, _, detail = (term or "").partition(": ")
    name = (_SCANS.get(about) if endpoint == "mri" else None) or _WORDS.get(about)
    if endpoint == "treatment" and term:
        name, detail = term, ""
    elif name is None:
        name = words(about or endpoint).capitalize()
    parts = [f"{name}: {detail}" if detail else name]
    if component and component != "composite":
        parts.append(component_words(component))
        if endpoint == "brain_volume" and not component.endswith("own slopes"):
            parts.append("random intercept alone")
    statistic = words(row["statistic"])
    is_plain = row["statistic"] in ("proportion", "count") and endpoint not in ("mri", "relapses")
    is_said = any(word in name.casefold() for word in statistic.split()) or row["statistic"] in _SAID
    if not is_plain and not is_said:
        parts.append(statistic)
    if row["sided"] != "two":
        parts.append("one-sided bound")
    if row["time_years"] is not None:
        parts.append(f"at {time_words(row['time_years'])}")
    text = ", ".join(parts)
    unit = {"scan": "scans", "patient": "patients", "patient_year": "patient-years"}[row["unit_of_analysis"]]
    if endpoint == "mri":
        return f"{text}, {unit}"
    return f"{text} ({words(row['population'])})" if row["population"] else text


def _tables(id: str, analysis: Analysis, rows: Sequence[Row], *, share: bool) -> list[Table | None]:
    if id == "activity":
        return _activity_tables(analysis.definition, rows)
    if id == "baseline":
        baseline = [row for row in rows if row["endpoint"] == "baseline"]
        criteria = [row for row in rows if row["endpoint"] == "entry_criteria"]
        return [
            baseline_table(analysis, baseline),
            estimate_table("entry-criteria", "Entry criteria met", criteria, _with_criterion(analysis.definition)),
        ]  # fmt: skip
    counted: dict[str, Callable[..., Table | None]] = {
        "flow": flow_table,
        "evaluability": evaluability_table,
        "mri": scans_left_out_table,
        "toxicity": organ_table,
        "deaths": deaths_table,
        "disability": disability_events_table,
    }
    title = next(title for name, title, _, _ in _SECTIONS if name == id)
    estimates = estimate_table(f"{id}-estimates", f"{title}: estimates", rows, row_label)
    return [estimates, counted[id](analysis, share=share)] if id in counted else [estimates]


def _with_criterion(definition: Definition) -> Callable[[Row], str]:
    """Return a label that states the criterion beside its name."""
    criteria = definition.entry_criteria
    stated = (
        {}
        if criteria is None
        else {
            "age": f"{_end(criteria.age_min_years)}–{_end(criteria.age_max_years)} years",
            "edss": f"{_end(criteria.edss_min)}–{_end(criteria.edss_max)}",
            "prior_dmt": f"at least {_end(criteria.prior_dmt_min_n)}",
            "ms_course": ", ".join(criteria.ms_courses),
        }
    )

    def label(row: Row) -> str:
        term = row["term"] or ""
        return f"{_WORDS.get(term, words(term))} {stated.get(term, '')}".strip()

    return label


def _end(value: float | None) -> str:
    return "…" if value is None else f"{value:g}"


def _activity_tables(definition: Definition, rows: Sequence[Row]) -> list[Table | None]:
    over_time = [row for row in rows if row["statistic"] in ("survival_probability", "cumulative_incidence")]
    primary = [row for row in over_time if row["endpoint"] == definition.primary_endpoint]
    composite = [row for row in primary if row["component"] in ("composite", None)]
    components = [row for row in primary if row["component"] not in ("composite", None)]
    others = [
        row
        for row in over_time
        if row["endpoint"] != definition.primary_endpoint and not _repeats_composite(definition, row)
    ]
    rest = [
        row
        for row in rows
        if row["statistic"] in ("median_time", "n_with_event") and not _repeats_composite(definition, row)
    ]
    name = endpoint_label(definition, definition.primary_endpoint)
    return [
        milestone_table("activity-milestones", f"{name} at each milestone", composite, definition),
        milestone_table("activity-components", f"{name}: free of each component", components, definition),
        milestone_table("activity-endpoints", "The other endpoints at each milestone", others, definition),
        estimate_table(
            "activity-median",
            "Median time to the event",
            [row for row in rest if row["statistic"] == "median_time"],
            _ever_label(definition),
        ),
        estimate_table(
            "activity-first",
            "What came first",
            [row for row in rows if row["statistic"] == "n_first_event"],
            _first_label(definition),
        ),
        estimate_table(
            "activity-ever",
            "Patients with an event at any time",
            [row for row in rest if row["statistic"] != "median_time"],
            _ever_label(definition),
        ),
    ]


def _repeats_composite(definition: Definition, row: Row) -> bool:
    """Whether a row is of the only component of its endpoint, whose composite says more: it counts deaths."""
    components = definition.endpoint(row["endpoint"]).components
    return len(components) == 1 and row["component"] not in ("composite", None)


def _ever_label(definition: Definition) -> Callable[[Row], str]:
    def label(row: Row) -> str:
        component = row["component"] or "composite"
        what = "" if component == "composite" else f", {component_words(component, definition)}"
        way = estimand_label(definition, row["estimand"]).split(":")[0]
        known = row["statistic"] in ("median_time", "n_with_event")
        statistic = "" if known else f": {words(row['statistic'])}"
        return f"{endpoint_label(definition, row['endpoint'])}{what}{statistic} ({way})"

    return label


def _first_label(definition: Definition) -> Callable[[Row], str]:
    def label(row: Row) -> str:
        way = estimand_label(definition, row["estimand"]).split(":")[0]
        cause = component_words((row["term"] or "").removeprefix("competing_"), definition)
        return f"{endpoint_label(definition, row['endpoint'])}: {cause} ({way})"

    return label


def _why_empty(analysis: Analysis, id: str, endpoints: Sequence[str]) -> str:
    """Return the reason that the outcomes give for an empty section."""
    if id == "evaluability":
        return "No outcome and no patient is listed as not evaluable."
    found = analysis.outcomes.not_evaluable.filter(pl.col("endpoint").is_in(list(endpoints)))
    reasons = list(dict.fromkeys(found["reason"].to_list()))
    if reasons:
        return "Not evaluable: " + "; ".join(reasons) + "."
    return "The tables of this study hold nothing for this section, so nothing is shown; that is not a zero."
