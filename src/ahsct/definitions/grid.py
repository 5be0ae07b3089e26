"""A grid of definitions: one base, and for each dimension the choices that other people would make."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ahsct.definitions.definition import Definition, Source
from ahsct.definitions.load import build_strictly, list_definitions, load_definition, look_up, vary, varying
from ahsct.definitions.rules import plain, strictly
from ahsct.definitions.shipped import shipped_ids, toml_data
from ahsct.errors import DefinitionError, did_you_mean
from ahsct.files import json_hash
from ahsct.vocabulary import RESULTS

_SHIPPED = {"package": "ahsct.definitions", "folder": "grids", "what": "grid"}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One choice of a dimension: the fields that it sets (paths as in `vary`), or the estimand it asks for."""

    id: str
    label: str
    set: Mapping[str, Any] = field(default_factory=dict)
    estimand: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """One thing that definitions disagree about; its first choice is that of the base."""

    id: str
    label: str
    choices: tuple[Choice, ...]

    def __post_init__(self) -> None:
        ids = [choice.id for choice in self.choices]
        if len(ids) < 2 or len(set(ids)) < len(ids):
            raise DefinitionError(
                f"dimension {self.id!r} needs two or more choices with ids of their own: {ids}."
            )

    def choice(self, id: str) -> Choice:
        """Return one choice by its id."""
        for choice in self.choices:
            if choice.id == id:
                return choice
        ids = [choice.id for choice in self.choices]
        raise DefinitionError(
            f"dimension {self.id!r} has no choice {id!r}, only {ids}.{did_you_mean(id, ids)}"
        )


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """Combinations that make no sense together: every named dimension takes the named choice."""

    choices: Mapping[str, str]
    because: str


@dataclass(frozen=True, kw_only=True)
class Together:
    """Choices of several dimensions that set a field differently where they meet than each alone."""

    choices: Mapping[str, tuple[str, ...]]
    set: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class GridMark:
    """A dimension (or `dimension.choice`) whose content no source gives: assumed, inferred or recalled."""

    of: str
    mark: Literal["assumed", "inferred", "memory"]
    note: str


class Point(NamedTuple):
    """One combination: its number in the grid (from 1), the choice of each dimension, its definition."""

    number: int
    choices: Mapping[str, str]
    definition: Definition
    estimand: str


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A question and the definitions under which it is asked.

    Every point is the base with `set`, the fields of its choices, and those of `together` where choices
    meet; it answers for one endpoint under one estimand at the milestones. The first point takes the first choice of every dimension: the base.
    """

    schema: Literal[1]
    id: str
    title: str
    base: str
    endpoint: str
    estimand: str
    milestones_days: tuple[int, ...]
    source: Source
    dimensions: tuple[Dimension, ...]
    set: Mapping[str, Any] = field(default_factory=dict)
    excluded: tuple[Excluded, ...] = ()
    together: tuple[Together, ...] = ()
    marks: tuple[GridMark, ...] = ()

    def __post_init__(self) -> None:
        ids = [dimension.id for dimension in self.dimensions]
        if not ids or len(set(ids)) < len(ids):
            raise DefinitionError(f"a grid needs one or more dimensions with ids of their own; it has {ids}.")
        if taken := sorted({*ids} & {"point", "published", *RESULTS}):
            raise DefinitionError(f"dimensions cannot be named {taken}: results have columns of that name.")
        if not self.milestones_days or min(self.milestones_days) <= 0:
            raise DefinitionError("milestones_days needs one or more days above 0.")
        for one in self.excluded:
            for dimension, choice in one.choices.items():
                self.dimension(dimension).choice(choice)
        for meeting in self.together:
            for dimension, met in meeting.choices.items():
                for choice in met:
                    self.dimension(dimension).choice(choice)
        for mark in self.marks:
            dimension, _, choice = mark.of.partition(".")
            if choice:
                self.dimension(dimension).choice(choice)
            else:
                self.dimension(dimension)
        if self._is_excluded(dict(self.base_choices)):
            raise DefinitionError("the first choice of every dimension together is excluded; it is the base.")

    def dimension(self, id: str) -> Dimension:
        """Return one dimension by its id."""
        for dimension in self.dimensions:
            if dimension.id == id:
                return dimension
        ids = [dimension.id for dimension in self.dimensions]
        raise DefinitionError(f"{self.id} has no dimension {id!r}, only {ids}.{did_you_mean(id, ids)}")

    @property
    def base_choices(self) -> Mapping[str, str]:
        """The first choice of every dimension."""
        return {dimension.id: dimension.choices[0].id for dimension in self.dimensions}

    @property
    def is_full(self) -> bool:
        """Whether every combination stands in the grid: only then can the spread be divided among the choices."""
        return not self.excluded

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON of the grid and of its base, wherever their files lie."""
        base = load_definition(self.base)
        return json_hash({"grid": plain(replace(self, base=base.id)), "base": base.hash})

    @cached_property
    def combinations(self) -> tuple[Mapping[str, str], ...]:
        """Every combination that is not excluded, the last dimension running fastest."""
        ids = [dimension.id for dimension in self.dimensions]
        every = itertools.product(*([choice.id for choice in one.choices] for one in self.dimensions))
        named = (dict(zip(ids, choices, strict=True)) for choices in every)
        return tuple(choices for choices in named if not self._is_excluded(choices))

    def _is_excluded(self, choices: Mapping[str, str]) -> bool:
        return any(
            all(choices[name] == choice for name, choice in one.choices.items()) for one in self.excluded
        )

    def definition(self) -> Definition:
        """Return the base with what the grid sets for all points."""
        base = load_definition(self.base)
        return vary(base, **self.set) if self.set else base

    def points(self, start: int = 0, stop: int | None = None) -> Iterator[Point]:
        """Yield the points (those numbered start + 1 … stop), each with its definition.

        Raises
        ------
        DefinitionError
            A choice sets an unknown field, or a value that the definition does not allow.
        """
        base = self.definition()
        varied = varying(base)
        made: dict[str, Definition] = {}  # choices of an estimand alone share their definition
        places = range(len(self.combinations))[start:stop]
        for place in places:
            choices = self.combinations[place]
            chosen = [self.dimension(name).choice(choice) for name, choice in choices.items()]
            changes = {path: value for choice in chosen for path, value in choice.set.items()}
            for meeting in self.together:
                if all(choices[name] in met for name, met in meeting.choices.items()):
                    changes |= meeting.set
            estimand = next((one.estimand for one in chosen if one.estimand), self.estimand)
            try:
                key = repr(changes)
                definition = made[key] if key in made else varied(changes)
                made[key] = definition
                endpoint = definition.endpoint(self.endpoint)
                definition.estimand(estimand)
            except DefinitionError as error:
                words = ", ".join(f"{name} = {choice}" for name, choice in choices.items())
                raise DefinitionError(f"grid {self.id}, {words}: {error}") from None
            if estimand not in endpoint.estimands:
                raise DefinitionError(
                    f"grid {self.id}: endpoint {self.endpoint!r} is not asked under estimand {estimand!r}, only "
                    f"{list(endpoint.estimands)}."
                )
            yield Point(place + 1, choices, definition, estimand)

    def choices_of(self, definition: Definition, estimand: str) -> Hashable:
        """Return what a definition says where this grid varies; None where it lacks a field that is varied.

        Equal for two definitions: they make the same choices here. What the grid does not vary may differ.
        """
        try:
            values = [look_up(definition, path) for path in self._varied if not path.startswith("estimands.")]
        except DefinitionError:
            return None
        if not self._varies_estimand:
            return tuple(values)
        return (*values, replace(definition.estimand(estimand), id="", label=""))

    @cached_property
    def _varied(self) -> tuple[str, ...]:
        return tuple(
            dict.fromkeys(path for one in self.dimensions for choice in one.choices for path in choice.set)
        )

    @property
    def _varies_estimand(self) -> bool:
        chosen = any(choice.estimand for one in self.dimensions for choice in one.choices)
        return chosen or any(path.startswith("estimands.") for path in self._varied)


def published_at(points: Sequence[Point], grid: Grid) -> dict[int, list[str]]:
    """Return which shipped definitions make the choices of which point, by the point's number.

    A shipped definition counts under the first estimand of its primary endpoint.
    """
    shipped: dict[Hashable, list[str]] = {}
    for id, definition in _shipped().items():
        estimand = definition.endpoint(definition.primary_endpoint).estimands[0]
        if (choices := grid.choices_of(definition, estimand)) is not None:
            shipped.setdefault(choices, []).append(id)
    found = {
        point.number: shipped.get(grid.choices_of(point.definition, point.estimand), []) for point in points
    }
    return {number: ids for number, ids in found.items() if ids}


@cache
def _shipped() -> dict[str, Definition]:
    return {id: load_definition(id) for id in list_definitions()}


def list_grids() -> list[str]:
    """Return the ids of the shipped grids.

    Examples
    --------
    >>> "activity_free_survival" in list_grids()
    True
    """
    return shipped_ids(_SHIPPED["package"], _SHIPPED["folder"])


def load_grid(id_or_file: str | Path | Grid) -> Grid:
    """Return a shipped grid by its id, or a user's own from a TOML file.

    Raises
    ------
    DefinitionError
        Neither a shipped id nor a readable file; an unknown key, a wrong type, a choice that the base
        does not allow: the message names file, key and the nearest known key.

    Examples
    --------
    >>> len(load_grid("pira_muller2025").combinations)
    360
    """
    if isinstance(id_or_file, Grid):
        return id_or_file
    data, name = toml_data(id_or_file, **_SHIPPED)
    if "source" not in data:
        raise DefinitionError(
            f"{name}: [source] is missing. Say where the choices come from (citation, seen)."
        )
    grid = build_strictly(Grid, data, name)
    beside = Path(id_or_file).parent / grid.base
    is_file = grid.base not in list_definitions() and beside.is_file()
    return replace(grid, base=str(beside)) if is_file else grid


strictly(Choice, Dimension, Excluded, Together, GridMark, Grid)
