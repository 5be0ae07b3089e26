"""Eligibility rule sets: dated files with their sources, loaded as strictly as definitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ahsct.definitions.facts import FACTS
from ahsct.definitions.load import build_strictly
from ahsct.definitions.rules import strictly
from ahsct.definitions.shipped import shipped_ids, toml_data
from ahsct.errors import DefinitionError, did_you_mean

_SHIPPED = {"package": "ahsct.definitions", "folder": "eligibility", "what": "rule set"}
Operator = Literal["==", "!=", "<", "<=", ">", ">=", "between", "in"]
Seen = Literal["source", "second-hand", "recalled"]
Kind = Literal["include", "refer", "exclude", "prefer", "centre", "note"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One comparison of a fact (a name of `FACTS`), for windowed facts within so many months before."""

    fact: str
    op: Operator
    value: bool | float | str | tuple[float, float] | tuple[str, ...]
    window_months: int | None = None

    def __post_init__(self) -> None:
        if self.fact not in FACTS:
            raise DefinitionError(f"no fact {self.fact!r}.{did_you_mean(self.fact, FACTS)}")
        if (self.window_months is not None) != FACTS[self.fact].is_windowed:
            needs = "needs" if FACTS[self.fact].is_windowed else "takes no"
            raise DefinitionError(f"fact {self.fact!r} {needs} window_months.")
        if (self.op in ("between", "in")) != isinstance(self.value, tuple):
            raise DefinitionError(f"{self.fact}: op {self.op!r} does not go with value {self.value!r}.")
        if self.op == "between" and len(self.value) != 2:  # type: ignore[arg-type]
            raise DefinitionError(f"{self.fact}: between needs two limits, not {self.value!r}.")

    @property
    def key(self) -> str:
        """The fact's name with its window: the column that holds it."""
        return self.fact if self.window_months is None else f"{self.fact}_{self.window_months}m"


Cases = tuple[tuple[Condition, ...], ...]  # one case must hold; a case holds when all its conditions do


@dataclass(frozen=True, kw_only=True)
class EligibilityRule:
    """One rule. `include`, `refer`, `exclude` are required; `prefer` is not; `centre` and `note` are only shown.

    Rules of one `group` are alternatives: one of them suffices. `applies_when` empty = for everybody.
    `cases` empty = cannot be computed; it is shown as unknown.
    """

    id: str
    kind: Kind
    text: str
    seen: Seen
    applies_when: Cases = ()
    cases: Cases = ()
    group: str | None = None
    note: str | None = None

    @property
    def is_required(self) -> bool:
        """True for rules that decide; preferences, notes and duties of the centre do not."""
        return self.kind in ("include", "refer", "exclude")


@dataclass(frozen=True, kw_only=True)
class RuleSet:
    """A dated set of rules.

    `high_efficacy` names its class of drugs. A DMT has failed when it was stopped for lack of efficacy, or
    there was a relapse or an active scan after `failure_after_months` on it. Activity on a DMT counts on those of the
    `qualifying_groups` (injectable, oral, monoclonal, other); on any where none is named.
    """

    schema: Literal[1]
    id: str
    title: str
    body: str
    year: int | None = None
    sources: tuple[str, ...]
    rules: tuple[EligibilityRule, ...]
    high_efficacy: tuple[str, ...] = ()
    high_efficacy_seen: Seen = "recalled"
    failure_after_months: int = 0
    qualifying_groups: tuple[Literal["injectable", "oral", "monoclonal", "other"], ...] = ()
    failure_seen: Seen = "recalled"

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) < len(ids):
            raise DefinitionError(f"rule set {self.id!r} names a rule twice: {ids}.")
        if not any(rule.kind in ("include", "refer") for rule in self.rules):
            raise DefinitionError(f"rule set {self.id!r} needs a rule that includes or refers.")
        if not self.sources:
            raise DefinitionError(f"rule set {self.id!r} needs a source.")


strictly(Condition, EligibilityRule, RuleSet)


def list_rule_sets() -> list[str]:
    """Return the ids of the shipped rule sets.

    Examples
    --------
    >>> len(list_rule_sets())
    16
    """
    return shipped_ids(_SHIPPED["package"], _SHIPPED["folder"])


def load_rule_set(id_or_file: str | Path) -> RuleSet:
    """Return a shipped rule set by its id, or a user's own from a TOML file.

    Raises
    ------
    DefinitionError
        Neither a shipped id nor a readable file, or the file breaks the form: key and nearest name are given.

    Examples
    --------
    >>> load_rule_set("ottawa2000").rules[0].text
    'age 18 to 50 years'
    """
    data, name = toml_data(id_or_file, **_SHIPPED)
    return build_strictly(RuleSet, data, name)
