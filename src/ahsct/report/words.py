"""The estimands in words, and the other sentences that say what an analysis answers."""

from __future__ import annotations

from ahsct.definitions import INTERCURRENT_EVENTS, Definition, Endpoint, Estimand
from ahsct.report.formats import and_list, time_words
from ahsct.vocabulary import DAYS_PER_YEAR

POPULATIONS = {
    "enrolled": "every enrolled patient",
    "mobilised": "every patient in whom mobilisation was begun",
    "infused": "every patient who received the graft",
    "survivors": "the patients alive at the end of follow-up",
}
TIME_ZEROS = {
    "randomisation": "randomisation",
    "treatment_decision": "the decision to transplant",
    "mobilisation_start": "the start of mobilisation",
    "infusion": "the infusion of the graft",
    "comparator_start": "the start of the comparator",
}
MEASURES = {
    "edss": "EDSS",
    "t25fw_s": "timed 25-foot walk",
    "nhpt_dom_s": "nine-hole peg test, dominant hand",
    "nhpt_nondom_s": "nine-hole peg test, other hand",
    "sdmt": "symbol digit modalities test",
    "custom": "own measure",
}
INTERVALS = {
    "log-log": "log(−log)",
    "log": "log",
    "plain": "plain (linear)",
    "logit": "logit",
    "arcsine": "arcsine square root",
}
_EVENTS = {
    "treatment_death": "Death from the treatment",
    "other_death": "Death from another cause",
    "dmt_restart": "Restart of a disease-modifying drug",
    "second_transplant": "Second transplant",
    "rescue": "Rescue treatment",
}
_STRATEGIES = {
    "composite": "composite",
    "treatment_policy": "treatment policy",
    "while_alive": "while alive",
    "hypothetical": "hypothetical",
    "as_published_exclusion": "as published, by exclusion",
}
_HANDLINGS = {
    "event": "counts as an event",
    "ignore": "is ignored; follow-up goes on",
    "competing": "competes with the event (cumulative incidence, not 1 − Kaplan–Meier)",
    "censor": "ends the patient's follow-up on that day",
    "exclude": "takes the patient out of the analysis",
}
_COMPONENTS = {
    "relapse": "relapse",
    "mri_activity": "MRI activity",
    "death": "death",
    "brain_volume_loss": "loss of brain volume",
    "treatment_death": "death from the treatment",
    "other_death": "death from another cause",
    "dmt_restart": "restart of a disease-modifying drug",
    "second_transplant": "second transplant",
    "rescue": "rescue treatment",
}
_ENDINGS = {
    "worsening": "confirmed {} worsening",
    "improvement": "confirmed {} improvement",
    "pira": "{} progression independent of relapse activity (PIRA)",
    "raw": "relapse-associated {} worsening (RAW)",
}
_ENDINGS_OF_COMBINED = {
    "worsening": "confirmed worsening of {}",
    "pira": "progression of {} independent of relapse activity (PIRA)",
    "raw": "relapse-associated worsening of {} (RAW)",
}
_MISSING = {
    "censor_at_last_complete": (
        "Without an event, follow-up ends at the last day on which every component had been assessed; "
        "an event counts also after that day. A missing visit or scan is never read as no event."
    ),
    "interval": "The event is taken to lie between the last negative assessment and the one that found it.",
    "not_evaluable": "Patients without the assessments are not evaluable; they are left out and counted.",
    "impute": "Missing assessments are imputed.",
}


_DIED = {
    "competing_treatment_death": "died of the treatment",
    "competing_other_death": "died of another cause",
}


def endpoint_label(definition: Definition, id: str) -> str:
    """Return an endpoint's label, or its id in words where the definition does not hold it.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> endpoint_label(load_definition("atkins2016"), "overall_survival")
    'Overall survival'
    """
    for endpoint in definition.endpoints:
        if endpoint.id == id:
            return endpoint.label
    return words(id).capitalize()


def component_words(component: str, definition: Definition | None = None) -> str:
    """Return a component's name in words; a definition gives the label of its combined measures.

    Examples
    --------
    >>> component_words("edss_worsening")
    'confirmed EDSS worsening'
    >>> component_words("edss_pira")
    'EDSS progression independent of relapse activity (PIRA)'
    """
    if component in _COMPONENTS:
        return _COMPONENTS[component]
    measure, _, ending = component.rpartition("_")
    combined = definition.combined_rule(measure) if definition is not None else None
    if combined is not None:
        return _ENDINGS_OF_COMBINED[ending].format(combined.label)
    if ending not in _ENDINGS:
        return words(component)
    return _ENDINGS[ending].format(MEASURES.get(measure, words(measure)))


def incidence_words(term: str | None, definition: Definition | None = None) -> str:
    """Return what a cumulative incidence counts: its cause, as the first thing that happened.

    Examples
    --------
    >>> incidence_words("mri_activity")
    'had MRI activity as the first event'
    >>> incidence_words("competing_treatment_death")
    'died of the treatment before any such event'
    """
    if term is None or term == "any_event":
        return "had an event"
    if term in _DIED:
        return f"{_DIED[term]} before any such event"
    if term.startswith("competing_"):
        return f"had a {component_words(term.removeprefix('competing_'))} before any such event"
    return f"had {component_words(term, definition)} as the first event"


def words(name: str) -> str:
    """Return an identifier with spaces in place of underscores."""
    return name.replace("_", " ")


def population_words(population: str) -> str:
    """Return a population in words."""
    return POPULATIONS.get(population, words(population))


def estimand_label(definition: Definition, id: str) -> str:
    """Return an estimand's label, or its id in words ("as observed") where it is built in."""
    for estimand in definition.estimands:
        if estimand.id == id:
            return estimand.label
    return words(id)


def missing_words(endpoint: Endpoint) -> str:
    """Return what missing assessments do to an endpoint."""
    rule = endpoint.missing
    gap = "" if rule.max_gap_days is None else f" The longest gap allowed is {rule.max_gap_days} days."
    if rule.covers_days is not None:
        gap += (
            f" An assessment speaks for {rule.covers_days} days after it: so long patients stay at risk (up to their "
            "last contact), and so long events count."
        )
    if len(endpoint.components) > 1:
        gap += (
            " A patient in whom one component cannot be evaluated leaves, with or without an event of another; "
            "a death that counts stays."
        )
    if rule.scheduled_only:
        gap += " Unscheduled visits find events but do not lengthen the follow-up."
    return _MISSING[rule.rule] + gap


def primary_time(definition: Definition) -> str:
    """Return the primary milestone in words."""
    return time_words(definition.primary_milestone_days / DAYS_PER_YEAR)


def variable_words(definition: Definition) -> str:
    """Return what the primary endpoint measures, from when, and what missing assessments do."""
    endpoint = definition.endpoint(definition.primary_endpoint)
    components = and_list([component_words(name, definition) for name in endpoint.components]).replace(
        " and ", " or "
    )
    return (
        f"{endpoint.label}: time from {TIME_ZEROS[definition.time_zero.kind]} to the first of {components}. "
        f"{missing_words(endpoint)}"
    )


def estimand_rows(definition: Definition) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the statement of each estimand of the primary endpoint: column names, and rows by attribute.

    Population, the handling and strategy of each intercurrent event (ICH E9(R1)), the summary
    measure, the assumptions and the marks; the variable is the same for all (`variable_words`).
    """
    endpoint = definition.endpoint(definition.primary_endpoint)
    estimands = [definition.estimand(id) for id in endpoint.estimands]
    marks = [definition.mark_of(f"estimands.{estimand.id}") for estimand in estimands]
    handled = [[handling_words(estimand, event) for event in INTERCURRENT_EVENTS] for estimand in estimands]
    rows = [
        ("Population", *(population_words(estimand.population) for estimand in estimands)),
        *(
            (
                events[0][0],
                *(
                    f"{does} ({strategy}{f'; assumption: {assumption}' if assumption else ''})"
                    for _, strategy, does, assumption in events
                ),
            )
            for events in zip(*handled, strict=True)
        ),
        ("Summary measure", *(_summary(definition, estimand) for estimand in estimands)),
        (
            "Standing",
            *("an estimand" if e.is_estimand else "not an estimand: it answers no causal question" for e in estimands),
        ),
        ("Mark", *("" if mark is None else f"{mark.mark}: {mark.note}" for mark in marks)),
    ]  # fmt: skip
    return ("Attribute", *(estimand.label.split(":")[0] for estimand in estimands)), [
        row for row in rows if any(row[1:])
    ]


def handling_words(estimand: Estimand, event: str) -> tuple[str, str, str, str]:
    """Return (event, strategy, handling, assumption) of one intercurrent event in words."""
    handling = estimand.handling(event)
    return (
        _EVENTS[event],
        _STRATEGIES[handling.strategy],
        _HANDLINGS[handling.handling],
        handling.assumption or "",
    )


def _summary(definition: Definition, estimand: Estimand) -> str:
    deaths_compete = any(
        estimand.handling(event).handling == "competing" for event in ("treatment_death", "other_death")
    )
    measure = (
        "cumulative incidence of the event, deaths competing,"
        if deaths_compete
        else "probability of staying free of any event (Kaplan–Meier)"
    )
    return f"{measure} at {primary_time(definition)}"
