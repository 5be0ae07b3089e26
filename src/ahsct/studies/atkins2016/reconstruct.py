"""Places the tables of the reconstruction: `python -m ahsct.studies.atkins2016.reconstruct` writes them.

Values stand in `courses.py` and `assessments.py`; the seed below only shuffles which patient number,
centre, lesion count, blood recovery and severity goes to which course. Nothing here knows how the
values are analysed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ahsct.files import new_file
from ahsct.studies.atkins2016 import assessments
from ahsct.studies.atkins2016.assessments import Row
from ahsct.studies.atkins2016.courses import COURSES, DEATH, ORAL_BUSULFAN
from ahsct.vocabulary import DAYS_PER_YEAR, INPUT_TABLES, SCHEMAS, from_rows

SEED = 20160609

# Three hospitals in Canada; how many patients each had is unpublished.
CENTRES = ("Centre 1",) * 12 + ("Centre 2",) * 7 + ("Centre 3",) * 5
# Worst toxicity: 58 % mild (14) and 33 % moderate (8) of 24; one died, and one is not accounted for.
MODERATE_LEAK = 5  # transient capillary leak in a second patient on the highest oral dose of busulfan
SEVERITIES = ("mild",) * 14 + ("moderate",) * 7 + (None,)
TOXICITIES = (  # invented, but for the two named above
    ("mucositis", "Gastrointestinal disorders"),
    ("febrile neutropenia", "Blood and lymphatic system disorders"),
    ("nausea", "Gastrointestinal disorders"),
    ("raised liver enzymes", "Investigations"),
)
# 37 % off disability insurance and back at work: 7 of 19 (our reading of the denominator).
WORKING_BEFORE = (0, 3, 6, 11, 15)
BACK_AT_WORK = (2, 4, 8, 14, 17, 20, 21)
# All had failed an earlier treatment; which one is unpublished.
EARLIER_DRUGS = ("interferon beta", "glatiramer acetate", "mitoxantrone")


def build() -> dict[str, pl.DataFrame]:
    """Return every table of the study, with the columns that it uses, in the vocabulary's order.

    Examples
    --------
    >>> build()["relapses"].height
    167
    """
    number = {name: _shuffled(24, stream) for stream, name in enumerate(("id", "centre", "gd", "blood"), 1)}
    ids = [f"P{place + 1:02d}" for place in number["id"]]
    rows = {
        "patients": _patients(ids, number["centre"]),
        "visits": assessments.visits(ids),
        "relapses": _relapses(ids),
        "mri": assessments.scans(ids, number["gd"]),
        "brain_volume": assessments.brain_volume(ids),
        "transplants": _transplants(ids),
        "treatments": _treatments(ids),
        "labs": assessments.labs(ids, number["blood"]),
        "transfusions": assessments.transfusions(ids, number["blood"]),
        "adverse_events": _adverse_events(ids),
        "employment": _employment(ids),
        "follow_up": _follow_up(ids),
    }
    return {name: _table(name, rows[name]) for name in INPUT_TABLES}


def write(folder: Path) -> None:
    """Write every table as CSV into an existing folder, over what is there."""
    for name, table in build().items():
        with new_file(folder / f"{name}.csv", force=True) as path:
            table.write_csv(path)


def _patients(ids: Sequence[str], order: Sequence[int]) -> list[Row]:
    return [
        {
            "patient_id": ids[c.number],
            "sex": "U",  # in no text read
            "birth_date": c.infusion - timedelta(days=round(c.age_years * DAYS_PER_YEAR)),
            "ms_course": c.ms_course,
            "disease_onset_date": c.infusion - timedelta(days=c.duration_days),
            "diagnosis_date": c.diagnosis,
            "site": CENTRES[order[c.number]],
            "country": "CAN",
            "arm": "BU-CY-ATG aHSCT",
            "time_zero_kind": "infusion",
            "index_date": c.infusion,
            "prior_dmt_n": len(_earlier_courses(c.number)),
        }
        for c in COURSES
    ]


def _relapses(ids: Sequence[str]) -> list[Row]:
    """167 relapses between diagnosis and mobilisation: one to three in the last year, the others spread.

    None in the 110 days before mobilisation, so that both visits before it are far from a relapse.
    """
    rows = []
    for c in COURSES:
        rate = c.relapses_n / c.exposure_days * DAYS_PER_YEAR
        last_year_n = 1 if rate < 0.7 else 2 if rate < 2.3 else 3
        before = [120 + (75 + 5 * c.number % 23) * k + 3 * c.number % 19 for k in range(last_year_n)]
        earlier_n = c.relapses_n - last_year_n
        step = (c.exposure_days - 395) / max(earlier_n, 1)
        before += [
            round(380 + step * (k + 0.5 + 0.3 * (-1) ** k * (c.number % 3 - 1))) for k in range(earlier_n)
        ]
        rows += [
            {"patient_id": ids[c.number], "onset_date": c.mobilisation - timedelta(days=day)}
            for day in before
        ]
    return rows


def _transplants(ids: Sequence[str]) -> list[Row]:
    return [
        {
            "patient_id": ids[c.number],
            "transplant_number": 1,
            "mobilisation_start_date": c.mobilisation,
            "mobilisation_regimen": "cyclophosphamide + filgrastim",
            "apheresis_date": c.mobilisation + timedelta(days=11),
            "cd34_selected": True,
            "conditioning_start_date": c.infusion - timedelta(days=10),
            "conditioning_regimen": "BU-CY-ATG",
            "intensity": "high",
            "atg_product": "rabbit",
            "atg_dose_mg_kg": 5.0,
            "infusion_date": c.infusion,
        }
        for c in COURSES
    ]


def _treatments(ids: Sequence[str]) -> list[Row]:
    """Earlier drugs, and the published doses; the days within a course are invented."""
    rows = []
    for c in COURSES:
        for drug, start, end in _earlier_courses(c.number):
            rows.append(
                {
                    "patient_id": ids[c.number],
                    "kind": "dmt",
                    "drug": drug,
                    "start_date": c.mobilisation - timedelta(days=start),
                    "end_date": c.mobilisation - timedelta(days=end),
                }
            )
        busulfan_route = "oral" if c.number in ORAL_BUSULFAN else "intravenous"
        for kind, drug, dose, unit, route, day, days in (
            ("mobilisation", "cyclophosphamide", 4.5, "g/m2", "intravenous", 0, 1),
            ("mobilisation", "filgrastim", 10.0, "ug/kg/day", "subcutaneous", 1, 10),
            ("conditioning", "busulfan", 9.6, "mg/kg", busulfan_route, -10, 4),
            ("conditioning", "cyclophosphamide", 200.0, "mg/kg", "intravenous", -5, 4),
            ("conditioning", "rabbit antithymocyte globulin", 5.0, "mg/kg", "intravenous", -4, 4),
        ):
            start_date = (c.mobilisation if kind == "mobilisation" else c.infusion) + timedelta(days=day)
            rows.append(
                {
                    "patient_id": ids[c.number],
                    "kind": kind,
                    "drug": drug,
                    "start_date": start_date,
                    "end_date": start_date + timedelta(days=days - 1),
                    "dose": dose,
                    "unit": unit,
                    "route": route,
                }
            )
    return rows


def _earlier_courses(number: int) -> list[tuple[str, int, int]]:
    """Earlier drugs of one patient: name, start and end in days before mobilisation; a year or longer."""
    exposure = COURSES[number].exposure_days
    first = EARLIER_DRUGS[number % 2]
    if exposure < 1000:
        return [(first, exposure - 30, 40)]
    second = EARLIER_DRUGS[2 if number % 5 == 0 else 1 - number % 2]
    return [(first, exposure - 60, exposure // 2), (second, exposure // 2 - 30, 60)]


def _adverse_events(ids: Sequence[str]) -> list[Row]:
    """Worst toxicity of each patient, as published: in words, without a scale, so without a grade."""
    others = [c.number for c in COURSES if c.number not in (DEATH, MODERATE_LEAK)]
    severity = dict(zip(others, (SEVERITIES[place] for place in _shuffled(22, 5)), strict=True))
    severity |= {DEATH: "fatal", MODERATE_LEAK: "moderate"}
    rows = []
    for c in COURSES:
        term, soc = TOXICITIES[c.number % len(TOXICITIES)]
        if c.number == DEATH:
            term, soc = "hepatic necrosis and sepsis", "Hepatobiliary disorders"
        elif c.number == MODERATE_LEAK:
            term, soc = "capillary leak syndrome", "Vascular disorders"
        rows.append(
            {
                "patient_id": ids[c.number],
                "term": term,
                "start_date": c.infusion + timedelta(days=24 if c.number == DEATH else 3 + c.number % 9),
                "severity": severity[c.number],
                "scale": "not stated",
                "soc": soc,
                "serious": c.died or None,
                "related_to": "conditioning",
                "outcome": "fatal" if c.died else None,
            }
        )
    return rows


def _employment(ids: Sequence[str]) -> list[Row]:
    """Before, 19 on disability insurance; at the end 7 of them off it and employed, the others unchanged."""
    rows = []
    for c in COURSES:
        works_before = c.number in WORKING_BEFORE
        at = {c.mobilisation - timedelta(days=80): works_before}
        if not c.died:
            at[c.infusion + timedelta(days=c.followed_days - 3)] = works_before or c.number in BACK_AT_WORK
        rows += [
            {
                "patient_id": ids[c.number],
                "assessment_date": day,
                "status": "employed" if works else "unemployed",
                "disability_pension": not works,
            }
            for day, works in at.items()
        ]
    return rows


def _follow_up(ids: Sequence[str]) -> list[Row]:
    return [
        {
            "patient_id": ids[c.number],
            "last_contact_date": (last := c.infusion + timedelta(days=c.followed_days)),
            "vital_status": "dead" if c.died else "alive",
            "death_date": last if c.died else None,
            "death_cause": "hepatic necrosis and sepsis" if c.died else None,
            "cause_class": "treatment-related" if c.died else None,
        }
        for c in COURSES
    ]


def _shuffled(n: int, stream: int) -> list[int]:
    """Return 0 .. n-1 in the order of raw Philox words, which no version of numpy changes."""
    words = np.random.Philox(key=[SEED, stream]).random_raw(n)
    return [int(place) for place in np.argsort(words, kind="stable")]


def _table(name: str, rows: list[Row]) -> pl.DataFrame:
    """Return rows in the order of patients and days, without the columns that hold nothing."""
    day = next(column for column in rows[0] if column.endswith("_date"))
    table = from_rows(sorted(rows, key=lambda row: (row["patient_id"], row[day])), SCHEMAS[name])
    return table.select(column.name for column in table if column.null_count() < table.height)


if __name__ == "__main__":
    write(Path(__file__).parent)
