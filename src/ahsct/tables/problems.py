"""Problems as rows: a rule says when a row is broken, and every broken row becomes one problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from ahsct.vocabulary import INPUT_TABLES, PROBLEMS, conform, empty, from_rows

Severity = Literal["error", "warning"]
_TELLING = r"\pL|\d{5}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule on the rows of a table.

    `when` is true for a broken row; a missing result means not broken. `column` is the column to
    correct. `message` may hold `{value}`, the text of `value` (by default what stands in `column`).
    """

    name: str
    column: str
    when: pl.Expr
    message: str
    severity: Severity = "error"
    value: pl.Expr | None = None


def broken_rows(table: str, frame: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Return one problem (schema PROBLEMS) per rule and broken row of `frame`.

    All rules are counted in one pass; only those that some row breaks are looked at again.
    """
    if frame.height == 0 or not rules:
        return empty(PROBLEMS)
    counts = frame.select(rule.when.fill_null(False).sum().alias(str(i)) for i, rule in enumerate(rules)).row(
        0
    )
    return join_problems(
        problems_of(table, frame.filter(rule.when.fill_null(False)), rule)
        for rule, count in zip(rules, counts, strict=True)
        if count
    )


def problems_of(table: str, rows: pl.DataFrame, rule: Rule) -> pl.DataFrame:
    """Return one problem per row of `rows`, all of which break `rule`."""
    value = (pl.col(rule.column) if rule.value is None else rule.value).cast(pl.String)
    if "{value}" in rule.message:
        before, after = rule.message.split("{value}")
        message = pl.concat_str(pl.lit(before), value.fill_null("nothing"), pl.lit(after))
    else:
        message = pl.lit(rule.message)
    return conform(
        rows.select(
            "row",
            patient_id=pl.col("patient_id") if "patient_id" in rows.columns else pl.lit(None, pl.String),
            table=pl.lit(table),
            column=pl.lit(rule.column),
            value=value,
            rule=pl.lit(rule.name),
            severity=pl.lit(rule.severity),
            message=message,
        ),
        PROBLEMS,
    )


def one_problem(
    table: str, rule: str, message: str, *, severity: Severity = "error", column: str | None = None,
    value: object = None,
) -> pl.DataFrame:  # fmt: skip
    """Return one problem of a whole table or column."""
    return from_rows(
        [
            {
                "table": table,
                "column": column,
                "value": None if value is None else str(value),
                "rule": rule,
                "severity": severity,
                "message": message,
            }
        ],
        PROBLEMS,
    )


def join_problems(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return all parts in one table (schema PROBLEMS)."""
    return pl.concat([empty(PROBLEMS), *parts])


def without_ids(problems: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the problems with messages in which no patient's identifier stands: logs travel.

    A value in a wrong place may be one ("SMITH JOHN" in the column `sex`). An identifier of few digits and no
    letter tells nothing and is left, so that numbers can be quoted.

    Examples
    --------
    >>> found = one_problem("patients", "codes", "`sex` must be one of F, M, found 'SMITH'.", value="SMITH")
    >>> without_ids(found, {"visits": pl.DataFrame({"patient_id": ["SMITH", "1"]})})["message"].item()
    "`sex` must be one of F, M, found '(an identifier)'."
    """
    values = problems["value"].drop_nulls().unique()
    values = values.filter(values.str.contains(_TELLING))
    ids = [frame["patient_id"].cast(pl.String) for frame in tables.values() if "patient_id" in frame.columns]
    meant = values.str.strip_chars().implode()
    found = [column.filter(column.is_in(meant).fill_null(False)).unique() for column in ids if values.len()]
    if not any(column.len() for column in found):
        return problems
    is_id = pl.col("value").str.strip_chars().is_in(pl.concat(found).implode()).fill_null(False)
    hidden = problems.filter(is_id)["value"].unique().to_list()
    hidden.sort(key=len, reverse=True)  # the longer first: one may be part of another
    without = pl.col("message").str.replace_many(hidden, ["(an identifier)"], leftmost=True)
    return problems.with_columns(pl.when(is_id).then(without).otherwise("message").alias("message"))


def in_order(problems: pl.DataFrame) -> pl.DataFrame:
    """Return the problems by table (in the vocabulary's order), row, rule; whole tables first."""
    place = pl.col("table").replace_strict(
        INPUT_TABLES, range(len(INPUT_TABLES)), default=len(INPUT_TABLES), return_dtype=pl.Int64
    )
    return problems.sort(
        place, "table", "row", "rule", "column", "value", "message", nulls_last=False, maintain_order=True
    )
