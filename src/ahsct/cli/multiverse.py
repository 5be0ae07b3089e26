"""Command `multiverse`: one question under many definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.cli.study import FORCE, SOURCE, say

if TYPE_CHECKING:
    from ahsct.multiverses import Multiverse


def multiverse(
    source: SOURCE,
    grid: Annotated[
        str,
        typer.Option(
            "--grid",
            help="A shipped grid's id (activity_free_survival, pira_muller2025, worsening_kalincik2015), or a TOML file.",
        ),
    ] = "activity_free_survival",
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            help="Probability that an answer must cross to count as another; else the base's interval.",
        ),
    ] = None,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Leave out patients with errors, and say so.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", help="Processes that share the definitions.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", help="Write the page into this folder.")] = None,
    force: FORCE = False,
) -> None:
    """Ask one question of a study under every definition of a grid."""
    if out is not None:
        from ahsct.files import require_apart, require_free_folder

        require_free_folder(out, force=force)
        require_apart(out, source)
    say("importing")
    from ahsct.definitions import load_grid
    from ahsct.multiverses import derive_multiverse
    from ahsct.tables import check, read_study

    chosen = load_grid(grid)
    say("reading and checking the study")
    study = check(read_study(source), set_aside=set_aside)
    say(f"answering under {len(chosen.combinations)} definitions")
    found = derive_multiverse(study, chosen, threshold=threshold, workers=workers)
    if out is not None:
        from ahsct.report import write_multiverse

        say("drawing the page")
        write_multiverse(found, out, force=force)
    for line in _lines(found):
        typer.echo(line)
    if study.set_aside.height:
        typer.echo(f"Patients set aside for errors: {study.set_aside.height}.")
    if out is not None:
        typer.echo(f"Page: {out / 'index.html'}")


def _lines(found: Multiverse) -> list[str]:
    """Return what the page says, as text."""
    from ahsct.report import multiverse_section

    section = multiverse_section(found)
    lines = [f"{found.study_id}: {found.grid.title}", section.title, *(f"  {line}" for line in section.text)]
    for table in section.tables[:-1]:  # the last lists the choices
        lines.append(f"{table.caption}:")
        for row in table.rows:
            cells = [
                f"{column.lower()} {text}" if len(row) > 2 else text
                for column, text in zip(table.columns[1:], row[1:], strict=True)
                if text
            ]
            lines.append(f"  {row[0]}: {', '.join(cells)}")
    return [line.replace("\u00a0", " ") for line in lines]
