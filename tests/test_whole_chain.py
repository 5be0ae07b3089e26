"""Odd studies through the whole chain: a clear message or a correct result, and the same bytes twice."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pytest

from ahsct import analyse, load_example, make_study, published_numbers, write_report
from ahsct.errors import AhsctError
from ahsct.tables import Study, check, write_study

PEOPLE = ["a", "b", "c", "d"]
DAYS = [-60, 30, 100, 190, 280, 370, 550, 730, 915, 1090, 1280, 1500]


def tables(
    *, worse: Mapping[str, int] | None = None, dead: Mapping[str, int] | None = None, last: int = 1500
) -> dict[str, pl.DataFrame]:
    """Four patients seen on DAYS at EDSS 4.0; `worse` from a day on at 6.0; `dead` on a day, of the treatment."""
    worse, dead = worse or {}, dead or {}
    end = {p: min(dead.get(p, last), last) for p in PEOPLE}
    seen = [(p, day) for p in PEOPLE for day in DAYS if day <= end[p]]
    each = pl.DataFrame({"patient_id": PEOPLE})
    return {
        "patients": each.with_columns(arm=pl.lit("aHSCT")),
        "visits": pl.DataFrame(
            [(p, day, 6.0 if day >= worse.get(p, 10**6) else 4.0) for p, day in seen],
            schema=["patient_id", "visit_day", "edss"],
            orient="row",
        ),
        "relapses": pl.DataFrame({"patient_id": ["a"], "onset_day": [-200]}),
        "mri": pl.DataFrame(
            [(p, day, 0, 0) for p, day in seen], schema=["patient_id", "scan_day", "gd_n", "new_t2_n"], orient="row"
        ),
        "transplants": each.with_columns(mobilisation_start_day=pl.lit(-50), infusion_day=pl.lit(0)),
        "follow_up": pl.DataFrame(
            [(p, end[p], "dead" if p in dead else "alive", dead.get(p), "treatment-related" if p in dead else None) for p in PEOPLE],
            schema={"patient_id": pl.String, "last_contact_day": pl.Int64, "vital_status": pl.String, "death_day": pl.Int64,
                    "cause_class": pl.String},
            orient="row",
        ),
    }  # fmt: skip


def headline(study: Study, estimand: str = "everyone_counted") -> tuple[float | None, int, int] | None:
    """Return (estimate, patients, events) of activity-free survival at 3 years; None where there is no row."""
    rows = analyse(study).estimates.results.filter(
        pl.col("endpoint") == "activity_free_survival",
        pl.col("component") == "composite",
        pl.col("estimand") == estimand,
        pl.col("statistic") == "survival_probability",
        (pl.col("time_years") - 3).abs() < 0.01,
    )
    found = set(rows.select("estimate", "n", "n_events").rows())
    assert len(found) <= 1
    return found.pop() if found else None


def made(**parts: pl.DataFrame) -> Study:
    return make_study("made", data_kind="simulated", **parts)


@pytest.mark.parametrize(
    ("worse", "dead", "expected"),
    [
        ({}, {}, (1.0, 4, 0)),  # no event
        ({"a": 190}, {}, (0.75, 4, 1)),
        (dict.fromkeys(PEOPLE, 370), {}, (0.0, 4, 4)),  # all events at once
        ({}, {"a": 10}, (0.75, 4, 1)),  # a death is an event
        ({"b": 190}, {"a": 300}, (0.5, 4, 2)),
        ({}, dict.fromkeys(PEOPLE, 10), (0.0, 4, 4)),  # everyone dead by day 10
        ({"a": 1500}, {}, (1.0, 4, 0)),  # seen once, at the last visit: unconfirmed, and after 3 years
    ],
)
def test_headline_by_hand(
    worse: dict[str, int], dead: dict[str, int], expected: tuple[float, int, int]
) -> None:
    assert headline(made(**tables(worse=worse, dead=dead))) == expected


def test_the_death_leaves_the_published_way_of_counting() -> None:
    study = made(**tables(worse={"b": 190}, dead={"a": 300}))
    estimate, n, events = headline(study, "as_published") or (None, 0, 0)
    assert (estimate, n, events) == (pytest.approx(2 / 3), 3, 1)


def test_censored_before_the_milestone_is_not_extrapolated() -> None:
    assert headline(made(**tables(last=730))) == (None, 4, 0)


@pytest.mark.parametrize("left_out", ["relapses", "mri", "transplants", "follow_up"])
def test_a_missing_table_makes_the_composite_not_evaluable(left_out: str) -> None:
    parts = tables()
    del parts[left_out]
    study = made(**parts)
    assert headline(study) is None
    lacking = analyse(study).outcomes.not_evaluable
    assert "activity_free_survival" in lacking["endpoint"].to_list()


def test_one_patient_and_none() -> None:
    parts = tables(worse={"a": 190})
    alone = {name: frame.filter(pl.col("patient_id") == "a") for name, frame in parts.items()}
    assert headline(made(**alone)) == (0.0, 1, 1)
    nobody = {name: frame.clear() for name, frame in parts.items()}
    assert headline(made(**nobody)) is None


def test_the_order_of_rows_and_patients_changes_nothing() -> None:
    parts = tables(worse={"b": 190}, dead={"a": 300})
    turned = {name: frame.reverse() for name, frame in parts.items()}
    assert headline(made(**parts)) == headline(made(**turned))


def test_a_spoilt_patient_is_refused_or_set_aside_and_counted() -> None:
    parts = tables(worse={"b": 190})
    parts["visits"] = parts["visits"].with_columns(
        edss=pl.when(pl.col("patient_id") == "d").then(pl.lit(0.5)).otherwise("edss")
    )
    study = made(**parts)
    with pytest.raises(AhsctError, match="edss"):
        analyse(study)
    kept = check(study, set_aside=True)
    assert headline(kept) == (pytest.approx(2 / 3), 3, 1)
    flow = analyse(kept).outcomes.flow
    assert (flow["step"][0], flow["n_left_out"][0]) == ("checked", 1)


def test_two_arms_followed_from_different_starts_are_refused() -> None:
    parts = tables()
    parts["patients"] = parts["patients"].with_columns(
        arm=pl.Series(["x", "x", "y", "y"]),
        time_zero_kind=pl.Series(["infusion"] * 2 + ["randomisation"] * 2),
    )
    with pytest.raises(AhsctError, match="time zero"):
        analyse(made(**parts))


def test_names_with_markup_and_formulas_stay_text(tmp_path: Path) -> None:
    parts = tables(worse={"a": 190})
    parts["patients"] = parts["patients"].with_columns(arm=pl.lit("<script>alert(1)</script>"))
    for name, frame in parts.items():
        parts[name] = frame.with_columns(pl.col("patient_id").replace("a", "=cmd()"))
    folder = write_report(analyse(made(**parts)), tmp_path / "report")
    assert "<script>" not in (folder / "index.html").read_text(encoding="utf-8")
    assert "'=cmd()" in (folder / "time_to_event.csv").read_text(encoding="utf-8")
    assert "\n=cmd()" not in (folder / "time_to_event.csv").read_text(encoding="utf-8")


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_twice_gives_the_same_bytes_and_the_source_keeps_its_own(tmp_path: Path) -> None:
    source = write_study(load_example("atkins2016"), tmp_path / "study")
    before = hashes(source)
    from ahsct import read_study

    folders = []
    for name in ("one", "two"):
        analysis = analyse(read_study(source), "atkins2016")
        folders.append(write_report(analysis, tmp_path / name, published=published_numbers("atkins2016")))
    one, two = (hashes(folder) for folder in folders)
    assert one.pop("provenance.json") != ""
    two.pop("provenance.json")
    assert one == two
    assert hashes(source) == before
    dates = [json.loads((folder / "provenance.json").read_text(encoding="utf-8")) for folder in folders]
    differing = {key for key in dates[0] if dates[0][key] != dates[1][key]}
    assert len(differing) <= 1, differing  # the one date
