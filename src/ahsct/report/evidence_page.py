"""Writes the answers of the evidence, and the living page of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ahsct import __version__
from ahsct.evidence.answers import Answer, Sheet
from ahsct.evidence.check import find_evidence_problems
from ahsct.evidence.pooling import Settings
from ahsct.evidence.questions import QUESTIONS, answer
from ahsct.evidence.read import MEMORY, Evidence
from ahsct.files import new_folder
from ahsct.report.csv_safe import write_safe_csv
from ahsct.report.evidence_rows import evidence_rows, study_rows
from ahsct.report.figures.case_mix import draw_case_mix
from ahsct.report.figures.drawing import Drawing
from ahsct.report.figures.forest import draw_forest
from ahsct.report.rendering import ROWS_SHOWN, render
from ahsct.report.tables import Table, text_table

_SHOWN_FIRST = 40


def write_answer(found: Answer, out: str | Path, *, force: bool = False) -> Path:
    """Write one question's page with its tables and figures as CSV into the folder `out`.

    Raises
    ------
    RequestError
        The folder exists and is not ours, or cannot be written.
    """
    return _write([found], None, out, force=force)


def write_evidence_page(
    evidence: Evidence, out: str | Path, *, settings: Settings | None = None, rule: str = "recorded", force: bool = False
) -> Path:  # fmt: skip
    """Write the living page: every question answered, and every published number with its source, to sort and filter.

    Parameters
    ----------
    evidence
        From `read_evidence`.
    settings, rule
        As for `answer`.

    Returns
    -------
    Path
        `out`. `index.html` asks for nothing outside of itself; links lead to the sources.
    """
    answers = [answer(evidence, number, settings=settings, rule=rule) for number in QUESTIONS]
    return _write(answers, evidence, out, force=force)


def _write(answers: Sequence[Answer], evidence: Evidence | None, out: str | Path, *, force: bool) -> Path:
    sections = [_section(one) for one in answers]
    context: dict[str, Any] = {
        "title": "What is known about aHSCT in MS" if evidence is not None else answers[0].title,
        "sections": sections,
        "evidence": None if evidence is None else _table_context(evidence),
        "rows_shown": ROWS_SHOWN,
        "version": __version__,
    }
    page = render("evidence.html.j2", context)
    with new_folder(out, force=force) as folder:
        (folder / "index.html").write_text(page, encoding="utf-8")
        for section in sections:
            for table in section["tables"]:
                write_safe_csv(table.frame, folder / "tables" / f"{table.id}.csv")
            for name, drawing in section["figures"]:
                write_safe_csv(drawing.data, folder / "figures" / f"{name}.csv")
        write_safe_csv(pl.concat([one.results for one in answers]), folder / "results.csv")
        if evidence is not None:
            for table in context["evidence"]["tables"]:
                write_safe_csv(table.frame, folder / "tables" / f"{table.id}.csv")
            for name in ("studies", "results", "overlaps"):
                write_safe_csv(getattr(evidence, name), folder / "evidence" / f"{name}.csv")
    return Path(out)


def _section(found: Answer) -> dict[str, Any]:
    figures: list[tuple[str, Drawing]] = []
    for panel in found.panels:
        if (forest := draw_forest(panel)) is not None:
            figures.append((panel.id, forest))
    for scatter in found.scatters:
        if (dots := draw_case_mix(scatter)) is not None:
            figures.append((scatter.id, dots))
    tables = [table for sheet in found.sheets if (table := _table(sheet)) is not None]
    return {
        "id": f"question-{found.number}", "number": found.number, "title": found.title, "question": found.question,
        "sentences": found.sentences, "notes": found.notes, "figures": figures, "tables": tables,
    }  # fmt: skip


def _table(sheet: Sheet) -> Table | None:
    return text_table(sheet.id, sheet.caption, sheet.columns, sheet.rows)


def _table_context(evidence: Evidence) -> dict[str, Any]:
    results = evidence_rows(evidence)
    problems = find_evidence_problems(evidence)
    known = [
        (row["inconsistency"], str(evidence.study(row["study_id"])["citation"]), row["what"], row["shown"])
        for row in evidence.inconsistencies.iter_rows(named=True)
    ]
    overlaps = [
        (str(evidence.study(a)["citation"]), relation, str(evidence.study(b)["citation"]), basis)
        for a, relation, b, basis in evidence.overlaps.select(
            "study_a", "relation", "study_b", "basis"
        ).iter_rows()
    ]
    definitions = [
        (row["label"], row["study_id"], row["rule"], row["shipped"], row["source"])
        for row in evidence.definitions.iter_rows(named=True)
    ]
    tables = [
        text_table("studies", "The studies", ("Study", "Year", "Design", "Transplanted", "Types of MS", "Regimen", "Follow-up", "Deaths", "Mark"), study_rows(evidence), is_grid=True, is_folded=True),
        text_table("definitions", "How endpoints were defined", ("Endpoint", "Study", "Rule", "Definition shipped", "Source"), definitions, is_folded=True),
        text_table("overlaps", "Which cohorts may share patients", ("Study", "Relation", "Study", "Basis"), overlaps, is_folded=True),
        text_table("inconsistencies", "Contradictions in the sources, as they stand", ("No.", "Study", "What", "How it is shown"), known, is_folded=True),
    ]  # fmt: skip
    return {
        "rows": results,
        "outcomes": sorted({row["outcome"] for row in results}),
        "marks": [
            mark
            for mark in ("seen", "seen once", "recalled", "yours")
            if any(row["mark"] == mark for row in results)
        ],
        "n_studies": evidence.studies.height,
        "n_memory": evidence.results.filter(pl.col("verified") == MEMORY).height,
        "n_problems": problems.height,
        "shown_first": _SHOWN_FIRST,
        "tables": [table for table in tables if table is not None],
    }
