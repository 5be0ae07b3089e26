"""Two proportions, and pairs: R, Newcombe's printed examples, properties, empty cells, impossible input."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import RequestError, TableError
from ahsct.estimates import mcnemar, proportion_difference, proportion_ratio
from ahsct.vocabulary import RESULTS

R_ROWS = pl.read_csv(
    Path(__file__).parents[1] / "reference" / "proportion_comparisons.csv",
    infer_schema_length=None,
    null_values="NA",
)
COUNTS = st.tuples(st.integers(1, 60), st.floats(0, 1)).map(lambda pair: (round(pair[0] * pair[1]), pair[0]))


def limits(frame: pl.DataFrame) -> tuple[float, float]:
    return frame.select("lower", "upper").row(0)


def ours(row: dict[str, object]) -> dict[str, object]:
    level, cells = row["conf_level"], [row[name] for name in "abcd"]
    if str(row["statistic"]).startswith("paired"):
        frame = mcnemar(*cells[:3], conf_level=level)  # type: ignore[arg-type]
    else:
        function = {"proportion_difference": proportion_difference, "proportion_ratio": proportion_ratio}
        frame = function[str(row["statistic"])](
            *cells,
            method=row["method"],
            conf_level=level,
            with_p_value=True,  # type: ignore[arg-type]
        )
    return frame.filter(pl.col("statistic") == row["statistic"]).row(0, named=True)


def test_agrees_with_r() -> None:
    assert R_ROWS.height == 168
    for row in R_ROWS.iter_rows(named=True):
        found = ours(row)
        for name in ("estimate", "lower", "upper", "p_value"):
            if row[name] is None:
                assert found[name] is None, (name, row)
            else:
                assert found[name] == pytest.approx(row[name], rel=1e-10, abs=1e-12), (name, row)


@pytest.mark.parametrize(
    ("cells", "mee", "miettinen_nurminen", "newcombe"),
    [  # Newcombe 1998, table II, methods 5, 6 and 10
        ((56, 70, 48, 80), (0.0533, 0.3377), (0.0528, 0.3382), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1821, 0.8370), (0.1700, 0.8406), (0.1705, 0.8090)),
        ((10, 10, 0, 10), (0.6777, 1.0), (0.6636, 1.0), (0.6075, 1.0)),
    ],
)
def test_newcombe_examples(
    cells: tuple[int, int, int, int],
    mee: tuple[float, float],
    miettinen_nurminen: tuple[float, float],
    newcombe: tuple[float, float],
) -> None:
    for method, expected in (
        ("mee", mee),
        ("miettinen-nurminen", miettinen_nurminen),
        ("newcombe", newcombe),
    ):
        assert limits(proportion_difference(*cells, method=method)) == pytest.approx(expected, abs=5.1e-5)


@given(group=COUNTS, reference=COUNTS, method=st.sampled_from(["miettinen-nurminen", "mee", "newcombe"]))
def test_swapping_the_groups_turns_the_sign(
    group: tuple[int, int], reference: tuple[int, int], method: str
) -> None:
    frame = proportion_difference(*group, *reference, method=method)
    lower, upper = limits(frame)
    assert -1 <= lower <= frame["estimate"].item() <= upper <= 1
    back = limits(proportion_difference(*reference, *group, method=method))
    assert back == pytest.approx((-upper, -lower), abs=1e-9)


@given(group=COUNTS, reference=COUNTS)
def test_swapping_the_groups_inverts_the_ratio(group: tuple[int, int], reference: tuple[int, int]) -> None:
    there, back = proportion_ratio(*group, *reference), proportion_ratio(*reference, *group)
    if group[0] and reference[0]:
        (lower, upper), (low, high) = limits(there), limits(back)
        assert (1 / upper, 1 / lower) == pytest.approx((low, high), rel=1e-9)
        assert lower <= there["estimate"].item() <= upper
    elif not reference[0]:
        assert there["upper"].item() is None
        assert "no event" in there["note"].item()


def test_pairs_without_change_and_with_change_one_way() -> None:
    difference, ratio = mcnemar(0, 0, 1).iter_rows(named=True)
    assert (difference["estimate"], ratio["estimate"], ratio["lower"], ratio["p_value"]) == (
        0,
        None,
        None,
        1.0,
    )
    assert ratio["note"] == "nobody changed"
    _, ratio = mcnemar(5, 0, 5).iter_rows(named=True)
    # by hand: (1/2)^5 twice; lower limit of p is 0.025^(1/5)
    p = 0.025 ** (1 / 5)
    assert (ratio["p_value"], ratio["upper"]) == (pytest.approx(2 / 32, rel=1e-12), None)
    assert ratio["lower"] == pytest.approx(p / (1 - p), rel=1e-10)


def test_rows_are_complete() -> None:
    for frame in (proportion_difference(1, 2, 0, 3), proportion_ratio(1, 2, 0, 3), mcnemar(1, 0, 3)):
        assert frame.schema == RESULTS
    row = proportion_difference(1, 2, 0, 3).row(0, named=True)
    assert (row["n"], row["n_events"], row["note"]) == (5, 1, "1 of 2 against 0 of 3")


def test_impossible_requests_are_refused() -> None:
    for cells in ((0, 0, 1, 2), (1, 2, 3, 2), (-1, 2, 1, 2)):
        for function in (proportion_difference, proportion_ratio):
            with pytest.raises(TableError, match="found"):
                function(*cells)
    with pytest.raises(RequestError, match="Did you mean 'newcombe'"):
        proportion_difference(1, 2, 1, 2, method="newcomb")
    with pytest.raises(RequestError, match="conf_level"):
        proportion_ratio(1, 2, 1, 2, conf_level=1)
    for pairs in ((1, 2, 2), (0, 0, 0), (-1, 2, 5)):
        with pytest.raises(TableError, match="Pairs need"):
            mcnemar(*pairs)
