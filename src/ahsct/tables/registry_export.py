"""A study in the shape of a registry's tables: months for what people remember, categories for lesions."""

from __future__ import annotations

from typing import Any

import polars as pl

from ahsct.tables.mapping import load_mapping
from ahsct.tables.study import Study
from ahsct.vocabulary import SCHEMAS, columns

_MONTHS_ONLY = {
    "patients": ("birth_date", "disease_onset_date", "diagnosis_date"),
    "relapses": ("onset_date", "end_date"),
    "treatments": ("start_date", "end_date"),
}
_LESIONS = {"gd_n": "t1_gd", "new_t2_n": "new_t2", "enlarging_t2_n": "enlarging_t2"}
_CATEGORIES = ((0, "0"), (2, "1-2"), (8, "3-8"))


def registry_shape(study: Study, *, categories: bool = False) -> dict[str, pl.DataFrame]:
    """Return the tables that the mapping `registry` reads back.

    Birth, onset, diagnosis, relapses and drugs are given by month (drugs of a transplant by day), the rest by
    day. With `categories`, lesions are "0", "1-2", "3-8" or "9+" in place of counts.
    """
    found = {}
    for part in load_mapping("registry").tables:
        if not study.has(part.table):
            continue
        frame = study.table(part.table, list(SCHEMAS[part.table]))
        known = columns(part.table)
        made = []
        for ours in part.columns:
            theirs = _their_name(part.column(ours).value)
            if theirs is None or ours not in known:
                continue
            value = pl.col(ours).cast(pl.String)
            if ours in _MONTHS_ONLY.get(part.table, ()):
                is_drug_of_transplant = (
                    pl.col("kind") != "dmt" if part.table == "treatments" else pl.lit(False)
                )
                value = pl.when(is_drug_of_transplant).then(value).otherwise(value.str.slice(0, 7))
            made.append(value.alias(theirs))
        if part.table == "mri":
            made += [_lesions(ours, categories).alias(theirs) for ours, theirs in _LESIONS.items()]
        if part.table == "treatments":
            made.append(pl.col("kind"))
        if part.table == "adverse_events":
            made += [pl.col("severity"), pl.col("scale")]
        found[part.source] = frame.select(made)
    return found


def _their_name(expression: str) -> str | None:
    """Return the column that an expression is, where it is nothing else."""
    return expression if expression.replace("_", "").isalnum() else None


def _lesions(name: str, categories: bool) -> pl.Expr:
    n = pl.col(name)
    if not categories:
        return n.cast(pl.String)
    words: Any = pl.when(n.is_null()).then(None)
    for limit, word in _CATEGORIES:
        words = words.when(n <= limit).then(pl.lit(word))
    last: pl.Expr = words.otherwise(pl.lit("9+"))
    return last
