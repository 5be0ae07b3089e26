"""`ahsct edss score` and `ahsct edss check`: the step from the examination, and examinations that contradict themselves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.cli.study import count_of
from ahsct.errors import SourceError, TableError

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(help="EDSS from the examination: score it, check it.", no_args_is_help=True)

FILE = Annotated[
    Path, typer.Argument(metavar="FILE", help="Examinations, one per row: a CSV or Parquet file.")
]
CODING = Annotated[
    str, typer.Option("--ambulation-coding", help="How `ambulation` is coded: 0-16 or 0-13. No default.")
]
GRADES = Annotated[str, typer.Option("--grades", help="Visual and bowel/bladder grades: raw or converted.")]
PROFILE = Annotated[
    str, typer.Option("--profile", help="Version of the EDSS: neurostatus, kurtzke or lenient.")
]
OUT = Annotated[Path | None, typer.Option("--out", help="Write all rows into this CSV file.")]
FORCE = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


@app.command()
def score(
    file: FILE,
    ambulation_coding: CODING,
    grades: GRADES = "raw",
    profile: PROFILE = "neurostatus",
    out: OUT = None,
    force: FORCE = False,
) -> None:
    """Derive the step of each examination; every column of the file is kept."""
    from ahsct.edss import score as derive
    from ahsct.files import new_file
    from ahsct.report.csv_safe import write_safe_csv

    examinations = _read(file)
    scored = derive(examinations, ambulation_coding=ambulation_coding, grades=grades, profile=profile)  # type: ignore[arg-type]
    if out is not None:
        with new_file(out, force=force) as path:
            write_safe_csv(scored, path)
    for (step,), rows in scored.sort("step", nulls_last=True).group_by("step", maintain_order=True):
        typer.echo(f"  {'not scored' if step is None else f'EDSS {step:4.1f}'}  {rows.height:8,}")
    for (reason,), rows in scored.drop_nulls("why_not_scored").group_by(
        "why_not_scored", maintain_order=True
    ):
        typer.echo(f"  {rows.height} not scored: {reason}")
    typer.echo(count_of(scored.height, "examination") + (f"; all in {out}" if out else ""))


@app.command()
def check(
    file: FILE,
    ambulation_coding: CODING,
    grades: GRADES = "raw",
    profile: PROFILE = "neurostatus",
    out: OUT = None,
    force: FORCE = False,
) -> None:
    """Find examinations that contradict themselves, and courses that move without a reason."""
    from ahsct.edss import find_inconsistencies
    from ahsct.edss.grades import SYSTEMS
    from ahsct.files import new_file
    from ahsct.report.csv_safe import write_safe_csv

    examinations = _read(file)
    found = find_inconsistencies(
        examinations,
        ambulation_coding=ambulation_coding,  # type: ignore[arg-type]
        grades=grades,  # type: ignore[arg-type]
        profile=profile,
    )
    if out is not None:
        with new_file(out, force=force) as path:
            write_safe_csv(found, path)
    for (severity, finding), rows in found.sort("severity", "finding").group_by(
        "severity", "finding", maintain_order=True
    ):
        first = rows.sort("row").row(0, named=True)
        typer.echo(f"  {severity} {finding}: {rows.height}, first row {first['row']}. {first['message']}")
    if absent := [name for name in (*SYSTEMS, "ambulation", "edss") if name not in examinations.columns]:
        typer.echo(f"  not checked, for there is no such column: {', '.join(absent)}")
    if lacking := [name for name in ("patient_id", "visit_day") if name not in examinations.columns]:
        typer.echo(f"  courses were not looked at, for there is no column {' or '.join(lacking)}")
    n_errors = found["severity"].to_list().count("error")
    typer.echo(
        f"{count_of(examinations.height, 'examination')}, {count_of(n_errors, 'error')}, "
        f"{count_of(found.height - n_errors, 'warning')}" + (f"; all in {out}" if out else "")
    )
    if n_errors:
        raise typer.Exit(1)


def _read(file: Path) -> pl.DataFrame:
    """Return the examinations; text stays text, so that suffixes of grades survive."""
    import polars as pl

    if not file.is_file():
        raise SourceError(f"There is no file {file.name}.")
    try:
        if file.suffix.casefold() == ".parquet":
            return pl.read_parquet(file)
        frame = pl.read_csv(file, infer_schema=False, encoding="utf8")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        # their text may quote a patient's values
        raise SourceError(
            f"{file.name} cannot be read as CSV or Parquet. Check that it is UTF-8 and that rows are of one width."
        ) from None
    for name, dtype in (("edss", pl.Float64), ("visit_day", pl.Int64), ("row", pl.Int64)):
        if name in frame.columns:
            number = frame[name].str.strip_chars().replace("", None).cast(pl.Float64, strict=False)
            if dtype == pl.Int64:  # "90.0" is a whole number too
                number = number.set((number != number.round()).fill_null(False), None)
            cast = number.cast(dtype)
            is_wrong = cast.is_null() & (frame[name].str.strip_chars() != "").fill_null(False)
            if is_wrong.any():
                raise TableError(
                    f"`{name}` must be a number; {is_wrong.sum()} of {frame.height} rows are not, the first is row "
                    f"{(is_wrong.arg_max() or 0) + 1}."
                )
            frame = frame.with_columns(cast)
    return frame
