"""Reads the evidence: the tables that ship with ahsct, and a user's own rows beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import polars as pl

from ahsct.errors import RequestError, SourceError, StudyError
from ahsct.studies import example_folder
from ahsct.tables.csv_file import csv_table
from ahsct.tables.problems import Rule, join_problems, one_problem, problems_of
from ahsct.vocabulary import SCHEMAS, columns, empty

TABLES = ("studies", "results", "overlaps")
MEMORY = "memory"
_ATKINS = "atkins2016"
# columns of a study's published numbers -> ours
_PUBLISHED = {
    "subgroup": "subgroup", "arm": "arm", "endpoint": "endpoint", "time_y_num": "time_years", "estimate_num": "estimate",
    "unit": "unit", "ci_low": "lower", "ci_high": "upper", "n": "n", "events": "n_events", "comparator_arm": "comparator",
    "comparator_estimate": "comparator_estimate", "effect_measure": "effect_measure", "effect": "effect",
    "effect_ci_low": "effect_lower", "effect_ci_high": "effect_upper", "p_value": "p_value", "source_url": "source_url",
    "source_title": "source_title", "quote_locator": "locator", "notes": "note",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is published, as tables.

    Attributes
    ----------
    studies, results, overlaps
        Schemas `evidence_studies`, `evidence_results`, `evidence_overlaps` of the vocabulary, and `origin` ("shipped"
        or the user's folder) and `row` (first data row of its file = 1).
    definitions
        How each endpoint was defined, and the shipped definition that follows it, where there is one.
    inconsistencies
        Contradictions within and between sources that are known and shown.
    intensity_rules
        Named rules that give a family of regimens its class of intensity.
    problems
        What could not be read, schema PROBLEMS.
    """

    studies: pl.DataFrame
    results: pl.DataFrame
    overlaps: pl.DataFrame
    definitions: pl.DataFrame
    inconsistencies: pl.DataFrame
    intensity_rules: pl.DataFrame
    problems: pl.DataFrame

    def study(self, study_id: str) -> Mapping[str, object]:
        """Return the row of one study.

        Raises
        ------
        RequestError
            There is no such study.
        """
        found = self.studies.filter(pl.col("study_id") == study_id)
        if found.is_empty():
            from ahsct.errors import did_you_mean

            known = self.studies["study_id"].to_list()
            raise RequestError(
                f"No study {study_id!r} in the evidence.{did_you_mean(study_id, known)} "
                "`ahsct evidence list` names them."
            )
        return found.row(0, named=True)


def read_evidence(folder: str | Path | None = None) -> Evidence:
    """Return the shipped evidence, with the rows of a user's folder behind it.

    Parameters
    ----------
    folder
        Holds any of `studies.csv`, `results.csv`, `overlaps.csv` with the columns of the template
        (`write_template`); columns left out are missing.

    Raises
    ------
    SourceError
        The folder, or a file of it, cannot be read.

    Examples
    --------
    >>> evidence = read_evidence()
    >>> evidence.studies.height, evidence.problems.height
    (56, 0)
    """
    data = files("ahsct.evidence") / "data"
    found: list[pl.DataFrame] = []
    tables = {name: _table(name, (data / f"{name}.csv").read_bytes(), "shipped", found) for name in TABLES}
    tables["results"] = pl.concat([_atkins(found), tables["results"]])
    extra = {
        name: pl.read_csv((data / f"{name}.csv").read_bytes(), infer_schema=False).fill_null("")
        for name in ("definitions", "inconsistencies", "intensity_rules")
    }
    if folder is not None:
        for name, frame in _own(Path(folder), found).items():
            tables[name] = pl.concat([tables[name], frame])
    return Evidence(**tables, **extra, problems=join_problems(found))


def write_template(folder: str | Path) -> list[Path]:
    """Write the three CSV files of a user's own evidence, headers only, into a new or empty folder.

    Raises
    ------
    RequestError
        A file of that name is there, or the folder cannot be made.
    """
    folder = Path(folder)
    paths = [folder / f"{name}.csv" for name in TABLES]
    for path in paths:
        if path.exists():
            raise RequestError(f"{path} exists. Name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, path in zip(TABLES, paths, strict=True):
            path.write_text(",".join(SCHEMAS[f"evidence_{name}"]) + "\n", encoding="utf-8")
    except OSError as error:
        raise RequestError(f"{folder} cannot be written: {error.strerror}. Name another folder.") from error
    return paths


def has_memory(field: str) -> pl.Expr:
    """Return whether a column of the studies is recalled, not seen in a source."""
    listed = pl.col("memory_fields").fill_null("").str.split(";")
    return (
        listed.list.contains(field) | listed.list.contains("all") | (pl.col("verified") == MEMORY)
    ).fill_null(False)


def seen_studies(evidence: Evidence) -> pl.DataFrame:
    """Return the studies with every recalled cell emptied: what a pool may use.

    Examples
    --------
    The number transplanted in the 2015 trial against mitoxantrone is recalled:

    >>> seen = seen_studies(read_evidence())
    >>> seen.filter(pl.col("study_id") == "astims2015").select("n_transplanted", "year").row(0)
    (None, 2015)
    """
    keep = ("study_id", "design", "memory_fields", "verified", "origin", "row")
    names = [name for name in evidence.studies.columns if name not in keep]
    return evidence.studies.with_columns(
        pl.when(has_memory(name)).then(None).otherwise(pl.col(name)).alias(name) for name in names
    )


def seen_results(evidence: Evidence) -> pl.DataFrame:
    """Return the results that were seen in a source: rows from memory are shown, and never leave the list."""
    return evidence.results.filter(pl.col("verified") != MEMORY)


def require_sound(evidence: Evidence, problems: pl.DataFrame) -> None:
    """Raise a StudyError with all problems where any is an error."""
    errors = problems.filter(pl.col("severity") == "error")
    if errors.height:
        first = errors.row(0, named=True)
        where = f"row {first['row']}: " if first["row"] is not None else ""
        raise StudyError(
            f"{errors.height} errors in the evidence; the first is in {first['table']}, {where}{first['message']} "
            "`ahsct evidence check` lists all.",
            problems,
        )


def _own(folder: Path, found: list[pl.DataFrame]) -> dict[str, pl.DataFrame]:
    if not folder.is_dir():
        raise SourceError(
            f"{folder} is no folder. --evidence needs one with studies.csv, results.csv or overlaps.csv."
        )
    tables = {
        name: _table(name, path.read_bytes(), str(folder), found)
        for name in TABLES
        if (path := folder / f"{name}.csv").is_file()
    }
    if not tables:
        raise SourceError(f"{folder} holds none of studies.csv, results.csv, overlaps.csv.")
    return tables


def _table(name: str, data: bytes, origin: str, found: list[pl.DataFrame]) -> pl.DataFrame:
    raw, problems = csv_table(f"evidence_{name}", f"{name}.csv", data)
    found.append(problems)
    return _typed(name, raw, origin, found)


def _typed(name: str, raw: pl.DataFrame, origin: str, found: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the table in its schema; a cell that has no such type is missing, and a problem."""
    table = f"evidence_{name}"
    schema = SCHEMAS[table]
    for column in raw.columns:
        if column not in schema:
            message = f"`{name}` has no column `{column}`. Remove it, or put its text into `note`."
            found.append(one_problem(table, "unknown_column", message, column=column))
    row = pl.int_range(1, raw.height + 1, dtype=pl.Int64, eager=True)
    typed = {}
    for column, dtype in schema.items():
        if column not in raw.columns:
            typed[column] = pl.Series(column, [None] * raw.height, dtype=dtype)
            continue
        text = raw[column].str.strip_chars()
        text = text.set(text == "", None)
        value = text.cast(dtype, strict=False)
        if dtype == pl.Float64:
            value = value.set(~value.is_finite().fill_null(True), None)
        typed[column] = value
        failed = value.is_null() & text.is_not_null()
        if failed.any():
            kind = columns(table)[column].type
            rule = Rule(name="not_a_number", column=column, when=pl.lit(True), message=f"`{name}.{column}` needs a {kind}, found '{{value}}'. Correct the cell.")  # fmt: skip
            rows = pl.DataFrame({"row": row, column: text}).filter(failed)
            found.append(problems_of(table, rows, rule))
    return (
        pl.DataFrame({**typed, "origin": [origin] * raw.height, "row": row}) if raw.height else _nothing(name)
    )


def _nothing(name: str) -> pl.DataFrame:
    return empty(pl.Schema({**SCHEMAS[f"evidence_{name}"], "origin": pl.String(), "row": pl.Int64()}))


def _atkins(found: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the 2016 trial's rows: its published numbers as they stand there, classified here."""
    published = pl.read_csv(example_folder(_ATKINS) / "published.csv", infer_schema=False)
    classes = pl.read_csv(
        (files("ahsct.evidence") / "data" / f"{_ATKINS}.csv").read_bytes(), infer_schema=False
    )
    place = classes["published_row"].cast(pl.Int64) - 1
    rows = published[place]
    if rows["endpoint"].to_list() != classes["endpoint"].to_list():
        raise SourceError(
            "evidence/data/atkins2016.csv names rows of studies/atkins2016/published.csv that hold other endpoints. "
            "Correct published_row."
        )
    own = {ours: rows[theirs] for theirs, ours in _PUBLISHED.items()}
    own |= {name: classes[name] for name in classes.columns if name not in ("published_row", "endpoint")}
    level = rows["ci_level"].cast(pl.Float64) / 100
    numeric = own["estimate"].is_not_null()
    raw = pl.DataFrame(
        {
            "result_id": [f"{_ATKINS}/{i}" for i in range(1, rows.height + 1)],
            "study_id": rows["study_id"],
            **own,
            "conf_level": level.cast(pl.String),
            "printed": rows["estimate"].set(numeric, None),
        }
    )
    return _typed("results", raw, "shipped", found)
