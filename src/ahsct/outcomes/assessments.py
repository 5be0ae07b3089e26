"""Until when each patient was assessed for each component of an endpoint, and who cannot be assessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import polars as pl

from ahsct.definitions import Definition, DisabilityRule, RebaselineWindow
from ahsct.outcomes.disability import baselines
from ahsct.outcomes.scans import read_scans
from ahsct.outcomes.timeline import derive_timeline
from ahsct.tables import Study

CONTINUOUS = ("relapse", "death")  # components known at every day up to the last contact
_DIRECTIONS = ("worsening", "improvement")
Since = Literal["baseline", "rebaseline", "follow_up"]
_SINCE = get_args(Since)


class Assessment(NamedTuple):
    """How one component was assessed.

    `days` [days from time zero, > 0]: `patient_id`, `day`, sorted; empty for what is known continuously.
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


def derive_context(study: Study, definition: Definition) -> Context:
    """Return the study's tables beside each patient's days, and how each component was assessed.

    Without a re-baseline, or where early events count, every scan after time zero is read as it stands.
    """
    timeline = derive_timeline(study, definition)
    window = definition.rebaseline.mri
    mri_context = ["time_zero_day"]
    if window is not None and window.early_events != "count":
        mri_context.append("rebaseline_scan_day")
    visit_context = ["time_zero_day", "mobilisation_start_day", "rebaseline_day", "death_day"]
    mri = _beside(study.table("mri").drop_nulls("scan_day"), timeline, mri_context)
    context = Context(
        study=study,
        definition=definition,
        timeline=timeline,
        visits=_beside(study.table("visits").drop_nulls("visit_day"), timeline, visit_context),
        relapses=_beside(study.table("relapses").drop_nulls("onset_day"), timeline, ["time_zero_day"]),
        scans=read_scans(mri, rule=definition.mri),
        assessments={},
    )
    names = dict.fromkeys(name for endpoint in definition.endpoints for name in endpoint.components)
    return replace(context, assessments={name: _assess(context, name) for name in (*names, "relapse")})


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


def _lacking_data(context: Context, component: str, days: pl.DataFrame) -> list[tuple[str, pl.Expr, Since]]:
    definition = context.definition
    reasons: list[tuple[str, pl.Expr, Since]] = []
    if needs_rebaseline(component, definition):
        window = window_of(component, definition)
        assert window is not None
        earliest, latest = window.window_days
        kind = "scan" if component == "mri_activity" else "visit"
        has_none = pl.col(rebaseline_column(component)).is_null()
        reasons.append((f"no re-baseline {kind} from day {earliest} to {latest}", has_none, "rebaseline"))
    if component == "relapse":
        undated = context.study.table("relapses", ["patient_id", "onset_day"]).filter(
            pl.col("onset_day").is_null()
        )
        reasons.append(("a relapse without a day", _among(undated), "baseline"))
    elif component == "mri_activity":
        lesions = ", ".join(definition.mri.lesions)
        reasons.append((f"no scan after time zero with {lesions} counted", ~_among(days), "follow_up"))
    elif component != "death":
        rule, direction = disability_of(component, definition)
        if rule.measure in context.visits.columns:
            with_baseline = baselines(context.visits, rule, relapses=context.known_relapses).filter(
                (pl.col("direction") == direction) & pl.col("baseline_day").is_not_null()
            )
            is_late = getattr(rule, f"{direction}_baseline_visit") == "rebaseline"
            since: Since = "rebaseline" if is_late else "baseline"
            reasons.append((f"no baseline {rule.measure}", ~_among(with_baseline), since))
        reasons.append((f"no {rule.measure} at a visit after time zero", ~_among(days), "follow_up"))
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
