"""Until when each patient was assessed for each component of an endpoint, and who cannot be assessed."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition, DisabilityRule, RebaselineWindow
from ahsct.outcomes.activity import read_scans
from ahsct.outcomes.disability import baselines
from ahsct.tables import Study

CONTINUOUS = ("relapse", "death")  # components known at every day up to the last contact
_DIRECTIONS = ("worsening", "improvement")


def mri_in_context(study: Study, timeline: pl.DataFrame, definition: Definition) -> pl.DataFrame:
    """Return the scans of patients with a time zero, with the context that the MRI rule asks for.

    Without a re-baseline, or where early events count, every scan after time zero is read as it stands.
    """
    window = definition.rebaseline.mri
    context = ["time_zero_day"]
    if window is not None and window.early_events != "count":
        context.append("rebaseline_scan_day")
    return _in_context(study.table("mri"), timeline, context)


def visits_in_context(study: Study, timeline: pl.DataFrame) -> pl.DataFrame:
    """Return the visits of patients with a time zero that have a day, with each patient's context days."""
    return _in_context(
        study.table("visits").drop_nulls("visit_day"),
        timeline,
        ["time_zero_day", "mobilisation_start_day", "rebaseline_day", "death_day"],
    )


def relapses_in_context(study: Study, timeline: pl.DataFrame) -> pl.DataFrame:
    """Return the relapses of patients with a time zero that have an onset day, with time zero."""
    return _in_context(study.table("relapses").drop_nulls("onset_day"), timeline, ["time_zero_day"])


def _in_context(table: pl.DataFrame, timeline: pl.DataFrame, context: list[str]) -> pl.DataFrame:
    people = timeline.drop_nulls("time_zero_day").select("patient_id", *context)
    return table.join(people, on="patient_id", how="inner", maintain_order="left")


def disability_of(component: str, definition: Definition) -> tuple[DisabilityRule, str]:
    """Return the rule and the direction behind a component such as `edss_worsening`."""
    measure, _, direction = component.rpartition("_")
    assert direction in _DIRECTIONS, component
    return definition.disability_rule(measure), direction


def window_of(component: str, definition: Definition) -> RebaselineWindow | None:
    """Return the re-baseline that governs a component (deaths have none)."""
    if component == "death":
        return None
    return definition.rebaseline.mri if component == "mri_activity" else definition.rebaseline.clinical


def rebaseline_column(component: str) -> str:
    """Return the timeline's column with the re-baseline day of a component."""
    return "rebaseline_scan_day" if component == "mri_activity" else "rebaseline_day"


def assessed_days(
    study: Study, timeline: pl.DataFrame, component: str, definition: Definition
) -> pl.DataFrame:
    """Return the days after time zero on which a scheduled component was assessed.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `day` [days from time zero, > 0], sorted; empty for components that are known
        continuously (relapse, death).
    """
    if component in CONTINUOUS:
        return pl.DataFrame(schema={"patient_id": pl.String(), "day": pl.Int64()})
    if component == "mri_activity":
        days = (
            read_scans(mri_in_context(study, timeline, definition), rule=definition.mri)
            .filter(pl.col("is_counted") & (pl.col("status") != "not_assessed"))
            .select("patient_id", (pl.col("scan_day") - pl.col("time_zero_day")).alias("day"))
        )
    else:
        rule, _ = disability_of(component, definition)
        visits = visits_in_context(study, timeline)
        if rule.measure not in visits.columns:
            visits = visits.clear().with_columns(pl.lit(None).alias(rule.measure))
        days = visits.drop_nulls(["visit_day", rule.measure]).select(
            "patient_id", (pl.col("visit_day") - pl.col("time_zero_day")).alias("day")
        )
    return days.filter(pl.col("day") > 0).unique().sort("patient_id", "day")


def study_lacks(
    study: Study, timeline: pl.DataFrame, component: str, definition: Definition, days: pl.DataFrame
) -> str | None:
    """Return why a component can be evaluated in nobody, or None.

    Where everybody lacks a component, counting the others alone would leave only patients with an event.
    """
    if "follow_up" not in study.tables:
        return "the study has no table follow_up: vital status and last contact are unknown"
    if component in CONTINUOUS:
        lacks = component == "relapse" and "relapses" not in study.tables
        return "the study has no table of relapses" if lacks else None
    if component == "mri_activity":
        if "mri" not in study.tables:
            return "the study has no table of scans (mri)"
        what = f"scan after time zero with {', '.join(definition.mri.lesions)} counted"
    else:
        rule, _ = disability_of(component, definition)
        if rule.measure not in study.table("visits").columns:
            return f"the study's visits have no {rule.measure}"
        what = f"{rule.measure} at a visit after time zero"
    anyone_alive = timeline.filter(pl.col("time_zero_day").is_not_null() & ~pl.col("is_dead")).height > 0
    return f"nobody has a {what}" if days.is_empty() and anyone_alive else None


def lacking(
    study: Study, timeline: pl.DataFrame, component: str, definition: Definition, days: pl.DataFrame
) -> pl.DataFrame:
    """Return in whom a component cannot be evaluated, and why: `patient_id`, `reason` (the first that applies)."""
    people = timeline.drop_nulls("time_zero_day")
    reasons = [
        *_lacking_data(study, people, component, definition, days),
        ("no follow_up row: vital status and last contact are unknown", ~pl.col("has_follow_up")),
        ("dead, but the day of death is missing", pl.col("is_dead") & pl.col("death_day").is_null()),
        ("the day of last contact is missing", pl.col("last_contact_day").is_null()),
    ]
    return people.select(
        "patient_id",
        pl.coalesce(pl.when(condition).then(pl.lit(reason)) for reason, condition in reasons).alias("reason"),
    ).drop_nulls("reason")


def _lacking_data(
    study: Study, people: pl.DataFrame, component: str, definition: Definition, days: pl.DataFrame
) -> list[tuple[str, pl.Expr]]:
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
        undated = study.table("relapses", ["patient_id", "onset_day"]).filter(pl.col("onset_day").is_null())
        reasons.append(("a relapse without a day", _among(undated)))
    elif component == "mri_activity":
        lesions = ", ".join(definition.mri.lesions)
        reasons.append((f"no scan after time zero with {lesions} counted", ~_among(days)))
    elif component != "death":
        rule, direction = disability_of(component, definition)
        if rule.measure in study.table("visits").columns:
            with_baseline = baselines(
                visits_in_context(study, people), rule, relapses=relapses_in_context(study, people)
            ).filter((pl.col("direction") == direction) & pl.col("baseline_day").is_not_null())
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
