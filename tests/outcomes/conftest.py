"""Small studies and definitions, made by hand."""

from typing import Any

import polars as pl
import pytest

from ahsct.definitions import Definition, load_definition, vary
from ahsct.tables import Study, make_study
from ahsct.vocabulary import EVENTS, from_rows

EVENT = {"strategy": "composite", "handling": "event"}
IGNORE = {"strategy": "treatment_policy", "handling": "ignore"}
COMPETING = {"strategy": "while_alive", "handling": "competing"}
CENSOR = {"strategy": "hypothetical", "handling": "censor", "assumption": "as if it had not happened"}
EXCLUDE = {"strategy": "as_published_exclusion", "handling": "exclude"}
HANDLINGS = {"event": EVENT, "ignore": IGNORE, "competing": COMPETING, "censor": CENSOR, "exclude": EXCLUDE}


def rows(columns: str, *values: tuple[Any, ...]) -> pl.DataFrame:
    """`rows("patient_id day", ("a", 1))` is a table with one row."""
    names = columns.split()
    return pl.DataFrame([dict(zip(names, value, strict=True)) for value in values], infer_schema_length=None)


class Build:
    """What the tests build: studies, events and definitions of one endpoint `e` under one estimand `x`."""

    rows = staticmethod(rows)

    @staticmethod
    def study(**tables: pl.DataFrame) -> Study:
        """Infused on day 0, mobilised on day -40, alive until day 2000, EDSS 3.0 on day -60, unless told."""
        ids = tables["patients"]["patient_id"].to_list() if "patients" in tables else ["a"]
        made: dict[str, pl.DataFrame] = {
            "patients": pl.DataFrame({"patient_id": ids}, schema={"patient_id": pl.String}),
            "visits": pl.DataFrame(
                {"patient_id": ids, "visit_day": [-60] * len(ids), "edss": [3.0] * len(ids)}
            ),
            "transplants": pl.DataFrame(
                {
                    "patient_id": ids,
                    "mobilisation_start_day": [-40] * len(ids),
                    "infusion_day": [0] * len(ids),
                }
            ),
            "follow_up": pl.DataFrame(
                {
                    "patient_id": ids,
                    "last_contact_day": [2000] * len(ids),
                    "vital_status": ["alive"] * len(ids),
                }
            ),
            "relapses": rows("patient_id onset_day", ("nobody", 1)).clear(),
            "treatments": rows(
                "patient_id kind drug start_day drug_class", ("nobody", "dmt", "x", 1, "other")
            ).clear(),
        }
        made |= tables
        return make_study("hand-made", data_kind="simulated", **made)

    @staticmethod
    def visits(*days: tuple[str, int] | tuple[str, int, float], baseline: str = "a") -> pl.DataFrame:
        """EDSS 3.0 on day -60 in each patient of `baseline`, then what is given (3.0 unless told)."""
        given = [(p, d, *(rest or [3.0])) for p, d, *rest in days]
        return rows("patient_id visit_day edss", *[(p, -60, 3.0) for p in baseline], *given)

    @staticmethod
    def scans(*days: tuple[str, int]) -> pl.DataFrame:
        """Scans without lesions."""
        return rows("patient_id scan_day gd_n new_t2_n", *[(p, d, 0, 0) for p, d in days])

    @staticmethod
    def died(patient: str, day: int, cause: str = "treatment-related") -> pl.DataFrame:
        return rows(
            "patient_id last_contact_day vital_status death_day cause_class",
            (patient, day, "dead", day, cause),
        )

    @staticmethod
    def worsening(patient: str, day: int, left: int) -> dict[str, Any]:
        return {
            "patient_id": patient,
            "event_id": f"{patient}/edss_worsening/{day}",
            "kind": "disability",
            "measure": "edss",
            "direction": "worsening",
            "day": day,
            "left_day": left,
            "sources": [],
            "rule_hash": "",
        }

    @staticmethod
    def event(patient: str, kind: str, day: int, left: int | None = None) -> dict[str, Any]:
        return {
            "patient_id": patient,
            "event_id": f"{patient}/{kind}/{day}",
            "kind": kind,
            "measure": "mri" if kind == "mri_activity" else kind,
            "direction": "worsening",
            "day": day,
            "left_day": left,
            "sources": [],
            "rule_hash": "",
        }

    @staticmethod
    def events(*found: dict[str, Any]) -> pl.DataFrame:
        return from_rows(found, EVENTS)

    @staticmethod
    def definition(
        *components: str,
        missing: dict[str, Any] | None = None,
        population: str = "infused",
        window: dict[str, Any] | None = None,
        clinical: dict[str, Any] | None = None,
        **handlings: str,
    ) -> Definition:
        """One endpoint under one estimand; deaths are events and the rest is ignored, unless told."""
        chosen = {
            "treatment_death": "event",
            "other_death": "event",
            "dmt_restart": "ignore",
            "second_transplant": "ignore",
            "rescue": "ignore",
        } | handlings
        estimands = [
            {"id": "x", "label": "x", "population": population}
            | {name: HANDLINGS[handling] for name, handling in chosen.items()}
        ]
        asked = ["x"]
        if "exclude" in chosen.values():  # such an endpoint needs a companion that counts everyone
            everyone = {"id": "all", "label": "all", "population": population} | dict.fromkeys(chosen, IGNORE)
            estimands.append(everyone | {"treatment_death": EVENT, "other_death": EVENT})
            asked.append("all")
        endpoint = {
            "id": "e",
            "label": "e",
            "components": list(components),
            "estimands": asked,
            "missing": missing or {"rule": "censor_at_last_complete"},
        }
        rebaseline = {"mri": window, "clinical": clinical}
        return vary(
            load_definition("atkins2016"),
            estimands=estimands,
            endpoints=[endpoint],
            primary_endpoint="e",
            rebaseline={name: value for name, value in rebaseline.items() if value},
            marks=[],
        )


@pytest.fixture
def build() -> type[Build]:
    return Build
