"""Imputed event times against their limit over endless imputations, computed in plain R."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import RequestError, TableError
from ahsct.estimates.event_imputation import event_tipping_point, impute_events, imputed_milestone
from ahsct.estimates.kaplan_meier import kaplan_meier

CASES = {
    "ovarian": ("events_ovarian", {"horizon_day": 730}),
    "ovarian_factor": ("events_ovarian", {"horizon_day": 730, "hazard_factor": 3.0}),
    "ovarian_pieces": ("events_ovarian", {"horizon_day": 730, "cut_days": (200, 400)}),
    "lung": ("events_lung", {"horizon_day": 365, "cut_days": (180,)}),
    "aml": ("events_aml", {"horizon_day": 40}),
}


def table(name: str) -> pl.DataFrame:
    d = reference.data(name)
    return pl.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(d["time"].size)],
            "arm": [f"arm {a:g}" for a in d["arm"]],
            "time_day": d["time"].astype(int),
            "is_event": d["event"] == 1,
        }
    )


@pytest.mark.parametrize("assumption", ["censored_at_random", "jump_to_reference"])
@pytest.mark.parametrize("case", CASES)
def test_estimates_approach_their_limit(case: str, assumption: str) -> None:
    expected = reference.values("event_imputation")[case]
    name, settings = CASES[case]
    rows = imputed_milestone(table(name), assumption=assumption, n_imputations=400, seed=3, **settings)
    for arm in (0, 1):
        row = rows.filter(statistic="survival_probability", arm=f"arm {arm}").row(0, named=True)
        assert row["estimate"] == pytest.approx(expected[f"{assumption}_{arm}"], abs=4 * row["mc_error"])
        assert 0 < row["mc_error"] < 0.006
    difference = rows.filter(statistic="survival_difference").row(0, named=True)
    values = rows.filter(statistic="survival_probability")["estimate"]
    assert difference["estimate"] == pytest.approx(values[1] - values[0], rel=1e-9)


def test_without_early_censoring_it_is_the_proportion() -> None:
    values = table("events_aml").with_columns(is_event=pl.lit(True))
    row = imputed_milestone(values.filter(arm="arm 0"), horizon_day=20, n_imputations=2).row(0, named=True)
    free = values.filter(arm="arm 0")["time_day"] > 20
    assert row["estimate"] == pytest.approx(free.mean())
    assert row["std_error"] == pytest.approx(np.sqrt(free.mean() * (1 - free.mean()) / free.len()), rel=1e-10)
    assert row["note"].startswith("0 of 12 times imputed")


def test_imputed_tables_keep_what_was_seen() -> None:
    values = table("events_ovarian").with_columns(
        censor_reason=pl.when(~pl.col("is_event")).then(
            pl.when(pl.col("time_day") < 600).then(pl.lit("lost")).otherwise(pl.lit("end"))
        )
    )
    for one in impute_events(values, horizon_day=1000, reasons=["lost"], n_imputations=3):
        both = values.join(one, on="patient_id", suffix="_now")
        kept = both.filter(pl.col("censor_reason").fill_null("") != "lost").with_columns(
            cut=pl.min_horizontal("time_day", 1000)
        )
        assert kept["cut"].equals(kept["time_day_now"], null_equal=True)
        lost = both.filter(censor_reason="lost")
        assert (lost["time_day_now"] > lost["time_day"]).all()
        assert kaplan_meier(one).height > 0


def test_tipping_point() -> None:
    """Two of 40 events in the treated arm, half of it lost early; 16 of 40 in the control arm."""
    n = 40
    values = pl.DataFrame(
        {
            "patient_id": [str(i) for i in range(2 * n)],
            "arm": ["treated"] * n + ["control"] * n,
            "time_day": [100, 200] + [150] * 18 + [1000] * 20 + list(range(100, 900, 50)) + [1000] * 24,
            "is_event": [True] * 2 + [False] * 38 + [True] * 16 + [False] * 24,
        }
    )
    settings = {"horizon_day": 1000, "n_imputations": 40, "reference_arm": "control"}
    rows = event_tipping_point(values, [1, 2, 5, 20], **settings)
    table_ = rows.filter(statistic="survival_difference")
    assert table_["estimate"].is_sorted(descending=True)
    p = table_["p_value"].to_list()
    assert p[0] < 0.05 < p[-1]
    tip = rows.filter(statistic="tipping_point")["estimate"][0]
    assert tip == [1, 2, 5, 20][next(k for k, x in enumerate(p) if x >= 0.05)]
    assert rows.filter(statistic="tipping_point")["note"][0] is None
    none = event_tipping_point(values, [1], **settings)
    assert "p stays below" in none["note"][-1]
    first = event_tipping_point(values, [20, 40], **settings).filter(statistic="tipping_point")
    assert first.select("estimate", "note").row(0) == (
        20.0,
        "p is not below 0.05 at the first factor already",
    )


def test_an_arm_without_events_gives_the_difference_no_error() -> None:
    """3 of 12 against 0 of 12, all followed: the error is that of the 3 alone, and the note says so."""
    values = pl.DataFrame(
        {
            "patient_id": [str(i) for i in range(24)],
            "arm": ["control"] * 12 + ["HSCT"] * 12,
            "time_day": [200, 400, 600] + [1500] * 21,
            "is_event": [True] * 3 + [False] * 21,
        }
    )
    row = imputed_milestone(values, horizon_day=1096, n_imputations=3).row(-1, named=True)
    assert row["std_error"] == pytest.approx(np.sqrt(0.75 * 0.25 / 12), rel=1e-10)
    assert "no error can be estimated in HSCT" in row["note"]
    both = values.with_columns(is_event=pl.int_range(24).is_in([0, 1, 2, 23]), time_day=pl.lit(900))
    assert "no error" not in imputed_milestone(both, horizon_day=1096, n_imputations=3)["note"][-1]


def test_refusals_and_degenerate_input() -> None:
    values = table("events_aml")
    with pytest.raises(TableError, match="nobody of arm 'arm 0' was at risk between day 50"):
        imputed_milestone(values, horizon_day=200, cut_days=(50,))
    with pytest.raises(TableError, match="delayed entry"):
        imputed_milestone(values.with_columns(entry_day=pl.lit(2)), horizon_day=40)
    with pytest.raises(TableError, match="competing"):
        imputed_milestone(values.with_columns(cause=pl.lit("competing_death")), horizon_day=40)
    with pytest.raises(RequestError, match="hazard_factor"):
        imputed_milestone(values, horizon_day=40, hazard_factor=0)
    with pytest.raises(RequestError, match="assumption"):
        list(impute_events(values, horizon_day=40, assumption="random"))
    one = values.head(1).with_columns(is_event=pl.lit(False))
    row = imputed_milestone(one, horizon_day=40, n_imputations=20).row(0, named=True)
    assert 0 <= row["lower"] <= row["estimate"] <= row["upper"] <= 1
