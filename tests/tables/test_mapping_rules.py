"""Mappings: rules on rows (drop everywhere, derive, tell), order, fall-back, units, and flags of completed dates."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ahsct.errors import DefinitionError, SourceError
from ahsct.tables.mapped import Mapped, apply_mapping
from ahsct.tables.mapping import load_mapping
from ahsct.tables.partial_dates import complete_dates


def mapped(sources: dict[str, dict[str, list[Any]]], *tables: dict[str, Any], **more: Any) -> Mapped:
    known = {"schema": 1, "id": "test", "title": "test", "seen": "source", "tables": list(tables)}
    return apply_mapping({name: pl.DataFrame(columns) for name, columns in sources.items()}, load_mapping(known | more))  # fmt: skip


def said(made: Mapped) -> list[tuple[Any, ...]]:
    return made.log.filter(~pl.col("what").str.contains("not mapped")).rows()


def ids(**more: Any) -> dict[str, Any]:
    return {"table": "patients", "source": "P", "columns": {"patient_id": "id"}} | more


def test_a_person_is_dropped_from_every_table() -> None:
    sources = {"P": {"id": ["a", "b"], "arm": ["x", "out"]}, "V": {"ID": ["a", "b", "b"], "DAY": [1, 2, 3]}}
    visits = {"table": "visits", "source": "V", "columns": {"patient_id": "id", "visit_day": "DAY"}}
    rule = {"source": "P", "where": "arm = 'out'", "why": "left", "everywhere": "id"}
    made = mapped(sources, ids(), visits, drop=[rule])
    assert made.tables["patients"].rows() == [("a",)]
    assert made.tables["visits"].rows() == [("a", 1)]
    assert said(made) == [("P", None, "rows dropped", 1, "left"), ("V", None, "rows dropped", 2, "left")]
    nobody = mapped(sources, ids(), visits, drop=[rule | {"where": "arm = 'none'"}])
    assert nobody.tables["visits"].height == 3
    assert said(nobody) == []


def test_a_derived_column_serves_others_and_is_told_of() -> None:
    sources = {"P": {"id": ["a", "b", "c"], "arm": ["x", "y", "y"]}}
    made = mapped(
        sources, ids(columns={"patient_id": "id", "arm": "KIND"}),
        derive=[{"source": "p", "column": "KIND", "value": "CASE WHEN arm = 'x' THEN 'one' ELSE 'guessed' END"}],
        tell=[{"source": "P", "where": "KIND = 'guessed'", "why": "guessed", "listed": "arm"}, {"source": "P", "where": "arm = 'z'", "why": "none"}],
    )  # fmt: skip
    assert made.tables["patients"]["arm"].to_list() == ["one", "guessed", "guessed"]
    assert made.log.rows() == [("P", None, "guessed", 2, "y 2")]


def test_a_table_that_is_only_told_of_is_mapped() -> None:
    sources = {"P": {"id": ["a"]}, "Q": {"x": [1, 2]}}
    made = mapped(sources, ids(), tell=[{"source": "Q", "where": "TRUE", "why": "read for something"}])
    assert made.log.rows() == [("Q", None, "read for something", 2, None)]


def test_first_and_last_follow_the_order_that_is_named() -> None:
    sources = {"P": {"id": ["a", "a", "a"], "arm": ["late", "early", None], "d": ["2003", "2001", "2000"]}}
    columns = {"patient_id": "id", "arm": {"value": "arm", "pick": "last"}, "site": {"value": "arm"}}
    table = ids(columns=columns, group_by=["patient_id"])
    assert mapped(sources, table | {"order_by": ["d"]}).tables["patients"].rows() == [("a", "late", "early")]
    assert mapped(sources, table).tables["patients"].rows() == [("a", "early", "late")]


def test_rows_that_no_column_asks_for_are_named_whatever_the_order() -> None:
    # sorted by date, the third row comes first; it is the one that no column asks for
    sources = {
        "P": {"id": ["a", "b", "c"], "arm": ["x", "x", "y"], "d": ["3", "2", "1"], "TESTCD": ["A", "B", "C"]}
    }
    columns = {"patient_id": "id", "site": {"value": "arm", "where": "arm = 'x'"}}
    made = mapped(sources, ids(columns=columns, group_by=["patient_id"], order_by=["d"]))
    assert ("P", None, "rows not mapped", 1, "TESTCD: C 1") in made.log.rows()


def test_a_fallback_is_used_only_where_nothing_else_made_the_table() -> None:
    sources = {"P": {"id": ["a"]}, "Q": {"id": ["b", "c"]}}
    spare = ids(source="Q", fallback=True)
    made = mapped(sources, ids(), spare)
    assert made.tables["patients"].rows() == [("a",)]
    assert said(made) == [("Q", None, "rows left out, because patients has rows from elsewhere", 2, None)]
    assert mapped({"Q": sources["Q"]}, ids(), spare).tables["patients"].height == 2


def test_a_flag_stays_with_its_date() -> None:
    birth = {"value": "d", "date": "iso", "partial": "middle"}
    table = {"group_by": ["patient_id"], "merge_on": ["patient_id"], "columns": {"patient_id": "id", "birth_date": birth}}  # fmt: skip
    # gathered: the first of two dates is whole, then the first is partial
    one = mapped({"P": {"id": ["a", "a", "b", "b"], "d": ["1970-01-02", "1971", "1970-02", "1971-01-01"]}}, ids(**table))  # fmt: skip
    assert one.tables["patients"].rows() == [("a", "1970-01-02", None), ("b", "1970-02-15", "D")]
    # side by side: what stands first keeps its own flag, or that it has none
    two = mapped(
        {"P": {"id": ["a", "b"], "d": ["1970-01-02", None]}, "Q": {"id": ["a", "b"], "d": ["1971", "1972"]}},
        ids(**table), ids(**table) | {"source": "Q"},
    )  # fmt: skip
    assert two.tables["patients"].rows() == [("a", "1970-01-02", None), ("b", "1972-07-01", "M")]


def test_what_is_always_less_precise_bears_its_flag() -> None:
    columns = {"patient_id": "id", "diagnosis_day": {"value": "-365 * y", "imputed": "M"}}
    made = mapped({"P": {"id": ["a", "b"], "y": [2, None]}}, ids(columns=columns))
    assert made.tables["patients"].rows() == [("a", -730, "M"), ("b", None, None)]


def test_units_need_no_case_and_text_numbers_are_converted_too() -> None:
    volume = {"value": "v", "unit": "u", "units": {"mL": 1.0, "mm3": 0.001}}
    table = {"table": "mri", "source": "P", "columns": {"patient_id": "id", "t2_volume_ml": volume}}
    sources = {"P": {"id": ["a"] * 5, "v": ["8200", "7", "x", "3", ""], "u": ["MM3", "ml", "mm3", None, None]}}  # fmt: skip
    made = mapped(sources, table)
    assert made.tables["mri"]["t2_volume_ml"].to_list() == ["8.2", "7.0", "x", "3", None]
    assert ("P", "t2_volume_ml", "no unit given, taken as mL", 1, None) in said(made)


def test_slips_in_the_new_rules_are_named() -> None:
    with pytest.raises(DefinitionError, match="everywhre"):
        mapped({}, ids(), drop=[{"source": "P", "where": "TRUE", "why": "x", "everywhre": "id"}])
    with pytest.raises(SourceError, match="there is no column 'arn'"):
        mapped({"P": {"id": ["a"]}}, ids(), tell=[{"source": "P", "where": "arn = 1", "why": "x"}])


DATES = st.dates(date(1990, 1, 1), date(2010, 12, 31)).map(str)
PARTIAL = st.tuples(DATES, st.sampled_from([4, 7, 10])).map(lambda pair: pair[0][: pair[1]])


@given(PARTIAL, st.none() | PARTIAL, st.none() | PARTIAL, st.sampled_from(["first", "middle", "last"]))
def test_a_completed_date_never_leaves_its_period(
    text: str, low: str | None, high: str | None, how: Any
) -> None:
    bounds = [pl.Series([bound], dtype=pl.String) for bound in (low, high)]
    made = complete_dates(pl.Series([text]), how, not_before=[bounds[0]], not_after=[bounds[1]])
    assert made.dates[0].startswith(text)
    assert date.fromisoformat(made.dates[0])
    flag = None if made.flags is None else made.flags[0]
    assert flag == {4: "M", 7: "D", 10: None}[len(text)]
    alone = complete_dates(pl.Series([text]), how).dates[0]
    assert made.dates[0] == alone or made.n_moved == 1


def test_a_day_of_an_unknown_month_is_a_year() -> None:
    made = complete_dates(pl.Series(["2003---15", "2003-", "2003-02-30", "soon"]), "middle")
    assert made.dates.to_list() == ["2003-07-01", "2003-07-01", "2003-02-30", "soon"]
