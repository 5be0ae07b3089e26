"""Bands of the EDSS at visits: patients built by hand, and the model they are made for."""

import polars as pl
import pytest

from ahsct.errors import RequestError
from ahsct.estimates import panel_markov
from ahsct.outcomes.edss_panel import ALIVE, DEAD, derive_edss_panel, edss_bands
from ahsct.studies import load_example
from ahsct.tables import make_study

LOW, MIDDLE, HIGH = edss_bands([3.5, 6])


def test_by_hand() -> None:
    visits = [("a", -90, 2.0), ("a", -10, 4.0), ("a", 100, 3.0), ("a", 300, 6.5), ("b", -20, 4.0), ("c", 50, 1.0),
              ("d", -5, 7.0), ("d", 40, 7.0)]  # fmt: skip
    patients = pl.DataFrame({"patient_id": list("abcd")})
    study = make_study(
        "bands",
        data_kind="simulated",
        patients=patients,
        visits=pl.DataFrame(visits, schema=["patient_id", "visit_day", "edss"], orient="row"),
        transplants=patients.with_columns(infusion_day=pl.lit(0)),
        follow_up=patients.with_columns(
            last_contact_day=pl.Series([500, 60, 50, 40]),
            vital_status=pl.Series(["alive", "dead", "alive", "dead"]),
            death_day=pl.Series([None, 60, None, 40]),
        ),
    )
    assert derive_edss_panel(study).rows() == [
        ("a", 0, MIDDLE), ("a", 100, LOW), ("a", 300, HIGH), ("a", 500, ALIVE),
        ("b", 0, MIDDLE), ("b", 60, DEAD),  # dead before the first visit
        ("c", 50, LOW),  # last contact is the visit
        ("d", 0, HIGH), ("d", 40, DEAD),  # dead on the day of a visit
    ]  # fmt: skip


def test_the_example_study_fits() -> None:
    seen = derive_edss_panel(load_example(), cuts=[4])
    low, high = edss_bands([4])
    rows = panel_markov(
        seen, states=[low, high, DEAD], transitions=[(low, high), (high, low), (high, DEAD)], death=DEAD, alive=ALIVE
    )  # fmt: skip
    assert seen["patient_id"].n_unique() == 24
    assert rows["estimate"].null_count() == 0 or "cannot tell" in rows["note"][0]


def test_cuts_must_rise() -> None:
    with pytest.raises(RequestError, match="must rise"):
        edss_bands([6, 3])
