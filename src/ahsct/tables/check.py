"""Finds every problem of a study's tables, and refuses a study that has errors."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from ahsct.errors import StudyError
from ahsct.tables.problems import broken_rows, in_order, join_problems, without_ids
from ahsct.tables.rules_columns import column_problems
from ahsct.tables.rules_days import completed_rules, day_rules
from ahsct.tables.rules_keys import key_problems
from ahsct.tables.rules_patients import patient_problems
from ahsct.tables.rules_rows import row_rules
from ahsct.tables.rules_values import value_problems
from ahsct.tables.study import SET_ASIDE, Study
from ahsct.tables.views import views
from ahsct.vocabulary import conform

_FOUND = "_found_problems"
_MOST_LINES = 8  # of the message; `problems` holds everything


def find_problems(study: Study) -> pl.DataFrame:
    """Return all problems of all tables (schema PROBLEMS), by table, row and rule.

    Errors are what would make a number wrong; warnings are what a reader should know. Problems met
    while reading come with the study; all others are looked for anew.

    Examples
    --------
    >>> from ahsct.tables import make_study
    >>> study = make_study(
    ...     "one", data_kind="simulated", patients=pl.DataFrame({"patient_id": ["a"]}),
    ...     visits=pl.DataFrame({"patient_id": ["a", "a"], "visit_day": [0, 90], "edss": [3.0, 0.5]}),
    ... )
    >>> find_problems(study).select("table", "row", "column", "value", "rule").row(0)
    ('visits', 2, 'edss', '0.5', 'edss_off_scale')
    """
    known = vars(study)  # a study does not change: its problems are looked for once
    if _FOUND not in known:
        known[_FOUND] = _look(study)
    found: pl.DataFrame = known[_FOUND]
    return found


def _look(study: Study) -> pl.DataFrame:
    seen = views(study)
    found = [study.problems, column_problems(study), patient_problems(seen)]
    for table, view in seen.items():
        found.append(value_problems(table, view, study.tables[table].columns))
        completed = completed_rules(table, study.tables[table].columns)
        found.append(broken_rows(table, view, [*row_rules(table), *day_rules(table), *completed]))
        found.append(key_problems(table, view))
    return in_order(without_ids(_without_echoes(join_problems(found)), study.tables))


def _without_echoes(problems: pl.DataFrame) -> pl.DataFrame:
    """Leave out "missing" where the cell was not missing but could not be read: that is told already."""
    is_echo = pl.col("rule").is_in(("missing_value", "no_edss"))
    cell = [pl.col("table"), pl.col("row"), pl.col("column").str.replace("_(date|day)$", "").alias("column")]
    cells = problems.select(*cell, "rule").filter(~is_echo & pl.col("row").is_not_null())
    echoes = problems.filter(is_echo)
    told = echoes.select(cell).with_row_index().join(
        cells.drop("rule").unique(), on=["table", "row", "column"], how="semi"
    )["index"]  # fmt: skip
    left = echoes.with_row_index().filter(~pl.col("index").is_in(told.implode())).drop("index")
    return pl.concat([problems.filter(~is_echo), left])


def check(study: Study, *, set_aside: bool = False) -> Study:
    """Return the study when it has no error.

    Parameters
    ----------
    study
        As `read_study` or `make_study` return it.
    set_aside
        Leave out, from every table, each patient named by an error; they are listed in
        `Study.set_aside`. Errors that name no patient are raised all the same.

    Raises
    ------
    StudyError
        Once, for all errors; its `problems` holds every problem, warnings too.
    """
    problems = find_problems(study)
    errors = problems.filter(pl.col("severity") == "error")
    if errors.is_empty():
        return study
    if not set_aside or errors["patient_id"].null_count():
        raise StudyError(_summary(study, problems, set_aside=set_aside), problems)
    left_out = conform(
        errors.group_by("patient_id", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("n_problems"), pl.col("rule").unique().sort().str.join("; ").alias("rules")
        )
        .sort("patient_id"),
        SET_ASIDE,
    )  # fmt: skip
    is_kept = pl.col("patient_id").is_null() | ~pl.col("patient_id").is_in(left_out["patient_id"].implode())
    return replace(
        study,
        tables={name: frame.filter(is_kept) for name, frame in study.tables.items()},
        problems=study.problems.filter(is_kept),
        set_aside=pl.concat([study.set_aside, left_out]),
    )


def _summary(study: Study, problems: pl.DataFrame, *, set_aside: bool) -> str:
    """Say how many rows break which rule, where first, and what to do; never a patient's id."""
    errors = problems.filter(pl.col("severity") == "error")
    n_warnings = problems.height - errors.height
    if set_aside:
        n_errors = errors.height
        errors = errors.filter(pl.col("patient_id").is_null())
        head = f"{errors.height} of its {n_errors} errors name no patient who could be set aside"
    else:
        head = f"{errors.height} {'error' if errors.height == 1 else 'errors'}"
    groups = errors.group_by("table", "column", "rule", maintain_order=True).agg(
        pl.len().alias("n"), pl.col("row").min(), pl.col("message").first()
    )
    lines = [f"Study {study.study_id!r} has {head} ({n_warnings} warnings)." if not set_aside
             else f"Study {study.study_id!r}: {head} ({n_warnings} warnings)."]  # fmt: skip
    for table, column, rule, n, row, message in groups.head(_MOST_LINES).iter_rows():
        place = f"{table}.{column}" if column else table
        first = "" if row is None else f", row {row}" if n == 1 else f", {n} rows, the first is row {row}"
        lines.append(f"  {place}{first} [{rule}]: {message}")
    if groups.height > _MOST_LINES:
        rest = groups[_MOST_LINES:]
        lines.append(f"  and {rest['n'].sum()} more by {rest.height} other rules or columns.")
    return "\n".join(lines)
