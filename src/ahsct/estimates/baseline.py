"""Who the patients were, what they were given, and how long they were watched."""

from __future__ import annotations

import polars as pl

from ahsct.estimates.arms import Arm, describe, number_sum
from ahsct.estimates.kaplan_meier import reverse_kaplan_meier
from ahsct.estimates.quantiles import median_time
from ahsct.estimates.rows import results_frame

_UNITS = {"age_years": "years", "edss": "EDSS", "disease_duration_years": "years"}
_PERIODS = ("dmt", "mobilisation", "conditioning", "supportive", "graft")


def baseline_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return medians and extremes, counts by sex and course, number of centres, first and last infusion."""
    n = len(arm.patients)
    rows = [
        row
        for term, unit in _UNITS.items()
        for row in describe(arm, arm.topic("baseline", term), n, endpoint="baseline", term=term, unit=unit)
    ]
    for term in ("ms_course", "sex"):
        known = arm.topic("baseline", term).drop_nulls("value").filter(pl.col("value") != "U")  # unknown sex
        for value in sorted(set(known["value"].to_list())):
            count = known.filter(pl.col("value") == value).height
            rows.append(
                arm.row(
                    endpoint="baseline",
                    term=f"{term}: {value}",
                    statistic="count",
                    unit="patients",
                    n=known.height,
                    n_not_evaluable=n - known.height,
                    estimate=count,
                    n_events=count,
                )
            )
    sites = arm.topic("baseline", "site").drop_nulls("value")
    if sites.height:
        rows.append(
            arm.row(
                endpoint="baseline",
                term="site",
                statistic="count",
                unit="centres",
                n=sites.height,
                n_not_evaluable=n - sites.height,
                estimate=sites["value"].n_unique(),
            )
        )
    return [results_frame(rows), _infusion_dates(arm)]


def _infusion_dates(arm: Arm) -> pl.DataFrame:
    """First and last of the patients' first infusions; none where the study has days only."""
    infusions = arm.study.table("transplants", ["patient_id", "infusion_date"]).drop_nulls("infusion_date")
    first = infusions.filter(pl.col("patient_id").is_in(arm.patients)).group_by("patient_id").min()
    if first.is_empty():
        return results_frame([])
    dates = sorted(first["infusion_date"].to_list())
    return results_frame(
        arm.row(
            endpoint="baseline",
            term=term,
            statistic="date",
            unit="date",
            n=len(dates),
            n_not_evaluable=len(arm.patients) - len(dates),
            note=date.isoformat(),
        )
        for term, date in (("infusion_first", dates[0]), ("infusion_last", dates[-1]))
    )


def entry_criteria_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return, for each criterion, the proportion that met it among those of whom it is known."""
    rows = []
    for term in ("age", "edss", "prior_dmt", "ms_course"):
        asked = arm.topic("entry_criteria", term)
        known = asked.filter(pl.col("value").is_in(["met", "not met"]))
        rows.append(
            arm.proportion(
                known.filter(pl.col("value") == "met").height,
                known.height,
                endpoint="entry_criteria",
                term=term,
                n_not_evaluable=len(arm.patients) - known.height,
            )
        )
    return rows


def treatment_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return how many patients had each drug at each dose, by kind of treatment."""
    courses = arm.topic("treatment").sort("term", "number", "value", nulls_last=True)
    n = len(arm.patients)
    rows = []
    for period in _PERIODS:
        of_period = courses.filter(pl.col("period") == period)
        for (drug, dose, value), group in of_period.group_by("term", "number", "value", maintain_order=True):
            words = [str(drug)] + ([f"{dose:g}"] if dose is not None else [])
            name = " ".join(words) + (f" {value}" if value is not None and dose is not None else "")
            name += f", {value}" if value is not None and dose is None else ""
            count = group["patient_id"].n_unique()
            rows.append(
                arm.row(
                    endpoint="treatment",
                    term=name if period == "graft" else f"{period}: {name}",
                    statistic="count",
                    unit="patients",
                    n=n,
                    estimate=count,
                    n_events=count,
                )
            )
    return [results_frame(rows)]


def follow_up_rows(arm: Arm) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Return follow-up three ways (survivors, reverse Kaplan-Meier, total years), and the reverse curve."""
    definition = arm.definition
    contacts = arm.topic("follow_up", "last_contact")
    results = [
        results_frame(
            describe(
                arm,
                contacts.filter(pl.col("patient_id").is_in(arm.survivors)),
                len(arm.survivors),
                endpoint="follow_up",
                term="plain",
                unit="years",
                population="survivors",
            )
        )
    ]
    curves = []
    survival = arm.endpoint("overall_survival").filter("is_evaluable")
    if survival.height:
        curve = reverse_kaplan_meier(survival, interval=definition.interval, conf_level=definition.conf_level)
        curves.append(curve)
        results.append(
            median_time(curve).with_columns(
                pl.lit("follow_up").alias("endpoint"),
                pl.lit(None, dtype=pl.String).alias("component"),
                pl.lit("reverse_kaplan_meier").alias("term"),
                pl.lit("median").alias("statistic"),
            )
        )
    years = contacts["number"].drop_nulls()
    if years.len():
        total = number_sum(years.to_list())
        results.append(
            results_frame(
                [
                    arm.row(
                        endpoint="follow_up",
                        term="total",
                        statistic="person_years",
                        unit="years",
                        unit_of_analysis="patient_year",
                        n=years.len(),
                        n_not_evaluable=len(arm.patients) - years.len(),
                        estimate=total,
                        person_years=total,
                        mark="inferred",
                    )
                ]
            )
        )
    return results, curves
