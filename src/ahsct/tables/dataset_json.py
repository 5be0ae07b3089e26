"""CDISC Dataset-JSON 1.1, as one JSON object or as NDJSON (one row a line): read, validated, written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.errors import SourceError

_TYPES = {
    "string": pl.String(), "integer": pl.Int64(), "decimal": pl.Float64(), "float": pl.Float64(), "double": pl.Float64(),
    "boolean": pl.Boolean(), "datetime": pl.String(), "date": pl.String(), "time": pl.String(), "URI": pl.String(),
}  # fmt: skip
_NEEDED = ("datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns")
_TOO_LARGE = 2**63
_COLUMN_NEEDED = ("itemOID", "name", "label", "dataType")


def read_dataset_json(path: Path) -> dict[str, pl.DataFrame]:
    """Return the data set of a .json or .ndjson file under its name.

    Decimals that arrive as text become numbers; dates stay ISO text.

    Raises
    ------
    SourceError
        It is no JSON, lacks what version 1.1 asks for, a row has another number of values than there are
        columns, or a value is not of its column's type: the first row is named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{path.name} is not UTF-8. Dataset-JSON must be.") from error
    head, rows = _ndjson(path.name, text) if path.suffix.casefold() == ".ndjson" else _json(path.name, text)
    absent = [key for key in _NEEDED if key not in head]
    if absent:
        raise SourceError(f"{path.name} is no Dataset-JSON 1.1: it lacks {', '.join(absent)}.")
    if not str(head["datasetJSONVersion"]).startswith("1.1"):
        raise SourceError(f"{path.name} is Dataset-JSON {head['datasetJSONVersion']}; only 1.1 is read.")
    if not isinstance(head["name"], str):
        raise SourceError(f"{path.name}: `name` must be a text.")
    columns = head["columns"]
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        raise SourceError(f"{path.name}: `columns` must be a list of objects.")
    for place, column in enumerate(columns, 1):
        lacking = [key for key in _COLUMN_NEEDED if key not in column]
        if lacking:
            raise SourceError(f"{path.name}: column {place} lacks {', '.join(lacking)}.")
        if not all(isinstance(column[key], str) for key in _COLUMN_NEEDED):
            raise SourceError(f"{path.name}: {', '.join(_COLUMN_NEEDED)} of column {place} must be texts.")
        if column["dataType"] not in _TYPES:
            raise SourceError(
                f"{path.name}: column {column['name']} has the unknown dataType {column['dataType']!r}."
            )
    names = [column["name"] for column in columns]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SourceError(f"{path.name} names the column {min(twice)} twice.")
    uneven = next(
        (
            row
            for row, values in enumerate(rows, 1)
            if not isinstance(values, list) or len(values) != len(names)
        ),
        None,
    )
    if uneven is not None:
        raise SourceError(f"{path.name}: row {uneven} does not have {len(names)} values.")
    if head["records"] != len(rows):
        raise SourceError(
            f"{path.name} announces {head['records']} records and holds {len(rows)}. Is it cut short?"
        )
    return {
        head["name"]: pl.DataFrame(
            [_column(path.name, column, [row[i] for row in rows]) for i, column in enumerate(columns)]
        )
    }


def _json(name: str, text: str) -> tuple[dict[str, Any], list[Any]]:
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SourceError(f"{name} is no valid JSON: {error}.") from error
    if not isinstance(data, dict) or not isinstance(data.get("rows", []), list):
        raise SourceError(f"{name} is no Dataset-JSON: it must be one object with a list `rows`.")
    return data, data.get("rows", [])


def _ndjson(name: str, text: str) -> tuple[dict[str, Any], list[Any]]:
    found = []
    for place, line in enumerate(text.split("\n"), 1):  # other line ends may stand inside a text
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except (json.JSONDecodeError, RecursionError) as error:
            raise SourceError(f"{name}: line {place} is no valid JSON: {error}.") from error
    if not found or not isinstance(found[0], dict):
        raise SourceError(f"{name} is no Dataset-JSON: its first line must be the metadata.")
    return found[0], found[1:]


def _column(name: str, column: Mapping[str, Any], values: Sequence[Any]) -> pl.Series:
    kind = column["dataType"]
    wanted = {"string": str, "integer": int, "boolean": bool}.get(kind)
    for row, value in enumerate(values, 1):
        if value is None:
            continue
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if kind == "decimal" and isinstance(value, str):
            fits = _is_number(value)
        elif kind in ("datetime", "date", "time", "URI"):
            fits = isinstance(value, str) or column.get("targetDataType") == "integer"
        elif wanted is not None:
            fits = isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool))
        if not fits:
            raise SourceError(f"{name}: `{column['name']}` must be of type {kind}; row {row} is not.")
        if kind == "integer" and abs(value) >= _TOO_LARGE:
            raise SourceError(f"{name}: `{column['name']}` has more than 64 bits in row {row}.")
    if kind == "decimal":
        values = [None if value is None else float(value) for value in values]
    texts = _TYPES[kind] == pl.String()
    cells = [str(value) if texts and value is not None else value for value in values]
    return pl.Series(str(column["name"]), cells, dtype=_TYPES[kind], strict=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_dataset_json(
    frame: pl.DataFrame,
    path: Path,
    *,
    name: str,
    label: str,
    labels: Mapping[str, str],
    study_id: str,
    created: str,
) -> None:
    """Write a data set as Dataset-JSON 1.1; NDJSON where the path ends so.

    Parameters
    ----------
    frame
        Text, whole numbers, numbers, flags and dates (written as ISO text with the type `date`).
    name, label, labels
        Of the data set, and of each column.
    study_id, created
        The study's OID and the time of creation (ISO 8601), given so that the same data give the same bytes.
    """
    kinds = {pl.Int64: "integer", pl.Float64: "double", pl.Boolean: "boolean", pl.Date: "date"}
    columns = [
        {"itemOID": f"IT.{name}.{column}", "name": column, "label": labels.get(column, column), "dataType": kinds.get(type(dtype), "string")}
        for column, dtype in frame.schema.items()
    ]  # fmt: skip
    rows = frame.with_columns(pl.col(pl.Date).cast(pl.String)).rows()
    head = {
        "datasetJSONCreationDateTime": created,
        "datasetJSONVersion": "1.1.0",
        "studyOID": study_id,
        "metaDataVersionOID": f"MDV.{study_id}",
        "itemGroupOID": f"IG.{name}",
        "records": len(rows),
        "name": name,
        "label": label,
        "columns": columns,
    }
    if path.suffix.casefold() == ".ndjson":
        lines = [
            json.dumps(head, ensure_ascii=False),
            *(json.dumps(list(row), ensure_ascii=False) for row in rows),
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    else:
        path.write_text(
            json.dumps(head | {"rows": [list(row) for row in rows]}, ensure_ascii=False), encoding="utf-8"
        )
