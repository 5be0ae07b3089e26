"""Rules on rows that say the same thing twice."""

from __future__ import annotations

import polars as pl

from ahsct.tables.problems import Rule, join_problems, problems_of

# table: (columns that together name a row, column to correct)
_KEYS = {
    "patients": (("patient_id",), "patient_id"),
    "visits": (("visit_day",), "visit_day"),
    "relapses": (("onset_day",), "onset_day"),
    "mri": (("scan_day", "region"), "scan_day"),
    "brain_volume": (("scan_day", "measure"), "scan_day"),
    "transplants": (("infusion_day",), "infusion_day"),
    "labs": (("sample_day", "test", "specimen"), "sample_day"),
    "employment": (("assessment_day",), "assessment_day"),
    "follow_up": (("patient_id",), "patient_id"),
    "treatments": (("kind", "drug", "start_day"), "start_day"),
    "adverse_events": (("term", "start_day"), "start_day"),
}
_MAY_BE_MEANT = ("treatments", "adverse_events")  # two courses or two events on one day do happen


def key_problems(table: str, view: pl.DataFrame) -> pl.DataFrame:
    """Return every row that shares its key with another row of the table."""
    if table not in _KEYS:
        return join_problems([])
    key, column = _KEYS[table]
    rows = _repeated(view, key)
    if rows.is_empty():
        return join_problems([])
    if table == "visits":
        rule = Rule(
            name="same_day_visits", column=column, when=pl.lit(True), severity="warning",
            message="Two visits of one patient on day {value}. The `same_day` rule of the definition decides which "
            "counts, and refuses by default. Keep one, or name a rule.",
        )  # fmt: skip
    else:
        names = "patient" if key == ("patient_id",) else "patient, " + ", ".join(key)
        rule = Rule(
            name="duplicate_key", column=column, when=pl.lit(True),
            severity="warning" if table in _MAY_BE_MEANT else "error",
            value=pl.lit(None, pl.String) if column == "patient_id" else pl.col(column),
            message=f"`{table}` holds more than one row with the same {names}. Keep one row each.",
        )  # fmt: skip
    return problems_of(table, rows, rule)


def _repeated(view: pl.DataFrame, key: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows whose key is not alone; rows without a patient or a day are not compared."""
    if key == ("patient_id",):
        return view.filter(pl.col("patient_id").is_not_null() & pl.col("patient_id").is_duplicated())
    day = next(name for name in key if name.endswith("_day"))
    view = view.filter(pl.col(day).is_not_null() & pl.col("patient_id").is_not_null())
    # Whole numbers sort ten times faster than text groups: look closer only where patient and day recur.
    pair = pl.col("patient").fill_null(2**32 - 1).cast(pl.Int64) * 2**31 + pl.col(day)
    pairs = view.select(pair.alias("pair"))["pair"].sort()
    if not (pairs.diff() == 0).any():
        return view.clear()
    near = view.filter(pair.is_duplicated())
    return near.filter(pl.struct("patient_id", *key).is_duplicated())
