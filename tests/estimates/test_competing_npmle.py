"""Events seen at visits with exact deaths: against plain R, by hand, and the two readings of unseen events."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates.competing import cumulative_incidence
from ahsct.estimates.competing_npmle import Observed, competing_npmle, incidence_at
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
DATA = pl.read_csv(
    REFERENCE / "competing_npmle_data.csv", schema_overrides=dict.fromkeys(Observed._fields, pl.Float64)
)
R_ROWS = pl.read_csv(REFERENCE / "competing_npmle.csv", infer_schema_length=None)


def observed(name: str) -> Observed:
    rows = DATA.filter(pl.col("data_set") == name)
    return Observed(*(rows[field].to_numpy() for field in Observed._fields))


@pytest.mark.parametrize("name", ["bili3", "ascites", "cav"])
def test_agrees_with_plain_r(name: str) -> None:
    rows = R_ROWS.filter((pl.col("data_set") == name) & (pl.col("what") != "loglik"))
    at = rows["at"].unique().sort().to_numpy()
    estimate, _, gap = incidence_at(observed(name), at, quantile=None)
    assert gap < 1e-8
    for k, what in enumerate(("event", "death")):
        expected = rows.filter(pl.col("what") == what).sort("at")["value"]
        np.testing.assert_allclose(estimate[k], expected, atol=1e-7)


def test_a_binomial_by_hand() -> None:
    # 3 of 12 events by the visit on day 100, 2 deaths on day 50, the rest seen free of it on day 200
    inf = np.inf
    data = Observed(
        np.array([0.0] * 3 + [50] * 2 + [200] * 7), np.array([100.0] * 3 + [inf] * 9),
        np.array([inf] * 3 + [50.0] * 2 + [inf] * 7), np.array([100.0] * 3 + [50] * 2 + [200] * 7),
    )  # fmt: skip
    estimate, limits, _ = incidence_at(data, np.array([150.0]))
    assert estimate[:, 0].tolist() == pytest.approx([3 / 12, 2 / 12])
    for k, d in enumerate((3, 2)):
        for limit in limits[k, 0]:
            fall = d * np.log(d / 12 / limit) + (12 - d) * np.log((1 - d / 12) / (1 - limit))
            assert 2 * fall == pytest.approx(3.841458820694124, rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=20))
def test_exact_times_give_aalen_johansen(rows: list[tuple[int, int]]) -> None:
    time, cause = np.array([one[0] for one in rows], float), np.array([one[1] for one in rows])
    data = Observed(time, np.where(cause == 1, time, np.inf), np.where(cause == 2, time, np.inf), time)
    estimate, limits, gap = incidence_at(data, np.array([time.max()]))
    expected = cumulative_incidence(time, cause, n_causes=2).estimate[:, -1]
    # an event and a death at one time: both are exact; Aalen-Johansen needs no order of them
    assert gap < 1e-6
    np.testing.assert_allclose(estimate[:, 0], expected, atol=1e-6)
    assert (limits[..., 0] <= estimate + 1e-6).all()
    assert (limits[..., 1] >= estimate - 1e-6).all()


def table(rows: list[tuple[int, int | None, int, str | None]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "left_day": [one[0] for one in rows],
            "right_day": [one[1] for one in rows],
            "time_day": [one[2] for one in rows],
            "is_event": [one[3] is not None for one in rows],
            "cause": [one[3] for one in rows],
        },
        schema_overrides={"right_day": pl.Int64, "cause": pl.String},
    )


def test_unseen_events_before_a_death() -> None:
    # one died on day 150, last seen free of it on day 90: with "all" the event lies in (90, 150], and nobody died of nothing
    rows = table(
        [(0, 100, 100, "progression"), (90, 150, 150, "competing_death"), *[(400, None, 400, None)] * 2]
    )
    found = {
        unseen: competing_npmle(rows, at_years=[1], unseen=unseen)["estimate"].to_list()
        for unseen in ("none", "all")
    }
    assert found["none"] == pytest.approx([0.25, 0.25])
    assert found["all"] == pytest.approx([0.5, 0.0], abs=1e-9)
    upper = competing_npmle(rows, at_years=[1], unseen="all").row(1, named=True)
    assert 0 < upper["upper"] < 0.7  # nobody died: still a limit
    assert competing_npmle(rows, at_years=[1]).schema == RESULTS


def test_degenerate_input() -> None:
    nobody = competing_npmle(table([(400, None, 400, None)]), at_years=[1])
    assert nobody["estimate"].to_list() == pytest.approx([0, 0], abs=1e-9)
    assert nobody["upper"].to_list() == pytest.approx([1 - np.exp(-3.841458820694124 / 2)] * 2, rel=1e-5)
    died = competing_npmle(table([(0, 100, 100, "competing_death")]), at_years=[0.2])
    assert died["estimate"].to_list() == pytest.approx([0, 0], abs=1e-9)  # on day 73, before the death
    beyond = competing_npmle(table([(40, None, 40, None)]), at_years=[1])
    assert beyond["estimate"].null_count() == 2
    assert beyond["note"].str.contains("not extrapolated").all()


def test_wrong_input_is_refused() -> None:
    rows = table([(0, 100, 100, "progression")])
    with pytest.raises(RequestError, match="unseen"):
        competing_npmle(rows, at_years=[1], unseen="some")
    with pytest.raises(RequestError, match="at_years"):
        competing_npmle(rows, at_years=[])
    with pytest.raises(TableError, match="delayed entry"):
        competing_npmle(rows.with_columns(entry_day=pl.lit(3)), at_years=[0.1])
    with pytest.raises(TableError, match="not after right_day"):
        competing_npmle(table([(120, 100, 120, "progression")]), at_years=[0.1])
