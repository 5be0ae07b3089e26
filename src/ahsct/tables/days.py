"""Day twins: every `*_date` gets a `*_day`, counted in whole days from the patient's index date."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from ahsct.tables.numbers import by_number, patient_numbers
from ahsct.tables.problems import Rule, broken_rows, join_problems, one_problem
from ahsct.vocabulary import columns

# Where a missing index date is taken from: the first of these that a patient has.
_INDEX_SOURCES = (
    ("transplants", "infusion_date"),
    ("patients", "randomisation_date"),
    ("patients", "treatment_decision_date"),
    ("patients", "comparator_start_date"),
    ("visits", "visit_date"),
)


def date_stems(table: str) -> list[str]:
    """Return the names before `_date` and `_day` of a table's twins.

    Examples
    --------
    >>> date_stems("relapses")
    ['onset', 'end']
    """
    return [name.removesuffix("_date") for name, column in columns(table).items() if column.type == "date"]


def add_days(tables: Mapping[str, pl.DataFrame]) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """Return the typed tables with the day twin of each date, and the problems met on the way.

    A day that is given stays as given; one that is missing is date - index date. A missing index
    date is taken from the patient's first infusion, else randomisation, treatment decision, start of
    the comparator or first visit, written into `patients.index_date` and told as a warning; but not
    for a patient who also has days from the source, because their day 0 is not known.
    """
    tables = dict(tables)
    if "patients" not in tables or "patient_id" not in tables["patients"].columns:
        return tables, join_problems([])
    tables["patients"], index, derived = _with_index_dates(tables)
    found = [derived]
    for name, frame in tables.items():
        tables[name], problems = _with_days(name, frame, index)
        found.append(problems)
    return tables, join_problems(found)


def _with_days(
    name: str, frame: pl.DataFrame, index: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:  # fmt: skip
    stems = [stem for stem in date_stems(name) if f"{stem}_date" in frame.columns]
    if not stems or "patient_id" not in frame.columns:
        return frame, join_problems([])
    numbers = patient_numbers(frame["patient_id"], index["patient_id"])
    view = frame.with_columns(
        by_number(index["index_date"], numbers).alias("_index"), numbers.is_not_null().alias("_is_known")
    )
    rules = []
    days = []
    for stem in stems:
        date, day = f"{stem}_date", f"{stem}_day"
        counted = (pl.col(date) - pl.col("_index")).dt.total_days()
        given = pl.col(day) if day in frame.columns else pl.lit(None, pl.Int64)
        days.append(pl.coalesce(given, counted).alias(day))
        if day in frame.columns:
            rules.append(Rule(
                name="day_and_date_disagree", column=day, when=given != counted,
                message=f"`{name}.{day}` is {{value}}, but `{date}` lies elsewhere counted from patients.index_date "
                "(day 0). Correct one of them.",
            ))  # fmt: skip
        rules.append(Rule(
            name="no_day", column=date, when=pl.col("_is_known") & pl.col(date).is_not_null() & days[-1].is_null(),
            message=f"`{name}.{date}` cannot become a day: the patient has no index date, or days counted from an "
            "unknown day 0. Give patients.index_date.",
        ))  # fmt: skip
    return view.with_columns(days).drop("_index", "_is_known"), broken_rows(name, view, rules)


def _with_index_dates(
    tables: Mapping[str, pl.DataFrame],
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return patients with index dates, one index date per patient, and the warning if any was derived."""
    patients = tables["patients"]
    given = "index_date" in patients.columns
    date = pl.col("index_date").min() if given else pl.lit(None, pl.Date).alias("index_date")
    index = (
        patients.filter(pl.col("patient_id").is_not_null())
        .group_by("patient_id", maintain_order=True)
        .agg(date)
    )
    if index["index_date"].null_count() == 0:
        return patients, index, join_problems([])
    firsts = [
        tables[table]
        .filter(pl.col(column).is_not_null())
        .group_by("patient_id", maintain_order=True)
        .agg(pl.col(column).min().alias(f"{table}.{column}"))
        for table, column in _INDEX_SOURCES
        if table in tables and {"patient_id", column} <= set(tables[table].columns)
    ]
    if not any(first.height for first in firsts):
        return patients, index, join_problems([])
    found = index.join(_with_given_days(tables), on="patient_id", how="left", maintain_order="left")
    for first in firsts:
        found = found.join(first, on="patient_id", how="left", maintain_order="left")
    sources = [first.columns[1] for first in firsts]
    may_derive = pl.col("index_date").is_null() & pl.col("_has_days").is_null()
    origin = pl.coalesce(pl.when(pl.col(source).is_not_null()).then(pl.lit(source)) for source in sources)
    found = found.with_columns(
        pl.when(may_derive).then(origin).alias("_origin"),
        pl.when(may_derive).then(pl.coalesce(sources)).otherwise(pl.col("index_date")).alias("index_date"),
    )
    counts = [f"{source}: {n}" for source in sources if (n := int((found["_origin"] == source).sum()))]
    if not counts:
        return patients, index, join_problems([])
    index = found.select("patient_id", "index_date")
    numbers = patient_numbers(patients["patient_id"], index["patient_id"])
    patients = patients.with_columns(by_number(index["index_date"], numbers).alias("index_date"))
    warning = one_problem(
        "patients", "index_date_derived",
        f"`patients.index_date` was missing and is taken from {'; '.join(counts)} patients. "
        "Give the index date to be sure of day 0.",
        severity="warning", column="index_date", value="; ".join(counts),
    )  # fmt: skip
    return patients, index, warning


def _with_given_days(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the patients for whom the source gives any day."""
    parts = [pl.DataFrame(schema={"patient_id": pl.String})]
    for name, frame in tables.items():
        days = [column for stem in date_stems(name) if (column := f"{stem}_day") in frame.columns]
        if days and "patient_id" in frame.columns:
            parts.append(frame.filter(pl.any_horizontal(pl.col(days).is_not_null())).select("patient_id"))
    return pl.concat(parts).unique(maintain_order=True).with_columns(pl.lit(True).alias("_has_days"))
