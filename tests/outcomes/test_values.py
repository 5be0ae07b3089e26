"""Per-patient values of hand-made patients."""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import load_definition, vary
from ahsct.outcomes.assessments import derive_context
from ahsct.outcomes.values import derive_patient_values
from ahsct.vocabulary import NOT_EVALUABLE, PATIENT_VALUES

ATKINS = load_definition("atkins2016")
NO_ORIGINS = pl.DataFrame(
    schema={"patient_id": pl.String, "endpoint": pl.String, "day": pl.Int64, "origin": pl.String}
)


def derive(study: Any, events: pl.DataFrame, definition: Any = ATKINS) -> tuple[pl.DataFrame, pl.DataFrame]:
    values, lacking = derive_patient_values(derive_context(study, definition), events, NO_ORIGINS)
    assert values.schema == PATIENT_VALUES
    assert lacking.schema == NOT_EVALUABLE
    return values, lacking


def topic(table: pl.DataFrame, name: str, *columns: str) -> list[tuple[Any, ...]]:
    return table.filter(pl.col("topic") == name).select(*columns).rows()


def test_baseline_and_entry_criteria(build: Any) -> None:
    study = build.study(
        patients=build.rows(
            "patient_id sex ms_course birth_day age_at_index_years disease_onset_day prior_dmt_n",
            ("a", "F", "RRMS", -18600, None, -1461, 2),  # 18600 / 365.25 = 50.92: completed 50 years
            ("b", None, "SPMS", None, 51.0, None, 0),
            ("c", "M", None, None, None, -3652, None),
        ),
        visits=build.rows(
            "patient_id visit_day edss",
            ("a", -60, 3.0),
            ("a", -40, 6.0),  # on the day mobilisation began: the last before it
            ("a", -1, 6.5),
            ("b", -60, 2.5),
        ),
    )
    values, lacking = derive(study, build.events())
    found = {
        (p, term): number for p, term, number in topic(values, "baseline", "patient_id", "term", "number")
    }
    assert found["a", "age_years"] == pytest.approx(18600 / 365.25, rel=1e-12)
    assert (found["a", "edss"], found["b", "edss"]) == (6.0, 2.5)
    assert found["a", "disease_duration_years"] == 4.0  # 1461 days
    criteria = {(p, t): v for p, t, v in topic(values, "entry_criteria", "patient_id", "term", "value")}
    assert [criteria[p, "age"] for p in "abc"] == ["met", "not met", "unknown"]
    assert [criteria[p, "edss"] for p in "abc"] == ["met", "not met", "unknown"]
    assert [criteria[p, "prior_dmt"] for p in "abc"] == [
        "met",
        "not met",
        "not met",
    ]  # c: no course of a drug is known
    assert ("c", "baseline", "no edss") in lacking.select("patient_id", "endpoint", "reason").rows()


def test_relapses_before_between_and_after(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id diagnosis_day", ("a", -1501), ("b", None)),
        relapses=build.rows(
            "patient_id onset_day",
            ("a", -1600),  # before the diagnosis: in no period
            ("a", -1501),
            ("a", -41),
            ("a", -40),  # the day mobilisation began: between
            ("a", 0),  # the day of infusion: after
            ("a", 2000),  # the day of the last contact: after
        ),
    )
    values, lacking = derive(study, build.events())
    rows = topic(values, "relapses", "patient_id", "period", "number", "exposure_years")
    assert ("a", "before", 2.0, pytest.approx(1461 / 365.25)) in rows
    assert ("a", "between", 1.0, pytest.approx(40 / 365.25)) in rows
    assert ("a", "after", 2.0, pytest.approx(2000 / 365.25)) in rows
    assert not [row for row in rows if row[:2] == ("b", "before")]
    assert ("b", "relapses", "before: no day of diagnosis") in lacking.select(
        "patient_id", "endpoint", "reason"
    ).rows()


def test_unconfirmed_relapses_are_counted_apart(build: Any) -> None:
    study = build.study(
        relapses=build.rows(
            "patient_id onset_day confirmed_by_examiner", ("a", 10, True), ("a", 90, None), ("a", 200, False)
        )
    )
    definition = vary(ATKINS, relapses__confirmed_by_examiner=True)
    values, _ = derive(study, build.events(), definition)
    after = [row for row in topic(values, "relapses", "term", "period", "number") if row[1] == "after"]
    assert after == [("relapses", "after", 1.0), ("relapses_not_confirmed", "after", 2.0)]


def test_scans_before_after_and_left_out(build: Any) -> None:
    study = build.study(
        mri=build.rows(
            "patient_id scan_day gd_n new_t2_n reference_scan_day",
            ("a", -90, 4, 0, None),
            ("a", -50, None, 0, None),  # no gadolinium count: no scan for it
            ("a", -10, 9, 0, None),  # after mobilisation began
            ("a", 30, 0, 1, -50),  # early: the lesion is reported apart
            ("a", 91, 0, 0, -50),
            ("a", 365, None, 0, 91),  # not assessed for gadolinium
            ("a", 730, 0, 0, 365),
        )
    )
    values, _ = derive(study, build.events())
    assert topic(values, "mri", "term", "period", "number") == [
        ("scans", "before", 1.0),
        ("gd_lesions", "before", 4.0),
        ("scans", "after", 2.0),
        ("active_scans", "after", 0.0),
        ("new_lesions", "after", 0.0),
        ("scans", "after_all", 4.0),
        ("active_scans", "after_all", 1.0),
        ("new_lesions", "after_all", 1.0),
    ]
    assert topic(values, "mri_left_out", "period", "day", "number") == [
        ("early", 30, 1.0),
        ("not_assessed", 365, 0.0),
    ]


def test_without_scans_there_is_no_count_of_lesions(build: Any) -> None:
    values, _ = derive(build.study(mri=build.scans(("nobody", 1))), build.events())
    assert topic(values, "mri", "term", "period", "number") == [
        ("scans", period, 0.0) for period in ("before", "after", "after_all")
    ]
    _, lacking = derive(build.study(), build.events())
    assert (None, "mri", "the study has no table of scans (mri)") in lacking.select(
        "patient_id", "endpoint", "reason"
    ).rows()


def test_worst_severity(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", *[(p,) for p in "abcde"]),
        adverse_events=build.rows(
            "patient_id term start_day severity soc",
            ("a", "fever", 5, "mild", "General"),
            ("a", "sepsis", 100, "severe", "Infections"),
            ("a", "late", 101, "fatal", "Infections"),  # after day 100
            ("b", "rash", 5, None, None),
            ("b", "rash", 6, "moderate", None),
            ("c", "rash", 5, None, "Skin"),
            ("d", "rash", None, "severe", "Skin"),  # cannot be placed
        ),
    )
    values, lacking = derive(study, build.events())
    assert topic(values, "toxicity", "patient_id", "value") == [
        ("a", "severe"),
        ("b", "moderate"),
        ("c", "not stated"),
        ("e", "none"),
    ]
    assert topic(values, "toxicity_organ", "patient_id", "term", "value") == [
        ("a", "General", "mild"),
        ("a", "Infections", "severe"),
        ("b", "not stated", "moderate"),
        ("c", "Skin", "not stated"),
    ]
    assert ("d", "toxicity", "an adverse event without a day of start") in lacking.select(
        "patient_id", "endpoint", "reason"
    ).rows()


def test_work_is_asked_of_those_insured_at_baseline(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", *[(p,) for p in "abcde"]),
        employment=build.rows(
            "patient_id assessment_day status disability_pension",
            ("a", -30, "other", True),
            ("a", 500, "other", True),
            ("a", 900, "employed", False),
            ("b", -30, "other", True),
            ("b", 900, "unemployed", False),  # off insurance, not working
            ("c", -30, "employed", False),  # never on it
            ("c", 900, "employed", False),
            ("d", -30, "other", True),  # no later assessment
            ("e", -30, "other", True),
            ("e", 900, "employed", True),  # working, still on it
        ),
    )
    values, lacking = derive(study, build.events())
    rows = topic(values, "work", "patient_id", "value", "day", "mark")
    assert rows == [("a", "yes", 900, "inferred"), ("b", "no", 900, "inferred"), ("e", "no", 900, "inferred")]
    assert "d" in lacking.filter(pl.col("endpoint") == "work")["patient_id"].to_list()


def improvement(build: Any, patient: str, day: int, before: float) -> dict[str, Any]:
    return build.worsening(patient, day, 0) | {
        "event_id": f"{patient}/edss_improvement/1",
        "direction": "improvement",
        "value_before": before,
    }


def test_sustained_improvement_and_the_state_at_each_visit(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", *[(p,) for p in "abcdef"]),
        visits=build.rows(
            "patient_id visit_day edss",
            *[("a", day, 3.0) for day in (100, 500, 1100, 2000)],  # 4.0 to 3.0, kept
            *[("b", day, edss) for day, edss in ((500, 3.0), (1100, 3.0), (1500, 3.5), (2000, 3.0))],
            *[("c", day, edss) for day, edss in ((500, 4.0), (1100, 4.0), (2000, 3.0))],  # improved later
            *[("d", day, 3.0) for day in (500, 1004, 1188)],  # no visit within 91 days of day 1096
            ("e", 300, 3.0),
            # day 1047 and 1145 are both 49 days off: the earlier, at which it was not there
            *[("f", day, edss) for day, edss in ((500, 3.0), (1047, 4.0), (1145, 3.0))],
        ),
        follow_up=pl.concat(
            [
                build.rows(
                    "patient_id last_contact_day vital_status death_day cause_class",
                    *[(p, 2000, "alive", None, None) for p in "abcdf"],
                ).cast({"death_day": pl.Int64, "cause_class": pl.String}),
                build.died("e", 400),
            ]
        ),
    )
    events = build.events(
        improvement(build, "a", 500, 4.0),
        improvement(build, "b", 500, 4.0),
        improvement(build, "c", 2000, 4.0),
        improvement(build, "d", 500, 4.0),
        improvement(build, "e", 300, 4.0),
        improvement(build, "f", 500, 4.0),
    )
    values, lacking = derive(study, events)
    sustained = dict(topic(values, "sustained_change", "patient_id", "value"))
    assert sustained == {"a": "yes", "b": "no", "c": "no", "d": "not evaluable", "e": "no", "f": "no"}
    assert ("d", "sustained_change") in lacking.select("patient_id", "endpoint").rows()
    states = values.filter((pl.col("topic") == "edss_state") & pl.col("patient_id").is_in(["a", "b"]))
    assert states.select("patient_id", "day", "number").rows() == [
        ("a", 100, 0.0),  # at 3.0 already, but the confirmed improvement began on day 500
        *[("a", day, 1.0) for day in (500, 1100, 2000)],
        ("b", 500, 1.0),
        ("b", 1100, 1.0),
        ("b", 1500, 0.0),  # 3.5 is half a point below 4.0
        ("b", 2000, 1.0),
    ]


def volumes(build: Any, measure: str, *rows: tuple[Any, ...]) -> Any:
    made = [(patient, day, measure, value, reference) for patient, day, value, reference in rows]
    return build.study(brain_volume=build.rows("patient_id scan_day measure value reference_scan_day", *made))


def test_brain_volume_since_one_reference_and_compounded(build: Any) -> None:
    common = volumes(build, "PBVC", ("a", -50, 0.0, -50), ("a", 300, -2.0, -50), ("a", 700, -2.5, -50))
    values, _ = derive(common, build.events())
    assert topic(values, "brain_volume", "day", "number") == [(-50, 0.0), (300, -2.0), (700, -2.5)]
    chain = volumes(build, "PBVC", ("a", -50, 0.0, None), ("a", 300, -2.0, -50), ("a", 700, -1.0, 300))
    values, _ = derive(chain, build.events())
    # 0.98 * 0.99 = 0.9702: -2.98 percent, not -3.0
    assert [round(number, 10) for _, number in topic(values, "brain_volume", "day", "number")] == [
        0,
        -2,
        -2.98,
    ]
    mixed = volumes(
        build,
        "PBVC",
        ("a", -50, 0.0, None),
        ("a", 300, -2.0, -50),
        ("a", 700, -1.0, 300),
        ("a", 900, -3.5, -50),
    )
    values, lacking = derive(mixed, build.events())
    assert not topic(values, "brain_volume", "day")
    assert "brain_volume" in lacking["endpoint"].to_list()


def test_brain_volume_in_millilitres(build: Any) -> None:
    study = volumes(build, "NBV", ("a", -50, 1500.0, None), ("a", 300, 1470.0, None))
    values, _ = derive(study, build.events(), vary(ATKINS, brain_volume__measure="NBV"))
    assert [round(n, 10) for (n,) in topic(values, "brain_volume", "number")] == [0.0, -2.0]
