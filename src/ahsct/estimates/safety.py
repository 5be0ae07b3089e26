"""The price: deaths, toxicity; and engraftment and work."""

from __future__ import annotations

import polars as pl

from ahsct.estimates.arms import Arm
from ahsct.estimates.competing import aalen_johansen
from ahsct.estimates.endpoint_rows import milestone_days
from ahsct.estimates.milestones import milestone
from ahsct.estimates.quantiles import median_time
from ahsct.estimates.rows import stamp
from ahsct.vocabulary import DAYS_PER_YEAR

_TRM = "treatment_related_mortality"
SEVERITIES = ("none", "mild", "moderate", "severe", "life-threatening", "fatal", "not stated")
_ENGRAFTED_BY_DAY = {"neutrophil_engraftment": 28, "platelet_engraftment": 30}


def treatment_death_rows(arm: Arm) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Return treatment-related mortality, crude and as cumulative incidence, of all infused and all mobilised."""
    crude, incidence, curves = [], [], []
    for population in ("infused", "mobilised"):
        asked = arm.endpoint(_TRM, population)
        rows = asked.filter("is_evaluable")
        if rows.is_empty():
            continue
        related = rows.filter(pl.col("is_event") & (pl.col("cause") == "treatment_related").fill_null(False))
        labels = {"endpoint": _TRM, "population": population, "n_not_evaluable": asked.height - rows.height}
        crude.append(
            arm.proportion(
                related.height, rows.height, term="crude", note="ever, over unequal follow-up", **labels
            )
        )
        curve = aalen_johansen(
            rows, causes=["treatment_related", "other_death"], conf_level=arm.definition.conf_level
        )
        curves.append(curve)
        days = [arm.definition.treatment_death.any_death_by_day, *milestone_days(arm.definition)]
        for day in dict.fromkeys(days):
            found = milestone(curve, at_years=day / DAYS_PER_YEAR).filter(
                pl.col("term") == "treatment_related"
            )
            incidence.append(stamp(found, term=None, n_not_evaluable=labels["n_not_evaluable"]))
    return [*crude, *incidence], curves


def death_by_day_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return deaths of any cause by the stated day after infusion; who was not followed so long is left out."""
    day = arm.definition.treatment_death.any_death_by_day
    asked = arm.endpoint("overall_survival")
    is_dead = pl.col("is_event") & (pl.col("time_day") <= day)
    known = asked.filter(pl.col("is_evaluable") & (is_dead | (pl.col("time_day") >= day)))
    return [
        arm.proportion(
            known.filter(is_dead).height,
            known.height,
            endpoint="death_by_day",
            term=str(day),
            n_not_evaluable=asked.height - known.height,
            note=f"any cause, day {day} after infusion included",
        )
    ]


def toxicity_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return the proportion with each worst severity that was seen, the mildest first."""
    known = arm.topic("toxicity", "worst_severity").drop_nulls("value")
    seen = set(known["value"].to_list())
    return [
        arm.proportion(
            known.filter(pl.col("value") == severity).height,
            known.height,
            endpoint="toxicity",
            term=f"worst_severity: {severity}",
            n_not_evaluable=len(arm.patients) - known.height,
        )
        for severity in SEVERITIES
        if severity in seen
    ]


def work_rows(arm: Arm) -> list[pl.DataFrame]:
    """Return who is off disability insurance and at work, of those insured at baseline (our reading)."""
    term = "off_disability_and_working"
    known = arm.topic("work", term).filter(pl.col("value").is_in(["yes", "no"]))
    return [
        arm.proportion(
            known.filter(pl.col("value") == "yes").height,
            known.height,
            endpoint="work",
            term=term,
            population="on disability insurance at baseline",
            n_not_evaluable=arm.n_lacking("work"),
            mark="inferred",
        )
    ]


def engraftment_rows(arm: Arm) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Return the median day of engraftment and the proportion engrafted by a fixed day, death competing."""
    results, curves = [], []
    for endpoint, day in _ENGRAFTED_BY_DAY.items():
        asked = arm.endpoint(endpoint)
        rows = asked.filter("is_evaluable")
        if rows.is_empty():
            continue
        curve = aalen_johansen(rows, causes=["engrafted", "death"], conf_level=arm.definition.conf_level)
        curves.append(curve)
        n_left = asked.height - rows.height
        median = median_time(curve).filter(pl.col("term") == "engrafted")
        in_days = [pl.col(name) * DAYS_PER_YEAR for name in ("estimate", "lower", "upper")]
        results.append(stamp(median.with_columns(in_days), term=None, unit="days", n_not_evaluable=n_left))
        by_day = milestone(curve, at_years=day / DAYS_PER_YEAR).filter(pl.col("term") == "engrafted")
        results.append(stamp(by_day, term=None, n_not_evaluable=n_left))
    return results, curves
