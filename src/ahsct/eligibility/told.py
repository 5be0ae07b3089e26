"""Facts that people tell: one patient's file, or a table beside a study."""

from __future__ import annotations

import tomllib
from pathlib import Path

import polars as pl

from ahsct.definitions.facts import FACTS, fact_of
from ahsct.errors import SourceError, TableError, did_you_mean

DTYPES = {"number": pl.Float64(), "flag": pl.Boolean(), "text": pl.String()}


def read_patient(file: str | Path) -> pl.DataFrame:
    """Return the facts of one patient from a TOML file of `fact = value` lines.

    Raises
    ------
    SourceError
        The file cannot be read.
    TableError
        An unknown fact (the nearest is named), or a value of the wrong kind.
    """
    path = Path(file)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{path.name} cannot be read as TOML: {error}.") from error
    return facts_of_one(data, name=path.name)


def facts_of_one(data: dict[str, object], *, name: str) -> pl.DataFrame:
    """Return a frame with one patient's facts, checked."""
    columns = {"patient_id": pl.Series([str(data.get("patient_id", "patient"))])}
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
        columns[key] = pl.Series([value], dtype=DTYPES[kind], strict=False)
    return pl.DataFrame(columns)


def typed_facts(frame: pl.DataFrame, *, name: str) -> pl.DataFrame:
    """Return a table of facts read as text with its types: numbers, true or false, words.

    Raises
    ------
    TableError
        An unknown fact, a value that does not fit its kind (first row named), or no `patient_id`.
    """
    if "patient_id" not in frame.columns:
        raise TableError(f"{name} needs a column `patient_id`.")
    columns = [frame["patient_id"]]
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
        columns.append(value.alias(key))
    return pl.DataFrame(columns)
