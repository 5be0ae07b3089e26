"""Hands one measure's visits and its rule to the compiled search."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.kernels import as_kernel_array, kernel
from ahsct.outcomes import disability_kernel as k
from ahsct.outcomes.disability_visits import (
    SCALE,
    Direction,
    MeasuredVisits,
    first_days,
    may_be_baseline,
    sign_of,
)

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
# About 10 microseconds a visit as plain Python; loading the compiled search takes a second, compiling it ten
FEW_VISITS = 20_000
_CRITERIA = ("threshold", "at_or_above_event", "monotonic")  # in the order of the kernel's numbers


def search_visits(
    measured: MeasuredVisits,
    relapses: tuple[Ints, Ints, Ints],
    rule: DisabilityRule,
    run: tuple[Direction, ...],
    *,
    is_compiled: bool | None = None,
) -> tuple[Ints, Ints, Flags, Ints]:
    """Run the kernel for directions that share a baseline, compiled where there are many visits.

    Returns `found`, `reached`, `is_clean` and `baseline` as the kernel's `search` describes them.
    """
    visit = getattr(rule, f"{run[0]}_baseline_visit")
    scheme = getattr(rule, f"{run[0]}_baseline_scheme")
    sign = sign_of(rule)
    settings = {
        k.SIGN: sign,
        k.FIND_WORSE: "worsening" in run,
        k.FIND_BETTER: "improvement" in run,
        k.MOVES_AFTER_WORSE: scheme in ("roving_up", "roving"),
        k.MOVES_AFTER_BETTER: scheme in ("roving_down", "roving"),
        k.MOVES_AFTER_RELAPSE: scheme == "after_relapse",
        k.RECOVERY: rule.relapse_recovery_days,
        k.PICKS_LAST: visit not in ("first", "rebaseline"),
        k.FIRST_ONLY: rule.events == "first",
        k.CRITERION: _CRITERIA.index(rule.confirmed_by),
        k.EVERY: rule.confirming_visits == "every",
        k.SUSTAINED: int(min(np.ceil(rule.sustained_days), k.FAR)),
    }
    pairs = {
        (k.BASELINE_BEFORE, k.BASELINE_AFTER): rule.relapse_to_baseline_days,
        (k.EVENT_BEFORE, k.EVENT_AFTER): rule.relapse_to_event_days,
        (k.CONFIRMATION_BEFORE, k.CONFIRMATION_AFTER): rule.relapse_to_confirmation_days,
        (k.RAW_BEFORE, k.RAW_AFTER): rule.raw_window_days,
        (k.PIRA_EVENT_BEFORE, k.PIRA_EVENT_AFTER): rule.pira_around_event_days,
        (k.PIRA_CONFIRMATION_BEFORE, k.PIRA_CONFIRMATION_AFTER): rule.pira_around_confirmation_days,
    }
    settings |= {item: days for items, pair in pairs.items() for item, days in zip(items, pair, strict=True)}
    early, late = rule.confirmation_tolerance_days
    periods = np.array(rule.confirmation_periods_days, dtype=np.float64)
    windows = np.stack(
        [np.ceil(np.maximum(periods - early, -k.FAR)), np.floor(np.minimum(periods + late, k.FAR))], 1
    )
    starts, n_visits = measured.starts, len(measured.frame)
    found = np.empty((n_visits, k.N_COLUMNS), dtype=np.int64)  # pages never written cost nothing
    reached = np.empty((n_visits, len(windows)), dtype=np.int64)
    is_clean = np.empty((n_visits, len(windows)), dtype=np.bool_)
    baseline = np.empty(len(starts) - 1, dtype=np.int64)
    search = _compiled() if (n_visits > FEW_VISITS if is_compiled is None else is_compiled) else k.search
    n_found = search(
        starts,
        as_kernel_array(measured.frame["visit_day"], np.int64),
        as_kernel_array(sign * measured.scaled, np.int64),
        as_kernel_array(measured.frame["can_confirm"], np.bool_),
        as_kernel_array(may_be_baseline(measured, rule, run[0]), np.bool_),
        *relapses,
        first_days(measured, rule),
        np.array([settings[item] for item in range(k.N_SETTINGS)], dtype=np.int64),
        _steps(rule.worsening_threshold),
        _steps(rule.improvement_threshold),
        as_kernel_array(windows, np.int64),
        np.empty((int(np.diff(starts).max(initial=0)), k.N_FACTS), dtype=np.int64),
        found,
        reached,
        is_clean,
        baseline,
    )
    return found[:n_found], reached[:n_found], is_clean[:n_found], baseline


def _steps(table: tuple[ThresholdStep, ...]) -> Ints:
    """Return a threshold table as the kernel takes it: from, change, is it a fraction."""
    return np.array(
        [(round(s.from_value * SCALE), round(s.change * SCALE), s.unit == "fraction") for s in table],
        dtype=np.int64,
    )


@cache
def _compiled() -> Any:
    return kernel(k.search)
