"""Defects known of pymsprog 1.0.7 (numbered as in our notes on its semantics): ours does not have them."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ahsct.definitions import DisabilityRule, ThresholdStep, rule_hash
from ahsct.errors import TableError
from ahsct.outcomes.disability import derive_disability
from ahsct.vocabulary import CANDIDATES, CONFIRMATIONS, EVENTS

ONE = (ThresholdStep(from_value=0, change=1.0),)
FOUR = (ThresholdStep(from_value=0, change=4.0),)
RULE = DisabilityRule(measure="edss", worsening_threshold=ONE, improvement_threshold=ONE)
ROVING = replace(RULE, worsening_baseline_scheme="roving", improvement_baseline_scheme="roving")


def visits_of(scores: dict[int, float], patient: str = "a", measure: str = "edss") -> pl.DataFrame:
    data = {"patient_id": [patient] * len(scores), "visit_day": list(scores), measure: list(scores.values())}
    return pl.DataFrame(
        data, schema_overrides={"visit_day": pl.Int64, measure: pl.Float64, "patient_id": pl.String}
    )


def relapses_of(*days: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"patient_id": ["a"] * len(days), "onset_day": list(days)},
        schema={"patient_id": pl.String, "onset_day": pl.Int64},
    )


def events(
    scores: dict[int, float], *relapses: int, rule: DisabilityRule = RULE
) -> list[tuple[str, int, str | None]]:
    found = derive_disability(visits_of(scores), relapses_of(*relapses), rule=rule)
    return found.events.select("direction", "day", "label").rows()


def test_defect_01_one_patient_never_stops_the_cohort() -> None:
    # a: RAW, confirmed in one of two periods only; b: an improvement confirmed in one period only and not sustained
    a = visits_of({0: 2.0, 100: 3.0, 190: 3.0, 280: 2.0})
    b = visits_of({0: 4.0, 100: 3.0, 190: 3.0, 280: 4.0}, "b")
    c = visits_of({0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0}, "c")
    rule = replace(RULE, confirmation_periods_days=(84, 168), sustained_days=185)
    found = derive_disability(pl.concat([a, b, c]), relapses_of(90), rule=rule)
    assert found.events.select("patient_id", "label").rows() == [("c", "PIRA")]
    assert found.candidates.filter(rejected_because="not_sustained")["patient_id"].to_list() == ["a", "b"]


def test_defect_02_no_event_in_the_cohort_gives_the_same_columns() -> None:
    found = derive_disability(visits_of({0: 2.0, 100: 2.0}), relapses_of(), rule=RULE)
    assert (found.events.shape, found.events.schema) == ((0, len(EVENTS)), EVENTS)
    assert found.confirmations.schema == CONFIRMATIONS
    assert found.candidates.schema == CANDIDATES


def test_defect_03_a_falling_sdmt_is_a_worsening_under_every_scheme() -> None:
    for scheme in ("fixed", "roving_up", "roving_down", "roving", "after_relapse"):
        rule = replace(
            RULE, measure="sdmt", worsening_threshold=FOUR, improvement_threshold=FOUR,
            worsening_baseline_scheme=scheme, improvement_baseline_scheme=scheme,
        )  # fmt: skip
        fall = derive_disability(
            visits_of({0: 50, 100: 46, 200: 46}, measure="sdmt"), relapses_of(), rule=rule
        )
        rise = derive_disability(
            visits_of({0: 50, 100: 54, 200: 54}, measure="sdmt"), relapses_of(), rule=rule
        )
        assert fall.events["direction"].to_list() == ["worsening"]
        assert rise.events["direction"].to_list() == ["improvement"]


def test_defect_03_roving_up_follows_a_falling_sdmt() -> None:
    rule = replace(RULE, measure="sdmt", worsening_threshold=FOUR, improvement_threshold=FOUR,
                   worsening_baseline_scheme="roving_up")  # fmt: skip
    scores = {0: 50, 100: 46, 200: 46, 300: 42, 400: 42}  # 50 -> 46, baseline to day 200, 46 -> 42
    found = derive_disability(visits_of(scores, measure="sdmt"), relapses_of(), rule=rule)
    assert found.events.select("day", "baseline_day").rows() == [(100, 0), (300, 200)]


def test_defect_04_a_level_is_reached_without_relapses_at_the_last_visit_and_by_falling_scores() -> None:
    # time to a confirmed level: from a score b the change that counts is what is lacking to it
    def to_level(level: float):
        return lambda scores: np.abs(scores - level)

    visits = visits_of({0: 4.0, 100: 5.5, 200: 6.0, 300: 6.5})
    before = visits.clone()
    found = derive_disability(visits, None, rule=RULE, threshold=to_level(6.0))
    assert found.events.select("day", "confirmed_day").rows() == [(200, 300)]
    assert visits.equals(before)  # neither a helper column nor another type
    last = visits.filter(pl.col("visit_day") < 300)
    assert not len(derive_disability(last, None, rule=RULE, threshold=to_level(6.0)).events)
    imputed = derive_disability(last, None, rule=replace(RULE, impute_probability=1), threshold=to_level(6.0))
    assert imputed.events["day"].to_list() == [200]
    # a falling score: below the level on day 100 but not confirmed, again on day 400, confirmed
    falling = replace(RULE, measure="sdmt", worsening_threshold=FOUR, improvement_threshold=FOUR)
    scores = visits_of({0: 50, 100: 39, 200: 45, 400: 40, 500: 38}, measure="sdmt")
    found = derive_disability(scores, None, rule=falling, threshold=to_level(40))
    assert found.events.select("day", "direction").rows() == [(400, "worsening")]


def test_defect_05_text_for_days_is_refused_and_no_table_is_altered() -> None:
    visits, relapses = visits_of({0: 2.0, 100: 3.0, 190: 3.0}), relapses_of(90)
    text = visits.with_columns(visit_day=pl.Series(["2020-01-01", "2020-04-10", "2020-07-09"]))
    with pytest.raises(TableError, match=r"`visits.visit_day` must hold whole days, and is String"):
        derive_disability(text, relapses, rule=RULE)
    with pytest.raises(TableError, match=r"`relapses.onset_day` must hold whole days, and is String"):
        derive_disability(visits, relapses.with_columns(onset_day=pl.lit("2020-03-31")), rule=RULE)
    with pytest.raises(TableError, match=r"must hold whole days, and is Float64"):
        derive_disability(visits.with_columns(pl.col("visit_day") + 0.5), relapses, rule=RULE)
    # two visits on a day are settled by the rule, never kept both
    twice = pl.concat([visits, visits_of({190: 2.0})])
    before = twice.clone(), relapses.clone()
    found = derive_disability(twice, relapses, rule=replace(RULE, same_day="last_row"))
    assert not len(found.events)
    assert (twice.equals(before[0]), relapses.equals(before[1])) == (True, True)


def test_defect_06_a_relapse_long_before_the_first_visit_is_remembered() -> None:
    # worsening on day 20, relapse on day -60: 80 days before, within the RAW window of 90 days
    assert events({0: 2.0, 20: 3.0, 120: 3.0}, -60) == [("worsening", 20, "RAW")]
    assert events({0: 2.0, 20: 3.0, 120: 3.0}, -71) == [("worsening", 20, "PIRA")]


def test_defect_07_one_plateau_is_one_event() -> None:
    # worse since the relapse and ever after: never found again as progression independent of relapses
    scores = {0: 2.0, 100: 3.0, 190: 3.0, 280: 3.0, 370: 3.0, 460: 3.0, 550: 3.5}
    assert events(scores, 95) == [("worsening", 100, "RAW")]


def test_defect_08_the_order_of_relapses_is_irrelevant() -> None:
    scores = {0: 2.0, 100: 3.0, 190: 3.0, 400: 4.0, 500: 4.0, 700: 5.0, 800: 5.0}
    rule = replace(RULE, worsening_baseline_scheme="after_relapse", relapse_recovery_days=30)
    expected = events(scores, 95, 395, 695, rule=rule)
    assert [day for _, day, _ in expected] == [100, 400, 700]
    assert events(scores, 695, 95, 395, rule=rule) == expected
    assert events(scores, 395, 695, 95, rule=rule) == expected


def test_defect_09_a_baseline_that_may_not_improve_leaves_the_scores_as_they_are() -> None:
    rule = replace(ROVING, relapse_rebaseline="next_visit", baseline_may_improve=False)
    visits = visits_of({0: 4.0, 100: 3.0, 190: 3.0, 300: 4.0, 400: 5.0, 490: 5.0})
    before = visits.clone()
    found = derive_disability(visits, relapses_of(95), rule=rule)
    assert visits.equals(before)
    assert found.events.select("day", "baseline_day", "value_before").rows() == [(400, 190, 4.0)]
    # and it looks the right way where falling scores are worse: 50 -> 54 is better, so 50 stays the reference
    falling = replace(rule, measure="sdmt", worsening_threshold=FOUR, improvement_threshold=FOUR)
    scores = visits_of({0: 50, 100: 54, 190: 54, 300: 50, 400: 46, 490: 46}, measure="sdmt")
    found = derive_disability(scores, relapses_of(95), rule=falling)
    assert found.events.select("direction", "day", "value_before").rows() == [("worsening", 400, 50.0)]


def test_defect_09_no_score_is_ever_overwritten() -> None:
    scores = {0: 4.0, 100: 3.0, 190: 3.0, 300: 4.0, 400: 4.0}
    found = derive_disability(visits_of(scores), relapses_of(150), rule=ROVING)
    for row in found.events.iter_rows(named=True):
        assert row["value_before"] == scores[row["baseline_day"]]
        assert row["value_after"] == scores[row["day"]]


def test_defect_08_nor_where_a_relapse_moves_the_baseline_to_the_next_visit() -> None:
    scores = {0: 2.0, 100: 3.0, 190: 3.0, 400: 4.0, 500: 4.0, 700: 5.0, 800: 5.0}
    rule = replace(RULE, relapse_rebaseline="next_visit", relapse_evaluation_days=90)
    expected = events(scores, 95, 395, 695, rule=rule)
    assert [day for _, day, _ in expected] == [100, 400, 700]
    assert events(scores, 695, 95, 395, rule=rule) == expected


def test_defect_10_an_onset_found_again_after_a_relapse_is_one_event() -> None:
    # worse than day 0 on day 130, 35 days after the relapse; and worse than day 100, the baseline after it
    scores = {0: 2.0, 100: 2.0, 130: 4.0, 230: 4.0, 330: 4.0}
    rule = replace(
        RULE, relapse_rebaseline="next_visit", relapse_evaluation_days=90, relapse_to_baseline_days=(0, 0)
    )
    found = derive_disability(visits_of(scores), relapses_of(95), rule=rule)
    assert found.events.select("day", "baseline_day").rows() == [(130, 100)]
    assert found.candidates.select("day", "rejected_because").rows() == [(130, "superseded")]
    first = derive_disability(visits_of(scores), relapses_of(95), rule=replace(rule, events="first"))
    assert first.events["day"].to_list() == [130]


def test_defect_10_no_onset_is_found_twice() -> None:
    scores = {0: 2.0, 100: 3.0, 110: 3.0, 190: 3.0, 210: 4.0, 300: 4.0, 400: 5.0, 500: 5.0}
    rule = replace(
        RULE, worsening_baseline_scheme="after_relapse", improvement_baseline_scheme="after_relapse"
    )
    days = [day for _, day, _ in events(scores, 95, 105, 205, 395, rule=rule)]
    assert days == sorted(set(days))
    assert days[0] == 100


def test_defect_11_the_rule_is_not_changed() -> None:
    before = rule_hash(ROVING)
    events({0: 2.0, 100: 3.0, 190: 3.0}, 50, rule=ROVING)
    assert rule_hash(ROVING) == before


def test_defect_12_imputation_leaves_the_global_random_state_alone() -> None:
    rule = replace(RULE, impute_probability=0.5, impute_seed=1)
    scores = {0: 2.0, 100: 3.0}
    answers = set()
    for seed in range(8):
        np.random.seed(seed)  # noqa: NPY002
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        answers.add(len(events(scores, rule=rule)))
        assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert len(answers) == 1


def test_defect_12_nothing_is_random() -> None:
    scores = {0: 2.0, 100: 3.0}
    found = [derive_disability(visits_of(scores), relapses_of(), rule=RULE) for _ in range(5)]
    assert all(f.candidates.equals(found[0].candidates) for f in found)
    assert not any(len(f.events) for f in found)


def test_defect_13_a_visit_that_may_not_confirm_may_be_onset_and_baseline() -> None:
    visits = visits_of({0: 2.0, 100: 3.0, 190: 3.0}).with_columns(can_confirm=pl.Series([None, False, True]))
    found = derive_disability(visits, relapses_of(), rule=RULE)
    assert found.events.select("baseline_day", "day", "confirmed_day").rows() == [(0, 100, 190)]


def test_defect_14_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    shuffled = visits_of({190: 3.0, 0: 2.0, 100: 3.0})
    derive_disability(shuffled, relapses_of(50, 10), rule=RULE)
    assert capfd.readouterr() == ("", "")


def test_defect_15_no_visit_gives_empty_tables() -> None:
    found = derive_disability(visits_of({}), relapses_of(5), rule=RULE)
    assert (len(found.events), found.events.schema) == (0, EVENTS)


def test_defect_16_an_improvement_does_not_move_the_search_for_worsening() -> None:
    # day 100 improves, confirmed on day 300; between them day 200 is worse than the fixed baseline
    rule = replace(RULE, confirming_visits="confirming_only", confirmation_periods_days=(168,))
    scores = {0: 4.0, 100: 3.0, 200: 5.0, 300: 3.0, 400: 5.0, 500: 5.0}
    assert ("worsening", 200, "PIRA") in events(scores, rule=rule)
    assert ("improvement", 100, None) in events(scores, rule=rule)


def test_defect_17_the_order_of_periods_is_irrelevant() -> None:
    scores = {0: 2.0, 100: 3.0, 184: 3.0, 268: 2.0, 300: 3.0, 384: 3.0, 468: 3.0}
    first = events(scores, rule=replace(RULE, confirmation_periods_days=(84, 168)))
    assert first == events(scores, rule=replace(RULE, confirmation_periods_days=(168, 84)))
    assert first == [("worsening", 100, "PIRA"), ("worsening", 300, "PIRA")]
