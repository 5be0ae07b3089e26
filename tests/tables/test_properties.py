"""What must hold for every study: the order of rows tells nothing, and no table breaks the rules."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ahsct.tables import find_problems, make_study
from ahsct.tables.numbers import patient_numbers
from ahsct.vocabulary import INPUT_TABLES, PROBLEMS, columns

THREE = Path(__file__).parent / "three"
TABLES = {name: pl.read_csv(THREE / f"{name}.csv", infer_schema=False) for name in INPUT_TABLES}
BROKEN = TABLES | {
    "visits": TABLES["visits"].with_columns(edss=pl.Series(["0.5", "x", "", "11", "NaN", "2.0", "1.5"])),
    "mri": pl.concat([TABLES["mri"], TABLES["mri"][:1]]),
    "relapses": TABLES["relapses"].with_columns(patient_id=pl.Series(["P1", "P9"])),
}
CELLS = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "P1", "P2", "2004-01-01", "2004", "1/2/2004", "NaN", "inf", "-1", "0.5", "yes", "fatal"]),
    st.text(max_size=5),
)  # fmt: skip


def without_rows(problems: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(problems.drop("row").rows(), key=repr)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_order_of_rows_changes_only_row_numbers(rng: object) -> None:
    shuffled = {
        name: frame.sample(fraction=1.0, shuffle=True, seed=rng.randrange(2**31))  # type: ignore[attr-defined]
        for name, frame in BROKEN.items()
    }
    plain = find_problems(make_study("x", data_kind="simulated", **BROKEN))
    assert {"edss_off_scale", "wrong_type", "nan_is_missing", "duplicate_key", "unknown_patient"} <= set(
        plain["rule"]
    )
    assert without_rows(find_problems(make_study("x", data_kind="simulated", **shuffled))) == without_rows(
        plain
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_text_gives_problems_and_never_an_exception(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(INPUT_TABLES))
    names = data.draw(
        st.lists(st.sampled_from([*columns(name), "row", "other"]), unique=True, min_size=1, max_size=6)
    )
    n = data.draw(st.integers(0, 4))
    table = pl.DataFrame(
        {column: data.draw(st.lists(CELLS, min_size=n, max_size=n)) for column in names},
        schema=dict.fromkeys(names, pl.String),
    )
    study = make_study("x", data_kind="simulated", **(TABLES | {name: table}))
    problems = find_problems(study)
    assert problems.schema == PROBLEMS
    assert study.tables[name].height == n
    assert problems["severity"].is_in(["error", "warning"]).all()


@given(st.lists(st.sampled_from(["a", "b", "c", None])), st.permutations(["a", "b"]))
def test_patient_numbers_are_places(ids: list[str | None], known: list[str]) -> None:
    found = patient_numbers(pl.Series(ids, dtype=pl.String), pl.Series(known)).to_list()
    assert found == [known.index(one) if one in known else None for one in ids]
