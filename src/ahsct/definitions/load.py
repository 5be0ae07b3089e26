"""The strict loader: a wrong key, type or a missing source is an error that names file and key."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_type_hints

from ahsct.definitions.definition import Definition
from ahsct.definitions.shipped import shipped_ids, toml_data, toml_text
from ahsct.errors import AhsctError, DefinitionError, did_you_mean

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_SHIPPED = {"package": "ahsct.definitions", "folder": "endpoints", "what": "definition"}
R = TypeVar("R")


def list_definitions() -> list[str]:
    """Return the ids of the shipped definitions.

    Examples
    --------
    >>> "atkins2016" in list_definitions()
    True
    """
    return shipped_ids(_SHIPPED["package"], _SHIPPED["folder"])


def load_definition(id_or_file: str | Path | Definition) -> Definition:
    """Return a shipped definition by its id, or a user's own from a TOML file.

    Raises
    ------
    DefinitionError
        Neither a shipped id nor a readable file; an unknown key, a wrong type, a missing source, a
        rule that contradicts itself: the message names file, key and the nearest known key.

    Examples
    --------
    >>> load_definition("atkins2016").primary_milestone_days
    1096
    """
    if isinstance(id_or_file, Definition):
        return id_or_file
    data, name = toml_data(id_or_file, **_SHIPPED)
    if "source" not in data:
        raise DefinitionError(
            f"{name}: [source] is missing. Say where the definition comes from (citation, seen)."
        )
    definition = build_strictly(Definition, data, name)
    for mark in definition.marks:
        look_up(definition, mark.field, f"{name}: marks")
    return definition


def definition_text(id_or_file: str | Path) -> str:
    """Return the TOML text behind a definition, to save and change.

    Raises
    ------
    DefinitionError
        Neither a shipped id nor a readable file.

    Examples
    --------
    >>> definition_text("atkins2016").splitlines()[1]
    'id = "atkins2016"'
    """
    return toml_text(id_or_file, **_SHIPPED)[0]


def vary(definition: R, /, **changes: Any) -> R:
    """Return a copy of a definition (or of any rule) with some fields changed, checked like a file.

    A deeper field is named by its path with "." or "__"; one item of a list of blocks by its id,
    its measure or its place.

    Raises
    ------
    DefinitionError
        An unknown field, or a value that the definition does not allow.

    Examples
    --------
    >>> rule = load_definition("atkins2016").disability_rule("edss")
    >>> vary(rule, confirmation_periods_days=[168]).confirmation_periods_days
    (168,)
    >>> varied = vary(load_definition("atkins2016"), disability__edss__sustained_days=365)
    >>> varied.disability_rule("edss").sustained_days
    365.0
    """
    return varying(definition)(changes)


def varying(definition: R) -> Callable[[Mapping[str, Any]], R]:
    """Return a function that varies one definition: cheaper than `vary` where it is varied many times."""
    base = _prepare(definition)

    def varied(changes: Mapping[str, Any]) -> R:
        data = base
        for path, value in changes.items():
            data = _replace(data, path.replace("__", ".").split("."), _prepare(value), path)
        return _build_prepared(type(definition), data, "vary")

    return varied


def build_strictly(cls: type[R], data: Any, name: str) -> R:
    """Build a dataclass strictly from plain data; every fault is one line of one error."""
    try:
        prepared = _prepare(data)
    except AhsctError as error:
        raise DefinitionError(f"{name}: {error}") from None
    return _build_prepared(cls, prepared, name)


def _build_prepared(cls: type[R], data: Any, name: str) -> R:
    from pydantic import ValidationError

    try:
        # through JSON, because strict validation of Python objects takes no mapping for a dataclass
        built: R = _adapter(cast("Any", cls)).validate_json(json.dumps(data), strict=True)
        return built
    except ValidationError as error:
        lines = [_explain(cls, fault) for fault in error.errors()]
        raise DefinitionError("\n".join(f"{name}: {line}" for line in lines)) from None
    except AhsctError as error:
        raise DefinitionError(f"{name}: {error}") from None
    except TypeError as error:  # a TOML date, which no field takes
        raise DefinitionError(f"{name}: {error}") from None


@cache
def _adapter(cls: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cls)


def _prepare(value: Any) -> Any:
    """Turn lists into tuples, and the TOML key `from` into the field `from_value`."""
    if isinstance(value, dict):
        return {"from_value" if key == "from" else key: _prepare(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_prepare(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _prepare(dataclasses.asdict(value))
    if isinstance(value, float) and math.isnan(value):
        raise DefinitionError("nan is no number; write the value, or leave the key out.")
    return value


def _explain(cls: Any, fault: Any) -> str:
    path = [str(step) for step in fault["loc"]]
    where = ".".join(path) or "the file"
    kind = fault["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        known = _fields_at(cls, path[:-1])
        listing = f" Known here: {', '.join(known)}." if known else ""
        return f"unknown key '{where}'.{did_you_mean(path[-1], known)}{listing}"
    if kind in ("missing", "missing_argument"):
        return f"key '{where}' is missing."
    if isinstance(fault.get("ctx", {}).get("error"), Exception):
        return f"{where}: {fault['ctx']['error']}"
    return f"key '{where}' = {fault['input']!r}: {fault['msg']}."


def _fields_at(cls: Any, path: list[str]) -> list[str]:
    """Return the field names of the dataclass found by following a path of keys and places."""
    current: Any = cls
    for step in path:
        if step.isdigit():
            continue
        if not dataclasses.is_dataclass(current):
            return []
        hint = get_type_hints(current).get(step)
        choices = [arg for arg in _leaves(hint) if dataclasses.is_dataclass(arg)]
        if not choices:
            return []
        current = choices[0]
    return [field.name for field in dataclasses.fields(current)] if dataclasses.is_dataclass(current) else []


def _leaves(hint: Any) -> list[Any]:
    arguments = getattr(hint, "__args__", None)
    return [leaf for argument in arguments for leaf in _leaves(argument)] if arguments else [hint]


def _replace(target: Any, steps: list[str], value: Any, path: str) -> Any:
    """Return plain data with the value at the end of the path replaced."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(target, tuple):
        names = [str(item.get("id") or item.get("measure") or place) for place, item in enumerate(target)]
        if step not in names:
            raise DefinitionError(
                f"vary: {path!r}: no item {step!r}, only {names}.{did_you_mean(step, names)}"
            )
        place = names.index(step)
        return (*target[:place], _replace(target[place], rest, value, path), *target[place + 1 :])
    if not isinstance(target, dict) or step not in target:
        known = list(target) if isinstance(target, dict) else []
        raise DefinitionError(
            f"vary: unknown field {path!r}.{did_you_mean(step, known)} Known: {', '.join(known)}."
        )
    return {
        **target,
        step: _replace({} if target[step] is None and rest else target[step], rest, value, path),
    }


def look_up(value: Any, path: str, where: str = "look_up") -> Any:
    """Return what stands at a dotted path of a definition, named as in `vary`.

    Raises
    ------
    DefinitionError
        There is no such field.
    """
    for step in path.split("."):
        if isinstance(value, tuple):
            value = {_name(item, place): item for place, item in enumerate(value)}.get(step)
        else:
            known = (
                [field.name for field in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
            )
            if step not in known:
                raise DefinitionError(f"{where}: no field {path!r}.{did_you_mean(step, known)}")
            value = getattr(value, step)
        if value is None:
            break
    return value


def _name(item: Any, place: int) -> str:
    return str(getattr(item, "id", None) or getattr(item, "measure", None) or place)
