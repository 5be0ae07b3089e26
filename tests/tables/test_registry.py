"""Registry tables: months, categories, what is missing; the 2016 study through them and back."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ahsct import check, derive_outcomes, find_problems, load_definition, load_example, read_study
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


def test_categories_presence_and_missing(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "mri.csv").write_text(
        "patient_id,scan_date,t1_gd,new_t2\n" + "".join(f"1,2010-0{i}-01,{gd},{t2}\n" for i, (gd, t2) in enumerate(
            [("0", "1-2"), ("1-2", "9+"), ("9+", "none"), ("present", ""), ("none", "present"), ("", "4")], 1)),
        encoding="utf-8",
    )  # fmt: skip
    mri = read_study(folder, kind="registry").table(
        "mri", ["gd_n", "gd_n_min", "gd_n_max", "new_t2_n", "new_t2_n_min", "new_t2_n_max"]
    )
    assert mri.rows() == [
        (0, 0, 0, None, 1, 2),
        (None, 1, 2, None, 9, None),
        (None, 9, None, 0, None, None),
        (None, 1, None, None, None, None),
        (0, None, None, None, 1, None),
        (None, None, None, 4, 4, 4),
    ]
