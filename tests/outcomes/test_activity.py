import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ahsct.definitions import MriRule, RelapseRule
from ahsct.errors import TableError
from ahsct.outcomes import derive_mri_activity, derive_relapses
from ahsct.outcomes.scans import read_scans
from ahsct.vocabulary import EVENTS

GD_T2 = MriRule(lesions=("gd", "new_t2"))


def relapses(*days: int | None, **more: list[object]) -> pl.DataFrame:
    return pl.DataFrame({"patient_id": ["a"] * len(days), "onset_day": days, **more})


@pytest.mark.parametrize(("second", "found"), [(29, [0]), (30, [0, 30])])
def test_onsets_nearer_than_the_gap_are_one_relapse(second: int, found: list[int]) -> None:
    events = derive_relapses(relapses(0, second), rule=RelapseRule(min_gap_days=30))
    assert events["day"].to_list() == found


def test_a_chain_of_near_onsets_is_one_relapse() -> None:
    # 0, 20, 40: each nearer than 30 days to the one before
    events = derive_relapses(relapses(40, 0, 20, row=[3, 1, 2]), rule=RelapseRule(min_gap_days=30))
    assert events["day"].to_list() == [0]
    assert events["sources"].to_list() == [["relapses:1:relapse", "relapses:2:relapse", "relapses:3:relapse"]]


def test_a_relapse_keeps_its_first_day_also_before_time_zero() -> None:
    table = relapses(-5, 10, 100)
    events = derive_relapses(table, rule=RelapseRule(min_gap_days=30))
    assert events["day"].to_list() == [100]  # -5 and 10 are one relapse, which began before time zero


def test_not_before_day_counts_from_the_patients_time_zero() -> None:
    table = relapses(29, 30, time_zero_day=[20, 20])
    assert derive_relapses(table, rule=RelapseRule(not_before_day=10))["day"].to_list() == [30]


def test_missing_confirmation_is_no_confirmation() -> None:
    table = relapses(1, 2, 3, confirmed_by_examiner=[True, None, False])
    assert derive_relapses(table, rule=RelapseRule(confirmed_by_examiner=True))["day"].to_list() == [1]
    assert derive_relapses(table, rule=RelapseRule())["day"].to_list() == [1, 2, 3]


def test_relapses_without_a_day_and_patients_without_time_zero_have_no_event() -> None:
    table = relapses(None, 5, time_zero_day=[0, None])
    events = derive_relapses(table, rule=RelapseRule())
    assert events.is_empty()
    assert events.schema == EVENTS


def test_relapse_events_are_numbered_and_marked_with_the_rule() -> None:
    events = derive_relapses(relapses(9, 4), rule=RelapseRule())
    assert events["event_id"].to_list() == ["a/relapse/1", "a/relapse/2"]
    assert events["day"].to_list() == [4, 9]
    assert events["rule_hash"].n_unique() == 1
    other = derive_relapses(relapses(9), rule=RelapseRule(min_gap_days=1))
    assert other["rule_hash"][0] != events["rule_hash"][0]


def test_a_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="onset_day"):
        derive_relapses(pl.DataFrame({"patient_id": ["a"]}), rule=RelapseRule())
    with pytest.raises(TableError, match="scan_day"):
        derive_mri_activity(pl.DataFrame({"patient_id": ["a"]}), rule=GD_T2)


def scans(
    *rows: tuple[object, ...], columns: str = "scan_day gd_n new_t2_n reference_scan_day"
) -> pl.DataFrame:
    names = columns.split()
    table = pl.DataFrame([dict(zip(names, row, strict=True)) for row in rows], infer_schema_length=None)
    return table.with_columns(pl.lit("a").alias("patient_id"), pl.int_range(1, pl.len() + 1).alias("row"))


def test_lesions_before_the_rebaseline_scan_never_count_and_gd_counts_on_it() -> None:
    table = scans((30, 3, 3, -20), (90, 1, 2, -20), (200, 0, 1, 90)).with_columns(
        rebaseline_scan_day=pl.lit(90)
    )
    events = derive_mri_activity(table, rule=GD_T2)
    # day 90: one gadolinium lesion, the two T2 lesions are older than the re-baseline; day 200: one new T2
    assert events.select("day", "value_after").rows() == [(90, 1.0), (200, 1.0)]
    assert events["sources"].to_list() == [["mri:2:scan"], ["mri:3:scan", "mri:2:reference"]]
    as_read = derive_mri_activity(table, rule=MriRule(lesions=("gd", "new_t2"), reference="any"))
    assert as_read["value_after"].to_list() == [6.0, 3.0, 1.0]


def test_t2_against_an_older_reference_is_not_assessed_but_none_is_none() -> None:
    table = scans((90, 0, 0, -20), (200, 0, 2, -20), (300, 0, 0, -20)).with_columns(
        rebaseline_scan_day=pl.lit(90)
    )
    assert read_scans(table, rule=GD_T2)["status"].to_list() == ["negative", "not_assessed", "negative"]


def test_a_missing_reference_is_the_previous_scan() -> None:
    table = scans((90, 0, 0, None), (200, 0, 1, None)).with_columns(rebaseline_scan_day=pl.lit(90))
    events = derive_mri_activity(table, rule=GD_T2)
    assert events["day"].to_list() == [200]
    assert events["sources"].to_list() == [["mri:2:scan", "mri:1:reference"]]


def test_a_missing_count_is_not_zero() -> None:
    table = scans((100, 0, None, None), (200, None, 1, 100), (300, 0, 0, 200))
    read = read_scans(table, rule=GD_T2)
    # day 100: no T2 count, so unknown; day 200: one T2 lesion suffices; day 300: both counted, none
    assert read["status"].to_list() == ["not_assessed", "active", "negative"]


def test_categories_decide_by_their_ends() -> None:
    table = scans(
        (100, None, 1, 2, 0),
        (200, None, 0, 2, 0),
        (300, None, 0, 0, 0),
        columns="scan_day gd_n gd_n_min gd_n_max new_t2_n",
    )
    # at least one lesion; none to two; none
    assert read_scans(table, rule=GD_T2)["status"].to_list() == ["active", "not_assessed", "negative"]
    two = MriRule(lesions=("gd", "new_t2"), min_lesions_n=2)
    assert read_scans(table, rule=two)["status"].to_list() == ["not_assessed", "not_assessed", "negative"]


def test_scans_of_one_day_are_read_together() -> None:
    table = scans((100, 0, 0, None), (100, 1, 0, None))
    events = derive_mri_activity(table, rule=GD_T2)
    assert events.height == 1
    assert events["sources"].to_list() == [["mri:1:scan", "mri:2:scan"]]


def test_left_day_is_the_last_negative_scan() -> None:
    table = scans((50, 0, 0, None), (100, 0, None, None), (200, 1, 0, 100), (300, 1, 0, 200))
    # the scan of day 100 was not fully read, so day 50 is the last negative one for both events
    assert derive_mri_activity(table, rule=GD_T2).select("day", "left_day").rows() == [(200, 50), (300, 50)]


def test_a_patient_without_rebaseline_scan_has_no_counted_scan() -> None:
    table = scans((100, 1, 1, None)).with_columns(rebaseline_scan_day=pl.lit(None, dtype=pl.Int64))
    assert derive_mri_activity(table, rule=GD_T2).is_empty()


@pytest.mark.parametrize(("not_before", "found"), [(None, [21, 30]), (10, [30]), (0, [20, 21, 30])])
def test_not_before_day_of_scans(not_before: int | None, found: list[int]) -> None:
    table = scans((20, 1, 0, None), (21, 1, 0, None), (30, 1, 0, None)).with_columns(time_zero_day=pl.lit(20))
    rule = MriRule(lesions=("gd", "new_t2"), not_before_day=not_before)
    assert derive_mri_activity(table, rule=rule)["day"].to_list() == found


def test_order_of_rows_does_not_matter_and_the_input_stays() -> None:
    table = scans((300, 1, 0, 200), (90, 0, 0, None), (200, 0, 1, 90))
    copy = table.clone()
    events = derive_mri_activity(table, rule=GD_T2)
    assert_frame_equal(events, derive_mri_activity(table.reverse(), rule=GD_T2))
    assert_frame_equal(table, copy)
    assert events.schema == EVENTS
