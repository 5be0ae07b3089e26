"""Facts from tables: names of drugs and reasons as people write them, and what a table leaves unsaid."""

from typing import Any

import polars as pl
import pytest

from ahsct import make_study
from ahsct.definitions.eligibility import load_rule_set
from ahsct.eligibility import assess_eligibility, derive_facts
from ahsct.eligibility.told import facts_of_one


def facts(
    rules: str, *, at: str = "mobilisation_start", patient: dict[str, Any] | None = None, **tables: Any
) -> dict[str, Any]:
    """Return the facts of one patient, judged on day -40 or another."""
    one = {"patient_id": ["a"], "ms_course": ["RRMS"]} | {k: [v] for k, v in (patient or {}).items()}
    base = {
        "patients": pl.DataFrame(one),
        "visits": pl.DataFrame({"patient_id": ["a"], "visit_day": [-60], "edss": [4.0]}),
        "transplants": pl.DataFrame(
            {"patient_id": ["a"], "mobilisation_start_day": [-40], "infusion_day": [0]}
        ),
    }
    made = {
        name: pl.DataFrame({"patient_id": ["a"] * len(next(iter(rows.values()))), **rows})
        for name, rows in tables.items()
    }
    study = make_study("one", data_kind="simulated", **(base | made))
    return derive_facts(study, load_rule_set(rules), at=at).row(0, named=True)  # type: ignore[arg-type]


def course(
    drug: str, reason: str | None = None, start: int = -900, end: int | None = -500
) -> dict[str, list[Any]]:
    return {
        "kind": ["dmt"],
        "drug": [drug],
        "start_day": [start],
        "end_day": [end],
        "reason_stopped": [reason],
    }


@pytest.mark.parametrize(
    ("drug", "n"),
    [("Tysabri", 1), ("LEMTRADA", 1), ("Ocrelizumab 600 mg", 1), ("interferon", 0), ("study drug", None)],
)
def test_a_brand_name_is_its_drug_and_an_unread_name_leaves_the_count_open(
    drug: str, n: float | None
) -> None:
    found = facts("shtg2019", treatments=course(drug, "inefficacy"))
    assert found["failed_high_efficacy_dmt_n"] == n


@pytest.mark.parametrize(
    ("reason", "n"),
    [
        ("ineffective", 1),
        ("insufficient response", 1),
        ("MRI activity", 1),
        ("not effective", 1),
        ("no relapse, planned pregnancy", 0),
        ("side effects", 0),
        ("liver failure", 0),
        ("see letter", None),
        (None, None),
    ],
)
def test_reasons_for_stopping_as_people_write_them(reason: str | None, n: float | None) -> None:
    assert facts("shtg2019", treatments=course("natalizumab", reason))["failed_high_efficacy_dmt_n"] == n


@pytest.mark.parametrize(
    ("drug", "had"),
    [
        ("Novantrone", True),
        ("mitoxantrone hydrochloride", True),
        ("natalizumab", False),
        ("chemotherapy", None),
    ],
)
def test_mitoxantrone_under_other_names(drug: str, had: bool | None) -> None:
    assert facts("mist2005", treatments=course(drug))["had_mitoxantrone"] is had


def test_a_table_that_begins_with_the_transplant_says_nothing_of_earlier_drugs() -> None:
    conditioning = {"kind": ["conditioning"], "drug": ["cyclophosphamide"], "start_day": [-5]}
    assert facts("mist2005", treatments=conditioning)["had_mitoxantrone"] is None
    assert facts("starms2021", treatments=conditioning)["is_dmt_naive"] is None
    assert facts("ottawa2000", treatments=conditioning)["had_cytotoxic_drug"] is None
    assert facts("heidelberg", treatments=conditioning, patient={"prior_dmt_n": 3})["failed_dmt_n"] is None
    assert facts("starms2021", treatments=conditioning, patient={"prior_dmt_n": 3})["is_dmt_naive"] is False
    assert facts("starms2021", treatments=conditioning, patient={"prior_dmt_n": 0})["is_dmt_naive"] is True
    # two of three drugs are in the table: one failed, the third nobody knows
    two = {"kind": ["dmt"] * 2, "drug": ["Avonex", "Gilenya"], "start_day": [-900, -600], "end_day": [-700, -500],
           "reason_stopped": ["relapse", "headache, side effects"]}  # fmt: skip
    assert facts("heidelberg", treatments=two, patient={"prior_dmt_n": 2})["failed_dmt_n"] == 1
    assert facts("heidelberg", treatments=two, patient={"prior_dmt_n": 3})["failed_dmt_n"] is None


def test_relapses_recorded_before_the_study_are_not_lost_to_a_table_that_begins_with_it() -> None:
    recorded = {"n_relapses_12m": 3}
    on_study = {"onset_day": [200]}
    assert facts("ebmt2019", at="index", patient=recorded, relapses=on_study)["relapses_n_12m"] == 3
    assert facts("ebmt2019", patient=recorded, relapses=on_study)["relapses_n_12m"] is None
    assert facts("ebmt2019", relapses=on_study)["relapses_n_12m"] is None
    assert facts("ebmt2019", relapses={"onset_day": [-100, 200]})["relapses_n_12m"] == 1
    assert facts("ebmt2019", relapses={"onset_day": [-100, -90, 200]})["relapses_n_12m"] == 2


def test_an_old_examination_does_not_stand_for_the_day() -> None:
    old = {"visit_day": [-3000], "edss": [1.0]}
    assert facts("ebmt2019", visits=old, patient={"edss_at_index": 5.0})["edss"] == 5.0
    assert facts("ebmt2019", visits=old)["edss"] is None


@pytest.mark.parametrize(
    ("rules", "key", "n"),
    [
        ("beatms2019", "activity_episodes_on_dmt_n_36m", 0),
        ("ottawa2000", "activity_episodes_on_dmt_n_12m", 0),
    ],
)
def test_activity_long_after_a_drug_was_stopped_is_not_on_it(rules: str, key: str, n: float) -> None:
    scans = {"scan_day": [-100], "gd_n": [1], "new_t2_n": [0]}
    found = facts(
        rules,
        treatments=course("interferon beta", "relapse", -3000, -2500),
        relapses={"onset_day": [-300]},
        mri=scans,
    )
    assert found[key] == n
    # on natalizumab from day -800 the relapse of day -300 and the scan of day -100 count
    found = facts(
        rules, treatments=course("natalizumab", None, -800, None), relapses={"onset_day": [-300]}, mri=scans
    )
    assert found[key] == 2


def test_heidelberg_wants_a_baseline_drug_among_those_that_failed() -> None:
    rules = load_rule_set("heidelberg")
    told = {"ms_course": "RRMS", "failed_dmt_n": 2}
    for baseline, status in ((0, "not met"), (1, "met")):
        found = assess_eligibility(
            facts_of_one(told | {"failed_baseline_dmt_n": baseline}, name="x"), [rules]
        ).rules
        assert found.filter(pl.col("rule") == "HEID-01")["status"][0] == status


def test_rapidly_evolving_disease_in_a_trial_needs_no_failed_drug() -> None:
    told = {"ms_course": "RRMS", "is_highly_active": True, "is_dmt_naive": True, "is_rapidly_evolving_severe": True,
            "failed_high_efficacy_dmt_n": 0, "has_nmosd": False, "is_in_trial": True}  # fmt: skip
    rules = [load_rule_set("ectrims_ebmt2025")]
    assert assess_eligibility(facts_of_one(told, name="x"), rules).rule_sets["status"][0] == "met"
    outside = assess_eligibility(facts_of_one(told | {"is_in_trial": False}, name="x"), rules).rule_sets
    assert outside.select("status", "not_met").row(0) == ("not met", ["EE25-02 or EE25-07"])


def test_a_rule_that_is_met_asks_not_whether_it_applies() -> None:
    told = {"age_years": 30, "edss": 4.0, "fs_pyramidal": 3, "has_significant_inflammation": True,
            "activity_episodes_on_dmt_n_12m": 1, "has_normal_marrow": True, "meets_paty_or_fazekas": True}  # fmt: skip
    found = assess_eligibility(facts_of_one(told, name="x"), [load_rule_set("ottawa2000")]).rule_sets
    assert found.select("status", "settled_by").row(0) == ("met", None)
    course_unknown = assess_eligibility(
        facts_of_one({"age_years": 30, "edss": 2.0}, name="x"), [load_rule_set("ramms2018")]
    )
    row = course_unknown.rule_sets.row(0, named=True)
    assert row["status"] == "unknown"
    assert "ms_course" in row["missing"]


def test_lesions_of_one_kind_are_active_lesions() -> None:
    told = {"ms_course": "SPMS", "new_t2_n_12m": 2, "gd_n_12m": 0}
    london = load_rule_set("london2016")

    def lon_04(**more: object) -> str:
        rules = assess_eligibility(facts_of_one(told | more, name="x"), [london]).rules
        return str(rules.filter(pl.col("rule") == "LON-04")["status"][0])

    assert lon_04() == "met"
    assert lon_04(new_t2_n_12m=0) == "unknown"  # enlarging ones were not counted
    assert lon_04(new_t2_n_12m=0, new_or_enlarging_t2_n_12m=0) == "not met"


def test_a_video_may_admit_above_seven() -> None:
    mexico = load_rule_set("mexico2020")

    def pueb(**more: object) -> tuple[str, str]:
        rules = assess_eligibility(facts_of_one({"ms_course": "PPMS"} | more, name="x"), [mexico]).rules
        by_rule = dict(rules.select("rule", "status").iter_rows())
        return by_rule["PUEB-01"], by_rule["PUEB-02"]

    assert pueb(edss=7.0) == ("met", "does not apply")  # no limit of age: nothing to ask
    assert pueb(edss=7.5)[0] == "unknown"
    assert pueb(edss=7.5, is_admitted_by_video=True)[0] == "met"
    assert pueb(edss=8.5, is_admitted_by_video=True)[0] == "not met"
