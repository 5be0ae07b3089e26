"""Finds every problem of a study's tables, and refuses a study that has errors."""

from __future__ import annotations

import polars as pl

from ahsct.errors import StudyError
from ahsct.tables.study import Study


def find_problems(study: Study) -> pl.DataFrame:
    """Return all problems of all tables (schema PROBLEMS)."""
    return study.problems


def check(study: Study, *, set_aside: bool = False) -> Study:
    """Return the study when it has no error."""
    problems = find_problems(study)
    n_errors = problems.filter(pl.col("severity") == "error").height
    if n_errors:
        raise StudyError(f"{n_errors} errors", problems)
    return study
