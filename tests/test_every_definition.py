"""Every shipped definition answers, or says why it cannot, on the 2016 study and on one with every measure."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from ahsct import analyse, load_example, make_study, write_report
from ahsct.definitions import list_definitions, load_definition
from ahsct.tables import check

SHIPPED = [
    "abs_pira", "atkins2016", "beatms", "cagol2022", "halt2017", "kalincik2015", "kappos2020", "mist2019", "msbase",
    "muller2023", "muller2025", "neda3", "neda4", "portaccio2025", "ramms", "starms",
]  # fmt: skip
# what the 2016 study lacks
NOT_THERE = {
    "beatms": "no day of randomisation (time zero)",
    "mist2019": "no day of randomisation (time zero)",
    "ramms": "no day of randomisation (time zero)",
    "starms": "no day of randomisation (time zero)",
    "kappos2020": "the study's visits have no t25fw_s",
}


def relapsing_study() -> Any:
    """Eight relapsing patients with every measure at half-yearly visits for four years; one dies."""
    rng = np.random.default_rng(7)
    ids = [f"p{i:02d}" for i in range(8)]
    visits, scans, volumes, relapses = [], [], [], []
    for p in ids:
        edss, walk, hand, sdmt, volume = 3.0, 5.0, 20.0, 50.0, 0.0
        last = 1000 if p == "p07" else 1470
        onsets = [int(day) for day in rng.integers(-700, last, rng.poisson(4))]
        relapses += [(p, day) for day in onsets if not -120 < day < 0]  # none too near the baseline visit
        for day in (-60, *range(183, last, 183)):
            visits.append((p, day, edss, walk, hand, hand + 2, sdmt))
            edss = min(9.0, max(0.0, edss + 0.5 * rng.integers(-1, 3)))
            walk, hand = walk * rng.uniform(0.95, 1.15), hand * rng.uniform(0.97, 1.08)
            sdmt = max(5.0, sdmt + float(rng.integers(-4, 4)))
        days = [day for day in (-40, 91, 183, 548, 913, 1278) if day < last]
        for day, before in zip(days, [None, *days], strict=False):
            counted = (1, None, None) if before is None else tuple(int(n) for n in rng.poisson(0.1, 3))
            scans.append((p, day, *counted, before))
            volumes.append((p, day, "PBVC", volume, -40))
            volume -= float(rng.uniform(0.0, 0.6))
    each = pl.DataFrame({"patient_id": ids})
    steps = {
        "mobilisation_start_day": -30,
        "apheresis_day": -20,
        "conditioning_start_day": -7,
        "infusion_day": 0,
    }

    def table(rows: list[Any], columns: str) -> pl.DataFrame:
        return pl.DataFrame(rows, schema=columns.split(), orient="row", infer_schema_length=None)

    is_dead = pl.col("patient_id") == "p07"
    return make_study(
        "relapsing",
        data_kind="simulated",
        patients=each.with_columns(
            sex=pl.lit("F"), ms_course=pl.lit("RRMS"), age_at_index_years=pl.lit(48.0),
            randomisation_day=pl.lit(-45), prior_dmt_n=pl.lit(2),
        ),
        visits=table(visits, "patient_id visit_day edss t25fw_s nhpt_dom_s nhpt_nondom_s sdmt"),
        relapses=table(relapses, "patient_id onset_day").unique(maintain_order=True),
        mri=table(scans, "patient_id scan_day gd_n new_t2_n enlarging_t2_n reference_scan_day"),
        brain_volume=table(volumes, "patient_id scan_day measure value reference_scan_day"),
        transplants=each.with_columns(**{name: pl.lit(day) for name, day in steps.items()}),
        treatments=table([("p01", "dmt", "x", 900)], "patient_id kind drug start_day"),
        follow_up=each.with_columns(
            last_contact_day=pl.when(is_dead).then(1000).otherwise(1470),
            vital_status=pl.when(is_dead).then(pl.lit("dead")).otherwise(pl.lit("alive")),
            death_day=pl.when(is_dead).then(1000),
            cause_class=pl.when(is_dead).then(pl.lit("ms")),
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def studies() -> dict[str, Any]:
    return {"2016": check(load_example("atkins2016")), "relapsing": check(relapsing_study())}


def test_these_are_all() -> None:
    assert list_definitions() == SHIPPED


@pytest.mark.parametrize("id", SHIPPED)
def test_the_2016_study_is_answered_or_the_reason_is_given(studies: dict[str, Any], id: str) -> None:
    analysis = analyse(studies["2016"], id)
    own = analysis.definition.primary_endpoint
    rows = analysis.estimates.results.filter(pl.col("endpoint") == own)
    reasons = analysis.outcomes.not_evaluable.filter(
        (pl.col("endpoint") == own) & pl.col("patient_id").is_null()
    )["reason"].to_list()
    assert rows.is_empty() == (id in NOT_THERE)
    assert reasons == ([NOT_THERE[id]] if id in NOT_THERE else [])


@pytest.mark.parametrize("id", SHIPPED)
def test_a_study_with_every_measure_is_answered(studies: dict[str, Any], id: str) -> None:
    analysis = analyse(studies["relapsing"], id)
    definition = analysis.definition
    table = analysis.outcomes.time_to_event
    for endpoint in definition.endpoints:
        for estimand in endpoint.estimands:
            own = table.filter(
                (pl.col("endpoint") == endpoint.id)
                & (pl.col("estimand") == estimand)
                & (pl.col("component") == "composite")
            )
            assert own.height == 8, endpoint.id
            assert own["is_evaluable"].all(), own.filter(~pl.col("is_evaluable"))["censor_reason"][0]
            assert (own["left_day"] <= own["time_day"]).all()
            assert own.filter("is_event")["cause"].null_count() == 0
            assert own.filter(pl.col("is_event") & (pl.col("left_day") > pl.col("right_day"))).is_empty()
            # which came first adds up
            counts = analysis.estimates.results.filter(
                (pl.col("endpoint") == endpoint.id)
                & (pl.col("estimand") == estimand)
                & (pl.col("statistic") == "n_first_event")
            )
            if counts.height:
                assert counts["n_events"].sum() == own["is_event"].sum(), endpoint.id


@pytest.mark.parametrize("id", ["kappos2020", "neda4"])
def test_the_page_of_a_new_kind_of_endpoint(studies: dict[str, Any], id: str, tmp_path: Path) -> None:
    write_report(analyse(studies["relapsing"], id), tmp_path / "report")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    expected = {
        "kappos2020": [
            "progression of EDSS, walk or hands independent",
            "(PIRA)",
            "recalled from memory",
            "any event",
        ],
        "neda4": [
            "loss of brain volume",
            "more than 0.4 % a year",
            "What came first",
            "death from another cause",
        ],
    }
    for words in expected[id]:
        assert words in page, words


@pytest.mark.parametrize("id", SHIPPED)
def test_what_no_source_says_is_marked(id: str) -> None:
    """Every choice on missing assessments is ours, and so marked; a recalled endpoint is never shown as read."""
    definition = load_definition(id)
    for endpoint in definition.endpoints:
        assert endpoint.missing.covers_days == 400
        mark = definition.mark_of(f"endpoints.{endpoint.id}.missing")
        assert mark is not None, endpoint.id
        assert mark.mark == "assumed"
    for rule in (
        definition.disability if id not in ("atkins2016", "halt2017", "mist2019", "neda3", "neda4") else ()
    ):
        path = f"disability.{rule.measure}"
        if rule.measure == "edss":  # no EDSS step stands in a text that was read
            assert definition.mark_of(f"{path}.worsening_threshold") is not None
        assert definition.mark_of(f"{path}.confirmation_tolerance_days") is not None
