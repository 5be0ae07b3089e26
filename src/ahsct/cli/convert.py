"""`ahsct convert`: another source's tables as a study of ours, and what was left on the way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.cli.study import count_of
from ahsct.errors import RequestError

if TYPE_CHECKING:
    import polars as pl


def _n_formulas(frame: pl.DataFrame) -> int:
    """Count the texts that a spreadsheet would run; signed numbers are none."""
    import polars as pl

    texts = frame.select(pl.col(pl.String))
    if not texts.width:
        return 0
    starts = pl.all().str.contains(r"^[=@\t\r]|^[+-][^\d.]").fill_null(False).sum()
    return sum(texts.select(starts).row(0))


def convert(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A folder, a file, duckdb:FILE or postgresql://…")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--as", help="What the source is: a shipped mapping's id, or spreadsheet.")
    ] = None,
    mapping: Annotated[Path | None, typer.Option("--mapping", help="Your own mapping, a TOML file.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the study to write.")] = None,
    file_format: Annotated[str, typer.Option("--format", help="csv, parquet or duckdb.")] = "csv",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing study.")] = False,
    log: Annotated[
        Path | None, typer.Option("--log", help="Write what was left on the way to this CSV file.")
    ] = None,
    show: Annotated[str | None, typer.Option("--show", help="Print a mapping, to save and change.")] = None,
    list_all: Annotated[bool, typer.Option("--list", help="List the shipped mappings.")] = False,
) -> None:
    """Convert a source into a study of ours; what is not mapped is listed with counts."""
    from ahsct.tables.mapping import list_mappings, load_mapping, mapping_text

    if list_all:
        for id in list_mappings():
            known = load_mapping(id)
            mark = "; column names recalled, check them" if known.seen == "recalled" else ""
            typer.echo(f"{id:12} {known.title}{mark}")
        return
    if show is not None:
        typer.echo(mapping_text(show), nl=False)
        return
    if source is None or out is None or (kind is None and mapping is None):
        raise RequestError("convert needs SOURCE, --out FOLDER and --as KIND or --mapping FILE (or --list).")
    if out is not None and not force and (out.is_file() or (out.is_dir() and any(out.iterdir()))):
        raise RequestError(f"{out} exists. Name another folder, or give --force to replace it.")
    if log is not None and log.exists() and not force:
        raise RequestError(f"{log} exists. Name another file, or give --force to replace it.")
    if mapping is None and kind in ("auto", "csv", "parquet", "duckdb") and not source.startswith("postgres"):
        raise RequestError(
            f"--as {kind} means tables of ours, which need no conversion: `ahsct check` and `analyse` read them as they are. "
            "For another source name its kind (`ahsct convert --list`), or give --mapping FILE."
        )
    from ahsct.files import new_file, require_apart
    from ahsct.report.csv_safe import write_safe_csv
    from ahsct.tables import Study, find_problems, read_study, write_study
    from ahsct.tables.read import read_foreign

    require_apart(out, source, may_lie_inside=False)
    foreign = read_foreign(source, kind=kind or "auto", mapping=mapping)
    name = foreign.about.get("study_id", foreign.place.resolve().stem)
    # untyped: a value that is none of its column's type is written as it stands, for the check to name
    untyped = Study(
        study_id=name,
        tables=foreign.tables,
        data_kind=foreign.about.get("data_kind", "observed"),  # type: ignore[arg-type]
        title=foreign.about.get("title", ""),
    )
    written = write_study(untyped, out, file_format=file_format, force=force)
    for table, frame in foreign.tables.items():
        typer.echo(f"  {table:16} {frame.height:8,} rows")
    for message in foreign.notes["message"]:
        typer.echo(f"  {message}")
    if log is not None:
        with new_file(log, force=force) as path:
            write_safe_csv(foreign.notes, path)
    n_formulas = sum(_n_formulas(frame) for frame in foreign.tables.values()) if file_format == "csv" else 0
    if n_formulas:
        typer.echo(
            f"  {n_formulas} texts begin like a formula. They are data and stay as they are: open the files with ahsct, "
            "not with a spreadsheet, or write --format parquet."
        )
    problems = find_problems(read_study(written))
    n_errors = problems["severity"].to_list().count("error")
    typer.echo(
        f"{written}: the check finds {count_of(n_errors, 'error')}, {count_of(problems.height - n_errors, 'warning')}"
    )
