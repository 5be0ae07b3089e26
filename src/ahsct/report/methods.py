"""The methods text, generated from the definition: every field in words, with its mark."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ahsct.definitions import (
    INTERCURRENT_EVENTS,
    Definition,
    DisabilityRule,
    RebaselineWindow,
)
from ahsct.report.formats import and_list, time_words
from ahsct.report.methods_components import component_sentences
from ahsct.report.methods_disability import disability_sentences
from ahsct.report.words import (
    INTERVALS,
    MEASURES,
    TIME_ZEROS,
    component_words,
    handling_words,
    missing_words,
    population_words,
    words,
)
from ahsct.vocabulary import DAYS_PER_YEAR

MARK_NAMES = {"assumed": "assumed", "inferred": "inferred", "memory": "recalled from memory"}
_LESIONS = {"gd": "gadolinium-enhancing", "new_t2": "new T2", "enlarging_t2": "enlarging T2"}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One sentence of the methods text, and the fields of the definition that it puts into words.

    `mark` (assumed, inferred, memory) and `note` are those of the fields, or "".
    """

    fields: tuple[str, ...]
    text: str
    mark: str = ""
    note: str = ""

    @property
    def mark_and_note(self) -> tuple[str, str]:
        """The mark and its note, printed once below each group."""
        return self.mark, self.note


def methods_text(definition: Definition) -> list[tuple[str, list[Statement]]]:
    """Return the headed groups of statements that put every field of a definition into words.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> heading, statements = methods_text(load_definition("atkins2016"))[1]
    >>> heading, statements[0].text
    ('Time', 'Time is counted in whole days from the infusion of the graft.')
    """
    groups = [
        ("Definition", _about(definition)),
        ("Time", _time(definition)),
        ("Entry criteria", _entry(definition)),
        ("Relapses", _relapses(definition)),
        ("MRI activity", _mri(definition)),
        *(
            (f"Disability: {MEASURES[rule.measure]}", _disability(rule, definition))
            for rule in definition.disability
        ),
        ("Endpoints", [*_parts(definition), *_endpoints(definition)]),
        ("Estimands", _estimands(definition)),
        ("Other outcomes", _others(definition)),
    ]
    return [(heading, _marked(statements, definition)) for heading, statements in groups if statements]


def _marked(statements: list[Statement], definition: Definition) -> list[Statement]:
    """Attach the marks found on a statement's fields."""
    marked = []
    for statement in statements:
        found = [mark for name in statement.fields if (mark := definition.mark_of(name)) is not None]
        marked.append(
            replace(
                statement,
                mark=", ".join(dict.fromkeys(MARK_NAMES[mark.mark] for mark in found)),
                note="; ".join(dict.fromkeys(mark.note for mark in found)),
            )
        )
    return marked


def _say(text: str, *fields: str) -> Statement:
    return Statement(fields=fields, text=text)


def _about(d: Definition) -> list[Statement]:
    source = d.source
    where = "; ".join(
        part
        for part in (source.citation, source.locator, source.doi and f"doi:{source.doi}", source.url)
        if part
    )
    return [
        _say(f"{d.title} (definition {d.id}, schema {d.schema}).", "schema", "id", "title"),
        _say(f"Question: {d.question}", "question"),
        _say(f"Source: {where}. What was read of it: {source.seen}.", "source"),
        _say(
            "Fields that the source does not give are marked below as assumed, inferred, or recalled (memory)."
            if d.marks
            else "No field is marked as assumed, inferred or recalled.",
            "marks",
        ),
    ]


def _time(d: Definition) -> list[Statement]:
    primary = f"{time_words(d.primary_milestone_days / DAYS_PER_YEAR)} (day {d.primary_milestone_days})"
    named = [f"{time_words(day / DAYS_PER_YEAR)} (day {day})" for day in sorted(d.milestones_days)]
    comparability = (
        "All arms are counted from the same kind of day."
        if d.time_zero.comparability == "same_kind"
        else "The arms are counted from different kinds of day: as treated, not comparable."
    )
    return [
        _say(f"Time is counted in whole days from {TIME_ZEROS[d.time_zero.kind]}.", "time_zero.kind"),
        _say(comparability, "time_zero.comparability"),
        _say(f"The primary milestone is {primary}.", "primary_milestone_days"),
        _say(f"Milestones: {and_list(named)}. A year has 365.25 days.", "milestones_days"),
        _say(
            f"Intervals of curves: {INTERVALS[d.interval]}, Greenwood variance, {100 * d.conf_level:g} %; the exact "
            "small-sample interval stands beside it.",
            "interval",
            "conf_level",
        ),
    ]


def _entry(d: Definition) -> list[Statement]:
    criteria = d.entry_criteria
    if criteria is None:
        return [_say("The definition states no entry criteria.", "entry_criteria")]
    said = [
        (_range(criteria.age_min_years, criteria.age_max_years), "age", "years", ("age_min_years", "age_max_years")),
        (_range(criteria.edss_min, criteria.edss_max), "EDSS", "", ("edss_min", "edss_max")),
        (_range(criteria.prior_dmt_min_n, None), "earlier disease-modifying treatments", "", ("prior_dmt_min_n",)),
    ]  # fmt: skip
    statements = [
        _say(
            f"{name[0].upper()}{name[1:]}: {text or 'not stated'}{f' {unit}' if unit and text else ''}.",
            *(f"entry_criteria.{field}" for field in fields),
        )
        for text, name, unit, fields in said
    ]
    courses = and_list(list(criteria.ms_courses)) or "not stated"
    return [*statements, _say(f"Course of the disease: {courses}.", "entry_criteria.ms_courses")]


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low:g}–{high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""


def _relapses(d: Definition) -> list[Statement]:
    rule = d.relapses
    return [
        _say(
            "Only relapses confirmed by an examiner count."
            if rule.confirmed_by_examiner
            else "Every reported relapse counts, confirmed by an examiner or not.",
            "relapses.confirmed_by_examiner",
        ),
        _say(
            f"Onsets fewer than {rule.min_gap_days} days apart are one relapse."
            if rule.min_gap_days
            else "Relapses are never merged, however near.",
            "relapses.min_gap_days",
        ),
        _say(f"Relapses count from day {rule.not_before_day} on.", "relapses.not_before_day"),
    ]


def _mri(d: Definition) -> list[Statement]:
    rule = d.mri
    lesions = and_list([_LESIONS[name] for name in rule.lesions])
    plural = "lesion" if rule.min_lesions_n == 1 else "lesions"
    return [
        _say(
            f"A scan is active with at least {rule.min_lesions_n} {plural} of these kinds: {lesions}.",
            "mri.lesions",
            "mri.min_lesions_n",
        ),
        _say(
            "New and enlarging T2 lesions count only against a reference scan on or after the re-baseline scan; "
            "gadolinium counts on the re-baseline scan too."
            if rule.reference == "rebaseline"
            else "New and enlarging T2 lesions count against whatever scan the reader compared with.",
            "mri.reference",
        ),
        _say(
            "There is no earliest day for a scan to count."
            if rule.not_before_day is None
            else f"Scans count from day {rule.not_before_day} on.",
            "mri.not_before_day",
        ),
        *_rebaseline("mri", "MRI", d.rebaseline.mri),
        *_rebaseline("clinical", "Clinical", d.rebaseline.clinical),
    ]


def _rebaseline(field: str, name: str, window: RebaselineWindow | None) -> list[Statement]:
    if window is None:
        return [_say(f"{name} re-baseline: none is used.", f"rebaseline.{field}")]
    early = {"ignore": "are ignored", "count": "count", "report_apart": "are reported apart"}
    missing = {
        "not_evaluable": "a patient without one is not evaluable",
        "baseline": "where there is none, the baseline takes its place",
    }
    starts = {
        "index": "Risk starts at time zero.",
        "rebaseline": "Risk starts at the re-baseline (delayed entry); where deaths or other "
        "intercurrent events count or compete, the composite counts from time zero, as these do.",
    }
    first, last = window.window_days
    return [
        _say(
            f"{name} re-baseline: the {window.pick} assessment in days {first} to {last} (target day "
            f"{window.target_day}); {missing[window.if_missing]}. Events before it "
            f"{early[window.early_events]}. {starts[window.risk_starts]}",
            f"rebaseline.{field}",
        )
    ]


def _disability(rule: DisabilityRule, d: Definition) -> list[Statement]:
    return [
        _say(text, *(f"disability.{rule.measure}.{field}" for field in fields.split()))
        for text, fields in disability_sentences(rule)
    ]


def _parts(d: Definition) -> list[Statement]:
    return [_say(text, *fields) for text, fields in component_sentences(d)]


def _endpoints(d: Definition) -> list[Statement]:
    statements = []
    for endpoint in d.endpoints:
        components = and_list([component_words(name, d) for name in endpoint.components])
        ways = and_list([f"“{d.estimand(id).label}”" for id in endpoint.estimands])
        primary = " This is the primary endpoint." if endpoint.id == d.primary_endpoint else ""
        statements.append(
            _say(
                f"{endpoint.label}: {components}. Counted {ways}.{primary}",
                f"endpoints.{endpoint.id}",
                *(["primary_endpoint"] if primary else []),
            )
        )
        statements.append(_say(missing_words(endpoint), f"endpoints.{endpoint.id}.missing"))
    return statements


def _estimands(d: Definition) -> list[Statement]:
    statements = []
    for estimand in d.estimands:
        handled = [handling_words(estimand, event) for event in INTERCURRENT_EVENTS]
        events = "; ".join(
            f"{event.lower()} {does} ({strategy}{f', assuming {assumption}' if assumption else ''})"
            for event, strategy, does, assumption in handled
        )
        standing = "" if estimand.is_estimand else " Not an estimand in the sense of ICH E9(R1)."
        statements.append(
            _say(
                f"{estimand.label[0].upper()}{estimand.label[1:]}. Population: "
                f"{population_words(estimand.population)}. {events[0].upper()}{events[1:]}.{standing}",
                f"estimands.{estimand.id}",
            )
        )
    return statements


def _others(d: Definition) -> list[Statement]:
    e = d.engraftment
    statements = [
        _say(
            f"Neutrophil engraftment: the first of {e.neutrophil_days_n} consecutive days at or above "
            f"{e.neutrophils_e9_per_l:g} × 10⁹/L after the nadir. Platelet engraftment: the first of "
            f"{e.platelet_days_n} consecutive days at or above {e.platelets_e9_per_l:g} × 10⁹/L with no platelet "
            f"transfusion in the {e.platelet_transfusion_free_days} days before. Death competes.",
            "engraftment",
        ),
        _say(
            "Death from the treatment: as adjudicated; beside it any death by day "
            f"{d.treatment_death.any_death_by_day} after infusion.",
            "treatment_death",
        ),
    ]
    if (change := d.sustained_change) is None:
        statements.append(_say("No rule for a change sustained to the end is stated.", "sustained_change"))
    else:
        before, after = change.window_days
        statements.append(
            _say(
                f"Sustained {change.direction} of {MEASURES.get(change.measure, words(change.measure))}: confirmed, "
                f"present at the visit nearest day {change.at_day} (from {before} days before to {after} days after) "
                "and at every later visit.",
                "sustained_change",
            )
        )
    if (volume := d.brain_volume) is None:
        statements.append(_say("No rule for brain volume is stated.", "brain_volume"))
    else:
        breaks = and_list([f"{value:g}" for value in volume.sensitivity_breaks_years]) or "none"
        longest = (
            "all patients"
            if volume.longest_followed_n is None
            else f"the {volume.longest_followed_n} patients followed longest"
        )
        statements += [
            _say(
                f"Brain volume ({volume.measure}): a mixed model, linear with a break at {volume.break_years:g} years, every patient "
                "with an intercept, an early and a late slope of their own (Kenward–Roger degrees of freedom); beside it "
                f"with a random intercept alone. Breaks for sensitivity, in years: {breaks}.",
                "brain_volume.measure",
                "brain_volume.break_years",
                "brain_volume.sensitivity_breaks_years",
            ),
            _say(
                f"Late loss of {longest} beside these norms of healthy ageing, within their published ages only: "
                f"{and_list([words(norm) for norm in volume.norms]) or 'none'}.",
                "brain_volume.norms",
                "brain_volume.longest_followed_n",
            ),
        ]
    return statements
