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
    from ahsct.multiverses import Multiverse

_START = time.perf_counter()
_GRID = "activity_free_survival"
_MOST_PATIENTS = 1000  # above, a report would take minutes for a section that nobody asked for

SOURCE = Annotated[
    str, typer.Argument(metavar="STUDY", help="A folder of CSV or Parquet files, or a DuckDB file.")
]
KIND = Annotated[
    str,
    typer.Option(
        "--as", help="What STUDY is: auto, spreadsheet, or a mapping's id (`ahsct convert --list`)."
    ),
]
MAPPING = Annotated[
    Path | None, typer.Option("--mapping", help="Your own mapping of another source, a TOML file.")
]
FORCE = Annotated[
    bool, typer.Option("--force", help="Replace what is at --out, even if ahsct did not write it.")
]


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path("ahsct-report"),
    force: FORCE = False,
) -> None:
    """Analyse the 2016 trial (patients reconstructed from published totals) and write its report."""
    from ahsct.files import require_free_folder

    require_free_folder(out, force=force)
    say("importing")
    from ahsct.analysis import analyse as run
    from ahsct.report import write_report
    from ahsct.studies import load_example, published_numbers

    say("reading and checking the study")
    study = load_example("atkins2016")
    say("deriving outcomes and estimates")
    analysis = run(study, "atkins2016")
    found = _under_other_definitions(analysis)
    say("drawing the report")
    folder = write_report(
        analysis, out, published=published_numbers("atkins2016"), multiverse=found, force=force
    )
    _headline(analysis, share=False)
    typer.echo(f"Report: {folder / 'index.html'}")


def check(
    source: SOURCE,
    out: Annotated[Path | None, typer.Option("--out", help="Write all problems to this CSV file.")] = None,
    kind: KIND = "auto",
    mapping: MAPPING = None,
    force: FORCE = False,
) -> None:
    """Find every problem of a study's tables; exit code 1 when any is an error."""
    from ahsct.files import new_file
    from ahsct.report.csv_safe import write_safe_csv
    from ahsct.tables import find_problems, read_study

    study = read_study(source, kind=kind, mapping=mapping)
    problems = find_problems(study)
    if out is not None:
        with new_file(out, force=force) as path:
            write_safe_csv(problems, path)
    rows = sum(frame.height for frame in study.tables.values())
    typer.echo(
        f"{study.study_id}: {count_of(len(study.tables), 'table')}, {count_of(rows, 'row')}, data kind {study.data_kind}"
    )
    for line in _by_rule(problems):
        typer.echo(line)
    n_errors = problems["severity"].to_list().count("error")
    typer.echo(
        f"{count_of(n_errors, 'error')}, {count_of(problems.height - n_errors, 'warning')}"
        + (f"; all in {out}" if out else "")
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
    adam: Annotated[
        Path | None,
        typer.Option("--adam", help="Write ADSL, ADTTE, ADQS, ADAE, ADLB into this folder (XPT version 5)."),
    ] = None,
    kind: KIND = "auto",
    mapping: MAPPING = None,
    force: FORCE = False,
) -> None:
    """Derive all outcomes and estimates of a study under one definition."""
    if share and out is None and not json:
        raise RequestError("--share changes what the report shows; give --out FOLDER as well.")
    if share and adam is not None:
        raise RequestError("--adam writes patients' rows; it cannot be combined with --share.")
    if share and json:
        raise RequestError(
            "--json prints unmasked results; with --share, take results.csv from the report folder."
        )
    from ahsct.files import require_apart, require_free_folder

    for place in (out, adam):
        if place is not None:
            require_free_folder(place, force=force)
            require_apart(place, source)
    say("importing")
    from ahsct.analysis import analyse as run
    from ahsct.definitions import load_definition
    from ahsct.report import write_report
    from ahsct.studies import list_examples, published_numbers
    from ahsct.tables import check as check_study
    from ahsct.tables import read_study

    rules = load_definition(definition)
    say("reading and checking the study")
    study = read_study(source, kind=kind, mapping=mapping)
    try:
        study = check_study(study, set_aside=set_aside)
    except StudyError as error:
        hint = (
            ""
            if set_aside
            else " `ahsct check STUDY --out problems.csv` lists all; --set-aside leaves those patients out."
        )
        raise StudyError(f"{error}{hint}", error.problems) from None
    say("deriving outcomes and estimates")
    analysis = run(study, rules, cutoff=cutoff)
    if out is not None:
        found = None if share else _under_other_definitions(analysis)
        say("drawing the report")
        known = (
            study.study_id
            if study.study_id in list_examples() and study.data_kind == "reconstructed"
            else None
        )
        published = published_numbers(known) if known else None
        folder = write_report(analysis, out, published=published, multiverse=found, share=share, force=force)
    if adam is not None:
        _write_adam(analysis, adam, force=force)
    if json:
        typer.echo(analysis.estimates.results.write_json())
        return
    _headline(analysis, share=share)
    if out is not None:
        typer.echo(f"Report: {folder / 'index.html'}")
    if adam is not None:
        typer.echo(f"ADaM: {adam}")


def _write_adam(analysis: Analysis, out: Path, *, force: bool) -> None:
    from ahsct.outcomes.timeline import derive_timeline
    from ahsct.tables.adam import adae, adsl, adtte
    from ahsct.tables.adam_files import write_adam
    from ahsct.tables.adam_findings import adlb, adqs

    study = analysis.study
    zero = derive_timeline(study, analysis.definition).select("patient_id", "time_zero_day")
    datasets = {
        "ADSL": adsl(study),
        "ADTTE": adtte(
            study, analysis.outcomes.time_to_event, zero_days=zero, events=analysis.outcomes.events
        ),
        "ADQS": adqs(study),
        "ADAE": adae(study),
        "ADLB": adlb(study),
    }
    write_adam(datasets, out, force=force)


def _under_other_definitions(analysis: Analysis) -> Multiverse | None:
    """Return the answers of the shipped grid whose base is the analysis' definition, where that takes no time."""
    from ahsct.definitions import load_definition, load_grid
    from ahsct.multiverses import derive_multiverse

    grid = load_grid(_GRID)
    if analysis.definition.hash != load_definition(grid.base).hash:
        return None
    n_patients = analysis.study.table("patients").height
    if n_patients > _MOST_PATIENTS:
        say(
            f"{n_patients} patients: for the answers under other definitions run `ahsct multiverse STUDY --out …`"
        )
        return None
    say(f"answering under {len(grid.combinations)} definitions")
    return derive_multiverse(analysis.study, grid)


def _headline(analysis: Analysis, *, share: bool) -> None:
    """Print the primary number of every arm, or why there is none; masked when shared, because logs travel."""
    import polars as pl

    from ahsct.report.share import count_text, mask_results
    from ahsct.report.words import incidence_words

    study, definition, results = analysis.study, analysis.definition, analysis.estimates.results
    results = mask_results(results) if share else results.with_columns(pl.lit("").alias("hidden"))
    years = definition.primary_milestone_days / 365.25
    rows = results.filter(
        (pl.col("endpoint") == definition.primary_endpoint)
        & (pl.col("component") == "composite").fill_null(False)
        & pl.col("statistic").is_in(["survival_probability", "cumulative_incidence"])
        & ((pl.col("time_years") - years).abs() < 1e-6).fill_null(False)
    )
    typer.echo(
        f"{study.study_id}: {definition.endpoint(definition.primary_endpoint).label} at {years:.1f} years"
    )
    if study.data_kind == "reconstructed":
        typer.echo("Patients are reconstructed from published totals; they are not real people.")
    if cutoff := analysis.provenance["cutoff"]:
        typer.echo(f"Data cut-off: {cutoff}.")
    if study.set_aside.height:
        typer.echo(f"Patients set aside for errors: {count_text(study.set_aside.height, share=share)}.")
    for row in rows.iter_rows(named=True):
        typer.echo(
            f"  {row['arm']}, {row['estimand']}{', ' + incidence_words(row['term'], definition) if row['term'] else ''}: {_estimate(row)}"
        )
    for line in _without_estimate(analysis, rows, share=share):
        typer.echo(line)


def _estimate(row: dict[str, object]) -> str:
    """Return "69.6 % (95 % CI 46.6 to 84.2) (n = 23, 7 events; method)", or what hides it."""
    if row["hidden"]:
        why = "hidden: a count under 5" if row["hidden"] == "<5" else row["hidden"]
        return f"{why} ({row['method']})"
    counts = f"n = {row['n']}, {count_of(int(str(row['n_events'])), 'event')}"
    if row["n_not_evaluable"]:
        counts += f", {row['n_not_evaluable']} more not evaluable"
    return f"{_with_interval(row)} ({counts}; {row['method']})"


def _with_interval(row: dict[str, object]) -> str:
    estimate, lower, upper, level = (row[name] for name in ("estimate", "lower", "upper", "conf_level"))
    if not isinstance(estimate, float):
        return "not estimable, follow-up ends earlier"
    text = f"{100 * estimate:.1f} %"
    if not (isinstance(lower, float) and isinstance(upper, float) and isinstance(level, float)):
        return f"{text} (no interval can be given)"
    return f"{text} ({100 * level:.0f} % CI {100 * lower:.1f} to {100 * upper:.1f})"


def _without_estimate(analysis: Analysis, rows: pl.DataFrame, *, share: bool) -> list[str]:
    """Return a line for every arm and estimand that has no row, with the reasons of the patient flow."""
    from ahsct.report.share import without_small_counts

    definition = analysis.definition
    endpoint = definition.endpoint(definition.primary_endpoint)
    steps = {f"analysed: {endpoint.id} ({estimand})": estimand for estimand in endpoint.estimands}
    found = set(rows.select("arm", "estimand").iter_rows())
    lines = []
    for step in analysis.outcomes.flow.iter_rows(named=True):
        estimand = steps.get(step["step"])
        if estimand is None or (step["arm"], estimand) in found:
            continue
        reason = step["reason"] or f"no patient belongs to the population ({step['population']})"
        lines.append(
            f"  {step['arm']}, {estimand}: not evaluable; {without_small_counts(reason, share=share)}"
        )
    return lines


def _by_rule(problems: pl.DataFrame) -> list[str]:
    import polars as pl

    # rows of one kind share a line; what is said of a whole table or source is one of its own
    own = pl.when(pl.col("row").is_null()).then("message").alias("own")
    rules = problems.group_by("severity", "rule", "table", "column", own, maintain_order=True).agg(
        pl.len().alias("count"), pl.col("row").min(), pl.col("message").first()
    )
    return [
        f"  {r['severity']} {r['rule']}: {r['count']}{' in ' + r['table'] if r['table'] else ''}{'.' + r['column'] if r['column'] else ''}"
        f"{'' if r['row'] is None else ', first row ' + str(r['row'])}. {r['message']}"
        for r in rules.sort("severity", "table", "rule").iter_rows(named=True)
    ]


def count_of(n: int, thing: str) -> str:
    """Return "1 error", "2 errors", "1,200 rows"."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def say(step: str) -> None:
    """Tell on stderr what is being done, and how long the command has run."""
    print(f"[{time.perf_counter() - _START:5.1f} s] {step}", file=sys.stderr)
