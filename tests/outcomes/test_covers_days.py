"""Patients with and without an event are followed alike when one component is assessed for longer than another."""

import polars as pl
import pytest

from ahsct import analyse, load_definition, make_study
from ahsct.definitions import vary

LAST_CONTACT = 1800
SCANS = [100, 365, 730]


def study(relapses: dict[str, int], n: int = 10) -> object:
    """Scans stop at day 730, visits and contact go on to day 1800."""
    people = [f"p{i}" for i in range(n)]
    each = pl.DataFrame({"patient_id": people})
    return make_study(
        "scans stop",
        data_kind="simulated",
        patients=each,
        visits=pl.DataFrame(
            [(p, day, 4.0) for p in people for day in (-60, *range(90, LAST_CONTACT + 1, 90))],
            schema=["patient_id", "visit_day", "edss"],
            orient="row",
        ),
        mri=pl.DataFrame(
            [(p, day, 0, 0) for p in people for day in SCANS],
            schema=["patient_id", "scan_day", "gd_n", "new_t2_n"],
            orient="row",
        ),
        relapses=pl.DataFrame(
            {"patient_id": list(relapses), "onset_day": list(relapses.values())},
            schema={"patient_id": pl.String, "onset_day": pl.Int64},
        ),
        transplants=each.with_columns(mobilisation_start_day=pl.lit(-50), infusion_day=pl.lit(0)),
        follow_up=each.with_columns(last_contact_day=pl.lit(LAST_CONTACT), vital_status=pl.lit("alive")),
    )


def composite(relapses: dict[str, int], covers_days: int | None) -> dict[str, tuple[int, bool]]:
    definition = vary(
        load_definition("atkins2016"), endpoints__activity_free_survival__missing__covers_days=covers_days
    )
    rows = analyse(study(relapses), definition).outcomes.time_to_event.filter(  # type: ignore[arg-type]
        pl.col("endpoint") == "activity_free_survival",
        pl.col("component") == "composite",
        pl.col("estimand") == "everyone_counted",
    )
    return {p: (day, event) for p, day, event in rows.select("patient_id", "time_day", "is_event").rows()}


@pytest.mark.parametrize(
    ("onset", "time", "is_event"), [(700, 700, True), (1130, 1130, True), (1131, 1130, False)]
)
def test_an_event_counts_as_long_as_the_last_scan_speaks(onset: int, time: int, is_event: bool) -> None:
    found = composite({"p0": onset}, 400)
    assert found["p0"] == (time, is_event)
    # 730 + 400: those without an event stay at risk exactly as long
    assert {found[f"p{i}"] for i in range(1, 10)} == {(1130, False)}


def test_nobody_is_followed_beyond_the_last_contact() -> None:
    assert set(composite({}, 5000).values()) == {(LAST_CONTACT, False)}


def test_every_shipped_definition_states_it() -> None:
    for id in ("atkins2016", "halt2017", "mist2019", "neda3"):
        for endpoint in load_definition(id).endpoints:
            assert endpoint.missing.covers_days == 400
