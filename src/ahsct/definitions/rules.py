"""What counts as a relapse, as MRI activity, as a change of disability; and when counting starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ahsct.errors import DefinitionError
from ahsct.files import json_hash


def strictly(*classes: Any) -> None:
    """Tell the loader that these dataclasses take no unknown key and convert no type."""
    for cls in classes:
        cls.__pydantic_config__ = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, kw_only=True)
class ThresholdStep:
    """From this baseline value on, a change of at least `change` counts (TOML key: `from`).

    `unit` says whether `change` is in points of the scale or a fraction of the baseline.
    """

    from_value: float
    change: float
    unit: Literal["points", "fraction"] = "points"


@dataclass(frozen=True, kw_only=True)
class DisabilityRule:
    """When a measure of disability has changed for good. All times are whole days.

    Distances are pairs (before, after): a visit is too near a relapse when the last relapse was
    fewer than `before` days before it or the next one comes fewer than `after` days after it.
    Windows (RAW, PIRA) are closed at both ends. `confirmation_tolerance_days` = (early, late): a
    visit confirms a period of c days when it lies in [c - early, c + late] days after the onset;
    late may be infinite. Periods are alternatives: any one suffices, the earliest visit decides.
    `relapse_distance_from` = "end": the distance after a relapse, and its recovery, count from the
    relapse's last day (from its onset where that is missing). Windows look at onsets only; a PIRA
    window of (0, 0) asks for nothing.
    """

    measure: Literal["edss", "t25fw_s", "nhpt_dom_s", "nhpt_nondom_s", "sdmt"]
    worsening_threshold: tuple[ThresholdStep, ...]
    improvement_threshold: tuple[ThresholdStep, ...]
    # where a change is counted from
    worsening_baseline_visit: Literal[
        "first", "screening", "last_before_mobilisation", "last_before_time_zero", "rebaseline"
    ] = "first"
    worsening_baseline_scheme: Literal["fixed", "roving_up", "roving_down", "roving", "after_relapse"] = (
        "fixed"
    )
    improvement_baseline_visit: Literal[
        "first", "screening", "last_before_mobilisation", "last_before_time_zero", "rebaseline"
    ] = "first"
    improvement_baseline_scheme: Literal["fixed", "roving_up", "roving_down", "roving", "after_relapse"] = (
        "fixed"
    )
    relapse_recovery_days: int = 0
    # what makes it last
    confirmation_periods_days: tuple[int, ...] = (84,)
    confirmation_tolerance_days: tuple[float, float] = (7, float("inf"))
    confirmed_by: Literal["threshold", "at_or_above_event", "monotonic"] = "threshold"
    confirming_visits: Literal["every", "confirming_only"] = "every"
    sustained_days: float = 0
    # distances to relapses
    relapse_to_baseline_days: tuple[int, int] = (30, 0)
    relapse_to_event_days: tuple[int, int] = (0, 0)
    relapse_to_confirmation_days: tuple[int, int] = (30, 0)
    relapse_distance_from: Literal["onset", "end"] = "onset"
    # relapse-associated worsening, progression independent of relapse activity
    raw_window_days: tuple[int, int] = (90, 0)
    pira_around_event_days: tuple[int, int] = (90, 30)
    pira_around_confirmation_days: tuple[int, int] = (90, 30)
    # what is reported
    events: Literal["first", "all"] = "all"
    event_day: Literal["onset", "confirmation"] = "onset"
    not_before_day: int | None = None
    unconfirmed_at_end: Literal["censor_before_onset", "censor_at_last_visit", "event", "interval"] = (
        "censor_before_onset"
    )
    death_before_confirmation: Literal["event", "death_only", "censor"] = "death_only"
    same_day: Literal["error", "last_row", "worst"] = "error"

    def __post_init__(self) -> None:
        for name in ("worsening_threshold", "improvement_threshold"):
            steps = getattr(self, name)
            starts = [step.from_value for step in steps]
            if not steps or starts != sorted(set(starts)) or starts[0] > 0:
                raise DefinitionError(
                    f"{name} needs rows whose `from` rises from 0; it has {starts}. Begin with from = 0."
                )
            if any(step.change <= 0 for step in steps):
                raise DefinitionError(f"{name}: each `change` must be above 0.")
        if not self.confirmation_periods_days or min(self.confirmation_periods_days) < 0:
            raise DefinitionError("confirmation_periods_days needs one or more periods of 0 days or more.")
        if len(set(self.confirmation_periods_days)) < len(self.confirmation_periods_days):
            raise DefinitionError(
                f"confirmation_periods_days names a period twice: {self.confirmation_periods_days}."
            )
        for name in (
            "confirmation_tolerance_days",
            "relapse_to_baseline_days",
            "relapse_to_event_days",
            "relapse_to_confirmation_days",
            "raw_window_days",
            "pira_around_event_days",
            "pira_around_confirmation_days",
        ):
            if not min(getattr(self, name)) >= 0:
                raise DefinitionError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        if not (self.sustained_days >= 0 and self.relapse_recovery_days >= 0):
            raise DefinitionError("sustained_days and relapse_recovery_days must be 0 or more.")
        if self.confirmed_by == "monotonic" and self.confirming_visits != "every":
            raise DefinitionError(
                'confirmed_by = "monotonic" speaks of every visit; it needs confirming_visits = "every".'
            )
        schemes = (self.worsening_baseline_scheme, self.improvement_baseline_scheme)
        if self.relapse_recovery_days and "after_relapse" not in schemes:
            raise DefinitionError(
                f'relapse_recovery_days = {self.relapse_recovery_days} needs a baseline scheme "after_relapse"; '
                f"the schemes are {schemes}."
            )


@dataclass(frozen=True, kw_only=True)
class RelapseRule:
    """Which reported relapses count. `min_gap_days`: onsets nearer than this are one relapse."""

    confirmed_by_examiner: bool = False
    min_gap_days: int = 0
    not_before_day: int = 0


@dataclass(frozen=True, kw_only=True)
class MriRule:
    """Which lesions on a scan make it active.

    A new or enlarging T2 lesion counts only where the reference scan lies on or after the
    re-baseline scan; gadolinium counts on the re-baseline scan too. `not_before_day` counts from
    time zero. `reference`: `rebaseline` asks for that; `any` takes the reader's count as it is.
    """

    lesions: tuple[Literal["gd", "new_t2", "enlarging_t2"], ...] = ("gd", "new_t2", "enlarging_t2")
    min_lesions_n: int = 1
    reference: Literal["rebaseline", "any"] = "rebaseline"
    not_before_day: int | None = None

    def __post_init__(self) -> None:
        if not self.lesions or self.min_lesions_n < 1:
            raise DefinitionError("mri: lesions needs one or more kinds, and min_lesions_n 1 or more.")


@dataclass(frozen=True, kw_only=True)
class RebaselineWindow:
    """The assessment from which activity after the transplant is counted. Days from time zero.

    `window_days` = (earliest, latest). `early_events` says what happens to events before it;
    `risk_starts` = "rebaseline" means delayed entry. It never erases improvement.
    """

    target_day: int
    window_days: tuple[int, int]
    pick: Literal["closest", "first", "last"] = "closest"
    if_missing: Literal["not_evaluable", "baseline"] = "not_evaluable"
    early_events: Literal["ignore", "count", "report_apart"] = "report_apart"
    risk_starts: Literal["index", "rebaseline"] = "index"

    def __post_init__(self) -> None:
        earliest, latest = self.window_days
        if not 0 <= earliest <= self.target_day <= latest:
            raise DefinitionError(
                f"rebaseline: window_days [{earliest}, {latest}] must run from the earliest to the latest day after "
                f"time zero and hold target_day {self.target_day}."
            )


@dataclass(frozen=True, kw_only=True)
class Rebaseline:
    """Re-baselines, clinical and MRI apart; a missing one means that none is used."""

    clinical: RebaselineWindow | None = None
    mri: RebaselineWindow | None = None


def rule_hash(rule: Any) -> str:
    """Return the SHA-256 of a rule's canonical JSON.

    Examples
    --------
    >>> rule_hash(RelapseRule()) == rule_hash(RelapseRule(min_gap_days=0))
    True
    """
    return json_hash(plain(asdict(rule)))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: tuples as lists, infinities in words."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            return str(value)
        return int(value) if value.is_integer() else value  # 1 and 1.0 are the same rule
    return value


strictly(ThresholdStep, DisabilityRule, RelapseRule, MriRule, RebaselineWindow, Rebaseline)
