"""Until when each patient was assessed for each component of an endpoint, and who cannot be assessed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import NamedTuple, TypeVar

import polars as pl

from ahsct.definitions import Definition, DisabilityRule, RebaselineWindow
from ahsct.outcomes.disability import baselines
from ahsct.outcomes.scans import read_scans
from ahsct.outcomes.timeline import derive_timeline
from ahsct.tables import Study

CONTINUOUS = ("relapse", "death")  # components known at every day up to the last contact
_DIRECTIONS = ("worsening", "improvement")
# fields of a disability rule that cannot move the baseline from which the search begins
_AFTER_BASELINE = frozenset(
    {
        "worsening_threshold",
        "improvement_threshold",
        "worsening_baseline_scheme",
        "improvement_baseline_scheme",
        "relapse_recovery_days",
        "confirmation_periods_days",
        "confirmation_tolerance_days",
        "confirmed_by",
        "confirming_visits",
        "sustained_days",
        "relapse_to_event_days",
        "relapse_to_confirmation_days",
        "raw_window_days",
        "pira_around_event_days",
        "pira_around_confirmation_days",
        "events",
        "event_day",
        "unconfirmed_at_end",
        "death_before_confirmation",
    }
)
T = TypeVar("T")


class Assessment(NamedTuple):
    """How one component was assessed.

    `days` [days from time zero, > 0]: `patient_id`, `day`, sorted; empty for what is known continuously.
    `lacking`: `patient_id`, `reason` of those in whom it cannot be evaluated. `study_lacks`: why nobody can.
    """

    days: pl.DataFrame
    lacking: pl.DataFrame
    study_lacks: str | None


@dataclass(frozen=True, kw_only=True)
class Context:
    """A study under a definition: the tables that several outcomes need, made once.

    `visits`, `relapses` and `scans` are those of patients with a time zero that have a day, with the
    patient's own days beside them; `scans` are read by the MRI rule.
    """

    study: Study
    definition: Definition
    timeline: pl.DataFrame
    visits: pl.DataFrame
    relapses: pl.DataFrame
    scans: pl.DataFrame
    assessments: Mapping[str, Assessment]

    @property
    def known_relapses(self) -> pl.DataFrame | None:
        """The relapses; None where the study has no such table, because then none can be ruled out."""
        return self.relapses if "relapses" in self.study.tables else None


class Memory:
    """Hands out what was built before under an equal key; this one remembers nothing."""

    def once(self, key: Hashable, build: Callable[[], T]) -> T:
        """Return what `build` gives; `key` says all of the definition that it depends on."""
        return build()


def derive_context(study: Study, definition: Definition, *, memory: Memory | None = None) -> Context:
    """Return the study's tables beside each patient's days, and how each component was assessed.

    Without a re-baseline, or where early events count, every scan after time zero is read as it stands.
    `memory` shares what several definitions have in common.
    """
    once = (memory or Memory()).once
    days_of = (
        definition.time_zero,
        definition.rebaseline,
        *(rule.measure for rule in definition.disability[:1]),
    )
    timeline = once(("timeline", days_of), lambda: derive_timeline(study, definition))
    window = definition.rebaseline.mri
    mri_context = ["time_zero_day"]
    if window is not None and window.early_events != "count":
        mri_context.append("rebaseline_scan_day")
    visit_context = ["time_zero_day", "mobilisation_start_day", "rebaseline_day", "death_day"]

    def scans() -> pl.DataFrame:
        mri = _beside(study.table("mri").drop_nulls("scan_day"), timeline, mri_context)
        return read_scans(mri, rule=definition.mri)

    context = Context(
        study=study,
        definition=definition,
        timeline=timeline,
        visits=once(
            ("visits", days_of),
            lambda: _beside(study.table("visits").drop_nulls("visit_day"), timeline, visit_context),
        ),
        relapses=once(
            ("relapses", days_of),
            lambda: _beside(study.table("relapses").drop_nulls("onset_day"), timeline, ["time_zero_day"]),
        ),
        scans=once(("scans", days_of, definition.mri), scans),
        assessments={},
    )
    assessments = {}
    for name in (*(name for endpoint in definition.endpoints for name in endpoint.components), "relapse"):
        key = ("assessment", name, days_of, _assessed_by(name, definition))
        assessments[name] = once(key, lambda name=name: _assess(context, name))  # type: ignore[misc]
    return replace(context, assessments=assessments)


def _assessed_by(component: str, definition: Definition) -> Hashable:
    """Return what of a definition, beside its days, says how a component is assessed."""
    if component in CONTINUOUS:
        return None
    if component == "mri_activity":
        return definition.mri
    rule, _ = disability_of(component, definition)
    return tuple(getattr(rule, one.name) for one in fields(rule) if one.name not in _AFTER_BASELINE)


def _beside(table: pl.DataFrame, timeline: pl.DataFrame, days: list[str]) -> pl.DataFrame:
    people = timeline.drop_nulls("time_zero_day").select("patient_id", *days)
    return table.join(people, on="patient_id", how="inner", maintain_order="left")


def _assess(context: Context, component: str) -> Assessment:
    days = _assessed_days(context, component)
    lacking = _lacking(context, component, days)
    lacks = _study_lacks(context, component, days) or _everybody_lacks(context.timeline, lacking)
    return Assessment(days, lacking, lacks)


def disability_of(component: str, definition: Definition) -> tuple[DisabilityRule, str]:
    """Return the rule and the direction behind a component such as `edss_worsening`."""
    measure, _, direction = component.rpartition("_")
    assert direction in _DIRECTIONS, component
    return definition.disability_rule(measure), direction


def window_of(component: str, definition: Definition) -> RebaselineWindow | None:
    """Return the re-baseline that governs a component; it concerns no death and erases no improvement."""
    if component == "death" or component.endswith("_improvement"):
        return None
    return definition.rebaseline.mri if component == "mri_activity" else definition.rebaseline.clinical


def rebaseline_column(component: str) -> str:
    """Return the timeline's column with the re-baseline day of a component."""
    return "rebaseline_scan_day" if component == "mri_activity" else "rebaseline_day"


def _assessed_days(context: Context, component: str) -> pl.DataFrame:
    if component in CONTINUOUS:
        return pl.DataFrame(schema={"patient_id": pl.String(), "day": pl.Int64()})
    if component == "mri_activity":
        table, day = (
            context.scans.filter(pl.col("is_counted") & (pl.col("status") != "not_assessed")),
            "scan_day",
        )
    else:
        rule, _ = disability_of(component, context.definition)
        has_measure = rule.measure in context.visits.columns
        table = context.visits.drop_nulls(rule.measure) if has_measure else context.visits.clear()
        day = "visit_day"
    return (
        table.select("patient_id", (pl.col(day) - pl.col("time_zero_day")).alias("day"))
        .filter(pl.col("day") > 0)
        .unique()
        .sort("patient_id", "day")
    )


def _study_lacks(context: Context, component: str, days: pl.DataFrame) -> str | None:
    """Return why a component can be evaluated in nobody, or None.

    Where everybody lacks a component, counting the others alone would leave only patients with an event.
    """
    study, definition, timeline = context.study, context.definition, context.timeline
    if "follow_up" not in study.tables:
        return "the study has no table follow_up: vital status and last contact are unknown"
    if component in CONTINUOUS:
        lacks = component == "relapse" and "relapses" not in study.tables
        return "the study has no table of relapses" if lacks else None
    if component == "mri_activity":
        if "mri" not in study.tables:
            return "the study has no table of scans (mri)"
        what = f"scan after time zero with {', '.join(definition.mri.lesions)} counted"
        window = definition.rebaseline.mri
        if window is not None and needs_rebaseline(component, definition):
            if timeline.drop_nulls("time_zero_day")["rebaseline_scan_day"].is_null().all():
                what = f"re-baseline scan from day {window.window_days[0]} to {window.window_days[1]}"
    else:
        rule, _ = disability_of(component, definition)
        if rule.measure not in context.visits.columns:
            return f"the study's visits have no {rule.measure}"
        what = f"{rule.measure} at a visit after time zero"
    anyone_alive = timeline.filter(pl.col("time_zero_day").is_not_null() & ~pl.col("is_dead")).height > 0
    return f"nobody has a {what}" if days.is_empty() and anyone_alive else None


def _everybody_lacks(timeline: pl.DataFrame, lacking: pl.DataFrame) -> str | None:
    """Return why nobody alive can be evaluated: then too only patients with an event would be left."""
    alive = timeline.filter(pl.col("time_zero_day").is_not_null() & ~pl.col("is_dead"))["patient_id"]
    of_alive = lacking.filter(pl.col("patient_id").is_in(alive.to_list()))
    if alive.is_empty() or of_alive.height < alive.len():
        return None
    return f"true of every patient alive: {' or '.join(of_alive['reason'].unique(maintain_order=True))}"


def _lacking(context: Context, component: str, days: pl.DataFrame) -> pl.DataFrame:
    """Return in whom a component cannot be evaluated, and why: `patient_id`, `reason` (the first that applies)."""
    people = context.timeline.drop_nulls("time_zero_day")
    reasons = [
        *_lacking_data(context, component, days),
        ("no follow_up row: vital status and last contact are unknown", ~pl.col("has_follow_up")),
        ("dead, but the day of death is missing", pl.col("is_dead") & pl.col("death_day").is_null()),
        ("the day of last contact is missing", pl.col("last_contact_day").is_null()),
    ]
    return people.select(
        "patient_id",
        pl.coalesce(pl.when(condition).then(pl.lit(reason)) for reason, condition in reasons).alias("reason"),
    ).drop_nulls("reason")


def _lacking_data(context: Context, component: str, days: pl.DataFrame) -> list[tuple[str, pl.Expr]]:
    definition = context.definition
    reasons: list[tuple[str, pl.Expr]] = []
    if needs_rebaseline(component, definition):
        window = window_of(component, definition)
        assert window is not None
        earliest, latest = window.window_days
        kind = "scan" if component == "mri_activity" else "visit"
        reasons.append(
            (
                f"no re-baseline {kind} from day {earliest} to {latest}",
                pl.col(rebaseline_column(component)).is_null(),
            )
        )
    if component == "relapse":
        undated = context.study.table("relapses", ["patient_id", "onset_day"]).filter(
            pl.col("onset_day").is_null()
        )
        reasons.append(("a relapse without a day", _among(undated)))
    elif component == "mri_activity":
        lesions = ", ".join(definition.mri.lesions)
        reasons.append((f"no scan after time zero with {lesions} counted", ~_among(days)))
    elif component != "death":
        rule, direction = disability_of(component, definition)
        if rule.measure in context.visits.columns:
            with_baseline = baselines(context.visits, rule, relapses=context.known_relapses).filter(
                (pl.col("direction") == direction) & pl.col("baseline_day").is_not_null()
            )
            reasons.append((f"no baseline {rule.measure}", ~_among(with_baseline)))
        reasons.append((f"no {rule.measure} at a visit after time zero", ~_among(days)))
    return reasons


def needs_rebaseline(component: str, definition: Definition) -> bool:
    """Return True when a patient without a re-baseline cannot be evaluated for this component."""
    window = window_of(component, definition)
    if window is None or window.if_missing != "not_evaluable":
        return False
    if window.risk_starts == "rebaseline":
        return True
    is_used = component != "mri_activity" or definition.mri.reference == "rebaseline"
    return is_used and window.early_events != "count"


def _among(frame: pl.DataFrame) -> pl.Expr:
    return pl.col("patient_id").is_in(frame["patient_id"].unique().to_list())
