"""Rules on whole tables and columns: which are needed, which nobody knows."""

from __future__ import annotations

import polars as pl

from ahsct.errors import nearest
from ahsct.tables.problems import join_problems, one_problem
from ahsct.tables.study import Study
from ahsct.vocabulary import columns

REQUIRED_TABLES = ("patients", "visits")


def column_problems(study: Study) -> pl.DataFrame:
    """Return missing tables, missing columns and unknown columns."""
    found = [
        one_problem(name, "missing_table", f"A study needs a table `{name}`; this one has "
                    f"{', '.join(study.tables) or 'none'}. Add it (a header without rows will do).")
        for name in REQUIRED_TABLES if name not in study.tables
    ]  # fmt: skip
    for name, frame in study.tables.items():
        found.append(_missing_columns(name, frame.columns))
        found.append(_unknown_columns(name, frame.columns))
    return join_problems(found)


def _missing_columns(table: str, present: list[str]) -> pl.DataFrame:
    found = []
    for name, column in columns(table).items():
        if column.is_required == "yes" and name not in present:
            message = f"`{table}` needs a column `{name}` ({column.label}). Add it."
            found.append(one_problem(table, "missing_column", message, column=name))
        if column.is_required == "either" and name.endswith("_date"):
            day = f"{name.removesuffix('_date')}_day"
            if name not in present and day not in present:
                message = f"`{table}` needs a column `{name}` or `{day}`. Add one of them."
                found.append(one_problem(table, "missing_column", message, column=name))
    return join_problems(found)


def _unknown_columns(table: str, present: list[str]) -> pl.DataFrame:
    """Return an error where an unknown name looks like a known column that is absent, else a warning."""
    known = columns(table)
    absent = [name for name in known if name not in present]
    found = []
    for name in present:
        if name in known or name == "row" or name.removesuffix("_imputed") in known:
            continue  # "_imputed" flags a date that a mapping completed
        meant = nearest(name.strip(), known)
        if meant in absent and _is_misspelt(name, str(meant)):
            message = (
                f"`{table}.{name}` is no known column; did you mean `{meant}`? Rename it, or leave it out."
            )
            found.append(one_problem(table, "unknown_column", message, column=name))
        else:
            message = f"`{table}.{name}` is no known column; it is kept as text and not used."
            found.append(one_problem(table, "unknown_column", message, severity="warning", column=name))
    return join_problems(found)


def _is_misspelt(name: str, meant: str) -> bool:
    """Tell a misspelling (`edds`, ` EDSS`) from a name of its own (`edss_comment`)."""
    plain = name.strip().casefold().replace(" ", "_").replace("-", "_")
    return plain == meant or distance(plain, meant) <= max(1, len(meant) // 5)


def distance(a: str, b: str) -> int:
    """Return the least number of letters to add, drop, change or swap with the next to get from a to b.

    Examples
    --------
    >>> distance("vist", "visit"), distance("edds", "edss"), distance("sedss", "edss")
    (1, 1, 1)
    """
    rows = [list(range(len(b) + 1))]
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
