"""E-values against the printed ones, and the target-trial checklist."""

import polars as pl
import pytest

from ahsct.errors import RequestError, TableError
from ahsct.estimates import (
    ProtocolPart,
    TargetTrial,
    e_value,
    exact_proportion,
    milestone,
    propensity_weights,
    weighted_kaplan_meier,
    weighted_survival_difference,
    with_target_trial,
)
from ahsct.vocabulary import RESULTS


def values(*args: float, **options: object) -> list[float]:
    return e_value(*args, **options)["estimate"].to_list()  # type: ignore[arg-type]


def test_printed_e_values() -> None:
    # VanderWeele and Ding 2017: 3.9 (1.8 to 8.7) gives 7.26 and 3.0
    assert values(3.9, lower=1.8, upper=8.7) == pytest.approx([7.26, 3.0], abs=0.005)
    # a protective ratio is turned round: the same numbers
    assert values(1 / 3.9, lower=1 / 8.7, upper=1 / 1.8) == pytest.approx([7.26, 3.0], abs=0.005)


def test_by_hand() -> None:
    assert values(2.0) == pytest.approx([2 + 2**0.5])
    assert values(1.0) == [1.0]
    assert values(4.0, measure="odds_ratio", is_common=True) == pytest.approx([2 + 2**0.5])
    assert values(4.0, measure="odds_ratio") == pytest.approx([4 + 12**0.5])
    ratio = (1 - 0.5 ** (1 / 2)) / (1 - 0.5**2)  # hazard ratio 1/4
    assert values(0.25, measure="hazard_ratio", is_common=True) == pytest.approx(
        [1 / ratio + (1 / ratio * (1 / ratio - 1)) ** 0.5]
    )


def test_interval_that_holds_one_or_has_one_limit() -> None:
    assert values(1.5, lower=0.9, upper=2.5)[1] == 1
    assert values(0.5, lower=0.0, upper=0.8) == pytest.approx([2 + 2**0.5, 1.25 + (1.25 * 0.25) ** 0.5])
    assert values(0.5, lower=0.2)[1] == 1
    assert e_value(2.0, lower=1.5, upper=float("inf")).height == 2
    assert e_value(2.0).schema == RESULTS


def test_e_value_refusals() -> None:
    for ratio in (0, -1, float("nan"), float("inf")):
        with pytest.raises(TableError, match="ratio > 0"):
            e_value(ratio)
    with pytest.raises(TableError, match="hold the estimate"):
        e_value(2.0, lower=3.0)
    with pytest.raises(RequestError, match="Did you mean 'risk_ratio'"):
        e_value(2.0, measure="risk-ratio")


FULL = {
    name: ProtocolPart(trial="so", emulation="so")
    for name in (
        "eligibility", "treatment_strategies", "assignment", "follow_up", "outcome", "causal_contrast", "confounders",
        "analysis",
    )
}  # fmt: skip


def test_a_complete_protocol_warns_of_nothing() -> None:
    trial = TargetTrial(
        **FULL, time_zero_treated="decision", time_zero_comparator="decision", eligible_from="decision"
    )
    assert trial.warnings() == []
    rows = with_target_trial(exact_proportion(1, 24), trial)
    assert rows.schema == RESULTS
    assert rows["note"][0] == "no randomisation"
    checklist = rows.filter(pl.col("statistic") == "target_trial")
    assert checklist["term"].to_list() == [*FULL, "time_zero"]
    assert checklist["mark"].null_count() == 9
    assert checklist["note"][0] == "trial: so; here: so"


def test_warnings_by_gravity() -> None:
    trial = TargetTrial(
        **{**FULL, "outcome": ProtocolPart(trial="so")},
        time_zero_treated="infusion",
        time_zero_comparator="decision",
        eligible_from="referral",
    )
    immortal, selection, missing = trial.warnings()
    assert "immortal time is possible" in immortal
    assert "from referral, not from time zero" in selection
    assert missing == "target trial: outcome not stated"
    row = with_target_trial(exact_proportion(1, 24), trial).row(0, named=True)
    assert row["note"] == "; ".join(["no randomisation", immortal, selection, missing])
    assert TargetTrial(**FULL).warnings() == [
        "time zero not stated for both groups: immortal time cannot be ruled out"
    ]


def test_a_weighted_comparison_brings_its_checklist() -> None:
    frame = pl.DataFrame(
        {
            "patient_id": list("abcdefgh"),
            "is_treated": [True] * 4 + [False] * 4,
            "time_day": [100, 200, 400, 400] * 2,
            "is_event": [True, False, False, False, True, True, False, False],
        }
    )
    weights = propensity_weights(frame, covariates=[])
    trial = TargetTrial(
        **{**FULL, "confounders": ProtocolPart(trial="none: at random")},
        time_zero_treated="decision",
        time_zero_comparator="decision",
        eligible_from="decision",
    )
    rows = weighted_survival_difference(frame, weights, at_years=1, trial=trial)
    assert rows["statistic"].to_list() == ["survival_difference"] + ["target_trial"] * 9
    assert rows["note"][0].endswith("; no randomisation; target trial: confounders not stated")
    assert rows.filter(pl.col("mark") == "assumed")["term"].to_list() == ["confounders"]
    silent = weighted_survival_difference(frame, weights, at_years=1)
    assert silent["note"][0].endswith("; no randomisation; no target trial stated")
    assert silent.filter(pl.col("mark") == "assumed").height == 9
    assert silent["estimate"][0] == rows["estimate"][0]
    read = milestone(weighted_kaplan_meier(frame, weights), at_years=1)
    assert read["method"].str.contains("no randomisation").all()


def test_without_a_protocol_everything_is_missing() -> None:
    rows = with_target_trial(exact_proportion(1, 24), None)
    assert "no target trial stated" in rows["note"][0]
    assert set(rows.filter(pl.col("statistic") == "target_trial")["mark"]) == {"assumed"}
