"""Made-up studies written in each shape and read back give the same outcomes."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ahsct import check, derive_outcomes, find_problems, load_definition, make_study, read_study
from ahsct.outcomes import Outcomes
from ahsct.tables import Study, write_study
from ahsct.tables.redcap import redcap_shape
from ahsct.tables.registry_export import registry_shape
from ahsct.tables.sdtm_export import sdtm_shape

SEEDS = {1: (), 2: ("treatments", "adverse_events"), 3: ("relapses",)}
COMPARED = ("events", "confirmations", "time_to_event", "recurrent", "not_evaluable", "flow")
DEFINITIONS = ("atkins2016", "neda3")

START = date(2010, 3, 14)


def generated_study(seed: int, *, n: int = 14, without: tuple[str, ...] = ()) -> Study:
    """Return a checked study that depends on nothing but the seed."""
    draw = np.random.default_rng(seed)
    ids = [f"p{i:02d}" for i in range(n)]
    index = {id: START + timedelta(days=int(draw.integers(0, 900))) for id in ids}
    followed = {id: int(draw.integers(500, 2500)) for id in ids}
    dead = {id: bool(draw.random() < 0.2) for id in ids}

    def day(id: str, days: int) -> date:
        return index[id] + timedelta(days=days)

    visits, relapses, mri, drugs, events = [], [], [], [], []
    for id in ids:
        step = int(draw.integers(4, 12))
        for visit_day in [-60, -10, *range(90, followed[id], 91)]:
            step = int(np.clip(step + draw.integers(-1, 3) * (draw.random() < 0.4), 2, 18))
            tested = draw.random() < 0.8
            visits.append((id, day(id, visit_day), step / 2, round(float(draw.uniform(4, 12)), 1) if tested else None,
                           int(draw.integers(20, 60)) if tested else None, "relapse" if draw.random() < 0.1 else "scheduled"))  # fmt: skip
        # never two in a month: a registry that knows the month alone cannot tell them apart, and the check says so
        for onset in sorted(
            {60 * int(d) for d in draw.integers(-12, followed[id] // 60, draw.integers(0, 5))}
        ):
            relapses.append(
                (id, day(id, onset), "severe" if draw.random() < 0.3 else None, bool(draw.random() < 0.5))
            )
        for scan in [-30, *range(183, followed[id], 365)]:
            mri.append((id, day(id, scan), int(draw.integers(0, 3) * (draw.random() < 0.3)), int(draw.integers(0, 4) * (draw.random() < 0.3)) if draw.random() < 0.9 else None))  # fmt: skip
        drugs.append((id, "dmt", "natalizumab", day(id, -800), day(id, -90), "inefficacy"))
        if draw.random() < 0.2:
            drugs.append((id, "dmt", "ocrelizumab", day(id, 400), None, None))
        events.append((id, "fever", day(id, 5), "moderate", "not stated"))
    tables = {
        "patients": pl.DataFrame(
            {"patient_id": ids, "sex": ["F", "M"] * (n // 2), "ms_course": ["RRMS", "SPMS"] * (n // 2), "arm": ["aHSCT"] * (n // 2) + ["DMT"] * (n - n // 2),
             "index_date": list(index.values()), "birth_date": [day(id, -12000) for id in ids], "disease_onset_date": [day(id, -3000) for id in ids]}),
        "visits": pl.DataFrame(visits, schema=["patient_id", "visit_date", "edss", "t25fw_s", "sdmt", "visit_type"], orient="row"),
        "relapses": pl.DataFrame(relapses, schema=["patient_id", "onset_date", "severity", "steroid_treated"], orient="row", infer_schema_length=None),
        "mri": pl.DataFrame(mri, schema=["patient_id", "scan_date", "gd_n", "new_t2_n"], orient="row", infer_schema_length=None),
        "treatments": pl.DataFrame(drugs, schema=["patient_id", "kind", "drug", "start_date", "end_date", "reason_stopped"], orient="row", infer_schema_length=None),
        "transplants": pl.DataFrame({"patient_id": ids, "transplant_number": [1] * n, "mobilisation_start_date": [day(id, -30) for id in ids],
                                     "infusion_date": [day(id, 0) for id in ids]}),
        "adverse_events": pl.DataFrame(events, schema=["patient_id", "term", "start_date", "severity", "scale"], orient="row"),
        "follow_up": pl.DataFrame(
            {"patient_id": ids, "last_contact_date": [day(id, followed[id]) for id in ids], "vital_status": ["dead" if dead[id] else "alive" for id in ids],
             "death_date": [day(id, followed[id]) if dead[id] else None for id in ids]}),
    }  # fmt: skip
    kept = {name: frame for name, frame in tables.items() if name not in without}
    return check(make_study(f"made{seed}", data_kind="simulated", **kept))


def written(study: Study, shape: str, folder: Path) -> tuple[Path | str, str]:
    """Write a study in one shape; return where it is and of what kind."""
    if shape in ("csv", "parquet", "duckdb"):
        return write_study(study, folder / "s", file_format=shape), "auto"
    if shape == "redcap":
        frames, kind = redcap_shape(study.tables), "redcap"
    elif shape.startswith("registry"):
        frames, kind = registry_shape(study, categories=shape.endswith("categories")), "registry"
    else:
        generation = "RS" if shape == "sdtm RS" else "QS"
        frames, kind = sdtm_shape(study, generation=generation, days_only=shape == "sdtm days"), "sdtm"  # type: ignore[arg-type]
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
    (folder / "study.toml").write_text(
        f'study_id = "{study.study_id}"\ndata_kind = "simulated"\n', encoding="utf-8"
    )
    return folder, kind


def back_from(study: Study, shape: str, folder: Path) -> Study:
    place, kind = written(study, shape, folder)
    read = read_study(place, kind=kind)
    errors = find_problems(read).filter(pl.col("severity") == "error")["message"].to_list()
    assert errors == []
    lossy = read.problems.filter(
        pl.col("message").str.contains("several different|differs from|without visit|no number")
    )
    assert lossy["message"].to_list() == []
    return check(read)


def differences(before: Outcomes, after: Outcomes) -> list[str]:
    """Return the tables that differ, row numbers of the source aside."""
    found = []
    for name in COMPARED:
        one, two = getattr(before, name), getattr(after, name)
        shared = [column for column in one.columns if column not in ("sources", "source_row")]
        if not two.select(shared).sort(shared).equals(one.select(shared).sort(shared)):
            found.append(name)
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", ["csv", "parquet", "duckdb", "sdtm QS", "sdtm RS", "sdtm days", "redcap"])
def test_same_outcomes(seed: int, shape: str, tmp_path: Path) -> None:
    study = generated_study(seed, without=SEEDS[seed])
    read = back_from(study, shape, tmp_path)
    for id in DEFINITIONS:
        definition = load_definition(id)
        before, after = derive_outcomes(study, definition), derive_outcomes(read, definition)
        assert differences(before, after) == [], id
        assert before.time_to_event["is_event"].any(), "a round trip of nothing shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", ["registry", "registry categories"])
def test_a_registry_keeps_what_its_precision_allows(seed: int, shape: str, tmp_path: Path) -> None:
    study = generated_study(seed, without=SEEDS[seed])
    read = back_from(study, shape, tmp_path)
    # visits keep their day, and with them the score at each; relapses keep their month
    columns = ["patient_id", "visit_day", "edss", "t25fw_s", "sdmt"]
    assert read.table("visits", columns).equals(study.table("visits", columns))
    if study.has("relapses"):
        moved = study.table("relapses")["onset_date"].dt.truncate("1mo") == read.table("relapses")[
            "onset_date"
        ].dt.truncate("1mo")
        assert moved.all()
    lesions = read.table("mri", ["gd_n", "gd_n_min", "gd_n_max"])
    known = study.table("mri", ["gd_n"])["gd_n"]
    low = lesions.select(pl.coalesce("gd_n_min", "gd_n")).to_series()
    high = lesions.select(pl.coalesce("gd_n_max", "gd_n", pl.lit(10**6))).to_series()
    assert ((known >= low) & (known <= high)).all()


def test_a_registry_loses_nothing_but_days_of_relapses_and_drugs(tmp_path: Path) -> None:
    # without what is known by month alone, every outcome is the same; with relapses, only their days may move
    study = generated_study(5, without=("relapses", "treatments"))
    definition = load_definition("atkins2016")
    read = back_from(study, "registry", tmp_path)
    before, after = derive_outcomes(study, definition), derive_outcomes(read, definition)
    assert differences(before, after) == []
    assert before.events.height > 0


def test_relapses_by_month_move_their_events_by_16_days_at_most(tmp_path: Path) -> None:
    study = generated_study(6)
    definition = load_definition("atkins2016")
    read = back_from(study, "registry", tmp_path)
    keys = ["patient_id", "kind", "day"]
    before, after = (
        derive_outcomes(made, definition).events.filter(pl.col("kind") == "relapse").select(keys).sort(keys)
        for made in (study, read)
    )
    assert before.height == after.height > 0
    assert (before["day"] - after["day"]).abs().max() <= 16  # type: ignore[operator]
