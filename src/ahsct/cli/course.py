"""Command `course`: one patient's scores, and what was made of every change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ahsct.cli.study import FORCE, SOURCE
from ahsct.errors import RequestError


def course(
    source: SOURCE,
    patient: Annotated[str, typer.Argument(metavar="PATIENT", help="A patient_id.")],
    definition: Annotated[
        str, typer.Option("--definition", help="A shipped definition's id, or a TOML file.")
    ] = "atkins2016",
    measure: Annotated[
        str | None, typer.Option("--measure", help="Measure of a disability rule; else the first.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the picture to this SVG file.")] = None,
    force: FORCE = False,
) -> None:
    """Show one patient's course: visits, baselines, relapses, and every change with its windows."""
    from ahsct.files import require_free_file
    from ahsct.report.course import course_of, course_text, plot_course
    from ahsct.tables import check, read_study

    if out is not None:
        if out.suffix.lower() != ".svg":
            raise RequestError(f"{out} should end in .svg; that is what is written.")
        require_free_file(out, force=force)
    study = check(read_study(source), set_aside=True)
    if patient in (gone := study.set_aside).get_column("patient_id").to_list():
        rules = gone.filter(gone["patient_id"] == patient)["rules"].item()
        raise RequestError(
            f"patient {patient!r} has errors in the tables ({rules}); `ahsct check` lists them."
        )
    typer.echo(course_text(course_of(study, patient, definition, measure=measure)))
    if out is not None:
        plot_course(study, patient, definition, measure=measure, out=out, force=force)
        typer.echo(f"Picture: {out}")
