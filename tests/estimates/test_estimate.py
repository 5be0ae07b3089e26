"""The assembly of all estimates, on outcomes made by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl
import pytest

from ahsct.definitions import Definition, load_definition, vary
from ahsct.estimates import Estimates, estimate_outcomes, simulate_without_treatment
from ahsct.outcomes import Outcomes
from ahsct.tables import Study
from ahsct.vocabulary import (
    CANDIDATES,
    CONFIRMATIONS,
    CURVE,
    EVENTS,
    FLOW,
    NOT_EVALUABLE,
    PATIENT_VALUES,
    RECURRENT,
    RESULTS,
    TIME_TO_EVENT,
    empty,
    from_rows,
)

DEFINITION = load_definition("atkins2016")
Row = Mapping[str, Any]


def study(kind: Any = "observed", **tables: pl.DataFrame) -> Study:
    return Study(study_id="hand", tables=tables, data_kind=kind)


def outcomes(
    time_to_event: Iterable[Row] = (), values: Iterable[Row] = (), events: Iterable[Row] = ()
) -> Outcomes:
    return Outcomes(
        events=from_rows(events, EVENTS),
        confirmations=empty(CONFIRMATIONS),
        candidates=empty(CANDIDATES),
        time_to_event=from_rows(time_to_event, TIME_TO_EVENT),
        recurrent=empty(RECURRENT),
        patient_values=from_rows(values, PATIENT_VALUES),
        not_evaluable=empty(NOT_EVALUABLE),
        flow=empty(FLOW),
    )


def time(
    patient: str,
    day: int,
    cause: str | None = None,
    *,
    endpoint: str = "overall_survival",
    component: str = "composite",
    estimand: str = "as_observed",
    population: str = "infused",
    arm: str = "all",
    is_evaluable: bool = True,
) -> Row:
    return {
        "patient_id": patient,
        "arm": arm,
        "endpoint": endpoint,
        "component": component,
        "definition": "atkins2016",
        "estimand": estimand,
        "population": population,
        "entry_day": 0,
        "left_day": day,
        "right_day": day if cause else None,
        "time_day": day,
        "is_event": cause is not None,
        "cause": cause,
        "cause_is_certain": True,
        "is_evaluable": is_evaluable,
        "censor_reason": None if cause else "end of follow-up",
    }


def value(
    patient: str, topic: str, term: str, period: str = "after", arm: str = "all", **columns: Any
) -> Row:
    return {
        "patient_id": patient,
        "arm": arm,
        "topic": topic,
        "term": term,
        "period": period,
        **columns,
    }


def alive(patient: str, days: int, arm: str = "all") -> list[Row]:
    return [
        time(patient, days, arm=arm),
        value(patient, "follow_up", "last_contact", arm=arm, day=days, value="alive", number=days / 365.25),
    ]


def split(rows: Iterable[Row]) -> dict[str, list[Row]]:
    rows = list(rows)
    return {
        "time_to_event": [row for row in rows if "time_day" in row],
        "values": [row for row in rows if "topic" in row],
    }


def find(estimates: Estimates, endpoint: str, **columns: Any) -> list[dict[str, Any]]:
    frame = estimates.results.filter(pl.col("endpoint") == endpoint)
    for name, wanted in columns.items():
        frame = frame.filter(pl.col(name).eq_missing(pl.lit(wanted, dtype=frame.schema[name])))
    return frame.to_dicts()


def one(estimates: Estimates, endpoint: str, **columns: Any) -> dict[str, Any]:
    rows = find(estimates, endpoint, **columns)
    assert len(rows) == 1, rows
    return rows[0]


# five infused: one dies on day 50 of the treatment; the others are seen alive
FIVE: list[Row] = [
    *alive("a", 1461),
    *alive("b", 731),
    *alive("c", 2922),
    *alive("d", 2557),
    time("e", 50, "treatment_related"),
    value("e", "follow_up", "last_contact", day=50, value="dead", number=50 / 365.25),
]


def activity(
    estimand: str, rows: Mapping[str, tuple[int, str | None]], component: str = "composite"
) -> list[Row]:
    return [
        time(patient, day, cause, endpoint="activity_free_survival", estimand=estimand, component=component)
        for patient, (day, cause) in rows.items()
    ]


def test_nothing_gives_empty_typed_tables() -> None:
    estimates = estimate_outcomes(study(), outcomes(), DEFINITION)
    assert estimates.results.equals(empty(RESULTS))
    assert estimates.curves.equals(empty(CURVE))


def test_primary_endpoint_both_ways() -> None:
    """Four without the death: one event at day 1000 of 4. With it: one more at day 50 of 5."""
    days = {"a": (1000, "edss_worsening"), "b": (731, None), "c": (1120, "relapse"), "d": (2557, None)}
    rows = [
        *FIVE,
        *activity("as_published", days),
        *activity("everyone_counted", {**days, "e": (50, "treatment_death")}),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    first, second = estimates.results.head(2).to_dicts()
    for row in (first, second):
        assert (row["endpoint"], row["component"], row["estimand"]) == (
            "activity_free_survival",
            "composite",
            "as_published",
        )
        assert row["time_years"] == pytest.approx(1096 / 365.25)
        # b is censored at 731, so a's event at 1000 leaves 2 of 3
        assert row["estimate"] == pytest.approx(2 / 3, rel=1e-12)
        assert row["definition_hash"] == DEFINITION.hash
        assert "not an estimand" in row["note"]
        assert "1 first detected up to 91 days after the milestone" in row["note"]  # c at 1120
        assert row["mark"] is None
    assert "beta product" in first["method"]  # few events: the exact interval first
    everyone = find(
        estimates,
        "activity_free_survival",
        estimand="everyone_counted",
        statistic="survival_probability",
        component="composite",
    )
    assert everyone[0]["estimate"] == pytest.approx(4 / 5 * 2 / 3, rel=1e-12)
    assert "not an estimand" not in everyone[0]["note"]
    times = [row["time_years"] * 365.25 for row in everyone]
    assert times == pytest.approx([1096, 1096, 365, 365, 731, 731, 1826, 1826])
    ever = one(estimates, "activity_free_survival", statistic="n_with_event", estimand="everyone_counted")
    assert (ever["n_events"], ever["n"]) == (3, 5)
    assert len(find(estimates, "activity_free_survival", statistic="median_time")) == 2
    kinds = estimates.curves.select("endpoint", "estimand", "method").unique(maintain_order=True).rows()
    assert ("overall_survival", "as_observed", "Kaplan-Meier, log-log") in kinds
    assert ("overall_survival", "as_observed", "reverse Kaplan-Meier, log-log") in kinds
    assert set(estimates.curves["study_id"]) == {"hand"}


def test_not_evaluable_are_counted_not_analysed() -> None:
    rows = [
        *FIVE,
        *activity("everyone_counted", {"a": (1000, "relapse"), "c": (2000, None), "d": (2557, None)}),
        time(
            "b",
            0,
            endpoint="activity_free_survival",
            estimand="everyone_counted",
            is_evaluable=False,
        ),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    for row in find(estimates, "activity_free_survival"):
        assert (row["n"], row["n_not_evaluable"]) == (3, 1)


def test_competing_deaths_give_cumulative_incidence() -> None:
    definition = vary(
        DEFINITION,
        estimands__everyone_counted__treatment_death={"strategy": "while_alive", "handling": "competing"},
        endpoints__activity_free_survival__estimands=["everyone_counted"],
        endpoints__progression_free_survival__estimands=["everyone_counted"],
        endpoints__relapse_free_survival__estimands=["everyone_counted"],
        endpoints__mri_activity_free_survival__estimands=["everyone_counted"],
    )
    days = {
        "a": (1000, "relapse"),
        "b": (1461, None),
        "c": (1461, None),
        "e": (50, "competing_treatment_death"),
    }
    estimates = estimate_outcomes(
        study(), outcomes(**split([*FIVE, *activity("everyone_counted", days)])), definition
    )
    assert not find(estimates, "activity_free_survival", statistic="survival_probability")
    rows = find(estimates, "activity_free_survival", statistic="cumulative_incidence", term="relapse")
    # 3 years: of four, one competing death, then one relapse
    assert rows[0]["estimate"] == pytest.approx(1 / 4, rel=1e-12)
    # any of the components: the same relapse, and no double counting of the three curves
    any_event = find(estimates, "activity_free_survival", statistic="cumulative_incidence", term="any_event")
    assert any_event[0]["estimate"] == pytest.approx(1 / 4, rel=1e-12)
    assert (any_event[0]["n"], any_event[0]["n_events"], any_event[0]["component"]) == (4, 1, "composite")
    # nobody had MRI activity: zero with an upper limit, not an absent row
    unseen = find(estimates, "activity_free_survival", statistic="cumulative_incidence", term="mri_activity")
    assert (unseen[0]["estimate"], unseen[0]["n_events"]) == (0.0, 0)
    assert unseen[0]["upper"] == pytest.approx(1 - 0.025 ** (1 / 4), rel=1e-12)  # Clopper-Pearson, 0 of 4


def test_any_event_sums_the_components_where_deaths_compete() -> None:
    """Six patients: relapse 100, death 200, lesion 300, two free, and one censored on day 250.

    By hand at 3 years, at risk 6, 5, 4 (250 leaves 3): any = 1/6 + (1 - 2/6) * 1/3 = 7/18, death = 5/6 * 1/5.
    """
    definition = vary(
        DEFINITION,
        estimands__everyone_counted__treatment_death={"strategy": "while_alive", "handling": "competing"},
        **{f"endpoints__{e.id}__estimands": ["everyone_counted"] for e in DEFINITION.endpoints},
    )
    days = {
        "a": (100, "relapse"),
        "b": (200, "competing_treatment_death"),
        "c": (250, None),
        "d": (300, "mri_activity"),
        "e": (1461, None),
        "f": (1461, None),
    }
    estimates = estimate_outcomes(
        study(), outcomes(**split([*FIVE, *activity("everyone_counted", days)])), definition
    )
    found = {
        term: find(estimates, "activity_free_survival", statistic="cumulative_incidence", term=term)[0][
            "estimate"
        ]
        for term in ("any_event", "relapse", "mri_activity", "competing_treatment_death")
    }
    assert found["any_event"] == pytest.approx(7 / 18, rel=1e-12)
    assert found["competing_treatment_death"] == pytest.approx(1 / 6, rel=1e-12)
    assert found["relapse"] + found["mri_activity"] == pytest.approx(found["any_event"], rel=1e-12)


def test_events_after_the_last_assessment_of_another_component_are_told() -> None:
    """Scans end on day 300 in all: a, b without an event leave then, c and d stay because they relapsed later."""
    composite = {"a": (300, None), "b": (300, None), "c": (800, "relapse"), "d": (900, "relapse")}
    scans = dict.fromkeys("abcd", (300, None))
    relapses = {"a": (1400, None), "b": (1400, None), "c": (800, "relapse"), "d": (900, "relapse")}
    rows = [
        *activity("everyone_counted", composite),
        *activity("everyone_counted", scans, "mri_activity"),
        *activity("everyone_counted", relapses, "relapse"),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split([*FIVE, *rows])), DEFINITION)
    for row in find(
        estimates, "activity_free_survival", component="composite", statistic="survival_probability"
    ):
        assert "2 of all 2 events came after the last assessment of another component" in row["note"]
    for row in find(
        estimates, "activity_free_survival", component="relapse", statistic="survival_probability"
    ):
        assert "another component" not in row["note"]


def test_relapses_before_and_after() -> None:
    before = {"a": (5, 4.0), "b": (3, 2.0), "c": (7, 6.0), "d": (4, 3.0), "e": (6, 5.0)}
    rows = [
        *FIVE,
        *(
            value(p, "relapses", "relapses", "before", number=n, exposure_years=years)
            for p, (n, years) in before.items()
        ),
        *(value(p, "relapses", "relapses", "after", number=0, exposure_years=4.0) for p in "abcd"),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    rate = one(estimates, "relapses", term="before", statistic="rate")
    assert (rate["estimate"], rate["n_events"], rate["person_years"]) == (25 / 20, 25, 20.0)
    two, upper = find(estimates, "relapses", term="after", statistic="rate")
    assert (two["sided"], upper["sided"]) == ("two", "upper")
    assert two["upper"] == pytest.approx(3.688879 / 16, rel=1e-6)  # -log(0.025)
    assert upper["upper"] == pytest.approx(2.995732 / 16, rel=1e-6)  # -log(0.05)
    assert two["n_not_evaluable"] == 1
    ratio = one(estimates, "relapses", term="after / before")
    assert ratio["estimate"] == 0
    assert ratio["p_value"] is None
    regression = one(estimates, "relapses", term="regression_to_the_mean")
    assert regression["mark"] == "assumed"
    assert 0 < regression["estimate"] < 1
    assert "the whole time before" in regression["note"]
    simulated = one(estimates, "relapses", term="without treatment, simulated")
    assert (simulated["n"], simulated["n_not_evaluable"], simulated["mark"]) == (4, 1, "assumed")
    assert simulated["lower"] < simulated["estimate"] < simulated["upper"]
    assert simulated["note"].startswith("observed 0, as low in ")
    assert "2000 studies, seed 1; prediction interval" in simulated["method"]


def test_selection_window_comes_from_dated_relapses() -> None:
    """Two years before mobilisation on day -30: from day -760; a has 2, b and c have 1 there."""
    relapses = pl.DataFrame(
        {
            "patient_id": ["a", "a", "a", "b", "b", "c"],
            "onset_day": [-900, -700, -31, -800, -759, -30 - 700],
        }
    )
    transplants = pl.DataFrame({"patient_id": ["a", "b", "c"], "mobilisation_start_day": [-30] * 3})
    rows = [
        *(row for p in "abc" for row in alive(p, 1500)),
        *(
            value(p, "relapses", "relapses", "before", number=n, exposure_years=5.0)
            for p, n in (("a", 3), ("b", 2), ("c", 1))
        ),
        *(value(p, "relapses", "relapses", "after", number=0, exposure_years=4.0) for p in "abc"),
    ]
    estimates = estimate_outcomes(
        study(relapses=relapses, transplants=transplants), outcomes(**split(rows)), DEFINITION
    )
    note = one(estimates, "relapses", term="regression_to_the_mean")["note"]
    assert "1 or more relapses in the last 2 years before" in note
    by_window = simulate_without_treatment(
        pl.DataFrame(
            {
                "n_before": [3, 2, 1],
                "years_before": 5.0,
                "n_after": 0,
                "years_after": 4.0,
                "n_window": [2, 1, 1],
            }
        ),
        n_window="n_window",
        window_years=2.0,
        n_simulations=2000,
    )["estimate"].item()
    assert one(estimates, "relapses", term="without treatment, simulated")["estimate"] == by_window


def test_scans_per_scan_and_per_patient() -> None:
    scans = {"a": 4, "b": 3, "c": 2, "e": 1}
    rows = [
        *FIVE,
        *(value(p, "mri", "scans", "after", number=n) for p, n in scans.items()),
        *(value(p, "mri", "active_scans", "after", number=int(p == "c")) for p in scans),
        *(value(p, "mri", "new_lesions", "after", number=2 * int(p == "c")) for p in scans),
        value("a", "mri", "scans", "before", number=2),
        value("a", "mri", "gd_lesions", "before", number=7),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    scan = one(estimates, "mri", term="after", statistic="proportion", unit_of_analysis="scan")
    assert (scan["n_events"], scan["n"]) == (1, 10)
    assert "scans treated as independent" in scan["method"]
    patient = one(estimates, "mri", term="after", statistic="proportion", unit_of_analysis="patient")
    assert (patient["n_events"], patient["n"], patient["population"]) == (1, 3, "survivors")
    assert patient["n_not_evaluable"] == 1  # d was never scanned
    assert one(estimates, "mri", term="after", statistic="count")["estimate"] == 2
    assert one(estimates, "mri", term="before", statistic="rate")["estimate"] == 3.5
    assert not find(estimates, "mri", term="after_all")


def test_deaths_survivors_and_early_censoring() -> None:
    mortality = [
        time(p, day, cause, endpoint="treatment_related_mortality", population=population)
        for population, shift in (("infused", 0), ("mobilised", 30))
        for p, day, cause in (
            ("a", 1461 + shift, None),
            ("b", 60 + shift, None),
            ("e", 50 + shift, "treatment_related"),
            ("f", 80 + shift, "other_death"),
        )
    ]
    rows = [
        *alive("a", 1461),
        *alive("b", 60),
        time("e", 50, "treatment_related"),
        time("f", 80, "other"),
        *mortality,
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    crude = find(estimates, "treatment_related_mortality", term="crude")
    assert [(row["population"], row["n_events"], row["n"]) for row in crude] == [
        ("infused", 1, 4),
        ("mobilised", 1, 4),
    ]
    by_100 = find(estimates, "treatment_related_mortality", statistic="cumulative_incidence")[0]
    assert by_100["time_years"] == pytest.approx(100 / 365.25)
    assert by_100["estimate"] == pytest.approx(1 / 4, rel=1e-12)
    death = one(estimates, "death_by_day", term="100")
    assert (death["n_events"], death["n"], death["n_not_evaluable"]) == (2, 3, 1)  # b left on day 60


def test_prevalence_of_improved_and_alive() -> None:
    """At 2 years: a improved, b lost it again, e dead; at 3 years b is no longer followed."""
    states = {
        "a": {200: 0, 400: 1, 1000: 1},
        "b": {200: 1, 700: 0},
        "c": {170: 1, 2000: 1},
        "d": {1000: 0},
    }
    rows = [
        *FIVE,
        *(
            value(p, "edss_state", "improved", day=day, number=state)
            for p, visits in states.items()
            for day, state in visits.items()
        ),
    ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    rows = find(estimates, "improved_and_alive")
    assert [row["time_years"] for row in rows] == [0.5, 1, 2, 3, 4, 5, 6, 7, 8]
    counts = {row["time_years"]: (row["n_events"], row["n"], row["n_not_evaluable"]) for row in rows}
    assert counts[0.5] == (1, 2, 3)  # only c seen yet; e dead
    assert counts[1] == (2, 4, 1)  # b and c; d not yet seen
    assert counts[2] == (2, 4, 1)  # a and c; b no longer
    assert counts[3] == (2, 4, 1)  # b's follow-up has ended; d seen, not improved
    assert counts[8] == (1, 2, 3)  # c alone is followed


def test_disability_label_of_the_first_event() -> None:
    component = {
        "a": (500, "edss_worsening"),
        "b": (731, None),
        "c": (900, "edss_worsening"),
        "d": (2557, None),
    }
    events = [
        {
            "patient_id": p,
            "event_id": f"{p}/edss_worsening/{number}",
            "kind": "disability",
            "measure": "edss",
            "direction": "worsening",
            "day": day,
            "label": label,
            "mri_activity": mri,
            "sources": [],
            "rule_hash": "",
        }
        for p, number, day, label, mri in (
            ("a", 1, 500, "PIRA", "none"),
            ("a", 2, 800, "RAW", "present"),
            ("c", 1, 900, "RAW", "not_assessed"),
            ("e", 1, 30, "PIRA", "none"),  # died: not among the survivors
        )
    ]
    rows = split([*FIVE, *activity("everyone_counted", component, "edss_worsening")])
    estimates = estimate_outcomes(study(), outcomes(**rows, events=events), DEFINITION)
    worse = one(estimates, "disability", term="edss_worsening")
    assert (worse["n_events"], worse["n"], worse["population"]) == (2, 4, "survivors")
    counts = {
        row["term"].split(": ")[1]: row["estimate"]
        for row in find(estimates, "disability", statistic="count")
    }
    assert counts == {"PIRA": 1, "RAW": 1, "without MRI activity": 1}


def test_sustained_change_toxicity_work_entry_and_baseline() -> None:
    rows = [
        *FIVE,
        *(
            value(p, "sustained_change", "edss_improvement", value=answer)
            for p, answer in zip("abcde", ("yes", "no", "not evaluable", "yes", "no"), strict=True)
        ),
        *(
            value(p, "toxicity", "worst_severity", value=severity)
            for p, severity in zip("abde", ("mild", "moderate", "mild", "fatal"), strict=True)
        ),
        value("a", "work", "off_disability_and_working", "last", value="yes", mark="inferred"),
        value("b", "work", "off_disability_and_working", "last", value="no", mark="inferred"),
        *(
            value(p, "entry_criteria", "edss", "baseline", value=v)
            for p, v in zip("abc", ("met", "not met", "unknown"), strict=True)
        ),
        *(
            value(p, "baseline", "age_years", "baseline", number=n)
            for p, n in zip("abcd", (30.0, 20.0, 50.0, 36.0), strict=True)
        ),
        *(value(p, "baseline", "sex", "baseline", value=v) for p, v in zip("abcd", "FFMU", strict=True)),
        *(value(p, "baseline", "site", "baseline", value=v) for p, v in zip("abcd", "XYXX", strict=True)),
        value("a", "treatment", "busulfan", "conditioning", number=9.6, value="mg/kg, oral"),
        value("b", "treatment", "busulfan", "conditioning", number=9.6, value="mg/kg, oral"),
        value("a", "treatment", "graft: CD34-selected", "graft"),
    ]
    estimates = estimate_outcomes(study("reconstructed"), outcomes(**split(rows)), DEFINITION)
    change = find(estimates, "sustained_change")
    assert [(r["population"], r["n_events"], r["n"], r["n_not_evaluable"]) for r in change] == [
        ("survivors", 2, 3, 1),
        ("infused", 2, 4, 1),
    ]
    assert [(r["term"], r["n_events"], r["n"]) for r in find(estimates, "toxicity")] == [
        ("worst_severity: mild", 2, 4),
        ("worst_severity: moderate", 1, 4),
        ("worst_severity: fatal", 1, 4),
    ]
    work = one(estimates, "work")
    assert (work["n_events"], work["n"], work["mark"]) == (1, 2, "inferred")
    entry = one(estimates, "entry_criteria")
    assert (entry["n_events"], entry["n"], entry["n_not_evaluable"]) == (1, 2, 3)
    ages = {row["statistic"]: row["estimate"] for row in find(estimates, "baseline", term="age_years")}
    assert ages == {"median": 33.0, "minimum": 20.0, "maximum": 50.0}
    assert one(estimates, "baseline", term="sex: F")["n"] == 3  # an unknown sex is no category
    assert one(estimates, "baseline", term="site")["estimate"] == 2
    assert [(r["term"], r["estimate"]) for r in find(estimates, "treatment")] == [
        ("conditioning: busulfan 9.6 mg/kg, oral", 2),
        ("graft: CD34-selected", 1),
    ]
    assert set(estimates.results["mark"]) == {"illustration", "inferred"}


def test_follow_up_three_ways() -> None:
    estimates = estimate_outcomes(study(), outcomes(**split(FIVE)), DEFINITION)
    plain = one(estimates, "follow_up", term="plain", statistic="median")
    assert (plain["estimate"], plain["population"], plain["n"]) == (
        pytest.approx((1461 + 2557) / 2 / 365.25),
        "survivors",
        4,
    )
    reverse = one(estimates, "follow_up", term="reverse_kaplan_meier")
    # the death leaves four: 3/4, 1/2 at 1461 (flat until 2557), so the middle of the flat part
    assert reverse["estimate"] == pytest.approx((1461 + 2557) / 2 / 365.25)
    total = one(estimates, "follow_up", term="total")
    assert total["estimate"] == pytest.approx((1461 + 731 + 2922 + 2557 + 50) / 365.25, rel=1e-12)
    assert total["mark"] == "inferred"


def test_engraftment_in_days() -> None:
    days = {"a": (11, "engrafted"), "b": (12, "engrafted"), "c": (15, "engrafted"), "e": (9, "death")}
    rows = [*FIVE, *(time(p, *found, endpoint="neutrophil_engraftment") for p, found in days.items())]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    median = one(estimates, "neutrophil_engraftment", statistic="median_time")
    assert (median["unit"], median["estimate"]) == ("days", pytest.approx(13.5))  # 2/4 from 12 until 15
    by_28 = find(estimates, "neutrophil_engraftment", statistic="cumulative_incidence")
    assert {row["estimate"] for row in by_28} == {0.75}
    assert by_28[0]["time_years"] == pytest.approx(28 / 365.25)


def test_arms_have_their_own_rows() -> None:
    comparator = [
        value("x", "follow_up", "last_contact", arm="dmt", day=900, value="alive", number=900 / 365.25),
        value("x", "baseline", "age_years", "baseline", arm="dmt", number=44.0),
    ]
    rows = [*FIVE, *comparator, value("a", "baseline", "age_years", "baseline", number=30.0)]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    medians = find(estimates, "baseline", term="age_years", statistic="median")
    assert [(row["arm"], row["population"], row["estimate"]) for row in medians] == [
        ("all", "infused", 30.0),
        ("dmt", "enrolled", 44.0),
    ]


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_patients_without_any_event(n: int) -> None:
    rows = [row for p in "ab"[:n] for row in alive(p, 1500)]
    for p in "ab"[:n]:
        rows += activity("everyone_counted", {p: (1500, None)})
        rows += [
            time(p, 1500, endpoint="treatment_related_mortality"),
            value(p, "relapses", "relapses", "before", number=0, exposure_years=3.0),
            value(p, "relapses", "relapses", "after", number=0, exposure_years=3.0),
            value(p, "brain_volume", "pct_change", day=1200, number=-3.0),
        ]
    estimates = estimate_outcomes(study(), outcomes(**split(rows)), DEFINITION)
    assert estimates.results.schema == RESULTS
    first = estimates.results.row(0, named=True)
    assert (first["estimate"], first["n"], first["method"]) == (1.0, n, "Clopper-Pearson")
    assert first["lower"] == pytest.approx(0.025 ** (1 / n))
    ratio = one(estimates, "relapses", term="after / before")
    assert ratio["estimate"] is None
    assert one(estimates, "relapses", term="regression_to_the_mean")["estimate"] is None
    for row in find(estimates, "brain_volume", statistic="mixed_model"):
        assert row["estimate"] is None


def full() -> tuple[list[Row], Definition]:
    days = {"a": (1000, "edss_worsening"), "b": (731, None), "c": (1120, "relapse"), "d": (2557, None)}
    rows: list[Row] = [*FIVE, *activity("as_published", days)]
    for number, p in enumerate("abcde"):
        rows += [
            time(p, 400 + number, endpoint="treatment_related_mortality"),
            value(p, "relapses", "relapses", "before", number=number + 2, exposure_years=1.7 + 0.1 * number),
            value(p, "relapses", "relapses", "after", number=0, exposure_years=0.1 + 0.7 * number),
            value(p, "baseline", "age_years", "baseline", number=40.0 + number),
            value(p, "treatment", "busulfan", "conditioning", number=9.6 + number % 2, value="mg/kg, oral"),
            *(
                value(
                    p,
                    "brain_volume",
                    "pct_change",
                    day=day,
                    number=-3 * min(day / 900, 1) + ((day // 300) * (number + 3) % 7) / 20,
                )
                for day in range(0, 2100, 300)
            ),
        ]
    return rows, DEFINITION


def test_order_of_patients_does_not_matter() -> None:
    rows, definition = full()
    before = estimate_outcomes(study(), outcomes(**split(rows)), definition)
    after = estimate_outcomes(study(), outcomes(**split(rows[::-1])), definition)
    assert before.results.equals(after.results)
    assert before.curves.equals(after.curves)
    assert before.results.height > 50
    assert not any(before.results.select(pl.col(pl.Float64).is_nan().any()).row(0))
