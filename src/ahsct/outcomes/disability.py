"""Confirmed changes of a measure of disability."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from ahsct.definitions import DisabilityRule, rule_hash
from ahsct.outcomes import disability_kernel as k
from ahsct.outcomes.disability_search import BLOCK_VISITS, is_compiled, runs_of, search_visits
from ahsct.outcomes.disability_tables import candidate_records, confirmation_rows
from ahsct.outcomes.disability_visits import (
    DIRECTIONS,
    MeasuredVisits,
    RelapseArrays,
    Threshold,
    measured_visits,
    relapse_arrays,
    visits_key,
)
from ahsct.vocabulary import CANDIDATES, EVENTS, conform


@dataclass(frozen=True)
class Disability:
    """Confirmed events, their confirmations, and the candidates that were rejected, with the reason."""

    events: pl.DataFrame
    confirmations: pl.DataFrame
    candidates: pl.DataFrame


def derive_disability(
    visits: pl.DataFrame,
    relapses: pl.DataFrame | None,
    *,
    rule: DisabilityRule,
    threshold: Threshold | None = None,
) -> Disability:
    """Return confirmed worsenings and improvements of one measure.

    A visit is an *onset* when its score differs from the baseline by the threshold of that baseline
    or more. The earliest later visit that lies in a confirmation window, may confirm and is far
    enough from relapses decides: it (and, with `confirming_visits = "every"`, each visit between)
    must hold the change. The two directions are searched apart, each with its own baseline, unless
    `search = "together"`. `DisabilityRule` describes every option.

    Baselines: `first` is the first visit of the table, `screening` the last of that kind,
    `last_before_*` the last on or before that day, `rebaseline` the visit on `rebaseline_day`. One
    too near a relapse is passed over, for the next one (`first`, `rebaseline`) or the one before
    (the others); likewise a local extremum under `skip_local_extrema`. `roving_up` moves the baseline
    to the visit that confirms a worsening (or as `proceed_from` says), whether or not that lasts,
    `roving_down` likewise for an improvement, `roving` for both; a moved baseline that is passed over
    slides on. `after_relapse` moves it to each first visit `relapse_recovery_days` or
    more after the last relapse; that visit is still compared with the old baseline.

    One plateau is one event: as long as the baseline stays, a further event in the same direction
    needs a visit at which the change was gone. A reached period is confirmed by its earliest visit.

    A worsening is RAW when its onset lies in `raw_window_days` of a relapse; else PIRA when at least one
    visit that confirms it has no relapse in the windows around onset and that visit; else undefined.

    Parameters
    ----------
    visits
        Study table `visits`: `patient_id`, `visit_day`, the measure, and where known `row`,
        `visit_type`, `can_confirm` (missing = yes). A visit without the measure (or the rule's
        `threshold_column`) is not a visit here.
        Context, one value per patient: `time_zero_day` (absent = 0), `mobilisation_start_day`
        (missing = time zero) and `rebaseline_day`. A patient lacking a day that the rule needs has no
        baseline and so no event (`baselines` tells).
    relapses
        Study table `relapses`: `patient_id`, `onset_day`, and where known `end_day`. None where relapses
        were not recorded: then no distance applies and there is no label.
    rule
        The definition of a change.
    threshold
        A function of an array of reference values that returns the smallest change that counts from each, in
        both directions; it takes the place of the rule's tables, and `rule_hash` ends in "+" and its name.

    Returns
    -------
    Disability
        `events` (EVENTS), `confirmations` (CONFIRMATIONS: one row per event and period reached; `relapse_free_day`
        is the earliest confirming visit without a relapse in the PIRA windows),
        `candidates` (CANDIDATES: each onset visit that became no event). `left_day` is the last visit before
        the onset without the change; `sustained_days` runs from onset to the last visit of the unbroken
        change. `follow_up_too_short`: the change was not seen to end and a confirming window was still open
        at the patient's last visit. `near_relapse`: the onset, or every visit of the windows, was too near one.
        `other_kind`, `earlier_event`: a confirmed event that the rule does not ask for. `superseded`: a relapse
        took the search back, and the same onset was found again from the later baseline.

    Raises
    ------
    TableError
        A column is missing, or a value cannot be used (several visits on a day, a missing day).

    References
    ----------
    Lorscheider et al. (2016), doi:10.1093/brain/aww173. Müller et al. (2023), doi:10.1001/jamaneurol.2023.3331.

    Examples
    --------
    From 2.0 to 3.0 on day 100, confirmed on day 200:

    >>> from ahsct.definitions import DisabilityRule, ThresholdStep
    >>> visits = pl.DataFrame({"patient_id": ["a"] * 4, "visit_day": [0, 100, 200, 300],
    ...                        "edss": [2.0, 3.0, 3.0, 3.5]})
    >>> relapses = pl.DataFrame({"patient_id": ["a"], "onset_day": [20]})
    >>> step = (ThresholdStep(from_value=0, change=1.0),)
    >>> rule = DisabilityRule(measure="edss", worsening_threshold=step, improvement_threshold=step)
    >>> found = derive_disability(visits, relapses, rule=rule)
    >>> found.events.select("event_id", "day", "confirmed_day", "sustained_days", "label").row(0)
    ('a/edss_worsening/1', 100, 200, 200, 'RAW')
    """
    measured = measured_visits(visits, rule, function="derive_disability", threshold=threshold)
    over = relapse_arrays(relapses, measured.patients, rule, function="derive_disability")
    return _derive(measured, over, rule, relapses is not None, _hash(rule, threshold))


def derive_disabilities(
    visits: pl.DataFrame, relapses: pl.DataFrame | None, *, rules: Iterable[DisabilityRule]
) -> Iterator[Disability]:
    """Yield what each of many rules finds, as `derive_disability` would; work that rules share is done once.

    Parameters
    ----------
    visits, relapses
        As for `derive_disability`.
    rules
        The definitions of a change, one after the other.

    Yields
    ------
    Disability
        For each rule, in their order; nothing of one rule's result is kept for the next.

    Examples
    --------
    >>> from ahsct.definitions import load_definition, vary
    >>> visits = pl.DataFrame({"patient_id": ["a"] * 3, "visit_day": [0, 100, 200], "edss": [2.0, 3.0, 3.0]})
    >>> rule = vary(load_definition("atkins2016").disability_rule("edss"), worsening_baseline_visit="first")
    >>> rules = [vary(rule, confirmation_periods_days=[days]) for days in (84, 168)]
    >>> [len(found.events) for found in derive_disabilities(visits, None, rules=rules)]
    [1, 0]
    """
    prepared: dict[tuple[object, ...], MeasuredVisits] = {}
    over: dict[tuple[object, ...], RelapseArrays] = {}
    for rule in rules:
        key = visits_key(rule)
        if key not in prepared:
            prepared[key] = measured_visits(visits, rule, function="derive_disabilities")
        spans = (*key, rule.relapse_distance_from)
        if spans not in over:
            over[spans] = relapse_arrays(
                relapses, prepared[key].patients, rule, function="derive_disabilities"
            )
        yield _derive(prepared[key], over[spans], rule, relapses is not None, rule_hash(rule))


def _derive(
    measured: MeasuredVisits, over: RelapseArrays, rule: DisabilityRule, has_relapses: bool, hash: str
) -> Disability:
    compiled = is_compiled(len(measured.frame))
    parts = [
        _derive_block(block, relapses, rule, has_relapses=has_relapses, hash=hash, compiled=compiled)
        for block, relapses in measured.blocks(over, BLOCK_VISITS)
    ]
    return Disability(*(pl.concat(tables) for tables in zip(*parts, strict=True)))


def _derive_block(
    measured: MeasuredVisits,
    over: RelapseArrays,
    rule: DisabilityRule,
    *,
    has_relapses: bool,
    hash: str,
    compiled: bool,
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return events, confirmations and candidates of a block of patients."""
    runs = [search_visits(measured, over, rule, run, is_compiled=compiled) for run in runs_of(rule)]
    found, reached, clean = (
        np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        for arrays in ([run[i] for run in runs] for i in range(3))
    )
    if rule.relapse_rebaseline.startswith("next_visit"):  # the search goes back: bring onsets into order
        order = np.argsort(found[:, k.ONSET], kind="stable")
        found, reached, clean = found[order], reached[order], clean[order]
    records = candidate_records(found, measured, rule, has_relapses=has_relapses, hash=hash)
    is_event = pl.col("rejected_because").is_null()
    order_by = ("patient_id", "day", "event_id")
    return (
        conform(records.filter(is_event), EVENTS).sort(order_by),
        confirmation_rows(records, reached, clean, measured, rule, has_relapses),
        conform(records.filter(~is_event), CANDIDATES).sort(order_by),
    )


def _hash(rule: DisabilityRule, threshold: Threshold | None) -> str:
    """Return the hash of the rule; with a function for a threshold it cannot be a whole one and says so."""
    name = "" if threshold is None else f"+{getattr(threshold, '__qualname__', type(threshold).__name__)}"
    return rule_hash(rule) + name


def baselines(
    visits: pl.DataFrame,
    rule: DisabilityRule,
    *,
    relapses: pl.DataFrame | None = None,
    threshold: Threshold | None = None,
) -> pl.DataFrame:
    """Return the baseline from which each patient's search begins, per direction.

    Parameters
    ----------
    visits, rule, relapses, threshold
        As for `derive_disability`; give the relapses, or their distance to the baseline does not count.

    Returns
    -------
    pl.DataFrame
        `patient_id`, `direction`, `baseline_day`, `baseline_value`, `row`; one row per patient of
        `visits` and direction, by patient, worsening first. Missing values: the patient has no baseline.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> visits = pl.DataFrame({"patient_id": ["a", "a", "b"], "visit_day": [-40, 90, 90], "edss": [3.0, 3.5, 2.0]})
    >>> baselines(visits, load_definition("atkins2016").disability_rule("edss"))["baseline_day"].to_list()
    [-40, -40, None, None]
    """
    measured = measured_visits(visits, rule, function="baselines", threshold=threshold)
    over = relapse_arrays(relapses, measured.patients, rule, function="baselines")
    found = []
    for direction in DIRECTIONS:
        run = (direction,)
        compiled = is_compiled(len(measured.frame))
        place = pl.Series(search_visits(measured, over, rule, run, is_compiled=compiled).baseline)
        place = pl.select(pl.when(place >= 0).then(place)).to_series()
        frame = measured.frame
        found.append(
            pl.DataFrame(
                {
                    "patient_id": measured.patients,
                    "direction": pl.repeat(direction, len(place), eager=True),
                    "baseline_day": frame["visit_day"].gather(place),
                    "baseline_value": frame["value"].gather(place),
                    "row": frame["row"].gather(place),
                }
            )
        )
    everyone = visits.select(pl.col("patient_id").cast(pl.String).unique()).join(
        pl.DataFrame({"direction": list(DIRECTIONS), "place": [0, 1]}), how="cross"
    )
    return (
        everyone.join(pl.concat(found), on=["patient_id", "direction"], how="left")
        .sort("patient_id", "place")
        .drop("place")
    )
