"""A patient in whom one component cannot be evaluated: treated alike with and without an event of another."""

import polars as pl
import pytest

from ahsct import analyse, load_definition, make_study, multiverse
from ahsct.tables import Study

PEOPLE = [f"p{i}" for i in range(10)]
SCANS = (100, 365, 730, 1095, 1460, 1800)  # day 100 is the re-baseline (window: day 61 to 152)


def study(
    *,
    no_baseline: str | None = None,
    unscanned: str | None = None,
    relapses: dict[str, int] | None = None,
    last: dict[str, int] | None = None,
    dead: dict[str, int] | None = None,
    people: list[str] = PEOPLE,
) -> Study:
    """Ten patients seen every 90 days at EDSS 4.0, scans without lesions, in contact for 1800 days.

    `no_baseline`, `unscanned`: one patient, or several separated by spaces.
    """
    without_baseline, without_scan = ((text or "").split() for text in (no_baseline, unscanned))
    dead, relapses = dead or {}, relapses or {}
    end = dict.fromkeys(people, 1800) | (last or {}) | dead
    each = pl.DataFrame({"patient_id": people})
    days = (-60, *range(90, 1801, 90))
    return make_study(
        "one component missing",
        data_kind="simulated",
        patients=each,
        visits=pl.DataFrame(
            [(p, d, 4.0) for p in people for d in days if d <= end[p] and not (p in without_baseline and d < 0)],
            schema=["patient_id", "visit_day", "edss"],
            orient="row",
        ),
        mri=pl.DataFrame(
            [(p, d, 0, 0) for p in people for d in SCANS if d <= end[p] and p not in without_scan],
            schema=["patient_id", "scan_day", "gd_n", "new_t2_n"],
            orient="row",
        ),
        relapses=pl.DataFrame(
            {"patient_id": list(relapses), "onset_day": list(relapses.values())},
            schema={"patient_id": pl.String, "onset_day": pl.Int64},
        ),
        transplants=each.with_columns(mobilisation_start_day=pl.lit(-50), infusion_day=pl.lit(0)),
        follow_up=pl.DataFrame(
            [
                (p, end[p], "dead" if p in dead else "alive", dead.get(p), "treatment-related" if p in dead else None)
                for p in people
            ],
            schema={"patient_id": pl.String, "last_contact_day": pl.Int64, "vital_status": pl.String,
                    "death_day": pl.Int64, "cause_class": pl.String},
            orient="row",
        ),
    )  # fmt: skip


def composite(
    made: Study, estimand: str = "everyone_counted"
) -> dict[str, tuple[int, bool, bool, str | None]]:
    rows = analyse(made).outcomes.time_to_event.filter(
        pl.col("endpoint") == "activity_free_survival",
        pl.col("component") == "composite",
        pl.col("estimand") == estimand,
    )
    kept = rows.select("patient_id", "time_day", "is_event", "is_evaluable", "censor_reason")
    return {row[0]: row[1:] for row in kept.rows()}


def headline(made: Study) -> tuple[float | None, int, int, int]:
    rows = analyse(made).estimates.results.filter(
        pl.col("endpoint") == "activity_free_survival",
        pl.col("component") == "composite",
        pl.col("estimand") == "everyone_counted",
        pl.col("statistic") == "survival_probability",
        (pl.col("time_years") - 3).abs() < 0.01,
        pl.col("method").str.contains("log-log"),
    )
    found: tuple[float | None, int, int, int] = rows.select(
        "estimate", "n", "n_events", "n_not_evaluable"
    ).row(0)
    return found


@pytest.mark.parametrize("relapses", [{"p1": 500, "p2": 600}, {"p0": 400, "p1": 500, "p2": 600}])
def test_without_a_baseline_the_patient_leaves_with_or_without_an_event(relapses: dict[str, int]) -> None:
    # 2 of the 9 others relapsed: what happened to p0 changes nothing
    assert headline(study(no_baseline="p0", relapses=relapses)) == (pytest.approx(7 / 9), 9, 2, 1)


@pytest.mark.parametrize("relapses", [{"p1": 500, "p2": 600}, {"p0": 120, "p1": 500, "p2": 600}])
def test_never_scanned_though_followed_leaves_with_or_without_an_event(relapses: dict[str, int]) -> None:
    made = study(unscanned="p0", relapses=relapses)
    assert headline(made) == (pytest.approx(7 / 9), 9, 2, 1)
    assert composite(made)["p0"][3] == "no re-baseline scan from day 61 to 152"


def test_the_result_is_that_of_the_study_without_them() -> None:
    relapses = {"p0": 200, "p3": 300, "p4": 800}
    others = {p: day for p, day in relapses.items() if p != "p0"}
    with_p0 = headline(study(no_baseline="p0", relapses=relapses))
    assert with_p0[:3] == headline(study(relapses=others, people=PEOPLE[1:]))[:3]


@pytest.mark.parametrize(
    ("last", "relapses", "expected"),
    [
        (152, {}, (152, False, True)),  # lost before the re-baseline was due: at risk until then
        (152, {"p0": 100}, (100, True, True)),  # and an event in that time counts
        (153, {}, (153, False, False)),  # followed beyond, not scanned: leaves
        (153, {"p0": 100}, (100, False, False)),
    ],
)
def test_lost_before_the_scan_was_due(
    last: int, relapses: dict[str, int], expected: tuple[int, bool, bool]
) -> None:
    found = composite(study(unscanned="p0", relapses=relapses, last={"p0": last}))
    assert found["p0"][:3] == expected


def test_a_death_that_counts_is_known_whatever_was_not_assessed() -> None:
    made = study(no_baseline="p0", dead={"p0": 700})
    assert composite(made)["p0"][:3] == (700, True, True)
    # 9 free of activity and one dead, of ten
    assert headline(made) == (pytest.approx(9 / 10), 10, 1, 0)
    # where the death is left out, so is the patient
    assert "p0" not in composite(made, "as_published")


def test_a_component_alone_knows_only_its_own_lack() -> None:
    made = study(no_baseline="p0", relapses={"p0": 200})
    rows = analyse(made, load_definition("atkins2016")).outcomes.time_to_event.filter(
        pl.col("patient_id") == "p0", pl.col("estimand") == "everyone_counted"
    )
    seen = {
        (e, c): flags
        for e, c, *flags in rows.select("endpoint", "component", "is_event", "is_evaluable").rows()
    }
    assert seen["relapse_free_survival", "composite"] == [True, True]
    assert seen["activity_free_survival", "relapse"] == [True, True]
    assert seen["activity_free_survival", "edss_worsening"] == [False, False]
    assert seen["activity_free_survival", "composite"] == [False, False]


def test_the_dead_are_not_counted_alone_where_each_of_the_living_lacks_something() -> None:
    # p1-p4 without a baseline, p5-p9 never scanned: with p0 alone survival would be 0 % from day 700 on
    made = study(no_baseline="p1 p2 p3 p4", unscanned="p5 p6 p7 p8 p9", dead={"p0": 700})
    found = composite(made)
    assert not any(is_evaluable for _, _, is_evaluable, _ in found.values())
    assert found["p0"][3] == (
        "nobody alive of this arm can be evaluated: only patients with an event would be left"
    )
    # one of the living who can be evaluated suffices
    made = study(no_baseline="p1 p2 p3 p4", unscanned="p5 p6 p7 p8", dead={"p0": 700})
    assert headline(made) == (pytest.approx(1 / 2), 2, 1, 8)
    # and where all are dead there is nobody who could be missing
    made = study(no_baseline="p1", dead={"p0": 700, "p1": 800}, people=["p0", "p1"])
    assert headline(made) == (pytest.approx(0), 2, 2, 0)


def test_an_arm_of_which_only_the_dead_are_known_is_not_evaluable() -> None:
    both = study(no_baseline="p1 p2 p3 p4", dead={"p0": 700, "p9": 700})
    arms = pl.DataFrame({"patient_id": PEOPLE, "arm": ["b"] * 5 + ["a"] * 5})
    made = make_study("arms", data_kind="simulated", **{**both.tables, "patients": arms})
    found = composite(made)
    assert [found[p][2] for p in PEOPLE] == [False] * 5 + [True] * 5
    # in arm b p0 is dead and the others have no baseline; in arm a one of five died
    answers = multiverse(made, "activity_free_survival").filter(
        pl.col("death") == "event", pl.col("counted") == "infused", pl.col("rebaseline") == "three_months"
    )
    n, estimates = answers.filter(pl.col("arm") == "b").select("n", "estimate")
    assert (set(n), set(estimates)) == ({0}, {None})
    assert set(answers.filter(pl.col("arm") == "a")["estimate"].round(9)) == {0.8}
