"""Commands for a study: demo, check, analyse."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.errors import RequestError, StudyError

if TYPE_CHECKING:
    import polars as pl

    from ahsct.analysis import Analysis

_START = time.perf_counter()

SOURCE = Annotated[
    str, typer.Argument(metavar="STUDY", help="A folder of CSV or Parquet files, or a DuckDB file.")
]
FORCE = Annotated[
    bool, typer.Option("--force", help="Replace what is at --out, even if ahsct did not write it.")
]


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("ahsct-report"),
    force: FORCE = False,
) -> None:
    """Analyse the 2016 trial (patients reconstructed from published totals) and write its report."""
    _say("importing")
    from ahsct.analysis import analyse as run
    from ahsct.report import write_report
    from ahsct.studies import load_example, published_numbers

    _say("reading and checking the study")
    study = load_example("atkins2016")
    _say("deriving outcomes and estimates")
    analysis = run(study, "atkins2016")
    _say("drawing the report")
    folder = write_report(analysis, out, published=published_numbers("atkins2016"), force=force)
    _headline(analysis)
    typer.echo(f"Report: {folder / 'index.html'}")


def check(
    source: SOURCE,
    out: Annotated[Path | None, typer.Option("--out", help="Write all problems to this CSV file.")] = None,
    force: FORCE = False,
) -> None:
    """Find every problem of a study's tables; exit code 1 when any is an error."""
    from ahsct.files import new_file
    from ahsct.report.csv_safe import write_safe_csv
    from ahsct.tables import find_problems, read_study

    study = read_study(source)
    problems = find_problems(study)
    if out is not None:
        with new_file(out, force=force) as path:
            write_safe_csv(problems, path)
    rows = sum(frame.height for frame in study.tables.values())
    typer.echo(f"{study.study_id}: {len(study.tables)} tables, {rows:,} rows, data kind {study.data_kind}")
    for line in _by_rule(problems):
        typer.echo(line)
    n_errors = problems["severity"].to_list().count("error")
    typer.echo(
        f"{n_errors} errors, {problems.height - n_errors} warnings" + (f"; all in {out}" if out else "")
    )
    if n_errors:
        raise typer.Exit(1)


def analyse(
    source: SOURCE,
    definition: Annotated[
        str, typer.Option("--definition", help="A shipped definition's id, or a TOML file.")
    ] = "atkins2016",
    cutoff: Annotated[str | None, typer.Option("--cutoff", help="Data cut-off, an ISO date.")] = None,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Leave out patients with errors, and say so everywhere.")
    ] = False,
    share: Annotated[
        bool, typer.Option("--share", help="Leave out patient-level figures and files; hide small cells.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print all results as JSON.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report into this folder.")] = None,
    force: FORCE = False,
) -> None:
    """Derive all outcomes and estimates of a study under one definition."""
    if share and out is None and not json:
        raise RequestError("--share changes what the report shows; give --out FOLDER as well.")
    if share and json:
        raise RequestError(
            "--json prints unmasked results; with --share, take results.csv from the report folder."
        )
    _say("importing")
    from ahsct.analysis import analyse as run
    from ahsct.definitions import load_definition
    from ahsct.report import write_report
    from ahsct.studies import list_examples, published_numbers
    from ahsct.tables import check as check_study
    from ahsct.tables import read_study

    rules = load_definition(definition)
    _say("reading and checking the study")
    study = read_study(source)
    try:
        study = check_study(study, set_aside=set_aside)
    except StudyError as error:
        hint = (
            ""
            if set_aside
            else " `ahsct check STUDY --out problems.csv` lists all; --set-aside leaves those patients out."
        )
        raise StudyError(f"{error}{hint}", error.problems) from None
    _say("deriving outcomes and estimates")
    analysis = run(study, rules, cutoff=cutoff)
    if out is not None:
        _say("drawing the report")
        known = (
            study.study_id
            if study.study_id in list_examples() and study.data_kind == "reconstructed"
            else None
        )
        published = published_numbers(known) if known else None
        folder = write_report(analysis, out, published=published, share=share, force=force)
    if json:
        typer.echo(analysis.estimates.results.write_json())
        return
    _headline(analysis)
    if out is not None:
        typer.echo(f"Report: {folder / 'index.html'}")


def _headline(analysis: Analysis) -> None:
    import polars as pl

    definition, results = analysis.definition, analysis.estimates.results
    years = definition.primary_milestone_days / 365.25
    rows = results.filter(
        (pl.col("endpoint") == definition.primary_endpoint)
        & (pl.col("component") == "composite").fill_null(False)
        & pl.col("statistic").is_in(["survival_probability", "cumulative_incidence"])
        & ((pl.col("time_years") - years).abs() < 1e-6).fill_null(False)
    )
    typer.echo(
        f"{analysis.study.study_id}: {definition.endpoint(definition.primary_endpoint).label} at {years:.1f} years"
    )
    if analysis.study.data_kind == "reconstructed":
        typer.echo("Patients are reconstructed from published totals; they are not real people.")
    if rows.is_empty():
        typer.echo("  not evaluable; the report's evaluability table says why")
    for row in rows.iter_rows(named=True):
        typer.echo(
            f"  {row['arm']}, {row['estimand']}{', ' + row['term'] if row['term'] else ''}: {_with_interval(row)} (n = {row['n']}, {row['n_events']} events; {row['method']})"
        )


def _with_interval(row: dict[str, object]) -> str:
    def percent(name: str) -> str:
        value = row[name]
        return f"{100 * value:.1f}" if isinstance(value, float) else "not estimable"

    level = row["conf_level"]
    label = f"{100 * level:.0f} % CI" if isinstance(level, float) else "interval"
    return f"{percent('estimate')} % ({label} {percent('lower')} to {percent('upper')})"


def _by_rule(problems: pl.DataFrame) -> list[str]:
    import polars as pl

    rules = problems.group_by("severity", "rule", "table", "column", maintain_order=True).agg(
        pl.len().alias("count"), pl.col("row").min(), pl.col("message").first()
    )
    return [
        f"  {r['severity']} {r['rule']}: {r['count']} in {r['table']}{'.' + r['column'] if r['column'] else ''}"
        f"{'' if r['row'] is None else ', first row ' + str(r['row'])}. {r['message']}"
        for r in rules.sort("severity", "table", "rule").iter_rows(named=True)
    ]


def _say(step: str) -> None:
    print(f"[{time.perf_counter() - _START:5.1f} s] {step}", file=sys.stderr)
