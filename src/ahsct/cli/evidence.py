"""`ahsct evidence`: what is published, checked, shown, pooled and written as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.cli.study import count_of

if TYPE_CHECKING:
    from ahsct.evidence import Answer, Evidence, Settings

app = typer.Typer(
    help="Published results: list, show, check and pool them; write the page.", no_args_is_help=True
)

OWN = Annotated[
    Path | None,
    typer.Option(
        "--evidence",
        metavar="FOLDER",
        help="Your own studies.csv, results.csv, overlaps.csv, read beside ours.",
    ),
]
RULE = Annotated[
    str, typer.Option("--rule", help="Intensity of regimens: recorded, cy_atg_intermediate, cy_atg_low.")
]
RELEASE = Annotated[
    list[str] | None,
    typer.Option(
        "--release", metavar="A,B", help="Take an unknown overlap of two studies as none (repeatable)."
    ),
]
METHOD = Annotated[
    str, typer.Option("--method", help="Proportions: glmm, beta-binomial, logit, arcsine, freeman-tukey.")
]
TAU2 = Annotated[str, typer.Option("--tau2", help="Variance between studies: REML, DL, PM, ML, fixed.")]
TEST = Annotated[str, typer.Option("--test", help="hartung-knapp-safe, hartung-knapp or z.")]
PREDICTION = Annotated[str, typer.Option("--prediction", help="Prediction interval: k-1, k-2 or normal.")]
FORCE = Annotated[
    bool, typer.Option("--force", help="Replace what is at --out, even if ahsct did not write it.")
]


@app.command("list")
def list_all(own: OWN = None) -> None:
    """List the studies; recalled ones are greyed."""
    evidence = _read(own)
    counts = dict(evidence.results.group_by("study_id").len().iter_rows())
    for row in evidence.studies.iter_rows(named=True):
        n = "" if row["n_transplanted"] is None else f"n = {row['n_transplanted']}"
        mark = {"memory": "recalled", "partial": "partly recalled"}.get(row["verified"], "")
        origin = "" if row["origin"] == "shipped" else "yours"
        words = f"{row['study_id']:26}{row['design'].replace('_', ' '):15}{n:10}{counts.get(row['study_id'], 0):3} numbers  {row['citation']}"
        typer.echo(
            _grey(words + "".join(f"  [{one}]" for one in (mark, origin) if one), row["verified"] == "memory")
        )


@app.command()
def show(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study's id, as `list` names it.")],
    own: OWN = None,
) -> None:
    """Show one study: its facts, every published number with its source, its overlaps and contradictions."""
    import polars as pl

    from ahsct.report.evidence_rows import evidence_rows, study_value

    evidence = _read(own)
    facts = evidence.study(study)
    for name, value in facts.items():
        if value is not None and name not in ("study_id", "origin", "row", "verified", "memory_fields"):
            text = study_value(facts, name)
            typer.echo(_grey(f"{name} = {text}", text.endswith("(recalled)")))
    typer.echo(
        f"verified = {facts['verified']}{' (recalled: ' + str(facts['memory_fields']) + ')' if facts['memory_fields'] else ''}"
    )
    for row in evidence_rows(evidence):
        if row["study_id"] != study:
            continue
        parts = [
            row["group"],
            row["time"],
            row["value"],
            row["interval"],
            row["counts"],
            row["effect"],
            row["mark"],
        ]
        typer.echo(
            _grey(
                f"\n{row['endpoint']}: {'; '.join(part for part in parts if part)}", row["mark"] == "recalled"
            )
        )
        where = ", ".join(part for part in (row["source"], row["locator"], row["url"]) if part)
        typer.echo(_grey(f"    {where or 'no source: recalled'}", True))
        if row["note"]:
            typer.echo(_grey(f"    {row['note']}", True))
    for a, b, relation, basis in evidence.overlaps.select(
        "study_a", "study_b", "relation", "basis"
    ).iter_rows():
        if study in (a, b):
            typer.echo(f"\noverlap: {a} {relation} {b}; {basis}")
    for row in evidence.inconsistencies.filter(pl.col("study_id") == study).iter_rows(named=True):
        typer.echo(f"\ncontradiction {row['inconsistency']}: {row['what']} Shown: {row['shown']}")


@app.command()
def check(own: OWN = None) -> None:
    """Check counts against percentages, intervals, denominators, sources and ids; exit code 1 when any is an error."""
    from ahsct.evidence import find_evidence_problems

    evidence = _read(own)
    problems = find_evidence_problems(evidence)
    for row in problems.iter_rows(named=True):
        where = "" if row["row"] is None else f", row {row['row']}"
        typer.echo(
            f"  {row['severity']} {row['rule']}: {row['table'].removeprefix('evidence_')}{where}. {row['message']}"
        )
    typer.echo(f"{evidence.inconsistencies.height} contradictions of the sources are recorded and shown:")
    for row in evidence.inconsistencies.iter_rows(named=True):
        typer.echo(f"  {row['inconsistency']:>3} {row['study_id']}: {row['what']}")
    n_errors = problems["severity"].to_list().count("error")
    typer.echo(
        f"{evidence.studies.height} studies, {evidence.results.height} numbers, {evidence.overlaps.height} overlaps: "
        f"{count_of(n_errors, 'error')}, {count_of(problems.height - n_errors, 'warning')}"
    )
    if n_errors:
        raise typer.Exit(1)


@app.command()
def template(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder.")],
) -> None:
    """Write empty studies.csv, results.csv and overlaps.csv with their headers, for your own evidence."""
    from ahsct.evidence import write_template

    for path in write_template(folder):
        typer.echo(f"{path}")
    typer.echo(
        "Columns, units and codes: src/ahsct/vocabulary/tables/evidence_*.csv. Rows without a source are refused."
    )


@app.command()
def pool(
    question: Annotated[int, typer.Option("--question", help="1 to 7; `ahsct evidence page` answers all.")],
    own: OWN = None,
    results: Annotated[
        Path | None,
        typer.Option("--with", metavar="RESULTS.csv", help="Question 7: results.csv of your report."),
    ] = None,
    rule: RULE = "recorded",
    release: RELEASE = None,
    method: METHOD = "glmm",
    tau2: TAU2 = "REML",
    test: TEST = "hartung-knapp-safe",
    prediction: PREDICTION = "k-1",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the question's page into this folder.")
    ] = None,
    force: FORCE = False,
) -> None:
    """Answer one question from the studies that share no patient."""
    from ahsct.evidence import answer, read_results
    from ahsct.files import require_free_folder

    if out is not None:
        require_free_folder(out, force=force)
    settings = _settings(method, tau2, test, prediction, release)
    placed = None if results is None else read_results(results)
    typer.echo("choosing the studies and pooling", err=True)
    found = answer(_read(own), question, settings=settings, rule=rule, results=placed)
    _print(found)
    if out is not None:
        from ahsct.report.evidence_page import write_answer

        typer.echo(f"Page: {write_answer(found, out, force=force) / 'index.html'}")


@app.command()
def page(
    own: OWN = None,
    rule: RULE = "recorded",
    release: RELEASE = None,
    method: METHOD = "glmm",
    tau2: TAU2 = "REML",
    test: TEST = "hartung-knapp-safe",
    prediction: PREDICTION = "k-1",
    out: Annotated[Path, typer.Option("--out", help="Folder of the page.")] = Path("ahsct-evidence"),
    force: FORCE = False,
) -> None:
    """Write the living page: all questions, and every number to sort and filter."""
    from ahsct.files import require_free_folder
    from ahsct.report.evidence_page import write_evidence_page

    require_free_folder(out, force=force)
    settings = _settings(method, tau2, test, prediction, release)
    typer.echo("answering the questions and drawing their figures", err=True)
    folder = write_evidence_page(_read(own), out, settings=settings, rule=rule, force=force)
    typer.echo(f"Page: {folder / 'index.html'}")


def _read(own: Path | None) -> Evidence:
    from ahsct.evidence import read_evidence

    return read_evidence(own)


def _settings(method: str, tau2: str, test: str, prediction: str, release: list[str] | None) -> Settings:
    from ahsct.evidence import Settings

    return Settings(method=method, tau2=tau2, test=test, prediction=prediction, release=tuple(release or ()))


def _print(found: Answer) -> None:
    typer.echo(f"{found.number}. {found.title}\n")
    for sentence in found.sentences:
        typer.echo(f"{sentence}\n")
    for sheet in found.sheets:
        if not sheet.rows:
            continue
        typer.echo(f"{sheet.caption}\n  {' | '.join(sheet.columns)}")
        for row in sheet.rows:
            typer.echo("  " + " | ".join(row))
        typer.echo("")
    for panel in found.panels:
        if panel.caption:
            typer.echo(f"{panel.title}: {panel.caption}")
    for note in found.notes:
        typer.echo(note)


def _grey(text: str, wanted: bool) -> str:
    return typer.style(text, dim=True) if wanted else text
