"""Writes the report folder of an analysis."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ahsct.analysis import Analysis
from ahsct.files import new_folder
from ahsct.multiverses import Multiverse
from ahsct.report.check_r import check_script, for_r
from ahsct.report.csv_safe import write_safe_csv
from ahsct.report.page import page_context, page_figures, page_tables, render_page
from ahsct.report.pictures import draw
from ahsct.report.provenance import provenance_of, write_provenance
from ahsct.report.share import mask_results, masked_csv


def write_report(
    analysis: Analysis,
    out: str | Path,
    *,
    published: pl.DataFrame | None = None,
    multiverse: Multiverse | None = None,
    share: bool = False,
    force: bool = False,
) -> Path:
    """Write `index.html`, which opens from disk, and the tables behind it into the folder `out`.

    Parameters
    ----------
    analysis
        From `analyse`.
    out
        A new folder, or one that an earlier report made.
    published
        Published numbers with selectors `our_*` (`studies.published_numbers`): they are printed
        beside ours, each with its verdict.
    multiverse
        From `derive_multiverse`: the answers under other definitions get a section, and `answers.csv`.
    share
        Leave out everything that shows single patients, and hide counts of 1 to 4 with what would
        give them away.
    force
        Replace a folder that ahsct did not write.

    Returns
    -------
    Path
        `out`. Two runs write the same bytes but for `created` in `provenance.json`.

    Raises
    ------
    RequestError
        The folder exists and is not ours, or cannot be written.
    """
    results = mask_results(analysis.estimates.results) if share else analysis.estimates.results
    provenance = provenance_of(analysis, share=share)
    context = page_context(
        analysis,
        results.rows(named=True),
        draw(analysis, results, share=share),
        published=published,
        multiverse=multiverse,
        provenance=provenance,
        share=share,
    )
    with new_folder(out, force=force) as folder:
        (folder / "index.html").write_text(render_page(context), encoding="utf-8")
        for table in page_tables(context):
            write_safe_csv(table.frame, folder / "tables" / f"{table.id}.csv")
        for name, drawing in page_figures(context):
            write_safe_csv(drawing.data, folder / "figures" / f"{name}.csv")
        write_safe_csv(masked_csv(results) if share else results, folder / "results.csv")
        if multiverse is not None and not share:
            write_safe_csv(multiverse.answers, folder / "answers.csv")
        if not share:
            _write_patients(analysis, folder)
        write_provenance(provenance, folder / "provenance.json")
    return Path(out)


def _write_patients(analysis: Analysis, folder: Path) -> None:
    """Write the tables that hold single patients, and the script that reads one of them."""
    outcomes = analysis.outcomes
    write_safe_csv(outcomes.events, folder / "events.csv")
    write_safe_csv(for_r(outcomes.time_to_event), folder / "time_to_event.csv")
    write_safe_csv(outcomes.not_evaluable, folder / "not_evaluable.csv")
    if analysis.study.set_aside.height:
        write_safe_csv(analysis.study.set_aside, folder / "set_aside.csv")
    (folder / "check.R").write_text(check_script(analysis.definition), encoding="utf-8")
