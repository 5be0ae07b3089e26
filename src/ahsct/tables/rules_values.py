"""Rules on single values: required, in the list, in range, on the EDSS scale, a possible day."""

from __future__ import annotations

import datetime

import polars as pl

from ahsct.errors import nearest
from ahsct.tables.problems import Rule, broken_rows, join_problems, problems_of
from ahsct.vocabulary import Column, columns

_FIRST_DATE, _LAST_DATE = datetime.date(1900, 1, 1), datetime.date(2100, 12, 31)
_FURTHEST_DAY = 73_000  # 200 years: no day of a study lies further from its index date
_MOST_NEAREST = 200  # distinct unlisted values for which the nearest code is looked up


def value_problems(table: str, view: pl.DataFrame, present: list[str]) -> pl.DataFrame:
    """Return every value of the table that the vocabulary forbids (columns of `present` only)."""
    known = {name: column for name, column in columns(table).items() if name in present}
    rules = []
    for name, column in known.items():
        rules += _column_rules(table, name, column, known)
    coded = [_unlisted(table, view, column) for column in known.values() if column.codes]
    return join_problems([broken_rows(table, view, rules), *coded])


def _column_rules(table: str, name: str, column: Column, known: dict[str, Column]) -> list[Rule]:
    where, value = f"`{table}.{name}`", pl.col(name)
    rules = []
    if table == "visits" and name == "edss":
        rules.append(Rule(
            name="no_edss", column=name, when=value.is_null(), severity="warning",
            message=f"{where} is missing: this visit does not count for disability. Nothing to do if it was not taken.",
        ))  # fmt: skip
    elif column.is_required == "yes":
        rules.append(Rule(
            name="missing_value", column=name, when=value.is_null(), message=f"{where} is required. Fill it in (a blank row must be removed).",
        ))  # fmt: skip
    elif column.is_required == "either" and column.type == "day":
        date = f"{name.removesuffix('_day')}_date"
        has_date = pl.col(date).is_not_null() if date in known else pl.lit(False)
        rules.append(Rule(
            name="missing_value", column=name, when=value.is_null() & ~has_date,
            message=f"`{table}` needs `{date}` or `{name}` in every row. Fill one in.",
        ))  # fmt: skip
    if name == "patient_id":
        rules.append(Rule(
            name="id_with_blanks", column=name, when=(value < "!") | value.str.ends_with(" ") | value.str.ends_with("\t"),
            message=f"{where} begins or ends with a blank. Remove it: ids must be equal in all tables.",
        ))  # fmt: skip
    unit = f" {column.unit}" if column.unit else ""
    if column.unit == "EDSS":
        rules.append(Rule(
            name="edss_off_scale", column=name,
            when=value.is_not_null() & ~((value >= 0) & (value <= 10) & ((value * 2).floor() == value * 2) & (value != 0.5)),
            message=f"{where} must be 0, 1, 1.5, 2 … 10 (0.5 does not exist), found {{value}}. Correct the step.",
        ))  # fmt: skip
    else:
        if column.minimum is not None:
            rules.append(Rule(
                name="below_minimum", column=name, when=value < column.minimum,
                message=f"{where} must be at least {column.minimum:g}{unit}, found {{value}}. Correct the value or its unit.",
            ))  # fmt: skip
        if column.maximum is not None:
            rules.append(Rule(
                name="above_maximum", column=name, when=value > column.maximum,
                message=f"{where} must be at most {column.maximum:g}{unit}, found {{value}}. Correct the value or its unit.",
            ))  # fmt: skip
    if column.type == "date":
        rules.append(Rule(
            name="impossible_date", column=name, when=(value < _FIRST_DATE) | (value > _LAST_DATE),
            message=f"{where} must lie between 1900 and 2100, found {{value}}. Correct the date.",
        ))  # fmt: skip
    if column.type == "day":
        date = f"{name.removesuffix('_day')}_date"
        is_given = pl.col(date).is_null() if date in known else pl.lit(True)  # else the date is the problem
        rules.append(Rule(
            name="impossible_day", column=name, when=((value > _FURTHEST_DAY) | (value < -_FURTHEST_DAY)) & is_given,
            message=f"{where} must lie within {_FURTHEST_DAY} days of day 0, found {{value}}. Correct the day.",
        ))  # fmt: skip
    if name == "index_day":
        rules.append(Rule(
            name="index_day_not_zero", column=name, when=value != 0,
            message=f"{where} is day 0 by definition, found {{value}}. Count every day column from it.",
        ))  # fmt: skip
    return rules


def _unlisted(table: str, view: pl.DataFrame, column: Column) -> pl.DataFrame:
    """Return one problem per value that is not in the column's list, each with the nearest code."""
    value = pl.col(column.name)
    rows = view.filter(value.is_not_null() & ~value.is_in(column.codes))
    if rows.is_empty():
        return join_problems([])
    found = rows[column.name].unique().sort().head(_MOST_NEAREST)
    meant = [nearest(word.strip(), column.codes) for word in found]
    advice = [f" Did you mean '{code}'?" if code else "" for code in meant]
    rows = rows.with_columns(
        value.replace_strict(found, advice, default="", return_dtype=pl.String).alias("_advice")
    )
    # a text that resembles or holds no code may be anything, a name too: messages travel
    words = [code.casefold() for code in column.codes if len(code) > 3]
    holds_code = value.str.to_lowercase().str.contains_any(words) if words else pl.lit(False)
    is_code = (pl.col("_advice") != "") | holds_code | (value.str.len_chars() <= 3)
    length = pl.format("a text of {} characters", value.str.len_chars())
    shown = rows.select(pl.when(is_code).then(pl.format("'{}'", value)).otherwise(length).alias("shown"))[
        "shown"
    ]
    needed = f"`{table}.{column.name}` must be one of {', '.join(column.codes)}; found "
    rule = Rule(name="not_in_list", column=column.name, when=pl.lit(True), message=needed)
    return problems_of(table, rows, rule).with_columns(
        pl.concat_str("message", shown, pl.lit(". Use a listed code."), rows["_advice"]).alias("message")
    )
