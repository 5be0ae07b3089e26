"""`ahsct definitions list` and `ahsct definitions show`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Published definitions: list them, show one.", no_args_is_help=True)


@app.command("list")
def list_all() -> None:
    """List the shipped definitions."""
    from ahsct.definitions import list_definitions, load_definition

    for id in list_definitions():
        definition = load_definition(id)
        typer.echo(f"{id:14} {definition.title}")
        typer.echo(f"{'':14} {definition.source.citation}; seen: {definition.source.seen}")


@app.command()
def show(
    id_or_file: Annotated[
        str, typer.Argument(metavar="ID|FILE", help="A shipped definition's id, or a TOML file.")
    ],
    toml: Annotated[
        bool, typer.Option("--toml", help="Print the file itself: save it, change it, give it to analyse.")
    ] = False,
) -> None:
    """Show every field of a definition, its marks and its hash."""
    from dataclasses import asdict

    from ahsct.definitions import definition_text, load_definition

    definition = load_definition(id_or_file)
    if toml:
        typer.echo(definition_text(id_or_file), nl=False)
        return
    fields = asdict(definition)
    marks = {mark["field"]: mark for mark in fields.pop("marks")}
    for line in _lines(fields, "", marks):
        typer.echo(line)
    typer.echo(f"sha256 = {definition.hash}")


def _lines(value: object, path: str, marks: dict[str, dict[str, str]]) -> list[str]:
    """Return `path = value` lines; a mark stands beside the field or block that it belongs to."""
    mark = marks.get(path)
    note = f"   [{mark['mark']}: {mark['note']}]" if mark else ""
    if isinstance(value, dict):
        lines = [f"{path}{note}"] if note else []
        for key, item in value.items():
            lines += _lines(item, f"{path}.{key}" if path else str(key), marks)
        return lines
    if (
        isinstance(value, tuple)
        and value
        and isinstance(value[0], dict)
        and ("id" in value[0] or "measure" in value[0])
    ):
        lines = [f"{path}{note}"] if note else []
        for item in value:
            lines += _lines(item, f"{path}.{item.get('id') or item.get('measure')}", marks)
        return lines
    if isinstance(value, tuple) and value and isinstance(value[0], dict):
        value = "; ".join(", ".join(f"{k} {v}" for k, v in item.items()) for item in value)
    elif isinstance(value, tuple):
        value = ", ".join(str(item) for item in value)
    return [f"{path} = {'not stated' if value is None else value}{note}"]
