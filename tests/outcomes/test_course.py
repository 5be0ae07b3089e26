"""One patient's course, worked by hand, and against the events of the whole study."""

import polars as pl
import pytest

from ahsct import load_definition, load_example, make_study, vary
from ahsct.definitions import ThresholdStep
from ahsct.errors import RequestError
from ahsct.outcomes import derive_outcomes
from ahsct.outcomes.course import Course, derive_course, needed_change

DAYS = [-60, 30, 91, 183, 275, 365, 455, 548, 640, 731, 820, 913]
EDSS = [4.0, 4.5, 3.5, 3.0, 3.0, 3.0, 4.5, 4.0, 4.0, 5.0, 3.0, 3.0]


def one_patient(*, relapses: list[int] | None = None):
    tables = {
        "patients": pl.DataFrame({"patient_id": ["a"], "arm": ["aHSCT"]}),
        "visits": pl.DataFrame({"patient_id": ["a"] * len(DAYS), "visit_day": DAYS, "edss": EDSS}),
        "transplants": pl.DataFrame(
            {"patient_id": ["a"], "mobilisation_start_day": [-50], "infusion_day": [0]}
        ),
        "follow_up": pl.DataFrame(
            {"patient_id": ["a"], "last_contact_day": [920], "vital_status": ["alive"]}
        ),
    }
    if relapses:
        tables["relapses"] = pl.DataFrame({"patient_id": ["a"] * len(relapses), "onset_day": relapses})
    return make_study("one", data_kind="simulated", **tables)


def roving(**changes):
    both = {
        f"disability.edss.{direction}_baseline_{what}": value
        for direction in ("worsening", "improvement")
        for what, value in (("scheme", "roving"), ("visit", "first"))
    }
    both |= {
        "disability.edss.confirmation_periods_days": [84, 168],
        "disability.edss.confirmation_tolerance_days": [14, 180],
    }
    return vary(load_definition("atkins2016"), **{**both, **changes})


@pytest.fixture(scope="module")
def course() -> Course:
    return derive_course(one_patient(relapses=[-200, 430]), "a", roving())


def test_changes_by_hand(course: Course) -> None:
    # 4.0 -> 3.0 on 183, confirmed on 275 (92 days) and 365 (182): the baseline moves to 275
    # 3.0 -> 4.5 on 455 (25 days after the relapse: RAW), confirmed on 548 and 640: the baseline moves to 548
    # 4.0 -> 5.0 on 731 is gone on 820; 4.0 -> 3.0 on 820 is confirmed on 913
    assert course.changes.select(
        "number", "direction", "onset_day", "baseline_day", "value_before", "value_after", "needed", "confirmed_day",
        "label", "rejected_because",
    ).rows() == [
        (1, "improvement", 183, -60, 4.0, 3.0, 1.0, 275, None, None),
        (2, "worsening", 455, 275, 3.0, 4.5, 1.0, 548, "RAW", None),
        (3, "worsening", 731, 548, 4.0, 5.0, 1.0, None, None, "reverted"),
        (4, "improvement", 820, 548, 4.0, 3.0, 1.0, 913, None, None),
    ]  # fmt: skip
    assert course.confirmations.select("number", "period_days", "day").rows() == [
        (1, 84, 275), (1, 168, 365), (2, 84, 548), (2, 168, 640), (4, 84, 913),
    ]  # fmt: skip


def test_baselines_are_known_from_the_visit_that_confirms(course: Course) -> None:
    worsening = course.baselines.filter(pl.col("direction") == "worsening")
    assert worsening.select("seen_day", "baseline_day", "value").rows() == [
        (-60, -60, 4.0), (275, 275, 3.0), (548, 548, 4.0), (913, 913, 3.0),
    ]  # fmt: skip


def test_windows_by_hand(course: Course) -> None:
    of_second = course.windows.filter(pl.col("number") == 2).select("kind", "first_day", "last_day").rows()
    # 455 + 84 - 14 to 455 + 84 + 180, 455 + 168 - 14 to 455 + 168 + 180; PIRA (90, 30) around 455, 548 and 640
    assert sorted(of_second) == [
        ("PIRA", 365.0, 485.0), ("PIRA", 458.0, 578.0), ("PIRA", 550.0, 670.0),
        ("confirmation", 525.0, 719.0), ("confirmation", 609.0, 803.0),
    ]  # fmt: skip
    assert course.raw.rows() == [(-200, -110), (430, 520)]
    assert course.days["infusion"] == 0


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"pira_joined": "event_confirmation", "pira_around_event_days": [90, 0], "pira_around_confirmation_days": [0, 30]}, [(365, 578), (365, 670)]),
        ({"pira_joined": "preceding_event", "pira_preceding_visit": "last", "pira_around_event_days": [0, 30], "pira_around_confirmation_days": [30, 0]}, [(365, 485), (518, 548), (610, 640)]),
        ({"pira_joined": "all", "pira_preceding_visit": "baseline", "pira_around_event_days": [0, 0], "pira_around_confirmation_days": [0, 0]}, [(275, 548), (275, 640)]),
        ({"pira_around_preceding_days": [10, 20], "pira_around_event_days": [0, 0], "pira_around_confirmation_days": [0, 0]}, [(265, 295)]),
    ],
)  # fmt: skip
def test_joined_windows(changes: dict, windows: list[tuple[int, int]]) -> None:
    definition = roving(**{f"disability.edss.{name}": value for name, value in changes.items()})
    course = derive_course(one_patient(relapses=[-200]), "a", definition)
    found = course.windows.filter((pl.col("number") == 2) & (pl.col("kind") == "PIRA"))
    assert sorted(found.select("first_day", "last_day").rows()) == windows


def test_pira_may_rest_on_a_later_visit_than_the_first_that_confirms() -> None:
    # windows (90, 30): the relapse on 560 is too near 548 and 640, the only visits of the 84-day period, but not 731
    course = derive_course(one_patient(relapses=[-200, 560]), "a", roving())
    second = course.confirmations.filter(pl.col("number") == 2)
    assert second.select("period_days", "day", "is_relapse_free", "relapse_free_day").rows() == [
        (84, 548, False, None),
        (168, 640, False, 731),
    ]
    assert course.changes["label"][1] == "PIRA"
    assert (641.0, 761.0) in course.windows.filter(pl.col("kind") == "PIRA").select(
        "first_day", "last_day"
    ).rows()


def test_without_relapses_there_is_no_label() -> None:
    course = derive_course(one_patient(), "a", roving())
    assert course.relapses.is_empty()
    assert course.changes["label"].null_count() == course.changes.height


def test_every_patient_of_the_trial_has_the_events_of_the_whole_study() -> None:
    study, definition = load_example("atkins2016"), roving()
    outcomes = derive_outcomes(study, definition)
    edss = outcomes.events.filter(pl.col("kind") == "disability")
    for patient in ["P01", "P06", "P10", "P17", "P24"]:
        course = derive_course(study, patient, definition)
        own = course.changes.filter(pl.col("rejected_because").is_null())
        whole = edss.filter(pl.col("patient_id") == patient).sort("day", "direction")
        assert own["value_after"].to_list() == whole["value_after"].to_list()
        assert (own["confirmed_day"] - own["onset_day"]).to_list() == (
            whole["confirmed_day"] - whole["day"]
        ).to_list()
        assert own["label"].to_list() == whole["label"].to_list()


def test_each_change_is_counted_from_the_baseline_known_before_it() -> None:
    study, definition = load_example("atkins2016"), roving()
    n = 0
    for patient in study.tables["patients"]["patient_id"]:
        course = derive_course(study, patient, definition)
        for row in course.changes.iter_rows(named=True):
            known = course.baselines.filter(
                (pl.col("direction") == row["direction"]) & (pl.col("seen_day") < row["onset_day"])
            )
            assert known["baseline_day"][-1] == row["baseline_day"], (patient, row["number"])
            n += 1
    assert n > 10


@pytest.mark.parametrize(
    ("table", "reference", "needed"),
    [
        ([(0, 1.5, "points", None), (1.0, 1.0, "points", None), (5.5, 0.5, "points", None)], 0.0, 1.5),
        ([(0, 1.5, "points", None), (1.0, 1.0, "points", None), (5.5, 0.5, "points", None)], 5.0, 1.0),
        ([(0, 1.5, "points", None), (1.0, 1.0, "points", None), (5.5, 0.5, "points", None)], 5.5, 0.5),
        ([(0, 0.2, "fraction", None)], 6.0, 1.2),
        ([(0, 0.2, "fraction", 4.0)], 50.0, 4.0),
    ],
)
def test_needed_change(table: list, reference: float, needed: float) -> None:
    steps = tuple(ThresholdStep(from_value=a, change=b, unit=c, at_most=d) for a, b, c, d in table)
    rule = vary(load_definition("atkins2016").disability_rule("edss"), worsening_threshold=steps)
    assert needed_change(rule, "worsening", reference) == pytest.approx(needed, rel=1e-12)


def test_what_cannot_be_drawn_is_named() -> None:
    study = one_patient()
    with pytest.raises(RequestError, match="no patient 'b'"):
        derive_course(study, "b", roving())
    with pytest.raises(RequestError, match="no day of randomisation"):
        derive_course(study, "a", roving(**{"time_zero.kind": "randomisation"}))
    bare = make_study("bare", data_kind="simulated", **{
        name: frame.drop("row") if name != "visits" else frame.drop("row").clear() for name, frame in study.tables.items()
    })  # fmt: skip
    with pytest.raises(RequestError, match="no visit with edss"):
        derive_course(bare, "a", roving())
