"""Values by visit under each strategy of ICH E9(R1), worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from ahsct.definitions.composite import Estimand, Handling
from ahsct.errors import DefinitionError, RequestError, TableError
from ahsct.estimates.estimand_values import values_under
from ahsct.estimates.imputation import imputed_difference

IGNORE = Handling(strategy="treatment_policy", handling="ignore")
FAIL = Handling(strategy="composite", handling="event")
ALIVE = Handling(strategy="while_alive", handling="competing")
IMPUTE = Handling(strategy="hypothetical", handling="censor", assumption="as those who did not restart")
OUT = Handling(strategy="as_published_exclusion", handling="exclude")

VALUES = pl.DataFrame(
    {
        "patient_id": ["a", "a", "a", "b", "b", "b", "c", "c", "c"],
        "day": [0, 180, 360] * 3,
        "number": [4.0, 3.5, None, 5.0, 5.5, 6.0, 2.0, None, 2.0],
    }
)
EVENTS = pl.DataFrame(
    {"patient_id": ["a", "b", "b"], "event": ["other_death", "dmt_restart", "rescue"], "day": [200, 180, 90]}
)


def estimand(**handlings: Handling) -> Estimand:
    plain: dict[str, Any] = {
        "treatment_death": FAIL,
        "other_death": FAIL,
        "dmt_restart": IGNORE,
        "second_transplant": IGNORE,
        "rescue": IGNORE,
    }
    return Estimand(id="test", label="test", population="infused", **plain | handlings)


def handled(chosen: Estimand, **settings: Any) -> list[tuple[str, int, float | None, str]]:
    return (
        values_under(VALUES, EVENTS, estimand=chosen, **settings)
        .select("patient_id", "day", "number", "handled")
        .rows()
    )


def test_composite_and_treatment_policy() -> None:
    assert handled(estimand(), failure_value=10) == [
        ("a", 0, 4.0, "as observed"),
        ("a", 180, 3.5, "as observed"),
        ("a", 360, 10.0, "other_death: failure"),
        ("b", 0, 5.0, "as observed"),
        ("b", 180, 5.5, "rescue: ignored"),
        ("b", 360, 6.0, "rescue: ignored"),
        ("c", 0, 2.0, "as observed"),
        ("c", 180, None, "missing"),
        ("c", 360, 2.0, "as observed"),
    ]


def test_hypothetical_makes_later_values_missing() -> None:
    rows = handled(estimand(dmt_restart=IMPUTE), failure_value=10)
    assert rows[3:6] == [
        ("b", 0, 5.0, "as observed"),
        ("b", 180, 5.5, "as observed"),  # the day of the restart comes before it
        ("b", 360, None, "dmt_restart: to be imputed"),
    ]


def test_while_alive_ends_and_exclusion_leaves_out() -> None:
    rows = handled(estimand(treatment_death=ALIVE, other_death=ALIVE, rescue=OUT))
    assert rows[:2] == [("a", 0, 4.0, "as observed"), ("a", 180, 3.5, "as observed")]
    assert [row[0] for row in rows] == ["a", "a", "c", "c", "c"]


def test_the_chain_from_estimand_to_imputation() -> None:
    """Values after a restart under a hypothetical strategy are imputed; under treatment policy they are not."""
    rng = np.random.default_rng(9)
    n = 30
    values = pl.DataFrame(
        {
            "patient_id": np.repeat([f"p{i:02d}" for i in range(n)], 2),
            "arm": np.repeat(["control", "transplant"], n),
            "visit": [1.0, 2.0] * n,
            "day": [180, 360] * n,
            "number": rng.normal(size=2 * n),
        }
    )
    restarts = pl.DataFrame({"patient_id": ["p20", "p21"], "event": ["dmt_restart"] * 2, "day": [200, 100]})
    policy = values_under(values, restarts, estimand=estimand())
    assumed = values_under(values, restarts, estimand=estimand(dmt_restart=IMPUTE))
    settings: dict[str, Any] = {"unit": "EDSS", "assumption": "jump_to_reference", "n_imputations": 20}
    first = imputed_difference(policy, **settings).row(0, named=True)
    second = imputed_difference(assumed, **settings).row(0, named=True)
    assert first["note"].startswith("0 of 30 values imputed")
    assert second["note"].startswith("2 of 30 values imputed")
    assert (first["mc_error"], second["mc_error"] > 0) == (pytest.approx(0, abs=1e-12), True)


def test_refusals() -> None:
    with pytest.raises(RequestError, match="state `failure_value`"):
        handled(estimand())
    with pytest.raises(DefinitionError, match="principal_stratum is refused"):
        Handling(strategy="principal_stratum", handling="ignore")
    wrong = EVENTS.with_columns(event=pl.lit("restart"))
    with pytest.raises(RequestError, match="No intercurrent event 'restart'"):
        values_under(VALUES, wrong, estimand=estimand(), failure_value=10)
    with pytest.raises(TableError, match="1 rows of `values` lack"):
        values_under(
            VALUES.with_columns(day=pl.when(pl.int_range(pl.len()) > 0).then("day")),
            EVENTS,
            estimand=estimand(),
            failure_value=10,
        )
    nothing = values_under(VALUES, EVENTS.clear(), estimand=estimand())
    assert nothing.drop("handled").equals(VALUES)
