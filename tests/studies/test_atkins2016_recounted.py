"""A recount of what was published from the CSV rows alone: plain Python, nothing of the pipeline."""

import csv
from collections import Counter, defaultdict
from datetime import date
from itertools import pairwise
from statistics import median

import numpy as np
import pytest

from ahsct.studies import example_folder


def read(name: str) -> list[dict[str, str]]:
    with (example_folder("atkins2016") / f"{name}.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


PATIENTS = {row["patient_id"]: row for row in read("patients")}
TRANSPLANTS = {row["patient_id"]: row for row in read("transplants")}
INFUSED = {patient: date.fromisoformat(row["infusion_date"]) for patient, row in TRANSPLANTS.items()}
MOBILISED = {
    patient: date.fromisoformat(row["mobilisation_start_date"]) for patient, row in TRANSPLANTS.items()
}
FOLLOW_UP = {row["patient_id"]: row for row in read("follow_up")}
SURVIVORS = [patient for patient, row in FOLLOW_UP.items() if row["vital_status"] == "alive"]


def day(row: dict[str, str], column: str) -> int:
    """Whole days from infusion."""
    return (date.fromisoformat(row[column]) - INFUSED[row["patient_id"]]).days


FOLLOWED = {patient: day(row, "last_contact_date") for patient, row in FOLLOW_UP.items()}
VISITS: dict[str, list[tuple[int, float]]] = defaultdict(list)
for _row in read("visits"):
    VISITS[_row["patient_id"]].append((day(_row, "visit_date"), float(_row["edss"])))


def baseline(patient: str) -> float:
    return [edss for at, edss in VISITS[patient] if at < (MOBILISED[patient] - INFUSED[patient]).days][-1]


def onset(patient: str, sign: int) -> int | None:
    """First day of a change by 1.0 or more that is kept to the last visit."""
    kept = None
    for at, edss in reversed([visit for visit in VISITS[patient] if visit[0] > 0]):
        if sign * (edss - baseline(patient)) < 1.0:
            break
        kept = at
    return kept


def test_24_patients_at_3_centres_from_october_2001_to_december_2009() -> None:
    assert sorted(PATIENTS) == sorted(INFUSED) == sorted(FOLLOW_UP) == [f"P{k:02d}" for k in range(1, 25)]
    assert len({row["site"] for row in PATIENTS.values()}) == 3
    assert f"{min(INFUSED.values()):%Y-%m}" == "2001-10"
    assert f"{max(INFUSED.values()):%Y-%m}" == "2009-12"
    assert all(row["index_date"] == str(INFUSED[patient]) for patient, row in PATIENTS.items())


def test_baseline() -> None:
    ages = [-day(row, "birth_date") / 365.25 for row in PATIENTS.values()]
    assert all(18 <= age <= 50 for age in ages)
    assert round(median(ages)) == 34
    assert int(median(ages)) == 34, "the median prints as 34 in completed years too"
    assert median(map(baseline, PATIENTS)) == 5.0
    assert all(3.0 <= baseline(patient) <= 6.0 for patient in PATIENTS)
    assert Counter(row["ms_course"] for row in PATIENTS.values()) == {"RRMS": 12, "SPMS": 12}
    assert f"{median(-day(row, 'disease_onset_date') / 365.25 for row in PATIENTS.values()):.1f}" == "5.8"
    assert all(2 * edss == int(2 * edss) for visits in VISITS.values() for _, edss in visits)
    assert all(visits[0][1] == visits[1][1] for visits in VISITS.values()), "screening as the baseline"


def test_each_patient_had_an_earlier_drug_that_ended_before_mobilisation() -> None:
    drugs = [row for row in read("treatments") if row["kind"] == "dmt"]
    counted = Counter(row["patient_id"] for row in drugs)
    assert {patient: int(row["prior_dmt_n"]) for patient, row in PATIENTS.items()} == counted
    for row in drugs:
        assert PATIENTS[row["patient_id"]]["diagnosis_date"] < row["start_date"] < row["end_date"]
        assert date.fromisoformat(row["end_date"]) < MOBILISED[row["patient_id"]]
        assert day(row, "end_date") - day(row, "start_date") >= 365, "failed a year of treatment"


def test_treatment() -> None:
    given = Counter(
        (row["kind"], row["drug"], row["dose"], row["unit"])
        for row in read("treatments")
        if row["kind"] != "dmt"
    )
    assert given == {
        ("mobilisation", "cyclophosphamide", "4.5", "g/m2"): 24,
        ("mobilisation", "filgrastim", "10.0", "ug/kg/day"): 24,
        ("conditioning", "busulfan", "9.6", "mg/kg"): 24,
        ("conditioning", "cyclophosphamide", "200.0", "mg/kg"): 24,
        ("conditioning", "rabbit antithymocyte globulin", "5.0", "mg/kg"): 24,
    }
    oral = [row for row in read("treatments") if row["route"] == "oral"]
    later = [row for row in read("treatments") if row["drug"] == "busulfan" and row["route"] != "oral"]
    assert max(row["start_date"] for row in oral) < min(row["start_date"] for row in later)
    assert all(row["cd34_selected"] == "true" for row in TRANSPLANTS.values())
    for row in TRANSPLANTS.values():
        order = ("mobilisation_start_date", "apheresis_date", "conditioning_start_date", "infusion_date")
        dates = [row[column] for column in order]
        assert dates == sorted(set(dates))


def test_follow_up() -> None:
    years = [FOLLOWED[patient] / 365.25 for patient in SURVIVORS]
    assert len(years) == 23
    assert [f"{value:.1f}" for value in (median(years), min(years), max(years))] == ["6.7", "3.9", "12.7"]
    assert sum(FOLLOWED.values()) / 365.25 == pytest.approx(179.0, abs=0.02)
    assert f"{sum(FOLLOWED.values()) / 365.25 / 24:.2f}" == "7.46"
    assert len({row["last_contact_date"] for row in FOLLOW_UP.values()}) == 24


def test_one_death_of_the_treatment_within_100_days_after_oral_busulfan() -> None:
    (dead,) = (row for row in FOLLOW_UP.values() if row["vital_status"] == "dead")
    patient = dead["patient_id"]
    assert dead["cause_class"] == "treatment-related"
    assert dead["death_date"] == dead["last_contact_date"]
    assert 0 < FOLLOWED[patient] <= 100
    assert any(
        row["patient_id"] == patient and row["drug"] == "busulfan" and row["route"] == "oral"
        for row in read("treatments")
    )
    for name, column in (("visits", "visit_date"), ("mri", "scan_date")):
        assert all(day(row, column) < 0 for row in read(name) if row["patient_id"] == patient)


def test_167_relapses_in_140_patient_years_before_mobilisation() -> None:
    exposed = {
        patient: (MOBILISED[patient] - date.fromisoformat(row["diagnosis_date"])).days
        for patient, row in PATIENTS.items()
    }
    assert sum(exposed.values()) / 365.25 == pytest.approx(140.0, abs=0.02)
    before: dict[str, list[int]] = defaultdict(list)
    for row in read("relapses"):
        patient = row["patient_id"]
        before[patient].append((MOBILISED[patient] - date.fromisoformat(row["onset_date"])).days)
    assert sum(map(len, before.values())) == 167
    assert f"{167 / (sum(exposed.values()) / 365.25):.2f}" == "1.19"
    for patient, days in before.items():
        days.sort()
        assert 0 < days[0] <= days[-1] < exposed[patient]
        assert all(later - earlier > 30 for earlier, later in pairwise(days))
    assert sum(sum(at <= 365 for at in days) >= 2 for days in before.values()) >= 18


def test_scans() -> None:
    rows = read("mri")
    before = [row for row in rows if day(row, "scan_date") < 0]
    after = [row for row in rows if day(row, "scan_date") > 0]
    early = [row for row in after if day(row, "scan_date") < 61]
    counted = [row for row in after if day(row, "scan_date") >= 61]
    assert (len(before), sum(int(row["gd_n"]) for row in before)) == (48, 188)
    assert all(date.fromisoformat(row["scan_date"]) < MOBILISED[row["patient_id"]] for row in before)
    assert (len(counted), len(after), len({row["patient_id"] for row in early})) == (314, 327, 13)
    assert {(row["gd_n"], row["new_t2_n"]) for row in counted} == {("0", "0")}
    assert [row["new_t2_n"] for row in early if row["new_t2_n"] != "0"] == ["1"]
    assert all(row["with_gd"] == "true" for row in rows)
    first = {row["patient_id"]: day(row, "scan_date") for row in reversed(counted)}
    assert sorted(first) == sorted(SURVIVORS), "every survivor has a re-baseline scan"
    assert all(61 <= at <= 152 for at in first.values())
    last = {row["patient_id"]: day(row, "scan_date") for row in counted}
    assert min(last.values()) > 1096, "nobody leaves before three years"
    dates = {(row["patient_id"], row["scan_date"]) for row in rows}
    for row in after:
        assert (row["patient_id"], row["reference_scan_date"]) in dates
        assert row["reference_scan_date"] < row["scan_date"]


def test_8_of_23_progress_7_of_them_by_year_3_without_inflammation() -> None:
    worse = {patient: at for patient in SURVIVORS if (at := onset(patient, +1)) is not None}
    *by_3_years, eighth = sorted(worse.values())
    assert len(by_3_years) == 7
    assert len(set(by_3_years)) == 7
    assert max(by_3_years) <= 1006
    assert eighth > 1826
    assert all(FOLLOWED[patient] - at >= 365 for patient, at in worse.items()), "confirmed at 12 months"
    assert min(VISITS[patient][-1][0] for patient in SURVIVORS) > 1096
    scanned = {(row["patient_id"], day(row, "scan_date")) for row in read("mri")}
    for patient, at in worse.items():
        assert (patient, at) in scanned, "an inactive scan on the day of progression"


def test_8_of_23_improve_and_none_of_them_progresses() -> None:
    better = {patient: at for patient in SURVIVORS if (at := onset(patient, -1)) is not None}
    assert len(better) == 8
    assert all(at + 365 <= 1096 for at in better.values())
    assert not {patient for patient in better if onset(patient, +1) is not None}


@pytest.mark.parametrize("cut", [5.5, 6.0])
@pytest.mark.parametrize("period", [84, 168, 336])
@pytest.mark.parametrize("from_visit", [0, 1])
def test_counts_hold_for_every_confirmation_and_cut(period: int, cut: float, from_visit: int) -> None:
    confirmed = {+1: set(), -1: set()}
    for patient in SURVIVORS:
        start = VISITS[patient][from_visit][1]
        threshold = 1.5 if start == 0 else 0.5 if start >= cut else 1.0
        after = [visit for visit in VISITS[patient] if visit[0] > 0]
        for sign in confirmed:
            meets = [sign * (edss - start) >= threshold for _, edss in after]
            for k in range(len(after)):
                later = [j for j in range(k + 1, len(after)) if after[j][0] - after[k][0] >= period - 31]
                if meets[k] and later and all(meets[k : later[0] + 1]):
                    confirmed[sign].add(patient)
            assert all(meets[meets.index(True) :]) if any(meets) else True, "no change that comes and goes"
    assert {sign: len(patients) for sign, patients in confirmed.items()} == {+1: 8, -1: 8}


def test_brain_volume_slopes_within_patients() -> None:
    """Least squares with one intercept per patient (numpy): -3.3 at 2.5 years, then -0.23 a year."""
    rows = read("brain_volume")
    assert {row["measure"] for row in rows} == {"PBVC"}
    patients = sorted({row["patient_id"] for row in rows})
    assert len(patients) == 19
    assert all(float(row["value"]) == 0 for row in rows if row["scan_date"] == row["reference_scan_date"])
    for earliest in (-1000, 1):  # with the scans before, as of infusion, and without them
        used = [row for row in rows if day(row, "scan_date") >= earliest]
        years = np.array([max(day(row, "scan_date"), 0) / 365.25 for row in used])
        own = np.array([[row["patient_id"] == patient for patient in patients] for row in used], dtype=float)
        design = np.column_stack([own, np.minimum(years, 2.5), np.maximum(years - 2.5, 0)])
        values = np.array([float(row["value"]) for row in used])
        early, late = np.linalg.lstsq(design, values, rcond=None)[0][-2:]
        assert early * 2.5 == pytest.approx(-3.3, abs=0.01)
        assert late == pytest.approx(-0.23, abs=0.002)


def test_late_slopes_of_the_nine_longest_followed() -> None:
    longest = sorted(SURVIVORS, key=lambda patient: -FOLLOWED[patient])[:9]
    for patient in longest:
        late = [
            (day(row, "scan_date") / 365.25, float(row["value"]))
            for row in read("brain_volume")
            if row["patient_id"] == patient and day(row, "scan_date") / 365.25 > 2.5
        ]
        assert len(late) >= 3
        assert np.polyfit(*zip(*late, strict=True), 1)[0] == pytest.approx(-0.23, abs=0.1)


def test_blood_counts_fall_and_recover() -> None:
    counts: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in read("labs"):
        counts[row["patient_id"], row["test"]][day(row, "sample_date")] = float(row["value"])
    given: dict[str, list[int]] = defaultdict(list)
    for row in read("transfusions"):
        given[row["patient_id"]].append(day(row, "transfusion_date"))
    assert len(counts) == 48
    for (patient, test), by_day in counts.items():
        assert sorted(by_day) == list(range(-6, 31))
        level = {"neutrophils": 0.5, "platelets": 20}[test]
        nadir = min(by_day, key=lambda at: by_day[at])
        reached = [
            at
            for at in range(nadir, 29)
            if min(by_day[at + k] for k in range(3)) >= level
            and (
                test == "neutrophils"
                or all(at - 7 > given_at or given_at > at for given_at in given[patient])
            )
        ]
        assert by_day[nadir] < level
        assert reached[0] in (range(10, 14) if test == "neutrophils" else range(12, 21))
    assert all(counts[patient, "platelets"][at] < 20 for patient, days in given.items() for at in days)


def test_worst_toxicity() -> None:
    rows = read("adverse_events")
    assert sorted(row["patient_id"] for row in rows) == sorted(PATIENTS)
    assert Counter(row["severity"] for row in rows) == {"mild": 14, "moderate": 8, "fatal": 1, "": 1}
    assert {row["scale"] for row in rows} == {"not stated"}
    assert all("grade" not in row and row["soc"] for row in rows)


def test_7_of_19_off_disability_insurance_and_at_work() -> None:
    states: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in read("employment"):
        states[row["patient_id"]].append((row["disability_pension"], row["status"]))
    insured = {patient: own for patient, own in states.items() if own[0][0] == "true"}
    assert len(insured) == 19
    assert all(len(own) == 2 for own in insured.values())
    assert Counter(own[-1] for own in insured.values()) == {
        ("false", "employed"): 7,
        ("true", "unemployed"): 12,
    }
    assert all(own[0] == own[-1] for patient, own in states.items() if patient not in insured)
