"""What an eligibility rule can ask of a patient: names, kinds, and whether a study's tables can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fact:
    """A fact by its `label`, kind and unit; `is_derived`: computed from the tables, otherwise given by the user."""

    label: str
    kind: Literal["number", "flag", "text"]
    is_derived: bool = True
    is_windowed: bool = False


def _number(label: str) -> Fact:
    return Fact(label, "number")


def _counted(label: str) -> Fact:
    return Fact(label, "number", is_windowed=True)


def _flag(label: str) -> Fact:
    return Fact(label, "flag")


def _told(label: str) -> Fact:
    return Fact(label, "flag", is_derived=False)


FACTS = {
    "ms_course": Fact("course of the disease", "text"),
    "age_years": _number("age, years"),
    "edss": _number("EDSS"),
    "fs_pyramidal": _number("pyramidal grade"),
    "fs_cerebellar": _number("cerebellar grade"),
    "disease_duration_years": _number("years since the first symptom"),
    "years_since_diagnosis": _number("years since diagnosis"),
    "years_since_first_dmt": _number("years since the first DMT"),
    "months_since_mri": _number("months since the last scan"),
    "failed_high_efficacy_dmt_n": _number("high-efficacy DMTs that failed"),
    "failed_dmt_n": _number("DMTs that failed"),
    "failed_baseline_dmt_n": _number("interferons or glatiramer that failed"),
    "relapses_n": _counted("relapses"),
    "relapses_on_dmt_n": _counted("relapses on a DMT"),
    "disabling_relapses_n": Fact("disabling relapses", "number", is_derived=False, is_windowed=True),
    "steroid_treated_relapses_on_dmt_n": _counted("relapses treated with steroids, on a DMT for long enough to fail"),
    "gd_n": _counted("gadolinium-enhancing lesions on one scan"),
    "new_t2_n": _counted("new T2 lesions"),
    "new_or_enlarging_t2_n": _counted("new or enlarging T2 lesions"),
    "active_lesions_n": _counted("gadolinium-enhancing, new or enlarging lesions"),
    "activity_episodes_n": _counted("relapses and active scans"),
    "activity_episodes_on_dmt_n": _counted("relapses and active scans on a DMT for long enough to fail"),
    "edss_rise": _counted("rise of EDSS"),
    "is_dmt_naive": _flag("never had a DMT"),
    "had_mitoxantrone": _flag("had mitoxantrone"),
    "had_transplant": _flag("had a haematopoietic transplant"),
    "had_cytotoxic_drug": _flag("had a cytotoxic drug"),
    "has_clinical_activity": Fact("relapse or EDSS rise", "flag", is_windowed=True),
    "is_highly_active": _told("highly active disease (frequent or poorly recovered relapses, many lesions, rapid disability)"),
    "is_aggressive": _told("aggressive MS"),
    "has_severe_disability_accrual": Fact("severe accrual of disability", "flag", is_derived=False, is_windowed=True),
    "is_rapidly_evolving_severe": _told("rapidly evolving severe MS"),
    "is_malignant": _told("malignant MS"),
    "has_nmosd": _told("neuromyelitis optica spectrum disorder"),
    "is_progressing": Fact("progression of disability", "flag", is_derived=False, is_windowed=True),
    "failed_conventional_therapy": _told("conventional therapy failed"),
    "cannot_have_high_efficacy_dmt": _told("high-efficacy DMTs are contraindicated"),
    "has_high_risk_of_disability": _told("high risk of future disability"),
    "has_ms_by_neurologist": _told("MS diagnosed by a neurologist"),
    "meets_mcdonald_2017": _told("McDonald 2017 criteria met"),
    "meets_paty_or_fazekas": _told("Paty or Fazekas MRI criteria met"),
    "has_csf_bands": _told("oligoclonal bands in cerebrospinal fluid"),
    "meets_organ_limits": _told("organ function within the limits"),
    "has_normal_marrow": _told("normal marrow morphology and cytogenetics"),
    "accepts_risk": _told("understands and accepts the risk"),
    "has_significant_inflammation": _told("significant inflammatory activity"),
    "has_considerable_lesion_load_rise": _told("considerable rise of the lesion load"),
    "has_significant_t2_rise": Fact("significant rise of T2 lesions", "flag", is_derived=False, is_windowed=True),
    "is_in_trial": _told("treated within a trial"),
    "is_experienced_centre": _told("experienced centre"),
    "is_pregnant": _told("pregnant"),
    "has_psychosocial_problem": _told("psychosocial or addiction problem"),
    "is_pml_suspected": _told("progressive multifocal leukoencephalopathy suspected"),
    "has_cytopenia_as_in_mds": _told("cytopenia consistent with myelodysplasia"),
    "is_admitted_by_video": _told("admitted after a video assessment"),
    "can_transfer": _told("can transfer without help"),
}  # fmt: skip


def fact_of(key: str) -> str | None:
    """Return the fact behind a column such as `relapses_n_12m`; None where there is none.

    Examples
    --------
    >>> fact_of("relapses_n_12m"), fact_of("edss"), fact_of("shoe_size")
    ('relapses_n', 'edss', None)
    """
    if key in FACTS and not FACTS[key].is_windowed:
        return key
    name, _, window = key.rpartition("_")
    is_window = window.endswith("m") and window[:-1].isdigit()
    return name if is_window and name in FACTS and FACTS[name].is_windowed else None
