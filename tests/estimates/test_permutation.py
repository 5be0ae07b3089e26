"""The permutation log-rank test: by enumeration, against coin, by draws, degenerate and impossible input."""

from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import RequestError
from ahsct.estimates import permutation_log_rank
from ahsct.estimates.log_rank import log_rank_test
from ahsct.estimates.permutation import log_rank_scores, permutation_test
from ahsct.vocabulary import RESULTS, TIME_TO_EVENT, empty

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(REFERENCE / "cox_data.csv", infer_schema_length=None)
R = pl.read_csv(REFERENCE / "permutation.csv", infer_schema_length=None)


@pytest.mark.parametrize(("data_set", "group", "n", "score", "p"), R.rows())
def test_agrees_with_coin(data_set: str, group: str, n: int, score: float, p: float) -> None:
    rows = DATA.filter(pl.col("data_set") == data_set).group_by(group, maintain_order=True).head(n)
    found = permutation_test(rows["time"], rows["event"], (rows[group] == 1).to_numpy())
    assert found.mc_error is None
    assert found.score == pytest.approx(score, rel=1e-10)
    assert found.p_value == pytest.approx(p, rel=1e-9)


@given(rows=st.lists(st.tuples(st.integers(1, 6), st.booleans(), st.booleans()), min_size=2, max_size=9))
@settings(max_examples=60)
def test_counts_every_assignment(rows: list[tuple[int, bool, bool]]) -> None:
    time, event, first = (np.array(column) for column in zip(*rows, strict=True))
    scores = log_rank_scores(time, event)
    found = permutation_test(time, event, first)
    all_sums = [
        abs(scores[list(chosen)].sum()) for chosen in combinations(range(len(rows)), int(first.sum()))
    ]
    expected = np.mean(np.array(all_sums) >= abs(scores[first].sum()) - 1e-9)
    assert found.p_value == pytest.approx(expected, rel=1e-12)
    if 0 < first.sum() < len(rows):
        assert found.score == pytest.approx(log_rank_test(time, event, ~first * 1).score[0], abs=1e-12)


def test_draws_come_close_and_say_how_close() -> None:
    rows = DATA.filter(pl.col("data_set") == "veteran")
    first = (rows["x1"] == 1).to_numpy()
    found = permutation_test(rows["time"], rows["event"], first, n_draws=4000, seed=5)
    assert found.mc_error is not None
    plain = log_rank_test(rows["time"], rows["event"], ~first * 1).p_value
    assert abs(found.p_value - plain) < 4 * found.mc_error + 0.01
    again = permutation_test(rows["time"], rows["event"], first, n_draws=4000, seed=5)
    assert again == found
    assert permutation_test(rows["time"], rows["event"], first, n_draws=4000, seed=6) != found


def test_draws_agree_with_the_exact_test(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = DATA.filter(pl.col("data_set") == "aml")
    first = (rows["x1"] == 1).to_numpy()
    exact = permutation_test(rows["time"], rows["event"], first)
    monkeypatch.setattr("ahsct.estimates.permutation.MOST_EXACT", 10)
    drawn = permutation_test(rows["time"], rows["event"], first, n_draws=20_000)
    assert drawn.mc_error is not None
    assert abs(drawn.p_value - exact.p_value) < 4 * drawn.mc_error


def test_the_table() -> None:
    frame = pl.DataFrame(
        {
            "time_day": [10, 20, 300, 400, 500],
            "is_event": [True, True, False, True, False],
            "arm": list("XXYYY"),
        }
    )
    row = permutation_log_rank(frame, reference_arm="Y").row(0, named=True)
    assert (row["arm"], row["reference_arm"], row["n"], row["n_events"]) == ("X", "Y", 5, 3)
    assert row["estimate"] == pytest.approx(2 - 2 / 5 - 1 / 4)
    # scores 0.8, 0.55, -0.45, 0.05, -0.95: of the 10 pairs this one and {300, 500} reach 1.35
    assert row["p_value"] == pytest.approx(2 / 10)
    assert permutation_log_rank(empty(TIME_TO_EVENT), reference_arm="Y").equals(empty(RESULTS))
    nothing = frame.with_columns(pl.lit(False).alias("is_event"))
    row = permutation_log_rank(nothing, reference_arm="Y").row(0, named=True)
    assert (row["p_value"], row["note"]) == (1.0, "no event: all permutations are alike")


def test_impossible_requests_are_refused() -> None:
    frame = pl.DataFrame({"time_day": [10, 20, 30], "is_event": [True] * 3, "arm": list("XYZ")})
    with pytest.raises(RequestError, match="compares two arms"):
        permutation_log_rank(frame, reference_arm="Y")
    with pytest.raises(RequestError, match="reference_arm='Q'"):
        permutation_log_rank(frame[:2], reference_arm="Q")
    with pytest.raises(RequestError, match="no delayed entry"):
        permutation_log_rank(frame[:2].with_columns(pl.Series("entry_day", [5, 0])), reference_arm="X")
