"""Who is counted: the patients of one arm, its survivors, and small helpers for rows about them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from ahsct.definitions import Definition
from ahsct.estimates.proportions import exact_proportion
from ahsct.estimates.rows import result, results_frame, stamp
from ahsct.outcomes import Outcomes
from ahsct.tables import Study


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm as the rows of results see it.

    `population` is "infused" and `patients` are those infused; an arm in which nobody was infused is
    counted whole, as "enrolled". `survivors` are those of `patients` last seen alive. The tables hold
    the rows of the arm: `values` those of `patients` (`topics`: the same by topic), `time_to_event`
    everybody's.
    """

    name: str
    population: str
    patients: tuple[str, ...]
    survivors: tuple[str, ...]
    values: pl.DataFrame
    topics: Mapping[str, pl.DataFrame]
    time_to_event: pl.DataFrame
    events: pl.DataFrame
    not_evaluable: pl.DataFrame
    study: Study
    definition: Definition

    def topic(self, topic: str, term: str | None = None, period: str | None = None) -> pl.DataFrame:
        """Return the patients' values of one topic (and term, and period)."""
        frame = self.topics.get(topic, self.values.clear())
        if term is not None:
            frame = frame.filter(pl.col("term") == term)
        return frame if period is None else frame.filter(pl.col("period") == period)

    def endpoint(self, endpoint: str, population: str | None = None) -> pl.DataFrame:
        """Return the rows of one built-in endpoint (in one population)."""
        frame = self.time_to_event.filter(pl.col("endpoint") == endpoint)
        return frame if population is None else frame.filter(pl.col("population") == population)

    def n_lacking(self, endpoint: str) -> int:
        """Return how many of the patients are listed as not evaluable for something."""
        listed = self.not_evaluable.filter(pl.col("endpoint") == endpoint)
        return len(set(listed["patient_id"].drop_nulls().to_list()) & set(self.patients))

    def row(self, *, statistic: str, unit: str, n: int, **columns: Any) -> dict[str, Any]:
        """Return one row that only counts or describes; labelled with arm and population."""
        columns = {"method": "counted", "population": self.population, "arm": self.name, **columns}
        return result(statistic=statistic, unit=unit, n=n, **columns)

    def proportion(self, n_events: int, n: int, **columns: Any) -> pl.DataFrame:
        """Return a proportion with its exact interval, labelled; nothing where nobody can be counted."""
        if n == 0:
            return results_frame([])
        labels = {"population": self.population, "arm": self.name, **columns}
        return stamp(exact_proportion(n_events, n, conf_level=self.definition.conf_level), **labels)


def derive_arms(study: Study, outcomes: Outcomes, definition: Definition) -> list[Arm]:
    """Return the arms in the order of their names.

    Infused are those with a row of overall survival, which every infused patient has.
    """
    names = sorted(
        set(outcomes.patient_values["arm"].to_list()) | set(outcomes.time_to_event["arm"].to_list())
    )
    arms = []
    for name in names:
        time_to_event = outcomes.time_to_event.filter(pl.col("arm") == name)
        values = outcomes.patient_values.filter(pl.col("arm") == name)
        infused = set(time_to_event.filter(pl.col("endpoint") == "overall_survival")["patient_id"].to_list())
        everyone = set(values["patient_id"].to_list()) | set(time_to_event["patient_id"].to_list())
        patients = infused or everyone
        values = values.filter(pl.col("patient_id").is_in(sorted(patients)))
        alive = values.filter((pl.col("topic") == "follow_up") & (pl.col("value") == "alive"))
        arms.append(
            Arm(
                name=name,
                population="infused" if infused else "enrolled",
                patients=tuple(sorted(patients)),
                survivors=tuple(sorted(set(alive["patient_id"].to_list()))),
                values=values,
                topics={
                    str(key[0]): rows for key, rows in values.partition_by("topic", as_dict=True).items()
                },
                time_to_event=time_to_event,
                events=outcomes.events.filter(pl.col("patient_id").is_in(sorted(patients))),
                not_evaluable=outcomes.not_evaluable,
                study=study,
                definition=definition,
            )
        )
    return arms


def add_note(results: pl.DataFrame, text: str) -> pl.DataFrame:
    """Return the results with a text added at the end of each note."""
    return results.with_columns(
        pl.concat_str(pl.col("note"), pl.lit(text), separator="; ", ignore_nulls=True).alias("note")
    )


def of(frame: pl.DataFrame, patients: Collection[str]) -> pl.DataFrame:
    """Return the rows of these patients."""
    return frame.filter(pl.col("patient_id").is_in(list(patients)))


def number_sum(values: Iterable[float | None]) -> float:
    """Return the sum of the known numbers, the same whatever their order."""
    return float(np.sort(np.array([value for value in values if value is not None], dtype=float)).sum())


def describe(arm: Arm, frame: pl.DataFrame, n_asked: int, **columns: Any) -> list[dict[str, Any]]:
    """Return median, minimum and maximum of `number`, one row each; none where nobody has a number."""
    known = np.sort(frame["number"].drop_nulls().to_numpy())
    if known.size == 0:
        return []
    found = {"median": np.median(known), "minimum": known[0], "maximum": known[-1]}
    return [
        arm.row(
            statistic=statistic,
            n=known.size,
            n_not_evaluable=n_asked - known.size,
            estimate=value,
            **columns,
        )
        for statistic, value in found.items()
    ]
