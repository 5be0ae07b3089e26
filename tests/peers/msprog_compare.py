"""Our events in the form of the peer's results, for the cases of `msprog_cases`."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from tests.peers.msprog_cases import call_arguments, case, digest

from ahsct.definitions import DisabilityRule, vary
from ahsct.outcomes import derive_disability, disability_rule_from_msprog

COLUMNS = {"edss": "edss", "nhpt": "nhpt_dom_s", "t25fw": "t25fw_s", "sdmt": "sdmt", "custom": "score"}


def rule_of(given: dict[str, Any]) -> DisabilityRule:
    """Return the converted rule."""
    return disability_rule_from_msprog(value_col="score", **call_arguments(given))


def as_peer(rule: DisabilityRule) -> DisabilityRule:
    """Return the rule with the peer's two habits that ours leaves out: see defects 7 and 16."""
    return vary(rule, plateau="repeated", search="together")


def tables_of(made: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a case's visits and relapses."""
    patients, column = made["patients"], COLUMNS[made["arguments"]["outcome"]]
    visits = pl.DataFrame(
        [[p["id"], *row] for p in patients for row in p["visits"]],
        schema={"patient_id": pl.String, "visit_day": pl.Int64, column: pl.Float64, "other": pl.Float64,
                "can_confirm": pl.Boolean},
        orient="row",
    )  # fmt: skip
    relapses = pl.DataFrame(
        [[p["id"], day] for p in patients for day in p["relapses"]],
        schema={"patient_id": pl.String, "onset_day": pl.Int64},
        orient="row",
    )
    return visits, relapses


def our_events(made: dict[str, Any], rule: DisabilityRule) -> dict[str, list[dict[str, Any]]]:
    """Return each patient's events, named and typed as the peer's."""
    given = made["arguments"]
    labels = given["event"] in ("firstPIRA", "firstRAW") or (
        given["event"] != "firstCDI" and given["RAW_PIRA"]
    )
    visits, relapses = tables_of(made)
    found = derive_disability(visits, relapses, rule=rule)
    confirmed: dict[str, list[dict[str, Any]]] = {}
    for row in found.confirmations.iter_rows(named=True):
        confirmed.setdefault(row["event_id"], []).append(row)
    values = dict(
        zip(visits.select("patient_id", "visit_day").rows(), visits[COLUMNS[given["outcome"]]], strict=True)
    )
    answer: dict[str, list[dict[str, Any]]] = {p["id"]: [] for p in made["patients"]}
    days = given["conf_days"] if isinstance(given["conf_days"], list) else [given["conf_days"]]
    names = {int(day): day for day in days}
    for row in found.events.iter_rows(named=True):
        is_worse = row["direction"] == "worsening"
        event: dict[str, Any] = {
            "event_type": "CDW" if is_worse else "CDI", "date": row["day"], "value": row["value_after"],
            "bl_date": row["baseline_day"], "bl_value": row["value_before"], "sust_days": row["sustained_days"],
            "sust_last": float(row["is_sustained_to_end"]),
        }  # fmt: skip
        if labels:
            event["CDW_type"] = row["label"] if is_worse else ""
        for c in confirmed.get(row["event_id"], []):
            name = names[c["period_days"]]
            event |= {f"conf{name}_date": c["day"], f"conf{name}_value": c["value"]}
            if (
                labels
                and given["event"] != "firstRAW"
                and row["label"] == "PIRA"
                and c["relapse_free_day"] is not None
            ):
                free = c["relapse_free_day"]
                event |= {
                    f"PIRA_conf{name}_date": free,
                    f"PIRA_conf{name}_value": values[row["patient_id"], free],
                }
        answer[row["patient_id"]].append(event)
    return answer


def compare(recorded: Path) -> Iterator[tuple[dict[str, Any], str, Any, Any, Any]]:
    """Yield arguments, patient, the peer's events (None where it stops), ours with its habits, and ours."""
    for line in gzip.decompress(recorded.read_bytes()).splitlines():
        record = json.loads(line)
        made = case(record["seed"], record["n_patients"])
        assert digest(made) == record["digest"], "the made-up patients are not those recorded"
        rule = rule_of(made["arguments"])
        like, sound = our_events(made, as_peer(rule)), our_events(made, rule)
        for patient, theirs in record["found"].items():
            yield made["arguments"], patient, theirs, like[patient], sound[patient]


def may_repeat(given: dict[str, Any]) -> bool:
    """Tell whether defect 7 or 16 can touch such a call: an event that leaves the baseline where it was, and is not the last."""
    is_wanted_kind = given["event"] in ("firstPIRA", "firstRAW", "multiple")
    is_held_up = not given["check_intermediate"]
    return given["baseline"] != "roving" and (is_wanted_kind or is_held_up)


def check(recorded: Path, *, at_least: int) -> None:
    """Assert that ours are the peer's events, and count."""
    n = n_stopped = n_events = n_repeated = 0
    for given, patient, theirs, like, sound in compare(recorded):
        n += 1
        if theirs is None:
            n_stopped += 1  # defect 1
            continue
        assert like == theirs, (given, patient)
        if not may_repeat(given):
            assert sound == theirs, (given, patient)
        n_events += len(theirs)
        n_repeated += sound != theirs
    print(
        f"{n} patients: {n_events} events equal; the peer stops on {n_stopped}, repeats a plateau in {n_repeated}"
    )
    assert n >= at_least
    assert n_events > 0.5 * n
    assert 0 < n_repeated < 0.15 * n
    assert n_stopped < 0.08 * n  # whole calls go wrong, not single patients
