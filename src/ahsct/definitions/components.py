"""What an endpoint is made of: the names of its components, and the rules that only components need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import polars as pl

from ahsct.definitions.disability_rule import DisabilityRule
from ahsct.definitions.norms import list_norms, load_norm
from ahsct.definitions.rules import strictly
from ahsct.errors import DefinitionError, did_you_mean

BRAIN_VOLUME_LOSS = "brain_volume_loss"
_Direction = Literal["worsening", "improvement"]
_Label = Literal["PIRA", "RAW"]
# what a component's name says of a measure: the direction, and the label that a worsening must bear
_ENDINGS: Mapping[str, tuple[_Direction, _Label | None]] = {
    "worsening": ("worsening", None),
    "improvement": ("improvement", None),
    "pira": ("worsening", "PIRA"),
    "raw": ("worsening", "RAW"),
}

# what rules that may confirm one another must say, because it has no meaning for several measures together
_OF_ONE_MEASURE: dict[str, object] = {
    "worsening_baseline_scheme": "fixed",
    "relapse_rebaseline": "none",
    "skip_local_extrema": "none",
    "threshold_column": None,
    "confirmed_by": "threshold",
    "persistence_days": 0,
}
# fields in which they need not agree
_MAY_DIFFER = {
    "measure",
    "custom_column",
    "custom_worsens",
    "worsening_threshold",
    "improvement_threshold",
    "improvement_baseline_visit",
    "improvement_baseline_scheme",
}


@dataclass(frozen=True, kw_only=True)
class ComponentSpec:
    """A component's name taken apart.

    `measure` is that of a disability rule or the id of a combined one; `label` the relation to relapses
    that a worsening must have, None for any.
    """

    name: str
    kind: Literal["relapse", "mri_activity", "death", "brain_volume_loss", "disability"]
    measure: str | None = None
    direction: _Direction = "worsening"
    label: _Label | None = None


@dataclass(frozen=True, kw_only=True)
class CombinedRule:
    """Worsening of any of several measures, such as EDSS-plus (component `<id>_worsening`, `_pira`, `_raw`).

    `confirmed_by`: "same_measure" takes the confirmed worsenings of the measures as their own rules find
    them; under "any_measure" a visit at which any of them is worse than its baseline may confirm the
    worsening of another (their rules must agree in all but the threshold, with a fixed baseline).
    `assessed_when`: a visit without a worsening is negative when all the measures were taken, or any.
    """

    id: str
    label: str
    measures: tuple[str, ...]
    confirmed_by: Literal["same_measure", "any_measure"] = "same_measure"
    assessed_when: Literal["all_measured", "any_measured"] = "all_measured"

    def __post_init__(self) -> None:
        if len(set(self.measures)) < 2 or len(set(self.measures)) < len(self.measures):
            raise DefinitionError(
                f"combined rule {self.id!r} needs two or more different measures; it has {list(self.measures)}."
            )


@dataclass(frozen=True, kw_only=True)
class BrainVolumeLossRule:
    """Which loss of brain volume is an event (component `brain_volume_loss`, as in NEDA-4).

    The loss is counted from the re-baseline volume alone, never across the early drop after a transplant:
    the volume that the MRI re-baseline picks among the patient's volumes. It is an event when greater than

    - "annualised": `max_loss_pct_per_year`, the loss since the re-baseline over the time since then;
    - "age_norm": that yearly loss against the limit of healthy ageing in `norm` at the age in the middle of
      the interval (its 95th percentile, or its mean and 1.96 standard deviations); never extrapolated;
    - "fixed": `max_loss_pct`, the whole loss since the re-baseline.

    A volume earlier than `min_interval_days` after the re-baseline says nothing: the error of one
    measurement, turned into a yearly loss, would be greater than the limit. A patient with fewer than
    `min_volumes_n` volumes after the re-baseline is not evaluable.
    """

    measure: Literal["PBVC", "NBV", "GMV", "WMV", "BPF"] = "PBVC"
    criterion: Literal["annualised", "age_norm", "fixed"] = "annualised"
    max_loss_pct_per_year: float | None = None
    max_loss_pct: float | None = None
    norm: str | None = None
    min_interval_days: int = 365
    min_volumes_n: int = 2

    def __post_init__(self) -> None:
        field = {"annualised": "max_loss_pct_per_year", "age_norm": "norm", "fixed": "max_loss_pct"}
        needed = field[self.criterion]
        for name in field.values():
            if (getattr(self, name) is not None) != (name == needed):
                raise DefinitionError(
                    f"brain_volume_loss: criterion {self.criterion!r} takes {needed}"
                    + (" and no other limit." if name != needed else ", which is missing.")
                )
        if self.norm is not None and self.norm not in list_norms():
            raise DefinitionError(
                f"brain_volume_loss: no norm {self.norm!r}; known are {', '.join(list_norms())}."
                f"{did_you_mean(self.norm, list_norms())}"
            )
        if (
            self.norm is not None
            and load_norm(self.norm)
            .select(pl.all_horizontal(pl.col("sd_pct_per_year", "p95_pct_per_year").is_null()).any())
            .item()
        ):
            raise DefinitionError(
                f"brain_volume_loss: norm {self.norm!r} has a mean but no published spread, so no limit."
            )
        for limit in (self.max_loss_pct_per_year, self.max_loss_pct):
            if limit is not None and not 0 <= limit < 100:
                raise DefinitionError(
                    f"brain_volume_loss: a limit of loss is a percentage from 0 to under 100, not {limit:g}; "
                    "write a loss without a sign."
                )
        if self.min_interval_days < 1 or self.min_volumes_n < 1:
            raise DefinitionError("brain_volume_loss: min_interval_days and min_volumes_n must be 1 or more.")


def component_names(
    rules: Iterable[DisabilityRule], combined: Iterable[CombinedRule], *, has_volume_rule: bool
) -> dict[str, ComponentSpec]:
    """Return every component that a definition's rules allow, by name.

    Examples
    --------
    >>> from ahsct.definitions import load_definition
    >>> names = component_names(load_definition("atkins2016").disability, [], has_volume_rule=False)
    >>> list(names)
    ['relapse', 'mri_activity', 'death', 'edss_worsening', 'edss_improvement', 'edss_pira', 'edss_raw']
    """
    simple: tuple[Literal["relapse", "mri_activity", "death"], ...] = ("relapse", "mri_activity", "death")
    known: dict[str, ComponentSpec] = {name: ComponentSpec(name=name, kind=name) for name in simple}
    if has_volume_rule:
        known[BRAIN_VOLUME_LOSS] = ComponentSpec(name=BRAIN_VOLUME_LOSS, kind="brain_volume_loss")
    measures: list[tuple[str, tuple[str, ...]]] = [(rule.measure, tuple(_ENDINGS)) for rule in rules]
    measures += [(rule.id, tuple(end for end in _ENDINGS if end != "improvement")) for rule in combined]
    for measure, endings in measures:
        for ending in endings:
            direction, label = _ENDINGS[ending]
            name = f"{measure}_{ending}"
            known[name] = ComponentSpec(
                name=name, kind="disability", measure=measure, direction=direction, label=label
            )
    return known


def check_combined(combined: Iterable[CombinedRule], rules: Mapping[str, DisabilityRule]) -> None:
    """Raise a DefinitionError where combined rules have no id of their own or cannot be carried out.

    `rules` are the disability rules by measure.
    """
    ids: list[str] = []
    for rule in combined:
        if rule.id in (*rules, *ids):
            raise DefinitionError(
                f"a combined rule needs an id of its own, not {rule.id!r}: there are measures {list(rules)} and "
                f"combined rules {ids}."
            )
        ids.append(rule.id)
        for measure in rule.measures:
            if measure not in rules:
                raise DefinitionError(
                    f"combined rule {rule.id!r} names {measure!r}, but there is no disability rule for it, "
                    f"only for {list(rules)}.{did_you_mean(measure, rules)}"
                )
        _check_alike(rule, [asdict(rules[measure]) for measure in rule.measures])


def _check_alike(combined: CombinedRule, rules: list[dict[str, Any]]) -> None:
    """Refuse rules that differ where they must agree, or that speak of one measure alone."""
    first, *others = rules
    shared = [name for name in first if name not in _MAY_DIFFER]
    if combined.confirmed_by == "same_measure":
        shared = ["unconfirmed_at_end", "death_before_confirmation"]
    elif unfit := [name for name, value in _OF_ONE_MEASURE.items() if first[name] != value]:
        raise DefinitionError(
            f'combined rule {combined.id!r}: confirmed_by = "any_measure" asks whether any measure is worse than '
            f"its fixed baseline by its threshold; {', '.join(unfit)} of {first['measure']} speaks of one measure."
        )
    for other in others:
        if differ := [name for name in shared if first[name] != other[name]]:
            raise DefinitionError(
                f"combined rule {combined.id!r}, confirmed_by = {combined.confirmed_by!r}: its rules must agree; "
                f"{other['measure']} differs from {first['measure']} in {', '.join(differ)}."
            )


def is_reported(component: ComponentSpec, rule: DisabilityRule) -> bool:
    """Tell whether a rule reports the events of a component, so that none is hidden behind another kind.

    Examples
    --------
    The first worsening of all may be relapse-associated, and would hide a later one that is not:

    >>> from dataclasses import replace
    >>> from ahsct.definitions import load_definition
    >>> definition = load_definition("atkins2016")
    >>> rule, pira = definition.disability_rule("edss"), definition.components["edss_pira"]
    >>> [is_reported(pira, replace(rule, events="first", event_kind=kind)) for kind in ("worsening", "PIRA")]
    [False, True]
    """
    own = {component.label} if component.label else {"each_direction", component.direction}
    if rule.events == "all":
        own |= {"each_direction", "either", component.direction}
    return rule.event_kind in own


strictly(CombinedRule, BrainVolumeLossRule)
