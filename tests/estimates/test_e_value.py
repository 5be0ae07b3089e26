"""E-values of ratios from three data sets against R, on each side of 1 and for rare and common outcomes."""

from pathlib import Path

import polars as pl
import pytest

from ahsct.estimates import e_value

ROWS = pl.read_csv(Path(__file__).parents[1] / "reference" / "e_value.csv").to_dicts()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['name']} {row['common']}")
def test_agrees_with_r(row: dict[str, object]) -> None:
    found = e_value(
        float(str(row["estimate"])), lower=float(str(row["lower"])), upper=float(str(row["upper"])),
        measure=str(row["measure"]), is_common=str(row["common"]).upper() == "TRUE",
    )  # fmt: skip
    assert found["term"].to_list() == ["estimate", "limit nearest to 1"]
    assert found["estimate"].to_list() == pytest.approx([row["e_estimate"], row["e_limit"]], rel=1e-10)
