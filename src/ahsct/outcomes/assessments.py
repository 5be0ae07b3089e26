"""Until when each patient was assessed for each component of an endpoint, and who cannot be assessed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal, NamedTuple, TypeVar, get_args

import polars as pl

from ahsct.definitions import (
    BRAIN_VOLUME_LOSS,
    CombinedRule,
    ComponentSpec,
    Definition,
    DisabilityRule,
    RebaselineWindow,
)
from ahsct.outcomes.brain_volume_loss import judge_volumes
from ahsct.outcomes.combined import as_one_rule, combined_visits
from ahsct.outcomes.disability import baselines
from ahsct.outcomes.scans import read_scans
from ahsct.outcomes.timeline import derive_timeline
from ahsct.tables import Study

CONTINUOUS = ("relapse", "death")  # components known at every day up to the last contact
# fields of a disability rule that cannot move the baseline from which the search begins
_AFTER_BASELINE = frozenset(
    {
        "worsening_threshold",
        "improvement_threshold",
        "worsening_baseline_scheme",
        "improvement_baseline_scheme",
        "relapse_rebaseline",
        "relapse_recovery_days",
        "relapse_evaluation_days",
        "baseline_may_improve",
        "sub_threshold_rebaseline",
        "proceed_from",
        "confirmation_periods_days",
        "confirmation_tolerance_days",
        "confirmation_tolerances_days",
        "confirmed_by",
        "confirming_visits",
        "sustained_days",
        "relapse_to_event_days",
        "relapse_to_confirmation_days",
        "raw_window_days",
        "pira_around_preceding_days",
        "pira_preceding_visit",
        "pira_around_event_days",
        "pira_around_confirmation_days",
        "pira_joined",
        "events",
        "event_number",
        "event_kind",
        "event_day",
        "unconfirmed_at_end",
        "death_before_confirmation",
    }
)
Since = Literal["baseline", "rebaseline", "follow_up"]
_SINCE = get_args(Since)
T = TypeVar("T")


class Assessment(NamedTuple):
    """How one component was assessed.

    `days` [days from time zero, > 0]: `patient_id`, `day`, `is_scheduled` (not known to be otherwise),
    sorted; empty for what is known continuously.
    `lacking`: `patient_id`, `reason`, `since` of those in whom it cannot be evaluated: since "baseline" for
    what was unknown from the start, "rebaseline" or "follow_up" for an assessment that never came.
    `study_lacks`: why nobody can.
    """

    days: pl.DataFrame
    lacking: pl.DataFrame
    study_lacks: str | None


@dataclass(frozen=True, kw_only=True)
class Context:
    """A study under a definition: the tables that several outcomes need, made once.

    `visits`, `relapses` and `scans` are those of patients with a time zero that have a day, with the
    patient's own days beside them; `scans` are read by the MRI rule, `volumes` are the brain volumes from the
    re-baseline on under the rule of their loss (None without one), `combined` the visits of each combined
    measure by its id.
    """

    study: Study
    definition: Definition
    timeline: pl.DataFrame
    visits: pl.DataFrame
    relapses: pl.DataFrame
    scans: pl.DataFrame
    assessments: Mapping[str, Assessment]
    volumes: pl.DataFrame | None = None
    combined: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @property
    def known_relapses(self) -> pl.DataFrame | None:
        """The relapses; None where the study has no such table, because then none can be ruled out."""
        return self.relapses if "relapses" in self.study.tables else None

    def visits_with(self, measure: str) -> pl.DataFrame:
        """Return the visits that hold a measure, single or combined (its column is absent if never taken)."""
        return self.combined.get(measure, self.visits)


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
    context = replace(
        _with_volumes(context),
        combined={
            rule.id: combined_visits(context.visits, context.known_relapses, rule=rule, definition=definition)
            for rule in definition.combined
        },
    )
    names = dict.fromkeys(name for endpoint in definition.endpoints for name in endpoint.components)
    assessments = {}
    for spec in [definition.components[name] for name in (*names, "relapse")]:
        key = ("assessment", spec, days_of, _assessed_by(spec, definition))
        assessments[spec.name] = once(key, lambda spec=spec: _assess(context, spec))  # type: ignore[misc]
    return replace(context, assessments=assessments)


def _assessed_by(component: ComponentSpec, definition: Definition) -> Hashable:
    """Return what of a definition, beside its days, says how a component is assessed."""
    if component.kind in CONTINUOUS:
        return None
    if component.kind == "mri_activity":
        return definition.mri
    if component.measure is None or definition.combined_rule(component.measure) is not None:
        return definition
    rule = disability_of(component, definition)
    if rule.skip_local_extrema != "none":
        return rule  # thresholds say which visits are extrema
    return tuple(getattr(rule, one.name) for one in fields(rule) if one.name not in _AFTER_BASELINE)


def _with_volumes(context: Context) -> Context:
    """Return the context with judged brain volumes, and each patient's re-baseline volume in the timeline."""
    rule, window = context.definition.brain_volume_loss, context.definition.rebaseline.mri
    if rule is None or window is None:
        return context
    volumes = judge_volumes(context.study, context.timeline, rule=rule, window=window)
    first = volumes.select("patient_id", pl.col("rebaseline_day").alias("_day")).unique(maintain_order=True)
    timeline = context.timeline.join(first, on="patient_id", how="left", maintain_order="left")
    day = (pl.col("_day") + pl.col("time_zero_day")).alias("rebaseline_volume_day")
    return replace(context, volumes=volumes, timeline=timeline.with_columns(day).drop("_day"))


def _beside(table: pl.DataFrame, timeline: pl.DataFrame, days: list[str]) -> pl.DataFrame:
    people = timeline.drop_nulls("time_zero_day").select("patient_id", *days)
    return table.join(people, on="patient_id", how="inner", maintain_order="left")


def _assess(context: Context, component: ComponentSpec) -> Assessment:
    days = _assessed_days(context, component)
    lacking = _lacking(context, component, days)
    lacks = _study_lacks(context, component, days) or _everybody_lacks(context.timeline, lacking)
    return Assessment(days, lacking, lacks)


def disability_of(component: ComponentSpec, definition: Definition) -> DisabilityRule:
    """Return the rule behind a component such as `edss_worsening`: that of its measure, single or combined."""
    assert component.measure is not None, component.name
    combined = definition.combined_rule(component.measure)
    return (
        definition.disability_rule(component.measure)
        if combined is None
        else as_one_rule(combined, definition)
    )


def window_of(component: ComponentSpec, definition: Definition) -> RebaselineWindow | None:
    """Return the re-baseline that governs a component; it concerns no death and erases no improvement."""
    if component.kind == "death" or component.direction == "improvement":
        return None
    is_of_scans = component.kind in ("mri_activity", "brain_volume_loss")
    return definition.rebaseline.mri if is_of_scans else definition.rebaseline.clinical


def rebaseline_column(component: ComponentSpec) -> str:
    """Return the timeline's column with the re-baseline day of a component."""
    special = {"mri_activity": "rebaseline_scan_day", "brain_volume_loss": "rebaseline_volume_day"}
    return special.get(component.kind, "rebaseline_day")


def _assessed_days(context: Context, component: ComponentSpec) -> pl.DataFrame:
    if component.kind in CONTINUOUS:
        return pl.DataFrame(
            schema={"patient_id": pl.String(), "day": pl.Int64(), "is_scheduled": pl.Boolean()}
        )
    is_scheduled = pl.lit(True)
    since_zero = pl.col("day")
    if component.kind == "mri_activity":
        table = context.scans.filter(pl.col("is_counted") & (pl.col("status") != "not_assessed"))
        since_zero = pl.col("scan_day") - pl.col("time_zero_day")
    elif component.kind == "brain_volume_loss":
        assert context.volumes is not None
        # the re-baseline volume is free of loss since itself
        table = context.volumes.filter(pl.col("is_loss").is_not_null())
    else:
        rule = disability_of(component, context.definition)
        visits = context.visits_with(rule.measure)
        table = visits.drop_nulls(rule.column) if rule.column in visits.columns else visits.clear()
        since_zero = pl.col("visit_day") - pl.col("time_zero_day")
        if "visit_type" in table.columns:
            is_scheduled = ~pl.col("visit_type").is_in(["unscheduled", "relapse"]).fill_null(False)
    return (
        table.select("patient_id", since_zero.alias("day"), is_scheduled.alias("is_scheduled"))
        .filter(pl.col("day") > 0)
        .group_by("patient_id", "day")
        .agg(pl.col("is_scheduled").any())
        .sort("patient_id", "day")
    )


def _study_lacks(context: Context, component: ComponentSpec, days: pl.DataFrame) -> str | None:
    """Return why a component can be evaluated in nobody, or None.

    Where everybody lacks a component, counting the others alone would leave only patients with an event.
    """
    study, definition, timeline = context.study, context.definition, context.timeline
    if "follow_up" not in study.tables:
        return "the study has no table follow_up: vital status and last contact are unknown"
    if component.kind in CONTINUOUS:
        lacks = component.kind == "relapse" and "relapses" not in study.tables
        return "the study has no table of relapses" if lacks else None
    if component.label is not None and "relapses" not in study.tables:
        return f"the study has no table of relapses: {component.label} cannot be told from other worsening"
    if component.kind in ("mri_activity", "brain_volume_loss"):
        is_volume = component.kind == "brain_volume_loss"
        table, name = ("brain_volume", "brain volumes") if is_volume else ("mri", "scans")
        if table not in study.tables:
            return f"the study has no table of {name} ({table})"
        what = _needed_after_zero(component, definition)
        if needs_rebaseline(component, definition):
            if timeline.drop_nulls("time_zero_day")[rebaseline_column(component)].is_null().all():
                what = _needed_rebaseline(component, definition)
    else:
        assert component.measure is not None
        combined = definition.combined_rule(component.measure)
        for measure in combined.measures if combined else (component.measure,):
            column = definition.disability_rule(measure).column
            if column not in context.visits.columns and not _is_optional(combined):
                return f"the study's visits have no {column}"
        what = _needed_after_zero(component, definition)
    anyone_alive = timeline.filter(pl.col("time_zero_day").is_not_null() & ~pl.col("is_dead")).height > 0
    return f"nobody has a {what}" if days.is_empty() and anyone_alive else None


def _is_optional(combined: CombinedRule | None) -> bool:
    return combined is not None and combined.assessed_when == "any_measured"


def _needed_rebaseline(component: ComponentSpec, definition: Definition) -> str:
    window = window_of(component, definition)
    assert window is not None
    kind = {"mri_activity": "scan", "brain_volume_loss": "brain volume"}.get(component.kind, "visit")
    return f"re-baseline {kind} from day {window.window_days[0]} to {window.window_days[1]}"


def _needed_after_zero(component: ComponentSpec, definition: Definition) -> str:
    if component.kind == "mri_activity":
        return f"scan after time zero with {', '.join(definition.mri.lesions)} counted"
    if component.kind == "brain_volume_loss":
        rule = definition.brain_volume_loss
        assert rule is not None
        within = " at an age within the norm" if rule.criterion == "age_norm" else ""
        return f"comparable brain volume {rule.min_interval_days} days or more after the re-baseline{within}"
    return f"{component.measure} at a visit after time zero"


def _everybody_lacks(timeline: pl.DataFrame, lacking: pl.DataFrame) -> str | None:
    """Return why nobody alive can be evaluated: then too only patients with an event would be left."""
    alive = timeline.filter(pl.col("time_zero_day").is_not_null() & ~pl.col("is_dead"))["patient_id"]
    of_alive = lacking.filter(pl.col("patient_id").is_in(alive.to_list()))
    if alive.is_empty() or of_alive.height < alive.len():
        return None
    return f"true of every patient alive: {' or '.join(of_alive['reason'].unique(maintain_order=True))}"


def _lacking(context: Context, component: ComponentSpec, days: pl.DataFrame) -> pl.DataFrame:
    """Return in whom a component cannot be evaluated: `patient_id`, the first `reason` that applies, `since`."""
    people = context.timeline.drop_nulls("time_zero_day")
    reasons = [
        *_lacking_data(context, component, days),
        ("no follow_up row: vital status and last contact are unknown", ~pl.col("has_follow_up"), "baseline"),
        (
            "dead, but the day of death is missing",
            pl.col("is_dead") & pl.col("death_day").is_null(),
            "baseline",
        ),
        ("the day of last contact is missing", pl.col("last_contact_day").is_null(), "baseline"),
    ]
    reasons.sort(key=lambda reason: _SINCE.index(reason[2]))
    return people.select(
        "patient_id",
        pl.coalesce(pl.when(applies).then(pl.lit(reason)) for reason, applies, _ in reasons).alias("reason"),
        pl.coalesce(pl.when(applies).then(pl.lit(since)) for _, applies, since in reasons).alias("since"),
    ).drop_nulls("reason")


def _lacking_data(
    context: Context, component: ComponentSpec, days: pl.DataFrame
) -> list[tuple[str, pl.Expr, Since]]:
    definition = context.definition
    reasons: list[tuple[str, pl.Expr, Since]] = []
    if needs_rebaseline(component, definition):
        has_none = pl.col(rebaseline_column(component)).is_null()
        reasons.append((f"no {_needed_rebaseline(component, definition)}", has_none, "rebaseline"))
    if component.kind == "relapse" or component.label is not None:
        undated = context.study.table("relapses", ["patient_id", "onset_day"]).filter(
            pl.col("onset_day").is_null()
        )
        reasons.append(("a relapse without a day", _among(undated), "baseline"))
    if component.kind in CONTINUOUS:
        return reasons
    if component.kind == "brain_volume_loss":
        return [*reasons, *_too_few_volumes(context)]
    if component.kind == "disability":
        rule = disability_of(component, definition)
        visits = context.visits_with(rule.measure)
        if rule.column in visits.columns:
            with_baseline = baselines(visits, rule, relapses=context.known_relapses).filter(
                (pl.col("direction") == component.direction) & pl.col("baseline_day").is_not_null()
            )
            combined = definition.combined_rule(rule.measure)
            asked = definition.disability_rule(combined.measures[0]) if combined else rule
            is_late = getattr(asked, f"{component.direction}_baseline_visit") == "rebaseline"
            since: Since = "rebaseline" if is_late else "baseline"
            reasons.append((f"no baseline {rule.measure}", ~_among(with_baseline), since))
    reasons.append((f"no {_needed_after_zero(component, definition)}", ~_among(days), "follow_up"))
    return reasons


def _too_few_volumes(context: Context) -> list[tuple[str, pl.Expr, Since]]:
    definition, volumes = context.definition, context.volumes
    rule = definition.brain_volume_loss
    assert rule is not None
    assert volumes is not None
    later = volumes.filter(pl.col("is_comparable") & (pl.col("day") > pl.col("rebaseline_day")))
    enough = later.filter(pl.len().over("patient_id") >= rule.min_volumes_n)
    judged = later.filter(pl.col("is_loss").is_not_null())
    few = f"fewer than {rule.min_volumes_n} comparable brain volumes after the re-baseline"
    component = definition.components[BRAIN_VOLUME_LOSS]
    return [
        (few, ~_among(enough), "follow_up"),
        (f"no {_needed_after_zero(component, definition)}", ~_among(judged), "follow_up"),
    ]


def needs_rebaseline(component: ComponentSpec, definition: Definition) -> bool:
    """Return True when a patient without a re-baseline cannot be evaluated for this component."""
    if component.kind == "brain_volume_loss":
        return True  # never counted from before the transplant, whatever the window says of those without one
    window = window_of(component, definition)
    if window is None or window.if_missing != "not_evaluable":
        return False
    return window.risk_starts == "rebaseline" or window.early_events != "count"


def _among(frame: pl.DataFrame) -> pl.Expr:
    return pl.col("patient_id").is_in(frame["patient_id"].unique().to_list())
