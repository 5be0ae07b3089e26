"""Each rule, on the good study of three patients spoilt in one place.

One line per spoilt study: file, text to replace ("" appends), new text; then the rule that must speak,
its severity, row, column, and words of the message. Every other error is forbidden, unless it is named
in `also` (a single spoilt date can break two rules).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ahsct.errors import StudyError
from ahsct.tables import check, find_problems, read_study

SPOILT = [
    # columns
    ("visits.csv", "edss,", "edds,", "unknown_column", "error", None, "edds", "did you mean `edss`", "missing_column"),
    ("visits.csv", "edss,", "EDSS,", "unknown_column", "error", None, "EDSS", "did you mean `edss`", "missing_column"),
    ("visits.csv", "rater,", "colour,", "unknown_column", "warning", None, "colour", "kept as text", ""),
    ("visits.csv", "edss,", "mood,", "missing_column", "error", None, "edss", "needs a column `edss`", ""),
    ("visits.csv", "visit_date", "when", "missing_column", "error", None, "visit_date", "`visit_day`", ""),
    ("visits.csv", "t25fw_s", "edss", "duplicate_column", "error", None, "edss", "2 columns named `edss`", ""),
    ("relapses.csv", "patient_id", "patientid", "unknown_column", "error", None, "patientid", "`patient_id`", "missing_column"),
    # types
    ("visits.csv", "P1,2004-04-10,3.5", 'P1,2004-04-10,"3,5"', "wrong_type", "error", 2, "edss", "decimal point, found '3,5'", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,inf", "wrong_type", "error", 2, "edss", "finite", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,NaN", "nan_is_missing", "warning", None, "edss", "1 NaN", ""),
    ("visits.csv", "R1,Y,", "R1,maybe,", "wrong_type", "error", 2, "can_confirm", "yes, no", ""),
    ("mri.csv", "2003-11-02,3,", "2003-11-02,2.5,", "wrong_type", "error", 1, "gd_n", "whole number", ""),
    ("visits.csv", "2004-04-10", "10/04/2004", "mixed_date_formats", "error", 2, "visit_date", "YYYY-MM-DD", ""),
    ("visits.csv", "2004-04-10", "10.4.2004", "mixed_date_formats", "error", 2, "visit_date", "'10.4.2004'", ""),
    ("visits.csv", "2004-04-10", "2004-04", "partial_date", "error", 2, "visit_date", "never completed", ""),
    ("visits.csv", "2004-04-10", "2004", "partial_date", "error", 2, "visit_date", "whole date", ""),
    ("visits.csv", "2004-04-10", "2004-02-30", "impossible_date", "error", 2, "visit_date", "no day '2004-02-30'", ""),
    ("visits.csv", "2004-04-10", "spring", "wrong_type", "error", 2, "visit_date", "ISO 8601", ""),
    ("visits.csv", "2004-04-10", "2004-4-10", "mixed_date_formats", "error", 2, "visit_date", "ISO 8601", ""),
    # values
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,0.5", "edss_off_scale", "error", 2, "edss", "0.5 does not exist", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,3.25", "edss_off_scale", "error", 2, "edss", "found 3.25", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,10.5", "edss_off_scale", "error", 2, "edss", "found 10.5", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,10.0", "edss_10_alive", "error", 2, "edss", "death due to MS", ""),
    ("visits.csv", "P1,2004-04-10,3.5", "P1,2004-04-10,", "no_edss", "warning", 2, "edss", "does not count", ""),
    ("visits.csv", "R1,Y,5.9", "R1,Y,-5.9", "below_minimum", "error", 2, "t25fw_s", "at least 0 s, found -5.9", ""),
    ("visits.csv", "R1,Y,5.9", "R1,Y,590", "above_maximum", "error", 2, "t25fw_s", "at most 180 s", ""),
    ("mri.csv", "2003-11-02,3,", "2003-11-02,-3,", "below_minimum", "error", 1, "gd_n", "at least 0", ""),
    ("patients.csv", "P2,M", "P2,m", "not_in_list", "error", 2, "sex", "Did you mean 'M'?", ""),
    ("patients.csv", "35.5,SPMS", "35.5,SPM", "not_in_list", "error", 2, "ms_course", "Did you mean 'SPMS'?", ""),
    ("treatments.csv", "P1,conditioning", "P1,", "missing_value", "error", 1, "kind", "required", ""),
    ("treatments.csv", "P1,conditioning,busulfan", "P1,conditioning, ", "missing_value", "error", 1, "drug", "required", ""),
    ("treatments.csv", "busulfan,2004-01-02", "busulfan,", "missing_value", "error", 1, "start_day", "`start_date` or `start_day`", ""),
    ("visits.csv", "P1,2004-04-10", " P1,2004-04-10", "id_with_blanks", "error", 2, "patient_id", "begins or ends", "unknown_patient"),
    ("visits.csv", "P1,2004-04-10", ",2004-04-10", "missing_value", "error", 2, "patient_id", "required", ""),
    ("visits.csv", "2004-04-10", "1804-04-10", "impossible_date", "error", 2, "visit_date", "between 1900 and 2100", "before_birth"),
    # one row
    ("labs.csv", "P1,2004-01-21,neutrophils,0.9", "P1,2004-01-21,neutrophils,3500", "implausible_unit", "error", 2, "value", "neutrophils 3500.0 10^9/L", ""),
    ("labs.csv", "haemoglobin,92", "haemoglobin,9.2", "implausible_unit", "error", 4, "value", "another unit", ""),
    ("labs.csv", "platelets,24,", "platelets,24000,", "implausible_unit", "error", 3, "value", "platelets 24000.0", ""),
    ("labs.csv", "haemoglobin,92", "haemoglobin,-92", "below_minimum", "error", 4, "value", "at least 0", ""),
    ("labs.csv", "24,10^9/L,150,400", "24,10^9/L,400,150", "min_above_max", "error", 3, "lower_limit", "above `upper_limit`", ""),
    ("mri.csv", "P2,2003-12-02,,1,2", "P2,2003-12-02,,3,2", "min_above_max", "error", 3, "gd_n_min", "is 3, above", ""),
    ("mri.csv", "P3,2004-01-06,1,1,2", "P3,2004-01-06,3,1,2", "count_outside_range", "error", 4, "gd_n", "is 3, outside", ""),
    ("mri.csv", "P3,2004-01-06,1,1,2,,,true", "P3,2004-01-06,1,1,2,,,false", "gd_without_contrast", "error", 4, "gd_n", "without contrast", ""),
    ("mri.csv", "P3,2004-01-06,1,1,2,,,true", "P3,2004-01-06,1,1,2,,,", "contrast_not_stated", "warning", 4, "with_gd", "contrast", ""),
    ("mri.csv", "P3,2004-01-06,1,1,2", "P3,2004-01-06,,,", "gd_not_counted", "warning", 4, "gd_n", "0 included", ""),
    ("mri.csv", "P3,2004-01-06,1,1,2,,,true", "P3,2004-01-06,,,,,,", "scan_without_counts", "warning", 4, "gd_n", "no lesion count", ""),
    ("mri.csv", "0,2003-11-02,true", "0,,true", "new_t2_without_reference", "warning", 2, "new_t2_n", "reference scan", ""),
    ("adverse_events.csv", "CTCAE 5.0,2", "CTCAE 5.0,3", "severity_and_grade_disagree", "error", 1, "grade", "grade 3, moderate", ""),
    ("adverse_events.csv", "CTCAE 5.0,2", "Bearman,5", "above_maximum", "error", 1, "grade", "Bearman", ""),
    ("adverse_events.csv", "mild,not stated,", "mild,not stated,1", "grade_without_scale", "warning", 3, "grade", "never derive a grade", ""),
    ("adverse_events.csv", "mild,not stated", "fatal,not stated", "fatal_without_death", "error", 3, "severity", "not dead", ""),
    ("patients.csv", "33.8,RRMS", "38.3,RRMS", "age_and_birth_disagree", "error", 1, "age_at_index_years", "38.3", ""),
    ("patients.csv", "2004-02-10,1,1", "2004-02-10,2,1", "relapse_counts_disagree", "error", 2, "n_relapses_12m", "n_relapses_24m", ""),
    ("transplants.csv", "2004-02-02,BU-CY-ATG", ",", "infusion_without_conditioning", "warning", 2, "conditioning_regimen", "conditioning", ""),
    ("follow_up.csv", "2004-04-01,dead", "2004-04-01,alive", "death_but_alive", "error", 2, "vital_status", "alive although", ""),
    ("follow_up.csv", "dead,2004-04-01", "dead,", "death_without_date", "error", 2, "death_day", "survival cannot", ""),
    ("follow_up.csv", "2010-05-01,alive,,,", "2010-05-01,alive,,,ms", "cause_without_death", "error", 1, "cause_class", "who is alive", ""),
    ("follow_up.csv", "necrosis,treatment-related", "necrosis,", "death_without_cause_class", "warning", 2, "cause_class", "unknown", ""),
    # days
    ("patients.csv", "1995-05-01,1996-01-10", "1995-05-01,1994-01-10", "days_out_of_order", "error", 1, "diagnosis_day", "before birth_day or disease_onset_day", ""),
    ("patients.csv", "1970-03-01", "1996-03-01", "days_out_of_order", "error", 1, "diagnosis_day", "before birth_day", "age_and_birth_disagree"),
    ("transplants.csv", "P1,2003-11-20", "P1,1995-11-20", "days_out_of_order", "error", 1, "mobilisation_start_day", "diagnosis_day", ""),
    ("transplants.csv", "2004-01-31,2004-03-01", "2004-01-31,2004-03-11", "days_out_of_order", "error", 3, "infusion_day", "conditioning_start_day", ""),
    ("transplants.csv", "2004-03-20", "2004-03-02", "days_out_of_order", "error", 3, "neutrophil_engraftment_day", "infusion_day", ""),
    ("relapses.csv", "2003-03-01", "2003-01-01", "days_out_of_order", "error", 1, "end_day", "before onset_day", ""),
    ("treatments.csv", "2003-09-01", "1998-09-01", "days_out_of_order", "error", 2, "end_day", "before start_day", ""),
    ("mri.csv", "0,2003-11-02", "0,2004-11-02", "days_out_of_order", "error", 2, "reference_scan_day", "after the scan", ""),
    ("follow_up.csv", "P3,2011-06-01", "P3,2003-06-01", "days_out_of_order", "error", 3, "last_contact_day", "infusion_day", ""),
    ("visits.csv", "P2,2004-03-01", "P2,2005-03-01", "after_death", "error", 5, "visit_day", "after the patient's death", ""),
    ("follow_up.csv", "P2,2004-04-01", "P2,2004-05-01", "after_death", "error", 2, "last_contact_day", "death", ""),
    ("visits.csv", "P3,2005-03-10", "P3,2015-03-10", "after_last_contact", "warning", 7, "visit_day", "last contact", ""),
    ("relapses.csv", "P3,2002-06-10", "P3,1962-06-10", "before_birth", "error", 2, "onset_day", "before the patient's birth", ""),
    # keys
    ("patients.csv", "", "P3,F,1975-11-30,28.3,RRMS,1999-09-09,2000-02-02,aHSCT,infusion,2004-03-10,0,2\n", "duplicate_key", "error", 3, "patient_id", "same patient", ""),
    ("follow_up.csv", "", "P3,2011-06-01,alive,,,\n", "duplicate_key", "error", 3, "patient_id", "same patient", ""),
    ("visits.csv", "", "P3,2005-03-10,2.0,scheduled,R1,,\n", "same_day_visits", "warning", 7, "visit_day", "`same_day` rule", ""),
    ("mri.csv", "", "P3,2004-01-06,1,,,,,true,brain\n", "duplicate_key", "error", 4, "scan_day", "scan_day, region", ""),
    ("brain_volume.csv", "", "P1,2004-04-12,PBVC,-1.3,2003-11-02\n", "duplicate_key", "error", 2, "scan_day", "measure", ""),
    ("relapses.csv", "", "P3,2002-06-10,,severe,\n", "duplicate_key", "error", 2, "onset_day", "onset_day", ""),
    ("labs.csv", "", "P1,2004-01-21,platelets,26,10^9/L,,\n", "duplicate_key", "error", 3, "sample_day", "test", ""),
    ("transplants.csv", "", "P3,2004-01-20,2004-01-31,2004-03-01,BU-CY-ATG,2004-03-10,,\n", "duplicate_key", "error", 3, "infusion_day", "infusion_day", ""),
    ("treatments.csv", "", "P1,conditioning,busulfan,2004-01-02,2004-01-05,9.6,mg/kg,oral\n", "duplicate_key", "warning", 1, "start_day", "drug", ""),
    # patients and arms
    ("relapses.csv", "P3,2002-06-10", "P4,2002-06-10", "unknown_patient", "error", 2, "patient_id", "not in `patients`", ""),
    ("follow_up.csv", "P3,2011-06-01,alive,,,\n", "", "no_follow_up", "warning", 3, "patient_id", "without a row in `follow_up`", ""),
    ("patients.csv", "aHSCT,infusion,2004-02-10", "aHSCT,randomisation,2004-02-10", "time_zero_kinds_differ", "warning", None, "time_zero_kind", "as_treated_not_comparable", ""),
    ("patients.csv", "aHSCT,infusion,2004-02-10", ",infusion,2004-02-10", "arm_missing", "warning", 2, "arm", "no arm", ""),
    ("patients.csv", "", "P4,F,,,,,,aHSCT,infusion,2004-03-10,,\n", "no_visits", "warning", 4, "patient_id", "without any visit", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    "case", SPOILT, ids=lambda case: f"{case[3]}-{case[0].split('.')[0]}-{case[2][:20]!r}"
)
def test_spoilt_study_is_told(
    case: tuple[str, str, str, str, str, int | None, str, str, str],
    spoil: Callable[[str, str, str], Path],
    inputs_stay_as_they_are: Callable[[Path], None],
) -> None:
    file, old, new, rule, severity, row, column, words, also = case
    folder = spoil(file, old, new)
    inputs_stay_as_they_are(folder)
    study = read_study(folder)
    problems = find_problems(study)
    rows = problems.filter(problems["rule"] == rule).rows(named=True)
    assert rows, problems.rows()
    told = rows[0]
    assert (told["severity"], told["row"], told["column"]) == (severity, row, column)
    assert words in told["message"]
    assert told["table"] == file.removesuffix(".csv") or rule in ("no_follow_up", "fatal_without_death")
    errors = set(problems.filter(problems["severity"] == "error")["rule"])
    expected = {rule, *also.split()} if severity == "error" else set()

    assert errors == expected
    if errors:
        with pytest.raises(StudyError) as raised:
            check(study)
        assert raised.value.problems.equals(problems)
        assert rule in str(raised.value)
        assert len(str(raised.value).splitlines()) <= 10
        assert not {"P1", "P2", "P3", "P4"} & set(
            str(raised.value).replace("'", " ").replace(",", " ").split()
        )
    else:
        assert check(study) is study


def test_good_study_has_no_problem(three: Path, inputs_stay_as_they_are: Callable[[Path], None]) -> None:
    inputs_stay_as_they_are(three)
    study = check(read_study(three))
    assert find_problems(study).rows() == []
    assert (study.study_id, study.data_kind, study.title) == ("three", "simulated", "Three patients")
    assert study.table("visits")["visit_day"].to_list() == [-70, 91, 366, -71, 20, -65, 365]
    assert study.table("visits")["can_confirm"].to_list() == [True, True, None, True, False, True, False]
    assert study.table("patients")["birth_day"][0] == -12_368  # 1970-03-01 to 2004-01-10
