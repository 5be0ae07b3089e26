"""Facts that people tell: one patient's file, or a table beside a study."""

from __future__ import annotations

import tomllib
from math import inf, isfinite
from pathlib import Path

import polars as pl

from ahsct.definitions.facts import FACTS, fact_of
from ahsct.errors import SourceError, TableError, did_you_mean
from ahsct.vocabulary import columns

_COLUMNS = {
    "ms_course": columns("patients")["ms_course"],
    "age_years": columns("patients")["age_at_index_years"],
} | {name: columns("visits")[name] for name in ("edss", "fs_pyramidal", "fs_cerebellar")}
DTYPES = {"number": pl.Float64(), "flag": pl.Boolean(), "text": pl.String()}


def read_patient(file: str | Path) -> pl.DataFrame:
    """Return the facts of one patient from a TOML file of `fact = value` lines.

    Raises
    ------
    SourceError
        The file cannot be read.
    TableError
        An unknown fact (the nearest is named), a value of the wrong kind or one that cannot be (EDSS 35).
    """
    path = Path(file)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{path.name} cannot be read as TOML: {error}.") from error
    return facts_of_one(data, name=path.name)


def facts_of_one(data: dict[str, object], *, name: str) -> pl.DataFrame:
    """Return a frame with one patient's facts, checked."""
    told_columns = {"patient_id": pl.Series([str(data.get("patient_id", "patient"))])}
    for key, value in data.items():
        if key == "patient_id":
            continue
        fact = fact_of(key)
        if fact is None:
            known = [n if not f.is_windowed else f"{n}_12m" for n, f in FACTS.items()]
            raise TableError(
                f"{name}: no fact {key!r}.{did_you_mean(key, known)} Windowed facts end in months: relapses_n_12m."
            )
        kind = FACTS[fact].kind
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {"number": is_number, "flag": isinstance(value, bool), "text": isinstance(value, str)}[kind]
        if not fits:
            raise TableError(f"{name}: `{key}` must be a {kind}, found {value!r}.")
        if not _can_be(fact, value):
            raise TableError(f"{name}: `{key}` must be {_expected(fact)}, found {value!r}.")
        told_columns[key] = pl.Series([value], dtype=DTYPES[kind], strict=False)
    return pl.DataFrame(told_columns)


def typed_facts(frame: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Return a table of facts read as text with its types: numbers, true or false, words.

    Raises
    ------
    TableError
        An unknown fact, a value that does not fit its kind (first row named), or no `patient_id`.
    """
    if "patient_id" not in frame.columns:
        raise TableError(f"{name} needs a column `patient_id`.")
    told_columns = [frame["patient_id"]]
    for key in frame.columns:
        fact = fact_of(key)
        if key == "patient_id":
            continue
        if fact is None:
            raise TableError(f"{name}: no fact {key!r}.{did_you_mean(key, FACTS)}")
        text = frame[key].str.strip_chars().replace("", None)
        if FACTS[fact].kind == "flag":
            value = text.str.to_lowercase().replace_strict(
                {"true": True, "false": False}, default=None, return_dtype=pl.Boolean
            )
        else:
            value = text.cast(DTYPES[FACTS[fact].kind], strict=False)
        is_wrong = value.is_null() & text.is_not_null()
        if is_wrong.any():
            row = (is_wrong.arg_max() or 0) + 1
            raise TableError(
                f"{name}: `{key}` must be a {FACTS[fact].kind} (flags: true, false); row {row} is not."
            )
        cannot_be = pl.Series(
            [told is not None and not _can_be(fact, told) for told in value], dtype=pl.Boolean
        )
        if cannot_be.any():
            row = (cannot_be.arg_max() or 0) + 1
            raise TableError(f"{name}: `{key}` must be {_expected(fact)}; row {row} is not.")
        told_columns.append(value.alias(key))
    return pl.DataFrame(told_columns)


def _can_be(fact: str, value: object) -> bool:
    """Return whether a value lies within what its column of the tables admits; counts and times are not negative."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, str):
        return value in _COLUMNS[fact].codes
    assert isinstance(value, (int, float))
    low, high = _range(fact)
    if not isfinite(value):
        return False
    is_step = fact != "edss" or ((2 * value) % 1 == 0 and value != 0.5)
    return bool(low <= value <= high and is_step)


def _range(fact: str) -> tuple[float, float]:
    if fact in _COLUMNS:
        return _COLUMNS[fact].minimum or 0.0, _COLUMNS[fact].maximum or inf
    return (-10.0, 10.0) if fact == "edss_rise" else (0.0, inf)


def _expected(fact: str) -> str:
    if FACTS[fact].kind == "text":
        return f"one of {', '.join(_COLUMNS[fact].codes)}"
    low, high = _range(fact)
    between = f"{low:g} or more" if high == inf else f"{low:g} to {high:g}"
    return f"an EDSS, {between} in half steps" if fact == "edss" else f"a number, {between}"
