"""The multiverse on the report's page and on a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ahsct.definitions import Grid, load_definition
from ahsct.files import new_folder
from ahsct.multiverses import Multiverse, one_each
from ahsct.report.csv_safe import write_safe_csv
from ahsct.report.figures.specification import draw_specification
from ahsct.report.formats import MARK_WORDS, interval, out_of, percent, time_words
from ahsct.report.provenance import software, write_provenance
from ahsct.report.rendering import BANNERS, ROWS_SHOWN, TAGS, render
from ahsct.report.sections import Section
from ahsct.report.tables import Table, text_table

WHAT_IT_DOES = "What the software does"
NO_SAMPLE = (
    "The definitions are choices that somebody makes or could make. They are not a sample: the range of the answers is "
    "no confidence interval, no p value follows from how many of them agree, and nothing is averaged over them."
)
_INVENTED = (
    "The courses are invented to fit published totals. This shows what the software does with such tables; it allows no "
    "conclusion about the trial."
)


def multiverse_section(found: Multiverse, *, id: str = "multiverse") -> Section:
    """Return the section of a report: for each arm and milestone the curve, the shares, the turning points."""
    label = f"Under {len(found.grid.combinations)} definitions"
    title = f"{label}: {WHAT_IT_DOES[0].lower()}{WHAT_IT_DOES[1:]}" if _is_invented(found) else label
    figures, tables = [], []
    own = one_each(found.answers)
    groups = [
        (arm, years) for arm, years in own.select("arm", "time_years").unique(maintain_order=True).iter_rows()
    ]
    for place, (arm, years) in enumerate(groups):
        name = id if len(groups) == 1 else f"{id}-{place + 1}"
        about = _about(arm, years, n_arms=own["arm"].n_unique())
        group = own.filter((pl.col("arm") == arm) & pl.col("time_years").eq_missing(years))
        base = group.filter(pl.col("point") == 1)  # no row where nobody can be evaluated
        lower, upper = base.select("lower", "upper").row(0) if base.height else (None, None)
        drawing = draw_specification(
            group,
            found.grid,
            title=f"Every answer, the lowest first{about}",
            data_kind=found.data_kind,
            band=None if lower is None or upper is None else (lower, upper),
        )
        if drawing is not None:
            figures.append((name, drawing))
        tables += [
            _shares_table(f"{name}-shares", about, _of(found.spread, arm, years), found.grid),
            _turning_table(f"{name}-turning", about, _of(found.turning, arm, years)),
        ]
    tables.append(_choices_table(f"{id}-choices", found.grid))
    return Section(
        id=id,
        title=title,
        text=(
            NO_SAMPLE,
            _base_words(found.grid),
            *((_INVENTED,) if _is_invented(found) else ()),
            *_sentences(found, own, groups),
        ),
        figures=tuple(figures),
        tables=tuple(table for table in tables if table is not None),
    )


def write_multiverse(found: Multiverse, out: str | Path, *, force: bool = False) -> Path:
    """Write the page of a multiverse, `index.html`, and its tables into the folder `out`.

    Beside it `answers.csv` (every definition and its answer), `spread.csv`, `turning.csv` and
    `provenance.json`. On reconstructed patients the page is titled "What the software does".

    Raises
    ------
    RequestError
        The folder exists and is not ours, or cannot be written.
    """
    section = multiverse_section(found)
    provenance = {
        "study_id": found.study_id,
        "data_kind": found.data_kind,
        "study_content_sha256": found.study_hash,
        "grid": found.grid.id,
        "grid_sha256": found.grid.hash,
        "definitions": len(found.grid.combinations),
        **software(),
    }
    context = {
        "title": WHAT_IT_DOES if _is_invented(found) else found.grid.title,
        "subtitle": found.grid.title if _is_invented(found) else "",
        "study_id": found.study_id,
        "tag": TAGS[found.data_kind],
        "banner": BANNERS[found.data_kind],
        "section": section,
        "source": found.grid.source,
        "provenance": provenance,
        "rows_shown": ROWS_SHOWN,
    }
    with new_folder(out, force=force) as folder:
        (folder / "index.html").write_text(render("multiverse.html.j2", context), encoding="utf-8")
        for table in section.tables:
            write_safe_csv(table.frame, folder / "tables" / f"{table.id}.csv")
        for name, drawing in section.figures:
            write_safe_csv(drawing.data, folder / "figures" / f"{name}.csv")
        for name in ("answers", "spread", "turning"):
            write_safe_csv(getattr(found, name), folder / f"{name}.csv")
        write_provenance(provenance, folder / "provenance.json")
    return Path(out)


def _is_invented(found: Multiverse) -> bool:
    return found.data_kind == "reconstructed"


def _base_words(grid: Grid) -> str:
    changed = " as this grid sets it up" if grid.set else ""
    return (
        f"The base is the definition {load_definition(grid.base).id}{changed}, with the first choice of each of the {len(grid.dimensions)} "
        "dimensions below."
    )


def _of(frame: pl.DataFrame, arm: str, years: float | None) -> pl.DataFrame:
    return frame.filter((pl.col("arm") == arm) & pl.col("time_years").eq_missing(years))


def _about(arm: str, years: float | None, *, n_arms: int) -> str:
    when = "" if years is None else f", at {time_words(years)}"
    return f"{when}, {arm}" if n_arms > 1 else when


def _sentences(
    found: Multiverse, own: pl.DataFrame, groups: Sequence[tuple[str, float | None]]
) -> tuple[str, ...]:
    """Say for each arm and milestone where the answers lie, and how many lie beyond the line."""
    lines = []
    for arm, years in groups:
        group = _of(own, arm, years)
        own_base = group.filter(pl.col("point") == 1)
        base = own_base.row(0, named=True) if own_base.height else None
        about = _about(arm, years, n_arms=own["arm"].n_unique()).removeprefix(", ")
        start = f"{about[0].upper()}{about[1:]}" if about else "Altogether"
        estimates = group["estimate"].drop_nulls()
        if estimates.is_empty():
            why = f" ({base['note']})" if base is not None and base["note"] else ""
            lines.append(f"{start}: no definition gives an estimate{why}.")
            continue
        text = (
            f"{start}: {estimates.len()} of {len(found.grid.combinations)} definitions give an estimate, from "
            f"{percent(float(estimates.to_numpy().min()))} to {percent(float(estimates.to_numpy().max()))}"
        )
        if base is not None and base["estimate"] is not None:
            text += (
                f"; the base says {percent(base['estimate'])}, interval {interval(base)} by {base['method']}"
            )
        crossing = _of(found.crossing, arm, years).row(0, named=True)
        if crossing["line"]:
            beyond = crossing["n_below"] + crossing["n_above"]
            parts = [
                f"{crossing[f'n_{side}']} {side}" for side in ("below", "above") if crossing[f"n_{side}"]
            ]
            text += f". {'None' if not beyond else beyond} of the estimates {'lies' if beyond < 2 else 'lie'} beyond {crossing['line']}"
            text += f" ({', '.join(parts)})" if parts else ""
            if beyond and _of(found.turning, arm, years).is_empty():
                text += ", and only where three or more choices are changed together"
            elif not beyond:
                text += ": no combination of these choices changes the answer by that measure"
        lines.append(f"{text}.")
    return tuple(lines)


def _shares_table(id: str, about: str, rows: pl.DataFrame, grid: Grid) -> Table | None:
    notes = rows["note"].drop_nulls().unique().to_list()
    if notes:
        return text_table(
            id, f"What makes the spread{about}", ("Choice", "Share"), [("all", f"not divided: {notes[0]}")]
        )
    printed = [
        (
            grid.dimension(row["dimension"]).label,
            percent(row["main_share"]),
            percent(row["total_share"]),
            f"{percent(row['lowest'])} to {percent(row['highest'])}",
        )
        for row in rows.iter_rows(named=True)
    ]
    return text_table(
        id,
        f"What makes the spread{about}",
        ("Choice", "Alone", "With all that it takes part in", "Mean answer under its choices"),
        printed,
        notes=[
            (
                "Every row",
                "shares of the variance of log(-log S) over all combinations; what the column “alone” lacks to 100 % comes "
                "from choices that matter only together",
            )
        ],
    )


def _turning_table(id: str, about: str, rows: pl.DataFrame) -> Table | None:
    if rows.is_empty():
        return None
    printed = [
        (
            row["changed"],
            f"{percent(row['estimate'])}",
            "" if row["lower"] is None else f"{100 * row['lower']:.1f}–{100 * row['upper']:.1f}",
            out_of(row["n_events"], row["n"]),
            f"{row['side']} {row['line']}",
        )
        for row in rows.iter_rows(named=True)
    ]
    return text_table(
        id,
        f"What would have to be chosen otherwise for the answer to change{about}",
        ("Changed from the base", "Estimate", "Interval", "Events", "Then it lies"),
        printed,
    )


def _choices_table(id: str, grid: Grid) -> Table | None:
    marks = {mark.of: mark for mark in grid.marks}
    keys = {of: chr(ord("a") + place) for place, of in enumerate(marks)}
    printed = []
    for dimension in grid.dimensions:
        for place, choice in enumerate(dimension.choices):
            found = [keys[of] for of in (dimension.id, f"{dimension.id}.{choice.id}") if of in keys]
            printed.append(
                (
                    f"{dimension.label}: {choice.label}",
                    "the base" if place == 0 else "",
                    "; ".join(
                        [
                            *(f"{path} = {_value(value)}" for path, value in choice.set.items()),
                            *([f"estimand {choice.estimand}"] if choice.estimand else []),
                        ]
                    ),
                    ", ".join(found),
                )
            )
    return text_table(
        id,
        "The choices of this grid",
        ("Choice", "Base", "Fields", "Note"),
        printed,
        notes=[(keys[of], f"{MARK_WORDS[mark.mark]}: {mark.note}") for of, mark in marks.items()],
    )


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)
