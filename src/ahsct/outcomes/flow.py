"""How many patients came how far, and why the others did not: counted from the tables."""

from __future__ import annotations

import polars as pl

from ahsct.definitions import Definition
from ahsct.outcomes.time_to_event import COMPOSITE, POPULATIONS
from ahsct.outcomes.timeline import NO_ARM
from ahsct.tables import Study
from ahsct.vocabulary import FLOW, from_rows

_STEPS = {
    "enrolled": POPULATIONS["enrolled"],
    "mobilised": pl.col("is_mobilised"),
    "collected": pl.col("is_collected"),
    "conditioned": pl.col("is_conditioned"),
    "infused": pl.col("is_infused"),
    "with follow-up": pl.col("is_infused") & pl.col("has_follow_up"),
}


def derive_flow(
    study: Study,
    timeline: pl.DataFrame,
    time_to_event: pl.DataFrame,
    left: pl.DataFrame,
    definition: Definition,
) -> pl.DataFrame:
    """Return the patient flow (schema FLOW), arm by arm.

    First the patients set aside by the check of the tables, then the steps of the treatment (those of
    an arm that nobody of was mobilised are left out: it was not to be transplanted), then who is
    analysed for each endpoint and estimand. A study without a table of transplants has no steps of it.

    Parameters
    ----------
    left
        `patient_id`, `endpoint`, `estimand`, `reason`: those without a row in `time_to_event`.
    """
    rows = []
    if study.set_aside.height:
        rules = "; ".join(sorted(set(study.set_aside["rules"].drop_nulls().to_list())))
        rows.append(
            {
                "step": "checked",
                "population": "enrolled",
                "arm": NO_ARM,
                "n": timeline.height,
                "n_left_out": study.set_aside.height,
                "reason": f"set aside by the check of the tables: {rules}",
            }
        )
    arms = list(dict.fromkeys(timeline["arm"].to_list())) or [NO_ARM]
    for arm in arms:
        people = timeline.filter(pl.col("arm") == arm)
        rows += _treatment_steps(study, people, arm)
        for endpoint in definition.endpoints:
            for estimand in endpoint.estimands:
                population = definition.estimand(estimand).population
                rows.append(
                    _analysed(
                        people.filter(POPULATIONS[population]),
                        time_to_event.filter(
                            (pl.col("endpoint") == endpoint.id)
                            & (pl.col("component") == COMPOSITE)
                            & (pl.col("estimand") == estimand)
                        ),
                        left.filter((pl.col("endpoint") == endpoint.id) & (pl.col("estimand") == estimand)),
                        {
                            "step": f"analysed: {endpoint.id} ({estimand})",
                            "population": population,
                            "arm": arm,
                        },
                    )
                )
    return from_rows(rows, FLOW)


def _treatment_steps(study: Study, people: pl.DataFrame, arm: str) -> list[dict[str, object]]:
    steps = _STEPS
    if "transplants" not in study.tables or not people["is_mobilised"].any():
        steps = {"enrolled": POPULATIONS["enrolled"]}
    rows: list[dict[str, object]] = []
    before = people
    for step, passed in steps.items():
        after = before.filter(passed)
        gone = before.join(after.select("patient_id"), on="patient_id", how="anti", maintain_order="left")
        rows.append(
            {
                "step": step,
                "population": "infused" if step == "with follow-up" else step,
                "arm": arm,
                "n": after.height,
                "n_left_out": gone.height,
                "reason": _why_not(study, gone, step),
            }
        )
        before = after
    return rows


def _why_not(study: Study, gone: pl.DataFrame, step: str) -> str:
    if gone.is_empty():
        return ""
    if step == "with follow-up":
        return f"no follow_up row: {gone.height}"
    reasons = (
        study.table("patients", ["patient_id", "not_infused_reason"])
        .unique("patient_id", keep="first", maintain_order=True)
        .join(gone.select("patient_id"), on="patient_id", how="semi", maintain_order="left")
        .select(pl.col("not_infused_reason").fill_null("no reason stated"))
    )
    return _tally(reasons.to_series())


def _analysed(
    people: pl.DataFrame, table: pl.DataFrame, left: pl.DataFrame, about: dict[str, object]
) -> dict[str, object]:
    own = table.join(people.select("patient_id"), on="patient_id", how="semi", maintain_order="left")
    gone = left.join(people.select("patient_id"), on="patient_id", how="semi", maintain_order="left")
    unfit = own.filter(~pl.col("is_evaluable"))
    n = own.height - unfit.height
    reasons = pl.concat([gone["reason"], unfit["censor_reason"]])
    return {**about, "n": n, "n_left_out": people.height - n, "reason": _tally(reasons)}


def _tally(reasons: pl.Series) -> str:
    """Return "reason: count" for each reason, the most frequent first."""
    counts = reasons.rename("reason").value_counts(name="n").sort("n", "reason", descending=[True, False])
    return "; ".join(f"{reason}: {n}" for reason, n in counts.iter_rows())
