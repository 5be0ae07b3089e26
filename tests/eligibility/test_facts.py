"""Facts from tables: names of drugs and reasons as people write them, and what a table leaves unsaid."""

from typing import Any

import polars as pl
import pytest

from ahsct import make_study
from ahsct.definitions.eligibility import load_rule_set
from ahsct.eligibility import assess_eligibility, derive_facts
from ahsct.eligibility.told import facts_of_one, typed_facts
from ahsct.errors import TableError


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
    assert (
        facts("ebmt2019", relapses={"onset_day": [-100, 200]})["relapses_n_12m"] is None
    )  # where does it begin?
    assert facts("ebmt2019", relapses={"onset_day": [-300, 200]})["relapses_n_12m"] == 1
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


@pytest.mark.parametrize(
    ("reason", "n"),
    [
        ("no evidence of disease activity, pregnancy", 0),
        ("no new relapses or progression", 0),
        ("relapse-free, pregnancy planned", 0),
        ("not lack of efficacy", 0),
        ("relapse of depression", 0),
        ("worsening liver enzymes", None),  # what worsened was not the disease
        ("progressive lymphopenia", None),
        ("failed to attend visits", None),
        ("no clinical or radiological activity", None),
        ("no response after two relapses", 1),
        ("relapse and side effects", 1),
        ("disease progression, patient's wish", 1),
        ("treatment failure", 1),
        ("progression", 1),
    ],
)
def test_a_denied_failure_is_none_and_another_organ_is_not_the_disease(reason: str, n: float | None) -> None:
    assert facts("shtg2019", treatments=course("natalizumab", reason))["failed_high_efficacy_dmt_n"] == n


def test_a_placebo_is_no_drug_and_premedication_no_second_one() -> None:
    assert facts("mist2005", treatments=course("placebo for mitoxantrone"))["had_mitoxantrone"] is None
    assert facts("mist2005", treatments=course("mitoxantrone + methylprednisolone"))["had_mitoxantrone"]


@pytest.mark.parametrize(
    ("drug", "had"), [("Fampridine", False), ("chemotherapy", None), ("Novantrone", True)]
)
def test_an_unlisted_supportive_drug_is_not_cytotoxic(drug: str, had: bool | None) -> None:
    rows = {"kind": ["dmt", "supportive"], "drug": ["natalizumab", drug], "start_day": [-900, -800]}
    assert facts("mist2005", treatments=rows)["had_mitoxantrone"] is had
    assert facts("ottawa2000", treatments=rows)["had_cytotoxic_drug"] is had


ON_STUDY = {"onset_day": [200]}
COUNTED = {"scan_day": [-100], "gd_n": [1], "new_t2_n": [0]}
OPEN = {"scan_day": [-100], "gd_n_min": [0], "gd_n_max": [2], "new_t2_n": [0]}


@pytest.mark.parametrize(
    ("tables", "n"),
    [
        ({"relapses": ON_STUDY, "mri": COUNTED}, None),  # one scan; relapses before the study are not listed
        ({"relapses": {"onset_day": [-90]}, "mri": COUNTED}, 2),
        ({"relapses": {"onset_day": [-90, -300]}}, 2),  # two relapses need no scan
        ({"relapses": {"onset_day": [-90]}}, None),
        ({"relapses": {"onset_day": [-90]}, "mri": OPEN}, None),
        ({"relapses": {"onset_day": [-250]}, "mri": COUNTED | {"gd_n": [0]}}, 1),
        ({"mri": COUNTED}, None),
    ],
)
def test_episodes_of_activity_that_nobody_could_see_are_not_zero(
    tables: dict[str, Any], n: float | None
) -> None:
    assert facts("beatms2019", **tables)["activity_episodes_n_36m"] == n


@pytest.mark.parametrize(
    ("tables", "is_active"),
    [
        ({"relapses": ON_STUDY}, None),
        ({"relapses": {"onset_day": [-90, None]}}, True),
        ({"relapses": {"onset_day": [-900]}}, None),  # the two visits lie 40 days apart
        (
            {"relapses": {"onset_day": [-900]}, "visits": {"visit_day": [-380, -60], "edss": [4.0, 4.0]}},
            False,
        ),
        ({"relapses": ON_STUDY, "visits": {"visit_day": [-100, -60], "edss": [3.5, 4.0]}}, True),
    ],
)
def test_clinical_activity_needs_the_whole_window(tables: dict[str, Any], is_active: bool | None) -> None:
    visits = {"visits": {"visit_day": [-100, -60], "edss": [4.0, 4.0]}}
    assert facts("ectrims_ebmt2025", **(visits | tables))["has_clinical_activity_12m"] is is_active


@pytest.mark.parametrize(
    ("days", "steps", "rise"),
    [
        ([-70, -41], [3.0, 3.0], None),  # a month says nothing of 24
        ([-70, -41], [3.0, 4.0], None),  # one step is not more than one
        ([-70, -41], [3.0, 4.5], 1.5),  # enough already
        ([-500, -41], [3.0, 3.5], 0.5),
    ],
)
def test_a_rise_of_edss_needs_an_early_examination(
    days: list[int], steps: list[float], rise: float | None
) -> None:
    assert facts("heidelberg", visits={"visit_day": days, "edss": steps})["edss_rise_24m"] == rise


def test_a_drug_that_goes_on_has_not_failed_only_where_activity_was_looked_for() -> None:
    going_on = course("natalizumab", end=None)
    quiet, scans = {"onset_day": [-2000]}, COUNTED | {"gd_n": [0]}

    def failed(**tables: Any) -> object:
        return facts("shtg2019", treatments=going_on, **tables)["failed_high_efficacy_dmt_n"]

    assert failed(relapses=quiet, mri=scans) == 0
    assert failed(relapses=ON_STUDY, mri=scans) is None
    assert failed(relapses=quiet, mri=OPEN) is None
    assert failed(relapses=quiet, mri=scans | {"scan_day": [300]}) is None


def test_activity_on_a_drug_is_open_only_for_those_on_one() -> None:
    on_it, long_past = course("natalizumab", end=None), course("natalizumab", "side effects", -2000, -1500)
    quiet = {"onset_day": [-2000]}
    key = "activity_episodes_on_dmt_n_12m"
    assert facts("starms2021", treatments=on_it, relapses=quiet, mri=OPEN)[key] is None
    assert facts("starms2021", treatments=long_past, relapses=quiet, mri=OPEN)[key] == 0
    assert facts("norway2015", treatments=on_it, relapses=ON_STUDY)["relapses_on_dmt_n_12m"] is None
    assert facts("norway2015", treatments=long_past, relapses=ON_STUDY)["relapses_on_dmt_n_12m"] == 0


@pytest.mark.parametrize(
    ("transplants", "had"),
    [
        ({"mobilisation_start_day": [-40], "infusion_day": [0]}, False),
        ({"mobilisation_start_day": [-700, -40], "infusion_day": [-650, 0]}, True),
        ({"mobilisation_start_day": [-700], "infusion_day": [None]}, None),  # it may not have come to it
        ({"transplant_number": [2], "mobilisation_start_day": [-40], "infusion_day": [0]}, True),
    ],
)
def test_an_earlier_transplant(transplants: dict[str, Any], had: bool | None) -> None:
    assert facts("mist2005", at="index", transplants=transplants)["had_transplant"] is had


def test_the_edss_of_the_index_date_is_not_that_of_another_year() -> None:
    patient = {"edss_at_index": 5.0, "treatment_decision_day": -500}
    assert facts("ebmt2019", at="treatment_decision", patient=patient)["edss"] is None
    assert facts("ebmt2019", at="index", patient=patient | {"edss_at_index": 4.0})["edss"] == 4.0


def test_progressive_disease_is_not_asked_whether_it_is_rapidly_evolving() -> None:
    told = {
        "ms_course": "SPMS",
        "has_clinical_activity_12m": True,
        "active_lesions_n_12m": 1,
        "has_nmosd": False,
    }
    found = assess_eligibility(facts_of_one(told, name="x"), [load_rule_set("ectrims_ebmt2025")])
    assert found.rule_sets["status"].to_list() == ["met"]


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"ms_course": "rrms"}, "must be one of CIS, RIS, RRMS"),
        ({"edss": 35}, "must be an EDSS, 0 to 10 in half steps"),
        ({"edss": 5.3}, "half steps"),
        ({"edss": float("nan")}, "half steps"),
        ({"relapses_n_12m": -1}, "must be a number, 0 or more"),
        ({"age_years": 300}, "0 to 110"),
    ],
)
def test_a_fact_that_cannot_be_is_refused(told: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        facts_of_one(told, name="x")
    with pytest.raises(TableError, match=f"{message}.*row 2 is not"):
        typed_facts(
            pl.DataFrame({"patient_id": ["a", "b"]} | {k: [None, str(v)] for k, v in told.items()}), name="x"
        )


def test_a_step_of_edss_on_a_drug_may_be_its_failure() -> None:
    drug = course("natalizumab", None, -900, None)
    calm = {
        "relapses": {"onset_day": [-1200]},
        "mri": {"scan_day": [-1000, -100], "gd_n": [0, 0], "new_t2_n": [0, 0]},
    }
    for last, failed in ((3.0, 0), (4.0, None)):
        visits = {"visit_day": [-880, -60], "edss": [3.0, last]}
        assert (
            facts("london2016", treatments=drug, visits=visits, **calm)["failed_high_efficacy_dmt_n"]
            == failed
        )
