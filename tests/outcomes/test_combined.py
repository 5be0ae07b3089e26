"""EDSS-plus: worsening of EDSS (1.0 from 3.0) or of the timed walk (20 % of 5.0 s: 6.0 s), counted by hand.

Baseline on day -60, visits on days 200, 400, 600, 800; confirmed 168 days later or more, 31 days early allowed.
"""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import vary
from ahsct.errors import DefinitionError
from ahsct.outcomes import derive_outcomes

DAYS = (-60, 200, 400, 600, 800)
Courses = dict[str, tuple[list[float | None], list[float | None]]]
COURSES: Courses = {
    # (EDSS, walk in s) at each visit; worse values stand out
    "a": ([3.0, 3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 6.0, 6.0, 6.0]),  # the walk alone, by exactly a fifth
    "b": ([3.0, 3.0, 4.0, 3.0, 3.0], [5.0, 5.0, 5.0, 6.0, 6.0]),  # EDSS on 400, walk from 600: one confirms the other
    "c": ([3.0, 3.0, 3.5, 3.5, 3.5], [5.0, 5.9, 5.9, 5.9, 5.9]),  # neither enough
    "d": ([3.0, 3.0, 4.0, 3.0, 3.0], [5.0, 5.0, 5.0, 5.0, 5.0]),  # EDSS once
    "e": ([3.0, 3.0, 4.0, 4.0, 4.0], [5.0, 5.0, None, None, None]),  # EDSS; the walk no more taken
    "f": ([3.0, 3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 5.0, None, None]),  # the walk no more taken, EDSS unchanged
    "g": ([3.0, 3.0, 4.0, 4.0, 4.0], [None, 5.0, 5.0, 5.0, 5.0]),  # no walk at the baseline
    "h": ([3.0, 3.0, 3.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0, 5.0]),  # EDSS on the last day
}  # fmt: skip


def study(build: Any, courses: Courses = COURSES, **tables: pl.DataFrame) -> Any:
    visits = build.rows(
        "patient_id visit_day edss t25fw_s",
        *[
            (p, day, edss, walk)
            for p, (scores, walks) in courses.items()
            for day, edss, walk in zip(DAYS, scores, walks, strict=True)
        ],
    )
    return build.study(
        **({"patients": pl.DataFrame({"patient_id": list(courses)}), "visits": visits} | tables)
    )


def definition(build: Any, *components: str, edss: Any = None, walk: Any = None, **combined: Any) -> Any:
    base = build.definition("edss_worsening")
    of_edss = dict(base.disability_rule("edss").__dict__) | (edss or {})
    fifth = [{"from": 0, "change": 0.2, "unit": "fraction"}]
    of_walk = of_edss | {"measure": "t25fw_s", "worsening_threshold": fifth, "improvement_threshold": fifth}
    rule = {"id": "edss_plus", "label": "EDSS-plus", "measures": ["edss", "t25fw_s"]} | combined
    return vary(
        base,
        disability=[of_edss, of_walk | (walk or {})],
        combined=[rule],
        endpoints__e__components=list(components or ("edss_plus_worsening",)),
    )


def rows(study: Any, definition: Any, component: str = "composite") -> dict[str, Any]:
    table = derive_outcomes(study, definition).time_to_event.filter(
        (pl.col("endpoint") == "e") & (pl.col("component") == component)
    )
    return {
        row["patient_id"]: (row["left_day"], row["time_day"], row["is_event"])
        if row["is_evaluable"]
        else row["censor_reason"]
        for row in table.iter_rows(named=True)
    }


WORSE = (200, 400, True)
FREE = (800, 800, False)
SAME = {
    "a": WORSE,
    "b": (400, 600, True),  # the walk alone, from 600 on
    "c": FREE,
    "d": FREE,
    "e": WORSE,
    "f": (400, 400, False),  # last visit with both
    "g": "no baseline edss_plus",
    "h": (600, 600, False),  # unconfirmed at the end
}


def test_each_measure_confirms_its_own_worsening(build: Any) -> None:
    assert rows(study(build), definition(build)) == SAME


def test_one_measure_confirms_the_worsening_of_another(build: Any) -> None:
    """b's EDSS on day 400 is confirmed by the walk on day 600; nothing confirms d's."""
    found = rows(study(build), definition(build, confirmed_by="any_measure"))
    assert found == SAME | {"b": WORSE}


def test_a_visit_may_speak_with_any_measure(build: Any) -> None:
    """f's EDSS speaks to the end; g's EDSS has a baseline on day -60, its walk on day 200."""
    changed = {"f": FREE, "g": WORSE}
    for confirmed_by, own in (("same_measure", SAME), ("any_measure", SAME | {"b": WORSE})):
        asked = definition(build, confirmed_by=confirmed_by, assessed_when="any_measured")
        assert rows(study(build), asked) == own | changed


def test_events_of_the_combination_name_their_rows_and_confirmation(build: Any) -> None:
    outcomes = derive_outcomes(study(build), definition(build, confirmed_by="any_measure"))
    events = outcomes.events.filter((pl.col("measure") == "edss_plus") & (pl.col("patient_id") == "b"))
    assert events.select("event_id", "day", "confirmed_day", "value_before", "value_after", "sources").row(0) == (
        "b/edss_plus_worsening/1", 400, 600, 0.0, 1.0, ["visits:6:baseline", "visits:8:onset", "visits:9:confirmation"],
    )  # fmt: skip


def test_all_share_the_last_baseline_visit_at_which_all_were_taken(build: Any) -> None:
    """Day -100: EDSS 2.0 and walk 5.0; day -60: EDSS 3.0 alone. From 2.0 on, 3.0 is worse; from 3.0 on, it is not.

    So with one baseline visit for both, the first visit after the transplant at 3.0 is an onset; with a baseline each,
    the EDSS counts from day -60, and nothing happens.
    """
    visits = build.rows(
        "patient_id visit_day edss t25fw_s",
        ("a", -100, 2.0, 5.0), ("a", -60, 3.0, None), ("a", 200, 3.0, 5.0), ("a", 400, 3.0, 5.0), ("a", 600, 3.0, 5.0),
    )  # fmt: skip
    made = build.study(visits=visits)
    one = definition(build, confirmed_by="any_measure")
    assert rows(made, one) == {"a": (0, 200, True)}  # last seen free on day -100, before time zero
    each = definition(build, confirmed_by="any_measure", assessed_when="any_measured")
    assert rows(made, each) == {"a": (600, 600, False)}
    events = derive_outcomes(made, each).events
    assert events.filter(pl.col("measure") == "edss_plus").is_empty()


def test_with_any_measure_counting_starts_at_the_earliest_baseline(build: Any) -> None:
    """Baselines at the first visit: EDSS on day -60, the walk on day 200, where the EDSS is already worse."""
    courses: Courses = {"a": ([3.0, 4.0, 4.0, 4.0, 4.0], [None, 5.0, 5.0, 5.0, 5.0])}
    first = {"worsening_baseline_visit": "first", "improvement_baseline_visit": "first"}
    asked = definition(build, edss=first, confirmed_by="any_measure", assessed_when="any_measured")
    assert rows(study(build, courses), asked) == {"a": (0, 200, True)}


def test_labels_of_the_combination(build: Any) -> None:
    """A relapse on day 350 makes what a and b have on day 400 RAW; b's own walk on day 600 is PIRA."""
    relapses = build.rows("patient_id onset_day", ("a", 350), ("b", 350))
    made = study(build, relapses=relapses)
    asked = definition(build, "edss_plus_raw", "edss_plus_pira", confirmed_by="any_measure")
    assert rows(made, asked, "edss_plus_raw")["b"] == WORSE
    assert rows(made, asked, "edss_plus_pira")["b"] == FREE
    asked = definition(build, "edss_plus_raw", "edss_plus_pira")
    assert rows(made, asked, "edss_plus_raw")["a"] == WORSE
    assert rows(made, asked, "edss_plus_raw")["b"] == FREE
    assert rows(made, asked, "edss_plus_pira")["b"] == (400, 600, True)
    assert rows(made, asked, "edss_plus_pira")["e"] == WORSE


def test_tests_recorded_in_rows_of_their_own_are_one_visit(build: Any) -> None:
    visits = study(build).tables["visits"].drop("row")
    apart = pl.concat(
        [
            visits.with_columns(t25fw_s=pl.lit(None, dtype=pl.Float64)),
            visits.with_columns(edss=pl.lit(None, dtype=pl.Float64)),
        ]
    ).filter(pl.col("edss").is_not_null() | pl.col("t25fw_s").is_not_null())
    made = build.study(patients=pl.DataFrame({"patient_id": list(COURSES)}), visits=apart)
    for confirmed_by in ("same_measure", "any_measure"):
        asked = definition(build, confirmed_by=confirmed_by)
        assert rows(made, asked) == rows(study(build), asked)


def test_a_measure_never_taken_makes_nobody_evaluable_unless_any_suffices(build: Any) -> None:
    visits = study(build).tables["visits"].drop("row", "t25fw_s")
    made = build.study(patients=pl.DataFrame({"patient_id": list(COURSES)}), visits=visits)
    assert set(rows(made, definition(build)).values()) == {"the study's visits have no t25fw_s"}
    found = rows(made, definition(build, confirmed_by="any_measure", assessed_when="any_measured"))
    assert {p for p, row in found.items() if row[2]} == {"e", "g"}


def test_the_components_may_stand_apart_in_an_endpoint(build: Any) -> None:
    """Listed apart, each keeps its own first event, and a patient without a walk at baseline lacks one."""
    apart = definition(build, "edss_worsening", "t25fw_s_worsening")
    table = derive_outcomes(study(build), apart).time_to_event.filter(pl.col("component") == "composite")
    causes = dict(table.filter(pl.col("endpoint") == "e").select("patient_id", "cause").iter_rows())
    assert causes == {
        "a": "t25fw_s_worsening", "b": "t25fw_s_worsening", "e": "edss_worsening",
    } | dict.fromkeys("cdfgh")  # fmt: skip


def test_an_own_measure_is_a_component_like_any_other(build: Any) -> None:
    """A sum of correct answers, 5 fewer is worse: from 50, a has 45 on days 400 and 600, b 46; a's is PIRA."""
    scores = {"a": (50, 50, 45, 45, 45), "b": (50, 50, 46, 46, 46)}
    visits = build.rows(
        "patient_id visit_day edss pasat3",
        *[(p, day, 3.0, float(n)) for p, own in scores.items() for day, n in zip(DAYS, own, strict=True)],
    )
    base = build.definition("edss_worsening")
    five = [{"from": 0, "change": 5}]
    own = dict(base.disability_rule("edss").__dict__) | {
        "measure": "custom", "custom_column": "pasat3", "custom_worsens": "down",
        "worsening_threshold": five, "improvement_threshold": five,
    }  # fmt: skip
    made = build.study(patients=build.rows("patient_id", ("a",), ("b",)), visits=visits)
    for component in ("custom_worsening", "custom_pira"):
        asked = vary(
            base, disability=[base.disability_rule("edss"), own], endpoints__e__components=[component]
        )
        assert rows(made, asked) == {"a": WORSE, "b": FREE}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"measures": ["edss"]}, "two or more different measures"),
        ({"measures": ["edss", "sdmt"]}, "no disability rule for it"),
        ({"id": "edss"}, "id of its own"),
        ({"confirmed_by": "any_measure", "walk": {"confirmation_periods_days": [84]}}, "differs from edss"),
        ({"walk": {"unconfirmed_at_end": "event"}}, "differs from edss in unconfirmed_at_end"),
        ({"confirmed_by": "any_measure", "edss": {"worsening_baseline_scheme": "roving"}}, "worsening_baseline_scheme of edss speaks"),
        ({"confirmed_by": "any_measure", "edss": {"confirmed_by": "monotonic"}}, "confirmed_by of edss speaks of one"),
        ({"components": ("edss_plus_improvement",)}, "Did you mean"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_combined_are_refused(build: Any, changes: Any, words: str) -> None:
    components = changes.pop("components", ())
    with pytest.raises(DefinitionError, match=words):
        definition(build, *components, **changes)
