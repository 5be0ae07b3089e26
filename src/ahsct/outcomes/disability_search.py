"""Hands one measure's visits and its rule to the compiled search."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.kernels import as_kernel_array, kernel
from ahsct.outcomes import disability_kernel as k
from ahsct.outcomes.disability_visits import (
    SCALE,
    Direction,
    MeasuredVisits,
    RelapseArrays,
    first_days,
    may_be_baseline,
    may_be_imputed,
    sign_of,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# About 10 microseconds a visit as plain Python; loading the compiled search takes a second, compiling it ten
FEW_VISITS = 20_000
BLOCK_VISITS = 200_000  # searched at a time
# choices in the order of the kernel's numbers
CHOICES = {
    "confirmed_by": ("threshold", "at_or_above_event", "monotonic"),
    "relapse_rebaseline": ("none", "recovered", "next_visit", "next_visit_if_changed"),
    "skip_local_extrema": ("none", "strict", "all"),
    "proceed_from": ("confirmation", "event", "first_period"),
    "pira_preceding_visit": ("baseline", "last", "last_delta"),
    "event_kind": ("each_direction", "either", "worsening", "improvement", "PIRA", "RAW"),
}
_WANTED: dict[str, tuple[Direction, ...]] = {
    "each_direction": ("worsening", "improvement"),
    "either": ("worsening", "improvement"),
    "worsening": ("worsening",),
    "improvement": ("improvement",),
    "PIRA": ("worsening",),
    "RAW": ("worsening",),
}


def is_compiled(n_visits: int) -> bool:
    """Tell whether so many visits are worth the compiled search."""
    return n_visits > FEW_VISITS


class Found(NamedTuple):
    """What the kernel's `search` fills, as it describes it."""

    records: Ints
    reached: Ints
    clean: Ints
    baseline: Ints


def runs_of(rule: DisabilityRule) -> list[tuple[Direction, ...]]:
    """Return which directions are searched, those that share a baseline in one run."""
    wanted = _WANTED[rule.event_kind]
    is_shared = (rule.worsening_baseline_visit, rule.worsening_baseline_scheme) == (
        rule.improvement_baseline_visit,
        rule.improvement_baseline_scheme,
    )
    return [wanted] if is_shared else [(direction,) for direction in wanted]


def search_visits(
    measured: MeasuredVisits,
    relapses: RelapseArrays,
    rule: DisabilityRule,
    run: tuple[Direction, ...],
    *,
    is_compiled: bool,
) -> Found:
    """Run the kernel for directions that share a baseline."""
    settings = _settings(rule, run)
    sign = sign_of(rule)
    windows = [_windows(rule, direction) for direction in ("worsening", "improvement")]
    n_periods = max(len(window) for window in windows)
    starts, n_visits = measured.starts, len(measured.frame)
    nothing = np.empty(0, dtype=np.int64)
    baseline = np.empty(len(starts) - 1, dtype=np.int64)
    search: Any = _compiled() if is_compiled else k.search
    has = measured.frame.columns
    facts = np.empty((int(np.diff(starts).max(initial=0)), k.N_FACTS), dtype=np.int64)
    given = (
        starts,
        as_kernel_array(measured.frame["visit_day"], np.int64),
        sign * measured.scaled("value"),
        measured.scaled("reference") if "reference" in has else nothing,
        as_kernel_array(measured.frame["need"], np.int64) if "need" in has else nothing,
        as_kernel_array(measured.frame["can_confirm"], np.bool_),
        as_kernel_array(may_be_baseline(measured, rule, run[0]), np.bool_),
        *(as_kernel_array(part, np.int64) for part in relapses),
        first_days(measured, rule),
        may_be_imputed(measured, rule),
        settings,
        _steps(rule.worsening_threshold),
        _steps(rule.improvement_threshold),
        *windows,
        facts,
    )
    room = n_visits
    while True:
        # pages never written cost nothing
        found = np.empty((room, k.N_COLUMNS), dtype=np.int64)
        reached, clean = (np.empty((room, n_periods), dtype=np.int64) for _ in range(2))
        n_found = search(*given, found, reached, clean, baseline)
        if n_found <= room:
            return Found(found[:n_found], reached[:n_found], clean[:n_found], baseline)
        room = n_found


def _settings(rule: DisabilityRule, run: tuple[Direction, ...]) -> Ints:
    """Return the rule as the kernel takes it: one number per item."""
    visit = getattr(rule, f"{run[0]}_baseline_visit")
    scheme = getattr(rule, f"{run[0]}_baseline_scheme")
    choice = {name: CHOICES[name].index(getattr(rule, name)) for name in CHOICES}
    worse, better = (scheme in (name, "roving") for name in ("roving_up", "roving_down"))
    below = rule.sub_threshold_rebaseline
    wanted = {"all": 0, "first": 1, "nth": rule.event_number}
    settings = {
        k.SIGN: sign_of(rule),
        k.FIND_WORSE: "worsening" in run,
        k.FIND_BETTER: "improvement" in run,
        k.MOVES_AFTER_WORSE: worse,
        k.MOVES_AFTER_BETTER: better,
        k.MOVES_BELOW_WORSE: worse and below in ("any", "worsening"),
        k.MOVES_BELOW_BETTER: better and below in ("any", "improvement"),
        k.MOVES_BELOW: below != "none",
        k.RELAPSE_MOVES: k.RECOVERED if scheme == "after_relapse" else choice["relapse_rebaseline"],
        k.RECOVERY: rule.relapse_recovery_days,
        k.EVALUATION: rule.relapse_evaluation_days,
        k.NEVER_BETTER: not rule.baseline_may_improve,
        k.EXTREMA: choice["skip_local_extrema"],
        k.OWN_REFERENCE: rule.threshold_column is None,
        k.PICKS_LAST: visit not in ("first", "rebaseline"),
        k.PROCEED: choice["proceed_from"],
        k.CRITERION: choice["confirmed_by"],
        k.EVERY: rule.confirming_visits == "every",
        k.SUSTAINED_WORSE: _whole(rule.sustained_days_of("worsening")),
        k.SUSTAINED_BETTER: _whole(rule.sustained_days_of("improvement")),
        k.PERSISTENCE: int(min(rule.persistence_days, k.FAR)),
        k.PERSISTENCE_CONFIRMATION: rule.persistence_confirmation_days,
        k.PRECEDING: choice["pira_preceding_visit"],
        k.JOINS_PRECEDING: rule.pira_joined in ("preceding_event", "all"),
        k.JOINS_CONFIRMATION: rule.pira_joined in ("event_confirmation", "all"),
        k.WANTED_NUMBER: wanted[rule.events],
        k.KIND: choice["event_kind"],
        k.TOGETHER: rule.search == "together",
        k.REPEATED: rule.plateau == "repeated",
        k.IMPUTE_WITHIN: int(min(rule.impute_within_days, k.FAR)),
    }
    pairs = {
        (k.BASELINE_BEFORE, k.BASELINE_AFTER): rule.relapse_to_baseline_days,
        (k.EVENT_BEFORE, k.EVENT_AFTER): rule.relapse_to_event_days,
        (k.CONFIRMATION_BEFORE, k.CONFIRMATION_AFTER): rule.relapse_to_confirmation_days,
        (k.RAW_BEFORE, k.RAW_AFTER): rule.raw_window_days,
        (k.PIRA_PRECEDING_BEFORE, k.PIRA_PRECEDING_AFTER): rule.pira_around_preceding_days,
        (k.PIRA_EVENT_BEFORE, k.PIRA_EVENT_AFTER): rule.pira_around_event_days,
        (k.PIRA_CONFIRMATION_BEFORE, k.PIRA_CONFIRMATION_AFTER): rule.pira_around_confirmation_days,
    }
    settings |= {item: days for items, pair in pairs.items() for item, days in zip(items, pair, strict=True)}
    return np.array([settings[item] for item in range(k.N_SETTINGS)], dtype=np.int64)


def _whole(days: float) -> int:
    return int(min(np.ceil(days), k.FAR))


def _windows(rule: DisabilityRule, direction: Direction) -> Ints:
    """Return per confirmation period the first and last whole day after the onset."""
    spans = [(period - early, period + late) for period, (early, late) in rule.periods_of(direction)]
    window = np.clip(np.array(spans, dtype=np.float64), -k.FAR, k.FAR)
    return as_kernel_array(np.stack([np.ceil(window[:, 0]), np.floor(window[:, 1])], 1), np.int64)


def _steps(table: tuple[ThresholdStep, ...]) -> Ints:
    """Return a threshold table as the kernel takes it: from, change, is it a fraction, at most."""
    return np.array(
        [
            (
                round(s.from_value * SCALE),
                round(s.change * SCALE),
                s.unit == "fraction",
                k.FAR * SCALE if s.at_most is None else round(s.at_most * SCALE),
            )
            for s in table
        ],
        dtype=np.int64,
    )


@cache
def _compiled() -> Any:
    return kernel(k.search)
