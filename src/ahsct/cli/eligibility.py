"""`ahsct eligibility`: published rule sets applied to a study or to one patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ahsct.errors import RequestError, SourceError

if TYPE_CHECKING:
    import polars as pl

    from ahsct.definitions.eligibility import RuleSet
    from ahsct.eligibility import Eligibility

_NOTE = (
    "Published rules applied to recorded facts, for research. Not a recommendation: whether a transplant is right "
    "for a person is decided with neurologists and haematologists."
)


def eligibility(
    source: Annotated[
        str, typer.Argument(metavar="STUDY|PATIENT.toml", help="A study, or one patient's facts.")
    ],
    ruleset: Annotated[
        list[str] | None,
        typer.Option(
            "--ruleset", help="A shipped rule set's id or a TOML file; repeat for more. Default: all."
        ),
    ] = None,
    at: Annotated[
        str,
        typer.Option(
            "--at", help="Judged on: index, treatment_decision, randomisation or mobilisation_start."
        ),
    ] = "mobilisation_start",
    facts: Annotated[
        Path | None,
        typer.Option(
            "--facts", help="CSV of facts that the study's tables do not hold, one row per patient."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write all tables into this folder.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing folder.")] = False,
) -> None:
    """Apply published eligibility rules: met, not met or unknown, and what would settle it."""
    from ahsct.definitions.eligibility import list_rule_sets, load_rule_set
    from ahsct.eligibility import assess_eligibility, read_patient
    from ahsct.files import require_apart, require_free_folder
    from ahsct.tables import check, read_study

    if out is not None:
        require_free_folder(out, force=force)
        require_apart(out, source)
    sets = [load_rule_set(name) for name in ruleset or list_rule_sets()]
    if source.endswith(".toml"):
        if facts is not None or at != "mobilisation_start":
            raise RequestError(
                "--facts and --at go with a study; the file of one patient tells its own facts, of its own day."
            )
        found = assess_eligibility(read_patient(source), sets)
        _print_one(found, sets)
    else:
        study = check(read_study(source))
        found = assess_eligibility(study, sets, at=at, facts=_facts(facts))  # type: ignore[arg-type]
        if study.data_kind == "reconstructed":
            typer.echo("Patients are reconstructed from published totals; they are not real people.")
        _print_cohort(found, sets)
    if out is not None:
        _write(found, sets, out, force=force)
        typer.echo(f"Tables: {out}")
    typer.echo(_NOTE)


def hct_ci(
    file: Annotated[
        Path,
        typer.Argument(help="CSV: patient_id, age_years, and a column of true or false per item (--items)."),
    ] = Path(),
    version: Annotated[
        str, typer.Option("--version", help="hct_ci, or hct_ci_age (a point from 40 years).")
    ] = "hct_ci",
    items: Annotated[
        bool, typer.Option("--items", help="List the items, their points and definitions.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write all scores into this CSV file.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Score the comorbidity index of transplantation, as a range where items are missing."""
    import polars as pl

    from ahsct.eligibility.hct_ci import WARNING, hct_ci_items, typed_flags
    from ahsct.eligibility.hct_ci import hct_ci as score
    from ahsct.files import new_file
    from ahsct.report.csv_safe import write_safe_csv

    if items:
        for item, points, definition, seen in hct_ci_items().iter_rows():
            mark = " [recalled, unverified]" if seen == "recalled" else ""
            typer.echo(f"{points}  {item:28} {definition}{mark}")
        return
    if not file.is_file():
        raise SourceError(
            f"There is no file {file.name or 'given'}. Give a CSV of comorbidities, or --items."
        )
    try:
        frame = pl.read_csv(file, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError):
        raise SourceError(f"{file.name} cannot be read as CSV.") from None
    scored = score(typed_flags(frame, name=file.name), version=version)  # type: ignore[arg-type]
    if out is not None:
        with new_file(out, force=force) as path:
            write_safe_csv(scored, path)
    counts = scored.group_by("score_min", "score_max").len().sort("score_min", "score_max")
    for low, high, n in counts.iter_rows():
        typer.echo(f"  {f'score {low}' if low == high else f'score {low} to {high} (items missing)'}: {n}")
    typer.echo(f"{scored.height} patients, {version}" + (f"; all in {out}" if out else ""))
    typer.echo(WARNING)


def _facts(file: Path | None) -> pl.DataFrame | None:
    import polars as pl

    from ahsct.eligibility.told import typed_facts

    if file is None:
        return None
    try:
        return typed_facts(pl.read_csv(file, infer_schema=False), name=file.name)
    except (pl.exceptions.PolarsError, OSError):  # their text may quote a patient's values
        raise SourceError(
            f"{file.name} cannot be read as CSV. Check the name and that rows are of one width."
        ) from None


def _print_one(found: Eligibility, sets: list[RuleSet]) -> None:
    import polars as pl

    titles = {rules.id: rules for rules in sets}
    for row in found.rule_sets.iter_rows(named=True):
        rules = titles[row["rule_set"]]
        typer.echo(
            f"{rules.title} ({rules.year or 'undated'}): {row['status']}"
            f"{_recalled(row['rests_on_recalled'])}{_drug_list(rules)}"
        )
        if row["n_preferred"]:
            typer.echo(f"    preferences met: {row['n_preferred_met']} of {row['n_preferred']}")
        of_set = found.rules.filter(pl.col("rule_set") == row["rule_set"])
        for rule in of_set.filter(pl.col("status").is_in(["not met", "unknown"])).iter_rows(named=True):
            what = f"found {rule['found']}" if rule["found"] else "nothing known"
            needs = f"; needed: {', '.join(rule['missing'])}" if rule["missing"] else ""
            mark = " [recalled, unverified]" if rule["seen"] == "recalled" else ""
            typer.echo(
                f"    {rule['status']}: {rule['rule']} ({rule['kind']}) {rule['text']}; {what}{needs}{mark}"
            )
        if row["settled_by"]:
            typer.echo(f"    {row['settled_by']} alone would settle it")


def _print_cohort(found: Eligibility, sets: list[RuleSet]) -> None:
    import polars as pl

    from ahsct.eligibility import disagreements, rule_flow

    statuses = ("met", "not met", "unknown", "not covered")
    typer.echo(f"{'rule set':18}" + "".join(f"{status:>13}" for status in statuses))
    for rules in sets:
        mine = found.rule_sets.filter(pl.col("rule_set") == rules.id)
        counts = [mine.filter(pl.col("status") == status).height for status in statuses]
        typer.echo(
            f"{rules.id:18}"
            + "".join(f"{n:13}" for n in counts)
            + _recalled(bool(mine["rests_on_recalled"].any()))
            + _drug_list(rules)
        )
    if len(sets) == 1:
        typer.echo("Whom each rule removes, one after another:")
        for step in rule_flow(found, sets[0]).iter_rows(named=True):
            open_ones = f", {step['n_open']} unknown" if step["n_open"] else ""
            typer.echo(
                f"  {step['n_before']:6} - {step['n_removed']:4} = {step['n_left']:6}{open_ones}  {step['rule']}: {step['text']}"
            )
    else:
        typer.echo(f"Accepted by one set and refused by another: {disagreements(found).height} patients")


def _recalled(rests: bool) -> str:
    return "   [a rule is recalled, unverified]" if rests else ""


def _drug_list(rules: RuleSet) -> str:
    """Say that a set judges failed drugs by a list that no source of it names."""
    facts = {c.fact for rule in rules.rules if rule.is_required for case in rule.cases for c in case}
    is_asked = "failed_high_efficacy_dmt_n" in facts and rules.high_efficacy_seen == "recalled"
    return "   [its list of high-efficacy drugs is unverified]" if is_asked else ""


def _write(found: Eligibility, sets: list[RuleSet], out: Path, *, force: bool) -> None:
    import polars as pl

    from ahsct.eligibility import disagreements, nearest_misses, rule_flow
    from ahsct.files import new_folder
    from ahsct.report.csv_safe import write_safe_csv

    flows = [rule_flow(found, rules).with_columns(pl.lit(rules.id).alias("rule_set")) for rules in sets]
    with new_folder(out, force=force) as folder:
        for name, table in (
            ("rules", found.rules),
            ("rule_sets", found.rule_sets),
            ("disagreements", disagreements(found)),
            ("nearest_misses", nearest_misses(found)),
            ("flow", pl.concat(flows)),
        ):
            write_safe_csv(table, folder / f"{name}.csv")
