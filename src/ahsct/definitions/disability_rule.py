"""When a measure of disability has changed for good: every choice under a name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ahsct.definitions.rules import strictly
from ahsct.errors import DefinitionError

BaselineVisit = Literal[
    "first", "screening", "last_before_mobilisation", "last_before_time_zero", "rebaseline"
]
BaselineScheme = Literal["fixed", "roving_up", "roving_down", "roving", "after_relapse"]


@dataclass(frozen=True, kw_only=True)
class ThresholdStep:
    """From this reference value on, a change of at least `change` counts (TOML key: `from`).

    `unit` says whether `change` is in points of the scale or a fraction of the reference; a fraction may
    be capped: `change = 0.2, unit = "fraction", at_most = 4` is the smaller of 20 % and 4 points.
    """

    from_value: float
    change: float
    unit: Literal["points", "fraction"] = "points"
    at_most: float | None = None

    def __post_init__(self) -> None:
        if self.at_most is not None and (self.unit != "fraction" or not self.at_most > 0):
            raise DefinitionError(
                f"at_most = {self.at_most} caps a fraction, in points above 0; unit is {self.unit!r}."
            )


@dataclass(frozen=True, kw_only=True)
class DisabilityRule:
    """When a measure of disability has changed for good. All times are whole days.

    Parameters
    ----------
    measure, custom_column, custom_worsens
        The column of `visits` that holds the score. `custom`: the column `custom_column`, a score that
        gets worse as it goes `up` or `down`.
    worsening_threshold, improvement_threshold
        The smallest change that counts, by the value of the reference visit. EDSS cut at 5.5 or at 6.0:
        the last row's `from`.
    threshold_column
        Another column whose value at the reference visit is looked up in the table (for a score derived
        from a scale, such as its part independent of relapses). None: the score itself.
    worsening_baseline_visit, improvement_baseline_visit
        Where counting starts; `derive_disability` describes the choices.
    worsening_baseline_scheme, improvement_baseline_scheme
        `roving_up` moves the baseline after a confirmed worsening, `roving_down` after a confirmed
        improvement, `roving` after both. `after_relapse` is `fixed` with `relapse_rebaseline = "recovered"`.
    relapse_rebaseline
        Whether relapses move the baseline, under any scheme. `recovered`: to each first visit
        `relapse_recovery_days` or more after the last relapse. `next_visit`: once the search passes a
        relapse after the baseline by more than `relapse_evaluation_days`, to the first visit on or after
        that relapse. `next_visit_if_changed`: the same, but only a changed visit takes the search past a
        relapse: where no visit differs enough from the old baseline (with `sub_threshold_rebaseline`: at
        all), it stays, as in pymsprog.
    relapse_recovery_days, relapse_evaluation_days
        See `relapse_rebaseline`. Changes up to `relapse_evaluation_days` after a relapse are still
        compared with the baseline before it.
    baseline_may_improve
        False: a moved baseline better than the one before keeps the value of the one before.
    sub_threshold_rebaseline
        Confirmed changes below the threshold that move a roving baseline too, without being events.
    skip_local_extrema
        Visits that may not be a baseline: those better (or worse) than both neighbours by the threshold at their
        own value (`strict`) or by anything (`all`), unless the score equals that two visits before.
    proceed_from
        Where a baseline moves to, and the search goes on from, after a confirmed change: its earliest
        `confirmation`, the `event` itself, or the earliest confirmation of the `first_period` listed.
    confirmation_periods_days, confirmation_tolerance_days, confirmation_tolerances_days
        Periods are alternatives: any one suffices, the earliest visit decides. A visit confirms a period of
        c days when it lies in [c - early, c + late] days after the onset, with tolerance (early, late); late may
        be infinite. `confirmation_tolerances_days` gives one tolerance per period instead.
    improvement_confirmation_periods_days, improvement_confirmation_tolerances_days, improvement_sustained_days
        The same for improvement; empty or None: as for worsening.
    confirmed_by, confirming_visits
        What a confirming visit must hold, and whether every visit from onset to confirmation must.
    sustained_days
        The change must hold at all visits for so many days from its onset (`confirming_only`: at the
        first visit so many days after it); one that lasts to the last visit is always sustained.
    persistence_days, persistence_confirmation_days
        No confirmed change back within so many days of the onset (0: not asked): no visit that differs
        from the event's score in the other direction by that direction's threshold, at every visit up to the first
        one `persistence_confirmation_days` or more later.
    relapse_to_baseline_days, relapse_to_event_days, relapse_to_confirmation_days, relapse_distance_from
        Distances (before, after): a visit is too near a relapse when the last relapse was fewer than
        `before` days before it or the next one comes fewer than `after` days after it. From "end": the
        distance after a relapse, and its recovery, count from its last day (from its onset where that is missing).
    raw_window_days
        A worsening up to `before` days after or `after` days before a relapse is RAW.
    pira_around_preceding_days, pira_around_event_days, pira_around_confirmation_days
        Closed windows (before, after) without a relapse that PIRA asks for; (0, 0) asks for nothing.
    pira_preceding_visit
        The preceding visit: the current `baseline`, the `last` visit before the onset, or the last one from which
        onset and confirmation are still a threshold change (`last_delta`; the first visit where there is none).
    pira_joined
        Windows joined to one interval: from the preceding visit's to the event's (`preceding_event`), from the
        event's to the confirmation's (`event_confirmation`), or both (`all`); joined ends must be 0.
    events, event_number
        Report `all` events, the `first`, or the one of number `event_number` (`nth`).
    event_kind
        Which events are reported, and counted: worsening and improvement apart (`each_direction`), the two
        together (`either`), or one kind. Others still move the baseline as the scheme says.
    search
        `apart`: a confirmed change does not hold up the search for the other direction. `together`: one search
        for both; after an event it goes on from `proceed_from`.
    plateau
        Where the baseline stays, one plateau is `one_event`: the change must end before it can begin anew; or
        it is `repeated` as often as it is confirmed (as pymsprog does).
    impute_probability, impute_within_days, impute_seed
        A worsening first seen at the last visit counts unconfirmed with this probability, if it lies
        within so many days of the patient's first visit. The draw depends on the seed and the patient's id alone.
    event_day, not_before_day
        The day of an event, and the first day (from time zero) on which an onset counts.
    unconfirmed_at_end, death_before_confirmation
        What an endpoint makes of a change that follow-up or death left unconfirmed.
    same_day
        What is done with several visits of a patient on one day.

    Raises
    ------
    DefinitionError
        A value out of range, or fields that contradict each other.
    """

    measure: Literal["edss", "t25fw_s", "nhpt_dom_s", "nhpt_nondom_s", "sdmt", "custom"]
    worsening_threshold: tuple[ThresholdStep, ...]
    improvement_threshold: tuple[ThresholdStep, ...]
    custom_column: str | None = None
    custom_worsens: Literal["up", "down"] | None = None
    threshold_column: str | None = None
    # where a change is counted from
    worsening_baseline_visit: BaselineVisit = "first"
    worsening_baseline_scheme: BaselineScheme = "fixed"
    improvement_baseline_visit: BaselineVisit = "first"
    improvement_baseline_scheme: BaselineScheme = "fixed"
    relapse_rebaseline: Literal["none", "recovered", "next_visit", "next_visit_if_changed"] = "none"
    relapse_recovery_days: int = 0
    relapse_evaluation_days: int = 0
    baseline_may_improve: bool = True
    sub_threshold_rebaseline: Literal["none", "any", "improvement", "worsening"] = "none"
    skip_local_extrema: Literal["none", "strict", "all"] = "none"
    proceed_from: Literal["confirmation", "event", "first_period"] = "confirmation"
    # what makes it last
    confirmation_periods_days: tuple[int, ...] = (84,)
    confirmation_tolerance_days: tuple[float, float] = (7, float("inf"))
    confirmation_tolerances_days: tuple[tuple[float, float], ...] = ()
    improvement_confirmation_periods_days: tuple[int, ...] = ()
    improvement_confirmation_tolerances_days: tuple[tuple[float, float], ...] = ()
    confirmed_by: Literal["threshold", "at_or_above_event", "monotonic"] = "threshold"
    confirming_visits: Literal["every", "confirming_only"] = "every"
    sustained_days: float = 0
    improvement_sustained_days: float | None = None
    persistence_days: float = 0
    persistence_confirmation_days: int = 84
    # distances to relapses
    relapse_to_baseline_days: tuple[int, int] = (30, 0)
    relapse_to_event_days: tuple[int, int] = (0, 0)
    relapse_to_confirmation_days: tuple[int, int] = (30, 0)
    relapse_distance_from: Literal["onset", "end"] = "onset"
    # relapse-associated worsening, progression independent of relapse activity
    raw_window_days: tuple[int, int] = (90, 0)
    pira_around_preceding_days: tuple[int, int] = (0, 0)
    pira_preceding_visit: Literal["baseline", "last", "last_delta"] = "baseline"
    pira_around_event_days: tuple[int, int] = (90, 30)
    pira_around_confirmation_days: tuple[int, int] = (90, 30)
    pira_joined: Literal["none", "preceding_event", "event_confirmation", "all"] = "none"
    # what is reported
    events: Literal["first", "all", "nth"] = "all"
    event_number: int = 1
    event_kind: Literal["each_direction", "either", "worsening", "improvement", "PIRA", "RAW"] = (
        "each_direction"
    )
    search: Literal["apart", "together"] = "apart"
    plateau: Literal["one_event", "repeated"] = "one_event"
    impute_probability: float = 0
    impute_within_days: float = float("inf")
    impute_seed: int = 0
    event_day: Literal["onset", "confirmation"] = "onset"
    not_before_day: int | None = None
    unconfirmed_at_end: Literal["censor_before_onset", "censor_at_last_visit", "event", "interval"] = (
        "censor_before_onset"
    )
    death_before_confirmation: Literal["event", "death_only", "censor"] = "death_only"
    same_day: Literal["error", "last_row", "worst"] = "error"

    @property
    def column(self) -> str:
        """The column of `visits` that holds the score."""
        return self.measure if self.custom_column is None else self.custom_column

    @property
    def greater_is_worse(self) -> bool:
        """Whether the score gets worse as it goes up."""
        return self.custom_worsens == "up" if self.measure == "custom" else self.measure != "sdmt"

    @property
    def tolerances_days(self) -> tuple[tuple[float, float], ...]:
        """The tolerance of each confirmation period of worsening."""
        return self.confirmation_tolerances_days or (self.confirmation_tolerance_days,) * len(
            self.confirmation_periods_days
        )

    def periods_of(self, direction: str) -> tuple[tuple[int, tuple[float, float]], ...]:
        """Return the confirmation periods of a direction, each with its tolerance."""
        periods, tolerances = self.confirmation_periods_days, self.tolerances_days
        if direction == "improvement" and self.improvement_confirmation_periods_days:
            periods = self.improvement_confirmation_periods_days
            tolerances = self.improvement_confirmation_tolerances_days or (
                self.confirmation_tolerance_days,
            ) * len(periods)
        return tuple(zip(periods, tolerances, strict=True))

    def sustained_days_of(self, direction: str) -> float:
        """Return how long a change in this direction must hold."""
        own = self.improvement_sustained_days if direction == "improvement" else None
        return self.sustained_days if own is None else own

    def __post_init__(self) -> None:
        self._check_measure()
        self._check_thresholds()
        self._check_ranges()
        self._check_periods()
        self._check_baselines()
        self._check_reports()

    def _check_measure(self) -> None:
        given = (self.custom_column, self.custom_worsens)
        if (self.measure == "custom") != (None not in given) or (self.measure != "custom" and any(given)):
            raise DefinitionError(
                'custom_column and custom_worsens ("up" or "down") belong to measure = "custom", both of them; they '
                f"are {given} with measure = {self.measure!r}."
            )

    def _check_thresholds(self) -> None:
        for name in ("worsening_threshold", "improvement_threshold"):
            steps = getattr(self, name)
            starts = [step.from_value for step in steps]
            if not steps or starts != sorted(set(starts)) or starts[0] > 0:
                raise DefinitionError(
                    f"{name} needs rows whose `from` rises from 0; it has {starts}. Begin with from = 0."
                )
            if any(step.change <= 0 for step in steps):
                raise DefinitionError(f"{name}: each `change` must be above 0.")

    def _check_ranges(self) -> None:
        for name in (
            "confirmation_tolerance_days",
            "relapse_to_baseline_days",
            "relapse_to_event_days",
            "relapse_to_confirmation_days",
            "raw_window_days",
            "pira_around_preceding_days",
            "pira_around_event_days",
            "pira_around_confirmation_days",
        ):
            if not min(getattr(self, name)) >= 0:
                raise DefinitionError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        for name in (
            "sustained_days",
            "improvement_sustained_days",
            "persistence_days",
            "persistence_confirmation_days",
            "relapse_recovery_days",
            "relapse_evaluation_days",
            "impute_within_days",
            "impute_seed",
        ):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise DefinitionError(f"{name} must be 0 or more, not {value}.")
        if not 0 <= self.impute_probability <= 1:
            raise DefinitionError(
                f"impute_probability must lie between 0 and 1, not {self.impute_probability}."
            )

    def _check_periods(self) -> None:
        for prefix in ("", "improvement_"):
            name = f"{prefix}confirmation_periods_days"
            periods = getattr(self, name)
            tolerances = getattr(self, f"{prefix}confirmation_tolerances_days")
            if (not periods and not prefix) or any(days < 0 for days in periods):
                raise DefinitionError(f"{name} needs one or more periods of 0 days or more.")
            if len(set(periods)) < len(periods):
                raise DefinitionError(f"{name} names a period twice: {periods}.")
            if tolerances and len(tolerances) != len(periods):
                raise DefinitionError(
                    f"{prefix}confirmation_tolerances_days needs one pair per period: it has {len(tolerances)} for "
                    f"{name} = {periods}."
                )
            if not all(min(pair) >= 0 for pair in tolerances):
                raise DefinitionError(
                    f"{prefix}confirmation_tolerances_days must be 0 or more: {tolerances}."
                )
        if self.confirmed_by == "monotonic" and self.confirming_visits != "every":
            raise DefinitionError(
                'confirmed_by = "monotonic" speaks of every visit; it needs confirming_visits = "every".'
            )

    def _check_baselines(self) -> None:
        schemes = (self.worsening_baseline_scheme, self.improvement_baseline_scheme)
        relapses = self.relapse_rebaseline
        if "after_relapse" in schemes and relapses != "none":
            raise DefinitionError(
                f'scheme "after_relapse" and relapse_rebaseline = {relapses!r} say the same thing twice; use '
                'scheme "fixed" with relapse_rebaseline.'
            )
        if self.relapse_recovery_days and "after_relapse" not in schemes and relapses != "recovered":
            raise DefinitionError(
                f"relapse_recovery_days = {self.relapse_recovery_days} needs a baseline scheme "
                f'"after_relapse" or relapse_rebaseline = "recovered"; the schemes are {schemes}.'
            )
        if self.relapse_evaluation_days and not relapses.startswith("next_visit"):
            raise DefinitionError(
                f"relapse_evaluation_days = {self.relapse_evaluation_days} needs relapse_rebaseline = "
                f'"next_visit" or "next_visit_if_changed", not {relapses!r}.'
            )
        is_roving = any(scheme.startswith("roving") for scheme in schemes)
        if self.sub_threshold_rebaseline != "none" and not (is_roving or relapses == "next_visit_if_changed"):
            raise DefinitionError(
                f"sub_threshold_rebaseline = {self.sub_threshold_rebaseline!r} moves a roving baseline; the "
                f"schemes are {schemes}."
            )
        if (
            not self.baseline_may_improve
            and not is_roving
            and relapses == "none"
            and "after_relapse" not in schemes
        ):
            raise DefinitionError(
                f"baseline_may_improve = false needs a baseline that moves; the schemes are {schemes}."
            )
        if (self.search == "together" or self.event_kind == "either") and (
            schemes[0] != schemes[1] or self.worsening_baseline_visit != self.improvement_baseline_visit
        ):
            raise DefinitionError(
                'search = "together" and event_kind = "either" need the same baseline visit and scheme for '
                "worsening and improvement."
            )

    def _check_reports(self) -> None:
        first = (self.pira_around_preceding_days[1], self.pira_around_event_days[0])
        second = (self.pira_around_event_days[1], self.pira_around_confirmation_days[0])
        for joined, ends, names in (
            (
                ("preceding_event", "all"),
                first,
                "pira_around_preceding_days and before of pira_around_event_days",
            ),
            (
                ("event_confirmation", "all"),
                second,
                "pira_around_event_days and before of pira_around_confirmation_days",
            ),
        ):
            if self.pira_joined in joined and any(ends):
                raise DefinitionError(
                    f"pira_joined = {self.pira_joined!r} joins the windows there: after of {names} must be 0, not {ends}."
                )
        if self.event_number < 1 or (self.event_number != 1 and self.events != "nth"):
            raise DefinitionError(
                f'event_number = {self.event_number} counts from 1 and needs events = "nth"; events is {self.events!r}.'
            )


strictly(ThresholdStep, DisabilityRule)
