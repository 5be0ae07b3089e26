"""Tables in which nobody can be evaluated, nobody had an event, or a column is of another type: a word, never a silence."""

from collections.abc import Callable

import polars as pl
import pytest

from ahsct import estimates as est
from ahsct.errors import RequestError, TableError

FRAME = pl.DataFrame(
    {
        "patient_id": list("abcdef"),
        "arm": list("XXXYYY"),
        "time_day": [100, 200, 300, 150, 250, 350],
        "left_day": [50, 100, 300, 100, 200, 350],
        "right_day": [100, 200, None, 150, 250, None],
        "is_event": [True, True, False, True, True, False],
        "cause": ["relapse", "death", None, "death", "relapse", None],
        "is_evaluable": [True] * 6,
        "censor_reason": [None, None, "end", None, None, "end"],
    }
)
PLAIN = FRAME.drop("cause")
Estimator = Callable[[pl.DataFrame], pl.DataFrame]
RESULTS: dict[str, Estimator] = {
    "log_rank": est.log_rank,
    "permutation_log_rank": lambda frame: est.permutation_log_rank(frame, reference_arm="X"),
    "cox": est.cox,
    "gray_test": est.gray_test,
    "fine_gray": lambda frame: est.fine_gray(frame, cause="relapse"),
    "cause_specific_hazards": est.cause_specific_hazards,
    "interval_log_rank": est.interval_log_rank,
    "interval_regression": est.interval_regression,
}
CURVES: dict[str, Estimator] = {
    "kaplan_meier": est.kaplan_meier,
    "reverse_kaplan_meier": est.reverse_kaplan_meier,
    "aalen_johansen": est.aalen_johansen,
    "turnbull": est.turnbull,
    "censoring_bounds": lambda frame: est.censoring_bounds(frame, at_years=0.5),
    "imputed_milestone": lambda frame: est.imputed_milestone(frame, horizon_day=200, n_imputations=2),
}
WITH_CAUSES = ("aalen_johansen", "gray_test", "fine_gray", "cause_specific_hazards")


def table(name: str) -> pl.DataFrame:
    return FRAME if name in WITH_CAUSES else PLAIN


@pytest.mark.parametrize("name", RESULTS)
def test_results_say_that_nobody_can_be_evaluated(name: str) -> None:
    rows = RESULTS[name](table(name).with_columns(is_evaluable=pl.lit(False)))
    for row in rows.rows(named=True):
        assert (row["estimate"], row["n"], row["n_not_evaluable"]) == (None, 0, 6)
        assert row["note"] == "none of 6 patients can be evaluated"
    assert rows.height == 1
    assert (
        RESULTS[name](table(name)).filter(pl.col("statistic") != "expected_events")["n_not_evaluable"][0] == 0
    )
    assert RESULTS[name](table(name).clear()).is_empty()


@pytest.mark.parametrize("name", ["log_rank", "cox", "gray_test", "fine_gray", "interval_log_rank"])
def test_results_say_that_an_arm_is_gone(name: str) -> None:
    third = (
        table(name)
        .head(2)
        .with_columns(patient_id=pl.Series(["g", "h"]), arm=pl.lit("Z"), is_evaluable=pl.lit(False))
    )
    row = RESULTS[name](pl.concat([table(name), third])).row(0, named=True)
    assert row["n_not_evaluable"] == 2
    assert row["note"].endswith("none of 2 patients of arm 'Z' can be evaluated")


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_of_nobody_is_refused(name: str) -> None:
    with pytest.raises(TableError, match=r"none of 3 patients can be evaluated, arm 'Y'"):
        CURVES[name](table(name).with_columns(is_evaluable=pl.col("arm") == "X"))


@pytest.mark.parametrize("name", RESULTS)
def test_results_say_that_nobody_had_an_event(name: str) -> None:
    none = table(name).with_columns(is_event=pl.lit(False), right_day=pl.lit(None, pl.Int64))
    rows = RESULTS[name](none.with_columns(cause=pl.lit(None, pl.String)))
    assert rows.height
    row = rows.row(0, named=True)
    assert row["note"], row


def test_a_cumulative_incidence_without_events_needs_its_causes() -> None:
    none = FRAME.with_columns(is_event=pl.lit(False), cause=pl.lit(None, pl.String))
    with pytest.raises(RequestError, match=r"causes=\['relapse'"):
        est.aalen_johansen(none)
    curve = est.aalen_johansen(none, causes=["relapse"])
    assert curve["estimate"].to_list() == [0.0] * 8


NOT_FLAGS = {"a share": [0.9] * 6, "numbers": [1, 0, 1, 1, 0, 2], "words": ["yes"] * 6}


@pytest.mark.parametrize("values", NOT_FLAGS.values(), ids=list(NOT_FLAGS))
@pytest.mark.parametrize("name", [*RESULTS, *CURVES])
def test_only_flags_are_events(name: str, values: list[object]) -> None:
    estimate = (RESULTS | CURVES)[name]
    with pytest.raises(
        TableError, match=r"`time_to_event.is_event` must be true or false; the column is of type"
    ):
        estimate(table(name).with_columns(is_event=pl.Series(values)))


@pytest.mark.parametrize("name", [*RESULTS, *CURVES])
def test_only_numbers_are_days_and_only_texts_are_arms(name: str) -> None:
    estimate = (RESULTS | CURVES)[name]
    with pytest.raises(
        TableError, match=r"`time_to_event.time_day` must be a number; the column is of type String"
    ):
        estimate(table(name).with_columns(pl.col("time_day").cast(pl.String)))
    with pytest.raises(TableError, match=r"`time_to_event.arm` must be text; the column is of type Int64"):
        estimate(table(name).with_columns(arm=pl.Series([1, 1, 1, 2, 2, 2])))
    with pytest.raises(TableError, match=r"`time_to_event.is_evaluable` must be true or false"):
        estimate(table(name).with_columns(is_evaluable=pl.lit(1)))
    categories = table(name).with_columns(pl.col("arm").cast(pl.Categorical))
    assert estimate(categories).equals(estimate(table(name)))


def test_types_of_other_tables() -> None:
    events = pl.DataFrame({"patient_id": ["a"], "start_day": [0], "stop_day": [9], "is_event": [0.9]})
    for estimate in (est.mean_cumulative_function, est.recurrent_ratios):
        with pytest.raises(TableError, match=r"`recurrent.is_event` must be true or false"):
            estimate(events)
    stays = pl.DataFrame(
        {
            "patient_id": ["a"],
            "from_state": ["well"],
            "to_state": ["ill"],
            "start_day": ["0"],
            "stop_day": [9],
        }
    )
    with pytest.raises(TableError, match=r"`transitions.start_day` must be a number"):
        est.state_occupation(stays, states=["well", "ill"])
    pair = pl.DataFrame(
        {"patient_id": ["a", "b"], "arm": ["X", "Y"], "death_day": [9, 8], "death_is_event": [0.2, 1.0]}
    )
    with pytest.raises(TableError, match=r"`outcomes.death_is_event` must be true or false"):
        est.win_statistics(pair, [est.Level(name="death", kind="time")])
    people = pl.DataFrame({"patient_id": ["a"], "end_day": [9], "is_dead": [1]})
    had = pl.DataFrame({"patient_id": ["a"], "term": ["fever"], "start_day": [3]})
    with pytest.raises(TableError, match=r"`patients.is_dead` must be true or false"):
        est.adverse_event_rates(had, people)


def test_nobody_to_compare_with_is_said() -> None:
    """Each patient alone in a stratum, or arms that were never at risk together: a row with a note, as log_rank's."""
    alone = PLAIN.select("patient_id", site="patient_id", x=pl.int_range(6) * 1.0)
    apart = PLAIN.with_columns(
        time_day=pl.Series([1, 2, 3, 4, 5, 6]), is_event=pl.Series([False] * 3 + [True, True, False])
    )
    recurrent = PLAIN.select("patient_id", "arm", "is_event", start_day=pl.lit(0), stop_day="time_day")
    for rows in (
        est.cox(PLAIN, alone, strata=["site"]),
        est.cox(PLAIN, alone, terms=("arm", "x"), strata=["site"]),
        est.cox(apart),
        est.recurrent_ratios(recurrent, alone, strata=["site"]),
    ):
        row = rows.row(0, named=True)
        assert (rows.height, row["estimate"], row["n"]) == (1, None, 6)
        assert row["note"].startswith("no event while patients who differ were at risk in one stratum")
    assert "nothing to compare" in est.log_rank(PLAIN, alone, strata=["site"])["note"][0]
    with pytest.raises(RequestError, match="leave it out"):
        est.cox(PLAIN, alone.with_columns(y=pl.col("x") * 2), terms=("x", "y"))
    with pytest.raises(RequestError, match="leave it out"):
        est.cox(PLAIN, alone.with_columns(x=pl.lit(1.0)), terms=("x",))
