"""A study in the shape of SDTM: domains with supplementary qualifiers, in either generation of the EDSS."""

from __future__ import annotations

from typing import Literal

import polars as pl

from ahsct.errors import RequestError
from ahsct.tables.study import Study
from ahsct.vocabulary import DAYS_PER_YEAR, SCHEMAS

_FS = {
    "fs_pyramidal": ("KFSS101", "KFSS1-Pyramidal Functions"),
    "fs_cerebellar": ("KFSS102", "KFSS1-Cerebellar Functions"),
    "fs_brainstem": ("KFSS103", "KFSS1-Brain Stem Functions"),
    "fs_sensory": ("KFSS104", "KFSS1-Sensory Functions"),
    "fs_bowel_bladder": ("KFSS105", "KFSS1-Bowel and Bladder Functions"),
    "fs_visual": ("KFSS106", "KFSS1-Visual or Optic Functions"),
    "fs_cerebral": ("KFSS107", "KFSS1-Cerebral or Mental Functions"),
}
_FT = {
    "t25fw_s": ("T25FW101", "T25FW1-Time to Complete 25-Foot Walk", "T25FW", None),
    "nhpt_dom_s": ("NHPT0101", "NHPT01-Time to Complete 9-Hole Peg Test", "NHPT", "DOMINANT HAND"),
    "nhpt_nondom_s": ("NHPT0101", "NHPT01-Time to Complete 9-Hole Peg Test", "NHPT", "NON-DOMINANT HAND"),
    "sdmt": ("SDMT0101", "SDMT01-Total Score", "SDMT", None),
    "pasat3": ("PASAT101", "PASAT1-Total Correct", "PASAT", "3 SECONDS"),
}
_NV = {
    "gd_n": "GDLES",
    "new_t2_n": "NEWT2",
    "enlarging_t2_n": "ENLT2",
    "t2_volume_ml": "T2VOL",
    "t1_volume_ml": "T1VOL",
}
_SCAN_MORE = {
    "gd_n_min": "GDMIN", "gd_n_max": "GDMAX", "new_t2_n_min": "NEWT2MIN", "new_t2_n_max": "NEWT2MAX",
    "enlarging_t2_n_min": "ENLT2MIN", "enlarging_t2_n_max": "ENLT2MAX", "field_t": "FIELDT",
}  # fmt: skip
_LB = {
    "neutrophils": "NEUT", "platelets": "PLAT", "leukocytes": "WBC", "lymphocytes": "LYM", "haemoglobin": "HGB",
    "monocytes": "MONO", "eosinophils": "EOS", "cd4": "CD4", "cd8": "CD8", "cd19": "CD19", "cd3": "CD3", "cd34": "CD34",
    "nk": "CD16CD56", "alt": "ALT", "ast": "AST", "bilirubin": "BILI", "creatinine": "CREAT", "nfl": "NFL", "other": "OTHER",
}  # fmt: skip
_SEVERITY = {
    "mild": "MILD", "moderate": "MODERATE", "severe": "SEVERE", "life-threatening": "LIFE THREATENING", "fatal": "FATAL",
}  # fmt: skip


def sdtm_shape(
    study: Study, *, generation: Literal["QS", "RS"] = "QS", days_only: bool = False
) -> dict[str, pl.DataFrame]:
    """Return SDTM-shaped domains that the mapping `sdtm` reads back.

    Parameters
    ----------
    study
        A checked study.
    generation
        The domain of the EDSS: "QS" (version 1) or "RS" (version 2).
    days_only
        Leave out every date and give study days, which have no day 0 (our day 0 becomes day 1).

    Returns
    -------
    dict
        Frames by domain: DM, MH, QS or RS, FT, CE, NV, PR, EX, CM, LB, AE, SS, DS and their SUPP--. What has no
        standard variable is a supplementary qualifier; tests of lesions and volumes bear our own codes.

    Raises
    ------
    RequestError
        An unknown generation.
    """
    if generation not in ("QS", "RS"):
        raise RequestError(f'generation must be "QS" or "RS", not {generation!r}.')
    shaper = _Shaper(study, days_only)
    shaper.subjects()
    shaper.examinations(generation)
    shaper.functional_tests()
    shaper.relapses()
    shaper.scans()
    shaper.procedures()
    shaper.drugs()
    shaper.laboratory()
    shaper.adverse_events()
    shaper.work()
    shaper.disposition()
    return shaper.domains


class _Shaper:
    """Adds one domain after another; `supp` puts what has no variable into SUPP--."""

    def __init__(self, study: Study, days_only: bool) -> None:
        self.study, self.days_only = study, days_only
        self.domains: dict[str, pl.DataFrame] = {}

    def when(self, ours: str, theirs: str) -> list[pl.Expr]:
        """Return a date (--DTC) or the study day (--DY) of one of our pairs of columns."""
        day = pl.col(f"{ours}_day")
        study_day = pl.when(day >= 0).then(day + 1).otherwise(day).alias(f"{theirs}DY")
        return (
            [study_day] if self.days_only else [pl.col(f"{ours}_date").cast(pl.String).alias(f"{theirs}DTC")]
        )

    def table(self, name: str) -> pl.DataFrame:
        """Return one of our tables with every column of the vocabulary."""
        return self.study.table(name, list(SCHEMAS[name])).rename({"patient_id": "USUBJID"})

    def put(self, domain: str, frame: pl.DataFrame, qualifiers: dict[str, str] | None = None) -> None:
        """Add rows to a domain, numbered within it; `qualifiers` are columns that go to SUPP--."""
        if frame.is_empty():
            return
        known = self.domains.get(domain)
        start = 0 if known is None else known.height
        numbered = frame.with_columns(
            pl.lit(domain).alias("DOMAIN"),
            pl.lit(self.study.study_id).alias("STUDYID"),
            pl.int_range(start + 1, start + 1 + pl.len(), dtype=pl.Int64).alias(f"{domain}SEQ"),
        )
        supp = [
            numbered.filter(pl.col(column).is_not_null()).select(
                "STUDYID",
                "USUBJID",
                pl.lit(domain).alias("RDOMAIN"),
                pl.lit(f"{domain}SEQ").alias("IDVAR"),
                pl.col(f"{domain}SEQ").cast(pl.String).alias("IDVARVAL"),
                pl.lit(name).alias("QNAM"),
                _as_text(column, numbered.schema[column]).alias("QVAL"),
            )
            for column, name in (qualifiers or {}).items()
        ]
        kept = numbered.drop(list(qualifiers or {}))
        self.domains[domain] = kept if known is None else pl.concat([known, kept], how="diagonal_relaxed")
        rows = pl.concat(supp) if supp else pl.DataFrame()
        if rows.height:
            before = self.domains.get(f"SUPP{domain}")
            self.domains[f"SUPP{domain}"] = rows if before is None else pl.concat([before, rows])

    def subjects(self) -> None:
        """DM, with the diagnosis and the first symptom in MH."""
        patients = self.table("patients")
        dates = [] if self.days_only else [
            pl.col("index_date").cast(pl.String).alias("RFSTDTC"),
            pl.col("consent_date").cast(pl.String).alias("RFICDTC"),
            pl.col("birth_date").cast(pl.String).alias("BRTHDTC"),
        ]  # fmt: skip
        # without a date of birth the age must stand for it
        known_age = pl.col("age_at_index_years")
        age = pl.coalesce(known_age, -pl.col("birth_day") / DAYS_PER_YEAR) if self.days_only else known_age
        more = {
            "time_zero_kind": "TZKIND", "prior_dmt_n": "PRIORDMT", "n_relapses_12m": "NREL12", "n_relapses_24m": "NREL24",
            "not_infused_reason": "NOINFRSN", "strata": "STRATA", "birth_year": "BRTHYR", "itt": "ITT", "safety": "SAFETY", "per_protocol": "PPROT",
        }  # fmt: skip
        more["edss_at_index"] = "EDSSIDX"
        decided = [
            expression.alias(name)
            for ours, name in (
                ("randomisation", "RAND"),
                ("treatment_decision", "DECI"),
                ("comparator_start", "COMP"),
            )
            for expression in self.when(ours, name)
            for name in [name + ("DY" if self.days_only else "DTC")]
        ]
        extra = {
            f"{name}{'DY' if self.days_only else 'DTC'}": f"{name}{'DY' if self.days_only else 'DTC'}"
            for name in ("RAND", "DECI", "COMP")
        }
        self.put(
            "DM",
            patients.select(
                "USUBJID", pl.col("sex").alias("SEX"), age.alias("AGE"), pl.lit("YEARS").alias("AGEU"),
                pl.col("site").alias("SITEID"), pl.col("country").alias("COUNTRY"), pl.col("race").alias("RACE"), pl.col("arm").alias("ARM"), *dates, *more, *decided,
            ),
            more | extra,
        )  # fmt: skip
        for ours, category in (("diagnosis", "PRIMARY DIAGNOSIS"), ("disease_onset", "FIRST SYMPTOM")):
            rows = patients.select(
                "USUBJID", pl.lit(category).alias("MHCAT"), pl.lit("MULTIPLE SCLEROSIS").alias("MHTERM"),
                pl.col("ms_course").alias("MHDECOD"), *self.when(ours, "MHST"),
            )  # fmt: skip
            self.put("MH", rows.filter(pl.any_horizontal(pl.col(rows.columns[-1], "MHDECOD").is_not_null())))

    def examinations(self, generation: str) -> None:
        """EDSS, functional systems and ambulation as rows of QS or RS."""
        visits = self.table("visits")
        tests = {
            "edss": ("EDSS0101", "EDSS01-Expanded Disability Score"),
            **_FS,
            "ambulation": ("EDSS0102", "EDSS01-Ambulation Score"),
        }
        for column, (code, name) in tests.items():
            rows = visits.filter(pl.col(column).is_not_null()).select(
                "USUBJID", pl.lit(code).alias(f"{generation}TESTCD"), pl.lit(name).alias(f"{generation}TEST"),
                pl.lit("KFSS" if column in _FS else "EDSS").alias(f"{generation}CAT"), *self.when("visit", generation),
                pl.col(column).cast(pl.Float64).alias(f"{generation}STRESN"), "visit_type", "can_confirm", "rater",
            )  # fmt: skip
            self.put(generation, rows, {"visit_type": "VISTYPE", "can_confirm": "CONFIRM", "rater": "RATER"})

    def functional_tests(self) -> None:
        """FT: timed walk, pegs, SDMT and PASAT."""
        visits = self.table("visits")
        for column, (code, name, category, part) in _FT.items():
            self.put("FT", visits.filter(pl.col(column).is_not_null()).select(
                "USUBJID", pl.lit(code).alias("FTTESTCD"), pl.lit(name).alias("FTTEST"), pl.lit(category).alias("FTCAT"),
                pl.lit(part, pl.String).alias("FTSCAT"), *self.when("visit", "FT"), pl.col(column).cast(pl.Float64).alias("FTSTRESN"),
                pl.lit("s" if column.endswith("_s") else None, pl.String).alias("FTSTRESU"),
            ))  # fmt: skip

    def relapses(self) -> None:
        """Relapses as clinical events."""
        flag = _as_text("steroid_treated", pl.Boolean())
        self.put(
            "CE",
            self.table("relapses").select(
                "USUBJID", pl.lit("MS RELAPSE").alias("CETERM"), pl.lit("MULTIPLE SCLEROSIS RELAPSE").alias("CEDECOD"),
                *self.when("onset", "CEST"), *self.when("end", "CEEN"), pl.col("severity").str.to_uppercase().alias("CESEV"),
                flag.alias("CECONTRT"), "confirmed_by_examiner", "recovery", "fs_affected", "hospitalised",
            ),
            {"confirmed_by_examiner": "EXAMCONF", "recovery": "RECOVERY", "fs_affected": "FSAFFECT", "hospitalised": "HOSPITAL"},
        )  # fmt: skip

    def scans(self) -> None:
        """Lesions and brain volumes as rows of NV, those of one scan linked."""
        scans = self.table("mri").with_row_index("_scan", offset=1)
        shared: list[pl.Expr | str] = [
            *self.when("scan", "NV"), pl.lit("MRI").alias("NVMETHOD"), pl.col("_scan").cast(pl.String).alias("NVLNKID"),
            pl.col("region").str.to_uppercase().alias("NVLOC"), *_SCAN_MORE, "with_gd", *(e.alias("reference") for e in self.when("reference_scan", "REF")), "reader",
        ]  # fmt: skip
        more = {
            "with_gd": "WITHGD",
            "reference": "REFDY" if self.days_only else "REFDTC",
            "reader": "READER",
        } | _SCAN_MORE
        for column, code in {"with_gd": "SCAN", **_NV}.items():
            value = pl.lit(1.0) if column == "with_gd" else pl.col(column).cast(pl.Float64)
            unit = pl.lit("mL" if column.endswith("_ml") else None, pl.String)
            rows = scans if column == "with_gd" else scans.filter(pl.col(column).is_not_null())
            self.put(
                "NV",
                rows.select(
                    "USUBJID",
                    pl.lit(code).alias("NVTESTCD"),
                    *shared,
                    value.alias("NVSTRESN"),
                    unit.alias("NVSTRESU"),
                ),
                more,
            )
        volumes = self.table("brain_volume")
        rows = volumes.select(
            "USUBJID", pl.col("measure").alias("NVTESTCD"), *self.when("scan", "NV"), pl.lit("MRI VOLUME").alias("NVMETHOD"),
            pl.col("value").alias("NVSTRESN"), pl.col("measure").replace_strict({"PBVC": "%", "BPF": "1"}, default="mL").alias("NVSTRESU"),
            *(e.alias("reference") for e in self.when("reference_scan", "REF")), "software", *(e.alias("rebaseline") for e in self.when("rebaseline", "REB")),
        )  # fmt: skip
        qualifiers = {
            "reference": more["reference"],
            "software": "SOFTWARE",
            "rebaseline": "REBDY" if self.days_only else "REBDTC",
        }
        self.put("NV", rows, qualifiers)

    def procedures(self) -> None:
        """Mobilisation, collection, conditioning, infusion and transfusions as procedures."""
        grafts = self.table("transplants").with_columns(pl.col("transplant_number").fill_null(1))
        steps = {"mobilisation_start": "MOBILISATION", "apheresis": "APHERESIS", "conditioning_start": "CONDITIONING", "infusion": "STEM CELL INFUSION",
                 "neutrophil_engraftment": "NEUTROPHIL ENGRAFTMENT", "platelet_engraftment": "PLATELET ENGRAFTMENT", "discharge": "DISCHARGE"}  # fmt: skip
        more = {
            "mobilisation_regimen": "MOBREG", "cd34_collected_e6_kg": "CD34COL", "cd34_selected": "CD34SEL", "conditioning_regimen": "CONDREG",
            "intensity": "INTENS", "atg_product": "ATGPROD", "atg_dose_mg_kg": "ATGDOSE", "cd34_infused_e6_kg": "CD34INF",
            "viability_pct": "VIABIL", "dmso_ml": "DMSO", "icu": "ICU", "graft_failure": "GRAFTFL",
        }  # fmt: skip
        for ours, name in steps.items():
            rows = grafts.filter(pl.col(f"{ours}_day").is_not_null()).select(
                "USUBJID", pl.lit(name).alias("PRTRT"), pl.lit("TRANSPLANT").alias("PRCAT"), pl.col("transplant_number").cast(pl.Float64).alias("PRGRPID"),
                *self.when(ours, "PRST"), *more,
            )  # fmt: skip
            self.put("PR", rows, more)
        self.put("PR", self.table("transfusions").select(
            "USUBJID", pl.col("product").str.to_uppercase().alias("PRTRT"), pl.lit("TRANSFUSION").alias("PRCAT"), *self.when("transfusion", "PRST"),
            pl.col("units_n").cast(pl.Float64).alias("PRDOSE"),
        ))  # fmt: skip

    def drugs(self) -> None:
        """Conditioning and mobilisation as exposure, all else as medication."""
        courses = self.table("treatments")
        is_study_drug = pl.col("kind").is_in(["conditioning", "mobilisation"])
        for domain, keep in (("EX", is_study_drug), ("CM", ~is_study_drug)):
            rows = courses.filter(keep).select(
                "USUBJID", pl.col("drug").alias(f"{domain}TRT"), pl.col("kind").str.to_uppercase().alias(f"{domain}CAT"),
                *self.when("start", f"{domain}ST"), *self.when("end", f"{domain}EN"), pl.col("dose").alias(f"{domain}DOSE"),
                pl.col("unit").alias(f"{domain}DOSU"), pl.col("route").str.to_uppercase().alias(f"{domain}ROUTE"), "drug_class", "reason_stopped", "washout_rule",
            )  # fmt: skip
            self.put(
                domain,
                rows,
                {"drug_class": "DRUGCLAS", "reason_stopped": "RSNSTOP", "washout_rule": "WASHOUT"},
            )

    def laboratory(self) -> None:
        """LB."""
        codes = pl.col("test").replace_strict(_LB, default=None, return_dtype=pl.String)
        self.put("LB", self.table("labs").select(
            "USUBJID", codes.alias("LBTESTCD"), *self.when("sample", "LB"), pl.col("value").alias("LBSTRESN"), pl.col("unit").alias("LBSTRESU"),
            pl.col("lower_limit").alias("LBSTNRLO"), pl.col("upper_limit").alias("LBSTNRHI"), pl.col("specimen").str.to_uppercase().alias("LBSPEC"),
            pl.col("ctcae_grade").cast(pl.String).alias("LBTOXGR"),
        ))  # fmt: skip

    def adverse_events(self) -> None:
        """AE; the severity is AESEV, a grade of a graded scale AETOXGR."""
        flag = _as_text("serious", pl.Boolean())
        self.put(
            "AE",
            self.table("adverse_events").select(
                "USUBJID", pl.col("term").alias("AETERM"), pl.col("pt").alias("AEDECOD"), pl.col("soc").alias("AEBODSYS"), *self.when("start", "AEST"),
                *self.when("end", "AEEN"), pl.col("severity").replace_strict(_SEVERITY, default=None, return_dtype=pl.String).alias("AESEV"),
                pl.col("grade").cast(pl.String).alias("AETOXGR"), flag.alias("AESER"), pl.col("related_to").alias("AEREL"),
                pl.col("outcome").alias("AEOUT"), pl.col("action").alias("AEACN"), "scale", "expected", "hospital_days",
                *(e.alias("earliest") for e in self.when("earliest_start", "ERLST")),
            ),
            {"scale": "AESCALE", "expected": "EXPECTED", "hospital_days": "HOSPDAYS", "earliest": "ERLSTDY" if self.days_only else "ERLSTDTC"},
        )  # fmt: skip

    def work(self) -> None:
        """Work as subject status, for want of a standard domain."""
        self.put(
            "SS",
            self.table("employment").select(
                "USUBJID", pl.lit("EMPLOY").alias("SSTESTCD"), pl.lit("Employment").alias("SSTEST"), pl.col("status").alias("SSORRES"),
                *self.when("assessment", "SS"), "disability_pension", "hours_per_week", "sick_leave_pct",
            ),
            {"disability_pension": "PENSION", "hours_per_week": "HOURSWK", "sick_leave_pct": "SICKPCT"},
        )  # fmt: skip

    def disposition(self) -> None:
        """Last contact and death as disposition, the cause in DD."""
        people = self.table("follow_up")
        self.put("DS", people.select(
            "USUBJID", pl.lit("LAST CONTACT").alias("DSDECOD"), pl.lit("OTHER EVENT").alias("DSCAT"), pl.col("vital_status").str.to_uppercase().alias("DSTERM"),
            *self.when("last_contact", "DSST"),
        ))  # fmt: skip
        ended = people.filter(pl.col("end_of_study_reason").is_not_null())
        self.put("DS", ended.select(
            "USUBJID", pl.col("end_of_study_reason").alias("DSDECOD"), pl.lit("DISPOSITION EVENT").alias("DSCAT"),
            pl.col("end_of_study_reason").alias("DSTERM"), *self.when("last_contact", "DSST"),
        ))  # fmt: skip
        dead = people.filter(pl.col("vital_status") == "dead")
        self.put("DS", dead.select(
            "USUBJID", pl.lit("DEATH").alias("DSDECOD"), pl.lit("OTHER EVENT").alias("DSCAT"), pl.lit("DEATH").alias("DSTERM"), *self.when("death", "DSST"),
        ))  # fmt: skip
        for column, code in (("death_cause", "PRCDTH"), ("cause_class", "CAUSECL")):
            self.put("DD", dead.filter(pl.col(column).is_not_null()).select(
                "USUBJID", pl.lit(code).alias("DDTESTCD"), pl.col(column).alias("DDORRES"),
            ))  # fmt: skip


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return text; flags are Y and N."""
    if dtype == pl.Boolean:
        return pl.col(column).replace_strict({True: "Y", False: "N"}, return_dtype=pl.String)
    return pl.col(column).cast(pl.String)
