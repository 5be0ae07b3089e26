"""Each patient's course after transplantation as stays in states, for multi-state estimates."""

from __future__ import annotations

from typing import Any, NamedTuple

import polars as pl

from ahsct.definitions import Definition
from ahsct.errors import RequestError
from ahsct.outcomes.derive import Outcomes
from ahsct.outcomes.intercurrent import DEATHS, intercurrent_days
from ahsct.outcomes.timeline import derive_timeline
from ahsct.tables import Study
from ahsct.vocabulary import NOT_EVALUABLE, TRANSITIONS, from_rows

STAY_STATES = ("transplanted", "engrafted", "active", "restarted", "dead")


class Stays(NamedTuple):
    """`transitions` (schema TRANSITIONS), `states` in order, and `not_evaluable`: who is left out, and why."""

    transitions: pl.DataFrame
    states: tuple[str, ...]
    not_evaluable: pl.DataFrame


def derive_stays(study: Study, outcomes: Outcomes, definition: Definition) -> Stays:
    """Return transplanted, engrafted, active, restarted, dead: a patient moves to a later state only.

    Days count from the infusion. *Engrafted*: neutrophils, by the definition's rule; where the study can say it of
    nobody the state is left out. *Active*: the first event of a component of the primary endpoint, on the day of
    detection, under the first estimand that counts deaths as events. *Restarted*: the first drug of kind `dmt` (no
    rescue) after time zero. *Dead*: whatever the cause. Activity after a restart, and engraftment after activity, are
    no states of their own. Of two on one day the later state counts.

    A patient without activity is lost from sight at the last complete assessment (from then on the state is not known)
    unless death follows within the gap that the endpoint allows; one who was active or restarted, at the last contact.

    Raises
    ------
    RequestError
        No estimand of the primary endpoint counts every death as an event.
    """
    estimand = _estimand(definition)
    timeline = derive_timeline(study, definition).filter("is_infused").drop_nulls("time_zero_day")
    endpoint = definition.endpoint(definition.primary_endpoint)
    rows = outcomes.time_to_event.filter(pl.col("component") == "composite")
    composite = rows.filter((pl.col("endpoint") == endpoint.id) & (pl.col("estimand") == estimand))
    engraftment = rows.filter(pl.col("endpoint") == "neutrophil_engraftment")
    has_engraftment = bool((engraftment["is_evaluable"] & (engraftment["cause"] == "engrafted")).any())
    people = timeline.select(
        "patient_id",
        "arm",
        _offset=pl.col("time_zero_day") - pl.col("infusion_day"),
        _last=pl.col("last_contact_day") - pl.col("infusion_day"),
        _dead=pl.col("death_day") - pl.col("infusion_day"),
    )
    people = people.join(
        composite.select(
            "patient_id",
            _evaluable="is_evaluable",
            _day="time_day",
            _active=(pl.col("is_event") & pl.col("cause").is_in(endpoint.components)).fill_null(False),
            _reason="censor_reason",
        ),
        on="patient_id",
        how="left",
        maintain_order="left",
    ).join(
        engraftment.select(
            "patient_id",
            _counted="is_evaluable",
            _engrafted=pl.when(pl.col("cause") == "engrafted").then("time_day"),
        ),
        on="patient_id",
        how="left",
        maintain_order="left",
    )
    restarts = intercurrent_days(study, timeline).select("patient_id", _restart="dmt_restart")
    people = people.join(restarts, on="patient_id", how="left", maintain_order="left")
    stays: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    for person in people.iter_rows(named=True):
        if reason := _why_not(person, has_engraftment):
            left_out.append(
                {
                    "patient_id": person["patient_id"],
                    "endpoint": "course",
                    "definition": definition.id,
                    "reason": reason,
                }
            )
        else:
            stays += _stays(person)
    states = STAY_STATES if has_engraftment else tuple(s for s in STAY_STATES if s != "engrafted")
    return Stays(from_rows(stays, TRANSITIONS), states, from_rows(left_out, NOT_EVALUABLE))


def _stays(person: dict[str, Any]) -> list[dict[str, Any]]:
    offset = person["_offset"]
    entered = {
        "engrafted": person["_engrafted"],
        "active": person["_day"] + offset if person["_active"] else None,
        "restarted": None if person["_restart"] is None else person["_restart"] + offset,
        "dead": person["_dead"],
    }
    known = {STAY_STATES.index(name): day for name, day in entered.items() if day is not None}
    now, since, stays = 0, 0, []
    for day, state in sorted((day, -state) for state, day in known.items()):
        if -state <= now or day < since:
            continue
        end = person["_day"] + offset
        if now < 2 and -state == 4 and not person["_active"] and day > end:
            break  # dead long after the last complete assessment: active before or not, nobody knows
        if day > since or now == 0:
            stays.append(_stay(person, now, -state, since, day))
        now, since = -state, day
    last = person["_last"] if now >= 2 else max(since, person["_day"] + offset)
    if now < 4 and last is not None and (last > since or not stays):
        stays.append(_stay(person, now, None, since, last))
    return stays


def _stay(person: dict[str, Any], origin: int, target: int | None, start: int, stop: int) -> dict[str, Any]:
    return {
        "patient_id": person["patient_id"],
        "arm": person["arm"],
        "from_state": STAY_STATES[origin],
        "to_state": None if target is None else STAY_STATES[target],
        "start_day": start,
        "stop_day": stop,
    }


def _why_not(person: dict[str, Any], has_engraftment: bool) -> str | None:
    if not person["_evaluable"]:
        return str(person["_reason"] or "the primary endpoint is not evaluable")
    if has_engraftment and not person["_counted"]:
        return "neutrophil engraftment is not evaluable"
    return None


def _estimand(definition: Definition) -> str:
    for id in definition.endpoint(definition.primary_endpoint).estimands:
        if all(definition.estimand(id).handling(death).handling == "event" for death in DEATHS):
            return id
    raise RequestError(
        f"derive_stays needs an estimand of {definition.primary_endpoint} under which every death is an event; "
        f"{definition.id} has none. Add one (strategy composite, handling event)."
    )
