"""Exact proportions: published numbers, R, properties, impossible input."""

import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import exact_proportion
from ahsct.vocabulary import RESULTS

REFERENCE = Path(__file__).parents[1] / "reference"
R_ROWS = pl.read_csv(REFERENCE / "proportions.csv", infer_schema_length=None)
CASES = {case["id"]: case for case in json.loads((REFERENCE / "public_cases_curves.json").read_text())}
METHODS = ["clopper-pearson", "wilson", "jeffreys", "mid-p", "blaker"]


def limits(*args: int, **options: object) -> tuple[float, float]:
    return exact_proportion(*args, **options).select("lower", "upper").row(0)  # type: ignore[arg-type]


def test_agrees_with_r() -> None:
    assert R_ROWS.height == 368
    assert set(R_ROWS["set"]) == {"counts of the trial", "esoph", "Titanic", "infert"}
    for row in R_ROWS.iter_rows(named=True):
        method, *ends = row["method"].split(" ")
        options = {"method": method, "sided": row["sided"], "conf_level": row["conf_level"]}
        ours = limits(row["n_events"], row["n"], **options, ends=(*ends, "closed")[0])
        # R's own root finder ends near 1e-15 absolute for mid-P
        assert ours == pytest.approx((row["lower"], row["upper"]), rel=1e-10, abs=1e-14), row


def test_public_case() -> None:
    case = CASES["p01_binomial"]
    for key, method in (("exact", "clopper-pearson"), ("wilson", "wilson")):
        for x, n, expected in zip(case["input"]["x"], case["input"]["n"], case["expected"][key], strict=True):
            assert limits(x, n, method=method) == pytest.approx(expected, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize(
    ("x", "n", "percent"),
    [
        (1, 24, (0.1, 21.1)),
        (8, 23, (16.4, 57.3)),
        (8, 24, (15.6, 55.3)),
        (14, 24, (36.6, 77.9)),
        (7, 19, (16.3, 61.6)),
        (0, 23, (0.0, 14.8)),
        (23, 24, (78.9, 99.9)),
        (16, 23, (47.1, 86.8)),
        (16, 24, (44.7, 84.4)),
    ],
)
def test_the_trial(x: int, n: int, percent: tuple[float, float]) -> None:
    assert tuple(100 * limit for limit in limits(x, n)) == pytest.approx(percent, abs=0.05)


def test_one_death_in_24_by_other_methods() -> None:
    assert [round(100 * x, 1) for x in limits(1, 24, method="mid-p")] == [0.2, 18.9]
    assert [round(100 * x, 1) for x in limits(1, 24, method="jeffreys")] == [0.5, 17.9]
    assert [round(100 * x, 1) for x in limits(0, 23, sided="upper")] == [0.0, 12.2]


def test_one_sided_bounds_leave_the_other_end_open() -> None:
    row = exact_proportion(3, 10, sided="lower").row(0, named=True)
    assert (row["upper"], row["sided"]) == (1.0, "lower")
    assert exact_proportion(3, 10, sided="upper")["lower"].item() == 0
    # by hand: no event in n gives 1 - 0.05^(1/n)
    assert limits(0, 7, sided="upper")[1] == pytest.approx(1 - 0.05 ** (1 / 7), rel=1e-12)


def test_the_row_is_complete() -> None:
    frame = exact_proportion(1, 24)
    assert frame.schema == RESULTS
    row = frame.row(0, named=True)
    assert (row["statistic"], row["unit"], row["n"], row["n_events"], row["method"], row["conf_level"]) == (
        "proportion", "probability", 24, 1, "Clopper-Pearson", 0.95,
    )  # fmt: skip


@given(n=st.integers(1, 400), share=st.floats(0, 1), method=st.sampled_from(METHODS))
def test_complement_mirrors_the_interval(n: int, share: float, method: str) -> None:
    x = round(n * share)
    lower, upper = limits(x, n, method=method)
    assert 0 <= lower <= x / n + 1e-12
    assert x / n - 1e-12 <= upper <= 1
    assert limits(n - x, n, method=method) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


@given(n=st.integers(1, 200), share=st.floats(0, 1), method=st.sampled_from(["mid-p", "blaker"]))
def test_lies_within_clopper_pearson(n: int, share: float, method: str) -> None:
    x = round(n * share)
    outer, inner = limits(x, n), limits(x, n, method=method)
    assert outer[0] <= inner[0] + 1e-12
    assert inner[1] <= outer[1] + 1e-12


@pytest.mark.parametrize("n", [5, 24])
def test_blaker_covers_everywhere(n: int) -> None:
    """Exact: at every p the outcomes whose interval holds p have at least the stated probability."""
    held = [limits(x, n, method="blaker") for x in range(n + 1)]
    for p in [i / 400 for i in range(1, 400)]:
        covered = sum(
            math.comb(n, x) * p**x * (1 - p) ** (n - x)
            for x in range(n + 1)
            if held[x][0] - 1e-12 <= p <= held[x][1] + 1e-12
        )
        assert covered >= 0.95 - 1e-12, p


def test_the_ends_of_jeffreys_are_named() -> None:
    # by hand: Beta(1/2, 3/2) and its mirror image
    assert limits(0, 1, method="jeffreys")[0] == 0
    assert limits(0, 1, method="jeffreys", ends="posterior")[0] > 0
    assert exact_proportion(0, 24, method="jeffreys")["method"].item() == "Jeffreys, closed ends"
    assert (
        exact_proportion(0, 24, method="jeffreys", ends="posterior")["method"]
        .item()
        .endswith("posterior ends")
    )


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(RequestError, match="two sides"):
        exact_proportion(1, 2, method="blaker", sided="upper")
    with pytest.raises(RequestError, match="ends must be one of closed, posterior"):
        exact_proportion(1, 2, method="jeffreys", ends="open")
    for x, n in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(TableError, match=f"found {x} of {n}"):
            exact_proportion(x, n)
    with pytest.raises(RequestError, match="Did you mean 'wilson'"):
        exact_proportion(1, 2, method="wilso")
    with pytest.raises(RequestError, match="sided must be one of two, upper, lower"):
        exact_proportion(1, 2, sided="left")
    with pytest.raises(RequestError, match="conf_level"):
        exact_proportion(1, 2, conf_level=1.0)
