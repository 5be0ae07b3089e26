"""All estimates of a study under one definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ahsct.definitions import Definition
from ahsct.estimates import activity, baseline, safety
from ahsct.estimates.arms import Arm, derive_arms
from ahsct.estimates.brain_volume import brain_volume_change
from ahsct.estimates.endpoint_rows import endpoint_rows
from ahsct.estimates.healthy_ageing import longest_followed_beside_norms
from ahsct.estimates.kaplan_meier import kaplan_meier
from ahsct.estimates.rows import stamp
from ahsct.estimates.sensitivity import sensitivity_rows
from ahsct.estimates.visit_times import visit_time_rows
from ahsct.outcomes import Outcomes
from ahsct.tables import Study
from ahsct.vocabulary import CURVE, RESULTS, conform, empty

Rows = list[pl.DataFrame]


@dataclass(frozen=True)
class Estimates:
    """`results` (schema RESULTS) and `curves` (schema CURVE), as `estimate_outcomes` makes them."""

    results: pl.DataFrame
    curves: pl.DataFrame


def estimate_outcomes(study: Study, outcomes: Outcomes, definition: Definition) -> Estimates:
    """Return every estimate that the outcomes allow, in the order of `docs/results.md`.

    Each arm has its own rows. What the study lacks has no row: `outcomes.not_evaluable` says why. In a
    reconstructed study every row without another mark is marked `illustration`; the analysis takes that
    back where a row gives a published number.

    Parameters
    ----------
    study
        A checked study; its name and kind of data stand in every row.
    outcomes
        Of that study, by `derive_outcomes`.
    definition
        The one the outcomes were derived under.

    Returns
    -------
    Estimates
        `results` (schema RESULTS) and `curves` (schema CURVE): Kaplan-Meier by endpoint, estimand and
        component, overall survival, follow-up (reverse), and cumulative incidence of treatment-related
        death and of engraftment.

    Raises
    ------
    AhsctError
        As the estimators raise it: a TableError where the outcomes are not those of this study or definition.

    References
    ----------
    Those of the estimators, named in `method` of each row.

    Examples
    --------
    The trial of 2016: of 24 patients infused one died of the treatment, 1/24:

    >>> from ahsct.definitions import load_definition
    >>> from ahsct.outcomes import derive_outcomes
    >>> from ahsct.studies import example_folder
    >>> from ahsct.tables import read_study
    >>> study, definition = read_study(example_folder("atkins2016")), load_definition("atkins2016")
    >>> found = estimate_outcomes(study, derive_outcomes(study, definition), definition)
    >>> row = found.results.filter(endpoint="treatment_related_mortality", term="crude", population="infused")
    >>> row.select("n_events", "n", pl.col("estimate").round(4)).row(0)
    (1, 24, 0.0417)
    """
    arms = derive_arms(study, outcomes, definition)
    results, curves = endpoint_rows(arms, definition)
    results.append(sensitivity_rows(study, outcomes, definition))
    results.append(visit_time_rows(outcomes.time_to_event, definition))
    for section in _SECTIONS:
        for arm in arms:
            rows, more = section(arm)
            results += rows
            curves += more
    return Estimates(
        results=_finish(results, study, definition), curves=_in_schema(curves, CURVE, study.study_id)
    )


def _without_curves(rows_of: Callable[[Arm], Rows]) -> Callable[[Arm], tuple[Rows, Rows]]:
    return lambda arm: (rows_of(arm), [])


def _overall_survival(arm: Arm) -> tuple[Rows, Rows]:
    rows = arm.endpoint("overall_survival").filter("is_evaluable")
    definition = arm.definition
    return [], [kaplan_meier(rows, interval=definition.interval, conf_level=definition.conf_level)]


def _brain_volume(arm: Arm) -> Rows:
    rule, conf_level = arm.definition.brain_volume, arm.definition.conf_level
    if rule is None:
        return []
    return [
        stamp(rows, arm=arm.name)
        for rows in (
            brain_volume_change(arm.values, rule=rule, conf_level=conf_level),
            longest_followed_beside_norms(arm.values, rule=rule, conf_level=conf_level),
        )
    ]


_SECTIONS: tuple[Callable[[Arm], tuple[Rows, Rows]], ...] = (
    _overall_survival,
    _without_curves(baseline.baseline_rows),
    _without_curves(baseline.entry_criteria_rows),
    _without_curves(baseline.treatment_rows),
    baseline.follow_up_rows,
    _without_curves(activity.relapse_rows),
    _without_curves(activity.mri_rows),
    _without_curves(activity.disability_rows),
    _without_curves(activity.sustained_change_rows),
    _without_curves(activity.improved_and_alive_rows),
    safety.treatment_death_rows,
    _without_curves(safety.death_by_day_rows),
    _without_curves(safety.toxicity_rows),
    _without_curves(safety.work_rows),
    _without_curves(_brain_volume),
    safety.engraftment_rows,
)


def _finish(results: Rows, study: Study, definition: Definition) -> pl.DataFrame:
    frame = stamp(
        _in_schema(results, RESULTS, study.study_id),
        data_kind=study.data_kind,
        definition=definition.id,
        definition_hash=definition.hash,
    )
    if study.data_kind != "reconstructed":
        return frame
    # an assumption on top of invented data is an illustration; our readings of published numbers stay readings
    return frame.with_columns(pl.col("mark").replace("assumed", None).fill_null("illustration"))


def _in_schema(frames: Rows, schema: pl.Schema, study_id: str) -> pl.DataFrame:
    frame = pl.concat([empty(schema), *(conform(frame, schema) for frame in frames)])
    return frame.with_columns(pl.lit(study_id).alias("study_id"))
