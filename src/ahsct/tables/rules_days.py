"""Rules on the order of days: birth, onset, diagnosis, mobilisation, infusion, last contact, death."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from ahsct.tables.days import date_stems
from ahsct.tables.problems import Rule

# Each step of a table may not lie before any of the steps named ahead of it.
_STEPS: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]] = {
    "patients": [("birth_day", ()), ("disease_onset_day", ("birth_day",)),
                 ("diagnosis_day", ("birth_day", "disease_onset_day"))],
    "transplants": [
        ("mobilisation_start_day", ("patient.birth_day", "patient.disease_onset_day", "patient.diagnosis_day")),
        ("apheresis_day", ("mobilisation_start_day",)),
        ("conditioning_start_day", ("mobilisation_start_day", "apheresis_day")),
        ("infusion_day", ("patient.birth_day", "patient.disease_onset_day", "patient.diagnosis_day",
                          "mobilisation_start_day", "apheresis_day", "conditioning_start_day")),
        ("neutrophil_engraftment_day", ("infusion_day",)),
        ("platelet_engraftment_day", ("infusion_day",)),
        ("discharge_day", ("conditioning_start_day", "infusion_day")),
    ],
    "relapses": [("end_day", ("onset_day",))],
    "treatments": [("end_day", ("start_day",))],
    "adverse_events": [("end_day", ("start_day",))],
    "follow_up": [("last_contact_day", ("patient.birth_day", "patient.diagnosis_day", "patient.mobilisation_day",
                                        "patient.infusion_day")),
                  ("death_day", ("patient.birth_day", "patient.diagnosis_day", "patient.mobilisation_day",
                                 "patient.infusion_day"))],
}  # fmt: skip
_IN_WORDS = {
    "mri": "`mri.reference_scan_day` lies after the scan itself",
    "brain_volume": "`brain_volume.reference_scan_day` lies after the scan itself",
}


def day_rules(table: str) -> list[Rule]:
    """Return the rules on the order of days for one table."""
    return [*_order(table), *_around_life(table)]


def completed_rules(table: str, present: Iterable[str]) -> list[Rule]:
    """Return rules on dates that a mapping completed (`<column>_imputed`): day 0 may lie in what is not known.

    `present` are the columns of the table.
    """
    rules = []
    for stem in date_stems(table):
        date, day, flag = pl.col(f"{stem}_date"), pl.col(f"{stem}_day"), f"{stem}_date_imputed"
        if flag not in present or table in ("patients", "follow_up"):
            continue
        index = date - pl.duration(days=day)
        is_same_year = index.dt.year() == date.dt.year()
        is_same_month = is_same_year & (index.dt.month() == date.dt.month())
        rules.append(Rule(
            name="completed_across_day_0", column=f"{stem}_date", severity="warning",
            when=((pl.col(flag) == "M") & is_same_year) | ((pl.col(flag) == "D") & is_same_month),
            message=f"`{table}.{stem}_date` is {{value}}, completed from a month or a year that holds day 0: whether it lies "
            "before or after is not known. Give the day, or compare the results with the first and the last day.",
        ))  # fmt: skip
    return rules


def _order(table: str) -> list[Rule]:
    rules = [
        Rule(
            name="days_out_of_order", column=step,
            when=pl.col(step) < (pl.max_horizontal(earlier) if len(earlier) > 1 else pl.col(*earlier)),
            message=f"`{table}.{step}` is {{value}}, before "
            f"{' or '.join(name.removeprefix('patient.') for name in earlier)}. Correct the dates.",
        )
        for step, earlier in _STEPS.get(table, []) if earlier
    ]  # fmt: skip
    if table in _IN_WORDS:
        rules.append(Rule(
            name="days_out_of_order", column="reference_scan_day",
            when=pl.col("reference_scan_day") > pl.col("scan_day"),
            message=f"{_IN_WORDS[table]} (day {{value}}). Correct the dates.",
        ))  # fmt: skip
    return rules


def _around_life(table: str) -> list[Rule]:
    """Return rules on days before birth, after death and after the last contact."""
    rules = []
    steps = {
        step
        for step, earlier in _STEPS.get(table, [])
        if "patient.birth_day" in earlier or "birth_day" in earlier
    }
    for stem in date_stems(table):
        day = f"{stem}_day"
        where, value = f"`{table}.{day}`", pl.col(day)
        if day not in ("birth_day", *steps):
            rules.append(Rule(
                name="before_birth", column=day, when=value < pl.col("patient.birth_day"),
                message=f"{where} is {{value}}, before the patient's birth. Correct the dates.",
            ))  # fmt: skip
        if day != "death_day":
            rules.append(Rule(
                name="after_death", column=day, when=value > pl.col("patient.death_day"),
                message=f"{where} is {{value}}, after the patient's death. Correct the dates.",
            ))  # fmt: skip
        if table != "follow_up" or day in ("last_edss_day", "last_mri_day"):
            is_before_death = (pl.col("patient.death_day") >= value).fill_null(True)
            rules.append(Rule(
                name="after_last_contact", column=day, severity="warning",
                when=(value > pl.col("patient.last_contact_day")) & is_before_death,
                message=f"{where} is {{value}}, after the last contact in `follow_up`; follow-up ends at the last contact. "
                "Correct one of them.",
            ))  # fmt: skip
    return rules
