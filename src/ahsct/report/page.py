"""Everything that `index.html` says, as one context for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from ahsct.analysis import Analysis
from ahsct.multiverses import Multiverse
from ahsct.report.answer import answer_sentences, answers, estimand_table, left_out, sensitivity_table
from ahsct.report.figures import Drawing
from ahsct.report.formats import p_value
from ahsct.report.methods import methods_text
from ahsct.report.multiverse import multiverse_section
from ahsct.report.published import published_table
from ahsct.report.rendering import BANNERS, ROWS_SHOWN, TAGS, render
from ahsct.report.sections import SHARED, Section, figures_of, sections
from ahsct.report.tables import Row, Table
from ahsct.report.visit_times import visit_time_table
from ahsct.report.words import endpoint_label, primary_time, variable_words


def page_context(
    analysis: Analysis,
    rows: Sequence[Row],
    figures: Mapping[str, Drawing],
    *,
    published: pl.DataFrame | None,
    multiverse: Multiverse | None,
    provenance: Mapping[str, Any],
    share: bool,
) -> dict[str, Any]:
    """Return what the templates print; `rows` are those of RESULTS, masked when shared."""
    definition, study = analysis.definition, analysis.study
    return {
        "study_id": study.study_id,
        "title": definition.title,
        "banner": BANNERS[study.data_kind],
        "tag": TAGS[study.data_kind],
        "share": share,
        "question": definition.question,
        "headline": f"{endpoint_label(definition, definition.primary_endpoint)} at {primary_time(definition)}",
        "sentences": answer_sentences(rows, definition),
        "answers": answers(rows, definition),
        "left_out": left_out(analysis, share=share),
        "variable": variable_words(definition),
        "estimands": estimand_table(definition),
        "sensitivity": sensitivity_table(rows, definition),
        "visit_times": visit_time_table(rows, definition),
        "sensitivity_figures": figures_of("sensitivity", figures),
        "sections": [*sections(analysis, rows, figures, share=share), *_multiverse(multiverse, share=share)],
        "published": None if published is None else published_table(published, rows),
        "methods": methods_text(definition),
        "multiplicity": multiplicity(rows, 0 if multiverse is None else len(multiverse.grid.combinations)),
        "has_answers": multiverse is not None and not share,
        "provenance": provenance,
        "has_set_aside": study.set_aside.height > 0,
        "rows_shown": ROWS_SHOWN,
    }


def page_tables(context: Mapping[str, Any]) -> list[Table]:
    """Return every table of the page, each of which also stands in a CSV."""
    found = [
        context["estimands"],
        context["sensitivity"],
        context["visit_times"],
        *(table for section in context["sections"] for table in section.tables),
        context["published"],
    ]
    return [table for table in found if table is not None]


def page_figures(context: Mapping[str, Any]) -> list[tuple[str, Drawing]]:
    """Return every figure of the page with its name."""
    return [
        *context["sensitivity_figures"],
        *(figure for section in context["sections"] for figure in section.figures),
    ]


def _multiverse(found: Multiverse | None, *, share: bool) -> list[Section]:
    """Return the section of answers under other definitions, where they were asked for."""
    if found is None:
        return []
    section = multiverse_section(found)
    if not share:
        return [section]
    # many definitions beside each other tell counts under 5 by their differences
    return [Section(id=section.id, title=section.title, missing=(SHARED,))]


def multiplicity(rows: Sequence[Row], n_definitions: int = 0) -> str:
    """Return what the number of estimates means for reading them."""
    n_intervals = sum(1 for row in rows if row["lower"] is not None or row["upper"] is not None)
    n_tests = sum(1 for row in rows if row["p_value"] is not None)
    smallest = min((row["p_value"] for row in rows if row["p_value"] is not None), default=None)
    tests = (
        "No p value is given."
        if smallest is None
        else f"{n_tests} p values are given, the smallest {p_value(smallest)}, none of them corrected."
    )
    others = f" beside those of the {n_definitions} definitions in the last section" if n_definitions else ""
    return (
        "One number was named in advance: the primary endpoint at the primary milestone, in each way of counting. "
        f"Everything else describes. The page holds {n_intervals} intervals{others}; none is widened for their number, so some "
        f"may miss the true value by chance. {tests}"
    )


def render_page(context: Mapping[str, Any]) -> str:
    """Return `index.html`."""
    return render("page.html.j2", context)
