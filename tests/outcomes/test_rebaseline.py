import polars as pl
import pytest

from ahsct.definitions import RebaselineWindow
from ahsct.errors import TableError
from ahsct.outcomes.rebaseline import pick_rebaseline


def window(pick: str) -> RebaselineWindow:
    return RebaselineWindow(target_day=91, window_days=(61, 152), pick=pick)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pick", "day"),
    [
        ("closest", 81),  # 81 and 101 are both ten days away: the earlier
        ("first", 61),  # the window's first day belongs to it, day 60 does not
        ("last", 152),  # the window's last day belongs to it, day 153 does not
    ],
)
def test_which_assessment_is_picked(pick: str, day: int) -> None:
    days = pl.DataFrame({"patient_id": ["a"] * 6, "day": [153, 101, 60, 81, 61, 152]})
    assert pick_rebaseline(days, window=window(pick)).rows() == [("a", day)]


def test_a_patient_without_an_assessment_in_the_window_has_no_row() -> None:
    days = pl.DataFrame({"patient_id": ["a", "a", "b"], "day": [60, None, 90]})
    assert pick_rebaseline(days, window=window("closest")).rows() == [("b", 90)]


def test_missing_column_is_named() -> None:
    with pytest.raises(TableError, match="needs column 'day'"):
        pick_rebaseline(pl.DataFrame({"patient_id": ["a"]}), window=window("first"))
