"""Relapses and lesions before and after the transplant, with the time or the scans behind them."""

from __future__ import annotations

import polars as pl

from ahsct.outcomes.activity import distinct_relapses
from ahsct.outcomes.assessments import Context
from ahsct.outcomes.values_table import Values, lacking_in, lacking_in_study, rows_of
from ahsct.vocabulary import DAYS_PER_YEAR


def relapse_values(context: Context, people: pl.DataFrame) -> Values:
    """Count relapses before (diagnosis to mobilisation), between (to the infusion) and after (to last contact).

    A period includes its first day and, at the last contact, its last one. Relapses that need an
    examiner's confirmation and lack it are counted apart (`relapses_not_confirmed`).
    """
    study, definition, table = context.study, context.definition, context.relapses
    if "relapses" not in study.tables:
        return lacking_in_study("relapses", "the study has no table of relapses")
    people = people.join(
        study.table("patients", ["patient_id", "diagnosis_day"]).unique(
            "patient_id", keep="first", maintain_order=True
        ),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    onsets = distinct_relapses(table, rule=definition.relapses).select("patient_id", "onset_day")
    last = pl.coalesce("death_day", "last_contact_day") + 1
    periods = {
        "before": (pl.col("diagnosis_day"), pl.col("before_day")),
        "between": (pl.col("before_day"), pl.col("start_day")),
        "after": (pl.col("start_day") + definition.relapses.not_before_day, last),
    }
    rows, lacking = [], []
    for period, (first, end) in periods.items():
        spans = people.with_columns(first.alias("_first"), end.alias("_end"))
        length = end - first - (1 if period == "after" else 0)
        known = spans.filter((length > 0).fill_null(False)).with_columns(
            (length / DAYS_PER_YEAR).alias("_years")
        )
        counted = _counted(known, onsets)
        rows.append(
            rows_of(
                counted,
                "relapses",
                "relapses",
                period,
                number=pl.col("_n"),
                exposure_years=pl.col("_years"),
            )
        )
        if period != "between":
            without = spans.filter(length.is_null())
            reason = "no day of diagnosis" if period == "before" else "no day of last contact"
            lacking.append(lacking_in(without, "relapses", f"{period}: {reason}"))
    if definition.relapses.confirmed_by_examiner:
        unconfirmed = (
            table.filter(~pl.col("confirmed_by_examiner").fill_null(False))
            if ("confirmed_by_examiner" in table.columns)
            else table
        )
        spans = people.with_columns(pl.col("start_day").alias("_first"), last.alias("_end"))
        left_out = _counted(spans, unconfirmed).filter(pl.col("_n") > 0)
        rows.append(rows_of(left_out, "relapses", "relapses_not_confirmed", "after", number=pl.col("_n")))
    return Values(rows, lacking)


def _counted(spans: pl.DataFrame, onsets: pl.DataFrame) -> pl.DataFrame:
    """Add `_n`, the number of onsets in [_first, _end)."""
    counts = (
        onsets.join(
            spans.select("patient_id", "_first", "_end"), on="patient_id", how="inner", maintain_order="left"
        )
        .filter((pl.col("onset_day") >= pl.col("_first")) & (pl.col("onset_day") < pl.col("_end")))
        .group_by("patient_id", maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("_n"))
    )
    return spans.join(counts, on="patient_id", how="left", maintain_order="left").with_columns(
        pl.col("_n").fill_null(0)
    )


def mri_values(context: Context, people: pl.DataFrame) -> Values:
    """Count scans and lesions before, after as the rule counts them, and on every scan after.

    Before: gadolinium lesions on the scans where they were counted. After: scans that the rule counts
    and can read; lesions are the least number that the rule's kinds of lesion add up to. After, all:
    every scan with any of these kinds counted, by the reader's counts alone. The scans that make the
    difference have a row each (`mri_left_out`). A patient without such a scan has no count of lesions.
    """
    if "mri" not in context.study.tables:
        return lacking_in_study("mri", "the study has no table of scans (mri)")
    scans = context.scans.join(
        people.select("patient_id", "arm", "before_day", "start_day"),
        on="patient_id",
        how="inner",
        maintain_order="left",
    )
    before = scans.filter((pl.col("scan_day") <= pl.col("before_day")) & pl.col("gd_n").is_not_null())
    all_after = scans.filter((pl.col("scan_day") > pl.col("start_day")) & pl.col("is_read"))
    is_in = pl.col("is_counted") & (pl.col("status") != "not_assessed")
    after = all_after.filter(is_in)
    rows = _scan_rows(people, before, "before", {"gd_lesions": pl.col("gd_n").sum()})
    rows += _scan_rows(
        people,
        after,
        "after",
        {
            "active_scans": (pl.col("status") == "active").sum(),
            "new_lesions": pl.col("lesions_min").sum(),
        },
    )
    rows += _scan_rows(
        people,
        all_after,
        "after_all",
        {
            "active_scans": (pl.col("status_as_read") == "active").sum(),
            "new_lesions": pl.col("lesions_as_read").sum(),
        },
    )
    period = pl.when("is_counted").then(pl.lit("not_assessed")).otherwise(pl.lit("early"))
    rows.append(
        rows_of(
            all_after.filter(~is_in),
            "mri_left_out",
            "scan",
            period,
            day=pl.col("scan_day") - pl.col("time_zero_day"),
            number=pl.col("lesions_as_read"),
        )
    )
    return Values(rows, [])


def _scan_rows(
    people: pl.DataFrame, scans: pl.DataFrame, period: str, terms: dict[str, pl.Expr]
) -> list[pl.DataFrame]:
    counts = scans.group_by("patient_id", maintain_order=True).agg(
        pl.len().alias("scans"), *(value.alias(term) for term, value in terms.items())
    )
    table = people.select("patient_id", "arm").join(
        counts, on="patient_id", how="left", maintain_order="left"
    )
    rows = [rows_of(table, "mri", "scans", period, number=pl.col("scans").fill_null(0))]
    rows += [rows_of(table.drop_nulls(term), "mri", term, period, number=pl.col(term)) for term in terms]
    return rows


def early_event_values(context: Context, people: pl.DataFrame, events: pl.DataFrame) -> Values:
    """Return the relapses and changes of disability before the clinical re-baseline that do not count.

    Early scans have their own topic (`mri_left_out`). Improvements are never early: a re-baseline does not
    erase them.
    """
    window = context.definition.rebaseline.clinical
    if window is None or window.early_events == "count":
        return Values([], [])
    early = (
        events.filter(pl.col("kind").is_in(["relapse", "disability"]) & (pl.col("direction") == "worsening"))
        .join(people, on="patient_id", how="inner", maintain_order="left")
        .filter(pl.col("day").is_between("time_zero_day", "rebaseline_day", closed="left"))
    )
    component = (
        pl.when(pl.col("kind") == "relapse")
        .then(pl.lit("relapse"))
        .otherwise(pl.concat_str("measure", "direction", separator="_"))
    )
    day = pl.col("day") - pl.col("time_zero_day")
    return Values([rows_of(early, "early_events", component, "early", day=day)], [])
