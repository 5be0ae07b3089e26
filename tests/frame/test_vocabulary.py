"""The vocabulary's schemas are the design's, column by column."""

import polars as pl
import pytest

from ahsct import vocabulary
from ahsct.errors import TableError
from ahsct.vocabulary import EVENTS, INPUT_TABLES, RESULTS, SCHEMAS, columns, conform, empty, from_rows

# the design, Schemas
DESIGN = {
    "events": "patient_id event_id kind measure direction day left_day baseline_day value_before value_after confirmed_day "
    "sustained_days is_sustained_to_end label mri_activity sources rule_hash",
    "confirmations": "patient_id event_id period_days day value source_row is_relapse_free relapse_free_day",
    "time_to_event": "patient_id arm endpoint component definition estimand population entry_day left_day right_day time_day "
    "is_event cause cause_is_certain last_negative_day death_day is_evaluable censor_reason event_id",
    "recurrent": "patient_id arm endpoint start_day stop_day is_event event_number",
    "transitions": "patient_id arm from_state to_state start_day stop_day",
    "not_evaluable": "patient_id endpoint definition reason",
    "curve": "study_id endpoint component definition estimand population arm subgroup cause time_years n_at_risk n_events "
    "n_censored estimate std_error lower upper conf_level method",
    "results": "study_id data_kind endpoint component definition definition_hash estimand population arm reference_arm subgroup "
    "term time_years statistic unit unit_of_analysis estimate std_error lower upper conf_level sided df p_value n n_events "
    "n_at_risk n_censored n_not_evaluable person_years mc_error method mark note",
    "flow": "step population arm n n_left_out reason",
    "problems": "table row patient_id column value rule severity message",
}


@pytest.mark.parametrize("name", DESIGN)
def test_schema_is_the_design(name: str) -> None:
    assert list(SCHEMAS[name]) == DESIGN[name].split()


def test_candidates_are_events_with_a_reason() -> None:
    assert list(vocabulary.CANDIDATES) == [*EVENTS, "rejected_because"]


@pytest.mark.parametrize("table", INPUT_TABLES)
def test_dates_have_day_twins_and_rows_make_sense(table: str) -> None:
    known = columns(table)
    assert next(iter(known)) == "patient_id"
    for name, column in known.items():
        assert column.label, name
        if name.endswith("_date"):
            assert known[name.removesuffix("_date") + "_day"].type == "day"
        if column.minimum is not None and column.maximum is not None:
            assert column.minimum < column.maximum


def test_empty_and_conform_give_exact_types() -> None:
    assert empty(RESULTS).schema == RESULTS
    frame = conform(pl.DataFrame({"n": [3], "study_id": ["s"]}), RESULTS)
    assert frame.schema == RESULTS
    assert frame["n"].to_list() == [3]


def test_unknown_keys_and_tables_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(TableError, match="Did you mean 'estimate'"):
        from_rows([{"estimat": 1.0}], RESULTS)
    with pytest.raises(TableError, match="Did you mean 'visits'"):
        columns("visit")
