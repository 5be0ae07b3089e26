"""Results as tables that a reader can check: each estimate with its interval, its method and its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from ahsct.report.formats import MARK_WORDS, interval, out_of, p_value, quantity
from ahsct.report.share import SMALL

Row = Mapping[str, Any]
NOTE = "Note"
EVERY_ROW = "Every row"
_FOLDED = 12  # rows; a longer table opens on request
_LONG = 8  # rows; a longer table stays a grid on a phone, because its stack would never end


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as printed: texts only, the first cell of a row is its header."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, str], ...] = ()  # (key, text): keys stand in the cells
    is_folded: bool = False  # shown on request
    is_grid: bool = False  # short cells: on a phone it stays a grid that scrolls in its own box, not a stack

    @property
    def frame(self) -> pl.DataFrame:
        """The printed cells as a frame for the CSV beside the page, its notes written out."""
        texts = dict(self.notes)
        cells = {name: [row[place] for row in self.rows] for place, name in enumerate(self.columns)}
        if NOTE in cells or EVERY_ROW in texts:
            keys = cells.get(NOTE, [""] * len(self.rows))
            every = [texts[EVERY_ROW]] if EVERY_ROW in texts else []
            cells[NOTE] = [
                "; ".join([*every, *(texts.get(key, key) for key in cell.split(", ") if key)])
                for cell in keys
            ]
        return pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String))


def text_table(
    id: str,
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    notes: Sequence[tuple[str, str]] = (),
    is_grid: bool = False,
    is_folded: bool | None = None,
) -> Table | None:
    """Return a table of texts without the columns that are empty in every row; None without rows."""
    if not rows:
        return None
    kept = [place for place in range(len(columns)) if place == 0 or any(row[place] for row in rows)]
    return Table(
        id=id,
        caption=caption,
        columns=tuple(columns[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in rows),
        notes=tuple(notes),
        is_grid=is_grid or len(rows) > _LONG,
        is_folded=len(rows) > _FOLDED if is_folded is None else is_folded,
    )


def estimate_table(id: str, caption: str, rows: Sequence[Row], label: Callable[[Row], str]) -> Table | None:
    """Return rows of RESULTS, each with its interval, method, counts and mark.

    `label` names a row; arm and subgroup are added where there is more than one.
    """
    has_arms = len({row["arm"] for row in rows}) > 1
    cells, notes = footnotes([note_parts([row]) for row in rows])
    printed = [
        (
            " · ".join(
                part
                for part in (label(row), row["arm"] if has_arms else None, row["subgroup"])
                if part is not None
            ),
            estimate_text(row),
            "" if row.get("hidden") else interval(row),
            counts_text(row),
            risk_text(row),
            p_value(row["p_value"]) if row["p_value"] is not None else "",
            row["method"],
            note,
        )
        for row, note in zip(rows, cells, strict=True)
    ]
    columns = ("Quantity", "Estimate", "Interval", "Counts", "At risk, censored", "p", "Method", NOTE)
    return text_table(id, caption, columns, printed, notes=notes)


def estimate_text(row: Row) -> str:
    """Return the estimate with its unit; a hidden one says so."""
    if row.get("hidden"):
        return "hidden"
    if row["statistic"] == "date":
        return ""
    if row["statistic"] in ("count", "person_years") and row["estimate"] is not None:
        unit = "" if row["statistic"] == "count" else "patient-years"
        return f"{row['estimate']:.0f} {unit}".strip()
    return quantity(row["estimate"], row["unit"])


def counts_text(row: Row) -> str:
    """Return the numerator and the denominator behind an estimate, with the person-years of a rate."""
    if row.get("hidden"):
        return SMALL if row["hidden"] == SMALL else row["hidden"]
    if row["statistic"] == "date":
        return ""
    unit = {"scan": " scans", "patient_year": "", "patient": ""}[row["unit_of_analysis"]]
    years = "" if row["person_years"] is None else f" in {row['person_years']:.1f} patient-years"
    if row["statistic"] == "count" and row["n_events"] == row["estimate"]:
        text = f"n = {row['n']}"
    elif row["statistic"] in ("rate", "person_years", "rate_ratio"):
        text = f"{row['n_events']} events{years}" if row["n_events"] is not None else f"n = {row['n']}{years}"
        unit = ""
    else:
        text = out_of(row["n_events"], row["n"])
    missing = f"; {row['n_not_evaluable']} not evaluable" if row["n_not_evaluable"] else ""
    return f"{text}{unit}{missing}"


def risk_text(row: Row) -> str:
    """Return the number at risk at the time of an estimate, and the number censored before it."""
    parts = [
        f"{row[name]} {word}"
        for name, word in (("n_at_risk", "at risk"), ("n_censored", "censored"))
        if row[name] is not None and not row.get("hidden")
    ]
    return ", ".join(parts)


def note_parts(rows: Sequence[Row]) -> list[str]:
    """Return the marks and notes of rows that share a line, each once."""
    parts = [MARK_WORDS.get(row["mark"] or "", "") for row in rows]
    parts += [part for row in rows for part in (row["note"] or "").split("; ")]
    return list(dict.fromkeys(part for part in parts if part))


def footnotes(notes: Sequence[Sequence[str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the keys that stand in each row, and the notes by key; what all rows share is said once.

    Examples
    --------
    >>> footnotes([["illustration", "crude"], ["illustration"]])
    (['a', ''], [('Every row', 'illustration'), ('a', 'crude')])
    """
    if not notes:
        return [], []
    texts = list(dict.fromkeys(text for row in notes for text in row))
    shared = [text for text in texts if len(notes) > 1 and all(text in row for row in notes)]
    keys = {text: _key(place) for place, text in enumerate(text for text in texts if text not in shared)}
    cells = [", ".join(keys[text] for text in row if text in keys) for row in notes]
    every = [(EVERY_ROW, "; ".join(shared))] if shared else []
    return cells, [*every, *((key, text) for text, key in keys.items())]


def _key(place: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return letters[place] if place < 26 else letters[place // 26 - 1] + letters[place % 26]
