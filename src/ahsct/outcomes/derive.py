"""All outcomes of a study under one definition."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ahsct.definitions import Definition
from ahsct.tables import Study
from ahsct.vocabulary import (
    CANDIDATES,
    CONFIRMATIONS,
    EVENTS,
    FLOW,
    NOT_EVALUABLE,
    PATIENT_VALUES,
    RECURRENT,
    TIME_TO_EVENT,
    empty,
)


@dataclass(frozen=True)
class Outcomes:
    """What happened to each patient: each field a table whose schema bears its name."""

    events: pl.DataFrame
    confirmations: pl.DataFrame
    candidates: pl.DataFrame
    time_to_event: pl.DataFrame
    recurrent: pl.DataFrame
    patient_values: pl.DataFrame
    not_evaluable: pl.DataFrame
    flow: pl.DataFrame


def derive_outcomes(study: Study, definition: Definition) -> Outcomes:
    """Return every outcome that the study's tables allow; what they lack is said in `not_evaluable`."""
    return Outcomes(
        events=empty(EVENTS),
        confirmations=empty(CONFIRMATIONS),
        candidates=empty(CANDIDATES),
        time_to_event=empty(TIME_TO_EVENT),
        recurrent=empty(RECURRENT),
        patient_values=empty(PATIENT_VALUES),
        not_evaluable=empty(NOT_EVALUABLE),
        flow=empty(FLOW),
    )
