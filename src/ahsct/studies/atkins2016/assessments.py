"""What was assessed again and again: EDSS, scans, brain volume, blood counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from math import exp
from typing import Any

import numpy as np

from ahsct.studies.atkins2016.courses import COURSES, Course
from ahsct.vocabulary import DAYS_PER_YEAR

Row = dict[str, Any]
MONTH_DAYS = DAYS_PER_YEAR / 12

# Published: seen every 3 months to 3 years, then every 6 months to 10 years.
VISIT_MONTHS = (*range(3, 37, 3), *range(42, 121, 6))
# Scans: 305 on this schedule and one more at month 54 in the nine followed longest make the published 314.
SCAN_MONTHS = (3, 6, 9, 12, 18, 24, 30, 36, 42, 48, *range(60, 156, 12))
EXTRA_SCAN_MONTH, LONGEST_FOLLOWED_N = 54, 9

# Published: 188 gadolinium-enhancing lesions on 48 scans before; here a patient's lesions on two scans.
GD_BEFORE = (31, 24, 19, 16, 14, 12, 11, 9, 8, 7, 6, 6, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0, 0)
# 327 - 314 = 13 early scans, one of them with the one new lesion (our reading of two published counts).
EARLY_SCANS = (*range(0, 24, 2), 21)
EARLY_LESION = 12

# Published for 19 patients: -3.3 percent, slowing over about 2.5 years, then -0.23 percent a year.
NO_BRAIN_VOLUME = (11, 14, 18, 21)
EARLY_CHANGE, BREAK_YEARS, LATE_SLOPE = -3.3, 2.5, -0.23
PATIENT_SD, RESIDUAL_SD = 0.6, 0.2  # invented


def visits(ids: Sequence[str]) -> list[Row]:
    """EDSS at screening, before mobilisation with the same score, and after infusion.

    A change that is first seen when visits are six months apart is looked at again after three.
    """
    rows = []
    for course in COURSES:
        last = course.followed_days - 3
        again = {_day_of(course, month + 3) for month, _ in course.steps if month > VISIT_MONTHS[11]}
        days = {day for m in VISIT_MONTHS if (day := _day_of(course, m)) <= last - 45} | again | {last}
        before = [course.mobilisation - timedelta(days=80), course.mobilisation - timedelta(days=7)]
        after = [] if course.died else [_after(course, day) for day in sorted(days)]
        checks = [_after(course, day) for day in again]
        rows += [
            {
                "patient_id": ids[course.number],
                "visit_date": day,
                "edss": _edss(course, day, k),
                "visit_type": "screening" if k == 0 else "unscheduled" if day in checks else "scheduled",
            }
            for k, day in enumerate([*before, *after])
        ]
    return rows


def scans(ids: Sequence[str], order: Sequence[int]) -> list[Row]:
    """Place two scans before mobilisation, 13 early ones and 314 from the re-baseline on.

    New T2 lesions are counted against the scan before.
    """
    rows = []
    for course in COURSES:
        gd = GD_BEFORE[order[course.number]]
        before = _scans_before(course)
        after = [_after(course, day) for day in scan_days(course)]
        if course.number in EARLY_SCANS:
            after.insert(0, _after(course, 25 + 5 * course.number % 23))
        for k, day in enumerate([*before, *after]):
            is_lesion = course.number == EARLY_LESION and k == len(before)
            rows.append(
                {
                    "patient_id": ids[course.number],
                    "scan_date": day,
                    "gd_n": (gd + 1) // 2 if k == 0 else gd // 2 if k == 1 else 0,
                    "new_t2_n": None if k < len(before) else int(is_lesion),
                    "reference_scan_date": None if k < len(before) else [*before, *after][k - 1],
                    "with_gd": True,
                }
            )
    return rows


def scan_days(course: Course) -> list[int]:
    """Days of the scans from the re-baseline on; none after the death."""
    if course.died:
        return []
    longest = sorted(COURSES, key=lambda c: -c.followed_days)[:LONGEST_FOLLOWED_N]
    months = sorted((*SCAN_MONTHS, *((EXTRA_SCAN_MONTH,) if course in longest else ())))
    return [day for month in months if (day := _day_of(course, month)) <= course.followed_days - 10]


def brain_volume(ids: Sequence[str]) -> list[Row]:
    """Percent change since the scan before mobilisation, on a line that breaks 2.5 years after infusion.

    A patient's residuals are orthogonal to the patient's own design, and the patients' offsets to the
    mean designs, so that a mixed model with a random intercept returns the line that was put in. The
    line starts from 0 at infusion, so that it does so with the scans before (as of that day) and without.
    """
    chosen = [c for c in COURSES if not c.died and c.number not in NO_BRAIN_VOLUME]
    years = [np.array(scan_days(course)) / DAYS_PER_YEAR for course in chosen]
    designs = [
        np.column_stack([np.ones_like(t), np.minimum(t, BREAK_YEARS), np.maximum(t - BREAK_YEARS, 0)])
        for t in years
    ]
    slopes = (EARLY_CHANGE / BREAK_YEARS, LATE_SLOPE)
    offsets = _residual(
        np.cos(2.0 * np.arange(len(chosen))), np.array([design.mean(axis=0) for design in designs])
    )
    rows = []
    for course, design, offset in zip(chosen, designs, offsets, strict=True):
        noise = _residual(np.cos(1.7 * np.arange(len(design)) + course.number), design)
        values = design @ np.array([PATIENT_SD * offset, *slopes]) + RESIDUAL_SD * noise
        reference = _scans_before(course)[1]
        days = [reference, *(_after(course, day) for day in scan_days(course))]
        rows += [
            {
                "patient_id": ids[course.number],
                "scan_date": day,
                "measure": "PBVC",
                "value": round(float(value), 3) + 0.0,
                "reference_scan_date": reference,
            }
            for day, value in zip(days, [0.0, *values], strict=True)
        ]
    return rows


def labs(ids: Sequence[str], order: Sequence[int]) -> list[Row]:
    """Neutrophils and platelets on days -6 to 30 (the trial's own days are unpublished: invented)."""
    rows = []
    for course in COURSES:
        rise = _rise_days(order[course.number])
        for test, count in (("neutrophils", _neutrophils), ("platelets", _platelets)):
            rows += [
                {
                    "patient_id": ids[course.number],
                    "sample_date": _after(course, day),
                    "test": test,
                    "value": count(day, rise[test]),
                    "unit": "10^9/L",
                }
                for day in range(-6, 31)
            ]
    return rows


def transfusions(ids: Sequence[str], order: Sequence[int]) -> list[Row]:
    """Place a platelet transfusion every third day while the count is below 20."""
    return [
        {
            "patient_id": ids[course.number],
            "transfusion_date": _after(course, day),
            "product": "platelets",
            "units_n": 1,
        }
        for course in COURSES
        for day in range(-1, _rise_days(order[course.number])["platelets"], 3)
    ]


def _rise_days(place: int) -> dict[str, int]:
    """First day with neutrophils at 0.5 or more, and with platelets at 20 or more."""
    return {"neutrophils": 10 + place % 4, "platelets": 8 + place % 6}


def _neutrophils(day: int, rise: int) -> float:
    falling = 4.0 * exp(-(day + 6) / 2)
    return round(max(falling, 0.02) if day < rise - 4 else min(0.55 * 1.6 ** (day - rise), 4.0), 2)


def _platelets(day: int, rise: int) -> float:
    falling = 200 * exp(-(day + 6) / 2)
    return round(max(falling, 6) if day < rise - 3 else min(22 * 1.25 ** (day - rise), 180))


def _scans_before(course: Course) -> list[date]:
    return [course.mobilisation - timedelta(days=75), course.mobilisation - timedelta(days=6)]


def _edss(course: Course, day: date, visit: int) -> float:
    """Score at a visit: baseline, a half step to one side now and then, or the level last reached."""
    reached = [level for month, level in course.steps if day >= _after(course, _day_of(course, month))]
    if reached:
        return reached[-1]
    swings = visit >= 2 and (visit + course.number) % 4 == 1
    return course.edss + course.swing * swings


def _day_of(course: Course, month: int) -> int:
    """Day of a visit due in this month: up to ten days early or late, by a fixed pattern."""
    return round(month * MONTH_DAYS) + (8 * course.number + 5 * month) % 21 - 10


def _after(course: Course, day: int) -> date:
    return course.infusion + timedelta(days=day)


def _residual(pattern: Any, design: Any) -> Any:
    """Return the part of a pattern that is orthogonal to a design, with standard deviation 1."""
    rest = pattern - design @ np.linalg.lstsq(design, pattern, rcond=None)[0]
    return rest / rest.std()
