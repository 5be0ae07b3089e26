"""What a question's page holds: two sentences, forest panels, tables, and the pools as results. Drawn in `report`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from ahsct.estimates.rows import results_frame
from ahsct.evidence.entries import Entry
from ahsct.evidence.pooling import BAYES, Pool, own_interval

Unit = Literal["percent", "ratio", "percent change", "percent a year"]
Role = Literal["pooled in", "shown", "memory", "published", "pool", "prediction", "own"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a forest plot, in the panel's unit (probabilities stay 0 to 1 where it is percent).

    `role`: "pooled in" a pool, "shown" beside it, "memory" (recalled, grey), "published" (a meta-analysis of others),
    "pool", "prediction" (where a new study would lie), "own" (the reader's study).
    """

    label: str
    estimate: float | None
    lower: float | None
    upper: float | None
    role: Role
    conf_level: float | None = 0.95
    counts: str = ""
    weight: float = 0.0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One forest plot."""

    id: str
    title: str
    unit: Unit
    lines: tuple[Line, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Point:
    """One dot of a scatter: `x` and `y` as shares of 1, its class, and whether it has an interval."""

    label: str
    x: float
    y: float
    size: float
    group: str
    is_solid: bool


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Two shares against each other, one dot per group of patients."""

    id: str
    title: str
    x_name: str
    y_name: str
    points: tuple[Point, ...]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A table of texts, ready to print."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one question; `results` has the schema RESULTS, `notes` what the reader must know besides."""

    number: int
    title: str
    question: str
    sentences: tuple[str, str]
    panels: tuple[Panel, ...]
    scatters: tuple[Scatter, ...]
    sheets: tuple[Sheet, ...]
    results: pl.DataFrame
    notes: tuple[str, ...]


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a share as "69.6 %", or "not known"."""
    return "not known" if value is None else f"{100 * value:.{decimals}f} %"


def with_limits(
    estimate: float | None, lower: float | None, upper: float | None, *, decimals: int = 1
) -> str:
    """Return "69.6 % (46.6 to 84.2)".

    Examples
    --------
    >>> with_limits(0.6957, 0.466, 0.842)
    '69.6 % (46.6 to 84.2)'
    """
    text = percent(estimate, decimals)
    if lower is None or upper is None:
        return text
    return f"{text} ({100 * lower:.{decimals}f} to {100 * upper:.{decimals}f})"


def ratio(estimate: float | None, lower: float | None, upper: float | None) -> str:
    """Return "0.37 (0.16 to 0.86)"."""
    if estimate is None:
        return "not known"
    return (
        f"{estimate:.2f}"
        if lower is None or upper is None
        else f"{estimate:.2f} ({lower:.2f} to {upper:.2f})"
    )


def line_of(entry: Entry, *, is_in: bool, note: str = "", weight: float = 0.0) -> Line:
    """Return the forest line of an entry with its own interval."""
    lower, upper = own_interval(entry)
    role: Role = "memory" if entry.verified == "memory" else "pooled in" if is_in else "shown"
    where = "" if entry.subgroup == "all" else f", {entry.subgroup}"
    where += f", against {entry.comparator}" if entry.comparator else ""
    if role == "shown" and "meta-analysis" in entry.reason:
        role = "published"
    level = 0.95 if entry.events is not None else entry.conf_level
    return Line(
        label=f"{entry.label}{where}", estimate=entry.estimate, lower=lower, upper=upper, role=role, conf_level=level,
        counts=f"{entry.events} of {entry.n}" if entry.events is not None else f"n = {entry.n}" if entry.n else "",
        weight=weight, note=note,
    )  # fmt: skip


def pool_lines(pool: Pool, label: str = "Pooled") -> list[Line]:
    """Return the diamond of a pool and its prediction interval; a single study or an empty pool has none."""
    if pool.estimate is None or pool.k < 2:
        return []
    counts = f"{pool.n_events} of {pool.n}" if pool.n_events is not None else f"{pool.k} groups"
    lines = [Line(label=label, estimate=pool.estimate, lower=pool.lower, upper=pool.upper, role="pool",
                  conf_level=pool.conf_level, counts=counts)]  # fmt: skip
    if pool.prediction is not None:
        lines.append(
            Line(label="A new study (prediction)", estimate=None, lower=pool.prediction[0], upper=pool.prediction[1],
                 role="prediction", conf_level=pool.conf_level, note=pool.prediction_convention)
        )  # fmt: skip
    return lines


def panel_of(
    pool: Pool, *, id: str, title: str, unit: Unit = "percent", caption: str = "", others: bool = True
) -> Panel:
    """Return the forest of a pool: what entered, the pool, then what is only shown (each with its reason)."""
    total = sum(entry.weight for entry in pool.selection.chosen) or 1.0
    lines = [line_of(entry, is_in=pool.k > 1, weight=entry.weight / total) for entry in pool.selection.chosen]
    lines += pool_lines(pool)
    if others:
        lines += [
            line_of(entry, is_in=False, note=reason)
            for entry, reason in pool.selection.left_out
            if entry.estimate is not None
        ]
    words = (
        f"{pool.method[0].upper()}{pool.method[1:]}."
        if pool.estimate is not None
        else "Nothing can be pooled."
    )
    if pool.alternatives is not None:
        low, high = pool.alternatives
        between = (
            f"{100 * low:.2f} to {100 * high:.2f} %" if unit == "percent" else f"{low:.2f} to {high:.2f}"
        )
        if f"{low:.4f}" == f"{high:.4f}":
            between = between.split(" to ")[0] + (" %" if unit == "percent" else "")
        words += f" Over other sets without overlap that hold at least 95 % of the patients: {between}."
    if pool.profile is not None:
        words += f" By profile likelihood {100 * pool.profile[0]:.2f} to {100 * pool.profile[1]:.2f} %."
    if pool.bayes is not None:
        words += f" {BAYES}: {ratio(*pool.bayes) if unit == 'ratio' else with_limits(*pool.bayes)}."
    warnings = "".join(f" {warning[0].upper()}{warning[1:]}." for warning in pool.warnings)
    return Panel(
        id=id, title=title, unit=unit, lines=tuple(lines), caption=f"{caption} {words}{warnings}".strip()
    )


def left_out_sheet(pool: Pool, id: str) -> Sheet:
    """Return what did not enter a pool, each with its reason."""
    rows = []
    for entry, reason in pool.selection.left_out:
        counts = (
            f"{entry.events} of {entry.n}"
            if entry.events is not None
            else f"n = {entry.n}"
            if entry.n
            else ""
        )
        value = "" if entry.estimate is None else f"{entry.estimate:.3g}"
        where = "" if entry.subgroup == "all" else f", {entry.subgroup}"
        rows.append((f"{entry.label}{where}", value, counts, reason))
    return Sheet(
        id=id,
        caption="Left out of the pool, and why",
        columns=("Study", "Value", "Counts", "Reason"),
        rows=tuple(rows),
    )


def pool_text(pool: Pool) -> str:
    """Return a pool in a sentence: value, limits, the limits with a prior where there are few, and how many groups."""
    if pool.estimate is None:
        return "nothing that can be pooled"
    text = _text(pool.measure, pool.estimate, pool.lower, pool.upper)
    many = "one cohort" if pool.k == 1 else f"{pool.k} groups"
    if pool.bayes is None:
        return f"{text.removesuffix(')')}; {many})" if text.endswith(")") else f"{text} ({many})"
    prior = _text(pool.measure, *pool.bayes).split("(")[1]
    return f"{text.removesuffix(')')}; {many}; with a prior for their variance {prior}"


def pool_row(name: str, pool: Pool) -> tuple[str, ...]:
    """Return a row of a table of pools, as `POOL_COLUMNS`."""
    counts = f"{pool.n_events} of {pool.n}" if pool.n_events is not None else f"{pool.n}"
    value = (
        "nothing to pool"
        if pool.estimate is None
        else _text(pool.measure, pool.estimate, pool.lower, pool.upper)
    )
    new = ""
    if pool.prediction is not None:
        low, high = pool.prediction
        new = (
            f"{low:.2f} to {high:.2f}"
            if pool.measure == "ratio"
            else f"{100 * low:.1f} to {100 * high:.1f} %"
        )
    prior = "" if pool.bayes is None else f"{_text(pool.measure, *pool.bayes)}, with a prior for the variance"
    if pool.profile is not None:
        prior = f"{100 * pool.profile[0]:.2f} to {100 * pool.profile[1]:.1f} %, profile likelihood"
    between = "" if pool.tau2 is None else f"{pool.tau2:.2f}"
    return name, str(pool.k), counts if pool.k else "", value, prior, new, between


POOL_COLUMNS = (
    "Group", "Groups pooled", "Patients", "Pooled (95 %)", "Another interval (95 %)", "A new study (95 %)", "Variance between",
)  # fmt: skip


def _text(measure: str, estimate: float | None, lower: float | None, upper: float | None) -> str:
    if measure == "ratio":
        return ratio(estimate, lower, upper)
    return with_limits(estimate, lower, upper, decimals=2 if estimate is not None and estimate < 0.05 else 1)


def join_results(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return all pools in one table of schema RESULTS."""
    return pl.concat([results_frame([]), *parts])
