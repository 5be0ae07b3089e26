"""A made-up cohort of 24 with every table a figure can show; nothing in it is a published number."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

from ahsct.tables import Study, make_study
from ahsct.vocabulary import (
    CONFIRMATIONS,
    CURVE,
    DAYS_PER_YEAR,
    EVENTS,
    FLOW,
    PATIENT_VALUES,
    RESULTS,
    from_rows,
)


@dataclass(frozen=True)
class Cohort:
    study: Study
    events: pl.DataFrame
    confirmations: pl.DataFrame
    patient_values: pl.DataFrame
    curves: pl.DataFrame
    results: pl.DataFrame
    flow: pl.DataFrame


def noise(*key: int) -> float:
    """A number in [0, 1) that depends on its key only."""
    return math.sin(sum((i + 1) * 12.9898 * k for i, k in enumerate(key)) + 1.0) * 43758.5453 % 1.0


def make_cohort(n: int = 24, data_kind: str = "reconstructed", n_worse: int = 8, n_dead: int = 1) -> Cohort:
    ids = [f"P{i + 1:02d}" for i in range(n)]
    visits, mri, labs, follow, transplants, treatments = [], [], [], [], [], []
    events, confirmations, values = [], [], []

    def value(name: str, topic: str, term: str, period: str, **rest: object) -> None:
        values.append(
            {"patient_id": name, "arm": "all", "topic": topic, "term": term, "period": period} | rest
        )

    def event(
        name: str, kind: str, measure: str, direction: str, component: str, day: int, **rest: object
    ) -> None:
        number = sum(row["patient_id"] == name and component in row["event_id"] for row in events) + 1
        events.append(
            {
                "patient_id": name, "event_id": f"{name}/{component}/{number}", "kind": kind, "measure": measure,
                "direction": direction, "day": day, "sources": [], "rule_hash": "0",
            } | rest
        )  # fmt: skip

    for i, name in enumerate(ids):
        is_dead = i < n_dead
        last = 22 if is_dead else int(365.25 * (3.9 + 8.8 * noise(i, 1)))
        base = [3.0, 4.0, 5.0, 5.5, 6.0, 3.5][i % 6]
        worse, better = n_dead <= i < n_dead + n_worse, i >= n - 8
        change = int(200 + 900 * noise(i, 2))
        for day in [-400, -120, -70, *([] if is_dead else range(182, last, 182))]:
            later = (1.0 if worse else -1.0 if better else 0.0) if day > change else 0.0
            visits.append({"patient_id": name, "visit_day": day, "edss": min(9.5, base + later)})
        if worse or better:
            onset = next(d for d in range(182, 9999, 182) if d > change)
            component = "edss_worsening" if worse else "edss_improvement"
            event(
                name, "disability", "edss", "worsening" if worse else "improvement", component, onset,
                value_before=base, value_after=base + (1 if worse else -1), confirmed_day=onset + 182, baseline_day=-70,
            )  # fmt: skip
            confirmations.append(
                {
                    "patient_id": name, "event_id": events[-1]["event_id"], "period_days": 168, "day": onset + 182,
                    "value": base + (1 if worse else -1), "source_row": 1, "is_relapse_free": True,
                }
            )  # fmt: skip
        for day in (-150, -75):
            mri.append(
                {"patient_id": name, "scan_day": day, "gd_n": int(12 * noise(i, day) ** 3), "new_t2_n": None}
            )
        for day in [] if is_dead else [45 + i, *range(120, last, 270)]:
            mri.append({"patient_id": name, "scan_day": day, "gd_n": int(day == 58), "new_t2_n": 0})
            if day == 45 + i:
                value(name, "mri_left_out", "scan", "early", day=day, number=float(day == 58))
        for day in range(-7, 31):
            trough = math.exp(-((day - 6) ** 2) / 30)
            for test, high, low in (("neutrophils", 4.0, 0.01), ("platelets", 210.0, 9.0)):
                labs.append(
                    {
                        "patient_id": name, "sample_day": day, "test": test, "unit": "10^9/L",
                        "value": round(high * (low / high) ** trough * (0.7 + 0.6 * noise(i, day)), 3),
                    }
                )  # fmt: skip
        follow.append(
            {
                "patient_id": name, "last_contact_day": last, "vital_status": "dead" if is_dead else "alive",
                "death_day": last if is_dead else None, "cause_class": "treatment-related" if is_dead else None,
            }
        )  # fmt: skip
        transplants.append(
            {"patient_id": name, "transplant_number": 1, "mobilisation_start_day": -60 - i, "infusion_day": 0}
        )
        value(name, "baseline", "edss", "baseline", number=base)
        value(name, "baseline", "age_years", "baseline", number=24.0 + i)
        value(
            name,
            "follow_up",
            "last_contact",
            "after",
            day=last,
            number=last / DAYS_PER_YEAR,
            value="dead" if is_dead else "alive",
        )
        value(
            name, "relapses", "relapses", "before", number=float(2 + i % 9), exposure_years=5.8 + noise(i, 3)
        )
        value(name, "relapses", "relapses", "after", number=0.0, exposure_years=last / DAYS_PER_YEAR)
        worst = "fatal" if is_dead else "not stated" if i == n - 1 else "moderate" if i % 3 == 0 else "mild"
        value(name, "toxicity", "worst_severity", "mobilisation to day 100", value=worst)
        organs = (
            "infections",
            "hepatobiliary disorders",
            "blood and lymphatic system disorders",
            "gastrointestinal disorders",
        )
        for organ in organs[: 1 + i % 4]:
            value(name, "toxicity_organ", organ, "mobilisation to day 100", value=worst)
        if is_dead:
            value(name, "death", "death", "after", day=last, number=float(last), value="treatment-related")
        if i < 19:
            value(
                name,
                "work",
                "off_disability_and_working",
                "last",
                value="yes" if i < 7 else "no",
                mark="inferred",
            )
        if i % 5 and not is_dead:
            for day in range(30, last, 300):
                t = day / DAYS_PER_YEAR
                loss = -3.3 * min(t, 2.5) / 2.5 - 0.23 * max(t - 2.5, 0) + 0.5 * (noise(i, day) - 0.5)
                value(name, "brain_volume", "pct_change", "after", day=day, number=loss * (0.5 + noise(i, 9)))
    if n > 2:
        treatments.append({"patient_id": ids[2], "kind": "dmt", "drug": "interferon beta", "start_day": 900})
        event(ids[2], "relapse", "relapse", "worsening", "relapse", 850)
    study = make_study(
        "made-up", data_kind=data_kind, patients=pl.DataFrame({"patient_id": ids}), visits=pl.DataFrame(visits),
        mri=pl.DataFrame(mri), labs=pl.DataFrame(labs), follow_up=pl.DataFrame(follow, infer_schema_length=None),
        transplants=pl.DataFrame(transplants),
        treatments=pl.DataFrame(treatments, schema={"patient_id": pl.String, "kind": pl.String, "drug": pl.String, "start_day": pl.Int64}),
    )  # fmt: skip
    times = [(row["last_contact_day"] / DAYS_PER_YEAR, row["patient_id"]) for row in follow]
    onset = {
        row["patient_id"]: row["day"] / DAYS_PER_YEAR
        for row in events
        if row["direction"] == "worsening" and row["measure"] == "edss"
    }
    dead = {row["patient_id"] for row in follow if row["vital_status"] == "dead"}
    progression = [(onset.get(name, t), name in onset) for t, name in times if name not in dead]
    counted = [(onset.get(name, t), name in onset or name in dead) for t, name in times]
    free = [(t, False) for t, name in times if name not in dead]
    endpoint = "activity_free_survival"
    curves = [
        *kaplan_meier(progression, endpoint, "composite", "as_published"),
        *kaplan_meier(counted, endpoint, "composite", "everyone_counted"),
        *kaplan_meier(free, endpoint, "relapse", "as_published"),
        *kaplan_meier(free, endpoint, "mri_activity", "as_published"),
        *kaplan_meier(progression, endpoint, "edss_worsening", "as_published"),
        *incidence([(t, name in dead) for t, name in times], "treatment_related_mortality", ("treatment_related", "other_death")),
        *incidence([((10 + i % 5) / DAYS_PER_YEAR, True) for i in range(n)], "neutrophil_engraftment", ("engrafted", "death")),
    ]  # fmt: skip
    return Cohort(
        study=study,
        events=from_rows(events, EVENTS),
        confirmations=from_rows(confirmations, CONFIRMATIONS),
        patient_values=from_rows(values, PATIENT_VALUES),
        curves=from_rows(curves, CURVE),
        results=from_rows(RESULT_ROWS, RESULTS),
        flow=from_rows(FLOW_ROWS, FLOW),
    )


def kaplan_meier(
    patients: list[tuple[float, bool]], endpoint: str, component: str, estimand: str
) -> list[dict]:
    rows, survival, greenwood = [], 1.0, 0.0
    for t in sorted({t for t, _ in patients}):
        at_risk = sum(u >= t for u, _ in patients)
        n_events = sum(u == t and is_event for u, is_event in patients)
        survival *= 1 - n_events / at_risk
        limits = (None, None)
        if 0 < survival < 1:
            greenwood += n_events / (at_risk * (at_risk - n_events))
            spread = 1.959964 * math.sqrt(greenwood) / abs(math.log(survival))
            limits = (survival ** math.exp(spread), survival ** math.exp(-spread))
        rows.append(
            curve_row(endpoint, component, estimand, t, at_risk, n_events, patients, survival, limits)
        )
    return rows


def incidence(patients: list[tuple[float, bool]], endpoint: str, causes: tuple[str, str]) -> list[dict]:
    """All events are of the first cause."""
    rows = kaplan_meier(patients, endpoint, "composite", "as_observed")
    first = [
        row | {
            "cause": causes[0], "estimate": 1 - row["estimate"], "lower": row["upper"] and 1 - row["upper"],
            "upper": row["lower"] and 1 - row["lower"], "method": "Aalen–Johansen",
        }
        for row in rows
    ]  # fmt: skip
    return first + [
        row | {"cause": causes[1], "estimate": 0.0, "n_events": 0, "lower": None, "upper": None}
        for row in first
    ]


def curve_row(endpoint, component, estimand, t, at_risk, n_events, patients, survival, limits):
    return {
        "study_id": "made-up", "endpoint": endpoint, "component": component, "definition": "d", "estimand": estimand,
        "population": "infused", "arm": "all", "time_years": t, "n_at_risk": at_risk, "n_events": n_events,
        "n_censored": sum(u == t and not is_event for u, is_event in patients), "estimate": survival, "std_error": 0.0,
        "lower": limits[0], "upper": limits[1], "conf_level": 0.95, "method": "Kaplan–Meier, log(-log)",
    }  # fmt: skip


def result(
    endpoint: str, statistic: str, estimate: float, lower: float | None, upper: float | None, **rest: object
) -> dict:
    return {
        "study_id": "made-up", "data_kind": "reconstructed", "endpoint": endpoint, "definition": "d",
        "definition_hash": "0", "estimand": "as_observed", "population": "infused", "arm": "all",
        "statistic": statistic, "unit": "probability", "unit_of_analysis": "patient", "estimate": estimate,
        "lower": lower, "upper": upper, "conf_level": 0.95, "sided": "two", "n": 24, "method": "Clopper-Pearson",
    } | rest  # fmt: skip


def milestone_row(estimand: str, estimate: float, lower: float, upper: float, method: str) -> dict:
    return result(
        "activity_free_survival", "survival_probability", estimate, lower, upper, component="composite",
        estimand=estimand, time_years=1096 / 365.25, method=method,
    )  # fmt: skip


RESULT_ROWS = [
    milestone_row("as_published", 0.6957, 0.471, 0.868, "Clopper-Pearson"),
    milestone_row("as_published", 0.6957, 0.466, 0.842, "log(-log)"),
    milestone_row("everyone_counted", 0.6667, 0.447, 0.844, "Clopper-Pearson"),
    milestone_row("everyone_counted", 0.6667, 0.443, 0.817, "log(-log)"),
    result("relapses", "rate", 1.193, 1.019, 1.388, term="before", unit="per patient-year", n_events=167, person_years=140.0),
    result("relapses", "rate", 0.0, 0.0, 0.0206, term="after", unit="per patient-year", n_events=0, person_years=179.0),
    result("relapses", "rate", 0.0, None, 0.0167, term="after", unit="per patient-year", n_events=0, person_years=179.0, sided="upper"),
    result("brain_volume", "mixed_model", -3.3, -4.1, -2.5, component="break 2.5 y, own slopes", term="early_change", unit="percent"),
    result("brain_volume", "mixed_model", -0.23, -0.41, -0.05, component="break 2.5 y, own slopes", term="late_slope", unit="percent per year"),
    *(result("improved_and_alive", "prevalence", p, max(p - 0.18, 0), p + 0.2, time_years=t) for t, p in ((0.5, 0.1), (1, 0.2), (2, 0.3), (3, 0.33), (5, 0.33))),
    *(result("toxicity", "proportion", k / 24, max(k / 24 - 0.18, 0), min(k / 24 + 0.2, 1), term=f"worst_severity: {s}", n_events=k) for s, k in (("mild", 14), ("moderate", 8), ("fatal", 1))),
    result("work", "proportion", 7 / 19, 0.163, 0.616, term="off_disability_and_working", n=19, mark="inferred"),
]  # fmt: skip

FLOW_ROWS = [
    {"step": step, "population": population, "arm": "all", "n": n, "n_left_out": left_out, "reason": reason}
    for step, population, n, left_out, reason in (
        ("enrolled", "enrolled", 25, 0, ""),
        ("mobilised", "mobilised", 25, 0, ""),
        ("collected", "mobilised", 24, 1, "stem cells could not be collected"),
        ("conditioned", "infused", 24, 0, ""),
        ("infused", "infused", 24, 0, ""),
        ("analysed: activity_free_survival, everyone_counted", "infused", 24, 0, ""),
        (
            "analysed: activity_free_survival, as_published",
            "infused",
            23,
            1,
            "treatment death, left out as published",
        ),
    )
]


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return make_cohort()


@pytest.fixture(scope="session")
def cohort_of():
    """The maker of other cohorts."""
    return make_cohort


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed: the page was not opened")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
