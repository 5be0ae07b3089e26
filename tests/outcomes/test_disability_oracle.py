"""The compiled search gives what an independent, slow search gives, on random and hostile patients."""

import hashlib
import math
import random
from collections import Counter
from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.outcomes.oracle_disability import Found, Relapse, Visit, exact, search

from ahsct.definitions import DisabilityRule, ThresholdStep
from ahsct.outcomes import disability, disability_search
from ahsct.outcomes.disability import Disability, baselines, derive_disabilities, derive_disability
from ahsct.outcomes.disability_visits import SCALE
from ahsct.vocabulary import CANDIDATES, CONFIRMATIONS, EVENTS

VISITS = {
    "patient_id": pl.String,
    "visit_day": pl.Int64,
    "score": pl.Float64,
    "reference": pl.Float64,
    "row": pl.Int64,
    "can_confirm": pl.Boolean,
    "visit_type": pl.String,
    "time_zero_day": pl.Int64,
    "mobilisation_start_day": pl.Int64,
    "rebaseline_day": pl.Int64,
}
RELAPSES = {"patient_id": pl.String, "onset_day": pl.Int64, "end_day": pl.Int64, "row": pl.Int64}
EDSS = [(0, 1.5, "points"), (1.0, 1.0, "points"), (5.5, 0.5, "points")]
FIFTH = [(0, 0.2, "fraction")]
LEAST = [(0, 0.2, "fraction", 4.0)]  # the smaller of 4 points and 20 %
BASELINES = ["first", "screening", "last_before_mobilisation", "last_before_time_zero", "rebaseline"]
REASONS = ["unconfirmed", "not_sustained", "near_relapse", "reverted", "before_start", "follow_up_too_short",
           "not_persistent", "other_kind", "earlier_event"]  # fmt: skip
SCHEMES = ["fixed", "roving_up", "roving_down", "roving", "after_relapse"]
PAIRS = [(0, 0), (0, 0), (30, 0), (90, 30), (0, 30)]


def steps(table):
    return tuple(
        ThresholdStep(from_value=row[0], change=row[1], unit=row[2], at_most=row[3] if len(row) > 3 else None)
        for row in table
    )


def quarter(values):
    """A threshold function: a quarter of the value, in whole hundredths (exact in binary and in decimals)."""
    return np.ceil(np.asarray(values) * 25) / 100


def random_rule(r: random.Random) -> DisabilityRule:
    measure = r.choice(["edss", "edss", "edss", "t25fw_s", "sdmt", "custom"])
    tables = {"edss": [EDSS, [(0, 1.0, "points"), (6.0, 0.5, "points")], [(0, 0.5, "points")]],
              "t25fw_s": [FIFTH, [(0, 1.1, "points")]], "sdmt": [LEAST, FIFTH, [(0, 3.0, "points")]],
              "custom": [FIFTH, [(0, 2.0, "points")]]}[measure]  # fmt: skip
    kind = r.choice(["each_direction"] * 4 + ["either", "worsening", "improvement", "PIRA", "RAW"])
    search = r.choice(["apart", "apart", "together"])
    worsening = r.choice(["first", *BASELINES]), r.choice(SCHEMES)
    is_same = r.random() < 0.5 or kind == "either" or search == "together"
    improvement = worsening if is_same else (r.choice(BASELINES), r.choice(SCHEMES))
    confirmed_by = r.choice(["threshold", "threshold", "at_or_above_event", "monotonic"])
    schemes = worsening[1], improvement[1]
    relapses = "none" if "after_relapse" in schemes else r.choice(
        ["none", "none", "recovered", *["next_visit", "next_visit_if_changed"] * 2]
    )  # fmt: skip
    is_roving = any(scheme.startswith("roving") for scheme in schemes)
    periods = r.choice([(84,), (168,), (84, 168), (168, 84), (0,), (28, 365, 90)])
    joined = r.choice(["none", "none", "preceding_event", "event_confirmation", "all"])
    around = [list(r.choice(PAIRS)) for _ in range(3)]
    if joined in ("preceding_event", "all"):
        around[0][1] = around[1][0] = 0
    if joined in ("event_confirmation", "all"):
        around[1][1] = around[2][0] = 0

    def pair(*choices):
        return r.choice(choices), r.choice(choices)

    def tolerance():
        return r.choice([0, 7, 31, 7.5, 100]), r.choice([0, 14, 730.5, 730.5, math.inf, math.inf])

    own_periods = r.choice([(), (), (), (168, 28)])
    events = r.choice(["first", "all", "all", "all", "nth"])
    return DisabilityRule(
        measure=measure,
        custom_column="pegs" if measure == "custom" else None,
        custom_worsens=r.choice(["up", "down"]) if measure == "custom" else None,
        threshold_column=r.choice([None, None, None, "reference"]),
        worsening_threshold=steps(r.choice(tables)),
        improvement_threshold=steps(r.choice(tables)),
        worsening_baseline_visit=worsening[0],
        worsening_baseline_scheme=worsening[1],
        improvement_baseline_visit=improvement[0],
        improvement_baseline_scheme=improvement[1],
        relapse_rebaseline=relapses,
        relapse_recovery_days=r.choice([0, 30, 90]) if "after_relapse" in schemes or relapses == "recovered" else 0,
        relapse_evaluation_days=r.choice([0, 30, 90, 400]) if relapses.startswith("next_visit") else 0,
        baseline_may_improve=r.random() < 0.7 if is_roving or relapses != "none" else True,
        sub_threshold_rebaseline=r.choice(["none", "none", "any", "improvement", "worsening"]) if is_roving else "none",
        skip_local_extrema=r.choice(["none", "none", "strict", "all"]),
        proceed_from=r.choice(["confirmation", "confirmation", "event", "first_period"]),
        confirmation_periods_days=periods,
        confirmation_tolerance_days=tolerance(),
        confirmation_tolerances_days=r.choice([(), (), tuple(tolerance() for _ in periods)]),
        improvement_confirmation_periods_days=own_periods,
        improvement_confirmation_tolerances_days=r.choice([(), tuple(tolerance() for _ in own_periods)]),
        confirmed_by=confirmed_by,
        confirming_visits="every" if confirmed_by == "monotonic" else r.choice(["every", "confirming_only"]),
        sustained_days=r.choice([0, 0, 0, 60, 180, 400.5, math.inf]),
        improvement_sustained_days=r.choice([None, None, 0, 90]),
        persistence_days=r.choice([0, 0, 0, 365, math.inf]),
        persistence_confirmation_days=r.choice([0, 84, 84]),
        relapse_to_baseline_days=pair(0, 0, 30, 60),
        relapse_to_event_days=pair(0, 0, 0, 30),
        relapse_to_confirmation_days=pair(0, 0, 30),
        relapse_distance_from=r.choice(["onset", "end"]),
        raw_window_days=pair(0, 30, 90),
        pira_around_preceding_days=tuple(around[0]),
        pira_preceding_visit=r.choice(["baseline", "last", "last_delta"]),
        pira_around_event_days=tuple(around[1]),
        pira_around_confirmation_days=tuple(around[2]),
        pira_joined=joined,
        events=events,
        event_number=r.choice([1, 2, 2, 3]) if events == "nth" else 1,
        event_kind=kind,
        search=search,
        plateau=r.choice(["one_event", "one_event", "repeated"]),
        impute_probability=r.choice([0, 0, 0.5, 1]),
        impute_within_days=r.choice([math.inf, math.inf, 700]),
        impute_seed=r.choice([0, 7]),
        event_day=r.choice(["onset", "onset", "confirmation"]),
        not_before_day=r.choice([None, None, None, 1, 100]),
    )  # fmt: skip


def random_patient(r: random.Random, rule: DisabilityRule, name: str):
    """Return (visit rows, relapse rows); one in eight patients is hostile."""
    kind = r.random()
    n_visits = r.choice([1, 2, 60]) if kind < 0.06 else r.randint(2, 20)
    gaps = [1, 7, 29, 30, 77, 84, 90, 91, 92, 120, 168, 182]
    day, days = r.randint(-300, 100), []
    for _ in range(n_visits):
        days.append(day)
        day += r.choice(gaps)
    score = {"edss": 3.0, "t25fw_s": 5.5, "sdmt": 21.0, "custom": 9.0}[rule.measure] + r.choice(
        [-2, 0, 0, 2.5]
    )
    moves = {"edss": [-1.5, -0.5, 0, 0, 0, 0, 0, 0, 0.5, 1, 1.5], "t25fw_s": [-1.2, -0.5, 0, 0, 0, 0, 0.5, 1.1, 1.2],
             "sdmt": [-5, -4, -1, 0, 0, 0, 0, 1, 4], "custom": [-2, -1.8, 0, 0, 0, 0.4, 1.8, 2]}[rule.measure]  # fmt: skip
    some = r.choice(days)
    context = (
        r.choice([None, 0, 0, some]),
        r.choice([None, some - 20, some]),
        r.choice([None, some, some, some + 1]),
    )
    visits = []
    for i, d in enumerate(days):
        score = round(
            min(
                max(score + r.choice([*moves, 0, 0, 0, 0, 0, 0]), 0.0),
                10.0 if rule.measure == "edss" else 60.0,
            ),
            1,
        )
        visits.append({"patient_id": name, "visit_day": d, "score": None if kind > 0.99 else score, "row": i + 1,
                       "reference": None if r.random() < 0.01 else round(score + r.choice([0, 0, 1.5]), 1),
                       "can_confirm": r.choice([True] * 6 + [None, False]),
                       "visit_type": r.choice(["scheduled", None, "screening"]),
                       "time_zero_day": context[0], "mobilisation_start_day": context[1],
                       "rebaseline_day": context[2]})  # fmt: skip
    onsets = days if 0.06 < kind < 0.09 else [
        r.choice(days) + r.choice([-91, -90, -31, -30, -29, -1, 0, 1, 29, 30, 31, 90, 95])
        for _ in range(r.choice([0, 0, 1, 2, 4]))
    ]  # fmt: skip
    relapses = [{"patient_id": name, "onset_day": o, "end_day": r.choice([None, o, o + 20, o + 45]), "row": i + 1}
                for i, o in enumerate(onsets)]  # fmt: skip
    return visits, relapses


def tables_of(rule, patients):
    visits = pl.DataFrame([v for vs, _ in patients for v in vs], schema=VISITS).rename({"score": rule.column})
    return visits, pl.DataFrame([x for _, xs in patients for x in xs], schema=RELAPSES)


def expected(rule, visits, relapses, function=None):
    """Return the oracle's answer for one patient's rows: the first baseline per direction, and what was found."""
    name = visits[0]["patient_id"]
    own = [Visit(v["visit_day"], exact(v["score"]), v["row"], v["can_confirm"] is not False,
                 v["visit_type"] == "screening",
                 None if v["reference"] is None else exact(v["reference"]))
           for v in visits if v["score"] is not None
           and (rule.threshold_column is None or v["reference"] is not None)]  # fmt: skip
    draw = int(hashlib.sha256(f"{rule.impute_seed}/{name}".encode()).hexdigest()[:16], 16) / 16**16
    first, found = {}, []
    wanted = {"each_direction": ["worsening", "improvement"], "either": ["worsening", "improvement"],
              "improvement": ["improvement"]}.get(rule.event_kind, ["worsening"])  # fmt: skip
    is_one = rule.search == "together" or rule.event_kind == "either"
    for run in [wanted] if is_one else [[way] for way in wanted]:
        base, items = search(
            rule, own, [Relapse(x["onset_day"], x["end_day"]) for x in relapses], run,
            zero=visits[0]["time_zero_day"], mobilisation=visits[0]["mobilisation_start_day"],
            rebaseline=visits[0]["rebaseline_day"], imputes=draw < rule.impute_probability, function=function,
        ) if own else (None, [])  # fmt: skip
        first |= {way: None if base is None else base.day for way in run}
        found += items
    return first, found


def as_row(rule, name, item: Found):
    onset_or_confirmation = (
        item.confirmed if rule.event_day == "confirmation" and item.confirmed else item.onset
    )
    rows = [("baseline", item.baseline), ("baseline_value", None if item.carried is item.baseline else item.carried),
            ("onset", item.onset), ("confirmation", item.confirmed)]  # fmt: skip
    return (
        name, item.direction, onset_or_confirmation.day, item.left.day, item.baseline.day, float(item.carried.score),
        float(item.onset.score), item.confirmed.day if item.confirmed else None, item.sustained_days, item.to_end,
        item.label, [f"visits:{v.row}:{role}" for role, v in rows if v],
        None if item.outcome == "event" else item.outcome,
    )  # fmt: skip


COLUMNS = ["patient_id", "direction", "day", "left_day", "baseline_day", "value_before", "value_after",
           "confirmed_day", "sustained_days", "is_sustained_to_end", "label", "sources"]  # fmt: skip


def rows_of(found: Disability):
    events = [(*row, None) for row in found.events.select(COLUMNS).iter_rows()]
    return events + list(found.candidates.select(*COLUMNS, "rejected_because").iter_rows())


def check_cohort(seed: int, n_patients: int) -> list[str]:
    """Compare everything; return the label or the reason of each row."""
    r = random.Random(seed)
    rule = random_rule(r)
    function = quarter if r.random() < 0.1 else None
    patients = [random_patient(r, rule, f"p{k:03}") for k in range(n_patients)]
    visits, relapses = tables_of(rule, patients)
    found = derive_disability(visits, relapses, rule=rule, threshold=function)
    begun = baselines(visits, rule, relapses=relapses, threshold=function)
    want, want_reached, want_begun = [], [], {}
    for k, (own, relapsed) in enumerate(patients):
        name = f"p{k:03}"
        first, items = expected(rule, own, relapsed, function)
        want_begun |= {(name, way): day for way, day in first.items()}
        want += [as_row(rule, name, item) for item in items]
        for direction in ("worsening", "improvement"):
            events = [item for item in items if item.outcome == "event" and item.direction == direction]
            want_reached += [
                (f"{name}/{rule.measure}_{direction}/{number}", period, v.day, float(v.score), v.row, v is free,
                 free.day if free else None)
                for number, item in enumerate(sorted(events, key=lambda e: e.onset.day), start=1)
                for period, (v, free) in item.reached.items()
            ]  # fmt: skip
    key = repr
    assert sorted(rows_of(found), key=key) == sorted(want, key=key), (seed, rule)
    got = found.confirmations.drop("patient_id").rows()
    assert sorted(got, key=key) == sorted(want_reached, key=key), (seed, rule)
    got = {
        (name, way): day for name, way, day in begun.select("patient_id", "direction", "baseline_day").rows()
    }
    assert want_begun.items() <= got.items(), (seed, rule)
    assert found.events.schema == EVENTS
    assert found.candidates.schema == CANDIDATES
    assert found.confirmations.schema == CONFIRMATIONS
    return [row[-1] or row[-3] or "improvement" for row in rows_of(found)]


@pytest.mark.parametrize(("few_visits", "block"), [(-1, 0), (-1, 1), (-1, 2), (20_000, 3)])
def test_search_equals_the_independent_search(block: int, few_visits: int, monkeypatch) -> None:
    monkeypatch.setattr(disability_search, "FEW_VISITS", few_visits)  # compiled, or as plain Python
    seen = Counter(what for seed in range(30) for what in check_cohort(1000 * block + seed, n_patients=20))
    assert all(seen[label] for label in ("RAW", "PIRA", "undefined", "improvement")), seen  # none unseen
    assert all(seen[reason] for reason in REASONS), seen


def test_scale_of_tables_and_kernel_agree() -> None:
    from ahsct.outcomes import disability_kernel, disability_tables

    assert disability_kernel.SCALE == SCALE
    reasons = [name.upper() for name in ("event", *disability_tables.REASONS[1:])]
    assert [getattr(disability_kernel, name) for name in reasons] == list(range(11))
    labels = [
        disability_kernel.NO_LABEL,
        disability_kernel.RAW,
        disability_kernel.PIRA,
        disability_kernel.UNDEFINED,
    ]
    assert labels == list(range(4))
    names = {
        "confirmed_by": ["THRESHOLD", "AT_OR_ABOVE_EVENT", "MONOTONIC"],
        "relapse_rebaseline": ["NO_MOVE", "RECOVERED", "NEXT_VISIT", "NEXT_VISIT_IF_CHANGED"],
        "skip_local_extrema": ["NO_EXTREMA", "STRICT_EXTREMA", "ALL_EXTREMA"],
        "proceed_from": ["FROM_CONFIRMATION", "FROM_EVENT", "FROM_FIRST_PERIOD"],
        "pira_preceding_visit": ["FROM_BASELINE", "FROM_LAST", "FROM_LAST_DELTA"],
        "event_kind": ["EACH_DIRECTION", "EITHER", "ONLY_WORSENING", "ONLY_IMPROVEMENT", "ONLY_PIRA", "ONLY_RAW"],
    }  # fmt: skip
    hints = get_type_hints(DisabilityRule)
    for field, constants in names.items():
        assert disability_search.CHOICES[field] == get_args(hints[field])
        assert [getattr(disability_kernel, name) for name in constants] == list(range(len(constants)))


def cohort(seed: int, n_patients: int = 6):
    r = random.Random(seed)
    rule = random_rule(r)
    return r, rule, [random_patient(r, rule, f"p{k:03}") for k in range(n_patients)]


def same(a: Disability, b: Disability) -> bool:
    return all(getattr(a, t).equals(getattr(b, t)) for t in ("events", "confirmations", "candidates"))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_order_of_rows_patients_and_relapses_is_irrelevant(seed: int) -> None:
    r, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    shuffled = visits.sample(fraction=1, shuffle=True, seed=r.randint(0, 9999))
    mixed = relapses.sample(fraction=1, shuffle=True, seed=r.randint(0, 9999))
    before = shuffled.clone(), mixed.clone()
    assert same(derive_disability(visits, relapses, rule=rule), derive_disability(shuffled, mixed, rule=rule))
    assert shuffled.equals(before[0])  # the input is not touched
    assert mixed.equals(before[1])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9), st.integers(-5000, 5000))
def test_shifting_all_days_changes_nothing_else(seed: int, by: int) -> None:
    _, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    moved = derive_disability(
        visits.with_columns(pl.col("^.*_day$") + by),
        relapses.with_columns(pl.col("^.*_day$") + by),
        rule=rule,
    )
    found = derive_disability(visits, relapses, rule=rule)
    back = Disability(
        *(
            table.with_columns(pl.col("^(day|left_day|baseline_day|confirmed_day|relapse_free_day)$") - by)
            for table in (moved.events, moved.confirmations, moved.candidates)
        )
    )
    assert same(found, back)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_a_patient_is_not_changed_by_the_others(seed: int) -> None:
    _, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    everyone = derive_disability(visits, relapses, rule=rule)
    for name in visits["patient_id"].unique():
        own = pl.col("patient_id") == name
        alone = derive_disability(visits.filter(own), relapses, rule=rule)
        kept = Disability(
            *(t.filter(own) for t in (everyone.events, everyone.confirmations, everyone.candidates))
        )
        assert same(alone, kept)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([1, 7, 40]))
def test_blocks_of_patients_do_not_matter(seed: int, n_visits: int) -> None:
    _, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    whole = derive_disability(visits, relapses, rule=rule)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disability, "BLOCK_VISITS", n_visits)
        assert same(whole, derive_disability(visits, relapses, rule=rule))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_a_later_visit_of_one_patient_changes_no_other(seed: int) -> None:
    _, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    who = pl.col("patient_id") == "p003"
    last = visits.filter(who).tail(1)
    more = pl.concat(
        [visits, last.with_columns(visit_day=last["visit_day"] + 200, row=pl.lit(999, dtype=pl.Int64))]
    )
    before, after = (derive_disability(table, relapses, rule=rule) for table in (visits, more))
    assert same(*(Disability(*(t.filter(~who) for t in (d.events, d.confirmations, d.candidates)))
                  for d in (before, after)))  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_under_the_worst_of_a_day_the_order_of_rows_is_irrelevant(seed: int) -> None:
    r, rule, patients = cohort(seed)
    rule = replace(rule, same_day="worst")
    visits, relapses = tables_of(rule, patients)
    again = visits.sample(fraction=0.3, seed=1).with_columns(
        (pl.col(rule.column) + r.choice([-1, 0, 1])).clip(0), row=pl.col("row") + 500
    )
    both = pl.concat([visits, again])
    mixed = both.sample(fraction=1, shuffle=True, seed=2)
    assert same(derive_disability(both, relapses, rule=rule), derive_disability(mixed, relapses, rule=rule))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_many_rules_find_what_each_finds(seed: int) -> None:
    _, rule, patients = cohort(seed)
    visits, relapses = tables_of(rule, patients)
    rules = [rule, replace(rule, relapse_distance_from="end"), replace(rule, same_day="worst"), rule]
    found = list(derive_disabilities(visits, relapses, rules=iter(rules)))
    for one, own in zip(found, rules, strict=True):
        assert same(one, derive_disability(visits, relapses, rule=own))


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**9))
def test_a_longer_confirmation_never_gives_an_earlier_first_event(seed: int) -> None:
    _, rule, patients = cohort(seed, n_patients=12)
    rule = replace(
        rule, worsening_baseline_scheme="fixed", improvement_baseline_scheme="fixed", relapse_recovery_days=0,
        relapse_rebaseline="none", relapse_evaluation_days=0, baseline_may_improve=True,
        sub_threshold_rebaseline="none", confirmation_tolerance_days=(7, math.inf), confirming_visits="every",
        confirmation_tolerances_days=(), improvement_confirmation_periods_days=(),
        improvement_confirmation_tolerances_days=(), relapse_to_confirmation_days=(0, 0), sustained_days=0,
        improvement_sustained_days=None, persistence_days=0, impute_probability=0, event_day="onset", events="first",
        event_number=1, event_kind="each_direction", search="apart",
    )  # fmt: skip
    visits, relapses = tables_of(rule, patients)
    visits = visits.with_columns(can_confirm=True)
    key = ["patient_id", "direction"]
    short, long = (
        derive_disability(visits, relapses, rule=replace(rule, confirmation_periods_days=(days,))).events
        for days in (84, 168)
    )
    both = long.join(short, on=key, how="left", suffix="_short")
    assert both["day_short"].null_count() == 0
    assert (both["day"] >= both["day_short"]).all()
