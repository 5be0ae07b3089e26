"""What the published definitions of progression make of the same six patients, counted by hand.

Visits on days -60, 200, 400, 600, 800, 1000: EDSS 3.0, then 4.0 from day 400 on (walk and hands unchanged). So
the onset is day 400; day 600 confirms it after 84 and 168 days, day 800 after a year. They differ in one relapse:
"""

from typing import Any

import polars as pl
import pytest

from ahsct import make_study
from ahsct.definitions import list_definitions, load_definition
from ahsct.outcomes import derive_outcomes

RELAPSES = {
    "a": None,
    "b": 300,  # 100 days before the onset, after the last visit
    "c": 420,  # 20 days after the onset
    "d": 460,  # 60 days after it
    "f": 580,  # 20 days before day 600, which therefore confirms nothing: day 800 does
    "g": 350,  # 50 days before the onset
}
PIRA, RAW, OTHER, NONE = "PIRA", "RAW", "neither", "no event"
EXPECTED = {
    # no relapse 90 days before and 30 after onset and confirmation
    "muller2023": {"a": PIRA, "b": PIRA, "c": OTHER, "d": PIRA, "f": PIRA, "g": RAW},
    # 90 days before and 30 after the onset
    "portaccio2025": {"a": PIRA, "b": PIRA, "c": OTHER, "d": PIRA, "f": PIRA, "g": RAW},
    # from 90 days before the onset to the confirmation
    "cagol2022": {"a": PIRA, "b": PIRA, "c": OTHER, "d": OTHER, "f": OTHER, "g": RAW},
    # from the baseline to the confirmation
    "abs_pira": {"a": PIRA, "b": OTHER, "c": OTHER, "d": OTHER, "f": OTHER, "g": RAW},
    # from the baseline to 30 days after the onset, and 30 around the confirmation; b's baseline moves to day 400
    "kappos2020": {"a": PIRA, "b": NONE, "c": OTHER, "d": PIRA, "f": PIRA, "g": RAW},
    # from the last visit to the onset, and 30 days before the confirmation on day 800; b's baseline moves
    "muller2025": {"a": PIRA, "b": NONE, "c": PIRA, "d": PIRA, "f": PIRA, "g": RAW},
}


@pytest.fixture(scope="module")
def study() -> Any:
    ids = list(RELAPSES)
    days = (-60, 200, 400, 600, 800, 1000)
    visits = [(p, day, 4.0 if day >= 400 else 3.0, 5.0, 20.0, 22.0) for p in ids for day in days]
    names = ["patient_id", "visit_day", "edss", "t25fw_s", "nhpt_dom_s", "nhpt_nondom_s"]
    each = pl.DataFrame({"patient_id": ids})
    onsets = {p: day for p, day in RELAPSES.items() if day is not None}
    return make_study(
        "six",
        data_kind="simulated",
        patients=each,
        visits=pl.DataFrame(visits, schema=names, orient="row"),
        relapses=pl.DataFrame({"patient_id": list(onsets), "onset_day": list(onsets.values())}),
        transplants=each.with_columns(mobilisation_start_day=pl.lit(-40), infusion_day=pl.lit(0)),
        follow_up=each.with_columns(last_contact_day=pl.lit(1000), vital_status=pl.lit("alive")),
    )


@pytest.mark.parametrize("id", EXPECTED)
def test_what_each_definition_calls_pira(study: Any, id: str) -> None:
    table = derive_outcomes(study, load_definition(id)).time_to_event.filter(
        (pl.col("component") == "composite") & (pl.col("estimand") == "while_alive")
    )

    def with_event(endpoint: str) -> set[str]:
        own = table.filter((pl.col("endpoint") == endpoint) & pl.col("is_event"))
        assert set(own["time_day"]) <= {400}
        return set(own["patient_id"])

    worse, pira, raw = (with_event(name) for name in ("progression_free_survival", "pira", "raw"))
    found = {p: PIRA if p in pira else RAW if p in raw else OTHER if p in worse else NONE for p in RELAPSES}
    assert found == EXPECTED[id]
    assert pira | raw <= worse


@pytest.mark.parametrize("id", list_definitions())
def test_what_no_text_read_states_is_marked(id: str) -> None:
    definition = load_definition(id)
    for rule in definition.disability:
        asked = ["confirmation_tolerance_days", "improvement_threshold"]
        # (0, 0) asks for no distance, and so adds nothing to a source
        asked += [
            name
            for name in ("relapse_to_baseline_days", "relapse_to_confirmation_days")
            if getattr(rule, name) != (0, 0)
        ]
        unmarked = [name for name in asked if not definition.mark_of(f"disability.{rule.measure}.{name}")]
        assert unmarked == [], rule.measure
