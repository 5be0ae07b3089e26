"""What counts as a relapse and as MRI activity, and when counting starts."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, cast

from ahsct.errors import DefinitionError
from ahsct.files import json_hash


def strictly(*classes: Any) -> None:
    """Tell the loader that these dataclasses take no unknown key and convert no type."""
    for cls in classes:
        cls.__pydantic_config__ = {"extra": "forbid", "strict": True}


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
    time zero. `reference`: `rebaseline` asks for that; `any` takes the reader's count as it is, whatever
    the scan was compared with (which early scans count is for the re-baseline's `early_events` to say).
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
    return json_hash(plain(rule))


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: dataclasses as their fields, tuples as lists, infinities in words."""
    if is_dataclass(value) and not isinstance(value, type):
        try:
            return _plain_block(cast("Hashable", value))
        except TypeError:  # it holds a mapping, so it has no hash
            return _plain_block.__wrapped__(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            return str(value)
        return int(value) if value.is_integer() else value  # 1 and 1.0 are the same rule
    return value


@lru_cache(maxsize=4096)
def _plain_block(value: Any) -> dict[str, Any]:
    """Return a dataclass as its fields; many definitions share most of their blocks. Not to be changed."""
    return {one.name: plain(getattr(value, one.name)) for one in fields(value)}


strictly(RelapseRule, MriRule, RebaselineWindow, Rebaseline)
