"""REDCap: a flat export and its data dictionary as one table per instrument, codes as their labels."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from ahsct.errors import SourceError
from ahsct.vocabulary import INPUT_TABLES, Column, columns

NAME, FORM, TYPE, CHOICES = (
    "Variable / Field Name",
    "Form Name",
    "Field Type",
    "Choices, Calculations, OR Slider Labels",
)
HEADER = (
    NAME, FORM, "Section Header", TYPE, "Field Label", CHOICES, "Field Note", "Text Validation Type OR Show Slider Number",
    "Text Validation Min", "Text Validation Max", "Identifier?", "Branching Logic (Show field only if...)", "Required Field?",
    "Custom Alignment", "Question Number (surveys only)", "Matrix Group Name", "Matrix Ranking?", "Field Annotation",
)  # fmt: skip
_KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
_NAMED = 10
_CODED = ("radio", "dropdown")
_ONE_ROW = ("patients", "follow_up")  # instruments that do not repeat


def prepare_redcap(sources: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return one table per instrument of the data dictionary.

    A row of the export gives a row of every instrument of which a field is filled in. Codes of radio and
    drop-down fields become their labels (labels stay), yes/no fields become yes and no, the boxes of a
    check-box field are joined as labels under the field's name. Columns that the dictionary does not know
    are returned as a table of their own, which no mapping takes.

    Raises
    ------
    SourceError
        There is no data dictionary or more than one export, the export has no record id, or nothing tells
        whether a field holds codes or labels.
    """
    dictionaries = {name for name, frame in sources.items() if {NAME, FORM, TYPE} <= set(frame.columns)}
    exports = [name for name in sources if name not in dictionaries]
    if len(dictionaries) != 1 or len(exports) != 1:
        raise SourceError(
            f"A REDCap source needs one data dictionary (a CSV with {NAME!r}) and one flat export; "
            f"found {len(dictionaries)} and {len(exports)}."
        )
    dictionary, export = sources[dictionaries.pop()], sources[exports[0]]
    fields = dictionary.select(
        pl.col(NAME).alias("field"), pl.col(FORM).alias("form"), pl.col(TYPE).alias("type"),
        (pl.col(CHOICES) if CHOICES in dictionary.columns else pl.lit(None, pl.String)).alias("choices"),
    ).drop_nulls(["field", "form"])  # fmt: skip
    record = str(fields["field"][0])  # REDCap keeps the record id first
    if record not in export.columns:
        raise SourceError(f"{exports[0]} has no column {record!r}, the record id of the data dictionary.")
    found = {}
    is_raw = _is_raw(export, fields)
    known = set(fields["field"])
    outside = [
        name for name in export.columns
        if name not in known and name.split("___")[0] not in known and name not in _KEYS and not name.endswith("_complete")
    ]  # fmt: skip
    if outside:  # left for the log
        found[f"fields outside the data dictionary ({', '.join(outside[:_NAMED])})"] = export.select(outside)
    for (form,), rows in fields.group_by("form", maintain_order=True):
        values = [
            column
            for field, kind, choices in rows.select("field", "type", "choices").iter_rows()
            if field != record and (column := _field(export, field, kind, choices, is_raw)) is not None
        ]
        if not values:  # the export has none of its fields
            continue
        keys = [export[record], *(export[key] for key in _KEYS if key in export.columns)]
        table = pl.DataFrame([*keys, *values])
        # redcap_repeat_instrument may hold the instrument's title, which no dictionary knows: the fields decide
        table = table.filter(pl.any_horizontal(pl.col(column.name).is_not_null() for column in values))
        if table.height:  # an instrument that nobody filled in says nothing, not "none"
            found[str(form)] = table
    return found


def _is_raw(export: pl.DataFrame, fields: pl.DataFrame) -> bool | None:
    """Tell whether the export holds codes, by values that can be only one of code and label; None where both occur, or none."""
    has_codes = has_labels = False
    for field, kind, choices in fields.select("field", "type", "choices").iter_rows():
        if kind in _CODED and field in export.columns:
            codes, values = _labels(choices), set(_text(export[field]).drop_nulls())
            has_codes |= bool(values & (set(codes) - set(codes.values())))
            has_labels |= bool(values & (set(codes.values()) - set(codes)))
    return None if has_codes == has_labels else has_codes


def _text(values: pl.Series) -> pl.Series:
    return values.cast(pl.String).str.strip_chars().replace("", None)


def _field(
    export: pl.DataFrame, field: str, kind: str, choices: str | None, is_raw: bool | None
) -> pl.Series | None:
    labels = _labels(choices)
    if kind == "checkbox":
        boxes = [name for name in export.columns if name.startswith(f"{field}___")]
        by_suffix = {_suffix(code): label for code, label in labels.items()}
        if not boxes:
            return None
        ticked = [
            pl.when(export[name].cast(pl.String).str.strip_chars().is_in(["1", "Checked"])).then(
                pl.lit(by_suffix.get(name.removeprefix(f"{field}___"), name.removeprefix(f"{field}___")))
            )
            for name in boxes
        ]
        joined = pl.select(pl.concat_str(ticked, separator="; ", ignore_nulls=True)).to_series()
        return joined.replace("", None).alias(field)
    if field not in export.columns:
        return None
    text = _text(export[field])
    if kind in ("yesno", "truefalse"):
        return text.replace({"1": "yes", "0": "no", "True": "yes", "False": "no"}).alias(field)
    # "1" may be the code of one choice and the label of another
    either = [code for code, label in labels.items() if code != label and code in labels.values()]
    if either and text.is_in(either).any():
        if is_raw is None:
            raise SourceError(
                f"`{field}` has choices whose codes are labels of other choices, and the export does not show which of the two "
                "it holds. Export raw data, or give these choices other codes."
            )
        if not is_raw:
            return text.alias(field)
    return (text.replace(labels) if labels else text).alias(field)


def _suffix(code: str) -> str:
    """Return a code as it ends a check box's column: small letters, and _ for what a name cannot hold (-1 is _1)."""
    return re.sub(r"[^a-z0-9_]", "_", code.lower())


def _labels(choices: str | None) -> dict[str, str]:
    """Return "1, Yes | 2, No" as a mapping; calculations and slider labels hold no such pairs."""
    pairs = [part.split(",", 1) for part in (choices or "").split("|")]
    return {code.strip(): label.strip() for code, label in (pair for pair in pairs if len(pair) == 2)}


def field_name(table: str, column: str) -> str:
    """Return the name of one of our columns as a REDCap field; they must be unique over all instruments."""
    return "patient_id" if column == "patient_id" else f"{table}_{column}"


def data_dictionary() -> pl.DataFrame:
    """Return a REDCap data dictionary for our tables: import it, and a registry's export fits at once."""
    rows = [
        {NAME: "patient_id", FORM: "patients", TYPE: "text", "Field Label": "Patient", "Required Field?": "y"}
    ]
    for table in INPUT_TABLES:
        rows += [
            _dictionary_row(table, column)
            for name, column in columns(table).items()
            if name not in ("patient_id", "row") and not name.endswith("_day")
        ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(HEADER, pl.String()))
    return frame.with_columns(pl.col(HEADER).fill_null(""))


def _dictionary_row(table: str, column: Column) -> dict[str, str]:
    validation = {"date": "date_ymd", "number": "number", "integer": "integer", "count": "integer"}
    kind = "yesno" if column.type == "flag" else "dropdown" if column.codes else "text"
    limits = {
        f"Text Validation {name}": "" if value is None else f"{value:g}"
        for name, value in (("Min", column.minimum), ("Max", column.maximum))
    }
    return {
        NAME: field_name(table, column.name),
        FORM: table,
        TYPE: kind,
        "Field Label": column.label,
        CHOICES: " | ".join(f"{number}, {code}" for number, code in enumerate(column.codes, 1)),
        "Field Note": "" if column.unit in ("", "days") else column.unit,
        "Text Validation Type OR Show Slider Number": validation.get(column.type, ""),
        "Required Field?": "y" if column.is_required == "yes" else "",
    } | limits


def redcap_shape(tables: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return our tables as a flat REDCap export ("export") and its data dictionary ("dictionary").

    Dates are kept, day columns are not; codes are numbers, as in a raw export. Instruments but `patients` and
    `follow_up` repeat.
    """
    parts = []
    for table in INPUT_TABLES:
        if table not in tables:
            continue
        known = columns(table)
        frame = tables[table]
        kept = [
            name
            for name in known
            if name in frame.columns and not name.endswith("_day") and name != "patient_id"
        ]
        values = [_coded(frame[name], known[name]).alias(field_name(table, name)) for name in kept]
        part = pl.DataFrame([frame["patient_id"], *values])
        if table not in _ONE_ROW:
            part = part.with_columns(
                pl.lit(table).alias("redcap_repeat_instrument"),
                pl.int_range(1, pl.len() + 1)
                .over("patient_id")
                .cast(pl.String)
                .alias("redcap_repeat_instance"),
            )
        parts.append(part.with_columns(pl.lit("2").alias(f"{table}_complete")))
    first = [part for part in parts if "redcap_repeat_instrument" not in part.columns]
    base = first[0]
    for part in first[1:]:
        base = base.join(part, on="patient_id", how="full", coalesce=True, maintain_order="left_right")
    flat = pl.concat(
        [base, *(part for part in parts if "redcap_repeat_instrument" in part.columns)], how="diagonal"
    )
    keys = ["patient_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
    others = [name for name in flat.columns if name not in keys]
    present = [name for name in keys if name in flat.columns]
    return {"export": flat.select(*present, *others), "dictionary": data_dictionary()}


def _coded(values: pl.Series, column: Column) -> pl.Series:
    if column.type == "flag":
        return values.cast(pl.Int64).cast(pl.String)
    text = values.cast(pl.String)
    return (
        text.replace({code: str(number) for number, code in enumerate(column.codes, 1)})
        if column.codes
        else text
    )
