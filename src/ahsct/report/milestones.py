"""Milestones of curves as a table: one line per estimate, its intervals side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ahsct.definitions import Definition
from ahsct.report.formats import interval, time_words
from ahsct.report.tables import (
    NOTE,
    Row,
    Table,
    counts_text,
    estimate_text,
    footnotes,
    note_parts,
    risk_text,
    text_table,
)
from ahsct.report.words import component_words, endpoint_label, estimand_label, incidence_words


def milestone_table(id: str, caption: str, rows: Sequence[Row], definition: Definition) -> Table | None:
    """Return one line per endpoint, component, way of counting, arm and time.

    The two rows of results that differ only in their interval share a line, in the order they came.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        names = ("endpoint", "component", "estimand", "arm", "subgroup", "term", "statistic", "time_years")
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    has_endpoints = len({row["endpoint"] for row in rows}) > 1
    has_components = len({row["component"] for row in rows}) > 1 or any(
        row["component"] not in ("composite", None) for row in rows
    )
    has_arms = len({row["arm"] for row in rows}) > 1
    cells, notes = footnotes([note_parts(group) for group in groups.values()])
    printed = [
        (
            ", ".join(
                [
                    *([endpoint_label(definition, group[0]["endpoint"])] if has_endpoints else []),
                    *([_of_what(group[0], definition)] if has_components else []),
                    *([time_words(group[0]["time_years"])] if group[0]["time_years"] is not None else []),
                    estimand_label(definition, group[0]["estimand"]).split(":")[0],
                ]
            ),
            group[0]["arm"] if has_arms else "",
            "; ".join(part for part in (group[0]["subgroup"], _which(group[0], definition)) if part),
            estimate_text(group[0]),
            *(_interval(group, place) for place in (0, 1)),
            counts_text(group[0]),
            risk_text(group[0]),
            note,
        )
        for group, note in zip(groups.values(), cells, strict=True)
    ]
    columns = (
        "At, counted", "Arm", "Group", "Estimate", "Interval", "Second interval",
        "Events", "At risk, censored", NOTE,
    )  # fmt: skip
    return text_table(id, caption, columns, printed, notes=notes)


def _which(row: Row, definition: Definition) -> str | None:
    is_cause = row["statistic"] == "cumulative_incidence" and row["term"]
    return incidence_words(row["term"], definition) if is_cause else row["term"]


def _of_what(row: Row, definition: Definition) -> str:
    component = row["component"] or "composite"
    what = "any event" if component == "composite" else component_words(component, definition)
    return f"free of {what}" if row["statistic"] == "survival_probability" else what


def _interval(group: Sequence[Row], place: int) -> str:
    """Return one interval with its method; further rows of a group follow the second."""
    chosen = group[place : place + 1] if place == 0 else group[1:]
    return "; ".join(f"{interval(row)}, {row['method']}" for row in chosen if not row.get("hidden"))
