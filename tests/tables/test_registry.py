"""Registry tables: months, categories, what is missing; the 2016 study through them and back."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from ahsct import (
    check,
    derive_outcomes,
    find_problems,
    load_definition,
    load_example,
    make_study,
    read_study,
)
from ahsct.tables.registry_export import registry_shape


@pytest.mark.parametrize("categories", [False, True])
def test_round_trip_but_for_what_a_month_and_a_category_lose(tmp_path: Path, categories: bool) -> None:
    study = check(load_example("atkins2016"))
    folder = tmp_path / "registry"
    folder.mkdir()
    for name, frame in registry_shape(study, categories=categories).items():
        frame.write_csv(folder / f"{name}.csv")
    (folder / "study.toml").write_text(
        'study_id = "atkins2016"\ndata_kind = "reconstructed"\n', encoding="utf-8"
    )
    read = read_study(folder, kind="registry")
    assert find_problems(read).filter(pl.col("severity") == "error").is_empty()
    assert any("partial date, completed to the middle day" in message for message in read.problems["message"])
    definition = load_definition("atkins2016")
    before, after = derive_outcomes(study, definition), derive_outcomes(check(read), definition)
    assert after.time_to_event.equals(before.time_to_event)
    keys = ["patient_id", "event_id", "kind", "measure", "direction", "day", "label", "mri_activity"]
    assert after.events.select(keys).sort(keys).equals(before.events.select(keys).sort(keys))
    # relapses keep their month: no day moves by more than 16 days, and none is lost
    moved = pl.Series(
        study.table("relapses")["onset_day"].sort() - read.table("relapses")["onset_day"].sort()
    ).abs()
    assert moved.max() <= 16  # type: ignore[operator]
    assert (moved > 0).any()
    lesions = read.table("mri", ["gd_n", "gd_n_min", "gd_n_max"])
    known = study.table("mri", ["gd_n"])["gd_n"]
    if categories:
        counted = known.drop_nulls() > 0
        assert lesions.filter(known.is_not_null())["gd_n"].filter(counted).null_count() == counted.sum()
        inside = lesions.select(
            pl.lit(known).is_between(pl.col("gd_n_min"), pl.col("gd_n_max").fill_null(10**6))
        ).to_series()
        assert inside.drop_nulls().all()
    else:
        assert lesions["gd_n"].equals(known)


_LESIONS = ["gd_n", "new_t2_n", "enlarging_t2_n"]


@pytest.mark.parametrize(
    ("cell", "n", "low", "high"),
    [
        ("0", 0, 0, 0), ("4", 4, 4, 4), ("1-2", None, 1, 2), (" 3 - 8", None, 3, 8), ("3–8", None, 3, 8),
        ("9+", None, 9, None), ("none", 0, None, None), ("Present", None, 1, None), ("", None, None, None),
        ("0.0", 0, 0, 0), ("2.0", 2, 2, 2), ("10", 10, 10, 10),
    ],
)  # fmt: skip
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_lesions_by_hand(
    cell: str, n: int | None, low: int | None, high: int | None, file_format: str, tmp_path: Path
) -> None:
    frame = pl.DataFrame({"patient_id": ["1"], "scan_date": ["2010-01-01"]} | {name: [cell] for name in ("t1_gd", "new_t2", "enlarging_t2")})  # fmt: skip
    if file_format == "parquet":  # numbers come typed
        typed = [frame[name].cast(pl.Float64, strict=False) for name in frame.columns[2:]]
        is_number = typed[0].null_count() == 0 or not cell
        (frame.with_columns(typed) if is_number else frame).write_parquet(tmp_path / "mri.parquet")
    else:
        frame.write_csv(tmp_path / "mri.csv")
    columns = [f"{name}{end}" for name in _LESIONS for end in ("", "_min", "_max")]
    assert read_study(tmp_path, kind="registry").table("mri", columns).row(0) == (n, low, high) * 3


@pytest.mark.parametrize("word", ["?", "2.5", "many", ">9"])
def test_a_word_that_is_no_count_is_named(word: str, tmp_path: Path) -> None:
    (tmp_path / "mri.csv").write_text(
        f"patient_id,scan_date,t1_gd,new_t2,enlarging_t2\n1,2010-01-01,{word},{word},{word}\n",
        encoding="utf-8",
    )
    problems = find_problems(read_study(tmp_path, kind="registry")).filter(pl.col("rule") == "wrong_type")
    assert problems.select("column", "value").rows() == [(f"{name}_min", word) for name in sorted(_LESIONS)]


@pytest.mark.parametrize("definition", ["beatms", "starms"])
def test_nothing_that_decides_an_outcome_is_lost(definition: str, tmp_path: Path) -> None:
    # three patients: every second visit may not confirm; day 0 is the randomisation
    days = range(-90, 1500, 90)
    study = check(
        make_study(
            "r",
            data_kind="simulated",
            patients=pl.DataFrame(
                {"patient_id": ["1", "2", "3"], "arm": ["HSCT", "DMT", "DMT"], "ms_course": ["RRMS"] * 3,
                 "time_zero_kind": ["randomisation"] * 3, "randomisation_date": ["2010-01-01"] * 3, "index_date": ["2010-01-01"] * 3,
                 "itt": [True] * 3, "safety": [True, True, False]}),
            visits=pl.DataFrame(
                [(id, str(date(2010, 1, 1) + timedelta(days=day)), 2.0 if day == 540 else 3.0 + 1.5 * (day >= 450) * (id != "3"), day % 180 != 0,
                  "scheduled" if day % 180 else "unscheduled") for id in "123" for day in days],
                schema=["patient_id", "visit_date", "edss", "can_confirm", "visit_type"], orient="row"),
            mri=pl.DataFrame(
                [(id, f"201{year}-01-05", "2010-01-05" if year else None, 0, year % 2, 0 if year else None) for id in "123" for year in range(4)],
                schema=["patient_id", "scan_date", "reference_scan_date", "gd_n", "new_t2_n", "enlarging_t2_n"], orient="row"),
            follow_up=pl.DataFrame({"patient_id": ["1", "2", "3"], "last_contact_date": ["2014-03-01"] * 3, "vital_status": ["alive"] * 3}),
        )
    )  # fmt: skip
    for name, frame in registry_shape(study).items():
        frame.write_csv(tmp_path / f"{name}.csv")
    back = check(read_study(tmp_path, kind="registry"))
    rules = load_definition(definition)
    before, after = derive_outcomes(study, rules), derive_outcomes(back, rules)
    assert after.time_to_event.equals(before.time_to_event)
    assert after.events.drop("sources").equals(before.events.drop("sources"))
    assert before.time_to_event["is_event"].any()
    assert before.events.filter(pl.col("kind") == "disability").height > 0
    for table, frame in study.tables.items():
        kept = [name for name in frame.columns if name != "row"]
        assert back.table(table, kept).equals(frame.select(kept)), table


def test_typed_columns_are_read_like_text(tmp_path: Path) -> None:
    plain, typed = tmp_path / "plain", tmp_path / "typed"
    plain.mkdir()
    typed.mkdir()
    for name, frame in registry_shape(check(load_example("atkins2016"))).items():
        frame.write_csv(plain / f"{name}.csv")
        full = pl.read_csv(plain / f"{name}.csv", try_parse_dates=True, infer_schema_length=None)
        full.with_columns(pl.col("patient_id").cast(pl.String)).write_parquet(typed / f"{name}.parquet")
    one, two = (read_study(folder, kind="registry") for folder in (plain, typed))
    for name, frame in one.tables.items():
        shared = [column for column in frame.columns if column in two.tables[name].columns]
        assert set(frame.columns) == set(shared), name
        assert two.tables[name].select(shared).equals(frame.select(shared)), name
