"""What the rules look at: each table beside what other tables say of the same patient."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.tables.numbers import by_number, patient_numbers
from ahsct.tables.study import Study
from ahsct.vocabulary import SCHEMAS

# One fact per patient: (name, table, expression over that patient's rows).
_FACTS = (
    ("birth_day", "patients", pl.col("birth_day").min()),
    ("disease_onset_day", "patients", pl.col("disease_onset_day").min()),
    ("diagnosis_day", "patients", pl.col("diagnosis_day").min()),
    ("mobilisation_day", "transplants", pl.col("mobilisation_start_day").min()),
    ("infusion_day", "transplants", pl.col("infusion_day").min()),
    ("conditioning_day", "treatments", pl.col("start_day").filter(pl.col("kind") == "conditioning").min()),
    ("last_contact_day", "follow_up", pl.col("last_contact_day").max()),
    ("death_day", "follow_up", pl.col("death_day").min()),
    ("is_dead", "follow_up", (pl.col("vital_status").eq_missing("dead") | pl.col("death_day").is_not_null()).any()),
)  # fmt: skip


def views(study: Study) -> dict[str, pl.DataFrame]:
    """Return each table with every column of the vocabulary, `patient` and the facts of that patient.

    A column that the table lacks is all missing. `patient` is the patient's number (missing for an id
    that is not in patients); facts are named `patient.<fact>`.
    """
    tables = {name: _whole(name, frame) for name, frame in study.tables.items()}
    if "patients" not in tables:
        return {
            name: _with_facts(frame, pl.Series([], dtype=pl.String), {}) for name, frame in tables.items()
        }
    known = tables["patients"]["patient_id"].drop_nulls().unique(maintain_order=True)
    facts = _facts(tables, known)
    return {name: _with_facts(frame, known, facts) for name, frame in tables.items()}


def _whole(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    absent = [
        pl.lit(None, dtype).alias(column)
        for column, dtype in {"row": pl.Int64(), **SCHEMAS[name]}.items()
        if column not in frame.columns
    ]
    return frame.with_columns(absent) if absent else frame


def _facts(tables: Mapping[str, pl.DataFrame], known: pl.Series) -> dict[str, pl.Series]:
    facts: dict[str, pl.Series] = {}
    for table in dict.fromkeys(table for _, table, _ in _FACTS):
        if table not in tables:
            continue
        found = (
            tables[table]
            .filter(pl.col("patient_id").is_not_null())
            .group_by("patient_id", maintain_order=True)
            .agg(value.alias(name) for name, source, value in _FACTS if source == table)
        )
        numbers = patient_numbers(known, found["patient_id"])
        facts |= {name: by_number(found[name], numbers) for name in found.columns[1:]}
    return facts


def _with_facts(frame: pl.DataFrame, known: pl.Series, facts: Mapping[str, pl.Series]) -> pl.DataFrame:
    numbers = patient_numbers(frame["patient_id"], known)
    columns = [numbers.alias("patient")]
    for name, _, _ in _FACTS:
        dtype = pl.Boolean() if name == "is_dead" else pl.Int64()
        fact = facts.get(name)
        if fact is None or fact.null_count() == fact.len():
            columns.append(pl.Series(f"patient.{name}", [None], dtype=dtype).new_from_index(0, frame.height))
        else:
            columns.append(by_number(fact, numbers).alias(f"patient.{name}"))
    return frame.with_columns(columns)
