"""The 24 invented courses: one row per patient, placed by hand so that the published totals come out.

Nothing here is a real person's course. Which numbers are published, and where, is in `published.csv`;
the sums and medians that the rows serve stand beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True, kw_only=True)
class Course:
    """One invented patient. Days are whole; years are of 365.25 days; months of 30.4375 days.

    `swing` is a half-step fluctuation to one side only, so that no two visits before `steps` differ
    by a threshold, whatever visit is taken as the baseline.
    """

    number: int  # place in the order of infusion, from 0
    infusion: date
    followed_days: int  # infusion to last contact
    ms_course: str
    age_years: float  # at infusion
    duration_days: int  # first symptom to infusion
    exposure_days: int  # diagnosis to start of mobilisation
    relapses_n: int  # within the exposure
    edss: float  # at both visits before mobilisation
    swing: float
    steps: tuple[tuple[int, float], ...]  # (month after infusion, EDSS from then on)

    @property
    def mobilisation(self) -> date:
        """Start of mobilisation: six to eight weeks before infusion."""
        return self.infusion - timedelta(days=42 + 5 * self.number % 14)

    @property
    def diagnosis(self) -> date:
        """Date of diagnosis."""
        return self.mobilisation - timedelta(days=self.exposure_days)

    @property
    def died(self) -> bool:
        """True for the one death, of the treatment."""
        return self.number == DEATH


# One of 24 died: hepatic necrosis and sepsis after oral busulfan. The day is unpublished.
DEATH = 3
ORAL_BUSULFAN = range(7)  # "early patients": how many is unpublished

# Columns: infused (October 2001 to December 2009) and followed (23 survivors: median 6.7, 3.9 to 12.7 y;
# 65,380 days = 179.0 y with the death); course (12 and 12), age (median 34), duration (median 5.8 y),
# exposure (51,135 days = 140.0 y) with its relapses (167); EDSS (median 5.0) and its changes.
# 7 progress by month 30 and 1 after 5 years, all by 1.0 or more; 8 improve by 1.0 or more.
_ROWS = (
    ("2001-10-16", 4639, "RRMS", 26.4, 995, 730, 5, 4.0, 0.5, ((12, 3.0), (30, 2.5))),
    ("2002-02-05", 4469, "SPMS", 39.6, 3620, 3251, 7, 6.0, 0.0, ((12, 7.0),)),
    ("2002-06-11", 4288, "RRMS", 23.7, 760, 584, 4, 3.5, 0.0, ((6, 2.0),)),
    ("2002-09-24", 60, "SPMS", 36.7, 2290, 2009, 9, 5.5, 0.0, ()),
    ("2002-11-19", 4234, "RRMS", 29.5, 1290, 1096, 6, 5.0, 0.0, ((18, 4.0),)),
    ("2003-03-11", 4081, "SPMS", 45.8, 5010, 4456, 14, 5.0, -0.5, ((72, 6.0),)),
    ("2003-07-08", 3978, "RRMS", 30.8, 1680, 1498, 4, 3.5, 0.5, ()),
    ("2004-02-10", 3732, "RRMS", 32.4, 2610, 2338, 13, 3.5, -0.5, ((24, 4.5),)),
    ("2004-09-14", 3559, "SPMS", 33.2, 1990, 1753, 5, 6.0, 0.0, ((18, 5.0),)),
    ("2005-03-22", 3236, "SPMS", 41.3, 3105, 2739, 4, 5.0, -0.5, ()),
    ("2005-10-11", 2986, "SPMS", 43.9, 4120, 3616, 9, 5.5, 0.0, ((6, 6.5),)),
    ("2006-05-16", 2661, "RRMS", 21.9, 610, 457, 3, 3.0, 0.5, ((9, 2.0),)),
    ("2006-11-07", 2447, "SPMS", 36.4, 2870, 2520, 6, 5.5, 0.0, ()),
    ("2007-03-13", 2385, "RRMS", 28.2, 1600, 1388, 9, 4.5, -0.5, ((18, 5.5),)),
    ("2007-06-26", 2282, "RRMS", 27.3, 1240, 986, 8, 4.5, 0.5, ((12, 3.0), (42, 2.5))),
    ("2007-09-25", 2215, "RRMS", 34.1, 1840, 1644, 3, 4.5, -0.5, ()),
    ("2008-01-17", 2111, "SPMS", 48.3, 5480, 5040, 10, 6.0, 0.0, ((30, 7.0),)),
    ("2008-04-15", 2024, "SPMS", 31.6, 1450, 1242, 4, 5.5, 0.0, ((15, 4.5),)),
    ("2008-08-12", 1873, "SPMS", 38.5, 3390, 2959, 5, 6.0, 0.0, ()),
    ("2008-10-21", 1834, "RRMS", 35.9, 2110, 1826, 12, 4.0, -0.5, ((9, 5.5),)),
    ("2009-02-10", 1705, "RRMS", 40.7, 4390, 4109, 13, 5.0, 0.0, ()),
    ("2009-05-12", 1626, "RRMS", 25.2, 1050, 840, 3, 4.0, 0.5, ((6, 3.0), (24, 2.5))),
    ("2009-08-18", 1530, "SPMS", 35.1, 2440, 2155, 8, 5.0, -0.5, ((18, 6.0),)),
    ("2009-12-08", 1425, "SPMS", 34.3, 2127, 1899, 3, 6.0, 0.0, ()),
)

COURSES = tuple(
    Course(
        number=number,
        infusion=date.fromisoformat(infusion),
        followed_days=followed,
        ms_course=ms_course,
        age_years=age,
        duration_days=duration,
        exposure_days=exposure,
        relapses_n=relapses,
        edss=edss,
        swing=swing,
        steps=steps,
    )
    for number, (
        infusion, followed, ms_course, age, duration, exposure, relapses, edss, swing, steps,
    ) in enumerate(_ROWS)
)  # fmt: skip
