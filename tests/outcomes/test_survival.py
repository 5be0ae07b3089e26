from typing import Any

import polars as pl

from ahsct.definitions import load_definition
from ahsct.outcomes.survival import derive_survival
from ahsct.outcomes.timeline import derive_timeline
from ahsct.vocabulary import TIME_TO_EVENT

ATKINS = load_definition("atkins2016")


def survival(study: Any) -> pl.DataFrame:
    table = derive_survival(derive_timeline(study, ATKINS), ATKINS)
    assert table.schema == TIME_TO_EVENT
    return table


def test_causes_and_clocks(build: Any) -> None:
    study = build.study(
        patients=build.rows("patient_id", *[(p,) for p in "abcd"]),
        follow_up=build.rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            ("a", 60, "dead", 60, "treatment-related"),
            ("b", 900, "dead", 900, None),
            ("c", 2000, "alive", None, None),
        ),
    )
    table = survival(study)
    rows = table.select(
        "endpoint", "population", "patient_id", "time_day", "is_event", "cause", "is_evaluable"
    )
    infused = [("a", 60, True), ("b", 900, True), ("c", 2000, False), ("d", 0, False)]
    expected = []
    for endpoint, population, delay, causes in (
        ("overall_survival", "infused", 0, ("treatment_related", "unknown")),
        ("treatment_related_mortality", "infused", 0, ("treatment_related", "other_death")),
        ("treatment_related_mortality", "mobilised", 40, ("treatment_related", "other_death")),
    ):
        for (patient, day, is_event), cause in zip(infused, (*causes, None, None), strict=True):
            known = patient != "d"  # no follow_up row: not evaluable, and no zero
            expected.append(
                (endpoint, population, patient, day + delay if known else 0, is_event, cause, known)
            )
    assert rows.rows() == expected
    assert table.filter(~pl.col("is_evaluable"))["censor_reason"].unique().to_list() == [
        "no follow_up row: vital status is unknown"
    ]


def test_mobilised_but_never_infused_belongs_to_one_population(build: Any) -> None:
    study = build.study(
        transplants=build.rows("patient_id mobilisation_start_day infusion_day", ("a", -40, None)),
        follow_up=build.died("a", -20),
    )
    table = survival(study)
    assert table.select("population", "time_day", "cause").rows() == [("mobilised", 20, "treatment_related")]


def test_a_death_without_a_day_is_not_evaluable(build: Any) -> None:
    study = build.study(
        follow_up=build.rows("patient_id last_contact_day vital_status death_day", ("a", 50, "dead", None))
    )
    table = survival(study)
    assert not table["is_evaluable"].any()
    assert table["censor_reason"].unique().to_list() == ["dead, but the day of death is missing"]
