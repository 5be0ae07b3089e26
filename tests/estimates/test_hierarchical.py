"""Win statistics against WINS, BuyseTest, WR and a plain-R double loop, DeLong by hand, degenerate comparisons."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests import longitudinal_reference as reference

from ahsct.errors import DefinitionError, RequestError, TableError
from ahsct.estimates.hierarchical import Level, win_statistics

DEATH = Level(name="death", kind="time")
LEVELS = {
    "veteran": (DEATH, Level(name="score", kind="number", margin=10)),
    "colon": (
        DEATH,
        Level(name="recurrence", kind="time"),
        Level(name="nodes", kind="number", better="lower"),
    ),
    "ovarian": (DEATH, Level(name="residual", kind="number", better="lower")),
}


def table(name: str, *, strata: bool = False) -> pl.DataFrame:
    d = reference.data(name, text=("stratum",))
    frame = pl.DataFrame(d).with_columns(
        pl.col(pl.Float64).fill_nan(None),
        patient_id=pl.int_range(pl.len()).cast(pl.String),
    )
    frame = frame.with_columns(
        pl.col("^.*_is_event$").cast(bool), arm=pl.format("arm {}", pl.col("arm").cast(int))
    )
    return frame if strata else frame.drop("stratum")


@pytest.mark.parametrize("case", ["veteran", "veteran_strata", "colon", "ovarian"])
def test_agrees_with_plain_r(case: str) -> None:
    expected = reference.values("hierarchical")[case]
    name = case.split("_")[0]
    rows = win_statistics(
        table(name, strata=case.endswith("strata")).sample(fraction=1, shuffle=True, seed=1), LEVELS[name]
    )
    row = {r["statistic"]: r for r in rows.iter_rows(named=True)}
    for statistic in ("win_ratio", "win_odds", "net_benefit"):
        assert row[statistic]["estimate"] == pytest.approx(expected[statistic], rel=1e-10)
    ratio, benefit = row["win_ratio"], row["net_benefit"]
    assert ratio["std_error"] / ratio["estimate"] == pytest.approx(expected["se_log_win_ratio"], rel=1e-10)
    assert benefit["std_error"] == pytest.approx(expected["se_net_benefit"], rel=1e-10)
    assert row["finkelstein_schoenfeld"]["estimate"] == pytest.approx(expected["z"], rel=1e-10)
    for k, level in enumerate(LEVELS[name], start=1):
        for side, statistic in (("won", "pairs_won"), ("lost", "pairs_lost")):
            share = rows.filter(statistic=statistic, term=level.name)["estimate"][0]
            assert share == pytest.approx(expected[f"{side}_{k}"], rel=1e-10)
    # the intervals of net benefit and win odds say the same
    odds = row["win_odds"]
    for end in ("lower", "upper"):
        assert odds[end] == pytest.approx((1 + benefit[end]) / (1 - benefit[end]), rel=1e-10)
    assert ratio["n"] == table(name).height


def numbers_of_packages(case: str) -> dict[str, float]:
    """What the packages call win_ratio, net benefit, ... under their names."""
    name = case.split("_")[0]
    frame, levels = table(name, strata=case.endswith("strata")), LEVELS[name]
    if case.endswith("times"):  # WR takes death and one event
        levels = tuple(level for level in levels if level.kind == "time")
    if "known" in case:  # WINS takes no missing values
        frame = frame.drop_nulls("score" if name == "veteran" else "nodes")
    rows = win_statistics(frame, levels)
    row = {r["statistic"]: r for r in rows.iter_rows(named=True)}
    ratio, benefit = row["win_ratio"], row["net_benefit"]
    found = {f"wins_{name}": row[name]["estimate"] for name in ("win_ratio", "win_odds", "net_benefit")}
    found |= {"buyse_winRatio": ratio["estimate"], "buyse_netBenefit": benefit["estimate"]}
    found |= {"buyse_se_winRatio": ratio["std_error"], "buyse_se_netBenefit": benefit["std_error"]}
    found["buyse_z"] = row["finkelstein_schoenfeld"]["estimate"]
    found["wr_se_log_win_ratio"] = ratio["std_error"] / ratio["estimate"]
    for side in ("won", "lost"):
        shares = rows.filter(statistic=f"pairs_{side}")["estimate"].to_list()
        found[f"wr_{side}"] = sum(shares)
        found |= {f"wins_{side}_{k}": share for k, share in enumerate(shares, start=1)}
    return found


def compared_with_packages(case: str) -> dict[str, float]:
    """The packages' numbers, less the errors that they define otherwise."""
    expected = reference.values("win_packages")[case]
    return {name: value for name, value in expected.items() if "_null_" not in name and "_plain_" not in name}


@pytest.mark.parametrize("case", list(reference.values("win_packages")))
def test_agrees_with_wins_buysetest_and_wr(case: str) -> None:
    found, expected = numbers_of_packages(case), compared_with_packages(case)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-10)


def test_errors_that_packages_define_otherwise_are_near() -> None:
    """BuyseTest and WR divide by m where we take m - 1; WINS assumes no difference between the arms."""
    ratios = []
    for case, expected in reference.values("win_packages").items():
        found = numbers_of_packages(case)
        for name in expected:
            if "_plain_" in name:
                plain = found[name.replace("_plain_", "_")] / expected[name]
                assert 1 < plain < 1.05, (case, name)
            if "_null_" in name and "log" in name:
                ratios.append(found["wr_se_log_win_ratio"] / expected[name])
    assert (min(ratios), max(ratios)) == pytest.approx((1.009, 1.077), abs=5e-4)


def test_one_uncensored_outcome_is_delong() -> None:
    """Net benefit = 2 AUC - 1; DeLong's variance of the AUC from placements, by the textbook."""
    rng = np.random.default_rng(5)
    x, y = np.round(rng.normal(0.5, 1, 11), 1), np.round(rng.normal(0, 1, 14), 1)
    psi = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    variance = psi.mean(axis=1).var(ddof=1) / 11 + psi.mean(axis=0).var(ddof=1) / 14
    outcomes = pl.DataFrame(
        {
            "patient_id": [str(i) for i in range(25)],
            "arm": ["b"] * 11 + ["a"] * 14,
            "x": np.concatenate([x, y]),
        }
    )
    row = (
        win_statistics(outcomes, [Level(name="x", kind="number")])
        .filter(statistic="net_benefit")
        .row(0, named=True)
    )
    assert row["estimate"] == pytest.approx(2 * psi.mean() - 1, rel=1e-12)
    assert row["std_error"] == pytest.approx(2 * np.sqrt(variance), rel=1e-12)


def test_arms_can_be_swapped() -> None:
    a = win_statistics(table("colon"), LEVELS["colon"], reference_arm="arm 0")
    b = win_statistics(table("colon"), LEVELS["colon"], reference_arm="arm 1")
    assert a.filter(statistic="win_ratio")["estimate"][0] == pytest.approx(
        1 / b.filter(statistic="win_ratio")["estimate"][0]
    )
    assert a.filter(statistic="win_ratio")["lower"][0] == pytest.approx(
        1 / b.filter(statistic="win_ratio")["upper"][0]
    )


def small(**columns: list[object]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    return pl.DataFrame({"patient_id": [str(i) for i in range(n)], **columns})


def test_degenerate_comparisons_have_notes() -> None:
    level = [Level(name="x", kind="number")]
    equal = win_statistics(small(arm=["a", "a", "b", "b"], x=[1.0] * 4), level)
    assert "no pair was decided" in equal.filter(statistic="win_ratio")["note"][0]
    assert equal.filter(statistic="win_odds")["estimate"][0] == 1.0
    assert equal.filter(statistic="pairs_tied")["estimate"][0] == 1.0
    assert equal.filter(statistic="finkelstein_schoenfeld")["p_value"][0] == 1.0
    apart = win_statistics(small(arm=["a", "a", "b", "b"], x=[1.0, 2, 3, 4]), level)
    assert "infinite" in apart.filter(statistic="win_ratio")["note"][0]
    assert apart.filter(statistic="net_benefit")["estimate"][0] == 1.0
    assert apart.filter(statistic="finkelstein_schoenfeld")["p_value"][0] is not None
    single = win_statistics(small(arm=["a", "a", "b"], x=[1.0, 3, 2]), level)
    assert "single patient" in single.filter(statistic="win_ratio")["note"][0]
    assert single.filter(statistic="win_ratio")["std_error"][0] is None
    alone = win_statistics(small(arm=["a", "b"], x=[1.0, 2], stratum=["s", "t"]), level)
    assert alone["note"][0].startswith("not estimated: 2 patients in strata with one arm only")
    with pytest.raises(RequestError, match="win_statistics compares arms; found one only: a"):
        win_statistics(small(arm=["a", "a"], x=[1.0, 2]), level)
    missing = win_statistics(small(arm=["a", "a", "b", "b"], x=[1.0, None, 3, None]), level)
    assert missing.filter(statistic="pairs_tied")["estimate"][0] == 0.75


def test_refusals() -> None:
    outcomes = small(arm=["a", "b"], death_day=[1, 2], death_is_event=[True, None])
    with pytest.raises(TableError, match=r"`outcomes.death_is_event` must be stated; 1 of 2"):
        win_statistics(outcomes, [DEATH])
    with pytest.raises(TableError, match="Did you mean 'death_days'"):
        win_statistics(outcomes.rename({"death_day": "death_days"}), [DEATH])
    with pytest.raises(DefinitionError, match="margin must be"):
        Level(name="x", kind="number", margin=-1)
    with pytest.raises(DefinitionError, match="better when later"):
        Level(name="x", kind="time", better="lower")
    with pytest.raises(DefinitionError, match="one or more levels"):
        win_statistics(outcomes, [])
